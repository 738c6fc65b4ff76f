/* SPDX-License-Identifier: GPL-2.0-or-later */
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>

#include "core/base/assert.h"
#include "core/base/clock.h"
#include "core/base/log.h"
#include "core/gateway/router_private.h"
#include "northbound/format_json.h"
#include "northbound/json_document.h"

/* A request number carries the place in the table and which of the command's requests it is. */
static struct tg_pending *pending_of(struct tg_router *r, uint64_t request, uint32_t *ret_i)
{
    const uint64_t command = request / TG_SET_MAX_POINTS;
    struct tg_pending *p = &r->pending[command % TG_COMMANDS_MAX];
    *ret_i = (uint32_t)(request % TG_SET_MAX_POINTS);
    return p->used && p->serial == command / TG_COMMANDS_MAX ? p : NULL;
}

uint64_t tg_router_request(const struct tg_router *r, const struct tg_pending *p, uint32_t i)
{
    return (p->serial * TG_COMMANDS_MAX + (uint64_t)(p - r->pending)) * TG_SET_MAX_POINTS + i;
}

const char *tg_router_status_name(int status)
{
    switch (status) {
    case TG_PLUGIN_OK:
        return "ok";
    case TG_PLUGIN_EINVAL:
        return "invalid";
    case TG_PLUGIN_EDEVICE:
        return "device";
    case TG_PLUGIN_ETIMEOUT:
        return "timeout";
    case TG_PLUGIN_EUNKNOWN:
        return "unknown";
    case TG_PLUGIN_EUNSUPPORTED:
        return "unsupported";
    case TG_PLUGIN_EFULL:
        return "busy";
    default:
        return "error";
    }
}

static void arm(struct tg_router *r)
{
    int64_t at = INT64_MAX;
    for (uint32_t i = 0; i < TG_COMMANDS_MAX; i++)
        if (r->pending[i].used && r->pending[i].limit_ms < at)
            at = r->pending[i].limit_ms;
    tg_deadline_set(&r->deadline, at);
}

/* `json` is the answer; of a `set` of several points, what those that have none get. */
static void finish(struct tg_router *r, struct tg_pending *p, const char *status, const char *json)
{
    char *all = p->results ? tg_router_set_results(p, json) : NULL;
    struct tg_pending ended = *p;
    p->used = false;
    arm(r);
    tg_log(TG_LOG_INFO, "router", "device=%s command=%s status=%s", ended.device, ended.name, status);
    if (ended.done)
        ended.done(ended.user, status, all ? all : !ended.results && json && json[0] ? json : "{}");
    json_decref(ended.results);
    free(all);
}

void tg_router_expire(void *router)
{
    struct tg_router *r = TG_OBJECT(router, struct tg_router, TG_ROUTER_MAGIC);
    int64_t now = tg_clock_mono_ms();
    for (uint32_t i = 0; i < TG_COMMANDS_MAX; i++)
        if (r->pending[i].used && r->pending[i].limit_ms <= now)
            finish(r, &r->pending[i], "timeout",
                   "{\"error\":\"the device did not answer in 30 s; the outcome is not known\"}");
    arm(r);
}

void tg_router_abandon(struct tg_router *r, const char *device)
{
    for (uint32_t i = 0; i < TG_COMMANDS_MAX; i++)
        if (r->pending[i].used && (!device || strcmp(r->pending[i].device, device) == 0))
            finish(r, &r->pending[i], "unknown",
                   "{\"error\":\"the device's source was stopped before it answered\"}");
}

void tg_router_answer(struct tg_router *r, uint64_t request, int status, const char *json)
{
    uint32_t i;
    struct tg_pending *p = pending_of(r, request, &i);
    if (!p || !(p->open & UINT64_C(1) << i))
        return; /* it had timed out, its caller left, or it was answered already */
    p->open &= ~(UINT64_C(1) << i);
    if (status != TG_PLUGIN_OK && p->worst == TG_PLUGIN_OK)
        p->worst = status;
    if (json && strlen(json) >= TG_COMMAND_ANSWER_BYTES)
        json = "{\"note\":\"answer longer than 2 KiB left out\"}";
    if (p->results)
        tg_router_set_result(p, i, status, json);
    if (p->open == 0)
        finish(r, p, tg_router_status_name(p->worst), json);
}

void tg_router_forget(struct tg_router *r, void *user)
{
    for (uint32_t i = 0; i < TG_COMMANDS_MAX; i++)
        if (r->pending[i].used && r->pending[i].user == user)
            r->pending[i].done = NULL;
}

struct tg_pending *tg_router_begin(struct tg_router *r, const char *device, const char *name,
                                   tg_command_done_fn done, void *user)
{
    for (uint32_t i = 0; i < TG_COMMANDS_MAX; i++) {
        struct tg_pending *p = &r->pending[i];
        if (p->used)
            continue;
        *p = (struct tg_pending){.used = true,
                                 .serial = r->next_request++,
                                 .done = done,
                                 .user = user,
                                 .limit_ms = tg_clock_mono_ms() + TG_COMMAND_TIMEOUT_MS};
        snprintf(p->device, sizeof p->device, "%s", device);
        snprintf(p->name, sizeof p->name, "%s", name);
        arm(r);
        return p;
    }
    return NULL;
}

