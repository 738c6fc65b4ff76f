/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "northbound/mqtt/mqtt_client.h"

#include "core/base/assert.h"
#include "northbound/mqtt/mqtt_decoder.h"

#define DEFAULT_MAX_PACKET_BYTES   (262144 + 4096) /* a body of 256 KiB, its topic and header */
#define DEFAULT_CONNACK_TIMEOUT_MS 30000
#define DEFAULT_ACK_TIMEOUT_MS     60000
#define DEFAULT_PING_TIMEOUT_MS    20000

/* --- reasons, for people --- */

static void set_reason(struct tg_mqtt_client *c, const char *before, const char *text)
{
    struct tg_writer w = tg_writer_init(c->reason, sizeof c->reason);
    tg_write_str(&w, before);
    tg_write_str(&w, text);
    if (tg_writer_cstr(&w) < 0)
        c->reason[sizeof c->reason - 1] = '\0';
}

/* "<before><number><after>" */
static void set_reason_number(struct tg_mqtt_client *c, const char *before, uint64_t number,
                              const char *after)
{
    struct tg_writer w = tg_writer_init(c->reason, sizeof c->reason);
    tg_write_str(&w, before);
    tg_write_u64_dec(&w, number);
    tg_write_str(&w, after);
    if (tg_writer_cstr(&w) < 0)
        c->reason[sizeof c->reason - 1] = '\0';
}

/* --- states --- */

static void close_connection(struct tg_mqtt_client *c)
{
    c->state = TG_MQTT_CLOSED;
    c->ping_outstanding = c->ping_blocked = c->input_blocked = false;
    c->pings = c->pongs = c->barrier = 0;
    c->partial_bytes = 0;
    c->unacked_first = c->unacked_count = 0;
    c->sub_count = 0;
    tg_mqtt_inflight_connection_lost(&c->inflight);
}

static bool is_open(const struct tg_mqtt_client *c)
{
    return c->state == TG_MQTT_CONNECTING || c->state == TG_MQTT_CONNECTED;
}

/* The peer broke a rule: the connection ends [MQTT-4.8.0-1]. */
static int break_off(struct tg_mqtt_client *c, int code, const char *flaw)
{
    set_reason(c, "from the server: ", flaw);
    close_connection(c);
    return code;
}

static int timed_out(struct tg_mqtt_client *c, const char *what, int64_t after_ms)
{
    set_reason_number(c, what, (uint64_t)after_ms, " ms");
    close_connection(c);
    return TG_ETIMEOUT;
}

static uint32_t or_default(uint32_t value, uint32_t default_value)
{
    return value ? value : default_value;
}

void tg_mqtt_client_init(struct tg_mqtt_client *c, const struct tg_mqtt_limits *limits,
                         struct tg_mqtt_slot *slots, uint16_t slot_count)
{
    struct tg_mqtt_limits l = {0};
    if (limits)
        l = *limits;
    memset(c, 0, sizeof *c);
    c->limits.max_packet_in_bytes = or_default(l.max_packet_in_bytes, DEFAULT_MAX_PACKET_BYTES);
    c->limits.max_packet_out_bytes = or_default(l.max_packet_out_bytes, DEFAULT_MAX_PACKET_BYTES);
    c->limits.connack_timeout_ms = or_default(l.connack_timeout_ms, DEFAULT_CONNACK_TIMEOUT_MS);
    c->limits.ack_timeout_ms = or_default(l.ack_timeout_ms, DEFAULT_ACK_TIMEOUT_MS);
    c->limits.ping_timeout_ms = or_default(l.ping_timeout_ms, DEFAULT_PING_TIMEOUT_MS);
    tg_mqtt_inflight_init(&c->inflight, slots, slot_count);
}

void tg_mqtt_client_move(struct tg_mqtt_client *c, struct tg_mqtt_slot *slots, uint16_t slot_count)
{
    tg_mqtt_inflight_move(&c->inflight, slots, slot_count);
}

