/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * A store that cannot be used when it is opened: it delivers from memory at once, reads the backlog where that can be read,
 * takes the database over without an operator, and gives no number twice.
 */
#include "support/store_fixture.h"

#include <sys/stat.h>
#include <unistd.h>

#define FAR (UINT64_C(1) << 33) /* what is given meanwhile begins further than this above what is known */

/* A database with `rows` of which the hub has acknowledged `acked`. */
static void leave_backlog(struct fixture *f, uint64_t rows, uint32_t acked)
{
    struct cloud hub = {.expected = 1};
    OK(open_store(f));
    uint32_t d = device(f, "meter-1");
    open_feed(f, &hub, d, "hub");
    tg_feed_resume(hub.feed);
    assert_int_equal(append_n(f, d, rows, 80), TG_OK);
    settle(f);
    if (acked > 0) {
        RUN_UNTIL(f, tg_feed_available(hub.feed) >= acked);
        assert_int_equal(take(&hub, acked), acked);
        ack_all(&hub);
    }
    tg_feed_close(hub.feed);
    close_store(f);
}

/* The folder is there, but a folder lies where the lock belongs: everything can be read and nothing written. */
static void block(const struct fixture *f, bool blocked)
{
    const char *path = tg_test_path(f->dir, "outbox.lock");
    if (blocked) {
        (void)unlink(path);
        assert_int_equal(mkdir(path, 0700), 0);
    } else {
        assert_int_equal(rmdir(path), 0);
    }
}

static void look_at_account(struct fixture *f, uint64_t accepted)
{
    struct tg_outbox *ob = tg_test_open(&f->o.outbox);
    struct tg_outbox_cursor_state c;
    uint32_t d, cursor;
    tg_test_verify(ob);
    OK(tg_outbox_device(ob, "meter-1", &d, &f->err));
    OK(tg_outbox_cursor(ob, d, "hub", &cursor, &f->err));
    assert_int_equal(tg_outbox_cursor_state(ob, cursor, &c), TG_OK);
    assert_int_equal(c.pending, 0);
    assert_int_equal(c.dropped, 0);
    assert_int_equal(c.accepted, accepted);
    tg_outbox_close(ob, true);
}

static void test_the_backlog_is_read_and_the_database_taken_over(void **state)
{
    struct fixture *f = *state;
    struct cloud hub = {.eager = true, .expected = 31, .holes_allowed = true};
    leave_backlog(f, 100, 30);
    block(f, true);
    OK(open_store(f));
    RUN_UNTIL(f, f->state_calls > 0);
    assert_int_equal(f->state, TG_STORE_DEGRADED);
    assert_non_null(strstr(f->text, "outbox.lock cannot be opened: Is a directory"));
    assert_non_null(strstr(f->text, "what is stored in it is read and delivered"));
    assert_non_null(strstr(f->text, "trying again in"));
    assert_int_equal(f->state_calls, 1);
    uint32_t d = device(f, "meter-1"), fresh = device(f, "meter-2");
    OK(tg_store_retire_undeclared(f->store, &(uint64_t){0}, &f->err));
    open_feed(f, &hub, d, "hub");
    assert_int_equal(tg_feed_pending(hub.feed), 70);
    assert_true(tg_store_last_seq(f->store, d) > 100 + FAR);
    assert_int_equal(append_n(f, d, 20, 80), TG_OK);
    assert_int_equal(append_n(f, fresh, 5, 80), TG_OK);
    uint64_t given = tg_store_last_seq(f->store, d);
    tg_feed_resume(hub.feed);
    RUN_UNTIL(f, hub.got == 90 && tg_feed_pending(hub.feed) == 0);
    assert_int_equal(stats_of(f).outbox.rows, 100);
    block(f, false);
    RUN_UNTIL(f, f->state == TG_STORE_OK);
    assert_int_equal(append_n(f, d, 10, 80), TG_OK);
    /* It is told of the numbers that were leaped over. */
    RUN_UNTIL(f, hub.got == 100 && hub.gap_records == 1);
    assert_int_equal(tg_store_last_seq(f->store, d), given + 11);
    assert_int_equal(hub.gap.first_seq, 101);
    assert_int_equal(hub.gap.last_seq, given - 20);
    settle(f);
    tg_feed_close(hub.feed);
    close_store(f);
    look_at_account(f, 131);
    OK(open_store(f));
    assert_int_equal(tg_store_last_seq(f->store, device(f, "meter-1")), given + 11);
    close_store(f);
}

