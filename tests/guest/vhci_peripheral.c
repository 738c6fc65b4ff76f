/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * PDUs as in the Bluetooth Core Specification, Vol 3, Part F, section 3.4.
 */
#include "guest/vhci_peripheral.h"

#include <string.h>

enum { TEMPERATURE_EVERY_MS = 200 };

/* What a read of the attribute gives. */
enum source { FIXED, TEMPERATURE, TEMPERATURE_CCCD, OWN, OWN_CCCD };

struct attribute {
    uint16_t handle;
    uint16_t type; /* 0: the 128-bit one of the own characteristic */
    uint16_t group_end;
    enum source source;
    bool writable;
    uint8_t length;
    uint8_t value[20];
};

#define OWN_UUID(last)                                                                                       \
    0x9e, 0xca, 0xdc, 0x24, 0x0e, 0xe5, 0xa9, 0xe0, 0x93, 0xf3, 0xa3, 0xb5, (last), 0x00, 0x40, 0x6e

static const uint8_t own_uuid[16] = {OWN_UUID(0x02)};

static const struct attribute attributes[] = {
    {1, 0x2800, 4, FIXED, false, 2, {0x1a, 0x18}},
    {2, 0x2803, 0, FIXED, false, 5, {0x12, 3, 0, 0x6e, 0x2a}},
    {3, 0x2a6e, 0, TEMPERATURE, false, 0, {0}},
    {4, 0x2902, 0, TEMPERATURE_CCCD, true, 0, {0}},
    {5, 0x2800, 7, FIXED, false, 2, {0x0f, 0x18}},
    {6, 0x2803, 0, FIXED, false, 5, {0x02, 7, 0, 0x19, 0x2a}},
    {7, 0x2a19, 0, FIXED, false, 1, {77}},
    {8, 0x2800, 0xffff, FIXED, false, 16, {OWN_UUID(0x01)}},
    {9, 0x2803, 0, FIXED, false, 19, {0x1e, 10, 0, OWN_UUID(0x02)}},
    {10, 0, 0, OWN, true, 0, {0}},
    {11, 0x2902, 0, OWN_CCCD, true, 0, {0}},
};
#define ATTRIBUTES (sizeof attributes / sizeof attributes[0])

static uint16_t le16(const uint8_t *p)
{
    return (uint16_t)(p[0] | p[1] << 8);
}

static void put16(uint8_t *p, uint16_t v)
{
    p[0] = (uint8_t)v;
    p[1] = (uint8_t)(v >> 8);
}

static size_t refuse(uint8_t *ret, uint8_t request, uint16_t handle, uint8_t code)
{
    ret[0] = 0x01;
    ret[1] = request;
    put16(ret + 2, handle);
    ret[4] = code;
    return 5;
}

static size_t value_of(const struct peripheral *p, const struct attribute *a, uint8_t *ret)
{
    switch (a->source) {
    case TEMPERATURE:
        put16(ret, p->temperature);
        return 2;
    case TEMPERATURE_CCCD:
        put16(ret, p->notify_temperature);
        return 2;
    case OWN_CCCD:
        put16(ret, p->notify_own);
        return 2;
    case OWN:
        memcpy(ret, p->own, p->own_length);
        return p->own_length;
    case FIXED:
    default:
        memcpy(ret, a->value, a->length);
        return a->length;
    }
}

/* Read By Type (entries of handle, value) and Read By Group Type (handle, end, value): as many of one length as fit. */
static size_t list(const struct peripheral *p, const uint8_t *pdu, size_t length, uint8_t *ret)
{
    const bool groups = pdu[0] == 0x10;
    const size_t head = groups ? 4 : 2;
    size_t at = 2, entry = 0;
    if (length != 7)
        return refuse(ret, pdu[0], le16(pdu + 1), length == 21 ? 0x0a : 0x04);
    for (size_t i = 0; i < ATTRIBUTES; i++) {
        const struct attribute *a = &attributes[i];
        uint8_t value[PERIPHERAL_VALUE];
        size_t size;
        if (a->handle < le16(pdu + 1) || a->handle > le16(pdu + 3) || a->type != le16(pdu + 5))
            continue;
        size = value_of(p, a, value);
        if ((entry && entry != head + size) || at + head + size > p->mtu)
            break;
        entry = head + size;
        put16(ret + at, a->handle);
        if (groups)
            put16(ret + at + 2, a->group_end);
        memcpy(ret + at + head, value, size);
        at += entry;
    }
    if (!entry)
        return refuse(ret, pdu[0], le16(pdu + 1), 0x0a);
    ret[0] = (uint8_t)(pdu[0] + 1);
    ret[1] = (uint8_t)entry;
    return at;
}

