/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "southbound/plugin_process_private.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <unistd.h>

#include "core/base/allocator.h"
#include "core/base/assert.h"
#include "core/base/clock.h"
#include "core/base/log.h"
#include "core/base/random.h"
#include "southbound/plugin_confine.h"

#define FIRST_RESTART_MS 200
#define CALM_MS          60000 /* up for so long, and its next end counts as its first */
#define CLOSE_MS         5000  /* a plugin that is told to stop comes back within about a second */
#define DEAD_MS          10000 /* a killed process that does not go is stuck in the kernel; said once */
#define TICK_MAX_MS      500
#define TICK_MIN_MS      50

static const char *program;

void tg_process_use(const char *path)
{
    program = path;
}

static struct tg_process *checked(void *user)
{
    return TG_OBJECT(user, struct tg_process, TG_PROCESS_MAGIC);
}

bool tg_process_wanted(const struct tg_config_source *config)
{
    return config->common && tg_settings_has(config->common, "isolation") &&
           strcmp(tg_settings_text(config->common, "isolation"), "process") == 0;
}

static const char *name_of(const struct tg_process *p)
{
    return p->source->config->name;
}

/* --- channels ----------------------------------------------------------------------------------------- */

static void free_channel(uv_handle_t *handle)
{
    struct tg_process_channel *c = handle->data;
    tg_buffer_fini(&c->in);
    tg_free(c);
}

void tg_process_on_ready(uv_poll_t *uv, int status, int events)
{
    struct tg_process_channel *c = uv->data;
    if (c->process)
        c->ready(c, status < 0 ? UV_READABLE : events); /* reading tells what is wrong */
}

static void close_channel(struct tg_process_channel **slot)
{
    struct tg_process_channel *c = *slot;
    if (!c)
        return;
    *slot = NULL;
    c->process = NULL;
    uv_poll_stop(&c->uv);
    close(c->fd);
    uv_close((uv_handle_t *)&c->uv, free_channel);
}

/* Takes over `fd`, also when it fails. */
static struct tg_process_channel *open_channel(struct tg_process *p, int fd,
                                               void (*ready)(struct tg_process_channel *c, int events))
{
    struct tg_process_channel *c = tg_calloc(1, sizeof *c);
    if (!c || uv_poll_init(&p->source->handle.loop->uv, &c->uv, fd) < 0) {
        tg_free(c);
        close(fd);
        return NULL;
    }
    c->uv.data = c;
    c->process = p;
    c->fd = fd;
    c->ready = ready;
    c->in = tg_buffer_init(TG_WIRE_HEAD_BYTES + TG_WIRE_FRAME_MAX_BYTES + TG_LOOP_WIRE_BYTES);
    return c;
}

/* --- time ------------------------------------------------------------------------------------------------ */

static int64_t tick_interval_ms(const struct tg_process *p)
{
    int64_t ms = p->hang_timeout_ms / 4;
    return ms > TICK_MAX_MS ? TICK_MAX_MS : ms < TICK_MIN_MS ? TICK_MIN_MS : ms;
}

static void set_deadline(struct tg_process *p)
{
    int64_t now = tg_loop_now_ms(p->source->handle.loop),
            at = p->state == TG_PROCESS_WAITING ? p->restart_ms : INT64_MAX;
    if (p->state == TG_PROCESS_RUNNING) {
        at = now + tick_interval_ms(p);
        at = p->kill_ms < at ? p->kill_ms : at;
    }
    tg_deadline_set(&p->source->deadline, at);
}

/* --- the end of a child ------------------------------------------------------------------------------------ */

