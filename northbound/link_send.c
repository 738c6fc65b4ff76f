/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "northbound/link.h"

#include "core/base/allocator.h"
#include "core/base/assert.h"
#include "core/base/clock.h"
#include "core/base/log.h"

#define PACKET_OVERHEAD_BYTES 16 /* fixed header 5, topic length 2, packet id 2, and room */

void tg_link_send_fini(struct tg_link *l)
{
    if (l->batches)
        for (uint64_t tag = l->first_tag; tag < l->next_tag; tag++)
            tg_link_let_go(tg_link_batch(l, tag));
    tg_link_window_fini(l);
}

/* --- acknowledged ------------------------------------------------------------------------------------- */

/* The cursors only move over what is acknowledged without a hole. */
static void advance(struct tg_link *l)
{
    int64_t wall_ms = tg_clock_wall_ms();
    while (l->first_tag < l->next_tag && tg_link_batch(l, l->first_tag)->acked) {
        struct tg_batch *b = tg_link_batch(l, l->first_tag);
        struct tg_session *s = b->session;
        if (s) {
            uint64_t next = l->first_tag + 1;
            const struct tg_batch *more = next < l->next_tag ? tg_link_batch(l, next) : NULL;
            s->stats.acked_samples += b->count;
            s->stats.acked_messages += b->parts;
            l->cloud->wire.total.samples += b->count;
            l->cloud->wire.total.messages += b->parts;
            for (uint32_t i = 0; i < b->count; i++)
                tg_histogram_add(&l->cloud->ack_latency, wall_ms - tg_batch_rows(b)[i]->time_ms, 1);
            tg_link_confirm(s, b, more && more->acked ? more : NULL);
        }
        tg_link_let_go(b);
        l->first_tag++;
        if (l->first_tag == l->next_tag)
            tg_link_window_emptied(l);
    }
}

void tg_link_acked(struct tg_link *l, uint64_t tag)
{
    uint64_t batch = tag >> TG_TAG_PART_BITS;
    struct tg_batch *b;
    if (batch < l->first_tag || batch >= l->next_tag)
        return;
    b = tg_link_batch(l, batch);
    b->parts_acked++;
    b->acked = b->parts_acked >= b->parts;
    advance(l);
}

void tg_link_barrier_passed(struct tg_link *l)
{
    for (uint64_t tag = l->first_tag; tag < l->barrier_tag; tag++)
        tg_link_batch(l, tag)->acked = true;
    l->barrier_tag = 0;
    advance(l);
}

/* After messages at QoS 0: one PINGREQ is under way at a time. */
static void set_barrier(struct tg_link *l, int64_t now_ms)
{
    uint64_t whole = l->next_tag;
    if (l->qos != 0 || l->barrier_tag != 0)
        return;
    if (whole > l->first_tag && tg_link_batch(l, whole - 1)->parts_sent < tg_link_batch(l, whole - 1)->parts)
        whole--;
    if (whole == l->first_tag || tg_mqtt_client_barrier(&l->mqtt, now_ms, &l->set->out) < 0)
        return;
    l->barrier_tag = whole;
}

void tg_link_rewind(struct tg_link *l)
{
    struct tg_session *s;
    if (l->first_tag == l->next_tag)
        return;
    for (; l->first_tag < l->next_tag; l->first_tag++) {
        struct tg_batch *b = tg_link_batch(l, l->first_tag);
        if (b->session)
            b->session->stats.resent += b->parts_sent;
        tg_link_let_go(b);
    }
    TAILQ_FOREACH(s, &l->sessions, in_link)
    tg_feed_rewind(s->feed);
}

void tg_link_orphan(struct tg_link *l, struct tg_session *s)
{
    for (uint64_t tag = l->first_tag; tag < l->next_tag; tag++)
        if (tg_link_batch(l, tag)->session == s)
            tg_link_batch(l, tag)->session = NULL;
}

void tg_link_take_back(struct tg_link *l, struct tg_session *s)
{
    if (!l->shared || !l->cloud->type->attaches)
        return;
    for (uint64_t tag = l->first_tag; tag < l->next_tag; tag++) {
        struct tg_batch *b = tg_link_batch(l, tag);
        if (b->session != s)
            continue;
        for (uint16_t part = 0; part < b->parts_sent; part++)
            tg_mqtt_client_forgo(&l->mqtt, tg_clock_mono_ms(), tag << TG_TAG_PART_BITS | part);
        tg_link_let_go(b);
        b->parts = b->parts_sent;
        b->acked = true;
    }
    advance(l);
    tg_feed_rewind(s->feed);
}

