/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * What the store thread does with the outbox: transactions and limits, and opening it again when they fail.
 */
#include "store/store_thread.h"

#include <stdio.h>

#include "core/base/clock.h"

#define BATCH_ROWS   8192u /* in one transaction at most; a quarter of it when room is scarce */
#define CRAMPED_ROWS 256u

struct batch {
    struct tg_row *first;
    uint64_t count;
    bool mark;           /* with what every device has left out */
    uint64_t settled_id; /* then: up to here nothing is missing on disk */
};

static bool is_lazy(const struct tg_store_thread *t)
{
    return t->o.outbox.durability == TG_DURABILITY_LAZY;
}

/* --- opening again ------------------------------------------------------------------------------------ */

int tg_store_thread_opened(struct tg_store_thread *t, struct tg_error *err)
{
    int rc = tg_outbox_stats(t->ob, &t->news.outbox, err);
    if (rc < 0)
        return rc;
    for (int i = 0; i < TG_DROP_REASONS; i++)
        t->dropped_seen += t->news.outbox.dropped[i];
    t->last_id = tg_outbox_last_id(t->ob);
    t->news.committed_id = t->news.marked_id = t->given_id = t->last_id;
    t->opened_at_ms = tg_clock_mono_ms();
    t->timeline = *tg_outbox_timeline(t->ob);
    return tg_outbox_waiting(t->ob, &t->news.waiting_rows, err);
}

void tg_store_thread_close_broken(struct tg_store_thread *t)
{
    if (!t->ob)
        return;
    for (uint32_t i = 0; i < t->device_count; i++) {
        uint64_t seq = tg_outbox_last_seq(t->ob, t->devices[i].number);
        if (seq > t->devices[i].last_seq)
            t->devices[i].last_seq = seq;
    }
    if (tg_outbox_last_id(t->ob) > t->last_id)
        t->last_id = tg_outbox_last_id(t->ob);
    t->written_before += tg_outbox_written_bytes(t->ob);
    tg_outbox_close(t->ob, false);
    t->ob = NULL;
}

/* Before anybody hears that rows may go from memory: their numbers must not be given again by the next
 * process. */
void tg_store_thread_mark_beyond(struct tg_store_thread *t, bool beyond)
{
    if (t->beyond == beyond)
        return;
    tg_outbox_mark_beyond(t->dir, beyond);
    t->beyond = beyond;
}

/* The highest id that the loop has given. */
static uint64_t highest_given(struct tg_store_thread *t)
{
    uint64_t id;
    pthread_mutex_lock(&t->lock);
    id = t->given_id;
    pthread_mutex_unlock(&t->lock);
    return id;
}

int tg_store_thread_reopen(struct tg_store_thread *t, struct tg_error *err)
{
    char aside[256] = "";
    struct tg_error why = {0};
    int rc;
    bool waiting = t->waiting, fresh = t->fresh;
    tg_store_thread_close_broken(t);
    t->o.outbox.same_owner = !waiting;
    if (waiting)
        tg_store_thread_stop_reading(t);
    if ((rc = tg_outbox_open(&t->o.outbox, &t->ob, aside, &why)) < 0) {
        if (waiting)
            tg_store_thread_go_on_reading(t);
        if (err)
            *err = why;
        return rc;
    }
    if (waiting && (rc = tg_store_thread_adopt(t, aside[0] != '\0' || fresh, err)) < 0) {
        tg_outbox_close(t->ob, false);
        t->ob = NULL;
        return rc;
    }
    /* A new one numbers far above what was ever given. It may also stem from an attempt that then failed. */
    if (aside[0] != '\0' || tg_outbox_last_id(t->ob) > highest_given(t)) {
        t->fresh = true;
        snprintf(t->aside, sizeof t->aside, "%.60s (%.200s)", aside[0] ? aside : TG_OUTBOX_FILE ".corrupt-…",
                 why.text);
    }
    rc = tg_store_thread_declare_all(t, err);
    if (rc == TG_OK && waiting)
        rc = tg_store_thread_adopted(t, err);
    if (rc < 0) {
        tg_outbox_close(t->ob, false);
        t->ob = NULL;
        return rc;
    }
    t->opened_at_ms = tg_clock_mono_ms();
    pthread_mutex_lock(&t->lock);
    t->news.readable = true;
    tg_store_thread_clock_again(t);
    if (t->aside[0] != '\0') {
        t->news.lost_id = t->last_id;
        t->dropped_seen = 0;
        snprintf(
            t->news.aside_text, sizeof t->news.aside_text,
            "outbox in %s: the database was damaged and set aside as %s; what was in it and not delivered is "
            "kept there but not sent; an empty one was begun, samples in memory go into it",
            t->dir, t->aside);
        t->aside[0] = '\0';
        tg_store_thread_tell(t);
    } else if (tg_outbox_last_id(t->ob) > t->last_id) {
        t->last_id = tg_outbox_last_id(t->ob);
        if (!waiting)
            tg_store_thread_found(t);
    }
    pthread_mutex_unlock(&t->lock);
    return TG_OK;
}

