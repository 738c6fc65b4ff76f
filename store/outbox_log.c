/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * The log: append, move a cursor, commit, read.
 */
#include "store/outbox_private.h"

int tg_outbox_fail_tx(struct tg_outbox *ob, int code)
{
    if (ob->tx == TG_OUTBOX_TX_OPEN)
        tg_outbox_abort(ob);
    ob->tx = TG_OUTBOX_TX_FAILED;
    ob->tx_code = code;
    return code;
}

int tg_outbox_join(struct tg_outbox *ob, struct tg_error *err)
{
    if (ob->tx == TG_OUTBOX_TX_OPEN)
        return TG_OK;
    if (ob->tx == TG_OUTBOX_TX_FAILED)
        return tg_error_set(err, ob->tx_code,
                            "%s: this transaction has failed before (%s); nothing of it is stored", ob->path,
                            tg_code_text(ob->tx_code));
    int code = tg_outbox_begin(ob, err);
    return code == TG_OK ? TG_OK : tg_outbox_fail_tx(ob, code);
}

uint64_t tg_outbox_pending(const struct tg_outbox *ob, const struct tg_outbox_cursor_entry *c)
{
    return ob->devices[c->device].last_seq - c->acked_seq - c->holes_ahead - c->ahead.rows;
}

bool tg_outbox_idle(const struct tg_outbox *ob, const struct tg_outbox_device_entry *d)
{
    for (uint32_t i = d->first_cursor; i != TG_OUTBOX_NONE; i = ob->cursors[i].next) {
        if (ob->cursors[i].active && tg_outbox_pending(ob, &ob->cursors[i]) > 0)
            return false;
    }
    return true;
}

/* --- append
 * -------------------------------------------------------------------------------------------------- */

/* Records that the numbers from the device's last one up to `last_seq` were never stored. */
int tg_outbox_hole(struct tg_outbox *ob, uint32_t device, uint64_t last_seq, struct tg_error *err)
{
    struct tg_outbox_device_entry *d = tg_outbox_touch_device(ob, device);
    sqlite3_stmt *st = ob->st[ST_HOLE_ADD];
    uint64_t first_seq, n;
    int code;
    if (!d)
        return tg_error_set(err, TG_ENOMEM, "out of memory");
    first_seq = d->last_seq + 1;
    n = last_seq - d->last_seq;
    (void)sqlite3_bind_int64(st, 1, device);
    (void)sqlite3_bind_int64(st, 2, (int64_t)first_seq);
    (void)sqlite3_bind_int64(st, 3, (int64_t)last_seq);
    if ((code = tg_outbox_run(ob, ST_HOLE_ADD, err, "recording numbers that were not stored")) != TG_OK)
        return code;
    d->holes++;
    d->last_seq = last_seq;
    d->dirty = true;
    for (uint32_t i = d->first_cursor; i != TG_OUTBOX_NONE; i = ob->cursors[i].next) {
        struct tg_outbox_cursor_entry *c = tg_outbox_touch_cursor(ob, i);
        if (!c)
            return tg_error_set(err, TG_ENOMEM, "out of memory");
        c->holes_ahead += n;
    }
    return TG_OK;
}

