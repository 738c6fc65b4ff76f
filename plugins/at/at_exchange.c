/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * Jobs of a source and their outcomes: polls and URCs become samples, writes and commands are answered.
 */
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>

#include "plugins/at/at_instance.h"
#include "plugins/at/at_options.h"
#include "plugins/at/at_text.h"
#include "plugins/at/cellular.h"

#define COMMAND_TIMEOUT_MAX_MS 600000
#define REQUESTS_IN_A_ROW      4 /* then a poll that is due has its turn */
#define ANSWER_MAX_BYTES       (TG_AT_RESPONSE_MAX_BYTES + TG_AT_RESPONSE_MAX_LINES)

/* --- samples --- */

static void emit(struct at_source *s, uint32_t device, uint32_t count)
{
    if (count > 0)
        (void)s->host->emit(s->host->source, device, 0, s->values,
                            count); /* a full queue is counted by the host */
}

void at_emit_all(struct at_source *s, uint32_t quality)
{
    uint32_t i = 0;
    for (uint32_t d = 0; d < s->config->device_count; d++) {
        uint32_t n = 0;
        for (; i < s->point_count && s->points[i].device == d; i++) {
            if (s->points[i].has_match || s->points[i].has_urc || s->points[i].cellular >= 0)
                s->values[n++] = (struct tg_point_value){.point = s->points[i].index, .quality = quality};
        }
        emit(s, d, n);
    }
}

/* Gives all taken points of an exchange the same quality. */
static void emit_quality(struct at_source *s, uint32_t exchange, uint32_t quality)
{
    uint32_t n = 0;
    for (uint32_t i = 0; i < s->script.poll_count; i++) {
        if (s->polls[i].exchange == exchange && s->polls[i].taken)
            s->values[n++] =
                (struct tg_point_value){.point = s->points[s->poll_points[i]].index, .quality = quality};
    }
    emit(s, s->exchanges[exchange].device, n);
}

void at_skip_due(struct at_source *s, uint32_t quality, int64_t now_ms)
{
    uint32_t x;
    while ((x = tg_at_script_next(&s->script, now_ms)) != TG_AT_SCRIPT_NONE) {
        if (quality != TG_QUALITY_GOOD)
            emit_quality(s, x, quality);
        tg_at_script_done(&s->script, x, now_ms);
    }
}

static const char *device_id(const struct at_source *s, uint32_t device)
{
    return s->config->devices[device].id;
}

/* Where the text of a RAW value goes: it lives until the sample is emitted. */
static char *hex_room(struct at_source *s, const struct at_point *p)
{
    return s->hex_texts ? s->hex_texts + (size_t)(p - s->points) * TG_TEXT_MAX_BYTES : NULL;
}

/* Reads the point's group of the last match of `pattern`. */
static void read_group(struct at_source *s, const struct at_point *p, const struct tg_at_pattern *pattern,
                       struct tg_bytes line, struct tg_point_value *ret)
{
    char shown[AT_SHOWN_BYTES];
    struct tg_bytes text = tg_bytes(NULL, 0);
    if (!tg_at_pattern_group(pattern, p->group, line, &text))
        return; /* the group took no part: the device left the value out */
    if (!tg_at_read_value(&p->reader, text, hex_room(s, p), ret))
        at_trouble(s, AT_TROUBLE_TYPE, "device %s, point %s: \"%s\" is not of its type; no value",
                   device_id(s, p->device), p->name, at_shown(text, shown));
}

static enum tg_at_match try_pattern(struct at_source *s, const struct at_point *p,
                                    struct tg_at_pattern *pattern, struct tg_bytes line)
{
    char shown[AT_SHOWN_BYTES];
    enum tg_at_match m = tg_at_pattern_match(pattern, line);
    if (m == TG_AT_TOO_COSTLY)
        at_trouble(s, AT_TROUBLE_COST,
                   "device %s, point %s: matching its pattern takes too long on \"%s\"; no value",
                   device_id(s, p->device), p->name, at_shown(line, shown));
    return m;
}

