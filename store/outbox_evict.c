/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * What leaves the log: rows that nobody waits for (trim, compaction), and rows that are evicted (limit, age,
 * full disk), counted in the transaction that deletes them.
 */
#include "store/outbox_private.h"

#include <stdio.h>

#define COMPACT_RUNS     256
#define ENFORCE_CHUNKS   64
#define MAKE_ROOM_CHUNKS 1024
#define TABLE_PAGES      16 /* of the database, beside rows */
#define SLACK_BYTES      (64 << 10)
#define ROOM_PART        4 /* of a full disk's database: what is used at most when it has room again */

/* Room that is kept free below the hard limit, for the largest usual transaction. */
static int64_t reserve_pages(const struct tg_outbox *ob)
{
    int64_t r = ob->quota_pages ? ob->quota_pages / 16 : 1024;
    return r < 8 ? 8 : r > 1024 ? 1024 : r;
}

/* What one transaction may delete: deleted rows go through the write-ahead log, which on a full disk cannot
 * grow. */
static uint64_t most_deleted_bytes(const struct tg_outbox *ob)
{
    int64_t reserve = reserve_pages(ob) * TG_OUTBOX_PAGE, wal = ob->wal_limit / 4;
    return (uint64_t)(wal < reserve ? wal : reserve);
}

/* --- rows that nobody waits for ---------------------------------------------------------------------------
 */

static int delete_range(struct tg_outbox *ob, uint64_t first, uint64_t last, uint64_t *ret_deleted,
                        struct tg_error *err)
{
    sqlite3_stmt *st = ob->st[ST_DELETE];
    (void)sqlite3_bind_int64(st, 1, (int64_t)first);
    (void)sqlite3_bind_int64(st, 2, (int64_t)last);
    int code = tg_outbox_run(ob, ST_DELETE, err, "deleting samples");
    if (code != TG_OK)
        return code;
    uint64_t n = (uint64_t)sqlite3_changes64(ob->db);
    ob->t.rows -= n < ob->t.rows ? n : ob->t.rows;
    *ret_deleted += n;
    if (first > ob->t.urgent_high)
        return TG_OK;
    st = ob->st[ST_URGENT_DROP];
    (void)sqlite3_bind_int64(st, 1, (int64_t)first);
    (void)sqlite3_bind_int64(st, 2, (int64_t)last);
    return tg_outbox_run(ob, ST_URGENT_DROP, err, "deleting samples");
}

static int find_oldest(struct tg_outbox *ob, struct tg_error *err)
{
    int rc = sqlite3_step(ob->st[ST_FIRST]), code = TG_OK;
    if (rc == SQLITE_ROW)
        ob->t.oldest_id = (uint64_t)sqlite3_column_int64(ob->st[ST_FIRST], 0);
    else if (rc == SQLITE_DONE)
        ob->t.oldest_id = ob->t.last_id + 1;
    else
        code = tg_outbox_fail(ob, rc, err, "looking for the oldest sample");
    (void)sqlite3_reset(ob->st[ST_FIRST]);
    return code;
}

/* Up to where nobody waits: for each device in floor_id, for all in the answer. Also forgets holes that every
 * cursor has passed. */
