/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * Rows that are acknowledged although older ones of their device are not: they went ahead of the backlog. A cursor keeps
 * them as runs (in memory and in the table `ahead`) until it reaches them.
 */
#include "store/outbox_private.h"

/* True when no row lies between the cursor and the run: what is there was never stored. */
static int only_holes(struct tg_outbox *ob, const struct tg_outbox_cursor_entry *c, uint64_t first,
                      bool *ret_only, uint64_t *ret_holes, struct tg_error *err)
{
    uint64_t gap = first - 1 - c->acked_seq;
    int code = TG_OK;
    *ret_holes = 0;
    if (gap > 0 && gap <= c->holes_ahead)
        code = tg_outbox_sum_holes(ob, c->device, c->acked_seq, first - 1, ret_holes, err);
    *ret_only = *ret_holes == gap;
    return code;
}

int tg_outbox_absorb(struct tg_outbox *ob, struct tg_outbox_cursor_entry *c, struct tg_error *err)
{
    while (c->ahead.count > 0) {
        struct tg_run run = c->ahead.at[0];
        uint64_t holes;
        bool reached;
        int code = only_holes(ob, c, run.first, &reached, &holes, err);
        if (code != TG_OK || !reached)
            return code;
        c->skipped += holes;
        c->holes_ahead -= holes;
        c->acked_seq = run.last;
        if (run.last_id > c->acked_id)
            c->acked_id = run.last_id;
        tg_outbox_settle_tell(ob, c, true);
        (void)tg_runs_cut(&c->ahead, run.last);
    }
    return TG_OK;
}

/* The first hole that reaches into the run; *ret_hole.first = 0: there is none. */
static int first_hole(struct tg_outbox *ob, const struct tg_outbox_cursor_entry *c, struct tg_run run,
                      struct tg_run *ret_hole, struct tg_error *err)
{
    sqlite3_stmt *st = ob->st[ST_HOLE_FIRST];
    int rc, code = TG_OK;
    *ret_hole = (struct tg_run){0};
    if (c->holes_ahead == 0)
        return TG_OK;
    (void)sqlite3_bind_int64(st, 1, c->device);
    (void)sqlite3_bind_int64(st, 2, (int64_t)run.first);
    (void)sqlite3_bind_int64(st, 3, (int64_t)run.last);
    rc = sqlite3_step(st);
    if (rc == SQLITE_ROW)
        *ret_hole =
            (struct tg_run){(uint64_t)sqlite3_column_int64(st, 0), (uint64_t)sqlite3_column_int64(st, 1), 0};
    else if (rc != SQLITE_DONE)
        code = tg_outbox_fail(ob, rc, err, "looking for numbers that were not stored");
    (void)sqlite3_reset(st);
    return code;
}

static int add_run(struct tg_outbox *ob, struct tg_outbox_cursor_entry *c, struct tg_run run,
                   struct tg_error *err)
{
    struct tg_run hole;
    for (;;) {
        int code = first_hole(ob, c, run, &hole, err);
        if (code != TG_OK)
            return code;
        if (tg_runs_reserve(&c->ahead, c->ahead.count + 1) < 0)
            return tg_error_set(err, TG_ENOMEM, "out of memory while acknowledging samples");
        if (hole.first == 0) {
            tg_runs_add(&c->ahead, run.first, run.last, run.last_id);
            return TG_OK;
        }
        if (hole.first > run.first) /* its last id is not known, and below that of the next part */
            tg_runs_add(&c->ahead, run.first, hole.first - 1, 0);
        if (hole.last >= run.last)
            return TG_OK;
        run.first = hole.last + 1;
    }
}

/* Everything of the run that is stored and not passed is acknowledged ahead already. */
static int is_there(struct tg_outbox *ob, uint32_t cursor, struct tg_run run, bool *ret_there,
                    struct tg_error *err)
{
    const struct tg_outbox_cursor_entry *c = &ob->cursors[cursor];
    uint64_t last = ob->devices[c->device].last_seq, holes = 0, rows;
    int code = TG_OK;
    run.last = run.last < last ? run.last : last;
    run.first = run.first > c->acked_seq ? run.first : c->acked_seq + 1;
    if (run.first > run.last) {
        *ret_there = true;
        return TG_OK;
    }
    rows = tg_runs_between(&c->ahead, run.first, run.last);
    if (rows <= run.last - run.first && c->holes_ahead > 0)
        code = tg_outbox_sum_holes(ob, c->device, run.first - 1, run.last, &holes, err);
    *ret_there = rows + holes == run.last - run.first + 1;
    return code;
}

int tg_outbox_unstored(struct tg_outbox *ob, uint32_t device, uint64_t first, uint64_t last,
                       uint64_t *ret_numbers, struct tg_error *err)
{
    *ret_numbers = 0;
    if (device >= ob->device_count || first == 0 || first > last)
        return TG_OK;
    return tg_outbox_sum_holes(ob, device, first - 1, last, ret_numbers, err);
}

