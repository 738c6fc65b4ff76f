/* SPDX-License-Identifier: GPL-2.0-or-later */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <string.h>

#include "southbound/plugin_wire.h"

#define ROOM 4096

static struct tg_bytes text(const char *s)
{
    return tg_bytes_str(s);
}

/* One of each type, with every field that it has at an edge. */
static const struct tg_wire_message *examples(size_t *ret_count)
{
    static struct tg_wire_message m[] = {
        {.type = TG_WIRE_SOURCE,
         .state = 1,
         .flags = 65,
         .device = 7,
         .number = UINT64_MAX,
         .time_ms = 1,
         .at_ms = 3,
         .has_text = true},
        {.type = TG_WIRE_DISCOVER, .number = 12},
        {.type = TG_WIRE_OPTION, .state = TG_OPTION_PATH, .flags = TG_WIRE_ITEM, .has_text = true},
        {.type = TG_WIRE_DEVICE, .flags = 1, .point = UINT32_MAX},
        {.type = TG_WIRE_POINT, .flags = 1, .time_ms = INT64_MAX},
        {.type = TG_WIRE_START},
        {.type = TG_WIRE_WRITE, .number = 1, .device = 2, .point = 3},
        {.type = TG_WIRE_COMMAND, .number = 9, .device = 1, .has_text = true},
        {.type = TG_WIRE_INTERVAL, .device = 1, .point = 2, .time_ms = 500},
        {.type = TG_WIRE_CONFINED, .flags = 7, .state = 4},
        {.type = TG_WIRE_TROUBLE, .has_text = true},
        {.type = TG_WIRE_OPENED, .status = -4, .time_ms = 60000, .has_text = true},
        {.type = TG_WIRE_STATE, .device = 3, .state = 2, .has_text = false},
        {.type = TG_WIRE_ANSWER, .number = UINT64_MAX, .status = INT32_MIN, .has_text = true},
        {.type = TG_WIRE_FACT, .device = 1},
        {.type = TG_WIRE_FOUND, .has_text = false},
        {.type = TG_WIRE_UPLINK, .state = 1, .has_text = true},
        {.type = TG_WIRE_TIME, .time_ms = INT64_MIN, .at_ms = INT64_MAX, .state = 5},
        {.type = TG_WIRE_LOG, .state = 2, .has_text = true},
        {.type = TG_WIRE_ALIVE, .number = 5, .time_ms = 250},
        {.type = TG_WIRE_CARRY_OPEN, .device = UINT32_MAX, .has_text = true},
        {.type = TG_WIRE_CARRY, .device = 7, .number = UINT64_MAX},
        {.type = TG_WIRE_CARRY_CLOSE, .device = 7},
        {.type = TG_WIRE_CARRIER, .device = 7, .state = 1, .has_text = true},
        {.type = TG_WIRE_CARRIED, .device = 7, .number = 3, .status = -3},
    };
    static const bool has_name[] = {
        [TG_WIRE_SOURCE] = true,  [TG_WIRE_OPTION] = true, [TG_WIRE_DEVICE] = true, [TG_WIRE_POINT] = true,
        [TG_WIRE_COMMAND] = true, [TG_WIRE_FACT] = true,   [TG_WIRE_FOUND] = true};
    for (size_t i = 0; i < sizeof m / sizeof m[0]; i++) {
        if (m[i].has_text)
            m[i].text = text("Ventil 3 öffnet nicht");
        if (m[i].type < sizeof has_name && has_name[m[i].type])
            m[i].name = text("boiler-1");
        if (m[i].type == TG_WIRE_WRITE || m[i].type == TG_WIRE_FACT)
            m[i].value = tg_value_text("auf", 3);
        if (m[i].type == TG_WIRE_CARRY)
            m[i].body = tg_bytes("\x00\xff{}", 4); /* any bytes */
    }
    *ret_count = sizeof m / sizeof m[0];
    return m;
}

