tg_library(tg_cloud SOURCES
  percent.c property_bag.c azure_sas.c azure_hub.c mqtt_cloud.c cloud_types.c format.c format_json.c jwt.c
  gcp_iot_core.c gcp_talk.c gcp_attach.c gcp_fault.c gcp_token.c
  LINK tg_keys tg_mqtt tg_base PkgConfig::WOLFSSL PkgConfig::JANSSON m)
