tg_test(test_sunspec SOURCES unit/test_sunspec.c LINK tg_modbus LABELS unit modbus)
