/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "support/mqtt_tale.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

static void say(struct tg_tale *t, const char *who, const char *fmt, ...) TG_PRINTF(3, 4);

static void say(struct tg_tale *t, const char *who, const char *fmt, ...)
{
    struct tg_writer w = tg_writer_init(t->text + t->text_len, sizeof t->text - t->text_len);
    char line[256];
    va_list ap;
    va_start(ap, fmt);
    vsnprintf(line, sizeof line, fmt, ap);
    va_end(ap);
    tg_write_fmt(&w, "%d %s %s\n", (int)t->now_ms, who, line);
    assert_false(w.failed);
    t->text_len += w.len;
}

/* --- what the client wrote --- */

static void tell_connect(struct tg_tale *t, struct tg_reader *r)
{
    struct tg_bytes name = tg_read_bytes(r, tg_read_u16be(r)), id;
    uint8_t level = tg_read_u8(r), flags = tg_read_u8(r);
    unsigned keepalive = tg_read_u16be(r);
    id = tg_read_bytes(r, tg_read_u16be(r));
    assert_true(tg_bytes_eq_str(name, "MQTT"));
    assert_int_equal(level, 4);
    say(t, "C>", "CONNECT %.*s clean=%d keepalive=%u", (int)id.len, (const char *)id.data, flags >> 1 & 1,
        keepalive);
}

static void tell_publish(struct tg_tale *t, struct tg_reader *r, uint8_t first)
{
    struct tg_bytes topic = tg_read_bytes(r, tg_read_u16be(r)), body;
    unsigned qos = first >> 1 & 3u, id = qos ? tg_read_u16be(r) : 0;
    body = tg_read_bytes(r, tg_reader_left(r));
    assert_false(r->failed);
    say(t, "C>", "PUBLISH %.*s id=%u qos=%u dup=%d retain=%d '%.*s'", (int)topic.len,
        (const char *)topic.data, id, qos, first >> 3 & 1, first & 1, (int)body.len, (const char *)body.data);
}

static void tell_subscribe(struct tg_tale *t, struct tg_reader *r)
{
    unsigned id = tg_read_u16be(r);
    while (tg_reader_left(r) > 0) {
        struct tg_bytes filter = tg_read_bytes(r, tg_read_u16be(r));
        unsigned qos = tg_read_u8(r);
        say(t, "C>", "SUBSCRIBE id=%u %.*s qos=%u", id, (int)filter.len, (const char *)filter.data, qos);
    }
}

static void tell_output(struct tg_tale *t)
{
    struct tg_reader all = tg_reader_init(t->writer.data, t->writer.len);
    while (tg_reader_left(&all) > 0) {
        uint8_t first = tg_read_u8(&all);
        size_t size = (size_t)tg_read_varint(&all);
        struct tg_bytes body = tg_read_bytes(&all, size);
        struct tg_reader r = tg_reader_init(body.data, body.len);
        assert_false(all.failed);
        if (first == 0x10)
            tell_connect(t, &r);
        else if (first >> 4 == 3)
            tell_publish(t, &r, first);
        else if (first == 0x40)
            say(t, "C>", "PUBACK id=%u", tg_read_u16be(&r));
        else if (first == 0x82)
            tell_subscribe(t, &r);
        else if (first == 0xc0)
            say(t, "C>", "PINGREQ");
        else if (first == 0xe0)
            say(t, "C>", "DISCONNECT");
        else
            fail_msg("the client wrote a packet that begins with %02x", first);
        assert_false(r.failed);
    }
    t->writer = tg_writer_init(t->out, sizeof t->out);
}

static int told(struct tg_tale *t, int r)
{
    tell_output(t);
    if (r < 0)
        say(t, "!", "%s%s%s", tg_code_name(r),
            r == TG_EPROTO || r == TG_ETOOBIG || r == TG_ETIMEOUT ? ": " : "",
            r == TG_EPROTO || r == TG_ETOOBIG || r == TG_ETIMEOUT ? t->client.reason : "");
    return r;
}

/* --- the tale --- */

void tg_tale_begin(struct tg_tale *t, const struct tg_mqtt_limits *limits)
{
    memset(t, 0, sizeof *t);
    t->writer = tg_writer_init(t->out, sizeof t->out);
    tg_mqtt_client_init(&t->client, limits, t->slots, TG_TALE_SLOTS);
}

void tg_tale_expect(struct tg_tale *t, const char *expected)
{
    t->text[t->text_len] = '\0';
    assert_string_equal(t->text, expected);
    t->text_len = 0;
}

