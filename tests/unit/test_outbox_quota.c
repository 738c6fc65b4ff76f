/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * Quotas of a device and of a cloud, and what an operator drops: who loses, how much, what it costs.
 */
#include "support/outbox_fixture.h"

#include "core/base/clock.h"
#include "store/outbox_private.h"
#include "support/gap_help.h"

static void quota(struct fixture *f, uint32_t c, uint64_t max_pending, uint64_t cloud_max, int64_t max_age_ms)
{
    struct tg_outbox_quota q = {max_pending, cloud_max, max_age_ms};
    OK(tg_outbox_set_quota(f->ob, c, &q, &f->err));
}

/* One device talks much, another little: the chatty one loses its own oldest, nothing else. */
static void test_a_chatty_device_loses_its_own(void **state)
{
    struct fixture *f = *state;
    uint32_t chatty = device(f, "chatty"), calm = device(f, "calm");
    uint32_t c = cursor(f, chatty, "hub"), k = cursor(f, calm, "hub");
    quota(f, c, 1000, 0, 0);
    for (int i = 0; i < 200; i++) {
        append_n(f, chatty, 100, 50);
        append_n(f, calm, 1, 50);
        assert_true(state_of(f, c).pending <= 1000 + 1000 / 32 + 62 + 100);
    }
    struct tg_outbox_cursor_state s = state_of(f, c);
    assert_in_range(s.pending, 1000, 1000 + 1000 / 32 + 62 + 100);
    assert_int_equal(s.dropped, 20000 - s.pending);
    assert_int_equal(s.gap.count, s.dropped);
    assert_int_equal(s.gap.first_seq, 1);
    assert_int_equal(s.gap.last_seq, s.dropped);
    assert_int_equal(s.gap.reasons, TG_GAP_QUOTA);
    assert_int_equal(stats_of(f).dropped[TG_DROP_QUOTA], s.dropped);
    assert_int_equal(state_of(f, k).pending, 200);
    assert_int_equal(state_of(f, k).gap.reasons, 0);
    /* The rows are gone from between the calm one's, too. */
    OK(tg_outbox_enforce(f->ob, 0, &f->err));
    for (int i = 0; i < 40; i++)
        append_n(f, calm, 100, 50);
    assert_true(stats_of(f).rows < 4200 + 20000 / 2);
    tg_test_verify(f->ob);
}

/* A cloud that is away has its bound over all its devices; the other cloud's rows stay. */
static void test_a_dead_cloud_does_not_eat_the_other_ones_room(void **state)
{
    struct fixture *f = *state;
    uint32_t d[10], hub[10], lake[10];
    char name[24];
    f->o.limit_bytes = 1 << 20;
    reopen(f, true);
    for (int i = 0; i < 10; i++) {
        snprintf(name, sizeof name, "meter-%d", i);
        d[i] = device(f, name);
        hub[i] = cursor(f, d[i], "hub");
        lake[i] = cursor(f, d[i], "lake");
        quota(f, lake[i], 0, 2000, 0);
    }
    for (int round = 0; round < 400; round++) {
        for (int i = 0; i < 10; i++) {
            append_n(f, d[i], 5, 100);
            /* The hub keeps up but for the newest 100 of each. */
            uint64_t last = tg_outbox_last_seq(f->ob, d[i]);
            if (last > 100) {
                OK(tg_outbox_set_cursor(f->ob, hub[i], last - 100, tg_outbox_last_id(f->ob) - 1000, &f->err));
                OK(tg_outbox_commit(f->ob, &f->err));
            }
        }
    }
    uint64_t waits = 0, dropped = 0;
    for (int i = 0; i < 10; i++) {
        struct tg_outbox_cursor_state h = state_of(f, hub[i]), l = state_of(f, lake[i]);
        assert_int_equal(h.dropped, 0);
        assert_int_equal(h.pending, 100);
        assert_in_range(l.pending, 180, 230); /* the oldest go, whoever's they are: even shares here */
        assert_int_equal(l.gap.count, l.dropped);
        waits += l.pending;
        dropped += l.dropped;
    }
    assert_in_range(waits, 2000, 2000 + 2000 / 32 + 125 + 5);
    assert_int_equal(stats_of(f).dropped[TG_DROP_QUOTA], dropped);
    assert_int_equal(stats_of(f).dropped[TG_DROP_LIMIT], 0);
    tg_test_verify(f->ob);
}

/* The counter-proof: without the quota the limit takes the hub's rows as well. */
static void test_without_a_quota_it_does(void **state)
{
    struct fixture *f = *state;
    f->o.limit_bytes = 1 << 20;
    reopen(f, true);
    uint32_t d = device(f, "meter-1");
    uint32_t lake = cursor(f, d, "lake"), late = device(f, "meter-2"), hub = cursor(f, late, "hub");
    append_n(f, late, 50, 100);
    for (int i = 0; i < 400; i++)
        append_n(f, d, 50, 100);
    assert_true(state_of(f, lake).dropped > 0);
    assert_int_equal(state_of(f, hub).dropped, 50);
    assert_int_equal(state_of(f, hub).gap.reasons, TG_GAP_LIMIT);
}