static void assert_same_value(const struct tg_value *a, const struct tg_value *b)
{
    assert_int_equal(a->type, b->type);
    if (a->type == TG_VALUE_TEXT) {
        assert_int_equal(a->text_len, b->text_len);
        assert_memory_equal(a->as.text, b->as.text, a->text_len);
    } else if (a->type == TG_VALUE_BOOL) {
        assert_int_equal(a->as.boolean, b->as.boolean);
    } else if (a->type != TG_VALUE_NONE) {
        assert_memory_equal(&a->as, &b->as, 8);
    }
}

static void assert_same(const struct tg_wire_message *a, const struct tg_wire_message *b)
{
    assert_int_equal(a->type, b->type);
    assert_int_equal(a->device, b->device);
    assert_int_equal(a->point, b->point);
    assert_int_equal(a->state, b->state);
    assert_int_equal(a->flags, b->flags);
    assert_int_equal(a->status, b->status);
    assert_true(a->number == b->number && a->time_ms == b->time_ms && a->at_ms == b->at_ms);
    assert_true(tg_bytes_eq(a->name, b->name));
    assert_int_equal(a->has_text, b->has_text);
    assert_true(tg_bytes_eq(a->text, b->text));
    assert_same_value(&a->value, &b->value);
    assert_true(tg_bytes_eq(a->body, b->body));
}

static size_t write_message(uint8_t *out, const struct tg_wire_message *m)
{
    struct tg_writer w = tg_writer_init(out, tg_wire_message_bound(m));
    assert_true(tg_wire_message_bound(m) <= ROOM);
    tg_wire_put_message(&w, m);
    assert_false(w.failed);
    return w.len;
}

static void test_messages_arrive_as_they_were(void **state)
{
    size_t count;
    const struct tg_wire_message *all = examples(&count);
    uint8_t bytes[ROOM];
    (void)state;
    for (size_t i = 0; i < count; i++) {
        struct tg_wire_frame frame;
        struct tg_wire_message got;
        size_t len = write_message(bytes, &all[i]);
        assert_int_equal(tg_wire_next(tg_bytes(bytes, len), &frame), 1);
        assert_int_equal(frame.size, len);
        assert_int_equal(tg_wire_read_message(&frame, &got), 0);
        assert_same(&all[i], &got);
    }
}

/* All frames in one stream, which arrives in two pieces cut at every byte. */
static void test_streams_cut_anywhere(void **state)
{
    size_t count, len = 0, starts[32];
    const struct tg_wire_message *all = examples(&count);
    uint8_t bytes[ROOM];
    (void)state;
    for (size_t i = 0; i < count; i++) {
        starts[i] = len;
        len += write_message(bytes + len, &all[i]);
        assert_true(len + ROOM / 4 < ROOM);
    }
    for (size_t cut = 0; cut <= len; cut++) {
        size_t done = 0, at = 0;
        for (int piece = 0; piece < 2; piece++) {
            size_t end = piece ? len : cut;
            struct tg_wire_frame frame;
            struct tg_wire_message got;
            int rc;
            while ((rc = tg_wire_next(tg_bytes(bytes + at, end - at), &frame)) == 1) {
                assert_int_equal(at, starts[done]);
                assert_int_equal(tg_wire_read_message(&frame, &got), 0);
                assert_same(&all[done++], &got);
                at += frame.size;
            }
            assert_int_equal(rc, 0);
            assert_true(tg_wire_wants(tg_bytes(bytes + at, end - at)) > end - at);
        }
        assert_int_equal(done, count);
        assert_int_equal(at, len);
    }
}

