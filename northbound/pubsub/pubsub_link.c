/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "northbound/pubsub/pubsub_link.h"

#include <stdio.h>

#include "core/base/allocator.h"
#include "core/base/assert.h"
#include "core/base/clock.h"
#include "core/base/log.h"
#include "core/base/random.h"
#include "northbound/pubsub/gcp_pubsub.h"
#include "northbound/pubsub/pubsub_link_private.h"

#define STABLE_MS     60000 /* a server may close an idle connection after this without its being a failure */
#define TELL_AGAIN_MS 60000 /* a quota that is used up again and again */

static struct tg_pubsub_link *of(const struct tg_link *l)
{
    return l->protocol_memory;
}

/* --- life ---------------------------------------------------------------------------------------- */

static int open_protocol(struct tg_link *l)
{
    const struct tg_settings *own = l->config->settings, *common = l->config->common;
    struct tg_pubsub_link *p = tg_calloc(1, sizeof *p);
    struct tg_pubsub_core_options o = {.project = tg_settings_text(own, "project"),
                                       .topic = tg_settings_text(own, "topic"),
                                       .authorize = tg_settings_int(own, "auth") != TG_PUBSUB_AUTH_NONE,
                                       .max_messages = l->max_samples,
                                       .reply_timeout_ms = tg_settings_int(common, "ack_timeout"),
                                       .backoff = {.base_ms = tg_settings_int(common, "min_backoff"),
                                                   .cap_ms = tg_settings_int(common, "max_backoff")}};
    if (!p)
        return TG_ENOMEM;
    /* The model may go with one of the sessions while the link stays. */
    snprintf(p->host, sizeof p->host, "%s", l->target.host);
    snprintf(p->project, sizeof p->project, "%s", o.project);
    snprintf(p->topic, sizeof p->topic, "%s", o.topic);
    o.host = p->host;
    o.project = p->project;
    o.topic = p->topic;
    o.port = (uint16_t)(tg_settings_has(common, "port") ? tg_settings_int(common, "port")
                                                        : l->cloud->type->config.default_port);
    tg_pubsub_core_init(&p->core, &o);
    p->token_due_ms = p->pace_due_ms = INT64_MAX;
    l->protocol_memory = p;
    return TG_OK;
}

static void close_protocol(struct tg_link *l)
{
    struct tg_pubsub_link *p = of(l);
    if (!p)
        return;
    tg_pubsub_token_stop(l);
    tg_pubsub_key_free(&p->key);
    tg_pubsub_core_fini(&p->core);
    tg_free(p);
    l->protocol_memory = NULL;
}

static void lost(struct tg_link *l)
{
    struct tg_pubsub_link *p = of(l);
    tg_pubsub_token_stop(l);
    tg_pubsub_core_closed(&p->core);
    p->pace_due_ms = INT64_MAX;
}

/* The next request but a few has a token of the new time; until then the cloud takes the present one, or says that it does not. */
static void clock_set(struct tg_link *l, int64_t now_ms)
{
    tg_pubsub_core_token_ends(&of(l)->core, (now_ms + l->credential_life_ms / 16) / 1000);
}

static void goodbye(struct tg_link *l)
{
    (void)l; /* HTTP has no last words */
}

/* --- the batch ------------------------------------------------------------------------------------- */

static struct tg_batch *batch_of(struct tg_link *l)
{
    return l->next_tag > l->first_tag ? tg_link_batch(l, l->first_tag) : NULL;
}

static void batch_is_over(struct tg_link *l)
{
    tg_link_acked(l, l->first_tag << TG_TAG_PART_BITS);
}

/* The message of one sample. */
static int encode(struct tg_link *l, struct tg_session *s, const struct tg_row *row,
                  struct tg_bytes *ret_body, struct tg_format_content *ret_content)
{
    const struct tg_format_sample sample = {row->seq, tg_bytes(row->body, row->body_len)};
    const struct tg_format_context c = {.device = s->target.device_id,
                                        .gateway = l->set->gateway,
                                        .template_text = tg_settings_text(l->config->common, "template"),
                                        .unit = s->target.device ? tg_link_unit_of : NULL,
                                        .user = s};
    struct tg_writer w = tg_writer_init(l->set->body, TG_SET_BODY_BYTES), packed;
    int n = l->format->write(&c, &sample, 1, TG_SET_BODY_BYTES, &w);
    if (n <= 0)
        return n < 0 ? n : TG_ECORRUPT;
    *ret_body = tg_bytes(w.data, w.len);
    *ret_content = l->format->content;
    packed = tg_writer_init(l->set->packed, TG_SET_BODY_BYTES);
    if (l->deflate && tg_format_deflate(*ret_body, &packed) == TG_OK) {
        *ret_body = tg_bytes(packed.data, packed.len);
        ret_content->encoding = "deflate";
    }
    return TG_OK;
}

