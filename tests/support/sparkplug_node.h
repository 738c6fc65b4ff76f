/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * sparkplug_node - an edge node with two devices on one link, in the hands of a test: time, events, samples, and what it publishes.
 */
#ifndef TESTS_SUPPORT_SPARKPLUG_NODE_H
#define TESTS_SUPPORT_SPARKPLUG_NODE_H

#include "northbound/sparkplug.h"
#include "northbound/sparkplug_payload.h"
#include "support/talk_rig.h"

#define NODE_T0      INT64_C(1700000000000)
#define NODE_DEVICES 2

struct sparkplug_node {
    struct tg_settings *settings;
    struct tg_config_point points[2];
    struct tg_config_device config;
    struct tg_cloud_target link_target, targets[NODE_DEVICES];
    struct talk_rig link,
        devices[NODE_DEVICES]; /* the link's own rig stands for a device that is not online */
    void *own_link[NODE_DEVICES], *idle_session;
    struct tg_cloud_login login;
    char scratch[1024];
    struct tg_error err;
};

struct sparkplug_body {
    uint8_t bytes[4096];
    struct tg_bytes view;
};

/* A payload that is looked into. */
struct sparkplug_sent {
    uint8_t bytes[65536];
    struct tg_sparkplug_reader reader;
    struct tg_sparkplug_metric m[32];
    uint32_t count;
};

void node_init(struct sparkplug_node *n, const char *primary_host);
void node_fini(struct sparkplug_node *n);
/* Time for everybody. */
void node_at(struct sparkplug_node *n, int64_t now_ms);
/* Events of the link have no session, but each_session goes over all. */
int node_event(struct sparkplug_node *n, struct tg_cloud_event e);
int node_simple(struct sparkplug_node *n, enum tg_cloud_event_type what);
/* The login and ONLINE for all; not yet SUBSCRIBED. */
void node_connect(struct sparkplug_node *n);
void node_disconnect(struct sparkplug_node *n);
/* From START to SUBSCRIBED at 1000 ms. */
void node_begin(struct sparkplug_node *n);
/* Forgets what was published; the gates stay. */
void node_clear(struct sparkplug_node *n);
void sample_values(struct sparkplug_body *b, int64_t time_ms, const struct tg_named_value *values,
                   uint32_t count);
struct tg_format_sample sample_one(struct sparkplug_body *b, int64_t time_ms, const char *name,
                                   struct tg_value v);
/* The gateway has stored it. */
void node_accept(struct sparkplug_node *n, int device, struct tg_format_sample s);
/* Until sent_close(). */
void sent_open(struct sparkplug_sent *s, const void *bytes, size_t len);
void sent_close(struct sparkplug_sent *s);
/* Without sending. */
int node_encode(struct sparkplug_node *n, int device, const struct tg_format_sample *samples, uint32_t count,
                bool again, struct tg_writer *w);
/* Encodes and sends; then *s is open. */
int node_send(struct sparkplug_node *n, int device, const struct tg_format_sample *samples, uint32_t count,
              bool again, struct sparkplug_sent *s);
/* A message at QoS 0 that was published beside the samples. */
void sent_open_publish(struct sparkplug_sent *s, const struct talk_rig_publish *p);
void sent_assert_seq(struct sparkplug_sent *s, uint64_t seq);
void publish_assert_seq(const struct talk_rig_publish *p, uint64_t seq);
struct tg_value metric_value(const struct tg_sparkplug_metric *m);
/* A payload with this metric; NULL = with none. */
struct tg_bytes command_body(uint8_t *memory, size_t cap, const struct tg_sparkplug_metric *m);
/* DCMD for the first device. */
int node_device_command(struct sparkplug_node *n, const struct tg_sparkplug_metric *m);
/* NCMD. */
int node_command(struct sparkplug_node *n, const struct tg_sparkplug_metric *m, bool retain);
/* Node Control/Rebirth, true. */
extern const struct tg_sparkplug_metric node_rebirth;

#endif