/* A payload that is a byte short or long is no message, whatever its type. */
static void test_payloads_of_another_length(void **state)
{
    size_t count;
    const struct tg_wire_message *all = examples(&count);
    uint8_t bytes[ROOM];
    (void)state;
    for (size_t i = 0; i < count; i++) {
        struct tg_wire_message got;
        size_t len = write_message(bytes, &all[i]) - TG_WIRE_HEAD_BYTES;
        struct tg_wire_frame frame = {.type = all[i].type,
                                      .payload = tg_bytes(bytes + TG_WIRE_HEAD_BYTES, 0)};
        bytes[TG_WIRE_HEAD_BYTES + len] = 0;
        for (frame.payload.len = 0; frame.payload.len <= len + 1; frame.payload.len++)
            assert_int_equal(tg_wire_read_message(&frame, &got), frame.payload.len == len ? 0 : TG_EPROTO);
    }
}

static void test_frames_that_cannot_be(void **state)
{
    const uint8_t empty[] = {0, 0, 0, 0, 1}, huge[] = {0, 0x10, 0, 1, 1},
                  vast[] = {0xFF, 0xFF, 0xFF, 0xFF, 1};
    struct tg_wire_frame frame;
    struct tg_wire_message got;
    (void)state;
    assert_int_equal(tg_wire_next(tg_bytes(empty, sizeof empty), &frame), TG_EPROTO);
    assert_int_equal(tg_wire_next(tg_bytes(huge, sizeof huge), &frame), TG_EPROTO);
    assert_int_equal(tg_wire_next(tg_bytes(vast, 4), &frame), TG_EPROTO); /* before any of it is waited for */
    for (unsigned type = 0; type < 256; type++) {
        bool known = (type >= TG_WIRE_SOURCE && type <= TG_WIRE_INTERVAL) ||
                     (type >= TG_WIRE_CONFINED && type <= TG_WIRE_ALIVE);
        frame = (struct tg_wire_frame){.type = (uint8_t)type};
        assert_int_equal(tg_wire_read_message(&frame, &got), known && type == TG_WIRE_START ? 0 : TG_EPROTO);
    }
}

static void refused(uint8_t type, const void *payload, size_t len)
{
    struct tg_wire_frame frame = {.type = type, .payload = tg_bytes(payload, len)};
    static struct tg_wire_sample sample;
    struct tg_wire_message got;
    assert_int_equal(type == TG_WIRE_SAMPLE ? tg_wire_read_sample(&frame, &sample)
                                            : tg_wire_read_message(&frame, &got),
                     TG_EPROTO);
}

static void test_fields_that_cannot_be(void **state)
{
    static uint8_t long_text[1100] = {0, 0, 1, 0, 0, TG_VALUE_TEXT, 0x81, 0x08}; /* 1025 bytes */
    (void)state;
    refused(TG_WIRE_STATE, "\xFF\xFF\xFF\xFF\x7F\x00\x00", 7); /* a device beyond 32 bits */
    refused(TG_WIRE_STATE, "\x00\x01\x02", 3);                 /* a flag that is neither */
    refused(TG_WIRE_STATE,
            "\x00\x01\x01\x02"
            "a\0",
            6); /* NUL in a text */
    refused(TG_WIRE_STATE, "\x00\x01\x01\xFF\xFF\xFF\xFF\xFF\xFF\xFF\xFF\xFF\x01", 13);
    refused(TG_WIRE_SAMPLE, "\x00\x00\x00", 3);                 /* no value */
    refused(TG_WIRE_SAMPLE, "\x00\x00\x81\x04", 4);             /* 513 */
    refused(TG_WIRE_SAMPLE, "\x00\x00\x02\x00\x00\x01\x01", 7); /* one of two */
    refused(TG_WIRE_SAMPLE, "\x00\x00\x01\x00\x00\x06", 6);     /* a type that there is not */
    refused(TG_WIRE_SAMPLE, "\x00\x00\x01\x00\x00\x01\x02", 7); /* neither true nor false */
    refused(TG_WIRE_SAMPLE, long_text, 8 + 1025);
}

