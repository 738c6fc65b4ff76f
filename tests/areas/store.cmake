add_executable(bench_store bench/bench_store.c)
target_link_libraries(bench_store PRIVATE tg_store tg_flags)

tg_test(test_feed_model SOURCES unit/test_feed_model.c LINK tg_store tg_outbox_help LABELS unit)

add_library(tg_store_help STATIC support/gate_vfs.c)
target_include_directories(tg_store_help PUBLIC "${CMAKE_SOURCE_DIR}" "${CMAKE_SOURCE_DIR}/tests")
target_link_libraries(tg_store_help PUBLIC tg_store tg_outbox_help PRIVATE tg_flags)

tg_test(test_store SOURCES unit/test_store.c LINK tg_store_help LABELS unit threads)
tg_test(test_store_faults SOURCES fault/test_store_faults.c LINK tg_store_help LABELS fault)
if(TG_TESTS)
  set_tests_properties(test_store_faults PROPERTIES SKIP_RETURN_CODE 77)
endif()
tg_test(test_store_kill SOURCES crash/test_store_kill.c LINK tg_store_help LABELS crash)
