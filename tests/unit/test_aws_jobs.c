/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * Jobs as a conversation.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "northbound/aws_iot.h"
#include "northbound/aws_jobs.h"
#include "support/host_model.h"
#include "support/talk_rig.h"

#define J "$aws/things/m1/jobs/"
#define RELAY                                                                                                \
    "{\"execution\":{\"jobId\":\"job-1\",\"executionNumber\":2,\"versionNumber\":1,\"status\":\"IN_"         \
    "PROGRESS\","                                                                                            \
    "\"jobDocument\":{\"command\":\"set\",\"arguments\":{\"relay\":true}}},\"timestamp\":1,\"clientToken\":" \
    "\"TOKEN\"}"
#define NONE "{\"timestamp\":1,\"clientToken\":\"TOKEN\"}"

static struct tg_settings *settings;
static struct tg_cloud_target target;
static char token[64];

static int setup(void **state)
{
    static struct talk_rig r;
    settings = tg_test_settings(tg_aws_iot.config.options, (const char *[]){"jobs", "on", NULL});
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
    talk_rig_clear(r);
    r->wall_ms++; /* another connection has other tokens */
    talk_rig_simple(r, TG_CLOUD_ONLINE);
    talk_rig_simple(r, TG_CLOUD_SUBSCRIBED);
    assert_int_equal(r->publish_count, 1);
    assert_string_equal(r->publishes[0].topic, J "start-next");
}

static int answer(struct talk_rig *r, const char *topic, const char *body)
{
    char text[4000], full[200];
    const char *at = strstr(body, "TOKEN");
    if (at) {
        const char *sent = r->publish_count ? (const char *)r->publishes[r->publish_count - 1].payload : "";
        const char *where = strstr(sent, "\"clientToken\":\"");
        assert_non_null(where);
        assert_int_equal(sscanf(where, "\"clientToken\":\"%63[^\"]", token), 1);
        snprintf(text, sizeof text, "%.*s%s%s", (int)(at - body), body, token, at + 5);
    } else {
        snprintf(text, sizeof text, "%s", body);
    }
    snprintf(full, sizeof full, J "%s", topic);
    talk_rig_clear(r);
    return talk_rig_message(r, full, text);
}

static void command_ended(struct talk_rig *r, const char *status, const char *result)
{
    talk_rig_clear(r);
    talk_rig_event(r, &(struct tg_cloud_event){.type = TG_CLOUD_ANSWER,
                                               .reply = tg_bytes_str("2 job-1"),
                                               .status = status,
                                               .payload = tg_bytes_str(result)});
}

static void assert_outcome(const struct talk_rig *r, const char *status, const char *name, const char *detail)
{
    const struct talk_rig_publish *p = talk_rig_find(r, J "job-1/update");
    json_t *j;
    const json_t *details;
    assert_non_null(p);
    j = json_loads((const char *)p->payload, 0, NULL);
    assert_non_null(j);
    details = json_object_get(j, "statusDetails");
    assert_string_equal(json_string_value(json_object_get(j, "status")), status);
    assert_int_equal(json_integer_value(json_object_get(j, "executionNumber")), 2);
    assert_non_null(json_string_value(json_object_get(j, "clientToken")));
    assert_int_equal(json_object_size(details), 2);
    assert_non_null(json_string_value(json_object_get(details, "status")));
    if (!strstr(json_string_value(json_object_get(details, name)), detail))
        fail_msg("%s is not in %s", detail, (const char *)p->payload);
    json_decref(j);
}

static void test_whole_life(void **state)
{
    struct talk_rig *r = *state;
    online(r);
    assert_string_equal((const char *)r->publishes[0].payload, "{\"clientToken\":\"tg18d-1\"}");
    assert_int_equal(answer(r, "start-next/accepted", NONE), TG_OK);
    assert_int_equal(r->publish_count, 0);
    assert_true(r->wake_ms == INT64_MAX);
    answer(r, "notify-next", "{\"timestamp\":1}"); /* the last one was taken away */
    assert_int_equal(r->publish_count, 0);
    answer(r, "notify-next", "{\"timestamp\":1,\"execution\":{\"jobId\":\"job-1\"}}");
    assert_string_equal(r->publishes[0].topic, J "start-next");
    assert_int_equal(answer(r, "start-next/accepted", RELAY), TG_OK);
    assert_int_equal(r->command_count, 1);
    assert_string_equal(r->commands[0].name, "set");
    assert_string_equal(r->commands[0].body, "{\"relay\":true}");
    assert_string_equal(r->commands[0].message_id, "job:job-1:2");
    assert_false(r->commands[0].hold);
    assert_memory_equal(r->commands[0].reply, "2 job-1", 7);
    /* Notified while it runs: it is asked for the next one anyway. */
    answer(r, "notify-next", "{\"execution\":{\"jobId\":\"job-2\"}}");
    assert_int_equal(r->publish_count, 0);
    command_ended(r, "ok", "{\"relay\":true}");
    assert_outcome(r, "SUCCEEDED", "result", "{\"relay\":true}");
    assert_int_equal(answer(r, "job-1/update/accepted", NONE), TG_OK);
    assert_string_equal(r->publishes[0].topic, J "start-next");
    answer(r, "start-next/accepted", NONE);
    assert_int_equal(r->publish_count, 0);
}

