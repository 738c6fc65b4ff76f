/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * A whole client driven by arbitrary bytes: one part of them says what its owner does and how time goes,
 * the rest is what the server sends. The invariants: the window is never exceeded, ids are never 0 and never
 * twice in flight, deadlines move on, and nothing is written while no connection is open.
 *
 * Input: pairs of an operation byte and its argument; operation 0 is followed by `argument` bytes from the
 * server.
 */
#include "core/base/assert.h"
#include "northbound/mqtt/mqtt_client.h"

#define SLOTS 5

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

struct run {
    struct tg_mqtt_client c;
    struct tg_mqtt_slot slots[SLOTS];
    int64_t now_ms;
    uint8_t out[512], in[512];
    size_t in_len;
    uint64_t next_tag;
    struct tg_writer w;
};

static void check(const struct run *r)
{
    const struct tg_mqtt_client *c = &r->c;
    unsigned used = 0;
    TG_ASSERT(!r->w.failed);
    TG_ASSERT(tg_mqtt_client_in_flight(c) <= SLOTS);
    TG_ASSERT(tg_mqtt_client_window(c) + tg_mqtt_client_in_flight(c) <= SLOTS);
    TG_ASSERT(c->unacked_count <= TG_MQTT_MAX_UNACKED_IN);
    TG_ASSERT(c->state == TG_MQTT_CONNECTED || tg_mqtt_client_window(c) == 0);
    for (unsigned i = 0; i < c->inflight.span; i++) {
        unsigned at = (c->inflight.first + i) % SLOTS;
        if (r->slots[at].packet_id == 0)
            continue;
        used++;
        TG_ASSERT(r->slots[at].packet_id != c->inflight.reserved_id);
        for (unsigned k = i + 1; k < c->inflight.span; k++)
            TG_ASSERT(r->slots[at].packet_id != r->slots[(c->inflight.first + k) % SLOTS].packet_id);
    }
    TG_ASSERT(used == c->inflight.count);
}

/* The server's bytes: what is not used up stays for the next time. */
static void feed(struct run *r, struct tg_bytes bytes)
{
    struct tg_mqtt_event event;
    size_t used, take = bytes.len < sizeof r->in - r->in_len ? bytes.len : sizeof r->in - r->in_len;
    int code;
    if (take)
        memcpy(r->in + r->in_len, bytes.data, take);
    r->in_len += take;
    do {
        code = tg_mqtt_client_input(&r->c, r->now_ms, tg_bytes(r->in, r->in_len), &r->w, &event, &used);
        TG_ASSERT(used <= r->in_len);
        TG_ASSERT((code == 1) == (event.type != TG_MQTT_EVENT_NONE));
        TG_ASSERT(code >= 0 || used == 0);
        TG_ASSERT(code == 0 || code == 1 || code == TG_EFULL || r->c.state != TG_MQTT_CONNECTED);
        memmove(r->in, r->in + used, r->in_len - used);
        r->in_len -= used;
        check(r);
    } while (used > 0);
    if (code == TG_EPROTO || code == TG_ETOOBIG)
        TG_ASSERT(r->c.state == TG_MQTT_CLOSED && r->c.reason[0]);
}

static void pass_time(struct run *r, unsigned argument)
{
    int64_t until = r->now_ms + (int64_t)argument * 500;
    for (unsigned rounds = 0; tg_mqtt_client_deadline(&r->c) <= until; rounds++) {
        int64_t due = tg_mqtt_client_deadline(&r->c);
        TG_ASSERT(rounds < 1000); /* a deadline that does not move would spin its driver */
        r->now_ms = due > r->now_ms ? due : r->now_ms;
        r->w.len = argument & 1 ? 0 : r->w.len;
        if (tg_mqtt_client_tick(&r->c, r->now_ms, &r->w) < 0)
            TG_ASSERT(r->c.state == TG_MQTT_CLOSED && r->c.reason[0]);
    }
    r->now_ms = until;
}

static void connect_again(struct run *r, unsigned argument)
{
    struct tg_mqtt_connect connect = {.client_id = tg_bytes_str("f"),
                                      .clean_session = argument & 1,
                                      .keepalive_s = (uint16_t)(argument >> 1)};
    if (r->c.state == TG_MQTT_CLOSED)
        r->in_len = 0;
    (void)!tg_mqtt_client_connect(&r->c, r->now_ms, &connect, &r->w);
}

static void operate(struct run *r, unsigned operation, unsigned argument)
{
    struct tg_bytes topic = tg_bytes(argument == 255 ? "+" : "t", 1), body = tg_bytes("body", argument & 3);
    size_t before = r->w.len;
    bool open = r->c.state == TG_MQTT_CONNECTING || r->c.state == TG_MQTT_CONNECTED;
    uint8_t qos = argument & 1;
    switch (operation) {
    case 1:
        connect_again(r, argument);
        return;
    case 2:
        (void)!tg_mqtt_client_publish(&r->c, r->now_ms, topic, body, qos, false, r->next_tag++, NULL, &r->w);
        break;
    case 3:
        (void)!tg_mqtt_client_resend(&r->c, r->now_ms, topic, body, false, &r->w);
        break;
    case 4:
        (void)!tg_mqtt_client_subscribe(&r->c, r->now_ms, &topic, &qos, 1, &r->w);
        break;
    case 5:
        (void)!tg_mqtt_client_ack(&r->c, r->now_ms, (uint16_t)argument, &r->w);
        break;
    case 6:
        (void)!tg_mqtt_client_resend_drop(&r->c, r->now_ms);
        break;
    case 7:
        tg_mqtt_client_transport_lost(&r->c);
        break;
    case 8:
        if (argument == 0)
            tg_mqtt_client_forget(&r->c);
        break;
    case 9:
        (void)!tg_mqtt_client_disconnect(&r->c, r->now_ms, &r->w);
        break;
    case 10:
        r->w.len = 0; /* the transport has taken all */
        return;
    default:
        pass_time(r, argument);
        return;
    }
    TG_ASSERT(open || r->w.len == before);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static struct run r;
    struct tg_reader in = tg_reader_init(data, size);
    struct tg_mqtt_limits limits = {.max_packet_in_bytes = 256, .max_packet_out_bytes = 256};
    memset(&r, 0, sizeof r);
    r.w = tg_writer_init(r.out, sizeof r.out);
    tg_mqtt_client_init(&r.c, &limits, r.slots, SLOTS);
    while (tg_reader_left(&in) >= 2) {
        unsigned operation = tg_read_u8(&in) % 12u, argument = tg_read_u8(&in);
        if (operation == 0)
            feed(&r, tg_read_bytes(&in, argument < tg_reader_left(&in) ? argument : tg_reader_left(&in)));
        else
            operate(&r, operation, argument);
        check(&r);
    }
    return 0;
}
