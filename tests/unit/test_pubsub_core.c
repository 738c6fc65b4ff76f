/* SPDX-License-Identifier: GPL-2.0-or-later */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>

#include "core/base/allocator.h"
#include "northbound/pubsub/pubsub_core.h"

#define WALL_S  1700000000
#define OK_1    "HTTP/1.1 200 OK\r\nContent-Length: 20\r\n\r\n{\"messageIds\":[\"7\"]}"
#define NO_BODY "\r\nContent-Length: 0\r\n\r\n"

static const struct tg_pubsub_origin origin = {
    .device = "meter-1", .gateway = "site-7", .content = {"application/json", "utf-8", ""}, .ordered = true};

struct stage {
    struct tg_pubsub_core core;
    struct tg_pubsub_event event;
    struct tg_bytes bytes;
    int64_t now_ms;
};

static int set_up(void **state)
{
    static const struct tg_pubsub_core_options o = {.host = "pubsub.googleapis.com",
                                                    .port = 443,
                                                    .project = "plant-one",
                                                    .topic = "telemetry",
                                                    .authorize = true,
                                                    .max_messages = 3,
                                                    .reply_timeout_ms = 30000,
                                                    .backoff = {.base_ms = 1000, .cap_ms = 60000}};
    struct stage *s = calloc(1, sizeof *s);
    if (!s)
        return -1;
    tg_pubsub_core_init(&s->core, &o);
    s->now_ms = 1000;
    *state = s;
    return 0;
}

static int tear_down(void **state)
{
    struct stage *s = *state;
    tg_pubsub_core_fini(&s->core);
    free(s);
    return 0;
}

static void add(struct stage *s, uint64_t seq, const char *data)
{
    assert_int_equal(tg_pubsub_core_add(&s->core, &origin, seq, tg_bytes_str(data)), TG_OK);
}

static enum tg_pubsub_send send_now(struct stage *s)
{
    return tg_pubsub_core_send(&s->core, s->now_ms, WALL_S, &s->bytes);
}

static void give(struct stage *s, const char *text)
{
    tg_pubsub_core_data(&s->core, s->now_ms, 0x80000000u, tg_bytes_str(text), &s->event);
}

static void give_token(struct stage *s, const char *token)
{
    assert_int_equal(tg_pubsub_core_token(&s->core, tg_bytes_str(token), WALL_S + 2700), TG_OK);
}

/* Connected, with a token, one sample sent. */
static void send_one(struct stage *s)
{
    tg_pubsub_core_connected(&s->core);
    give_token(s, "first");
    add(s, 1, "{}");
    assert_int_equal(send_now(s), TG_PUBSUB_WRITE);
}

static void test_a_request(void **state)
{
    static const char body[] =
        "{\"messages\":[{\"attributes\":{\"device\":\"meter-1\",\"gateway\":\"site-7\",\"seq\":\"4711\","
        "\"contentType\":\"application/json\"},\"data\":\"e30=\",\"orderingKey\":\"meter-1\"}]}";
    struct stage *s = *state;
    char want[1024];
    assert_int_equal(send_now(s), TG_PUBSUB_NOTHING);
    tg_pubsub_core_connected(&s->core);
    assert_int_equal(send_now(s), TG_PUBSUB_NOTHING);
    add(s, 4711, "{}");
    assert_int_equal(tg_pubsub_core_batch(&s->core), 1);
    assert_int_equal(tg_pubsub_core_batch_bytes(&s->core), sizeof body - 1);
    assert_int_equal(send_now(s), TG_PUBSUB_TOKEN);
    give_token(s, "a.b.c");
    assert_int_equal(send_now(s), TG_PUBSUB_WRITE);
    snprintf(
        want, sizeof want,
        "POST /v1/projects/plant-one/topics/telemetry:publish HTTP/1.1\r\nHost: pubsub.googleapis.com\r\n"
        "User-Agent: tidegate\r\nAccept: application/json\r\nContent-Type: application/json\r\n"
        "Authorization: Bearer a.b.c\r\nContent-Length: %zu\r\n\r\n%s",
        sizeof body - 1, body);
    assert_int_equal(s->bytes.len, strlen(want));
    assert_memory_equal(s->bytes.data, want, s->bytes.len);
    assert_int_equal(send_now(s), TG_PUBSUB_NOTHING); /* one at a time */
    assert_int_equal(tg_pubsub_core_deadline(&s->core), s->now_ms + 30000);
}

