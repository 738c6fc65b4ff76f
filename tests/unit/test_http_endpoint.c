/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * The bounds of the HTTP endpoint, with clients that read when the test says so.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <errno.h>
#include <arpa/inet.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cmocka.h>

#include "core/base/allocator.h"
#include "core/base/clock.h"
#include "core/gateway/http.h"

#define BIG_BYTES (3 * 1024 * 1024) /* more than the buffers of a loopback socket hold */
#define PATIENCE  30000

static struct tg_loop loop;
static struct tg_http *http;
static struct tg_http_address at;
static char address[32];

static bool answer(void *user, const char *path, struct tg_http_answer *a)
{
    (void)user;
    if (strcmp(path, "/big") != 0)
        return false;
    *a = (struct tg_http_answer){
        .status = 200, .content_type = "text/plain", .text = tg_calloc(1, BIG_BYTES), .len = BIG_BYTES};
    assert_non_null(a->text);
    return true;
}

/* A socket that is bound to a free port, which it keeps for as long as it is open. */
static int take_port(void)
{
    struct tg_http_address any;
    socklen_t len = sizeof any.v4;
    int fd = socket(AF_INET, SOCK_STREAM, 0);
    assert_int_equal(tg_http_address_parse("127.0.0.1:1", &any), TG_OK);
    any.v4.sin_port = 0;
    assert_int_equal(bind(fd, &any.any, any.len), 0);
    assert_int_equal(getsockname(fd, &any.any, &len), 0);
    snprintf(address, sizeof address, "127.0.0.1:%u", ntohs(any.v4.sin_port));
    assert_int_equal(tg_http_address_parse(address, &at), TG_OK);
    return fd;
}

static int begin(void **state)
{
    struct tg_error err = {0};
    (void)state;
    if (tg_loop_init(&loop, &err) < 0)
        return -1;
    close(take_port());
    return tg_http_new(&loop, address, answer, NULL, &http, &err);
}

static int end(void **state)
{
    (void)state;
    tg_http_close(http);
    tg_loop_fini(&loop); /* nothing is left open */
    return 0;
}

static int connect_and_ask(const char *request)
{
    int fd = socket(AF_INET, SOCK_STREAM, 0), small = 4096;
    assert_int_equal(setsockopt(fd, SOL_SOCKET, SO_RCVBUF, &small, sizeof small), 0);
    assert_int_equal(connect(fd, &at.any, at.len), 0);
    assert_int_equal(send(fd, request, strlen(request), MSG_NOSIGNAL), (ssize_t)strlen(request));
    return fd;
}

/* Reads into text (at most size - 1, what is more is passed over) until the other side closes. How many bytes came. */
static size_t read_all(int fd, char *text, size_t size)
{
    static char part[65536];
    int64_t limit = tg_clock_mono_ms() + PATIENCE;
    size_t sum = 0;
    for (;;) {
        ssize_t n = recv(fd, part, sizeof part, MSG_DONTWAIT);
        if (n == 0 || (n < 0 && errno != EAGAIN))
            break;
        if (n < 0) {
            assert_true(tg_clock_mono_ms() < limit);
            uv_run(&loop.uv, UV_RUN_NOWAIT);
            continue;
        }
        if (sum < size - 1)
            memcpy(text + sum, part, sum + (size_t)n < size ? (size_t)n : size - 1 - sum);
        sum += (size_t)n;
    }
    text[sum < size ? sum : size - 1] = '\0';
    close(fd);
    return sum;
}

static void turn_until_requests(uint64_t count)
{
    int64_t limit = tg_clock_mono_ms() + PATIENCE;
    while (tg_http_requests(http) < count) {
        assert_true(tg_clock_mono_ms() < limit);
        uv_run(&loop.uv, UV_RUN_NOWAIT);
    }
}

#define ASK_BIG "GET /big HTTP/1.1\r\nHost: localhost\r\n\r\n"

