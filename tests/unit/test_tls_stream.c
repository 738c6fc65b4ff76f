/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * TLS streams against OpenSSL (tests/peers/tls_server.py): data, resumption, every way to end. Which
 * certificates are accepted is the matter of tls_chain_matrix.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "core/base/allocator.h"
#include "core/net/tcp_connect.h"
#include "core/net/tls_memory.h"
#include "support/net_client.h"
#include "support/net_peer.h"
#include "support/tls_credential_of.h"

static struct net_peer peer;
static struct tg_tls_context *any_version, *only_tls12;
static struct tg_loop loop;
static int64_t live_before;

static size_t always_loopback(const char *host, struct sockaddr_storage *ret_addresses, size_t cap)
{
    (void)host;
    (void)cap;
    return uv_ip4_addr("127.0.0.1", 0, (struct sockaddr_in *)ret_addresses) == 0;
}

static struct tg_tls_context *new_context(bool tls12_only)
{
    char ca[128];
    struct tg_tls_context *ctx = NULL;
    struct tg_error err = {0};
    net_peer_path(&peer, "root.pem", ca);
    struct tg_tls_options o = {.ca_file = ca, .tls12_only = tls12_only};
    assert_int_equal(tg_tls_context_new(&o, &ctx, &err), TG_OK);
    return ctx;
}

static int group_set_up(void **state)
{
    struct tg_error err = {0};
    (void)state;
    net_peer_start(&peer, "tls_server.py");
    if (tg_tls_global_init(&err) < 0)
        return -1;
    tg_tcp_connect_set_resolver(always_loopback);
    any_version = new_context(false);
    only_tls12 = new_context(true);
    return 0;
}

static int group_tear_down(void **state)
{
    (void)state;
    tg_tls_context_free(any_version);
    tg_tls_context_free(only_tls12);
    tg_tls_global_fini();
    net_peer_stop(&peer);
    assert_int_equal(tg_tls_memory_stats().large_blocks, 0);
    return tg_alloc_stats().live == 0 ? 0 : -1;
}

static int set_up(void **state)
{
    struct tg_error err = {0};
    (void)state;
    tg_tls_trim();
    live_before = tg_alloc_stats().live;
    return tg_loop_init(&loop, &err);
}

static int tear_down(void **state)
{
    (void)state;
    tg_loop_fini(&loop);
    tg_tls_trim(); /* wolfSSL's tables of curve points are no leak */
    assert_int_equal(tg_alloc_stats().live, live_before);
    return 0;
}

static struct tg_stream_options to(const char *server)
{
    struct tg_stream_options o = {
        .host = "hub.test", .port = net_peer_port(&peer, server), .tls = any_version};
    return o;
}

/* --- data ------------------------------------------------------------------------------------ */

static void echo_sizes(const char *server, const char *version)
{
    static const size_t sizes[] = {1, 15, 16, 16383, 16384, 16385, 65536, 250000};
    static uint8_t message[250000];
    static struct net_client c;
    struct tg_stream_stats stats;
    size_t total = 0;
    uint64_t sum = 0;
    memset(&c, 0, sizeof c);
    struct tg_stream_options o = to(server);
    assert_true(net_client_connect(&c, &loop, &o));
    for (size_t i = 0; i < sizeof sizes / sizeof sizes[0]; i++) {
        for (size_t k = 0; k < sizes[i]; k++)
            message[k] = (uint8_t)(k * 13 + i);
        tg_stream_stats(c.stream, &stats);
        uint64_t before = stats.bytes_out;
        assert_int_equal(tg_stream_write(c.stream, tg_bytes(message, sizes[i])), TG_OK);
        sum = net_sum(sum, message, sizes[i], total);
        total += sizes[i];
        assert_true(net_client_until_bytes(&c, total));
        /* One record per 16 KiB: header, tag, and what the suite adds (TLS 1.2: AES a nonce; TLS 1.3: a type). */
        tg_stream_stats(c.stream, &stats);
        size_t records = (sizes[i] + 16383) / 16384;
        assert_in_range(stats.bytes_out - before, sizes[i] + records * 21, sizes[i] + records * 29);
    }
    assert_int_equal(c.sum, sum);
    assert_string_equal(stats.version, version);
    assert_false(stats.resumed);
    assert_true(stats.bytes_in > total);
    net_client_close(&c, 1000);
}

static void data_comes_back_over_tls_1_2_and_1_3(void **state)
{
    (void)state;
    echo_sizes("echo12", "TLSv1.2");
    echo_sizes("echo13", "TLSv1.3");
}

