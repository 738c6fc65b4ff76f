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
#include "support/proof.h"

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
    uint64_t lost_rows, accepted;
};

/* What goes wrong on purpose: nothing; fsync that does nothing; a database that asks for none. */
enum fraud { HONEST, LYING_DISK, NO_SYNC };

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

static bool open_fraudulent(struct world *w, const struct tg_outbox_options *o, enum fraud fraud)
{
    w->ob = NULL;
    if (tg_outbox_open(o, &w->ob, NULL, NULL) != TG_OK)
        return false;
    make_small(w);
    return fraud != NO_SYNC ||
           sqlite3_exec(w->ob->db, "PRAGMA synchronous=OFF", NULL, NULL, NULL) == SQLITE_OK;
}

static void trial(enum tg_durability durability, enum fraud fraud, uint64_t seed, struct tally *t)
{
    bool lie = fraud != HONEST; /* what is found need not be whole */
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
    tg_crash_arm(1 + tg_test_random(&w.random) % 400, fraud == LYING_DISK);
    if (open_fraudulent(&w, &o, fraud) && declare(&w) == 0) {
        while (work(&w) == 0)
            continue;
    }
    assert_true(tg_crash_happened());
    tg_outbox_close(w.ob, false);
    tg_crash_apply(&w.random);
    t->cuts++;
    for (int d = 0; d < DEVICES; d++)
        t->accepted += w.accepted[d];

    o.vfs = NULL;
    if (durability != TG_DURABILITY_FULL)
        tg_test_boot_again(dir);
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

/* `full`: nothing that was accepted is missing, and nothing acknowledged comes back to be sent as new. */
static void test_full_loses_nothing(void **state)
{
    struct tally t = {0};
    uint32_t cuts = tg_proof_count("TIDEGATE_CUTS", 250);
    (void)state;
    for (uint32_t i = 0; i < cuts; i++)
        trial(TG_DURABILITY_FULL, HONEST, 1000 + i, &t);
    print_message("full: %d power cuts, %d lost rows in %d of them\n", t.cuts, (int)t.lost_rows,
                  t.lost_trials);
    assert_int_equal(t.lost_rows, 0);
    tg_proof("C2", "outbox_full", (uint64_t)t.cuts, (uint64_t)t.lost_trials,
             "The outbox works on a simulated disk until a random write or fsync; the disk keeps any subset "
             "of what "
             "was not synced, torn at 512 bytes; what is left is opened and every accepted row looked for",
             "\"accepted\":%llu,\"accepted_and_lost\":%llu", (unsigned long long)t.accepted,
             (unsigned long long)t.lost_rows);
}

/* `normal`: the newest rows may be missing, the rest is whole, and no number is given twice. That some are
 * missing shows that the cuts do cut. */
static void test_normal_stays_consistent(void **state)
{
    struct tally t = {0};
    uint32_t cuts = tg_proof_count("TIDEGATE_CUTS_NORMAL", 150);
    (void)state;
    for (uint32_t i = 0; i < cuts; i++)
        trial(TG_DURABILITY_NORMAL, HONEST, 5000 + i, &t);
    print_message("normal: %d power cuts, %d lost rows in %d of them\n", t.cuts, (int)t.lost_rows,
                  t.lost_trials);
    assert_true(t.lost_trials > 0);
    tg_proof("C2", "outbox_normal", (uint64_t)t.cuts, 0,
             "The same with durability normal, which may lose the newest commits: what is left is whole and "
             "without holes, numbers go on above all that were given",
             "\"accepted\":%llu,\"lost_as_allowed\":%llu,\"cuts_that_lost\":%d,\"numbers_given_twice\":0",
             (unsigned long long)t.accepted, (unsigned long long)t.lost_rows, t.lost_trials);
}

/* The counter-proofs: on a disk that lies about fsync, and with a database that asks for none, the same test must find
 * damage. */
static void counter_proof(enum fraud fraud, uint64_t seed, const char *test, const char *note)
{
    struct tally t = {0};
    uint32_t cuts = tg_proof_count("TIDEGATE_CUTS_FRAUD", 40);
    for (uint32_t i = 0; i < cuts; i++)
        trial(TG_DURABILITY_FULL, fraud, seed + i, &t);
    print_message("%s: %d power cuts, %d with lost rows, %d damaged\n", test, t.cuts, t.lost_trials,
                  t.corrupt);
    assert_true(t.lost_trials + t.corrupt > t.cuts / 2);
    tg_proof("C2", test, (uint64_t)t.cuts, 0, note, "\"cuts_noticed\":%d,\"of_these_damaged\":%d",
             t.lost_trials + t.corrupt, t.corrupt);
}

static void test_a_lying_disk_is_noticed(void **state)
{
    (void)state;
    counter_proof(LYING_DISK, 9000, "control_lying_fsync",
                  "Negative control: fsync does nothing. Most cuts must lose or damage something");
}

static void test_no_sync_is_noticed(void **state)
{
    (void)state;
    counter_proof(NO_SYNC, 13000, "control_synchronous_off",
                  "Negative control: the database does not sync. Most cuts must lose or damage something");
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
        cmocka_unit_test(test_no_sync_is_noticed),
    };
    return cmocka_run_group_tests(tests, set_up, NULL);
}
