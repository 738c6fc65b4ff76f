/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * hub_sas - the hub's side of a SAS token: parse, verify, and what it covers.
 *
 *     SharedAccessSignature sr={R}&sig={S}&se={E}[&skn={policy}]
 *
 * Fields come in any order. The signature covers R exactly as it was sent, a newline and E: a verifier must
 * not decode and encode R again, since clients differ in how they escape. Part of the test broker, not of the
 * product: it shares no code with it, so that both cannot be wrong in the same way. No I/O, no clock.
 */
#ifndef TESTS_PEERS_HUB_SAS_H
#define TESTS_PEERS_HUB_SAS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define HUB_SAS_FIELD_MAX 512

struct hub_sas {
    char raw_resource[HUB_SAS_FIELD_MAX]; /* as received: what the signature covers */
    char resource[HUB_SAS_FIELD_MAX];     /* percent-decoded */
    char policy[HUB_SAS_FIELD_MAX];       /* "" = signed with the device's own key */
    char raw_expiry[24];
    int64_t expiry; /* Unix seconds */
    uint8_t signature[32];
};

/* NULL, or why the text is no token. */
const char *hub_sas_parse(const char *text, struct hub_sas *ret_sas);

/* True when the token was signed with this key (base64, as the registry stores it). */
bool hub_sas_verify(const struct hub_sas *sas, const char *key_base64);

/* True when the token's resource is `resource` or a prefix of it by whole segments. The host part is compared
 * without regard to case. */
bool hub_sas_covers(const struct hub_sas *sas, const char *resource);

/* The key of one registration id under an enrolment group's key: base64(HMAC-SHA256(group key, id)). */
#define HUB_SAS_KEY_MAX 64
bool hub_sas_derive(const char *group_key_base64, const char *name, char *dst, size_t size);

/* Percent-decodes src (NUL-terminated) into dst; false on a bad escape, an escaped NUL or no room. */
bool hub_percent_decode(const char *src, size_t len, char *dst, size_t size);

#endif