int tg_mqtt_client_connect(struct tg_mqtt_client *c, int64_t now_ms, const struct tg_mqtt_connect *connect,
                           struct tg_writer *out)
{
    const char *flaw = NULL;
    int r;
    if (is_open(c))
        return TG_ESTATE; /* one CONNECT on a connection [MQTT-3.1.0-2] */
    r = tg_mqtt_write_connect(out, connect, c->limits.max_packet_out_bytes, &flaw);
    if (r == TG_EINVAL)
        set_reason(c, "CONNECT: ", flaw);
    else if (r == TG_ETOOBIG)
        set_reason(c, "CONNECT: ", "packet larger than the limit");
    if (r < 0)
        return r;
    c->state = TG_MQTT_CONNECTING;
    c->keepalive_s = connect->keepalive_s;
    c->quiet_ms = c->survived_ms = 0;
    c->clean_session = connect->clean_session;
    c->session_present = false;
    c->connect_ms = c->last_out_ms = c->last_in_ms = now_ms;
    c->reason[0] = '\0';
    return 0;
}

int tg_mqtt_client_disconnect(struct tg_mqtt_client *c, int64_t now_ms, struct tg_writer *out)
{
    int r;
    if (!is_open(c))
        return TG_ESTATE;
    r = tg_mqtt_write_disconnect(out);
    if (r < 0)
        return r;
    c->last_out_ms = now_ms;
    close_connection(c);
    return 0;
}

void tg_mqtt_client_transport_lost(struct tg_mqtt_client *c)
{
    if (is_open(c))
        close_connection(c);
}

void tg_mqtt_client_forgo(struct tg_mqtt_client *c, int64_t now_ms, uint64_t tag)
{
    (void)tg_mqtt_inflight_forgo(&c->inflight, now_ms, tag);
}

void tg_mqtt_client_forget(struct tg_mqtt_client *c)
{
    tg_mqtt_inflight_forget(&c->inflight);
}

/* --- input --- */

static int take_connack(struct tg_mqtt_client *c, int64_t now_ms, const struct tg_mqtt_packet *p,
                        struct tg_mqtt_event *ret_event)
{
    if (c->state == TG_MQTT_CONNECTED)
        return break_off(c, TG_EPROTO, "second CONNACK");
    if (p->session_present && c->clean_session) /* [MQTT-3.2.2-1] */
        return break_off(c, TG_EPROTO, "CONNACK with a session though a clean one was asked for");
    ret_event->type = TG_MQTT_EVENT_CONNACK;
    ret_event->session_present = p->session_present;
    ret_event->return_code = p->return_code;
    if (p->return_code != 0) {
        set_reason_number(c, "the server refused the connection with code ", p->return_code, "");
        close_connection(c);
        return 1;
    }
    c->state = TG_MQTT_CONNECTED;
    c->session_present = p->session_present;
    c->last_in_ms = now_ms;
    return 1;
}

static int take_message(struct tg_mqtt_client *c, const struct tg_mqtt_packet *p,
                        struct tg_mqtt_event *ret_event)
{
    if (p->publish.qos == 2)
        return break_off(c, TG_EPROTO, "PUBLISH with QoS 2, which was never granted");
    if (p->publish.qos == 1) {
        if (c->unacked_count == TG_MQTT_MAX_UNACKED_IN) {
            set_reason_number(c, "", c->unacked_count, " messages wait for their acknowledgement");
            c->input_blocked = true;
            return TG_EFULL;
        }
        unsigned at = (unsigned)(c->unacked_first + c->unacked_count) % TG_MQTT_MAX_UNACKED_IN;
        c->unacked_in[at] = p->packet_id;
        c->acked_in[at] = false;
        c->unacked_count++;
    }
    ret_event->type = TG_MQTT_EVENT_MESSAGE;
    ret_event->topic = p->publish.topic;
    ret_event->payload = p->publish.payload;
    ret_event->packet_id = p->packet_id;
    ret_event->qos = p->publish.qos;
    ret_event->retain = p->publish.retain;
    ret_event->dup = p->publish.dup;
    return 1;
}

