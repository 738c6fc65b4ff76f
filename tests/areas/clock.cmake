# Time: samples before the clock is set, a clock that is set, ages that do not mind.
tg_test(test_timeline SOURCES unit/test_timeline.c LINK tg_outbox_help LABELS unit)
if(NOT TG_TESTS)
  return()
endif()
tg_scenario(scenario_clock_first b0930_clock_first.py TIMEOUT 200)
tg_scenario(scenario_clock_killed b0931_clock_killed.py TIMEOUT 150)
tg_scenario(scenario_clock_reboot b0932_clock_reboot.py TIMEOUT 150)
tg_scenario(scenario_clock_jumps b0933_clock_jumps.py TIMEOUT 300)
