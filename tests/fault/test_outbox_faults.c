/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * The nth allocation or I/O operation of an outbox's life fails, once or from then on [C3, C14]: nothing that
 * was reported as accepted is missing afterwards, nothing leaks, nothing is set aside, and the next open
 * works.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>
#include <sqlite3.h>

#include "core/base/allocator.h"
#include "store/outbox_private.h"
#include "support/fault_vfs.h"
#include "support/outbox_help.h"
#include "support/proof.h"

#define DEVICES 2

/* --- SQLite's allocator, which can fail
 * ---------------------------------------------------------------------- */

static sqlite3_mem_methods real_memory;
static uint64_t memory_calls, memory_fail_at;
static bool memory_forever;

static bool memory_fails(void)
{
    memory_calls++;
    return memory_fail_at != 0 &&
           (memory_calls == memory_fail_at || (memory_forever && memory_calls > memory_fail_at));
}

static void *shim_malloc(int n)
{
    return memory_fails() ? NULL : real_memory.xMalloc(n);
}

static void *shim_realloc(void *p, int n)
{
    return memory_fails() ? NULL : real_memory.xRealloc(p, n);
}

/* --- a life, in which anything may fail
 * ------------------------------------------------------------------------- */

struct life {
    struct tg_outbox_options o;
    struct tg_outbox *ob;
    uint32_t device[DEVICES], cursor[DEVICES];
    uint64_t id, accepted[DEVICES], acked[DEVICES];
    int unknown; /* commits of which nobody knows */
};

static void ignore_row(void *user, const struct tg_outbox_row *row)
{
    (void)user;
    tg_test_check_body(row);
}

static void ignore_device(void *user, const struct tg_outbox_device_stats *d)
{
    (void)user;
    (void)d;
}

static void ignore_finding(void *user, const char *finding)
{
    (void)user;
    (void)finding;
}

static int begin_life(struct life *l)
{
    char aside[256] = "";
    static const char *const names[DEVICES] = {"a", "b"};
    int rc = tg_outbox_open(&l->o, &l->ob, aside, NULL);
    assert_string_equal(aside, "");
    if (rc != TG_OK)
        return rc;
    for (int d = 0; d < DEVICES; d++) {
        if ((rc = tg_outbox_device(l->ob, names[d], &l->device[d], NULL)) != TG_OK ||
            (rc = tg_outbox_cursor(l->ob, l->device[d], "hub", &l->cursor[d], NULL)) != TG_OK)
            break;
    }
    if (rc == TG_OK)
        return TG_OK;
    tg_outbox_close(l->ob, false);
    l->ob = NULL;
    return rc;
}

/* As its owner does after an unknown outcome: close, open, see what is there. */
static int recover(struct life *l)
{
    tg_outbox_close(l->ob, false);
    l->ob = NULL;
    int rc = begin_life(l);
    if (rc != TG_OK)
        return rc;
    l->id = tg_outbox_last_id(l->ob);
    for (int d = 0; d < DEVICES; d++) {
        uint64_t last = tg_outbox_last_seq(l->ob, l->device[d]);
        assert_true(last >= l->accepted[d]);
        l->accepted[d] = last;
    }
    return TG_OK;
}

static int transact(struct life *l, int round)
{
    uint64_t id = l->id, seq[DEVICES], acked[DEVICES];
    int rc = TG_OK;
    memcpy(seq, l->accepted, sizeof seq);
    memcpy(acked, l->acked, sizeof acked);
    for (int i = 0; i < 12 && rc == TG_OK; i++) {
        seq[i % DEVICES] += i == 5 && round % 3 == 0; /* a hole */
        rc = tg_test_append(l->ob, l->device[i % DEVICES], &id, &seq[i % DEVICES], i == 3 ? 6000 : 150, NULL);
    }
    for (int d = 0; d < DEVICES && rc == TG_OK; d++) {
        acked[d] += (l->accepted[d] - acked[d]) / 2;
        rc = tg_outbox_set_cursor(l->ob, l->cursor[d], acked[d], 0, NULL);
    }
    if (rc == TG_OK)
        rc = tg_outbox_commit(l->ob, NULL);
    if (rc != TG_OK) {
        tg_outbox_rollback(l->ob);
        return rc;
    }
    l->id = id;
    memcpy(l->accepted, seq, sizeof seq);
    memcpy(l->acked, acked, sizeof acked);
    return TG_OK;
}

