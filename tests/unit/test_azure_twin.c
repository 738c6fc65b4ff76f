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
#include "support/host_model.h"
#include "support/twin_rig.h"

static void the_whole_is_asked_for_once_subscribed(void **state)
{
    (void)state;
    twin_online();
    assert_int_equal(twin.rig.publish_count, 1);
    assert_string_equal(twin.rig.publishes[0].topic, "$iothub/twin/GET/?$rid=1");
    assert_int_equal(twin.rig.publishes[0].len, 0);
    assert_int_equal(twin_answer(200, 1,
                                 "{\"desired\":{\"b\":{\"c\":[1,2.5,null,\"\\u00e4\"]},\"a\":true,"
                                 "\"$metadata\":{\"x\":1},\"$version\":8},\"reported\":{\"$version\":4}}"),
                     TG_OK);
    twin_desired_is(true, 8, "{\"b\":{\"c\":[1,2.5,null,\"ä\"]},\"a\":true}");
    assert_int_equal(twin.rig.publish_count, 0); /* nothing to report */
    assert_int_equal(twin.rig.wake_ms, INT64_MAX);
}

/* A SUBACK that does not come delays the twin, it does not end it; when it comes after all, the answer may have been lost. */
static void no_suback_is_not_waited_for_long(void **state)
{
    unsigned first;
    (void)state;
    assert_int_equal(talk_rig_simple(&twin.rig, TG_CLOUD_ONLINE), TG_OK);
    twin_wake_at(TWIN_BEGIN + 5000);
    first = twin_get_asked();
    assert_int_not_equal(first, 0);
    assert_int_equal(talk_rig_simple(&twin.rig, TG_CLOUD_SUBSCRIBED), TG_OK);
    assert_int_equal(twin_get_asked(), first + 1);
    assert_int_equal(twin_answer(200, first, "{\"desired\":{\"$version\":1}}"), TG_OK); /* given up */
    assert_int_equal(twin.rig.desired_count, 0);
    assert_int_equal(twin_answer(200, first + 1, "{\"desired\":{\"$version\":2}}"), TG_OK);
    twin_desired_is(true, 2, "{}");
    assert_int_equal(talk_rig_simple(&twin.rig, TG_CLOUD_SUBSCRIBED), TG_OK);
    assert_int_equal(twin.rig.publish_count, 0);
}

static void silence_is_met_with_patience(void **state)
{
    static const int64_t waits_s[] = {30, 60, 120, 240, 480, 480};
    unsigned rid;
    (void)state;
    twin_online();
    rid = twin_get_asked();
    for (size_t i = 0; i < sizeof waits_s / sizeof waits_s[0]; i++) {
        twin_wake_at(twin.rig.now_ms + waits_s[i] * 1000);
        assert_int_equal(twin_get_asked(), ++rid);
    }
    assert_int_equal(twin_answer(200, rid, "{\"desired\":{\"$version\":1}}"), TG_OK);
    twin_desired_is(true, 1, "{}");
}

static void throttled_requests_come_again_later(void **state)
{
    static const int64_t waits_s[] = {1, 2, 4, 8, 16, 32, 60, 60};
    (void)state;
    twin_online();
    for (size_t i = 0; i < sizeof waits_s / sizeof waits_s[0]; i++) {
        unsigned rid = twin_get_asked();
        /* Said once, not every time. */
        assert_int_equal(twin_answer(i % 2 ? 503 : 429, rid, ""), i == 0 ? TG_EBUSY : TG_OK);
        twin_wake_at(twin.rig.now_ms + waits_s[i] * 1000);
    }
    assert_int_equal(twin_answer(200, twin_get_asked(), "{\"desired\":{\"$version\":1}}"), TG_OK);
    twin_desired_is(true, 1, "{}");
}

