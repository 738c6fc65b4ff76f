/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * Streams without TLS: what is sent arrives, every way to end ends once, nothing leaks. The peer is a thread.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

#include "support/stream_rig.h"

/* --- peers ----------------------------------------------------------------------------------- */

static void greet_and_finish(int fd, void *user)
{
    char byte;
    (void)user;
    net_send_all(fd, "bye", 3);
    shutdown(fd, SHUT_WR);
    while (read(fd, &byte, 1) > 0) /* until the client is gone too */
        ;
    close(fd);
}

static void reset_with_data_unread(int fd, void *user)
{
    char byte;
    (void)user;
    net_send_all(fd, "hello", 5);
    (void)!read(fd, &byte, 1);
    net_close_with_reset(fd);
}

/* Reads only after the client closed its end, and counts. */
struct slow_reader {
    atomic_int go;
    atomic_size_t bytes;
    _Atomic uint64_t sum;
    pthread_mutex_t lock;
    pthread_cond_t woken;
};

static void read_when_told(int fd, void *user)
{
    struct slow_reader *r = user;
    uint8_t buffer[65536];
    ssize_t n;
    pthread_mutex_lock(&r->lock);
    while (!r->go)
        pthread_cond_wait(&r->woken, &r->lock);
    pthread_mutex_unlock(&r->lock);
    while ((n = read(fd, buffer, sizeof buffer)) > 0) {
        r->sum = net_sum(r->sum, buffer, (size_t)n, r->bytes);
        r->bytes += (size_t)n;
    }
    close(fd);
}

static void tell(struct slow_reader *r)
{
    pthread_mutex_lock(&r->lock);
    r->go = 1;
    pthread_cond_signal(&r->woken);
    pthread_mutex_unlock(&r->lock);
}

/* --- data ------------------------------------------------------------------------------------ */

static void what_is_sent_comes_back(void **state)
{
    static const size_t sizes[] = {1, 2, 100, 16383, 16384, 16385, 65536, 200000};
    static uint8_t message[200000];
    static struct net_client c;
    struct net_server server;
    size_t total = 0;
    (void)state;
    memset(&c, 0, sizeof c);
    net_server_start(&server, echo, NULL);
    struct tg_stream_options o = to_port(server.port);
    assert_true(net_client_connect(&c, &loop, &o));
    uint64_t sum = 0;
    for (size_t i = 0; i < sizeof sizes / sizeof sizes[0]; i++) {
        for (size_t k = 0; k < sizes[i]; k++)
            message[k] = (uint8_t)(k * 11 + i);
        assert_int_equal(tg_stream_write(c.stream, tg_bytes(message, sizes[i])), TG_OK);
        sum = net_sum(sum, message, sizes[i], total);
        total += sizes[i];
        assert_true(net_client_until_bytes(&c, total));
    }
    assert_int_equal(c.bytes, total);
    assert_int_equal(c.sum, sum);
    struct tg_stream_stats stats;
    tg_stream_stats(c.stream, &stats);
    assert_int_equal(stats.bytes_in, total);
    assert_int_equal(stats.bytes_out, total);
    assert_int_equal(tg_stream_write(c.stream, tg_bytes(NULL, 0)), TG_OK);
    net_client_close(&c, 0);
    net_server_stop(&server);
}

static void writing_stops_at_the_bound_and_goes_on(void **state)
{
    enum { CHUNK = 50000, CHUNKS = 400 };
    static uint8_t chunk[CHUNK];
    static struct net_client c;
    struct slow_reader reader = {.lock = PTHREAD_MUTEX_INITIALIZER, .woken = PTHREAD_COND_INITIALIZER};
    struct net_server server;
    unsigned sent = 0, full = 0;
    (void)state;
    memset(&c, 0, sizeof c);
    net_server_start(&server, read_when_told, &reader);
    struct tg_stream_options o = to_port(server.port);
    assert_true(net_client_connect(&c, &loop, &o));
    uint64_t sum = 0;
    while (sent < CHUNKS) {
        memset(chunk, (int)sent, sizeof chunk);
        int rc = tg_stream_write(c.stream, tg_bytes(chunk, CHUNK));
        if (rc == TG_OK) {
            sum = net_sum(sum, chunk, CHUNK, (size_t)sent * CHUNK);
            sent++;
            assert_true(tg_stream_queued(c.stream) <= TG_STREAM_QUEUE_BYTES + CHUNK);
            continue;
        }
        assert_int_equal(rc, TG_EFULL);
        assert_true(tg_stream_queued(c.stream) >= TG_STREAM_QUEUE_BYTES);
        full++;
        tell(&reader);
        unsigned before = c.writable;
        assert_true(net_client_until(&c, NET_WRITABLE));
        assert_int_equal(c.writable, before + 1);
        assert_true(tg_stream_queued(c.stream) <= TG_STREAM_QUEUE_BYTES / 2);
    }
    assert_true(full >= 1);
    net_client_close(&c, 20000); /* the queue is flushed, then FIN */
    net_server_stop(&server);
    assert_int_equal(reader.bytes, (size_t)CHUNK * CHUNKS);
    assert_int_equal(reader.sum, sum);
}

