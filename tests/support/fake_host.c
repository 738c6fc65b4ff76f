/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "support/fake_host_private.h"

#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "core/base/settings.h"

struct tg_host_source { /* what the plugin gets: a way back */
    struct fake_host *owner;
};

_Noreturn void fake_give_up(const char *what, const char *detail)
{
    fprintf(stderr, "fake_host: %s: %s\n", what, detail);
    exit(1);
}

/* --- services ----------------------------------------------------------------------------------- */

static struct fake_host *owner(struct tg_host_source *s)
{
    return s->owner;
}

static struct fake_event *append(struct fake_host *h, enum fake_kind kind)
{
    if (h->count == h->cap) {
        h->cap = h->cap ? 2 * h->cap : 256;
        h->events = realloc(h->events, h->cap * sizeof *h->events);
        if (!h->events)
            fake_give_up("record", "out of memory");
    }
    struct fake_event *e = &h->events[h->count++];
    memset(e, 0, sizeof *e);
    e->kind = kind;
    return e;
}

static int host_emit(struct tg_host_source *s, uint32_t device, int64_t time_ms,
                     const struct tg_point_value *values, uint32_t count)
{
    struct fake_host *h = owner(s);
    (void)time_ms;
    if (count == 0 || count > 512 || device >= h->source.device_count)
        fake_give_up("emit", "a sample has 1 to 512 values of a known device");
    pthread_mutex_lock(&h->lock);
    h->values += count;
    h->samples++;
    for (uint32_t i = 0; i < count && !h->counting_only; i++) {
        struct fake_event *e = append(h, FAKE_VALUE);
        e->device = device;
        e->point = values[i].point;
        e->quality = values[i].quality;
        e->sample = h->samples;
        e->value = values[i].value;
        if (e->value.type == TG_VALUE_TEXT)
            snprintf(e->text, sizeof e->text, "%.*s", (int)e->value.text_len, e->value.as.text);
    }
    pthread_cond_broadcast(&h->changed);
    pthread_mutex_unlock(&h->lock);
    return 0;
}

static void host_state(struct tg_host_source *s, uint32_t device, uint32_t state, const char *text)
{
    struct fake_host *h = owner(s);
    pthread_mutex_lock(&h->lock);
    struct fake_event *e = append(h, FAKE_STATE);
    e->device = device;
    e->state = state;
    snprintf(e->text, sizeof e->text, "%s", text ? text : "");
    pthread_cond_broadcast(&h->changed);
    pthread_mutex_unlock(&h->lock);
}

static void host_log(struct tg_host_source *s, uint32_t level, const char *fmt, ...)
    __attribute__((format(printf, 3, 4)));
static void host_log(struct tg_host_source *s, uint32_t level, const char *fmt, ...)
{
    struct fake_host *h = owner(s);
    va_list ap;
    pthread_mutex_lock(&h->lock);
    struct fake_event *e = append(h, FAKE_LOG);
    e->state = level;
    va_start(ap, fmt);
    vsnprintf(e->text, sizeof e->text, fmt, ap);
    va_end(ap);
    pthread_cond_broadcast(&h->changed);
    pthread_mutex_unlock(&h->lock);
}

static void host_answer(struct tg_host_source *s, uint64_t request, int status, const char *json)
{
    struct fake_host *h = owner(s);
    pthread_mutex_lock(&h->lock);
    struct fake_event *e = append(h, FAKE_ANSWER);
    e->request = request;
    e->status = status;
    snprintf(e->text, sizeof e->text, "%s", json ? json : "");
    pthread_cond_broadcast(&h->changed);
    pthread_mutex_unlock(&h->lock);
}

/* One watch: more than the plugins under test ask for. */
static int host_watch(struct tg_host_source *s, int fd, uint32_t events)
{
    struct fake_host *h = owner(s);
    if (h->host.thread_model != TG_THREAD_LOOP)
        return TG_PLUGIN_EUNSUPPORTED;
    if (events && h->watched >= 0 && h->watched != fd)
        fake_give_up("watch_fd", "a second descriptor");
    if (h->watched >= 0 || events)
        h->watched = events ? fd : h->watched == fd ? -1 : h->watched;
    h->watch_events = h->watched >= 0 ? events : 0;
    return TG_PLUGIN_OK;
}

static int64_t clock_ms(clockid_t id)
{
    struct timespec t;
    clock_gettime(id, &t);
    return (int64_t)t.tv_sec * 1000 + t.tv_nsec / 1000000;
}