/* --- a transaction -------------------------------------------------------------------------------------- */

/* `lazy`: an acknowledgement is worth a transaction when something that it covers is stored. */
static bool waits_on_disk(const struct tg_store_thread *t, const struct tg_thread_cursor *c)
{
    struct tg_outbox_cursor_state s;
    return !t->ob || c->number == UINT32_MAX || tg_outbox_cursor_state(t->ob, c->number, &s) < 0 ||
           s.pending > 0;
}

void tg_store_thread_take_acks(struct tg_store_thread *t)
{
    for (uint32_t i = 0; i < t->ack_count; i++) {
        struct tg_thread_slot *slot = &t->acks[t->ack_queue[i]];
        struct tg_thread_cursor *c = &t->cursors[t->ack_queue[i]];
        slot->set = false;
        if (slot->closed) {
            c->declared = c->held = false;
            if (t->ob && c->number != UINT32_MAX)
                tg_outbox_undeclare(t->ob, c->number);
        }
        if (c->held)
            continue;
        if (slot->seq > c->seq) {
            c->seq = slot->seq;
            c->id = slot->id;
        }
        if (slot->seq > 0 || slot->ahead.count > 0) { /* else it was only closed */
            struct tg_runs was = c->ahead;
            c->ahead = slot->ahead;
            slot->ahead = was;
        }
        tg_gap_unite(&c->lost, &slot->gap);
        c->quarantined += slot->quarantined;
        if (!c->todo && (tg_gap_is(&slot->gap) ||
                         ((slot->seq > 0 || c->ahead.count > 0) && (!is_lazy(t) || waits_on_disk(t, c))))) {
            c->todo = true;
            t->todo[t->todo_count++] = t->ack_queue[i];
        }
    }
    t->ack_count = 0;
}

/* The row is a gap record: its cloud is being told. */
static int write_tell(struct tg_store_thread *t, const struct tg_row *row, struct tg_error *err)
{
    const struct tg_thread_cursor *c = &t->cursors[row->tells - 1];
    struct tg_gap gap;
    struct tg_bytes cloud;
    if (c->number == UINT32_MAX || tg_gap_read(tg_bytes(row->body, row->body_len), &gap, &cloud) <= 0)
        return TG_OK;
    t->told_gaps = true;
    return tg_outbox_tell(t->ob, c->number, row->seq, &gap, err);
}

/* Numbers below the row's that left memory go first. */
static int write_row(struct tg_store_thread *t, const struct tg_row *row, struct tg_error *err)
{
    struct tg_thread_device *d = &t->devices[row->device];
    struct tg_outbox_row r = {.id = row->id,
                              .seq = row->seq,
                              .device = d->number,
                              .time_ms = row->time_ms,
                              .body = tg_bytes(row->body, row->body_len)};
    int rc;
    tg_store_thread_in_round(t, d);
    if (row->seq > d->now_seq + 1 && (rc = tg_store_thread_write_gone(t, row->device, row->seq, err)) < 0)
        return rc;
    if (row->seq <= d->now_seq) /* everybody has it */
        return tg_outbox_settle(t->ob, row->id, err);
    if ((rc = row->urgent ? tg_outbox_append_urgent(t->ob, &r, err) : tg_outbox_append(t->ob, &r, err)) < 0)
        return rc;
    d->now_seq = row->seq;
    return row->tells > 0 ? write_tell(t, row, err) : TG_OK;
}

