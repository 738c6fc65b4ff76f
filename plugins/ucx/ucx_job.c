/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * Commands to the module, one at a time: initial ones, connecting peers, polls, and what the cloud asks for.
 */
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>

#include "plugins/at/at_options.h"
#include "plugins/at/at_text.h"
#include "plugins/ucx/ucx_instance.h"

#define COMMAND_TIMEOUT_MAX_MS 600000

/* --- answers --- */

static void answer(struct ucx_source *s, uint64_t id, int status, json_t *object)
{
    char *text = object ? json_dumps(object, JSON_COMPACT) : NULL;
    s->host->answer(s->host->source, id, status, text);
    free(text);
    json_decref(object);
}

void ucx_answer_error(struct ucx_source *s, uint64_t id, int status, const char *why)
{
    answer(s, id, status, json_pack("{s:s}", "error", why));
}

void ucx_fail_requests(struct ucx_source *s, const char *why)
{
    for (; s->request_count > 0; s->request_count--) {
        ucx_answer_error(s, s->requests[s->request_head].id, TG_PLUGIN_EIO, why);
        s->request_head = (s->request_head + 1) % UCX_REQUESTS_MAX;
    }
    for (; s->send_count > 0; s->send_count--) {
        ucx_answer_error(s, s->sends[s->send_head].id,
                         s->sends[s->send_head].sent ? TG_PLUGIN_EUNKNOWN : TG_PLUGIN_EIO, why);
        s->send_head = (s->send_head + 1) % UCX_SENDS_MAX;
    }
}

static void request_done(struct ucx_source *s, const struct tg_at_result *r)
{
    int status = r->status == TG_AT_OK ? TG_PLUGIN_OK
                 : r->status == TG_AT_TIMEOUT
                     ? (s->job_request.is_write ? TG_PLUGIN_EUNKNOWN : TG_PLUGIN_ETIMEOUT)
                 : r->status == TG_AT_HANGUP ? (s->job_request.is_write ? TG_PLUGIN_EUNKNOWN : TG_PLUGIN_EIO)
                                             : TG_PLUGIN_EDEVICE;
    answer(s, s->job_request.id, status, at_json_result(r));
}

/* --- what the cloud asks for --- */

static struct ucx_request *new_request(struct ucx_source *s, uint64_t id)
{
    struct ucx_request *q;
    if (s->phase != UCX_RUN) {
        ucx_answer_error(s, id, TG_PLUGIN_EIO, "the module does not answer; nothing was sent");
        return NULL;
    }
    if (s->request_count == UCX_REQUESTS_MAX) {
        ucx_answer_error(s, id, TG_PLUGIN_EFULL, "too many requests wait for this module; nothing was sent");
        return NULL;
    }
    q = &s->requests[(s->request_head + s->request_count) % UCX_REQUESTS_MAX];
    *q = (struct ucx_request){.id = id, .timeout_ms = s->timeout_ms};
    return q;
}

static void send_to_peer(struct ucx_source *s, uint64_t id, uint32_t device, const char *text)
{
    const struct ucx_device *v = &s->devices[device];
    size_t n = strlen(text), end = strlen(v->line_end);
    struct ucx_send *q;
    if (v->peer != UCX_PEER_CONNECTED) {
        ucx_answer_error(s, id, TG_PLUGIN_EIO, "the device is not connected; nothing was sent");
    } else if (n + end > UCX_SEND_MAX_BYTES) {
        ucx_answer_error(s, id, TG_PLUGIN_EINVAL, "the text is too long; nothing was sent");
    } else if (s->send_count == UCX_SENDS_MAX) {
        ucx_answer_error(s, id, TG_PLUGIN_EFULL, "too many texts wait for this module; nothing was sent");
    } else {
        q = &s->sends[(s->send_head + s->send_count++) % UCX_SENDS_MAX];
        *q = (struct ucx_send){.id = id, .device = device, .len = n + end};
        memcpy(q->bytes, text, n);
        memcpy(q->bytes + n, v->line_end, end);
    }
}

void ucx_write(void *instance, uint64_t request, uint32_t device, uint32_t point,
               const struct tg_value *value)
{
    struct ucx_source *s = instance;
    const struct ucx_point *p = &s->points[s->devices[device].first_point + point];
    struct tg_at_written out;
    char error[256];
    struct ucx_request *q;
    int rc;
    if (!p->has_write) {
        ucx_answer_error(s, request, TG_PLUGIN_EUNSUPPORTED, "the point has no `write`");
        return;
    }
    rc = tg_at_write_format(&p->write, value, &out, error, sizeof error);
    if (rc < 0) {
        snprintf(error + strlen(error), sizeof error - strlen(error), "; nothing was sent");
        ucx_answer_error(s, request, rc, error);
    } else if (s->devices[device].is_peer) {
        send_to_peer(s, request, device, out.text);
    } else if ((q = new_request(s, request)) != NULL) {
        q->is_write = true;
        q->timeout_ms = p->timeout_ms;
        memcpy(q->text, out.text, strlen(out.text) + 1);
        s->request_count++;
    }
}

