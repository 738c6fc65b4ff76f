/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * The shadow as a conversation.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "northbound/aws_iot.h"
#include "northbound/aws_shadow.h"
#include "support/host_model.h"
#include "support/talk_rig.h"

#define S "$aws/things/m1/shadow/"

static struct tg_settings *settings;
static struct tg_cloud_target target;
static char token[64];

static int setup(void **state)
{
    static struct talk_rig r;
    settings = tg_test_settings(tg_aws_iot.config.options, (const char *[]){"shadow", "classic", NULL});
    target = (struct tg_cloud_target){.device_id = "m1", .gateway = "site", .settings = settings};
    talk_rig_init(&r, &tg_aws_iot, NULL, &target);
    r.now_ms = 5000;
    r.wall_ms = 0x18C;
    talk_rig_simple(&r, TG_CLOUD_START);
    *state = &r;
    return 0;
}

static int teardown(void **state)
{
    talk_rig_fini(*state);
    tg_settings_free(settings);
    return 0;
}

static void online(struct talk_rig *r)
{
    talk_rig_simple(r, TG_CLOUD_ONLINE);
    talk_rig_simple(r, TG_CLOUD_SUBSCRIBED);
}

/* The client token of the last publish. */
static const char *last_token(const struct talk_rig *r)
{
    const char *text = r->publish_count ? (const char *)r->publishes[r->publish_count - 1].payload : "";
    const char *at = strstr(text, "\"clientToken\":\"");
    assert_non_null(at);
    assert_int_equal(sscanf(at, "\"clientToken\":\"%63[^\"]", token), 1);
    return token;
}

/* `body` with TOKEN in it for the last publish's token. */
static int answer(struct talk_rig *r, const char *topic, const char *body)
{
    char text[20000], full[100];
    const char *at = strstr(body, "TOKEN");
    if (at)
        snprintf(text, sizeof text, "%.*s%s%s", (int)(at - body), body, last_token(r), at + 5);
    else
        snprintf(text, sizeof text, "%s", body);
    snprintf(full, sizeof full, S "%s", topic);
    talk_rig_clear(r);
    return talk_rig_message(r, full, text);
}

static void report(struct talk_rig *r, const char *document)
{
    r->reported = document;
    talk_rig_event(r,
                   &(struct tg_cloud_event){.type = TG_CLOUD_REPORT, .payload = tg_bytes_str("{\"any\":1}")});
}

static void assert_update(const struct talk_rig *r, const char *begins)
{
    const struct talk_rig_publish *p = talk_rig_find(r, S "update");
    assert_non_null(p);
    assert_int_equal(p->qos, 1);
    assert_false(p->retain);
    if (strncmp((const char *)p->payload, begins, strlen(begins)) != 0)
        fail_msg("%s does not begin with %s", (const char *)p->payload, begins);
}

