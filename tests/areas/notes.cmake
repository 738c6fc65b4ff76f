# The notes that survive a restart.
tg_test(test_notes SOURCES unit/test_notes.c support/notes_help.c LINK tg_store_help LABELS unit)
tg_test(test_notes_damage SOURCES unit/test_notes_damage.c support/notes_help.c LINK tg_store_help LABELS unit)
tg_test(test_notes_kill SOURCES crash/test_notes_kill.c LINK tg_store_help LABELS crash)
