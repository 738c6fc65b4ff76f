/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * outbox - the durable log of samples, in one SQLite database. Synchronous; owned by one thread.
 *
 * WHAT IT PROMISES (DESIGN.md section 5; clauses C1 … C15 are cited at the functions)
 *   A sample is accepted when tg_outbox_commit() returned TG_OK [C1]. `full`: the commit is fsynced; a power
 *   cut loses none of them [C2]. `normal`: a process crash loses none, a power cut at most what came after the
 *   last checkpoint. `lazy`: as `full` for what is appended; most samples are acknowledged before the owner
 *   appends them and never are: tg_outbox_pass(). The owner may give numbers up to TG_OUTBOX_LAZY_AHEAD above those
 *   that the outbox has heard of; after anything but a clean close they are leapt over. A row is removed only after every cloud of its device has acknowledged it, or by eviction,
 *   which is counted per device and reason in the evicting transaction [C6].
 *
 * SHAPE
 *   A log in rowid order without any secondary index: one row a sample (id, device, seq, time, body). `id` and
 *   `seq` are given by the caller (the loop): both strictly rise, seq by one per device, neither is ever
 *   reused [C4]. A *cursor* (cloud, device) says up to which seq and id that cloud has acknowledged. Rows below
 *   every pending cursor are deleted in bulk. docs/disk-format.md has the schema and the crash cases.
 *
 *     open ──► declare devices and cursors ──► { append … set_cursor … commit | read | evict } ──► close
 *
 * FAILED COMMIT = UNKNOWN [C3]: tg_outbox_commit() then returns TG_EUNKNOWN and the handle is finished: close it,
 * open again, ask tg_outbox_last_id(), append what is above it again.
 */
#ifndef TG_STORE_OUTBOX_H
#define TG_STORE_OUTBOX_H

#include "core/base/bytes.h"
#include "core/base/gap.h"

#define TG_OUTBOX_FILE "outbox.db"

enum tg_durability { TG_DURABILITY_FULL = 0, TG_DURABILITY_NORMAL = 1, TG_DURABILITY_LAZY = 2 };
/* `lazy`: the numbers of all devices together that may be given beyond what tg_outbox_commit() and tg_outbox_settle()
 * know of. */
#define TG_OUTBOX_LAZY_AHEAD (UINT64_C(1) << 17)
enum tg_when_full { TG_WHEN_FULL_DROP_OLDEST = 0, TG_WHEN_FULL_DROP_NEWEST = 1 };
/* LIMIT, AGE of the whole outbox and DISK_FULL count a row once, whatever the number of clouds that miss it; QUOTA, AGE of a
 * device or cloud, QUARANTINE and REMOVED once for each cloud. 1u << reason is the bit of enum tg_gap_reason. */
enum tg_drop_reason {
    TG_DROP_LIMIT = 0,
    TG_DROP_AGE = 1,
    TG_DROP_DISK_FULL = 2,
    TG_DROP_QUARANTINE = 3,
    TG_DROP_QUOTA = 4,
    TG_DROP_REMOVED = 5,
    TG_DROP_REASONS = 6
};

/* "limit", "age", "disk_full" …, as status, metrics and `outbox stats` have it. */
const char *tg_drop_reason_name(int reason);

struct tg_outbox_options {
    const char *dir; /* must exist; the database is <dir>/outbox.db */
    enum tg_durability durability;
    enum tg_when_full when_full;
    /* Of the database file; beside it up to 8 MiB of log and 16 MiB of ballast. 0 = none. */
    int64_t limit_bytes;
    /* 0 = for ever; judged by id order and the time of storing, whatever the wall clock did meanwhile (store/timeline.h). */
    int64_t max_age_ms;
    bool same_owner; /* opened again by the process whose rows follow: numbers go on exactly */
    bool read_only;  /* `tidegate outbox stats` beside a running gateway */
    /* Read-only, of a file that nobody can write meanwhile (a disk that is mounted so): without -wal and -shm too. */
    bool immutable;
    const char *vfs; /* tests: a crash or fault VFS; NULL = SQLite's own */
};

