tg_library(tg_store SOURCES
  row.c feed.c feed_scan.c feed_gap.c store_gap.c store_left.c store_thread.c store_commit.c store_news.c store_declare.c store_clock.c store_read.c store_gone.c store_lazy.c store_bound.c store_full.c store_start.c store.c store_calls.c notes.c notes_table.c notes_file.c store_process.c feed_lane.c feed_ring.c
  LINK tg_outbox tg_net tg_base PkgConfig::UV)
