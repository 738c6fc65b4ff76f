/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * Statements and transactions of the outbox: what memory says is put back when the database did not take it.
 */
#include "store/outbox_private.h"

#include <stdio.h>

#include "core/base/allocator.h"
#include "core/base/clock.h"

static const char *const statements[ST_COUNT] = {
    [ST_BEGIN] = "BEGIN IMMEDIATE",
    [ST_COMMIT] = "COMMIT",
    [ST_ROLLBACK] = "ROLLBACK",
    [ST_INSERT] = "INSERT INTO log(id, device, seq, time_ms, body) VALUES(?1, ?2, ?3, ?4, ?5)",
    [ST_CURSOR] =
        "UPDATE cursor SET active=?2, base_seq=?3, acked_seq=?4, acked_id=?5, dropped=?6, skipped=?7,"
        " gap_first=?8, gap_last=?9, gap_count=?10, gap_reason=?11,"
        " tell_seq=?12, tell_first=?13, tell_last=?14, tell_count=?15, tell_reason=?16"
        " WHERE id=?1",
    [ST_MARK] =
        "UPDATE mark SET last_seq=?2, last_id=?3, drop_limit=?4, drop_age=?5, drop_disk=?6,"
        " drop_quarantine=?7, drop_quota=?8, drop_removed=?9, gap_first=?10, gap_last=?11 WHERE device=?1",
    [ST_META] = "UPDATE meta SET mark_id=?1, rows=?2, appended=?3 WHERE id=1",
    [ST_DELETE] = "DELETE FROM log WHERE id>=?1 AND id<=?2",
    [ST_READ] = "SELECT id, device, seq, time_ms, body FROM log WHERE id>=?1 AND id<=?2 ORDER BY id",
    [ST_SCAN] =
        "SELECT id, device, seq, time_ms, length(body) FROM log WHERE id>=?1 AND id<=?2 ORDER BY id LIMIT ?3",
    [ST_FIND_DEVICE] = "SELECT id FROM device WHERE name=?1",
    [ST_FIRST] = "SELECT id, time_ms FROM log ORDER BY id LIMIT 1",
    [ST_HOLE_ADD] = "INSERT INTO hole(device, first_seq, last_seq) VALUES(?1, ?2, ?3)",
    /* Holes lie strictly between stored numbers, so none straddles the number of a row. */
    [ST_HOLE_SUM] = "SELECT coalesce(sum(min(last_seq, ?3) - max(first_seq, ?2 + 1) + 1), 0) FROM hole"
                    " WHERE device=?1 AND first_seq<=?3 AND last_seq>?2",
    [ST_HOLE_DROP] = "DELETE FROM hole WHERE device=?1 AND last_seq<=?2",
    [ST_HOLE_FIRST] =
        "SELECT first_seq, last_seq FROM hole WHERE device=?1 AND last_seq>=?2 AND first_seq<=?3"
        " ORDER BY first_seq LIMIT 1",
    [ST_HOLE_LIST] = "SELECT first_seq, last_seq FROM hole WHERE device=?1 AND last_seq>?2"
                     " ORDER BY first_seq LIMIT ?3",
    [ST_PAGES] = "PRAGMA page_count",
    [ST_FREE_PAGES] = "PRAGMA freelist_count",
    [ST_AHEAD_PUT] =
        "INSERT OR REPLACE INTO ahead(cursor, first_seq, last_seq, last_id) VALUES(?1, ?2, ?3, ?4)",
    [ST_AHEAD_DROP] = "DELETE FROM ahead WHERE cursor=?1 AND first_seq=?2",
    [ST_URGENT_ADD] = "INSERT INTO urgent(id, device) VALUES(?1, ?2)",
    [ST_URGENT_DROP] = "DELETE FROM urgent WHERE id>=?1 AND id<=?2",
    [ST_URGENT_IS] = "SELECT 1 FROM urgent WHERE id=?1",
    [ST_URGENT_READ] =
        "SELECT l.id, l.device, l.seq, l.time_ms, l.body FROM urgent u CROSS JOIN log l ON l.id=u.id"
        " WHERE u.id>=?1 AND u.id<=?2 ORDER BY u.id",
};

int tg_outbox_prepare(struct tg_outbox *ob, struct tg_error *err)
{
    for (int i = 0; i < ST_COUNT; i++) {
        /* Nor could what writes be prepared on the views of an older version. */
        if (ob->o.read_only && strncmp(statements[i], "SELECT", 6) != 0 &&
            strncmp(statements[i], "PRAGMA", 6) != 0)
            continue;
        int rc = sqlite3_prepare_v3(ob->db, statements[i], -1, SQLITE_PREPARE_PERSISTENT, &ob->st[i], NULL);
        if (rc == SQLITE_ERROR) /* a table or column is not there */
            return tg_error_set(err, TG_ECORRUPT, "%s: %s", ob->path, sqlite3_errmsg(ob->db));
        if (rc != SQLITE_OK)
            return tg_outbox_fail(ob, rc, err, "preparing a statement");
    }
    return TG_OK;
}

