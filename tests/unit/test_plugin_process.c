/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * The host with real children: the plugins trouble and trouble-loop (tests/support/plugins/trouble.c) do what they are told.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <unistd.h>

#include "core/base/allocator.h"
#include "core/base/clock.h"
#include "southbound/plugin_confine.h"
#include "southbound/plugin_host.h"
#include "southbound/plugin_loader.h"
#include "southbound/plugin_process.h"
#include "support/host_model.h"

#define MAX_REQUESTS 64
#define PERIOD_MS    500

static struct tg_plugin_set *plugins;

static const struct tg_option discover_options[] = {
    {.name = "allow", .type = TG_OPTION_TEXT_LIST, .default_text = "[new-*]"},
    {.name = "max", .type = TG_OPTION_INT, .default_text = "1"},
    {.name = NULL}};

struct rig {
    struct tg_loop *loop;
    struct tg_test_model model;
    struct tg_settings *common, *discover_settings;
    struct tg_config_discover discover;
    struct tg_source_host *host;
    bool closed;
    uint64_t taken, room, last, refused;
    int64_t last_ms, largest_gap_ms;
    int opens, ends, states, downs, suspects, facts, found, answers[MAX_REQUESTS], status[MAX_REQUESTS];
    uint64_t wall_ms;
    char json[MAX_REQUESTS][700], end_text[400], down_text[400], found_id[32], fact[32], uplink[32];
    int64_t retry_ms;
};

static int on_sample(void *user, uint32_t device, int64_t time_ms, struct tg_point_value *v, uint32_t count)
{
    struct rig *r = user;
    int64_t now = tg_clock_mono_ms();
    (void)time_ms;
    assert_false(r->closed);
    assert_int_equal(device, 0);
    assert_int_equal(count, 1);
    if (r->room == 0) {
        r->refused++;
        return TG_EFULL;
    }
    r->room--;
    r->last = v[0].value.as.uinteger;
    if (r->last_ms && now - r->last_ms > r->largest_gap_ms)
        r->largest_gap_ms = now - r->last_ms;
    r->last_ms = now;
    r->taken++;
    return TG_OK;
}

static void on_state(void *user, uint32_t device, enum tg_device_state state, const char *text)
{
    struct rig *r = user;
    assert_int_equal(device, 0);
    r->states++;
    r->suspects += state == TG_DEVICE_SUSPECT;
    if (state == TG_DEVICE_DOWN) {
        r->downs++;
        snprintf(r->down_text, sizeof r->down_text, "%s", text);
    }
}

static void on_answer(void *user, uint64_t request, int status, const char *json)
{
    struct rig *r = user;
    assert_in_range(request, 1, MAX_REQUESTS - 1);
    r->answers[request]++;
    r->status[request] = status;
    snprintf(r->json[request], sizeof r->json[0], "%s", json ? json : "(none)");
}

static void on_open(void *user, bool open, const char *text, int64_t retry_ms)
{
    struct rig *r = user;
    if (open) {
        r->opens++;
    } else {
        r->ends++;
        snprintf(r->end_text, sizeof r->end_text, "%s", text);
        r->retry_ms = retry_ms;
    }
}

static void on_fact(void *user, uint32_t device, const char *name, const struct tg_value *value)
{
    struct rig *r = user;
    assert_int_equal(device, 0);
    snprintf(r->fact, sizeof r->fact, "%s=%.*s", name, (int)value->text_len, value->as.text);
    r->facts++;
}

static void on_discovered(void *user, const char *id, const char *profile)
{
    struct rig *r = user;
    assert_null(profile);
    snprintf(r->found_id, sizeof r->found_id, "%s", id);
    r->found++;
}

static void on_uplink(void *user, bool up, const char *text)
{
    snprintf(((struct rig *)user)->uplink, sizeof((struct rig *)user)->uplink, "%d %s", up, text);
}

static void on_time(void *user, int64_t wall_ms, int64_t at_ms, uint32_t uncertainty_ms)
{
    assert_true(at_ms <= tg_clock_mono_ms());
    assert_int_equal(uncertainty_ms, 500);
    ((struct rig *)user)->wall_ms = (uint64_t)wall_ms;
}

static const struct tg_source_callbacks callbacks = {.on_sample = on_sample,
                                                     .on_state = on_state,
                                                     .on_answer = on_answer,
                                                     .on_open = on_open,
                                                     .on_fact = on_fact,
                                                     .on_discovered = on_discovered,
                                                     .on_uplink = on_uplink,
                                                     .on_time = on_time};

