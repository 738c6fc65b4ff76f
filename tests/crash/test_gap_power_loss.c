/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * Gaps and power cuts [C6]: each trial lives with a small limit, a quota, an operator who drops things, and clouds that read, are told
 * and acknowledge, until a random write or fsync; then any subset of what was not synced is kept, and what is left is opened. Of every
 * number that was accepted, each cloud must have had the sample, or been told that it will not get it, or still be going to get
 * one or the other.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include "store/outbox_private.h"
#include "support/crash_vfs.h"
#include "support/outbox_help.h"
#include "support/gap_help.h"

#define DEVICES  2
#define CLOUDS   2
#define NUMBERS  60000
#define TOLD_MAX 4000

/* What a cloud knows of a device. */
struct cloud {
    bool had[NUMBERS];
    struct tg_gap told[TOLD_MAX]; /* the records that it had */
    uint32_t told_count;
    uint64_t acked_seq, acked_id; /* said to the outbox */
};

struct world {
    struct tg_outbox *ob;
    uint64_t random, id;
    uint32_t device[DEVICES], cursor[DEVICES][CLOUDS];
    uint64_t seq[DEVICES], accepted[DEVICES];
    struct cloud cloud[DEVICES][CLOUDS];
};

static const char *const cloud_names[CLOUDS] = {"hub", "lake"};

static uint32_t pick(struct world *w, uint32_t n)
{
    return tg_test_random(&w->random) % n;
}

static int declare(struct world *w)
{
    static const char *const names[DEVICES] = {"meter-1", "meter-2"};
    for (int d = 0; d < DEVICES; d++) {
        if (tg_outbox_device(w->ob, names[d], &w->device[d], NULL) != TG_OK)
            return -1;
        for (int c = 0; c < CLOUDS; c++) {
            struct tg_outbox_quota q = {.max_pending = c == 1 ? 150 : 0};
            if (tg_outbox_cursor(w->ob, w->device[d], cloud_names[c], &w->cursor[d][c], NULL) != TG_OK ||
                tg_outbox_set_quota(w->ob, w->cursor[d][c], &q, NULL) != TG_OK)
                return -1;
        }
    }
    return 0;
}

/* --- a cloud takes what comes ------------------------------------------------------------------------- */

struct delivery {
    struct world *w;
    int device, cloud;
    uint32_t left;
    uint64_t seq, id;
};

static void deliver(void *user, const struct tg_outbox_row *row)
{
    struct delivery *y = user;
    struct cloud *c = &y->w->cloud[y->device][y->cloud];
    struct tg_gap gap;
    struct tg_bytes whose;
    if (row->device != y->w->device[y->device] || row->seq <= c->acked_seq || y->left == 0)
        return;
    y->left--;
    y->seq = row->seq;
    y->id = row->id;
    assert_true(row->seq < NUMBERS);
    c->had[row->seq] = true;
    if (tg_gap_read(row->body, &gap, &whose) == 1 && tg_bytes_eq_str(whose, cloud_names[y->cloud])) {
        assert_true(c->told_count < TOLD_MAX);
        c->told[c->told_count++] = gap;
    }
}

/* Some rows, oldest first, are delivered and then acknowledged. */
static int serve(struct world *w, int d, int c)
{
    struct cloud *cloud = &w->cloud[d][c];
    struct tg_outbox_cursor_state s;
    struct delivery y = {w, d, c, 1 + pick(w, 120), 0, 0};
    uint64_t next = 0;
    if (tg_outbox_cursor_state(w->ob, w->cursor[d][c], &s) != TG_OK)
        return -1;
    if (s.acked_seq > cloud->acked_seq)
        cloud->acked_seq = s.acked_seq;
    if (tg_outbox_read(w->ob, s.acked_id + 1, w->device[d], 200, SIZE_MAX, deliver, &y, &next, NULL) < 0)
        return -1;
    if (y.seq == 0)
        return 0;
    cloud->acked_seq = y.seq;
    cloud->acked_id = y.id;
    return tg_outbox_set_cursor(w->ob, w->cursor[d][c], y.seq, y.id, NULL) == TG_OK ? 0 : -1;
}

/* Its gap record, if it has something to be told. */
static int tell(struct world *w, int d, int c)
{
    struct tg_outbox_cursor_state s;
    uint8_t memory[256];
    struct tg_writer body = tg_writer_init(memory, sizeof memory);
    assert_int_equal(tg_outbox_cursor_state(w->ob, w->cursor[d][c], &s), TG_OK);
    if (!tg_gap_is(&s.gap) || s.tell_seq > 0)
        return 0;
    gap_write(&body, 1, &s.gap, cloud_names[c]);
    struct tg_outbox_row row = {++w->id, ++w->seq[d], w->device[d], 1, tg_bytes(body.data, body.len)};
    return tg_outbox_append(w->ob, &row, NULL) == TG_OK &&
                   tg_outbox_tell(w->ob, w->cursor[d][c], row.seq, &s.gap, NULL) == TG_OK
               ? 0
               : -1;
}

