/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "northbound/pubsub/pubsub_core.h"

#include <stdio.h>

#include "core/base/assert.h"

#define BODY_END_BYTES 2 /* "]}" */

void tg_pubsub_core_init(struct tg_pubsub_core *c, const struct tg_pubsub_core_options *o)
{
    memset(c, 0, sizeof *c);
    c->o = *o;
    c->request = tg_buffer_init(TG_PUBSUB_REQUEST_BYTES);
    c->reply = tg_buffer_init(TG_PUBSUB_REPLY_MAX_BYTES);
    c->reply_due_ms = INT64_MAX;
}

static void wipe_head(struct tg_pubsub_core *c)
{
    if (c->request.len > 0)
        explicit_bzero(c->request.data, TG_PUBSUB_HEAD_ROOM);
}

bool tg_pubsub_core_has_token(const struct tg_pubsub_core *c, int64_t now_s)
{
    return c->token[0] && now_s < c->token_until_s;
}

void tg_pubsub_core_token_ends(struct tg_pubsub_core *c, int64_t until_s)
{
    if (until_s < c->token_until_s)
        c->token_until_s = until_s;
}

void tg_pubsub_core_forget_token(struct tg_pubsub_core *c)
{
    explicit_bzero(c->token, sizeof c->token);
    c->token_until_s = 0;
}

void tg_pubsub_core_fini(struct tg_pubsub_core *c)
{
    tg_pubsub_core_forget_token(c);
    wipe_head(c);
    tg_buffer_fini(&c->request);
    tg_buffer_fini(&c->reply);
}

/* --- the batch ----------------------------------------------------------------------------------- */

uint32_t tg_pubsub_core_batch(const struct tg_pubsub_core *c)
{
    return c->messages;
}

size_t tg_pubsub_core_batch_bytes(const struct tg_pubsub_core *c)
{
    return c->messages ? c->request.len - TG_PUBSUB_HEAD_ROOM + BODY_END_BYTES : 0;
}

int tg_pubsub_core_add(struct tg_pubsub_core *c, const struct tg_pubsub_origin *origin, uint64_t seq,
                       struct tg_bytes data)
{
    struct tg_pubsub_attribute attributes[TG_PUBSUB_MAX_ATTRIBUTES];
    uint8_t seq_text[TG_PUBSUB_SEQ_BYTES];
    struct tg_pubsub_message m;
    struct tg_writer w;
    size_t need;
    int rc;
    TG_ASSERT(!c->sent);
    if (c->messages == c->o.max_messages || tg_pubsub_core_batch_bytes(c) >= TG_PUBSUB_BATCH_BYTES)
        return TG_EFULL;
    tg_pubsub_message_of(origin, seq, data, seq_text, attributes, &m);
    need = tg_pubsub_message_bound(&m) + BODY_END_BYTES;
    if (c->messages == 0) {
        c->request.len = 0;
        need += TG_PUBSUB_HEAD_ROOM + sizeof "{\"messages\":[";
    }
    rc = tg_buffer_reserve(&c->request, need);
    if (rc < 0)
        return rc == TG_ETOOBIG && c->messages > 0 ? TG_EFULL : rc;
    if (c->messages == 0)
        c->request.len = TG_PUBSUB_HEAD_ROOM;
    w = tg_writer_init(c->request.data + c->request.len, c->request.cap - c->request.len - BODY_END_BYTES);
    if (c->messages == 0)
        tg_pubsub_body_begin(&w);
    tg_pubsub_body_message(&w, c->messages == 0, &m);
    TG_ASSERT(!w.failed); /* the bound holds */
    c->request.len += w.len;
    c->messages++;
    return TG_OK;
}

void tg_pubsub_core_batch_drop(struct tg_pubsub_core *c)
{
    TG_ASSERT(!c->sent);
    wipe_head(c);
    c->request.len = 0;
    c->messages = 0;
}

/* --- sending --------------------------------------------------------------------------------------- */

void tg_pubsub_core_connected(struct tg_pubsub_core *c)
{
    tg_pubsub_core_closed(c);
    c->connected = true;
    tg_http_response_init(&c->http, c->head, sizeof c->head, TG_HTTP_PLAIN);
}

void tg_pubsub_core_closed(struct tg_pubsub_core *c)
{
    c->connected = c->sent = c->served = false;
    c->reply_due_ms = INT64_MAX;
    tg_buffer_fini(&c->reply);
    wipe_head(c);
}