static int find_floors(struct tg_outbox *ob, uint64_t *ret_floor, uint64_t *ret_pending, struct tg_error *err)
{
    uint64_t floor = ob->t.mark_id, pending = 0;
    for (uint32_t i = 0; i < ob->device_count; i++) {
        struct tg_outbox_device_entry *d = &ob->devices[i];
        uint64_t low_seq = d->last_seq, most = 0, low_id = UINT64_MAX;
        for (uint32_t k = d->first_cursor; k != TG_OUTBOX_NONE && !(d->idle && d->holes == 0);
             k = ob->cursors[k].next) {
            const struct tg_outbox_cursor_entry *c = &ob->cursors[k];
            uint64_t rows = tg_outbox_pending(ob, c),
                     id = c->acked_id > d->hint_id ? c->acked_id : d->hint_id;
            if (!c->active)
                continue;
            if (c->acked_seq < low_seq)
                low_seq = c->acked_seq;
            if (rows > 0 && id < low_id)
                low_id = id;
            if (rows > most)
                most = rows;
        }
        d->floor_id = low_id;
        pending += most;
        if (low_id < floor)
            floor = low_id;
        if (d->holes > 0) {
            sqlite3_stmt *st = ob->st[ST_HOLE_DROP];
            struct tg_outbox_device_entry *t = tg_outbox_touch_device(ob, i);
            if (!t)
                return tg_error_set(err, TG_ENOMEM, "out of memory while deleting samples");
            (void)sqlite3_bind_int64(st, 1, i);
            (void)sqlite3_bind_int64(st, 2, (int64_t)low_seq);
            int code = tg_outbox_run(ob, ST_HOLE_DROP, err, "deleting samples");
            if (code != TG_OK)
                return code;
            t->holes -= (uint32_t)sqlite3_changes(ob->db);
        }
    }
    *ret_floor = floor;
    *ret_pending = pending;
    return TG_OK;
}

struct run {
    uint64_t first, last;
};

/* One step of a pass through the log that deletes, between rows somebody waits for, those that nobody does:
 * so that one device whose cloud is gone does not keep everybody's rows. */
static int compact_step(struct tg_outbox *ob, uint64_t cap, uint64_t *ret_deleted, struct tg_error *err)
{
    struct run runs[COMPACT_RUNS];
    sqlite3_stmt *st = ob->st[ST_SCAN];
    uint64_t seen = 0, last_id = ob->t.compact_to, before = ob->t.compact_id;
    int count = 0, rc, code = TG_OK;
    (void)sqlite3_bind_int64(st, 1, (int64_t)ob->t.compact_id + 1);
    (void)sqlite3_bind_int64(st, 2, (int64_t)ob->t.compact_to);
    (void)sqlite3_bind_int64(st, 3, (int64_t)cap);
    while ((rc = sqlite3_step(st)) == SQLITE_ROW) {
        uint64_t id = (uint64_t)sqlite3_column_int64(st, 0);
        int64_t device = sqlite3_column_int64(st, 1);
        if (id <= before || id > ob->t.compact_to) {
            rc = SQLITE_CORRUPT;
            break;
        }
        before = id;
        bool waste = device >= 0 && device < ob->device_count &&
                     (id <= ob->devices[device].floor_id ||
                      tg_outbox_covered(ob, &ob->devices[device], (uint64_t)sqlite3_column_int64(st, 2)));
        bool joins = count > 0 && runs[count - 1].last + 1 == id;
        if (waste && !joins && count == COMPACT_RUNS) {
            last_id = id - 1;
            break;
        }
        if (waste && !joins)
            runs[count++] = (struct run){id, id};
        else if (waste)
            runs[count - 1].last = id;
        if (++seen == cap)
            last_id = id;
    }
    if (rc != SQLITE_ROW && rc != SQLITE_DONE)
        code = tg_outbox_fail(ob, rc, err, "looking for samples to delete");
    (void)sqlite3_reset(st);
    for (int i = 0; i < count && code == TG_OK; i++)
        code = delete_range(ob, runs[i].first, runs[i].last, ret_deleted, err);
    ob->t.compact_id = last_id;
    return code;
}

/* Begins a pass when it is worth it: behind the end of the last one first, from the front when that did not
 * help. */
static void plan_compaction(struct tg_outbox *ob, uint64_t floor, uint64_t waste)
{
    if (ob->t.compact_id < floor)
        ob->t.compact_id = floor;
    if (ob->t.compact_id < ob->t.compact_to || waste < ob->compact_rows)
        return;
    if (ob->t.mark_id > ob->t.compact_id && ob->t.mark_id - ob->t.compact_id >= 2 * ob->compact_rows) {
        ob->t.compact_to = ob->t.mark_id;
    } else if (waste > ob->t.rows / 2) {
        ob->t.compact_id = floor;
        ob->t.compact_to = ob->t.mark_id;
    }
}

