# The configuration file: typed values, the loader, its checks.
tg_test(test_settings SOURCES unit/test_settings.c LINK tg_base LABELS unit)
tg_test(test_parse SOURCES unit/test_parse.c LINK tg_base LABELS unit)
foreach(part good bad files)
  tg_test(test_config_${part} SOURCES unit/test_config_${part}.c support/config_fixture.c LINK tg_config LABELS unit)
endforeach()
tg_fuzz(fuzz_config SOURCES fuzz/fuzz_config.c support/config_fixture.c LINK tg_config SEEDS config)
