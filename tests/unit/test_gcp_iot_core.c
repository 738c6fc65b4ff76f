/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * Type gcp-iot-core with a connection for each device: configuration, login, topics, state, config, commands.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdio.h>
#include <string.h>

#include "support/gcp_stage.h"
#include "support/vectors.h"

#define ID255                                                                                                \
    "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"                  \
    "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"                  \
    "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"

static json_t *vectors;
static struct tg_signer *signer;
static struct tg_settings *plain;
static const struct tg_config_device device = {.id = "meter-1"};

static int setup(void **state)
{
    (void)state;
    vectors = tg_vectors_load("cloud/jwt.json");
    signer = gcp_stage_signer(vectors, "es256");
    plain = gcp_stage_settings(NULL);
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    tg_settings_free(plain);
    tg_signer_free(signer);
    json_decref(vectors);
    return 0;
}

static struct tg_cloud_target target_of(const struct tg_settings *s)
{
    return (struct tg_cloud_target){
        .host = "h", .device_id = "meter-1", .gateway = "site-7", .settings = s, .device = &device};
}

/* --- configuration -------------------------------------------------------------------------------- */

static int check_with(const char *const *pairs, enum tg_identity_kind kind, struct tg_error *err)
{
    struct tg_settings *s = gcp_stage_settings(pairs);
    const struct tg_config_cloud cloud = {.settings = s, .identity.kind = kind};
    int rc = tg_gcp_iot_core.config.check_cloud(&cloud, err);
    tg_settings_free(s);
    return rc;
}

#define CHECK(kind, err, ...) check_with((const char *const[]){__VA_ARGS__, NULL}, kind, err)

static void test_cloud_rules(void **state)
{
    const enum tg_identity_kind none = TG_IDENTITY_NONE, key = TG_IDENTITY_JWT_KEY;
    struct tg_error err = {0};
    (void)state;
    assert_int_equal(check_with(NULL, none, &err), TG_OK);
    assert_int_equal(CHECK(none, &err, "project", "example.com:plant-1", "event_subfolder", "a/b"), TG_OK);
    assert_int_equal(CHECK(key, &err, "mode", "gateway", "gateway_id", "gate-1"), TG_OK);

    assert_int_equal(CHECK(none, &err, "mode", "gateway", "gateway_id", "gate-1"), TG_EINVAL);
    assert_non_null(strstr(err.text, "jwt_key"));
    assert_int_equal(CHECK(key, &err, "mode", "gateway"), TG_EINVAL);
    assert_non_null(strstr(err.text, "needs gateway_id"));
    assert_int_equal(CHECK(key, &err, "gateway_id", "gate-1"), TG_EINVAL);
    assert_non_null(strstr(err.text, "mode: gateway"));
    assert_int_equal(CHECK(key, &err, "mode", "gateway", "gateway_id", "1gate"), TG_EINVAL);
    assert_int_equal(CHECK(none, &err, "project", "plant/one"), TG_EINVAL);
    assert_non_null(strstr(err.text, "project"));
    assert_int_equal(CHECK(none, &err, "region", "us central"), TG_EINVAL);
    assert_int_equal(CHECK(none, &err, "registry", "a#b"), TG_EINVAL);
    for (size_t i = 0; i < 5; i++) {
        static const char *const bad[] = {"/a", "a/", "a//b", "a/+", "#"};
        assert_int_equal(CHECK(none, &err, "event_subfolder", bad[i]), TG_EINVAL);
        assert_non_null(strstr(err.text, "event_subfolder"));
    }
}

static int check_id(const char *id, struct tg_error *err)
{
    return tg_gcp_iot_core.config.check_device(plain, id, err);
}

static void test_device_ids(void **state)
{
    static const char allowed[] = "-._~%";
    struct tg_error err = {0};
    char id[] = "ab?";
    (void)state;
    assert_int_equal(strlen(ID255), 255);
    assert_int_equal(check_id(ID255, &err), TG_OK);
    assert_int_equal(check_id(ID255 "a", &err), TG_EINVAL);
    assert_non_null(strstr(err.text, "256 characters"));
    assert_int_equal(check_id("ab", &err), TG_EINVAL);
    assert_int_equal(check_id("", &err), TG_EINVAL);
    assert_int_equal(check_id("1ab", &err), TG_EINVAL);
    for (int c = 1; c < 256; c++) {
        bool letter = c < 128 && (c | 32) >= 'a' && (c | 32) <= 'z', digit = c >= '0' && c <= '9';
        id[2] = (char)c;
        assert_int_equal(check_id(id, &err) == TG_OK, letter || digit || strchr(allowed, c) != NULL);
        assert_true(tg_utf8_valid(tg_bytes_str(err.text)));
    }
    assert_int_equal(check_id("a+b", &err), TG_EINVAL);
    assert_non_null(strstr(err.text, "MQTT"));
}

