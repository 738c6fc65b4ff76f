/* SPDX-License-Identifier: GPL-2.0-or-later */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <cmocka.h>

#include "core/base/allocator.h"
#include "northbound/sparkplug_payload.h"

static char text[TG_TEXT_MAX_BYTES + 1];

static bool set(uint32_t datatype, struct tg_value v, struct tg_sparkplug_metric *ret)
{
    *ret = (struct tg_sparkplug_metric){.datatype = datatype};
    return tg_sparkplug_set(ret, &v, text);
}

static void test_what_a_datatype_holds(void **state)
{
    static const int64_t exact = INT64_C(1) << 53;
    struct tg_sparkplug_metric m;
    (void)state;
    assert_true(set(TG_SPARKPLUG_INT64, tg_value_int(INT64_MIN), &m) && m.as.u64 == UINT64_C(1) << 63);
    assert_true(set(TG_SPARKPLUG_INT64, tg_value_uint(INT64_MAX), &m));
    assert_false(set(TG_SPARKPLUG_INT64, tg_value_uint((uint64_t)INT64_MAX + 1), &m));
    assert_false(set(TG_SPARKPLUG_INT64, tg_value_real(1), &m));
    assert_false(set(TG_SPARKPLUG_INT64, tg_value_bool(true), &m));
    assert_true(set(TG_SPARKPLUG_UINT64, tg_value_uint(UINT64_MAX), &m) && m.as.u64 == UINT64_MAX);
    assert_true(set(TG_SPARKPLUG_UINT64, tg_value_int(7), &m));
    assert_false(set(TG_SPARKPLUG_UINT64, tg_value_int(-1), &m));
    assert_true(set(TG_SPARKPLUG_DOUBLE, tg_value_int(-exact), &m));
    assert_true(m.field == TG_SPARKPLUG_FIELD_DOUBLE && m.as.f64 <= -(double)exact &&
                m.as.f64 >= -(double)exact);
    assert_false(set(TG_SPARKPLUG_DOUBLE, tg_value_int(exact + 1), &m));
    assert_false(set(TG_SPARKPLUG_DOUBLE, tg_value_int(INT64_MIN), &m));
    assert_false(set(TG_SPARKPLUG_DOUBLE, tg_value_uint(UINT64_MAX), &m));
    assert_false(set(TG_SPARKPLUG_STRING, tg_value_int(1), &m));
    assert_false(set(TG_SPARKPLUG_BOOLEAN, tg_value_int(1), &m));
    assert_false(set(TG_SPARKPLUG_UNKNOWN, (struct tg_value){0}, &m));
    assert_true(set(TG_SPARKPLUG_STRING, tg_value_text("a\0b", 3), &m));
    assert_string_equal(m.as.text, "a?b");
    assert_true(set(TG_SPARKPLUG_STRING, tg_value_text("\xc3\xa4\xff", 3), &m));
    assert_string_equal(m.as.text, "???"); /* protobuf's strings are UTF-8 */
    assert_true(set(TG_SPARKPLUG_STRING, tg_value_text("\xc3\xa4", 2), &m));
    assert_string_equal(m.as.text, "\xc3\xa4");
}

static struct tg_value get_int(uint32_t datatype, enum tg_sparkplug_field field, uint64_t bits,
                               bool *ret_good)
{
    struct tg_sparkplug_metric m = {.datatype = datatype, .field = field};
    struct tg_value v = {0};
    if (field == TG_SPARKPLUG_FIELD_INT)
        m.as.u32 = (uint32_t)bits;
    else
        m.as.u64 = bits;
    *ret_good = tg_sparkplug_get(&m, TG_SPARKPLUG_UNKNOWN, &v);
    return v;
}

static void test_integers_of_others(void **state)
{
    bool good;
    (void)state;
    assert_int_equal(get_int(TG_SPARKPLUG_INT8, TG_SPARKPLUG_FIELD_INT, 0xFFFFFFFF, &good).as.integer, -1);
    assert_int_equal(get_int(TG_SPARKPLUG_INT8, TG_SPARKPLUG_FIELD_INT, 0xFF, &good).as.integer, -1);
    assert_int_equal(get_int(TG_SPARKPLUG_INT16, TG_SPARKPLUG_FIELD_INT, 0x8000, &good).as.integer, -32768);
    assert_int_equal(get_int(TG_SPARKPLUG_INT32, TG_SPARKPLUG_FIELD_INT, 0xFFFFFFFB, &good).as.integer, -5);
    assert_int_equal(get_int(TG_SPARKPLUG_INT32, TG_SPARKPLUG_FIELD_LONG, UINT64_MAX, &good).as.integer, -1);
    assert_int_equal(get_int(TG_SPARKPLUG_INT64, TG_SPARKPLUG_FIELD_LONG, UINT64_MAX, &good).as.integer, -1);
    assert_int_equal(get_int(TG_SPARKPLUG_UINT8, TG_SPARKPLUG_FIELD_INT, 0x1FF, &good).as.uinteger, 0xFF);
    assert_int_equal(get_int(TG_SPARKPLUG_UINT32, TG_SPARKPLUG_FIELD_LONG, 0xFFFFFFFF, &good).as.uinteger,
                     0xFFFFFFFF);
    assert_int_equal(get_int(TG_SPARKPLUG_UNKNOWN, TG_SPARKPLUG_FIELD_INT, 5, &good).as.uinteger, 5);
    assert_true(good);
    (void)get_int(TG_SPARKPLUG_BOOLEAN, TG_SPARKPLUG_FIELD_INT, 1, &good);
    assert_false(good);
    (void)get_int(TG_SPARKPLUG_INT8, TG_SPARKPLUG_NO_VALUE, 1, &good);
    assert_false(good);
}

