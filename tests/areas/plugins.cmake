# Fixture plugins, each wrong in one way, and one from an "older header" that ends before `decode`.
if(NOT TG_TESTS)
  return()
endif()
include("${CMAKE_CURRENT_LIST_DIR}/../support/fixture_plugin.cmake")
tg_fixture_plugin(good)
tg_fixture_plugin(older "FIXTURE_SIZE=offsetof(struct tg_plugin, write)")
tg_fixture_plugin(stunted "FIXTURE_SIZE=16")
tg_fixture_plugin(nextabi "FIXTURE_API=2")
tg_fixture_plugin(nosymbol FIXTURE_NO_SYMBOL=1)
tg_fixture_plugin(misnamed "FIXTURE_NAME=\"other\"")

tg_test(test_plugin_loader SOURCES unit/test_plugin_loader.c support/plugin_place.c LINK tg_plugins LABELS unit
  ENV "TG_FIXTURES=${CMAKE_BINARY_DIR}/tests/fixtures")
if(TARGET test_plugin_loader)
  add_dependencies(test_plugin_loader fixture_good fixture_older fixture_stunted fixture_nextabi fixture_nosymbol fixture_misnamed)
endif()
