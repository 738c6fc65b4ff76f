/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * Every vector of southbound/modbus_values.json: words to value, and value to words.
 */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "core/base/bytes.h"
#include "southbound/modbus_frame.h"
#include "southbound/modbus_points.h"
#include "support/vectors.h"

static const char *id;

#define CHECK(cond)                                                                                          \
    do {                                                                                                     \
        if (!(cond))                                                                                         \
            fail_msg("%s: %s is false (line %d)", id, #cond, __LINE__);                                      \
    } while (0)

static const char *text_of(const json_t *v, const char *key, const char *absent)
{
    const char *s = json_string_value(json_object_get(v, key));
    return s ? s : absent;
}

static double number_of(const json_t *v, const char *key, double absent)
{
    const json_t *n = json_object_get(v, key);
    return n ? json_number_value(n) : absent;
}

static struct tg_modbus_point point_of(const json_t *v)
{
    struct tg_modbus_point p;
    struct tg_error err = {0};
    const char *type = text_of(v, "type", ""), *order = text_of(v, "order", "");
    const char *packing = text_of(v, "byte", "high-first");
    char dashed[32];
    tg_modbus_point_init(&p);
    if (strcmp(type, "bit") == 0) {
        p.bit = (int8_t)number_of(v, "bit", 0);
        type = "bool";
    }
    CHECK(tg_modbus_name_index(tg_modbus_type_names, type) >= 0);
    p.type = (uint8_t)tg_modbus_name_index(tg_modbus_type_names, type);
    p.table = json_object_get(v, "bits") || (p.type == TG_MODBUS_BOOL && p.bit < 0) ? TG_MODBUS_COIL
                                                                                    : TG_MODBUS_HOLDING;
    if (order[0]) {
        CHECK(tg_modbus_name_index(tg_modbus_order_names, order) >= 0);
        p.order = (uint8_t)tg_modbus_name_index(tg_modbus_order_names, order);
    }
    if (json_object_get(v, "half"))
        p.half = (uint8_t)tg_modbus_name_index(tg_modbus_half_names, text_of(v, "half", ""));
    snprintf(dashed, sizeof dashed, "%s", packing);
    for (char *c = dashed; *c; c++)
        if (*c == '_')
            *c = '-';
    CHECK(tg_modbus_name_index(tg_modbus_packing_names, dashed) >= 0);
    p.packing = (uint8_t)tg_modbus_name_index(tg_modbus_packing_names, dashed);
    p.length = (uint16_t)number_of(v, "length", 0);
    if (json_object_get(v, "null"))
        CHECK(tg_modbus_point_sentinel(&p, text_of(v, "null", ""), &err) == 0);
    if (tg_modbus_point_finish(&p, NULL, &err) < 0)
        fail_msg("%s: %s", id, err.text);
    return p;
}

static bool near(double a, double b)
{
    return fabs(a - b) <= 1e-12 * fmax(fabs(a), fabs(b));
}

static double as_double(struct tg_value v)
{
    return v.type == TG_VALUE_INT    ? (double)v.as.integer
           : v.type == TG_VALUE_UINT ? (double)v.as.uinteger
           : v.type == TG_VALUE_REAL ? v.as.real
                                     : nan("");
}

static void check_raw(const json_t *raw, struct tg_value v)
{
    switch (json_typeof(raw)) {
    case JSON_TRUE:
    case JSON_FALSE:
        CHECK(v.type == TG_VALUE_BOOL && v.as.boolean == json_is_true(raw));
        break;
    case JSON_INTEGER:
        CHECK(v.type == TG_VALUE_INT || v.type == TG_VALUE_UINT || v.type == TG_VALUE_REAL);
        if (v.type == TG_VALUE_INT)
            CHECK(v.as.integer == json_integer_value(raw));
        else if (v.type == TG_VALUE_UINT)
            CHECK(json_integer_value(raw) >= 0 && v.as.uinteger == (uint64_t)json_integer_value(raw));
        else
            CHECK(near(v.as.real, (double)json_integer_value(raw)));
        break;
    case JSON_REAL:
        /* bit for bit, -0.0 included */
        CHECK(v.type == TG_VALUE_REAL && memcmp(&v.as.real, &(double){json_real_value(raw)}, 8) == 0);
        break;
    case JSON_STRING: /* a text, or an integer beyond 64 signed bits */
        if (v.type == TG_VALUE_UINT)
            CHECK(v.as.uinteger == strtoull(json_string_value(raw), NULL, 10));
        else
            CHECK(v.type == TG_VALUE_TEXT &&
                  tg_bytes_eq_str(tg_bytes(v.as.text, v.text_len), json_string_value(raw)));
        break;
    default:
        fail_msg("%s: unexpected raw", id);
    }
}

static void read_vector(const json_t *v)
{
    struct tg_modbus_point p = point_of(v);
    const json_t *expect = json_object_get(v, "expect"), *words_json = json_object_get(v, "words");
    const json_t *raw = json_object_get(expect, "raw"), *scaled = json_object_get(expect, "value");
    const char *quality = text_of(expect, "quality", "good"),
               *error = json_string_value(json_object_get(expect, "error"));
    uint16_t words[125] = {0};
    char text[TG_MODBUS_TEXT_BYTES];
    struct tg_value value;
    size_t i, n = json_array_size(words_json);
    const json_t *w;
    json_array_foreach(words_json, i, w) words[i] = (uint16_t)strtoul(json_string_value(w), NULL, 16);
    if (json_object_get(v, "bits")) {
        n = json_array_size(json_object_get(v, "bits"));
        json_array_foreach(json_object_get(v, "bits"), i, w) words[i] = (uint16_t)json_integer_value(w);
    }
    CHECK(n == p.count);
    enum tg_modbus_reading r = tg_modbus_point_decode(&p, words, text, &value);
    if (error) {
        assert_string_equal(tg_modbus_reading_name(r), error);
        CHECK(value.type == TG_VALUE_NONE && tg_modbus_reading_quality(r) != TG_QUALITY_GOOD);
        return;
    }
    if (strcmp(quality, "bad") == 0) {
        CHECK(r != TG_MODBUS_READING_GOOD && value.type == TG_VALUE_NONE);
        CHECK(tg_modbus_reading_quality(r) != TG_QUALITY_GOOD);
        return;
    }
    CHECK(r == TG_MODBUS_READING_GOOD);
    double scale = number_of(v, "scale", 1), offset = number_of(v, "offset", 0);
    bool sf = p.type == TG_MODBUS_INT16_SF || p.type == TG_MODBUS_UINT16_SF;
    if (raw && sf) /* the mantissa: the point's own value has its exponent applied */
        CHECK((int16_t)words[0] == json_integer_value(raw));
    else if (raw)
        check_raw(raw, value);
    struct tg_value after = tg_modbus_scale(value, scale, offset);
    if (scaled)
        CHECK(near(as_double(after), json_number_value(scaled)));
    const json_t *range = json_object_get(v, "range");
    if (range) {
        double lo = json_number_value(json_array_get(range, 0)),
               hi = json_number_value(json_array_get(range, 1));
        bool outside = as_double(after) < lo || as_double(after) > hi;
        CHECK(outside == (strcmp(quality, "uncertain") == 0));
    }
}

static void write_vector(const json_t *v)
{
    struct tg_modbus_point p = point_of(v);
    const json_t *expect = json_object_get(v, "expect"), *value = json_object_get(v, "value"), *w;
    const char *error = json_string_value(json_object_get(expect, "error"));
    struct tg_modbus_write out;
    struct tg_error err = {0};
    struct tg_value in = json_is_boolean(value)   ? tg_value_bool(json_is_true(value))
                         : json_is_integer(value) ? tg_value_int(json_integer_value(value))
                         : json_is_string(value)
                             ? tg_value_text(json_string_value(value), strlen(json_string_value(value)))
                             : tg_value_real(json_real_value(value));
    in = tg_modbus_unscale(in, number_of(v, "scale", 1), number_of(v, "offset", 0));
    int rc = tg_modbus_point_encode(&p, &in, &out, &err);
    if (error) {
        CHECK(rc == (strcmp(error, "out_of_range") == 0 ? TG_ERANGE : TG_EINVAL));
        return;
    }
    if (rc < 0)
        fail_msg("%s: %s", id, err.text);
    size_t i, n = json_array_size(json_object_get(expect, "words"));
    json_array_foreach(json_object_get(expect, "words"), i, w)
        CHECK(out.words[i] == strtoul(json_string_value(w), NULL, 16));
    if (json_object_get(expect, "coil")) {
        CHECK(out.kind == TG_MODBUS_WRITE_COIL);
        CHECK((out.words[0] ? 0xFF00u : 0u) == strtoul(text_of(expect, "coil", ""), NULL, 16));
    } else {
        CHECK(out.kind == TG_MODBUS_WRITE_WORDS && out.count == n);
    }
    int fc = out.kind == TG_MODBUS_WRITE_COIL ? TG_MODBUS_WRITE_ONE_COIL
             : out.count == 1                 ? TG_MODBUS_WRITE_ONE_REGISTER
                                              : TG_MODBUS_WRITE_REGISTERS;
    CHECK(fc == json_integer_value(json_object_get(expect, "fc")));
}

static void values(void **state)
{
    (void)state;
    json_t *root = tg_vectors_load("southbound/modbus_values.json"), *v;
    json_t *vectors = json_object_get(root, "vectors");
    size_t i;
    assert_true(json_array_size(vectors) > 0);
    json_array_foreach(vectors, i, v)
    {
        id = text_of(v, "id", "?");
        if (strcmp(text_of(v, "op", "read"), "write") == 0)
            write_vector(v);
        else
            read_vector(v);
    }
    print_message("%zu vectors\n", json_array_size(vectors));
    json_decref(root);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(values)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