static void live(struct life *l)
{
    uint64_t next = 0;
    struct tg_outbox_stats stats;
    if (begin_life(l) != TG_OK)
        return;
    l->ob->mark_rows = 20;
    l->ob->compact_rows = 10;
    l->ob->wal_soft_frames = l->ob->wal_next_frames = 10;
    for (int round = 0; round < 10; round++) {
        int rc = transact(l, round);
        if (rc == TG_EUNKNOWN) {
            l->unknown++;
            /* The handle is finished and says so. */
            assert_int_equal(tg_outbox_set_cursor(l->ob, 0, 1, 1, NULL), TG_EUNKNOWN);
            assert_int_equal(tg_outbox_commit(l->ob, NULL), TG_EUNKNOWN);
            if (recover(l) != TG_OK)
                return;
        } else if (rc == TG_ENOSPACE) {
            if (tg_outbox_make_room(l->ob, 10000, NULL) == TG_EUNKNOWN && recover(l) != TG_OK)
                return;
        }
        (void)!tg_outbox_read(l->ob, next, UINT32_MAX, 7, SIZE_MAX, ignore_row, NULL, &next, NULL);
        (void)!tg_outbox_stats(l->ob, &stats, NULL);
    }
    (void)!tg_outbox_enforce(l->ob, 1900000000000, NULL);
    (void)!tg_outbox_each_device(l->ob, ignore_device, NULL, NULL);
    (void)!tg_outbox_verify(l->ob, ignore_finding, NULL, NULL);
    tg_outbox_close(l->ob, true);
    l->ob = NULL;
}

/* --- one trial
 * ---------------------------------------------------------------------------------------------------- */

static void judge(struct life *l)
{
    struct life after = {.o = l->o};
    after.o.vfs = NULL;
    assert_int_equal(begin_life(&after), TG_OK);
    for (int d = 0; d < DEVICES; d++) {
        struct tg_outbox_cursor_state s;
        assert_int_equal(tg_outbox_cursor_state(after.ob, after.cursor[d], &s), TG_OK);
        if (s.dropped == 0)
            assert_true(s.acked_seq >= l->acked[d]);
        assert_true(tg_outbox_last_seq(after.ob, after.device[d]) >= l->accepted[d]);
    }
    tg_test_verify(after.ob);
    assert_int_equal(transact(&(struct life){.ob = after.ob,
                                             .device = {after.device[0], after.device[1]},
                                             .cursor = {after.cursor[0], after.cursor[1]},
                                             .id = tg_outbox_last_id(after.ob),
                                             .accepted = {tg_outbox_last_seq(after.ob, after.device[0]),
                                                          tg_outbox_last_seq(after.ob, after.device[1])}},
                              1),
                     TG_OK);
    tg_outbox_close(after.ob, true);
}

enum seam { SEAM_SQLITE_MEMORY, SEAM_MEMORY, SEAM_IO };

static void arm(enum seam seam, const struct tg_fault_plan *plan)
{
    memory_calls = 0;
    memory_fail_at = seam == SEAM_SQLITE_MEMORY ? plan->at : 0;
    memory_forever = plan->forever;
    tg_alloc_fail_at(seam == SEAM_MEMORY ? plan->at : 0, plan->forever);
    tg_fault_set(seam == SEAM_IO ? plan : NULL);
}

/* True when something failed. */
static bool trial(enum seam seam, const struct tg_fault_plan *plan, enum tg_durability durability,
                  int *unknown)
{
    char *dir = tg_test_memory_dir();
    int64_t live_before = tg_alloc_stats().live;
    sqlite3_int64 memory_before = sqlite3_memory_used();
    struct life l = {.o = tg_test_options(dir)};
    struct tg_fault_plan none = {0};
    l.o.durability = durability;
    l.o.limit_bytes = 4 << 20;
    l.o.vfs = TG_FAULT_VFS;
    arm(seam, &none);
    assert_int_equal(begin_life(&l), TG_OK);
    for (int i = 0; i < 3; i++)
        assert_int_equal(transact(&l, i), TG_OK);
    tg_outbox_close(l.ob, false);
    l.ob = NULL;

    uint64_t calls = tg_alloc_stats().calls;
    arm(seam, plan);
    live(&l);
    calls = tg_alloc_stats().calls - calls;
    bool failed = seam == SEAM_SQLITE_MEMORY ? memory_calls >= plan->at
                  : seam == SEAM_MEMORY      ? calls >= plan->at
                                             : tg_fault_counts().failed > 0;
    arm(seam, &none);
    if (l.ob)
        tg_outbox_close(l.ob, false);
    judge(&l);
    assert_int_equal(tg_alloc_stats().live, live_before);
    assert_int_equal(sqlite3_memory_used(), memory_before);
    *unknown += l.unknown;
    tg_test_dir_remove(dir);
    free(dir);
    return failed;
}

/* n = 1, 2, 3 … until nothing failed any more; further apart after the first hundred, unless asked for all.
 */
/* Of all sweeps so far. */
static uint64_t all_trials, all_unknown;

