/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * A store that cannot be used at the start: it begins in memory, with numbers that nobody was given before, reads what can
 * be read, and takes the database over once it can be written.
 *
 * NUMBERS   What this process gives while nothing can be written no file will ever know, so the next one must not need
 * to. A device goes on at
 *
 *     highest number that can be read (database, outbox.high) + 2^33 + milliseconds since 1970
 *
 * Whoever starts later is higher, as long as a device brings less than a thousand samples a second on average; and
 * the database cannot catch up, because an open leaps 2^32 at most. Without a clock 2^41 and a random number stand for
 * the time. Ids likewise; when nothing can be read they begin at 2^62, above any that a database counts up to.
 */
#include "store/store_thread.h"

#include <stdio.h>

#include "core/base/clock.h"
#include "core/base/random.h"

#define CLEAR_OF_LEAPS (UINT64_C(1) << 33)
#define UNREADABLE_ID  (UINT64_C(1) << 62)
_Static_assert(CLEAR_OF_LEAPS >= 2 * (UINT64_C(1) << 32), "above what an open may leap");

/* Somebody else's, a newer one, a wrong path: not for the gateway to decide. */
bool tg_store_thread_may_wait(int code)
{
    return code == TG_EPERM || code == TG_EIO || code == TG_ENOSPACE || code == TG_ECORRUPT ||
           code == TG_EUNKNOWN || code == TG_EEXISTS;
}

void tg_store_thread_start_waiting(struct tg_store_thread *t)
{
    int64_t wall_ms = tg_clock_wall_ms();
    uint64_t seq = 0, id = 0;
    struct tg_error err = {0};
    bool known = tg_outbox_numbers(t->dir, &seq, &id);
    t->later = tg_clock_plausible(wall_ms) ? (uint64_t)wall_ms : (UINT64_C(1) << 41) + tg_random_u32();
    t->later += CLEAR_OF_LEAPS;
    t->high_seq = seq;
    if (tg_outbox_look(&t->o.outbox, &t->reader, &err) < 0)
        t->reader = NULL;
    if (t->reader) {
        (void)!tg_outbox_stats(t->reader, &t->news.outbox, NULL);
        (void)!tg_outbox_waiting(t->reader, &t->news.waiting_rows, NULL);
        t->timeline = *tg_outbox_timeline(t->reader);
        if (tg_outbox_last_id(t->reader) > id)
            id = tg_outbox_last_id(t->reader);
    }
    t->last_id = t->later + (known || t->reader ? id : UNREADABLE_ID);
    t->waiting = true;
    t->waiting_id = t->last_id;
    t->news.committed_id = t->news.marked_id = t->given_id = t->last_id;
    t->news.readable = t->reader != NULL;
}

int tg_store_thread_wait_device(struct tg_store_thread *t, const char *name, uint32_t *ret_slot,
                                struct tg_error *err)
{
    uint32_t slot = t->device_count, number = UINT32_MAX, cursor;
    uint64_t last = t->high_seq;
    int rc;
    if (t->reader && tg_outbox_find(t->reader, name, NULL, &number, &cursor) &&
        tg_outbox_last_seq(t->reader, number) > last)
        last = tg_outbox_last_seq(t->reader, number);
    last += t->later;
    if ((rc = tg_store_thread_add_device(t, name, number, last, err)) < 0)
        return rc;
    pthread_mutex_lock(&t->lock);
    tg_store_thread_gone(t, &(struct tg_row){.device = slot, .seq = last}, TG_GONE_NEVER);
    pthread_mutex_unlock(&t->lock);
    *ret_slot = slot;
    return TG_OK;
}

