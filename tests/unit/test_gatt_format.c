/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * Formats: their text, bytes to values and back, values cut at every length.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <string.h>

#include <cmocka.h>

#include "southbound/ble/gatt_format.h"
#include "southbound/ble/gatt_known.h"

static struct tg_gatt_format format(const char *text)
{
    struct tg_gatt_format f = {0};
    struct tg_error err = {0};
    if (tg_gatt_format_parse(tg_bytes_str(text), &f, &err) < 0)
        fail_msg("%s: %s", text, err.text);
    return f;
}

static struct tg_value decode(const char *text, const char *bytes, size_t len, enum tg_gatt_reading reading)
{
    static char buffer[TG_GATT_TEXT_BYTES];
    struct tg_gatt_format f = format(text);
    struct tg_value v;
    enum tg_gatt_reading r = tg_gatt_decode(&f, tg_bytes(bytes, len), buffer, &v);
    if (r != reading)
        fail_msg("%s: %s", text, tg_gatt_reading_name(r));
    assert_int_equal(v.type == TG_VALUE_NONE, r != TG_GATT_READING_GOOD);
    assert_int_equal(tg_gatt_reading_quality(r) == TG_QUALITY_GOOD, r == TG_GATT_READING_GOOD);
    return v;
}

static void real(const char *text, const char *bytes, size_t len, double expected)
{
    struct tg_value v = decode(text, bytes, len, TG_GATT_READING_GOOD);
    assert_int_equal(v.type, TG_VALUE_REAL);
    if (v.as.real != expected)
        fail_msg("%s: %.17g, not %.17g", text, v.as.real, expected);
}

static void values(void **state)
{
    (void)state;
    real("s16*0.01?8000", "\x0a\x09", 2, 23.14); /* exactly: one rounding */
    real("s16le*0.01+0.1", "\x0a\x09", 2, 23.24);
    real("s16be/100", "\xff\xfe", 2, -0.02);
    real("u16be@2/10-40", "\0\0\x02\x9a", 4, 26.6);
    real("u24*0.1", "\x01\x00\x01", 3, 6553.7);
    real("f32", "\x00\x00\xc0\x3f", 4, 1.5);
    real("f32be*2", "\x3f\xc0\x00\x00", 4, 3);
    real("f64", "\x00\x00\x00\x00\x00\x00\xf8\x3f", 8, 1.5);
    real("sfloat", "\x6e\xf1", 2, 36.6);
    real("sfloat", "\xff\x1f", 2, -10); /* mantissa −1, exponent 1 */
    real("float", "\x6f\x01\x00\xff", 4, 36.7);
    assert_int_equal(decode("s8", "\xff", 1, TG_GATT_READING_GOOD).as.integer, -1);
    assert_int_equal(decode("s24", "\x00\x00\x80", 3, TG_GATT_READING_GOOD).as.integer, -8388608);
    assert_true(decode("u64", "\xff\xff\xff\xff\xff\xff\xff\xff", 8, TG_GATT_READING_GOOD).as.uinteger ==
                UINT64_MAX);
    assert_true(decode("s64be", "\x80\0\0\0\0\0\0\0", 8, TG_GATT_READING_GOOD).as.integer == INT64_MIN);
    assert_int_equal(decode("u48", "\x01\0\0\0\0\x01", 6, TG_GATT_READING_GOOD).as.uinteger, 0x010000000001);
    assert_true(decode("u8@1.3", "\x00\x08", 2, TG_GATT_READING_GOOD).as.boolean);
    assert_false(decode("u16.15", "\xff\x7f", 2, TG_GATT_READING_GOOD).as.boolean);
    assert_true(decode("bool", "\x02", 1, TG_GATT_READING_GOOD).as.boolean);
    struct tg_value v = decode("utf8", "ab\0cd", 5, TG_GATT_READING_GOOD);
    assert_int_equal(v.text_len, 2);
    v = decode("hex@1", "\x00\xab\x01", 3, TG_GATT_READING_GOOD);
    assert_memory_equal(v.as.text, "ab01", 4);
    assert_int_equal(decode("utf8", "", 0, TG_GATT_READING_GOOD).text_len, 0);
    assert_true(decode("heart_rate.contact", "\x06\x48", 2, TG_GATT_READING_GOOD).as.boolean);
    assert_int_equal(decode("heart_rate.energy", "\x08\x48\x02\x01", 4, TG_GATT_READING_GOOD).as.uinteger,
                     0x102);
    real("heart_rate.rr", "\x10\x48\x00\x04\x00\x08", 6, 2);
}

