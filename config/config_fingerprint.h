/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * config_fingerprint - one number for everything that a source's running parts depend on: its own entry, its devices and
 * points, and the clouds and identities that its devices use. Two loads of the same text give the same number, so a reload knows
 * what to leave alone. The content of key files is not part of it: sessions read them at every connect.
 */
#ifndef TG_CONFIG_CONFIG_FINGERPRINT_H
#define TG_CONFIG_CONFIG_FINGERPRINT_H

#include "config/config.h"

uint64_t tg_config_fingerprint(const struct tg_config_source *source);
/* The same for one device, with its points, clouds and identities: what its sessions depend on. */
uint64_t tg_config_device_fingerprint(const struct tg_config_device *device);
/* The same for a cloud's own entry: two models that describe the same cloud can share what is made for it. */
uint64_t tg_config_cloud_fingerprint(const struct tg_config_cloud *cloud);

#endif
