/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * Durability lazy: what is never written, what is and when, what a crash costs, and that no number comes twice.
 */
#include "support/store_fixture.h"

static int set_up_lazy(void **state)
{
    int rc = set_up(state);
    struct fixture *f = *state;
    f->o.outbox.durability = TG_DURABILITY_LAZY;
    f->o.lazy_window_ms = 3600000;
    return rc;
}

/* What is on the disk, by a reader of its own. */
static struct tg_outbox_stats on_disk(const struct fixture *f)
{
    struct tg_outbox_options o = f->o.outbox;
    struct tg_outbox *ob = NULL;
    struct tg_outbox_stats s;
    o.vfs = NULL;
    o.read_only = true;
    assert_int_equal(tg_outbox_open(&o, &ob, NULL, NULL), TG_OK);
    assert_int_equal(tg_outbox_stats(ob, &s, NULL), TG_OK);
    tg_outbox_close(ob, false);
    return s;
}

/* As if the process were killed now: what is on the disk lives on in another folder, what is in memory does not. */
static void crash(struct fixture *f)
{
    char *fresh = tg_test_memory_dir();
    tg_gate_hold(true); /* nothing goes on behind a sync, no checkpoint above all */
    tg_test_copy_outbox(f->dir, fresh);
    tg_gate_hold(false);
    close_store(f);
    tg_test_dir_remove(f->dir);
    free(f->dir);
    f->dir = fresh;
    f->o.outbox.dir = fresh;
}

static void test_what_is_acknowledged_in_time_is_never_written(void **state)
{
    struct fixture *f = *state;
    struct cloud hub = {.eager = true, .expected = 1}, lake = {.eager = true, .expected = 1};
    OK(open_store(f));
    uint32_t d = device(f, "meter-1");
    open_feed(f, &hub, d, "hub");
    open_feed(f, &lake, d, "lake");
    tg_feed_resume(hub.feed);
    tg_feed_resume(lake.feed);
    uint64_t written = on_disk(f).last_id;
    assert_int_equal(append_n(f, d, 100, 100), TG_OK);
    assert_int_equal(stats_of(f).uncommitted_rows, 100);
    RUN_UNTIL(f, f->committed_id == 100);
    struct tg_store_stats s = stats_of(f);
    assert_int_equal(s.spared, 100);
    assert_int_equal(s.committed, 100);
    assert_int_equal(s.committed_id, 100);
    assert_int_equal(s.uncommitted_rows, 0);
    assert_int_equal(s.lazy_window_ms, 3600000);
    assert_int_equal(on_disk(f).last_id, written);
    assert_int_equal(tg_feed_pending(hub.feed), 0);
    tg_feed_close(hub.feed);
    tg_feed_close(lake.feed);
    close_store(f);

    /* The account of what was never stored is exact all the same, and numbers go on without a gap. */
    struct tg_outbox *ob = tg_test_open(&f->o.outbox);
    struct tg_outbox_cursor_state c;
    uint32_t od, oc;
    tg_test_verify(ob);
    OK(tg_outbox_device(ob, "meter-1", &od, &f->err));
    OK(tg_outbox_cursor(ob, od, "hub", &oc, &f->err));
    assert_int_equal(tg_outbox_cursor_state(ob, oc, &c), TG_OK);
    assert_int_equal(tg_outbox_last_seq(ob, od), 100);
    assert_int_equal(tg_outbox_last_id(ob), 100);
    assert_int_equal(c.accepted, 100);
    assert_int_equal(c.acked, 100);
    assert_int_equal(c.pending, 0);
    tg_outbox_close(ob, true);
    assert_int_equal(on_disk(f).rows, 0);
}

