tg_test(test_histogram SOURCES unit/test_histogram.c LINK tg_base LABELS unit)
tg_test(vector_cloud SOURCES unit/test_vector_cloud.c support/vectors.c LINK tg_cloud PkgConfig::JANSSON LABELS vector)
tg_test(test_format_json SOURCES unit/test_format_json.c LINK tg_cloud LABELS unit)
tg_test(test_filter SOURCES unit/test_filter.c LINK tg_filter LABELS unit)
