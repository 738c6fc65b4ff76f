/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * For an owner that keeps running while its database is replaced or its declarations change.
 */
#include "store/outbox_private.h"

int tg_outbox_continue(struct tg_outbox *ob, uint64_t last_id, const uint64_t *last_seqs, uint32_t count,
                       struct tg_error *err)
{
    int code;
    if (ob->t.rows > 0 || ob->cursor_count > 0 || count > ob->device_count || last_id > INT64_MAX)
        return tg_error_set(err, TG_ESTATE, "%s: numbers are only taken over by a new outbox", ob->path);
    if ((code = tg_outbox_begin(ob, err)) != TG_OK)
        return code;
    for (uint32_t i = 0; i < count; i++) {
        struct tg_outbox_device_entry *d = tg_outbox_touch_device(ob, i);
        if (!d) {
            tg_outbox_abort(ob);
            return tg_error_set(err, TG_ENOMEM, "out of memory while taking over the numbers");
        }
        d->last_seq = last_seqs[i];
        d->dirty = true;
    }
    ob->t.last_id = last_id;
    return tg_outbox_end(ob, true, err);
}

/* Within a transaction: what it still waited for is given up with it. */
static int retire(struct tg_outbox *ob, uint32_t cursor, uint64_t *rows, struct tg_error *err)
{
    uint32_t device = ob->cursors[cursor].device;
    uint64_t dropped = ob->cursors[cursor].dropped;
    int code = tg_outbox_drop_to(ob, cursor, ob->devices[device].last_seq, ob->devices[device].last_id,
                                 TG_DROP_REMOVED, err);
    if (code != TG_OK)
        return code;
    struct tg_outbox_cursor_entry *c = tg_outbox_touch_cursor(ob, cursor);
    struct tg_outbox_device_entry *d = c ? tg_outbox_touch_device(ob, device) : NULL;
    if (!d)
        return tg_error_set(err, TG_ENOMEM, "out of memory while retiring a cursor");
    *rows += c->dropped - dropped;
    c->active = false;
    d->idle = tg_outbox_idle(ob, d);
    return TG_OK;
}

/* One cursor (declared or not), or with TG_OUTBOX_NONE all that are not declared. */
static int retire_some(struct tg_outbox *ob, uint32_t only, uint64_t *ret_rows, struct tg_error *err)
{
    uint64_t rows = 0;
    int code;
    if (ob->tx != TG_OUTBOX_TX_NONE)
        return tg_error_set(err, TG_ESTATE, "cursors are retired outside of transactions");
    if ((code = tg_outbox_begin(ob, err)) != TG_OK)
        return code;
    for (uint32_t i = 0; i < ob->cursor_count && code == TG_OK; i++) {
        if (ob->cursors[i].active && (only == TG_OUTBOX_NONE ? !ob->cursors[i].declared : i == only))
            code = retire(ob, i, &rows, err);
    }
    if (code != TG_OK) {
        tg_outbox_abort(ob);
        return code;
    }
    /* The drops live in the marks. */
    if ((code = tg_outbox_end(ob, true, err)) == TG_OK && ret_rows)
        *ret_rows = rows;
    return code;
}

int tg_outbox_retire_undeclared(struct tg_outbox *ob, struct tg_error *err)
{
    for (uint32_t i = 0; i < ob->cursor_count; i++)
        if (ob->cursors[i].active && !ob->cursors[i].declared)
            return retire_some(ob, TG_OUTBOX_NONE, NULL, err);
    return TG_OK;
}

int tg_outbox_retire(struct tg_outbox *ob, uint32_t cursor, uint64_t *ret_rows, struct tg_error *err)
{
    return retire_some(ob, cursor, ret_rows, err);
}

void tg_outbox_undeclare(struct tg_outbox *ob, uint32_t cursor)
{
    if (cursor < ob->cursor_count)
        ob->cursors[cursor].declared = false;
}
