/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * Stories of one MQTT session with a virtual clock: the expected trace is the assertion. Clauses: MQTT 3.1.1.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include "support/mqtt_tale.h"

/* A connected client, the opening not told. */
static struct tg_tale *connected(bool clean, uint16_t keepalive_s)
{
    static struct tg_tale tale;
    tg_tale_begin(&tale, NULL);
    tg_tale_connect(&tale, clean, keepalive_s);
    tg_tale_connack(&tale, false, 0);
    tale.text_len = 0;
    return &tale;
}

static void link_lost_session_present_resends_same_ids_in_order_with_dup_before_new_MQTT_4_4_0_1(void **state)
{
    struct tg_tale *t = connected(false, 60);
    (void)state;
    for (uint64_t tag = 1; tag <= 4; tag++)
        assert_int_equal(tg_tale_publish(t, tag), 0);
    tg_tale_puback(t, 1);
    tg_tale_until(t, 500);
    tg_tale_lose_link(t);
    assert_int_equal(tg_mqtt_client_window(&t->client), 0);
    tg_tale_until(t, 1500);
    tg_tale_connect(t, false, 60);
    tg_tale_publish(t, 5); /* not before CONNACK */
    tg_tale_connack(t, true, 0);
    tg_tale_publish(t, 5); /* and not before the resends */
    tg_tale_resend_all(t);
    tg_tale_publish(t, 5);
    for (uint16_t id = 2; id <= 5; id++)
        tg_tale_puback(t, id);
    tg_tale_expect(t, "0 C> PUBLISH t id=1 qos=1 dup=0 retain=0 '1'\n"
                      "0 C> PUBLISH t id=2 qos=1 dup=0 retain=0 '2'\n"
                      "0 C> PUBLISH t id=3 qos=1 dup=0 retain=0 '3'\n"
                      "0 C> PUBLISH t id=4 qos=1 dup=0 retain=0 '4'\n"
                      "0 S> PUBACK id=1\n"
                      "0 ! done 1\n"
                      "500 ! link lost\n"
                      "1500 C> CONNECT dev1 clean=0 keepalive=60\n"
                      "1500 ! STATE\n"
                      "1500 ! CONNACK rc=0 session=1\n"
                      "1500 ! FULL\n"
                      "1500 C> PUBLISH t id=2 qos=1 dup=1 retain=0 '2'\n"
                      "1500 C> PUBLISH t id=3 qos=1 dup=1 retain=0 '3'\n"
                      "1500 C> PUBLISH t id=4 qos=1 dup=1 retain=0 '4'\n"
                      "1500 C> PUBLISH t id=5 qos=1 dup=0 retain=0 '5'\n"
                      "1500 S> PUBACK id=2\n1500 ! done 2\n"
                      "1500 S> PUBACK id=3\n1500 ! done 3\n"
                      "1500 S> PUBACK id=4\n1500 ! done 4\n"
                      "1500 S> PUBACK id=5\n1500 ! done 5\n");
}

static void session_absent_resends_same_ids_without_dup(void **state)
{
    struct tg_tale *t = connected(false, 60);
    (void)state;
    tg_tale_publish(t, 1);
    tg_tale_publish(t, 2);
    tg_tale_lose_link(t);
    tg_tale_connect(t, false, 60);
    tg_tale_connack(t, false, 0);
    assert_int_equal(tg_tale_subscribe(t, "c", 1), 0); /* resubscribing need not wait for the resends */
    tg_tale_resend_all(t);
    tg_tale_expect(t, "0 C> PUBLISH t id=1 qos=1 dup=0 retain=0 '1'\n"
                      "0 C> PUBLISH t id=2 qos=1 dup=0 retain=0 '2'\n"
                      "0 ! link lost\n"
                      "0 C> CONNECT dev1 clean=0 keepalive=60\n"
                      "0 ! CONNACK rc=0 session=0\n"
                      "0 C> SUBSCRIBE id=3 c qos=1\n"
                      "0 C> PUBLISH t id=1 qos=1 dup=0 retain=0 '1'\n"
                      "0 C> PUBLISH t id=2 qos=1 dup=0 retain=0 '2'\n");
}

