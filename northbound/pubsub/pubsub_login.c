/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "northbound/pubsub/pubsub_link_private.h"

#include "core/base/assert.h"
#include "core/base/clock.h"
#include "core/base/log.h"
#include "core/base/secret.h"
#include "northbound/pubsub/gcp_pubsub.h"
#include "northbound/transport.h"

static struct tg_pubsub_link *of(const struct tg_link *l)
{
    return l->protocol_memory;
}

static int64_t auth_of(const struct tg_link *l)
{
    return tg_settings_int(l->config->settings, "auth");
}

/* --- a token request over a stream of its own ------------------------------------------------------ */

void tg_pubsub_token_stop(struct tg_link *l)
{
    struct tg_pubsub_link *p = of(l);
    if (p->token_stream)
        tg_stream_close(p->token_stream, 0, NULL, NULL);
    p->token_stream = NULL;
    p->token_due_ms = INT64_MAX;
    if (p->token_body.len > 0)
        explicit_bzero(p->token_body.data, p->token_body.len);
    tg_buffer_fini(&p->token_body);
}

static void token_failed(struct tg_link *l, enum tg_retry retry, const char *text)
{
    struct tg_error err = {0};
    tg_error_set(&err, TG_EAUTH, "no token from %s: %s", of(l)->token_uri.host, text);
    tg_link_fail_as(l, retry, err.text);
}

/* A token of life_s seconds is there: the link is online with it, or goes on. */
static void token_came(struct tg_link *l)
{
    int64_t now = tg_clock_mono_ms();
    tg_pubsub_token_stop(l);
    if (l->state == TG_SESSION_LOGIN)
        tg_link_is_online(l, now, false);
    if (l->state == TG_SESSION_ONLINE || l->state == TG_SESSION_RENEWING)
        tg_link_go_on(l, now);
}

/* Three quarters of its life: a request that is under way when it ends is still taken. */
static int give_token(struct tg_link *l, const char *token, int64_t life_s)
{
    l->credential_expires_s = tg_clock_wall_ms() / 1000 + life_s;
    l->credential_life_ms = life_s * 1000;
    return tg_pubsub_core_token(&of(l)->core, tg_bytes_str(token),
                                tg_clock_mono_ms() / 1000 + (life_s * 3 + 3) / 4);
}

/* A token service that has had enough may say for how long. */
static void look_for_pause(struct tg_link *l)
{
    const struct tg_http_response *http = &of(l)->token_http;
    int64_t wall_ms = tg_clock_wall_ms();
    uint32_t seconds = 0;
    if (http->status != 429 && http->status != 503)
        return;
    l->failed_as = TG_FAILURE_THROTTLED;
    if (tg_http_retry_after(http, tg_clock_plausible(wall_ms) ? wall_ms / 1000 : 0, &seconds) > 0)
        l->wait_at_least_ms = (int64_t)seconds * 1000;
}

static void token_answered(struct tg_link *l)
{
    struct tg_pubsub_link *p = of(l);
    char token[TG_PUBSUB_TOKEN_BYTES];
    struct tg_error err = {0};
    enum tg_retry retry = TG_RETRY_BACKOFF;
    int64_t life_s = 0;
    int rc = tg_pubsub_token_reply(p->token_http.status, tg_buffer_view(&p->token_body), token, sizeof token,
                                   &life_s, &retry, &err);
    if (rc == TG_OK && (rc = give_token(l, token, life_s)) < 0)
        tg_error_set(&err, rc, "the token cannot be used: %s", tg_code_text(rc));
    explicit_bzero(token, sizeof token);
    if (rc == TG_OK)
        token_came(l);
    else {
        look_for_pause(l);
        token_failed(l, retry, err.text);
    }
}

