/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * A certificate ends on a day that is known for years, and then a device is gone until somebody has been there: it is told in
 * the log once a day from TELL_DAYS before.
 */
#include "northbound/link.h"

#include "core/base/clock.h"
#include "core/base/log.h"
#include "core/base/plural.h"

#define TELL_DAYS 14
#define DAY_MS    (24 * 3600 * INT64_C(1000))
#define AGAIN_MS  600000 /* while the clock is not set */

int64_t tg_link_expiry_due(const struct tg_link *l)
{
    return l->expiry_look_ms && !l->closing ? l->expiry_look_ms : INT64_MAX;
}

void tg_link_watch_expiry(struct tg_link *l, int64_t now_ms)
{
    struct tg_identity_info info;
    tg_identity_describe(&l->identity, &info);
    if (info.not_after_s == 0)
        l->expiry_look_ms = 0;
    else /* a new connection is no reason to say it again */
        tg_link_look_at_expiry(l, now_ms);
}

void tg_link_look_at_expiry(struct tg_link *l, int64_t now_ms)
{
    char day[TG_CLOCK_ISO8601_BYTES];
    struct tg_identity_info info;
    int64_t wall_ms = tg_clock_wall_ms(), left;
    if (!tg_clock_plausible(wall_ms)) {
        l->expiry_look_ms = now_ms + AGAIN_MS;
        return;
    }
    if (l->expiry_told_ms && now_ms - l->expiry_told_ms < DAY_MS) {
        l->expiry_look_ms = l->expiry_told_ms + DAY_MS;
        return;
    }
    l->expiry_look_ms = now_ms + DAY_MS;
    tg_identity_describe(&l->identity, &info);
    left = tg_identity_days_left(info.not_after_s, wall_ms / 1000);
    if (left > TELL_DAYS)
        return;
    l->expiry_told_ms = now_ms;
    tg_clock_iso8601(info.not_after_s * 1000, day);
    if (left < 0)
        tg_log(TG_LOG_ERROR, "session",
               "device=%s cloud=%s its certificate ended on %.10s; samples are kept, but no cloud takes it: "
               "it needs a new one",
               l->target.device_id, l->config->name, day);
    else
        tg_log(TG_LOG_WARN, "session",
               "device=%s cloud=%s its certificate ends in %lld %s, on %.10s: renew it; the new file is "
               "read with the next connection",
               l->target.device_id, l->config->name, (long long)left,
               tg_plural((uint64_t)left, "day", "days"), day);
}
