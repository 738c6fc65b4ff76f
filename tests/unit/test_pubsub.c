/* SPDX-License-Identifier: GPL-2.0-or-later */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>

#include "northbound/pubsub/gcp_pubsub.h"
#include "northbound/pubsub/pubsub_reply.h"
#include "northbound/pubsub/pubsub_request.h"
#include "northbound/pubsub/pubsub_token.h"
#include "support/host_model.h"
#include "support/vectors.h"

/* --- requests --- */

static void test_base64(void **state)
{
    static const char *const pairs[][2] = {{"", ""},
                                           {"f", "Zg=="},
                                           {"fo", "Zm8="},
                                           {"foo", "Zm9v"},
                                           {"foob", "Zm9vYg=="},
                                           {"fooba", "Zm9vYmE="},
                                           {"foobar", "Zm9vYmFy"},
                                           {"\xff\xfe\xfb", "//77"}}; /* RFC 4648 section 10 */
    (void)state;
    for (size_t i = 0; i < sizeof pairs / sizeof pairs[0]; i++) {
        char out[16];
        for (size_t cap = 0; cap < sizeof out - 1; cap++) {
            struct tg_writer w = tg_writer_init(out, cap);
            tg_pubsub_base64(&w, tg_bytes_str(pairs[i][0]));
            assert_int_equal(w.failed, cap < strlen(pairs[i][1]));
            if (!w.failed) {
                out[w.len] = '\0';
                assert_string_equal(out, pairs[i][1]);
            }
        }
    }
}

static void test_messages_of_a_device(void **state)
{
    static const char *const extra[] = {"site=north=7", "quote=\"\x01\xff", "empty="};
    struct tg_pubsub_origin o = {.device = "m\"1",
                                 .gateway = "g",
                                 .content = {"application/senml+cbor", "", "deflate"},
                                 .extra = extra,
                                 .extra_count = 3,
                                 .ordered = true};
    struct tg_pubsub_attribute attributes[TG_PUBSUB_MAX_ATTRIBUTES];
    struct tg_pubsub_message m;
    uint8_t seq[TG_PUBSUB_SEQ_BYTES];
    char out[2048];
    struct tg_writer w = tg_writer_init(out, sizeof out);
    json_t *body, *message, *a;
    (void)state;
    tg_pubsub_body_begin(&w);
    tg_pubsub_message_of(&o, UINT64_MAX, tg_bytes_str("\x82\x01"), seq, attributes, &m);
    tg_pubsub_body_message(&w, true, &m);
    assert_true(w.len <= tg_pubsub_message_bound(&m) + strlen("{\"messages\":["));
    o.ordered = false;
    o.extra_count = 0;
    o.content.encoding = "";
    tg_pubsub_message_of(&o, 1, tg_bytes_str("x"), seq, attributes, &m);
    tg_pubsub_body_message(&w, false, &m);
    tg_pubsub_body_end(&w);
    assert_int_equal(tg_writer_cstr(&w), TG_OK);
    body = json_loads(out, 0, NULL);
    assert_non_null(body);
    message = json_array_get(json_object_get(body, "messages"), 0);
    a = json_object_get(message, "attributes");
    assert_int_equal(json_object_size(a), 8);
    assert_string_equal(json_string_value(json_object_get(a, "device")), "m\"1");
    assert_string_equal(json_string_value(json_object_get(a, "gateway")), "g");
    assert_string_equal(json_string_value(json_object_get(a, "seq")), "18446744073709551615");
    assert_string_equal(json_string_value(json_object_get(a, "contentType")), "application/senml+cbor");
    assert_string_equal(json_string_value(json_object_get(a, "contentEncoding")), "deflate");
    assert_string_equal(json_string_value(json_object_get(a, "site")), "north=7");
    assert_string_equal(json_string_value(json_object_get(a, "quote")), "\"\x01\xef\xbf\xbd");
    assert_string_equal(json_string_value(json_object_get(a, "empty")), "");
    assert_string_equal(json_string_value(json_object_get(message, "orderingKey")), "m\"1");
    message = json_array_get(json_object_get(body, "messages"), 1);
    assert_int_equal(json_object_size(json_object_get(message, "attributes")), 4);
    assert_null(json_object_get(message, "orderingKey"));
    json_decref(body);
}

