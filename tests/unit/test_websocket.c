/* SPDX-License-Identifier: GPL-2.0-or-later */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/net/websocket.h"

/* --- upgrade: the example of RFC 6455 section 1.3 ---------------------------------------------------- */

static const uint8_t *const nonce = (const uint8_t *)"the sample nonce";

static void the_request(void **state)
{
    char text[512];
    struct tg_writer w = tg_writer_init(text, sizeof text);
    (void)state;
    assert_int_equal(tg_ws_request(&w, "hub.example", 443, true, "/$iothub/websocket", nonce), TG_OK);
    assert_int_equal(tg_writer_cstr(&w), TG_OK);
    assert_string_equal(text, "GET /$iothub/websocket HTTP/1.1\r\nHost: hub.example\r\nUpgrade: websocket\r\n"
                              "Connection: Upgrade\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n"
                              "Sec-WebSocket-Version: 13\r\nSec-WebSocket-Protocol: mqtt\r\n\r\n");
    w = tg_writer_init(text, sizeof text);
    assert_int_equal(tg_ws_request(&w, "::1", 8080, false, "/mqtt", nonce), TG_OK);
    assert_int_equal(tg_writer_cstr(&w), TG_OK);
    assert_non_null(strstr(text, "Host: [::1]:8080\r\n"));
    w = tg_writer_init(text, 100);
    assert_int_equal(tg_ws_request(&w, "hub.example", 443, true, "/mqtt", nonce), TG_ETOOBIG);
}

static int answer(const char *text, struct tg_error *err)
{
    static uint8_t head[2048];
    struct tg_http_response r;
    struct tg_bytes piece = tg_bytes_str(text), body;
    tg_http_response_init(&r, head, sizeof head, TG_HTTP_TUNNEL);
    assert_int_equal(tg_http_response_feed(&r, &piece, &body), TG_HTTP_HEAD);
    *err = (struct tg_error){0};
    return tg_ws_check_answer(&r, nonce, "/mqtt", err);
}

#define SWITCH "HTTP/1.1 101 Switching Protocols\r\n"
#define UP     "Upgrade: websocket\r\nConnection: Upgrade\r\n"
#define ACCEPT "Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n"
#define MQTT   "Sec-WebSocket-Protocol: mqtt\r\n"

static void answers_are_judged(void **state)
{
    static const struct {
        const char *text;
        int code;
        const char *says;
    } cases[] = {
        {SWITCH UP ACCEPT MQTT "\r\n", TG_OK, ""},
        {SWITCH "upgrade: WebSocket\r\nconnection: keep-alive, UPGRADE\r\n" ACCEPT MQTT "\r\n", TG_OK, ""},
        {SWITCH ACCEPT MQTT "\r\n", TG_EPROTO, "another protocol"},
        {SWITCH "Upgrade: h2c\r\nConnection: Upgrade\r\n" ACCEPT MQTT "\r\n", TG_EPROTO, "another protocol"},
        {SWITCH UP MQTT "\r\n", TG_EPROTO, "wrong answer"},
        {SWITCH UP "Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xO0=\r\n" MQTT "\r\n", TG_EPROTO,
         "wrong answer"},
        {SWITCH UP ACCEPT "\r\n", TG_EPROTO, "not MQTT"},
        {SWITCH UP ACCEPT "Sec-WebSocket-Protocol: amqp\r\n\r\n", TG_EPROTO, "\"amqp\""},
        {SWITCH UP ACCEPT MQTT "Sec-WebSocket-Extensions: permessage-deflate\r\n\r\n", TG_EPROTO,
         "extensions"},
        {"HTTP/1.1 401 Unauthorized\r\n\r\n", TG_EAUTH, "401 \"Unauthorized\""},
        {"HTTP/1.1 403 Forbidden\r\n\r\n", TG_EAUTH, "403"},
        {"HTTP/1.1 404 Not Found\r\n\r\n", TG_EPROTO, "is the path right"},
        {"HTTP/1.1 302 Found\r\nLocation: /x\r\n\r\n", TG_EPROTO, "redirects"},
        {"HTTP/1.1 429 Slow down\r\n\r\n", TG_ECONNECT, "429"},
        {"HTTP/1.1 503 \r\n\r\n", TG_ECONNECT, "503"},
        {"HTTP/1.1 200 OK\r\n\r\n", TG_EPROTO, "200"},
    };
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct tg_error err;
        int rc = answer(cases[i].text, &err);
        if (rc != cases[i].code || !strstr(err.text, cases[i].says))
            fail_msg("case %zu: %d %s", i, rc, err.text);
    }
}