/* `pairs` are common options of the source, NULL at the end; `every` of the point, NULL = no samples by itself. */
static void begin(struct rig *r, struct tg_loop *loop, const char *plugin, const char *every,
                  const char *const *pairs)
{
    struct tg_error err = {0};
    const char *all[8] = {"isolation", "process"};
    const struct tg_plugin *p = tg_plugin_find(plugins, plugin, &err);
    if (!p)
        fail_msg("%s", err.text);
    memset(r, 0, sizeof *r);
    r->loop = loop;
    r->room = UINT64_MAX;
    tg_test_model_init(&r->model, p, 1, 2);
    if (every)
        tg_test_model_point(&r->model, 0, 0, "every", every);
    for (size_t i = 0; pairs && pairs[i] && i < 4; i++)
        all[2 + i] = pairs[i];
    r->common = tg_test_settings(tg_config_source_options, all);
    r->model.source.common = r->common;
}

static void start(struct rig *r)
{
    struct tg_error err = {0};
    assert_int_equal(tg_source_host_new(r->loop, &r->model.source, &callbacks, r, &r->host, &err), 0);
}

static void on_closed(void *user)
{
    ((struct rig *)user)->closed = true;
}

/* ctest's limit ends what never comes. */
#define RUN_UNTIL(r, condition)                                                                              \
    do {                                                                                                     \
        while (!(condition))                                                                                 \
            uv_run(&(r)->loop->uv, UV_RUN_ONCE);                                                             \
    } while (0)

static void end(struct rig *r)
{
    tg_source_host_close(r->host, on_closed, r);
    RUN_UNTIL(r, r->closed);
    tg_test_model_fini(&r->model);
    tg_settings_free(r->common);
    tg_settings_free(r->discover_settings);
}

static struct tg_process_stats process_of(const struct rig *r)
{
    struct tg_source_stats st;
    tg_source_host_stats(r->host, &st);
    assert_true(st.process.isolated);
    return st.process;
}

static void ask(struct rig *r, uint64_t request, const char *command, const char *json)
{
    tg_source_host_command(r->host, request, 0, command, json);
}

static const char *answer_to(struct rig *r, uint64_t request, const char *command)
{
    ask(r, request, command, "{}");
    RUN_UNTIL(r, r->answers[request]);
    return r->json[request];
}

/* --- the same as in-process --------------------------------------------------------------------------------- */

static void test_requests_and_samples(void **state)
{
    struct tg_loop loop;
    struct rig r;
    struct tg_value v = tg_value_text("auf", 3);
    assert_int_equal(tg_loop_init(&loop, NULL), 0);
    begin(&r, &loop, *state, "10ms", NULL);
    start(&r);
    RUN_UNTIL(&r, r.opens == 1 && r.taken >= 5);
    assert_string_equal(answer_to(&r, 1, "echo"), "{}");
    tg_source_host_write(r.host, 2, 0, 1, &v);
    RUN_UNTIL(&r, r.answers[2]);
    assert_string_equal(r.json[2], "[0,1,auf]");
    assert_int_equal((answer_to(&r, 3, "dance"), r.status[3]), TG_PLUGIN_EUNSUPPORTED);
    (void)answer_to(&r, 4, "pipe"); /* watched: by poll(2) in a thread, or by the child's loop */
    RUN_UNTIL(&r, r.suspects == 1);
    assert_int_equal(r.ends, 0);
    assert_true(process_of(&r).pid > 0);
    /* The process has this one's user, and is not to look into its memory. */
    assert_int_equal(prctl(PR_GET_DUMPABLE, 0, 0, 0, 0), 0);
    end(&r);
    tg_loop_fini(&loop);
}

static void test_services(void **state)
{
    struct tg_loop loop;
    struct rig r;
    struct tg_source_discovery seen;
    assert_int_equal(tg_loop_init(&loop, NULL), 0);
    begin(&r, &loop, *state, NULL, NULL);
    r.discover_settings = tg_test_settings(discover_options, NULL);
    r.discover.settings = r.discover_settings;
    r.model.source.discover = &r.discover;
    start(&r);
    /* a fact, one of no device; let in, denied, no id, no room; a point that there is not */
    assert_string_equal(
        answer_to(&r, 1, "services"),
        "{\"rc\":[0,-1,0,-9,-1,-3,-1],\"words\":2,\"last\":\"b\",\"size\":65536,\"real\":-2.125,"
        "\"choice\":\"two\",\"path\":0,\"absent\":0,\"times\":1}");
    RUN_UNTIL(&r, r.facts && r.found && r.wall_ms && r.uplink[0]);
    assert_string_equal(r.fact, "model=T-1000");
    assert_string_equal(r.found_id, "new-1");
    assert_string_equal(r.uplink, "1 registered");
    assert_int_equal(r.wall_ms, 1700000000000);
    do {
        assert_true(tg_source_host_discovery(r.host, &seen));
        uv_run(&loop.uv, UV_RUN_ONCE);
    } while (seen.denied + seen.without_room < 2);
    assert_int_equal(seen.denied, 1);
    assert_int_equal(seen.without_room, 1);
    assert_int_equal(seen.used, 1);
    assert_int_equal(r.found, 1);
    end(&r);
    tg_loop_fini(&loop);
}

