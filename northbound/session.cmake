tg_library(tg_session SOURCES identity.c session.c session_receive.c session_send.c session_set.c
  LINK tg_cloud tg_mqtt tg_net tg_store tg_config tg_base PkgConfig::WOLFSSL)
