/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "core/gateway/gateway_private.h"

#include <errno.h>
#include <malloc.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include "core/base/allocator.h"
#include "core/base/assert.h"
#include "core/base/clock.h"
#include "core/base/log.h"
#include "core/base/plural.h"
#include "core/base/sample.h"
#include "core/net/stream.h"

#define STORE_CLOSE_MS 5000
#define STORE_GRACE_MS 1000 /* a transaction that began in time may take so much longer */
#define UNCOMMITTED_LIMIT_BYTES                                                                              \
    (4 * 1024 * 1024) /* at 100,000 samples/s of 200 B some 200 ms: longer than a slow commit */

static struct tg_gateway *checked(void *user)
{
    return TG_OBJECT(user, struct tg_gateway, TG_GATEWAY_MAGIC);
}

struct tg_router *tg_gateway_router(struct tg_gateway *g)
{
    return g->router;
}

/* --- stopping: each step begins when the one before has ended ------------------------------------------ */

static void on_deadline_closed(void *user)
{
    (void)user; /* the last handle: the loop has nothing left and returns */
}

static void close_the_rest(void *user)
{
    struct tg_gateway *g = checked(user);
    g->notes = NULL;
    if (g->router)
        tg_router_close(g->router, NULL, NULL); /* its last commands still tell the twins */
    g->router = NULL;
    if (g->twins)
        tg_twins_free(g->twins);
    g->twins = NULL;
    tg_deadline_close(&g->adopt, NULL);
    tg_gateway_site_close(g);
    tg_gateway_clock_close(g);
    tg_deadline_close(&g->deadline, on_deadline_closed);
    for (uint32_t i = 0; i < g->signal_count; i++)
        uv_close((uv_handle_t *)&g->signals[i], NULL);
    tg_loop_stop(&g->loop);
}

static void close_notes(void *user)
{
    struct tg_gateway *g = checked(user);
    g->store = NULL;
    if (g->notes)
        tg_notes_close(g->notes, STORE_CLOSE_MS, close_the_rest, g);
    else
        close_the_rest(g);
}

static void close_store(void *user)
{
    struct tg_gateway *g = checked(user);
    g->sessions = NULL;
    g->storing = true;
    tg_deadline_set(&g->deadline, tg_clock_mono_ms() + STORE_CLOSE_MS + STORE_GRACE_MS);
    if (g->store)
        tg_store_close(g->store, STORE_CLOSE_MS, close_notes, g);
    else
        close_notes(g);
}

static void close_sessions(struct tg_gateway *g)
{
    tg_network_close(&g->network);
    if (g->sessions)
        tg_session_set_close(g->sessions, close_store, g);
    else
        close_store(g);
}

static void count_busy(void *user, struct tg_session *session)
{
    struct tg_session_stats st;
    tg_session_stats(session, &st);
    if (st.state == TG_SESSION_ONLINE &&
        (st.in_flight > 0 || (st.pending > 0 && st.wait != TG_SESSION_WAITS_CLOCK)))
        ++*(uint32_t *)user;
}

/* A thread cannot be taken away from a plugin that has lost itself in it: the process ends, which takes all of them, and the store is
 * as safe as in a power cut. Otherwise systemd, or the person at the keyboard, would wait for ever. */
static void end_without_plugins(struct tg_gateway *g)
{
    uint32_t lost = 0;
    for (const struct tg_running_source *s = g->sources; s; s = s->next) {
        if (!s->host_closing)
            continue;
        tg_log(TG_LOG_ERROR, "gateway",
               "source=%s its plugin has not come back %d s after the end was asked for: the gateway ends "
               "without it, "
               "what was accepted is on disk",
               s->config->name, TG_SOURCES_END_MS / 1000);
        lost++;
    }
    if (lost > 0)
        _exit(1);
}

/* Nor can a thread that the kernel does not give back from a write or an fsync: SIGTERM is answered within a time all the
 * same [C12]. */
