/* SPDX-License-Identifier: GPL-2.0-or-later */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include "northbound/mqtt/mqtt_packet.h"

#define NO_LIMIT UINT32_MAX
#define B(text)  tg_bytes(text, sizeof(text) - 1)

static uint8_t memory[1 << 16];
static const char *flaw;

static struct tg_writer fresh(size_t cap)
{
    assert_true(cap <= sizeof memory);
    memset(memory, 0xee, sizeof memory);
    return tg_writer_init(memory, cap);
}

static void expect_bytes(const struct tg_writer *w, struct tg_bytes expected)
{
    assert_false(w->failed);
    assert_int_equal(w->len, expected.len);
    assert_memory_equal(w->data, expected.data, expected.len);
}

static void connect_smallest_MQTT_3_1(void **state)
{
    struct tg_mqtt_connect c = {.clean_session = true, .will_qos = 2, .will_retain = true};
    struct tg_writer w = fresh(64);
    (void)state;
    assert_int_equal(tg_mqtt_write_connect(&w, &c, NO_LIMIT, &flaw), 0);
    /* will QoS and retain stay 0 without a will [MQTT-3.1.2-13, 3.1.2-15] */
    expect_bytes(&w, B("\x10\x0c\0\4MQTT\4\x02\0\0\0\0"));
}

static void connect_with_everything_in_the_order_of_MQTT_3_1_3_1(void **state)
{
    struct tg_mqtt_connect c = {.client_id = B("id"),
                                .username = B("user"),
                                .password = B("\0\xff"), /* binary [3.1.3.5] */
                                .keepalive_s = 0x1234,
                                .will_topic = B("w/t"),
                                .will_payload = B("bye"),
                                .will_qos = 1,
                                .will_retain = true};
    struct tg_writer w = fresh(64);
    (void)state;
    assert_int_equal(tg_mqtt_write_connect(&w, &c, NO_LIMIT, &flaw), 0);
    expect_bytes(&w, B("\x10\x22\0\4MQTT\4\xec\x12\x34\0\2id\0\3w/t\0\3bye\0\4user\0\2\0\xff"));
}

static void connect_empty_username_and_password_are_present(void **state)
{
    struct tg_mqtt_connect c = {.client_id = B("i"), .username = B(""), .password = B("")};
    struct tg_writer w = fresh(64);
    (void)state;
    assert_int_equal(tg_mqtt_write_connect(&w, &c, NO_LIMIT, &flaw), 0);
    expect_bytes(&w, B("\x10\x11\0\4MQTT\4\xc0\0\0\0\1i\0\0\0\0"));
}

static void connect_refusals(void **state)
{
    static uint8_t huge[65536];
    const struct {
        struct tg_mqtt_connect c;
        const char *flaw;
    } cases[] = {
        {{.client_id = B("")}, "client id is empty, which needs a clean session"},   /* [MQTT-3.1.3-7] */
        {{.client_id = B("a"), .password = B("p")}, "password without a user name"}, /* [MQTT-3.1.2-22] */
        {{.client_id = B("a\0")}, "client id is not a valid string"},
        {{.client_id = B("\xff")}, "client id is not a valid string"},
        {{.client_id = tg_bytes(huge, 65536)}, "client id is not a valid string"},
        {{.client_id = B("a"), .username = B("\xed\xa0\x80")}, "user name is not a valid string"},
        {{.client_id = B("a"), .username = B("u"), .password = tg_bytes(huge, 65536)},
         "password is longer than 65535 bytes"},
        {{.client_id = B("a"), .will_topic = B("")}, "will topic is not a valid topic name"},
        {{.client_id = B("a"), .will_topic = B("w/#")}, "will topic is not a valid topic name"},
        {{.client_id = B("a"), .will_topic = B("w"), .will_payload = tg_bytes(huge, 65536)},
         "will payload is longer than 65535 bytes"},
        {{.client_id = B("a"), .will_topic = B("w"), .will_qos = 3}, "will QoS is not 0, 1 or 2"},
    };
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct tg_writer w = fresh(sizeof memory);
        assert_int_equal(tg_mqtt_write_connect(&w, &cases[i].c, NO_LIMIT, &flaw), TG_EINVAL);
        assert_string_equal(flaw, cases[i].flaw);
        assert_int_equal(w.len, 0);
        assert_false(w.failed);
    }
}

