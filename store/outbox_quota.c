/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * Quotas: how many rows may wait for one cursor or for one cloud, and how old they may be. Eviction for one cursor moves it over
 * its oldest rows; the rows go with trim and compaction once nobody waits for them.
 *
 * A log without an index cannot say where a cursor's n newest rows begin. So all quotas share a *pass*: it begins at the oldest
 * row that a cursor over its quota waits for and looks at rows one by one, a bounded number with every transaction, dropping each
 * for the cursors that are over, until none is. With a slack of 1/32 a pass drops many rows for one look at the front of the log.
 */
#include "store/outbox_private.h"

#include "core/base/allocator.h"
#include "core/base/clock.h"

#define STEP_ROWS     1000 /* looked at by one transaction, and twice what it brought */
#define ENFORCE_STEPS 64
#define LOOK_ROWS_MIN 16
#define LOOK_ROWS_MAX 1024
#define AGE_SCAN_ROWS 65536

static uint64_t slack(uint64_t max)
{
    return max / 32;
}

static uint64_t over_by(uint64_t pending, uint64_t max)
{
    return max > 0 && pending > max ? pending - max : 0;
}

static struct tg_outbox_cloud_quota *cloud_of(struct tg_outbox *ob, const struct tg_outbox_cursor_entry *c)
{
    return c->cloud < ob->cloud_quota_count ? &ob->cloud_quotas[c->cloud] : NULL;
}

/* --- setting ------------------------------------------------------------------------------------------ */

/* How often to look: small quotas are kept about as exactly as large ones. */
static void plan_looks(struct tg_outbox *ob)
{
    uint64_t least = UINT64_MAX;
    for (uint32_t i = 0; i < ob->cursor_count; i++)
        if (ob->cursors[i].max_pending > 0 && ob->cursors[i].max_pending < least)
            least = ob->cursors[i].max_pending;
    for (uint32_t i = 0; i < ob->cloud_quota_count; i++)
        if (ob->cloud_quotas[i].max_pending > 0 && ob->cloud_quotas[i].max_pending < least)
            least = ob->cloud_quotas[i].max_pending;
    ob->quota_every = least == UINT64_MAX          ? 0
                      : least / 16 < LOOK_ROWS_MIN ? LOOK_ROWS_MIN
                      : least / 16 > LOOK_ROWS_MAX ? LOOK_ROWS_MAX
                                                   : least / 16;
}

static int grow_clouds(struct tg_outbox *ob, uint32_t count)
{
    if (count <= ob->cloud_quota_count)
        return TG_OK;
    struct tg_outbox_cloud_quota *grown = tg_realloc(ob->cloud_quotas, count * sizeof *grown);
    if (!grown)
        return TG_ENOMEM;
    memset(grown + ob->cloud_quota_count, 0, (count - ob->cloud_quota_count) * sizeof *grown);
    ob->cloud_quotas = grown;
    ob->cloud_quota_count = count;
    return TG_OK;
}

static int add_age(struct tg_outbox *ob, int64_t max_age_ms)
{
    for (uint32_t i = 0; i < ob->age_count; i++) {
        if (ob->ages[i].max_age_ms == max_age_ms) {
            ob->ages[i].seen_id = 0; /* the new one may have older rows */
            return TG_OK;
        }
    }
    struct tg_outbox_age_class *grown = tg_realloc(ob->ages, (ob->age_count + 1) * sizeof *grown);
    if (!grown)
        return TG_ENOMEM;
    ob->ages = grown;
    ob->ages[ob->age_count++] = (struct tg_outbox_age_class){.max_age_ms = max_age_ms};
    return TG_OK;
}

