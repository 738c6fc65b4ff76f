/* SPDX-License-Identifier: GPL-2.0-or-later */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <errno.h>
#include <fcntl.h>
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "core/base/allocator.h"
#include "core/gateway/control_client.h"
#include "support/control_rig.h"

static struct tg_gateway g;

/* --- a client on the same thread: the loop turns while it waits -------------------------------------- */

struct peer {
    int fd;
    size_t pos, len; /* of `in`: heard, received */
    char in[1 << 21];
    char line[1 << 21];
    bool ended;
};

static struct sockaddr_un address(void)
{
    struct sockaddr_un a = {.sun_family = AF_UNIX};
    assert_true(strlen(g.path) < sizeof a.sun_path);
    memcpy(a.sun_path, g.path, strlen(g.path) + 1);
    return a;
}

static struct peer *peer_new(void)
{
    struct sockaddr_un a = address();
    struct peer *p = calloc(1, sizeof *p);
    assert_non_null(p);
    p->fd = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    assert_true(p->fd >= 0);
    assert_int_equal(connect(p->fd, (struct sockaddr *)&a, sizeof a), 0);
    return p;
}

static void peer_free(struct peer *p)
{
    close(p->fd);
    free(p);
}

static void say_bytes(struct peer *p, const char *data, size_t len)
{
    while (len > 0) {
        ssize_t n = send(p->fd, data, len, MSG_NOSIGNAL);
        if (n < 0 && errno == EAGAIN) {
            tg_control_rig_turn(&g);
            continue;
        }
        if (n < 0)
            return; /* it has been closed: the test looks at what it reads */
        data += n;
        len -= (size_t)n;
    }
}

static void say(struct peer *p, const char *line)
{
    say_bytes(p, line, strlen(line));
    say_bytes(p, "\n", 1);
}

static bool read_some(struct peer *p)
{
    ssize_t n;
    if (p->pos) {
        memmove(p->in, p->in + p->pos, p->len - p->pos);
        p->len -= p->pos;
        p->pos = 0;
    }
    n = recv(p->fd, p->in + p->len, sizeof p->in - p->len, 0);
    if (n > 0) {
        p->len += (size_t)n;
        return true;
    }
    if (n == 0 || errno != EAGAIN)
        p->ended = true;
    return false;
}

/* A line that is here already, else NULL. */
static const char *take_line(struct peer *p)
{
    char *from = p->in + p->pos, *end = memchr(from, '\n', p->len - p->pos);
    size_t n = end ? (size_t)(end - from) : 0;
    if (!end)
        return NULL;
    memcpy(p->line, from, n);
    p->line[n] = '\0';
    p->pos += n + 1;
    return p->line;
}

/* The next line, NULL when the gateway has closed. */
static const char *hear(struct peer *p)
{
    for (;;) {
        const char *line = take_line(p);
        if (line)
            return line;
        if (p->ended)
            return NULL;
        if (!read_some(p))
            tg_control_rig_turn(&g);
    }
}

static const char *ask(struct peer *p, const char *line)
{
    say(p, line);
    return hear(p);
}

static void assert_says(const char *line, const char *part)
{
    json_t *j;
    assert_non_null(line);
    j = json_loads(line, 0, NULL);
    if (!j || !strstr(line, part))
        fail_msg("%s does not say %s", line, part);
    json_decref(j);
}

static int setup(void **state)
{
    struct tg_error err = {0};
    (void)state;
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
    struct peer *p = peer_new();
    char *large;
    (void)state;
    assert_string_equal(ask(p, "{\"verb\":\"status\"}"), "{\"fine\":true}");
    large = malloc((1 << 20) + 300000);
    assert_non_null(large);
    memset(large, 'x', (1 << 20) + 300000); /* thousands of devices: more than may wait otherwise */
    memcpy(large, "{\"a\":\"", 6);
    strcpy(large + (1 << 20) + 299990, "\"}");
    g.status = large;
    assert_string_equal(ask(p, "{\"verb\":\"status\"}"), large);
    g.status = NULL;
    assert_says(ask(p, "{\"verb\":\"status\"}"), "could not be made");
    free(large);
    peer_free(p);
}

