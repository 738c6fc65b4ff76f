/* SPDX-License-Identifier: GPL-2.0-or-later */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdio.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

#include "core/base/allocator.h"
#include "core/base/sample.h"
#include "southbound/plugin_host.h"
#include "support/host_model.h"
#include "support/plugins/levers.h"

#define MAX_REQUESTS 600

struct rig {
    const struct tg_plugin *plugin;
    struct tg_loop loop;
    struct tg_test_model model;
    struct tg_source_host *host;
    uv_idle_t idle;
    bool closed;
    /* the consumer */
    uint64_t room, taken, refused, refill;
    bool check_order;
    uint8_t bytes[64];
    /* callbacks */
    int answers[MAX_REQUESTS], status[MAX_REQUESTS], states, opens, open_failures;
    char json[2048], state_text[64], open_text[64];
    int64_t retry_ms;
};

static int on_sample(void *user, uint32_t device, int64_t time_ms, struct tg_point_value *v, uint32_t count)
{
    struct rig *r = user;
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
    struct rig *r = user;
    assert_int_equal(device, 0);
    assert_int_equal(state, TG_DEVICE_OK);
    snprintf(r->state_text, sizeof r->state_text, "%s", text);
    r->states++;
}

static void on_answer(void *user, uint64_t request, int status, const char *json)
{
    struct rig *r = user;
    assert_in_range(request, 1, MAX_REQUESTS - 1);
    r->answers[request]++;
    r->status[request] = status;
    snprintf(r->json, sizeof r->json, "%s", json ? json : "(none)");
}

static void on_open(void *user, bool open, const char *text, int64_t retry_ms)
{
    struct rig *r = user;
    if (open)
        r->opens++;
    else
        r->open_failures++;
    snprintf(r->open_text, sizeof r->open_text, "%s", text ? text : "");
    r->retry_ms = retry_ms;
}

static const struct tg_source_callbacks callbacks = {on_sample, on_state, on_answer, on_open};

static void on_closed(void *user)
{
    struct rig *r = user;
    assert_false(r->closed);
    r->closed = true;
}

/* Each turn the consumer has room again: the loop never waits while this runs. */
static void on_idle(uv_idle_t *idle)
{
    struct rig *r = idle->data;
    if (r->refill) {
        r->room = r->refill;
        tg_source_host_resume(r->host);
    }
}

static void rig_begin(struct rig *r, const struct tg_plugin *plugin)
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

static void rig_start(struct rig *r)
{
    struct tg_error err = {0};
    assert_int_equal(tg_source_host_new(&r->loop, &r->model.source, &callbacks, r, &r->host, &err), 0);
    uv_idle_start(&r->idle, on_idle);
}

static void turn(struct rig *r)
{
    uv_run(&r->loop.uv, UV_RUN_NOWAIT);
}

/* ctest's limit ends what never comes. */
#define RUN_UNTIL(r, condition)                                                                              \
    do {                                                                                                     \
        while (!(condition))                                                                                 \
            turn(r);                                                                                         \
    } while (0)

static void rig_end(struct rig *r)
{
    int opened = atomic_load(&tg_levers.opens);
    r->refill = 0;
    if (r->host) {
        tg_source_host_close(r->host, on_closed, r);
        RUN_UNTIL(r, r->closed);
    }
    assert_true(atomic_load(&tg_levers.closes) <= opened);
    uv_close((uv_handle_t *)&r->idle, NULL);
    tg_loop_fini(&r->loop);
    tg_test_model_fini(&r->model);
}

static struct tg_source_stats stats_of(struct rig *r)
{
    struct tg_source_stats st;
    tg_source_host_stats(r->host, &st);
    return st;
}

/* --- samples ---------------------------------------------------------------------------------------- */

