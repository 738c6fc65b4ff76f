/* SPDX-License-Identifier: GPL-2.0-or-later */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>

#include <cmocka.h>

#include "southbound/at_script.h"

static void test_points_of_one_command_share_the_exchange(void **state)
{
    struct tg_at_poll p[] = {{.exchange = 0, .every_ms = 1000},
                             {.exchange = 0, .every_ms = 3000},
                             {.exchange = 1, .every_ms = 2000}};
    struct tg_at_script s;
    (void)state;
    tg_at_script_init(&s, p, 3, 100);
    assert_int_equal(tg_at_script_deadline(&s), 100);
    assert_int_equal(tg_at_script_next(&s, 99), TG_AT_SCRIPT_NONE);
    assert_int_equal(tg_at_script_next(&s, 100), 0);
    assert_true(p[0].taken && p[1].taken && !p[2].taken);
    tg_at_script_done(&s, 0, 150);
    assert_int_equal(tg_at_script_next(&s, 150), 1);
    tg_at_script_done(&s, 1, 200);
    assert_int_equal(tg_at_script_deadline(&s), 1100);
    assert_int_equal(tg_at_script_next(&s, 1100), 0);
    assert_true(p[0].taken &&
                !p[1].taken); /* the slow point does not come more often than it was asked for */
    tg_at_script_done(&s, 0, 1100);
    assert_int_equal(p[0].due_ms, 2100);
    assert_int_equal(p[1].due_ms, 3100);
}

static void test_missed_turns_are_left_out(void **state)
{
    struct tg_at_poll p[] = {{.exchange = 0, .every_ms = 1000}};
    struct tg_at_script s;
    (void)state;
    tg_at_script_init(&s, p, 1, 0);
    assert_int_equal(tg_at_script_next(&s, 0), 0);
    tg_at_script_done(&s, 0, 5500);
    assert_int_equal(p[0].due_ms, 6000); /* the phase stays */
    assert_int_equal(tg_at_script_next(&s, 6000), 0);
    tg_at_script_done(&s, 0, 7000);
    assert_int_equal(p[0].due_ms, 8000); /* a turn that is due just now counts as missed */
}

/* A fast poll that is always due does not starve a slow one. */
static void test_the_one_that_waited_longest_goes_first(void **state)
{
    struct tg_at_poll p[] = {{.exchange = 0, .every_ms = 10}, {.exchange = 1, .every_ms = 1000}};
    struct tg_at_script s;
    int slow = 0;
    (void)state;
    tg_at_script_init(&s, p, 2, 0);
    for (int64_t now = 0; now < 10000; now += 50) { /* each exchange takes 50 ms */
        uint32_t x = tg_at_script_next(&s, now);
        slow += x == 1;
        if (x != TG_AT_SCRIPT_NONE)
            tg_at_script_done(&s, x, now + 50);
    }
    assert_in_range(slow, 9, 10);
}

static void test_hurry(void **state)
{
    struct tg_at_poll p[] = {{.exchange = 0, .every_ms = 60000}, {.exchange = 1, .every_ms = 60000}};
    struct tg_at_script s;
    (void)state;
    tg_at_script_init(&s, p, 2, 0);
    for (int i = 0; i < 2; i++)
        tg_at_script_done(&s, tg_at_script_next(&s, 0), 0);
    tg_at_script_hurry(&s, 1, 500);
    assert_int_equal(tg_at_script_deadline(&s), 500);
    assert_int_equal(tg_at_script_next(&s, 500), 1);
    tg_at_script_done(&s, 1, 500);
    assert_int_equal(tg_at_script_next(&s, 500), TG_AT_SCRIPT_NONE);
}

static void test_no_polls(void **state)
{
    struct tg_at_script s;
    (void)state;
    tg_at_script_init(&s, NULL, 0, 0);
    assert_int_equal(tg_at_script_next(&s, 100), TG_AT_SCRIPT_NONE);
    assert_int_equal(tg_at_script_deadline(&s), INT64_MAX);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_points_of_one_command_share_the_exchange),
        cmocka_unit_test(test_missed_turns_are_left_out),
        cmocka_unit_test(test_the_one_that_waited_longest_goes_first),
        cmocka_unit_test(test_hurry),
        cmocka_unit_test(test_no_polls),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
