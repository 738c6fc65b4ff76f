/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * Addresses, checks with their texts, and words ↔ values for every type and order.
 */
#include <float.h>
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "core/base/bytes.h"
#include "southbound/modbus_points.h"

static void addresses(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        int base, table, address, bit, bits;
    } good[] = {{"coil:0", -1, TG_MODBUS_COIL, 0, -1, 0},
                {"discrete:5", -1, TG_MODBUS_DISCRETE, 5, -1, 0},
                {"input:65535", -1, TG_MODBUS_INPUT, 65535, -1, 0},
                {"holding:0x0BF3", -1, TG_MODBUS_HOLDING, 0xBF3, -1, 0},
                {"holding:10.0", -1, TG_MODBUS_HOLDING, 10, 0, 0},
                {"input:0xA.15", -1, TG_MODBUS_INPUT, 10, 15, 0},
                {"holding:5.3-7", -1, TG_MODBUS_HOLDING, 5, 3, 5},
                {"holding:5.0-15", 0, TG_MODBUS_HOLDING, 5, 0, 16},
                {"holding:1", 1, TG_MODBUS_HOLDING, 0, -1, 0},
                {"holding:65536", 1, TG_MODBUS_HOLDING, 65535, -1, 0},
                {"holding:40001", 0, TG_MODBUS_HOLDING, 40001, -1, 0},
                {"holding:40001", 1, TG_MODBUS_HOLDING, 40000, -1, 0},
                {"holding:0x9C41", -1, TG_MODBUS_HOLDING, 40001, -1, 0},
                {"holding:40000", -1, TG_MODBUS_HOLDING, 40000, -1, 0},
                {"holding:30001", -1, TG_MODBUS_HOLDING, 30001, -1, 0},
                {"40001", -1, TG_MODBUS_HOLDING, 0, -1, 0},
                {"40001", 1, TG_MODBUS_HOLDING, 0, -1, 0},
                {"400001", -1, TG_MODBUS_HOLDING, 0, -1, 0},
                {"465536", -1, TG_MODBUS_HOLDING, 65535, -1, 0},
                {"49999.4", -1, TG_MODBUS_HOLDING, 9998, 4, 0},
                {"30010", -1, TG_MODBUS_INPUT, 9, -1, 0},
                {"10001", -1, TG_MODBUS_DISCRETE, 0, -1, 0},
                {"00001", -1, TG_MODBUS_COIL, 0, -1, 0}};
    static const char *const bad[] = {"",
                                      "holding",
                                      "holding:",
                                      "holding:-1",
                                      "holding:65536",
                                      "holding:1 ",
                                      " holding:1",
                                      "holding:0x",
                                      "holding:1.",
                                      "holding:1.16",
                                      "coil:1.0",
                                      "register:1",
                                      "50001",
                                      "holding:1.2.3",
                                      "holding:99999999999999999999",
                                      "Holding:1",
                                      "holding:0x10000",
                                      "holding:1a",
                                      "holding:1.5-3",
                                      "holding:1.3-3",
                                      "40000",
                                      "4001",
                                      "4000001",
                                      "465537",
                                      "10001.2",
                                      "holding:1.3-16"};
    struct tg_modbus_point p;
    struct tg_error err;
    for (size_t i = 0; i < sizeof good / sizeof *good; i++) {
        tg_modbus_point_init(&p);
        assert_int_equal(tg_modbus_point_address(&p, good[i].text, good[i].base, &err), 0);
        assert_int_equal(p.table, good[i].table);
        assert_int_equal(p.address, good[i].address);
        assert_int_equal(p.bit, good[i].bit);
        assert_int_equal(p.bits, good[i].bits);
    }
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        tg_modbus_point_init(&p);
        struct tg_modbus_point before = p;
        memset(&err, 0, sizeof err);
        if (tg_modbus_point_address(&p, bad[i], -1, &err) != TG_EINVAL)
            fail_msg("\"%s\" was accepted", bad[i]);
        if (!strstr(err.text, "allowed is ") && !strstr(err.text, "is one bit already"))
            fail_msg("\"%s\": %s", bad[i], err.text);
        assert_memory_equal(&p, &before, sizeof p);
    }
}