struct tg_outbox;

/* A stored sample. time_ms: when it was taken in, wall time, or, before the clock was set, monotonic time of its boot. `body` is a view: the caller's in append, the outbox's in a read callback until that returns. */
struct tg_outbox_row {
    uint64_t id, seq;
    uint32_t device;
    int64_t time_ms;
    struct tg_bytes body;
};

/* Opens or creates. A corrupt, foreign or unreadable database is renamed aside with -wal and -shm
 * (outbox.db.corrupt-<n>, the newest 3 are kept) and an empty one is begun, whose numbers go on above all that were
 * ever given; *ret_set_aside then holds its name or is "" (it may be NULL when the caller does not care), `err` then
 * says why [C8]. A database that is gone although outbox.high knows of numbers: one is begun, numbers go on likewise,
 * `err` is TG_ENOTFOUND with a text. A newer schema is refused untouched: TG_EVERSION [C15]. A second writer is
 * refused: TG_EBUSY. Read-only: TG_ENOTFOUND when there is none; nothing is set aside. */
int tg_outbox_open(const struct tg_outbox_options *o, struct tg_outbox **ret_outbox, char ret_set_aside[256],
                   struct tg_error *err) TG_CHECKED;
/* Rolls back what is not committed. Checkpoints when `checkpoint`. */
void tg_outbox_close(struct tg_outbox *ob, bool checkpoint);

/* Finds or creates; committed at once, so not within a transaction (TG_ESTATE). Device handles are small dense
 * numbers from 0, stable across restarts. */
int tg_outbox_device(struct tg_outbox *ob, const char *name, uint32_t *ret_device,
                     struct tg_error *err) TG_CHECKED;
/* The cursor (cloud, device): where that cloud is. A new cursor begins behind the newest row of the device:
 * a cloud added later gets what comes from then on. */
int tg_outbox_cursor(struct tg_outbox *ob, uint32_t device, const char *cloud, uint32_t *ret_cursor,
                     struct tg_error *err) TG_CHECKED;
/* Creates those of these devices and cursors that are not there yet, all in one transaction: at the first start of a thousand
 * devices one fsync instead of two thousand. cloud NULL: the device alone. On failure none of them. Declaring them one by
 * one afterwards is needed all the same. */
struct tg_outbox_declaration {
    const char *device, *cloud;
};
int tg_outbox_declare(struct tg_outbox *ob, const struct tg_outbox_declaration *list, uint32_t count,
                      struct tg_error *err) TG_CHECKED;
/* Cursors not declared since open (a cloud or device that left the configuration) stop holding rows back; what they had
 * waited for is dropped as REMOVED, and told should they come back. Call once after all
 * declarations. Device numbers and seq high-water marks are kept for ever. */
int tg_outbox_retire_undeclared(struct tg_outbox *ob, struct tg_error *err) TG_CHECKED;
/* The same for one cursor, declared or not; *ret_rows: what it had waited for. */
int tg_outbox_retire(struct tg_outbox *ob, uint32_t cursor, uint64_t *ret_rows,
                     struct tg_error *err) TG_CHECKED;
/* As if the cursor had not been declared since open: the next tg_outbox_retire_undeclared() retires it, unless it is
 * declared again before. */
void tg_outbox_undeclare(struct tg_outbox *ob, uint32_t cursor);
/* In a database that was begun anew while the owner kept running: numbering goes on exactly behind last_id and, for
 * devices 0 … count - 1, last_seqs[device], instead of far above what was given. After the devices, before any cursor
 * or row (else TG_ESTATE). */
int tg_outbox_continue(struct tg_outbox *ob, uint64_t last_id, const uint64_t *last_seqs, uint32_t count,
                       struct tg_error *err) TG_CHECKED;

