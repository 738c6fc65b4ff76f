# Which samples go first when there is a backlog.
if(NOT TG_TESTS)
  return()
endif()
tg_test(test_runs SOURCES unit/test_runs.c LINK tg_outbox PkgConfig::CMOCKA LABELS unit)
tg_test(test_drain SOURCES unit/test_drain.c LINK tg_store_help LABELS unit)
tg_test(test_session_drain SOURCES unit/test_session_drain.c LINK tg_session_help LABELS unit)
tg_scenario(scenario_drain b0901_drain.py TIMEOUT 150)
tg_scenario(scenario_drain_killed b0902_drain_killed.py TIMEOUT 150)
