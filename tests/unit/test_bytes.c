/* SPDX-License-Identifier: GPL-2.0-or-later */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <math.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include "core/base/allocator.h"
#include "core/base/bytes.h"

#define COUNT(array) (sizeof(array) / sizeof(array)[0])

static void views_compare(void **state)
{
    (void)state;
    assert_true(tg_bytes_eq(tg_bytes(NULL, 0), tg_bytes("x", 0)));
    assert_true(tg_bytes_eq_str(tg_bytes("abc", 2), "ab"));
    assert_false(tg_bytes_eq_str(tg_bytes("abc", 3), "ab"));
    assert_true(tg_bytes_starts(tg_bytes_str("abc"), "ab"));
    assert_false(tg_bytes_starts(tg_bytes_str("a"), "ab"));
    assert_int_equal(tg_bytes_str(NULL).len, 0);
}

static void utf8(void **state)
{
    static const char *const good[] = {"",
                                       "a",
                                       "\xc2\x80",
                                       "\xdf\xbf",
                                       "\xe0\xa0\x80",
                                       "\xed\x9f\xbf",
                                       "\xee\x80\x80",
                                       "\xef\xbf\xbf",
                                       "\xf0\x90\x80\x80",
                                       "\xf4\x8f\xbf\xbf",
                                       "a\xc3\xa9\xe2\x82\xac"
                                       "b"};
    static const char *const bad[] = {"\x80",
                                      "\xbf",
                                      "\xc0\x80",
                                      "\xc1\xbf",
                                      "\xc2",
                                      "\xc2"
                                      "a",
                                      "\xe0\x9f\xbf",
                                      "\xe0\xa0",
                                      "\xed\xa0\x80",
                                      "\xed\xbf\xbf",
                                      "\xf0\x8f\xbf\xbf",
                                      "\xf4\x90\x80\x80",
                                      "\xf5\x80\x80\x80",
                                      "\xf0\x90\x80",
                                      "\xff",
                                      "ok\xfe"};
    (void)state;
    for (size_t i = 0; i < COUNT(good); i++)
        assert_true(tg_utf8_valid(tg_bytes_str(good[i])));
    for (size_t i = 0; i < COUNT(bad); i++)
        assert_false(tg_utf8_valid(tg_bytes_str(bad[i])));
    assert_true(tg_utf8_valid(tg_bytes("a\0b", 3)));
}

/* Every code point, encoded by hand, against the rule of RFC 3629. */
static void utf8_of_every_code_point(void **state)
{
    (void)state;
    for (uint32_t cp = 0; cp <= 0x120000; cp += cp < 0x11000 ? 1 : 61) {
        uint8_t b[4];
        size_t n = cp < 0x80 ? 1 : cp < 0x800 ? 2 : cp < 0x10000 ? 3 : 4;
        bool want = cp <= 0x10FFFF && !(cp >= 0xD800 && cp <= 0xDFFF);
        if (n == 1)
            b[0] = (uint8_t)cp;
        else
            b[0] = (uint8_t)((0xF00u >> n & 0xFFu) | cp >> (6 * (n - 1)));
        for (size_t i = 1; i < n; i++)
            b[i] = (uint8_t)(0x80 | (cp >> (6 * (n - 1 - i)) & 0x3F));
        assert_int_equal(tg_utf8_valid(tg_bytes(b, n)), want);
        for (size_t cut = 1; cut < n; cut++)
            assert_false(tg_utf8_valid(tg_bytes(b, cut)));
    }
}

