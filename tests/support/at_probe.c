/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * at_probe - a host with one source, for scenarios of on-loop plugins: loads the real .so and drives it as
 * the gateway's loop does.
 *
 *     at_probe PLUGIN.so NAME=VALUE… [--point NAME EVERY_MS NAME=VALUE…]… [--device]…
 *
 * Options before the first --point are the source's; --device begins the next device. Says, a JSON object a
 * line:
 *     {"sample": device, "values": {…}, "quality": {…}}   {"state": n, "text": …}   {"log": level, "text": …}
 *     {"answer": id, "status": n, "json": …}               {"error": …} and exit code 1 when open() or a
 * check fails and reads lines: "write ID DEVICE POINT JSONVALUE", "command ID JSON" (at), "call ID COMMAND", "stats". The end of
 * stdin closes the source.
 */
#include <dlfcn.h>
#include <errno.h>
#include <jansson.h>
#include <poll.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "core/base/clock.h"
#include "core/base/sample.h"
#include "core/base/value_json.h"
#include "core/base/settings.h"

#define POINTS_MAX  32
#define DEVICES_MAX 4
#define WATCHES_MAX 16

struct tg_host_source {
    struct pollfd watches[WATCHES_MAX];
    nfds_t watch_count;
    int64_t slowest_ms; /* longest single call into the plugin */
};

static struct tg_host_source self;
static struct tg_point points[DEVICES_MAX][POINTS_MAX];
static struct tg_device devices[DEVICES_MAX] = {
    {.id = "device-0"}, {.id = "device-1"}, {.id = "device-2"}, {.id = "device-3"}};
static struct tg_source source = {.name = "probe", .devices = devices, .device_count = 1};
static const struct tg_plugin *plugin;
static void *instance;

static void say(json_t *o)
{
    char *text = json_dumps(o, JSON_COMPACT);
    printf("%s\n", text);
    fflush(stdout);
    free(text);
    json_decref(o);
}

static _Noreturn void give_up(const char *text)
{
    say(json_pack("{s:s}", "error", text));
    exit(1);
}

/* --- services --- */

static int emit(struct tg_host_source *h, uint32_t device, int64_t time_ms,
                const struct tg_point_value *values, uint32_t count)
{
    json_t *good = json_object(), *bad = json_object();
    (void)h;
    (void)time_ms;
    for (uint32_t i = 0; i < count; i++) {
        const char *name = points[device][values[i].point].name;
        if (values[i].quality == TG_QUALITY_GOOD)
            json_object_set_new(good, name, tg_value_json(&values[i].value));
        else
            json_object_set_new(bad, name, json_string(tg_quality_name(values[i].quality)));
    }
    say(json_pack("{s:i,s:o,s:o}", "sample", (int)device, "values", good, "quality", bad));
    return 0;
}

static void device_state(struct tg_host_source *h, uint32_t device, uint32_t state, const char *text)
{
    (void)h;
    say(json_pack("{s:i,s:i,s:s?}", "state", (int)state, "device", (int)device, "text", text));
}

static void TG_PRINTF(3, 4) say_log(struct tg_host_source *h, uint32_t level, const char *fmt, ...)
{
    char text[1024];
    va_list ap;
    (void)h;
    va_start(ap, fmt);
    vsnprintf(text, sizeof text, fmt, ap);
    va_end(ap);
    say(json_pack("{s:i,s:s}", "log", (int)level, "text", text));
}

static void answer(struct tg_host_source *h, uint64_t request, int status, const char *json)
{
    (void)h;
    say(json_pack("{s:I,s:i,s:o}", "answer", (json_int_t)request, "status", status, "json",
                  json ? json_loads(json, JSON_ALLOW_NUL, NULL) : json_null()));
}