static void test_a_device_is_not_the_gateway(void **state)
{
    static const char *const pairs[] = {"mode", "gateway", "gateway_id", "gate-1", NULL};
    struct tg_settings *s = gcp_stage_settings(pairs);
    struct tg_error err = {0};
    (void)state;
    assert_int_equal(tg_gcp_iot_core.config.check_device(s, "gate-1", &err), TG_EINVAL);
    assert_int_equal(tg_gcp_iot_core.config.check_device(s, "gate-10", &err), TG_OK);
    tg_settings_free(s);
}

/* --- login and topics ------------------------------------------------------------------------------- */

static void test_login(void **state)
{
    static const char *const pairs[] = {"token_lifetime", "2h", NULL};
    struct tg_settings *s = gcp_stage_settings(pairs);
    struct tg_cloud_target t = target_of(s);
    struct tg_cloud_secret secret = {.kind = TG_IDENTITY_JWT_KEY, .signer = signer};
    uint8_t scratch[TG_CLOUD_SCRATCH_BYTES];
    struct tg_writer w = tg_writer_init(scratch, sizeof scratch);
    struct tg_cloud_login login;
    struct tg_error err = {0};
    json_t *claims;
    (void)state;
    assert_int_equal(tg_gcp_iot_core.login(&t, &secret, NULL, 1700000000, &w, &login, &err), TG_OK);
    assert_true(
        tg_bytes_eq_str(login.connect.client_id,
                        "projects/plant-one/locations/us-central1/registries/meters/devices/meter-1"));
    assert_true(tg_bytes_eq_str(login.connect.username, "unused"));
    assert_true(login.connect.clean_session);
    assert_null(login.connect.will_topic.data);
    assert_int_equal(login.expires_s, 1700007200);
    claims = gcp_stage_claims(login.connect.password, signer);
    assert_non_null(claims);
    assert_int_equal(json_object_size(claims), 3);
    assert_string_equal(json_string_value(json_object_get(claims, "aud")), "plant-one");
    assert_int_equal(json_integer_value(json_object_get(claims, "iat")), 1700000000 - 60);
    assert_int_equal(json_integer_value(json_object_get(claims, "exp")), 1700007200);
    json_decref(claims);

    secret.signer = NULL;
    assert_int_equal(tg_gcp_iot_core.login(&t, &secret, NULL, 1700000000, &w, &login, &err), TG_EINVAL);
    assert_non_null(strstr(err.text, "jwt_key"));
    tg_settings_free(s);
}

/* A token of a day ends a day after its iat, which lies a minute back. */
static void test_the_longest_token(void **state)
{
    static const char *const pairs[] = {"token_lifetime", "24h", NULL};
    struct tg_settings *s = gcp_stage_settings(pairs);
    struct tg_cloud_target t = target_of(s);
    const struct tg_cloud_secret secret = {.kind = TG_IDENTITY_JWT_KEY, .signer = signer};
    uint8_t scratch[TG_CLOUD_SCRATCH_BYTES];
    struct tg_writer w = tg_writer_init(scratch, sizeof scratch);
    struct tg_cloud_login login;
    json_t *claims;
    (void)state;
    assert_int_equal(tg_gcp_iot_core.login(&t, &secret, NULL, 1700000000, &w, &login, NULL), TG_OK);
    claims = gcp_stage_claims(login.connect.password, signer);
    assert_int_equal(json_integer_value(json_object_get(claims, "exp")) -
                         json_integer_value(json_object_get(claims, "iat")),
                     86400);
    assert_int_equal(login.expires_s, json_integer_value(json_object_get(claims, "exp")));
    json_decref(claims);
    tg_settings_free(s);
}

/* Everything as long as it may be fits what the session lends, and less room is an error, not a cut name. */
static void test_the_longest_login(void **state)
{
    static const char *const pairs[] = {"project",
                                        "pppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppp"
                                        "pppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppp",
                                        "registry", ID255, NULL};
    struct tg_settings *s = gcp_stage_settings(pairs);
    struct tg_cloud_target t = target_of(s);
    struct tg_signer *rsa = gcp_stage_signer(vectors, "rs256");
    const struct tg_cloud_secret secret = {.kind = TG_IDENTITY_JWT_KEY, .signer = rsa};
    uint8_t scratch[TG_CLOUD_SCRATCH_BYTES];
    struct tg_cloud_login login;
    struct tg_error err = {0};
    (void)state;
    t.device_id = ID255;
    for (size_t room = 0;; room += 16) {
        struct tg_writer w = tg_writer_init(scratch, room);
        int rc = tg_gcp_iot_core.login(&t, &secret, NULL, 1700000000, &w, &login, &err);
        assert_true(room < sizeof scratch);
        if (rc == TG_OK)
            break;
        assert_int_equal(rc, TG_ETOOBIG);
    }
    tg_signer_free(rsa);
    tg_settings_free(s);
}

