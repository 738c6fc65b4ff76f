/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * csr - certificate signing requests (PKCS#10, RFC 2986): subject with a common name, no attributes, signed by a signer
 * so that the key may stay in a token.
 */
#ifndef TG_NORTHBOUND_CSR_H
#define TG_NORTHBOUND_CSR_H

#include "northbound/signer.h"

/* Appends the request as PEM. TG_EINVAL: the name (1 to 128 bytes of UTF-8); TG_ETOOBIG, and what signing says. */
int tg_csr_write(const struct tg_signer *signer, const char *common_name, struct tg_writer *out,
                 struct tg_error *err) TG_CHECKED;

#endif
