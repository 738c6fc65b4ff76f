/* SPDX-License-Identifier: GPL-2.0-or-later */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <cmocka.h>

#include "core/base/allocator.h"
#include "northbound/mqtt_cloud.h"
#include "northbound/sparkplug.h"
#include "northbound/sparkplug_inbound.h"
#include "northbound/sparkplug_payload.h"
#include "support/host_model.h"
#include "support/talk_rig.h"

#define T0      INT64_C(1700000000000)
#define DEVICES 2

static const struct tg_cloud_type *const type = &tg_sparkplug;

/* An edge node with two devices on one link. */
struct node {
    struct tg_settings *settings;
    struct tg_config_point points[2];
    struct tg_config_device config;
    struct tg_cloud_target link_target, targets[DEVICES];
    struct talk_rig link, devices[DEVICES]; /* the link's own rig stands for a device that is not online */
    void *own_link[DEVICES], *idle_session;
    struct tg_cloud_login login;
    char scratch[1024];
    struct tg_error err;
};

static void node_init(struct node *n, const char *primary_host)
{
    static const char *const names[DEVICES] = {"d0", "d1"};
    const char *pairs[] = {"group_id",   "G", "edge_node", "E", primary_host ? "primary_host" : NULL,
                           primary_host, NULL};
    *n = (struct node){.settings = tg_test_settings(type->config.options, pairs)};
    n->points[0] = (struct tg_config_point){.name = "flow", .unit = "m3/h"};
    n->config = (struct tg_config_device){.id = "d", .points = n->points, .point_count = 1};
    n->link_target =
        (struct tg_cloud_target){.device_id = "site", .gateway = "site", .settings = n->settings};
    talk_rig_init(&n->link, type, NULL, &n->link_target);
    n->idle_session = n->link.talk.session;
    for (int i = 0; i < DEVICES; i++) {
        n->targets[i] = n->link_target;
        n->targets[i].device_id = names[i];
        n->targets[i].device = &n->config;
        talk_rig_init(&n->devices[i], type, NULL, &n->targets[i]);
        n->own_link[i] = n->devices[i].talk.link;
        n->devices[i].talk.link = n->link.talk.link;
        n->link.others[n->link.other_count++] = &n->devices[i];
    }
}

static void node_fini(struct node *n)
{
    for (int i = 0; i < DEVICES; i++) {
        n->devices[i].talk.link = n->own_link[i];
        talk_rig_fini(&n->devices[i]);
    }
    n->link.talk.session = n->idle_session;
    talk_rig_fini(&n->link);
    tg_settings_free(n->settings);
}

/* Time for everybody. */
static void at(struct node *n, int64_t now_ms)
{
    n->link.now_ms = now_ms;
    n->link.wall_ms = T0 + now_ms;
    for (int i = 0; i < DEVICES; i++) {
        n->devices[i].now_ms = now_ms;
        n->devices[i].wall_ms = T0 + now_ms;
    }
}

/* Events of the link have no session, but each_session goes over all. */
static int link_event(struct node *n, struct tg_cloud_event e)
{
    struct talk_rig *r = &n->link;
    struct tg_cloud_talk talk = r->talk;
    e.now_ms = r->now_ms;
    e.wall_ms = r->wall_ms;
    r->err = (struct tg_error){0};
    talk.session = NULL;
    return type->step(&talk, &e, &r->err);
}

static int link_simple(struct node *n, enum tg_cloud_event_type what)
{
    return link_event(n, (struct tg_cloud_event){.type = what});
}

static void connect(struct node *n)
{
    const struct tg_cloud_secret secret = {.kind = TG_IDENTITY_NONE};
    struct tg_writer w = tg_writer_init(n->scratch, sizeof n->scratch);
    assert_int_equal(type->login(&n->link_target, &secret, n->link.talk.link, (T0 + n->link.now_ms) / 1000,
                                 &w, &n->login, &n->err),
                     TG_OK);
    assert_int_equal(link_simple(n, TG_CLOUD_ONLINE), TG_OK);
    for (int i = 0; i < DEVICES; i++)
        assert_int_equal(talk_rig_simple(&n->devices[i], TG_CLOUD_ONLINE), TG_OK);
}

static void disconnect(struct node *n)
{
    for (int i = 0; i < DEVICES; i++)
        assert_int_equal(talk_rig_simple(&n->devices[i], TG_CLOUD_OFFLINE), TG_OK);
    assert_int_equal(link_simple(n, TG_CLOUD_OFFLINE), TG_OK);
}

static void begin(struct node *n)
{
    at(n, 1000);
    assert_int_equal(link_simple(n, TG_CLOUD_START), TG_OK);
    connect(n);
    assert_int_equal(link_simple(n, TG_CLOUD_SUBSCRIBED), TG_OK);
}

static void clear(struct node *n)
{
    bool gates[DEVICES] = {n->devices[0].gate, n->devices[1].gate};
    talk_rig_clear(&n->link);
    for (int i = 0; i < DEVICES; i++) {
        talk_rig_clear(&n->devices[i]);
        n->devices[i].gate = gates[i];
    }
}

/* --- samples --- */

struct body {
    uint8_t bytes[4096];
    struct tg_bytes view;
};

static void make_values(struct body *b, int64_t time_ms, const struct tg_named_value *values, uint32_t count)
{
    struct tg_writer w = tg_writer_init(b->bytes, sizeof b->bytes);
    tg_sample_begin(&w, T0 + time_ms, count);
    for (uint32_t i = 0; i < count; i++)
        tg_sample_value(&w, &values[i]);
    assert_false(w.failed);
    b->view = tg_bytes(b->bytes, w.len);
}

static struct tg_format_sample sample(struct body *b, int64_t time_ms, const char *name, struct tg_value v)
{
    struct tg_named_value value = {tg_bytes_str(name), TG_QUALITY_GOOD, v};
    make_values(b, time_ms, &value, 1);
    return (struct tg_format_sample){.seq = 1, .body = b->view};
}

