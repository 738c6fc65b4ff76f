/* SPDX-License-Identifier: GPL-2.0-or-later */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <errno.h>
#include <jansson.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "core/base/allocator.h"
#include "support/control_peer.h"

static struct tg_gateway g;

static int setup(void **state)
{
    struct tg_error err = {0};
    (void)state;
    tg_peer_gateway = &g;
    tg_control_rig_begin(&g);
    if (tg_control_rig_open(&g, &err) < 0)
        fail_msg("%s", err.text);
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    tg_control_rig_end(&g);
    return 0;
}

static int sample(double x)
{
    struct tg_point_value v = {.point = 0, .value = tg_value_real(x)};
    return tg_router_sample(g.router, g.device, 1000, &v, 1);
}

/* --- verbs --------------------------------------------------------------------------------------------- */

static void test_status(void **state)
{
    struct tg_peer *p = tg_peer_new();
    char *large;
    (void)state;
    assert_string_equal(tg_peer_ask(p, "{\"verb\":\"status\"}"), "{\"fine\":true}");
    large = malloc((1 << 20) + 300000);
    assert_non_null(large);
    memset(large, 'x', (1 << 20) + 300000); /* thousands of devices: more than may wait otherwise */
    memcpy(large, "{\"a\":\"", 6);
    strcpy(large + (1 << 20) + 299990, "\"}");
    g.status = large;
    assert_string_equal(tg_peer_ask(p, "{\"verb\":\"status\"}"), large);
    g.status = NULL;
    tg_peer_assert_says(tg_peer_ask(p, "{\"verb\":\"status\"}"), "could not be made");
    free(large);
    tg_peer_free(p);
}

static void test_drop(void **state)
{
    static const char *const refused[] = {"{\"verb\":\"drop\",\"before_ms\":0}",
                                          "{\"verb\":\"drop\",\"device\":7,\"before_ms\":0}",
                                          "{\"verb\":\"drop\",\"device\":\"a\",\"all\":true,\"before_ms\":0}",
                                          "{\"verb\":\"drop\",\"device\":\"a\"}",
                                          "{\"verb\":\"drop\",\"device\":\"a\",\"before_ms\":-1}",
                                          "{\"verb\":\"drop\",\"device\":\"a\",\"cloud\":1,\"before_ms\":0}"};
    (void)state;
    struct tg_peer *p = tg_peer_new();
    for (size_t i = 0; i < sizeof refused / sizeof refused[0]; i++)
        tg_peer_assert_says(tg_peer_ask(p, refused[i]), "drop takes");
    assert_string_equal(tg_peer_ask(p, "{\"verb\":\"drop\",\"all\":true,\"before_ms\":12}"),
                        "{\"samples\":12}");
    assert_string_equal(tg_peer_ask(p, "{\"verb\":\"drop\",\"device\":\"a\",\"before_ms\":0}"),
                        "{\"samples\":0}");
    tg_peer_assert_says(
        tg_peer_ask(p, "{\"verb\":\"drop\",\"device\":\"a\",\"cloud\":\"x\",\"before_ms\":0}"),
        "no such cloud");
    tg_peer_assert_says(tg_peer_ask(p, "{\"verb\":\"drop\",\"device\":\"stranger\",\"before_ms\":0}"),
                        "already");
    tg_peer_free(p);
}

static void test_discovered_and_forget(void **state)
{
    struct tg_peer *p = tg_peer_new();
    (void)state;
    assert_string_equal(tg_peer_ask(p, "{\"verb\":\"discovered\"}"), "{\"fine\":true}");
    assert_string_equal(tg_peer_ask(p, "{\"verb\":\"forget\",\"device\":\"a4c101\"}"), "{\"status\":\"ok\"}");
    assert_string_equal(g.forgotten, "a4c101");
    tg_peer_assert_says(tg_peer_ask(p, "{\"verb\":\"forget\",\"device\":\"stranger\"}"),
                        "no discovered device");
    tg_peer_assert_says(tg_peer_ask(p, "{\"verb\":\"forget\",\"device\":7}"), "as a text");
    tg_peer_assert_says(tg_peer_ask(p, "{\"verb\":\"forget\"}"), "as a text");
    g.status = NULL;
    tg_peer_assert_says(tg_peer_ask(p, "{\"verb\":\"discovered\"}"), "could not be made");
    tg_peer_free(p);
}

