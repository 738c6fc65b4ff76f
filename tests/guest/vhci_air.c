/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "guest/vhci_air.h"

#include <string.h>

#define OWED_MAX 2000 /* after a stall the rest is lost, as in the air */

void air_init(struct air *a, uint32_t sensors, uint32_t rate)
{
    memset(a, 0, sizeof *a);
    a->sensors = sensors > AIR_SENSORS_MAX ? AIR_SENSORS_MAX : sensors;
    a->rate = rate;
    a->repeat = 1;
}

uint32_t air_due(struct air *a, int64_t now_us)
{
    uint32_t due;
    if (a->last_us)
        a->owed += (double)(now_us - a->last_us) * a->rate / 1e6;
    a->last_us = now_us;
    if (a->owed > OWED_MAX)
        a->owed = OWED_MAX;
    due = a->sensors ? (uint32_t)a->owed : 0;
    a->owed -= due;
    return due;
}

static uint8_t *put(uint8_t *to, const void *from, size_t size)
{
    memcpy(to, from, size);
    return to + size;
}

/* BTHome v2, not encrypted: packet id, temperature 20.00 + i/100, humidity 50.55, count. */
static uint8_t bthome(uint8_t *data, uint32_t index, uint32_t sequence)
{
    const uint16_t temperature = (uint16_t)(2000 + index % 1000);
    const uint8_t frame[] = {0x02,
                             0x01,
                             0x06,
                             0x11,
                             0x16,
                             0xd2,
                             0xfc,
                             0x40,
                             0x00,
                             (uint8_t)sequence,
                             0x02,
                             (uint8_t)temperature,
                             (uint8_t)(temperature >> 8),
                             0x03,
                             0xbf,
                             0x13,
                             0x3e,
                             (uint8_t)sequence,
                             (uint8_t)(sequence >> 8),
                             (uint8_t)(sequence >> 16),
                             (uint8_t)(sequence >> 24)};
    put(data, frame, sizeof frame);
    return sizeof frame;
}

/* Ruuvi format 5: 24.3 Cel, 53.49 %RH, 100044 Pa, as in the vendor's own example. */
static uint8_t ruuvi(uint8_t *data, const uint8_t address[6], uint32_t sequence)
{
    static const uint8_t head[] = {0x02, 0x01, 0x06, 0x1b, 0xff, 0x99, 0x04, 0x05, 0x12, 0xfc, 0x53, 0x94,
                                   0xc3, 0x7c, 0x00, 0x04, 0xff, 0xfc, 0x04, 0x0c, 0xac, 0x36, 0x42};
    uint8_t *at = put(data, head, sizeof head);
    *at++ = (uint8_t)(sequence >> 8);
    *at++ = (uint8_t)sequence;
    for (int i = 5; i >= 0; i--)
        *at++ = address[i];
    return (uint8_t)(at - data);
}

void air_take(struct air *a, struct air_advert *ret)
{
    const uint32_t index = a->next;
    if (a->repeated == 0)
        a->sequence[index]++;
    memset(ret, 0, sizeof *ret);
    ret->address[0] = (uint8_t)index;
    ret->address[1] = (uint8_t)(index >> 8);
    ret->address[2] = (uint8_t)(index >> 16);
    ret->address[5] = 0xc1;
    ret->address_type = 1;
    ret->type = 3;
    ret->rssi = (int8_t)(-40 - (int)(index % 50));
    if (!a->empty)
        ret->length = index & 1 ? ruuvi(ret->data, ret->address, a->sequence[index])
                                : bthome(ret->data, index, a->sequence[index]);
    if (++a->repeated >= a->repeat) {
        a->repeated = 0;
        a->next = (index + 1) % a->sensors;
    }
}
