/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "support/gatt_rig.h"

#include <errno.h>
#include <poll.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "core/base/settings.h"
#include "plugins/ble/gatt_link.h"

static const struct tg_option source_options[] = {TG_GATT_SOURCE_OPTIONS, {.name = NULL}};
static const struct tg_option device_options[] = {TG_GATT_DEVICE_OPTIONS, {.name = NULL}};
static const struct tg_option point_options[] = {TG_GATT_POINT_OPTIONS, {.name = NULL}};

static _Noreturn void give_up(const char *what, const char *detail)
{
    fprintf(stderr, "gatt_rig: %s: %s\n", what, detail);
    exit(1);
}

static struct gatt_rig *rig_of(struct tg_host_source *s)
{
    return (struct gatt_rig *)(void *)s;
}

/* --- the host ---------------------------------------------------------------------------------------------- */

static struct rig_event *append(struct gatt_rig *r, int kind, uint32_t device)
{
    if (r->count == r->cap) {
        r->cap = r->cap ? 2 * r->cap : 256;
        r->events = realloc(r->events, r->cap * sizeof *r->events);
        if (!r->events)
            give_up("record", "out of memory");
    }
    struct rig_event *e = &r->events[r->count++];
    memset(e, 0, sizeof *e);
    e->kind = kind;
    e->device = device;
    e->at_ms = r->now_ms;
    return e;
}

static void keep_value(struct rig_event *e, const struct tg_value *v)
{
    e->value = *v;
    if (v->type == TG_VALUE_TEXT)
        snprintf(e->text, sizeof e->text, "%.*s", (int)v->text_len, v->as.text);
}

static int host_emit(struct tg_host_source *s, uint32_t device, int64_t time_ms,
                     const struct tg_point_value *v, uint32_t count)
{
    struct gatt_rig *r = rig_of(s);
    (void)time_ms;
    r->samples++;
    for (uint32_t i = 0; i < count; i++) {
        struct rig_event *e = append(r, RIG_VALUE, device);
        if (v[i].quality != TG_QUALITY_GOOD && v[i].value.type != TG_VALUE_NONE)
            give_up("emit", "a value that is not good");
        e->point = v[i].point;
        e->quality = v[i].quality;
        e->sample = r->samples;
        keep_value(e, &v[i].value);
    }
    return 0;
}

static void host_state(struct tg_host_source *s, uint32_t device, uint32_t state, const char *text)
{
    struct rig_event *e = append(rig_of(s), RIG_STATE, device);
    e->state = state;
    snprintf(e->text, sizeof e->text, "%s", text ? text : "");
}

static void host_log(struct tg_host_source *s, uint32_t level, const char *fmt, ...)
    __attribute__((format(printf, 3, 4)));
static void host_log(struct tg_host_source *s, uint32_t level, const char *fmt, ...)
{
    struct rig_event *e = append(rig_of(s), RIG_LOG, 0);
    va_list ap;
    e->state = level;
    va_start(ap, fmt);
    vsnprintf(e->text, sizeof e->text, fmt, ap);
    va_end(ap);
}

static void host_answer(struct tg_host_source *s, uint64_t request, int status, const char *json)
{
    struct rig_event *e = append(rig_of(s), RIG_ANSWER, 0);
    e->request = request;
    e->status = status;
    snprintf(e->text, sizeof e->text, "%s", json ? json : "");
}

static int host_watch(struct tg_host_source *s, int fd, uint32_t events)
{
    struct gatt_rig *r = rig_of(s);
    int place = -1;
    for (int i = 0; i < 16; i++) {
        if (r->watches[i].events && r->watches[i].fd == fd)
            place = i;
        else if (place < 0 && !r->watches[i].events)
            place = i;
    }
    for (int i = 0; i < 16; i++) /* its own entry before a free one */
        place = r->watches[i].events && r->watches[i].fd == fd ? i : place;
    if (place < 0)
        return TG_PLUGIN_EFULL;
    r->watches[place].fd = fd;
    r->watches[place].events = events;
    return 0;
}

static int64_t host_now(struct tg_host_source *s)
{
    return rig_of(s)->now_ms;
}

static int host_fact(struct tg_host_source *s, uint32_t device, const char *name, const struct tg_value *v)
{
    struct rig_event *e = append(rig_of(s), RIG_FACT, device);
    snprintf(e->text, sizeof e->text, "%s=%.*s", name, (int)v->text_len, v->as.text);
    return 0;
}

/* --- sockets ------------------------------------------------------------------------------------------------- */

