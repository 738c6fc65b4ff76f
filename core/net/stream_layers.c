/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * The way through a proxy, and WebSocket frames over what the layers below carry.
 */
#include "core/net/stream_private.h"

#include "core/base/allocator.h"
#include "core/base/clock.h"
#include "core/base/random.h"
#include "core/http/retry_after.h"
#include "core/net/proxy.h"

/* --- what is kept of the options ------------------------------------------------------------------ */

static int copy(const char *text, char **ret_copy)
{
    *ret_copy = text ? tg_strdup(text) : NULL;
    return text && !*ret_copy ? TG_ENOMEM : TG_OK;
}

/* The user's password is only looked at now: what is kept is the request. */
static int make_proxy_request(struct tg_stream *s, const struct tg_stream_options *o, struct tg_error *err)
{
    uint8_t memory[TG_PROXY_REQUEST_BYTES];
    struct tg_writer w = tg_writer_init(memory, sizeof memory);
    int rc = tg_proxy_request(&w, o->host, o->port, o->proxy_user, o->proxy_password);
    if (rc < 0) {
        rc = tg_error_set(err, TG_EINVAL,
                          "the proxy's user name or password cannot be sent: a colon in the name, or "
                          "a password of more than %d bytes",
                          TG_PROXY_PASSWORD_MAX);
    } else {
        s->proxy_request = tg_buffer_init(sizeof memory);
        rc = tg_buffer_append(&s->proxy_request, tg_bytes(w.data, w.len));
    }
    explicit_bzero(memory, sizeof memory);
    return rc;
}

int tg_stream_layers_init(struct tg_stream *s, const struct tg_stream_options *o, struct tg_error *err)
{
    int rc;
    s->asked_with_user = o->proxy_user != NULL;
    s->o.proxy_user = NULL;
    s->o.proxy_password = tg_bytes(NULL, 0);
    if (copy(o->host, &s->host) < 0 || copy(o->proxy_host, &s->proxy_host) < 0 ||
        copy(o->websocket_path, &s->websocket_path) < 0)
        return TG_ENOMEM;
    s->o.host = s->host;
    s->o.proxy_host = s->proxy_host;
    s->o.websocket_path = s->websocket_path;
    if (o->proxy_host && (strlen(o->proxy_host) >= TG_PROXY_HOST_BYTES || o->proxy_port == 0))
        return tg_error_set(err, TG_EINVAL, "a proxy's host of 1 to %d characters and its port are needed",
                            TG_PROXY_HOST_BYTES - 1);
    if (o->websocket_path && (rc = tg_ws_path_check(o->websocket_path, err)) < 0)
        return rc;
    if (o->proxy_host && (rc = make_proxy_request(s, o, err)) < 0)
        return rc;
    if (!o->websocket_path)
        return TG_OK;
    s->websocket = tg_calloc(1, sizeof *s->websocket);
    return s->websocket ? TG_OK : TG_ENOMEM;
}

static void forget_proxy_request(struct tg_stream *s)
{
    if (s->proxy_request.data)
        explicit_bzero(s->proxy_request.data, s->proxy_request.cap);
    tg_buffer_fini(&s->proxy_request);
}

static void end_exchange(struct tg_stream *s)
{
    tg_free(s->exchange);
    s->exchange = NULL;
}

void tg_stream_layers_fini(struct tg_stream *s)
{
    forget_proxy_request(s);
    end_exchange(s);
    tg_free(s->websocket);
    tg_free(s->websocket_path);
    tg_free(s->proxy_host);
    tg_free(s->host);
}

/* --- requests before the stream is ready ------------------------------------------------------------ */

/* Who is spoken to, before what it did. */
static void blame(const struct tg_stream *s, struct tg_error *err)
{
    if (s->state == TG_STREAM_PROXYING)
        (void)tg_error_wrap(err, "the proxy %.120s:%u", s->proxy_host, s->o.proxy_port);
    else
        (void)tg_error_wrap(err, "%.120s:%u", s->host, s->o.port);
}

void tg_stream_layer_cut(const struct tg_stream *s, const char *why, int code, struct tg_error *err)
{
    tg_error_set(err, code, "%s (%s)", why,
                 s->state == TG_STREAM_PROXYING ? "after it was asked for a way to the cloud"
                                                : "in the WebSocket handshake");
    blame(s, err);
}

static void end_with(struct tg_stream *s, int code, const char *what)
{
    struct tg_error err = {0};
    tg_stream_layer_cut(s, what, code, &err);
    tg_stream_end(s, &err);
}

