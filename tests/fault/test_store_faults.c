/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * The store while its disk is broken, gone, full or damaged, and while memory runs out: what people are told,
 * what is still delivered, and that nothing accepted is lost.
 */
#include <fcntl.h>
#include <sched.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <unistd.h>

#include "support/proof.h"
#include "support/skip.h"
#include "support/store_fixture.h"

static void test_a_failed_fsync_loses_and_doubles_nothing(void **state)
{
    struct fixture *f = *state;
    struct cloud hub = {.eager = true, .expected = 1};
    OK(open_store(f));
    uint32_t d = device(f, "meter-1");
    open_feed(f, &hub, d, "hub");
    tg_feed_resume(hub.feed);
    assert_int_equal(append_n(f, d, 50, 100), TG_OK);
    RUN_UNTIL(f, hub.got == 50);
    tg_gate_fail_syncs(1);
    assert_int_equal(append_n(f, d, 50, 100), TG_OK);
    RUN_UNTIL(f, hub.got == 100);
    assert_int_equal(tg_gate_failed(), 1);
    assert_int_equal(f->committed_id, 100);
    assert_int_equal(f->state_calls, 0); /* it was put right at once */
    tg_feed_close(hub.feed);
    close_store(f);
    verify(f);
}

static void test_several_failed_fsyncs_in_a_row(void **state)
{
    struct fixture *f = *state;
    for (uint32_t n = 2; n <= 4; n++) {
        struct cloud hub = {.eager = true}, lake = {.eager = true};
        OK(open_store(f));
        uint32_t d = device(f, "meter-1");
        open_feed(f, &hub, d, "hub");
        open_feed(f, &lake, d, "lake");
        tg_feed_resume(hub.feed);
        hub.expected = lake.expected = tg_store_last_seq(f->store, d) + 1;
        tg_gate_fail_syncs(n);
        assert_int_equal(append_n(f, d, 100, 100), TG_OK);
        RUN_UNTIL(f, stats_of(f).uncommitted_rows == 0 && hub.got == 100);
        assert_int_equal(tg_gate_failed(), n);
        assert_int_equal(stats_of(f).state, TG_STORE_OK);
        tg_feed_resume(lake.feed);
        RUN_UNTIL(f, lake.got == 100);
        tg_feed_close(hub.feed);
        tg_feed_close(lake.feed);
        close_store(f);
    }
    verify(f);
}

static void test_a_disk_that_is_gone_is_outlived_in_memory(void **state)
{
    struct fixture *f = *state;
    struct cloud hub = {.eager = true, .expected = 1}, lake = {.expected = 1}, slow = {.expected = 1};
    uint32_t other = 0;
    OK(open_store(f));
    uint32_t d = device(f, "meter-1");
    open_feed(f, &hub, d, "hub");
    open_feed(f, &lake, d, "lake");
    open_feed(f, &slow, d, "slow");
    tg_feed_resume(hub.feed);
    tg_feed_resume(slow.feed);
    assert_int_equal(append_n(f, d, 10, 100), TG_OK);
    RUN_UNTIL(f, hub.got == 10 && take(&slow, 10) == 10);
    ack_all(&slow);
    settle(f);

    tg_gate_gone(true);
    assert_int_equal(append_n(f, d, 1000, 100), TG_OK);
    RUN_UNTIL(f, f->state == TG_STORE_DEGRADED && hub.got == 1010);
    assert_int_equal(f->state_calls, 1);
    assert_non_null(strstr(f->text, f->dir));
    assert_non_null(strstr(f->text, "kept in memory (at most "));
    assert_non_null(strstr(f->text, "trying again in"));
    assert_int_equal(f->committed_id, 10); /* delivered, not accepted */
    /* A feed that falls behind, pauses and rewinds is served from memory. */
    RUN_UNTIL(f, tg_feed_available(slow.feed) == TG_FEED_MAX_ROWS);
    assert_int_equal(take(&slow, 20), 20);
    tg_feed_pause(slow.feed);
    tg_feed_rewind(slow.feed);
    slow.expected = 11;
    slow.last_id = 10;
    slow.got = 10;
    tg_feed_resume(slow.feed);
    RUN_UNTIL(f, take(&slow, UINT32_MAX) + slow.got > 0 && slow.got == 1010);
    ack_all(&slow);
    /* What is known may be declared, what is new must wait. */
    assert_int_equal(device(f, "meter-1"), d);
    assert_int_equal(tg_store_device(f->store, "meter-2", &other, &f->err), TG_EBUSY);

    tg_gate_gone(false);
    RUN_UNTIL(f, f->state == TG_STORE_OK && f->committed_id == 1010);
    assert_int_equal(f->state_calls, 2);
    lake.eager = true;
    tg_feed_resume(lake.feed);
    RUN_UNTIL(f, lake.got == 1010);
    assert_int_equal(append_n(f, d, 10, 100), TG_OK);
    RUN_UNTIL(f, hub.got == 1020 && lake.got == 1020);
    tg_feed_close(hub.feed);
    tg_feed_close(lake.feed);
    tg_feed_close(slow.feed);
    close_store(f);
    verify(f);
}