int tg_outbox_set_quota(struct tg_outbox *ob, uint32_t cursor, const struct tg_outbox_quota *quota,
                        struct tg_error *err)
{
    if (cursor >= ob->cursor_count || quota->max_age_ms < 0)
        return tg_error_set(err, TG_EINVAL, "cursor number %u is not declared", cursor);
    struct tg_outbox_cursor_entry *c = &ob->cursors[cursor];
    int code = quota->cloud_max_pending > 0 ? grow_clouds(ob, c->cloud + 1) : TG_OK;
    if (code == TG_OK && quota->max_age_ms > 0 && quota->max_age_ms != c->max_age_ms)
        code = add_age(ob, quota->max_age_ms);
    if (code != TG_OK)
        return tg_error_set(err, code, "out of memory while setting a quota");
    c->max_pending = quota->max_pending;
    c->max_age_ms = quota->max_age_ms;
    if (cloud_of(ob, c))
        cloud_of(ob, c)->max_pending = quota->cloud_max_pending;
    plan_looks(ob);
    ob->t.quota_rows = ob->quota_every;
    return TG_OK;
}

void tg_outbox_quota_fini(struct tg_outbox *ob)
{
    tg_free(ob->cloud_quotas);
    tg_free(ob->ages);
    ob->cloud_quotas = NULL;
    ob->ages = NULL;
    ob->cloud_quota_count = ob->age_count = 0;
    ob->quota_every = 0;
}

/* --- a pass ------------------------------------------------------------------------------------------- */

static uint64_t position(const struct tg_outbox *ob, const struct tg_outbox_cursor_entry *c)
{
    uint64_t hint = ob->devices[c->device].hint_id;
    return c->acked_id > hint ? c->acked_id : hint;
}

static void count_clouds(struct tg_outbox *ob)
{
    for (uint32_t i = 0; i < ob->cloud_quota_count; i++)
        ob->cloud_quotas[i].pending = 0;
    for (uint32_t i = 0; i < ob->cursor_count && ob->cloud_quota_count > 0; i++) {
        const struct tg_outbox_cursor_entry *c = &ob->cursors[i];
        if (c->active && cloud_of(ob, c))
            cloud_of(ob, c)->pending += tg_outbox_pending(ob, c);
    }
}

/* How many quotas are exceeded; by more than their slack, when `slackly`. *ret_from: where the oldest row lies that waits at one of
 * their cursors. */
static uint32_t count_over(struct tg_outbox *ob, bool slackly, uint64_t *ret_from)
{
    uint64_t from = UINT64_MAX;
    uint32_t n = 0;
    count_clouds(ob);
    for (uint32_t i = 0; i < ob->cursor_count; i++) {
        const struct tg_outbox_cursor_entry *c = &ob->cursors[i];
        const struct tg_outbox_cloud_quota *q = cloud_of(ob, c);
        uint64_t pending = c->active ? tg_outbox_pending(ob, c) : 0;
        if (pending == 0)
            continue;
        bool own = over_by(pending, c->max_pending) > (slackly ? slack(c->max_pending) : 0);
        bool clouds = q && over_by(q->pending, q->max_pending) > (slackly ? slack(q->max_pending) : 0);
        n += own;
        if ((own || clouds) && position(ob, c) < from)
            from = position(ob, c);
    }
    for (uint32_t i = 0; ob->cloud_quotas && i < ob->cloud_quota_count; i++) {
        const struct tg_outbox_cloud_quota *q = &ob->cloud_quotas[i];
        n += over_by(q->pending, q->max_pending) > (slackly ? slack(q->max_pending) : 0);
    }
    *ret_from = from;
    return n;
}

/* Drops the row for the cursors of its device that are over; *over counts the quotas that still are. */
static int drop_over(struct tg_outbox *ob, uint32_t device, uint64_t seq, uint64_t id, uint32_t *over,
                     struct tg_error *err)
{
    for (uint32_t i = ob->devices[device].first_cursor; i != TG_OUTBOX_NONE; i = ob->cursors[i].next) {
        const struct tg_outbox_cursor_entry *c = &ob->cursors[i];
        struct tg_outbox_cloud_quota *q = cloud_of(ob, c);
        uint64_t rows = 0, pending = tg_outbox_pending(ob, c);
        uint64_t own = over_by(pending, c->max_pending), clouds = q ? over_by(q->pending, q->max_pending) : 0;
        uint64_t most = own > clouds ? own : clouds;
        if (!c->active || c->acked_seq >= seq || most == 0)
            continue;
        int code = tg_outbox_rows_to(ob, i, seq, &rows, err);
        if (code != TG_OK)
            return code;
        /* Rows before this one lie before where the pass began: the next one begins there. */
        if (rows > most)
            continue;
        if ((code = tg_outbox_drop_to(ob, i, seq, id, TG_DROP_QUOTA, err)) != TG_OK)
            return code;
        *over -= own > 0 && over_by(pending - rows, c->max_pending) == 0;
        if (q) {
            q->pending -= rows;
            *over -= clouds > 0 && over_by(q->pending, q->max_pending) == 0;
        }
    }
    return TG_OK;
}