static void test_send(void **state)
{
    struct tg_peer *p = tg_peer_new();
    (void)state;
    tg_peer_say(p, "{\"verb\":\"send\",\"device\":\"d0\",\"command\":\"set\",\"arguments\":{\"p0\":2.5}}");
    while (g.source.count == 0)
        tg_control_rig_turn(&g);
    assert_true(g.source.requests[0].is_write);
    tg_peer_assert_says(
        tg_peer_ask(p, "{\"verb\":\"send\",\"device\":\"d0\",\"command\":\"set\",\"arguments\":{\"p0\":1}}"),
        "one command at a time");
    tg_router_answer(g.router, g.source.requests[0].request, 0, "{\"was\":1}");
    assert_string_equal(tg_peer_hear(p), "{\"status\":\"ok\",\"result\":{\"was\":1}}");
    tg_peer_assert_says(
        tg_peer_ask(p, "{\"verb\":\"send\",\"device\":\"d0\",\"command\":\"set\",\"arguments\":{\"p1\":1}}"),
        "not writable");
    tg_peer_assert_says(tg_peer_ask(p, "{\"verb\":\"send\",\"device\":\"d9\",\"command\":\"set\"}"),
                        "no device");
    tg_peer_say(p, "{\"verb\":\"send\",\"device\":\"d0\",\"command\":\"reset\"}");
    while (g.source.count == 1)
        tg_control_rig_turn(&g);
    assert_string_equal(g.source.requests[1].text, "reset {}");
    tg_router_answer(g.router, g.source.requests[1].request, TG_PLUGIN_EDEVICE, "not JSON");
    assert_string_equal(tg_peer_hear(p), "{\"status\":\"device\",\"result\":\"not JSON\"}");
    tg_peer_assert_says(tg_peer_ask(p, "{\"verb\":\"send\",\"device\":\"d0\"}"), "send takes");
    tg_peer_assert_says(tg_peer_ask(p, "{\"verb\":\"send\",\"device\":1,\"command\":\"x\"}"), "send takes");
    tg_peer_assert_says(
        tg_peer_ask(p, "{\"verb\":\"send\",\"device\":\"d0\",\"command\":\"x\",\"arguments\":[]}"),
        "send takes");
    tg_peer_free(p);
}

static void test_sender_leaves_before_the_answer(void **state)
{
    struct tg_peer *p = tg_peer_new();
    (void)state;
    tg_peer_say(p, "{\"verb\":\"tail\"}");
    tg_peer_say(p, "{\"verb\":\"send\",\"device\":\"d0\",\"command\":\"reset\"}");
    while (g.source.count == 0)
        tg_control_rig_turn(&g);
    tg_peer_free(p);
    for (int i = 0; i < 5; i++)
        tg_control_rig_turn(&g);
    tg_router_answer(g.router, g.source.requests[0].request, 0, "{}");
    assert_int_equal(sample(1), TG_OK);
}

static void test_half_closed_sender_gets_its_answer(void **state)
{
    struct tg_peer *p = tg_peer_new();
    (void)state;
    tg_peer_say(p, "{\"verb\":\"send\",\"device\":\"d0\",\"command\":\"reset\"}");
    shutdown(p->fd, SHUT_WR);
    while (g.source.count == 0)
        tg_control_rig_turn(&g);
    for (int i = 0; i < 5; i++)
        tg_control_rig_turn(&g);
    tg_router_answer(g.router, g.source.requests[0].request, 0, "{}");
    assert_string_equal(tg_peer_hear(p), "{\"status\":\"ok\",\"result\":{}}");
    assert_null(tg_peer_hear(p));
    tg_peer_free(p);
    p = tg_peer_new(); /* and one that asks nothing is let go */
    shutdown(p->fd, SHUT_WR);
    assert_null(tg_peer_hear(p));
    tg_peer_free(p);
}