static void test_what_one_cloud_misses_is_stored_after_the_window(void **state)
{
    struct fixture *f = *state;
    struct cloud hub = {.eager = true, .expected = 1}, lake = {.expected = 1};
    f->o.lazy_window_ms = 60;
    OK(open_store(f));
    uint32_t d = device(f, "meter-1");
    open_feed(f, &hub, d, "hub");
    open_feed(f, &lake, d, "lake");
    tg_feed_resume(hub.feed);
    assert_int_equal(append_n(f, d, 50, 100), TG_OK);
    RUN_UNTIL(f, f->committed_id == 50);
    assert_int_equal(stats_of(f).spared, 0);
    assert_int_equal(stats_of(f).outbox.rows, 50);
    assert_int_equal(hub.got, 50);
    tg_feed_close(hub.feed);
    tg_feed_close(lake.feed);
    crash(f);

    OK(open_store(f));
    d = device(f, "meter-1");
    open_feed(f, &hub, d, "hub");
    open_feed(f, &lake, d, "lake");
    assert_int_equal(tg_feed_pending(lake.feed), 50);
    assert_true(tg_store_last_seq(f->store, d) > 50 + TG_OUTBOX_LAZY_AHEAD);
    lake.eager = lake.holes_allowed = true; /* the leap is told behind them */
    tg_feed_resume(lake.feed);
    RUN_UNTIL(f, lake.got == 50);
    tg_feed_close(hub.feed);
    tg_feed_close(lake.feed);
    close_store(f);
    verify(f);
}

static void test_a_device_without_a_link_among_others(void **state)
{
    struct fixture *f = *state;
    struct cloud a = {.eager = true, .expected = 1}, b = {.expected = 1};
    f->o.lazy_window_ms = 60;
    OK(open_store(f));
    uint32_t da = device(f, "meter-a"), db = device(f, "meter-b");
    open_feed(f, &a, da, "hub");
    open_feed(f, &b, db, "hub");
    tg_feed_resume(a.feed);
    for (int i = 0; i < 40; i++) {
        assert_int_equal(append_n(f, db, 1, 100), TG_OK);
        assert_int_equal(append_n(f, da, 10, 100), TG_OK);
        uv_run(&f->loop.uv, UV_RUN_ONCE);
    }
    RUN_UNTIL(f, f->committed_id == 440);
    assert_int_equal(stats_of(f).outbox.rows, 40);
    assert_int_equal(stats_of(f).spared, 400);
    b.eager = true;
    tg_feed_resume(b.feed);
    RUN_UNTIL(f, b.got == 40 && tg_feed_pending(b.feed) == 0);
    assert_int_equal(append_n(f, db, 5, 100), TG_OK);
    RUN_UNTIL(f, stats_of(f).spared == 405);
    tg_feed_close(a.feed);
    tg_feed_close(b.feed);
    close_store(f);
    verify(f);
    assert_int_equal(on_disk(f).dropped[TG_DROP_DISK_FULL], 0);
}

static void test_short_memory_writes_early(void **state)
{
    struct fixture *f = *state;
    struct cloud hub = {.expected = 1};
    f->o.uncommitted_limit_bytes = 64 << 10;
    OK(open_store(f));
    uint32_t d = device(f, "meter-1");
    open_feed(f, &hub, d, "hub");
    for (int i = 0; i < 200; i++) {
        assert_int_equal(append_n(f, d, 10, 100), TG_OK);
        RUN_UNTIL(f, stats_of(f).uncommitted_bytes <= (64 << 10) * 3 / 4);
    }
    assert_true(stats_of(f).outbox.rows > 1500);
    hub.eager = true;
    tg_feed_resume(hub.feed);
    RUN_UNTIL(f, hub.got == 2000 && tg_feed_pending(hub.feed) == 0);
    tg_feed_close(hub.feed);
    close_store(f);
    verify(f);
}

