# Private keys and what is made with them.
tg_library(tg_keys SOURCES signer.c LINK tg_net tg_base PkgConfig::WOLFSSL)
