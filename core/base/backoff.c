/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "core/base/backoff.h"

int64_t tg_backoff_top(const struct tg_backoff *b)
{
    int64_t top = b->base_ms;
    for (uint32_t i = 0; i < b->attempt && top < b->cap_ms; i++)
        top *= 2;
    return top > b->cap_ms ? b->cap_ms : top;
}

int64_t tg_backoff_next(struct tg_backoff *b, uint32_t random)
{
    int64_t top = tg_backoff_top(b);
    if (b->attempt < UINT32_MAX)
        b->attempt++;
    if (top <= b->floor_ms)
        return b->floor_ms;
    return b->floor_ms + (int64_t)((uint64_t)(top - b->floor_ms + 1) * random >> 32);
}

void tg_backoff_held(struct tg_backoff *b, int64_t held_ms)
{
    if (held_ms >= b->stable_ms)
        b->attempt = 0;
}
