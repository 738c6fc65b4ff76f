/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * Messages through a module: what counts as delivered, and when; addresses of such connections.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdio.h>
#include <string.h>

#include "southbound/ucx_address.h"
#include "southbound/ucx_carry.h"

static struct tg_ucx_carry c;

static void add(uint64_t id, const char *body)
{
    assert_int_equal(tg_ucx_carry_add(&c, id, tg_bytes_str(body)), TG_OK);
}

/* Hands everything to the line; how many. */
static unsigned send_all(void)
{
    unsigned n = 0;
    for (; tg_ucx_carry_next(&c).len > 0; n++)
        tg_ucx_carry_sent(&c);
    return n;
}

static void hear(const char *text)
{
    tg_ucx_carry_received(&c, tg_bytes_str(text));
}

/* The id of the next that is done, or -1. */
static int64_t done(int64_t now_ms)
{
    uint64_t id;
    return tg_ucx_carry_done(&c, now_ms, &id) ? (int64_t)id : -1;
}

static void settles_after_it_has_left_the_port(void **state)
{
    (void)state;
    tg_ucx_carry_init(&c, false, 5000);
    add(7, "one");
    assert_int_equal(tg_ucx_carry_deadline(&c), INT64_MAX);
    assert_false(tg_ucx_carry_draining(&c));
    tg_ucx_carry_drained(&c, 100); /* it is not even sent */
    assert_int_equal(done(1000000), -1);
    assert_int_equal(send_all(), 1);
    assert_true(tg_ucx_carry_draining(&c));
    assert_int_equal(done(1000000), -1);
    tg_ucx_carry_drained(&c, 1000);
    assert_false(tg_ucx_carry_draining(&c));
    add(8, "two");
    send_all();
    tg_ucx_carry_drained(&c, 2000);
    assert_int_equal(tg_ucx_carry_deadline(&c), 6000);
    assert_int_equal(done(5999), -1);
    hear("one"); /* an echo says nothing here */
    assert_int_equal(done(5999), -1);
    assert_int_equal(done(6000), 7);
    assert_int_equal(tg_ucx_carry_deadline(&c), 7000);
    assert_int_equal(done(6000), -1);
    assert_int_equal(done(7000), 8);
    assert_int_equal(c.count, 0);
}

static void time_confirms_no_echo(void **state)
{
    (void)state;
    tg_ucx_carry_init(&c, true, 0);
    add(1, "one");
    hear("one"); /* of somebody else: it has not been sent */
    assert_int_equal(done(0), -1);
    send_all();
    tg_ucx_carry_drained(&c, 0);
    assert_int_equal(tg_ucx_carry_deadline(&c), INT64_MAX);
    assert_int_equal(done(INT64_MAX - 1), -1);
}

/* Every way to cut the stream, with somebody else's messages between. */
static void echoes_in_any_pieces(void **state)
{
    static const char stream[] = "xx{\"seq\":1}{\"seq\":{\"seq\":2}y{\"seq\":3}";
    (void)state;
    for (size_t piece = 1; piece <= sizeof stream - 1; piece++) {
        tg_ucx_carry_init(&c, true, 0);
        add(1, "{\"seq\":1}");
        add(2, "{\"seq\":2}");
        add(3, "{\"seq\":3}");
        assert_int_equal(send_all(), 3);
        for (size_t at = 0; at < sizeof stream - 1; at += piece) {
            size_t n = sizeof stream - 1 - at < piece ? sizeof stream - 1 - at : piece;
            tg_ucx_carry_received(&c, tg_bytes(stream + at, n));
        }
        assert_int_equal(tg_ucx_carry_deadline(&c), INT64_MIN);
        for (int64_t id = 1; id <= 3; id++)
            assert_int_equal(done(0), id);
        assert_int_equal(done(0), -1);
        assert_int_equal(c.foreign_bytes, 2 + 7 + 1);
    }
}

static void a_lost_message_holds_up_no_other(void **state)
{
    (void)state;
    tg_ucx_carry_init(&c, true, 0);
    add(1, "first");
    add(2, "second");
    add(3, "third");
    send_all();
    hear("secondthird");
    assert_int_equal(done(0), 2);
    assert_int_equal(done(0), 3);
    assert_int_equal(done(0), -1);
    assert_int_equal(c.count, 3); /* the ring goes on behind the first */
    hear("first");
    assert_int_equal(done(0), 1);
    assert_int_equal(c.count, 0);
}

static void bounds(void **state)
{
    static char longest[TG_EDM_DATA_MAX + 1];
    (void)state;
    memset(longest, 'a', sizeof longest);
    tg_ucx_carry_init(&c, true, 0);
    assert_int_equal(tg_ucx_carry_add(&c, 1, tg_bytes(longest, 0)), TG_EINVAL);
    assert_int_equal(tg_ucx_carry_add(&c, 1, tg_bytes(longest, TG_EDM_DATA_MAX + 1)), TG_ETOOBIG);
    for (uint64_t round = 0; round < 3; round++) {
        for (uint64_t i = 0; i < TG_UCX_CARRY_MESSAGES; i++) {
            longest[0] = (char)('A' + i);
            assert_int_equal(tg_ucx_carry_add(&c, i, tg_bytes(longest, TG_EDM_DATA_MAX)), TG_OK);
        }
        assert_int_equal(tg_ucx_carry_add(&c, 99, tg_bytes(longest, 1)), TG_EFULL);
        assert_int_equal(send_all(), TG_UCX_CARRY_MESSAGES);
        for (uint64_t i = 0; i < 5000; i++)
            hear("somebody else says very much, so that the oldest of it is forgotten");
        assert_true(c.heard_len <= TG_UCX_CARRY_HEARD);
        for (uint64_t i = 0; i < TG_UCX_CARRY_MESSAGES; i++) {
            longest[0] = (char)('A' + i);
            tg_ucx_carry_received(&c, tg_bytes(longest, TG_EDM_DATA_MAX));
            assert_int_equal(done(0), i);
        }
        assert_int_equal(c.count, 0);
    }
}