static void test_tail(void **state)
{
    struct tg_peer *all = tg_peer_new(), *one = tg_peer_new();
    (void)state;
    tg_peer_assert_says(tg_peer_ask(one, "{\"verb\":\"tail\",\"device\":\"d9\"}"), "no such device");
    tg_peer_say(one, "{\"verb\":\"tail\",\"device\":\"d0\"}");
    tg_peer_say(all, "{\"verb\":\"tail\"}");
    tg_peer_assert_says(tg_peer_ask(one, "{}"), "error"); /* all that was said before has been heard */
    tg_peer_assert_says(tg_peer_ask(all, "{}"), "error");
    assert_int_equal(sample(0.5), TG_OK);
    tg_peer_assert_says(tg_peer_hear(one), "{\"device\":\"d0\",\"sample\":{");
    tg_peer_assert_says(tg_peer_hear(all), "\"values\":{\"p0\":0.5}");
    tg_peer_free(all);
    tg_peer_free(one);
}

static void test_device_names_are_escaped(void **state)
{
    struct tg_peer *p = tg_peer_new();
    (void)state;
    g.model.devices[0].id = "a\"b\\c";
    tg_peer_say(p, "{\"verb\":\"tail\"}");
    tg_peer_assert_says(tg_peer_ask(p, "{}"), "error");
    assert_int_equal(sample(0.5), TG_OK);
    tg_peer_assert_says(tg_peer_hear(p), "{\"device\":\"a\\\"b\\\\c\"");
    tg_peer_free(p);
    g.model.devices[0].id = "d0";
}

/* Follows one line: each sample is the next one, and losses stand where the gap is. */
static void follow(const char *line, uint64_t *seq, uint64_t *lost)
{
    json_t *j = json_loads(line, 0, NULL), *sample_json = json_object_get(j, "sample");
    if (sample_json) {
        assert_int_equal(json_integer_value(json_object_get(sample_json, "seq")), *seq + 1);
        ++*seq;
    } else {
        json_int_t n = json_integer_value(json_object_get(j, "lost"));
        assert_true(n > 0);
        *seq += (uint64_t)n;
        *lost += (uint64_t)n;
    }
    json_decref(j);
}

static void test_slow_tail_loses_lines_and_is_told(void **state)
{
    struct tg_peer *p = tg_peer_new();
    static char text[TG_TEXT_MAX_BYTES];
    struct tg_point_value v = {.point = 1, .value = tg_value_text(text, sizeof text)};
    uint64_t lost = 0, seq = 0;
    const char *line;
    (void)state;
    memset(text, 'a', sizeof text);
    tg_peer_say(p, "{\"verb\":\"tail\"}");
    tg_peer_assert_says(tg_peer_ask(p, "{}"), "error");
    for (int i = 0; i < 3000; i++) { /* 3 MiB: more than socket and queue hold */
        assert_int_equal(tg_router_sample(g.router, g.device, 1, &v, 1), TG_OK);
        tg_control_rig_turn(&g);
    }
    /* It reads a little now and then and never catches up: it must hear of its losses all the same. */
    for (int i = 0; lost == 0; i++) {
        assert_true(i < 100000);
        if (i % 4 == 0 && !tg_peer_take_line(p))
            (void)tg_peer_read_some(p);
        else if (i % 4 == 0)
            follow(p->line, &seq, &lost);
        assert_int_equal(tg_router_sample(g.router, g.device, 1, &v, 1), TG_OK);
        tg_control_rig_turn(&g);
    }
    assert_true(g.store.seq > seq + 100); /* it is far behind */
    while (seq < 6000) {
        line = tg_peer_take_line(p);
        if (line) {
            follow(line, &seq, &lost);
        } else if (!tg_peer_read_some(p)) { /* what was lost last is told with the next line */
            assert_int_equal(tg_router_sample(g.router, g.device, 1, &v, 1), TG_OK);
            tg_control_rig_turn(&g);
        }
    }
    print_message("%llu of %llu lines lost\n", (unsigned long long)lost, (unsigned long long)g.store.seq);
    tg_peer_free(p);
}

/* --- hostile and unlucky clients ------------------------------------------------------------------------ */

