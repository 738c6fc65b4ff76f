/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * bench_at - exchanges a second through the AT plugin on a pty, and whether one answer was ever given to another command.
 *
 *     bench_at [EXCHANGES] [late]        last line: {"per_second": …, "mismatches": …, "timeouts": …, …}; exit 1 on a mismatch
 *
 * The device is in this process. Each answer bears the number of its command; in between it says unasked lines that begin alike, and
 * all of it reaches the plugin cut at random. With `late` one answer in a hundred is late by up to twice its timeout, and some lack
 * their final result or do not come at all. The plugin's clock jumps over every wait in which neither side has anything to do, so what
 * is measured is work. Four polls run beside the numbered commands.
 */
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <jansson.h>
#include <poll.h>
#include <pty.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "core/base/settings.h"

#define POLLS       4
#define URC_VALUE   900
#define OUTSTANDING 8
#define BACKLOG     8192
#define TIMEOUT_MS  2000
#define SHORT_MS    30 /* waits that are jumped over without looking whether bytes are still in the kernel */

struct tg_host_source {
    int64_t now_ms;
    int watched; /* -1 = not */
    uint64_t requested, answered, good, mismatches, failed, polled, urcs_told;
    uint64_t limit;
};

struct device {
    int master;
    bool late;
    char line[600];
    size_t line_len;
    char out[BACKLOG]; /* what it has said and not yet sent */
    size_t out_len, out_at;
    char todo[BACKLOG]; /* commands, NUL-terminated, that wait for the one it works on */
    size_t todo_len;
    int64_t busy_until; /* INT64_MIN = it is free */
    uint64_t urcs;
};

static struct tg_host_source self = {.watched = -1, .now_ms = 1000000};
static struct device device = {.busy_until = INT64_MIN};
static const struct tg_plugin *plugin;
static void *instance;
static uint32_t seed = 2463534242u;

static _Noreturn void die(const char *what)
{
    fprintf(stderr, "bench_at: %s: %s\n", what, strerror(errno));
    exit(1);
}

static uint32_t dice(uint32_t n)
{
    seed ^= seed << 13;
    seed ^= seed >> 17;
    seed ^= seed << 5;
    return seed % n;
}

/* --- the device --------------------------------------------------------------------------------- */

static void __attribute__((format(printf, 1, 2))) say(const char *fmt, ...)
{
    size_t room = sizeof device.out - device.out_len;
    va_list ap;
    int n;
    va_start(ap, fmt);
    n = vsnprintf(device.out + device.out_len, room, fmt, ap);
    va_end(ap);
    if (n < 0 || (size_t)n >= room)
        die("the device says too much");
    device.out_len += (size_t)n;
}

static void maybe_urc(void)
{
    if (dice(4) != 0)
        return;
    device.urcs++;
    switch (dice(4)) {
    case 0:
        say("\r\n+ECHO: %d,u\r\n", URC_VALUE);
        break;
    case 1:
        say("\r\n+NX: %u\r\n", dice(1000));
        break;
    case 2:
        say("\r\nRING\r\n");
        break;
    default:
        say("\r\n+URC: \"OK\"\r\n");
    }
}

static void answer(const char *command)
{
    uint32_t lie = device.late && strcmp(command, "AT") != 0 ? dice(1000) : 1000;
    unsigned long long n;
    say("%s\r", command); /* echo */
    maybe_urc();
    if (lie < 3)
        return; /* not a word */
    if (sscanf(command, "AT+N=%llu", &n) == 1)
        say("\r\n+N: %llu\r\n", n);
    else if (sscanf(command, "AT+ECHO=%llu", &n) == 1)
        say("\r\n+ECHO: %llu\r\n", n);
    maybe_urc();
    if (lie >= 3 && lie < 5)
        return; /* no final result */
    say("\r\nOK\r\n");
    maybe_urc();
}

/* Works off its input in order, as devices do. */
static void work(void)
{
    if (device.busy_until > self.now_ms || device.out_len > device.out_at)
        return;
    if (device.busy_until != INT64_MIN) {
        device.busy_until = INT64_MIN;
    } else if (device.todo_len > 0 && device.late && strcmp(device.todo, "AT") != 0 && dice(100) == 0) {
        device.busy_until = self.now_ms + dice(2 * TIMEOUT_MS);
        return;
    }
    if (device.todo_len == 0)
        return;
    device.out_len = device.out_at = 0;
    size_t n = strlen(device.todo) + 1;
    answer(device.todo + (device.todo[0] == 0x1b ? 1 : 0));
    device.todo_len -= n;
    memmove(device.todo, device.todo + n, device.todo_len);
}

