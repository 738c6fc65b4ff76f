/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * Streams through proxies, in WebSocket frames, with ALPN, and all of them together, against other people's servers
 * (tests/peers/tunnel_server.py).
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/base/allocator.h"
#include "core/net/stream.h"
#include "support/net_client.h"
#include "support/net_peer.h"

static struct net_peer peer;
static struct tg_loop loop;
static struct tg_tls_context *tls;
static int64_t live_before;

static int group_set_up(void **state)
{
    struct tg_error err = {0};
    char ca[128];
    (void)state;
    net_peer_start(&peer, "tunnel_server.py");
    if (tg_tls_global_init(&err) < 0)
        return -1;
    net_peer_path(&peer, "root.pem", ca);
    struct tg_tls_options o = {.ca_file = ca};
    return tg_tls_context_new(&o, &tls, &err);
}

static int group_tear_down(void **state)
{
    (void)state;
    tg_tls_context_free(tls);
    tg_tls_global_fini();
    net_peer_stop(&peer);
    return 0;
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
    tg_tls_trim();
    assert_int_equal(tg_alloc_stats().live, live_before);
    return 0;
}

/* Straight to a server of this machine. */
static struct tg_stream_options to(const char *server)
{
    return (struct tg_stream_options){.host = "127.0.0.1", .port = net_peer_port(&peer, server)};
}

/* hub.test is known to the proxies only. */
static struct tg_stream_options through(const char *proxy, const char *server)
{
    return (struct tg_stream_options){.host = "hub.test",
                                      .port = net_peer_port(&peer, server),
                                      .proxy_host = "127.0.0.1",
                                      .proxy_port = net_peer_port(&peer, proxy)};
}

static void echoes(const struct tg_stream_options *o)
{
    static const size_t sizes[] = {1, 125, 126, 127, 16370, 16384, 65535, 65536, 250000};
    static uint8_t message[250000];
    static struct net_client c;
    size_t total = 0;
    uint64_t sum = 0;
    memset(&c, 0, sizeof c);
    if (!net_client_connect(&c, &loop, o))
        fail_msg("%s", c.err.text);
    for (size_t i = 0; i < sizeof sizes / sizeof sizes[0]; i++) {
        for (size_t k = 0; k < sizes[i]; k++)
            message[k] = (uint8_t)(k * 13 + i);
        assert_int_equal(tg_stream_write(c.stream, tg_bytes(message, sizes[i])), TG_OK);
        sum = net_sum(sum, message, sizes[i], total);
        total += sizes[i];
        assert_true(net_client_until_bytes(&c, total));
        assert_int_equal(c.bytes, total);
        assert_true(c.sum == sum);
    }
    net_client_close(&c, 10000);
}

static void fails(const struct tg_stream_options *o, int code, const char *text)
{
    static struct net_client c;
    memset(&c, 0, sizeof c);
    assert_false(net_client_connect(&c, &loop, o));
    if (c.err.code != code || !strstr(c.err.text, text))
        fail_msg("%d %s (expected %d %s)", c.err.code, c.err.text, code, text);
    net_client_close(&c, 0);
}

/* Who has had enough, and for how long. */
static void throttles(const struct tg_stream_options *o, bool throttled, uint32_t seconds, const char *text)
{
    static struct net_client c;
    struct tg_stream_stats st;
    memset(&c, 0, sizeof c);
    assert_false(net_client_connect(&c, &loop, o));
    tg_stream_stats(c.stream, &st);
    if (c.err.code != TG_ECONNECT || !strstr(c.err.text, text))
        fail_msg("%d %s (expected %s)", c.err.code, c.err.text, text);
    assert_int_equal(st.throttled, throttled);
    assert_int_equal(st.retry_after_s, seconds);
    net_client_close(&c, 0);
}

/* --- proxy ---------------------------------------------------------------------------------------- */

static void a_proxy_carries_bytes(void **state)
{
    struct tg_stream_options o = through("proxy_ok", "echo");
    (void)state;
    echoes(&o);
    o = through("proxy_slow", "echo");
    echoes(&o);
}