void tg_link_take_all_back(struct tg_link *l)
{
    struct tg_session *s;
    if (!l->shared || !l->cloud->type->attaches)
        return;
    for (; l->first_tag < l->next_tag; l->first_tag++)
        tg_link_let_go(tg_link_batch(l, l->first_tag));
    tg_mqtt_client_forget(&l->mqtt);
    TAILQ_FOREACH(s, &l->sessions, in_link)
    tg_feed_rewind(s->feed);
}

/* --- room ------------------------------------------------------------------------------------------------ */

bool tg_link_flush(struct tg_link *l)
{
    struct tg_session_set *set = l->set;
    int rc;
    if (set->out.len == 0)
        return true;
    TG_ASSERT(l->stream);
    rc = tg_stream_write(l->stream, tg_bytes(set->out.data, set->out.len));
    set->out.len = 0;
    set->out.failed = false;
    return rc == TG_OK;
}

bool tg_link_room(struct tg_link *l, size_t bytes)
{
    struct tg_session_set *set = l->set;
    size_t need = bytes + TG_CLOUD_TOPIC_BYTES + PACKET_OVERHEAD_BYTES;
    if (set->out.len >= TG_SET_FLUSH_BYTES || set->out.cap - set->out.len < need)
        if (!tg_link_flush(l))
            return false;
    return need <= set->out.cap && tg_stream_queued(l->stream) + set->out.len + need <= TG_STREAM_QUEUE_BYTES;
}

/* The cloud's own limit on messages a second. */
static bool rate_allows(struct tg_link *l, int64_t now_ms)
{
    uint32_t per_second = l->cloud->type->max_publishes_per_second;
    if (per_second == 0)
        return true;
    l->publish_tokens += (double)(now_ms - l->publish_refilled_ms) * per_second / 1000.0;
    if (l->publish_tokens > per_second)
        l->publish_tokens = per_second;
    l->publish_refilled_ms = now_ms;
    return l->publish_tokens >= 1.0;
}

/* A full window opens again when a quarter of it is free: acknowledgements come one by one, and messages that go together
 * share a TLS record and a system call. What is in flight keeps the link busy meanwhile. */
static bool window_is_open(struct tg_link *l)
{
    uint32_t room = l->qos ? tg_link_window(l) : l->batch_cap - (uint32_t)(l->next_tag - l->first_tag);
    if (room == 0)
        l->window_was_full = true;
    else if (room >= l->batch_cap / 4)
        l->window_was_full = false;
    return room > 0 && !l->window_was_full;
}

/* --- encoding ---------------------------------------------------------------------------------------------- */

/* The name of the i-th value of a sample; empty when it cannot be read. */
static struct tg_bytes point_name(const struct tg_row *row, uint32_t i)
{
    struct tg_sample_reader r;
    struct tg_named_value v;
    if (tg_link_is_gap(row))
        return tg_bytes_str(TG_GAP_POINT);
    if (tg_sample_reader_init(&r, tg_bytes(row->body, row->body_len)) < 0)
        return (struct tg_bytes){0};
    for (uint32_t n = 0; tg_sample_reader_next(&r, &v) > 0; n++)
        if (n == i)
            return v.name;
    return (struct tg_bytes){0};
}

static uint16_t parts_of(const struct tg_link *l, const struct tg_row *row)
{
    struct tg_sample_reader r;
    if (!l->per_point || tg_link_is_gap(row))
        return 1;
    if (tg_sample_reader_init(&r, tg_bytes(row->body, row->body_len)) < 0 || r.count == 0)
        return 1;
    return (uint16_t)(r.count < TG_BATCH_MAX_PARTS ? r.count : TG_BATCH_MAX_PARTS - 1);
}

struct message {
    struct tg_session *session;
    const struct tg_row *const *rows;
    uint32_t count;
    uint16_t part;
    bool again;
    char point[TG_NAME_MAX_BYTES + 1];
    struct tg_format_content content;
    struct tg_bytes body, topic;
};

/* A message of several samples keeps to max_bytes; one sample that is larger goes alone. */
static int encode_by_profile(struct tg_link *l, struct message *m, const struct tg_format_sample *samples,
                             struct tg_writer *w)
{
    struct tg_error err = {0};
    size_t cap = w->cap;
    int n;
    w->cap = m->again || l->max_bytes > cap ? cap : l->max_bytes;
    n = tg_link_encode(l, m->session, samples, m->count, m->again, w, &err);
    if (n == TG_ETOOBIG && w->cap < cap) {
        *w = tg_writer_init(w->data, cap);
        n = tg_link_encode(l, m->session, samples, 1, m->again, w, &err);
    }
    if (n < 0 && n != TG_EFULL)
        tg_log(TG_LOG_ERROR, "session", "device=%s cloud=%s a message cannot be written: %s",
               m->session->device_id, l->config->name, err.text);
    return n;
}

