/* SPDX-License-Identifier: GPL-2.0-or-later */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdio.h>
#include <string.h>

#include "core/base/allocator.h"
#include "northbound/mqtt_cloud.h"
#include "support/host_model.h"
#include "support/talk_rig.h"

static const struct tg_cloud_type *const type = &tg_mqtt_cloud;

static int check(const char *const *pairs, struct tg_error *err)
{
    struct tg_settings *s = tg_test_settings(type->config.options, pairs),
                       *common = tg_test_settings(tg_config_cloud_options, NULL);
    int rc = type->config.check_cloud(&(struct tg_config_cloud){.settings = s, .common = common}, err);
    tg_settings_free(s);
    tg_settings_free(common);
    return rc;
}

static int check_one(const char *name, const char *text)
{
    return check((const char *[]){name, text, NULL}, NULL);
}

/* The name of the option at fault, the first of the pairs, and the text are in the message. */
static void assert_refused(const char *const *pairs, const char *says)
{
    struct tg_error err = {0};
    assert_int_equal(check(pairs, &err), TG_EINVAL);
    if (!strstr(err.text, says) || strncmp(err.text, pairs[0], strlen(pairs[0])) != 0)
        fail_msg("\"%s\" is not about %s or does not say \"%s\"", err.text, pairs[0], says);
}
#define REFUSED(says, ...) assert_refused((const char *[]){__VA_ARGS__, NULL}, says)

static void test_templates(void **state)
{
    static const char *const good[] = {
        "tidegate/{device}/data", "{gateway}", "{device}{gateway}", "plain", "a//b", "}", "a/{point}"};
    (void)state;
    for (size_t i = 0; i < sizeof good / sizeof good[0]; i++)
        assert_int_equal(check_one("topic", good[i]), TG_OK);
    REFUSED("unknown placeholder at \"{divice}\"", "topic", "a/{divice}");
    REFUSED("known are {device}, {gateway} and {point}", "topic", "a/{divice}");
    REFUSED("unknown placeholder", "topic", "a/{device}/{");
    REFUSED("unknown placeholder", "client_id", "{Device}");
    REFUSED("known are {device} and {gateway}", "client_id", "{point}");
    REFUSED("unknown placeholder", "command_topic", "{x}");
    REFUSED("wildcard", "topic", "a/+/b");
    REFUSED("wildcard", "topic", "a/#");
    REFUSED("wildcard", "will_topic", "a/#");
    REFUSED("wildcard", "birth_topic", "+");
    REFUSED("unknown placeholder at \"{dev}", "will_message", "{dev}", "will_topic", "w");
    assert_int_equal(
        check((const char *[]){"will_message", "{\"state\":\"{device}\",\"x\":{}}", "will_topic", "w", NULL},
              NULL),
        TG_OK);
}

static void test_lengths(void **state)
{
    char eight[8 * 8 + 1] = "", nine[9 * 8 + 1] = "", id[401];
    struct tg_settings *s;
    struct tg_error err = {0};
    (void)state;
    for (int i = 0; i < 8; i++)
        strcat(eight, "{device}");
    strcat(strcpy(nine, eight), "{point}");
    assert_int_equal(check_one("topic", eight), TG_OK); /* 8 × 128 */
    REFUSED("becomes 1152 bytes with names of 128 characters; at most 1024", "topic", nine);
    s = tg_test_settings(type->config.options, (const char *[]){"topic", "{device}{device}{device}", NULL});
    memset(id, 'x', 400);
    id[341] = '\0'; /* 3 × 341 = 1023 */
    assert_int_equal(type->config.check_device(s, id, &err), TG_OK);
    id[341] = 'x';
    id[342] = '\0';
    assert_int_equal(type->config.check_device(s, id, &err), TG_EINVAL);
    assert_non_null(strstr(err.text, "topic becomes 1026 bytes"));
    tg_settings_free(s);
}

static void test_command_filters(void **state)
{
    static const char *const good[] = {"", "#", "+", "a/#", "+/b", "a/+/b/#", "/+", "+/+"};
    static const char *const bad[] = {"a#", "a/#/b", "a+", "+a", "a/b+/c", "##", "#/", "++"};
    (void)state;
    for (size_t i = 0; i < sizeof good / sizeof good[0]; i++)
        assert_int_equal(check_one("command_topic", good[i]), TG_OK);
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++)
        REFUSED("not a whole level", "command_topic", bad[i]);
}

