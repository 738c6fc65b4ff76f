/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "southbound/at_script.h"

void tg_at_script_init(struct tg_at_script *s, struct tg_at_poll *polls, uint32_t count, int64_t now_ms)
{
    s->polls = polls;
    s->poll_count = count;
    for (uint32_t i = 0; i < count; i++) {
        polls[i].due_ms = now_ms;
        polls[i].taken = false;
    }
}

uint32_t tg_at_script_next(struct tg_at_script *s, int64_t now_ms)
{
    const struct tg_at_poll *first = NULL;
    for (uint32_t i = 0; i < s->poll_count; i++) {
        if (s->polls[i].due_ms <= now_ms && (!first || s->polls[i].due_ms < first->due_ms))
            first = &s->polls[i];
    }
    if (!first)
        return TG_AT_SCRIPT_NONE;
    for (uint32_t i = 0; i < s->poll_count; i++)
        s->polls[i].taken = s->polls[i].exchange == first->exchange && s->polls[i].due_ms <= now_ms;
    return first->exchange;
}

void tg_at_script_done(struct tg_at_script *s, uint32_t exchange, int64_t now_ms)
{
    for (uint32_t i = 0; i < s->poll_count; i++) {
        struct tg_at_poll *p = &s->polls[i];
        if (p->exchange != exchange || !p->taken)
            continue;
        p->taken = false;
        p->due_ms += p->every_ms;
        if (p->due_ms <= now_ms) /* the next turn of the same phase that lies ahead */
            p->due_ms += ((now_ms - p->due_ms) / p->every_ms + 1) * p->every_ms;
    }
}

void tg_at_script_hurry(struct tg_at_script *s, uint32_t exchange, int64_t now_ms)
{
    for (uint32_t i = 0; i < s->poll_count; i++) {
        if (s->polls[i].exchange == exchange && s->polls[i].due_ms > now_ms)
            s->polls[i].due_ms = now_ms;
    }
}

int64_t tg_at_script_deadline(const struct tg_at_script *s)
{
    int64_t at = INT64_MAX;
    for (uint32_t i = 0; i < s->poll_count; i++)
        at = s->polls[i].due_ms < at ? s->polls[i].due_ms : at;
    return at;
}
