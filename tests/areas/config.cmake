# The configuration file: typed values, the loader, its checks, its schema.
tg_test(test_settings SOURCES unit/test_settings.c LINK tg_base LABELS unit)
tg_test(test_parse SOURCES unit/test_parse.c LINK tg_base LABELS unit)
foreach(part bad files)
  tg_test(test_config_${part} SOURCES unit/test_config_${part}.c support/config_fixture.c LINK tg_config LABELS unit)
endforeach()
# With the real cloud types: the manual has their options.
tg_test(test_config_good SOURCES unit/test_config_good.c support/config_fixture.c LINK tg_config tg_cloud LABELS unit)
tg_fuzz(fuzz_config SOURCES fuzz/fuzz_config.c support/config_fixture.c LINK tg_config SEEDS config)

if(TG_TESTS)
  add_executable(config_schema_print support/config_schema_print.c support/config_fixture.c)
  target_include_directories(config_schema_print PRIVATE "${CMAKE_SOURCE_DIR}/tests")
  target_link_libraries(config_schema_print PRIVATE tg_config tg_flags)
  add_test(NAME test_config_schema COMMAND /usr/bin/python3 -B "${CMAKE_SOURCE_DIR}/tests/config/schema_test.py"
    $<TARGET_FILE:config_schema_print> "${CMAKE_SOURCE_DIR}")
  tg_test_limit(test_config_schema)
  set_tests_properties(test_config_schema PROPERTIES LABELS unit)
endif()
