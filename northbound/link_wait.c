/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * How long a link waits before it connects, what for, and what ends it.
 */
#include "core/base/clock.h"
#include "core/base/log.h"
#include "core/base/random.h"
#include "northbound/link.h"

#define REFUSED_WAIT_FACTOR 5 /* × max_backoff, and up to as much again */
/* For so long after the way is back a router or a name server may not answer yet, whatever the back-off says: tried again
 * so soon. */
#define SETTLING_MS      8000
#define SETTLING_WAIT_MS 100 /* and up to as much again */

uint64_t tg_link_credential_stamp(const struct tg_link *l)
{
    const struct tg_option *own = tg_settings_table(l->config->settings);
    uint64_t stamp = tg_identity_stamp(l->identity_config);
    for (; own && own->name; own++)
        if (own->type == TG_OPTION_SECRET_FILE)
            stamp = stamp * 1099511628211u ^
                    tg_identity_file_stamp(tg_settings_text(l->config->settings, own->name));
    return stamp;
}

/* The network has just come back and nothing was reached: no more than a short wait. */
static int64_t settling(const struct tg_link *l, int64_t wait_ms, uint32_t random)
{
    bool network = l->fail_class == TG_FAILURE_TCP || l->fail_class == TG_FAILURE_DNS;
    int64_t soon = SETTLING_WAIT_MS + random % SETTLING_WAIT_MS;
    if (!network || !l->hurried_ms || tg_clock_mono_ms() - l->hurried_ms >= SETTLING_MS)
        return wait_ms;
    return wait_ms < soon ? wait_ms : soon;
}

int64_t tg_link_wait_time(struct tg_link *l, enum tg_retry retry)
{
    uint32_t random = tg_random_u32();
    int64_t top = tg_backoff_top(&l->backoff), least = l->wait_at_least_ms;
    int64_t wait = tg_link_uplink_wait(l, tg_backoff_next(&l->backoff, random));
    wait = settling(l, wait, random);
    if (l->was_throttled ||
        l->short_lives > TG_LINK_SHORT_LIVES) /* never soon by chance: the other side has had enough */
        wait = (wait + top) / 2;
    least += least / 10 * (int64_t)(random % 1000) / 1000; /* a site's neighbours were told the same time */
    l->wait_at_least_ms = 0;
    if (wait < least)
        wait = least;
    switch (retry) {
    case TG_RETRY_NOW:
        return l->backoff.attempt > 1 ? wait : 0;
    case TG_RETRY_NEVER: /* nothing changes by itself, but somebody may mend it on the other side */
        return l->backoff.cap_ms * REFUSED_WAIT_FACTOR +
               (int64_t)(random % 1000) * l->backoff.cap_ms * REFUSED_WAIT_FACTOR / 1000;
    default:
        return wait;
    }
}

void tg_link_wait(struct tg_link *l, int64_t wait_ms)
{
    l->retry_at_ms = tg_clock_mono_ms() + wait_ms;
    tg_link_set_state(l, TG_SESSION_WAITING);
    tg_link_arm(l);
}

void tg_link_wait_for_way(struct tg_link *l)
{
    if (!l->waits_for_way)
        tg_log(TG_LOG_DEBUG, "session", "device=%s cloud=%s waits for a way to its host", l->target.device_id,
               l->config->name);
    l->waits_for_way = true;
    tg_link_reach_wanted(l);
    tg_link_wait(l, tg_link_slow_end(l));
}

void tg_link_ask_for_slot(struct tg_link *l)
{
    l->waits_for_clock = l->waits_for_change = false;
    if (tg_link_has_no_way(l)) {
        tg_link_wait_for_way(l);
        return;
    }
    l->waits_for_way = false;
    l->fail_code = TG_OK;
    l->failed_as = TG_FAILURES;
    tg_link_set_state(l, TG_SESSION_QUEUED);
    tg_link_arm(l);
    tg_set_want_slot(l);
}

void tg_link_waited(struct tg_link *l, int64_t now)
{
    if (l->waits_for_change && tg_link_credential_stamp(l) != l->credential_stamp) {
        tg_log(TG_LOG_INFO, "session", "device=%s cloud=%s its credential has changed: connecting",
               l->target.device_id, l->config->name);
        tg_link_ask_for_slot(l);
    } else if (now >= l->retry_at_ms && l->waits_for_clock && !tg_clock_plausible(tg_clock_wall_ms())) {
        tg_link_wait(l, TG_LINK_CLOCK_LOOK_MS);
    } else if (now >= l->retry_at_ms) {
        tg_link_ask_for_slot(l);
    } else {
        tg_link_arm(l);
    }
}