static void test_whole_life(void **state)
{
    struct talk_rig *r = *state;
    r->reported = "{\"relay\":false}";
    online(r);
    assert_int_equal(r->publish_count, 1);
    assert_string_equal(r->publishes[0].topic, S "get");
    assert_string_equal((const char *)r->publishes[0].payload, "{\"clientToken\":\"tg18c-1\"}");
    assert_true(r->wake_ms == 5000 + 20000);
    /* The whole, and what differs of the reported. */
    assert_int_equal(
        answer(r, "get/accepted",
               "{\"state\":{\"desired\":{\"relay\":true,\"t\":0.1},\"reported\":{\"old\":1,\"relay\":true},"
               "\"delta\":{\"t\":0.1}},\"metadata\":{},\"version\":7,\"timestamp\":1,"
               "\"clientToken\":\"TOKEN\"}"),
        TG_OK);
    assert_int_equal(r->desired_count, 1);
    assert_true(r->desired[0].whole);
    assert_int_equal(r->desired[0].version, 7);
    assert_string_equal(r->desired[0].json, "{\"relay\":true,\"t\":0.1}");
    assert_update(r, "{\"state\":{\"reported\":{\"relay\":false,\"old\":null}},\"clientToken\":\"tg18c-2\","
                     "\"version\":7}");
    /* Its own update's answer and delta: nothing new. */
    assert_int_equal(answer(r, "update/accepted",
                            "{\"state\":{\"reported\":{\"relay\":false,\"old\":null}},"
                            "\"version\":8,\"clientToken\":\"TOKEN\"}"),
                     TG_OK);
    assert_true(r->wake_ms == INT64_MAX);
    assert_int_equal(
        answer(r, "update/delta",
               "{\"version\":8,\"state\":{\"relay\":true,\"t\":0.1},\"clientToken\":\"tg18c-2\"}"),
        TG_OK);
    assert_int_equal(r->desired_count, 0);
    /* A wish from outside, twice: the second is known. */
    for (int i = 0; i < 2; i++) {
        assert_int_equal(
            answer(r, "update/delta", "{\"version\":9,\"state\":{\"relay\":true},\"clientToken\":\"app\"}"),
            TG_OK);
        assert_int_equal(r->desired_count, 1 - i);
        if (i == 0) {
            assert_false(r->desired[0].whole);
            assert_int_equal(r->desired[0].version, 9);
            assert_string_equal(r->desired[0].json, "{\"relay\":true}");
        }
    }
    /* The device did it and says so: only the difference goes out. */
    report(r, "{\"relay\":true}");
    assert_update(r, "{\"state\":{\"reported\":{\"relay\":true}},\"clientToken\":\"tg18c-3\",\"version\":9}");
    /* What comes while it is under way goes with the next. */
    report(r, "{\"relay\":true,\"a\":1}");
    report(r, "{\"relay\":true,\"a\":2}");
    assert_int_equal(r->publish_count, 1);
    answer(r, "update/accepted", "{\"version\":10,\"clientToken\":\"TOKEN\"}");
    assert_update(r, "{\"state\":{\"reported\":{\"a\":2}},");
    answer(r, "update/accepted", "{\"version\":11,\"clientToken\":\"TOKEN\"}");
    assert_int_equal(r->publish_count, 0);
    report(r, "{\"relay\":true,\"a\":2}");
    assert_int_equal(r->publish_count, 0);
}

static void test_no_shadow_yet(void **state)
{
    struct talk_rig *r = *state;
    online(r);
    assert_int_equal(answer(r, "get/rejected",
                            "{\"code\":404,\"message\":\"No shadow exists with name: 'm1'\","
                            "\"clientToken\":\"TOKEN\"}"),
                     TG_OK);
    assert_int_equal(r->desired_count, 1);
    assert_true(r->desired[0].whole);
    assert_string_equal(r->desired[0].json, "{}");
    assert_int_equal(r->publish_count, 0); /* nothing to report: no shadow is made */
    report(r, "{\"a\":1}");
    assert_string_equal((const char *)r->publishes[0].payload,
                        "{\"state\":{\"reported\":{\"a\":1}},\"clientToken\":\"tg18c-2\"}");
    answer(r, "update/accepted", "{\"version\":1,\"clientToken\":\"TOKEN\"}");
    report(r, "{\"a\":{\"b\":2}}");
    assert_update(r,
                  "{\"state\":{\"reported\":{\"a\":{\"b\":2}}},\"clientToken\":\"tg18c-3\",\"version\":1}");
}

/* To READY: version 3, nothing desired, {"a":1} reported. */
static void ready(struct talk_rig *r)
{
    r->reported = "{\"a\":1}";
    online(r);
    assert_int_equal(answer(r, "get/accepted",
                            "{\"state\":{\"reported\":{\"a\":1}},\"version\":3,"
                            "\"clientToken\":\"TOKEN\"}"),
                     TG_OK);
    assert_int_equal(r->publish_count, 0);
    talk_rig_clear(r);
}

static void test_conflict(void **state)
{
    struct talk_rig *r = *state;
    ready(r);
    report(r, "{\"a\":2}");
    for (unsigned i = 0; i < 2; i++) {
        assert_int_equal(answer(r, "update/rejected",
                                "{\"code\":409,\"message\":\"Version conflict\",\"clientToken\":\"TOKEN\"}"),
                         TG_OK);
        assert_string_equal(r->publishes[0].topic, S "get");
        answer(r, "get/accepted",
               "{\"state\":{\"reported\":{\"a\":1}},\"version\":9,\"clientToken\":\"TOKEN\"}");
        assert_update(r, "{\"state\":{\"reported\":{\"a\":2}},\"clientToken\":");
        assert_non_null(strstr((const char *)r->publishes[0].payload, "\"version\":9}"));
    }
    /* The third in a row waits. */
    answer(r, "update/rejected", "{\"code\":409,\"clientToken\":\"TOKEN\"}");
    assert_int_equal(r->publish_count, 0);
    assert_true(r->wake_ms > r->now_ms && r->wake_ms <= r->now_ms + 1000);
    r->now_ms = r->wake_ms;
    talk_rig_simple(r, TG_CLOUD_WAKE);
    assert_string_equal(r->publishes[0].topic, S "get");
}

