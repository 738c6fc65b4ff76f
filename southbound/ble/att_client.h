/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * att_client - the client's side of one ATT bearer: one request at a time, long values in pieces, and what the peer wants of us.
 *
 *     init ──► request ──► receive … ──► event (an answer) ──► request …          out()/sent() after every call
 *                 │ 30 s without an answer: tick gives TIMEOUT, the bearer is dead (volume 3, part F, 3.3.3)
 *
 * A request that is too long for one PDU is carried on here: long reads by blobs, long writes by prepare and execute. Beside answers the
 * peer may send notifications, indications (confirmed at once, even while a request is outstanding) and requests of its own:
 * its MTU request is answered, any other is refused with "request not supported" (silence would make it drop the link after 30 s).
 * Commands and confirmations are ignored. Answers to nothing, malformed notifications and unknown opcodes are ignored and
 * counted; a malformed answer to our request breaks the bearer: the caller closes it.
 *
 * Pure: no I/O, no clock (monotonic milliseconds are passed in), no allocation. One thread. 1.1 KiB.
 *
 *     tg_att_client_init(&c, TG_ATT_MAX_MTU);
 *     rc = tg_att_client_read(&c, handle, now_ms);
 *     while ((b = tg_att_client_out(&c)).len) { send(b); tg_att_client_sent(&c); }
 *     … tg_att_client_receive(&c, pdu, now_ms, &event); if (event.kind == TG_ATT_EVENT_READ) use(event.value);
 */
#ifndef TG_SOUTHBOUND_BLE_ATT_CLIENT_H
#define TG_SOUTHBOUND_BLE_ATT_CLIENT_H

#include "southbound/ble/att_pdu.h"

#define TG_ATT_TIMEOUT_MS 30000
#define TG_ATT_MAX_ANSWERS                                                                                   \
    8 /* not yet sent, to requests and indications of the peer; one more breaks the bearer */

enum tg_att_event_kind {
    TG_ATT_EVENT_NONE = 0,
    TG_ATT_EVENT_MTU,
    TG_ATT_EVENT_SERVICES,        /* pdu: items start, end, UUID */
    TG_ATT_EVENT_CHARACTERISTICS, /* pdu: items declaration, properties, value handle, UUID */
    TG_ATT_EVENT_DESCRIPTORS,     /* pdu: items handle, UUID */
    TG_ATT_EVENT_FOUND,           /* read by UUID: pdu: items handle, value */
    TG_ATT_EVENT_READ,            /* value: whole, or its first 512 bytes */
    TG_ATT_EVENT_WRITTEN,
    TG_ATT_EVENT_REFUSED, /* the peer answered our request with `code`; 0: it prepared other bytes than it was given */
    TG_ATT_EVENT_NOTIFIED, /* handle, value; `indicated` and confirmed */
    TG_ATT_EVENT_BROKEN,   /* text says how; close */
    TG_ATT_EVENT_TIMEOUT   /* close */
};

struct tg_att_event {
    enum tg_att_event_kind kind;
    uint8_t code;
    bool indicated;
    uint16_t handle;
    struct tg_bytes value; /* valid until the next call */
    struct tg_att_pdu pdu; /* likewise */
    const char *text;      /* static */
};

enum tg_att_work { /* what is outstanding */
                   TG_ATT_WORK_NONE = 0,
                   TG_ATT_WORK_MTU,
                   TG_ATT_WORK_SERVICES,
                   TG_ATT_WORK_CHARACTERISTICS,
                   TG_ATT_WORK_DESCRIPTORS,
                   TG_ATT_WORK_FIND,
                   TG_ATT_WORK_READ,
                   TG_ATT_WORK_BLOB,
                   TG_ATT_WORK_WRITE,
                   TG_ATT_WORK_PREPARE,
                   TG_ATT_WORK_EXECUTE,
                   TG_ATT_WORK_CANCEL /* dropping what was prepared, because `code` */
};

struct tg_att_client {
    uint16_t own_mtu, mtu; /* mtu: in force, 23 to own_mtu */
    uint16_t work_mtu;     /* when the request was made: the peer may raise it before it answers */
    uint8_t work;          /* enum tg_att_work */
    uint8_t code;
    bool broken;
    uint16_t handle;
    int64_t deadline_ms;
    uint16_t out_len, value_len, offset;
    uint8_t answer_count, answer_len[TG_ATT_MAX_ANSWERS];
    uint8_t answers[TG_ATT_MAX_ANSWERS][5];
    uint8_t out[TG_ATT_MAX_MTU];
    uint8_t value[TG_ATT_MAX_VALUE]; /* a long read so far, or what a long write writes */
    uint32_t ignored;          /* answers to nothing, unknown opcodes, malformed PDUs that nobody waits for */
    uint32_t refused_requests; /* of the peer */
};

/* own_mtu: 23 to TG_ATT_MAX_MTU. */
void tg_att_client_init(struct tg_att_client *c, uint16_t own_mtu);

/* Requests. TG_EBUSY: one is outstanding, or a PDU has not been sent; TG_ESTATE: broken. The answer is an event. */
int tg_att_client_exchange_mtu(struct tg_att_client *c, int64_t now_ms) TG_CHECKED; /* once a connection */
int tg_att_client_services(struct tg_att_client *c, uint16_t from, int64_t now_ms) TG_CHECKED;
int tg_att_client_characteristics(struct tg_att_client *c, uint16_t from, uint16_t to,
                                  int64_t now_ms) TG_CHECKED;
int tg_att_client_descriptors(struct tg_att_client *c, uint16_t from, uint16_t to, int64_t now_ms) TG_CHECKED;
/* By UUID, in all of the server; the value is cut to what fits one PDU. */
int tg_att_client_find(struct tg_att_client *c, uint16_t uuid, int64_t now_ms) TG_CHECKED;
int tg_att_client_read(struct tg_att_client *c, uint16_t handle, int64_t now_ms) TG_CHECKED;
/* TG_ETOOBIG beyond TG_ATT_MAX_VALUE. */
int tg_att_client_write(struct tg_att_client *c, uint16_t handle, struct tg_bytes value,
                        int64_t now_ms) TG_CHECKED;
/* Without response: nothing is outstanding after it. TG_ETOOBIG beyond mtu − 3. */
int tg_att_client_write_command(struct tg_att_client *c, uint16_t handle, struct tg_bytes value) TG_CHECKED;

/* The next PDU to send, empty when there is none; sent() when it has been. */
struct tg_bytes tg_att_client_out(const struct tg_att_client *c);
void tg_att_client_sent(struct tg_att_client *c);

/* One PDU as read. */
void tg_att_client_receive(struct tg_att_client *c, struct tg_bytes pdu, int64_t now_ms,
                           struct tg_att_event *ret_event);
/* TIMEOUT when the answer is overdue, else NONE. */
void tg_att_client_tick(struct tg_att_client *c, int64_t now_ms, struct tg_att_event *ret_event);
/* True while an answer is awaited. */
static inline bool tg_att_client_busy(const struct tg_att_client *c)
{
    return c->work != TG_ATT_WORK_NONE;
}

#endif