static void test_a_backlog_that_cannot_be_read_comes_later(void **state)
{
    struct fixture *f = *state;
    struct cloud hub = {.expected = 1};
    leave_backlog(f, 100, 30);
    tg_gate_gone(true);
    OK(open_store(f));
    RUN_UNTIL(f, f->state == TG_STORE_DEGRADED);
    assert_non_null(strstr(f->text, "waits until it can be read"));
    uint32_t d = device(f, "meter-1");
    open_feed(f, &hub, d, "hub");
    uint64_t base = tg_store_last_seq(f->store, d);
    assert_true(base > FAR);
    tg_feed_resume(hub.feed);
    assert_int_equal(append_n(f, d, 20, 80), TG_OK);
    hub.expected = base + 1;
    RUN_UNTIL(f, tg_feed_available(hub.feed) == 20);
    assert_int_equal(take(&hub, 10), 10);
    ack_all(&hub);
    assert_int_equal(take(&hub, 5), 5); /* in flight */
    tg_gate_gone(false);
    RUN_UNTIL(f, f->state == TG_STORE_OK);
    assert_int_equal(append_n(f, d, 5, 80), TG_OK);
    settle(f);
    assert_int_equal(tg_feed_available(hub.feed), 0); /* until what is in flight is settled */
    ack_all(&hub);
    hub.expected = 31;
    hub.last_id = hub.last_seq = 0;
    hub.holes_allowed = true;
    RUN_UNTIL(f, tg_feed_available(hub.feed) >= 70);
    uint64_t before = hub.got;
    hub.eager = true;
    on_rows(&hub);
    RUN_UNTIL(f, tg_feed_pending(hub.feed) == 0 && hub.gap_records > 0);
    assert_true(hub.got >= before + 70 + 10);
    assert_true(hub.got <= before + 70 + 25);
    assert_int_equal(hub.last_seq, base + 25 + hub.gap_records);
    settle(f);
    tg_feed_close(hub.feed);
    close_store(f);
    struct tg_outbox *ob = tg_test_open(&f->o.outbox);
    tg_test_verify(ob);
    tg_outbox_close(ob, true);
    OK(open_store(f));
    open_feed(f, &hub, device(f, "meter-1"), "hub");
    assert_int_equal(tg_feed_pending(hub.feed), 0);
    tg_feed_close(hub.feed);
    close_store(f);
}

/* Two processes in a row that cannot write, then one that can: all numbers differ. */
static void test_no_number_twice_over_starts(void **state)
{
    struct fixture *f = *state;
    uint64_t highest = 0;
    leave_backlog(f, 50, 0);
    for (int i = 0; i < 3; i++) {
        int64_t begin = tg_clock_wall_ms();
        block(f, true);
        OK(open_store(f));
        uint32_t d = device(f, "meter-1");
        assert_int_equal(append_n(f, d, 1, 80), TG_OK);
        assert_true(tg_store_last_seq(f->store, d) > highest);
        highest = tg_store_last_seq(f->store, d);
        close_store(f);
        assert_int_equal(f->state, TG_STORE_DEGRADED); /* told what is lost */
        assert_non_null(strstr(f->text, "1 sample that could not be stored"));
        block(f, false);
        while (tg_clock_wall_ms() <= begin + 1) /* a thousand numbers a second are what the scheme allows */
            uv_run(&f->loop.uv, UV_RUN_ONCE);
    }
    OK(open_store(f));
    uint32_t d = device(f, "meter-1");
    assert_true(tg_store_last_seq(f->store, d) < highest); /* known limit: lower, but never given */
    assert_true(tg_store_last_seq(f->store, d) >= 50);
    close_store(f);
    verify(f);
}

static void test_a_new_outbox_that_cannot_be_made_yet(void **state)
{
    struct fixture *f = *state;
    struct cloud hub = {.eager = true};
    block(f, true);
    OK(open_store(f));
    uint32_t d = device(f, "meter-1");
    open_feed(f, &hub, d, "hub");
    tg_feed_resume(hub.feed);
    assert_int_equal(append_n(f, d, 30, 80), TG_OK);
    RUN_UNTIL(f, hub.got == 30);
    block(f, false);
    RUN_UNTIL(f, f->state == TG_STORE_OK);
    assert_int_equal(append_n(f, d, 30, 80), TG_OK);
    RUN_UNTIL(f, hub.got == 60 && hub.gap_records == 1);
    settle(f);
    tg_feed_close(hub.feed);
    close_store(f);
    look_at_account(f, 60 + hub.gap_records);
}

static void test_lazy_waits_as_well(void **state)
{
    struct fixture *f = *state;
    struct cloud hub = {.eager = true, .expected = 31, .holes_allowed = true};
    leave_backlog(f, 100, 30);
    f->o.outbox.durability = TG_DURABILITY_LAZY;
    f->o.lazy_window_ms = 60;
    block(f, true);
    OK(open_store(f));
    uint32_t d = device(f, "meter-1");
    open_feed(f, &hub, d, "hub");
    tg_feed_resume(hub.feed);
    assert_int_equal(append_n(f, d, 20, 80), TG_OK);
    RUN_UNTIL(f, hub.got == 90);
    block(f, false);
    RUN_UNTIL(f, f->state == TG_STORE_OK);
    assert_int_equal(append_n(f, d, 20, 80), TG_OK);
    RUN_UNTIL(f, hub.got == 110 && hub.gap_records == 1 && stats_of(f).uncommitted_rows == 0);
    tg_feed_close(hub.feed);
    close_store(f);
    look_at_account(f, 140 + hub.gap_records);
}

/* Not for the store to decide. */
static void test_what_still_ends_the_start(void **state)
{
    struct fixture *f = *state;
    struct tg_store *first;
    OK(open_store(f));
    first = f->store;
    assert_int_equal(open_store(f), TG_EBUSY);
    f->store = first;
    close_store(f);
}

int main(void)
{
#define T(test) cmocka_unit_test_setup_teardown(test, set_up, tear_down)
    const struct CMUnitTest tests[] = {
        T(test_the_backlog_is_read_and_the_database_taken_over),
        T(test_a_backlog_that_cannot_be_read_comes_later),
        T(test_no_number_twice_over_starts),
        T(test_a_new_outbox_that_cannot_be_made_yet),
        T(test_lazy_waits_as_well),
        T(test_what_still_ends_the_start),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
