/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * delay_plan - how long messages of a cloud wait for more samples, so that a month stays within its budget. Pure: times and
 * counts are passed in.
 *
 *     allowed = (month_budget - what the month has cost so far) / what is left of the month
 *
 * The longer messages wait, the fuller they are and the less each sample costs. The plan looks at what a span of time has cost (at least
 * a minute, at least four delays) and moves the delay by the ratio of that to what is allowed, between `shortest` (batch.max_delay) and
 * `longest` (batch.longest_delay), at most fourfold up and to a half down at a time. Within 15 % below what is allowed it stays, so
 * it does not swing. Handshakes are not in the span: they are counted in what the month has cost, and would else make the minute in which they happen
 * look dear.
 *
 *     state      what it means
 *     NORMAL     the delay is `shortest`
 *     STRETCHED  it is longer; the budget is kept
 *     SPENT      it is `longest`, and the month is still going to cost more than the budget. Nothing is dropped.
 */
#ifndef TG_NORTHBOUND_DELAY_PLAN_H
#define TG_NORTHBOUND_DELAY_PLAN_H

#include <stdbool.h>
#include <stdint.h>

#define TG_DELAY_PLAN_SPAN_MS 60000

enum tg_delay_plan_state { TG_DELAY_NORMAL, TG_DELAY_STRETCHED, TG_DELAY_SPENT };

const char *tg_delay_plan_state_name(enum tg_delay_plan_state state); /* "normal"; static storage */

struct tg_delay_plan {
    int64_t shortest_ms, longest_ms, delay_ms;
    enum tg_delay_plan_state state;
    int64_t since_ms; /* the span under way began */
    uint64_t since_bytes;
};

void tg_delay_plan_init(struct tg_delay_plan *p, int64_t shortest_ms, int64_t longest_ms, int64_t now_ms);
/* `bytes`: all that has been spent so far, without handshakes. `steady`: false while there is no connection or a backlog is being sent, which
 * say nothing about the delay. True: the delay or the state has changed. */
bool tg_delay_plan_look(struct tg_delay_plan *p, int64_t now_ms, uint64_t bytes, double allowed_bytes_per_ms,
                        bool steady);

#endif
