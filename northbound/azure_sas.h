/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * azure_sas - shared access signatures: "SharedAccessSignature sr={R}&sig={S}[&skn={policy}]&se={E}" with
 * R = percent-encoded resource, S = percent-encoded base64(HMAC-SHA256(key, R "\n" E)), E = Unix seconds
 * (Azure docs "authenticate-authorize-sas"; bytes as azure-iot-common writes them); and keys derived from a group's. Pure.
 */
#ifndef TG_NORTHBOUND_AZURE_SAS_H
#define TG_NORTHBOUND_AZURE_SAS_H

#include "core/base/bytes.h"

/* `resource` is not encoded yet; `key` is the raw key; policy NULL = none. TG_ETOOBIG. The token is a secret. */
int tg_azure_sas_token(struct tg_writer *out, struct tg_bytes resource, struct tg_bytes key,
                       const char *policy, int64_t expiry_s) TG_CHECKED;

/* The key of one device of an enrolment group: HMAC-SHA256(group key, registration id) (Azure docs
 * "concepts-symmetric-key-attestation"). The result is a secret. TG_ENOMEM, TG_EINVAL. */
#define TG_AZURE_DERIVED_KEY_BYTES 32
int tg_azure_derive_key(struct tg_bytes group_key, struct tg_bytes registration_id,
                        uint8_t ret_key[TG_AZURE_DERIVED_KEY_BYTES]) TG_CHECKED;

#endif
