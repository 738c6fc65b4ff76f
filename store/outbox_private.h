/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * outbox_private - the state of an open outbox, shared by the outbox_*.c files and nobody else.
 *
 * WHAT IS IN MEMORY   Devices and cursors, never rows. How many rows a cursor still waits for is arithmetic:
 *     pending = device.last_seq - cursor.acked_seq - cursor.holes_ahead - cursor.ahead.rows
 * because seq rises by one per device; numbers that were never stored are recorded in the table `hole`, rows that
 * were acknowledged before others that are older in the table `ahead`.
 *
 * TRANSACTIONS   Whatever changes a device, a cursor or the totals within a transaction first saves the old
 * value (tg_outbox_touch_*); a rollback puts it back, so memory never says more than the database.
 *
 * MARKS   last_seq and last_id of a device are written only every so often (a mark), not with every commit;
 * an open reads the rows after the newest mark. Hence the rule that keeps them right after a crash: no row
 * above mark_id is ever deleted; who wants to, writes a mark in the same transaction.
 */
#ifndef TG_STORE_OUTBOX_PRIVATE_H
#define TG_STORE_OUTBOX_PRIVATE_H

#include <sqlite3.h>

#include "store/outbox.h"
#include "store/runs.h"
#include "store/schema.h"
#include "store/timeline.h"
#include "store/written.h"

#define TG_OUTBOX_PAGE         4096
#define TG_OUTBOX_BODY_MAX     65536 /* TG_SAMPLE_MAX_BYTES */
#define TG_OUTBOX_MARK_ROWS    2048  /* rows between two marks: what an open reads at most, about */
#define TG_OUTBOX_COMPACT_ROWS 16384 /* rows nobody waits for, before looking for them between others */
#define TG_OUTBOX_TX_ROWS      65536 /* rows in one transaction */
#define TG_OUTBOX_SYNC_ROWS    8192  /* `normal`: rows after which one commit is fsynced */
/* `normal`, after a power cut: seq and id go on this far above what is found, because what came after the
 * last fsync may have been sent: SYNC_ROWS + two whole transactions < 2^18. `lazy`, after any crash: LAZY_AHEAD and a
 * whole transaction < 2^18. */
#define TG_OUTBOX_JUMP (UINT64_C(1) << 18)
_Static_assert(TG_OUTBOX_LAZY_AHEAD + TG_OUTBOX_TX_ROWS < TG_OUTBOX_JUMP,
               "a leap clears what may have been given");
/* … and after numbers were given that no file knows of: more than a year at 100 samples a second. */
#define TG_OUTBOX_LEAP       (UINT64_C(1) << 32)
#define TG_OUTBOX_TRIM_ROWS  2000 /* rows deleted by one commit, or twice what it brought */
#define TG_OUTBOX_EVICT_ROWS 1000 /* rows evicted by one transaction */
#define TG_OUTBOX_WAL_MAX    (8 << 20)
#define TG_OUTBOX_WAL_MIN    (256 << 10)
#define TG_OUTBOX_NONE       UINT32_MAX
/* What a text about damage ends with, while nothing is done about it. */
#define TG_OUTBOX_CHECKED_LATER "; the next open checks it and sets it aside if need be"

struct tg_outbox_device_entry {
    char *name;
    uint64_t last_seq, last_id;
    /* What an active cursor still waits for has ids above hint_id, although its acked_id may be far below. */
    uint64_t hint_id;
    uint64_t floor_id; /* scratch of trim: rows of this device up to here are waited for by nobody */
    uint64_t dropped[TG_DROP_REASONS], gap_first, gap_last;
    uint32_t first_cursor;
    uint32_t holes; /* rows in the table `hole` */
    uint32_t undo;  /* index + 1 in the undo list of this transaction */
    bool idle;      /* no active cursor waits for anything */
    bool dirty;     /* differs from its mark */
};