static void accept_sample(struct node *n, int device, struct tg_format_sample s)
{
    assert_int_equal(talk_rig_event(&n->devices[device],
                                    &(struct tg_cloud_event){.type = TG_CLOUD_SAMPLE, .payload = s.body}),
                     TG_OK);
}

struct sent {
    uint8_t bytes[65536];
    struct tg_sparkplug_reader reader;
    struct tg_sparkplug_metric m[32];
    uint32_t count;
};

static void open_payload(struct sent *s, const void *bytes, size_t len)
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

static void close_payload(struct sent *s)
{
    tg_sparkplug_read_end(&s->reader);
}

static int encode_only(struct node *n, int device, const struct tg_format_sample *samples, uint32_t count,
                       bool again, struct tg_writer *w)
{
    n->err = (struct tg_error){0};
    return type->encode(&n->devices[device].talk, samples, count, again, n->devices[device].wall_ms, w,
                        &n->err);
}

/* Encodes and sends. */
static int send(struct node *n, int device, const struct tg_format_sample *samples, uint32_t count,
                bool again, struct sent *s)
{
    struct tg_writer w = tg_writer_init(s->bytes, sizeof s->bytes);
    int rc = encode_only(n, device, samples, count, again, &w);
    if (rc < 0)
        return rc;
    type->sent(&n->devices[device].talk);
    open_payload(s, s->bytes, w.len);
    return rc;
}

static void open_publish(struct sent *s, const struct talk_rig_publish *p)
{
    assert_non_null(p);
    assert_int_equal(p->qos, 0);
    assert_false(p->retain);
    open_payload(s, p->payload, p->len);
}

static void assert_seq(struct sent *s, uint64_t seq)
{
    assert_true(s->reader.has_seq);
    assert_int_equal(s->reader.seq, seq);
}

static void assert_publish_seq(const struct talk_rig_publish *p, uint64_t seq)
{
    struct sent s;
    open_publish(&s, p);
    assert_seq(&s, seq);
    close_payload(&s);
}

static struct tg_value value_of(const struct tg_sparkplug_metric *m)
{
    struct tg_value v = {0};
    assert_true(tg_sparkplug_get(m, 0, &v));
    return v;
}

/* --- tests --- */

static void test_login_has_the_death(void **state)
{
    struct node n;
    struct sent s;
    (void)state;
    node_init(&n, NULL);
    begin(&n);
    assert_true(n.login.connect.clean_session);
    assert_true(tg_bytes_eq_str(n.login.connect.client_id, "site"));
    assert_true(tg_bytes_eq_str(n.login.connect.will_topic, "spBv1.0/G/NDEATH/E"));
    assert_int_equal(n.login.connect.will_qos, 1);
    assert_false(n.login.connect.will_retain);
    open_payload(&s, n.login.connect.will_payload.data, n.login.connect.will_payload.len);
    assert_false(s.reader.has_seq);
    assert_int_equal(s.count, 1);
    assert_string_equal(s.m[0].name, "bdSeq");
    assert_int_equal(s.m[0].datatype, TG_SPARKPLUG_INT64);
    assert_int_equal(value_of(&s.m[0]).as.integer, 0);
    close_payload(&s);
    node_fini(&n);
}

static void test_filters_and_addressee(void **state)
{
    char out[512];
    struct tg_writer w = tg_writer_init(out, sizeof out);
    struct tg_bytes f[TG_MQTT_MAX_FILTERS];
    uint8_t qos[TG_MQTT_MAX_FILTERS];
    struct node n;
    (void)state;
    node_init(&n, "H");
    assert_int_equal(type->filters(&n.link_target, 0, &w, f, qos), 3);
    assert_true(tg_bytes_eq_str(f[0], "spBv1.0/G/NCMD/E") && tg_bytes_eq_str(f[1], "spBv1.0/G/DCMD/E/#"));
    assert_true(tg_bytes_eq_str(f[2], "spBv1.0/STATE/H"));
    assert_int_equal(qos[0] + qos[1] + qos[2], 3);
    assert_int_equal(type->filters(&n.link_target, 1, &w, f, qos), 0);
    assert_int_equal(type->filters(&n.targets[0], 0, &w, f, qos), 0);
    w = tg_writer_init(out, 20);
    assert_int_equal(type->filters(&n.link_target, 0, &w, f, qos), TG_ETOOBIG);
    assert_true(tg_bytes_eq_str(type->addressee(&n.link_target, tg_bytes_str("spBv1.0/G/DCMD/E/d0")), "d0"));
    assert_int_equal(type->addressee(&n.link_target, tg_bytes_str("spBv1.0/G/DCMD/E/d0/x")).len, 0);
    assert_int_equal(type->addressee(&n.link_target, tg_bytes_str("spBv1.0/G/DCMD/E/")).len, 0);
    assert_int_equal(type->addressee(&n.link_target, tg_bytes_str("spBv1.0/G/DCMD/E")).len, 0);
    assert_int_equal(type->addressee(&n.link_target, tg_bytes_str("spBv1.0/G/NCMD/E")).len, 0);
    assert_int_equal(type->addressee(&n.link_target, tg_bytes_str("spBv1.0/H/DCMD/E/d0")).len, 0);
    w = tg_writer_init(out, sizeof out);
    assert_int_equal(type->topic(&n.targets[1], NULL, "", &w), TG_OK);
    assert_true(tg_bytes_eq_str(tg_bytes(w.data, w.len), "spBv1.0/G/DDATA/E/d1"));
    node_fini(&n);
}

