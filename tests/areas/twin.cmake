# Desired and reported properties.
if(NOT TG_TESTS)
  return()
endif()
tg_test(test_twin SOURCES unit/test_twin.c support/fake_source.c support/fake_store.c
  "${CMAKE_SOURCE_DIR}/core/gateway/twin.c" "${CMAKE_SOURCE_DIR}/core/gateway/twin_options.c"
  LINK tg_test_parts tg_store tg_config LABELS unit)