static void reading_past_the_end_fails_for_good(void **state)
{
    const uint8_t data[] = {1, 2, 3, 4, 5, 6, 7};
    (void)state;
    for (size_t len = 0; len < sizeof data; len++) {
        uint8_t *exact = malloc(len ? len : 1);
        struct tg_reader r;
        memcpy(exact, data, len);
        r = tg_reader_init(exact, len);
        (void)tg_read_u8(&r);
        (void)tg_read_u16be(&r);
        (void)tg_read_u32be(&r);
        assert_true(r.failed);
        assert_int_equal(tg_reader_left(&r), 0);
        assert_int_equal(tg_read_u8(&r), 0);
        assert_int_equal(tg_read_bytes(&r, 0).len, 0);
        free(exact);
    }
    struct tg_reader r = tg_reader_init(data, sizeof data);
    assert_int_equal(tg_read_u8(&r), 1);
    assert_int_equal(tg_read_u16be(&r), 0x0203);
    assert_int_equal(tg_read_u32be(&r), 0x04050607);
    assert_false(r.failed);
    r = tg_reader_init(data, sizeof data);
    assert_int_equal(tg_read_bytes(&r, SIZE_MAX).len, 0);
    assert_true(r.failed);
}

static void varints_come_back(void **state)
{
    (void)state;
    for (unsigned bit = 0; bit < 64; bit++) {
        for (int delta = -1; delta <= 1; delta++) {
            uint64_t v = (UINT64_C(1) << bit) + (uint64_t)(int64_t)delta;
            int64_t sv = (int64_t)v;
            uint8_t data[20];
            struct tg_writer w = tg_writer_init(data, sizeof data);
            struct tg_reader r;
            tg_write_varint(&w, v);
            tg_write_svarint(&w, sv);
            assert_false(w.failed);
            for (size_t cut = 0; cut < w.len; cut++) {
                r = tg_reader_init(data, cut);
                (void)tg_read_varint(&r);
                (void)tg_read_svarint(&r);
                assert_true(r.failed);
            }
            r = tg_reader_init(data, w.len);
            assert_true(tg_read_varint(&r) == v);
            assert_true(tg_read_svarint(&r) == sv);
            assert_false(r.failed);
            assert_int_equal(tg_reader_left(&r), 0);
        }
    }
}

static void long_varints_are_refused(void **state)
{
    uint8_t data[12];
    struct tg_reader r;
    (void)state;
    memset(data, 0xFF, sizeof data);
    r = tg_reader_init(data, sizeof data);
    (void)tg_read_varint(&r);
    assert_true(r.failed);
    data[9] = 1; /* 2^64 − 1 */
    r = tg_reader_init(data, sizeof data);
    assert_true(tg_read_varint(&r) == UINT64_MAX);
    assert_false(r.failed);
    data[9] = 2; /* one bit too many */
    r = tg_reader_init(data, sizeof data);
    (void)tg_read_varint(&r);
    assert_true(r.failed);
}

static void doubles_come_back_bit_by_bit(void **state)
{
    static const double values[] = {0.0, -0.0, 1.5, -2.25e-300, 1e308, INFINITY, -INFINITY};
    uint8_t data[8];
    (void)state;
    for (size_t i = 0; i < COUNT(values); i++) {
        struct tg_writer w = tg_writer_init(data, sizeof data);
        struct tg_reader r;
        double back;
        tg_write_f64(&w, values[i]);
        r = tg_reader_init(data, w.len);
        back = tg_read_f64(&r);
        assert_memory_equal(&back, &values[i], sizeof back);
    }
    struct tg_writer w = tg_writer_init(data, sizeof data);
    tg_write_f64(&w, 1.0); /* little endian, whatever the machine */
    assert_memory_equal(data, "\0\0\0\0\0\0\xf0\x3f", 8);
}

static void writing_past_the_end_fails_for_good(void **state)
{
    (void)state;
    for (size_t cap = 0; cap < 12; cap++) {
        uint8_t *exact = malloc(cap ? cap : 1);
        struct tg_writer w = tg_writer_init(exact, cap);
        tg_write_u16be(&w, 0x0102);
        tg_write_str(&w, "abc");
        tg_write_fmt(&w, "%d", 123456);
        assert_true(w.failed);
        assert_true(w.len <= cap);
        tg_write_u8(&w, 1);
        assert_true(w.failed);
        assert_int_equal(tg_writer_cstr(&w), TG_ETOOBIG);
        free(exact);
    }
    char text[12];
    struct tg_writer w = tg_writer_init(text, sizeof text);
    tg_write_str(&w, "abc");
    tg_write_fmt(&w, "%d", 12345678);
    assert_false(w.failed);
    assert_int_equal(tg_writer_cstr(&w), TG_OK);
    assert_string_equal(text, "abc12345678");
}