int tg_outbox_holes(struct tg_outbox *ob, uint32_t device, uint64_t above, uint32_t max_runs,
                    struct tg_runs *ret_holes, struct tg_error *err)
{
    sqlite3_stmt *st = ob->st[ST_HOLE_LIST];
    int rc, code = TG_OK;
    (void)sqlite3_bind_int64(st, 1, device);
    (void)sqlite3_bind_int64(st, 2, (int64_t)above);
    (void)sqlite3_bind_int64(st, 3, max_runs);
    while ((rc = sqlite3_step(st)) == SQLITE_ROW) {
        uint64_t first = (uint64_t)sqlite3_column_int64(st, 0), last = (uint64_t)sqlite3_column_int64(st, 1);
        if (tg_runs_reserve(ret_holes, ret_holes->count + 1) < 0) {
            code = tg_error_set(err, TG_ENOMEM,
                                "%s: out of memory while looking for numbers that were not stored", ob->path);
            break;
        }
        tg_runs_add(ret_holes, first > above ? first : above + 1, last, 0);
    }
    if (code == TG_OK && rc != SQLITE_DONE)
        code = tg_outbox_fail(ob, rc, err, "looking for numbers that were not stored");
    (void)sqlite3_reset(st);
    return code;
}

static int ack_ahead(struct tg_outbox *ob, uint32_t cursor, struct tg_run run, struct tg_error *err)
{
    struct tg_outbox_cursor_entry *c = &ob->cursors[cursor];
    struct tg_outbox_device_entry *d = &ob->devices[c->device];
    uint64_t had;
    bool there = false;
    int code;
    if (run.last > d->last_seq) { /* of a log that was set aside, or not stored */
        run.last = d->last_seq;
        run.last_id = d->last_id;
    }
    if (run.first <= c->acked_seq)
        run.first = c->acked_seq + 1;
    if (run.first > run.last)
        return TG_OK;
    if ((code = is_there(ob, cursor, run, &there, err)) != TG_OK || there)
        return code;
    if (!(c = tg_outbox_touch_cursor(ob, cursor)) || !(d = tg_outbox_touch_device(ob, c->device)))
        return tg_error_set(err, TG_ENOMEM, "out of memory while acknowledging samples");
    had = c->ahead.rows;
    if ((code = add_run(ob, c, run, err)) != TG_OK)
        return code;
    ob->t.tx_acked += c->ahead.rows - had;
    ob->t.acked_since_trim += c->ahead.rows - had;
    if ((code = tg_outbox_absorb(ob, c, err)) != TG_OK)
        return code;
    d->idle = d->idle || tg_outbox_idle(ob, d);
    return TG_OK;
}

int tg_outbox_ack_ahead(struct tg_outbox *ob, uint32_t cursor, uint64_t first, uint64_t last,
                        uint64_t last_id, struct tg_error *err)
{
    bool there = false;
    int code = TG_OK;
    if (ob->tx == TG_OUTBOX_TX_NONE && !ob->dead && cursor < ob->cursor_count && first > 0 && first <= last)
        code = is_there(ob, cursor, (struct tg_run){first, last, 0}, &there, err);
    if (code != TG_OK || there)
        return code; /* no transaction for nothing */
    if ((code = tg_outbox_join(ob, err)) != TG_OK)
        return code;
    if (cursor >= ob->cursor_count || first == 0 || first > last)
        return tg_outbox_fail_tx(ob,
                                 tg_error_set(err, TG_EINVAL, "cursor number %u has no samples %llu to %llu",
                                              cursor, (unsigned long long)first, (unsigned long long)last));
    code = ack_ahead(ob, cursor, (struct tg_run){first, last, last_id}, err);
    return code == TG_OK ? TG_OK : tg_outbox_fail_tx(ob, code);
}

const struct tg_runs *tg_outbox_ahead(const struct tg_outbox *ob, uint32_t cursor)
{
    static const struct tg_runs none;
    if (cursor >= ob->cursor_count)
        return &none;
    const struct tg_outbox_cursor_entry *c = &ob->cursors[cursor];
    return c->undo ? &ob->undo[c->undo - 1].was.cursor.ahead : &c->ahead;
}

uint64_t tg_outbox_urgent_high(const struct tg_outbox *ob)
{
    return ob->tx == TG_OUTBOX_TX_OPEN ? ob->saved.urgent_high : ob->t.urgent_high;
}

/* --- in the tables ----------------------------------------------------------------------------------------- */

static int put_run(struct tg_outbox *ob, uint32_t cursor, const struct tg_run *run, struct tg_error *err)
{
    sqlite3_stmt *st = ob->st[ST_AHEAD_PUT];
    (void)sqlite3_bind_int64(st, 1, cursor);
    (void)sqlite3_bind_int64(st, 2, (int64_t)run->first);
    (void)sqlite3_bind_int64(st, 3, (int64_t)run->last);
    (void)sqlite3_bind_int64(st, 4, (int64_t)run->last_id);
    return tg_outbox_run(ob, ST_AHEAD_PUT, err, "storing what went ahead");
}

