/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "core/base/clock.h"
#include "core/base/random.h"
#include "northbound/link.h"

#define SPREAD_MS 1000 /* sites behind one cell come back together */
#define HURRY_PAUSE_MS                                                                                       \
    10000 /* an uplink that comes and goes sooner than that makes no attempts beyond the back-off's */

/* Somewhere in the upper half of the longest wait. */
static int64_t slow_end(const struct tg_link *l)
{
    int64_t half = l->backoff.cap_ms / 2;
    return half + (half > 0 ? (int64_t)(tg_random_u32() % (uint64_t)half) : 0);
}

int64_t tg_link_uplink_wait(const struct tg_link *l, int64_t wait_ms)
{
    int64_t slow;
    if (l->set->uplink != TG_UPLINK_DOWN)
        return wait_ms;
    slow = slow_end(l);
    return slow > wait_ms ? slow : wait_ms;
}

static void is_back(struct tg_link *l, int64_t now)
{
    int64_t wait;
    if (l->hurried_ms && now - l->hurried_ms < HURRY_PAUSE_MS) {
        wait = tg_backoff_next(&l->backoff, tg_random_u32());
    } else {
        l->hurried_ms = now;
        l->backoff.attempt = 0;
        wait = (int64_t)(tg_random_u32() % SPREAD_MS);
    }
    if (now + wait < l->retry_at_ms)
        l->retry_at_ms = now + wait;
}

static void is_gone(struct tg_link *l, int64_t now)
{
    int64_t slow = slow_end(l);
    if (now + slow > l->retry_at_ms)
        l->retry_at_ms = now + slow;
}

static void tell(struct tg_link *l, enum tg_uplink uplink, int64_t now)
{
    if (l->state == TG_SESSION_WAITING && !l->waits_for_clock && !l->waits_for_change) {
        if (uplink == TG_UPLINK_UP)
            is_back(l, now);
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
    for (struct tg_session *s = set->sessions, *next; s; s = next) {
        next = s->next;
        if (TAILQ_FIRST(&s->link->sessions) == s) /* a shared link once */
            tell(s->link, uplink, now);
    }
}
