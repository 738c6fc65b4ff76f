# What the proofs add to the suite (tests/prove): their helper, the tests that are short forms of proofs, and the page's lint.
if(NOT TG_TESTS)
  return()
endif()
add_library(tg_proof STATIC support/proof.c)
target_include_directories(tg_proof PUBLIC "${CMAKE_SOURCE_DIR}/tests")
target_link_libraries(tg_proof PRIVATE tg_flags)

tg_test(test_store_power_loss SOURCES crash/test_store_power_loss.c LINK tg_store_help LABELS crash)
tg_test(test_migration_power_loss SOURCES crash/test_migration_power_loss.c LINK tg_outbox_help LABELS crash)

add_test(NAME lint_proof COMMAND /usr/bin/python3 -B "${CMAKE_SOURCE_DIR}/tests/prove/prove.py" --check)
set_tests_properties(lint_proof PROPERTIES TIMEOUT 60 LABELS "lint" ENVIRONMENT "TIDEGATE_SOURCE=${CMAKE_SOURCE_DIR};TIDEGATE_BUILD=${CMAKE_BINARY_DIR}")
