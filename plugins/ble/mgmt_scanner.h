/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * mgmt_scanner - hears advertisements through the kernel's advertisement monitor (mgmt Add Advertisement Patterns Monitor).
 *
 * The kernel scans passively for it, with the duplicate filter off, beside connections and other programs, and goes on by itself after a power
 * cycle. Where the controller takes monitors over (MSFT extension) only what matches a pattern is told; otherwise everything is.
 *
 * A monitor outlives the program that added it. So its handle is noted in a file with the kernel's boot id, and one that a killed
 * gateway left is removed at the next start. Monitors of others (bluetoothd's) are never touched: handle 0, which removes all, is not used.
 */
#ifndef TG_PLUGINS_BLE_MGMT_SCANNER_H
#define TG_PLUGINS_BLE_MGMT_SCANNER_H

#include "plugins/ble/adapter.h"

#define BLE_NOTE_BYTES 256

struct ble_mgmt_scanner {
    bool on;
    uint16_t handle;
    bool everything;           /* the controller does not filter: whatever the patterns, all is heard */
    char note[BLE_NOTE_BYTES]; /* path; "" = none is kept */
};

/* Adds the monitor for advertisements of these formats (bits of TG_BLE_FORMAT_BIT). note_folder may be NULL. A result of ble_mgmt_call. */
int ble_mgmt_scanner_start(struct ble_mgmt_scanner *s, struct ble_mgmt *m, const struct ble_adapter *a,
                           uint32_t formats, const char *note_folder);
void ble_mgmt_scanner_stop(struct ble_mgmt_scanner *s, struct ble_mgmt *m, const struct ble_adapter *a);
/* The adapter has gone, and the monitor with it. */
void ble_mgmt_scanner_gone(struct ble_mgmt_scanner *s);

#endif
