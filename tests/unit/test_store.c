/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * The store on a real outbox: what is stored when, who is given what, and what survives a restart.
 */
#include "support/store_fixture.h"

static void test_a_sample_goes_all_the_way(void **state)
{
    struct fixture *f = *state;
    struct cloud hub = {.eager = true, .expected = 1};
    OK(open_store(f));
    assert_string_equal(f->aside, "");
    uint32_t d = device(f, "meter-1");
    open_feed(f, &hub, d, "hub");
    tg_feed_resume(hub.feed);
    assert_int_equal(append_n(f, d, 3, 100), TG_OK);
    assert_int_equal(tg_store_last_seq(f->store, d), 3);
    assert_int_equal(tg_feed_pending(hub.feed), 3);
    assert_int_equal(hub.got, 0); /* not before it is stored */
    RUN_UNTIL(f, hub.got == 3);
    assert_int_equal(f->committed_id, 3);
    assert_int_equal(hub.calls, 1);
    assert_int_equal(tg_feed_pending(hub.feed), 0);
    assert_int_equal(tg_feed_acked_seq(hub.feed), 3);
    struct tg_store_stats s = stats_of(f);
    assert_int_equal(s.appended, 3);
    assert_int_equal(s.committed, 3);
    assert_int_equal(s.pages_read, 0);
    assert_int_equal(s.outbox.rows, 3);
    tg_feed_close(hub.feed);
    close_store(f);
    verify(f);
}

static void test_commits_when_enough_wait_or_when_told(void **state)
{
    struct fixture *f = *state;
    f->o.commit_interval_ms = 3600000;
    f->o.commit_max_rows = 10;
    OK(open_store(f));
    uint32_t d = device(f, "meter-1");
    assert_int_equal(append_n(f, d, 9, 50), TG_OK);
    assert_int_equal(append_n(f, d, 1, 50), TG_OK);
    RUN_UNTIL(f, f->committed_id == 10);
    assert_int_equal(stats_of(f).commits, 1);
    assert_int_equal(append_n(f, d, 4, 50), TG_OK);
    tg_store_flush(f->store);
    RUN_UNTIL(f, f->committed_id == 14);
    assert_int_equal(stats_of(f).commits, 2);
    close_store(f);
}

static void test_close_stores_what_waits(void **state)
{
    struct fixture *f = *state;
    struct cloud hub = {.eager = true, .expected = 1};
    f->o.commit_interval_ms = 3600000;
    OK(open_store(f));
    uint32_t d = device(f, "meter-1");
    open_feed(f, &hub, d, "hub");
    assert_int_equal(append_n(f, d, 7, 50), TG_OK);
    tg_feed_close(hub.feed);
    close_store(f);
    OK(open_store(f));
    d = device(f, "meter-1");
    open_feed(f, &hub, d, "hub");
    assert_int_equal(tg_store_last_seq(f->store, d), 7);
    assert_int_equal(tg_feed_pending(hub.feed), 7);
    assert_true(tg_feed_oldest_ms(hub.feed) > 0);
    tg_feed_resume(hub.feed);
    RUN_UNTIL(f, hub.got == 7);
    tg_feed_close(hub.feed);
    close_store(f);
}