static void test_rules_between_options(void **state)
{
    (void)state;
    REFUSED("no effect without will_topic", "will_message", "x");
    REFUSED("no effect without will_topic", "goodbye_message", "x");
    REFUSED("no effect without birth_topic", "birth_message", "x");
    REFUSED("is for format: sparkplug-b", "group_id", "g");
    REFUSED("is for format: sparkplug-b", "primary_host", "g");
    REFUSED("no effect with an empty command_topic", "reply_topic", "r", "command_topic", "");
    REFUSED("taken for a command", "reply_topic", "a/{device}/r", "command_topic", "a/#");
    REFUSED("taken for a command", "reply_topic", "a/{gateway}/r", "command_topic", "a/+/r");
    REFUSED("taken for a command", "reply_topic", "tidegate/{device}/command");
    assert_int_equal(check_one("reply_topic", "tidegate/{device}/reply"), TG_OK);
    REFUSED("has {device} once", "command_topic", "a/b", "session", "shared");
    REFUSED("has {device} once", "command_topic", "{device}/{device}", "session", "shared");
    REFUSED("use {gateway} instead of {device}", "will_topic", "a/{device}", "session", "shared");
    REFUSED("use {gateway} instead of {device}", "birth_message", "{device}", "birth_topic", "b", "session",
            "shared");
    assert_int_equal(
        check((const char *[]){"session", "shared", "command_topic", "", "will_topic", "{gateway}", NULL},
              NULL),
        TG_OK);
    assert_int_equal(check_one("session", "shared"), TG_OK);
}

static void test_device_ids(void **state)
{
    struct tg_settings *s = tg_test_settings(type->config.options, NULL);
    struct tg_error err = {0};
    (void)state;
    assert_int_equal(type->config.check_device(s, "meter 1", &err), TG_OK);
    assert_int_equal(type->config.check_device(s, "a/b", &err), TG_EINVAL);
    assert_int_equal(type->config.check_device(s, "a+", &err), TG_EINVAL);
    assert_int_equal(type->config.check_device(s, "#", &err), TG_EINVAL);
    assert_int_equal(type->config.check_device(s, "", &err), TG_EINVAL);
    tg_settings_free(s);
}

/* --- a session --- */

struct stage {
    struct tg_settings *settings;
    struct tg_config_device device;
    struct tg_cloud_target target, link_target;
    struct talk_rig rig;
};

static void stage_init(struct stage *s, const char *const *pairs)
{
    *s = (struct stage){.settings = tg_test_settings(type->config.options, pairs)};
    s->target = (struct tg_cloud_target){
        .host = "h", .device_id = "m1", .gateway = "site", .settings = s->settings, .device = &s->device};
    s->link_target = (struct tg_cloud_target){
        .host = "h", .device_id = "site", .gateway = "site", .settings = s->settings};
    talk_rig_init(&s->rig, type, NULL, &s->target);
    s->rig.now_ms = 1000;
}
#define STAGE(s, ...) stage_init(s, (const char *[]){__VA_ARGS__, NULL})

static void stage_fini(struct stage *s)
{
    talk_rig_fini(&s->rig);
    tg_settings_free(s->settings);
}

/* An event of the link itself. */
static int link_event(struct stage *s, enum tg_cloud_event_type what)
{
    void *session = s->rig.talk.session;
    int rc;
    s->rig.talk.session = NULL;
    s->rig.talk.target = &s->link_target;
    rc = talk_rig_simple(&s->rig, what);
    s->rig.talk.session = session;
    s->rig.talk.target = &s->target;
    return rc;
}

static void assert_view(struct tg_bytes b, const char *text)
{
    if (!tg_bytes_eq_str(b, text))
        fail_msg("\"%.*s\" is not \"%s\"", (int)b.len, b.data ? (const char *)b.data : "", text);
}

