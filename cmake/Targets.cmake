# One static library per directory; links are explicit, so that an arrow that turns back fails to link.

# tg_library(NAME SOURCES… [LINK …]): a static library with this project's flags.
function(tg_library name)
  cmake_parse_arguments(A "" "" "SOURCES;LINK" ${ARGN})
  add_library(${name} STATIC ${A_SOURCES})
  target_include_directories(${name} PUBLIC "${CMAKE_SOURCE_DIR}" "${CMAKE_SOURCE_DIR}/plugins/sdk")
  target_link_libraries(${name} PUBLIC ${A_LINK} PRIVATE tg_flags)
endfunction()

# tg_plugin(NAME SOURCES… [LINK …]): a loadable plugin NAME.so that exports one symbol.
function(tg_plugin name)
  cmake_parse_arguments(A "" "" "SOURCES;LINK" ${ARGN})
  add_library(plugin_${name} MODULE ${A_SOURCES})
  set_target_properties(plugin_${name} PROPERTIES PREFIX "" OUTPUT_NAME ${name}
    LIBRARY_OUTPUT_DIRECTORY "${CMAKE_BINARY_DIR}/plugins")
  target_include_directories(plugin_${name} PRIVATE "${CMAKE_SOURCE_DIR}" "${CMAKE_SOURCE_DIR}/plugins/sdk")
  target_link_libraries(plugin_${name} PRIVATE ${A_LINK} tg_flags)
  target_link_options(plugin_${name} PRIVATE -Wl,--exclude-libs,ALL)
  install(TARGETS plugin_${name} LIBRARY DESTINATION ${CMAKE_INSTALL_LIBDIR}/tidegate)
endfunction()

# A test's limit ends what hangs; it does not judge speed, for on a busy machine a test may get a fiftieth of it. What a test states counts
# when it is longer.
set(TG_TEST_LIMIT_S 600)
function(tg_test_limit name)
  if(NOT "${ARGN}" GREATER TG_TEST_LIMIT_S)
    set(ARGN ${TG_TEST_LIMIT_S})
  endif()
  set_tests_properties(${name} PROPERTIES TIMEOUT ${ARGN})
endfunction()

# What runs under ThreadSanitizer: tests with the label threads, and nothing else is built for it.
if(TG_TESTS)
  add_custom_target(thread_tests)
endif()

# tg_test(NAME SOURCES… [LINK …] [LABELS …] [TIMEOUT s] [ENV K=V…]): a cmocka program run by ctest.
# Without TG_TESTS (the fuzzing build) there are none.
function(tg_test name)
  if(NOT TG_TESTS)
    return()
  endif()
  cmake_parse_arguments(A "" "TIMEOUT" "SOURCES;LINK;LABELS;ENV" ${ARGN})
  add_executable(${name} ${A_SOURCES})
  target_include_directories(${name} PRIVATE "${CMAKE_SOURCE_DIR}" "${CMAKE_SOURCE_DIR}/plugins/sdk" "${CMAKE_SOURCE_DIR}/tests")
  target_link_libraries(${name} PRIVATE ${A_LINK} PkgConfig::CMOCKA tg_flags)
  add_test(NAME ${name} COMMAND ${name})
  tg_test_limit(${name} ${A_TIMEOUT})
  if("threads" IN_LIST A_LABELS)
    add_dependencies(thread_tests ${name})
  endif()
  set_tests_properties(${name} PROPERTIES LABELS "${A_LABELS}"
    ENVIRONMENT "TIDEGATE_SOURCE=${CMAKE_SOURCE_DIR};TIDEGATE_BUILD=${CMAKE_BINARY_DIR};${A_ENV}")
endfunction()

# tg_fuzz(NAME SOURCE… [LINK …] SEEDS dir): a libFuzzer target under TG_FUZZ; otherwise the same
# function linked with a replay main that ctest runs over every committed seed.
function(tg_fuzz name)
  cmake_parse_arguments(A "" "SEEDS" "SOURCES;LINK" ${ARGN})
  add_executable(${name} ${A_SOURCES})
  target_include_directories(${name} PRIVATE "${CMAKE_SOURCE_DIR}" "${CMAKE_SOURCE_DIR}/plugins/sdk" "${CMAKE_SOURCE_DIR}/tests")
  target_link_libraries(${name} PRIVATE ${A_LINK} tg_flags)
  if(TG_FUZZ)
    target_compile_options(${name} PRIVATE -fsanitize=fuzzer)
    target_link_options(${name} PRIVATE -fsanitize=fuzzer)
  else()
    target_sources(${name} PRIVATE "${CMAKE_SOURCE_DIR}/tests/support/fuzz_replay.c")
    add_test(NAME ${name}_replay COMMAND ${name} "${CMAKE_SOURCE_DIR}/tests/fuzz/seeds/${A_SEEDS}")
    tg_test_limit(${name}_replay)
    set_tests_properties(${name}_replay PROPERTIES LABELS "fuzz")
  endif()
endfunction()

# tg_scenario(NAME FILE [ARGUMENTS …] [TIMEOUT s]): a Python scenario of tests/scenario, against the programs of this build.
function(tg_scenario name file)
  cmake_parse_arguments(A "" "TIMEOUT" "ARGUMENTS" ${ARGN})
  add_test(NAME ${name} COMMAND /usr/bin/python3 -B "${CMAKE_SOURCE_DIR}/tests/scenario/${file}" ${A_ARGUMENTS})
  tg_test_limit(${name} ${A_TIMEOUT})
  set_tests_properties(${name} PROPERTIES LABELS "scenario"
    ENVIRONMENT "TIDEGATE_SOURCE=${CMAKE_SOURCE_DIR};TIDEGATE_BUILD=${CMAKE_BINARY_DIR}")
endfunction()