uint64_t tg_outbox_last_id(const struct tg_outbox *ob);                   /* 0 = none yet */
uint64_t tg_outbox_last_seq(const struct tg_outbox *ob, uint32_t device); /* highest ever accepted */

struct tg_outbox_cursor_state {
    uint32_t device;
    uint64_t acked_seq, acked_id;      /* everything of the device up to here is acknowledged or evicted */
    uint64_t pending;                  /* rows of the device above it that are not acknowledged ahead */
    uint64_t accepted, acked, dropped; /* since the cursor began: accepted = acked + dropped + pending [C6] */
    uint64_t ahead;                    /* of `acked`: rows above acked_seq */
    uint32_t ahead_runs;
    struct tg_gap gap; /* what the cloud will not get and has not acknowledged to know */
    uint64_t tell_seq; /* the gap record that is on its way to it; 0 = none */
};
/* Rises with every change of a cursor's gap or tell_seq. */
uint64_t tg_outbox_gap_serial(const struct tg_outbox *ob);
int tg_outbox_cursor_state(const struct tg_outbox *ob, uint32_t cursor,
                           struct tg_outbox_cursor_state *ret_state) TG_CHECKED;

/* --- within one transaction: any number of append and set_cursor, then commit -------------------
 * The first of them begins it. When one fails the transaction is over and nothing of it is stored; the others and
 * commit then give the same code until commit or rollback has been called. The getters above say what was committed. */
/* TG_ENOSPACE: full, see tg_outbox_make_room(). TG_EINVAL: id or seq does not rise. TG_ETOOBIG: over 64 KiB. TG_EFULL:
 * 65536 rows are in this transaction. A seq that is more than one above the last leaves a hole, which is recorded:
 * its numbers count as never accepted. */
int tg_outbox_append(struct tg_outbox *ob, const struct tg_outbox_row *row, struct tg_error *err) TG_CHECKED;
/* The same for a row that tg_outbox_read_urgent() is to find. */
int tg_outbox_append_urgent(struct tg_outbox *ob, const struct tg_outbox_row *row,
                            struct tg_error *err) TG_CHECKED;
/* Never moves back. Unknown rows (already evicted) are fine. */
int tg_outbox_set_cursor(struct tg_outbox *ob, uint32_t cursor, uint64_t acked_seq, uint64_t acked_id,
                         struct tg_error *err) TG_CHECKED;
/* Rows first … last of the cursor's device, all of them stored, are acknowledged although rows before them are not: they went
 * ahead of the backlog. `last_id` is the id of `last`. What the cursor has passed or already has is fine, numbers that were never
 * stored are passed over. When the cursor reaches a run it takes it in. The caller keeps to TG_RUNS_MAX runs a cursor. */
int tg_outbox_ack_ahead(struct tg_outbox *ob, uint32_t cursor, uint64_t first, uint64_t last,
                        uint64_t last_id, struct tg_error *err) TG_CHECKED;
/* Numbers of the device up to last_seq were given to samples that are not stored (rejected, delivered from memory while
 * the disk was gone): a hole, counted for the device under `reason`. */
int tg_outbox_reject(struct tg_outbox *ob, uint32_t device, uint64_t last_seq, enum tg_drop_reason reason,
                     struct tg_error *err) TG_CHECKED;
/* Numbers of the device up to last_seq were given to samples that every cloud has acknowledged before they were stored, and
 * never will be: accepted and acknowledged. Where a cursor still waits for older rows they count as never accepted: a
 * hole. Nothing when last_seq does not rise. */