static void test_stored_in_pieces(void **state)
{
    struct stage *s = *state;
    send_one(s);
    for (const char *p = OK_1; *p; p++) {
        assert_int_equal(tg_pubsub_core_batch(&s->core), 1);
        tg_pubsub_core_data(&s->core, s->now_ms, 0, tg_bytes(p, 1), &s->event);
        assert_int_equal(s->event.outcome, p[1] ? TG_PUBSUB_GOES_ON : TG_PUBSUB_PUBLISHED);
    }
    assert_false(s->event.reconnect);
    assert_int_equal(tg_pubsub_core_batch(&s->core), 0);
    assert_int_equal(tg_pubsub_core_deadline(&s->core), INT64_MAX);
    add(s, 2, "{}"); /* the next one on the same connection, with the same token */
    assert_int_equal(send_now(s), TG_PUBSUB_WRITE);
}

static void test_bounds_of_a_batch(void **state)
{
    struct stage *s = *state;
    size_t len = 200 * 1024;
    uint8_t *large = calloc(1, 2 * 1024 * 1024);
    assert_non_null(large);
    assert_int_equal(tg_pubsub_core_add(&s->core, &origin, 1, tg_bytes(large, 1024 * 1024)), TG_ETOOBIG);
    assert_int_equal(tg_pubsub_core_batch(&s->core), 0);
    assert_int_equal(tg_pubsub_core_add(&s->core, &origin, 1, tg_bytes(large, len)), TG_OK);
    assert_int_equal(tg_pubsub_core_add(&s->core, &origin, 2, tg_bytes(large, len)), TG_EFULL);
    tg_pubsub_core_batch_drop(&s->core);
    add(s, 1, "a");
    assert_int_equal(tg_pubsub_core_add(&s->core, &origin, 2, tg_bytes(large, 1024 * 1024)), TG_EFULL);
    add(s, 2, "b");
    add(s, 3, "c");
    assert_int_equal(tg_pubsub_core_add(&s->core, &origin, 4, tg_bytes_str("d")), TG_EFULL);
    assert_int_equal(tg_pubsub_core_batch(&s->core), 3);
    free(large);
}

/* 429: the same body again after the back-off, on the same connection; Retry-After is a minimum. */
static void test_pause(void **state)
{
    struct stage *s = *state;
    char before[2048];
    size_t len;
    send_one(s);
    len = s->bytes.len;
    memcpy(before, s->bytes.data, len);
    give(s, "HTTP/1.1 429 Too Many Requests\r\nContent-Length: 73\r\n\r\n"
            "{\"error\":{\"code\":429,\"message\":\"slow\",\"status\":\"RESOURCE_EXHAUSTED\"}}    ");
    assert_int_equal(s->event.outcome, TG_PUBSUB_PAUSED);
    assert_non_null(strstr(s->event.text, "429 RESOURCE_EXHAUSTED: \"slow\""));
    assert_true(s->event.wait_ms > 0 && s->event.wait_ms <= 1000);
    assert_int_equal(tg_pubsub_core_deadline(&s->core), s->now_ms + s->event.wait_ms);
    assert_int_equal(send_now(s), TG_PUBSUB_NOTHING);
    s->now_ms += s->event.wait_ms;
    assert_int_equal(send_now(s), TG_PUBSUB_WRITE);
    assert_int_equal(s->bytes.len, len);
    assert_memory_equal(s->bytes.data, before, len);
    give(s, "HTTP/1.1 503 Unavailable\r\nRetry-After: 77\r\nConnection: close" NO_BODY);
    assert_int_equal(s->event.outcome, TG_PUBSUB_PAUSED);
    assert_true(s->event.reconnect);
    assert_in_range(s->event.wait_ms, 77000, 84700); /* and a tenth at most, at random */
    tg_pubsub_core_connected(&s->core);              /* a new connection does not shorten the wait */
    assert_int_equal(send_now(s), TG_PUBSUB_NOTHING);
    s->now_ms += s->event.wait_ms;
    assert_int_equal(send_now(s), TG_PUBSUB_WRITE);
    assert_memory_equal(s->bytes.data, before, len);
    give(s, OK_1);
    assert_int_equal(s->event.outcome, TG_PUBSUB_PUBLISHED);
}