static void writes_are_refused_outside_ready(void **state)
{
    static struct net_client c;
    struct net_server server;
    (void)state;
    memset(&c, 0, sizeof c);
    net_server_start(&server, greet_and_finish, NULL);
    struct tg_stream_options o = to_port(server.port);
    net_client_open(&c, &loop, &o);
    assert_int_equal(tg_stream_write(c.stream, tg_bytes("x", 1)), TG_ESTATE);
    assert_true(net_client_until(&c, NET_READY));
    void *big = calloc(1, TG_STREAM_WRITE_MAX_BYTES + 1);
    assert_int_equal(tg_stream_write(c.stream, tg_bytes(big, TG_STREAM_WRITE_MAX_BYTES + 1)), TG_ETOOBIG);
    free(big);
    assert_true(c.end || net_client_until(&c, NET_END));
    assert_int_equal(tg_stream_write(c.stream, tg_bytes("x", 1)), TG_ESTATE);
    net_client_close(&c, 0);
    net_server_stop(&server);
}

/* --- ends ------------------------------------------------------------------------------------ */

static void an_orderly_end_is_eof_after_all_data(void **state)
{
    static struct net_client c;
    struct net_server server;
    (void)state;
    memset(&c, 0, sizeof c);
    net_server_start(&server, greet_and_finish, NULL);
    struct tg_stream_options o = to_port(server.port);
    assert_true(net_client_connect(&c, &loop, &o));
    assert_true(c.end || net_client_until(&c, NET_END));
    assert_int_equal(c.err.code, TG_EEOF);
    assert_non_null(strstr(c.err.text, "127.0.0.1:"));
    assert_int_equal(c.bytes, 3);
    assert_int_equal(c.end, 1);
    net_client_close(&c, 0);
    net_server_stop(&server);
}

static void a_reset_is_an_error_with_text(void **state)
{
    static struct net_client c;
    struct net_server server;
    (void)state;
    memset(&c, 0, sizeof c);
    net_server_start(&server, reset_with_data_unread, NULL);
    struct tg_stream_options o = to_port(server.port);
    assert_true(net_client_connect(&c, &loop, &o));
    assert_true(net_client_until_bytes(&c, 5));
    assert_int_equal(tg_stream_write(c.stream, tg_bytes("0123456789", 10)), TG_OK);
    assert_true(c.end || net_client_until(&c, NET_END));
    assert_int_equal(c.err.code, TG_EIO);
    assert_non_null(strstr(c.err.text, "connection reset"));
    net_client_close(&c, 0);
    net_server_stop(&server);
}

static bool write_until_full(struct net_client *c)
{
    static uint8_t chunk[60000];
    while (tg_stream_write(c->stream, tg_bytes(chunk, sizeof chunk)) == TG_OK)
        ;
    return true;
}

static void a_reset_ends_a_stream_whose_queue_is_full(void **state)
{
    static struct net_client c;
    struct net_server server;
    (void)state;
    memset(&c, 0, sizeof c);
    net_server_start(&server, reset_with_data_unread, NULL);
    struct tg_stream_options o = to_port(server.port);
    c.on_ready_hook = write_until_full;
    assert_true(net_client_connect(&c, &loop, &o));
    assert_true(c.end || net_client_until(&c, NET_END));
    assert_int_equal(c.err.code, TG_EIO);
    net_client_close(&c, 1000);
    net_server_stop(&server);
}

static void closing_inside_each_callback_is_safe(void **state)
{
    static const enum net_event events[] = {NET_READY, NET_DATA, NET_WRITABLE, NET_END};
    (void)state;
    for (size_t i = 0; i < sizeof events / sizeof events[0]; i++) {
        static struct net_client c;
        struct slow_reader reader = {
            .go = 1, .lock = PTHREAD_MUTEX_INITIALIZER, .woken = PTHREAD_COND_INITIALIZER};
        struct net_server server;
        memset(&c, 0, sizeof c);
        if (events[i] == NET_WRITABLE) {
            net_server_start(&server, read_when_told, &reader);
            c.on_ready_hook = write_until_full;
        } else {
            net_server_start(&server, greet_and_finish, NULL);
        }
        c.close_on = events[i];
        struct tg_stream_options o = to_port(server.port);
        net_client_open(&c, &loop, &o);
        while (!c.closed)
            net_run(&loop);
        assert_int_equal(c.ready, 1);
        assert_int_equal(c.data, events[i] == NET_DATA || events[i] == NET_END);
        assert_int_equal(c.writable, events[i] == NET_WRITABLE);
        assert_int_equal(c.end, events[i] == NET_END);
        net_server_stop(&server);
    }
}

