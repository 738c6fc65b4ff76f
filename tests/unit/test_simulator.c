/* SPDX-License-Identifier: GPL-2.0-or-later */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "plugins/simulator/signal.h"
#include "southbound/plugin_host.h"
#include "southbound/plugin_loader.h"
#include "support/host_model.h"

/* --- signal -------------------------------------------------------------------------------------------- */

static double at(enum sim_shape shape, int64_t now, uint64_t count)
{
    const struct sim_signal s = {shape, -10, 30, 1000, false};
    struct tg_value v = sim_signal_at(&s, now, count);
    assert_int_equal(v.type, TG_VALUE_REAL);
    return v.as.real;
}

static void test_shapes(void **state)
{
    (void)state;
    assert_true(fabs(at(SIM_SINE, 0, 0) - 10) < 0.01);
    assert_true(fabs(at(SIM_SINE, 250, 0) - 30) < 0.01);
    assert_true(fabs(at(SIM_SINE, 750, 0) + 10) < 0.01);
    assert_true(fabs(at(SIM_RAMP, 5000, 0) + 10) < 0.01);
    assert_true(fabs(at(SIM_RAMP, 500, 0) - 10) < 0.01);
    assert_true(at(SIM_RAMP, 999, 0) < 30);
    assert_true(at(SIM_SQUARE, 499, 0) == -10);
    assert_true(at(SIM_SQUARE, 500, 0) == 30);
    assert_true(at(SIM_CONSTANT, 123, 9) == -10);
    for (uint64_t n = 0; n < 1000; n++) {
        double x = at(SIM_RANDOM, 0, n);
        assert_true(x >= -10 && x <= 30);
        assert_true(x == at(SIM_RANDOM, 77, n)); /* can be repeated */
    }
    assert_true(at(SIM_RANDOM, 0, 1) != at(SIM_RANDOM, 0, 2));
}

static void test_integers_and_extremes(void **state)
{
    struct sim_signal s = {SIM_CONSTANT, 2.9, 0, 1, true};
    struct tg_value v = sim_signal_at(&s, 0, 0);
    (void)state;
    assert_int_equal(v.type, TG_VALUE_INT);
    assert_int_equal(v.as.integer, 2);
    s.low = -2.1;
    assert_int_equal(sim_signal_at(&s, 0, 0).as.integer, -3);
    s.low = 1e300;
    assert_int_equal(sim_signal_at(&s, 0, 0).as.integer, INT64_MAX);
    s.low = -1e300;
    assert_int_equal(sim_signal_at(&s, 0, 0).as.integer, INT64_MIN);
    s.as_integer = false;
    s.low = 1.7e308;
    assert_true(sim_signal_at(&s, 0, 0).as.real == 1.7e308);
    s.shape = SIM_COUNTER;
    v = sim_signal_at(&s, 0, UINT64_MAX);
    assert_int_equal(v.type, TG_VALUE_UINT);
    assert_true(v.as.uinteger == UINT64_MAX);
}

/* --- the plugin through the real loader and host -----------------------------------------------------------
 */

struct rig {
    struct tg_plugin_set *set;
    struct tg_loop loop;
    struct tg_test_model model;
    struct tg_source_host *host;
    uint64_t samples, next[2];
    uint32_t found;
    int answers, status, downs;
    bool refuse_some, closed, good, bad;
    char json[256];
    double last;
    int64_t times_ms[2][128];
    bool uneven; /* one device was two samples ahead of the other */
};

static int on_sample(void *user, uint32_t device, int64_t time_ms, struct tg_point_value *v, uint32_t count)
{
    struct rig *r = user;
    static unsigned turn;
    assert_int_equal(count, 2);
    assert_true(time_ms > 0);
    if (r->refuse_some && ++turn % 3 == 0)
        return TG_EFULL;
    r->samples++;
    if (r->next[device] < 128)
        r->times_ms[device][r->next[device]] = time_ms;
    if (v[1].quality != TG_QUALITY_GOOD) {
        assert_int_equal(v[1].quality, TG_QUALITY_SENSOR);
        assert_int_equal(v[1].value.type, TG_VALUE_NONE);
        r->bad = true;
        r->next[device]++; /* the counter counts samples, with and without values */
        return TG_OK;
    }
    r->good = true;
    assert_int_equal(v[1].value.type, TG_VALUE_UINT);
    assert_int_equal(v[1].value.as.uinteger, r->next[device]++);
    r->uneven |= r->next[device] > r->next[!device] + 1;
    r->last = v[0].value.type == TG_VALUE_REAL ? v[0].value.as.real : (double)v[0].value.as.integer;
    return TG_OK;
}