/* One at a time, with the loop turning in between. At the bound, while the thread is just trying the database
 * again, a sample is refused (and counted); like the router, this keeps it and offers it again. Tells how
 * often. */
static uint64_t trickle(struct fixture *f, uint32_t d, uint32_t n)
{
    uint64_t refused = 0;
    for (uint32_t i = 0; i < n; i++) {
        int rc = append_n(f, d, 1, 100);
        for (; rc == TG_EFULL; rc = append_n(f, d, 1, 100)) {
            assert_true(++refused < 1000000);
            uv_run(&f->loop.uv, UV_RUN_NOWAIT);
        }
        assert_int_equal(rc, TG_OK);
        uv_run(&f->loop.uv, UV_RUN_NOWAIT);
    }
    return refused;
}

static void test_memory_holds_what_is_not_delivered_and_drops_the_oldest(void **state)
{
    struct fixture *f = *state;
    struct cloud hub = {.eager = true, .expected = 1},
                 lake = {.holes_allowed = true, .expected = 1, .eager = true};
    const uint32_t total = 3000;
    uint64_t refused = 0;
    f->o.uncommitted_limit_bytes = 64 * 1024;
    OK(open_store(f));
    uint32_t d = device(f, "meter-1"), e = device(f, "meter-2");
    open_feed(f, &hub, d, "hub");
    open_feed(f, &lake, e, "lake"); /* its link is down */
    tg_feed_resume(hub.feed);
    tg_gate_gone(true);
    refused += trickle(f, d, 1);
    RUN_UNTIL(f, f->state == TG_STORE_DEGRADED);
    /* What the hub has acknowledged makes room: nothing is lost, whatever the number. */
    refused += trickle(f, d, total);
    assert_int_equal(stats_of(f).dropped_memory, 0);
    assert_true(stats_of(f).uncommitted_bytes <= f->o.uncommitted_limit_bytes);
    refused += trickle(f, e, 100);
    refused += trickle(f, d, total);
    assert_int_equal(stats_of(f).dropped_memory, 0);
    assert_int_equal(tg_feed_pending(lake.feed), 100);
    refused += trickle(f, e, total);
    uint64_t dropped = stats_of(f).dropped_memory;
    assert_true(dropped > 0);
    assert_int_equal(stats_of(f).rejected, refused); /* no sample is both given a number and refused */
    assert_int_equal(tg_feed_pending(lake.feed), 100 + total - dropped);
    assert_true(stats_of(f).uncommitted_bytes <= f->o.uncommitted_limit_bytes);
    RUN_UNTIL(f, hub.got == 1 + 2 * total);

    tg_gate_gone(false);
    RUN_UNTIL(f, f->state == TG_STORE_OK);
    settle(f);
    assert_int_equal(stats_of(f).outbox.dropped[TG_DROP_DISK_FULL], dropped);
    /* The number that was told covers what was dropped: what is accepted is counted without it. */
    assert_int_equal(f->committed_id, 1 + 2 * total + 100 + total);
    assert_int_equal(stats_of(f).committed + stats_of(f).spared + dropped, f->committed_id);
    tg_feed_resume(lake.feed);
    RUN_UNTIL(f, lake.got == 100 + total - dropped);
    assert_int_equal(lake.skipped, dropped);
    RUN_UNTIL(f, lake.told == dropped && tg_feed_pending(lake.feed) == 0);
    assert_int_equal(lake.gap.reasons, TG_GAP_MEMORY);
    assert_int_equal(hub.gap_records, 0);
    tg_proof("C11", "memory_bound", 4 * total, 0,
             "The database cannot be written while two devices go on: at most the configured bound (64 KiB "
             "here) is kept in memory, what "
             "does not fit is refused or drops the oldest, and each is counted",
             "\"refused_and_counted\":%llu,\"dropped_and_counted\":%llu", (unsigned long long)refused,
             (unsigned long long)dropped);
    tg_feed_close(hub.feed);
    tg_feed_close(lake.feed);
    close_store(f);
    verify(f);
}