/* Sends the request of a new exchange; a failure has ended the stream. */
static bool ask(struct tg_stream *s, enum tg_stream_state state, struct tg_bytes request, int64_t until_ms)
{
    int rc = TG_OK;
    s->state = state;
    tg_http_response_init(&s->exchange->response, s->exchange->head, sizeof s->exchange->head,
                          TG_HTTP_TUNNEL);
    tg_deadline_set(&s->timer, until_ms);
    rc = state == TG_STREAM_PROXYING ? tg_tcp_stream_send(&s->tcp, request)
                                     : tg_stream_lower_write(s, request);
    if (rc < 0)
        end_with(s, rc, "the request could not be sent");
    return rc == TG_OK;
}

static bool new_exchange(struct tg_stream *s)
{
    struct tg_error err = {0};
    s->exchange = tg_calloc(1, sizeof *s->exchange);
    if (s->exchange)
        return true;
    tg_error_set(&err, TG_ENOMEM, "%.120s:%u: out of memory", s->host, s->o.port);
    tg_stream_end(s, &err);
    return false;
}

/* True when the head of the answer is there; a failure has ended the stream. */
static bool answered(struct tg_stream *s, struct tg_bytes *bytes)
{
    struct tg_http_response *r = &s->exchange->response;
    struct tg_bytes body;
    int rc = tg_http_response_feed(r, bytes, &body);
    if (rc < 0)
        end_with(s, rc, r->reason);
    return rc == TG_HTTP_HEAD || rc == TG_HTTP_END;
}

/* Refused for now? A proxy says 503 too when the target cannot be reached: that alone is no wish to be left alone. */
static void look_for_pause(struct tg_stream *s, struct tg_error *err)
{
    const struct tg_http_response *r = &s->exchange->response;
    int64_t wall_ms = tg_clock_wall_ms();
    struct tg_error was;
    uint32_t seconds = 0;
    int said;
    if (r->status != 429 && r->status != 503)
        return;
    said = tg_http_retry_after(r, tg_clock_plausible(wall_ms) ? wall_ms / 1000 : 0, &seconds);
    s->stats.throttled = said > 0 || r->status == 429 || s->state == TG_STREAM_UPGRADING;
    s->stats.retry_after_s = seconds;
    was = *err;
    if (said > 0)
        (void)tg_error_set(err, was.code, "%s, asks to be left alone for %u s", was.text, seconds);
    else if (said < 0)
        (void)tg_error_set(err, was.code,
                           "%s, with a Retry-After that is no time to wait and is not followed", was.text);
}

/* --- proxy ------------------------------------------------------------------------------------------- */

void tg_stream_start_proxy(struct tg_stream *s)
{
    if (new_exchange(s))
        (void)ask(s, TG_STREAM_PROXYING, tg_buffer_view(&s->proxy_request), s->connect_by_ms);
    forget_proxy_request(s);
}

void tg_stream_proxy_input(struct tg_stream *s, struct tg_bytes *bytes)
{
    struct tg_http_response *r = &s->exchange->response;
    struct tg_bytes body;
    struct tg_error err = {0};
    if (!answered(s, bytes)) {
        *bytes = tg_bytes(NULL, 0);
        return;
    }
    if (tg_proxy_check_answer(r, s->host, s->o.port, s->asked_with_user, &err) < 0) {
        look_for_pause(s, &err);
        blame(s, &err);
        tg_stream_end(s, &err);
        return;
    }
    int rc = tg_http_response_feed(r, bytes, &body); /* nothing of a tunnel's bytes is taken */
    if (rc != TG_HTTP_END) {
        end_with(s, TG_EPROTO, "its answer goes on where the connection should begin");
        return;
    }
    end_exchange(s);
    tg_deadline_set(&s->timer, INT64_MAX);
    tg_stream_way_is_open(s);
}

/* --- WebSocket ------------------------------------------------------------------------------------------ */

static void random_bytes(uint8_t *out, size_t len)
{
    for (size_t i = 0; i < len; i += 4) {
        uint32_t v = tg_random_u32();
        memcpy(out + i, &v, len - i < 4 ? len - i : 4);
    }
}

void tg_stream_start_websocket(struct tg_stream *s)
{
    uint8_t memory[TG_WS_PATH_MAX_BYTES + 512];
    struct tg_writer w = tg_writer_init(memory, sizeof memory);
    if (!new_exchange(s))
        return;
    random_bytes(s->exchange->nonce, sizeof s->exchange->nonce);
    int rc = tg_ws_request(&w, s->host, s->o.port, s->tls != NULL, s->websocket_path, s->exchange->nonce);
    if (rc < 0) {
        end_with(s, rc, "the request cannot be written");
        return;
    }
    (void)ask(s, TG_STREAM_UPGRADING, tg_bytes(w.data, w.len),
              tg_loop_now_ms(s->loop) + s->o.handshake_timeout_ms);
}

