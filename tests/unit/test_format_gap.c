/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * A gap record in every format, to the byte.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/base/allocator.h"
#include "northbound/format_senml.h"
#include "northbound/sparkplug_metrics.h"
#include "northbound/sparkplug_payload.h"
#include "support/gap_help.h"

static struct tg_format_context context(void)
{
    return (struct tg_format_context){.device = "meter-1", .gateway = "site-7"};
}

/* An ordinary sample and a gap record. */
static void two(struct tg_format_sample *samples)
{
    static uint8_t memory[2][256];
    const struct tg_gap gap = {17, 42, 20, TG_GAP_LIMIT | TG_GAP_QUOTA};
    struct tg_writer w = tg_writer_init(memory[0], sizeof memory[0]);
    tg_sample_begin(&w, 1795179600123, 1);
    tg_sample_value(&w,
                    &(struct tg_named_value){tg_bytes_str("voltage"), TG_QUALITY_GOOD, tg_value_real(230.1)});
    samples[0] = (struct tg_format_sample){4711, tg_bytes(w.data, w.len)};
    w = tg_writer_init(memory[1], sizeof memory[1]);
    gap_write(&w, 1795179601123, &gap, "hub");
    samples[1] = (struct tg_format_sample){4712, tg_bytes(w.data, w.len)};
}

static const char *message(const char *format, const struct tg_format_context *c,
                           const struct tg_format_sample *samples, uint32_t count)
{
    static char out[4096];
    struct tg_writer w = tg_writer_init(out, sizeof out);
    assert_int_equal(tg_format_find(format)->write(c, samples, count, sizeof out, &w), count);
    assert_int_equal(tg_writer_cstr(&w), TG_OK);
    return out;
}

#define GAP                                                                                                  \
    "{\"first_seq\":17,\"last_seq\":42,\"count\":20,\"reasons\":[\"limit\",\"quota\"],\"cloud\":\"hub\"}"
#define RECORD "{\"ts\":\"2026-11-20T13:00:01.123Z\",\"seq\":4712,\"gap\":" GAP "}"

static void json_has_gap_in_place_of_values(void **state)
{
    struct tg_format_sample s[2];
    struct tg_format_context c = context();
    (void)state;
    two(s);
    assert_string_equal(message("json", &c, s + 1, 1), RECORD);
    assert_string_equal(
        message("json", &c, s, 2),
        "[{\"ts\":\"2026-11-20T13:00:00.123Z\",\"seq\":4711,\"values\":{\"voltage\":230.1}}," RECORD "]");
    c.point = TG_GAP_POINT; /* a topic for each point */
    assert_string_equal(message("json", &c, s + 1, 1), RECORD);
}

static void senml_has_a_record_for_each_field(void **state)
{
    struct tg_format_sample s[2];
    struct tg_format_context c = context();
    static const char wanted[] =
        "[{\"bn\":\"site-7/meter-1/\",\"bt\":1795179601.123,\"seq\":4712,\"n\":\"gap_first_seq\",\"v\":17},"
        "{\"n\":\"gap_last_seq\",\"v\":42},{\"n\":\"gap_count\",\"v\":20},"
        "{\"n\":\"gap_reasons\",\"vs\":\"limit,quota\"},{\"n\":\"gap_cloud\",\"vs\":\"hub\"}]";
    (void)state;
    two(s);
    assert_string_equal(message("senml", &c, s + 1, 1), wanted);
    c.point = TG_GAP_POINT;
    assert_string_equal(message("senml", &c, s + 1, 1), wanted);
    c.point = NULL;
    assert_non_null(
        strstr(message("senml", &c, s, 2), "{\"seq\":4712,\"n\":\"gap_first_seq\",\"t\":1,\"v\":17}"));
    /* In CBOR: five maps, and the names as they are. */
    const char *cbor = message("senml-cbor", &c, s + 1, 1);
    assert_int_equal((uint8_t)cbor[0], 0x85);
    assert_non_null(memmem(cbor, 200, "gap_first_seq", strlen("gap_first_seq")));
}