static void test_samples_arrive_as_they_were(void **state)
{
    static struct tg_point_value many[TG_SAMPLE_MAX_VALUES];
    static char words[TG_TEXT_MAX_BYTES];
    static struct tg_wire_sample got;
    const size_t bound_of_all = tg_wire_sample_bound(many, TG_SAMPLE_MAX_VALUES);
    uint8_t *bytes;
    struct tg_wire_frame frame;
    (void)state;
    memset(words, 'x', sizeof words);
    for (uint32_t i = 0; i < TG_SAMPLE_MAX_VALUES; i++) {
        const struct tg_value values[] = {tg_value_bool(i & 8),          tg_value_int(INT64_MIN + i),
                                          tg_value_uint(UINT64_MAX - i), tg_value_real(-0.5 * i),
                                          tg_value_text(words, i * 2),   {.type = TG_VALUE_NONE}};
        many[i] = (struct tg_point_value){.point = UINT32_MAX - i, .quality = i % 9, .value = values[i % 6]};
    }
    bytes = test_malloc(tg_wire_sample_bound(many, TG_SAMPLE_MAX_VALUES));
    assert_true(bound_of_all < tg_wire_sample_bound(many, TG_SAMPLE_MAX_VALUES));
    for (uint32_t count = 1; count <= TG_SAMPLE_MAX_VALUES; count += count < 8 ? 1 : 63) {
        struct tg_writer w = tg_writer_init(bytes, tg_wire_sample_bound(many, count));
        tg_wire_put_sample(&w, 3, -1, many, count);
        assert_false(w.failed);
        assert_int_equal(tg_wire_next(tg_bytes(bytes, w.len), &frame), 1);
        assert_int_equal(tg_wire_next(tg_bytes(bytes, w.len - 1), &(struct tg_wire_frame){0}), 0);
        assert_int_equal(tg_wire_read_sample(&frame, &got), 0);
        assert_int_equal(got.device, 3);
        assert_int_equal(got.time_ms, -1);
        assert_int_equal(got.count, count);
        for (uint32_t i = 0; i < count; i++) {
            assert_int_equal(got.values[i].point, many[i].point);
            assert_int_equal(got.values[i].quality, many[i].quality);
            assert_same_value(&got.values[i].value, &many[i].value);
        }
    }
    test_free(bytes);
}

/* The largest sample that a plugin may emit fits into a frame; what does not is refused by the writer. */
static void test_the_largest(void **state)
{
    static struct tg_point_value many[TG_SAMPLE_MAX_VALUES];
    static char words[TG_TEXT_MAX_BYTES], vast[TG_WIRE_FRAME_MAX_BYTES];
    struct tg_wire_message m = {.type = TG_WIRE_ANSWER, .has_text = true};
    struct tg_writer w;
    size_t bound;
    uint8_t *bytes;
    (void)state;
    memset(words, 'x', sizeof words);
    memset(vast, 'x', sizeof vast);
    for (uint32_t i = 0; i < TG_SAMPLE_MAX_VALUES; i++)
        many[i] = (struct tg_point_value){.point = UINT32_MAX, .value = tg_value_text(words, sizeof words)};
    bound = tg_wire_sample_bound(many, TG_SAMPLE_MAX_VALUES);
    assert_true(bound <= TG_WIRE_FRAME_MAX_BYTES);
    m.text = tg_bytes(vast, sizeof vast);
    bytes = test_malloc(tg_wire_message_bound(&m));
    w = tg_writer_init(bytes, tg_wire_message_bound(&m));
    tg_wire_put_message(&w, &m);
    assert_true(w.failed);
    m.text.len -= 64;
    w = tg_writer_init(bytes, tg_wire_message_bound(&m));
    tg_wire_put_message(&w, &m);
    assert_false(w.failed);
    test_free(bytes);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_messages_arrive_as_they_were),
                                       cmocka_unit_test(test_streams_cut_anywhere),
                                       cmocka_unit_test(test_payloads_of_another_length),
                                       cmocka_unit_test(test_frames_that_cannot_be),
                                       cmocka_unit_test(test_fields_that_cannot_be),
                                       cmocka_unit_test(test_samples_arrive_as_they_were),
                                       cmocka_unit_test(test_the_largest)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
