/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * The search for a rate: what is sent, how often, and what ends it.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include "southbound/at_baud.h"

static const int64_t rates[] = {115200, 9600, 921600};
static struct tg_at_baud b;
static int64_t now_ms;

/* "115200: AT AT …" until the search waits for `until` sent probes at `at`, or ends. The story so far is returned. */
static const char *search(const char *noise, int64_t right_rate, const char *answer, uint32_t answered_probe)
{
    static char story[4096];
    size_t n = 0;
    int64_t rate = 0;
    uint32_t probes = 0;
    for (;;) {
        switch (tg_at_baud_next(&b, now_ms, &rate)) {
        case TG_AT_BAUD_SET:
            n += (size_t)snprintf(story + n, sizeof story - n, "%s%lld:", n ? " " : "", (long long)rate);
            probes = 0;
            break;
        case TG_AT_BAUD_SEND:
            n += (size_t)snprintf(story + n, sizeof story - n, ".");
            probes++;
            break;
        case TG_AT_BAUD_WAIT:
            tg_at_baud_input(&b, tg_bytes_str(noise));
            if (rate == right_rate && probes == answered_probe)
                tg_at_baud_input(&b, tg_bytes_str(answer));
            if (tg_at_baud_deadline(&b) == INT64_MAX)
                break;
            assert_int_equal(tg_at_baud_deadline(&b), now_ms + TG_AT_BAUD_WAIT_MS);
            now_ms += TG_AT_BAUD_WAIT_MS;
            break;
        case TG_AT_BAUD_FOUND:
            snprintf(story + n, sizeof story - n, " found %lld", (long long)rate);
            return story;
        case TG_AT_BAUD_NONE:
            snprintf(story + n, sizeof story - n, " none");
            return story;
        }
    }
}

static void test_search(void **state)
{
    (void)state;
    tg_at_baud_begin(&b, rates, 3, 0, now_ms);
    assert_string_equal(search("", 9600, "AT\r\r\nOK\r\n", 3), "115200:.......... 9600:... found 9600");
    assert_int_equal(tg_at_baud_deadline(&b), INT64_MAX);
    tg_at_baud_begin(&b, rates, 3, 0, now_ms);
    assert_string_equal(search("", 115200, "\r\nERROR\r\n", 1), "115200:. found 115200");
    tg_at_baud_begin(&b, rates, 3, 0, now_ms);
    assert_string_equal(search("", 921600, "OK\r\n", 10),
                        "115200:.......... 9600:.......... 921600:.......... found 921600");
    tg_at_baud_begin(&b, rates, 3, 0, now_ms);
    assert_string_equal(search("", 0, "", 0), "115200:.......... 9600:.......... 921600:.......... none");
    assert_int_equal(tg_at_baud_next(&b, now_ms, &now_ms), TG_AT_BAUD_NONE);
    tg_at_baud_begin(&b, rates, 0, 0, now_ms);
    assert_string_equal(search("", 0, "", 0), " none");
}

/* The rate of last time goes first, once. */
static void test_remembered(void **state)
{
    (void)state;
    tg_at_baud_begin(&b, rates, 3, 9600, now_ms);
    assert_string_equal(search("", 115200, "OK\r", 1), "9600:.......... 115200:. found 115200");
    tg_at_baud_begin(&b, rates, 1, 57600, now_ms);
    assert_string_equal(search("", 57600, "OK\r", 2), "57600:.. found 57600");
}

/* What a wrong rate makes of bytes is no answer, and hides none: neither open quotes nor text without an end. */
static void test_noise(void **state)
{
    static const char *const noises[] = {"\"\r\n\xff\x80", "\r\nOKOK", "xOK\r\n",
                                         "\r\nOK ",        "\r\nA",    "\x01\x02\r"};
    (void)state;
    for (size_t i = 0; i < sizeof noises / sizeof noises[0]; i++) {
        tg_at_baud_begin(&b, rates, 2, 0, now_ms);
        assert_non_null(strstr(search(noises[i], 0, "", 0), "none"));
        tg_at_baud_begin(&b, rates, 2, 0, now_ms);
        assert_string_equal(search(noises[i], 9600, "\r\nOK\r\n\r\nOK\r\n", 2),
                            "115200:.......... 9600:.. found 9600");
    }
}

static void test_skip(void **state)
{
    int64_t rate = 0;
    (void)state;
    tg_at_baud_begin(&b, rates, 2, 0, now_ms);
    assert_int_equal(tg_at_baud_next(&b, now_ms, &rate), TG_AT_BAUD_SET);
    tg_at_baud_skip(&b);
    assert_int_equal(tg_at_baud_next(&b, now_ms, &rate), TG_AT_BAUD_SET);
    assert_int_equal(rate, 9600);
    tg_at_baud_skip(&b);
    assert_int_equal(tg_at_baud_next(&b, now_ms, &rate), TG_AT_BAUD_NONE);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_search), cmocka_unit_test(test_remembered),
                                       cmocka_unit_test(test_noise), cmocka_unit_test(test_skip)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