/* Puts as many of the session's rows as go into one request into the core. How many; negative when the first cannot go. */
static int fill(struct tg_link *l, struct tg_session *s)
{
    struct tg_pubsub_link *p = of(l);
    const struct tg_settings *own = l->config->settings;
    struct tg_pubsub_origin origin = {.device = s->target.device_id,
                                      .gateway = l->set->gateway,
                                      .ordered = tg_settings_int(own, "ordering") != 0};
    uint32_t available = tg_feed_available(s->feed), n;
    int rc = TG_OK;
    origin.extra_count = tg_settings_list(own, "attributes", &origin.extra);
    for (n = 0; n < available && n < l->max_samples; n++) {
        const struct tg_row *row = tg_feed_at(s->feed, n);
        struct tg_bytes body;
        rc = encode(l, s, row, &body, &origin.content);
        if (rc == TG_OK)
            rc = tg_pubsub_core_add(&p->core, &origin, row->seq, body);
        if (rc < 0)
            break;
    }
    return n > 0 ? (int)n : rc;
}

/* Its ordering key has had its rate. */
static bool is_paced(struct tg_link *l, const struct tg_session *s, int64_t now_ms)
{
    int64_t due = tg_pubsub_pace_due_ms(s->memory);
    if (due <= now_ms)
        return false;
    if (due < of(l)->pace_due_ms)
        of(l)->pace_due_ms = due;
    return true;
}

/* False: no memory. */
static bool begin_batch(struct tg_link *l, struct tg_session *s, uint32_t count)
{
    struct tg_batch *b = tg_link_new_batch(l, count);
    if (!b)
        return false;
    tg_link_fill(s, b, count);
    b->parts = b->parts_sent = (uint16_t)count; /* a message a sample; the answer confirms all at once */
    b->parts_acked = (uint16_t)(count - 1);
    l->next_tag++;
    of(l)->sent_before = false;
    return true;
}

/* A batch of whoever is next, oldest rows first. False: the link has failed. */
static bool build(struct tg_link *l, int64_t now_ms)
{
    struct tg_session *s, *next;
    of(l)->pace_due_ms = INT64_MAX;
    for (s = TAILQ_FIRST(&l->ready); s; s = next) {
        int n;
        next = TAILQ_NEXT(s, in_queue);
        if (tg_feed_ready(s->feed) == 0) {
            tg_link_unqueue(s);
            continue;
        }
        if (is_paced(l, s, now_ms))
            continue;
        tg_link_choose(s, now_ms);
        n = fill(l, s);
        if (n < 0 && n != TG_ENOMEM) {
            tg_link_quarantine(s, n);
            next = s; /* its next row */
            continue;
        }
        if (n < 0 || !begin_batch(l, s, (uint32_t)n)) {
            tg_pubsub_core_batch_drop(&of(l)->core);
            tg_link_fail(l, "out of memory for a publish request");
            return false;
        }
        if (tg_settings_int(l->config->settings, "ordering"))
            tg_pubsub_pace_take(s->memory, now_ms, tg_pubsub_core_batch_bytes(&of(l)->core));
        tg_link_unqueue(s); /* to the end of the queue */
        tg_link_queue(s, now_ms);
        return true;
    }
    return true;
}

static void count_request(struct tg_link *l)
{
    struct tg_batch *b = batch_of(l);
    struct tg_pubsub_link *p = of(l);
    TG_ASSERT(b && b->session); /* pump() drops what has none before it is sent */
    b->session->stats.published += p->sent_before ? 0 : b->count;
    b->session->stats.resent += p->sent_before ? b->count : 0;
    b->session->stats.body_bytes += tg_pubsub_core_batch_bytes(&p->core);
    tg_day_meter_add(&b->session->day, l->pumped_ms, tg_clock_wall_ms(), b->count,
                     tg_pubsub_core_batch_bytes(&p->core));
    p->sent_before = true;
}

