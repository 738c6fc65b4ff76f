# Loop, streams, TLS. Nothing here is a fuzz target.
if(NOT TG_TESTS)
  return()
endif()

set(net_support support/net_client.c support/net_peer.c)

tg_test(test_loop SOURCES unit/test_loop.c LINK tg_net LABELS net)
tg_test(test_stream SOURCES unit/test_stream.c ${net_support} LINK tg_net LABELS net)
tg_test(test_stream_connect SOURCES unit/test_stream_connect.c ${net_support} LINK tg_net LABELS net)
tg_test(test_tls_certificate SOURCES unit/test_tls_certificate.c LINK tg_net LABELS net)
tg_test(test_tls_memory SOURCES unit/test_tls_memory.c LINK tg_net LABELS net)
tg_test(test_tls_stream SOURCES unit/test_tls_stream.c ${net_support} LINK tg_net LABELS net)
tg_test(test_tls_credential SOURCES unit/test_tls_credential.c ${net_support} LINK tg_net LABELS net)
tg_test(test_tls_no_memory SOURCES fault/test_tls_no_memory.c ${net_support} LINK tg_net LABELS net fault)

# Programs that are no cmocka tests.
foreach(program IN ITEMS support/tls_probe.c bench/bench_tls_memory.c)
  get_filename_component(name ${program} NAME_WE)
  add_executable(${name} ${program} support/net_peer.c)
  target_include_directories(${name} PRIVATE "${CMAKE_SOURCE_DIR}" "${CMAKE_SOURCE_DIR}/plugins/sdk" "${CMAKE_SOURCE_DIR}/tests")
  target_link_libraries(${name} PRIVATE tg_net tg_flags)
endforeach()

# Makes its chains with openssl(1), serves them with Python's ssl module, and asks tls_probe.
find_program(TG_OPENSSL openssl REQUIRED)
add_test(NAME tls_chain_matrix
  COMMAND /usr/bin/python3 "${CMAKE_CURRENT_SOURCE_DIR}/peers/tls_matrix.py" $<TARGET_FILE:tls_probe>)
tg_test_limit(tls_chain_matrix)
set_tests_properties(tls_chain_matrix PROPERTIES LABELS "net")
