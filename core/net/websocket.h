/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * websocket - the client's side of the WebSocket protocol (RFC 6455) as MQTT uses it (OASIS MQTT 3.1.1 section 6): the
 * upgrade request and the check of its answer, frames to be written, and a reader of what the server sends. Pure: no
 * I/O, no allocation, no clock, no random source (nonce and masks are passed in).
 *
 *     tg_ws_request(&w, …nonce…);  … tg_http_response (TG_HTTP_TUNNEL) reads the answer …  tg_ws_check_answer(&r, nonce, …);
 *     struct tg_ws_reader reader = {0};
 *     while ((what = tg_ws_read(&reader, &piece, &data)) > TG_WS_MORE)
 *         if (what == TG_WS_DATA) take(data); else if (what == TG_WS_PING) pong(reader.control, reader.control_len); else …
 *
 * Message boundaries mean nothing to MQTT: data comes as it arrives, of whatever frame or fragment, so a frame needs no
 * memory. HOSTILE INPUT: what RFC 6455 forbids a server is TG_EPROTO with `reason`: masked frames, reserved bits and
 * opcodes, text (MQTT-6.0.0-1), lengths that are not the shortest, control frames that are long or in pieces,
 * continuations of nothing, close codes that do not exist. A frame above TG_WS_FRAME_MAX_BYTES is TG_ETOOBIG. After an error every
 * call gives the same one; after a close frame nothing is read any more.
 */
#ifndef TG_NET_WEBSOCKET_H
#define TG_NET_WEBSOCKET_H

#include "core/http/http_client.h"

#define TG_WS_NONCE_BYTES     16
#define TG_WS_CONTROL_BYTES   125
#define TG_WS_FRAME_MAX_BYTES (UINT64_C(256) << 20) /* the largest MQTT packet */
#define TG_WS_PATH_MAX_BYTES  255

/* --- upgrade --------------------------------------------------------------------------------------- */

/* What can be asked for: begins with '/', visible ASCII, no '#', at most TG_WS_PATH_MAX_BYTES. TG_EINVAL with the reason. */
int tg_ws_path_check(const char *path, struct tg_error *err) TG_CHECKED;
/* The whole request. `tls` decides which port need not be named. TG_ETOOBIG. */
int tg_ws_request(struct tg_writer *w, const char *host, uint16_t port, bool tls, const char *path,
                  const uint8_t nonce[TG_WS_NONCE_BYTES]) TG_CHECKED;
/* After TG_HTTP_HEAD: TG_OK when the connection speaks MQTT in WebSocket frames now. Else why not, for people, without the
 * server's name: TG_EAUTH (401, 403), TG_EPROTO, TG_ECONNECT (the server cannot now: 429, 5xx). */
int tg_ws_check_answer(const struct tg_http_response *r, const uint8_t nonce[TG_WS_NONCE_BYTES],
                       const char *path, struct tg_error *err) TG_CHECKED;

/* --- writing --------------------------------------------------------------------------------------- */

enum tg_ws_opcode {
    TG_WS_OP_CONTINUATION = 0,
    TG_WS_OP_TEXT = 1,
    TG_WS_OP_BINARY = 2,
    TG_WS_OP_CLOSE = 8,
    TG_WS_OP_PING = 9,
    TG_WS_OP_PONG = 10
};

#define TG_WS_HEAD_MAX_BYTES 14
/* The head of one whole frame with `len` bytes of payload; returns its length. */
size_t tg_ws_write_head(uint8_t out[TG_WS_HEAD_MAX_BYTES], enum tg_ws_opcode opcode, uint64_t len,
                        const uint8_t mask[4]);
/* Masks a piece of the payload that begins `at` bytes into it. `out` may be `in`. */
void tg_ws_mask(uint8_t *out, struct tg_bytes in, const uint8_t mask[4], uint64_t at);

/* --- reading --------------------------------------------------------------------------------------- */

enum tg_ws_result {
    TG_WS_MORE = 0, /* everything was taken */
    TG_WS_DATA,     /* *ret_data is a view of *piece, not empty; call again */
    TG_WS_PING,     /* answer with a pong of control, control_len; call again */
    TG_WS_CLOSE     /* close_code (0 = none given) and its text in control + 2; nothing comes after it */
};

/* Zero-initialise. */
struct tg_ws_reader {
    uint8_t control[TG_WS_CONTROL_BYTES]; /* payload of the last ping or close frame */
    uint8_t control_len;
    uint16_t close_code;
    const char *reason; /* of an error: static text for people */

    /* private */
    uint8_t head[10], head_len;
    uint8_t opcode;
    bool in_payload, in_message, fin, closed;
    int error;
    uint64_t left;
};

/* Takes from the front of *piece. enum tg_ws_result, TG_EPROTO, TG_ETOOBIG. */
int tg_ws_read(struct tg_ws_reader *r, struct tg_bytes *piece, struct tg_bytes *ret_data) TG_CHECKED;
/* "going away" for 1001 …; "" for a code without a meaning of its own. */
const char *tg_ws_close_text(uint16_t code);

#endif
