/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * The golden transcripts of AT devices: each is replayed as it was read, byte by byte, in reads of 2, 3, 5
 * and 7 bytes, and in random reads. All must give the same results and unsolicited lines.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include "plugins/at/at_points.h"
#include "support/at_wire.h"
#include "support/vectors.h"

#define URCS_MAX   64
#define LIMIT_MS   200000
#define PLAY_MODES 12

struct player {
    struct tg_at_wire wire;
    struct tg_at_urc urcs[URCS_MAX];
    struct tg_at_pattern pattern[TG_AT_QUEUE_MAX];
    size_t patterns;
    uint8_t data[TG_AT_QUEUE_MAX][512];
    const char *id;
    int mode;
};

static bool fits(void *user, struct tg_bytes line)
{
    return tg_at_pattern_match(user, line) == TG_AT_MATCH;
}

static const char *text_of(const json_t *o, const char *key)
{
    return json_string_value(json_object_get(o, key));
}

static void queue(struct player *p, const json_t *step)
{
    struct tg_at_command c = {.text = text_of(step, "command"),
                              .prefix = text_of(step, "prefix"),
                              .prompt = text_of(step, "prompt"),
                              .timeout_ms = json_integer_value(json_object_get(step, "timeout_ms"))};
    const char *regex = text_of(step, "response_regex"), *payload = text_of(step, "payload");
    const json_t *data = json_object_get(step, "data");
    char error[256];
    size_t slot = p->patterns++ % TG_AT_QUEUE_MAX;
    if (regex) {
        tg_at_pattern_fini(&p->pattern[slot]);
        assert_int_equal(tg_at_pattern_compile(&p->pattern[slot], regex, error, sizeof error), 0);
        c.is_response = fits;
        c.user = &p->pattern[slot];
    }
    if (data)
        c.data = tg_bytes(p->data[slot], tg_at_wire_bytes(data, p->data[slot], sizeof p->data[slot]));
    if (payload) {
        assert_string_equal(payload, "raw_after_line");
        c.announce.prefix = c.prefix;
    }
    assert_int_equal(tg_at_chat_queue(&p->wire.chat, &c), 0);
}

static void expect_tx(struct player *p, const json_t *text)
{
    uint8_t want[1024];
    size_t len = tg_at_wire_bytes(text, want, sizeof want);
    assert_true(tg_at_wire_wait_tx(&p->wire, LIMIT_MS));
    if (!tg_at_wire_take(&p->wire, want, len))
        fail_msg("%s (mode %d): sent \"%.*s\" instead of \"%s\"", p->id, p->mode, (int)p->wire.tx_len,
                 (const char *)p->wire.tx, json_string_value(text));
}

static void receive(struct player *p, const json_t *step)
{
    const json_t *once = json_object_get(step, "rx"), *again = json_object_get(step, "rx_repeat");
    uint8_t bytes[16384];
    if (once) {
        tg_at_wire_rx(&p->wire, bytes, tg_at_wire_bytes(once, bytes, sizeof bytes));
        return;
    }
    size_t n = tg_at_wire_bytes(again, bytes, sizeof bytes);
    for (json_int_t i = json_integer_value(json_object_get(step, "count")); i > 0; i--)
        tg_at_wire_rx(&p->wire, bytes, n);
}

static void play_step(struct player *p, const json_t *step)
{
    json_t *delay = json_object_get(step, "delay_ms"), *no_tx = json_object_get(step, "expect_no_tx_ms");
    if (json_object_get(step, "command")) {
        queue(p, step);
    } else if (json_object_get(step, "tx")) {
        expect_tx(p, json_object_get(step, "tx"));
    } else if (json_object_get(step, "rx") || json_object_get(step, "rx_repeat")) {
        receive(p, step);
    } else if (delay) {
        tg_at_wire_advance(&p->wire, json_integer_value(delay));
    } else if (no_tx) {
        tg_at_wire_advance(&p->wire, json_integer_value(no_tx));
        assert_int_equal(p->wire.tx_len, 0);
    } else if (json_is_true(json_object_get(step, "abort"))) {
        tg_at_chat_abort(&p->wire.chat, p->wire.now_ms);
        tg_at_wire_settle(&p->wire);
    } else if (json_is_true(json_object_get(step, "hangup"))) {
        tg_at_chat_hangup(&p->wire.chat);
        tg_at_wire_settle(&p->wire);
    } else {
        fail_msg("%s: a step of unknown kind", p->id);
    }
}

/* Every key that the vector names has its value; truncated is 0 when it is not named. */
static void compare_result(const struct player *p, const json_t *want, const json_t *is)
{
    const char *key;
    json_t *value;
    json_object_foreach((json_t *)want, key, value)
    {
        if (!json_equal(value, json_object_get(is, key))) {
            char *a = json_dumps(want, 0), *b = json_dumps(is, 0);
            fail_msg("%s (mode %d): expected %s, got %s", p->id, p->mode, a, b);
        }
    }
    if (!json_object_get(want, "truncated"))
        assert_int_equal(json_integer_value(json_object_get(is, "truncated")), 0);
}

