# The test guest: one boot of a stock Debian kernel runs every check of tests/guest/checks; each has a test of its own that says how it went.
if(NOT TG_TESTS)
  return()
endif()
add_executable(vhci_controller guest/vhci_controller.c guest/vhci_air.c guest/vhci_peripheral.c)
target_include_directories(vhci_controller PRIVATE "${CMAKE_SOURCE_DIR}/tests")
target_link_libraries(vhci_controller PRIVATE tg_flags)

set(guest_command /usr/bin/python3 -B "${CMAKE_CURRENT_SOURCE_DIR}/guest/boot.py")
set(guest_environment "TIDEGATE_SOURCE=${CMAKE_SOURCE_DIR};TIDEGATE_BUILD=${CMAKE_BINARY_DIR}")
add_test(NAME guest_boot COMMAND ${guest_command})
set_tests_properties(guest_boot PROPERTIES FIXTURES_SETUP guest TIMEOUT 900 LABELS "scenario;guest" SKIP_RETURN_CODE 77
  ENVIRONMENT "${guest_environment}")
file(GLOB checks CONFIGURE_DEPENDS RELATIVE "${CMAKE_CURRENT_SOURCE_DIR}/guest/checks" "${CMAKE_CURRENT_SOURCE_DIR}/guest/checks/*")
foreach(check IN LISTS checks)
  if(check MATCHES "\\.|__pycache__")
    continue()
  endif()
  string(REGEX REPLACE "^guest_" "" what "${check}")
  add_test(NAME guest_${what} COMMAND ${guest_command} --result ${check})
  set_tests_properties(guest_${what} PROPERTIES FIXTURES_REQUIRED guest TIMEOUT 30 LABELS "scenario;guest" SKIP_RETURN_CODE 77
    ENVIRONMENT "${guest_environment}")
endforeach()