static void test_login(void **state)
{
    struct tg_cloud_secret secret = {
        .kind = TG_IDENTITY_PASSWORD, .username = tg_bytes_str("u"), .password = tg_bytes_str("p")};
    char scratch[128];
    struct tg_writer w = tg_writer_init(scratch, sizeof scratch);
    struct tg_cloud_login l;
    struct tg_error err = {0};
    struct stage s;
    (void)state;
    STAGE(&s, "client_id", "{gateway}-{device}-{device}");
    tg_write_str(&w, "before");
    assert_int_equal(type->login(&s.target, &secret, NULL, 0, &w, &l, &err), TG_OK);
    assert_view(l.connect.client_id, "site-m1-m1");
    assert_view(l.connect.username, "u");
    assert_view(l.connect.password, "p");
    assert_null(l.connect.will_topic.data);
    assert_int_equal(l.expires_s, 0);
    secret.kind = TG_IDENTITY_X509;
    w = tg_writer_init(scratch, sizeof scratch);
    assert_int_equal(type->login(&s.target, &secret, NULL, 0, &w, &l, &err), TG_OK);
    assert_int_equal(l.connect.username.len + l.connect.password.len, 0);
    w = tg_writer_init(scratch, 9);
    assert_int_equal(type->login(&s.target, &secret, NULL, 0, &w, &l, &err), TG_ETOOBIG);
    stage_fini(&s);

    STAGE(&s, "client_id", "device:{device}", "will_topic", "state/{device}", "will_retain", "on");
    w = tg_writer_init(scratch, sizeof scratch);
    assert_int_equal(type->login(&s.target, &secret, NULL, 0, &w, &l, &err), TG_OK);
    assert_view(l.connect.client_id, "device:m1");
    assert_view(l.connect.will_topic, "state/m1");
    assert_view(l.connect.will_payload, "offline");
    assert_int_equal(l.connect.will_qos, 1);
    assert_true(l.connect.will_retain);
    stage_fini(&s);
}

static void test_topics(void **state)
{
    static const struct tg_format_content content = {"application/json", "utf-8", ""};
    char out[64];
    struct tg_writer w = tg_writer_init(out, sizeof out);
    struct tg_bytes filters[TG_MQTT_MAX_FILTERS];
    uint8_t qos[TG_MQTT_MAX_FILTERS];
    struct stage s;
    (void)state;
    stage_init(&s, NULL);
    assert_int_equal(type->topic(&s.target, &content, "", &w), TG_OK);
    assert_view(tg_bytes(w.data, w.len), "tidegate/m1/data");
    w = tg_writer_init(out, 15);
    assert_int_equal(type->topic(&s.target, &content, "", &w), TG_ETOOBIG);
    w = tg_writer_init(out, sizeof out);
    assert_int_equal(type->filters(&s.target, 0, &w, filters, qos), 1);
    assert_view(filters[0], "tidegate/m1/command");
    assert_int_equal(type->filters(&s.target, 1, &w, filters, qos), 0);
    w = tg_writer_init(out, 15);
    assert_int_equal(type->filters(&s.target, 0, &w, filters, qos), TG_ETOOBIG);
    assert_false(type->topic_per_point(&s.target));
    assert_false(type->shared(&s.target));
    assert_false(type->retain(&s.target));
    assert_int_equal(type->choose_qos(&s.target), 1);
    stage_fini(&s);

    STAGE(&s, "topic", "{gateway}/{device}/{point}", "qos", "0", "retain", "on", "command_topic", "");
    w = tg_writer_init(out, sizeof out);
    assert_int_equal(type->topic(&s.target, &content, "flow", &w), TG_OK);
    assert_view(tg_bytes(w.data, w.len), "site/m1/flow");
    assert_true(type->topic_per_point(&s.target));
    assert_true(type->retain(&s.target));
    assert_int_equal(type->choose_qos(&s.target), 0);
    assert_int_equal(type->filters(&s.target, 0, &w, filters, qos), 0);
    stage_fini(&s);
}

