/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "southbound/at_chat.h"

#include "core/base/assert.h"
#include "southbound/at_chat_private.h"

static void set_default(int64_t *value, int64_t ms)
{
    if (*value <= 0)
        *value = ms;
}

void tg_at_chat_init(struct tg_at_chat *c, const struct tg_at_chat_config *config)
{
    memset(c, 0, sizeof *c);
    c->config = *config;
    set_default(&c->config.pause_ms, 25);
    set_default(&c->config.quiet_ms, 100);
    set_default(&c->config.quiet_max_ms, 1000);
    set_default(&c->config.probe_ms, 1000);
    set_default(&c->config.settle_ms, 500);
    set_default(&c->config.abort_ms, 5000);
    set_default(&c->config.guard_ms, 1100);
    tg_at_lines_init(&c->lines);
    tg_at_lines_blocks(&c->lines, config->blocks);
    c->not_before_ms = c->blocked_ms = c->last_rx_ms = INT64_MIN;
    c->data_at_ms = INT64_MAX;
}

/* --- events --- */

void tg_at_chat_simple_event_(struct tg_at_chat *c, enum tg_at_event_kind kind)
{
    TG_ASSERT(!c->event_waits);
    memset(&c->event, 0, sizeof c->event);
    c->event.kind = kind;
    c->event_waits = true;
}

static void line_event(struct tg_at_chat *c, enum tg_at_event_kind kind, struct tg_bytes line)
{
    tg_at_chat_simple_event_(c, kind);
    c->event.lines[0] = line;
    c->event.line_count = 1;
    if (kind == TG_AT_EVENT_URC)
        c->counters.urcs++;
    else
        c->counters.others++;
}

/* The next result of a command that ended with the port. */
static void fail_next(struct tg_at_chat *c, struct tg_at_event *ret_event)
{
    c->failing--;
    c->current = c->queue[c->queue_head];
    c->queue_head = (c->queue_head + 1) % TG_AT_SLOTS;
    c->queue_count--;
    memset(ret_event, 0, sizeof *ret_event);
    ret_event->kind = TG_AT_EVENT_RESULT;
    ret_event->result.command = &c->current;
    ret_event->result.status = TG_AT_HANGUP;
    ret_event->result.code = -1;
}

bool tg_at_chat_event(struct tg_at_chat *c, struct tg_at_event *ret_event)
{
    if (c->event_waits) {
        *ret_event = c->event;
        c->event_waits = false;
        return true;
    }
    if (c->failing == 0)
        return false;
    fail_next(c, ret_event);
    return true;
}

/* --- commands --- */

uint32_t tg_at_chat_pending(const struct tg_at_chat *c)
{
    return c->queue_count + (c->state == TG_AT_WAIT || c->state == TG_AT_ABORTING ? 1 : 0);
}

int tg_at_chat_queue(struct tg_at_chat *c, const struct tg_at_command *command)
{
    size_t n = strlen(command->text);
    if (c->state == TG_AT_CLOSED)
        return TG_ESTATE;
    if (n == 0 || n > TG_AT_COMMAND_MAX_BYTES)
        return TG_EINVAL;
    for (size_t i = 0; i < n; i++) {
        if ((unsigned char)command->text[i] < 0x20 || command->text[i] == 0x7F)
            return TG_EINVAL;
    }
    if (c->queue_count == TG_AT_QUEUE_MAX)
        return TG_EFULL;
    c->queue[(c->queue_head + c->queue_count++) % TG_AT_SLOTS] = *command;
    return 0;
}

void tg_at_chat_send_(struct tg_at_chat *c, const char *text)
{
    size_t n = strlen(text);
    TG_ASSERT(n <= sizeof c->out_buf);
    memcpy(c->out_buf, text, n);
    c->out = tg_bytes(c->out_buf, n);
}

