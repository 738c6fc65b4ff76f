/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * mini_broker - an MQTT 3.1.1 broker on the test's own loop that does what it is told and writes down what it
 * gets. It reads packets with code of its own, so that client and broker cannot share a mistake. What it
 * records, it records in the order of arrival over all connections.
 *
 *     mini_broker_start(&b, &loop);   … levers, any time …   mini_broker_stop(&b);  RUN_UNTIL(b.closed)
 */
#ifndef TG_TESTS_MINI_BROKER_H
#define TG_TESTS_MINI_BROKER_H

#include "core/net/loop.h"

#define MINI_MAX_RECORDS 4096
#define MINI_MAX_SEQS    32

struct mini_publish {
    unsigned connection; /* 1 = the first ever */
    uint16_t id;
    bool dup, acked;
    uint64_t seqs[MINI_MAX_SEQS];
    uint32_t seq_count;
    uint64_t body_hash;
    size_t body_len;
};

struct mini_connection;

struct mini_broker {
    struct tg_loop *loop;
    uv_tcp_t server;
    uint16_t port;
    bool closing, closed;
    unsigned handles;
    struct mini_connection *connections;

    /* levers */
    bool hold_acks;       /* of publishes */
    bool mute;            /* no CONNACK */
    bool session_present; /* in CONNACK */
    bool hold_suback;
    bool hang_up_at_connect;
    uint8_t code; /* in CONNACK */

    /* records */
    unsigned accepted, open, most_open, connects, subscribes, disconnects, pubacks, client_errors;
    int64_t connect_ms[MINI_MAX_RECORDS]; /* of each CONNECT, monotonic */
    struct mini_publish *publishes;
    uint32_t publish_count;
    uint16_t pubacked[MINI_MAX_RECORDS]; /* ids of our messages in order of their PUBACKs */
};

void mini_broker_start(struct mini_broker *b, struct tg_loop *loop);
void mini_broker_stop(struct mini_broker *b);   /* b->closed follows on the loop */
void mini_broker_forget(struct mini_broker *b); /* the records */
/* PUBACK for a recorded publish, on the newest connection. */
void mini_broker_ack(struct mini_broker *b, uint32_t publish);
/* Closes all connections: in order, or with a reset. */
void mini_broker_drop(struct mini_broker *b, bool reset);
/* A QoS 1 message on the newest connection. */
void mini_broker_send(struct mini_broker *b, uint16_t id, const char *topic, const void *body, size_t len,
                      bool dup);

#endif
