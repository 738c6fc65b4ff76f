/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * signer - signs with a private key that is a PEM file's or stays in a PKCS#11 token. What JWTs and CSRs are signed
 * with; client certificates in TLS go through tg_tls_credential, which may refer to the same token key.
 *
 * A signer may be used on any one thread at a time. Keys are wiped when freed.
 */
#ifndef TG_NORTHBOUND_SIGNER_H
#define TG_NORTHBOUND_SIGNER_H

#include "core/base/bytes.h"
#include "core/base/error.h"

#define TG_SIGNATURE_MAX_BYTES 512 /* RSA 4096 */

enum tg_sign_algorithm {
    TG_SIGN_ES256, /* EC P-256, SHA-256; the signature is r‖s, 64 bytes, not DER */
    TG_SIGN_RS256  /* RSA 2048 … 4096, PKCS#1 v1.5, SHA-256 */
};

struct tg_signer;

/* `path` is a PEM file (mode checked by the caller's rules, TG_SECRET_PRIVATE) or a "pkcs11:" URI. TG_EPERM, TG_ENOTFOUND, TG_EINVAL
 * (no EC P-256 or RSA key), TG_EUNSUPPORTED; text names file or token and reason. */
int tg_signer_open(const char *path, struct tg_signer **ret_signer, struct tg_error *err) TG_CHECKED;
/* From a PEM text: PKCS#8, SEC1 or PKCS#1, not encrypted. TG_ECERT, TG_EINVAL, TG_ENOMEM; the text names no file. */
int tg_signer_from_pem(struct tg_bytes pem, struct tg_signer **ret_signer, struct tg_error *err) TG_CHECKED;
void tg_signer_free(struct tg_signer *s);

enum tg_sign_algorithm tg_signer_algorithm(const struct tg_signer *s);
/* True when signing takes a token's time: not to be done on the loop. */
bool tg_signer_is_slow(const struct tg_signer *s);
/* Signs `message` (hashing it). `sig` has TG_SIGNATURE_MAX_BYTES. */
int tg_signer_sign(const struct tg_signer *s, struct tg_bytes message, uint8_t *sig, size_t *ret_len,
                   struct tg_error *err) TG_CHECKED;
/* The public key as DER (SubjectPublicKeyInfo, RFC 5280), appended. */
int tg_signer_public_der(const struct tg_signer *s, struct tg_writer *out, struct tg_error *err) TG_CHECKED;
/* The public key as PEM (SubjectPublicKeyInfo). */
int tg_signer_public_pem(const struct tg_signer *s, struct tg_writer *out, struct tg_error *err) TG_CHECKED;

#endif
