/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * network - what the gateway makes of three witnesses to the way out: the kernel (links, addresses, routes: core/net/route_watch.h), the
 * sessions themselves (which clouds are reached), and, in gateway_site.c, a modem. It passes the kernel's word on to the sessions
 * (northbound/ways.h) and tells the operator once what is wrong: the site's way, or one cloud.
 *
 *     network: up       a route leads to where at least one session connects
 *              down     none leads to any
 *              unknown  nobody has been reached yet, only this machine itself is, or the kernel does not say
 *     clouds:  out      no connection to it stands for OUT_MS; told as "this one" or "none at all"
 *
 * Loop thread.
 */
#ifndef TG_GATEWAY_NETWORK_H
#define TG_GATEWAY_NETWORK_H

#include "core/net/loop.h"
#include "northbound/session_set.h"
#include "northbound/ways.h"

struct json_t;

enum tg_network_state { TG_NETWORK_UNKNOWN, TG_NETWORK_UP, TG_NETWORK_DOWN };

struct tg_network_cloud {
    char name[TG_NAME_MAX_BYTES + 1];
    bool seen, out; /* out: as told */
};

#define TG_NETWORK_MAGIC 0x4e7a0b5u

struct tg_network {
    uint32_t magic;
    struct tg_session_set *sessions; /* NULL = not begun */
    struct tg_route_watch *watch;    /* NULL = netlink is not to be had */
    struct tg_deadline look;
    bool open, looking; /* looking: it is set */
    enum tg_network_state state;
    int64_t since_ms; /* monotonic; of the state */
    uint64_t changes;
    struct tg_ways ways;
    char trouble[160]; /* why there is no watch */
    struct tg_network_cloud clouds[TG_SET_MAX_CLOUDS];
    uint32_t cloud_count, clouds_out;
    bool all_out; /* as told */
};

/* `sessions` before its first one; both live until tg_network_close(). */
void tg_network_open(struct tg_network *n, struct tg_loop *loop, struct tg_session_set *sessions);
/* The sessions are about to go. Also when it was never opened. */
void tg_network_close(struct tg_network *n);
/* A session has changed its state: what it means is looked at soon. */
void tg_network_stir(struct tg_network *n);
/* gateway.network and clouds[].reach of the status. */
struct json_t *tg_network_json(struct tg_network *n);
struct json_t *tg_reach_json(const struct tg_reach *r, int64_t ping_every_ms);

#endif
