/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * pem - PEM texts (RFC 7468): writing a block, and finding the private key in a file that an integrator wrote with
 * openssl: PKCS#8, SEC1 (with or without its EC PARAMETERS block) or PKCS#1, not encrypted. No state; any thread.
 */
#ifndef TG_NET_PEM_H
#define TG_NET_PEM_H

#include "core/base/secret.h"

#define TG_PEM_KEY_MAX_BYTES (128 * 1024)

/* The DER of the first private key in `pem`, wiped by tg_secret_free(). TG_ECERT: no key in it, encrypted, not valid PEM;
 * TG_ETOOBIG, TG_ENOMEM. The caller wraps the text with the name of the file or key. */
int tg_pem_private_key(struct tg_bytes pem, struct tg_secret *ret_der, struct tg_error *err) TG_CHECKED;

/* wc_PemToDer() of one block for certificates and keys, without its leak: wolfSSL 5.5.4 leaves what it allocated behind when
 * the base64 is damaged. TG_ECERT, and then there is nothing to free; else wc_FreeDer(). */
struct DerBuffer;
int tg_pem_to_der(struct tg_bytes block, bool is_key, struct DerBuffer **ret_der) TG_CHECKED;

/* Appends -----BEGIN label----- … -----END label-----, 64 characters a line. TG_ETOOBIG. */
int tg_pem_write(struct tg_writer *out, const char *label, struct tg_bytes der) TG_CHECKED;

#endif