static void tell_event(struct tg_tale *t, const struct tg_mqtt_event *e)
{
    switch (e->type) {
    case TG_MQTT_EVENT_CONNACK:
        say(t, "!", "CONNACK rc=%u session=%d", e->return_code, e->session_present);
        break;
    case TG_MQTT_EVENT_PUBACK:
        say(t, "!", "done %u", (unsigned)e->tag);
        break;
    case TG_MQTT_EVENT_MESSAGE:
        say(t, "!", "message id=%u qos=%u dup=%d %.*s '%.*s'", e->packet_id, e->qos, e->dup,
            (int)e->topic.len, (const char *)e->topic.data, (int)e->payload.len,
            (const char *)e->payload.data);
        break;
    case TG_MQTT_EVENT_SUBACK:
        for (unsigned i = 0; i < e->code_count; i++)
            say(t, "!", "SUBACK id=%u code=%#x", e->packet_id, e->codes[i]);
        break;
    case TG_MQTT_EVENT_BARRIER:
        say(t, "!", "barrier");
        break;
    case TG_MQTT_EVENT_NONE:
        fail_msg("an event without a type");
    }
}

int tg_tale_server(struct tg_tale *t, const void *bytes, size_t len)
{
    struct tg_bytes in = tg_bytes(bytes, len);
    struct tg_mqtt_event event;
    size_t used;
    int r;
    do {
        r = tg_mqtt_client_input(&t->client, t->now_ms, in, &t->writer, &event, &used);
        if (r == 1)
            tell_event(t, &event);
        told(t, r);
        in = tg_bytes(in.data + used, in.len - used);
    } while (r >= 0 && used > 0 && in.len > 0);
    return r;
}

void tg_tale_connect(struct tg_tale *t, bool clean, uint16_t keepalive_s)
{
    struct tg_mqtt_connect connect = {
        .client_id = tg_bytes_str("dev1"), .clean_session = clean, .keepalive_s = keepalive_s};
    told(t, tg_mqtt_client_connect(&t->client, t->now_ms, &connect, &t->writer));
}

void tg_tale_connack(struct tg_tale *t, bool session_present, uint8_t return_code)
{
    uint8_t packet[] = {0x20, 2, session_present, return_code};
    tg_tale_server(t, packet, sizeof packet);
}

void tg_tale_puback(struct tg_tale *t, uint16_t packet_id)
{
    uint8_t packet[] = {0x40, 2, (uint8_t)(packet_id >> 8), (uint8_t)packet_id};
    say(t, "S>", "PUBACK id=%u", packet_id);
    tg_tale_server(t, packet, sizeof packet);
}

void tg_tale_message(struct tg_tale *t, uint8_t first_byte, uint16_t packet_id, const char *body)
{
    uint8_t packet[128];
    struct tg_writer w = tg_writer_init(packet, sizeof packet);
    bool with_id = (first_byte & 0x06) != 0;
    tg_write_u8(&w, first_byte);
    tg_write_u8(&w, (uint8_t)(3u + (with_id ? 2u : 0u) + strlen(body)));
    tg_write_u16be(&w, 1);
    tg_write_u8(&w, 'c');
    if (with_id)
        tg_write_u16be(&w, packet_id);
    tg_write_str(&w, body);
    tg_tale_server(t, packet, w.len);
}

int tg_tale_publish(struct tg_tale *t, uint64_t tag)
{
    char body[24];
    snprintf(body, sizeof body, "%u", (unsigned)tag);
    return told(t, tg_mqtt_client_publish(&t->client, t->now_ms, tg_bytes_str("t"), tg_bytes_str(body), 1,
                                          false, tag, NULL, &t->writer));
}

void tg_tale_resend_all(struct tg_tale *t)
{
    uint64_t tag;
    while (tg_mqtt_client_resend_next(&t->client, &tag) == 1) {
        char body[24];
        snprintf(body, sizeof body, "%u", (unsigned)tag);
        if (told(t, tg_mqtt_client_resend(&t->client, t->now_ms, tg_bytes_str("t"), tg_bytes_str(body), false,
                                          &t->writer)) < 0)
            return;
    }
}

int tg_tale_subscribe(struct tg_tale *t, const char *filter, uint8_t qos)
{
    struct tg_bytes view = tg_bytes_str(filter);
    return told(t, tg_mqtt_client_subscribe(&t->client, t->now_ms, &view, &qos, 1, &t->writer));
}

void tg_tale_ack(struct tg_tale *t, uint16_t packet_id)
{
    say(t, "!", "ack %u", packet_id);
    told(t, tg_mqtt_client_ack(&t->client, t->now_ms, packet_id, &t->writer));
}

void tg_tale_lose_link(struct tg_tale *t)
{
    say(t, "!", "link lost");
    tg_mqtt_client_transport_lost(&t->client);
}

int tg_tale_until(struct tg_tale *t, int64_t ms)
{
    int r = 0;
    unsigned rounds = 0;
    while (r == 0 && tg_mqtt_client_deadline(&t->client) <= ms) {
        int64_t due = tg_mqtt_client_deadline(&t->client);
        assert_true(++rounds < 1000); /* a deadline that does not move would spin a driver */
        if (due > t->now_ms)
            t->now_ms = due;
        r = told(t, tg_mqtt_client_tick(&t->client, t->now_ms, &t->writer));
    }
    if (r == 0)
        t->now_ms = ms;
    return r;
}
