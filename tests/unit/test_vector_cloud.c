/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * Percent-encoding, SAS tokens and property bags against what the hub's own SDK sends (vectors/cloud).
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <cmocka.h>

#include <wolfssl/options.h>
#include <wolfssl/wolfcrypt/coding.h>

#include "northbound/azure_sas.h"
#include "northbound/percent.h"
#include "northbound/property_bag.h"
#include "support/vectors.h"

static const char *text(const json_t *o, const char *key)
{
    return json_string_value(json_object_get(o, key));
}

static void assert_encodes(const char *plain, enum tg_percent_set set, const char *want)
{
    char out[1024];
    struct tg_writer w = tg_writer_init(out, sizeof out), back;
    char decoded[1024];
    tg_percent_encode(&w, tg_bytes_str(plain), set);
    assert_int_equal(tg_writer_cstr(&w), 0);
    assert_string_equal(out, want);
    back = tg_writer_init(decoded, sizeof decoded);
    assert_int_equal(tg_percent_decode(&back, tg_bytes_str(out)), 0);
    assert_int_equal(tg_writer_cstr(&back), 0);
    assert_string_equal(decoded, plain);
}

static void test_percent_table(void **state)
{
    json_t *root = tg_vectors_load("cloud/percent_encoding_ascii.json"), *row;
    size_t i;
    (void)state;
    assert_true(json_array_size(json_object_get(root, "rows")) > 0);
    json_array_foreach(json_object_get(root, "rows"), i, row)
    {
        const char *c = json_string_value(json_array_get(row, 0));
        assert_encodes(c, TG_PERCENT_SAS, json_string_value(json_array_get(row, 1)));
        assert_encodes(c, TG_PERCENT_PROPERTY, json_string_value(json_array_get(row, 2)));
        assert_encodes(c, TG_PERCENT_PROPERTY, json_string_value(json_array_get(row, 3)));
    }
    json_decref(root);
}

/* Entries without `resource` have an sr that another SDK encoded in its own way: for a verifying server. An sr that is
 * the resource unencoded is one SDK's oddity for DPS; the hub takes the encoded form, which is what we send. */
static void test_sas_tokens(void **state)
{
    json_t *root = tg_vectors_load("cloud/sas_tokens.json"), *t;
    size_t i, made = 0;
    (void)state;
    json_array_foreach(json_object_get(root, "tokens"), i, t)
    {
        const char *resource = text(t, "resource"), *key_b64 = text(t, "key_b64"), *sr = text(t, "sr");
        uint8_t key[256];
        char out[2048];
        struct tg_writer w = tg_writer_init(out, sizeof out);
        word32 key_len = sizeof key;
        if (!resource || (strchr(resource, '/') && strcmp(resource, sr) == 0))
            continue;
        assert_int_equal(Base64_Decode((const byte *)key_b64, (word32)strlen(key_b64), key, &key_len), 0);
        assert_int_equal(tg_azure_sas_token(&w, tg_bytes_str(resource), tg_bytes(key, key_len),
                                            text(t, "skn"), json_integer_value(json_object_get(t, "expiry"))),
                         0);
        assert_int_equal(tg_writer_cstr(&w), 0);
        assert_string_equal(out, text(t, "token"));
        made++;
    }
    assert_true(made > 0);
    json_decref(root);
}

static void test_sas_is_bounded(void **state)
{
    char out[300];
    uint8_t key[32] = {1};
    (void)state;
    for (size_t cap = 0; cap < sizeof out; cap++) {
        struct tg_writer w = tg_writer_init(out, cap);
        int rc = tg_azure_sas_token(&w, tg_bytes_str("hub.example/devices/d"), tg_bytes(key, sizeof key),
                                    NULL, 1700000000);
        assert_true(rc == 0 || rc == TG_ETOOBIG);
        assert_true(w.len <= cap);
    }
}

static void put_system(struct tg_writer *w, bool *first, const json_t *system)
{
    static const char *const names[][2] = {{"messageId", "$.mid"},    {"correlationId", "$.cid"},
                                           {"userId", "$.uid"},       {"to", "$.to"},
                                           {"contentType", "$.ct"},   {"contentEncoding", "$.ce"},
                                           {"interfaceId", "$.ifid"}, {"expiryTimeUtc", "$.exp"}};
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++)
        if (text(system, names[i][0]))
            tg_property_bag_put(w, first, tg_bytes_str(names[i][1]), tg_bytes_str(text(system, names[i][0])));
}

