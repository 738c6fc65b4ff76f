# tg_fixture_plugin(NAME [DEFINITIONS …]): support/plugins/fixture.c as tests/fixtures/NAME.so of the build, wrong in the way that the
# definitions say.
include_guard(GLOBAL)

function(tg_fixture_plugin name)
  add_library(fixture_${name} MODULE "${CMAKE_SOURCE_DIR}/tests/support/plugins/fixture.c")
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