/* What can be read in two ways is refused, with both. */
static void ambiguous_addresses(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        int base;
        const char *readings[2];
    } cases[] = {{"holding:40001",
                  -1,
                  {"address 40001 of the protocol", "the traditional number 40001, which is holding:0"}},
                 {"holding:49999.3", -1, {"address 49999", "holding:9998"}},
                 {"input:30010", -1, {"address 30010", "input:9"}},
                 {"discrete:10001", -1, {"address 10001", "discrete:0"}},
                 {"40001", 0, {"count from 1 (holding:0)", "address_base is 0 (holding:1)"}}};
    struct tg_modbus_point p;
    struct tg_error err;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        tg_modbus_point_init(&p);
        memset(&err, 0, sizeof err);
        assert_int_equal(tg_modbus_point_address(&p, cases[i].text, cases[i].base, &err), TG_EINVAL);
        for (size_t k = 0; k < 2; k++)
            if (!strstr(err.text, "is ambiguous") || !strstr(err.text, cases[i].readings[k]))
                fail_msg("%s: %s", cases[i].text, err.text);
    }
    assert_int_equal(tg_modbus_point_address(&p, "holding:0", 1, &err), TG_EINVAL);
    assert_int_equal(tg_modbus_point_address(&p, "holding:65536", 0, &err), TG_EINVAL);
}

static struct tg_modbus_point make(unsigned table, unsigned type, unsigned order, unsigned length)
{
    struct tg_modbus_point p;
    struct tg_error err;
    tg_modbus_point_init(&p);
    p.table = (uint8_t)table;
    p.type = (uint8_t)type;
    p.order = (uint8_t)order;
    p.length = (uint16_t)length;
    assert_int_equal(tg_modbus_point_finish(&p, NULL, &err), 0);
    return p;
}

static void checks_name_the_option(void **state)
{
    (void)state;
    struct tg_modbus_point p;
    struct tg_error err;
    const char *field = NULL;
    tg_modbus_point_init(&p);
    p.table = TG_MODBUS_COIL;
    p.type = TG_MODBUS_FLOAT32;
    assert_int_equal(tg_modbus_point_finish(&p, &field, &err), TG_EINVAL);
    assert_string_equal(field, "type");
    assert_string_equal(err.text, "a coil is a bool, not float32");
    p.table = TG_MODBUS_INPUT;
    p.address = 65535;
    assert_int_equal(tg_modbus_point_finish(&p, &field, &err), TG_EINVAL);
    assert_string_equal(field, "address");
    p.type = TG_MODBUS_STRING;
    assert_int_equal(tg_modbus_point_finish(&p, &field, &err), TG_EINVAL);
    assert_string_equal(field, "length");
    p.length = 126;
    p.packing = TG_MODBUS_ONE_LOW;
    assert_int_equal(tg_modbus_point_finish(&p, &field, &err), TG_EINVAL);
    assert_string_equal(field, "length");
    p.type = TG_MODBUS_INT16;
    assert_int_equal(tg_modbus_point_finish(&p, &field, &err), TG_EINVAL);
    assert_int_equal(tg_modbus_point_sentinel(&p, "80OO", &err), TG_EINVAL);
    assert_int_equal(tg_modbus_point_sentinel(&p, "", &err), TG_EINVAL);
    assert_int_equal(tg_modbus_point_sentinel(&p, "11112222333344445", &err), TG_EINVAL);
    for (int i = 0; i < TG_MODBUS_MAX_SENTINELS; i++)
        assert_int_equal(tg_modbus_point_sentinel(&p, "0x8000", &err), 0);
    assert_int_equal(tg_modbus_point_sentinel(&p, "8000", &err), TG_EFULL);
}

