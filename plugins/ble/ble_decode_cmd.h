/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * ble_decode_cmd - `tidegate decode ble`: an advertisement, or a whole event of a controller, into readings, without an adapter.
 */
#ifndef TG_PLUGINS_BLE_DECODE_CMD_H
#define TG_PLUGINS_BLE_DECODE_CMD_H

#include <stdbool.h>

/* For tg_plugin.decode. 0: readings were decoded; 1: none; 2: wrong usage. */
int tg_ble_decode_cmd(int argc, const char *const *argv, bool json, void (*out)(void *user, const char *text),
                      void *user);

#endif