int tg_outbox_pass(struct tg_outbox *ob, uint32_t device, uint64_t last_seq, struct tg_error *err) TG_CHECKED;
/* Numbers of the device up to last_seq were leaped over: a hole, which the clouds are told of. Nothing when it does not rise. */
int tg_outbox_skip(struct tg_outbox *ob, uint32_t device, uint64_t last_seq, struct tg_error *err) TG_CHECKED;
/* No row with an id up to last_id will be appended any more: ids go on above it also after a crash. */
int tg_outbox_settle(struct tg_outbox *ob, uint64_t last_id, struct tg_error *err) TG_CHECKED;
/* As set_cursor, for rows that cannot be delivered (their body does not parse): they count as dropped as QUARANTINE and are
 * told. */
int tg_outbox_quarantine(struct tg_outbox *ob, uint32_t cursor, uint64_t seq, uint64_t id,
                         struct tg_error *err) TG_CHECKED;
/* Of the numbers that the cursor passes with the next set_cursor of this transaction, or has passed, `gap` is lost to its
 * cloud: told, but counted nowhere, except for `quarantined` of them, which were stored and count as dropped. For rows
 * that one cloud cannot take, and for numbers that were rejected (tg_outbox_reject() alone tells nobody: some clouds may
 * have had them from memory). */
int tg_outbox_lose(struct tg_outbox *ob, uint32_t cursor, const struct tg_gap *gap, uint64_t quarantined,
                   struct tg_error *err) TG_CHECKED;
/* Of a row just appended: it is the gap record that tells this cursor's cloud of `gap`. Once it is acknowledged the cursor's
 * gap is less by that; if it is dropped before, nothing was told. Ignored while another one is on its way. */
int tg_outbox_tell(struct tg_outbox *ob, uint32_t cursor, uint64_t seq, const struct tg_gap *gap,
                   struct tg_error *err) TG_CHECKED;
/* Also deletes rows that nobody waits for, within a bounded effort. TG_EUNKNOWN: see above. TG_ENOSPACE: rolled
 * back, nothing of this transaction is stored, the recipe of tg_outbox_make_room() may help. Any other code: rolled
 * back, nothing of it is stored. */
int tg_outbox_commit(struct tg_outbox *ob, struct tg_error *err) TG_CHECKED;
void tg_outbox_rollback(struct tg_outbox *ob);

/* Committed rows with id ≥ from_id in id order, at most max_rows and about max_bytes; `device` UINT32_MAX = of all.
 * Calls `each` for every row (it must not call the outbox); *ret_next_id is where to go on. 0 when the end was reached,
 * 1 when there may be more: also without a row, when very many of other devices were passed over. Rows that every
 * cursor has passed may still be there; rows whose numbers are damaged are left out. TG_ECORRUPT: close and open again, the file is then checked and set aside. */
int tg_outbox_read(struct tg_outbox *ob, uint64_t from_id, uint32_t device, uint32_t max_rows,
                   size_t max_bytes, void (*each)(void *user, const struct tg_outbox_row *row), void *user,
                   uint64_t *ret_next_id, struct tg_error *err) TG_CHECKED;

/* --- quotas: outbox_quota.c ----------------------------------------------------------------------
 * A cloud that is away, or a device that talks much, must not push out what the others wait for. What is over a quota goes
 * oldest first, for that cursor alone: the row itself stays as long as another one waits for it. Kept in memory only: set
 * after each open. Bounds are kept with some slack: up to 1/32 over, and what comes between two looks. */
struct tg_outbox_quota {
    uint64_t max_pending; /* rows that may wait at this cursor; 0 = any number */
    uint64_t
        cloud_max_pending; /* … at all cursors of its cloud together; the last that was set for the cloud holds */
    int64_t max_age_ms; /* older rows are dropped for this cursor; 0 = as the whole outbox */
};
int tg_outbox_set_quota(struct tg_outbox *ob, uint32_t cursor, const struct tg_outbox_quota *quota,
                        struct tg_error *err) TG_CHECKED;

