/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * ble_crypto - AES for the decoders of advertisements (struct tg_ble_crypto), by wolfCrypt.
 */
#ifndef TG_PLUGINS_BLE_CRYPTO_H
#define TG_PLUGINS_BLE_CRYPTO_H

#include "southbound/ble/ble_decode.h"

/* For tg_ble_key_parse(). Any thread; no state. */
extern const struct tg_ble_crypto tg_ble_wolfcrypt;

#endif
