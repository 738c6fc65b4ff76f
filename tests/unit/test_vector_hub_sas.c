/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * The test hub's own checker against the golden tokens: whoever judges the product must be right first.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <cmocka.h>
#include <jansson.h>

#include "tests/peers/hub_sas.h"
#include "tests/peers/hub_topics.h"

static json_t *load_vectors(const char *name)
{
    const char *source = getenv("TIDEGATE_SOURCE"), *given = getenv("TIDEGATE_VECTORS");
    char shared[4096], own[4096], path[8192];
    struct stat st;
    assert_non_null(source);
    snprintf(shared, sizeof shared, "%s/../shared/vectors", source);
    snprintf(own, sizeof own, "%s/tests/vectors", source);
    const char *folder = given && given[0] ? given : stat(shared, &st) == 0 ? shared : own;
    snprintf(path, sizeof path, "%s/cloud/%s", folder, name);
    json_error_t error;
    json_t *root = json_load_file(path, 0, &error);
    if (!root) {
        fail_msg("%s:%d: %s", path, error.line, error.text);
    }
    return root;
}

static const char *text(const json_t *object, const char *key)
{
    return json_string_value(json_object_get(object, key));
}

static void test_golden_tokens(void **state)
{
    (void)state;
    json_t *root = load_vectors("sas_tokens.json"), *token;
    size_t i;
    assert_true(json_array_size(json_object_get(root, "tokens")) > 0);
    json_array_foreach(json_object_get(root, "tokens"), i, token)
    {
        struct hub_sas sas;
        const char *why = hub_sas_parse(text(token, "token"), &sas);
        print_message("%s\n", text(token, "note"));
        assert_null(why);
        assert_string_equal(sas.raw_resource, text(token, "sr"));
        assert_int_equal(sas.expiry, json_integer_value(json_object_get(token, "expiry")));
        assert_string_equal(sas.policy, text(token, "skn") ? text(token, "skn") : "");
        assert_true(hub_sas_verify(&sas, text(token, "key_b64")));
        if (text(token, "resource")) {
            assert_string_equal(sas.resource, text(token, "resource"));
            assert_true(hub_sas_covers(&sas, text(token, "resource")));
        }
        sas.signature[i % sizeof sas.signature] ^= 1;
        assert_false(hub_sas_verify(&sas, text(token, "key_b64")));
    }
    json_decref(root);
}

static void test_broken_tokens(void **state)
{
    (void)state;
    static const char sig[] = "sig=oqEOlltdgYIdzuGJanIBwr2YbFjHUgUz%2BZzjMCabcOA%3D";
    static const char *const broken[] = {
        "",
        "SharedAccessSignature ",
        "SharedAccessSignature sr=h%2Fd&se=1",
        "SharedAccessSignature sr=h&%s",
        "SharedAccessSignature %s&se=1",
        "SharedAccessSignature sr=h&%s&se=1&se=1",
        "SharedAccessSignature sr=h&%s&se=1x",
        "SharedAccessSignature sr=h&%s&se=",
        "SharedAccessSignature sr=h&%s&se=1&",
        "SharedAccessSignature sr=h&%s&se=1&sk=a",
        "SharedAccessSignature sr=h%%2&%s&se=1",
        "SharedAccessSignature sr=h%%00&%s&se=1",
        "SharedAccessSignature sr=h&%s&se=1234567890123456789",
        "SharedAccessSignature sr=h&sig=oqEOlltdgYIdzuGJanIBwr2YbFjHUgUz%%2BZzjMCabcOA&se=1",
        "SharedAccessSignature sr=h&sig=AAAA&se=1",
        "sharedaccesssignature sr=h&%s&se=1",
    };
    struct hub_sas sas;
    for (size_t i = 0; i < sizeof broken / sizeof broken[0]; i++) {
        char token[512];
        const char *hole = strstr(broken[i], "%s");
        snprintf(token, sizeof token, "%.*s%s%s", (int)(hole ? hole - broken[i] : 400), broken[i],
                 hole ? sig : "", hole ? hole + 2 : "");
        if (!hub_sas_parse(token, &sas)) {
            fail_msg("taken: %s", token);
        }
    }
}

static void test_coverage_is_by_whole_segments(void **state)
{
    (void)state;
    struct hub_sas sas = {.resource = "Hub.Example/devices/a"};
    assert_true(hub_sas_covers(&sas, "hub.example/devices/a"));
    assert_true(hub_sas_covers(&sas, "hub.example/devices/a/modules/m"));
    assert_false(hub_sas_covers(&sas, "hub.example/devices/ab"));
    assert_false(hub_sas_covers(&sas, "hub.example/devices/A"));
    assert_false(hub_sas_covers(&sas, "hub.example/devices"));
    assert_false(hub_sas_covers(&sas, "hub.example.net/devices/a"));
}

