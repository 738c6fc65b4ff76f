/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "northbound/mqtt/mqtt_packet.h"

#include "core/base/assert.h"

/* --- rules --- */

#define LOW_BITS  0x0101010101010101u
#define HIGH_BITS 0x8080808080808080u

enum { HAS_NUL = 1, HAS_WILDCARD = 2, HAS_HIGH = 4 };

/* Not 0 exactly when one of the eight bytes is 0. */
static uint64_t zero_bytes(uint64_t word)
{
    return (word - LOW_BITS) & ~word & HIGH_BITS;
}

static uint64_t wildcard_bytes(uint64_t word)
{
    return zero_bytes(word ^ LOW_BITS * '+') | zero_bytes(word ^ LOW_BITS * '#');
}

/* Which kinds of special bytes there are: eight at a time, for topics are checked on each publish. */
static unsigned scan(struct tg_bytes s)
{
    uint64_t nul = 0, wildcard = 0, high = 0, word;
    size_t i = 0;
    for (; s.len - i >= sizeof word; i += sizeof word) {
        memcpy(&word, s.data + i, sizeof word);
        nul |= zero_bytes(word);
        wildcard |= wildcard_bytes(word);
        high |= word & HIGH_BITS;
    }
    if (i < s.len) {
        word = LOW_BITS; /* U+0001 fills up the last word: it is none of the kinds */
        memcpy(&word, s.data + i, s.len - i);
        nul |= zero_bytes(word);
        wildcard |= wildcard_bytes(word);
        high |= word & HIGH_BITS;
    }
    return (nul ? HAS_NUL : 0u) | (wildcard ? HAS_WILDCARD : 0u) | (high ? HAS_HIGH : 0u);
}

static const char *flaw_of(struct tg_bytes s, unsigned kinds)
{
    if (s.len > TG_MQTT_MAX_STRING_BYTES)
        return "is longer than 65535 bytes";
    if (kinds & HAS_NUL)
        return "contains U+0000";
    if (kinds & HAS_HIGH && !tg_utf8_valid(s))
        return "is not UTF-8";
    return NULL;
}

const char *tg_mqtt_string_flaw(struct tg_bytes s)
{
    return flaw_of(s, scan(s));
}

const char *tg_mqtt_topic_flaw(struct tg_bytes topic)
{
    unsigned kinds;
    if (topic.len == 0)
        return "is empty";
    kinds = scan(topic);
    if (kinds & HAS_WILDCARD)
        return "contains a wildcard (+ or #)";
    return flaw_of(topic, kinds);
}

const char *tg_mqtt_filter_flaw(struct tg_bytes filter)
{
    if (filter.len == 0)
        return "is empty";
    for (size_t i = 0; i < filter.len; i++) {
        bool starts = i == 0 || filter.data[i - 1] == '/';
        bool last = i + 1 == filter.len;
        if (filter.data[i] == '#' && !(starts && last))
            return "has # elsewhere than as its last level";
        if (filter.data[i] == '+' && !(starts && (last || filter.data[i + 1] == '/')))
            return "has + as a part of a level";
    }
    return tg_mqtt_string_flaw(filter);
}

/* --- packets --- */

/* Checks size and room, then writes the fixed header. After 0 the rest is known to fit. */
static int begin(struct tg_writer *out, unsigned first_byte, size_t remaining, uint32_t max_bytes)
{
    size_t header = remaining < 128 ? 2 : remaining < 16384 ? 3 : remaining < 2097152 ? 4 : 5;
    if (remaining > TG_MQTT_MAX_REMAINING || header + remaining > max_bytes)
        return TG_ETOOBIG;
    if (out->failed || out->cap - out->len < header + remaining)
        return TG_EFULL;
    tg_write_u8(out, (uint8_t)first_byte);
    tg_write_varint(out, remaining); /* LEB128 is the remaining length's form [2.2.3] */
    return 0;
}

static void put_string(struct tg_writer *out, struct tg_bytes s)
{
    tg_write_u16be(out, (uint16_t)s.len);
    tg_write_bytes(out, s);
}

static const char *connect_flaw(const struct tg_mqtt_connect *c)
{
    if (c->client_id.len == 0 && !c->clean_session)
        return "client id is empty, which needs a clean session";
    if (c->password.data && !c->username.data)
        return "password without a user name";
    if (tg_mqtt_string_flaw(c->client_id))
        return "client id is not a valid string";
    if (c->username.data && tg_mqtt_string_flaw(c->username))
        return "user name is not a valid string";
    if (c->password.data && c->password.len > TG_MQTT_MAX_STRING_BYTES)
        return "password is longer than 65535 bytes";
    if (!c->will_topic.data)
        return NULL;
    if (tg_mqtt_topic_flaw(c->will_topic))
        return "will topic is not a valid topic name";
    if (c->will_payload.len > TG_MQTT_MAX_STRING_BYTES)
        return "will payload is longer than 65535 bytes";
    return c->will_qos > 2 ? "will QoS is not 0, 1 or 2" : NULL;
}

