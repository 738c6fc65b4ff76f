# The real test peers. They are other people's side of the wire: no code of the product in them, and no sanitizer
# either, since hub_rules.so is loaded into Debian's mosquitto.
tg_require(OPENSSL openssl            libssl-dev)
find_path(MOSQUITTO_INCLUDE mosquitto_plugin.h)
find_program(MOSQUITTO_PROGRAM mosquitto PATHS /usr/sbin)
find_program(NODE_PROGRAM NAMES node nodejs)
if(NOT MOSQUITTO_INCLUDE OR NOT MOSQUITTO_PROGRAM)
  message(FATAL_ERROR "mosquitto and its plugin header were not found: install Debian's mosquitto, mosquitto-dev and libmosquitto-dev (./dev setup does)")
endif()
set(peers "${CMAKE_SOURCE_DIR}/tests/peers")

add_library(hub_rules MODULE
  "${peers}/hub_rules.c" "${peers}/hub_sas.c" "${peers}/hub_registry.c" "${peers}/hub_topics.c"
  "${peers}/hub_record.c" "${peers}/hub_tls.c")
set_target_properties(hub_rules PROPERTIES PREFIX "" C_VISIBILITY_PRESET default LIBRARY_OUTPUT_DIRECTORY "${CMAKE_BINARY_DIR}/peers")
target_include_directories(hub_rules PRIVATE "${CMAKE_SOURCE_DIR}" "${MOSQUITTO_INCLUDE}")
target_compile_definitions(hub_rules PRIVATE _GNU_SOURCE)
target_compile_options(hub_rules PRIVATE -O2 -Wall -Wextra -Wconversion -Wshadow $<$<BOOL:${TG_WERROR}>:-Werror>)
target_link_libraries(hub_rules PRIVATE PkgConfig::OPENSSL ${CMAKE_DL_LIBS})
