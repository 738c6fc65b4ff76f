/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * store_thread - the thread that owns the outbox: group commit, pages for the feeds, trouble and recovery.
 * Private to the store.
 *
 *     loop: put, ack, flush, ask for a page, call ──► [ lock ] ──► thread: transaction, read, reopen
 *     loop: collect the news ◄── one wake-up ◄── [ lock ] ◄──
 *
 * ROWS   stay in the loop's list; the thread borrows a run of it, [first, first + count), and only ever reads
 * them. The loop lets rows go when they are reported committed, or, while the thread is not inside a
 * transaction, between tg_store_thread_borrow() and tg_store_thread_return().
 *
 * COMMIT   when the first waiting row is commit_interval_ms old, commit_max_rows wait, or flush() was called.
 * Acks go with the next rows, or alone after ACK_WAIT_MS. Everything that waits goes into one transaction, up
 * to BATCH_ROWS.
 *
 * STATES   what the thread does after a failed transaction:
 *   OK        ── no space: make room, again once. Done ► FULL (storing). Else ► FULL (from memory)
 *             ── anything else: close, reopen, append again what is above last_id, once [C3]. Else ► DEGRADED
 *   FULL      storing: full_quiet_ms without a full disk, and there is room ► OK. From memory: again with back-off, and after acks
 *   DEGRADED  reopens with back-off; done ► OK
 */
#ifndef TG_STORE_STORE_THREAD_H
#define TG_STORE_STORE_THREAD_H

#include <pthread.h>

#include "core/base/backoff.h"
#include "store/feed.h"
#include "store/timeline.h"

/* What a page may take: its share of bytes, and one row that goes over. */
#define TG_PAGE_LIMIT_BYTES (512 * 1024)

/* The outbox's number → our index; UINT32_MAX = not declared. */
struct tg_thread_index {
    uint32_t *at, cap;
};

struct tg_thread_device {
    char *name;
    uint32_t number;   /* the outbox's; may change when a database is set aside */
    uint64_t last_seq; /* committed */
    uint64_t now_seq;  /* in the transaction of this number: … */
    uint64_t round;
};

/* Numbers that were given to samples which left memory without being stored, per device: runs in rising order. The
 * newest numbers are in the last one, so what does not fit is merged there; the counts stay exact. */
enum tg_gone_kind {
    TG_GONE_PASSED, /* every cloud has acknowledged them */
    TG_GONE_LOST,   /* dropped at the bound of memory */
    TG_GONE_NEVER,  /* left out: nobody was given them */
    TG_GONE_MIXED   /* `lost` of them dropped, the others acknowledged */
};
#define TG_GONE_RUNS 4
struct tg_gone {
    struct tg_gone_run {
        uint64_t upto, lost;
        enum tg_gone_kind kind;
    } runs[TG_GONE_RUNS];
    uint32_t count;
};

struct tg_thread_cursor {
    uint32_t device; /* index into devices */
    char *cloud;
    uint32_t number;     /* the outbox's */
    bool declared, todo; /* todo: seq, id and ahead are to be stored */
    bool
        held; /* its feed goes back to what could not be read before: no acknowledgement counts until it has */
    bool reads;           /* its feed began with what is stored, though it could not be written */
    uint64_t seq, id;     /* acknowledged */
    struct tg_runs ahead; /* … above seq; from the loop, as of its last acknowledgement */
    uint64_t told_seq;    /* the loop knows of evictions up to here */
    struct tg_gap told_gap;
    uint64_t told_tell;   /* … and that this record tells of the gap */
    struct tg_gap lost;   /* to be stored: numbers that will not arrive */
    uint64_t quarantined; /* of these, rows that are stored */
    uint64_t lose_round;  /* the transaction that they are in */
    struct tg_outbox_quota quota;
    bool retired;
    int64_t left_at_ms; /* it is not configured any more, since then; 0 = it is, or nobody has said */
};

/* Where a cursor is, on its way from one thread to the other. */
struct tg_thread_slot {
    uint64_t seq, id;
    struct tg_runs ahead; /* to the thread; keeps its memory */
    struct tg_gap gap;    /* to the thread: what is lost; to the loop: what the cloud is to be told */
    uint64_t quarantined; /* to the thread: of `gap` */
    uint64_t tell_seq;    /* to the loop */
    bool moved;           /* to the loop: seq and id are new */
    bool set;
    bool closed;  /* to the thread: its feed is gone */
    bool retired; /* to the loop: nobody waits here any more */
    bool back;    /* from the thread: there is something older to be delivered; ask where (TG_CALL_BACK) */
};