static int look_at_size(struct tg_outbox *ob, struct tg_error *err)
{
    int code = tg_outbox_pragma(ob, ST_PAGES, &ob->pages, err);
    if (code == TG_OK)
        code = tg_outbox_pragma(ob, ST_FREE_PAGES, &ob->free_pages, err);
    ob->bytes_since_check = 0;
    return code;
}

static int bound_by_bytes(struct tg_outbox *ob, uint64_t *cap, struct tg_error *err)
{
    int code = look_at_size(ob, err);
    uint64_t used = (uint64_t)(ob->pages - ob->free_pages) * TG_OUTBOX_PAGE;
    uint64_t most = 1 + most_deleted_bytes(ob) * ob->t.rows / (used + 1);
    if (most < *cap)
        *cap = most;
    return code;
}

int tg_outbox_trim(struct tg_outbox *ob, uint64_t cap, struct tg_error *err)
{
    uint64_t floor = 0, pending = 0, deleted = 0, to;
    int code = find_floors(ob, &floor, &pending, err);
    if (code == TG_OK && ob->disk_full)
        code = bound_by_bytes(ob, &cap, err);
    if (code != TG_OK)
        return code;
    if (ob->t.rows > 0 && ob->t.oldest_id <= floor) {
        to = ob->t.oldest_id + cap - 1 < floor ? ob->t.oldest_id + cap - 1 : floor;
        if ((code = delete_range(ob, ob->t.oldest_id, to, &deleted, err)) != TG_OK)
            return code;
        ob->t.oldest_id = to + 1;
        /* Numbers may have been left out: go to where the rows are. */
        if (deleted == 0 && (code = find_oldest(ob, err)) != TG_OK)
            return code;
    }
    uint64_t waste = ob->t.rows > pending ? ob->t.rows - pending : 0;
    bool more = ob->t.rows > 0 && ob->t.oldest_id <= floor;
    if (!more) {
        plan_compaction(ob, floor, waste);
        if (ob->t.compact_id < ob->t.compact_to && (code = compact_step(ob, cap, &deleted, err)) != TG_OK)
            return code;
        more = ob->t.compact_id < ob->t.compact_to;
    }
    ob->trim_more = more;
    ob->t.acked_since_trim = 0;
    return deleted > 0 ? tg_outbox_write_meta(ob, err) : TG_OK;
}

/* --- eviction ----------------------------------------------------------------------------------------------
 */

/* Takes one row out of the accounts: for every cursor that had not passed it nor acknowledged it ahead, it is dropped. */
static int drop_row(struct tg_outbox *ob, uint32_t device, uint64_t seq, uint64_t id,
                    enum tg_drop_reason reason, struct tg_error *err)
{
    bool missed = false;
    for (uint32_t i = ob->devices[device].first_cursor; i != TG_OUTBOX_NONE; i = ob->cursors[i].next) {
        if (!ob->cursors[i].active || ob->cursors[i].acked_seq >= seq)
            continue;
        uint64_t dropped = ob->cursors[i].dropped;
        int code = tg_outbox_advance(ob, i, seq, id, 1u << reason, err);
        if (code != TG_OK)
            return code;
        missed = missed || ob->cursors[i].dropped > dropped;
    }
    if (!missed)
        return TG_OK;
    struct tg_outbox_device_entry *d = tg_outbox_touch_device(ob, device);
    if (!d)
        return tg_error_set(err, TG_ENOMEM, "out of memory while evicting samples");
    tg_outbox_count_drops(ob, d, seq, seq, 1, reason);
    return TG_OK;
}