struct tg_outbox_cursor_entry {
    uint32_t device, cloud, next; /* next cursor of the device */
    uint32_t undo;
    bool active, declared;
    uint64_t base_seq, acked_seq, acked_id;
    uint64_t dropped, skipped; /* of the numbers between base_seq and acked_seq: evicted; never stored */
    uint64_t holes_ahead;      /* numbers above acked_seq that were never stored */
    struct tg_runs ahead;      /* rows above acked_seq that are acknowledged; none begins right behind it */
    /* What the cloud will not get and does not know of yet; of it, what the record number tell_seq (0 = none) says. */
    struct tg_gap gap, tell;
    uint64_t tell_seq;
    uint64_t max_pending; /* 0 = any number */
    int64_t max_age_ms;   /* 0 = as the whole outbox */
};

struct tg_outbox_undo {
    bool is_cursor;
    uint32_t index;
    union {
        struct tg_outbox_device_entry device;
        struct tg_outbox_cursor_entry cursor;
    } was;
};

/* Changed by transactions; saved as a whole when one begins. */
struct tg_outbox_totals {
    uint64_t last_id, mark_id, oldest_id;
    uint64_t rows, rows_since_mark, appended;
    uint64_t compact_id, compact_to; /* a compaction pass: done up to, goes up to */
    uint64_t quota_id;   /* a quota pass has looked at the rows up to here; 0 = none is under way */
    uint64_t quota_rows; /* appended since the last look whether one is needed */
    uint64_t acked_since_trim;
    uint64_t urgent_high;                 /* no row above this id is in the table `urgent` */
    uint64_t tx_rows, tx_acked, tx_bytes; /* of this transaction */
    bool must_mark;                       /* it counts drops, which live in the marks */
    bool boot_noted;                      /* it added a boot to the timeline */
};

enum tg_outbox_tx { TG_OUTBOX_TX_NONE, TG_OUTBOX_TX_OPEN, TG_OUTBOX_TX_FAILED };

enum tg_outbox_statement {
    ST_BEGIN,
    ST_COMMIT,
    ST_ROLLBACK,
    ST_INSERT,
    ST_CURSOR,
    ST_MARK,
    ST_META,
    ST_DELETE,
    ST_READ,
    ST_SCAN,
    ST_FIRST,
    ST_FIND_DEVICE,
    ST_HOLE_ADD,
    ST_HOLE_SUM,
    ST_HOLE_DROP,
    ST_HOLE_FIRST,
    ST_HOLE_LIST,
    ST_PAGES,
    ST_FREE_PAGES,
    ST_AHEAD_PUT,
    ST_AHEAD_DROP,
    ST_URGENT_ADD,
    ST_URGENT_DROP,
    ST_URGENT_IS,
    ST_URGENT_READ,
    ST_COUNT
};

/* What is known of all cursors with one max_age. */
struct tg_outbox_age_class {
    int64_t max_age_ms;
    uint64_t seen_id; /* rows up to here are older and were looked at */
};

/* Of a cloud, for its quota. */
struct tg_outbox_cloud_quota {
    uint64_t max_pending; /* 0 = any number */
    uint64_t pending;     /* scratch */
};

struct tg_outbox {
    sqlite3 *db;
    sqlite3_stmt *st[ST_COUNT];
    struct tg_outbox_options o;
    char *dir, *path;
    int lock_fd, high_fd;

    struct tg_outbox_device_entry *devices;
    struct tg_outbox_cursor_entry *cursors;
    char **clouds;
    uint32_t device_count, device_cap, cursor_count, cursor_cap, cloud_count;

    struct tg_outbox_totals t, saved;
    struct tg_outbox_undo *undo;
    uint32_t undo_count, undo_cap;
    enum tg_outbox_tx tx;
    int tx_code;      /* why it failed */
    bool declaring;   /* tg_outbox_declare(): its declarations share one transaction */
    bool tx_synced;   /* `normal`: this one is fsynced */
    bool dead;        /* a commit failed with unknown outcome: only close is left */
    bool over_limit;  /* drop-newest: appends are refused */
    bool disk_full;   /* the recipe was needed; the page limit is lowered until there is space again */
    bool wal_missing; /* there was no write-ahead log when it was opened */
    bool trim_more;   /* the last trim stopped at its bound */
    uint64_t committed_id;
    uint64_t floor_seq;                      /* seq of new devices begins above it */
    uint64_t high_seq, high_id, high_serial; /* what outbox.high has reserved */
    uint64_t rows_since_sync, bytes_since_check;
    int64_t quota_pages; /* 0 = none */
    int64_t most_pages;  /* while disk_full: what the database may grow to */
    int64_t wal_limit, wal_frames, wal_soft_frames, wal_next_frames;
    int64_t pages, free_pages;                  /* as last looked */
    uint64_t mark_rows, compact_rows;           /* as configured above; tests make them small */
    uint64_t quota_every;                       /* rows between two looks at the quotas; 0 = there are none */
    struct tg_outbox_cloud_quota *cloud_quotas; /* cloud_quota_count ≤ cloud_count of them */
    struct tg_outbox_age_class *ages;
    uint32_t cloud_quota_count, age_count;
    uint64_t gap_serial;                         /* rises with every change of a cursor's gap or tell_seq */
    struct tg_error trouble;                     /* the last failed checkpoint */
    struct tg_timeline timeline, timeline_saved; /* saved: before this transaction, when it noted a boot */
    int64_t worst_checkpoint_us;
    struct tg_written *written; /* what was given to the disk; the connection's VFS counts */
};

