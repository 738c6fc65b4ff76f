# When and how the store writes: durability lazy, checkpoints, a store that cannot be used, what is written.
if(NOT TG_TESTS)
  return()
endif()
add_executable(bench_commit bench/bench_commit.c)
target_link_libraries(bench_commit PRIVATE tg_store tg_flags)

tg_test(test_store_lazy SOURCES unit/test_store_lazy.c LINK tg_store_help LABELS unit threads)
tg_test(test_store_lazy_model SOURCES crash/test_store_lazy_model.c LINK tg_store_help tg_proof LABELS crash threads)
tg_scenario(scenario_hung_disk b0911_hung_disk.py TIMEOUT 150)
tg_test(test_store_start SOURCES unit/test_store_start.c LINK tg_store_help LABELS unit threads)
tg_scenario(scenario_bad_start b0910_bad_start.py TIMEOUT 240)
tg_scenario(scenario_lazy b0912_lazy.py TIMEOUT 240)
