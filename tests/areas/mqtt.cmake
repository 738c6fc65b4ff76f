include(Purity)

foreach(part packet decoder inflight client)
  tg_test(mqtt_${part} SOURCES unit/test_mqtt_${part}.c LINK tg_mqtt LABELS mqtt)
endforeach()
tg_test(mqtt_transcript SOURCES unit/test_mqtt_transcript.c support/mqtt_tale.c LINK tg_mqtt LABELS mqtt transcript)
tg_test(vector_mqtt_azure SOURCES unit/test_vector_mqtt_azure.c support/vectors.c
  LINK tg_mqtt PkgConfig::JANSSON LABELS mqtt vector)

tg_fuzz(fuzz_mqtt_decoder SOURCES fuzz/fuzz_mqtt_decoder.c LINK tg_mqtt SEEDS mqtt)
tg_fuzz(fuzz_mqtt_client SOURCES fuzz/fuzz_mqtt_client.c LINK tg_mqtt SEEDS mqtt_client)

# Not tg_write_fmt: even the reasons for people are put together without printf.
tg_purity_test(lint_purity_mqtt LIBRARY tg_mqtt
  ALLOW tg_read_.* "tg_write_(u8|u16be|u32be|bytes|str|varint|u64_dec)" tg_writer_cstr tg_utf8_valid tg_assert_failed)

# The client core on a real socket against brokers of two origins.
if(TG_TESTS)
  add_executable(mqtt_probe support/mqtt_probe.c)
  target_link_libraries(mqtt_probe PRIVATE tg_mqtt tg_flags)
  find_program(TG_PYTHON python3 PATHS /usr/bin NO_DEFAULT_PATH REQUIRED)
  foreach(scenario b0001_mqtt_publish_window b0002_mqtt_broker_killed b0003_mqtt_inbound_redelivery b0004_mqtt_aedes)
    add_test(NAME scenario_${scenario}
      COMMAND "${TG_PYTHON}" "${CMAKE_CURRENT_SOURCE_DIR}/scenario/${scenario}.py" $<TARGET_FILE:mqtt_probe>)
    tg_test_limit(scenario_${scenario})
    set_tests_properties(scenario_${scenario} PROPERTIES LABELS "mqtt;scenario"
      ENVIRONMENT "PYTHONDONTWRITEBYTECODE=1")
  endforeach()
endif()
