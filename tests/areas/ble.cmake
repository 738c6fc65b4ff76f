# The Bluetooth source; its decoders are in ble_decode.cmake, what needs an adapter is in tests/guest/checks.
set(ble "${CMAKE_SOURCE_DIR}/plugins/ble")
set(ble_gatt_sources "${ble}/gatt_set.c" "${ble}/gatt_slots.c" "${ble}/gatt_session.c" "${ble}/gatt_points.c" "${ble}/gatt_jobs.c"
  "${ble}/gatt_link.c")
tg_test(test_ble_device SOURCES unit/test_ble_device.c "${ble}/ble_device.c" "${ble}/ble_points.c" "${ble}/ble_options.c"
  "${ble}/ble_strangers.c" "${ble}/ble_crypto.c" "${ble}/ble_keys.c" ${ble_gatt_sources}
  LINK tg_ble tg_gatt tg_base PkgConfig::BLUEZ PkgConfig::WOLFSSL PkgConfig::JANSSON LABELS unit ble)
tg_test(test_ble_profiles SOURCES unit/test_ble_profiles.c "${ble}/ble_options.c" ${ble_gatt_sources} support/fake_host.c support/fake_host_wait.c support/vectors.c
  LINK tg_ble tg_gatt tg_base PkgConfig::BLUEZ PkgConfig::JANSSON ${CMAKE_DL_LIBS} LABELS unit ble)
if(TG_TESTS)
  add_dependencies(test_ble_profiles plugin_ble)
endif()
if(TG_TESTS)
  tg_scenario(scenario_ble_example b0231_ble_example.py TIMEOUT 120)
endif()
