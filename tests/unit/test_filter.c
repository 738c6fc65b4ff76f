/* SPDX-License-Identifier: GPL-2.0-or-later */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <math.h>

#include "core/points/filter.h"

static struct tg_filter_options plain(void)
{
    struct tg_filter_options o = {.scale = 1, .min = -INFINITY, .max = INFINITY, .deadband = -1};
    return o;
}

static enum tg_filter_verdict offer(const struct tg_filter_options *o, struct tg_filter_state *s, int64_t now,
                                    double v)
{
    struct tg_point_value p = {.value = tg_value_real(v)};
    return tg_filter_apply(o, s, now, &p);
}

static enum tg_filter_verdict offer_bad(const struct tg_filter_options *o, struct tg_filter_state *s,
                                        int64_t now, uint32_t quality)
{
    struct tg_point_value p = {.quality = quality};
    return tg_filter_apply(o, s, now, &p);
}

static void test_without_options_everything_goes(void **state)
{
    struct tg_filter_options o = plain();
    struct tg_filter_state s = {0};
    (void)state;
    for (int i = 0; i < 3; i++)
        assert_int_equal(offer(&o, &s, i, 5), TG_FILTER_SEND);
}

static void test_deadband(void **state)
{
    struct tg_filter_options o = plain();
    struct tg_filter_state s = {0};
    (void)state;
    o.deadband = 0.5;
    assert_int_equal(offer(&o, &s, 0, 10), TG_FILTER_SEND);
    assert_int_equal(offer(&o, &s, 1, 10.5), TG_FILTER_HOLD); /* not more than */
    assert_int_equal(offer(&o, &s, 2, 10.6), TG_FILTER_SEND);
    assert_int_equal(offer(&o, &s, 3, 10.1),
                     TG_FILTER_HOLD); /* measured from the last one sent: creeping counts */
    assert_int_equal(offer(&o, &s, 4, 10.05), TG_FILTER_SEND);
    o.deadband = 10;
    o.deadband_is_percent = true;
    s = (struct tg_filter_state){0};
    assert_int_equal(offer(&o, &s, 0, -200), TG_FILTER_SEND);
    assert_int_equal(offer(&o, &s, 1, -219), TG_FILTER_HOLD);
    assert_int_equal(offer(&o, &s, 2, -221), TG_FILTER_SEND);
}

static void test_intervals(void **state)
{
    struct tg_filter_options o = plain();
    struct tg_filter_state s = {0};
    (void)state;
    o.deadband = 1;
    o.min_interval_ms = 100;
    o.max_interval_ms = 1000;
    assert_int_equal(offer(&o, &s, 0, 0), TG_FILTER_SEND);
    assert_int_equal(offer(&o, &s, 99, 50), TG_FILTER_HOLD);
    assert_int_equal(offer(&o, &s, 100, 50), TG_FILTER_SEND);
    assert_int_equal(offer(&o, &s, 1099, 50), TG_FILTER_HOLD);
    assert_int_equal(offer(&o, &s, 1100, 50), TG_FILTER_SEND); /* a sign of life */
}

static void test_quality(void **state)
{
    struct tg_filter_options o = plain();
    struct tg_filter_state s = {0};
    (void)state;
    o.deadband = 1;
    assert_int_equal(offer(&o, &s, 0, 5), TG_FILTER_SEND);
    assert_int_equal(offer_bad(&o, &s, 1, TG_QUALITY_TIMEOUT), TG_FILTER_SEND);
    assert_int_equal(offer_bad(&o, &s, 2, TG_QUALITY_TIMEOUT), TG_FILTER_ACCOMPANY);
    assert_int_equal(offer_bad(&o, &s, 3, TG_QUALITY_COMM), TG_FILTER_SEND);
    assert_int_equal(offer(&o, &s, 4, 5), TG_FILTER_SEND); /* the value is as before, its quality is not */
}

/* Neither min_interval nor a deadband holds back that a value has gone bad, or is good again. */
static void test_quality_does_not_wait(void **state)
{
    struct tg_filter_options o = plain();
    struct tg_filter_state s = {0};
    (void)state;
    o.deadband = 100;
    o.min_interval_ms = 60000;
    assert_int_equal(offer(&o, &s, 0, 5), TG_FILTER_SEND);
    assert_int_equal(offer(&o, &s, 1, 500), TG_FILTER_HOLD);
    assert_int_equal(offer_bad(&o, &s, 2, TG_QUALITY_TIMEOUT), TG_FILTER_SEND);
    assert_int_equal(offer_bad(&o, &s, 3, TG_QUALITY_DOWN), TG_FILTER_SEND);
    assert_int_equal(offer_bad(&o, &s, 4, TG_QUALITY_DOWN), TG_FILTER_ACCOMPANY);
    assert_int_equal(offer(&o, &s, 5, 5), TG_FILTER_SEND);
    assert_int_equal(offer(&o, &s, 60004, 500), TG_FILTER_HOLD); /* the interval counts from there */
    assert_int_equal(offer(&o, &s, 60005, 500), TG_FILTER_SEND);
}

