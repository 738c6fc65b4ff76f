/* SPDX-License-Identifier: GPL-2.0-or-later */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/base/allocator.h"
#include "northbound/azure_hub.h"
#include "northbound/azure_methods.h"
#include "support/host_model.h"
#include "support/talk_rig.h"

#define BEGIN 1000000

static struct talk_rig rig;
static struct tg_cloud_target target;
static struct tg_settings *settings;

static void online(void)
{
    assert_int_equal(talk_rig_event(&rig, &(struct tg_cloud_event){.type = TG_CLOUD_ONLINE, .code = 0}),
                     TG_OK);
    talk_rig_clear(&rig);
}

static int begin(void **state)
{
    (void)state;
    settings = tg_test_settings(tg_azure_hub.config.options, NULL);
    target = (struct tg_cloud_target){
        .host = "h.azure-devices.net", .device_id = "m1", .gateway = "site", .settings = settings};
    talk_rig_init(&rig, &tg_azure_hub, NULL, &target);
    rig.now_ms = BEGIN;
    online();
    return 0;
}

static int end(void **state)
{
    (void)state;
    talk_rig_fini(&rig);
    tg_settings_free(settings);
    return 0;
}

static int call(const char *name, const char *rid, const char *body)
{
    char topic[600];
    snprintf(topic, sizeof topic, "$iothub/methods/POST/%s/?$rid=%s", name, rid);
    return talk_rig_message(&rig, topic, body);
}

static void answer(uint32_t command, const char *status, const char *json)
{
    assert_int_equal(
        talk_rig_event(&rig, &(struct tg_cloud_event){.type = TG_CLOUD_ANSWER,
                                                      .reply = tg_bytes(rig.commands[command].reply,
                                                                        rig.commands[command].reply_len),
                                                      .status = status,
                                                      .payload = tg_bytes_str(json)}),
        TG_OK);
}

static void answered(const char *topic, const char *body)
{
    const struct talk_rig_publish *p = talk_rig_find(&rig, topic);
    if (!p)
        fail_msg("no publish to %s", topic);
    assert_string_equal((const char *)p->payload, body);
    assert_int_equal(p->qos, 0);
}

static void a_call_and_its_answer(void **state)
{
    (void)state;
    assert_int_equal(call("re%20boot", "1a-B", "{\"delay\":5}"), TG_OK);
    assert_int_equal(rig.command_count, 1);
    assert_string_equal(rig.commands[0].name, "re boot");
    assert_string_equal(rig.commands[0].body, "{\"delay\":5}");
    assert_string_equal(rig.commands[0].message_id, "");
    assert_false(rig.commands[0].hold);
    answer(0, "ok", "{\"ok\":true}");
    answered("$iothub/methods/res/200/?$rid=1a-B", "{\"ok\":true}");
}

static void answers_find_their_callers_in_any_order(void **state)
{
    char rid[16], topic[64], body[32];
    (void)state;
    for (int i = 0; i < 40; i++) {
        snprintf(rid, sizeof rid, "%d", i);
        assert_int_equal(call("set", rid, ""), TG_OK);
    }
    for (uint32_t i = 40; i-- > 0;) {
        snprintf(body, sizeof body, "{\"n\":%u}", i);
        answer(i, "ok", body);
        snprintf(topic, sizeof topic, "$iothub/methods/res/200/?$rid=%u", i);
        answered(topic, body);
    }
    assert_int_equal(rig.publish_count, 40);
}

static void statuses(void **state)
{
    static const struct {
        const char *status;
        unsigned code;
    } table[] = {{"ok", 200},      {"invalid", 400},     {"unknown", 504},
                 {"busy", 429},    {"error", 500},       {"device", 502},
                 {"timeout", 504}, {"unsupported", 501}, {"something else", 500}};
    char topic[64];
    (void)state;
    assert_int_equal(call("set", "7", "{}"), TG_OK);
    for (size_t i = 0; i < sizeof table / sizeof table[0]; i++) {
        answer(0, table[i].status, "");
        snprintf(topic, sizeof topic, "$iothub/methods/res/%u/?$rid=7", table[i].code);
        answered(topic, "{}");
    }
}

