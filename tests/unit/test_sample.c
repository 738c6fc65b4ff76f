/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * The stored form of a sample: every type comes back, every truncation and every foreign byte is refused or
 * read within bounds.
 */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "core/base/sample.h"

static const struct {
    const char *name;
    uint8_t quality;
    struct tg_value value;
} values[] = {
    {"none", TG_QUALITY_TIMEOUT, {.type = TG_VALUE_NONE}},
    {"yes", 0, {.type = TG_VALUE_BOOL, .as.boolean = true}},
    {"no", 0, {.type = TG_VALUE_BOOL, .as.boolean = false}},
    {"low", 0, {.type = TG_VALUE_INT, .as.integer = INT64_MIN}},
    {"minus", 0, {.type = TG_VALUE_INT, .as.integer = -1}},
    {"high", 0, {.type = TG_VALUE_INT, .as.integer = INT64_MAX}},
    {"most", 0, {.type = TG_VALUE_UINT, .as.uinteger = UINT64_MAX}},
    {"zero", 0, {.type = TG_VALUE_UINT, .as.uinteger = 0}},
    {"real", 0, {.type = TG_VALUE_REAL, .as.real = -230.125}},
    {"tiny", 0, {.type = TG_VALUE_REAL, .as.real = 5e-324}},
    {"text", 0, {.type = TG_VALUE_TEXT, .text_len = 6, .as.text = "a\0b\xc3\xa9!"}},
    {"empty", TG_QUALITY_STALE, {.type = TG_VALUE_TEXT, .text_len = 0, .as.text = ""}},
    {"", TG_QUALITY_DOWN, {.type = TG_VALUE_NONE}},
};
#define COUNT (sizeof values / sizeof values[0])

static size_t write_all(uint8_t *memory, size_t cap, int64_t time_ms)
{
    struct tg_writer w = tg_writer_init(memory, cap);
    tg_sample_begin(&w, time_ms, COUNT);
    for (size_t i = 0; i < COUNT; i++)
        tg_sample_value(
            &w, &(struct tg_named_value){tg_bytes_str(values[i].name), values[i].quality, values[i].value});
    return w.failed ? 0 : w.len;
}

/* Reads a body to its end; the number of values, or a negative code. */
static int read_all(struct tg_bytes body)
{
    struct tg_sample_reader r;
    struct tg_named_value v;
    int n = 0, rc = tg_sample_reader_init(&r, body);
    if (rc != TG_OK)
        return rc;
    while ((rc = tg_sample_reader_next(&r, &v)) == 1)
        n++;
    return rc < 0 ? rc : n;
}

static void test_round_trip(void **state)
{
    static const int64_t times[] = {0, 1, -1, 1700000000000, INT64_MIN, INT64_MAX};
    uint8_t memory[1024];
    (void)state;
    for (size_t t = 0; t < sizeof times / sizeof times[0]; t++) {
        struct tg_sample_reader r;
        struct tg_named_value v;
        size_t len = write_all(memory, sizeof memory, times[t]);
        assert_true(len > 0);
        assert_int_equal(tg_sample_reader_init(&r, tg_bytes(memory, len)), TG_OK);
        assert_int_equal(r.time_ms, times[t]);
        assert_int_equal(r.count, COUNT);
        for (size_t i = 0; i < COUNT; i++) {
            assert_int_equal(tg_sample_reader_next(&r, &v), 1);
            assert_true(tg_bytes_eq_str(v.name, values[i].name));
            assert_int_equal(v.quality, values[i].quality);
            assert_int_equal(v.value.type, values[i].value.type);
            if (v.value.type == TG_VALUE_TEXT) {
                assert_int_equal(v.value.text_len, values[i].value.text_len);
                assert_memory_equal(v.value.as.text, values[i].value.as.text, v.value.text_len);
            } else if (v.value.type == TG_VALUE_BOOL) {
                assert_int_equal(v.value.as.boolean, values[i].value.as.boolean);
            } else if (v.value.type != TG_VALUE_NONE) {
                assert_int_equal(v.value.as.uinteger, values[i].value.as.uinteger); /* bit for bit */
            }
        }
        assert_int_equal(tg_sample_reader_next(&r, &v), 0);
    }
}