static void no_values(void **state)
{
    (void)state;
    decode("s16*0.01?8000", "\x00\x80", 2, TG_GATT_READING_NULL);
    decode("u8?ff?fe", "\xfe", 1, TG_GATT_READING_NULL);
    decode("sfloat", "\xff\x07", 2, TG_GATT_READING_NULL);
    decode("sfloat", "\xfe\x07", 2, TG_GATT_READING_RANGE); /* +infinity */
    decode("sfloat", "\x02\x08", 2, TG_GATT_READING_RANGE);
    decode("float", "\xff\xff\x7f\x00", 4, TG_GATT_READING_NULL);
    decode("f32", "\x00\x00\x80\x7f", 4, TG_GATT_READING_RANGE);
    decode("f64", "\0\0\0\0\0\0\xf8\x7f", 8, TG_GATT_READING_RANGE);
    decode("utf8", "\xff", 1, TG_GATT_READING_NOT_UTF8);
    decode("utf8@3", "ab", 2, TG_GATT_READING_SHORT);
    decode("u16@1", "\0\0", 2, TG_GATT_READING_SHORT);
    decode("heart_rate.rr", "\x00\x48", 2, TG_GATT_READING_NULL);
    decode("heart_rate.contact", "\x00\x48", 2, TG_GATT_READING_NULL);
    decode("heart_rate", "\x01\x48", 2, TG_GATT_READING_SHORT);
    decode("temperature_measurement", "\x00\xff\xff\x7f\x00", 5, TG_GATT_READING_NULL);
}

static void every_truncation(void **state)
{
    (void)state;
    static const uint8_t zeros[16];
    static const struct {
        uint8_t bytes[16];
        size_t len;
        const char *format;
    } whole[] = {{{0x1E, 0x48, 1, 0, 2, 3}, 4, "heart_rate"}, /* the intervals may be absent */
                 {{0x03, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11}, 12, "temperature_measurement"}};
    for (size_t i = 0; i < 2; i++) {
        for (size_t n = 0; n <= whole[i].len; n++)
            decode(whole[i].format, (const char *)whole[i].bytes, n,
                   n < whole[i].len ? TG_GATT_READING_SHORT : TG_GATT_READING_GOOD);
    }
    for (const struct tg_gatt_known *k = tg_gatt_known; k->name; k++) {
        struct tg_gatt_format f = format(k->format);
        for (size_t n = 0; f.bytes && n < f.bytes; n++)
            decode(k->format, (const char *)zeros, n, TG_GATT_READING_SHORT);
        if (f.bytes)
            decode(k->format, (const char *)zeros, f.bytes, TG_GATT_READING_GOOD);
    }
}

static void texts_that_are_none(void **state)
{
    (void)state;
    static const char *const bad[] = {"",
                                      "x8",
                                      "u8le le",
                                      "u16mixed",
                                      "u8@",
                                      "u8@512",
                                      "u8.",
                                      "u8.8",
                                      "u8*",
                                      "u8*0",
                                      "u8*1e3",
                                      "u8*1.2.3",
                                      "u8+",
                                      "u8+1+1",
                                      "u8?",
                                      "u8?fff",
                                      "u8?gg",
                                      "u8?1?2?3?4?5",
                                      "utf8*2",
                                      "utf8?00",
                                      "bool*2",
                                      "f32.1",
                                      "u8.1*2",
                                      "u8.1?ff",
                                      "heart_rate@1",
                                      "heart_rate.beat",
                                      "U8",
                                      "u8*1234567890123456",
                                      "u8 "};
    struct tg_gatt_format f;
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        struct tg_error err = {0};
        if (tg_gatt_format_parse(tg_bytes_str(bad[i]), &f, &err) == TG_OK)
            fail_msg("\"%s\" was taken", bad[i]);
        assert_true(err.text[0]);
    }
}