static void test_throttled(void **state)
{
    struct talk_rig *r = *state;
    int64_t last = 0;
    online(r);
    for (int i = 0; i < 9; i++) {
        int64_t waits;
        assert_int_equal(
            answer(r, "get/rejected", "{\"code\":429,\"message\":\"slow down\",\"clientToken\":\"TOKEN\"}"),
            TG_EBUSY);
        assert_non_null(strstr(r->err.text, "429"));
        assert_non_null(strstr(r->err.text, "asked again"));
        waits = r->wake_ms - r->now_ms;
        assert_true(waits >= (500 << (i < 6 ? i : 6)) && waits <= (1000 << (i < 6 ? i : 6)));
        assert_true(i > 5 || waits > last / 2);
        last = waits;
        r->now_ms = r->wake_ms - 1;
        talk_rig_simple(r, TG_CLOUD_WAKE);
        assert_int_equal(r->publish_count, 0);
        r->now_ms++;
        talk_rig_simple(r, TG_CLOUD_WAKE);
        assert_int_equal(r->publish_count, 1);
    }
    answer(r, "get/accepted", "{\"state\":{},\"version\":1,\"clientToken\":\"TOKEN\"}");
    report(r, "{\"a\":1}");
    assert_int_equal(answer(r, "update/rejected", "{\"code\":500,\"clientToken\":\"TOKEN\"}"), TG_EBUSY);
    assert_true(r->wake_ms - r->now_ms <= 1000);
    r->now_ms = r->wake_ms;
    talk_rig_simple(r, TG_CLOUD_WAKE);
    assert_update(r, "{\"state\":{\"reported\":{\"a\":1}},");
}

static void test_no_answer(void **state)
{
    struct talk_rig *r = *state;
    online(r);
    for (int i = 0; i < 6; i++) {
        assert_true(r->wake_ms - r->now_ms == (int64_t)20000 << (i < 4 ? i : 4));
        talk_rig_clear(r);
        r->now_ms += (int64_t)20000 << (i < 4 ? i : 4);
        talk_rig_simple(r, TG_CLOUD_WAKE);
        assert_int_equal(r->publish_count, 1);
    }
    /* An answer to an earlier request is none to this one. */
    assert_int_equal(answer(r, "get/accepted", "{\"state\":{},\"version\":1,\"clientToken\":\"tg18c-1\"}"),
                     TG_OK);
    assert_int_equal(r->desired_count, 0);
    /* An update without an answer: what became of it is asked. */
    talk_rig_simple(r, TG_CLOUD_OFFLINE);
    talk_rig_clear(r);
    ready(r);
    report(r, "{\"a\":2}");
    r->now_ms = r->wake_ms;
    talk_rig_clear(r);
    talk_rig_simple(r, TG_CLOUD_WAKE);
    assert_string_equal(r->publishes[0].topic, S "get");
    answer(r, "get/accepted", "{\"state\":{\"reported\":{\"a\":2}},\"version\":4,\"clientToken\":\"TOKEN\"}");
    assert_int_equal(r->publish_count, 0);
}

static void test_refused(void **state)
{
    struct talk_rig *r = *state;
    online(r);
    assert_int_equal(
        answer(r, "get/rejected", "{\"code\":403,\"message\":\"Forbidden\",\"clientToken\":\"TOKEN\"}"),
        TG_EPROTO);
    assert_non_null(strstr(r->err.text, "until the next connection"));
    report(r, "{\"a\":1}");
    assert_int_equal(r->publish_count, 0);
    talk_rig_simple(r, TG_CLOUD_OFFLINE);
    talk_rig_clear(r);
    ready(r);
    report(r, "{\"a\":3}");
    assert_int_equal(
        answer(r, "update/rejected", "{\"code\":400,\"message\":\"Invalid\",\"clientToken\":\"TOKEN\"}"),
        TG_EPROTO);
    assert_non_null(strstr(r->err.text, "\"Invalid\""));
    assert_int_equal(r->publish_count, 0);
    report(r, "{\"a\":4}");
    assert_update(r, "{\"state\":{\"reported\":{\"a\":4}},");
}

