# tg_purity_test(NAME LIBRARY target [ALLOW regex…]): a test that the static library calls nothing but the
# C library's memory and string functions and what ALLOW names (whole symbols, regular expressions).
# A sanitizer adds symbols of its own, so there the test does not exist: purity is a matter of the source.
include_guard(GLOBAL)

function(tg_purity_test name)
  cmake_parse_arguments(A "" "LIBRARY" "ALLOW" ${ARGN})
  if(TG_SANITIZE)
    return()
  endif()
  string(REPLACE ";" " " allow "${A_ALLOW}")
  add_test(NAME ${name} COMMAND "${CMAKE_COMMAND}" "-DNM=${CMAKE_NM}" "-DLIBRARY=$<TARGET_FILE:${A_LIBRARY}>"
    "-DALLOW=${allow}" -P "${CMAKE_SOURCE_DIR}/tests/lint/purity.cmake")
  tg_test_limit(${name})
  set_tests_properties(${name} PROPERTIES LABELS "lint")
endfunction()
