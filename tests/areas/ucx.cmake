tg_test(vector_edm_frames SOURCES unit/test_vector_edm_frames.c support/vectors.c LINK tg_ucx PkgConfig::JANSSON LABELS unit vector)
tg_test(vector_ucx_transcript SOURCES unit/test_vector_ucx_transcript.c support/ucx_stage.c support/vectors.c
  LINK tg_ucx PkgConfig::JANSSON LABELS unit vector)
tg_test(edm_frame SOURCES unit/test_edm_frame.c LINK tg_ucx LABELS unit)
tg_test(ucx_mqtt SOURCES unit/test_ucx_mqtt.c LINK tg_ucx LABELS unit)
tg_test(ucx_provision SOURCES unit/test_ucx_provision.c support/ucx_stage.c LINK tg_ucx LABELS unit)

include(Purity)
tg_purity_test(lint_purity_ucx LIBRARY tg_ucx
  ALLOW "tg_(read|write|writer)_.*" "tg_at_.*" tg_assert_failed memmem strstr strchr strrchr strpbrk strspn strcspn "_*explicit_bzero.*")

tg_fuzz(fuzz_edm SOURCES fuzz/fuzz_edm.c LINK tg_ucx SEEDS edm)
tg_fuzz(fuzz_ucx_link SOURCES fuzz/fuzz_ucx_link.c support/ucx_stage.c LINK tg_ucx SEEDS ucx_link)

tg_scenario(scenario_ucx_transcript b0851_ucx_transcript.py)
tg_scenario(scenario_ucx_azure b0852_ucx_azure.py TIMEOUT 180)
tg_scenario(scenario_ucx_brokers b0853_ucx_brokers.py TIMEOUT 120)
tg_scenario(scenario_ucx_faults b0854_ucx_faults.py TIMEOUT 240)
tg_scenario(scenario_ucx_source b0855_ucx_source.py TIMEOUT 180)
tg_scenario(scenario_ucx_manual b0856_ucx_manual.py)
