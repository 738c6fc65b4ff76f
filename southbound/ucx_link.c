/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "southbound/ucx_link.h"

#include "core/base/assert.h"

#define ANSWER_MS 700  /* to an "AT" while finding */
#define GUARD_MS  1100 /* the module's default escape guard time is 1000 ms (AT+UDWS, S12) */

/* What is tried, in order. */
enum { TRY_TEXT, TRY_FRAME, TRY_SILENCE, TRY_ESCAPE, TRY_TEXT_AGAIN, TRY_FRAME_AGAIN, TRY_END };

static const struct tg_at_urc urcs[] = {{.prefix = "+STARTUP", .reboot = true}};

/* All of the module's events have two U: +UUWLE:, +UUDPC:, … */
static bool is_urc(void *user, struct tg_bytes line)
{
    (void)user;
    return tg_bytes_starts(line, "+UU");
}

void tg_ucx_link_init(struct tg_ucx_link *l)
{
    const struct tg_at_chat_config config = {.urcs = urcs, .urc_count = 1, .is_urc = is_urc};
    memset(l, 0, sizeof *l);
    tg_at_chat_init(&l->chat, &config);
    tg_at_chat_hangup(&l->chat);
    tg_edm_init(&l->edm);
}

static void forget_bytes(struct tg_ucx_link *l)
{
    tg_edm_init(&l->edm);
    l->reply = tg_bytes(NULL, 0);
    l->out_len = l->out_given = 0;
    l->matched_ok = l->matched_error = l->matched_startup = 0;
}

static void tell(struct tg_ucx_link *l, enum tg_ucx_event_kind kind)
{
    TG_ASSERT(!l->event_waits);
    memset(&l->event, 0, sizeof l->event);
    l->event.kind = kind;
    l->event.extended = l->extended;
    l->event.heard_bytes = l->heard_bytes;
    l->event_waits = true;
}

/* --- finding the mode --- */

static void put_out(struct tg_ucx_link *l, const char *text, bool framed)
{
    struct tg_writer w = tg_writer_init(l->out_buf, sizeof l->out_buf);
    if (framed)
        (void)!tg_edm_write_at_request(&w, tg_bytes_str(text));
    else
        tg_write_str(&w, text);
    l->out_len = w.len;
    l->out_given = 0;
}

static void try_next(struct tg_ucx_link *l, uint32_t attempt, int64_t now_ms)
{
    l->attempt = attempt;
    l->deadline_ms = now_ms + (attempt == TRY_SILENCE || attempt == TRY_ESCAPE ? GUARD_MS : ANSWER_MS);
    switch (attempt) {
    case TRY_TEXT:
    case TRY_TEXT_AGAIN:
        put_out(l, "AT\r", false);
        break;
    case TRY_FRAME:
    case TRY_FRAME_AGAIN:
        put_out(l, "AT\r", true);
        break;
    case TRY_ESCAPE:
        put_out(l, "+++", false);
        break;
    case TRY_END:
        l->mode = TG_UCX_OFF;
        l->deadline_ms = INT64_MAX;
        tell(l, TG_UCX_EVENT_LOST);
        break;
    default:
        break;
    }
}

void tg_ucx_link_start(struct tg_ucx_link *l, int64_t now_ms)
{
    forget_bytes(l);
    l->mode = TG_UCX_FINDING;
    l->extended = l->start_expected = false;
    l->heard_bytes = 0;
    try_next(l, TRY_TEXT, now_ms);
}

void tg_ucx_link_stop(struct tg_ucx_link *l)
{
    tg_at_chat_hangup(&l->chat);
    forget_bytes(l);
    l->mode = TG_UCX_OFF;
    l->event_waits = false;
}

static void synchronise(struct tg_ucx_link *l, bool extended, int64_t now_ms)
{
    l->extended = extended;
    l->mode = TG_UCX_SYNCING;
    l->out_len = l->out_given = 0;
    l->reply = tg_bytes(NULL, 0);
    if (!extended)
        tg_edm_init(&l->edm);
    tg_at_chat_sync(&l->chat, now_ms);
}

static void restarted(struct tg_ucx_link *l, bool extended, int64_t now_ms)
{
    l->start_expected = false;
    synchronise(l, extended, now_ms);
    tell(l, TG_UCX_EVENT_RESTARTED);
}

/* Whether `text` just ended with this byte; *at counts how much of it was seen. No text here begins twice within itself. */
static bool completes(const char *text, uint32_t *at, uint8_t byte)
{
    if (byte != (uint8_t)text[*at])
        *at = 0;
    if (byte == (uint8_t)text[*at])
        (*at)++;
    if (text[*at])
        return false;
    *at = 0;
    return true;
}

