/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * What the outbox knows of time (timeline.h) in its tables `boot`, `jump` and `clock`: loaded when it is opened, a boot added by the
 * first sample that is stamped since boot, all of it written anew when the clock was set. That is seldom, and a few rows.
 */
#include "store/outbox_private.h"

#include <stdio.h>
#include <stdlib.h>

#include "core/base/clock.h"

#define FOLLOW_MS    500 /* slewing is stored when it has come to so much */
#define LOOK_ROWS    4096
#define WAITING_ROWS 100000

typedef int (*take_fn)(struct tg_timeline *t, sqlite3_stmt *st);

static int each(struct tg_outbox *ob, struct tg_timeline *t, const char *sql, take_fn take,
                struct tg_error *err)
{
    sqlite3_stmt *st = NULL;
    int rc = sqlite3_prepare_v2(ob->db, sql, -1, &st, NULL), code = TG_OK;
    while (code == TG_OK && (rc == SQLITE_OK || rc == SQLITE_ROW) && (rc = sqlite3_step(st)) == SQLITE_ROW)
        code = take(t, st);
    if (code == TG_OK && rc != SQLITE_DONE && rc != SQLITE_ROW)
        code = tg_outbox_fail(ob, rc, err, "reading what is known of the clock");
    (void)sqlite3_finalize(st);
    return code;
}

static int take_boot(struct tg_timeline *t, sqlite3_stmt *st)
{
    struct tg_timeline_boot *b =
        tg_timeline_add_boot(t, (uint64_t)sqlite3_column_int64(st, 0), (uint64_t)sqlite3_column_int64(st, 1));
    if (sqlite3_column_type(st, 2) != SQLITE_NULL) {
        b->offset_ms = sqlite3_column_int64(st, 2);
        b->state = sqlite3_column_int(st, 3) ? TG_BOOT_ESTIMATED : TG_BOOT_KNOWN;
    }
    return TG_OK;
}

static int take_jump(struct tg_timeline *t, sqlite3_stmt *st)
{
    tg_timeline_add_jump(t, (uint64_t)sqlite3_column_int64(st, 0), sqlite3_column_int64(st, 1));
    return TG_OK;
}

static int take_clock(struct tg_timeline *t, sqlite3_stmt *st)
{
    t->clock_boot = (uint64_t)sqlite3_column_int64(st, 0);
    t->clock_offset_ms = sqlite3_column_int64(st, 1);
    return TG_OK;
}

static int take_version(struct tg_timeline *t, sqlite3_stmt *st)
{
    t->boot_count = sqlite3_column_int(st, 0) >= 2;
    return TG_OK;
}

int tg_outbox_load_timeline(struct tg_outbox *ob, struct tg_error *err)
{
    struct tg_timeline *t = &ob->timeline;
    int code;
    *t = (struct tg_timeline){0};
    /* Read beside an older gateway, there is nothing of it. */
    if ((code = each(ob, t, "PRAGMA user_version", take_version, err)) != TG_OK || t->boot_count == 0)
        return code;
    t->boot_count = 0;
    if ((code = each(ob, t, "SELECT n, first_id, offset_ms, estimated FROM boot ORDER BY first_id", take_boot,
                     err)) != TG_OK ||
        (code = each(ob, t, "SELECT id, delta_ms FROM jump ORDER BY id", take_jump, err)) != TG_OK)
        return code;
    return each(ob, t, "SELECT boot, offset_ms FROM clock", take_clock, err);
}

int tg_outbox_note_boot(struct tg_outbox *ob, const struct tg_outbox_row *row, struct tg_error *err)
{
    struct tg_sample_reader r;
    char sql[128];
    int code;
    if (tg_sample_reader_init(&r, row->body) < 0 || r.boot > INT64_MAX ||
        tg_timeline_boot(&ob->timeline, r.boot))
        return TG_OK;
    snprintf(sql, sizeof sql, "INSERT OR REPLACE INTO boot(n, first_id) VALUES(%llu, %llu)",
             (unsigned long long)r.boot, (unsigned long long)row->id);
    if ((code = tg_outbox_exec(ob, sql, err)) != TG_OK)
        return code;
    if (!ob->t.boot_noted)
        ob->timeline_saved = ob->timeline;
    ob->t.boot_noted = true;
    (void)tg_timeline_add_boot(&ob->timeline, r.boot, row->id);
    return TG_OK;
}

static int one_number(struct tg_outbox *ob, const char *sql, int64_t *ret, struct tg_error *err)
{
    sqlite3_stmt *st = NULL;
    int rc = sqlite3_prepare_v2(ob->db, sql, -1, &st, NULL), code = TG_OK;
    if (rc == SQLITE_OK)
        rc = sqlite3_step(st);
    if (rc == SQLITE_ROW)
        *ret = sqlite3_column_int64(st, 0);
    else
        code = tg_outbox_fail(ob, rc, err, "looking at when samples were taken");
    (void)sqlite3_finalize(st);
    return code;
}

/* The id behind the rows of a boot. */
static uint64_t end_of(const struct tg_timeline *t, uint32_t i)
{
    return i + 1 < t->boot_count ? t->boots[i + 1].first_id : (uint64_t)INT64_MAX;
}

