/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * config_fingerprint - one number for everything that a source's running parts depend on: its own entry, its devices and
 * points, and the clouds and identities that its devices use. Two loads of the same text give the same number, so a reload knows
 * what to leave alone. The content of key files is not part of it: sessions read them at every connect.
 */
#ifndef TG_GATEWAY_CONFIG_FINGERPRINT_H
#define TG_GATEWAY_CONFIG_FINGERPRINT_H

#include "config/config.h"

uint64_t tg_config_fingerprint(const struct tg_config_source *source);

#endif
