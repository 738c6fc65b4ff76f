/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * The router between a fake source and the real store.
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
#include <unistd.h>

#include "core/gateway/router_private.h"
#include "support/fake_source.h"
#include "support/host_model.h"

struct rig {
    struct tg_loop loop;
    char dir[128];
    struct tg_store *store;
    struct tg_router *router;
    struct tg_test_model model;
    struct tg_router_device *d0, *d1;
    struct tg_source_host source;
    uint64_t committed;
    bool router_closed, store_closed;
    /* the end of commands */
    int done;
    char status[32], json[8192];
    /* watching */
    int told;
    char told_device[32], *told_json;
    uint32_t watch;
};

static void on_committed(void *user, uint64_t id)
{
    ((struct rig *)user)->committed = id;
}

static void on_store_state(void *user, enum tg_store_state state, const char *text)
{
    (void)user;
    (void)state;
    print_message("store: %s\n", text);
}

static const struct tg_store_callbacks callbacks = {on_committed, on_store_state};

static void on_flag(void *user)
{
    *(bool *)user = true;
}

static void on_done(void *user, const char *status, const char *json)
{
    struct rig *r = user;
    r->done++;
    snprintf(r->status, sizeof r->status, "%s", status);
    snprintf(r->json, sizeof r->json, "%s", json);
}

#define RUN_UNTIL(r, condition)                                                                              \
    do {                                                                                                     \
        while (!(condition))                                                                                 \
            uv_run(&(r)->loop.uv, UV_RUN_ONCE);                                                              \
    } while (0)

static struct rig *begin(size_t uncommitted_bytes, uint32_t interval_ms)
{
    struct rig *r = calloc(1, sizeof *r);
    struct tg_error err = {0};
    char aside[256] = "";
    struct tg_store_options o = {.outbox = {.durability = TG_DURABILITY_NORMAL, .limit_bytes = 64 << 20},
                                 .commit_interval_ms = interval_ms,
                                 .uncommitted_limit_bytes = uncommitted_bytes};
    assert_non_null(r);
    snprintf(r->dir, sizeof r->dir, "%s/tidegate router XXXXXX",
             getenv("TMPDIR") ? getenv("TMPDIR") : "/tmp");
    assert_non_null(mkdtemp(r->dir));
    assert_int_equal(tg_loop_init(&r->loop, NULL), 0);
    o.outbox.dir = r->dir;
    if (tg_store_open(&r->loop, &o, &callbacks, r, &r->store, aside, &err) < 0)
        fail_msg("%s", err.text);
    assert_int_equal(tg_router_new(&r->loop, r->store, &r->router), 0);
    tg_test_model_init(&r->model, NULL, 2, 4);
    return r;
}

static void add_devices(struct rig *r)
{
    struct tg_error err = {0};
    assert_int_equal(tg_router_add_device(r->router, &r->model.devices[0], 0, &r->d0, &err), 0);
    assert_int_equal(tg_router_add_device(r->router, &r->model.devices[1], 1, &r->d1, &err), 0);
    r->d0->source = r->d1->source = &r->source;
}

static void end(struct rig *r)
{
    char command[256];
    if (r->router) {
        tg_router_close(r->router, on_flag, &r->router_closed);
        RUN_UNTIL(r, r->router_closed);
    }
    tg_store_close(r->store, 5000, on_flag, &r->store_closed);
    RUN_UNTIL(r, r->store_closed);
    tg_loop_fini(&r->loop);
    tg_test_model_fini(&r->model);
    snprintf(command, sizeof command, "rm -rf '%s'", r->dir);
    assert_int_equal(system(command), 0);
    free(r->told_json);
    free(r);
}

static int sample(struct rig *r, struct tg_router_device *d, uint32_t point, struct tg_value v)
{
    struct tg_point_value values[1] = {{.point = point, .value = v}};
    return tg_router_sample(r->router, d, 1000, values, 1);
}