static void test_birth_before_data(void **state)
{
    struct body b;
    struct node n;
    struct sent s;
    struct tg_format_sample one;
    uint64_t alias;
    (void)state;
    node_init(&n, NULL);
    at(&n, 1000);
    assert_int_equal(link_simple(&n, TG_CLOUD_START), TG_OK);
    connect(&n);
    assert_int_equal(n.link.publish_count,
                     0); /* not before the subscriptions [message-flow-edge-node-ncmd-subscribe] */
    assert_false(n.devices[0].gate);
    one = sample(&b, 900, "flow", tg_value_real(21.5));
    assert_int_equal(send(&n, 0, &one, 1, false, &s), TG_EFULL);
    assert_int_equal(link_simple(&n, TG_CLOUD_SUBSCRIBED), TG_OK);
    open_publish(&s, talk_rig_find(&n.link, "spBv1.0/G/NBIRTH/E"));
    assert_seq(&s, 0);
    assert_int_equal(s.count, 2);
    assert_string_equal(s.m[0].name, "bdSeq");
    assert_int_equal(value_of(&s.m[0]).as.integer, 0);
    assert_true(s.m[0].has_time && s.m[1].has_time);
    assert_string_equal(s.m[1].name, "Node Control/Rebirth");
    assert_false(value_of(&s.m[1]).as.boolean);
    close_payload(&s);
    assert_true(n.devices[0].gate && n.devices[1].gate);
    assert_int_equal(n.devices[0].publish_count, 0); /* nothing is known of it yet */

    one = sample(&b, 1000, "flow", tg_value_real(21.5));
    assert_int_equal(send(&n, 0, &one, 1, false, &s), 1);
    assert_seq(&s, 2);
    assert_int_equal(s.count, 1);
    assert_null(s.m[0].name);
    assert_true(s.m[0].has_alias && s.m[0].has_time && !s.m[0].historical);
    assert_int_equal(s.m[0].time_ms, T0 + 1000);
    assert_int_equal(s.reader.time_ms, T0 + 1000);
    alias = s.m[0].alias;
    assert_true(value_of(&s.m[0]).as.real > 21.4);
    close_payload(&s);
    open_publish(&s, talk_rig_find(&n.devices[0], "spBv1.0/G/DBIRTH/E/d0"));
    assert_seq(&s, 1);
    assert_int_equal(s.count, 1);
    assert_string_equal(s.m[0].name, "flow");
    assert_int_equal(s.m[0].alias, alias);
    assert_int_equal(s.m[0].datatype, TG_SPARKPLUG_DOUBLE);
    assert_true(value_of(&s.m[0]).as.real > 21.4 && s.m[0].has_time);
    close_payload(&s);
    /* An alias is unique over all devices of the node. */
    assert_int_equal(send(&n, 1, &one, 1, false, &s), 1);
    assert_seq(&s, 4);
    assert_true(s.m[0].alias != alias);
    close_payload(&s);
    assert_int_equal(n.devices[0].publish_count, 1);
    node_fini(&n);
}

static void test_seq_wraps_and_is_used_only_when_sent(void **state)
{
    struct body b;
    struct node n;
    struct sent s;
    struct tg_format_sample one;
    uint8_t memory[256];
    (void)state;
    node_init(&n, NULL);
    begin(&n);
    one = sample(&b, 1000, "flow", tg_value_int(1));
    assert_int_equal(send(&n, 0, &one, 1, false, &s), 1);
    close_payload(&s);
    for (uint64_t seq = 3; seq < 600; seq++) {
        struct tg_writer w = tg_writer_init(memory, sizeof memory);
        assert_int_equal(encode_only(&n, 0, &one, 1, false, &w), 1); /* found no room after all */
        assert_int_equal(send(&n, 0, &one, 1, false, &s), 1);
        assert_seq(&s, seq & 0xFF);
        close_payload(&s);
    }
    node_fini(&n);
}

static void test_bd_seq(void **state)
{
    struct node n;
    struct sent s;
    (void)state;
    node_init(&n, NULL);
    begin(&n);
    for (int i = 1; i < 300; i++) {
        disconnect(&n);
        clear(&n);
        connect(&n);
        assert_int_equal(link_simple(&n, TG_CLOUD_SUBSCRIBED), TG_OK);
        open_payload(&s, n.login.connect.will_payload.data, n.login.connect.will_payload.len);
        assert_int_equal(value_of(&s.m[0]).as.integer, i & 0xFF);
        close_payload(&s);
        open_publish(&s, talk_rig_find(&n.link, "spBv1.0/G/NBIRTH/E"));
        assert_int_equal(value_of(&s.m[0]).as.integer, i & 0xFF);
        assert_seq(&s, 0);
        close_payload(&s);
    }
    /* A gateway that starts anew goes on from its note. */
    disconnect(&n);
    memset(n.link.talk.link, 0, type->link_bytes);
    assert_int_equal(link_simple(&n, TG_CLOUD_START), TG_OK);
    connect(&n);
    open_payload(&s, n.login.connect.will_payload.data, n.login.connect.will_payload.len);
    assert_int_equal(value_of(&s.m[0]).as.integer, 300 & 0xFF);
    close_payload(&s);
    node_fini(&n);
}

static void test_a_damaged_note_begins_anew(void **state)
{
    static const char *const notes[] = {"x", "256", "99999999999", "-1", "1x"};
    (void)state;
    for (size_t i = 0; i < sizeof notes / sizeof notes[0]; i++) {
        struct node n;
        struct sent s;
        node_init(&n, NULL);
        n.link.talk.io->remember(&n.link, "bdSeq", tg_bytes_str(notes[i]));
        begin(&n);
        open_payload(&s, n.login.connect.will_payload.data, n.login.connect.will_payload.len);
        assert_int_equal(value_of(&s.m[0]).as.integer, 0);
        close_payload(&s);
        node_fini(&n);
    }
}