static void tls12_only_means_it(void **state)
{
    static struct net_client c;
    (void)state;
    memset(&c, 0, sizeof c);
    struct tg_stream_options o = to("echo13");
    o.tls = only_tls12;
    assert_false(net_client_connect(&c, &loop, &o));
    assert_int_equal(c.err.code, TG_ETLS);
    net_client_close(&c, 0);
    memset(&c, 0, sizeof c);
    o.port = net_peer_port(&peer, "echo12");
    assert_true(net_client_connect(&c, &loop, &o));
    net_client_close(&c, 0);
}

static bool write_a_lot(struct net_client *c)
{
    static uint8_t chunk[100000];
    while (tg_stream_write(c->stream, tg_bytes(chunk, sizeof chunk)) == TG_OK)
        ;
    return true;
}

static void back_pressure_reaches_the_writer(void **state)
{
    static const char *const servers[] = {"echo12", "echo13"};
    (void)state;
    for (size_t i = 0; i < 2; i++) {
        static struct net_client c;
        memset(&c, 0, sizeof c);
        struct tg_stream_options o = to(servers[i]);
        c.on_ready_hook = write_a_lot;
        assert_true(net_client_connect(&c, &loop, &o));
        assert_int_equal(c.end, 0);
        for (int round = 0; round < 3; round++) {
            if (c.writable == (unsigned)round)
                assert_true(net_client_until(&c, NET_WRITABLE));
            write_a_lot(&c);
        }
        net_client_close(&c, 0);
    }
}

/* --- resumption ------------------------------------------------------------------------------ */

/* Connects, exchanges a few bytes (a TLS 1.3 ticket comes with them) and closes; says whether it was resumed.
 */
static bool exchange(const struct tg_stream_options *o)
{
    static struct net_client c;
    struct tg_stream_stats stats;
    memset(&c, 0, sizeof c);
    if (!net_client_connect(&c, &loop, o))
        fail_msg("%s", c.err.text);
    assert_int_equal(tg_stream_write(c.stream, tg_bytes("ping", 4)), TG_OK);
    assert_true(net_client_until_bytes(&c, 4));
    assert_memory_equal(c.received, "ping", 4);
    tg_stream_stats(c.stream, &stats);
    net_client_close(&c, 1000);
    return stats.resumed;
}

static void sessions_are_resumed(void **state)
{
    static const char *const servers[] = {"echo12", "echo12id", "echo13"};
    (void)state;
    for (size_t i = 0; i < sizeof servers / sizeof servers[0]; i++) {
        struct tg_tls_ticket ticket = {0};
        struct tg_stream_options o = to(servers[i]);
        assert_false(exchange(&o));
        assert_false(exchange(&o)); /* without a ticket there is no resumption */
        o.ticket = &ticket;
        assert_false(exchange(&o));
        for (int again = 0; again < 4; again++)
            if (!exchange(&o))
                fail_msg("%s: connection %d was not resumed", servers[i], again + 2);
        tg_tls_ticket_fini(&ticket);
        assert_null(ticket.session);
        assert_false(exchange(&o));
        tg_tls_ticket_fini(&ticket);
        tg_tls_ticket_fini(&ticket);
    }
}

static void a_server_without_tickets_is_just_not_resumed(void **state)
{
    struct tg_tls_ticket ticket = {0};
    struct tg_stream_options o = to("echo13none");
    (void)state;
    o.ticket = &ticket;
    for (int i = 0; i < 3; i++)
        assert_false(exchange(&o));
    o.port = net_peer_port(&peer, "echo13");
    assert_false(exchange(&o));
    assert_true(exchange(&o));
    /* A session that the server does not know (another port is another server) costs a full handshake, no
     * more. */
    o.port = net_peer_port(&peer, "echo13none");
    assert_false(exchange(&o));
    tg_tls_ticket_fini(&ticket);
}

static void a_server_that_changed_its_version_costs_one_attempt(void **state)
{
    static const char *const servers[] = {"echo12", "echo13", "echo12"};
    struct tg_tls_ticket ticket = {0};
    struct tg_stream_options o = to("echo13");
    (void)state;
    o.ticket = &ticket;
    assert_false(exchange(&o));
    for (size_t i = 0; i < 3; i++) {
        static struct net_client c;
        memset(&c, 0, sizeof c);
        o.port = net_peer_port(&peer, servers[i]);
        assert_false(net_client_connect(&c, &loop, &o));
        assert_int_equal(c.err.code, TG_ETLS);
        net_client_close(&c, 0);
        assert_null(ticket.session);
        assert_false(exchange(&o));
        assert_true(exchange(&o));
    }
    tg_tls_ticket_fini(&ticket);
}

