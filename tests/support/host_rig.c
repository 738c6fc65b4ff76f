/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "support/host_rig.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdio.h>
#include <string.h>

static int on_sample(void *user, uint32_t device, int64_t time_ms, struct tg_point_value *v, uint32_t count)
{
    struct tg_host_rig *r = user;
    assert_false(r->closed);
    if (r->room == 0) {
        r->refused++;
        return TG_EFULL;
    }
    r->room--;
    assert_int_equal(device, 0);
    if (r->check_order) {
        char want[32];
        int n = snprintf(want, sizeof want, "n=%llu", (unsigned long long)r->taken);
        assert_int_equal(count, 2);
        assert_int_equal(time_ms, r->taken + 1);
        assert_int_equal(v[0].value.as.uinteger, r->taken);
        assert_int_equal(v[1].value.text_len, n);
        assert_memory_equal(v[1].value.as.text, want, (size_t)n);
    } else {
        r->bytes[r->taken % sizeof r->bytes] = (uint8_t)v[0].value.as.uinteger;
    }
    r->taken++;
    return TG_OK;
}

static void on_state(void *user, uint32_t device, enum tg_device_state state, const char *text)
{
    struct tg_host_rig *r = user;
    assert_int_equal(device, 0);
    assert_int_equal(state, TG_DEVICE_OK);
    snprintf(r->state_text, sizeof r->state_text, "%s", text);
    r->states++;
}

static void on_answer(void *user, uint64_t request, int status, const char *json)
{
    struct tg_host_rig *r = user;
    assert_in_range(request, 1, TG_RIG_MAX_REQUESTS - 1);
    r->answers[request]++;
    r->status[request] = status;
    snprintf(r->json, sizeof r->json, "%s", json ? json : "(none)");
}

static void on_open(void *user, bool open, const char *text, int64_t retry_ms)
{
    struct tg_host_rig *r = user;
    if (open)
        r->opens++;
    else
        r->open_failures++;
    snprintf(r->open_text, sizeof r->open_text, "%s", text ? text : "");
    r->retry_ms = retry_ms;
}

static void on_discovered(void *user, const char *id, const char *profile)
{
    struct tg_host_rig *r = user;
    assert_in_range(r->found, 0, 15);
    snprintf(r->found_ids[r->found], sizeof r->found_ids[0], "%s", id);
    snprintf(r->found_profiles[r->found], sizeof r->found_profiles[0], "%s", profile ? profile : "(none)");
    r->found++;
}

const struct tg_source_callbacks tg_rig_callbacks = {
    .on_sample = on_sample,
    .on_state = on_state,
    .on_answer = on_answer,
    .on_open = on_open,
    .on_fact = NULL,
    .on_discovered = on_discovered,
};

void tg_rig_on_closed(void *user)
{
    struct tg_host_rig *r = user;
    assert_false(r->closed);
    r->closed = true;
}

void tg_rig_on_idle(uv_idle_t *idle)
{
    struct tg_host_rig *r = idle->data;
    if (r->refill) {
        r->room = r->refill;
        tg_source_host_resume(r->host);
    }
}

void tg_rig_begin(struct tg_host_rig *r, const struct tg_plugin *plugin)
{
    memset(r, 0, sizeof *r);
    tg_levers_reset();
    r->plugin = plugin;
    r->room = UINT64_MAX;
    assert_int_equal(tg_loop_init(&r->loop, NULL), 0);
    tg_test_model_init(&r->model, plugin, 1, 2);
    uv_idle_init(&r->loop.uv, &r->idle);
    r->idle.data = r;
}

void tg_rig_start(struct tg_host_rig *r)
{
    struct tg_error err = {0};
    assert_int_equal(tg_source_host_new(&r->loop, &r->model.source, &tg_rig_callbacks, r, &r->host, &err), 0);
    uv_idle_start(&r->idle, tg_rig_on_idle);
}

void tg_rig_turn(struct tg_host_rig *r)
{
    uv_run(&r->loop.uv, UV_RUN_NOWAIT);
}

void tg_rig_end(struct tg_host_rig *r)
{
    r->refill = 0;
    if (r->host) {
        tg_source_host_close(r->host, tg_rig_on_closed, r);
        TG_RIG_RUN_UNTIL(r, r->closed);
    }
    assert_true(atomic_load(&tg_levers.closes) <= atomic_load(&tg_levers.opens));
    uv_close((uv_handle_t *)&r->idle, NULL);
    tg_loop_fini(&r->loop);
    tg_test_model_fini(&r->model);
}

struct tg_source_stats tg_rig_stats(struct tg_host_rig *r)
{
    struct tg_source_stats st;
    tg_source_host_stats(r->host, &st);
    return st;
}