static void closing_before_anything_happened_is_silent(void **state)
{
    static struct net_client c;
    struct net_server server;
    (void)state;
    net_server_start(&server, echo, NULL);
    for (int turns = 0; turns < 4; turns++) {
        memset(&c, 0, sizeof c);
        struct tg_stream_options o = to_port(server.port);
        net_client_open(&c, &loop, &o);
        for (int i = 0; i < turns && !c.ready; i++)
            uv_run(&loop.uv, UV_RUN_NOWAIT);
        net_client_close(&c, 0);
        assert_int_equal(c.end, 0);
    }
    net_server_stop(&server);
}

/* --- many, and no memory --------------------------------------------------------------------- */

static void serve_in_own_thread(int fd, void *user);

static void *echo_thread(void *arg)
{
    echo((int)(intptr_t)arg, NULL);
    return NULL;
}

static void serve_in_own_thread(int fd, void *user)
{
    pthread_t thread;
    pthread_attr_t attr;
    (void)user;
    pthread_attr_init(&attr);
    pthread_attr_setdetachstate(&attr, PTHREAD_CREATE_DETACHED);
    if (pthread_create(&thread, &attr, echo_thread, (void *)(intptr_t)fd) != 0)
        close(fd);
    pthread_attr_destroy(&attr);
}

static unsigned many_ready;

static bool count_ready(struct net_client *c)
{
    many_ready++;
    return tg_stream_write(c->stream, tg_bytes("hello", 5)) == TG_OK;
}

static void many_streams_live_side_by_side(void **state)
{
    enum { MANY = 200 };
    struct net_client *many = calloc(MANY, sizeof *many);
    struct net_server server;
    (void)state;
    many_ready = 0;
    net_server_start(&server, serve_in_own_thread, NULL);
    struct tg_stream_options o = to_port(server.port);
    for (int i = 0; i < MANY; i++) {
        many[i].on_ready_hook = count_ready;
        net_client_open(&many[i], &loop, &o);
    }
    for (int i = 0; i < MANY; i++)
        assert_true(net_client_until_bytes(&many[i], 5));
    assert_int_equal(many_ready, MANY);
    for (int i = 0; i < MANY; i++)
        net_client_close(&many[i], i % 2 ? 1000 : 0);
    net_server_stop(&server);
    free(many);
}

/* One exchange with every allocation failing in turn: an error or a success, never a crash or a leak. */
static void every_failing_allocation_is_survived(void **state)
{
    struct net_server server;
    (void)state;
    net_server_start(&server, echo, NULL);
    for (int forever = 0; forever <= 1; forever++) {
        bool clean = false;
        for (uint64_t nth = 1; !clean; nth++) {
            static struct net_client c;
            struct tg_error err = {0};
            struct tg_stream_options o = to_port(server.port);
            memset(&c, 0, sizeof c);
            uint64_t calls = tg_alloc_stats().calls;
            tg_alloc_fail_at(nth, forever);
            int rc = net_client_try_open(&c, &loop, &o, &err);
            if (rc == TG_OK) {
                if (net_client_until(&c, NET_READY) &&
                    tg_stream_write(c.stream, tg_bytes("hello", 5)) == TG_OK)
                    net_client_until_bytes(&c, 5);
                assert_true(c.bytes == 5 || (c.end == 1 && c.err.code == TG_ENOMEM));
                net_client_close(&c, 0);
            } else {
                assert_int_equal(rc, TG_ENOMEM);
                assert_non_null(strstr(err.text, "out of memory"));
            }
            clean = tg_alloc_stats().calls - calls < nth;
            tg_alloc_fail_at(0, 0);
            assert_true(nth < 1000);
        }
    }
    net_server_stop(&server);
}

int main(void)
{
#define T(f) cmocka_unit_test_setup_teardown(f, set_up, tear_down)
    const struct CMUnitTest tests[] = {
        T(what_is_sent_comes_back),
        T(writing_stops_at_the_bound_and_goes_on),
        T(writes_are_refused_outside_ready),
        T(an_orderly_end_is_eof_after_all_data),
        T(a_reset_is_an_error_with_text),
        T(a_reset_ends_a_stream_whose_queue_is_full),
        T(closing_inside_each_callback_is_safe),
        T(closing_before_anything_happened_is_silent),
        T(many_streams_live_side_by_side),
        T(every_failing_allocation_is_survived),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