static void test_scale_and_range(void **state)
{
    struct tg_filter_options o = plain();
    struct tg_filter_state s = {0};
    struct tg_point_value p = {.value = tg_value_int(2301)};
    struct tg_value back = tg_value_real(230.1);
    (void)state;
    o.scale = 0.1;
    o.min = 0;
    o.max = 300;
    assert_int_equal(tg_filter_apply(&o, &s, 0, &p), TG_FILTER_SEND);
    assert_true(p.value.type == TG_VALUE_REAL && p.value.as.real == 230.1); /* not 230.10000000000002 */
    p.value = tg_value_int(3001);
    assert_int_equal(tg_filter_apply(&o, &s, 1, &p), TG_FILTER_SEND);
    assert_int_equal(p.quality, TG_QUALITY_RANGE);
    assert_int_equal(p.value.type, TG_VALUE_NONE);
    assert_int_equal(tg_filter_unscale(&o, &back), 0);
    assert_true(fabs(back.as.real - 2301) < 1e-9);
    back = tg_value_real(301);
    assert_int_equal(tg_filter_unscale(&o, &back), TG_ERANGE);
    back = tg_value_text("x", 1);
    assert_int_equal(tg_filter_unscale(&o, &back), TG_EINVAL);
    back = tg_value_bool(true);
    assert_int_equal(tg_filter_unscale(&o, &back), TG_EINVAL);
    back = tg_value_real(0.3); /* / 0.1 is 2.9999999999999996 */
    assert_int_equal(tg_filter_unscale(&o, &back), TG_OK);
    assert_true(back.as.real == 3);
    back = tg_value_real(0.35); /* a step and a half is not made a whole one */
    assert_int_equal(tg_filter_unscale(&o, &back), TG_OK);
    assert_true(fabs(back.as.real - 3.5) < 1e-9);
}

/* A range is kept whatever kind of value comes. */
static void test_what_is_written_keeps_the_range(void **state)
{
    struct tg_filter_options o = plain();
    struct tg_value v = tg_value_text("500", 3);
    (void)state;
    assert_int_equal(tg_filter_unscale(&o, &v), TG_OK); /* no range: the plugin's matter */
    v = tg_value_real(NAN);
    assert_int_equal(tg_filter_unscale(&o, &v), TG_ERANGE);
    o.max = 0.5;
    v = tg_value_text("0.1", 3);
    assert_int_equal(tg_filter_unscale(&o, &v), TG_EINVAL);
    v = tg_value_bool(false);
    assert_int_equal(tg_filter_unscale(&o, &v), TG_OK);
    assert_int_equal(v.type, TG_VALUE_BOOL);
    v = tg_value_bool(true);
    assert_int_equal(tg_filter_unscale(&o, &v), TG_ERANGE);
    o.max = INFINITY;
    o.min = 1;
    v = tg_value_text("0.1", 3);
    assert_int_equal(tg_filter_unscale(&o, &v), TG_EINVAL);
    v = tg_value_int(0);
    assert_int_equal(tg_filter_unscale(&o, &v), TG_ERANGE);
}

static void test_not_a_number(void **state)
{
    struct tg_filter_options o = plain();
    struct tg_filter_state s = {0};
    (void)state;
    o.deadband = 0.1;
    assert_int_equal(offer(&o, &s, 0, NAN), TG_FILTER_SEND); /* once, as quality range */
    assert_int_equal(s.last_quality, TG_QUALITY_RANGE);
    assert_int_equal(offer(&o, &s, 1, NAN), TG_FILTER_ACCOMPANY); /* NaN != NaN must not flood */
    assert_int_equal(offer(&o, &s, 2, INFINITY), TG_FILTER_ACCOMPANY);
}