static void test_shared(void **state)
{
    char out[64];
    struct tg_writer w = tg_writer_init(out, sizeof out);
    struct tg_bytes filters[TG_MQTT_MAX_FILTERS];
    uint8_t qos[TG_MQTT_MAX_FILTERS];
    struct stage s;
    (void)state;
    STAGE(&s, "session", "shared", "command_topic", "x/{gateway}/+/dev-{device}-in/#");
    assert_true(type->shared(&s.target));
    assert_int_equal(type->filters(&s.link_target, 0, &w, filters, qos), 0);
    assert_int_equal(type->filters(&s.target, 0, &w, filters, qos), 1);
    assert_view(filters[0], "x/site/+/dev-m1-in/#");
    assert_view(type->addressee(&s.link_target, tg_bytes_str("x/site/any/dev-m1-in/deep/er")), "m1");
    assert_view(type->addressee(&s.link_target, tg_bytes_str("x/site/any/dev-a-in-in/z")), "a-in");
    assert_view(type->addressee(&s.link_target, tg_bytes_str("x/site/any/dev-m1-in")), "m1");
    assert_view(type->addressee(&s.link_target, tg_bytes_str("x/site/any/dev--in/z")), "");
    assert_view(type->addressee(&s.link_target, tg_bytes_str("x/site/any/m1/z")), "");
    assert_view(type->addressee(&s.link_target, tg_bytes_str("x/sit/any/dev-m1-in/z")), "");
    assert_view(type->addressee(&s.link_target, tg_bytes_str("x/site")), "");
    assert_view(type->addressee(&s.link_target, tg_bytes_str("")), "");
    {
        void *session = s.rig.talk.session;
        s.rig.talk.session = NULL;
        assert_int_equal(talk_rig_message(&s.rig, "x/site/any/unknown", "{}"), TG_ENOTFOUND);
        s.rig.talk.session = session;
    }
    stage_fini(&s);
}

static void test_birth_and_goodbye(void **state)
{
    const struct talk_rig_publish *p;
    struct stage s;
    (void)state;
    STAGE(&s, "birth_topic", "state/{device}", "will_topic", "state/{device}", "will_retain", "on",
          "goodbye_message", "{\"bye\":\"{device}\"}");
    assert_int_equal(link_event(&s, TG_CLOUD_ONLINE), TG_OK);
    assert_int_equal(s.rig.publish_count, 0); /* a private link has nothing to say: its session does */
    assert_int_equal(talk_rig_simple(&s.rig, TG_CLOUD_ONLINE), TG_OK);
    assert_int_equal(s.rig.publish_count, 1);
    p = talk_rig_find(&s.rig, "state/m1");
    assert_non_null(p);
    assert_string_equal((const char *)p->payload, "online");
    assert_int_equal(p->qos, 1);
    assert_true(p->retain);
    assert_int_equal(talk_rig_simple(&s.rig, TG_CLOUD_CLOSING), TG_OK);
    p = talk_rig_find(&s.rig, "state/m1");
    assert_string_equal((const char *)p->payload, "{\"bye\":\"m1\"}");
    assert_int_equal(s.rig.publish_count, 2);
    assert_int_equal(link_event(&s, TG_CLOUD_CLOSING), TG_OK);
    assert_int_equal(s.rig.publish_count, 2);
    stage_fini(&s);

    STAGE(&s, "session", "shared", "birth_topic", "state/{gateway}", "birth_message", "hello from {gateway}",
          "will_topic", "state/{gateway}", "will_message", "gone");
    assert_int_equal(talk_rig_simple(&s.rig, TG_CLOUD_ONLINE), TG_OK);
    assert_int_equal(s.rig.publish_count, 0);
    assert_int_equal(link_event(&s, TG_CLOUD_ONLINE), TG_OK);
    p = talk_rig_find(&s.rig, "state/site");
    assert_string_equal((const char *)p->payload, "hello from site");
    assert_false(p->retain);
    assert_int_equal(talk_rig_simple(&s.rig, TG_CLOUD_CLOSING), TG_OK);
    assert_int_equal(s.rig.publish_count, 1);
    assert_int_equal(link_event(&s, TG_CLOUD_CLOSING), TG_OK);
    assert_string_equal((const char *)talk_rig_find(&s.rig, "state/site")->payload, "gone");
    stage_fini(&s);
}

static void test_birth_waits_for_room(void **state)
{
    struct stage s;
    (void)state;
    STAGE(&s, "birth_topic", "b");
    s.rig.publish_rc = TG_EFULL;
    assert_int_equal(talk_rig_simple(&s.rig, TG_CLOUD_ONLINE), TG_OK);
    assert_true(s.rig.wake_ms > s.rig.now_ms && s.rig.wake_ms < s.rig.now_ms + 1000);
    s.rig.publish_rc = TG_OK;
    assert_int_equal(talk_rig_simple(&s.rig, TG_CLOUD_WAKE), TG_OK);
    assert_int_equal(talk_rig_simple(&s.rig, TG_CLOUD_WAKE), TG_OK);
    assert_int_equal(s.rig.publish_count, 1);
    s.rig.publish_rc = TG_EINVAL;
    assert_int_equal(talk_rig_simple(&s.rig, TG_CLOUD_ONLINE), TG_EINVAL);
    assert_non_null(strstr(s.rig.err.text, "birth_topic"));
    stage_fini(&s);
}

