/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "core/net/stream_private.h"

#include "core/base/allocator.h"
#include "core/base/assert.h"
#include "core/base/clock.h"

#define STREAM_MAGIC       TG_STREAM_MAGIC
#define DEFAULT_TIMEOUT_MS 10000
#define HOST_MAX_BYTES     253 /* RFC 1035 2.3.4, as text */

/* The socket is held meanwhile: what it had read already. */
#define UNSHAKEN_LIMIT (2 * TG_LOOP_WIRE_BYTES)

/* A record holds 16 KiB of plaintext and adds at most 5 + 8 + 16 + 1 bytes; alerts and WebSocket heads are small. */
#define QUEUE_LIMIT                                                                                          \
    (TG_STREAM_QUEUE_BYTES + TG_STREAM_WRITE_MAX_BYTES + (TG_STREAM_WRITE_MAX_BYTES / 16384 + 16) * 64)

/* --- end ------------------------------------------------------------------------------------- */

void tg_stream_free_if_closed(struct tg_stream *s)
{
    if (s->state != TG_STREAM_GOING || !s->tcp_closed || !s->timer_closed || s->shake)
        return;
    void (*closed)(void *user) = s->closed;
    void *user = s->closed_user;
    struct tg_loop *loop = s->loop;
    tg_stream_layers_fini(s);
    tg_buffer_fini(&s->unshaken);
    TG_OBJECT_POISON(s);
    tg_free(s);
    tg_loop_release(loop);
    if (closed)
        closed(user);
}

static void on_tcp_closed(void *user)
{
    struct tg_stream *s = TG_OBJECT(user, struct tg_stream, STREAM_MAGIC);
    s->tcp_closed = true;
    tg_stream_free_if_closed(s);
}

static void on_timer_closed(void *user)
{
    struct tg_stream *s = TG_OBJECT(user, struct tg_stream, STREAM_MAGIC);
    s->timer_closed = true;
    tg_stream_free_if_closed(s);
}

static void free_tls(struct tg_stream *s)
{
    if (s->shake)
        tg_stream_shake_orphan(s);
    else
        tg_tls_stream_free(s->tls);
    s->tls = NULL;
}

/* Gives up socket and session; the object stays. */
static void drop_connection(struct tg_stream *s)
{
    if (s->connect)
        tg_tcp_connect_cancel(s->connect);
    s->connect = NULL;
    s->stats.bytes_in = s->tcp.bytes_in;
    s->stats.bytes_out = s->tcp.bytes_out;
    if (!s->tcp_closing)
        s->stats.segments = tg_tcp_stream_segments(&s->tcp);
    free_tls(s);
    if (!s->tcp_closing) {
        s->tcp_closing = true;
        if (s->tcp.loop)
            tg_tcp_stream_close(&s->tcp, on_tcp_closed);
        else
            s->tcp_closed = true; /* it never came to a socket */
    }
}

void tg_stream_end(struct tg_stream *s, const struct tg_error *err)
{
    s->state = TG_STREAM_ENDED;
    tg_deadline_set(&s->timer, INT64_MAX);
    drop_connection(s);
    s->cb.on_end(s->user, err); /* may close: s is not touched after this */
}

static void go(struct tg_stream *s)
{
    s->state = TG_STREAM_GOING;
    drop_connection(s);
    tg_deadline_close(&s->timer, on_timer_closed);
}

/* --- data ------------------------------------------------------------------------------------ */

void tg_stream_is_ready(struct tg_stream *s)
{
    s->state = TG_STREAM_READY;
    s->stats.ready = true;
    tg_deadline_set(&s->timer, INT64_MAX);
    s->cb.on_ready(s->user);
}

/* TLS is done, or there is none. */
static void is_secured(struct tg_stream *s)
{
    if (s->o.websocket_path)
        tg_stream_start_websocket(s);
    else
        tg_stream_is_ready(s);
}

static bool takes_data(const struct tg_stream *s)
{
    return s->state == TG_STREAM_READY || s->state == TG_STREAM_UPGRADING;
}

static void deliver(struct tg_stream *s, struct tg_bytes bytes)
{
    if (s->o.websocket_path)
        tg_stream_websocket_input(s, bytes);
    else
        s->cb.on_data(s->user, bytes);
}

static void read_tls(struct tg_stream *s, struct tg_bytes in)
{
    struct tg_error err = {0};
    int rc;
    while (takes_data(s)) { /* a callback may have ended it; the memory stays until the loop turns */
        rc = tg_tls_stream_read(s->tls, &in, s->loop->plain, TG_LOOP_PLAIN_BYTES, &err);
        if (rc > 0) {
            deliver(s, tg_bytes(s->loop->plain, (size_t)rc));
            continue;
        }
        if (rc < 0)
            tg_stream_end(s, &err);
        return;
    }
}

