/* SPDX-License-Identifier: GPL-2.0-or-later */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <cmocka.h>

#include "northbound/mqtt_template.h"

static void test_expand(void **state)
{
    static const struct tg_mqtt_names names = {"d1", "site", "flow"}, no_point = {"d1", "site", NULL};
    static const char *const cases[][2] = {{"", ""},
                                           {"{device}", "d1"},
                                           {"{gateway}/{device}/{point}", "site/d1/flow"},
                                           {"{device}{device}", "d1d1"},
                                           {"{", "{"},
                                           {"{devic}{device", "{devic}{device"},
                                           {"{{device}}", "{d1}"}};
    char out[64];
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct tg_writer w = tg_writer_init(out, sizeof out);
        tg_mqtt_template_expand(&w, cases[i][0], &names);
        assert_int_equal(tg_writer_cstr(&w), 0);
        assert_string_equal(out, cases[i][1]);
        assert_int_equal(tg_mqtt_template_bytes(cases[i][0], 2, 4, 4), strlen(cases[i][1]));
    }
    struct tg_writer w = tg_writer_init(out, sizeof out);
    tg_mqtt_template_expand(&w, "{point}", &no_point);
    assert_int_equal(tg_writer_cstr(&w), 0);
    assert_string_equal(out, "{point}");
    w = tg_writer_init(out, 3);
    tg_mqtt_template_expand(&w, "{gateway}", &names);
    assert_true(w.failed);
}

static void test_filters(void **state)
{
    static const struct {
        const char *filter, *topic;
        bool matches;
    } cases[] = {
        {"a/b", "a/b", true},     {"a/b", "a/bc", false},     {"a/b", "a", false},    {"a/+", "a/b", true},
        {"a/+", "a/", true},      {"a/+", "a/b/c", false},    {"+/+", "a/b", true},   {"+", "a/b", false},
        {"#", "a/b/c", true},     {"a/#", "a", true},         {"a/#", "a/", true},    {"a/#", "ab", false},
        {"a/+/c", "a/b/c", true}, {"a/+/c", "a/b/d", false},  {"a/+/#", "a/b", true}, {"#", "$SYS/x", false},
        {"+/x", "$SYS/x", false}, {"$SYS/#", "$SYS/x", true}, {"/a", "a", false},     {"+/a", "/a", true},
        {"", "", true},           {"a", "", false},           {"", "a", false},       {"a/#", "", false}};
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++)
        if (tg_mqtt_filter_matches(tg_bytes_str(cases[i].filter), tg_bytes_str(cases[i].topic)) !=
            cases[i].matches)
            fail_msg("\"%s\" and \"%s\"", cases[i].filter, cases[i].topic);
}

/* The device that is found is one whose expansion, as a filter, matches the topic; with every device and template. */
static void test_device_is_the_inverse(void **state)
{
    static const char *const templates[] = {"{device}",
                                            "{device}/x",
                                            "x/{device}",
                                            "x-{device}-y/#",
                                            "+/{device}/{gateway}",
                                            "{gateway}{device}",
                                            "a/{device}{gateway}/+/#",
                                            "{device}/#",
                                            "/{device}/"};
    static const char *const devices[] = {"d", "site", "d-y", "x", "sitesite", "1234567890", "-"};
    (void)state;
    for (size_t t = 0; t < sizeof templates / sizeof templates[0]; t++)
        for (size_t d = 0; d < sizeof devices / sizeof devices[0]; d++) {
            struct tg_mqtt_names names = {devices[d], "site", NULL};
            uint8_t memory[128];
            struct tg_writer w = tg_writer_init(memory, sizeof memory);
            struct tg_bytes found;
            tg_mqtt_template_expand(&w, templates[t], &names);
            for (size_t i = 0; i < w.len; i++) /* wildcards become something */
                memory[i] = memory[i] == '+' || memory[i] == '#' ? 'w' : memory[i];
            uint8_t *tight = malloc(w.len);
            assert_non_null(tight);
            memcpy(tight, memory, w.len);
            found = tg_mqtt_template_device(templates[t], "site", tg_bytes(tight, w.len));
            if (!tg_bytes_eq_str(found, devices[d]))
                fail_msg("%s: \"%.*s\" gives \"%.*s\", not %s", templates[t], (int)w.len, (char *)tight,
                         (int)found.len, (const char *)found.data, devices[d]);
            for (size_t n = 0; n < w.len;
                 n++) /* what is cut off matches or not, but stays within its bounds */
                (void)tg_mqtt_template_device(templates[t], "site", tg_bytes(tight + w.len - n, n));
            free(tight);
        }
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_expand), cmocka_unit_test(test_filters),
                                       cmocka_unit_test(test_device_is_the_inverse)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
