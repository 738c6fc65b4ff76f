/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * The module's MQTT connections, lent to clouds of the type `module`: how they are made, closed and lost, and the bodies on them.
 */
#include <stdio.h>
#include <stdlib.h>

#include "core/base/allocator.h"
#include "core/base/plural.h"
#include "plugins/at/at_text.h"
#include "plugins/ucx/ucx_instance.h"
#include "southbound/serial_port.h"
#include "southbound/ucx_address.h"

#define MQTT_KIND 2 /* protocol of a connect event (edm_frame.h) */

static void say(struct ucx_source *s, uint32_t number, bool up, const char *text)
{
    if (TG_HOST_HAS(s->host, carrier))
        s->host->carrier(s->host->source, number, up, text);
}

static void tell(struct ucx_source *s, uint32_t number, uint64_t message, int status)
{
    if (TG_HOST_HAS(s->host, carried))
        s->host->carried(s->host->source, number, message, status);
}

/* --- the table ----------------------------------------------------------------------------------- */

static struct ucx_channel *channel_of(struct ucx_source *s, uint32_t number)
{
    for (size_t i = 0; i < UCX_CHANNELS_MAX; i++) {
        struct ucx_channel *c = &s->channels[i];
        if (c->state != UCX_CHANNEL_FREE && c->state != UCX_CHANNEL_CLOSING && c->number == number)
            return c;
    }
    return NULL;
}

static struct ucx_channel *in_state(struct ucx_source *s, enum ucx_channel_state state)
{
    for (size_t i = 0; i < UCX_CHANNELS_MAX; i++)
        if (s->channels[i].state == state)
            return &s->channels[i];
    return NULL;
}

static void wipe_commands(struct ucx_channel *c)
{
    if (c->commands)
        tg_free_secret(c->commands, TG_UCX_COMMANDS_MAX * sizeof *c->commands);
    c->commands = NULL;
}

static void free_channel(struct ucx_channel *c)
{
    wipe_commands(c);
    tg_free(c->carry);
    *c = (struct ucx_channel){.handle = -1};
}

/* Nobody is to use it any more; the module's end of it is closed when there is one. */
static void let_go(struct ucx_source *s, struct ucx_channel *c)
{
    bool asked = s->job == UCX_JOB_CARRY_COMMAND && s->job_device == (uint32_t)(c - s->channels);
    wipe_commands(c);
    tg_free(c->carry);
    c->carry = NULL;
    if (c->handle < 0 && !asked) /* AT+UDCP has not been sent */
        free_channel(c);
    else
        c->state = UCX_CHANNEL_CLOSING;
}

/* The connection is no more, at the module either. */
static void ended(struct ucx_source *s, struct ucx_channel *c, const char *why)
{
    uint32_t number = c->number;
    bool told = c->state == UCX_CHANNEL_CLOSING;
    free_channel(c);
    if (!told && why)
        say(s, number, false, why);
}

void ucx_carry_lost(struct ucx_source *s, const char *why)
{
    for (size_t i = 0; i < UCX_CHANNELS_MAX; i++)
        if (s->channels[i].state != UCX_CHANNEL_FREE)
            ended(s, &s->channels[i], why);
    s->old_count = 0;
    s->drain_look_ms = INT64_MAX;
}

/* --- what the host asks for ----------------------------------------------------------------------- */

static const char *make_commands(struct ucx_channel *c, const char *address, bool *ret_echo,
                                 int64_t *ret_settle_ms, char *why, size_t size)
{
    struct tg_ucx_address *a = tg_calloc(1, sizeof *a);
    const char *what = "";
    int rc = TG_ENOMEM;
    c->commands = tg_calloc(TG_UCX_COMMANDS_MAX, sizeof *c->commands);
    if (a && c->commands) {
        rc = tg_ucx_address_parse(tg_bytes_str(address), a, &what);
        if (rc == TG_OK)
            rc = tg_ucx_mqtt_commands(&a->mqtt, TG_AT_COMMAND_MAX_BYTES, c->commands, &c->command_count,
                                      &what);
        *ret_echo = a->echo;
        *ret_settle_ms = a->settle_ms;
    }
    if (a)
        tg_free_secret(a, sizeof *a);
    if (rc == TG_OK)
        return NULL;
    if (rc == TG_ENOMEM)
        return "out of memory for a connection";
    snprintf(why, size, "the connection cannot be put into commands of the module: %s %s", what,
             rc == TG_ETOOBIG ? "is too long" : "is wrong");
    return why;
}

