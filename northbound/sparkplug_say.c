/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * Clauses in brackets are ids of the Sparkplug 3.0.0 specification ("tck-id-…").
 */
#include "northbound/sparkplug_private.h"

#include <inttypes.h>

#include "core/base/allocator.h"
#include "northbound/mqtt_cloud.h"
#include "northbound/sparkplug_payload.h"

#define NODE_BYTES 128 /* of the payload of NBIRTH and NDEATH */
#define END_BYTES  3   /* of seq in a payload */

/* --- topics ------------------------------------------------------------------------------------- */

static const char *edge_node(const struct tg_cloud_target *t)
{
    return tg_mqtt_text(t->settings, "edge_node", t->gateway);
}

struct tg_bytes tg_sparkplug_topic_of(struct tg_writer *w, const struct tg_cloud_target *t, const char *type,
                                      const char *device)
{
    size_t begin = w->len;
    tg_write_str(w, TG_SPARKPLUG_NAMESPACE);
    tg_write_str(w, tg_settings_text(t->settings, "group_id"));
    tg_write_str(w, "/");
    tg_write_str(w, type);
    tg_write_str(w, "/");
    tg_write_str(w, edge_node(t));
    if (device) {
        tg_write_str(w, "/");
        tg_write_str(w, device);
    }
    return tg_bytes(w->data + begin, w->len - begin);
}

/* --- deaths ------------------------------------------------------------------------------------ */

static void put_bd_seq(struct tg_writer *w, uint8_t bd_seq, uint64_t time_ms)
{
    const struct tg_sparkplug_metric m = {.name = "bdSeq",
                                          .has_time = time_ms > 0,
                                          .time_ms = time_ms,
                                          .datatype = TG_SPARKPLUG_INT64,
                                          .field = TG_SPARKPLUG_FIELD_LONG,
                                          .as.u64 = bd_seq};
    tg_sparkplug_put(w, &m);
}

struct tg_bytes tg_sparkplug_node_death(struct tg_writer *w, uint8_t bd_seq, int64_t wall_ms)
{
    size_t begin = w->len;
    tg_sparkplug_begin(w, wall_ms);
    put_bd_seq(w, bd_seq, 0);
    return tg_bytes(w->data + begin, w->len - begin);
}

void tg_sparkplug_say_node_death(const struct tg_cloud_talk *talk, int64_t wall_ms)
{
    struct tg_sparkplug_link *l = talk->link;
    uint8_t topic_memory[TG_CLOUD_TOPIC_BYTES], body_memory[NODE_BYTES];
    struct tg_writer t = tg_writer_init(topic_memory, sizeof topic_memory),
                     b = tg_writer_init(body_memory, sizeof body_memory);
    struct tg_bytes at = tg_sparkplug_topic_of(&t, talk->target, "NDEATH", NULL),
                    body = tg_sparkplug_node_death(&b, l->bd_seq, wall_ms);
    if (!l->born)
        return;
    l->born = false;
    /* [operational-behavior-edge-node-intentional-disconnect-ndeath]; no room: the same is the Will, or the hosts time out. */
    if (talk->io->publish(talk->user, at, body, 1, false, 0) == TG_EFULL)
        (void)talk->io->publish(talk->user, at, body, 0, false, 0);
}

/* Publishes a message that has a number, which is used up when it was taken. */
static int publish_numbered(const struct tg_cloud_talk *talk, const char *type, const char *device,
                            struct tg_writer *body)
{
    struct tg_sparkplug_link *l = talk->link;
    uint8_t memory[TG_CLOUD_TOPIC_BYTES];
    struct tg_writer t = tg_writer_init(memory, sizeof memory);
    struct tg_bytes at = tg_sparkplug_topic_of(&t, talk->target, type, device);
    int rc;
    tg_sparkplug_end(body, l->seq);
    if (body->failed || t.failed)
        return TG_ETOOBIG;
    rc = talk->io->publish(talk->user, at, tg_bytes(body->data, body->len), 0, false, 0);
    if (rc == TG_OK)
        l->seq++;
    return rc;
}

void tg_sparkplug_say_device_death(const struct tg_cloud_talk *talk, int64_t wall_ms)
{
    struct tg_sparkplug_session *s = talk->session;
    const struct tg_sparkplug_link *l = talk->link;
    uint8_t memory[NODE_BYTES];
    struct tg_writer w = tg_writer_init(memory, sizeof memory);
    if (s->born && l->born) {
        tg_sparkplug_begin(&w, wall_ms);
        (void)publish_numbered(talk, "DDEATH", talk->target->device_id,
                               &w); /* no room: the node's death says it too */
    }
    s->born = s->birth_due = false;
}

/* --- births ------------------------------------------------------------------------------------ */

int tg_sparkplug_device_birth(const struct tg_cloud_talk *talk, int64_t wall_ms)
{
    struct tg_sparkplug_session *s = talk->session;
    const struct tg_config_device *device = talk->target->device;
    bool texts = tg_sparkplug_metrics_birth_bytes(&s->metrics, device, true) < TG_SPARKPLUG_BIRTH;
    size_t size = NODE_BYTES + tg_sparkplug_metrics_birth_bytes(&s->metrics, device, texts);
    uint8_t *memory = tg_malloc(size);
    struct tg_writer w = tg_writer_init(memory, size);
    int rc;
    if (!memory) {
        s->birth_due = true;
        return TG_ENOMEM;
    }
    tg_sparkplug_begin(&w, wall_ms);
    tg_sparkplug_metrics_birth(&s->metrics, device, texts, wall_ms, &w);
    rc = publish_numbered(talk, "DBIRTH", talk->target->device_id, &w);
    tg_free(memory);
    s->birth_due = rc < 0;
    if (rc == TG_OK) {
        s->born = true;
        s->metrics.changed = false;
        s->born_wall_ms = wall_ms;
    }
    return rc;
}

