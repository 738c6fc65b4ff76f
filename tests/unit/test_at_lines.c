/* SPDX-License-Identifier: GPL-2.0-or-later */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include "southbound/at_lines.h"

/* What came out, as a story: [line] (payload) > for a prompt, ! for an overlong line. */
struct story {
    struct tg_at_lines lines;
    char text[8192];
    size_t len;
};

static void tell(struct story *s, char open, struct tg_bytes b, char close)
{
    assert_true(s->len + b.len + 3 < sizeof s->text);
    if (open)
        s->text[s->len++] = open;
    if (b.len > 0)
        memcpy(s->text + s->len, b.data, b.len);
    s->len += b.len;
    if (close)
        s->text[s->len++] = close;
    s->text[s->len] = 0;
}

/* Payload is announced by a line "=N". */
static void feed(struct story *s, struct tg_bytes in)
{
    struct tg_at_item item;
    while (in.len > 0 || tg_at_lines_more(&s->lines)) {
        size_t n = tg_at_lines_input(&s->lines, in, &item);
        in = tg_at_rest(in, n);
        if (item.kind == TG_AT_ITEM_LINE) {
            tell(s, '[', item.bytes, ']');
            if (item.bytes.data[0] == '=')
                tg_at_lines_payload(&s->lines, (size_t)(item.bytes.data[1] - '0'));
        } else if (item.kind == TG_AT_ITEM_PAYLOAD) {
            tell(s, 0, item.bytes, 0);
        } else if (item.kind == TG_AT_ITEM_PROMPT) {
            tell(s, '>', tg_bytes(NULL, 0), 0);
        } else if (item.kind == TG_AT_ITEM_OVERLONG) {
            tell(s, '!', tg_bytes(NULL, 0), 0);
        }
    }
}

/* `in` cut into reads of `chunk` bytes. */
static void feed_in_chunks(struct story *s, const void *in, size_t len, size_t chunk)
{
    const uint8_t *p = in;
    while (len > 0) {
        size_t n = chunk < len ? chunk : len;
        uint8_t *exact = malloc(n);
        memcpy(exact, p, n);
        feed(s, tg_bytes(exact, n));
        free(exact);
        p += n;
        len -= n;
    }
}

static void expect_n(const void *in, size_t len, const char *prompt, const char *want)
{
    for (size_t chunk = 1; chunk <= len; chunk++) {
        struct story s = {.len = 0};
        tg_at_lines_init(&s.lines);
        tg_at_lines_expect(&s.lines, prompt);
        feed_in_chunks(&s, in, len, chunk);
        assert_string_equal(s.text, want);
    }
    for (size_t cut = 1; cut < len; cut++) { /* every boundary */
        struct story s = {.len = 0};
        tg_at_lines_init(&s.lines);
        tg_at_lines_expect(&s.lines, prompt);
        feed(&s, tg_bytes(in, cut));
        feed(&s, tg_bytes((const uint8_t *)in + cut, len - cut));
        assert_string_equal(s.text, want);
    }
}

#define EXPECT(in, want)           expect_n(in, sizeof(in) - 1, NULL, want)
#define EXPECT_PROMPT(in, p, want) expect_n(in, sizeof(in) - 1, p, want)

static void test_line_ends(void **state)
{
    (void)state;
    EXPECT("\r\na\r\n\r\nOK\r\n", "[a][OK]");
    EXPECT("a\rOK\r", "[a][OK]");
    EXPECT("a\nOK\n", "[a][OK]");
    EXPECT("\r\r\na\r\r\nOK\r\r\n", "[a][OK]");
    EXPECT("AT\r\r\nOK\r\n", "[AT][OK]");
    EXPECT("\r\n \r\n  \r\nOK\r\n", "[OK]");
    EXPECT(" a \r\n", "[ a ]");
}

static void test_garbage_ahead(void **state)
{
    (void)state;
    EXPECT("\0\0\r\nOK\r\n", "[OK]");
    EXPECT("\0\0OK\r\n", "[OK]");
    EXPECT("\xff\xf8\0\x80RDY\r\n", "[RDY]");
    EXPECT("\xc3\xa4h\r\n", "[\xc3\xa4h]"); /* well-formed UTF-8 is text */
    EXPECT("\xc3h\r\n", "[h]");             /* half a character is not */
    EXPECT("1\xff"
           "7\r\n",
           "[1\xff"
           "7]"); /* inside a line nothing is repaired */
    EXPECT("\x1b\x1a\r\nOK\r\n", "[OK]");
    struct story s = {.len = 0};
    tg_at_lines_init(&s.lines);
    feed(&s, tg_bytes("\xff\xff\0OK\r", 6));
    assert_int_equal(s.lines.garbage_bytes, 3);
}

static void test_quotes(void **state)
{
    (void)state;
    EXPECT("+N: \"a\r\nOK\r\nb\"\r\nOK\r\n", "[+N: \"a\r\nOK\r\nb\"][OK]");
    EXPECT("+N: \"a\"\"\r\nb\"\r\nOK\r\n", "[+N: \"a\"\"\r\nb\"][OK]");
    EXPECT("width 5\" pipe\r\nOK\r\n", "[width 5\" pipe][OK]");
    EXPECT("+N: \"\",\"\"\r\nOK\r\n", "[+N: \"\",\"\"][OK]");
}

