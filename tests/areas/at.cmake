add_library(at_test_support STATIC support/at_wire.c)
target_include_directories(at_test_support PUBLIC "${CMAKE_SOURCE_DIR}" "${CMAKE_SOURCE_DIR}/plugins/sdk" "${CMAKE_SOURCE_DIR}/tests")
target_link_libraries(at_test_support PUBLIC tg_at PkgConfig::JANSSON PRIVATE tg_flags)

tg_test(vector_at_transcripts SOURCES unit/test_vector_at_transcripts.c support/vectors.c ../plugins/at/at_points.c
  LINK at_test_support PkgConfig::PCRE2 LABELS unit vector)
