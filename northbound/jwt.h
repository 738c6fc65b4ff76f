/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * jwt - JSON Web Tokens (RFC 7519, 7515), signed with ES256 or RS256 by a signer. Only making, never verifying.
 */
#ifndef TG_NORTHBOUND_JWT_H
#define TG_NORTHBOUND_JWT_H

#include "northbound/signer.h"

/* Appends header.claims.signature to `out`. `claims_json` is the claims object as it is to be signed; `key_id` (may be NULL)
 * goes into the header. TG_ETOOBIG, and what signing says. */
int tg_jwt_write(struct tg_writer *out, const struct tg_signer *signer, const char *key_id,
                 struct tg_bytes claims_json, struct tg_error *err) TG_CHECKED;
/* Base64url without padding (RFC 4648 section 5). */
void tg_base64url(struct tg_writer *out, struct tg_bytes data);

#endif