static void test_flood_into_a_small_consumer(void **state)
{
    struct rig r;
    rig_begin(&r, *state);
    tg_levers.flood = 60000;
    r.check_order = true;
    r.room = 0;
    rig_start(&r);
    RUN_UNTIL(&r, atomic_load(&tg_levers.refused) > 0); /* the queue is full and says so */
    assert_int_equal(r.taken, 0);
    assert_true(r.refused > 0);
    r.refill = 400;
    RUN_UNTIL(&r, r.taken == tg_levers.flood);
    assert_int_equal(atomic_load(&tg_levers.emitted), tg_levers.flood);
    assert_int_equal(stats_of(&r).emitted, tg_levers.flood);
    assert_int_equal(stats_of(&r).rejected, atomic_load(&tg_levers.refused));
    assert_true(stats_of(&r).open);
    rig_end(&r);
    assert_int_equal(atomic_load(&tg_levers.closes), 1);
}

static void test_answers_and_states_overtake_samples_that_wait(void **state)
{
    struct rig r;
    rig_begin(&r, *state);
    tg_levers.flood = UINT64_MAX;
    r.room = 0;
    rig_start(&r);
    RUN_UNTIL(&r, atomic_load(&tg_levers.refused) > 0);
    tg_source_host_command(r.host, 1, 0, "echo", "{\"a\":1}");
    RUN_UNTIL(&r, r.answers[1]);
    assert_string_equal(r.json, "{\"a\":1}");
    assert_int_equal(r.states, 1);
    assert_string_equal(r.state_text, "open");
    assert_int_equal(r.opens, 1);
    assert_int_equal(r.taken, 0);
    rig_end(&r); /* with both boxes full of samples */
}

static void try_wrong_samples(const struct tg_host *h)
{
    static char text[TG_TEXT_MAX_BYTES + 1];
    static struct tg_point_value many[TG_SAMPLE_MAX_VALUES + 1];
    struct tg_point_value v = {.point = 0, .value = tg_value_int(1)}, wrong;
    assert_int_equal(h->emit(h->source, 1, 0, &v, 1), TG_PLUGIN_EINVAL); /* one device: number 0 */
    assert_int_equal(h->emit(h->source, 0, 0, &v, 0), TG_PLUGIN_EINVAL);
    for (uint32_t i = 0; i <= TG_SAMPLE_MAX_VALUES; i++)
        many[i] = v;
    assert_int_equal(h->emit(h->source, 0, 0, many, TG_SAMPLE_MAX_VALUES + 1), TG_PLUGIN_EINVAL);
    wrong = v;
    wrong.point = 2;
    assert_int_equal(h->emit(h->source, 0, 0, &wrong, 1), TG_PLUGIN_EINVAL);
    wrong = v;
    wrong.quality = TG_QUALITY_DOWN + 1;
    assert_int_equal(h->emit(h->source, 0, 0, &wrong, 1), TG_PLUGIN_EINVAL);
    wrong = v;
    wrong.value.type = TG_VALUE_TEXT + 1;
    assert_int_equal(h->emit(h->source, 0, 0, &wrong, 1), TG_PLUGIN_EINVAL);
    wrong.value = (struct tg_value){.type = TG_VALUE_NONE};
    assert_int_equal(h->emit(h->source, 0, 0, &wrong, 1), TG_PLUGIN_EINVAL); /* good without a value */
    wrong.value =
        (struct tg_value){.type = TG_VALUE_TEXT, .text_len = TG_TEXT_MAX_BYTES + 1, .as.text = text};
    assert_int_equal(h->emit(h->source, 0, 0, &wrong, 1), TG_PLUGIN_EINVAL);
    wrong.value = (struct tg_value){.type = TG_VALUE_TEXT, .text_len = 1};
    assert_int_equal(h->emit(h->source, 0, 0, &wrong, 1), TG_PLUGIN_EINVAL);
    wrong.value = (struct tg_value){.type = TG_VALUE_TEXT}; /* an empty text needs no memory */
    assert_int_equal(h->emit(h->source, 0, 0, &wrong, 1), TG_PLUGIN_OK);
    assert_int_equal(h->emit(h->source, 0, 0, many, TG_SAMPLE_MAX_VALUES), TG_PLUGIN_OK);
    h->device_state(h->source, 7, TG_DEVICE_DOWN, "no such device");
    h->device_state(h->source, 0, 99, "no such state");
    h->log(h->source, TG_LOG_DEBUG, "%s", "a line");
    assert_true(h->now_ms(h->source) > 0);
    assert_true(h->wall_ms(h->source) > 0);
}