void tg_outbox_finalize(struct tg_outbox *ob)
{
    for (int i = 0; i < ST_COUNT; i++) {
        (void)sqlite3_finalize(ob->st[i]);
        ob->st[i] = NULL;
    }
}

int tg_outbox_fail(struct tg_outbox *ob, int rc, struct tg_error *err, const char *what)
{
    int code = tg_schema_code(ob->db, rc);
    if (code == TG_ECORRUPT) {
        tg_outbox_suspect(ob);
        return tg_error_set(err, code, "%s: %s: %s (%d)" TG_OUTBOX_CHECKED_LATER, ob->path, what,
                            sqlite3_errmsg(ob->db), rc);
    }
    if ((rc & 0xff) == SQLITE_INTERRUPT) /* tg_outbox_give_way() */
        return tg_error_set(err, TG_ENOSPACE,
                            "%s: the disk has become full while it was being read, and who reads on keeps "
                            "the gateway from storing: given up; try again when there is space",
                            ob->path);
    /* SQLite's words for whatever the system refused are always the same. */
    int refused =
        (rc & 0xff) == SQLITE_CANTOPEN || (rc & 0xff) == SQLITE_IOERR ? sqlite3_system_errno(ob->db) : 0;
    return tg_error_set(err, code, "%s: %s: %s (%d)%s%s", ob->path, what, sqlite3_errmsg(ob->db), rc,
                        refused ? ": " : "", refused ? strerror(refused) : "");
}

int tg_outbox_run(struct tg_outbox *ob, enum tg_outbox_statement st, struct tg_error *err, const char *what)
{
    int rc = sqlite3_step(ob->st[st]);
    int code = rc == SQLITE_DONE || rc == SQLITE_ROW ? TG_OK : tg_outbox_fail(ob, rc, err, what);
    (void)sqlite3_reset(ob->st[st]);
    return code;
}

int tg_outbox_exec(struct tg_outbox *ob, const char *sql, struct tg_error *err)
{
    int rc = sqlite3_exec(ob->db, sql, NULL, NULL, NULL);
    return rc == SQLITE_OK ? TG_OK : tg_outbox_fail(ob, rc, err, sql);
}

int tg_outbox_pragma(struct tg_outbox *ob, enum tg_outbox_statement st, int64_t *ret, struct tg_error *err)
{
    int rc = sqlite3_step(ob->st[st]);
    int64_t value = rc == SQLITE_ROW ? sqlite3_column_int64(ob->st[st], 0) : 0;
    int code = rc == SQLITE_ROW ? TG_OK : tg_outbox_fail(ob, rc, err, "asking for the size");
    (void)sqlite3_reset(ob->st[st]);
    if (code == TG_OK)
        *ret = value;
    return code;
}

/* --- what a transaction changed in memory ------------------------------------------------------------- */

static struct tg_outbox_undo *undo_slot(struct tg_outbox *ob)
{
    if (ob->undo_count == ob->undo_cap) {
        uint32_t cap = ob->undo_cap ? ob->undo_cap * 2 : 64;
        struct tg_outbox_undo *undo = tg_realloc(ob->undo, cap * sizeof *undo);
        if (!undo)
            return NULL;
        ob->undo = undo;
        ob->undo_cap = cap;
    }
    return &ob->undo[ob->undo_count++];
}

/* NULL when out of memory; nothing has changed then. */
struct tg_outbox_device_entry *tg_outbox_touch_device(struct tg_outbox *ob, uint32_t device)
{
    struct tg_outbox_device_entry *d = &ob->devices[device];
    if (d->undo == 0) {
        struct tg_outbox_undo *u = undo_slot(ob);
        if (!u)
            return NULL;
        u->is_cursor = false;
        u->index = device;
        u->was.device = *d;
        d->undo = ob->undo_count;
    }
    return d;
}

struct tg_outbox_cursor_entry *tg_outbox_touch_cursor(struct tg_outbox *ob, uint32_t cursor)
{
    struct tg_outbox_cursor_entry *c = &ob->cursors[cursor];
    if (c->undo == 0) {
        struct tg_outbox_undo *u = undo_slot(ob);
        if (!u)
            return NULL;
        /* The runs that were stay as they are: what changes is a copy of them. */
        struct tg_runs ahead = {0};
        if (tg_runs_copy(&ahead, &c->ahead) < 0) {
            ob->undo_count--;
            return NULL;
        }
        u->is_cursor = true;
        u->index = cursor;
        u->was.cursor = *c;
        c->ahead = ahead;
        c->undo = ob->undo_count;
    }
    return c;
}

