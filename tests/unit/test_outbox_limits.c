/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * What leaves the outbox without having been delivered, and that it is counted [C6]; and what must not stay.
 */
#include "support/outbox_fixture.h"

#include <unistd.h>

#include "store/outbox_private.h"
#include "support/fault_vfs.h"
#include "support/proof.h"

#define DAY_MS INT64_C(86400000)
#define NOW_MS INT64_C(1900000000000) /* 2030 */

/* Closes the fixture's outbox and opens it again with other options. */
static void reopen_with(struct fixture *f, int64_t limit_bytes, enum tg_when_full when_full,
                        int64_t max_age_ms)
{
    f->o.limit_bytes = limit_bytes;
    f->o.when_full = when_full;
    f->o.max_age_ms = max_age_ms;
    reopen(f, true);
}

static void append_at(struct fixture *f, uint32_t d, int n, int64_t time_ms, int64_t step_ms)
{
    for (int i = 0; i < n; i++) {
        uint64_t seq = tg_outbox_last_seq(f->ob, d) + 1 + (uint64_t)i;
        struct tg_outbox_row row = {tg_outbox_last_id(f->ob) + 1 + (uint64_t)i, seq, d, time_ms + i * step_ms,
                                    tg_test_body(d, seq, 60)};
        OK(tg_outbox_append(f->ob, &row, &f->err));
    }
    OK(tg_outbox_commit(f->ob, &f->err));
}

/* drop-oldest: the file stays within its limit, what is dropped is counted to the row, the rest is whole. */
static void test_drop_oldest(void **state)
{
    struct fixture *f = *state;
    const int64_t limit = 2 << 20;
    struct seen seen;
    reopen_with(f, limit, TG_WHEN_FULL_DROP_OLDEST, 0);
    uint32_t a = device(f, "a"), b = device(f, "b"), hub = cursor(f, a, "hub"), lake = cursor(f, a, "lake");
    uint32_t b_hub = cursor(f, b, "hub");
    for (int i = 0; i < 200; i++) {
        append_n(f, a, 90, 200);
        append_n(f, b, 10, 200);
        if (i % 3 == 0) {
            struct tg_outbox_cursor_state s = state_of(f, lake);
            OK(tg_outbox_set_cursor(f->ob, lake, s.acked_seq + 50, s.acked_id + 50, &f->err));
            OK(tg_outbox_commit(f->ob, &f->err));
        }
        assert_true(stats_of(f).bytes_file <= (uint64_t)limit);
    }
    for (int round = 0; round < 2; round++) {
        struct tg_outbox_stats stats = stats_of(f);
        struct tg_outbox_cursor_state s = state_of(f, hub), sb = state_of(f, b_hub);
        assert_int_equal(s.accepted, 18000);
        assert_int_equal(sb.accepted, 2000);
        assert_int_equal(s.acked, 0);
        assert_true(s.dropped > 5000);
        assert_int_equal(stats.dropped[TG_DROP_LIMIT], s.dropped + sb.dropped);
        assert_int_equal(state_of(f, lake).accepted, 18000);
        assert_true(state_of(f, lake).dropped < s.dropped);
        read_rows(f, 0, a, 100000, SIZE_MAX, &seen);
        assert_int_equal(seen.count, s.pending);
        assert_int_equal(seen.first_seq, s.dropped + 1);
        tg_test_verify(f->ob);
        reopen(f, false);
    }
}

static void note(void *user, const struct tg_outbox_device_stats *d)
{
    if (strcmp(d->name, "a") == 0)
        *(struct tg_outbox_device_stats *)user = *d;
}

/* The numbers that were dropped are told as a range. */
static void test_gap_range(void **state)
{
    struct fixture *f = *state;
    struct tg_outbox_device_stats d = {0};
    reopen_with(f, 1 << 20, TG_WHEN_FULL_DROP_OLDEST, 0);
    uint32_t a = device(f, "a"), hub = cursor(f, a, "hub");
    append_n(f, a, 10, 200);
    OK(tg_outbox_set_cursor(f->ob, hub, 4, 4, &f->err));
    OK(tg_outbox_commit(f->ob, &f->err));
    for (int i = 0; i < 100; i++)
        append_n(f, a, 100, 200);
    OK(tg_outbox_each_device(f->ob, note, &d, &f->err));
    assert_int_equal(d.gap_first_seq, 5);
    assert_int_equal(d.gap_last_seq, 4 + d.dropped[TG_DROP_LIMIT]);
    assert_int_equal(d.pending, 10010 - d.gap_last_seq);
    reopen(f, false);
    struct tg_outbox_device_stats again = {0};
    OK(tg_outbox_each_device(f->ob, note, &again, &f->err));
    assert_int_equal(again.gap_first_seq, d.gap_first_seq);
    assert_int_equal(again.gap_last_seq, d.gap_last_seq);
}