static void test_failed(void **state)
{
    struct talk_rig *r = *state;
    char text[2200];
    online(r);
    answer(r, "start-next/accepted", RELAY);
    /* Longer than AWS takes: cut at a character, of which the last here has two bytes. */
    snprintf(text, sizeof text, "{\"e\":\"%01016d", 0);
    for (size_t n = strlen(text); n < 2100; n += 2)
        memcpy(text + n, "ä", 3);
    assert_int_equal(strlen(text) % 2, 0);
    command_ended(r, "timeout", text);
    assert_outcome(r, "FAILED", "result", "{\"e\":\"000");
    assert_outcome(r, "FAILED", "status", "timeout");
    json_t *j = json_loads((const char *)r->publishes[0].payload, 0, NULL);
    const json_t *detail = json_object_get(json_object_get(j, "statusDetails"), "result");
    assert_int_equal(json_string_length(detail), 1024 - (1024 - strlen("{\"e\":\"") - 1016) % 2);
    json_decref(j);
}

static void test_control_characters(void **state)
{
    struct talk_rig *r = *state;
    online(r);
    answer(r, "start-next/accepted", RELAY);
    command_ended(r, "ok",
                  "a\nb\x7F"
                  "c");
    assert_outcome(r, "SUCCEEDED", "result", "a b c");
    answer(r, "job-1/update/accepted", NONE);
    answer(r, "start-next/accepted", RELAY);
    command_ended(r, "ok", "");
    assert_outcome(r, "SUCCEEDED", "result", "-"); /* AWS takes no empty text */
}

static void test_not_a_command(void **state)
{
    static const char *const documents[] = {
        "{}",     "{\"command\":7}", "{\"command\":\"\"}", "[]", "{\"command\":\"set\",\"arguments\":[1]}",
        "\"set\""};
    struct talk_rig *r = *state;
    online(r);
    for (size_t i = 0; i < sizeof documents / sizeof documents[0]; i++) {
        char body[400];
        snprintf(body, sizeof body,
                 "{\"execution\":{\"jobId\":\"job-1\",\"executionNumber\":2,\"jobDocument\":%s},"
                 "\"clientToken\":\"TOKEN\"}",
                 documents[i]);
        assert_int_equal(answer(r, "start-next/accepted", body), TG_EPROTO);
        assert_non_null(strstr(r->err.text, "job-1 is rejected"));
        assert_int_equal(r->command_count, 0);
        assert_outcome(r, "REJECTED", "reason", "no command");
        answer(r, "job-1/update/accepted", NONE);
    }
}

static void test_no_arguments(void **state)
{
    struct talk_rig *r = *state;
    online(r);
    answer(r, "start-next/accepted",
           "{\"execution\":{\"jobId\":\"j\",\"jobDocument\":{\"command\":\"reboot\"}},\"clientToken\":"
           "\"TOKEN\"}");
    assert_string_equal(r->commands[0].name, "reboot");
    assert_string_equal(r->commands[0].body, "{}");
    assert_string_equal(r->commands[0].message_id, "job:j:0");
}

/* A restart while it runs: the same execution comes again. */
static void test_once(void **state)
{
    struct talk_rig *r = *state;
    online(r);
    answer(r, "start-next/accepted", RELAY);
    assert_int_equal(r->command_count, 1);
    talk_rig_simple(r, TG_CLOUD_OFFLINE);
    talk_rig_simple(r, TG_CLOUD_END);
    memset(r->talk.session, 0, tg_aws_iot.session_bytes);
    talk_rig_simple(r, TG_CLOUD_START);
    online(r);
    answer(r, "start-next/accepted", RELAY);
    assert_int_equal(r->command_count, 0);
    assert_outcome(r, "FAILED", "reason", "its outcome is not known");
    /* The outcome is lost as well: it is sent again as it was. */
    talk_rig_simple(r, TG_CLOUD_OFFLINE);
    online(r);
    answer(r, "start-next/accepted", RELAY);
    assert_int_equal(r->command_count, 0);
    assert_outcome(r, "FAILED", "reason", "its outcome is not known");
    answer(r, "job-1/update/accepted", NONE);
    /* Nothing is left of it in the notes. */
    for (size_t i = 0; i < sizeof r->notes / sizeof r->notes[0]; i++)
        assert_null(r->notes[i].value);
}

