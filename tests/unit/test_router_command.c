/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * Commands on their way through the router.
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

#include "support/router_rig.h"

/* --- commands ---------------------------------------------------------------------------------------------
 */

static void command(struct router_rig *r, const char *name, const char *arguments)
{
    tg_router_command(r->router, "d0", name, tg_bytes_str(arguments), router_rig_on_done, r);
}

static void assert_refused(struct router_rig *r, const char *status, const char *says)
{
    json_t *j = json_loads(r->json, 0, NULL);
    assert_non_null(j);
    json_decref(j);
    assert_int_equal(r->done, 1);
    assert_string_equal(r->status, status);
    if (!strstr(r->json, says))
        fail_msg("%s does not say \"%s\"", r->json, says);
    assert_int_equal(r->source.count, 0); /* nothing was written */
    r->done = 0;
}

static struct router_rig *begin_commands(void)
{
    struct router_rig *r = router_rig_begin(0, 1);
    tg_test_model_point(&r->model, 0, 0, "writable", "true");
    tg_test_model_point(&r->model, 0, 0, "scale", "0.1");
    tg_test_model_point(&r->model, 0, 0, "min", "0");
    tg_test_model_point(&r->model, 0, 0, "max", "100");
    tg_test_model_point(&r->model, 0, 1, "writable", "true");
    tg_test_model_point(&r->model, 0, 2, "writable", "true");
    router_rig_add_devices(r);
    return r;
}

static void test_set_checks_everything_first(void **state)
{
    struct router_rig *r = begin_commands();
    char many[2048] = "{", long_text[1200];
    (void)state;
    command(r, "set", "{}");
    assert_refused(r, "invalid", "1 to 64 points");
    for (int i = 0; i < 65; i++)
        snprintf(many + strlen(many), sizeof many - strlen(many), "%s\"q%d\":1", i ? "," : "", i);
    strcat(many, "}");
    command(r, "set", many);
    assert_refused(r, "invalid", "1 to 64 points");
    command(r, "set", "{\"p0\":50,\"nope\":1}");
    assert_refused(r, "invalid", "no such point");
    command(r, "set", "{\"p1\":1,\"p3\":1}");
    assert_refused(r, "invalid", "not writable");
    command(r, "set", "{\"p1\":1,\"p0\":100.5}");
    assert_refused(r, "invalid", "outside the point's range");
    command(r, "set", "{\"p1\":1,\"p0\":\"on\"}");
    assert_refused(r, "invalid", "must be a number");
    command(r, "set", "{\"p1\":[1]}");
    assert_refused(r, "invalid", "a number, a boolean or a text");
    command(r, "set", "{\"p1\":null}");
    assert_refused(r, "invalid", "a number, a boolean or a text");
    snprintf(long_text, sizeof long_text, "{\"p1\":\"%01100d\"}", 0);
    command(r, "set", long_text);
    assert_refused(r, "invalid", "at most 1024 bytes");
    command(r, "set", "{\"p1\":1,\"p1\":2}");
    assert_refused(r, "invalid", "duplicate");
    command(r, "set", "{\"p1\":99999999999999999999}");
    assert_refused(r, "invalid", "its arguments: no JSON");
    command(r, "set", "{\"p\xc3\xa4\":1}");
    assert_refused(r, "invalid", "no such point");
    router_rig_end(r);
}

