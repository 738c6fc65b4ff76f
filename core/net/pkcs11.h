/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * pkcs11 - private keys that stay in a PKCS#11 token (an HSM, a TPM, SoftHSM): finding them by URI, their public half, and
 * signatures. The module named by the URI (module-path) is loaded; without one, $TIDEGATE_PKCS11_MODULE, and else
 * p11-kit, which knows the modules that Debian's packages install.
 *
 *     open(uri) ──► public_der, sign … ──► unref
 *
 * Per token there is one session for the whole process, logged in once and kept; a mutex guards it, so keys may be used
 * on any thread and a signature waits for the one before it. A token that was pulled out or whose daemon ended is opened
 * anew by the next open(); keys opened before it say so when they are asked to sign.
 *
 * A PIN that the token refused is never presented again in the life of the process: three tries lock many tokens. It is
 * remembered by its hash, so a file that merely was touched does not cost a try. Another PIN in the file is tried.
 *
 * Taken are EC P-256 and RSA 2048 to 4096 keys that need no PIN for each signature.
 */
#ifndef TG_NET_PKCS11_H
#define TG_NET_PKCS11_H

#include "core/base/bytes.h"

#define TG_PKCS11_SIGNATURE_MAX_BYTES 512
#define TG_PKCS11_DEFAULT_MODULE      "libp11-kit.so.0"
#define TG_PKCS11_MODULE_VARIABLE     "TIDEGATE_PKCS11_MODULE"

struct tg_pkcs11_key;

/* TG_EINVAL, TG_EUNSUPPORTED: the URI, or a key that cannot be used; TG_EPERM, TG_ENOTFOUND: the PIN file, or no such key
 * in the token; TG_EAUTH: the PIN is wrong; TG_EIO: no such token now, or it does not answer; TG_ENOMEM. */
int tg_pkcs11_key_open(const char *uri, struct tg_pkcs11_key **ret_key, struct tg_error *err) TG_CHECKED;
struct tg_pkcs11_key *tg_pkcs11_key_ref(struct tg_pkcs11_key *key);
void tg_pkcs11_key_unref(struct tg_pkcs11_key *key); /* NULL is nothing */

bool tg_pkcs11_key_is_ec(const struct tg_pkcs11_key *key);
/* Bits of the modulus, or of the curve. */
unsigned tg_pkcs11_key_bits(const struct tg_pkcs11_key *key);
/* SubjectPublicKeyInfo; a view into the key. */
struct tg_bytes tg_pkcs11_key_public_der(const struct tg_pkcs11_key *key);

enum tg_pkcs11_mechanism {
    TG_PKCS11_ECDSA,    /* input: a digest; the signature is r‖s */
    TG_PKCS11_RSA_PKCS, /* input: a DigestInfo, padded by the token */
    TG_PKCS11_RSA_RAW   /* input: a padded block as long as the modulus */
};
/* `sig` has TG_PKCS11_SIGNATURE_MAX_BYTES. TG_EIO: the token does not sign; the text says why. Blocks: 0.3 ms in SoftHSM,
 * some 100 ms in a TPM. */
int tg_pkcs11_sign(struct tg_pkcs11_key *key, enum tg_pkcs11_mechanism mechanism, struct tg_bytes input,
                   uint8_t *sig, size_t *ret_len, struct tg_error *err) TG_CHECKED;
/* What the last tg_pkcs11_sign() of this key said, if it failed: for callers that sit behind a library. */
bool tg_pkcs11_key_failure(struct tg_pkcs11_key *key, struct tg_error *ret_err);

/* Logs out and unloads everything; no key may be left. Refused PINs are forgotten. */
void tg_pkcs11_fini(void);

#endif
