/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * ble_strangers - addresses that are heard and belong to no device of the source: what was made of each, so that it is not made of every
 * advertisement anew.
 *
 * Fixed size, 96 KiB: 4,096 addresses in groups of four. The one of its group that was heard the longest ago makes room for a new one, which
 * costs no more than looking at it again. Phones change their addresses all the time; thousands an hour are usual at a road.
 */
#ifndef TG_PLUGINS_BLE_STRANGERS_H
#define TG_PLUGINS_BLE_STRANGERS_H

#include "southbound/ble/ble_decode.h"

#define BLE_STRANGER_GROUPS   1024
#define BLE_STRANGER_WAYS     4
#define BLE_STRANGER_AGAIN_MS 10000 /* how often an advertisement of the same stranger is looked at */

struct ble_stranger {
    int64_t heard_ms, looked_ms; /* heard_ms 0: free */
    uint8_t address[6];
};

struct ble_strangers {
    struct ble_stranger groups[BLE_STRANGER_GROUPS][BLE_STRANGER_WAYS];
    uint64_t seen, displaced; /* addresses that came in, and that made room */
};

/* True when this advertisement is worth being looked at. */
bool ble_stranger_heard(struct ble_strangers *s, const struct tg_ble_advert *advert);

/* An address that a device keeps: public or static random. The others change, so no device can be known by them. */
bool ble_address_lasts(const struct tg_ble_address *address);

#endif