static void test_send(void **state)
{
    struct peer *p = peer_new();
    (void)state;
    say(p, "{\"verb\":\"send\",\"device\":\"d0\",\"command\":\"set\",\"arguments\":{\"p0\":2.5}}");
    while (g.source.count == 0)
        tg_control_rig_turn(&g);
    assert_true(g.source.requests[0].is_write);
    assert_says(ask(p, "{\"verb\":\"send\",\"device\":\"d0\",\"command\":\"set\",\"arguments\":{\"p0\":1}}"),
                "one command at a time");
    tg_router_answer(g.router, g.source.requests[0].request, 0, "{\"was\":1}");
    assert_string_equal(hear(p), "{\"status\":\"ok\",\"result\":{\"was\":1}}");
    assert_says(ask(p, "{\"verb\":\"send\",\"device\":\"d0\",\"command\":\"set\",\"arguments\":{\"p1\":1}}"),
                "not writable");
    assert_says(ask(p, "{\"verb\":\"send\",\"device\":\"d9\",\"command\":\"set\"}"), "no device");
    say(p, "{\"verb\":\"send\",\"device\":\"d0\",\"command\":\"reset\"}");
    while (g.source.count == 1)
        tg_control_rig_turn(&g);
    assert_string_equal(g.source.requests[1].text, "reset {}");
    tg_router_answer(g.router, g.source.requests[1].request, TG_PLUGIN_EDEVICE, "not JSON");
    assert_string_equal(hear(p), "{\"status\":\"device\",\"result\":\"not JSON\"}");
    assert_says(ask(p, "{\"verb\":\"send\",\"device\":\"d0\"}"), "send takes");
    assert_says(ask(p, "{\"verb\":\"send\",\"device\":1,\"command\":\"x\"}"), "send takes");
    assert_says(ask(p, "{\"verb\":\"send\",\"device\":\"d0\",\"command\":\"x\",\"arguments\":[]}"),
                "send takes");
    peer_free(p);
}

static void test_sender_leaves_before_the_answer(void **state)
{
    struct peer *p = peer_new();
    (void)state;
    say(p, "{\"verb\":\"tail\"}");
    say(p, "{\"verb\":\"send\",\"device\":\"d0\",\"command\":\"reset\"}");
    while (g.source.count == 0)
        tg_control_rig_turn(&g);
    peer_free(p);
    for (int i = 0; i < 5; i++)
        tg_control_rig_turn(&g);
    tg_router_answer(g.router, g.source.requests[0].request, 0, "{}");
    assert_int_equal(sample(1), TG_OK);
}

static void test_half_closed_sender_gets_its_answer(void **state)
{
    struct peer *p = peer_new();
    (void)state;
    say(p, "{\"verb\":\"send\",\"device\":\"d0\",\"command\":\"reset\"}");
    shutdown(p->fd, SHUT_WR);
    while (g.source.count == 0)
        tg_control_rig_turn(&g);
    for (int i = 0; i < 5; i++)
        tg_control_rig_turn(&g);
    tg_router_answer(g.router, g.source.requests[0].request, 0, "{}");
    assert_string_equal(hear(p), "{\"status\":\"ok\",\"result\":{}}");
    assert_null(hear(p));
    peer_free(p);
    p = peer_new(); /* and one that asks nothing is let go */
    shutdown(p->fd, SHUT_WR);
    assert_null(hear(p));
    peer_free(p);
}

