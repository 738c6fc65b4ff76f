/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * stream_private - the state of a stream, for stream.c (socket, TLS, life) and stream_layers.c (the way through a proxy, and
 * WebSocket over what the others carry).
 *
 *     bytes from the socket ─► proxy's answer │ TLS records ─► WebSocket answer │ frames ─► on_data
 *
 * With a key in a token each step of the TLS handshake runs in libuv's thread pool (stream_shake.c); meanwhile what arrives and an
 * end wait, and the memory stays until the step has returned.
 *
 * A callback may close the stream: after one, `state` says whether to go on. The memory stays until the loop turns.
 */
#ifndef TG_NET_STREAM_PRIVATE_H
#define TG_NET_STREAM_PRIVATE_H

#include "core/http/http_client.h"
#include "core/net/stream.h"
#include "core/net/tcp_connect.h"
#include "core/net/tcp_stream.h"
#include "core/net/tls_stream.h"
#include "core/net/websocket.h"

#define TG_STREAM_MAGIC 0x57e4a3u

enum tg_stream_state {
    TG_STREAM_CONNECTING,  /* tcp_connect's answer → PROXYING, HANDSHAKING, UPGRADING, READY, ENDED */
    TG_STREAM_PROXYING,    /* 2xx → HANDSHAKING, UPGRADING, READY; refused, cut, timer → ENDED */
    TG_STREAM_HANDSHAKING, /* done → UPGRADING, READY; refused, cut, timer → ENDED */
    TG_STREAM_UPGRADING,   /* 101 → READY; refused, cut, timer → ENDED */
    TG_STREAM_READY,       /* peer's end, error → ENDED; close → LINGERING, GOING */
    TG_STREAM_ENDED,       /* on_end was called; close → GOING */
    TG_STREAM_LINGERING,   /* queue, close_notify and FIN are on their way; peer's end, timer → GOING */
    TG_STREAM_GOING        /* handles are closing; then the memory goes */
};

/* A request under way before the stream is ready: CONNECT, or the upgrade to WebSocket. */
struct tg_stream_exchange {
    struct tg_http_response response;
    uint8_t nonce[TG_WS_NONCE_BYTES];
    uint8_t head[TG_HTTP_HEAD_BYTES];
};

struct tg_stream {
    uint32_t magic;
    enum tg_stream_state state;
    struct tg_loop *loop;
    struct tg_stream_callbacks cb;
    void *user;
    struct tg_stream_options o; /* host, proxy_host, websocket_path are our copies; no password in it */
    char *host, *proxy_host, *websocket_path;
    struct tg_buffer proxy_request; /* secret; until it is sent */
    struct tg_stream_exchange *exchange;
    struct tg_ws_reader *websocket; /* NULL = bytes are the peer's as they are */
    struct tg_tcp_connect *connect; /* while CONNECTING */
    struct tg_tcp_stream tcp;
    struct tg_tls_stream *tls;
    struct tg_deadline timer;
    struct tg_stream_stats stats;
    int64_t connect_by_ms;         /* the end of connect_timeout_ms */
    int pending_code;              /* an end that is to be told from the loop */
    bool asked_with_user;          /* the proxy */
    struct tg_stream_shake *shake; /* a step of the handshake in the thread pool; NULL = none */
    struct tg_buffer unshaken;     /* what arrived meanwhile */
    int unshaken_end;              /* so did an end (uv error); 0 = none */
    bool want_writable, tcp_closing, tcp_closed, timer_closed;
    void (*closed)(void *user);
    void *closed_user;
};

/* --- stream.c ------------------------------------------------------------------------------------ */
/* on_end(err); the stream may be closed after it. */
void tg_stream_end(struct tg_stream *s, const struct tg_error *err);
/* Through TLS where there is some. */
int tg_stream_lower_write(struct tg_stream *s, struct tg_bytes data) TG_CHECKED;
/* The proxy has opened the way, or there is none: TLS, WebSocket, or ready. */
void tg_stream_way_is_open(struct tg_stream *s);
void tg_stream_is_ready(struct tg_stream *s);

/* The socket has ended; told once no step of the handshake is under way. */
void tg_stream_tcp_ended(struct tg_stream *s, int uv_error);
/* The handshake is done, with what followed it. */
void tg_stream_shaken(struct tg_stream *s, struct tg_bytes rest);
void tg_stream_free_if_closed(struct tg_stream *s);

/* --- stream_shake.c ------------------------------------------------------------------------------- */
/* Gives input to the handshake, in the thread pool. */
void tg_stream_shake(struct tg_stream *s, struct tg_bytes in);
/* While a step is under way: its output. */
int tg_stream_shake_send(struct tg_stream *s, struct tg_bytes bytes) TG_CHECKED;
/* The connection is given up: the session belongs to the step that is under way. */
void tg_stream_shake_orphan(struct tg_stream *s);

/* --- stream_layers.c ----------------------------------------------------------------------------- */
/* Copies what the layers need of the options. TG_EINVAL, TG_ENOMEM. */
int tg_stream_layers_init(struct tg_stream *s, const struct tg_stream_options *o,
                          struct tg_error *err) TG_CHECKED;
void tg_stream_layers_fini(struct tg_stream *s);
void tg_stream_start_proxy(struct tg_stream *s);
/* Takes from the front of *bytes. */
void tg_stream_proxy_input(struct tg_stream *s, struct tg_bytes *bytes);
void tg_stream_start_websocket(struct tg_stream *s);
/* UPGRADING and READY. */
void tg_stream_websocket_input(struct tg_stream *s, struct tg_bytes bytes);
int tg_stream_websocket_write(struct tg_stream *s, struct tg_bytes data) TG_CHECKED;
/* Says good-bye, best effort. */
void tg_stream_websocket_close(struct tg_stream *s);
/* The connection ended, or its time, before the layer was there. */
void tg_stream_layer_cut(const struct tg_stream *s, const char *why, int code, struct tg_error *err);

#endif
