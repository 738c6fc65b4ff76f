/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * Sparkplug payloads against what Eclipse Tahu writes (vectors/cloud/sparkplug_payloads.json): the same bytes from the same
 * metrics, and the same metrics from the bytes.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <cmocka.h>

#include "northbound/sparkplug_payload.h"
#include "support/vectors.h"

static const char *const type_names[] = {"Unknown", "Int8",     "Int16",  "Int32", "Int64",  "UInt8",
                                         "UInt16",  "UInt32",   "UInt64", "Float", "Double", "Boolean",
                                         "String",  "DateTime", "Text",   "UUID"};

static uint32_t datatype_of(const json_t *metric)
{
    const char *name = json_string_value(json_object_get(metric, "type"));
    for (uint32_t i = 1; name && i < sizeof type_names / sizeof type_names[0]; i++)
        if (strcmp(type_names[i], name) == 0)
            return i;
    fail_msg("unknown type %s", name ? name : "(none)");
    return 0;
}

/* An integer is a number, or its digits when JSON cannot hold it. */
static uint64_t bits_of(const json_t *v)
{
    const char *text = json_string_value(v);
    if (!text)
        return (uint64_t)json_integer_value(v);
    return text[0] == '-' ? (uint64_t)strtoll(text, NULL, 10) : strtoull(text, NULL, 10);
}

static struct tg_sparkplug_metric metric_of(const json_t *j)
{
    const json_t *value = json_object_get(j, "value"), *alias = json_object_get(j, "alias"),
                 *time = json_object_get(j, "timestamp");
    struct tg_sparkplug_metric m = {.name = json_string_value(json_object_get(j, "name")),
                                    .has_alias = alias != NULL,
                                    .alias = bits_of(alias),
                                    .has_time = time != NULL,
                                    .time_ms = bits_of(time),
                                    .datatype = datatype_of(j),
                                    .null = json_is_null(value)};
    if (m.null)
        return m;
    switch (m.datatype) {
    case TG_SPARKPLUG_FLOAT:
        m.field = TG_SPARKPLUG_FIELD_FLOAT;
        m.as.f32 = (float)json_number_value(value);
        break;
    case TG_SPARKPLUG_DOUBLE:
        m.field = TG_SPARKPLUG_FIELD_DOUBLE;
        m.as.f64 = json_number_value(value);
        break;
    case TG_SPARKPLUG_BOOLEAN:
        m.field = TG_SPARKPLUG_FIELD_BOOLEAN;
        m.as.boolean = json_is_true(value);
        break;
    case TG_SPARKPLUG_STRING:
    case TG_SPARKPLUG_TEXT:
    case TG_SPARKPLUG_UUID:
        m.field = TG_SPARKPLUG_FIELD_STRING;
        m.as.text = json_string_value(value);
        break;
    case TG_SPARKPLUG_INT64:
    case TG_SPARKPLUG_UINT64:
    case TG_SPARKPLUG_UINT32: /* Tahu writes these 32 bits into the field of 64 */
    case TG_SPARKPLUG_DATETIME:
        m.field = TG_SPARKPLUG_FIELD_LONG;
        m.as.u64 = bits_of(value);
        break;
    default:
        m.field = TG_SPARKPLUG_FIELD_INT;
        m.as.u32 = (uint32_t)bits_of(value);
        break;
    }
    return m;
}

static void encode(const json_t *payload, struct tg_writer *w)
{
    const json_t *metric, *seq = json_object_get(payload, "seq");
    size_t i;
    tg_sparkplug_begin(w, json_integer_value(json_object_get(payload, "timestamp")));
    json_array_foreach(json_object_get(payload, "metrics"), i, metric)
    {
        struct tg_sparkplug_metric m = metric_of(metric);
        tg_sparkplug_put(w, &m);
    }
    if (seq)
        tg_sparkplug_end(w, (uint8_t)json_integer_value(seq));
}

static void assert_value(const struct tg_sparkplug_metric *m, const json_t *want)
{
    struct tg_value v;
    if (json_is_null(want)) {
        assert_true(m->null);
        assert_false(tg_sparkplug_get(m, 0, &v));
        return;
    }
    assert_true(tg_sparkplug_get(m, 0, &v));
    switch (v.type) {
    case TG_VALUE_BOOL:
        assert_int_equal(v.as.boolean, json_is_true(want));
        break;
    case TG_VALUE_REAL:
        assert_true(v.as.real >= json_number_value(want) && v.as.real <= json_number_value(want));
        break;
    case TG_VALUE_TEXT:
        assert_string_equal(v.as.text, json_string_value(want));
        break;
    default: /* Tahu gives an Int64 back as if it were unsigned: the bits count */
        assert_true((v.type == TG_VALUE_INT ? (uint64_t)v.as.integer : v.as.uinteger) == bits_of(want));
        break;
    }
}

static void decode(const uint8_t *bytes, size_t len, const json_t *want)
{
    struct tg_sparkplug_reader r;
    struct tg_sparkplug_metric m;
    struct tg_error err = {0};
    const json_t *metric, *seq = json_object_get(want, "seq");
    size_t i;
    assert_int_equal(tg_sparkplug_read(tg_bytes(bytes, len), &r, &err), TG_OK);
    assert_true(r.has_time && r.time_ms == bits_of(json_object_get(want, "timestamp")));
    assert_int_equal(r.has_seq, seq != NULL);
    assert_true(!seq || r.seq == bits_of(seq));
    json_array_foreach(json_object_get(want, "metrics"), i, metric)
    {
        const char *name = json_string_value(json_object_get(metric, "name"));
        assert_true(tg_sparkplug_next(&r, &m));
        assert_int_equal(m.name != NULL, name != NULL);
        if (name)
            assert_string_equal(m.name, name);
        assert_int_equal(m.has_alias, json_object_get(metric, "alias") != NULL);
        assert_true(m.alias == bits_of(json_object_get(metric, "alias")));
        assert_int_equal(m.datatype, datatype_of(metric));
        assert_int_equal(m.has_time, json_object_get(metric, "timestamp") != NULL);
        assert_true(m.time_ms == bits_of(json_object_get(metric, "timestamp")));
        assert_value(&m, json_object_get(metric, "value"));
    }
    assert_false(tg_sparkplug_next(&r, &m));
    tg_sparkplug_read_end(&r);
}

static void test_payloads(void **state)
{
    json_t *root = tg_vectors_load("cloud/sparkplug_payloads.json"), *vector;
    size_t i;
    (void)state;
    assert_true(json_array_size(json_object_get(root, "vectors")) > 0);
    json_array_foreach(json_object_get(root, "vectors"), i, vector)
    {
        uint8_t want[65536], got[65536];
        struct tg_writer w = tg_writer_init(got, sizeof got);
        long n = tg_vectors_hex(json_string_value(json_object_get(vector, "hex")), want, sizeof want);
        assert_true(n > 0);
        encode(json_object_get(vector, "payload"), &w);
        assert_false(w.failed);
        if (w.len != (size_t)n || memcmp(got, want, w.len) != 0)
            fail_msg("%s: other bytes", json_string_value(json_object_get(vector, "name")));
        decode(want, (size_t)n, json_object_get(vector, "decoded"));
    }
    json_decref(root);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_payloads)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