static int write_rows(struct tg_store_thread *t, const struct batch *b, struct tg_error *err)
{
    const struct tg_row *row = b->first;
    int rc = TG_OK;
    for (uint64_t i = 0; i < b->count && rc == TG_OK; i++, row = i < b->count ? row->next : NULL) {
        if (row->id > t->last_id) /* else it is stored, as it turned out when the database was opened again */
            rc = write_row(t, row, err);
    }
    return rc;
}

int tg_store_thread_write_cursor(struct tg_store_thread *t, const struct tg_thread_cursor *c,
                                 struct tg_error *err)
{
    int rc = TG_OK;
    if (c->number == UINT32_MAX)
        return TG_OK;
    if (c->seq > 0)
        rc = tg_outbox_set_cursor(t->ob, c->number, c->seq, c->id, err);
    for (uint32_t i = 0; i < c->ahead.count && rc == TG_OK; i++)
        rc = tg_outbox_ack_ahead(t->ob, c->number, c->ahead.at[i].first, c->ahead.at[i].last,
                                 c->ahead.at[i].last_id, err);
    return rc;
}

/* `lazy`: all of them, as far as something is stored for them: nobody else remembers acknowledgements that came while
 * their rows were on the way to the disk. */
static int write_cursors(struct tg_store_thread *t, struct tg_error *err)
{
    uint32_t count = is_lazy(t) ? t->cursor_count : t->todo_count;
    int rc = TG_OK;
    for (uint32_t i = 0; i < count && rc == TG_OK; i++) {
        const struct tg_thread_cursor *c = &t->cursors[is_lazy(t) ? i : t->todo[i]];
        rc = tg_store_thread_write_cursor(t, c, err);
    }
    return rc;
}

/* What will not arrive, once the cursors have passed it: `lazy` may have to wait for that. */
static int write_losses(struct tg_store_thread *t, struct tg_error *err)
{
    uint32_t count = is_lazy(t) ? t->cursor_count : t->todo_count;
    int rc = TG_OK;
    for (uint32_t i = 0; i < count && rc == TG_OK; i++) {
        struct tg_thread_cursor *c = &t->cursors[is_lazy(t) ? i : t->todo[i]];
        if (c->number == UINT32_MAX || !tg_gap_is(&c->lost) ||
            (c->quarantined > 0 && tg_outbox_acked_now(t->ob, c->number) < c->lost.last_seq && is_lazy(t)))
            continue;
        rc = tg_outbox_lose(t->ob, c->number, &c->lost, c->quarantined, err);
        c->lose_round = t->round;
    }
    return rc;
}

/* Everything that the transaction is to have; cursors first, so that a number which everybody acknowledged is seen to be so. */
static int write_parts(struct tg_store_thread *t, const struct batch *b, struct tg_error *err)
{
    int rc = write_cursors(t, err);
    if (rc == TG_OK && b->count > 0 && (rc = write_rows(t, b, err)) == TG_OK)
        rc = write_cursors(t, err);
    if (rc == TG_OK && b->mark && (rc = tg_store_thread_write_all_gone(t, err)) == TG_OK)
        rc = write_cursors(t, err);
    if (rc == TG_OK)
        rc = write_losses(t, err);
    if (rc == TG_OK && b->mark)
        rc = tg_outbox_settle(t->ob, b->settled_id, err);
    return rc;
}

/* It has acknowledged, from memory, what is not stored yet. */
static bool is_beyond(const struct tg_store_thread *t, const struct tg_thread_cursor *c)
{
    const struct tg_run *last = c->ahead.count > 0 ? &c->ahead.at[c->ahead.count - 1] : NULL;
    uint64_t seq = last && last->last > c->seq ? last->last : c->seq;
    return c->number != UINT32_MAX && seq > tg_outbox_last_seq(t->ob, t->devices[c->device].number);
}

/* Written, but for what goes with rows that are still to be stored; `lazy` writes all cursors every time. */
static void todo_written(struct tg_store_thread *t)
{
    uint32_t kept = 0;
    for (uint32_t i = 0; i < t->todo_count; i++) {
        struct tg_thread_cursor *c = &t->cursors[t->todo[i]];
        c->todo = !is_lazy(t) && is_beyond(t, c);
        if (c->todo)
            t->todo[kept++] = t->todo[i];
    }
    t->todo_count = kept;
}

