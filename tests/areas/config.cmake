# The configuration file: typed values, the loader, its checks.
tg_test(test_settings SOURCES unit/test_settings.c LINK tg_base LABELS unit)
tg_test(test_parse SOURCES unit/test_parse.c LINK tg_base LABELS unit)
tg_test(test_config_good SOURCES unit/test_config_good.c support/config_fixture.c LINK tg_config LABELS unit)
