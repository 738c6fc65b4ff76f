/* SPDX-License-Identifier: GPL-2.0-or-later */
#include <jansson.h>
#include <math.h>
#include <stdio.h>

#include "core/base/assert.h"
#include "core/base/clock.h"
#include "core/base/log.h"
#include "core/gateway/router_private.h"
#include "northbound/format_json.h"
#include "northbound/json_document.h"

/* A request number carries the place in the table: serial × TG_COMMANDS_MAX + place. */
static struct tg_pending *pending_of(struct tg_router *r, uint64_t request)
{
    struct tg_pending *p = &r->pending[request % TG_COMMANDS_MAX];
    return p->used && p->serial == request / TG_COMMANDS_MAX ? p : NULL;
}

static uint64_t request_of(const struct tg_router *r, const struct tg_pending *p)
{
    return p->serial * TG_COMMANDS_MAX + (uint64_t)(p - r->pending);
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

static void finish(struct tg_router *r, struct tg_pending *p, const char *status, const char *json)
{
    struct tg_pending ended = *p;
    p->used = false;
    arm(r);
    tg_log(TG_LOG_INFO, "router", "device=%s command=%s status=%s", ended.device, ended.name, status);
    if (ended.done)
        ended.done(ended.user, status, json && json[0] ? json : "{}");
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
    struct tg_pending *p = pending_of(r, request);
    bool first_bad;
    if (!p)
        return; /* it had timed out, or its caller left */
    first_bad = status != TG_PLUGIN_OK && p->worst == TG_PLUGIN_OK;
    if (status != TG_PLUGIN_OK && p->worst == TG_PLUGIN_OK)
        p->worst = status;
    if (json && (p->json[0] == '\0' || first_bad))
        snprintf(p->json, sizeof p->json, "%s",
                 strlen(json) < sizeof p->json ? json : "{\"note\":\"answer longer than 2 KiB left out\"}");
    if (p->open > 0 && --p->open == 0)
        finish(r, p, tg_router_status_name(p->worst), p->json);
}

void tg_router_forget(struct tg_router *r, void *user)
{
    for (uint32_t i = 0; i < TG_COMMANDS_MAX; i++)
        if (r->pending[i].used && r->pending[i].user == user)
            r->pending[i].done = NULL;
}

static struct tg_pending *begin(struct tg_router *r, const char *device, const char *name,
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

static void refuse(tg_command_done_fn done, void *user, const char *status, const char *fmt, ...)
    TG_PRINTF(4, 5);
static void refuse(tg_command_done_fn done, void *user, const char *status, const char *fmt, ...)
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

/* --- set --------------------------------------------------------------------------------------------- */

bool tg_router_value_of(const json_t *j, struct tg_value *ret)
{
    if (json_is_boolean(j))
        *ret = tg_value_bool(json_is_true(j));
    else if (json_is_integer(j))
        *ret = tg_value_int(json_integer_value(j));
    else if (json_is_real(j))
        *ret = tg_value_real(json_real_value(j));
    else if (json_is_string(j) && json_string_length(j) <= TG_TEXT_MAX_BYTES)
        *ret = tg_value_text(json_string_value(j), json_string_length(j));
    else
        return false;
    return true;
}

static int64_t point_index(const struct tg_config_device *d, const char *name)
{
    for (uint32_t i = 0; i < d->point_count; i++)
        if (strcmp(d->points[i].name, name) == 0)
            return i;
    return -1;
}

/* "outside the point's range, 5 to 30": its numbers save a look into the file. */
static const char *range_text(const struct tg_filter_options *o, char *ret_text, size_t size)
{
    const bool low = isfinite(o->min), high = isfinite(o->max);
    struct tg_writer w = tg_writer_init(ret_text, size);
    tg_write_str(&w, "the value is outside the point's range");
    if (low)
        tg_write_fmt(&w, high ? ", %.10g to %.10g" : ", at least %.10g", o->min, o->max);
    else if (high)
        tg_write_fmt(&w, ", at most %.10g", o->max);
    return tg_writer_cstr(&w) == 0 ? ret_text : "the value is outside the point's range";
}

static const char *words_text(const struct tg_filter_options *o, char *ret_text, size_t size)
{
    struct tg_writer w = tg_writer_init(ret_text, size);
    tg_write_str(&w, "the point is an enumeration, and the value is none of its texts: ");
    for (uint32_t i = 0; i < o->word_count; i++)
        tg_write_fmt(&w, "%s%s", i ? ", " : "", o->words[i].text);
    return tg_writer_cstr(&w) == 0 ? ret_text
                                   : "the point is an enumeration, and the value is none of its texts";
}

/* Checks one entry; NULL = good and *ret_value is what to write. A reason may lie in `memory`. */
static const char *check_entry(const struct tg_router_device *d, const char *name, const json_t *given,
                               uint32_t *ret_point, struct tg_value *ret_value, char *memory, size_t size)
{
    int64_t i = point_index(d->config, name);
    const struct tg_settings *common;
    if (i < 0)
        return "the device has no such point";
    common = d->config->points[i].common;
    if (d->config->points[i].derived)
        return "the point is worked out from others and cannot be written";
    if (!tg_settings_has(common, "writable") || !tg_settings_int(common, "writable"))
        return "the point is not writable (writable: true in the configuration)";
    if (!tg_router_value_of(given, ret_value))
        return "a value must be a number, a boolean or a text of at most 1024 bytes";
    switch (tg_filter_unscale(&d->points[i].options, ret_value)) {
    case TG_OK:
        break;
    case TG_ERANGE:
        return range_text(&d->points[i].options, memory, size);
    case TG_ENOTFOUND:
        return words_text(&d->points[i].options, memory, size);
    default:
        return "the point is scaled, so the value must be a number";
    }
    *ret_point = (uint32_t)i;
    return NULL;
}

static void run_set(struct tg_router *r, struct tg_router_device *d, json_t *arguments,
                    tg_command_done_fn done, void *user)
{
    struct {
        uint32_t point;
        struct tg_value value;
    } writes[64];
    uint32_t count = 0;
    struct tg_pending *p;
    uint64_t request;
    const char *name;
    json_t *given;
    if (json_object_size(arguments) == 0 || json_object_size(arguments) > sizeof writes / sizeof writes[0]) {
        refuse(done, user, "invalid", "device %s: set takes 1 to 64 points: {\"point\": value}",
               d->config->id);
        return;
    }
    json_object_foreach(arguments, name, given)
    {
        char memory[200];
        const char *wrong =
            check_entry(d, name, given, &writes[count].point, &writes[count].value, memory, sizeof memory);
        if (wrong) {
            char quoted[TG_QUOTE_BYTES];
            refuse(done, user, "invalid", "device %s, point %s: %s; nothing was written", d->config->id,
                   tg_quote(quoted, name, strlen(name)), wrong);
            return;
        }
        count++;
    }
    p = begin(r, d->config->id, "set", done, user);
    if (!p) {
        refuse(done, user, "busy", "%d commands are under way already", TG_COMMANDS_MAX);
        return;
    }
    p->open = count;
    request = request_of(r, p);
    for (uint32_t i = 0; i < count; i++)
        tg_source_host_write(d->source, request, d->index, writes[i].point, &writes[i].value);
}

static void run(struct tg_router *r, const char *device, const char *name, json_t *arguments,
                tg_command_done_fn done, void *user)
{
    struct tg_router_device *d = tg_router_device(r, device);
    struct tg_pending *p;
    char *text, quoted[TG_QUOTE_BYTES];
    if (!d || !d->source) {
        refuse(done, user, "invalid", "no device %s is running", tg_quote(quoted, device, strlen(device)));
        return;
    }
    if (strlen(name) > TG_NAME_MAX_BYTES || name[0] == '\0') {
        refuse(done, user, "invalid", "a command's name has 1 to %d bytes", TG_NAME_MAX_BYTES);
        return;
    }
    if (strcmp(name, "set") == 0) {
        run_set(r, d, arguments, done, user);
        return;
    }
    text = json_dumps(arguments, JSON_COMPACT);
    p = text ? begin(r, device, name, done, user) : NULL;
    if (!text) {
        refuse(done, user, "error", "out of memory for command %s of device %s", name, device);
    } else if (!p) {
        refuse(done, user, "busy", "%d commands are under way already", TG_COMMANDS_MAX);
    } else {
        p->open = 1;
        tg_source_host_command(d->source, request_of(r, p), d->index, name, text);
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
        refuse(done, user, "invalid", "device %s, command %s: %s", device,
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
            refuse(done, user, "invalid", "device %s: %s is no name of a command: 1 to %d bytes of UTF-8",
                   device, tg_quote(quoted, (const char *)name.data, name.len), TG_NAME_MAX_BYTES);
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
        refuse(done, user, "invalid",
               "device %s: a command is {\"command\": \"name\", \"arguments\": {…}}: %s", device,
               j ? "\"command\" is missing or no text" : err.text);
        json_decref(j);
        return;
    }
    arguments = json_object_get(j, "arguments");
    empty = json_object();
    if (arguments && !json_is_object(arguments))
        refuse(done, user, "invalid", "device %s, command %s: \"arguments\" must be an object", device,
               tg_quote(quoted, named, strlen(named)));
    else
        run(r, device, named, arguments ? arguments : empty, done, user);
    json_decref(empty);
    json_decref(j);
}
