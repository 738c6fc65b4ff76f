/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * cloud - the contract of a cloud type: everything that differs between hubs, and nothing else. Pure: profiles build
 * names, credentials and topics in memory that the caller lends and take topics apart; they never do I/O, read a clock
 * or allocate.
 *
 * A profile is a `static const struct tg_cloud_type` in a file of its own (azure_hub.c, mqtt_cloud.c) and stands in
 * the table of cloud_types.c. Its options and rules come from `config`, so `tidegate check`, the schema and the manual
 * need no further code.
 */
#ifndef TG_NORTHBOUND_CLOUD_H
#define TG_NORTHBOUND_CLOUD_H

#include "config/config.h"
#include "northbound/mqtt/mqtt_client.h"

#define TG_CLOUD_SCRATCH_BYTES                                                                               \
    4096 /* user name (host 255 + id 128 + model 256) and token (sr 3 × 400, sig 140) fit */
#define TG_CLOUD_TOPIC_BYTES 1024

/* Who connects where. Everything is borrowed. */
struct tg_cloud_target {
    const char *host;
    const char *device_id; /* in that cloud */
    const char *gateway;
    const struct tg_settings *settings; /* of the type's own option table */
};

/* What proves it, as loaded by identity.c. For X.509 the proof is in TLS. */
struct tg_cloud_secret {
    enum tg_identity_kind kind;
    struct tg_bytes sas_key; /* raw bytes */
    struct tg_bytes username, password;
};

struct tg_cloud_login {
    struct tg_mqtt_connect connect; /* keepalive is the session's; views into the scratch and the secret */
    int64_t expires_s;              /* Unix time when the credential ends; 0 = never */
};

/* A message from the cloud that is a command. */
struct tg_cloud_command {
    struct tg_bytes message_id; /* empty = none: cannot be recognised when redelivered */
    struct tg_bytes name;       /* empty = in the body */
    struct tg_bytes body;
};

struct tg_cloud_type {
    struct tg_config_cloud_type config;
    uint32_t max_message_bytes; /* body plus what the cloud counts with it */
    uint16_t max_keepalive_s;
    uint8_t qos; /* of telemetry, when the settings do not choose */

    /* Client id, user name, password for a connect at `wall_s`. TG_ETOOBIG, TG_EINVAL with text. */
    int (*login)(const struct tg_cloud_target *t, const struct tg_cloud_secret *secret, int64_t wall_s,
                 struct tg_writer *scratch, struct tg_cloud_login *ret_login, struct tg_error *err);
    /* Topic filters to subscribe (at most TG_MQTT_MAX_FILTERS), texts in the scratch; returns their number. */
    int (*filters)(const struct tg_cloud_target *t, struct tg_writer *scratch, struct tg_bytes *ret_filters,
                   uint8_t *ret_qos);
    /* The topic of a telemetry message with this content type. */
    int (*topic)(const struct tg_cloud_target *t, const char *content_type, struct tg_writer *out);
    /* 1 = a command (parts view the topic, the payload or the scratch), 0 = not for us, TG_EPROTO with text. */
    int (*inbound)(const struct tg_cloud_target *t, struct tg_bytes topic, struct tg_bytes payload,
                   struct tg_writer *scratch, struct tg_cloud_command *ret_command, struct tg_error *err);
    /* What a CONNACK return code means here, for people. */
    const char *(*connack_text)(uint8_t return_code);
};

/* All types of this build, in the order of the manual. */
const struct tg_cloud_type *const *tg_cloud_types(size_t *ret_count);
/* NULL and err with the known ones and the nearest. */
const struct tg_cloud_type *tg_cloud_type_find(const char *type, struct tg_error *err);

#endif
