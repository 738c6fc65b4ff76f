/* SPDX-License-Identifier: GPL-2.0-or-later */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <cmocka.h>

#include "core/base/clock.h"

#define DAY_MS INT64_C(86400000)

static void expect_as_gmtime(int64_t ms)
{
    char ours[TG_CLOCK_ISO8601_BYTES], theirs[64], with_ms[80];
    int64_t rest = ((ms % 1000) + 1000) % 1000;
    time_t s = (time_t)((ms - rest) / 1000);
    struct tm tm;
    assert_non_null(gmtime_r(&s, &tm));
    assert_int_equal(timegm(&tm), s);
    /* %Y has no leading zeros before the year 1000 */
    assert_true(strftime(theirs, sizeof theirs, "-%m-%dT%H:%M:%S", &tm) > 0);
    snprintf(with_ms, sizeof with_ms, "%04d%s.%03dZ", tm.tm_year + 1900, theirs, (int)rest);
    tg_clock_iso8601(ms, ours);
    assert_string_equal(ours, with_ms);
}

static void every_day_of_four_centuries(void **state)
{
    (void)state;
    for (int64_t day = -25567; day < 146097; day++) /* 1900-01-01 … 2370-01-01: every kind of leap year */
        expect_as_gmtime(day * DAY_MS + (day * 7919 * 1009 % DAY_MS + DAY_MS) % DAY_MS);
}

static void every_edge_of_a_second(void **state)
{
    static const int64_t seconds[] = {0,
                                      1,
                                      -1,
                                      59,
                                      60,
                                      86399,
                                      86400,
                                      -86400,
                                      951782399,
                                      951782400, /* 2000-02-29 */
                                      4107542399,
                                      4107542400 /* 2100-03-01 */,
                                      -62135596800,
                                      253402300799};
    (void)state;
    for (size_t i = 0; i < sizeof seconds / sizeof seconds[0]; i++) {
        static const int64_t parts[] = {0, 1, 999};
        for (size_t p = 0; p < 3; p++)
            expect_as_gmtime(seconds[i] * 1000 + parts[p]);
    }
}

static void spread_over_ten_thousand_years(void **state)
{
    (void)state;
    for (int64_t ms = -62135596800000; ms <= 253402300799999; ms += INT64_C(2617) * DAY_MS + 12345678)
        expect_as_gmtime(ms);
}

static void outside_the_years_the_nearest_is_taken(void **state)
{
    char text[TG_CLOCK_ISO8601_BYTES];
    (void)state;
    tg_clock_iso8601(INT64_MIN, text);
    assert_string_equal(text, "0001-01-01T00:00:00.000Z");
    tg_clock_iso8601(INT64_MAX, text);
    assert_string_equal(text, "9999-12-31T23:59:59.999Z");
    tg_clock_iso8601(INT64_C(1795179600123), text);
    assert_string_equal(text, "2026-11-20T13:00:00.123Z");
}

static void clocks_agree_with_the_system(void **state)
{
    int64_t before = tg_clock_mono_us(), ms = tg_clock_mono_ms(), after = tg_clock_mono_us();
    int64_t low = (int64_t)time(NULL) * 1000, wall = tg_clock_wall_ms(),
            high = ((int64_t)time(NULL) + 1) * 1000;
    (void)state;
    assert_true(before / 1000 <= ms && ms <= after / 1000);
    assert_true(low - 1000 <= wall && wall <= high + 1000);
}

static void a_clock_before_the_program_is_not_believed(void **state)
{
    (void)state;
    assert_false(tg_clock_plausible(0)); /* no battery: 1970 */
    assert_false(tg_clock_plausible(INT64_C(1767225599999)));
    assert_true(tg_clock_plausible(INT64_C(1767225600000))); /* 2026-01-01 */
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_day_of_four_centuries),
        cmocka_unit_test(every_edge_of_a_second),
        cmocka_unit_test(spread_over_ten_thousand_years),
        cmocka_unit_test(outside_the_years_the_nearest_is_taken),
        cmocka_unit_test(clocks_agree_with_the_system),
        cmocka_unit_test(a_clock_before_the_program_is_not_believed),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
