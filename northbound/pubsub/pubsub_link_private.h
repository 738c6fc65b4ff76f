/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * pubsub_link_private - what pubsub_link.c (requests and answers) and pubsub_login.c (key file and tokens) share.
 */
#ifndef TG_PUBSUB_LINK_PRIVATE_H
#define TG_PUBSUB_LINK_PRIVATE_H

#include "northbound/link.h"
#include "northbound/pubsub/pubsub_core.h"
#include "northbound/pubsub/pubsub_token.h"

struct tg_pubsub_link {
    struct tg_pubsub_core core;
    char host[TG_CLOUD_HOST_BYTES], project[132], topic[260];
    bool sent_before;                /* the batch has been written at least once */
    char told[TG_PUBSUB_TEXT_BYTES]; /* why it was paused, as last logged */
    int64_t told_ms;
    int64_t pace_due_ms; /* when a device that was passed over may go on; INT64_MAX = none was */
    struct tg_pubsub_key key;
    /* a token request under way (auth: exchange) */
    struct tg_stream *token_stream; /* NULL = none */
    struct tg_pubsub_token_uri token_uri;
    int64_t token_due_ms;
    struct tg_http_response token_http;
    struct tg_buffer token_body;
    uint8_t token_head[TG_HTTP_HEAD_BYTES];
};

enum tg_pubsub_token_result { TG_PUBSUB_TOKEN_THERE, TG_PUBSUB_TOKEN_COMES, TG_PUBSUB_TOKEN_FAILED };

/* The stream is up: reads the key file, gets a token, then the link is online. */
void tg_pubsub_token_login(struct tg_link *l);
/* A token for the core: at once, or later (the link then goes on by itself). FAILED: the link has failed. */
enum tg_pubsub_token_result tg_pubsub_token_get(struct tg_link *l, int64_t now_ms);
/* Gives a token request up. */
void tg_pubsub_token_stop(struct tg_link *l);
/* False: the token request took too long and the link has failed. */
bool tg_pubsub_token_tick(struct tg_link *l, int64_t now_ms);

#endif