/* drop-newest: what is there stays; new samples are refused until something was delivered. */
static void test_drop_newest(void **state)
{
    struct fixture *f = *state;
    reopen_with(f, 1 << 20, TG_WHEN_FULL_DROP_NEWEST, 0);
    uint32_t a = device(f, "a"), hub = cursor(f, a, "hub");
    uint64_t id = 0, seq = 0;
    int code = TG_OK;
    while (code == TG_OK) {
        for (int i = 0; i < 100 && code == TG_OK; i++)
            code = tg_test_append(f->ob, a, &id, &seq, 200, &f->err);
        int committed = tg_outbox_commit(f->ob, &f->err);
        assert_int_equal(code, committed);
    }
    assert_int_equal(code, TG_ENOSPACE);
    assert_int_equal(tg_outbox_make_room(f->ob, 1000, &f->err), TG_ENOSPACE);
    assert_non_null(strstr(f->err.text, "drop-newest"));
    uint64_t kept = tg_outbox_last_seq(f->ob, a);
    assert_true(kept > 1000);
    assert_int_equal(state_of(f, hub).pending, kept);
    /* The refused numbers are told. */
    OK(tg_outbox_reject(f->ob, a, kept + 25, TG_DROP_LIMIT, &f->err));
    OK(tg_outbox_commit(f->ob, &f->err));
    assert_int_equal(stats_of(f).dropped[TG_DROP_LIMIT], 25);
    OK(tg_outbox_set_cursor(f->ob, hub, kept / 2, kept / 2, &f->err));
    OK(tg_outbox_commit(f->ob, &f->err));
    append_n(f, a, 100, 200);
    assert_int_equal(state_of(f, hub).pending, kept - kept / 2 + 100);
    assert_true(stats_of(f).bytes_file <= 1 << 20);
    tg_test_verify(f->ob);
}

/* Age: old rows go once the clock can be believed, not before; a stamp from before the clock was set says
 * nothing. */
static void test_age(void **state)
{
    struct fixture *f = *state;
    reopen_with(f, 0, TG_WHEN_FULL_DROP_OLDEST, 30 * DAY_MS);
    uint32_t a = device(f, "a"), hub = cursor(f, a, "hub");
    append_at(f, a, 2500, NOW_MS - 40 * DAY_MS, 1000); /* expired */
    append_at(f, a, 100, NOW_MS - 10 * DAY_MS, 1000);  /* not */
    append_at(f, a, 100, NOW_MS - 35 * DAY_MS, 1000);  /* behind a younger one: stays */
    OK(tg_outbox_enforce(f->ob, 0, &f->err));          /* 1970: not believed */
    OK(tg_outbox_enforce(f->ob, 5 * DAY_MS, &f->err));
    assert_int_equal(state_of(f, hub).pending, 2700);
    OK(tg_outbox_enforce(f->ob, NOW_MS, &f->err));
    for (int round = 0; round < 2; round++) {
        assert_int_equal(state_of(f, hub).pending, 200);
        assert_int_equal(state_of(f, hub).dropped, 2500);
        assert_int_equal(stats_of(f).dropped[TG_DROP_AGE], 2500);
        assert_int_equal(stats_of(f).dropped[TG_DROP_LIMIT], 0);
        tg_test_verify(f->ob);
        reopen(f, false);
    }
    OK(tg_outbox_enforce(f->ob, NOW_MS, &f->err));
    assert_int_equal(stats_of(f).dropped[TG_DROP_AGE], 2500);
    OK(tg_outbox_enforce(f->ob, NOW_MS + 20 * DAY_MS + 1000000, &f->err));
    assert_int_equal(state_of(f, hub).pending, 0);
    append_n(f, a, 1, 60);
    assert_int_equal(tg_outbox_last_seq(f->ob, a), 2701);
}

