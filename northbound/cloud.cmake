tg_library(tg_cloud SOURCES
  percent.c property_bag.c azure_sas.c azure_hub.c mqtt_cloud.c cloud_types.c format_json.c
  csr.c csr_key.c csr_signer.c
  aws_iot.c aws_shadow.c aws_jobs.c aws_fleet.c aws_json.c aws_request.c
  LINK tg_base tg_mqtt PkgConfig::WOLFSSL PkgConfig::JANSSON m)
