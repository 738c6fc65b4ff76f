/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * Numbers without rows: samples that were acknowledged by everybody before they were stored.
 */
#include "store/outbox_private.h"

/* Everything that is stored of the device is acknowledged by all who are given its samples. */
static bool nobody_waits(const struct tg_outbox *ob, const struct tg_outbox_device_entry *d)
{
    for (uint32_t i = d->first_cursor; i != TG_OUTBOX_NONE; i = ob->cursors[i].next) {
        const struct tg_outbox_cursor_entry *c = &ob->cursors[i];
        if (c->active && tg_outbox_pending(ob, c) > 0)
            return false;
    }
    return true;
}

static int pass(struct tg_outbox *ob, uint32_t device, uint64_t last_seq, struct tg_error *err)
{
    struct tg_outbox_device_entry *d = tg_outbox_touch_device(ob, device);
    int code;
    if (!d)
        return tg_error_set(err, TG_ENOMEM, "out of memory while storing how far a device is");
    if (!nobody_waits(ob, d)) {
        if ((code = tg_outbox_hole(ob, device, last_seq, err)) != TG_OK)
            return code;
    } else {
        d->last_seq = last_seq;
        for (uint32_t i = d->first_cursor; i != TG_OUTBOX_NONE; i = ob->cursors[i].next) {
            /* One that left the configuration counts what was given while it was active, no more. */
            if (ob->cursors[i].active &&
                (code = tg_outbox_advance(ob, i, last_seq, ob->t.last_id, 0, err)) != TG_OK)
                return code;
        }
    }
    /* A cursor must never say more than the mark. */
    ob->devices[device].dirty = true;
    ob->t.must_mark = true;
    return TG_OK;
}

int tg_outbox_pass(struct tg_outbox *ob, uint32_t device, uint64_t last_seq, struct tg_error *err)
{
    int code = tg_outbox_join(ob, err);
    if (code != TG_OK)
        return code;
    if (device >= ob->device_count || last_seq > INT64_MAX)
        return tg_outbox_fail_tx(ob, tg_error_set(err, TG_EINVAL,
                                                  "numbers up to %llu of device number %u cannot be passed",
                                                  (unsigned long long)last_seq, device));
    if (last_seq <= ob->devices[device].last_seq)
        return TG_OK;
    tg_outbox_high_reserve(ob, last_seq, ob->t.last_id);
    code = pass(ob, device, last_seq, err);
    return code == TG_OK ? TG_OK : tg_outbox_fail_tx(ob, code);
}

int tg_outbox_skip(struct tg_outbox *ob, uint32_t device, uint64_t last_seq, struct tg_error *err)
{
    int code = tg_outbox_join(ob, err);
    if (code != TG_OK)
        return code;
    if (device >= ob->device_count || last_seq > INT64_MAX)
        return tg_outbox_fail_tx(ob, tg_error_set(err, TG_EINVAL,
                                                  "numbers up to %llu of device number %u cannot be left out",
                                                  (unsigned long long)last_seq, device));
    if (last_seq <= ob->devices[device].last_seq)
        return TG_OK;
    struct tg_gap gap = {ob->devices[device].last_seq + 1, last_seq, last_seq - ob->devices[device].last_seq,
                         TG_GAP_CRASH};
    tg_outbox_high_reserve(ob, last_seq, ob->t.last_id);
    code = tg_outbox_hole(ob, device, last_seq, err);
    for (uint32_t i = ob->devices[device].first_cursor; i != TG_OUTBOX_NONE && code == TG_OK;
         i = ob->cursors[i].next)
        code = ob->cursors[i].active ? tg_outbox_note_gap(ob, i, &gap, err) : TG_OK;
    ob->t.must_mark = true;
    return code == TG_OK ? TG_OK : tg_outbox_fail_tx(ob, code);
}

int tg_outbox_settle(struct tg_outbox *ob, uint64_t last_id, struct tg_error *err)
{
    int code = tg_outbox_join(ob, err);
    if (code != TG_OK || last_id <= ob->t.last_id)
        return code;
    if (last_id > INT64_MAX)
        return tg_outbox_fail_tx(ob, tg_error_set(err, TG_EINVAL, "an id of more than 63 bits"));
    tg_outbox_high_reserve(ob, 0, last_id);
    ob->t.last_id = last_id;
    ob->t.must_mark = true;
    return TG_OK;
}