static void test_new_metric_and_other_type(void **state)
{
    struct body b[3];
    struct node n;
    struct sent s;
    struct tg_format_sample some[3];
    (void)state;
    node_init(&n, NULL);
    begin(&n);
    some[0] = sample(&b[0], 1000, "flow", tg_value_int(21));
    assert_int_equal(send(&n, 0, some, 1, false, &s), 1);
    assert_int_equal(s.m[0].datatype, TG_SPARKPLUG_INT64);
    close_payload(&s);
    assert_int_equal(n.devices[0].publish_count, 1);
    /* An integer after it became a real one is no new type; the message of the integer ends before the real. */
    some[0] = sample(&b[0], 1001, "flow", tg_value_int(22));
    some[1] = sample(&b[1], 1002, "flow", tg_value_real(22.5));
    some[2] = sample(&b[2], 1003, "flow", tg_value_int(23));
    assert_int_equal(send(&n, 0, some, 3, false, &s), 1);
    close_payload(&s);
    assert_int_equal(n.devices[0].publish_count, 1);
    assert_int_equal(send(&n, 0, some + 1, 2, false, &s), 2);
    assert_int_equal(s.count, 2);
    assert_int_equal(s.m[1].datatype, TG_SPARKPLUG_DOUBLE);
    assert_true(value_of(&s.m[1]).as.real > 22.9);
    close_payload(&s);
    assert_int_equal(n.devices[0].publish_count, 2);
    some[0] = sample(&b[0], 1004, "flow", tg_value_int(24));
    some[1] = sample(&b[1], 1005, "mode", tg_value_text("auto", 4));
    assert_int_equal(send(&n, 0, some, 2, false, &s),
                     2); /* a new metric goes into the same message, with the birth before */
    assert_seq(&s, 7);
    close_payload(&s);
    assert_int_equal(n.devices[0].publish_count, 3);
    open_publish(&s, &n.devices[0].publishes[2]);
    assert_seq(&s, 6);
    assert_int_equal(s.count, 2);
    assert_string_equal(s.m[1].name, "mode");
    assert_int_equal(s.m[1].datatype, TG_SPARKPLUG_STRING);
    assert_string_equal(value_of(&s.m[1]).as.text, "auto");
    assert_true(value_of(&s.m[0]).as.real > 23.9);
    close_payload(&s);
    /* What is sent again stays together, whatever the types have become. */
    some[0] = sample(&b[0], 1001, "flow", tg_value_text("x", 1));
    assert_int_equal(send(&n, 0, some, 1, false, &s), 1);
    close_payload(&s);
    some[0] = sample(&b[0], 1001, "other", tg_value_int(22));
    some[1] = sample(&b[1], 1002, "flow", tg_value_int(22));
    assert_int_equal(send(&n, 0, some, 2, true, &s), 2);
    assert_true(s.m[0].historical && s.m[1].historical);
    close_payload(&s);
    node_fini(&n);
}

static void test_quality(void **state)
{
    struct tg_named_value v = {tg_bytes_str("flow"), TG_QUALITY_TIMEOUT, {0}};
    struct body b;
    struct node n;
    struct sent s;
    struct tg_format_sample one = {.seq = 1};
    (void)state;
    node_init(&n, NULL);
    begin(&n);
    make_values(&b, 1000, &v, 1);
    one.body = b.view;
    assert_int_equal(send(&n, 0, &one, 1, false, &s), 1); /* bad from the beginning: a Double, for now */
    assert_true(s.m[0].null);
    assert_int_equal(s.m[0].datatype, TG_SPARKPLUG_DOUBLE);
    close_payload(&s);
    one = sample(&b, 1001, "flow", tg_value_bool(true));
    assert_int_equal(send(&n, 0, &one, 1, false, &s), 1);
    assert_int_equal(s.m[0].datatype, TG_SPARKPLUG_BOOLEAN);
    assert_true(value_of(&s.m[0]).as.boolean);
    close_payload(&s);
    assert_int_equal(n.devices[0].publish_count, 2);
    make_values(&b, 1002, &v, 1);
    one.body = b.view;
    assert_int_equal(send(&n, 0, &one, 1, false, &s), 1);
    assert_true(s.m[0].null);
    assert_int_equal(s.m[0].datatype, TG_SPARKPLUG_BOOLEAN);
    close_payload(&s);
    assert_int_equal(n.devices[0].publish_count, 2);
    node_fini(&n);
}

static void test_history_after_an_outage(void **state)
{
    struct body b[3];
    struct node n;
    struct sent s;
    struct tg_format_sample old[3];
    (void)state;
    node_init(&n, NULL);
    begin(&n);
    old[0] = sample(&b[0], 1000, "flow", tg_value_int(1));
    accept_sample(&n, 0, old[0]);
    assert_int_equal(send(&n, 0, old, 1, false, &s), 1);
    close_payload(&s);
    disconnect(&n);
    at(&n, 5000);
    old[1] = sample(&b[1], 5000, "flow", tg_value_int(2));
    accept_sample(&n, 0, old[1]);
    clear(&n);
    at(&n, 9000);
    connect(&n);
    assert_int_equal(link_simple(&n, TG_CLOUD_SUBSCRIBED), TG_OK);
    open_publish(&s, talk_rig_find(&n.devices[0], "spBv1.0/G/DBIRTH/E/d0"));
    assert_seq(&s, 1);
    assert_int_equal(value_of(&s.m[0]).as.integer,
                     2); /* the present value, though older ones wait before it */
    assert_int_equal(s.m[0].time_ms, T0 + 5000);
    close_payload(&s);
    assert_int_equal(send(&n, 0, old, 2, false, &s), 2);
    assert_true(s.m[0].historical && s.m[1].historical);
    assert_seq(&s, 2);
    close_payload(&s);
    old[2] = sample(&b[2], 9000, "flow", tg_value_int(3));
    assert_int_equal(send(&n, 0, old + 2, 1, false, &s), 1);
    assert_false(s.m[0].historical);
    close_payload(&s);
    node_fini(&n);
}

/* What went ahead of a backlog makes the rest of it history, also what is younger than the birth. */
static void test_history_behind_what_went_ahead(void **state)
{
    struct body b[3];
    struct node n;
    struct sent s;
    struct tg_format_sample samples[3];
    (void)state;
    node_init(&n, NULL);
    begin(&n);
    at(&n, 1000);
    samples[0] = sample(&b[0], 1000, "flow", tg_value_int(9)); /* the metric is born */
    accept_sample(&n, 0, samples[0]);
    assert_int_equal(send(&n, 0, samples, 1, false, &s), 1);
    close_payload(&s);
    at(&n, 5000);
    for (uint32_t i = 0; i < 3; i++) {
        samples[i] = sample(&b[i], 2000 + 1000 * (int64_t)i, "flow", tg_value_int((int64_t)i));
        samples[i].seq = 11 + i;
        accept_sample(&n, 0, samples[i]);
    }
    assert_int_equal(send(&n, 0, samples + 2, 1, false, &s), 1);
    assert_false(s.m[0].historical);
    close_payload(&s);
    assert_int_equal(send(&n, 0, samples, 2, false, &s), 2);
    assert_true(s.m[0].historical && s.m[1].historical);
    close_payload(&s);
    samples[0] = sample(&b[0], 5000, "flow", tg_value_int(4));
    samples[0].seq = 14;
    accept_sample(&n, 0, samples[0]);
    assert_int_equal(send(&n, 0, samples, 1, false, &s), 1);
    assert_false(s.m[0].historical);
    close_payload(&s);
    node_fini(&n);
}

