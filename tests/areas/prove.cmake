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
tg_test_limit(lint_proof)
set_tests_properties(lint_proof PROPERTIES LABELS "lint" ENVIRONMENT "TIDEGATE_SOURCE=${CMAKE_SOURCE_DIR};TIDEGATE_BUILD=${CMAKE_BINARY_DIR}")

find_path(MOSQUITTO_INCLUDE mosquitto_plugin.h REQUIRED)
add_library(ledger MODULE peers/ledger.c peers/broker_plugin.c peers/hub_record.c)
set_target_properties(ledger PROPERTIES PREFIX "" LIBRARY_OUTPUT_DIRECTORY "${CMAKE_BINARY_DIR}/peers")
target_include_directories(ledger PRIVATE "${CMAKE_SOURCE_DIR}" "${MOSQUITTO_INCLUDE}")
target_compile_definitions(ledger PRIVATE _GNU_SOURCE)
target_compile_options(ledger PRIVATE -O2 -Wall -Wextra -Wconversion -Wshadow $<$<BOOL:${TG_WERROR}>:-Werror>)
target_link_libraries(ledger PRIVATE PkgConfig::OPENSSL)
tg_scenario(scenario_kill_loop b0970_kill_loop.py TIMEOUT 150)
tg_scenario(scenario_damaged_store b0971_damaged_store.py TIMEOUT 150)

# One power cut of the whole gateway; not beside the three guests of the checks.
add_test(NAME guest_power_cut COMMAND /usr/bin/python3 -B "${CMAKE_CURRENT_SOURCE_DIR}/guest/power.py")
set_tests_properties(guest_power_cut PROPERTIES TIMEOUT 900 LABELS "scenario;guest" SKIP_RETURN_CODE 77 RESOURCE_LOCK guest
  ENVIRONMENT "TIDEGATE_SOURCE=${CMAKE_SOURCE_DIR};TIDEGATE_BUILD=${CMAKE_BINARY_DIR}")
