/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * store - the outbox as the loop sees it: an SQLite thread with group commit, and one feed per (cloud, device).
 *
 *   loop: tg_store_append() ─► uncommitted FIFO ─► store thread: transaction ─► committed up to id X
 *                                                                                   │ (wake-up)
 *   loop: rows ≤ X go to the feeds that keep up; a feed that is full, paused or behind reads pages of the
 *         log instead (a shared scanner), until it has caught up.  session: take ─► send ─► ack ─► cursor
 *
 * THREADS   Everything here is called on the loop thread. The store thread owns the only writing connection.
 * MEMORY    Bounded: uncommitted rows by `uncommitted_limit_bytes`; rows in feeds by TG_FEED_MAX_ROWS each and
 *           `prefetch_limit_bytes` for all feeds together; it does not grow with the backlog.
 * OVERFLOW  append says TG_EFULL when the uncommitted FIFO is full: the sample is rejected, the caller counts it [C11].
 *           With drop-oldest and a database that takes nothing, the oldest are dropped instead, except while it is just
 *           being tried again: then TG_EFULL too. A rejected sample has no number.
 * LAZY      Rows stay in memory and go to the feeds at once. One is stored only when some cloud of its device has not
 *           acknowledged it within lazy_window_ms, when memory is short (half of uncommitted_limit_bytes, HELD_ROWS), and
 *           by tg_store_close(). What all clouds acknowledged in time is never written: how far each device got is, once
 *           a minute, and before TG_OUTBOX_LAZY_AHEAD numbers were given beyond it (append says TG_EFULL rather than
 *           overtake that). Accepted is then: stored, or acknowledged by every cloud.
 * GAPS      What a cloud will not get (evicted, quarantined, leaped over) is told to it: while its feed is resumed the store
 *           appends a gap record (core/base/gap.h), a sample of the device like any other, at most one at a time for a feed
 *           and one a minute and resume. While the link is away nothing is appended; ranges unite.
 * TROUBLE   A commit that failed with an unknown outcome reopens the database and appends again what is missing [C3].
 *           Disk full: make room, evict, count [C7]. Read-only or gone: DEGRADED; rows are then delivered from
 *           memory within the bound (they are not accepted in the sense of C1 and a crash loses them), and the
 *           database is tried again with back-off. Each change of state is reported once through on_state.
 */
#ifndef TG_STORE_STORE_H
#define TG_STORE_STORE_H

#include "core/base/bytes.h"
#include "core/net/loop.h"
#include "store/outbox.h"

#define TG_FEED_MAX_ROWS 512

/* In which order a feed gives what has piled up. Rows that came with tg_store_append_urgent() go ahead of the backlog in all of
 * them, in their own order. */
enum tg_drain {
    TG_DRAIN_IN_ORDER = 0, /* strictly by seq */
    TG_DRAIN_FAIR = 1, /* while there is a backlog: it and what comes new by turns, each in its own order */
    TG_DRAIN_NEWEST_FIRST = 2 /* what comes new first */
};

/* One sample in memory: immutable, counted references, shared by all feeds of its device. Loop thread. */
struct tg_row {
    uint32_t refs, device;
    uint64_t id, seq;
    int64_t time_ms;
    uint32_t body_len;
    uint32_t flags;      /* private to the store */
    uint32_t tells;      /* private: the row is a gap record for this cursor, + 1; 0 = it is none */
    bool urgent;         /* it came with tg_store_append_urgent() */
    struct tg_row *next; /* private to the store */
    uint8_t body[];
};
struct tg_row *tg_row_ref(struct tg_row *row);
void tg_row_unref(struct tg_row *row);

enum tg_store_state { TG_STORE_OK = 0, TG_STORE_FULL = 1, TG_STORE_DEGRADED = 2 };

struct tg_store_options {
    struct tg_outbox_options outbox;
    uint32_t commit_interval_ms;    /* a commit waits at most this long for more rows; 0 = never waits */
    uint32_t commit_max_rows;       /* … or until so many wait; default 1000 when 0 */
    size_t uncommitted_limit_bytes; /* default 8 MiB when 0 */
    size_t prefetch_limit_bytes;    /* default 4 MiB when 0 */
    uint32_t
        lazy_window_ms; /* durability lazy: a row is stored when it was not acknowledged for so long; default 5000 when 0 */
    uint32_t
        full_quiet_ms; /* nothing was evicted for so long before a full disk can be over; default 10 s when 0 */
    uint32_t retry_ms; /* about the first wait before a database that failed is tried again, then doubled
                                        up to 15 s; default 500 when 0 */
    /* What was not declared again when tg_store_left() said what is configured, keeps its rows for so long. */
    int64_t keep_removed_ms;
};

struct tg_store_callbacks {
    /* Nothing more is to come of rows with id ≤ committed_id. Each is accepted [C1]: stored, or (lazy) acknowledged by every cloud;
     * but for those that came while the database could not be written: such a row may have been acknowledged by every cloud from
     * memory, or dropped from it at its bound. Those that were dropped are in dropped_memory, and once the database can be
     * written again in the outbox's drops (TG_DROP_DISK_FULL), never among those that are stored. Not called while closing. */
    void (*on_committed)(void *user, uint64_t committed_id);
    void (*on_state)(void *user, enum tg_store_state state, const char *text);
    /* Something that people should read once (samples were given up); may be NULL. */
    void (*on_note)(void *user, const char *text);
};

