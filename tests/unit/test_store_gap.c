/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * Gaps in the running store: when a cloud is told, that it is told once, and what outlives a restart; quarantine, quotas, what an
 * operator drops, and devices that leave.
 */
#include "support/store_fixture.h"

struct ended {
    int calls, rc;
    uint64_t rows;
    char text[200];
};

static void on_dropped(void *user, int rc, const char *text, uint64_t rows)
{
    struct ended *e = user;
    e->calls++;
    e->rc = rc;
    e->rows = rows;
    snprintf(e->text, sizeof e->text, "%s", text);
}

static struct ended drop(struct fixture *f, const char *dev, const char *cloud)
{
    struct ended e = {0};
    OK(tg_store_drop(f->store, dev, cloud, 0, on_dropped, &e, &f->err));
    assert_int_equal(tg_store_drop(f->store, dev, cloud, 0, on_dropped, &e, &f->err), TG_EBUSY);
    RUN_UNTIL(f, e.calls == 1);
    return e;
}

/* Nothing is appended for a cloud that is away, however often it loses something; one record tells it all. */
static void test_a_cloud_that_is_away_is_told_when_it_is_back(void **state)
{
    struct fixture *f = *state;
    struct cloud hub = {.eager = true, .holes_allowed = true, .expected = 1};
    OK(open_store(f));
    uint32_t d = device(f, "meter-1");
    open_feed(f, &hub, d, "hub");
    for (int i = 0; i < 5; i++) {
        assert_int_equal(append_n(f, d, 10, 50), TG_OK);
        settle(f);
        assert_int_equal(drop(f, "meter-1", "hub").rows, 10);
    }
    RUN_UNTIL(f, tg_feed_gap(hub.feed).count == 50);
    assert_int_equal(tg_store_last_seq(f->store, d), 50); /* no record yet */
    tg_feed_close(hub.feed);
    close_store(f);

    OK(open_store(f));
    d = device(f, "meter-1");
    hub.expected = hub.last_id = 0;
    open_feed(f, &hub, d, "hub");
    assert_int_equal(tg_feed_gap(hub.feed).count, 50); /* as the restart found it */
    tg_feed_resume(hub.feed);
    RUN_UNTIL(f, hub.told == 50 && tg_feed_gap(hub.feed).reasons == 0);
    assert_int_equal(hub.gap_records, 1);
    assert_int_equal(hub.gap.reasons, TG_GAP_REMOVED);
    assert_int_equal(tg_store_last_seq(f->store, d), 51);
    /* Told and acknowledged: not again, not after a pause, not after a restart. */
    tg_feed_pause(hub.feed);
    tg_feed_resume(hub.feed);
    assert_int_equal(append_n(f, d, 10, 50), TG_OK);
    RUN_UNTIL(f, hub.got == 10);
    settle(f);
    tg_feed_close(hub.feed);
    close_store(f);
    OK(open_store(f));
    d = device(f, "meter-1");
    open_feed(f, &hub, d, "hub");
    assert_int_equal(tg_feed_gap(hub.feed).reasons, 0);
    tg_feed_close(hub.feed);
    close_store(f);
    verify(f);
}

/* `lazy`: what is acknowledged at once is not stored; that a cloud was told is. */
static void test_lazily_it_is_told_once_too(void **state)
{
    struct fixture *f = *state;
    struct cloud hub = {.eager = true, .holes_allowed = true, .expected = 1};
    f->o.outbox.durability = TG_DURABILITY_LAZY;
    f->o.lazy_window_ms = 100;
    OK(open_store(f));
    uint32_t d = device(f, "meter-1");
    open_feed(f, &hub, d, "hub");
    assert_int_equal(append_n(f, d, 10, 50), TG_OK);
    RUN_UNTIL(f, stats_of(f).uncommitted_rows == 0); /* nobody has acknowledged them: they are stored */
    assert_int_equal(drop(f, "meter-1", "hub").rows, 10);
    tg_feed_resume(hub.feed);
    RUN_UNTIL(f, hub.told == 10 && tg_feed_gap(hub.feed).reasons == 0);
    assert_int_equal(append_n(f, d, 10, 50), TG_OK);
    RUN_UNTIL(f, hub.got == 10);
    tg_feed_close(hub.feed);
    close_store(f);
    OK(open_store(f));
    d = device(f, "meter-1");
    open_feed(f, &hub, d, "hub");
    assert_int_equal(tg_feed_gap(hub.feed).reasons, 0);
    assert_int_equal(hub.gap_records, 1);
    tg_feed_close(hub.feed);
    close_store(f);
    verify(f);
}