static void template_has_a_place_or_not(void **state)
{
    static const struct {
        const char *text, *sample, *gap; /* gap NULL: left out */
    } cases[] = {
        {"{ts_ms};{point:voltage}", "1795179600123;230.1", NULL},
        {"{value}", "230.1", NULL},
        {"{seq};{gap}", "4711;null", "4712;" GAP},
        {"{seq};{values}", "4711;{\"voltage\":230.1}",
         "4712;{\"$gap_first\":17,\"$gap_last\":42,\"$gap_count\":20,\"$gap_reason\":\"limit,quota\",\"$gap_"
         "cloud\":\"hub\"}"},
        {"{point:voltage};{point:$gap_first};{point:$gap_last}", "230.1;null;null", "null;17;42"},
        {"{{gap}}", "{gap}", NULL},
    };
    const struct tg_format *format = tg_format_find("template");
    struct tg_format_sample s[2];
    struct tg_format_context c = context();
    (void)state;
    two(s);
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        c.template_text = cases[i].text;
        assert_int_equal(tg_format_template_check(cases[i].text, NULL), TG_OK);
        assert_int_equal(format->says_gaps(&c), cases[i].gap != NULL);
        assert_string_equal(message("template", &c, s, 1), cases[i].sample);
        if (cases[i].gap)
            assert_string_equal(message("template", &c, s + 1, 1), cases[i].gap);
    }
    for (const char *const *name = (const char *const[]){"json", "senml", "senml-cbor", NULL}; *name; name++)
        assert_null(tg_format_find(*name)->says_gaps);
}

/* A record that is damaged is no message. */
static void damage_is_told(void **state)
{
    static const char *const all[] = {"json", "senml", "senml-cbor", "template"};
    struct tg_format_sample s[2];
    struct tg_format_context c = context();
    (void)state;
    two(s);
    for (size_t i = 0; i < sizeof all / sizeof all[0]; i++)
        for (size_t n = 0; n < s[1].body.len; n++) {
            char out[4096];
            struct tg_writer w = tg_writer_init(out, sizeof out);
            struct tg_format_sample cut = {4712, tg_bytes(s[1].body.data, n)};
            assert_int_equal(tg_format_find(all[i])->write(&c, &cut, 1, sizeof out, &w), TG_ECORRUPT);
        }
}

static void sparkplug_announces_its_metrics(void **state)
{
    static const char *const names[] = {"Gap/first_seq", "Gap/last_seq", "Gap/count", "Gap/reasons",
                                        "Gap/cloud"};
    struct tg_sparkplug_metrics m = {0};
    struct tg_format_sample s[2];
    uint64_t alias = 1;
    uint8_t out[1024];
    struct tg_writer w = tg_writer_init(out, sizeof out);
    int64_t live = tg_alloc_stats().live;
    (void)state;
    two(s);
    assert_int_equal(tg_sparkplug_metrics_learn(&m, s[0].body, TG_SPARKPLUG_FIRST, &alias), TG_OK);
    m.changed = false;
    assert_int_equal(tg_sparkplug_metrics_learn(&m, s[1].body, TG_SPARKPLUG_FIRST, &alias), TG_OK);
    assert_true(m.changed); /* the device is born anew before they are sent */
    assert_int_equal(m.count, 6);
    for (int i = 0; i < 5; i++) {
        const struct tg_sparkplug_point *p = tg_sparkplug_metrics_by_name(&m, names[i]);
        assert_non_null(p);
        assert_int_equal(p->datatype, i < 3 ? TG_SPARKPLUG_UINT64 : TG_SPARKPLUG_STRING);
    }
    m.changed = false;
    assert_int_equal(tg_sparkplug_metrics_learn(&m, s[1].body, TG_SPARKPLUG_NEXT, &alias), TG_OK);
    assert_false(m.changed); /* once is enough */
    assert_int_equal(tg_sparkplug_metrics_data(&m, s[1].body, false, &w), TG_OK);
    tg_sparkplug_metrics_fini(&m);
    assert_int_equal(tg_alloc_stats().live, live);
}

int main(void)
{
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(json_has_gap_in_place_of_values),
        cmocka_unit_test(senml_has_a_record_for_each_field),
        cmocka_unit_test(template_has_a_place_or_not),
        cmocka_unit_test(damage_is_told),
        cmocka_unit_test(sparkplug_announces_its_metrics),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
