# Pub/Sub over HTTPS.
tg_test(vector_pubsub SOURCES unit/test_vector_pubsub.c support/vectors.c LINK tg_pubsub LABELS vector)
tg_test(test_pubsub_core SOURCES unit/test_pubsub_core.c LINK tg_pubsub LABELS unit)
tg_test(test_pubsub SOURCES unit/test_pubsub.c support/host_model.c support/vectors.c LINK tg_pubsub LABELS unit)
tg_fuzz(fuzz_pubsub_reply SOURCES fuzz/fuzz_pubsub_reply.c LINK tg_pubsub SEEDS pubsub_reply)
tg_fuzz(fuzz_pubsub_key SOURCES fuzz/fuzz_pubsub_key.c LINK tg_pubsub SEEDS pubsub_key)
tg_scenario(scenario_pubsub b0401_pubsub.py)
tg_scenario(scenario_pubsub_faults b0402_pubsub_faults.py TIMEOUT 180)
tg_scenario(scenario_pubsub_exchange b0403_pubsub_exchange.py)
