/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * mqtt_packet - one MQTT 3.1.1 client packet to bytes, and the rules for its strings and topics.
 *
 * Every tg_mqtt_write_… writes one whole packet or nothing: it checks first, then the size, then the room
 * in the writer, so that after an error the writer is as it was (and not `failed`).
 *
 *     TG_EINVAL   the packet would break the protocol; *ret_flaw says why, for people
 *     TG_ETOOBIG  larger than max_bytes, or than the protocol's 268,435,455 + 5
 *     TG_EFULL    the writer has no room for all of it
 *
 * `ret_flaw` is a static text, set only with TG_EINVAL. Rules cited: MQTT 3.1.1 (OASIS 2014).
 * Pure: no allocation, no I/O, no formatted printing. Any thread.
 */
#ifndef TG_NORTHBOUND_MQTT_PACKET_H
#define TG_NORTHBOUND_MQTT_PACKET_H

#include "core/base/bytes.h"

#define TG_MQTT_MAX_FILTERS      8         /* of one SUBSCRIBE; the clouds' device profiles need at most 5 */
#define TG_MQTT_MAX_STRING_BYTES 65535     /* two-byte length prefix */
#define TG_MQTT_MAX_REMAINING    268435455 /* four bytes of seven bits, [2.2.3] */
#define TG_MQTT_ACK_BYTES        4         /* PUBACK, PUBREC …: header 2, packet id 2 */
#define TG_MQTT_EMPTY_BYTES      2         /* PINGREQ, PINGRESP, DISCONNECT */
#define TG_MQTT_SUBACK_FAILURE   0x80

enum tg_mqtt_type {
    TG_MQTT_TYPE_CONNECT = 1,
    TG_MQTT_TYPE_CONNACK = 2,
    TG_MQTT_TYPE_PUBLISH = 3,
    TG_MQTT_TYPE_PUBACK = 4,
    TG_MQTT_TYPE_PUBREC = 5,
    TG_MQTT_TYPE_PUBREL = 6,
    TG_MQTT_TYPE_PUBCOMP = 7,
    TG_MQTT_TYPE_SUBSCRIBE = 8,
    TG_MQTT_TYPE_SUBACK = 9,
    TG_MQTT_TYPE_UNSUBSCRIBE = 10,
    TG_MQTT_TYPE_UNSUBACK = 11,
    TG_MQTT_TYPE_PINGREQ = 12,
    TG_MQTT_TYPE_PINGRESP = 13,
    TG_MQTT_TYPE_DISCONNECT = 14
};

struct tg_mqtt_connect {
    struct tg_bytes client_id; /* empty needs clean_session [MQTT-3.1.3-7] */
    struct tg_bytes username;  /* data NULL = absent */
    struct tg_bytes password;  /* data NULL = absent; needs a username [MQTT-3.1.2-22] */
    bool clean_session;
    uint16_t keepalive_s;       /* 0 = off */
    struct tg_bytes will_topic; /* data NULL = no will; the other will fields are ignored then */
    struct tg_bytes will_payload;
    uint8_t will_qos;
    bool will_retain;
};

struct tg_mqtt_publish {
    struct tg_bytes topic, payload;
    uint16_t packet_id; /* not 0 with QoS 1; ignored with QoS 0 [MQTT-2.3.1-5] */
    uint8_t qos;        /* 0 or 1 to be written */
    bool retain, dup;
};

/* --- rules: NULL when all is well, else what is wrong (static text) ------------------------------------ */

/* A string of the protocol: at most 65,535 bytes of UTF-8 without surrogates [MQTT-1.5.3-1] and without
 * U+0000 [MQTT-1.5.3-2]. U+FEFF is a character like any other and stays [MQTT-1.5.3-3]. */
const char *tg_mqtt_string_flaw(struct tg_bytes s);
/* A topic name: a string of at least one character [MQTT-4.7.3-1], without + and # [MQTT-3.3.2-2]. */
const char *tg_mqtt_topic_flaw(struct tg_bytes topic);
/* A topic filter: as a name, but + may fill a whole level and # the last one [MQTT-4.7.1-2, 4.7.1-3]. */
const char *tg_mqtt_filter_flaw(struct tg_bytes filter);

/* --- packets ------------------------------------------------------------------------------------------ */

int tg_mqtt_write_connect(struct tg_writer *out, const struct tg_mqtt_connect *connect, uint32_t max_bytes,
                          const char **ret_flaw) TG_CHECKED;
/* The hot path: no loop over the payload but memcpy, the topic is checked eight bytes at a time. */
int tg_mqtt_write_publish(struct tg_writer *out, const struct tg_mqtt_publish *publish, uint32_t max_bytes,
                          const char **ret_flaw) TG_CHECKED;
/* TG_EFULL. */
int tg_mqtt_write_puback(struct tg_writer *out, uint16_t packet_id) TG_CHECKED;
/* 1 … TG_MQTT_MAX_FILTERS filters, each with QoS 0 or 1; packet_id not 0. */
int tg_mqtt_write_subscribe(struct tg_writer *out, uint16_t packet_id, const struct tg_bytes *filters,
                            const uint8_t *qos, uint8_t count, uint32_t max_bytes,
                            const char **ret_flaw) TG_CHECKED;
int tg_mqtt_write_unsubscribe(struct tg_writer *out, uint16_t packet_id, const struct tg_bytes *filters,
                              uint8_t count, uint32_t max_bytes, const char **ret_flaw) TG_CHECKED;
/* TG_EFULL. */
int tg_mqtt_write_pingreq(struct tg_writer *out) TG_CHECKED;
int tg_mqtt_write_disconnect(struct tg_writer *out) TG_CHECKED;

#endif
