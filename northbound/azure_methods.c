/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "northbound/azure_methods.h"

#include <stdio.h>
#include <stdlib.h>

#include "core/base/allocator.h"
#include "core/base/sample.h"
#include "northbound/azure_topic.h"
#include "northbound/format_json.h"
#include "northbound/percent.h"

#define CALL_PREFIX        "$iothub/methods/POST/"
#define RESULT_PREFIX      "$iothub/methods/res/"
#define CONNECTION_BYTES   4
#define RID_MAX_BYTES      (TG_CLOUD_REPLY_BYTES - CONNECTION_BYTES)
#define RESULT_TOPIC_BYTES (sizeof RESULT_PREFIX + sizeof "999/?$rid=" + RID_MAX_BYTES)
#define ROOM_MS            200

/* Topic, then body, in one piece. */
struct tg_azure_answer {
    struct tg_azure_answer *next;
    size_t topic_len, body_len;
    uint8_t data[];
};

static void write_topic(struct tg_writer *w, unsigned status, struct tg_bytes rid)
{
    tg_write_str(w, RESULT_PREFIX);
    tg_write_u64_dec(w, status);
    tg_write_str(w, "/?$rid=");
    tg_write_bytes(w, rid);
}

/* --- answers that found no room --- */

static void drop_first(struct tg_azure_methods *m)
{
    struct tg_azure_answer *a = m->first;
    m->first = a->next;
    m->last = m->first ? m->last : NULL;
    m->waiting_count--;
    m->waiting_bytes -= a->topic_len + a->body_len;
    tg_free(a);
}

static void drop_all(struct tg_azure_methods *m)
{
    while (m->first)
        drop_first(m);
}

static void keep(struct tg_azure_methods *m, struct tg_bytes topic, struct tg_bytes body, int64_t now)
{
    size_t n = topic.len + body.len;
    struct tg_azure_answer *a;
    if (m->waiting_count == TG_AZURE_METHODS_MAX_WAITING ||
        m->waiting_bytes + n > TG_AZURE_METHODS_MAX_WAITING_BYTES)
        return;
    a = tg_malloc(sizeof *a + n);
    if (!a)
        return; /* as a full queue: the caller sees a timeout */
    *a = (struct tg_azure_answer){.topic_len = topic.len, .body_len = body.len};
    memcpy(a->data, topic.data, topic.len);
    memcpy(a->data + topic.len, body.data, body.len);
    if (m->last) {
        m->last->next = a;
    } else {
        m->first = a;
        m->wake_ms = now + ROOM_MS;
    }
    m->last = a;
    m->waiting_count++;
    m->waiting_bytes += n;
}

static void send_waiting(struct tg_azure_methods *m, const struct tg_cloud_talk *talk, int64_t now)
{
    while (m->first) {
        const struct tg_azure_answer *a = m->first;
        if (talk->io->publish(talk->user, tg_bytes(a->data, a->topic_len),
                              tg_bytes(a->data + a->topic_len, a->body_len), 0, false, 0) < 0) {
            m->wake_ms = now + ROOM_MS;
            return;
        }
        drop_first(m);
    }
}

static void answer(struct tg_azure_methods *m, const struct tg_cloud_talk *talk, unsigned status,
                   struct tg_bytes rid, struct tg_bytes body, int64_t now)
{
    uint8_t memory[RESULT_TOPIC_BYTES];
    struct tg_writer topic = tg_writer_init(memory, sizeof memory);
    struct tg_bytes text;
    write_topic(&topic, status, rid);
    text = tg_bytes(topic.data, topic.len);
    if (m->first || talk->io->publish(talk->user, text, body, 0, false, 0) < 0)
        keep(m, text, body, now);
}

/* --- calls --- */

static bool may_be_rid(struct tg_bytes rid)
{
    for (size_t i = 0; i < rid.len; i++)
        if (rid.data[i] <= ' ' || rid.data[i] >= 0x7F || rid.data[i] == '+' || rid.data[i] == '#')
            return false;
    return rid.len > 0 && rid.len <= RID_MAX_BYTES;
}

/* Tells the caller and whoever reads the log. */
static int refuse(struct tg_azure_methods *m, const struct tg_cloud_talk *talk, struct tg_bytes rid,
                  const char *why, int64_t now, struct tg_error *err)
{
    uint8_t memory[256];
    struct tg_writer body = tg_writer_init(memory, sizeof memory);
    tg_write_str(&body, "{\"error\":");
    tg_format_json_string(&body, tg_bytes_str(why));
    tg_write_str(&body, "}");
    answer(m, talk, 400, rid, tg_bytes(body.data, body.len), now);
    return tg_error_set(err, TG_EPROTO, "a direct method was refused: %s", why);
}