void tg_stream_shaken(struct tg_stream *s, struct tg_bytes rest)
{
    tg_tls_stream_describe(s->tls, &s->stats);
    s->stats.handshake_bytes = s->tcp.bytes_in + s->tcp.bytes_out;
    is_secured(s);
    read_tls(s, rest);
}

static void process_tls(struct tg_stream *s, struct tg_bytes in)
{
    struct tg_error err = {0};
    int rc;
    if (s->state != TG_STREAM_HANDSHAKING) {
        read_tls(s, in);
        return;
    }
    if (tg_tls_stream_is_slow(s->tls)) {
        tg_stream_shake(s, in);
        return;
    }
    bool is_http = tg_bytes_starts(in, "HTTP/");
    rc = tg_tls_stream_handshake(s->tls, &in, &err);
    if (rc < 0 && is_http)
        tg_error_set(
            &err, TG_ETLS,
            "%.120s does not speak TLS on this port: it answers HTTP, as a captive portal or a proxy does",
            s->host);
    if (rc < 0)
        tg_stream_end(s, &err);
    else if (rc > 0)
        tg_stream_shaken(s, in);
}

static void on_bytes(void *user, struct tg_bytes bytes)
{
    struct tg_stream *s = TG_OBJECT(user, struct tg_stream, STREAM_MAGIC);
    if (s->state == TG_STREAM_PROXYING) {
        tg_stream_proxy_input(s, &bytes);
        if (bytes.len == 0)
            return;
    }
    if (!takes_data(s) && s->state != TG_STREAM_HANDSHAKING)
        return; /* lingering: read, so that the close does not become a reset, and dropped */
    if (s->tls)
        process_tls(s, bytes);
    else
        deliver(s, bytes);
}

static void on_sent(void *user)
{
    struct tg_stream *s = TG_OBJECT(user, struct tg_stream, STREAM_MAGIC);
    if (s->state != TG_STREAM_READY || !s->want_writable ||
        tg_tcp_stream_queued(&s->tcp) > TG_STREAM_QUEUE_BYTES / 2)
        return;
    s->want_writable = false;
    if (s->cb.on_writable)
        s->cb.on_writable(s->user);
}

static void explain_end(struct tg_stream *s, int uv_error, struct tg_error *err)
{
    int code = uv_error == UV_ETIMEDOUT ? TG_ETIMEOUT : uv_error == UV_ENOMEM ? TG_ENOMEM : TG_EIO;
    const char *what = uv_error == UV_EOF ? "closed the connection" : uv_strerror(uv_error);
    bool alerted = s->tls && tg_tls_stream_was_alerted(s->tls);
    if (s->tls && uv_error != UV_ETIMEDOUT)
        tg_tls_stream_broken_off(s->tls);
    if (alerted || (s->tls && uv_error == UV_EOF && s->state != TG_STREAM_UPGRADING))
        tg_tls_stream_explain_cut(s->tls, err);
    else if (s->state == TG_STREAM_PROXYING || s->state == TG_STREAM_UPGRADING)
        tg_stream_layer_cut(s, what, uv_error == UV_EOF ? TG_EPROTO : code, err);
    else if (uv_error == UV_EOF)
        tg_error_set(err, TG_EEOF, "%.120s:%u closed the connection", s->host, s->o.port);
    else if (uv_error == UV_ETIMEDOUT && s->stats.ready)
        tg_error_set(err, code, "%.120s:%u does not answer any more: what was sent arrives nowhere", s->host,
                     s->o.port);
    else
        tg_error_set(err, code, "%.120s:%u: %s%s", s->host, s->o.port, uv_strerror(uv_error),
                     s->state == TG_STREAM_HANDSHAKING ? " in the TLS handshake" : "");
}

static void on_tcp_end(void *user, int uv_error)
{
    struct tg_stream *s = TG_OBJECT(user, struct tg_stream, STREAM_MAGIC);
    if (s->shake)
        s->unshaken_end = uv_error; /* what it had sent before comes first */
    else
        tg_stream_tcp_ended(s, uv_error);
}

void tg_stream_tcp_ended(struct tg_stream *s, int uv_error)
{
    struct tg_error err = {0};
    if (s->state == TG_STREAM_LINGERING) {
        go(s);
        return;
    }
    if (!takes_data(s) && s->state != TG_STREAM_HANDSHAKING && s->state != TG_STREAM_PROXYING)
        return;
    explain_end(s, uv_error, &err);
    tg_stream_end(s, &err);
}

