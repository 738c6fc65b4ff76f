/* SPDX-License-Identifier: GPL-2.0-or-later */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdio.h>

#include "core/http/http_client.h"

/* What came of feeding a whole text in pieces. */
struct outcome {
    struct tg_http_response r;
    uint8_t head[TG_HTTP_HEAD_BYTES];
    char body[4096];
    size_t body_len, left;
    int rc; /* the last result */
    bool saw_head;
};

static void feed(struct outcome *o, struct tg_bytes piece)
{
    struct tg_bytes body = {0};
    do {
        o->rc = tg_http_response_feed(&o->r, &piece, &body);
        if (o->rc == TG_HTTP_HEAD) {
            assert_false(o->saw_head);
            o->saw_head = true;
        } else if (o->rc == TG_HTTP_BODY) {
            assert_true(body.len > 0 && o->body_len + body.len < sizeof o->body);
            memcpy(o->body + o->body_len, body.data, body.len);
            o->body_len += body.len;
        }
    } while (o->rc == TG_HTTP_HEAD || o->rc == TG_HTTP_BODY);
    if (o->rc == TG_HTTP_MORE)
        assert_int_equal(piece.len, 0);
    o->left = piece.len;
}

static void run(struct outcome *o, const char *text, size_t len, size_t step, enum tg_http_kind kind)
{
    memset(o, 0, sizeof *o);
    tg_http_response_init(&o->r, o->head, sizeof o->head, kind);
    for (size_t at = 0; at < len && o->rc == TG_HTTP_MORE; at += step) {
        size_t n = len - at < step ? len - at : step;
        feed(o, tg_bytes(text + at, n));
        o->left += o->rc == TG_HTTP_END ? len - at - n : 0;
    }
    o->body[o->body_len] = '\0';
}

static const size_t steps[] = {1, 2, 3, 5, 7, 11, 64, 4096};
#define EACH_STEP(i) (size_t i = 0; i < sizeof steps / sizeof steps[0]; i++)

static void test_request(void **state)
{
    char out[512];
    struct tg_writer w = tg_writer_init(out, sizeof out);
    (void)state;
    tg_http_request_begin(&w, "POST", tg_bytes_str("/v1/projects/p/topics/t:publish"),
                          "pubsub.googleapis.com", 443, 443);
    tg_http_request_header(&w, "Content-Type", tg_bytes_str("application/json"));
    assert_int_equal(tg_http_request_end(&w, 12), TG_OK);
    assert_int_equal(tg_writer_cstr(&w), TG_OK);
    assert_string_equal(out, "POST /v1/projects/p/topics/t:publish HTTP/1.1\r\n"
                             "Host: pubsub.googleapis.com\r\n"
                             "Content-Type: application/json\r\n"
                             "Content-Length: 12\r\n\r\n");
    w = tg_writer_init(out, sizeof out);
    tg_http_request_begin(&w, "CONNECT", tg_bytes_str("[::1]:8883"), "::1", 8080, 443);
    assert_int_equal(tg_http_request_end(&w, TG_HTTP_NO_BODY), TG_OK);
    assert_int_equal(tg_writer_cstr(&w), TG_OK);
    assert_string_equal(out, "CONNECT [::1]:8883 HTTP/1.1\r\nHost: [::1]:8080\r\n\r\n");
}

static void test_request_takes_no_foreign_lines(void **state)
{
    static const char *const targets[] = {"", "/a b", "/a\r\nX: y", "/a\nb", "/\x7f", "/m\xc3\xa4h"};
    static const char least[] = "GET / HTTP/1.1\r\nHost: h\r\nContent-Length: 0\r\n\r\n";
    static const char *const values[] = {"a\r\nX: y", "a\nb", "a\rb", "a\x01"};
    char out[512];
    (void)state;
    for (size_t i = 0; i < sizeof targets / sizeof targets[0]; i++) {
        struct tg_writer w = tg_writer_init(out, sizeof out);
        tg_http_request_begin(&w, "GET", tg_bytes_str(targets[i]), "h", 80, 80);
        assert_int_equal(tg_http_request_end(&w, 0), TG_ETOOBIG);
    }
    for (size_t i = 0; i < sizeof values / sizeof values[0]; i++) {
        struct tg_writer w = tg_writer_init(out, sizeof out);
        tg_http_request_begin(&w, "GET", tg_bytes_str("/"), "h", 80, 80);
        tg_http_request_header(&w, "Authorization", tg_bytes_str(values[i]));
        assert_int_equal(tg_http_request_end(&w, 0), TG_ETOOBIG);
    }
    for (size_t cap = 0; cap < 64; cap++) {
        struct tg_writer w = tg_writer_init(out, cap);
        tg_http_request_begin(&w, "GET", tg_bytes_str("/"), "h", 80, 80);
        assert_int_equal(tg_http_request_end(&w, 0), cap < strlen(least) ? TG_ETOOBIG : TG_OK);
        assert_true(w.len <= cap);
    }
}

