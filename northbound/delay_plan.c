/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "northbound/delay_plan.h"

#define FILL         0.95 /* of what is allowed: the aim */
#define CALM         0.85 /* above it the delay stays */
#define MOST_UP      4.0
#define MOST_DOWN    0.5
#define FIRST_MS     1000 /* a delay of 0 cannot be multiplied */
#define SPAN_DELAYS  4
#define AT_LEAST_ONE 1.0 /* byte a span: below that nothing flows */

const char *tg_delay_plan_state_name(enum tg_delay_plan_state state)
{
    static const char *const names[] = {"normal", "stretched", "spent"};
    return names[state];
}

void tg_delay_plan_init(struct tg_delay_plan *p, int64_t shortest_ms, int64_t longest_ms, int64_t now_ms)
{
    *p = (struct tg_delay_plan){.shortest_ms = shortest_ms,
                                .longest_ms = longest_ms > shortest_ms ? longest_ms : shortest_ms,
                                .delay_ms = shortest_ms,
                                .since_ms = now_ms};
}

static int64_t bounded(const struct tg_delay_plan *p, double delay_ms)
{
    if (delay_ms >= (double)p->longest_ms)
        return p->longest_ms;
    return delay_ms <= (double)p->shortest_ms ? p->shortest_ms : (int64_t)delay_ms;
}

/* rate / allowed, as far as one step goes. */
static double step(double rate, double allowed)
{
    double ratio = allowed > 0 ? rate / (FILL * allowed) : MOST_UP;
    if (ratio > MOST_UP)
        return MOST_UP;
    return ratio < MOST_DOWN ? MOST_DOWN : ratio;
}

bool tg_delay_plan_look(struct tg_delay_plan *p, int64_t now_ms, uint64_t bytes, double allowed, bool steady)
{
    const struct tg_delay_plan before = *p;
    int64_t span = now_ms - p->since_ms, need = SPAN_DELAYS * p->delay_ms;
    double rate, from = p->delay_ms > FIRST_MS ? (double)p->delay_ms : FIRST_MS;
    if (!steady) {
        p->since_ms = now_ms;
        p->since_bytes = bytes;
        return false;
    }
    if (span < TG_DELAY_PLAN_SPAN_MS || span < need)
        return false;
    rate = (double)(bytes - p->since_bytes) / (double)span;
    p->since_ms = now_ms;
    p->since_bytes = bytes;
    if (rate > allowed || rate < CALM * allowed)
        p->delay_ms = bounded(p, from * step(rate, allowed));
    if (p->delay_ms == p->longest_ms && rate > allowed && rate * (double)span >= AT_LEAST_ONE)
        p->state = before.delay_ms == p->longest_ms ? TG_DELAY_SPENT : before.state;
    else
        p->state = p->delay_ms > p->shortest_ms ? TG_DELAY_STRETCHED : TG_DELAY_NORMAL;
    return p->delay_ms != before.delay_ms || p->state != before.state;
}
