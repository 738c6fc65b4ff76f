/* SPDX-License-Identifier: GPL-2.0-or-later */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include "northbound/mqtt/mqtt_decoder.h"

#define LIMIT   266240u
#define B(text) tg_bytes(text, sizeof(text) - 1)

static struct tg_mqtt_packet packet;
static size_t size;
static const char *flaw;

/* Decodes an exact-size copy, so that AddressSanitizer sees a read past the input. */
static int decode(struct tg_bytes in, uint32_t max_bytes)
{
    uint8_t *copy = malloc(in.len ? in.len : 1);
    int r;
    assert_non_null(copy);
    if (in.len)
        memcpy(copy, in.data, in.len);
    memset(&packet, 0xee, sizeof packet);
    size = 999;
    flaw = NULL;
    r = tg_mqtt_decode(tg_bytes(copy, in.len), max_bytes, &packet, &size, &flaw);
    if (r == 1 && packet.type == TG_MQTT_TYPE_PUBLISH) { /* the views outlive the copy, for the test */
        packet.publish.topic.data = in.data + (packet.publish.topic.data - copy);
        packet.publish.payload.data = in.data + (packet.publish.payload.data - copy);
    } else if (r == 1 && packet.type == TG_MQTT_TYPE_SUBACK) {
        packet.codes.data = in.data + (packet.codes.data - copy);
    }
    free(copy);
    return r;
}

static const struct tg_bytes good[] = {
    {(const uint8_t *)"\x20\x02\x00\x00", 4},
    {(const uint8_t *)"\x20\x02\x01\x00", 4},
    {(const uint8_t *)"\x20\x02\x00\x05", 4},
    {(const uint8_t *)"\x40\x02\x12\x34", 4},
    {(const uint8_t *)"\x90\x06\x00\x01\x00\x01\x02\x80", 8},
    {(const uint8_t *)"\xb0\x02\x00\x09", 4},
    {(const uint8_t *)"\xd0\x00", 2},
    {(const uint8_t *)"\x30\x03\x00\x01t", 5},
    {(const uint8_t *)"\x31\x07\x00\x03"
                      "a/bhi",
     9},
    {(const uint8_t *)"\x3a\x09\x00\x03"
                      "a/b\x01\x02hi",
     11},
    {(const uint8_t *)"\x34\x05\x00\x01t\x00\x07", 7},
    {(const uint8_t *)"\x30\x83\x00\x00\x01t", 6}, /* a longer form of 3: nothing in 3.1.1 forbids it */
};
#define GOOD_COUNT (sizeof good / sizeof *good)

static void packets_become_fields(void **state)
{
    (void)state;
    assert_int_equal(decode(good[1], LIMIT), 1);
    assert_int_equal(packet.type, TG_MQTT_TYPE_CONNACK);
    assert_true(packet.session_present);
    assert_int_equal(packet.return_code, 0);
    assert_int_equal(decode(good[2], LIMIT), 1);
    assert_int_equal(packet.return_code, 5);
    assert_int_equal(decode(good[3], LIMIT), 1);
    assert_int_equal(packet.type, TG_MQTT_TYPE_PUBACK);
    assert_int_equal(packet.packet_id, 0x1234);
    assert_int_equal(decode(good[4], LIMIT), 1);
    assert_int_equal(packet.packet_id, 1);
    assert_int_equal(packet.codes.len, 4);
    assert_int_equal(packet.codes.data[3], 0x80);
    assert_int_equal(decode(good[9], LIMIT), 1);
    assert_int_equal(packet.type, TG_MQTT_TYPE_PUBLISH);
    assert_true(tg_bytes_eq_str(packet.publish.topic, "a/b"));
    assert_true(tg_bytes_eq_str(packet.publish.payload, "hi"));
    assert_int_equal(packet.publish.packet_id, 0x102);
    assert_int_equal(packet.packet_id, 0x102);
    assert_int_equal(packet.publish.qos, 1);
    assert_true(packet.publish.dup);
    assert_false(packet.publish.retain);
    assert_int_equal(decode(good[8], LIMIT), 1);
    assert_true(packet.publish.retain);
    assert_int_equal(packet.publish.packet_id, 0);
    assert_int_equal(decode(good[10], LIMIT), 1); /* QoS 2 is for the client to refuse */
    assert_int_equal(packet.publish.qos, 2);
}

static void every_packet_cut_at_every_byte_needs_more(void **state)
{
    (void)state;
    for (size_t i = 0; i < GOOD_COUNT; i++) {
        for (size_t cut = 0; cut < good[i].len; cut++) {
            assert_int_equal(decode(tg_bytes(good[i].data, cut), LIMIT), 0);
            assert_int_equal(size, 999);
        }
        assert_int_equal(decode(good[i], LIMIT), 1);
        assert_int_equal(size, good[i].len);
        assert_int_equal(decode(good[i], (uint32_t)good[i].len), 1);
        assert_int_equal(decode(good[i], (uint32_t)good[i].len - 1), TG_ETOOBIG);
    }
}

