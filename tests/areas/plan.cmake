# What the wire and the flash cost.
if(NOT TG_TESTS)
  return()
endif()
tg_test(test_wire_meter SOURCES unit/test_wire_meter.c LINK tg_data_plan tg_base LABELS unit)
tg_test(test_delay_plan SOURCES unit/test_delay_plan.c LINK tg_data_plan LABELS unit)
tg_test(test_session_budget SOURCES unit/test_session_budget.c LINK tg_session_help LABELS unit)
tg_scenario(scenario_data_plan b0985_data_plan.py)
tg_scenario(scenario_data_plan_wire b0986_data_plan_wire.py)