static int rig_open(void *user, const struct tg_ble_address *own, const struct tg_ble_address *peer,
                    enum tg_gatt_security security)
{
    struct gatt_rig *r = user;
    struct rig_device *d = &r->peers[peer->bytes[5]];
    int fds[2];
    (void)security;
    if (own->bytes[0] != 0xAD)
        give_up("open", "not from the adapter's address");
    d->attempts++;
    if (d->open_error)
        return -d->open_error;
    if (d->fd >= 0)
        close(d->fd); /* the set has closed its end */
    if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, fds) < 0)
        give_up("socketpair", strerror(errno));
    d->client_fd = fds[0];
    d->fd = fds[1];
    if (!d->absent) {
        d->connections++;
        att_server_connected(&d->server);
    }
    return fds[0];
}

static int rig_secure(void *user, int fd, enum tg_gatt_security security)
{
    struct gatt_rig *r = user;
    for (size_t i = 0; i < RIG_DEVICES; i++) {
        struct rig_device *d = &r->peers[i];
        if (d->fd < 0 || d->client_fd != fd)
            continue;
        if (d->secure_refused)
            return -EACCES;
        d->server.encrypted = security >= TG_GATT_SECURITY_MEDIUM;
    }
    return 0;
}

static struct tg_gatt_socket_ops sockets = {.open = rig_open, .secure = rig_secure};

static bool address(void *user, uint32_t device, struct tg_ble_address *ret)
{
    (void)user;
    *ret = (struct tg_ble_address){.bytes = {0xA4, 0xC1, 0x38, 0, 0, (uint8_t)device},
                                   .type = TG_BLE_ADDRESS_RANDOM};
    return true;
}

/* --- set-up ---------------------------------------------------------------------------------------------------- */

static void set(const struct tg_settings *s, const char *option, const char *text)
{
    struct tg_error err = {0};
    struct tg_settings_position pos = {1, 1};
    if (tg_settings_set((struct tg_settings *)(uintptr_t)s, option, text, NULL, pos, &err) < 0)
        give_up(option, err.text);
}

static void finish(const struct tg_settings *s)
{
    struct tg_error err = {0};
    if (tg_settings_finish((struct tg_settings *)(uintptr_t)s, &err) < 0)
        give_up("settings", err.text);
}

struct gatt_rig *gatt_rig_new(const char *connections)
{
    struct gatt_rig *r = calloc(1, sizeof *r);
    if (!r)
        give_up("new", "out of memory");
    r->host = (struct tg_host){.struct_size = sizeof r->host,
                               .api_version = TG_PLUGIN_API_VERSION,
                               .source = (struct tg_host_source *)(void *)r,
                               .emit = host_emit,
                               .device_state = host_state,
                               .log = host_log,
                               .answer = host_answer,
                               .watch_fd = host_watch,
                               .now_ms = host_now,
                               .has = tg_settings_has,
                               .get_int = tg_settings_int,
                               .get_real = tg_settings_real,
                               .get_text = tg_settings_text,
                               .get_list = tg_settings_list,
                               .device_fact = host_fact};
    r->now_ms = 1000000;
    r->source.name = "air";
    r->source.settings = tg_settings_new(source_options);
    r->source.devices = r->devices;
    set(r->source.settings, "connections", connections);
    for (size_t i = 0; i < RIG_DEVICES; i++) {
        r->peers[i].fd = -1;
        att_server_init(&r->peers[i].server);
    }
    return r;
}

void gatt_rig_free(struct gatt_rig *r)
{
    tg_gatt_free(r->set);
    for (uint32_t d = 0; d < r->source.device_count; d++) {
        for (uint32_t p = 0; p < r->devices[d].point_count; p++)
            tg_settings_free((struct tg_settings *)(uintptr_t)r->points[d][p].settings);
        tg_settings_free((struct tg_settings *)(uintptr_t)r->devices[d].settings);
        if (r->peers[d].fd >= 0)
            close(r->peers[d].fd);
    }
    for (size_t i = 0; i < 16; i++) {
        if (r->watches[i].events)
            give_up("free", "a watch was left behind");
    }
    tg_settings_free((struct tg_settings *)(uintptr_t)r->source.settings);
    free(r->events);
    free(r);
}

uint32_t gatt_rig_device(struct gatt_rig *r, const char *id)
{
    uint32_t d = r->source.device_count++;
    r->devices[d] =
        (struct tg_device){.id = id, .settings = tg_settings_new(device_options), .points = r->points[d]};
    return d;
}

uint32_t gatt_rig_point(struct gatt_rig *r, uint32_t device, const char *name, int64_t every_ms,
                        bool writable)
{
    uint32_t p = r->devices[device].point_count++;
    r->points[device][p] = (struct tg_point){
        .name = name, .settings = tg_settings_new(point_options), .every_ms = every_ms, .writable = writable};
    return p;
}