/* A stream of all of them, given in pieces of 1, 2, 3, 5, 7 … bytes and in random ones: the same packets. */
static void a_stream_of_adjacent_packets_in_any_pieces(void **state)
{
    uint8_t stream[256];
    size_t total = 0;
    uint32_t random = 12345;
    (void)state;
    for (size_t i = 0; i < GOOD_COUNT; i++) {
        memcpy(stream + total, good[i].data, good[i].len);
        total += good[i].len;
    }
    for (size_t piece = 1; piece <= total + 50; piece++) { /* above total: random pieces */
        size_t begin = 0, end = 0, found = 0;
        while (begin < total) {
            int r = decode(tg_bytes(stream + begin, end - begin), LIMIT);
            if (r == 1) {
                assert_true(found < GOOD_COUNT);
                assert_int_equal(size, good[found].len);
                assert_memory_equal(stream + begin, good[found].data, size);
                begin += size;
                found++;
                continue;
            }
            assert_int_equal(r, 0);
            assert_true(end < total);
            random = random * 1664525u + 1013904223u;
            end += piece <= total ? piece : 1 + (random >> 16) % 9;
            end = end > total ? total : end;
        }
        assert_int_equal(found, GOOD_COUNT);
    }
}

/* Each length boundary by the header alone: what the limit refuses is refused before the body is there. */
static void length_boundaries_by_the_header_alone(void **state)
{
    static const struct {
        const char *header;
        size_t header_len;
        uint32_t whole;
    } cases[] = {
        {"\x30\x7f", 2, 129},
        {"\x30\x80\x01", 3, 131},
        {"\x30\xff\x7f", 3, 16386},
        {"\x30\x80\x80\x01", 4, 16388},
        {"\x30\xff\xff\x7f", 4, 2097155},
        {"\x30\x80\x80\x80\x01", 5, 2097157},
        {"\x30\xff\xff\xff\x7f", 5, 268435460},
    };
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct tg_bytes in = tg_bytes(cases[i].header, cases[i].header_len);
        assert_int_equal(decode(in, cases[i].whole), 0);
        assert_int_equal(decode(in, cases[i].whole - 1), TG_ETOOBIG);
        assert_string_equal(flaw, "packet larger than the limit");
        in.len--;
        assert_int_equal(decode(in, 2), 0);
    }
}

static void large_packets_at_each_boundary(void **state)
{
    static const uint32_t lengths[] = {127, 128, 16383, 16384, 2097151, 2097152};
    uint8_t *bytes = calloc(1, 2097152 + 5);
    (void)state;
    assert_non_null(bytes);
    for (size_t i = 0; i < sizeof lengths / sizeof *lengths; i++) {
        struct tg_writer w = tg_writer_init(bytes, 16);
        struct tg_bytes in;
        tg_write_u8(&w, 0x30);
        tg_write_varint(&w, lengths[i]);
        tg_write_bytes(&w, B("\0\1t"));
        in = tg_bytes(bytes, w.len - 3 + lengths[i]);
        assert_int_equal(tg_mqtt_decode(tg_bytes(in.data, in.len - 1), UINT32_MAX, &packet, &size, &flaw), 0);
        assert_int_equal(tg_mqtt_decode(in, UINT32_MAX, &packet, &size, &flaw), 1);
        assert_int_equal(packet.publish.payload.len, lengths[i] - 3);
        assert_int_equal(size, in.len);
    }
    free(bytes);
}

static void remaining_length_of_five_bytes(void **state)
{
    (void)state;
    assert_int_equal(decode(B("\x30\xff\xff\xff"), LIMIT), 0);
    assert_int_equal(decode(B("\x30\xff\xff\xff\xff"), LIMIT), TG_EPROTO); /* the fifth need not come */
    assert_string_equal(flaw, "remaining length of more than four bytes");
    assert_int_equal(decode(B("\xd0\x80\x80\x80\x80\x00"), LIMIT), TG_EPROTO);
}

/* Each first byte alone: refused at once unless a server may send it. */
static void first_byte_types_and_reserved_flags_MQTT_2_2_2_2(void **state)
{
    static const uint8_t allowed[] = {0x20, 0x40, 0x90, 0xb0, 0xd0, 0x30, 0x31, 0x32,
                                      0x33, 0x34, 0x35, 0x3a, 0x3b, 0x3c, 0x3d};
    (void)state;
    for (unsigned b = 0; b < 256; b++) {
        uint8_t first = (uint8_t)b;
        bool ok = memchr(allowed, first, sizeof allowed) != NULL;
        assert_int_equal(decode(tg_bytes(&first, 1), LIMIT), ok ? 0 : TG_EPROTO);
        assert_true(ok || flaw != NULL);
    }
}

