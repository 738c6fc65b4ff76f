/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "support/net_client.h"

#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>

#define PATIENCE_MS 120000

static void lost_patience(void *user)
{
    (void)user;
    fprintf(stderr, "the test waited %d ms for something that did not happen\n", PATIENCE_MS);
    abort();
}

void net_run(struct tg_loop *loop)
{
    struct tg_deadline patience;
    tg_deadline_init(&patience, loop, lost_patience, NULL);
    tg_deadline_set(&patience, tg_loop_now_ms(loop) + PATIENCE_MS);
    tg_loop_run(loop);
    tg_deadline_close(&patience, NULL);
    uv_run(&loop->uv, UV_RUN_NOWAIT); /* `patience` is on this stack: its close must be over */
}

uint64_t net_sum(uint64_t sum, const uint8_t *data, size_t len, size_t at)
{
    for (size_t i = 0; i < len; i++)
        sum = sum * 31 + data[i] + (at + i);
    return sum;
}

static void on_closed(void *user)
{
    struct net_client *c = user;
    c->closed++;
    tg_loop_stop(c->loop);
}

static void after(struct net_client *c, enum net_event event)
{
    if (c->close_on == event) {
        struct tg_stream *s = c->stream;
        c->stream = NULL;
        tg_stream_close(s, 0, on_closed, c);
    }
    if (c->stop_on == event)
        tg_loop_stop(c->loop);
}

static void on_ready(void *user)
{
    struct net_client *c = user;
    assert_int_equal(c->closed + c->end, 0);
    c->ready++;
    if (c->on_ready_hook)
        c->on_ready_hook(c);
    after(c, NET_READY);
}

static void on_data(void *user, struct tg_bytes data)
{
    struct net_client *c = user;
    assert_non_null(c->stream);
    assert_true(data.len > 0);
    c->data++;
    c->sum = net_sum(c->sum, data.data, data.len, c->bytes);
    for (size_t i = 0; i < data.len && c->bytes + i < sizeof c->received; i++)
        c->received[c->bytes + i] = data.data[i];
    c->bytes += data.len;
    if (c->stop_at_bytes && c->bytes >= c->stop_at_bytes)
        tg_loop_stop(c->loop);
    after(c, NET_DATA);
}

static void on_writable(void *user)
{
    struct net_client *c = user;
    assert_non_null(c->stream);
    c->writable++;
    after(c, NET_WRITABLE);
}

static void on_end(void *user, const struct tg_error *err)
{
    struct net_client *c = user;
    assert_non_null(c->stream);
    assert_int_equal(c->end, 0);
    assert_true(err->code < 0);
    assert_true(err->text[0] != '\0');
    c->end++;
    c->err = *err;
    after(c, NET_END);
    if (!c->wait_for_all)
        tg_loop_stop(c->loop);
}

int net_client_try_open(struct net_client *c, struct tg_loop *loop, const struct tg_stream_options *o,
                        struct tg_error *err)
{
    static const struct tg_stream_callbacks callbacks = {on_ready, on_data, on_writable, on_end};
    c->loop = loop;
    return tg_stream_open(loop, o, &callbacks, c, &c->stream, err);
}

void net_client_open(struct net_client *c, struct tg_loop *loop, const struct tg_stream_options *o)
{
    struct tg_error err = {0};
    assert_int_equal(net_client_try_open(c, loop, o, &err), TG_OK);
}

static unsigned count(const struct net_client *c, enum net_event event)
{
    switch (event) {
    case NET_READY:
        return c->ready;
    case NET_DATA:
        return c->data;
    case NET_WRITABLE:
        return c->writable;
    case NET_END:
        return c->end;
    case NET_NOTHING:
        break;
    }
    return 0;
}

bool net_client_until(struct net_client *c, enum net_event event)
{
    unsigned before = count(c, event);
    c->stop_on = event;
    if (!c->end)
        net_run(c->loop);
    c->stop_on = NET_NOTHING;
    return count(c, event) > before;
}

bool net_client_until_bytes(struct net_client *c, size_t bytes)
{
    c->stop_at_bytes = bytes;
    if (c->bytes < bytes && !c->end)
        net_run(c->loop);
    c->stop_at_bytes = 0;
    return c->bytes >= bytes;
}

bool net_client_connect(struct net_client *c, struct tg_loop *loop, const struct tg_stream_options *o)
{
    net_client_open(c, loop, o);
    return net_client_until(c, NET_READY);
}

void net_client_close(struct net_client *c, uint32_t linger_ms)
{
    if (c->stream) {
        struct tg_stream *s = c->stream;
        c->stream = NULL;
        tg_stream_close(s, linger_ms, on_closed, c);
    }
    if (!c->closed)
        net_run(c->loop);
    assert_int_equal(c->closed, 1);
}
