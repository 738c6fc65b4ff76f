/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "plugins/at/cellular_ppp.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "core/base/allocator.h"
#include "core/base/random.h"
#include "core/base/secret.h"
#include "plugins/at/at_options.h"
#include "plugins/at/at_text.h"
#include "plugins/at/cellular_pppd.h"
#include "southbound/serial_port.h"

#define GUARD_MS        1200
#define LOOK_MS         500 /* whether pppd has ended */
#define TERM_MS         10000
#define STABLE_MS       60000
#define RETRY_MIN_MS    2000
#define RETRY_MAX_MS    300000
#define PASSWORD_MAX    256
#define RESCUE_PAUSE_MS 3000
#define LAST_READS      8 /* of its output, when it has ended */

enum ppp_phase { PPP_WAIT, PPP_DIAL, PPP_RUN, PPP_HANGUP };

struct at_ppp {
    struct at_cellular *cellular;
    struct at_source *source;
    const char *port, *dial, *program, *user, *password_file;
    bool default_route, shared; /* shared: AT and data have one port */
    const char *const *options;
    uint32_t option_count;

    enum ppp_phase phase;
    int fd; /* while dialling and hanging up */
    uint32_t watched;
    struct tg_at_chat chat;
    bool queued;      /* the command of this phase is with the conversation */
    int64_t guard_ms; /* HANGUP: end of the silence; 0 = over */
    bool plus_sent;
    bool rescues;          /* hangs up because nothing answers */
    int64_t due_ms, up_ms; /* WAIT: not before; RUN: up since, 0 = not up */
    struct tg_backoff backoff;

    pid_t pid; /* 0 = none */
    int output;
    char line[256];
    size_t line_len;
    char address[64], why[200]; /* why: the last thing that went wrong; "" = nothing */
    int64_t look_ms, term_ms;
    bool told_failure;
};

static void logged(const struct at_ppp *p, uint32_t level, const char *what, const char *detail)
{
    const struct tg_host *h = p->source->host;
    h->log(h->source, level, "%s: %s%s%s", p->port, what, detail ? ": " : "", detail ? detail : "");
}

/* --- the port ------------------------------------------------------------------------------------------- */

static void watch(struct at_ppp *p, int fd, uint32_t events)
{
    if (p->watched != events && p->source->host->watch_fd(p->source->host->source, fd, events) == 0)
        p->watched = events;
}

static void close_port(struct at_ppp *p)
{
    if (p->fd < 0)
        return;
    watch(p, p->fd, 0);
    p->watched = 0;
    tg_serial_close(p->fd);
    p->fd = -1;
}

static bool open_port(struct at_ppp *p)
{
    static const struct tg_at_chat_config config = {.probe_ms = 2000};
    struct at_source *s = p->source;
    p->fd = tg_serial_open(p->port, s->baud, s->rtscts, p->why, sizeof p->why);
    if (p->fd < 0)
        return false;
    p->watched = 0;
    p->queued = false;
    watch(p, p->fd, TG_FD_READ);
    tg_at_chat_init(&p->chat, &config);
    return true;
}

/* Back to WAIT; with one port the source has it again. */
static void rest(struct at_ppp *p, int64_t now_ms)
{
    close_port(p);
    p->phase = PPP_WAIT;
    p->due_ms = now_ms + tg_backoff_next(&p->backoff, tg_random_u32());
    if (p->shared)
        at_port_return(p->source, now_ms + (p->rescues ? RESCUE_PAUSE_MS : 0));
    at_cellular_tell_uplink(p->cellular);
}

static void failed(struct at_ppp *p, int64_t now_ms)
{
    char text[300];
    snprintf(text, sizeof text, "%s; trying again, at the latest every %d s", p->why, RETRY_MAX_MS / 1000);
    logged(p, p->told_failure ? TG_LOG_DEBUG : TG_LOG_WARN, "no data link", text);
    p->told_failure = true;
    rest(p, now_ms);
}

