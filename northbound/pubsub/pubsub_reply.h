/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * pubsub_reply - what Pub/Sub's answer to a publish request means. Pure, but for jansson's allocations.
 *
 *     200  {"messageIds":["1000",…]}, as many as messages: they are stored
 *     401  the token is refused: a new one is made, once
 *     408, 409, 429, 499, 5xx  the same request again after a back-off (the codes that Google's own client retries)
 *     any other 4xx            for good: configuration or rights are wrong
 *     anything else            not Pub/Sub's answer: whether the messages are stored is not known, so they are sent again
 */
#ifndef TG_PUBSUB_REPLY_H
#define TG_PUBSUB_REPLY_H

#include "core/base/bytes.h"

#define TG_PUBSUB_REPLY_MAX_BYTES (256 * 1024) /* 1000 ids of at most 200 characters fit */
#define TG_PUBSUB_TEXT_BYTES      512

enum tg_pubsub_verdict {
    TG_PUBSUB_STORED,
    TG_PUBSUB_LATER,
    TG_PUBSUB_TOKEN_REFUSED,
    TG_PUBSUB_REFUSED /* for good */
};

struct tg_pubsub_reply {
    enum tg_pubsub_verdict verdict;
    char text[TG_PUBSUB_TEXT_BYTES]; /* for people; empty when stored */
};

/* `messages`: how many the request had. */
void tg_pubsub_reply_read(uint16_t status, struct tg_bytes body, uint32_t messages,
                          struct tg_pubsub_reply *ret_reply);

#endif
