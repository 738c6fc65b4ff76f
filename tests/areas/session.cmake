# Sessions and the set that paces them, against a broker in the test.
if(NOT TG_TESTS)
  return()
endif()
add_library(tg_session_help STATIC support/mini_broker.c)
target_include_directories(tg_session_help PUBLIC "${CMAKE_SOURCE_DIR}" "${CMAKE_SOURCE_DIR}/tests")
target_link_libraries(tg_session_help PUBLIC tg_session tg_store_help tg_config PRIVATE tg_flags)
tg_test(test_session SOURCES unit/test_session.c LINK tg_session_help LABELS unit)
tg_test(test_session_set SOURCES unit/test_session_set.c LINK tg_session_help LABELS unit)
