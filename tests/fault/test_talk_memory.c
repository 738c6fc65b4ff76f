/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * Memory runs out while people and clouds are answered: the control socket with its verbs, and the bodies of messages. The Nth
 * allocation fails, N = 1 … until a clean pass, alone and with all after it. Whoever asks is told, or hears the connection close and the
 * miss is counted; the next one is answered; nothing leaks. Message bodies need no memory at all but for the one compressor.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdlib.h>
#include <string.h>

#include "core/base/allocator.h"
#include "core/base/clock.h"
#include "northbound/format.h"
#include "support/control_peer.h"

#define PATIENCE_MS 30000

static struct tg_gateway g;

/* --- the control socket --------------------------------------------------------------------------------- */

static const struct {
    const char *ask, *answer; /* answer: a part of it */
} verbs[] = {
    {"{\"verb\":\"status\"}", "{\"fine\":true}"},
    {"{\"verb\":\"discovered\"}", "{\"fine\":true}"},
    {"{\"verb\":\"drop\",\"all\":true,\"before_ms\":12}", "{\"samples\":12}"},
    {"{\"verb\":\"forget\",\"device\":\"a4c101\"}", "{\"status\":\"ok\"}"},
    {"{\"verb\":\"send\",\"device\":\"d0\",\"command\":\"set\",\"arguments\":{\"p0\":2.5}}", "{\"was\":1}"},
    {"{\"verb\":\"send\",\"device\":\"d9\",\"command\":\"set\"}", "no device"},
    {"{\"verb\":\"tail\",\"device\":\"d9\"}", "no such device"},
    {"{\"verb\":\"nonsense\"}", "error"},
    {"no JSON", "error"},
};

/* The device answers what it is asked. */
static void answer_requests(void)
{
    for (uint32_t i = 0; i < g.source.count; i++)
        tg_router_answer(g.router, g.source.requests[i].request, 0, "{\"was\":1}");
    g.source.count = 0;
}

/* A line, or NULL: the gateway has closed. */
static const char *hear(struct tg_peer *p)
{
    int64_t end_ms = tg_clock_mono_ms() + PATIENCE_MS;
    for (;;) {
        const char *line = tg_peer_take_line(p);
        if (line || p->ended)
            return line;
        if (tg_clock_mono_ms() > end_ms)
            fail_msg("neither an answer nor an end");
        if (!tg_peer_read_some(p)) {
            tg_control_rig_turn(&g);
            answer_requests();
        }
    }
}

static void await_live(int64_t live)
{
    int64_t end_ms = tg_clock_mono_ms() + PATIENCE_MS;
    while (tg_alloc_stats().live > live) {
        if (tg_clock_mono_ms() > end_ms)
            fail_msg("%lld blocks are left", (long long)(tg_alloc_stats().live - live));
        tg_control_rig_turn(&g);
    }
}

/* True: the nth allocation was not reached. */
static bool ask_once(size_t verb, uint64_t nth, int forever)
{
    struct tg_alloc_stats before = tg_alloc_stats(), after;
    struct tg_peer *p = tg_peer_new();
    const char *line;
    tg_alloc_fail_at(nth, forever);
    tg_peer_say(p, verbs[verb].ask);
    line = hear(p);
    tg_alloc_fail_at(0, 0);
    after = tg_alloc_stats();
    if (after.failed == before.failed) {
        if (!line || !strstr(line, verbs[verb].answer))
            fail_msg("%s: %s", verbs[verb].ask, line ? line : "closed");
    } else if (line && !strstr(line, verbs[verb].answer)) {
        tg_peer_assert_says(line,
                            "memory"); /* else it was closed: the miss is in tidegate_memory_missed_total */
    }
    tg_peer_free(p);
    return after.calls - before.calls < nth;
}

static void test_whoever_asks_is_told_and_the_next_is_answered(void **state)
{
    struct tg_error err = {0};
    (void)state;
    tg_peer_gateway = &g;
    tg_control_rig_begin(&g);
    if (tg_control_rig_open(&g, &err) < 0)
        fail_msg("%s", err.text);
    for (size_t verb = 0; verb < sizeof verbs / sizeof verbs[0]; verb++) {
        int64_t live;
        (void)ask_once(verb, UINT32_MAX, 0); /* what stays is there from now on */
        await_live(tg_alloc_stats().live);
        live = tg_alloc_stats().live;
        for (int forever = 0; forever <= 1; forever++) {
            uint64_t n = 1;
            for (; !ask_once(verb, n, forever); n++) {
                assert_true(n < 1000);
                if (ask_once(verb, UINT32_MAX, 0)) /* with memory it is answered */
                    await_live(live);
            }
            assert_true(n > 2); /* the client, its line */
        }
        await_live(live);
    }
    tg_control_rig_end(&g);
}

