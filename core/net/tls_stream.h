/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * tls_stream - one TLS client session over memory: bytes from the socket go in, bytes for the socket come out
 * of `send`, and nothing here waits or knows a socket.
 *
 *     new ──► handshake (again with each input until 1) ──► read / write … ──► close_notify ──► free
 *
 * Input is a view that each call eats from the front; what remains of a record is kept by wolfSSL, so the
 * view is always used up. Loop thread only. A function that returns an error has filled *err; the session is
 * then good for tg_tls_stream_free() only.
 */
#ifndef TG_NET_TLS_STREAM_H
#define TG_NET_TLS_STREAM_H

#include "core/net/stream.h"
#include "core/net/wolfssl.h"

struct tg_tls_stream;

struct tg_tls_stream_options {
    struct tg_tls_context *ctx;
    const char *host;
    const struct tg_tls_credential *credential; /* may be NULL */
    struct tg_tls_ticket *ticket;               /* may be NULL; lent for the session's life */
    const char *alpn;                           /* NULL = none; else the server must agree; lent likewise */
    /* Takes all bytes or fails with a TG_E… code. */
    int (*send)(void *user, struct tg_bytes bytes);
    void *user;
};

int tg_tls_stream_new(const struct tg_tls_stream_options *o, struct tg_tls_stream **ret_stream,
                      struct tg_error *err) TG_CHECKED;
void tg_tls_stream_free(struct tg_tls_stream *t);

/* Call first with empty input. 1 = done, all checks passed; 0 = more input is needed. After 1 the memory that
 * only the handshake needed is gone and the session is in the ticket. */
int tg_tls_stream_handshake(struct tg_tls_stream *t, struct tg_bytes *in, struct tg_error *err) TG_CHECKED;
/* The same in two steps, for keys in a token, which sign at their own speed: shake() may run on any one thread, while nobody
 * else touches the session (what the options point to is not looked at, but for `host` and `send`); conclude() is for the loop. */
bool tg_tls_stream_is_slow(const struct tg_tls_stream *t);
void tg_tls_stream_shake(struct tg_tls_stream *t, struct tg_bytes *in);
int tg_tls_stream_conclude(struct tg_tls_stream *t, struct tg_error *err) TG_CHECKED;

/* Decrypts at most one record: > 0 = bytes in `out`; 0 = the input is used up; TG_EEOF = the peer said
 * close_notify (err is filled too). */
int tg_tls_stream_read(struct tg_tls_stream *t, struct tg_bytes *in, uint8_t *out, size_t cap,
                       struct tg_error *err) TG_CHECKED;
/* Encrypts and sends everything, a record per 16 KiB. */
int tg_tls_stream_write(struct tg_tls_stream *t, struct tg_bytes data, struct tg_error *err) TG_CHECKED;
/* Says good-bye, best effort. */
void tg_tls_stream_close_notify(struct tg_tls_stream *t);

/* True if the last that the peer said was a fatal alert. */
bool tg_tls_stream_was_alerted(const struct tg_tls_stream *t);
/* The other side ended the connection in the handshake, with or without an alert: maybe nothing that was offered suits it, so the
 * next attempt offers what there is beyond (tg_tls_context_offer_more()). */
void tg_tls_stream_broken_off(struct tg_tls_stream *t);
/* The transport ended without close_notify: says why, from the last alert if there was one. */
int tg_tls_stream_explain_cut(struct tg_tls_stream *t, struct tg_error *err);

/* resumed, version, cipher. */
void tg_tls_stream_describe(const struct tg_tls_stream *t, struct tg_stream_stats *stats);

/* wolfSSL's I/O callbacks, set by tls_context. */
int tg_tls_stream_recv(WOLFSSL *ssl, char *buffer, int size, void *arg);
int tg_tls_stream_send(WOLFSSL *ssl, char *buffer, int size, void *arg);

#endif
