/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * SenML's golden packs: the test's own reader resolves them as they say (which shows that it judges rightly), and what the
 * product writes from the same measurements resolves to the same.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <math.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "northbound/format.h"
#include "support/senml_pack.h"
#include "support/vectors.h"

#define MAX_SAMPLES 32

static bool same_value(const json_t *got, const json_t *want)
{
    if (json_is_number(got) && json_is_number(want))
        return json_number_value(got) == json_number_value(want);
    return json_equal(got, want);
}

static void same_records(const char *id, const json_t *got, const json_t *want)
{
    static const char *const fields[] = {"n", "u", "v", "vs", "vb", "vd"};
    assert_non_null(got);
    if (json_array_size(got) != json_array_size(want))
        fail_msg("%s: %zu records, not %zu", id, json_array_size(got), json_array_size(want));
    for (size_t i = 0; i < json_array_size(want); i++) {
        const json_t *g = json_array_get(got, i), *w = json_array_get(want, i);
        double t = json_number_value(json_object_get(g, "t"));
        for (size_t f = 0; f < 6; f++) {
            const json_t *a = json_object_get(g, fields[f]), *b = json_object_get(w, fields[f]);
            if ((a || b) && !(a && b && same_value(a, b)))
                fail_msg("%s: record %zu: %s differs", id, i, fields[f]);
        }
        if (fabs(t - json_number_value(json_object_get(w, "t"))) > 1e-6)
            fail_msg("%s: record %zu: t is %.6f", id, i, t);
    }
}

static json_t *resolve_and_free(json_t *pack)
{
    json_t *records = senml_resolve(pack);
    json_decref(pack);
    return records;
}

static void golden_packs_resolve(void **state)
{
    json_t *root = tg_vectors_load("southbound/senml.json"), *vector;
    size_t i;
    (void)state;
    json_array_foreach(json_object_get(root, "vectors"), i, vector)
    {
        const char *id = json_string_value(json_object_get(vector, "id"));
        const json_t *want = json_object_get(vector, "resolved");
        uint8_t cbor[4096];
        long len = tg_vectors_hex(json_string_value(json_object_get(vector, "cbor_hex")), cbor, sizeof cbor);
        assert_true(len > 0);
        json_t *a = senml_resolve(json_object_get(vector, "json"));
        json_t *b = resolve_and_free(senml_from_cbor(cbor, (size_t)len));
        same_records(id, a, want);
        same_records(id, b, want);
        json_decref(a);
        json_decref(b);
    }
    assert_true(i > 0);
    json_decref(root);
}

/* --- what the product writes --------------------------------------------------------------------- */

/* "gw1/meter1/voltage" is gateway, device, point; "urn:dev:ow:…:voltage" device and point. */
struct named {
    char gateway[256], device[256];
    const json_t *records;
};

static const char *split(const char *full, struct named *ret)
{
    const char *slash = strrchr(full, '/'), *colon = strrchr(full, ':');
    const char *cut = slash ? slash : colon;
    if (!cut)
        return NULL;
    snprintf(ret->device, sizeof ret->device, "%.*s", (int)(cut - full), full);
    ret->gateway[0] = '\0';
    if (slash) {
        char *middle = strchr(ret->device, '/');
        if (!middle)
            return NULL;
        *middle = '\0';
        snprintf(ret->gateway, sizeof ret->gateway, "%s", ret->device);
        memmove(ret->device, middle + 1, strlen(middle + 1) + 1);
    }
    return cut + 1;
}

static const char *unit_of(void *user, struct tg_bytes point)
{
    const struct named *n = user;
    json_t *record;
    size_t i;
    json_array_foreach(n->records, i, record)
    {
        const char *name = json_string_value(json_object_get(record, "n"));
        size_t len = strlen(name);
        if (len > point.len && memcmp(name + len - point.len, point.data, point.len) == 0 &&
            strchr(":/", name[len - point.len - 1]))
            return json_object_get(record, "u") ? json_string_value(json_object_get(record, "u")) : "";
    }
    return "";
}

static bool value_from(const json_t *record, struct tg_value *ret)
{
    const json_t *v = json_object_get(record, "v"), *vb = json_object_get(record, "vb"),
                 *vs = json_object_get(record, "vs");
    if (json_is_real(v))
        *ret = tg_value_real(json_real_value(v));
    else if (json_is_integer(v))
        *ret = tg_value_int(json_integer_value(v));
    else if (vb)
        *ret = tg_value_bool(json_is_true(vb));
    else if (vs)
        *ret = tg_value_text(json_string_value(vs), strlen(json_string_value(vs)));
    else
        return false;
    return true;
}

/* A sample for each run of records of one time; 0 when the vector has what no sample can hold (vd). */
static uint32_t make_samples(const json_t *records, struct named *n, struct tg_format_sample *samples,
                             uint8_t (*memory)[1024])
{
    uint32_t count = 0;
    size_t size = json_array_size(records);
    n->records = records;
    for (size_t i = 0; i < size;) {
        double t = json_number_value(json_object_get(json_array_get(records, i), "t"));
        size_t end = i;
        while (end < size && json_number_value(json_object_get(json_array_get(records, end), "t")) == t)
            end++;
        assert_true(count < MAX_SAMPLES);
        struct tg_writer w = tg_writer_init(memory[count], 1024);
        tg_sample_begin(&w, llround(t * 1000), (uint32_t)(end - i));
        for (; i < end; i++) {
            const json_t *record = json_array_get(records, i);
            struct tg_named_value v = {.quality = TG_QUALITY_GOOD};
            const char *point = split(json_string_value(json_object_get(record, "n")), n);
            if (!point || !value_from(record, &v.value))
                return 0;
            v.name = tg_bytes_str(point);
            tg_sample_value(&w, &v);
        }
        assert_false(w.failed);
        samples[count].seq = 100 + count;
        samples[count].body = tg_bytes(w.data, w.len);
        count++;
    }
    return count;
}

static void what_is_written_resolves_to_the_same(void **state)
{
    json_t *root = tg_vectors_load("southbound/senml.json"), *vector;
    size_t i, tried = 0;
    (void)state;
    json_array_foreach(json_object_get(root, "vectors"), i, vector)
    {
        static uint8_t memory[MAX_SAMPLES][1024];
        const char *id = json_string_value(json_object_get(vector, "id"));
        const json_t *want = json_object_get(vector, "resolved");
        struct tg_format_sample samples[MAX_SAMPLES];
        struct named n;
        uint8_t out[8192];
        uint32_t count = make_samples(want, &n, samples, memory);
        struct tg_format_context c = {
            .device = n.device, .gateway = n.gateway[0] ? n.gateway : NULL, .unit = unit_of, .user = &n};
        if (count == 0)
            continue;
        tried++;
        struct tg_writer w = tg_writer_init(out, sizeof out);
        assert_int_equal(tg_format_find("senml")->write(&c, samples, count, sizeof out, &w), count);
        json_t *a = resolve_and_free(senml_from_json(w.data, w.len));
        w = tg_writer_init(out, sizeof out);
        assert_int_equal(tg_format_find("senml-cbor")->write(&c, samples, count, sizeof out, &w), count);
        json_t *b = resolve_and_free(senml_from_cbor(w.data, w.len));
        same_records(id, a, want);
        same_records(id, b, want);
        json_decref(a);
        json_decref(b);
    }
    assert_true(tried > 0);
    json_decref(root);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(golden_packs_resolve),
                                       cmocka_unit_test(what_is_written_resolves_to_the_same)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
