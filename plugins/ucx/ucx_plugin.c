/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * ucx - Bluetooth devices behind a u-connectXpress module, and the module itself: the life of the port, and the plugin's table. On the
 * loop; never blocks.
 */
#include <errno.h>
#include <stdio.h>
#include <unistd.h>

#include "core/base/allocator.h"
#include "core/base/random.h"
#include "plugins/at/at_text.h"
#include "plugins/ucx/ucx_instance.h"
#include "southbound/serial_port.h"

#define READ_BYTES    2048
#define READS_AT_ONCE 4 /* then other sources have their turn */

static void watch(struct ucx_source *s, uint32_t events)
{
    if (s->watched != events && s->host->watch_fd(s->host->source, s->fd, events) == 0)
        s->watched = events;
}

static void modules_state(struct ucx_source *s, uint32_t state, const char *text)
{
    for (uint32_t d = 0; d < s->config->device_count; d++)
        if (!s->devices[d].is_peer) {
            if (state == TG_DEVICE_DOWN && s->devices[d].state != TG_DEVICE_DOWN)
                ucx_emit_all(s, d, TG_QUALITY_COMM);
            ucx_set_state(s, d, state, text);
        }
}

/* --- the port --- */

static void port_close(struct ucx_source *s, int64_t now_ms)
{
    struct tg_ucx_event e;
    if (s->fd < 0)
        return;
    watch(s, 0);
    s->watched = 0;
    tg_serial_close(s->fd);
    s->fd = -1;
    s->phase = UCX_CLOSED;
    if (s->ok_since_ms >= 0)
        tg_backoff_held(&s->backoff, now_ms - s->ok_since_ms);
    s->ok_since_ms = -1;
    tg_ucx_link_stop(&s->link);
    while (tg_ucx_link_event(&s->link, now_ms, &e))
        if (e.kind == TG_UCX_EVENT_RESULT)
            ucx_job_done(s, &e.result, now_ms);
    s->job = UCX_JOB_NONE;
    ucx_fail_requests(s, "the module does not answer; nothing was sent");
}

/* Nothing can be reached: every device says so once. */
static void gone(struct ucx_source *s, const char *why, int64_t now_ms)
{
    char text[sizeof s->last_error];
    port_close(s, now_ms);
    s->reopen_ms = now_ms + tg_backoff_next(&s->backoff, tg_random_u32());
    snprintf(text, sizeof text, "%s; trying again every %d s at most", why, UCX_REOPEN_MAX_MS / 1000);
    if (strcmp(text, s->last_error) != 0) {
        memcpy(s->last_error, text, sizeof text);
        s->host->log(s->host->source, TG_LOG_WARN, "%s", text);
    }
    modules_state(s, TG_DEVICE_DOWN, text);
    ucx_peers_lost(s, "the module is not there", now_ms);
    ucx_carry_lost(s, why);
}

static void port_open(struct ucx_source *s, int64_t now_ms)
{
    char why[250];
    int fd = tg_serial_open(s->port, s->baud, s->rtscts, why, sizeof why);
    if (fd < 0) {
        gone(s, why, now_ms);
        return;
    }
    s->fd = fd;
    s->watched = 0;
    watch(s, TG_FD_READ);
    if (s->watched == 0) {
        gone(s, "too many descriptors are watched by this source", now_ms);
        return;
    }
    s->phase = UCX_FINDING;
    tg_ucx_link_start(&s->link, now_ms);
}

/* --- what the link says --- */

static void ready(struct ucx_source *s, bool extended, int64_t now_ms)
{
    if (s->ok_since_ms < 0)
        s->ok_since_ms = now_ms;
    s->last_error[0] = '\0';
    modules_state(s, TG_DEVICE_OK, NULL);
    if (s->phase == UCX_RUN && extended)
        return; /* it was out of step for a moment */
    s->init_next = 0;
    s->ask_connections = s->list_old = extended; /* of a run before this one */
    s->phase = extended ? UCX_RUN : UCX_INIT;
}

