# A fleet: many sessions in one gateway.
if(NOT TG_TESTS)
  return()
endif()
tg_test(test_link_wake SOURCES unit/test_link_wake.c LINK tg_session LABELS unit)