static void on_reading(void *user, const char *device, const char *json, size_t len)
{
    struct rig *r = user;
    r->told++;
    snprintf(r->told_device, sizeof r->told_device, "%s", device);
    free(r->told_json);
    r->told_json = strndup(json, len);
}

/* --- samples ----------------------------------------------------------------------------------------- */

static void test_samples_are_numbered_filtered_and_committed(void **state)
{
    struct rig *r = begin(0, 1);
    (void)state;
    tg_test_model_point(&r->model, 0, 0, "deadband", "0.5");
    tg_test_model_point(&r->model, 0, 0, "scale", "0.1");
    add_devices(r);
    assert_int_equal(sample(r, r->d0, 0, tg_value_int(2300)), TG_OK);
    assert_int_equal(sample(r, r->d0, 0, tg_value_int(2304)), TG_OK); /* 230.4: within the deadband */
    assert_int_equal(sample(r, r->d0, 0, tg_value_int(2306)), TG_OK);
    assert_int_equal(sample(r, r->d1, 0, tg_value_int(1)), TG_OK);
    assert_int_equal(r->d0->accepted, 2);
    assert_int_equal(r->d0->filtered, 1);
    assert_int_equal(r->d0->last_seq, 2);
    assert_int_equal(r->d1->last_seq, 1);
    RUN_UNTIL(r, r->committed == 3);
    assert_int_equal(tg_store_last_seq(r->store, r->d0->store_device), 2);
    end(r);
}

/* p2 = p0 + p1, p3 = the rate of p0 a second; both pass filters of their own. */
static void derive_two_points(struct rig *r)
{
    tg_test_model_point(&r->model, 0, 0, "scale", "0.5");
    tg_test_model_append(&r->model, 0, 2, "sum", "p0");
    tg_test_model_append(&r->model, 0, 2, "sum", "p1");
    tg_test_model_point(&r->model, 0, 2, "deadband", "5");
    tg_test_model_point(&r->model, 0, 3, "rate", "p0");
    tg_test_model_point(&r->model, 0, 3, "max", "100");
    r->model.devices[0].derived_count = 2;
    add_devices(r);
}

static void test_derived_points(void **state)
{
    struct rig *r = begin(0, 1);
    struct tg_point_value both[] = {{.point = 0, .value = tg_value_int(100)},
                                    {.point = 1, .value = tg_value_int(5)}};
    (void)state;
    derive_two_points(r);
    assert_true(tg_router_watch(r->router, NULL, on_reading, r) > 0);
    assert_int_equal(tg_router_sample(r->router, r->d0, 1000, both, 2), TG_OK);
    assert_non_null(strstr(r->told_json, "{\"p0\":50,\"p1\":5,\"p2\":55}")); /* scaled first; no rate yet */
    both[0].value = tg_value_int(104);
    assert_int_equal(tg_router_sample(r->router, r->d0, 3000, both, 1), TG_OK);
    assert_non_null(strstr(r->told_json, "{\"p0\":52,\"p3\":1}")); /* 57 is within the deadband */
    both[0].value = tg_value_int(9998);
    assert_int_equal(tg_router_sample(r->router, r->d0, 4000, both, 1), TG_OK);
    assert_non_null(strstr(r->told_json, "{\"p0\":4999,\"p2\":5004},\"quality\":{\"p3\":\"range\"}"));
    both[0] = (struct tg_point_value){.point = 0, .quality = TG_QUALITY_TIMEOUT};
    assert_int_equal(tg_router_sample(r->router, r->d0, 5000, both, 1), TG_OK);
    assert_non_null(strstr(r->told_json, "\"p2\":\"timeout\",\"p3\":\"timeout\""));
    end(r);
}