static void test_path(void **state)
{
    char out[256];
    struct tg_writer w = tg_writer_init(out, sizeof out);
    (void)state;
    tg_pubsub_path(&w, "example.com:plant", "a~b%2Fc+d");
    assert_int_equal(tg_writer_cstr(&w), TG_OK);
    assert_string_equal(out, "/v1/projects/example.com:plant/topics/a~b%252Fc+d:publish");
}

static void test_attribute_texts(void **state)
{
    static const char *const bads[] = {
        "",      "novalue", "=x",           "device=x",      "gateway=x",
        "seq=1", "goog=1",  "googclient=1", "contentType=x", "contentEncoding=x"};
    char text[2000];
    struct tg_error err = {0};
    (void)state;
    for (size_t i = 0; i < sizeof bads / sizeof bads[0]; i++)
        assert_int_equal(tg_pubsub_attribute_check(bads[i], &err), TG_EINVAL);
    assert_int_equal(tg_pubsub_attribute_check("devices=x", &err), TG_OK);
    assert_int_equal(tg_pubsub_attribute_check("a=", &err), TG_OK);
    memset(text, 'k', sizeof text);
    strcpy(text + TG_PUBSUB_MAX_KEY_BYTES, "=v");
    assert_int_equal(tg_pubsub_attribute_check(text, &err), TG_OK);
    strcpy(text + TG_PUBSUB_MAX_KEY_BYTES, "k=v");
    assert_int_equal(tg_pubsub_attribute_check(text, &err), TG_ETOOBIG);
    memset(text, 'v', sizeof text);
    memcpy(text, "k=", 2);
    text[2 + TG_PUBSUB_MAX_VALUE_BYTES] = '\0';
    assert_int_equal(tg_pubsub_attribute_check(text, &err), TG_OK);
    text[2 + TG_PUBSUB_MAX_VALUE_BYTES] = 'v';
    text[3 + TG_PUBSUB_MAX_VALUE_BYTES] = '\0';
    assert_int_equal(tg_pubsub_attribute_check(text, &err), TG_ETOOBIG);
}

/* --- answers --- */

static enum tg_pubsub_verdict verdict(uint16_t status, const char *body, uint32_t messages, char *ret_text)
{
    struct tg_pubsub_reply reply;
    tg_pubsub_reply_read(status, tg_bytes_str(body), messages, &reply);
    if (ret_text)
        strcpy(ret_text, reply.text);
    assert_int_equal(reply.verdict == TG_PUBSUB_STORED, reply.text[0] == '\0');
    return reply.verdict;
}

static void test_verdicts(void **state)
{
    static const uint16_t later[] = {408, 409, 429, 499, 500, 502, 503, 504, 501, 599, 301, 302, 201, 204};
    static const uint16_t never[] = {400, 402, 403, 404, 405, 410, 411, 413, 414, 415, 422, 431};
    (void)state;
    for (size_t i = 0; i < sizeof later / sizeof later[0]; i++)
        assert_int_equal(verdict(later[i], "", 1, NULL), TG_PUBSUB_LATER);
    for (size_t i = 0; i < sizeof never / sizeof never[0]; i++)
        assert_int_equal(verdict(never[i], "<html>", 1, NULL), TG_PUBSUB_REFUSED);
    assert_int_equal(verdict(401, "", 1, NULL), TG_PUBSUB_TOKEN_REFUSED);
    assert_int_equal(verdict(200, "{\"messageIds\":[\"1\",\"2\"]}", 2, NULL), TG_PUBSUB_STORED);
}

