/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * http_client - HTTP/1.1 (RFC 9110, RFC 9112) as a client speaks it: a request head is written into lent memory, a response
 * is read from whatever pieces the connection gives. Pure: no I/O, no allocation, no clock. It serves Pub/Sub, token
 * requests, and the answers to CONNECT and Upgrade.
 *
 * It is not a general client: no pipelining, no content codings, no redirects, no HTTP/2.
 *
 *     uint8_t head[TG_HTTP_HEAD_BYTES];
 *     struct tg_http_response r;
 *     tg_http_response_init(&r, head, sizeof head, TG_HTTP_PLAIN);
 *     … for each piece that arrives:
 *     while ((what = tg_http_response_feed(&r, &piece, &body)) > TG_HTTP_MORE && what != TG_HTTP_END)
 *         if (what == TG_HTTP_BODY) keep(body);
 *     if (what == TG_HTTP_END) …r.status, tg_http_response_header(&r, "retry-after"), r.keep_alive…
 *     if (what < 0) …r.reason…
 *     … when the peer closes: tg_http_response_eof(&r)
 *
 * HOSTILE INPUT   What is not exactly the grammar is TG_EPROTO: bare LF or CR, control characters, white space before a
 * colon, folded lines, lengths that differ or overflow, Content-Length together with Transfer-Encoding, codings other
 * than chunked. Head, trailers and chunk lines are bounded (TG_ETOOBIG); so is the number of interim responses. How long
 * a body may be is for the caller to say. After an error every later call gives the same error.
 */
#ifndef TG_HTTP_CLIENT_H
#define TG_HTTP_CLIENT_H

#include "core/base/bytes.h"
#include "core/base/error.h"

#define TG_HTTP_HEAD_BYTES 16384 /* status line and header fields; what servers and proxies commonly allow */

/* --- request ----------------------------------------------------------------------------------- */

/* "METHOD target HTTP/1.1", Host. `port` is written when it is not `default_port`; an IPv6 address in `host` gets its
 * brackets. Then header(), then end(). Anything that cannot stand where it is put (a control character, a blank in the
 * target) makes the writer fail, so a value from outside can never begin another header field. */
void tg_http_request_begin(struct tg_writer *w, const char *method, struct tg_bytes target, const char *host,
                           uint16_t port, uint16_t default_port);
void tg_http_request_header(struct tg_writer *w, const char *name, struct tg_bytes value);
/* Content-Length (TG_HTTP_NO_BODY: none) and the empty line. TG_ETOOBIG when it did not fit, or a value could not be put. */
#define TG_HTTP_NO_BODY UINT64_MAX
int tg_http_request_end(struct tg_writer *w, uint64_t content_length) TG_CHECKED;

/* --- response ---------------------------------------------------------------------------------- */

/* What was asked, as far as it decides where the answer ends (RFC 9112 section 6.3). */
enum tg_http_kind {
    TG_HTTP_PLAIN,
    TG_HTTP_HEADLESS_BODY, /* HEAD: never a body */
    TG_HTTP_TUNNEL         /* CONNECT, Upgrade: after 2xx or 101 the bytes are the tunnel's */
};

enum tg_http_result {
    TG_HTTP_MORE = 0, /* everything was taken; the response goes on */
    TG_HTTP_HEAD,     /* status and header fields can be asked for; call again */
    TG_HTTP_BODY,     /* *ret_body is a piece of the body; call again */
    TG_HTTP_END       /* the response is complete; what is left of the piece does not belong to it */
};

struct tg_http_response {
    /* readable after TG_HTTP_HEAD */
    uint16_t status;
    uint8_t minor_version; /* HTTP/1.x */
    bool keep_alive;       /* another request may follow on this connection */
    bool until_close;      /* the body ends with the connection */
    bool chunked;
    uint64_t content_length; /* meaningful unless until_close or chunked */
    struct tg_bytes phrase;  /* the reason phrase; may be empty; foreign text */
    const char *reason;      /* of an error: static text for people */

    /* private */
    enum tg_http_kind kind;
    uint8_t *head;
    size_t head_cap, head_len, fields_at;
    uint8_t state, interim, last;
    int error;
    uint64_t left;
    uint32_t line_len, trailer_len;
    bool digits;
};

/* `head` is lent until the response is done with: at least 256 bytes, TG_HTTP_HEAD_BYTES for what strangers send. Interim
 * responses (100, 102, 103) are taken and left out. */
void tg_http_response_init(struct tg_http_response *r, uint8_t *head, size_t cap, enum tg_http_kind kind);
/* Takes from the front of *piece. enum tg_http_result; TG_EPROTO, TG_ETOOBIG. *ret_body views *piece. */
int tg_http_response_feed(struct tg_http_response *r, struct tg_bytes *piece,
                          struct tg_bytes *ret_body) TG_CHECKED;
/* The peer closed. TG_HTTP_END when that ends a body, TG_EEOF when the response was cut off (r->reason says where). */
int tg_http_response_eof(struct tg_http_response *r) TG_CHECKED;
/* True when nothing of a response has come yet. */
bool tg_http_response_untouched(const struct tg_http_response *r);
/* The value of the first field of this name (any case), without white space around it; false when there is none. */
bool tg_http_response_header(const struct tg_http_response *r, const char *name, struct tg_bytes *ret_value);
/* True when a comma-separated list (all fields of this name) has this token, in any case. */
bool tg_http_response_has_token(const struct tg_http_response *r, const char *name, const char *token);
/* A number of seconds as in Retry-After and Max-Age: decimal digits only, at most 9. False for anything else. */
bool tg_http_parse_seconds(struct tg_bytes value, uint32_t *ret_seconds);

#endif