/* Sends what may be sent. False: the link has failed meanwhile. */
static bool pump(struct tg_link *l, int64_t now_ms)
{
    struct tg_pubsub_link *p = of(l);
    struct tg_bytes bytes = {0};
    l->pumped_ms = now_ms;
    if (l->state != TG_SESSION_ONLINE && l->state != TG_SESSION_RENEWING)
        return l->stream != NULL;
    if (batch_of(l) && !batch_of(l)->session && !p->core.sent) { /* its device has left */
        tg_pubsub_core_batch_drop(&p->core);
        batch_is_over(l);
    }
    if (!batch_of(l) && !build(l, now_ms))
        return false;
    switch (tg_pubsub_core_send(&p->core, now_ms, now_ms / 1000, &bytes)) {
    case TG_PUBSUB_NOTHING:
        return true;
    case TG_PUBSUB_TOKEN:
        return tg_pubsub_token_get(l, now_ms) != TG_PUBSUB_TOKEN_THERE || pump(l, now_ms);
    case TG_PUBSUB_WRITE:
        break;
    }
    count_request(l);
    if (tg_stream_write(l->stream, bytes) == TG_OK)
        return true;
    tg_link_fail(l, "the stream does not take a publish request");
    return false;
}

/* --- answers --------------------------------------------------------------------------------------- */

static void tell_pause(struct tg_link *l, const struct tg_pubsub_event *e)
{
    struct tg_pubsub_link *p = of(l);
    int64_t now = tg_clock_mono_ms();
    if (p->core.http.status == 429 || p->core.http.status == 503)
        tg_link_reach_throttled(l);
    bool told = strcmp(p->told, e->text) == 0 && now - p->told_ms < TELL_AGAIN_MS;
    if (!told) {
        snprintf(p->told, sizeof p->told, "%s", e->text);
        p->told_ms = now;
    }
    snprintf(l->last_error, sizeof l->last_error, "%.319s", e->text);
    tg_log(told ? TG_LOG_DEBUG : TG_LOG_WARN, "session",
           "device=%s cloud=%s %s; the messages are kept and sent again in %.1f s", l->target.device_id,
           l->config->name, e->text, (double)e->wait_ms / 1000.0);
}

/* False: the connection is gone. */
static bool handle(struct tg_link *l, const struct tg_pubsub_event *e)
{
    switch (e->outcome) {
    case TG_PUBSUB_GOES_ON:
        break;
    case TG_PUBSUB_PUBLISHED:
        l->last_error[0] = '\0';
        batch_is_over(l);
        break;
    case TG_PUBSUB_PAUSED:
        tell_pause(l, e);
        break;
    case TG_PUBSUB_NEW_TOKEN:
        tg_log(TG_LOG_INFO, "session", "device=%s cloud=%s the token is refused; making a new one",
               l->target.device_id, l->config->name);
        break;
    case TG_PUBSUB_FAILED:
        tg_link_fail_as(l, e->retry, e->text);
        return false;
    }
    if (!e->reconnect)
        return true;
    tg_link_reconnect(l, "the server has ended the connection: connecting again");
    return false;
}

static void on_data(struct tg_link *l, struct tg_bytes data)
{
    struct tg_pubsub_event e;
    int64_t now = tg_clock_mono_ms();
    tg_pubsub_core_data(&of(l)->core, now, tg_random_u32(), data, &e);
    if (handle(l, &e))
        tg_link_go_on(l, now);
}

/* The server closed in order. A connection that served, or was idle for long, may end; one that is closed at once, again and
 * again, needs the back-off. */
static bool ended(struct tg_link *l, const struct tg_error *err)
{
    struct tg_pubsub_link *p = of(l);
    struct tg_pubsub_event e;
    int64_t now = tg_clock_mono_ms();
    bool counts = p->core.served || (l->online_ms && now - l->online_ms >= STABLE_MS);
    if (err->code != TG_EEOF)
        return false;
    tg_pubsub_core_eof(&p->core, now, tg_random_u32(), &e);
    if (e.outcome == TG_PUBSUB_GOES_ON && !counts)
        return false;
    (void)handle(l, &e);
    return true;
}

static int64_t deadline(const struct tg_link *l)
{
    const struct tg_pubsub_link *p = of(l);
    int64_t at = tg_pubsub_core_deadline(&p->core);
    if (l->first_tag == l->next_tag && p->pace_due_ms < at)
        at = p->pace_due_ms;
    return p->token_due_ms < at ? p->token_due_ms : at;
}

static bool tick(struct tg_link *l, int64_t now_ms)
{
    struct tg_pubsub_event e;
    if (!tg_pubsub_token_tick(l, now_ms))
        return false;
    tg_pubsub_core_tick(&of(l)->core, now_ms, &e);
    return handle(l, &e); /* what else was due is done by the pump that follows */
}

const struct tg_link_protocol tg_link_pubsub = {
    .open = open_protocol,
    .close = close_protocol,
    .ready = tg_pubsub_token_login,
    .data = on_data,
    .ended = ended,
    .pump = pump,
    .deadline = deadline,
    .tick = tick,
    .goodbye = goodbye,
    .lost = lost,
    .clock_set = clock_set,
    .identity = "service account",
};
