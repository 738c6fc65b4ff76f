/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * Twins over a real router, with a fake source and a session that only notes what is reported.
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

#include "core/gateway/router_private.h"
#include "core/gateway/twin.h"
#include "support/fake_source.h"
#include "support/fake_store.h"
#include "support/host_model.h"

struct tg_session {
    json_t *reported; /* the patches, merged */
    int patches;
};

static struct rig {
    struct tg_loop loop;
    struct tg_store store;
    struct tg_router *router;
    struct tg_twins *twins;
    struct tg_test_model model;
    struct tg_router_device *device;
    struct tg_source_host source;
    struct tg_session session;
    struct tg_notes *notes;
    char dir[64];
    bool closed;
} r;

static void merge(json_t *into, json_t *patch)
{
    const char *name;
    json_t *value;
    json_object_foreach(patch, name, value)
    {
        if (json_is_null(value))
            json_object_del(into, name);
        else if (json_is_object(value) && json_is_object(json_object_get(into, name)))
            merge(json_object_get(into, name), value);
        else
            json_object_set(into, name, value);
    }
}

void tg_session_report(struct tg_session *s, struct tg_bytes patch)
{
    json_t *j = json_loadb((const char *)patch.data, patch.len, 0, NULL);
    assert_non_null(j);
    merge(s->reported, j);
    s->patches++;
    json_decref(j);
}

static void on_flag(void *user)
{
    *(bool *)user = true;
}

static void open_twins(bool plain)
{
    assert_int_equal(tg_twins_new(r.router, r.notes, "gw", &r.twins), TG_OK);
    r.session.reported = json_object();
    r.session.patches = 0;
    tg_twins_open(r.twins, &r.session, "d0", "hub", plain);
}

static void close_twins(void)
{
    tg_twins_close(r.twins, &r.session);
    tg_twins_free(r.twins);
    json_decref(r.session.reported);
}

static void begin(bool plain)
{
    struct tg_error err = {0};
    memset(&r, 0, sizeof r);
    assert_int_equal(tg_loop_init(&r.loop, NULL), 0);
    snprintf(r.dir, sizeof r.dir, "/tmp/tidegate twin XXXXXX");
    assert_non_null(mkdtemp(r.dir));
    assert_int_equal(tg_notes_open(&r.loop, r.dir, &r.notes, &err), TG_OK);
    assert_int_equal(tg_router_new(&r.loop, &r.store, &r.router), 0);
    tg_test_model_init(&r.model, NULL, 1, 3);
    tg_test_model_point(&r.model, 0, 1, "writable", "true");
    tg_test_model_point(&r.model, 0, 0, "deadband", "0.5");
    assert_int_equal(tg_router_add_device(r.router, &r.model.devices[0], 0, &r.device, &err), 0);
    tg_router_attach_source(r.device, &r.source);
    open_twins(plain);
}

static void end(void)
{
    char command[128];
    close_twins();
    tg_router_close(r.router, NULL, NULL);
    tg_notes_close(r.notes, 5000, on_flag, &r.closed);
    while (!r.closed)
        uv_run(&r.loop.uv, UV_RUN_ONCE);
    tg_loop_fini(&r.loop);
    tg_test_model_fini(&r.model);
    snprintf(command, sizeof command, "rm -rf '%s'", r.dir);
    assert_int_equal(system(command), 0);
}

static void want(bool whole, uint64_t version, const char *json)
{
    tg_twins_desired(
        r.twins, &r.session,
        &(struct tg_cloud_desired){.whole = whole, .version = version, .json = tg_bytes_str(json)});
}

static void answer(uint32_t request, int status, const char *json)
{
    tg_router_answer(r.router, r.source.requests[request].request, status, json);
}

/* What was acknowledged for a property. */
static void expect_ack(const char *name, int code, int version, const char *says)
{
    json_t *ack = json_object_get(r.session.reported, name);
    if (!ack)
        fail_msg("%s was not acknowledged", name);
    assert_int_equal(json_integer_value(json_object_get(ack, "ac")), code);
    assert_int_equal(json_integer_value(json_object_get(ack, "av")), version);
    if (!strstr(json_string_value(json_object_get(ack, "ad")), says))
        fail_msg("\"%s\" does not say \"%s\"", json_string_value(json_object_get(ack, "ad")), says);
}

