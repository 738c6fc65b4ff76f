/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * key_make - new private keys, with wolfCrypt's random numbers. The caller wipes the memory that they are written to.
 */
#ifndef TG_NORTHBOUND_KEY_MAKE_H
#define TG_NORTHBOUND_KEY_MAKE_H

#include "core/base/bytes.h"

#define TG_KEY_PEM_MAX_BYTES 3072 /* RSA 3072: 2.5 KB; an EC key has 230 bytes */

/* Appends a new EC P-256 key (rsa_bits 0; "EC PRIVATE KEY", RFC 5915) or an RSA key of 2048 or 3072 bits ("RSA PRIVATE KEY",
 * PKCS#1). A millisecond, or seconds. TG_EINVAL: the size; TG_EIO: no random numbers; TG_ETOOBIG. */
int tg_key_make(unsigned rsa_bits, struct tg_writer *out, struct tg_error *err) TG_CHECKED;
/* Random bytes that are fit for keys and serial numbers. TG_EIO. */
int tg_key_random(uint8_t *out, size_t len, struct tg_error *err) TG_CHECKED;

#endif