static void tls_goes_through_to_the_target(void **state)
{
    struct tg_stream_options o = through("proxy_ok", "echo_tls");
    (void)state;
    o.tls = tls;
    echoes(&o);
    o.host = "localhost"; /* the certificate is hub.test's */
    fails(&o, TG_ECERT, "localhost");
}

static void what_comes_with_the_answer_is_the_targets(void **state)
{
    static struct net_client c;
    struct tg_stream_options o = through("proxy_early", "greet");
    (void)state;
    memset(&c, 0, sizeof c);
    assert_true(net_client_connect(&c, &loop, &o));
    assert_true(net_client_until_bytes(&c, 5));
    assert_memory_equal(c.received, "hello", 5);
    net_client_close(&c, 0);
}

static void a_proxy_may_want_a_password(void **state)
{
    static const char password[] = "s\xC3\xA9"
                                   "cret:1";
    struct tg_stream_options o = through("proxy_auth", "echo");
    struct tg_stream *stream = NULL;
    struct tg_error err = {0};
    (void)state;
    fails(&o, TG_EAUTH, "wants a user name and a password (407");
    o.proxy_user = "gate";
    o.proxy_password = tg_bytes_str("wrong");
    fails(&o, TG_EAUTH, "refused the user name or the password (407");
    o.proxy_password = tg_bytes_str(password);
    echoes(&o);
    o.proxy_user = "ga:te";
    assert_int_equal(tg_stream_open(&loop, &o, &(struct tg_stream_callbacks){0}, NULL, &stream, &err),
                     TG_EINVAL);
    assert_null(strstr(err.text, "cret"));
}

static void what_a_proxy_refuses_is_told(void **state)
{
    static const struct {
        const char *proxy;
        int code;
        const char *text;
    } cases[] = {{"proxy_403", TG_EAUTH, "does not allow connections to hub.test"},
                 {"proxy_502", TG_ECONNECT, "could not connect to hub.test"},
                 {"proxy_302", TG_EPROTO, "is it a proxy"},
                 {"proxy_hangup", TG_EPROTO, "closed the connection"},
                 {"proxy_garbage", TG_EPROTO, "the proxy 127.0.0.1"},
                 {"proxy_silent", TG_ETIMEOUT, "did not answer in time"}};
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct tg_stream_options o = through(cases[i].proxy, "echo");
        o.connect_timeout_ms = cases[i].code == TG_ETIMEOUT ? 200 : 0;
        fails(&o, cases[i].code, cases[i].text);
    }
    struct tg_stream_options o = through("proxy_ok", "echo");
    o.proxy_port = net_closed_port();
    fails(&o, TG_ECONNECT, "the proxy");
    o = through("proxy_ok", "echo");
    o.host = "unknown.test";
    fails(&o, TG_ECONNECT, "could not connect to unknown.test");
}

static void a_proxy_that_throttles(void **state)
{
    struct tg_stream_options o = through("proxy_503", "echo");
    (void)state;
    throttles(&o, false, 0, "could not connect to hub.test"); /* it could not reach it */
    o = through("proxy_503_77", "echo");
    throttles(&o, true, 77, "asks to be left alone for 77 s");
    o = through("proxy_429", "echo");
    throttles(&o, true, 0, "(429");
}

/* --- WebSocket ------------------------------------------------------------------------------------- */

static void a_websocket_carries_bytes(void **state)
{
    static const char *const servers[] = {"ws", "ws_split"};
    (void)state;
    for (size_t i = 0; i < 2; i++) {
        struct tg_stream_options o = to(servers[i]);
        o.websocket_path = "/mqtt";
        echoes(&o);
    }
}

static void all_layers_together(void **state)
{
    struct tg_stream_options o = through("proxy_slow", "wss");
    (void)state;
    o.tls = tls;
    o.websocket_path = "/mqtt?iothub-no-client-cert=true";
    echoes(&o);
}

