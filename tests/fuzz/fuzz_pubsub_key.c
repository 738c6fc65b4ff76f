/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * Any bytes as a service account's key file. What is taken makes a token.
 */
#include <stdint.h>

#include "core/base/assert.h"
#include "northbound/pubsub/pubsub_token.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct tg_pubsub_key key;
    struct tg_error err = {0};
    char token[4096];
    struct tg_writer w = tg_writer_init(token, sizeof token);
    int rc = tg_pubsub_key_parse(tg_bytes(data, size), "file", &key, &err);
    TG_ASSERT(rc == TG_OK || err.text[0]);
    if (rc < 0)
        return 0;
    rc = tg_pubsub_token_self_signed(&w, &key, "https://x/", 1700000000, &err);
    TG_ASSERT(rc == TG_OK || err.text[0]);
    tg_pubsub_key_free(&key);
    return 0;
}