/* -1: the power is gone. */
static int work(struct world *w)
{
    for (uint32_t i = pick(w, 60); i > 0; i--) {
        int d = (int)pick(w, DEVICES);
        if (tg_test_append(w->ob, w->device[d], &w->id, &w->seq[d], 60 + pick(w, 400), NULL) != TG_OK)
            return -1;
    }
    for (int d = 0; d < DEVICES; d++)
        for (int c = 0; c < CLOUDS; c++)
            if ((pick(w, 4) == 0 && tell(w, d, c) < 0) || (pick(w, 4) == 0 && serve(w, d, c) < 0))
                return -1;
    if (tg_outbox_commit(w->ob, NULL) != TG_OK)
        return -1;
    memcpy(w->accepted, w->seq, sizeof w->seq);
    if (pick(w, 40) == 0) {
        struct tg_outbox_drop drop = {.cloud = "hub"};
        uint64_t rows = 0;
        return tg_outbox_drop(w->ob, &drop, &rows, NULL) == TG_OK ? 0 : -1;
    }
    return 0;
}

/* --- after the cut -------------------------------------------------------------------------------------- */

struct left {
    const struct world *w;
    bool (*pending)[CLOUDS][NUMBERS];
    struct tg_outbox_cursor_state s[DEVICES][CLOUDS];
};

static void see_left(void *user, const struct tg_outbox_row *row)
{
    struct left *l = user;
    for (int d = 0; d < DEVICES; d++)
        for (int c = 0; c < CLOUDS; c++)
            if (row->device == l->w->device[d] && row->seq > l->s[d][c].acked_seq)
                l->pending[d][c][row->seq] = true;
}

static bool within(const struct tg_gap *gap, uint64_t seq)
{
    return tg_gap_is(gap) && seq >= gap->first_seq && seq <= gap->last_seq;
}

static bool was_told(const struct cloud *c, uint64_t seq)
{
    for (uint32_t i = 0; i < c->told_count; i++)
        if (within(&c->told[i], seq))
            return true;
    return false;
}

/* How many numbers were lost in silence; *ret_gaps counts those that were lost and told, or are to be. */
static uint64_t judge(struct world *w, uint64_t *ret_gaps)
{
    static bool pending[DEVICES][CLOUDS][NUMBERS];
    struct left l = {.w = w, .pending = pending};
    uint64_t silent = 0, next = 0;
    int rc = 1;
    memset(pending, 0, sizeof pending);
    for (int d = 0; d < DEVICES; d++)
        for (int c = 0; c < CLOUDS; c++)
            assert_int_equal(tg_outbox_cursor_state(w->ob, w->cursor[d][c], &l.s[d][c]), TG_OK);
    while (rc == 1)
        rc = tg_outbox_read(w->ob, next, UINT32_MAX, 1000, SIZE_MAX, see_left, &l, &next, NULL);
    assert_int_equal(rc, 0);
    for (int d = 0; d < DEVICES; d++)
        for (int c = 0; c < CLOUDS; c++)
            for (uint64_t seq = 1; seq <= w->accepted[d]; seq++) {
                if (w->cloud[d][c].had[seq] || pending[d][c][seq])
                    continue;
                bool known = was_told(&w->cloud[d][c], seq) || within(&l.s[d][c].gap, seq);
                silent += !known;
                *ret_gaps += known;
            }
    return silent;
}

static void make_small(struct world *w)
{
    w->ob->wal_soft_frames = w->ob->wal_next_frames = 16;
    w->ob->mark_rows = 50;
    w->ob->compact_rows = 100;
}

static uint64_t trial(uint64_t seed, uint64_t *ret_gaps)
{
    char *dir = tg_test_memory_dir();
    struct tg_outbox_options o = tg_test_options(dir);
    struct world *w = calloc(1, sizeof *w);
    struct tg_error err = {0};
    char aside[256] = "";
    uint64_t silent;
    assert_non_null(w);
    w->random = seed;
    o.durability = TG_DURABILITY_FULL;
    o.limit_bytes = 256 << 10;
    o.vfs = TG_CRASH_VFS;
    tg_crash_arm(0, false);
    w->ob = tg_test_open(&o);
    make_small(w);
    assert_int_equal(declare(w), 0);
    for (int i = 0; i < 60; i++)
        assert_int_equal(work(w), 0);
    tg_crash_arm(1 + tg_test_random(&w->random) % 400, false);
    while (work(w) == 0)
        continue;
    assert_true(tg_crash_happened());
    tg_outbox_close(w->ob, false);
    tg_crash_apply(&w->random);
    o.vfs = NULL;
    if (tg_outbox_open(&o, &w->ob, aside, &err) != TG_OK || aside[0])
        fail_msg("after the cut, seed %llu: %s %s", (unsigned long long)seed, aside, err.text);
    assert_int_equal(declare(w), 0);
    silent = judge(w, ret_gaps);
    if (silent > 0)
        fail_msg("seed %llu: %llu numbers were lost in silence", (unsigned long long)seed,
                 (unsigned long long)silent);
    tg_test_verify(w->ob);
    tg_outbox_close(w->ob, true);
    tg_test_dir_remove(dir);
    free(dir);
    free(w);
    return silent;
}

static void test_no_loss_is_silent(void **state)
{
    const char *text = getenv("TIDEGATE_CRASH_TRIALS");
    int trials = text ? atoi(text) : 120;
    uint64_t gaps = 0;
    (void)state;
    for (int i = 0; i < trials; i++)
        (void)trial(700 + (uint64_t)i, &gaps);
    print_message("%d power cuts, %llu samples given up, each told or still to be told\n", trials,
                  (unsigned long long)gaps);
    assert_true(gaps > 1000);
}

static int set_up(void **state)
{
    (void)state;
    tg_crash_vfs_register();
    return 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_no_loss_is_silent)};
    return cmocka_run_group_tests(tests, set_up, NULL);
}
