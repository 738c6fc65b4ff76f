/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * ble_options - what a Bluetooth source, its devices and points take, and the profiles of the formats: the files of profiles/, made into ble_profiles[] by
 * cmake/Profiles.cmake.
 */
#ifndef TG_PLUGINS_BLE_OPTIONS_H
#define TG_PLUGINS_BLE_OPTIONS_H

#include <tidegate/plugin.h>

#include "southbound/ble/ble_decode.h"

extern const struct tg_option ble_source_options[];
extern const struct tg_option ble_device_options[];
extern const struct tg_option ble_point_options[];
extern const struct tg_profile ble_profiles[];

/* The formats of sensors: what `accept` is when it is absent. Beacons measure nothing. */
#define BLE_SENSOR_FORMATS                                                                                   \
    (TG_BLE_ANY_FORMAT & ~(TG_BLE_FORMAT_BIT(TG_BLE_EDDYSTONE) | TG_BLE_FORMAT_BIT(TG_BLE_IBEACON)))

/* The profile whose points are what the format gives: "bthome", "ruuvitag", … */
const char *ble_profile_of(enum tg_ble_format format);

/* A list of formats into bits. False: *ret_wrong is none. */
bool ble_formats_parse(const char *const *names, uint32_t count, uint32_t *ret_formats,
                       const char **ret_wrong);

#endif