static struct tg_bytes command(uint8_t *memory, size_t cap, const struct tg_sparkplug_metric *m)
{
    struct tg_writer w = tg_writer_init(memory, cap);
    tg_sparkplug_begin(&w, T0);
    if (m)
        tg_sparkplug_put(&w, m);
    return tg_bytes(w.data, w.len);
}

static const struct tg_sparkplug_metric rebirth = {.name = "Node Control/Rebirth",
                                                   .datatype = TG_SPARKPLUG_BOOLEAN,
                                                   .field = TG_SPARKPLUG_FIELD_BOOLEAN,
                                                   .as.boolean = true};

static int node_command(struct node *n, const struct tg_sparkplug_metric *m, bool retain)
{
    uint8_t memory[256];
    return link_event(n, (struct tg_cloud_event){.type = TG_CLOUD_MESSAGE,
                                                 .topic = tg_bytes_str("spBv1.0/G/NCMD/E"),
                                                 .payload = command(memory, sizeof memory, m),
                                                 .retain = retain});
}

static void test_rebirth(void **state)
{
    struct tg_sparkplug_metric other = rebirth;
    struct body b;
    struct node n;
    struct sent s;
    struct tg_format_sample one;
    (void)state;
    node_init(&n, NULL);
    begin(&n);
    one = sample(&b, 1000, "flow", tg_value_int(1));
    for (int d = 0; d < DEVICES; d++) {
        assert_int_equal(send(&n, d, &one, 1, false, &s), 1);
        close_payload(&s);
    }
    clear(&n);
    at(&n, 3000);
    assert_int_equal(node_command(&n, &rebirth, false), TG_OK);
    assert_publish_seq(talk_rig_find(&n.link, "spBv1.0/G/NBIRTH/E"), 0);
    assert_publish_seq(talk_rig_find(&n.devices[0], "spBv1.0/G/DBIRTH/E/d0"), 1);
    assert_publish_seq(talk_rig_find(&n.devices[1], "spBv1.0/G/DBIRTH/E/d1"), 2);
    open_publish(&s, talk_rig_find(&n.link, "spBv1.0/G/NBIRTH/E"));
    assert_int_equal(value_of(&s.m[0]).as.integer, 0); /* bdSeq is of the connection */
    close_payload(&s);
    /* Hosts that all ask get one answer: data stops, and the births come a second after the last. */
    at(&n, 3001);
    clear(&n);
    assert_int_equal(node_command(&n, &rebirth, false), TG_OK);
    assert_int_equal(n.link.publish_count, 0);
    assert_false(n.devices[0].gate);
    assert_int_equal(send(&n, 0, &one, 1, false, &s), TG_EFULL);
    assert_int_equal(node_command(&n, &rebirth, false), TG_OK);
    assert_int_equal(n.link.wake_ms, 4000);
    at(&n, 4000);
    assert_int_equal(link_simple(&n, TG_CLOUD_WAKE), TG_OK);
    assert_int_equal(n.link.publish_count, 1);
    assert_true(n.devices[0].gate);
    clear(&n);
    at(&n, 9000);
    assert_int_equal(node_command(&n, &rebirth, true), TG_EPROTO);
    other.as.boolean = false;
    assert_int_equal(node_command(&n, &other, false), TG_OK);
    other.name = "Node Control/Reboot";
    assert_int_equal(node_command(&n, &other, false), TG_EUNSUPPORTED);
    assert_non_null(strstr(n.link.err.text, "Node Control/Reboot"));
    assert_int_equal(link_event(&n, (struct tg_cloud_event){.type = TG_CLOUD_MESSAGE,
                                                            .topic = tg_bytes_str("spBv1.0/G/NCMD/E"),
                                                            .payload = tg_bytes_str("\x12\xff")}),
                     TG_EPROTO);
    assert_int_equal(
        link_event(&n, (struct tg_cloud_event){.type = TG_CLOUD_MESSAGE,
                                               .topic = tg_bytes_str("spBv1.0/G/DCMD/E/unknown")}),
        TG_ENOTFOUND);
    assert_int_equal(n.link.publish_count, 0);
    node_fini(&n);
}

static void test_births_wait_for_room(void **state)
{
    struct body b;
    struct node n;
    struct sent s;
    struct tg_format_sample one;
    (void)state;
    node_init(&n, NULL);
    begin(&n);
    one = sample(&b, 1000, "flow", tg_value_int(1));
    n.devices[0].publish_rc = TG_EFULL;
    assert_int_equal(send(&n, 0, &one, 1, false, &s), TG_EFULL);
    n.devices[0].publish_rc = TG_OK;
    assert_int_equal(send(&n, 0, &one, 1, false, &s), 1);
    assert_seq(&s, 2); /* the birth that found no room has used up no number */
    close_payload(&s);
    clear(&n);
    at(&n, 3000);
    n.link.publish_rc = TG_EFULL;
    assert_int_equal(node_command(&n, &rebirth, false), TG_OK);
    assert_int_equal(n.link.publish_count, 0);
    assert_true(n.link.wake_ms > 3000 && n.link.wake_ms < 4000);
    n.link.publish_rc = TG_OK;
    n.devices[0].publish_rc = TG_EFULL;
    at(&n, n.link.wake_ms);
    assert_int_equal(link_simple(&n, TG_CLOUD_WAKE), TG_OK);
    assert_int_equal(n.link.publish_count, 1);
    assert_int_equal(n.devices[0].publish_count, 0);
    assert_true(n.link.wake_ms < 4000);
    n.devices[0].publish_rc = TG_OK;
    at(&n, n.link.wake_ms);
    assert_int_equal(link_simple(&n, TG_CLOUD_WAKE), TG_OK);
    assert_publish_seq(talk_rig_find(&n.devices[0], "spBv1.0/G/DBIRTH/E/d0"), 1);
    assert_int_equal(n.link.wake_ms, INT64_MAX);
    n.link.publish_rc = TG_EINVAL;
    at(&n, 9000);
    assert_int_equal(node_command(&n, &rebirth, false), TG_EINVAL);
    node_fini(&n);
}