/* While a record is on its way there is no second one, not even after a restart; one that is lost with its acknowledgement comes again,
 * as itself. */
static void test_one_record_at_a_time(void **state)
{
    struct fixture *f = *state;
    struct cloud hub = {.holes_allowed = true, .expected = 1};
    OK(open_store(f));
    uint32_t d = device(f, "meter-1");
    open_feed(f, &hub, d, "hub");
    assert_int_equal(append_n(f, d, 10, 50), TG_OK);
    settle(f);
    assert_int_equal(drop(f, "meter-1", NULL).rows, 10);
    tg_feed_resume(hub.feed);
    RUN_UNTIL(f, tg_feed_available(hub.feed) == 1);
    assert_int_equal(take(&hub, 10), 1); /* taken, and not acknowledged */
    assert_int_equal(hub.told, 10);
    tg_feed_rewind(hub.feed);
    tg_feed_pause(hub.feed);
    tg_feed_resume(hub.feed);
    hub.expected = 1;
    hub.last_id = 0;
    RUN_UNTIL(f, tg_feed_available(hub.feed) == 1);
    settle(f);
    assert_int_equal(tg_store_last_seq(f->store, d), 11);
    tg_feed_close(hub.feed);
    close_store(f);
    OK(open_store(f));
    d = device(f, "meter-1");
    open_feed(f, &hub, d, "hub");
    tg_feed_resume(hub.feed);
    RUN_UNTIL(f, tg_feed_available(hub.feed) == 1);
    settle(f);
    assert_int_equal(tg_store_last_seq(f->store, d), 11); /* the same one again */
    assert_int_equal(take(&hub, 10), 1);
    ack_all(&hub);
    RUN_UNTIL(f, tg_feed_gap(hub.feed).reasons == 0);
    tg_feed_close(hub.feed);
    close_store(f);
    verify(f);
}

static void test_a_row_that_cannot_be_sent(void **state)
{
    struct fixture *f = *state;
    struct cloud hub = {.holes_allowed = true, .expected = 1}, lake = {.expected = 1, .eager = true};
    struct tg_row *row;
    OK(open_store(f));
    uint32_t d = device(f, "meter-1");
    open_feed(f, &hub, d, "hub");
    open_feed(f, &lake, d, "lake");
    tg_feed_resume(hub.feed);
    tg_feed_resume(lake.feed);
    assert_int_equal(append_n(f, d, 10, 50), TG_OK);
    RUN_UNTIL(f, tg_feed_available(hub.feed) == 10);
    assert_int_equal(take(&hub, 4), 4);
    ack_all(&hub);
    tg_feed_take(hub.feed, 1, &row);
    tg_feed_quarantine(hub.feed, row->seq, row->id);
    tg_row_unref(row);
    assert_int_equal(take(&hub, 5), 5);
    ack_all(&hub);
    hub.eager = true;
    RUN_UNTIL(f, hub.told == 1);
    assert_int_equal(hub.gap.first_seq, 5);
    assert_int_equal(hub.gap.last_seq, 5);
    assert_int_equal(hub.gap.reasons, TG_GAP_QUARANTINE);
    RUN_UNTIL(f, stats_of(f).outbox.dropped[TG_DROP_QUARANTINE] == 1 && lake.got == 10);
    assert_int_equal(hub.got, 9);
    assert_int_equal(lake.told, 0); /* it had it, and hears of the hub's loss only by its name */
    RUN_UNTIL(f, lake.gap_records == 1 && tg_feed_gap(hub.feed).reasons == 0);
    tg_feed_close(hub.feed);
    tg_feed_close(lake.feed);
    close_store(f);
    verify(f);
}

static void test_a_quota_is_kept_while_the_other_cloud_goes_on(void **state)
{
    struct fixture *f = *state;
    struct cloud hub = {.eager = true, .expected = 1}, dead = {.holes_allowed = true, .eager = true};
    const struct tg_outbox_quota quota = {.cloud_max_pending = 500};
    OK(open_store(f));
    uint32_t d = device(f, "meter-1");
    open_feed(f, &hub, d, "hub");
    open_feed(f, &dead, d, "dead");
    OK(tg_store_set_quota(f->store, d, "dead", &quota, &f->err));
    OK(tg_store_set_quota(f->store, d, "dead", &quota, &f->err));
    assert_int_equal(tg_store_set_quota(f->store, d, "nobody", &quota, &f->err), TG_ENOTFOUND);
    tg_feed_resume(hub.feed);
    for (int i = 0; i < 20; i++) {
        assert_int_equal(append_n(f, d, 200, 50), TG_OK);
        RUN_UNTIL(f, hub.got == 200u * (unsigned)(i + 1));
        settle(f);
        assert_true(tg_feed_pending(dead.feed) <= 500 + 500 / 32 + 31 + 200);
    }
    uint64_t pending = tg_feed_pending(dead.feed);
    RUN_UNTIL(f, tg_feed_gap(dead.feed).count == 4000 - pending);
    assert_int_equal(stats_of(f).outbox.dropped[TG_DROP_QUOTA], 4000 - pending);
    tg_feed_resume(dead.feed);
    RUN_UNTIL(f, dead.got == pending && dead.told == 4000 - pending);
    assert_int_equal(dead.gap.reasons, TG_GAP_QUOTA);
    assert_int_equal(hub.told, 0);
    tg_feed_close(hub.feed);
    tg_feed_close(dead.feed);
    close_store(f);
    verify(f);
}