static void test_wrong_samples_are_refused(void **state)
{
    struct rig r;
    rig_begin(&r, *state);
    tg_levers.in_open = try_wrong_samples;
    rig_start(&r);
    RUN_UNTIL(&r, r.taken == 2 && r.states == 1);
    assert_int_equal(stats_of(&r).emitted, 2);
    assert_int_equal(stats_of(&r).rejected, 0); /* a mistake is no overflow */
    rig_end(&r);
}

/* --- requests ------------------------------------------------------------------------------------------ */

static void test_round_trips(void **state)
{
    struct rig r;
    char text[] = "ventil auf";
    struct tg_value v[] = {tg_value_bool(true), tg_value_int(-5), tg_value_uint(UINT64_MAX),
                           tg_value_real(0.5), tg_value_text(text, strlen(text))};
    static const char *const want[] = {"[0,1,true]", "[0,1,-5]", "[0,1,18446744073709551615]", "[0,1,0.5]",
                                       "[0,1,\"ventil auf\"]"};
    rig_begin(&r, *state);
    rig_start(&r);
    RUN_UNTIL(&r, r.opens == 1);
    for (size_t i = 0; i < sizeof v / sizeof v[0]; i++) {
        tg_source_host_write(r.host, 10 + i, 0, 1, &v[i]);
        if (v[i].type == TG_VALUE_TEXT)
            memset(text, 'x', sizeof text); /* borrowed for the call only */
        RUN_UNTIL(&r, r.answers[10 + i]);
        assert_int_equal(r.status[10 + i], TG_PLUGIN_OK);
        assert_string_equal(r.json, want[i]);
    }
    tg_source_host_command(r.host, 1, 0, "refuse", "{}");
    RUN_UNTIL(&r, r.answers[1]);
    assert_int_equal(r.status[1], TG_PLUGIN_EDEVICE);
    assert_string_equal(r.json, "(none)");
    atomic_store(&tg_levers.hold_answers, true);
    tg_source_host_command(r.host, 2, 0, "hold", "{}");
    tg_source_host_command(r.host, 3, 0, "echo", "[]");
    RUN_UNTIL(&r, r.answers[3]);
    assert_int_equal(r.answers[2], 0);
    atomic_store(&tg_levers.hold_answers, false);
    RUN_UNTIL(&r, r.answers[2]);
    assert_string_equal(r.json, "{\"held\":true}");
    rig_end(&r);
}

static void test_a_plugin_that_takes_no_requests(void **state)
{
    struct rig r;
    struct tg_value v = tg_value_bool(false);
    (void)state;
    rig_begin(&r, &tg_levers_deaf);
    rig_start(&r);
    RUN_UNTIL(&r, r.opens == 1);
    tg_source_host_write(r.host, 1, 0, 0, &v);
    tg_source_host_command(r.host, 2, 0, "echo", "{}");
    RUN_UNTIL(&r, r.answers[1] && r.answers[2]);
    assert_int_equal(r.status[1], TG_PLUGIN_EUNSUPPORTED);
    assert_int_equal(r.status[2], TG_PLUGIN_EUNSUPPORTED);
    rig_end(&r);
}

static void test_requests_beyond_the_bound_are_busy(void **state)
{
    struct rig r;
    int busy = 0;
    rig_begin(&r, *state);
    if (r.plugin->thread_model == TG_THREAD_OWN)
        atomic_store(&tg_levers.block, true);
    rig_start(&r);
    if (r.plugin->thread_model == TG_THREAD_OWN)
        RUN_UNTIL(&r, atomic_load(&tg_levers.blocked));
    else
        RUN_UNTIL(&r, r.opens);
    for (uint64_t i = 1; i <= TG_SOURCE_QUEUE_REQUESTS + 40; i++)
        tg_source_host_command(r.host, i, 0, "echo", "{}");
    for (uint64_t i = 1; i <= TG_SOURCE_QUEUE_REQUESTS + 40; i++)
        if (r.answers[i]) {
            busy++;
            assert_int_equal(r.status[i], TG_PLUGIN_EFULL);
        }
    assert_int_equal(busy, 40); /* at once, on this stack */
    atomic_store(&tg_levers.block, false);
    for (uint64_t i = 1; i <= TG_SOURCE_QUEUE_REQUESTS + 40; i++) {
        RUN_UNTIL(&r, r.answers[i]);
        assert_int_equal(r.answers[i], 1);
        assert_int_equal(r.status[i], i <= TG_SOURCE_QUEUE_REQUESTS ? TG_PLUGIN_OK : TG_PLUGIN_EFULL);
    }
    rig_end(&r);
}

