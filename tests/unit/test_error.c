/* SPDX-License-Identifier: GPL-2.0-or-later */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "core/base/bytes.h"
#include "core/base/error.h"

static void every_code_has_name_text_and_class(void **state)
{
    int seen = 0;
    (void)state;
#define X(name, value, text, retry)                                                                          \
    assert_string_equal(tg_code_name(-(value)), #name);                                                      \
    assert_string_equal(tg_code_text(-(value)), text);                                                       \
    assert_int_equal(tg_code_retry(-(value)), TG_RETRY_##retry);                                             \
    assert_int_equal(TG_E##name, -(value));                                                                  \
    seen++;
    TG_ERROR_TABLE(X)
#undef X
    assert_true(seen >= 28);
    assert_string_equal(tg_code_name(0), "OK");
    assert_string_equal(tg_code_text(0), "ok");
}

static void numbers_outside_the_table_are_harmless(void **state)
{
    static const int outside[] = {1, 5, INT_MAX, INT_MIN, INT_MIN + 1, -1000, -29};
    (void)state;
    for (size_t i = 0; i < sizeof outside / sizeof outside[0]; i++) {
        assert_string_equal(tg_code_name(outside[i]), "?");
        assert_string_equal(tg_code_text(outside[i]), "unknown error");
        assert_int_equal(tg_code_retry(outside[i]), TG_RETRY_NEVER);
    }
}

static void errno_becomes_a_code(void **state)
{
    (void)state;
    assert_int_equal(tg_code_from_errno(0), TG_OK);
    assert_int_equal(tg_code_from_errno(ENOSPC), TG_ENOSPACE);
    assert_int_equal(tg_code_from_errno(EDQUOT), TG_ENOSPACE);
    assert_int_equal(tg_code_from_errno(ENOMEM), TG_ENOMEM);
    assert_int_equal(tg_code_from_errno(EACCES), TG_EPERM);
    assert_int_equal(tg_code_from_errno(ENOENT), TG_ENOTFOUND);
    assert_int_equal(tg_code_from_errno(EEXIST), TG_EEXISTS);
    assert_int_equal(tg_code_from_errno(EAGAIN), TG_EAGAIN);
    assert_int_equal(tg_code_from_errno(EBUSY), TG_EBUSY);
    assert_int_equal(tg_code_from_errno(ETIMEDOUT), TG_ETIMEOUT);
    assert_int_equal(tg_code_from_errno(EPIPE), TG_EIO);
}

static void errors_are_wrapped_outward(void **state)
{
    struct tg_error err = {0};
    (void)state;
    assert_int_equal(tg_error_set(&err, TG_ERANGE, "value %d", 7), TG_ERANGE);
    assert_int_equal(tg_error_wrap(&err, "line %d", 3), TG_ERANGE);
    assert_int_equal(tg_error_wrap(&err, "file"), TG_ERANGE);
    assert_string_equal(err.text, "file: line 3: value 7");
    assert_int_equal(tg_error_set(NULL, TG_EIO, "nobody listens"), TG_EIO);
    assert_int_equal(tg_error_wrap(NULL, "nobody listens"), TG_EINVAL);
}

/* Every length of text and of what is put before it: never a byte too far (AddressSanitizer), always an end,
 * and no character cut in two. */
static void long_texts_are_cut_between_characters(void **state)
{
    char filler[800];
    (void)state;
    for (size_t first = 300; first < 380; first++) {
        for (size_t second = 0; second < 380; second += 19) {
            struct tg_error err = {0};
            memset(filler, 'a', sizeof filler);
            (void)tg_error_set(&err, TG_EIO, "%.*s→→→", (int)first, filler);
            assert_true(strlen(err.text) < sizeof err.text);
            assert_true(tg_utf8_valid(tg_bytes_str(err.text)));
            (void)tg_error_wrap(&err, "%.*s", (int)second, filler);
            assert_true(strlen(err.text) < sizeof err.text);
            assert_true(tg_utf8_valid(tg_bytes_str(err.text)));
            assert_true(strlen(err.text) >= sizeof err.text - 4 || first + second + 11 < sizeof err.text);
        }
    }
}

static void foreign_text_is_quoted(void **state)
{
    static const struct {
        const char *text, *quoted;
    } cases[] = {
        {"", "\"\""},
        {"plain", "\"plain\""},
        {"a\nb\x1b[1m\x7f", "\"a\\x0ab\\x1b[1m\\x7f\""},
        {"caf\xc3\xa9", "\"caf\xc3\xa9\""},
        {"caf\xe9", "\"caf\\xe9\""},
        {"aaaaaaaaaabbbbbbbbbbccccccccccddddddddddeeeeeeeeeeffffffffff",
         "\"aaaaaaaaaabbbbbbbbbbccccccccccddddddddddeeeeeeeeeeffffffffff\""},
        {"aaaaaaaaaabbbbbbbbbbccccccccccddddddddddeeeeeeeeeefffffffff\xc3\xa9",
         "\"aaaaaaaaaabbbbbbbbbbccccccccccddddddddddeeeeeeeeeefffffffff…\""},
    };
    char quoted[TG_QUOTE_BYTES], worst[300];
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++)
        assert_string_equal(tg_quote(quoted, cases[i].text, strlen(cases[i].text)), cases[i].quoted);
    assert_string_equal(tg_quote(quoted, NULL, 0), "\"\"");
    memset(worst, 0xFF, sizeof worst);
    tg_quote(quoted, worst, sizeof worst);
    assert_int_equal(strlen(quoted), 60 * 4 + 2 + strlen("…"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_code_has_name_text_and_class),
        cmocka_unit_test(numbers_outside_the_table_are_harmless),
        cmocka_unit_test(errno_becomes_a_code),
        cmocka_unit_test(errors_are_wrapped_outward),
        cmocka_unit_test(long_texts_are_cut_between_characters),
        cmocka_unit_test(foreign_text_is_quoted),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