static int watch_fd(struct tg_host_source *h, int fd, uint32_t events)
{
    nfds_t i = 0;
    while (i < h->watch_count && h->watches[i].fd != fd)
        i++;
    if (events == 0) {
        if (i < h->watch_count)
            h->watches[i] = h->watches[--h->watch_count];
        return 0;
    }
    if (i == WATCHES_MAX)
        return TG_PLUGIN_EFULL;
    if (i == h->watch_count)
        h->watch_count++;
    h->watches[i] = (struct pollfd){
        .fd = fd,
        .events = (short)((events & TG_FD_READ ? POLLIN : 0) | (events & TG_FD_WRITE ? POLLOUT : 0))};
    return 0;
}

static int64_t now_ms(struct tg_host_source *h)
{
    (void)h;
    return tg_clock_mono_ms();
}

static int64_t wall_ms(struct tg_host_source *h)
{
    (void)h;
    return tg_clock_wall_ms();
}

static bool stopping(struct tg_host_source *h)
{
    (void)h;
    return false;
}

static const struct tg_host host = {
    .struct_size = sizeof(struct tg_host),
    .api_version = TG_PLUGIN_API_VERSION,
    .source = &self,
    .emit = emit,
    .device_state = device_state,
    .log = say_log,
    .answer = answer,
    .watch_fd = watch_fd,
    .now_ms = now_ms,
    .wall_ms = wall_ms,
    .stopping = stopping,
    .has = tg_settings_has,
    .get_int = tg_settings_int,
    .get_real = tg_settings_real,
    .get_text = tg_settings_text,
    .get_list = tg_settings_list,
};

/* --- the command line --- */

static void set_option(struct tg_settings *s, const char *text)
{
    struct tg_settings_position at = {0, 0};
    struct tg_error err = {0};
    const char *equals = strchr(text, '=');
    char name[64];
    const struct tg_option *o = tg_settings_table(s);
    if (!equals || (size_t)(equals - text) >= sizeof name)
        give_up("an option is NAME=VALUE");
    memcpy(name, text, (size_t)(equals - text));
    name[equals - text] = 0;
    while (o->name && strcmp(o->name, name) != 0)
        o++;
    if ((o->name && o->type == TG_OPTION_TEXT_LIST
             ? tg_settings_append(s, name, equals + 1, at, &err)
             : tg_settings_set(s, name, equals + 1, NULL, at, &err)) < 0)
        give_up(err.text);
}

static void finish(struct tg_settings *s)
{
    struct tg_error err = {0};
    if (tg_settings_finish(s, &err) < 0)
        give_up(err.text);
}

static void read_arguments(int argc, char **argv)
{
    struct tg_settings *s = tg_settings_new(plugin->source_options);
    struct tg_device *d = devices;
    source.settings = s;
    for (int i = 2; i < argc; i++) {
        if (strcmp(argv[i], "--device") == 0) {
            d = &devices[source.device_count++];
        } else if (strcmp(argv[i], "--point") == 0 && i + 2 < argc) {
            struct tg_point *p = &points[d - devices][d->point_count++];
            finish(s);
            s = tg_settings_new(plugin->point_options);
            *p = (struct tg_point){.name = argv[i + 1], .settings = s, .every_ms = atoll(argv[i + 2])};
            i += 2;
        } else {
            set_option(s, argv[i]);
        }
    }
    finish(s);
    for (uint32_t k = 0; k < source.device_count; k++) {
        devices[k].settings = tg_settings_new(plugin->device_options);
        devices[k].points = points[k];
        for (uint32_t i = 0; i < devices[k].point_count; i++) {
            const char *option = NULL;
            char error[400];
            points[k][i].writable = tg_settings_has(points[k][i].settings, "write");
            if (plugin->check_point(&host, devices[k].settings, &points[k][i], &option, error, sizeof error) <
                0)
                give_up(error);
        }
    }
}

static void free_settings(void)
{
    tg_settings_free((struct tg_settings *)source.settings);
    for (uint32_t k = 0; k < source.device_count; k++) {
        tg_settings_free((struct tg_settings *)devices[k].settings);
        for (uint32_t i = 0; i < devices[k].point_count; i++)
            tg_settings_free((struct tg_settings *)points[k][i].settings);
    }
}

/* --- stdin --- */