static void test_no_memory_for_a_request_is_answered(void **state)
{
    struct rig r;
    struct tg_value v = tg_value_int(1);
    rig_begin(&r, *state);
    rig_start(&r);
    RUN_UNTIL(&r, r.opens && r.states);
    tg_alloc_fail_at(1, 1);
    tg_source_host_command(r.host, 5, 0, "echo", "{}");
    tg_source_host_write(r.host, 6, 0, 0, &v);
    tg_alloc_fail_at(0, 0);
    assert_int_equal(r.answers[5], 1);
    assert_int_equal(r.answers[6], 1);
    assert_int_equal(r.status[5], TG_PLUGIN_EFULL);
    assert_non_null(strstr(r.json, "out of memory"));
    rig_end(&r);
}

/* --- opening and closing -----------------------------------------------------------------------------------
 */

static void test_open_keeps_failing(void **state)
{
    struct rig r;
    rig_begin(&r, *state);
    atomic_store(&tg_levers.open_failures, -1);
    rig_start(&r);
    RUN_UNTIL(&r, r.open_failures == 1);
    assert_string_equal(r.open_text, "the lever says no");
    assert_in_range(r.retry_ms, 1000, 60000);
    assert_false(stats_of(&r).open);
    tg_source_host_command(r.host, 1, 0, "echo", "{}");
    RUN_UNTIL(&r, r.answers[1]);
    assert_int_equal(r.status[1], TG_PLUGIN_EIO);
    assert_non_null(strstr(r.json, "not open"));
    rig_end(&r);
    assert_int_equal(atomic_load(&tg_levers.closes), 0);
    assert_int_equal(atomic_load(&tg_levers.commands), 0);
}

static void test_open_succeeds_the_second_time(void **state)
{
    struct rig r;
    rig_begin(&r, *state);
    atomic_store(&tg_levers.open_failures, 1);
    rig_start(&r);
    RUN_UNTIL(&r, r.opens == 1);
    assert_int_equal(r.open_failures, 1);
    assert_int_equal(atomic_load(&tg_levers.opens), 2);
    assert_true(stats_of(&r).open);
    rig_end(&r);
    assert_int_equal(atomic_load(&tg_levers.closes), 1);
}

static void test_close_while_the_plugin_blocks(void **state)
{
    struct rig r;
    (void)state;
    rig_begin(&r, &tg_levers_own);
    atomic_store(&tg_levers.block, true);
    rig_start(&r);
    RUN_UNTIL(&r, atomic_load(&tg_levers.blocked));
    tg_source_host_command(r.host, 1, 0, "echo", "{}"); /* stays in its box */
    rig_end(&r);
    assert_int_equal(atomic_load(&tg_levers.closes), 1);
    assert_int_equal(atomic_load(&tg_levers.commands), 0);
    assert_int_equal(r.answers[1], 0);
}

static void test_close_while_mail_waits_both_ways(void **state)
{
    struct rig r;
    rig_begin(&r, *state);
    tg_levers.flood = UINT64_MAX;
    r.room = 100;
    rig_start(&r);
    RUN_UNTIL(&r, r.refused > 0);
    atomic_store(&tg_levers.hold_answers, true);
    for (uint64_t i = 1; i <= 100; i++)
        tg_source_host_command(r.host, i, 0, "hold", "{}");
    rig_end(&r);
    assert_int_equal(r.taken, 100);
    assert_int_equal(atomic_load(&tg_levers.closes), 1);
}

static void test_close_at_once(void **state)
{
    struct rig r;
    rig_begin(&r, *state);
    rig_start(&r);
    rig_end(&r); /* before the first round, or in it */
    assert_int_equal(atomic_load(&tg_levers.closes), atomic_load(&tg_levers.opens));
}

