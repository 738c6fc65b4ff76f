# Pure: no I/O, clock, allocation or logging; tests/areas/ble_decode.cmake checks the symbols. real32.c is tg_modbus's as well.
tg_library(tg_ble SOURCES
  ble/ble_advert.c ble/ble_readings.c ble/ble_decode.c ble/bthome.c ble/bthome_objects.c ble/ruuvi.c ble/mibeacon.c
  ble/atc_pvvx.c ble/govee.c ble/eddystone.c ble/ibeacon.c ble/hci_events.c ble/mgmt_events.c real32.c
  LINK tg_base)