/* What is written reads back as the same value, at the limits of each type and in each order. */
static void limits_round_trip(void **state)
{
    (void)state;
    static const struct {
        unsigned type;
        int64_t min;
        uint64_t max;
    } ints[] = {{TG_MODBUS_INT16, INT16_MIN, INT16_MAX},
                {TG_MODBUS_UINT16, 0, UINT16_MAX},
                {TG_MODBUS_INT32, INT32_MIN, INT32_MAX},
                {TG_MODBUS_UINT32, 0, UINT32_MAX},
                {TG_MODBUS_INT64, INT64_MIN, INT64_MAX},
                {TG_MODBUS_UINT64, 0, UINT64_MAX},
                {TG_MODBUS_BCD16, 0, 9999},
                {TG_MODBUS_BCD32, 0, 99999999}};
    char text[TG_MODBUS_TEXT_BYTES];
    struct tg_modbus_write w;
    struct tg_value v;
    struct tg_error err;
    for (size_t i = 0; i < sizeof ints / sizeof *ints; i++) {
        for (unsigned order = 0; order < 4; order++) {
            struct tg_modbus_point p = make(TG_MODBUS_HOLDING, ints[i].type, order, 0);
            struct tg_value low = tg_value_int(ints[i].min), high = tg_value_uint(ints[i].max);
            assert_int_equal(tg_modbus_point_encode(&p, &low, &w, &err), 0);
            assert_int_equal(tg_modbus_point_decode(&p, w.words, text, &v), TG_MODBUS_READING_GOOD);
            assert_true(v.type == TG_VALUE_INT ? v.as.integer == ints[i].min : v.as.uinteger == 0);
            assert_int_equal(tg_modbus_point_encode(&p, &high, &w, &err), 0);
            assert_int_equal(tg_modbus_point_decode(&p, w.words, text, &v), TG_MODBUS_READING_GOOD);
            assert_true(v.as.uinteger == ints[i].max);
            if (ints[i].min > INT64_MIN) {
                low = tg_value_int(ints[i].min - 1);
                assert_int_equal(tg_modbus_point_encode(&p, &low, &w, &err), TG_ERANGE);
            }
            if (ints[i].max < UINT64_MAX) {
                high = tg_value_uint(ints[i].max + 1);
                assert_int_equal(tg_modbus_point_encode(&p, &high, &w, &err), TG_ERANGE);
            }
        }
    }
    static const double reals[] = {0, -0.0, 1.5, -FLT_MAX, FLT_MAX, FLT_MIN};
    for (unsigned order = 0; order < 4; order++) {
        for (size_t i = 0; i < sizeof reals / sizeof *reals; i++) {
            for (unsigned type = TG_MODBUS_FLOAT32; type <= TG_MODBUS_FLOAT64; type++) {
                struct tg_modbus_point p = make(TG_MODBUS_HOLDING, type, order, 0);
                struct tg_value in = tg_value_real(reals[i]);
                assert_int_equal(tg_modbus_point_encode(&p, &in, &w, &err), 0);
                assert_int_equal(tg_modbus_point_decode(&p, w.words, text, &v), TG_MODBUS_READING_GOOD);
                assert_memory_equal(&v.as.real, &reals[i], 8);
            }
        }
    }
}

