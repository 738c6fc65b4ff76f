# core/base: what everything else stands on.
foreach(module allocator backoff bytes clock error mailbox)
  tg_test(test_${module} SOURCES unit/test_${module}.c LINK tg_base LABELS unit base)
endforeach()
# The flood limit of the log runs on a clock of the test's.
tg_test(test_log SOURCES unit/test_log.c LINK tg_base PkgConfig::JANSSON LABELS unit base)
if(TARGET test_log)
  target_link_options(test_log PRIVATE -Wl,--wrap=tg_clock_mono_ms)
endif()

# The tree as a whole: which room may know which, and how long files and functions get.
foreach(lint layers size)
  add_test(NAME lint_${lint} COMMAND /usr/bin/python3 -B "${CMAKE_SOURCE_DIR}/tests/lint/${lint}.py" "${CMAKE_SOURCE_DIR}")
  tg_test_limit(lint_${lint})
  set_tests_properties(lint_${lint} PROPERTIES LABELS "lint")
endforeach()
