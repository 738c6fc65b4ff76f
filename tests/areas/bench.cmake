# Yardsticks for ./dev bench; built with the tests, run only by it.
if(NOT TG_TESTS)
  return()
endif()
tg_require(MOSQUITTO libmosquitto libmosquitto-dev)
add_executable(bare_mosquitto bench/bare_mosquitto.c)
target_link_libraries(bare_mosquitto PRIVATE PkgConfig::MOSQUITTO tg_flags)
add_executable(bare_wolfssl bench/bare_wolfssl.c)
target_link_libraries(bare_wolfssl PRIVATE PkgConfig::WOLFSSL tg_flags)