static void on_state(void *user, uint32_t device, enum tg_device_state state, const char *text)
{
    (void)device;
    (void)text;
    ((struct rig *)user)->downs += state == TG_DEVICE_DOWN;
}

static void on_answer(void *user, uint64_t request, int status, const char *json)
{
    struct rig *r = user;
    (void)request;
    r->answers++;
    r->status = status;
    snprintf(r->json, sizeof r->json, "%s", json ? json : "");
}

static void on_open(void *user, bool open, const char *text, int64_t retry_ms)
{
    (void)user;
    (void)text;
    (void)retry_ms;
    assert_true(open);
}

static void on_discovered(void *user, const char *id, const char *profile)
{
    struct rig *r = user;
    assert_string_equal(profile, "thermometer");
    assert_int_equal(id[0], 'a' + (int)r->found++);
}

static const struct tg_source_callbacks callbacks = {.on_sample = on_sample,
                                                     .on_state = on_state,
                                                     .on_answer = on_answer,
                                                     .on_open = on_open,
                                                     .on_discovered = on_discovered};

static void on_closed(void *user)
{
    ((struct rig *)user)->closed = true;
}

static void begin(struct rig *r, uint32_t devices)
{
    char folder[512];
    const char *dirs[1] = {folder};
    const struct tg_plugin *plugin;
    struct tg_error err = {0};
    memset(r, 0, sizeof *r);
    snprintf(folder, sizeof folder, "%s/plugins", getenv("TIDEGATE_BUILD"));
    assert_int_equal(tg_plugin_set_new(dirs, 1, &r->set), 0);
    plugin = tg_plugin_find(r->set, "simulator", &err);
    if (!plugin)
        fail_msg("%s", err.text);
    assert_int_equal(tg_loop_init(&r->loop, NULL), 0);
    tg_test_model_init(&r->model, plugin, devices, 2);
    for (uint32_t d = 0; d < devices; d++) {
        tg_test_model_own(&r->model, d, 0, "signal", "constant");
        tg_test_model_own(&r->model, d, 0, "low", "21.5");
        tg_test_model_own(&r->model, d, 1, "signal", "counter");
    }
}

static void start(struct rig *r)
{
    struct tg_error err = {0};
    assert_int_equal(tg_source_host_new(&r->loop, &r->model.source, &callbacks, r, &r->host, &err), 0);
}

#define RUN_UNTIL(r, condition)                                                                              \
    do {                                                                                                     \
        while (!(condition)) {                                                                               \
            uv_run(&(r)->loop.uv, (r)->refuse_some ? UV_RUN_NOWAIT : UV_RUN_ONCE);                           \
            if ((r)->refuse_some)                                                                            \
                tg_source_host_resume((r)->host);                                                            \
        }                                                                                                    \
    } while (0)

static void end(struct rig *r)
{
    r->refuse_some = false;
    tg_source_host_close(r->host, on_closed, r);
    RUN_UNTIL(r, r->closed);
    tg_loop_fini(&r->loop);
    tg_test_model_fini(&r->model);
    tg_plugin_set_free(r->set);
}

static void test_flood_stops_at_its_count_and_loses_none(void **state)
{
    struct rig r;
    struct tg_source_stats st;
    (void)state;
    begin(&r, 2);
    for (uint32_t d = 0; d < 2; d++) {
        tg_test_model_device(&r.model, d, "flood", "true");
        tg_test_model_device(&r.model, d, "count", "20000");
    }
    r.refuse_some = true;
    start(&r);
    RUN_UNTIL(&r, r.samples == 40000);
    tg_source_host_stats(r.host, &st);
    assert_int_equal(st.emitted, 40000);
    assert_int_equal(r.next[0], 20000);
    assert_int_equal(r.next[1], 20000);
    end(&r);
}

/* A hundred seconds of both devices, in the order of time, stamped a second apart; then it goes on in the present. */
static void test_history(void **state)
{
    struct rig r;
    (void)state;
    begin(&r, 2);
    for (uint32_t d = 0; d < 2; d++) {
        tg_test_model_device(&r.model, d, "every", "1s");
        tg_test_model_device(&r.model, d, "history", "100s");
    }
    start(&r);
    RUN_UNTIL(&r, r.next[0] > 100 && r.next[1] > 100);
    for (int d = 0; d < 2; d++) {
        for (int i = 1; i < 100; i++)
            assert_int_equal(r.times_ms[d][i], r.times_ms[d][i - 1] + 1000);
        assert_true(r.times_ms[d][100] >= r.times_ms[d][99] + 1000);
    }
    assert_false(r.uneven);
    end(&r);
}

