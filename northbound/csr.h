/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * csr - certificate signing requests (PKCS#10, RFC 2986), written as DER here and given out as PEM. The subject is one
 * common name; attributes there are none. Signed with ECDSA P-256 or RSA, each with SHA-256. No files; only
 * tg_csr_new_key() uses a random source (wolfCrypt's).
 *
 *     struct tg_writer csr = tg_writer_init(memory, TG_CSR_PEM_BYTES);
 *     rc = tg_csr_write(signer, "meter-1", &csr, &err);
 */
#ifndef TG_NORTHBOUND_CSR_H
#define TG_NORTHBOUND_CSR_H

#include "northbound/signer.h"

#define TG_CSR_NAME_MAX_BYTES 64   /* ub-common-name, RFC 5280 appendix A */
#define TG_CSR_PEM_BYTES      2048 /* RSA 4096 with the longest name: 1.1 KiB of DER, 4/3 of it and two lines */
#define TG_CSR_KEY_PEM_BYTES  512 /* an EC P-256 key: 121 bytes of DER */

/* Appends the request for the signer's key, PEM with a newline at its end. `common_name` is UTF-8 of 1 to 64 bytes. TG_EINVAL (name),
 * TG_ETOOBIG, TG_ENOMEM, and what signing says; the text says which. A slow signer (signer.h) makes this slow. */
int tg_csr_write(const struct tg_signer *signer, const char *common_name, struct tg_writer *out,
                 struct tg_error *err) TG_CHECKED;

/* Makes a new EC P-256 key and the request for it. The key is appended to `key_pem` ("EC PRIVATE KEY", RFC 5915); the caller
 * wipes that memory. About a millisecond. TG_EINVAL, TG_ETOOBIG, TG_ENOMEM, TG_EIO (no random numbers). */
int tg_csr_new_key(const char *common_name, struct tg_writer *key_pem, struct tg_writer *csr_pem,
                   struct tg_error *err) TG_CHECKED;

/* The two halves, for keys elsewhere: what is to be signed (CertificationRequestInfo, DER) for a public key
 * (SubjectPublicKeyInfo, DER), and the request from it and its signature in the signer's form (signer.h). */
int tg_csr_info(const char *common_name, struct tg_bytes public_der, struct tg_writer *out,
                struct tg_error *err) TG_CHECKED;
int tg_csr_finish(struct tg_bytes info, enum tg_sign_algorithm algorithm, struct tg_bytes signature,
                  struct tg_writer *out, struct tg_error *err) TG_CHECKED;

#endif