struct tg_store;
struct tg_feed;

/* Opens the outbox (synchronously) and starts the thread. `ret_set_aside` as tg_outbox_open(). A disk, folder or file that
 * cannot be used now is no error: the store begins DEGRADED, which the first turn of the loop tells, delivers from
 * memory, with the backlog where it can be read, and takes the database over later; devices and feeds can be declared
 * all the while (docs/disk-format.md). Errors: a second writer (TG_EBUSY), a newer schema (TG_EVERSION), memory. */
/* Once, before the process uses SQLite for the first time: sets it up for a gateway. Tests that measure its memory leave it out. */
void tg_store_global_init(void);

/* Opens the outbox (synchronously) and starts the thread. `ret_set_aside` as tg_outbox_open(). */
int tg_store_open(struct tg_loop *loop, const struct tg_store_options *o, const struct tg_store_callbacks *cb,
                  void *user, struct tg_store **ret_store, char ret_set_aside[256],
                  struct tg_error *err) TG_CHECKED;
/* Commits what waits (no transaction begins after `limit_ms`), ends the thread, checkpoints, closes; `closed` then runs
 * on the loop [C12]. An fsync that hangs delays it: a thread inside the kernel cannot be given up; who must end in time
 * waits a little longer than limit_ms and leaves with _exit() (tg_store_stats() still says what is open). What could not be
 * stored is told through on_state. Feeds must be closed before. */
void tg_store_close(struct tg_store *store, uint32_t limit_ms, void (*closed)(void *user), void *user);

/* Declarations: at start and on reload. They wait for the store thread (one small commit). Device handles hold until the
 * store is closed. TG_EBUSY: something new, while a database that was open cannot be written. */
/* Many at once before they are declared one by one: those that are new share one commit (tg_outbox_declare()). */
int tg_store_declare(struct tg_store *store, const struct tg_outbox_declaration *list, uint32_t count,
                     struct tg_error *err) TG_CHECKED;
int tg_store_device(struct tg_store *store, const char *name, uint32_t *ret_device,
                    struct tg_error *err) TG_CHECKED;
/* on_rows: rows were added to the feed; once for all that came with one commit or page. Paused until tg_feed_resume(). */
int tg_feed_open(struct tg_store *store, uint32_t device, const char *cloud, void (*on_rows)(void *user),
                 void *user, struct tg_feed **ret_feed, struct tg_error *err) TG_CHECKED;
void tg_feed_close(struct tg_feed *feed);
/* At the start, after all declarations: what is not configured any more gives up its rows at once; *ret_rows, once for each
 * cloud. */
int tg_store_retire_undeclared(struct tg_store *store, uint64_t *ret_rows, struct tg_error *err) TG_CHECKED;
/* After a reload: these devices and clouds are configured. The rows of others whose feeds are closed are kept for
 * keep_removed_ms, unless they are declared again, and then given up: told through on_note, as now how many there are. */
int tg_store_left(struct tg_store *store, const struct tg_outbox_declaration *configured, uint32_t count,
                  struct tg_error *err) TG_CHECKED;
/* The quota of an open feed, until it is closed; nothing happens when it is the same as before. */
int tg_store_set_quota(struct tg_store *store, uint32_t device, const char *cloud,
                       const struct tg_outbox_quota *quota, struct tg_error *err) TG_CHECKED;
/* Drops what waits (store/outbox.h; before_ms 0 = all) without holding up the loop: `done` runs on it, once, before the store is
 * closed. `rows`: once for each cloud. TG_EBUSY: another one is under way. Names are copied; NULL = all. */
int tg_store_drop(struct tg_store *store, const char *device, const char *cloud, int64_t before_ms,
                  void (*done)(void *user, int rc, const char *text, uint64_t rows), void *user,
                  struct tg_error *err) TG_CHECKED;

/* time_ms: now; wall time, or monotonic time before the first tg_store_clock().
 * Numbers the sample and queues it for the next commit. TG_EFULL: rejected. */
int tg_store_append(struct tg_store *store, uint32_t device, int64_t time_ms, struct tg_bytes body,
                    uint64_t *ret_seq, uint64_t *ret_id) TG_CHECKED;
/* The same for a sample that goes ahead of the backlog. */
int tg_store_append_urgent(struct tg_store *store, uint32_t device, int64_t time_ms, struct tg_bytes body,
                           uint64_t *ret_seq, uint64_t *ret_id) TG_CHECKED;
/* The wall clock is valid: wall time = tg_clock_mono_ms() + offset_ms. To be told again when that changes: what was appended before was
 * stored by the old one. Samples that are stamped since boot get their wall time by it, are then available, and ages are judged by it. */
void tg_store_clock(struct tg_store *store, int64_t offset_ms);
/* Commits without waiting for the interval. */
void tg_store_flush(struct tg_store *store);