static int check_row(const struct tg_outbox *ob, const struct tg_outbox_row *row, struct tg_error *err)
{
    if (row->device >= ob->device_count)
        return tg_error_set(err, TG_EINVAL, "device number %u is not declared", row->device);
    if (row->body.len > TG_OUTBOX_BODY_MAX)
        return tg_error_set(err, TG_ETOOBIG, "a sample of %zu bytes; the most is %d", row->body.len,
                            TG_OUTBOX_BODY_MAX);
    if (row->id <= ob->t.last_id || row->id > INT64_MAX || row->seq <= ob->devices[row->device].last_seq ||
        row->seq > INT64_MAX)
        return tg_error_set(
            err, TG_EINVAL, "id %llu or seq %llu of device %s does not rise (they are at %llu and %llu)",
            (unsigned long long)row->id, (unsigned long long)row->seq, ob->devices[row->device].name,
            (unsigned long long)ob->t.last_id, (unsigned long long)ob->devices[row->device].last_seq);
    if (ob->t.tx_rows >= TG_OUTBOX_TX_ROWS)
        return tg_error_set(err, TG_EFULL, "a transaction holds at most %d rows", TG_OUTBOX_TX_ROWS);
    if (ob->over_limit)
        return tg_error_set(err, TG_ENOSPACE,
                            "%s has reached its limit and keeps what it has (when_full: drop-newest)",
                            ob->path);
    /* A full disk at once: what the log gathers by then, the ballast has to have room for. */
    if (ob->trouble.code == TG_ENOSPACE ||
        (ob->trouble.code != TG_OK && ob->wal_frames > 8 * ob->wal_soft_frames))
        return tg_error_set(err, ob->trouble.code, "%s", ob->trouble.text);
    return TG_OK;
}

static int add_urgent(struct tg_outbox *ob, const struct tg_outbox_row *row, struct tg_error *err)
{
    sqlite3_stmt *st = ob->st[ST_URGENT_ADD];
    (void)sqlite3_bind_int64(st, 1, (int64_t)row->id);
    (void)sqlite3_bind_int64(st, 2, row->device);
    ob->t.urgent_high = row->id;
    return tg_outbox_run(ob, ST_URGENT_ADD, err, "storing that a sample has priority");
}

static int append(struct tg_outbox *ob, const struct tg_outbox_row *row, bool urgent, struct tg_error *err)
{
    int code = tg_outbox_join(ob, err);
    if (code != TG_OK)
        return code;
    if ((code = check_row(ob, row, err)) != TG_OK)
        return tg_outbox_fail_tx(ob, code);
    struct tg_outbox_device_entry *d = tg_outbox_touch_device(ob, row->device);
    if (!d)
        return tg_outbox_fail_tx(ob, tg_error_set(err, TG_ENOMEM, "out of memory while storing a sample"));
    if (row->seq > d->last_seq + 1 && (code = tg_outbox_hole(ob, row->device, row->seq - 1, err)) != TG_OK)
        return tg_outbox_fail_tx(ob, code);
    if (tg_sample_is_unstamped(row->body) && (code = tg_outbox_note_boot(ob, row, err)) != TG_OK)
        return tg_outbox_fail_tx(ob, code);
    tg_outbox_high_reserve(ob, row->seq, row->id);

    sqlite3_stmt *st = ob->st[ST_INSERT];
    (void)sqlite3_bind_int64(st, 1, (int64_t)row->id);
    (void)sqlite3_bind_int64(st, 2, row->device);
    (void)sqlite3_bind_int64(st, 3, (int64_t)row->seq);
    (void)sqlite3_bind_int64(st, 4, row->time_ms);
    /* A null pointer would store NULL. */
    (void)sqlite3_bind_blob(st, 5, row->body.len ? (const void *)row->body.data : "", (int)row->body.len,
                            SQLITE_STATIC);
    code = tg_outbox_run(ob, ST_INSERT, err, "storing a sample");
    if (code != TG_OK)
        return tg_outbox_fail_tx(ob, code);
    if (urgent && (code = add_urgent(ob, row, err)) != TG_OK)
        return tg_outbox_fail_tx(ob, code);
    if (d->idle) {
        d->idle = false;
        d->hint_id = row->id - 1;
    }
    d->last_seq = row->seq;
    d->last_id = row->id;
    d->dirty = true;
    if (ob->t.rows == 0)
        ob->t.oldest_id = row->id;
    ob->t.last_id = row->id;
    ob->t.rows++;
    ob->t.rows_since_mark++;
    ob->t.appended++;
    ob->t.tx_rows++;
    ob->t.quota_rows++;
    ob->t.tx_bytes += row->body.len + 32;
    return TG_OK;
}

int tg_outbox_append(struct tg_outbox *ob, const struct tg_outbox_row *row, struct tg_error *err)
{
    return append(ob, row, false, err);
}

