# GATT over ATT: pure cores, vectors, and the whole of connections against servers on socket pairs.
include(Purity)

tg_test(vector_gatt SOURCES unit/vector_gatt.c support/vectors.c LINK tg_gatt PkgConfig::JANSSON m LABELS vector gatt)
tg_purity_test(lint_purity_gatt LIBRARY tg_gatt ALLOW "tg_read_(u8|bytes)" "tg_write_(u8|bytes)" tg_utf8_valid tg_error_set tg_quote)

set(gatt_set ../plugins/ble/gatt_set.c ../plugins/ble/gatt_slots.c ../plugins/ble/gatt_session.c
  ../plugins/ble/gatt_points.c ../plugins/ble/gatt_jobs.c ../plugins/ble/gatt_link.c)
foreach(name gatt_set gatt_commands)
  tg_test(test_${name} SOURCES unit/test_${name}.c support/gatt_rig.c support/att_server.c ${gatt_set}
    LINK tg_gatt tg_base PkgConfig::JANSSON LABELS unit gatt)
endforeach()
tg_test(test_att_client SOURCES unit/test_att_client.c support/att_server.c LINK tg_gatt LABELS unit gatt)
tg_test(test_gatt_plan SOURCES unit/test_gatt_plan.c support/att_server.c LINK tg_gatt LABELS unit gatt)
tg_test(test_gatt_format SOURCES unit/test_gatt_format.c LINK tg_gatt LABELS unit gatt)

tg_fuzz(fuzz_att SOURCES fuzz/fuzz_att.c LINK tg_gatt SEEDS att)

tg_scenario(scenario_ble_gatt_example b0451_ble_gatt_example.py)
tg_scenario(vector_gatt_decode vector_gatt_decode.py)
