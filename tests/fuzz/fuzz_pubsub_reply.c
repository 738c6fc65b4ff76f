/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * Any bytes as what Pub/Sub or the token service answers, after the first byte: which of them, and how.
 *   0  the body of an answer to a publish request      1  the body of an answer to a token request
 *   2  a connection's bytes, in pieces, with a batch under way
 */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "core/base/assert.h"
#include "northbound/pubsub/pubsub_core.h"
#include "northbound/pubsub/pubsub_token.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static const uint16_t statuses[] = {200, 400, 401, 403, 404, 409, 429, 499, 500, 503, 302};

static void read_publish(uint16_t status, struct tg_bytes body)
{
    struct tg_pubsub_reply reply;
    tg_pubsub_reply_read(status, body, 2, &reply);
    TG_ASSERT((reply.verdict == TG_PUBSUB_STORED) == (reply.text[0] == '\0'));
    TG_ASSERT(reply.verdict != TG_PUBSUB_STORED || status == 200);
    TG_ASSERT(tg_utf8_valid(tg_bytes_str(reply.text)));
}

static void read_token(uint16_t status, struct tg_bytes body)
{
    char token[128];
    int64_t life = 0;
    enum tg_retry retry;
    struct tg_error err = {0};
    int rc = tg_pubsub_token_reply(status, body, token, sizeof token, &life, &retry, &err);
    TG_ASSERT(rc == TG_OK || err.text[0]);
    TG_ASSERT(rc < 0 || (status == 200 && life > 0 && token[0] && !strpbrk(token, "\r\n \t")));
}

static void talk(struct tg_bytes bytes, size_t step)
{
    static struct tg_pubsub_core core;
    static const struct tg_pubsub_core_options o = {.host = "h",
                                                    .port = 443,
                                                    .project = "p",
                                                    .topic = "t",
                                                    .authorize = true,
                                                    .max_messages = 1,
                                                    .reply_timeout_ms = 1000,
                                                    .backoff = {.base_ms = 10, .cap_ms = 100}};
    static const struct tg_pubsub_origin origin = {.device = "d", .gateway = "g", .content = {"a/b", "", ""}};
    struct tg_pubsub_event event;
    struct tg_bytes request;
    int64_t now_ms = 0;
    tg_pubsub_core_init(&core, &o);
    tg_pubsub_core_connected(&core);
    for (size_t at = 0; at < bytes.len; at += step) {
        enum tg_pubsub_send todo;
        if (tg_pubsub_core_batch(&core) == 0)
            TG_ASSERT(tg_pubsub_core_add(&core, &origin, at, tg_bytes_str("x")) == TG_OK);
        if (tg_pubsub_core_deadline(&core) != INT64_MAX && !core.sent)
            now_ms = tg_pubsub_core_deadline(&core);
        todo = tg_pubsub_core_send(&core, now_ms, 0, &request);
        if (todo == TG_PUBSUB_TOKEN)
            TG_ASSERT(tg_pubsub_core_token(&core, tg_bytes_str("t"), 1) == TG_OK);
        tg_pubsub_core_data(&core, now_ms, 7,
                            tg_bytes(bytes.data + at, bytes.len - at < step ? bytes.len - at : step), &event);
        TG_ASSERT(event.outcome != TG_PUBSUB_PUBLISHED || tg_pubsub_core_batch(&core) == 0);
        TG_ASSERT(event.outcome == TG_PUBSUB_PUBLISHED || tg_pubsub_core_batch(&core) == 1);
        TG_ASSERT(event.outcome == TG_PUBSUB_GOES_ON || event.outcome == TG_PUBSUB_PUBLISHED ||
                  event.text[0]);
        if (event.outcome == TG_PUBSUB_FAILED || event.reconnect)
            tg_pubsub_core_connected(&core);
    }
    tg_pubsub_core_eof(&core, now_ms, 7, &event);
    TG_ASSERT(tg_pubsub_core_deadline(&core) == INT64_MAX);
    tg_pubsub_core_fini(&core);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    uint16_t status;
    if (size < 1 || size > 65536)
        return 0;
    status = statuses[data[0] / 3 % (sizeof statuses / sizeof statuses[0])];
    switch (data[0] % 3) {
    case 0:
        read_publish(status, tg_bytes(data + 1, size - 1));
        break;
    case 1:
        read_token(status, tg_bytes(data + 1, size - 1));
        break;
    default:
        talk(tg_bytes(data + 1, size - 1), data[0] % 32 + 1u);
        break;
    }
    return 0;
}