/* What the consumer does not take stays in the child, whose emit() says so; nothing is lost on the way. */
static void test_flood_into_a_full_store(void **state)
{
    enum { FLOOD = 40000 };
    struct tg_loop loop;
    struct rig r;
    struct tg_source_stats st;
    assert_int_equal(tg_loop_init(&loop, NULL), 0);
    begin(&r, &loop, *state, NULL, NULL);
    r.room = 0;
    start(&r);
    ask(&r, 1, "flood", "40000");
    do {
        uv_run(&loop.uv, UV_RUN_ONCE);
        tg_source_host_stats(r.host, &st);
    } while (st.rejected == 0);
    assert_true(r.refused > 0);
    assert_int_equal(st.emitted, 0);
    assert_string_equal(answer_to(&r, 2, "echo"), "{}"); /* overtakes the samples */
    while (r.taken < FLOOD) {
        r.room = 500;
        tg_source_host_resume(r.host);
        uv_run(&loop.uv, UV_RUN_NOWAIT);
    }
    assert_int_equal(r.last, 1);
    assert_int_equal(r.taken, FLOOD);
    tg_source_host_stats(r.host, &st);
    assert_int_equal(st.emitted, FLOOD);
    end(&r);
    tg_loop_fini(&loop);
}

static void test_open_that_fails(void **state)
{
    struct tg_loop loop;
    struct rig r;
    assert_int_equal(tg_loop_init(&loop, NULL), 0);
    begin(&r, &loop, *state, NULL, NULL);
    assert_int_equal(tg_settings_set(r.model.source_settings, "refuse", "true", NULL,
                                     (struct tg_settings_position){1, 1}, NULL),
                     0);
    start(&r);
    RUN_UNTIL(&r, r.ends == 1);
    assert_string_equal(r.end_text, "the option says no");
    assert_int_equal((answer_to(&r, 1, "echo"), r.status[1]), TG_PLUGIN_EIO);
    assert_int_equal(process_of(&r).restarts, 0);
    end(&r);
    tg_loop_fini(&loop);
}

static void test_interval_changes(void **state)
{
    struct tg_loop loop;
    struct rig r;
    assert_int_equal(tg_loop_init(&loop, NULL), 0);
    begin(&r, &loop, *state, NULL, NULL);
    start(&r);
    RUN_UNTIL(&r, r.opens == 1);
    assert_int_equal(r.taken, 0);
    tg_source_host_set_interval(r.host, 0, 0, 10);
    RUN_UNTIL(&r, r.opens == 2 && r.taken >= 3);
    ask(&r, 1, "crash", "{}");
    RUN_UNTIL(&r, r.opens == 3);
    r.taken = 0;
    RUN_UNTIL(&r, r.taken >= 3); /* the new process has it too */
    end(&r);
    tg_loop_fini(&loop);
}

/* --- ends ------------------------------------------------------------------------------------------------------ */

static const struct ending {
    const char *command, *says;
    const char *option, *value;
} endings[] = {
    {"crash", "the plugin's process crashed (SIGSEGV)", NULL, NULL},
    {"abort", "crashed (SIGABRT)", NULL, NULL},
    {"exit", "exited by itself with code 7", NULL, NULL},
    {"hang", "hung: no function of it has come back", "hang_timeout",
     "3s"}, /* not what a busy machine makes of it */
    {"leak", "more than its memory_limit of 64 MiB", "memory_limit", "64MiB"},
    {"garbage", "broke the protocol (a message that cannot be read)", NULL, NULL},
    {"garbage-samples", "broke the protocol (a sample that cannot be)", NULL, NULL},
    {"other-device", "broke the protocol (a sample that cannot be)", NULL, NULL},
    {"other-point", "broke the protocol (a sample that cannot be)", NULL, NULL},
};