static void test_outcome_survives(void **state)
{
    struct talk_rig *r = *state;
    online(r);
    answer(r, "start-next/accepted", RELAY);
    command_ended(r, "ok", "{\"done\":1}");
    talk_rig_simple(r, TG_CLOUD_OFFLINE);
    online(r);
    answer(r, "start-next/accepted", RELAY);
    assert_int_equal(r->command_count, 0);
    assert_outcome(r, "SUCCEEDED", "result", "{\"done\":1}");
    /* Another execution of the same job is another one. */
    talk_rig_simple(r, TG_CLOUD_OFFLINE);
    online(r);
    answer(
        r, "start-next/accepted",
        "{\"execution\":{\"jobId\":\"job-1\",\"executionNumber\":22,\"jobDocument\":{\"command\":\"set\"}},"
        "\"clientToken\":\"TOKEN\"}");
    assert_int_equal(r->command_count, 1);
}

static void test_refused(void **state)
{
    struct talk_rig *r = *state;
    online(r);
    assert_int_equal(answer(r, "start-next/rejected",
                            "{\"code\":\"RequestThrottled\",\"message\":\"m\",\"clientToken\":\"TOKEN\"}"),
                     TG_EPROTO);
    assert_true(r->wake_ms > r->now_ms && r->wake_ms <= r->now_ms + 1000);
    r->now_ms = r->wake_ms;
    talk_rig_simple(r, TG_CLOUD_WAKE);
    answer(r, "start-next/accepted", RELAY);
    command_ended(r, "ok", "{}");
    answer(r, "job-1/update/rejected", "{\"code\":\"InternalError\",\"clientToken\":\"TOKEN\"}");
    r->now_ms = r->wake_ms;
    talk_rig_simple(r, TG_CLOUD_WAKE);
    assert_outcome(r, "SUCCEEDED", "result", "{}");
    /* Cancelled meanwhile: the next. */
    assert_int_equal(
        answer(r, "job-1/update/rejected", "{\"code\":\"InvalidStateTransition\",\"clientToken\":\"TOKEN\"}"),
        TG_EPROTO);
    assert_string_equal(r->publishes[0].topic, J "start-next");
    /* A refusal that would come again and again. */
    answer(r, "start-next/accepted", RELAY);
    command_ended(r, "ok", "{}");
    assert_int_equal(answer(r, "job-1/update/rejected",
                            "{\"code\":\"InvalidRequest\",\"message\":\"m\",\"clientToken\":\"TOKEN\"}"),
                     TG_EPROTO);
    assert_non_null(strstr(r->err.text, "until the next connection"));
    assert_int_equal(r->publish_count, 0);
    answer(r, "notify-next", "{\"execution\":{\"jobId\":\"job-2\"}}");
    assert_int_equal(r->publish_count, 0);
}

static void test_silence(void **state)
{
    struct talk_rig *r = *state;
    online(r);
    assert_true(r->wake_ms == r->now_ms + 20000);
    r->now_ms += 20000;
    talk_rig_clear(r);
    talk_rig_simple(r, TG_CLOUD_WAKE);
    assert_string_equal(r->publishes[0].topic, J "start-next");
    assert_true(r->wake_ms == r->now_ms + 40000);
    answer(r, "start-next/accepted", RELAY);
    command_ended(r, "ok", "{}");
    r->now_ms = r->wake_ms;
    talk_rig_clear(r);
    talk_rig_simple(r, TG_CLOUD_WAKE);
    assert_outcome(r, "SUCCEEDED", "result", "{}");
    answer(r, "job-1/update/accepted", NONE);
    /* A command that never ends. */
    answer(r, "start-next/accepted", RELAY);
    r->now_ms = r->wake_ms;
    talk_rig_clear(r);
    talk_rig_simple(r, TG_CLOUD_WAKE);
    assert_outcome(r, "FAILED", "status", "unknown");
    command_ended(r, "ok", "{}"); /* too late */
    assert_int_equal(r->publish_count, 0);
}

/* The connection is lost while a command runs: how it ends is told all the same, whether that is known before AWS
 * gives the job again or after it. */
