/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * Gap records as Sparkplug metrics: announced before they are sent, under names of their own, also by a device that has as many metrics
 * as it may.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdio.h>
#include <string.h>

#include "core/base/allocator.h"
#include "northbound/sparkplug_metrics.h"
#include "support/gap_help.h"

#define T0 INT64_C(1795266000000)

static uint64_t next_alias;
static struct tg_sparkplug_metrics metrics;
static int64_t live_before;

static int set_up(void **state)
{
    (void)state;
    live_before = tg_alloc_stats().live;
    next_alias = 1;
    metrics = (struct tg_sparkplug_metrics){0};
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    tg_sparkplug_metrics_fini(&metrics);
    assert_int_equal(tg_alloc_stats().live, live_before);
    return 0;
}

static struct tg_bytes sample_of(unsigned first, unsigned count)
{
    static uint8_t memory[TG_SAMPLE_MAX_BYTES];
    struct tg_writer w = tg_writer_init(memory, sizeof memory);
    tg_sample_begin(&w, T0, count);
    for (unsigned i = 0; i < count; i++) {
        char name[16];
        struct tg_named_value v = {.value = tg_value_int(7)};
        v.name = tg_bytes(name, (size_t)snprintf(name, sizeof name, "p%u", first + i));
        tg_sample_value(&w, &v);
    }
    assert_false(w.failed);
    return tg_bytes(memory, w.len);
}

static struct tg_bytes gap_of(uint64_t first, uint64_t last, int64_t time_ms)
{
    static uint8_t memory[TG_SAMPLE_MAX_BYTES];
    struct tg_writer w = tg_writer_init(memory, sizeof memory);
    struct tg_gap gap = {first, last, last - first + 1, TG_GAP_LIMIT | TG_GAP_QUOTA};
    gap_write(&w, time_ms, &gap, "plant");
    assert_false(w.failed);
    return tg_bytes(memory, w.len);
}

static uint64_t number(const char *name)
{
    const struct tg_sparkplug_point *p = tg_sparkplug_metrics_by_name(&metrics, name);
    assert_non_null(p);
    assert_int_equal(p->quality, TG_QUALITY_GOOD);
    assert_int_equal(p->last.type, TG_VALUE_UINT);
    return p->last.as.uinteger;
}

static const char *text(const char *name)
{
    const struct tg_sparkplug_point *p = tg_sparkplug_metrics_by_name(&metrics, name);
    assert_non_null(p);
    return p->text;
}

static void test_a_gap_is_announced_once(void **state)
{
    uint8_t memory[1024];
    struct tg_writer w = tg_writer_init(memory, sizeof memory);
    (void)state;
    assert_int_equal(tg_sparkplug_metrics_learn(&metrics, sample_of(0, 2), TG_SPARKPLUG_FIRST, &next_alias),
                     TG_OK);
    metrics.changed = false;
    assert_int_equal(tg_sparkplug_metrics_learn(&metrics, gap_of(5, 9, T0), TG_SPARKPLUG_FIRST, &next_alias),
                     TG_OK);
    assert_true(metrics.changed); /* a birth has to go before it */
    assert_int_equal(metrics.count, 7);
    assert_int_equal(number("Gap/first_seq"), 5);
    assert_int_equal(number("Gap/last_seq"), 9);
    assert_int_equal(number("Gap/count"), 5);
    assert_string_equal(text("Gap/reasons"), "limit,quota");
    assert_string_equal(text("Gap/cloud"), "plant");
    metrics.changed = false;
    assert_int_equal(tg_sparkplug_metrics_data(&metrics, gap_of(5, 9, T0), false, &w), TG_OK);
    assert_true(w.len > 0);
    /* The next one is data like any other, of the same types whatever the numbers are. */
    assert_int_equal(tg_sparkplug_metrics_learn(&metrics, gap_of(10, UINT64_C(1) << 63, T0 + 1),
                                                TG_SPARKPLUG_NEXT, &next_alias),
                     TG_OK);
    assert_false(metrics.changed);
    assert_int_equal(number("Gap/first_seq"), 10);
}

static void test_a_full_device_tells_its_gaps(void **state)
{
    (void)state;
    for (unsigned first = 0; first < TG_SPARKPLUG_MAX_METRICS; first += 64)
        assert_int_equal(
            tg_sparkplug_metrics_learn(&metrics, sample_of(first, 64), TG_SPARKPLUG_FIRST, &next_alias),
            TG_OK);
    assert_int_equal(metrics.count, TG_SPARKPLUG_MAX_METRICS);
    assert_int_equal(tg_sparkplug_metrics_learn(&metrics, gap_of(1, 2, T0), TG_SPARKPLUG_FIRST, &next_alias),
                     TG_OK);
    assert_int_equal(metrics.count, TG_SPARKPLUG_MAX_METRICS + 5);
    assert_int_equal(tg_sparkplug_metrics_learn(&metrics, sample_of(TG_SPARKPLUG_MAX_METRICS, 1),
                                                TG_SPARKPLUG_FIRST, &next_alias),
                     TG_ERANGE);
}

/* The gap came first: it takes no place of a point. */
static void test_a_gap_takes_no_place(void **state)
{
    (void)state;
    assert_int_equal(tg_sparkplug_metrics_learn(&metrics, gap_of(1, 2, T0), TG_SPARKPLUG_FIRST, &next_alias),
                     TG_OK);
    for (unsigned first = 0; first < TG_SPARKPLUG_MAX_METRICS; first += 64)
        assert_int_equal(
            tg_sparkplug_metrics_learn(&metrics, sample_of(first, 64), TG_SPARKPLUG_FIRST, &next_alias),
            TG_OK);
    assert_int_equal(tg_sparkplug_metrics_learn(&metrics, sample_of(TG_SPARKPLUG_MAX_METRICS, 1),
                                                TG_SPARKPLUG_FIRST, &next_alias),
                     TG_ERANGE);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_a_gap_is_announced_once, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_a_full_device_tells_its_gaps, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_a_gap_takes_no_place, set_up, tear_down),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
