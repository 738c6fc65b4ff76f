/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * What an open outbox knows about itself.
 */
#include "store/outbox_private.h"

#include <sys/stat.h>

const char *tg_drop_reason_name(int reason)
{
    static const char *const names[TG_DROP_REASONS] = {"limit",      "age",   "disk_full",
                                                       "quarantine", "quota", "removed"};
    return names[reason];
}

uint64_t tg_outbox_last_id(const struct tg_outbox *ob)
{
    return ob->committed_id;
}

uint64_t tg_outbox_acked_now(const struct tg_outbox *ob, uint32_t cursor)
{
    return cursor < ob->cursor_count ? ob->cursors[cursor].acked_seq : 0;
}

size_t tg_outbox_batch_bytes(const struct tg_outbox *ob)
{
    return (size_t)ob->wal_limit / 4;
}

uint64_t tg_outbox_written_bytes(const struct tg_outbox *ob)
{
    return tg_written_bytes(ob->written);
}

/* While a transaction is open, what was before it. */
static const struct tg_outbox_device_entry *committed_device(const struct tg_outbox *ob, uint32_t device)
{
    const struct tg_outbox_device_entry *d = &ob->devices[device];
    return d->undo ? &ob->undo[d->undo - 1].was.device : d;
}

uint64_t tg_outbox_last_seq(const struct tg_outbox *ob, uint32_t device)
{
    return device < ob->device_count ? committed_device(ob, device)->last_seq : 0;
}

const char *tg_outbox_device_name(const struct tg_outbox *ob, uint32_t device)
{
    return device < ob->device_count ? ob->devices[device].name : NULL;
}

uint64_t tg_outbox_gap_serial(const struct tg_outbox *ob)
{
    return ob->gap_serial;
}

int tg_outbox_cursor_state(const struct tg_outbox *ob, uint32_t cursor,
                           struct tg_outbox_cursor_state *ret_state)
{
    if (cursor >= ob->cursor_count)
        return TG_EINVAL;
    const struct tg_outbox_cursor_entry *c = &ob->cursors[cursor];
    if (c->undo)
        c = &ob->undo[c->undo - 1].was.cursor;
    const struct tg_outbox_device_entry *d = committed_device(ob, c->device);
    ret_state->device = c->device;
    ret_state->acked_seq = c->acked_seq;
    ret_state->acked_id = c->acked_id;
    ret_state->pending = d->last_seq - c->acked_seq - c->holes_ahead - c->ahead.rows;
    ret_state->dropped = c->dropped;
    ret_state->acked = c->acked_seq - c->base_seq - c->skipped - c->dropped + c->ahead.rows;
    ret_state->ahead = c->ahead.rows;
    ret_state->ahead_runs = c->ahead.count;
    ret_state->accepted = ret_state->acked + ret_state->dropped + ret_state->pending;
    ret_state->gap = c->gap;
    ret_state->tell_seq = c->tell_seq;
    return TG_OK;
}

static uint64_t pending_of(const struct tg_outbox *ob, const struct tg_outbox_device_entry *d)
{
    uint64_t most = 0;
    for (uint32_t i = d->first_cursor; i != TG_OUTBOX_NONE; i = ob->cursors[i].next) {
        if (ob->cursors[i].active && tg_outbox_pending(ob, &ob->cursors[i]) > most)
            most = tg_outbox_pending(ob, &ob->cursors[i]);
    }
    return most;
}

/* What the cursors of a device wait for are ends of the same row of numbers: the longest holds the others. (Where two clouds
 * have acknowledged different rows ahead it is more than that: then some rows that wait count as acknowledged here.) */
uint64_t tg_outbox_pending_rows(const struct tg_outbox *ob)
{
    uint64_t sum = 0;
    for (uint32_t i = 0; i < ob->device_count; i++)
        sum += ob->devices[i].idle ? 0 : pending_of(ob, &ob->devices[i]);
    return sum;
}

int tg_outbox_stats(struct tg_outbox *ob, struct tg_outbox_stats *ret_stats, struct tg_error *err)
{
    struct tg_outbox_stats s = {0};
    int64_t pages = 0;
    int code = tg_outbox_pragma(ob, ST_PAGES, &pages, err);
    if (code != TG_OK)
        return code;
    sqlite3_stmt *st = ob->st[ST_FIRST];
    int rc = sqlite3_step(st);
    if (rc == SQLITE_ROW) {
        s.oldest_id = (uint64_t)sqlite3_column_int64(st, 0);
        if (!tg_outbox_stored_ms(ob, s.oldest_id, sqlite3_column_int64(st, 1), &s.oldest_time_ms))
            s.oldest_time_ms = 0;
    } else if (rc != SQLITE_DONE) {
        code = tg_outbox_fail(ob, rc, err, "looking for the oldest sample");
    }
    (void)sqlite3_reset(st);
    if (code != TG_OK)
        return code;
    s.rows = ob->t.rows;
    s.last_id = ob->committed_id;
    s.appended = ob->t.appended;
    s.acked_rows = ob->t.rows - tg_outbox_pending_rows(ob);
    s.bytes_file = (uint64_t)pages * TG_OUTBOX_PAGE;
    s.bytes_wal = (uint64_t)tg_outbox_wal_bytes(ob);
    for (uint32_t i = 0; i < ob->device_count; i++) {
        for (int r = 0; r < TG_DROP_REASONS; r++)
            s.dropped[r] += ob->devices[i].dropped[r];
    }
    s.devices = ob->device_count;
    s.worst_checkpoint_us = ob->worst_checkpoint_us;
    s.written_bytes = tg_written_bytes(ob->written);
    for (uint32_t i = 0; i < ob->cursor_count; i++) {
        s.cursors += ob->cursors[i].active;
        s.ahead_rows += ob->cursors[i].active ? ob->cursors[i].ahead.rows : 0;
    }
    *ret_stats = s;
    return TG_OK;
}

int tg_outbox_each_device(struct tg_outbox *ob,
                          void (*each)(void *user, const struct tg_outbox_device_stats *d), void *user,
                          struct tg_error *err)
{
    (void)err;
    for (uint32_t i = 0; i < ob->device_count; i++) {
        const struct tg_outbox_device_entry *d = &ob->devices[i];
        struct tg_outbox_device_stats s = {
            .name = d->name,
            .last_seq = d->last_seq,
            .pending = pending_of(ob, d),
            .gap_first_seq = d->gap_first,
            .gap_last_seq = d->gap_last,
        };
        memcpy(s.dropped, d->dropped, sizeof s.dropped);
        for (uint32_t k = d->first_cursor; k != TG_OUTBOX_NONE; k = ob->cursors[k].next)
            s.ahead += ob->cursors[k].active ? ob->cursors[k].ahead.rows : 0;
        each(user, &s);
    }
    return TG_OK;
}
