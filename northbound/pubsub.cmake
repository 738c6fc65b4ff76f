# Pub/Sub over HTTPS: requests, answers, tokens and the connection's state machine. The type itself stands with the others in tg_cloud.
tg_library(tg_pubsub SOURCES pubsub/pubsub_core.c pubsub/pubsub_reply.c pubsub/pubsub_token.c
  LINK tg_cloud tg_http tg_keys tg_base PkgConfig::JANSSON)