static void test_close_stores_what_was_not_acknowledged(void **state)
{
    struct fixture *f = *state;
    struct cloud hub = {.expected = 1};
    OK(open_store(f));
    uint32_t d = device(f, "meter-1");
    open_feed(f, &hub, d, "hub");
    tg_feed_resume(hub.feed);
    assert_int_equal(append_n(f, d, 20, 100), TG_OK);
    RUN_UNTIL(f, tg_feed_available(hub.feed) == 20);
    assert_int_equal(take(&hub, 8), 8);
    ack_all(&hub);
    tg_feed_close(hub.feed);
    close_store(f);
    assert_int_equal(on_disk(f).rows, 12);
    OK(open_store(f));
    d = device(f, "meter-1");
    open_feed(f, &hub, d, "hub");
    assert_int_equal(tg_store_last_seq(f->store, d), 20);
    assert_int_equal(tg_feed_pending(hub.feed), 12);
    hub.eager = true;
    tg_feed_resume(hub.feed);
    RUN_UNTIL(f, hub.got == 20);
    tg_feed_close(hub.feed);
    close_store(f);
    verify(f);
}

static void test_a_new_cloud_begins_behind_what_is_in_memory(void **state)
{
    struct fixture *f = *state;
    struct cloud hub = {.eager = true, .expected = 1}, lake = {.eager = true, .expected = 31};
    OK(open_store(f));
    uint32_t d = device(f, "meter-1");
    open_feed(f, &hub, d, "hub");
    tg_feed_resume(hub.feed);
    assert_int_equal(append_n(f, d, 20, 100), TG_OK);
    RUN_UNTIL(f, hub.got == 20);
    assert_int_equal(append_n(f, d, 10, 100), TG_OK); /* not delivered yet */
    open_feed(f, &lake, d, "lake");
    assert_int_equal(tg_feed_pending(lake.feed), 0);
    tg_feed_resume(lake.feed);
    assert_int_equal(append_n(f, d, 5, 100), TG_OK);
    RUN_UNTIL(f, hub.got == 35 && lake.got == 5);
    tg_feed_close(hub.feed);
    tg_feed_close(lake.feed);
    close_store(f);
    verify(f);
}

/* A reload replaces a session: its feed is away for a moment, and samples come meanwhile. */
static void test_a_feed_that_is_replaced_misses_nothing(void **state)
{
    struct fixture *f = *state;
    struct cloud hub = {.expected = 1}, lake = {.eager = true, .expected = 1};
    OK(open_store(f));
    uint32_t d = device(f, "meter-1");
    open_feed(f, &hub, d, "hub");
    open_feed(f, &lake, d, "lake");
    tg_feed_resume(hub.feed);
    tg_feed_resume(lake.feed);
    assert_int_equal(append_n(f, d, 10, 100), TG_OK);
    RUN_UNTIL(f, tg_feed_available(hub.feed) == 10);
    assert_int_equal(take(&hub, 4), 4);
    ack_all(&hub);
    tg_feed_close(hub.feed);
    assert_int_equal(append_n(f, d, 10, 100), TG_OK);
    RUN_UNTIL(f, lake.got == 20);
    assert_int_equal(stats_of(f).uncommitted_rows, 16);
    open_feed(f, &hub, d, "hub");
    assert_int_equal(tg_feed_pending(hub.feed), 16);
    hub.eager = true;
    tg_feed_resume(hub.feed);
    RUN_UNTIL(f, hub.got == 20 && tg_feed_pending(hub.feed) == 0);
    tg_feed_close(hub.feed);
    tg_feed_close(lake.feed);
    close_store(f);
    verify(f);
}

/* Numbers must not run away from what the disk knows. */
static void test_a_stuck_disk_stops_the_numbers(void **state)
{
    struct fixture *f = *state;
    struct cloud hub = {.eager = true, .expected = 1};
    OK(open_store(f));
    uint32_t d = device(f, "meter-1");
    open_feed(f, &hub, d, "hub");
    tg_feed_resume(hub.feed);
    tg_gate_hold(true);
    int rc = TG_OK;
    while (rc == TG_OK && hub.got < 2 * TG_OUTBOX_LAZY_AHEAD) {
        rc = append_n(f, d, 50, 60);
        uv_run(&f->loop.uv, UV_RUN_NOWAIT);
    }
    assert_int_equal(rc, TG_EFULL);
    assert_true(tg_store_last_seq(f->store, d) < TG_OUTBOX_LAZY_AHEAD);
    assert_true(tg_store_last_seq(f->store, d) > TG_OUTBOX_LAZY_AHEAD - 100);
    tg_gate_hold(false);
    RUN_UNTIL(f, append_n(f, d, 1, 60) == TG_OK);
    tg_feed_close(hub.feed);
    uint64_t given = tg_store_last_seq(f->store, d);
    crash(f);
    OK(open_store(f));
    d = device(f, "meter-1");
    assert_true(tg_store_last_seq(f->store, d) >= given);
    close_store(f);
    verify(f);
}

