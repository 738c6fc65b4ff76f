/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * JSON from the wire: what is taken, what is not and why, and the arithmetic of merge patches.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdlib.h>
#include <string.h>

#include "core/base/allocator.h"
#include "northbound/json_document.h"

static json_t *parse(const char *text)
{
    struct tg_error err = {0};
    json_t *j = tg_json_parse(tg_bytes_str(text), "it", &err);
    if (!j)
        fail_msg("%s: %s", text, err.text);
    return j;
}

static void refused(struct tg_bytes text, int code, const char *says)
{
    struct tg_error err = {0};
    assert_null(tg_json_parse(text, "it", &err));
    assert_int_equal(err.code, code);
    assert_ptr_equal(strstr(err.text, "it: "), err.text);
    if (!strstr(err.text, says))
        fail_msg("\"%s\" does not say %s", err.text, says);
}

static void is(json_t *j, const char *expected)
{
    struct tg_json_text text = {0};
    struct tg_error err = {0};
    assert_int_equal(tg_json_keep(j, 1000, "it", &text, &err), TG_OK);
    assert_int_equal(text.len, strlen(expected));
    assert_memory_equal(text.data, expected, text.len);
    tg_json_text_free(&text);
}

static void test_what_is_no_document(void **state)
{
    static const char *const no_json[] = {"",
                                          " ",
                                          "{",
                                          "{}x",
                                          "{\"a\":1,\"a\":1}",
                                          "{\"a\":1e999}",
                                          "{\"a\":99999999999999999999}",
                                          "{\"a\":\"\\u0000\"}",
                                          "{\"\\u0000\":1}",
                                          "{\"a\":\"\\ud800\"}",
                                          "{\"\xff\":1}",
                                          "{\"a\":\"\xc0\xaf\"}",
                                          "{'a':1}",
                                          "nul",
                                          "{\"a\":01}",
                                          "\xef\xbb\xbf{}"};
    static const char *const others[] = {"[]", "1", "\"{}\"", "null", "true"};
    (void)state;
    for (size_t i = 0; i < sizeof no_json / sizeof no_json[0]; i++)
        refused(tg_bytes_str(no_json[i]), TG_EPROTO, "no JSON: ");
    for (size_t i = 0; i < sizeof others / sizeof others[0]; i++)
        refused(tg_bytes_str(others[i]), TG_EPROTO, "JSON, but no object");
    refused((struct tg_bytes){0}, TG_EPROTO, "no JSON: ");
    refused(tg_bytes("{\"a\":66\0}", 9), TG_EPROTO, "NUL");
    refused(tg_bytes("\0", 1), TG_EPROTO, "NUL");
    refused(tg_bytes("{}\0", 3), TG_EPROTO, "NUL");
}

/* `depth` objects or arrays within each other, with strings that look like more. */
static char *nested(unsigned depth, bool arrays)
{
    char *text = calloc(1, 16 * (size_t)depth + 64);
    assert_non_null(text);
    strcpy(text, "{\"[[{\\\"{[\":");
    for (unsigned i = 1; i < depth; i++)
        strcat(text, arrays ? "[" : "{\"a\":");
    strcat(text, "\"[[[[{{{{\"");
    for (unsigned i = 1; i < depth; i++)
        strcat(text, arrays ? "]" : "}");
    return strcat(text, "}");
}

static void test_depth_and_size(void **state)
{
    char *text, *large = malloc(TG_JSON_MAX_BYTES + 1);
    json_t *j;
    (void)state;
    assert_non_null(large);
    for (int arrays = 0; arrays < 2; arrays++) {
        text = nested(TG_JSON_MAX_DEPTH, arrays);
        j = parse(text);
        assert_int_equal(tg_json_depth(j), TG_JSON_MAX_DEPTH);
        json_decref(j);
        free(text);
        text = nested(TG_JSON_MAX_DEPTH + 1, arrays);
        refused(tg_bytes_str(text), TG_ETOOBIG, "more than 24 levels");
        free(text);
    }
    memset(large, ' ', TG_JSON_MAX_BYTES + 1);
    memcpy(large, "{}", 2);
    j = tg_json_parse(tg_bytes(large, TG_JSON_MAX_BYTES), "it", NULL);
    assert_non_null(j);
    assert_int_equal(tg_json_depth(j), 1);
    json_decref(j);
    refused(tg_bytes(large, TG_JSON_MAX_BYTES + 1), TG_ETOOBIG, "131073 bytes");
    memset(large, '[', TG_JSON_MAX_BYTES);
    refused(tg_bytes(large, TG_JSON_MAX_BYTES), TG_ETOOBIG, "more than 24 levels");
    free(large);
}