static int send_frame(struct tg_stream *s, enum tg_ws_opcode opcode, struct tg_bytes payload)
{
    uint8_t mask[4], chunk[16384];
    uint64_t done = 0;
    random_bytes(mask, sizeof mask);
    size_t head = tg_ws_write_head(chunk, opcode, payload.len, mask);
    do {
        size_t room = sizeof chunk - head,
               n = payload.len - done < room ? (size_t)(payload.len - done) : room;
        tg_ws_mask(chunk + head, tg_bytes(payload.data + done, n), mask, done);
        int rc = tg_stream_lower_write(s, tg_bytes(chunk, head + n));
        if (rc < 0)
            return rc;
        done += n;
        head = 0;
    } while (done < payload.len);
    return TG_OK;
}

int tg_stream_websocket_write(struct tg_stream *s, struct tg_bytes data)
{
    return send_frame(s, TG_WS_OP_BINARY, data);
}

void tg_stream_websocket_close(struct tg_stream *s)
{
    static const uint8_t normal[] = {1000 >> 8, 1000 & 0xFF};
    (void)!send_frame(s, TG_WS_OP_CLOSE, tg_bytes(normal, sizeof normal));
}

static void upgrade_input(struct tg_stream *s, struct tg_bytes *bytes)
{
    struct tg_http_response *r = &s->exchange->response;
    struct tg_bytes body;
    struct tg_error err = {0};
    if (!answered(s, bytes))
        return;
    if (tg_ws_check_answer(r, s->exchange->nonce, s->websocket_path, &err) < 0) {
        look_for_pause(s, &err);
        blame(s, &err);
        tg_stream_end(s, &err);
        return;
    }
    if (tg_http_response_feed(r, bytes, &body) != TG_HTTP_END) {
        end_with(s, TG_EPROTO, "its answer goes on where the frames should begin");
        return;
    }
    end_exchange(s);
    tg_stream_is_ready(s);
}

/* The peer's close frame is answered with its own code, then both are done (RFC 6455 section 5.5.1). */
static void closed_by_peer(struct tg_stream *s)
{
    const struct tg_ws_reader *r = s->websocket;
    struct tg_error err = {0};
    char quoted[TG_QUOTE_BYTES];
    bool text = r->control_len > 2;
    (void)!send_frame(s, TG_WS_OP_CLOSE, tg_bytes(r->control, r->control_len >= 2 ? 2 : 0));
    if (r->close_code)
        tg_error_set(&err, TG_EEOF, "%.120s:%u closed the WebSocket: %u %s%s%s", s->host, s->o.port,
                     r->close_code, tg_ws_close_text(r->close_code), text ? " " : "",
                     text ? tg_quote(quoted, (const char *)r->control + 2, r->control_len - 2u) : "");
    else
        tg_error_set(&err, TG_EEOF, "%.120s:%u closed the WebSocket", s->host, s->o.port);
    tg_stream_end(s, &err);
}

/* A flood of pings is answered as far as the queue has room: only the last needs an answer (section 5.5.3). */
static void answer_ping(struct tg_stream *s)
{
    if (tg_stream_queued(s) >= TG_STREAM_QUEUE_BYTES)
        return;
    int rc = send_frame(s, TG_WS_OP_PONG, tg_bytes(s->websocket->control, s->websocket->control_len));
    if (rc < 0) {
        struct tg_error err = {0};
        tg_error_set(&err, rc, "%.120s:%u: cannot send: %s", s->host, s->o.port, tg_code_text(rc));
        tg_stream_end(s, &err);
    }
}

void tg_stream_websocket_input(struct tg_stream *s, struct tg_bytes bytes)
{
    struct tg_error err = {0};
    struct tg_bytes data;
    if (s->state == TG_STREAM_UPGRADING)
        upgrade_input(s, &bytes);
    while (s->state == TG_STREAM_READY) { /* a callback may have closed */
        int rc = tg_ws_read(s->websocket, &bytes, &data);
        if (rc == TG_WS_MORE)
            return;
        if (rc == TG_WS_DATA) {
            s->cb.on_data(s->user, data);
        } else if (rc == TG_WS_PING) {
            answer_ping(s);
        } else if (rc == TG_WS_CLOSE) {
            closed_by_peer(s);
        } else {
            tg_error_set(&err, rc, "%.120s:%u broke the WebSocket protocol: %s", s->host, s->o.port,
                         s->websocket->reason);
            tg_stream_end(s, &err);
        }
    }
}