/* --- addresses --- */

static void an_address(void **state)
{
    static const char text[] =
        "mqtt://hub.example:8883/"
        "?client=m-1&user=hub.example%2Fm-1%2F%3Fapi-version%3D1&passwd=Shared%20sr%3Da%2526&"
        "pt=devices%2Fm-1%2F&st=&keepAlive=60&ca=root.pem&cert=c.pem&privKey=k.pem&confirm=settle&settle="
        "5000";
    struct tg_ucx_address a;
    const char *what = "";
    (void)state;
    assert_int_equal(tg_ucx_address_parse(tg_bytes_str(text), &a, &what), TG_OK);
    assert_string_equal(a.mqtt.host, "hub.example");
    assert_int_equal(a.mqtt.port, 8883);
    assert_string_equal(a.mqtt.user, "hub.example/m-1/?api-version=1");
    assert_string_equal(a.mqtt.password, "Shared sr=a%26");
    assert_string_equal(a.mqtt.publish, "devices/m-1/");
    assert_null(a.mqtt.subscribe);
    assert_int_equal(a.mqtt.keepalive_s, 60);
    assert_string_equal(a.mqtt.ca, "root.pem");
    assert_string_equal(a.mqtt.certificate, "c.pem");
    assert_string_equal(a.mqtt.key, "k.pem");
    assert_false(a.echo);
    assert_int_equal(a.settle_ms, 5000);
    assert_int_equal(tg_ucx_address_parse(tg_bytes_str("mqtt://h:1/?pt=a&st=a&confirm=echo"), &a, &what),
                     TG_OK);
    assert_true(a.echo);
}

static void addresses_that_are_none(void **state)
{
    static const char *const wrong[][2] = {
        {"", "does not begin"},
        {"http://h:1/?pt=a&settle=500", "does not begin"},
        {"mqtt://h/?pt=a&settle=500", "HOST:PORT"},
        {"mqtt://:1/?pt=a&settle=500", "HOST:PORT"},
        {"mqtt://h:1?pt=a&settle=500", "HOST:PORT"},
        {"mqtt://h:1/pt=a&settle=500", "HOST:PORT"},
        {"mqtt://h:0/?pt=a&settle=500", "port"},
        {"mqtt://h:65536/?pt=a&settle=500", "port"},
        {"mqtt://h:1x/?pt=a&settle=500", "port"},
        {"mqtt://h:1/?pt=a&settle", "no value"},
        {"mqtt://h:1/?pt=a&flush=5&settle=500", "unknown"},
        {"mqtt://h:1/?pt=a&pt=b&settle=500", "twice"},
        {"mqtt://h:1/?pt=a%2&settle=500", "percent"},
        {"mqtt://h:1/?pt=a%zz&settle=500", "percent"},
        {"mqtt://h:1/?pt=a%00b&settle=500", "percent"},
        {"mqtt://h:1/?pt=a", "settle"},
        {"mqtt://h:1/?pt=a&settle=99", "settle"},
        {"mqtt://h:1/?pt=a&settle=600001", "settle"},
        {"mqtt://h:1/?pt=a&confirm=hope", "confirm"},
        {"mqtt://h:1/?pt=a&settle=500&keepAlive=-1", "keepAlive"},
        {"mqtt://h:1/?settle=500", "topic"},
        {"mqtt://h:1/?pt=a&confirm=echo", "topic"},
    };
    static char huge[TG_UCX_ADDRESS_MAX_BYTES + 1];
    struct tg_ucx_address a;
    const char *what;
    (void)state;
    for (size_t i = 0; i < sizeof wrong / sizeof wrong[0]; i++) {
        what = "";
        assert_int_equal(tg_ucx_address_parse(tg_bytes_str(wrong[i][0]), &a, &what), TG_EINVAL);
        if (!strstr(what, wrong[i][1]))
            fail_msg("%s: \"%s\", not \"%s\"", wrong[i][0], what, wrong[i][1]);
    }
    memset(huge, 'a', sizeof huge);
    assert_int_equal(tg_ucx_address_parse(tg_bytes(huge, sizeof huge), &a, &what), TG_ETOOBIG);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(settles_after_it_has_left_the_port),
        cmocka_unit_test(time_confirms_no_echo),
        cmocka_unit_test(echoes_in_any_pieces),
        cmocka_unit_test(a_lost_message_holds_up_no_other),
        cmocka_unit_test(bounds),
        cmocka_unit_test(an_address),
        cmocka_unit_test(addresses_that_are_none),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
