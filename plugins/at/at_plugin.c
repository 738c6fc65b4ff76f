/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * at - reads AT devices on serial ports: the life of the port, and the plugin's table. On the loop; never
 * blocks.
 */
#include <errno.h>
#include <stdio.h>
#include <sys/ioctl.h>
#include <termios.h>
#include <unistd.h>

#include "core/base/allocator.h"
#include "core/base/random.h"
#include "plugins/at/at_decode.h"
#include "plugins/at/at_discover.h"
#include "plugins/at/at_instance.h"
#include "plugins/at/at_options.h"
#include "plugins/at/at_rates.h"
#include "plugins/at/at_scripts.h"
#include "plugins/at/at_text.h"
#include "plugins/at/cellular.h"
#include "plugins/at/cellular_ppp.h"
#include "plugins/at/cellular_pppd.h"
#include "southbound/serial_port.h"

#define READ_BYTES     1024
#define READS_AT_ONCE  4 /* then other sources have their turn */
#define AT_LOST_COUNTS 5 /* four probes and +++ */

void at_set_state(struct at_source *s, uint32_t state, const char *text)
{
    if (state == s->state)
        return;
    s->state = state;
    for (uint32_t d = 0; d < s->config->device_count; d++)
        s->host->device_state(s->host->source, d, state, text);
}

static void watch(struct at_source *s, uint32_t events)
{
    if (s->watched == events)
        return;
    if (s->host->watch_fd(s->host->source, s->fd, events) == 0)
        s->watched = events;
}

/* --- the port --- */

/* DTR on or off; ports without the line (ptys, some adapters) stay as they are. */
static void set_dtr(struct at_source *s, bool on)
{
    int line = TIOCM_DTR;
    s->dtr_dropped = !on;
    (void)ioctl(s->fd, on ? TIOCMBIS : TIOCMBIC, &line);
}

/* Closes the port and plans to open it again. Every job and request ends. */
static void port_close(struct at_source *s, int64_t now_ms)
{
    struct tg_at_event ev;
    if (s->fd < 0)
        return;
    watch(s, 0);
    s->watched = 0;
    tg_serial_close(s->fd);
    s->fd = -1;
    s->muted = false;
    s->phase = AT_CLOSED;
    s->need_init = true;
    if (s->ok_since_ms >= 0)
        tg_backoff_held(&s->backoff, now_ms - s->ok_since_ms);
    s->ok_since_ms = s->init_began_ms = -1;
    s->reopen_ms = now_ms + tg_backoff_next(&s->backoff, tg_random_u32());
    tg_at_chat_hangup(&s->chat);
    while (tg_at_chat_event(&s->chat, &ev)) {
        if (ev.kind == TG_AT_EVENT_RESULT)
            at_job_done(s, &ev.result, now_ms);
    }
    at_fail_requests(s);
    at_cellular_end(s);
}

void at_port_lend(struct at_source *s, int64_t now_ms)
{
    port_close(s, now_ms);
    s->lent = true;
    s->outage = false;
    s->reopen_ms = INT64_MAX;
}

void at_port_return(struct at_source *s, int64_t at_ms)
{
    s->lent = false;
    s->reopen_ms = at_ms;
}

/* The port is gone: nothing can be asked, which all points say once. */
static void unplugged(struct at_source *s, const char *why, int64_t now_ms)
{
    char text[sizeof s->last_error];
    bool told = s->state == TG_DEVICE_DOWN;
    port_close(s, now_ms);
    s->outage = true;
    snprintf(text, sizeof text, "%s; trying again every %d s at most", why, AT_REOPEN_MAX_MS / 1000);
    if (strcmp(text, s->last_error) != 0) {
        memcpy(s->last_error, text, sizeof text);
        at_trouble(s, AT_TROUBLE_UNPLUGGED, "%s", text);
    }
    if (!told)
        at_emit_all(s, TG_QUALITY_COMM);
    at_set_state(s, TG_DEVICE_DOWN, text);
}

static void port_open(struct at_source *s, int64_t now_ms)
{
    char why[400];
    int fd;
    if (at_pppd_has(s->port, now_ms)) {
        s->reopen_ms = now_ms + AT_REOPEN_MIN_MS; /* of the instance before this one: it is ending */
        return;
    }
    fd = tg_serial_open(s->port, s->baud, s->rtscts, why, sizeof why);
    if (fd < 0) {
        s->reopen_ms = now_ms + tg_backoff_next(&s->backoff, tg_random_u32());
        unplugged(s, why, now_ms);
        return;
    }
    s->fd = fd;
    s->watched = 0;
    watch(s, TG_FD_READ);
    if (s->watched == 0) {
        unplugged(s, "too many descriptors are watched by this source", now_ms);
        return;
    }
    if (s->dtr_dropped)
        set_dtr(s, true);
    s->phase = AT_RATES;
    s->need_init = true;
    if (!at_rates_begin(s, now_ms)) {
        s->phase = AT_SYNCING;
        tg_at_chat_sync(&s->chat, now_ms);
    }
}