static void handle(struct ucx_source *s, const struct tg_ucx_event *e, int64_t now_ms)
{
    char text[300];
    switch (e->kind) {
    case TG_UCX_EVENT_READY:
        ready(s, e->extended, now_ms);
        break;
    case TG_UCX_EVENT_LOST:
        snprintf(text, sizeof text,
                 e->heard_bytes ? "%s: bytes come that are no answer of a module; is baud right?"
                                : "%s: the module does not answer; check power, cable and flow",
                 s->port);
        gone(s, text, now_ms);
        break;
    case TG_UCX_EVENT_RESULT:
        ucx_job_done(s, &e->result, now_ms);
        break;
    case TG_UCX_EVENT_URC:
        ucx_on_urc(s, e->line, now_ms);
        break;
    case TG_UCX_EVENT_RESTARTED:
        s->host->log(s->host->source, TG_LOG_INFO,
                     "%s: the module has restarted; its connections are made anew", s->port);
        s->phase = UCX_FINDING;
        ucx_peers_lost(s, "the module has restarted", now_ms);
        ucx_carry_lost(s, "the module has restarted");
        break;
    case TG_UCX_EVENT_CONNECT:
        ucx_on_connect(s, &e->frame, now_ms);
        break;
    case TG_UCX_EVENT_DISCONNECT:
        ucx_on_disconnect(s, e->frame.channel, now_ms);
        break;
    case TG_UCX_EVENT_DATA:
        ucx_on_data(s, &e->frame, now_ms);
        break;
    case TG_UCX_EVENT_STARTED:
        break; /* the answer to ATO2 said it already */
    }
}

static void run(struct ucx_source *s, struct tg_bytes in, int64_t now_ms)
{
    struct tg_ucx_event e;
    bool progress;
    size_t n;
    do {
        progress = false;
        tg_ucx_link_tick(&s->link, now_ms);
        while (s->fd >= 0 && tg_ucx_link_event(&s->link, now_ms, &e)) {
            handle(s, &e, now_ms);
            progress = true;
        }
        if (s->fd < 0)
            return;
        n = tg_ucx_link_input(&s->link, in, now_ms);
        in = tg_at_rest(in, n);
        progress = ucx_start_job(s, now_ms) || progress;
    } while (progress || n > 0);
}

static void flush(struct ucx_source *s, int64_t now_ms)
{
    while (s->fd >= 0) {
        struct tg_bytes out = tg_ucx_link_output(&s->link, now_ms);
        ssize_t n;
        char why[200];
        if (out.len == 0 && (ucx_flush_sends(s) || ucx_carry_flush(s)))
            continue;
        if (out.len == 0) {
            ucx_carry_look_drained(s, now_ms);
            watch(s, TG_FD_READ);
            return;
        }
        n = write(s->fd, out.data, out.len);
        if (n > 0) {
            tg_ucx_link_output_ack(&s->link, (size_t)n, now_ms);
        } else if (n < 0 && errno == EAGAIN) {
            watch(s, TG_FD_READ | TG_FD_WRITE);
            return;
        } else if (n == 0 || errno != EINTR) {
            snprintf(why, sizeof why, "%s was unplugged (writing: %s)", s->port,
                     n == 0 ? "no room" : strerror(errno));
            gone(s, why, now_ms);
        }
    }
}

/* --- the plugin --- */

static int ucx_open(const struct tg_host *host, const struct tg_source *source, void **ret_instance,
                    char *error, size_t error_size)
{
    struct ucx_source *s = tg_calloc(1, sizeof *s);
    int rc;
    if (!s) {
        snprintf(error, error_size, "out of memory");
        return TG_PLUGIN_ENOMEM;
    }
    s->host = host;
    s->config = source;
    s->fd = -1;
    s->drain_look_ms = INT64_MAX;
    s->ok_since_ms = -1;
    s->backoff = (struct tg_backoff){.floor_ms = UCX_REOPEN_MIN_MS,
                                     .base_ms = UCX_REOPEN_MIN_MS,
                                     .cap_ms = UCX_REOPEN_MAX_MS,
                                     .stable_ms = UCX_STABLE_MS};
    rc = ucx_source_build(s, error, error_size);
    if (rc < 0) {
        ucx_source_free(s);
        return rc;
    }
    s->reopen_ms = host->now_ms(host->source);
    *ret_instance = s;
    return TG_PLUGIN_OK;
}