static void test_answer_after_a_lost_connection(void **state)
{
    struct talk_rig *r = *state;
    for (int offline = 0; offline < 3; offline++) {
        online(r);
        assert_int_equal(answer(r, "start-next/accepted", RELAY), TG_OK);
        assert_int_equal(r->command_count, 1);
        talk_rig_simple(r, TG_CLOUD_OFFLINE);
        if (offline == 0)
            command_ended(r, "ok", "{\"a\":1}");
        online(r);
        if (offline == 1) {
            char *asked = strdup((const char *)r->publishes[0].payload);
            assert_non_null(asked);
            command_ended(r, "ok", "{\"a\":1}");
            assert_int_equal(r->publish_count, 0);
            r->publish_count = 1; /* what AWS answers to was sent before */
            r->publishes[0].topic = strdup(J "start-next");
            r->publishes[0].payload = (uint8_t *)asked;
        }
        assert_int_equal(answer(r, "start-next/accepted", RELAY), TG_OK);
        assert_int_equal(r->command_count, 0);
        if (offline == 2) {
            assert_int_equal(r->publish_count, 0);
            assert_true(r->wake_ms == r->now_ms + 120000);
            command_ended(r, "ok", "{\"a\":1}");
        }
        assert_outcome(r, "SUCCEEDED", "result", "{\"a\":1}");
        answer(r, "job-1/update/accepted", NONE);
        assert_string_equal(r->publishes[0].topic, J "start-next");
        assert_int_equal(answer(r, "start-next/accepted", NONE), TG_OK);
        talk_rig_simple(r, TG_CLOUD_OFFLINE);
    }
}

/* Another job has taken its place at AWS meanwhile: the late answer is nobody's. */
static void test_late_answer_of_a_cancelled_job(void **state)
{
    struct talk_rig *r = *state;
    online(r);
    answer(r, "start-next/accepted", RELAY);
    talk_rig_simple(r, TG_CLOUD_OFFLINE);
    online(r);
    answer(r, "start-next/accepted",
           "{\"execution\":{\"jobId\":\"job-2\",\"executionNumber\":2,\"jobDocument\":{\"command\":\"x\"}},"
           "\"clientToken\":\"TOKEN\"}");
    assert_int_equal(r->command_count, 1);
    command_ended(r, "ok", "{}"); /* of job-1 */
    assert_int_equal(r->publish_count, 0);
    assert_true(r->wake_ms == r->now_ms + 120000);
}

static void test_no_room(void **state)
{
    struct talk_rig *r = *state;
    online(r);
    answer(r, "start-next/accepted", RELAY);
    r->publish_rc = TG_EFULL;
    command_ended(r, "ok", "{}");
    r->publish_rc = TG_OK;
    assert_true(r->wake_ms == r->now_ms + 1000);
    r->now_ms += 1000;
    talk_rig_simple(r, TG_CLOUD_WAKE);
    assert_outcome(r, "SUCCEEDED", "result", "{}");
}

static void test_hostile(void **state)
{
    static const char *const ids[] = {
        "\"\"",  "7",       "\"a/b\"",
        "\"+\"", "\"a b\"", "\"01234567890123456789012345678901234567890123456789012345678901234\""};
    struct talk_rig *r = *state;
    online(r);
    for (size_t i = 0; i < sizeof ids / sizeof ids[0]; i++) {
        char body[300];
        snprintf(
            body, sizeof body,
            "{\"execution\":{\"jobId\":%s,\"jobDocument\":{\"command\":\"x\"}},\"clientToken\":\"TOKEN\"}",
            ids[i]);
        assert_int_equal(answer(r, "start-next/accepted", body), TG_EPROTO);
        assert_int_equal(r->command_count + r->publish_count, 0);
        answer(r, "notify-next", "{\"execution\":{\"jobId\":\"x\"}}");
        assert_int_equal(r->publish_count, 1);
    }
    assert_int_equal(talk_rig_message(r, J "start-next/accepted", "{\"execution\":{\"jobId\":\"x\"}}"),
                     TG_OK);
    assert_int_equal(talk_rig_message(r, J "notify-next", "["), TG_EPROTO);
    assert_int_equal(talk_rig_message(r, J "start-next/accepted", "null"), TG_EPROTO);
    assert_int_equal(talk_rig_message(r, J, "{}"), TG_OK);
    /* A note that is not ours. */
    r->talk.io->remember(r->talk.user, "job", tg_bytes_str("2 job-1"));
    answer(r, "start-next/accepted", RELAY);
    assert_int_equal(r->command_count, 1);
}

#define ONE(test) cmocka_unit_test_setup_teardown(test, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {ONE(test_whole_life),
                                       ONE(test_failed),
                                       ONE(test_control_characters),
                                       ONE(test_not_a_command),
                                       ONE(test_no_arguments),
                                       ONE(test_once),
                                       ONE(test_outcome_survives),
                                       ONE(test_refused),
                                       ONE(test_silence),
                                       ONE(test_no_room),
                                       ONE(test_hostile),
                                       ONE(test_answer_after_a_lost_connection),
                                       ONE(test_late_answer_of_a_cancelled_job)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