/* The rate of a sample that the store had no room for is that of the same sample offered again. */
static void test_a_rate_of_a_sample_offered_again(void **state)
{
    struct rig *r = begin(8192, 60000);
    struct tg_point_value v = {.point = 0, .value = tg_value_int(0)};
    int64_t time_ms = 1000;
    (void)state;
    derive_two_points(r);
    assert_true(tg_router_watch(r->router, NULL, on_reading, r) > 0);
    for (; tg_router_sample(r->router, r->d0, time_ms, &v, 1) == TG_OK; time_ms += 1000)
        assert_in_range(v.value.as.integer += 20, 0, 20000);
    tg_store_flush(r->store);
    RUN_UNTIL(r, r->committed == r->d0->accepted);
    assert_int_equal(tg_router_sample(r->router, r->d0, time_ms, &v, 1), TG_OK);
    assert_non_null(strstr(r->told_json, "\"p3\":10}"));
    end(r);
}

static void test_an_enumeration_is_text_both_ways(void **state)
{
    struct rig *r = begin(0, 1);
    (void)state;
    tg_test_model_append(&r->model, 0, 0, "enum", "0=off");
    tg_test_model_append(&r->model, 0, 0, "enum", "3=boost");
    tg_test_model_point(&r->model, 0, 0, "writable", "true");
    add_devices(r);
    assert_true(tg_router_watch(r->router, NULL, on_reading, r) > 0);
    assert_int_equal(sample(r, r->d0, 0, tg_value_uint(3)), TG_OK);
    assert_non_null(strstr(r->told_json, "{\"p0\":\"boost\"}"));
    tg_router_command(r->router, "d0", "set", tg_bytes_str("{\"p0\":\"high\"}"), on_done, r);
    assert_string_equal(r->status, "invalid");
    assert_non_null(strstr(r->json, "none of its texts"));
    tg_router_command(r->router, "d0", "set", tg_bytes_str("{\"p0\":\"boost\"}"), on_done, r);
    assert_int_equal(r->source.count, 1);
    assert_int_equal(r->source.requests[0].value.as.integer, 3);
    end(r);
}

static void test_a_refused_sample_can_be_offered_again(void **state)
{
    struct rig *r = begin(8192, 60000);
    struct tg_point_value v = {.point = 0, .value = tg_value_int(1000)};
    uint64_t accepted;
    (void)state;
    tg_test_model_point(&r->model, 0, 0, "deadband", "0.5");
    tg_test_model_point(&r->model, 0, 0, "scale", "2");
    add_devices(r);
    for (v.value.as.integer = 0; tg_router_sample(r->router, r->d0, 1, &v, 1) == TG_OK; v.value.as.integer++)
        assert_in_range(v.value.as.integer, 0, 1000);
    accepted = r->d0->accepted;
    assert_int_equal(accepted, v.value.as.integer);
    assert_int_equal(r->d0->filtered + r->d0->rejected, 0);
    assert_int_equal(v.value.type, TG_VALUE_INT); /* not scaled in place */
    tg_store_flush(r->store);
    RUN_UNTIL(r, r->committed == accepted);
    assert_int_equal(tg_router_sample(r->router, r->d0, 1, &v, 1),
                     TG_OK); /* the filter has not seen it before */
    assert_int_equal(r->d0->accepted, accepted + 1);
    end(r);
}

static void test_what_the_outbox_can_never_take_is_left_out(void **state)
{
    struct rig *r = begin(0, 1);
    static char text[TG_TEXT_MAX_BYTES];
    struct tg_point_value many[70];
    (void)state;
    add_devices(r);
    memset(text, 'a', sizeof text);
    for (uint32_t i = 0; i < 70; i++)
        many[i] = (struct tg_point_value){.point = i % 4, .value = tg_value_text(text, sizeof text)};
    assert_int_equal(tg_router_sample(r->router, r->d0, 1, many, 70),
                     TG_OK); /* 70 KiB: never fits, so it must not block */
    assert_int_equal(r->d0->rejected, 1);
    assert_int_equal(r->d0->accepted, 0);
    r->d0->store_device = 4711; /* the store knows no such device */
    assert_int_equal(sample(r, r->d0, 0, tg_value_int(1)), TG_OK);
    assert_int_equal(r->d0->rejected, 2);
    end(r);
}

