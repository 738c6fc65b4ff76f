tg_test(test_sunspec SOURCES unit/test_sunspec.c LINK tg_modbus LABELS unit modbus)
tg_fuzz(fuzz_sunspec SOURCES fuzz/fuzz_sunspec.c LINK tg_modbus SEEDS sunspec)