static void test_what_was_in_flight_comes_again_after_a_restart(void **state)
{
    struct fixture *f = *state;
    struct cloud hub = {.expected = 1}, lake = {.expected = 1};
    OK(open_store(f));
    uint32_t d = device(f, "meter-1");
    open_feed(f, &hub, d, "hub");
    open_feed(f, &lake, d, "lake");
    tg_feed_resume(hub.feed);
    assert_int_equal(append_n(f, d, 100, 50), TG_OK);
    RUN_UNTIL(f, tg_feed_available(hub.feed) == 100);
    assert_int_equal(take(&hub, 30), 30);
    ack_all(&hub);
    assert_int_equal(take(&hub, 20), 20); /* not acknowledged */
    tg_feed_close(hub.feed);
    tg_feed_close(lake.feed);
    close_store(f);

    OK(open_store(f));
    assert_int_equal(device(f, "meter-1"), d);
    open_feed(f, &hub, d, "hub");
    open_feed(f, &lake, d, "lake");
    assert_int_equal(tg_feed_pending(hub.feed), 70);
    assert_int_equal(tg_feed_pending(lake.feed), 100);
    assert_int_equal(append_n(f, d, 1, 50), TG_OK);
    assert_int_equal(tg_store_last_seq(f->store, d), 101);
    hub.expected = 31;
    hub.last_id = lake.last_id = 0;
    hub.got = 0;
    hub.eager = lake.eager = true;
    tg_feed_resume(hub.feed);
    tg_feed_resume(lake.feed);
    RUN_UNTIL(f, hub.got == 71 && lake.got == 101);
    tg_feed_close(hub.feed);
    tg_feed_close(lake.feed);
    close_store(f);
    verify(f);
}

static void test_acknowledgements_alone_are_stored(void **state)
{
    struct fixture *f = *state;
    struct cloud hub = {.expected = 1};
    OK(open_store(f));
    uint32_t d = device(f, "meter-1");
    open_feed(f, &hub, d, "hub");
    tg_feed_resume(hub.feed);
    assert_int_equal(append_n(f, d, 10, 50), TG_OK);
    RUN_UNTIL(f, take(&hub, 10) == 10);
    uint64_t commits = stats_of(f).commits;
    ack_all(&hub);
    RUN_UNTIL(f, stats_of(f).commits == commits + 1);
    assert_int_equal(stats_of(f).outbox.acked_rows, 10);
    tg_feed_close(hub.feed);
    close_store(f);
}

static void test_a_feed_that_was_away_catches_up_and_goes_live(void **state)
{
    struct fixture *f = *state;
    struct cloud hub = {.eager = true, .expected = 1};
    OK(open_store(f));
    uint32_t d = device(f, "meter-1");
    open_feed(f, &hub, d, "hub");
    for (int i = 0; i < 10; i++) {
        assert_int_equal(append_n(f, d, 2000, 80), TG_OK);
        settle(f);
    }
    assert_true(stats_of(f).prefetched_bytes == 0);
    tg_feed_resume(hub.feed);
    while (hub.got < 20000 || tg_feed_pending(hub.feed) > 0) { /* with more coming all the while */
        if (tg_store_last_seq(f->store, d) < 25000)
            assert_int_equal(append_n(f, d, 50, 80), TG_OK);
        uv_run(&f->loop.uv, UV_RUN_ONCE);
    }
    uint64_t pages = stats_of(f).pages_read;
    assert_true(pages >= 20000 / TG_FEED_MAX_ROWS);
    uint64_t got = hub.got;
    assert_int_equal(append_n(f, d, 100, 80), TG_OK);
    RUN_UNTIL(f, hub.got == got + 100);
    assert_int_equal(stats_of(f).pages_read, pages); /* from memory now */
    tg_feed_close(hub.feed);
    close_store(f);
}

static void test_rewind_and_pause_give_again_what_is_not_acknowledged(void **state)
{
    struct fixture *f = *state;
    struct cloud hub = {.expected = 1};
    OK(open_store(f));
    uint32_t d = device(f, "meter-1");
    open_feed(f, &hub, d, "hub");
    tg_feed_resume(hub.feed);
    assert_int_equal(append_n(f, d, 60, 50), TG_OK);
    RUN_UNTIL(f, tg_feed_available(hub.feed) == 60);
    assert_int_equal(take(&hub, 10), 10);
    ack_all(&hub);
    assert_int_equal(take(&hub, 10), 10);
    tg_feed_pause(hub.feed); /* the link is down; the session keeps its window of 10 */
    assert_int_equal(tg_feed_available(hub.feed), 0);
    tg_feed_resume(hub.feed);
    RUN_UNTIL(f, tg_feed_available(hub.feed) == 40);
    assert_int_equal(tg_feed_at(hub.feed, 0)->seq, 21);
    tg_feed_rewind(hub.feed); /* it has forgotten its window */
    hub.expected = 11;
    hub.last_id = 10;
    RUN_UNTIL(f, tg_feed_available(hub.feed) == 50);
    assert_int_equal(take(&hub, 50), 50);
    ack_all(&hub);
    assert_int_equal(tg_feed_pending(hub.feed), 0);
    tg_feed_rewind(hub.feed); /* nothing is in flight: nothing happens */
    assert_int_equal(append_n(f, d, 1, 50), TG_OK);
    RUN_UNTIL(f, tg_feed_available(hub.feed) == 1);
    assert_int_equal(tg_feed_at(hub.feed, 0)->seq, 61);
    tg_feed_close(hub.feed);
    close_store(f);
}