static void test_ids_are_counted(void **state)
{
    static const char *const bads[] = {"",
                                       "{}",
                                       "[]",
                                       "null",
                                       "{\"messageIds\":[]}",
                                       "{\"messageIds\":[\"1\"]}",
                                       "{\"messageIds\":[\"1\",2]}",
                                       "{\"messageIds\":[\"1\",\"\"]}",
                                       "{\"messageIds\":[\"1\",\"2\",\"3\"]}",
                                       "{\"messageIds\":{\"a\":\"1\",\"b\":\"2\"}}",
                                       "{\"messageIds\":[\"1\",\"2\"]} x",
                                       "{\"messageIds\":[\"1\",\"2\"]",
                                       "{\"messageIds\":[\"1\",\"2\"],\"messageIds\":[\"1\",\"2\"]}"};
    (void)state;
    for (size_t i = 0; i < sizeof bads / sizeof bads[0]; i++)
        assert_int_equal(verdict(200, bads[i], 2, NULL), TG_PUBSUB_LATER);
}

static void test_error_texts(void **state)
{
    char text[TG_PUBSUB_TEXT_BYTES];
    (void)state;
    verdict(
        403,
        "{\"error\":{\"code\":403,\"message\":\"User not authorized.\",\"status\":\"PERMISSION_DENIED\"}}", 1,
        text);
    assert_non_null(
        strstr(text, "403 PERMISSION_DENIED: \"User not authorized.\"; give the service account"));
    verdict(404, "{\"error\":{\"message\":\"a\\nb\\u001b[31m\",\"status\":\"x y\"}}", 1, text);
    assert_non_null(strstr(text, "404: \"a\\x0ab\\x1b[31m\"; create the topic"));
    verdict(500, "{\"error\":\"odd\"}", 1, text);
    assert_string_equal(text, "Pub/Sub answers 500");
}

/* --- the token service --- */

static void test_token_uris(void **state)
{
    static const char *const bads[] = {"",
                                       "https://",
                                       "ftp://h/",
                                       "https:///x",
                                       "https://h:0/",
                                       "https://h:65536/",
                                       "https://h:x/",
                                       "https://h:80x/",
                                       "https://h/a b",
                                       "https://u@h/",
                                       "http://example.com/token",
                                       "https://[::1/",
                                       "https://h/\r\nX: y",
                                       "oauth2.googleapis.com"};
    struct tg_pubsub_token_uri u;
    struct tg_error err = {0};
    (void)state;
    for (size_t i = 0; i < sizeof bads / sizeof bads[0]; i++)
        assert_int_equal(tg_pubsub_token_uri_parse(bads[i], &u, &err), TG_EINVAL);
    assert_int_equal(tg_pubsub_token_uri_parse("https://oauth2.googleapis.com/token", &u, &err), TG_OK);
    assert_true(u.tls);
    assert_string_equal(u.host, "oauth2.googleapis.com");
    assert_int_equal(u.port, 443);
    assert_string_equal(u.path, "/token");
    assert_int_equal(tg_pubsub_token_uri_parse("http://127.0.0.1:8085", &u, &err), TG_OK);
    assert_false(u.tls);
    assert_int_equal(u.port, 8085);
    assert_string_equal(u.path, "/");
    assert_int_equal(tg_pubsub_token_uri_parse("https://[::1]:65535/a?b=c", &u, &err), TG_OK);
    assert_string_equal(u.host, "::1");
    assert_int_equal(u.port, 65535);
    assert_string_equal(u.path, "/a?b=c");
}

static int token_reply(uint16_t status, const char *body, enum tg_retry *ret_retry, struct tg_error *err)
{
    char token[64] = "";
    int64_t life = 0;
    int rc = tg_pubsub_token_reply(status, tg_bytes_str(body), token, sizeof token, &life, ret_retry, err);
    if (rc == TG_OK) {
        assert_string_equal(token, "ya29.a");
        assert_int_equal(life, 3599);
    } else {
        assert_true(err->text[0]);
        assert_string_equal(token, "");
    }
    return rc;
}

