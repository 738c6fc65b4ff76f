/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * The wall clock was set. What waits, times out and backs off goes by the monotonic clock and does not notice. What was made or judged by
 * the wrong time does: tokens are made anew, certificates are looked at again.
 *
 * A session that is up stays up: the cloud has accepted its token. It gets a new one once the clock has been quiet for a sixteenth of the
 * token's life, spread over an eighth of it, by the renewal that loses and repeats nothing; never later than was planned. A clock that is
 * set to and fro thus costs one renewal, and a fleet none at the same moment.
 */
#include "core/base/clock.h"
#include "core/base/random.h"
#include "northbound/link.h"

#define SPREAD_MS 2000 /* what the clock held up comes within so much; slots pace it beyond */

static int64_t some_of(int64_t range_ms)
{
    return range_ms > 0 ? (int64_t)(tg_random_u32() % (uint64_t)range_ms) : 0;
}

static void renew_soon(struct tg_link *l, int64_t now)
{
    int64_t at = now + l->credential_life_ms / 16 + some_of(l->credential_life_ms / 8);
    if (l->renew_at_ms == INT64_MAX || l->credential_life_ms <= 0)
        return;
    /* Of several steps the last one counts; what was planned when the token was made is the latest. */
    l->renew_at_ms = at < l->renew_plan_ms ? at : l->renew_plan_ms;
}

static void tell(struct tg_link *l, int64_t now)
{
    if (l->expiry_look_ms) {
        l->expiry_told_ms = 0;
        l->expiry_look_ms = now + some_of(SPREAD_MS);
    }
    if (l->protocol->clock_set)
        l->protocol->clock_set(l, now);
    if (l->state == TG_SESSION_WAITING && (l->waits_for_clock || l->waits_for_change)) {
        int64_t at = now + some_of(SPREAD_MS);
        if (at < l->retry_at_ms)
            l->retry_at_ms = at;
    } else if (l->state == TG_SESSION_ONLINE) {
        renew_soon(l, now);
    }
    tg_link_arm(l);
}

void tg_session_clock_set(struct tg_session_set *set)
{
    int64_t now = tg_clock_mono_ms();
    for (struct tg_session *s = set->sessions, *next; s; s = next) {
        next = s->next;
        if (TAILQ_FIRST(&s->link->sessions) == s) /* a shared link once */
            tell(s->link, now);
    }
}