/* What the log says of boots that never had a time: how long they lasted. */
static int look_at_unknown(struct tg_outbox *ob, struct tg_timeline *t, struct tg_error *err)
{
    char sql[320];
    int code = TG_OK;
    for (uint32_t i = 0; i < t->boot_count && code == TG_OK; i++) {
        struct tg_timeline_boot *b = &t->boots[i];
        if (b->state != TG_BOOT_UNKNOWN)
            continue;
        snprintf(
            sql, sizeof sql,
            "SELECT coalesce(max(time_ms), 0) FROM (SELECT time_ms FROM log WHERE id>=%llu AND id<%llu ORDER "
            "BY id DESC LIMIT %d) WHERE time_ms<%lld",
            (unsigned long long)b->first_id, (unsigned long long)end_of(t, i), LOOK_ROWS,
            (long long)TG_CLOCK_OLDEST_MS);
        code = one_number(ob, sql, &b->last_mono_ms, err);
    }
    return code;
}

static int write_timeline(struct tg_outbox *ob, const struct tg_timeline *t, struct tg_error *err)
{
    char sql[192];
    int code = tg_outbox_exec(ob, "DELETE FROM boot; DELETE FROM jump", err);
    for (uint32_t i = 0; i < t->boot_count && code == TG_OK; i++) {
        const struct tg_timeline_boot *b = &t->boots[i];
        char offset[24] = "NULL";
        if (b->state != TG_BOOT_UNKNOWN)
            snprintf(offset, sizeof offset, "%lld", (long long)b->offset_ms);
        snprintf(sql, sizeof sql,
                 "INSERT INTO boot(n, first_id, offset_ms, estimated) VALUES(%llu, %llu, %s, %d)",
                 (unsigned long long)b->boot, (unsigned long long)b->first_id, offset,
                 b->state == TG_BOOT_ESTIMATED);
        code = tg_outbox_exec(ob, sql, err);
    }
    for (uint32_t i = 0; i < t->jump_count && code == TG_OK; i++) {
        snprintf(sql, sizeof sql, "INSERT INTO jump(id, delta_ms) VALUES(%llu, %lld)",
                 (unsigned long long)t->jumps[i].id, (long long)t->jumps[i].delta_ms);
        code = tg_outbox_exec(ob, sql, err);
    }
    if (code == TG_OK && t->clock_boot) {
        snprintf(sql, sizeof sql, "INSERT OR REPLACE INTO clock(id, boot, offset_ms) VALUES(1, %llu, %lld)",
                 (unsigned long long)t->clock_boot, (long long)t->clock_offset_ms);
        code = tg_outbox_exec(ob, sql, err);
    }
    return code;
}

static uint64_t oldest_id(const struct tg_outbox *ob)
{
    return ob->t.rows > 0 ? ob->t.oldest_id : ob->t.last_id + 1;
}

/* One transaction; what is in memory changes only with what is stored. */
static int replace_timeline(struct tg_outbox *ob, const struct tg_timeline *fresh, struct tg_error *err)
{
    int code = tg_outbox_begin(ob, err);
    if (code != TG_OK)
        return code;
    if ((code = write_timeline(ob, fresh, err)) != TG_OK) {
        tg_outbox_abort(ob);
        return code;
    }
    if ((code = tg_outbox_end(ob, false, err)) == TG_OK)
        ob->timeline = *fresh;
    return code;
}

int tg_outbox_clock(struct tg_outbox *ob, uint64_t boot, int64_t offset_ms, uint64_t upto_id,
                    struct tg_error *err)
{
    struct tg_timeline t = ob->timeline;
    bool same = t.clock_boot == boot, unknown = false;
    int64_t delta_ms = same ? offset_ms - t.clock_offset_ms : 0;
    int code;
    if (ob->tx != TG_OUTBOX_TX_NONE)
        return tg_error_set(err, TG_ESTATE, "the clock is told outside of transactions");
    for (uint32_t i = 0; i < t.boot_count; i++)
        unknown = unknown || t.boots[i].state == TG_BOOT_UNKNOWN;
    if (same && !unknown && llabs((long long)delta_ms) <= FOLLOW_MS)
        return TG_OK;
    if (unknown && (code = look_at_unknown(ob, &t, err)) != TG_OK)
        return code;
    if (llabs((long long)delta_ms) > TG_CLOCK_JUMP_MS)
        tg_timeline_add_jump(&t, upto_id, delta_ms);
    tg_timeline_settle(&t, boot, offset_ms);
    (void)tg_timeline_prune(&t, oldest_id(ob), boot);
    return replace_timeline(ob, &t, err);
}

int tg_outbox_care_timeline(struct tg_outbox *ob, struct tg_error *err)
{
    struct tg_timeline t = ob->timeline;
    if (!tg_timeline_prune(&t, oldest_id(ob), tg_clock_boot()))
        return TG_OK;
    return replace_timeline(ob, &t, err);
}

const struct tg_timeline *tg_outbox_timeline(const struct tg_outbox *ob)
{
    return &ob->timeline;
}

int tg_outbox_waiting(struct tg_outbox *ob, uint64_t *ret_rows, struct tg_error *err)
{
    const struct tg_timeline *t = &ob->timeline;
    int64_t sum = 0, n;
    char sql[192];
    int code = TG_OK;
    for (uint32_t i = 0; i < t->boot_count && code == TG_OK && sum < WAITING_ROWS; i++) {
        if (t->boots[i].state != TG_BOOT_UNKNOWN)
            continue;
        snprintf(sql, sizeof sql,
                 "SELECT count(*) FROM (SELECT 1 FROM log WHERE id>=%llu AND id<%llu LIMIT %d)",
                 (unsigned long long)t->boots[i].first_id, (unsigned long long)end_of(t, i), WAITING_ROWS);
        n = 0;
        code = one_number(ob, sql, &n, err);
        sum += n;
    }
    if (code == TG_OK)
        *ret_rows = (uint64_t)sum;
    return code;
}
