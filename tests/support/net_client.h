/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * net_client - a tg_stream in a test: records what it is told, and runs the loop until something has
 * happened.
 */
#ifndef TG_TEST_NET_CLIENT_H
#define TG_TEST_NET_CLIENT_H

#include "core/net/stream.h"

enum net_event { NET_NOTHING, NET_READY, NET_DATA, NET_WRITABLE, NET_END };

struct net_client {
    struct tg_loop *loop;
    struct tg_stream *stream;
    unsigned ready, data, writable, end, closed;
    size_t bytes;            /* received in all */
    uint8_t received[65536]; /* the first of them */
    uint64_t sum;            /* over all of them, by position */
    struct tg_error err;     /* of on_end */
    enum net_event close_on; /* closes from inside that callback */
    enum net_event stop_on;  /* stops the loop after that callback */
    size_t stop_at_bytes;    /* stops the loop when so much is received */
    bool wait_for_all;       /* the loop is stopped by the owner of several */
    bool (*on_ready_hook)(struct net_client *c);
};

/* tg_stream_open() with this client's callbacks. */
int net_client_try_open(struct net_client *c, struct tg_loop *loop, const struct tg_stream_options *o,
                        struct tg_error *err) TG_CHECKED;
/* Asserts that it opens. */
void net_client_open(struct net_client *c, struct tg_loop *loop, const struct tg_stream_options *o);
/* Runs until on_ready or on_end came; true if ready. */
bool net_client_connect(struct net_client *c, struct tg_loop *loop, const struct tg_stream_options *o);
/* Runs until the callback has come since the call; false when on_end came first. */
bool net_client_until(struct net_client *c, enum net_event event);
bool net_client_until_bytes(struct net_client *c, size_t bytes);
/* Closes (if not closed yet) and runs until `closed` came. */
void net_client_close(struct net_client *c, uint32_t linger_ms);
/* Sum over a message as net_client computes it, from position `at` on. */
uint64_t net_sum(uint64_t sum, const uint8_t *data, size_t len, size_t at);

/* Runs the loop until it is stopped; ends the program when that takes longer than any test may. */
void net_run(struct tg_loop *loop);

#endif
