/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * Which rows go first, on a real outbox: urgent ones before a backlog, fresh ones beside or before it; what of that
 * survives a restart; and that each row is given once, whatever the order.
 */
#include "support/store_fixture.h"

#define ROWS_MAX 8000

/* What a cloud was given, by seq. */
struct taker {
    struct tg_feed *feed;
    uint8_t times[ROWS_MAX + 1];
    uint64_t got, first_seq, last_seq; /* of the last take */
    bool ahead;
    struct tg_row *rows[TG_FEED_MAX_ROWS];
    uint32_t count;
};

static void on_some(void *user)
{
    (void)user;
}

static uint32_t open_taker(struct fixture *f, struct taker *t, enum tg_drain drain)
{
    uint32_t d = device(f, "meter-1");
    OK(tg_feed_open(f->store, d, "hub", on_some, NULL, &t->feed, &f->err));
    tg_feed_set_drain(t->feed, drain);
    return d;
}

static void append_urgent(struct fixture *f, uint32_t d)
{
    uint64_t seq, id;
    struct tg_bytes body = tg_test_body(d, tg_store_last_seq(f->store, d) + 1, 50);
    assert_int_equal(tg_store_append_urgent(f->store, d, 1000, body, &seq, &id), TG_OK);
}

/* Takes a batch of the stream that is offered. */
static uint32_t take_batch(struct taker *t, uint32_t most)
{
    uint32_t n = tg_feed_available(t->feed);
    t->count = n < most ? n : most;
    if (t->count == 0)
        return 0;
    t->ahead = tg_feed_take(t->feed, t->count, t->rows);
    t->first_seq = t->rows[0]->seq;
    t->last_seq = t->rows[t->count - 1]->seq;
    for (uint32_t i = 0; i < t->count; i++) {
        struct tg_outbox_row r = {.seq = t->rows[i]->seq,
                                  .device = t->rows[i]->device,
                                  .body = tg_bytes(t->rows[i]->body, t->rows[i]->body_len)};
        tg_test_check_body(&r);
        t->times[r.seq]++;
        t->got++;
    }
    return t->count;
}

static void ack_batch(struct taker *t)
{
    const struct tg_row *last = t->rows[t->count - 1];
    if (t->ahead)
        tg_feed_ack_ahead(t->feed, t->count, t->rows);
    else
        tg_feed_ack(t->feed, last->seq, last->id);
    for (uint32_t i = 0; i < t->count; i++)
        tg_row_unref(t->rows[i]);
    t->count = 0;
}

static void await_batch(struct fixture *f, struct taker *t, uint32_t most)
{
    RUN_UNTIL(f, take_batch(t, most) > 0);
}

static void drain_all(struct fixture *f, struct taker *t)
{
    while (tg_feed_pending(t->feed) > 0) {
        await_batch(f, t, 100);
        ack_batch(t);
    }
}

static void assert_each_once(const struct taker *t, uint64_t rows)
{
    assert_int_equal(t->got, rows);
    for (uint64_t seq = 1; seq <= rows; seq++)
        assert_int_equal(t->times[seq], 1);
}

static void end(struct fixture *f, struct taker *t)
{
    tg_feed_close(t->feed);
    close_store(f);
    verify(f);
}

/* A backlog of n rows, of which those with these numbers are urgent (ended by 0). */
static uint32_t backlog(struct fixture *f, struct taker *t, enum tg_drain drain, uint64_t n,
                        const uint64_t *urgent)
{
    memset(t, 0, sizeof *t);
    OK(open_store(f));
    uint32_t d = open_taker(f, t, drain);
    for (uint64_t seq = 1; seq <= n; seq++) {
        if (urgent && *urgent == seq) {
            append_urgent(f, d);
            urgent++;
        } else {
            assert_int_equal(append_n(f, d, 1, 50), TG_OK);
        }
    }
    settle(f);
    return d;
}

static struct taker hub;