/* Rows stamped before the clock was set expire only with the row behind them that can be judged. */
static void test_age_of_unset_clock(void **state)
{
    struct fixture *f = *state;
    reopen_with(f, 0, TG_WHEN_FULL_DROP_OLDEST, 30 * DAY_MS);
    uint32_t a = device(f, "a"), hub = cursor(f, a, "hub");
    append_at(f, a, 50, 1000, 1000); /* 1970 */
    OK(tg_outbox_enforce(f->ob, NOW_MS, &f->err));
    assert_int_equal(state_of(f, hub).pending, 50);
    append_at(f, a, 50, NOW_MS - 40 * DAY_MS, 1000);
    append_at(f, a, 50, 1000, 1000);
    append_at(f, a, 50, NOW_MS - DAY_MS, 1000);
    OK(tg_outbox_enforce(f->ob, NOW_MS, &f->err));
    assert_int_equal(state_of(f, hub).dropped, 100);
    assert_int_equal(state_of(f, hub).pending, 100);
    tg_test_verify(f->ob);
}

/* One device whose cloud is gone keeps its own rows, not everybody's. */
static void test_one_dead_device(void **state)
{
    struct fixture *f = *state;
    uint32_t d[10], c[10];
    uint64_t most = 0;
    struct seen seen;
    for (uint32_t i = 0; i < 10; i++) {
        char name[16];
        snprintf(name, sizeof name, "d%u", i);
        d[i] = device(f, name);
        c[i] = cursor(f, d[i], "hub");
    }
    for (int round = 0; round < 400; round++) {
        uint64_t id = tg_outbox_last_id(f->ob);
        for (uint32_t i = 0; i < 10; i++) {
            uint64_t seq = tg_outbox_last_seq(f->ob, d[i]);
            for (int k = 0; k < (i == 0 ? 2 : 50); k++)
                OK(tg_test_append(f->ob, d[i], &id, &seq, 40, &f->err));
        }
        OK(tg_outbox_commit(f->ob, &f->err));
        for (uint32_t i = 1; i < 10; i++)
            OK(tg_outbox_set_cursor(f->ob, c[i], tg_outbox_last_seq(f->ob, d[i]), id, &f->err));
        OK(tg_outbox_commit(f->ob, &f->err));
        most = stats_of(f).rows > most ? stats_of(f).rows : most;
    }
    /* 180,800 rows went through; 800 wait. */
    assert_int_equal(state_of(f, c[0]).pending, 800);
    assert_true(most < 60000);
    read_rows(f, 0, d[0], 100000, SIZE_MAX, &seen);
    if (seen.count < 800) /* many others' rows may lie between: go on */
        read_rows(f, seen.next_id, d[0], 100000, SIZE_MAX, &seen);
    tg_test_verify(f->ob);
    reopen(f, false);
    assert_int_equal(state_of(f, c[0]).pending, 800);
    tg_test_verify(f->ob);
    /* Once it comes back everything goes. */
    OK(tg_outbox_set_cursor(f->ob, c[0], 800, tg_outbox_last_id(f->ob), &f->err));
    OK(tg_outbox_commit(f->ob, &f->err));
    for (int i = 0; i < 100 && stats_of(f).rows > 5000; i++) {
        append_n(f, d[1], 100, 40);
        OK(tg_outbox_set_cursor(f->ob, c[1], tg_outbox_last_seq(f->ob, d[1]), tg_outbox_last_id(f->ob),
                                &f->err));
        OK(tg_outbox_commit(f->ob, &f->err));
    }
    assert_true(stats_of(f).rows <= 5000);
}