static void test_evicted_rows_make_a_feed_jump(void **state)
{
    struct fixture *f = *state;
    struct cloud hub = {.eager = true};
    f->o.outbox.limit_bytes = 1 << 20;
    OK(open_store(f));
    uint32_t d = device(f, "meter-1");
    open_feed(f, &hub, d, "hub");
    for (int i = 0; i < 30; i++) {
        assert_int_equal(append_n(f, d, 1000, 100), TG_OK);
        settle(f);
    }
    RUN_UNTIL(f, stats_of(f).outbox.dropped[TG_DROP_LIMIT] > 0);
    uint64_t dropped = stats_of(f).outbox.dropped[TG_DROP_LIMIT];
    assert_int_equal(tg_feed_pending(hub.feed) + dropped, 30000);
    assert_int_equal(tg_feed_acked_seq(hub.feed), dropped);
    assert_int_equal(tg_feed_oldest_ms(hub.feed),
                     STORED_MS + (int64_t)(dropped % 1000)); /* as append_n() stamps */
    hub.expected = dropped + 1;
    tg_feed_resume(hub.feed);
    RUN_UNTIL(f, hub.got == 30000 - dropped);
    /* It is told, once, and that is over when it has acknowledged to know. */
    RUN_UNTIL(f, hub.gap_records == 1 && tg_feed_pending(hub.feed) == 0);
    assert_int_equal(hub.told, dropped);
    assert_int_equal(hub.gap.first_seq, 1);
    assert_int_equal(hub.gap.last_seq, dropped);
    assert_int_equal(hub.gap.reasons, TG_GAP_LIMIT);
    RUN_UNTIL(f, tg_feed_gap(hub.feed).reasons == 0);
    tg_feed_close(hub.feed);
    close_store(f);
    verify(f);
}

static void test_a_full_log_keeps_the_oldest_if_that_is_the_policy(void **state)
{
    struct fixture *f = *state;
    struct cloud hub = {.eager = true, .expected = 1}, lake = {.eager = true, .expected = 1};
    f->o.outbox.limit_bytes = 512 * 1024;
    f->o.outbox.when_full = TG_WHEN_FULL_DROP_NEWEST;
    f->o.uncommitted_limit_bytes = 128 * 1024;
    OK(open_store(f));
    uint32_t d = device(f, "meter-1");
    open_feed(f, &hub, d, "hub");
    open_feed(f, &lake, d, "lake");
    tg_feed_resume(hub.feed);
    for (int i = 0; f->state == TG_STORE_OK; i++) {
        assert_true(i < 1000);
        assert_int_equal(append_n(f, d, 100, 100), TG_OK);
        RUN_UNTIL(f, f->state != TG_STORE_OK || stats_of(f).uncommitted_rows == 0);
    }
    assert_int_equal(f->state, TG_STORE_FULL);
    assert_non_null(strstr(f->text, "new ones are rejected and counted"));
    /* The hub goes on from memory, within its bound; then samples are rejected. */
    while (append_n(f, d, 1, 100) == TG_OK)
        uv_run(&f->loop.uv, UV_RUN_NOWAIT);
    uint64_t all = tg_store_last_seq(f->store, d);
    assert_true(f->committed_id < all);
    assert_int_equal(stats_of(f).rejected, 1);
    RUN_UNTIL(f, hub.got == all);
    /* The lake comes back: what it acknowledges makes room for what waits. */
    tg_feed_resume(lake.feed);
    RUN_UNTIL(f, lake.got == all && f->committed_id == all);
    assert_int_equal(stats_of(f).outbox.dropped[TG_DROP_LIMIT], 0);
    tg_feed_close(hub.feed);
    tg_feed_close(lake.feed);
    close_store(f);
    verify(f);
}