static void test_set_writes_each_point_and_waits_for_all(void **state)
{
    struct router_rig *r = begin_commands();
    struct tg_fake_request *q = r->source.requests;
    (void)state;
    command(r, "set", "{\"p0\":50,\"p1\":true,\"p2\":\"auf\"}");
    assert_int_equal(r->source.count, 3);
    assert_true(r->source.requests[0].value.as.real > 499.99 && r->source.requests[0].value.as.real < 500.01);
    assert_int_equal(r->source.requests[1].value.type, TG_VALUE_BOOL);
    assert_string_equal(r->source.requests[2].text, "auf");
    tg_router_answer(r->router, q[2].request, TG_PLUGIN_EDEVICE, "{\"error\":\"no\"}");
    tg_router_answer(r->router, q[2].request, TG_PLUGIN_OK, "{}"); /* one too many: it is not another's */
    tg_router_answer(r->router, q[0].request, TG_PLUGIN_OK, "{\"first\":1}");
    assert_int_equal(r->done, 0);
    tg_router_answer(r->router, q[1].request, TG_PLUGIN_ETIMEOUT, NULL);
    assert_int_equal(r->done, 1);
    assert_string_equal(r->status, "device"); /* the first that went wrong */
    assert_string_equal(r->json,
                        "{\"p0\":{\"first\":1},\"p1\":{\"error\":\"timeout\"},\"p2\":{\"error\":\"no\"}}");
    tg_router_answer(r->router, q[0].request, TG_PLUGIN_OK, "{}");
    assert_int_equal(r->done, 1);
    router_rig_end(r);
}

static void test_one_point_is_answered_as_its_device_answered(void **state)
{
    struct router_rig *r = begin_commands();
    (void)state;
    command(r, "set", "{\"p1\":1}");
    tg_router_answer(r->router, r->source.requests[0].request, TG_PLUGIN_OK, "{\"function\":6}");
    assert_int_equal(r->done, 1);
    assert_string_equal(r->json, "{\"function\":6}");
    router_rig_end(r);
}

static void test_the_plugin_looks_at_all_values_before_one_is_written(void **state)
{
    struct router_rig *r = begin_commands();
    (void)state;
    r->source.refuses = "40000 does not fit int16";
    r->source.refuses_with = TG_PLUGIN_EINVAL;
    command(r, "set", "{\"p0\":50,\"p1\":true,\"p2\":\"x\"}");
    assert_refused(r, "invalid", "40000 does not fit int16; nothing was written");
    command(r, "set", "{\"p2\":\"x\"}");
    assert_refused(r, "invalid", "point \\\"p2\\\"");
    r->source.refuses_with = TG_PLUGIN_EUNSUPPORTED;
    command(r, "set", "{\"p2\":\"x\"}");
    assert_refused(r, "unsupported", "does not fit");
    command(r, "set", "{\"p1\":true}");
    assert_int_equal(r->source.count, 1);
    router_rig_end(r);
}

/* Refusals of the gateway's own say what would have been taken. */
static void test_refusals_name_what_is_allowed(void **state)
{
    struct router_rig *r = router_rig_begin(0, 1);
    char word[64];
    (void)state;
    tg_test_model_point(&r->model, 0, 0, "writable", "true");
    tg_test_model_point(&r->model, 0, 0, "min", "-5");
    tg_test_model_point(&r->model, 0, 1, "writable", "true");
    tg_test_model_point(&r->model, 0, 1, "max", "2.5");
    tg_test_model_point(&r->model, 0, 2, "writable", "true");
    tg_test_model_append(&r->model, 0, 2, "enum", "0=off");
    tg_test_model_append(&r->model, 0, 2, "enum", "3=boost");
    tg_test_model_point(&r->model, 0, 3, "writable", "true");
    for (int i = 0; i < 40; i++) {
        snprintf(word, sizeof word, "%d=a rather long name %d", i, i);
        tg_test_model_append(&r->model, 0, 3, "enum", word);
    }
    router_rig_add_devices(r);
    command(r, "set", "{\"p0\":-6}");
    assert_refused(r, "invalid", "outside the point's range: at least -5");
    command(r, "set", "{\"p1\":3}");
    assert_refused(r, "invalid", "outside the point's range: at most 2.5");
    command(r, "set", "{\"p1\":\"2\"}"); /* as a text it would pass by the range */
    assert_refused(r, "invalid", "must be a number");
    command(r, "set", "{\"p2\":\"on\"}");
    assert_refused(r, "invalid", "none of its texts: off, boost; nothing");
    command(r, "set", "{\"p3\":\"on\"}");
    assert_refused(r, "invalid", " \xe2\x80\xa6; nothing was written");
    router_rig_end(r);
}

