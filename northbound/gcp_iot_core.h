/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * gcp_iot_core - the cloud type `gcp-iot-core`: the MQTT bridge of Google Cloud IoT Core, which ClearBlade serves since
 * Google stopped it on 2023-08-16 (Google Cloud IoT docs "Publishing over the MQTT bridge"; ClearBlade IoT Core wiki). See
 * cloud.h for the contract, docs/clouds/gcp-iot-core.md for users.
 *
 *     client id   projects/{project}/locations/{region}/registries/{registry}/devices/{device}
 *     user name   "unused"; password: a JWT signed with the device's key (gcp_token.h)
 *     up          /devices/{device}/events[/subfolder], QoS 1; /devices/{device}/state, at most one a second
 *     down        /devices/{device}/config, QoS 1; /devices/{device}/commands/#, QoS 1
 *
 * Two modes. `per-device`: each device has its own connection and key. `gateway`: one connection, that of the gateway
 * `gateway_id` with the cloud entry's key, for all devices; each is attached before it may speak (gcp_attach.h), and what
 * the cloud has against one of them comes in at /devices/{gateway}/errors (gcp_fault.h) and ends only that one's turn.
 *
 * A config is passed on each time it comes (the cloud sends the latest one at every subscribing): whoever applies it knows
 * what is new in it. An empty one means that nothing is wanted. One that is no JSON object is left out, with a log line.
 *
 * The state is the whole document of reported properties, after every ONLINE and after every change; between two of them
 * lies more than a second, and the newest wins.
 *
 * A command's name is the subfolder ("/devices/d/commands/valve/open" → "valve/open"); without one the name is in the body. The cloud
 * has no place for an answer. On a connection of its own its message is acknowledged when the command has ended, so that
 * the sender's call succeeds then; behind a gateway at once, since one slow device would hold up all others.
 */
#ifndef TG_NORTHBOUND_GCP_IOT_CORE_H
#define TG_NORTHBOUND_GCP_IOT_CORE_H

#include "northbound/cloud.h"

extern const struct tg_cloud_type tg_gcp_iot_core;

/* Whether one connection carries all devices. */
bool tg_gcp_is_gateway(const struct tg_cloud_target *t);

#endif