int tg_outbox_append_urgent(struct tg_outbox *ob, const struct tg_outbox_row *row, struct tg_error *err)
{
    return append(ob, row, true, err);
}

/* --- cursors
 * -------------------------------------------------------------------------------------------------- */

int tg_outbox_sum_holes(struct tg_outbox *ob, uint32_t device, uint64_t above, uint64_t upto,
                        uint64_t *ret_sum, struct tg_error *err)
{
    sqlite3_stmt *st = ob->st[ST_HOLE_SUM];
    (void)sqlite3_bind_int64(st, 1, device);
    (void)sqlite3_bind_int64(st, 2, (int64_t)above);
    (void)sqlite3_bind_int64(st, 3, (int64_t)upto);
    int rc = sqlite3_step(st), code = TG_OK;
    if (rc == SQLITE_ROW)
        *ret_sum = (uint64_t)sqlite3_column_int64(st, 0);
    else
        code = tg_outbox_fail(ob, rc, err, "looking for numbers that were not stored");
    (void)sqlite3_reset(st);
    return code;
}

int tg_outbox_rows_to(struct tg_outbox *ob, uint32_t cursor, uint64_t seq, uint64_t *ret_rows,
                      struct tg_error *err)
{
    const struct tg_outbox_cursor_entry *c = &ob->cursors[cursor];
    uint64_t holes = 0;
    int code = TG_OK;
    if (seq <= c->acked_seq) {
        *ret_rows = 0;
        return TG_OK;
    }
    if (c->holes_ahead > 0)
        code = tg_outbox_sum_holes(ob, c->device, c->acked_seq, seq, &holes, err);
    if (code == TG_OK)
        *ret_rows = seq - c->acked_seq - holes - tg_runs_between(&c->ahead, c->acked_seq + 1, seq);
    return code;
}

void tg_outbox_settle_tell(struct tg_outbox *ob, struct tg_outbox_cursor_entry *c, bool heard)
{
    if (c->tell_seq == 0 || c->tell_seq > c->acked_seq)
        return;
    if (heard)
        tg_gap_subtract(&c->gap, &c->tell);
    c->tell_seq = 0;
    c->tell = (struct tg_gap){0};
    ob->gap_serial++;
}

int tg_outbox_advance(struct tg_outbox *ob, uint32_t cursor, uint64_t seq, uint64_t id, uint32_t reasons,
                      struct tg_error *err)
{
    struct tg_outbox_cursor_entry *c = &ob->cursors[cursor];
    struct tg_outbox_device_entry *d = &ob->devices[c->device];
    uint64_t passed, missed, holes = 0;
    bool heard;
    int code;
    if (seq > d->last_seq)
        seq = d->last_seq;
    if (seq <= c->acked_seq)
        return TG_OK;
    if (!(c = tg_outbox_touch_cursor(ob, cursor)) || !(d = tg_outbox_touch_device(ob, c->device)))
        return tg_error_set(err, TG_ENOMEM, "out of memory while moving a cursor");
    if (c->holes_ahead > 0 &&
        (code = tg_outbox_sum_holes(ob, c->device, c->acked_seq, seq, &holes, err)) != TG_OK)
        return code;
    passed = seq - c->acked_seq - holes;
    c->skipped += holes;
    c->holes_ahead -= holes;
    heard = !reasons || tg_runs_has(&c->ahead, c->tell_seq);
    missed =
        passed - tg_runs_cut(&c->ahead, seq); /* the others are acknowledged, whatever becomes of these */
    c->dropped += reasons ? missed : 0;
    if (reasons && missed > 0)
        tg_gap_unite(&c->gap, &(struct tg_gap){c->acked_seq + 1, seq, missed, reasons});
    ob->gap_serial += reasons != 0;
    c->acked_seq = seq;
    if (id > c->acked_id)
        c->acked_id = id;
    tg_outbox_settle_tell(ob, c, heard);
    if (c->ahead.count > 0 && (code = tg_outbox_absorb(ob, c, err)) != TG_OK)
        return code;
    d->idle = d->idle || tg_outbox_idle(ob, d);
    ob->t.tx_acked += passed;
    ob->t.acked_since_trim += passed;
    return TG_OK;
}

