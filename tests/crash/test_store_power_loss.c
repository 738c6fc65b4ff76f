/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * What survives a power cut under the whole store [C1, C2]: its thread commits while the loop appends, delivers and
 * acknowledges; the power goes at a random write or fsync. Whatever was reported through on_committed is there, numbers go
 * on above all that were delivered, and what is left is whole.
 */
#include <unistd.h>

#include "support/crash_vfs.h"
#include "support/proof.h"
#include "support/store_fixture.h"

#define DEVICES 4
#define MOST    65536 /* samples in a life */

struct sample {
    uint32_t device;
    uint64_t seq;
};

struct world {
    struct fixture f;
    struct cloud hub[DEVICES], lake[DEVICES]; /* the lake has the even devices, and acknowledges nothing */
    uint32_t device[DEVICES];
    uint64_t random, first_id, appended;
    uint64_t accepted[DEVICES], delivered[DEVICES]; /* the highest numbers that the world has heard of */
    struct sample by_id[MOST];
};

struct tally {
    int cuts, lost_trials;
    uint64_t accepted, lost;
};

static void name_of(uint32_t i, char name[24])
{
    snprintf(name, 24, "meter-%u", i);
}

/* Unlike device() and open_feed() of the fixture: the power may go at any moment. */
static bool declare(struct world *w)
{
    struct fixture *f = &w->f;
    for (uint32_t i = 0; i < DEVICES; i++) {
        char name[24];
        name_of(i, name);
        w->hub[i] = (struct cloud){.eager = true};
        w->lake[i] = (struct cloud){0};
        if (tg_store_device(f->store, name, &w->device[i], &f->err) != TG_OK ||
            tg_feed_open(f->store, w->device[i], "hub", on_rows, &w->hub[i], &w->hub[i].feed, &f->err) !=
                TG_OK)
            return false;
        w->hub[i].device = w->lake[i].device = w->device[i];
        if (i % 2 == 0 && tg_feed_open(f->store, w->device[i], "lake", on_rows, &w->lake[i], &w->lake[i].feed,
                                       &f->err) != TG_OK)
            return false;
        tg_feed_resume(w->hub[i].feed);
    }
    return true;
}

static void append(struct world *w)
{
    uint32_t rows = 1 + tg_test_random(&w->random) % 12;
    for (uint32_t n = 0; n < rows && w->appended < MOST; n++) {
        uint32_t i = tg_test_random(&w->random) % DEVICES;
        uint64_t seq = 0, id = 0;
        struct tg_bytes body = tg_test_body(w->device[i], tg_store_last_seq(w->f.store, w->device[i]) + 1,
                                            40 + tg_test_random(&w->random) % 200);
        if (tg_store_append(w->f.store, w->device[i], 1000, body, &seq, &id) != TG_OK)
            return;
        if (w->appended == 0)
            w->first_id = id;
        assert_int_equal(id, w->first_id + w->appended);
        w->by_id[w->appended++] = (struct sample){i, seq};
    }
}

/* Everything with an id up to committed_id was reported as accepted. */
static void note_accepted(struct world *w)
{
    for (uint64_t n = 0; n < w->appended && w->first_id + n <= w->f.committed_id; n++)
        w->accepted[w->by_id[n].device] = w->by_id[n].seq;
}

static bool open_world(struct world *w)
{
    w->appended = 0;
    return open_store(&w->f) == TG_OK;
}

/* Works until the power goes or `turns` are over. */
static void live(struct world *w, int turns)
{
    int64_t end_ms = tg_clock_mono_ms() + PATIENCE_MS;
    for (int turn = 0; turns == 0 || turn < turns; turn++) {
        assert_true(tg_clock_mono_ms() < end_ms);
        if (stats_of(&w->f).uncommitted_rows < 100)
            append(w);
        uv_run(&w->f.loop.uv, UV_RUN_NOWAIT);
        if (tg_crash_happened())
            return; /* what was delivered in this turn may be from after the cut */
        for (uint32_t i = 0; i < DEVICES; i++)
            w->delivered[i] = w->hub[i].last_seq > w->delivered[i] ? w->hub[i].last_seq : w->delivered[i];
    }
}

static void end_world(struct world *w)
{
    for (uint32_t i = 0; i < DEVICES; i++) {
        if (w->hub[i].feed)
            tg_feed_close(w->hub[i].feed);
        if (w->lake[i].feed)
            tg_feed_close(w->lake[i].feed);
        w->hub[i].feed = w->lake[i].feed = NULL;
    }
    close_store(&w->f);
    note_accepted(w); /* also what was reported last of all */
}

struct reading {
    struct world *w;
    uint64_t next[DEVICES];
};

static void read_back(void *user, const struct tg_outbox_row *row)
{
    struct reading *r = user;
    tg_test_check_body(row);
    for (uint32_t i = 0; i < DEVICES; i++) {
        if (row->device != r->w->device[i] || row->seq < r->next[i])
            continue;
        assert_int_equal(row->seq, r->next[i]);
        r->next[i]++;
    }
}

