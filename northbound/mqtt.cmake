# The MQTT 3.1.1 client core: pure, and a test holds it to a list of allowed symbols.
# How well a cloud is reached, and how long its path bears silence: pure likewise.
tg_library(tg_reach SOURCES reach.c quiet.c)
tg_library(tg_mqtt SOURCES
  mqtt/mqtt_client.c mqtt/mqtt_decoder.c mqtt/mqtt_inflight.c mqtt/mqtt_packet.c
  LINK tg_base)
