# Keys and certificates of devices: files, tokens, and what is signed with them.
tg_test(vector_jwt SOURCES unit/test_vector_jwt.c support/vectors.c LINK tg_cloud PkgConfig::JANSSON LABELS unit vector)
tg_test(test_signer SOURCES unit/test_signer.c support/key_files.c LINK tg_cloud LABELS unit)
foreach(name x509_write pkcs12)
  tg_test(test_${name} SOURCES unit/test_${name}.c support/key_files.c LINK tg_keys LABELS unit)
endforeach()
tg_test(test_pkcs11 SOURCES unit/test_pkcs11.c support/key_files.c support/net_client.c support/net_peer.c
  "${CMAKE_SOURCE_DIR}/northbound/identity.c" LINK tg_cloud tg_net LABELS unit threads)
tg_scenario(scenario_identity_commands b0401_identity_commands.py)
tg_test(test_pkcs11_uri SOURCES unit/test_pkcs11_uri.c LINK tg_base LABELS unit)
tg_fuzz(fuzz_pkcs11_uri SOURCES fuzz/fuzz_pkcs11_uri.c LINK tg_base SEEDS pkcs11_uri)
tg_fuzz(fuzz_key_files SOURCES fuzz/fuzz_key_files.c LINK tg_keys SEEDS key_files)
tg_scenario(scenario_token_keys b0402_token_keys.py TIMEOUT 150)