static void test_urgent_rows_of_the_backlog_come_first(void **state)
{
    static const uint64_t urgent[] = {700, 701, 2500, 0};
    struct fixture *f = *state;
    backlog(f, &hub, TG_DRAIN_IN_ORDER, 3000, urgent);
    tg_feed_resume(hub.feed);
    await_batch(f, &hub, 100);
    assert_true(hub.ahead);
    assert_int_equal(hub.count, 3);
    assert_int_equal(hub.first_seq, 700);
    assert_int_equal(hub.last_seq, 2500);
    ack_batch(&hub);
    assert_int_equal(tg_feed_acked_ahead(hub.feed), 3);
    assert_int_equal(tg_feed_pending(hub.feed), 2997);
    uint64_t next = 1;
    while (next <= 3000) { /* the others in order, without a gap but for these */
        await_batch(f, &hub, 100);
        assert_false(hub.ahead);
        for (uint32_t i = 0; i < hub.count; i++) {
            while (next == 700 || next == 701 || next == 2500)
                next++;
            assert_int_equal(hub.rows[i]->seq, next++);
        }
        ack_batch(&hub);
    }
    assert_each_once(&hub, 3000);
    assert_int_equal(tg_feed_acked_seq(hub.feed), 3000);
    assert_int_equal(tg_feed_acked_ahead(hub.feed), 0);
    end(f, &hub);
}

static void test_what_went_ahead_does_not_come_again_after_a_restart(void **state)
{
    static const uint64_t urgent[] = {700, 2500, 0};
    struct fixture *f = *state;
    backlog(f, &hub, TG_DRAIN_NEWEST_FIRST, 3000, urgent);
    tg_feed_resume(hub.feed);
    await_batch(f, &hub, 100);
    ack_batch(&hub); /* the urgent ones */
    await_batch(f, &hub, 40);
    assert_false(hub.ahead);
    ack_batch(&hub);
    uint32_t d = device(f, "meter-1");
    assert_int_equal(append_n(f, d, 20, 50), TG_OK);
    settle(f);
    await_batch(f, &hub, 100);
    assert_true(hub.ahead);
    assert_int_equal(hub.first_seq, 3001);
    assert_int_equal(hub.count, 20);
    ack_batch(&hub);
    uint64_t pending = tg_feed_pending(hub.feed);
    tg_feed_close(hub.feed);
    close_store(f);
    verify(f);

    OK(open_store(f));
    open_taker(f, &hub, TG_DRAIN_NEWEST_FIRST);
    assert_int_equal(tg_feed_pending(hub.feed), pending);
    assert_int_equal(tg_feed_acked_seq(hub.feed), 40);
    assert_int_equal(tg_feed_acked_ahead(hub.feed), 22);
    tg_feed_resume(hub.feed);
    drain_all(f, &hub);
    assert_each_once(&hub, 3020);
    end(f, &hub);
}

static void test_fair_takes_turns(void **state)
{
    struct fixture *f = *state;
    uint32_t d = backlog(f, &hub, TG_DRAIN_FAIR, 4000, NULL), changes = 0;
    tg_feed_resume(hub.feed);
    await_batch(f, &hub, 10);
    ack_batch(&hub);
    assert_int_equal(append_n(f, d, 200, 50), TG_OK);
    settle(f);
    RUN_UNTIL(f, tg_feed_ready_ahead(hub.feed) == 200 && tg_feed_ready(hub.feed) >= 400);
    for (int i = 0; i < 20; i++) {
        bool before = hub.ahead;
        await_batch(f, &hub, 10);
        changes += hub.ahead != before;
        ack_batch(&hub);
    }
    assert_int_equal(changes, 20);
    tg_feed_hold_ahead(hub.feed, true); /* a batch that is to fill waits */
    await_batch(f, &hub, 10);
    assert_false(hub.ahead);
    ack_batch(&hub);
    await_batch(f, &hub, 10);
    assert_false(hub.ahead);
    ack_batch(&hub);
    append_urgent(f, d); /* but not one with an urgent row in front */
    tg_feed_hold_ahead(hub.feed, false);
    drain_all(f, &hub);
    assert_each_once(&hub, 4201);
    end(f, &hub);
}