/* Every second row is waited for: more runs than one step takes. */
static void test_alternating_devices(void **state)
{
    struct fixture *f = *state;
    uint32_t dead = device(f, "dead"), busy = device(f, "busy");
    uint32_t cd = cursor(f, dead, "hub"), cb = cursor(f, busy, "hub");
    f->ob->compact_rows = 1000;
    for (int round = 0; round < 40; round++) {
        uint64_t id = tg_outbox_last_id(f->ob), sd = tg_outbox_last_seq(f->ob, dead),
                 sb = tg_outbox_last_seq(f->ob, busy);
        for (int i = 0; i < 500; i++) {
            OK(tg_test_append(f->ob, dead, &id, &sd, 40, &f->err));
            OK(tg_test_append(f->ob, busy, &id, &sb, 40, &f->err));
        }
        OK(tg_outbox_commit(f->ob, &f->err));
        OK(tg_outbox_set_cursor(f->ob, cb, sb, id, &f->err));
        OK(tg_outbox_commit(f->ob, &f->err));
    }
    for (int i = 0; i < 200 && stats_of(f).acked_rows > 6000; i++) {
        append_n(f, busy, 100, 40);
        OK(tg_outbox_set_cursor(f->ob, cb, tg_outbox_last_seq(f->ob, busy), tg_outbox_last_id(f->ob),
                                &f->err));
        OK(tg_outbox_commit(f->ob, &f->err));
    }
    assert_true(stats_of(f).acked_rows <= 6000);
    assert_int_equal(state_of(f, cd).pending, 20000);
    tg_test_verify(f->ob);
}

/* Ids that leap do not hide what lies before or behind. */
static void test_leaping_ids(void **state)
{
    struct fixture *f = *state;
    uint32_t a = device(f, "a"), c = cursor(f, a, "hub");
    for (uint64_t leap = 1; leap <= 5; leap++) {
        uint64_t id = leap << 40, seq = tg_outbox_last_seq(f->ob, a);
        for (int i = 0; i < 3000; i++)
            OK(tg_test_append(f->ob, a, &id, &seq, 30, &f->err));
        OK(tg_outbox_commit(f->ob, &f->err));
        OK(tg_outbox_set_cursor(f->ob, c, seq, id, &f->err));
        OK(tg_outbox_commit(f->ob, &f->err));
        OK(tg_outbox_commit(f->ob, &f->err));
    }
    for (int i = 0; i < 5; i++) {
        append_n(f, a, 3000, 30);
        OK(tg_outbox_set_cursor(f->ob, c, tg_outbox_last_seq(f->ob, a), tg_outbox_last_id(f->ob), &f->err));
        OK(tg_outbox_commit(f->ob, &f->err));
    }
    assert_true(stats_of(f).rows <= 6000);
    tg_test_verify(f->ob);
}

/* Devices that are quiet for long do not pin the log with their old place. */
static void test_quiet_devices(void **state)
{
    struct fixture *f = *state;
    uint32_t quiet = device(f, "quiet"), busy = device(f, "busy");
    uint32_t cq = cursor(f, quiet, "hub"), cb = cursor(f, busy, "hub");
    append_n(f, quiet, 1, 60);
    OK(tg_outbox_set_cursor(f->ob, cq, 1, 1, &f->err));
    for (int i = 0; i < 50; i++) {
        append_n(f, busy, 200, 60);
        OK(tg_outbox_set_cursor(f->ob, cb, tg_outbox_last_seq(f->ob, busy), tg_outbox_last_id(f->ob),
                                &f->err));
    }
    append_n(f, quiet, 1, 60); /* waits, but for nothing old */
    append_n(f, busy, 3000, 60);
    OK(tg_outbox_set_cursor(f->ob, cb, tg_outbox_last_seq(f->ob, busy), tg_outbox_last_id(f->ob), &f->err));
    OK(tg_outbox_commit(f->ob, &f->err));
    assert_int_equal(stats_of(f).rows - stats_of(f).acked_rows, 1);
    assert_true(stats_of(f).rows < 4000);
}

