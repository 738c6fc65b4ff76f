/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * mqtt_client - one MQTT 3.1.1 client session as a pure state machine: no I/O, no clock, no allocation.
 *
 * The driver owns the transport. It gives received bytes to tg_mqtt_client_input() and the time to
 * tg_mqtt_client_tick(); the client writes whole packets into a `struct tg_writer` that the driver lends
 * and then sends. A packet that does not fit the writer is not begun: TG_EFULL, nothing has changed.
 *
 * What is in flight is remembered by packet id and the driver's `tag`, not by content: on a resend the
 * driver encodes the same message again (the outbox still has it). That keeps a session small.
 *
 *     IDLE ──connect()──► CONNECTING ──CONNACK 0──► CONNECTED ──disconnect()──► CLOSED
 *                            │ CONNACK ≠ 0, timeout      │ protocol error, no PINGRESP, transport_lost()
 *                            └──────────► CLOSED ◄───────┘            CLOSED ──connect()──► CONNECTING
 *
 *     state        its deadline                                        past it
 *     IDLE         none                                                –
 *     CONNECTING   connack_timeout_ms after CONNECT                    CLOSED, TG_ETIMEOUT
 *     CONNECTED    PINGREQ: shortly before 1 × keepalive after         PINGREQ is written
 *                    the last byte sent or received, or sooner
 *                    (tg_mqtt_client_ping_every())
 *                  PINGRESP: min(ping_timeout_ms, keepalive / 2)       CLOSED, TG_ETIMEOUT
 *                    after PINGREQ
 *                  ack_timeout_ms after the oldest publish's turn to   CLOSED, TG_ETIMEOUT
 *                    be acknowledged came, or after SUBSCRIBE
 *     CLOSED       none                                                –
 *
 * So a link that went silent is found within 1.5 × keepalive, also while publishes at QoS 0 go out. While a
 * packet is arriving in pieces the wait for PINGRESP begins anew with each piece: on a slow link a large
 * message in front of it must not end the connection.
 *
 * In flight survives CLOSED. After the next CONNACK the driver walks tg_mqtt_client_resend_next() and
 * sends each again, in original order, with its id, before new traffic [MQTT-4.4.0-1]; DUP is 1 only
 * when the server still has the session. Nothing is sent again on a timer. Rules cited from reference:
 * MQTT 3.1.1 (OASIS 2014).
 *
 * Inbound QoS 1 is acknowledged when the driver says so, in order of receipt [MQTT-4.6.0-2]: at most
 * TG_MQTT_MAX_UNACKED_IN messages may wait; the next one stays in the driver's buffer (TG_EFULL of
 * input()) and so holds the server back. Inbound QoS 2 is a protocol error: it was never granted.
 * When the transport is lost, the driver forgets the acks it still owes: the server sends those
 * messages again, under ids that may be others'.
 *
 *     tg_mqtt_client_init(&c, NULL, slots, 20);
 *     … connect the transport …
 *     r = tg_mqtt_client_connect(&c, now, &(struct tg_mqtt_connect){.client_id = id, .keepalive_s = 180},
 * &out); while ((r = tg_mqtt_client_input(&c, now, in, &out, &event, &used)) >= 0 && used > 0) { if (r == 1)
 * handle(&event); in = tg_bytes(in.data + used, in.len - used);
 *     }
 *
 * Threads: none; embed by value and call from one thread. Times are a monotonic clock's milliseconds.
 */
#ifndef TG_NORTHBOUND_MQTT_CLIENT_H
#define TG_NORTHBOUND_MQTT_CLIENT_H

#include "core/base/bytes.h"
#include "northbound/mqtt/mqtt_inflight.h"
#include "northbound/mqtt/mqtt_packet.h"

#define TG_MQTT_MAX_UNACKED_IN 32
#define TG_MQTT_QUIET_MS       5000 /* a silence of less is none */

enum tg_mqtt_state { TG_MQTT_IDLE, TG_MQTT_CONNECTING, TG_MQTT_CONNECTED, TG_MQTT_CLOSED };

/* A field of 0 takes the default. */
struct tg_mqtt_limits {
    uint32_t
        max_packet_in_bytes; /* whole inbound packet; larger ones are TG_ETOOBIG. default 262144 + 4096 */
    uint32_t max_packet_out_bytes; /* TG_ETOOBIG for larger ones. default 262144 + 4096 */
    uint32_t connack_timeout_ms;   /* CONNECT → CONNACK. default 30000 */
    uint32_t ack_timeout_ms;  /* PUBLISH/SUBSCRIBE → ack; then the connection is given up. default 60000 */
    uint32_t ping_timeout_ms; /* PINGREQ → PINGRESP; capped at keepalive / 2. default 20000 */
};

