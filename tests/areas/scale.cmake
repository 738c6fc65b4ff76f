# Many devices, few resources.
tg_test(test_pool SOURCES unit/test_pool.c LINK tg_base LABELS unit)
