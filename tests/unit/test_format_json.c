/* SPDX-License-Identifier: GPL-2.0-or-later */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <float.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>

#include "northbound/format_json.h"

static const char *real_text(double v)
{
    static char out[64];
    struct tg_writer w = tg_writer_init(out, sizeof out);
    tg_format_json_real(&w, v);
    assert_int_equal(tg_writer_cstr(&w), 0);
    return out;
}

static void test_reals_are_short(void **state)
{
    static const struct {
        double v;
        const char *text;
    } cases[] = {{0, "0"},
                 {-0.0, "0"},
                 {230.1, "230.1"},
                 {-950.5, "-950.5"},
                 {0.5, "0.5"},
                 {1e6, "1000000"},
                 {0.001, "0.001"},
                 {49.98, "49.98"},
                 {12345.678, "12345.678"},
                 {1e300, "1e+300"},
                 {NAN, "null"},
                 {INFINITY, "null"},
                 {-INFINITY, "null"},
                 {1.0 / 3.0, "0.3333333333333333"},
                 {9007199254740993.0, "9007199254740992"},
                 {-0.05, "-0.05"}};
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++)
        assert_string_equal(real_text(cases[i].v), cases[i].text);
}

static void test_reals_read_back(void **state)
{
    uint64_t x = 88172645463325252u;
    (void)state;
    for (int i = 0; i < 200000; i++) {
        double v;
        x ^= x << 13, x ^= x >> 7, x ^= x << 17;
        if (i % 2) {
            memcpy(&v, &x, sizeof v);
            if (!isfinite(v))
                continue;
        } else {
            v = (double)((int64_t)(x % 2000000001) - 1000000000) / 1000.0;
        }
        assert_true(strtod(real_text(v), NULL) == v);
    }
}

static struct tg_bytes make_body(uint8_t *memory, size_t size)
{
    struct tg_writer w = tg_writer_init(memory, size);
    struct tg_named_value values[] = {
        {tg_bytes_str("voltage"), TG_QUALITY_GOOD, tg_value_real(230.1)},
        {tg_bytes_str("relay"), TG_QUALITY_GOOD, tg_value_bool(true)},
        {tg_bytes_str("current"), TG_QUALITY_TIMEOUT, {.type = TG_VALUE_NONE}},
        {tg_bytes_str("count"), TG_QUALITY_GOOD, tg_value_uint(UINT64_MAX)},
        {tg_bytes_str("low"), TG_QUALITY_GOOD, tg_value_int(INT64_MIN)},
        {tg_bytes_str("te\"xt"), TG_QUALITY_GOOD, tg_value_text("a\n\xff\xc3\xa4\\", 6)},
    };
    tg_sample_begin(&w, 1795179600123, 6);
    for (size_t i = 0; i < 6; i++)
        tg_sample_value(&w, &values[i]);
    assert_false(w.failed);
    return tg_bytes(w.data, w.len);
}

static const char wanted[] = "{\"ts\":\"2026-11-20T13:00:00.123Z\",\"seq\":4711,\"values\":{\"voltage\":230."
                             "1,\"relay\":true,\"count\":18446744073709551615,"
                             "\"low\":-9223372036854775808,\"te\\\"xt\":\"a\\u000a\xEF\xBF\xBD\xc3\xa4\\\\\"}"
                             ",\"quality\":{\"current\":\"timeout\"}}";

static void test_sample(void **state)
{
    uint8_t memory[512];
    char out[1024];
    struct tg_writer w = tg_writer_init(out, sizeof out);
    (void)state;
    assert_int_equal(tg_format_json_sample(&w, 4711, make_body(memory, sizeof memory), NULL), 0);
    assert_int_equal(tg_writer_cstr(&w), 0);
    assert_string_equal(out, wanted);
}

static void test_sample_is_bounded(void **state)
{
    uint8_t memory[512];
    struct tg_bytes body = make_body(memory, sizeof memory);
    char out[sizeof wanted];
    (void)state;
    for (size_t cap = 0; cap < sizeof wanted - 1; cap++) {
        struct tg_writer w = tg_writer_init(out, cap);
        assert_int_equal(tg_format_json_sample(&w, 4711, body, NULL), TG_ETOOBIG);
    }
    for (size_t len = 0; len < body.len; len++) { /* every truncation is said, never misread */
        struct tg_writer w = tg_writer_init(out, sizeof out);
        assert_int_equal(tg_format_json_sample(&w, 4711, tg_bytes(body.data, len), NULL), TG_ECORRUPT);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_reals_are_short),
                                       cmocka_unit_test(test_reals_read_back), cmocka_unit_test(test_sample),
                                       cmocka_unit_test(test_sample_is_bounded)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
