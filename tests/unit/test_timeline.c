/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * When samples were taken and how old they are, whatever the wall clock does [C9]: boots without a time, clocks that are set, tables
 * that are full; first the arithmetic, then through the database and its restarts. Time is the test's own.
 */
#include "support/outbox_fixture.h"

#include "core/base/clock.h"
#include "core/base/sample.h"
#include "store/outbox_private.h"

#define WALL_MS INT64_C(1900000000000)
#define HOUR_MS INT64_C(3600000)
#define DAY_MS  (24 * HOUR_MS)

static struct tg_sample_time at_boot(uint64_t boot, int64_t ms)
{
    return (struct tg_sample_time){TG_TIME_BOOT, boot, ms};
}

static void expect_time(const struct tg_timeline *t, uint64_t id, uint64_t boot, int64_t ms,
                        enum tg_time_kind kind, int64_t want_ms)
{
    struct tg_sample_time at = at_boot(boot, ms);
    at = tg_timeline_resolve(t, id, &at);
    assert_int_equal(at.kind, kind);
    assert_int_equal(at.ms, want_ms);
}

static void test_a_boot_gets_its_time(void **state)
{
    struct tg_timeline t = {0};
    (void)state;
    (void)tg_timeline_add_boot(&t, 7, 10);
    expect_time(&t, 12, 7, 5000, TG_TIME_BOOT, 5000);
    tg_timeline_settle(&t, 7, WALL_MS);
    expect_time(&t, 12, 7, 5000, TG_TIME_KNOWN, WALL_MS + 5000);
    /* For good: what was sent keeps its stamp. */
    tg_timeline_settle(&t, 7, WALL_MS + HOUR_MS);
    expect_time(&t, 12, 7, 5000, TG_TIME_KNOWN, WALL_MS + 5000);
    /* A wall time stays what it is. */
    struct tg_sample_time known = {.ms = 42};
    assert_int_equal(tg_timeline_resolve(&t, 12, &known).ms, 42);
}

static void test_boots_without_a_time_end_where_the_next_begins(void **state)
{
    struct tg_timeline t = {0};
    (void)state;
    tg_timeline_add_boot(&t, 1, 1)->last_mono_ms = 60000;
    tg_timeline_add_boot(&t, 2, 100)->last_mono_ms = 30000;
    tg_timeline_settle(&t, 3, WALL_MS);
    expect_time(&t, 150, 2, 30000, TG_TIME_ESTIMATED, WALL_MS);
    expect_time(&t, 100, 2, 0, TG_TIME_ESTIMATED, WALL_MS - 30000);
    expect_time(&t, 50, 1, 60000, TG_TIME_ESTIMATED, WALL_MS - 30000);
    expect_time(&t, 1, 1, 0, TG_TIME_ESTIMATED, WALL_MS - 90000);
    /* One that nobody knows of: when the next one began. */
    expect_time(&t, 50, 99, 5, TG_TIME_ESTIMATED, WALL_MS - 30000);
    expect_time(&t, 500, 99, 5, TG_TIME_ESTIMATED, WALL_MS);
    /* The present one needs no entry. */
    expect_time(&t, 500, 3, 5, TG_TIME_KNOWN, WALL_MS + 5);
}

static void test_more_boots_than_there_is_room_for(void **state)
{
    struct tg_timeline t = {0};
    (void)state;
    for (uint64_t i = 1; i <= TG_TIMELINE_BOOTS + 10; i++)
        tg_timeline_add_boot(&t, i, i * 10)->last_mono_ms = 1000;
    assert_int_equal(t.boot_count, TG_TIMELINE_BOOTS);
    expect_time(&t, 15, 1, 500, TG_TIME_BOOT, 500);
    tg_timeline_settle(&t, 1000, WALL_MS);
    expect_time(&t, 15, 1, 500, TG_TIME_ESTIMATED, WALL_MS - TG_TIMELINE_BOOTS * 1000);
    expect_time(&t, 745, 74, 1000, TG_TIME_ESTIMATED, WALL_MS);
}

static int64_t stored(const struct tg_timeline *t, uint64_t id, int64_t ms)
{
    int64_t at = 0;
    assert_true(tg_timeline_stored(t, id, ms, &at));
    return at;
}

