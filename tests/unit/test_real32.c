/* SPDX-License-Identifier: GPL-2.0-or-later */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <math.h>
#include <string.h>

#include "southbound/real32.h"

static void test_what_a_meter_shows(void **state)
{
    static const double shown[] = {230.1, 49.98, -950.5,  0.1,      12345.678, 1,     0,
                                   -1,    0.001, 123.456, 16777216, 3.4e38,    99.99, 0.000001};
    (void)state;
    for (size_t i = 0; i < sizeof shown / sizeof shown[0]; i++)
        assert_true(tg_real32_shortest((float)shown[i]) == (shown[i] == 3.4e38 ? (double)3.4e38f : shown[i]));
}

static void test_nothing_is_lost(void **state)
{
    (void)state;
    for (uint64_t n = 0; n <= UINT32_MAX; n += 9973) { /* a prime: every exponent and many mantissas */
        uint32_t bits = (uint32_t)n;
        float f;
        memcpy(&f, &bits, sizeof f);
        if (isnan(f))
            assert_true(isnan(tg_real32_shortest(f)));
        else
            assert_true((float)tg_real32_shortest(f) == f);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_what_a_meter_shows),
                                       cmocka_unit_test(test_nothing_is_lost)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
