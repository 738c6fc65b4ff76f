/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * The client's rules one by one; its stories over time are in test_mqtt_transcript.c. Clauses: MQTT 3.1.1.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include "northbound/mqtt/mqtt_client.h"

#define SLOTS   4
#define B(text) tg_bytes(text, sizeof(text) - 1)

static struct tg_mqtt_client c;
static struct tg_mqtt_slot slots[SLOTS];
static uint8_t memory[70000];
static struct tg_writer out;
static struct tg_mqtt_event event;
static size_t used;

static int input(struct tg_bytes in)
{
    return tg_mqtt_client_input(&c, 0, in, &out, &event, &used);
}

static int connect_as(const char *id, bool clean)
{
    struct tg_mqtt_connect connect = {
        .client_id = tg_bytes_str(id), .clean_session = clean, .keepalive_s = 60};
    return tg_mqtt_client_connect(&c, 0, &connect, &out);
}

static int publish(struct tg_bytes topic, uint8_t qos)
{
    return tg_mqtt_client_publish(&c, 0, topic, B("body"), qos, false, 1, NULL, &out);
}

static int connecting(void **state)
{
    (void)state;
    tg_mqtt_client_init(&c, NULL, slots, SLOTS);
    out = tg_writer_init(memory, sizeof memory);
    assert_int_equal(connect_as("dev1", false), 0);
    out.len = 0;
    return 0;
}

static int connected(void **state)
{
    connecting(state);
    assert_int_equal(input(B("\x20\x02\0\0")), 1);
    assert_int_equal(event.type, TG_MQTT_EVENT_CONNACK);
    return 0;
}

static void expect_broken_off(struct tg_bytes in, int code, const char *reason)
{
    assert_int_equal(input(in), code);
    assert_string_equal(c.reason, reason);
    assert_int_equal(c.state, TG_MQTT_CLOSED);
    assert_int_equal(event.type, TG_MQTT_EVENT_NONE);
    assert_int_equal(input(in), TG_ESTATE);
}

static void before_connect_nothing_goes(void **state)
{
    (void)state;
    tg_mqtt_client_init(&c, NULL, slots, SLOTS);
    out = tg_writer_init(memory, sizeof memory);
    assert_int_equal(publish(B("t"), 0), TG_ESTATE);
    assert_int_equal(tg_mqtt_client_subscribe(&c, 0, &(struct tg_bytes){0}, NULL, 0, &out), TG_ESTATE);
    assert_int_equal(tg_mqtt_client_disconnect(&c, 0, &out), TG_ESTATE);
    assert_int_equal(tg_mqtt_client_resend(&c, 0, B("t"), B(""), false, &out), TG_ESTATE);
    assert_int_equal(tg_mqtt_client_tick(&c, 1 << 30, &out), 0);
    assert_true(tg_mqtt_client_deadline(&c) == INT64_MAX);
    assert_int_equal(tg_mqtt_client_window(&c), 0);
    assert_int_equal(out.len, 0);
}

static void connect_refusals_say_why_and_change_nothing(void **state)
{
    struct tg_mqtt_limits small = {.max_packet_out_bytes = 20};
    (void)state;
    tg_mqtt_client_init(&c, &small, slots, SLOTS);
    out = tg_writer_init(memory, 10);
    assert_int_equal(connect_as("", false), TG_EINVAL);
    assert_string_equal(c.reason, "CONNECT: client id is empty, which needs a clean session");
    assert_int_equal(connect_as("0123456789", false), TG_ETOOBIG);
    assert_string_equal(c.reason, "CONNECT: packet larger than the limit");
    assert_int_equal(connect_as("d", false), TG_EFULL);
    assert_int_equal(c.state, TG_MQTT_IDLE);
    assert_int_equal(out.len, 0);
    out.cap = 15;
    assert_int_equal(connect_as("d", false), 0);
    assert_int_equal(connect_as("d", false), TG_ESTATE); /* [MQTT-3.1.0-2] */
}