static void publish_both_qos_and_all_flags(void **state)
{
    const struct {
        struct tg_mqtt_publish p;
        struct tg_bytes bytes;
    } cases[] = {
        {{.topic = B("a/b"), .payload = B("hi"), .packet_id = 7},
         B("\x30\x07\0\3a/bhi")}, /* no id [MQTT-2.3.1-5] */
        {{.topic = B("a/b"), .payload = B("hi"), .qos = 1, .packet_id = 0x102}, B("\x32\x09\0\3a/b\1\2hi")},
        {{.topic = B("a"), .qos = 1, .packet_id = 1, .dup = true, .retain = true}, B("\x3b\x05\0\1a\0\1")},
        {{.topic = B("a"), .retain = true}, B("\x31\x03\0\1a")},
    };
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct tg_writer w = fresh(64);
        assert_int_equal(tg_mqtt_write_publish(&w, &cases[i].p, NO_LIMIT, &flaw), 0);
        expect_bytes(&w, cases[i].bytes);
    }
}

static void publish_refusals(void **state)
{
    const struct tg_mqtt_publish cases[] = {
        {.topic = B("")},
        {.topic = B("a/+/b")},
        {.topic = B("#")},
        {.topic = B("a\0b")},
        {.topic = B("\xc0\xaf")},
        {.topic = B("abcdefghijklmno\xed\xbf\xbf")},
        {.topic = B("a"), .qos = 2, .packet_id = 1},
        {.topic = B("a"), .dup = true},
    };
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct tg_writer w = fresh(64);
        assert_int_equal(tg_mqtt_write_publish(&w, &cases[i], NO_LIMIT, &flaw), TG_EINVAL);
        assert_int_equal(w.len, 0);
    }
}

/* At each remaining-length boundary: sizes, header bytes, the limit, and a writer one byte too small. */
static void remaining_length_boundaries(void **state)
{
    static const size_t lengths[] = {3, 127, 128, 129, 16383, 16384, 16385};
    static uint8_t payload[1 << 15];
    (void)state;
    for (size_t i = 0; i < sizeof lengths / sizeof *lengths; i++) {
        struct tg_mqtt_publish p = {.topic = B("a"), .payload = tg_bytes(payload, lengths[i] - 3)};
        size_t header = lengths[i] < 128 ? 2 : lengths[i] < 16384 ? 3 : 4;
        size_t whole = header + lengths[i];
        struct tg_writer w = fresh(whole);
        assert_int_equal(tg_mqtt_write_publish(&w, &p, (uint32_t)whole, &flaw), 0);
        assert_int_equal(w.len, whole);
        assert_int_equal(memory[1], header == 2 ? lengths[i] : 0x80 | (lengths[i] & 0x7f));
        assert_int_equal(memory[header], 0);
        assert_int_equal(memory[header + 1], 1);
        assert_int_equal(memory[header + 2], 'a');

        w = fresh(whole - 1);
        assert_int_equal(tg_mqtt_write_publish(&w, &p, NO_LIMIT, &flaw), TG_EFULL);
        assert_int_equal(w.len, 0);
        assert_false(w.failed);
        assert_int_equal(memory[0], 0xee);

        w = fresh(whole);
        assert_int_equal(tg_mqtt_write_publish(&w, &p, (uint32_t)whole - 1, &flaw), TG_ETOOBIG);
        assert_int_equal(w.len, 0);
    }
}

/* By the header alone: the payload is not there, so a writer that is too small must be refused before. */
static void the_largest_packets_are_refused_by_size_before_a_byte_is_read(void **state)
{
    struct tg_mqtt_publish p = {.topic = B("a")};
    struct tg_writer w = fresh(64);
    (void)state;
    p.payload = tg_bytes(memory, TG_MQTT_MAX_REMAINING - 3);
    assert_int_equal(tg_mqtt_write_publish(&w, &p, NO_LIMIT, &flaw), TG_EFULL);
    p.payload.len++;
    assert_int_equal(tg_mqtt_write_publish(&w, &p, NO_LIMIT, &flaw), TG_ETOOBIG);
    p.payload.len = SIZE_MAX;
    assert_int_equal(tg_mqtt_write_publish(&w, &p, NO_LIMIT, &flaw), TG_ETOOBIG);
}