void tg_router_refuse(tg_command_done_fn done, void *user, const char *status, const char *fmt, ...)
{
    char text[600];
    char json[6 * sizeof text + 32]; /* a byte becomes six at most */
    struct tg_writer w = tg_writer_init(json, sizeof json);
    va_list ap;
    va_start(ap, fmt);
    vsnprintf(text, sizeof text, fmt, ap);
    va_end(ap);
    tg_log(TG_LOG_WARN, "router", "a command was refused: %s", text);
    tg_write_str(&w, "{\"error\":");
    tg_format_json_string(&w, tg_bytes_str(text));
    tg_write_str(&w, "}");
    done(user, status, tg_writer_cstr(&w) == TG_OK ? json : "{}");
}

/* --- one command -------------------------------------------------------------------------------------------- */

static void run(struct tg_router *r, const char *device, const char *name, json_t *arguments,
                tg_command_done_fn done, void *user)
{
    struct tg_router_device *d = tg_router_device(r, device);
    struct tg_pending *p;
    char *text, quoted[TG_QUOTE_BYTES];
    if (!d || !d->source) {
        tg_router_refuse(done, user, "invalid", "no device %s is running",
                         tg_quote(quoted, device, strlen(device)));
        return;
    }
    if (strlen(name) > TG_NAME_MAX_BYTES || name[0] == '\0') {
        tg_router_refuse(done, user, "invalid", "a command's name has 1 to %d bytes", TG_NAME_MAX_BYTES);
        return;
    }
    if (strcmp(name, "set") == 0) {
        tg_router_set(r, d, arguments, done, user);
        return;
    }
    text = json_dumps(arguments, JSON_COMPACT);
    p = text ? tg_router_begin(r, device, name, done, user) : NULL;
    if (!text) {
        tg_router_refuse(done, user, "error", "out of memory for command %s of device %s", name, device);
    } else if (!p) {
        tg_router_refuse(done, user, "busy", "%d commands are under way already", TG_COMMANDS_MAX);
    } else {
        p->open = 1;
        tg_source_host_command(d->source, tg_router_request(r, p, 0), d->index, name, text);
    }
    free(text);
}

/* --- JSON from outside ---------------------------------------------------------------------------------- */

static json_t *parse_object(struct tg_bytes text, const char *what, struct tg_error *err)
{
    return text.len == 0 ? json_object() : tg_json_parse(text, what, err);
}

void tg_router_command(struct tg_router *r, const char *device, const char *name, struct tg_bytes arguments,
                       tg_command_done_fn done, void *user)
{
    struct tg_error err = {0};
    json_t *j = parse_object(arguments, "its arguments", &err);
    if (!j) {
        char quoted[TG_QUOTE_BYTES];
        tg_router_refuse(done, user, "invalid", "device %s, command %s: %s", device,
                         tg_quote(quoted, name, strlen(name)), err.text);
        return;
    }
    run(r, device, name, j, done, user);
    json_decref(j);
}

void tg_router_command_body(struct tg_router *r, const char *device, struct tg_bytes name,
                            struct tg_bytes body, tg_command_done_fn done, void *user)
{
    char text[TG_NAME_MAX_BYTES + 1], quoted[TG_QUOTE_BYTES];
    struct tg_error err = {0};
    const char *named;
    json_t *j, *arguments, *empty;
    if (name.len > 0) {
        /* Never a part of it: another command could be meant. */
        if (name.len >= sizeof text || memchr(name.data, '\0', name.len) || !tg_utf8_valid(name)) {
            tg_router_refuse(done, user, "invalid",
                             "device %s: %s is no name of a command: 1 to %d bytes of UTF-8", device,
                             tg_quote(quoted, (const char *)name.data, name.len), TG_NAME_MAX_BYTES);
            return;
        }
        memcpy(text, name.data, name.len);
        text[name.len] = '\0';
        tg_router_command(r, device, text, body, done, user);
        return;
    }
    j = parse_object(body, "the message", &err);
    named = j ? json_string_value(json_object_get(j, "command")) : NULL;
    if (!named) {
        tg_router_refuse(done, user, "invalid",
                         "device %s: a command is {\"command\": \"name\", \"arguments\": {…}}: %s", device,
                         j ? "\"command\" is missing or no text" : err.text);
        json_decref(j);
        return;
    }
    arguments = json_object_get(j, "arguments");
    empty = json_object();
    if (arguments && !json_is_object(arguments))
        tg_router_refuse(done, user, "invalid", "device %s, command %s: \"arguments\" must be an object",
                         device, tg_quote(quoted, named, strlen(named)));
    else
        run(r, device, named, arguments ? arguments : empty, done, user);
    json_decref(empty);
    json_decref(j);
}
