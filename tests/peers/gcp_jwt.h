/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * gcp_jwt - judges the tokens of IoT Core devices: header, signature (ES256 as r‖s, RS256), audience, life. By OpenSSL
 * and jansson.
 */
#ifndef TESTS_PEERS_GCP_JWT_H
#define TESTS_PEERS_GCP_JWT_H

#include <stdint.h>

#define GCP_TOKEN_LIFE_S 86400 /* exp - iat at most */

/* NULL when the token is good for this public key (PEM) and project at `now_s`, with clocks up to skew_s apart; then
 * *ret_expires_s is its exp. Otherwise the reason. */
const char *gcp_jwt_problem(const char *token, const char *public_pem, const char *project, int64_t now_s,
                            int64_t skew_s, int64_t *ret_expires_s);

#endif
