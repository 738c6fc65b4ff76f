/* SPDX-License-Identifier: GPL-2.0-or-later */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <string.h>

#include "core/base/glob.h"
#include "core/base/sample.h"

static void patterns(void **state)
{
    static const struct {
        const char *pattern, *text;
        bool matches;
    } cases[] = {
        {"", "", true},
        {"", "a", false},
        {"*", "", true},
        {"*", "abc", true},
        {"?", "", false},
        {"?", "a", true},
        {"?", "ab", false},
        {"a4c1*", "a4c138000001", true},
        {"a4c1*", "a4c1", true},
        {"a4c1*", "a4c", false},
        {"a4c1*", "xa4c1", false},
        {"*c1", "a4c1", true},
        {"*c1", "a4c1c1", true},
        {"*c1", "a4c1x", false},
        {"a*b*c", "aXbYc", true},
        {"a*b*c", "aXbY", false},
        {"a*b*c", "abcbc", true},
        {"a??d", "abcd", true},
        {"a??d", "abd", false},
        {"**a", "bba", true},
        {"a**", "a", true},
        {"*?", "", false},
        {"*?", "a", true},
        {"?*?", "a", false},
        {"A4*", "a4c1", false},
        {"[ab]", "a", false},
        {"[ab]", "[ab]", true},
        {"*a*a*b", "aaaaaaaaab", true},
    };
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++)
        if (tg_glob_match(cases[i].pattern, cases[i].text) != cases[i].matches)
            fail_msg("%s against %s", cases[i].pattern, cases[i].text);
}

/* Not exponential: 60 stars against what never matches. */
static void a_hostile_pattern_ends(void **state)
{
    char pattern[130], text[129];
    (void)state;
    for (int i = 0; i < 128; i += 2)
        memcpy(pattern + i, "*a", 2);
    strcpy(pattern + 128, "b");
    memset(text, 'a', 128);
    text[128] = '\0';
    assert_false(tg_glob_match(pattern, text));
}

static void any_of_a_list(void **state)
{
    static const char *const list[] = {"a4*", "ruuvi-??"};
    (void)state;
    assert_true(tg_glob_match_any(list, 2, "ruuvi-07"));
    assert_false(tg_glob_match_any(list, 1, "ruuvi-07"));
    assert_false(tg_glob_match_any(list, 0, "a4"));
}

static void names(void **state)
{
    char longest[TG_NAME_MAX_BYTES + 2];
    (void)state;
    assert_true(tg_name_is_valid("a4:c1:38:00:00:01"));
    assert_true(tg_name_is_valid("_x@y.z-1"));
    assert_false(tg_name_is_valid(""));
    assert_false(tg_name_is_valid("-a"));
    assert_false(tg_name_is_valid(":a"));
    assert_false(tg_name_is_valid("a b"));
    assert_false(tg_name_is_valid("a/b"));
    assert_false(tg_name_is_valid("\xc3\xa4"));
    memset(longest, 'a', sizeof longest);
    longest[TG_NAME_MAX_BYTES] = '\0';
    assert_true(tg_name_is_valid(longest));
    longest[TG_NAME_MAX_BYTES] = 'a';
    longest[TG_NAME_MAX_BYTES + 1] = '\0';
    assert_false(tg_name_is_valid(longest));
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(patterns), cmocka_unit_test(a_hostile_pattern_ends),
                                       cmocka_unit_test(any_of_a_list), cmocka_unit_test(names)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