/* --- writing ------------------------------------------------------------------------------------------ */

static void frames_are_written(void **state)
{
    static const uint8_t mask[4] = {0x37, 0xfa, 0x21, 0x3d};
    static const struct {
        uint64_t len;
        size_t head;
        uint8_t bytes[10];
    } cases[] = {{0, 6, {0x82, 0x80}},
                 {125, 6, {0x82, 0xFD}},
                 {126, 8, {0x82, 0xFE, 0, 126}},
                 {65535, 8, {0x82, 0xFE, 0xFF, 0xFF}},
                 {65536, 14, {0x82, 0xFF, 0, 0, 0, 0, 0, 1, 0, 0}}};
    uint8_t out[TG_WS_HEAD_MAX_BYTES], text[] = "Hello";
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        assert_int_equal(tg_ws_write_head(out, TG_WS_OP_BINARY, cases[i].len, mask), cases[i].head);
        assert_memory_equal(out, cases[i].bytes, cases[i].head - 4);
        assert_memory_equal(out + cases[i].head - 4, mask, 4);
    }
    /* RFC 6455 section 5.7: a masked "Hello". */
    tg_ws_mask(text, tg_bytes(text, 5), mask, 0);
    assert_memory_equal(text, "\x7f\x9f\x4d\x51\x58", 5);
}

static void masks_go_on_over_pieces(void **state)
{
    static const uint8_t mask[4] = {1, 2, 4, 8};
    uint8_t in[64], out[64];
    (void)state;
    for (size_t i = 0; i < sizeof in; i++)
        in[i] = (uint8_t)(i * 7);
    for (size_t step = 1; step <= sizeof in; step++) {
        for (size_t at = 0; at < sizeof in; at += step) {
            size_t n = sizeof in - at < step ? sizeof in - at : step;
            tg_ws_mask(out + at, tg_bytes(in + at, n), mask, at);
        }
        for (size_t i = 0; i < sizeof in; i++)
            assert_int_equal(out[i], in[i] ^ mask[i % 4]);
    }
}

/* --- reading ------------------------------------------------------------------------------------------- */

/* What comes of a stream of frames, read in pieces of `step` bytes, as a text: data as it is, P(…) and C(code …). */
static int read_all(const uint8_t *in, size_t len, size_t step, char *ret_story, const char **ret_reason)
{
    struct tg_ws_reader r = {0};
    size_t n = 0;
    int rc = TG_WS_MORE;
    for (size_t at = 0; at < len && rc >= 0; at += step) {
        size_t left = len - at < step ? len - at : step;
        uint8_t *exact = malloc(left);
        memcpy(exact, in + at, left);
        struct tg_bytes piece = tg_bytes(exact, left), data;
        while ((rc = tg_ws_read(&r, &piece, &data)) > TG_WS_MORE) {
            if (rc == TG_WS_DATA) {
                memcpy(ret_story + n, data.data, data.len);
                n += data.len;
            } else if (rc == TG_WS_PING) {
                n += (size_t)sprintf(ret_story + n, "P(%.*s)", r.control_len, (const char *)r.control);
            } else {
                n += (size_t)sprintf(ret_story + n, "C(%u%.*s)", r.close_code,
                                     r.control_len > 2 ? r.control_len - 2 : 0, (const char *)r.control + 2);
            }
        }
        assert_true(rc < 0 || piece.len == 0);
        free(exact);
    }
    ret_story[n] = '\0';
    *ret_reason = r.reason;
    if (rc < 0) { /* and it stays so */
        struct tg_bytes piece = tg_bytes("\x82\x00", 2), data;
        assert_int_equal(tg_ws_read(&r, &piece, &data), rc);
    }
    return rc;
}

