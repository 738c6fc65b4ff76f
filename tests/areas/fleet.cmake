# A fleet: many sessions in one gateway.
if(NOT TG_TESTS)
  return()
endif()
tg_test(test_link_wake SOURCES unit/test_link_wake.c LINK tg_session LABELS unit)
tg_scenario(scenario_fleet_outage  b0120_fleet_outage.py TIMEOUT 240)
tg_scenario(scenario_fleet_renewal b0121_fleet_renewal.py TIMEOUT 240)
