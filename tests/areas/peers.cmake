# The real test peers. They are other people's side of the wire: no code of the product in them, and no sanitizer
# either, since hub_rules.so is loaded into Debian's mosquitto.
if(NOT TG_TESTS)
  return()
endif()
tg_require(OPENSSL openssl            libssl-dev)
find_path(MOSQUITTO_INCLUDE mosquitto_plugin.h)
find_program(MOSQUITTO_PROGRAM mosquitto PATHS /usr/sbin)
find_program(NODE_PROGRAM NAMES node nodejs)
if(NOT MOSQUITTO_INCLUDE OR NOT MOSQUITTO_PROGRAM)
  message(FATAL_ERROR "mosquitto and its plugin header were not found: install Debian's mosquitto, mosquitto-dev and libmosquitto-dev (./dev setup does)")
endif()
set(peers "${CMAKE_SOURCE_DIR}/tests/peers")

add_library(hub_rules MODULE
  "${peers}/hub_rules.c" "${peers}/broker_plugin.c" "${peers}/hub_sas.c" "${peers}/hub_registry.c" "${peers}/hub_topics.c"
  "${peers}/hub_record.c" "${peers}/hub_tls.c" "${peers}/hub_session.c" "${peers}/hub_login.c" "${peers}/hub_judge.c"
  "${peers}/hub_levers.c" "${peers}/hub_patterns.c")
set_target_properties(hub_rules PROPERTIES PREFIX "" C_VISIBILITY_PRESET default LIBRARY_OUTPUT_DIRECTORY "${CMAKE_BINARY_DIR}/peers")
target_include_directories(hub_rules PRIVATE "${CMAKE_SOURCE_DIR}" "${MOSQUITTO_INCLUDE}")
target_compile_definitions(hub_rules PRIVATE _GNU_SOURCE)
target_compile_options(hub_rules PRIVATE -O2 -Wall -Wextra -Wconversion -Wshadow $<$<BOOL:${TG_WERROR}>:-Werror>)
target_link_libraries(hub_rules PRIVATE PkgConfig::OPENSSL ${CMAKE_DL_LIBS})

add_executable(modbus_fleet "${peers}/modbus_fleet.c")
set_target_properties(modbus_fleet PROPERTIES RUNTIME_OUTPUT_DIRECTORY "${CMAKE_BINARY_DIR}/peers")
target_link_libraries(modbus_fleet PRIVATE tg_flags)
tg_require(MOSQUITTO libmosquitto libmosquitto-dev)
add_executable(seq_judge "${peers}/seq_judge.c")
set_target_properties(seq_judge PROPERTIES RUNTIME_OUTPUT_DIRECTORY "${CMAKE_BINARY_DIR}/peers")
target_link_libraries(seq_judge PRIVATE PkgConfig::MOSQUITTO tg_flags)
add_library(ticket_keys MODULE "${peers}/ticket_keys.c")
set_target_properties(ticket_keys PROPERTIES PREFIX "" LIBRARY_OUTPUT_DIRECTORY "${CMAKE_BINARY_DIR}/peers")
target_compile_definitions(ticket_keys PRIVATE _GNU_SOURCE)
target_compile_options(ticket_keys PRIVATE -O2 -Wall -Wextra -Wconversion -Wshadow $<$<BOOL:${TG_WERROR}>:-Werror>)
target_link_libraries(ticket_keys PRIVATE PkgConfig::OPENSSL ${CMAKE_DL_LIBS})

tg_test(vector_hub_sas
  SOURCES "${CMAKE_SOURCE_DIR}/tests/unit/test_vector_hub_sas.c" "${peers}/hub_sas.c" "${peers}/hub_topics.c"
  LINK PkgConfig::OPENSSL PkgConfig::JANSSON
  LABELS vector)

tg_scenario(scenario_peers_hub_login      peers_hub_login.py)
tg_scenario(scenario_peers_hub_rules      peers_hub_rules.py)
tg_scenario(scenario_peers_hub_forward    peers_hub_forward.py)
tg_scenario(scenario_peers_hub_azure_sdk  peers_hub_azure_sdk.py TIMEOUT 180)
tg_scenario(scenario_peers_hub_twin       peers_hub_twin.py TIMEOUT 180)
tg_scenario(scenario_peers_hub_methods    peers_hub_methods.py TIMEOUT 180)
tg_scenario(scenario_peers_dps            peers_dps.py TIMEOUT 180)
tg_scenario(scenario_peers_field          peers_field.py)
tg_scenario(scenario_peers_link           peers_link.py)
tg_scenario(scenario_peers_bad_broker     peers_bad_broker.py)
tg_scenario(scenario_peers_verdict        peers_verdict.py)

# The demo in short, so that it stays true.
tg_scenario(scenario_demo ../demo/demo.py ARGUMENTS --outage 5 --quiet 2 TIMEOUT 120)

# What `./dev demo` runs; nothing else has to be built for it.
add_custom_target(demo_programs DEPENDS tidegate hub_rules plugin_modbus plugin_at)