static void test_quote_that_never_closes(void **state)
{
    struct story s = {.len = 0};
    (void)state;
    tg_at_lines_init(&s.lines);
    feed(&s, tg_bytes_str("+N: \"a\r\n\r\nOK\r\n+X"));
    assert_string_equal(s.text, "");
    assert_true(tg_at_lines_held(&s.lines));
    tg_at_lines_release(&s.lines);
    feed(&s, tg_bytes(NULL, 0));
    assert_string_equal(s.text, "[+N: \"a][OK]");
    assert_false(tg_at_lines_held(&s.lines));
    feed(&s, tg_bytes_str(": \"1\r\n+Y: \"2\"\r\n"));
    assert_string_equal(s.text,
                        "[+N: \"a][OK][+X: \"1][+Y: \"2\"]"); /* quotes count again on the next line */
}

/* A quote that fills the buffer is released by itself; nothing of what came is lost. */
static void test_quote_that_fills_the_buffer(void **state)
{
    struct story s = {.len = 0};
    (void)state;
    tg_at_lines_init(&s.lines);
    feed(&s, tg_bytes_str("\"\r\n"));
    for (int i = 0; i < 600; i++)
        feed(&s, tg_bytes_str("OK\r\n"));
    assert_int_equal(s.lines.overlong_lines, 0);
    assert_int_equal(s.len, 3 + 600 * 4);
}

static void test_prompt(void **state)
{
    (void)state;
    EXPECT_PROMPT("\r\n> ", "> ", ">");
    EXPECT_PROMPT("\r\n> \r\n+CMGS: 17\r\n", "> ", ">[+CMGS: 17]");
    EXPECT_PROMPT("\r\n>+U: 1\r\n", ">", ">[+U: 1]");
    EXPECT_PROMPT("\r\n> +U: 1\r\n", ">", ">[+U: 1]"); /* the blank belongs to the prompt */
    EXPECT_PROMPT("a> \r\n> ", "> ", "[a> ]>");        /* only at the start of a line */
    EXPECT("\r\n> \r\nOK\r\n", "[> ][OK]");            /* not expected: text */
    EXPECT_PROMPT("\r\n> \r\n> \r\n", "> ", ">[> ]");  /* expected once */
}

static void test_payload(void **state)
{
    (void)state;
    EXPECT("\r\n=6\r\n1\r\nOK2\r\n\r\nOK\r\n", "[=6]1\r\nOK2[OK]");
    EXPECT("\r\n=2\r\n\n\nOK\r\n", "[=2]\n\n[OK]"); /* only one LF belongs to the line */
    EXPECT("\n=2\n\nxOK\n", "[=2]\nx[OK]");
    EXPECT("=2\rxyOK\r", "[=2]xy[OK]");
    EXPECT("a\rb\r=2\r\nyOK\r", "[a][b][=2]\ny[OK]"); /* a device of CR alone: LF is payload */
    EXPECT("\r\n=0\r\nOK\r\n", "[=0][OK]");
}

static void test_overlong(void **state)
{
    struct story s;
    char *line = malloc(20001);
    (void)state;
    memset(line, 'x', 20000);
    line[20000] = 0;
    for (size_t len = TG_AT_LINE_MAX_BYTES - 2; len <= TG_AT_LINE_MAX_BYTES + 2; len++) {
        memset(&s, 0, sizeof s);
        feed_in_chunks(&s, line, len, 7);
        feed(&s, tg_bytes_str("\r\nOK\r\n"));
        assert_int_equal(s.lines.overlong_lines, len > TG_AT_LINE_MAX_BYTES);
        assert_string_equal(s.text + s.len - 4, "[OK]");
        assert_int_equal(s.text[0], len > TG_AT_LINE_MAX_BYTES ? '!' : '[');
    }
    memset(&s, 0, sizeof s);
    feed(&s, tg_bytes(line, 20000));
    assert_true(tg_at_lines_partial(&s.lines));
    feed(&s, tg_bytes_str("\nOK\n"));
    assert_string_equal(s.text, "![OK]");
    free(line);
}

static void test_end_of_the_line_before_data(void **state)
{
    struct tg_at_lines l;
    struct tg_at_item item;
    (void)state;
    tg_at_lines_init(&l);
    assert_int_equal(tg_at_lines_input(&l, tg_bytes_str("CONNECT\r\n~ppp"), &item), 8);
    assert_int_equal(tg_at_lines_skip_end(&l, tg_bytes_str("\n~ppp")), 1);
    assert_int_equal(tg_at_lines_skip_end(&l, tg_bytes_str("\n~ppp")), 0);
    tg_at_lines_init(&l);
    tg_at_lines_input(&l, tg_bytes_str("CONNECT\r"), &item);
    assert_int_equal(tg_at_lines_skip_end(&l, tg_bytes(NULL, 0)), 0); /* the LF comes with the next read */
    assert_int_equal(tg_at_lines_skip_end(&l, tg_bytes_str("\n~")), 1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_line_ends),
        cmocka_unit_test(test_garbage_ahead),
        cmocka_unit_test(test_quotes),
        cmocka_unit_test(test_quote_that_never_closes),
        cmocka_unit_test(test_quote_that_fills_the_buffer),
        cmocka_unit_test(test_prompt),
        cmocka_unit_test(test_payload),
        cmocka_unit_test(test_overlong),
        cmocka_unit_test(test_end_of_the_line_before_data),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
