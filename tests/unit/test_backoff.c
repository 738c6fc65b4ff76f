/* SPDX-License-Identifier: GPL-2.0-or-later */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "core/base/backoff.h"

static void the_range_doubles_up_to_the_cap(void **state)
{
    struct tg_backoff b = {.floor_ms = 100, .base_ms = 1000, .cap_ms = 20000, .stable_ms = 60000};
    static const int64_t tops[] = {1000, 2000, 4000, 8000, 16000, 20000, 20000, 20000};
    (void)state;
    for (size_t i = 0; i < sizeof tops / sizeof tops[0]; i++) {
        struct tg_backoff low = b, high = b, middle = b;
        assert_int_equal(tg_backoff_next(&low, 0), 100);
        assert_int_equal(tg_backoff_next(&high, UINT32_MAX), tops[i]);
        assert_in_range(tg_backoff_next(&middle, UINT32_MAX / 2), (100 + tops[i]) / 2 - 1,
                        (100 + tops[i]) / 2 + 1);
        b = high;
    }
    assert_int_equal(b.attempt, sizeof tops / sizeof tops[0]);
}

/* Full jitter: a fleet that lost its link at one moment spreads over the whole range, not around its top. */
static void waits_spread_evenly(void **state)
{
    int counts[10] = {0};
    (void)state;
    for (uint32_t i = 0; i < 10000; i++) {
        struct tg_backoff b = {.base_ms = 1000, .cap_ms = 1000};
        int64_t wait = tg_backoff_next(&b, i * 429496u);
        assert_in_range(wait, 0, 1000);
        counts[wait >= 1000 ? 9 : wait / 100]++;
    }
    for (int i = 0; i < 10; i++)
        assert_in_range(counts[i], 950, 1050);
}

static void only_a_stable_connection_resets(void **state)
{
    struct tg_backoff b = {.base_ms = 1000, .cap_ms = 60000, .stable_ms = 30000};
    (void)state;
    for (int i = 0; i < 5; i++)
        (void)tg_backoff_next(&b, 1);
    tg_backoff_held(&b, 29999);
    assert_int_equal(b.attempt, 5);
    tg_backoff_held(&b, 30000);
    assert_int_equal(b.attempt, 0);
}

static void odd_settings_stay_in_bounds(void **state)
{
    struct tg_backoff above = {.floor_ms = 5000, .base_ms = 10, .cap_ms = 20};
    struct tg_backoff zero = {0};
    struct tg_backoff old = {.base_ms = 1, .cap_ms = 86400000, .attempt = UINT32_MAX};
    (void)state;
    assert_int_equal(tg_backoff_next(&above, UINT32_MAX), 5000);
    assert_int_equal(tg_backoff_next(&zero, UINT32_MAX), 0);
    assert_int_equal(tg_backoff_next(&old, UINT32_MAX), 86400000);
    assert_true(old.attempt == UINT32_MAX);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_range_doubles_up_to_the_cap),
        cmocka_unit_test(waits_spread_evenly),
        cmocka_unit_test(only_a_stable_connection_resets),
        cmocka_unit_test(odd_settings_stay_in_bounds),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