static void compare(struct player *p, const json_t *expect)
{
    json_t *results = json_object_get(expect, "results"), *urcs = json_object_get(expect, "urcs");
    size_t found = 0, i;
    json_t *x;
    while (json_array_size(p->wire.results) < json_array_size(results) &&
           p->wire.now_ms < 1000000 + 10 * LIMIT_MS)
        tg_at_wire_advance(&p->wire, 1000);
    assert_int_equal(json_array_size(p->wire.results), json_array_size(results));
    for (i = 0; i < json_array_size(results); i++)
        compare_result(p, json_array_get(results, i), json_array_get(p->wire.results, i));
    /* `other` describes in words what may come besides: then further lines are allowed. */
    json_array_foreach(p->wire.urcs, i, x) found += json_equal(x, json_array_get(urcs, found)) ? 1 : 0;
    assert_int_equal(found, json_array_size(urcs));
    if (!json_object_get(expect, "other"))
        assert_int_equal(json_array_size(p->wire.urcs), json_array_size(urcs));
}

static bool expected_in_two_lines(const json_t *expect, const char *prefix)
{
    size_t i;
    json_t *x;
    json_array_foreach(json_object_get(expect, "urcs"), i, x)
    {
        const char *first = json_string_value(json_array_get(x, 0));
        if (first && strncmp(first, prefix, strlen(prefix)) == 0)
            return true;
    }
    return false;
}

static void play(const json_t *vector, int mode)
{
    static const size_t chunks[PLAY_MODES] = {0, 1, 2, 3, 5, 7, 2, 4, 8, 16, 32, 64};
    struct player *p = calloc(1, sizeof *p);
    const json_t *expect = json_object_get(vector, "expect"),
                 *prefixes = json_object_get(vector, "urc_prefixes");
    struct tg_at_chat_config config = {.urcs = p->urcs};
    size_t i;
    json_t *x;
    p->id = text_of(vector, "id");
    p->mode = mode;
    json_array_foreach((json_t *)prefixes, i, x)
    {
        const char *prefix = json_string_value(x);
        assert_true(i < URCS_MAX);
        p->urcs[config.urc_count++] =
            (struct tg_at_urc){.prefix = prefix, .two_line = expected_in_two_lines(expect, prefix)};
    }
    config.numeric_results =
        json_is_true(json_object_get(json_object_get(vector, "config"), "numeric_results"));
    tg_at_wire_init(&p->wire, &config);
    p->wire.answer_probes = true;
    p->wire.chunk = chunks[mode];
    p->wire.random = mode >= 6 ? 2463534242u + (uint32_t)mode : 0;
    json_array_foreach(json_object_get(vector, "steps"), i, x) play_step(p, x);
    compare(p, expect);
    for (i = 0; i < TG_AT_QUEUE_MAX; i++)
        tg_at_pattern_fini(&p->pattern[i]);
    tg_at_wire_fini(&p->wire);
    free(p);
}

/* A line, a pattern, its groups, and what a signal strength of 27.007 8.5 says in dBm. */
static void match_line(const json_t *vector)
{
    static const char *const unknown[] = {"99"};
    const struct tg_at_reader rssi = {.type = TG_AT_INT, .nulls = unknown, .null_count = 1};
    const json_t *expect = json_object_get(vector, "expect"), *groups = json_object_get(expect, "groups"),
                 *dbm = json_object_get(expect, "rssi_dbm");
    uint8_t bytes[TG_AT_LINE_MAX_BYTES];
    struct tg_bytes line = tg_bytes(bytes,
                                    tg_at_wire_bytes(json_object_get(vector, "line"), bytes, sizeof bytes)),
                    group;
    struct tg_at_pattern p;
    struct tg_point_value v;
    char error[256];
    size_t i;
    json_t *x;
    assert_int_equal(tg_at_pattern_compile(&p, text_of(vector, "regex"), error, sizeof error), 0);
    assert_int_equal(tg_at_pattern_match(&p, line), TG_AT_MATCH);
    assert_int_equal(p.groups, json_array_size(groups));
    json_array_foreach((json_t *)groups, i, x)
    {
        assert_true(tg_at_pattern_group(&p, (uint32_t)i + 1, line, &group));
        json_t *is = tg_at_wire_text(group);
        assert_true(json_equal(is, x));
        json_decref(is);
    }
    if (dbm) {
        assert_true(tg_at_pattern_group(&p, 1, line, &group));
        assert_true(tg_at_read_value(&rssi, group, NULL, &v));
        if (json_is_null(dbm)) {
            assert_int_equal(v.quality, TG_QUALITY_SENSOR);
        } else {
            assert_int_equal(v.quality, TG_QUALITY_GOOD);
            assert_int_equal(-113 + 2 * v.value.as.integer, json_integer_value(dbm));
        }
    }
    tg_at_pattern_fini(&p);
}

static void test_vectors(void **state)
{
    json_t *root = tg_vectors_load("southbound/at_transcripts.json"), *v;
    size_t i, transcripts = 0, lines = 0;
    (void)state;
    json_array_foreach(json_object_get(root, "vectors"), i, v)
    {
        if (json_object_get(v, "steps")) {
            transcripts++;
            for (int mode = 0; mode < PLAY_MODES; mode++)
                play(v, mode);
        } else if (json_object_get(v, "regex")) {
            lines++;
            match_line(v);
        } else {
            fail_msg("%s: neither steps nor regex", text_of(v, "id"));
        }
    }
    print_message("%zu transcripts in %d ways, %zu lines\n", transcripts, PLAY_MODES, lines);
    assert_true(transcripts + lines > 0);
    json_decref(root);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_vectors)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