static int send_record(void *user, struct tg_bytes bytes)
{
    struct tg_stream *s = TG_OBJECT(user, struct tg_stream, STREAM_MAGIC);
    return s->shake ? tg_stream_shake_send(s, bytes) : tg_tcp_stream_send(&s->tcp, bytes);
}

/* --- life ------------------------------------------------------------------------------------ */

static void start_tls(struct tg_stream *s)
{
    struct tg_error err = {0};
    struct tg_tls_stream_options o = {.ctx = s->o.tls,
                                      .host = s->host,
                                      .credential = s->o.credential,
                                      .ticket = s->o.ticket,
                                      .alpn = s->o.alpn,
                                      .send = send_record,
                                      .user = s};
    if (tg_tls_stream_new(&o, &s->tls, &err) < 0) {
        tg_stream_end(s, &err);
        return;
    }
    s->state = TG_STREAM_HANDSHAKING;
    tg_deadline_set(&s->timer, tg_loop_now_ms(s->loop) + s->o.handshake_timeout_ms);
    process_tls(s, tg_bytes(NULL, 0));
}

void tg_stream_way_is_open(struct tg_stream *s)
{
    if (s->o.tls)
        start_tls(s);
    else
        is_secured(s);
}

static void on_connected(void *user, int fd, const struct tg_error *failure)
{
    static const struct tg_tcp_events events = {
        .on_bytes = on_bytes, .on_sent = on_sent, .on_end = on_tcp_end};
    struct tg_stream *s = TG_OBJECT(user, struct tg_stream, STREAM_MAGIC);
    struct tg_error err = {0};
    s->connect = NULL;
    if (failure) {
        err = *failure;
        if (s->proxy_host)
            (void)tg_error_wrap(&err, "the proxy");
        tg_stream_end(s, &err);
        return;
    }
    s->stats.connected = true;
    if (s->o.user_timeout_ms)
        tg_tcp_set_user_timeout(fd, s->o.user_timeout_ms);
    if (tg_tcp_stream_open(&s->tcp, s->loop, fd, QUEUE_LIMIT, &events, s, &err) < 0) {
        tg_stream_end(s, &err);
        return;
    }
    if (s->proxy_host)
        tg_stream_start_proxy(s);
    else
        tg_stream_way_is_open(s);
}

static void on_time(void *user)
{
    struct tg_stream *s = TG_OBJECT(user, struct tg_stream, STREAM_MAGIC);
    struct tg_error err = {0};
    if (s->state == TG_STREAM_LINGERING) {
        go(s);
        return;
    }
    if (s->pending_code == TG_ECLOCK) {
        char now[TG_CLOCK_ISO8601_BYTES];
        tg_clock_iso8601(tg_clock_wall_ms(), now);
        tg_error_set(&err, TG_ECLOCK,
                     "%.120s:%u: the clock here says %.16sZ, so no certificate can be judged: waiting "
                     "for the right time (NTP, modem)",
                     s->host, s->o.port, now);
    } else if (s->pending_code) {
        tg_error_set(&err, s->pending_code, "%.120s:%u: cannot send: %s", s->host, s->o.port,
                     tg_code_text(s->pending_code));
    } else if (s->state == TG_STREAM_PROXYING || s->state == TG_STREAM_UPGRADING) {
        tg_stream_layer_cut(s, "did not answer in time", TG_ETIMEOUT, &err);
    } else {
        tg_error_set(&err, TG_ETIMEOUT, "%.120s:%u: the TLS handshake was not done within %u ms", s->host,
                     s->o.port, s->o.handshake_timeout_ms);
    }
    tg_stream_end(s, &err);
}

static void end_soon(struct tg_stream *s, int code)
{
    s->pending_code = code;
    tg_deadline_set(&s->timer, tg_loop_now_ms(s->loop));
}