static enum tg_at_match try_line(struct at_source *s, const struct at_point *p, struct tg_at_pattern *pattern,
                                 struct tg_bytes line, struct tg_point_value *ret)
{
    enum tg_at_match m = try_pattern(s, p, pattern, line);
    *ret = (struct tg_point_value){.point = p->index, .quality = TG_QUALITY_SENSOR};
    if (m == TG_AT_MATCH)
        read_group(s, p, pattern, line, ret);
    return m;
}

/* The raw bytes of an answer whose announcing line fitted. */
static void read_payload(struct at_source *s, struct at_point *p, const struct tg_at_result *r,
                         struct tg_point_value *ret)
{
    char shown[AT_SHOWN_BYTES], name[AT_SHOWN_BYTES];
    at_shown_command(r->command->text, name);
    *ret = (struct tg_point_value){.point = p->index, .quality = TG_QUALITY_SENSOR};
    if (r->payload_lied) {
        ret->quality = TG_QUALITY_COMM;
        at_trouble(s, AT_TROUBLE_PAYLOAD_LENGTH,
                   "device %s, point %s: %s announced another number of bytes than came; no value",
                   device_id(s, p->device), p->name, name);
    } else if (r->payload_truncated) {
        ret->quality = TG_QUALITY_RANGE;
        at_trouble(s, AT_TROUBLE_PAYLOAD_SIZE, "device %s, point %s: %s brought more than %d bytes; no value",
                   device_id(s, p->device), p->name, name, TG_AT_PAYLOAD_MAX_BYTES);
    } else if (r->payload.len == 0) {
        return; /* nothing was there to be read */
    } else if (p->has_payload_match) {
        if (try_line(s, p, &p->payload_match, r->payload, ret) == TG_AT_NO_MATCH)
            at_trouble(
                s, AT_TROUBLE_NO_MATCH,
                "device %s, point %s: the bytes of %s do not fit `payload_match`; received \"%s\"; no value",
                device_id(s, p->device), p->name, name, at_shown(r->payload, shown));
    } else if (!tg_at_read_value(&p->reader, r->payload, hex_room(s, p), ret)) {
        at_trouble(s, AT_TROUBLE_TYPE, "device %s, point %s: \"%s\" is not of its type; no value",
                   device_id(s, p->device), p->name, at_shown(r->payload, shown));
    }
}

/* All lines of an answer with a line feed between them. */
static struct tg_bytes join(const struct tg_at_result *r, uint8_t buf[ANSWER_MAX_BYTES])
{
    size_t n = 0;
    for (uint32_t i = 0; i < r->line_count; i++) {
        if (i > 0)
            buf[n++] = '\n';
        memcpy(buf + n, r->lines[i].data, r->lines[i].len);
        n += r->lines[i].len;
    }
    return tg_bytes(buf, n);
}

/* True when a line, or the whole answer, fitted the point's pattern. */
static bool fits(struct at_source *s, struct at_point *p, const struct tg_at_result *r,
                 struct tg_point_value *ret)
{
    uint8_t buf[ANSWER_MAX_BYTES];
    if (p->whole_answer)
        return r->line_count > 0 && try_line(s, p, &p->match, join(r, buf), ret) == TG_AT_MATCH;
    for (uint32_t i = 0; i < r->line_count; i++) {
        if (p->payload == TG_AT_PAYLOAD_NO) {
            if (try_line(s, p, &p->match, r->lines[i], ret) == TG_AT_MATCH)
                return true;
        } else if (try_pattern(s, p, &p->match, r->lines[i]) == TG_AT_MATCH) {
            read_payload(s, p, r, ret);
            return true;
        }
    }
    return false;
}