/* --- outbox_files.c: everything beside the database file ---------------------------------------- */
int tg_outbox_lock(struct tg_outbox *ob, struct tg_error *err) TG_CHECKED;
void tg_outbox_unlock(struct tg_outbox *ob);
/* outbox.high: what survives the loss of the database: no seq or id above what it says was ever given. */
int tg_outbox_high_load(struct tg_outbox *ob, bool *ret_found, struct tg_error *err) TG_CHECKED;
void tg_outbox_high_reserve(struct tg_outbox *ob, uint64_t seq, uint64_t id);
int tg_outbox_set_aside(struct tg_outbox *ob, char ret_name[256], struct tg_error *err) TG_CHECKED;
void tg_outbox_finish_set_aside(struct tg_outbox *ob);
/* outbox.suspect: damage was seen while running; the next open checks everything. */
void tg_outbox_suspect(struct tg_outbox *ob);
bool tg_outbox_is_suspect(const struct tg_outbox *ob);
void tg_outbox_unsuspect(struct tg_outbox *ob);
bool tg_outbox_is_beyond(const struct tg_outbox *ob);
/* True when there is something else than a readable and writable regular file where the database belongs. */
bool tg_outbox_unusable(const struct tg_outbox *ob);
bool tg_outbox_ballast_make(struct tg_outbox *ob);
bool tg_outbox_ballast_is_there(const struct tg_outbox *ob);
bool tg_outbox_ballast_drop(struct tg_outbox *ob);
/* Who only reads gives up once the disk has become full: the log cannot begin anew before, and outgrows the ballast. */
void tg_outbox_give_way(struct tg_outbox *ob);
int64_t tg_outbox_disk_free(const struct tg_outbox *ob);
int64_t tg_outbox_disk_size(const struct tg_outbox *ob);
int64_t tg_outbox_wal_bytes(const struct tg_outbox *ob);
int64_t tg_outbox_database_bytes(const struct tg_outbox *ob);
void tg_outbox_sync_dir(const struct tg_outbox *ob);

/* --- outbox_open.c ------------------------------------------------------------------------------ */
/* The machine's boot, as the table meta has it; "" = it cannot be said. */
void tg_outbox_boot_id(char ret_id[40]);
/* What cannot be said is another one: then the power may have gone between the two. */
bool tg_outbox_same_boot(const char *boot_id, const char *was_boot_id);

/* --- outbox_load.c ------------------------------------------------------------------------------ */
int tg_outbox_load(struct tg_outbox *ob, struct tg_error *err) TG_CHECKED;
/* The same within a transaction of the caller, who goes on reading what this saw. */
int tg_outbox_load_snapshot(struct tg_outbox *ob, struct tg_error *err) TG_CHECKED;
void tg_outbox_unload(struct tg_outbox *ob);
/* Room for one more element of an array; doubles. TG_ENOMEM: nothing has changed. */
int tg_outbox_grow(void *array_ptr, uint32_t count, uint32_t *cap, size_t size) TG_CHECKED;

