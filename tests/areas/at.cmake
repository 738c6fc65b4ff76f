add_library(at_test_support STATIC support/at_wire.c)
target_include_directories(at_test_support PUBLIC "${CMAKE_SOURCE_DIR}" "${CMAKE_SOURCE_DIR}/plugins/sdk" "${CMAKE_SOURCE_DIR}/tests")
target_link_libraries(at_test_support PUBLIC tg_at PkgConfig::JANSSON PRIVATE tg_flags)

tg_test(vector_at_transcripts SOURCES unit/test_vector_at_transcripts.c support/vectors.c ../plugins/at/at_points.c
  LINK at_test_support PkgConfig::PCRE2 LABELS unit vector)
tg_test(at_lines SOURCES unit/test_at_lines.c LINK tg_at LABELS unit)
tg_test(at_chat SOURCES unit/test_at_chat.c LINK at_test_support LABELS unit)
tg_test(at_chat_raw SOURCES unit/test_at_chat_raw.c LINK at_test_support LABELS unit)
tg_test(at_baud SOURCES unit/test_at_baud.c LINK tg_at LABELS unit)
tg_test(at_trouble SOURCES unit/test_at_trouble.c ../plugins/at/at_trouble.c ../plugins/at/at_ports.c LINK tg_base LABELS unit)
tg_test(at_script SOURCES unit/test_at_script.c LINK tg_at LABELS unit)
tg_test(at_points SOURCES unit/test_at_points.c ../plugins/at/at_points.c ../plugins/at/at_write.c ../plugins/at/at_decode.c
  ../plugins/at/at_text.c ../plugins/at/at_scripts.c ../plugins/at/at_options.c
  LINK tg_at PkgConfig::PCRE2 PkgConfig::JANSSON LABELS unit)

include(Purity)
tg_purity_test(lint_purity_at LIBRARY tg_at ALLOW strchr tg_utf8_valid tg_assert_failed)

# The real plugin on a pty, with a modem that behaves and one that lies.
if(TG_TESTS)
  add_executable(at_probe support/at_probe.c)
  target_include_directories(at_probe PRIVATE "${CMAKE_SOURCE_DIR}" "${CMAKE_SOURCE_DIR}/plugins/sdk")
  target_link_libraries(at_probe PRIVATE tg_base PkgConfig::JANSSON ${CMAKE_DL_LIBS} tg_flags)
  add_library(modem_lines SHARED support/modem_lines.c)
  target_link_libraries(modem_lines PRIVATE ${CMAKE_DL_LIBS} tg_flags)
  # 5,000 exchanges in ctest, 100,000 in ./dev bench.
  add_executable(bench_at bench/bench_at.c)
  target_include_directories(bench_at PRIVATE "${CMAKE_SOURCE_DIR}" "${CMAKE_SOURCE_DIR}/plugins/sdk")
  target_compile_definitions(bench_at PRIVATE AT_PLUGIN="$<TARGET_FILE:plugin_at>")
  target_link_libraries(bench_at PRIVATE tg_base PkgConfig::JANSSON util ${CMAKE_DL_LIBS} tg_flags)
  add_dependencies(bench_at plugin_at)
  add_test(NAME at_exchanges COMMAND bench_at 5000)
  add_test(NAME at_exchanges_late COMMAND bench_at 5000 late)
  tg_test_limit(at_exchanges)
  tg_test_limit(at_exchanges_late)
  set_tests_properties(at_exchanges at_exchanges_late PROPERTIES LABELS "unit")
  foreach(scenario b0201_at_modem b0202_at_liar b0203_at_unplugged b0204_at_manual
      b0831_at_script b0832_at_baud b0833_at_bad_input b0834_at_discover b0835_at_profile b0836_at_last_resorts)
    add_test(NAME scenario_${scenario}
      COMMAND /usr/bin/python3 -B "${CMAKE_SOURCE_DIR}/tests/scenario/${scenario}.py")
    tg_test_limit(scenario_${scenario})
    set_tests_properties(scenario_${scenario} PROPERTIES LABELS "scenario"
      ENVIRONMENT "TIDEGATE_SOURCE=${CMAKE_SOURCE_DIR};TIDEGATE_BUILD=${CMAKE_BINARY_DIR}")
  endforeach()
endif()

tg_fuzz(fuzz_at_lines SOURCES fuzz/fuzz_at_lines.c LINK tg_at SEEDS at_lines)
tg_fuzz(fuzz_at_chat SOURCES fuzz/fuzz_at_chat.c LINK tg_at SEEDS at_chat)