void ucx_carry_open(void *instance, uint32_t channel, const char *address)
{
    struct ucx_source *s = instance;
    struct ucx_channel *c = in_state(s, UCX_CHANNEL_FREE);
    char why[200];
    const char *fault = NULL;
    bool echo = false;
    int64_t settle_ms = 0;
    if (s->phase == UCX_CLOSED &&
        s->last_error[0]) { /* else it waits for the first attempt to open the port */
        say(s, channel, false, s->last_error);
        return;
    }
    if (!c) {
        say(s, channel, false, "the module has no connection left for it");
        return;
    }
    *c = (struct ucx_channel){.state = UCX_CHANNEL_WAITS, .number = channel, .handle = -1};
    fault = make_commands(c, address, &echo, &settle_ms, why, sizeof why);
    c->carry = fault ? NULL : tg_calloc(1, sizeof *c->carry);
    if (!c->carry) {
        ended(s, c, fault ? fault : "out of memory for a connection");
        return;
    }
    tg_ucx_carry_init(c->carry, echo, settle_ms);
}

void ucx_carry_close(void *instance, uint32_t channel)
{
    struct ucx_source *s = instance;
    struct ucx_channel *c = channel_of(s, channel);
    if (c)
        let_go(s, c);
}

void ucx_carry(void *instance, uint32_t channel, uint64_t message, const void *body, uint32_t size)
{
    struct ucx_source *s = instance;
    struct ucx_channel *c = channel_of(s, channel);
    int rc;
    if (!c || c->state != UCX_CHANNEL_UP) {
        say(s, channel, false, "the connection is not there");
        return;
    }
    rc = tg_ucx_carry_add(c->carry, message, tg_bytes(body, size));
    if (rc < 0)
        tell(s, channel, message, rc == TG_EFULL ? TG_PLUGIN_EFULL : TG_PLUGIN_EINVAL);
}

/* --- commands ------------------------------------------------------------------------------------- */

static bool close_next(struct ucx_source *s)
{
    char text[32];
    if (s->old_count > 0) {
        snprintf(text, sizeof text, "AT+UDCPC=%d", (int)s->old[s->old_count - 1]);
        ucx_start(s, UCX_JOB_CLOSE_OLD, text, s->timeout_ms);
        return true;
    }
    for (uint32_t i = 0; i < UCX_CHANNELS_MAX; i++) {
        struct ucx_channel *c = &s->channels[i];
        if (c->state != UCX_CHANNEL_CLOSING || c->handle < 0)
            continue;
        s->job_device = i;
        snprintf(text, sizeof text, "AT+UDCPC=%d", (int)c->handle);
        ucx_start(s, UCX_JOB_CARRY_CLOSE, text, s->timeout_ms);
        return true;
    }
    return false;
}

bool ucx_carry_start_job(struct ucx_source *s, int64_t now_ms)
{
    struct ucx_channel *c = in_state(s, UCX_CHANNEL_COMMANDS);
    if (!c && close_next(s))
        return true;
    if (!c && !in_state(s, UCX_CHANNEL_CONNECTING) && (c = in_state(s, UCX_CHANNEL_WAITS)) != NULL) {
        if (s->list_old) {
            s->list_old = false;
            ucx_start(s, UCX_JOB_LIST_OLD, "AT+UDLP?", s->timeout_ms);
            return true;
        }
        c->state = UCX_CHANNEL_COMMANDS;
        c->due_ms = now_ms + UCX_CONNECT_MS;
    }
    if (!c)
        return false;
    s->job_device = (uint32_t)(c - s->channels);
    ucx_start(s, UCX_JOB_CARRY_COMMAND, c->commands[c->command_next].text, s->timeout_ms);
    return s->job != UCX_JOB_NONE;
}

static bool is_ours(const struct ucx_source *s, int32_t handle)
{
    for (size_t i = 0; i < UCX_CHANNELS_MAX; i++)
        if (s->channels[i].state != UCX_CHANNEL_FREE && s->channels[i].handle == handle)
            return true;
    return false;
}