/* Looks at up to `cap` rows. */
static int look_at_rows(struct tg_outbox *ob, uint64_t cap, uint32_t over, struct tg_error *err)
{
    sqlite3_stmt *st = ob->st[ST_SCAN];
    uint64_t before = ob->t.quota_id, seen = 0;
    int rc = SQLITE_DONE, code = TG_OK;
    (void)sqlite3_bind_int64(st, 1, (int64_t)before + 1);
    (void)sqlite3_bind_int64(st, 2, (int64_t)ob->t.last_id);
    (void)sqlite3_bind_int64(st, 3, (int64_t)cap);
    while (code == TG_OK && over > 0 && (rc = sqlite3_step(st)) == SQLITE_ROW) {
        uint64_t id = (uint64_t)sqlite3_column_int64(st, 0), seq = (uint64_t)sqlite3_column_int64(st, 2);
        int64_t device = sqlite3_column_int64(st, 1);
        if (id <= before || id > ob->t.last_id) {
            rc = SQLITE_CORRUPT;
            break;
        }
        before = id;
        seen++;
        if (device >= 0 && device < ob->device_count && seq <= ob->devices[device].last_seq)
            code = drop_over(ob, (uint32_t)device, seq, id, &over, err);
    }
    if (code == TG_OK && rc != SQLITE_DONE && rc != SQLITE_ROW)
        code = tg_outbox_fail(ob, rc, err, "looking for samples over a quota");
    (void)sqlite3_reset(st);
    ob->t.quota_id = over == 0 || seen < cap ? 0 : before;
    return code;
}

int tg_outbox_quota_step(struct tg_outbox *ob, struct tg_error *err)
{
    uint64_t from = 0;
    uint32_t over;
    if (ob->quota_every == 0 || (ob->t.quota_id == 0 && ob->t.quota_rows < ob->quota_every))
        return TG_OK;
    ob->t.quota_rows = 0;
    over = count_over(ob, ob->t.quota_id == 0, &from);
    if (over == 0) {
        ob->t.quota_id = 0;
        return TG_OK;
    }
    if (ob->t.quota_id == 0) { /* what is over by less than the slack goes as well, as the pass comes along */
        over = count_over(ob, false, &from);
        ob->t.quota_id = from;
    }
    return look_at_rows(ob, STEP_ROWS + 2 * ob->t.tx_rows, over, err);
}

/* --- age ---------------------------------------------------------------------------------------------- */

/* Up to which id rows are too old for the class. */
static int find_old(struct tg_outbox *ob, const struct tg_outbox_age_class *age, int64_t cutoff_ms,
                    uint64_t *ret_last, struct tg_error *err)
{
    sqlite3_stmt *st = ob->st[ST_SCAN];
    uint64_t from = UINT64_MAX, last = 0;
    int rc, code = TG_OK;
    *ret_last = 0;
    for (uint32_t i = 0; i < ob->cursor_count; i++) {
        const struct tg_outbox_cursor_entry *c = &ob->cursors[i];
        if (c->active && c->max_age_ms == age->max_age_ms && tg_outbox_pending(ob, c) > 0 &&
            position(ob, c) < from)
            from = position(ob, c);
    }
    if (from == UINT64_MAX)
        return TG_OK;
    (void)sqlite3_bind_int64(st, 1, (int64_t)(from > age->seen_id ? from : age->seen_id) + 1);
    (void)sqlite3_bind_int64(st, 2, (int64_t)ob->committed_id);
    (void)sqlite3_bind_int64(st, 3, AGE_SCAN_ROWS);
    while ((rc = sqlite3_step(st)) == SQLITE_ROW) {
        uint64_t id = (uint64_t)sqlite3_column_int64(st, 0);
        enum tg_outbox_age is = tg_outbox_age(ob, id, sqlite3_column_int64(st, 3), cutoff_ms);
        if (is == TG_OUTBOX_YOUNG)
            break;
        if (is == TG_OUTBOX_OLD)
            last = id;
    }
    if (rc != SQLITE_ROW && rc != SQLITE_DONE)
        code = tg_outbox_fail(ob, rc, err, "looking for old samples");
    (void)sqlite3_reset(st);
    if (code == TG_OK)
        *ret_last = last;
    return code;
}

