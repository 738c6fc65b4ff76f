# The Modbus source: pure cores, vectors, the plugin against real and lying peers.
include(Purity)

foreach(name values coalesce frames)
  tg_test(vector_modbus_${name} SOURCES unit/vector_modbus_${name}.c support/vectors.c
    LINK tg_modbus PkgConfig::JANSSON m LABELS vector modbus)
endforeach()
foreach(name points frame plan bus)
  tg_test(test_modbus_${name} SOURCES unit/test_modbus_${name}.c LINK tg_modbus m LABELS unit modbus)
endforeach()
tg_purity_test(lint_purity_modbus LIBRARY tg_modbus
  ALLOW "tg_write_(u8|u16be|u32be|bytes)" tg_utf8_valid tg_error_set tg_error_wrap)

# The plugin itself, loaded as the gateway loads it, against peers over TCP, RTU on a pty, and RTU over TCP.
set(modbus_stage support/vectors.c support/fake_host.c support/peer_process.c support/modbus_stage.c)
foreach(name liar traps writes meter)
  tg_test(scenario_modbus_${name} SOURCES scenario/modbus_${name}.c ${modbus_stage}
    LINK tg_base PkgConfig::JANSSON ${CMAKE_DL_LIBS} LABELS scenario modbus TIMEOUT 120)
  if(TG_TESTS)
    add_dependencies(scenario_modbus_${name} plugin_modbus)
  endif()
endforeach()
