/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * ble_points - which reading of an advertisement is which point of the device.
 *
 * Up to hundred points are compared with up to 48 readings for each advertisement, so names are compared by a hash first.
 */
#ifndef TG_PLUGINS_BLE_POINTS_H
#define TG_PLUGINS_BLE_POINTS_H

#include <tidegate/plugin.h>

#include "southbound/ble/ble_decode.h"

struct ble_point {
    const char *reading;  /* borrowed from the settings */
    uint32_t hash, index; /* index in the device's points */
};

struct ble_points {
    struct ble_point *items; /* GATT points are not among them */
    uint32_t count;
};

/* TG_PLUGIN_ENOMEM. Names are borrowed from the device. */
int ble_points_init(struct ble_points *p, const struct tg_host *host, const struct tg_device *device);
void ble_points_fini(struct ble_points *p);

/* Fills in a value for each point that the readings have; how many. `ret_values` has room for all points. */
uint32_t ble_points_take(const struct ble_points *p, const struct tg_ble_readings *readings,
                         struct tg_point_value *ret_values);
/* All points without a value, with this quality. */
uint32_t ble_points_all(const struct ble_points *p, uint32_t quality, struct tg_point_value *ret_values);

/* For the plugin's table; see tidegate/plugin.h. */
int ble_check_point(const struct tg_host *host, const struct tg_settings *device,
                    const struct tg_point *point, const char **ret_option, char *error, size_t error_size);

#endif
