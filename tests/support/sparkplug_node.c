/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "support/sparkplug_node.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "support/host_model.h"

void node_init(struct sparkplug_node *n, const char *primary_host)
{
    static const char *const names[NODE_DEVICES] = {"d0", "d1"};
    const char *pairs[] = {"group_id",   "G", "edge_node", "E", primary_host ? "primary_host" : NULL,
                           primary_host, NULL};
    *n = (struct sparkplug_node){.settings = tg_test_settings(tg_sparkplug.config.options, pairs)};
    n->points[0] = (struct tg_config_point){.name = "flow", .unit = "m3/h"};
    n->config = (struct tg_config_device){.id = "d", .points = n->points, .point_count = 1};
    n->link_target =
        (struct tg_cloud_target){.device_id = "site", .gateway = "site", .settings = n->settings};
    talk_rig_init(&n->link, &tg_sparkplug, NULL, &n->link_target);
    n->idle_session = n->link.talk.session;
    for (int i = 0; i < NODE_DEVICES; i++) {
        n->targets[i] = n->link_target;
        n->targets[i].device_id = names[i];
        n->targets[i].device = &n->config;
        talk_rig_init(&n->devices[i], &tg_sparkplug, NULL, &n->targets[i]);
        n->own_link[i] = n->devices[i].talk.link;
        n->devices[i].talk.link = n->link.talk.link;
        n->link.others[n->link.other_count++] = &n->devices[i];
    }
}

void node_fini(struct sparkplug_node *n)
{
    for (int i = 0; i < NODE_DEVICES; i++) {
        n->devices[i].talk.link = n->own_link[i];
        talk_rig_fini(&n->devices[i]);
    }
    n->link.talk.session = n->idle_session;
    talk_rig_fini(&n->link);
    tg_settings_free(n->settings);
}

void node_at(struct sparkplug_node *n, int64_t now_ms)
{
    n->link.now_ms = now_ms;
    n->link.wall_ms = NODE_T0 + now_ms;
    for (int i = 0; i < NODE_DEVICES; i++) {
        n->devices[i].now_ms = now_ms;
        n->devices[i].wall_ms = NODE_T0 + now_ms;
    }
}

int node_event(struct sparkplug_node *n, struct tg_cloud_event e)
{
    struct talk_rig *r = &n->link;
    struct tg_cloud_talk talk = r->talk;
    e.now_ms = r->now_ms;
    e.wall_ms = r->wall_ms;
    r->err = (struct tg_error){0};
    talk.session = NULL;
    return tg_sparkplug.step(&talk, &e, &r->err);
}

int node_simple(struct sparkplug_node *n, enum tg_cloud_event_type what)
{
    return node_event(n, (struct tg_cloud_event){.type = what});
}

void node_connect(struct sparkplug_node *n)
{
    const struct tg_cloud_secret secret = {.kind = TG_IDENTITY_NONE};
    struct tg_writer w = tg_writer_init(n->scratch, sizeof n->scratch);
    assert_int_equal(tg_sparkplug.login(&n->link_target, &secret, n->link.talk.link,
                                        (NODE_T0 + n->link.now_ms) / 1000, &w, &n->login, &n->err),
                     TG_OK);
    assert_int_equal(node_simple(n, TG_CLOUD_ONLINE), TG_OK);
    for (int i = 0; i < NODE_DEVICES; i++)
        assert_int_equal(talk_rig_simple(&n->devices[i], TG_CLOUD_ONLINE), TG_OK);
}

void node_disconnect(struct sparkplug_node *n)
{
    for (int i = 0; i < NODE_DEVICES; i++)
        assert_int_equal(talk_rig_simple(&n->devices[i], TG_CLOUD_OFFLINE), TG_OK);
    assert_int_equal(node_simple(n, TG_CLOUD_OFFLINE), TG_OK);
}

void node_begin(struct sparkplug_node *n)
{
    node_at(n, 1000);
    assert_int_equal(node_simple(n, TG_CLOUD_START), TG_OK);
    node_connect(n);
    assert_int_equal(node_simple(n, TG_CLOUD_SUBSCRIBED), TG_OK);
}

void node_clear(struct sparkplug_node *n)
{
    bool gates[NODE_DEVICES] = {n->devices[0].gate, n->devices[1].gate};
    talk_rig_clear(&n->link);
    for (int i = 0; i < NODE_DEVICES; i++) {
        talk_rig_clear(&n->devices[i]);
        n->devices[i].gate = gates[i];
    }
}