static int host_state(struct node *n, const char *json)
{
    return link_event(n, (struct tg_cloud_event){.type = TG_CLOUD_MESSAGE,
                                                 .topic = tg_bytes_str("spBv1.0/STATE/H"),
                                                 .payload = tg_bytes_str(json),
                                                 .retain = true});
}

static void test_primary_host(void **state)
{
    struct body b;
    struct node n;
    struct sent s;
    struct tg_format_sample one = sample(&b, 1000, "flow", tg_value_int(1));
    const struct talk_rig_publish *p;
    (void)state;
    node_init(&n, "H");
    begin(&n);
    accept_sample(&n, 0, one);
    assert_int_equal(n.link.publish_count, 0);
    assert_false(n.devices[0].gate);
    assert_int_equal(host_state(&n, "{\"online\":false,\"timestamp\":50}"), TG_OK);
    assert_false(n.link.gave_up);                                                      /* it had not begun */
    assert_int_equal(host_state(&n, "{\"online\":true,\"timestamp\":49}"), TG_EINVAL); /* an old one */
    assert_int_equal(n.link.publish_count, 0);
    assert_int_equal(host_state(&n, "ONLINE"), TG_EPROTO);
    assert_int_equal(host_state(&n, "{\"online\":\"true\",\"timestamp\":60}"), TG_EPROTO);
    assert_int_equal(host_state(&n, "{\"online\":true}"), TG_EPROTO);
    assert_int_equal(host_state(&n, ""), TG_EPROTO);
    assert_int_equal(host_state(&n, "{\"online\":true,\"timestamp\":50}"), TG_OK);
    assert_publish_seq(talk_rig_find(&n.link, "spBv1.0/G/NBIRTH/E"), 0);
    assert_publish_seq(talk_rig_find(&n.devices[0], "spBv1.0/G/DBIRTH/E/d0"), 1);
    assert_true(n.devices[0].gate);
    assert_int_equal(host_state(&n, "{\"online\":true,\"timestamp\":70}"), TG_OK);
    assert_int_equal(n.link.publish_count, 1); /* it is born already */
    assert_int_equal(host_state(&n, "{\"online\":false,\"timestamp\":69}"), TG_EINVAL);
    assert_false(n.link.gave_up);
    assert_int_equal(host_state(&n, "{\"online\":false,\"timestamp\":80}"), TG_OK);
    p = talk_rig_find(&n.link, "spBv1.0/G/NDEATH/E");
    assert_non_null(p);
    assert_int_equal(p->qos, 1);
    open_payload(&s, p->payload, p->len);
    assert_false(s.reader.has_seq);
    assert_int_equal(value_of(&s.m[0]).as.integer, 0);
    close_payload(&s);
    assert_true(n.link.gave_up);
    assert_int_equal(n.link.retry, TG_RETRY_NOW);
    assert_false(n.devices[0].gate);
    /* The next connection waits, and does not believe what it knew. */
    disconnect(&n);
    clear(&n);
    connect(&n);
    assert_int_equal(link_simple(&n, TG_CLOUD_SUBSCRIBED), TG_OK);
    assert_int_equal(host_state(&n, "{\"online\":false,\"timestamp\":80}"), TG_OK);
    assert_int_equal(n.link.publish_count, 0);
    assert_false(n.link.gave_up);
    assert_int_equal(host_state(&n, "{\"online\":true,\"timestamp\":90}"), TG_OK);
    assert_int_equal(n.link.publish_count, 1);
    node_fini(&n);
}

static void test_refused_subscriptions(void **state)
{
    struct node n;
    (void)state;
    node_init(&n, "H");
    at(&n, 1000);
    connect(&n);
    assert_int_equal(link_event(&n, (struct tg_cloud_event){.type = TG_CLOUD_SUBSCRIBED, .code = 1}), TG_OK);
    assert_true(n.link.gave_up);
    assert_int_equal(n.link.publish_count, 0);
    node_fini(&n);
    node_init(&n, NULL); /* without a primary host data is worth more than commands */
    at(&n, 1000);
    connect(&n);
    assert_int_equal(link_event(&n, (struct tg_cloud_event){.type = TG_CLOUD_SUBSCRIBED, .code = 2}), TG_OK);
    assert_int_equal(n.link.publish_count, 1);
    node_fini(&n);
    node_init(&n, NULL); /* no answer at all */
    at(&n, 1000);
    connect(&n);
    assert_true(n.link.wake_ms < INT64_MAX);
    at(&n, n.link.wake_ms - 1);
    assert_int_equal(link_simple(&n, TG_CLOUD_WAKE), TG_OK);
    assert_int_equal(n.link.publish_count, 0);
    at(&n, n.link.now_ms + 1);
    assert_int_equal(link_simple(&n, TG_CLOUD_WAKE), TG_OK);
    assert_int_equal(n.link.publish_count, 1);
    node_fini(&n);
}

