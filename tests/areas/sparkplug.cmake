# Sparkplug B: the payload, the profile, and hosts of other origin.
tg_test(vector_sparkplug SOURCES unit/test_vector_sparkplug.c support/vectors.c LINK tg_cloud PkgConfig::JANSSON LABELS vector)
tg_test(test_mqtt_template SOURCES unit/test_mqtt_template.c LINK tg_cloud LABELS unit)
tg_test(test_sparkplug_payload SOURCES unit/test_sparkplug_payload.c LINK tg_cloud LABELS unit)
tg_test(test_sparkplug SOURCES unit/test_sparkplug.c LINK tg_test_parts tg_config LABELS unit)
tg_fuzz(fuzz_sparkplug SOURCES fuzz/fuzz_sparkplug.c LINK tg_test_parts SEEDS sparkplug)