void sample_values(struct sparkplug_body *b, int64_t time_ms, const struct tg_named_value *values,
                   uint32_t count)
{
    struct tg_writer w = tg_writer_init(b->bytes, sizeof b->bytes);
    tg_sample_begin(&w, NODE_T0 + time_ms, count);
    for (uint32_t i = 0; i < count; i++)
        tg_sample_value(&w, &values[i]);
    assert_false(w.failed);
    b->view = tg_bytes(b->bytes, w.len);
}

struct tg_format_sample sample_one(struct sparkplug_body *b, int64_t time_ms, const char *name,
                                   struct tg_value v)
{
    struct tg_named_value value = {tg_bytes_str(name), TG_QUALITY_GOOD, v};
    sample_values(b, time_ms, &value, 1);
    return (struct tg_format_sample){.seq = 1, .body = b->view};
}

void node_accept(struct sparkplug_node *n, int device, struct tg_format_sample s)
{
    assert_int_equal(talk_rig_event(&n->devices[device],
                                    &(struct tg_cloud_event){.type = TG_CLOUD_SAMPLE, .payload = s.body}),
                     TG_OK);
}

void sent_open(struct sparkplug_sent *s, const void *bytes, size_t len)
{
    struct tg_error err = {0};
    struct tg_sparkplug_metric m;
    assert_int_equal(tg_sparkplug_read(tg_bytes(bytes, len), &s->reader, &err), TG_OK);
    s->count = 0;
    while (tg_sparkplug_next(&s->reader, &m)) {
        assert_true(s->count < 32);
        s->m[s->count++] = m;
    }
}

void sent_close(struct sparkplug_sent *s)
{
    tg_sparkplug_read_end(&s->reader);
}

int node_encode(struct sparkplug_node *n, int device, const struct tg_format_sample *samples, uint32_t count,
                bool again, struct tg_writer *w)
{
    n->err = (struct tg_error){0};
    return tg_sparkplug.encode(&n->devices[device].talk, samples, count, again, n->devices[device].wall_ms, w,
                               &n->err);
}

int node_send(struct sparkplug_node *n, int device, const struct tg_format_sample *samples, uint32_t count,
              bool again, struct sparkplug_sent *s)
{
    struct tg_writer w = tg_writer_init(s->bytes, sizeof s->bytes);
    int rc = node_encode(n, device, samples, count, again, &w);
    if (rc < 0)
        return rc;
    tg_sparkplug.sent(&n->devices[device].talk);
    sent_open(s, s->bytes, w.len);
    return rc;
}

void sent_open_publish(struct sparkplug_sent *s, const struct talk_rig_publish *p)
{
    assert_non_null(p);
    assert_int_equal(p->qos, 0);
    assert_false(p->retain);
    sent_open(s, p->payload, p->len);
}

void sent_assert_seq(struct sparkplug_sent *s, uint64_t seq)
{
    assert_true(s->reader.has_seq);
    assert_int_equal(s->reader.seq, seq);
}

void publish_assert_seq(const struct talk_rig_publish *p, uint64_t seq)
{
    struct sparkplug_sent s;
    sent_open_publish(&s, p);
    sent_assert_seq(&s, seq);
    sent_close(&s);
}

struct tg_value metric_value(const struct tg_sparkplug_metric *m)
{
    struct tg_value v = {0};
    assert_true(tg_sparkplug_get(m, 0, &v));
    return v;
}

struct tg_bytes command_body(uint8_t *memory, size_t cap, const struct tg_sparkplug_metric *m)
{
    struct tg_writer w = tg_writer_init(memory, cap);
    tg_sparkplug_begin(&w, NODE_T0);
    if (m)
        tg_sparkplug_put(&w, m);
    return tg_bytes(w.data, w.len);
}

int node_device_command(struct sparkplug_node *n, const struct tg_sparkplug_metric *m)
{
    uint8_t memory[4096];
    return talk_rig_event(&n->devices[0],
                          &(struct tg_cloud_event){.type = TG_CLOUD_MESSAGE,
                                                   .topic = tg_bytes_str("spBv1.0/G/DCMD/E/d0"),
                                                   .payload = command_body(memory, sizeof memory, m)});
}

const struct tg_sparkplug_metric node_rebirth = {.name = "Node Control/Rebirth",
                                                 .datatype = TG_SPARKPLUG_BOOLEAN,
                                                 .field = TG_SPARKPLUG_FIELD_BOOLEAN,
                                                 .as.boolean = true};

int node_command(struct sparkplug_node *n, const struct tg_sparkplug_metric *m, bool retain)
{
    uint8_t memory[256];
    return node_event(n, (struct tg_cloud_event){.type = TG_CLOUD_MESSAGE,
                                                 .topic = tg_bytes_str("spBv1.0/G/NCMD/E"),
                                                 .payload = command_body(memory, sizeof memory, m),
                                                 .retain = retain});
}
