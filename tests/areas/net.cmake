add_executable(tls_probe support/tls_probe.c)
target_include_directories(tls_probe PRIVATE "${CMAKE_SOURCE_DIR}" "${CMAKE_SOURCE_DIR}/plugins/sdk")
target_link_libraries(tls_probe PRIVATE tg_net tg_flags)