static void a_refused_twin_rests_until_there_is_one(void **state)
{
    (void)state;
    twin_online();
    assert_int_equal(twin_answer(404, twin_get_asked(), "{\"Message\":\"no \\\"twin\\\"\"}"), TG_EPROTO);
    assert_non_null(strstr(twin.rig.err.text, "404"));
    assert_non_null(strstr(twin.rig.err.text, "telemetry goes on"));
    assert_int_equal(twin.rig.wake_ms, INT64_MAX);
    assert_int_equal(twin_report("{\"a\":1}"), TG_OK);
    assert_int_equal(twin.rig.publish_count, 0);
    twin_patch("5", "{\"a\":1,\"$version\":5}", TG_OK);
    assert_int_equal(twin_answer(200, twin_get_asked(), "{\"desired\":{\"a\":1,\"$version\":5}}"), TG_OK);
    twin_desired_is(true, 5, "{\"a\":1}");
}

static void no_room_is_waited_for(void **state)
{
    (void)state;
    twin.rig.publish_rc = TG_EFULL;
    twin_online();
    assert_int_equal(twin.rig.publish_count, 0);
    twin.rig.publish_rc = TG_OK;
    twin_wake_at(TWIN_BEGIN + 1000);
    twin.rig.reported = "{\"fw\":\"1.1\"}";
    twin.rig.publish_rc = TG_OK;
    {
        unsigned rid = twin_get_asked();
        twin.rig.publish_rc = TG_EFULL;
        assert_int_equal(twin_answer(200, rid, "{\"desired\":{\"$version\":1}}"), TG_OK);
    }
    twin.rig.publish_rc = TG_OK;
    twin_wake_at(TWIN_BEGIN + 2000);
    (void)twin_report_sent("{\"fw\":\"1.1\"}");
}

static void patches_are_applied_in_order(void **state)
{
    (void)state;
    twin_know("{\"desired\":{\"a\":1,\"$version\":8},\"reported\":{}}");
    twin_patch("9", "{\"a\":null,\"b\":{\"c\":null},\"$version\":9}", TG_OK);
    twin_desired_is(false, 9, "{\"a\":null,\"b\":{\"c\":null}}");
    twin_patch("9", "{\"a\":7,\"$version\":9}", TG_OK); /* known */
    assert_int_equal(twin.rig.desired_count, 0);
    twin_patch("3", "{\"a\":7,\"$version\":3}", TG_OK);
    assert_int_equal(twin.rig.desired_count + twin.rig.publish_count, 0);
    twin_patch("10", "{\"a\":2}", TG_OK);
    twin_desired_is(false, 10, "{\"a\":2}");
}

static void a_gap_asks_for_the_whole(void **state)
{
    (void)state;
    twin_know("{\"desired\":{\"$version\":8}}");
    twin_patch("10", "{\"a\":10}", TG_OK);
    assert_int_equal(twin.rig.desired_count, 0);
    {
        unsigned rid = twin_get_asked();
        assert_int_not_equal(rid, 0);
        twin_patch("11", "{\"a\":11}", TG_OK); /* while the answer is awaited */
        assert_int_equal(twin.rig.desired_count + twin.rig.publish_count, 0);
        /* The answer was made before patch 11: it counts, and the rest is asked for. */
        assert_int_equal(twin_answer(200, rid, "{\"desired\":{\"a\":10,\"$version\":10}}"), TG_OK);
        twin_desired_is(true, 10, "{\"a\":10}");
        assert_int_equal(twin_get_asked(), rid + 1);
        assert_int_equal(twin_answer(200, rid + 1, "{\"desired\":{\"a\":11,\"$version\":11}}"), TG_OK);
    }
    twin_desired_is(true, 11, "{\"a\":11}");
    assert_int_equal(twin.rig.publish_count, 0);
    twin_patch("12", "{\"a\":12}", TG_OK);
    twin_desired_is(false, 12, "{\"a\":12}");
}

