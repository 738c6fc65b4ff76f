/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "northbound/quiet.h"

#define HOUR_MS         3600000
#define DAY_MS          (24 * (int64_t)HOUR_MS)
#define AGAINST_ENOUGH  3
#define GROWTH_PERCENT  125
#define CEILING_PERCENT 90 /* of the silence that killed */

bool tg_quiet_killed(struct tg_quiet *q, int64_t quiet_ms, int64_t now_ms)
{
    int64_t before = q->interval_ms, half = quiet_ms / 2;
    if (quiet_ms < TG_QUIET_SHORTEST_MS)
        return false;
    if (quiet_ms <= q->survived_ms && now_ms - q->survived_at_ms < HOUR_MS && ++q->against < AGAINST_ENOUGH)
        return false;
    q->against = 0;
    q->survived_ms = 0;
    q->kills++;
    if (q->killed_ms == 0 || quiet_ms < q->killed_ms)
        q->killed_ms = quiet_ms;
    q->killed_at_ms = now_ms;
    q->grow_at_ms = now_ms + HOUR_MS;
    if (half < TG_QUIET_FLOOR_MS)
        half = TG_QUIET_FLOOR_MS;
    if (before == 0 || half < before)
        q->interval_ms = half;
    return q->interval_ms != before;
}

bool tg_quiet_survived(struct tg_quiet *q, int64_t quiet_ms, int64_t now_ms)
{
    int64_t longer = q->interval_ms * GROWTH_PERCENT / 100;
    if (quiet_ms >= q->survived_ms || now_ms - q->survived_at_ms >= HOUR_MS) {
        q->survived_ms = quiet_ms;
        q->survived_at_ms = now_ms;
        q->against = 0;
    }
    if (q->interval_ms == 0)
        return false;
    if (now_ms - q->killed_at_ms >= DAY_MS) {
        q->interval_ms = q->killed_ms = 0;
        return true;
    }
    if (now_ms < q->grow_at_ms || longer > q->killed_ms * CEILING_PERCENT / 100)
        return false;
    q->interval_ms = longer;
    q->grow_at_ms = now_ms + HOUR_MS;
    return true;
}