static void end_once(const char *plugin, const struct ending *e)
{
    const char *const pairs[] = {e->option, e->value, NULL};
    struct tg_loop loop;
    struct rig r;
    assert_int_equal(tg_loop_init(&loop, NULL), 0);
    begin(&r, &loop, plugin, NULL, pairs);
    start(&r);
    RUN_UNTIL(&r, r.opens == 1);
    ask(&r, 1, "hold", "{}"); /* under way when it ends */
    assert_string_equal(answer_to(&r, 2, "echo"), "{}");
    ask(&r, 3, e->command, "{}");
    RUN_UNTIL(&r, r.ends == 1);
    if (!strstr(r.end_text, e->says))
        fail_msg("%s: \"%s\" instead of \"%s\"", e->command, r.end_text, e->says);
    RUN_UNTIL(&r, r.answers[1] && r.answers[3]);
    assert_int_equal(r.status[1], TG_PLUGIN_EUNKNOWN);
    assert_int_equal(r.status[3], TG_PLUGIN_EUNKNOWN);
    assert_non_null(strstr(r.json[1], "is not known"));
    assert_string_equal(r.down_text, r.end_text);
    assert_int_equal(r.retry_ms, 200);
    RUN_UNTIL(&r, r.opens == 2);
    assert_string_equal(answer_to(&r, 4, "echo"), "{}");
    assert_int_equal(process_of(&r).restarts, 1);
    assert_string_equal(process_of(&r).last_end, r.end_text);
    assert_int_equal(r.answers[1], 1);
    end(&r);
    tg_loop_fini(&loop);
}

static void test_every_end_is_named_and_mended(void **state)
{
    for (size_t i = 0; i < sizeof endings / sizeof endings[0]; i++)
        end_once(*state, &endings[i]);
}

/* What had reached the socket when the process ended is delivered, however late there is room for it. */
static void test_samples_sent_before_the_end_are_kept(void **state)
{
    struct tg_loop loop;
    struct rig r;
    uint64_t waiting;
    assert_int_equal(tg_loop_init(&loop, NULL), 0);
    begin(&r, &loop, *state, NULL, NULL);
    r.room = 0;
    start(&r);
    ask(&r, 1, "flood", "1000");
    RUN_UNTIL(&r, r.answers[1] && r.refused);
    (void)answer_to(&r, 2, "echo");
    (void)answer_to(
        &r, 3,
        "echo"); /* a turn of the child's loop has sent what there was: a thousand fit into the socket */
    ask(&r, 4, "crash", "{}");
    RUN_UNTIL(&r, r.ends == 1);
    waiting = (uint64_t)r.opens;
    assert_int_equal(r.taken, 0);
    r.room = UINT64_MAX;
    tg_source_host_resume(r.host);
    assert_in_range(r.taken, 1, 1000);
    assert_int_equal(r.last, 1000 - r.taken + 1); /* in order, from the first on */
    RUN_UNTIL(&r, (uint64_t)r.opens == waiting + 1);
    end(&r);
    tg_loop_fini(&loop);
}

/* The largest gap of two other sources while one crashes; its first restart comes within a second of wait. */
static int64_t gap_beside_a_crash(void **state)
{
    static const char *const in_process[] = {"isolation", "in-process", NULL};
    struct tg_loop loop;
    struct rig r, other, third;
    assert_int_equal(tg_loop_init(&loop, NULL), 0);
    begin(&r, &loop, *state, "20ms", NULL);
    begin(&other, &loop, "trouble-loop", "500ms", in_process);
    begin(&third, &loop, "trouble", "500ms", NULL);
    start(&r);
    start(&other);
    start(&third);
    RUN_UNTIL(&r, r.taken && other.taken >= 2 && third.taken >= 2);
    ask(&r, 1, "crash", "{}");
    RUN_UNTIL(&r, r.ends == 1);
    int64_t retry_ms = r.retry_ms;
    RUN_UNTIL(&r, r.opens == 2);
    assert_in_range(retry_ms, 1, 1000);
    r.taken = 0;
    RUN_UNTIL(&r, r.taken && other.taken >= 5 && third.taken >= 5);
    int64_t gap_ms =
        other.largest_gap_ms > third.largest_gap_ms ? other.largest_gap_ms : third.largest_gap_ms;
    assert_int_equal(other.last, other.taken);
    assert_int_equal(third.last, third.taken);
    end(&r);
    end(&other);
    end(&third);
    tg_loop_fini(&loop);
    return gap_ms;
}

/* Beside a source whose process ends nobody else misses a period. A machine that is busy with other things may stall
 * everybody: then it is tried again. */
