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

void tg_outbox_undeclare(struct tg_outbox *ob, uint32_t cursor)
{
    if (cursor < ob->cursor_count)
        ob->cursors[cursor].declared = false;
}