static int write_all(struct tg_store_thread *t, const struct batch *b, struct tg_error *err)
{
    int rc;
    t->round++;
    if ((rc = write_parts(t, b, err)) < 0 || (rc = tg_outbox_commit(t->ob, err)) < 0) {
        tg_outbox_rollback(t->ob);
        return rc;
    }
    for (uint32_t i = 0; i < t->cursor_count; i++) {
        struct tg_thread_cursor *c = &t->cursors[i];
        if (c->lose_round != t->round)
            continue;
        c->lost = (struct tg_gap){0};
        c->quarantined = 0;
    }
    todo_written(t);
    if (tg_outbox_last_id(t->ob) > t->last_id)
        t->last_id = tg_outbox_last_id(t->ob);
    return TG_OK;
}

static size_t size_of(const struct batch *b)
{
    const struct tg_row *row = b->first;
    size_t bytes = 0;
    for (uint64_t i = 0; i < b->count; i++, row = i < b->count ? row->next : NULL)
        bytes += row->body_len + 32;
    return bytes;
}

int tg_store_thread_write_acks(struct tg_store_thread *t, struct tg_error *err)
{
    struct batch none = {0};
    return t->todo_count > 0 ? write_all(t, &none, err) : TG_OK;
}

/* Nothing can be stored: at least what was acknowledged, which may make room. */
static int write_acks_only(struct tg_store_thread *t, struct tg_error *err)
{
    struct tg_error ignored = {0};
    (void)!tg_store_thread_write_acks(t, &ignored);
    return err->code;
}

/* No more than the log can take; one row in any case. */
static void fit(const struct tg_store_thread *t, struct batch *b)
{
    size_t limit = tg_outbox_batch_bytes(t->ob), bytes = 0;
    const struct tg_row *row = b->first;
    for (uint64_t i = 0; i < b->count; i++, row = i < b->count ? row->next : NULL) {
        bytes += row->body_len + 32;
        if (bytes > limit && i > 0)
            b->count = i;
    }
}

/* Stores the batch, or less of it when room is scarce. *ret_made_room: rows were evicted for it. */
static int attempt(struct tg_store_thread *t, struct batch *b, bool *ret_made_room, struct tg_error *err)
{
    bool reopened = false;
    for (;;) {
        int rc = TG_OK;
        *err = (struct tg_error){0};
        if (!t->ob) {
            reopened = true;
            rc = tg_store_thread_reopen(t, err);
        }
        if (rc == TG_OK) {
            fit(t, b);
            rc = write_all(t, b, err);
        }
        if (rc == TG_OK || rc == TG_ENOMEM || (rc == TG_EBUSY && t->ob) || (!t->ob && reopened))
            return rc;
        if (rc == TG_ENOSPACE && !*ret_made_room) {
            if (b->count > CRAMPED_ROWS)
                b->count = CRAMPED_ROWS;
            rc = tg_outbox_make_room(t->ob, size_of(b), err);
            *ret_made_room = rc == TG_OK;
            if (rc == TG_OK)
                continue;
        }
        if (rc == TG_ENOSPACE || rc == TG_EBUSY)
            return write_acks_only(t, err);
        tg_store_thread_close_broken(t);
        if (reopened)
            return rc;
    }
}

/* --- after it ------------------------------------------------------------------------------------------ */

/* Waiting rows that are stored are the loop's again. The lock is held. */
static void release_rows(struct tg_store_thread *t)
{
    while (t->count > 0 && t->first->id <= t->last_id)
        t->first = --t->count > 0 ? t->first->next : NULL;
    if (t->count == 0)
        t->flush = false;
    if (t->last_id > t->news.committed_id)
        t->news.committed_id = t->last_id;
}

static void forget_todo(struct tg_store_thread *t)
{
    for (uint32_t i = 0; i < t->todo_count; i++)
        t->cursors[t->todo[i]].todo = false;
    t->todo_count = 0;
}

/* What is gone is written with the rows: at once in a store that is not lazy, where it happens in trouble only. */
static void take_gone(struct tg_store_thread *t, struct batch *b, int64_t now)
{
    if (t->trouble)
        t->any_gone = t->mark_now = true; /* numbers may have run ahead without bound meanwhile */
    b->mark = t->any_gone && (!is_lazy(t) || t->mark_now || t->stopping || now >= t->mark_at_ms);
    b->settled_id = t->settled_id;
    if (!b->mark)
        return;
    t->any_gone = t->mark_now = false;
    t->mark_at_ms = INT64_MAX;
}

