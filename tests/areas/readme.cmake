add_test(NAME lint_readme COMMAND /usr/bin/python3 -B "${CMAKE_SOURCE_DIR}/tests/lint/readme.py" "${CMAKE_SOURCE_DIR}" "${CMAKE_BINARY_DIR}")
set_tests_properties(lint_readme PROPERTIES TIMEOUT 60 LABELS "lint")
add_test(NAME lint_manual COMMAND /usr/bin/python3 -B "${CMAKE_SOURCE_DIR}/tests/lint/manual.py" "${CMAKE_SOURCE_DIR}")
set_tests_properties(lint_manual PROPERTIES TIMEOUT 60 LABELS "lint")