enum tg_thread_call_kind {
    TG_CALL_DECLARE,
    TG_CALL_DEVICE,
    TG_CALL_CURSOR,
    TG_CALL_RETIRE,
    TG_CALL_LEFT,
    TG_CALL_QUOTA,
    TG_CALL_BACK
};

/* Where a cursor stands. */
struct tg_thread_place {
    struct tg_feed_start start;  /* `ahead` and `holes` are not set, … */
    struct tg_runs ahead, holes; /* … but these, the caller's to free */
    uint64_t stored_seq;         /* `holes` has those of the device up to here */
};

struct tg_thread_call {
    enum tg_thread_call_kind kind;
    const char *name;
    const struct tg_outbox_declaration *list; /* in: for declare, … */
    uint32_t count;
    uint32_t device;              /* in: for a cursor */
    uint32_t cursor;              /* in: for back, its index */
    uint32_t slot;                /* out: index of the device; in, for a quota: of the cursor */
    struct tg_outbox_quota quota; /* in */
    uint64_t rows;                /* out: given up */
    uint64_t last_seq;            /* out: of the device */
    uint64_t urgent_high;         /* out: of the device */
    struct tg_thread_place place; /* out: of the cursor */
    int rc;
    struct tg_error *err;
};

enum tg_page_state { TG_PAGE_IDLE, TG_PAGE_ASKED, TG_PAGE_READING, TG_PAGE_READY };

/* A row of a page; its body follows, padded to 8 bytes. */
struct tg_page_row {
    uint64_t id, seq;
    int64_t time_ms;
    uint32_t device, body_len;
};

/* The wall clock, as the loop last said: tg_outbox_clock(). */
struct tg_thread_clock {
    bool known, todo;
    int64_t offset_ms, at_ms; /* at_ms: not before */
    uint64_t upto_id;
};

struct tg_thread_news {
    uint64_t committed_id, commits, pages_read;
    uint64_t marked_id;    /* of every device the disk knows all numbers that were given up to this id */
    uint64_t waiting_rows; /* when it was opened: of boots that have no time yet */
    int64_t last_commit_us, worst_commit_us;
    struct tg_outbox_stats outbox;
    bool from_memory; /* rows cannot be stored now */
    bool readable;    /* pages can be read */
    enum tg_store_state state;
    uint32_t state_serial;    /* rises with each report */
    uint32_t timeline_serial; /* rises with each change of the timeline */
    char state_text[512];
    char aside_text[1024]; /* about lost_id */
    uint64_t lost_id;      /* the log up to here was set aside; 0 = no (once) */
    bool moved;            /* see `moves` (once) */
    bool page_ready;
    uint64_t page_through; /* 0 = it could not be read */
    char note[400];        /* for people (once); "" = none */
    bool drop_done;        /* a drop has ended (once) */
    int drop_rc;
    uint64_t drop_rows;
    char drop_text[300];
    bool stopped;
};

/* What an operator wants dropped. */
struct tg_thread_drop {
    bool asked;
    char device[TG_NAME_MAX_BYTES + 1], cloud[TG_NAME_MAX_BYTES + 1]; /* "" = all */
    int64_t before_ms;
};

struct tg_store_thread {
    pthread_t thread;
    pthread_mutex_t lock;
    pthread_cond_t work, answered;
    void (*wake)(void *user);
    void *wake_user;
    struct tg_store_options o;
    char *dir;

    /* --- under the lock --- */
    struct tg_row *first; /* rows waiting; the list is the loop's */
    uint64_t count;
    int64_t first_at_ms, ack_at_ms;
    uint64_t given_id; /* of the newest row */
    bool flush, in_transaction, stopping;
    int64_t stop_at_ms;
    struct tg_thread_slot *acks, *moves; /* by cursor */
    struct tg_gone *gone;                /* by device */
    bool any_gone, mark_now;             /* there is something to write of them; at once */
    uint64_t settled_id;                 /* rows up to here are stored or gone */
    int64_t mark_at_ms;                  /* when they are written at the latest */
    uint32_t *ack_queue, ack_count, slot_cap, gone_cap;
    struct tg_thread_call *call;
    struct tg_thread_drop drop;
    struct tg_thread_clock clock;
    struct tg_timeline timeline; /* as stored */
    enum tg_page_state page_state;
    const struct tg_scan *scan;
    struct tg_thread_news news;
    bool told; /* a wake-up is under way */