/* Drops the oldest rows up to id `upto`, at most `max_rows`. *ret_last is the last id that goes, 0 = none. */
static int drop_oldest(struct tg_outbox *ob, uint32_t max_rows, enum tg_drop_reason reason, uint64_t upto,
                       uint64_t *ret_last, bool *ret_done, struct tg_error *err)
{
    sqlite3_stmt *st = ob->st[ST_SCAN];
    uint32_t seen = 0;
    uint64_t last = 0, bytes = 0, max_bytes = most_deleted_bytes(ob);
    bool enough = false;
    int rc = SQLITE_DONE, code = TG_OK;
    (void)sqlite3_bind_int64(st, 1, 0);
    (void)sqlite3_bind_int64(st, 2, (int64_t)upto);
    (void)sqlite3_bind_int64(st, 3, (int64_t)max_rows);
    while (code == TG_OK && !enough && (rc = sqlite3_step(st)) == SQLITE_ROW) {
        uint64_t id = (uint64_t)sqlite3_column_int64(st, 0), seq = (uint64_t)sqlite3_column_int64(st, 2);
        int64_t device = sqlite3_column_int64(st, 1);
        if (id <= last || id > upto) {
            rc = SQLITE_CORRUPT;
            break;
        }
        last = id;
        bytes += (uint64_t)sqlite3_column_int64(st, 4);
        enough = ++seen == max_rows || bytes >= max_bytes;
        /* A damaged row belongs to nobody and goes without an entry. */
        if (device >= 0 && device < ob->device_count && seq <= ob->devices[device].last_seq)
            code = drop_row(ob, (uint32_t)device, seq, last, reason, err);
    }
    if (code == TG_OK && rc != SQLITE_DONE && rc != SQLITE_ROW)
        code = tg_outbox_fail(ob, rc, err, "evicting samples");
    (void)sqlite3_reset(st);
    *ret_last = last;
    *ret_done = !enough;
    return code;
}

/* One transaction; *ret_done when no row up to `upto` is left. */
static int evict_chunk(struct tg_outbox *ob, uint32_t max_rows, enum tg_drop_reason reason, uint64_t upto,
                       bool *ret_done, struct tg_error *err)
{
    uint64_t last = 0, deleted = 0;
    bool done = true;
    int code = tg_outbox_begin(ob, err);
    if (code != TG_OK)
        return code;
    code = drop_oldest(ob, max_rows, reason, upto, &last, &done, err);
    if (code == TG_OK && last > 0 && (code = delete_range(ob, 0, last, &deleted, err)) == TG_OK)
        ob->t.oldest_id = last + 1;
    if (code != TG_OK || last == 0) {
        tg_outbox_abort(ob);
    } else {
        code = tg_outbox_end(ob, true, err);
    }
    if (code == TG_OK)
        *ret_done = done;
    return code;
}

/* A transaction that only deletes what nobody waits for. */
static int trim_chunk(struct tg_outbox *ob, bool *ret_more, struct tg_error *err)
{
    int code = tg_outbox_begin(ob, err);
    if (code != TG_OK)
        return code;
    if ((code = tg_outbox_write_marks(ob, err)) != TG_OK ||
        (code = tg_outbox_trim(ob, 4 * TG_OUTBOX_EVICT_ROWS, err)) != TG_OK) {
        tg_outbox_abort(ob);
        return code;
    }
    if ((code = tg_outbox_end(ob, false, err)) == TG_OK)
        *ret_more = ob->trim_more;
    return code;
}

/* --- limits
 * ------------------------------------------------------------------------------------------------- */

static bool over(const struct tg_outbox *ob, int64_t reserve)
{
    return ob->quota_pages > 0 && ob->pages - ob->free_pages > ob->quota_pages - reserve;
}

