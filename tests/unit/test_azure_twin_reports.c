/* SPDX-License-Identifier: GPL-2.0-or-later */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <cmocka.h>

#include "support/twin_rig.h"

static void what_differs_is_reported(void **state)
{
    (void)state;
    twin.rig.reported =
        "{\"fw\":\"1.1\",\"points\":{\"u\":{\"unit\":\"V\"},\"i\":{\"unit\":\"A\"}},\"n\":5,\"none\":null}";
    twin_know("{\"desired\":{\"$version\":8},\"reported\":{\"fw\":\"1.0\",\"n\":5,\"old\":{\"x\":1},"
              "\"points\":{\"u\":{\"unit\":\"V\",\"was\":2},\"i\":7},\"$version\":4}}");
    {
        unsigned rid = twin_report_sent(
            "{\"fw\":\"1.1\",\"points\":{\"u\":{\"was\":null},\"i\":{\"unit\":\"A\"}},\"old\":null}");
        assert_int_equal(twin.rig.wake_ms, TWIN_BEGIN + 30000);
        assert_int_equal(twin_answer(204, rid, ""), TG_OK);
    }
    assert_int_equal(twin.rig.publish_count, 0);
    assert_int_equal(twin.rig.wake_ms, INT64_MAX);
    /* The next connection finds nothing to say. */
    talk_rig_simple(&twin.rig, TG_CLOUD_OFFLINE);
    twin.rig.reported = "{\"fw\":\"1.1\"}";
    twin_know("{\"desired\":{\"$version\":8},\"reported\":{\"fw\":\"1.1\",\"$version\":5}}");
    assert_int_equal(twin.rig.publish_count, 0);
    /* An empty document is no order to remove everything. */
    talk_rig_simple(&twin.rig, TG_CLOUD_OFFLINE);
    twin.rig.reported = "{}";
    twin_know("{\"desired\":{\"$version\":8},\"reported\":{\"fw\":\"1.1\",\"$version\":5}}");
    assert_int_equal(twin.rig.publish_count, 0);
}

static void one_report_at_a_time(void **state)
{
    unsigned rid;
    (void)state;
    twin_know("{\"desired\":{\"$version\":1},\"reported\":{\"$version\":1}}");
    talk_rig_clear(&twin.rig);
    assert_int_equal(twin_report("{\"a\":1}"), TG_OK);
    rid = twin_report_sent("{\"a\":1}");
    talk_rig_clear(&twin.rig);
    assert_int_equal(twin_report("{\"b\":{\"x\":1,\"y\":2}}"), TG_OK);
    assert_int_equal(twin_report("{\"b\":{\"x\":null},\"a\":2}"), TG_OK);
    assert_int_equal(twin_report("{\"c\":[1]}"), TG_OK);
    assert_int_equal(twin.rig.publish_count, 0);
    assert_int_equal(twin_answer(204, rid, ""), TG_OK);
    rid = twin_report_sent("{\"b\":{\"x\":null,\"y\":2},\"a\":2,\"c\":[1]}");
    assert_int_equal(twin_answer(204, rid, ""), TG_OK);
    assert_int_equal(twin.rig.publish_count, 0);
}

static void a_throttled_report_goes_again_with_what_came_since(void **state)
{
    unsigned rid;
    (void)state;
    twin_know("{\"desired\":{\"$version\":1}}");
    assert_int_equal(twin_report("{\"a\":1,\"b\":1}"), TG_OK);
    rid = twin_report_sent("{\"a\":1,\"b\":1}");
    assert_int_equal(twin_report("{\"b\":2}"), TG_OK);
    assert_int_equal(twin_answer(429, rid, "{}"), TG_EBUSY);
    assert_int_equal(twin_report("{\"c\":3}"), TG_OK); /* waits with them */
    assert_int_equal(twin.rig.publish_count, 0);
    twin_wake_at(TWIN_BEGIN + 1000);
    rid = twin_report_sent("{\"a\":1,\"b\":2,\"c\":3}");
    assert_int_equal(twin_answer(500, rid, ""), TG_OK);
    twin_wake_at(TWIN_BEGIN + 3000);
    rid = twin_report_sent("{\"a\":1,\"b\":2,\"c\":3}");
    twin_wake_at(TWIN_BEGIN + 33000); /* no answer at all */
    rid = twin_report_sent("{\"a\":1,\"b\":2,\"c\":3}");
    assert_int_equal(twin.rig.wake_ms, TWIN_BEGIN + 33000 + 60000);
    assert_int_equal(twin_answer(204, rid, ""), TG_OK);
    assert_int_equal(twin.rig.wake_ms, INT64_MAX);
}

