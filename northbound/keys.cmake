# Private keys and what is made with them.
tg_library(tg_keys SOURCES signer.c key_make.c pkcs12.c x509_write.c csr.c csr_key.c LINK tg_net tg_base PkgConfig::WOLFSSL)