/* --- outbox_sqlite.c ---------------------------------------------------------------------------- */
int tg_outbox_prepare(struct tg_outbox *ob, struct tg_error *err) TG_CHECKED;
void tg_outbox_finalize(struct tg_outbox *ob);
/* Text and code for an SQLite result; remembers damage for the next open. */
int tg_outbox_fail(struct tg_outbox *ob, int rc, struct tg_error *err, const char *what);
/* Steps a statement that yields no row, resets it. */
int tg_outbox_run(struct tg_outbox *ob, enum tg_outbox_statement st, struct tg_error *err,
                  const char *what) TG_CHECKED;
int tg_outbox_exec(struct tg_outbox *ob, const char *sql, struct tg_error *err) TG_CHECKED;
int tg_outbox_begin(struct tg_outbox *ob, struct tg_error *err) TG_CHECKED;
void tg_outbox_abort(struct tg_outbox *ob);
/* Writes touched cursors and, when `mark`, the marks; then commits. Errors as tg_outbox_commit(). */
int tg_outbox_end(struct tg_outbox *ob, bool mark, struct tg_error *err) TG_CHECKED;
struct tg_outbox_device_entry *tg_outbox_touch_device(struct tg_outbox *ob, uint32_t device);
struct tg_outbox_cursor_entry *tg_outbox_touch_cursor(struct tg_outbox *ob, uint32_t cursor);
int tg_outbox_write_marks(struct tg_outbox *ob, struct tg_error *err) TG_CHECKED;
int tg_outbox_write_meta(struct tg_outbox *ob, struct tg_error *err) TG_CHECKED;
int tg_outbox_pragma(struct tg_outbox *ob, enum tg_outbox_statement st, int64_t *ret,
                     struct tg_error *err) TG_CHECKED;
void tg_outbox_checkpoint(struct tg_outbox *ob);

/* --- outbox_log.c ------------------------------------------------------------------------------- */
/* Begins the transaction, unless there is one. */
int tg_outbox_join(struct tg_outbox *ob, struct tg_error *err) TG_CHECKED;
/* The transaction is over: nothing of it is stored. Returns `code`. */
int tg_outbox_fail_tx(struct tg_outbox *ob, int code);
uint64_t tg_outbox_pending(const struct tg_outbox *ob, const struct tg_outbox_cursor_entry *c);
/* True when no active cursor of the device waits for anything. */
bool tg_outbox_idle(const struct tg_outbox *ob, const struct tg_outbox_device_entry *d);
/* Moves a cursor; the rows it passes count as acknowledged or, when there are `reasons` (enum tg_gap_reason), as dropped: they
 * become part of its gap. */
int tg_outbox_advance(struct tg_outbox *ob, uint32_t cursor, uint64_t seq, uint64_t id, uint32_t reasons,
                      struct tg_error *err) TG_CHECKED;
/* How many rows it would pass. */
int tg_outbox_rows_to(struct tg_outbox *ob, uint32_t cursor, uint64_t seq, uint64_t *ret_rows,
                      struct tg_error *err) TG_CHECKED;
/* After acked_seq has risen: whether the gap record that was on its way has arrived (`heard`) or was lost. */
void tg_outbox_settle_tell(struct tg_outbox *ob, struct tg_outbox_cursor_entry *c, bool heard);
/* Adds to a cursor's gap. */
int tg_outbox_note_gap(struct tg_outbox *ob, uint32_t cursor, const struct tg_gap *gap,
                       struct tg_error *err) TG_CHECKED;
/* Counts drops in a device's account; `d` is touched. */
void tg_outbox_count_drops(struct tg_outbox *ob, struct tg_outbox_device_entry *d, uint64_t first_seq,
                           uint64_t last_seq, uint64_t n, enum tg_drop_reason reason);
/* Drops for one cursor what is up to (seq, id). */
int tg_outbox_drop_to(struct tg_outbox *ob, uint32_t cursor, uint64_t seq, uint64_t id,
                      enum tg_drop_reason reason, struct tg_error *err) TG_CHECKED;
int tg_outbox_hole(struct tg_outbox *ob, uint32_t device, uint64_t last_seq, struct tg_error *err) TG_CHECKED;

/* The numbers above `above` and up to `upto` that were never stored. */
int tg_outbox_sum_holes(struct tg_outbox *ob, uint32_t device, uint64_t above, uint64_t upto,
                        uint64_t *ret_sum, struct tg_error *err) TG_CHECKED;