static void test_ages_follow_the_clock(void **state)
{
    struct tg_timeline t = {0};
    int64_t at;
    (void)state;
    assert_int_equal(stored(&t, 1, WALL_MS), WALL_MS);
    tg_timeline_add_jump(&t, 100, DAY_MS);
    tg_timeline_add_jump(&t, 200, -2 * DAY_MS);
    assert_int_equal(stored(&t, 100, WALL_MS), WALL_MS - DAY_MS);
    assert_int_equal(stored(&t, 101, WALL_MS), WALL_MS - 2 * DAY_MS);
    assert_int_equal(stored(&t, 201, WALL_MS), WALL_MS);
    /* To and fro without a row in between is nothing. */
    tg_timeline_add_jump(&t, 200, 2 * DAY_MS);
    assert_int_equal(stored(&t, 200, WALL_MS), WALL_MS);
    /* Since boot: not before that boot has a time. */
    (void)tg_timeline_add_boot(&t, 9, 300);
    assert_false(tg_timeline_stored(&t, 299, 1000, &at));
    assert_false(tg_timeline_stored(&t, 300, 1000, &at));
    tg_timeline_settle(&t, 9, WALL_MS);
    assert_int_equal(stored(&t, 300, 1000), WALL_MS + 1000);
}

/* Where jumps have become one, no row is older than it is. */
static void test_more_jumps_than_there_is_room_for(void **state)
{
    struct tg_timeline t = {0};
    int64_t sum[200] = {0};
    (void)state;
    for (uint64_t i = 0; i < 200; i++) {
        int64_t delta = (i % 3 == 0 ? -1 : 1) * (int64_t)(1 + i % 7) * HOUR_MS;
        tg_timeline_add_jump(&t, i + 1, delta);
        for (uint64_t k = 0; k <= i; k++)
            sum[k] += delta;
    }
    assert_int_equal(t.jump_count, TG_TIMELINE_JUMPS);
    for (uint64_t i = 0; i < 200; i++) {
        int64_t at = stored(&t, i + 1, WALL_MS);
        assert_true(at >= WALL_MS + sum[i]);
        if (i > 200 - TG_TIMELINE_JUMPS)
            assert_int_equal(at, WALL_MS + sum[i]);
    }
    assert_true(tg_timeline_prune(&t, 190, 0));
    assert_int_equal(t.jump_count, 11);
    assert_int_equal(stored(&t, 195, WALL_MS), WALL_MS + sum[194]);
}

/* --- through the database ---------------------------------------------------------------------------- */

static struct tg_bytes boot_body(uint64_t boot, int64_t mono_ms)
{
    static uint8_t memory[128];
    struct tg_writer w = tg_writer_init(memory, sizeof memory);
    struct tg_sample_time at = at_boot(boot, mono_ms);
    tg_sample_begin_at(&w, &at, 1);
    tg_sample_value(&w, &(struct tg_named_value){tg_bytes_str("v"), 0, tg_value_uint(1)});
    assert_false(w.failed);
    return tg_bytes(memory, w.len);
}

/* One row, of a boot (0: with wall time). */
static uint64_t add(struct fixture *f, uint32_t d, uint64_t boot, int64_t ms)
{
    struct tg_outbox_row row = {.id = tg_outbox_last_id(f->ob) + 1,
                                .seq = tg_outbox_last_seq(f->ob, d) + 1,
                                .device = d,
                                .time_ms = ms,
                                .body = boot ? boot_body(boot, ms)
                                             : tg_test_body(d, tg_outbox_last_seq(f->ob, d) + 1, 50)};
    OK(tg_outbox_append(f->ob, &row, &f->err));
    OK(tg_outbox_commit(f->ob, &f->err));
    return row.id;
}

static void clock_is(struct fixture *f, uint64_t boot, int64_t offset_ms)
{
    OK(tg_outbox_clock(f->ob, boot, offset_ms, tg_outbox_last_id(f->ob), &f->err));
}

static uint64_t waiting(struct fixture *f)
{
    uint64_t rows = 0;
    OK(tg_outbox_waiting(f->ob, &rows, &f->err));
    return rows;
}