static void test_tail(void **state)
{
    struct peer *all = peer_new(), *one = peer_new();
    (void)state;
    assert_says(ask(one, "{\"verb\":\"tail\",\"device\":\"d9\"}"), "no such device");
    say(one, "{\"verb\":\"tail\",\"device\":\"d0\"}");
    say(all, "{\"verb\":\"tail\"}");
    assert_says(ask(one, "{}"), "error"); /* all that was said before has been heard */
    assert_says(ask(all, "{}"), "error");
    assert_int_equal(sample(0.5), TG_OK);
    assert_says(hear(one), "{\"device\":\"d0\",\"sample\":{");
    assert_says(hear(all), "\"values\":{\"p0\":0.5}");
    peer_free(all);
    peer_free(one);
}

static void test_device_names_are_escaped(void **state)
{
    struct peer *p = peer_new();
    (void)state;
    g.model.devices[0].id = "a\"b\\c";
    say(p, "{\"verb\":\"tail\"}");
    assert_says(ask(p, "{}"), "error");
    assert_int_equal(sample(0.5), TG_OK);
    assert_says(hear(p), "{\"device\":\"a\\\"b\\\\c\"");
    peer_free(p);
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
    struct peer *p = peer_new();
    static char text[TG_TEXT_MAX_BYTES];
    struct tg_point_value v = {.point = 1, .value = tg_value_text(text, sizeof text)};
    uint64_t lost = 0, seq = 0;
    const char *line;
    (void)state;
    memset(text, 'a', sizeof text);
    say(p, "{\"verb\":\"tail\"}");
    assert_says(ask(p, "{}"), "error");
    for (int i = 0; i < 3000; i++) { /* 3 MiB: more than socket and queue hold */
        assert_int_equal(tg_router_sample(g.router, g.device, 1, &v, 1), TG_OK);
        tg_control_rig_turn(&g);
    }
    /* It reads a little now and then and never catches up: it must hear of its losses all the same. */
    for (int i = 0; lost == 0; i++) {
        assert_true(i < 100000);
        if (i % 4 == 0 && !take_line(p))
            (void)read_some(p);
        else if (i % 4 == 0)
            follow(p->line, &seq, &lost);
        assert_int_equal(tg_router_sample(g.router, g.device, 1, &v, 1), TG_OK);
        tg_control_rig_turn(&g);
    }
    assert_true(g.store.seq > seq + 100); /* it is far behind */
    while (seq < 6000) {
        line = take_line(p);
        if (line) {
            follow(line, &seq, &lost);
        } else if (!read_some(p)) { /* what was lost last is told with the next line */
            assert_int_equal(tg_router_sample(g.router, g.device, 1, &v, 1), TG_OK);
            tg_control_rig_turn(&g);
        }
    }
    print_message("%llu of %llu lines lost\n", (unsigned long long)lost, (unsigned long long)g.store.seq);
    peer_free(p);
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
    struct peer *p = peer_new();
    char *deep = malloc(60001);
    (void)state;
    for (size_t i = 0; i < sizeof wrong / sizeof wrong[0]; i++)
        assert_says(ask(p, wrong[i]), "a request is a JSON object");
    assert_non_null(deep);
    memset(deep, '[', 60000);
    deep[60000] = '\0';
    assert_says(ask(p, deep), "a request is a JSON object");
    say_bytes(p, "{\"verb\":\0\"status\"}\n", 19);
    assert_says(hear(p), "a request is a JSON object");
    assert_string_equal(ask(p, "{\"verb\":\"status\"}"), "{\"fine\":true}"); /* it goes on */
    free(deep);
    peer_free(p);
}

static void test_line_lengths(void **state)
{
    struct peer *p = peer_new();
    char *line = malloc(70001);
    (void)state;
    assert_non_null(line);
    memset(line, ' ', 70000);
    line[70000] = '\0';
    memcpy(line, "{\"verb\":\"status\"}", 17);
    line[TG_CONTROL_LINE_BYTES - 1] = '\0'; /* with its newline just as long as may be */
    assert_string_equal(ask(p, line), "{\"fine\":true}");
    line[TG_CONTROL_LINE_BYTES - 1] = ' ';
    say(p, line);
    assert_says(hear(p), "at most 64 KiB");
    assert_null(hear(p));
    free(line);
    peer_free(p);
}