void gatt_rig_set(struct gatt_rig *r, uint32_t device, uint32_t point, const char *option, const char *text)
{
    set(r->points[device][point].settings, option, text);
}

uint32_t gatt_rig_reads(struct gatt_rig *r, uint32_t device, const char *name, int64_t every_ms,
                        const char *characteristic, const char *format)
{
    uint32_t p = gatt_rig_point(r, device, name, every_ms, false);
    gatt_rig_set(r, device, p, "characteristic", characteristic);
    if (format)
        gatt_rig_set(r, device, p, "format", format);
    return p;
}

void gatt_rig_sensor(struct gatt_rig *r, uint32_t device)
{
    struct att_server *s = &r->peers[device].server;
    att_server_service(s, "181a");
    uint16_t temperature = att_server_characteristic(s, "2a6e", 0x12, "\x0a\x09", 2);
    att_server_service(s, "180f");
    uint16_t battery = att_server_characteristic(s, "2a19", 0x02, "\x57", 1);
    uint16_t setpoint = att_server_characteristic(s, "6e400002b5a3f393e0a9e50e24dcca9e", 0x0A, "\0\0", 2);
    if (temperature != RIG_TEMPERATURE || battery != RIG_BATTERY || setpoint != RIG_SETPOINT)
        give_up("sensor", "its handles are not those of the header");
}

static void finish_all(struct gatt_rig *r)
{
    finish(r->source.settings);
    for (uint32_t d = 0; d < r->source.device_count; d++) {
        finish(r->devices[d].settings);
        for (uint32_t p = 0; p < r->devices[d].point_count; p++)
            finish(r->points[d][p].settings);
    }
}

int gatt_rig_check(struct gatt_rig *r, uint32_t device, uint32_t point, char error[RIG_TEXT])
{
    const char *option = NULL;
    finish_all(r);
    error[0] = '\0';
    return tg_gatt_check_point(&r->host, r->devices[device].settings, &r->points[device][point], &option,
                               error, RIG_TEXT);
}

int gatt_rig_open(struct gatt_rig *r, char error[RIG_TEXT])
{
    struct tg_gatt_config config = {0};
    finish_all(r);
    tg_gatt_config_read(&r->host, r->source.settings, &config);
    config.address = address;
    sockets.user = r;
    config.sockets = &sockets;
    return tg_gatt_new(&r->host, &r->source, &config, &r->set, error, RIG_TEXT);
}

void gatt_rig_adapter(struct gatt_rig *r, bool up)
{
    static const struct tg_ble_address own = {.bytes = {0xAD, 0, 0, 0, 0, 1}, .type = TG_BLE_ADDRESS_PUBLIC};
    tg_gatt_adapter(r->set, up, up ? &own : NULL);
}

void gatt_rig_start(struct gatt_rig *r)
{
    char error[RIG_TEXT];
    if (gatt_rig_open(r, error) != 0)
        give_up("open", error);
    gatt_rig_adapter(r, true);
}

/* --- time --------------------------------------------------------------------------------------------------------- */

static bool serve(struct gatt_rig *r, struct rig_device *d)
{
    uint8_t pdu[600], answer[520];
    if (d->fd < 0)
        return false;
    ssize_t n = recv(d->fd, pdu, sizeof pdu, MSG_DONTWAIT);
    if (n == 0) { /* the set has left */
        close(d->fd);
        d->fd = -1;
        return true;
    }
    if (n < 0)
        return false;
    if (++d->received == d->command_at)
        (void)tg_gatt_command(r->set, 1, (uint32_t)(d - r->peers), "read", "{\"characteristic\": \"2a19\"}");
    size_t len = att_server_answer(&d->server, pdu, (size_t)n, answer);
    if (len && send(d->fd, answer, len, MSG_NOSIGNAL) < 0)
        give_up("send", strerror(errno));
    return true;
}

static bool pending(const struct gatt_rig *r, int fd)
{
    for (size_t i = 0; i < RIG_DEVICES; i++) {
        if (r->peers[i].fd >= 0 && r->peers[i].client_fd == fd)
            return r->peers[i].absent;
    }
    return false;
}