enum tg_mqtt_event_type {
    TG_MQTT_EVENT_NONE = 0,
    TG_MQTT_EVENT_CONNACK, /* session_present, return_code (0…5, and others: AWS 7, ClearBlade 13) */
    TG_MQTT_EVENT_PUBACK,  /* tag of the publish that is done; its slot is free */
    TG_MQTT_EVENT_MESSAGE, /* topic, payload: views into the input, until the next call */
    TG_MQTT_EVENT_BARRIER, /* everything written before tg_mqtt_client_barrier() was taken by the server */
    TG_MQTT_EVENT_SUBACK   /* packet_id, codes[0 … code_count-1]: 0, 1 or 0x80 per filter, in order */
};

struct tg_mqtt_event {
    enum tg_mqtt_event_type type;
    uint64_t tag;
    struct tg_bytes topic, payload;
    uint16_t packet_id; /* MESSAGE with qos 1: to be given to tg_mqtt_client_ack() */
    uint8_t qos, return_code, code_count;
    bool retain, dup, session_present;
    uint8_t codes[TG_MQTT_MAX_FILTERS];
};

struct tg_mqtt_client {
    enum tg_mqtt_state state;
    struct tg_mqtt_limits limits;
    struct tg_mqtt_inflight inflight; /* survives CLOSED */
    uint16_t keepalive_s;
    bool clean_session, session_present;
    bool ping_outstanding; /* PINGRESP is awaited, since ping_ms */
    bool ping_blocked;     /* PINGREQ is due but the writer had no room */
    bool input_blocked;    /* input() said TG_EFULL: nothing is read, so nothing can time out */
    uint64_t pings, pongs,
        barrier; /* PINGREQs written and PINGRESPs received on this connection (the n-th answers the n-th);
                                       which of them is the barrier's */
    int64_t connect_ms, last_out_ms, last_in_ms, ping_ms;
    int64_t ping_every_ms; /* PINGREQ after so much silence; 0 = as the keepalive says */
    int64_t
        quiet_ms; /* how long it was silent in both directions before what is unanswered now; 0 = not for TG_MQTT_QUIET_MS.
                                       Stays after CLOSED */
    int64_t survived_ms;  /* the longest such silence of this connection that was followed by an answer */
    size_t partial_bytes; /* of the packet that is arriving */
    uint8_t sub_count;    /* filters of the outstanding SUBSCRIBE (inflight.reserved_id) */
    uint8_t sub_qos[TG_MQTT_MAX_FILTERS];
    int64_t sub_ms;
    uint16_t unacked_in[TG_MQTT_MAX_UNACKED_IN]; /* ring of ids in order of receipt */
    bool acked_in[TG_MQTT_MAX_UNACKED_IN];
    uint8_t unacked_first, unacked_count;
    uint64_t unknown_acks; /* PUBACKs for ids not in flight: counted, ignored */
    char reason[96];       /* why a call said TG_EINVAL, TG_EPROTO, TG_ETOOBIG or TG_ETIMEOUT */
};

/* `slots` (1 ≤ slot_count ≤ TG_MQTT_MAX_WINDOW, the in-flight window) is lent for the client's life. limits
 * may be NULL: all defaults. */
void tg_mqtt_client_init(struct tg_mqtt_client *c, const struct tg_mqtt_limits *limits,
                         struct tg_mqtt_slot *slots, uint16_t slot_count);

/* Other slots from now on, as many as are in flight or more; the ones before are the caller's again. Any state. */
void tg_mqtt_client_move(struct tg_mqtt_client *c, struct tg_mqtt_slot *slots, uint16_t slot_count);

/* Writes CONNECT. From IDLE or CLOSED. TG_EINVAL (reason says what), TG_ETOOBIG, TG_EFULL, TG_ESTATE. */
int tg_mqtt_client_connect(struct tg_mqtt_client *c, int64_t now_ms, const struct tg_mqtt_connect *connect,
                           struct tg_writer *out) TG_CHECKED;

/* Reads at most one packet from `in`, sets *ret_consumed to the bytes used up (also for packets without
 * an event). 1 = *ret_event is filled: call again with the rest (after a CONNACK with a return code other
 * than 0 the state is CLOSED: close the transport instead); 0 = a packet was used up without an event
 * (consumed > 0: call again) or more bytes are needed (consumed = 0); TG_EPROTO, TG_ETOOBIG: the peer broke
 * the protocol, c->reason says how, state is CLOSED, close the transport; TG_EFULL: too many messages wait
 * for tg_mqtt_client_ack(), nothing is consumed: stop reading, call again after an ack wrote its PUBACK;
 * TG_ESTATE: no connection. `out` takes what must be answered at once (nothing, at QoS 0 and 1). */
int tg_mqtt_client_input(struct tg_mqtt_client *c, int64_t now_ms, struct tg_bytes in, struct tg_writer *out,
                         struct tg_mqtt_event *ret_event, size_t *ret_consumed) TG_CHECKED;

/* Room in the in-flight window: how many QoS 1 publishes may be sent now (0 until CONNECTED and until every
 * resend is done). */
uint16_t tg_mqtt_client_window(const struct tg_mqtt_client *c);
/* QoS 1 publishes not yet acknowledged, those to be sent again included. Any state. */
uint16_t tg_mqtt_client_in_flight(const struct tg_mqtt_client *c);