struct good {
    const char *text;
    enum tg_http_kind kind;
    uint16_t status;
    const char *body;
    bool keep_alive;
    size_t left;
};

static const struct good goods[] = {
    {"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}", TG_HTTP_PLAIN, 200, "{}", true, 0},
    {"HTTP/1.1 200 OK\r\ncontent-length:2\r\nX:\r\n\r\n{}HTTP/1.1 5", TG_HTTP_PLAIN, 200, "{}", true, 10},
    {"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nContent-Length: 2\r\n\r\n{}", TG_HTTP_PLAIN, 200, "{}", true,
     0},
    {"HTTP/1.1 200\r\nContent-Length: 0\r\n\r\n", TG_HTTP_PLAIN, 200, "", true, 0},
    {"HTTP/1.1 503 \r\nConnection: Keep-Alive, Close\r\nContent-Length: 1\r\n\r\nx", TG_HTTP_PLAIN, 503, "x",
     false, 0},
    {"HTTP/1.0 200 OK\r\nContent-Length: 1\r\n\r\nx", TG_HTTP_PLAIN, 200, "x", false, 0},
    {"HTTP/1.0 200 OK\r\nConnection: keep-alive\r\nContent-Length: 1\r\n\r\nx", TG_HTTP_PLAIN, 200, "x", true,
     0},
    {"HTTP/1.1 204 No Content\r\nContent-Length: 5\r\n\r\nabc", TG_HTTP_PLAIN, 204, "", true, 3},
    {"HTTP/1.1 304 Not Modified\r\n\r\n", TG_HTTP_PLAIN, 304, "", true, 0},
    {"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n", TG_HTTP_HEADLESS_BODY, 200, "", true, 0},
    {"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early Hints\r\nLink: x\r\n\r\nHTTP/1.1 200 OK\r\n"
     "Content-Length: 1\r\n\r\nx",
     TG_HTTP_PLAIN, 200, "x", true, 0},
    {"HTTP/1.1 200 OK\r\nTransfer-Encoding: "
     "Chunked\r\n\r\n3\r\nabc\r\nA;ext=\"1\"\r\n0123456789\r\n000\r\n\r\n",
     TG_HTTP_PLAIN, 200, "abc0123456789", true, 0},
    {"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n1 \r\nx\r\n0\r\nA: b\r\nC:\r\n\r\nmore",
     TG_HTTP_PLAIN, 200, "x", true, 4},
    {"HTTP/1.1 200 Connection established\r\n\r\n\x10\x01", TG_HTTP_TUNNEL, 200, "", true, 2},
    {"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\n\r\n\x82", TG_HTTP_TUNNEL, 101, "", true, 1},
    {"HTTP/1.1 407 Proxy Authentication Required\r\nContent-Length: 2\r\n\r\nno", TG_HTTP_TUNNEL, 407, "no",
     true, 0},
};

static void test_responses_in_pieces(void **state)
{
    static struct outcome o;
    (void)state;
    for (size_t i = 0; i < sizeof goods / sizeof goods[0]; i++) {
        const struct good *g = &goods[i];
        for
            EACH_STEP(k)
            {
                run(&o, g->text, strlen(g->text), steps[k], g->kind);
                if (o.rc != TG_HTTP_END)
                    print_message("%s: %s\n", g->text, o.r.reason);
                assert_int_equal(o.rc, TG_HTTP_END);
                assert_true(o.saw_head);
                assert_int_equal(o.r.status, g->status);
                assert_string_equal(o.body, g->body);
                assert_int_equal(o.r.keep_alive, g->keep_alive);
                assert_int_equal(o.left, g->left);
                assert_int_equal(tg_http_response_eof(&o.r), TG_HTTP_END);
            }
    }
}

