/* SPDX-License-Identifier: GPL-2.0-or-later */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "northbound/day_meter.h"

#define S    INT64_C(1000)
#define MIN  (60 * S)
#define HOUR (60 * MIN)
#define DAY  (24 * HOUR)
#define NOON (20000 * DAY + 12 * HOUR) /* wall time of some noon */

static void messages_begin_blocks(void **state)
{
    struct tg_day_meter m = {0};
    (void)state;
    tg_day_meter_add(&m, 5, NOON, 1, 1);
    tg_day_meter_add(&m, 6, NOON, 1, 4096);
    tg_day_meter_add(&m, 7, NOON, 1, 4097);
    tg_day_meter_add(&m, 8, NOON, 3, 100);
    assert_int_equal(tg_day_meter_today(&m, 9, NOON).messages, 6);
    assert_int_equal(tg_day_meter_today(&m, 9, NOON).blocks, 1 + 1 + 2 + 3);
}

static void midnight_begins_anew(void **state)
{
    struct tg_day_meter m = {0};
    (void)state;
    tg_day_meter_add(&m, 0, NOON, 1, 1);
    tg_day_meter_add(&m, 12 * HOUR - 1, NOON + 12 * HOUR - 1, 1, 1);
    assert_int_equal(tg_day_meter_today(&m, 12 * HOUR - 1, NOON + 12 * HOUR - 1).messages, 2);
    assert_int_equal(tg_day_meter_today(&m, 12 * HOUR, NOON + 12 * HOUR).messages, 0);
    tg_day_meter_add(&m, 12 * HOUR, NOON + 12 * HOUR, 1, 1);
    assert_int_equal(tg_day_meter_today(&m, 13 * HOUR, NOON + 13 * HOUR).messages, 1);
    assert_int_equal(tg_day_meter_today(&m, 100 * DAY, NOON + 100 * DAY).messages, 0);
}

/* From 1970 to now: what was sent before the clock was set was sent today. */
static void a_clock_that_is_set_forward_loses_nothing(void **state)
{
    struct tg_day_meter m = {0};
    (void)state;
    for (int i = 0; i < 10; i++)
        tg_day_meter_add(&m, i * MIN, i * MIN, 1, 1);
    assert_int_equal(tg_day_meter_today(&m, 10 * MIN, NOON).messages, 10);
    tg_day_meter_add(&m, 10 * MIN, NOON, 1, 1);
    assert_int_equal(tg_day_meter_today(&m, 11 * MIN, NOON + MIN).messages, 11);
    /* Set to five minutes past midnight, in the middle of the count: all of it stays. */
    assert_int_equal(tg_day_meter_today(&m, 11 * MIN, 20001 * DAY + 5 * MIN).messages, 11);
}

static void a_clock_that_is_set_back_loses_nothing(void **state)
{
    struct tg_day_meter m = {0};
    int64_t mono = 0;
    (void)state;
    for (int i = 0; i < 100; i++, mono += MIN) /* from 22:20 to 24:00 by a clock that is 20 minutes ahead */
        tg_day_meter_add(&m, mono, 20001 * DAY - 100 * MIN + mono, 1, 1);
    tg_day_meter_add(&m, mono, 20001 * DAY + 1, 1, 1);
    assert_int_equal(tg_day_meter_today(&m, mono, 20001 * DAY + 1).messages, 1);
    /* It is 23:40 after all. */
    assert_int_equal(tg_day_meter_today(&m, mono, 20001 * DAY - 20 * MIN).messages, 101);
    tg_day_meter_add(&m, mono, 20001 * DAY - 20 * MIN, 1, 1);
    assert_int_equal(tg_day_meter_today(&m, mono + MIN, 20001 * DAY - 19 * MIN).messages, 102);
    assert_int_equal(tg_day_meter_today(&m, mono + 20 * MIN, 20001 * DAY).messages, 0);
}

static void a_clock_before_1970_is_a_clock(void **state)
{
    struct tg_day_meter m = {0};
    (void)state;
    tg_day_meter_add(&m, 0, -HOUR, 1, 1);
    assert_int_equal(tg_day_meter_today(&m, HOUR - 1, -1).messages, 1);
    assert_int_equal(tg_day_meter_today(&m, HOUR, 0).messages, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(messages_begin_blocks),
        cmocka_unit_test(midnight_begins_anew),
        cmocka_unit_test(a_clock_that_is_set_forward_loses_nothing),
        cmocka_unit_test(a_clock_that_is_set_back_loses_nothing),
        cmocka_unit_test(a_clock_before_1970_is_a_clock),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
