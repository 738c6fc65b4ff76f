# The store as an operator meets it: checkpoints that hold nobody, a full disk, and what `tidegate outbox` answers.
tg_test(test_outbox_checkpoint SOURCES unit/test_outbox_checkpoint.c LINK tg_outbox_help LABELS unit)
tg_test(test_outbox_boot SOURCES unit/test_outbox_boot.c LINK tg_outbox_help LABELS unit)
tg_test(test_outbox_sync SOURCES unit/test_outbox_sync.c LINK tg_outbox_help LABELS unit)
tg_test(test_store_damage SOURCES unit/test_store_damage.c LINK tg_store_help LABELS unit threads)
if(TG_TESTS)
  tg_scenario(scenario_outbox_answers b0997_outbox_answers.py TIMEOUT 150)
endif()