static void test_a_slow_disk_rejects_and_counts(void **state)
{
    struct fixture *f = *state;
    struct cloud hub = {.eager = true, .expected = 1};
    const size_t limit = 256 * 1024;
    uint64_t accepted = 0, rejected = 0;
    f->o.uncommitted_limit_bytes = limit;
    OK(open_store(f));
    uint32_t d = device(f, "meter-1");
    open_feed(f, &hub, d, "hub");
    tg_feed_resume(hub.feed);
    tg_gate_hold(true);
    assert_int_equal(append_n(f, d, 1, 100), TG_OK);
    tg_gate_wait_held();
    accepted = 1;
    for (int i = 0; i < 10000; i++) {
        int rc = append_n(f, d, 1, 100);
        assert_true(rc == TG_OK || rc == TG_EFULL);
        accepted += rc == TG_OK;
        rejected += rc == TG_EFULL;
        assert_true(stats_of(f).uncommitted_bytes <= limit);
    }
    assert_true(rejected > 0 && accepted > 1);
    assert_int_equal(stats_of(f).rejected, rejected);
    assert_int_equal(tg_store_last_seq(f->store, d), accepted); /* a rejected sample has no number */
    assert_int_equal(hub.got, 0);
    tg_gate_hold(false);
    RUN_UNTIL(f, hub.got == accepted);
    assert_int_equal(stats_of(f).state, TG_STORE_OK);
    assert_int_equal(append_n(f, d, 1, 100), TG_OK);
    RUN_UNTIL(f, hub.got == accepted + 1);
    tg_feed_close(hub.feed);
    close_store(f);
}

#define MANY 1000
static struct cloud many[MANY];

static uint64_t got_by_all(void)
{
    uint64_t got = 0;
    for (uint32_t i = 0; i < MANY; i++)
        got += many[i].got;
    return got;
}

static bool within_bound(const struct fixture *f)
{
    return stats_of(f).prefetched_bytes <= f->o.prefetch_limit_bytes + MANY * 300;
}

static void append_round(struct fixture *f, uint32_t rounds)
{
    for (uint32_t r = 0; r < rounds; r++) {
        for (uint32_t i = 0; i < MANY; i++)
            assert_int_equal(append_n(f, many[i].device, 1, 200), TG_OK);
        settle(f);
    }
}

static void test_a_thousand_feeds_share_the_scanner(void **state)
{
    struct fixture *f = *state;
    f->o.prefetch_limit_bytes = 512 * 1024;
    f->o.outbox.durability = TG_DURABILITY_NORMAL;
    OK(open_store(f));
    for (uint32_t i = 0; i < MANY; i++) {
        char name[32];
        snprintf(name, sizeof name, "meter-%u", i);
        many[i] = (struct cloud){.expected = 1, .eager = i % 10 != 0};
        open_feed(f, &many[i], device(f, name), "hub");
    }
    append_round(f, 20);
    for (uint32_t i = 0; i < MANY; i++)
        tg_feed_resume(many[i].feed);
    /* One in ten takes nothing: it must not starve the others. */
    RUN_UNTIL(f, !within_bound(f) || got_by_all() == 20 * MANY / 10 * 9);
    assert_true(within_bound(f));
    assert_true(stats_of(f).pages_read < 400);
    append_round(f, 2);
    for (uint32_t i = 0; i < MANY; i += 10) {
        many[i].eager = true;
        while (take(&many[i], UINT32_MAX) > 0)
            ack_all(&many[i]);
    }
    RUN_UNTIL(f, got_by_all() == 22 * MANY);
    for (uint32_t i = 0; i < MANY; i++) {
        assert_int_equal(tg_feed_pending(many[i].feed), 0);
        tg_feed_close(many[i].feed);
    }
    close_store(f);
}