static void test_a_closed_feed_counts_at_the_bound_of_memory(void **state)
{
    struct fixture *f = *state;
    struct cloud hub = {.eager = true, .expected = 1}, lake = {.expected = 1};
    f->o.uncommitted_limit_bytes = 64 * 1024;
    OK(open_store(f));
    uint32_t d = device(f, "meter-1");
    open_feed(f, &hub, d, "hub");
    open_feed(f, &lake, d, "lake");
    tg_feed_resume(hub.feed);
    tg_gate_gone(true);
    (void)trickle(f, d, 1);
    RUN_UNTIL(f, f->state == TG_STORE_DEGRADED);
    tg_feed_close(lake.feed); /* it may be configured again */
    (void)trickle(f, d, 3000);
    RUN_UNTIL(f, hub.got == 3001);
    assert_true(stats_of(f).dropped_memory > 1000); /* the hub has them, the lake never will */
    assert_int_equal(stats_of(f).spared, 0);
    tg_gate_gone(false);
    RUN_UNTIL(f, f->state == TG_STORE_OK);
    tg_feed_close(hub.feed);
    close_store(f);
    verify(f);
}

static void test_memory_rejects_the_newest_if_that_is_the_policy(void **state)
{
    struct fixture *f = *state;
    struct cloud lake = {.expected = 1, .eager = true};
    uint64_t accepted = 0;
    f->o.uncommitted_limit_bytes = 64 * 1024;
    f->o.outbox.when_full = TG_WHEN_FULL_DROP_NEWEST;
    OK(open_store(f));
    uint32_t d = device(f, "meter-1");
    open_feed(f, &lake, d, "lake");
    tg_gate_gone(true);
    assert_int_equal(trickle(f, d, 1), 0);
    RUN_UNTIL(f, f->state == TG_STORE_DEGRADED);
    for (accepted = 1; append_n(f, d, 1, 100) == TG_OK; accepted++)
        assert_true(accepted < 10000);
    assert_int_equal(append_n(f, d, 1, 100), TG_EFULL);
    assert_int_equal(stats_of(f).rejected, 2);
    tg_gate_gone(false);
    RUN_UNTIL(f, f->state == TG_STORE_OK);
    tg_feed_resume(lake.feed);
    RUN_UNTIL(f, lake.got == accepted);
    tg_feed_close(lake.feed);
    close_store(f);
    verify(f);
}

static void test_stopping_without_a_disk_says_what_was_not_stored(void **state)
{
    struct fixture *f = *state;
    OK(open_store(f));
    uint32_t d = device(f, "meter-1");
    tg_gate_gone(true);
    assert_int_equal(append_n(f, d, 7, 100), TG_OK);
    close_store(f);
    assert_non_null(strstr(f->text, "7 samples that could not be stored"));
}