static void answer(struct stage *s, unsigned command, const char *status, const char *json, int rc)
{
    assert_int_equal(talk_rig_event(&s->rig, &(struct tg_cloud_event){.type = TG_CLOUD_ANSWER,
                                                                      .reply = tg_bytes(
                                                                          s->rig.commands[command].reply,
                                                                          s->rig.commands[command].reply_len),
                                                                      .status = status,
                                                                      .payload = tg_bytes_str(json)}),
                     rc);
}

static void test_commands(void **state)
{
    struct stage s;
    (void)state;
    stage_init(&s, NULL);
    assert_int_equal(talk_rig_message(&s.rig, "tidegate/m1/command", "{\"command\":\"x\"}"), TG_OK);
    assert_int_equal(talk_rig_message(&s.rig, "tidegate/m1/command", "not JSON"), TG_OK);
    assert_int_equal(talk_rig_message(&s.rig, "tidegate/m1/command", ""), TG_OK);
    assert_int_equal(talk_rig_message(&s.rig, "tidegate/m1/command", "{\"command\":\"x\",\"id\":null}"),
                     TG_OK);
    assert_int_equal(s.rig.command_count, 4);
    for (unsigned i = 0; i < 4; i++) {
        assert_string_equal(s.rig.commands[i].message_id, "");
        assert_int_equal(s.rig.commands[i].reply_len, 0);
        assert_true(s.rig.commands[i].hold);
    }
    assert_string_equal(s.rig.commands[0].body, "{\"command\":\"x\"}");
    assert_string_equal(s.rig.commands[0].name, "");
    assert_int_equal(talk_rig_message(&s.rig, "tidegate/m1/command", "{\"id\":[1]}"), TG_EINVAL);
    assert_int_equal(s.rig.command_count, 4);
    stage_fini(&s);
}

/* A broker that mixes its clients up writes nothing to a device. */
static void test_topics_of_others(void **state)
{
    static const char *const foreign[] = {"tidegate/m2/command",
                                          "tidegate/m1/command/x",
                                          "tidegate/m1/commands",
                                          "tidegate/m1",
                                          "",
                                          "/tidegate/m1/command",
                                          "$SYS/x"};
    struct stage s;
    (void)state;
    stage_init(&s, NULL);
    for (size_t i = 0; i < sizeof foreign / sizeof foreign[0]; i++)
        assert_int_equal(talk_rig_message(&s.rig, foreign[i], "{\"command\":\"x\"}"), TG_EPROTO);
    assert_int_equal(s.rig.command_count, 0);
    assert_non_null(strstr(s.rig.err.text, "$SYS/x"));
    stage_fini(&s);
    STAGE(&s, "command_topic", "$share/gates/to/+/{device}/#");
    assert_int_equal(talk_rig_message(&s.rig, "to/all/m1", "{\"command\":\"x\"}"), TG_OK);
    assert_int_equal(talk_rig_message(&s.rig, "to/all/m1/do", "{\"command\":\"x\"}"), TG_OK);
    assert_int_equal(talk_rig_message(&s.rig, "to/all/m2/do", "{\"command\":\"x\"}"), TG_EPROTO);
    assert_int_equal(s.rig.command_count, 2);
    stage_fini(&s);
}