static void test_texts_and_booleans(void **state)
{
    struct tg_filter_options o = plain();
    struct tg_filter_state s = {0};
    struct tg_point_value p = {.value = tg_value_text("open", 4)};
    (void)state;
    o.deadband = 0;
    assert_int_equal(tg_filter_apply(&o, &s, 0, &p), TG_FILTER_SEND);
    assert_int_equal(tg_filter_apply(&o, &s, 1, &p), TG_FILTER_HOLD);
    p.value = tg_value_text("shut", 4);
    assert_int_equal(tg_filter_apply(&o, &s, 2, &p), TG_FILTER_SEND);
    p.value = tg_value_bool(true);
    assert_int_equal(tg_filter_apply(&o, &s, 3, &p), TG_FILTER_SEND);
    assert_int_equal(tg_filter_apply(&o, &s, 4, &p), TG_FILTER_HOLD);
    p.value = tg_value_bool(false);
    assert_int_equal(tg_filter_apply(&o, &s, 5, &p), TG_FILTER_SEND);
}

static void test_enumeration(void **state)
{
    static const struct tg_filter_word words[] = {{0, "stopped"}, {1, "running"}, {-2, "fault"}};
    struct tg_filter_options o = plain();
    struct tg_filter_state s = {0};
    struct tg_point_value p = {.value = tg_value_uint(1)};
    struct tg_value v = tg_value_text("fault", 5);
    (void)state;
    o.words = words;
    o.word_count = 3;
    assert_int_equal(tg_filter_apply(&o, &s, 0, &p), TG_FILTER_SEND);
    assert_int_equal(p.value.type, TG_VALUE_TEXT);
    assert_string_equal(p.value.as.text, "running");
    p.value = tg_value_bool(false);
    assert_int_equal(tg_filter_apply(&o, &s, 1, &p), TG_FILTER_SEND);
    assert_string_equal(p.value.as.text, "stopped");
    p.value = tg_value_int(7);
    assert_int_equal(tg_filter_apply(&o, &s, 2, &p), TG_FILTER_SEND);
    assert_int_equal(p.quality, TG_QUALITY_RANGE);
    assert_int_equal(p.value.type, TG_VALUE_NONE);
    assert_int_equal(tg_filter_unscale(&o, &v), TG_OK);
    assert_int_equal(v.type, TG_VALUE_INT);
    assert_int_equal(v.as.integer, -2);
    v = tg_value_real(1);
    assert_int_equal(tg_filter_unscale(&o, &v), TG_OK);
    assert_int_equal(v.as.integer, 1);
    v = tg_value_bool(true);
    assert_int_equal(tg_filter_unscale(&o, &v), TG_OK);
    assert_true(v.type == TG_VALUE_INT && v.as.integer == 1);
    v = tg_value_text("run", 3);
    assert_int_equal(tg_filter_unscale(&o, &v), TG_ENOTFOUND);
    v = tg_value_int(5);
    assert_int_equal(tg_filter_unscale(&o, &v), TG_ENOTFOUND);
}

static void test_parse_word(void **state)
{
    static const char *const bad[] = {"",     "=",     "1",     "1=",     "=on",
                                      "x=on", " 1=on", "+1=on", "1.5=on", "99999999999999999999=on"};
    struct tg_filter_word w;
    (void)state;
    assert_int_equal(tg_filter_parse_word("-12=a=b", &w), 0);
    assert_int_equal(w.number, -12);
    assert_string_equal(w.text, "a=b");
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++)
        assert_int_equal(tg_filter_parse_word(bad[i], &w), TG_EINVAL);
}

static void test_parse_deadband(void **state)
{
    double d;
    bool percent;
    (void)state;
    assert_int_equal(tg_filter_parse_deadband("0.5", &d, &percent), 0);
    assert_true(d == 0.5 && !percent);
    assert_int_equal(tg_filter_parse_deadband("2%", &d, &percent), 0);
    assert_true(d == 2 && percent);
    assert_int_equal(tg_filter_parse_deadband(NULL, &d, &percent), 0);
    assert_true(d < 0);
    assert_int_equal(tg_filter_parse_deadband("-1", &d, &percent), TG_EINVAL);
    assert_int_equal(tg_filter_parse_deadband("nan", &d, &percent), TG_EINVAL);
    assert_int_equal(tg_filter_parse_deadband("1 %", &d, &percent), TG_EINVAL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_without_options_everything_goes),
                                       cmocka_unit_test(test_deadband),
                                       cmocka_unit_test(test_intervals),
                                       cmocka_unit_test(test_quality),
                                       cmocka_unit_test(test_quality_does_not_wait),
                                       cmocka_unit_test(test_scale_and_range),
                                       cmocka_unit_test(test_what_is_written_keeps_the_range),
                                       cmocka_unit_test(test_not_a_number),
                                       cmocka_unit_test(test_texts_and_booleans),
                                       cmocka_unit_test(test_enumeration),
                                       cmocka_unit_test(test_parse_word),
                                       cmocka_unit_test(test_parse_deadband)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