static void test_topics(void **state)
{
    static const struct tg_format_content content = {"application/json", "utf-8", ""};
    static const char *const pairs[] = {"event_subfolder", "raw/fast", NULL};
    struct tg_settings *s = gcp_stage_settings(pairs);
    struct tg_cloud_target t = target_of(plain);
    char out[TG_CLOUD_TOPIC_BYTES];
    struct tg_writer w = tg_writer_init(out, sizeof out);
    struct tg_bytes filters[TG_MQTT_MAX_FILTERS];
    uint8_t qos[TG_MQTT_MAX_FILTERS];
    (void)state;
    assert_int_equal(tg_gcp_iot_core.topic(&t, &content, "", &w), TG_OK);
    assert_true(tg_bytes_eq_str(tg_bytes(out, w.len), "/devices/meter-1/events"));
    t.settings = s;
    w.len = 0;
    assert_int_equal(tg_gcp_iot_core.topic(&t, &content, "", &w), TG_OK);
    assert_true(tg_bytes_eq_str(tg_bytes(out, w.len), "/devices/meter-1/events/raw/fast"));
    w = tg_writer_init(out, 20);
    assert_int_equal(tg_gcp_iot_core.topic(&t, &content, "", &w), TG_ETOOBIG);

    w = tg_writer_init(out, sizeof out);
    assert_int_equal(tg_gcp_iot_core.filters(&t, 0, &w, filters, qos), 2);
    assert_true(tg_bytes_eq_str(filters[0], "/devices/meter-1/config"));
    assert_true(tg_bytes_eq_str(filters[1], "/devices/meter-1/commands/#"));
    assert_int_equal(qos[0], 1);
    assert_int_equal(qos[1], 1);
    assert_int_equal(tg_gcp_iot_core.filters(&t, 1, &w, filters, qos), 0);
    w = tg_writer_init(out, 30);
    assert_int_equal(tg_gcp_iot_core.filters(&t, 0, &w, filters, qos), TG_ETOOBIG);
    assert_false(tg_gcp_iot_core.shared(&t));
    tg_settings_free(s);
}

/* --- what is said and heard --------------------------------------------------------------------------- */

static void test_config(void **state)
{
    static const char topic[] = "/devices/meter-1/config";
    struct tg_cloud_target t = target_of(plain);
    struct talk_rig r;
    (void)state;
    talk_rig_init(&r, &tg_gcp_iot_core, NULL, &t);
    assert_int_equal(talk_rig_message(&r, topic, "{\"rate\":5}"), TG_OK);
    assert_int_equal(talk_rig_message(&r, topic, "{\"rate\":5}"), TG_OK); /* each time it comes */
    assert_int_equal(talk_rig_message(&r, topic, ""), TG_OK);
    assert_int_equal(r.desired_count, 3);
    assert_string_equal(r.desired[0].json, "{\"rate\":5}");
    assert_string_equal(r.desired[1].json, "{\"rate\":5}");
    assert_string_equal(r.desired[2].json, "{}");
    assert_true(r.desired[0].whole && r.desired[2].whole);
    assert_int_equal(r.desired[0].version, 0);
    for (size_t i = 0; i < 8; i++) {
        static const char *const bad[] = {
            "[1]", "5", "null", "rate: 5", "{", "{} {}", "{\"a\":1,\"a\":2}", "{\"a\":\"\xff\"}"};
        assert_int_equal(talk_rig_message(&r, topic, bad[i]), TG_EPROTO);
        assert_non_null(strstr(r.err.text, "config"));
    }
    assert_int_equal(r.desired_count, 3);
    talk_rig_fini(&r);
}

static void test_a_config_that_is_too_large(void **state)
{
    static char large[65536 + 8];
    struct tg_cloud_target t = target_of(plain);
    struct talk_rig r;
    (void)state;
    talk_rig_init(&r, &tg_gcp_iot_core, NULL, &t);
    snprintf(large, sizeof large, "%-65543s", "{}");
    assert_int_equal(talk_rig_message(&r, "/devices/meter-1/config", large), TG_ETOOBIG);
    large[65536] = '\0';
    assert_int_equal(talk_rig_message(&r, "/devices/meter-1/config", large), TG_OK);
    assert_int_equal(r.desired_count, 1);
    talk_rig_fini(&r);
}