static void a_patch_during_the_first_request_is_not_lost(void **state)
{
    unsigned rid;
    (void)state;
    twin_online();
    rid = twin_get_asked();
    twin_patch("9", "{\"a\":9}", TG_OK);
    assert_int_equal(twin.rig.desired_count, 0);
    assert_int_equal(twin_answer(200, rid, "{\"desired\":{\"a\":9,\"$version\":9}}"),
                     TG_OK); /* it is in it */
    twin_desired_is(true, 9, "{\"a\":9}");
    assert_int_equal(twin.rig.publish_count, 0);
}

/* The device was deleted and made anew while connected: versions begin at 1 again. No endless asking. */
static void a_twin_made_anew_is_believed(void **state)
{
    unsigned rid;
    (void)state;
    twin_know("{\"desired\":{\"$version\":50}}");
    twin_patch("60", "{}", TG_OK);
    rid = twin_get_asked();
    assert_int_equal(twin_answer(200, rid, "{\"desired\":{\"$version\":1}}"), TG_OK);
    assert_int_equal(twin_get_asked(), rid + 1);
    assert_int_equal(twin_answer(200, rid + 1, "{\"desired\":{\"$version\":1}}"), TG_OK);
    assert_int_equal(twin.rig.publish_count, 0);
    twin_patch("2", "{\"a\":1}", TG_OK);
    twin_desired_is(false, 2, "{\"a\":1}");
}

static char *nested(unsigned levels, const char *around)
{
    char *text = calloc(1, 8 * levels + 200), *p = text;
    assert_non_null(text);
    p += sprintf(p, "%s", around);
    for (unsigned i = 0; i < levels; i++)
        p += sprintf(p, "{\"d\":");
    p += sprintf(p, "1");
    for (unsigned i = 0; i < levels; i++)
        *p++ = '}';
    return text;
}

static void documents_beyond_the_limits_are_left_out(void **state)
{
    char *big = malloc(60000), *text;
    (void)state;
    twin_know("{\"desired\":{\"$version\":1}}");
    /* Ten levels below the document are allowed. */
    text = nested(11, "");
    twin_patch("2", text, TG_OK);
    twin_desired_is(false, 2, text);
    free(text);
    text = nested(12, "");
    twin_patch("3", text, TG_ETOOBIG);
    assert_non_null(strstr(twin.rig.err.text, "version 3 are left out"));
    assert_int_equal(twin.rig.desired_count, 0);
    free(text);
    text = nested(1500, "");
    twin_patch("4", text, TG_ETOOBIG);
    free(text);
    memset(big, 'x', 59999);
    memcpy(big, "{\"a\":\"", 6);
    memcpy(big + 48 * 1024 - 2, "\"}", 3);
    twin_patch("5", big, TG_OK); /* exactly 48 KiB */
    assert_int_equal(strlen(twin.rig.desired[0].json), 48 * 1024);
    memcpy(big + 48 * 1024 - 2, "x\"}", 4);
    twin_patch("6", big, TG_ETOOBIG);
    assert_int_equal(twin.rig.desired_count + twin.rig.publish_count, 0);
    /* What was left out is no gap. */
    twin_patch("7", "{\"a\":1}", TG_OK);
    twin_desired_is(false, 7, "{\"a\":1}");
    free(big);
}

static void damaged_documents_are_left_out(void **state)
{
    static const char *const bodies[] = {
        "",     "x",         "[]",           "{\"a\":1,\"a\":2}",  "{\"a\":1} ,",
        "null", "{\"a\":\"", "{\"a\":\xff}", "{\"a\":\"\\u0000\"}"};
    char version[8];
    (void)state;
    twin_know("{\"desired\":{\"$version\":0}}");
    for (unsigned i = 0; i < sizeof bodies / sizeof bodies[0]; i++) {
        snprintf(version, sizeof version, "%u", i + 1);
        twin_patch(version, bodies[i], TG_EPROTO);
        assert_int_equal(twin.rig.desired_count, 0);
    }
    twin_patch("x", "{}", TG_EPROTO);
    twin_patch("", "{}", TG_EPROTO);
    twin_patch("99999999999999999999", "{}", TG_EPROTO);
    twin_patch("10", "{}", TG_OK);
    twin_desired_is(false, 10, "{}");
}

