tg_library(tg_outbox SOURCES
  schema.c outbox_files.c outbox_open.c outbox_load.c outbox_sqlite.c outbox_log.c outbox_evict.c outbox_stats.c outbox_verify.c outbox_continue.c outbox_quota.c outbox_drop.c outbox_clock.c outbox_age.c timeline.c outbox_lazy.c outbox_look.c written.c pass_file.c outbox_ahead.c runs.c backlog_file.c outbox_export.c outbox_import.c
  LINK tg_base PkgConfig::SQLITE PkgConfig::WOLFSSL)