static void a_large_answer_arrives_whole(void **state)
{
    char head[512];
    size_t n;
    (void)state;
    assert_string_equal(tg_http_trouble(http), "");
    n = read_all(connect_and_ask(ASK_BIG), head, sizeof head);
    assert_ptr_equal(strstr(head, "HTTP/1.1 200 OK\r\n"), head);
    assert_non_null(strstr(head, "Content-Length: 3145728\r\n"));
    assert_int_equal(n, (size_t)(strstr(head, "\r\n\r\n") + 4 - head) + BIG_BYTES);
}

static void answers_to_slow_readers_are_bounded(void **state)
{
    int fds[8];
    char head[512];
    (void)state;
    for (unsigned i = 0; i < 8; i++) {
        fds[i] = connect_and_ask(ASK_BIG);
        turn_until_requests(i + 1);
    }
    for (unsigned i = 8; i-- > 0;) {
        read_all(fds[i], head, sizeof head);
        assert_non_null(strstr(head, i < 3 ? " 200 OK\r\n" : " 503 ")); /* 3 × 3 MiB reach the limit of 8 */
        assert_true(i < 3 || strstr(head, "Retry-After: 5\r\n"));
    }
    read_all(connect_and_ask(ASK_BIG), head, sizeof head); /* there is room again */
    assert_non_null(strstr(head, " 200 OK\r\n"));
}

static void slow_clients_lose_their_place(void **state)
{
    int silent, reader, half;
    unsigned turns = 0;
    int64_t begin_ms = tg_clock_mono_ms();
    char head[512];
    (void)state;
    tg_http_limit_life(http, 300);
    silent = connect_and_ask("");
    half = connect_and_ask("GET /big HTTP/1.1\r\nX: ");
    reader = connect_and_ask(ASK_BIG);
    turn_until_requests(1);
    /* Meanwhile the loop sleeps. */
    while (tg_clock_mono_ms() - begin_ms < 250) {
        uv_run(&loop.uv, UV_RUN_ONCE);
        turns++;
    }
    assert_true(turns < 100);
    assert_int_equal(read_all(silent, head, sizeof head), 0);
    assert_int_equal(read_all(half, head, sizeof head), 0);
    assert_true(read_all(reader, head, sizeof head) < BIG_BYTES);
    assert_true(tg_clock_mono_ms() - begin_ms >= 300);
}

static void who_waits_gets_a_place_that_becomes_free(void **state)
{
    int fds[TG_HTTP_MAX_CONNECTIONS], late;
    char head[512];
    (void)state;
    tg_http_limit_life(http, 200);
    for (unsigned i = 0; i < TG_HTTP_MAX_CONNECTIONS; i++)
        fds[i] = connect_and_ask("GET /");
    late = connect_and_ask("GET / HTTP/1.1\r\nHost: [::1]:1\r\n\r\n");
    read_all(late, head, sizeof head);
    assert_non_null(strstr(head, " 404 "));
    for (unsigned i = 0; i < TG_HTTP_MAX_CONNECTIONS; i++)
        assert_int_equal(read_all(fds[i], head, sizeof head), 0);
}

static void a_port_in_use_is_told(void **state)
{
    struct tg_http *second = NULL;
    struct tg_error err = {0};
    (void)state;
    assert_int_equal(tg_http_new(&loop, address, answer, NULL, &second, &err), TG_OK);
    assert_string_equal(tg_http_trouble(second), "Address already in use");
    assert_string_equal(tg_http_address(second), address);
    tg_http_close(second);
}

static void closing_ends_what_is_under_way(void **state)
{
    int reader = connect_and_ask(ASK_BIG), half = connect_and_ask("GET /b");
    (void)state;
    turn_until_requests(1);
    tg_http_close(http);
    tg_loop_fini(&loop);
    assert_int_equal(begin(NULL), 0); /* for end() */
    close(reader);
    close(half);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(a_large_answer_arrives_whole, begin, end),
        cmocka_unit_test_setup_teardown(answers_to_slow_readers_are_bounded, begin, end),
        cmocka_unit_test_setup_teardown(slow_clients_lose_their_place, begin, end),
        cmocka_unit_test_setup_teardown(who_waits_gets_a_place_that_becomes_free, begin, end),
        cmocka_unit_test_setup_teardown(a_port_in_use_is_told, begin, end),
        cmocka_unit_test_setup_teardown(closing_ends_what_is_under_way, begin, end),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