int tg_pubsub_core_token(struct tg_pubsub_core *c, struct tg_bytes token, int64_t until_s)
{
    if (token.len >= sizeof c->token)
        return TG_ETOOBIG;
    for (size_t i = 0; i < token.len; i++)
        if (token.data[i] <= 0x20 || token.data[i] >= 0x7F)
            return TG_EINVAL;
    if (token.len == 0)
        return TG_EINVAL;
    tg_pubsub_core_forget_token(c);
    memcpy(c->token, token.data, token.len);
    c->token_until_s = until_s;
    return TG_OK;
}

/* Writes the head so that it ends where the body begins: one piece to write. */
static struct tg_bytes make_request(struct tg_pubsub_core *c)
{
    uint8_t *memory = c->request.data, *body = memory + TG_PUBSUB_HEAD_ROOM;
    struct tg_writer end = tg_writer_init(memory + c->request.len, c->request.cap - c->request.len);
    char path[TG_PUBSUB_HEAD_ROOM - TG_PUBSUB_TOKEN_BYTES], bearer[TG_PUBSUB_TOKEN_BYTES + 8];
    struct tg_writer p = tg_writer_init(path, sizeof path), w = tg_writer_init(memory, TG_PUBSUB_HEAD_ROOM);
    size_t body_len = c->request.len - TG_PUBSUB_HEAD_ROOM + BODY_END_BYTES;
    int rc;
    tg_pubsub_path(&p, c->o.project, c->o.topic);
    tg_http_request_begin(&w, "POST", tg_bytes(p.data, p.len), c->o.host, c->o.port, 443);
    tg_http_request_header(&w, "User-Agent", tg_bytes_str("tidegate"));
    tg_http_request_header(&w, "Accept", tg_bytes_str("application/json"));
    tg_http_request_header(&w, "Content-Type", tg_bytes_str("application/json"));
    if (c->o.authorize) {
        snprintf(bearer, sizeof bearer, "Bearer %s", c->token);
        tg_http_request_header(&w, "Authorization", tg_bytes_str(bearer));
        explicit_bzero(bearer, sizeof bearer);
    }
    rc = tg_http_request_end(&w, body_len);
    TG_ASSERT(rc == TG_OK && !p.failed); /* options and token were checked, and there is room */
    tg_pubsub_body_end(&end);
    memmove(body - w.len, memory, w.len);
    return tg_bytes(body - w.len, w.len + body_len);
}

enum tg_pubsub_send tg_pubsub_core_send(struct tg_pubsub_core *c, int64_t now_ms, int64_t now_s,
                                        struct tg_bytes *ret_bytes)
{
    if (!c->connected || c->sent || c->messages == 0 || now_ms < c->resume_ms)
        return TG_PUBSUB_NOTHING;
    c->resume_ms = 0;
    if (c->o.authorize && !tg_pubsub_core_has_token(c, now_s))
        return TG_PUBSUB_TOKEN;
    c->sent = true;
    c->reply_due_ms = now_ms + c->o.reply_timeout_ms;
    tg_http_response_init(&c->http, c->head, sizeof c->head, TG_HTTP_PLAIN);
    c->reply.len = 0;
    *ret_bytes = make_request(c);
    return TG_PUBSUB_WRITE;
}

/* --- answers ----------------------------------------------------------------------------------------- */

static void failed(struct tg_pubsub_core *c, enum tg_retry retry, const char *text,
                   struct tg_pubsub_event *ret_event)
{
    ret_event->outcome = TG_PUBSUB_FAILED;
    ret_event->retry = retry;
    snprintf(ret_event->text, sizeof ret_event->text, "%s", text);
    tg_pubsub_core_closed(c);
}

static void pause_until(struct tg_pubsub_core *c, int64_t now_ms, uint32_t random, struct tg_pubsub_event *e)
{
    uint32_t seconds = 0;
    e->outcome = TG_PUBSUB_PAUSED;
    int64_t top = tg_backoff_top(&c->o.backoff);
    e->wait_ms = tg_backoff_next(&c->o.backoff, random);
    if (c->http.status == 429 ||
        c->http.status == 503) /* never soon by chance: the other side has had enough */
        e->wait_ms = (e->wait_ms + top) / 2;
    if (tg_http_retry_after(&c->http, 0, &seconds) > 0 && e->wait_ms < (int64_t)seconds * 1000)
        /* and up to a tenth more: others were told the same time */
        e->wait_ms = (int64_t)seconds * 1000 + (int64_t)((uint64_t)seconds * 100 * random >> 32);
    c->resume_ms = now_ms + e->wait_ms;
}