/* --- dropped by an operator: outbox_drop.c ----------------------------------------------------- */
struct tg_outbox_drop {
    const char *device, *cloud; /* NULL = all */
    int64_t
        before_ms; /* of each device only what comes before its first row that is not older than this; 0 = all */
    bool dry;      /* only counts; also for an outbox that is open for reading only */
    /* Each cursor with rows that go; may be NULL. */
    void (*each)(void *user, const char *device, const char *cloud, uint64_t rows);
    void *user;
};
/* Drops what waits, counted as REMOVED and told. Outside of transactions; in bounded ones of its own. *ret_rows: rows, once for
 * each cloud. TG_ENOTFOUND: no device or cloud of that name. */
int tg_outbox_drop(struct tg_outbox *ob, const struct tg_outbox_drop *drop, uint64_t *ret_rows,
                   struct tg_error *err) TG_CHECKED;

/* The same for rows of tg_outbox_append_urgent(): they are found without looking at those between. */
int tg_outbox_read_urgent(struct tg_outbox *ob, uint64_t from_id, uint32_t max_rows, size_t max_bytes,
                          void (*each)(void *user, const struct tg_outbox_row *row), void *user,
                          uint64_t *ret_next_id, struct tg_error *err) TG_CHECKED;
/* No committed row above this id is urgent; 0 = none is. */
uint64_t tg_outbox_urgent_high(const struct tg_outbox *ob);
/* What the cursor has acknowledged ahead, as committed; holds until the next call that changes the outbox. */
struct tg_runs;
const struct tg_runs *tg_outbox_ahead(const struct tg_outbox *ob, uint32_t cursor);

/* How many of these numbers are recorded as never stored. */
int tg_outbox_unstored(struct tg_outbox *ob, uint32_t device, uint64_t first, uint64_t last,
                       uint64_t *ret_numbers, struct tg_error *err) TG_CHECKED;

/* Those above `above`, the lowest `max_runs` runs of them, are added to *ret_holes. Outside of transactions. */
int tg_outbox_holes(struct tg_outbox *ob, uint32_t device, uint64_t above, uint32_t max_runs,
                    struct tg_runs *ret_holes, struct tg_error *err) TG_CHECKED;

/* --- time (timeline.h) ------------------------------------------------------------------------------------------ */
/* The wall clock is valid: wall time = monotonic time + offset_ms in this boot (tg_clock_boot()). Rows up to upto_id were stored
 * before anything was different from what was told last, also by an earlier process. Told again when it has changed; costs a
 * transaction of its own when boots have no time yet, the clock was set, or has drifted by half a second. */
int tg_outbox_clock(struct tg_outbox *ob, uint64_t boot, int64_t offset_ms, uint64_t upto_id,
                    struct tg_error *err) TG_CHECKED;
struct tg_timeline;
const struct tg_timeline *tg_outbox_timeline(const struct tg_outbox *ob);
/* The time by which ages are judged: as told last; 0 = nothing was told in this boot. */
int64_t tg_outbox_wall_ms(const struct tg_outbox *ob);
/* Rows of boots that have no time yet, counted up to 100,000 and a little. */
int tg_outbox_waiting(struct tg_outbox *ob, uint64_t *ret_rows, struct tg_error *err) TG_CHECKED;

/* Enforces limit and age, wall_ms being tg_outbox_wall_ms(); called by commit when needed, and by the owner once a minute. Evicts
 * oldest first in bounded transactions of their own, counting pending rows per device and reason, moving cursors past them. */
int tg_outbox_enforce(struct tg_outbox *ob, int64_t wall_ms, struct tg_error *err) TG_CHECKED;
/* The full-disk recipe [C7]: gives up the ballast file, checkpoints, evicts the oldest until an append of
 * `need_bytes` can work. */
int tg_outbox_make_room(struct tg_outbox *ob, size_t need_bytes, struct tg_error *err) TG_CHECKED;
/* False on a disk that is full for the outbox: its ballast could not be laid down again, and rows that somebody waits for take more
 * than a quarter of what the disk leaves to the database, so that eviction goes on sooner or later. */
