/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * ucx_carry - the messages that travel through one MQTT connection of a u-connectXpress module, and what counts as their having
 * arrived. Pure: bytes and time in, bodies and outcomes out.
 *
 * The module tells nothing about a publish: in extended data mode a data frame has no answer, and the PUBACK, if the module asks for
 * one at all, stays inside (application note UBX-19010078; UBX-14044127 has no event for it). What there is:
 *   settle   The frame has left the serial port, and the connection has stayed up for settle_ms after that. A connection that breaks
 *            within it takes the message back; what the module loses without breaking the connection is lost.
 *   echo     The connection is subscribed to its own publish topic: a body that comes back from the broker was taken by it. Exact.
 *
 *     add() ──► next()/sent() ──► drained() ──settle──► done()
 *                            └──► received() ──echo──► done()
 *
 * ECHOES   Events of the module carry parts of a message without saying where it begins. What came is kept up to twice the longest
 * body, and a message is confirmed when its whole body stands in there in one piece; what stands before its end is forgotten then.
 * Messages are confirmed in any order: one lost echo holds up no other.
 *
 * BOUNDS   The struct is all there is (about 74 KiB): TG_UCX_CARRY_MESSAGES bodies, TG_UCX_CARRY_HEARD bytes. When the connection
 * ends, forget the struct: what is not done is not known to have arrived. One thread.
 */
#ifndef TG_SOUTHBOUND_UCX_CARRY_H
#define TG_SOUTHBOUND_UCX_CARRY_H

#include "southbound/edm_frame.h"

#define TG_UCX_CARRY_MESSAGES 16
#define TG_UCX_CARRY_HEARD    (2 * TG_EDM_DATA_MAX)

enum tg_ucx_carry_state {
    TG_UCX_CARRY_FREE = 0,
    TG_UCX_CARRY_WAITING, /* for the line */
    TG_UCX_CARRY_SENT,    /* handed to the line */
    TG_UCX_CARRY_DRAINED, /* has left the port */
    TG_UCX_CARRY_DONE     /* delivered, not told yet */
};

struct tg_ucx_carry_message {
    enum tg_ucx_carry_state state;
    uint64_t id;
    int64_t settled_ms; /* DRAINED: when it is done */
    size_t len;
    uint8_t body[TG_EDM_DATA_MAX];
};

struct tg_ucx_carry {
    bool echo;
    int64_t settle_ms;
    uint32_t first, count; /* a ring, in the order of add() */
    size_t heard_len;
    uint64_t heard_bytes, foreign_bytes; /* foreign: not part of any echo */
    uint8_t heard[TG_UCX_CARRY_HEARD];
    struct tg_ucx_carry_message messages[TG_UCX_CARRY_MESSAGES];
};

void tg_ucx_carry_init(struct tg_ucx_carry *c, bool echo, int64_t settle_ms);
/* Copies. TG_EFULL; TG_ETOOBIG: above TG_EDM_DATA_MAX; TG_EINVAL: empty. */
int tg_ucx_carry_add(struct tg_ucx_carry *c, uint64_t id, struct tg_bytes body) TG_CHECKED;
/* The body that is to go next; empty: none. */
struct tg_bytes tg_ucx_carry_next(const struct tg_ucx_carry *c);
/* It was handed to the line. */
void tg_ucx_carry_sent(struct tg_ucx_carry *c);
/* True while something was handed over that is not known to have left the port. */
bool tg_ucx_carry_draining(const struct tg_ucx_carry *c);
/* All that was handed over has left the port. */
void tg_ucx_carry_drained(struct tg_ucx_carry *c, int64_t now_ms);
/* Came in on the connection. */
void tg_ucx_carry_received(struct tg_ucx_carry *c, struct tg_bytes data);
/* The next message that is delivered; its place is free then. */
bool tg_ucx_carry_done(struct tg_ucx_carry *c, int64_t now_ms, uint64_t *ret_id);
/* When the next one settles: INT64_MAX = none does by time. */
int64_t tg_ucx_carry_deadline(const struct tg_ucx_carry *c);

#endif