/* Five of just under 2 KiB are more than all may have together; one that is no JSON is kept as a text. */
static void test_answers_of_several_points_are_bounded(void **state)
{
    struct router_rig *r = router_rig_begin(0, 1);
    char set[512] = "{", big[2000];
    json_t *j;
    (void)state;
    tg_test_model_fini(&r->model);
    tg_test_model_init(&r->model, NULL, 2, 6);
    for (uint32_t i = 0; i < 6; i++) {
        tg_test_model_point(&r->model, 0, i, "writable", "true");
        snprintf(set + strlen(set), sizeof set - strlen(set), "%s\"p%u\":1", i ? "," : "", i);
    }
    strcat(set, "}");
    router_rig_add_devices(r);
    memset(big, 'x', sizeof big);
    memcpy(big, "{\"a\":\"", 6);
    memcpy(big + sizeof big - 3, "\"}", 3);
    command(r, "set", set);
    for (uint32_t i = 0; i < 6; i++)
        tg_router_answer(r->router, r->source.requests[i].request, TG_PLUGIN_OK, i == 5 ? "broken" : big);
    assert_int_equal(r->done, 1);
    assert_true(strlen(r->json) < 9000);
    j = json_loads(r->json, 0, NULL);
    assert_int_equal(json_object_size(j), 6);
    assert_non_null(json_object_get(json_object_get(j, "p3"), "a"));
    assert_non_null(json_object_get(json_object_get(j, "p4"), "note"));
    assert_string_equal(json_string_value(json_object_get(json_object_get(j, "p5"), "answer")), "broken");
    json_decref(j);
    router_rig_end(r);
}

static void test_what_was_answered_is_told_when_the_rest_is_late(void **state)
{
    struct router_rig *r = begin_commands();
    (void)state;
    command(r, "set", "{\"p1\":1,\"p2\":2}");
    tg_router_answer(r->router, r->source.requests[0].request, TG_PLUGIN_OK, "{\"a\":1}");
    r->router->pending[0].limit_ms = 0; /* as if 30 s had passed */
    tg_router_expire(r->router);
    assert_string_equal(r->status, "timeout");
    assert_non_null(
        strstr(r->json, "{\"p1\":{\"a\":1},\"p2\":{\"error\":\"the device did not answer in 30 s"));
    tg_router_answer(r->router, r->source.requests[1].request, TG_PLUGIN_OK, "{}"); /* too late */
    assert_int_equal(r->done, 1);
    command(r, "set", "{\"p1\":1,\"p2\":2}");
    tg_router_abandon(r->router, "d0");
    assert_string_equal(r->status, "unknown");
    assert_non_null(strstr(r->json, "\"p2\":{\"error\":\"the device's source was stopped"));
    router_rig_end(r);
}

static void test_statuses_and_answers(void **state)
{
    static const struct {
        int status;
        const char *name;
    } cases[] = {{TG_PLUGIN_OK, "ok"},
                 {TG_PLUGIN_EINVAL, "invalid"},
                 {TG_PLUGIN_EDEVICE, "device"},
                 {TG_PLUGIN_ETIMEOUT, "timeout"},
                 {TG_PLUGIN_EUNKNOWN, "unknown"},
                 {TG_PLUGIN_EUNSUPPORTED, "unsupported"},
                 {TG_PLUGIN_EFULL, "busy"},
                 {TG_PLUGIN_EIO, "error"},
                 {TG_PLUGIN_ENOMEM, "error"},
                 {-99, "error"}};
    struct router_rig *r = begin_commands();
    char huge[3000];
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        r->done = 0;
        command(r, "reset", "");
        assert_string_equal(r->source.requests[i].text, "reset {}");
        tg_router_answer(r->router, r->source.requests[i].request, cases[i].status, NULL);
        assert_int_equal(r->done, 1);
        assert_string_equal(r->status, cases[i].name);
        assert_string_equal(r->json, "{}");
    }
    command(r, "reset", "{\"a\":[1,2]}");
    assert_string_equal(r->source.requests[r->source.count - 1].text, "reset {\"a\":[1,2]}");
    memset(huge, '1', sizeof huge);
    huge[sizeof huge - 1] = '\0';
    tg_router_answer(r->router, r->source.requests[r->source.count - 1].request, 0, huge);
    assert_non_null(strstr(r->json, "left out"));
    tg_router_answer(r->router, 0, 0, "{}"); /* numbers that nobody has */
    tg_router_answer(r->router, UINT64_MAX, 0, "{}");
    router_rig_end(r);
}