static int drop_run(struct tg_outbox *ob, uint32_t cursor, uint64_t first, struct tg_error *err)
{
    sqlite3_stmt *st = ob->st[ST_AHEAD_DROP];
    (void)sqlite3_bind_int64(st, 1, cursor);
    (void)sqlite3_bind_int64(st, 2, (int64_t)first);
    return tg_outbox_run(ob, ST_AHEAD_DROP, err, "storing what went ahead");
}

int tg_outbox_write_ahead(struct tg_outbox *ob, uint32_t cursor, const struct tg_runs *was,
                          const struct tg_runs *is, struct tg_error *err)
{
    uint32_t w = 0, i = 0;
    int code = TG_OK;
    while (code == TG_OK && (w < was->count || i < is->count)) {
        const struct tg_run *old = w < was->count ? &was->at[w] : NULL;
        const struct tg_run *run = i < is->count ? &is->at[i] : NULL;
        if (old && run && old->first == run->first) {
            if (old->last != run->last || old->last_id != run->last_id)
                code = put_run(ob, cursor, run, err);
            w++;
            i++;
        } else if (old && (!run || old->first < run->first)) {
            code = drop_run(ob, cursor, old->first, err);
            w++;
        } else {
            code = put_run(ob, cursor, run, err);
            i++;
        }
    }
    return code;
}

int tg_outbox_load_run(struct tg_outbox *ob, sqlite3_stmt *st, struct tg_error *err)
{
    int64_t cursor = sqlite3_column_int64(st, 0), first = sqlite3_column_int64(st, 1),
            last = sqlite3_column_int64(st, 2), last_id = sqlite3_column_int64(st, 3);
    struct tg_outbox_cursor_entry *c = cursor >= 0 && cursor < ob->cursor_count ? &ob->cursors[cursor] : NULL;
    const struct tg_run *before = c && c->ahead.count > 0 ? &c->ahead.at[c->ahead.count - 1] : NULL;
    if (!c || first < 1 || last < first || last_id < 0 || (uint64_t)first <= c->acked_seq ||
        (uint64_t)last > ob->devices[c->device].last_seq || (before && (uint64_t)first <= before->last))
        return tg_error_set(err, TG_ECORRUPT,
                            "%s: the table of samples that went ahead of a backlog is damaged", ob->path);
    if (tg_runs_reserve(&c->ahead, c->ahead.count + 1) < 0)
        return tg_error_set(err, TG_ENOMEM, "%s: out of memory while opening", ob->path);
    tg_runs_add(&c->ahead, (uint64_t)first, (uint64_t)last, (uint64_t)last_id);
    return TG_OK;
}

/* --- what every cloud has ---------------------------------------------------------------------------------- */

bool tg_outbox_covered(const struct tg_outbox *ob, const struct tg_outbox_device_entry *d, uint64_t seq)
{
    for (uint32_t i = d->first_cursor; i != TG_OUTBOX_NONE; i = ob->cursors[i].next) {
        const struct tg_outbox_cursor_entry *c = &ob->cursors[i];
        if (c->active && c->acked_seq < seq && !tg_runs_has(&c->ahead, seq))
            return false;
    }
    return true;
}

/* Whether every active cursor has `seq`; *ret_upto: to which number that stays so. */
static bool stretch(const struct tg_outbox *ob, const struct tg_outbox_device_entry *d, uint64_t seq,
                    uint64_t *ret_upto)
{
    uint64_t upto = UINT64_MAX, wait = 0;
    for (uint32_t i = d->first_cursor; i != TG_OUTBOX_NONE; i = ob->cursors[i].next) {
        const struct tg_outbox_cursor_entry *c = &ob->cursors[i];
        const struct tg_run *run = tg_runs_from(&c->ahead, seq);
        uint64_t end;
        if (!c->active)
            continue;
        if (c->acked_seq >= seq || (run && run->first <= seq)) {
            end = c->acked_seq >= seq ? c->acked_seq : run->last;
            upto = end < upto ? end : upto;
        } else {
            end = run ? run->first - 1 : UINT64_MAX;
            wait = end > wait ? end : wait;
        }
    }
    *ret_upto = wait ? wait : upto;
    return wait == 0;
}

uint64_t tg_outbox_covered_between(const struct tg_outbox *ob, const struct tg_outbox_device_entry *d,
                                   uint64_t above, uint64_t below)
{
    uint64_t sum = 0, upto;
    for (uint64_t seq = above + 1; seq < below; seq = upto + 1) {
        bool covered = stretch(ob, d, seq, &upto);
        if (upto >= below)
            upto = below - 1;
        sum += covered ? upto - seq + 1 : 0;
    }
    return sum;
}