static void command_at(struct ucx_source *s, uint64_t request, const json_t *args)
{
    const char *text = json_string_value(json_object_get(args, "command"));
    const json_t *timeout = json_object_get(args, "timeout_ms");
    const char *fault = text ? tg_at_command_fault(text) : "is missing";
    struct ucx_request *q;
    char why[200];
    if (!fault && timeout &&
        (!json_is_integer(timeout) || json_integer_value(timeout) < 1 ||
         json_integer_value(timeout) > COMMAND_TIMEOUT_MAX_MS))
        fault = "has a timeout_ms out of range (1 … 600000)";
    if (fault) {
        snprintf(why, sizeof why, "command %s; expected {\"command\":\"AT+UWSSTAT\"}, optionally timeout_ms",
                 fault);
        ucx_answer_error(s, request, TG_PLUGIN_EINVAL, why);
    } else if ((q = new_request(s, request)) != NULL) {
        memcpy(q->text, text, strlen(text) + 1);
        if (timeout)
            q->timeout_ms = json_integer_value(timeout);
        s->request_count++;
    }
}

void ucx_command(void *instance, uint64_t request, uint32_t device, const char *name, const char *json)
{
    struct ucx_source *s = instance;
    json_t *args = json_loads(json ? json : "", JSON_REJECT_DUPLICATES, NULL);
    const char *text = json_string_value(json_object_get(args, "text"));
    if (strcmp(name, "at") == 0)
        command_at(s, request, args);
    else if (strcmp(name, "send") != 0)
        ucx_answer_error(s, request, TG_PLUGIN_EUNSUPPORTED, "this plugin knows the commands at and send");
    else if (!s->devices[device].is_peer)
        ucx_answer_error(s, request, TG_PLUGIN_EUNSUPPORTED,
                         "this device is the module itself; send is for its peers, at is for it");
    else if (!text)
        ucx_answer_error(s, request, TG_PLUGIN_EINVAL, "expected {\"text\":\"…\"}");
    else
        send_to_peer(s, request, device, text);
    json_decref(args);
}

/* --- polls --- */

static void emit_exchange(struct ucx_source *s, uint32_t exchange, const struct tg_at_result *r,
                          uint32_t quality)
{
    uint32_t n = 0;
    for (uint32_t i = 0; i < s->script.poll_count; i++) {
        struct ucx_point *p = &s->points[s->poll_points[i]];
        struct tg_point_value *v = &s->values[n];
        bool found = false;
        if (s->polls[i].exchange != exchange || !s->polls[i].taken)
            continue;
        *v = (struct tg_point_value){.point = p->index, .quality = quality};
        for (uint32_t k = 0; r && !found && k < r->line_count; k++) {
            struct tg_bytes text;
            found = tg_at_pattern_match(&p->match, r->lines[k]) == TG_AT_MATCH;
            if (found && tg_at_pattern_group(&p->match, p->group, r->lines[k], &text))
                (void)tg_at_read_value(&p->reader, text, NULL, v);
        }
        n++;
    }
    if (n > 0)
        (void)s->host->emit(s->host->source, s->exchanges[exchange].device, 0, s->values, n);
}

static void poll_done(struct ucx_source *s, const struct tg_at_result *r, int64_t now_ms)
{
    uint32_t x = s->job_exchange;
    if (r->status == TG_AT_OK)
        emit_exchange(s, x, r,
                      TG_QUALITY_SENSOR); /* no line fits: the module leaves out what it does not have */
    else if (r->status != TG_AT_HANGUP)
        emit_exchange(s, x, NULL, r->status == TG_AT_TIMEOUT ? TG_QUALITY_TIMEOUT : TG_QUALITY_DEVICE);
    tg_at_script_done(&s->script, x, now_ms);
}

/* --- jobs --- */

void ucx_start(struct ucx_source *s, enum ucx_job_kind kind, const char *text, int64_t timeout_ms)
{
    struct tg_at_command c = {.text = s->job_text, .timeout_ms = timeout_ms};
    snprintf(s->job_text, sizeof s->job_text, "%s", text);
    if (tg_ucx_link_queue(&s->link, &c) == 0)
        s->job = kind;
}

