/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "core/net/stream.h"

#include "core/base/allocator.h"
#include "core/base/assert.h"
#include "core/base/clock.h"
#include "core/net/tcp_connect.h"
#include "core/net/tcp_stream.h"
#include "core/net/tls_stream.h"

#define STREAM_MAGIC       0x57e4a3u
#define DEFAULT_TIMEOUT_MS 10000
#define HOST_MAX_BYTES     253 /* RFC 1035 2.3.4, as text */

/* A record holds 16 KiB of plaintext and adds at most 5 + 8 + 16 + 1 bytes; alerts are small. */
#define QUEUE_LIMIT                                                                                          \
    (TG_STREAM_QUEUE_BYTES + TG_STREAM_WRITE_MAX_BYTES + (TG_STREAM_WRITE_MAX_BYTES / 16384 + 16) * 64)

enum state {
    CONNECTING,  /* tcp_connect's answer → HANDSHAKING, READY without TLS, ENDED */
    HANDSHAKING, /* done → READY; refused, cut, timer → ENDED */
    READY,       /* peer's end, error → ENDED; close → LINGERING, GOING */
    ENDED,       /* on_end was called; close → GOING */
    LINGERING,   /* queue, close_notify and FIN are on their way; peer's end, timer → GOING */
    GOING        /* handles are closing; then the memory goes */
};

struct tg_stream {
    uint32_t magic;
    enum state state;
    struct tg_loop *loop;
    struct tg_stream_callbacks cb;
    void *user;
    struct tg_stream_options o; /* host is our copy */
    char *host;
    struct tg_tcp_connect *connect; /* while CONNECTING */
    struct tg_tcp_stream tcp;
    struct tg_tls_stream *tls;
    struct tg_deadline timer;
    struct tg_stream_stats stats;
    int pending_code; /* an end that is to be told from the loop */
    bool want_writable, tcp_closing, tcp_closed, timer_closed;
    void (*closed)(void *user);
    void *closed_user;
};

/* --- end ------------------------------------------------------------------------------------- */

static void free_if_closed(struct tg_stream *s)
{
    if (s->state != GOING || !s->tcp_closed || !s->timer_closed)
        return;
    void (*closed)(void *user) = s->closed;
    void *user = s->closed_user;
    struct tg_loop *loop = s->loop;
    tg_free(s->host);
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
    free_if_closed(s);
}

static void on_timer_closed(void *user)
{
    struct tg_stream *s = TG_OBJECT(user, struct tg_stream, STREAM_MAGIC);
    s->timer_closed = true;
    free_if_closed(s);
}

/* Gives up socket and session; the object stays. */
static void drop_connection(struct tg_stream *s)
{
    if (s->connect)
        tg_tcp_connect_cancel(s->connect);
    s->connect = NULL;
    s->stats.bytes_in = s->tcp.bytes_in;
    s->stats.bytes_out = s->tcp.bytes_out;
    tg_tls_stream_free(s->tls);
    s->tls = NULL;
    if (!s->tcp_closing) {
        s->tcp_closing = true;
        if (s->tcp.loop)
            tg_tcp_stream_close(&s->tcp, on_tcp_closed);
        else
            s->tcp_closed = true; /* it never came to a socket */
    }
}

static void end(struct tg_stream *s, const struct tg_error *err)
{
    s->state = ENDED;
    tg_deadline_set(&s->timer, INT64_MAX);
    drop_connection(s);
    s->cb.on_end(s->user, err); /* may close: s is not touched after this */
}

static void go(struct tg_stream *s)
{
    s->state = GOING;
    drop_connection(s);
    tg_deadline_close(&s->timer, on_timer_closed);
}

/* --- data ------------------------------------------------------------------------------------ */

