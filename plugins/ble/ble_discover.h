/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * ble_discover - `tidegate discover ble`: which sensors are in the air, for people, as YAML to paste or as JSON.
 *
 * Listens only: the scan is passive, the adapter's power is left as it is. It gets on with a running gateway.
 */
#ifndef TG_PLUGINS_BLE_DISCOVER_H
#define TG_PLUGINS_BLE_DISCOVER_H

#include <tidegate/plugin.h>

int ble_discover(const struct tg_discover *request);

#endif