static void write_point(uint64_t id, uint32_t device, uint32_t point, const char *text)
{
    json_t *j = json_loads(text, JSON_DECODE_ANY | JSON_ALLOW_NUL, NULL);
    struct tg_value v = {.type = TG_VALUE_NONE};
    if (json_is_boolean(j))
        v = tg_value_bool(json_is_true(j));
    else if (json_is_integer(j))
        v = tg_value_int(json_integer_value(j));
    else if (json_is_real(j))
        v = tg_value_real(json_real_value(j));
    else if (json_is_string(j))
        v = tg_value_text(json_string_value(j), json_string_length(j));
    plugin->write(instance, id, device, point, &v);
    json_decref(j);
}

static void obey(const char *line)
{
    unsigned long long id;
    unsigned device, point;
    char name[64];
    int at = 0;
    if (sscanf(line, "write %llu %u %u %n", &id, &device, &point, &at) == 3 && at > 0)
        write_point(id, device, point, line + at);
    else if (sscanf(line, "command %llu %n", &id, &at) == 1 && at > 0)
        plugin->command(instance, id, 0, "at", line + at);
    else if (sscanf(line, "call %llu %63s", &id, name) == 2)
        plugin->command(instance, id, 0, name, "{}");
    else if (strcmp(line, "stats") == 0)
        say(json_pack("{s:I}", "slowest_ms", (json_int_t)self.slowest_ms));
}

/* False at the end of stdin. */
static bool read_stdin(void)
{
    static char buf[65536];
    static size_t len;
    ssize_t n = read(STDIN_FILENO, buf + len, sizeof buf - 1 - len);
    char *end;
    if (n <= 0)
        return false;
    len += (size_t)n;
    buf[len] = 0;
    while ((end = memchr(buf, '\n', len)) != NULL) {
        *end = 0;
        obey(buf);
        len -= (size_t)(end + 1 - buf);
        memmove(buf, end + 1, len);
    }
    return true;
}

static void timed(int64_t began)
{
    int64_t took = tg_clock_mono_ms() - began;
    self.slowest_ms = took > self.slowest_ms ? took : self.slowest_ms;
}

/* One turn of the loop. */
static bool turn(int32_t wait)
{
    struct pollfd fds[WATCHES_MAX + 1] = {{.fd = STDIN_FILENO, .events = POLLIN}};
    nfds_t n = self.watch_count;
    memcpy(fds + 1, self.watches, n * sizeof fds[0]);
    if (poll(fds, n + 1, wait) < 0 && errno != EINTR)
        return false;
    for (nfds_t i = 1; i <= n; i++) {
        uint32_t events = (fds[i].revents & POLLIN ? TG_FD_READ : 0) |
                          (fds[i].revents & POLLOUT ? TG_FD_WRITE : 0) |
                          (fds[i].revents & (POLLHUP | POLLERR) ? TG_FD_HANGUP : 0);
        int64_t began = tg_clock_mono_ms();
        if (events)
            plugin->fd_ready(instance, fds[i].fd, events);
        timed(began);
    }
    return fds[0].revents == 0 || read_stdin();
}

int main(int argc, char **argv)
{
    const struct tg_plugin *(*get)(void);
    char error[400] = "";
    int32_t wait = 0;
    void *so = argc > 1 ? dlopen(argv[1], RTLD_NOW | RTLD_LOCAL) : NULL;
    if (!so)
        give_up(argc > 1 ? dlerror() : "usage: at_probe PLUGIN.so NAME=VALUE…");
    *(void **)&get = dlsym(so, TG_PLUGIN_SYMBOL);
    plugin = get ? get() : NULL;
    if (!plugin)
        give_up("no plugin");
    read_arguments(argc, argv);
    if (plugin->open(&host, &source, &instance, error, sizeof error) < 0)
        give_up(error);
    do {
        int64_t began = tg_clock_mono_ms();
        wait = plugin->poll(instance, began);
        timed(began);
    } while (turn(wait));
    plugin->close(instance);
    free_settings();
    if (self.watch_count != 0)
        give_up("a watch was left behind");
    return 0;
}