/* +UDLP:4,"mqtt","…","…": the handles of connections that nobody here has made. Bluetooth peers stay. */
static void note_old(struct ucx_source *s, const struct tg_at_result *r)
{
    char shown[AT_SHOWN_BYTES];
    for (uint32_t i = 0; i < r->line_count && s->old_count < UCX_OLD_MAX; i++) {
        const struct tg_bytes line = r->lines[i];
        int32_t handle = tg_bytes_starts(line, "+UDLP:") && memmem(line.data, line.len, "mqtt", 4)
                             ? atoi(at_shown(line, shown) + sizeof "+UDLP:" - 1)
                             : -1;
        if (handle >= 0 && !is_ours(s, handle))
            s->old[s->old_count++] = handle;
    }
    if (r->status != TG_AT_OK && r->status != TG_AT_HANGUP)
        s->host->log(s->host->source, TG_LOG_WARN,
                     "%s: the module does not list its connections (AT+UDLP?: \"%s\"); those of a run before "
                     "this one stay until their brokers end them",
                     s->port, r->final.len ? at_shown(r->final, shown) : tg_at_status_name(r->status));
    else if (s->old_count)
        s->host->log(s->host->source, TG_LOG_INFO, "%s: closing %u %s of the module that nobody here has",
                     s->port, s->old_count, tg_plural(s->old_count, "connection", "connections"));
}

static int32_t handle_in(const struct tg_at_result *r)
{
    char shown[AT_SHOWN_BYTES];
    for (uint32_t i = 0; i < r->line_count; i++)
        if (tg_bytes_starts(r->lines[i], "+UDCP:"))
            return atoi(at_shown(r->lines[i], shown) + sizeof "+UDCP:" - 1);
    return -1;
}

static void command_done(struct ucx_source *s, struct ucx_channel *c, const struct tg_at_result *r)
{
    char command[120], shown[AT_SHOWN_BYTES], why[300];
    explicit_bzero(s->job_text, sizeof s->job_text);
    if (c->state == UCX_CHANNEL_CLOSING) { /* given up meanwhile */
        if (c->handle < 0)
            c->handle = handle_in(r);
        s->list_old = s->list_old || r->status == TG_AT_TIMEOUT;
        if (c->handle < 0)
            free_channel(c);
        return;
    }
    if (c->state != UCX_CHANNEL_COMMANDS && c->state != UCX_CHANNEL_UP)
        return;
    if (r->status != TG_AT_OK) {
        tg_ucx_redact(c->commands[c->command_next].text, c->commands[c->command_next].secret, command,
                      sizeof command);
        snprintf(why, sizeof why, "the module answered %s to %s",
                 r->final.len ? at_shown(r->final, shown) : tg_at_status_name(r->status), command);
        s->list_old = s->list_old || r->status == TG_AT_TIMEOUT; /* it may come about all the same */
        ended(s, c, why);
        return;
    }
    if (++c->command_next < c->command_count)
        return;
    wipe_commands(c);
    c->handle = handle_in(r);
    if (c->state == UCX_CHANNEL_COMMANDS) /* else the connect event was sooner */
        c->state = UCX_CHANNEL_CONNECTING;
}

void ucx_carry_job_done(struct ucx_source *s, enum ucx_job_kind kind, const struct tg_at_result *r,
                        int64_t now_ms)
{
    struct ucx_channel *c = &s->channels[s->job_device % UCX_CHANNELS_MAX];
    (void)now_ms;
    switch (kind) {
    case UCX_JOB_LIST_OLD:
        note_old(s, r);
        break;
    case UCX_JOB_CLOSE_OLD:
        s->old_count -= s->old_count > 0;
        break;
    case UCX_JOB_CARRY_COMMAND:
        command_done(s, c, r);
        break;
    default: /* closed, or it was gone already */
        if (c->state == UCX_CHANNEL_CLOSING)
            free_channel(c);
        break;
    }
}

/* --- what the module says -------------------------------------------------------------------------- */

bool ucx_carry_on_connect(struct ucx_source *s, const struct tg_edm_frame *f)
{
    struct ucx_channel *c;
    if (f->connect.link == TG_EDM_BLUETOOTH || f->connect.kind != MQTT_KIND)
        return false;
    for (size_t i = 0; i < UCX_CHANNELS_MAX; i++) /* told again */
        if (s->channels[i].has_edm && s->channels[i].edm == f->channel)
            return true;
    c = in_state(s, UCX_CHANNEL_CONNECTING);
    if (!c && (c = in_state(s, UCX_CHANNEL_COMMANDS)) != NULL && c->command_next + 1 < c->command_count)
        c = NULL; /* its AT+UDCP has not been sent yet */
    if (!c)
        return true; /* of a run before this one: closed by its handle */
    c->state = UCX_CHANNEL_UP;
    c->edm = f->channel;
    c->has_edm = true;
    say(s, c->number, true, NULL);
    return true;
}