/* The lock is held. */
static void gone_written(struct tg_store_thread *t, const struct batch *b, int rc)
{
    if (!b->mark)
        return;
    if (rc != TG_OK) {
        t->any_gone = t->mark_now = true;
        return;
    }
    if (t->last_id > t->news.marked_id)
        t->news.marked_id = t->last_id;
}

void tg_store_thread_commit(struct tg_store_thread *t)
{
    struct tg_error err = {0};
    struct tg_outbox_stats stats;
    struct batch b = {.first = t->first, .count = t->count < BATCH_ROWS ? t->count : BATCH_ROWS};
    bool made_room = false, counted = false, over, all = b.count == t->count;
    int64_t start_us = tg_clock_mono_us(), begun_ms = tg_clock_mono_ms(), us, now;
    t->in_transaction = true;
    t->told_gaps = false;
    tg_store_thread_take_acks(t);
    take_gone(t, &b, begun_ms);
    if (is_lazy(t) && t->ob && !t->trouble && b.count == 0 && !b.mark && t->todo_count == 0) {
        t->in_transaction = false; /* nothing that is stored has changed */
        return;
    }
    pthread_mutex_unlock(&t->lock);
    int rc = attempt(t, &b, &made_room, &err);
    us = tg_clock_mono_us() - start_us;
    now = tg_clock_mono_ms();
    if (rc != TG_OK)
        tg_store_thread_mark_beyond(t, true);
    /* That a gap record is stored must be known with it, or it would be written again. */
    if (t->ob && (all || t->told_gaps || now >= t->stats_at_ms))
        counted = tg_outbox_stats(t->ob, &stats, NULL) == TG_OK;
    over = rc == TG_OK && tg_store_thread_full_is_over(t, now);
    pthread_mutex_lock(&t->lock);
    t->in_transaction = false;
    release_rows(t);
    if (all && b.count > 0) /* rows that have come meanwhile wait for company of their own */
        t->first_at_ms = begun_ms;
    gone_written(t, &b, rc);
    t->ack_at_ms = now; /* what is left to be stored of them waits for its rows … */
    if (rc == TG_OK && t->count == 0)
        forget_todo(t); /* … of which there are none */
    if (rc == TG_OK) {
        tg_store_thread_forget_gone(t);
        t->news.commits++;
        t->news.last_commit_us = us;
        if (us > t->news.worst_commit_us)
            t->news.worst_commit_us = us;
        tg_store_thread_succeeded(t, made_room, over, now);
    } else {
        tg_store_thread_failed(t, rc, &err, now);
    }
    if (counted)
        tg_store_thread_publish(t, &stats);
    tg_store_thread_tell(t);
}

/* --- limits and age -------------------------------------------------------------------------------------- */

void tg_store_thread_care(struct tg_store_thread *t)
{
    struct tg_error err = {0};
    struct tg_outbox_stats stats;
    bool counted = false, over = false;
    int64_t now, left_at = INT64_MAX;
    tg_store_thread_take_acks(t);
    pthread_mutex_unlock(&t->lock);
    if (t->ob) {
        int rc = tg_store_thread_write_acks(t, &err); /* what is delivered is not dropped */
        if (rc == TG_OK)
            rc = tg_outbox_enforce(t->ob, tg_outbox_wall_ms(t->ob), &err);
        if (rc == TG_OK)
            rc = tg_store_thread_retire_left(t, tg_clock_mono_ms(), &left_at, &err);
        counted = tg_outbox_stats(t->ob, &stats, NULL) == TG_OK;
        if (rc < 0 && rc != TG_ENOSPACE && rc != TG_ENOMEM && rc != TG_EBUSY)
            tg_store_thread_close_broken(t); /* the next transaction opens it again and says what is wrong */
        over = tg_store_thread_full_is_over(t, tg_clock_mono_ms());
    }
    pthread_mutex_lock(&t->lock);
    now = tg_clock_mono_ms();
    if (t->news.state == TG_STORE_FULL) {
        t->care_at_ms = tg_store_thread_full_care_at(t, now);
        if (!t->trouble && over)
            tg_store_thread_succeeded(t, false, over, now);
    }
    t->care_at_ms = left_at < t->care_at_ms ? left_at : t->care_at_ms;
    if (counted && t->ob)
        tg_store_thread_publish(t, &stats);
    tg_store_thread_tell(t);
}