static void begin_dial(struct at_ppp *p, int64_t now_ms)
{
    if (p->shared)
        at_port_lend(p->source, now_ms);
    p->phase = PPP_DIAL;
    p->rescues = false;
    if (!open_port(p)) {
        failed(p, now_ms);
        return;
    }
    tg_at_chat_sync(&p->chat, now_ms);
}

static void begin_hangup(struct at_ppp *p, int64_t now_ms)
{
    char keep[sizeof p->why];
    memcpy(keep, p->why, sizeof keep);
    p->phase = PPP_HANGUP;
    close_port(p);
    if (!open_port(p)) {
        memcpy(p->why, keep, sizeof keep);
        rest(p, now_ms);
        return;
    }
    p->plus_sent = false;
    p->guard_ms = now_ms + GUARD_MS;
    tg_at_chat_hangup(&p->chat);
}

/* --- pppd --------------------------------------------------------------------------------------------------- */

static bool read_password(struct at_ppp *p, struct tg_secret *s)
{
    struct tg_error err = {0};
    if (!p->password_file)
        return true;
    if (tg_secret_read(p->password_file, TG_SECRET_PRIVATE, s, &err) < 0) {
        snprintf(p->why, sizeof p->why, "ppp_password_file: %.160s", err.text);
        return false;
    }
    tg_secret_trim(s);
    if (s->len > 0 && s->len <= PASSWORD_MAX)
        return true;
    snprintf(p->why, sizeof p->why, "ppp_password_file is empty or longer than %d bytes", PASSWORD_MAX);
    return false;
}

static void start_pppd(struct at_ppp *p, int64_t now_ms)
{
    struct tg_secret password = {0};
    struct at_pppd_options o = {.program = p->program,
                                .port = p->port,
                                .user = p->user,
                                .baud = p->source->baud,
                                .rtscts = p->source->rtscts,
                                .default_route = p->default_route,
                                .more = p->options,
                                .more_count = p->option_count};
    int rc = 0;
    close_port(p);
    if (!read_password(p, &password)) {
        rc = -EINVAL;
    } else {
        o.password = p->password_file ? (const char *)password.data : NULL;
        o.password_len = password.len;
        rc = at_pppd_start(&o, &p->pid, &p->output);
        if (rc < 0)
            snprintf(p->why, sizeof p->why, "%.100s cannot be started: %s%s", p->program, strerror(-rc),
                     rc == -ENOENT ? " (Debian's package is ppp)" : "");
    }
    tg_secret_free(&password);
    if (rc < 0) {
        p->pid = 0;
        logged(p, p->told_failure ? TG_LOG_DEBUG : TG_LOG_WARN, "no data link", p->why);
        p->told_failure = true;
        at_cellular_tell_uplink(p->cellular);
        begin_hangup(p, now_ms);
        return;
    }
    p->phase = PPP_RUN;
    p->up_ms = p->term_ms = 0;
    p->line_len = 0;
    p->address[0] = '\0';
    p->look_ms = now_ms + LOOK_MS;
    p->watched = 0;
    watch(p, p->output, TG_FD_READ);
    logged(p, TG_LOG_INFO, "the modem is online; pppd has the port", NULL);
}

static void close_output(struct at_ppp *p)
{
    if (p->output < 0)
        return;
    watch(p, p->output, 0);
    p->watched = 0;
    close(p->output);
    p->output = -1;
}

static void pppd_line(struct at_ppp *p, int64_t now_ms)
{
    static const char local[] = "local  IP address ";
    char shown[AT_SHOWN_BYTES];
    p->line[p->line_len] = '\0';
    logged(p, TG_LOG_DEBUG, "pppd", at_shown(tg_bytes(p->line, p->line_len), shown));
    if (strncmp(p->line, local, strlen(local)) == 0 && !p->up_ms) {
        snprintf(p->address, sizeof p->address, "%.60s",
                 at_shown(tg_bytes_str(p->line + strlen(local)), shown));
        p->up_ms = now_ms;
        p->told_failure = false;
        p->why[0] = '\0';
        logged(p, TG_LOG_INFO, "the data link is up, address", p->address);
        at_cellular_tell_uplink(p->cellular);
    }
    p->line_len = 0;
}

