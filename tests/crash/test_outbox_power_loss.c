/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * What survives when the power goes [C2, C4, C6], acknowledgements ahead of a backlog among it. Each trial works on an outbox until a random write or fsync,
 * then keeps any subset of what was not synced, and opens what is left.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>
#include <sqlite3.h>

#include "store/outbox_private.h"
#include "support/crash_vfs.h"
#include "support/outbox_help.h"

#define DEVICES 3
#define CLOUDS  2
#define SEQS    16384 /* numbers whose acknowledgements ahead are watched */
#define RUNS    100   /* a cursor keeps about so many at most */

/* What the world outside knows when the power goes. */
struct world {
    struct tg_outbox *ob;
    uint64_t random, id;
    uint32_t device[DEVICES], cursor[DEVICES][CLOUDS];
    uint64_t accepted[DEVICES];           /* commit returned */
    uint64_t given[DEVICES];              /* numbers that were handed out */
    uint64_t acked[DEVICES][CLOUDS];      /* in a commit that returned */
    uint64_t acked_seen[DEVICES][CLOUDS]; /* told to set_cursor */
    /* Acknowledged ahead: told to the outbox; in a commit that returned. */
    bool told[DEVICES][CLOUDS][SEQS], kept[DEVICES][CLOUDS][SEQS];
};

struct tally {
    int cuts, lost_trials, corrupt;
    uint64_t lost_rows;
};

static int declare(struct world *w)
{
    static const char *const names[] = {"meter-1", "meter-2", "meter-3"};
    static const char *const clouds[] = {"hub", "lake"};
    for (int d = 0; d < DEVICES; d++) {
        if (tg_outbox_device(w->ob, names[d], &w->device[d], NULL) != TG_OK)
            return -1;
        for (int c = 0; c < CLOUDS; c++) {
            if (tg_outbox_cursor(w->ob, w->device[d], clouds[c], &w->cursor[d][c], NULL) != TG_OK)
                return -1;
        }
    }
    return 0;
}

/* Some rows above the cursor, one or a few in a row. */
static int work_ahead(struct world *w, int d, int c, uint64_t acked)
{
    const struct tg_runs *runs = tg_outbox_ahead(w->ob, w->cursor[d][c]);
    uint64_t lead = w->accepted[d] - acked, first, last;
    if (lead < 2 || w->accepted[d] >= SEQS || runs->count > RUNS)
        return 0;
    first = acked + 2 + tg_test_random(&w->random) % (lead - 1);
    last = first + tg_test_random(&w->random) % 6;
    if (last > w->accepted[d])
        last = w->accepted[d];
    for (uint64_t seq = first; seq <= last; seq++)
        w->told[d][c][seq] = true;
    return tg_outbox_ack_ahead(w->ob, w->cursor[d][c], first, last, 0, NULL) == TG_OK ? 0 : -1;
}

/* One transaction; -1 when something failed (the power is gone). */
static int work(struct world *w)
{
    uint64_t seq[DEVICES], acked[DEVICES][CLOUDS];
    uint32_t rows = tg_test_random(&w->random) % 40;
    memcpy(seq, w->accepted, sizeof seq);
    memcpy(acked, w->acked, sizeof acked);
    for (uint32_t i = 0; i < rows; i++) {
        uint32_t d = tg_test_random(&w->random) % DEVICES;
        size_t size = tg_test_random(&w->random) % 50 == 0 ? 9000 : 60 + tg_test_random(&w->random) % 200;
        w->given[d] = seq[d] + 1 > w->given[d] ? seq[d] + 1 : w->given[d];
        if (tg_test_append(w->ob, w->device[d], &w->id, &seq[d], size, NULL) != TG_OK)
            return -1;
    }
    for (int d = 0; d < DEVICES; d++) {
        for (int c = 0; c < CLOUDS; c++) {
            uint64_t lead = w->accepted[d] - acked[d][c];
            if (lead == 0 || tg_test_random(&w->random) % 3 == 0)
                continue;
            if (tg_test_random(&w->random) % 2 == 0) {
                if (work_ahead(w, d, c, acked[d][c]) < 0)
                    return -1;
                continue;
            }
            acked[d][c] += 1 + tg_test_random(&w->random) % lead;
            w->acked_seen[d][c] = acked[d][c];
            if (tg_outbox_set_cursor(w->ob, w->cursor[d][c], acked[d][c], 0, NULL) != TG_OK)
                return -1;
        }
    }
    if (tg_outbox_commit(w->ob, NULL) != TG_OK)
        return -1;
    memcpy(w->accepted, seq, sizeof seq);
    memcpy(w->acked, acked, sizeof acked);
    memcpy(w->kept, w->told, sizeof w->kept);
    return 0;
}

struct reading {
    struct world *w;
    uint64_t next[DEVICES];
};

