foreach(part packet decoder inflight client)
  tg_test(mqtt_${part} SOURCES unit/test_mqtt_${part}.c LINK tg_mqtt LABELS mqtt)
endforeach()
tg_test(mqtt_transcript SOURCES unit/test_mqtt_transcript.c support/mqtt_tale.c LINK tg_mqtt LABELS mqtt transcript)