static int take_suback(struct tg_mqtt_client *c, const struct tg_mqtt_packet *p,
                       struct tg_mqtt_event *ret_event)
{
    if (c->inflight.reserved_id == 0 || p->packet_id != c->inflight.reserved_id)
        return break_off(c, TG_EPROTO, "SUBACK for a packet id that awaits none"); /* [MQTT-3.8.4-2] */
    if (p->codes.len != c->sub_count)
        return break_off(c, TG_EPROTO, "SUBACK without one code per filter"); /* [MQTT-3.8.4-5] */
    for (unsigned i = 0; i < c->sub_count && i < TG_MQTT_MAX_FILTERS; i++) {
        if (p->codes.data[i] != TG_MQTT_SUBACK_FAILURE && p->codes.data[i] > c->sub_qos[i])
            return break_off(c, TG_EPROTO, "SUBACK that grants a higher QoS than was asked for");
        ret_event->codes[i] = p->codes.data[i];
    }
    ret_event->type = TG_MQTT_EVENT_SUBACK;
    ret_event->packet_id = p->packet_id;
    ret_event->code_count = c->sub_count;
    tg_mqtt_inflight_release(&c->inflight);
    c->sub_count = 0;
    return 1;
}

static int take_packet(struct tg_mqtt_client *c, int64_t now_ms, const struct tg_mqtt_packet *p,
                       struct tg_mqtt_event *ret_event)
{
    if (c->state == TG_MQTT_CONNECTING && p->type != TG_MQTT_TYPE_CONNACK) /* [MQTT-3.2.0-1] */
        return break_off(c, TG_EPROTO, "packet before its CONNACK");
    switch (p->type) {
    case TG_MQTT_TYPE_CONNACK:
        return take_connack(c, now_ms, p, ret_event);
    case TG_MQTT_TYPE_PUBLISH:
        return take_message(c, p, ret_event);
    case TG_MQTT_TYPE_PUBACK:
        if (tg_mqtt_inflight_ack(&c->inflight, now_ms, p->packet_id, &ret_event->tag)) {
            ret_event->type = TG_MQTT_EVENT_PUBACK;
            ret_event->packet_id = p->packet_id;
            return 1;
        }
        c->unknown_acks++;
        return 0;
    case TG_MQTT_TYPE_SUBACK:
        return take_suback(c, p, ret_event);
    case TG_MQTT_TYPE_PINGRESP:
        c->ping_outstanding = false;
        if (c->pongs == c->pings)
            return 0; /* nobody asked */
        if (++c->pongs != c->barrier)
            return 0;
        ret_event->type = TG_MQTT_EVENT_BARRIER;
        return 1;
    default: /* the decoder lets UNSUBACK through, and nothing else is left */
        return break_off(c, TG_EPROTO, "UNSUBACK that no UNSUBSCRIBE asked for");
    }
}

/* Bytes came: the link is alive. More of a packet that is still arriving also restarts the wait for PINGRESP.
 */
static void note_arrival(struct tg_mqtt_client *c, int64_t now_ms, size_t len, bool partial)
{
    if (len <= c->partial_bytes)
        return;
    c->last_in_ms = now_ms;
    if (c->quiet_ms > c->survived_ms)
        c->survived_ms = c->quiet_ms;
    c->quiet_ms = 0;
    if (partial) {
        c->partial_bytes = len;
        c->ping_ms = now_ms;
    }
}

int tg_mqtt_client_input(struct tg_mqtt_client *c, int64_t now_ms, struct tg_bytes in, struct tg_writer *out,
                         struct tg_mqtt_event *ret_event, size_t *ret_consumed)
{
    struct tg_mqtt_packet packet;
    const char *flaw = NULL;
    size_t size = 0;
    int r;
    (void)out; /* part of the contract: QoS 2 or MQTT 5 would answer here */
    *ret_consumed = 0;
    memset(ret_event, 0, sizeof *ret_event);
    if (!is_open(c))
        return TG_ESTATE;
    r = tg_mqtt_decode(in, c->limits.max_packet_in_bytes, &packet, &size, &flaw);
    if (r < 0)
        return break_off(c, r, flaw);
    note_arrival(c, now_ms, in.len, r == 0);
    if (r == 0)
        return 0;
    r = take_packet(c, now_ms, &packet, ret_event);
    if (r >= 0) {
        *ret_consumed = size;
        c->partial_bytes = 0;
    }
    return r;
}