/* Text outside of frames: an answer while finding, the greeting after a restart. */
static void plain_text(struct tg_ucx_link *l, struct tg_bytes text, int64_t now_ms)
{
    for (size_t i = 0; i < text.len; i++) {
        uint8_t b = text.data[i];
        bool answer = completes("\nOK\r", &l->matched_ok, b);
        answer = completes("\nERROR\r", &l->matched_error, b) || answer;
        if (completes("+STARTUP", &l->matched_startup, b)) {
            if (l->extended && l->mode != TG_UCX_FINDING) {
                restarted(l, false, now_ms);
                return;
            }
            answer = true;
        }
        if (answer && l->mode == TG_UCX_FINDING) {
            synchronise(l, false, now_ms);
            return;
        }
    }
}

/* --- bytes in --- */

static struct tg_bytes trimmed(struct tg_bytes t)
{
    while (t.len > 0 && (t.data[0] == '\r' || t.data[0] == '\n'))
        t = tg_bytes(t.data + 1, t.len - 1);
    while (t.len > 0 && (t.data[t.len - 1] == '\r' || t.data[t.len - 1] == '\n'))
        t.len--;
    return t;
}

static void tell_frame(struct tg_ucx_link *l, enum tg_ucx_event_kind kind, const struct tg_edm_frame *f)
{
    tell(l, kind);
    l->event.frame = *f;
}

static void take_frame(struct tg_ucx_link *l, const struct tg_edm_frame *f, int64_t now_ms)
{
    switch (f->type) {
    case TG_EDM_AT_RESPONSE:
        l->reply = f->bytes;
        break;
    case TG_EDM_AT_EVENT:
        if (tg_bytes_starts(trimmed(f->bytes), "+STARTUP")) {
            restarted(l, true, now_ms);
        } else {
            tell(l, TG_UCX_EVENT_URC);
            l->event.line = trimmed(f->bytes);
        }
        break;
    case TG_EDM_START:
        if (!l->start_expected) {
            restarted(l, true, now_ms);
        } else {
            l->start_expected = false;
            tell_frame(l, TG_UCX_EVENT_STARTED, f);
        }
        break;
    case TG_EDM_CONNECT:
        tell_frame(l, TG_UCX_EVENT_CONNECT, f);
        break;
    case TG_EDM_DISCONNECT:
        tell_frame(l, TG_UCX_EVENT_DISCONNECT, f);
        break;
    case TG_EDM_DATA_EVENT:
        tell_frame(l, TG_UCX_EVENT_DATA, f);
        break;
    default:
        break; /* what only a host sends */
    }
}

static void take_item(struct tg_ucx_link *l, const struct tg_edm_item *it, int64_t now_ms)
{
    if (it->kind == TG_EDM_ITEM_SKIPPED)
        plain_text(l, it->skipped, now_ms);
    else if (it->kind == TG_EDM_ITEM_FRAME && l->mode == TG_UCX_FINDING)
        synchronise(l, true, now_ms); /* whatever it says is of before */
    else if (it->kind == TG_EDM_ITEM_FRAME && l->extended)
        take_frame(l, &it->frame, now_ms);
}

static bool framed(const struct tg_ucx_link *l)
{
    return l->mode == TG_UCX_FINDING || l->extended;
}

/* One step: hands the chat what it has to see, or looks at the next frame. False when there is nothing to do. */
static bool step(struct tg_ucx_link *l, struct tg_bytes *in, int64_t now_ms)
{
    struct tg_edm_item it;
    size_t n;
    if (l->event_waits || l->chat.event_waits || l->chat.failing > 0 || l->mode == TG_UCX_OFF)
        return false;
    if (l->reply.len > 0) {
        n = tg_at_chat_input(&l->chat, l->reply, now_ms);
        l->reply = n > 0 ? tg_at_rest(l->reply, n) : tg_bytes(NULL, 0);
        return true;
    }
    if (!framed(l)) {
        n = tg_at_chat_input(&l->chat, *in, now_ms);
        *in = tg_at_rest(*in, n);
        return n > 0;
    }
    n = tg_edm_input(&l->edm, *in, &it);
    *in = tg_at_rest(*in, n);
    take_item(l, &it, now_ms);
    return n > 0 || it.kind != TG_EDM_ITEM_NONE;
}

size_t tg_ucx_link_input(struct tg_ucx_link *l, struct tg_bytes in, int64_t now_ms)
{
    struct tg_bytes left = in;
    if (l->mode == TG_UCX_OFF)
        return in.len;
    while (step(l, &left, now_ms)) {
    }
    l->heard_bytes += in.len - left.len;
    return in.len - left.len;
}

/* --- events --- */