static void end_without_disk(struct tg_gateway *g)
{
    struct tg_store_stats st = {0};
    if (!g->storing)
        return;
    if (g->store)
        tg_store_stats(g->store, &st);
    tg_log(TG_LOG_ERROR, "outbox",
           "the disk has not answered for %d s: of %llu %s it is not known whether %s stored, "
           "what was "
           "accepted before is; the gateway ends without waiting any longer, as in a power cut, and the next "
           "start "
           "goes on with what is on the disk",
           (STORE_CLOSE_MS + STORE_GRACE_MS) / 1000, (unsigned long long)st.uncommitted_rows,
           tg_plural(st.uncommitted_rows, "sample", "samples"),
           tg_plural(st.uncommitted_rows, "it is", "they are"));
    _exit(1);
}

/* Sessions that are online get a little time to deliver what they have; then the sources, with their sessions, go. */
static void drain_or_close(void *user)
{
    struct tg_gateway *g = checked(user);
    uint32_t busy = 0;
    int64_t now = tg_clock_mono_ms();
    if (g->drained) {
        end_without_plugins(g);
        end_without_disk(g);
        return;
    }
    if (g->sessions)
        tg_session_set_each(g->sessions, count_busy, &busy);
    if (busy > 0 && now < g->drain_limit_ms) {
        int64_t next = now + 20;
        tg_deadline_set(&g->deadline, next < g->drain_limit_ms ? next : g->drain_limit_ms);
        return;
    }
    g->drained = true;
    tg_deadline_set(&g->deadline, now + TG_SOURCES_END_MS);
    tg_gateway_stop_sources(g, close_sessions);
}

static void stop(struct tg_gateway *g)
{
    if (g->stopping)
        return;
    g->stopping = true;
    if (g->health) {
        tg_health_stopping(g->health);
        tg_health_close(g->health);
    }
    if (g->control)
        tg_control_close(g->control);
    if (g->http)
        tg_http_close(g->http);
    g->health = NULL;
    g->control = NULL;
    g->http = NULL;
    if (g->store)
        tg_store_flush(g->store);
    g->drain_limit_ms = tg_clock_mono_ms() + TG_DRAIN_MS;
    tg_gateway_quiet_sources(g);
    drain_or_close(g);
}

/* --- callbacks of the parts --------------------------------------------------------------------------- */

static void on_committed(void *user, uint64_t committed_id)
{
    struct tg_gateway *g = checked(user);
    (void)committed_id;
    if (!g->first_accepted_ms)
        g->first_accepted_ms = tg_clock_mono_ms();
    for (struct tg_running_source *rs = g->sources; rs && !g->stopping; rs = rs->next)
        if (rs->host)
            tg_source_host_resume(rs->host);
}

static void on_store_state(void *user, enum tg_store_state state, const char *text)
{
    struct tg_gateway *g = checked(user);
    snprintf(g->store_text, sizeof g->store_text, "%s", text);
    tg_log(state == TG_STORE_OK ? TG_LOG_INFO : TG_LOG_ERROR, "outbox", "%s", text);
}

static void on_store_note(void *user, const char *text)
{
    (void)user;
    tg_log(TG_LOG_WARN, "outbox", "%s", text);
}

/* A command from a cloud: what its session needs to acknowledge it. */
struct cloud_command {
    struct tg_gateway *gateway;
    struct tg_session *session;
    uint64_t token;
    char device[TG_NAME_MAX_BYTES + 1];
};

static void find_session(void *user, struct tg_session *session)
{
    struct cloud_command *c = user;
    if (session == c->session)
        c->device[0] = '\0'; /* found */
}

static void on_command_done(void *user, const char *status, const char *json)
{
    struct cloud_command *c = user;
    struct tg_gateway *g = checked(c->gateway);
    if (g->sessions)
        tg_session_set_each(g->sessions, find_session, c); /* it may be gone by now */
    if (c->device[0] == '\0')
        tg_session_command_done(c->session, c->token, status, json);
    tg_free(c);
}

