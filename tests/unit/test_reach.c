/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * Outages, connects by the hour, and silences that a path does not bear, on a clock of the test's own.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "northbound/quiet.h"
#include "northbound/reach.h"

#define MINUTE INT64_C(60000)
#define HOUR   (60 * MINUTE)

/* --- reach ------------------------------------------------------------------------------------- */

static void the_first_start_is_no_outage(void **state)
{
    struct tg_reach r;
    (void)state;
    tg_reach_init(&r);
    tg_reach_wanted(&r, 1000);
    assert_int_equal(tg_reach_out_ms(&r, 1500), 500);
    tg_reach_online(&r, 2000);
    assert_int_equal(tg_reach_out_ms(&r, 3000), 0);
    assert_int_equal(r.outages, 0);
    assert_int_equal(r.last_outage_ms, 0);
    assert_int_equal(r.last_recovery_ms, -1);
}

static void a_start_that_fails_is_one(void **state)
{
    struct tg_reach r;
    (void)state;
    tg_reach_init(&r);
    tg_reach_wanted(&r, 1000);
    tg_reach_failed(&r, 2000, TG_FAILURE_DNS);
    tg_reach_failed(&r, 4000, TG_FAILURE_TCP);
    tg_reach_online(&r, 9000);
    assert_int_equal(r.outages, 1);
    assert_int_equal(r.last_outage_ms, 8000);
    assert_int_equal(r.failures[TG_FAILURE_DNS], 1);
    assert_int_equal(r.failures[TG_FAILURE_TCP], 1);
}

static void one_that_stands_is_enough(void **state)
{
    struct tg_reach r;
    (void)state;
    tg_reach_init(&r);
    tg_reach_online(&r, 1000);
    tg_reach_online(&r, 1000);
    tg_reach_offline(&r);
    tg_reach_failed(&r, 2000, TG_FAILURE_CLOSED);
    assert_int_equal(tg_reach_out_ms(&r, 5000), 0);
    tg_reach_offline(&r);
    tg_reach_failed(&r, 6000, TG_FAILURE_SILENT);
    assert_int_equal(tg_reach_out_ms(&r, 7000), 1000);
    tg_reach_link_back(&r, 20000);
    tg_reach_online(&r, 20400);
    assert_int_equal(r.outages, 1);
    assert_int_equal(r.last_outage_ms, 14400);
    assert_int_equal(r.last_recovery_ms, 400);
}

static void a_planned_reconnect_is_none(void **state)
{
    struct tg_reach r;
    (void)state;
    tg_reach_init(&r);
    tg_reach_online(&r, 1000);
    tg_reach_offline(&r);
    assert_int_equal(tg_reach_out_ms(&r, 1500), 0);
    tg_reach_online(&r, 1600);
    assert_int_equal(r.outages, 0);
    tg_reach_offline(&r);
    tg_reach_failed(&r, 3000, TG_FAILURE_LOGIN); /* its successor failed */
    assert_int_equal(r.outages, 1);
    assert_int_equal(tg_reach_out_ms(&r, 4000), 1000);
}

static void connects_of_the_last_hour(void **state)
{
    struct tg_reach r;
    (void)state;
    tg_reach_init(&r);
    assert_int_equal(tg_reach_connects_last_hour(&r, 5 * HOUR), 0);
    for (int i = 0; i < 10; i++)
        tg_reach_online(&r, 5 * HOUR + i * 10 * MINUTE);
    assert_int_equal(tg_reach_connects_last_hour(&r, 5 * HOUR + 90 * MINUTE), 6);
    assert_int_equal(tg_reach_connects_last_hour(&r, 5 * HOUR + 149 * MINUTE), 1);
    assert_int_equal(tg_reach_connects_last_hour(&r, 5 * HOUR + 150 * MINUTE), 0);
    assert_int_equal(tg_reach_connects_last_hour(&r, 50 * HOUR), 0);
    tg_reach_online(&r, 50 * HOUR);
    assert_int_equal(tg_reach_connects_last_hour(&r, 50 * HOUR), 1);
    assert_int_equal(r.connects, 11);
}

