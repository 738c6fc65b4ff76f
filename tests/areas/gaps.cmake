# What is given up, by whom, and that everybody hears of it.
tg_test(test_gap SOURCES unit/test_gap.c LINK tg_base LABELS unit)
tg_test(test_outbox_quota SOURCES unit/test_outbox_quota.c LINK tg_outbox_help LABELS unit)