/* What left the configuration keeps its rows for a while, and comes back to all of them; or it does not come back. */
static void test_what_left_has_a_while(void **state)
{
    struct fixture *f = *state;
    struct cloud hub = {.eager = true, .expected = 1};
    const struct tg_outbox_declaration both[] = {{"meter-2", "hub"}, {"meter-1", "hub"}},
                                       one[] = {{"meter-2", "hub"}};
    f->o.keep_removed_ms = 3600000;
    OK(open_store(f));
    uint32_t d = device(f, "meter-1");
    open_feed(f, &hub, d, "hub");
    assert_int_equal(append_n(f, d, 100, 50), TG_OK);
    settle(f);
    tg_feed_close(hub.feed);
    OK(tg_store_left(f->store, both, 2,
                     &f->err)); /* closed, but configured: a source that is not running, say */
    OK(tg_store_left(f->store, one, 1, &f->err));
    RUN_UNTIL(f, strstr(f->note, "meter-1 at hub") != NULL);
    assert_non_null(strstr(f->note, "Their 100 samples that are not delivered are kept for 3600 s"));
    open_feed(f, &hub, d, "hub");
    assert_int_equal(tg_feed_pending(hub.feed), 100);
    assert_int_equal(tg_feed_gap(hub.feed).reasons, 0);
    tg_feed_close(hub.feed);
    close_store(f);
    verify(f);

    f->o.keep_removed_ms = 0;
    OK(open_store(f));
    d = device(f, "meter-1");
    open_feed(f, &hub, d, "hub");
    assert_int_equal(tg_feed_pending(hub.feed), 100);
    tg_feed_close(hub.feed);
    OK(tg_store_left(f->store, one, 1, &f->err));
    RUN_UNTIL(f, strstr(f->note, "Their 100 samples that were not delivered are given up") != NULL);
    RUN_UNTIL(f, stats_of(f).outbox.dropped[TG_DROP_REMOVED] == 100);
    OK(tg_store_left(f->store, one, 1, &f->err)); /* nothing more to give up */
    open_feed(f, &hub, d, "hub");
    assert_int_equal(tg_feed_pending(hub.feed), 0);
    tg_feed_resume(hub.feed);
    hub.expected = 0;
    RUN_UNTIL(f, hub.told == 100);
    assert_int_equal(hub.gap.reasons, TG_GAP_REMOVED);
    tg_feed_close(hub.feed);
    close_store(f);
    verify(f);
}

static void test_what_cannot_be_dropped(void **state)
{
    struct fixture *f = *state;
    struct ended e = {0};
    OK(open_store(f));
    (void)device(f, "meter-1");
    assert_int_equal(drop(f, "meter-2", NULL).rc, TG_ENOTFOUND);
    assert_int_equal(drop(f, "meter-1", "nobody").rc, TG_ENOTFOUND);
    assert_int_equal(drop(f, NULL, NULL).rows, 0);
    /* One that is under way when the store is closed ends all the same. */
    OK(tg_store_drop(f->store, NULL, NULL, 0, on_dropped, &e, &f->err));
    close_store(f);
    assert_int_equal(e.calls, 1);
}

int main(void)
{
#define T(test) cmocka_unit_test_setup_teardown(test, set_up, tear_down)
    static const struct CMUnitTest tests[] = {
        T(test_a_cloud_that_is_away_is_told_when_it_is_back),
        T(test_lazily_it_is_told_once_too),
        T(test_one_record_at_a_time),
        T(test_a_row_that_cannot_be_sent),
        T(test_a_quota_is_kept_while_the_other_cloud_goes_on),
        T(test_what_left_has_a_while),
        T(test_what_cannot_be_dropped),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
