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
#include "support/host_model.h"
#include "support/talk_rig.h"

#define DESIRED "$iothub/twin/PATCH/properties/desired/?$version="
#define BEGIN   1000000

static struct talk_rig rig;
static struct tg_cloud_target target;
static struct tg_settings *settings;

static int begin(void **state)
{
    (void)state;
    settings = tg_test_settings(tg_azure_hub.config.options, NULL);
    target = (struct tg_cloud_target){
        .host = "h.azure-devices.net", .device_id = "m1", .gateway = "site", .settings = settings};
    talk_rig_init(&rig, &tg_azure_hub, NULL, &target);
    rig.now_ms = BEGIN;
    return 0;
}

static int end(void **state)
{
    (void)state;
    talk_rig_fini(&rig);
    tg_settings_free(settings);
    return 0;
}

static void online(void)
{
    assert_int_equal(talk_rig_simple(&rig, TG_CLOUD_ONLINE), TG_OK);
    assert_int_equal(rig.publish_count, 0);
    assert_int_equal(talk_rig_simple(&rig, TG_CLOUD_SUBSCRIBED), TG_OK);
}

static void wake_at(int64_t ms)
{
    assert_int_equal(rig.wake_ms, ms);
    rig.now_ms = ms;
    talk_rig_clear(&rig);
    assert_int_equal(talk_rig_simple(&rig, TG_CLOUD_WAKE), TG_OK);
}

static int report(const char *patch)
{
    return talk_rig_event(&rig,
                          &(struct tg_cloud_event){.type = TG_CLOUD_REPORT, .payload = tg_bytes_str(patch)});
}

/* The last request of that kind; its number. */
static unsigned asked(const char *prefix)
{
    size_t n = strlen(prefix);
    for (uint32_t i = rig.publish_count; i-- > 0;)
        if (strncmp(rig.publishes[i].topic, prefix, n) == 0) {
            assert_int_equal(rig.publishes[i].qos, 0);
            assert_false(rig.publishes[i].retain);
            return (unsigned)strtoul(rig.publishes[i].topic + n, NULL, 10);
        }
    return 0;
}

static unsigned get_asked(void)
{
    return asked("$iothub/twin/GET/?$rid=");
}

static unsigned report_sent(const char *body)
{
    unsigned rid = asked("$iothub/twin/PATCH/properties/reported/?$rid=");
    assert_int_not_equal(rid, 0);
    assert_string_equal((const char *)rig.publishes[rig.publish_count - 1].payload, body);
    return rid;
}

static int answer(unsigned status, unsigned rid, const char *body)
{
    char topic[80];
    snprintf(topic, sizeof topic, "$iothub/twin/res/%u/?$rid=%u", status, rid);
    talk_rig_clear(&rig);
    return talk_rig_message(&rig, topic, body);
}

/* Brings the twin to KNOWN with that body. */
static void know(const char *body)
{
    online();
    assert_int_equal(answer(200, get_asked(), body), TG_OK);
}

static void patch(const char *version, const char *body, int rc)
{
    char topic[100];
    snprintf(topic, sizeof topic, DESIRED "%s", version);
    talk_rig_clear(&rig);
    assert_int_equal(talk_rig_message(&rig, topic, body), rc);
}

static void desired_is(bool whole, uint64_t version, const char *json)
{
    assert_int_equal(rig.desired_count, 1);
    assert_int_equal(rig.desired[0].whole, whole);
    assert_int_equal(rig.desired[0].version, version);
    assert_string_equal(rig.desired[0].json, json);
}

static void the_whole_is_asked_for_once_subscribed(void **state)
{
    (void)state;
    online();
    assert_int_equal(rig.publish_count, 1);
    assert_string_equal(rig.publishes[0].topic, "$iothub/twin/GET/?$rid=1");
    assert_int_equal(rig.publishes[0].len, 0);
    assert_int_equal(answer(200, 1,
                            "{\"desired\":{\"b\":{\"c\":[1,2.5,null,\"\\u00e4\"]},\"a\":true,"
                            "\"$metadata\":{\"x\":1},\"$version\":8},\"reported\":{\"$version\":4}}"),
                     TG_OK);
    desired_is(true, 8, "{\"b\":{\"c\":[1,2.5,null,\"ä\"]},\"a\":true}");
    assert_int_equal(rig.publish_count, 0); /* nothing to report */
    assert_int_equal(rig.wake_ms, INT64_MAX);
}