static struct ucx_channel *on_edm(struct ucx_source *s, uint8_t edm)
{
    for (size_t i = 0; i < UCX_CHANNELS_MAX; i++)
        if (s->channels[i].state != UCX_CHANNEL_FREE && s->channels[i].has_edm && s->channels[i].edm == edm)
            return &s->channels[i];
    return NULL;
}

bool ucx_carry_on_disconnect(struct ucx_source *s, uint8_t edm)
{
    struct ucx_channel *c = on_edm(s, edm);
    if (!c)
        return false;
    ended(s, c, "the module's connection to the broker ended");
    return true;
}

void ucx_carry_on_lost_handle(struct ucx_source *s, int32_t handle)
{
    for (size_t i = 0; i < UCX_CHANNELS_MAX; i++) {
        struct ucx_channel *c = &s->channels[i];
        if (c->state == UCX_CHANNEL_FREE || c->handle != handle || handle < 0)
            continue;
        ended(
            s, c,
            c->state == UCX_CHANNEL_CONNECTING
                ? "the module could not connect to the broker (+UUDPD): name, network, certificates or login"
                : "the module's connection to the broker ended (+UUDPD)");
    }
}

bool ucx_carry_on_data(struct ucx_source *s, const struct tg_edm_frame *f)
{
    struct ucx_channel *c = on_edm(s, f->channel);
    if (c && c->carry)
        tg_ucx_carry_received(c->carry, f->bytes);
    return c != NULL;
}

/* --- bodies ----------------------------------------------------------------------------------------- */

bool ucx_carry_flush(struct ucx_source *s)
{
    for (uint32_t i = 0; i < UCX_CHANNELS_MAX; i++) {
        struct ucx_channel *c = &s->channels[(s->channel_turn + i) % UCX_CHANNELS_MAX];
        struct tg_bytes body;
        if (c->state != UCX_CHANNEL_UP)
            continue;
        body = tg_ucx_carry_next(c->carry);
        if (body.len == 0)
            continue;
        if (tg_ucx_link_send(&s->link, c->edm, body) < 0)
            return false;
        tg_ucx_carry_sent(c->carry);
        s->channel_turn = (s->channel_turn + i + 1) % UCX_CHANNELS_MAX;
        return true;
    }
    return false;
}

void ucx_carry_look_drained(struct ucx_source *s, int64_t now_ms)
{
    bool some = false;
    for (size_t i = 0; i < UCX_CHANNELS_MAX; i++)
        some = some || (s->channels[i].carry && tg_ucx_carry_draining(s->channels[i].carry));
    s->drain_look_ms = INT64_MAX;
    if (!some)
        return;
    if (tg_serial_queued(s->fd) > 0) {
        s->drain_look_ms = now_ms + UCX_DRAIN_LOOK_MS;
        return;
    }
    for (size_t i = 0; i < UCX_CHANNELS_MAX; i++)
        if (s->channels[i].carry)
            tg_ucx_carry_drained(s->channels[i].carry, now_ms);
}

void ucx_carry_tick(struct ucx_source *s, int64_t now_ms)
{
    for (size_t i = 0; i < UCX_CHANNELS_MAX; i++) {
        struct ucx_channel *c = &s->channels[i];
        uint64_t id;
        while (c->state == UCX_CHANNEL_UP && tg_ucx_carry_done(c->carry, now_ms, &id))
            tell(s, c->number, id, TG_PLUGIN_OK);
        if (c->state == UCX_CHANNEL_CONNECTING && now_ms >= c->due_ms) {
            say(s, c->number, false, "the module has not connected to the broker in 20 s");
            let_go(s, c);
        }
    }
}

int64_t ucx_carry_deadline(const struct ucx_source *s)
{
    int64_t at = s->drain_look_ms;
    for (size_t i = 0; i < UCX_CHANNELS_MAX; i++) {
        const struct ucx_channel *c = &s->channels[i];
        int64_t due = INT64_MAX;
        if (c->state == UCX_CHANNEL_UP)
            due = tg_ucx_carry_deadline(c->carry);
        else if (c->state == UCX_CHANNEL_CONNECTING)
            due = c->due_ms;
        at = due < at ? due : at;
    }
    return at;
}