/* Rows that one cloud does not wait for any more stay for the other one. */
static void test_each_cloud_has_its_own_age(void **state)
{
    struct fixture *f = *state;
    const int64_t start = INT64_C(1900000000000);
    uint32_t d = device(f, "meter-1"), hub = cursor(f, d, "hub"), lake = cursor(f, d, "lake");
    quota(f, lake, 0, 0, 60000);
    for (int i = 0; i < 100; i++) {
        struct tg_outbox_row row = {
            .id = tg_outbox_last_id(f->ob) + 1,
            .seq = tg_outbox_last_seq(f->ob, d) + 1,
            .device = d,
            .time_ms = i % 10 == 3 ? 1000 : start + i * 1000, /* some before the clock was set */
            .body = tg_test_body(d, (uint64_t)i + 1, 50)};
        OK(tg_outbox_append(f->ob, &row, &f->err));
        OK(tg_outbox_commit(f->ob, &f->err));
    }
    OK(tg_outbox_enforce(f->ob, start + 90000, &f->err));
    assert_int_equal(state_of(f, lake).dropped, 30);
    OK(tg_outbox_enforce(f->ob, start + 91000, &f->err));
    assert_int_equal(state_of(f, lake).dropped, 31);
    OK(tg_outbox_enforce(f->ob, 0, &f->err)); /* no valid time: nobody knows how old they are */
    assert_int_equal(state_of(f, lake).dropped, 31);
    assert_int_equal(state_of(f, lake).gap.reasons, TG_GAP_AGE);
    assert_int_equal(state_of(f, hub).pending, 100);
    assert_int_equal(stats_of(f).dropped[TG_DROP_AGE], 31);
    tg_test_verify(f->ob);
}

/* What a pass may cost: a device that is rare, behind a backlog of others, looks at a bounded number of rows with each commit. */
static void test_a_pass_is_bounded(void **state)
{
    struct fixture *f = *state;
    uint32_t many = device(f, "many"), rare = device(f, "rare");
    uint32_t c = cursor(f, rare, "hub");
    (void)cursor(f, many, "hub");
    quota(f, c, 20, 0, 0);
    for (int i = 0; i < 40; i++) {
        append_n(f, rare, 1, 50);
        append_n(f, many, 5000, 50);
    }
    for (int i = 0; i < 250 && state_of(f, c).pending > 20; i++) {
        uint64_t before = f->ob->t.quota_id;
        append_n(f, many, 16, 50);
        assert_true(f->ob->t.quota_id == 0 || f->ob->t.quota_id <= before + 2000 || before == 0);
    }
    assert_int_equal(state_of(f, c).pending, 20);
    assert_int_equal(state_of(f, c).dropped, 20);
    tg_test_verify(f->ob);
}

/* After a restart quotas are set anew, and count for what is there. */
static void test_a_lower_quota_takes_the_backlog(void **state)
{
    struct fixture *f = *state;
    uint32_t d = device(f, "meter-1"), c = cursor(f, d, "hub");
    append_n(f, d, 30000, 50);
    reopen(f, true);
    d = device(f, "meter-1");
    c = cursor(f, d, "hub");
    quota(f, c, 500, 0, 0);
    for (int i = 0; i < 5; i++)
        OK(tg_outbox_enforce(f->ob, 0, &f->err));
    assert_int_equal(state_of(f, c).pending, 500);
    reopen(f, false);
    c = cursor(f, device(f, "meter-1"), "hub");
    assert_int_equal(state_of(f, c).pending, 500);
    assert_int_equal(state_of(f, c).gap.count, 29500); /* not told yet */
    quota(f, c, 0, 0, 0);
    append_n(f, device(f, "meter-1"), 5000, 50);
    assert_int_equal(state_of(f, c).pending, 5500);
    tg_test_verify(f->ob);
}

static void count_each(void *user, const char *device, const char *cloud, uint64_t rows)
{
    (void)device;
    assert_string_equal(cloud, "hub");
    *(uint64_t *)user += rows;
}