/* Writes the body of as many of the rows as fit; returns how many, negative when the first cannot be written; TG_EUNSUPPORTED: it is a
 * gap record, and the format has no place for those. */
static int encode(struct tg_link *l, struct message *m)
{
    TG_UNCLEARED struct tg_format_sample samples[1000];
    struct tg_writer w = tg_writer_init(l->set->body, TG_SET_BODY_BYTES), packed;
    struct tg_session *s = m->session;
    const struct tg_format_context c = {.device = s->target.device_id,
                                        .gateway = l->set->gateway,
                                        .template_text = tg_settings_text(l->config->common, "template"),
                                        .point = l->per_point ? m->point : NULL,
                                        .unit = s->target.device ? tg_link_unit_of : NULL,
                                        .user = s};
    int n;
    TG_ASSERT(m->count <= sizeof samples / sizeof samples[0]);
    m->count = tg_link_sayable(l, &c, m->rows, m->count);
    if (m->count == 0)
        return TG_EUNSUPPORTED;
    for (uint32_t i = 0; i < m->count; i++)
        samples[i] =
            (struct tg_format_sample){m->rows[i]->seq, tg_bytes(m->rows[i]->body, m->rows[i]->body_len)};
    if (l->cloud->type->encode)
        n = encode_by_profile(l, m, samples, &w);
    else
        n = l->format->write(&c, samples, m->count, m->again ? TG_SET_BODY_BYTES : l->max_bytes, &w);
    if (n <= 0)
        return n < 0 ? n : TG_ECORRUPT;
    m->body = tg_bytes(w.data, w.len);
    m->content =
        l->format ? l->format->content : (struct tg_format_content){"application/octet-stream", "", ""};
    packed = tg_writer_init(l->set->packed, TG_SET_BODY_BYTES);
    if (l->deflate && tg_format_deflate(m->body, &packed) == TG_OK) {
        m->body = tg_bytes(packed.data, packed.len);
        m->content.encoding = "deflate";
    }
    return n;
}

int tg_link_write_rows(struct tg_link *l, struct tg_session *s, uint32_t count, struct tg_bytes *ret_body)
{
    TG_UNCLEARED const struct tg_row *rows[1000];
    struct message m = {.session = s, .rows = rows, .count = count};
    int n;
    TG_ASSERT(count <= sizeof rows / sizeof rows[0]);
    for (uint32_t i = 0; i < count; i++)
        rows[i] = tg_feed_at(s->feed, i);
    n = encode(l, &m);
    if (n > 0)
        *ret_body = m.body;
    return n;
}

const char *tg_link_unit_of(void *user, struct tg_bytes point)
{
    const struct tg_session *s = user;
    const struct tg_config_device *d = s->target.device;
    for (uint32_t i = 0; i < d->point_count; i++)
        if (tg_bytes_eq_str(point, d->points[i].name))
            return d->points[i].unit ? d->points[i].unit : "";
    return "";
}

static int make_topic(struct tg_link *l, struct message *m, uint8_t *memory)
{
    struct tg_writer w = tg_writer_init(memory, TG_CLOUD_TOPIC_BYTES);
    int rc = l->cloud->type->topic(&m->session->target, &m->content, m->point, &w);
    m->topic = tg_bytes(w.data, w.len);
    return rc;
}

/* --- sending -------------------------------------------------------------------------------------------------- */

static void name_part(const struct tg_link *l, struct message *m)
{
    struct tg_bytes name = l->per_point ? point_name(m->rows[0], m->part) : (struct tg_bytes){0};
    size_t n = name.len < sizeof m->point ? name.len : sizeof m->point - 1;
    if (n)
        memcpy(m->point, name.data, n);
    m->point[n] = '\0';
}

