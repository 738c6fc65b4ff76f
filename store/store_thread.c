/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * The thread's turn: what is due when; and the loop's side of the lock. What it does with the outbox is in
 * store_commit.c.
 */
#include "store/store_thread.h"

#include <signal.h>
#include <stdio.h>
#include <time.h>

#include "core/base/allocator.h"
#include "core/base/assert.h"
#include "core/base/clock.h"

#define ACK_WAIT_MS 200   /* acknowledgements alone wait so long (or commit_interval_ms) for company */
#define CARE_MS     60000 /* limits and age; a short max_age is looked after more often */
#define STACK_BYTES (256 * 1024)

enum job { JOB_WAIT, JOB_CALL, JOB_CLOCK, JOB_COMMIT, JOB_READ, JOB_CARE, JOB_DROP, JOB_END };

static int64_t least(int64_t a, int64_t b)
{
    return a < b ? a : b;
}

static int64_t care_ms(const struct tg_store_thread *t)
{
    int64_t ms = t->o.outbox.max_age_ms > 0 ? t->o.outbox.max_age_ms / 8 : CARE_MS;
    return ms < 1000 ? 1000 : least(ms, CARE_MS);
}

/* When the next transaction is due; INT64_MAX = nothing waits. */
static int64_t commit_at(const struct tg_store_thread *t, int64_t now)
{
    int64_t ack_wait = t->o.commit_interval_ms > ACK_WAIT_MS ? t->o.commit_interval_ms : ACK_WAIT_MS;
    int64_t at = INT64_MAX;
    bool acks = t->ack_count > 0 || t->todo_count > 0;
    if (!t->ob && !t->trouble)
        return now;
    if (t->any_gone)
        at = t->mark_now ? now : t->mark_at_ms;
    if (t->count == 0 && !acks && !t->any_gone && t->ob)
        return INT64_MAX;
    if (t->stopping)
        return now;
    if (t->trouble) {
        /* What was acknowledged may have made the room that was missing. */
        return t->ob && t->ack_count > 0 ? least(t->retry_at_ms, t->ack_at_ms + ack_wait) : t->retry_at_ms;
    }
    if (t->count > 0)
        at = least(at, t->flush || t->count >= t->o.commit_max_rows
                           ? now
                           : t->first_at_ms + t->o.commit_interval_ms);
    if (acks)
        at = least(at, t->flush ? now : t->ack_at_ms + ack_wait);
    return at;
}

static enum job next_job(struct tg_store_thread *t, int64_t now, int64_t *ret_until)
{
    int64_t at = commit_at(t, now);
    if (t->call)
        return JOB_CALL;
    if (t->stopping && (at == INT64_MAX || t->failed_stopping || now >= t->stop_at_ms))
        return JOB_END;
    if (t->clock.todo && t->clock.at_ms <= now)
        return JOB_CLOCK; /* before the rows that came after it */
    if (t->drop.asked)
        return JOB_DROP;
    if (t->page_state == TG_PAGE_ASKED && (t->page_turn || at > now))
        return JOB_READ;
    if (at <= now)
        return JOB_COMMIT;
    if (t->care_at_ms <= now)
        return JOB_CARE;
    *ret_until = least(at, t->clock.todo ? least(t->clock.at_ms, t->care_at_ms) : t->care_at_ms);
    return JOB_WAIT;
}

/* The condition counts CLOCK_MONOTONIC, our deadlines the boot time: they differ by time spent suspended,
 * after which this merely wakes once too late by less than the wait. */
static void wait_until(struct tg_store_thread *t, int64_t now, int64_t until)
{
    struct timespec ts;
    int64_t ms = until - now;
    if (until == INT64_MAX) {
        pthread_cond_wait(&t->work, &t->lock);
        return;
    }
    clock_gettime(CLOCK_MONOTONIC, &ts);
    ts.tv_sec += ms / 1000;
    ts.tv_nsec += (long)(ms % 1000) * 1000000;
    if (ts.tv_nsec >= 1000000000) {
        ts.tv_sec++;
        ts.tv_nsec -= 1000000000;
    }
    (void)pthread_cond_timedwait(&t->work, &t->lock, &ts);
}

