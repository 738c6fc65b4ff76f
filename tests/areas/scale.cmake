# Many devices, few resources.
tg_test(test_pool SOURCES unit/test_pool.c LINK tg_base LABELS unit)
if(NOT TG_TESTS)
  return()
endif()
tg_scenario(scenario_modbus_no_thread b0980_modbus_no_thread.py TIMEOUT 150)