static void test_garbage(void **state)
{
    static const char *const wrong[] = {"",
                                        "{",
                                        "[]",
                                        "null",
                                        "\xff\xfe",
                                        "{\"verb\":1}",
                                        "{\"verb\":\"stop\"}",
                                        "{\"verb\":null}",
                                        "{\"verb\":\"status\",\"verb\":\"status\"}",
                                        "status",
                                        "{\"verb\":\"status\"} x",
                                        "\r"};
    struct tg_peer *p = tg_peer_new();
    char *deep = malloc(60001);
    (void)state;
    for (size_t i = 0; i < sizeof wrong / sizeof wrong[0]; i++)
        tg_peer_assert_says(tg_peer_ask(p, wrong[i]), "a request is a JSON object");
    assert_non_null(deep);
    memset(deep, '[', 60000);
    deep[60000] = '\0';
    tg_peer_assert_says(tg_peer_ask(p, deep), "a request is a JSON object");
    tg_peer_say_bytes(p, "{\"verb\":\0\"status\"}\n", 19);
    tg_peer_assert_says(tg_peer_hear(p), "a request is a JSON object");
    assert_string_equal(tg_peer_ask(p, "{\"verb\":\"status\"}"), "{\"fine\":true}"); /* it goes on */
    free(deep);
    tg_peer_free(p);
}

static void test_line_lengths(void **state)
{
    struct tg_peer *p = tg_peer_new();
    char *line = malloc(70001);
    (void)state;
    assert_non_null(line);
    memset(line, ' ', 70000);
    line[70000] = '\0';
    memcpy(line, "{\"verb\":\"status\"}", 17);
    line[TG_CONTROL_LINE_BYTES - 1] = '\0'; /* with its newline just as long as may be */
    assert_string_equal(tg_peer_ask(p, line), "{\"fine\":true}");
    line[TG_CONTROL_LINE_BYTES - 1] = ' ';
    tg_peer_say(p, line);
    tg_peer_assert_says(tg_peer_hear(p), "at most 64 KiB");
    assert_null(tg_peer_hear(p));
    free(line);
    tg_peer_free(p);
}

static void test_split_at_every_byte_and_many_at_once(void **state)
{
    static const char two[] = "{\"verb\":\"status\"}\n{\"verb\":\"nope\"}\n";
    struct tg_peer *p = tg_peer_new();
    char *many = malloc(20 * 3000 + 1);
    (void)state;
    for (size_t i = 0; i < sizeof two - 1; i++) {
        tg_peer_say_bytes(p, two + i, 1);
        tg_control_rig_turn(&g);
    }
    assert_string_equal(tg_peer_hear(p), "{\"fine\":true}");
    tg_peer_assert_says(tg_peer_hear(p), "error");
    assert_non_null(many);
    many[0] = '\0';
    for (int i = 0; i < 3000; i++)
        memcpy(many + (size_t)i * 18, "{\"verb\":\"status\"}\n", 19);
    tg_peer_say_bytes(p, many, 3000 * 18);
    for (int i = 0; i < 3000; i++)
        assert_string_equal(tg_peer_hear(p), "{\"fine\":true}");
    free(many);
    tg_peer_free(p);
}

static void test_who_asks_without_reading_is_closed(void **state)
{
    struct tg_peer *p = tg_peer_new();
    static char lines[65536];
    (void)state;
    memset(lines, '\n', sizeof lines); /* each is answered with an error */
    for (int i = 0; i < 64 && send(p->fd, lines, sizeof lines, MSG_NOSIGNAL) != -1; i++)
        for (int k = 0; k < 20; k++)
            tg_control_rig_turn(&g);
    assert_true(send(p->fd, lines, 1, MSG_NOSIGNAL) < 0 && errno != EAGAIN);
    tg_peer_free(p);
    p = tg_peer_new();
    assert_string_equal(tg_peer_ask(p, "{\"verb\":\"status\"}"), "{\"fine\":true}");
    tg_peer_free(p);
}