static void test_retry_after_is_bounded(void **state)
{
    struct stage *s = *state;
    send_one(s);
    give(s, "HTTP/1.1 503 Unavailable\r\nRetry-After: 999999999" NO_BODY);
    assert_in_range(s->event.wait_ms, (uint64_t)TG_HTTP_LONGEST_WAIT_S * 1000,
                    (uint64_t)TG_HTTP_LONGEST_WAIT_S * 1100);
}

static void test_token_once_anew(void **state)
{
    struct stage *s = *state;
    char before[2048];
    size_t len;
    send_one(s);
    len = s->bytes.len;
    memcpy(before, s->bytes.data, len);
    give(s, "HTTP/1.1 401 Unauthorized" NO_BODY);
    assert_int_equal(s->event.outcome, TG_PUBSUB_NEW_TOKEN);
    assert_int_equal(send_now(s), TG_PUBSUB_TOKEN);
    give_token(s, "other");
    assert_int_equal(send_now(s), TG_PUBSUB_WRITE);
    assert_int_equal(s->bytes.len, len); /* "first" and "other" are of one length */
    assert_memory_equal(s->bytes.data + len - 150, before + len - 150, 150);
    give(s, "HTTP/1.1 401 Unauthorized" NO_BODY);
    assert_int_equal(s->event.outcome, TG_PUBSUB_FAILED);
    assert_int_equal(s->event.retry, TG_RETRY_NEVER);
    assert_int_equal(tg_pubsub_core_batch(&s->core), 1); /* kept */
    tg_pubsub_core_connected(&s->core);
    assert_int_equal(send_now(s), TG_PUBSUB_TOKEN);
}

/* After a success the next refusal asks for one new token again. */
static void test_token_refused_later(void **state)
{
    struct stage *s = *state;
    send_one(s);
    for (int i = 0; i < 3; i++) {
        give(s, "HTTP/1.1 401 Unauthorized" NO_BODY);
        assert_int_equal(s->event.outcome, TG_PUBSUB_NEW_TOKEN);
        give_token(s, "x");
        assert_int_equal(send_now(s), TG_PUBSUB_WRITE);
        give(s, OK_1);
        assert_int_equal(s->event.outcome, TG_PUBSUB_PUBLISHED);
        add(s, 2, "{}");
        assert_int_equal(send_now(s), TG_PUBSUB_WRITE);
    }
}

static void test_token_ends(void **state)
{
    struct stage *s = *state;
    send_one(s);
    give(s, OK_1);
    add(s, 2, "{}");
    assert_int_equal(tg_pubsub_core_send(&s->core, s->now_ms, WALL_S + 2699, &s->bytes), TG_PUBSUB_WRITE);
    give(s, OK_1);
    add(s, 3, "{}");
    assert_int_equal(tg_pubsub_core_send(&s->core, s->now_ms, WALL_S + 2700, &s->bytes), TG_PUBSUB_TOKEN);
    assert_int_equal(tg_pubsub_core_token(&s->core, tg_bytes_str(""), 1), TG_EINVAL);
    assert_int_equal(tg_pubsub_core_token(&s->core, tg_bytes_str("a\r\nX: b"), 1), TG_EINVAL);
    assert_int_equal(tg_pubsub_core_token(&s->core, tg_bytes(s, 5000), 1), TG_ETOOBIG);
}

static void test_no_authorization(void **state)
{
    struct stage *s = *state;
    s->core.o.authorize = false;
    tg_pubsub_core_connected(&s->core);
    add(s, 1, "{}");
    assert_int_equal(send_now(s), TG_PUBSUB_WRITE);
    assert_null(memmem(s->bytes.data, s->bytes.len, "Authorization", 13));
    give(s, "HTTP/1.1 401 Unauthorized" NO_BODY);
    assert_int_equal(s->event.outcome, TG_PUBSUB_FAILED);
    assert_int_equal(s->event.retry, TG_RETRY_NEVER);
}

