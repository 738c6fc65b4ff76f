/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * Netlink messages as a kernel sends them, built here by hand from linux/rtnetlink.h, and cut at every byte.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <arpa/inet.h>
#include <errno.h>
#include <linux/if.h>
#include <linux/netlink.h>
#include <linux/rtnetlink.h>

#include "core/net/route_message.h"

static uint8_t memory[4096];
static struct tg_writer w;

static void begin(void)
{
    w = tg_writer_init(memory, sizeof memory);
}

static size_t open_message(uint16_t type, uint32_t sequence, const void *body, size_t len)
{
    const struct nlmsghdr head = {.nlmsg_type = type, .nlmsg_seq = sequence};
    size_t at = w.len;
    tg_write_bytes(&w, tg_bytes(&head, sizeof head));
    tg_write_bytes(&w, tg_bytes(body, len));
    return at;
}

static void pad(void)
{
    while (w.len % 4)
        tg_write_u8(&w, 0);
}

static void attribute(uint16_t type, const void *value, size_t len)
{
    const struct rtattr a = {.rta_len = (unsigned short)(sizeof a + len), .rta_type = type};
    pad();
    tg_write_bytes(&w, tg_bytes(&a, sizeof a));
    tg_write_bytes(&w, tg_bytes(value, len));
}

static void close_message(size_t at)
{
    uint32_t len = (uint32_t)(w.len - at);
    memcpy(memory + at, &len, sizeof len);
    pad();
}

static struct tg_route_message only(void)
{
    struct tg_bytes in = tg_bytes(w.data, w.len);
    struct tg_route_message m;
    assert_int_equal(tg_route_next(&in, &m), 1);
    assert_int_equal(tg_route_next(&in, &m), 0);
    return m;
}

static void write_link(uint16_t type, uint32_t flags)
{
    const struct ifinfomsg info = {.ifi_index = 7, .ifi_flags = flags};
    size_t at = open_message(type, 0, &info, sizeof info);
    attribute(IFLA_MTU, (uint8_t[]){0, 0, 5, 0}, 4);
    attribute(IFLA_IFNAME, "wwan0", 6);
    close_message(at);
}

static void links(void **state)
{
    struct tg_route_message m;
    (void)state;
    begin();
    write_link(RTM_NEWLINK, IFF_UP | IFF_RUNNING | IFF_LOWER_UP);
    m = only();
    assert_int_equal(m.kind, TG_ROUTE_LINK);
    assert_int_equal(m.link, 7);
    assert_string_equal(m.name, "wwan0");
    assert_true(m.is_up && m.has_carrier && !m.gone && !m.is_loopback);
    begin();
    write_link(RTM_DELLINK, IFF_UP);
    m = only();
    assert_true(m.gone && m.is_up && !m.has_carrier);
}

static void write_address(uint16_t type, uint8_t family, uint8_t flags, bool peer)
{
    const struct ifaddrmsg info = {.ifa_family = family, .ifa_index = 3, .ifa_flags = flags};
    uint8_t bytes[16];
    size_t at = open_message(type, 0, &info, sizeof info);
    (void)inet_pton(family, family == AF_INET ? "10.9.0.2" : "2001:db8::2", bytes);
    if (peer) {
        uint8_t other[4] = {10, 9, 0, 1};
        attribute(IFA_ADDRESS, other, 4);
        attribute(IFA_LOCAL, bytes, 4);
    } else {
        attribute(IFA_ADDRESS, bytes, family == AF_INET ? 4 : 16);
    }
    close_message(at);
}

static void addresses(void **state)
{
    struct tg_route_message m;
    (void)state;
    begin();
    write_address(RTM_DELADDR, AF_INET, 0, true);
    m = only();
    assert_int_equal(m.kind, TG_ROUTE_ADDRESS);
    assert_true(m.gone);
    assert_int_equal(m.address.family, 4);
    assert_memory_equal(m.address.bytes, ((uint8_t[]){10, 9, 0, 2}), 4); /* ours, not the peer's */
    begin();
    write_address(RTM_NEWADDR, AF_INET6, IFA_F_TENTATIVE, false);
    m = only();
    assert_int_equal(m.address.family, 6);
    assert_true(m.is_tentative);
    begin();
    write_address(RTM_NEWADDR, AF_INET6, IFA_F_TENTATIVE | IFA_F_OPTIMISTIC, false);
    m = only();
    assert_false(m.is_tentative);
}

static void write_route(uint8_t type, uint8_t bits)
{
    const struct rtmsg info = {.rtm_family = AF_INET, .rtm_dst_len = bits, .rtm_type = type};
    size_t at = open_message(RTM_NEWROUTE, 42, &info, sizeof info);
    attribute(RTA_OIF, &(uint32_t){7}, 4);
    attribute(RTA_GATEWAY, (uint8_t[]){10, 9, 0, 1}, 4);
    attribute(RTA_PREFSRC, (uint8_t[]){10, 9, 0, 2}, 4);
    close_message(at);
}

