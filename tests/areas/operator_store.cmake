# The store as an operator meets it: checkpoints that hold nobody, a full disk, and what `tidegate outbox` answers.
tg_test(test_outbox_checkpoint SOURCES unit/test_outbox_checkpoint.c LINK tg_outbox_help LABELS unit)