static void a_session_is_not_resumed_for_another_host_identity_or_root_set(void **state)
{
    struct tg_tls_ticket ticket = {0};
    struct tg_tls_credential *one = tls_credential_of(&peer, "client", "client"),
                             *two = tls_credential_of(&peer, "client2", "client2");
    struct tg_tls_context *other_context = new_context(false);
    struct tg_stream_options o = to("echo12");
    (void)state;
    o.ticket = &ticket;
    assert_false(exchange(&o));
    assert_true(exchange(&o));
    o.host = "other.test";
    assert_false(exchange(&o));
    assert_true(exchange(&o));
    o.credential = one;
    assert_false(exchange(&o));
    assert_true(exchange(&o));
    o.credential = two;
    assert_false(exchange(&o));
    assert_true(exchange(&o));
    o.tls = other_context;
    assert_false(exchange(&o));
    assert_true(exchange(&o));
    tg_tls_ticket_fini(&ticket);
    tg_tls_context_free(other_context);
    tg_tls_credential_free(one);
    tg_tls_credential_free(two);
}

static void a_client_certificate_survives_resumption(void **state)
{
    static const char *const servers[] = {"client12", "client13"};
    (void)state;
    for (size_t i = 0; i < 2; i++) {
        struct tg_tls_ticket ticket = {0};
        struct tg_tls_credential *c = tls_credential_of(&peer, "client-rsa", "client-rsa");
        struct tg_stream_options o = to(servers[i]);
        o.credential = c;
        o.ticket = &ticket;
        assert_false(exchange(&o));
        assert_true(exchange(&o));
        assert_true(exchange(&o));
        tg_tls_ticket_fini(&ticket);
        tg_tls_credential_free(c);
    }
}

static void the_roots_of_the_system_can_be_loaded(void **state)
{
    struct tg_tls_context *ctx = NULL;
    struct tg_error err = {0};
    struct tg_tls_options o = {0};
    (void)state;
    assert_int_equal(tg_tls_context_new(&o, &ctx, &err), TG_OK);
    /* They do not know our test root. */
    static struct net_client c;
    memset(&c, 0, sizeof c);
    struct tg_stream_options so = to("echo12");
    so.tls = ctx;
    assert_false(net_client_connect(&c, &loop, &so));
    assert_int_equal(c.err.code, TG_ECERT);
    assert_non_null(strstr(c.err.text, "/etc/ssl/certs/ca-certificates.crt"));
    net_client_close(&c, 0);
    tg_tls_context_free(ctx);
}

/* --- ends ------------------------------------------------------------------------------------ */

static void fails(const char *server, uint32_t handshake_timeout_ms, int code, const char *text)
{
    static struct net_client c;
    memset(&c, 0, sizeof c);
    struct tg_stream_options o = to(server);
    o.handshake_timeout_ms = handshake_timeout_ms;
    if (net_client_connect(&c, &loop, &o))
        fail_msg("%s: became ready", server);
    if (c.err.code != code || !strstr(c.err.text, text))
        fail_msg("%s: %s %s", server, tg_code_name(c.err.code), c.err.text);
    net_client_close(&c, 0);
}

static void a_peer_that_does_not_speak_tls_is_named(void **state)
{
    (void)state;
    fails("garbage", 0, TG_ETLS, "hub.test does not speak TLS on this port");
    fails("zeros", 0, TG_ETLS, "hub.test does not speak TLS on this port");
    fails("hang_up", 0, TG_ETLS, "hub.test closed the connection in the TLS handshake");
    fails("silent", 60, TG_ETIMEOUT, "the TLS handshake was not done within 60 ms");
}

/* Is greeted, says one byte, and sees how it ends. */
static void ends(const char *server, int code, const char *text)
{
    static struct net_client c;
    memset(&c, 0, sizeof c);
    struct tg_stream_options o = to(server);
    assert_true(net_client_connect(&c, &loop, &o));
    assert_true(net_client_until_bytes(&c, 5));
    assert_int_equal(tg_stream_write(c.stream, tg_bytes("x", 1)), TG_OK);
    assert_true(c.end || net_client_until(&c, NET_END));
    if (c.err.code != code || !strstr(c.err.text, text))
        fail_msg("%s: %s %s", server, tg_code_name(c.err.code), c.err.text);
    assert_int_equal(c.end, 1);
    assert_int_equal(tg_stream_write(c.stream, tg_bytes("x", 1)), TG_ESTATE);
    net_client_close(&c, 0);
}

static void every_end_comes_once_with_its_reason(void **state)
{
    (void)state;
    ends("cut12", TG_EIO, "cut the connection without a TLS good-bye");
    ends("cut13", TG_EIO, "cut the connection without a TLS good-bye");
    ends("reset12", TG_EIO, "connection reset by peer");
    ends("reset13", TG_EIO, "connection reset by peer");
    ends("badrecord12", TG_ETLS, "TLS connection with hub.test failed");
    ends("badrecord13", TG_ETLS, "TLS connection with hub.test failed");
}