static void decimal_digits(void **state)
{
    static const int64_t values[] = {
        0, 1, -1, 9, 10, -10, 99, 100, INT64_MAX, INT64_MIN, 1234567890123456789};
    (void)state;
    for (size_t i = 0; i < COUNT(values); i++) {
        char ours[32], theirs[32];
        struct tg_writer w = tg_writer_init(ours, sizeof ours);
        tg_write_i64_dec(&w, values[i]);
        assert_int_equal(tg_writer_cstr(&w), TG_OK);
        snprintf(theirs, sizeof theirs, "%lld", (long long)values[i]);
        assert_string_equal(ours, theirs);
    }
    char text[32];
    struct tg_writer w = tg_writer_init(text, sizeof text);
    tg_write_u64_dec(&w, UINT64_MAX);
    assert_int_equal(tg_writer_cstr(&w), TG_OK);
    assert_string_equal(text, "18446744073709551615");
}

static void buffers_grow_to_their_limit(void **state)
{
    struct tg_buffer b = tg_buffer_init(1000);
    int64_t live = tg_alloc_stats().live;
    (void)state;
    assert_int_equal(tg_buffer_append(&b, tg_bytes(NULL, 0)), TG_OK);
    for (int i = 0; i < 100; i++)
        assert_int_equal(tg_buffer_append(&b, tg_bytes("0123456789", 10)), TG_OK);
    assert_int_equal(b.len, 1000);
    assert_true(b.cap <= 1000);
    assert_int_equal(tg_buffer_append(&b, tg_bytes("x", 1)), TG_ETOOBIG);
    assert_int_equal(tg_buffer_reserve(&b, SIZE_MAX), TG_ETOOBIG);
    assert_int_equal(b.len, 1000);
    tg_buffer_consume(&b, 995);
    assert_true(tg_bytes_eq_str(tg_buffer_view(&b), "56789"));
    assert_int_equal(tg_buffer_append(&b, tg_bytes_str("-42")), TG_OK);
    assert_true(tg_bytes_eq_str(tg_buffer_view(&b), "56789-42"));
    tg_buffer_consume(&b, b.len);
    assert_int_equal(b.len, 0);
    tg_buffer_fini(&b);
    assert_int_equal(b.limit_bytes, 1000);
    assert_int_equal(tg_alloc_stats().live, live);
}

static void a_buffer_without_memory_keeps_its_content(void **state)
{
    struct tg_buffer b = tg_buffer_init(4096);
    (void)state;
    assert_int_equal(tg_buffer_append(&b, tg_bytes_str("kept")), TG_OK);
    tg_alloc_fail_at(1, 0);
    assert_int_equal(tg_buffer_reserve(&b, 2000), TG_ENOMEM);
    tg_alloc_fail_at(0, 0);
    assert_true(tg_bytes_eq_str(tg_buffer_view(&b), "kept"));
    assert_int_equal(tg_buffer_reserve(&b, 2000), TG_OK);
    tg_buffer_fini(&b);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(views_compare),
        cmocka_unit_test(utf8),
        cmocka_unit_test(utf8_of_every_code_point),
        cmocka_unit_test(reading_past_the_end_fails_for_good),
        cmocka_unit_test(varints_come_back),
        cmocka_unit_test(long_varints_are_refused),
        cmocka_unit_test(doubles_come_back_bit_by_bit),
        cmocka_unit_test(writing_past_the_end_fails_for_good),
        cmocka_unit_test(decimal_digits),
        cmocka_unit_test(buffers_grow_to_their_limit),
        cmocka_unit_test(a_buffer_without_memory_keeps_its_content),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