static bool is_there(const struct tg_outbox *ob, uint32_t cursor, uint64_t seq)
{
    const struct tg_outbox_cursor_entry *c = &ob->cursors[cursor];
    return seq <= c->acked_seq || ob->devices[c->device].last_seq <= c->acked_seq;
}

int tg_outbox_set_cursor(struct tg_outbox *ob, uint32_t cursor, uint64_t acked_seq, uint64_t acked_id,
                         struct tg_error *err)
{
    int code;
    if (ob->tx == TG_OUTBOX_TX_NONE && !ob->dead && cursor < ob->cursor_count &&
        is_there(ob, cursor, acked_seq))
        return TG_OK; /* no transaction for nothing */
    if ((code = tg_outbox_join(ob, err)) != TG_OK)
        return code;
    if (cursor >= ob->cursor_count)
        return tg_outbox_fail_tx(ob,
                                 tg_error_set(err, TG_EINVAL, "cursor number %u is not declared", cursor));
    if (acked_id > ob->t.last_id)
        acked_id = ob->t.last_id;
    code = tg_outbox_advance(ob, cursor, acked_seq, acked_id, 0, err);
    return code == TG_OK ? TG_OK : tg_outbox_fail_tx(ob, code);
}

void tg_outbox_count_drops(struct tg_outbox *ob, struct tg_outbox_device_entry *d, uint64_t first_seq,
                           uint64_t last_seq, uint64_t n, enum tg_drop_reason reason)
{
    d->dropped[reason] += n;
    if (d->gap_first == 0 || d->gap_last + 1 != first_seq)
        d->gap_first = first_seq;
    d->gap_last = last_seq;
    d->dirty = true;
    ob->t.must_mark = true;
}

int tg_outbox_note_gap(struct tg_outbox *ob, uint32_t cursor, const struct tg_gap *gap, struct tg_error *err)
{
    struct tg_outbox_cursor_entry *c = tg_outbox_touch_cursor(ob, cursor);
    if (!c)
        return tg_error_set(err, TG_ENOMEM, "out of memory while noting a gap");
    tg_gap_unite(&c->gap, gap);
    ob->gap_serial++;
    return TG_OK;
}

int tg_outbox_drop_to(struct tg_outbox *ob, uint32_t cursor, uint64_t seq, uint64_t id,
                      enum tg_drop_reason reason, struct tg_error *err)
{
    const struct tg_outbox_cursor_entry *c = &ob->cursors[cursor];
    uint64_t before = c->acked_seq, dropped = c->dropped;
    int code = tg_outbox_advance(ob, cursor, seq, id, 1u << reason, err);
    if (code == TG_OK && c->dropped > dropped)
        tg_outbox_count_drops(ob, &ob->devices[c->device], before + 1, c->acked_seq, c->dropped - dropped,
                              reason);
    return code;
}

int tg_outbox_reject(struct tg_outbox *ob, uint32_t device, uint64_t last_seq, enum tg_drop_reason reason,
                     struct tg_error *err)
{
    int code = tg_outbox_join(ob, err);
    if (code != TG_OK)
        return code;
    if (device >= ob->device_count || last_seq > INT64_MAX || last_seq <= ob->devices[device].last_seq)
        return tg_outbox_fail_tx(
            ob, tg_error_set(err, TG_EINVAL, "rejected numbers up to %llu of device number %u do not rise",
                             (unsigned long long)last_seq, device));
    uint64_t before = ob->devices[device].last_seq;
    tg_outbox_high_reserve(ob, last_seq, ob->t.last_id);
    if ((code = tg_outbox_hole(ob, device, last_seq, err)) != TG_OK)
        return tg_outbox_fail_tx(ob, code);
    tg_outbox_count_drops(ob, &ob->devices[device], before + 1, last_seq, last_seq - before, reason);
    return TG_OK;
}

