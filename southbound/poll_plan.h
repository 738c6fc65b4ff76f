/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * poll_plan - which of a device's points are due when.
 *
 * Points with the same interval form a group. All groups start at the same moment and keep to its grid (a
 * group of 5 s falls due together with every fifth turn of a group of 1 s), so that what is due together can
 * be read together and become one sample. A turn that is late does not shift the grid; turns that were
 * missed altogether are counted, not made up for.
 *
 * Pure; the caller lends the groups. Times are monotonic milliseconds.
 */
#ifndef TG_SOUTHBOUND_POLL_PLAN_H
#define TG_SOUTHBOUND_POLL_PLAN_H

#include <stdbool.h>
#include <stdint.h>

#include "core/base/error.h"

#define TG_POLL_MAX_GROUPS 32
#define TG_POLL_NEVER      INT64_MAX

struct tg_poll_plan {
    uint32_t count;
    uint64_t missed; /* turns that passed unserved */
    struct {
        int64_t every_ms, start_ms, due_ms;
    } groups[TG_POLL_MAX_GROUPS];
};

void tg_poll_plan_init(struct tg_poll_plan *p);
/* The group for an interval (> 0), made when it is new. TG_EFULL beyond TG_POLL_MAX_GROUPS intervals. */
int tg_poll_plan_group(struct tg_poll_plan *p, int64_t every_ms) TG_CHECKED;
/* Makes every group due at now_ms and starts the grid there. */
void tg_poll_plan_start(struct tg_poll_plan *p, int64_t now_ms);
/* When the next group falls due; TG_POLL_NEVER without groups. */
int64_t tg_poll_plan_next_ms(const struct tg_poll_plan *p);
/* The groups that are due, one bit each. */
uint32_t tg_poll_plan_due(const struct tg_poll_plan *p, int64_t now_ms);
/* Since when the longest waiting of the groups in `mask` has been due; TG_POLL_NEVER for none. */
int64_t tg_poll_plan_since_ms(const struct tg_poll_plan *p, uint32_t mask);
/* Moves the groups in `mask` to their next turn after now_ms. */
void tg_poll_plan_done(struct tg_poll_plan *p, uint32_t mask, int64_t now_ms);
/* Makes the groups in `mask` due at now_ms (none is put off); their grid stays. */
void tg_poll_plan_hasten(struct tg_poll_plan *p, uint32_t mask, int64_t now_ms);

#endif