static void on_token_ready(void *user)
{
    struct tg_link *l = TG_OBJECT(user, struct tg_link, TG_LINK_MAGIC);
    struct tg_pubsub_link *p = of(l);
    uint8_t memory[2 * TG_PUBSUB_ASSERTION_BYTES];
    struct tg_writer w = tg_writer_init(memory, sizeof memory);
    struct tg_error err = {0};
    int rc = tg_pubsub_token_request(&w, &p->key, &p->token_uri, tg_clock_wall_ms() / 1000, &err);
    if (rc == TG_OK) {
        rc = tg_stream_write(p->token_stream, tg_bytes(w.data, w.len));
        explicit_bzero(memory, sizeof memory);
        if (rc < 0)
            tg_error_set(&err, rc, "the stream does not take the request");
    }
    if (rc < 0)
        token_failed(l, TG_RETRY_BACKOFF, err.text);
}

static void on_token_data(void *user, struct tg_bytes data)
{
    struct tg_link *l = TG_OBJECT(user, struct tg_link, TG_LINK_MAGIC);
    struct tg_pubsub_link *p = of(l);
    struct tg_bytes body = {0};
    int rc;
    do {
        rc = tg_http_response_feed(&p->token_http, &data, &body);
        if (rc == TG_HTTP_BODY && tg_buffer_append(&p->token_body, body) < 0) {
            token_failed(l, TG_RETRY_BACKOFF, "its answer is too long");
            return;
        }
    } while (rc == TG_HTTP_HEAD || rc == TG_HTTP_BODY);
    if (rc < 0)
        token_failed(l, TG_RETRY_BACKOFF, p->token_http.reason);
    else if (rc == TG_HTTP_END)
        token_answered(l);
}

static void on_token_end(void *user, const struct tg_error *err)
{
    struct tg_link *l = TG_OBJECT(user, struct tg_link, TG_LINK_MAGIC);
    struct tg_pubsub_link *p = of(l);
    if (err->code == TG_EEOF && tg_http_response_eof(&p->token_http) == TG_HTTP_END)
        token_answered(l);
    else
        token_failed(l, TG_RETRY_BACKOFF, err->text);
}

static enum tg_pubsub_token_result fetch(struct tg_link *l, int64_t now_ms)
{
    static const struct tg_stream_callbacks callbacks = {
        .on_ready = on_token_ready, .on_data = on_token_data, .on_end = on_token_end};
    struct tg_pubsub_link *p = of(l);
    const struct tg_settings *c = l->config->common;
    struct tg_stream_options o = {.connect_timeout_ms = (uint32_t)tg_settings_int(c, "connect_timeout"),
                                  .handshake_timeout_ms = (uint32_t)tg_settings_int(c, "handshake_timeout")};
    struct tg_transport transport = {0};
    struct tg_error err = {0};
    if (p->token_stream)
        return TG_PUBSUB_TOKEN_COMES;
    if (tg_pubsub_token_uri_parse(p->key.token_uri, &p->token_uri, &err) < 0) {
        tg_link_fail_as(l, TG_RETRY_NEVER, err.text);
        return TG_PUBSUB_TOKEN_FAILED;
    }
    o.host = p->token_uri.host;
    o.port = p->token_uri.port;
    o.tls = p->token_uri.tls ? l->cloud->tls : NULL;
    if (p->token_uri.tls && !o.tls) {
        token_failed(l, TG_RETRY_NEVER, "it wants TLS, and the cloud has `tls: off`");
        return TG_PUBSUB_TOKEN_FAILED;
    }
    tg_http_response_init(&p->token_http, p->token_head, sizeof p->token_head, TG_HTTP_PLAIN);
    p->token_body = tg_buffer_init(TG_PUBSUB_TOKEN_REPLY_BYTES);
    int rc = tg_transport_prepare(&transport, c, NULL, &o, &err);
    if (rc == TG_OK)
        rc = tg_stream_open(l->set->loop, &o, &callbacks, l, &p->token_stream, &err);
    tg_transport_fini(&transport);
    if (rc < 0) {
        token_failed(l, TG_RETRY_BACKOFF, err.text);
        return TG_PUBSUB_TOKEN_FAILED;
    }
    p->token_due_ms =
        now_ms + o.connect_timeout_ms + o.handshake_timeout_ms + tg_settings_int(c, "ack_timeout");
    return TG_PUBSUB_TOKEN_COMES;
}

