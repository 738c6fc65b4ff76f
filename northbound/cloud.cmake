tg_library(tg_cloud SOURCES
  percent.c property_bag.c azure_sas.c azure_hub.c mqtt_cloud.c cloud_types.c format.c format_json.c format_senml.c format_senml_cbor.c format_template.c
  LINK tg_base tg_mqtt PkgConfig::WOLFSSL PkgConfig::ZLIB m)