static void test_deaths(void **state)
{
    struct body b;
    struct node n;
    struct sent s;
    struct tg_format_sample one = sample(&b, 1000, "flow", tg_value_int(1));
    (void)state;
    node_init(&n, NULL);
    begin(&n);
    assert_int_equal(send(&n, 0, &one, 1, false, &s), 1);
    close_payload(&s);
    assert_int_equal(talk_rig_simple(&n.devices[1], TG_CLOUD_CLOSING),
                     TG_OK); /* never born: nothing to say */
    assert_int_equal(n.devices[1].publish_count, 0);
    assert_int_equal(talk_rig_simple(&n.devices[0], TG_CLOUD_CLOSING), TG_OK);
    assert_publish_seq(talk_rig_find(&n.devices[0], "spBv1.0/G/DDEATH/E/d0"), 3);
    assert_int_equal(link_simple(&n, TG_CLOUD_CLOSING), TG_OK);
    assert_non_null(talk_rig_find(&n.link, "spBv1.0/G/NDEATH/E"));
    clear(&n);
    assert_int_equal(link_simple(&n, TG_CLOUD_CLOSING), TG_OK);
    assert_int_equal(n.link.publish_count, 0);
    node_fini(&n);
}

static void report(struct node *n, int device, const char *patch)
{
    assert_int_equal(
        talk_rig_event(&n->devices[device],
                       &(struct tg_cloud_event){.type = TG_CLOUD_REPORT, .payload = tg_bytes_str(patch)}),
        TG_OK);
}

static void test_a_device_that_is_down(void **state)
{
    struct tg_named_value bad = {tg_bytes_str("flow"), TG_QUALITY_DOWN, {0}};
    struct body b;
    struct node n;
    struct sent s;
    struct tg_format_sample one = sample(&b, 1000, "flow", tg_value_int(1));
    (void)state;
    node_init(&n, NULL);
    begin(&n);
    assert_int_equal(send(&n, 0, &one, 1, false, &s), 1);
    close_payload(&s);
    report(&n, 0, "{\"other\":1}");
    report(&n, 0, "{\"state\":\"down\"}");
    report(&n, 0, "no JSON");
    report(&n, 0, "");
    report(&n, 0, "{\"state\":{\"is\":\"suspect\",\"text\":\"\"}}");
    assert_int_equal(n.devices[0].publish_count, 1);
    report(&n, 0, "{\"state\":{\"is\":\"down\",\"text\":\"\"}}");
    assert_publish_seq(talk_rig_find(&n.devices[0], "spBv1.0/G/DDEATH/E/d0"), 3);
    assert_false(n.devices[0].gate);
    make_values(&b, 1001, &bad, 1);
    accept_sample(&n, 0, (struct tg_format_sample){.body = b.view});
    assert_false(n.devices[0].gate);
    assert_int_equal(send(&n, 0, &one, 1, false, &s), TG_EFULL);
    report(&n, 0, "{\"state\":{\"is\":\"ok\",\"text\":\"\"}}");
    assert_publish_seq(talk_rig_find(&n.devices[0], "spBv1.0/G/DBIRTH/E/d0"), 4);
    assert_true(n.devices[0].gate);
    report(&n, 0, "{\"state\":{\"is\":\"down\",\"text\":\"\"}}");
    clear(&n);
    one = sample(&b, 1002, "flow", tg_value_int(2));
    accept_sample(&n, 0, one); /* it speaks */
    assert_publish_seq(talk_rig_find(&n.devices[0], "spBv1.0/G/DBIRTH/E/d0"), 6);
    assert_true(n.devices[0].gate);
    /* A rebirth leaves a device out that is down. */
    report(&n, 0, "{\"state\":{\"is\":\"down\",\"text\":\"\"}}");
    clear(&n);
    at(&n, 5000);
    assert_int_equal(node_command(&n, &rebirth, false), TG_OK);
    assert_int_equal(n.devices[0].publish_count, 0);
    assert_false(n.devices[0].gate);
    /* What was reported while nobody listened is asked for with the next connection. */
    disconnect(&n);
    clear(&n);
    n.devices[0].reported = "{\"gateway\":\"site\",\"state\":{\"is\":\"ok\"}}";
    n.devices[1].reported = "{\"state\":{\"is\":\"down\"}}";
    connect(&n);
    assert_int_equal(link_simple(&n, TG_CLOUD_SUBSCRIBED), TG_OK);
    assert_true(n.devices[0].gate);
    assert_false(n.devices[1].gate);
    assert_int_equal(n.devices[0].publish_count, 1);
    node_fini(&n);
}

static int device_command(struct node *n, const struct tg_sparkplug_metric *m)
{
    uint8_t memory[4096];
    return talk_rig_event(&n->devices[0],
                          &(struct tg_cloud_event){.type = TG_CLOUD_MESSAGE,
                                                   .topic = tg_bytes_str("spBv1.0/G/DCMD/E/d0"),
                                                   .payload = command(memory, sizeof memory, m)});
}

static void test_device_commands(void **state)
{
    struct tg_sparkplug_metric m = {
        .name = "set\"point", .datatype = TG_SPARKPLUG_INT8, .field = TG_SPARKPLUG_FIELD_INT};
    struct body b;
    struct node n;
    struct sent s;
    struct tg_format_sample one = sample(&b, 1000, "flow", tg_value_int(-1));
    (void)state;
    node_init(&n, NULL);
    begin(&n);
    assert_int_equal(send(&n, 0, &one, 1, false, &s), 1);
    m.as.u32 = 0xFFFFFFFF;
    assert_int_equal(device_command(&n, &m), TG_OK);
    assert_string_equal(n.devices[0].commands[0].name, "set");
    assert_string_equal(n.devices[0].commands[0].body, "{\"set\\\"point\":-1}");
    assert_true(n.devices[0].commands[0].hold);
    assert_int_equal(n.devices[0].commands[0].reply_len, 0);
    m = (struct tg_sparkplug_metric){
        .has_alias = true, .alias = s.m[0].alias, .field = TG_SPARKPLUG_FIELD_LONG};
    m.as.u64 = UINT64_MAX; /* without a datatype it is that of the birth */
    close_payload(&s);
    assert_int_equal(device_command(&n, &m), TG_OK);
    assert_string_equal(n.devices[0].commands[1].body, "{\"flow\":-1}");
    m.alias += 100;
    assert_int_equal(device_command(&n, &m), TG_ENOTFOUND);
    m.has_alias = false;
    assert_int_equal(device_command(&n, &m), TG_EPROTO);
    m.name = "flow";
    m.null = true;
    assert_int_equal(device_command(&n, &m), TG_EINVAL);
    assert_int_equal(device_command(&n, NULL), TG_EPROTO);
    m = (struct tg_sparkplug_metric){.name = "mode", .field = TG_SPARKPLUG_FIELD_STRING, .as.text = "a\nb"};
    assert_int_equal(device_command(&n, &m), TG_OK);
    assert_string_equal(n.devices[0].commands[2].body, "{\"mode\":\"a\\u000ab\"}");
    assert_int_equal(
        talk_rig_event(&n.devices[0], &(struct tg_cloud_event){.type = TG_CLOUD_MESSAGE, .retain = true}),
        TG_EPROTO);
    assert_int_equal(n.devices[0].command_count, 3);
    node_fini(&n);
}