/* A cursor that is new begins behind the newest row: all that was given has to be in the outbox by then. */
static int store_before(struct tg_store_thread *t, const struct tg_thread_call *c)
{
    int rc = TG_OK;
    if (t->o.outbox.durability != TG_DURABILITY_LAZY || !t->ob ||
        tg_store_thread_knows_cursor(t, c->device, c->name))
        return TG_OK;
    pthread_mutex_lock(&t->lock);
    while ((t->count > 0 || t->any_gone) && !t->trouble) {
        t->mark_now = true;
        tg_store_thread_commit(t);
    }
    if (t->trouble)
        rc = tg_error_set(c->err, TG_EBUSY, "cloud %s is new and the outbox in %s cannot be written now",
                          c->name, t->dir);
    pthread_mutex_unlock(&t->lock);
    return rc;
}

static void run_call(struct tg_store_thread *t, struct tg_thread_call *c)
{
    c->rc = TG_OK;
    switch (c->kind) {
    case TG_CALL_DECLARE:
        c->rc = t->ob ? tg_outbox_declare(t->ob, c->list, c->count, c->err)
                : t->waiting
                    ? TG_OK
                    : tg_error_set(c->err, TG_EBUSY, "the outbox in %s cannot be written now", t->dir);
        break;
    case TG_CALL_DEVICE:
        c->rc = tg_store_thread_declare_device(t, c->name, &c->slot, c->err);
        if (c->rc == TG_OK)
            c->last_seq = t->devices[c->slot].last_seq;
        c->urgent_high = t->ob       ? tg_outbox_urgent_high(t->ob)
                         : t->reader ? tg_outbox_urgent_high(t->reader)
                                     : 0;
        break;
    case TG_CALL_CURSOR:
        c->rc = store_before(t, c);
        if (c->rc == TG_OK)
            c->rc = tg_store_thread_declare_cursor(t, c->device, c->name, &c->place, c->err);
        break;
    case TG_CALL_RETIRE:
        t->retire_later = t->waiting;
        c->rc = t->ob ? tg_store_thread_retire_undeclared(t, &c->rows, c->err)
                : t->waiting
                    ? TG_OK
                    : tg_error_set(c->err, TG_EBUSY, "the outbox in %s cannot be written now", t->dir);
        break;
    case TG_CALL_BACK:
        c->rc = tg_store_thread_where(t, c->cursor, &c->place, c->err);
        c->urgent_high = t->ob ? tg_outbox_urgent_high(t->ob) : 0;
        break;
    case TG_CALL_LEFT:
        c->rc = tg_store_thread_left(t, c->list, c->count, c->err);
        break;
    case TG_CALL_QUOTA:
        t->cursors[c->slot].quota = c->quota;
        c->rc = t->ob ? tg_outbox_set_quota(t->ob, t->cursors[c->slot].number, &c->quota, c->err) : TG_OK;
        break;
    }
}

static void answer(struct tg_store_thread *t)
{
    struct tg_thread_call *c = t->call;
    struct tg_error ignored = {0};
    tg_store_thread_take_acks(t);
    pthread_mutex_unlock(&t->lock);
    run_call(t, c);
    /* Damage that shows here is none of the caller's business: the database is opened again, which sets it aside. */
    if (c->rc == TG_ECORRUPT && t->ob && tg_store_thread_reopen(t, &ignored) == TG_OK) {
        if (c->err)
            *c->err = (struct tg_error){0};
        run_call(t, c);
    }
    pthread_mutex_lock(&t->lock);
    t->call = NULL;
    pthread_cond_signal(&t->answered);
}