/* A SUBACK that does not come delays the twin, it does not end it; when it comes after all, the answer may have been lost. */
static void no_suback_is_not_waited_for_long(void **state)
{
    unsigned first;
    (void)state;
    assert_int_equal(talk_rig_simple(&rig, TG_CLOUD_ONLINE), TG_OK);
    wake_at(BEGIN + 5000);
    first = get_asked();
    assert_int_not_equal(first, 0);
    assert_int_equal(talk_rig_simple(&rig, TG_CLOUD_SUBSCRIBED), TG_OK);
    assert_int_equal(get_asked(), first + 1);
    assert_int_equal(answer(200, first, "{\"desired\":{\"$version\":1}}"), TG_OK); /* given up */
    assert_int_equal(rig.desired_count, 0);
    assert_int_equal(answer(200, first + 1, "{\"desired\":{\"$version\":2}}"), TG_OK);
    desired_is(true, 2, "{}");
    assert_int_equal(talk_rig_simple(&rig, TG_CLOUD_SUBSCRIBED), TG_OK);
    assert_int_equal(rig.publish_count, 0);
}

static void silence_is_met_with_patience(void **state)
{
    static const int64_t waits_s[] = {30, 60, 120, 240, 480, 480};
    unsigned rid;
    (void)state;
    online();
    rid = get_asked();
    for (size_t i = 0; i < sizeof waits_s / sizeof waits_s[0]; i++) {
        wake_at(rig.now_ms + waits_s[i] * 1000);
        assert_int_equal(get_asked(), ++rid);
    }
    assert_int_equal(answer(200, rid, "{\"desired\":{\"$version\":1}}"), TG_OK);
    desired_is(true, 1, "{}");
}

static void throttled_requests_come_again_later(void **state)
{
    static const int64_t waits_s[] = {1, 2, 4, 8, 16, 32, 60, 60};
    (void)state;
    online();
    for (size_t i = 0; i < sizeof waits_s / sizeof waits_s[0]; i++) {
        unsigned rid = get_asked();
        /* Said once, not every time. */
        assert_int_equal(answer(i % 2 ? 503 : 429, rid, ""), i == 0 ? TG_EBUSY : TG_OK);
        wake_at(rig.now_ms + waits_s[i] * 1000);
    }
    assert_int_equal(answer(200, get_asked(), "{\"desired\":{\"$version\":1}}"), TG_OK);
    desired_is(true, 1, "{}");
}

static void a_refused_twin_rests_until_there_is_one(void **state)
{
    (void)state;
    online();
    assert_int_equal(answer(404, get_asked(), "{\"Message\":\"no \\\"twin\\\"\"}"), TG_EPROTO);
    assert_non_null(strstr(rig.err.text, "404"));
    assert_non_null(strstr(rig.err.text, "telemetry goes on"));
    assert_int_equal(rig.wake_ms, INT64_MAX);
    assert_int_equal(report("{\"a\":1}"), TG_OK);
    assert_int_equal(rig.publish_count, 0);
    patch("5", "{\"a\":1,\"$version\":5}", TG_OK);
    assert_int_equal(answer(200, get_asked(), "{\"desired\":{\"a\":1,\"$version\":5}}"), TG_OK);
    desired_is(true, 5, "{\"a\":1}");
}

static void no_room_is_waited_for(void **state)
{
    (void)state;
    rig.publish_rc = TG_EFULL;
    online();
    assert_int_equal(rig.publish_count, 0);
    rig.publish_rc = TG_OK;
    wake_at(BEGIN + 1000);
    rig.reported = "{\"fw\":\"1.1\"}";
    rig.publish_rc = TG_OK;
    {
        unsigned rid = get_asked();
        rig.publish_rc = TG_EFULL;
        assert_int_equal(answer(200, rid, "{\"desired\":{\"$version\":1}}"), TG_OK);
    }
    rig.publish_rc = TG_OK;
    wake_at(BEGIN + 2000);
    (void)report_sent("{\"fw\":\"1.1\"}");
}