static void damaged_answers_are_asked_for_again(void **state)
{
    static const char *const bodies[] = {"",
                                         "[]",
                                         "{}",
                                         "{\"desired\":[]}",
                                         "{\"desired\":{}}",
                                         "{\"desired\":{\"$version\":-1}}",
                                         "{\"desired\":{\"$version\":\"1\"}}"};
    (void)state;
    twin_online();
    for (unsigned i = 0; i < sizeof bodies / sizeof bodies[0]; i++) {
        assert_int_equal(twin_answer(200, twin_get_asked(), bodies[i]), TG_EPROTO);
        assert_non_null(strstr(twin.rig.err.text, "asked for again"));
        twin_wake_at(twin.rig.now_ms + (i < 6 ? 1000 << i : 60000));
    }
    assert_int_equal(twin_answer(200, twin_get_asked(), "{\"desired\":{\"$version\":1}}"), TG_OK);
    twin_desired_is(true, 1, "{}");
}

static void stray_answers_do_nothing(void **state)
{
    static const char *const topics[] = {"$iothub/twin/res/200/?$rid=77",   "$iothub/twin/res/200/?$rid=0",
                                         "$iothub/twin/res/200/?$rid=",     "$iothub/twin/res/200/",
                                         "$iothub/twin/res/2x0/?$rid=1",    "$iothub/twin/res/200/?rid=1",
                                         "$iothub/twin/res/2000/?$rid=1",   "$iothub/twin/res/",
                                         "$iothub/twin/res/20/?$rid=1",     "$iothub/twin/res/200/?$rid=1x",
                                         "$iothub/other/?$rid=1",           "x$iothub/twin/res/200/?$rid=1",
                                         "$iothub/twin/res/200/?x&$ridd=1", "$iothub/twin/res/200?$rid=1"};
    (void)state;
    twin_online();
    assert_int_equal(twin_get_asked(), 1);
    talk_rig_clear(&twin.rig);
    for (size_t i = 0; i < sizeof topics / sizeof topics[0]; i++)
        assert_int_equal(talk_rig_message(&twin.rig, topics[i], "{\"desired\":{\"$version\":1}}"), TG_OK);
    assert_int_equal(twin.rig.desired_count + twin.rig.publish_count + twin.rig.command_count, 0);
    assert_int_equal(talk_rig_message(&twin.rig, "$iothub/twin/res/200/?x=1&$rid=1&$version=4",
                                      "{\"desired\":{\"$version\":1}}"),
                     TG_OK);
    twin_desired_is(true, 1, "{}");
}

static void a_new_connection_begins_anew(void **state)
{
    unsigned rid, again;
    (void)state;
    twin_know("{\"desired\":{\"$version\":5}}");
    assert_int_equal(twin_report("{\"a\":1}"), TG_OK);
    rid = twin_report_sent("{\"a\":1}");
    assert_int_equal(twin_report("{\"b\":1}"), TG_OK);
    assert_int_equal(talk_rig_simple(&twin.rig, TG_CLOUD_OFFLINE), TG_OK);
    assert_int_equal(twin.rig.wake_ms, INT64_MAX);
    talk_rig_clear(&twin.rig);
    twin.rig.reported = "{\"a\":1,\"b\":1}";
    twin_online();
    again = twin_get_asked();
    assert_true(again > rid); /* ids are not used twice */
    assert_int_equal(twin_answer(204, rid, ""), TG_OK);
    /* The desired properties changed while offline. */
    assert_int_equal(twin_answer(200, again, "{\"desired\":{\"z\":1,\"$version\":7},\"reported\":{\"a\":1}}"),
                     TG_OK);
    twin_desired_is(true, 7, "{\"z\":1}");
    (void)twin_report_sent("{\"b\":1}");
}

