# What runs plugins, routes their samples and talks to people and clouds: host, simulator, router, control, identities, cloud types.
add_library(tg_test_parts STATIC
  support/host_model.c support/talk_rig.c support/plugins/levers.c
  "${CMAKE_SOURCE_DIR}/core/gateway/router.c" "${CMAKE_SOURCE_DIR}/core/gateway/router_points.c"
  "${CMAKE_SOURCE_DIR}/core/gateway/router_command.c"
  "${CMAKE_SOURCE_DIR}/core/gateway/router_set.c" "${CMAKE_SOURCE_DIR}/core/gateway/router_time.c"
  "${CMAKE_SOURCE_DIR}/config/config_fingerprint.c" "${CMAKE_SOURCE_DIR}/core/gateway/control.c"
  "${CMAKE_SOURCE_DIR}/core/gateway/control_client.c")
target_include_directories(tg_test_parts PUBLIC "${CMAKE_SOURCE_DIR}" "${CMAKE_SOURCE_DIR}/plugins/sdk" "${CMAKE_SOURCE_DIR}/tests")
target_link_libraries(tg_test_parts PUBLIC tg_filter tg_cloud tg_net tg_base PkgConfig::JANSSON m PRIVATE tg_flags)

foreach(name plugin_host plugin_host_limits)
  tg_test(test_${name} SOURCES unit/test_${name}.c support/host_rig.c LINK tg_test_parts tg_plugins LABELS unit threads)
endforeach()
foreach(name router router_command)
  tg_test(test_${name} SOURCES unit/test_${name}.c support/router_rig.c support/fake_source.c LINK tg_test_parts tg_store LABELS unit threads)
endforeach()
set(control_rig support/control_rig.c support/fake_source.c support/fake_store.c)
foreach(name control control_socket)
  tg_test(test_${name} SOURCES unit/test_${name}.c support/control_peer.c ${control_rig} LINK tg_test_parts LABELS unit)
endforeach()
tg_test(test_secret SOURCES unit/test_secret.c LINK tg_base LABELS unit)
tg_test(test_identity SOURCES unit/test_identity.c "${CMAKE_SOURCE_DIR}/northbound/identity.c" LINK tg_cloud tg_net LABELS unit)
tg_test(test_azure_hub SOURCES unit/test_azure_hub.c LINK tg_test_parts LABELS unit)
tg_test(test_mqtt_cloud SOURCES unit/test_mqtt_cloud.c LINK tg_test_parts tg_config LABELS unit)
tg_test(test_config_fingerprint SOURCES unit/test_config_fingerprint.c LINK tg_test_parts LABELS unit)
tg_test(test_simulator SOURCES unit/test_simulator.c "${CMAKE_SOURCE_DIR}/plugins/simulator/signal.c" LINK tg_test_parts tg_plugins
  LABELS unit threads)
tg_test(test_router_memory SOURCES fault/test_router_memory.c support/fake_source.c support/fake_store.c LINK tg_test_parts LABELS fault)
if(TG_TESTS)
  add_dependencies(test_simulator plugin_simulator)
endif()

tg_fuzz(fuzz_property_bag SOURCES fuzz/fuzz_property_bag.c LINK tg_test_parts SEEDS property_bag)
tg_fuzz(fuzz_command_body SOURCES fuzz/fuzz_command_body.c support/fake_source.c support/fake_store.c LINK tg_test_parts SEEDS command_body)
tg_fuzz(fuzz_control_request SOURCES fuzz/fuzz_control_request.c ${control_rig} LINK tg_test_parts SEEDS control_request)