/* Evicts until below the limit, `chunks` transactions at most. */
static int enforce_limit(struct tg_outbox *ob, int chunks, struct tg_error *err)
{
    bool more = true, done = false;
    int code = look_at_size(ob, err);
    while (code == TG_OK && over(ob, reserve_pages(ob)) && chunks-- > 0 && !done) {
        if (more)
            code = trim_chunk(ob, &more, err);
        else if (ob->o.when_full == TG_WHEN_FULL_DROP_NEWEST)
            break;
        else
            code = evict_chunk(ob, TG_OUTBOX_EVICT_ROWS, TG_DROP_LIMIT, ob->committed_id, &done, err);
        if (code == TG_OK)
            code = look_at_size(ob, err);
    }
    ob->over_limit = ob->o.when_full == TG_WHEN_FULL_DROP_NEWEST && over(ob, reserve_pages(ob));
    return code;
}

void tg_outbox_after_commit(struct tg_outbox *ob)
{
    uint64_t reserve = (uint64_t)reserve_pages(ob) * TG_OUTBOX_PAGE;
    if (ob->quota_pages == 0 || (ob->bytes_since_check < reserve / 4 && !ob->over_limit))
        return;
    /* What was committed is accepted, whatever happens here; a handle that breaks says so at the next call.
     */
    (void)enforce_limit(ob, 2 + (int)(ob->bytes_since_check / reserve), NULL);
}

/* Without ballast the database may only grow by what the disk holds beside the write-ahead log: a commit that
 * is accepted must not fail at its checkpoint. *ret_most: pages the file may have. */
static int bound_by_disk(struct tg_outbox *ob, int64_t *ret_most, struct tg_error *err)
{
    char sql[64];
    int code = look_at_size(ob, err);
    if (code != TG_OK)
        return code;
    int64_t wal_to_come = ob->wal_limit - tg_outbox_wal_bytes(ob);
    /* Pages that are in the log only: the file grows by them at the next checkpoint. */
    int64_t file_to_come = ob->pages * TG_OUTBOX_PAGE - tg_outbox_database_bytes(ob);
    int64_t spare = tg_outbox_disk_free(ob) - (wal_to_come > 0 ? wal_to_come : 0) -
                    (file_to_come > 0 ? file_to_come : 0) - SLACK_BYTES;
    int64_t most = ob->pages + (spare > 0 ? spare / TG_OUTBOX_PAGE : 0);
    if (ob->quota_pages > 0 && most > ob->quota_pages)
        most = ob->quota_pages;
    snprintf(sql, sizeof sql, "PRAGMA max_page_count=%lld", (long long)(most < INT32_MAX ? most : INT32_MAX));
    if ((code = tg_outbox_exec(ob, sql, err)) == TG_OK)
        *ret_most = ob->most_pages = most;
    return code;
}

bool tg_outbox_has_room(struct tg_outbox *ob)
{
    if (!ob->disk_full)
        return true;
    if (look_at_size(ob, NULL) != TG_OK)
        return false;
    /* Rows nobody waits for any more are room: the next transactions delete them. */
    double used = (double)(ob->pages - ob->free_pages - TABLE_PAGES);
    if (ob->t.rows > 0)
        used = used * (double)tg_outbox_pending_rows(ob) / (double)ob->t.rows;
    return used * ROOM_PART <= (double)ob->most_pages;
}

int tg_outbox_bound(struct tg_outbox *ob, struct tg_error *err)
{
    char sql[64];
    int64_t most = 0;
    ob->disk_full = !tg_outbox_ballast_make(ob);
    if (ob->disk_full)
        return bound_by_disk(ob, &most, err);
    snprintf(sql, sizeof sql, "PRAGMA max_page_count=%lld",
             ob->quota_pages ? (long long)ob->quota_pages : 4294967294LL);
    return tg_outbox_exec(ob, sql, err);
}