    /* --- the thread's own (before it starts: the opener's) --- */
    struct tg_outbox *ob; /* NULL while it cannot be opened */
    /* It could not be used at the start, and not since: */
    bool waiting, retire_later;
    struct tg_outbox *reader; /* it can be read, at least */
    bool look_again;          /* the reader was closed for the time of an open */
    uint64_t high_seq, later,
        waiting_id; /* outbox.high; numbers begin so much above; id of nobody: rows are above */
    struct tg_thread_device *devices;
    struct tg_thread_cursor *cursors;
    uint32_t device_count, device_cap, cursor_count, cursor_cap;
    struct tg_thread_index device_of_number, cursor_of_number;
    uint32_t *todo, todo_count, todo_cap; /* cursors to be stored */
    struct tg_buffer page;
    struct tg_backoff backoff;
    bool trouble; /* the last transaction failed: nothing before retry_at_ms */
    int said;     /* the code that trouble was last told with */
    bool failed_stopping, page_turn;
    bool beyond;     /* rows may have been delivered that are not stored; marked on the disk */
    bool fresh;      /* the database is new and has to take our numbers over */
    char aside[280]; /* where the old one lies, and why; "" = told */
    int64_t retry_at_ms, opened_at_ms, full_until_ms, care_at_ms, stats_at_ms;
    uint64_t round;          /* transactions begun */
    uint64_t written_before; /* bytes, by the handles that were closed */
    uint64_t gap_seen;       /* the outbox's serial of gaps, likewise */
    bool told_gaps;          /* the last transaction stored a gap record */
    uint64_t dropped_seen;   /* sum of the outbox's drop counters when the loop was last told */
    uint64_t last_id;        /* highest id that is stored */
};

/* Opens the outbox and starts. The options' strings are copied. */
int tg_store_thread_start(struct tg_store_thread *t, const struct tg_store_options *o,
                          void (*wake)(void *user), void *wake_user, char ret_set_aside[256],
                          struct tg_error *err) TG_CHECKED;
/* The last transaction (until limit_ms are over), then the end, which the news tell: then join. */
void tg_store_thread_stop(struct tg_store_thread *t, uint32_t limit_ms);
void tg_store_thread_join(struct tg_store_thread *t);

/* --- called on the loop --------------------------------------------------------------------------- */

/* The row is already at the end of the loop's list. */
void tg_store_thread_put(struct tg_store_thread *t, struct tg_row *row);
void tg_store_thread_flush(struct tg_store_thread *t);
/* Between borrow and return, or gone_begin and gone_end: this sample leaves memory and will never be stored. A row that the
 * thread was given before may have a lower number only when every cloud has acknowledged it. */
void tg_store_thread_gone(struct tg_store_thread *t, const struct tg_row *row, enum tg_gone_kind kind);
/* Some of them are not known to the outbox yet. */
bool tg_store_thread_has_gone(struct tg_store_thread *t, uint32_t device);
void tg_store_thread_gone_begin(struct tg_store_thread *t);
/* settled_id: all rows up to here are stored or gone. */
void tg_store_thread_gone_end(struct tg_store_thread *t, uint64_t settled_id);
/* What is gone is written now, not within a minute. */
void tg_store_thread_mark(struct tg_store_thread *t);
/* Many at once under one lock: begin, ack or closed…, end. */
void tg_store_thread_ack_begin(struct tg_store_thread *t);
/* `ahead` (NULL = none) is copied. */
void tg_store_thread_ack(struct tg_store_thread *t, uint32_t cursor, uint64_t seq, uint64_t id,
                         const struct tg_runs *ahead);
/* … after ack: of what is acknowledged, or passed, this is lost. */
void tg_store_thread_lose(struct tg_store_thread *t, uint32_t cursor, const struct tg_gap *gap,
                          uint64_t quarantined);
/* The news tell how it ended. None is under way. */
void tg_store_thread_drop(struct tg_store_thread *t, const char *device, const char *cloud,
                          int64_t before_ms);