static void test_an_operator_drops_what_waits(void **state)
{
    struct fixture *f = *state;
    uint32_t a = device(f, "a"), b = device(f, "b");
    uint32_t ah = cursor(f, a, "hub"), al = cursor(f, a, "lake"), bh = cursor(f, b, "hub");
    uint64_t rows = 0, told = 0;
    append_n(f, a, 100, 50);
    append_n(f, b, 100, 50);
    struct tg_outbox_drop drop = {.cloud = "hub", .dry = true, .each = count_each, .user = &told};
    OK(tg_outbox_drop(f->ob, &drop, &rows, &f->err));
    assert_int_equal(rows, 200);
    assert_int_equal(told, 200);
    assert_int_equal(state_of(f, ah).pending, 100); /* dry */
    drop.dry = false;
    drop.device = "a";
    OK(tg_outbox_drop(f->ob, &drop, &rows, &f->err));
    assert_int_equal(rows, 100);
    assert_int_equal(state_of(f, ah).pending, 0);
    assert_int_equal(state_of(f, ah).gap.reasons, TG_GAP_REMOVED);
    assert_int_equal(state_of(f, ah).gap.count, 100);
    assert_int_equal(state_of(f, al).pending, 100);
    assert_int_equal(state_of(f, bh).pending, 100);
    assert_int_equal(stats_of(f).dropped[TG_DROP_REMOVED], 100);
    OK(tg_outbox_drop(f->ob, &drop, &rows, &f->err));
    assert_int_equal(rows, 0);
    drop.device = "c";
    assert_int_equal(tg_outbox_drop(f->ob, &drop, &rows, &f->err), TG_ENOTFOUND);
    drop = (struct tg_outbox_drop){.cloud = "nobody"};
    assert_int_equal(tg_outbox_drop(f->ob, &drop, &rows, &f->err), TG_ENOTFOUND);
    reopen(f, false);
    assert_int_equal(state_of(f, ah).gap.count, 100);
    tg_test_verify(f->ob);
}

static void test_an_operator_drops_what_is_old(void **state)
{
    struct fixture *f = *state;
    const int64_t start = INT64_C(1900000000000);
    uint32_t d = device(f, "a"), hub = cursor(f, d, "hub");
    uint64_t rows = 0;
    for (int i = 0; i < 9000; i++) {
        struct tg_outbox_row row = {.id = tg_outbox_last_id(f->ob) + (uint64_t)i + 1,
                                    .seq = (uint64_t)i + 1,
                                    .device = d,
                                    .time_ms = start + i,
                                    .body = tg_test_body(d, (uint64_t)i + 1, 50)};
        OK(tg_outbox_append(f->ob, &row, &f->err));
    }
    OK(tg_outbox_commit(f->ob, &f->err));
    struct tg_outbox_drop drop = {.device = "a", .before_ms = start + 7000};
    OK(tg_outbox_drop(f->ob, &drop, &rows, &f->err));
    assert_int_equal(rows, 7000);
    assert_int_equal(state_of(f, hub).acked_seq, 7000);
    assert_int_equal(state_of(f, hub).pending, 2000);
    tg_test_verify(f->ob);
}

/* A gap record that is itself dropped on its way has told nobody. */
static void test_a_dropped_record_told_nothing(void **state)
{
    struct fixture *f = *state;
    uint32_t d = device(f, "a"), hub = cursor(f, d, "hub");
    struct tg_outbox_drop drop = {.device = "a"};
    uint8_t memory[256];
    uint64_t rows = 0;
    append_n(f, d, 10, 50);
    OK(tg_outbox_drop(f->ob, &drop, &rows, &f->err));
    for (int i = 0; i < 2; i++) {
        struct tg_gap gap = state_of(f, hub).gap;
        struct tg_writer w = tg_writer_init(memory, sizeof memory);
        gap_write(&w, 1, &gap, "hub");
        uint64_t seq = tg_outbox_last_seq(f->ob, d) + 1;
        struct tg_outbox_row row = {tg_outbox_last_id(f->ob) + 1, seq, d, 1, tg_bytes(w.data, w.len)};
        OK(tg_outbox_append(f->ob, &row, &f->err));
        OK(tg_outbox_tell(f->ob, hub, seq, &gap, &f->err));
        OK(tg_outbox_commit(f->ob, &f->err));
        assert_int_equal(state_of(f, hub).tell_seq, seq);
        if (i == 0) {
            OK(tg_outbox_drop(f->ob, &drop, &rows, &f->err));
            assert_int_equal(state_of(f, hub).tell_seq, 0);
            assert_int_equal(state_of(f, hub).gap.count, 11);
            continue;
        }
        reopen(f, false); /* on its way, also after a crash */
        assert_int_equal(state_of(f, hub).tell_seq, seq);
        OK(tg_outbox_set_cursor(f->ob, hub, seq, row.id, &f->err));
        OK(tg_outbox_commit(f->ob, &f->err));
    }
    assert_int_equal(state_of(f, hub).tell_seq, 0);
    assert_int_equal(state_of(f, hub).gap.reasons, 0);
    tg_test_verify(f->ob);
}

int main(void)
{
#define T(test) cmocka_unit_test_setup_teardown(test, set_up, tear_down)
    static const struct CMUnitTest tests[] = {
        T(test_a_chatty_device_loses_its_own),
        T(test_a_dead_cloud_does_not_eat_the_other_ones_room),
        T(test_without_a_quota_it_does),
        T(test_each_cloud_has_its_own_age),
        T(test_a_pass_is_bounded),
        T(test_a_lower_quota_takes_the_backlog),
        T(test_an_operator_drops_what_waits),
        T(test_an_operator_drops_what_is_old),
        T(test_a_dropped_record_told_nothing),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