static void process_tls(struct tg_stream *s, struct tg_bytes in)
{
    struct tg_error err = {0};
    int rc;
    if (s->state == HANDSHAKING) {
        rc = tg_tls_stream_handshake(s->tls, &in, &err);
        if (rc < 0) {
            end(s, &err);
            return;
        }
        if (rc == 0)
            return;
        s->state = READY;
        tg_deadline_set(&s->timer, INT64_MAX);
        tg_tls_stream_describe(s->tls, &s->stats);
        s->cb.on_ready(s->user);
    }
    while (s->state == READY) { /* a callback may have ended it; the memory stays until the loop turns */
        rc = tg_tls_stream_read(s->tls, &in, s->loop->plain, TG_LOOP_PLAIN_BYTES, &err);
        if (rc > 0) {
            s->cb.on_data(s->user, tg_bytes(s->loop->plain, (size_t)rc));
            continue;
        }
        if (rc < 0)
            end(s, &err);
        return;
    }
}

static void on_bytes(void *user, struct tg_bytes bytes)
{
    struct tg_stream *s = TG_OBJECT(user, struct tg_stream, STREAM_MAGIC);
    if (s->state != READY && s->state != HANDSHAKING)
        return; /* lingering: read, so that the close does not become a reset, and dropped */
    if (s->tls)
        process_tls(s, bytes);
    else
        s->cb.on_data(s->user, bytes);
}

static void on_sent(void *user)
{
    struct tg_stream *s = TG_OBJECT(user, struct tg_stream, STREAM_MAGIC);
    if (s->state != READY || !s->want_writable || tg_tcp_stream_queued(&s->tcp) > TG_STREAM_QUEUE_BYTES / 2)
        return;
    s->want_writable = false;
    if (s->cb.on_writable)
        s->cb.on_writable(s->user);
}

static void explain_end(struct tg_stream *s, int uv_error, struct tg_error *err)
{
    int code = uv_error == UV_ETIMEDOUT ? TG_ETIMEOUT : uv_error == UV_ENOMEM ? TG_ENOMEM : TG_EIO;
    if (s->tls && (uv_error == UV_EOF || tg_tls_stream_was_alerted(s->tls)))
        tg_tls_stream_explain_cut(s->tls, err);
    else if (uv_error == UV_EOF)
        tg_error_set(err, TG_EEOF, "%.120s:%u closed the connection", s->host, s->o.port);
    else
        tg_error_set(err, code, "%.120s:%u: %s%s", s->host, s->o.port, uv_strerror(uv_error),
                     s->state == HANDSHAKING ? " in the TLS handshake" : "");
}

static void on_tcp_end(void *user, int uv_error)
{
    struct tg_stream *s = TG_OBJECT(user, struct tg_stream, STREAM_MAGIC);
    struct tg_error err = {0};
    if (s->state == LINGERING) {
        go(s);
        return;
    }
    if (s->state != READY && s->state != HANDSHAKING)
        return;
    explain_end(s, uv_error, &err);
    end(s, &err);
}

static int send_record(void *user, struct tg_bytes bytes)
{
    struct tg_stream *s = TG_OBJECT(user, struct tg_stream, STREAM_MAGIC);
    return tg_tcp_stream_send(&s->tcp, bytes);
}

/* --- life ------------------------------------------------------------------------------------ */

static void start_tls(struct tg_stream *s)
{
    struct tg_error err = {0};
    struct tg_tls_stream_options o = {.ctx = s->o.tls,
                                      .host = s->host,
                                      .credential = s->o.credential,
                                      .ticket = s->o.ticket,
                                      .send = send_record,
                                      .user = s};
    if (tg_tls_stream_new(&o, &s->tls, &err) < 0) {
        end(s, &err);
        return;
    }
    s->state = HANDSHAKING;
    tg_deadline_set(&s->timer, tg_loop_now_ms(s->loop) + s->o.handshake_timeout_ms);
    process_tls(s, tg_bytes(NULL, 0));
}

