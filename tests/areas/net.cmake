add_executable(tls_probe support/tls_probe.c)
target_include_directories(tls_probe PRIVATE "${CMAKE_SOURCE_DIR}" "${CMAKE_SOURCE_DIR}/plugins/sdk")
target_link_libraries(tls_probe PRIVATE tg_net tg_flags)

# What the product's bench runner starts; not a test.
add_executable(bench_tls_memory bench/bench_tls_memory.c support/net_peer.c)
target_include_directories(bench_tls_memory PRIVATE "${CMAKE_SOURCE_DIR}" "${CMAKE_SOURCE_DIR}/plugins/sdk" "${CMAKE_SOURCE_DIR}/tests")
target_link_libraries(bench_tls_memory PRIVATE tg_net tg_flags)

tg_test(test_loop SOURCES unit/test_loop.c LINK tg_net LABELS net)
tg_test(test_tls_certificate SOURCES unit/test_tls_certificate.c LINK tg_net LABELS net)
tg_test(test_tls_memory SOURCES unit/test_tls_memory.c LINK tg_net LABELS net)
tg_test(test_stream SOURCES unit/test_stream.c support/net_client.c support/net_peer.c LINK tg_net LABELS net)
tg_test(test_tls_stream SOURCES unit/test_tls_stream.c support/net_client.c support/net_peer.c LINK tg_net LABELS net)
tg_test(test_tls_no_memory SOURCES fault/test_tls_no_memory.c support/net_client.c support/net_peer.c LINK tg_net LABELS net fault)

# Generates its chains with openssl(1), serves them with Python's ssl, and asks tls_probe.
find_program(TG_OPENSSL openssl REQUIRED)
add_test(NAME tls_chain_matrix
  COMMAND /usr/bin/python3 "${CMAKE_CURRENT_SOURCE_DIR}/peers/tls_matrix.py" $<TARGET_FILE:tls_probe>)
set_tests_properties(tls_chain_matrix PROPERTIES TIMEOUT 60 LABELS "net")