/* [C13] Bytes written per row, everything included: insert, delete, cursors, marks, checkpoints. */
static void test_write_budget(void **state)
{
    struct fixture *f = *state;
    uint32_t d[10], c[10];
    f->o.vfs = TG_FAULT_VFS;
    reopen(f, true);
    for (uint32_t i = 0; i < 10; i++) {
        char name[16];
        snprintf(name, sizeof name, "d%u", i);
        d[i] = device(f, name);
        c[i] = cursor(f, d[i], "hub");
    }
    tg_fault_set(NULL);
    for (int round = 0; round < 500; round++) {
        uint64_t before = tg_outbox_last_id(f->ob), id = before;
        for (uint32_t i = 0; i < 10; i++) {
            uint64_t seq = tg_outbox_last_seq(f->ob, d[i]);
            if (seq > 0)
                OK(tg_outbox_set_cursor(f->ob, c[i], seq, before, &f->err));
            for (int k = 0; k < 10; k++)
                OK(tg_test_append(f->ob, d[i], &id, &seq, 200, &f->err));
        }
        OK(tg_outbox_commit(f->ob, &f->err));
    }
    uint64_t per_row = tg_fault_counts().bytes_written / 50000;
    print_message("%llu bytes written a row, %llu fsyncs\n", (unsigned long long)per_row,
                  (unsigned long long)tg_fault_counts().syncs);
    assert_true(per_row <= 1100);
    assert_true(tg_fault_counts().syncs >= 500); /* one a commit at least: the figure is that of `full` */
    tg_proof("C13", "write_budget", 50000, 0,
             "50,000 samples of 200 bytes from ten devices, a hundred a commit, each acknowledged and "
             "deleted: what SQLite "
             "writes to all its files, with marks and checkpoints",
             "\"bytes_per_sample\":%llu,\"fsyncs\":%llu", (unsigned long long)per_row,
             (unsigned long long)tg_fault_counts().syncs);
}

/* An open reads the marks and what came after them, not the backlog. */
static void test_open_reads_little(void **state)
{
    struct fixture *f = *state;
    uint32_t a = device(f, "a"), hub = cursor(f, a, "hub");
    for (int i = 0; i < 200; i++)
        append_n(f, a, 1000, 200);
    int64_t size = tg_test_file_size(tg_test_path(f->dir, TG_OUTBOX_FILE));
    f->o.vfs = TG_FAULT_VFS;
    for (int round = 0; round < 2; round++) {
        tg_outbox_close(f->ob, round == 1);
        tg_fault_set(NULL);
        f->ob = tg_test_open(&f->o);
        assert_int_equal(state_of(f, hub).pending, 200000);
        assert_true(tg_fault_counts().bytes_read <
                    12u << 20); /* the log is one of them after a crash: 8 MiB */
        print_message("backlog of 200,000 rows in %.0f MB: open after a %s reads %.1f MB\n",
                      (double)size / 1e6, round ? "clean stop" : "crash",
                      (double)tg_fault_counts().bytes_read / 1e6);
        if (round == 1)
            assert_true(tg_fault_counts().bytes_read < 1 << 20);
    }
    assert_true(size > 40 << 20);
}

/* A reader that stays for long makes the write-ahead log grow; when it goes the log is used from its
 * beginning. */
static void test_long_reader(void **state)
{
    struct fixture *f = *state;
    uint32_t a = device(f, "a");
    struct tg_outbox_options o = f->o;
    struct tg_outbox *reader = NULL;
    cursor(f, a, "hub");
    append_n(f, a, 1, 200);
    o.read_only = true;
    OK(tg_outbox_open(&o, &reader, NULL, &f->err));
    assert_int_equal(sqlite3_exec(reader->db, "BEGIN; SELECT count(*) FROM log", NULL, NULL, NULL),
                     SQLITE_OK);
    for (int i = 0; i < 60; i++)
        append_n(f, a, 1000, 200);
    uint64_t grown = stats_of(f).bytes_wal;
    assert_true(grown > 9 << 20);
    tg_outbox_close(reader, false);
    for (int i = 0; i < 60; i++)
        append_n(f, a, 1000, 200);
    assert_true(stats_of(f).bytes_wal <= grown + (4 << 20));
    assert_int_equal(tg_outbox_last_seq(f->ob, a), 120001);
}

static int prepare(void **state)
{
    (void)state;
    tg_fault_vfs_register();
    return 0;
}

int main(void)
{
    static const struct CMUnitTest tests[] = {
#define T(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
        T(test_drop_oldest),        T(test_gap_range),       T(test_drop_newest),         T(test_age),
        T(test_age_of_unset_clock), T(test_one_dead_device), T(test_alternating_devices), T(test_leaping_ids),
        T(test_quiet_devices),      T(test_write_budget),    T(test_open_reads_little),   T(test_long_reader),
    };
    return cmocka_run_group_tests(tests, prepare, NULL);
}
