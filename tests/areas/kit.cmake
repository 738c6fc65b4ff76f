# The kit for people who write plugins: the ABI across versions, who may have written a plugin, the installed SDK, `plugin new`, `plugin
# test`, the example outside of the tree.
if(TG_TESTS)
  include("${CMAKE_CURRENT_LIST_DIR}/../support/fixture_plugin.cmake")
  tg_fixture_plugin(lastabi "FIXTURE_API=0")
  tg_fixture_plugin(later FIXTURE_LATER=1)
  tg_fixture_plugin(silent FIXTURE_NULL=1)
  tg_fixture_plugin(endless FIXTURE_OPTIONS=FIXTURE_ENDLESS)
  tg_fixture_plugin(untyped "FIXTURE_OPTIONS={.name = \"when\", .type = 11}, {0}")
  tg_fixture_plugin(choiceless "FIXTURE_OPTIONS={.name = \"which\", .type = TG_OPTION_ENUM}, {0}")
  # Against the header of the first day, and nothing else of this tree.
  add_library(fixture_elder MODULE sdk/old/elder.c)
  target_include_directories(fixture_elder PRIVATE sdk/old)
  set_target_properties(fixture_elder PROPERTIES PREFIX "" OUTPUT_NAME elder LIBRARY_OUTPUT_DIRECTORY "${CMAKE_BINARY_DIR}/tests/fixtures")
  foreach(age old now)
    add_library(tg_layout_${age} OBJECT sdk/layout.c)
    target_compile_definitions(tg_layout_${age} PRIVATE LAYOUT=tg_layout_${age})
  endforeach()
  target_include_directories(tg_layout_old PRIVATE sdk/old)
  target_include_directories(tg_layout_now PRIVATE "${CMAKE_SOURCE_DIR}/plugins/sdk")

  foreach(name abi trust)
    tg_test(test_plugin_${name} SOURCES unit/test_plugin_${name}.c support/plugin_place.c LINK tg_plugins LABELS unit
      ENV "TG_FIXTURES=${CMAKE_BINARY_DIR}/tests/fixtures")
  endforeach()
  target_link_libraries(test_plugin_abi PRIVATE tg_layout_old tg_layout_now)
  add_dependencies(test_plugin_trust fixture_good)
  add_dependencies(test_plugin_abi fixture_elder fixture_later fixture_nextabi fixture_lastabi fixture_silent fixture_endless
    fixture_untyped fixture_choiceless)
endif()

tg_fuzz(fuzz_thermometer SOURCES fuzz/fuzz_thermometer.c "${CMAKE_SOURCE_DIR}/plugins/examples/thermometer/reply.c" LINK tg_base
  SEEDS thermometer)
if(TG_TESTS)
  foreach(scenario b0801_plugin_sdk b0802_plugin_new b0803_plugin_test b0804_thermometer b0805_plugin_ages)
    string(REGEX REPLACE "^b[0-9]+_" "" what ${scenario})
    tg_scenario(scenario_${what} ${scenario}.py TIMEOUT 150)
  endforeach()
endif()
