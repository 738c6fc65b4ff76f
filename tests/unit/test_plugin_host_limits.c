/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * The plugin host: watched descriptors, and when there is not enough of something.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

#include "core/base/allocator.h"
#include "support/host_rig.h"

/* --- descriptors
 * ----------------------------------------------------------------------------------------------- */

static void test_descriptors(void **state)
{
    struct tg_host_rig r;
    int a[2], b[2];
    assert_int_equal(pipe(a), 0);
    assert_int_equal(pipe(b), 0);
    tg_rig_begin(&r, *state);
    tg_levers.fds[0] = a[0];
    tg_levers.fds[1] = b[0];
    tg_levers.fd_count = 2;
    tg_rig_start(&r);
    TG_RIG_RUN_UNTIL(&r, r.opens);
    assert_int_equal(write(a[1], "x", 1), 1);
    TG_RIG_RUN_UNTIL(&r, r.taken == 1);
    assert_int_equal(r.bytes[0], 'x');
    assert_int_equal(write(b[1], "yz", 2), 2);
    TG_RIG_RUN_UNTIL(&r, r.taken == 3);
    assert_memory_equal(r.bytes, "xyz", 3);
    close(b[1]);
    TG_RIG_RUN_UNTIL(&r, atomic_load(&tg_levers.hangups) == 1);
    assert_int_equal(write(a[1], "w", 1), 1); /* the other is still watched */
    TG_RIG_RUN_UNTIL(&r, r.taken == 4);
    assert_int_equal(atomic_load(&tg_levers.hangups), 1);
    tg_rig_end(&r);
    close(a[0]);
    close(a[1]);
    close(b[0]);
}

static void test_an_ended_watch_is_not_reported(void **state)
{
    struct tg_host_rig r;
    int pipes[6][2];
    tg_rig_begin(&r, *state);
    tg_levers.first_ends_others = true;
    for (int i = 0; i < 6; i++) {
        assert_int_equal(pipe(pipes[i]), 0);
        assert_int_equal(write(pipes[i][1], "q", 1), 1); /* all are ready in the same round */
        tg_levers.fds[i] = pipes[i][0];
    }
    tg_levers.fd_count = 6;
    tg_rig_start(&r);
    TG_RIG_RUN_UNTIL(&r, r.taken == 1);
    tg_source_host_command(r.host, 1, 0, "echo", "{}");
    TG_RIG_RUN_UNTIL(&r, r.answers[1]); /* further rounds have passed */
    assert_int_equal(atomic_load(&tg_levers.fd_readies), 1);
    tg_rig_end(&r);
    for (int i = 0; i < 6; i++) {
        close(pipes[i][0]);
        close(pipes[i][1]);
    }
}

static void test_sixteen_watches(void **state)
{
    struct tg_host_rig r;
    int p[2];
    tg_rig_begin(&r, *state);
    assert_int_equal(pipe(p), 0);
    for (int i = 0; i < 18; i++)
        tg_levers.fds[i] = dup(p[0]);
    tg_levers.fd_count = 18;
    tg_rig_start(&r);
    TG_RIG_RUN_UNTIL(&r, r.opens);
    assert_int_equal(atomic_load(&tg_levers.watch_errors), 2);
    tg_rig_end(&r);
    for (int i = 0; i < 18; i++)
        close(tg_levers.fds[i]);
    close(p[0]);
    close(p[1]);
}

static void try_wrong_watches(const struct tg_host *h)
{
    assert_int_equal(h->watch_fd(h->source, -1, TG_FD_READ), TG_PLUGIN_EINVAL);
    assert_int_equal(h->watch_fd(h->source, 0x7fff, 0), TG_PLUGIN_OK); /* nothing to end */
}

static void test_wrong_watches(void **state)
{
    struct tg_host_rig r;
    tg_rig_begin(&r, *state);
    tg_levers.in_open = try_wrong_watches;
    tg_rig_start(&r);
    TG_RIG_RUN_UNTIL(&r, r.opens);
    tg_rig_end(&r);
}

/* --- when there is not enough of something
 * ------------------------------------------------------------------------- */

static void sweep(const struct tg_plugin *plugin, int forever)
{
    bool clean = false;
    for (uint64_t nth = 1; !clean; nth++) {
        struct tg_host_rig r;
        struct tg_error err = {0};
        int64_t live = tg_alloc_stats().live;
        int rc;
        tg_rig_begin(&r, plugin);
        tg_levers.flood = 3;
        assert_true(nth < 100);
        tg_alloc_fail_at(nth, forever);
        rc = tg_source_host_new(&r.loop, &r.model.source, &tg_rig_callbacks, &r, &r.host, &err);
        if (rc < 0) {
            tg_alloc_fail_at(0, 0);
            assert_int_equal(rc, TG_ENOMEM);
            assert_true(err.text[0] != '\0');
            r.host = NULL;
        } else {
            uint64_t before = tg_alloc_stats().calls;
            tg_source_host_command(r.host, 1, 0, "echo", "{}");
            uv_idle_start(&r.idle, tg_rig_on_idle);
            TG_RIG_RUN_UNTIL(&r, atomic_load(&tg_levers.emitted) + atomic_load(&tg_levers.refused) > 0);
            tg_rig_turn(&r);
            clean =
                nth > tg_alloc_stats().calls - before + 8; /* the failing one lies beyond all that was done */
            tg_alloc_fail_at(0, 0);
        }
        tg_rig_end(&r);
        assert_int_equal(tg_alloc_stats().live, live);
    }
}

static void test_out_of_memory_anywhere(void **state)
{
    sweep(*state, 0);
    sweep(*state, 1);
}

static void test_no_descriptor_for_the_thread(void **state)
{
    struct tg_host_rig r;
    struct tg_error err = {0};
    struct rlimit before, none;
    int64_t live = tg_alloc_stats().live;
    int next = dup(0), rc;
    (void)state;
    tg_rig_begin(&r, &tg_levers_own);
    tg_rig_start(&r); /* the loop has what it needs */
    TG_RIG_RUN_UNTIL(&r, r.opens);
    tg_source_host_close(r.host, tg_rig_on_closed, &r);
    TG_RIG_RUN_UNTIL(&r, r.closed);
    r.host = NULL;
    r.closed = false;
    assert_int_equal(getrlimit(RLIMIT_NOFILE, &before), 0);
    none = before;
    none.rlim_cur = (rlim_t)next;
    close(next);
    assert_int_equal(setrlimit(RLIMIT_NOFILE, &none), 0);
    rc = tg_source_host_new(&r.loop, &r.model.source, &tg_rig_callbacks, &r, &r.host, &err);
    assert_int_equal(setrlimit(RLIMIT_NOFILE, &before), 0);
    assert_true(rc < 0);
    assert_non_null(strstr(err.text, "eventfd"));
    r.host = NULL;
    tg_rig_end(&r);
    assert_int_equal(tg_alloc_stats().live, live);
}

int main(void)
{
    const struct CMUnitTest tests[] = {TG_RIG_BOTH(test_descriptors),
                                       TG_RIG_BOTH(test_an_ended_watch_is_not_reported),
                                       TG_RIG_BOTH(test_sixteen_watches),
                                       TG_RIG_BOTH(test_wrong_watches),
                                       TG_RIG_BOTH(test_out_of_memory_anywhere),
                                       cmocka_unit_test(test_no_descriptor_for_the_thread)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
