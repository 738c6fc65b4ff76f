/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * sparkplug_inbound - what a Sparkplug edge node hears: commands to it and to its devices, the state of its primary host, and
 * what the gateway reports of a device. Everything from the wire is bounded and checked. Allocates (tg_malloc, jansson), and has
 * given everything back on return but what is given to the caller.
 */
#ifndef TG_NORTHBOUND_SPARKPLUG_INBOUND_H
#define TG_NORTHBOUND_SPARKPLUG_INBOUND_H

#include "northbound/sparkplug_metrics.h"

struct tg_sparkplug_state {
    bool online;
    int64_t time_ms;
};

/* {"online":bool,"timestamp":ms}; TG_EPROTO. */
int tg_sparkplug_read_state(struct tg_bytes payload, struct tg_sparkplug_state *ret_state,
                            struct tg_error *err) TG_CHECKED;
/* *ret_rebirth is set, also with an error: TG_EUNSUPPORTED names what else was asked for, TG_EPROTO. */
int tg_sparkplug_read_node_command(struct tg_bytes payload, bool *ret_rebirth,
                                   struct tg_error *err) TG_CHECKED;
/* The metrics as arguments of the command `set`, {"point":value,…}: a metric is named, or has the alias of its birth.
 * *ret_arguments is given: tg_buffer_fini(). TG_EPROTO, TG_ENOTFOUND (an alias), TG_EINVAL (no value, or of a type that no point
 * has), TG_ENOMEM. */
int tg_sparkplug_read_device_command(struct tg_bytes payload, const struct tg_sparkplug_metrics *metrics,
                                     struct tg_buffer *ret_arguments, struct tg_error *err) TG_CHECKED;
/* Reads {"state":{"is":…}} of reported properties, a patch or all of them; false when it is not there. */
bool tg_sparkplug_read_device_state(struct tg_bytes reported, bool *ret_down);

#endif