/* Drops the rows from *from + 1 to `last` for the cursors of the class, a bounded number. */
static int drop_old(struct tg_outbox *ob, const struct tg_outbox_age_class *age, uint64_t *from,
                    uint64_t last, struct tg_error *err)
{
    sqlite3_stmt *st = ob->st[ST_SCAN];
    uint64_t before = *from, seen = 0;
    int rc = SQLITE_DONE, code = TG_OK;
    (void)sqlite3_bind_int64(st, 1, (int64_t)before + 1);
    (void)sqlite3_bind_int64(st, 2, (int64_t)last);
    (void)sqlite3_bind_int64(st, 3, STEP_ROWS);
    while (code == TG_OK && (rc = sqlite3_step(st)) == SQLITE_ROW) {
        uint64_t id = (uint64_t)sqlite3_column_int64(st, 0), seq = (uint64_t)sqlite3_column_int64(st, 2);
        int64_t device = sqlite3_column_int64(st, 1);
        if (id <= before || id > last) {
            rc = SQLITE_CORRUPT;
            break;
        }
        before = id;
        seen++;
        if (device < 0 || device >= ob->device_count || seq > ob->devices[device].last_seq)
            continue;
        for (uint32_t i = ob->devices[device].first_cursor; i != TG_OUTBOX_NONE && code == TG_OK;
             i = ob->cursors[i].next)
            if (ob->cursors[i].active && ob->cursors[i].max_age_ms == age->max_age_ms)
                code = tg_outbox_drop_to(ob, i, seq, id, TG_DROP_AGE, err);
    }
    if (code == TG_OK && rc != SQLITE_DONE && rc != SQLITE_ROW)
        code = tg_outbox_fail(ob, rc, err, "dropping old samples");
    (void)sqlite3_reset(st);
    *from = seen < STEP_ROWS ? last : before;
    return code;
}

static int enforce_age(struct tg_outbox *ob, struct tg_outbox_age_class *age, int64_t wall_ms,
                       struct tg_error *err)
{
    uint64_t last = 0, from = age->seen_id;
    int code = find_old(ob, age, wall_ms - age->max_age_ms, &last, err);
    while (code == TG_OK && from < last) {
        if ((code = tg_outbox_begin(ob, err)) != TG_OK)
            return code;
        code = drop_old(ob, age, &from, last, err);
        if (code != TG_OK)
            tg_outbox_abort(ob);
        else
            code = tg_outbox_end(ob, true, err);
    }
    if (code == TG_OK && last > age->seen_id)
        age->seen_id = last;
    return code;
}

int tg_outbox_quota_enforce(struct tg_outbox *ob, int64_t wall_ms, struct tg_error *err)
{
    int code = TG_OK;
    for (uint32_t i = 0; i < ob->age_count && tg_clock_plausible(wall_ms) && code == TG_OK; i++)
        code = enforce_age(ob, &ob->ages[i], wall_ms, err);
    for (int i = 0; i < ENFORCE_STEPS && code == TG_OK && ob->quota_every > 0; i++) {
        if ((code = tg_outbox_begin(ob, err)) != TG_OK)
            return code;
        ob->t.quota_rows = ob->quota_every;
        code = tg_outbox_quota_step(ob, err);
        if (code != TG_OK ||
            !ob->t.must_mark) { /* nothing was dropped: the pass goes on from here all the same */
            uint64_t at = ob->t.quota_id;
            tg_outbox_abort(ob);
            ob->t.quota_id = code == TG_OK ? at : 0;
        } else {
            code = tg_outbox_end(ob, true, err);
        }
        if (ob->t.quota_id == 0)
            break;
    }
    return code;
}