/* --- output --- */

uint16_t tg_mqtt_client_window(const struct tg_mqtt_client *c)
{
    return c->state == TG_MQTT_CONNECTED ? tg_mqtt_inflight_room(&c->inflight) : 0;
}

uint16_t tg_mqtt_client_in_flight(const struct tg_mqtt_client *c)
{
    return c->inflight.count;
}

static void note_departure(struct tg_mqtt_client *c, int64_t now_ms)
{
    int64_t quiet = now_ms - (c->last_out_ms > c->last_in_ms ? c->last_out_ms : c->last_in_ms);
    if (quiet >= TG_MQTT_QUIET_MS && c->quiet_ms == 0)
        c->quiet_ms = quiet;
    c->last_out_ms = now_ms;
}

/* After a packet other than PINGREQ was tried: notes the sending, or the flaw. */
static int sent(struct tg_mqtt_client *c, int64_t now_ms, int r, const char *what, const char *flaw)
{
    if (r == 0) {
        note_departure(c, now_ms);
        c->ping_blocked = false;
    } else if (r == TG_EINVAL || r == TG_ETOOBIG) {
        set_reason(c, what, flaw ? flaw : "packet larger than the limit");
    }
    return r;
}

int tg_mqtt_client_publish(struct tg_mqtt_client *c, int64_t now_ms, struct tg_bytes topic,
                           struct tg_bytes payload, uint8_t qos, bool retain, uint64_t tag,
                           uint16_t *ret_packet_id, struct tg_writer *out)
{
    struct tg_mqtt_publish publish = {.topic = topic, .payload = payload, .qos = qos, .retain = retain};
    const char *flaw = NULL;
    int r;
    if (c->state != TG_MQTT_CONNECTED)
        return TG_ESTATE;
    if (qos > 0) {
        if (tg_mqtt_inflight_room(&c->inflight) == 0)
            return TG_EFULL;
        publish.packet_id = tg_mqtt_inflight_next_id(&c->inflight);
    }
    r = tg_mqtt_write_publish(out, &publish, c->limits.max_packet_out_bytes, &flaw);
    if (r == 0 && qos > 0) {
        tg_mqtt_inflight_add(&c->inflight, now_ms, tag);
        if (ret_packet_id)
            *ret_packet_id = publish.packet_id;
    }
    return sent(c, now_ms, r, "PUBLISH: ", flaw);
}

int tg_mqtt_client_resend_next(const struct tg_mqtt_client *c, uint64_t *ret_tag)
{
    const struct tg_mqtt_slot *slot =
        c->state == TG_MQTT_CONNECTED ? tg_mqtt_inflight_resend_next(&c->inflight) : NULL;
    if (!slot)
        return 0;
    *ret_tag = slot->tag;
    return 1;
}

int tg_mqtt_client_resend(struct tg_mqtt_client *c, int64_t now_ms, struct tg_bytes topic,
                          struct tg_bytes payload, bool retain, struct tg_writer *out)
{
    const struct tg_mqtt_slot *slot = tg_mqtt_inflight_resend_next(&c->inflight);
    struct tg_mqtt_publish publish = {.topic = topic, .payload = payload, .qos = 1, .retain = retain};
    const char *flaw = NULL;
    int r;
    if (c->state != TG_MQTT_CONNECTED || !slot)
        return TG_ESTATE;
    publish.packet_id = slot->packet_id;
    publish.dup = c->session_present; /* [MQTT-3.3.1-1]; a new session has never seen it */
    r = tg_mqtt_write_publish(out, &publish, c->limits.max_packet_out_bytes, &flaw);
    if (r == 0)
        tg_mqtt_inflight_resent(&c->inflight, now_ms);
    return sent(c, now_ms, r, "PUBLISH: ", flaw);
}