static void on_connected(void *user, int fd, const struct tg_error *failure)
{
    static const struct tg_tcp_events events = {
        .on_bytes = on_bytes, .on_sent = on_sent, .on_end = on_tcp_end};
    struct tg_stream *s = TG_OBJECT(user, struct tg_stream, STREAM_MAGIC);
    struct tg_error err = {0};
    s->connect = NULL;
    if (failure) {
        end(s, failure);
        return;
    }
    if (tg_tcp_stream_open(&s->tcp, s->loop, fd, QUEUE_LIMIT, &events, s, &err) < 0) {
        end(s, &err);
        return;
    }
    if (s->o.tls) {
        start_tls(s);
        return;
    }
    s->state = READY;
    s->cb.on_ready(s->user);
}

static void on_time(void *user)
{
    struct tg_stream *s = TG_OBJECT(user, struct tg_stream, STREAM_MAGIC);
    struct tg_error err = {0};
    if (s->state == LINGERING) {
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
    } else {
        tg_error_set(&err, TG_ETIMEOUT, "%.120s:%u: the TLS handshake was not done within %u ms", s->host,
                     s->o.port, s->o.handshake_timeout_ms);
    }
    end(s, &err);
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
        goto no_memory;
    s->host = tg_strdup(o->host);
    if (!s->host)
        goto no_memory;
    s->magic = STREAM_MAGIC;
    s->state = CONNECTING;
    s->loop = loop;
    s->cb = *cb;
    s->user = user;
    s->o = *o;
    s->o.host = s->host;
    if (s->o.connect_timeout_ms == 0)
        s->o.connect_timeout_ms = DEFAULT_TIMEOUT_MS;
    if (s->o.handshake_timeout_ms == 0)
        s->o.handshake_timeout_ms = DEFAULT_TIMEOUT_MS;
    if (clock_ok && tg_tcp_connect_start(loop, s->host, o->port, s->o.connect_timeout_ms, on_connected, s,
                                         &s->connect) < 0)
        goto no_memory;
    tg_deadline_init(&s->timer, loop, on_time, s);
    if (!clock_ok)
        end_soon(s, TG_ECLOCK);
    *ret_stream = s;
    return TG_OK;
no_memory:
    if (s)
        tg_free(s->host);
    tg_free(s);
    return tg_error_set(err, TG_ENOMEM, "%.120s:%u: out of memory", o->host, o->port);
}

int tg_stream_write(struct tg_stream *s, struct tg_bytes data)
{
    struct tg_error err = {0};
    int rc;
    if (s->state != READY || s->pending_code)
        return TG_ESTATE;
    if (data.len > TG_STREAM_WRITE_MAX_BYTES)
        return TG_ETOOBIG;
    if (data.len == 0)
        return TG_OK;
    if (tg_tcp_stream_queued(&s->tcp) >= TG_STREAM_QUEUE_BYTES) {
        s->want_writable = true;
        return TG_EFULL;
    }
    rc = s->tls ? tg_tls_stream_write(s->tls, data, &err) : tg_tcp_stream_send(&s->tcp, data);
    if (rc < 0)
        end_soon(s, rc);
    return rc;
}

void tg_stream_hold(struct tg_stream *s, bool hold)
{
    if (s->state == READY)
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
    }
}

void tg_stream_close(struct tg_stream *s, uint32_t linger_ms, void (*closed)(void *user), void *user)
{
    (void)TG_OBJECT(s, struct tg_stream, STREAM_MAGIC);
    TG_ASSERT(s->state != LINGERING && s->state != GOING); /* closed twice */
    bool connected = s->state == READY;
    s->closed = closed;
    s->closed_user = user;
    tg_loop_hold(s->loop);
    if (connected && s->tls)
        tg_tls_stream_close_notify(s->tls);
    /* What lingers is ciphertext: from here on nothing that the owner lent is looked at. */
    tg_tls_stream_free(s->tls);
    s->tls = NULL;
    if (!connected || linger_ms == 0) {
        go(s);
        return;
    }
    s->state = LINGERING;
    tg_tcp_stream_finish(&s->tcp);
    tg_deadline_set(&s->timer, tg_loop_now_ms(s->loop) + linger_ms);
}
