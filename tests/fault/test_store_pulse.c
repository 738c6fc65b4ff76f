/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * The watchdog's rule "the store is stuck": a disk that swallows every write, without an error, is seen after a minute; a slow one, one
 * that has failed and says so, and a store with nothing to do are not.
 */
#include "core/gateway/health.h"
#include "support/store_fixture.h"

static bool beats(struct fixture *f, struct tg_store_pulse *p, int64_t now_ms)
{
    struct tg_store_stats st = stats_of(f);
    return tg_store_pulse_beats(p, &st, now_ms);
}

static void test_a_disk_that_swallows_every_write_is_seen(void **state)
{
    struct fixture *f = *state;
    struct tg_store_pulse p = {.moved_ms = 1000};
    OK(open_store(f));
    uint32_t d = device(f, "meter-1");
    assert_true(beats(f, &p, 1000));
    assert_true(beats(f, &p, 1000 + 10 * TG_STORE_STUCK_MS)); /* nothing to do: however long */

    int64_t now = 1000 + 10 * TG_STORE_STUCK_MS;
    tg_gate_hold(true);
    assert_int_equal(append_n(f, d, 10, 100), TG_OK);
    tg_store_flush(f->store);
    tg_gate_wait_held();
    assert_true(beats(f, &p, now + TG_STORE_STUCK_MS - 1));
    assert_false(p.stuck);
    assert_false(beats(f, &p, now + TG_STORE_STUCK_MS));
    assert_false(beats(f, &p, now + 5 * TG_STORE_STUCK_MS));
    assert_true(p.stuck);
    assert_int_equal(f->committed_id, 0); /* nothing was called accepted meanwhile */

    tg_gate_hold(false);
    RUN_UNTIL(f, f->committed_id == 10);
    assert_true(beats(f, &p, now + 6 * TG_STORE_STUCK_MS));
    assert_false(p.stuck);
    close_store(f);
    verify(f);
}

static void test_a_slow_disk_is_not_stuck(void **state)
{
    struct fixture *f = *state;
    struct tg_store_pulse p = {.moved_ms = 0};
    int64_t now = 0;
    OK(open_store(f));
    uint32_t d = device(f, "meter-1");
    for (int i = 0; i < 5; i++) { /* a commit takes nearly a minute, and there is always more */
        tg_gate_hold(true);
        assert_int_equal(append_n(f, d, 10, 100), TG_OK);
        tg_store_flush(f->store);
        tg_gate_wait_held();
        now += TG_STORE_STUCK_MS - 1;
        assert_true(beats(f, &p, now));
        assert_int_equal(append_n(f, d, 1, 100), TG_OK);
        tg_gate_hold(false);
        RUN_UNTIL(f, f->committed_id >= (uint64_t)(11 * i + 10));
        assert_true(beats(f, &p, now));
        settle(f);
    }
    close_store(f);
}

static void test_a_disk_that_says_what_is_wrong_is_not_stuck(void **state)
{
    struct fixture *f = *state;
    struct tg_store_pulse p = {.moved_ms = 0};
    OK(open_store(f));
    uint32_t d = device(f, "meter-1");
    tg_gate_gone(true);
    assert_int_equal(append_n(f, d, 10, 100), TG_OK);
    RUN_UNTIL(f, f->state == TG_STORE_DEGRADED);
    assert_true(
        beats(f, &p, 10 * TG_STORE_STUCK_MS)); /* a restart would mend nothing and lose what is in memory */
    tg_gate_gone(false);
    RUN_UNTIL(f, f->state == TG_STORE_OK);
    close_store(f);
}

int main(void)
{
#define T(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
    const struct CMUnitTest tests[] = {
        T(test_a_disk_that_swallows_every_write_is_seen),
        T(test_a_slow_disk_is_not_stuck),
        T(test_a_disk_that_says_what_is_wrong_is_not_stuck),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