static void test_poll_that_wants_to_run_at_once_lets_the_loop_turn(void **state)
{
    struct rig r;
    rig_begin(&r, *state);
    tg_levers.poll_returns = 0;
    rig_start(&r);
    RUN_UNTIL(&r, atomic_load(&tg_levers.polls) >= 5);
    if (r.plugin->thread_model == TG_THREAD_LOOP) {
        int before = atomic_load(&tg_levers.polls);
        turn(&r);
        assert_true(atomic_load(&tg_levers.polls) <= before + 1);
    }
    rig_end(&r);
}

/* --- descriptors
 * ----------------------------------------------------------------------------------------------- */

static void test_descriptors(void **state)
{
    struct rig r;
    int a[2], b[2];
    assert_int_equal(pipe(a), 0);
    assert_int_equal(pipe(b), 0);
    rig_begin(&r, *state);
    tg_levers.fds[0] = a[0];
    tg_levers.fds[1] = b[0];
    tg_levers.fd_count = 2;
    rig_start(&r);
    RUN_UNTIL(&r, r.opens);
    assert_int_equal(write(a[1], "x", 1), 1);
    RUN_UNTIL(&r, r.taken == 1);
    assert_int_equal(r.bytes[0], 'x');
    assert_int_equal(write(b[1], "yz", 2), 2);
    RUN_UNTIL(&r, r.taken == 3);
    assert_memory_equal(r.bytes, "xyz", 3);
    close(b[1]);
    RUN_UNTIL(&r, atomic_load(&tg_levers.hangups) == 1);
    assert_int_equal(write(a[1], "w", 1), 1); /* the other is still watched */
    RUN_UNTIL(&r, r.taken == 4);
    assert_int_equal(atomic_load(&tg_levers.hangups), 1);
    rig_end(&r);
    close(a[0]);
    close(a[1]);
    close(b[0]);
}

static void test_an_ended_watch_is_not_reported(void **state)
{
    struct rig r;
    int pipes[6][2];
    rig_begin(&r, *state);
    tg_levers.first_ends_others = true;
    for (int i = 0; i < 6; i++) {
        assert_int_equal(pipe(pipes[i]), 0);
        assert_int_equal(write(pipes[i][1], "q", 1), 1); /* all are ready in the same round */
        tg_levers.fds[i] = pipes[i][0];
    }
    tg_levers.fd_count = 6;
    rig_start(&r);
    RUN_UNTIL(&r, r.taken == 1);
    tg_source_host_command(r.host, 1, 0, "echo", "{}");
    RUN_UNTIL(&r, r.answers[1]); /* further rounds have passed */
    assert_int_equal(atomic_load(&tg_levers.fd_readies), 1);
    rig_end(&r);
    for (int i = 0; i < 6; i++) {
        close(pipes[i][0]);
        close(pipes[i][1]);
    }
}

static void test_sixteen_watches(void **state)
{
    struct rig r;
    int p[2];
    rig_begin(&r, *state);
    assert_int_equal(pipe(p), 0);
    for (int i = 0; i < 18; i++)
        tg_levers.fds[i] = dup(p[0]);
    tg_levers.fd_count = 18;
    rig_start(&r);
    RUN_UNTIL(&r, r.opens);
    assert_int_equal(atomic_load(&tg_levers.watch_errors), 2);
    rig_end(&r);
    for (int i = 0; i < 18; i++)
        close(tg_levers.fds[i]);
    close(p[0]);
    close(p[1]);
}

static void try_wrong_watches(const struct tg_host *h)
{
    assert_int_equal(h->watch_fd(h->source, -1, TG_FD_READ), TG_PLUGIN_EINVAL);
    assert_int_equal(h->watch_fd(h->source, 0x7fff, 0), TG_PLUGIN_OK); /* nothing to end */
}

static void test_wrong_watches(void **state)
{
    struct rig r;
    rig_begin(&r, *state);
    tg_levers.in_open = try_wrong_watches;
    rig_start(&r);
    RUN_UNTIL(&r, r.opens);
    rig_end(&r);
}

/* --- when there is not enough of something
 * ------------------------------------------------------------------------- */