static void test_keep(void **state)
{
    json_t *j = parse("{ \"a\" : [1, -2.5, \"\\u00e4\\\"\\n\", true, false, null, {}] }");
    struct tg_json_text text = {0};
    struct tg_error err = {0};
    (void)state;
    is(j, "{\"a\":[1,-2.5,\"\xc3\xa4\\\"\\u000a\",true,false,null,{}]}");
    assert_int_equal(tg_json_keep(j, 46, "it", &text, &err), TG_OK);
    tg_json_text_free(&text);
    assert_null(text.data);
    assert_int_equal(tg_json_keep(j, 20, "it", &text, &err), TG_ETOOBIG);
    assert_string_equal(err.text, "it: more than 20 bytes");
    tg_alloc_fail_at(1, 0);
    assert_int_equal(tg_json_keep(j, 100, "it", &text, &err), TG_ENOMEM);
    tg_alloc_fail_at(0, 0);
    assert_null(text.data);
    json_decref(j);
}

static void test_members(void **state)
{
    json_t *j = parse("{\"text\":\"x\",\"number\":7,\"less\":-1,\"real\":1.5}");
    (void)state;
    assert_string_equal(tg_json_member_text(j, "text"), "x");
    assert_null(tg_json_member_text(j, "number"));
    assert_null(tg_json_member_text(NULL, "text"));
    assert_int_equal(tg_json_member_number(j, "number"), 7);
    assert_int_equal(tg_json_member_number(j, "less"), 0);
    assert_int_equal(tg_json_member_number(j, "real"), 0);
    assert_int_equal(tg_json_member_number(NULL, "number"), 0);
    json_decref(j);
}

static void test_patches(void **state)
{
    static const struct {
        const char *have, *want, *patch;
    } cases[] = {{"{}", "{}", "{}"},
                 {"{\"a\":1}", "{}", "{\"a\":null}"},
                 {"{}", "{\"a\":{\"b\":1}}", "{\"a\":{\"b\":1}}"},
                 {"{\"a\":{\"b\":1,\"c\":2}}", "{\"a\":{\"b\":1,\"c\":3}}", "{\"a\":{\"c\":3}}"},
                 {"{\"a\":{\"b\":1}}", "{\"a\":[1]}", "{\"a\":[1]}"},
                 {"{\"a\":[1,2]}", "{\"a\":[1]}", "{\"a\":[1]}"},
                 {"{\"a\":1}", "{\"a\":{\"b\":{}}}", "{\"a\":{\"b\":{}}}"}};
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        json_t *have = parse(cases[i].have), *want = parse(cases[i].want), *patch = tg_json_diff(have, want);
        is(patch, cases[i].patch);
        assert_int_equal(tg_json_removes(patch), strstr(cases[i].patch, "null") != NULL);
        assert_int_equal(tg_json_patch(have, patch), TG_OK);
        assert_true(json_equal(have, want));
        json_decref(have);
        json_decref(want);
        json_decref(patch);
    }
}

static void test_one_patch_after_another(void **state)
{
    static const struct {
        const char *first, *second, *both; /* NULL = no single patch can */
    } cases[] = {{"{}", "{\"a\":1}", "{\"a\":1}"},
                 {"{\"a\":1}", "{\"a\":null}", "{\"a\":null}"},
                 {"{\"a\":{\"b\":1}}", "{\"a\":{\"c\":null}}", "{\"a\":{\"b\":1,\"c\":null}}"},
                 {"{\"a\":{\"b\":1}}", "{\"a\":7}", "{\"a\":7}"},
                 {"{\"a\":null}", "{\"a\":{\"b\":1}}", NULL},
                 {"{\"a\":7}", "{\"a\":{\"b\":1}}", NULL},
                 {"{\"a\":{\"b\":7}}", "{\"a\":{\"b\":{}}}", NULL}};
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        json_t *first = parse(cases[i].first), *second = parse(cases[i].second);
        assert_int_equal(tg_json_then(first, second), cases[i].both ? TG_OK : TG_ESTATE);
        if (cases[i].both)
            is(first, cases[i].both);
        json_decref(first);
        json_decref(second);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_what_is_no_document),
                                       cmocka_unit_test(test_depth_and_size),
                                       cmocka_unit_test(test_keep),
                                       cmocka_unit_test(test_members),
                                       cmocka_unit_test(test_patches),
                                       cmocka_unit_test(test_one_patch_after_another)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