static void test_device_states(void **state)
{
    struct rig *r = begin(0, 1);
    char long_text[400];
    (void)state;
    add_devices(r);
    memset(long_text, 'x', sizeof long_text);
    long_text[sizeof long_text - 1] = '\0';
    tg_router_state(r->router, r->d0, TG_DEVICE_OK, NULL);
    assert_int_equal(r->d0->state, TG_DEVICE_OK);
    tg_router_state(r->router, r->d0, TG_DEVICE_DOWN, long_text);
    assert_int_equal(r->d0->state, TG_DEVICE_DOWN);
    assert_int_equal(strlen(r->d0->state_text), sizeof r->d0->state_text - 1);
    tg_router_state(r->router, r->d0, TG_DEVICE_DOWN, "again");
    assert_string_equal(r->d0->state_text, "again");
    end(r);
}

/* --- watching ------------------------------------------------------------------------------------------- */

static void on_reading_once(void *user, const char *device, const char *json, size_t len)
{
    struct rig *r = user;
    on_reading(user, device, json, len);
    tg_router_unwatch(r->router, r->watch);
}

static void test_watchers(void **state)
{
    struct rig *r = begin(0, 1);
    uint32_t one, all;
    (void)state;
    add_devices(r);
    one = tg_router_watch(r->router, "d1", on_reading, r);
    assert_true(one > 0);
    assert_int_equal(sample(r, r->d0, 0, tg_value_bool(true)), TG_OK);
    assert_int_equal(r->told, 0);
    assert_int_equal(sample(r, r->d1, 2, tg_value_real(0.5)), TG_OK);
    assert_int_equal(r->told, 1);
    assert_string_equal(r->told_device, "d1");
    assert_non_null(strstr(r->told_json, "\"seq\":1,\"values\":{\"p2\":0.5}"));
    all = tg_router_watch(r->router, NULL, on_reading, r);
    assert_int_equal(sample(r, r->d0, 0, tg_value_bool(false)), TG_OK);
    assert_int_equal(r->told, 2);
    tg_router_unwatch(r->router, one);
    tg_router_unwatch(r->router, all);
    assert_int_equal(sample(r, r->d1, 0, tg_value_bool(false)), TG_OK);
    assert_int_equal(r->told, 2);
    r->watch = tg_router_watch(r->router, NULL, on_reading_once, r);
    assert_int_equal(sample(r, r->d1, 0, tg_value_bool(true)), TG_OK);
    assert_int_equal(sample(r, r->d1, 0, tg_value_bool(false)), TG_OK);
    assert_int_equal(r->told, 3);
    for (int i = 0; i < TG_WATCHERS_MAX; i++)
        assert_true(tg_router_watch(r->router, NULL, on_reading, r) > 0);
    assert_int_equal(tg_router_watch(r->router, NULL, on_reading, r), 0);
    end(r);
}

static void test_the_largest_sample_is_shown_whole(void **state)
{
    struct rig *r = begin(0, 1);
    static char text[TG_TEXT_MAX_BYTES];
    struct tg_point_value many[60];
    json_t *j;
    (void)state;
    add_devices(r);
    memset(text, 1, sizeof text); /* each byte becomes \u0001 */
    for (uint32_t i = 0; i < 60; i++)
        many[i] = (struct tg_point_value){.point = i % 4, .value = tg_value_text(text, sizeof text)};
    assert_true(tg_router_watch(r->router, NULL, on_reading, r) > 0);
    assert_int_equal(tg_router_sample(r->router, r->d0, 1, many, 60), TG_OK);
    assert_int_equal(r->told, 1);
    j = json_loads(r->told_json, 0, NULL);
    assert_non_null(j);
    json_decref(j);
    end(r);
}

/* --- commands ---------------------------------------------------------------------------------------------
 */

static void command(struct rig *r, const char *name, const char *arguments)
{
    tg_router_command(r->router, "d0", name, tg_bytes_str(arguments), on_done, r);
}

static void assert_refused(struct rig *r, const char *status, const char *says)
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