static void read_output(struct at_ppp *p, int64_t now_ms)
{
    char buf[512];
    ssize_t n = read(p->output, buf, sizeof buf);
    if (n == 0 || (n < 0 && errno != EAGAIN && errno != EINTR)) {
        close_output(p);
        p->look_ms = now_ms; /* it has most likely ended */
        return;
    }
    for (ssize_t i = 0; i < n; i++) {
        if (buf[i] == '\n')
            pppd_line(p, now_ms);
        else if (p->line_len < sizeof p->line - 1)
            p->line[p->line_len++] = buf[i];
    }
}

static void look_after(struct at_ppp *p, int64_t now_ms)
{
    int status;
    if (now_ms < p->look_ms)
        return;
    p->look_ms = now_ms + LOOK_MS;
    if (!at_pppd_ended(p->pid, &status)) {
        if (p->term_ms && now_ms >= p->term_ms)
            (void)kill(p->pid, SIGKILL);
        return;
    }
    for (int i = 0; i < LAST_READS && p->output >= 0; i++)
        read_output(p, now_ms);
    close_output(p);
    p->pid = 0;
    (void)at_pppd_describe(status, p->why, sizeof p->why);
    logged(p, TG_LOG_WARN, p->up_ms ? "the data link has ended" : "no data link", p->why);
    if (p->up_ms)
        tg_backoff_held(&p->backoff, now_ms - p->up_ms);
    p->up_ms = 0;
    p->told_failure = true;
    at_cellular_tell_uplink(p->cellular);
    begin_hangup(p, now_ms);
}

/* --- dialling and hanging up ---------------------------------------------------------------------------------- */

static void dial_done(struct at_ppp *p, const struct tg_at_result *r, int64_t now_ms)
{
    char shown[AT_SHOWN_BYTES];
    if (p->phase == PPP_HANGUP) {
        rest(p, now_ms);
    } else if (r->status == TG_AT_OK && r->connected) {
        start_pppd(p, now_ms);
    } else {
        snprintf(p->why, sizeof p->why,
                 "%.60s was answered \"%.60s\": check the APN, the contract, and ppp_dial", p->dial,
                 r->final.len ? at_shown(r->final, shown) : tg_at_status_name(r->status));
        failed(p, now_ms);
    }
}

/* One event of the conversation; false: it is over. */
static bool handle(struct at_ppp *p, const struct tg_at_event *ev, int64_t now_ms)
{
    struct tg_at_command c = {.text = p->phase == PPP_DIAL ? p->dial : "ATH",
                              .timeout_ms = p->phase == PPP_DIAL ? 60000 : 5000};
    if (ev->kind == TG_AT_EVENT_SYNCED && !p->queued) {
        p->queued = tg_at_chat_queue(&p->chat, &c) == 0;
    } else if (ev->kind == TG_AT_EVENT_RESULT) {
        dial_done(p, &ev->result, now_ms);
        return false;
    } else if (ev->kind == TG_AT_EVENT_LOST) {
        if (p->phase == PPP_DIAL)
            snprintf(p->why, sizeof p->why, "no answer to AT on %.150s", p->port);
        if (p->phase == PPP_DIAL && !p->rescues) {
            p->rescues = true; /* it may be online still */
            begin_hangup(p, now_ms);
        } else {
            rest(p, now_ms);
        }
        return false;
    }
    return true;
}

static bool converses(const struct at_ppp *p)
{
    return p->fd >= 0 && (p->phase == PPP_DIAL || p->phase == PPP_HANGUP);
}

static void gone(struct at_ppp *p, int64_t now_ms)
{
    if (p->phase == PPP_DIAL) {
        snprintf(p->why, sizeof p->why, "%.150s was unplugged", p->port);
        failed(p, now_ms);
    } else {
        rest(p, now_ms);
    }
}

