/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "core/net/websocket.h"

#include "core/net/wolfssl.h"

#include <wolfssl/wolfcrypt/sha.h>

/* --- upgrade --------------------------------------------------------------------------------------- */

#define ACCEPT_BYTES 28 /* base64 of a SHA-1 */

int tg_ws_path_check(const char *path, struct tg_error *err)
{
    char quoted[TG_QUOTE_BYTES];
    size_t n = strlen(path);
    tg_quote(quoted, path, n);
    if (path[0] != '/')
        return tg_error_set(err, TG_EINVAL, "%s is not a path: it begins with /", quoted);
    if (n > TG_WS_PATH_MAX_BYTES)
        return tg_error_set(err, TG_EINVAL, "%s has %zu characters; at most %d are allowed", quoted, n,
                            TG_WS_PATH_MAX_BYTES);
    for (const char *p = path; *p; p++)
        if (*p <= ' ' || *p >= 0x7F || *p == '#')
            return tg_error_set(err, TG_EINVAL,
                                "%s: visible ASCII without # is allowed; write other characters as %%XX",
                                quoted);
    return TG_OK;
}

static struct tg_bytes key_of(const uint8_t nonce[TG_WS_NONCE_BYTES], uint8_t memory[32])
{
    word32 len = 32;
    int rc = Base64_Encode_NoNl(nonce, TG_WS_NONCE_BYTES, memory, &len);
    return tg_bytes(memory, rc == 0 ? len : 0);
}

int tg_ws_request(struct tg_writer *w, const char *host, uint16_t port, bool tls, const char *path,
                  const uint8_t nonce[TG_WS_NONCE_BYTES])
{
    uint8_t memory[32];
    tg_http_request_begin(w, "GET", tg_bytes_str(path), host, port, tls ? 443 : 80);
    tg_http_request_header(w, "Upgrade", tg_bytes_str("websocket"));
    tg_http_request_header(w, "Connection", tg_bytes_str("Upgrade"));
    tg_http_request_header(w, "Sec-WebSocket-Key", key_of(nonce, memory));
    tg_http_request_header(w, "Sec-WebSocket-Version", tg_bytes_str("13"));
    tg_http_request_header(w, "Sec-WebSocket-Protocol", tg_bytes_str("mqtt"));
    return tg_http_request_end(w, TG_HTTP_NO_BODY);
}

/* What the server makes of the key (RFC 6455 section 4.2.2, 5.4). */
static bool accepts(struct tg_bytes answer, const uint8_t nonce[TG_WS_NONCE_BYTES])
{
    static const char guid[] = "258EAFA5-E914-47DA-95CA-C5AB0DC85B11";
    uint8_t memory[32], text[32 + sizeof guid], digest[WC_SHA_DIGEST_SIZE], accept[ACCEPT_BYTES + 4];
    struct tg_writer w = tg_writer_init(text, sizeof text);
    word32 len = sizeof accept;
    tg_write_bytes(&w, key_of(nonce, memory));
    tg_write_str(&w, guid);
    return wc_ShaHash(text, (word32)w.len, digest) == 0 &&
           Base64_Encode_NoNl(digest, sizeof digest, accept, &len) == 0 &&
           tg_bytes_eq(answer, tg_bytes(accept, len));
}

static int refused(const struct tg_http_response *r, const char *path, struct tg_error *err)
{
    char phrase[TG_QUOTE_BYTES], asked[TG_QUOTE_BYTES];
    int code = r->status == 401 || r->status == 403   ? TG_EAUTH
               : r->status == 429 || r->status >= 500 ? TG_ECONNECT
                                                      : TG_EPROTO;
    const char *what = r->status == 404                      ? ": is the path right?"
                       : r->status >= 300 && r->status < 400 ? ": redirects are not followed"
                       : r->status == 426                    ? ": it wants another WebSocket version"
                                                             : "";
    return tg_error_set(err, code, "refused the WebSocket at %s with %u %s%s",
                        tg_quote(asked, path, strlen(path)), r->status,
                        tg_quote(phrase, (const char *)r->phrase.data, r->phrase.len), what);
}

