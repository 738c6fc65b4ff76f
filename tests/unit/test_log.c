/* SPDX-License-Identifier: GPL-2.0-or-later */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <fcntl.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>
#include <jansson.h>

#include "core/base/bytes.h"
#include "core/base/clock.h"
#include "core/base/log.h"
#include "support/captured.h"

/* The clock of the flood limit (linked with --wrap). */
static int64_t now_ms = 1000000;
int64_t __wrap_tg_clock_mono_ms(void);
int64_t __wrap_tg_clock_mono_ms(void)
{
    return now_ms;
}

static size_t count(const char *text, const char *part)
{
    size_t n = 0;
    for (const char *at = strstr(text, part); at; at = strstr(at + 1, part))
        n++;
    return n;
}

static void log_levels(void)
{
    tg_log(TG_LOG_ERROR, "a", "one");
    tg_log(TG_LOG_WARN, "a", "two");
    tg_log(TG_LOG_INFO, "a", "three");
    tg_log(TG_LOG_DEBUG, "a", "four");
}

static void levels_are_a_threshold(void **state)
{
    static const char *const lines[] = {"error a: one\n", "warn  a: two\n", "info  a: three\n",
                                        "debug a: four\n"};
    (void)state;
    for (int level = TG_LOG_ERROR; level <= TG_LOG_DEBUG; level++) {
        char *text;
        now_ms += 20000;
        tg_log_configure((enum tg_log_level)level, TG_LOG_TEXT);
        assert_int_equal(tg_log_level(), level);
        text = captured(log_levels);
        for (int i = TG_LOG_ERROR; i <= TG_LOG_DEBUG; i++)
            assert_int_equal(strstr(text, lines[i]) != NULL, i <= level);
        assert_true(strlen(text) > 25 && text[4] == '-' && text[10] == 'T' && text[23] == 'Z' &&
                    text[24] == ' ');
    }
}

static void log_hostile(void)
{
    tg_log(TG_LOG_ERROR, "net\"\n", "%s",
           "line\nbreak \x1b[31m \"quote\\\" caf\xc3\xa9 \xe9 \xe2\x82 \x7f \xc2\x9b"
           "2J end");
}

static void hostile_text_is_escaped(void **state)
{
    char *text;
    (void)state;
    now_ms += 20000;
    tg_log_configure(TG_LOG_INFO, TG_LOG_TEXT);
    text = captured(log_hostile);
    assert_non_null(strstr(text, " error net\"\\x0a: line\\x0abreak \\x1b[31m \"quote\\\" caf\xc3\xa9 \\xe9 "
                                 "\\xe2\\x82 \\x7f \\x9b2J end\n"));
    assert_int_equal(count(text, "\n"), 1);
}

static json_t *parsed(const char *line, size_t len)
{
    json_error_t error;
    json_t *j = json_loadb(line, len, 0, &error);
    if (!j)
        print_error("%s in %.*s\n", error.text, (int)len, line);
    assert_non_null(j);
    return j;
}

static void json_lines_are_json(void **state)
{
    json_t *j;
    char *text;
    (void)state;
    now_ms += 20000;
    tg_log_configure(TG_LOG_INFO, TG_LOG_JSON);
    text = captured(log_hostile);
    j = parsed(text, strlen(text));
    assert_string_equal(json_string_value(json_object_get(j, "level")), "error");
    assert_string_equal(json_string_value(json_object_get(j, "component")), "net\"\n");
    assert_non_null(strstr(json_string_value(json_object_get(j, "message")),
                           "line\nbreak \x1b[31m \"quote\\\" caf\xc3\xa9 "));
    assert_int_equal(strlen(json_string_value(json_object_get(j, "ts"))), 24);
    json_decref(j);
}

static size_t long_bytes;
static char long_fill;

static void log_long(void)
{
    char *message = malloc(long_bytes + 8);
    memset(message, long_fill, long_bytes);
    memcpy(message + long_bytes, "→→", sizeof "→→");
    tg_log(TG_LOG_ERROR, "long", "%s", message);
    free(message);
}

