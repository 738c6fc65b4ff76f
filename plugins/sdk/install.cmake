# What is installed for people who write plugins: the header, a CMake package and a pkg-config file. Both files find the header and the
# plugins' folder from where they lie themselves, so the tree may be installed with --prefix or DESTDIR, or moved.
include(CMakePackageConfigHelpers)

# The package's version is the API's, then the product's: find_package(tidegate-plugin 1) takes any tidegate with API 1, 1.0.3 asks for
# tidegate 0.3 or a later one.
file(STRINGS "${CMAKE_CURRENT_LIST_DIR}/tidegate/plugin.h" line REGEX "^#define TG_PLUGIN_API_VERSION +[0-9]+$")
string(REGEX MATCH "[0-9]+$" TG_PLUGIN_API_VERSION "${line}")
set(TG_PLUGIN_PACKAGE_VERSION "${TG_PLUGIN_API_VERSION}.${PROJECT_VERSION}")

set(TG_PLUGIN_DIR "${CMAKE_INSTALL_LIBDIR}/tidegate")
set(package_dir "${CMAKE_INSTALL_LIBDIR}/cmake/tidegate-plugin")
set(pc_dir "${CMAKE_INSTALL_LIBDIR}/pkgconfig")

configure_package_config_file("${CMAKE_CURRENT_LIST_DIR}/cmake/tidegate-plugin-config.cmake.in"
  "${CMAKE_CURRENT_BINARY_DIR}/tidegate-plugin-config.cmake" INSTALL_DESTINATION "${package_dir}"
  PATH_VARS TG_PLUGIN_DIR CMAKE_INSTALL_BINDIR CMAKE_INSTALL_INCLUDEDIR NO_SET_AND_CHECK_MACRO NO_CHECK_REQUIRED_COMPONENTS_MACRO)
write_basic_package_version_file("${CMAKE_CURRENT_BINARY_DIR}/tidegate-plugin-config-version.cmake"
  VERSION "${TG_PLUGIN_PACKAGE_VERSION}" COMPATIBILITY SameMajorVersion ARCH_INDEPENDENT)

file(RELATIVE_PATH TG_PC_PREFIX "${CMAKE_INSTALL_FULL_LIBDIR}/pkgconfig" "${CMAKE_INSTALL_PREFIX}")
string(REGEX REPLACE "/$" "" TG_PC_PREFIX "${TG_PC_PREFIX}")
file(RELATIVE_PATH TG_PC_INCLUDEDIR "${CMAKE_INSTALL_PREFIX}" "${CMAKE_INSTALL_FULL_INCLUDEDIR}")
file(RELATIVE_PATH TG_PC_PLUGINDIR "${CMAKE_INSTALL_PREFIX}" "${CMAKE_INSTALL_FULL_LIBDIR}/tidegate")
configure_file("${CMAKE_CURRENT_LIST_DIR}/cmake/tidegate-plugin.pc.in" "${CMAKE_CURRENT_BINARY_DIR}/tidegate-plugin.pc" @ONLY)

install(FILES "${CMAKE_CURRENT_LIST_DIR}/tidegate/plugin.h" DESTINATION "${CMAKE_INSTALL_INCLUDEDIR}/tidegate" COMPONENT plugin-sdk)
install(FILES "${CMAKE_CURRENT_BINARY_DIR}/tidegate-plugin-config.cmake" "${CMAKE_CURRENT_BINARY_DIR}/tidegate-plugin-config-version.cmake"
  DESTINATION "${package_dir}" COMPONENT plugin-sdk)
install(FILES "${CMAKE_CURRENT_BINARY_DIR}/tidegate-plugin.pc" DESTINATION "${pc_dir}" COMPONENT plugin-sdk)
