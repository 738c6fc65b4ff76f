/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * Retry-After in answers (RFC 9110 sections 10.2.3, 5.6.7): what is a time to wait, what is not, and the bound.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdio.h>
#include <string.h>

#include "core/http/retry_after.h"

#define NOW_S INT64_C(784111777) /* Sun, 06 Nov 1994 08:49:37 GMT, the RFC's example */

static void test_dates(void **state)
{
    static const struct {
        const char *text;
        int64_t s; /* -1 = not a date */
    } cases[] = {
        {"Sun, 06 Nov 1994 08:49:37 GMT", NOW_S},
        {"Sun Nov  6 08:49:37 1994", NOW_S},
        {"Sunday, 06-Nov-94 08:49:37 GMT", NOW_S + INT64_C(86400) * 36525}, /* 2094 */
        {"Thu, 01 Jan 1970 00:00:00 GMT", 0},
        {"Wed, 31 Dec 1969 23:59:59 GMT", -1},
        {"Sat, 21 Nov 2026 13:00:00 GMT", 1795266000},
        {"Tue, 29 Feb 2028 00:00:00 GMT", 1835395200},
        {"Tue, 19 Jan 2038 03:14:08 GMT", INT64_C(2147483648)},
        {"Sat, 31 Dec 2016 23:59:60 GMT", 1483228800},
        {"Fri, 31 Dec 9999 23:59:59 GMT", INT64_C(253402300799)},
    };
    static const char *const bad[] = {"",
                                      "Sun, 06 Nov 1994 08:49:37",
                                      "Sun, 06 Nov 1994 08:49:37 UTC",
                                      "Sun, 06 Nov 1994 08:49:37 GMT ",
                                      " Sun, 06 Nov 1994 08:49:37 GMT",
                                      "sun, 06 nov 1994 08:49:37 gmt",
                                      "Sun, 6 Nov 1994 08:49:37 GMT",
                                      "Sun,  6 Nov 1994 08:49:37 GMT",
                                      "Sun, 00 Nov 1994 08:49:37 GMT",
                                      "Sun, 31 Nov 1994 08:49:37 GMT",
                                      "Sun, 29 Feb 2027 08:49:37 GMT",
                                      "Sun, 29 Feb 2100 08:49:37 GMT",
                                      "Sun, 06 Nov 1994 24:00:00 GMT",
                                      "Sun, 06 Nov 1994 08:60:37 GMT",
                                      "Sun, 06 Nov 1994 08:49:61 GMT",
                                      "Sun, 06 Nov -994 08:49:37 GMT",
                                      "Sun, 06 Nov 19940 08:49:37 GMT",
                                      "Son, 06 Nov 1994 08:49:37 GMT",
                                      "Sun, 06 Okt 1994 08:49:37 GMT",
                                      "Sun, 06-Nov-94 08:49:37 GMT",
                                      "Sunday, 06-Nov-1994 08:49:37 GMT",
                                      "Sun Nov  6 08:49:37 1994 GMT",
                                      "Sun Nov x6 08:49:37 1994",
                                      "1994-11-06T08:49:37Z",
                                      "120"};
    int64_t s;
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        s = 12345;
        if (!tg_http_parse_date(tg_bytes_str(cases[i].text), &s) || s != cases[i].s)
            fail_msg("\"%s\" is %lld", cases[i].text, (long long)s);
    }
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++)
        if (tg_http_parse_date(tg_bytes_str(bad[i]), &s))
            fail_msg("\"%s\" was taken for a date", bad[i]);
    /* Cut anywhere, or with any one byte changed to something that no date has there. */
    for (size_t i = 0; i < strlen(cases[0].text); i++) {
        char text[32];
        assert_false(tg_http_parse_date(tg_bytes((const uint8_t *)cases[0].text, i), &s));
        strcpy(text, cases[0].text);
        text[i] = '\x80';
        assert_false(tg_http_parse_date(tg_bytes_str(text), &s));
    }
}

static int look(const char *fields, int64_t now_s, uint32_t *ret_seconds)
{
    static uint8_t head[TG_HTTP_HEAD_BYTES];
    char text[512];
    struct tg_http_response r;
    struct tg_bytes piece, body;
    int n = snprintf(text, sizeof text, "HTTP/1.1 503 Busy\r\n%sContent-Length: 0\r\n\r\n", fields);
    tg_http_response_init(&r, head, sizeof head, TG_HTTP_TUNNEL);
    piece = tg_bytes((const uint8_t *)text, (size_t)n);
    assert_int_equal(tg_http_response_feed(&r, &piece, &body), TG_HTTP_HEAD);
    return tg_http_retry_after(&r, now_s, ret_seconds);
}

static void test_waits(void **state)
{
    static const struct {
        const char *fields;
        int64_t now_s;
        int rc;
        uint32_t seconds;
    } cases[] = {
        {"", NOW_S, 0, 0},
        {"Retry-After: 120\r\n", 0, 1, 120},
        {"retry-after:  0 \r\n", 0, 1, 0},
        {"Retry-After: 999999999\r\n", 0, 1, TG_HTTP_LONGEST_WAIT_S},
        {"Retry-After: 9999999999\r\n", NOW_S, TG_EPROTO, 0},
        {"Retry-After: -1\r\n", NOW_S, TG_EPROTO, 0},
        {"Retry-After: 1.5\r\n", NOW_S, TG_EPROTO, 0},
        {"Retry-After: 0x10\r\n", NOW_S, TG_EPROTO, 0},
        {"Retry-After: soon\r\n", NOW_S, TG_EPROTO, 0},
        {"Retry-After: \r\n", NOW_S, TG_EPROTO, 0},
        /* dates: by the server's clock, by ours, by none */
        {"Retry-After: Sun, 06 Nov 1994 08:51:37 GMT\r\n", NOW_S, 1, 120},
        {"Retry-After: Sun, 06 Nov 1994 08:51:37 GMT\r\n", 0, TG_EPROTO, 0},
        {"Retry-After: Sun, 06 Nov 1994 08:51:37 GMT\r\nDate: Sun, 06 Nov 1994 08:51:07 GMT\r\n", 0, 1, 30},
        {"Retry-After: Sun, 06 Nov 1994 08:51:37 GMT\r\nDate: Sun, 06 Nov 1994 08:51:07 GMT\r\n", NOW_S, 1,
         30},
        {"Retry-After: Sun, 06 Nov 1994 08:51:37 GMT\r\nDate: yesterday\r\n", NOW_S, 1, 120},
        {"Retry-After: Sun, 06 Nov 1994 08:49:36 GMT\r\n", NOW_S, 1, 0},
        {"Retry-After: Fri, 31 Dec 9999 23:59:59 GMT\r\n", NOW_S, 1, TG_HTTP_LONGEST_WAIT_S},
    };
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        uint32_t seconds = 0;
        int rc = look(cases[i].fields, cases[i].now_s, &seconds);
        if (rc != cases[i].rc || seconds != cases[i].seconds)
            fail_msg("%s: %d, %u s", cases[i].fields, rc, seconds);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_dates),
        cmocka_unit_test(test_waits),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