static void test_bags_as_sent(void **state)
{
    json_t *root = tg_vectors_load("cloud/azure_property_bags.json"), *m, *p;
    size_t i, k;
    (void)state;
    assert_true(json_array_size(json_object_get(root, "d2c")) > 0);
    json_array_foreach(json_object_get(root, "d2c"), i, m)
    {
        const char *topic = text(m, "topic"), *bag = strstr(topic, "/events/") + strlen("/events/");
        char out[1024];
        struct tg_writer w = tg_writer_init(out, sizeof out);
        bool first = true;
        put_system(&w, &first, json_object_get(m, "system"));
        json_array_foreach(json_object_get(m, "app_properties"), k, p)
        {
            const char *name = json_string_value(json_array_get(p, 0));
            if (strcmp(name, "dt-subject") == 0) /* the SDK's name for the component */
                name = "$.sub";
            tg_property_bag_put(&w, &first, tg_bytes_str(name),
                                tg_bytes_str(json_string_value(json_array_get(p, 1))));
        }
        assert_int_equal(tg_writer_cstr(&w), 0);
        assert_string_equal(out, bag);
    }
    json_decref(root);
}

static void assert_property(const struct tg_property *p, const char *name, const json_t *value)
{
    assert_true(tg_bytes_eq_str(p->name, name));
    assert_int_equal(p->is_null, json_is_null(value));
    if (!p->is_null)
        assert_true(tg_bytes_eq_str(p->value, json_string_value(value)));
}

static void test_bags_as_received(void **state)
{
    json_t *root = tg_vectors_load("cloud/azure_property_bags.json"), *m;
    size_t i;
    (void)state;
    json_array_foreach(json_object_get(root, "c2d_decode"), i, m)
    {
        const char *bag = strstr(text(m, "topic"), "/devicebound/") + strlen("/devicebound/");
        struct tg_property_reader r = {tg_bytes_str(bag)};
        json_t *app = json_object_get(m, "app");
        char memory[1024];
        struct tg_writer scratch = tg_writer_init(memory, sizeof memory);
        struct tg_property p;
        size_t k = 0;
        int rc;
        while ((rc = tg_property_bag_next(&r, &scratch, &p)) > 0) {
            if (tg_bytes_eq_str(p.name, "$.mid"))
                assert_true(tg_bytes_eq_str(p.value, text(m, "messageId")));
            else if (tg_bytes_eq_str(p.name, "$.to"))
                assert_true(tg_bytes_eq_str(p.value, text(m, "to")));
            else {
                json_t *want = json_array_get(app, k++);
                assert_non_null(want);
                assert_property(&p, json_string_value(json_array_get(want, 0)), json_array_get(want, 1));
            }
        }
        assert_int_equal(rc, 0);
        assert_int_equal(k, json_array_size(app));
    }
    json_decref(root);
}

static void test_bags_hostile(void **state)
{
    static const struct {
        const char *bag;
        int rc;
    } cases[] = {{"%", TG_EPROTO}, {"a=%4", TG_EPROTO}, {"a=%zz", TG_EPROTO}, {"&&&", 0}, {"", 0},
                 {"=", 1},         {"==", 1},           {"a=b&%", 1}};
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        char memory[64];
        struct tg_writer scratch = tg_writer_init(memory, sizeof memory);
        struct tg_property_reader r = {tg_bytes_str(cases[i].bag)};
        struct tg_property p;
        assert_int_equal(tg_property_bag_next(&r, &scratch, &p), cases[i].rc);
    }
    {
        char memory[4];
        struct tg_writer scratch = tg_writer_init(memory, sizeof memory);
        struct tg_property_reader r = {tg_bytes_str("name=value")};
        struct tg_property p;
        assert_int_equal(tg_property_bag_next(&r, &scratch, &p), TG_ETOOBIG);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_percent_table),    cmocka_unit_test(test_sas_tokens),
        cmocka_unit_test(test_sas_is_bounded),   cmocka_unit_test(test_bags_as_sent),
        cmocka_unit_test(test_bags_as_received), cmocka_unit_test(test_bags_hostile)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
