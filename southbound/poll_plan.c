/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "southbound/poll_plan.h"

#include <string.h>

void tg_poll_plan_init(struct tg_poll_plan *p)
{
    memset(p, 0, sizeof *p);
}

int tg_poll_plan_group(struct tg_poll_plan *p, int64_t every_ms)
{
    for (uint32_t i = 0; i < p->count; i++)
        if (p->groups[i].every_ms == every_ms)
            return (int)i;
    if (p->count == TG_POLL_MAX_GROUPS)
        return TG_EFULL;
    p->groups[p->count].every_ms = every_ms;
    return (int)p->count++;
}

void tg_poll_plan_start(struct tg_poll_plan *p, int64_t now_ms)
{
    for (uint32_t i = 0; i < p->count; i++) {
        p->groups[i].start_ms = now_ms;
        p->groups[i].due_ms = now_ms;
    }
}

int64_t tg_poll_plan_next_ms(const struct tg_poll_plan *p)
{
    int64_t next = TG_POLL_NEVER;
    for (uint32_t i = 0; i < p->count; i++)
        if (p->groups[i].due_ms < next)
            next = p->groups[i].due_ms;
    return next;
}

uint32_t tg_poll_plan_due(const struct tg_poll_plan *p, int64_t now_ms)
{
    uint32_t mask = 0;
    for (uint32_t i = 0; i < p->count; i++)
        if (p->groups[i].due_ms <= now_ms)
            mask |= UINT32_C(1) << i;
    return mask;
}

int64_t tg_poll_plan_since_ms(const struct tg_poll_plan *p, uint32_t mask)
{
    int64_t since = TG_POLL_NEVER;
    for (uint32_t i = 0; i < p->count; i++)
        if ((mask >> i & 1) && p->groups[i].due_ms < since)
            since = p->groups[i].due_ms;
    return since;
}

void tg_poll_plan_done(struct tg_poll_plan *p, uint32_t mask, int64_t now_ms)
{
    for (uint32_t i = 0; i < p->count; i++) {
        if (!(mask >> i & 1))
            continue;
        /* Turns are counted from the grid's start, so that a turn brought forward does not shift them. */
        int64_t every = p->groups[i].every_ms, start = p->groups[i].start_ms;
        int64_t due = start + ((now_ms - start) / every + 1) * every;
        int64_t skipped = p->groups[i].due_ms < now_ms ? (due - p->groups[i].due_ms - 1) / every : 0;
        p->missed += (uint64_t)skipped;
        p->groups[i].due_ms = due;
    }
}

void tg_poll_plan_hasten(struct tg_poll_plan *p, uint32_t mask, int64_t now_ms)
{
    for (uint32_t i = 0; i < p->count; i++)
        if ((mask >> i & 1) && p->groups[i].due_ms > now_ms)
            p->groups[i].due_ms = now_ms;
}