static void test_commands(void **state)
{
    struct tg_cloud_target t = target_of(plain);
    struct talk_rig r;
    (void)state;
    talk_rig_init(&r, &tg_gcp_iot_core, NULL, &t);
    assert_int_equal(talk_rig_message(&r, "/devices/meter-1/commands", "{\"command\":\"set\"}"), TG_OK);
    assert_int_equal(talk_rig_message(&r, "/devices/meter-1/commands/", "{}"), TG_OK);
    assert_int_equal(talk_rig_message(&r, "/devices/meter-1/commands/set", "{\"relay\":true}"), TG_OK);
    assert_int_equal(talk_rig_message(&r, "/devices/meter-1/commands/valve/open", "\x01\xff"), TG_OK);
    assert_int_equal(r.command_count, 4);
    assert_string_equal(r.commands[0].name, "");
    assert_string_equal(r.commands[0].body, "{\"command\":\"set\"}");
    assert_string_equal(r.commands[1].name, "");
    assert_string_equal(r.commands[2].name, "set");
    assert_string_equal(r.commands[2].body, "{\"relay\":true}");
    assert_string_equal(r.commands[3].name, "valve/open");
    assert_string_equal(r.commands[3].body, "\x01\xff");
    for (size_t i = 0; i < 4; i++) {
        assert_true(r.commands[i].hold); /* acknowledged when it has ended */
        assert_int_equal(r.commands[i].reply_len, 0);
        assert_string_equal(r.commands[i].message_id, "");
    }
    for (size_t i = 0; i < 9; i++) {
        static const char *const other[] = {"/devices/meter-1/commandsx",
                                            "/devices/meter-2/commands/set",
                                            "/devices/meter-10/config",
                                            "devices/meter-1/config",
                                            "/devices/meter-1/configs",
                                            "/devices/meter-1",
                                            "/devices/meter-1/",
                                            "/devices/",
                                            ""};
        assert_int_equal(talk_rig_message(&r, other[i], "{}"), TG_EPROTO);
        assert_non_null(strstr(r.err.text, "topic"));
    }
    assert_int_equal(r.command_count, 4);
    assert_int_equal(r.desired_count, 0);
    talk_rig_fini(&r);
}

static void test_state_after_online_and_once_a_second(void **state)
{
    struct tg_cloud_target t = target_of(plain);
    struct talk_rig r;
    (void)state;
    talk_rig_init(&r, &tg_gcp_iot_core, NULL, &t);
    r.now_ms = 100000;
    talk_rig_simple(&r, TG_CLOUD_START);
    r.reported = "{\"a\":1}";
    talk_rig_simple(&r, TG_CLOUD_ONLINE);
    assert_true(r.gate);
    assert_int_equal(r.publish_count, 1);
    assert_string_equal(r.publishes[0].topic, "/devices/meter-1/state");
    assert_string_equal((char *)r.publishes[0].payload, "{\"a\":1}");
    assert_int_equal(r.publishes[0].qos, 1);
    assert_false(r.publishes[0].retain);

    /* The newest of three within a second wins. */
    for (int i = 0; i < 3; i++) {
        static const char *const documents[] = {"{\"a\":2}", "{\"a\":3}", "{\"a\":4}"};
        r.now_ms += 100;
        r.reported = documents[i];
        talk_rig_simple(&r, TG_CLOUD_REPORT);
    }
    assert_int_equal(r.publish_count, 1);
    assert_true(r.wake_ms > 101000 && r.wake_ms <= 101500);
    r.now_ms = r.wake_ms - 1;
    talk_rig_simple(&r, TG_CLOUD_WAKE);
    assert_int_equal(r.publish_count, 1);
    r.now_ms++;
    talk_rig_simple(&r, TG_CLOUD_WAKE);
    assert_int_equal(r.publish_count, 2);
    assert_string_equal((char *)r.publishes[1].payload, "{\"a\":4}");
    assert_true(r.wake_ms == INT64_MAX);

    /* A reconnect within the second does not make it two. */
    talk_rig_simple(&r, TG_CLOUD_OFFLINE);
    talk_rig_simple(&r, TG_CLOUD_REPORT);
    assert_true(r.wake_ms == INT64_MAX);
    talk_rig_simple(&r, TG_CLOUD_ONLINE);
    assert_int_equal(r.publish_count, 2);
    r.now_ms = r.wake_ms;
    talk_rig_simple(&r, TG_CLOUD_WAKE);
    assert_int_equal(r.publish_count, 3);
    talk_rig_fini(&r);
}

