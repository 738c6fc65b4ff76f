/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * Every case of tests/config/bad.txt: a file that must be refused, and exactly what people read, line and
 * column included.
 */
#include <ctype.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include "core/base/allocator.h"
#include "support/config_fixture.h"

#define CASES_AT_LEAST 60

static struct tg_said said;

/* \xNN → a byte, in place. */
static size_t unescape(char *text, size_t len)
{
    size_t to = 0;
    for (size_t at = 0; at < len; at++) {
        if (len - at >= 4 && text[at] == '\\' && text[at + 1] == 'x' &&
            isxdigit((unsigned char)text[at + 2]) && isxdigit((unsigned char)text[at + 3])) {
            const char digits[3] = {text[at + 2], text[at + 3], 0};
            text[to++] = (char)strtoul(digits, NULL, 16);
            at += 3;
        } else {
            text[to++] = text[at];
        }
    }
    return to;
}

static int load(const char *text, size_t len)
{
    struct tg_config *c = NULL;
    /* Exactly as long as it is, so that AddressSanitizer sees the first byte past it. */
    char *exact = malloc(len ? len : 1);
    int rc;
    memcpy(exact, text, len);
    said = (struct tg_said){.len = 0};
    rc = tg_config_load_text("t.yaml", exact, len, &tg_fixture_lookups, tg_fixture_say, &said, &c);
    free(exact);
    if (rc == TG_OK)
        tg_config_free(c);
    return rc;
}

static int check_case(const char *name, char *body, size_t len, const char *expected)
{
    int64_t live = tg_alloc_stats().live;
    int rc = load(body, unescape(body, len)), wrong = 0;
    if (rc != TG_EINVAL) {
        print_error("%s: code %d instead of TG_EINVAL\n", name, rc);
        wrong = 1;
    }
    if (strcmp(said.text, expected) != 0) {
        print_error("%s:\nsaid:\n%sexpected:\n%s", name, said.text, expected);
        wrong = 1;
    }
    if (tg_alloc_stats().live != live) {
        print_error("%s: memory is left over\n", name);
        wrong = 1;
    }
    return wrong;
}

static void every_bad_file_says_what_is_wrong(void **state)
{
    static const char begin[] = "=== ", middle[] = "--- expected\n";
    char path[4096];
    const char *root = getenv("TIDEGATE_SOURCE");
    char *all = calloc(1, 1 << 18), *at;
    int wrong = 0, cases = 0;
    FILE *f;
    (void)state;
    snprintf(path, sizeof path, "%s/tests/config/bad.txt", root ? root : ".");
    f = fopen(path, "r");
    assert_non_null(f);
    assert_true(fread(all, 1, (1 << 18) - 1, f) > 0);
    assert_true(feof(f));
    fclose(f);
    at = strstr(all, "\n=== ");
    while (at) {
        char *name = at + 1 + strlen(begin), *body = strchr(name, '\n') + 1, *split = strstr(body, middle);
        char *expected = split + strlen(middle), *next = strstr(expected, "\n=== ");
        assert_non_null(split);
        body[-1] = '\0';
        if (next)
            next[1] = '\0';
        wrong += check_case(name, body, (size_t)(split - body), expected);
        cases++;
        if (next)
            next[1] = '='; /* it was only borrowed as an end */
        at = next;
    }
    free(all);
    assert_int_equal(wrong, 0);
    assert_true(cases >= CASES_AT_LEAST);
}

static void fifty_errors_are_shown_and_the_rest_counted(void **state)
{
    char text[8192];
    size_t len = 0;
    (void)state;
    len += (size_t)snprintf(text + len, sizeof text - len, "gateway:\n");
    for (int i = 0; i < 73; i++)
        len += (size_t)snprintf(text + len, sizeof text - len, "  unknown%d: 1\n", i);
    assert_int_equal(load(text, len), TG_EINVAL);
    assert_int_equal(said.lines, 51);
    assert_non_null(strstr(said.text, "t.yaml:51:3: unknown key \"unknown49\""));
    assert_null(strstr(said.text, "unknown50"));
    assert_non_null(strstr(said.text, "t.yaml: 23 more errors are not shown\n"));
}

/* Aliases of aliases: nine levels of nine stand for 387 million values in a few hundred bytes. */
static void a_bomb_of_aliases_is_refused(void **state)
{
    char text[2048];
    size_t len = (size_t)snprintf(text, sizeof text, "a0: &a0 [x, x, x, x, x, x, x, x, x]\n");
    (void)state;
    for (int i = 1; i <= 9; i++) {
        len += (size_t)snprintf(text + len, sizeof text - len, "a%d: &a%d [", i, i);
        for (int k = 0; k < 9; k++)
            len += (size_t)snprintf(text + len, sizeof text - len, "%s*a%d", k ? ", " : "", i - 1);
        len += (size_t)snprintf(text + len, sizeof text - len, "]\n");
    }
    assert_int_equal(load(text, len), TG_EINVAL);
    assert_non_null(strstr(said.text, "with its aliases followed the file has more than 4000000 values"));
    assert_int_equal(said.lines, 1);
}

static void assert_refused(char *text, size_t len, const char *message)
{
    assert_int_equal(load(text, len), TG_EINVAL);
    if (!strstr(said.text, message))
        print_error("%s", said.text);
    assert_non_null(strstr(said.text, message));
    free(text);
}

static void bounds_of_a_file(void **state)
{
    size_t len = 5u << 20;
    char *text = malloc(len);
    (void)state;
    memset(text, '#', len);
    assert_refused(text, len, "t.yaml:1:1: the file is larger than 4 MiB");

    text = malloc(4u << 20);
    len = (size_t)snprintf(text, 100, "a: [");
    while (len < (4u << 20) - 10)
        text[len++] = 'x', text[len++] = ',';
    text[len++] = ']';
    assert_refused(text, len, "the file has more than 1000000 values");

    text = malloc(65536);
    len = (size_t)snprintf(text, 100, "gateway:\n");
    for (int i = 0; i < 200; i++)
        len += (size_t)snprintf(text + len, 100, "  k%d: 1\n", i);
    assert_refused(text, len, "t.yaml:130:3: a mapping with more than 128 keys");

    text = malloc(65536);
    len = (size_t)snprintf(text, 100, "a:\n");
    for (int i = 0; i < 300; i++)
        len += (size_t)snprintf(text + len, 100, "  - &a%d x\n", i);
    assert_refused(text, len, "the file has more than 256 anchors");

    text = malloc(1 << 20);
    len = (size_t)snprintf(
        text, 1000,
        "clouds: [{name: hub, type: mqtt, host: h}]\nsources:\n  - name: s\n    plugin: simulator\n"
        "    devices:\n      - {id: d0, clouds: [hub], points: &p [{name: a}");
    for (int i = 0; i < 100; i++)
        len += (size_t)snprintf(text + len, 100, ", {name: a%d}", i);
    len += (size_t)snprintf(text + len, 100, "]}\n");
    for (int i = 1; i < 1000; i++)
        len += (size_t)snprintf(text + len, 100, "      - {id: d%d, clouds: [hub], points: *p}\n", i);
    assert_refused(text, len, "more than 100000 points in all");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_bad_file_says_what_is_wrong),
        cmocka_unit_test(fifty_errors_are_shown_and_the_rest_counted),
        cmocka_unit_test(a_bomb_of_aliases_is_refused),
        cmocka_unit_test(bounds_of_a_file),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