static void test_refused_for_good(void **state)
{
    struct stage *s = *state;
    static const char *const answers[] = {"400 Bad Request", "403 Forbidden", "404 Not Found",
                                          "413 Too Large"};
    for (size_t i = 0; i < sizeof answers / sizeof answers[0]; i++) {
        char text[128];
        snprintf(text, sizeof text, "HTTP/1.1 %s%s", answers[i], NO_BODY);
        tg_pubsub_core_connected(&s->core);
        give_token(s, "t");
        if (tg_pubsub_core_batch(&s->core) == 0)
            add(s, 1, "{}");
        assert_int_equal(send_now(s), TG_PUBSUB_WRITE);
        give(s, text);
        assert_int_equal(s->event.outcome, TG_PUBSUB_FAILED);
        assert_int_equal(s->event.retry, TG_RETRY_NEVER);
        assert_int_equal(tg_pubsub_core_batch(&s->core), 1);
        assert_int_equal(tg_pubsub_core_deadline(&s->core), INT64_MAX);
    }
}

/* What leaves open whether the messages are stored: the connection goes, the batch stays. */
static void test_outcome_unknown(void **state)
{
    static const char *const answers[] = {"SSH-2.0\r\n", "HTTP/1.1 200 OK\r\nContent-Length: x\r\n\r\n",
                                          "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n"};
    struct stage *s = *state;
    for (size_t i = 0; i < sizeof answers / sizeof answers[0]; i++) {
        tg_pubsub_core_connected(&s->core);
        give_token(s, "t");
        if (tg_pubsub_core_batch(&s->core) == 0)
            add(s, 1, "{}");
        assert_int_equal(send_now(s), TG_PUBSUB_WRITE);
        give(s, answers[i]);
        assert_int_equal(s->event.outcome, TG_PUBSUB_FAILED);
        assert_int_equal(s->event.retry, TG_RETRY_BACKOFF);
        assert_true(s->event.text[0]);
        assert_int_equal(tg_pubsub_core_batch(&s->core), 1);
    }
    /* Wrong counts and bodies that are no JSON are told apart from success, on a connection that is sound. */
    tg_pubsub_core_connected(&s->core);
    assert_int_equal(send_now(s), TG_PUBSUB_WRITE);
    give(s, "HTTP/1.1 200 OK\r\nContent-Length: 24\r\n\r\n{\"messageIds\":[\"7\",\"8\"]}");
    assert_int_equal(s->event.outcome, TG_PUBSUB_PAUSED);
    s->now_ms += s->event.wait_ms;
    assert_int_equal(send_now(s), TG_PUBSUB_WRITE);
    give(s, "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello");
    assert_int_equal(s->event.outcome, TG_PUBSUB_PAUSED);
    s->now_ms += s->event.wait_ms;
    assert_int_equal(send_now(s), TG_PUBSUB_WRITE);
    give(s, OK_1);
    assert_int_equal(s->event.outcome, TG_PUBSUB_PUBLISHED);
}

static void test_answer_without_end(void **state)
{
    struct stage *s = *state;
    char chunk[4097];
    memset(chunk, ' ', sizeof chunk - 1);
    chunk[sizeof chunk - 1] = '\0';
    send_one(s);
    give(s, "HTTP/1.1 200 OK\r\n\r\n");
    for (int i = 0; i < 1000 && s->event.outcome == TG_PUBSUB_GOES_ON; i++)
        give(s, chunk);
    assert_int_equal(s->event.outcome, TG_PUBSUB_FAILED);
    assert_int_equal(s->event.retry, TG_RETRY_BACKOFF);
}

static void test_time_out(void **state)
{
    struct stage *s = *state;
    send_one(s);
    s->now_ms += 29999;
    tg_pubsub_core_tick(&s->core, s->now_ms, &s->event);
    assert_int_equal(s->event.outcome, TG_PUBSUB_GOES_ON);
    give(s, "HTTP/1.1 200 OK\r\n"); /* a trickle moves no deadline */
    tg_pubsub_core_tick(&s->core, ++s->now_ms, &s->event);
    assert_int_equal(s->event.outcome, TG_PUBSUB_FAILED);
    assert_int_equal(s->event.retry, TG_RETRY_BACKOFF);
    assert_int_equal(tg_pubsub_core_batch(&s->core), 1);
}

