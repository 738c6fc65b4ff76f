/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * bench_isolation - what `isolation: process` costs and gives: samples per second through a child and in-process, from a crash to
 * the next start, and what another source notices of it. One JSON object on standard output.
 */
#include <stdio.h>
#include <stdlib.h>

#include "core/base/clock.h"
#include "core/base/log.h"
#include "southbound/plugin_host.h"
#include "southbound/plugin_loader.h"
#include "southbound/plugin_process.h"
#include "support/host_model.h"

#define FLOOD     1000000
#define CRASHES   5
#define PERIOD_MS 20

struct rig {
    struct tg_test_model model;
    struct tg_settings *common;
    struct tg_source_host *host;
    uint64_t taken;
    int64_t last_us, largest_gap_us, end_us, open_us;
    int opens, ends;
    bool closed;
};

static struct tg_loop loop;

static int on_sample(void *user, uint32_t device, int64_t time_ms, struct tg_point_value *v, uint32_t count)
{
    struct rig *r = user;
    int64_t now = tg_clock_mono_us();
    (void)device;
    (void)time_ms;
    (void)v;
    (void)count;
    if (r->last_us && now - r->last_us > r->largest_gap_us)
        r->largest_gap_us = now - r->last_us;
    r->last_us = now;
    r->taken++;
    return TG_OK;
}

static void on_state(void *user, uint32_t device, enum tg_device_state state, const char *text)
{
    (void)user;
    (void)device;
    (void)state;
    (void)text;
}

static void on_answer(void *user, uint64_t request, int status, const char *json)
{
    (void)user;
    (void)request;
    (void)status;
    (void)json;
}

static void on_open(void *user, bool open, const char *text, int64_t retry_ms)
{
    struct rig *r = user;
    (void)text;
    (void)retry_ms;
    *(open ? &r->open_us : &r->end_us) = tg_clock_mono_us();
    *(open ? &r->opens : &r->ends) += 1;
}

static void on_closed(void *user)
{
    ((struct rig *)user)->closed = true;
}

static const struct tg_source_callbacks callbacks = {
    .on_sample = on_sample, .on_state = on_state, .on_answer = on_answer, .on_open = on_open};

static void fail(const char *what)
{
    fprintf(stderr, "bench_isolation: %s\n", what);
    exit(1);
}

static void begin(struct rig *r, const struct tg_plugin *plugin, const char *isolation, const char *every)
{
    const char *const pairs[] = {"isolation", isolation, NULL};
    struct tg_error err = {0};
    *r = (struct rig){0};
    tg_test_model_init(&r->model, plugin, 1, 1);
    if (every)
        tg_test_model_point(&r->model, 0, 0, "every", every);
    r->model.source.common = r->common = tg_test_settings(tg_config_source_options, pairs);
    if (tg_source_host_new(&loop, &r->model.source, &callbacks, r, &r->host, &err) < 0)
        fail(err.text);
    while (!r->opens)
        uv_run(&loop.uv, UV_RUN_ONCE);
}

static void end(struct rig *r)
{
    tg_source_host_close(r->host, on_closed, r);
    while (!r->closed)
        uv_run(&loop.uv, UV_RUN_ONCE);
    tg_test_model_fini(&r->model);
    tg_settings_free(r->common);
}

/* Samples per second of one value each. */
static double rate(const struct tg_plugin *plugin, const char *isolation)
{
    struct rig r;
    char json[24];
    int64_t begun;
    double seconds;
    begin(&r, plugin, isolation, NULL);
    snprintf(json, sizeof json, "%d", FLOOD);
    begun = tg_clock_mono_us();
    tg_source_host_command(r.host, 1, 0, "flood", json);
    while (r.taken < FLOOD)
        uv_run(&loop.uv, UV_RUN_ONCE);
    seconds = (double)(tg_clock_mono_us() - begun) / 1e6;
    end(&r);
    return FLOOD / seconds;
}

/* The longest from the end to the next start, each a first one. */
static void crash(const struct tg_plugin *plugin, const struct tg_plugin *other, double *ret_restart_ms,
                  double *ret_gap_periods)
{
    struct rig r, beside;
    *ret_restart_ms = *ret_gap_periods = 0;
    for (int i = 0; i < CRASHES; i++) {
        double ms;
        begin(&beside, other, "in-process", "20ms");
        begin(&r, plugin, "process", NULL);
        tg_source_host_command(r.host, 1, 0, "crash", "{}");
        while (r.opens < 2 || beside.taken < 60)
            uv_run(&loop.uv, UV_RUN_ONCE);
        ms = (double)(r.open_us - r.end_us) / 1000.0;
        *ret_restart_ms = ms > *ret_restart_ms ? ms : *ret_restart_ms;
        ms = (double)beside.largest_gap_us / 1000.0 / PERIOD_MS;
        *ret_gap_periods = ms > *ret_gap_periods ? ms : *ret_gap_periods;
        end(&r);
        end(&beside);
    }
}

int main(int argc, char **argv)
{
    const char *dirs[1];
    struct tg_plugin_set *set;
    struct tg_error err = {0};
    const struct tg_plugin *own, *looped;
    double in_process = 0, isolated = 0, restart_ms, gap;
    if (argc != 3)
        fail("usage: bench_isolation FOLDER-OF-FIXTURES PROGRAM");
    dirs[0] = argv[1];
    tg_process_use(argv[2]);
    tg_log_configure(TG_LOG_ERROR, TG_LOG_TEXT);
    if (tg_loop_init(&loop, &err) < 0 || tg_plugin_set_new(dirs, 1, &set) < 0)
        fail("no loop");
    own = tg_plugin_find(set, "trouble", &err);
    looped = own ? tg_plugin_find(set, "trouble-loop", &err) : NULL;
    if (!looped)
        fail(err.text);
    for (int i = 0; i < 3; i++) { /* in turns, the better of each */
        double a = rate(own, "in-process"), b = rate(own, "process");
        in_process = a > in_process ? a : in_process;
        isolated = b > isolated ? b : isolated;
    }
    crash(own, looped, &restart_ms, &gap);
    printf("{\"in_process_per_second\":%.0f,\"isolated_per_second\":%.0f,\"restart_ms\":%.0f,\"gap_periods\":"
           "%.2f}\n",
           in_process, isolated, restart_ms, gap);
    tg_plugin_set_free(set);
    tg_loop_fini(&loop);
    return 0;
}