void tg_at_chat_start_next_(struct tg_at_chat *c, int64_t now_ms)
{
    size_t n;
    c->current = c->queue[c->queue_head];
    c->queue_head = (c->queue_head + 1) % TG_AT_SLOTS;
    c->queue_count--;
    c->counters.commands++;
    c->text_len = c->payload_len = 0;
    c->response_count = c->truncated = 0;
    c->payload_truncated = c->payload_lied = c->prompted = c->payload_own = false;
    c->data_at_ms = INT64_MAX;
    n = strlen(c->current.text);
    memcpy(c->out_buf, c->current.text, n);
    c->out_buf[n] = '\r';
    c->out = tg_bytes(c->out_buf, c->current.data_at_once ? n : n + 1);
    tg_at_lines_expect(&c->lines, c->current.prompt);
    tg_at_lines_announce(&c->lines, &c->current.announce);
    c->deadline_ms = now_ms + c->current.timeout_ms;
    c->state = TG_AT_WAIT;
}

void tg_at_chat_finish_(struct tg_at_chat *c, const struct tg_at_final *final, struct tg_bytes line)
{
    struct tg_at_result *r = &c->event.result;
    tg_at_chat_simple_event_(c, TG_AT_EVENT_RESULT);
    r->command = &c->current;
    r->status = c->state == TG_AT_ABORTING ? TG_AT_ABORTED : final->status;
    r->code = final->code;
    r->final = line;
    r->lines = c->response;
    r->line_count = c->response_count;
    r->truncated = c->truncated;
    r->payload = tg_bytes(c->payload, c->payload_len);
    r->payload_truncated = c->payload_truncated || c->lines.payload_left > 0;
    r->payload_lied = c->payload_lied;
    r->connected = final->connected;
    tg_at_lines_expect(&c->lines, NULL);
    tg_at_lines_announce(&c->lines, NULL);
    c->payload_own = false;
    c->data_at_ms = INT64_MAX;
    c->out = tg_bytes(NULL, 0);
    if (r->connected && tg_at_lines_more(&c->lines))
        tg_at_lines_reset(&c->lines); /* text that was held back is no data */
    c->state = r->connected ? TG_AT_DATA : TG_AT_IDLE;
}

struct tg_bytes tg_at_chat_output(const struct tg_at_chat *c)
{
    return c->out;
}

void tg_at_chat_output_ack(struct tg_at_chat *c, size_t n, int64_t now_ms)
{
    TG_ASSERT(n <= c->out.len);
    c->out = tg_at_rest(c->out, n);
    if (n == 0 || c->out.len > 0)
        return;
    if (c->state == TG_AT_WAIT && c->current.data_at_once && !c->prompted) {
        c->prompted = true;
        c->out = c->current.data;
    }
    if (c->state == TG_AT_WAIT)
        c->deadline_ms = now_ms + c->current.timeout_ms;
    else if (c->state == TG_AT_PROBE)
        c->deadline_ms = now_ms + c->config.probe_ms;
}

void tg_at_chat_abort(struct tg_at_chat *c, int64_t now_ms)
{
    if (c->state != TG_AT_WAIT || c->event_waits)
        return;
    if (c->current.prompt) {
        tg_at_chat_send_(c, "\x1b");
        c->data_at_ms = INT64_MAX;
    } else if (c->out.len > 0) { /* not all of it is out: the CR goes behind it */
        size_t end;
        if (c->out.data < c->out_buf || c->out.data >= c->out_buf + sizeof c->out_buf - 1)
            return; /* raw data on their way must come out whole, else what follows counts as theirs */
        end = (size_t)(c->out.data - c->out_buf) + c->out.len;
        c->out_buf[end] = '\r';
        c->out.len++;
    } else {
        tg_at_chat_send_(c, "\r");
    }
    c->state = TG_AT_ABORTING;
    c->deadline_ms = now_ms + c->config.abort_ms;
}

/* --- where a line goes --- */

static const struct tg_at_urc *find_urc(const struct tg_at_chat *c, struct tg_bytes line)
{
    for (size_t i = 0; i < c->config.urc_count; i++) {
        const char *prefix = c->config.urcs[i].prefix;
        size_t n = strlen(prefix);
        uint8_t last, next;
        if (n == 0 || !tg_bytes_starts(line, prefix))
            continue;
        last = (uint8_t)prefix[n - 1];
        next = line.len > n ? line.data[n] : 0;
        if (((last | 0x20) >= 'a' && (last | 0x20) <= 'z') &&
            (((next | 0x20) >= 'a' && (next | 0x20) <= 'z') || (next >= '0' && next <= '9')))
            continue; /* RDY is a word: RDYX is another */
        return &c->config.urcs[i];
    }
    return NULL;
}