/* --- whether the device answers --- */

void at_answered(struct at_source *s, int64_t now_ms)
{
    s->silent = 0;
    if (s->phase != AT_RUN)
        return; /* initial commands do not show that the points can be read */
    if (s->ok_since_ms < 0)
        s->ok_since_ms = now_ms;
    s->outage = false;
    s->last_error[0] = 0;
    if (at_cellular_known(s))
        at_set_state(s, at_cellular_trouble(s) ? TG_DEVICE_SUSPECT : TG_DEVICE_OK, at_cellular_trouble(s));
}

void at_unanswered(struct at_source *s, uint32_t count, const char *what, int64_t timeout_ms)
{
    char text[256];
    s->silent += count;
    if (s->silent >= AT_DOWN_AFTER && s->state != TG_DEVICE_DOWN) {
        snprintf(text, sizeof text,
                 "no answer to %u commands in a row on %s, %s the last; trying again every %d s at most",
                 s->silent, s->port, what, AT_REOPEN_MAX_MS / 1000);
        s->host->log(s->host->source, TG_LOG_WARN, "%s", text);
        at_emit_all(s, TG_QUALITY_DOWN);
        at_set_state(s, TG_DEVICE_DOWN, text);
    } else {
        snprintf(text, sizeof text, "no answer to %s on %s in %lld ms; resynchronising", what, s->port,
                 (long long)timeout_ms);
        at_trouble(s, AT_TROUBLE_TIMEOUT, "%s", text);
        if (s->state != TG_DEVICE_DOWN)
            at_set_state(s, TG_DEVICE_SUSPECT, text);
    }
}

static void initialised(struct at_source *s, int64_t now_ms)
{
    s->phase = AT_RUN;
    s->need_init = false;
    s->init_began_ms = -1;
    at_cellular_begin(s, now_ms);
    if (s->exchange_count == 0)
        at_answered(s, now_ms); /* nothing will be asked: answering the probe is what there is */
}

static void synced(struct at_source *s, int64_t now_ms)
{
    if (s->need_init && s->init_began_ms < 0) /* a later look for its answers is within the same limit */
        s->init_began_ms = now_ms;
    s->phase = s->need_init ? AT_INIT : AT_RUN;
    s->init_next = 0;
    if (s->phase == AT_INIT && !s->init[0].text)
        initialised(s, now_ms);
}

/* The device answers, but its initialisation does not come to its end: it is begun anew with a port opened anew. */
static void init_too_slow(struct at_source *s, int64_t now_ms)
{
    at_trouble(s, AT_TROUBLE_INIT, "%s: the initial commands took longer than %lld s; opening the port anew",
               s->port, (long long)(s->init_limit_ms / 1000));
    at_unanswered(s, 1, "the initial commands", s->init_limit_ms);
    s->outage = true;
    port_close(s, now_ms);
}

/* The last resort before a port is opened anew. */
static void lost(struct at_source *s, uint32_t count, const char *what, int64_t now_ms)
{
    at_unanswered(s, count, what, 1000);
    s->outage = true;
    if (s->dtr_reset)
        set_dtr(s, false);
    port_close(s, now_ms);
}

static void handle(struct at_source *s, const struct tg_at_event *ev, int64_t now_ms)
{
    char shown[AT_SHOWN_BYTES];
    bool was_down = s->state == TG_DEVICE_DOWN;
    switch (ev->kind) {
    case TG_AT_EVENT_RESULT:
        at_job_done(s, &ev->result, now_ms);
        if (ev->result.status == TG_AT_TIMEOUT) {
            s->phase = AT_SYNCING;
            if (was_down || s->state == TG_DEVICE_DOWN)
                port_close(s, now_ms); /* not asked again before the back-off is over */
        } else if (s->phase == AT_INIT && !s->init[s->init_next].text) {
            initialised(s, now_ms);
        } else if (tg_at_chat_state(&s->chat) == TG_AT_QUIET) {
            s->phase = AT_SYNCING; /* the answer did not fit its command */
        }
        break;
    case TG_AT_EVENT_URC:
        at_on_urc(s, ev);
        at_cellular_urc(s, ev->lines[0], now_ms);
        if (ev->reboot) {
            at_trouble(s, AT_TROUBLE_RESTART, "%s: the device has restarted (\"%s\"); initialising it",
                       s->port, at_shown(ev->lines[0], shown));
            s->need_init = true;
            s->init_began_ms = -1;
            s->phase = AT_SYNCING;
            tg_at_chat_sync(&s->chat, now_ms);
        }
        break;
    case TG_AT_EVENT_OTHER:
        s->host->log(s->host->source, TG_LOG_DEBUG, "%s: nobody waits for \"%s\"", s->port,
                     at_shown(ev->lines[0], shown));
        break;
    case TG_AT_EVENT_SYNCED:
        synced(s, now_ms);
        break;
    case TG_AT_EVENT_LOST:
        lost(s, AT_LOST_COUNTS, "AT", now_ms);
        at_ppp_rescue(s, now_ms);
        break;
    }
}