static void flush(struct at_ppp *p, int64_t now_ms)
{
    while (converses(p)) {
        struct tg_bytes out = tg_at_chat_output(&p->chat);
        ssize_t n;
        if (out.len == 0)
            return;
        n = write(p->fd, out.data, out.len);
        if (n > 0) {
            tg_at_chat_output_ack(&p->chat, (size_t)n, now_ms);
        } else if (n < 0 && errno == EAGAIN) {
            watch(p, p->fd, TG_FD_READ | TG_FD_WRITE);
            return;
        } else if (n == 0 || errno != EINTR) {
            gone(p, now_ms);
        }
    }
}

static void converse(struct at_ppp *p, struct tg_bytes in, int64_t now_ms)
{
    struct tg_at_event ev;
    bool progress;
    do {
        progress = false;
        tg_at_chat_tick(&p->chat, now_ms);
        while (tg_at_chat_event(&p->chat, &ev)) {
            if (!handle(p, &ev, now_ms))
                return;
            progress = true;
        }
        if (in.len > 0) {
            size_t n = tg_at_chat_input(&p->chat, in, now_ms);
            in = tg_at_rest(in, n);
            progress = progress || n > 0;
        }
    } while (progress);
    flush(p, now_ms);
}

static void guard(struct at_ppp *p, int64_t now_ms)
{
    if (now_ms < p->guard_ms)
        return;
    if (!p->plus_sent) {
        p->plus_sent = true;
        p->guard_ms = now_ms + GUARD_MS;
        if (write(p->fd, "+++", 3) < 0 && errno != EAGAIN)
            gone(p, now_ms);
        return;
    }
    p->guard_ms = 0;
    tg_at_chat_sync(&p->chat, now_ms);
}

/* --- for the source ------------------------------------------------------------------------------------------ */

/* The modem has a network, and what is to be known before the port goes has been asked. */
static bool may_dial(const struct at_ppp *p, int64_t now_ms)
{
    const struct tg_cellular *core = &p->cellular->core;
    return now_ms >= p->due_ms && core->phase == TG_CELL_RUN && tg_cellular_is_registered(core) &&
           core->uplink == TG_CELL_UPLINK_UP && tg_cellular_deadline(core) > now_ms && !core->busy &&
           p->source->job == AT_JOB_NONE && p->source->request_count == 0;
}

void at_ppp_tick(struct at_cellular *c, int64_t now_ms)
{
    struct at_ppp *p = c->ppp;
    if (!p)
        return;
    if (p->phase == PPP_WAIT && may_dial(p, now_ms))
        begin_dial(p, now_ms);
    if (p->phase == PPP_RUN)
        look_after(p, now_ms);
    if (p->phase == PPP_HANGUP && p->fd >= 0 && p->guard_ms)
        guard(p, now_ms);
    if (converses(p) && !(p->phase == PPP_HANGUP && p->guard_ms))
        converse(p, tg_bytes(NULL, 0), now_ms);
}

void at_ppp_rescue(struct at_source *s, int64_t now_ms)
{
    struct at_ppp *p = s->cellular ? s->cellular->ppp : NULL;
    if (!p || !p->shared || p->phase != PPP_WAIT)
        return;
    p->rescues = true;
    at_port_lend(s, now_ms);
    begin_hangup(p, now_ms);
}

bool at_ppp_fd_ready(struct at_source *s, int fd, uint32_t events, int64_t now_ms)
{
    struct at_ppp *p = s->cellular ? s->cellular->ppp : NULL;
    uint8_t buf[512];
    ssize_t n;
    if (!p || (fd != p->fd && fd != p->output) || fd < 0)
        return false;
    if (fd == p->output) {
        read_output(p, now_ms);
        return true;
    }
    n = read(fd, buf, sizeof buf);
    if (n > 0 && !(p->phase == PPP_HANGUP && p->guard_ms))
        converse(p, tg_bytes(buf, (size_t)n), now_ms);
    else if (n == 0 || (n < 0 && errno != EINTR && (errno != EAGAIN || (events & TG_FD_HANGUP))))
        gone(p, now_ms);
    else if (converses(p))
        watch(p, p->fd, TG_FD_READ);
    return true;
}