static void test_numbers_that_are_none(void **state)
{
    struct tg_sparkplug_metric m = {.datatype = TG_SPARKPLUG_DOUBLE, .field = TG_SPARKPLUG_FIELD_DOUBLE};
    struct tg_value v;
    (void)state;
    m.as.f64 = (double)NAN;
    assert_false(tg_sparkplug_get(&m, 0, &v));
    m.as.f64 = 1;
    assert_true(tg_sparkplug_get(&m, 0, &v));
    m.null = true;
    assert_false(tg_sparkplug_get(&m, 0, &v));
    m = (struct tg_sparkplug_metric){.field = TG_SPARKPLUG_FIELD_FLOAT, .as.f32 = INFINITY};
    assert_false(tg_sparkplug_get(&m, 0, &v));
}

/* Writes a metric with everything; every shorter writer fails and stays within its bounds. */
static void test_every_size(void **state)
{
    const struct tg_sparkplug_metric m = {.name = "point",
                                          .has_alias = true,
                                          .alias = 300,
                                          .has_time = true,
                                          .time_ms = 1700000000000,
                                          .historical = true,
                                          .null = true,
                                          .has_quality = true,
                                          .quality = TG_SPARKPLUG_QUALITY_STALE,
                                          .unit = "m\xc2\xb3/h",
                                          .datatype = TG_SPARKPLUG_DOUBLE};
    uint8_t memory[256];
    struct tg_writer w = tg_writer_init(memory, sizeof memory);
    size_t size;
    (void)state;
    tg_sparkplug_begin(&w, 1);
    tg_sparkplug_put(&w, &m);
    tg_sparkplug_end(&w, 255);
    assert_false(w.failed);
    size = w.len;
    for (size_t cap = 0; cap < size; cap++) {
        uint8_t *tight = malloc(cap ? cap : 1);
        assert_non_null(tight);
        w = tg_writer_init(tight, cap);
        tg_sparkplug_begin(&w, 1);
        tg_sparkplug_put(&w, &m);
        tg_sparkplug_end(&w, 255);
        assert_true(w.failed && w.len <= cap);
        free(tight);
    }
}

/* What a field number and wire type before a varint are. */
static int read(const void *bytes, size_t len)
{
    struct tg_sparkplug_reader r = {0};
    struct tg_error err = {0};
    int rc = tg_sparkplug_read(tg_bytes(bytes, len), &r, &err);
    if (rc == TG_OK)
        tg_sparkplug_read_end(&r);
    else
        assert_true(err.text[0] != '\0');
    return rc;
}

static void test_hostile_payloads(void **state)
{
    struct tg_alloc_stats before = tg_alloc_stats();
    size_t size = 128 * 1024;
    uint8_t *many = malloc(size);
    (void)state;
    assert_non_null(many);
    assert_int_equal(read("", 0), TG_OK);
    assert_int_equal(read("\x12\x05\x0a\x03"
                          "a\xff"
                          "b",
                          7),
                     TG_EPROTO);                                   /* a name that is not UTF-8 */
    assert_int_equal(read("\x12\x04\x7a\x02\xc3(", 6), TG_EPROTO); /* a text */
    assert_int_equal(read("\x12\x7f\x0a", 3), TG_EPROTO);          /* longer than the message */
    assert_int_equal(read("\x08", 1), TG_EPROTO);
    assert_int_equal(read("\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff", 11), TG_EPROTO);
    for (size_t i = 0; i + 1 < size; i += 2) { /* 65,536 empty metrics */
        many[i] = 0x12;
        many[i + 1] = 0;
    }
    assert_int_equal(read(many, size), TG_EPROTO);
    assert_int_equal(read(many, 200), TG_OK);
    for (size_t i = 0; i < size;
         i++) /* groups within groups: a wire type of old, and a recursion for who follows it */
        many[i] = 0x0b;
    assert_int_equal(read(many, size), TG_EPROTO);
    /* A template (19) in a metric, and so on downwards, is not looked into. */
    assert_int_equal(read("\x12\x0a\xa2\x01\x07\x12\x05\xa2\x01\x02\x12\x00", 12), TG_OK);
    free(many);
    for (uint64_t n = 1;; n++) {
        int rc;
        tg_alloc_fail_at(n, 1);
        rc = read("\x08\x01\x12\x05\x0a\x03"
                  "abc\x18\x02",
                  11);
        tg_alloc_fail_at(0, 0);
        if (rc == TG_OK)
            break;
        assert_true(n < 100);
    }
    assert_int_equal(tg_alloc_stats().live, before.live);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_what_a_datatype_holds), cmocka_unit_test(test_integers_of_others),
        cmocka_unit_test(test_numbers_that_are_none), cmocka_unit_test(test_every_size),
        cmocka_unit_test(test_hostile_payloads)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
