/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "plugins/ble/ble_strangers.h"

#include <string.h>

static uint32_t group_of(const uint8_t address[6])
{
    uint32_t hash = 2166136261u;
    for (int i = 0; i < 6; i++)
        hash = (hash ^ address[i]) * 16777619u;
    return (hash ^ hash >> 16) % BLE_STRANGER_GROUPS;
}

bool ble_stranger_heard(struct ble_strangers *s, const struct tg_ble_advert *advert)
{
    struct ble_stranger *group = s->groups[group_of(advert->address.bytes)], *place = &group[0];
    for (int i = 0; i < BLE_STRANGER_WAYS; i++) {
        if (group[i].heard_ms && memcmp(group[i].address, advert->address.bytes, 6) == 0) {
            const bool look = advert->time_ms - group[i].looked_ms >= BLE_STRANGER_AGAIN_MS;
            group[i].heard_ms = advert->time_ms;
            if (look)
                group[i].looked_ms = advert->time_ms;
            return look;
        }
        if (group[i].heard_ms < place->heard_ms)
            place = &group[i];
    }
    s->seen++;
    s->displaced += place->heard_ms != 0;
    memcpy(place->address, advert->address.bytes, 6);
    place->heard_ms = place->looked_ms = advert->time_ms ? advert->time_ms : 1;
    return true;
}

bool ble_address_lasts(const struct tg_ble_address *address)
{
    return address->type != TG_BLE_ADDRESS_RANDOM ||
           (address->bytes[0] & 0xc0) == 0xc0; /* Core, volume 6, part B, section 1.3.2 */
}