static int64_t host_now(struct tg_host_source *s)
{
    return clock_ms(CLOCK_BOOTTIME) + owner(s)->clock_jump_ms;
}

static int64_t host_wall(struct tg_host_source *s)
{
    (void)s;
    return clock_ms(CLOCK_REALTIME);
}

static bool host_stopping(struct tg_host_source *s)
{
    struct fake_host *h = owner(s);
    pthread_mutex_lock(&h->lock);
    bool stopping = h->stopping;
    pthread_mutex_unlock(&h->lock);
    return stopping;
}

/* --- set-up ---------------------------------------------------------------------------------------- */

struct fake_host *fake_host_new(const char *plugin)
{
    struct fake_host *h = calloc(1, sizeof *h);
    struct tg_host_source *way_back = calloc(1, sizeof *way_back);
    char path[4096];
    const char *build = getenv("TIDEGATE_BUILD");
    snprintf(path, sizeof path, "%s/plugins/%s.so", build ? build : ".", plugin);
    if (!h || !way_back)
        fake_give_up("new", "out of memory");
    h->library = dlopen(path, RTLD_NOW | RTLD_LOCAL);
    if (!h->library)
        fake_give_up("dlopen", dlerror());
    const struct tg_plugin *(*entry)(void);
    *(void **)&entry = dlsym(h->library, TG_PLUGIN_SYMBOL);
    if (!entry)
        fake_give_up("dlsym", dlerror());
    h->plugin = entry();
    way_back->owner = h;
    h->host = (struct tg_host){.struct_size = sizeof h->host,
                               .api_version = TG_PLUGIN_API_VERSION,
                               .source = way_back,
                               .emit = host_emit,
                               .device_state = host_state,
                               .log = host_log,
                               .answer = host_answer,
                               .watch_fd = host_watch,
                               .now_ms = host_now,
                               .wall_ms = host_wall,
                               .stopping = host_stopping,
                               .has = tg_settings_has,
                               .get_int = tg_settings_int,
                               .get_real = tg_settings_real,
                               .get_text = tg_settings_text,
                               .get_list = tg_settings_list};
    h->source.name = "source";
    h->source.settings = tg_settings_new(h->plugin->source_options);
    h->source.devices = h->devices;
    h->watched = -1;
    if (pipe2(h->wake, O_CLOEXEC | O_NONBLOCK) < 0)
        fake_give_up("pipe", strerror(errno));
    pthread_mutex_init(&h->lock, NULL);
    pthread_cond_init(&h->changed, NULL);
    return h;
}

const struct tg_plugin *fake_plugin(const struct fake_host *h)
{
    return h->plugin;
}

void fake_host_free(struct fake_host *h)
{
    fake_stop(h);
    for (uint32_t d = 0; d < h->source.device_count; d++) {
        for (uint32_t p = 0; p < h->devices[d].point_count; p++) {
            free((void *)(uintptr_t)h->points[d][p].name);
            tg_settings_free((struct tg_settings *)(uintptr_t)h->points[d][p].settings);
        }
        free(h->points[d]);
        free((void *)(uintptr_t)h->devices[d].id);
        tg_settings_free((struct tg_settings *)(uintptr_t)h->devices[d].settings);
    }
    tg_settings_free((struct tg_settings *)(uintptr_t)h->source.settings);
    close(h->wake[0]);
    close(h->wake[1]);
    pthread_cond_destroy(&h->changed);
    pthread_mutex_destroy(&h->lock);
    free(h->host.source);
    free(h->events);
    dlclose(h->library);
    free(h);
}

static void set(const struct tg_settings *s, const char *option, const char *text, bool list)
{
    struct tg_error err = {0};
    struct tg_settings_position pos = {1, 1};
    struct tg_settings *writable = (struct tg_settings *)(uintptr_t)s;
    int rc = list ? tg_settings_append(writable, option, text, pos, &err)
                  : tg_settings_set(writable, option, text, NULL, pos, &err);
    if (rc < 0)
        fake_give_up(option, err.text);
}

void fake_source_set(struct fake_host *h, const char *option, const char *text)
{
    set(h->source.settings, option, text, false);
}

void fake_source_append(struct fake_host *h, const char *option, const char *text)
{
    set(h->source.settings, option, text, true);
}