static void hear(void)
{
    char buf[4096];
    ssize_t n = read(device.master, buf, sizeof buf);
    for (ssize_t i = 0; i < n; i++) {
        if (buf[i] != '\r') {
            if (device.line_len + 1 < sizeof device.line)
                device.line[device.line_len++] = buf[i];
            continue;
        }
        device.line[device.line_len++] = 0;
        if (device.todo_len + device.line_len > sizeof device.todo)
            die("too many commands at once");
        memcpy(device.todo + device.todo_len, device.line, device.line_len);
        device.todo_len += device.line_len;
        device.line_len = 0;
    }
}

/* One read's worth of what it has said. False when nothing was left. */
static bool send_some(void)
{
    size_t left = device.out_len - device.out_at, n = 1 + (dice(3) == 0 ? dice(7) : dice(120));
    ssize_t done;
    if (left == 0)
        return false;
    done = write(device.master, device.out + device.out_at, n < left ? n : left);
    if (done > 0)
        device.out_at += (size_t)done;
    return done > 0;
}

/* --- the host ----------------------------------------------------------------------------------- */

static int emit(struct tg_host_source *h, uint32_t d, int64_t time_ms, const struct tg_point_value *v,
                uint32_t count)
{
    (void)d;
    (void)time_ms;
    for (uint32_t i = 0; i < count; i++) {
        int64_t want = v[i].point < POLLS ? v[i].point : URC_VALUE;
        if (v[i].quality != TG_QUALITY_GOOD)
            continue;
        h->polled += v[i].point < POLLS;
        h->urcs_told += v[i].point == POLLS;
        h->mismatches += v[i].value.type != TG_VALUE_INT || v[i].value.as.integer != want;
    }
    return 0;
}

static void on_answer(struct tg_host_source *h, uint64_t request, int status, const char *json)
{
    char want[40];
    json_t *o = json_loads(json ? json : "null", JSON_DECODE_ANY, NULL), *lines = json_object_get(o, "lines");
    snprintf(want, sizeof want, "+N: %" PRIu64, request);
    h->answered++;
    if (status != TG_PLUGIN_OK) {
        h->failed++;
    } else if (json_array_size(lines) == 1 &&
               strcmp(json_string_value(json_array_get(lines, 0)), want) == 0) {
        h->good++;
    } else {
        h->mismatches++;
        fprintf(stderr, "bench_at: command %" PRIu64 " was given %s\n", request, json ? json : "nothing");
    }
    json_decref(o);
}

static void device_state(struct tg_host_source *h, uint32_t d, uint32_t state, const char *text)
{
    (void)h;
    (void)d;
    (void)state;
    (void)text;
}

static void __attribute__((format(printf, 3, 4)))
keep_quiet(struct tg_host_source *h, uint32_t level, const char *fmt, ...)
{
    (void)h;
    (void)level;
    (void)fmt;
}

static int watch_fd(struct tg_host_source *h, int fd, uint32_t events)
{
    h->watched = events & TG_FD_READ ? fd : -1;
    return 0;
}

static int64_t now_ms(struct tg_host_source *h)
{
    return h->now_ms;
}

static bool stopping(struct tg_host_source *h)
{
    (void)h;
    return false;
}

static const struct tg_host host = {.struct_size = sizeof host,
                                    .api_version = TG_PLUGIN_API_VERSION,
                                    .source = &self,
                                    .emit = emit,
                                    .device_state = device_state,
                                    .log = keep_quiet,
                                    .answer = on_answer,
                                    .watch_fd = watch_fd,
                                    .now_ms = now_ms,
                                    .wall_ms = now_ms,
                                    .stopping = stopping,
                                    .has = tg_settings_has,
                                    .get_int = tg_settings_int,
                                    .get_real = tg_settings_real,
                                    .get_text = tg_settings_text,
                                    .get_list = tg_settings_list};

/* --- the source --------------------------------------------------------------------------------- */

/* "name=text" pairs, NULL at the end; a name that ends with + is a list. */
static struct tg_settings *settings(const struct tg_option *table, ...)
{
    struct tg_settings *s = tg_settings_new(table);
    struct tg_settings_position at = {0, 0};
    struct tg_error err = {0};
    va_list ap;
    const char *name;
    va_start(ap, table);
    while ((name = va_arg(ap, const char *)) != NULL) {
        const char *text = va_arg(ap, const char *);
        bool list = strcmp(name, "urc_prefixes") == 0;
        if ((list ? tg_settings_append(s, name, text, at, &err)
                  : tg_settings_set(s, name, text, NULL, at, &err)) < 0)
            die(err.text);
    }
    va_end(ap);
    if (tg_settings_finish(s, &err) < 0)
        die(err.text);
    return s;
}

