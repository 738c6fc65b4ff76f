# AWS IoT Core: the profile, its messages, and requests for certificates.
if(TG_TESTS)
  tg_require(OPENSSL openssl libssl-dev)
endif()
tg_test(test_csr_key SOURCES unit/test_csr_key.c LINK tg_keys PkgConfig::OPENSSL LABELS unit)
foreach(part iot shadow jobs fleet)
  tg_test(test_aws_${part} SOURCES unit/test_aws_${part}.c LINK tg_test_parts tg_cloud PkgConfig::JANSSON LABELS unit)
endforeach()