int tg_stream_open(struct tg_loop *loop, const struct tg_stream_options *o,
                   const struct tg_stream_callbacks *cb, void *user, struct tg_stream **ret_stream,
                   struct tg_error *err)
{
    size_t host_len = o->host ? strlen(o->host) : 0;
    bool clock_ok = !o->tls || tg_clock_plausible(tg_clock_wall_ms());
    if (host_len == 0 || host_len > HOST_MAX_BYTES || o->port == 0)
        return tg_error_set(err, TG_EINVAL, "a host of 1 to %d characters and a port are needed",
                            HOST_MAX_BYTES);
    struct tg_stream *s = tg_calloc(1, sizeof *s);
    if (!s)
        return tg_error_set(err, TG_ENOMEM, "%.120s:%u: out of memory", o->host, o->port);
    s->magic = STREAM_MAGIC;
    s->loop = loop;
    s->cb = *cb;
    s->user = user;
    s->o = *o;
    if (s->o.connect_timeout_ms == 0)
        s->o.connect_timeout_ms = DEFAULT_TIMEOUT_MS;
    if (s->o.handshake_timeout_ms == 0)
        s->o.handshake_timeout_ms = DEFAULT_TIMEOUT_MS;
    s->unshaken = tg_buffer_init(UNSHAKEN_LIMIT);
    s->connect_by_ms = tg_loop_now_ms(loop) + s->o.connect_timeout_ms;
    int rc = tg_stream_layers_init(s, o, err);
    if (rc == TG_EINVAL)
        goto fail;
    if (rc < 0 ||
        (clock_ok && tg_tcp_connect_start(loop, s->proxy_host ? s->proxy_host : s->host,
                                          s->proxy_host ? o->proxy_port : o->port, s->o.connect_timeout_ms,
                                          on_connected, s, &s->connect) < 0)) {
        rc = TG_ENOMEM;
        goto fail;
    }
    tg_deadline_init(&s->timer, loop, on_time, s);
    if (!clock_ok)
        end_soon(s, TG_ECLOCK);
    *ret_stream = s;
    return TG_OK;
fail:
    tg_stream_layers_fini(s);
    tg_free(s);
    return rc == TG_ENOMEM ? tg_error_set(err, rc, "%.120s:%u: out of memory", o->host, o->port) : rc;
}

int tg_stream_lower_write(struct tg_stream *s, struct tg_bytes data)
{
    struct tg_error err = {0};
    return s->tls ? tg_tls_stream_write(s->tls, data, &err) : tg_tcp_stream_send(&s->tcp, data);
}

int tg_stream_write(struct tg_stream *s, struct tg_bytes data)
{
    int rc;
    if (s->state != TG_STREAM_READY || s->pending_code)
        return TG_ESTATE;
    if (data.len > TG_STREAM_WRITE_MAX_BYTES)
        return TG_ETOOBIG;
    if (data.len == 0)
        return TG_OK;
    if (tg_tcp_stream_queued(&s->tcp) >= TG_STREAM_QUEUE_BYTES) {
        s->want_writable = true;
        return TG_EFULL;
    }
    rc = s->websocket ? tg_stream_websocket_write(s, data) : tg_stream_lower_write(s, data);
    if (rc < 0)
        end_soon(s, rc);
    return rc;
}

void tg_stream_hold(struct tg_stream *s, bool hold)
{
    if (s->state == TG_STREAM_READY)
        tg_tcp_stream_hold(&s->tcp, hold);
}

size_t tg_stream_queued(const struct tg_stream *s)
{
    return tg_tcp_stream_queued(&s->tcp);
}

void tg_stream_stats(const struct tg_stream *s, struct tg_stream_stats *ret_stats)
{
    *ret_stats = s->stats;
    if (!s->tcp_closing) {
        ret_stats->bytes_in = s->tcp.bytes_in;
        ret_stats->bytes_out = s->tcp.bytes_out;
        ret_stats->segments = tg_tcp_stream_segments(&s->tcp);
    }
}

bool tg_stream_ends(const struct tg_stream *s, struct sockaddr_storage *ret_here,
                    struct sockaddr_storage *ret_there)
{
    return s->stats.connected && !s->tcp_closing && tg_tcp_stream_ends(&s->tcp, ret_here, ret_there);
}

uint32_t tg_stream_unanswered(const struct tg_stream *s)
{
    return s->stats.connected && !s->tcp_closing ? tg_tcp_stream_unanswered(&s->tcp) : 0;
}

void tg_stream_close(struct tg_stream *s, uint32_t linger_ms, void (*closed)(void *user), void *user)
{
    (void)TG_OBJECT(s, struct tg_stream, STREAM_MAGIC);
    TG_ASSERT(s->state != TG_STREAM_LINGERING && s->state != TG_STREAM_GOING); /* closed twice */
    bool connected = s->state == TG_STREAM_READY;
    s->closed = closed;
    s->closed_user = user;
    tg_loop_hold(s->loop);
    if (connected && s->websocket)
        tg_stream_websocket_close(s);
    if (connected && s->tls)
        tg_tls_stream_close_notify(s->tls);
    /* What lingers is ciphertext: from here on nothing that the owner lent is looked at. */
    free_tls(s);
    if (!connected || linger_ms == 0) {
        go(s);
        return;
    }
    s->state = TG_STREAM_LINGERING;
    tg_tcp_stream_finish(&s->tcp);
    tg_deadline_set(&s->timer, tg_loop_now_ms(s->loop) + linger_ms);
}