static void patches_are_applied_in_order(void **state)
{
    (void)state;
    know("{\"desired\":{\"a\":1,\"$version\":8},\"reported\":{}}");
    patch("9", "{\"a\":null,\"b\":{\"c\":null},\"$version\":9}", TG_OK);
    desired_is(false, 9, "{\"a\":null,\"b\":{\"c\":null}}");
    patch("9", "{\"a\":7,\"$version\":9}", TG_OK); /* known */
    assert_int_equal(rig.desired_count, 0);
    patch("3", "{\"a\":7,\"$version\":3}", TG_OK);
    assert_int_equal(rig.desired_count + rig.publish_count, 0);
    patch("10", "{\"a\":2}", TG_OK);
    desired_is(false, 10, "{\"a\":2}");
}

static void a_gap_asks_for_the_whole(void **state)
{
    (void)state;
    know("{\"desired\":{\"$version\":8}}");
    patch("10", "{\"a\":10}", TG_OK);
    assert_int_equal(rig.desired_count, 0);
    {
        unsigned rid = get_asked();
        assert_int_not_equal(rid, 0);
        patch("11", "{\"a\":11}", TG_OK); /* while the answer is awaited */
        assert_int_equal(rig.desired_count + rig.publish_count, 0);
        /* The answer was made before patch 11: it counts, and the rest is asked for. */
        assert_int_equal(answer(200, rid, "{\"desired\":{\"a\":10,\"$version\":10}}"), TG_OK);
        desired_is(true, 10, "{\"a\":10}");
        assert_int_equal(get_asked(), rid + 1);
        assert_int_equal(answer(200, rid + 1, "{\"desired\":{\"a\":11,\"$version\":11}}"), TG_OK);
    }
    desired_is(true, 11, "{\"a\":11}");
    assert_int_equal(rig.publish_count, 0);
    patch("12", "{\"a\":12}", TG_OK);
    desired_is(false, 12, "{\"a\":12}");
}

static void a_patch_during_the_first_request_is_not_lost(void **state)
{
    unsigned rid;
    (void)state;
    online();
    rid = get_asked();
    patch("9", "{\"a\":9}", TG_OK);
    assert_int_equal(rig.desired_count, 0);
    assert_int_equal(answer(200, rid, "{\"desired\":{\"a\":9,\"$version\":9}}"), TG_OK); /* it is in it */
    desired_is(true, 9, "{\"a\":9}");
    assert_int_equal(rig.publish_count, 0);
}

/* The device was deleted and made anew while connected: versions begin at 1 again. No endless asking. */
static void a_twin_made_anew_is_believed(void **state)
{
    unsigned rid;
    (void)state;
    know("{\"desired\":{\"$version\":50}}");
    patch("60", "{}", TG_OK);
    rid = get_asked();
    assert_int_equal(answer(200, rid, "{\"desired\":{\"$version\":1}}"), TG_OK);
    assert_int_equal(get_asked(), rid + 1);
    assert_int_equal(answer(200, rid + 1, "{\"desired\":{\"$version\":1}}"), TG_OK);
    assert_int_equal(rig.publish_count, 0);
    patch("2", "{\"a\":1}", TG_OK);
    desired_is(false, 2, "{\"a\":1}");
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
    know("{\"desired\":{\"$version\":1}}");
    /* Ten levels below the document are allowed. */
    text = nested(11, "");
    patch("2", text, TG_OK);
    desired_is(false, 2, text);
    free(text);
    text = nested(12, "");
    patch("3", text, TG_ETOOBIG);
    assert_non_null(strstr(rig.err.text, "version 3 are left out"));
    assert_int_equal(rig.desired_count, 0);
    free(text);
    text = nested(1500, "");
    patch("4", text, TG_ETOOBIG);
    free(text);
    memset(big, 'x', 59999);
    memcpy(big, "{\"a\":\"", 6);
    memcpy(big + 48 * 1024 - 2, "\"}", 3);
    patch("5", big, TG_OK); /* exactly 48 KiB */
    assert_int_equal(strlen(rig.desired[0].json), 48 * 1024);
    memcpy(big + 48 * 1024 - 2, "x\"}", 4);
    patch("6", big, TG_ETOOBIG);
    assert_int_equal(rig.desired_count + rig.publish_count, 0);
    /* What was left out is no gap. */
    patch("7", "{\"a\":1}", TG_OK);
    desired_is(false, 7, "{\"a\":1}");
    free(big);
}