/* While the disk takes nothing it is as with `full`: delivered from memory; afterwards the account is exact. */
static void test_trouble_and_back(void **state)
{
    struct fixture *f = *state;
    struct cloud hub = {.eager = true, .expected = 1}, lake = {.expected = 1};
    f->o.lazy_window_ms = 60;
    OK(open_store(f));
    uint32_t d = device(f, "meter-1"), e = device(f, "meter-2");
    open_feed(f, &hub, d, "hub");
    open_feed(f, &lake, e, "hub");
    lake.device = e;
    tg_feed_resume(hub.feed);
    tg_gate_gone(true);
    for (int i = 0; i < 20; i++) {
        assert_int_equal(append_n(f, d, 50, 100), TG_OK);
        assert_int_equal(append_n(f, e, 5, 100), TG_OK);
        uv_run(&f->loop.uv, UV_RUN_ONCE);
    }
    RUN_UNTIL(f, f->state == TG_STORE_DEGRADED && hub.got == 1000);
    tg_gate_gone(false);
    RUN_UNTIL(f, f->state == TG_STORE_OK && f->committed_id == 1100);
    lake.eager = true;
    tg_feed_resume(lake.feed);
    RUN_UNTIL(f, lake.got == 100 && tg_feed_pending(lake.feed) == 0);
    tg_feed_close(hub.feed);
    tg_feed_close(lake.feed);
    close_store(f);
    struct tg_outbox *ob = tg_test_open(&f->o.outbox);
    struct tg_outbox_cursor_state c;
    tg_test_verify(ob);
    uint32_t od, oc;
    OK(tg_outbox_device(ob, "meter-1", &od, &f->err));
    OK(tg_outbox_cursor(ob, od, "hub", &oc, &f->err));
    assert_int_equal(tg_outbox_cursor_state(ob, oc, &c), TG_OK);
    assert_int_equal(c.accepted, 1000);
    assert_int_equal(c.acked, 1000);
    tg_outbox_close(ob, true);
}

static void test_what_is_written_is_counted(void **state)
{
    struct fixture *f = *state;
    struct cloud hub = {.expected = 1};
    f->o.outbox.durability = TG_DURABILITY_FULL;
    OK(open_store(f));
    uint32_t d = device(f, "meter-1");
    open_feed(f, &hub, d, "hub");
    settle(f);
    uint64_t before = stats_of(f).outbox.written_bytes;
    assert_int_equal(append_n(f, d, 1000, 200), TG_OK);
    settle(f);
    RUN_UNTIL(f, stats_of(f).outbox.last_id == 1000);
    uint64_t written = stats_of(f).outbox.written_bytes - before;
    assert_true(written > 1000 * 200);
    assert_true(written < 2 * 1000 * 300);
    tg_feed_close(hub.feed);
    close_store(f);
}

int main(void)
{
#define T(test) cmocka_unit_test_setup_teardown(test, set_up_lazy, tear_down)
    const struct CMUnitTest tests[] = {
        T(test_what_is_acknowledged_in_time_is_never_written),
        T(test_what_one_cloud_misses_is_stored_after_the_window),
        T(test_a_device_without_a_link_among_others),
        T(test_short_memory_writes_early),
        T(test_close_stores_what_was_not_acknowledged),
        T(test_a_new_cloud_begins_behind_what_is_in_memory),
        T(test_a_feed_that_is_replaced_misses_nothing),
        T(test_a_stuck_disk_stops_the_numbers),
        T(test_trouble_and_back),
        T(test_what_is_written_is_counted),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
