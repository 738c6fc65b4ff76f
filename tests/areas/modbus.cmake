# The Modbus source: pure cores, vectors, the plugin against real and lying peers.
include(Purity)

foreach(name values coalesce frames)
  tg_test(vector_modbus_${name} SOURCES unit/vector_modbus_${name}.c support/vectors.c
    LINK tg_modbus PkgConfig::JANSSON m LABELS vector modbus)
endforeach()
foreach(name points frame plan bus identity)
  tg_test(test_modbus_${name} SOURCES unit/test_modbus_${name}.c LINK tg_modbus m LABELS unit modbus)
endforeach()

# What the plugin says without a device: profiles, decode, configuration.
set(modbus_host support/fake_host.c support/fake_host_wait.c support/vectors.c)
tg_test(vector_modbus_profiles SOURCES unit/vector_modbus_profiles.c ${modbus_host}
  LINK tg_modbus PkgConfig::JANSSON PkgConfig::FYAML m ${CMAKE_DL_LIBS} LABELS vector modbus)
tg_test(vector_modbus_decode SOURCES unit/vector_modbus_decode.c ${modbus_host}
  LINK tg_base PkgConfig::JANSSON m ${CMAKE_DL_LIBS} LABELS vector modbus)
tg_test(test_modbus_config SOURCES unit/test_modbus_config.c ${modbus_host}
  LINK tg_base PkgConfig::JANSSON ${CMAKE_DL_LIBS} LABELS unit modbus)
foreach(name vector_modbus_profiles vector_modbus_decode test_modbus_config)
  if(TG_TESTS)
    add_dependencies(${name} plugin_modbus)
  endif()
endforeach()

tg_test(test_serial_lock SOURCES unit/test_serial_lock.c LINK tg_serial LABELS unit modbus)

tg_purity_test(lint_purity_modbus LIBRARY tg_modbus
  ALLOW "tg_write_(u8|u16be|u32be|bytes)" tg_utf8_valid tg_error_set tg_error_wrap)

# The plugin itself, loaded as the gateway loads it, against peers over TCP, RTU on a pty, and RTU over TCP.
set(modbus_stage support/vectors.c support/fake_host.c support/fake_host_wait.c support/peer_process.c support/modbus_stage.c)
foreach(name liar traps writes meter flood)
  tg_test(scenario_modbus_${name} SOURCES scenario/modbus_${name}.c ${modbus_stage}
    LINK tg_base PkgConfig::JANSSON ${CMAKE_DL_LIBS} LABELS scenario modbus TIMEOUT 240)
  if(TARGET scenario_modbus_${name})
    add_dependencies(scenario_modbus_${name} plugin_modbus)
  endif()
endforeach()

tg_fuzz(fuzz_modbus_frame SOURCES fuzz/fuzz_modbus_frame.c LINK tg_modbus SEEDS modbus_frame)
tg_fuzz(fuzz_modbus_identity SOURCES fuzz/fuzz_modbus_identity.c LINK tg_modbus SEEDS modbus_identity)
tg_fuzz(fuzz_modbus_points SOURCES fuzz/fuzz_modbus_points.c LINK tg_modbus SEEDS modbus_points)

# The whole gateway, against implementations of other origin.
if(TG_TESTS)
  tg_scenario(scenario_modbus_transports b0821_modbus_transports.py TIMEOUT 120)
  tg_scenario(scenario_modbus_jsmodbus   b0822_modbus_jsmodbus.py TIMEOUT 120)
  tg_scenario(scenario_modbus_paced      b0823_modbus_paced.py TIMEOUT 180)
  # It compares the pace of two buses: nothing else may take turns with them.
  set_tests_properties(scenario_modbus_paced PROPERTIES RUN_SERIAL TRUE)
  tg_scenario(scenario_modbus_discover   b0824_modbus_discover.py TIMEOUT 120)
  tg_scenario(scenario_modbus_sunspec    b0828_modbus_sunspec.py TIMEOUT 120)
endif()

# Run by ./dev bench.
if(TG_TESTS)
  add_executable(bench_modbus bench/bench_modbus.c support/fake_host.c support/fake_host_wait.c)
  target_include_directories(bench_modbus PRIVATE "${CMAKE_SOURCE_DIR}" "${CMAKE_SOURCE_DIR}/plugins/sdk" "${CMAKE_SOURCE_DIR}/tests")
  target_link_libraries(bench_modbus PRIVATE tg_base PkgConfig::MODBUS Threads::Threads ${CMAKE_DL_LIBS} tg_flags)
  add_dependencies(bench_modbus plugin_modbus)
endif()
