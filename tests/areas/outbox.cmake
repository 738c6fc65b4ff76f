# The sample's stored form.
tg_test(test_sample SOURCES unit/test_sample.c LINK tg_base LABELS unit)
tg_fuzz(fuzz_stored_row SOURCES fuzz/fuzz_stored_row.c LINK tg_base SEEDS stored_row)

if(TG_TESTS)
  add_library(tg_outbox_help STATIC support/outbox_help.c support/crash_vfs.c support/fault_vfs.c)
  target_include_directories(tg_outbox_help PUBLIC "${CMAKE_SOURCE_DIR}/tests")
  target_link_libraries(tg_outbox_help PUBLIC tg_outbox tg_proof PkgConfig::CMOCKA PRIVATE tg_flags)
endif()

tg_test(test_outbox SOURCES unit/test_outbox.c LINK tg_outbox_help LABELS unit)
tg_test(test_outbox_limits SOURCES unit/test_outbox_limits.c LINK tg_outbox_help LABELS unit)
tg_test(test_outbox_model SOURCES unit/test_outbox_model.c support/outbox_model.c LINK tg_outbox_help LABELS unit)
tg_test(test_outbox_damage SOURCES unit/test_outbox_damage.c LINK tg_outbox_help LABELS unit)
tg_test(test_outbox_faults SOURCES fault/test_outbox_faults.c LINK tg_outbox_help LABELS fault TIMEOUT 300)
tg_test(test_outbox_disk_full SOURCES fault/test_outbox_disk_full.c LINK tg_store tg_outbox_help LABELS fault TIMEOUT 300)
if(TG_TESTS)
  set_tests_properties(test_outbox_disk_full PROPERTIES SKIP_RETURN_CODE 77)
endif()
tg_test(test_outbox_power_loss SOURCES crash/test_outbox_power_loss.c LINK tg_outbox_help LABELS crash)
tg_test(test_outbox_kill SOURCES crash/test_outbox_kill.c LINK tg_outbox_help LABELS crash)

add_executable(bench_outbox bench/bench_outbox.c)
target_link_libraries(bench_outbox PRIVATE tg_outbox tg_flags)
