# Pure: no I/O, clock, allocation or logging; tests/areas/modbus.cmake checks the symbols.
tg_library(tg_modbus SOURCES
  modbus_frame.c modbus_points.c real32.c modbus_values.c modbus_identity.c modbus_plan.c modbus_bus.c poll_plan.c sunspec.c
  LINK tg_base)