static void test_a_set_point_is_written_once(void **state)
{
    (void)state;
    begin(false);
    want(true, 3, "{\"p1\":true}");
    assert_int_equal(r.source.count, 1);
    assert_int_equal(r.source.requests[0].point, 1);
    assert_true(r.source.requests[0].value.as.boolean);
    assert_int_equal(r.session.patches, 0); /* not before the device has it */
    answer(0, TG_PLUGIN_OK, NULL);
    expect_ack("p1", 200, 3, "written");
    want(true, 3, "{\"p1\":true}"); /* after a reconnect */
    want(false, 4, "{\"p1\":true}");
    assert_int_equal(r.source.count, 1);
    expect_ack("p1", 200, 4, "written");
    want(false, 5, "{\"p1\":false}");
    assert_int_equal(r.source.count, 2);
    answer(1, TG_PLUGIN_ETIMEOUT, NULL);
    expect_ack("p1", 504, 5, "timeout");
    want(true, 5, "{\"p1\":false}"); /* it failed, so it is tried again */
    assert_int_equal(r.source.count, 3);
    answer(2, TG_PLUGIN_OK, NULL);
    expect_ack("p1", 200, 5, "written");
    end();
}

/* What the device said is what the cloud reads. */
static void test_a_refusal_of_the_device_is_told(void **state)
{
    static const struct {
        int status, code;
        const char *json, *says;
    } cases[] = {{TG_PLUGIN_EDEVICE, 502,
                  "{\"exception\":2,\"error\":\"the device refused it: exception 2\"}", "exception 2"},
                 {TG_PLUGIN_EIO, 500, "{\"error\":\"not written: the port is not open\"}", "not open"},
                 {TG_PLUGIN_EUNKNOWN, 504, "{\"error\":\"whether it was taken is not known\"}", "not known"},
                 {TG_PLUGIN_EFULL, 503, NULL, "busy"}};
    (void)state;
    begin(false);
    for (uint32_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        want(true, i + 1, "{\"p1\":true}");
        assert_int_equal(r.source.count, i + 1);
        answer(i, cases[i].status, cases[i].json);
        expect_ack("p1", cases[i].code, (int)i + 1, cases[i].says);
    }
    r.source.refuses = "40000 does not fit int16";
    r.source.refuses_with = TG_PLUGIN_EINVAL;
    want(true, 9, "{\"p1\":\"x\"}");
    expect_ack("p1", 400, 9, "does not fit int16");
    end();
}

static void test_what_was_written_is_known_after_a_restart(void **state)
{
    (void)state;
    begin(false);
    want(true, 1, "{\"p1\":7}");
    answer(0, TG_PLUGIN_OK, NULL);
    close_twins();
    open_twins(false);
    want(true, 1, "{\"p1\":7}");
    assert_int_equal(r.source.count, 1);
    expect_ack("p1", 200, 1, "written");
    end();
}

static void test_refusals_say_why(void **state)
{
    (void)state;
    begin(false);
    want(true, 2, "{\"p0\":1,\"nothing\":1,\"$version\":2,\"_own\":1,\"p1\":{\"a\":1}}");
    assert_int_equal(r.source.count, 0);
    expect_ack("p0", 400, 2, "not writable");
    expect_ack("nothing", 404, 2, "no point");
    expect_ack("p1", 400, 2, "a number, a boolean or a text");
    assert_null(json_object_get(r.session.reported, "$version"));
    assert_null(json_object_get(r.session.reported, "_own"));
    want(true, 3, "[1]");
    want(true, 3, "{\"a\":1,\"a\":2}");
    want(true, 3, "{");
    expect_ack("p0", 400, 2, "not writable"); /* nothing of those counted */
    end();
}

/* In what was patched together, and in the whole document. */
static void expect_effective(const char *point, const char *option, const char *value)
{
    json_t *whole = json_loads((const char *)tg_twins_reported(r.twins, &r.session).data, 0, NULL);
    json_t *documents[] = {r.session.reported, whole};
    for (size_t i = 0; i < 2; i++) {
        json_t *is =
            json_object_get(json_object_get(json_object_get(documents[i], "effective"), point), option);
        if (!value)
            assert_null(is);
        else
            assert_string_equal(json_string_value(is), value);
    }
    json_decref(whole);
}