static void what_a_websocket_server_refuses_is_told(void **state)
{
    static const struct {
        const char *server, *path;
        int code;
        const char *text;
    } cases[] = {{"ws", "/other", TG_EPROTO, "refused the WebSocket at \"/other\" with 404"},
                 {"ws_401", "/mqtt", TG_EAUTH, "with 401"},
                 {"ws_503", "/mqtt", TG_ECONNECT, "with 503"},
                 {"ws_none", "/mqtt", TG_EPROTO, "not MQTT"},
                 {"ws_amqp", "/mqtt", TG_EPROTO, "speaks \"amqp\""},
                 {"echo", "/mqtt", TG_EPROTO, "in the WebSocket handshake"},
                 {"ws_silent", "/mqtt", TG_ETIMEOUT, "did not answer in time"}};
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct tg_stream_options o = to(cases[i].server);
        o.websocket_path = cases[i].path;
        o.handshake_timeout_ms = cases[i].code == TG_ETIMEOUT ? 200 : 0;
        fails(&o, cases[i].code, cases[i].text);
    }
}

static void a_websocket_server_that_throttles(void **state)
{
    static const struct {
        const char *server;
        uint32_t seconds;
        const char *text;
    } cases[] = {{"ws_503", 0, "503"},
                 {"ws_503_120", 120, "with 503 \"Service Unavailable\", asks to be left alone for 120 s"},
                 {"ws_429_date", 90, "with 429 \"Too Many Requests\", asks to be left alone for 90 s"},
                 {"ws_503_past", 0, "asks to be left alone for 0 s"},
                 {"ws_503_year", 3600, "asks to be left alone for 3600 s"},
                 {"ws_503_bad", 0, "with a Retry-After that is no time to wait and is not followed"}};
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct tg_stream_options o = to(cases[i].server);
        o.websocket_path = "/mqtt";
        throttles(&o, true, cases[i].seconds, cases[i].text);
    }
}

/* What the server does is said in the first message. */
static void rude_one(const char *wish, int code, const char *text)
{
    static struct net_client c;
    struct tg_stream_options o = to("ws_rude");
    o.websocket_path = "/";
    memset(&c, 0, sizeof c);
    assert_true(net_client_connect(&c, &loop, &o));
    assert_int_equal(tg_stream_write(c.stream, tg_bytes_str(wish)), TG_OK);
    if (code == TG_OK) {
        assert_true(net_client_until_bytes(&c, strlen(text)));
        assert_memory_equal(c.received, text, strlen(text));
    } else {
        (void)net_client_until(&c, NET_END);
        if (c.err.code != code || !strstr(c.err.text, text))
            fail_msg("%s: %d %s", wish, c.err.code, c.err.text);
    }
    net_client_close(&c, 0);
}

static void pings_are_answered_and_ends_told(void **state)
{
    (void)state;
    rude_one("ping", TG_OK, "ponged");
    rude_one("close", TG_EEOF, "closed the WebSocket: 1001 going away \"moving house\"");
    rude_one("bye", TG_EEOF, "closed the WebSocket: 1000 done");
    rude_one("text", TG_EPROTO, "broke the WebSocket protocol: a text frame");
    rude_one("cut", TG_EEOF, "closed the connection");
}

static void a_path_that_cannot_be_asked_for(void **state)
{
    static const char *const paths[] = {"", "mqtt", "/a b", "/a\r\nX: y", "/a#b", "/\xC3\xA9"};
    struct tg_stream_options o = to("ws");
    (void)state;
    for (size_t i = 0; i < sizeof paths / sizeof paths[0]; i++) {
        struct tg_stream *stream = NULL;
        struct tg_error err = {0};
        o.websocket_path = paths[i];
        assert_int_equal(tg_stream_open(&loop, &o, &(struct tg_stream_callbacks){0}, NULL, &stream, &err),
                         TG_EINVAL);
        assert_null(stream);
    }
}

/* --- ALPN -------------------------------------------------------------------------------------------- */

static void a_protocol_that_is_asked_for_must_be_agreed_on(void **state)
{
    struct tg_stream_options o = through("proxy_ok", "alpn");
    struct tg_tls_ticket ticket = {0};
    (void)state;
    o.tls = tls;
    o.alpn = "x-amzn-mqtt-ca";
    o.ticket = &ticket;
    echoes(&o);
    echoes(&o); /* resumed */
    tg_tls_ticket_fini(&ticket);
    o = through("proxy_ok", "alpn_other");
    o.tls = tls;
    o.alpn = "x-amzn-mqtt-ca";
    fails(&o, TG_ETLS, "ALPN");
    o = through("proxy_ok", "echo_tls");
    o.tls = tls;
    o.alpn = "x-amzn-mqtt-ca";
    fails(&o, TG_ETLS, "did not agree to speak x-amzn-mqtt-ca");
    o.alpn = NULL;
    echoes(&o);
}

