# Fixture plugins, each wrong in one way, and one from an "older header" that ends before `decode`.
function(tg_fixture_plugin name)
  add_library(fixture_${name} MODULE support/plugins/fixture.c)
  target_include_directories(fixture_${name} PRIVATE "${CMAKE_SOURCE_DIR}/plugins/sdk")
  set(definitions ${ARGN})
  if(NOT "${ARGN}" MATCHES "FIXTURE_NAME")
    list(APPEND definitions "FIXTURE_NAME=\"${name}\"")
  endif()
  target_compile_definitions(fixture_${name} PRIVATE ${definitions})
  target_link_libraries(fixture_${name} PRIVATE tg_flags)
  set_target_properties(fixture_${name} PROPERTIES PREFIX "" OUTPUT_NAME ${name}
    LIBRARY_OUTPUT_DIRECTORY "${CMAKE_BINARY_DIR}/tests/fixtures")
endfunction()
tg_fixture_plugin(good)
tg_fixture_plugin(older "FIXTURE_SIZE=offsetof(struct tg_plugin, write)")
tg_fixture_plugin(stunted "FIXTURE_SIZE=16")
tg_fixture_plugin(nextabi "FIXTURE_API=2")
tg_fixture_plugin(nosymbol FIXTURE_NO_SYMBOL=1)
tg_fixture_plugin(misnamed "FIXTURE_NAME=\"other\"")

tg_test(test_plugin_loader SOURCES unit/test_plugin_loader.c LINK tg_plugins LABELS unit
  ENV "TG_FIXTURES=${CMAKE_BINARY_DIR}/tests/fixtures")
add_dependencies(test_plugin_loader fixture_good fixture_older fixture_stunted fixture_nextabi fixture_nosymbol fixture_misnamed)