static void test_split_at_every_byte_and_many_at_once(void **state)
{
    static const char two[] = "{\"verb\":\"status\"}\n{\"verb\":\"nope\"}\n";
    struct peer *p = peer_new();
    char *many = malloc(20 * 3000 + 1);
    (void)state;
    for (size_t i = 0; i < sizeof two - 1; i++) {
        say_bytes(p, two + i, 1);
        tg_control_rig_turn(&g);
    }
    assert_string_equal(hear(p), "{\"fine\":true}");
    assert_says(hear(p), "error");
    assert_non_null(many);
    many[0] = '\0';
    for (int i = 0; i < 3000; i++)
        memcpy(many + (size_t)i * 18, "{\"verb\":\"status\"}\n", 19);
    say_bytes(p, many, 3000 * 18);
    for (int i = 0; i < 3000; i++)
        assert_string_equal(hear(p), "{\"fine\":true}");
    free(many);
    peer_free(p);
}

static void test_who_asks_without_reading_is_closed(void **state)
{
    struct peer *p = peer_new();
    static char lines[65536];
    (void)state;
    memset(lines, '\n', sizeof lines); /* each is answered with an error */
    for (int i = 0; i < 64 && send(p->fd, lines, sizeof lines, MSG_NOSIGNAL) != -1; i++)
        for (int k = 0; k < 20; k++)
            tg_control_rig_turn(&g);
    assert_true(send(p->fd, lines, 1, MSG_NOSIGNAL) < 0 && errno != EAGAIN);
    peer_free(p);
    p = peer_new();
    assert_string_equal(ask(p, "{\"verb\":\"status\"}"), "{\"fine\":true}");
    peer_free(p);
}

static void test_the_seventeenth_is_refused(void **state)
{
    struct peer *p[TG_CONTROL_MAX_CLIENTS], *more;
    (void)state;
    for (int i = 0; i < TG_CONTROL_MAX_CLIENTS; i++) {
        p[i] = peer_new();
        assert_string_equal(ask(p[i], "{\"verb\":\"status\"}"), "{\"fine\":true}");
    }
    more = peer_new();
    assert_says(hear(more), "too many connections");
    assert_null(hear(more));
    peer_free(more);
    peer_free(p[3]);
    for (int i = 0; i < 5; i++)
        tg_control_rig_turn(&g);
    p[3] = peer_new();
    for (int i = 0; i < TG_CONTROL_MAX_CLIENTS; i++) {
        assert_string_equal(ask(p[i], "{\"verb\":\"status\"}"), "{\"fine\":true}");
        peer_free(p[i]);
    }
}

static void test_no_memory_for_a_connection(void **state)
{
    struct peer *a = peer_new(), *b = peer_new(), *c;
    (void)state;
    tg_alloc_fail_at(1, 1);
    assert_null(hear(a));
    assert_null(hear(b));
    tg_alloc_fail_at(0, 0);
    c = peer_new(); /* connections are still taken */
    assert_string_equal(ask(c, "{\"verb\":\"status\"}"), "{\"fine\":true}");
    tg_alloc_fail_at(1, 1);
    say(c, "{\"verb\":\"status\"}"); /* no memory for the answer: closed rather than never answered */
    assert_null(hear(c));
    tg_alloc_fail_at(0, 0);
    peer_free(a);
    peer_free(b);
    peer_free(c);
}