static void link_lost_twice_while_resending_keeps_the_order(void **state)
{
    struct tg_tale *t = connected(false, 60);
    uint64_t tag;
    (void)state;
    for (tag = 1; tag <= 3; tag++)
        tg_tale_publish(t, tag);
    tg_tale_lose_link(t);
    tg_tale_connect(t, false, 60);
    tg_tale_connack(t, true, 0);
    assert_int_equal(tg_mqtt_client_resend_next(&t->client, &tag), 1);
    assert_int_equal(tag, 1);
    assert_int_equal(
        tg_mqtt_client_resend(&t->client, 0, tg_bytes_str("t"), tg_bytes_str("1"), false, &t->writer), 0);
    t->writer.len = t->text_len = 0;
    tg_tale_puback(t, 1);
    tg_tale_puback(t, 2); /* not sent on this connection: not believed */
    assert_int_equal(t->client.unknown_acks, 1);
    tg_tale_lose_link(t);
    assert_int_equal(tg_mqtt_client_resend_next(&t->client, &tag), 0);
    tg_tale_connect(t, false, 60);
    tg_tale_connack(t, true, 0);
    tg_tale_resend_all(t);
    tg_tale_expect(t, "0 S> PUBACK id=1\n0 ! done 1\n"
                      "0 S> PUBACK id=2\n"
                      "0 ! link lost\n"
                      "0 C> CONNECT dev1 clean=0 keepalive=60\n"
                      "0 ! CONNACK rc=0 session=1\n"
                      "0 C> PUBLISH t id=2 qos=1 dup=1 retain=0 '2'\n"
                      "0 C> PUBLISH t id=3 qos=1 dup=1 retain=0 '3'\n");
}

static void nothing_is_resent_on_a_timer_ack_timeout_ends_the_connection(void **state)
{
    struct tg_tale *t = connected(false, 0);
    (void)state;
    tg_tale_publish(t, 1);
    tg_tale_until(t, 40000);
    tg_tale_publish(t, 2);
    tg_tale_until(t, 50000);
    tg_tale_puback(t, 1); /* now it is the second one's turn: its wait begins here */
    tg_tale_until(t, 200000);
    tg_tale_expect(t, "0 C> PUBLISH t id=1 qos=1 dup=0 retain=0 '1'\n"
                      "40000 C> PUBLISH t id=2 qos=1 dup=0 retain=0 '2'\n"
                      "50000 S> PUBACK id=1\n50000 ! done 1\n"
                      "110000 ! TIMEOUT: no PUBACK within 60000 ms\n");
    assert_int_equal(t->client.state, TG_MQTT_CLOSED);
    assert_int_equal(tg_mqtt_client_in_flight(&t->client), 1);
}

static void a_message_gone_from_the_store_is_dropped_from_the_resends(void **state)
{
    struct tg_tale *t = connected(false, 0);
    (void)state;
    for (uint64_t tag = 1; tag <= 3; tag++)
        tg_tale_publish(t, tag);
    tg_tale_lose_link(t);
    assert_int_equal(tg_mqtt_client_resend_drop(&t->client, 0), TG_ESTATE);
    tg_tale_connect(t, false, 0);
    tg_tale_connack(t, true, 0);
    t->text_len = 0;
    assert_int_equal(tg_mqtt_client_resend_drop(&t->client, 0), 0);
    tg_tale_resend_all(t);
    assert_int_equal(tg_mqtt_client_resend_drop(&t->client, 0), TG_ESTATE);
    tg_tale_puback(t, 1);
    tg_tale_puback(t, 2);
    assert_int_equal(t->client.unknown_acks, 1);
    assert_int_equal(tg_mqtt_client_window(&t->client), TG_TALE_SLOTS - 1);
    tg_tale_expect(t, "0 C> PUBLISH t id=2 qos=1 dup=1 retain=0 '2'\n"
                      "0 C> PUBLISH t id=3 qos=1 dup=1 retain=0 '3'\n"
                      "0 S> PUBACK id=1\n"
                      "0 S> PUBACK id=2\n0 ! done 2\n");
}

/* --- keepalive --- */

