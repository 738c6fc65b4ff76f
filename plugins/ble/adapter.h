/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * adapter - one Bluetooth adapter: which it is, whether it is powered, what can be done about it.
 *
 * It is wanted by name (hci0) or by address. The name is only a number that the kernel gives out: after a USB adapter was unplugged or
 * reset it may come back as hci1. So the first one that has the name is found by its address from then on, its home. While it is away another
 * one that has the name stands in.
 */
#ifndef TG_PLUGINS_BLE_ADAPTER_H
#define TG_PLUGINS_BLE_ADAPTER_H

#include "plugins/ble/mgmt.h"
#include "southbound/ble/ble_advert.h"

#define BLE_ADAPTERS_MAX 16 /* that are looked at */

struct ble_adapter {
    char wanted[TG_BLE_ADDRESS_BYTES]; /* "hci0", or an address as written */
    uint16_t wanted_index;             /* BLE_MGMT_NO_INDEX: by address */
    bool has_home, present;
    struct tg_ble_address home;    /* of the wanted one, or of the first found by name */
    struct tg_ble_address address; /* when present: of the one that is in use */
    uint16_t index;                /* when present */
    uint32_t supported, settings;  /* BLE_MGMT_POWERED, BLE_MGMT_LE */
};

/* False: neither hciN nor an address. */
bool ble_adapter_init(struct ble_adapter *a, const char *wanted);

/* Looks for it: present, index, address and settings are filled in. 0; or a result of ble_mgmt_call: nobody could be asked. */
int ble_adapter_find(struct ble_adapter *a, struct ble_mgmt *m);

/* Switches LE and power on, or power off, as far as it is not so yet. Blocks, up to some seconds. A result of ble_mgmt_call. */
int ble_adapter_power(struct ble_adapter *a, struct ble_mgmt *m, bool on);

/* 0: not blocked; 1: by software (rfkill unblock bluetooth); 2: by a switch on the machine. */
int ble_adapter_blocked(const struct ble_adapter *a);

/* Resets its USB device. Blocks for about a second; the kernel may take the adapter away and give it back. 0; -ENODEV: it is not on USB; or
 * -errno. */
int ble_adapter_reset_usb(const struct ble_adapter *a);

#endif
