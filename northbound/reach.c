/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "northbound/reach.h"

#define MINUTE_MS 60000

const char *tg_failure_name(enum tg_failure failure)
{
    static const char *const names[TG_FAILURES] = {
#define X(code, name) #name,
        TG_FAILURE_TABLE(X)
#undef X
    };
    return failure < TG_FAILURES ? names[failure] : "?";
}

void tg_reach_init(struct tg_reach *r)
{
    *r = (struct tg_reach){.last_recovery_ms = -1};
}

/* Empties the buckets of the minutes that have passed since the newest. */
static void turn_to(struct tg_reach *r, int64_t minute)
{
    for (int64_t m = r->minute + 1; m <= minute && m <= r->minute + TG_REACH_MINUTES; m++)
        r->made[m % TG_REACH_MINUTES] = 0;
    if (minute > r->minute)
        r->minute = minute;
}

void tg_reach_wanted(struct tg_reach *r, int64_t now_ms)
{
    if (r->online == 0 && r->out_since_ms == 0)
        r->out_since_ms = now_ms > 0 ? now_ms : 1;
}

void tg_reach_online(struct tg_reach *r, int64_t now_ms)
{
    uint16_t *made;
    turn_to(r, now_ms / MINUTE_MS);
    made = &r->made[r->minute % TG_REACH_MINUTES];
    if (*made < UINT16_MAX)
        ++*made;
    r->connects++;
    r->online++;
    if (r->out_since_ms) {
        /* The first start is no outage unless something failed meanwhile. */
        if (r->outages > 0)
            r->last_outage_ms = now_ms - r->out_since_ms;
        if (r->link_back_ms)
            r->last_recovery_ms = now_ms - r->link_back_ms;
    }
    r->out_since_ms = r->link_back_ms = 0;
}

void tg_reach_offline(struct tg_reach *r)
{
    if (r->online > 0)
        r->online--;
}

void tg_reach_failed(struct tg_reach *r, int64_t now_ms, enum tg_failure failure)
{
    r->failures[failure]++;
    if (r->online > 0)
        return;
    if (r->out_since_ms == 0)
        r->outages++;
    else if (r->outages == 0)
        r->outages = 1; /* at the first start: it could not be reached from the beginning */
    tg_reach_wanted(r, now_ms);
}

void tg_reach_link_back(struct tg_reach *r, int64_t now_ms)
{
    if (r->out_since_ms)
        r->link_back_ms = now_ms > 0 ? now_ms : 1;
}

uint32_t tg_reach_connects_last_hour(const struct tg_reach *r, int64_t now_ms)
{
    int64_t minute = now_ms / MINUTE_MS;
    uint32_t sum = 0;
    for (int64_t m = minute - TG_REACH_MINUTES + 1; m <= r->minute && m <= minute; m++)
        if (m > r->minute - TG_REACH_MINUTES && m >= 0)
            sum += r->made[m % TG_REACH_MINUTES];
    return sum;
}

int64_t tg_reach_out_ms(const struct tg_reach *r, int64_t now_ms)
{
    return r->out_since_ms ? now_ms - r->out_since_ms : 0;
}