/* True when the line is a URC: its event waits, or its second line is waited for. */
static bool take_urc(struct tg_at_chat *c, struct tg_bytes line, int64_t now_ms)
{
    const struct tg_at_urc *urc = find_urc(c, line);
    if (!urc && !(c->config.is_urc && c->config.is_urc(c->config.user, line)) &&
        !(c->config.numeric_results && tg_bytes_eq_str(line, "2"))) /* RING, V.250 5.7.1 */
        return false;
    if (urc && urc->two_line) {
        memcpy(c->urc_line, line.data, line.len);
        c->urc_len = line.len;
        c->urc_reboot = urc->reboot;
        c->urc_deadline_ms = now_ms + TG_AT_URC_SECOND_MS;
        return true;
    }
    line_event(c, TG_AT_EVENT_URC, line);
    c->event.reboot = urc && urc->reboot;
    return true;
}

void tg_at_chat_urc_alone_(struct tg_at_chat *c)
{
    line_event(c, TG_AT_EVENT_URC, tg_bytes(c->urc_line, c->urc_len));
    c->event.reboot = c->urc_reboot;
    c->urc_len = 0;
}

static bool is_own(const struct tg_at_chat *c, struct tg_bytes line)
{
    if (c->current.prefix && !tg_bytes_starts(line, c->current.prefix))
        return false;
    if (c->current.is_response)
        return c->current.is_response(c->current.user, line);
    return c->current.prefix != NULL;
}

static bool is_echo(const struct tg_at_chat *c, struct tg_bytes line)
{
    struct tg_bytes data = c->current.data;
    if (tg_bytes_eq_str(line, c->current.text))
        return true;
    while (data.len > 0 && data.data[data.len - 1] < 0x20)
        data.len--;
    return c->prompted && data.len > 0 && line.len >= data.len &&
           tg_bytes_eq(tg_bytes(line.data, data.len), data) && line.len <= data.len + 1;
}

static void add_line(struct tg_at_chat *c, struct tg_bytes line)
{
    if (c->response_count == TG_AT_RESPONSE_MAX_LINES || line.len > sizeof c->text - c->text_len) {
        c->truncated++;
        return;
    }
    memcpy(c->text + c->text_len, line.data, line.len);
    c->response[c->response_count++] = tg_bytes(c->text + c->text_len, line.len);
    c->text_len += line.len;
}

/* Commands whose end a NO CARRIER or BUSY can be: dialling, answering, going online. */
static bool makes_call(const struct tg_at_chat *c)
{
    const char *t = c->current.text;
    if (strlen(t) < 3 || (t[0] | 0x20) != 'a' || (t[1] | 0x20) != 't')
        return false;
    return memchr("DAOH", t[2] & ~0x20, 4) != NULL || strncmp(t + 2, "+CGDATA", 7) == 0;
}

static bool is_final(struct tg_at_chat *c, struct tg_bytes line, struct tg_at_final *ret_final)
{
    struct tg_at_final own = {.code = -1};
    if (!c->config.is_final || !c->config.is_final(c->config.user, line, &own))
        return tg_at_final_parse(line, c->config.numeric_results, ret_final);
    *ret_final = own;
    return true;
}

static void pending_line(struct tg_at_chat *c, struct tg_bytes line, int64_t now_ms)
{
    struct tg_at_final final;
    bool own = is_own(c, line);
    size_t n;
    c->payload_own = false; /* a block behind an echo or a URC is not the answer's */
    if (is_echo(c, line))
        return;
    if (is_final(c, line, &final) &&
        !(final.ambiguous && own && c->current.is_response && c->response_count == 0)) {
        if (final.of_a_call && !makes_call(c) && take_urc(c, line, now_ms))
            return;
        tg_at_chat_finish_(c, &final, line);
        c->not_before_ms = now_ms + c->config.pause_ms;
        return;
    }
    if (!own && take_urc(c, line, now_ms))
        return;
    add_line(c, line);
    c->payload_own = c->state == TG_AT_WAIT;
    if (!c->current.announce.prefix || c->current.announce.quoted ||
        !tg_bytes_starts(line, c->current.announce.prefix))
        return;
    n = tg_at_announced(&c->current.announce, line);
    if (n == TG_AT_NOT_ANNOUNCED)
        c->payload_lied = true; /* no length that anybody can count to */
    else
        tg_at_lines_payload(&c->lines, n);
}