int64_t at_ppp_deadline(const struct at_cellular *c)
{
    const struct at_ppp *p = c->ppp;
    if (!p)
        return INT64_MAX;
    switch (p->phase) {
    case PPP_WAIT:
        return c->core.uplink == TG_CELL_UPLINK_UP && c->source->phase == AT_RUN ? p->due_ms : INT64_MAX;
    case PPP_RUN:
        return p->look_ms;
    case PPP_HANGUP:
        if (p->guard_ms)
            return p->guard_ms;
        break;
    default:
        break;
    }
    return tg_at_chat_deadline(&p->chat);
}

enum tg_cell_uplink at_ppp_uplink(const struct at_ppp *p, enum tg_cell_uplink modem, char *text, size_t size)
{
    if (p->up_ms) {
        snprintf(text, size, "data link up, address %s", p->address);
        return TG_CELL_UPLINK_UP;
    }
    if (p->why[0]) {
        snprintf(text, size, "%s", p->why);
        return TG_CELL_UPLINK_DOWN;
    }
    return modem == TG_CELL_UPLINK_DOWN ? TG_CELL_UPLINK_DOWN : TG_CELL_UPLINK_UNKNOWN;
}

static const char *text_of(const struct at_source *s, const char *option)
{
    const struct tg_settings *set = s->config->settings;
    return s->host->has(set, option) ? s->host->get_text(set, option) : NULL;
}

int at_ppp_build(struct at_cellular *c, char *error, size_t error_size)
{
    struct at_source *s = c->source;
    const struct tg_settings *set = s->config->settings;
    struct at_ppp *p;
    if (!s->host->get_int(set, "ppp"))
        return TG_PLUGIN_OK;
    p = tg_calloc(1, sizeof *p);
    if (!p) {
        snprintf(error, error_size, "out of memory");
        return TG_PLUGIN_ENOMEM;
    }
    c->ppp = p;
    *p = (struct at_ppp){.cellular = c,
                         .source = s,
                         .port = text_of(s, "data_port"),
                         .dial = text_of(s, "ppp_dial"),
                         .program = text_of(s, "ppp_program"),
                         .user = text_of(s, "ppp_user"),
                         .password_file = text_of(s, "ppp_password_file"),
                         .default_route = s->host->get_int(set, "ppp_default_route") != 0,
                         .fd = -1,
                         .output = -1,
                         .backoff = {.floor_ms = RETRY_MIN_MS,
                                     .base_ms = RETRY_MIN_MS,
                                     .cap_ms = RETRY_MAX_MS,
                                     .stable_ms = STABLE_MS}};
    p->shared = !p->port;
    if (p->shared)
        p->port = s->port;
    p->option_count = s->host->get_list(set, "ppp_options", &p->options);
    if (tg_at_command_fault(p->dial) || p->option_count > AT_PPPD_ARGUMENTS_MAX / 2 ||
        (p->password_file && !p->user)) {
        snprintf(error, error_size, "source %s: %s", s->config->name,
                 tg_at_command_fault(p->dial)   ? "ppp_dial is no command that can be sent"
                 : p->password_file && !p->user ? "ppp_password_file needs ppp_user"
                                                : "ppp_options has too many entries");
        return TG_PLUGIN_EINVAL;
    }
    return TG_PLUGIN_OK;
}

void at_ppp_free(struct at_cellular *c)
{
    struct at_ppp *p = c->ppp;
    if (!p)
        return;
    close_port(p);
    close_output(p);
    if (p->pid)
        at_pppd_leave(p->pid, p->port, p->source->host->now_ms(p->source->host->source));
    tg_free(p);
    c->ppp = NULL;
}
