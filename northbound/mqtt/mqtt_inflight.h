/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * mqtt_inflight - packet ids and the QoS 1 window: which publishes wait for their PUBACK.
 *
 * The slots are a ring in order of first sending. Servers acknowledge in that order [MQTT-4.6.0-2], so
 * the first slot is looked at first; an acknowledgement out of order leaves a hole, which goes when it
 * reaches an end of the ring or when the ring needs the room.
 *
 *     slots: [ 7 | 8 | – | 10 | 11 | 12 ]      resend_at: after a reconnect, the first not yet sent again;
 *              first   hole          span = 6   from there on there are no holes
 *
 * Packet ids are never 0 and never in use [MQTT-2.3.1-1, 2.3.1-2]; PUBLISH and SUBSCRIBE share them. They
 * count up and wrap at 65535. `free_ids` says how many from next_id on are surely free, so that most of
 * the time no slot is looked at; it is counted anew (one pass over the slots) when it has run out.
 *
 *     id = tg_mqtt_inflight_next_id(f); … write the packet …; tg_mqtt_inflight_add(f, now_ms, tag);
 *
 * Pure; the slots are lent for its life, or until it moves to others. Threads: none.
 */
#ifndef TG_NORTHBOUND_MQTT_INFLIGHT_H
#define TG_NORTHBOUND_MQTT_INFLIGHT_H

#include <stdbool.h>
#include <stdint.h>

#define TG_MQTT_MAX_WINDOW 4096 /* slots; far below 65,535, so that a free id is always near */

/* One unacknowledged QoS 1 publish. */
struct tg_mqtt_slot {
    uint64_t tag;
    int64_t sent_ms;    /* when it was last written */
    uint16_t packet_id; /* 0 = free */
};

struct tg_mqtt_inflight {
    struct tg_mqtt_slot *slots; /* slots[(first + i) % slot_count], i < span */
    uint16_t slot_count, first, span;
    uint16_t count;       /* slots in use, ≤ span */
    uint16_t resend_at;   /* i of the next to send again; = span when there is none */
    uint16_t next_id;     /* never 0 */
    uint16_t reserved_id; /* of the outstanding SUBSCRIBE, 0 = none */
    uint32_t free_ids;    /* this many ids from next_id on are free */
    int64_t front_ms;     /* since when the oldest one's acknowledgement is awaited */
};

/* 1 ≤ slot_count ≤ TG_MQTT_MAX_WINDOW. */
void tg_mqtt_inflight_init(struct tg_mqtt_inflight *f, struct tg_mqtt_slot *slots, uint16_t slot_count);

/* Other slots from now on, as many as are in use or more; the ones before are the caller's again. */
void tg_mqtt_inflight_move(struct tg_mqtt_inflight *f, struct tg_mqtt_slot *slots, uint16_t slot_count);

/* How many publishes may be added; 0 while some are to be sent again. */
static inline uint16_t tg_mqtt_inflight_room(const struct tg_mqtt_inflight *f)
{
    return f->resend_at == f->span ? (uint16_t)(f->slot_count - f->count) : 0;
}

/* The id that the next add or reserve takes. Calling it takes nothing. */
uint16_t tg_mqtt_inflight_next_id(struct tg_mqtt_inflight *f);
/* A publish with next_id was written. There must be room. */
void tg_mqtt_inflight_add(struct tg_mqtt_inflight *f, int64_t now_ms, uint64_t tag);
/* A SUBSCRIBE with next_id was written: the id stays in use until release. */
void tg_mqtt_inflight_reserve(struct tg_mqtt_inflight *f);
void tg_mqtt_inflight_release(struct tg_mqtt_inflight *f);

/* A PUBACK came. False when the id was not sent on this connection (one that still has to be
 * sent again counts as unsent: believing such an acknowledgement could lose it). */
bool tg_mqtt_inflight_ack(struct tg_mqtt_inflight *f, int64_t now_ms, uint16_t packet_id, uint64_t *ret_tag);

/* As an acknowledgement, by the tag: the server will send none. False when no such publish was sent on this
 * connection. An acknowledgement that comes nevertheless is one for an unknown id. */
bool tg_mqtt_inflight_forgo(struct tg_mqtt_inflight *f, int64_t now_ms, uint64_t tag);

/* The connection is gone: all are to be sent again, the SUBSCRIBE is forgotten. */
void tg_mqtt_inflight_connection_lost(struct tg_mqtt_inflight *f);
/* The next one to send again, NULL = none left. */
const struct tg_mqtt_slot *tg_mqtt_inflight_resend_next(const struct tg_mqtt_inflight *f);
/* It was written. There must be one. */
void tg_mqtt_inflight_resent(struct tg_mqtt_inflight *f, int64_t now_ms);
/* It is given up: its slot and id are free. There must be one. */
void tg_mqtt_inflight_resend_drop(struct tg_mqtt_inflight *f, int64_t now_ms);

/* True, and since when, when an acknowledgement of the oldest publish is awaited. */
bool tg_mqtt_inflight_waiting(const struct tg_mqtt_inflight *f, int64_t *ret_since_ms);
/* Nothing is in flight any more. Ids go on where they were. */
void tg_mqtt_inflight_forget(struct tg_mqtt_inflight *f);

#endif