int tg_ws_check_answer(const struct tg_http_response *r, const uint8_t nonce[TG_WS_NONCE_BYTES],
                       const char *path, struct tg_error *err)
{
    char quoted[TG_QUOTE_BYTES];
    struct tg_bytes value = {0};
    if (r->status != 101)
        return refused(r, path, err);
    if (!tg_http_response_has_token(r, "upgrade", "websocket") ||
        !tg_http_response_has_token(r, "connection", "upgrade"))
        return tg_error_set(err, TG_EPROTO, "changed to another protocol than WebSocket");
    if (!tg_http_response_header(r, "sec-websocket-accept", &value) || !accepts(value, nonce))
        return tg_error_set(err, TG_EPROTO, "gave the wrong answer to the WebSocket key");
    if (tg_http_response_header(r, "sec-websocket-extensions", &value) && value.len > 0)
        return tg_error_set(err, TG_EPROTO, "wants WebSocket extensions that were not offered");
    if (!tg_http_response_header(r, "sec-websocket-protocol", &value))
        return tg_error_set(err, TG_EPROTO, "speaks WebSocket but not MQTT at this path");
    if (!tg_bytes_eq_str(value, "mqtt"))
        return tg_error_set(err, TG_EPROTO, "speaks %s in the WebSocket, which is not MQTT",
                            tg_quote(quoted, (const char *)value.data, value.len));
    return TG_OK;
}

/* --- writing --------------------------------------------------------------------------------------- */

#define FIN    0x80
#define MASKED 0x80

size_t tg_ws_write_head(uint8_t out[TG_WS_HEAD_MAX_BYTES], enum tg_ws_opcode opcode, uint64_t len,
                        const uint8_t mask[4])
{
    struct tg_writer w = tg_writer_init(out, TG_WS_HEAD_MAX_BYTES);
    tg_write_u8(&w, (uint8_t)(FIN | opcode));
    if (len <= 125) {
        tg_write_u8(&w, (uint8_t)(MASKED | len));
    } else if (len <= UINT16_MAX) {
        tg_write_u8(&w, MASKED | 126);
        tg_write_u16be(&w, (uint16_t)len);
    } else {
        tg_write_u8(&w, MASKED | 127);
        tg_write_u32be(&w, (uint32_t)(len >> 32));
        tg_write_u32be(&w, (uint32_t)len);
    }
    tg_write_bytes(&w, tg_bytes(mask, 4));
    return w.len;
}

void tg_ws_mask(uint8_t *out, struct tg_bytes in, const uint8_t mask[4], uint64_t at)
{
    uint8_t turned[4];
    uint32_t word, pattern;
    size_t i = 0;
    for (unsigned k = 0; k < 4; k++)
        turned[k] = mask[(at + k) & 3];
    memcpy(&pattern, turned, 4);
    for (; i + 4 <= in.len; i += 4) {
        memcpy(&word, in.data + i, 4);
        word ^= pattern;
        memcpy(out + i, &word, 4);
    }
    for (; i < in.len; i++)
        out[i] = in.data[i] ^ turned[i & 3];
}

/* --- reading --------------------------------------------------------------------------------------- */

static int fail(struct tg_ws_reader *r, int code, const char *reason)
{
    r->reason = reason;
    r->error = code;
    return code;
}

static bool is_control(const struct tg_ws_reader *r)
{
    return r->opcode >= TG_WS_OP_CLOSE;
}

/* The head is complete up to `need` bytes. */
static bool gather(struct tg_ws_reader *r, struct tg_bytes *piece, size_t need)
{
    while (r->head_len < need && piece->len > 0) {
        r->head[r->head_len++] = piece->data[0];
        *piece = tg_bytes(piece->data + 1, piece->len - 1);
    }
    return r->head_len >= need;
}

static int check_first(struct tg_ws_reader *r)
{
    uint8_t opcode = r->head[0] & 0x0F;
    r->fin = r->head[0] & FIN;
    if (r->head[0] & 0x70)
        return fail(r, TG_EPROTO, "a frame has reserved bits set");
    if (r->head[1] & MASKED)
        return fail(r, TG_EPROTO, "a frame of the server is masked");
    switch (opcode) {
    case TG_WS_OP_CONTINUATION:
        if (!r->in_message)
            return fail(r, TG_EPROTO, "a continuation of nothing");
        break;
    case TG_WS_OP_BINARY:
        if (r->in_message)
            return fail(r, TG_EPROTO, "a new message within another one");
        break;
    case TG_WS_OP_TEXT:
        return fail(r, TG_EPROTO, "a text frame: MQTT is binary");
    case TG_WS_OP_CLOSE:
    case TG_WS_OP_PING:
    case TG_WS_OP_PONG:
        if (!r->fin || (r->head[1] & 0x7F) > TG_WS_CONTROL_BYTES)
            return fail(r, TG_EPROTO, "a control frame in pieces, or longer than 125 bytes");
        break;
    default:
        return fail(r, TG_EPROTO, "a frame of a kind that does not exist");
    }
    r->opcode = opcode;
    return TG_OK;
}