int tg_outbox_quarantine(struct tg_outbox *ob, uint32_t cursor, uint64_t seq, uint64_t id,
                         struct tg_error *err)
{
    int code = tg_outbox_join(ob, err);
    if (code != TG_OK)
        return code;
    if (cursor >= ob->cursor_count)
        return tg_outbox_fail_tx(ob,
                                 tg_error_set(err, TG_EINVAL, "cursor number %u is not declared", cursor));
    code =
        tg_outbox_drop_to(ob, cursor, seq, id < ob->t.last_id ? id : ob->t.last_id, TG_DROP_QUARANTINE, err);
    return code == TG_OK ? TG_OK : tg_outbox_fail_tx(ob, code);
}

int tg_outbox_lose(struct tg_outbox *ob, uint32_t cursor, const struct tg_gap *gap, uint64_t quarantined,
                   struct tg_error *err)
{
    int code = tg_outbox_join(ob, err);
    if (code != TG_OK)
        return code;
    if (cursor >= ob->cursor_count)
        return tg_outbox_fail_tx(ob,
                                 tg_error_set(err, TG_EINVAL, "cursor number %u is not declared", cursor));
    struct tg_outbox_cursor_entry *c = &ob->cursors[cursor];
    if ((code = tg_outbox_note_gap(ob, cursor, gap, err)) != TG_OK)
        return tg_outbox_fail_tx(ob, code);
    if (c->tell_seq >= gap->first_seq &&
        c->tell_seq <= gap->last_seq) /* what was to tell it is lost itself */
        c->tell_seq = 0;
    if (quarantined == 0)
        return TG_OK;
    struct tg_outbox_device_entry *d = tg_outbox_touch_device(ob, c->device);
    if (!d)
        return tg_outbox_fail_tx(ob, tg_error_set(err, TG_ENOMEM, "out of memory while noting a gap"));
    /* Never more than there are: the cursor passes them in this transaction, or has passed them. */
    uint64_t upto = gap->last_seq > c->acked_seq ? gap->last_seq : c->acked_seq;
    uint64_t most = upto - c->base_seq - c->skipped - c->dropped;
    quarantined = quarantined < most ? quarantined : most;
    c->dropped += quarantined;
    tg_outbox_count_drops(ob, d, gap->first_seq, gap->last_seq, quarantined, TG_DROP_QUARANTINE);
    return TG_OK;
}

int tg_outbox_tell(struct tg_outbox *ob, uint32_t cursor, uint64_t seq, const struct tg_gap *gap,
                   struct tg_error *err)
{
    int code = tg_outbox_join(ob, err);
    if (code != TG_OK)
        return code;
    if (cursor >= ob->cursor_count || seq != ob->devices[ob->cursors[cursor].device].last_seq)
        return tg_outbox_fail_tx(
            ob, tg_error_set(err, TG_EINVAL, "a gap record is told when it was just appended"));
    struct tg_outbox_cursor_entry *c = tg_outbox_touch_cursor(ob, cursor);
    if (!c)
        return tg_outbox_fail_tx(ob, tg_error_set(err, TG_ENOMEM, "out of memory while telling a gap"));
    if (c->tell_seq > 0)
        return TG_OK;
    c->tell = *gap;
    c->tell_seq = seq;
    ob->gap_serial++;
    return TG_OK;
}

int tg_outbox_commit(struct tg_outbox *ob, struct tg_error *err)
{
    bool mark;
    int code;
    if (ob->tx == TG_OUTBOX_TX_NONE)
        return ob->dead ? tg_error_set(err, TG_EUNKNOWN, "%s must be opened again", ob->path) : TG_OK;
    if ((code = tg_outbox_join(ob, err)) != TG_OK) {
        ob->tx = TG_OUTBOX_TX_NONE;
        return code;
    }
    code = tg_outbox_quota_step(ob, err);
    mark = ob->t.must_mark || ob->t.rows_since_mark >= ob->mark_rows;
    if (code == TG_OK && mark)
        code = tg_outbox_write_marks(ob, err);
    if (code == TG_OK && (mark || ob->trim_more || ob->t.acked_since_trim >= ob->mark_rows / 2)) {
        uint64_t cap = 2 * (ob->t.tx_rows + ob->t.tx_acked);
        code = tg_outbox_trim(ob, cap > TG_OUTBOX_TRIM_ROWS ? cap : TG_OUTBOX_TRIM_ROWS, err);
    }
    if (code != TG_OK) {
        tg_outbox_abort(ob);
        return code;
    }
    if ((code = tg_outbox_end(ob, false, err)) == TG_OK)
        tg_outbox_after_commit(ob);
    return code;
}