static void failures_have_names(void **state)
{
    (void)state;
    assert_string_equal(tg_failure_name(TG_FAILURE_DNS), "dns");
    assert_string_equal(tg_failure_name(TG_FAILURE_LOCAL), "local");
    assert_string_equal(tg_failure_name(TG_FAILURES), "?");
}

/* --- quiet ------------------------------------------------------------------------------------- */

static void a_silence_that_kills_is_halved(void **state)
{
    struct tg_quiet q = {0};
    (void)state;
    assert_false(tg_quiet_survived(&q, 60000, 1000));
    assert_true(tg_quiet_killed(&q, 230000, 10 * MINUTE));
    assert_int_equal(q.interval_ms, 115000);
    assert_true(tg_quiet_killed(&q, 115000, 20 * MINUTE));
    assert_int_equal(q.interval_ms, 57500);
    assert_int_equal(q.killed_ms, 115000);
}

static void there_is_a_floor(void **state)
{
    struct tg_quiet q = {0};
    (void)state;
    assert_false(tg_quiet_killed(&q, TG_QUIET_SHORTEST_MS - 1, 1000));
    assert_true(tg_quiet_killed(&q, 12000, 1000));
    assert_int_equal(q.interval_ms, TG_QUIET_FLOOR_MS);
    assert_false(tg_quiet_killed(&q, 9000, 2000));
    assert_int_equal(q.interval_ms, TG_QUIET_FLOOR_MS);
}

/* A path that has borne such a silence lately loses a connection for another reason; three in a row, and it is another path. */
static void what_was_survived_speaks_against_it(void **state)
{
    struct tg_quiet q = {0};
    (void)state;
    (void)tg_quiet_survived(&q, 230000, 1 * MINUTE);
    assert_false(tg_quiet_killed(&q, 230000, 5 * MINUTE));
    assert_false(tg_quiet_survived(&q, 230000, 9 * MINUTE));
    assert_false(tg_quiet_killed(&q, 230000, 13 * MINUTE));
    assert_false(tg_quiet_killed(&q, 230000, 17 * MINUTE));
    assert_int_equal(q.interval_ms, 0);
    assert_true(tg_quiet_killed(&q, 230000, 21 * MINUTE));
    assert_int_equal(q.interval_ms, 115000);
}

static void it_grows_again(void **state)
{
    struct tg_quiet q = {0};
    int64_t now = 0;
    (void)state;
    assert_true(tg_quiet_killed(&q, 200000, now));
    assert_false(tg_quiet_survived(&q, 100000, now + HOUR - 1));
    assert_true(tg_quiet_survived(&q, 100000, now + HOUR));
    assert_int_equal(q.interval_ms, 125000);
    assert_true(tg_quiet_survived(&q, 125000, now + 2 * HOUR));
    assert_int_equal(q.interval_ms, 156250);
    assert_false(tg_quiet_survived(&q, 156250, now + 3 * HOUR)); /* 195 s would be too near */
    assert_int_equal(q.interval_ms, 156250);
    assert_true(tg_quiet_survived(&q, 156250, now + 24 * HOUR));
    assert_int_equal(q.interval_ms, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_first_start_is_no_outage),        cmocka_unit_test(a_start_that_fails_is_one),
        cmocka_unit_test(one_that_stands_is_enough),           cmocka_unit_test(a_planned_reconnect_is_none),
        cmocka_unit_test(connects_of_the_last_hour),           cmocka_unit_test(failures_have_names),
        cmocka_unit_test(a_silence_that_kills_is_halved),      cmocka_unit_test(there_is_a_floor),
        cmocka_unit_test(what_was_survived_speaks_against_it), cmocka_unit_test(it_grows_again),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