bool tg_outbox_has_room(struct tg_outbox *ob);

/* Bodies of one transaction should stay within this: then what the write-ahead log holds fits into the ballast, and can be copied
 * into the database on a disk that others have filled [C7]. */
size_t tg_outbox_batch_bytes(const struct tg_outbox *ob);

struct tg_outbox_stats {
    uint64_t rows;       /* in the log */
    uint64_t acked_rows; /* of these nobody waits for any more; they are deleted in bulk, by and by */
    uint64_t last_id, appended /* for ever */, bytes_file, bytes_wal;
    uint64_t dropped[TG_DROP_REASONS]; /* pending rows that were evicted, for ever (stored) */
    uint64_t oldest_id;
    int64_t oldest_time_ms; /* when it was stored, on the clock as it goes now; 0 = cannot be said */
    uint32_t devices, cursors;
    uint64_t ahead_rows;         /* acknowledged ahead of rows that still wait, all cursors together */
    int64_t worst_checkpoint_us; /* since it was opened */
    uint64_t written_bytes;      /* given to the disk since it was opened: log, pages, outbox.high */
};
int tg_outbox_stats(struct tg_outbox *ob, struct tg_outbox_stats *ret_stats, struct tg_error *err) TG_CHECKED;
/* How far the cursor is, in a transaction: by then. */
uint64_t tg_outbox_acked_now(const struct tg_outbox *ob, uint32_t cursor);
uint64_t tg_outbox_written_bytes(const struct tg_outbox *ob);
/* Per device: name, last seq, rows that the slowest cloud waits for, drops by reason, the newest run of dropped numbers
 * (0 = none). */
struct tg_outbox_device_stats {
    const char *name;
    uint64_t last_seq, pending, dropped[TG_DROP_REASONS], gap_first_seq, gap_last_seq;
    uint64_t ahead; /* acknowledged ahead of those that wait, by all its clouds together */
};
int tg_outbox_each_device(struct tg_outbox *ob,
                          void (*each)(void *user, const struct tg_outbox_device_stats *d), void *user,
                          struct tg_error *err) TG_CHECKED;
/* PRAGMA integrity_check, then our own rules: bodies parse, seq without unexplained holes, accepted = acked +
 * dropped + pending for every device. Each finding is given to `say`. 0 = sound, TG_ECORRUPT. */
int tg_outbox_verify(struct tg_outbox *ob, void (*say)(void *user, const char *finding), void *user,
                     struct tg_error *err) TG_CHECKED;
/* Before rows are delivered that could not be stored (`beyond`), and when all of them are stored (not `beyond`): while the
 * mark is there, an open by another owner leaps, so that their numbers are not given again. No handle is needed; best
 * effort, since a disk that takes no write at all keeps no mark either. */
void tg_outbox_mark_beyond(const char *dir, bool beyond);
/* --- without being able to write: for an owner that has to begin with what it can read ----------------- */
/* What outbox.high says: no seq and no id above was ever given. False: it cannot be read. */
bool tg_outbox_numbers(const char *dir, uint64_t *ret_seq, uint64_t *ret_id);
/* Whether an open would get further than its lock. */
bool tg_outbox_may_write(const char *dir);
/* Opens for reading, also on a disk that is mounted read-only after a clean stop. Nobody may write meanwhile. */
int tg_outbox_look(const struct tg_outbox_options *o, struct tg_outbox **ret_outbox,
                   struct tg_error *err) TG_CHECKED;
/* Finds without creating. False: the device is not known. *ret_cursor is UINT32_MAX when there is none that is active. */
bool tg_outbox_find(struct tg_outbox *ob, const char *device, const char *cloud, uint32_t *ret_device,
                    uint32_t *ret_cursor);

const char *tg_outbox_device_name(const struct tg_outbox *ob, uint32_t device); /* NULL = unknown */

#endif