bool tg_pubsub_token_tick(struct tg_link *l, int64_t now_ms)
{
    if (now_ms < of(l)->token_due_ms)
        return true;
    token_failed(l, TG_RETRY_BACKOFF, "no answer in time");
    return false;
}

/* --- a token ------------------------------------------------------------------------------------------ */

static enum tg_pubsub_token_result make(struct tg_link *l)
{
    struct tg_pubsub_link *p = of(l);
    char token[TG_PUBSUB_TOKEN_BYTES];
    struct tg_writer w = tg_writer_init(token, sizeof token);
    struct tg_error err = {0};
    int rc = tg_pubsub_token_self_signed(&w, &p->key, TG_PUBSUB_AUDIENCE, tg_clock_wall_ms() / 1000, &err);
    if (rc == TG_OK && (rc = tg_writer_cstr(&w)) < 0)
        tg_error_set(&err, rc, "the token is too long");
    if (rc == TG_OK && (rc = give_token(l, token, TG_PUBSUB_TOKEN_LIFE_S)) < 0)
        tg_error_set(&err, rc, "the token cannot be used: %s", tg_code_text(rc));
    explicit_bzero(token, sizeof token);
    if (rc == TG_OK)
        return TG_PUBSUB_TOKEN_THERE;
    tg_link_fail_error(l, &err);
    return TG_PUBSUB_TOKEN_FAILED;
}

enum tg_pubsub_token_result tg_pubsub_token_get(struct tg_link *l, int64_t now_ms)
{
    if (!tg_clock_plausible(tg_clock_wall_ms())) {
        struct tg_error err = {0};
        tg_error_set(&err, TG_ECLOCK, "the clock is before 2026, so no token can be made");
        tg_link_fail_error(l, &err);
        return TG_PUBSUB_TOKEN_FAILED;
    }
    return auth_of(l) == TG_PUBSUB_AUTH_EXCHANGE ? fetch(l, now_ms) : make(l);
}

/* Anew for each connection: a changed file counts. */
static int read_key(struct tg_link *l, struct tg_error *err)
{
    const char *path = tg_settings_text(l->config->settings, "service_account_file");
    struct tg_pubsub_key fresh;
    struct tg_secret file = {0};
    int rc = tg_secret_read(path, TG_SECRET_PRIVATE, &file, err);
    if (rc < 0)
        return rc;
    rc = tg_pubsub_key_parse(tg_secret_view(&file), path, &fresh, err);
    tg_secret_free(&file);
    if (rc < 0)
        return rc;
    if (of(l)->key.signer && strcmp(of(l)->key.private_key_id, fresh.private_key_id) != 0)
        tg_pubsub_core_forget_token(&of(l)->core);
    tg_pubsub_key_free(&of(l)->key);
    of(l)->key = fresh;
    return TG_OK;
}

void tg_pubsub_token_login(struct tg_link *l)
{
    struct tg_error err = {0};
    int64_t now = tg_clock_mono_ms();
    int rc = auth_of(l) == TG_PUBSUB_AUTH_NONE ? TG_OK : read_key(l, &err);
    if (rc < 0) {
        tg_link_fail_as(l, rc == TG_ENOMEM ? TG_RETRY_BACKOFF : TG_RETRY_NEVER, err.text);
        return;
    }
    tg_pubsub_core_connected(&of(l)->core);
    tg_link_set_state(l, TG_SESSION_LOGIN);
    if (auth_of(l) == TG_PUBSUB_AUTH_NONE || tg_pubsub_core_has_token(&of(l)->core, now / 1000)) {
        token_came(l);
        return;
    }
    switch (tg_pubsub_token_get(l, now)) {
    case TG_PUBSUB_TOKEN_THERE:
        token_came(l);
        break;
    case TG_PUBSUB_TOKEN_COMES:
        tg_link_arm(l);
        break;
    case TG_PUBSUB_TOKEN_FAILED:
        break;
    }
}