static void test_bodies_and_names(void **state)
{
    struct router_rig *r = begin_commands();
    char name[200], body[300];
    (void)state;
    static const struct {
        const char *body, *says;
    } wrong[] = {{"", "\\\"command\\\" is missing"},
                 {"{}", "is missing"},
                 {"[]", "no object"},
                 {"{\"command\":1}", "missing or no text"},
                 {"{\"command\":\"x\",\"arguments\":[]}", "must be an object"},
                 {"{\"command\":\"\"}", "1 to 128 bytes"},
                 {"{\"command\":\"a\",\"command\":\"b\"}", "duplicate"},
                 {"\xff\xfe", "no JSON"},
                 {"{\"command\":\"a\\u0000b\"}", "no JSON"},
                 {"{\"command\":\"x\"} {", "no JSON"}};
    for (size_t i = 0; i < sizeof wrong / sizeof wrong[0]; i++) {
        tg_router_command_body(r->router, "d0", tg_bytes(NULL, 0), tg_bytes_str(wrong[i].body),
                               router_rig_on_done, r);
        assert_refused(r, "invalid", wrong[i].says);
    }
    memset(name, 'n', sizeof name);
    snprintf(body, sizeof body, "{\"command\":\"%.150s\"}", name);
    tg_router_command_body(r->router, "d0", tg_bytes(NULL, 0), tg_bytes_str(body), router_rig_on_done, r);
    assert_refused(r, "invalid", "1 to 128 bytes");
    tg_router_command_body(r->router, "d0", tg_bytes(name, 129), tg_bytes_str("{}"), router_rig_on_done,
                           r); /* not its first 128 bytes */
    assert_refused(r, "invalid", "no name of a command");
    tg_router_command_body(r->router, "d0", tg_bytes("reset\0x", 7), tg_bytes_str("{}"), router_rig_on_done,
                           r);
    assert_refused(r, "invalid", "no name of a command");
    tg_router_command_body(r->router, "d0", tg_bytes("re\xffset", 6), tg_bytes_str("{}"), router_rig_on_done,
                           r);
    assert_refused(r, "invalid", "no name of a command");
    tg_router_command(r->router, "nobody", "reset", tg_bytes(NULL, 0), router_rig_on_done, r);
    assert_refused(r, "invalid", "no device \\\"nobody\\\" is running");
    r->d0->source = NULL;
    command(r, "reset", "{}");
    assert_refused(r, "invalid", "no device");
    r->d0->source = &r->source;
    tg_router_command_body(r->router, "d0", tg_bytes(name, 128), tg_bytes_str("{\"a\":1}"),
                           router_rig_on_done, r);
    assert_int_equal(r->source.count, 1);
    tg_router_command_body(r->router, "d0", tg_bytes(NULL, 0),
                           tg_bytes_str("{\"command\":\"go\",\"arguments\":{\"b\":2}}"), router_rig_on_done,
                           r);
    assert_string_equal(r->source.requests[1].text, "go {\"b\":2}");
    tg_router_command_body(r->router, "d0", tg_bytes(NULL, 0), tg_bytes_str("{\"command\":\"go\"}"),
                           router_rig_on_done, r);
    assert_string_equal(r->source.requests[2].text, "go {}");
    router_rig_end(r);
}

static void test_commands_are_bounded(void **state)
{
    struct router_rig *r = begin_commands();
    (void)state;
    for (int i = 0; i < TG_COMMANDS_MAX; i++)
        command(r, "slow", "{}");
    assert_int_equal(r->done, 0);
    command(r, "slow", "{}");
    assert_int_equal(r->done, 1);
    assert_string_equal(r->status, "busy");
    command(r, "set", "{\"p1\":1}");
    assert_int_equal(r->done, 2);
    assert_string_equal(r->status, "busy");
    assert_int_equal(r->source.count, TG_COMMANDS_MAX);
    tg_router_answer(r->router, r->source.requests[7].request, 0, NULL);
    assert_int_equal(r->done, 3);
    command(r, "slow", "{}");
    assert_int_equal(r->done, 3);
    assert_int_equal(r->source.count, TG_COMMANDS_MAX + 1);
    router_rig_end(r);
}

