# Many devices, few resources.
tg_test(test_pool SOURCES unit/test_pool.c LINK tg_base LABELS unit)
tg_test(test_modbus_fiber SOURCES unit/test_modbus_fiber.c "${CMAKE_SOURCE_DIR}/plugins/modbus/modbus_fiber.c"
  "${CMAKE_SOURCE_DIR}/plugins/modbus/modbus_wait.c" LINK tg_base LABELS unit modbus threads)
if(NOT TG_TESTS)
  return()
endif()
tg_scenario(scenario_modbus_no_thread b0980_modbus_no_thread.py TIMEOUT 150)