/* Writes a new PUBLISH. QoS 1 takes a slot under `tag` and *ret_packet_id (may be NULL); QoS 0 does not, and
 * may go while resends wait. TG_EFULL: window or writer full; TG_EINVAL: topic empty, with + # or U+0000, not
 * UTF-8; TG_ETOOBIG; TG_ESTATE. */
int tg_mqtt_client_publish(struct tg_mqtt_client *c, int64_t now_ms, struct tg_bytes topic,
                           struct tg_bytes payload, uint8_t qos, bool retain, uint64_t tag,
                           uint16_t *ret_packet_id, struct tg_writer *out) TG_CHECKED;

/* The next message to send again after a reconnect, oldest first: 1 and its tag, 0 = none left (or not
 * CONNECTED). */
int tg_mqtt_client_resend_next(const struct tg_mqtt_client *c, uint64_t *ret_tag);
/* Writes that message again with its packet id (the one resend_next named). TG_ESTATE: there is none. */
int tg_mqtt_client_resend(struct tg_mqtt_client *c, int64_t now_ms, struct tg_bytes topic,
                          struct tg_bytes payload, bool retain, struct tg_writer *out) TG_CHECKED;
/* Gives that message up instead: its content is gone (evicted from the outbox). TG_ESTATE: there is none. */
int tg_mqtt_client_resend_drop(struct tg_mqtt_client *c, int64_t now_ms) TG_CHECKED;

/* Writes one SUBSCRIBE for 1 … TG_MQTT_MAX_FILTERS filters. One may be outstanding at a time (TG_EBUSY); it
 * is forgotten when the connection ends. TG_EINVAL, TG_ETOOBIG, TG_EFULL, TG_ESTATE. */
int tg_mqtt_client_subscribe(struct tg_mqtt_client *c, int64_t now_ms, const struct tg_bytes *filters,
                             const uint8_t *qos, uint8_t count, struct tg_writer *out) TG_CHECKED;

/* Completes an inbound QoS 1 message; PUBACKs are written in order of receipt, so this may write none or
 * several. Unknown ids are ignored (the connection changed since). TG_EFULL: not all would fit, none is
 * written; call again with the same id. */
int tg_mqtt_client_ack(struct tg_mqtt_client *c, int64_t now_ms, uint16_t packet_id,
                       struct tg_writer *out) TG_CHECKED;

/* Writes DISCONNECT, which makes the server drop the will [MQTT-3.14.4-3]; state is CLOSED. TG_EFULL;
 * TG_ESTATE. */
int tg_mqtt_client_disconnect(struct tg_mqtt_client *c, int64_t now_ms, struct tg_writer *out) TG_CHECKED;
/* The transport is gone. Keeps what is in flight. */
void tg_mqtt_client_transport_lost(struct tg_mqtt_client *c);
/* The server has said by other means that it does not take this publish and will not acknowledge it: its slot is free.
 * Unknown tags are ignored. */
void tg_mqtt_client_forgo(struct tg_mqtt_client *c, int64_t now_ms, uint64_t tag);
/* Forgets what is in flight (its owner gave it up: a removed device). */
void tg_mqtt_client_forget(struct tg_mqtt_client *c);

/* Writes a PINGREQ now. Servers take packets in order, so its PINGRESP says that everything before it was taken, also at
 * QoS 0: TG_MQTT_EVENT_BARRIER. One at a time: TG_EBUSY. TG_EFULL, TG_ESTATE. */
int tg_mqtt_client_barrier(struct tg_mqtt_client *c, int64_t now_ms, struct tg_writer *out) TG_CHECKED;

/* Writes a PINGREQ now unless one is outstanding: whoever doubts the connection need not wait for the keepalive. Its PINGRESP is
 * waited for as ever. TG_EFULL: a later tick writes it; TG_ESTATE. */
int tg_mqtt_client_ping(struct tg_mqtt_client *c, int64_t now_ms, struct tg_writer *out) TG_CHECKED;

/* The silence after which PINGREQ goes: a quarter before the keepalive ends, at most 10 s, so that the server has it in time. */
static inline int64_t tg_mqtt_ping_interval_ms(int64_t keepalive_ms)
{
    return keepalive_ms - (keepalive_ms / 4 < 10000 ? keepalive_ms / 4 : 10000);
}

/* From now on PINGREQ goes after so much silence, if that is sooner than the keepalive wants it; 0 = as the keepalive wants it. Holds for
 * later connections too. */
void tg_mqtt_client_ping_every(struct tg_mqtt_client *c, int64_t interval_ms);

/* Time-driven work: PINGREQ, timeouts. 0, or TG_ETIMEOUT: close the transport (reason says
 * which timeout). Call at tg_mqtt_client_deadline() at the latest; INT64_MAX = nothing is due. A PINGREQ that
 * finds no room in the writer is written by a later tick: call one when there is room again. */
int tg_mqtt_client_tick(struct tg_mqtt_client *c, int64_t now_ms, struct tg_writer *out) TG_CHECKED;
int64_t tg_mqtt_client_deadline(const struct tg_mqtt_client *c);

#endif
