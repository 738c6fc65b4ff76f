/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "core/net/stream_private.h"

#include "core/base/allocator.h"
#include "core/base/assert.h"

#define OUTPUT_LIMIT (64 * 1024) /* a flight of a client, its certificate chain included */

struct tg_stream_shake {
    uv_work_t work;
    struct tg_stream *s;
    struct tg_tls_stream *tls;
    struct tg_buffer in, out;
    struct tg_bytes rest;
    bool orphan; /* the stream has given the connection up */
};

/* In the thread pool. */
static void step(uv_work_t *work)
{
    struct tg_stream_shake *k = work->data;
    k->rest = tg_buffer_view(&k->in);
    tg_tls_stream_shake(k->tls, &k->rest);
    tg_tls_trim(); /* wolfSSL's tables of curve points belong to the thread */
}

static void free_shake(struct tg_stream_shake *k)
{
    tg_buffer_fini(&k->in);
    tg_buffer_fini(&k->out);
    tg_free(k);
}

/* On the loop again: 1 = the handshake is done, 0 = more input is needed, negative with err. */
static int conclude(struct tg_stream *s, const struct tg_stream_shake *k, struct tg_error *err)
{
    int rc = k->out.len ? tg_tcp_stream_send(&s->tcp, tg_buffer_view(&k->out)) : TG_OK;
    if (rc < 0)
        return tg_error_set(err, rc, "%.120s:%u: cannot send: %s", s->host, s->o.port, tg_code_text(rc));
    return tg_tls_stream_conclude(s->tls, err);
}

/* What the step left over goes before what has come since. */
static int gather(struct tg_stream *s, const struct tg_stream_shake *k, struct tg_buffer *ret_in)
{
    int rc = k->rest.len ? tg_buffer_append(ret_in, k->rest) : TG_OK;
    if (rc == TG_OK && s->unshaken.len)
        rc = tg_buffer_append(ret_in, tg_buffer_view(&s->unshaken));
    tg_buffer_fini(&s->unshaken);
    return rc;
}

static void after_step(uv_work_t *work, int status)
{
    struct tg_stream_shake *k = work->data;
    struct tg_stream *s = k->s;
    struct tg_buffer in = tg_buffer_init(k->in.limit_bytes);
    struct tg_error err = {0};
    int rc;
    (void)status; /* never cancelled */
    s->shake = NULL;
    if (k->orphan) {
        tg_tls_stream_free(k->tls);
        free_shake(k);
        tg_stream_free_if_closed(s);
        return;
    }
    rc = conclude(s, k, &err);
    if (rc >= 0 && gather(s, k, &in) < 0)
        rc = tg_error_set(&err, TG_ENOMEM, "%.120s:%u: out of memory in the TLS handshake", s->host,
                          s->o.port);
    free_shake(k);
    tg_tcp_stream_hold(&s->tcp, false);
    if (rc < 0)
        tg_stream_end(s, &err);
    else if (rc > 0)
        tg_stream_shaken(s, tg_buffer_view(&in));
    else if (in.len > 0)
        tg_stream_shake(s, tg_buffer_view(&in));
    tg_buffer_fini(&in);
    if (!s->shake && s->unshaken_end) {
        int uv_error = s->unshaken_end;
        s->unshaken_end = 0;
        tg_stream_tcp_ended(s, uv_error);
    }
}

static void run_out_of_memory(struct tg_stream *s)
{
    struct tg_error err = {0};
    tg_error_set(&err, TG_ENOMEM, "%.120s:%u: out of memory in the TLS handshake", s->host, s->o.port);
    tg_stream_end(s, &err);
}

void tg_stream_shake(struct tg_stream *s, struct tg_bytes in)
{
    struct tg_stream_shake *k;
    if (s->shake) {
        if (in.len && tg_buffer_append(&s->unshaken, in) < 0)
            run_out_of_memory(s);
        return;
    }
    k = tg_calloc(1, sizeof *k);
    if (!k) {
        run_out_of_memory(s);
        return;
    }
    k->work.data = k;
    k->s = s;
    k->tls = s->tls;
    k->in = tg_buffer_init(s->unshaken.limit_bytes + OUTPUT_LIMIT);
    k->out = tg_buffer_init(OUTPUT_LIMIT);
    s->shake = k; /* before the step can run: its output is asked for by this */
    if ((in.len && tg_buffer_append(&k->in, in) < 0) ||
        uv_queue_work(&s->loop->uv, &k->work, step, after_step) < 0) {
        s->shake = NULL;
        free_shake(k);
        run_out_of_memory(s);
        return;
    }
    tg_tcp_stream_hold(&s->tcp, true);
}

int tg_stream_shake_send(struct tg_stream *s, struct tg_bytes bytes)
{
    return tg_buffer_append(&s->shake->out, bytes);
}

void tg_stream_shake_orphan(struct tg_stream *s)
{
    s->shake->orphan = true;
}
