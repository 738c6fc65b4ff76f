# What happens at the limits: memory, descriptors, disk, a disk that hangs; and the invariant over random lives.
if(NOT TG_TESTS)
  return()
endif()
tg_test(test_store_lives SOURCES crash/test_store_lives.c crash/lives_model.c LINK tg_store_help tg_proof LABELS crash)
tg_scenario(scenario_descriptors b0990_descriptors.py TIMEOUT 150)
tg_test(test_store_pulse SOURCES fault/test_store_pulse.c LINK tg_gateway tg_store_help LABELS fault)
tg_scenario(scenario_memory b0991_memory.py TIMEOUT 150)