static void both_troubles_are_told(void **state)
{
    char *body;
    (void)state;
    twin_online();
    twin.rig.reported = "not json";
    body = nested(14, "{\"desired\":{\"$version\":3,\"deep\":");
    strcat(body, "}}");
    assert_int_equal(twin_answer(200, twin_get_asked(), body), TG_ETOOBIG);
    assert_non_null(strstr(twin.rig.err.text, "version 3 are left out"));
    assert_non_null(strstr(twin.rig.said_text, "not sent"));
    free(body);
}

static void a_basic_hub_is_asked_for_nothing(void **state)
{
    static const char *const pairs[] = {"tier", "basic", NULL};
    struct tg_settings *basic = tg_test_settings(tg_azure_hub.config.options, pairs);
    struct tg_bytes filters[TG_MQTT_MAX_FILTERS];
    uint8_t qos[TG_MQTT_MAX_FILTERS], memory[256];
    struct tg_writer w = tg_writer_init(memory, sizeof memory);
    (void)state;
    twin.target.settings = basic;
    twin_online();
    assert_int_equal(twin_report("{\"a\":1}"), TG_OK);
    assert_int_equal(twin.rig.publish_count, 0);
    assert_int_equal(twin.rig.wake_ms, INT64_MAX);
    assert_int_equal(tg_azure_hub.filters(&twin.target, 0, &w, filters, qos), 0);
    twin.target.settings = twin.settings;
    tg_settings_free(basic);
}

/* Any allocation that fails costs the message, not the session: it is asked for again or found by comparing. */
static void memory_that_runs_out(void **state)
{
    int64_t live = tg_alloc_stats().live;
    (void)state;
    twin.rig.reported = "{\"a\":{\"b\":1}}";
    for (uint64_t nth = 1; nth < 8; nth++) {
        talk_rig_simple(&twin.rig, TG_CLOUD_OFFLINE);
        talk_rig_clear(&twin.rig);
        twin_online();
        tg_alloc_fail_at(nth, 0);
        (void)twin_answer(200, twin_get_asked(), "{\"desired\":{\"x\":1,\"$version\":5},\"reported\":{}}");
        (void)talk_rig_message(&twin.rig, TWIN_DESIRED "6", "{\"x\":2}");
        (void)twin_report("{\"c\":1}");
        (void)twin_report("{\"d\":1}");
        tg_alloc_fail_at(0, 0);
    }
    talk_rig_simple(&twin.rig, TG_CLOUD_OFFLINE);
    talk_rig_clear(&twin.rig);
    assert_int_equal(tg_alloc_stats().live, live);
    twin_know("{\"desired\":{\"$version\":5}}");
    (void)twin_report_sent("{\"a\":{\"b\":1}}");
}

int main(void)
{
#define T(name) cmocka_unit_test_setup_teardown(name, twin_begin, twin_end)
    const struct CMUnitTest tests[] = {T(the_whole_is_asked_for_once_subscribed),
                                       T(no_suback_is_not_waited_for_long),
                                       T(silence_is_met_with_patience),
                                       T(throttled_requests_come_again_later),
                                       T(a_refused_twin_rests_until_there_is_one),
                                       T(no_room_is_waited_for),
                                       T(patches_are_applied_in_order),
                                       T(a_gap_asks_for_the_whole),
                                       T(a_patch_during_the_first_request_is_not_lost),
                                       T(a_twin_made_anew_is_believed),
                                       T(documents_beyond_the_limits_are_left_out),
                                       T(damaged_documents_are_left_out),
                                       T(damaged_answers_are_asked_for_again),
                                       T(stray_answers_do_nothing),
                                       T(a_new_connection_begins_anew),
                                       T(both_troubles_are_told),
                                       T(a_basic_hub_is_asked_for_nothing),
                                       T(memory_that_runs_out)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
