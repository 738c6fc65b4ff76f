/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "northbound/format_json.h"
#include "northbound/session_private.h"

#include "core/base/allocator.h"
#include "core/base/assert.h"
#include "core/base/clock.h"
#include "core/base/log.h"

#define PACKET_OVERHEAD_BYTES 16 /* fixed header 5, topic length 2, packet id 2, and room */

int tg_session_send_init(struct tg_session *s)
{
    s->batches = tg_calloc(s->batch_cap, sizeof *s->batches);
    s->batch_rows = tg_calloc((size_t)s->batch_cap * s->max_samples, sizeof(struct tg_row *));
    s->slots = tg_calloc(s->batch_cap, sizeof *s->slots);
    if (!s->batches || !s->batch_rows || !s->slots)
        return TG_ENOMEM;
    for (uint32_t i = 0; i < s->batch_cap; i++)
        s->batches[i].rows = s->batch_rows + (size_t)i * s->max_samples;
    return TG_OK;
}

static struct tg_batch *batch_of(struct tg_session *s, uint64_t tag)
{
    return &s->batches[tag % s->batch_cap];
}

static void let_go(struct tg_batch *b)
{
    for (uint32_t i = 0; i < b->count; i++)
        tg_row_unref(b->rows[i]);
    b->count = 0;
    b->acked = false;
}

void tg_session_send_fini(struct tg_session *s)
{
    if (s->batches)
        for (uint64_t tag = s->first_tag; tag < s->next_tag; tag++)
            let_go(batch_of(s, tag));
    tg_free(s->batches);
    tg_free(s->batch_rows);
    tg_free(s->slots);
}

void tg_session_acked(struct tg_session *s, uint64_t tag)
{
    uint64_t seq = 0, id = 0;
    int64_t wall_ms = tg_clock_wall_ms();
    if (tag < s->first_tag || tag >= s->next_tag)
        return;
    batch_of(s, tag)->acked = true;
    /* The cursor only moves over what is acknowledged without a hole. */
    while (s->first_tag < s->next_tag && batch_of(s, s->first_tag)->acked) {
        struct tg_batch *b = batch_of(s, s->first_tag);
        seq = b->rows[b->count - 1]->seq;
        id = b->rows[b->count - 1]->id;
        s->stats.acked_samples += b->count;
        for (uint32_t i = 0; i < b->count; i++)
            tg_histogram_add(&s->cloud->ack_latency, wall_ms - b->rows[i]->time_ms, 1);
        s->stats.acked_messages++;
        let_go(b);
        s->first_tag++;
    }
    if (id)
        tg_feed_ack(s->feed, seq, id);
}

bool tg_session_flush(struct tg_session *s)
{
    struct tg_session_set *set = s->set;
    int rc;
    if (set->out.len == 0)
        return true;
    TG_ASSERT(s->stream);
    rc = tg_stream_write(s->stream, tg_bytes(set->out.data, set->out.len));
    set->out.len = 0;
    set->out.failed = false;
    return rc == TG_OK;
}

/* Encodes rows as one message: as many of `offered` as fit max_bytes, at least one. Returns how many, 0 with
 * *ret_rc when the first cannot be encoded. One sample stands alone, several make an array. */
static uint32_t encode(struct tg_session *s, const struct tg_row *(*row_at)(void *, uint32_t), void *from,
                       uint32_t offered, struct tg_bytes *ret_body, int *ret_rc)
{
    struct tg_writer w = tg_writer_init(s->set->body, TG_SET_BODY_BYTES - 1);
    uint32_t n = 0;
    tg_write_u8(&w, '[');
    for (; n < offered; n++) {
        const struct tg_row *row = row_at(from, n);
        size_t before = w.len;
        int rc;
        if (n)
            tg_write_u8(&w, ',');
        rc = tg_format_json_sample(&w, row->seq, tg_bytes(row->body, row->body_len));
        if (n == 0 && rc < 0) {
            *ret_rc = rc;
            return 0;
        }
        if (rc < 0 || (n > 0 && w.len + 1 > s->max_bytes)) {
            w.len = before;
            w.failed = false;
            break;
        }
    }
    if (n == 1) {
        *ret_body = tg_bytes(w.data + 1, w.len - 1);
    } else {
        w.data[w.len++] = ']'; /* a byte was kept back for it */
        *ret_body = tg_bytes(w.data, w.len);
    }
    return n;
}

static const struct tg_row *row_of_feed(void *feed, uint32_t i)
{
    return tg_feed_at(feed, i);
}

static const struct tg_row *row_of_batch(void *batch, uint32_t i)
{
    return ((struct tg_batch *)batch)->rows[i];
}

static bool room_for(struct tg_session *s, size_t bytes)
{
    struct tg_session_set *set = s->set;
    size_t need = bytes + TG_CLOUD_TOPIC_BYTES + PACKET_OVERHEAD_BYTES;
    if (set->out.len >= TG_SET_FLUSH_BYTES || set->out.cap - set->out.len < need)
        if (!tg_session_flush(s))
            return false;
    return tg_stream_queued(s->stream) + set->out.len + need <= TG_STREAM_QUEUE_BYTES;
}