static void test_token_replies(void **state)
{
    static const char *const bads[] = {
        "",
        "{}",
        "{\"access_token\":\"a\"}",
        "{\"access_token\":\"a\",\"expires_in\":0}",
        "{\"access_token\":\"a b\",\"expires_in\":10}",
        "{\"access_token\":\"a\\r\\nX: y\",\"expires_in\":10}",
        "{\"access_token\":7,\"expires_in\":10}",
        "{\"access_token\":\"a\",\"expires_in\":9999999}",
        "{\"access_token\":\"aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa\","
        "\"expires_in\":10}"};
    struct tg_error err = {0};
    enum tg_retry retry;
    (void)state;
    assert_int_equal(
        token_reply(200, "{\"access_token\":\"ya29.a\",\"expires_in\":3599,\"token_type\":\"Bearer\"}",
                    &retry, &err),
        TG_OK);
    for (size_t i = 0; i < sizeof bads / sizeof bads[0]; i++) {
        assert_int_equal(token_reply(200, bads[i], &retry, &err), TG_EPROTO);
        assert_int_equal(retry, TG_RETRY_BACKOFF);
    }
    assert_int_equal(
        token_reply(400, "{\"error\":\"invalid_grant\",\"error_description\":\"Invalid JWT Signature.\"}",
                    &retry, &err),
        TG_EAUTH);
    assert_int_equal(retry, TG_RETRY_NEVER);
    assert_non_null(strstr(err.text, "\"invalid_grant\" \"Invalid JWT Signature.\""));
    assert_int_equal(token_reply(503, "", &retry, &err), TG_EAUTH);
    assert_int_equal(retry, TG_RETRY_BACKOFF);
}

/* --- the key file --- */

static char *key_file(const char *pem_of, const char *but, const char *value)
{
    json_t *root = tg_vectors_load("cloud/jwt.json"),
           *file = json_pack("{ss ss ss ss ss}", "type", "service_account", "client_email", "a@b",
                             "private_key_id", "k1", "token_uri", "https://oauth2.googleapis.com/token",
                             "private_key",
                             json_string_value(json_object_get(json_object_get(root, pem_of), "pem_pkcs8")));
    char *text;
    if (but && value)
        json_object_set_new(file, but, json_string(value));
    else if (but)
        json_object_del(file, but);
    text = json_dumps(file, 0);
    assert_non_null(text);
    json_decref(file);
    json_decref(root);
    return text;
}

static int parse(char *text, struct tg_error *err)
{
    struct tg_pubsub_key key;
    int rc = tg_pubsub_key_parse(tg_bytes_str(text), "sa.json", &key, err);
    if (rc == TG_OK) {
        assert_string_equal(key.client_email, "a@b");
        assert_string_equal(key.private_key_id, "k1");
        tg_pubsub_key_free(&key);
    } else {
        assert_non_null(strstr(err->text, "sa.json"));
        assert_null(strstr(err->text, "MII"));
    }
    free(text);
    return rc;
}

static void test_key_files(void **state)
{
    static const char *const needed[] = {"type", "client_email", "private_key_id", "token_uri",
                                         "private_key"};
    struct tg_error err = {0};
    (void)state;
    assert_int_equal(parse(key_file("rs256", NULL, NULL), &err), TG_OK);
    for (size_t i = 0; i < sizeof needed / sizeof needed[0]; i++) {
        assert_int_equal(parse(key_file("rs256", needed[i], NULL), &err), TG_EINVAL);
        assert_int_equal(parse(key_file("rs256", needed[i], ""), &err), TG_EINVAL);
    }
    assert_int_equal(parse(key_file("rs256", "type", "authorized_user"), &err), TG_EINVAL);
    assert_int_equal(parse(key_file("rs256", "client_email", "a\nb"), &err), TG_EINVAL);
    assert_int_equal(parse(key_file("rs256", "token_uri", "http://example.com/"), &err), TG_EINVAL);
    assert_int_equal(parse(key_file("es256", NULL, NULL), &err), TG_EINVAL);
    assert_non_null(strstr(err.text, "not an RSA key"));
    assert_true(parse(key_file("rs256", "private_key",
                               "-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n"),
                      &err) < 0);
    assert_int_equal(parse(strdup("-----BEGIN PRIVATE KEY-----"), &err), TG_EINVAL);
    assert_int_equal(parse(strdup(""), &err), TG_EINVAL);
    assert_int_equal(parse(strdup("[]"), &err), TG_EINVAL);
}

