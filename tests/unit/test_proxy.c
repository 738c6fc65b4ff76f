/* SPDX-License-Identifier: GPL-2.0-or-later */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <string.h>

#include "core/net/proxy.h"

static void urls_are_read(void **state)
{
    static const struct {
        const char *url, *host;
        uint16_t port;
    } good[] = {{"http://proxy.example:3128", "proxy.example", 3128},
                {"http://10.0.0.1:80/", "10.0.0.1", 80},
                {"http://[fe80::1]:65535", "fe80::1", 65535},
                {"http://a:1", "a", 1}};
    static const struct {
        const char *url, *says;
    } bad[] = {{"proxy.example:3128", "does not begin with http://"},
               {"https://proxy.example:3128", "TLS, which is not supported"},
               {"socks5://proxy.example:1080", "does not begin with http://"},
               {"http://user:secret@proxy.example:3128", "proxy_password_file"},
               {"http://proxy.example", "names no port"},
               {"http://proxy.example/", "names no port"},
               {"http://:3128", "names no host"},
               {"http://[]:3128", "names no host"},
               {"http://[::1", "names no port"},
               {"http://[::1]", "names no port"},
               {"http://[::1]x:3128", "names no port"},
               {"http://proxy.example:0", "no port from 1"},
               {"http://proxy.example:65536", "no port from 1"},
               {"http://proxy.example:", "no port from 1"},
               {"http://proxy.example:31 28", "no port from 1"},
               {"http://proxy.example:3128/path", "no port from 1"},
               {"http://pro xy:3128", "neither a name nor an address"},
               {"http://pro\xC3\xA9xy:3128", "neither a name nor an address"}};
    (void)state;
    for (size_t i = 0; i < sizeof good / sizeof good[0]; i++) {
        struct tg_proxy_address a;
        struct tg_error err = {0};
        if (tg_proxy_parse(good[i].url, &a, &err) != TG_OK)
            fail_msg("%s", err.text);
        assert_string_equal(a.host, good[i].host);
        assert_int_equal(a.port, good[i].port);
    }
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        struct tg_proxy_address a = {"untouched", 7};
        struct tg_error err = {0};
        assert_int_equal(tg_proxy_parse(bad[i].url, &a, &err), TG_EINVAL);
        if (!strstr(err.text, bad[i].says))
            fail_msg("%s: %s", bad[i].url, err.text);
        assert_null(strstr(err.text, "secret"));
        assert_int_equal(a.port, 7);
    }
    char longest[300] = "http://";
    memset(longest + 7, 'a', 254);
    memcpy(longest + 7 + 254, ":1", 3);
    assert_int_equal(tg_proxy_parse(longest, &(struct tg_proxy_address){0}, NULL), TG_EINVAL);
}

static void requests_are_written(void **state)
{
    char text[TG_PROXY_REQUEST_BYTES];
    uint8_t password[TG_PROXY_PASSWORD_MAX + 1];
    struct tg_writer w = tg_writer_init(text, sizeof text);
    (void)state;
    assert_int_equal(tg_proxy_request(&w, "hub.example", 8883, NULL, tg_bytes(NULL, 0)), TG_OK);
    assert_int_equal(tg_writer_cstr(&w), TG_OK);
    assert_string_equal(text, "CONNECT hub.example:8883 HTTP/1.1\r\nHost: hub.example:8883\r\n\r\n");
    w = tg_writer_init(text, sizeof text);
    /* RFC 7617 section 2. */
    assert_int_equal(tg_proxy_request(&w, "::1", 443, "Aladdin", tg_bytes_str("open sesame")), TG_OK);
    assert_int_equal(tg_writer_cstr(&w), TG_OK);
    assert_string_equal(text, "CONNECT [::1]:443 HTTP/1.1\r\nHost: [::1]:443\r\n"
                              "Proxy-Authorization: Basic QWxhZGRpbjpvcGVuIHNlc2FtZQ==\r\n\r\n");
    memset(password, 0xFF, sizeof password);
    w = tg_writer_init(text, sizeof text);
    assert_int_equal(tg_proxy_request(&w, "h", 1, "u", tg_bytes(password, TG_PROXY_PASSWORD_MAX)), TG_OK);
    w = tg_writer_init(text, sizeof text);
    assert_int_equal(tg_proxy_request(&w, "h", 1, "u", tg_bytes(password, sizeof password)), TG_ETOOBIG);
    w = tg_writer_init(text, sizeof text);
    assert_int_equal(tg_proxy_request(&w, "h", 1, "a:b", tg_bytes_str("x")), TG_EINVAL);
    w = tg_writer_init(text, sizeof text);
    assert_int_equal(tg_proxy_request(&w, "h\r\nX: y", 1, NULL, tg_bytes(NULL, 0)), TG_ETOOBIG);
}

static void answers_are_judged(void **state)
{
    static const struct {
        const char *text;
        bool with_user;
        int code;
        const char *says;
    } cases[] = {{"HTTP/1.1 200 Connection established\r\n\r\n", false, TG_OK, ""},
                 {"HTTP/1.0 200 OK\r\n\r\n", false, TG_OK, ""},
                 {"HTTP/1.1 407 Auth\r\n\r\n", false, TG_EAUTH, "proxy_user"},
                 {"HTTP/1.1 407 Auth\r\n\r\n", true, TG_EAUTH, "refused the user name"},
                 {"HTTP/1.1 403 Policy\r\n\r\n", true, TG_EAUTH, "\"Policy\""},
                 {"HTTP/1.1 502 Bad Gateway\r\n\r\n", false, TG_ECONNECT, "hub.example:8883"},
                 {"HTTP/1.1 504 \r\n\r\n", false, TG_ECONNECT, "504"},
                 {"HTTP/1.1 405 No\r\n\r\n", false, TG_EPROTO, "does it know CONNECT"}};
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        uint8_t head[512];
        struct tg_http_response r;
        struct tg_bytes piece = tg_bytes_str(cases[i].text), body;
        struct tg_error err = {0};
        tg_http_response_init(&r, head, sizeof head, TG_HTTP_TUNNEL);
        assert_int_equal(tg_http_response_feed(&r, &piece, &body), TG_HTTP_HEAD);
        assert_int_equal(tg_proxy_check_answer(&r, "hub.example", 8883, cases[i].with_user, &err),
                         cases[i].code);
        if (!strstr(err.text, cases[i].says))
            fail_msg("case %zu: %s", i, err.text);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(urls_are_read),
        cmocka_unit_test(requests_are_written),
        cmocka_unit_test(answers_are_judged),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
