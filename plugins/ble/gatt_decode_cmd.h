/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * gatt_decode_cmd - `tidegate decode ble --characteristic …`: the bytes of a characteristic into a reading, without an adapter.
 */
#ifndef TG_PLUGINS_BLE_GATT_DECODE_CMD_H
#define TG_PLUGINS_BLE_GATT_DECODE_CMD_H

#include <stdbool.h>

#define TG_GATT_DECODE_USAGE "       tidegate decode ble --characteristic UUID|NAME [--as FORMAT] HEX…\n"

/* For tg_plugin.decode. 0: it has a value; 1: it has none; 2: wrong usage. */
int tg_gatt_decode_cmd(int argc, const char *const *argv, bool json,
                       void (*out)(void *user, const char *text), void *user);

#endif