static bool on_command(void *user, struct tg_session *session, uint64_t token,
                       const struct tg_session_command *command)
{
    struct tg_gateway *g = checked(user);
    struct cloud_command *c = tg_calloc(1, sizeof *c);
    if (!c)
        return false;
    c->gateway = g;
    c->session = session;
    c->token = token;
    snprintf(c->device, sizeof c->device, "%s", command->device);
    tg_log(TG_LOG_INFO, "gateway", "device=%s cloud=%s command received (%zu bytes)", command->device,
           tg_session_cloud(session), command->command.body.len);
    tg_router_command_body(g->router, command->device, command->command.name, command->command.body,
                           on_command_done, c);
    return true;
}

static void on_desired(void *user, struct tg_session *session, const struct tg_cloud_desired *desired)
{
    struct tg_gateway *g = checked(user);
    tg_log(TG_LOG_INFO, "gateway", "device=%s cloud=%s desired properties received (%zu bytes, version %llu)",
           tg_session_device(session), tg_session_cloud(session), desired->json.len,
           (unsigned long long)desired->version);
    tg_twins_desired(g->twins, session, desired);
}

static struct tg_bytes on_reported(void *user, struct tg_session *session)
{
    return tg_twins_reported(checked(user)->twins, session);
}

static void on_session_state(void *user, struct tg_session *session, enum tg_session_state state)
{
    (void)session;
    (void)state;
    tg_network_stir(&checked(user)->network);
}

bool tg_gateway_store_moves(struct tg_gateway *g)
{
    struct tg_store_stats st;
    tg_store_stats(g->store, &st);
    return tg_store_pulse_beats(&g->pulse, &st, tg_clock_mono_ms());
}

static bool is_alive(void *user)
{
    return tg_gateway_store_moves(checked(user));
}

static void count_online(void *user, struct tg_session *session)
{
    struct tg_session_stats st;
    tg_session_stats(session, &st);
    if (st.state == TG_SESSION_ONLINE)
        ++*(uint32_t *)user;
}

static void status_line(void *user, char *text, size_t size)
{
    struct tg_gateway *g = checked(user);
    struct tg_store_stats st;
    uint32_t online = 0, sessions = tg_session_set_count(g->sessions);
    tg_store_stats(g->store, &st);
    tg_session_set_each(g->sessions, count_online, &online);
    snprintf(text, size, "%u of %u %s online, %llu %s in the outbox", online, sessions,
             tg_plural(sessions, "session", "sessions"), (unsigned long long)st.outbox.rows,
             tg_plural(st.outbox.rows, "sample", "samples"));
}

static void on_signal(uv_signal_t *handle, int number)
{
    struct tg_gateway *g = checked(handle->data);
    if (g->stopping) { /* handled all the same: by default it would end the process in the middle of its good-bye */
        if (number != SIGHUP && g->drain_limit_ms > 0) {
            tg_log(TG_LOG_INFO, "gateway", "signal %d again: not waiting any longer for acknowledgements",
                   number);
            g->drain_limit_ms = 0;
            if (!g->drained)
                tg_deadline_set(&g->deadline, tg_clock_mono_ms());
        }
        return;
    }
    if (number == SIGHUP) {
        tg_health_reloading(g->health);
        tg_gateway_reload(g);
        tg_health_ready(g->health);
        return;
    }
    tg_log(TG_LOG_INFO, "gateway", "stopping on signal %d; what is not delivered stays in the outbox",
           number);
    stop(g);
}

/* --- starting ------------------------------------------------------------------------------------------ */

/* A thousand sessions need more than the usual 1024 descriptors; libmodbus needs low ones (stream.h). No core files: they
 * would hold keys. */
static void set_limits(void)
{
    struct rlimit files, none = {0, 0};
    /* Samples are born on plugin threads and freed on the loop: few arenas, and what a burst took goes back. */
    mallopt(M_ARENA_MAX, 2);
    mallopt(M_TRIM_THRESHOLD, 256 * 1024);
    mallopt(M_MMAP_THRESHOLD, 256 * 1024);
    if (getrlimit(RLIMIT_NOFILE, &files) == 0 && files.rlim_cur < files.rlim_max) {
        files.rlim_cur = files.rlim_max < 65536 ? files.rlim_max : 65536;
        (void)setrlimit(RLIMIT_NOFILE, &files); /* with fewer, connects fail with a text of their own */
    }
    if (setrlimit(RLIMIT_CORE, &none) < 0 || prctl(PR_SET_DUMPABLE, 0) < 0)
        tg_log(TG_LOG_WARN, "gateway",
               "core dumps could not be switched off; a crash may write keys to the disk");
}

