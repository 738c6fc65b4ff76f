/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * Publish requests, answers and tokens against what Google's own libraries send (vectors/cloud/pubsub_rest.json, jwt.json).
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdio.h>

#include "northbound/pubsub/gcp_pubsub.h"
#include "northbound/pubsub/pubsub_core.h"
#include "northbound/pubsub/pubsub_token.h"
#include "support/vectors.h"

static const char *text(const json_t *o, const char *key)
{
    const char *s = json_string_value(json_object_get(o, key));
    assert_non_null(s);
    return s;
}

/* The plain bytes of the messages in the captured body. */
static size_t unbase64(const char *in, uint8_t *out)
{
    static const char digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    uint32_t bits = 0;
    unsigned have = 0;
    size_t n = 0;
    for (; *in && *in != '='; in++) {
        const char *d = strchr(digits, *in);
        assert_non_null(d);
        bits = bits << 6 | (uint32_t)(d - digits);
        have += 6;
        if (have >= 8)
            out[n++] = (uint8_t)(bits >> (have -= 8));
    }
    return n;
}

static void test_body_as_sent(void **state)
{
    json_t *root = tg_vectors_load("cloud/pubsub_rest.json");
    const char *want = text(json_object_get(root, "request"), "body");
    json_t *body = json_loads(want, 0, NULL), *message, *value;
    char out[4096];
    struct tg_writer w = tg_writer_init(out, sizeof out);
    size_t i, bound = 64;
    (void)state;
    tg_pubsub_body_begin(&w);
    json_array_foreach(json_object_get(body, "messages"), i, message)
    {
        struct tg_pubsub_attribute attributes[8];
        uint8_t data[256];
        struct tg_pubsub_message m = {.attributes = attributes};
        const char *key, *data64 = json_string_value(json_object_get(message, "data")),
                         *ordering = json_string_value(json_object_get(message, "orderingKey"));
        json_object_foreach(json_object_get(message, "attributes"), key, value)
            attributes[m.attribute_count++] =
                (struct tg_pubsub_attribute){tg_bytes_str(key), tg_bytes_str(json_string_value(value))};
        if (data64)
            m.data = tg_bytes(data, unbase64(data64, data));
        m.ordering_key = tg_bytes_str(ordering);
        bound += tg_pubsub_message_bound(&m);
        tg_pubsub_body_message(&w, i == 0, &m);
    }
    tg_pubsub_body_end(&w);
    assert_true(i > 0);
    assert_true(w.len <= bound);
    assert_int_equal(tg_writer_cstr(&w), 0);
    assert_string_equal(out, want);
    json_decref(body);
    json_decref(root);
}

static void test_path_as_sent(void **state)
{
    json_t *root = tg_vectors_load("cloud/pubsub_rest.json");
    const char *url = text(json_object_get(root, "request"), "minimal_url");
    char project[128], topic[128], out[512];
    struct tg_writer w = tg_writer_init(out, sizeof out);
    (void)state;
    assert_int_equal(sscanf(url, "/v1/projects/%127[^/]/topics/%127[^:]:publish", project, topic), 2);
    tg_pubsub_path(&w, project, topic);
    assert_int_equal(tg_writer_cstr(&w), 0);
    assert_string_equal(out, url);
    json_decref(root);
}

static void test_answers(void **state)
{
    json_t *root = tg_vectors_load("cloud/pubsub_rest.json");
    const json_t *good = json_object_get(root, "response_example"),
                 *bad = json_object_get(root, "error_example");
    json_t *ids = json_loads(text(good, "body"), 0, NULL);
    uint32_t n = (uint32_t)json_array_size(json_object_get(ids, "messageIds"));
    uint16_t bad_status = (uint16_t)json_integer_value(json_object_get(bad, "status"));
    struct tg_pubsub_reply reply;
    (void)state;
    tg_pubsub_reply_read(200, tg_bytes_str(text(good, "body")), n, &reply);
    assert_int_equal(reply.verdict, TG_PUBSUB_STORED);
    tg_pubsub_reply_read(200, tg_bytes_str(text(good, "body")), n + 1, &reply);
    assert_int_equal(reply.verdict, TG_PUBSUB_LATER);
    tg_pubsub_reply_read(bad_status, tg_bytes_str(text(bad, "body")), n, &reply);
    assert_int_equal(reply.verdict,
                     TG_PUBSUB_LATER); /* the captured error is one of those that are tried again */
    assert_non_null(strstr(reply.text, "Quota exceeded"));
    json_decref(ids);
    json_decref(root);
}