static void test_closed_by_the_server(void **state)
{
    struct stage *s = *state;
    /* before any answer: a failure */
    send_one(s);
    tg_pubsub_core_eof(&s->core, s->now_ms, 0, &s->event);
    assert_int_equal(s->event.outcome, TG_PUBSUB_FAILED);
    /* the end is the end of the body */
    tg_pubsub_core_connected(&s->core);
    assert_int_equal(send_now(s), TG_PUBSUB_WRITE);
    give(s, "HTTP/1.1 200 OK\r\n\r\n{\"messageIds\":[\"7\"]}");
    assert_int_equal(s->event.outcome, TG_PUBSUB_GOES_ON);
    tg_pubsub_core_eof(&s->core, s->now_ms, 0, &s->event);
    assert_int_equal(s->event.outcome, TG_PUBSUB_PUBLISHED);
    assert_true(s->event.reconnect);
    /* cut off */
    tg_pubsub_core_connected(&s->core);
    add(s, 2, "{}");
    assert_int_equal(send_now(s), TG_PUBSUB_WRITE);
    give(s, "HTTP/1.1 200 OK\r\nContent-Length: 20\r\n\r\n{\"messageIds\":[\"7\"");
    tg_pubsub_core_eof(&s->core, s->now_ms, 0, &s->event);
    assert_int_equal(s->event.outcome, TG_PUBSUB_FAILED);
    assert_int_equal(s->event.retry, TG_RETRY_BACKOFF);
    /* idle, and crossing a request on a connection that has served: no failure */
    tg_pubsub_core_connected(&s->core);
    assert_int_equal(send_now(s), TG_PUBSUB_WRITE);
    give(s, OK_1);
    tg_pubsub_core_eof(&s->core, s->now_ms, 0, &s->event);
    assert_int_equal(s->event.outcome, TG_PUBSUB_GOES_ON);
    assert_true(s->event.reconnect);
    tg_pubsub_core_connected(&s->core);
    add(s, 3, "{}");
    assert_int_equal(send_now(s), TG_PUBSUB_WRITE);
    give(s, OK_1);
    add(s, 4, "{}");
    assert_int_equal(send_now(s), TG_PUBSUB_WRITE);
    tg_pubsub_core_eof(&s->core, s->now_ms, 0, &s->event);
    assert_int_equal(s->event.outcome, TG_PUBSUB_GOES_ON);
    assert_true(s->event.reconnect);
    assert_int_equal(tg_pubsub_core_batch(&s->core), 1);
}

static void test_unasked(void **state)
{
    struct stage *s = *state;
    tg_pubsub_core_connected(&s->core);
    give(s, OK_1);
    assert_int_equal(s->event.outcome, TG_PUBSUB_FAILED);
    tg_pubsub_core_connected(&s->core);
    give_token(s, "t");
    add(s, 1, "{}");
    assert_int_equal(send_now(s), TG_PUBSUB_WRITE);
    give(s, OK_1 OK_1);
    assert_int_equal(s->event.outcome, TG_PUBSUB_PUBLISHED);
    assert_true(s->event.reconnect);
}

/* Every allocation fails in turn: the batch is whole or was never taken. */
static void test_no_memory(void **state)
{
    struct stage *s = *state;
    for (uint64_t n = 1; n < 20; n++) {
        int rc;
        tg_alloc_fail_at(n, 0);
        rc = tg_pubsub_core_add(&s->core, &origin, 1, tg_bytes_str("{}"));
        tg_pubsub_core_connected(&s->core);
        give_token(s, "t");
        if (rc == TG_OK) {
            assert_int_equal(send_now(s), TG_PUBSUB_WRITE);
            give(s, OK_1);
            assert_true(s->event.outcome == TG_PUBSUB_PUBLISHED ||
                        (s->event.outcome == TG_PUBSUB_FAILED && tg_pubsub_core_batch(&s->core) == 1));
        } else {
            assert_int_equal(rc, TG_ENOMEM);
            assert_int_equal(tg_pubsub_core_batch(&s->core), 0);
        }
        tg_alloc_fail_at(0, 0);
        tg_pubsub_core_closed(&s->core);
        if (tg_pubsub_core_batch(&s->core) > 0)
            tg_pubsub_core_batch_drop(&s->core);
        tg_buffer_fini(&s->core.request);
    }
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_a_request),
        TEST(test_stored_in_pieces),
        TEST(test_bounds_of_a_batch),
        TEST(test_pause),
        TEST(test_retry_after_is_bounded),
        TEST(test_token_once_anew),
        TEST(test_token_refused_later),
        TEST(test_token_ends),
        TEST(test_no_authorization),
        TEST(test_refused_for_good),
        TEST(test_outcome_unknown),
        TEST(test_answer_without_end),
        TEST(test_time_out),
        TEST(test_closed_by_the_server),
        TEST(test_unasked),
        TEST(test_no_memory),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