static struct rig *begin_commands(void)
{
    struct rig *r = begin(0, 1);
    tg_test_model_point(&r->model, 0, 0, "writable", "true");
    tg_test_model_point(&r->model, 0, 0, "scale", "0.1");
    tg_test_model_point(&r->model, 0, 0, "min", "0");
    tg_test_model_point(&r->model, 0, 0, "max", "100");
    tg_test_model_point(&r->model, 0, 1, "writable", "true");
    tg_test_model_point(&r->model, 0, 2, "writable", "true");
    add_devices(r);
    return r;
}

static void test_set_checks_everything_first(void **state)
{
    struct rig *r = begin_commands();
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
    end(r);
}

static void test_set_writes_each_point_and_waits_for_all(void **state)
{
    struct rig *r = begin_commands();
    uint64_t request;
    (void)state;
    command(r, "set", "{\"p0\":50,\"p1\":true,\"p2\":\"auf\"}");
    assert_int_equal(r->source.count, 3);
    assert_true(r->source.requests[0].value.as.real > 499.99 && r->source.requests[0].value.as.real < 500.01);
    assert_int_equal(r->source.requests[1].value.type, TG_VALUE_BOOL);
    assert_string_equal(r->source.requests[2].text, "auf");
    request = r->source.requests[0].request;
    tg_router_answer(r->router, request, TG_PLUGIN_OK, "{\"first\":1}");
    tg_router_answer(r->router, request, TG_PLUGIN_EDEVICE, "{\"bad\":1}");
    assert_int_equal(r->done, 0);
    tg_router_answer(r->router, request, TG_PLUGIN_ETIMEOUT, "{\"bad\":2}");
    assert_int_equal(r->done, 1);
    assert_string_equal(r->status, "device"); /* the first that went wrong, with its words */
    assert_string_equal(r->json, "{\"bad\":1}");
    tg_router_answer(r->router, request, TG_PLUGIN_OK, "{}"); /* one too many */
    assert_int_equal(r->done, 1);
    end(r);
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
    struct rig *r = begin_commands();
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
    end(r);
}

static void test_bodies_and_names(void **state)
{
    struct rig *r = begin_commands();
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
        tg_router_command_body(r->router, "d0", tg_bytes(NULL, 0), tg_bytes_str(wrong[i].body), on_done, r);
        assert_refused(r, "invalid", wrong[i].says);
    }
    memset(name, 'n', sizeof name);
    snprintf(body, sizeof body, "{\"command\":\"%.150s\"}", name);
    tg_router_command_body(r->router, "d0", tg_bytes(NULL, 0), tg_bytes_str(body), on_done, r);
    assert_refused(r, "invalid", "1 to 128 bytes");
    tg_router_command_body(r->router, "d0", tg_bytes(name, 129), tg_bytes_str("{}"), on_done,
                           r); /* not its first 128 bytes */
    assert_refused(r, "invalid", "no name of a command");
    tg_router_command_body(r->router, "d0", tg_bytes("reset\0x", 7), tg_bytes_str("{}"), on_done, r);
    assert_refused(r, "invalid", "no name of a command");
    tg_router_command_body(r->router, "d0", tg_bytes("re\xffset", 6), tg_bytes_str("{}"), on_done, r);
    assert_refused(r, "invalid", "no name of a command");
    tg_router_command(r->router, "nobody", "reset", tg_bytes(NULL, 0), on_done, r);
    assert_refused(r, "invalid", "no device \\\"nobody\\\" is running");
    r->d0->source = NULL;
    command(r, "reset", "{}");
    assert_refused(r, "invalid", "no device");
    r->d0->source = &r->source;
    tg_router_command_body(r->router, "d0", tg_bytes(name, 128), tg_bytes_str("{\"a\":1}"), on_done, r);
    assert_int_equal(r->source.count, 1);
    tg_router_command_body(r->router, "d0", tg_bytes(NULL, 0),
                           tg_bytes_str("{\"command\":\"go\",\"arguments\":{\"b\":2}}"), on_done, r);
    assert_string_equal(r->source.requests[1].text, "go {\"b\":2}");
    tg_router_command_body(r->router, "d0", tg_bytes(NULL, 0), tg_bytes_str("{\"command\":\"go\"}"), on_done,
                           r);
    assert_string_equal(r->source.requests[2].text, "go {}");
    end(r);
}