static void reals_to_integers(void **state)
{
    (void)state;
    struct tg_modbus_write w;
    struct tg_error err;
    static const struct {
        double in;
        int rc;
        uint16_t word;
        const char *says;
    } cases[] = {{214.99999999, 0, 215, ""},
                 {215.00000000000003, 0, 215, ""},
                 {-0.0000001, 0, 0, ""},
                 {-2, 0, 0xFFFE, ""},
                 {214.99, TG_EINVAL, 0, "it comes to 214.99, and int16 holds whole numbers only"},
                 {-0.4, TG_EINVAL, 0, "-0.4"},
                 {32767.5, TG_EINVAL, 0, "32767.5"},
                 {32768, TG_ERANGE, 0, "32768 does not fit int16, which holds -32768 to 32767"},
                 {-32769, TG_ERANGE, 0, "-32769 does not fit int16, which holds -32768 to 32767"},
                 {1e300, TG_ERANGE, 0, "1e+300 does not fit int16"},
                 {NAN, TG_ERANGE, 0, "does not fit int16"},
                 {-INFINITY, TG_ERANGE, 0, "-inf does not fit int16"}};
    struct tg_modbus_point p = make(TG_MODBUS_HOLDING, TG_MODBUS_INT16, 0, 0);
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct tg_value v = tg_value_real(cases[i].in);
        assert_int_equal(tg_modbus_point_encode(&p, &v, &w, &err), cases[i].rc);
        if (cases[i].rc == 0)
            assert_int_equal(w.words[0], cases[i].word);
        else if (!strstr(err.text, cases[i].says))
            fail_msg("\"%s\" does not say \"%s\"", err.text, cases[i].says);
    }
    /* 123456789.01 in steps of 0.01, as a double has it */
    p = make(TG_MODBUS_HOLDING, TG_MODBUS_INT64, 0, 0);
    struct tg_value v = tg_value_real(123456789.01 / 0.01);
    assert_int_equal(tg_modbus_point_encode(&p, &v, &w, &err), 0);
    p = make(TG_MODBUS_HOLDING, TG_MODBUS_BCD16, 0, 0);
    v = tg_value_int(10000);
    assert_int_equal(tg_modbus_point_encode(&p, &v, &w, &err), TG_ERANGE);
    assert_non_null(strstr(err.text, "holds 0 to 9999"));
    p = make(TG_MODBUS_HOLDING, TG_MODBUS_UINT64, 0, 0);
    v = tg_value_int(-1);
    assert_int_equal(tg_modbus_point_encode(&p, &v, &w, &err), TG_ERANGE);
    assert_non_null(strstr(err.text, "-1 does not fit uint64, which holds 0 to 18446744073709551615"));
    p = make(TG_MODBUS_HOLDING, TG_MODBUS_UINT16, 0, 0);
    v = tg_value_bool(true);
    assert_int_equal(tg_modbus_point_encode(&p, &v, &w, &err), TG_EINVAL);
    assert_non_null(strstr(err.text, "takes a number"));
    p = make(TG_MODBUS_COIL, TG_MODBUS_BOOL, 0, 0);
    v = tg_value_real(0.5);
    assert_int_equal(tg_modbus_point_encode(&p, &v, &w, &err), TG_EINVAL);
    v = tg_value_text("on", 2);
    assert_int_equal(tg_modbus_point_encode(&p, &v, &w, &err), TG_EINVAL);
    assert_non_null(strstr(err.text, "takes true, false, 1 or 0"));
    p = make(TG_MODBUS_HOLDING, TG_MODBUS_FLOAT32, 0, 0);
    v = tg_value_real(1e39);
    assert_int_equal(tg_modbus_point_encode(&p, &v, &w, &err), TG_ERANGE);
    v = tg_value_text("1", 1);
    assert_int_equal(tg_modbus_point_encode(&p, &v, &w, &err), TG_EINVAL);
}

static void parts_of_registers(void **state)
{
    (void)state;
    struct tg_modbus_write w;
    struct tg_error err;
    struct tg_value on = tg_value_bool(true), two = tg_value_int(2), v = tg_value_int(-2);
    struct tg_modbus_point p = make(TG_MODBUS_HOLDING, TG_MODBUS_BOOL, 0, 0);
    p.bit = 3;
    assert_int_equal(tg_modbus_point_encode(&p, &on, &w, &err), 0);
    assert_int_equal(w.kind, TG_MODBUS_WRITE_MASK);
    assert_int_equal(w.and_mask, 0xFFF7);
    assert_int_equal(w.or_mask, 8);
    assert_int_equal(tg_modbus_point_encode(&p, &two, &w, &err), TG_ERANGE);
    p = make(TG_MODBUS_HOLDING, TG_MODBUS_INT8, 0, 0);
    p.half = TG_MODBUS_HALF_HIGH;
    assert_int_equal(tg_modbus_point_encode(&p, &v, &w, &err), 0);
    assert_int_equal(w.and_mask, 0x00FF);
    assert_int_equal(w.or_mask, 0xFE00);
    p = make(TG_MODBUS_INPUT, TG_MODBUS_INT16, 0, 0);
    assert_int_equal(tg_modbus_point_encode(&p, &v, &w, &err), TG_EUNSUPPORTED);
    assert_non_null(strstr(err.text, "input cannot be written"));
}