/* It is said once, and again when it has fitted meanwhile; nothing is asked for. */
static void test_too_large(void **state)
{
    struct talk_rig *r = *state;
    char *large = malloc(TG_AWS_SHADOW_MAX_BYTES + 100);
    assert_non_null(large);
    snprintf(large, 100, "{\"a\":\"");
    memset(large + 6, 'x', TG_AWS_SHADOW_MAX_BYTES);
    snprintf(large + 6 + TG_AWS_SHADOW_MAX_BYTES, 90, "\"}");
    ready(r);
    for (int i = 0; i < 2; i++) {
        report(r, large);
        assert_int_equal(r->publish_count, 0);
        assert_int_equal(r->said_count, 1);
        assert_int_equal(r->said_level, TG_LOG_WARN);
        assert_non_null(strstr(r->said_text, "the shadow is not updated"));
        assert_non_null(strstr(r->said_text, "8192"));
        report(r, large);
        assert_int_equal(r->publish_count, 0);
        assert_int_equal(r->said_count, 1);
        talk_rig_clear(r);
        report(r, "{\"a\":1}");
        assert_int_equal(r->publish_count, 0);
    }
    /* Exactly the limit goes. */
    memset(large + 6, 'x', TG_AWS_SHADOW_MAX_BYTES - 8);
    snprintf(large + TG_AWS_SHADOW_MAX_BYTES - 2, 90, "\"}");
    assert_int_equal(strlen(large), TG_AWS_SHADOW_MAX_BYTES);
    report(r, large);
    assert_update(r, "{\"state\":{\"reported\":{\"a\":\"xxx");
    free(large);
}

static void test_others(void **state)
{
    struct talk_rig *r = *state;
    ready(r);
    /* Another client's wish is seen in its delta, so its update says nothing … */
    answer(r, "update/accepted", "{\"state\":{\"desired\":{\"x\":1}},\"version\":4,\"clientToken\":\"app\"}");
    assert_int_equal(r->publish_count + r->desired_count, 0);
    answer(r, "update/delta", "{\"version\":4,\"state\":{\"x\":1}}");
    assert_int_equal(r->desired_count, 1);
    /* … unless it takes something away … */
    answer(r, "update/accepted", "{\"state\":{\"desired\":{\"o\":{\"x\":null}}},\"version\":5}");
    assert_string_equal(r->publishes[0].topic, S "get");
    answer(r, "get/accepted", "{\"state\":{\"reported\":{\"a\":1}},\"version\":5,\"clientToken\":\"TOKEN\"}");
    assert_int_equal(r->desired_count, 1);
    assert_true(r->desired[0].whole);
    assert_string_equal(r->desired[0].json, "{}");
    answer(r, "update/accepted", "{\"state\":{\"desired\":null},\"version\":6}");
    assert_string_equal(r->publishes[0].topic, S "get");
    answer(r, "get/accepted", "{\"state\":{\"reported\":{\"a\":1}},\"version\":6,\"clientToken\":\"TOKEN\"}");
    /* … or writes what only the device knows: that is put right. */
    answer(r, "update/accepted", "{\"state\":{\"reported\":{\"a\":9}},\"version\":7}");
    assert_string_equal(r->publishes[0].topic, S "get");
    answer(r, "get/accepted", "{\"state\":{\"reported\":{\"a\":9}},\"version\":7,\"clientToken\":\"TOKEN\"}");
    assert_update(r, "{\"state\":{\"reported\":{\"a\":1}},");
    /* Seen while an update is under way, it waits for that. */
    assert_int_equal(
        talk_rig_message(r, S "update/accepted", "{\"state\":{\"reported\":{\"b\":9}},\"version\":8}"),
        TG_OK);
    assert_int_equal(r->publish_count, 1);
    answer(r, "update/accepted", "{\"version\":9,\"clientToken\":\"TOKEN\"}");
    assert_string_equal(r->publishes[0].topic, S "get");
}

/* The messages of one change come in any order. */
static void test_order(void **state)
{
    struct talk_rig *r = *state;
    online(r);
    talk_rig_message(r, S "update/delta", "{\"version\":5,\"state\":{\"x\":2}}");
    assert_int_equal(r->desired_count, 1);
    /* The answer is older than the delta: asked again, once. */
    answer(r, "get/accepted", "{\"state\":{\"desired\":{\"x\":1}},\"version\":4,\"clientToken\":\"TOKEN\"}");
    assert_int_equal(r->desired_count, 0);
    assert_string_equal(r->publishes[0].topic, S "get");
    answer(r, "get/accepted", "{\"state\":{\"desired\":{\"x\":1}},\"version\":4,\"clientToken\":\"TOKEN\"}");
    assert_int_equal(r->desired_count, 1);
    assert_int_equal(r->publish_count, 0);
    /* The delta of an own update brings news of a foreign one that it overtook. */
    report(r, "{\"a\":1}");
    answer(r, "update/delta", "{\"version\":7,\"state\":{\"x\":3},\"clientToken\":\"TOKEN\"}");
    assert_int_equal(r->desired_count, 1);
    assert_string_equal(r->desired[0].json, "{\"x\":3}");
    answer(r, "update/delta", "{\"version\":6,\"state\":{\"x\":3}}");
    assert_int_equal(r->desired_count, 0);
}