static void pingreq_goes_before_the_keepalive_ends_counting_sent_packets_MQTT_3_1_2_23(void **state)
{
    static const uint8_t pingresp[] = {0xd0, 0};
    struct tg_tale *t = connected(false, 60);
    (void)state;
    tg_tale_until(t, 50000);
    tg_tale_server(t, pingresp, 2);
    tg_tale_until(t, 70000);
    tg_tale_message(t, 0x32, 9, "x");
    tg_tale_until(t, 80000);
    tg_tale_ack(t, 9); /* a PUBACK is a packet sent: the next PINGREQ moves */
    tg_tale_until(t, 120500);
    tg_tale_server(t, pingresp, 2);
    tg_tale_expect(t, "50000 C> PINGREQ\n"
                      "70000 ! message id=9 qos=1 dup=0 c 'x'\n"
                      "80000 ! ack 9\n"
                      "80000 C> PUBACK id=9\n"
                      "120000 C> PINGREQ\n");
}

static void pingreq_goes_also_while_qos_0_publishes_hide_a_dead_link(void **state)
{
    struct tg_tale *t = connected(false, 60);
    int r = 0;
    (void)state;
    for (int64_t at = 1000; r == 0 && at < 200000; at += 1000) {
        r = tg_tale_until(t, at);
        if (r == 0) {
            assert_int_equal(tg_mqtt_client_publish(&t->client, at, tg_bytes_str("t"), tg_bytes_str(""), 0,
                                                    false, 0, NULL, &t->writer),
                             0);
            t->writer.len = 0;
        }
    }
    tg_tale_expect(t, "50000 C> PINGREQ\n"
                      "70000 ! TIMEOUT: no PINGRESP within 20000 ms\n");
}

static void dead_link_is_found_within_one_and_a_half_keepalives(void **state)
{
    static const uint16_t keepalives[] = {1, 2, 5, 30, 60, 180, 1177, 65535};
    struct tg_mqtt_limits slow = {.ping_timeout_ms = UINT32_MAX};
    (void)state;
    for (size_t i = 0; i < sizeof keepalives / sizeof *keepalives; i++) {
        static struct tg_tale t;
        int64_t keepalive_ms = keepalives[i] * 1000;
        int64_t ping_at;
        tg_tale_begin(&t, &slow);
        tg_tale_connect(&t, false, keepalives[i]);
        tg_tale_connack(&t, false, 0);
        ping_at = tg_mqtt_client_deadline(&t.client);
        assert_true(ping_at < keepalive_ms && ping_at >= keepalive_ms / 2);
        assert_int_equal(tg_tale_until(&t, 2 * keepalive_ms), TG_ETIMEOUT);
        assert_true(t.now_ms > keepalive_ms && t.now_ms <= keepalive_ms + keepalive_ms / 2);
    }
}

static void a_slow_large_message_does_not_end_the_connection_and_pings_go_on(void **state)
{
    struct tg_tale *t = connected(false, 60);
    uint8_t packet[1 + 3 + 40000] = {0x30, 0xc0, 0xb8, 0x02, 0, 1, 'c'}; /* remaining length 40000 */
    struct tg_mqtt_event event;
    size_t used, len = 10;
    (void)state;
    for (int64_t at = 5000; at < 400000; at += 5000, len += 100) { /* 100 bytes each 5 s */
        assert_int_equal(tg_tale_until(t, at), 0);
        assert_int_equal(
            tg_mqtt_client_input(&t->client, at, tg_bytes(packet, len), &t->writer, &event, &used), 0);
        assert_int_equal(used, 0);
    }
    /* The message stops in the middle: that is a dead link. */
    assert_int_equal(tg_tale_until(t, 800000), TG_ETIMEOUT);
    tg_tale_expect(t, "50000 C> PINGREQ\n100000 C> PINGREQ\n150000 C> PINGREQ\n200000 C> PINGREQ\n"
                      "250000 C> PINGREQ\n300000 C> PINGREQ\n350000 C> PINGREQ\n400000 C> PINGREQ\n"
                      "415000 ! TIMEOUT: no PINGRESP within 20000 ms\n");
}

