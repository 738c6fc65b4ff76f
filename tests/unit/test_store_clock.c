/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * Feeds whose rows have no wall time yet: they are held, nothing of their device overtakes them, other devices go on; then they come
 * with their time: from memory, from the log, after a restart, and while the database takes nothing.
 */
#include "support/store_fixture.h"

#include "core/base/clock.h"
#include "core/base/sample.h"

#define OFFSET_MS INT64_C(1900000000000)

/* A sample of this boot, or with a wall time. */
static void append(struct fixture *f, uint32_t d, bool since_boot, int64_t ms)
{
    uint8_t memory[64];
    struct tg_writer w = tg_writer_init(memory, sizeof memory);
    struct tg_sample_time at = {since_boot ? TG_TIME_BOOT : TG_TIME_KNOWN, since_boot ? tg_clock_boot() : 0,
                                ms};
    uint64_t seq, id;
    tg_sample_begin_at(&w, &at, 1);
    tg_sample_value(&w, &(struct tg_named_value){tg_bytes_str("v"), 0, tg_value_uint(1)});
    assert_false(w.failed);
    assert_int_equal(tg_store_append(f->store, d, ms, tg_bytes(memory, w.len), &seq, &id), TG_OK);
}

struct reader {
    struct tg_feed *feed;
    uint32_t got;
    uint64_t next_seq;
    int64_t times[4000];
};

static void on_clocked(void *user)
{
    struct reader *r = user;
    struct tg_row *row;
    assert_true(tg_feed_available(r->feed) > 0);
    while (tg_feed_available(r->feed) > 0) {
        struct tg_sample_reader body;
        tg_feed_take(r->feed, 1, &row);
        assert_int_equal(row->seq, r->next_seq++);
        assert_int_equal(tg_sample_reader_init(&body, tg_bytes(row->body, row->body_len)), TG_OK);
        assert_int_equal(body.time, TG_TIME_KNOWN);
        assert_true(r->got < sizeof r->times / sizeof r->times[0]);
        r->times[r->got++] = body.time_ms;
        tg_feed_ack(r->feed, row->seq, row->id);
        tg_row_unref(row);
    }
}

static void open_reader(struct fixture *f, struct reader *r, uint32_t d)
{
    *r = (struct reader){.next_seq = 1};
    OK(tg_feed_open(f->store, d, "hub", on_clocked, r, &r->feed, &f->err));
    tg_feed_resume(r->feed);
}

static void expect_times(const struct reader *r, uint32_t count, int64_t step_ms)
{
    assert_int_equal(r->got, count);
    for (uint32_t i = 0; i < count; i++)
        assert_int_equal(r->times[i], OFFSET_MS + step_ms * (int64_t)i);
}

static uint64_t waiting(const struct fixture *f)
{
    struct tg_store_stats s;
    tg_store_stats(f->store, &s);
    return s.waiting_rows;
}

/* More than a ring holds, so that some come from the log; and one with a wall time behind them. */
static void test_what_has_no_time_waits(void **state)
{
    struct fixture *f = *state;
    struct reader held, other;
    OK(open_store(f));
    uint32_t a = device(f, "a"), b = device(f, "b");
    open_reader(f, &held, a);
    open_reader(f, &other, b);
    for (int i = 0; i < 3000; i++)
        append(f, a, true, i);
    append(f, a, false, OFFSET_MS + 3000);
    for (int i = 0; i < 100; i++)
        append(f, b, false, OFFSET_MS + i);
    settle(f);
    RUN_UNTIL(f, other.got == 100);
    assert_int_equal(held.got, 0);
    assert_true(tg_feed_waits_for_clock(held.feed));
    assert_false(tg_feed_waits_for_clock(other.feed));
    assert_int_equal(tg_feed_pending(held.feed), 3001);
    assert_int_equal(waiting(f), 3000);
    tg_store_clock(f->store, OFFSET_MS);
    RUN_UNTIL(f, held.got == 3001);
    expect_times(&held, 3001, 1);
    assert_false(tg_feed_waits_for_clock(held.feed));
    assert_int_equal(waiting(f), 0);
    tg_feed_close(held.feed);
    tg_feed_close(other.feed);
    close_store(f);
}

static void test_another_process_of_the_boot(void **state)
{
    struct fixture *f = *state;
    struct reader r;
    OK(open_store(f));
    uint32_t a = device(f, "a");
    open_reader(f, &r, a);
    for (int i = 0; i < 300; i++)
        append(f, a, true, i);
    settle(f);
    tg_feed_close(r.feed);
    close_store(f);
    OK(open_store(f));
    assert_int_equal(device(f, "a"), a);
    assert_int_equal(waiting(f), 300);
    open_reader(f, &r, a);
    for (int i = 300; i < 400; i++)
        append(f, a, true, i);
    settle(f);
    assert_int_equal(r.got, 0);
    tg_store_clock(f->store, OFFSET_MS);
    RUN_UNTIL(f, r.got == 400);
    expect_times(&r, 400, 1);
    tg_feed_close(r.feed);
    close_store(f);
}

/* What is delivered from memory gets its time from memory, and is stored with it afterwards. */
static void test_while_the_database_is_gone(void **state)
{
    struct fixture *f = *state;
    struct reader r;
    OK(open_store(f));
    uint32_t a = device(f, "a");
    open_reader(f, &r, a);
    settle(f);
    tg_gate_gone(true);
    for (int i = 0; i < 50; i++)
        append(f, a, true, i);
    RUN_UNTIL(f, f->state == TG_STORE_DEGRADED);
    assert_int_equal(r.got, 0);
    tg_store_clock(f->store, OFFSET_MS);
    RUN_UNTIL(f, r.got == 50);
    expect_times(&r, 50, 1);
    tg_gate_gone(false);
    RUN_UNTIL(f, f->state == TG_STORE_OK);
    for (int i = 50; i < 60; i++)
        append(f, a, true, i);
    RUN_UNTIL(f, r.got == 60);
    expect_times(&r, 60, 1);
    tg_feed_close(r.feed);
    close_store(f);
}

#define T(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
    static const struct CMUnitTest tests[] = {
        T(test_what_has_no_time_waits),
        T(test_another_process_of_the_boot),
        T(test_while_the_database_is_gone),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