/* One descriptor that is ready is told; false: none is. */
static bool ready(struct gatt_rig *r)
{
    for (size_t i = 0; i < 16; i++) {
        uint32_t wanted = r->watches[i].events, events = 0;
        struct pollfd p = {
            .fd = r->watches[i].fd,
            .events = (short)((wanted & TG_FD_READ ? POLLIN : 0) | (wanted & TG_FD_WRITE ? POLLOUT : 0))};
        if (!wanted || pending(r, p.fd) || poll(&p, 1, 0) <= 0)
            continue;
        events |= p.revents & POLLIN && wanted & TG_FD_READ ? TG_FD_READ : 0;
        events |= p.revents & POLLOUT && wanted & TG_FD_WRITE ? TG_FD_WRITE : 0;
        events |= p.revents & (POLLHUP | POLLERR) ? TG_FD_HANGUP : 0;
        if (!tg_gatt_fd_ready(r->set, p.fd, events, r->now_ms))
            give_up("fd_ready", "not its own");
        return true;
    }
    return false;
}

static void count_connected(struct gatt_rig *r)
{
    uint32_t n = 0;
    for (size_t i = 0; i < 16; i++)
        n += r->watches[i].events != 0;
    r->connected_most = n > r->connected_most ? n : r->connected_most;
}

void gatt_rig_run(struct gatt_rig *r, int64_t for_ms)
{
    int64_t end = r->now_ms + for_ms;
    for (uint32_t turns = 0; r->now_ms <= end; turns++) {
        int32_t wait = tg_gatt_poll(r->set, r->now_ms);
        bool busy = false;
        if (turns > 200000) {
            gatt_rig_print(r);
            give_up("run", "it never comes to rest");
        }
        count_connected(r);
        for (size_t i = 0; i < RIG_DEVICES; i++)
            busy |= serve(r, &r->peers[i]);
        if (ready(r) || busy)
            continue;
        if (wait == TG_POLL_IDLE || r->now_ms + wait > end) {
            r->now_ms = end;
            tg_gatt_poll(r->set, r->now_ms);
            return;
        }
        r->now_ms += wait;
    }
}

void gatt_rig_drop(struct gatt_rig *r, uint32_t device)
{
    if (r->peers[device].fd >= 0)
        close(r->peers[device].fd);
    r->peers[device].fd = -1;
}

void gatt_rig_send(struct gatt_rig *r, uint32_t device, const void *pdu, size_t len)
{
    if (r->peers[device].fd < 0 || send(r->peers[device].fd, pdu, len, MSG_NOSIGNAL) < 0)
        give_up("send", "not connected");
}

void gatt_rig_tell(struct gatt_rig *r, uint32_t device, uint16_t handle)
{
    uint8_t pdu[520];
    size_t n = att_server_tell(&r->peers[device].server, handle, pdu);
    if (!n)
        give_up("tell", "nobody has subscribed");
    gatt_rig_send(r, device, pdu, n);
}

/* --- the record --------------------------------------------------------------------------------------------------- */

static bool fits(const struct rig_event *e, int kind, int device, int point)
{
    return (int)e->kind == kind && (device < 0 || e->device == (uint32_t)device) &&
           (point < 0 || e->point == (uint32_t)point);
}

size_t gatt_rig_count(const struct gatt_rig *r, size_t from, int kind, int device, int point)
{
    size_t n = 0;
    for (size_t i = from; i < r->count; i++)
        n += fits(&r->events[i], kind, device, point);
    return n;
}

const struct rig_event *gatt_rig_last(const struct gatt_rig *r, int kind, int device, int point)
{
    for (size_t i = r->count; i-- > 0;) {
        if (fits(&r->events[i], kind, device, point))
            return &r->events[i];
    }
    gatt_rig_print(r);
    give_up("last", "there is no such event; the record is above");
}

bool gatt_rig_is(const struct rig_event *e, double number)
{
    double v = e->value.type == TG_VALUE_REAL ? e->value.as.real : (double)e->value.as.integer;
    return e->quality == TG_QUALITY_GOOD && v - number < 1e-9 && number - v < 1e-9;
}

const struct rig_event *gatt_rig_answer(const struct gatt_rig *r, uint64_t request)
{
    for (size_t i = 0; i < r->count; i++) {
        if (r->events[i].kind == RIG_ANSWER && r->events[i].request == request)
            return &r->events[i];
    }
    return NULL;
}

void gatt_rig_print(const struct gatt_rig *r)
{
    static const char *const kinds[] = {"value", "state", "answer", "log", "fact"};
    for (size_t i = r->count > 60 ? r->count - 60 : 0; i < r->count; i++) {
        const struct rig_event *e = &r->events[i];
        double v = e->value.type == TG_VALUE_REAL ? e->value.as.real : (double)e->value.as.integer;
        fprintf(stderr, "  %8.3f %s d%u p%u q%u s%u request %llu status %d value %g %s\n",
                (double)(e->at_ms - 1000000) / 1000, kinds[e->kind], e->device, e->point, e->quality,
                e->state, (unsigned long long)e->request, e->status, v, e->text);
    }
}