static void the_next_message_in_pieces_counts_from_its_own_first_byte(void **state)
{
    static const uint8_t bytes[] = {0x30, 9,   0,    1, 'c', '1', '2', '3', '4',
                                    '5',  '6', 0x30, 9, 0,   1,   'c', '1'};
    struct tg_tale *t = connected(false, 60);
    (void)state;
    tg_tale_until(t, 50000);
    assert_int_equal(tg_tale_server(t, bytes, 10), 0);
    tg_tale_until(t, 60000);
    tg_tale_server(t, bytes, 11);
    assert_int_equal(tg_tale_server(t, bytes + 11, 3), 0);
    tg_tale_until(t, 75000);
    assert_int_equal(tg_tale_server(t, bytes + 11, 4), 0);
    tg_tale_until(t, 200000);
    tg_tale_expect(t, "50000 C> PINGREQ\n"
                      "60000 ! message id=0 qos=0 dup=0 c '123456'\n"
                      "95000 ! TIMEOUT: no PINGRESP within 20000 ms\n");
}

static void a_pingreq_without_room_goes_later_and_a_stuck_writer_is_a_dead_link(void **state)
{
    struct tg_tale *t = connected(false, 60);
    (void)state;
    t->writer.cap = 1;
    assert_int_equal(tg_tale_until(t, 70000), 0); /* does not spin at 50000 */
    t->writer.cap = sizeof t->out;
    assert_int_equal(tg_mqtt_client_tick(&t->client, t->now_ms, &t->writer), 0);
    assert_int_equal(tg_tale_until(t, 71000), 0);
    assert_int_equal(t->writer.len, 2);
    tg_tale_server(t, "\xd0", 2); /* PINGRESP */
    t->writer.cap = 0;
    assert_int_equal(tg_tale_until(t, 300000), TG_ETIMEOUT);
    tg_tale_expect(t, "71000 C> PINGREQ\n161000 ! TIMEOUT: nothing was received for 90000 ms\n");
}

static void keepalive_0_means_no_pings(void **state)
{
    struct tg_tale *t = connected(false, 0);
    (void)state;
    assert_true(tg_mqtt_client_deadline(&t->client) == INT64_MAX);
    assert_int_equal(tg_mqtt_client_tick(&t->client, 1000000000, &t->writer), 0);
    assert_int_equal(t->writer.len, 0);
}

/* --- the opening --- */

static void connack_that_never_comes(void **state)
{
    static struct tg_tale t;
    (void)state;
    tg_tale_begin(&t, NULL);
    tg_tale_connect(&t, false, 60);
    tg_tale_until(&t, 100000);
    assert_int_equal(t.client.state, TG_MQTT_CLOSED);
    tg_tale_connect(&t, false, 60);
    tg_tale_expect(&t, "0 C> CONNECT dev1 clean=0 keepalive=60\n"
                       "30000 ! TIMEOUT: no CONNACK within 30000 ms\n"
                       "30000 C> CONNECT dev1 clean=0 keepalive=60\n");
}

static void connack_twice(void **state)
{
    struct tg_tale *t = connected(false, 60);
    (void)state;
    tg_tale_connack(t, false, 0);
    tg_tale_expect(t, "0 ! PROTO: from the server: second CONNACK\n");
    assert_int_equal(t->client.state, TG_MQTT_CLOSED);
}

static void connack_refusals_are_data_rc_1_to_5_and_aws_7_and_clearblade_13(void **state)
{
    static const uint8_t codes[] = {1, 2, 3, 4, 5, 7, 13, 255};
    (void)state;
    for (size_t i = 0; i < sizeof codes; i++) {
        static struct tg_tale t;
        char expected[64];
        tg_tale_begin(&t, NULL);
        tg_tale_connect(&t, false, 60);
        t.text_len = 0;
        tg_tale_connack(&t, false, codes[i]);
        snprintf(expected, sizeof expected, "0 ! CONNACK rc=%u session=0\n", codes[i]);
        tg_tale_expect(&t, expected);
        assert_int_equal(t.client.state, TG_MQTT_CLOSED);
        assert_true(tg_mqtt_client_deadline(&t.client) == INT64_MAX);
    }
}

/* --- subscriptions and messages --- */

static void messages_may_precede_the_suback(void **state)
{
    struct tg_tale *t = connected(false, 60);
    (void)state;
    tg_tale_subscribe(t, "c", 1);
    tg_tale_subscribe(t, "d", 1); /* one at a time */
    tg_tale_message(t, 0x30, 0, "early");
    tg_tale_server(t, "\x90\x03\x00\x01\x00", 5); /* granted 0 where 1 was asked for */
    tg_tale_subscribe(t, "d", 0);
    tg_tale_server(t, "\x90\x03\x00\x02\x80", 5);
    tg_tale_expect(t, "0 C> SUBSCRIBE id=1 c qos=1\n"
                      "0 ! BUSY\n"
                      "0 ! message id=0 qos=0 dup=0 c 'early'\n"
                      "0 ! SUBACK id=1 code=0\n"
                      "0 C> SUBSCRIBE id=2 d qos=0\n"
                      "0 ! SUBACK id=2 code=0x80\n");
}