static void damaged_documents_are_left_out(void **state)
{
    static const char *const bodies[] = {
        "",     "x",         "[]",           "{\"a\":1,\"a\":2}",  "{\"a\":1} ,",
        "null", "{\"a\":\"", "{\"a\":\xff}", "{\"a\":\"\\u0000\"}"};
    char version[8];
    (void)state;
    know("{\"desired\":{\"$version\":0}}");
    for (unsigned i = 0; i < sizeof bodies / sizeof bodies[0]; i++) {
        snprintf(version, sizeof version, "%u", i + 1);
        patch(version, bodies[i], TG_EPROTO);
        assert_int_equal(rig.desired_count, 0);
    }
    patch("x", "{}", TG_EPROTO);
    patch("", "{}", TG_EPROTO);
    patch("99999999999999999999", "{}", TG_EPROTO);
    patch("10", "{}", TG_OK);
    desired_is(false, 10, "{}");
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
    online();
    for (unsigned i = 0; i < sizeof bodies / sizeof bodies[0]; i++) {
        assert_int_equal(answer(200, get_asked(), bodies[i]), TG_EPROTO);
        assert_non_null(strstr(rig.err.text, "asked for again"));
        wake_at(rig.now_ms + (i < 6 ? 1000 << i : 60000));
    }
    assert_int_equal(answer(200, get_asked(), "{\"desired\":{\"$version\":1}}"), TG_OK);
    desired_is(true, 1, "{}");
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
    online();
    assert_int_equal(get_asked(), 1);
    talk_rig_clear(&rig);
    for (size_t i = 0; i < sizeof topics / sizeof topics[0]; i++)
        assert_int_equal(talk_rig_message(&rig, topics[i], "{\"desired\":{\"$version\":1}}"), TG_OK);
    assert_int_equal(rig.desired_count + rig.publish_count + rig.command_count, 0);
    assert_int_equal(talk_rig_message(&rig, "$iothub/twin/res/200/?x=1&$rid=1&$version=4",
                                      "{\"desired\":{\"$version\":1}}"),
                     TG_OK);
    desired_is(true, 1, "{}");
}

static void what_differs_is_reported(void **state)
{
    (void)state;
    rig.reported =
        "{\"fw\":\"1.1\",\"points\":{\"u\":{\"unit\":\"V\"},\"i\":{\"unit\":\"A\"}},\"n\":5,\"none\":null}";
    know("{\"desired\":{\"$version\":8},\"reported\":{\"fw\":\"1.0\",\"n\":5,\"old\":{\"x\":1},"
         "\"points\":{\"u\":{\"unit\":\"V\",\"was\":2},\"i\":7},\"$version\":4}}");
    {
        unsigned rid = report_sent(
            "{\"fw\":\"1.1\",\"points\":{\"u\":{\"was\":null},\"i\":{\"unit\":\"A\"}},\"old\":null}");
        assert_int_equal(rig.wake_ms, BEGIN + 30000);
        assert_int_equal(answer(204, rid, ""), TG_OK);
    }
    assert_int_equal(rig.publish_count, 0);
    assert_int_equal(rig.wake_ms, INT64_MAX);
    /* The next connection finds nothing to say. */
    talk_rig_simple(&rig, TG_CLOUD_OFFLINE);
    rig.reported = "{\"fw\":\"1.1\"}";
    know("{\"desired\":{\"$version\":8},\"reported\":{\"fw\":\"1.1\",\"$version\":5}}");
    assert_int_equal(rig.publish_count, 0);
    /* An empty document is no order to remove everything. */
    talk_rig_simple(&rig, TG_CLOUD_OFFLINE);
    rig.reported = "{}";
    know("{\"desired\":{\"$version\":8},\"reported\":{\"fw\":\"1.1\",\"$version\":5}}");
    assert_int_equal(rig.publish_count, 0);
}

static void one_report_at_a_time(void **state)
{
    unsigned rid;
    (void)state;
    know("{\"desired\":{\"$version\":1},\"reported\":{\"$version\":1}}");
    talk_rig_clear(&rig);
    assert_int_equal(report("{\"a\":1}"), TG_OK);
    rid = report_sent("{\"a\":1}");
    talk_rig_clear(&rig);
    assert_int_equal(report("{\"b\":{\"x\":1,\"y\":2}}"), TG_OK);
    assert_int_equal(report("{\"b\":{\"x\":null},\"a\":2}"), TG_OK);
    assert_int_equal(report("{\"c\":[1]}"), TG_OK);
    assert_int_equal(rig.publish_count, 0);
    assert_int_equal(answer(204, rid, ""), TG_OK);
    rid = report_sent("{\"b\":{\"x\":null,\"y\":2},\"a\":2,\"c\":[1]}");
    assert_int_equal(answer(204, rid, ""), TG_OK);
    assert_int_equal(rig.publish_count, 0);
}