static int make_topic(struct tg_session *s, uint8_t *memory, struct tg_bytes *ret_topic)
{
    struct tg_writer w = tg_writer_init(memory, TG_CLOUD_TOPIC_BYTES);
    static const struct tg_format_content content = {"application/json", "utf-8", ""};
    int rc = s->cloud->type->topic(&s->target, &content, "", &w);
    *ret_topic = tg_bytes(w.data, w.len);
    return rc;
}

/* A row that can never be sent (damaged in the store, or larger than any message) must not stop the device. */
static void quarantine_first(struct tg_session *s, int rc)
{
    struct tg_row *row;
    if (s->first_tag < s->next_tag)
        return; /* what is in flight before it comes first */
    tg_feed_take(s->feed, 1, &row);
    tg_log(TG_LOG_ERROR, "session",
           "device=%s cloud=%s sample seq=%llu cannot be sent (%s) and is left out; the next one follows",
           s->device_id, s->route->cloud->name, (unsigned long long)row->seq, tg_code_text(rc));
    tg_feed_ack(s->feed, row->seq, row->id);
    tg_row_unref(row);
}

/* A full window opens again when a quarter of it is free: acknowledgements come one by one, and messages that go together
 * share a TLS record and a system call. What is in flight keeps the link busy meanwhile. */
static bool window_is_open(struct tg_session *s)
{
    uint16_t room = tg_mqtt_client_window(&s->mqtt);
    if (room == 0)
        s->window_was_full = true;
    else if (room >= s->batch_cap / 4)
        s->window_was_full = false;
    return room > 0 && !s->window_was_full;
}

/* 1 = one message was written, 0 = nothing to send now (or no room), negative = drop the connection. */
static int send_batch(struct tg_session *s, int64_t now_ms)
{
    uint32_t available = tg_feed_available(s->feed), n;
    uint8_t topic_memory[TG_CLOUD_TOPIC_BYTES];
    struct tg_bytes body, topic;
    struct tg_batch *b;
    int rc = TG_OK;
    if (!window_is_open(s) || available == 0 || s->next_tag - s->first_tag >= s->batch_cap)
        return 0;
    if (available < s->max_samples && now_ms < s->batch_due_ms)
        return 0;
    if (!room_for(s, s->max_bytes))
        return 0;
    n = encode(s, row_of_feed, s->feed, available < s->max_samples ? available : s->max_samples, &body, &rc);
    if (n == 0) {
        quarantine_first(s, rc);
        return s->first_tag == s->next_tag;
    }
    if (!room_for(s, body.len))
        return 0; /* one sample larger than max_bytes: it goes when the stream has drained */
    rc = make_topic(s, topic_memory, &topic);
    if (rc == TG_OK)
        rc = tg_mqtt_client_publish(&s->mqtt, now_ms, topic, body, s->cloud->type->qos, false, s->next_tag,
                                    NULL, &s->set->out);
    if (rc < 0)
        return rc == TG_EFULL ? 0 : rc;
    b = batch_of(s, s->next_tag);
    tg_feed_take(s->feed, n, b->rows);
    b->count = n;
    s->next_tag++;
    s->stats.published++;
    s->batch_due_ms = now_ms + s->max_delay_ms;
    return 1;
}

static int resend_batch(struct tg_session *s, int64_t now_ms, uint64_t tag)
{
    struct tg_batch *b = batch_of(s, tag);
    uint8_t topic_memory[TG_CLOUD_TOPIC_BYTES];
    struct tg_bytes body = {0}, topic;
    size_t limit = s->max_bytes;
    uint32_t n;
    int rc = TG_OK;
    TG_ASSERT(tag >= s->first_tag && tag < s->next_tag && b->count > 0);
    s->max_bytes = TG_SET_BODY_BYTES; /* the same rows as before, whatever the limit says now */
    n = encode(s, row_of_batch, b, b->count, &body, &rc);
    s->max_bytes = limit;
    TG_ASSERT(n == b->count);
    if (!room_for(s, body.len))
        return 0;
    rc = make_topic(s, topic_memory, &topic);
    if (rc == TG_OK)
        rc = tg_mqtt_client_resend(&s->mqtt, now_ms, topic, body, false, &s->set->out);
    if (rc == TG_OK)
        s->stats.resent++;
    return rc == TG_OK ? 1 : rc == TG_EFULL ? 0 : rc;
}

static bool flush_or_fail(struct tg_session *s)
{
    if (tg_session_flush(s))
        return true;
    tg_session_fail(s, "the stream does not take data");
    return false;
}

bool tg_session_pump(struct tg_session *s, int64_t now_ms)
{
    uint64_t tag;
    int rc = 1;
    s->pumped_ms = now_ms;
    if (s->state != TG_SESSION_ONLINE)
        return s->stream && flush_or_fail(s);
    while (rc > 0 && tg_mqtt_client_resend_next(&s->mqtt, &tag))
        rc = resend_batch(s, now_ms, tag);
    while (rc > 0)
        rc = send_batch(s, now_ms);
    s->had_rows = tg_feed_available(s->feed) > 0;
    if (rc < 0) {
        tg_session_fail(s, s->mqtt.reason[0] ? s->mqtt.reason : tg_code_text(rc));
        return false;
    }
    return flush_or_fail(s);
}
