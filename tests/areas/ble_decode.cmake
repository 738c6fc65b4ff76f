# Bluetooth advertisements: pure decoders, vectors, the key functions of wolfCrypt, `tidegate decode ble`.
include(Purity)

set(ble_crypto "${CMAKE_SOURCE_DIR}/plugins/ble/ble_crypto.c")
foreach(name atc_pvvx beacons bthome govee hci_events mibeacon ruuvi)
  tg_test(vector_ble_${name} SOURCES unit/vector_ble_${name}.c support/ble_vectors.c support/vectors.c ${ble_crypto}
    LINK tg_ble PkgConfig::JANSSON PkgConfig::WOLFSSL LABELS vector ble)
endforeach()
foreach(name ble_advert ble_guard hci_fragments mgmt_events)
  tg_test(test_${name} SOURCES unit/test_${name}.c ${ble_crypto} LINK tg_ble PkgConfig::WOLFSSL LABELS unit ble)
endforeach()
tg_test(test_ble_formats SOURCES unit/test_ble_formats.c support/ble_vectors.c support/vectors.c ${ble_crypto}
  LINK tg_ble PkgConfig::JANSSON PkgConfig::WOLFSSL LABELS unit ble)
tg_test(test_ble_decode_cmd SOURCES unit/test_ble_decode_cmd.c support/vectors.c ${ble_crypto}
  "${CMAKE_SOURCE_DIR}/plugins/ble/ble_decode_cmd.c" "${CMAKE_SOURCE_DIR}/plugins/ble/gatt_decode_cmd.c"
  LINK tg_ble tg_gatt tg_base PkgConfig::JANSSON PkgConfig::WOLFSSL LABELS unit ble)

tg_purity_test(lint_purity_ble LIBRARY tg_ble
  ALLOW "tg_read_(u8|bytes)" "tg_write_(u8|str|u64_dec)" tg_utf8_valid "(__)?explicit_bzero(_chk)?")

tg_fuzz(fuzz_ble_advert SOURCES fuzz/fuzz_ble_advert.c ${ble_crypto} LINK tg_ble PkgConfig::WOLFSSL SEEDS ble_advert)
tg_fuzz(fuzz_ble_hci SOURCES fuzz/fuzz_ble_hci.c LINK tg_ble SEEDS ble_hci)
