/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * hub_topics - what an identity may say and hear at the hub and at the provisioning service. Pure.
 *
 * A name is the client id: "device" or "device/module". Everything that is not documented is refused; the hub
 * then ends the connection, since MQTT 3.1.1 has no other way to say no.
 */
#ifndef TESTS_PEERS_HUB_TOPICS_H
#define TESTS_PEERS_HUB_TOPICS_H

#include <stdbool.h>
#include <stddef.h>

/* Device to cloud: body, system property values, application property names and values. */
#define HUB_MESSAGE_MAX     (256 * 1024)
#define HUB_C2D_MAX         (64 * 1024)
#define HUB_SUBSCRIPTIONS   5
#define HUB_DEVICE_ID_MAX   128
#define HUB_KEEPALIVE_CAP_S 1767 /* the longest the server waits for a packet, whatever was asked for */

/* ASCII letters, digits and - . % _ * ? ! ( ) , : = @ $ ', at most 128; a module id follows a slash. */
bool hub_name_valid(const char *name);

/* `host/name/?api-version=…` with optional model-id and DeviceClientType; host is one of the comma-separated
 * hosts. NULL, or the reason. */
const char *hub_username_check(const char *username, const char *name, const char *hosts);

/* host/devices/{d}[/modules/{m}], what a token must cover; false when there is no room. */
bool hub_resource(const char *host, const char *name, char *dst, size_t size);

/* NULL, or why the identity must not publish there. *ret_property_bytes is what the bag counts for in the
 * size limit; *ret_telemetry says whether it is a device-to-cloud message. */
const char *hub_publish_check(const char *name, const char *topic, size_t *ret_property_bytes,
                              bool *ret_telemetry);

/* Whether the identity may subscribe to it: one of the documented filters. */
bool hub_filter_documented(const char *name, const char *filter);

/* The device that a cloud-to-device topic `devices/{id}/messages/devicebound/…` is for; false when it is
 * none. */
bool hub_devicebound(const char *topic, char *dst, size_t size);

/* The provisioning service: registration ids are ASCII letters, digits and - . _ : up to 128;
 * `{idScope}/registrations/{id}/api-version=…[&ClientVersion=…]`; one filter and two topics. */
#define DPS_FILTER "$dps/registrations/res/#"
bool dps_name_valid(const char *name);
const char *dps_username_check(const char *username, const char *name, const char *id_scope);
const char *dps_publish_check(const char *topic);

#endif