/* Does everything that can be done now. */
static void run(struct at_source *s, struct tg_bytes in, int64_t now_ms)
{
    struct tg_at_event ev;
    bool progress;
    do {
        progress = false;
        tg_at_chat_tick(&s->chat, now_ms);
        while (tg_at_chat_event(&s->chat, &ev)) {
            handle(s, &ev, now_ms);
            progress = true;
        }
        if (s->fd < 0)
            return;
        if (in.len > 0) {
            size_t n = tg_at_chat_input(&s->chat, in, now_ms);
            in = tg_at_rest(in, n);
            progress = progress || n > 0;
        }
        if (tg_at_chat_state(&s->chat) == TG_AT_DATA) { /* a raw command went online: nobody wants its data */
            tg_at_chat_leave_data(&s->chat, now_ms);
            s->phase = AT_SYNCING;
        }
        progress = at_start_job(s, now_ms) || progress;
    } while (progress);
}

static void flush(struct at_source *s, int64_t now_ms)
{
    while (s->fd >= 0) {
        struct tg_bytes out = tg_at_chat_output(&s->chat);
        ssize_t n;
        if (out.len == 0) {
            watch(s, s->muted ? 0 : TG_FD_READ);
            return;
        }
        n = write(s->fd, out.data, out.len);
        if (n > 0) {
            tg_at_chat_output_ack(&s->chat, (size_t)n, now_ms);
        } else if (n < 0 && errno == EAGAIN) {
            watch(s, s->muted ? TG_FD_WRITE : TG_FD_READ | TG_FD_WRITE);
            return;
        } else if (n == 0 || errno != EINTR) {
            char why[200];
            snprintf(why, sizeof why, "%s was unplugged (writing: %s)", s->port,
                     n == 0 ? "no room" : strerror(errno));
            unplugged(s, why, now_ms);
        }
    }
}

/* --- the plugin --- */

static int at_open(const struct tg_host *host, const struct tg_source *source, void **ret_instance,
                   char *error, size_t error_size)
{
    struct at_source *s = tg_calloc(1, sizeof *s);
    int rc;
    if (!s) {
        snprintf(error, error_size, "out of memory");
        return TG_PLUGIN_ENOMEM;
    }
    s->host = host;
    s->config = source;
    s->fd = -1;
    s->ok_since_ms = s->init_began_ms = -1;
    s->need_init = true;
    s->backoff = (struct tg_backoff){.floor_ms = AT_REOPEN_MIN_MS,
                                     .base_ms = AT_REOPEN_MIN_MS,
                                     .cap_ms = AT_REOPEN_MAX_MS,
                                     .stable_ms = AT_STABLE_MS};
    rc = at_source_build(s, error, error_size);
    if (rc < 0) {
        at_source_free(s);
        return rc;
    }
    s->reopen_ms = host->now_ms(host->source);
    *ret_instance = s;
    return TG_PLUGIN_OK;
}

static int64_t next_due(const struct at_source *s)
{
    int64_t at = s->phase == AT_CLOSED  ? s->reopen_ms
                 : s->phase == AT_RATES ? tg_at_baud_deadline(&s->search)
                                        : tg_at_chat_deadline(&s->chat),
            polls;
    bool asks = s->phase == AT_RUN && s->job == AT_JOB_NONE && tg_at_chat_state(&s->chat) == TG_AT_IDLE;
    bool tells = s->outage && s->phase != AT_RUN && s->state != TG_DEVICE_DOWN;
    polls = asks || tells ? tg_at_script_deadline(&s->script) : INT64_MAX;
    if (at_cellular_deadline(s) < at)
        at = at_cellular_deadline(s);
    if (s->muted && s->unmute_ms < at)
        at = s->unmute_ms;
    if (s->phase == AT_INIT && s->init_began_ms + s->init_limit_ms < at)
        at = s->init_began_ms + s->init_limit_ms;
    return polls < at ? polls : at;
}

