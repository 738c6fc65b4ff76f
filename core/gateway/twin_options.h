/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * twin_options - the options of a device's points that a cloud may set: every, deadband, min_interval, max_interval.
 */
#ifndef TG_GATEWAY_TWIN_OPTIONS_H
#define TG_GATEWAY_TWIN_OPTIONS_H

#include <jansson.h>

#include "core/gateway/router.h"

/* Puts {"point": {"every": "5s", …}, …} in force in place of what the configuration says; points that are not named, and
 * NULL, go back to the configuration. TG_EINVAL with the point and the reason: nothing has changed. */
int tg_twin_apply_options(struct tg_router *router, const char *device, const json_t *options,
                          struct tg_error *err) TG_CHECKED;

#endif
