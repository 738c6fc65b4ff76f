/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * Sessions whose batch waits for more samples, by the moment at which it goes.
 */
#include "northbound/link.h"

/* The delay is the same for all, so mostly this is the end; not when a budget has just shortened it. */
void tg_link_delay(struct tg_session *s, int64_t now_ms)
{
    struct tg_link *l = s->link;
    struct tg_session *before = TAILQ_LAST(&l->delayed, tg_session_list);
    s->batch_due_ms = now_ms + (l->cloud->month_budget_bytes ? l->cloud->delay.delay_ms : l->max_delay_ms);
    if (s->kept_due_ms > 0 && s->kept_due_ms < s->batch_due_ms)
        s->batch_due_ms = s->kept_due_ms;
    s->queue = TG_QUEUE_DELAYED;
    while (before && before->batch_due_ms > s->batch_due_ms)
        before = TAILQ_PREV(before, tg_session_list, in_queue);
    if (before)
        TAILQ_INSERT_AFTER(&l->delayed, before, s, in_queue);
    else
        TAILQ_INSERT_HEAD(&l->delayed, s, in_queue);
}

/* A message of urgent samples that went ahead does not put off what waited before: or a sensor that cries every second would hold up
 * its own backlog for good. */
bool tg_link_hurries(struct tg_session *s, int64_t now_ms)
{
    if (tg_feed_ready_urgent(s->feed)) {
        if (s->queue == TG_QUEUE_DELAYED)
            s->kept_due_ms = s->batch_due_ms;
        return true;
    }
    return s->kept_due_ms > 0 && s->kept_due_ms <= now_ms;
}

void tg_link_ripen(struct tg_link *l, int64_t now_ms)
{
    struct tg_session *s;
    while ((s = TAILQ_FIRST(&l->delayed)) != NULL && s->batch_due_ms <= now_ms) {
        tg_link_unqueue(s);
        s->queue = TG_QUEUE_READY;
        TAILQ_INSERT_TAIL(&l->ready, s, in_queue);
    }
}