/* True when the answer fitted the point's pattern. */
static bool read_point(struct at_source *s, struct at_point *p, const struct tg_at_result *r,
                       struct tg_point_value *ret)
{
    char shown[AT_SHOWN_BYTES], name[AT_SHOWN_BYTES];
    if (fits(s, p, r, ret))
        return true;
    *ret = (struct tg_point_value){.point = p->index, .quality = TG_QUALITY_SENSOR};
    at_shown_command(r->command->text, name);
    if (r->line_count == 0)
        at_trouble(s, AT_TROUBLE_EMPTY, "device %s, point %s: %s was answered %s without a line; no value",
                   device_id(s, p->device), p->name, name, tg_at_status_name(r->status));
    else
        at_trouble(
            s, AT_TROUBLE_NO_MATCH,
            "device %s, point %s: no line of the answer to %s fits its pattern; received \"%s\"; no value",
            device_id(s, p->device), p->name, name, at_shown(r->lines[0], shown));
    return false;
}

/* An answer that is none: empty, or of another command. It may be that results and commands are out of step.
 */
static bool looks_shifted(const struct tg_at_result *r)
{
    const char *name = r->command->text;
    size_t n;
    if (r->line_count == 0)
        return true;
    if (strncmp(name, "AT+", 3) != 0 || r->lines[0].len == 0 || r->lines[0].data[0] != '+')
        return false;
    name += 2;
    n = strcspn(name, "=?;");
    return r->lines[0].len < n || memcmp(r->lines[0].data, name, n) != 0;
}

static void poll_answered(struct at_source *s, const struct tg_at_result *r, int64_t now_ms)
{
    uint32_t x = s->job_exchange, n = 0, fitted = 0;
    for (uint32_t i = 0; i < s->script.poll_count; i++) {
        if (s->polls[i].exchange != x || !s->polls[i].taken)
            continue;
        fitted += read_point(s, &s->points[s->poll_points[i]], r, &s->values[n]) ? 1 : 0;
        n++;
    }
    emit(s, s->exchanges[x].device, n);
    if (fitted == 0 && looks_shifted(r))
        tg_at_chat_sync(&s->chat, now_ms);
}

static void poll_done(struct at_source *s, const struct tg_at_result *r, int64_t now_ms)
{
    char shown[AT_SHOWN_BYTES], name[AT_SHOWN_BYTES];
    bool down = s->state == TG_DEVICE_DOWN;
    if (r->truncated > 0)
        at_trouble(s, AT_TROUBLE_ANSWER_SIZE,
                   "device %s: %u lines of the answer to %s were too long or too many; dropped",
                   device_id(s, s->exchanges[s->job_exchange].device), r->truncated,
                   at_shown_command(r->command->text, name));
    if (r->status == TG_AT_OK) {
        poll_answered(s, r, now_ms);
    } else if (r->status == TG_AT_TIMEOUT) {
        if (!down)
            emit_quality(s, s->job_exchange, TG_QUALITY_TIMEOUT);
    } else if (r->status != TG_AT_HANGUP) { /* after a hang-up all points were told at once */
        at_trouble(s, AT_TROUBLE_ERROR, "device %s: %s was answered \"%s\"; no value",
                   device_id(s, s->exchanges[s->job_exchange].device),
                   at_shown_command(r->command->text, name), at_shown(r->final, shown));
        emit_quality(s, s->job_exchange, TG_QUALITY_DEVICE);
    }
    tg_at_script_done(&s->script, s->job_exchange, now_ms);
}

static bool is_answer_to_poll(void *source, struct tg_bytes line)
{
    struct at_source *s = source;
    for (uint32_t i = 0; i < s->script.poll_count; i++) {
        if (s->polls[i].exchange == s->job_exchange && !s->points[s->poll_points[i]].whole_answer &&
            tg_at_pattern_match(&s->points[s->poll_points[i]].match, line) == TG_AT_MATCH)
            return true;
    }
    return false;
}