static void test_damage_while_running_is_set_aside(void **state)
{
    struct fixture *f = *state;
    struct cloud hub = {.eager = true, .expected = 1},
                 lake = {.holes_allowed = true, .expected = 1, .eager = true};
    static uint8_t garbage[1 << 20];
    OK(open_store(f));
    uint32_t d = device(f, "meter-1"), e = device(f, "meter-2");
    open_feed(f, &hub, d, "hub");
    open_feed(f, &lake, d, "lake");
    tg_feed_resume(hub.feed);
    assert_int_equal(append_n(f, e, 5, 100), TG_OK);
    for (int i = 0; i < 40; i++) { /* more than the page cache holds */
        assert_int_equal(append_n(f, d, 1000, 200), TG_OK);
        settle(f);
    }
    RUN_UNTIL(f, hub.got == 40000);
    const char *path = tg_test_path(f->dir, TG_OUTBOX_FILE);
    int64_t size = tg_test_file_size(path);
    assert_true(size > 4 << 20);
    int fd = open(path, O_WRONLY);
    assert_true(fd >= 0);
    memset(garbage, 0xa5, sizeof garbage);
    for (int64_t at = 16 * 4096; at < size; at += (int64_t)sizeof garbage)
        assert_true(pwrite(fd, garbage, sizeof garbage, at) > 0);
    close(fd);

    tg_feed_resume(lake.feed);
    RUN_UNTIL(f, strstr(f->aside_text, "set aside as outbox.db.corrupt-1") != NULL);
    RUN_UNTIL(f, f->state == TG_STORE_OK);
    assert_int_equal(append_n(f, d, 100, 100), TG_OK);
    assert_int_equal(append_n(f, e, 100, 100), TG_OK);
    RUN_UNTIL(f, hub.got == 40100 && lake.last_seq >= 40100 && lake.gap_records > 0);
    assert_int_equal(lake.got + lake.skipped + lake.gap_records, lake.last_seq);
    /* What it had taken before the damage was seen may be counted as lost. */
    assert_true(lake.told >= lake.skipped && lake.gap.reasons == TG_GAP_CORRUPT);
    RUN_UNTIL(f, tg_feed_pending(lake.feed) == 0 && tg_feed_gap(lake.feed).reasons == 0);
    assert_int_equal(tg_store_last_seq(f->store, e), 105);
    tg_feed_close(hub.feed);
    tg_feed_close(lake.feed);
    close_store(f);
    verify(f);
    OK(open_store(f));
    assert_int_equal(tg_store_last_seq(f->store, device(f, "meter-2")), 105);
    assert_int_equal(tg_store_last_seq(f->store, device(f, "meter-1")), 40100 + lake.gap_records);
    close_store(f);
}

static void test_a_full_disk_makes_room_and_counts(void **state)
{
    struct fixture *f = *state;
    struct cloud hub = {.eager = true, .expected = 1}, lake = {.holes_allowed = true, .eager = true};
    const uint64_t total = 60000;
    char disk[4200];
    snprintf(disk, sizeof disk, "%s/disk", f->dir);
    assert_int_equal(mkdir(disk, 0700), 0);
    /* A mount that only this process sees. */
    if (unshare(CLONE_NEWNS) != 0 || mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) != 0 ||
        mount("tmpfs", disk, "tmpfs", 0, "size=6m") != 0) {
        TG_SKIP("a small disk cannot be mounted here (not root?)");
    }
    f->o.outbox.dir = disk;
    f->o.full_quiet_ms = 20;
    OK(open_store(f));
    uint32_t d = device(f, "meter-1");
    open_feed(f, &hub, d, "hub");
    open_feed(f, &lake, d, "lake");
    tg_feed_resume(hub.feed);
    for (uint64_t i = 0; i < total; i += 500) {
        assert_int_equal(append_n(f, d, 500, 200), TG_OK);
        settle(f);
    }
    assert_int_equal(f->state, TG_STORE_FULL);
    assert_int_equal(f->state_calls, 1);
    assert_non_null(strstr(f->text, "no space left"));
    assert_int_equal(f->committed_id, total);
    RUN_UNTIL(f, hub.got == total);
    RUN_UNTIL(f, tg_feed_pending(lake.feed) + stats_of(f).outbox.dropped[TG_DROP_DISK_FULL] == total);
    uint64_t pending = tg_feed_pending(lake.feed);
    assert_true(pending > 0 && pending < total);
    /* Nothing comes, so nothing is evicted; the disk is as full as before, and nobody says otherwise. */
    int64_t quiet_ms = tg_clock_mono_ms() + 10 * f->o.full_quiet_ms;
    RUN_UNTIL(f, tg_clock_mono_ms() >= quiet_ms);
    assert_int_equal(f->state, TG_STORE_FULL);
    assert_int_equal(f->state_calls, 1);
    lake.expected = total - pending + 1;
    tg_feed_resume(lake.feed);
    RUN_UNTIL(f, lake.got == pending && lake.told == total - pending);
    assert_int_equal(lake.skipped, 0);
    RUN_UNTIL(f, f->state == TG_STORE_OK);
    assert_int_equal(f->state_calls, 2);
    assert_non_null(strstr(f->text, "there is space again"));
    tg_feed_close(hub.feed);
    tg_feed_close(lake.feed);
    close_store(f);
    verify(f);
    assert_int_equal(umount(disk), 0);
}

