/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * quiet - how long the path to a cloud lets a connection be silent. A NAT or firewall on the way forgets connections that say nothing for
 * some time, mostly without telling: then the next packet meets silence or a reset. The configured keepalive is the longest silence;
 * where the path forgets sooner, pings go sooner. Pure: times (monotonic) are passed in. One of these for each cloud, since its sessions
 * share the path.
 *
 *     a silence is followed by an answer      tg_quiet_survived()
 *     a silence is followed by a dead connection, and a new one is made at once      tg_quiet_killed()
 *
 * Half the silence that killed is the new interval, not below TG_QUIET_FLOOR_MS. A silence that was survived within the last hour
 * speaks against a killer of that length: then it takes three in a row (the path may have changed). After each hour without a further one
 * the interval grows by a quarter, below nine tenths of what killed; a day after the last kill all is forgotten.
 */
#ifndef TG_NORTHBOUND_QUIET_H
#define TG_NORTHBOUND_QUIET_H

#include <stdbool.h>
#include <stdint.h>

#define TG_QUIET_FLOOR_MS    10000
#define TG_QUIET_SHORTEST_MS 8000 /* shorter silences prove nothing */

struct tg_quiet {
    int64_t interval_ms;             /* 0 = as configured */
    int64_t killed_ms, killed_at_ms; /* the shortest silence that killed, and when the last did; 0 = none */
    int64_t survived_ms, survived_at_ms;
    int64_t grow_at_ms;
    uint32_t against; /* kills in a row that a survived silence speaks against */
    uint64_t kills;   /* that counted */
};

/* True: the interval has changed. */
bool tg_quiet_killed(struct tg_quiet *q, int64_t quiet_ms, int64_t now_ms);
bool tg_quiet_survived(struct tg_quiet *q, int64_t quiet_ms, int64_t now_ms);

#endif