static void test_the_seventeenth_is_refused(void **state)
{
    struct tg_peer *p[TG_CONTROL_MAX_CLIENTS], *more;
    (void)state;
    for (int i = 0; i < TG_CONTROL_MAX_CLIENTS; i++) {
        p[i] = tg_peer_new();
        assert_string_equal(tg_peer_ask(p[i], "{\"verb\":\"status\"}"), "{\"fine\":true}");
    }
    more = tg_peer_new();
    tg_peer_assert_says(tg_peer_hear(more), "too many connections");
    assert_null(tg_peer_hear(more));
    tg_peer_free(more);
    tg_peer_free(p[3]);
    for (int i = 0; i < 5; i++)
        tg_control_rig_turn(&g);
    p[3] = tg_peer_new();
    for (int i = 0; i < TG_CONTROL_MAX_CLIENTS; i++) {
        assert_string_equal(tg_peer_ask(p[i], "{\"verb\":\"status\"}"), "{\"fine\":true}");
        tg_peer_free(p[i]);
    }
}

static void test_no_memory_for_a_connection(void **state)
{
    struct tg_peer *a = tg_peer_new(), *b = tg_peer_new(), *c;
    (void)state;
    tg_alloc_fail_at(1, 1);
    assert_null(tg_peer_hear(a));
    assert_null(tg_peer_hear(b));
    tg_alloc_fail_at(0, 0);
    c = tg_peer_new(); /* connections are still taken */
    assert_string_equal(tg_peer_ask(c, "{\"verb\":\"status\"}"), "{\"fine\":true}");
    tg_alloc_fail_at(1, 1);
    tg_peer_say(c, "{\"verb\":\"status\"}"); /* no memory for the answer: closed rather than never answered */
    assert_null(tg_peer_hear(c));
    tg_alloc_fail_at(0, 0);
    tg_peer_free(a);
    tg_peer_free(b);
    tg_peer_free(c);
}

static void test_who_says_nothing_is_closed(void **state)
{
    struct tg_peer *silent, *slow, *good = tg_peer_new();
    (void)state;
    assert_string_equal(tg_peer_ask(good, "{\"verb\":\"status\"}"), "{\"fine\":true}");
    tg_control_limit_request(g.control, 1);
    silent = tg_peer_new();
    slow = tg_peer_new();
    tg_peer_say_bytes(slow, "{\"verb\":", 8);
    assert_null(tg_peer_hear(silent));
    assert_null(tg_peer_hear(slow));
    assert_string_equal(tg_peer_ask(good, "{\"verb\":\"status\"}"),
                        "{\"fine\":true}"); /* after a request there is no hurry */
    tg_peer_free(silent);
    tg_peer_free(slow);
    tg_peer_free(good);
}

static void test_closing_with_clients(void **state)
{
    struct tg_peer *p = tg_peer_new(), *q = tg_peer_new();
    (void)state;
    tg_peer_say(p, "{\"verb\":\"send\",\"device\":\"d0\",\"command\":\"reset\"}");
    tg_peer_say(p, "{\"verb\":\"tail\"}");
    tg_peer_assert_says(tg_peer_ask(p, "{}"), "error");
    tg_control_rig_close(&g); /* q is not even accepted */
    assert_null(tg_peer_hear(p));
    assert_int_equal(access(g.path, F_OK), -1);
    tg_router_answer(g.router, g.source.requests[0].request, 0, "{}");
    assert_int_equal(sample(1), TG_OK);
    tg_peer_free(p);
    tg_peer_free(q);
}

#define ROOM(test) cmocka_unit_test_setup_teardown(test, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {ROOM(test_status),
                                       ROOM(test_discovered_and_forget),
                                       ROOM(test_drop),
                                       ROOM(test_send),
                                       ROOM(test_sender_leaves_before_the_answer),
                                       ROOM(test_half_closed_sender_gets_its_answer),
                                       ROOM(test_tail),
                                       ROOM(test_device_names_are_escaped),
                                       ROOM(test_slow_tail_loses_lines_and_is_told),
                                       ROOM(test_garbage),
                                       ROOM(test_line_lengths),
                                       ROOM(test_split_at_every_byte_and_many_at_once),
                                       ROOM(test_who_asks_without_reading_is_closed),
                                       ROOM(test_the_seventeenth_is_refused),
                                       ROOM(test_no_memory_for_a_connection),
                                       ROOM(test_who_says_nothing_is_closed),
                                       ROOM(test_closing_with_clients)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
