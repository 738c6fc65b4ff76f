/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * gcp_stage - keys, settings and a judge of tokens for tests of the type gcp-iot-core. The keys are those of
 * vectors/cloud/jwt.json; the judge is wolfCrypt, not the code under test.
 */
#ifndef TG_TESTS_GCP_STAGE_H
#define TG_TESTS_GCP_STAGE_H

#include <jansson.h>

#include "northbound/gcp_iot_core.h"
#include "northbound/gcp_talk.h"
#include "support/talk_rig.h"

/* "es256" or "rs256". Aborts the test when it cannot. */
struct tg_signer *gcp_stage_signer(const json_t *vectors, const char *kind);
/* A signer with a P-256 key that no other one has. */
struct tg_signer *gcp_stage_other_signer(void);

/* project plant-one, region us-central1, registry meters, and these pairs. tg_settings_free(). */
struct tg_settings *gcp_stage_settings(const char *const *pairs);

/* The claims of a token whose signature is the signer's; NULL for any other text. json_decref(). */
json_t *gcp_stage_claims(struct tg_bytes token, const struct tg_signer *signer);

#endif
