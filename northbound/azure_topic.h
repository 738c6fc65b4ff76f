/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * azure_topic - what the topics of IoT Hub's and DPS's own messages have in common: "{prefix}{status}/?$rid={r}&k=v…"
 * (Azure docs "iot-mqtt-connect-to-iot-hub", "iot-dps-mqtt-support"). Pure; the topics come from the cloud.
 */
#ifndef TG_NORTHBOUND_AZURE_TOPIC_H
#define TG_NORTHBOUND_AZURE_TOPIC_H

#include "core/base/bytes.h"

/* Takes "{prefix}{three digits}/?{query}" apart; false when the topic is not of that form. */
bool tg_azure_topic_reply(struct tg_bytes topic, const char *prefix, uint32_t *ret_status,
                          struct tg_bytes *ret_query);
/* The value of the first `name` in k=v&k=v, as it stands there (not decoded); empty when there is none. */
struct tg_bytes tg_azure_query(struct tg_bytes query, const char *name);
/* A value of decimal digits below 2^63; false when it is absent or something else. */
bool tg_azure_query_u64(struct tg_bytes query, const char *name, uint64_t *ret_value);

#endif
