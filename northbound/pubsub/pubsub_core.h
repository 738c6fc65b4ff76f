/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * pubsub_core - one connection to Pub/Sub's REST service as a state machine without I/O: one batch at a time is written as a
 * request, its answer is read, and the same request goes again until the cloud has said that it stored it, or refused it for
 * good. No clock, no random source, no TLS: times and random bits come with the events.
 *
 *     batch_begin() add()… ──► send() ──WRITE──► [connection] ──► data() ──► PUBLISHED ──► the batch is over
 *                                ▲   └─TOKEN─► token()              │
 *                                └────── PAUSED (429, 503 …) ◄──────┤  back-off with jitter, Retry-After; the connection stays
 *                                └────── NEW_TOKEN (401, once) ◄────┤
 *                                        FAILED ◄───────────────────┘  give the connection up and try again by event->retry
 *
 * THE BATCH   belongs to one device and stays, byte for byte, over pauses, tokens and connections: never another body under
 * the same seq. Only batch_drop() and PUBLISHED end it.
 * CLOSING   A keep-alive connection may be closed by the server at any time between requests: eof() then says GOES_ON with
 * `reconnect`, which is no failure, also when it crossed a request on a connection that has served others: the request goes
 * again on the next one. When an answer has begun, or nothing was ever answered, it is a failure.
 * MEMORY   A request: TG_PUBSUB_BATCH_BYTES and a message, at most TG_PUBSUB_REQUEST_BYTES; an answer: TG_PUBSUB_REPLY_MAX_BYTES
 * while it is read; 16 KiB for its head. Tokens are wiped.
 */
#ifndef TG_PUBSUB_CORE_H
#define TG_PUBSUB_CORE_H

#include "core/base/backoff.h"
#include "core/http/retry_after.h"
#include "northbound/pubsub/pubsub_reply.h"
#include "northbound/pubsub/pubsub_request.h"

#define TG_PUBSUB_TOKEN_BYTES   4096
#define TG_PUBSUB_HEAD_ROOM     (TG_PUBSUB_TOKEN_BYTES + 2048) /* request line, Host, Authorization … */
#define TG_PUBSUB_REQUEST_BYTES (1024 * 1024) /* head and body: what one stream write takes */
#define TG_PUBSUB_BATCH_BYTES   (256 * 1024)  /* a body of this size gets no further message */

struct tg_pubsub_core_options {
    const char *host; /* borrowed, as project and topic */
    uint16_t port;
    const char *project, *topic;
    bool authorize;            /* false: no token at all (emulator) */
    uint32_t max_messages;     /* of a request; 1 … TG_PUBSUB_MAX_MESSAGES */
    int64_t reply_timeout_ms;  /* from the request to the end of its answer */
    struct tg_backoff backoff; /* of pauses */
};

enum tg_pubsub_send {
    TG_PUBSUB_NOTHING, /* no batch, not connected, paused, or an answer is awaited */
    TG_PUBSUB_TOKEN,   /* give a token first */
    TG_PUBSUB_WRITE    /* *ret_bytes is to be written, all of it */
};

enum tg_pubsub_outcome {
    TG_PUBSUB_GOES_ON,
    TG_PUBSUB_PUBLISHED, /* the batch is stored and over */
    TG_PUBSUB_PAUSED,    /* the cloud asks for time: the batch goes again at tg_pubsub_core_deadline() */
    TG_PUBSUB_NEW_TOKEN, /* the token was refused: call send() */
    TG_PUBSUB_FAILED     /* the connection is of no more use */
};

struct tg_pubsub_event {
    enum tg_pubsub_outcome outcome;
    enum tg_retry retry; /* of FAILED */
    bool reconnect;      /* the server ends this connection: a new one is wanted, without a back-off */
    int64_t wait_ms;     /* of PAUSED */
    char text[TG_PUBSUB_TEXT_BYTES];
};

struct tg_pubsub_core {
    struct tg_pubsub_core_options o;
    bool connected, sent;
    bool served;           /* this connection has brought an answer */
    bool token_is_fresh;   /* it was made because another one had been refused */
    int64_t token_until_s; /* a new one is wanted from then on; monotonic */
    int64_t resume_ms, reply_due_ms;
    uint32_t messages;        /* of the batch; 0 = there is none */
    struct tg_buffer request; /* HEAD_ROOM bytes, then the body */
    struct tg_buffer reply;
    char token[TG_PUBSUB_TOKEN_BYTES]; /* "" = none */
    struct tg_http_response http;
    uint8_t head[TG_HTTP_HEAD_BYTES];
};

void tg_pubsub_core_init(struct tg_pubsub_core *c, const struct tg_pubsub_core_options *o);
void tg_pubsub_core_fini(struct tg_pubsub_core *c);

/* --- the batch --- */
/* Adds a message; the first begins the batch. Not while the batch has been sent. TG_EFULL: it goes with the next batch; TG_ETOOBIG:
 * no request can hold it; TG_ENOMEM. */
int tg_pubsub_core_add(struct tg_pubsub_core *c, const struct tg_pubsub_origin *origin, uint64_t seq,
                       struct tg_bytes data) TG_CHECKED;
/* Messages in the batch. */
uint32_t tg_pubsub_core_batch(const struct tg_pubsub_core *c);
/* Bytes of its body. */
size_t tg_pubsub_core_batch_bytes(const struct tg_pubsub_core *c);
/* Forgets it: its device is gone. Not while an answer is awaited on this connection. */
void tg_pubsub_core_batch_drop(struct tg_pubsub_core *c);

/* --- the connection --- */
void tg_pubsub_core_connected(struct tg_pubsub_core *c);
/* It is gone, for whatever reason. */
void tg_pubsub_core_closed(struct tg_pubsub_core *c);
/* A bearer token, copied; a new one is asked for from until_s on, on the clock of now_s below, which is never set. TG_ETOOBIG; TG_EINVAL for characters that no token
 * has. */
int tg_pubsub_core_token(struct tg_pubsub_core *c, struct tg_bytes token, int64_t until_s) TG_CHECKED;
bool tg_pubsub_core_has_token(const struct tg_pubsub_core *c, int64_t now_s);
/* A new one is asked for at until_s at the latest: the present one was made by a wrong time. */
void tg_pubsub_core_token_ends(struct tg_pubsub_core *c, int64_t until_s);
/* It is of a key that is not used any more. */
void tg_pubsub_core_forget_token(struct tg_pubsub_core *c);
/* What is to be done now; after every event and at the deadline. *ret_bytes (views of the core's memory, with the token: not to be
 * logged) holds until the next call. */
enum tg_pubsub_send tg_pubsub_core_send(struct tg_pubsub_core *c, int64_t now_ms, int64_t now_s,
                                        struct tg_bytes *ret_bytes);
/* Bytes from the server. After FAILED nothing more may be given until tg_pubsub_core_connected(). */
void tg_pubsub_core_data(struct tg_pubsub_core *c, int64_t now_ms, uint32_t random, struct tg_bytes data,
                         struct tg_pubsub_event *ret_event);
/* The server closed in order. Calls tg_pubsub_core_closed(). */
void tg_pubsub_core_eof(struct tg_pubsub_core *c, int64_t now_ms, uint32_t random,
                        struct tg_pubsub_event *ret_event);
/* When something is due: the end of a pause, the latest time for an answer; INT64_MAX = nothing. */
int64_t tg_pubsub_core_deadline(const struct tg_pubsub_core *c);
/* GOES_ON, or FAILED when no answer came in time. */
void tg_pubsub_core_tick(struct tg_pubsub_core *c, int64_t now_ms, struct tg_pubsub_event *ret_event);

#endif
