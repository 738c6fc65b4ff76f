/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * How a stream finds its peer: names, several addresses, ports that refuse, addresses that are silent.
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

static void a_refused_port_is_named(void **state)
{
    static struct net_client c;
    char want[64];
    (void)state;
    memset(&c, 0, sizeof c);
    struct tg_stream_options o = to_port(net_closed_port());
    assert_false(net_client_connect(&c, &loop, &o));
    snprintf(want, sizeof want, "127.0.0.1:%u: cannot connect: Connection refused", o.port);
    assert_int_equal(c.err.code, TG_ECONNECT);
    assert_non_null(strstr(c.err.text, want));
    net_client_close(&c, 0);
}

static void a_silent_address_times_out(void **state)
{
    static struct net_client c;
    struct net_silent silent;
    (void)state;
    memset(&c, 0, sizeof c);
    net_silent_start(&silent, "127.0.0.1");
    struct tg_stream_options o = to_port(silent.port);
    o.connect_timeout_ms = 50;
    assert_false(net_client_connect(&c, &loop, &o));
    assert_int_equal(c.err.code, TG_ETIMEOUT);
    assert_non_null(strstr(c.err.text, "within 50 ms: no answer from 127.0.0.1"));
    net_client_close(&c, 0);
    net_silent_stop(&silent);
}

static const char *const *resolver_addresses;

static size_t resolve_from_list(const char *host, struct sockaddr_storage *ret_addresses, size_t cap)
{
    size_t n = 0;
    (void)host;
    for (; n < cap && resolver_addresses[n]; n++)
        assert_int_equal(uv_ip4_addr(resolver_addresses[n], 0, (struct sockaddr_in *)&ret_addresses[n]), 0);
    return n;
}

static void every_address_is_tried_in_turn(void **state)
{
    /* Nobody listens on the first two of the loopback net; the server is on the third. */
    static const char *const addresses[] = {"127.0.0.7", "127.0.0.8", "127.0.0.1", NULL};
    static struct net_client c;
    struct net_server server;
    (void)state;
    memset(&c, 0, sizeof c);
    resolver_addresses = addresses;
    tg_tcp_connect_set_resolver(resolve_from_list);
    net_server_start(&server, echo, NULL);
    struct tg_stream_options o = {.host = "several.test", .port = server.port};
    assert_true(net_client_connect(&c, &loop, &o));
    net_client_close(&c, 0);
    net_server_stop(&server);
}

static void a_silent_address_leaves_time_for_the_next(void **state)
{
    static const char *const addresses[] = {"127.0.0.1", "127.0.0.9", NULL};
    static struct net_client c;
    struct net_silent silent;
    (void)state;
    memset(&c, 0, sizeof c);
    resolver_addresses = addresses;
    tg_tcp_connect_set_resolver(resolve_from_list);
    net_silent_start(&silent, "127.0.0.1");
    struct tg_stream_options o = {.host = "several.test", .port = silent.port, .connect_timeout_ms = 100};
    assert_false(net_client_connect(&c, &loop, &o));
    /* The second one was reached, and refused. */
    assert_int_equal(c.err.code, TG_ECONNECT);
    assert_non_null(strstr(c.err.text, "several.test"));
    assert_non_null(strstr(c.err.text, "any of its 2 addresses: Connection refused (127.0.0.9)"));
    net_client_close(&c, 0);
    net_silent_stop(&silent);
}

static void a_name_is_looked_up(void **state)
{
    static struct net_client c;
    struct net_server server;
    (void)state;
    memset(&c, 0, sizeof c);
    net_server_start(&server, echo, NULL);
    struct tg_stream_options o = {.host = "localhost", .port = server.port};
    assert_true(net_client_connect(&c, &loop, &o));
    net_client_close(&c, 0);
    net_server_stop(&server);
}

static void a_name_that_does_not_exist_is_named(void **state)
{
    /* A label of 70 characters cannot exist: no resolver is asked. */
    static const char name[] = "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa.test";
    static struct net_client c;
    (void)state;
    memset(&c, 0, sizeof c);
    struct tg_stream_options o = {.host = name, .port = 8883};
    assert_false(net_client_connect(&c, &loop, &o));
    assert_int_equal(c.err.code, TG_EDNS);
    assert_non_null(strstr(c.err.text, name));
    assert_non_null(strstr(c.err.text, "cannot be resolved"));
    net_client_close(&c, 0);
}

static void closing_during_a_lookup_is_safe(void **state)
{
    static struct net_client c;
    (void)state;
    for (int turns = 0; turns < 3; turns++) {
        memset(&c, 0, sizeof c);
        struct tg_stream_options o = {.host = "localhost", .port = 1};
        net_client_open(&c, &loop, &o);
        for (int i = 0; i < turns && !c.end; i++)
            uv_run(&loop.uv, UV_RUN_NOWAIT);
        net_client_close(&c, 0);
    }
}

static void a_host_and_a_port_are_needed(void **state)
{
    static const struct tg_stream_callbacks callbacks;
    struct tg_stream *stream = NULL;
    struct tg_error err = {0};
    char long_host[300];
    (void)state;
    memset(long_host, 'a', sizeof long_host);
    long_host[sizeof long_host - 1] = '\0';
    const struct tg_stream_options bad[] = {{.host = "", .port = 1},
                                            {.host = NULL, .port = 1},
                                            {.host = "hub.test", .port = 0},
                                            {.host = long_host, .port = 1}};
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++)
        assert_int_equal(tg_stream_open(&loop, &bad[i], &callbacks, NULL, &stream, &err), TG_EINVAL);
    assert_null(stream);
}

static int find_peer_socket(uint16_t port)
{
    for (int fd = 0; fd < 4096; fd++) {
        struct sockaddr_in a;
        socklen_t len = sizeof a;
        if (getpeername(fd, (struct sockaddr *)&a, &len) == 0 && a.sin_family == AF_INET &&
            ntohs(a.sin_port) == port)
            return fd;
    }
    return -1;
}

static void sockets_live_above_those_of_libmodbus(void **state)
{
    static struct net_client c;
    struct net_server server;
    struct rlimit files;
    (void)state;
    getrlimit(RLIMIT_NOFILE, &files);
    for (int high = 1; high >= 0; high--) {
        struct rlimit now = {high ? files.rlim_max : 1024, files.rlim_max};
        assert_true(files.rlim_max > 1024);
        setrlimit(RLIMIT_NOFILE, &now);
        memset(&c, 0, sizeof c);
        net_server_start(&server, echo, NULL);
        struct tg_stream_options o = to_port(server.port);
        assert_true(net_client_connect(&c, &loop, &o));
        int fd = find_peer_socket(server.port), one = 0;
        socklen_t len = sizeof one;
        assert_true(high ? fd >= TG_TCP_LOWEST_FD : fd >= 0 && fd < 1024);
        assert_int_equal(getsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, &len), 0);
        assert_int_equal(one, 1);
        net_client_close(&c, 0);
        net_server_stop(&server);
    }
    setrlimit(RLIMIT_NOFILE, &files);
}

int main(void)
{
#define T(f) cmocka_unit_test_setup_teardown(f, set_up, tear_down)
    const struct CMUnitTest tests[] = {T(a_refused_port_is_named),
                                       T(a_silent_address_times_out),
                                       T(every_address_is_tried_in_turn),
                                       T(a_silent_address_leaves_time_for_the_next),
                                       T(a_name_is_looked_up),
                                       T(a_name_that_does_not_exist_is_named),
                                       T(closing_during_a_lookup_is_safe),
                                       T(a_host_and_a_port_are_needed),
                                       T(sockets_live_above_those_of_libmodbus)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
