/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * Limits and damage of extended data mode frames: what is no frame is skipped and counted, what is a frame with wrong contents is
 * named and gives no value, and the frame behind either is found.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "southbound/at_lines.h"
#include "southbound/edm_frame.h"

struct tally {
    int frames, unknown, malformed;
    size_t skipped;
    struct tg_edm_frame last;
};

static struct tg_edm_parser parser;

static struct tally feed(const void *bytes, size_t len)
{
    struct tally t = {0};
    struct tg_bytes in = tg_bytes(bytes, len);
    struct tg_edm_item item;
    do {
        in = tg_at_rest(in, tg_edm_input(&parser, in, &item));
        t.frames += item.kind == TG_EDM_ITEM_FRAME;
        t.unknown += item.kind == TG_EDM_ITEM_UNKNOWN;
        t.malformed += item.kind == TG_EDM_ITEM_MALFORMED;
        t.skipped += item.kind == TG_EDM_ITEM_SKIPPED ? item.skipped.len : 0;
        if (item.kind == TG_EDM_ITEM_FRAME)
            t.last = item.frame;
    } while (item.kind != TG_EDM_ITEM_NONE || in.len > 0);
    return t;
}

static void the_longest_frame_passes_and_one_more_does_not(void **state)
{
    static uint8_t frame[TG_EDM_FRAME_MAX + 1], data[TG_EDM_DATA_MAX + 1];
    struct tg_writer w = tg_writer_init(frame, sizeof frame);
    struct tally t;
    (void)state;
    tg_edm_init(&parser);
    assert_int_equal(tg_edm_write_data(&w, 7, tg_bytes(data, TG_EDM_DATA_MAX)), 0);
    assert_int_equal(w.len, TG_EDM_FRAME_MAX);
    t = feed(frame, w.len);
    assert_int_equal(t.frames, 1);
    assert_int_equal(t.last.channel, 7);
    w = tg_writer_init(frame, sizeof frame);
    assert_int_equal(tg_edm_write_data(&w, 7, tg_bytes(data, TG_EDM_DATA_MAX + 1)), TG_ETOOBIG);
    assert_int_equal(tg_edm_write_at_request(&w, tg_bytes(data, SIZE_MAX)), TG_ETOOBIG);
    w = tg_writer_init(frame, 9);
    assert_int_equal(tg_edm_write_at_request(&w, tg_bytes_str("AT\r\r")), TG_ETOOBIG);
    assert_int_equal(w.len, 0); /* not half of one */
}

static void a_length_that_cannot_be_is_skipped(void **state)
{
    static const uint8_t bad[] = {0xAA, 0x0F, 0xFD, 0x00, 0xAA, 0x00, 0x01,
                                  0x55, 0xAA, 0x00, 0x02, 0x00, 0x71, 0x55};
    struct tally t;
    (void)state;
    tg_edm_init(&parser);
    t = feed(bad, sizeof bad);
    assert_int_equal(t.frames, 1);
    assert_int_equal(t.last.type, TG_EDM_START);
    assert_int_equal(t.skipped, 8);
}

/* A damaged length swallows frames until its end; those that stand whole behind the next AA are all found. */
static void frames_under_a_damaged_length_are_found(void **state)
{
    uint8_t stream[64] = {0xAA, 0x00, 0x30, 0x00, 0x31};
    struct tally t;
    (void)state;
    for (size_t i = 5; i + 6 <= sizeof stream; i += 6)
        memcpy(stream + i, (const uint8_t[]){0xAA, 0x00, 0x02, 0x00, 0x71, 0x55}, 6);
    tg_edm_init(&parser);
    t = feed(stream, sizeof stream - 5);
    assert_int_equal(t.frames, 9);
    assert_int_equal(t.skipped, 5);
}

static void contents_that_do_not_fit_their_type_are_malformed(void **state)
{
    static const struct {
        uint8_t body[24];
        size_t len;
        int malformed, unknown;
    } cases[] = {
        {{0x00, 0x11}, 2, 1, 0},                                       /* connect without a channel */
        {{0x00, 0x11, 0}, 3, 1, 0},                                    /* … without a link */
        {{0x00, 0x11, 0, 1, 14, 1, 2, 3, 4, 5}, 10, 1, 0},             /* a short Bluetooth address */
        {{0x00, 0x11, 0, 1, 14, 1, 2, 3, 4, 5, 6, 0, 1, 9}, 14, 1, 0}, /* a byte too many */
        {{0x00, 0x11, 0, 2, 0, 1, 2, 3, 4, 0, 1, 1, 2, 3}, 14, 1, 0},
        {{0x00, 0x11, 0, 9, 0}, 5, 0, 1}, /* another link */
        {{0x00, 0x21}, 2, 1, 0},
        {{0x00, 0x31}, 2, 1, 0},
        {{0x00, 0x71, 0}, 3, 1, 0},
        {{0x00, 0x61, 1, 2}, 4, 0, 1}, /* iPhone event: another kind of module */
        {{0x01, 0x31, 0}, 3, 0, 1},
    };
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        uint8_t frame[40] = {0xAA, 0, (uint8_t)cases[i].len};
        struct tally t;
        memcpy(frame + 3, cases[i].body, cases[i].len);
        frame[3 + cases[i].len] = 0x55;
        tg_edm_init(&parser);
        t = feed(frame, cases[i].len + 4);
        assert_int_equal(t.frames, 0);
        assert_int_equal(t.malformed, cases[i].malformed);
        assert_int_equal(t.unknown, cases[i].unknown);
        assert_int_equal(parser.malformed_frames, cases[i].malformed);
        assert_int_equal(t.skipped, 0);
    }
}

static void addresses_are_text_for_people(void **state)
{
    struct tg_edm_connect c = {.link = TG_EDM_IPV6, .kind = 0, .remote = {0x20, 0x01, 0x0d, 0xb8, [15] = 1}};
    char text[TG_EDM_ADDRESS_TEXT];
    (void)state;
    tg_edm_address_text(&c, false, text);
    assert_string_equal(text, "2001:db8:0:0:0:0:0:1");
    memset(c.remote, 0xFF, sizeof c.remote);
    tg_edm_address_text(&c, false, text);
    assert_string_equal(text, "ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff");
    c.link = TG_EDM_BLUETOOTH;
    c.kind = 77;
    tg_edm_address_text(&c, false, text);
    assert_string_equal(text, "ffffffffffff");
    assert_string_equal(tg_edm_kind_name(&c), "other");
    assert_string_equal(tg_edm_type_name(0x1234), "unknown");
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(the_longest_frame_passes_and_one_more_does_not),
                                       cmocka_unit_test(a_length_that_cannot_be_is_skipped),
                                       cmocka_unit_test(frames_under_a_damaged_length_are_found),
                                       cmocka_unit_test(contents_that_do_not_fit_their_type_are_malformed),
                                       cmocka_unit_test(addresses_are_text_for_people)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