static void texts(void **state)
{
    (void)state;
    static const char *const samples[] = {"", "A", "AB", "SUN2000", "12345678"};
    char text[TG_MODBUS_TEXT_BYTES];
    struct tg_modbus_write w;
    struct tg_value v;
    struct tg_error err;
    for (unsigned packing = 0; packing < 4; packing++) {
        for (unsigned order = 0; order < 4; order++) {
            struct tg_modbus_point p = make(TG_MODBUS_HOLDING, TG_MODBUS_STRING, order, 8);
            p.packing = (uint8_t)packing;
            assert_int_equal(tg_modbus_point_finish(&p, NULL, &err), 0);
            assert_int_equal(p.count, packing >= TG_MODBUS_ONE_LOW ? 8 : 4);
            for (size_t i = 0; i < sizeof samples / sizeof *samples; i++) {
                struct tg_value in = tg_value_text(samples[i], strlen(samples[i]));
                assert_int_equal(tg_modbus_point_encode(&p, &in, &w, &err), 0);
                assert_int_equal(tg_modbus_point_decode(&p, w.words, text, &v), TG_MODBUS_READING_GOOD);
                assert_true(tg_bytes_eq_str(tg_bytes(v.as.text, v.text_len), samples[i]));
            }
            struct tg_value longer = tg_value_text("123456789", 9);
            assert_int_equal(tg_modbus_point_encode(&p, &longer, &w, &err), TG_ERANGE);
        }
    }
    struct tg_modbus_point p = make(TG_MODBUS_HOLDING, TG_MODBUS_STRING, 0, 4);
    p.encoding = TG_MODBUS_LATIN1;
    const uint16_t celsius[] = {0xB043, 0x0000};
    assert_int_equal(tg_modbus_point_decode(&p, celsius, text, &v), TG_MODBUS_READING_GOOD);
    assert_true(tg_bytes_eq_str(tg_bytes(v.as.text, v.text_len), "\xC2\xB0"
                                                                 "C"));
    assert_int_equal(tg_modbus_point_encode(&p, &v, &w, &err), 0);
    assert_memory_equal(w.words, celsius, sizeof celsius);
    v = tg_value_text("\xE2\x82\xAC", 3); /* the euro sign is not in latin1 */
    assert_int_equal(tg_modbus_point_encode(&p, &v, &w, &err), TG_ERANGE);
}

static void not_bcd(void **state)
{
    (void)state;
    char text[TG_MODBUS_TEXT_BYTES];
    struct tg_value v;
    struct tg_modbus_point p = make(TG_MODBUS_HOLDING, TG_MODBUS_BCD16, 0, 0);
    const uint16_t word = 0x12A4;
    assert_int_equal(tg_modbus_point_decode(&p, &word, text, &v), TG_MODBUS_READING_NOT_BCD);
    assert_int_equal(v.type, TG_VALUE_NONE);
}