static void test_time_limit(void **state)
{
    struct router_rig *r = begin_commands();
    (void)state;
    command(r, "slow", "{}");
    command(r, "slow", "{}");
    tg_router_expire(r->router);
    assert_int_equal(r->done, 0);
    r->router->pending[0].limit_ms = 0; /* as if 30 s had passed */
    tg_router_expire(r->router);
    assert_int_equal(r->done, 1);
    assert_string_equal(r->status, "timeout");
    tg_router_answer(r->router, r->source.requests[0].request, 0, NULL); /* too late */
    assert_int_equal(r->done, 1);
    tg_router_answer(r->router, r->source.requests[1].request, 0, NULL);
    assert_int_equal(r->done, 2);
    assert_string_equal(r->status, "ok");
    router_rig_end(r);
}

static void test_forgotten_and_abandoned_commands(void **state)
{
    struct router_rig *r = begin_commands();
    int other = 0;
    (void)state;
    tg_router_command(r->router, "d0", "slow", tg_bytes(NULL, 0), router_rig_on_done, &other);
    tg_router_forget(r->router, &other);
    tg_router_answer(r->router, r->source.requests[0].request, 0,
                     NULL); /* on_done would write over `other` */
    assert_int_equal(other, 0);
    command(r, "slow", "{}");
    tg_router_command(r->router, "d1", "slow", tg_bytes(NULL, 0), router_rig_on_done, r);
    tg_router_remove_device(r->router, r->d0);
    assert_int_equal(r->done, 1); /* d0's, not d1's */
    assert_string_equal(r->status, "unknown");
    assert_null(tg_router_device(r->router, "d0"));
    assert_int_equal(tg_router_device_count(r->router), 1);
    assert_ptr_equal(tg_router_device_at(r->router, 0), r->d1);
    tg_router_close(r->router, router_rig_on_flag, &r->router_closed);
    assert_int_equal(r->done, 2); /* its caller must give back what it holds */
    assert_string_equal(r->status, "unknown");
    RUN_UNTIL(r, r->router_closed);
    r->router = NULL;
    router_rig_end(r);
}

static struct tg_router *answering;

static void answer_busy(const struct tg_fake_request *q)
{
    tg_router_answer(answering, q->request, TG_PLUGIN_EFULL, "{\"error\":\"full\"}");
}

static void test_a_source_that_answers_on_the_same_stack(void **state)
{
    struct router_rig *r = begin_commands();
    (void)state;
    answering = r->router;
    r->source.at_once = answer_busy;
    command(r, "set", "{\"p0\":1,\"p1\":2,\"p2\":3}");
    assert_int_equal(r->done, 1);
    assert_string_equal(r->status, "busy");
    assert_int_equal(r->source.count, 3);
    router_rig_end(r);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_set_checks_everything_first),
        cmocka_unit_test(test_set_writes_each_point_and_waits_for_all),
        cmocka_unit_test(test_one_point_is_answered_as_its_device_answered),
        cmocka_unit_test(test_the_plugin_looks_at_all_values_before_one_is_written),
        cmocka_unit_test(test_refusals_name_what_is_allowed),
        cmocka_unit_test(test_answers_of_several_points_are_bounded),
        cmocka_unit_test(test_what_was_answered_is_told_when_the_rest_is_late),
        cmocka_unit_test(test_statuses_and_answers),
        cmocka_unit_test(test_bodies_and_names),
        cmocka_unit_test(test_commands_are_bounded),
        cmocka_unit_test(test_time_limit),
        cmocka_unit_test(test_forgotten_and_abandoned_commands),
        cmocka_unit_test(test_a_source_that_answers_on_the_same_stack)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