/* One cloud that takes slowly from a backlog twenty times as large as what may be read ahead. */
static void test_what_is_read_ahead_is_bounded(void **state)
{
    struct fixture *f = *state;
    struct cloud hub = {.expected = 1};
    const uint32_t rows = 2000, at_once = 5;
    size_t most = 0;
    f->o.prefetch_limit_bytes = 256 * 1024;
    f->o.outbox.durability = TG_DURABILITY_NORMAL;
    OK(open_store(f));
    uint32_t d = device(f, "meter-1");
    open_feed(f, &hub, d, "hub");
    for (uint32_t i = 0; i < rows; i += 100) {
        assert_int_equal(append_n(f, d, 100, 3000), TG_OK);
        settle(f);
    }
    tg_feed_resume(hub.feed);
    while (hub.got < rows) {
        RUN_UNTIL(f, tg_feed_available(hub.feed) >= at_once);
        most = stats_of(f).prefetched_bytes > most ? stats_of(f).prefetched_bytes : most;
        assert_int_equal(take(&hub, at_once), at_once);
        ack_all(&hub);
        uv_run(&f->loop.uv, UV_RUN_NOWAIT);
    }
    assert_in_range(most, f->o.prefetch_limit_bytes / 8, f->o.prefetch_limit_bytes + 4000);
    tg_feed_close(hub.feed);
    close_store(f);
}

static void test_a_cloud_that_leaves_holds_nothing_back(void **state)
{
    struct fixture *f = *state;
    struct cloud hub = {.expected = 1, .eager = true}, lake = {0};
    OK(open_store(f));
    uint32_t d = device(f, "meter-1");
    open_feed(f, &hub, d, "hub");
    open_feed(f, &lake, d, "lake");
    tg_feed_resume(hub.feed);
    assert_int_equal(append_n(f, d, 5000, 50), TG_OK);
    RUN_UNTIL(f, hub.got == 5000);
    settle(f);
    tg_feed_close(lake.feed);
    uint64_t given_up = 0;
    OK(tg_store_retire_undeclared(f->store, &given_up, &f->err));
    assert_int_equal(given_up, 5000);
    /* The rows go with the next commits. */
    for (int i = 0; i < 10; i++) {
        assert_int_equal(append_n(f, d, 500, 50), TG_OK);
        RUN_UNTIL(f, hub.got == 5000 + 500u * (unsigned)(i + 1));
        settle(f);
    }
    assert_true(stats_of(f).outbox.rows < 9000);
    /* Back again: it begins behind the newest stored row. */
    RUN_UNTIL(f, stats_of(f).uncommitted_rows == 0);
    open_feed(f, &lake, d, "lake");
    assert_int_equal(tg_feed_pending(lake.feed), 0);
    tg_feed_close(lake.feed);
    tg_feed_close(hub.feed);
    close_store(f);
    verify(f);
}

static void test_a_corrupt_store_is_set_aside_at_start(void **state)
{
    struct fixture *f = *state;
    struct cloud hub = {.eager = true};
    OK(open_store(f));
    uint32_t d = device(f, "meter-1");
    assert_int_equal(append_n(f, d, 100, 50), TG_OK);
    settle(f);
    close_store(f);
    uint8_t garbage[8192];
    memset(garbage, 0x5a, sizeof garbage);
    tg_test_spill(tg_test_path(f->dir, TG_OUTBOX_FILE), garbage, sizeof garbage);
    OK(open_store(f));
    assert_string_not_equal(f->aside, "");
    assert_true(tg_test_exists(f->dir, f->aside));
    d = device(f, "meter-1");
    assert_true(tg_store_last_seq(f->store, d) >= 100); /* no number twice */
    open_feed(f, &hub, d, "hub");
    tg_feed_resume(hub.feed);
    assert_int_equal(append_n(f, d, 50, 50), TG_OK);
    RUN_UNTIL(f, hub.got == 50);
    /* Its consumer hears that there may have been more before. */
    RUN_UNTIL(f, hub.gap_records == 1 && tg_feed_pending(hub.feed) == 0);
    assert_int_equal(hub.gap.reasons, TG_GAP_CORRUPT);
    assert_int_equal(hub.gap.first_seq, 1);
    assert_true(hub.gap.last_seq >= 100);
    tg_feed_close(hub.feed);
    close_store(f);
    verify(f);
}