/* A response that is cut off anywhere is never taken for a whole one. */
static void test_cut_off(void **state)
{
    static struct outcome o;
    (void)state;
    for (size_t i = 0; i < sizeof goods / sizeof goods[0]; i++) {
        size_t whole = strlen(goods[i].text) - goods[i].left;
        for (size_t n = 0; n < whole; n++) {
            run(&o, goods[i].text, n, 3, goods[i].kind);
            assert_int_equal(o.rc, TG_HTTP_MORE);
            assert_int_equal(tg_http_response_untouched(&o.r), n == 0);
            assert_int_equal(tg_http_response_eof(&o.r), TG_EEOF);
            assert_non_null(o.r.reason);
        }
    }
}

static void test_body_until_close(void **state)
{
    static const char text[] = "HTTP/1.1 200 OK\r\n\r\nabc";
    static struct outcome o;
    (void)state;
    for
        EACH_STEP(k)
        {
            run(&o, text, sizeof text - 1, steps[k], TG_HTTP_PLAIN);
            assert_int_equal(o.rc, TG_HTTP_MORE);
            assert_true(o.r.until_close);
            assert_false(o.r.keep_alive);
            assert_string_equal(o.body, "abc");
            assert_int_equal(tg_http_response_eof(&o.r), TG_HTTP_END);
        }
}

static void test_refused(void **state)
{
    static const char *const bads[] = {
        "SSH-2.0-OpenSSH\r\n\r\n",
        "\r\nHTTP/1.1 200 OK\r\n\r\n",
        "HTTP/2.0 200 OK\r\n\r\n",
        "HTTP/1.2 200 OK\r\n\r\n",
        "HTTP/1.1 20 OK\r\n\r\n",
        "HTTP/1.1 2000 OK\r\n\r\n",
        "HTTP/1.1 099 OK\r\n\r\n",
        "HTTP/1.1 600 OK\r\n\r\n",
        "HTTP/1.1  200 OK\r\n\r\n",
        "HTTP/1.1 200 OK\n\n",
        "HTTP/1.1 200 O\rK\r\n\r\n",
        "HTTP/1.1 200 O\x01K\r\n\r\n",
        "HTTP/1.1 200 OK\r\nA : b\r\n\r\n",
        "HTTP/1.1 200 OK\r\n: b\r\n\r\n",
        "HTTP/1.1 200 OK\r\nno colon\r\n\r\n",
        "HTTP/1.1 200 OK\r\nA: b\r\n folded\r\n\r\n",
        "HTTP/1.1 200 OK\r\nContent-Length: -1\r\n\r\n",
        "HTTP/1.1 200 OK\r\nContent-Length: +1\r\n\r\n",
        "HTTP/1.1 200 OK\r\nContent-Length:\r\n\r\n",
        "HTTP/1.1 200 OK\r\nContent-Length: 1, 1\r\n\r\n",
        "HTTP/1.1 200 OK\r\nContent-Length: 18446744073709551616\r\n\r\n",
        "HTTP/1.1 200 OK\r\nContent-Length: 99999999999999999999\r\n\r\n",
        "HTTP/1.1 200 OK\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\n",
        "HTTP/1.1 200 OK\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n",
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip, chunked\r\n\r\n",
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip\r\nTransfer-Encoding: chunked\r\n\r\n",
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n\r\n",
        "HTTP/1.0 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n",
        "HTTP/1.1 101 Switching Protocols\r\n\r\n",
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nx\r\n",
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n\r\n",
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n;a\r\n",
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n0x1\r\n",
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n1\nx",
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n1\r\nxy",
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n1\r\nx\rz",
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n10000000000000000\r\n",
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n0\r\nA: b\n\n",
    };
    static struct outcome o;
    (void)state;
    for (size_t i = 0; i < sizeof bads / sizeof bads[0]; i++)
        for
            EACH_STEP(k)
            {
                struct tg_bytes more = tg_bytes_str("x"), body;
                run(&o, bads[i], strlen(bads[i]), steps[k], TG_HTTP_PLAIN);
                if (o.rc != TG_EPROTO)
                    print_message("taken: %s\n", bads[i]);
                assert_int_equal(o.rc, TG_EPROTO);
                assert_non_null(o.r.reason);
                assert_false(o.r.keep_alive);
                assert_int_equal(tg_http_response_feed(&o.r, &more, &body), TG_EPROTO);
                assert_int_equal(tg_http_response_eof(&o.r), TG_EPROTO);
            }
}