static void test_writes_and_commands(void **state)
{
    struct rig r;
    struct tg_value v = tg_value_real(99.5), text = tg_value_text("x", 1);
    (void)state;
    begin(&r, 1);
    tg_test_model_device(&r.model, 0, "every", "1ms");
    start(&r);
    RUN_UNTIL(&r, r.samples > 2);
    assert_true(r.last == 21.5);
    tg_source_host_write(r.host, 1, 0, 0, &v);
    RUN_UNTIL(&r, r.answers == 1);
    assert_int_equal(r.status, 0);
    RUN_UNTIL(&r, r.last == 99.5);
    tg_source_host_write(r.host, 2, 0, 0, &text);
    RUN_UNTIL(&r, r.answers == 2);
    assert_int_equal(r.status, TG_PLUGIN_EINVAL);
    tg_source_host_command(r.host, 3, 0, "reset", "{}");
    RUN_UNTIL(&r, r.answers == 3);
    assert_string_equal(r.json, "{\"reset\":true}");
    RUN_UNTIL(&r, r.last == 21.5);
    tg_source_host_command(r.host, 4, 0, "dance", "{}");
    RUN_UNTIL(&r, r.answers == 4);
    assert_int_equal(r.status, TG_PLUGIN_EUNSUPPORTED);
    end(&r);
}

static void test_faults(void **state)
{
    struct rig r;
    (void)state;
    begin(&r, 1);
    tg_test_model_device(&r.model, 0, "every", "1ms");
    tg_test_model_device(&r.model, 0, "fault", "sensor");
    tg_test_model_device(&r.model, 0, "fault_every", "40ms");
    tg_test_model_device(&r.model, 0, "fault_for", "20ms");
    start(&r);
    RUN_UNTIL(&r, r.good && r.bad && r.downs > 0);
    end(&r);
    begin(&r, 2); /* one is silent for good, flood or not; the other goes on */
    tg_test_model_device(&r.model, 0, "fault", "silent");
    tg_test_model_device(&r.model, 0, "fault_every", "1s");
    tg_test_model_device(&r.model, 0, "fault_for", "1s");
    tg_test_model_device(&r.model, 0, "flood", "true");
    tg_test_model_device(&r.model, 1, "every", "1ms");
    start(&r);
    RUN_UNTIL(&r, r.next[1] >= 10);
    assert_int_equal(r.next[0], 0);
    assert_int_equal(r.downs, 1);
    end(&r);
}

static void test_sensors_appear(void **state)
{
    static const struct tg_option discover_options[] = {
        {.name = "allow", .type = TG_OPTION_TEXT_LIST}, {.name = "max", .type = TG_OPTION_INT}, {0}};
    static const char *const pairs[] = {"max", "5", NULL};
    struct tg_settings *section = tg_test_settings(discover_options, pairs);
    struct tg_config_discover discover = {.settings = section};
    struct tg_settings_position nowhere = {0};
    struct rig r;
    (void)state;
    begin(&r, 1);
    /* d0 is a device already; nobody lets x in */
    for (const char *const *id = (const char *const[]){"a", "d0", "b", "x", "c", NULL}; *id; id++)
        assert_int_equal(tg_settings_append(r.model.source_settings, "discover_ids", *id, nowhere, NULL), 0);
    assert_int_equal(tg_settings_set(r.model.source_settings, "discover_after", "20ms", NULL, nowhere, NULL),
                     0);
    for (const char *const *p = (const char *const[]){"a", "b", "c", NULL}; *p; p++)
        assert_int_equal(tg_settings_append(section, "allow", *p, nowhere, NULL), 0);
    r.model.source.discover = &discover;
    start(&r);
    RUN_UNTIL(&r, r.found == 3);
    end(&r);
    tg_settings_free(section);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_shapes),
                                       cmocka_unit_test(test_integers_and_extremes),
                                       cmocka_unit_test(test_flood_stops_at_its_count_and_loses_none),
                                       cmocka_unit_test(test_history),
                                       cmocka_unit_test(test_writes_and_commands),
                                       cmocka_unit_test(test_faults),
                                       cmocka_unit_test(test_sensors_appear)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