/* Writes one message that is encoded. 1 = written, 0 = no room now, negative = the link is broken. */
static int publish(struct tg_link *l, struct message *m, uint64_t tag, int64_t now_ms)
{
    TG_UNCLEARED uint8_t topic_memory[TG_CLOUD_TOPIC_BYTES];
    int rc;
    if (!tg_link_room(l, m->body.len))
        return 0;
    rc = make_topic(l, m, topic_memory);
    if (rc < 0)
        return rc;
    if (m->again)
        rc = tg_mqtt_client_resend(&l->mqtt, now_ms, m->topic, m->body, l->retain, &l->set->out);
    else
        rc = tg_mqtt_client_publish(&l->mqtt, now_ms, m->topic, m->body, l->qos, l->retain,
                                    tag << TG_TAG_PART_BITS | m->part, NULL, &l->set->out);
    if (rc < 0)
        return rc == TG_EFULL ? 0 : rc;
    if (l->cloud->type->sent)
        tg_link_sent(l, m->session);
    if (l->cloud->type->max_publishes_per_second)
        l->publish_tokens -= 1.0;
    m->session->stats.published += !m->again;
    m->session->stats.resent += m->again;
    m->session->stats.body_bytes += m->body.len;
    tg_day_meter_add(&m->session->day, now_ms, tg_clock_wall_ms(), 1, m->body.len + m->topic.len);
    return 1;
}

/* The next part of the newest batch, if some have not gone yet. 1 = sent, 0 = not now, -1 … = broken; *ret_done: none is left. */
static int send_part(struct tg_link *l, int64_t now_ms, bool *ret_done)
{
    uint64_t tag = l->next_tag - 1;
    struct tg_batch *b = l->next_tag > l->first_tag ? tg_link_batch(l, tag) : NULL;
    struct message m = {0};
    int rc;
    *ret_done = !b || b->parts_sent >= b->parts;
    if (*ret_done)
        return 0;
    if (!b->session) { /* it has left: what is not out stays in */
        b->acked = b->parts_acked >= b->parts_sent;
        b->parts = b->parts_sent;
        advance(l);
        return 1;
    }
    if (l->qos && !window_is_open(l))
        return 0;
    m = (struct message){.session = b->session,
                         .rows = (const struct tg_row *const *)tg_batch_rows(b),
                         .count = b->count,
                         .part = b->parts_sent};
    name_part(l, &m);
    rc = encode(l, &m);
    if (rc < 0)
        return rc;
    rc = publish(l, &m, tag, now_ms);
    if (rc > 0)
        b->parts_sent++;
    return rc;
}

/* 1 = a batch was begun, 0 = nothing to send now (or no room), negative = drop the connection. */
static int send_batch(struct tg_link *l, struct tg_session *s, int64_t now_ms)
{
    TG_UNCLEARED const struct tg_row *rows[1000];
    uint32_t available, ready = tg_feed_ready(s->feed);
    struct message m = {.session = s, .rows = rows};
    struct tg_batch *b;
    int n, rc;
    if (!tg_link_room(l, l->max_bytes))
        return 0;
    tg_link_choose(s, now_ms);
    available = tg_feed_available(s->feed);
    m.count = available < l->max_samples ? available : l->max_samples;
    for (uint32_t i = 0; i < m.count; i++)
        rows[i] = tg_feed_at(s->feed, i);
    TG_ASSERT(m.count > 0); /* send_next() asks only a feed that has some */
    name_part(l, &m);
    n = encode(l, &m);
    if (n < 0 && l->cloud->type->encode && n != TG_ECORRUPT && n != TG_ETOOBIG)
        return n == TG_EFULL ? 0 : n;
    if (n < 0) {
        tg_link_quarantine(s, n);
        return tg_feed_ready(s->feed) < ready;
    }
    b = tg_link_new_batch(l, (uint32_t)n);
    if (!b)
        return TG_ENOMEM;
    rc = publish(l, &m, l->next_tag, now_ms);
    if (rc <= 0) {
        tg_link_let_go(b);
        return rc;
    }
    tg_link_fill(s, b, (uint32_t)n);
    b->parts = parts_of(l, tg_batch_rows(b)[0]);
    b->parts_sent = 1;
    l->next_tag++;
    return 1;
}

/* --- sending again --------------------------------------------------------------------------------------------- */

static int resend_part(struct tg_link *l, struct tg_batch *b, uint64_t tag, uint16_t part, int64_t now_ms)
{
    struct message m = {.session = b->session,
                        .rows = (const struct tg_row *const *)tg_batch_rows(b),
                        .count = b->count,
                        .part = part,
                        .again = true};
    int n;
    name_part(l, &m);
    n = encode(l, &m); /* the same rows as before, whatever the limit says now */
    TG_ASSERT(n == (int)b->count);
    return publish(l, &m, tag, now_ms);
}