static void describe_end(struct tg_process *p, int64_t status, int signal_number, char *text, size_t size)
{
    const char *name = signal_number ? sigabbrev_np(signal_number) : NULL;
    if (p->why[0])
        snprintf(text, size, "%s", p->why);
    else if (p->said[0])
        snprintf(text, size, "%s", p->said);
    else if (name && (signal_number == SIGKILL || signal_number == SIGTERM))
        snprintf(text, size, "the plugin's process was killed by somebody else (SIG%s)", name);
    else if (name)
        snprintf(text, size, "the plugin's process crashed (SIG%s)", name);
    else if (signal_number)
        snprintf(text, size, "the plugin's process crashed (signal %d)", signal_number);
    else
        snprintf(text, size, "the plugin's process exited by itself with code %lld", (long long)status);
}

static void finish_stop(struct tg_process *p);

static int64_t restart_wait_ms(struct tg_process *p, int64_t now)
{
    struct tg_backoff b = {.floor_ms = 1000, .base_ms = 1000, .cap_ms = 60000};
    if (p->opened_ms != INT64_MAX && now - p->opened_ms >= CALM_MS)
        p->crashes = 0;
    b.attempt = p->crashes;
    return p->crashes++ == 0 ? FIRST_RESTART_MS : tg_backoff_next(&b, tg_random_u32());
}

static void tell_down(struct tg_process *p, const char *why)
{
    struct tg_host_source *s = p->source;
    for (uint32_t d = 0; d < s->model.device_count && !atomic_load(&s->stopping); d++) {
        p->downed[d] = true;
        s->handle.cb->on_state(s->handle.user, d, TG_DEVICE_DOWN, why);
    }
}

/* The samples that it had sent are taken: the next one may come. */
static void finish_draining(struct tg_process *p)
{
    close_channel(&p->samples);
    p->state = TG_PROCESS_WAITING;
    set_deadline(p);
}

static void free_uv_process(uv_handle_t *handle)
{
    tg_free(handle);
}

static void on_exit_status(uv_process_t *uv, int64_t status, int signal_number)
{
    struct tg_process *p = checked(uv->data);
    struct tg_host_source *s = p->source;
    int64_t now = tg_clock_mono_ms(), wait = 0;
    bool again = status == TG_PROCESS_EXIT_AGAIN && !signal_number && !p->why[0];
    kill((pid_t)-p->pid, SIGKILL); /* what it has started and left behind */
    uv_close((uv_handle_t *)uv, free_uv_process);
    p->uv = NULL;
    p->pid = 0;
    p->resident_bytes = 0;
    p->kill_ms = INT64_MAX;
    if (p->stopping) {
        finish_stop(p);
        return;
    }
    tg_process_read_control(p, true);
    close_channel(&p->control);
    tg_buffer_fini(&p->out);
    p->rejected_before += p->rejected_now;
    p->rejected_now = 0;
    s->open = false;
    atomic_store(&s->open_seen, false);
    describe_end(p, status, signal_number, p->last_end, sizeof p->last_end);
    if (again)
        snprintf(p->last_end, sizeof p->last_end, "a port or file that its options name is there anew");
    else
        p->restarts++;
    wait = again ? FIRST_RESTART_MS : restart_wait_ms(p, now);
    p->restart_ms = now + wait;
    p->state = TG_PROCESS_DRAINING;
    s->handle.cb->on_open(s->handle.user, false, p->last_end, wait);
    tell_down(p, p->last_end);
    tg_process_fail_requests(p, p->last_end);
    if (tg_process_read_samples(p, true))
        finish_draining(p);
}

void tg_process_kill(struct tg_process *p, const char *fmt, ...)
{
    va_list ap;
    if (p->why[0] || p->state != TG_PROCESS_RUNNING)
        return;
    va_start(ap, fmt);
    vsnprintf(p->why, sizeof p->why, fmt, ap);
    va_end(ap);
    if (p->uv)
        kill((pid_t)-p->pid, SIGKILL);
    if (p->uv)
        uv_process_kill(p->uv, SIGKILL);
    p->kill_ms = tg_clock_mono_ms() + DEAD_MS;
}

/* --- the beginning of a child --------------------------------------------------------------------------------- */