bool at_is_final(void *source, struct tg_bytes line, struct tg_at_final *ret_final)
{
    struct at_source *s = source;
    struct tg_bytes code;
    for (uint32_t i = 0; i < s->final_count; i++) {
        struct at_final_pattern *f = &s->finals[i];
        if (tg_at_pattern_match(&f->pattern, line) != TG_AT_MATCH)
            continue;
        ret_final->status = f->ok ? TG_AT_OK : TG_AT_ERROR;
        if (!f->ok && f->pattern.groups > 0 && tg_at_pattern_group(&f->pattern, 1, line, &code))
            ret_final->code = tg_at_code(code);
        return true;
    }
    return false;
}

bool at_is_urc(void *source, struct tg_bytes line)
{
    struct at_source *s = source;
    for (uint32_t i = 0; i < s->point_count; i++) {
        if (s->points[i].has_urc && tg_at_pattern_match(&s->points[i].urc, line) == TG_AT_MATCH)
            return true;
    }
    return false;
}

void at_on_urc(struct at_source *s, const struct tg_at_event *ev)
{
    uint8_t joined[2 * TG_AT_LINE_MAX_BYTES + 1];
    size_t len = ev->lines[0].len;
    uint32_t i = 0;
    if (at_bucket_room(&s->lines, s->host->now_ms(s->host->source)) <= 0) {
        at_trouble(s, AT_TROUBLE_URC_FLOOD,
                   "%s: more than %lld unasked lines a second; the further ones are dropped", s->port,
                   (long long)s->lines.per_s);
        return;
    }
    at_bucket_take(&s->lines, 1);
    memcpy(joined, ev->lines[0].data, len);
    if (ev->line_count > 1) { /* a pattern sees both lines with LF between */
        joined[len++] = '\n';
        memcpy(joined + len, ev->lines[1].data, ev->lines[1].len);
        len += ev->lines[1].len;
    }
    for (uint32_t d = 0; d < s->config->device_count; d++) {
        uint32_t n = 0;
        for (; i < s->point_count && s->points[i].device == d; i++) {
            struct at_point *p = &s->points[i];
            if (p->has_urc && try_line(s, p, &p->urc, tg_bytes(joined, len), &s->values[n]) == TG_AT_MATCH)
                n++;
        }
        emit(s, d, n);
    }
}

/* --- writes and commands --- */

static void answer(struct at_source *s, uint64_t id, int status, json_t *object)
{
    char *text = object ? json_dumps(object, JSON_COMPACT) : NULL;
    s->host->answer(s->host->source, id, status, text);
    free(text);
    json_decref(object);
}

static void answer_error(struct at_source *s, uint64_t id, int status, const char *why)
{
    answer(s, id, status, json_pack("{s:s}", "error", why));
}

static int plugin_status(enum at_job_kind kind, enum tg_at_status status)
{
    switch (status) {
    case TG_AT_OK:
        return TG_PLUGIN_OK;
    case TG_AT_TIMEOUT: /* the device may have done it */
        return kind == AT_JOB_WRITE ? TG_PLUGIN_EUNKNOWN : TG_PLUGIN_ETIMEOUT;
    case TG_AT_HANGUP:
        return kind == AT_JOB_WRITE ? TG_PLUGIN_EUNKNOWN : TG_PLUGIN_EIO;
    default:
        return TG_PLUGIN_EDEVICE;
    }
}

static void request_done(struct at_source *s, const struct tg_at_result *r, int64_t now_ms)
{
    answer(s, s->job_request.id, plugin_status(s->job, r->status), at_json_result(r));
    if (s->job == AT_JOB_WRITE && s->job_request.exchange != TG_AT_SCRIPT_NONE)
        tg_at_script_hurry(&s->script, s->job_request.exchange, now_ms);
}

void at_fail_requests(struct at_source *s)
{
    while (s->request_count > 0) {
        uint64_t id = s->requests[s->request_head].id;
        s->request_head = (s->request_head + 1) % AT_REQUESTS_MAX;
        s->request_count--;
        answer_error(s, id, TG_PLUGIN_EIO, "the device does not answer; nothing was sent");
    }
}

