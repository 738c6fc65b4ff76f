/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * route_watch - the kernel's own word on the way out: which route leads to an address now, and a call when links, addresses or routes
 * change. It keeps no table of its own: notices only say *when* to ask, and each answer is the kernel's present one, policy rules
 * included. So a lost notice costs time, never a wrong belief.
 *
 *     kernel ──notices──► [settle 30 ms] ──► changed(user, &what)          tg_route_watch_ask() ──► there, no route, no carrier
 *
 * Notices that follow each other closely are told as one; at most one call in TG_ROUTE_PAUSE_MS, so that a machine whose routes flap, or
 * that starts containers by the dozen, costs little. Needs AF_NETLINK and no privilege. Without it (a container's seccomp filter)
 * tg_route_watch_new() fails, and everything goes on as if nobody could say. Loop thread.
 */
#ifndef TG_NET_ROUTE_WATCH_H
#define TG_NET_ROUTE_WATCH_H

#include <sys/socket.h>

#include "core/net/loop.h"
#include "core/net/route_message.h"

#define TG_ROUTE_SETTLE_MS 30
#define TG_ROUTE_PAUSE_MS  200
#define TG_ROUTE_MAX_CAME  8

struct tg_route_watch;

/* What changed since the last call. */
struct tg_route_change {
    uint32_t came[TG_ROUTE_MAX_CAME]; /* links that came up, got an address or a route */
    uint32_t came_count;
    bool all; /* more than that, or notices were lost: any */
    bool address_gone;
};

enum tg_way_state {
    TG_WAY_UNKNOWN, /* the kernel does not say: as if there was one */
    TG_WAY_LOCAL,   /* to this machine itself */
    TG_WAY_THERE,   /* a route over a link with a carrier */
    TG_WAY_NO_CARRIER /* a route, but its link has none: the cable is out, the peer is down */,
    TG_WAY_NO_ROUTE
};

struct tg_way {
    enum tg_way_state state;
    uint32_t link;
    char name[TG_ROUTE_NAME_BYTES]; /* of the link; "" = not known */
    struct tg_ip source, gateway;
};

/* TG_EIO with the reason; TG_ENOMEM. */
int tg_route_watch_new(struct tg_loop *loop,
                       void (*changed)(void *user, const struct tg_route_change *change), void *user,
                       struct tg_route_watch **ret_watch, struct tg_error *err) TG_CHECKED;
/* No call comes after this. */
void tg_route_watch_close(struct tg_route_watch *w);

/* Two short system calls; w may be NULL: UNKNOWN. */
void tg_route_watch_ask(struct tg_route_watch *w, const struct tg_ip *to, struct tg_way *ret_way);
/* Whether an address is one of this machine's. True when the kernel does not say. */
bool tg_route_watch_is_ours(struct tg_route_watch *w, const struct tg_ip *address);

/* "no route to 10.0.0.1", "the link eth0 to 10.0.0.1 has no carrier", "10.0.0.1 over eth0". */
void tg_way_text(const struct tg_way *way, const struct tg_ip *to, char *text, size_t size);
static inline bool tg_way_is_gone(const struct tg_way *way)
{
    return way->state == TG_WAY_NO_ROUTE || way->state == TG_WAY_NO_CARRIER;
}

#define TG_IP_TEXT_BYTES 46
const char *tg_ip_text(const struct tg_ip *ip, char ret_text[TG_IP_TEXT_BYTES]);
struct tg_ip tg_ip_of(const struct sockaddr *address);
/* A numeric address; family 0 when the text is none. */
struct tg_ip tg_ip_parse(const char *text);

#endif