static void forget_undo(struct tg_outbox *ob, bool restore)
{
    for (uint32_t i = 0; i < ob->undo_count; i++) {
        struct tg_outbox_undo *u = &ob->undo[i];
        if (u->is_cursor) {
            tg_runs_fini(restore ? &ob->cursors[u->index].ahead : &u->was.cursor.ahead);
            if (restore)
                ob->cursors[u->index] = u->was.cursor;
            ob->cursors[u->index].undo = 0;
        } else {
            if (restore)
                ob->devices[u->index] = u->was.device;
            ob->devices[u->index].undo = 0;
        }
    }
    ob->undo_count = 0;
}

/* --- transactions ----------------------------------------------------------------------------------------
 */

int tg_outbox_begin(struct tg_outbox *ob, struct tg_error *err)
{
    int code;
    if (ob->dead)
        return tg_error_set(
            err, TG_EUNKNOWN,
            "%s: an earlier commit failed with unknown outcome: close the outbox and open it again",
            ob->path);
    if (ob->o.read_only)
        return tg_error_set(err, TG_ESTATE, "%s is open for reading only", ob->path);
    ob->tx_synced = ob->o.durability != TG_DURABILITY_NORMAL;
    if (!ob->tx_synced && ob->rows_since_sync >= TG_OUTBOX_SYNC_ROWS) {
        if ((code = tg_outbox_exec(ob, "PRAGMA synchronous=FULL", err)) != TG_OK)
            return code;
        ob->tx_synced = true;
    }
    if ((code = tg_outbox_run(ob, ST_BEGIN, err, "beginning a transaction")) != TG_OK)
        return code;
    ob->saved = ob->t;
    ob->t.tx_rows = ob->t.tx_acked = ob->t.tx_bytes = 0;
    ob->t.boot_noted = false;
    ob->tx = TG_OUTBOX_TX_OPEN;
    return TG_OK;
}

void tg_outbox_abort(struct tg_outbox *ob)
{
    /* SQLite rolls back by itself after some errors. */
    if (!sqlite3_get_autocommit(ob->db)) {
        (void)sqlite3_step(ob->st[ST_ROLLBACK]);
        (void)sqlite3_reset(ob->st[ST_ROLLBACK]);
        if (!sqlite3_get_autocommit(ob->db))
            ob->dead = true;
    }
    if (ob->tx == TG_OUTBOX_TX_OPEN) {
        forget_undo(ob, true);
        ob->gap_serial++;
        if (ob->t.boot_noted)
            ob->timeline = ob->timeline_saved;
        ob->t = ob->saved;
    }
    ob->tx = TG_OUTBOX_TX_NONE;
}

static void bind_gap(sqlite3_stmt *st, int first, const struct tg_gap *gap)
{
    (void)sqlite3_bind_int64(st, first, (int64_t)gap->first_seq);
    (void)sqlite3_bind_int64(st, first + 1, (int64_t)gap->last_seq);
    (void)sqlite3_bind_int64(st, first + 2, (int64_t)gap->count);
    (void)sqlite3_bind_int64(st, first + 3, gap->reasons);
}

static int write_cursors(struct tg_outbox *ob, struct tg_error *err)
{
    int code = TG_OK;
    for (uint32_t i = 0; i < ob->undo_count && code == TG_OK; i++) {
        const struct tg_outbox_undo *u = &ob->undo[i];
        if (!u->is_cursor)
            continue;
        const struct tg_outbox_cursor_entry *c = &ob->cursors[u->index];
        sqlite3_stmt *st = ob->st[ST_CURSOR];
        (void)sqlite3_bind_int64(st, 1, u->index);
        (void)sqlite3_bind_int(st, 2, c->active);
        (void)sqlite3_bind_int64(st, 3, (int64_t)c->base_seq);
        (void)sqlite3_bind_int64(st, 4, (int64_t)c->acked_seq);
        (void)sqlite3_bind_int64(st, 5, (int64_t)c->acked_id);
        (void)sqlite3_bind_int64(st, 6, (int64_t)c->dropped);
        (void)sqlite3_bind_int64(st, 7, (int64_t)c->skipped);
        bind_gap(st, 8, &c->gap);
        (void)sqlite3_bind_int64(st, 12, (int64_t)c->tell_seq);
        bind_gap(st, 13, &c->tell);
        code = tg_outbox_run(ob, ST_CURSOR, err, "storing a cursor");
        if (code == TG_OK && (u->was.cursor.ahead.count > 0 || c->ahead.count > 0))
            code = tg_outbox_write_ahead(ob, u->index, &u->was.cursor.ahead, &c->ahead, err);
    }
    return code;
}

