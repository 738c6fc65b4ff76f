# Yardsticks and peers for ./dev bench; built with the tests. scenario_bench_peers keeps the comparison from rotting.
if(NOT TG_TESTS)
  return()
endif()
tg_require(MOSQUITTO libmosquitto libmosquitto-dev)
add_executable(bare_mosquitto bench/bare_mosquitto.c)
target_link_libraries(bare_mosquitto PRIVATE PkgConfig::MOSQUITTO tg_flags)
add_executable(bare_wolfssl bench/bare_wolfssl.c)
target_link_libraries(bare_wolfssl PRIVATE PkgConfig::WOLFSSL tg_flags)

foreach(program sqlite_bridge paho_bridge local_source broker_judge)
  add_executable(${program} bench/peers/${program}.c)
  target_link_libraries(${program} PRIVATE PkgConfig::MOSQUITTO PkgConfig::SQLITE Threads::Threads tg_flags)
endforeach()
target_include_directories(paho_bridge PRIVATE "${PAHO_INCLUDE}")
target_link_libraries(paho_bridge PRIVATE "${PAHO_LIBRARY}")

# 200 messages through every peer program, so that the comparison cannot rot silently; and how results are kept.
tg_scenario(scenario_bench_peers ../bench/smoke.py)
set_tests_properties(scenario_bench_peers PROPERTIES LABELS "scenario;bench")
