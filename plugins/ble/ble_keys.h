/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * ble_keys - keys of encrypted sensors, from files: one that a device names (`bind_key_file`), or the one that a folder (`bind_keys`) has for an
 * address, a4c138000001.key. A file is read as every secret is: it is a regular one, of the gateway's user or root, and nobody else may read it.
 *
 * No state; any thread. The caller wipes the key. No text shows anything of one.
 */
#ifndef TG_PLUGINS_BLE_KEYS_H
#define TG_PLUGINS_BLE_KEYS_H

#include <tidegate/plugin.h>

#include "southbound/ble/ble_decode.h"

/* False: with the reason in `error`, which begins with the path. */
bool ble_key_read(const char *path, struct tg_ble_key *ret_key, char *error, size_t error_size);

/* True: there was one. False with an empty `error`: the folder has none for the address, or `folder` is NULL. */
bool ble_key_of(const char *folder, const struct tg_ble_address *address, struct tg_ble_key *ret_key,
                char *error, size_t error_size);

/* `struct tg_plugin`.check_device: the address, and what is in bind_key_file. */
int ble_check_device(const struct tg_host *host, const char *id, const struct tg_settings *device,
                     const char **ret_option, char *error, size_t error_size);

#endif