static void test_options_are_validated_as_in_the_file(void **state)
{
    (void)state;
    begin(false);
    want(true, 1, "{\"options\":{\"p0\":{\"deadband\":\"2%\",\"every\":\"5s\",\"max_interval\":\"1m\"}}}");
    expect_ack("options", 200, 1, "in force");
    assert_true(r.device->points[0].options.deadband_is_percent);
    assert_int_equal(r.device->points[0].options.max_interval_ms, 60000);
    assert_int_equal(r.source.interval_ms, 5000);
    assert_int_equal(r.source.interval_point, 0);
    expect_effective("p0", "every", "5s");
    expect_effective("p0", "deadband", "2%");
    expect_effective("p0", "max_interval", "1m");
    want(true, 2, "{\"options\":{\"p0\":{\"deadband\":\"1\"},\"p1\":{\"every\":5}}}");
    expect_ack("options", 400, 2, "point p1: every");
    assert_true(r.device->points[0].options.deadband_is_percent); /* all or none */
    want(true, 3, "{\"options\":{\"p0\":{\"deadband\":\"wide\"}}}");
    expect_ack("options", 400, 3, "neither a number nor a percentage");
    want(true, 4, "{\"options\":{\"p9\":{}}}");
    expect_ack("options", 400, 4, "no point \"p9\"");
    want(true, 5, "{\"options\":{\"p0\":{\"writable\":\"true\"}}}");
    expect_ack("options", 400, 5, "cannot be set from a cloud");
    want(true, 6, "{}"); /* the file's again */
    assert_null(json_object_get(r.session.reported, "options"));
    assert_false(r.device->points[0].options.deadband_is_percent);
    assert_true(r.device->points[0].options.deadband > 0.49 && r.device->points[0].options.deadband < 0.51);
    assert_int_equal(r.source.interval_ms, 0);
    expect_effective("p0", "every", NULL);
    expect_effective("p0", "deadband", "0.5");
    end();
}

static void test_options_survive_a_restart(void **state)
{
    (void)state;
    begin(false);
    want(false, 1, "{\"options\":{\"p0\":{\"min_interval\":\"9s\"}}}");
    want(false, 2, "{\"options\":{\"p2\":{\"min_interval\":\"8s\"}}}"); /* a patch adds */
    close_twins();
    r.device->points[0].options.min_interval_ms = r.device->points[2].options.min_interval_ms = 0;
    open_twins(false);
    assert_int_equal(r.device->points[0].options.min_interval_ms, 9000);
    assert_int_equal(r.device->points[2].options.min_interval_ms, 8000);
    end();
}

static void test_clouds_that_compare_get_the_bare_value(void **state)
{
    json_t *ack;
    (void)state;
    begin(true);
    want(false, 1, "{\"p1\":5,\"other\":1}");
    answer(0, TG_PLUGIN_OK, NULL);
    assert_int_equal(json_integer_value(json_object_get(r.session.reported, "p1")), 5);
    assert_null(json_object_get(r.session.reported, "other")); /* refused: the difference stays to be seen */
    ack = json_object_get(json_object_get(r.session.reported, "_ack"), "other");
    assert_int_equal(json_integer_value(json_object_get(ack, "ac")), 404);
    assert_null(json_object_get(ack, "value"));
    end();
}

static void test_the_whole_document(void **state)
{
    struct tg_value model = tg_value_text("X1", 2), signal = tg_value_int(-71);
    json_t *j;
    (void)state;
    begin(false);
    tg_twins_state(r.twins, "d0", "down", "no answer");
    tg_twins_fact(r.twins, "d0", "model", &model);
    tg_twins_fact(r.twins, "d0", "signal", &signal);
    assert_int_equal(r.session.patches, 3);
    tg_twins_fact(r.twins, "d0", "signal", &signal);
    tg_twins_state(r.twins, "d0", "down", "no answer");
    assert_int_equal(r.session.patches, 3); /* nothing new */
    want(true, 1, "{\"p1\":1}");
    answer(0, TG_PLUGIN_OK, NULL);
    j = json_loads((const char *)tg_twins_reported(r.twins, &r.session).data, 0, NULL);
    assert_string_equal(json_string_value(json_object_get(j, "gateway")), "gw");
    assert_string_equal(json_string_value(json_object_get(json_object_get(j, "state"), "is")), "down");
    assert_string_equal(json_string_value(json_object_get(json_object_get(j, "facts"), "model")), "X1");
    assert_int_equal(json_integer_value(json_object_get(json_object_get(j, "p1"), "value")), 1);
    json_object_del(j, "effective"); /* nothing changed in it, so no patch told it */
    json_object_del(j, "gateway");   /* the patches make the same document */
    assert_true(json_equal(j, r.session.reported));
    json_decref(j);
    end();
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_a_set_point_is_written_once),
                                       cmocka_unit_test(test_a_refusal_of_the_device_is_told),
                                       cmocka_unit_test(test_what_was_written_is_known_after_a_restart),
                                       cmocka_unit_test(test_refusals_say_why),
                                       cmocka_unit_test(test_options_are_validated_as_in_the_file),
                                       cmocka_unit_test(test_options_survive_a_restart),
                                       cmocka_unit_test(test_clouds_that_compare_get_the_bare_value),
                                       cmocka_unit_test(test_the_whole_document)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