static void frames_are_read_in_any_pieces(void **state)
{
    static const char in[] = "\x82\x05Hello" /* one frame */
                             "\x82\x00"      /* an empty one */
                             "\x02\x03 wo"   /* a message in three fragments, a ping and a pong between */
                             "\x89\x02hi"
                             "\x00\x02rl"
                             "\x8a\x00"
                             "\x89\x00"
                             "\x80\x01"
                             "d"
                             "\x82\x7e\x00\x7e" /* 126 bytes follow */
                             "0123456789012345678901234567890123456789012345678901234567890123456789"
                             "01234567890123456789012345678901234567890123456789012345"
                             "\x88\x08\x03\xe9going!"
                             "\x82\x01x"; /* after the end: nothing */
    static const char story[] = "Hello woP(hi)rlP()d"
                                "0123456789012345678901234567890123456789012345678901234567890123456789"
                                "01234567890123456789012345678901234567890123456789012345"
                                "C(1001going!)";
    static const size_t steps[] = {1, 2, 3, 5, 7, 11, 64, sizeof in};
    (void)state;
    for (size_t i = 0; i < sizeof steps / sizeof steps[0]; i++) {
        char got[1024];
        const char *reason;
        assert_int_equal(read_all((const uint8_t *)in, sizeof in - 1, steps[i], got, &reason), TG_WS_MORE);
        assert_string_equal(got, story);
    }
}

static void what_is_forbidden_is_refused(void **state)
{
#define CASE(bytes, code, says)                                                                              \
    {                                                                                                        \
        bytes, sizeof bytes - 1, code, says                                                                  \
    }
    static const struct {
        const char *bytes;
        size_t len;
        int code;
        const char *says;
    } cases[] = {
        CASE("\xc2\x01x", TG_EPROTO, "reserved bits"),
        CASE("\x92\x01x", TG_EPROTO, "reserved bits"),
        CASE("\x82\x81\0\0\0\0x", TG_EPROTO, "masked"),
        CASE("\x81\x01x", TG_EPROTO, "text"),
        CASE("\x83\x01x", TG_EPROTO, "does not exist"),
        CASE("\x8b\x01x", TG_EPROTO, "does not exist"),
        CASE("\x80\x01x", TG_EPROTO, "continuation of nothing"),
        CASE("\x02\x01x\x82\x01x", TG_EPROTO, "within another"),
        CASE("\x09\x01x", TG_EPROTO, "control frame"),
        CASE("\x89\x7e\x00\x80", TG_EPROTO, "control frame"),
        CASE("\x82\x7e\x00\x7d", TG_EPROTO, "not the shortest"),
        CASE("\x82\x7f\0\0\0\0\0\0\xff\xff", TG_EPROTO, "not the shortest"),
        CASE("\x82\x7f\x80\0\0\0\0\0\0\0", TG_ETOOBIG, "larger than any"),
        CASE("\x82\x7f\0\0\0\0\x10\0\0\x01", TG_ETOOBIG, "larger than any"),
        CASE("\x88\x01x", TG_EPROTO, "code that does not exist"),
        CASE("\x88\x02\x03\xed", TG_EPROTO, "code that does not exist"), /* 1005 */
        CASE("\x88\x02\x00\x00", TG_EPROTO, "code that does not exist"),
        CASE("\x88\x03\x03\xe8\xff", TG_EPROTO, "UTF-8"),
    };
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++)
        for (size_t step = 1; step <= cases[i].len; step++) {
            char got[256];
            const char *reason = "";
            int rc = read_all((const uint8_t *)cases[i].bytes, cases[i].len, step, got, &reason);
            if (rc != cases[i].code || !strstr(reason, cases[i].says))
                fail_msg("case %zu in steps of %zu: %d %s", i, step, rc, reason ? reason : "");
        }
}

static void close_frames_without_a_code(void **state)
{
    char got[64];
    const char *reason;
    (void)state;
    assert_int_equal(read_all((const uint8_t *)"\x88\x00\xff\xff", 4, 1, got, &reason), TG_WS_MORE);
    assert_string_equal(got, "C(0)");
    assert_string_equal(tg_ws_close_text(1001), "going away");
    assert_string_equal(tg_ws_close_text(4000), "");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_request),
        cmocka_unit_test(answers_are_judged),
        cmocka_unit_test(frames_are_written),
        cmocka_unit_test(masks_go_on_over_pieces),
        cmocka_unit_test(frames_are_read_in_any_pieces),
        cmocka_unit_test(what_is_forbidden_is_refused),
        cmocka_unit_test(close_frames_without_a_code),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