/* A slot of the ring for a request, or NULL after it was answered. */
static struct at_request *new_request(struct at_source *s, uint64_t id)
{
    struct at_request *q;
    if (s->lent) {
        answer_error(s, id, TG_PLUGIN_EIO,
                     "the data link has the port, nothing was sent; with `data_port` it would have its own");
        return NULL;
    }
    if (s->phase == AT_CLOSED) {
        answer_error(s, id, TG_PLUGIN_EIO, "the device does not answer; nothing was sent");
        return NULL;
    }
    if (s->request_count == AT_REQUESTS_MAX) {
        answer_error(s, id, TG_PLUGIN_EFULL, "too many requests wait for this device; nothing was sent");
        return NULL;
    }
    q = &s->requests[(s->request_head + s->request_count) % AT_REQUESTS_MAX];
    *q = (struct at_request){.id = id, .timeout_ms = s->timeout_ms, .exchange = TG_AT_SCRIPT_NONE};
    return q;
}

void at_write(void *instance, uint64_t request, uint32_t device, uint32_t point, const struct tg_value *value)
{
    struct at_source *s = instance;
    const struct at_point *p = NULL;
    struct at_request *q;
    char error[256];
    int rc;
    for (uint32_t i = 0; i < s->point_count; i++) {
        if (s->points[i].device == device && s->points[i].index == point)
            p = &s->points[i];
    }
    if (!p || !p->has_write) {
        answer_error(s, request, TG_PLUGIN_EUNSUPPORTED, "the point has no `write` command");
        return;
    }
    q = new_request(s, request);
    if (!q)
        return;
    rc = tg_at_write_format(&p->write, value, &q->out, error, sizeof error);
    if (rc < 0) {
        snprintf(error + strlen(error), sizeof error - strlen(error), "; nothing was sent");
        answer_error(s, request, rc, error);
        return;
    }
    q->kind = AT_JOB_WRITE;
    q->write = &p->write;
    q->device = device;
    q->exchange = p->exchange;
    q->timeout_ms = p->timeout_ms;
    s->request_count++;
}

void at_command(void *instance, uint64_t request, uint32_t device, const char *name, const char *json)
{
    struct at_source *s = instance;
    json_t *args = json_loads(json ? json : "", JSON_REJECT_DUPLICATES, NULL);
    const char *text = json_string_value(json_object_get(args, "command"));
    json_t *timeout = json_object_get(args, "timeout_ms");
    const char *fault = text ? tg_at_command_fault(text) : "is missing";
    struct at_request *q;
    if (strcmp(name, "enter_pin") == 0) {
        const char *why = at_cellular_enter_pin(s, s->host->now_ms(s->host->source));
        if (why)
            answer_error(s, request, TG_PLUGIN_EINVAL, why);
        else
            answer(s, request, TG_PLUGIN_OK,
                   json_pack("{s:s}", "status", "the SIM is being looked at; the log says what comes of it"));
    } else if (strcmp(name, "stats") == 0) {
        answer(s, request, TG_PLUGIN_OK, at_stats(s));
    } else if (strcmp(name, "at") != 0) {
        answer_error(s, request, TG_PLUGIN_EUNSUPPORTED,
                     "this plugin knows the commands at, stats and, with `script: cellular`, enter_pin");
    } else if (fault || (timeout && (!json_is_integer(timeout) || json_integer_value(timeout) < 1 ||
                                     json_integer_value(timeout) > COMMAND_TIMEOUT_MAX_MS))) {
        char why[200];
        snprintf(why, sizeof why,
                 "%s %s; expected {\"command\":\"AT+COPS?\"}, optionally timeout_ms (1 … %d)",
                 fault ? "command" : "timeout_ms", fault ? fault : "is out of range", COMMAND_TIMEOUT_MAX_MS);
        answer_error(s, request, TG_PLUGIN_EINVAL, why);
    } else if ((q = new_request(s, request)) != NULL) {
        q->kind = AT_JOB_RAW;
        q->device = device;
        memcpy(q->out.text, text, strlen(text) + 1);
        if (timeout)
            q->timeout_ms = json_integer_value(timeout);
        s->request_count++;
    }
    json_decref(args);
}