static void a_writer_that_failed_before_stays_as_it_is(void **state)
{
    struct tg_mqtt_publish p = {.topic = B("a")};
    struct tg_writer w = fresh(64);
    (void)state;
    w.failed = true;
    assert_int_equal(tg_mqtt_write_publish(&w, &p, NO_LIMIT, &flaw), TG_EFULL);
    assert_int_equal(tg_mqtt_write_puback(&w, 1), TG_EFULL);
    assert_int_equal(w.len, 0);
}

static void subscribe_and_unsubscribe_have_flags_0010_MQTT_3_8_1_1(void **state)
{
    const struct tg_bytes filters[] = {B("a/+"), B("$iothub/twin/res/#")};
    const uint8_t qos[] = {1, 0};
    struct tg_writer w = fresh(64);
    (void)state;
    assert_int_equal(tg_mqtt_write_subscribe(&w, 0x0a0b, filters, qos, 2, NO_LIMIT, &flaw), 0);
    expect_bytes(&w, B("\x82\x1d\x0a\x0b\0\3a/+\1\0\x12$iothub/twin/res/#\0"));
    w = fresh(64);
    assert_int_equal(tg_mqtt_write_unsubscribe(&w, 1, filters, 1, NO_LIMIT, &flaw), 0);
    expect_bytes(&w, B("\xa2\x07\0\1\0\3a/+"));
    w = fresh(8);
    assert_int_equal(tg_mqtt_write_unsubscribe(&w, 1, filters, 1, NO_LIMIT, &flaw), TG_EFULL);
    assert_int_equal(tg_mqtt_write_unsubscribe(&w, 1, filters, 1, 8, &flaw), TG_ETOOBIG);
}

static void subscribe_refusals(void **state)
{
    struct tg_bytes filters[TG_MQTT_MAX_FILTERS + 1];
    uint8_t qos[TG_MQTT_MAX_FILTERS + 1] = {0};
    struct tg_writer w = fresh(256);
    (void)state;
    for (size_t i = 0; i <= TG_MQTT_MAX_FILTERS; i++)
        filters[i] = B("f");
    assert_int_equal(tg_mqtt_write_subscribe(&w, 1, filters, qos, 0, NO_LIMIT, &flaw), TG_EINVAL);
    assert_int_equal(tg_mqtt_write_subscribe(&w, 1, filters, qos, TG_MQTT_MAX_FILTERS + 1, NO_LIMIT, &flaw),
                     TG_EINVAL);
    qos[3] = 2; /* QoS 2 is never asked for */
    assert_int_equal(tg_mqtt_write_subscribe(&w, 1, filters, qos, 4, NO_LIMIT, &flaw), TG_EINVAL);
    qos[3] = 0;
    filters[7] = B("a#");
    assert_int_equal(tg_mqtt_write_subscribe(&w, 1, filters, qos, 8, NO_LIMIT, &flaw), TG_EINVAL);
    assert_int_equal(w.len, 0);
}

static void small_packets(void **state)
{
    struct tg_writer w = fresh(8);
    (void)state;
    assert_int_equal(tg_mqtt_write_puback(&w, 0xfffe), 0);
    assert_int_equal(tg_mqtt_write_pingreq(&w), 0);
    assert_int_equal(tg_mqtt_write_disconnect(&w), 0);
    expect_bytes(&w, B("\x40\x02\xff\xfe\xc0\0\xe0\0"));
    assert_int_equal(tg_mqtt_write_pingreq(&w), TG_EFULL);
    assert_int_equal(tg_mqtt_write_disconnect(&w), TG_EFULL);
    assert_int_equal(tg_mqtt_write_puback(&w, 1), TG_EFULL);
}

