/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * tls_token - lets wolfSSL sign a handshake with a key that stays in a PKCS#11 token, through its crypto callbacks.
 *
 * All such keys share one wolfSSL device; the key's id, as wolfSSL calls it, is the address of our tg_pkcs11_key, which
 * the connection holds a reference to. The callback answers signatures only (reference: with a device set for the whole
 * session wolfSSL would send key agreement, verification and hashing to the token as well).
 */
#ifndef TG_NET_TLS_TOKEN_H
#define TG_NET_TLS_TOKEN_H

#include "core/net/pkcs11.h"
#include "core/net/wolfssl.h"

/* After wolfSSL_Init(), which forgets all devices. */
int tg_tls_token_register(void) TG_CHECKED;
/* Gives the session the key; after its certificate. The key outlives the session. WOLFSSL_SUCCESS, or wolfSSL's error. */
int tg_tls_token_use(WOLFSSL *ssl, struct tg_pkcs11_key *key) TG_CHECKED;

#endif