static void an_orderly_end_is_eof(void **state)
{
    static const char *const servers[] = {"echo12", "echo13"};
    (void)state;
    for (size_t i = 0; i < 2; i++) {
        static struct net_client c;
        memset(&c, 0, sizeof c);
        struct tg_stream_options o = to(servers[i]);
        assert_true(net_client_connect(&c, &loop, &o));
        assert_int_equal(tg_stream_write(c.stream, tg_bytes("quit\n", 5)), TG_OK);
        assert_true(c.end || net_client_until(&c, NET_END));
        assert_int_equal(c.err.code, TG_EEOF);
        assert_int_equal(c.bytes, 5);
        net_client_close(&c, 1000);
    }
}

static bool ask_for_the_end(struct net_client *c)
{
    return tg_stream_write(c->stream, tg_bytes("quit\n", 5)) == TG_OK;
}

static void closing_inside_each_callback_is_safe(void **state)
{
    static const char *const servers[] = {"echo12", "echo13"};
    static const enum net_event events[] = {NET_READY, NET_DATA, NET_WRITABLE, NET_END};
    (void)state;
    for (size_t i = 0; i < 8; i++) {
        static struct net_client c;
        struct tg_tls_ticket ticket = {0};
        memset(&c, 0, sizeof c);
        struct tg_stream_options o = to(servers[i / 4]);
        o.ticket = &ticket;
        c.on_ready_hook = events[i % 4] == NET_WRITABLE ? write_a_lot : ask_for_the_end;
        c.close_on = events[i % 4];
        net_client_open(&c, &loop, &o);
        while (!c.closed)
            net_run(&loop);
        tg_tls_ticket_fini(&ticket);
        assert_int_equal(c.end, events[i % 4] == NET_END);
    }
}

static void closing_in_the_handshake_is_silent(void **state)
{
    static struct net_client c;
    (void)state;
    for (int turns = 0; turns < 12; turns++) {
        memset(&c, 0, sizeof c);
        struct tg_stream_options o = to(turns % 2 ? "echo13" : "echo12");
        net_client_open(&c, &loop, &o);
        for (int i = 0; i < turns && !c.ready; i++)
            uv_run(&loop.uv, UV_RUN_NOWAIT);
        net_client_close(&c, 0);
        assert_int_equal(c.end, 0);
    }
}

static void many_sessions_live_side_by_side(void **state)
{
    enum { MANY = 60 };
    struct net_client *many = calloc(MANY, sizeof *many);
    struct tg_tls_ticket tickets[MANY] = {{0}};
    (void)state;
    for (int round = 0; round < 2; round++) {
        unsigned resumed = 0;
        for (int i = 0; i < MANY; i++) {
            memset(&many[i], 0, sizeof many[i]);
            struct tg_stream_options o = to(i % 2 ? "echo13" : "echo12");
            o.ticket = &tickets[i];
            net_client_open(&many[i], &loop, &o);
        }
        for (int i = 0; i < MANY; i++) {
            struct tg_stream_stats stats;
            char text[16];
            while (!many[i].ready)
                assert_true(net_client_until(&many[i], NET_READY));
            int n = snprintf(text, sizeof text, "session %d", i);
            assert_int_equal(tg_stream_write(many[i].stream, tg_bytes(text, (size_t)n)), TG_OK);
            assert_true(net_client_until_bytes(&many[i], (size_t)n));
            assert_memory_equal(many[i].received, text, (size_t)n);
            tg_stream_stats(many[i].stream, &stats);
            resumed += stats.resumed;
        }
        assert_int_equal(resumed, round == 0 ? 0 : MANY);
        for (int i = 0; i < MANY; i++)
            net_client_close(&many[i], i % 3 ? 1000 : 0);
    }
    for (int i = 0; i < MANY; i++)
        tg_tls_ticket_fini(&tickets[i]);
    free(many);
}

int main(void)
{
#define T(f) cmocka_unit_test_setup_teardown(f, set_up, tear_down)
    const struct CMUnitTest tests[] = {
        T(data_comes_back_over_tls_1_2_and_1_3),
        T(tls12_only_means_it),
        T(back_pressure_reaches_the_writer),
        T(sessions_are_resumed),
        T(a_server_without_tickets_is_just_not_resumed),
        T(a_server_that_changed_its_version_costs_one_attempt),
        T(a_session_is_not_resumed_for_another_host_identity_or_root_set),
        T(a_client_certificate_survives_resumption),
        T(the_roots_of_the_system_can_be_loaded),
        T(a_peer_that_does_not_speak_tls_is_named),
        T(every_end_comes_once_with_its_reason),
        T(an_orderly_end_is_eof),
        T(closing_inside_each_callback_is_safe),
        T(closing_in_the_handshake_is_silent),
        T(many_sessions_live_side_by_side),
    };
    return cmocka_run_group_tests(tests, group_set_up, group_tear_down);
}
