/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * mqtt_cloud - the cloud type `mqtt`: any MQTT 3.1.1 broker, with topic templates (mqtt_template.h). Identities: user name and
 * password, X.509 (PEM or PKCS#12), none. docs/clouds/mqtt.md is its manual.
 *
 * `session: shared` has one link for all devices. Will, birth and goodbye are then of that link, once; else each device has them.
 *
 * QOS 0   The outbox's promise rests on a barrier: a batch counts as delivered when the answer to a PINGREQ that was sent after
 * it has come (session.h). The broker has read it by then; QoS 1 says in addition that the broker took charge of it.
 *
 * COMMANDS   Whatever arrives at command_topic is one. Its `id`, a text or whole number in the body, is its message id (a
 * command that comes again is not run twice) and stands in the answer. Answers that find no room wait, at most
 * TG_MQTT_ANSWERS_MAX, over a reconnect as well; one more gives the link up, since nothing leaves it.
 *
 * `format: sparkplug-b` is another profile with the same options: sparkplug.h, tg_cloud_type_of().
 */
#ifndef TG_NORTHBOUND_MQTT_CLOUD_H
#define TG_NORTHBOUND_MQTT_CLOUD_H

#include "northbound/cloud.h"

#define TG_MQTT_ANSWERS_MAX 16

extern const struct tg_cloud_type tg_mqtt_cloud;

/* mqtt_options.c: what both profiles have. */
extern const struct tg_option tg_mqtt_options[];
int tg_mqtt_check_cloud(const struct tg_config_cloud *cloud, struct tg_error *err);
int tg_mqtt_check_device(const struct tg_settings *settings, const char *id, struct tg_error *err);
/* What a text option has, or its default when that is no part of the table. */
const char *tg_mqtt_text(const struct tg_settings *settings, const char *name, const char *otherwise);
const char *tg_mqtt_connack_text(uint8_t code, enum tg_retry *ret_retry);

#define TG_MQTT_IDENTITIES                                                                                   \
    (1u << TG_IDENTITY_NONE | 1u << TG_IDENTITY_PASSWORD | 1u << TG_IDENTITY_X509 | 1u << TG_IDENTITY_PKCS12)
#define TG_MQTT_CONFIG                                                                                       \
    {                                                                                                        \
        .type = "mqtt", .options = tg_mqtt_options, .identities = TG_MQTT_IDENTITIES,                        \
        .identities_text =                                                                                   \
            "username and password_file, certificate and key, pkcs12 and password_file, or none",            \
        .host_required = true, .default_port = 8883, .check_device = tg_mqtt_check_device,                   \
        .check_cloud = tg_mqtt_check_cloud                                                                   \
    }

#endif
