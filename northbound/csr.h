/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * csr - certificate signing requests (PKCS#10, RFC 2986): subject with a common name, no attributes, signed by a signer
 * so that the key may stay in a token.
 */
#ifndef TG_NORTHBOUND_CSR_H
#define TG_NORTHBOUND_CSR_H

#include "northbound/signer.h"

#define TG_CSR_PEM_BYTES     2048 /* RSA 4096 with the longest name: 1.3 KiB of DER, 4/3 of it and two lines */
#define TG_CSR_KEY_PEM_BYTES 512  /* an EC P-256 key: 121 bytes of DER */

/* Appends the request as PEM. TG_EINVAL: the name (1 to 128 bytes of UTF-8); TG_ETOOBIG, and what signing says. */
int tg_csr_write(const struct tg_signer *signer, const char *common_name, struct tg_writer *out,
                 struct tg_error *err) TG_CHECKED;

/* Makes a new EC P-256 key (wolfCrypt's random numbers) and the request for it. The key is appended to `key_pem` ("EC PRIVATE
 * KEY", RFC 5915); the caller wipes that memory. About a millisecond. Also TG_EIO: no random numbers. */
int tg_csr_new_key(const char *common_name, struct tg_writer *key_pem, struct tg_writer *csr_pem,
                   struct tg_error *err) TG_CHECKED;

#endif