void tg_store_thread_closed(struct tg_store_thread *t, uint32_t cursor); /* the feed is gone */
void tg_store_thread_ack_end(struct tg_store_thread *t);
/* The scan must stay until the page was taken. */
void tg_store_thread_ask(struct tg_store_thread *t, const struct tg_scan *scan);
/* The wall clock is valid: tg_outbox_clock(). */
void tg_store_thread_clock(struct tg_store_thread *t, int64_t offset_ms, uint64_t upto_id);
void tg_store_thread_timeline(struct tg_store_thread *t, struct tg_timeline *ret_timeline);
/* After the rows of a ready page were used. */
void tg_store_thread_page_done(struct tg_store_thread *t);
/* Waits for the thread. */
int tg_store_thread_call(struct tg_store_thread *t, struct tg_thread_call *call) TG_CHECKED;
/* The loop may change its list of waiting rows, which begins with `first`, until return, which says where it
 * begins then. False: the thread is inside a transaction, or has stored rows that the loop does not know of
 * yet; nothing is borrowed. */
bool tg_store_thread_borrow(struct tg_store_thread *t, const struct tg_row *first) TG_CHECKED;
void tg_store_thread_return(struct tg_store_thread *t, struct tg_row *first, uint64_t count);
/* What happened since. `moves` (may be NULL) is called for each cursor that evictions have moved. */
void tg_store_thread_collect(struct tg_store_thread *t, struct tg_thread_news *ret_news,
                             void (*move)(void *user, uint32_t cursor, const struct tg_thread_slot *to),
                             void *user);

/* --- store_commit.c, on the thread ------------------------------------------------------------------ */

/* One transaction with what waits; handles trouble. */
void tg_store_thread_commit(struct tg_store_thread *t);
/* How far the cursor is, and what went ahead, into the present transaction. */
int tg_store_thread_write_cursor(struct tg_store_thread *t, const struct tg_thread_cursor *c,
                                 struct tg_error *err) TG_CHECKED;
/* What the loop acknowledged becomes the thread's to store. The lock is held. */
void tg_store_thread_take_acks(struct tg_store_thread *t);
/* Limits and age. */
void tg_store_thread_care(struct tg_store_thread *t);
/* Closes the outbox after an error, opens it again, declares everything again. */
int tg_store_thread_reopen(struct tg_store_thread *t, struct tg_error *err) TG_CHECKED;
/* After the first open: takes the numbers over. */
int tg_store_thread_opened(struct tg_store_thread *t, struct tg_error *err) TG_CHECKED;

/* An outbox that failed is finished. Without the lock. */
void tg_store_thread_close_broken(struct tg_store_thread *t);
/* Keeps the disk's mark as it must be; without the lock. */
void tg_store_thread_mark_beyond(struct tg_store_thread *t, bool beyond);
/* Acknowledgements that wait are stored, without the lock. */
int tg_store_thread_write_acks(struct tg_store_thread *t, struct tg_error *err) TG_CHECKED;

/* --- store_news.c, on the thread; the lock is held -------------------------------------------------------- */

/* Tells the loop how much there is, and which cursors were moved. */
void tg_store_thread_publish(struct tg_store_thread *t, const struct tg_outbox_stats *stats);
/* After a transaction that came to its end; made_room: rows were evicted for it; over: a full disk has space again. */
void tg_store_thread_succeeded(struct tg_store_thread *t, bool made_room, bool over, int64_t now);
/* After a transaction or a page that failed: state, report, when it is tried again. */
void tg_store_thread_failed(struct tg_store_thread *t, int rc, const struct tg_error *err, int64_t now);
/* Trouble at the start, for people. The lock is not needed yet. */
void tg_store_thread_say_waiting(struct tg_store_thread *t, int rc, const struct tg_error *err);

/* --- store_full.c ---------------------------------------------------------------------------------------- */

/* When a full disk is looked at the next time. */
int64_t tg_store_thread_full_care_at(const struct tg_store_thread *t, int64_t now);
/* The state is FULL, and there is space again. Without the lock: nobody else changes what it reads. */
bool tg_store_thread_full_is_over(struct tg_store_thread *t, int64_t now);

/* --- store_read.c, on the thread ---------------------------------------------------------------------- */

/* Reads the page that was asked for. The lock is held, as for commit and care; they give it up meanwhile. */
void tg_store_thread_read(struct tg_store_thread *t);

/* --- store_start.c: a store that cannot be used at the start ------------------------------------------------ */

/* After this error of the open: begin in memory? */
bool tg_store_thread_may_wait(int code);
/* Before the thread runs: numbers, and a reader. */
void tg_store_thread_start_waiting(struct tg_store_thread *t);
int tg_store_thread_wait_device(struct tg_store_thread *t, const char *name, uint32_t *ret_slot,
                                struct tg_error *err) TG_CHECKED;
