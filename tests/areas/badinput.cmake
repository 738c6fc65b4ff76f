# Bad input, one group a file: what each cloud, network, clock and person can do wrong. docs/testing-clouds.md says which test shows what.
tg_test(test_json_document SOURCES unit/test_json_document.c LINK tg_test_parts tg_cloud PkgConfig::JANSSON LABELS unit)
if(NOT TG_TESTS)
  return()
endif()
add_library(scenario_burden MODULE support/plugins/burden.c)
target_include_directories(scenario_burden PRIVATE "${CMAKE_SOURCE_DIR}/plugins/sdk")
target_link_libraries(scenario_burden PRIVATE tg_flags)
set_target_properties(scenario_burden PROPERTIES PREFIX "" OUTPUT_NAME burden
  LIBRARY_OUTPUT_DIRECTORY "${CMAKE_BINARY_DIR}/tests/fixtures")
foreach(scenario b0701_bad_credentials b0702_bad_clock b0703_bad_provisioning b0704_bad_messages b0705_bad_twin b0706_bad_sizes)
  string(REGEX REPLACE "^b[0-9]+_" "" what ${scenario})
  tg_scenario(scenario_${what} ${scenario}.py TIMEOUT 150)
endforeach()
