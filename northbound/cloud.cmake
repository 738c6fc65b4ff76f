tg_library(tg_cloud SOURCES
  percent.c property_bag.c jwt.c cloud_types.c
  azure_sas.c azure_topic.c azure_document.c azure_twin.c azure_methods.c azure_dps.c azure_hub.c
  aws_iot.c aws_shadow.c aws_jobs.c aws_fleet.c aws_json.c aws_request.c
  mqtt_cloud.c
  gcp_iot_core.c gcp_talk.c gcp_attach.c gcp_fault.c gcp_token.c
  pubsub/gcp_pubsub.c pubsub/pubsub_request.c
  format.c format_json.c
  LINK tg_keys tg_mqtt tg_base PkgConfig::WOLFSSL PkgConfig::JANSSON m)