static void test_no_room(void **state)
{
    struct talk_rig *r = *state;
    r->publish_rc = TG_EFULL;
    online(r);
    assert_true(r->wake_ms == r->now_ms + 1000);
    r->publish_rc = TG_OK;
    r->now_ms += 1000;
    talk_rig_simple(r, TG_CLOUD_WAKE);
    assert_string_equal(r->publishes[0].topic, S "get");
    answer(r, "get/accepted", "{\"state\":{},\"version\":1,\"clientToken\":\"TOKEN\"}");
    r->publish_rc = TG_EFULL;
    report(r, "{\"a\":1}");
    assert_true(r->wake_ms == r->now_ms + 1000);
    r->publish_rc = TG_OK;
    report(r, "{\"a\":2}");
    assert_int_equal(r->publish_count, 0);
    r->now_ms += 1000;
    talk_rig_simple(r, TG_CLOUD_WAKE);
    assert_update(r, "{\"state\":{\"reported\":{\"a\":2}},");
}

static void test_hostile(void **state)
{
    static const char *const bad[] = {
        "", "[]", "{", "null", "{\"a\":1,\"a\":2}", "{\"a\":1e999}", "\xFF", "{\"version\":1}x"};
    struct talk_rig *r = *state;
    char *deep = malloc(200);
    assert_non_null(deep);
    ready(r);
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        assert_int_equal(talk_rig_message(r, S "update/delta", bad[i]), TG_EPROTO);
        assert_true(r->err.text[0] != '\0');
    }
    memset(deep, '[', 199);
    deep[199] = '\0';
    assert_int_equal(talk_rig_message(r, S "update/delta", deep), TG_ETOOBIG);
    assert_int_equal(talk_rig_message(r, S "update/delta", "{\"state\":{\"a\":1}}"), TG_EPROTO);
    assert_int_equal(talk_rig_message(r, S "update/delta", "{\"state\":[1],\"version\":9}"), TG_EPROTO);
    assert_int_equal(talk_rig_message(r, S "update/delta", "{\"state\":{},\"version\":-9}"), TG_EPROTO);
    assert_int_equal(talk_rig_message(r, S "update/accepted", "{\"state\":7,\"clientToken\":7}"), TG_OK);
    assert_int_equal(talk_rig_message(r, S "other", "{}"), TG_OK);
    assert_int_equal(talk_rig_message(r, "$aws/things/m1/shadow", "{}"), TG_EPROTO);
    assert_int_equal(
        talk_rig_message(r, "$aws/things/m2/shadow/update/delta", "{\"state\":{},\"version\":9}"), TG_EPROTO);
    assert_int_equal(r->desired_count + r->publish_count, 0);
    free(deep);
}

static void test_named(void **state)
{
    struct talk_rig *r = *state;
    tg_settings_free(settings);
    settings = tg_test_settings(tg_aws_iot.config.options, (const char *[]){"shadow", "net", NULL});
    target.settings = settings;
    online(r);
    assert_string_equal(r->publishes[0].topic, S "name/net/get");
    assert_int_equal(answer(r, "name/net/get/accepted",
                            "{\"state\":{\"desired\":{\"x\":1}},\"version\":4,"
                            "\"clientToken\":\"TOKEN\"}"),
                     TG_OK);
    assert_int_equal(r->desired_count, 1);
    /* The classic one is another document. */
    answer(r, "update/delta", "{\"version\":9,\"state\":{\"x\":3}}");
    assert_int_equal(r->desired_count, 0);
}

#define ONE(test) cmocka_unit_test_setup_teardown(test, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {ONE(test_whole_life), ONE(test_no_shadow_yet), ONE(test_conflict),
                                       ONE(test_throttled),  ONE(test_no_answer),     ONE(test_refused),
                                       ONE(test_too_large),  ONE(test_others),        ONE(test_order),
                                       ONE(test_no_room),    ONE(test_hostile),       ONE(test_named)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
