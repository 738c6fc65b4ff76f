/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * http - the local HTTP endpoint: an operator's browser and Prometheus read it, nobody changes anything through it. One
 * libmicrohttpd daemon without a thread, driven from the loop by its epoll descriptor and its own time-out.
 *
 *     new ──bound──► listening ◄─► (requests)
 *         └─in use──► refused ──TG_HTTP_AGAIN_MS──► tried again          close ──► gone, on the loop
 *
 * REQUESTS   GET and HEAD; else 405. One request a connection (`Connection: close`). On a loopback address the Host header must
 * name this machine (localhost or a loopback address): a web page that some browser here has open cannot read it by a name that
 * resolves to 127.0.0.1. Answers are never cached.
 * BOUNDS     TG_HTTP_MAX_CONNECTIONS (further ones wait in the listen queue); the request with its headers has
 * TG_HTTP_REQUEST_BYTES; from accept to the last byte of the answer TG_HTTP_LIFE_MS, however busy the client is. Of answers
 * that are on their way at most TG_HTTP_ANSWERS_BYTES are held before the one that exceeds it: then 503 with Retry-After.
 * Loop thread.
 */
#ifndef TG_GATEWAY_HTTP_H
#define TG_GATEWAY_HTTP_H

#include "config/http_address.h"
#include "core/net/loop.h"

#define TG_HTTP_MAX_CONNECTIONS 16
#define TG_HTTP_REQUEST_BYTES   8192
#define TG_HTTP_LIFE_MS         10000
#define TG_HTTP_AGAIN_MS        10000
#define TG_HTTP_ANSWERS_BYTES   (8 * 1024 * 1024)

struct tg_http;

struct tg_http_answer {
    unsigned status; /* 200, 503, … */
    const char *content_type;
    const char *policy; /* Content-Security-Policy, NULL = none */
    char *text;         /* from tg_malloc(): given; or static */
    size_t len;
    bool is_static;
};

/* Makes the answer for a path; false: there is no such page. */
typedef bool (*tg_http_answer_fn)(void *user, const char *path, struct tg_http_answer *ret_answer);

/* `address` as in the configuration, checked. An address that cannot be used is no error: it is told in the log and in
 * tg_http_trouble(), and tried again. TG_ENOMEM. */
int tg_http_new(struct tg_loop *loop, const char *address, tg_http_answer_fn answer, void *user,
                struct tg_http **ret_http, struct tg_error *err) TG_CHECKED;
/* Another limit than TG_HTTP_LIFE_MS, for connections that come from now on. */
void tg_http_limit_life(struct tg_http *h, int64_t ms);
/* Ends all connections at once. */
void tg_http_close(struct tg_http *h);
const char *tg_http_address(const struct tg_http *h);
/* Why it does not listen; "" = it does. */
const char *tg_http_trouble(const struct tg_http *h);
uint64_t tg_http_requests(const struct tg_http *h);

#endif
