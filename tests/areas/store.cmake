add_executable(bench_store bench/bench_store.c)
target_link_libraries(bench_store PRIVATE tg_store tg_flags)
