/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * gatt_known - characteristics that need no format: their names, formats and units (Bluetooth Assigned Numbers, GATT Specification
 * Supplement). A table; pure.
 */
#ifndef TG_SOUTHBOUND_BLE_GATT_KNOWN_H
#define TG_SOUTHBOUND_BLE_GATT_KNOWN_H

#include "southbound/ble/att_pdu.h"

struct tg_gatt_known {
    uint16_t uuid;
    const char *name;   /* battery_level */
    const char *format; /* gatt_format.h */
    const char *unit;   /* SenML's word, or NULL */
    const char *fact;   /* the device fact that it is, or NULL: "model" */
};

/* NULL-terminated by name. */
extern const struct tg_gatt_known tg_gatt_known[];

/* NULL when it is not known. */
const struct tg_gatt_known *tg_gatt_known_uuid(const struct tg_att_uuid *uuid);
const struct tg_gatt_known *tg_gatt_known_name(struct tg_bytes name);

#endif