/* No arguments are sent as nothing or as null by the tools that call methods. */
static struct tg_bytes arguments(struct tg_bytes payload)
{
    struct tg_bytes b = payload;
    while (b.len > 0 && strchr(" \t\r\n", b.data[0]) && b.data[0])
        b = tg_bytes(b.data + 1, b.len - 1);
    while (b.len > 0 && strchr(" \t\r\n", b.data[b.len - 1]) && b.data[b.len - 1])
        b.len--;
    return b.len == 0 || tg_bytes_eq_str(b, "null") ? tg_bytes_str("{}") : payload;
}

static int call(struct tg_azure_methods *m, const struct tg_cloud_talk *talk,
                const struct tg_cloud_event *event, struct tg_error *err)
{
    size_t at = sizeof CALL_PREFIX - 1;
    struct tg_bytes tail = tg_bytes(event->topic.data + at, event->topic.len - at), rid;
    const uint8_t *end = memmem(tail.data, tail.len, "/?", 2);
    uint8_t name[TG_NAME_MAX_BYTES], reply[TG_CLOUD_REPLY_BYTES];
    struct tg_writer n = tg_writer_init(name, sizeof name), r = tg_writer_init(reply, sizeof reply);
    struct tg_cloud_command c = {0};
    int rc;
    if (end)
        rid = tg_azure_query(tg_bytes(end + 2, (size_t)(tail.data + tail.len - end) - 2), "$rid");
    if (!end || !may_be_rid(rid))
        return tg_error_set(err, TG_EPROTO,
                            "a direct method came without a usable $rid and cannot be answered");
    if (!m->online)
        return TG_OK;
    rc = tg_percent_decode(&n, tg_bytes(tail.data, (size_t)(end - tail.data)));
    c.name = tg_bytes(n.data, n.len);
    if (rc < 0 || n.len == 0 || memchr(name, '\0', n.len) || !tg_utf8_valid(c.name))
        return refuse(m, talk, rid, "the method's name is empty, too long (128 bytes) or cannot be decoded",
                      event->now_ms, err);
    if (event->payload.len > TG_AZURE_METHODS_MAX_BODY_BYTES)
        return refuse(m, talk, rid, "the payload is larger than 128 KiB", event->now_ms, err);
    tg_write_u32be(&r, m->connection);
    tg_write_bytes(&r, rid);
    c.body = arguments(event->payload);
    c.reply = tg_bytes(r.data, r.len);
    talk->io->command(talk->user, &c);
    return TG_OK;
}

/* --- answers --- */

static unsigned status_of(const char *status)
{
    static const struct {
        const char *name;
        unsigned code;
    } table[] = {{"ok", 200},          {"invalid", 400}, {"unknown", 504}, {"busy", 429},
                 {"unsupported", 501}, {"device", 502},  {"timeout", 504}};
    for (size_t i = 0; status && i < sizeof table / sizeof table[0]; i++)
        if (strcmp(table[i].name, status) == 0)
            return table[i].code;
    return 500;
}

static void answered(struct tg_azure_methods *m, const struct tg_cloud_talk *talk,
                     const struct tg_cloud_event *event)
{
    struct tg_reader r = tg_reader_init(event->reply.data, event->reply.len);
    uint32_t connection = tg_read_u32be(&r);
    struct tg_bytes rid = tg_read_bytes(&r, tg_reader_left(&r)), body = event->payload;
    if (r.failed || !m->online || connection != m->connection || !may_be_rid(rid))
        return;
    if (body.len == 0)
        body = tg_bytes_str("{}");
    if (body.len > TG_AZURE_METHODS_MAX_BODY_BYTES)
        body = tg_bytes_str("{\"note\":\"the result is larger than 128 KiB and is left out\"}");
    answer(m, talk, status_of(event->status), rid, body, event->now_ms);
}

int tg_azure_methods_step(struct tg_azure_methods *m, const struct tg_cloud_talk *talk,
                          const struct tg_cloud_event *event, struct tg_error *err)
{
    switch (event->type) {
    case TG_CLOUD_ONLINE:
        drop_all(m);
        m->online = true;
        m->connection++;
        break;
    case TG_CLOUD_MESSAGE:
        return tg_bytes_starts(event->topic, CALL_PREFIX) ? call(m, talk, event, err) : TG_OK;
    case TG_CLOUD_ANSWER:
        answered(m, talk, event);
        break;
    case TG_CLOUD_WAKE:
        send_waiting(m, talk, event->now_ms);
        break;
    case TG_CLOUD_OFFLINE:
    case TG_CLOUD_END:
        drop_all(m);
        m->online = false;
        break;
    default:
        break;
    }
    return TG_OK;
}

int64_t tg_azure_methods_wake_ms(const struct tg_azure_methods *m)
{
    return m->first ? m->wake_ms : INT64_MAX;
}