static void finish(struct tg_store_thread *t)
{
    bool stored = t->count == 0 && !t->any_gone && !t->trouble;
    pthread_mutex_unlock(&t->lock);
    if (stored)
        tg_store_thread_mark_beyond(t, false);
    /* `lazy`: numbers that the disk does not know were given; the next start must leap over them. */
    if (t->ob)
        tg_outbox_close(t->ob, stored || t->o.outbox.durability != TG_DURABILITY_LAZY);
    tg_outbox_close(t->reader, false);
    t->ob = t->reader = NULL;
    pthread_mutex_lock(&t->lock);
    t->news.stopped = true;
    tg_store_thread_tell(t);
}

static void *thread_main(void *arg)
{
    struct tg_store_thread *t = arg;
    pthread_mutex_lock(&t->lock);
    for (;;) {
        int64_t now = tg_clock_mono_ms(), until = INT64_MAX;
        enum job job = next_job(t, now, &until);
        if (job == JOB_END)
            break;
        switch (job) {
        case JOB_CALL:
            answer(t);
            break;
        case JOB_CLOCK:
            tg_store_thread_apply_clock(t);
            break;
        case JOB_READ:
            t->page_turn = false;
            tg_store_thread_read(t);
            break;
        case JOB_COMMIT:
            t->page_turn = true; /* pages and transactions take turns */
            tg_store_thread_commit(t);
            break;
        case JOB_DROP:
            tg_store_thread_run_drop(t);
            break;
        case JOB_CARE:
            t->care_at_ms = now + care_ms(t);
            tg_store_thread_care(t);
            break;
        default:
            wait_until(t, now, until);
        }
    }
    finish(t);
    pthread_mutex_unlock(&t->lock);
    return NULL;
}

/* --- start and end --------------------------------------------------------------------------------- */

static void free_tables(struct tg_store_thread *t)
{
    for (uint32_t i = 0; i < t->device_count; i++)
        tg_free(t->devices[i].name);
    for (uint32_t i = 0; i < t->cursor_count; i++)
        tg_free(t->cursors[i].cloud);
    for (uint32_t i = 0; i < t->cursor_count; i++)
        tg_runs_fini(&t->cursors[i].ahead);
    for (uint32_t i = 0; i < t->slot_cap; i++)
        tg_runs_fini(&t->acks[i].ahead);
    tg_free(t->devices);
    tg_free(t->cursors);
    tg_free(t->device_of_number.at);
    tg_free(t->cursor_of_number.at);
    tg_free(t->todo);
    tg_free(t->acks);
    tg_free(t->moves);
    tg_free(t->ack_queue);
    tg_free(t->gone);
    tg_buffer_fini(&t->page);
    tg_free(t->dir);
}

static void init_lock(struct tg_store_thread *t)
{
    pthread_condattr_t attr;
    pthread_mutex_init(&t->lock, NULL);
    pthread_cond_init(&t->answered, NULL);
    pthread_condattr_init(&attr);
    pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
    pthread_cond_init(&t->work, &attr);
    pthread_condattr_destroy(&attr);
}

static void fini_lock(struct tg_store_thread *t)
{
    pthread_cond_destroy(&t->work);
    pthread_cond_destroy(&t->answered);
    pthread_mutex_destroy(&t->lock);
}

/* Signals are the loop's business. */
static int create_thread(struct tg_store_thread *t)
{
    sigset_t all, before;
    pthread_attr_t attr;
    int rc;
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before);
    pthread_attr_init(&attr);
    pthread_attr_setstacksize(&attr, STACK_BYTES);
    rc = pthread_create(&t->thread, &attr, thread_main, t);
    pthread_attr_destroy(&attr);
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    if (rc == 0)
        (void)pthread_setname_np(t->thread, "store");
    return rc;
}