static void publishes_need_not_wait_for_the_suback(void **state)
{
    struct tg_tale *t = connected(false, 60);
    (void)state;
    tg_tale_subscribe(t, "c", 1);
    tg_tale_publish(t, 1);
    tg_tale_puback(t, 2);
    tg_tale_server(t, "\x90\x03\x00\x01\x01", 5);
    tg_tale_expect(t, "0 C> SUBSCRIBE id=1 c qos=1\n"
                      "0 C> PUBLISH t id=2 qos=1 dup=0 retain=0 '1'\n"
                      "0 S> PUBACK id=2\n0 ! done 1\n"
                      "0 ! SUBACK id=1 code=0x1\n");
}

static void subscribe_without_suback_ends_the_connection_and_goes_again_after_it(void **state)
{
    struct tg_tale *t = connected(false, 0);
    (void)state;
    tg_tale_subscribe(t, "c", 1);
    tg_tale_until(t, 100000);
    tg_tale_connect(t, false, 0);
    tg_tale_connack(t, true, 0);
    tg_tale_subscribe(t, "c", 1);
    tg_tale_expect(t, "0 C> SUBSCRIBE id=1 c qos=1\n"
                      "60000 ! TIMEOUT: no SUBACK within 60000 ms\n"
                      "60000 C> CONNECT dev1 clean=0 keepalive=0\n"
                      "60000 ! CONNACK rc=0 session=1\n"
                      "60000 C> SUBSCRIBE id=2 c qos=1\n");
}

static void inbound_qos_1_is_acknowledged_in_order_of_receipt_MQTT_4_6_0_2(void **state)
{
    struct tg_tale *t = connected(false, 60);
    (void)state;
    tg_tale_message(t, 0x32, 7, "a");
    tg_tale_message(t, 0x32, 3, "b");
    tg_tale_message(t, 0x30, 0, "c");
    tg_tale_message(t, 0x32, 5, "d");
    tg_tale_ack(t, 3); /* its turn has not come */
    tg_tale_ack(t, 3);
    tg_tale_ack(t, 99);
    tg_tale_ack(t, 7);
    tg_tale_ack(t, 5);
    tg_tale_ack(t, 5);
    tg_tale_expect(t, "0 ! message id=7 qos=1 dup=0 c 'a'\n"
                      "0 ! message id=3 qos=1 dup=0 c 'b'\n"
                      "0 ! message id=0 qos=0 dup=0 c 'c'\n"
                      "0 ! message id=5 qos=1 dup=0 c 'd'\n"
                      "0 ! ack 3\n0 ! ack 3\n0 ! ack 99\n"
                      "0 ! ack 7\n"
                      "0 C> PUBACK id=7\n"
                      "0 C> PUBACK id=3\n"
                      "0 ! ack 5\n"
                      "0 C> PUBACK id=5\n"
                      "0 ! ack 5\n");
}

static void redelivery_after_a_lost_link_comes_as_a_message_again_dup_is_no_filter(void **state)
{
    struct tg_tale *t = connected(false, 60);
    (void)state;
    tg_tale_message(t, 0x32, 1, "cmd");
    tg_tale_lose_link(t);
    tg_tale_ack(t, 1); /* owed on the old connection: nothing is written */
    tg_tale_connect(t, false, 60);
    tg_tale_connack(t, true, 0);
    tg_tale_message(t, 0x3a, 1, "cmd");
    tg_tale_ack(t, 1);
    tg_tale_expect(t, "0 ! message id=1 qos=1 dup=0 c 'cmd'\n"
                      "0 ! link lost\n"
                      "0 ! ack 1\n"
                      "0 C> CONNECT dev1 clean=0 keepalive=60\n"
                      "0 ! CONNACK rc=0 session=1\n"
                      "0 ! message id=1 qos=1 dup=1 c 'cmd'\n"
                      "0 ! ack 1\n"
                      "0 C> PUBACK id=1\n");
}

