/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * Samples that leave memory without being stored, because every cloud has them (lazy, or while the disk is gone) or because
 * memory was full: what the outbox is told of their numbers, so that accepted = acknowledged + dropped + pending.
 */
#include "core/base/clock.h"
#include "store/store_thread.h"

#define MARK_MS 60000 /* a device's newest number is on disk after so long */

/* --- the loop's side; the lock is held -------------------------------------------------------------------- */

static void merge(struct tg_gone_run *run, uint64_t upto, enum tg_gone_kind kind)
{
    bool lost = kind == TG_GONE_LOST;
    if (run->kind == TG_GONE_LOST || run->kind == TG_GONE_PASSED)
        run->kind = run->kind == kind ? kind : TG_GONE_MIXED;
    run->upto = upto;
    run->lost += lost;
}

void tg_store_thread_gone(struct tg_store_thread *t, const struct tg_row *row, enum tg_gone_kind kind)
{
    struct tg_gone *g = &t->gone[row->device];
    struct tg_gone_run *last = g->count > 0 ? &g->runs[g->count - 1] : NULL;
    if (last && row->seq <= last->upto)
        return;
    if (last && (last->kind == kind || (g->count == TG_GONE_RUNS && last->kind != TG_GONE_NEVER)))
        merge(last, row->seq, kind);
    else if (g->count < TG_GONE_RUNS)
        g->runs[g->count++] =
            (struct tg_gone_run){.upto = row->seq, .lost = kind == TG_GONE_LOST, .kind = kind};
    if (t->any_gone)
        return;
    t->any_gone = true;
    t->mark_at_ms = tg_clock_mono_ms() + MARK_MS;
    pthread_cond_signal(&t->work);
}

bool tg_store_thread_has_gone(struct tg_store_thread *t, uint32_t device)
{
    bool gone;
    pthread_mutex_lock(&t->lock);
    gone = t->gone[device].count > 0;
    pthread_mutex_unlock(&t->lock);
    return gone;
}

void tg_store_thread_gone_begin(struct tg_store_thread *t)
{
    pthread_mutex_lock(&t->lock);
}

void tg_store_thread_gone_end(struct tg_store_thread *t, uint64_t settled_id)
{
    t->settled_id = settled_id;
    pthread_mutex_unlock(&t->lock);
}

void tg_store_thread_mark(struct tg_store_thread *t)
{
    pthread_mutex_lock(&t->lock);
    t->mark_now = true;
    t->any_gone = true;
    pthread_cond_signal(&t->work);
    pthread_mutex_unlock(&t->lock);
}

/* --- on the thread ------------------------------------------------------------------------------------------ */

void tg_store_thread_in_round(struct tg_store_thread *t, struct tg_thread_device *d)
{
    if (d->round == t->round)
        return;
    d->round = t->round;
    d->now_seq = tg_outbox_last_seq(t->ob, d->number);
}

/* Acknowledged by everybody: what is stored of it first, then those that are not. */
static int write_passed(struct tg_store_thread *t, uint32_t slot, uint64_t upto, struct tg_error *err)
{
    int rc = TG_OK;
    for (uint32_t i = 0; i < t->cursor_count && rc == TG_OK; i++) {
        const struct tg_thread_cursor *c = &t->cursors[i];
        if (c->device == slot)
            rc = tg_store_thread_write_cursor(t, c, err);
    }
    return rc == TG_OK ? tg_outbox_pass(t->ob, t->devices[slot].number, upto, err) : rc;
}

