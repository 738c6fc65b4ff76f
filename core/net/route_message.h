/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * route_message - what the kernel says of links, addresses and routes: rtnetlink (rtnetlink(7), RFC 3549; linux/rtnetlink.h) taken apart,
 * and the two questions that are asked. Pure: no socket, no clock, no allocation.
 *
 *     struct tg_bytes in = tg_bytes(buffer, received);
 *     while ((rc = tg_route_next(&in, &m)) > 0)
 *         …
 *
 * Only the fields that somebody here needs are read. A message of another kind is TG_ROUTE_OTHER, not an error. Lengths that lead out of
 * the message, or out of what was received, are TG_EPROTO: nothing of such a message counts.
 */
#ifndef TG_NET_ROUTE_MESSAGE_H
#define TG_NET_ROUTE_MESSAGE_H

#include "core/base/bytes.h"
#include "core/base/error.h"

#define TG_ROUTE_NAME_BYTES 16 /* IFNAMSIZ */
#define TG_ROUTE_ASK_BYTES  64 /* the longest question: header 16, body 16, one attribute of 20 */

/* An address without a port. family 0: none. */
struct tg_ip {
    uint8_t family; /* 0, 4 or 6 */
    uint8_t bytes[16];
};

enum tg_route_kind { TG_ROUTE_OTHER, TG_ROUTE_LINK, TG_ROUTE_ADDRESS, TG_ROUTE_ROUTE, TG_ROUTE_ERROR };

struct tg_route_message {
    enum tg_route_kind kind;
    bool gone;         /* DELLINK, DELADDR, DELROUTE */
    uint32_t sequence; /* of the question that it answers; 0 = nobody asked */
    uint32_t link;     /* index; of a route the one it leads to; 0 = none */
    /* LINK */
    char name[TG_ROUTE_NAME_BYTES];
    bool is_up, has_carrier, is_loopback;
    /* ADDRESS: the one on this machine. ROUTE: the gateway, and the source that would be used. */
    struct tg_ip address, source;
    bool is_tentative; /* ADDRESS: not to be used yet (IPv6 duplicate detection), or never */
    bool is_local;     /* ROUTE: leads to this machine itself */
    bool is_usable;  /* ROUTE: unicast or local; false for blackhole, unreachable, prohibit, broadcast … */
    bool is_default; /* ROUTE: a prefix of no bits */
    int error;       /* ERROR: a positive errno; 0 = done as asked */
};

/* Takes the next message from *in: 1, 0 = there is none left, TG_EPROTO. */
int tg_route_next(struct tg_bytes *in, struct tg_route_message *ret_message) TG_CHECKED;

/* "Which route would be taken to there?" and "how is this link?"; the answer is a ROUTE or LINK of this sequence, or an ERROR. */
void tg_route_ask_way(struct tg_writer *w, const struct tg_ip *to, uint32_t sequence);
void tg_route_ask_link(struct tg_writer *w, uint32_t link, uint32_t sequence);

static inline bool tg_ip_same(const struct tg_ip *a, const struct tg_ip *b)
{
    return a->family == b->family && memcmp(a->bytes, b->bytes, sizeof a->bytes) == 0;
}
/* 127.0.0.0/8, ::1, and an IPv4 loopback mapped into IPv6. */
bool tg_ip_is_loopback(const struct tg_ip *ip);
/* fe80::/10, whose meaning depends on the link. */
bool tg_ip_is_link_local(const struct tg_ip *ip);

#endif
