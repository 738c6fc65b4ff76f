add_library(at_test_support STATIC support/at_wire.c)
target_include_directories(at_test_support PUBLIC "${CMAKE_SOURCE_DIR}" "${CMAKE_SOURCE_DIR}/plugins/sdk" "${CMAKE_SOURCE_DIR}/tests")
target_link_libraries(at_test_support PUBLIC tg_at PkgConfig::JANSSON PRIVATE tg_flags)

tg_test(vector_at_transcripts SOURCES unit/test_vector_at_transcripts.c support/vectors.c ../plugins/at/at_points.c
  LINK at_test_support PkgConfig::PCRE2 LABELS unit vector)
tg_test(at_lines SOURCES unit/test_at_lines.c LINK tg_at LABELS unit)
tg_test(at_chat SOURCES unit/test_at_chat.c LINK at_test_support LABELS unit)
tg_test(at_script SOURCES unit/test_at_script.c LINK tg_at LABELS unit)
tg_test(at_points SOURCES unit/test_at_points.c ../plugins/at/at_points.c ../plugins/at/at_write.c ../plugins/at/at_decode.c
  ../plugins/at/at_text.c ../plugins/at/at_scripts.c ../plugins/at/at_options.c
  LINK tg_at PkgConfig::PCRE2 PkgConfig::JANSSON LABELS unit)

include(Purity)
tg_purity_test(lint_purity_at LIBRARY tg_at ALLOW strchr tg_utf8_valid tg_assert_failed)