/* 1 = a frame begins, 0 = more is needed. */
static int read_head(struct tg_ws_reader *r, struct tg_bytes *piece)
{
    int rc;
    if (!gather(r, piece, 2))
        return 0;
    if (r->head_len == 2 && (rc = check_first(r)) < 0)
        return rc;
    uint64_t len = r->head[1] & 0x7F;
    size_t more = len == 126 ? 2 : len == 127 ? 8 : 0;
    if (!gather(r, piece, 2 + more))
        return 0;
    if (more > 0) {
        uint64_t shortest = more == 2 ? 126 : (uint64_t)UINT16_MAX + 1;
        len = 0;
        for (size_t i = 0; i < more; i++)
            len = len << 8 | r->head[2 + i];
        if (len < shortest)
            return fail(r, TG_EPROTO, "a length that is not the shortest");
        if (len > TG_WS_FRAME_MAX_BYTES)
            return fail(r, TG_ETOOBIG, "a frame larger than any MQTT packet");
    }
    r->left = len;
    r->head_len = 0;
    r->in_payload = true;
    if (is_control(r))
        r->control_len = 0;
    else
        r->in_message = !r->fin;
    return 1;
}

/* Codes that a peer may send (RFC 6455 section 7.4). */
static bool code_exists(uint16_t code)
{
    return (code >= 1000 && code <= 1003) || (code >= 1007 && code <= 1014) || (code >= 3000 && code <= 4999);
}

static int end_control(struct tg_ws_reader *r)
{
    if (r->opcode == TG_WS_OP_PONG)
        return TG_WS_MORE; /* to a ping that was never sent: allowed, and nothing (section 5.5.3) */
    if (r->opcode == TG_WS_OP_PING)
        return TG_WS_PING;
    r->closed = true;
    r->close_code = 0;
    if (r->control_len == 0)
        return TG_WS_CLOSE;
    r->close_code = r->control_len >= 2 ? (uint16_t)((unsigned)r->control[0] << 8 | r->control[1]) : 0;
    if (!code_exists(r->close_code))
        return fail(r, TG_EPROTO, "a close frame with a code that does not exist");
    if (!tg_utf8_valid(tg_bytes(r->control + 2, r->control_len - 2u)))
        return fail(r, TG_EPROTO, "a close frame whose text is not UTF-8");
    return TG_WS_CLOSE;
}

int tg_ws_read(struct tg_ws_reader *r, struct tg_bytes *piece, struct tg_bytes *ret_data)
{
    if (r->error)
        return r->error;
    for (;;) {
        if (r->closed) {
            *piece = tg_bytes(NULL, 0);
            return TG_WS_MORE;
        }
        if (!r->in_payload) {
            int rc = read_head(r, piece);
            if (rc <= 0)
                return rc;
        }
        size_t n = r->left < piece->len ? (size_t)r->left : piece->len;
        struct tg_bytes part = tg_bytes(piece->data, n);
        *piece = tg_bytes(piece->data + n, piece->len - n);
        r->left -= n;
        r->in_payload = r->left > 0;
        if (!is_control(r)) {
            if (n > 0) {
                *ret_data = part;
                return TG_WS_DATA;
            }
        } else {
            if (n > 0)
                memcpy(r->control + r->control_len, part.data, n);
            r->control_len = (uint8_t)(r->control_len + n);
            int rc = r->in_payload ? TG_WS_MORE : end_control(r);
            if (rc != TG_WS_MORE)
                return rc;
        }
        if (piece->len == 0)
            return TG_WS_MORE;
    }
}

const char *tg_ws_close_text(uint16_t code)
{
    static const struct {
        uint16_t code;
        const char *text;
    } texts[] = {{1000, "done"},
                 {1001, "going away"},
                 {1002, "protocol error"},
                 {1003, "cannot take such data"},
                 {1007, "data that does not fit"},
                 {1008, "against its policy"},
                 {1009, "a message too big"},
                 {1010, "an extension is missing"},
                 {1011, "an error of its own"},
                 {1012, "restarting"},
                 {1013, "try again later"},
                 {1014, "bad answer behind the gateway"}};
    for (size_t i = 0; i < sizeof texts / sizeof texts[0]; i++)
        if (texts[i].code == code)
            return texts[i].text;
    return "";
}