static void a_slow_owner_holds_the_server_back_and_nothing_times_out_meanwhile(void **state)
{
    struct tg_tale *t = connected(false, 60);
    static const uint8_t one_more[] = {0x32, 6, 0, 1, 'c', 0, 200, 'x', 0x40, 2, 0, 1};
    (void)state;
    tg_tale_publish(t, 77);
    for (uint16_t id = 1; id <= TG_MQTT_MAX_UNACKED_IN; id++)
        tg_tale_message(t, 0x32, id, "");
    t->text_len = 0;
    assert_int_equal(tg_tale_server(t, one_more, sizeof one_more), TG_EFULL);
    assert_int_equal(tg_tale_until(t, 200000), 0); /* pings go on, for the server's sake */
    tg_tale_ack(t, 1);
    assert_int_equal(tg_tale_server(t, one_more, sizeof one_more), 1);
    tg_tale_expect(t, "0 ! FULL\n"
                      "50000 C> PINGREQ\n100000 C> PINGREQ\n150000 C> PINGREQ\n200000 C> PINGREQ\n"
                      "200000 ! ack 1\n"
                      "200000 C> PUBACK id=1\n"
                      "200000 ! message id=200 qos=1 dup=0 c 'x'\n"
                      "200000 ! done 77\n");
    assert_int_equal(tg_tale_until(t, 220000), TG_ETIMEOUT); /* and then PINGRESP is awaited as ever */
}

static void orderly_end(void **state)
{
    struct tg_tale *t = connected(false, 60);
    (void)state;
    tg_tale_publish(t, 1);
    assert_int_equal(tg_mqtt_client_disconnect(&t->client, 0, &t->writer), 0);
    assert_int_equal(t->client.state, TG_MQTT_CLOSED);
    assert_int_equal(tg_mqtt_client_in_flight(&t->client), 1);
    tg_tale_ack(t, 1); /* tells what was written */
    tg_tale_server(t, "\x40\x02\x00\x01", 4);
    tg_tale_expect(t, "0 C> PUBLISH t id=1 qos=1 dup=0 retain=0 '1'\n"
                      "0 ! ack 1\n"
                      "0 C> DISCONNECT\n"
                      "0 ! STATE\n");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(
            link_lost_session_present_resends_same_ids_in_order_with_dup_before_new_MQTT_4_4_0_1),
        cmocka_unit_test(session_absent_resends_same_ids_without_dup),
        cmocka_unit_test(link_lost_twice_while_resending_keeps_the_order),
        cmocka_unit_test(nothing_is_resent_on_a_timer_ack_timeout_ends_the_connection),
        cmocka_unit_test(a_message_gone_from_the_store_is_dropped_from_the_resends),
        cmocka_unit_test(pingreq_goes_before_the_keepalive_ends_counting_sent_packets_MQTT_3_1_2_23),
        cmocka_unit_test(pingreq_goes_also_while_qos_0_publishes_hide_a_dead_link),
        cmocka_unit_test(dead_link_is_found_within_one_and_a_half_keepalives),
        cmocka_unit_test(a_slow_large_message_does_not_end_the_connection_and_pings_go_on),
        cmocka_unit_test(the_next_message_in_pieces_counts_from_its_own_first_byte),
        cmocka_unit_test(a_pingreq_without_room_goes_later_and_a_stuck_writer_is_a_dead_link),
        cmocka_unit_test(keepalive_0_means_no_pings),
        cmocka_unit_test(connack_that_never_comes),
        cmocka_unit_test(connack_twice),
        cmocka_unit_test(connack_refusals_are_data_rc_1_to_5_and_aws_7_and_clearblade_13),
        cmocka_unit_test(messages_may_precede_the_suback),
        cmocka_unit_test(publishes_need_not_wait_for_the_suback),
        cmocka_unit_test(subscribe_without_suback_ends_the_connection_and_goes_again_after_it),
        cmocka_unit_test(inbound_qos_1_is_acknowledged_in_order_of_receipt_MQTT_4_6_0_2),
        cmocka_unit_test(redelivery_after_a_lost_link_comes_as_a_message_again_dup_is_no_filter),
        cmocka_unit_test(a_slow_owner_holds_the_server_back_and_nothing_times_out_meanwhile),
        cmocka_unit_test(orderly_end),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