/* At which rate does it answer? */
static void search(struct at_source *s, int64_t now_ms)
{
    switch (at_rates_run(s, now_ms)) {
    case AT_RATES_SEARCHING:
        break;
    case AT_RATES_FOUND:
        s->phase = AT_SYNCING;
        tg_at_chat_sync(&s->chat, now_ms);
        break;
    case AT_RATES_NONE:
        lost(s, AT_DOWN_AFTER, "AT at every rate", now_ms);
        break;
    }
}

static int32_t at_poll(void *instance, int64_t now_ms)
{
    struct at_source *s = instance;
    int64_t at, wait;
    if (s->phase == AT_CLOSED && now_ms >= s->reopen_ms)
        port_open(s, now_ms);
    if (s->muted && now_ms >= s->unmute_ms)
        s->muted = false;
    if (s->phase == AT_RATES)
        search(s, now_ms);
    if (s->phase == AT_INIT && now_ms >= s->init_began_ms + s->init_limit_ms)
        init_too_slow(s, now_ms);
    run(s, tg_bytes(NULL, 0), now_ms);
    at_cellular_tick(s, now_ms);
    run(s, tg_bytes(NULL, 0), now_ms);
    flush(s, now_ms);
    if (s->outage && s->phase != AT_RUN)
        at_skip_due(s, s->state == TG_DEVICE_DOWN ? TG_QUALITY_GOOD : TG_QUALITY_TIMEOUT, now_ms);
    at_tell_troubles(s, now_ms);
    at = next_due(s);
    if (at == INT64_MAX)
        return TG_POLL_IDLE;
    wait = at <= now_ms ? 0 : at - now_ms;
    return wait > INT32_MAX ? INT32_MAX : (int32_t)wait;
}

static void received(struct at_source *s, struct tg_bytes in, int64_t now_ms)
{
    int64_t room = at_bucket_room(&s->bytes, now_ms);
    at_bucket_take(&s->bytes, (int64_t)in.len);
    if (s->phase == AT_RATES)
        tg_at_baud_input(&s->search, in);
    else
        run(s, in, now_ms);
    if (room > (int64_t)in.len || s->fd < 0)
        return;
    at_trouble(s, AT_TROUBLE_FLOOD, "%s: the device sends more than %lld bytes a second; reading in pauses",
               s->port, (long long)s->bytes.per_s);
    s->muted = true;
    s->unmute_ms = now_ms + AT_FLOOD_PAUSE_MS;
    watch(s, s->watched & TG_FD_WRITE);
}

static void at_fd_ready(void *instance, int fd, uint32_t events)
{
    struct at_source *s = instance;
    int64_t now_ms = s->host->now_ms(s->host->source);
    char why[200];
    if (at_ppp_fd_ready(s, fd, events, now_ms))
        return;
    for (int i = 0; fd == s->fd && i < READS_AT_ONCE && !s->muted; i++) {
        uint8_t buf[READ_BYTES];
        ssize_t n = read(fd, buf, sizeof buf);
        if (n > 0) {
            received(s, tg_bytes(buf, (size_t)n), now_ms);
            continue;
        }
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0 && errno == EAGAIN && !(events & TG_FD_HANGUP))
            break;
        snprintf(why, sizeof why, "%s was unplugged", s->port);
        unplugged(s, why, now_ms);
    }
}

static void at_close(void *instance)
{
    struct at_source *s = instance;
    port_close(s, s->host->now_ms(s->host->source));
    at_source_free(s);
}

static const struct tg_plugin at = {
    TG_PLUGIN_INIT(TG_THREAD_LOOP),
    .name = "at",
    .version = "1.0",
    .summary = "AT devices on serial ports: commands with patterns, unsolicited lines, writes",
    .source_options = tg_at_source_options,
    .device_options = tg_at_device_options,
    .point_options = tg_at_point_options,
    .profiles = tg_at_profiles,
    .check_point = tg_at_check_point,
    .check_source = at_check_source,
    .open = at_open,
    .poll = at_poll,
    .close = at_close,
    .write = at_write,
    .check_value = tg_at_check_value,
    .command = at_command,
    .fd_ready = at_fd_ready,
    .decode = tg_at_decode,
    .discover = tg_at_discover,
    .needs = TG_NEEDS_STATED, /* ports are named by options, and `ppp` says what it needs itself */
};
TG_PLUGIN_EXPORT(at)