/* A key file around the vectors' RSA key, with the names that the token has. */
static struct tg_pubsub_key key_of(const json_t *root, const char *payload, const char *header)
{
    json_t *claims = json_loads(payload, 0, NULL), *head = json_loads(header, 0, NULL),
           *file =
               json_pack("{ss ss ss ss ss}", "type", "service_account", "client_email", text(claims, "iss"),
                         "private_key_id", json_object_get(head, "kid") ? text(head, "kid") : "k",
                         "token_uri", "https://oauth2.googleapis.com/token", "private_key",
                         text(json_object_get(root, "rs256"), "pem_pkcs8"));
    char *dumped = json_dumps(file, 0);
    struct tg_pubsub_key key;
    struct tg_error err = {0};
    if (tg_pubsub_key_parse(tg_bytes_str(dumped), "key.json", &key, &err) < 0)
        fail_msg("%s", err.text);
    free(dumped);
    json_decref(claims);
    json_decref(head);
    json_decref(file);
    return key;
}

static void test_self_signed_token(void **state)
{
    json_t *root = tg_vectors_load("cloud/jwt.json");
    const json_t *v = json_object_get(root, "google_selfsigned_aud");
    json_t *claims = json_loads(text(v, "payload"), 0, NULL);
    struct tg_pubsub_key key = key_of(root, text(v, "payload"), text(v, "header"));
    char out[TG_PUBSUB_TOKEN_BYTES];
    struct tg_writer w = tg_writer_init(out, sizeof out);
    struct tg_error err = {0};
    int64_t now_s = json_integer_value(json_object_get(claims, "iat"));
    (void)state;
    assert_string_equal(text(claims, "aud"), TG_PUBSUB_AUDIENCE);
    assert_int_equal(tg_pubsub_token_self_signed(&w, &key, TG_PUBSUB_AUDIENCE, now_s, &err), TG_OK);
    assert_int_equal(tg_writer_cstr(&w), 0);
    assert_string_equal(out, text(v, "token"));
    tg_pubsub_key_free(&key);
    json_decref(claims);
    json_decref(root);
}

/* The form and the claims as Google's library sends them; our header also names the key, so the signature is another one. */
static void test_token_request(void **state)
{
    json_t *root = tg_vectors_load("cloud/jwt.json");
    const json_t *v = json_object_get(root, "google_token_request"), *a = json_object_get(v, "assertion");
    json_t *claims = json_loads(text(a, "payload"), 0, NULL);
    struct tg_pubsub_key key = key_of(root, text(a, "payload"), text(a, "header"));
    const char *form = text(v, "body"), *dot = strchr(text(a, "signing_input"), '.');
    size_t prefix = (size_t)(strstr(form, "&assertion=") + strlen("&assertion=") - form);
    char out[8192], host[300];
    struct tg_writer w = tg_writer_init(out, sizeof out);
    struct tg_pubsub_token_uri uri;
    struct tg_error err = {0};
    const char *body;
    (void)state;
    assert_int_equal(tg_pubsub_token_uri_parse(text(v, "url"), &uri, &err), TG_OK);
    assert_int_equal(
        tg_pubsub_token_request(&w, &key, &uri, json_integer_value(json_object_get(claims, "iat")), &err),
        TG_OK);
    assert_int_equal(tg_writer_cstr(&w), 0);
    body = strstr(out, "\r\n\r\n");
    assert_non_null(body);
    assert_memory_equal(body + 4, form, prefix);
    assert_int_equal(strncmp(strchr(body + 4 + prefix, '.'), dot, strlen(dot)), 0); /* the claims, encoded */
    snprintf(host, sizeof host, "%s %s HTTP/1.1\r\nHost: %s\r\n", text(v, "method"), uri.path, uri.host);
    assert_memory_equal(out, host, strlen(host));
    tg_pubsub_key_free(&key);
    json_decref(claims);
    json_decref(root);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_body_as_sent),  cmocka_unit_test(test_path_as_sent),
        cmocka_unit_test(test_answers),       cmocka_unit_test(test_self_signed_token),
        cmocka_unit_test(test_token_request),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