#define ENVIRONMENT_MAX 16

/* What a C library and sanitizers look at; the rest of the environment may hold secrets. */
static void make_environment(char *ret[ENVIRONMENT_MAX])
{
    static const char *const names[] = {"PATH", "LANG",          "LC_ALL",          "LC_CTYPE",
                                        "TZ",   "TZDIR",         "LD_LIBRARY_PATH", "ASAN_OPTIONS",
                                        "HOME", "UBSAN_OPTIONS", "TSAN_OPTIONS",    "LSAN_OPTIONS"};
    size_t n = 0;
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
        const char *value = getenv(names[i]);
        size_t size = value ? strlen(names[i]) + strlen(value) + 2 : 0;
        ret[n] = value ? tg_malloc(size) : NULL;
        if (ret[n])
            snprintf(ret[n++], size, "%s=%s", names[i], value);
    }
    ret[n] = NULL;
}

static int spawn_into(struct tg_process *p, int control, int samples)
{
    char parent[24], *args[] = {(char *)TG_PROCESS_PROGRAM, (char *)name_of(p), parent, NULL},
                     *env[ENVIRONMENT_MAX];
    uv_stdio_container_t stdio[] = {{.flags = UV_IGNORE},
                                    {.flags = UV_IGNORE},
                                    {.flags = UV_INHERIT_FD, .data.fd = STDERR_FILENO},
                                    {.flags = UV_INHERIT_FD, .data.fd = control},
                                    {.flags = UV_INHERIT_FD, .data.fd = samples}};
    uv_process_options_t o = {.exit_cb = on_exit_status,
                              .file = program,
                              .args = args,
                              .env = env,
                              .stdio = stdio,
                              .stdio_count = sizeof stdio / sizeof stdio[0],
                              .flags =
                                  UV_PROCESS_DETACHED}; /* a session of its own: Ctrl-C is the gateway's */
    int rc;
    p->uv = tg_calloc(1, sizeof *p->uv);
    if (!p->uv)
        return UV_ENOMEM;
    p->uv->data = p;
    snprintf(parent, sizeof parent, "%lld", (long long)getpid());
    make_environment(env);
    rc = uv_spawn(&p->source->handle.loop->uv, p->uv, &o);
    for (size_t i = 0; env[i]; i++)
        tg_free(env[i]);
    if (rc < 0) {
        uv_close((uv_handle_t *)p->uv, free_uv_process);
        p->uv = NULL;
        return rc;
    }
    p->pid = p->uv->pid;
    return 0;
}

/* 0 or a libuv error; then there is neither child nor channel. */
static int spawn(struct tg_process *p)
{
    int control[2] = {-1, -1}, samples[2] = {-1, -1}, rc;
    const int type = SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK;
    if (!program)
        return UV_ENOENT;
    if (socketpair(AF_UNIX, type, 0, control) < 0 || socketpair(AF_UNIX, type, 0, samples) < 0) {
        rc = -errno;
        if (control[0] >= 0) {
            close(control[0]);
            close(control[1]);
        }
        return rc;
    }
    p->control = open_channel(p, control[0], tg_process_control_ready);
    p->samples = open_channel(p, samples[0], tg_process_samples_ready);
    rc = p->control && p->samples ? spawn_into(p, control[1], samples[1]) : UV_ENOMEM;
    close(control[1]);
    close(samples[1]);
    if (rc < 0) {
        close_channel(&p->control);
        close_channel(&p->samples);
    }
    return rc;
}

