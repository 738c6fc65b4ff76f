# AWS IoT Core: the profile, its messages, and requests for certificates.
if(NOT TG_TESTS AND NOT TG_FUZZ)
  return()
endif()
if(TG_TESTS)
  tg_require(OPENSSL openssl libssl-dev)
  tg_test(test_csr SOURCES unit/test_csr.c LINK tg_cloud PkgConfig::OPENSSL LABELS unit)
endif()