int tg_mqtt_write_connect(struct tg_writer *out, const struct tg_mqtt_connect *connect, uint32_t max_bytes,
                          const char **ret_flaw)
{
    static const uint8_t name_and_level[] = {0, 4, 'M', 'Q', 'T', 'T', 4};
    size_t remaining = sizeof name_and_level + 3 + 2 + connect->client_id.len;
    unsigned flags = connect->clean_session ? 0x02u : 0;
    const char *flaw = connect_flaw(connect);
    int r;
    if (flaw) {
        *ret_flaw = flaw;
        return TG_EINVAL;
    }
    if (connect->will_topic.data) {
        remaining += 2 + connect->will_topic.len + 2 + connect->will_payload.len;
        flags |= 0x04u | (unsigned)connect->will_qos << 3 | (connect->will_retain ? 0x20u : 0);
    }
    if (connect->username.data) {
        remaining += 2 + connect->username.len;
        flags |= 0x80u;
    }
    if (connect->password.data) {
        remaining += 2 + connect->password.len;
        flags |= 0x40u;
    }
    r = begin(out, TG_MQTT_TYPE_CONNECT << 4, remaining, max_bytes);
    if (r < 0)
        return r;
    tg_write_bytes(out, tg_bytes(name_and_level, sizeof name_and_level));
    tg_write_u8(out, (uint8_t)flags);
    tg_write_u16be(out, connect->keepalive_s);
    put_string(out, connect->client_id); /* this order: [MQTT-3.1.3-1] */
    if (connect->will_topic.data) {
        put_string(out, connect->will_topic);
        put_string(out, connect->will_payload);
    }
    if (connect->username.data)
        put_string(out, connect->username);
    if (connect->password.data)
        put_string(out, connect->password);
    return 0;
}

int tg_mqtt_write_publish(struct tg_writer *out, const struct tg_mqtt_publish *publish, uint32_t max_bytes,
                          const char **ret_flaw)
{
    const struct tg_mqtt_publish *p = publish;
    const char *flaw = p->qos > 1          ? "QoS is not 0 or 1"
                       : p->dup && !p->qos ? "DUP with QoS 0" /* [MQTT-3.3.1-2] */
                                           : NULL;
    int r;
    if (!flaw && tg_mqtt_topic_flaw(p->topic))
        flaw = "topic is not a valid topic name";
    if (flaw) {
        *ret_flaw = flaw;
        return TG_EINVAL;
    }
    TG_ASSERT(p->qos == 0 || p->packet_id != 0); /* [MQTT-2.3.1-1] */
    if (p->payload.len > TG_MQTT_MAX_REMAINING)
        return TG_ETOOBIG; /* before it takes part in a sum */
    r = begin(out,
              TG_MQTT_TYPE_PUBLISH << 4 | (p->dup ? 8u : 0) | (unsigned)p->qos << 1 | (p->retain ? 1u : 0),
              2 + p->topic.len + (p->qos ? 2 : 0) + p->payload.len, max_bytes);
    if (r < 0)
        return r;
    put_string(out, p->topic);
    if (p->qos)
        tg_write_u16be(out, p->packet_id);
    tg_write_bytes(out, p->payload);
    return 0;
}

int tg_mqtt_write_puback(struct tg_writer *out, uint16_t packet_id)
{
    int r = begin(out, TG_MQTT_TYPE_PUBACK << 4, 2, TG_MQTT_ACK_BYTES);
    if (r == 0)
        tg_write_u16be(out, packet_id);
    return r;
}

/* SUBSCRIBE when qos is given, UNSUBSCRIBE when it is NULL. Both have the flags 0010
 * [MQTT-3.8.1-1, 3.10.1-1]. */
static int write_filters(struct tg_writer *out, enum tg_mqtt_type type, uint16_t packet_id,
                         const struct tg_bytes *filters, const uint8_t *qos, uint8_t count,
                         uint32_t max_bytes, const char **ret_flaw)
{
    size_t remaining = 2;
    const char *flaw = NULL;
    int r;
    TG_ASSERT(packet_id != 0);
    if (count == 0 || count > TG_MQTT_MAX_FILTERS) /* none: [MQTT-3.8.3-3] */
        flaw = "number of topic filters is not 1 to 8";
    for (unsigned i = 0; !flaw && i < count; i++) {
        if (tg_mqtt_filter_flaw(filters[i]))
            flaw = "topic filter is not valid";
        else if (qos && qos[i] > 1)
            flaw = "QoS is not 0 or 1";
        remaining += 2 + filters[i].len + (qos ? 1 : 0);
    }
    if (flaw) {
        *ret_flaw = flaw;
        return TG_EINVAL;
    }
    r = begin(out, (unsigned)type << 4 | 2u, remaining, max_bytes);
    if (r < 0)
        return r;
    tg_write_u16be(out, packet_id);
    for (unsigned i = 0; i < count; i++) {
        put_string(out, filters[i]);
        if (qos)
            tg_write_u8(out, qos[i]);
    }
    return 0;
}

int tg_mqtt_write_subscribe(struct tg_writer *out, uint16_t packet_id, const struct tg_bytes *filters,
                            const uint8_t *qos, uint8_t count, uint32_t max_bytes, const char **ret_flaw)
{
    TG_ASSERT(qos != NULL);
    return write_filters(out, TG_MQTT_TYPE_SUBSCRIBE, packet_id, filters, qos, count, max_bytes, ret_flaw);
}

int tg_mqtt_write_unsubscribe(struct tg_writer *out, uint16_t packet_id, const struct tg_bytes *filters,
                              uint8_t count, uint32_t max_bytes, const char **ret_flaw)
{
    return write_filters(out, TG_MQTT_TYPE_UNSUBSCRIBE, packet_id, filters, NULL, count, max_bytes, ret_flaw);
}

int tg_mqtt_write_pingreq(struct tg_writer *out)
{
    return begin(out, TG_MQTT_TYPE_PINGREQ << 4, 0, TG_MQTT_EMPTY_BYTES);
}

int tg_mqtt_write_disconnect(struct tg_writer *out)
{
    return begin(out, TG_MQTT_TYPE_DISCONNECT << 4, 0, TG_MQTT_EMPTY_BYTES);
}