int tg_outbox_write_meta(struct tg_outbox *ob, struct tg_error *err)
{
    sqlite3_stmt *st = ob->st[ST_META];
    (void)sqlite3_bind_int64(st, 1, (int64_t)ob->t.mark_id);
    (void)sqlite3_bind_int64(st, 2, (int64_t)(ob->t.rows - ob->t.rows_since_mark));
    (void)sqlite3_bind_int64(st, 3, (int64_t)(ob->t.appended - ob->t.rows_since_mark));
    return tg_outbox_run(ob, ST_META, err, "storing the marks");
}

int tg_outbox_write_marks(struct tg_outbox *ob, struct tg_error *err)
{
    for (uint32_t i = 0; i < ob->device_count; i++) {
        int code;
        if (!ob->devices[i].dirty)
            continue;
        struct tg_outbox_device_entry *d = tg_outbox_touch_device(ob, i);
        if (!d)
            return tg_error_set(err, TG_ENOMEM, "out of memory while storing the marks");
        sqlite3_stmt *st = ob->st[ST_MARK];
        (void)sqlite3_bind_int64(st, 1, i);
        (void)sqlite3_bind_int64(st, 2, (int64_t)d->last_seq);
        (void)sqlite3_bind_int64(st, 3, (int64_t)d->last_id);
        for (int r = 0; r < TG_DROP_REASONS; r++)
            (void)sqlite3_bind_int64(st, 4 + r, (int64_t)d->dropped[r]);
        (void)sqlite3_bind_int64(st, 4 + TG_DROP_REASONS, (int64_t)d->gap_first);
        (void)sqlite3_bind_int64(st, 5 + TG_DROP_REASONS, (int64_t)d->gap_last);
        if ((code = tg_outbox_run(ob, ST_MARK, err, "storing a mark")) != TG_OK)
            return code;
        d->dirty = false;
    }
    ob->t.mark_id = ob->t.last_id;
    ob->t.rows_since_mark = 0;
    ob->t.must_mark = false;
    return tg_outbox_write_meta(ob, err);
}

int tg_outbox_end(struct tg_outbox *ob, bool mark, struct tg_error *err)
{
    int code = write_cursors(ob, err), rc;
    if (code == TG_OK && mark)
        code = tg_outbox_write_marks(ob, err);
    if (code != TG_OK) {
        tg_outbox_abort(ob);
        return code;
    }
    rc = sqlite3_step(ob->st[ST_COMMIT]);
    if (rc != SQLITE_DONE) {
        code = tg_outbox_fail(ob, rc, err, "committing");
        (void)sqlite3_reset(ob->st[ST_COMMIT]);
        tg_outbox_abort(ob);
        if (code == TG_ENOSPACE || code == TG_EBUSY)
            return code;
        ob->dead = true;
        return tg_error_set(
            err, TG_EUNKNOWN,
            "%s: a commit failed (%s, %d): whether it is stored is unknown; the outbox must be opened "
            "again to see",
            ob->path, sqlite3_errstr(rc), rc);
    }
    (void)sqlite3_reset(ob->st[ST_COMMIT]);
    forget_undo(ob, false);
    ob->tx = TG_OUTBOX_TX_NONE;
    ob->committed_id = ob->t.last_id;
    ob->rows_since_sync = ob->tx_synced ? 0 : ob->rows_since_sync + ob->t.tx_rows;
    ob->bytes_since_check += ob->t.tx_bytes;
    if (ob->tx_synced && ob->o.durability == TG_DURABILITY_NORMAL)
        (void)sqlite3_exec(ob->db, "PRAGMA synchronous=NORMAL", NULL, NULL, NULL);
    if (ob->wal_frames >= ob->wal_next_frames)
        tg_outbox_checkpoint(ob);
    return TG_OK;
}

/* Copies the write-ahead log into the database. The next writer then begins the log anew, unless a reader
 * still needs it: then it is tried again when the log has grown by half the bound. */
void tg_outbox_checkpoint(struct tg_outbox *ob)
{
    int in_log = 0, done = 0;
    int64_t start_us = tg_clock_mono_us(), us;
    int rc = sqlite3_wal_checkpoint_v2(ob->db, NULL, SQLITE_CHECKPOINT_PASSIVE, &in_log, &done);
    us = tg_clock_mono_us() - start_us;
    if (us > ob->worst_checkpoint_us)
        ob->worst_checkpoint_us = us;
    if (rc == SQLITE_OK) {
        ob->trouble.code = TG_OK;
        ob->rows_since_sync = 0;
    } else if (rc != SQLITE_BUSY) {
        (void)tg_outbox_fail(ob, rc, &ob->trouble, "copying the write-ahead log into the database");
    }
    ob->wal_next_frames =
        rc == SQLITE_OK && in_log == done ? ob->wal_soft_frames : ob->wal_frames + ob->wal_soft_frames / 2;
}