static void test_answers(void **state)
{
    char body[400], long_id[301];
    struct stage s;
    (void)state;
    STAGE(&s, "reply_topic", "re/{device}");
    assert_int_equal(
        talk_rig_message(&s.rig, "tidegate/m1/command", "{\"command\":\"x\",\"id\":\"a\\\"\xc3\xa4\"}"),
        TG_OK);
    assert_int_equal(talk_rig_message(&s.rig, "tidegate/m1/command", "{\"command\":\"x\",\"id\":-7}"), TG_OK);
    assert_int_equal(talk_rig_message(&s.rig, "tidegate/m1/command", "{\"command\":\"x\"}"), TG_OK);
    assert_string_equal(s.rig.commands[0].message_id, "\"a\\\"\xc3\xa4\"");
    assert_string_equal(s.rig.commands[1].message_id, "-7");
    assert_string_equal(s.rig.commands[2].message_id, "");
    answer(&s, 0, "ok", "{\"v\":1}", TG_OK);
    answer(&s, 1, "timeout", "", TG_OK);
    answer(&s, 2, "invalid", "{}", TG_OK);
    assert_int_equal(s.rig.publish_count, 3);
    assert_string_equal(s.rig.publishes[0].topic, "re/m1");
    assert_string_equal((char *)s.rig.publishes[0].payload,
                        "{\"id\":\"a\\\"\xc3\xa4\",\"status\":\"ok\",\"result\":{\"v\":1}}");
    assert_string_equal((char *)s.rig.publishes[1].payload,
                        "{\"id\":-7,\"status\":\"timeout\",\"result\":{}}");
    assert_string_equal((char *)s.rig.publishes[2].payload, "{\"status\":\"invalid\",\"result\":{}}");
    assert_int_equal(s.rig.publishes[2].qos, 1);
    memset(long_id, 'x', 300);
    long_id[300] = '\0';
    snprintf(body, sizeof body, "{\"id\":\"%s\"}", long_id);
    assert_int_equal(talk_rig_message(&s.rig, "tidegate/m1/command", body), TG_EINVAL);
    assert_non_null(strstr(s.rig.err.text, "more than"));
    long_id[TG_CLOUD_REPLY_BYTES - 3] = '\0'; /* and two quotes, and the first byte of the reply */
    snprintf(body, sizeof body, "{\"id\":\"%s\"}", long_id);
    assert_int_equal(talk_rig_message(&s.rig, "tidegate/m1/command", body), TG_OK);
    assert_int_equal(s.rig.commands[3].reply_len, TG_CLOUD_REPLY_BYTES);
    stage_fini(&s);
}

static void test_answers_wait(void **state)
{
    struct tg_alloc_stats before = tg_alloc_stats();
    struct stage s;
    (void)state;
    STAGE(&s, "reply_topic", "re");
    assert_int_equal(talk_rig_message(&s.rig, "tidegate/m1/command", "{\"id\":0}"), TG_OK);
    s.rig.publish_rc = TG_EFULL;
    for (int i = 0; i < TG_MQTT_ANSWERS_MAX; i++)
        answer(&s, 0, i ? "busy" : "ok", "{}", TG_OK);
    assert_true(s.rig.wake_ms < INT64_MAX);
    answer(&s, 0, "ok", "{}", TG_EFULL); /* one too many: the link is given up */
    assert_int_equal(talk_rig_simple(&s.rig, TG_CLOUD_OFFLINE), TG_OK);
    s.rig.publish_rc = TG_OK;
    assert_int_equal(talk_rig_simple(&s.rig, TG_CLOUD_ONLINE), TG_OK);
    assert_int_equal(s.rig.publish_count, TG_MQTT_ANSWERS_MAX);
    assert_string_equal((char *)s.rig.publishes[0].payload, "{\"id\":0,\"status\":\"ok\",\"result\":{}}");
    assert_string_equal((char *)s.rig.publishes[1].payload, "{\"id\":0,\"status\":\"busy\",\"result\":{}}");
    s.rig.publish_rc = TG_EFULL;
    answer(&s, 0, "ok", "{}", TG_OK);
    tg_alloc_fail_at(1, 0);
    answer(&s, 0, "ok", "{}", TG_ENOMEM);
    tg_alloc_fail_at(0, 0);
    stage_fini(&s); /* END frees what waits */
    assert_int_equal(tg_alloc_stats().live, before.live);
}

static void test_connack_texts(void **state)
{
    enum tg_retry retry;
    (void)state;
    for (unsigned i = 0; i < 256; i++)
        assert_non_null(type->connack_text((uint8_t)i, &retry));
    (void)type->connack_text(3, &retry);
    assert_int_equal(retry, TG_RETRY_BACKOFF);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_templates),
                                       cmocka_unit_test(test_lengths),
                                       cmocka_unit_test(test_command_filters),
                                       cmocka_unit_test(test_rules_between_options),
                                       cmocka_unit_test(test_device_ids),
                                       cmocka_unit_test(test_topics_of_others),
                                       cmocka_unit_test(test_login),
                                       cmocka_unit_test(test_topics),
                                       cmocka_unit_test(test_shared),
                                       cmocka_unit_test(test_birth_and_goodbye),
                                       cmocka_unit_test(test_birth_waits_for_room),
                                       cmocka_unit_test(test_commands),
                                       cmocka_unit_test(test_answers),
                                       cmocka_unit_test(test_answers_wait),
                                       cmocka_unit_test(test_connack_texts)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