int tg_outbox_enforce(struct tg_outbox *ob, int64_t wall_ms, struct tg_error *err)
{
    int code = TG_OK;
    bool done = false;
    if (ob->tx != TG_OUTBOX_TX_NONE)
        return tg_error_set(err, TG_ESTATE, "limits are enforced outside of transactions");
    if (ob->disk_full && (code = tg_outbox_bound(ob, err)) != TG_OK)
        return code;
    if ((code = tg_outbox_care_timeline(ob, err)) == TG_OK) {
        uint64_t expired = 0;
        code = tg_outbox_too_old(ob, ob->o.max_age_ms, wall_ms, &expired, err);
        while (code == TG_OK && !done && expired > 0)
            code = evict_chunk(ob, TG_OUTBOX_EVICT_ROWS, TG_DROP_AGE, expired, &done, err);
    }
    if (code == TG_OK)
        code = tg_outbox_quota_enforce(ob, wall_ms, err);
    return code == TG_OK ? enforce_limit(ob, ENFORCE_CHUNKS, err) : code;
}

/* Gives up the ballast, so that a checkpoint can make the database grow. */
static int prepare_full_disk(struct tg_outbox *ob, int64_t *ret_most, struct tg_error *err)
{
    (void)tg_outbox_ballast_drop(ob);
    ob->disk_full = true;
    /* RESTART, not TRUNCATE: the log keeps the space it has. */
    int rc = sqlite3_wal_checkpoint_v2(ob->db, NULL, SQLITE_CHECKPOINT_RESTART, NULL, NULL);
    if (rc != SQLITE_OK && rc != SQLITE_BUSY)
        return tg_outbox_fail(ob, rc, err, "copying the write-ahead log into the database on a full disk");
    /* The log begins anew, and with it what was put off while checkpoints failed; with a reader in the way it grows on. */
    if (rc == SQLITE_OK)
        ob->wal_next_frames = ob->wal_soft_frames;
    ob->trouble.code = TG_OK;
    return bound_by_disk(ob, ret_most, err);
}

static int no_room(const struct tg_outbox *ob, size_t need_bytes, struct tg_error *err)
{
    return tg_error_set(err, TG_ENOSPACE, "%s: no room for %zu more bytes%s", ob->path, need_bytes,
                        ob->o.when_full == TG_WHEN_FULL_DROP_NEWEST ? " (when_full: drop-newest)" : "");
}

int tg_outbox_make_room(struct tg_outbox *ob, size_t need_bytes, struct tg_error *err)
{
    /* A row fills its page to two thirds at worst; a few pages for the tables' own. */
    int64_t need = (int64_t)(need_bytes + need_bytes / 2) / TG_OUTBOX_PAGE + TABLE_PAGES,
            most = ob->quota_pages;
    bool more = true, done = false, full;
    int code;
    if (ob->tx == TG_OUTBOX_TX_OPEN)
        return tg_error_set(err, TG_ESTATE, "room is made outside of transactions");
    ob->tx = TG_OUTBOX_TX_NONE;
    if (ob->dead || ob->o.read_only)
        return tg_outbox_begin(ob, err);
    if ((code = look_at_size(ob, err)) != TG_OK)
        return code;
    /* Our own limit, or the disk's? */
    full = ob->quota_pages == 0 || ob->quota_pages - (ob->pages - ob->free_pages) >= need ||
           ob->trouble.code == TG_ENOSPACE;
    if (full && (code = prepare_full_disk(ob, &most, err)) != TG_OK)
        return code;
    for (int i = 0; i < MAKE_ROOM_CHUNKS && code == TG_OK; i++) {
        if ((code = look_at_size(ob, err)) != TG_OK)
            break;
        if (most - (ob->pages - ob->free_pages) >= need) {
            ob->over_limit = false;
            return TG_OK;
        }
        /* Evicting everything would not do. */
        if (most < need + TABLE_PAGES)
            break;
        if (more)
            code = trim_chunk(ob, &more, err);
        else if (done || ob->o.when_full == TG_WHEN_FULL_DROP_NEWEST)
            break;
        else
            code = evict_chunk(ob, TG_OUTBOX_EVICT_ROWS, full ? TG_DROP_DISK_FULL : TG_DROP_LIMIT,
                               ob->committed_id, &done, err);
        if (code == TG_ENOSPACE && full)
            code = prepare_full_disk(ob, &most, err);
    }
    return code == TG_OK ? no_room(ob, need_bytes, err) : code;
}
