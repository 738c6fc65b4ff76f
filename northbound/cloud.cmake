tg_library(tg_cloud SOURCES
  percent.c property_bag.c azure_sas.c azure_hub.c mqtt_cloud.c cloud_types.c format.c format_json.c jwt.c
  pubsub/gcp_pubsub.c pubsub/pubsub_request.c
  LINK tg_keys tg_mqtt tg_base PkgConfig::WOLFSSL m)
