/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * carrier - connections that somebody else has: a source's plugin lends those of its device to clouds of the type `module`
 * (tidegate/plugin.h, CARRYING). This is what the sessions see of it; the gateway joins the two (core/gateway/gateway_carry.c), so
 * that nothing here knows of sources.
 *
 *     open(source, channel, address) ──► tg_session_set_carrier(…, up)      carry(…) ──► tg_session_set_carried(…)
 *
 * Channel numbers are the session set's, and fresh for every connection: what is told of an older one is ignored.
 * Loop thread.
 */
#ifndef TG_NORTHBOUND_CARRIER_H
#define TG_NORTHBOUND_CARRIER_H

#include "northbound/session_set.h"

/* Each negative code means: it was not done, and nothing will be told of it. TG_ENOTFOUND: no such source is running. */
struct tg_carrier {
    int (*open)(void *user, const char *source, uint32_t channel, const char *address);
    int (*carry)(void *user, const char *source, uint32_t channel, uint64_t message, struct tg_bytes body);
    int (*close)(void *user, const char *source, uint32_t channel);
    void *user;
};

/* Before the first session; copied. Without it clouds of the type `module` do not connect. */
void tg_session_set_lend(struct tg_session_set *set, const struct tg_carrier *carrier);

/* What the carrier says. `text` may be NULL. */
void tg_session_set_carrier(struct tg_session_set *set, uint32_t channel, bool up, const char *text);
/* status: 0 or an enum tg_plugin_error. */
void tg_session_set_carried(struct tg_session_set *set, uint32_t channel, uint64_t message, int status);
/* A session of the set has a channel of this source that is up. */
bool tg_session_set_is_carried(const struct tg_session_set *set, const char *source);
/* All channels of the source are gone: it was opened anew, or is no more. */
void tg_session_set_carrier_gone(struct tg_session_set *set, const char *source, const char *text);

#endif