int tg_store_thread_start(struct tg_store_thread *t, const struct tg_store_options *o,
                          void (*wake)(void *user), void *wake_user, char ret_set_aside[256],
                          struct tg_error *err)
{
    int rc;
    *t = (struct tg_store_thread){.o = *o, .wake = wake, .wake_user = wake_user};
    t->backoff = (struct tg_backoff){
        .floor_ms = o->retry_ms / 5, .base_ms = o->retry_ms, .cap_ms = 15000, .stable_ms = 10000};
    t->page = tg_buffer_init(TG_PAGE_LIMIT_BYTES);
    t->care_at_ms = tg_clock_mono_ms() + care_ms(t);
    t->mark_at_ms = INT64_MAX;
    t->dir = tg_strdup(o->outbox.dir);
    if (!t->dir)
        return tg_error_set(err, TG_ENOMEM, "out of memory while opening the outbox in %s", o->outbox.dir);
    t->o.outbox.dir = t->dir;
    init_lock(t);
    rc = tg_outbox_open(&t->o.outbox, &t->ob, ret_set_aside, err);
    if (rc < 0 && !tg_store_thread_may_wait(rc))
        goto no_outbox;
    if (rc < 0) {
        tg_store_thread_start_waiting(t);
        tg_store_thread_say_waiting(t, rc, err);
        *err = (struct tg_error){0};
    } else if ((rc = tg_store_thread_opened(t, err)) == TG_ECORRUPT) {
        /* Opening again checks every page, and sets it aside. */
        tg_outbox_close(t->ob, false);
        t->ob = NULL;
        *err = (struct tg_error){0};
        if ((rc = tg_outbox_open(&t->o.outbox, &t->ob, ret_set_aside, err)) == TG_OK)
            rc = tg_store_thread_opened(t, err);
    }
    if (rc < 0 && !t->waiting)
        goto no_thread;
    if (t->ob)
        t->news.readable = true;
    if ((rc = create_thread(t)) != 0) {
        rc = tg_error_set(err, tg_code_from_errno(rc), "the store's thread cannot be started: %s",
                          strerror(rc));
        goto no_thread;
    }
    return TG_OK;
no_thread:
    tg_outbox_close(t->ob, false);
    tg_outbox_close(t->reader, false);
no_outbox:
    fini_lock(t);
    free_tables(t);
    return rc;
}

void tg_store_thread_stop(struct tg_store_thread *t, uint32_t limit_ms)
{
    pthread_mutex_lock(&t->lock);
    t->stopping = true;
    t->stop_at_ms = tg_clock_mono_ms() + limit_ms;
    pthread_cond_signal(&t->work);
    pthread_mutex_unlock(&t->lock);
}

void tg_store_thread_join(struct tg_store_thread *t)
{
    pthread_join(t->thread, NULL);
    fini_lock(t);
    free_tables(t);
}

/* --- the loop's side --------------------------------------------------------------------------------- */

void tg_store_thread_tell(struct tg_store_thread *t)
{
    if (t->told)
        return;
    t->told = true;
    t->wake(t->wake_user);
}

void tg_store_thread_put(struct tg_store_thread *t, struct tg_row *row)
{
    bool rouse;
    pthread_mutex_lock(&t->lock);
    rouse = t->count == 0 || t->count + 1 == t->o.commit_max_rows;
    t->given_id = row->id;
    if (t->count++ == 0) {
        t->first = row;
        t->first_at_ms = tg_clock_mono_ms();
    }
    if (rouse)
        pthread_cond_signal(&t->work);
    pthread_mutex_unlock(&t->lock);
}

void tg_store_thread_flush(struct tg_store_thread *t)
{
    pthread_mutex_lock(&t->lock);
    t->flush = true;
    pthread_cond_signal(&t->work);
    pthread_mutex_unlock(&t->lock);
}

void tg_store_thread_ack_begin(struct tg_store_thread *t)
{
    pthread_mutex_lock(&t->lock);
    if (t->ack_count == 0) {
        t->ack_at_ms = tg_clock_mono_ms();
        pthread_cond_signal(&t->work);
    }
}

static struct tg_thread_slot *ack_slot(struct tg_store_thread *t, uint32_t cursor)
{
    struct tg_thread_slot *slot = &t->acks[cursor];
    if (!slot->set) {
        tg_runs_clear(&slot->ahead);
        *slot = (struct tg_thread_slot){.set = true, .ahead = slot->ahead};
        t->ack_queue[t->ack_count++] = cursor;
    }
    return slot;
}

