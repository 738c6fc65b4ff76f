/* SPDX-License-Identifier: GPL-2.0-or-later */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "northbound/wire_meter.h"

#define MINUTE_MS INT64_C(60000)
#define HOUR_MS   (60 * MINUTE_MS)
#define DAY_MS    TG_WIRE_DAY_MS
/* 2026-12-31 12:00, 2028-02-28 00:00 */
#define NEW_YEARS_EVE_MS INT64_C(1798718400000)
#define LEAP_MS          INT64_C(1835308800000)

static void carry(struct tg_wire_meter *m, uint64_t bytes, uint64_t segments)
{
    m->total.bytes_out += bytes;
    m->total.segments += segments;
    m->total.samples += 10;
    m->total.messages++;
}

static void the_last_hour_forgets_what_was_before(void **state)
{
    struct tg_wire_meter m;
    int64_t now = 5000;
    (void)state;
    tg_wire_meter_init(&m, now);
    carry(&m, 1000000, 0);
    for (int i = 0; i < 24 * 60; i++, now += MINUTE_MS) {
        carry(&m, 60, 1);
        tg_wire_meter_tick(&m, now, 0);
    }
    struct tg_wire_span hour = tg_wire_meter_hour(&m, now), whole = tg_wire_meter_whole(&m, now);
    assert_in_range(hour.ms, HOUR_MS, HOUR_MS + 6 * MINUTE_MS);
    assert_in_range(hour.bytes, 60 * 60, 60 * 66);
    assert_int_equal(hour.ip_bytes, hour.bytes + hour.messages * TG_WIRE_HEADER_BYTES);
    assert_int_equal(hour.samples, hour.messages * 10);
    assert_int_equal(whole.bytes, 1000000 + 24 * 60 * 60);
    assert_int_equal(whole.ms, 24 * HOUR_MS);
    assert_in_range(tg_wire_project(hour.bytes, hour.ms, TG_WIRE_MONTH_MS), 2540000, 2700000);
}

static void a_young_meter_takes_all_it_has(void **state)
{
    struct tg_wire_meter m;
    (void)state;
    tg_wire_meter_init(&m, 0);
    carry(&m, 500, 2);
    tg_wire_meter_tick(&m, MINUTE_MS, 0);
    assert_int_equal(tg_wire_meter_hour(&m, MINUTE_MS).bytes, 500);
    assert_int_equal(tg_wire_meter_hour(&m, 0).ms, 1); /* never a division by nothing */
    assert_int_equal(tg_wire_project(500, 0, 1000), 500000);
}

static void days_and_months_begin_at_midnight(void **state)
{
    struct tg_wire_meter m;
    (void)state;
    tg_wire_meter_init(&m, 0);
    carry(&m, 100, 0);
    tg_wire_meter_tick(&m, 0, 0); /* no time yet: kept for the first day there is */
    assert_int_equal(m.calendar.day_bytes, 0);
    carry(&m, 11, 1);
    tg_wire_meter_tick(&m, 1, NEW_YEARS_EVE_MS);
    assert_int_equal(m.calendar.day_bytes, 111 + TG_WIRE_HEADER_BYTES);
    assert_int_equal(m.calendar.month_bytes, 111 + TG_WIRE_HEADER_BYTES);
    carry(&m, 7, 0);
    tg_wire_meter_tick(&m, 2, NEW_YEARS_EVE_MS + DAY_MS);
    assert_int_equal(m.calendar.day_bytes, 7);
    assert_int_equal(m.calendar.month_bytes, 7);
    carry(&m, 5, 0);
    tg_wire_meter_tick(&m, 3, NEW_YEARS_EVE_MS + 2 * DAY_MS);
    assert_int_equal(m.calendar.day_bytes, 5);
    assert_int_equal(m.calendar.month_bytes, 12);
}

static void a_month_knows_its_length(void **state)
{
    (void)state;
    assert_int_equal(tg_wire_month_left_ms(NEW_YEARS_EVE_MS), 12 * HOUR_MS);
    assert_int_equal(tg_wire_month_left_ms(NEW_YEARS_EVE_MS + 12 * HOUR_MS), 31 * DAY_MS);
    assert_int_equal(tg_wire_month_left_ms(LEAP_MS), 2 * DAY_MS);
    assert_int_equal(tg_wire_month_left_ms(LEAP_MS + DAY_MS), DAY_MS);
    assert_int_equal(tg_wire_month_left_ms(LEAP_MS + 2 * DAY_MS), 31 * DAY_MS);
    assert_int_equal(tg_wire_month_left_ms(LEAP_MS + 2 * DAY_MS - 1), 1);
}

static void the_month_survives_as_a_note(void **state)
{
    const char *bad[] = {"",
                         "2 1 1 1",
                         "1 20453 5",
                         "1 -4 5 6",
                         "1 20453 5 6 7",
                         "1 x 5 6",
                         "1 99999999999 5 6",
                         "1 20453 5 6666666666666666666666666666666666666666666666666666"};
    struct tg_wire_calendar c = {20453, 123, UINT64_C(4567890123)}, d = {0};
    char text[TG_WIRE_NOTE_BYTES];
    (void)state;
    tg_wire_calendar_note(&c, text);
    assert_int_equal(tg_wire_calendar_take(&d, tg_bytes_str(text)), TG_OK);
    assert_memory_equal(&c, &d, sizeof c);
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        assert_int_equal(tg_wire_calendar_take(&d, tg_bytes_str(bad[i])), TG_ECORRUPT);
        assert_memory_equal(&c, &d, sizeof c);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_last_hour_forgets_what_was_before),
        cmocka_unit_test(a_young_meter_takes_all_it_has), cmocka_unit_test(days_and_months_begin_at_midnight),
        cmocka_unit_test(a_month_knows_its_length), cmocka_unit_test(the_month_survives_as_a_note)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