static void test_boots_are_kept(void **state)
{
    struct fixture *f = *state;
    uint32_t d = device(f, "a");
    (void)cursor(f, d, "hub");
    for (int i = 0; i < 5; i++)
        (void)add(f, d, 11, 1000 * (i + 1));
    reopen(f, false);
    (void)device(f, "a");
    for (int i = 0; i < 5; i++)
        (void)add(f, d, 22, 2000 * (i + 1));
    assert_int_equal(waiting(f), 10);
    /* What is rolled back leaves no boot. */
    struct tg_outbox_row row = {.id = 11, .seq = 11, .device = d, .time_ms = 7, .body = boot_body(33, 7)};
    OK(tg_outbox_append(f->ob, &row, &f->err));
    tg_outbox_rollback(f->ob);
    assert_int_equal(tg_outbox_timeline(f->ob)->boot_count, 2);
    clock_is(f, 22, WALL_MS);
    assert_int_equal(waiting(f), 0);
    for (int round = 0; round < 2; round++) {
        const struct tg_timeline *t = tg_outbox_timeline(f->ob);
        expect_time(t, 7, 22, 4000, TG_TIME_KNOWN, WALL_MS + 4000);
        expect_time(t, 5, 11, 5000, TG_TIME_ESTIMATED, WALL_MS);
        expect_time(t, 1, 11, 1000, TG_TIME_ESTIMATED, WALL_MS - 4000);
        tg_test_verify(f->ob);
        reopen(f, round == 0);
    }
}

static void enforce(struct fixture *f, int64_t wall_ms, uint64_t want_dropped)
{
    struct tg_outbox_stats s;
    OK(tg_outbox_enforce(f->ob, wall_ms, &f->err));
    OK(tg_outbox_stats(f->ob, &s, &f->err));
    assert_int_equal(s.dropped[TG_DROP_AGE], want_dropped);
}

/* A jump beyond max_age drops nothing, one back keeps nothing for ever; what is too old still goes. */
static void test_a_jump_expires_nothing(void **state)
{
    static const int64_t jumps[] = {HOUR_MS, -HOUR_MS, -DAY_MS, DAY_MS, INT64_C(350000000000), -1000, 1000};
    struct fixture *f = *state;
    int64_t offset = WALL_MS, mono = 1000;
    uint64_t rows = 0;
    f->o.max_age_ms = 10 * 60000;
    reopen(f, true);
    uint32_t d = device(f, "a");
    (void)cursor(f, d, "hub");
    clock_is(f, 5, offset);
    for (size_t i = 0; i < sizeof jumps / sizeof jumps[0]; i++) {
        for (int k = 0; k < 10; k++, mono += 1000, rows++)
            (void)add(f, d, 0, mono + offset);
        offset += jumps[i];
        clock_is(f, 5, offset);
        enforce(f, mono + offset, 0);
        if (i % 2)
            reopen(f, i % 4 == 1);
        (void)device(f, "a");
    }
    /* The first row was stored at 1000. */
    enforce(f, 1000 + f->o.max_age_ms + offset, 0);
    enforce(f, 1001 + f->o.max_age_ms + offset, 1);
    enforce(f, 1001 + 9000 + f->o.max_age_ms + offset, 10);
    offset -= DAY_MS;
    clock_is(f, 5, offset);
    enforce(f, mono + f->o.max_age_ms + offset, rows);
}

/* The clock was set while no gateway ran: the boot is the same, so the age is what has passed. */
static void test_a_jump_while_nobody_runs(void **state)
{
    struct fixture *f = *state;
    f->o.max_age_ms = HOUR_MS;
    reopen(f, true);
    uint32_t d = device(f, "a");
    (void)cursor(f, d, "hub");
    clock_is(f, 5, WALL_MS);
    (void)add(f, d, 0, WALL_MS + 1000);
    reopen(f, true);
    (void)device(f, "a");
    clock_is(f, 5, WALL_MS + 30 * DAY_MS);
    enforce(f, WALL_MS + 30 * DAY_MS + 60000, 0);
    /* After a boot the wall clock is all there is. */
    reopen(f, true);
    clock_is(f, 6, WALL_MS + 30 * DAY_MS + 2 * HOUR_MS);
    enforce(f, WALL_MS + 30 * DAY_MS + 2 * HOUR_MS + 1, 1);
}

