# What runs plugins, routes their samples and talks to people and clouds: host, simulator, router, control, identities, cloud types.
add_library(tg_test_parts STATIC
  support/host_model.c support/plugins/levers.c
  "${CMAKE_SOURCE_DIR}/core/gateway/router.c" "${CMAKE_SOURCE_DIR}/core/gateway/router_command.c"
  "${CMAKE_SOURCE_DIR}/config/config_fingerprint.c" "${CMAKE_SOURCE_DIR}/core/gateway/control.c"
  "${CMAKE_SOURCE_DIR}/core/gateway/control_client.c")
target_include_directories(tg_test_parts PUBLIC "${CMAKE_SOURCE_DIR}" "${CMAKE_SOURCE_DIR}/plugins/sdk" "${CMAKE_SOURCE_DIR}/tests")
target_link_libraries(tg_test_parts PUBLIC tg_filter tg_cloud tg_net tg_base PkgConfig::JANSSON m PRIVATE tg_flags)

tg_test(test_plugin_host SOURCES unit/test_plugin_host.c LINK tg_test_parts tg_plugins LABELS unit threads)
tg_test(test_router SOURCES unit/test_router.c support/fake_source.c LINK tg_test_parts tg_store LABELS unit threads)