static size_t find_information(const struct peripheral *p, const uint8_t *pdu, uint8_t *ret)
{
    size_t at = 2;
    ret[1] = 0;
    for (size_t i = 0; i < ATTRIBUTES; i++) {
        const struct attribute *a = &attributes[i];
        const uint8_t format = a->type ? 1 : 2;
        const size_t size = a->type ? 2 : 16;
        if (a->handle < le16(pdu + 1) || a->handle > le16(pdu + 3))
            continue;
        if ((ret[1] && ret[1] != format) || at + 2 + size > p->mtu)
            break;
        ret[1] = format;
        put16(ret + at, a->handle);
        if (a->type)
            put16(ret + at + 2, a->type);
        else
            memcpy(ret + at + 2, own_uuid, size);
        at += 2 + size;
    }
    ret[0] = 0x05;
    return at > 2 ? at : refuse(ret, 0x04, le16(pdu + 1), 0x0a);
}

static const struct attribute *attribute(uint16_t handle)
{
    return handle >= 1 && handle <= ATTRIBUTES ? &attributes[handle - 1] : NULL;
}

static size_t read_value(const struct peripheral *p, const uint8_t *pdu, size_t offset, uint8_t *ret)
{
    const struct attribute *a = attribute(le16(pdu + 1));
    uint8_t value[PERIPHERAL_VALUE];
    size_t size;
    if (!a)
        return refuse(ret, pdu[0], le16(pdu + 1), 0x01);
    size = value_of(p, a, value);
    if (offset > size)
        return refuse(ret, pdu[0], le16(pdu + 1), 0x07);
    size -= offset;
    if (size > p->mtu - 1u)
        size = p->mtu - 1u;
    ret[0] = (uint8_t)(pdu[0] + 1);
    memcpy(ret + 1, value + offset, size);
    return 1 + size;
}

static size_t write_value(struct peripheral *p, const uint8_t *pdu, size_t length, uint8_t *ret)
{
    const struct attribute *a = attribute(le16(pdu + 1));
    const size_t size = length - 3;
    const bool answered = pdu[0] == 0x12;
    if (!a || !a->writable || size > PERIPHERAL_VALUE)
        return answered ? refuse(ret, pdu[0], le16(pdu + 1), a ? 0x03 : 0x01) : 0;
    if (a->source == OWN) {
        memcpy(p->own, pdu + 3, size);
        p->own_length = (uint16_t)size;
        p->own_changed = true;
        p->written++;
    } else if (size == 2) {
        *(a->source == OWN_CCCD ? &p->notify_own : &p->notify_temperature) = le16(pdu + 3);
    }
    ret[0] = 0x13;
    return answered ? 1 : 0;
}

void peripheral_init(struct peripheral *p)
{
    memset(p, 0, sizeof *p);
    p->temperature = 2500;
    memcpy(p->own, "init", 4);
    p->own_length = 4;
    peripheral_connected(p);
}

void peripheral_connected(struct peripheral *p)
{
    p->mtu = 23;
    p->notify_temperature = 0;
    p->notify_own = 0;
    p->own_changed = false;
    p->next_notification_ms = 0;
}

size_t peripheral_answer(struct peripheral *p, const uint8_t *pdu, size_t length,
                         uint8_t ret[PERIPHERAL_MTU_MAX])
{
    uint16_t asked;
    if (length < 1)
        return 0;
    switch (pdu[0]) {
    case 0x02: /* Exchange MTU */
        if (length < 3)
            return refuse(ret, pdu[0], 0, 0x04);
        asked = le16(pdu + 1);
        ret[0] = 0x03;
        put16(ret + 1, PERIPHERAL_MTU_MAX);
        p->mtu = asked < 23 ? 23 : asked > PERIPHERAL_MTU_MAX ? PERIPHERAL_MTU_MAX : asked;
        return 3;
    case 0x04:
        return length == 5 ? find_information(p, pdu, ret) : refuse(ret, pdu[0], 0, 0x04);
    case 0x08:
    case 0x10:
        return length >= 7 ? list(p, pdu, length, ret) : refuse(ret, pdu[0], 0, 0x04);
    case 0x0a:
        return length == 3 ? read_value(p, pdu, 0, ret) : refuse(ret, pdu[0], 0, 0x04);
    case 0x0c:
        return length == 5 ? read_value(p, pdu, le16(pdu + 3), ret) : refuse(ret, pdu[0], 0, 0x04);
    case 0x12:
    case 0x52:
        return length >= 3 ? write_value(p, pdu, length, ret) : refuse(ret, pdu[0], 0, 0x04);
    default: /* commands and confirmations need no answer */
        return pdu[0] & 0x40 || pdu[0] == 0x1e ? 0 : refuse(ret, pdu[0], 0, 0x06);
    }
}

size_t peripheral_notification(struct peripheral *p, int64_t now_ms, uint8_t ret[PERIPHERAL_MTU_MAX])
{
    ret[0] = 0x1b;
    if (p->own_changed && p->notify_own & 1) {
        const size_t size = p->own_length > p->mtu - 3u ? p->mtu - 3u : p->own_length;
        p->own_changed = false;
        put16(ret + 1, 10);
        memcpy(ret + 3, p->own, size);
        return 3 + size;
    }
    if (!(p->notify_temperature & 1) || now_ms < p->next_notification_ms)
        return 0;
    p->next_notification_ms = now_ms + TEMPERATURE_EVERY_MS;
    p->temperature++;
    put16(ret + 1, 3);
    put16(ret + 3, p->temperature);
    return 5;
}