/* --- memory
 * ---------------------------------------------------------------------------------------------------- */

/* A short life during which the nth allocation fails; tells how many there were. Whatever fails, what was
 * reported as accepted must be there. */
static uint64_t short_life(struct fixture *f, uint64_t nth, int forever)
{
    struct cloud hub = {.holes_allowed = true, .eager = true};
    uint64_t calls = tg_alloc_stats().calls, accepted = 0;
    uint32_t d = 0;
    f->committed_id = 0;
    tg_alloc_fail_at(nth, forever);
    int rc = open_store(f);
    if (rc == TG_OK && tg_store_device(f->store, "meter-1", &d, &f->err) == TG_OK) {
        uint64_t first_id = stats_of(f).committed_id;
        hub.device = d;
        if (tg_feed_open(f->store, d, "hub", on_rows, &hub, &hub.feed, &f->err) == TG_OK)
            tg_feed_resume(hub.feed);
        for (int i = 0; i < 40; i++)
            accepted += append_n(f, d, 1, 100) == TG_OK;
        tg_store_flush(f->store);
        for (int i = 0; i < 50 && forever; i++)
            uv_run(&f->loop.uv, UV_RUN_NOWAIT);
        if (forever)
            tg_alloc_fail_at(0, 0);
        RUN_UNTIL(f, stats_of(f).uncommitted_rows == 0);
        assert_int_equal(stats_of(f).committed_id, first_id + accepted);
        if (hub.feed) {
            RUN_UNTIL(f, tg_feed_pending(hub.feed) == 0);
            assert_true(hub.got >= accepted);
        }
    }
    calls = tg_alloc_stats().calls - calls;
    tg_alloc_fail_at(0, 0);
    if (hub.feed)
        tg_feed_close(hub.feed);
    if (rc == TG_OK)
        close_store(f);
    else if (!strstr(f->err.text, "memory"))
        fail_msg("allocation %llu (%s) failed and this was said: %s (%d)", (unsigned long long)nth,
                 forever ? "and all after it" : "alone", f->err.text, rc);
    return calls;
}

static void test_memory_may_run_out_anywhere(void **state)
{
    struct fixture *f = *state;
    uint64_t trials = 0;
    for (int forever = 0; forever <= 1; forever++) {
        uint64_t n = 1;
        while (short_life(f, n, forever) >= n)
            n++;
        assert_true(n > 20);
        trials += n;
    }
    verify(f);
    tg_proof("C14", "store_memory", trials, 0,
             "The nth allocation of a life of the store, its thread and feeds fails, once or from then on, "
             "for each n: what "
             "was reported as accepted is delivered, and the count of accepted samples is exact",
             "\"false_acceptances\":0");
}

int main(void)
{
#define T(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
    const struct CMUnitTest tests[] = {
        T(test_a_failed_fsync_loses_and_doubles_nothing),
        T(test_several_failed_fsyncs_in_a_row),
        T(test_a_disk_that_is_gone_is_outlived_in_memory),
        T(test_memory_holds_what_is_not_delivered_and_drops_the_oldest),
        T(test_a_closed_feed_counts_at_the_bound_of_memory),
        T(test_memory_rejects_the_newest_if_that_is_the_policy),
        T(test_stopping_without_a_disk_says_what_was_not_stored),
        T(test_damage_while_running_is_set_aside),
        T(test_a_full_disk_makes_room_and_counts),
        T(test_memory_may_run_out_anywhere),
    };
    return tg_skip_status(cmocka_run_group_tests(tests, NULL, NULL));
}