static void test_newest_first(void **state)
{
    struct fixture *f = *state;
    uint32_t d = backlog(f, &hub, TG_DRAIN_NEWEST_FIRST, 4000, NULL);
    tg_feed_resume(hub.feed);
    await_batch(f, &hub, 10);
    assert_false(hub.ahead);
    ack_batch(&hub);
    for (int round = 0; round < 10; round++) {
        assert_int_equal(append_n(f, d, 30, 50), TG_OK);
        settle(f);
        RUN_UNTIL(f, tg_feed_ready_ahead(hub.feed) == 30);
        for (int i = 0; i < 3; i++) {
            await_batch(f, &hub, 10);
            assert_true(hub.ahead);
            ack_batch(&hub);
        }
        await_batch(f, &hub, 10);
        assert_false(hub.ahead);
        ack_batch(&hub);
    }
    drain_all(f, &hub);
    assert_each_once(&hub, 4300);
    /* It keeps up again: what comes now is in order, from memory. */
    uint64_t pages = stats_of(f).pages_read;
    assert_int_equal(append_n(f, d, 50, 50), TG_OK);
    drain_all(f, &hub);
    assert_each_once(&hub, 4350);
    assert_int_equal(stats_of(f).pages_read, pages);
    end(f, &hub);
}

static void test_an_urgent_row_overtakes_what_waits_in_memory(void **state)
{
    struct fixture *f = *state;
    uint32_t d = backlog(f, &hub, TG_DRAIN_IN_ORDER, 0, NULL);
    tg_feed_resume(hub.feed);
    assert_int_equal(append_n(f, d, 100, 50), TG_OK);
    settle(f);
    RUN_UNTIL(f, tg_feed_ready(hub.feed) == 100);
    append_urgent(f, d);
    assert_int_equal(append_n(f, d, 20, 50), TG_OK);
    settle(f);
    RUN_UNTIL(f, tg_feed_ready_ahead(hub.feed) == 1);
    await_batch(f, &hub, 10);
    assert_true(hub.ahead);
    assert_int_equal(hub.first_seq, 101);
    ack_batch(&hub);
    drain_all(f, &hub);
    assert_each_once(&hub, 121);
    end(f, &hub);
}

/* Fewer than a message holds: there is no need to overtake them. */
static void test_an_urgent_row_joins_a_batch_that_waits(void **state)
{
    struct fixture *f = *state;
    uint32_t d = backlog(f, &hub, TG_DRAIN_IN_ORDER, 0, NULL);
    tg_feed_set_batch(hub.feed, 50);
    tg_feed_resume(hub.feed);
    assert_int_equal(append_n(f, d, 49, 50), TG_OK);
    settle(f);
    RUN_UNTIL(f, tg_feed_ready(hub.feed) == 49);
    assert_false(tg_feed_ready_urgent(hub.feed));
    append_urgent(f, d);
    RUN_UNTIL(f, tg_feed_ready(hub.feed) == 50);
    assert_true(tg_feed_ready_urgent(hub.feed));
    assert_int_equal(tg_feed_ready_ahead(hub.feed), 0);
    append_urgent(f, d);
    RUN_UNTIL(f, tg_feed_ready_ahead(hub.feed) == 1);
    await_batch(f, &hub, 10);
    assert_int_equal(hub.first_seq, 51);
    ack_batch(&hub);
    await_batch(f, &hub, 50);
    assert_int_equal(hub.first_seq, 1);
    assert_int_equal(hub.last_seq, 50);
    assert_false(tg_feed_ready_urgent(hub.feed));
    ack_batch(&hub);
    assert_each_once(&hub, 51);
    end(f, &hub);
}

/* Behind new samples that went ahead and wait for their message to fill. */
static void test_an_urgent_row_ends_the_wait_of_those_ahead(void **state)
{
    struct fixture *f = *state;
    uint32_t d = backlog(f, &hub, TG_DRAIN_NEWEST_FIRST, 3000, NULL);
    tg_feed_resume(hub.feed);
    RUN_UNTIL(f, tg_feed_ready(hub.feed) > 0);
    assert_int_equal(append_n(f, d, 5, 50), TG_OK);
    settle(f);
    RUN_UNTIL(f, tg_feed_ready_ahead(hub.feed) == 5);
    tg_feed_hold_ahead(hub.feed, true);
    assert_false(tg_feed_offers_ahead(hub.feed));
    append_urgent(f, d);
    RUN_UNTIL(f, tg_feed_ready_ahead(hub.feed) == 6);
    assert_true(tg_feed_offers_ahead(hub.feed));
    await_batch(f, &hub, 6);
    assert_int_equal(hub.last_seq, 3006);
    ack_batch(&hub);
    tg_feed_hold_ahead(hub.feed, false);
    drain_all(f, &hub);
    assert_each_once(&hub, 3006);
    end(f, &hub);
}

