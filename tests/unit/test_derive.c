/* SPDX-License-Identifier: GPL-2.0-or-later */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <math.h>

#include "core/points/derive.h"

static const struct tg_derive sum = {.kind = TG_DERIVE_SUM, .input_count = 3, .inputs = {0, 1, 4}};
static const struct tg_derive difference = {.kind = TG_DERIVE_DIFFERENCE, .input_count = 2, .inputs = {1, 0}};
static const struct tg_derive slope = {
    .kind = TG_DERIVE_RATE, .input_count = 1, .inputs = {2}, .per_ms = 1000};
static const struct tg_derive power = {
    .kind = TG_DERIVE_RATE, .input_count = 1, .inputs = {2}, .per_ms = 3600000, .counter = true};

static struct tg_point_value reading(uint32_t point, double v)
{
    return (struct tg_point_value){.point = point, .value = tg_value_real(v)};
}

/* One reading at time_ms; NAN when there is no derived value. */
static double one(const struct tg_derive *d, struct tg_derive_state *s, int64_t time_ms, uint32_t point,
                  double v)
{
    struct tg_point_value in = reading(point, v), out;
    if (!tg_derive_apply(d, s, time_ms, &in, 1, &out))
        return NAN;
    assert_int_equal(out.quality, TG_QUALITY_GOOD);
    assert_int_equal(out.value.type, TG_VALUE_REAL);
    return out.value.as.real;
}

static void test_a_sum_waits_for_all_inputs(void **state)
{
    struct tg_derive_state s = {0};
    struct tg_point_value both[] = {{.point = 4, .value = tg_value_int(30)},
                                    {.point = 0, .value = tg_value_bool(true)},
                                    reading(7, 1000)},
                          out;
    (void)state;
    assert_true(isnan(one(&sum, &s, 1, 0, 5)));
    assert_true(isnan(one(&sum, &s, 2, 7, 5))); /* no input of it */
    assert_true(isnan(one(&sum, &s, 3, 1, 10)));
    assert_true(tg_derive_apply(&sum, &s, 4, both, 3, &out));
    assert_true(out.value.as.real == 41); /* true is 1 */
    assert_true(one(&sum, &s, 5, 1, -1) == 30);
}

static void test_a_difference_takes_the_first_less_the_others(void **state)
{
    struct tg_derive_state s = {0};
    (void)state;
    (void)one(&difference, &s, 1, 0, 3);
    assert_true(one(&difference, &s, 2, 1, 10) == 7);
    assert_true(one(&difference, &s, 3, 0, 12) == -2);
}

static void test_bad_inputs_make_it_bad(void **state)
{
    struct tg_derive_state s = {0};
    struct tg_point_value bad = {.point = 0, .quality = TG_QUALITY_TIMEOUT}, out,
                          text = {.point = 0, .value = tg_value_text("x", 1)},
                          huge[] = {reading(0, -1.7e308), reading(1, 1.7e308)};
    (void)state;
    (void)one(&difference, &s, 1, 0, 3);
    (void)one(&difference, &s, 2, 1, 10);
    assert_true(tg_derive_apply(&difference, &s, 3, &bad, 1, &out));
    assert_int_equal(out.quality, TG_QUALITY_TIMEOUT);
    assert_int_equal(out.value.type, TG_VALUE_NONE);
    assert_true(tg_derive_apply(&difference, &s, 4, &text, 1, &out));
    assert_int_equal(out.quality, TG_QUALITY_CONFIG);
    assert_true(one(&difference, &s, 5, 0, 1) == 9); /* and it comes back */
    assert_true(tg_derive_apply(&difference, &s, 6, huge, 2, &out));
    assert_int_equal(out.quality, TG_QUALITY_RANGE);
}

static void test_a_rate(void **state)
{
    struct tg_derive_state s = {0};
    struct tg_point_value bad = {.point = 2, .quality = TG_QUALITY_DOWN}, out;
    (void)state;
    assert_true(isnan(one(&slope, &s, 1000, 2, 20)));
    assert_true(one(&slope, &s, 3000, 2, 21) == 0.5);
    assert_true(
        isnan(one(&slope, &s, 3000, 2, 99))); /* the same moment: no division by 0, and not taken over */
    assert_true(one(&slope, &s, 4000, 2, 20) == -1);
    assert_true(isnan(one(&slope, &s, 3500, 2, 25))); /* the clock was set back: begins there */
    assert_true(one(&slope, &s, 4500, 2, 26) == 1);
    assert_true(tg_derive_apply(&slope, &s, 5000, &bad, 1, &out));
    assert_int_equal(out.quality, TG_QUALITY_DOWN);
    assert_true(isnan(one(&slope, &s, 9000, 2, 100))); /* not measured across what was not read */
    assert_true(one(&slope, &s, 10000, 2, 101) == 1);
}

static void test_a_counter_that_falls_begins_anew(void **state)
{
    struct tg_derive_state s = {0};
    (void)state;
    (void)one(&power, &s, 0, 2, 65530);
    assert_true(one(&power, &s, 3600, 2, 65531) == 1000); /* 1 Wh in 3.6 s is 1000 W */
    assert_true(isnan(one(&power, &s, 7200, 2, 4)));
    assert_true(one(&power, &s, 10800, 2, 6) == 2000);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_a_sum_waits_for_all_inputs),
                                       cmocka_unit_test(test_a_difference_takes_the_first_less_the_others),
                                       cmocka_unit_test(test_bad_inputs_make_it_bad),
                                       cmocka_unit_test(test_a_rate),
                                       cmocka_unit_test(test_a_counter_that_falls_begins_anew)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