static void a_throttled_report_goes_again_with_what_came_since(void **state)
{
    unsigned rid;
    (void)state;
    know("{\"desired\":{\"$version\":1}}");
    assert_int_equal(report("{\"a\":1,\"b\":1}"), TG_OK);
    rid = report_sent("{\"a\":1,\"b\":1}");
    assert_int_equal(report("{\"b\":2}"), TG_OK);
    assert_int_equal(answer(429, rid, "{}"), TG_EBUSY);
    assert_int_equal(report("{\"c\":3}"), TG_OK); /* waits with them */
    assert_int_equal(rig.publish_count, 0);
    wake_at(BEGIN + 1000);
    rid = report_sent("{\"a\":1,\"b\":2,\"c\":3}");
    assert_int_equal(answer(500, rid, ""), TG_OK);
    wake_at(BEGIN + 3000);
    rid = report_sent("{\"a\":1,\"b\":2,\"c\":3}");
    wake_at(BEGIN + 33000); /* no answer at all */
    rid = report_sent("{\"a\":1,\"b\":2,\"c\":3}");
    assert_int_equal(rig.wake_ms, BEGIN + 33000 + 60000);
    assert_int_equal(answer(204, rid, ""), TG_OK);
    assert_int_equal(rig.wake_ms, INT64_MAX);
}

static void a_refused_report_is_left_out(void **state)
{
    unsigned rid;
    (void)state;
    know("{\"desired\":{\"$version\":1}}");
    assert_int_equal(report("{\"a$b\":1}"), TG_OK);
    rid = report_sent("{\"a$b\":1}");
    assert_int_equal(report("{\"c\":1}"), TG_OK);
    assert_int_equal(answer(400, rid, "{\"Message\":\"bad key\"}"), TG_EPROTO);
    assert_non_null(strstr(rig.err.text, "bad key"));
    (void)report_sent("{\"c\":1}"); /* the next one goes */
}

/* What one patch cannot say is found by comparing. */
static void unmergeable_reports_ask_for_the_whole(void **state)
{
    char *big = calloc(1, 40000);
    unsigned rid;
    (void)state;
    know("{\"desired\":{\"$version\":1}}");
    assert_int_equal(report("{\"a\":{\"x\":1}}"), TG_OK);
    talk_rig_clear(&rig);
    assert_int_equal(report("{\"a\":null}"), TG_OK);
    assert_int_equal(report("{\"a\":{\"y\":1}}"), TG_OK); /* {"a":{"y":1}} alone would leave x */
    rid = get_asked();
    assert_int_not_equal(rid, 0);
    rig.reported = "{\"a\":{\"y\":1}}";
    assert_int_equal(answer(200, rid, "{\"desired\":{\"$version\":1},\"reported\":{\"a\":{\"x\":1}}}"),
                     TG_OK);
    rid = report_sent("{\"a\":{\"y\":1,\"x\":null}}");
    assert_int_equal(answer(204, rid, ""), TG_OK);
    /* What no hub would take is told, once, and nothing is sent. */
    memset(big, 'x', 39000);
    memcpy(big, "{\"a\":\"", 6);
    memcpy(big + 39000, "\"}", 3);
    rig.reported = big;
    talk_rig_clear(&rig);
    for (int i = 0; i < 2; i++)
        assert_int_equal(report(big), TG_OK);
    assert_int_equal(rig.said_count, 1);
    assert_int_equal(rig.said_level, TG_LOG_WARN);
    assert_non_null(strstr(rig.said_text, "not sent"));
    assert_non_null(strstr(rig.said_text, "32768"));
    assert_int_equal(rig.publish_count, 0);
    /* It fits again: what was left out meanwhile is found by comparing. */
    rig.reported = "{\"a\":{\"y\":1},\"b\":2}";
    assert_int_equal(report("{\"a\":{\"y\":1}}"), TG_OK);
    rid = get_asked();
    assert_int_equal(answer(200, rid, "{\"desired\":{\"$version\":1},\"reported\":{\"a\":{\"y\":1}}}"),
                     TG_OK);
    (void)report_sent("{\"b\":2}");
    free(big);
}