/* --- jobs --- */

static void send(struct at_source *s, enum at_job_kind kind, struct tg_at_command command)
{
    /* Cannot fail: the conversation is idle, and every text was checked where it came from. */
    if (tg_at_chat_queue(&s->chat, &command) == 0)
        s->job = kind;
}

static struct tg_at_command request_command(const struct at_request *q)
{
    struct tg_at_command c = {.text = q->out.text, .timeout_ms = q->timeout_ms};
    if (q->write && q->out.data_len > 0) {
        c.prompt = q->write->prompt;
        c.data = tg_bytes(q->out.data, q->out.data_len);
        c.data_at_once = q->write->block;
        c.data_delay_ms = q->write->delay_ms;
    }
    return c;
}

bool at_start_job(struct at_source *s, int64_t now_ms)
{
    struct tg_at_command cellular;
    uint32_t x;
    if (s->job != AT_JOB_NONE || tg_at_chat_state(&s->chat) != TG_AT_IDLE)
        return false;
    if (s->phase == AT_INIT) {
        send(s, AT_JOB_INIT,
             (struct tg_at_command){.text = s->init[s->init_next].text,
                                    .timeout_ms = s->init[s->init_next].timeout_ms});
    } else if (s->phase == AT_RUN && s->request_count > 0 &&
               !(s->requests_in_a_row >= REQUESTS_IN_A_ROW && tg_at_script_deadline(&s->script) <= now_ms)) {
        s->requests_in_a_row++;
        s->job_request = s->requests[s->request_head];
        s->request_head = (s->request_head + 1) % AT_REQUESTS_MAX;
        s->request_count--;
        send(s, s->job_request.kind, request_command(&s->job_request));
    } else if (s->phase == AT_RUN && at_cellular_next(s, now_ms, &cellular)) {
        send(s, AT_JOB_CELLULAR, cellular);
    } else if (s->phase == AT_RUN && (x = tg_at_script_next(&s->script, now_ms)) != TG_AT_SCRIPT_NONE) {
        s->requests_in_a_row = 0;
        s->job_exchange = x;
        send(s, AT_JOB_POLL,
             (struct tg_at_command){.text = s->exchanges[x].command,
                                    .timeout_ms = s->exchanges[x].timeout_ms,
                                    .announce = s->exchanges[x].announce,
                                    .is_response = is_answer_to_poll,
                                    .user = s});
    }
    return s->job != AT_JOB_NONE;
}

void at_job_done(struct at_source *s, const struct tg_at_result *r, int64_t now_ms)
{
    char shown[AT_SHOWN_BYTES], name[AT_SHOWN_BYTES];
    enum at_job_kind kind = s->job;
    if (kind == AT_JOB_POLL) {
        poll_done(s, r, now_ms);
    } else if (kind == AT_JOB_CELLULAR) {
        at_cellular_result(s, r, now_ms);
    } else if (kind == AT_JOB_WRITE || kind == AT_JOB_RAW) {
        request_done(s, r, now_ms);
    } else if (kind == AT_JOB_INIT && r->status != TG_AT_TIMEOUT && r->status != TG_AT_HANGUP) {
        s->init_next++;
        if (r->status != TG_AT_OK)
            at_trouble(s, AT_TROUBLE_INIT,
                       "%s: the initial command %s was answered \"%s\"; going on without it", s->port,
                       at_shown_command(r->command->text, name), at_shown(r->final, shown));
    }
    s->job = AT_JOB_NONE;
    if (r->status == TG_AT_TIMEOUT)
        at_unanswered(s, 1, at_shown_command(r->command->text, name), r->command->timeout_ms);
    else if (r->status != TG_AT_HANGUP)
        at_answered(s, now_ms);
}