static void test_bounds(void **state)
{
    static struct outcome o;
    static char text[64 * 1024];
    size_t n, at;
    (void)state;
    /* The head fits to its last byte, and not one more. */
    for (size_t extra = 0; extra < 2; extra++) {
        n = (size_t)sprintf(text, "HTTP/1.1 204 OK\r\nA: ");
        memset(text + n, 'x', TG_HTTP_HEAD_BYTES);
        at = TG_HTTP_HEAD_BYTES - 4 + extra;
        memcpy(text + at, "\r\n\r\n", 4);
        run(&o, text, at + 4, 1000, TG_HTTP_PLAIN);
        assert_int_equal(o.rc, extra ? TG_ETOOBIG : TG_HTTP_END);
    }
    n = (size_t)sprintf(text, "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n1;");
    memset(text + n, 'x', 1000);
    run(&o, text, n + 1000, 7, TG_HTTP_PLAIN);
    assert_int_equal(o.rc, TG_ETOOBIG);
    n = (size_t)sprintf(text, "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n0\r\nA: ");
    memset(text + n, 'x', 20000);
    run(&o, text, n + 20000, 7, TG_HTTP_PLAIN);
    assert_int_equal(o.rc, TG_ETOOBIG);
    for (n = 0; n < 20 * 25;)
        n += (size_t)sprintf(text + n, "HTTP/1.1 100 Continue\r\n\r\n");
    run(&o, text, n, 7, TG_HTTP_PLAIN);
    assert_int_equal(o.rc, TG_EPROTO);
}

static void test_fields(void **state)
{
    static const char text[] =
        "HTTP/1.1 429 Too Many\r\nRetry-After: \t7 \r\nX-A: 1\r\nx-a: 2\r\nX-AB: 3\r\n"
        "Connection: foo ,  KEEP-alive\r\nConnection: bar\r\nContent-Length: 0\r\n\r\n";
    static struct outcome o;
    struct tg_bytes v;
    uint32_t seconds;
    (void)state;
    run(&o, text, sizeof text - 1, 4, TG_HTTP_PLAIN);
    assert_int_equal(o.rc, TG_HTTP_END);
    assert_true(tg_bytes_eq_str(o.r.phrase, "Too Many"));
    assert_true(tg_http_response_header(&o.r, "retry-after", &v));
    assert_true(tg_bytes_eq_str(v, "7"));
    assert_true(tg_http_parse_seconds(v, &seconds));
    assert_int_equal(seconds, 7);
    assert_true(tg_http_response_header(&o.r, "X-a", &v));
    assert_true(tg_bytes_eq_str(v, "1"));
    assert_false(tg_http_response_header(&o.r, "X", &v));
    assert_true(tg_http_response_has_token(&o.r, "Connection", "keep-alive"));
    assert_true(tg_http_response_has_token(&o.r, "connection", "bar"));
    assert_false(tg_http_response_has_token(&o.r, "connection", "fo"));
    assert_false(tg_http_parse_seconds(tg_bytes_str(""), &seconds));
    assert_false(tg_http_parse_seconds(tg_bytes_str("1234567890"), &seconds));
    assert_false(tg_http_parse_seconds(tg_bytes_str("Wed, 21 Oct 2026 07:28:00 GMT"), &seconds));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_request),
        cmocka_unit_test(test_request_takes_no_foreign_lines),
        cmocka_unit_test(test_responses_in_pieces),
        cmocka_unit_test(test_cut_off),
        cmocka_unit_test(test_body_until_close),
        cmocka_unit_test(test_refused),
        cmocka_unit_test(test_bounds),
        cmocka_unit_test(test_fields),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
