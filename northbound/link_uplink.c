/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "core/base/clock.h"
#include "core/base/random.h"
#include "northbound/link.h"
#include "northbound/ways.h"

#define HURRY_PAUSE_MS                                                                                       \
    10000 /* an uplink that comes and goes sooner than that makes no attempts beyond the back-off's */

int64_t tg_link_slow_end(const struct tg_link *l)
{
    int64_t half = l->backoff.cap_ms / 2;
    return half + (half > 0 ? (int64_t)(tg_random_u32() % (uint64_t)half) : 0);
}

int64_t tg_link_uplink_wait(const struct tg_link *l, int64_t wait_ms)
{
    int64_t slow;
    if (l->set->uplink != TG_UPLINK_DOWN)
        return wait_ms;
    slow = tg_link_slow_end(l);
    return slow > wait_ms ? slow : wait_ms;
}

void tg_link_hurry(struct tg_link *l, int64_t now_ms, bool sure)
{
    int64_t wait;
    if (l->was_throttled)
        return; /* the network was not what kept it waiting */
    if (l->hurried_ms && now_ms - l->hurried_ms < HURRY_PAUSE_MS) {
        wait = tg_backoff_next(&l->backoff, tg_random_u32());
    } else {
        l->hurried_ms = now_ms;
        if (sure)
            l->backoff.attempt = 0;
        wait = (int64_t)(tg_random_u32() % TG_WAYS_SPREAD_MS);
    }
    if (sure)
        tg_link_reach_back(l, now_ms);
    if (now_ms + wait < l->retry_at_ms)
        l->retry_at_ms = now_ms + wait;
    tg_link_arm(l);
}

static void is_gone(struct tg_link *l, int64_t now)
{
    int64_t slow = tg_link_slow_end(l);
    if (now + slow > l->retry_at_ms)
        l->retry_at_ms = now + slow;
}

static void tell(struct tg_link *l, enum tg_uplink uplink, int64_t now)
{
    if (l->state == TG_SESSION_WAITING && !l->waits_for_clock && !l->waits_for_change) {
        if (uplink == TG_UPLINK_UP)
            tg_link_hurry(l, now, true);
        else if (uplink == TG_UPLINK_DOWN)
            is_gone(l, now);
        tg_link_arm(l);
    } else if (l->state == TG_SESSION_ONLINE && uplink != TG_UPLINK_UNKNOWN && l->stream &&
               l->protocol->probe) {
        l->protocol->probe(l, now);
        tg_link_go_on(l, now);
    }
}

void tg_session_set_uplink(struct tg_session_set *set, enum tg_uplink uplink)
{
    int64_t now = tg_clock_mono_ms();
    if (uplink == set->uplink)
        return;
    set->uplink = uplink;
    set->path_changed_ms = now;
    for (struct tg_session *s = set->sessions, *next; s; s = next) {
        next = s->next;
        if (TAILQ_FIRST(&s->link->sessions) == s) /* a shared link once */
            tell(s->link, uplink, now);
    }
}