static void sweep(const struct tg_plugin *plugin, int forever)
{
    bool clean = false;
    for (uint64_t nth = 1; !clean; nth++) {
        struct rig r;
        struct tg_error err = {0};
        int64_t live = tg_alloc_stats().live;
        int rc;
        rig_begin(&r, plugin);
        tg_levers.flood = 3;
        assert_true(nth < 100);
        tg_alloc_fail_at(nth, forever);
        rc = tg_source_host_new(&r.loop, &r.model.source, &callbacks, &r, &r.host, &err);
        if (rc < 0) {
            tg_alloc_fail_at(0, 0);
            assert_int_equal(rc, TG_ENOMEM);
            assert_true(err.text[0] != '\0');
            r.host = NULL;
        } else {
            uint64_t before = tg_alloc_stats().calls;
            tg_source_host_command(r.host, 1, 0, "echo", "{}");
            uv_idle_start(&r.idle, on_idle);
            RUN_UNTIL(&r, atomic_load(&tg_levers.emitted) + atomic_load(&tg_levers.refused) > 0);
            turn(&r);
            clean =
                nth > tg_alloc_stats().calls - before + 8; /* the failing one lies beyond all that was done */
            tg_alloc_fail_at(0, 0);
        }
        rig_end(&r);
        assert_int_equal(tg_alloc_stats().live, live);
    }
}

static void test_out_of_memory_anywhere(void **state)
{
    sweep(*state, 0);
    sweep(*state, 1);
}

static void test_no_descriptor_for_the_thread(void **state)
{
    struct rig r;
    struct tg_error err = {0};
    struct rlimit before, none;
    int64_t live = tg_alloc_stats().live;
    int next = dup(0), rc;
    (void)state;
    rig_begin(&r, &tg_levers_own);
    rig_start(&r); /* the loop has what it needs */
    RUN_UNTIL(&r, r.opens);
    tg_source_host_close(r.host, on_closed, &r);
    RUN_UNTIL(&r, r.closed);
    r.host = NULL;
    r.closed = false;
    assert_int_equal(getrlimit(RLIMIT_NOFILE, &before), 0);
    none = before;
    none.rlim_cur = (rlim_t)next;
    close(next);
    assert_int_equal(setrlimit(RLIMIT_NOFILE, &none), 0);
    rc = tg_source_host_new(&r.loop, &r.model.source, &callbacks, &r, &r.host, &err);
    assert_int_equal(setrlimit(RLIMIT_NOFILE, &before), 0);
    assert_true(rc < 0);
    assert_non_null(strstr(err.text, "eventfd"));
    r.host = NULL;
    rig_end(&r);
    assert_int_equal(tg_alloc_stats().live, live);
}

#define BOTH(test)                                                                                           \
    {#test "(own thread)", test, NULL, NULL, (void *)(uintptr_t)&tg_levers_own},                             \
    {                                                                                                        \
#test "(on the loop)", test, NULL, NULL, (void *)(uintptr_t)&tg_levers_loop                          \
    }

int main(void)
{
    const struct CMUnitTest tests[] = {BOTH(test_flood_into_a_small_consumer),
                                       BOTH(test_answers_and_states_overtake_samples_that_wait),
                                       BOTH(test_wrong_samples_are_refused),
                                       BOTH(test_round_trips),
                                       cmocka_unit_test(test_a_plugin_that_takes_no_requests),
                                       BOTH(test_requests_beyond_the_bound_are_busy),
                                       BOTH(test_no_memory_for_a_request_is_answered),
                                       BOTH(test_open_keeps_failing),
                                       BOTH(test_open_succeeds_the_second_time),
                                       cmocka_unit_test(test_close_while_the_plugin_blocks),
                                       BOTH(test_close_while_mail_waits_both_ways),
                                       BOTH(test_close_at_once),
                                       BOTH(test_poll_that_wants_to_run_at_once_lets_the_loop_turn),
                                       BOTH(test_descriptors),
                                       BOTH(test_an_ended_watch_is_not_reported),
                                       BOTH(test_sixteen_watches),
                                       BOTH(test_wrong_watches),
                                       BOTH(test_out_of_memory_anywhere),
                                       cmocka_unit_test(test_no_descriptor_for_the_thread)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
