/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * ways - what the kernel says of the way to where the sessions connect (core/net/route_watch.h), and what they do with it: end a wait,
 * begin none, give up what cannot live on.
 *
 *     the way is gone      who is online asks its broker whether it is still there; who waits does not try: WAITING for the way
 *     it is back           who waits connects within TG_WAYS_SPREAD_MS, paced as ever; a connection whose data went unanswered meanwhile
 *                          is given up at once, the others ask their broker
 *     another way          as back
 *     an address is gone   the connections that were made from it are given up at once, and made anew
 *
 * WHEN IN DOUBT, CONNECT   A session is held back only when the kernel says that no route, or only one over a link without a carrier,
 * leads to the address that it was last connected to (or that the configuration names) – and, where the host is a name, that there is no
 * default route either, for the name may lead elsewhere now. A host that was never reached, a loopback, a route that the kernel
 * describes in a way not known here: as if nobody had said anything. Who is held back looks again at the slow end of its back-off, so
 * that a notice that got lost costs that at most.
 * Loop thread.
 */
#ifndef TG_NORTHBOUND_WAYS_H
#define TG_NORTHBOUND_WAYS_H

#include "core/net/route_watch.h"
#include "northbound/session_set.h"

#define TG_WAYS_SPREAD_MS                                                                                    \
    500 /* sites behind one cell come back together; the first connect is to be there within a second */

/* Of all connections: the way there is, is not, is not known (or local). And the ways of the default routes, IPv4 and IPv6. */
struct tg_ways {
    uint32_t there, gone, unknown;
    struct tg_way out[2];
    char text[120]; /* an example of the worst: "no route to 10.9.0.1" */
};

/* Lent to the set before its first session; NULL = nobody can say. */
void tg_session_set_routes(struct tg_session_set *set, struct tg_route_watch *routes);
void tg_session_set_ways_changed(struct tg_session_set *set, const struct tg_route_change *change,
                                 struct tg_ways *ret_ways);
/* As now; nothing is done. */
void tg_session_set_ways(struct tg_session_set *set, struct tg_ways *ret_ways);

#endif