static void start(const char *port)
{
    static struct tg_point points[POLLS + 1];
    static struct tg_device d = {.id = "device", .points = points, .point_count = POLLS + 1};
    static struct tg_source source = {.name = "bench", .devices = &d, .device_count = 1};
    static char commands[POLLS][32];
    char error[400], timeout[16];
    snprintf(timeout, sizeof timeout, "%dms", TIMEOUT_MS);
    source.settings =
        settings(plugin->source_options, "port", port, "pause", "1ms", "timeout", timeout, "urc_limit",
                 "100000", "urc_prefixes", "+NX:", "urc_prefixes", "+URC:", "urc_prefixes", "RING", NULL);
    d.settings = settings(plugin->device_options, NULL);
    for (int i = 0; i < POLLS; i++) {
        snprintf(commands[i], sizeof commands[i], "AT+ECHO=%d", i);
        points[i] = (struct tg_point){.name = commands[i], .every_ms = 20};
        points[i].settings = settings(plugin->point_options, "command", commands[i], "match",
                                      "^\\+ECHO: (\\d+)$", "type", "int", NULL);
    }
    points[POLLS] = (struct tg_point){.name = "urc"};
    points[POLLS].settings =
        settings(plugin->point_options, "urc", "^\\+ECHO: (\\d+),u$", "type", "int", NULL);
    if (plugin->open(&host, &source, &instance, error, sizeof error) < 0)
        die(error);
}

/* --- the loop ----------------------------------------------------------------------------------- */

static bool ask_more(void)
{
    char json[64];
    bool asked = false;
    while (self.requested < self.limit && self.requested - self.answered < OUTSTANDING) {
        uint64_t n = ++self.requested;
        snprintf(json, sizeof json, "{\"command\":\"AT+N=%" PRIu64 "\"}", n);
        plugin->command(instance, n, 0, "at", json);
        asked = true;
    }
    return asked;
}

/* True when one of the two had something to read within real_ms. */
static bool exchange_bytes(int real_ms)
{
    struct pollfd fds[2] = {{.fd = device.master, .events = POLLIN}, {.fd = self.watched, .events = POLLIN}};
    if (poll(fds, self.watched >= 0 ? 2 : 1, real_ms) <= 0)
        return false;
    if (fds[0].revents & POLLIN)
        hear();
    if (self.watched >= 0 && fds[1].revents & POLLIN)
        plugin->fd_ready(instance, self.watched, TG_FD_READ);
    return true;
}

/* To whatever comes first: the plugin's next deadline, or the end of what the device is busy with. */
static void jump(int32_t wait_ms)
{
    int64_t to = wait_ms < 0 ? self.now_ms + 1000 : self.now_ms + wait_ms;
    if (device.busy_until != INT64_MIN && device.busy_until < to)
        to = device.busy_until;
    self.now_ms = to > self.now_ms ? to : self.now_ms;
}

static void run(void)
{
    while (self.answered < self.limit) {
        int32_t wait_ms = plugin->poll(instance, self.now_ms);
        bool sent;
        if (self.watched >= 0 && ask_more())
            continue;
        work();
        sent = send_some();
        if (exchange_bytes(sent || wait_ms < 0 || wait_ms > SHORT_MS ? 5 : 0) || sent)
            continue;
        jump(wait_ms);
    }
}

static double now_s(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

int main(int argc, char **argv)
{
    const struct tg_plugin *(*get)(void);
    char name[64];
    int slave;
    double took;
    void *so = dlopen(AT_PLUGIN, RTLD_NOW | RTLD_LOCAL);
    self.limit = argc > 1 ? strtoull(argv[1], NULL, 10) : 100000;
    device.late = argc > 2 && strcmp(argv[2], "late") == 0;
    if (!so)
        die(dlerror());
    *(void **)&get = dlsym(so, "tidegate_plugin");
    plugin = get();
    if (openpty(&device.master, &slave, name, NULL, NULL) < 0 ||
        fcntl(device.master, F_SETFL, O_NONBLOCK) < 0)
        die("openpty");
    start(name);
    took = now_s();
    run();
    took = now_s() - took;
    plugin->close(instance);
    printf("{\"exchanges\": %" PRIu64 ", \"per_second\": %.0f, \"mismatches\": %" PRIu64
           ", \"good\": %" PRIu64 ", \"failed\": %" PRIu64 ", \"polls\": %" PRIu64 ", \"urcs\": %" PRIu64
           ", \"urcs_told\": %" PRIu64 "}\n",
           self.limit, (double)(self.limit + self.polled) / took, self.mismatches, self.good, self.failed,
           self.polled, device.urcs, self.urcs_told);
    return self.mismatches > 0 || self.good < self.limit / (device.late ? 2 : 1) || self.polled == 0 ||
           self.urcs_told == 0;
}