/* Every second row urgent: more runs than are kept. The rest goes in order, is counted, and nothing is lost or comes twice. */
static void test_the_bound_on_runs(void **state)
{
    static uint64_t urgent[1001];
    struct fixture *f = *state;
    for (uint64_t i = 0; i < 1000; i++)
        urgent[i] = 2 * (i + 1);
    backlog(f, &hub, TG_DRAIN_IN_ORDER, 2000, urgent);
    tg_feed_resume(hub.feed);
    await_batch(f, &hub, 500);
    assert_true(hub.ahead);
    ack_batch(&hub);
    drain_all(f, &hub);
    assert_each_once(&hub, 2000);
    assert_true(stats_of(f).kept_back > 0);
    end(f, &hub);
}

/* `lazy`: what went ahead before its window was over was never stored; a restart in the middle of the backlog neither brings it again nor misses
 * what was. */
static void test_what_lazy_never_stores_may_go_ahead(void **state)
{
    struct fixture *f = *state;
    f->o.outbox.durability = TG_DURABILITY_LAZY;
    f->o.lazy_window_ms = 300;
    uint32_t d = backlog(f, &hub, TG_DRAIN_NEWEST_FIRST, 3000, NULL);
    tg_feed_resume(hub.feed);
    await_batch(f, &hub, 10);
    ack_batch(&hub);
    for (int round = 0; round < 20; round++) {
        assert_int_equal(append_n(f, d, 10, 50), TG_OK);
        RUN_UNTIL(f, tg_feed_ready_ahead(hub.feed) == 10);
        await_batch(f, &hub, 10);
        assert_true(hub.ahead);
        ack_batch(&hub);
        await_batch(f, &hub, 10);
        ack_batch(&hub);
    }
    uint64_t pending = tg_feed_pending(hub.feed);
    assert_int_equal(pending, 3200 - hub.got);
    tg_feed_close(hub.feed);
    close_store(f);

    OK(open_store(f));
    open_taker(f, &hub, TG_DRAIN_NEWEST_FIRST);
    assert_int_equal(tg_feed_pending(hub.feed), pending);
    tg_feed_resume(hub.feed);
    drain_all(f, &hub);
    assert_each_once(&hub, 3200);
    end(f, &hub);
}

/* A feed that was rewound with rows of both streams under way gives both again. */
static void test_a_rewind_gives_both_streams_again(void **state)
{
    static const uint64_t urgent[] = {600, 0};
    struct fixture *f = *state;
    backlog(f, &hub, TG_DRAIN_IN_ORDER, 1000, urgent);
    tg_feed_resume(hub.feed);
    for (int round = 0; round < 2; round++) {
        await_batch(f, &hub, 10);
        assert_true(hub.ahead);
        assert_int_equal(hub.first_seq, 600);
        for (uint32_t i = 0; i < hub.count; i++)
            tg_row_unref(hub.rows[i]);
        await_batch(f, &hub, 10);
        assert_false(hub.ahead);
        assert_int_equal(hub.first_seq, 1);
        for (uint32_t i = 0; i < hub.count; i++)
            tg_row_unref(hub.rows[i]);
        tg_feed_rewind(hub.feed);
        assert_int_equal(tg_feed_pending(hub.feed), 1000);
    }
    memset(hub.times, 0, sizeof hub.times);
    hub.got = 0;
    drain_all(f, &hub);
    assert_each_once(&hub, 1000);
    end(f, &hub);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_urgent_rows_of_the_backlog_come_first, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_what_went_ahead_does_not_come_again_after_a_restart, set_up,
                                        tear_down),
        cmocka_unit_test_setup_teardown(test_fair_takes_turns, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_newest_first, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_an_urgent_row_overtakes_what_waits_in_memory, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_an_urgent_row_joins_a_batch_that_waits, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_an_urgent_row_ends_the_wait_of_those_ahead, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_the_bound_on_runs, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_what_lazy_never_stores_may_go_ahead, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_a_rewind_gives_both_streams_again, set_up, tear_down),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