/* A wrong path is for a person to mend; a disk or a folder that cannot be used is the store's to wait for. */
static int look_at_state_dir(const char *dir, struct tg_error *err)
{
    struct stat st;
    if (stat(dir, &st) < 0)
        return errno != ENOENT && errno != ENOTDIR
                   ? TG_OK
                   : tg_error_set(err, tg_code_from_errno(errno),
                                  "state_dir %s: %s; create it for the user that runs the gateway, mode 0700",
                                  dir, strerror(errno));
    if (!S_ISDIR(st.st_mode))
        return tg_error_set(err, TG_EINVAL, "state_dir %s is not a folder", dir);
    return TG_OK;
}

static int start_store(struct tg_gateway *g, const struct tg_config *config, struct tg_error *err)
{
    static const struct tg_store_callbacks callbacks = {on_committed, on_store_state, on_store_note};
    const struct tg_settings *o = config->outbox;
    struct tg_store_options so = {
        .outbox = {.dir = tg_settings_text(config->gateway, "state_dir"),
                   .durability = (enum tg_durability)tg_settings_int(o, "durability"),
                   .when_full = (enum tg_when_full)tg_settings_int(o, "when_full"),
                   .limit_bytes = tg_settings_int(o, "limit"),
                   .max_age_ms = tg_settings_int(o, "max_age")},
        .commit_interval_ms = (uint32_t)tg_settings_int(o, "commit_interval"),
        .lazy_window_ms = (uint32_t)tg_settings_int(o, "lazy_window"),
        .keep_removed_ms = tg_settings_int(o, "keep_removed"),
        .uncommitted_limit_bytes = UNCOMMITTED_LIMIT_BYTES};
    char aside[256] = "";
    int rc = look_at_state_dir(so.outbox.dir, err);
    if (rc < 0)
        return rc;
    rc = tg_store_open(&g->loop, &so, &callbacks, g, &g->store, aside, err);
    if (rc < 0)
        return tg_error_wrap(err, "outbox in %s", so.outbox.dir);
    if (aside[0])
        tg_log(
            TG_LOG_ERROR, "outbox",
            "the store was damaged (%s) and was set aside as %s/%s: what was in it and not delivered is kept "
            "there but not sent; an empty one was begun, delivery goes on with new samples",
            err->text, so.outbox.dir, aside);
    else if (err->code == TG_ENOTFOUND)
        tg_log(TG_LOG_ERROR, "outbox", "%s; an empty store was begun, delivery goes on with new samples",
               err->text);
    *err = (struct tg_error){0};
    return TG_OK;
}

static int start_signals(struct tg_gateway *g)
{
    static const int numbers[] = {SIGTERM, SIGINT, SIGHUP};
    for (size_t i = 0; i < sizeof numbers / sizeof numbers[0]; i++) {
        if (uv_signal_init(&g->loop.uv, &g->signals[i]) < 0)
            return TG_EIO;
        g->signals[i].data = g;
        g->signal_count++;
    }
    for (size_t i = 0; i < sizeof numbers / sizeof numbers[0]; i++)
        if (uv_signal_start(&g->signals[i], on_signal, numbers[i]) < 0)
            return TG_EIO;
    return TG_OK;
}

