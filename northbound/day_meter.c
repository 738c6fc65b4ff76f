/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "northbound/day_meter.h"

#define DAY_MS (24 * 3600 * INT64_C(1000))

/* The last midnight, on the monotonic clock (it may lie before its beginning). */
static int64_t midnight(int64_t mono_ms, int64_t wall_ms)
{
    int64_t into = wall_ms % DAY_MS;
    return mono_ms - (into < 0 ? into + DAY_MS : into);
}

static void turn(struct tg_day_meter *m, int64_t midnight_ms)
{
    if (m->today.messages && m->today.last_ms < midnight_ms) {
        m->before = m->today;
        m->today = (struct tg_day_count){0};
    } else if (m->before.messages && m->before.last_ms >= midnight_ms) { /* the clock was set back */
        m->before.messages += m->today.messages;
        m->before.blocks += m->today.blocks;
        if (m->today.messages)
            m->before.last_ms = m->today.last_ms;
        m->today = m->before;
        m->before = (struct tg_day_count){0};
    }
}

void tg_day_meter_add(struct tg_day_meter *m, int64_t mono_ms, int64_t wall_ms, uint32_t messages,
                      size_t bytes)
{
    uint64_t blocks = (bytes + TG_DAY_METER_BLOCK_BYTES - 1) / TG_DAY_METER_BLOCK_BYTES;
    turn(m, midnight(mono_ms, wall_ms));
    m->today.last_ms = mono_ms;
    m->today.messages += messages;
    m->today.blocks += blocks < messages ? messages : blocks;
}

struct tg_day_count tg_day_meter_today(const struct tg_day_meter *m, int64_t mono_ms, int64_t wall_ms)
{
    struct tg_day_meter now = *m;
    turn(&now, midnight(mono_ms, wall_ms));
    return now.today;
}
