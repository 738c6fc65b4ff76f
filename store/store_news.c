/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * What the store thread tells the loop after a transaction: the state it is in, for people too, what there is in the outbox,
 * and which cursors eviction has moved.
 */
#include <stdio.h>

#include "core/base/clock.h"
#include "core/base/plural.h"
#include "core/base/random.h"
#include "store/store_thread.h"

#define STATS_EVERY_MS 100

/* One report of a change, for people. The lock is held. */
static void report(struct tg_store_thread *t, enum tg_store_state state, const char *fmt, ...)
    TG_PRINTF(3, 4);
static void report(struct tg_store_thread *t, enum tg_store_state state, const char *fmt, ...)
{
    va_list ap;
    va_start(ap, fmt);
    (void)vsnprintf(t->news.state_text, sizeof t->news.state_text, fmt, ap);
    va_end(ap);
    t->news.state = state;
    t->news.state_serial++;
    tg_store_thread_tell(t);
}

static bool is_same(const struct tg_gap *a, const struct tg_gap *b)
{
    return a->first_seq == b->first_seq && a->last_seq == b->last_seq && a->count == b->count &&
           a->reasons == b->reasons;
}

/* Cursors that eviction has moved. The lock is held. */
static void tell_moves(struct tg_store_thread *t)
{
    for (uint32_t i = 0; i < t->cursor_count; i++) {
        struct tg_thread_cursor *c = &t->cursors[i];
        struct tg_outbox_cursor_state s;
        if (!c->declared || tg_outbox_cursor_state(t->ob, c->number, &s) < 0)
            continue;
        bool moved = s.acked_seq > c->told_seq && s.acked_seq > c->seq;
        bool gap = !is_same(&s.gap, &c->told_gap) || s.tell_seq != c->told_tell;
        if (!moved && !gap)
            continue;
        if (moved)
            c->told_seq = s.acked_seq;
        c->told_gap = s.gap;
        c->told_tell = s.tell_seq;
        t->moves[i] = (struct tg_thread_slot){.seq = s.acked_seq,
                                              .id = s.acked_id,
                                              .gap = s.gap,
                                              .tell_seq = s.tell_seq,
                                              .moved = moved || (t->moves[i].set && t->moves[i].moved),
                                              .back = t->moves[i].set && t->moves[i].back,
                                              .retired = t->moves[i].set && t->moves[i].retired,
                                              .set = true};
        t->news.moved = true;
    }
}

void tg_store_thread_publish(struct tg_store_thread *t, const struct tg_outbox_stats *stats)
{
    uint64_t dropped = 0;
    t->news.outbox = *stats;
    t->news.outbox.written_bytes += t->written_before;
    t->stats_at_ms = tg_clock_mono_ms() + STATS_EVERY_MS;
    for (int i = 0; i < TG_DROP_REASONS; i++)
        dropped += stats->dropped[i];
    if (dropped != t->dropped_seen || tg_outbox_gap_serial(t->ob) != t->gap_seen) {
        t->dropped_seen = dropped;
        t->gap_seen = tg_outbox_gap_serial(t->ob);
        tell_moves(t);
    }
}

void tg_store_thread_succeeded(struct tg_store_thread *t, bool made_room, bool over, int64_t now)
{
    bool was_in_memory = t->news.from_memory && t->o.outbox.when_full == TG_WHEN_FULL_DROP_OLDEST;
    t->trouble = false;
    t->news.from_memory = false;
    if (made_room || (t->news.state == TG_STORE_FULL && was_in_memory)) {
        int64_t care_at = tg_store_thread_full_care_at(t, now);
        t->full_until_ms = now + t->o.full_quiet_ms;
        t->care_at_ms = care_at < t->care_at_ms ? care_at : t->care_at_ms;
        if (t->news.state != TG_STORE_FULL || was_in_memory)
            report(t, TG_STORE_FULL,
                   "outbox in %s: no space left; the oldest samples make room for new ones and are counted "
                   "as dropped, until there is space again",
                   t->dir);
    } else if (t->news.state == TG_STORE_DEGRADED) {
        report(t, TG_STORE_OK,
               "outbox in %s: can be written again; the samples kept in memory are stored now", t->dir);
    } else if (over) {
        report(t, TG_STORE_OK, "outbox in %s: there is space again; samples are stored as usual", t->dir);
    }
}

/* What to do with samples meanwhile, for people. */
static void say_trouble(struct tg_store_thread *t, enum tg_store_state state, const struct tg_error *err,
                        int64_t wait)
{
    bool oldest = t->o.outbox.when_full == TG_WHEN_FULL_DROP_OLDEST;
    report(t, state,
           "outbox: %s; %llu %s kept in memory (at most %zu KiB, then the %s) and delivered from there, a "
           "crash would lose %s; trying again in %lld.%lld s",
           err->text, (unsigned long long)t->count, tg_plural(t->count, "sample is", "samples are"),
           t->o.uncommitted_limit_bytes / 1024,
           oldest ? "oldest are dropped and counted" : "new ones are rejected and counted",
           tg_plural(t->count, "it", "them"), (long long)(wait / 1000), (long long)(wait % 1000 / 100));
}

void tg_store_thread_failed(struct tg_store_thread *t, int rc, const struct tg_error *err, int64_t now)
{
    enum tg_store_state state = rc == TG_ENOSPACE && t->ob ? TG_STORE_FULL : TG_STORE_DEGRADED;
    int64_t wait;
    if (!t->trouble)
        tg_backoff_held(&t->backoff, now - t->opened_at_ms);
    wait = tg_backoff_next(&t->backoff, tg_random_u32());
    t->trouble = true;
    t->retry_at_ms = now + wait;
    t->failed_stopping = t->stopping;
    t->full_until_ms = now + t->o.full_quiet_ms;
    t->news.readable = t->ob || t->reader;
    if (t->news.state == state && t->news.from_memory && rc != TG_ESTATE)
        return;
    if (rc == TG_ESTATE && t->said == rc)
        return;
    t->said = rc;
    t->news.from_memory = true;
    say_trouble(t, state, err, wait);
}

void tg_store_thread_say_waiting(struct tg_store_thread *t, int rc, const struct tg_error *err)
{
    struct tg_error told = {0};
    (void)tg_error_set(&told, rc, "%.300s; %s", err->text,
                       t->reader ? "what is stored in it is read and delivered"
                                 : "what is stored in it waits until it can be read");
    t->opened_at_ms = tg_clock_mono_ms();
    tg_store_thread_mark_beyond(t, true);
    tg_store_thread_failed(t, rc, &told, t->opened_at_ms);
}
