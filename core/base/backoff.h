/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * backoff - when to try again: exponential, full jitter, capped; pure (time and randomness passed in).
 *
 *     delay = random in [floor_ms, min(cap_ms, base_ms · 2^attempt)]
 *
 * A connection that lived for `stable_ms` resets the schedule; one that broke sooner does not, so that
 * a peer that accepts and drops is not hammered.
 */
#ifndef TG_BASE_BACKOFF_H
#define TG_BASE_BACKOFF_H

#include <stdint.h>

struct tg_backoff {
    int64_t floor_ms, base_ms, cap_ms, stable_ms;
    uint32_t attempt;
};

/* The longest that the next wait can be. */
int64_t tg_backoff_top(const struct tg_backoff *b);
/* The wait before the next attempt; `random` is any 32 random bits. Counts the attempt. */
int64_t tg_backoff_next(struct tg_backoff *b, uint32_t random);
/* Tells how long the last success held. */
void tg_backoff_held(struct tg_backoff *b, int64_t held_ms);

#endif
