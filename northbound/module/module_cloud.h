/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * module_cloud - the cloud type `module`: samples of any device travel through the MQTT connection of a radio module that a source's
 * plugin lends (carrier.h). Which service it leads to says `service`; names and tokens are that service's, topics too where it has
 * rules for them. Telemetry only: what the cloud says to the device is for the cloud's own type. docs/clouds/module.md is the
 * manual, ADR 31 says why.
 *
 * CONFIRM   The module tells nothing about a publish. `settle`: it counts as delivered when the module has taken it and its connection
 * has stayed up for so long after. `echo`: when it has come back from the broker. southbound/ucx_carry.h.
 *
 * MESSAGES  A module takes one frame as one message, so a body has at most max_message bytes; a larger sample is left out and told.
 */
#ifndef TG_NORTHBOUND_MODULE_CLOUD_H
#define TG_NORTHBOUND_MODULE_CLOUD_H

#include "northbound/cloud.h"

extern const struct tg_cloud_type tg_module_cloud;

#define TG_MODULE_ADDRESS_BYTES 4096

/* `confirm: echo`. */
bool tg_module_wants_echo(const struct tg_settings *settings);

/* The address for carry_open(), with its secrets: wipe it. ret_expires_s: when its token ends; 0 = never. TG_ETOOBIG, TG_ECLOCK, … with
 * text. */
int tg_module_address(const struct tg_cloud_target *t, const struct tg_cloud_secret *secret,
                      const struct tg_format_content *content, int64_t wall_s, struct tg_writer *out,
                      int64_t *ret_expires_s, struct tg_error *err) TG_CHECKED;

#endif
