find_program(TG_PROTOC_C protoc-c)
if(NOT TG_PROTOC_C)
  message(FATAL_ERROR "protoc-c was not found: install Debian's protobuf-c-compiler (./dev setup does)")
endif()
set(sparkplug_pb "${CMAKE_CURRENT_BINARY_DIR}/sparkplug_b.pb-c")
add_custom_command(OUTPUT "${sparkplug_pb}.c" "${sparkplug_pb}.h"
  COMMAND "${TG_PROTOC_C}" -I "${CMAKE_CURRENT_SOURCE_DIR}" --c_out=. "${CMAKE_CURRENT_SOURCE_DIR}/sparkplug_b.proto"
  WORKING_DIRECTORY "${CMAKE_CURRENT_BINARY_DIR}" DEPENDS sparkplug_b.proto)
# Generated code is not held to this project's warnings.
add_library(tg_sparkplug_pb STATIC "${sparkplug_pb}.c" "${sparkplug_pb}.h")
target_include_directories(tg_sparkplug_pb SYSTEM PUBLIC "${CMAKE_CURRENT_BINARY_DIR}")
target_link_libraries(tg_sparkplug_pb PUBLIC PkgConfig::PROTOBUF_C)
if(TG_SANITIZE)
  target_compile_options(tg_sparkplug_pb PRIVATE -fsanitize=${TG_SANITIZE})
endif()

tg_library(tg_cloud SOURCES
  percent.c property_bag.c json_document.c jwt.c cloud_types.c
  azure_sas.c azure_topic.c azure_twin.c azure_methods.c azure_dps.c azure_hub.c
  aws_iot.c aws_shadow.c aws_jobs.c aws_fleet.c aws_request.c
  mqtt_template.c mqtt_options.c mqtt_cloud.c
  sparkplug.c sparkplug_inbound.c sparkplug_metrics.c sparkplug_payload.c sparkplug_say.c
  gcp_iot_core.c gcp_talk.c gcp_attach.c gcp_fault.c gcp_token.c
  module/module_cloud.c
  pubsub/gcp_pubsub.c pubsub/pubsub_request.c
  format.c format_json.c format_senml.c format_senml_cbor.c format_template.c
  LINK tg_keys tg_sparkplug_pb tg_mqtt tg_base PkgConfig::WOLFSSL PkgConfig::JANSSON PkgConfig::ZLIB m)
