/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * mqtt_template - texts with placeholders, as the options of the cloud type `mqtt` have them: {device} the device's id in the
 * cloud (on a link that devices share and that is no device's: the gateway's name), {gateway} the gateway's name, {point} the
 * name of a point. Client ids, topics, topic filters and messages are made of them. Pure.
 */
#ifndef TG_NORTHBOUND_MQTT_TEMPLATE_H
#define TG_NORTHBOUND_MQTT_TEMPLATE_H

#include "core/base/bytes.h"

struct tg_mqtt_names {
    const char *device, *gateway;
    const char *point; /* NULL = {point} is not taken */
};

enum tg_mqtt_template_kind {
    TG_MQTT_TEMPLATE_ID,    /* a client id: placeholders and any other text */
    TG_MQTT_TEMPLATE_TOPIC, /* to publish to: no + and # */
    TG_MQTT_TEMPLATE_FILTER, /* to subscribe to: + is a whole level, # a whole and the last one [MQTT-4.7.1-2, 4.7.1-3] */
    TG_MQTT_TEMPLATE_MESSAGE, /* a brace that does not begin a word in braces is text: {"state":"on"} */
};

/* Writes the text with its placeholders filled in; w->failed when it does not fit. */
void tg_mqtt_template_expand(struct tg_writer *w, const char *text, const struct tg_mqtt_names *names);
/* Wrong placeholders and wildcards: TG_EINVAL with the option's name, what is wrong and what is allowed. `point`: {point} is taken. */
int tg_mqtt_template_check(const char *option, const char *text, enum tg_mqtt_template_kind kind, bool point,
                           struct tg_error *err) TG_CHECKED;
/* How often the placeholder ("{device}") is in it. */
unsigned tg_mqtt_template_count(const char *text, const char *placeholder);
/* How long it becomes with names of these lengths. */
size_t tg_mqtt_template_bytes(const char *text, size_t device_bytes, size_t gateway_bytes,
                              size_t point_bytes);
/* The part of `topic` that stands where the template, a filter with one {device}, has it; empty when the topic does not match. */
struct tg_bytes tg_mqtt_template_device(const char *text, const char *gateway, struct tg_bytes topic);
/* True when the topic matches the filter [MQTT-4.7]. */
bool tg_mqtt_filter_matches(struct tg_bytes filter, struct tg_bytes topic);

#endif