int tg_mqtt_client_resend_drop(struct tg_mqtt_client *c, int64_t now_ms)
{
    if (c->state != TG_MQTT_CONNECTED || !tg_mqtt_inflight_resend_next(&c->inflight))
        return TG_ESTATE;
    tg_mqtt_inflight_resend_drop(&c->inflight, now_ms);
    return 0;
}

int tg_mqtt_client_subscribe(struct tg_mqtt_client *c, int64_t now_ms, const struct tg_bytes *filters,
                             const uint8_t *qos, uint8_t count, struct tg_writer *out)
{
    const char *flaw = NULL;
    int r;
    if (c->state != TG_MQTT_CONNECTED)
        return TG_ESTATE;
    if (c->inflight.reserved_id != 0)
        return TG_EBUSY;
    r = tg_mqtt_write_subscribe(out, tg_mqtt_inflight_next_id(&c->inflight), filters, qos, count,
                                c->limits.max_packet_out_bytes, &flaw);
    if (r == 0) {
        tg_mqtt_inflight_reserve(&c->inflight);
        memcpy(c->sub_qos, qos, count);
        c->sub_count = count;
        c->sub_ms = now_ms;
    }
    return sent(c, now_ms, r, "SUBSCRIBE: ", flaw);
}

/* The input can go on after being held up: what was awaited meanwhile gets its whole time again. */
static void unblock_input(struct tg_mqtt_client *c, int64_t now_ms)
{
    c->input_blocked = false;
    c->last_in_ms = c->ping_ms = c->sub_ms = c->inflight.front_ms = now_ms;
}

int tg_mqtt_client_ack(struct tg_mqtt_client *c, int64_t now_ms, uint16_t packet_id, struct tg_writer *out)
{
    unsigned wanted = 0, ready = 0;
    while (wanted < c->unacked_count) {
        unsigned at = (c->unacked_first + wanted) % TG_MQTT_MAX_UNACKED_IN;
        if (c->unacked_in[at] == packet_id && !c->acked_in[at])
            break;
        wanted++;
    }
    if (wanted == c->unacked_count)
        return 0;
    while (ready < c->unacked_count &&
           (ready == wanted || c->acked_in[(c->unacked_first + ready) % TG_MQTT_MAX_UNACKED_IN]))
        ready++;
    if (ready > 0 && (out->failed || out->cap - out->len < (size_t)ready * TG_MQTT_ACK_BYTES))
        return TG_EFULL;
    c->acked_in[(c->unacked_first + wanted) % TG_MQTT_MAX_UNACKED_IN] = true;
    for (unsigned i = 0; i < ready; i++) {
        int r = tg_mqtt_write_puback(out, c->unacked_in[c->unacked_first]);
        TG_ASSERT(r == 0); /* the room was checked */
        c->unacked_first = (uint8_t)((c->unacked_first + 1) % TG_MQTT_MAX_UNACKED_IN);
        c->unacked_count--;
    }
    if (ready > 0) {
        if (c->input_blocked)
            unblock_input(c, now_ms);
        return sent(c, now_ms, 0, "", NULL);
    }
    return 0;
}

/* --- time --- */

static int64_t earlier(int64_t a, int64_t b)
{
    return a < b ? a : b;
}

static int64_t keepalive_ms(const struct tg_mqtt_client *c)
{
    return (int64_t)c->keepalive_s * 1000;
}

/* PINGREQ goes before 1 × keepalive of silence: outwards because the server counts what we send
 * [MQTT-3.1.2-23], inwards because only an answer shows that the link is alive. The second is not repeated
 * while an answer is awaited. */
static int64_t ping_due(const struct tg_mqtt_client *c)
{
    int64_t silent_since = c->ping_outstanding ? c->last_out_ms : earlier(c->last_out_ms, c->last_in_ms);
    int64_t interval = tg_mqtt_ping_interval_ms(keepalive_ms(c));
    return silent_since + (c->ping_every_ms ? earlier(c->ping_every_ms, interval) : interval);
}