/* Before the clock was set nothing expires; then what was taken in before has its age. */
static void test_nothing_expires_before_time_is_known(void **state)
{
    struct fixture *f = *state;
    f->o.max_age_ms = HOUR_MS;
    reopen(f, true);
    uint32_t d = device(f, "a");
    (void)cursor(f, d, "hub");
    (void)add(f, d, 5, 1000);
    (void)add(f, d, 5, 2 * HOUR_MS);
    enforce(f, 0, 0);
    enforce(f, tg_outbox_wall_ms(f->ob), 0);
    clock_is(f, 5, WALL_MS);
    enforce(f, WALL_MS + 2 * HOUR_MS, 1);
    enforce(f, WALL_MS + 3 * HOUR_MS + 1, 2);
}

/* What says nothing of any row is forgotten. */
static void test_the_tables_stay_small(void **state)
{
    struct fixture *f = *state;
    uint32_t d = device(f, "a"), hub = cursor(f, d, "hub");
    for (int i = 0; i < 200; i++) {
        uint64_t id = add(f, d, 100 + (uint64_t)i, 1000);
        if (i % 10 == 9)
            clock_is(f, 100 + (uint64_t)i, WALL_MS + i * DAY_MS);
        OK(tg_outbox_set_cursor(f->ob, hub, tg_outbox_last_seq(f->ob, d), id, &f->err));
        OK(tg_outbox_commit(f->ob, &f->err));
    }
    assert_true(tg_outbox_timeline(f->ob)->boot_count <= TG_TIMELINE_BOOTS);
    reopen(f, true);
    assert_true(tg_outbox_timeline(f->ob)->boot_count <= TG_TIMELINE_BOOTS);
    tg_test_verify(f->ob);
}

static void test_stamps_since_boot(void **state)
{
    (void)state;
    assert_false(tg_stamp_is_boot(0));
    assert_false(tg_stamp_is_boot(WALL_MS));
    assert_false(tg_stamp_is_boot(-WALL_MS));
    assert_true(tg_stamp_is_boot(tg_stamp_of_boot(0)));
    assert_int_equal(tg_stamp_mono_ms(tg_stamp_of_boot(123456)), 123456);
    assert_true(tg_clock_boot() != 0);
    assert_int_equal(tg_clock_boot(), tg_clock_boot());
    assert_true(tg_clock_boot() < UINT64_C(1) << 56);
}

static void test_bodies_change_their_time(void **state)
{
    static const struct tg_sample_time times[] = {
        {TG_TIME_KNOWN, 0, WALL_MS}, {TG_TIME_ESTIMATED, 0, WALL_MS}, {TG_TIME_BOOT, UINT64_C(1) << 55, 77}};
    uint8_t memory[200];
    (void)state;
    for (int i = 0; i < 3; i++) {
        struct tg_writer w = tg_writer_init(memory, sizeof memory);
        struct tg_sample_reader r;
        struct tg_named_value v;
        assert_int_equal(tg_sample_restamp(boot_body(9, 5), &times[i], &w), TG_OK);
        assert_false(w.failed);
        assert_int_equal(tg_sample_reader_init(&r, tg_bytes(memory, w.len)), TG_OK);
        assert_int_equal(r.time, times[i].kind);
        assert_int_equal(r.boot, times[i].boot);
        assert_int_equal(r.time_ms, times[i].ms);
        assert_int_equal(tg_sample_is_unstamped(tg_bytes(memory, w.len)), times[i].kind == TG_TIME_BOOT);
        assert_int_equal(tg_sample_reader_next(&r, &v), 1);
        assert_int_equal(v.value.as.uinteger, 1);
        assert_int_equal(tg_sample_reader_next(&r, &v), 0);
    }
    /* A boot number 0 has one spelling. */
    assert_int_equal(tg_sample_restamp(tg_bytes("\x02\x80\x00\x01\x01\x01v\0\0", 9), &times[0],
                                       &(struct tg_writer){.data = memory, .cap = sizeof memory}),
                     TG_ECORRUPT);
}

#define T(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_a_boot_gets_its_time),
        cmocka_unit_test(test_boots_without_a_time_end_where_the_next_begins),
        cmocka_unit_test(test_more_boots_than_there_is_room_for),
        cmocka_unit_test(test_ages_follow_the_clock),
        cmocka_unit_test(test_more_jumps_than_there_is_room_for),
        cmocka_unit_test(test_stamps_since_boot),
        cmocka_unit_test(test_bodies_change_their_time),
        T(test_boots_are_kept),
        T(test_a_jump_expires_nothing),
        T(test_a_jump_while_nobody_runs),
        T(test_nothing_expires_before_time_is_known),
        T(test_the_tables_stay_small),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
