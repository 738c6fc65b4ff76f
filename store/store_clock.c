/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * What the loop tells of the wall clock, on its way into the outbox; what the outbox then knows of time, on its way back.
 */
#include "store/store_thread.h"

#include "core/base/clock.h"

#define AGAIN_MS 1000 /* after it could not be stored */

void tg_store_thread_clock(struct tg_store_thread *t, int64_t offset_ms, uint64_t upto_id)
{
    pthread_mutex_lock(&t->lock);
    /* When an earlier word waits still, its rows are the older ones. */
    if (!t->clock.todo)
        t->clock.upto_id = upto_id;
    t->clock.known = t->clock.todo = true;
    t->clock.offset_ms = offset_ms;
    t->clock.at_ms = 0;
    pthread_cond_signal(&t->work);
    pthread_mutex_unlock(&t->lock);
}

/* The database takes nothing: samples in memory get their time all the same, those of this boot. */
static void know_in_memory(struct tg_store_thread *t, int64_t offset_ms)
{
    struct tg_timeline_boot *b = tg_timeline_boot(&t->timeline, tg_clock_boot());
    if (t->timeline.clock_boot == tg_clock_boot())
        return;
    if (b && b->state == TG_BOOT_UNKNOWN) {
        b->state = TG_BOOT_KNOWN;
        b->offset_ms = offset_ms;
    }
    t->timeline.clock_boot = tg_clock_boot();
    t->timeline.clock_offset_ms = offset_ms;
    t->news.timeline_serial++;
    tg_store_thread_tell(t);
}

void tg_store_thread_apply_clock(struct tg_store_thread *t)
{
    struct tg_thread_clock word = t->clock;
    struct tg_error err = {0};
    int rc = TG_EBUSY;
    t->clock.todo = false;
    pthread_mutex_unlock(&t->lock);
    if (t->ob)
        rc = tg_outbox_clock(t->ob, tg_clock_boot(), word.offset_ms, word.upto_id, &err);
    pthread_mutex_lock(&t->lock);
    if (rc < 0) {
        /* Whatever is wrong with the database, the next transaction finds it and says so. */
        if (t->clock.todo)
            t->clock.upto_id = word.upto_id;
        t->clock.todo = true;
        t->clock.at_ms = tg_clock_mono_ms() + AGAIN_MS;
        know_in_memory(t, word.offset_ms);
        return;
    }
    tg_store_thread_publish_timeline(t);
}

void tg_store_thread_publish_timeline(struct tg_store_thread *t)
{
    t->timeline = *tg_outbox_timeline(t->ob);
    t->news.timeline_serial++;
    tg_store_thread_tell(t);
}

void tg_store_thread_clock_again(struct tg_store_thread *t)
{
    if (t->clock.known && !t->clock.todo) {
        t->clock.todo = true;
        t->clock.upto_id = t->last_id;
        t->clock.at_ms = 0;
    }
}

void tg_store_thread_timeline(struct tg_store_thread *t, struct tg_timeline *ret_timeline)
{
    pthread_mutex_lock(&t->lock);
    *ret_timeline = t->timeline;
    pthread_mutex_unlock(&t->lock);
}