static int write_run(struct tg_store_thread *t, uint32_t slot, const struct tg_gone_run *run,
                     struct tg_error *err)
{
    struct tg_thread_device *d = &t->devices[slot];
    uint64_t lost = run->lost < run->upto - d->now_seq ? run->lost : run->upto - d->now_seq;
    int rc = TG_OK;
    switch (run->kind) {
    case TG_GONE_PASSED:
        return write_passed(t, slot, run->upto, err);
    case TG_GONE_NEVER:
        return tg_outbox_skip(t->ob, d->number, run->upto, err);
    case TG_GONE_LOST:
        return tg_outbox_reject(t->ob, d->number, run->upto, TG_DROP_DISK_FULL, err);
    default:
        break;
    }
    if (run->upto - lost > d->now_seq)
        rc = write_passed(t, slot, run->upto - lost, err);
    return rc == TG_OK && lost > 0 ? tg_outbox_reject(t->ob, d->number, run->upto, TG_DROP_DISK_FULL, err)
                                   : rc;
}

int tg_store_thread_write_gone(struct tg_store_thread *t, uint32_t slot, uint64_t below, struct tg_error *err)
{
    struct tg_thread_device *d = &t->devices[slot];
    struct tg_gone gone;
    int rc = TG_OK;
    pthread_mutex_lock(&t->lock);
    gone = t->gone[slot];
    pthread_mutex_unlock(&t->lock);
    tg_store_thread_in_round(t, d);
    for (uint32_t i = 0; i < gone.count && rc == TG_OK && d->now_seq + 1 < below; i++) {
        struct tg_gone_run *run = &gone.runs[i];
        /* Of these alone a part may be written: the row in between, which everybody has as well, is stored. */
        if (run->kind == TG_GONE_PASSED && run->upto >= below)
            run->upto = below - 1;
        if (run->upto <= d->now_seq)
            continue;
        rc = write_run(t, slot, run, err);
        d->now_seq = run->upto;
    }
    return rc;
}

int tg_store_thread_write_all_gone(struct tg_store_thread *t, struct tg_error *err)
{
    int rc = TG_OK;
    for (uint32_t i = 0; i < t->device_count && rc == TG_OK; i++) {
        if (t->devices[i].number != UINT32_MAX)
            rc = tg_store_thread_write_gone(t, i, UINT64_MAX, err);
    }
    return rc;
}

/* Some of the device's rows were dropped from memory. */
static bool has_lost(const struct tg_gone *g)
{
    for (uint32_t i = 0; i < g->count; i++) {
        if (g->runs[i].kind == TG_GONE_LOST || g->runs[i].kind == TG_GONE_MIXED)
            return true;
    }
    return false;
}

void tg_store_thread_found(struct tg_store_thread *t)
{
    for (uint32_t i = 0; i < t->cursor_count; i++) {
        const struct tg_thread_cursor *c = &t->cursors[i];
        const struct tg_thread_device *d = &t->devices[c->device];
        struct tg_outbox_cursor_state s;
        if (!c->declared || tg_outbox_last_seq(t->ob, d->number) <= d->last_seq ||
            !has_lost(&t->gone[c->device]) || tg_outbox_cursor_state(t->ob, c->number, &s) < 0)
            continue;
        if (!t->moves[i].set)
            t->moves[i] = (struct tg_thread_slot){.set = true, .gap = s.gap, .tell_seq = s.tell_seq};
        t->moves[i].back = t->news.moved = true;
    }
    for (uint32_t i = 0; i < t->device_count; i++) {
        uint64_t seq = tg_outbox_last_seq(t->ob, t->devices[i].number);
        if (seq > t->devices[i].last_seq)
            t->devices[i].last_seq = seq;
    }
}

void tg_store_thread_forget_gone(struct tg_store_thread *t)
{
    for (uint32_t i = 0; i < t->device_count; i++) {
        struct tg_gone *g = &t->gone[i];
        uint64_t stored;
        uint32_t done = 0;
        if (g->count == 0)
            continue;
        stored = tg_outbox_last_seq(t->ob, t->devices[i].number);
        while (done < g->count && g->runs[done].upto <= stored)
            done++;
        memmove(g->runs, g->runs + done, (g->count - done) * sizeof *g->runs);
        g->count -= done;
    }
}