static void test_others_are_undisturbed(void **state)
{
    int64_t gap_ms = INT64_MAX;
    for (int tries = 0; tries < 4 && gap_ms > 2 * PERIOD_MS; tries++)
        gap_ms = gap_beside_a_crash(state);
    assert_true(gap_ms <= 2 * PERIOD_MS); /* a gap of one period, more than the period itself */
}

static void test_ends_again_and_again(void **state)
{
    struct tg_loop loop;
    struct rig r;
    assert_int_equal(tg_loop_init(&loop, NULL), 0);
    begin(&r, &loop, *state, NULL, NULL);
    start(&r);
    for (int i = 1; i <= 3; i++) {
        RUN_UNTIL(&r, r.opens == i);
        ask(&r, (uint64_t)i, "crash", "{}");
        RUN_UNTIL(&r, r.ends == i);
        if (i == 1)
            assert_int_equal(r.retry_ms, 200);
        else
            assert_in_range(r.retry_ms, 1000, 60000);
    }
    end(&r); /* while it waits for its next start */
    tg_loop_fini(&loop);
}

static void test_close_while_it_hangs(void **state)
{
    struct tg_loop loop;
    struct rig r;
    int64_t pid;
    assert_int_equal(tg_loop_init(&loop, NULL), 0);
    begin(&r, &loop, *state, NULL, NULL);
    start(&r);
    RUN_UNTIL(&r, r.opens == 1);
    pid = process_of(&r).pid;
    ask(&r, 1, "hang", "{}");
    end(&r); /* killed after five seconds */
    assert_int_equal(kill((pid_t)pid, 0), -1);
    assert_int_equal(errno, ESRCH);
    assert_int_equal(r.ends, 0); /* no callback after the close */
    tg_loop_fini(&loop);
}

static void test_close_at_once(void **state)
{
    struct tg_loop loop;
    struct rig r;
    assert_int_equal(tg_loop_init(&loop, NULL), 0);
    begin(&r, &loop, *state, "1ms", NULL);
    start(&r);
    end(&r); /* before the child is started */
    begin(&r, &loop, *state, "1ms", NULL);
    start(&r);
    uv_run(&loop.uv, UV_RUN_ONCE);
    end(&r); /* while it starts */
    tg_loop_fini(&loop);
}

static void test_without_the_program(void **state)
{
    struct tg_loop loop;
    struct rig r;
    assert_int_equal(tg_loop_init(&loop, NULL), 0);
    tg_process_use("/nowhere/tidegate-plugin-host");
    begin(&r, &loop, *state, NULL, NULL);
    start(&r);
    RUN_UNTIL(&r, r.ends == 1);
    assert_non_null(strstr(r.end_text, "/nowhere/tidegate-plugin-host cannot be started"));
    end(&r);
    tg_loop_fini(&loop);
}

/* --- main ----------------------------------------------------------------------------------------------------------- */

static int use_program(void **state)
{
    static char program[4096];
    (void)state;
    snprintf(program, sizeof program, "%s/" TG_PROCESS_PROGRAM, getenv("TIDEGATE_BUILD"));
    tg_process_use(program);
    return 0;
}

static int load_plugins(void **state)
{
    static char folder[4096];
    const char *dirs[] = {folder};
    snprintf(folder, sizeof folder, "%s/tests/fixtures", getenv("TIDEGATE_BUILD"));
    assert_int_equal(tg_plugin_set_new(dirs, 1, &plugins), 0);
    return use_program(state);
}

static int unload_plugins(void **state)
{
    (void)state;
    tg_plugin_set_free(plugins);
    return 0;
}

#define BOTH(test)                                                                                           \
    {#test " (own thread)", test, use_program, NULL, "trouble"},                                             \
    {                                                                                                        \
#test " (on the loop)", test, use_program, NULL, "trouble-loop"                                      \
    }

int main(void)
{
    const struct CMUnitTest tests[] = {BOTH(test_requests_and_samples),
                                       BOTH(test_services),
                                       BOTH(test_flood_into_a_full_store),
                                       BOTH(test_open_that_fails),
                                       BOTH(test_interval_changes),
                                       BOTH(test_every_end_is_named_and_mended),
                                       BOTH(test_samples_sent_before_the_end_are_kept),
                                       BOTH(test_others_are_undisturbed),
                                       BOTH(test_ends_again_and_again),
                                       BOTH(test_close_while_it_hangs),
                                       BOTH(test_close_at_once),
                                       BOTH(test_without_the_program)};
    return cmocka_run_group_tests(tests, load_plugins, unload_plugins);
}