/* --- the rate of an ordering key --- */

static void test_pace(void **state)
{
    struct tg_pubsub_pace pace = {0};
    int64_t now_ms = 5000000, begin_ms = now_ms;
    size_t sent = 0;
    (void)state;
    assert_true(tg_pubsub_pace_due_ms(&pace) <= now_ms);
    while (now_ms <
           begin_ms + 60000) { /* whoever sends as soon as it may sends at the rate, and one second ahead */
        while (tg_pubsub_pace_due_ms(&pace) <= now_ms) {
            tg_pubsub_pace_take(&pace, now_ms, 250000);
            sent += 250000;
        }
        now_ms = tg_pubsub_pace_due_ms(&pace);
    }
    assert_in_range(sent, 60 * TG_PUBSUB_ORDERED_BYTES_PER_S, 61 * TG_PUBSUB_ORDERED_BYTES_PER_S + 500000);
    now_ms += 3600000; /* what was not used is not saved up */
    tg_pubsub_pace_take(&pace, now_ms, 1000000);
    assert_int_equal(tg_pubsub_pace_due_ms(&pace), now_ms);
}

/* --- the type's rules --- */

static int check(const char *const *pairs, const char *host, const char *tls, struct tg_error *err)
{
    static const char *const switches[] = {"off", "on", NULL};
    static const struct tg_option common_options[] = {
        {.name = "host", .type = TG_OPTION_TEXT},
        {.name = "tls", .type = TG_OPTION_ENUM, .choices = switches, .default_text = "on"},
        {.name = "format", .type = TG_OPTION_TEXT},
        {.name = "transport", .type = TG_OPTION_TEXT},
        {0}};
    const char *const both[] = {"host", host, "tls", tls, NULL}, *const only_tls[] = {"tls", tls, NULL};
    struct tg_settings *common = tg_test_settings(common_options, host ? both : only_tls),
                       *own = tg_test_settings(tg_gcp_pubsub.config.options, pairs);
    struct tg_config_cloud cloud = {.common = common, .settings = own};
    int rc = tg_gcp_pubsub.config.check_cloud(&cloud, err);
    tg_settings_free(common);
    tg_settings_free(own);
    return rc;
}

#define PAIRS(...) ((const char *const[]){__VA_ARGS__, NULL})
#define PROJECT    "project", "plant-one"
#define TOPIC      "topic", "telemetry"
#define KEY        "service_account_file", "sa.json"

