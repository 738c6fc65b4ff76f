/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "support/at_wire.h"

#include <stdio.h>
#include <stdlib.h>

json_t *tg_at_wire_text(struct tg_bytes b)
{
    char *text = malloc(2 * b.len + 1);
    size_t n = 0;
    json_t *j;
    for (size_t i = 0; i < b.len; i++) {
        if (b.data[i] < 0x80) {
            text[n++] = (char)b.data[i];
        } else {
            text[n++] = (char)(0xC0 | b.data[i] >> 6);
            text[n++] = (char)(0x80 | (b.data[i] & 0x3F));
        }
    }
    j = json_stringn(text, n);
    free(text);
    return j;
}

size_t tg_at_wire_bytes(const json_t *text, uint8_t *ret_bytes, size_t cap)
{
    const unsigned char *p = (const unsigned char *)json_string_value(text);
    size_t len = json_string_length(text), n = 0;
    for (size_t i = 0; i < len && n < cap; i++) {
        if (p[i] >= 0xC2 && p[i] <= 0xC3 && i + 1 < len) {
            ret_bytes[n++] = (uint8_t)((p[i] & 3) << 6 | (p[i + 1] & 0x3F));
            i++;
        } else {
            ret_bytes[n++] = p[i];
        }
    }
    return n;
}

void tg_at_wire_init(struct tg_at_wire *w, const struct tg_at_chat_config *config)
{
    memset(w, 0, sizeof *w);
    tg_at_chat_init(&w->chat, config);
    w->now_ms = 1000000;
    w->results = json_array();
    w->urcs = json_array();
    w->others = json_array();
}

void tg_at_wire_fini(struct tg_at_wire *w)
{
    json_decref(w->results);
    json_decref(w->urcs);
    json_decref(w->others);
}

static json_t *lines_of(const struct tg_bytes *lines, uint32_t count)
{
    json_t *a = json_array();
    for (uint32_t i = 0; i < count; i++)
        json_array_append_new(a, tg_at_wire_text(lines[i]));
    return a;
}

static void record_result(struct tg_at_wire *w, const struct tg_at_result *r)
{
    json_t *o = json_object();
    json_object_set_new(o, "command", json_string(r->command->text));
    json_object_set_new(o, "status", json_string(tg_at_status_name(r->status)));
    json_object_set_new(o, "final", tg_at_wire_text(r->final));
    json_object_set_new(o, "lines", lines_of(r->lines, r->line_count));
    json_object_set_new(o, "truncated", json_integer(r->truncated));
    if (r->code >= 0)
        json_object_set_new(o, "code", json_integer(r->code));
    if (r->payload.len > 0) {
        char *hex = malloc(2 * r->payload.len + 1);
        for (size_t i = 0; i < r->payload.len; i++)
            sprintf(hex + 2 * i, "%02x", r->payload.data[i]);
        json_object_set_new(o, "payload_hex", json_string(hex));
        free(hex);
    }
    if (r->payload_lied)
        json_object_set_new(o, "payload_lied", json_true());
    if (r->payload_truncated)
        json_object_set_new(o, "payload_truncated", json_true());
    json_array_append_new(w->results, o);
}

static void record(struct tg_at_wire *w, const struct tg_at_event *ev)
{
    switch (ev->kind) {
    case TG_AT_EVENT_RESULT:
        record_result(w, &ev->result);
        break;
    case TG_AT_EVENT_URC:
        json_array_append_new(w->urcs, ev->line_count > 1 ? lines_of(ev->lines, ev->line_count)
                                                          : tg_at_wire_text(ev->lines[0]));
        w->reboots += ev->reboot;
        break;
    case TG_AT_EVENT_OTHER:
        json_array_append_new(w->others, tg_at_wire_text(ev->lines[0]));
        break;
    case TG_AT_EVENT_SYNCED:
        w->synced++;
        break;
    case TG_AT_EVENT_LOST:
        w->lost++;
        break;
    }
}

