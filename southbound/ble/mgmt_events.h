/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * mgmt_events - advertisements as the kernel's Bluetooth management interface tells them. Pure.
 *
 * Events Device Found (0x0012) and Advertisement Monitor Device Found (0x002F): BlueZ, doc/mgmt-api.txt, and the kernel's
 * include/net/bluetooth/mgmt.h. Little endian:
 *
 *     event u16, adapter u16, length u16, [monitor u16], address 6, address type u8, RSSI s8, flags u32, length u16, data
 *
 * Without offload to the controller the kernel tells every advertisement with monitor 0, whatever the pattern, and during a
 * discovery both events come: the guard of the device sees to it that one is taken.
 */
#ifndef TG_SOUTHBOUND_MGMT_EVENTS_H
#define TG_SOUTHBOUND_MGMT_EVENTS_H

#include "southbound/ble/ble_advert.h"

#define TG_MGMT_HEAD_BYTES           6
#define TG_MGMT_DEVICE_FOUND         0x0012
#define TG_MGMT_MONITOR_DEVICE_FOUND 0x002F

enum tg_mgmt_verdict {
    TG_MGMT_OK,
    TG_MGMT_OTHER,     /* "other event": another event, or a device that is not LE */
    TG_MGMT_TRUNCATED, /* "truncated": it says that it is longer, or shorter, than it is */
    TG_MGMT_VERDICTS
};

const char *tg_mgmt_verdict_name(enum tg_mgmt_verdict verdict);

struct tg_mgmt_found {
    struct tg_ble_advert advert;
    uint16_t event;   /* TG_MGMT_DEVICE_FOUND or TG_MGMT_MONITOR_DEVICE_FOUND */
    uint16_t adapter; /* index: 0 for hci0 */
    uint16_t monitor; /* handle; 0 for Device Found */
    uint32_t flags;
};

/* One packet of a management socket. The data is a view into it. */
enum tg_mgmt_verdict tg_mgmt_found(const uint8_t *packet, size_t len, int64_t time_ms,
                                   struct tg_mgmt_found *ret_found);

#endif
