/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * `tidegate decode modbus` on every vector of modbus_values.json and modbus_frames.json: the arguments a
 * person would type, the JSON that comes out.
 */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "support/fake_host.h"
#include "support/vectors.h"

static struct fake_host *host;
static const char *id;
static char output[65536];

static void out(void *user, const char *text)
{
    (void)user;
    size_t n = strlen(output);
    snprintf(output + n, sizeof output - n, "%s", text);
}

struct line {
    const char *argv[64];
    char text[64][64];
    int argc;
};

static void add(struct line *l, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
static void add(struct line *l, const char *fmt, ...)
{
    va_list ap;
    va_start(ap, fmt);
    vsnprintf(l->text[l->argc], sizeof l->text[0], fmt, ap);
    va_end(ap);
    l->argv[l->argc] = l->text[l->argc];
    l->argc++;
}

static json_t *decode(const struct line *l, int *ret_code)
{
    json_error_t why;
    output[0] = 0;
    *ret_code = fake_plugin(host)->decode(l->argc, l->argv, true, out, NULL);
    if (*ret_code == 2)
        fail_msg("%s: %s", id, output);
    char *text = strdup(output);
    json_t *root = json_loads(text, JSON_DECODE_INT_AS_REAL, &why);
    if (!root)
        fail_msg("%s: %s in %s", id, why.text, text);
    free(text);
    /* the text form works too and comes to the same answer */
    output[0] = 0;
    assert_int_equal(fake_plugin(host)->decode(l->argc, l->argv, false, out, NULL), *ret_code);
    assert_true(strlen(output) > 0);
    return root;
}

static const char *string_of(const json_t *v, const char *key, const char *absent)
{
    const char *s = json_string_value(json_object_get(v, key));
    return s && s[0] ? s : absent;
}

static void add_number(struct line *l, const char *option, const json_t *v, const char *key)
{
    const json_t *n = json_object_get(v, key);
    if (n) {
        add(l, "%s", option);
        add(l, "%.17g", json_number_value(n));
    }
}

static void add_text(struct line *l, const char *option, const json_t *v, const char *key)
{
    if (string_of(v, key, NULL)) {
        add(l, "%s", option);
        add(l, "%s", string_of(v, key, NULL));
    }
}

static void same(const json_t *got, const json_t *want, const char *what)
{
    bool equal;
    if (json_is_string(want) && json_is_real(got)) /* an integer beyond 64 signed bits */
        equal = fabs(json_real_value(got) - strtod(json_string_value(want), NULL)) < 1;
    else if (json_is_number(want))
        equal = json_is_number(got) && fabs(json_number_value(got) - json_number_value(want)) <=
                                           1e-12 * fabs(json_number_value(want));
    else
        equal = json_equal(got, want);
    if (!equal)
        fail_msg("%s: %s is %s", id, what, output);
}

static void value_vector(const json_t *v)
{
    struct line l = {.argc = 0};
    const json_t *expect = json_object_get(v, "expect"), *range = json_object_get(v, "range"), *w;
    const char *error = string_of(expect, "error", NULL);
    const char *quality = string_of(expect, "quality", error ? "bad" : "good");
    bool bits = json_array_size(json_object_get(v, "bits")) > 0;
    size_t i;
    int code;
    add_text(&l, "--type", v, "type");
    add_text(&l, "--order", v, "order");
    add_text(&l, "--half", v, "half");
    add_text(&l, "--packing", v, "byte");
    add_text(&l, "--null", v, "null");
    add_number(&l, "--scale", v, "scale");
    add_number(&l, "--offset", v, "offset");
    add_number(&l, "--bit", v, "bit");
    add_number(&l, "--length", v, "length");
    if (range) {
        add(&l, "--range");
        add(&l, "%g..%g", json_number_value(json_array_get(range, 0)),
            json_number_value(json_array_get(range, 1)));
    }
    json_array_foreach(json_object_get(v, bits ? "bits" : "words"), i, w)
    {
        if (bits)
            add(&l, "%d", (int)json_integer_value(w));
        else
            add(&l, "%s", json_string_value(w));
    }
    json_t *got = decode(&l, &code);
    assert_string_equal(string_of(got, "quality", ""), quality);
    assert_int_equal(code, strcmp(quality, "bad") == 0 ? 1 : 0);
    if (error)
        assert_string_equal(string_of(got, "error", ""), error);
    if (strcmp(quality, "bad") == 0) {
        assert_true(json_is_null(json_object_get(got, "value")));
    } else {
        same(json_object_get(got, "raw"), json_object_get(expect, "raw"), "raw");
        if (json_object_get(expect, "value"))
            same(json_object_get(got, "value"), json_object_get(expect, "value"), "value");
    }
    json_decref(got);
}

static void write_vector(const json_t *v)
{
    struct line l = {.argc = 0};
    const json_t *expect = json_object_get(v, "expect"), *value = json_object_get(v, "value");
    int code;
    add_text(&l, "--type", v, "type");
    add_text(&l, "--order", v, "order");
    add_number(&l, "--scale", v, "scale");
    add_number(&l, "--offset", v, "offset");
    add_number(&l, "--length", v, "length");
    add(&l, "--write");
    if (json_is_boolean(value))
        add(&l, "%s", json_is_true(value) ? "true" : "false");
    else if (json_is_string(value))
        add(&l, "%s", json_string_value(value));
    else
        add(&l, "%.17g", json_number_value(value));
    json_t *got = decode(&l, &code);
    if (string_of(expect, "error", NULL)) {
        assert_int_equal(code, 1);
        assert_string_equal(string_of(got, "error", ""), string_of(expect, "error", ""));
    } else {
        assert_int_equal(code, 0);
        same(json_object_get(got, "fc"), json_object_get(expect, "fc"), "fc");
        if (json_object_get(expect, "words"))
            same(json_object_get(got, "words"), json_object_get(expect, "words"), "words");
        if (json_object_get(expect, "coil"))
            same(json_object_get(got, "coil"), json_object_get(expect, "coil"), "coil");
    }
    json_decref(got);
}

static void values(void **state)
{
    (void)state;
    json_t *root = tg_vectors_load("southbound/modbus_values.json"), *v;
    size_t i;
    assert_true(json_array_size(json_object_get(root, "vectors")) > 0);
    json_array_foreach(json_object_get(root, "vectors"), i, v)
    {
        id = string_of(v, "id", "?");
        if (strcmp(string_of(v, "op", "read"), "write") == 0)
            write_vector(v);
        else
            value_vector(v);
    }
    json_decref(root);
}

static json_t *decode_frame(const char *kind, const char *request, const char *frame, int *ret_code)
{
    static char question[2048], reply[2048];
    struct line l = {.argc = 0};
    add(&l, "--frame");
    add(&l, "%s", kind);
    if (request) {
        snprintf(question, sizeof question, "%s", request);
        add(&l, "--request");
        l.argv[l.argc++] = question;
    }
    snprintf(reply, sizeof reply, "%s", frame);
    l.argv[l.argc++] = reply;
    return decode(&l, ret_code);
}

static void check_answer(const json_t *got, const json_t *expect, int code)
{
    const char *error = string_of(expect, "error", NULL);
    if (error || json_object_get(expect, "error_or_values")) {
        assert_int_equal(code, 1);
        if (error && strcmp(string_of(got, "error", ""), error) != 0)
            fail_msg("%s: %s", id, output);
        return;
    }
    if (code != 0)
        fail_msg("%s: %s", id, output);
    const char *key;
    json_t *want;
    json_object_foreach((json_t *)(uintptr_t)expect, key, want)
    {
        const json_t *have = json_object_get(got, key);
        if (json_is_array(want)) {
            assert_int_equal(json_array_size(have), json_array_size(want));
            for (size_t k = 0; k < json_array_size(want); k++)
                same(json_array_get(have, k), json_array_get(want, k), key);
        } else {
            same(have, want, key);
        }
    }
}

static void frames(void **state)
{
    (void)state;
    json_t *root = tg_vectors_load("southbound/modbus_frames.json"), *v;
    size_t i;
    int code;
    json_array_foreach(json_object_get(root, "vectors"), i, v)
    {
        for (int tcp = 0; tcp < 2; tcp++) {
            const char *kind = tcp ? "tcp" : "rtu";
            const char *request = string_of(v, tcp ? "tcp_request" : "rtu_request", NULL);
            const char *response = string_of(v, tcp ? "tcp_response" : "rtu_response", NULL);
            const json_t *expect = json_object_get(v, "expect");
            id = string_of(v, "id", "?");
            if (!request || !response)
                continue;
            json_t *got = decode_frame(kind, request, response, &code);
            check_answer(got, expect, code);
            json_decref(got);
            /* Without the request an intact answer is still an answer. */
            got = decode_frame(kind, NULL, response, &code);
            if (code == 0 && json_object_get(expect, "values"))
                check_answer(got, expect, code);
            json_decref(got);
            got = decode_frame(kind, NULL, request, &code);
            assert_int_equal(code, 0);
            json_decref(got);
        }
    }
    json_decref(root);
}

static void wrong_usage(void **state)
{
    (void)state;
    static const char *const lines[][6] = {{NULL},
                                           {"--type", NULL},
                                           {"--type", "float33", "42F6", NULL},
                                           {"--type", "float32", "42F6", NULL},
                                           {"--type", "int16", "12345", NULL},
                                           {"--type", "int16", "zz", NULL},
                                           {"--type", "int16", "--scale", "0", "0001", NULL},
                                           {"--type", "int16", "--range", "5", "0001", NULL},
                                           {"--typ", "int16", "0001", NULL},
                                           {"--frame", "ascii", "00", NULL},
                                           {"--frame", "rtu", "123", NULL},
                                           {"--frame", "rtu", NULL},
                                           {"--type", "string", "--length", "9999", "0001", NULL}};
    for (size_t i = 0; i < sizeof lines / sizeof *lines; i++) {
        int argc = 0;
        while (argc < 6 && lines[i][argc])
            argc++;
        output[0] = 0;
        if (fake_plugin(host)->decode(argc, lines[i], false, out, NULL) != 2)
            fail_msg("line %zu was accepted: %s", i, output);
        assert_non_null(strstr(output, "usage: tidegate decode modbus"));
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(values), cmocka_unit_test(frames),
                                       cmocka_unit_test(wrong_usage)};
    host = fake_host_new("modbus");
    int rc = cmocka_run_group_tests(tests, NULL, NULL);
    fake_host_free(host);
    return rc;
}