static void no_arguments_are_an_empty_object(void **state)
{
    static const char *const bodies[] = {"", " ", "null", " null\r\n"};
    (void)state;
    for (uint32_t i = 0; i < 4; i++) {
        assert_int_equal(call("set", "1", bodies[i]), TG_OK);
        assert_string_equal(rig.commands[i].body, "{}");
    }
    assert_int_equal(call("set", "1", " {} "), TG_OK);
    assert_string_equal(rig.commands[4].body, " {} ");
    assert_int_equal(call("set", "1", "nullx"), TG_OK); /* the router says what is wrong with it */
    assert_string_equal(rig.commands[5].body, "nullx");
}

static void names_that_cannot_be(void **state)
{
    char name129[130], longest[129], escaped[400] = "";
    static const char *const names[] = {"", "%", "a%4", "a%zz", "%00", "a%00b", "%ff", "%C3"};
    (void)state;
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
        talk_rig_clear(&rig);
        assert_int_equal(call(names[i], "9", "{}"), TG_EPROTO);
        assert_int_equal(rig.command_count, 0);
        assert_non_null(talk_rig_find(&rig, "$iothub/methods/res/400/?$rid=9")); /* the caller knows */
    }
    memset(name129, 'n', 129);
    name129[129] = '\0';
    assert_int_equal(call(name129, "9", "{}"), TG_EPROTO);
    memcpy(longest, name129, 128);
    longest[128] = '\0';
    assert_int_equal(call(longest, "9", "{}"), TG_OK);
    assert_string_equal(rig.commands[0].name, longest);
    for (int i = 0; i < 128; i++)
        strcat(escaped, "%6e");
    assert_int_equal(call(escaped, "9", "{}"), TG_OK);
    assert_string_equal(rig.commands[1].name, longest);
    assert_int_equal(call("a/b", "9", "{}"), TG_OK);
    assert_string_equal(rig.commands[2].name, "a/b");
}

static void calls_that_cannot_be_answered(void **state)
{
    static const char *const topics[] = {"$iothub/methods/POST/x/?$rid=",
                                         "$iothub/methods/POST/x/",
                                         "$iothub/methods/POST/",
                                         "$iothub/methods/POST/x/?rid=1",
                                         "$iothub/methods/POST/x?$rid=1",
                                         "$iothub/methods/POST/x/?$rid=a b",
                                         "$iothub/methods/POST/x/?$rid=\x7f",
                                         "$iothub/methods/POST/x/?$rid=+",
                                         "$iothub/methods/POST/x/?$rid=\xc3\xa4"};
    char longest[600] = "$iothub/methods/POST/x/?$rid=";
    size_t at = strlen(longest);
    (void)state;
    for (size_t i = 0; i < sizeof topics / sizeof topics[0]; i++)
        assert_int_equal(talk_rig_message(&rig, topics[i], "{}"), TG_EPROTO);
    memset(longest + at, 'r', 253);
    assert_int_equal(talk_rig_message(&rig, longest, "{}"), TG_EPROTO);
    assert_int_equal(rig.command_count + rig.publish_count, 0);
    longest[at + 252] = '\0';
    assert_int_equal(talk_rig_message(&rig, longest, "{}"), TG_OK);
    answer(0, "ok", "{}");
    assert_int_equal(strlen(rig.publishes[0].topic), strlen("$iothub/methods/res/200/?$rid=") + 252);
}

static void sizes(void **state)
{
    char *big = malloc(TG_AZURE_METHODS_MAX_BODY_BYTES + 2);
    (void)state;
    memset(big, ' ', TG_AZURE_METHODS_MAX_BODY_BYTES + 1);
    big[TG_AZURE_METHODS_MAX_BODY_BYTES + 1] = '\0';
    big[0] = '{';
    assert_int_equal(call("set", "1", big), TG_EPROTO);
    assert_non_null(talk_rig_find(&rig, "$iothub/methods/res/400/?$rid=1"));
    big[TG_AZURE_METHODS_MAX_BODY_BYTES] = '\0';
    assert_int_equal(call("set", "2", big), TG_OK);
    answer(0, "ok", big);
    answered("$iothub/methods/res/200/?$rid=2", big);
    talk_rig_clear(&rig);
    assert_int_equal(call("set", "3", "{}"), TG_OK);
    big[TG_AZURE_METHODS_MAX_BODY_BYTES] = ' ';
    answer(0, "ok", big);
    answered("$iothub/methods/res/200/?$rid=3",
             "{\"note\":\"the result is larger than 128 KiB and is left out\"}");
    free(big);
}

