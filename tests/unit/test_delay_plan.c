/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * A month by a virtual clock: a meter that gives a sample a second, messages whose cost is a fixed part and a part a sample.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "northbound/delay_plan.h"

#define LOOK_MS  INT64_C(15000)
#define HOUR_MS  INT64_C(3600000)
#define DAY_MS   (24 * HOUR_MS)
#define MONTH_MS (30 * DAY_MS)

struct world {
    struct tg_delay_plan plan;
    int64_t now_ms;
    double bytes, per_message, per_sample, samples_per_ms;
    double budget;
    int64_t changes;
};

static double allowed(const struct world *w)
{
    return w->bytes < w->budget ? (w->budget - w->bytes) / (double)(MONTH_MS - w->now_ms) : 0;
}

/* What a look's time costs with the delay that is set. */
static void live(struct world *w, int64_t until_ms)
{
    while (w->now_ms < until_ms) {
        double each = 1 + w->samples_per_ms * (double)w->plan.delay_ms; /* samples a message */
        double samples = w->samples_per_ms * (double)LOOK_MS;
        w->now_ms += LOOK_MS;
        w->bytes += samples / each * w->per_message + samples * w->per_sample;
        w->changes += tg_delay_plan_look(&w->plan, w->now_ms, (uint64_t)w->bytes, allowed(w), true);
    }
}

static struct world begin(double budget)
{
    struct world w = {.per_message = 300, .per_sample = 25, .samples_per_ms = 0.001, .budget = budget};
    tg_delay_plan_init(&w.plan, 2000, 15 * 60000, 0);
    return w;
}

static void enough_changes_nothing(void **state)
{
    struct world w = begin(1e9);
    (void)state;
    live(&w, MONTH_MS - LOOK_MS);
    assert_int_equal(w.changes, 0);
    assert_int_equal(w.plan.delay_ms, 2000);
    assert_int_equal(w.plan.state, TG_DELAY_NORMAL);
}

/* 125 B a sample at 2 s are 324 MB; 100 MB are 38.6 B a sample: messages of some 22. */
static void the_month_ends_within_its_budget(void **state)
{
    struct world w = begin(100e6);
    (void)state;
    live(&w, HOUR_MS);
    assert_int_equal(w.plan.state, TG_DELAY_STRETCHED);
    assert_in_range(w.plan.delay_ms, 18000, 40000);
    w.changes = 0;
    live(&w, MONTH_MS - 2 * LOOK_MS);
    assert_true(w.bytes <= w.budget * 1.001);
    assert_true(w.bytes > w.budget * 0.8); /* what is paid for is used */
    assert_in_range(w.changes, 0, 300);    /* it does not swing: some ten times a day at most */
}

static void a_dear_first_half_is_saved_in_the_second(void **state)
{
    struct world w = begin(100e6);
    (void)state;
    w.bytes = 50e6; /* an outage's backlog on the first day */
    w.plan.since_bytes = (uint64_t)w.bytes;
    live(&w, MONTH_MS - 2 * LOOK_MS);
    assert_int_equal(w.plan.state, TG_DELAY_SPENT); /* 25 B a sample are 65 MB whatever the delay */
    assert_int_equal(w.plan.delay_ms, 15 * 60000);
}

static void it_comes_down_when_less_flows(void **state)
{
    struct world w = begin(100e6);
    (void)state;
    live(&w, DAY_MS);
    assert_true(w.plan.delay_ms > 10000);
    w.samples_per_ms = 0.0001;
    live(&w, 2 * DAY_MS);
    assert_int_equal(w.plan.delay_ms, 2000);
    assert_int_equal(w.plan.state, TG_DELAY_NORMAL);
}

static void outage_and_backlog_say_nothing(void **state)
{
    struct world w = begin(100e6);
    (void)state;
    for (int i = 1; i < 1000; i++)
        assert_false(tg_delay_plan_look(&w.plan, i * LOOK_MS, (uint64_t)i * 10000000, 1.0, false));
    assert_int_equal(w.plan.delay_ms, 2000);
    /* The span begins anew behind it. */
    assert_false(tg_delay_plan_look(&w.plan, 1000 * LOOK_MS, UINT64_C(9990000000), 1.0, true));
}

static void a_delay_of_nothing_can_grow_and_a_spent_budget_sends(void **state)
{
    struct tg_delay_plan p;
    int64_t now = 0;
    uint64_t bytes = 0;
    (void)state;
    tg_delay_plan_init(&p, 0, 60000, 0);
    for (int i = 0; i < 1000; i++)
        tg_delay_plan_look(&p, now += LOOK_MS, bytes += 1000, 0, true);
    assert_int_equal(p.delay_ms, 60000);
    assert_int_equal(p.state, TG_DELAY_SPENT);
    tg_delay_plan_init(&p, 5000, 1000, 0); /* the longest is never below the shortest */
    assert_int_equal(p.longest_ms, 5000);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(enough_changes_nothing),
        cmocka_unit_test(the_month_ends_within_its_budget),
        cmocka_unit_test(a_dear_first_half_is_saved_in_the_second),
        cmocka_unit_test(it_comes_down_when_less_flows),
        cmocka_unit_test(outage_and_backlog_say_nothing),
        cmocka_unit_test(a_delay_of_nothing_can_grow_and_a_spent_budget_sends)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