/* Every cloud was given it, or had it ahead: it may be gone. */
static bool is_told(const struct world *w, int d, uint64_t seq)
{
    bool told = seq < SEQS;
    for (int c = 0; c < CLOUDS && told; c++)
        told = seq <= w->acked_seen[d][c] || w->told[d][c][seq];
    return told;
}

/* Behind the slowest cursor every number must come, one after the other. */
static void read_back(void *user, const struct tg_outbox_row *row)
{
    struct reading *r = user;
    tg_test_check_body(row);
    for (int d = 0; d < DEVICES; d++) {
        if (row->device != r->w->device[d] || row->seq < r->next[d])
            continue;
        while (r->next[d] < row->seq && is_told(r->w, d, r->next[d]))
            r->next[d]++;
        assert_int_equal(row->seq, r->next[d]);
        r->next[d]++;
    }
}

static void boot_again(const char *dir)
{
    sqlite3 *db = NULL;
    assert_int_equal(sqlite3_open(tg_test_path(dir, TG_OUTBOX_FILE), &db), SQLITE_OK);
    assert_int_equal(sqlite3_db_config(db, SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, 1, NULL), SQLITE_OK);
    /* Before the first commit there is no table, and nothing to be told. */
    int rc = sqlite3_exec(db, "UPDATE meta SET boot_id='before the power cut'", NULL, NULL, NULL);
    assert_true(rc == SQLITE_OK || (rc == SQLITE_ERROR && strstr(sqlite3_errmsg(db), "no such table")));
    assert_int_equal(sqlite3_close(db), SQLITE_OK);
}

/* What went ahead is never invented, and under `full` never forgotten; the counts are those of the runs. Returns how far the cursor
 * may be at most. */
static uint64_t judge_ahead(const struct world *w, int d, int c, const struct tg_outbox_cursor_state *s,
                            enum tg_durability durability)
{
    const struct tg_runs *runs = tg_outbox_ahead(w->ob, w->cursor[d][c]);
    uint64_t most = w->acked_seen[d][c], rows = 0;
    while (most + 1 < SEQS && w->told[d][c][most + 1])
        most++;
    for (uint32_t i = 0; i < runs->count; i++) {
        assert_true(runs->at[i].first > s->acked_seq && runs->at[i].last < SEQS);
        for (uint64_t seq = runs->at[i].first; seq <= runs->at[i].last; seq++)
            assert_true(w->told[d][c][seq]);
        rows += runs->at[i].last - runs->at[i].first + 1;
    }
    assert_int_equal(rows, s->ahead);
    for (uint64_t seq = s->acked_seq + 1; seq < SEQS && durability == TG_DURABILITY_FULL; seq++)
        assert_true(!w->kept[d][c][seq] || tg_runs_has(runs, seq));
    return most;
}

/* Compares what is left with what was promised; returns the accepted rows that are missing. */
static uint64_t judge(struct world *w, enum tg_durability durability)
{
    struct reading r = {.w = w};
    uint64_t lost = 0, next = 0, most;
    int rc = 1;
    for (int d = 0; d < DEVICES; d++) {
        uint64_t last = tg_outbox_last_seq(w->ob, w->device[d]), low = UINT64_MAX;
        if (durability == TG_DURABILITY_FULL) {
            lost += last < w->accepted[d] ? w->accepted[d] - last : 0;
        } else {
            /* Numbering went on above whatever had been given. */
            assert_true(last >= w->given[d]);
        }
        for (int c = 0; c < CLOUDS; c++) {
            struct tg_outbox_cursor_state s;
            assert_int_equal(tg_outbox_cursor_state(w->ob, w->cursor[d][c], &s), TG_OK);
            /* An acknowledgement may be forgotten, never invented (a cursor that was made anew begins further
             * up). */
            assert_true(s.acked_seq <= judge_ahead(w, d, c, &s, durability) || s.acked == 0);
            if (durability == TG_DURABILITY_FULL)
                assert_true(s.acked_seq >= w->acked[d][c]);
            low = s.acked_seq < low ? s.acked_seq : low;
        }
        r.next[d] = low + 1;
    }
    while (rc == 1) {
        rc = tg_outbox_read(w->ob, next, UINT32_MAX, 1000, SIZE_MAX, read_back, &r, &next, NULL);
        assert_true(rc >= 0);
    }
    for (int d = 0; d < DEVICES; d++) {
        while (r.next[d] <= tg_outbox_last_seq(w->ob, w->device[d]) && is_told(w, d, r.next[d]))
            r.next[d]++;
        most = r.next[d] - 1;
        if (durability != TG_DURABILITY_FULL)
            lost += most < w->accepted[d] ? w->accepted[d] - most : 0;
        else
            assert_int_equal(most, tg_outbox_last_seq(w->ob, w->device[d]));
    }
    return lost;
}

/* Checkpoints, marks and compaction every few commits. */
static void make_small(struct world *w)
{
    w->ob->wal_soft_frames = w->ob->wal_next_frames = 16;
    w->ob->mark_rows = 50;
    w->ob->compact_rows = 100;
}