static void routes(void **state)
{
    struct tg_route_message m;
    (void)state;
    begin();
    write_route(RTN_UNICAST, 0);
    m = only();
    assert_int_equal(m.kind, TG_ROUTE_ROUTE);
    assert_int_equal(m.sequence, 42);
    assert_true(m.is_default && m.is_usable && !m.is_local);
    assert_int_equal(m.link, 7);
    assert_memory_equal(m.address.bytes, ((uint8_t[]){10, 9, 0, 1}), 4);
    assert_memory_equal(m.source.bytes, ((uint8_t[]){10, 9, 0, 2}), 4);
    begin();
    write_route(RTN_BLACKHOLE, 8);
    m = only();
    assert_false(m.is_usable || m.is_default);
    begin();
    write_route(RTN_LOCAL, 32);
    m = only();
    assert_true(m.is_local);
}

static void errors(void **state)
{
    const struct nlmsgerr body = {.error = -ENETUNREACH};
    struct tg_route_message m;
    size_t at;
    (void)state;
    begin();
    at = open_message(NLMSG_ERROR, 9, &body, sizeof body);
    close_message(at);
    m = only();
    assert_int_equal(m.kind, TG_ROUTE_ERROR);
    assert_int_equal(m.error, ENETUNREACH);
    assert_int_equal(m.sequence, 9);
}

/* A cut message is no message, whatever byte it ends at; several in one buffer are told apart. */
static void cut_and_joined(void **state)
{
    struct tg_route_message m;
    struct tg_bytes in;
    size_t first;
    int count = 0;
    (void)state;
    begin();
    write_link(RTM_NEWLINK, IFF_UP);
    first = w.len;
    write_route(RTN_UNICAST, 0);
    in = tg_bytes(w.data, w.len);
    while (tg_route_next(&in, &m) > 0)
        count++;
    assert_int_equal(count, 2);
    for (size_t len = 1; len < w.len; len++) {
        int rc;
        count = 0;
        in = tg_bytes(w.data, len);
        while ((rc = tg_route_next(&in, &m)) > 0)
            count++;
        if (len == first || len + 1 == first ||
            len + 2 == first) { /* the padding behind the last is not needed */
            assert_int_equal(rc, 0);
            assert_int_equal(count, 1);
        } else {
            assert_int_equal(rc, TG_EPROTO);
            assert_int_equal(count, len > first);
        }
    }
}

static void lengths_that_lie(void **state)
{
    struct tg_route_message m;
    struct tg_bytes in;
    (void)state;
    for (uint16_t len = 0; len < 4; len++) { /* an attribute that does not get on */
        begin();
        write_link(RTM_NEWLINK, IFF_UP);
        memcpy(memory + 32, &len, sizeof len);
        in = tg_bytes(w.data, w.len);
        assert_int_equal(tg_route_next(&in, &m), TG_EPROTO);
    }
    for (uint32_t len = 0; len < sizeof(struct nlmsghdr); len++) {
        begin();
        write_link(RTM_NEWLINK, IFF_UP);
        memcpy(memory, &len, sizeof len);
        in = tg_bytes(w.data, w.len);
        assert_int_equal(tg_route_next(&in, &m), TG_EPROTO);
    }
}

static void questions(void **state)
{
    const struct tg_ip v4 = {4, {10, 9, 0, 1}}, v6 = {6, {0x20, 1}};
    struct nlmsghdr head;
    (void)state;
    begin();
    tg_route_ask_way(&w, &v4, 5);
    memcpy(&head, memory, sizeof head);
    assert_int_equal(head.nlmsg_len, w.len);
    assert_int_equal(head.nlmsg_seq, 5);
    begin();
    tg_route_ask_way(&w, &v6, 6);
    memcpy(&head, memory, sizeof head);
    assert_int_equal(head.nlmsg_len, w.len);
    assert_true(w.len <= TG_ROUTE_ASK_BYTES);
}

static void special_addresses(void **state)
{
    const struct tg_ip one = {6, {[15] = 1}}, mapped = {6, {[10] = 0xff, [11] = 0xff, [12] = 127, [15] = 3}},
                       v4 = {4, {127, 0, 0, 3}}, other = {4, {10, 0, 0, 1}},
                       local = {6, {0xfe, 0x80, [15] = 1}}, none = {0};
    (void)state;
    assert_true(tg_ip_is_loopback(&one) && tg_ip_is_loopback(&mapped) && tg_ip_is_loopback(&v4));
    assert_false(tg_ip_is_loopback(&other) || tg_ip_is_loopback(&local) || tg_ip_is_loopback(&none));
    assert_true(tg_ip_is_link_local(&local));
    assert_false(tg_ip_is_link_local(&one) || tg_ip_is_link_local(&other));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(links),     cmocka_unit_test(addresses),         cmocka_unit_test(routes),
        cmocka_unit_test(errors),    cmocka_unit_test(cut_and_joined),    cmocka_unit_test(lengths_that_lie),
        cmocka_unit_test(questions), cmocka_unit_test(special_addresses),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
