/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * What a feed says to be pending is what may still come, to the row, wherever its cursor stands among numbers that were never stored:
 * status, metrics and "is it drained?" go by it.
 */
#include "support/store_fixture.h"

#define FAR UINT64_C(200000) /* where the numbers go on after a leap */

/* In the log, none of them acknowledged: 1 2 3, then a leap, FAR, FAR + 1, another hole, FAR + 3. */
static void leave_holes(struct fixture *f)
{
    static const uint64_t seqs[] = {1, 2, 3, FAR, FAR + 1, FAR + 3};
    struct tg_outbox *ob = tg_test_open(&f->o.outbox);
    uint32_t d, cursor;
    OK(tg_outbox_device(ob, "meter-1", &d, &f->err));
    OK(tg_outbox_cursor(ob, d, "hub", &cursor, &f->err));
    for (uint32_t i = 0; i < sizeof seqs / sizeof *seqs; i++) {
        struct tg_outbox_row row = {.id = i + 1,
                                    .seq = seqs[i],
                                    .device = d,
                                    .time_ms = STORED_MS,
                                    .body = tg_test_body(d, seqs[i], 60)};
        OK(tg_outbox_append(ob, &row, &f->err));
    }
    OK(tg_outbox_commit(ob, &f->err));
    tg_outbox_close(ob, true);
}

static uint64_t pending_in_log(struct fixture *f)
{
    struct tg_outbox *ob = tg_test_open(&f->o.outbox);
    struct tg_outbox_cursor_state c;
    uint32_t d, cursor;
    OK(tg_outbox_device(ob, "meter-1", &d, &f->err));
    OK(tg_outbox_cursor(ob, d, "hub", &cursor, &f->err));
    assert_int_equal(tg_outbox_cursor_state(ob, cursor, &c), TG_OK);
    tg_test_verify(ob);
    tg_outbox_close(ob, true);
    return c.pending;
}

/* All six are taken, one after the other is acknowledged. */
static void test_between_two_holes(void **state)
{
    struct fixture *f = *state;
    struct cloud hub = {.expected = 1, .holes_allowed = true};
    struct tg_row *rows[6];
    leave_holes(f);
    OK(open_store(f));
    open_feed(f, &hub, device(f, "meter-1"), "hub");
    assert_int_equal(tg_feed_pending(hub.feed), 6);
    tg_feed_resume(hub.feed);
    RUN_UNTIL(f, tg_feed_available(hub.feed) == 6);
    (void)tg_feed_take(hub.feed, 6, rows);
    for (uint32_t i = 0; i < 6; i++) {
        assert_int_equal(tg_feed_pending(hub.feed), 6 - i);
        tg_feed_ack(hub.feed, rows[i]->seq, rows[i]->id);
        tg_row_unref(rows[i]);
    }
    assert_int_equal(tg_feed_pending(hub.feed), 0);
    tg_feed_close(hub.feed);
    close_store(f);
    assert_int_equal(pending_in_log(f), 0);
}

/* A reload opens the feed again, beyond a hole that the log has not seen acknowledged yet. */
static void test_opened_again_beyond_a_hole(void **state)
{
    struct fixture *f = *state;
    struct cloud hub = {.expected = 1, .holes_allowed = true};
    leave_holes(f);
    OK(open_store(f));
    uint32_t d = device(f, "meter-1");
    open_feed(f, &hub, d, "hub");
    tg_feed_resume(hub.feed);
    RUN_UNTIL(f, tg_feed_available(hub.feed) == 6);
    assert_int_equal(take(&hub, 4), 4);
    ack_all(&hub);
    assert_int_equal(tg_feed_pending(hub.feed), 2);
    tg_feed_close(hub.feed);
    open_feed(f, &hub, d, "hub");
    assert_int_equal(tg_feed_pending(hub.feed), 2);
    tg_feed_close(hub.feed);
    close_store(f);
    assert_int_equal(pending_in_log(f), 2);
}

/* The outcome of a commit is not known; some of its rows are dropped from memory before it turns out that they are stored. */
static void test_dropped_and_stored_all_the_same(void **state)
{
    struct fixture *f = *state;
    struct cloud hub = {.expected = 1, .holes_allowed = true};
    uint64_t pending, dropped;
    f->o.uncommitted_limit_bytes = 64 * 1024;
    OK(open_store(f));
    uint32_t d = device(f, "meter-1");
    open_feed(f, &hub, d, "hub");
    assert_int_equal(append_n(f, d, 50, 100), TG_OK);
    settle(f); /* the log is begun */
    tg_gate_fail_syncs(UINT32_MAX);
    assert_int_equal(append_n(f, d, 50, 100), TG_OK);
    RUN_UNTIL(f, f->state == TG_STORE_DEGRADED);
    for (int i = 0; i < 30; i++) { /* it may be trying again, with what is in memory */
        int64_t end_ms = tg_clock_mono_ms() + PATIENCE_MS;
        while (append_n(f, d, 100, 100) != TG_OK && tg_clock_mono_ms() < end_ms)
            uv_run(&f->loop.uv, UV_RUN_ONCE);
    }
    dropped = stats_of(f).dropped_memory;
    assert_true(dropped > 50);
    tg_gate_fail_syncs(0);
    RUN_UNTIL(f, f->state == TG_STORE_OK);
    settle(f);
    pending = tg_feed_pending(hub.feed);
    assert_true(pending > tg_store_last_seq(f->store, d) - dropped); /* some are there again */
    tg_feed_close(hub.feed);
    close_store(f);
    assert_int_equal(pending_in_log(f), pending);
}

static void on_dropped(void *user, int rc, const char *text, uint64_t rows)
{
    uint64_t *ret_rows = user;
    (void)text;
    assert_int_equal(rc, TG_OK);
    *ret_rows = rows;
}

/* What was delivered from memory and acknowledged is so when it is stored later. */
static void test_acknowledged_before_it_is_stored(void **state)
{
    struct fixture *f = *state;
    struct cloud hub = {.expected = 1, .eager = true}, lake = {0};
    uint64_t dropped = 0;
    f->o.outbox.limit_bytes = 1 << 20;
    f->o.outbox.when_full = TG_WHEN_FULL_DROP_NEWEST;
    OK(open_store(f));
    uint32_t d = device(f, "meter-1");
    open_feed(f, &hub, d, "hub");
    open_feed(f, &lake, d, "lake");
    tg_feed_resume(hub.feed);
    while (f->state != TG_STORE_FULL) {
        assert_int_equal(append_n(f, d, 100, 500), TG_OK);
        uv_run(&f->loop.uv, UV_RUN_ONCE);
    }
    RUN_UNTIL(f, hub.got == tg_store_last_seq(f->store, d));
    assert_true(stats_of(f).uncommitted_rows > 0);
    for (int i = 0; i < 20; i++) /* tries again, with nothing but the acknowledgements */
        uv_run(&f->loop.uv, UV_RUN_ONCE);
    OK(tg_store_drop(f->store, NULL, "lake", 0, on_dropped, &dropped, &f->err));
    RUN_UNTIL(f, dropped > 0 && stats_of(f).uncommitted_rows == 0);
    tg_feed_close(hub.feed);
    tg_feed_close(lake.feed);
    close_store(f);
    assert_int_equal(pending_in_log(f), 0);
}

int main(void)
{
#define T(test) cmocka_unit_test_setup_teardown(test, set_up, tear_down)
    const struct CMUnitTest tests[] = {T(test_between_two_holes), T(test_opened_again_beyond_a_hole),
                                       T(test_dropped_and_stored_all_the_same),
                                       T(test_acknowledged_before_it_is_stored)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
