# Azure IoT Hub and its provisioning service: what they say, without a connection.
foreach(part twin methods dps)
  tg_test(test_azure_${part} SOURCES unit/test_azure_${part}.c LINK tg_test_parts LABELS unit)
endforeach()
tg_test(vector_azure_talk SOURCES unit/test_vector_azure_talk.c support/vectors.c LINK tg_test_parts LABELS vector)
tg_fuzz(fuzz_azure_talk SOURCES fuzz/fuzz_azure_talk.c LINK tg_test_parts SEEDS azure_talk)
if(TG_TESTS)
  tg_scenario(scenario_azure_examples b0320_azure_examples.py)
endif()
