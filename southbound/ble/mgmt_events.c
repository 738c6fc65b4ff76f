/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "southbound/ble/mgmt_events.h"

#include "southbound/ble/ble_private.h"

#define FOUND_HEAD 14 /* address, type, RSSI, flags, length */

const char *tg_mgmt_verdict_name(enum tg_mgmt_verdict verdict)
{
    static const char *const names[] = {"ok", "other event", "truncated"};
    return (unsigned)verdict < TG_MGMT_VERDICTS ? names[verdict] : "unknown";
}

enum tg_mgmt_verdict tg_mgmt_found(const uint8_t *packet, size_t len, int64_t time_ms,
                                   struct tg_mgmt_found *ret_found)
{
    struct tg_mgmt_found found = {.advert.time_ms = time_ms};
    struct tg_reader in = tg_reader_init(packet, len);
    struct tg_bytes head = tg_read_bytes(&in, TG_MGMT_HEAD_BYTES), p;
    if (in.failed)
        return TG_MGMT_TRUNCATED;
    found.event = tg_ble_u16le(head.data);
    found.adapter = tg_ble_u16le(head.data + 2);
    if (found.event != TG_MGMT_DEVICE_FOUND && found.event != TG_MGMT_MONITOR_DEVICE_FOUND)
        return TG_MGMT_OTHER;
    if (tg_ble_u16le(head.data + 4) != len - TG_MGMT_HEAD_BYTES)
        return TG_MGMT_TRUNCATED;
    if (found.event == TG_MGMT_MONITOR_DEVICE_FOUND) {
        struct tg_bytes handle = tg_read_bytes(&in, 2);
        found.monitor = in.failed ? 0 : tg_ble_u16le(handle.data);
    }
    p = tg_read_bytes(&in, FOUND_HEAD);
    if (in.failed || tg_ble_u16le(p.data + 12) != tg_reader_left(&in))
        return TG_MGMT_TRUNCATED;
    if (p.data[6] != TG_BLE_ADDRESS_PUBLIC && p.data[6] != TG_BLE_ADDRESS_RANDOM)
        return TG_MGMT_OTHER;
    tg_ble_address_reverse(p.data, found.advert.address.bytes);
    found.advert.address.type = p.data[6];
    found.advert.rssi = (int8_t)p.data[7];
    found.flags = tg_ble_unsigned_le(p.data + 8, 4);
    found.advert.data = in.data + in.pos;
    found.advert.len = tg_reader_left(&in);
    *ret_found = found;
    return TG_MGMT_OK;
}