int tg_sparkplug_node_birth(const struct tg_cloud_talk *talk, int64_t wall_ms)
{
    static const struct tg_sparkplug_metric rebirth = {.name = "Node Control/Rebirth",
                                                       .has_time = true,
                                                       .datatype = TG_SPARKPLUG_BOOLEAN,
                                                       .field = TG_SPARKPLUG_FIELD_BOOLEAN};
    struct tg_sparkplug_link *l = talk->link;
    struct tg_sparkplug_metric m = rebirth;
    uint8_t memory[NODE_BYTES];
    struct tg_writer w = tg_writer_init(memory, sizeof memory);
    m.time_ms = (uint64_t)wall_ms;
    tg_sparkplug_begin(&w, wall_ms);
    put_bd_seq(&w, l->bd_seq, (uint64_t)wall_ms);
    tg_sparkplug_put(&w, &m);
    l->seq = 0; /* [payloads-nbirth-seq] */
    return publish_numbered(talk, "NBIRTH", NULL, &w);
}

uint64_t *tg_sparkplug_aliases(const struct tg_cloud_talk *talk)
{
    struct tg_sparkplug_link *l = talk->link;
    if (l->next_alias == 0)
        l->next_alias = 1;
    return &l->next_alias;
}

/* --- data -------------------------------------------------------------------------------------- */

/* Learns the samples that can go into one message with the types of the first. Returns how many, negative with err. Those of a
 * resend were in one message before: they agree with each other, though maybe not with what came after them, and stay together. */
static int learn(const struct tg_cloud_talk *talk, const struct tg_format_sample *samples, uint32_t count,
                 bool again, struct tg_error *err)
{
    struct tg_sparkplug_session *s = talk->session;
    for (uint32_t i = 0; i < count; i++) {
        int rc = tg_sparkplug_metrics_learn(&s->metrics, samples[i].body,
                                            i && !again ? TG_SPARKPLUG_NEXT : TG_SPARKPLUG_FIRST,
                                            tg_sparkplug_aliases(talk));
        if (rc == TG_ERANGE)
            rc = tg_error_set(i ? NULL : err, TG_ETOOBIG,
                              "sample %" PRIu64 ": a device has at most %d metrics", samples[i].seq,
                              TG_SPARKPLUG_MAX_METRICS);
        else if (rc < 0 && i == 0)
            tg_error_set(err, rc, "sample %" PRIu64 ": %s", samples[i].seq, tg_code_text(rc));
        if (rc < 0)
            return i ? (int)i : rc;
    }
    return (int)count;
}

int tg_sparkplug_encode(const struct tg_cloud_talk *talk, const struct tg_format_sample *samples,
                        uint32_t count, bool again, int64_t wall_ms, struct tg_writer *out,
                        struct tg_error *err)
{
    struct tg_sparkplug_session *s = talk->session;
    const struct tg_sparkplug_link *l = talk->link;
    size_t cap = out->cap;
    int n, rc = TG_OK;
    if (!l->born || !s->online || s->down)
        return tg_error_set(err, TG_EFULL, "the edge node or the device is not born");
    n = learn(talk, samples, count, again, err);
    if (n < 0)
        return n;
    if (!s->born || s->metrics.changed)
        rc = tg_sparkplug_device_birth(talk, wall_ms);
    if (rc < 0) /* never the sample's fault: ETOOBIG would have it left out */
        return tg_error_set(err, rc == TG_ETOOBIG ? TG_ESTATE : rc, "DBIRTH cannot be published: %s",
                            tg_code_text(rc));
    tg_sparkplug_begin(out, wall_ms);
    if (out->failed || out->cap - out->len < END_BYTES)
        return tg_error_set(err, TG_ETOOBIG, "there is no room for a message");
    out->cap -= END_BYTES;
    for (int i = 0; i < n && rc == TG_OK; i++) {
        struct tg_sample_reader r;
        rc = tg_sample_reader_init(&r, samples[i].body);
        if (rc == TG_OK)
            rc = tg_sparkplug_metrics_data(
                &s->metrics, samples[i].body,
                again || r.time_ms < s->born_wall_ms || samples[i].seq < s->newest_seq, out);
        if (rc < 0 && i == 0)
            tg_error_set(err, rc, "sample %" PRIu64 ": %s", samples[i].seq, tg_code_text(rc));
        if (rc < 0)
            n = i ? i : rc;
    }
    out->cap = cap;
    if (n > 0)
        s->written_seq = samples[n - 1].seq;
    tg_sparkplug_end(out, l->seq);
    return n;
}

void tg_sparkplug_sent(const struct tg_cloud_talk *talk)
{
    struct tg_sparkplug_session *s = talk->session;
    ((struct tg_sparkplug_link *)talk->link)->seq++;
    /* What is older than this is not the present value any more: it comes out of a backlog, behind what went ahead. */
    if (s->written_seq > s->newest_seq)
        s->newest_seq = s->written_seq;
}