static void reports_before_the_answer_are_in_the_whole(void **state)
{
    (void)state;
    assert_int_equal(report("{\"a\":0}"), TG_OK); /* offline */
    online();
    assert_int_equal(report("{\"a\":1}"), TG_OK);
    assert_int_equal(rig.publish_count, 1);
    rig.reported = "{\"a\":1}";
    assert_int_equal(answer(200, get_asked(), "{\"desired\":{\"$version\":1},\"reported\":{}}"), TG_OK);
    (void)report_sent("{\"a\":1}");
}

static void a_new_connection_begins_anew(void **state)
{
    unsigned rid, again;
    (void)state;
    know("{\"desired\":{\"$version\":5}}");
    assert_int_equal(report("{\"a\":1}"), TG_OK);
    rid = report_sent("{\"a\":1}");
    assert_int_equal(report("{\"b\":1}"), TG_OK);
    assert_int_equal(talk_rig_simple(&rig, TG_CLOUD_OFFLINE), TG_OK);
    assert_int_equal(rig.wake_ms, INT64_MAX);
    talk_rig_clear(&rig);
    rig.reported = "{\"a\":1,\"b\":1}";
    online();
    again = get_asked();
    assert_true(again > rid); /* ids are not used twice */
    assert_int_equal(answer(204, rid, ""), TG_OK);
    /* The desired properties changed while offline. */
    assert_int_equal(answer(200, again, "{\"desired\":{\"z\":1,\"$version\":7},\"reported\":{\"a\":1}}"),
                     TG_OK);
    desired_is(true, 7, "{\"z\":1}");
    (void)report_sent("{\"b\":1}");
}

static void both_troubles_are_told(void **state)
{
    char *body;
    (void)state;
    online();
    rig.reported = "not json";
    body = nested(14, "{\"desired\":{\"$version\":3,\"deep\":");
    strcat(body, "}}");
    assert_int_equal(answer(200, get_asked(), body), TG_ETOOBIG);
    assert_non_null(strstr(rig.err.text, "version 3 are left out"));
    assert_non_null(strstr(rig.said_text, "not sent"));
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
    target.settings = basic;
    online();
    assert_int_equal(report("{\"a\":1}"), TG_OK);
    assert_int_equal(rig.publish_count, 0);
    assert_int_equal(rig.wake_ms, INT64_MAX);
    assert_int_equal(tg_azure_hub.filters(&target, 0, &w, filters, qos), 0);
    target.settings = settings;
    tg_settings_free(basic);
}

/* Any allocation that fails costs the message, not the session: it is asked for again or found by comparing. */
static void memory_that_runs_out(void **state)
{
    int64_t live = tg_alloc_stats().live;
    (void)state;
    rig.reported = "{\"a\":{\"b\":1}}";
    for (uint64_t nth = 1; nth < 8; nth++) {
        talk_rig_simple(&rig, TG_CLOUD_OFFLINE);
        talk_rig_clear(&rig);
        online();
        tg_alloc_fail_at(nth, 0);
        (void)answer(200, get_asked(), "{\"desired\":{\"x\":1,\"$version\":5},\"reported\":{}}");
        (void)talk_rig_message(&rig, DESIRED "6", "{\"x\":2}");
        (void)report("{\"c\":1}");
        (void)report("{\"d\":1}");
        tg_alloc_fail_at(0, 0);
    }
    talk_rig_simple(&rig, TG_CLOUD_OFFLINE);
    talk_rig_clear(&rig);
    assert_int_equal(tg_alloc_stats().live, live);
    know("{\"desired\":{\"$version\":5}}");
    (void)report_sent("{\"a\":{\"b\":1}}");
}

int main(void)
{
#define T(name) cmocka_unit_test_setup_teardown(name, begin, end)
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
                                       T(what_differs_is_reported),
                                       T(one_report_at_a_time),
                                       T(a_throttled_report_goes_again_with_what_came_since),
                                       T(a_refused_report_is_left_out),
                                       T(unmergeable_reports_ask_for_the_whole),
                                       T(reports_before_the_answer_are_in_the_whole),
                                       T(a_new_connection_begins_anew),
                                       T(both_troubles_are_told),
                                       T(a_basic_hub_is_asked_for_nothing),
                                       T(memory_that_runs_out)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