static void test_what_cannot_be_is_refused(void **state)
{
    struct fixture *f = *state;
    struct cloud hub = {0}, again = {0};
    static const uint8_t big[65537];
    uint64_t seq = 0, id = 0;
    OK(open_store(f));
    uint32_t d = device(f, "meter-1");
    assert_int_equal(device(f, "meter-1"), d);
    open_feed(f, &hub, d, "hub");
    assert_int_equal(tg_feed_open(f->store, d, "hub", on_rows, &again, &again.feed, &f->err), TG_EEXISTS);
    assert_int_equal(tg_feed_open(f->store, d + 1, "hub", on_rows, &again, &again.feed, &f->err), TG_EINVAL);
    assert_int_equal(tg_store_append(f->store, d + 1, 0, tg_bytes("x", 1), &seq, &id), TG_EINVAL);
    assert_int_equal(tg_store_append(f->store, d, 0, tg_bytes(big, sizeof big), &seq, &id), TG_ETOOBIG);
    assert_int_equal(stats_of(f).rejected, 2);
    assert_int_equal(seq, 0);
    tg_feed_close(hub.feed);
    close_store(f);

    f->o.outbox.dir = "/nonexistent/tidegate";
    assert_true(open_store(f) < 0);
    assert_non_null(strstr(f->err.text, "/nonexistent/tidegate"));
}

/* A row that comes during a commit waits for company of its own: with a row a millisecond there would else be as many commits as the
 * disk can do. */
static void test_a_row_that_comes_during_a_commit_waits_for_company(void **state)
{
    struct fixture *f = *state;
    uint32_t d = 0;
    int64_t begun_ms;
    f->o.commit_interval_ms = 400;
    OK(open_store(f));
    OK(tg_store_device(f->store, "meter-1", &d, &f->err));
    OK(append_n(f, d, 1, 10));
    RUN_UNTIL(f, f->committed_id == 1);
    begun_ms = tg_clock_mono_ms();
    tg_gate_hold(true);
    OK(append_n(f, d, 1, 10));
    RUN_UNTIL(f, tg_gate_is_held());
    OK(append_n(f, d, 1, 10));
    tg_gate_hold(false);
    RUN_UNTIL(f, f->committed_id == 3);
    assert_true(tg_clock_mono_ms() - begun_ms >= 2 * 400);
    close_store(f);
}

int main(void)
{
#define T(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
    const struct CMUnitTest tests[] = {
        T(test_a_sample_goes_all_the_way),
        T(test_commits_when_enough_wait_or_when_told),
        T(test_a_row_that_comes_during_a_commit_waits_for_company),
        T(test_close_stores_what_waits),
        T(test_what_was_in_flight_comes_again_after_a_restart),
        T(test_acknowledgements_alone_are_stored),
        T(test_a_feed_that_was_away_catches_up_and_goes_live),
        T(test_rewind_and_pause_give_again_what_is_not_acknowledged),
        T(test_evicted_rows_make_a_feed_jump),
        T(test_a_full_log_keeps_the_oldest_if_that_is_the_policy),
        T(test_a_slow_disk_rejects_and_counts),
        T(test_a_thousand_feeds_share_the_scanner),
        T(test_what_is_read_ahead_is_bounded),
        T(test_a_cloud_that_leaves_holds_nothing_back),
        T(test_a_corrupt_store_is_set_aside_at_start),
        T(test_what_cannot_be_is_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