/* A first life that ends well, so that there is something to lose. */
static void live_once(struct world *w, const struct tg_outbox_options *o)
{
    w->ob = tg_test_open(o);
    make_small(w);
    assert_int_equal(declare(w), 0);
    for (int i = 0; i < 5; i++)
        assert_int_equal(work(w), 0);
    tg_outbox_close(w->ob, true);
}

static void hear(void *user, const char *finding)
{
    (void)user;
    (void)finding;
}

static void trial(enum tg_durability durability, bool lie, uint64_t seed, struct tally *t)
{
    char *dir = tg_test_memory_dir();
    struct tg_outbox_options o = tg_test_options(dir);
    static struct world w;

    char aside[256] = "";
    memset(&w, 0, sizeof w);
    w.random = seed;
    o.durability = durability;
    o.limit_bytes = 4 << 20; /* small files beside it too */
    o.vfs = TG_CRASH_VFS;
    tg_crash_arm(0, false);
    if (seed % 5 != 0)
        live_once(&w, &o);
    tg_crash_arm(1 + tg_test_random(&w.random) % 400, lie);
    w.ob = NULL;
    if (tg_outbox_open(&o, &w.ob, NULL, NULL) == TG_OK) {
        make_small(&w);
        if (declare(&w) == 0) {
            while (work(&w) == 0)
                continue;
        }
    }
    assert_true(tg_crash_happened());
    tg_outbox_close(w.ob, false);
    tg_crash_apply(&w.random);
    t->cuts++;

    o.vfs = NULL;
    if (durability != TG_DURABILITY_FULL)
        boot_again(dir);
    struct tg_error err = {0};
    if (tg_outbox_open(&o, &w.ob, aside, &err) != TG_OK)
        fail_msg("after the cut, seed %llu: %s", (unsigned long long)seed, err.text);
    if (aside[0]) {
        if (!lie)
            fail_msg("seed %llu: the database was damaged: %s", (unsigned long long)seed, err.text);
        t->corrupt++;
    } else if (!lie) {
        assert_int_equal(declare(&w), 0);
        uint64_t lost = judge(&w, durability);
        tg_test_verify(w.ob);
        t->lost_rows += lost;
        t->lost_trials += lost > 0;
    } else if (tg_outbox_verify(w.ob, hear, NULL, NULL) != TG_OK) {
        t->corrupt++;
    } else {
        for (int d = 0; d < DEVICES; d++) {
            if (tg_outbox_last_seq(w.ob, w.device[d]) < w.accepted[d]) {
                t->lost_trials++;
                break;
            }
        }
    }
    tg_outbox_close(w.ob, true);
    tg_test_dir_remove(dir);
    free(dir);
}

static int trials(int usual)
{
    const char *text = getenv("TIDEGATE_CRASH_TRIALS");
    return text ? atoi(text) : usual;
}

/* `full`: nothing that was accepted is missing, and nothing acknowledged comes back to be sent as new. */
static void test_full_loses_nothing(void **state)
{
    struct tally t = {0};
    (void)state;
    for (int i = 0; i < trials(250); i++)
        trial(TG_DURABILITY_FULL, false, 1000 + (uint64_t)i, &t);
    print_message("full: %d power cuts, %d lost rows in %d of them\n", t.cuts, (int)t.lost_rows,
                  t.lost_trials);
    assert_int_equal(t.lost_rows, 0);
}

/* `normal`: the newest rows may be missing, the rest is whole, and no number is given twice. That some are
 * missing shows that the cuts do cut. */
static void test_normal_stays_consistent(void **state)
{
    struct tally t = {0};
    (void)state;
    for (int i = 0; i < trials(150); i++)
        trial(TG_DURABILITY_NORMAL, false, 5000 + (uint64_t)i, &t);
    print_message("normal: %d power cuts, %d lost rows in %d of them\n", t.cuts, (int)t.lost_rows,
                  t.lost_trials);
    assert_true(t.lost_trials > 0);
}

/* The counter-proof: on a disk that lies about fsync the same test must find damage. */
static void test_a_lying_disk_is_noticed(void **state)
{
    struct tally t = {0};
    (void)state;
    for (int i = 0; i < trials(40); i++)
        trial(TG_DURABILITY_FULL, true, 9000 + (uint64_t)i, &t);
    print_message("lying fsync: %d power cuts, %d with lost rows, %d damaged\n", t.cuts, t.lost_trials,
                  t.corrupt);
    assert_true(t.lost_trials + t.corrupt > t.cuts / 2);
}

static int set_up(void **state)
{
    (void)state;
    tg_crash_vfs_register();
    return 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_full_loses_nothing),
        cmocka_unit_test(test_normal_stays_consistent),
        cmocka_unit_test(test_a_lying_disk_is_noticed),
    };
    return cmocka_run_group_tests(tests, set_up, NULL);
}
