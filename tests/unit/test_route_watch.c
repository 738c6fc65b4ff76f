/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * The kernel itself, in a network of this test's own: what it says of ways while links, addresses and routes come and go. Skipped where
 * no such network may be made.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <arpa/inet.h>
#include <fcntl.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "core/base/clock.h"
#include "core/net/route_watch.h"

static struct tg_loop loop;
static struct tg_route_watch *watch;
static struct tg_route_change last;
static int changes;
static bool may;

static void on_changed(void *user, const struct tg_route_change *change)
{
    (void)user;
    last = *change;
    changes++;
}

static void run(const char *command)
{
    assert_int_equal(system(command), 0);
}

static bool wait_for_change(int before)
{
    int64_t limit = tg_clock_mono_ms() + 30000;
    while (changes == before && tg_clock_mono_ms() < limit)
        uv_run(&loop.uv, UV_RUN_ONCE);
    return changes > before;
}

static struct tg_way ask(const char *to)
{
    struct tg_ip ip = tg_ip_parse(to);
    struct tg_way way;
    tg_route_watch_ask(watch, &ip, &way);
    return way;
}

static bool is_ours(const char *address)
{
    struct tg_ip ip = tg_ip_parse(address);
    return tg_route_watch_is_ours(watch, &ip);
}

static int set_up(void **state)
{
    struct tg_error err = {0};
    (void)state;
    may = (geteuid() == 0 ? unshare(CLONE_NEWNET) : unshare(CLONE_NEWUSER | CLONE_NEWNET)) == 0 &&
          system("ip link add a0 type veth peer name b0 2>/dev/null") == 0;
    assert_int_equal(tg_loop_init(&loop, &err), TG_OK);
    if (may)
        assert_int_equal(tg_route_watch_new(&loop, on_changed, NULL, &watch, &err), TG_OK);
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    if (watch)
        tg_route_watch_close(watch);
    tg_loop_fini(&loop);
    return 0;
}

static void a_link_and_its_routes(void **state)
{
    struct tg_way way;
    int before = changes;
    (void)state;
    if (!may)
        skip();
    assert_int_equal(ask("10.9.0.1").state, TG_WAY_NO_ROUTE);
    assert_int_equal(ask("2001:db8::1").state, TG_WAY_NO_ROUTE);
    run("ip addr add 10.9.0.2/24 dev a0 && ip link set b0 up && ip link set a0 up && ip route add default "
        "via 10.9.0.1");
    assert_true(wait_for_change(before));
    way = ask("192.0.2.1");
    assert_int_equal(way.state, TG_WAY_THERE);
    assert_string_equal(way.name, "a0");
    assert_int_equal(way.source.bytes[3], 2);
    assert_int_equal(way.gateway.bytes[3], 1);
    assert_int_equal(ask("10.9.0.2").state, TG_WAY_LOCAL);
    assert_true(is_ours("10.9.0.2"));
    assert_false(is_ours("10.9.0.3"));
}

static void the_other_end_goes_down(void **state)
{
    char text[120];
    struct tg_ip to = tg_ip_parse("10.9.0.1");
    struct tg_way way;
    int before = changes;
    (void)state;
    if (!may)
        skip();
    run("ip link set b0 down");
    assert_true(wait_for_change(before));
    way = ask("10.9.0.1");
    assert_int_equal(way.state, TG_WAY_NO_CARRIER);
    tg_way_text(&way, &to, text, sizeof text);
    assert_string_equal(text, "the link a0 to 10.9.0.1 is down or has no carrier");
    before = changes;
    run("ip link set b0 up");
    assert_true(wait_for_change(before));
    assert_int_equal(ask("10.9.0.1").state, TG_WAY_THERE);
}

static void routes_and_addresses_go(void **state)
{
    int before = changes;
    (void)state;
    if (!may)
        skip();
    run("ip route del default");
    assert_true(wait_for_change(before));
    assert_int_equal(ask("192.0.2.1").state, TG_WAY_NO_ROUTE);
    assert_int_equal(ask("10.9.0.1").state, TG_WAY_THERE);
    before = changes;
    run("ip addr del 10.9.0.2/24 dev a0");
    do
        assert_true(wait_for_change(before));
    while (!last.address_gone && before++ < changes);
    assert_true(last.address_gone);
    assert_false(is_ours("10.9.0.2"));
    before = changes;
    run("ip route add blackhole 198.51.100.0/24 && ip link set lo up");
    assert_true(wait_for_change(before));
    assert_int_equal(ask("198.51.100.1").state, TG_WAY_UNKNOWN); /* somebody wanted that: connect() says it */
}

static void nobody_to_ask(void **state)
{
    struct tg_ip to = tg_ip_parse("10.9.0.1"), here = tg_ip_parse("127.0.0.3");
    struct tg_way way;
    (void)state;
    tg_route_watch_ask(NULL, &to, &way);
    assert_int_equal(way.state, TG_WAY_UNKNOWN);
    tg_route_watch_ask(NULL, &here, &way);
    assert_int_equal(way.state, TG_WAY_LOCAL);
    assert_true(tg_route_watch_is_ours(NULL, &to));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_link_and_its_routes),
        cmocka_unit_test(the_other_end_goes_down),
        cmocka_unit_test(routes_and_addresses_go),
        cmocka_unit_test(nobody_to_ask),
    };
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