static void line(struct tg_at_chat *c, struct tg_bytes text, int64_t now_ms)
{
    struct tg_at_final final;
    if (c->urc_len > 0) {
        line_event(c, TG_AT_EVENT_URC, tg_bytes(c->urc_line, c->urc_len));
        c->event.reboot = c->urc_reboot;
        c->event.lines[c->event.line_count++] = text;
        c->urc_len = 0;
    } else if (c->state == TG_AT_WAIT || c->state == TG_AT_ABORTING) {
        pending_line(c, text, now_ms);
    } else if (tg_at_chat_syncing_(c) && is_final(c, text, &final)) {
        tg_at_chat_sync_final_(c, now_ms);
    } else if (tg_at_chat_syncing_(c) && c->late_prefix[0] && tg_bytes_starts(text, c->late_prefix)) {
        c->counters.discarded++;
    } else if (!take_urc(c, text, now_ms)) {
        if (tg_at_chat_syncing_(c))
            c->counters.discarded++;
        else
            line_event(c, TG_AT_EVENT_OTHER, text);
    }
}

static void payload(struct tg_at_chat *c, struct tg_bytes part)
{
    size_t room = sizeof c->payload - c->payload_len;
    if (!c->payload_own && !(c->state == TG_AT_WAIT && c->lines.after_payload == '"')) {
        c->counters.stray_bytes += part.len;
        return;
    }
    if (part.len > room)
        c->payload_truncated = true;
    room = part.len < room ? part.len : room;
    memcpy(c->payload + c->payload_len, part.data, room);
    c->payload_len += room;
}

static void prompt(struct tg_at_chat *c, int64_t now_ms)
{
    if (c->state != TG_AT_WAIT || c->prompted)
        return;
    if (c->out.len > 0) { /* to something else: the command is not there yet */
        c->counters.early_prompts++;
        tg_at_lines_expect(&c->lines, c->current.prompt);
        return;
    }
    c->prompted = true;
    c->data_at_ms = now_ms + c->current.data_delay_ms;
}

static void item(struct tg_at_chat *c, const struct tg_at_item *it, int64_t now_ms)
{
    bool pending = c->state == TG_AT_WAIT;
    switch (it->kind) {
    case TG_AT_ITEM_LINE:
        line(c, it->bytes, now_ms);
        break;
    case TG_AT_ITEM_PROMPT:
        prompt(c, now_ms);
        break;
    case TG_AT_ITEM_PAYLOAD:
        payload(c, it->bytes);
        break;
    case TG_AT_ITEM_OVERLONG:
        if (pending)
            c->truncated++;
        break;
    case TG_AT_ITEM_LIE:
        c->payload_lied = c->payload_lied || pending;
        break;
    case TG_AT_ITEM_NONE:
        break;
    }
}

size_t tg_at_chat_input(struct tg_at_chat *c, struct tg_bytes in, int64_t now_ms)
{
    size_t used = 0;
    if (c->state == TG_AT_CLOSED)
        return in.len;
    if (in.len > 0 && !c->event_waits) {
        c->last_rx_ms = now_ms;
        tg_at_chat_sync_heard_(c, now_ms);
    }
    while (!c->event_waits && c->state != TG_AT_DATA && c->state != TG_AT_GUARD) {
        struct tg_at_item it;
        used += tg_at_lines_input(&c->lines, tg_at_rest(in, used), &it);
        if (it.kind == TG_AT_ITEM_NONE)
            break;
        item(c, &it, now_ms);
    }
    if (c->state == TG_AT_GUARD)
        return in.len;
    if (c->state == TG_AT_DATA)
        used += tg_at_lines_skip_end(&c->lines, tg_at_rest(in, used));
    return used;
}