/* The next message that the client wants again. */
static int resend_acknowledged(struct tg_link *l, uint64_t tag, int64_t now_ms)
{
    uint64_t batch = tag >> TG_TAG_PART_BITS;
    struct tg_batch *b;
    if (tag & TG_TAG_CONTROL) /* control messages begin anew with ONLINE */
        return tg_mqtt_client_resend_drop(&l->mqtt, now_ms) == TG_OK ? 1 : TG_ESTATE;
    TG_ASSERT(batch >= l->first_tag && batch < l->next_tag);
    b = tg_link_batch(l, batch);
    if (!b->session) {
        int rc = tg_mqtt_client_resend_drop(&l->mqtt, now_ms);
        tg_link_acked(l, tag);
        return rc == TG_OK ? 1 : rc;
    }
    return resend_part(l, b, batch, (uint16_t)(tag & (TG_BATCH_MAX_PARTS - 1)), now_ms);
}

static int resend(struct tg_link *l, int64_t now_ms)
{
    uint64_t tag;
    if (tg_mqtt_client_resend_next(&l->mqtt, &tag))
        return resend_acknowledged(l, tag, now_ms);
    return TG_EAGAIN; /* nothing is left */
}

/* --- whose turn it is --------------------------------------------------------------------------------------------- */

void tg_link_unqueue(struct tg_session *s)
{
    if (s->queue == TG_QUEUE_READY)
        TAILQ_REMOVE(&s->link->ready, s, in_queue);
    else if (s->queue == TG_QUEUE_DELAYED)
        TAILQ_REMOVE(&s->link->delayed, s, in_queue);
    s->queue = TG_QUEUE_NONE;
}

void tg_link_queue(struct tg_session *s, int64_t now_ms)
{
    struct tg_link *l = s->link;
    uint32_t available = s->gate && s->online ? tg_feed_ready(s->feed) : 0;
    if (available == 0) {
        s->kept_due_ms = 0;
        tg_link_unqueue(s);
        return;
    }
    if (available >= l->max_samples || l->max_delay_ms == 0 || tg_link_hurries(s, now_ms)) {
        if (s->queue == TG_QUEUE_READY)
            return;
        tg_link_unqueue(s);
        s->queue = TG_QUEUE_READY;
        TAILQ_INSERT_TAIL(&l->ready, s, in_queue);
        return;
    }
    if (s->queue == TG_QUEUE_NONE)
        tg_link_delay(s, now_ms);
}

int64_t tg_link_send_due(const struct tg_link *l)
{
    const struct tg_session *s = TAILQ_FIRST(&l->delayed);
    uint32_t per_second = l->cloud->type->max_publishes_per_second;
    int64_t due = s ? s->batch_due_ms : INT64_MAX, at;
    if (per_second && l->publish_tokens < 1.0 && !TAILQ_EMPTY(&l->ready)) {
        at = l->pumped_ms + 1 + (int64_t)((1.0 - l->publish_tokens) * 1000.0 / per_second);
        due = at < due ? at : due;
    }
    /* What was due at the last pump waits for room, which has its own event. */
    return due > l->pumped_ms ? due : INT64_MAX;
}

/* One message of whoever is next. 1 = go on. */
static int send_next(struct tg_link *l, int64_t now_ms)
{
    struct tg_session *s = TAILQ_FIRST(&l->ready);
    bool whole;
    int rc;
    if (!rate_allows(l, now_ms))
        return 0;
    rc = send_part(l, now_ms, &whole);
    if (!whole)
        return rc;
    if (!s || !window_is_open(l) || l->next_tag - l->first_tag >= l->batch_cap)
        return 0;
    if (tg_feed_ready(s->feed) == 0) {
        tg_link_unqueue(s);
        return 1;
    }
    rc = send_batch(l, s, now_ms);
    if (rc > 0) {
        tg_link_unqueue(s);
        tg_link_queue(s, now_ms);
    }
    return rc;
}

static bool flush_or_fail(struct tg_link *l)
{
    if (tg_link_flush(l))
        return true;
    tg_link_fail(l, "the stream does not take data");
    return false;
}

bool tg_link_pump(struct tg_link *l, int64_t now_ms)
{
    int rc = 1;
    l->pumped_ms = now_ms;
    if (l->state != TG_SESSION_ONLINE && l->state != TG_SESSION_RENEWING)
        return l->stream && flush_or_fail(l);
    while (rc > 0)
        rc = resend(l, now_ms);
    if (rc == TG_EAGAIN && l->state == TG_SESSION_ONLINE) {
        rc = 1;
        tg_link_ripen(l, now_ms);
        while (rc > 0)
            rc = send_next(l, now_ms);
    }
    if (rc < 0 && rc != TG_EAGAIN) {
        tg_link_fail(l, l->mqtt.reason[0] ? l->mqtt.reason : tg_code_text(rc));
        return false;
    }
    set_barrier(l, now_ms);
    return flush_or_fail(l);
}