static void encoded(const char *text, struct tg_value v, const char *bytes, size_t len)
{
    uint8_t out[512];
    struct tg_error err = {0};
    struct tg_gatt_format f = format(text);
    int n = tg_gatt_encode(&f, &v, out, &err);
    if (n != (int)len || memcmp(out, bytes, len) != 0)
        fail_msg("%s: %d %s", text, n, err.text);
}

static void refused(const char *text, struct tg_value v, int code)
{
    uint8_t out[512];
    struct tg_error err = {0};
    struct tg_gatt_format f = format(text);
    int n = tg_gatt_encode(&f, &v, out, &err);
    if (n != code || !err.text[0])
        fail_msg("%s: %d %s", text, n, err.text);
}

static void writing(void **state)
{
    (void)state;
    encoded("s16*0.01", tg_value_real(23.14), "\x0a\x09", 2);
    encoded("s16be/100-40", tg_value_real(-40.02), "\xff\xfe", 2);
    encoded("u8", tg_value_bool(true), "\x01", 1);
    encoded("u8", tg_value_real(2.0000000001), "\x02", 1);
    encoded("u64", tg_value_uint(UINT64_MAX), "\xff\xff\xff\xff\xff\xff\xff\xff", 8);
    encoded("s64", tg_value_int(INT64_MIN), "\0\0\0\0\0\0\0\x80", 8);
    encoded("s8", tg_value_int(-128), "\x80", 1);
    encoded("f32be", tg_value_real(1.5), "\x3f\xc0\x00\x00", 4);
    encoded("utf8", tg_value_text("on", 2), "on", 2);
    encoded("hex", tg_value_text("0aFF", 4), "\x0a\xff", 2);
    encoded("bool", tg_value_int(1), "\x01", 1);
    refused("u8", tg_value_int(256), TG_ERANGE);
    refused("u8", tg_value_int(-1), TG_ERANGE);
    refused("bool", tg_value_int(5), TG_ERANGE);
    refused("u8", tg_value_real(-0.6), TG_EINVAL);
    refused("s16*0.01", tg_value_real(23.145), TG_EINVAL); /* between two steps */
    refused("s8", tg_value_int(-129), TG_ERANGE);
    refused("s8", tg_value_real(127.6), TG_EINVAL);
    refused("s64", tg_value_uint(UINT64_MAX), TG_ERANGE);
    refused("u64", tg_value_real(18446744073709551616.0), TG_ERANGE);
    refused("s64", tg_value_real(9223372036854775808.0), TG_ERANGE);
    refused("s16*0.01?8000", tg_value_real(-327.68), TG_ERANGE); /* it would mean "no value" */
    refused("f32", tg_value_real(1e39), TG_ERANGE);
    refused("u8", tg_value_text("1", 1), TG_EINVAL);
    refused("utf8", tg_value_int(1), TG_EINVAL);
    refused("hex", tg_value_text("abc", 3), TG_EINVAL);
    refused("hex", tg_value_text("zz", 2), TG_EINVAL);
    refused("u8@1", tg_value_int(1), TG_EUNSUPPORTED);
    refused("sfloat", tg_value_int(1), TG_EUNSUPPORTED);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(values),           cmocka_unit_test(no_values),
        cmocka_unit_test(every_truncation), cmocka_unit_test(texts_that_are_none),
        cmocka_unit_test(writing),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