static uint64_t judge(struct world *w, struct tg_outbox *ob, enum tg_durability durability)
{
    struct reading r = {.w = w};
    struct tg_error err = {0};
    uint64_t lost = 0, next = 0;
    int rc = 1;
    for (uint32_t i = 0; i < DEVICES; i++) {
        char name[24];
        uint64_t low = UINT64_MAX;
        name_of(i, name);
        assert_int_equal(tg_outbox_device(ob, name, &w->device[i], &err), TG_OK);
        for (int c = 0; c < (i % 2 == 0 ? 2 : 1); c++) {
            uint32_t cursor;
            struct tg_outbox_cursor_state s;
            assert_int_equal(tg_outbox_cursor(ob, w->device[i], c ? "lake" : "hub", &cursor, &err), TG_OK);
            assert_int_equal(tg_outbox_cursor_state(ob, cursor, &s), TG_OK);
            low = s.acked_seq < low ? s.acked_seq : low;
        }
        r.next[i] = low + 1;
        assert_true(tg_outbox_last_seq(ob, w->device[i]) >= w->delivered[i]);
    }
    while (rc == 1) {
        rc = tg_outbox_read(ob, next, UINT32_MAX, 1000, SIZE_MAX, read_back, &r, &next, &err);
        assert_true(rc >= 0);
    }
    for (uint32_t i = 0; i < DEVICES; i++) {
        lost += r.next[i] - 1 < w->accepted[i] ? w->accepted[i] - (r.next[i] - 1) : 0;
        if (durability == TG_DURABILITY_FULL)
            assert_int_equal(r.next[i] - 1, tg_outbox_last_seq(ob, w->device[i]));
    }
    return lost;
}

static void trial(enum tg_durability durability, uint64_t seed, struct tally *t)
{
    struct world *w = calloc(1, sizeof *w);
    struct fixture *f = &w->f;
    char aside[256] = "";
    struct tg_error err = {0};
    f->dir = tg_test_memory_dir();
    f->o =
        (struct tg_store_options){.outbox = tg_test_options(f->dir), .commit_interval_ms = 1, .retry_ms = 20};
    f->o.outbox.vfs = TG_CRASH_VFS;
    f->o.outbox.durability = durability;
    f->o.outbox.limit_bytes = 4 << 20; /* and with it a log that is copied every few commits */
    w->random = seed;
    OK(tg_loop_init(&f->loop, &f->err));
    assert_int_equal(uv_timer_init(&f->loop.uv, &f->tick), 0);
    assert_int_equal(uv_timer_start(&f->tick, on_tick, 5, 5), 0);
    tg_crash_arm(0, false);
    if (seed % 4 != 0) {
        assert_true(open_world(w) && declare(w));
        live(w, 200);
        end_world(w);
    }
    tg_crash_arm(1 + tg_test_random(&w->random) % 500, false);
    if (open_world(w)) {
        if (declare(w))
            live(w, 0);
        end_world(w);
    }
    assert_true(tg_crash_happened());
    tg_crash_apply(&w->random);
    (void)unlink(tg_test_path(f->dir, "outbox.beyond")); /* written after the power had gone */
    if (durability != TG_DURABILITY_FULL)
        tg_test_boot_again(f->dir);

    struct tg_outbox *ob = NULL;
    f->o.outbox.vfs = NULL;
    if (tg_outbox_open(&f->o.outbox, &ob, aside, &err) != TG_OK || aside[0])
        fail_msg("after the cut, seed %llu: %s", (unsigned long long)seed, err.text);
    uint64_t lost = judge(w, ob, durability);
    tg_test_verify(ob);
    tg_outbox_close(ob, true);
    t->cuts++;
    t->lost += lost;
    t->lost_trials += lost > 0;
    for (int i = 0; i < DEVICES; i++)
        t->accepted += w->accepted[i];
    uv_close((uv_handle_t *)&f->tick, NULL);
    tg_loop_fini(&f->loop);
    tg_test_dir_remove(f->dir);
    free(f->dir);
    free(w);
}

static void test_full_loses_nothing(void **state)
{
    struct tally t = {0};
    uint32_t cuts = tg_proof_count("TIDEGATE_CUTS", 60);
    (void)state;
    for (uint32_t i = 0; i < cuts; i++)
        trial(TG_DURABILITY_FULL, 20000 + i, &t);
    print_message("full: %d power cuts, %llu accepted, %llu of these lost\n", t.cuts,
                  (unsigned long long)t.accepted, (unsigned long long)t.lost);
    assert_int_equal(t.lost, 0);
    tg_proof("C2", "store_full", (uint64_t)t.cuts, (uint64_t)t.lost_trials,
             "The whole store, its thread committing while the loop appends, delivers and acknowledges for "
             "four devices "
             "and two clouds: the power goes at a random write or fsync; all that was reported as accepted "
             "is there",
             "\"accepted\":%llu,\"accepted_and_lost\":%llu", (unsigned long long)t.accepted,
             (unsigned long long)t.lost);
}

static void test_normal_stays_consistent(void **state)
{
    struct tally t = {0};
    uint32_t cuts = tg_proof_count("TIDEGATE_CUTS_NORMAL", 40);
    (void)state;
    for (uint32_t i = 0; i < cuts; i++)
        trial(TG_DURABILITY_NORMAL, 30000 + i, &t);
    print_message("normal: %d power cuts, %llu accepted, %llu of these lost in %d cuts\n", t.cuts,
                  (unsigned long long)t.accepted, (unsigned long long)t.lost, t.lost_trials);
    assert_true(t.lost_trials > 0);
    tg_proof("C2", "store_normal", (uint64_t)t.cuts, 0,
             "The same with durability normal: what is left is whole and without holes, and numbers go on "
             "above all that "
             "were delivered",
             "\"accepted\":%llu,\"lost_as_allowed\":%llu,\"cuts_that_lost\":%d,\"numbers_given_twice\":0",
             (unsigned long long)t.accepted, (unsigned long long)t.lost, t.lost_trials);
}

static int set_up_disk(void **state)
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
    };
    return cmocka_run_group_tests(tests, set_up_disk, NULL);
}