static int start(struct tg_gateway *g, struct tg_error *err)
{
    static const struct tg_session_callbacks callbacks = {.on_command = on_command,
                                                          .on_state = on_session_state,
                                                          .on_desired = on_desired,
                                                          .reported = on_reported};
    const struct tg_config *config = g->model->config;
    const char *state_dir = tg_settings_text(config->gateway, "state_dir");
    int rc = start_store(g, config, err);
    if (rc == TG_OK)
        rc = tg_notes_open(&g->loop, state_dir, &g->notes, err);
    if (rc == TG_OK)
        rc = tg_gateway_recall_discovered(g, err);
    config = g->model->config;
    state_dir = tg_settings_text(config->gateway, "state_dir");
    if (rc == TG_OK && tg_router_new(&g->loop, g->store, &g->router) < 0)
        rc = tg_error_set(err, TG_ENOMEM, "out of memory");
    if (rc == TG_OK)
        rc = tg_session_set_new(&g->loop, g->store, tg_settings_text(config->gateway, "name"), &callbacks, g,
                                &g->sessions, err);
    if (rc == TG_OK) {
        tg_gateway_lend_carrier(g);
        tg_network_open(&g->network, &g->loop, g->sessions);
    }
    if (rc == TG_OK &&
        tg_twins_new(g->router, g->notes, tg_settings_text(config->gateway, "name"), &g->twins) < 0)
        rc = tg_error_set(err, TG_ENOMEM, "out of memory");
    if (rc == TG_OK && tg_session_set_keep(g->sessions, g->notes, state_dir) < 0)
        rc = tg_error_set(err, TG_ENOMEM, "out of memory");
    if (rc == TG_OK)
        rc = tg_control_new(&g->loop, g, tg_settings_text(config->gateway, "control_socket"), &g->control,
                            err);
    if (rc == TG_OK && start_signals(g) < 0)
        rc = tg_error_set(err, TG_EIO, "signals cannot be handled");
    if (rc == TG_OK && tg_health_new(&g->loop, is_alive, status_line, g, &g->health) < 0)
        rc = tg_error_set(err, TG_ENOMEM, "out of memory");
    if (rc == TG_OK)
        tg_gateway_clock_start(g);
    if (rc == TG_OK)
        rc = tg_gateway_build(g, g->model, err);
    if (rc == TG_OK)
        rc = tg_gateway_retire(g, err);
    if (rc == TG_OK)
        rc = tg_gateway_open_http(g, err);
    return rc;
}

static void say_running(const struct tg_gateway *g)
{
    uint32_t devices = tg_router_device_count(g->router), sources = g->model->config->source_count,
             sessions = tg_session_set_count(g->sessions);
    tg_log(TG_LOG_INFO, "gateway", "running: %u %s in %u %s, %u %s", devices,
           tg_plural(devices, "device", "devices"), sources, tg_plural(sources, "source", "sources"),
           sessions, tg_plural(sessions, "session", "sessions"));
}

int tg_gateway_run(struct tg_config *config, tg_gateway_reload_fn reload, void *user, struct tg_error *err)
{
    struct tg_gateway *g = tg_calloc(1, sizeof *g);
    struct tg_config_ref *model = tg_calloc(1, sizeof *model);
    int rc;
    if (!g || !model) {
        tg_free(g);
        tg_free(model);
        tg_config_free(config);
        return tg_error_set(err, TG_ENOMEM, "out of memory");
    }
    set_limits();
    g->magic = TG_GATEWAY_MAGIC;
    g->reload = reload;
    g->reload_user = user;
    g->model = model;
    model->config = config;
    model->users = 1;
    g->started_ms = g->pulse.moved_ms = tg_clock_mono_ms();
    tg_store_global_init();
    rc = tg_tls_global_init(err);
    if (rc == TG_OK)
        rc = tg_loop_init(&g->loop, err);
    if (rc == TG_OK) {
        tg_deadline_init(&g->deadline, &g->loop, drain_or_close, g);
        tg_gateway_discover_init(g);
        tg_gateway_site_init(g);
        tg_gateway_clock_init(g);
        rc = start(g, err);
        if (rc == TG_OK) {
            say_running(g);
            tg_health_ready(g->health);
        } else {
            stop(g);
        }
        tg_loop_run(&g->loop);
        tg_loop_fini(&g->loop);
    }
    tg_tls_global_fini();
    tg_config_free(g->model->config);
    tg_free(g->model);
    TG_OBJECT_POISON(g);
    tg_free(g);
    return rc;
}
