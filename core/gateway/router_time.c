/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * Which times a sample has: the one that is stored with it, the one by which its age is judged, the one by which rates are worked out.
 */
#include "core/gateway/router_private.h"

#include <stdlib.h>

#include "core/base/clock.h"

void tg_router_clock(struct tg_router *r, int64_t offset_ms)
{
    r->clock_valid = true;
    r->clock_offset_ms = offset_ms;
}

void tg_router_on_odd_time(struct tg_router *r, void (*look)(void *user), void *user)
{
    r->look = look;
    r->look_user = user;
}

/* Nothing that this process has stamped by the clock that we know. */
static bool is_odd(const struct tg_router *r, int64_t stamp, int64_t now)
{
    if (tg_stamp_is_boot(stamp))
        return false;
    return !r->clock_valid || llabs((long long)(stamp - now - r->clock_offset_ms)) > TG_CLOCK_JUMP_MS;
}

struct tg_router_moments tg_router_moments(struct tg_router *r, int64_t stamp, int64_t now)
{
    struct tg_router_moments m = {0};
    if (r->look && is_odd(r, stamp, now))
        r->look(r->look_user);
    m.stored_ms = r->clock_valid ? now + r->clock_offset_ms : now;
    if (!tg_stamp_is_boot(stamp)) {
        m.sample.ms = stamp;
        m.steady_ms = r->clock_valid ? stamp - r->clock_offset_ms : stamp;
        return m;
    }
    m.steady_ms = tg_stamp_mono_ms(stamp);
    if (r->clock_valid)
        m.sample.ms = m.steady_ms + r->clock_offset_ms;
    else
        m.sample = (struct tg_sample_time){TG_TIME_BOOT, tg_clock_boot(), m.steady_ms};
    return m;
}
