/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * The golden frames of the extended data mode: each stream in one read, byte by byte, and in reads of 2, 3, 5 and 7 bytes; and the
 * frames that u-blox' own script sends, written anew.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>

#include <cmocka.h>

#include "southbound/at_lines.h"
#include "southbound/edm_frame.h"
#include "support/vectors.h"

#define STREAM_MAX 16384

static const char *text_of(const json_t *o, const char *key)
{
    return json_string_value(json_object_get(o, key));
}

static void check_text(const json_t *want, const char *key, const char *is, const char *id)
{
    if (json_object_get(want, key) && strcmp(text_of(want, key), is) != 0)
        fail_msg("%s: %s is %s, not %s", id, key, is, text_of(want, key));
}

static void check_number(const json_t *want, const char *key, long long is, const char *id)
{
    if (json_object_get(want, key) && json_integer_value(json_object_get(want, key)) != is)
        fail_msg("%s: %s is %lld", id, key, is);
}

static void hex_of(struct tg_bytes b, char *text)
{
    for (size_t i = 0; i < b.len; i++)
        sprintf(text + 2 * i, "%02x", b.data[i]);
    text[2 * b.len] = '\0';
}

static void check_connect(const json_t *want, const struct tg_edm_frame *f, const char *id)
{
    static const char *const links[] = {"?", "bt", "ipv4", "ipv6"};
    char remote[TG_EDM_ADDRESS_TEXT], local[TG_EDM_ADDRESS_TEXT];
    tg_edm_address_text(&f->connect, false, remote);
    tg_edm_address_text(&f->connect, true, local);
    check_text(want, "link", links[f->connect.link], id);
    check_text(want, f->connect.link == TG_EDM_BLUETOOTH ? "profile" : "protocol",
               tg_edm_kind_name(&f->connect), id);
    check_text(want, "address", remote, id);
    check_text(want, "remote", remote, id);
    check_text(want, "local", local, id);
    check_number(want, "remote_port", f->connect.remote_port, id);
    check_number(want, "local_port", f->connect.local_port, id);
    check_number(want, "frame_size", f->connect.frame_size, id);
}

static void check_frame(const json_t *want, const struct tg_edm_frame *f, const char *id)
{
    static char hex[2 * TG_EDM_FRAME_MAX + 1];
    char text[TG_EDM_FRAME_MAX + 1];
    check_number(want, "type", f->type, id);
    check_text(want, "event", tg_edm_type_name(f->type), id);
    check_number(want, "channel", f->channel, id);
    if (f->type == TG_EDM_CONNECT)
        check_connect(want, f, id);
    hex_of(f->bytes, hex);
    check_text(want, "payload", hex, id);
    snprintf(text, sizeof text, "%.*s", (int)f->bytes.len, (const char *)f->bytes.data);
    check_text(want, "text", text, id);
}

static void play(const json_t *vector, size_t step)
{
    static uint8_t stream[STREAM_MAX];
    static struct tg_edm_parser p;
    const char *id = text_of(vector, "id");
    const json_t *expect = json_object_get(vector, "expect"), *frames = json_object_get(expect, "frames");
    long len = tg_vectors_hex(text_of(vector, "hex"), stream, sizeof stream);
    size_t seen = 0, at = 0;
    assert_true(len >= 0);
    tg_edm_init(&p);
    while (at < (size_t)len) {
        struct tg_bytes in = tg_bytes(stream + at, (size_t)len - at < step ? (size_t)len - at : step);
        struct tg_edm_item item;
        at += in.len;
        do {
            in = tg_at_rest(in, tg_edm_input(&p, in, &item));
            if (item.kind == TG_EDM_ITEM_NONE || item.kind == TG_EDM_ITEM_SKIPPED)
                continue;
            assert_int_equal(item.kind, TG_EDM_ITEM_FRAME);
            check_frame(json_array_get(frames, seen++), &item.frame, id);
        } while (item.kind != TG_EDM_ITEM_NONE || in.len > 0);
    }
    const char *incomplete = text_of(json_array_get(frames, seen), "incomplete");
    if (incomplete) {
        char hex[2 * TG_EDM_FRAME_MAX + 1];
        hex_of(tg_edm_pending(&p), hex);
        assert_string_equal(hex, incomplete);
        seen++;
    }
    assert_int_equal(seen, json_array_size(frames));
    check_number(expect, "skipped_bytes", (long long)p.skipped_bytes, id);
}

static void every_stream_in_every_cut(void **state)
{
    static const size_t steps[] = {1, 2, 3, 5, 7, STREAM_MAX};
    json_t *root = tg_vectors_load("southbound/edm_frames.json"), *vector;
    size_t i;
    (void)state;
    assert_true(json_array_size(json_object_get(root, "vectors")) > 0);
    json_array_foreach(json_object_get(root, "vectors"), i, vector)
    {
        for (size_t k = 0; k < sizeof steps / sizeof steps[0]; k++)
            play(vector, steps[k]);
    }
    json_decref(root);
}

/* What the host sends is decoded and written again: the same bytes. */
static void what_is_written_is_what_the_script_sends(void **state)
{
    json_t *root = tg_vectors_load("cloud/edm_frames.json"), *vector;
    uint8_t bytes[512], again[512];
    static struct tg_edm_parser p;
    struct tg_edm_item item;
    size_t i;
    (void)state;
    json_array_foreach(json_object_get(root, "host_to_module"), i, vector)
    {
        struct tg_writer w = tg_writer_init(again, sizeof again);
        long len = tg_vectors_hex(text_of(vector, "hex"), bytes, sizeof bytes);
        tg_edm_init(&p);
        assert_int_equal(tg_edm_input(&p, tg_bytes(bytes, (size_t)len), &item), len);
        assert_int_equal(item.kind, TG_EDM_ITEM_FRAME);
        if (item.frame.type == TG_EDM_AT_REQUEST)
            assert_int_equal(tg_edm_write_at_request(&w, item.frame.bytes), 0);
        else
            assert_int_equal(tg_edm_write_data(&w, item.frame.channel, item.frame.bytes), 0);
        assert_int_equal(w.len, len);
        assert_memory_equal(again, bytes, w.len);
    }
    assert_true(i > 0);
    json_array_foreach(json_object_get(root, "module_to_host"), i, vector)
    {
        long len = tg_vectors_hex(text_of(vector, "hex"), bytes, sizeof bytes);
        tg_edm_init(&p);
        assert_int_equal(tg_edm_input(&p, tg_bytes(bytes, (size_t)len), &item), len);
        assert_int_equal(item.kind, TG_EDM_ITEM_FRAME);
    }
    json_decref(root);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(every_stream_in_every_cut),
                                       cmocka_unit_test(what_is_written_is_what_the_script_sends)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