void tg_outbox_rollback(struct tg_outbox *ob)
{
    if (ob->tx == TG_OUTBOX_TX_OPEN)
        tg_outbox_abort(ob);
    ob->tx = TG_OUTBOX_TX_NONE;
}

/* --- read
 * ----------------------------------------------------------------------------------------------------- */

static int read_rows(struct tg_outbox *ob, sqlite3_stmt *st, uint64_t from_id, uint32_t device,
                     uint32_t max_rows, size_t max_bytes,
                     void (*each)(void *user, const struct tg_outbox_row *row), void *user,
                     uint64_t *ret_next_id, struct tg_error *err)
{
    /* Rows of other devices are passed over, but not without end. */
    uint64_t next = from_id, looks = (uint64_t)max_rows * 16 + 1024;
    uint32_t given = 0;
    size_t bytes = 0;
    int rc = SQLITE_DONE, more = 0;
    if (from_id <= ob->committed_id) {
        (void)sqlite3_bind_int64(st, 1, (int64_t)from_id);
        (void)sqlite3_bind_int64(st, 2, (int64_t)ob->committed_id);
        while ((rc = sqlite3_step(st)) == SQLITE_ROW) {
            struct tg_outbox_row row = {
                .id = (uint64_t)sqlite3_column_int64(st, 0),
                .seq = (uint64_t)sqlite3_column_int64(st, 2),
                .device = (uint32_t)sqlite3_column_int64(st, 1),
                .time_ms = sqlite3_column_int64(st, 3),
            };
            /* Rows come in order, or the page is damaged. */
            if (row.id < next || row.id > ob->committed_id) {
                rc = SQLITE_CORRUPT;
                break;
            }
            if (given >= max_rows || (given > 0 && bytes >= max_bytes) || looks-- == 0) {
                more = 1;
                break;
            }
            next = row.id + 1;
            /* A row whose numbers cannot be right was damaged on the disk: nobody could acknowledge it. */
            if ((device != UINT32_MAX && row.device != device) || row.device >= ob->device_count ||
                row.seq > ob->devices[row.device].last_seq)
                continue;
            const void *body = sqlite3_column_blob(st, 4);
            row.body = tg_bytes(body, (size_t)sqlite3_column_bytes(st, 4));
            bytes += row.body.len;
            given++;
            each(user, &row);
        }
    }
    if (rc != SQLITE_ROW && rc != SQLITE_DONE) {
        int code = tg_outbox_fail(ob, rc, err, "reading samples");
        (void)sqlite3_reset(st);
        return code;
    }
    (void)sqlite3_reset(st);
    *ret_next_id = next;
    return more;
}

int tg_outbox_read(struct tg_outbox *ob, uint64_t from_id, uint32_t device, uint32_t max_rows,
                   size_t max_bytes, void (*each)(void *user, const struct tg_outbox_row *row), void *user,
                   uint64_t *ret_next_id, struct tg_error *err)
{
    return read_rows(ob, ob->st[ST_READ], from_id, device, max_rows, max_bytes, each, user, ret_next_id, err);
}

int tg_outbox_read_urgent(struct tg_outbox *ob, uint64_t from_id, uint32_t max_rows, size_t max_bytes,
                          void (*each)(void *user, const struct tg_outbox_row *row), void *user,
                          uint64_t *ret_next_id, struct tg_error *err)
{
    return read_rows(ob, ob->st[ST_URGENT_READ], from_id, UINT32_MAX, max_rows, max_bytes, each, user,
                     ret_next_id, err);
}
