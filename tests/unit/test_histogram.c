/* SPDX-License-Identifier: GPL-2.0-or-later */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "core/base/histogram.h"

static void test_quantiles_are_never_too_small(void **state)
{
    (void)state;
    for (int64_t v = 0; v < 5000000; v = v < 100 ? v + 1 : v + v / 7) {
        struct tg_histogram h = {0};
        int64_t q;
        tg_histogram_add(&h, v, 99);
        tg_histogram_add(&h, 2 * v + 10, 1);
        q = tg_histogram_quantile(&h, 0.99);
        assert_true(q >= v && q <= v + v / 4 + 1);
        assert_int_equal(tg_histogram_quantile(&h, 1.0), 2 * v + 10);
    }
}

static void test_ends(void **state)
{
    struct tg_histogram h = {0};
    (void)state;
    assert_int_equal(tg_histogram_quantile(&h, 0.5), 0);
    tg_histogram_add(&h, -5, 1);
    tg_histogram_add(&h, INT64_MAX, 1);
    assert_int_equal(h.count, 2);
    assert_int_equal(tg_histogram_quantile(&h, 0.5), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_quantiles_are_never_too_small),
                                       cmocka_unit_test(test_ends)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