static void test_commands_are_bounded(void **state)
{
    struct rig *r = begin_commands();
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
    end(r);
}

static void test_time_limit(void **state)
{
    struct rig *r = begin_commands();
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
    end(r);
}

static void test_forgotten_and_abandoned_commands(void **state)
{
    struct rig *r = begin_commands();
    int other = 0;
    (void)state;
    tg_router_command(r->router, "d0", "slow", tg_bytes(NULL, 0), on_done, &other);
    tg_router_forget(r->router, &other);
    tg_router_answer(r->router, r->source.requests[0].request, 0,
                     NULL); /* on_done would write over `other` */
    assert_int_equal(other, 0);
    command(r, "slow", "{}");
    tg_router_command(r->router, "d1", "slow", tg_bytes(NULL, 0), on_done, r);
    tg_router_remove_device(r->router, r->d0);
    assert_int_equal(r->done, 1); /* d0's, not d1's */
    assert_string_equal(r->status, "unknown");
    assert_null(tg_router_device(r->router, "d0"));
    assert_int_equal(tg_router_device_count(r->router), 1);
    assert_ptr_equal(tg_router_device_at(r->router, 0), r->d1);
    tg_router_close(r->router, on_flag, &r->router_closed);
    assert_int_equal(r->done, 2); /* its caller must give back what it holds */
    assert_string_equal(r->status, "unknown");
    RUN_UNTIL(r, r->router_closed);
    r->router = NULL;
    end(r);
}

static struct tg_router *answering;

static void answer_busy(const struct tg_fake_request *q)
{
    tg_router_answer(answering, q->request, TG_PLUGIN_EFULL, "{\"error\":\"full\"}");
}

static void test_a_source_that_answers_on_the_same_stack(void **state)
{
    struct rig *r = begin_commands();
    (void)state;
    answering = r->router;
    r->source.at_once = answer_busy;
    command(r, "set", "{\"p0\":1,\"p1\":2,\"p2\":3}");
    assert_int_equal(r->done, 1);
    assert_string_equal(r->status, "busy");
    assert_int_equal(r->source.count, 3);
    end(r);
}

static void test_wrong_deadband(void **state)
{
    struct rig *r = begin(0, 1);
    struct tg_error err = {0};
    struct tg_router_device *d = NULL;
    (void)state;
    tg_test_model_point(&r->model, 0, 1, "deadband", "some");
    assert_int_equal(tg_router_add_device(r->router, &r->model.devices[0], 0, &d, &err), TG_EINVAL);
    assert_non_null(strstr(err.text, "deadband \"some\""));
    assert_null(d);
    end(r);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_samples_are_numbered_filtered_and_committed),
                                       cmocka_unit_test(test_derived_points),
                                       cmocka_unit_test(test_a_rate_of_a_sample_offered_again),
                                       cmocka_unit_test(test_an_enumeration_is_text_both_ways),
                                       cmocka_unit_test(test_a_refused_sample_can_be_offered_again),
                                       cmocka_unit_test(test_what_the_outbox_can_never_take_is_left_out),
                                       cmocka_unit_test(test_device_states),
                                       cmocka_unit_test(test_watchers),
                                       cmocka_unit_test(test_the_largest_sample_is_shown_whole),
                                       cmocka_unit_test(test_set_checks_everything_first),
                                       cmocka_unit_test(test_set_writes_each_point_and_waits_for_all),
                                       cmocka_unit_test(test_statuses_and_answers),
                                       cmocka_unit_test(test_bodies_and_names),
                                       cmocka_unit_test(test_commands_are_bounded),
                                       cmocka_unit_test(test_time_limit),
                                       cmocka_unit_test(test_forgotten_and_abandoned_commands),
                                       cmocka_unit_test(test_a_source_that_answers_on_the_same_stack),
                                       cmocka_unit_test(test_wrong_deadband)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
