/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * mqtt_decoder - bytes from an MQTT 3.1.1 server to one packet, however the bytes arrive.
 *
 * There is no state between calls: the caller keeps the bytes not yet used up and calls again with more.
 * What can be refused is refused as early as the bytes allow it: a wrong type or flag at the first byte, a
 * size past the limit once the remaining length is there, before anyone gathers the packet. A call on an
 * incomplete packet costs the same few instructions whatever its size.
 *
 * Only packets that a server may send are decoded; the others, and what breaks a rule, are TG_EPROTO
 * [MQTT-4.8.0-1]. QoS 2 PUBLISH is well-formed and decoded (the client, which was never granted it,
 * refuses); PUBREC, PUBREL and PUBCOMP belong to QoS 2 alone and are refused here.
 *
 * Pure: no allocation, no I/O. Any thread.
 */
#ifndef TG_NORTHBOUND_MQTT_DECODER_H
#define TG_NORTHBOUND_MQTT_DECODER_H

#include "northbound/mqtt/mqtt_packet.h"

struct tg_mqtt_packet {
    enum tg_mqtt_type type;
    struct tg_mqtt_publish publish; /* PUBLISH; views into the input */
    uint16_t packet_id;             /* PUBACK, SUBACK, UNSUBACK, and PUBLISH with QoS > 0 */
    bool session_present;           /* CONNACK */
    uint8_t return_code;            /* CONNACK */
    struct tg_bytes codes;          /* SUBACK: 1 … TG_MQTT_MAX_FILTERS, each 0, 1, 2 or 0x80 */
};

/* 1: *ret_packet is filled and *ret_size is the packet's whole size. 0: more bytes are needed.
 * TG_EPROTO, TG_ETOOBIG (larger than max_bytes): *ret_flaw says why (static text); the stream is lost. */
int tg_mqtt_decode(struct tg_bytes in, uint32_t max_bytes, struct tg_mqtt_packet *ret_packet,
                   size_t *ret_size, const char **ret_flaw) TG_CHECKED;

#endif