static void strings_MQTT_1_5_3(void **state)
{
    static uint8_t longest[65536];
    (void)state;
    memset(longest, 'x', sizeof longest);
    assert_null(tg_mqtt_string_flaw(B("")));
    assert_null(tg_mqtt_string_flaw(tg_bytes(NULL, 0)));
    assert_null(tg_mqtt_string_flaw(B("\xef\xbb\xbf"))); /* BOM stays [MQTT-1.5.3-3] */
    assert_null(tg_mqtt_string_flaw(B("m\xc3\xa9t\xc3\xa9o \xf0\x9f\x8c\x8a")));
    assert_null(tg_mqtt_string_flaw(tg_bytes(longest, 65535)));
    assert_string_equal(tg_mqtt_string_flaw(tg_bytes(longest, 65536)), "is longer than 65535 bytes");
    assert_string_equal(tg_mqtt_string_flaw(B("\0")), "contains U+0000");        /* [MQTT-1.5.3-2] */
    assert_string_equal(tg_mqtt_string_flaw(B("\xed\xa0\x80")), "is not UTF-8"); /* U+D800 [MQTT-1.5.3-1] */
    assert_string_equal(tg_mqtt_string_flaw(B("\xed\xbf\xbf")), "is not UTF-8");
    assert_string_equal(tg_mqtt_string_flaw(B("\xc0\x80")), "is not UTF-8"); /* overlong NUL */
    assert_string_equal(tg_mqtt_string_flaw(B("\xf4\x90\x80\x80")), "is not UTF-8");
    assert_string_equal(tg_mqtt_string_flaw(B("abc\xe2\x82")), "is not UTF-8");
}

/* The check goes eight bytes at a time: each special byte at each place of topics of each length, against a
 * check that goes one by one. */
static void topics_special_bytes_at_every_place(void **state)
{
    static const uint8_t specials[] = {0, '+', '#', 0x80, 0xff, 0x01, '*', ',', '"', '$', 0x7f, 0xa3, 0xab};
    (void)state;
    for (size_t len = 1; len <= 26; len++) {
        for (size_t at = 0; at < len; at++) {
            for (size_t k = 0; k < sizeof specials; k++) {
                uint8_t topic[26];
                uint8_t s = specials[k];
                memset(topic, at % 2 ? 0x01 : 'a', sizeof topic);
                topic[at] = s;
                assert_int_equal(tg_mqtt_topic_flaw(tg_bytes(topic, len)) != NULL,
                                 s == 0 || s == '+' || s == '#' || s >= 0x80);
            }
        }
    }
}

static void topics(void **state)
{
    (void)state;
    assert_null(tg_mqtt_topic_flaw(B("/")));
    assert_null(tg_mqtt_topic_flaw(B("$iothub/twin/GET/?$rid=1")));
    assert_null(tg_mqtt_topic_flaw(B("devices/d\xc3\xa9/messages/events/")));
    assert_string_equal(tg_mqtt_topic_flaw(B("")), "is empty"); /* [MQTT-4.7.3-1] */
    assert_string_equal(tg_mqtt_topic_flaw(B("a/+")), "contains a wildcard (+ or #)");
}

static void filters_MQTT_4_7_1(void **state)
{
    static const char *const good[] = {"#",  "+",  "/",       "a",      "a/#",  "+/+",
                                       "/+", "+/", "a/+/b/#", "$SYS/#", "a//b", "/#"};
    static const char *const bad[] = {"",       "a#",   "#/a", "a/#/b", "a+",  "+a",
                                      "a/b+/c", "a/+b", "##",  "++",    "a/#b"};
    (void)state;
    for (size_t i = 0; i < sizeof good / sizeof *good; i++)
        assert_null(tg_mqtt_filter_flaw(tg_bytes_str(good[i])));
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
        assert_non_null(tg_mqtt_filter_flaw(tg_bytes_str(bad[i])));
    assert_non_null(tg_mqtt_filter_flaw(B("a\0")));
    assert_non_null(tg_mqtt_filter_flaw(B("a/\xff")));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(connect_smallest_MQTT_3_1),
        cmocka_unit_test(connect_with_everything_in_the_order_of_MQTT_3_1_3_1),
        cmocka_unit_test(connect_empty_username_and_password_are_present),
        cmocka_unit_test(connect_refusals),
        cmocka_unit_test(publish_both_qos_and_all_flags),
        cmocka_unit_test(publish_refusals),
        cmocka_unit_test(remaining_length_boundaries),
        cmocka_unit_test(the_largest_packets_are_refused_by_size_before_a_byte_is_read),
        cmocka_unit_test(a_writer_that_failed_before_stays_as_it_is),
        cmocka_unit_test(subscribe_and_unsubscribe_have_flags_0010_MQTT_3_8_1_1),
        cmocka_unit_test(subscribe_refusals),
        cmocka_unit_test(small_packets),
        cmocka_unit_test(strings_MQTT_1_5_3),
        cmocka_unit_test(topics_special_bytes_at_every_place),
        cmocka_unit_test(topics),
        cmocka_unit_test(filters_MQTT_4_7_1),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