static void test_who_says_nothing_is_closed(void **state)
{
    struct peer *silent, *slow, *good = peer_new();
    (void)state;
    assert_string_equal(ask(good, "{\"verb\":\"status\"}"), "{\"fine\":true}");
    tg_control_limit_request(g.control, 1);
    silent = peer_new();
    slow = peer_new();
    say_bytes(slow, "{\"verb\":", 8);
    assert_null(hear(silent));
    assert_null(hear(slow));
    assert_string_equal(ask(good, "{\"verb\":\"status\"}"),
                        "{\"fine\":true}"); /* after a request there is no hurry */
    peer_free(silent);
    peer_free(slow);
    peer_free(good);
}

static void test_closing_with_clients(void **state)
{
    struct peer *p = peer_new(), *q = peer_new();
    (void)state;
    say(p, "{\"verb\":\"send\",\"device\":\"d0\",\"command\":\"reset\"}");
    say(p, "{\"verb\":\"tail\"}");
    assert_says(ask(p, "{}"), "error");
    tg_control_rig_close(&g); /* q is not even accepted */
    assert_null(hear(p));
    assert_int_equal(access(g.path, F_OK), -1);
    tg_router_answer(g.router, g.source.requests[0].request, 0, "{}");
    assert_int_equal(sample(1), TG_OK);
    peer_free(p);
    peer_free(q);
}

/* --- the socket file ---------------------------------------------------------------------------------------
 */

static void test_mode(void **state)
{
    struct stat st;
    mode_t before = umask(0);
    struct tg_error err = {0};
    (void)state;
    tg_control_rig_close(&g);
    tg_control_rig_turn(&g);
    assert_int_equal(tg_control_rig_open(&g, &err), 0);
    assert_int_equal(umask(before), 0); /* as it was */
    assert_int_equal(stat(g.path, &st), 0);
    assert_true(S_ISSOCK(st.st_mode));
    assert_int_equal(st.st_mode & 07777, 0660);
}

static void test_a_living_gateway_keeps_its_socket(void **state)
{
    struct tg_control *second = NULL;
    struct tg_error err = {0};
    struct peer *p;
    (void)state;
    assert_int_equal(tg_control_new(&g.loop, &g, g.path, &second, &err), TG_EEXISTS);
    assert_non_null(strstr(err.text, "another gateway answers there"));
    assert_null(second);
    p = peer_new();
    assert_string_equal(ask(p, "{\"verb\":\"status\"}"), "{\"fine\":true}");
    peer_free(p);
}

static void test_a_dead_gateways_socket_is_replaced(void **state)
{
    struct sockaddr_un a;
    struct tg_error err = {0};
    struct peer *p;
    int fd;
    (void)state;
    tg_control_rig_close(&g);
    tg_control_rig_turn(&g);
    a = address();
    fd = socket(AF_UNIX, SOCK_STREAM, 0);
    assert_int_equal(bind(fd, (struct sockaddr *)&a, sizeof a), 0);
    close(fd); /* the file stays, as after kill -9 */
    assert_int_equal(access(g.path, F_OK), 0);
    assert_int_equal(tg_control_rig_open(&g, &err), 0);
    p = peer_new();
    assert_string_equal(ask(p, "{\"verb\":\"status\"}"), "{\"fine\":true}");
    peer_free(p);
}

static void test_a_full_queue_is_no_dead_gateway(void **state)
{
    struct sockaddr_un a;
    struct tg_error err = {0};
    int fd, fill[8];
    (void)state;
    tg_control_rig_close(&g);
    tg_control_rig_turn(&g);
    a = address();
    fd = socket(AF_UNIX, SOCK_STREAM, 0);
    assert_int_equal(bind(fd, (struct sockaddr *)&a, sizeof a), 0);
    assert_int_equal(listen(fd, 0), 0);
    for (int i = 0; i < 8; i++) {
        fill[i] = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0);
        (void)!connect(fill[i], (struct sockaddr *)&a, sizeof a);
    }
    assert_int_equal(tg_control_rig_open(&g, &err), TG_EEXISTS); /* and it does not wait for it */
    for (int i = 0; i < 8; i++)
        close(fill[i]);
    close(fd);
}