static void test_property_bytes(void **state)
{
    (void)state;
    static const struct {
        const char *bag;
        int bytes; /* -1 = refused */
    } bags[] = {{"", 0},     {"a=b", 2},      {"%24.mid=xyz", 3}, {"$.mid=xyz&k=", 4}, {"k", 1},
                {"a=b/", 2}, {"a=%C3%A4", 3}, {"a=b&", -1},       {"=b", -1},          {"a=%2", -1},
                {"&", -1},   {"a/b=c", -1},   {"a=b&&c", -1},     {"a=%00", -1}};
    for (size_t i = 0; i < sizeof bags / sizeof bags[0]; i++) {
        char topic[128];
        size_t bytes;
        bool telemetry;
        snprintf(topic, sizeof topic, "devices/d/messages/events/%s", bags[i].bag);
        const char *why = hub_publish_check("d", topic, &bytes, &telemetry);
        assert_int_equal(why == NULL, bags[i].bytes >= 0);
        if (!why) {
            assert_int_equal(bytes, bags[i].bytes);
        }
    }
}

static void test_names(void **state)
{
    (void)state;
    char longest[HUB_DEVICE_ID_MAX + 2];
    memset(longest, 'a', sizeof longest);
    longest[HUB_DEVICE_ID_MAX] = '\0';
    assert_true(hub_name_valid(longest));
    assert_true(hub_name_valid("a-.%_*?!(),:=@$'Z9/module"));
    longest[HUB_DEVICE_ID_MAX] = 'a';
    longest[HUB_DEVICE_ID_MAX + 1] = '\0';
    assert_false(hub_name_valid(longest));
    assert_false(hub_name_valid(""));
    assert_false(hub_name_valid("a+b"));
    assert_false(hub_name_valid("a#"));
    assert_false(hub_name_valid("a b"));
    assert_false(hub_name_valid("a/b/c"));
    assert_false(hub_name_valid("\xc3\xa4"));
}

static void test_derived_keys(void **state)
{
    (void)state;
    json_t *root = load_vectors("dps_derived_keys.json"), *key;
    size_t i;
    assert_true(json_array_size(json_object_get(root, "keys")) > 0);
    json_array_foreach(json_object_get(root, "keys"), i, key)
    {
        char derived[HUB_SAS_KEY_MAX];
        assert_true(
            hub_sas_derive(text(key, "master_b64"), text(key, "registration_id"), derived, sizeof derived));
        assert_string_equal(derived, text(key, "derived_b64"));
        assert_false(hub_sas_derive("no base64", text(key, "registration_id"), derived, sizeof derived));
    }
    json_decref(root);
}

static void test_registrations(void **state)
{
    (void)state;
    static const char scope[] = "0ne00A1B2C3";
    static const char *const good[] = {
        "0ne00A1B2C3/registrations/dev-a/api-version=2019-03-31",
        "0ne00A1B2C3/registrations/dev-a/"
        "api-version=2019-03-31&ClientVersion=azure-iot-provisioning-device%2F1.9.1",
        "0ne00A1B2C3/registrations/dev-a/api-version=2025-07-01-preview&ClientVersion=x"};
    static const char *const bad[] = {
        "",
        "dev-a",
        "0ne00A1B2C4/registrations/dev-a/api-version=2019-03-31",
        "0ne00A1B2C3/registrations/dev-b/api-version=2019-03-31",
        "0ne00A1B2C3/registrations/dev-a/?api-version=2019-03-31",
        "0ne00A1B2C3/registrations/dev-a/api-version=",
        "0ne00A1B2C3/registrations/dev-a/api-version=2019-03-31&ClientVersion=%2",
        "0ne00A1B2C3/registrations/dev-a/api-version=2019-03-31&Other=1"};
    for (size_t i = 0; i < sizeof good / sizeof good[0]; i++) {
        assert_null(dps_username_check(good[i], "dev-a", scope));
    }
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        assert_non_null(dps_username_check(bad[i], "dev-a", scope));
    }
    assert_true(dps_name_valid("a-b.c_d:9"));
    assert_false(dps_name_valid("") || dps_name_valid("a/b") || dps_name_valid("a b") ||
                 dps_name_valid("ab."));
    assert_null(dps_publish_check("$dps/registrations/PUT/iotdps-register/?$rid=1"));
    assert_null(dps_publish_check("$dps/registrations/GET/iotdps-get-operationstatus/?$rid=1&operationId=2"));
    assert_non_null(dps_publish_check("$dps/registrations/GET/iotdps-get-operationstatus/?$rid=1"));
    assert_non_null(dps_publish_check("$dps/registrations/PUT/iotdps-register/"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_golden_tokens),
        cmocka_unit_test(test_broken_tokens),
        cmocka_unit_test(test_coverage_is_by_whole_segments),
        cmocka_unit_test(test_property_bytes),
        cmocka_unit_test(test_names),
        cmocka_unit_test(test_derived_keys),
        cmocka_unit_test(test_registrations),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
