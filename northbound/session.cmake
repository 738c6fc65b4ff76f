tg_library(tg_data_plan SOURCES wire_meter.c delay_plan.c)
tg_library(tg_session SOURCES
  identity.c transport.c session.c session_set.c day_meter.c
  link.c link_kinds.c link_login.c link_mqtt.c link_send.c link_feed.c link_gap.c link_window.c link_talk.c link_answer.c link_wake.c link_assign.c
  link_expiry.c link_uplink.c link_clock.c link_wait.c link_way.c link_reach.c
  link_delay.c link_wire.c set_plan.c
  module/module_link.c
  pubsub/pubsub_link.c pubsub/pubsub_login.c
  LINK tg_data_plan tg_reach tg_pubsub tg_cloud tg_mqtt tg_net tg_store tg_config tg_base PkgConfig::WOLFSSL PkgConfig::JANSSON)
