/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * ble_probe - the smallest host for the ble plugin: sensors of vhci_controller, every sample counted by its sequence number.
 *
 *     ble_probe BUILD/plugins/ble.so DEVICES [SOURCE-OPTION=VALUE | device:OPTION=VALUE]…
 *
 * Device i has the address of sensor i (guest/vhci_air.h) and two points: count (BTHome) or sequence (Ruuvi), and rssi. One thread, as the host
 * gives the plugin. Commands on stdin, each answered by one JSON line:
 *     report      samples, devices (heard), gaps (sequence numbers that were left out), repeats, ok, suspect, down, stale, comm, announced,
 *                 text (the last state's), log (the last line), polls
 *     counters I  the plugin's own counters of device I
 *     memory      resident bytes
 *     quit        closes the instance
 */
#include <dlfcn.h>
#include <errno.h>
#include <inttypes.h>
#include <poll.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "core/base/settings.h"

#define WATCHES       16
#define LINE_BYTES    256
#define TEXT_BYTES    256
#define POINTS        2
#define READING_BYTES 16

struct probe_device {
    char id[16];
    uint32_t state;
    uint64_t first, last, samples;
};

struct probe {
    struct tg_host host;
    struct tg_source source;
    struct tg_device *devices;
    struct tg_point *points; /* POINTS a device */
    struct probe_device *seen;
    uint64_t samples, gaps, repeats, stale, comm, announced, polls;
    struct pollfd watches[1 + WATCHES]; /* the first is stdin */
    char text[TEXT_BYTES], log[TEXT_BYTES], answer[1024];
    bool stopping;
};

static struct probe probe; /* a host has one instance here */

static _Noreturn void give_up(const char *what, const char *why)
{
    fprintf(stderr, "ble_probe: %s: %s\n", what, why);
    exit(2);
}

/* --- what the plugin is lent --- */

static void count_sequence(struct probe_device *d, uint64_t sequence)
{
    if (d->samples++ == 0)
        d->first = sequence;
    else if (sequence <= d->last)
        probe.repeats++;
    else
        probe.gaps += sequence - d->last - 1;
    d->last = sequence;
}

static int emit(struct tg_host_source *s, uint32_t device, int64_t time_ms,
                const struct tg_point_value *values, uint32_t count)
{
    (void)s;
    (void)time_ms;
    probe.samples++;
    for (uint32_t i = 0; i < count; i++) {
        probe.stale += values[i].quality == TG_QUALITY_STALE;
        probe.comm += values[i].quality == TG_QUALITY_COMM;
        if (values[i].point == 0 && values[i].quality == TG_QUALITY_GOOD)
            count_sequence(&probe.seen[device], (uint64_t)values[i].value.as.integer);
    }
    return 0;
}

static void device_state(struct tg_host_source *s, uint32_t device, uint32_t state, const char *text)
{
    (void)s;
    probe.seen[device].state = state;
    snprintf(probe.text, sizeof probe.text, "%s", text ? text : "");
}

__attribute__((format(printf, 3, 4))) static void log_line(struct tg_host_source *s, uint32_t level,
                                                           const char *format, ...)
{
    va_list arguments;
    (void)s;
    va_start(arguments, format);
    vsnprintf(probe.log, sizeof probe.log, format, arguments);
    va_end(arguments);
    fprintf(stderr, "%u %s\n", level, probe.log);
}

static void answer(struct tg_host_source *s, uint64_t request, int status, const char *json)
{
    (void)s;
    (void)request;
    (void)status;
    snprintf(probe.answer, sizeof probe.answer, "%s", json ? json : "{}");
}

static int watch_fd(struct tg_host_source *s, int fd, uint32_t events)
{
    struct pollfd *place = NULL;
    (void)s;
    for (int i = WATCHES; i > 0; i--) {
        if (probe.watches[i].fd == fd)
            place = &probe.watches[i];
    }
    for (int i = WATCHES; i > 0 && !place && events; i--) {
        if (probe.watches[i].fd < 0)
            place = &probe.watches[i];
    }
    if (place)
        *place = (struct pollfd){
            events ? fd : -1,
            (short)((events & TG_FD_READ ? POLLIN : 0) | (events & TG_FD_WRITE ? POLLOUT : 0)), 0};
    return place ? 0 : TG_PLUGIN_EFULL;
}

static int64_t clock_of(clockid_t id)
{
    struct timespec t;
    clock_gettime(id, &t);
    return (int64_t)t.tv_sec * 1000 + t.tv_nsec / 1000000;
}

static int64_t now_ms(struct tg_host_source *s)
{
    (void)s;
    return clock_of(CLOCK_MONOTONIC);
}

static int64_t wall_ms(struct tg_host_source *s)
{
    (void)s;
    return clock_of(CLOCK_REALTIME);
}

static bool stopping(struct tg_host_source *s)
{
    (void)s;
    return probe.stopping;
}

static int discovered(struct tg_host_source *s, const char *id, const char *profile)
{
    (void)s;
    probe.announced += id[0] && profile;
    return TG_PLUGIN_EDENIED;
}

static const struct tg_host services = {.struct_size = sizeof services,
                                        .api_version = TG_PLUGIN_API_VERSION,
                                        .emit = emit,
                                        .device_state = device_state,
                                        .log = log_line,
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
                                        .discovered = discovered};

/* --- what is configured --- */

/* OPTION=VALUE of the words that begin with `prefix`; a list by its items, comma-separated. */
static struct tg_settings *settings(const struct tg_option *table, int argc, char **argv, const char *prefix)
{
    struct tg_settings *s = tg_settings_new(table);
    struct tg_error err = {0};
    for (int i = 0; s && i < argc; i++) {
        char word[LINE_BYTES], *name = word + strlen(prefix), *value;
        snprintf(word, sizeof word, "%s", argv[i]);
        if (strncmp(word, prefix, strlen(prefix)) != 0 || (!prefix[0] && strncmp(word, "device:", 7) == 0) ||
            !(value = strchr(word, '=')))
            continue;
        *value++ = 0;
        if (strcmp(name, "accept") == 0
                ? tg_settings_append(s, name, value, (struct tg_settings_position){0}, &err) < 0
                : tg_settings_set(s, name, value, NULL, (struct tg_settings_position){0}, &err) < 0)
            give_up(argv[i], err.text);
    }
    if (!s || tg_settings_finish(s, &err) < 0)
        give_up("settings", err.text);
    return s;
}

static void configure(const struct tg_plugin *plugin, uint32_t count, int argc, char **argv)
{
    static const char *const names[2][POINTS] = {{"count", "rssi"}, {"sequence", "rssi"}};
    const struct tg_settings *device = settings(plugin->device_options, argc, argv, "device:");
    const struct tg_settings *point = settings(plugin->point_options, 0, NULL, "");
    probe.devices = calloc(count + 1u, sizeof *probe.devices);
    probe.points = calloc(POINTS * count + 1u, sizeof *probe.points);
    probe.seen = calloc(count + 1u, sizeof *probe.seen);
    if (!probe.devices || !probe.points || !probe.seen)
        give_up("devices", "out of memory");
    for (uint32_t i = 0; i < count; i++) {
        struct tg_point *points = &probe.points[POINTS * i];
        snprintf(probe.seen[i].id, sizeof probe.seen[i].id, "c10000%06x", i);
        for (uint32_t p = 0; p < POINTS; p++)
            points[p] = (struct tg_point){.name = names[i & 1][p], .settings = point};
        probe.devices[i] = (struct tg_device){
            .id = probe.seen[i].id, .settings = device, .points = points, .point_count = POINTS};
    }
    probe.source = (struct tg_source){.name = "probe",
                                      .settings = settings(plugin->source_options, argc, argv, ""),
                                      .devices = probe.devices,
                                      .device_count = count};
}

/* --- what is asked --- */

static void print_text(const char *name, const char *text)
{
    printf(",\"%s\":\"", name);
    for (; *text; text++)
        printf(*text == '"' || *text == '\\' ? "\\%c" : "%c", *text);
    printf("\"");
}

static void report(void)
{
    uint32_t heard = 0, states[4] = {0};
    for (uint32_t i = 0; i < probe.source.device_count; i++) {
        heard += probe.seen[i].samples > 0;
        states[probe.seen[i].state & 3]++;
    }
    printf("{\"samples\":%" PRIu64 ",\"devices\":%u,\"gaps\":%" PRIu64 ",\"repeats\":%" PRIu64
           ",\"ok\":%u,\"suspect\":%u,\"down\":%u,"
           "\"stale\":%" PRIu64 ",\"comm\":%" PRIu64 ",\"announced\":%" PRIu64 ",\"polls\":%" PRIu64,
           probe.samples, heard, probe.gaps, probe.repeats, states[TG_DEVICE_OK], states[TG_DEVICE_SUSPECT],
           states[TG_DEVICE_DOWN], probe.stale, probe.comm, probe.announced, probe.polls);
    print_text("text", probe.text);
    print_text("log", probe.log);
    printf("}\n");
}

/* smaps_rollup counts; statm may be 64 pages behind for each kind. */
static void memory(void)
{
    char line[LINE_BYTES];
    unsigned long kib = 0;
    FILE *file = fopen("/proc/self/smaps_rollup", "re");
    while (file && kib == 0 && fgets(line, sizeof line, file))
        (void)sscanf(line, "Rss: %lu", &kib);
    if (kib == 0)
        give_up("/proc/self/smaps_rollup", "cannot be read");
    fclose(file);
    printf("{\"resident\":%lu}\n", kib * 1024);
}

/* False: enough. */
static bool obey(const struct tg_plugin *plugin, void *instance)
{
    char line[LINE_BYTES];
    unsigned device;
    if (!fgets(line, sizeof line, stdin) || strncmp(line, "quit", 4) == 0)
        return false;
    if (strncmp(line, "report", 6) == 0) {
        report();
    } else if (strncmp(line, "memory", 6) == 0) {
        memory();
    } else if (sscanf(line, "counters %u", &device) == 1 && device < probe.source.device_count) {
        plugin->command(instance, 1, device, "counters", "{}");
        printf("%s\n", probe.answer);
    } else {
        give_up("unknown command", line);
    }
    return true;
}

static void run(const struct tg_plugin *plugin, void *instance)
{
    for (;;) {
        const int32_t wait_ms = plugin->poll(instance, now_ms(NULL));
        probe.polls++;
        if (poll(probe.watches, 1 + WATCHES, wait_ms) < 0 && errno != EINTR)
            give_up("poll", strerror(errno));
        if (probe.watches[0].revents && !obey(plugin, instance))
            return;
        for (int i = 1; i <= WATCHES; i++) {
            const short ready = probe.watches[i].revents;
            if (probe.watches[i].fd >= 0 && ready)
                plugin->fd_ready(instance, probe.watches[i].fd,
                                 (ready & POLLIN ? TG_FD_READ : 0) | (ready & POLLOUT ? TG_FD_WRITE : 0) |
                                     (ready & (POLLHUP | POLLERR) ? TG_FD_HANGUP : 0));
        }
    }
}

int main(int argc, char **argv)
{
    const struct tg_plugin *(*describe)(void);
    const struct tg_plugin *plugin;
    char error[TEXT_BYTES] = "";
    void *library, *instance;
    setvbuf(stdout, NULL, _IOLBF, 0);
    setvbuf(stdin, NULL, _IONBF, 0); /* what is buffered would not wake poll() */
    if (argc < 3)
        give_up("usage", "ble_probe PLUGIN DEVICES [OPTION=VALUE]…");
    library = dlopen(argv[1], RTLD_NOW);
    if (!library)
        give_up(argv[1], dlerror());
    *(void **)&describe = dlsym(library, TG_PLUGIN_SYMBOL);
    if (!describe)
        give_up(argv[1], "no plugin");
    plugin = describe();
    probe.watches[0] = (struct pollfd){STDIN_FILENO, POLLIN, 0};
    for (int i = 1; i <= WATCHES; i++)
        probe.watches[i].fd = -1;
    probe.host = services;
    configure(plugin, (uint32_t)strtoul(argv[2], NULL, 10), argc - 3, argv + 3);
    if (plugin->open(&probe.host, &probe.source, &instance, error, sizeof error) < 0)
        give_up("open", error);
    run(plugin, instance);
    probe.stopping = true;
    plugin->close(instance);
    return 0;
}