static void long_messages_are_cut_and_whole(void **state)
{
    static const char fills[] = {'a', '\x01', '"', '\\'};
    (void)state;
    for (size_t f = 0; f < sizeof fills; f++) {
        for (long_bytes = 300; long_bytes < 1200; long_bytes += 13) {
            char *text;
            long_fill = fills[f];
            now_ms += 20000;
            tg_log_configure(TG_LOG_INFO, TG_LOG_JSON);
            text = captured(log_long);
            assert_true(strlen(text) <= 2048);
            assert_int_equal(count(text, "\n"), 1);
            json_decref(parsed(text, strlen(text)));
            assert_true(tg_utf8_valid(tg_bytes_str(text)));
            tg_log_configure(TG_LOG_INFO, TG_LOG_TEXT);
            text = captured(log_long);
            assert_true(strlen(text) <= 2048);
            assert_true(text[strlen(text) - 1] == '\n');
            assert_true(tg_utf8_valid(tg_bytes_str(text)));
        }
    }
}

static void log_flood(void)
{
    for (int i = 0; i < 50; i++) {
        tg_log(TG_LOG_WARN, "bus", "unit %d does not answer", i);
        if (i % 10 == 0)
            tg_log(TG_LOG_WARN, "bus", "another line %d", i);
        if (i % 10 == 0)
            tg_log(TG_LOG_WARN, "other", "unit %d does not answer", i);
    }
    now_ms += 10001;
    tg_log(TG_LOG_WARN, "bus", "unit %d does not answer", 99);
    tg_log(TG_LOG_WARN, "bus", "unit %d does not answer", 100);
}

static void a_flood_is_counted_not_printed(void **state)
{
    char *text;
    (void)state;
    now_ms += 20000;
    tg_log_configure(TG_LOG_INFO, TG_LOG_TEXT);
    text = captured(log_flood);
    /* one call site may have its text merged with another's: the limit is by text and component */
    assert_int_equal(count(text, "bus: unit"), 20 + 2);
    assert_int_equal(count(text, "another line"), 5);
    assert_int_equal(count(text, "other: unit"), 5);
    assert_non_null(strstr(text, "bus: unit 99 does not answer (30 similar lines left out)\n"));
    assert_non_null(strstr(text, "bus: unit 100 does not answer\n"));
}

static void log_more_kinds_than_slots(void)
{
    char component[32];
    for (int i = 0; i < 30; i++)
        tg_log(TG_LOG_WARN, "flooder", "a line that is put out %d", i);
    for (int i = 0; i < 500; i++) { /* each is a kind of its own */
        now_ms++;
        snprintf(component, sizeof component, "kind-%d", i);
        tg_log(TG_LOG_WARN, component, "a line");
    }
}

static void counts_are_told_even_when_their_place_is_needed(void **state)
{
    char *text;
    (void)state;
    now_ms += 20000;
    text = captured(log_more_kinds_than_slots);
    assert_int_equal(count(text, ": a line\n") + count(text, ": a line ("), 500);
    assert_int_equal(count(text, "(10 other lines left out)"), 1);
}

static void *log_from_thread(void *arg)
{
    for (int i = 0; i < 200; i++)
        tg_log(TG_LOG_INFO, arg, "thread line %d with some length to it", i);
    return NULL;
}

static void log_from_threads(void)
{
    static char names[4][16];
    pthread_t t[4];
    for (int i = 0; i < 4; i++) {
        snprintf(names[i], sizeof names[i], "t%d", i);
        pthread_create(&t[i], NULL, log_from_thread, names[i]);
    }
    for (int i = 0; i < 4; i++)
        pthread_join(t[i], NULL);
}

static void lines_of_threads_never_mix(void **state)
{
    char *text, *next;
    int lines = 0;
    (void)state;
    now_ms += 20000;
    tg_log_configure(TG_LOG_INFO, TG_LOG_JSON);
    text = captured(log_from_threads);
    for (char *line = text; *line; line = next) {
        next = strchr(line, '\n') + 1;
        json_decref(parsed(line, (size_t)(next - line)));
        lines++;
    }
    assert_int_equal(lines, 4 * 20);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(levels_are_a_threshold),
        cmocka_unit_test(hostile_text_is_escaped),
        cmocka_unit_test(json_lines_are_json),
        cmocka_unit_test(long_messages_are_cut_and_whole),
        cmocka_unit_test(a_flood_is_counted_not_printed),
        cmocka_unit_test(counts_are_told_even_when_their_place_is_needed),
        cmocka_unit_test(lines_of_threads_never_mix),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
