# GATT over ATT: pure (no I/O, clock, allocation or logging); tests/areas/gatt.cmake checks the symbols.
tg_library(tg_gatt SOURCES ble/att_pdu.c ble/att_client.c ble/gatt_plan.c ble/gatt_format.c ble/gatt_format_parse.c ble/gatt_known.c LINK tg_base)