/* One moment: events, then output. */
static bool moment(struct tg_at_wire *w)
{
    struct tg_at_event ev;
    struct tg_bytes out;
    bool progress = false;
    tg_at_chat_tick(&w->chat, w->now_ms);
    while (tg_at_chat_event(&w->chat, &ev)) {
        record(w, &ev);
        progress = true;
    }
    out = tg_at_chat_output(&w->chat);
    if (out.len > sizeof w->tx - w->tx_len)
        out.len = sizeof w->tx - w->tx_len;
    if (out.len > 0) {
        memcpy(w->tx + w->tx_len, out.data, out.len);
        w->tx_len += out.len;
        tg_at_chat_output_ack(&w->chat, out.len, w->now_ms);
        progress = true;
    }
    return progress;
}

/* Moments until nothing more happens, without answering probes. */
static void moments(struct tg_at_wire *w)
{
    while (moment(w)) {
    }
}

static void feed(struct tg_at_wire *w, struct tg_bytes in)
{
    moments(w);
    while (in.len > 0) {
        size_t n = tg_at_chat_input(&w->chat, in, w->now_ms);
        in = tg_at_rest(in, n);
        moments(w);
        if (tg_at_chat_state(&w->chat) == TG_AT_DATA) {
            n = tg_at_chat_input(&w->chat, in, w->now_ms); /* an LF that ends the CONNECT line */
            w->data_bytes += in.len - n;
            return;
        }
    }
}

void tg_at_wire_settle(struct tg_at_wire *w)
{
    moments(w);
    while (w->answer_probes && tg_at_chat_state(&w->chat) == TG_AT_PROBE && w->tx_len >= 3 &&
           memcmp(w->tx + w->tx_len - 3, "AT\r", 3) == 0) {
        w->tx_len -= 3;
        feed(w, tg_bytes_str("\r\nOK\r\n"));
    }
}

static size_t next_chunk(struct tg_at_wire *w)
{
    if (w->chunk == 0 || w->random == 0)
        return w->chunk;
    w->random ^= w->random << 13;
    w->random ^= w->random >> 17;
    w->random ^= w->random << 5;
    return 1 + w->random % w->chunk;
}

void tg_at_wire_rx(struct tg_at_wire *w, const void *data, size_t len)
{
    const uint8_t *p = data;
    while (len > 0) {
        size_t n = next_chunk(w);
        n = n == 0 || n > len ? len : n;
        uint8_t *exact = malloc(n); /* so that AddressSanitizer sees a read past the end, and late ones */
        memcpy(exact, p, n);
        feed(w, tg_bytes(exact, n));
        free(exact);
        p += n;
        len -= n;
    }
    tg_at_wire_settle(w);
}

void tg_at_wire_rx_str(struct tg_at_wire *w, const char *text)
{
    tg_at_wire_rx(w, text, strlen(text));
}

/* To the next deadline or `until`, whatever is first. */
static void step(struct tg_at_wire *w, int64_t until)
{
    int64_t at = tg_at_chat_deadline(&w->chat);
    at = at <= w->now_ms ? w->now_ms + 1 : at;
    w->now_ms = at < until ? at : until;
    tg_at_wire_settle(w);
}

void tg_at_wire_advance(struct tg_at_wire *w, int64_t ms)
{
    int64_t until = w->now_ms + ms;
    tg_at_wire_settle(w);
    while (w->now_ms < until)
        step(w, until);
}

bool tg_at_wire_wait_tx(struct tg_at_wire *w, int64_t limit_ms)
{
    int64_t until = w->now_ms + limit_ms;
    tg_at_wire_settle(w);
    while (w->tx_len == 0 && w->now_ms < until)
        step(w, until);
    return w->tx_len > 0;
}

bool tg_at_wire_take(struct tg_at_wire *w, const void *text, size_t len)
{
    if (w->tx_len < len || memcmp(w->tx, text, len) != 0)
        return false;
    memmove(w->tx, w->tx + len, w->tx_len - len);
    w->tx_len -= len;
    return true;
}
