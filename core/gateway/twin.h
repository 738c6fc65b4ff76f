/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * twin - what a cloud wants of a device (desired) and what the device says of itself (reported), whatever the cloud calls
 * it: twin, shadow, config and state. One twin a session; docs/twins.md is the page for people.
 *
 * DESIRED   an object. What its properties mean:
 *   "options": {"voltage": {"every": "5s", "deadband": "2%", "min_interval": …, "max_interval": …}}
 *              the gateway's own options of points. Validated as in the file, all or none; they replace the file's until they are
 *              removed (null), also after a restart. A changed "every" opens the device's source anew.
 *   "relay": true      the name of a writable point: a set point. Written once for each new value (also after a restart: what
 *              was written is remembered), again after it failed and the cloud told it again.
 *   names that begin with '$' or '_' are left alone; anything else is acknowledged with 404.
 * Each is acknowledged in reported under its own name, as IoT Plug and Play has it: {"value", "ac", "av", "ad"}; clouds
 * that compare desired and reported (cloud.h plain_acks) get the bare value, and the acknowledgements in "_ack".
 *
 * REPORTED  also holds "effective" (the options of the points that are in force; devices of at most 64 points), "gateway", "state" (with text) and "facts" (model, firmware, … as the plugin tells them).
 *
 * MEMORY    A twin exists once a cloud has asked or a note of it was found; desired documents beyond TG_TWIN_LIMIT_BYTES are
 *           refused. Loop thread.
 */
#ifndef TG_GATEWAY_TWIN_H
#define TG_GATEWAY_TWIN_H

#include "core/gateway/router.h"
#include "northbound/session.h"
#include "store/notes.h"

#define TG_TWIN_LIMIT_BYTES 49152 /* a hub counts 32 KiB without quotes and commas */

struct tg_twins;

int tg_twins_new(struct tg_router *router, struct tg_notes *notes, const char *gateway,
                 struct tg_twins **ret_twins) TG_CHECKED;
void tg_twins_free(struct tg_twins *t);

/* A session of this device has been made: options that its cloud wanted before the restart count again. `plain`: see above. */
void tg_twins_open(struct tg_twins *t, struct tg_session *session, const char *device, const char *cloud,
                   bool plain);
/* The session goes; what its cloud wanted stays remembered. */
void tg_twins_close(struct tg_twins *t, struct tg_session *session);

void tg_twins_desired(struct tg_twins *t, struct tg_session *session, const struct tg_cloud_desired *desired);
/* The whole reported document, borrowed until the next call. */
struct tg_bytes tg_twins_reported(struct tg_twins *t, struct tg_session *session);

/* The device's state changed; the plugin told a fact (value as JSON text). */
void tg_twins_state(struct tg_twins *t, const char *device, const char *state, const char *text);
void tg_twins_fact(struct tg_twins *t, const char *device, const char *name, const struct tg_value *value);

#endif