static void connack_must_come_first_MQTT_3_2_0_1(void **state)
{
    (void)state;
    assert_int_equal(publish(B("t"), 1), TG_ESTATE);
    expect_broken_off(B("\xd0\0"), TG_EPROTO, "from the server: packet before its CONNACK");
    connecting(state);
    expect_broken_off(B("\x30\3\0\1t"), TG_EPROTO, "from the server: packet before its CONNACK");
}

static void connack_with_a_session_after_a_clean_connect_MQTT_3_2_2_1(void **state)
{
    (void)state;
    tg_mqtt_client_init(&c, NULL, slots, SLOTS);
    assert_int_equal(connect_as("", true), 0);
    expect_broken_off(B("\x20\x02\1\0"), TG_EPROTO,
                      "from the server: CONNACK with a session though a clean one was asked for");
}

static void protocol_errors_end_the_connection_MQTT_4_8_0_1(void **state)
{
    static const struct {
        struct tg_bytes in;
        const char *reason;
    } cases[] = {
        {{(const uint8_t *)"\x20\x02\0\0", 4}, "from the server: second CONNACK"},
        {{(const uint8_t *)"\x36", 1}, "from the server: PUBLISH with QoS 3"},
        {{(const uint8_t *)"\x34\x05\0\1t\0\7", 7},
         "from the server: PUBLISH with QoS 2, which was never granted"},
        {{(const uint8_t *)"\x30\x04\0\2t\0", 6}, "from the server: PUBLISH with a topic that is not valid"},
        {{(const uint8_t *)"\x30\xff\xff\xff\xff", 5},
         "from the server: remaining length of more than four bytes"},
        {{(const uint8_t *)"\x90\x03\0\1\0", 5}, "from the server: SUBACK for a packet id that awaits none"},
        {{(const uint8_t *)"\xb0\x02\0\1", 4}, "from the server: UNSUBACK that no UNSUBSCRIBE asked for"},
        {{(const uint8_t *)"\x62\x02\0\1", 4},
         "from the server: packet of a QoS 2 exchange that never began"},
        {{(const uint8_t *)"\xe0\0", 2}, "from the server: packet that only a client may send"},
        {{(const uint8_t *)"\xd1\0", 2}, "from the server: packet with wrong flags in its fixed header"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        connected(state);
        expect_broken_off(cases[i].in, TG_EPROTO, cases[i].reason);
    }
}

static void oversize_packet_is_refused_by_its_header(void **state)
{
    struct tg_mqtt_limits limits = {.max_packet_in_bytes = 100};
    (void)state;
    expect_broken_off(B("\x30\x80\x80\x40"), TG_ETOOBIG, "from the server: packet larger than the limit");
    tg_mqtt_client_init(&c, &limits, slots, SLOTS);
    out = tg_writer_init(memory, sizeof memory);
    assert_int_equal(connect_as("d", false), 0);
    assert_int_equal(input(B("\x20\x02\0\0\x30\x63")), 1);
    assert_int_equal(input(B("\x30\x62")), 0);
    assert_int_equal(input(B("\x30\x63")), TG_ETOOBIG);
}

static void puback_for_an_unknown_id_is_counted_and_ignored(void **state)
{
    (void)state;
    assert_int_equal(publish(B("t"), 1), 0);
    assert_int_equal(input(B("\x40\x02\0\2")), 0);
    assert_int_equal(used, 4);
    assert_int_equal(c.unknown_acks, 1);
    assert_int_equal(c.state, TG_MQTT_CONNECTED);
    assert_int_equal(input(B("\x40\x02\0\1")), 1);
    assert_int_equal(event.type, TG_MQTT_EVENT_PUBACK);
    assert_int_equal(input(B("\x40\x02\0\1")), 0); /* a second time */
    assert_int_equal(c.unknown_acks, 2);
}

static void pubacks_out_of_order_are_tolerated(void **state)
{
    (void)state;
    for (uint64_t tag = 10; tag < 14; tag++)
        assert_int_equal(tg_mqtt_client_publish(&c, 0, B("t"), B(""), 1, false, tag, NULL, &out), 0);
    for (unsigned i = 0; i < 4; i++) {
        static const uint8_t order[] = {3, 1, 4, 2};
        uint8_t puback[] = {0x40, 2, 0, order[i]};
        assert_int_equal(input(tg_bytes(puback, 4)), 1);
        assert_int_equal(event.tag, 9 + order[i]);
        assert_int_equal(tg_mqtt_client_window(&c), i + 1);
    }
}

static void window_full(void **state)
{
    uint16_t id = 0;
    (void)state;
    for (uint16_t i = 0; i < SLOTS; i++) {
        assert_int_equal(tg_mqtt_client_window(&c), SLOTS - i);
        assert_int_equal(tg_mqtt_client_publish(&c, 0, B("t"), B(""), 1, false, i, &id, &out), 0);
        assert_int_equal(id, i + 1);
    }
    out.len = 0;
    assert_int_equal(publish(B("t"), 1), TG_EFULL);
    assert_int_equal(out.len, 0);
    assert_int_equal(publish(B("t"), 0), 0); /* QoS 0 takes no place */
    assert_int_equal(tg_mqtt_client_in_flight(&c), SLOTS);
}

static void publish_without_room_in_the_writer_changes_nothing(void **state)
{
    struct tg_mqtt_client before = c;
    (void)state;
    out.cap = 10; /* the packet has 11 */
    assert_int_equal(publish(B("t"), 1), TG_EFULL);
    assert_int_equal(out.len, 0);
    assert_memory_equal(&before, &c, sizeof c);
    out.cap = 11;
    assert_int_equal(publish(B("t"), 1), 0);
}

static void publish_refusals_say_why(void **state)
{
    static const struct tg_bytes topics[] = {{(const uint8_t *)"", 0},
                                             {(const uint8_t *)"a/+", 3},
                                             {(const uint8_t *)"#", 1},
                                             {(const uint8_t *)"a\0b", 3},
                                             {(const uint8_t *)"\xff", 1}};
    static uint8_t big[262144 + 4096];
    (void)state;
    for (size_t i = 0; i < sizeof topics / sizeof *topics; i++) {
        assert_int_equal(publish(topics[i], 1), TG_EINVAL);
        assert_string_equal(c.reason, "PUBLISH: topic is not a valid topic name");
    }
    assert_int_equal(publish(B("t"), 2), TG_EINVAL);
    assert_int_equal(
        tg_mqtt_client_publish(&c, 0, B("t"), tg_bytes(big, sizeof big), 1, false, 1, NULL, &out),
        TG_ETOOBIG);
    assert_string_equal(c.reason, "PUBLISH: packet larger than the limit");
    assert_int_equal(out.len, 0);
    assert_int_equal(tg_mqtt_client_in_flight(&c), 0);
    assert_int_equal(c.state, TG_MQTT_CONNECTED);
}

static void suback_codes_in_order_0x80_failed_and_lower_granted(void **state)
{
    const struct tg_bytes filters[] = {B("a"), B("b"), B("c")};
    const uint8_t qos[] = {1, 1, 0};
    (void)state;
    assert_int_equal(tg_mqtt_client_subscribe(&c, 0, filters, qos, 3, &out), 0);
    assert_int_equal(input(B("\x90\x05\0\1\0\x80\0")), 1);
    assert_int_equal(event.type, TG_MQTT_EVENT_SUBACK);
    assert_int_equal(event.code_count, 3);
    assert_memory_equal(event.codes, "\0\x80\0", 3);
    assert_int_equal(event.packet_id, 1);
}

static void suback_wrong_count_MQTT_3_8_4_5(void **state)
{
    const struct tg_bytes filters[] = {B("a"), B("b")};
    const uint8_t qos[] = {1, 1};
    assert_int_equal(tg_mqtt_client_subscribe(&c, 0, filters, qos, 2, &out), 0);
    expect_broken_off(B("\x90\x03\0\1\0"), TG_EPROTO, "from the server: SUBACK without one code per filter");
    connected(state);
    assert_int_equal(tg_mqtt_client_subscribe(&c, 0, filters, qos, 2, &out), 0);
    expect_broken_off(B("\x90\x05\0\1\0\0\0"), TG_EPROTO,
                      "from the server: SUBACK without one code per filter");
}

static void suback_wrong_id_MQTT_3_8_4_2(void **state)
{
    const struct tg_bytes filter = B("a");
    const uint8_t qos = 1;
    (void)state;
    assert_int_equal(publish(B("t"), 1), 0);
    assert_int_equal(tg_mqtt_client_subscribe(&c, 0, &filter, &qos, 1, &out), 0); /* id 2 */
    expect_broken_off(B("\x90\x03\0\1\0"), TG_EPROTO,
                      "from the server: SUBACK for a packet id that awaits none");
}

static void suback_that_grants_more_than_asked(void **state)
{
    const struct tg_bytes filter = B("a");
    const uint8_t qos = 0;
    (void)state;
    assert_int_equal(tg_mqtt_client_subscribe(&c, 0, &filter, &qos, 1, &out), 0);
    expect_broken_off(B("\x90\x03\0\1\1"), TG_EPROTO,
                      "from the server: SUBACK that grants a higher QoS than was asked for");
}

static void subscribe_refusals(void **state)
{
    const struct tg_bytes filter = B("a#");
    const uint8_t qos = 0;
    (void)state;
    assert_int_equal(tg_mqtt_client_subscribe(&c, 0, &filter, &qos, 1, &out), TG_EINVAL);
    assert_string_equal(c.reason, "SUBSCRIBE: topic filter is not valid");
    out.cap = out.len + 5;
    assert_int_equal(tg_mqtt_client_subscribe(&c, 0, &(struct tg_bytes){B("a").data, 1}, &qos, 1, &out),
                     TG_EFULL);
    out.cap = sizeof memory;
    assert_int_equal(tg_mqtt_client_subscribe(&c, 0, &(struct tg_bytes){B("a").data, 1}, &qos, 1, &out), 0);
}

static void acks_that_do_not_all_fit_are_not_begun(void **state)
{
    (void)state;
    assert_int_equal(input(B("\x32\5\0\1t\0\1")), 1);
    assert_int_equal(input(B("\x32\5\0\1t\0\2")), 1);
    assert_int_equal(tg_mqtt_client_ack(&c, 0, 2, &out), 0);
    out.cap = 7;
    assert_int_equal(tg_mqtt_client_ack(&c, 0, 1, &out), TG_EFULL);
    assert_int_equal(out.len, 0);
    out.cap = 8;
    assert_int_equal(tg_mqtt_client_ack(&c, 0, 1, &out), 0);
    assert_memory_equal(memory, "\x40\2\0\1\x40\2\0\2", 8);
}

static void the_same_inbound_id_twice_is_acknowledged_twice(void **state)
{
    (void)state;
    assert_int_equal(input(B("\x32\5\0\1t\0\1")), 1);
    assert_int_equal(input(B("\x3a\5\0\1t\0\1")), 1);
    assert_int_equal(tg_mqtt_client_ack(&c, 0, 1, &out), 0);
    assert_int_equal(tg_mqtt_client_ack(&c, 0, 1, &out), 0);
    assert_int_equal(tg_mqtt_client_ack(&c, 0, 1, &out), 0);
    assert_int_equal(out.len, 8);
}

static void the_unacked_ring_wraps(void **state)
{
    (void)state;
    for (uint16_t id = 1; id <= 3 * TG_MQTT_MAX_UNACKED_IN; id++) {
        uint8_t message[] = {0x32, 5, 0, 1, 't', 0, (uint8_t)id};
        assert_int_equal(input(tg_bytes(message, 7)), 1);
        if (id > 20)
            assert_int_equal(tg_mqtt_client_ack(&c, 0, (uint16_t)(id - 20), &out), 0);
    }
    assert_int_equal(out.len, 4 * (3 * TG_MQTT_MAX_UNACKED_IN - 20));
    assert_int_equal(out.data[out.len - 1], 3 * TG_MQTT_MAX_UNACKED_IN - 20);
}

static void unexpected_pingresp_is_harmless(void **state)
{
    (void)state;
    assert_int_equal(input(B("\xd0\0")), 0);
    assert_int_equal(used, 2);
    assert_int_equal(c.state, TG_MQTT_CONNECTED);
}

static void forget_gives_the_window_back(void **state)
{
    (void)state;
    for (int i = 0; i < SLOTS; i++)
        assert_int_equal(publish(B("t"), 1), 0);
    tg_mqtt_client_forget(&c);
    assert_int_equal(tg_mqtt_client_window(&c), SLOTS);
    assert_int_equal(input(B("\x40\x02\0\1")), 0);
    assert_int_equal(c.unknown_acks, 1);
}

static void id_wrap_at_65535_with_a_long_lived_publish_and_subscribe(void **state)
{
    const struct tg_bytes filter = B("f");
    const uint8_t qos = 1;
    uint32_t expected = 3;
    (void)state;
    assert_int_equal(publish(B("t"), 1), 0);                                      /* holds 1 */
    assert_int_equal(tg_mqtt_client_subscribe(&c, 0, &filter, &qos, 1, &out), 0); /* holds 2 */
    for (uint32_t n = 0; n < 140000; n++) {
        uint16_t id;
        uint8_t puback[4] = {0x40, 2};
        out.len = 0;
        assert_int_equal(tg_mqtt_client_publish(&c, 0, B("t"), B(""), 1, false, n, &id, &out), 0);
        assert_int_equal(id, expected);
        expected = expected == 65535 ? 3 : expected + 1;
        puback[2] = (uint8_t)(id >> 8);
        puback[3] = (uint8_t)id;
        assert_int_equal(input(tg_bytes(puback, 4)), 1);
        assert_int_equal(event.tag, n);
    }
    assert_int_equal(input(B("\x90\x03\0\2\1")), 1);
    assert_int_equal(input(B("\x40\x02\0\1")), 1);
    assert_int_equal(event.tag, 1);
}

/* --- fragmentation --- */

/* What a server says in a session: everything that makes an event, adjacent. */
static const uint8_t dialogue[] = {
    0x20, 2, 0, 0,                                 /* CONNACK */
    0x30, 8, 0, 3, 'a', '/',  'b',  'x', 'y', 'z', /* PUBLISH QoS 0 */
    0x40, 2, 0, 1,                                 /* PUBACK 1 */
    0xd0, 0,                                       /* PINGRESP */
    0x32, 7, 0, 1, 'c', 0x12, 0x34, 'h', 'i',      /* PUBLISH QoS 1 */
    0x90, 3, 0, 3, 1,                              /* SUBACK 3 */
    0x40, 2, 0, 2,                                 /* PUBACK 2 */
    0x3a, 5, 0, 1, 'c', 0x12, 0x35,                /* PUBLISH QoS 1 DUP, empty */
};

struct gathered {
    struct tg_mqtt_event events[8];
    char text[8][16];
    unsigned count;
};

static void gather(struct gathered *g)
{
    const struct tg_bytes filter = B("c");
    const uint8_t qos = 1;
    assert_true(g->count < 8);
    g->events[g->count] = event;
    if (event.topic.len)
        memcpy(g->text[g->count], event.topic.data, event.topic.len);
    if (event.payload.len)
        memcpy(g->text[g->count] + 8, event.payload.data, event.payload.len);
    g->events[g->count].topic.data = g->events[g->count].payload.data = NULL;
    g->count++;
    if (event.type == TG_MQTT_EVENT_CONNACK) {
        assert_int_equal(publish(B("t"), 1), 0);
        assert_int_equal(publish(B("t"), 1), 0);
        assert_int_equal(tg_mqtt_client_subscribe(&c, 0, &filter, &qos, 1, &out), 0);
    }
}

/* Feeds the dialogue cut where `cut(i)` says: `pieces[i]` bytes arrive at a time. */
static void run_dialogue(struct gathered *g, const size_t *pieces, size_t piece_count)
{
    size_t begin = 0, end = 0;
    memset(g, 0, sizeof *g);
    connecting(NULL);
    for (size_t i = 0; i <= piece_count; i++) {
        int r = 0;
        end = i == piece_count ? sizeof dialogue : end + pieces[i];
        assert_true(end <= sizeof dialogue);
        do {
            size_t len = end - begin;
            uint8_t *exact = malloc(len ? len : 1); /* AddressSanitizer sees a read past what has arrived */
            assert_non_null(exact);
            memcpy(exact, dialogue + begin, len);
            r = input(tg_bytes(exact, len));
            assert_in_range(r, 0, 1);
            if (r == 1)
                gather(g);
            free(exact);
            begin += used;
        } while (used > 0);
    }
    assert_int_equal(begin, sizeof dialogue);
}

static void expect_same(const struct gathered *a, const struct gathered *b)
{
    assert_int_equal(a->count, 7);
    assert_int_equal(a->count, b->count);
    assert_memory_equal(a, b, sizeof *a);
}

static void dialogue_cut_at_every_byte_and_in_pieces_of_every_size(void **state)
{
    static struct gathered whole, cut;
    size_t pieces[sizeof dialogue];
    (void)state;
    run_dialogue(&whole, NULL, 0);
    for (size_t at = 0; at <= sizeof dialogue; at++) {
        run_dialogue(&cut, &at, 1);
        expect_same(&whole, &cut);
    }
    for (size_t size = 1; size < sizeof dialogue; size++) {
        for (size_t i = 0; i < sizeof dialogue / size; i++)
            pieces[i] = size;
        run_dialogue(&cut, pieces, sizeof dialogue / size);
        expect_same(&whole, &cut);
    }
}

static void dialogue_in_random_pieces(void **state)
{
    static struct gathered whole, cut;
    uint32_t random = 7;
    (void)state;
    run_dialogue(&whole, NULL, 0);
    for (unsigned round = 0; round < 2000; round++) {
        size_t pieces[sizeof dialogue], count = 0, sum = 0;
        for (;;) {
            random = random * 1664525u + 1013904223u;
            pieces[count] = random >> 20 & 15;
            if (sum + pieces[count] > sizeof dialogue || count + 1 == sizeof dialogue)
                break;
            sum += pieces[count++];
        }
        run_dialogue(&cut, pieces, count);
        expect_same(&whole, &cut);
    }
}

#define CONNECTED(name) cmocka_unit_test_setup(name, connected)

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(before_connect_nothing_goes),
        cmocka_unit_test(connect_refusals_say_why_and_change_nothing),
        cmocka_unit_test_setup(connack_must_come_first_MQTT_3_2_0_1, connecting),
        cmocka_unit_test(connack_with_a_session_after_a_clean_connect_MQTT_3_2_2_1),
        CONNECTED(protocol_errors_end_the_connection_MQTT_4_8_0_1),
        CONNECTED(oversize_packet_is_refused_by_its_header),
        CONNECTED(puback_for_an_unknown_id_is_counted_and_ignored),
        CONNECTED(pubacks_out_of_order_are_tolerated),
        CONNECTED(window_full),
        CONNECTED(publish_without_room_in_the_writer_changes_nothing),
        CONNECTED(publish_refusals_say_why),
        CONNECTED(suback_codes_in_order_0x80_failed_and_lower_granted),
        CONNECTED(suback_wrong_count_MQTT_3_8_4_5),
        CONNECTED(suback_wrong_id_MQTT_3_8_4_2),
        CONNECTED(suback_that_grants_more_than_asked),
        CONNECTED(subscribe_refusals),
        CONNECTED(acks_that_do_not_all_fit_are_not_begun),
        CONNECTED(the_same_inbound_id_twice_is_acknowledged_twice),
        CONNECTED(the_unacked_ring_wraps),
        CONNECTED(unexpected_pingresp_is_harmless),
        CONNECTED(forget_gives_the_window_back),
        CONNECTED(id_wrap_at_65535_with_a_long_lived_publish_and_subscribe),
        cmocka_unit_test(dialogue_cut_at_every_byte_and_in_pieces_of_every_size),
        cmocka_unit_test(dialogue_in_random_pieces),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