/* --- feed: the unsent rows of one device for one cloud ------------------------------------------
 * It offers one of two streams at a time: the backlog, oldest first, where an acknowledgement means everything up to a row; and what
 * goes ahead of it (enum tg_drain), where each row is acknowledged by itself. A message is made of rows of one stream. Which one
 * is offered changes only by the calls below, so what tg_feed_at() showed is what tg_feed_take() takes. */
/* resume: the session is connected, rows are wanted. pause: it is not; rows held in memory are let go and read
 * again later (those taken by the session stay its own). */
void tg_feed_resume(struct tg_feed *feed);
void tg_feed_pause(struct tg_feed *feed);
/* For what comes from now on. At first TG_DRAIN_IN_ORDER. */
void tg_feed_set_drain(struct tg_feed *feed, enum tg_drain drain);
/* How many rows a message holds. An urgent row of a feed that keeps up goes ahead of what waits in memory when that is so many rows or
 * more; when it is fewer, it stays in order: the same message takes it. At first 1. */
void tg_feed_set_batch(struct tg_feed *feed, uint32_t rows);
uint32_t tg_feed_ready(const struct tg_feed *feed); /* rows ready in memory, of both streams */
/* One of them is urgent: it is not to wait for others. */
bool tg_feed_ready_urgent(const struct tg_feed *feed);
/* Rows of the stream that goes ahead, of those; 0 in one comparison when nothing does. */
uint32_t tg_feed_ready_ahead(const struct tg_feed *feed);
/* While set, that stream is offered only when an urgent row is in it or the backlog has none ready: so that a batch may fill. */
void tg_feed_hold_ahead(struct tg_feed *feed, bool hold);
bool tg_feed_offers_ahead(const struct tg_feed *feed);
uint32_t tg_feed_available(const struct tg_feed *feed); /* rows ready of the offered stream */
/* Rows are there and not available: it is not known yet when they were taken. */
bool tg_feed_waits_for_clock(const struct tg_feed *feed);
const struct tg_row *tg_feed_at(const struct tg_feed *feed,
                                uint32_t i); /* i < available; borrowed until take */
/* Takes the n oldest of the offered stream: their references are the caller's now (tg_row_unref each). True: they are of the
 * stream that goes ahead, and are acknowledged by tg_feed_ack_ahead(). */
bool tg_feed_take(struct tg_feed *feed, uint32_t n, struct tg_row **ret_rows);
/* As tg_feed_ack(), or tg_feed_ack_ahead(), of one row that was taken and cannot be sent: it counts as dropped (TG_DROP_QUARANTINE), and the
 * cloud is told. */
void tg_feed_quarantine(struct tg_feed *feed, uint64_t seq, uint64_t id);
void tg_feed_quarantine_ahead(struct tg_feed *feed, struct tg_row *row);
/* Of the backlog: everything up to and including this row that was not taken ahead is acknowledged. */
void tg_feed_ack(struct tg_feed *feed, uint64_t seq, uint64_t id);
/* These rows, which were taken ahead, are acknowledged; in the order in which they were taken. */
void tg_feed_ack_ahead(struct tg_feed *feed, uint32_t n, struct tg_row *const *rows);
/* What was taken and not acknowledged will be offered again (the session forgot its in-flight window). */
void tg_feed_rewind(struct tg_feed *feed);
/* Rows accepted or queued but not acknowledged by this cloud (includes in flight). */
uint64_t tg_feed_pending(const struct tg_feed *feed);
/* The time_ms of the oldest of them, 0 = none: exact within the window in flight; after a restart, until it is read from
 * the log, that of a row at most as old. */
int64_t tg_feed_oldest_ms(const struct tg_feed *feed);
/* Everything up to here is acknowledged; and so many rows above it. */
uint64_t tg_feed_acked_seq(const struct tg_feed *feed);
uint64_t tg_feed_acked_ahead(const struct tg_feed *feed);
/* What its cloud will not get and has not acknowledged to know, as of the last commit. */
struct tg_gap tg_feed_gap(const struct tg_feed *feed);

struct tg_store_stats {
    struct tg_outbox_stats outbox; /* as of the last commit */
    enum tg_store_state state;
    uint64_t appended, committed, rejected, commits, committed_id;
    uint32_t set_aside; /* damaged databases since it was opened, that one included */
    /* uncommitted: what a crash would lose now, at most. */
    uint64_t uncommitted_rows, uncommitted_bytes, prefetched_bytes, pages_read;
    int64_t last_commit_us, worst_commit_us;
    uint64_t
        kept_back; /* rows that were to go ahead of a backlog and went in order, for the bound on such runs */
    uint64_t
        waiting_rows; /* stamped since boot, their wall time is not known yet; those of earlier processes, as far as they were counted */
    uint64_t dropped_memory; /* dropped from memory at its bound while the database could not be written */
    uint64_t spared;         /* acknowledged by every cloud before they were stored: never written */
    uint32_t lazy_window_ms; /* 0: not lazy */
};
void tg_store_stats(const struct tg_store *store, struct tg_store_stats *ret_stats);
uint64_t tg_store_last_seq(const struct tg_store *store, uint32_t device);

#endif