static bool connect_next(struct ucx_source *s, int64_t now_ms)
{
    for (uint32_t d = 0; d < s->config->device_count; d++) {
        const struct ucx_device *v = &s->devices[d];
        char text[64];
        if (!v->is_peer || !v->module_connects || v->peer != UCX_PEER_IDLE || now_ms < v->due_ms)
            continue;
        snprintf(text, sizeof text, "AT+UDCP=%s", v->url);
        s->job_device = d;
        ucx_start(s, UCX_JOB_CONNECT, text, s->timeout_ms);
        return true;
    }
    return false;
}

bool ucx_start_job(struct ucx_source *s, int64_t now_ms)
{
    uint32_t x;
    if (s->job != UCX_JOB_NONE || !tg_ucx_link_idle(&s->link))
        return false;
    if (s->ask_connections && s->phase == UCX_RUN && tg_ucx_link_ask_connections(&s->link) == TG_OK)
        s->ask_connections = false;
    if (s->phase == UCX_INIT && s->init_next < s->init_count) {
        ucx_start(s, UCX_JOB_INIT, s->init[s->init_next], s->timeout_ms);
    } else if (s->phase == UCX_INIT) {
        ucx_start(s, UCX_JOB_EXTEND, "ATO2", s->timeout_ms);
    } else if (s->phase == UCX_RUN && ucx_carry_start_job(s, now_ms)) {
        return true;
    } else if (s->phase == UCX_RUN && s->request_count > 0) {
        s->job_request = s->requests[s->request_head];
        s->request_head = (s->request_head + 1) % UCX_REQUESTS_MAX;
        s->request_count--;
        ucx_start(s, UCX_JOB_REQUEST, s->job_request.text, s->job_request.timeout_ms);
    } else if (s->phase == UCX_RUN && !connect_next(s, now_ms) &&
               (x = tg_at_script_next(&s->script, now_ms)) != TG_AT_SCRIPT_NONE) {
        s->job_exchange = x;
        ucx_start(s, UCX_JOB_POLL, s->exchanges[x].command, s->exchanges[x].timeout_ms);
    }
    return s->job != UCX_JOB_NONE;
}

static void connect_done(struct ucx_source *s, const struct tg_at_result *r, int64_t now_ms)
{
    struct ucx_device *v = &s->devices[s->job_device];
    char shown[AT_SHOWN_BYTES], why[200];
    int handle = -1;
    for (uint32_t i = 0; i < r->line_count; i++)
        if (tg_bytes_starts(r->lines[i], "+UDCP:"))
            handle = atoi(at_shown(r->lines[i], shown) + sizeof "+UDCP:" - 1);
    if (r->status == TG_AT_OK && handle >= 0) {
        v->handle = handle;
        if (v->peer == UCX_PEER_IDLE) { /* else the connect event was sooner */
            v->peer = UCX_PEER_CONNECTING;
            v->due_ms = now_ms + UCX_CONNECT_MS;
        }
    } else if (v->peer == UCX_PEER_IDLE) {
        snprintf(why, sizeof why, "the module refused to connect it (\"%s\")",
                 r->final.len ? at_shown(r->final, shown) : tg_at_status_name(r->status));
        ucx_peer_lost(s, s->job_device, why, now_ms);
    }
}

void ucx_job_done(struct ucx_source *s, const struct tg_at_result *r, int64_t now_ms)
{
    const enum ucx_job_kind kind = s->job;
    char shown[AT_SHOWN_BYTES], name[AT_SHOWN_BYTES];
    s->job = UCX_JOB_NONE;
    switch (kind) {
    case UCX_JOB_INIT:
        s->init_next++;
        if (r->status != TG_AT_OK && r->status != TG_AT_HANGUP)
            s->host->log(s->host->source, TG_LOG_WARN,
                         "%s: the initial command %s was answered \"%s\"; going on without it", s->port,
                         at_shown_command(r->command->text, name),
                         r->final.len ? at_shown(r->final, shown) : tg_at_status_name(r->status));
        break;
    case UCX_JOB_EXTEND:
        if (r->status == TG_AT_OK)
            s->phase = UCX_RUN;
        else if (r->status != TG_AT_HANGUP)
            s->host->log(
                s->host->source, TG_LOG_WARN,
                "%s: the module does not enter extended data mode (\"%s\"); trying again when it answers",
                s->port, r->final.len ? at_shown(r->final, shown) : tg_at_status_name(r->status));
        break;
    case UCX_JOB_CONNECT:
        connect_done(s, r, now_ms);
        break;
    case UCX_JOB_POLL:
        poll_done(s, r, now_ms);
        break;
    case UCX_JOB_REQUEST:
        request_done(s, r);
        break;
    case UCX_JOB_LIST_OLD:
    case UCX_JOB_CLOSE_OLD:
    case UCX_JOB_CARRY_COMMAND:
    case UCX_JOB_CARRY_CLOSE:
        ucx_carry_job_done(s, kind, r, now_ms);
        break;
    case UCX_JOB_NONE:
        break;
    }
}
