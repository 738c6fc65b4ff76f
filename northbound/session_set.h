/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * session_set - all sessions: shared TLS contexts, pacing of connects, shared scratch memory.
 *
 * PACING   A cloud's `max_connects_per_second` is a token bucket of one second's depth; at most TG_SET_MAX_HANDSHAKES are between
 *          TCP and CONNACK at a time, over all clouds. Sessions wait in one queue per cloud, first come first served, and the clouds
 *          take turns; with n clouds (n < TG_SET_MAX_HANDSHAKES) one holds at most TG_SET_MAX_HANDSHAKES + 1 - n of the
 *          slots, with more just one, so each of the others finds one free however long a cloud leaves its connects unanswered.
 *          A reload that describes a cloud as before shares its place, its pacing and its TLS context.
 * UPLINK   What a modem says of the site's way to the network, before any time-out does. When it comes back, sessions that wait begin
 *          again within a second (spread at random, and paced as above); when it goes, those that are online ask their broker whether
 *          it is still there, and those that wait try at the slow end of their back-off. They do try: a modem that is wrong stops no
 *          delivery for good.
 * MEMORY   One output buffer, one body and one topic for all sessions: the loop is the only user.
 * Loop thread.
 */
#ifndef TG_NORTHBOUND_SESSION_SET_H
#define TG_NORTHBOUND_SESSION_SET_H

#include "northbound/delay_plan.h"
#include "northbound/reach.h"
#include "northbound/session.h"
#include "northbound/wire_meter.h"
#include "store/notes.h"

#define TG_SET_MAX_HANDSHAKES 8
#define TG_SET_MAX_CLOUDS     (2 * TG_CONFIG_MAX_CLOUDS) /* before and after a reload that changes them all */

int tg_session_set_new(struct tg_loop *loop, struct tg_store *store, const char *gateway,
                       const struct tg_session_callbacks *cb, void *user, struct tg_session_set **ret_set,
                       struct tg_error *err) TG_CHECKED;
/* Where sessions keep what must survive a restart: ids of commands, desired properties, assignments. Before the first session.
 * Without it nothing of that does. Both live longer than the set. TG_ENOMEM. */
int tg_session_set_keep(struct tg_session_set *set, struct tg_notes *notes, const char *state_dir) TG_CHECKED;
/* All sessions must be closed. */
void tg_session_set_close(struct tg_session_set *set, void (*closed)(void *user), void *user);

/* All sessions of the set, in the order they were made. */
void tg_session_set_each(struct tg_session_set *set, void (*each)(void *user, struct tg_session *session),
                         void *user);
/* One cloud: how many sessions it has and how many are online, and the time from a sample's moment to its PUBACK. */
struct tg_cloud_stats {
    const char *name;
    uint32_t sessions, online;
    uint64_t acked, latency_sum_ms;
    int64_t latency_p50_ms, latency_p99_ms, latency_max_ms;
    const struct tg_reach *reach;
    const struct tg_wire_meter *wire;  /* as of now */
    const struct tg_delay_plan *delay; /* NULL = no budget */
    uint64_t month_budget_bytes;
    int64_t
        ping_every_ms; /* after so much silence, for the path forgets sooner than the keepalive; 0 = as configured */
};
void tg_session_set_each_cloud(struct tg_session_set *set,
                               void (*each)(void *user, const struct tg_cloud_stats *cloud), void *user);
enum tg_uplink { TG_UPLINK_UNKNOWN, TG_UPLINK_UP, TG_UPLINK_DOWN };
/* The same again changes nothing. UNKNOWN: nobody says any more; sessions go on as without. */
void tg_session_set_uplink(struct tg_session_set *set, enum tg_uplink uplink);
/* The wall clock has a valid time now, or was set: tokens made by the old one are made anew, spread over time; sessions that wait for
 * it, or that were refused for good, try again. */
void tg_session_clock_set(struct tg_session_set *set);

uint32_t tg_session_set_count(const struct tg_session_set *set);

#endif