static void test_rules(void **state)
{
    static const char *const projects[] = {"Plant-One", "plant_one", "1plant",
                                           "plant-",    "plant/one", "x:plant-one-is-far-too-long-for-it"};
    static const char *const topics[] = {"1topic", "google-topic", "a/b", "a b", "m\xc3\xa4h", "-ab"};
    struct tg_error err = {0};
    (void)state;
    assert_int_equal(check(PAIRS(PROJECT, TOPIC, KEY), NULL, "on", &err), TG_OK);
    assert_int_equal(check(PAIRS("project", "example.com:plant-one", TOPIC, KEY), NULL, "on", &err), TG_OK);
    for (size_t i = 0; i < sizeof projects / sizeof projects[0]; i++) {
        assert_int_equal(check(PAIRS("project", projects[i], TOPIC, KEY), NULL, "on", &err), TG_EINVAL);
        assert_int_equal(strncmp(err.text, "project:", 8), 0);
    }
    for (size_t i = 0; i < sizeof topics / sizeof topics[0]; i++) {
        assert_int_equal(check(PAIRS(PROJECT, "topic", topics[i], KEY), NULL, "on", &err), TG_EINVAL);
        assert_int_equal(strncmp(err.text, "topic:", 6), 0);
    }
    assert_int_equal(check(PAIRS(PROJECT, TOPIC), NULL, "on", &err), TG_EINVAL);
    assert_non_null(strstr(err.text, "service_account_file"));
    assert_int_equal(check(PAIRS(PROJECT, TOPIC, "auth", "none"), NULL, "on", &err), TG_EINVAL);
    assert_int_equal(check(PAIRS(PROJECT, TOPIC, "auth", "none"), NULL, "off", &err), TG_EINVAL);
    assert_int_equal(check(PAIRS(PROJECT, TOPIC, "auth", "none"), "localhost", "off", &err), TG_OK);
    assert_int_equal(check(PAIRS(PROJECT, TOPIC, KEY, "auth", "exchange"), "localhost", "on", &err), TG_OK);
}

static int check_list(const char *const *items, struct tg_error *err)
{
    struct tg_settings *own = tg_settings_new(tg_gcp_pubsub.config.options);
    struct tg_config_cloud cloud = {.settings = own};
    static const struct tg_option none[] = {{.name = "host", .type = TG_OPTION_TEXT},
                                            {.name = "tls", .type = TG_OPTION_TEXT},
                                            {.name = "format", .type = TG_OPTION_TEXT},
                                            {.name = "transport", .type = TG_OPTION_TEXT},
                                            {0}};
    struct tg_settings *common = tg_settings_new(none);
    struct tg_settings_position at = {1, 1};
    int rc;
    cloud.common = common;
    assert_int_equal(tg_settings_set(own, "project", "plant-one", NULL, at, err), TG_OK);
    assert_int_equal(tg_settings_set(own, "topic", "telemetry", NULL, at, err), TG_OK);
    assert_int_equal(tg_settings_set(own, "service_account_file", "/k", NULL, at, err), TG_OK);
    for (; *items; items++)
        assert_int_equal(tg_settings_append(own, "attributes", *items, at, err), TG_OK);
    assert_int_equal(tg_settings_finish(own, err), TG_OK);
    rc = tg_gcp_pubsub.config.check_cloud(&cloud, err);
    tg_settings_free(own);
    tg_settings_free(common);
    return rc;
}

static void test_attribute_lists(void **state)
{
    char texts[97][16];
    const char *many[98] = {NULL};
    struct tg_error err = {0};
    (void)state;
    assert_int_equal(check_list(PAIRS("site=7", "sites=8"), &err), TG_OK);
    assert_int_equal(check_list(PAIRS("site=7", "site=8"), &err), TG_EINVAL);
    assert_non_null(strstr(err.text, "twice"));
    assert_int_equal(check_list(PAIRS("seq=7"), &err), TG_EINVAL);
    for (int i = 0; i < 96; i++) {
        sprintf(texts[i], "k%d=v", i);
        many[i] = texts[i];
    }
    assert_int_equal(check_list(many, &err), TG_ETOOBIG);
    many[95] = NULL;
    assert_int_equal(check_list(many, &err), TG_OK);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_base64),
        cmocka_unit_test(test_messages_of_a_device),
        cmocka_unit_test(test_path),
        cmocka_unit_test(test_attribute_texts),
        cmocka_unit_test(test_verdicts),
        cmocka_unit_test(test_ids_are_counted),
        cmocka_unit_test(test_error_texts),
        cmocka_unit_test(test_token_uris),
        cmocka_unit_test(test_token_replies),
        cmocka_unit_test(test_key_files),
        cmocka_unit_test(test_rules),
        cmocka_unit_test(test_pace),
        cmocka_unit_test(test_attribute_lists),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