static void test_state_without_room_is_tried_again(void **state)
{
    struct tg_cloud_target t = target_of(plain);
    struct talk_rig r;
    (void)state;
    talk_rig_init(&r, &tg_gcp_iot_core, NULL, &t);
    r.now_ms = 5000;
    r.reported = "{\"a\":1}";
    r.publish_rc = TG_EFULL;
    talk_rig_simple(&r, TG_CLOUD_ONLINE);
    assert_true(r.wake_ms > 5000 && r.wake_ms < 6000);
    r.publish_rc = TG_OK;
    r.now_ms = r.wake_ms;
    talk_rig_simple(&r, TG_CLOUD_WAKE);
    assert_non_null(talk_rig_find(&r, "/devices/meter-1/state"));
    talk_rig_fini(&r);
}

static void test_no_state_and_too_large_a_state(void **state)
{
    static char large[70000];
    struct tg_cloud_target t = target_of(plain);
    struct talk_rig r;
    (void)state;
    talk_rig_init(&r, &tg_gcp_iot_core, NULL, &t);
    r.now_ms = 5000;
    talk_rig_simple(&r, TG_CLOUD_ONLINE); /* {}: nothing to say */
    assert_int_equal(r.publish_count, 0);
    snprintf(large, sizeof large, "%-69999s", "{\"a\":1}");
    r.reported = large;
    talk_rig_simple(&r, TG_CLOUD_REPORT);
    talk_rig_simple(&r, TG_CLOUD_REPORT);
    assert_int_equal(r.publish_count, 0);
    assert_int_equal(r.said_count, 1); /* once */
    assert_int_equal(r.said_level, TG_LOG_WARN);
    assert_string_equal(r.said_text, "the state is not sent: 69999 bytes; the cloud takes at most 65536");
    r.reported = "{\"a\":1}";
    talk_rig_simple(&r, TG_CLOUD_REPORT);
    assert_string_equal((char *)r.publishes[0].payload, "{\"a\":1}");
    r.now_ms += 5000;
    r.reported = large;
    talk_rig_simple(&r, TG_CLOUD_REPORT); /* and again when it has fitted meanwhile */
    assert_int_equal(r.said_count, 2);
    assert_int_equal(r.publish_count, 1);
    talk_rig_fini(&r);
}

static void test_last_words_are_none(void **state)
{
    struct tg_cloud_target t = target_of(plain);
    struct talk_rig r;
    (void)state;
    talk_rig_init(&r, &tg_gcp_iot_core, NULL, &t);
    r.now_ms = 5000;
    talk_rig_simple(&r, TG_CLOUD_ONLINE);
    talk_rig_simple(&r, TG_CLOUD_CLOSING);
    assert_int_equal(r.publish_count, 0); /* attach and detach close the connection of a plain device */
    talk_rig_fini(&r);
}

static void test_connack_texts(void **state)
{
    enum tg_retry retry;
    (void)state;
    for (unsigned i = 1; i < 256; i++)
        assert_non_null(tg_gcp_iot_core.connack_text((uint8_t)i, &retry));
    assert_non_null(strstr(tg_gcp_iot_core.connack_text(4, &retry), "not authorised"));
    assert_int_equal(retry, TG_RETRY_NEVER);
    (void)tg_gcp_iot_core.connack_text(3, &retry);
    assert_int_equal(retry, TG_RETRY_BACKOFF);
    (void)tg_gcp_iot_core.connack_text(13, &retry);
    assert_int_equal(retry, TG_RETRY_BACKOFF);
    assert_ptr_equal(tg_cloud_type_find("gcp-iot-core", NULL), &tg_gcp_iot_core);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_cloud_rules),
        cmocka_unit_test(test_device_ids),
        cmocka_unit_test(test_a_device_is_not_the_gateway),
        cmocka_unit_test(test_login),
        cmocka_unit_test(test_the_longest_token),
        cmocka_unit_test(test_the_longest_login),
        cmocka_unit_test(test_topics),
        cmocka_unit_test(test_config),
        cmocka_unit_test(test_a_config_that_is_too_large),
        cmocka_unit_test(test_commands),
        cmocka_unit_test(test_state_after_online_and_once_a_second),
        cmocka_unit_test(test_state_without_room_is_tried_again),
        cmocka_unit_test(test_no_state_and_too_large_a_state),
        cmocka_unit_test(test_last_words_are_none),
        cmocka_unit_test(test_connack_texts),
    };
    return cmocka_run_group_tests(tests, setup, teardown);
}