uint32_t fake_device(struct fake_host *h, const char *id)
{
    uint32_t d = h->source.device_count;
    if (d == MAX_DEVICES)
        fake_give_up("device", "too many");
    h->points[d] = calloc(MAX_POINTS, sizeof *h->points[d]);
    h->devices[d] = (struct tg_device){
        .id = strdup(id), .settings = tg_settings_new(h->plugin->device_options), .points = h->points[d]};
    h->source.device_count++;
    return d;
}

void fake_device_set(struct fake_host *h, uint32_t device, const char *option, const char *text)
{
    set(h->devices[device].settings, option, text, false);
}

void fake_device_append(struct fake_host *h, uint32_t device, const char *option, const char *text)
{
    set(h->devices[device].settings, option, text, true);
}

uint32_t fake_point(struct fake_host *h, uint32_t device, const char *name, int64_t every_ms)
{
    uint32_t p = h->devices[device].point_count;
    if (p == MAX_POINTS)
        fake_give_up("point", "too many");
    h->points[device][p] = (struct tg_point){
        .name = strdup(name), .settings = tg_settings_new(h->plugin->point_options), .every_ms = every_ms};
    h->devices[device].point_count++;
    return p;
}

void fake_point_set(struct fake_host *h, uint32_t device, uint32_t point, const char *option,
                    const char *text)
{
    set(h->points[device][point].settings, option, text, false);
}

void fake_point_append(struct fake_host *h, uint32_t device, uint32_t point, const char *option,
                       const char *text)
{
    set(h->points[device][point].settings, option, text, true);
}

void fake_point_writable(struct fake_host *h, uint32_t device, uint32_t point)
{
    h->points[device][point].writable = true;
}

static void finish(const struct tg_settings *s)
{
    struct tg_error err = {0};
    if (tg_settings_finish((struct tg_settings *)(uintptr_t)s, &err) < 0)
        fake_give_up("settings", err.text);
}

static void finish_all(struct fake_host *h)
{
    finish(h->source.settings);
    for (uint32_t d = 0; d < h->source.device_count; d++) {
        finish(h->devices[d].settings);
        for (uint32_t p = 0; p < h->devices[d].point_count; p++)
            finish(h->points[d][p].settings);
    }
}

int fake_check(struct fake_host *h, uint32_t device, uint32_t point, const char **ret_option,
               char error[FAKE_TEXT])
{
    finish_all(h);
    error[0] = 0;
    return h->plugin->check_point(&h->host, h->devices[device].settings, &h->points[device][point],
                                  ret_option, error, FAKE_TEXT);
}

int fake_check_source(struct fake_host *h, const char **ret_option, char error[FAKE_TEXT])
{
    finish_all(h);
    error[0] = 0;
    return h->plugin->check_source(&h->host, h->source.settings, ret_option, error, FAKE_TEXT);
}

int fake_check_device(struct fake_host *h, uint32_t device, const char **ret_option, char error[FAKE_TEXT])
{
    finish_all(h);
    error[0] = 0;
    return h->plugin->check_device(&h->host, h->devices[device].id, h->devices[device].settings, ret_option,
                                   error, FAKE_TEXT);
}

int fake_open(struct fake_host *h, char error[FAKE_TEXT])
{
    finish_all(h);
    error[0] = 0;
    h->host.thread_model = h->plugin->thread_model;
    if (h->plugin->thread_model_of && !h->clock_jumps) /* who jumps over waits calls fake_poll() alone */
        h->host.thread_model = h->plugin->thread_model_of(&h->host, h->source.settings);
    return h->plugin->open(&h->host, &h->source, &h->instance, error, FAKE_TEXT);
}

/* --- running ----------------------------------------------------------------------------------------- */

static bool take_task(struct fake_host *h, struct task *ret)
{
    if (h->task_count == 0)
        return false;
    *ret = h->tasks[0];
    memmove(&h->tasks[0], &h->tasks[1], --h->task_count * sizeof h->tasks[0]);
    return true;
}

static void run_task(struct fake_host *h, struct task *t)
{
    if (t->value.type == TG_VALUE_TEXT)
        t->value.as.text = t->text;
    if (t->is_command)
        h->plugin->command(h->instance, t->request, t->device, t->name, t->text);
    else
        h->plugin->write(h->instance, t->request, t->device, t->point, &t->value);
}

static void nudge(struct fake_host *h)
{
    pthread_cond_broadcast(&h->changed);
    ssize_t n = write(h->wake[1], "", 1); /* a full pipe wakes as well */
    (void)n;
}