static int64_t ping_timeout_ms(const struct tg_mqtt_client *c)
{
    return earlier(c->limits.ping_timeout_ms, keepalive_ms(c) / 2);
}

/* When the link counts as dead: PINGRESP is late, or PINGREQ could not even be written. */
static int64_t link_deadline(const struct tg_mqtt_client *c)
{
    if (c->ping_outstanding)
        return c->ping_ms + ping_timeout_ms(c);
    return c->last_in_ms + keepalive_ms(c) + keepalive_ms(c) / 2;
}

static int write_ping(struct tg_mqtt_client *c, int64_t now_ms, struct tg_writer *out)
{
    int rc = tg_mqtt_write_pingreq(out);
    if (rc < 0)
        return rc;
    c->pings++;
    note_departure(c, now_ms);
    if (!c->ping_outstanding)
        c->ping_ms = now_ms;
    c->ping_outstanding = true;
    return TG_OK;
}

int tg_mqtt_client_tick(struct tg_mqtt_client *c, int64_t now_ms, struct tg_writer *out)
{
    int64_t since;
    if (c->state == TG_MQTT_CONNECTING && now_ms >= c->connect_ms + c->limits.connack_timeout_ms)
        return timed_out(c, "no CONNACK within ", c->limits.connack_timeout_ms);
    if (c->state != TG_MQTT_CONNECTED)
        return 0;
    if (!c->input_blocked) {
        if (tg_mqtt_inflight_waiting(&c->inflight, &since) && now_ms >= since + c->limits.ack_timeout_ms)
            return timed_out(c, "no PUBACK within ", c->limits.ack_timeout_ms);
        if (c->inflight.reserved_id && now_ms >= c->sub_ms + c->limits.ack_timeout_ms)
            return timed_out(c, "no SUBACK within ", c->limits.ack_timeout_ms);
        if (c->keepalive_s && now_ms >= link_deadline(c))
            return timed_out(c, c->ping_outstanding ? "no PINGRESP within " : "nothing was received for ",
                             c->ping_outstanding ? ping_timeout_ms(c) : now_ms - c->last_in_ms);
    }
    if (!c->keepalive_s || now_ms < ping_due(c))
        return 0;
    c->ping_blocked = write_ping(c, now_ms, out) < 0;
    return 0;
}

void tg_mqtt_client_ping_every(struct tg_mqtt_client *c, int64_t interval_ms)
{
    c->ping_every_ms = interval_ms;
}

int tg_mqtt_client_ping(struct tg_mqtt_client *c, int64_t now_ms, struct tg_writer *out)
{
    if (c->state != TG_MQTT_CONNECTED)
        return TG_ESTATE;
    return c->ping_outstanding || write_ping(c, now_ms, out) == TG_OK ? TG_OK : TG_EFULL;
}

int tg_mqtt_client_barrier(struct tg_mqtt_client *c, int64_t now_ms, struct tg_writer *out)
{
    if (c->state != TG_MQTT_CONNECTED)
        return TG_ESTATE;
    if (c->barrier > c->pongs)
        return TG_EBUSY;
    if (write_ping(c, now_ms, out) < 0)
        return TG_EFULL;
    c->barrier = c->pings;
    return TG_OK;
}

int64_t tg_mqtt_client_deadline(const struct tg_mqtt_client *c)
{
    int64_t due = INT64_MAX, since;
    if (c->state == TG_MQTT_CONNECTING)
        return c->connect_ms + c->limits.connack_timeout_ms;
    if (c->state != TG_MQTT_CONNECTED)
        return due;
    if (!c->input_blocked) {
        if (tg_mqtt_inflight_waiting(&c->inflight, &since))
            due = since + c->limits.ack_timeout_ms;
        if (c->inflight.reserved_id)
            due = earlier(due, c->sub_ms + c->limits.ack_timeout_ms);
        if (c->keepalive_s)
            due = earlier(due, link_deadline(c));
    }
    if (c->keepalive_s && !c->ping_blocked)
        due = earlier(due, ping_due(c));
    return due;
}