static int64_t earlier(int64_t a, int64_t b)
{
    return a < b ? a : b;
}

static int32_t ucx_poll(void *instance, int64_t now_ms)
{
    struct ucx_source *s = instance;
    int64_t at;
    if (s->phase == UCX_CLOSED && now_ms >= s->reopen_ms)
        port_open(s, now_ms);
    ucx_peers_tick(s, now_ms);
    run(s, tg_bytes(NULL, 0), now_ms);
    flush(s, now_ms);
    ucx_carry_tick(s, now_ms);
    at = s->phase == UCX_CLOSED ? s->reopen_ms : tg_ucx_link_deadline(&s->link);
    at = earlier(at, ucx_carry_deadline(s));
    if (s->job == UCX_JOB_NONE && tg_ucx_link_idle(&s->link)) {
        at = earlier(at, ucx_peers_deadline(s));
        if (s->phase == UCX_RUN)
            at = earlier(at, tg_at_script_deadline(&s->script));
    }
    if (at == INT64_MAX)
        return TG_POLL_IDLE;
    at = at <= now_ms ? 0 : at - now_ms;
    return at > INT32_MAX ? INT32_MAX : (int32_t)at;
}

static void ucx_fd_ready(void *instance, int fd, uint32_t events)
{
    struct ucx_source *s = instance;
    int64_t now_ms = s->host->now_ms(s->host->source);
    char why[200];
    for (int i = 0; fd == s->fd && i < READS_AT_ONCE; i++) {
        uint8_t buf[READ_BYTES];
        ssize_t n = read(fd, buf, sizeof buf);
        if (n > 0) {
            run(s, tg_bytes(buf, (size_t)n), now_ms);
            continue;
        }
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0 && errno == EAGAIN && !(events & TG_FD_HANGUP))
            break;
        snprintf(why, sizeof why, "%s was unplugged", s->port);
        gone(s, why, now_ms);
    }
}

static void ucx_close(void *instance)
{
    struct ucx_source *s = instance;
    port_close(s, s->host->now_ms(s->host->source));
    ucx_carry_lost(s, NULL);
    ucx_source_free(s);
}

/* AT+UWSSTAT: 3 the state (2: connected), 6 the signal strength in dBm. */
static const struct tg_profile profiles[] = {
    {"wifi", "The module itself: whether it is in its Wi-Fi network, and how strong that is.",
     "points:\n"
     "  - {name: wifi_state, command: AT+UWSSTAT=3, match: '^\\+UWSSTAT:3,(\\d)', type: int, every: 30s}\n"
     "  - {name: wifi_rssi, command: AT+UWSSTAT, match: '^\\+UWSSTAT:6,(-?\\d+)', type: int, unit: dBm, "
     "every: 30s}\n"},
    {0},
};

static const struct tg_plugin ucx = {
    TG_PLUGIN_INIT(TG_THREAD_LOOP),
    .name = "ucx",
    .version = "1.0",
    .summary =
        "Bluetooth devices behind a u-connectXpress module (extended data mode), and the module itself",
    .source_options = ucx_source_options,
    .device_options = ucx_device_options,
    .point_options = ucx_point_options,
    .profiles = profiles,
    .check_point = ucx_check_point,
    .check_source = ucx_check_source,
    .check_device = ucx_check_device,
    .open = ucx_open,
    .poll = ucx_poll,
    .close = ucx_close,
    .write = ucx_write,
    .check_value = ucx_check_value,
    .command = ucx_command,
    .fd_ready = ucx_fd_ready,
    .decode = ucx_decode,
    .needs = TG_NEEDS_STATED,
    .carry_open = ucx_carry_open,
    .carry_close = ucx_carry_close,
    .carry = ucx_carry,
    .carry_max_bytes = TG_EDM_DATA_MAX,
};
TG_PLUGIN_EXPORT(ucx)