static void wrong_lengths_are_refused_by_the_header(void **state)
{
    static const char *const headers[] = {"\x20\x01", "\x20\x03", "\x40\x01", "\x40\x03",
                                          "\xb0\x04", "\xd0\x01", "\x90\x02", "\x90\x0b",
                                          "\x30\x02", "\x32\x04", "\x34\x03"};
    (void)state;
    for (size_t i = 0; i < sizeof headers / sizeof *headers; i++)
        assert_int_equal(decode(tg_bytes_str(headers[i]), LIMIT), TG_EPROTO);
    assert_int_equal(decode(B("\x30\x00"), LIMIT), TG_EPROTO);
    assert_int_equal(decode(B("\x40\x00"), LIMIT), TG_EPROTO);
    assert_int_equal(decode(B("\x20\x80\x80\x7f"), LIMIT),
                     TG_EPROTO); /* a CONNACK of 2 MB is not waited for */
}

static void malformed_bodies(void **state)
{
    static const struct {
        struct tg_bytes in;
        const char *flaw;
    } cases[] = {
        {{(const uint8_t *)"\x20\x02\x02\x00", 4}, "CONNACK with reserved flags set"},
        {{(const uint8_t *)"\x20\x02\x80\x00", 4}, "CONNACK with reserved flags set"},
        {{(const uint8_t *)"\x20\x02\x01\x05", 4},
         "CONNACK that refuses and has a session"}, /* [MQTT-3.2.2-4] */
        {{(const uint8_t *)"\x40\x02\x00\x00", 4}, "acknowledgement of packet id 0"},
        {{(const uint8_t *)"\xb0\x02\x00\x00", 4}, "acknowledgement of packet id 0"},
        {{(const uint8_t *)"\x90\x03\x00\x00\x00", 5}, "SUBACK with packet id 0"},
        {{(const uint8_t *)"\x90\x03\x00\x01\x03", 5},
         "SUBACK with a reserved return code"}, /* [MQTT-3.9.3-2] */
        {{(const uint8_t *)"\x90\x03\x00\x01\x81", 5}, "SUBACK with a reserved return code"},
        {{(const uint8_t *)"\x32\x05\x00\x01t\x00\x00", 7}, "PUBLISH with packet id 0"}, /* [MQTT-2.3.1-1] */
        {{(const uint8_t *)"\x30\x03\x00\x02t", 5}, "PUBLISH whose topic does not fit into it"},
        {{(const uint8_t *)"\x32\x05\x00\x02tt\x01", 7}, "PUBLISH whose topic does not fit into it"},
        {{(const uint8_t *)"\x30\x03\xff\xfft", 5}, "PUBLISH whose topic does not fit into it"},
        {{(const uint8_t *)"\x30\x03\x00\x00t", 5},
         "PUBLISH with a topic that is not valid"}, /* [MQTT-4.7.3-1] */
        {{(const uint8_t *)"\x30\x03\x00\x01#", 5},
         "PUBLISH with a topic that is not valid"}, /* [MQTT-3.3.2-2] */
        {{(const uint8_t *)"\x30\x03\x00\x01+", 5}, "PUBLISH with a topic that is not valid"},
        {{(const uint8_t *)"\x30\x03\x00\x01\x00", 5},
         "PUBLISH with a topic that is not valid"}, /* [MQTT-1.5.3-2] */
        {{(const uint8_t *)"\x30\x05\x00\x03\xed\xa0\x80", 7},
         "PUBLISH with a topic that is not valid"}, /* U+D800 */
        {{(const uint8_t *)"\x30\x04\x00\x02\xc0\x80", 6}, "PUBLISH with a topic that is not valid"},
    };
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        for (size_t cut = 0; cut < cases[i].in.len; cut++)
            assert_int_equal(decode(tg_bytes(cases[i].in.data, cut), LIMIT), 0);
        assert_int_equal(decode(cases[i].in, LIMIT), TG_EPROTO);
        assert_string_equal(flaw, cases[i].flaw);
        assert_int_equal(size, 999);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(packets_become_fields),
        cmocka_unit_test(every_packet_cut_at_every_byte_needs_more),
        cmocka_unit_test(a_stream_of_adjacent_packets_in_any_pieces),
        cmocka_unit_test(length_boundaries_by_the_header_alone),
        cmocka_unit_test(large_packets_at_each_boundary),
        cmocka_unit_test(remaining_length_of_five_bytes),
        cmocka_unit_test(first_byte_types_and_reserved_flags_MQTT_2_2_2_2),
        cmocka_unit_test(wrong_lengths_are_refused_by_the_header),
        cmocka_unit_test(malformed_bodies),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