/* 0x0102…08 in every order of eight bytes, and what is left of them over two words and one. */
static void every_order(void **state)
{
    (void)state;
    static const struct {
        const char *order;
        uint16_t four[4], two[2], one;
    } cases[] = {{"ABCD", {0x0102, 0x0304, 0x0506, 0x0708}, {0x0102, 0x0304}, 0x0102},
                 {"CDAB", {0x0708, 0x0506, 0x0304, 0x0102}, {0x0304, 0x0102}, 0x0102},
                 {"BADC", {0x0201, 0x0403, 0x0605, 0x0807}, {0x0201, 0x0403}, 0x0201},
                 {"DCBA", {0x0807, 0x0605, 0x0403, 0x0201}, {0x0403, 0x0201}, 0x0201},
                 {"ABCDEFGH", {0x0102, 0x0304, 0x0506, 0x0708}, {0x0102, 0x0304}, 0x0102},
                 {"GHEFCDAB", {0x0708, 0x0506, 0x0304, 0x0102}, {0x0304, 0x0102}, 0x0102},
                 {"BADCFEHG", {0x0201, 0x0403, 0x0605, 0x0807}, {0x0201, 0x0403}, 0x0201},
                 {"HGFEDCBA", {0x0807, 0x0605, 0x0403, 0x0201}, {0x0403, 0x0201}, 0x0201},
                 {"CDABGHEF", {0x0304, 0x0102, 0x0708, 0x0506}, {0x0304, 0x0102}, 0x0102},
                 {"EFGHABCD", {0x0506, 0x0708, 0x0102, 0x0304}, {0x0102, 0x0304}, 0x0102},
                 {"DCBAHGFE", {0x0403, 0x0201, 0x0807, 0x0605}, {0x0403, 0x0201}, 0x0201},
                 {"FEHGBADC", {0x0605, 0x0807, 0x0201, 0x0403}, {0x0201, 0x0403}, 0x0201}};
    char text[TG_MODBUS_TEXT_BYTES];
    struct tg_value v;
    struct tg_modbus_write w;
    struct tg_error err;
    assert_int_equal(sizeof cases / sizeof *cases, TG_MODBUS_ORDERS);
    for (size_t i = 0; i < TG_MODBUS_ORDERS; i++) {
        unsigned order = (unsigned)tg_modbus_name_index(tg_modbus_order_names, cases[i].order);
        struct tg_modbus_point p = make(TG_MODBUS_HOLDING, TG_MODBUS_UINT64, order, 0);
        assert_int_equal(tg_modbus_point_decode(&p, cases[i].four, text, &v), TG_MODBUS_READING_GOOD);
        assert_true(v.as.uinteger == UINT64_C(0x0102030405060708));
        assert_int_equal(tg_modbus_point_encode(&p, &v, &w, &err), 0);
        assert_memory_equal(w.words, cases[i].four, sizeof cases[i].four);
        p = make(TG_MODBUS_HOLDING, TG_MODBUS_UINT32, order, 0);
        assert_int_equal(tg_modbus_point_decode(&p, cases[i].two, text, &v), TG_MODBUS_READING_GOOD);
        assert_true(v.as.uinteger == 0x01020304);
        p = make(TG_MODBUS_HOLDING, TG_MODBUS_UINT16, order, 0);
        assert_int_equal(tg_modbus_point_decode(&p, &cases[i].one, text, &v), TG_MODBUS_READING_GOOD);
        assert_true(v.as.uinteger == 0x0102);
    }
}

static void bit_fields(void **state)
{
    (void)state;
    char text[TG_MODBUS_TEXT_BYTES];
    const uint16_t word = 0xA5C3;
    struct tg_value v;
    struct tg_modbus_write w;
    struct tg_error err;
    struct tg_modbus_point p;
    tg_modbus_point_init(&p);
    assert_int_equal(tg_modbus_point_address(&p, "holding:1.4-9", -1, &err), 0);
    p.type = TG_MODBUS_UINT16;
    assert_int_equal(tg_modbus_point_finish(&p, NULL, &err), 0);
    assert_int_equal(tg_modbus_point_decode(&p, &word, text, &v), TG_MODBUS_READING_GOOD);
    assert_int_equal(v.as.uinteger, 0x1C);
    v = tg_value_uint(0x2A);
    assert_int_equal(tg_modbus_point_encode(&p, &v, &w, &err), 0);
    assert_int_equal(w.kind, TG_MODBUS_WRITE_MASK);
    assert_int_equal((word & w.and_mask) | w.or_mask, 0xA6A3);
    v = tg_value_uint(0x40); /* six bits hold 63 */
    assert_int_equal(tg_modbus_point_encode(&p, &v, &w, &err), TG_ERANGE);
    p.order = TG_MODBUS_DCBA; /* a field takes the register as it is */
    assert_int_equal(tg_modbus_point_decode(&p, &word, text, &v), TG_MODBUS_READING_GOOD);
    assert_int_equal(v.as.uinteger, 0x1C);
    p.type = TG_MODBUS_INT16;
    assert_int_equal(tg_modbus_point_finish(&p, NULL, &err), TG_EINVAL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(addresses),
        cmocka_unit_test(ambiguous_addresses),
        cmocka_unit_test(every_order),
        cmocka_unit_test(bit_fields),
        cmocka_unit_test(checks_name_the_option),
        cmocka_unit_test(limits_round_trip),
        cmocka_unit_test(reals_to_integers),
        cmocka_unit_test(parts_of_registers),
        cmocka_unit_test(texts),
        cmocka_unit_test(not_bcd),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