int tg_store_thread_wait_cursor(struct tg_store_thread *t, uint32_t device, const char *cloud,
                                struct tg_thread_place *ret_place, struct tg_error *err) TG_CHECKED;
/* An open that is no more refused outright must not meet the reader: SQLite would share its read-only memory. */
void tg_store_thread_stop_reading(struct tg_store_thread *t);
void tg_store_thread_go_on_reading(struct tg_store_thread *t);
/* The database could be opened: may it be taken? And once everything is declared in it. */
int tg_store_thread_adopt(struct tg_store_thread *t, bool begun_anew, struct tg_error *err) TG_CHECKED;
int tg_store_thread_adopted(struct tg_store_thread *t, struct tg_error *err) TG_CHECKED;

/* --- store_gone.c: what left memory without being stored --------------------------------------------------- */

/* Where the device is in the transaction under way. */
void tg_store_thread_in_round(struct tg_store_thread *t, struct tg_thread_device *d);
/* Within a transaction: of one device, as far as it is below `below`; of all. */
int tg_store_thread_write_gone(struct tg_store_thread *t, uint32_t slot, uint64_t below,
                               struct tg_error *err) TG_CHECKED;
int tg_store_thread_write_all_gone(struct tg_store_thread *t, struct tg_error *err) TG_CHECKED;
/* The database was opened again, and the transaction of which nobody knew is stored: with rows, perhaps, that were dropped from memory
 * meanwhile. Feeds that may have passed over them as never stored go back. The lock is held. */
void tg_store_thread_found(struct tg_store_thread *t);
/* Forgets what is stored. The lock is held. */
void tg_store_thread_forget_gone(struct tg_store_thread *t);

/* --- store_left.c, on the thread ---------------------------------------------------------------------- */

/* These are configured; the grace of the others begins. */
int tg_store_thread_left(struct tg_store_thread *t, const struct tg_outbox_declaration *configured,
                         uint32_t count, struct tg_error *err) TG_CHECKED;
/* What was not declared since the start gives up its rows. */
int tg_store_thread_retire_undeclared(struct tg_store_thread *t, uint64_t *ret_rows,
                                      struct tg_error *err) TG_CHECKED;
/* Gives up what left long enough ago. *ret_next_ms: when the next one is due; INT64_MAX = none. Without the lock. */
int tg_store_thread_retire_left(struct tg_store_thread *t, int64_t now, int64_t *ret_next_ms,
                                struct tg_error *err) TG_CHECKED;
/* What was asked for. The lock is held, and given up meanwhile. */
void tg_store_thread_run_drop(struct tg_store_thread *t);

/* --- store_clock.c, on the thread ------------------------------------------------------------------- */

/* Stores what the loop told. The lock is held; it is given up meanwhile. */
void tg_store_thread_apply_clock(struct tg_store_thread *t);
/* To the loop. The lock is held, or there is no thread yet. */
void tg_store_thread_publish_timeline(struct tg_store_thread *t);
/* The database was opened again, or is another one. The lock is held. */
void tg_store_thread_clock_again(struct tg_store_thread *t);

/* --- store_declare.c, on the thread ------------------------------------------------------------------- */

/* All devices and cursors again, in an outbox that was opened again. */
int tg_store_thread_declare_all(struct tg_store_thread *t, struct tg_error *err) TG_CHECKED;
int tg_store_thread_declare_device(struct tg_store_thread *t, const char *name, uint32_t *ret_slot,
                                   struct tg_error *err) TG_CHECKED;
int tg_store_thread_declare_cursor(struct tg_store_thread *t, uint32_t device, const char *cloud,
                                   struct tg_thread_place *ret_place, struct tg_error *err) TG_CHECKED;
bool tg_store_thread_knows_cursor(const struct tg_store_thread *t, uint32_t device, const char *cloud);
int tg_store_thread_add_device(struct tg_store_thread *t, const char *name, uint32_t number,
                               uint64_t last_seq, struct tg_error *err) TG_CHECKED;
/* Finds or adds, without a number. */
int tg_store_thread_add_cursor(struct tg_store_thread *t, uint32_t device, const char *cloud,
                               uint32_t *ret_slot, struct tg_error *err) TG_CHECKED;
/* Where the cursor stands, for a feed that goes back. */
int tg_store_thread_where(struct tg_store_thread *t, uint32_t slot, struct tg_thread_place *ret_place,
                          struct tg_error *err) TG_CHECKED;
/* Wakes the loop, unless that is under way. The lock is held. */
void tg_store_thread_tell(struct tg_store_thread *t);

#endif