/* Waits as the gateway's loop does. */
static void wait_on_loop(struct fake_host *h, int32_t wait_ms)
{
    char taken[64];
    struct pollfd fds[2] = {{.fd = h->wake[0], .events = POLLIN},
                            {.fd = h->watched,
                             .events = (short)((h->watch_events & TG_FD_READ ? POLLIN : 0) |
                                               (h->watch_events & TG_FD_WRITE ? POLLOUT : 0) | POLLRDHUP)}};
    if (poll(fds, 2, wait_ms) < 0)
        return;
    while (read(h->wake[0], taken, sizeof taken) > 0) {
    }
    uint32_t events = (fds[1].revents & POLLIN ? TG_FD_READ : 0) |
                      (fds[1].revents & POLLOUT ? TG_FD_WRITE : 0) |
                      (fds[1].revents & (POLLHUP | POLLERR | POLLRDHUP) ? TG_FD_HANGUP : 0);
    if (h->watched >= 0 && events)
        h->plugin->fd_ready(h->instance, h->watched, events);
}

static void *worker(void *user)
{
    struct fake_host *h = user;
    struct task t;
    const bool on_loop = h->host.thread_model == TG_THREAD_LOOP;
    pthread_mutex_lock(&h->lock);
    while (!h->stopping) {
        bool busy = take_task(h, &t);
        pthread_mutex_unlock(&h->lock);
        if (busy)
            run_task(h, &t);
        int32_t wait_ms = busy && !on_loop ? 0 : h->plugin->poll(h->instance, h->host.now_ms(h->host.source));
        if (on_loop)
            wait_on_loop(h, wait_ms);
        pthread_mutex_lock(&h->lock);
        if (!on_loop && wait_ms != 0 && h->task_count == 0 && !h->stopping) {
            struct timespec until;
            clock_gettime(CLOCK_REALTIME, &until);
            int64_t ns = until.tv_nsec + (int64_t)(wait_ms < 0 ? 1000 : wait_ms % 1000) * 1000000;
            until.tv_sec += (wait_ms < 0 ? 0 : wait_ms / 1000) + ns / 1000000000;
            until.tv_nsec = ns % 1000000000;
            pthread_cond_timedwait(&h->changed, &h->lock, &until);
        }
    }
    pthread_mutex_unlock(&h->lock);
    return NULL;
}

void fake_start(struct fake_host *h)
{
    char error[FAKE_TEXT];
    if (!h->instance && fake_open(h, error) != 0)
        fake_give_up("open", error);
    h->stopping = false;
    if (pthread_create(&h->thread, NULL, worker, h) != 0)
        fake_give_up("thread", "cannot be started");
    h->threaded = true;
}

void fake_stop(struct fake_host *h)
{
    pthread_mutex_lock(&h->lock);
    h->stopping = true;
    nudge(h);
    pthread_mutex_unlock(&h->lock);
    if (h->threaded)
        pthread_join(h->thread, NULL);
    h->threaded = false;
    if (h->instance)
        h->plugin->close(h->instance);
    h->instance = NULL;
}

void fake_clock_jumps(struct fake_host *h)
{
    h->clock_jumps = true;
}

int32_t fake_poll(struct fake_host *h)
{
    int32_t wait_ms = h->plugin->poll(h->instance, h->host.now_ms(h->host.source));
    if (h->clock_jumps && wait_ms > 0)
        h->clock_jump_ms += wait_ms;
    return wait_ms;
}

uint64_t fake_values_emitted(const struct fake_host *h)
{
    return h->values;
}

void fake_record_nothing(struct fake_host *h)
{
    h->counting_only = true;
}

static void queue(struct fake_host *h, const struct task *t)
{
    pthread_mutex_lock(&h->lock);
    if (h->task_count == MAX_TASKS)
        fake_give_up("queue", "too many requests");
    h->tasks[h->task_count++] = *t;
    nudge(h);
    pthread_mutex_unlock(&h->lock);
}

void fake_write(struct fake_host *h, uint64_t request, uint32_t device, uint32_t point, struct tg_value value)
{
    struct task t = {.request = request, .device = device, .point = point, .value = value};
    if (value.type == TG_VALUE_TEXT)
        snprintf(t.text, sizeof t.text, "%.*s", (int)value.text_len, value.as.text);
    queue(h, &t);
}

void fake_command(struct fake_host *h, uint64_t request, uint32_t device, const char *name, const char *json)
{
    struct task t = {.request = request, .device = device, .is_command = true};
    snprintf(t.name, sizeof t.name, "%s", name);
    snprintf(t.text, sizeof t.text, "%s", json);
    queue(h, &t);
}
