/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * pkcs12 - certificate chain and private key out of a PKCS#12 file (RFC 7292), as the portals and openssl write them:
 * PBES2 with AES or the older 3DES, a MAC with SHA-1 or SHA-2, which is asked for. Not RC2-40, which "openssl pkcs12 -legacy" still uses.
 * No state; any thread. Takes as long as the file's iteration count says: 3 ms for openssl's default.
 */
#ifndef TG_NORTHBOUND_PKCS12_H
#define TG_NORTHBOUND_PKCS12_H

#include "core/base/secret.h"

struct tg_pkcs12 {
    struct tg_secret chain_pem; /* the leaf first, then its issuers in order; a root is left out */
    struct tg_secret key_pem;   /* PKCS#8 */
};

/* TG_EAUTH: the password is wrong; TG_ECERT: not PKCS#12, or without key or certificate; TG_EUNSUPPORTED: its
 * encryption or kind of key; TG_ENOMEM, TG_ETOOBIG. The caller wraps the text with the file's name. */
int tg_pkcs12_read(struct tg_bytes file, struct tg_bytes password, struct tg_pkcs12 *ret,
                   struct tg_error *err) TG_CHECKED;
void tg_pkcs12_free(struct tg_pkcs12 *p);

#endif