/* The whole answer is there. */
static void answered(struct tg_pubsub_core *c, int64_t now_ms, uint32_t random, struct tg_pubsub_event *e)
{
    struct tg_pubsub_reply reply;
    tg_pubsub_reply_read(c->http.status, tg_buffer_view(&c->reply), c->messages, &reply);
    c->sent = false;
    c->served = true;
    c->reply_due_ms = INT64_MAX;
    c->reply.len = 0;
    e->reconnect = !c->http.keep_alive;
    memcpy(e->text, reply.text, sizeof e->text);
    switch (reply.verdict) {
    case TG_PUBSUB_STORED:
        e->outcome = TG_PUBSUB_PUBLISHED;
        c->token_is_fresh = false;
        c->o.backoff.attempt = 0;
        tg_pubsub_core_batch_drop(c);
        break;
    case TG_PUBSUB_LATER:
        pause_until(c, now_ms, random, e);
        break;
    case TG_PUBSUB_TOKEN_REFUSED:
        tg_pubsub_core_forget_token(c);
        if (c->o.authorize && !c->token_is_fresh) {
            c->token_is_fresh = true;
            e->outcome = TG_PUBSUB_NEW_TOKEN;
            break;
        }
        c->token_is_fresh = false;
        failed(c, TG_RETRY_NEVER, reply.text, e);
        break;
    default:
        failed(c, TG_RETRY_NEVER, reply.text, e);
        break;
    }
    wipe_head(c);
}

static void keep_body(struct tg_pubsub_core *c, struct tg_bytes body, struct tg_pubsub_event *e)
{
    int rc = tg_buffer_append(&c->reply, body);
    if (rc == TG_ETOOBIG)
        failed(c, TG_RETRY_BACKOFF, "the answer to a publish request is larger than any of Pub/Sub", e);
    else if (rc < 0)
        failed(c, TG_RETRY_BACKOFF, "out of memory for the answer to a publish request", e);
}

void tg_pubsub_core_data(struct tg_pubsub_core *c, int64_t now_ms, uint32_t random, struct tg_bytes data,
                         struct tg_pubsub_event *e)
{
    struct tg_bytes body = {0};
    int rc;
    *e = (struct tg_pubsub_event){.outcome = TG_PUBSUB_GOES_ON};
    if (!c->sent) {
        if (data.len > 0)
            failed(c, TG_RETRY_BACKOFF, "the server sends something that nobody asked for", e);
        return;
    }
    do {
        rc = tg_http_response_feed(&c->http, &data, &body);
        if (rc == TG_HTTP_BODY)
            keep_body(c, body, e);
        if (e->outcome == TG_PUBSUB_FAILED)
            return;
    } while (rc == TG_HTTP_HEAD || rc == TG_HTTP_BODY);
    if (rc < 0) {
        failed(c, TG_RETRY_BACKOFF, c->http.reason, e);
    } else if (rc == TG_HTTP_END) {
        answered(c, now_ms, random, e);
        if (data.len > 0) /* whatever it is, it is no answer of ours */
            e->reconnect = true;
    }
}

void tg_pubsub_core_eof(struct tg_pubsub_core *c, int64_t now_ms, uint32_t random, struct tg_pubsub_event *e)
{
    bool between = !c->sent || (c->served && tg_http_response_untouched(&c->http));
    *e = (struct tg_pubsub_event){.outcome = TG_PUBSUB_GOES_ON, .reconnect = true};
    if (!between && tg_http_response_eof(&c->http) == TG_HTTP_END)
        answered(c, now_ms, random, e);
    else if (!between)
        failed(c, TG_RETRY_BACKOFF, c->http.reason, e);
    tg_pubsub_core_closed(c);
}

/* --- time ---------------------------------------------------------------------------------------------- */

int64_t tg_pubsub_core_deadline(const struct tg_pubsub_core *c)
{
    if (c->sent)
        return c->reply_due_ms;
    return c->connected && c->messages > 0 && c->resume_ms > 0 ? c->resume_ms : INT64_MAX;
}

void tg_pubsub_core_tick(struct tg_pubsub_core *c, int64_t now_ms, struct tg_pubsub_event *e)
{
    char text[100];
    *e = (struct tg_pubsub_event){.outcome = TG_PUBSUB_GOES_ON};
    if (!c->sent || now_ms < c->reply_due_ms)
        return;
    snprintf(text, sizeof text, "no answer to a publish request within %lld s",
             (long long)(c->o.reply_timeout_ms / 1000));
    failed(c, TG_RETRY_BACKOFF, text, e);
}