static void test_bounds_of_a_message(void **state)
{
    struct body b[3];
    struct node n;
    struct sent s;
    struct tg_format_sample some[3];
    uint8_t memory[256];
    (void)state;
    node_init(&n, NULL);
    begin(&n);
    for (int i = 0; i < 3; i++)
        some[i] = sample(&b[i], 1000 + i, "flow", tg_value_int(i));
    for (size_t cap = 0; cap < sizeof memory; cap++) {
        struct tg_writer w = tg_writer_init(memory, cap);
        int rc = encode_only(&n, 0, some, 3, false, &w);
        assert_true(rc == TG_ETOOBIG || (rc > 0 && rc <= 3));
        if (rc < 0)
            continue;
        assert_false(w.failed);
        open_payload(&s, w.data, w.len);
        assert_int_equal(s.count, rc);
        assert_true(s.reader.has_seq);
        close_payload(&s);
    }
    some[1].body.len--; /* damaged in the store */
    assert_int_equal(send(&n, 0, some, 3, false, &s), 1);
    close_payload(&s);
    assert_int_equal(send(&n, 0, some + 1, 2, false, &s), TG_ECORRUPT);
    assert_true(n.err.text[0] != '\0');
    node_fini(&n);
}

static void test_many_metrics_and_large_births(void **state)
{
    static uint8_t memory[TG_SAMPLE_MAX_BYTES];
    static struct sent s;
    char text[TG_TEXT_MAX_BYTES];
    struct node n;
    int rc = 1;
    unsigned texts = 0;
    (void)state;
    memset(text, 't', sizeof text);
    node_init(&n, NULL);
    begin(&n);
    for (unsigned first = 0; rc == 1; first += 32) {
        struct tg_writer w = tg_writer_init(memory, sizeof memory);
        struct tg_format_sample one = {.seq = 1};
        tg_sample_begin(&w, T0, 32);
        for (unsigned i = 0; i < 32; i++) {
            char name[16];
            struct tg_named_value v = {.value = tg_value_text(text, sizeof text)};
            v.name = tg_bytes(name, (size_t)snprintf(name, sizeof name, "p%u", first + i));
            tg_sample_value(&w, &v);
        }
        assert_false(w.failed);
        one.body = tg_bytes(memory, w.len);
        clear(&n);
        rc = send(&n, 0, &one, 1, false, &s);
        if (rc < 0)
            break;
        close_payload(&s);
        texts += 32;
        assert_int_equal(n.devices[0].publish_count, 1);
        assert_true(n.devices[0].publishes[0].len < 128 * 1024);
    }
    assert_int_equal(rc, TG_ETOOBIG);
    assert_int_equal(texts, TG_SPARKPLUG_MAX_METRICS);
    node_fini(&n);
}

static void test_no_memory(void **state)
{
    struct tg_alloc_stats before = tg_alloc_stats();
    bool passed = false;
    (void)state;
    for (uint64_t nth = 1; !passed; nth++) {
        struct body b;
        struct node n;
        struct sent s;
        struct tg_format_sample one = sample(&b, 1000, "mode", tg_value_text("auto", 4));
        int rc;
        node_init(&n, NULL);
        begin(&n);
        tg_alloc_fail_at(nth, 0);
        accept_sample(&n, 0, one);
        rc = encode_only(&n, 0, &one, 1, false, &(struct tg_writer){.data = s.bytes, .cap = sizeof s.bytes});
        passed = rc == 1 && nth > 8;
        assert_true(rc == 1 || rc == TG_ENOMEM);
        rc = device_command(
            &n, &(struct tg_sparkplug_metric){.name = "mode", .field = TG_SPARKPLUG_FIELD_BOOLEAN});
        tg_alloc_fail_at(0, 0);
        assert_true(rc == TG_OK || rc == TG_ENOMEM || rc == TG_EPROTO);
        assert_int_equal(send(&n, 0, &one, 1, false, &s), 1); /* and all is well again */
        close_payload(&s);
        node_fini(&n);
        assert_true(nth < 100);
    }
    assert_int_equal(tg_alloc_stats().live, before.live);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_login_has_the_death),
                                       cmocka_unit_test(test_filters_and_addressee),
                                       cmocka_unit_test(test_birth_before_data),
                                       cmocka_unit_test(test_seq_wraps_and_is_used_only_when_sent),
                                       cmocka_unit_test(test_bd_seq),
                                       cmocka_unit_test(test_a_damaged_note_begins_anew),
                                       cmocka_unit_test(test_new_metric_and_other_type),
                                       cmocka_unit_test(test_quality),
                                       cmocka_unit_test(test_history_after_an_outage),
                                       cmocka_unit_test(test_history_behind_what_went_ahead),
                                       cmocka_unit_test(test_rebirth),
                                       cmocka_unit_test(test_births_wait_for_room),
                                       cmocka_unit_test(test_primary_host),
                                       cmocka_unit_test(test_refused_subscriptions),
                                       cmocka_unit_test(test_deaths),
                                       cmocka_unit_test(test_a_device_that_is_down),
                                       cmocka_unit_test(test_device_commands),
                                       cmocka_unit_test(test_bounds_of_a_message),
                                       cmocka_unit_test(test_many_metrics_and_large_births),
                                       cmocka_unit_test(test_no_memory)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