/* Cut anywhere it is refused; with a byte too many as well. */
static void test_truncation_at_every_byte(void **state)
{
    uint8_t memory[1024] = {0};
    size_t len = write_all(memory, sizeof memory, 1700000000000);
    (void)state;
    assert_int_equal(read_all(tg_bytes(memory, len)), COUNT);
    for (size_t n = 0; n < len; n++) {
        uint8_t *exact = malloc(n ? n : 1); /* so that a sanitizer sees the first byte past it */
        assert_non_null(exact);
        memcpy(exact, memory, n);
        assert_int_equal(read_all(tg_bytes(exact, n)), TG_ECORRUPT);
        free(exact);
    }
    assert_int_equal(read_all(tg_bytes(memory, len + 1)), TG_ECORRUPT);
}

/* The writer fails at every size that is too small, and never writes past it. */
static void test_writer_bounds(void **state)
{
    uint8_t memory[1024];
    size_t len = write_all(memory, sizeof memory, -1);
    (void)state;
    for (size_t cap = 0; cap < len; cap++) {
        memset(memory, 0xee, sizeof memory);
        assert_int_equal(write_all(memory, cap, -1), 0);
        assert_int_equal(memory[cap], 0xee);
    }
    assert_int_equal(write_all(memory, len, -1), len);
}

/* Heads and values that no writer makes. */
static void test_refused(void **state)
{
    static const struct {
        const char *bytes;
        size_t len;
    } cases[] = {
        {"", 0},
        {"\x02\x00\x01", 3},                                          /* version */
        {"\x00\x00\x01", 3},                                          /* version */
        {"\x01\x00\x00", 3},                                          /* no value */
        {"\x01\x00\x81\x04", 4},                                      /* 513 values */
        {"\x01\x00\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01", 12},     /* 2^64 - 1 values */
        {"\x01\x80\x80\x80\x80\x80\x80\x80\x80\x80\x80\x00\x01", 13}, /* varint of 11 bytes */
        {"\x01\x00\x01\x01x\x00\x09", 7},                             /* type 9 */
        {"\x01\x00\x01\x81\x01", 5},                                  /* name of 129 bytes */
        {"\x01\x00\x01\x01x\x00\x05\x81\x80\x10", 10},                /* text longer than allowed */
    };
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++)
        assert_int_equal(read_all(tg_bytes(cases[i].bytes, cases[i].len)), TG_ECORRUPT);
}

/* Every single-byte change is read within bounds: an error, or values. */
static void test_flipped_bytes(void **state)
{
    uint8_t memory[1024];
    size_t len = write_all(memory, sizeof memory, 1700000000000);
    (void)state;
    for (size_t at = 0; at < len; at++) {
        for (int v = 0; v < 256; v++) {
            uint8_t saved = memory[at];
            memory[at] = (uint8_t)v;
            int n = read_all(tg_bytes(memory, len));
            assert_true(n == TG_ECORRUPT || (n >= 1 && n <= TG_SAMPLE_MAX_VALUES));
            memory[at] = saved;
        }
    }
}

static void test_quality_names(void **state)
{
    (void)state;
    assert_string_equal(tg_quality_name(TG_QUALITY_GOOD), "good");
    assert_string_equal(tg_quality_name(TG_QUALITY_TIMEOUT), "timeout");
    assert_string_equal(tg_quality_name(TG_QUALITY_DOWN), "down");
    assert_string_equal(tg_quality_name(9), "unknown");
    assert_string_equal(tg_quality_name(UINT32_MAX), "unknown");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_round_trip),    cmocka_unit_test(test_truncation_at_every_byte),
        cmocka_unit_test(test_writer_bounds), cmocka_unit_test(test_refused),
        cmocka_unit_test(test_flipped_bytes), cmocka_unit_test(test_quality_names),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