static void test_what_is_no_socket_stays(void **state)
{
    struct tg_error err = {0};
    char byte = 0;
    int fd;
    (void)state;
    tg_control_rig_close(&g);
    tg_control_rig_turn(&g);
    fd = open(g.path, O_CREAT | O_WRONLY, 0600);
    assert_int_equal(write(fd, "k", 1), 1);
    close(fd);
    assert_int_equal(tg_control_rig_open(&g, &err), TG_EEXISTS);
    assert_non_null(strstr(err.text, "not a socket"));
    fd = open(g.path, O_RDONLY);
    assert_int_equal(read(fd, &byte, 1), 1);
    assert_int_equal(byte, 'k');
    close(fd);
}

static void test_paths_that_cannot_be(void **state)
{
    struct tg_control *c = NULL;
    struct tg_error err = {0};
    char long_path[200];
    (void)state;
    memset(long_path, 'a', sizeof long_path);
    long_path[sizeof long_path - 1] = '\0';
    assert_int_equal(tg_control_new(&g.loop, &g, long_path, &c, &err), TG_ETOOBIG);
    assert_int_equal(tg_control_new(&g.loop, &g, "/nonexistent/tidegate/c.sock", &c, &err), TG_EIO);
    assert_non_null(strstr(err.text, "is its folder there"));
    tg_alloc_fail_at(1, 0);
    assert_int_equal(tg_control_new(&g.loop, &g, "/nonexistent/tidegate/c.sock", &c, &err), TG_ENOMEM);
    tg_alloc_fail_at(0, 0);
    assert_null(c);
}

/* --- the commands' end
 * ---------------------------------------------------------------------------------------- */

static int client_line(struct tg_control_client *c, char **line)
{
    int rc;
    while ((rc = tg_control_line(c, 0, line)) == TG_ETIMEOUT)
        tg_control_rig_turn(&g);
    return rc;
}

static void test_client(void **state)
{
    struct tg_control_client c;
    char *line = NULL;
    (void)state;
    assert_int_equal(tg_control_connect(&c, g.path), 0);
    assert_int_equal(tg_control_send(&c, "{\"verb\":\"status\"}"), 0);
    assert_int_equal(tg_control_send(&c, "{\"verb\":\"tail\"}"), 0);
    assert_int_equal(tg_control_send(&c, "nonsense"), 0);
    assert_int_equal(client_line(&c, &line), 0);
    assert_string_equal(line, "{\"fine\":true}");
    assert_int_equal(client_line(&c, &line), 0);
    assert_says(line, "error");
    assert_int_equal(tg_control_line(&c, 0, &line), TG_ETIMEOUT);
    assert_int_equal(sample(7), TG_OK);
    assert_int_equal(sample(8), TG_OK);
    assert_int_equal(client_line(&c, &line), 0);
    assert_says(line, "\"p0\":7");
    assert_int_equal(client_line(&c, &line), 0);
    assert_says(line, "\"p0\":8");
    tg_control_rig_close(&g);
    assert_int_equal(client_line(&c, &line), TG_EEOF);
    assert_int_equal(tg_control_send(&c, "{}"), TG_EEOF);
    tg_control_disconnect(&c);
    tg_control_rig_turn(&g);
    assert_int_equal(tg_control_connect(&c, g.path), TG_ECONNECT);
}

#define ROOM(test) cmocka_unit_test_setup_teardown(test, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {ROOM(test_status),
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
                                       ROOM(test_closing_with_clients),
                                       ROOM(test_mode),
                                       ROOM(test_a_living_gateway_keeps_its_socket),
                                       ROOM(test_a_dead_gateways_socket_is_replaced),
                                       ROOM(test_a_full_queue_is_no_dead_gateway),
                                       ROOM(test_what_is_no_socket_stays),
                                       ROOM(test_paths_that_cannot_be),
                                       ROOM(test_client)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