int tg_store_thread_wait_cursor(struct tg_store_thread *t, uint32_t device, const char *cloud,
                                struct tg_thread_place *ret_place, struct tg_error *err)
{
    struct tg_feed_start *start = &ret_place->start;
    struct tg_thread_cursor *c;
    struct tg_outbox_cursor_state s;
    uint32_t number, cursor = UINT32_MAX, slot = 0;
    uint64_t last = t->devices[device].last_seq;
    int rc = tg_store_thread_add_cursor(t, device, cloud, &slot, err);
    if (rc < 0)
        return rc;
    c = &t->cursors[slot];
    c->declared = true;
    ret_place->stored_seq = last;
    *start = (struct tg_feed_start){
        .device = device, .cursor = slot, .acked_seq = last, .acked_id = t->waiting_id};
    if (t->reader && tg_outbox_find(t->reader, t->devices[device].name, cloud, &number, &cursor) &&
        cursor != UINT32_MAX && tg_outbox_cursor_state(t->reader, cursor, &s) == TG_OK && s.pending > 0) {
        start->acked_seq = s.acked_seq;
        start->acked_id = s.acked_id;
        ret_place->stored_seq = tg_outbox_last_seq(t->reader, number);
        if (tg_runs_copy(&ret_place->ahead, tg_outbox_ahead(t->reader, cursor)) < 0)
            return tg_error_set(err, TG_ENOMEM, "out of memory while declaring a cloud to the store");
        rc = tg_outbox_holes(t->reader, number, s.acked_seq, TG_HOLES_MAX, &ret_place->holes, err);
        if (rc < 0)
            return rc;
        c->reads = true;
    }
    if (c->seq > start->acked_seq) {
        start->acked_seq = c->seq;
        start->acked_id = c->id;
        (void)tg_runs_cut(&ret_place->ahead, c->seq);
        (void)tg_runs_cut(&ret_place->holes, c->seq);
    }
    c->told_seq = start->acked_seq;
    return TG_OK;
}

void tg_store_thread_stop_reading(struct tg_store_thread *t)
{
    t->look_again = t->reader && tg_outbox_may_write(t->dir);
    if (!t->look_again)
        return;
    tg_outbox_close(t->reader, false);
    t->reader = NULL;
}

void tg_store_thread_go_on_reading(struct tg_store_thread *t)
{
    if (t->look_again && tg_outbox_look(&t->o.outbox, &t->reader, NULL) < 0)
        t->reader = NULL;
    t->look_again = false;
}

/* Numbers that were given here may be in the database already: a wrong clock, or one that ran back. */
static int check_numbers(const struct tg_store_thread *t, struct tg_error *err)
{
    uint32_t number, cursor;
    if (tg_outbox_last_id(t->ob) > t->waiting_id)
        return tg_error_set(
            err, TG_ESTATE,
            "the outbox in %s can be used again, but it knows numbers like those given since the start "
            "(was the clock wrong?): it is left as it is until the gateway is started again",
            t->dir);
    for (uint32_t i = 0; i < t->device_count; i++) {
        const struct tg_thread_device *d = &t->devices[i];
        if (tg_outbox_find(t->ob, d->name, NULL, &number, &cursor) &&
            tg_outbox_last_seq(t->ob, number) > d->last_seq)
            return tg_error_set(
                err, TG_ESTATE,
                "the outbox in %s can be used again, but it knows numbers of device %s like those given "
                "since the start (was the clock wrong?): it is left as it is until the gateway is started "
                "again",
                t->dir, d->name);
    }
    return TG_OK;
}

int tg_store_thread_adopt(struct tg_store_thread *t, bool begun_anew, struct tg_error *err)
{
    int rc = begun_anew ? TG_OK : check_numbers(t, err);
    if (rc < 0)
        tg_outbox_mark_beyond(t->dir, true); /* the next process leaps over what both have given */
    return rc;
}

int tg_store_thread_adopted(struct tg_store_thread *t, struct tg_error *err)
{
    uint64_t rows;
    int rc = t->retire_later ? tg_store_thread_retire_undeclared(t, &rows, err) : TG_OK;
    if (rc < 0)
        return rc;
    tg_outbox_close(t->reader, false);
    t->reader = NULL;
    t->waiting = t->retire_later = false;
    t->beyond = false;
    pthread_mutex_lock(&t->lock);
    t->mark_now = t->any_gone = true;
    tg_store_thread_publish_timeline(t);
    for (uint32_t i = 0; i < t->cursor_count; i++) {
        struct tg_thread_cursor *c = &t->cursors[i];
        struct tg_outbox_cursor_state s;
        if (!c->declared || c->reads || c->number == UINT32_MAX ||
            tg_outbox_cursor_state(t->ob, c->number, &s) < 0 || s.pending == 0)
            continue;
        /* Its feed began behind what was stored and could not be read: it has to go back. What it acknowledges until
         * then must not count for what lies between. */
        c->held = true;
        c->seq = s.acked_seq;
        c->id = s.acked_id;
        t->moves[i] =
            (struct tg_thread_slot){.set = true, .back = true, .gap = s.gap, .tell_seq = s.tell_seq};
        t->news.moved = true;
    }
    pthread_mutex_unlock(&t->lock);
    return TG_OK;
}