/* --- closing and memory -------------------------------------------------------------------------------- */

static void a_stream_can_be_closed_at_any_time(void **state)
{
    static struct net_client c;
    static const enum net_event moments[] = {NET_READY, NET_DATA, NET_END};
    (void)state;
    for (size_t i = 0; i < sizeof moments / sizeof moments[0]; i++) {
        struct tg_stream_options o = through("proxy_ok", "wss");
        o.tls = tls;
        o.websocket_path = moments[i] == NET_END ? "/none" : "/mqtt";
        memset(&c, 0, sizeof c);
        c.close_on = moments[i];
        net_client_open(&c, &loop, &o);
        if (moments[i] == NET_DATA) {
            assert_true(net_client_until(&c, NET_READY));
            assert_int_equal(tg_stream_write(c.stream, tg_bytes_str("x")), TG_OK);
        }
        while (c.closed == 0)
            uv_run(&loop.uv, UV_RUN_ONCE);
    }
    for (int turns = 0; turns < 12; turns++) { /* in whatever state it is after so many turns */
        struct tg_stream_options o = through("proxy_slow", "wss");
        o.tls = tls;
        o.websocket_path = "/mqtt";
        memset(&c, 0, sizeof c);
        net_client_open(&c, &loop, &o);
        for (int i = 0; i < turns && c.ready + c.end == 0; i++) /* after that nothing comes by itself */
            uv_run(&loop.uv, UV_RUN_ONCE);
        net_client_close(&c, 0);
    }
}

static void without_memory_one_stream_fails(void **state)
{
    static struct net_client c;
    struct tg_stream_options o = through("proxy_auth", "ws");
    bool done = false;
    (void)state;
    o.proxy_user = "gate";
    o.proxy_password = tg_bytes_str("s\xC3\xA9"
                                    "cret:1");
    o.websocket_path = "/mqtt";
    for (uint64_t nth = 1; !done; nth++) {
        struct tg_error err = {0};
        memset(&c, 0, sizeof c);
        tg_alloc_fail_at(nth, 0);
        int rc = net_client_try_open(&c, &loop, &o, &err);
        if (rc == TG_OK) {
            while (!c.ready && !c.end)
                uv_run(&loop.uv, UV_RUN_ONCE);
            done = c.ready != 0 && tg_alloc_stats().live > 0;
            assert_true(c.ready || c.err.code == TG_ENOMEM);
        } else {
            assert_int_equal(rc, TG_ENOMEM);
        }
        tg_alloc_fail_at(0, 0);
        if (rc == TG_OK)
            net_client_close(&c, 0);
        assert_true(nth < 100);
    }
}

int main(void)
{
#define TEST(f) cmocka_unit_test_setup_teardown(f, set_up, tear_down)
    const struct CMUnitTest tests[] = {
        TEST(a_proxy_carries_bytes),
        TEST(tls_goes_through_to_the_target),
        TEST(what_comes_with_the_answer_is_the_targets),
        TEST(a_proxy_may_want_a_password),
        TEST(what_a_proxy_refuses_is_told),
        TEST(a_websocket_carries_bytes),
        TEST(all_layers_together),
        TEST(what_a_websocket_server_refuses_is_told),
        TEST(a_proxy_that_throttles),
        TEST(a_websocket_server_that_throttles),
        TEST(pings_are_answered_and_ends_told),
        TEST(a_path_that_cannot_be_asked_for),
        TEST(a_protocol_that_is_asked_for_must_be_agreed_on),
        TEST(a_stream_can_be_closed_at_any_time),
        TEST(without_memory_one_stream_fails),
    };
    return cmocka_run_group_tests(tests, group_set_up, group_tear_down);
}
