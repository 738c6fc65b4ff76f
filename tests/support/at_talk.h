/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * at_talk - one conversation on a virtual wire, as the unit tests of at_chat speak about it: ask, sent, silent, results. Included by one
 * file of a test program.
 */
#ifndef TG_TESTS_SUPPORT_AT_TALK_H
#define TG_TESTS_SUPPORT_AT_TALK_H

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include "support/at_wire.h"

static const struct tg_at_urc urcs[] = {
    {"+CREG:", false, false}, {"RING", false, false},       {"+CMT:", .two_line = true},
    {"RDY", .reboot = true},  {"NO CARRIER", false, false},
};

static struct tg_at_wire w;
static char story_text[4096];

static inline int start(void **state)
{
    const struct tg_at_chat_config config = {.urcs = urcs, .urc_count = sizeof urcs / sizeof urcs[0]};
    (void)state;
    tg_at_wire_init(&w, &config);
    return 0;
}

static inline int stop(void **state)
{
    (void)state;
    tg_at_wire_fini(&w);
    return 0;
}

static inline int ask(const char *text, int64_t timeout_ms)
{
    struct tg_at_command c = {.text = text, .timeout_ms = timeout_ms};
    int rc = tg_at_chat_queue(&w.chat, &c);
    tg_at_wire_settle(&w);
    return rc;
}

static inline void sent(const char *text)
{
    assert_true(tg_at_wire_wait_tx(&w, 60000));
    if (!tg_at_wire_take(&w, text, strlen(text)))
        fail_msg("sent \"%.*s\", not \"%s\"", (int)w.tx_len, (const char *)w.tx, text);
}

static inline void silent(int64_t ms)
{
    tg_at_wire_advance(&w, ms);
    assert_int_equal(w.tx_len, 0);
}

/* All results since the last call: "AT+CSQ=ok[+CSQ: 1][…]; …". */
static inline const char *results(void)
{
    size_t n = 0, i, k;
    json_t *r, *line;
    story_text[0] = 0;
    json_array_foreach(w.results, i, r)
    {
        n += (size_t)snprintf(story_text + n, sizeof story_text - n, "%s%s=%s", i ? "; " : "",
                              json_string_value(json_object_get(r, "command")),
                              json_string_value(json_object_get(r, "status")));
        json_array_foreach(json_object_get(r, "lines"), k, line) n +=
            (size_t)snprintf(story_text + n, sizeof story_text - n, "[%s]", json_string_value(line));
    }
    json_array_clear(w.results);
    return story_text;
}

static inline const char *list(json_t *a)
{
    size_t n = 0, i;
    json_t *x;
    story_text[0] = 0;
    json_array_foreach(a, i, x)
    {
        if (json_is_array(x))
            n += (size_t)snprintf(story_text + n, sizeof story_text - n, "[%s|%s]",
                                  json_string_value(json_array_get(x, 0)),
                                  json_string_value(json_array_get(x, 1)));
        else
            n += (size_t)snprintf(story_text + n, sizeof story_text - n, "[%s]", json_string_value(x));
    }
    json_array_clear(a);
    return story_text;
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, start, stop)

#endif