/* The caller of an earlier connection has been told that the device is gone; the number may be another call's now. */
static void answers_of_an_earlier_connection_are_dropped(void **state)
{
    uint8_t old[TG_CLOUD_REPLY_BYTES];
    size_t old_len;
    struct tg_cloud_event e = {.type = TG_CLOUD_ANSWER, .status = "ok", .payload = tg_bytes_str("{}")};
    (void)state;
    assert_int_equal(call("set", "1", "{}"), TG_OK);
    old_len = rig.commands[0].reply_len;
    memcpy(old, rig.commands[0].reply, old_len);
    e.reply = tg_bytes(old, old_len);
    talk_rig_simple(&rig, TG_CLOUD_OFFLINE);
    assert_int_equal(talk_rig_event(&rig, &e), TG_OK);
    assert_int_equal(call("set", "1", "{}"), TG_OK); /* nothing is taken while offline */
    assert_int_equal(rig.command_count, 1);
    online();
    assert_int_equal(talk_rig_event(&rig, &e), TG_OK);
    e.reply.len = 3;
    assert_int_equal(talk_rig_event(&rig, &e), TG_OK);
    e.reply.len = 0;
    assert_int_equal(talk_rig_event(&rig, &e), TG_OK);
    assert_int_equal(rig.publish_count, 0);
}

static void answers_wait_for_room(void **state)
{
    int64_t live = tg_alloc_stats().live;
    char rid[12];
    (void)state;
    for (int i = 0; i < TG_AZURE_METHODS_MAX_WAITING + 3; i++) {
        snprintf(rid, sizeof rid, "%d", i);
        assert_int_equal(call("set", rid, "{}"), TG_OK);
    }
    rig.publish_rc = TG_EFULL;
    for (uint32_t i = 0; i < TG_AZURE_METHODS_MAX_WAITING + 2; i++) /* two too many */
        answer(i, "ok", "{\"n\":1}");
    assert_int_equal(rig.wake_ms, BEGIN + 200);
    rig.now_ms = rig.wake_ms;
    assert_int_equal(talk_rig_simple(&rig, TG_CLOUD_WAKE), TG_OK);
    assert_int_equal(rig.wake_ms, BEGIN + 400);
    rig.publish_rc = TG_OK;
    rig.now_ms = rig.wake_ms;
    assert_int_equal(talk_rig_simple(&rig, TG_CLOUD_WAKE), TG_OK);
    assert_int_equal(rig.publish_count, TG_AZURE_METHODS_MAX_WAITING);
    assert_string_equal(rig.publishes[0].topic, "$iothub/methods/res/200/?$rid=0");
    assert_string_equal((const char *)rig.publishes[0].payload, "{\"n\":1}");
    assert_int_equal(tg_alloc_stats().live, live);
    answer(TG_AZURE_METHODS_MAX_WAITING + 2, "ok", "{}");
    assert_int_equal(rig.publish_count, TG_AZURE_METHODS_MAX_WAITING + 1);
    /* What still waits is gone with the connection. */
    rig.publish_rc = TG_EFULL;
    answer(0, "ok", "{}");
    talk_rig_simple(&rig, TG_CLOUD_OFFLINE);
    assert_int_equal(tg_alloc_stats().live, live);
}

int main(void)
{
#define T(name) cmocka_unit_test_setup_teardown(name, begin, end)
    const struct CMUnitTest tests[] = {T(a_call_and_its_answer),
                                       T(answers_find_their_callers_in_any_order),
                                       T(statuses),
                                       T(no_arguments_are_an_empty_object),
                                       T(names_that_cannot_be),
                                       T(calls_that_cannot_be_answered),
                                       T(sizes),
                                       T(answers_of_an_earlier_connection_are_dropped),
                                       T(answers_wait_for_room)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