static void test_a_control_socket_without_memory_is_none(void **state)
{
    (void)state;
    tg_peer_gateway = &g;
    for (int forever = 0; forever <= 1; forever++) {
        bool reached = true;
        for (uint64_t n = 1; reached; n++) {
            struct tg_error err = {0};
            uint64_t calls;
            int rc;
            tg_control_rig_begin(&g);
            calls = tg_alloc_stats().calls;
            tg_alloc_fail_at(n, forever);
            rc = tg_control_rig_open(&g, &err);
            reached = tg_alloc_stats().calls - calls >= n;
            tg_alloc_fail_at(0, 0);
            if (rc == TG_OK)
                assert_false(reached);
            else
                assert_non_null(strstr(err.text, "out of memory"));
            tg_control_rig_end(&g);
            assert_true(n < 1000);
        }
    }
}

/* --- the bodies of messages ----------------------------------------------------------------------------- */

#define SAMPLES 20

static const char *unit_of(void *user, struct tg_bytes point)
{
    (void)user;
    (void)point;
    return "Cel";
}

static void make_samples(struct tg_format_sample samples[SAMPLES], uint8_t memory[SAMPLES][256])
{
    for (uint32_t i = 0; i < SAMPLES; i++) {
        struct tg_writer w = tg_writer_init(memory[i], 256);
        tg_sample_begin(&w, INT64_C(1900000000000) + i, 4);
        tg_sample_value(&w, &(struct tg_named_value){tg_bytes_str("t"), 0, tg_value_real(21.5 + i)});
        tg_sample_value(&w, &(struct tg_named_value){tg_bytes_str("n"), 0, tg_value_uint(i)});
        tg_sample_value(&w, &(struct tg_named_value){tg_bytes_str("on"), 0, tg_value_bool(true)});
        tg_sample_value(&w,
                        &(struct tg_named_value){tg_bytes_str("s"), 0, tg_value_text("text \"quoted\"", 13)});
        assert_false(w.failed);
        samples[i] = (struct tg_format_sample){i + 1, tg_bytes(w.data, w.len)};
    }
}

static void test_bodies_are_written_without_memory(void **state)
{
    static const char *const names[] = {"json", "senml", "senml-cbor", "template"};
    static const char text[] = "{device} {seq} {ts} {values}\n";
    struct tg_format_sample samples[SAMPLES];
    uint8_t memory[SAMPLES][256], with[8192], without[8192], small[8192];
    (void)state;
    make_samples(samples, memory);
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
        const struct tg_format *f = tg_format_find(names[i]);
        const struct tg_format_context c = {.device = "meter-1",
                                            .gateway = "site-1",
                                            .template_text = strcmp(names[i], "template") == 0 ? text : NULL,
                                            .unit = unit_of};
        struct tg_writer a = tg_writer_init(with, sizeof with), b = tg_writer_init(without, sizeof without),
                         z = tg_writer_init(small, sizeof small);
        uint64_t calls;
        int n = f->write(&c, samples, SAMPLES, sizeof with, &a), m, rc;
        assert_true(n > 0);
        calls = tg_alloc_stats().calls;
        tg_alloc_fail_at(1, 1);
        m = f->write(&c, samples, SAMPLES, sizeof without, &b);
        rc = i == 0 ? tg_format_deflate(tg_bytes(b.data, b.len), &z) : TG_ENOMEM;
        tg_alloc_fail_at(0, 0);
        assert_int_equal(m, n);
        assert_int_equal(b.len, a.len);
        assert_memory_equal(b.data, a.data, a.len);
        assert_int_equal(rc,
                         TG_ENOMEM); /* the compressor, the first time: told, and the body goes as it is */
        assert_true(i == 0 || tg_alloc_stats().calls == calls);
        z.len = 0;
        z.failed = false;
        assert_int_equal(tg_format_deflate(tg_bytes(b.data, b.len), &z), TG_OK);
        assert_true(z.len < b.len);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_whoever_asks_is_told_and_the_next_is_answered),
        cmocka_unit_test(test_a_control_socket_without_memory_is_none),
        cmocka_unit_test(test_bodies_are_written_without_memory),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
