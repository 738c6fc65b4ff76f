/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * gcp_token - the JSON Web Token that proves a device to Google's IoT Core protocol (Google Cloud IoT docs "Using JSON Web
 * Tokens"; ClearBlade IoT Core takes the same): {"iat":…,"exp":…,"aud":"PROJECT"}, ES256 or RS256 as the key says. Pure,
 * besides the signer.
 */
#ifndef TG_NORTHBOUND_GCP_TOKEN_H
#define TG_NORTHBOUND_GCP_TOKEN_H

#include "northbound/jwt.h"

#define TG_GCP_TOKEN_BYTES 1024 /* header 36, claims < 200, signature 684 (RSA 4096), two dots */

/* Appends the token. It is valid from a minute before `wall_s`, so that a clock somewhat ahead of the cloud's does no harm, for
 * lifetime_s from now; exp - iat stays within the cloud's 24 hours. TG_ETOOBIG, and what signing says. */
int tg_gcp_token_write(struct tg_writer *out, const struct tg_signer *signer, const char *project,
                       int64_t wall_s, int64_t lifetime_s, int64_t *ret_expires_s,
                       struct tg_error *err) TG_CHECKED;

#endif