static void from_chat(struct tg_ucx_link *l, const struct tg_at_event *e, int64_t now_ms,
                      struct tg_ucx_event *ret)
{
    *ret = (struct tg_ucx_event){.extended = l->extended, .heard_bytes = l->heard_bytes};
    switch (e->kind) {
    case TG_AT_EVENT_RESULT:
        ret->kind = TG_UCX_EVENT_RESULT;
        ret->result = e->result;
        if (e->result.status == TG_AT_OK && strcmp(e->result.command->text, "ATO2") == 0) {
            l->mode = TG_UCX_EXTENDED;
            l->extended = l->start_expected = true;
        } else if (e->result.connected) { /* nothing asked for a transparent connection: back out of it */
            tg_at_chat_leave_data(&l->chat, now_ms);
            l->mode = TG_UCX_SYNCING;
        } else if (e->result.status == TG_AT_TIMEOUT && l->mode != TG_UCX_OFF) {
            l->mode = TG_UCX_SYNCING;
        }
        break;
    case TG_AT_EVENT_URC:
        ret->kind = e->reboot ? TG_UCX_EVENT_RESTARTED : TG_UCX_EVENT_URC;
        ret->line = e->lines[0];
        if (e->reboot)
            synchronise(l, false, now_ms);
        break;
    case TG_AT_EVENT_SYNCED:
        ret->kind = TG_UCX_EVENT_READY;
        l->mode = l->extended ? TG_UCX_EXTENDED : TG_UCX_COMMAND;
        break;
    case TG_AT_EVENT_LOST:
        ret->kind = TG_UCX_EVENT_LOST;
        l->mode = TG_UCX_OFF;
        break;
    case TG_AT_EVENT_OTHER:
        break; /* a stray line: nobody waits for it */
    }
}

bool tg_ucx_link_event(struct tg_ucx_link *l, int64_t now_ms, struct tg_ucx_event *ret_event)
{
    struct tg_at_event e;
    if (l->event_waits) {
        *ret_event = l->event;
        l->event_waits = false;
        return true;
    }
    while (tg_at_chat_event(&l->chat, &e)) {
        from_chat(l, &e, now_ms, ret_event);
        if (ret_event->kind)
            return true;
    }
    return false;
}

/* --- time and bytes out --- */

void tg_ucx_link_tick(struct tg_ucx_link *l, int64_t now_ms)
{
    if (l->event_waits)
        return;
    if (l->mode == TG_UCX_FINDING && now_ms >= l->deadline_ms)
        try_next(l, l->attempt + 1, now_ms);
    else if (l->mode != TG_UCX_FINDING)
        tg_at_chat_tick(&l->chat, now_ms);
}

int64_t tg_ucx_link_deadline(const struct tg_ucx_link *l)
{
    if (l->event_waits)
        return INT64_MIN;
    return l->mode == TG_UCX_FINDING ? l->deadline_ms : tg_at_chat_deadline(&l->chat);
}

int tg_ucx_link_queue(struct tg_ucx_link *l, const struct tg_at_command *command)
{
    return tg_at_chat_queue(&l->chat, command);
}

static int can_frame(const struct tg_ucx_link *l)
{
    if (!l->extended || l->mode != TG_UCX_EXTENDED)
        return TG_ESTATE;
    return l->out_len > 0 ? TG_EFULL : TG_OK;
}

int tg_ucx_link_send(struct tg_ucx_link *l, uint8_t channel, struct tg_bytes data)
{
    struct tg_writer w = tg_writer_init(l->out_buf, sizeof l->out_buf);
    int rc = can_frame(l);
    if (rc == TG_OK)
        rc = tg_edm_write_data(&w, channel, data);
    if (rc == TG_OK)
        l->out_len = w.len;
    return rc;
}

int tg_ucx_link_ask_connections(struct tg_ucx_link *l)
{
    struct tg_writer w = tg_writer_init(l->out_buf, sizeof l->out_buf);
    int rc = can_frame(l);
    if (rc == TG_OK)
        rc = tg_edm_write_resend_connects(&w);
    if (rc == TG_OK)
        l->out_len = w.len;
    return rc;
}

struct tg_bytes tg_ucx_link_output(struct tg_ucx_link *l, int64_t now_ms)
{
    struct tg_bytes text = tg_at_chat_output(&l->chat);
    struct tg_writer w = tg_writer_init(l->out_buf, sizeof l->out_buf);
    if (l->out_len > 0)
        return tg_bytes(l->out_buf + l->out_given, l->out_len - l->out_given);
    if (!framed(l))
        return text;
    if (text.len == 0 || l->mode == TG_UCX_FINDING)
        return tg_bytes(NULL, 0);
    if (text.len > TG_EDM_TEXT_MAX)
        text.len = TG_EDM_TEXT_MAX;
    (void)!tg_edm_write_at_request(&w, text);
    tg_at_chat_output_ack(&l->chat, text.len, now_ms); /* 512 bytes more or less on the wire: 45 ms */
    l->out_len = w.len;
    l->out_given = 0;
    return tg_bytes(l->out_buf, l->out_len);
}

void tg_ucx_link_output_ack(struct tg_ucx_link *l, size_t n, int64_t now_ms)
{
    if (l->out_len == 0) {
        tg_at_chat_output_ack(&l->chat, n, now_ms);
        return;
    }
    TG_ASSERT(n <= l->out_len - l->out_given);
    l->out_given += n;
    if (l->out_given == l->out_len)
        l->out_len = l->out_given = 0;
    if (l->out_len == 0 && l->mode == TG_UCX_FINDING)
        l->deadline_ms =
            now_ms + (l->attempt == TRY_SILENCE || l->attempt == TRY_ESCAPE ? GUARD_MS : ANSWER_MS);
}