static void start_child(struct tg_process *p)
{
    struct tg_host_source *s = p->source;
    int64_t now = tg_clock_mono_ms();
    int rc = spawn(p);
    if (rc < 0) {
        int64_t wait = restart_wait_ms(p, now);
        snprintf(p->last_end, sizeof p->last_end, "%s cannot be started: %s",
                 program ? program : TG_PROCESS_PROGRAM, uv_strerror(rc));
        p->restart_ms = now + wait;
        set_deadline(p);
        s->handle.cb->on_open(s->handle.user, false, p->last_end, wait);
        return;
    }
    p->state = TG_PROCESS_RUNNING;
    p->model = (struct tg_process_model_at){.step = TG_MODEL_SOURCE};
    p->why[0] = p->said[0] = '\0';
    p->distrusted = false;
    p->silent_ms = 0;
    p->opened_ms = INT64_MAX;
    p->tick_ms = now;
    p->out = tg_buffer_init(2 * TG_WIRE_FRAME_MAX_BYTES);
    tg_process_watch(p->samples, UV_READABLE);
    tg_process_pump(p);
    set_deadline(p);
}

/* --- supervision ------------------------------------------------------------------------------------------------ */

/* Resident bytes of the process; 0 when that is not to be seen. */
static int64_t resident_bytes(int64_t pid)
{
    char path[40], text[128];
    long long pages = 0, resident = 0;
    ssize_t n;
    int fd;
    snprintf(path, sizeof path, "/proc/%lld/statm", (long long)pid);
    fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0)
        return 0;
    n = read(fd, text, sizeof text - 1);
    close(fd);
    if (n <= 0)
        return 0;
    text[n] = '\0';
    return sscanf(text, "%lld %lld", &pages, &resident) == 2 ? resident * sysconf(_SC_PAGESIZE) : 0;
}

static void look_after(struct tg_process *p)
{
    int64_t now = tg_clock_mono_ms(), passed = now - p->tick_ms, most = 2 * tick_interval_ms(p);
    p->tick_ms = now;
    tg_process_read_control(p, false); /* what it has said counts, also when this program was late */
    if (p->state != TG_PROCESS_RUNNING)
        return;
    /* A machine that slept, or a loop that was held up, is no fault of the child's. */
    p->silent_ms += passed > most ? most : passed;
    p->resident_bytes = resident_bytes(p->pid);
    if (p->silent_ms >= p->hang_timeout_ms)
        tg_process_kill(p,
                        "the plugin hung: no function of it has come back for %.1f s (hang_timeout); its "
                        "process was killed",
                        (double)p->silent_ms / 1000.0);
    else if (p->resident_bytes > p->memory_limit_bytes)
        tg_process_kill(
            p, "the plugin's process took %.0f MiB, more than its memory_limit of %.0f MiB; it was killed",
            (double)p->resident_bytes / 1048576.0, (double)p->memory_limit_bytes / 1048576.0);
}

static void on_deadline(void *user)
{
    struct tg_process *p = checked(((struct tg_host_source *)user)->process);
    int64_t now = tg_clock_mono_ms();
    if (p->state == TG_PROCESS_RUNNING && now >= p->kill_ms) {
        if (p->stopping && !p->why[0])
            tg_process_kill(p, "the plugin did not close in %d s; its process was killed", CLOSE_MS / 1000);
        else
            tg_log(TG_LOG_ERROR, "source",
                   "source=%s its process %lld was killed and does not go: the kernel holds it, in a driver "
                   "most likely",
                   name_of(p), (long long)p->pid);
        p->kill_ms = p->stopping ? now + DEAD_MS : INT64_MAX;
    } else if (p->state == TG_PROCESS_RUNNING && !p->stopping) {
        look_after(p);
    } else if (p->state == TG_PROCESS_WAITING && now >= p->restart_ms && !p->stopping) {
        start_child(p);
        return;
    }
    set_deadline(p);
}

/* --- the host's side ------------------------------------------------------------------------------------------------ */

static void on_turn(void *user)
{
    struct tg_process *p = checked(((struct tg_host_source *)user)->process);
    if (atomic_load(&p->source->stopping))
        return;
    if (p->state == TG_PROCESS_RUNNING)
        tg_process_pump(p);
    else
        tg_process_refuse_requests(p);
}