/* --- outbox_ahead.c ----------------------------------------------------------------------------- */
/* After the cursor has moved (it is touched): takes in the runs that it has reached. */
int tg_outbox_absorb(struct tg_outbox *ob, struct tg_outbox_cursor_entry *c, struct tg_error *err) TG_CHECKED;
/* Writes what differs between what a cursor had when the transaction began and what it has. */
int tg_outbox_write_ahead(struct tg_outbox *ob, uint32_t cursor, const struct tg_runs *was,
                          const struct tg_runs *is, struct tg_error *err) TG_CHECKED;
/* While loading, a row of the table `ahead`. */
int tg_outbox_load_run(struct tg_outbox *ob, sqlite3_stmt *st, struct tg_error *err) TG_CHECKED;
/* Every active cursor of the device has acknowledged the row. */
bool tg_outbox_covered(const struct tg_outbox *ob, const struct tg_outbox_device_entry *d, uint64_t seq);
/* Of the numbers between `above` and `below`, those that every active cursor has acknowledged. */
uint64_t tg_outbox_covered_between(const struct tg_outbox *ob, const struct tg_outbox_device_entry *d,
                                   uint64_t above, uint64_t below);

/* --- outbox_clock.c ----------------------------------------------------------------------------- */
int tg_outbox_load_timeline(struct tg_outbox *ob, struct tg_error *err) TG_CHECKED;
/* Within a transaction: this row is stamped since boot. */
int tg_outbox_note_boot(struct tg_outbox *ob, const struct tg_outbox_row *row,
                        struct tg_error *err) TG_CHECKED;
/* Forgets boots and jumps that say nothing of any row any more. */
int tg_outbox_care_timeline(struct tg_outbox *ob, struct tg_error *err) TG_CHECKED;

/* --- outbox_age.c ------------------------------------------------------------------------------- */
/* The newest id that was stored more than max_age_ms ago, with all before it; 0 = none, max_age_ms is 0, or wall_ms is no valid time. Looks at
 * a bounded number of rows. wall_ms: tg_outbox_wall_ms(). */
int tg_outbox_too_old(struct tg_outbox *ob, int64_t max_age_ms, int64_t wall_ms, uint64_t *ret_last_id,
                      struct tg_error *err) TG_CHECKED;
/* When the row of this id, whose time_ms in the log this is, was stored, on the same clock; false: it cannot be said (yet). For whoever
 * judges rows one by one. */
bool tg_outbox_stored_ms(const struct tg_outbox *ob, uint64_t id, int64_t time_ms, int64_t *ret_wall_ms);
enum tg_outbox_age { TG_OUTBOX_YOUNG, TG_OUTBOX_OLD, TG_OUTBOX_AGE_UNKNOWN };
/* Whether it was stored before the cutoff; UNKNOWN: it goes with the next one behind it that can be judged. */
enum tg_outbox_age tg_outbox_age(const struct tg_outbox *ob, uint64_t id, int64_t time_ms, int64_t cutoff_ms);

/* --- outbox_evict.c ----------------------------------------------------------------------------- */
/* Within a transaction: deletes rows that nobody waits for, at most `cap`. */
int tg_outbox_trim(struct tg_outbox *ob, uint64_t cap, struct tg_error *err) TG_CHECKED;
/* After a commit: looks at the file's size and evicts a little when it is over its limit. */
void tg_outbox_after_commit(struct tg_outbox *ob);
/* Lays the ballast down, and bounds the file: by its limit, or without ballast by what the disk has. */
int tg_outbox_bound(struct tg_outbox *ob, struct tg_error *err) TG_CHECKED;
uint64_t tg_outbox_pending_rows(const struct tg_outbox *ob);

/* --- outbox_quota.c ----------------------------------------------------------------------------- */
/* Within a transaction that appended: some steps of a quota pass. Does nothing without quotas. */
int tg_outbox_quota_step(struct tg_outbox *ob, struct tg_error *err) TG_CHECKED;
/* Outside of transactions: quotas, and ages of devices and clouds (when wall_ms is a valid time). */
int tg_outbox_quota_enforce(struct tg_outbox *ob, int64_t wall_ms, struct tg_error *err) TG_CHECKED;
void tg_outbox_quota_fini(struct tg_outbox *ob);

#endif