void tg_store_thread_ack(struct tg_store_thread *t, uint32_t cursor, uint64_t seq, uint64_t id,
                         const struct tg_runs *ahead)
{
    struct tg_thread_slot *slot = ack_slot(t, cursor);
    slot->seq = seq;
    slot->id = id;
    /* Without memory they go with the next acknowledgement: a crash before it costs duplicates. */
    if (!ahead || tg_runs_copy(&slot->ahead, ahead) < 0)
        tg_runs_clear(&slot->ahead);
}

void tg_store_thread_lose(struct tg_store_thread *t, uint32_t cursor, const struct tg_gap *gap,
                          uint64_t quarantined)
{
    struct tg_thread_slot *slot = ack_slot(t, cursor);
    tg_gap_unite(&slot->gap, gap);
    slot->quarantined += quarantined;
}

void tg_store_thread_drop(struct tg_store_thread *t, const char *device, const char *cloud, int64_t before_ms)
{
    pthread_mutex_lock(&t->lock);
    t->drop = (struct tg_thread_drop){.asked = true, .before_ms = before_ms};
    snprintf(t->drop.device, sizeof t->drop.device, "%s", device ? device : "");
    snprintf(t->drop.cloud, sizeof t->drop.cloud, "%s", cloud ? cloud : "");
    pthread_cond_signal(&t->work);
    pthread_mutex_unlock(&t->lock);
}

void tg_store_thread_closed(struct tg_store_thread *t, uint32_t cursor)
{
    ack_slot(t, cursor)->closed = true;
}

void tg_store_thread_ack_end(struct tg_store_thread *t)
{
    pthread_mutex_unlock(&t->lock);
}

void tg_store_thread_ask(struct tg_store_thread *t, const struct tg_scan *scan)
{
    pthread_mutex_lock(&t->lock);
    TG_ASSERT(t->page_state == TG_PAGE_IDLE);
    t->page_state = TG_PAGE_ASKED;
    t->scan = scan;
    pthread_cond_signal(&t->work);
    pthread_mutex_unlock(&t->lock);
}

void tg_store_thread_page_done(struct tg_store_thread *t)
{
    pthread_mutex_lock(&t->lock);
    TG_ASSERT(t->page_state == TG_PAGE_READY);
    t->page_state = TG_PAGE_IDLE;
    pthread_mutex_unlock(&t->lock);
}

int tg_store_thread_call(struct tg_store_thread *t, struct tg_thread_call *call)
{
    pthread_mutex_lock(&t->lock);
    t->call = call;
    pthread_cond_signal(&t->work);
    while (t->call)
        pthread_cond_wait(&t->answered, &t->lock);
    pthread_mutex_unlock(&t->lock);
    return call->rc;
}

bool tg_store_thread_borrow(struct tg_store_thread *t, const struct tg_row *first)
{
    pthread_mutex_lock(&t->lock);
    if (!t->in_transaction && t->first == first)
        return true;
    pthread_mutex_unlock(&t->lock);
    return false;
}

void tg_store_thread_return(struct tg_store_thread *t, struct tg_row *first, uint64_t count)
{
    t->first = first;
    t->count = count;
    pthread_mutex_unlock(&t->lock);
}

void tg_store_thread_collect(struct tg_store_thread *t, struct tg_thread_news *ret_news,
                             void (*move)(void *user, uint32_t cursor, const struct tg_thread_slot *to),
                             void *user)
{
    pthread_mutex_lock(&t->lock);
    *ret_news = t->news;
    t->told = false;
    t->news.lost_id = 0;
    t->news.page_ready = false;
    t->news.drop_done = false;
    t->news.note[0] = '\0';
    if (t->news.moved) {
        t->news.moved = false;
        for (uint32_t i = 0; i < t->slot_cap; i++) {
            if (!t->moves[i].set)
                continue;
            t->moves[i].set = false;
            move(user, i, &t->moves[i]);
        }
    }
    pthread_mutex_unlock(&t->lock);
}