void tg_process_resume(struct tg_host_source *s)
{
    struct tg_process *p = checked(s->process);
    if (!p->samples || atomic_load(&s->stopping))
        return;
    if (!tg_process_read_samples(p, p->state == TG_PROCESS_DRAINING) || p->stopping)
        return;
    if (p->state == TG_PROCESS_DRAINING)
        finish_draining(p);
    else if (p->samples && !p->samples->ended)
        tg_process_watch(p->samples, UV_READABLE);
}

void tg_process_stats(const struct tg_process *p, struct tg_process_stats *ret)
{
    *ret = (struct tg_process_stats){.isolated = true,
                                     .pid = p->pid,
                                     .restarts = p->restarts,
                                     .resident_bytes = p->resident_bytes,
                                     .confined = p->confined,
                                     .landlock_abi = p->landlock_abi,
                                     .last_end = p->last_end};
}

int tg_process_start(struct tg_host_source *s, struct tg_error *err)
{
    struct tg_process *p = tg_calloc(1, sizeof *p);
    bool *downed = tg_calloc(s->model.device_count ? s->model.device_count : 1, sizeof *downed);
    const struct tg_settings *common = s->config->common;
    int rc = p && downed ? tg_wakeup_init(&s->turn, s->handle.loop, on_turn, s) : TG_ENOMEM;
    if (rc < 0) {
        tg_free(p);
        tg_free(downed);
        tg_source_host_ended(s);
        return tg_error_set(err, rc, "source %s: cannot prepare its process: %s", s->config->name,
                            tg_code_text(rc));
    }
    /* The child has this program's user: it must not be able to look into its memory, where the keys are. */
    prctl(PR_SET_DUMPABLE, 0, 0, 0, 0);
    *p = (struct tg_process){.magic = TG_PROCESS_MAGIC,
                             .source = s,
                             .downed = downed,
                             .hang_timeout_ms = tg_settings_int(common, "hang_timeout"),
                             .memory_limit_bytes = tg_settings_int(common, "memory_limit"),
                             .kill_ms = INT64_MAX,
                             .opened_ms = INT64_MAX,
                             .restart_ms = 0};
    s->process = p;
    tg_deadline_init(&s->deadline, s->handle.loop, on_deadline, s);
    tg_deadline_set(&s->deadline, 0);
    return TG_OK;
}

static void on_turn_closed(uv_handle_t *handle)
{
    tg_source_host_ended(((struct tg_wakeup *)handle->data)->user);
}

static void on_deadline_closed(void *user)
{
    struct tg_host_source *s = TG_OBJECT(user, struct tg_host_source, TG_HOST_SOURCE_MAGIC);
    struct tg_process *p = s->process;
    for (struct tg_mail *m = p->held, *next; m; m = next) {
        next = m->next;
        tg_down_free((struct tg_down_mail *)m);
    }
    tg_buffer_fini(&p->out);
    tg_free(p->downed);
    TG_OBJECT_POISON(p);
    tg_free(p);
    s->process = NULL;
    s->turn.async.data = &s->turn;
    uv_close((uv_handle_t *)&s->turn.async, on_turn_closed);
}

static void finish_stop(struct tg_process *p)
{
    close_channel(&p->control);
    close_channel(&p->samples);
    tg_deadline_close(&p->source->deadline, on_deadline_closed);
}

void tg_process_stop(struct tg_host_source *s)
{
    struct tg_process *p = checked(s->process);
    p->stopping = true;
    if (p->state != TG_PROCESS_RUNNING) {
        finish_stop(p);
        return;
    }
    /* The end of the stream tells the child to close; what it still sends belongs to nobody. */
    shutdown(p->control->fd, SHUT_WR);
    close_channel(&p->samples);
    tg_process_watch(p->control, 0);
    if (!p->why[0])
        p->kill_ms = tg_clock_mono_ms() + CLOSE_MS;
    set_deadline(p);
}