static void a_refused_report_is_left_out(void **state)
{
    unsigned rid;
    (void)state;
    twin_know("{\"desired\":{\"$version\":1}}");
    assert_int_equal(twin_report("{\"a$b\":1}"), TG_OK);
    rid = twin_report_sent("{\"a$b\":1}");
    assert_int_equal(twin_report("{\"c\":1}"), TG_OK);
    assert_int_equal(twin_answer(400, rid, "{\"Message\":\"bad key\"}"), TG_EPROTO);
    assert_non_null(strstr(twin.rig.err.text, "bad key"));
    (void)twin_report_sent("{\"c\":1}"); /* the next one goes */
}

/* What one patch cannot say is found by comparing. */
static void unmergeable_reports_ask_for_the_whole(void **state)
{
    char *big = calloc(1, 40000);
    unsigned rid;
    (void)state;
    twin_know("{\"desired\":{\"$version\":1}}");
    assert_int_equal(twin_report("{\"a\":{\"x\":1}}"), TG_OK);
    talk_rig_clear(&twin.rig);
    assert_int_equal(twin_report("{\"a\":null}"), TG_OK);
    assert_int_equal(twin_report("{\"a\":{\"y\":1}}"), TG_OK); /* {"a":{"y":1}} alone would leave x */
    rid = twin_get_asked();
    assert_int_not_equal(rid, 0);
    twin.rig.reported = "{\"a\":{\"y\":1}}";
    assert_int_equal(twin_answer(200, rid, "{\"desired\":{\"$version\":1},\"reported\":{\"a\":{\"x\":1}}}"),
                     TG_OK);
    rid = twin_report_sent("{\"a\":{\"y\":1,\"x\":null}}");
    assert_int_equal(twin_answer(204, rid, ""), TG_OK);
    /* What no hub would take is told, once, and nothing is sent. */
    memset(big, 'x', 39000);
    memcpy(big, "{\"a\":\"", 6);
    memcpy(big + 39000, "\"}", 3);
    twin.rig.reported = big;
    talk_rig_clear(&twin.rig);
    for (int i = 0; i < 2; i++)
        assert_int_equal(twin_report(big), TG_OK);
    assert_int_equal(twin.rig.said_count, 1);
    assert_int_equal(twin.rig.said_level, TG_LOG_WARN);
    assert_non_null(strstr(twin.rig.said_text, "not sent"));
    assert_non_null(strstr(twin.rig.said_text, "32768"));
    assert_int_equal(twin.rig.publish_count, 0);
    /* It fits again: what was left out meanwhile is found by comparing. */
    twin.rig.reported = "{\"a\":{\"y\":1},\"b\":2}";
    assert_int_equal(twin_report("{\"a\":{\"y\":1}}"), TG_OK);
    rid = twin_get_asked();
    assert_int_equal(twin_answer(200, rid, "{\"desired\":{\"$version\":1},\"reported\":{\"a\":{\"y\":1}}}"),
                     TG_OK);
    (void)twin_report_sent("{\"b\":2}");
    free(big);
}

static void reports_before_the_answer_are_in_the_whole(void **state)
{
    (void)state;
    assert_int_equal(twin_report("{\"a\":0}"), TG_OK); /* offline */
    twin_online();
    assert_int_equal(twin_report("{\"a\":1}"), TG_OK);
    assert_int_equal(twin.rig.publish_count, 1);
    twin.rig.reported = "{\"a\":1}";
    assert_int_equal(twin_answer(200, twin_get_asked(), "{\"desired\":{\"$version\":1},\"reported\":{}}"),
                     TG_OK);
    (void)twin_report_sent("{\"a\":1}");
}

int main(void)
{
#define T(name) cmocka_unit_test_setup_teardown(name, twin_begin, twin_end)
    const struct CMUnitTest tests[] = {T(what_differs_is_reported),
                                       T(one_report_at_a_time),
                                       T(a_throttled_report_goes_again_with_what_came_since),
                                       T(a_refused_report_is_left_out),
                                       T(unmergeable_reports_ask_for_the_whole),
                                       T(reports_before_the_answer_are_in_the_whole)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
