/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * What an operator gives up: rows that wait, of one device or all, for one cloud or all, maybe only the old ones.
 */
#include "store/outbox_private.h"

#include "core/base/allocator.h"

#define STEP_ROWS 4096 /* looked at between two transactions */

struct drop {
    struct tg_outbox *ob;
    const struct tg_outbox_drop *o;
    uint64_t *seqs, *ids; /* of each device: up to there */
    bool *ended;          /* its first row that stays has been seen */
    uint64_t rows;
};

static bool wanted(const struct drop *d, const struct tg_outbox_cursor_entry *c)
{
    return c->active && (!d->o->device || strcmp(d->ob->devices[c->device].name, d->o->device) == 0) &&
           (!d->o->cloud || strcmp(d->ob->clouds[c->cloud], d->o->cloud) == 0);
}

/* TG_ENOTFOUND when there is nothing of that name. */
static int look_up(const struct drop *d, struct tg_error *err)
{
    const struct tg_outbox *ob = d->ob;
    bool device = !d->o->device, cloud = !d->o->cloud;
    for (uint32_t i = 0; i < ob->device_count && !device; i++)
        device = strcmp(ob->devices[i].name, d->o->device) == 0;
    for (uint32_t i = 0; i < ob->cloud_count && !cloud; i++)
        cloud = strcmp(ob->clouds[i], d->o->cloud) == 0;
    if (!device)
        return tg_error_set(err, TG_ENOTFOUND, "the outbox knows no device \"%.128s\"", d->o->device);
    return cloud ? TG_OK
                 : tg_error_set(err, TG_ENOTFOUND, "the outbox knows no cloud \"%.128s\"", d->o->cloud);
}

static void see_row(struct drop *d, sqlite3_stmt *st)
{
    int64_t device = sqlite3_column_int64(st, 1);
    uint64_t id = (uint64_t)sqlite3_column_int64(st, 0), seq = (uint64_t)sqlite3_column_int64(st, 2);
    if (device < 0 || device >= d->ob->device_count || seq > d->ob->devices[device].last_seq ||
        d->ended[device])
        return;
    if (tg_outbox_age(d->ob, id, sqlite3_column_int64(st, 3), d->o->before_ms) == TG_OUTBOX_YOUNG) {
        d->ended[device] = true;
        return;
    }
    d->seqs[device] = seq;
    d->ids[device] = id;
}

/* Where each device's rows end that are old enough. */
static int find_ends(struct drop *d, struct tg_error *err)
{
    struct tg_outbox *ob = d->ob;
    sqlite3_stmt *st = ob->st[ST_SCAN];
    uint64_t before = 0, seen = STEP_ROWS;
    int rc = SQLITE_DONE, code = TG_OK;
    for (uint32_t i = 0; i < ob->device_count && d->o->before_ms == 0; i++) {
        d->seqs[i] = ob->devices[i].last_seq;
        d->ids[i] = ob->devices[i].last_id;
    }
    while (code == TG_OK && d->o->before_ms != 0 && seen == STEP_ROWS) {
        (void)sqlite3_bind_int64(st, 1, (int64_t)before + 1);
        (void)sqlite3_bind_int64(st, 2, (int64_t)ob->committed_id);
        (void)sqlite3_bind_int64(st, 3, STEP_ROWS);
        for (seen = 0; (rc = sqlite3_step(st)) == SQLITE_ROW; seen++) {
            uint64_t id = (uint64_t)sqlite3_column_int64(st, 0);
            if (id <= before) {
                rc = SQLITE_CORRUPT;
                break;
            }
            before = id;
            see_row(d, st);
        }
        if (rc != SQLITE_DONE)
            code = tg_outbox_fail(ob, rc, err, "looking for samples to drop");
        (void)sqlite3_reset(st);
    }
    return code;
}

static int drop_cursor(struct drop *d, uint32_t cursor, struct tg_error *err)
{
    const struct tg_outbox_cursor_entry *c = &d->ob->cursors[cursor];
    uint64_t rows = 0;
    int code = tg_outbox_rows_to(d->ob, cursor, d->seqs[c->device], &rows, err);
    if (code == TG_OK && rows > 0 && !d->o->dry)
        code = tg_outbox_drop_to(d->ob, cursor, d->seqs[c->device], d->ids[c->device], TG_DROP_REMOVED, err);
    if (code == TG_OK && rows > 0 && d->o->each)
        d->o->each(d->o->user, d->ob->devices[c->device].name, d->ob->clouds[c->cloud], rows);
    d->rows += rows;
    return code;
}

static int drop_all(struct drop *d, struct tg_error *err)
{
    int code = d->o->dry ? TG_OK : tg_outbox_begin(d->ob, err);
    if (code != TG_OK)
        return code;
    for (uint32_t i = 0; i < d->ob->cursor_count && code == TG_OK; i++)
        if (wanted(d, &d->ob->cursors[i]))
            code = drop_cursor(d, i, err);
    if (d->o->dry)
        return code;
    if (code != TG_OK || d->rows == 0) {
        tg_outbox_abort(d->ob);
        return code;
    }
    return tg_outbox_end(d->ob, true, err);
}

int tg_outbox_drop(struct tg_outbox *ob, const struct tg_outbox_drop *drop, uint64_t *ret_rows,
                   struct tg_error *err)
{
    struct drop d = {.ob = ob, .o = drop};
    int code;
    if (ob->tx != TG_OUTBOX_TX_NONE)
        return tg_error_set(err, TG_ESTATE, "samples are dropped outside of transactions");
    if ((code = look_up(&d, err)) != TG_OK)
        return code;
    d.seqs = tg_calloc(ob->device_count + 1, sizeof *d.seqs);
    d.ids = tg_calloc(ob->device_count + 1, sizeof *d.ids);
    d.ended = tg_calloc(ob->device_count + 1, sizeof *d.ended);
    if (!d.seqs || !d.ids || !d.ended)
        code = tg_error_set(err, TG_ENOMEM, "out of memory while dropping samples");
    if (code == TG_OK)
        code = find_ends(&d, err);
    if (code == TG_OK)
        code = drop_all(&d, err);
    tg_free(d.seqs);
    tg_free(d.ids);
    tg_free(d.ended);
    if (code == TG_OK)
        *ret_rows = d.rows;
    return code;
}