static int sweep(enum seam seam, struct tg_fault_plan plan, enum tg_durability durability, const char *what)
{
    uint64_t stride = 1, trials = 0;
    int unknown = 0;
    for (plan.at = 1;; plan.at += stride) {
        trials++;
        if (!trial(seam, &plan, durability, &unknown))
            break;
        if (plan.at > 100 && !getenv("TIDEGATE_FAULT_ALL"))
            stride = 1 + plan.at / 50;
    }
    print_message("%-32s %4llu trials, the last at %llu, %d outcomes unknown\n", what,
                  (unsigned long long)trials, (unsigned long long)plan.at, unknown);
    assert_true(trials > 2);
    all_trials += trials;
    all_unknown += (uint64_t)unknown;
    return unknown;
}

static void test_memory(void **state)
{
    (void)state;
    for (int forever = 0; forever < 2; forever++) {
        struct tg_fault_plan plan = {.forever = forever};
        (void)sweep(SEAM_MEMORY, plan, TG_DURABILITY_FULL, forever ? "memory, for ever" : "memory, once");
        (void)sweep(SEAM_SQLITE_MEMORY, plan, TG_DURABILITY_FULL,
                    forever ? "SQLite's memory, for ever" : "SQLite's memory, once");
    }
}

static void test_writes(void **state)
{
    (void)state;
    for (int forever = 0; forever < 2; forever++) {
        struct tg_fault_plan plan = {.ops = TG_FAULT_WRITE, .forever = forever};
        (void)sweep(SEAM_IO, plan, TG_DURABILITY_FULL, forever ? "write, for ever" : "write, once");
        plan.half = true;
        (void)sweep(SEAM_IO, plan, TG_DURABILITY_NORMAL,
                    forever ? "half a write, for ever" : "half a write, once");
        plan.full = true;
        (void)sweep(SEAM_IO, plan, TG_DURABILITY_FULL, forever ? "disk full, for ever" : "disk full, once");
    }
}

/* A failed fsync in a commit: the outcome is unknown, and the owner is told so. */
static void test_fsync(void **state)
{
    (void)state;
    for (int forever = 0; forever < 2; forever++) {
        struct tg_fault_plan plan = {.ops = TG_FAULT_SYNC, .forever = forever};
        assert_true(sweep(SEAM_IO, plan, TG_DURABILITY_FULL, forever ? "fsync, for ever" : "fsync, once") >
                    0);
        (void)sweep(SEAM_IO, plan, TG_DURABILITY_NORMAL,
                    forever ? "fsync of `normal`, for ever" : "fsync of `normal`, once");
    }
}

static void test_the_rest(void **state)
{
    static const struct {
        unsigned op;
        const char *what[2];
    } ops[] = {
        {TG_FAULT_READ, {"read, once", "read, for ever"}},
        {TG_FAULT_TRUNCATE | TG_FAULT_OPEN, {"open and truncate, once", "open and truncate, for ever"}},
        {TG_FAULT_SHM, {"shared memory, once", "shared memory, for ever"}},
    };
    (void)state;
    for (size_t i = 0; i < sizeof ops / sizeof ops[0]; i++) {
        for (int forever = 0; forever < 2; forever++) {
            struct tg_fault_plan plan = {.ops = ops[i].op, .forever = forever};
            (void)sweep(SEAM_IO, plan, TG_DURABILITY_FULL, ops[i].what[forever]);
        }
    }
    tg_proof("C14", "outbox_faults", all_trials, 0,
             "The nth allocation (ours, SQLite's), write (whole or half), fsync, read, truncation, opening "
             "or shared memory "
             "of a life of the outbox fails, once or from then on, also as a full disk, for each n: nothing "
             "reported "
             "as accepted is missing, nothing leaks, the next open works",
             "\"unknown_outcomes_resolved\":%llu,\"false_acceptances\":0", (unsigned long long)all_unknown);
    tg_proof("C3", "outbox_faults", all_trials, 0,
             "In the same sweeps each commit whose outcome is unknown closes the database; opened again, the "
             "rest is stored "
             "behind what is there",
             "\"unknown_outcomes_resolved\":%llu,\"lost\":0,\"stored_twice\":0",
             (unsigned long long)all_unknown);
}

static int prepare(void **state)
{
    sqlite3_mem_methods shim;
    (void)state;
    if (sqlite3_config(SQLITE_CONFIG_GETMALLOC, &real_memory) != SQLITE_OK)
        return -1;
    shim = real_memory;
    shim.xMalloc = shim_malloc;
    shim.xRealloc = shim_realloc;
    if (sqlite3_config(SQLITE_CONFIG_MALLOC, &shim) != SQLITE_OK ||
        sqlite3_config(SQLITE_CONFIG_LOOKASIDE, 0, 0) != SQLITE_OK || sqlite3_initialize() != SQLITE_OK)
        return -1;
    tg_fault_vfs_register();
    return 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_memory),
        cmocka_unit_test(test_writes),
        cmocka_unit_test(test_fsync),
        cmocka_unit_test(test_the_rest),
    };
    return cmocka_run_group_tests(tests, prepare, NULL);
}
