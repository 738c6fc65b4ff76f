/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "northbound/mqtt/mqtt_decoder.h"

static int refuse(const char **ret_flaw, const char *flaw)
{
    *ret_flaw = flaw;
    return TG_EPROTO;
}

/* What the first byte alone decides: type, direction, reserved flags [MQTT-2.2.2-1, 2.2.2-2]. */
static const char *first_byte_flaw(uint8_t first)
{
    switch (first >> 4) {
    case TG_MQTT_TYPE_PUBLISH:
        if ((first & 0x06u) == 0x06u)
            return "PUBLISH with QoS 3"; /* [MQTT-3.3.1-4] */
        if ((first & 0x0eu) == 0x08u)
            return "PUBLISH with DUP and QoS 0"; /* [MQTT-3.3.1-2] */
        return NULL;
    case TG_MQTT_TYPE_CONNACK:
    case TG_MQTT_TYPE_PUBACK:
    case TG_MQTT_TYPE_SUBACK:
    case TG_MQTT_TYPE_UNSUBACK:
    case TG_MQTT_TYPE_PINGRESP:
        return first & 0x0fu ? "packet with wrong flags in its fixed header" : NULL;
    case TG_MQTT_TYPE_PUBREC:
    case TG_MQTT_TYPE_PUBREL:
    case TG_MQTT_TYPE_PUBCOMP:
        return "packet of a QoS 2 exchange that never began";
    case TG_MQTT_TYPE_CONNECT:
    case TG_MQTT_TYPE_SUBSCRIBE:
    case TG_MQTT_TYPE_UNSUBSCRIBE:
    case TG_MQTT_TYPE_PINGREQ:
    case TG_MQTT_TYPE_DISCONNECT:
        return "packet that only a client may send";
    default:
        return "packet of a reserved type"; /* 0 and 15 */
    }
}

/* What type and remaining length decide, before the body is there. */
static const char *length_flaw(uint8_t first, uint32_t remaining)
{
    switch (first >> 4) {
    case TG_MQTT_TYPE_PUBLISH: /* topic length, one character, packet id */
        return remaining < (first & 0x06u ? 5u : 3u) ? "PUBLISH is too short" : NULL;
    case TG_MQTT_TYPE_SUBACK:
        if (remaining < 3)
            return "SUBACK without a return code";
        return remaining > 2 + TG_MQTT_MAX_FILTERS ? "SUBACK with more return codes than filters" : NULL;
    case TG_MQTT_TYPE_PINGRESP:
        return remaining != 0 ? "PINGRESP with a body" : NULL;
    default: /* CONNACK, PUBACK, UNSUBACK */
        return remaining != 2 ? "packet with a wrong length" : NULL;
    }
}

/* The remaining length [2.2.3]. 1, 0 = more bytes needed, -1 = a fifth byte would follow. */
static int read_remaining(struct tg_bytes in, uint32_t *ret_remaining, size_t *ret_header)
{
    uint32_t remaining = 0;
    for (size_t i = 0; i < 4; i++) {
        if (in.len <= 1 + i)
            return 0;
        remaining |= (uint32_t)(in.data[1 + i] & 0x7fu) << (7 * i);
        if (!(in.data[1 + i] & 0x80u)) {
            *ret_remaining = remaining;
            *ret_header = 2 + i;
            return 1;
        }
    }
    return -1;
}

static int decode_publish(uint8_t first, struct tg_reader *r, struct tg_mqtt_packet *p, const char **ret_flaw)
{
    const char *flaw;
    p->publish.dup = first & 0x08u;
    p->publish.qos = (uint8_t)(first >> 1 & 3u);
    p->publish.retain = first & 0x01u;
    p->publish.topic = tg_read_bytes(r, tg_read_u16be(r));
    if (p->publish.qos)
        p->packet_id = p->publish.packet_id = tg_read_u16be(r);
    if (r->failed)
        return refuse(ret_flaw, "PUBLISH whose topic does not fit into it");
    if (p->publish.qos && p->packet_id == 0)
        return refuse(ret_flaw, "PUBLISH with packet id 0"); /* [MQTT-2.3.1-1] */
    flaw = tg_mqtt_topic_flaw(p->publish.topic);
    if (flaw)
        return refuse(ret_flaw, "PUBLISH with a topic that is not valid");
    p->publish.payload = tg_read_bytes(r, tg_reader_left(r));
    return 1;
}

static int decode_connack(struct tg_reader *r, struct tg_mqtt_packet *p, const char **ret_flaw)
{
    uint8_t flags = tg_read_u8(r);
    p->return_code = tg_read_u8(r);
    p->session_present = flags & 1u;
    if (flags & 0xfeu)
        return refuse(ret_flaw, "CONNACK with reserved flags set");
    if (p->session_present && p->return_code != 0)
        return refuse(ret_flaw, "CONNACK that refuses and has a session"); /* [MQTT-3.2.2-4] */
    return 1;
}

static int decode_suback(struct tg_reader *r, struct tg_mqtt_packet *p, const char **ret_flaw)
{
    p->packet_id = tg_read_u16be(r);
    p->codes = tg_read_bytes(r, tg_reader_left(r));
    for (size_t i = 0; i < p->codes.len; i++) {
        if (p->codes.data[i] > 2 && p->codes.data[i] != TG_MQTT_SUBACK_FAILURE)
            return refuse(ret_flaw, "SUBACK with a reserved return code"); /* [MQTT-3.9.3-2] */
    }
    return p->packet_id ? 1 : refuse(ret_flaw, "SUBACK with packet id 0");
}

int tg_mqtt_decode(struct tg_bytes in, uint32_t max_bytes, struct tg_mqtt_packet *ret_packet,
                   size_t *ret_size, const char **ret_flaw)
{
    struct tg_mqtt_packet packet = {0};
    struct tg_reader r;
    uint32_t remaining = 0;
    size_t header = 0;
    const char *flaw;
    int got;
    if (in.len == 0)
        return 0;
    flaw = first_byte_flaw(in.data[0]);
    if (flaw)
        return refuse(ret_flaw, flaw);
    got = read_remaining(in, &remaining, &header);
    if (got < 0)
        return refuse(ret_flaw, "remaining length of more than four bytes");
    if (got == 0)
        return 0;
    flaw = length_flaw(in.data[0], remaining);
    if (flaw)
        return refuse(ret_flaw, flaw);
    if (header + remaining > max_bytes) {
        *ret_flaw = "packet larger than the limit";
        return TG_ETOOBIG;
    }
    if (in.len < header + remaining)
        return 0;
    r = tg_reader_init(in.data + header, remaining);
    packet.type = (enum tg_mqtt_type)(in.data[0] >> 4);
    switch (packet.type) {
    case TG_MQTT_TYPE_PUBLISH:
        got = decode_publish(in.data[0], &r, &packet, ret_flaw);
        break;
    case TG_MQTT_TYPE_CONNACK:
        got = decode_connack(&r, &packet, ret_flaw);
        break;
    case TG_MQTT_TYPE_SUBACK:
        got = decode_suback(&r, &packet, ret_flaw);
        break;
    case TG_MQTT_TYPE_PINGRESP:
        break;
    default: /* PUBACK, UNSUBACK */
        packet.packet_id = tg_read_u16be(&r);
        if (packet.packet_id == 0)
            return refuse(ret_flaw, "acknowledgement of packet id 0");
        break;
    }
    if (got > 0) {
        *ret_packet = packet;
        *ret_size = header + remaining;
    }
    return got;
}
