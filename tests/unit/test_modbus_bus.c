/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * The bus scheduler on a virtual clock: who is asked, what a dead unit costs the others, and that a late
 * answer can never be taken for another.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "southbound/modbus_bus.h"

#define TIMEOUT 1000

struct world {
    struct tg_modbus_unit units[8];
    struct tg_modbus_bus bus;
    int64_t now;
};

static void build(struct world *w, uint32_t count, int64_t every_ms, bool has_ids)
{
    memset(w, 0, sizeof *w);
    tg_modbus_bus_init(&w->bus, w->units, count);
    w->bus.has_ids = has_ids;
    for (uint32_t i = 0; i < count; i++) {
        w->units[i].id = (uint8_t)(i + 1);
        w->units[i].heard = true;
        tg_poll_plan_init(&w->units[i].plan);
        assert_int_equal(tg_poll_plan_group(&w->units[i].plan, every_ms), 0);
    }
    w->now = 1000000;
    tg_modbus_bus_start(&w->bus, w->now);
}

/* Waits and listens on a quiet line until somebody has a turn, or until `end`. */
static struct tg_modbus_turn turn_before(struct world *w, int64_t end)
{
    for (;;) {
        struct tg_modbus_turn t = tg_modbus_bus_next(&w->bus, w->now);
        if (t.kind == TG_MODBUS_TURN_SYNC || t.kind == TG_MODBUS_TURN_READ)
            return t;
        assert_true(t.at_ms > w->now);
        if (t.at_ms >= end) {
            w->now = end;
            return t;
        }
        w->now = t.at_ms;
    }
}

static struct tg_modbus_turn turn(struct world *w)
{
    return turn_before(w, INT64_MAX);
}

static void answer(struct world *w, struct tg_modbus_turn t)
{
    w->now += 10;
    tg_modbus_bus_freed(&w->bus, t.unit, w->now);
    (void)tg_modbus_bus_answered(&w->bus, t.unit, t.kind == TG_MODBUS_TURN_SYNC, false, w->now);
    if (t.kind == TG_MODBUS_TURN_READ)
        tg_modbus_bus_served(&w->bus, t.unit, 1, w->now);
}

static enum tg_modbus_consequence lose(struct world *w, struct tg_modbus_turn t)
{
    w->now += TIMEOUT;
    tg_modbus_bus_freed(&w->bus, t.unit, w->now);
    enum tg_modbus_consequence c =
        tg_modbus_bus_failed(&w->bus, t.unit, TG_MODBUS_SILENT, 3, 7, TIMEOUT, w->now, UINT32_C(1) << 31);
    if (c == TG_MODBUS_REPORT || c == TG_MODBUS_WENT_DOWN)
        tg_modbus_bus_served(&w->bus, t.unit, 1, w->now);
    return c;
}

static void round_robin(void **state)
{
    (void)state;
    struct world w;
    build(&w, 3, 15, true); /* more than the bus can do: 10 ms each */
    for (uint32_t i = 0; i < 12; i++) {
        struct tg_modbus_turn t = turn(&w);
        assert_int_equal(t.kind, TG_MODBUS_TURN_READ);
        assert_int_equal(t.unit, i % 3);
        answer(&w, t);
    }
}

static void grid_is_kept(void **state)
{
    (void)state;
    struct world w;
    build(&w, 1, 1000, true);
    int64_t start = w.now;
    for (int i = 0; i < 5; i++) {
        struct tg_modbus_turn t = turn(&w);
        assert_int_equal(w.now, start + 1000 * i);
        answer(&w, t);
    }
}

static void states_and_back_off(void **state)
{
    (void)state;
    struct world w;
    build(&w, 1, 1000, true);
    assert_int_equal(lose(&w, turn(&w)), TG_MODBUS_REPEAT);
    assert_int_equal(w.units[0].state, TG_MODBUS_UNIT_SUSPECT);
    assert_int_equal(lose(&w, turn(&w)), TG_MODBUS_REPORT);
    assert_int_equal(lose(&w, turn(&w)), TG_MODBUS_WENT_DOWN);
    assert_int_equal(w.units[0].state, TG_MODBUS_UNIT_DOWN);
    static const int64_t expect[] = {1000, 2000, 4000, 8000, 16000, 32000, 60000, 60000, 60000};
    for (size_t i = 0; i < sizeof expect / sizeof *expect; i++) {
        int64_t since = w.now;
        struct tg_modbus_turn t = turn(&w);
        assert_int_equal(t.kind, TG_MODBUS_TURN_SYNC);
        assert_int_equal(w.now - since, expect[i]); /* the middle of the jitter */
        assert_int_equal(lose(&w, t), TG_MODBUS_STAYS_DOWN);
    }
    answer(&w, turn(&w));
    assert_int_equal(w.units[0].state, TG_MODBUS_UNIT_OK);
    int64_t now = w.now;
    assert_int_equal(turn(&w).kind, TG_MODBUS_TURN_READ);
    assert_int_equal(w.now, now); /* all is due at once */
}

static void jitter_is_a_fifth(void **state)
{
    (void)state;
    static const struct {
        uint32_t random;
        int64_t delay;
    } cases[] = {{0, 800}, {UINT32_MAX, 1199}};
    for (size_t i = 0; i < 2; i++) {
        struct world w;
        build(&w, 1, 1000, true);
        w.bus.down_after = 2;
        for (int k = 0; k < 2; k++)
            (void)tg_modbus_bus_failed(&w.bus, 0, TG_MODBUS_SILENT, 3, 7, TIMEOUT, w.now, cases[i].random);
        assert_int_equal(w.units[0].probe_ms - w.now, cases[i].delay);
    }
}

/* Two dead units among four: between two probes each living unit that was due had its turn, and the dead
 * ones together cost at most one timeout a cycle, less and less. */
static void dead_units_do_not_stall(void **state)
{
    (void)state;
    struct world w;
    build(&w, 4, 100, true);
    int reads[4] = {0}, probes = 0, reads_since_probe = 1000;
    int64_t dead_time = 0, start = w.now;
    while (w.now - start < 600000) {
        struct tg_modbus_turn t = turn(&w);
        bool dead = t.unit == 1 || t.unit == 3;
        if (dead && t.kind == TG_MODBUS_TURN_SYNC) {
            assert_true(reads_since_probe >= 2);
            reads_since_probe = 0;
            probes++;
        }
        if (dead) {
            (void)lose(&w, t);
            dead_time += TIMEOUT;
        } else {
            answer(&w, t);
            reads_since_probe++;
        }
        reads[t.unit]++;
    }
    assert_true(probes >= 20);
    assert_true(dead_time < 600000 / 10);
    assert_true(reads[0] > 4500 && reads[2] > 4500); /* of 6000 */
    assert_in_range(reads[0] - reads[2] + 1, 0, 2);
}

static void silence_and_step(void **state)
{
    (void)state;
    struct world w;
    build(&w, 2, 100, false);
    struct tg_modbus_turn t = turn(&w);
    assert_int_equal(t.unit, 0);
    assert_int_equal(lose(&w, t), TG_MODBUS_REPEAT);
    /* Nobody is asked while the line is not idle for a whole response timeout. */
    t = tg_modbus_bus_next(&w.bus, w.now);
    assert_int_equal(t.kind, TG_MODBUS_TURN_LISTEN);
    assert_int_equal(t.at_ms, w.now + TIMEOUT);
    assert_int_equal(tg_modbus_bus_ready_ms(&w.bus, 1), w.now + TIMEOUT); /* nor for a write */
    w.now += TIMEOUT - 1;
    tg_modbus_bus_heard(&w.bus, w.now);
    w.now += TIMEOUT - 1;
    assert_int_equal(tg_modbus_bus_next(&w.bus, w.now).kind, TG_MODBUS_TURN_LISTEN);
    w.now += 1;
    /* The other unit is unaffected; the one that failed must first be brought into step. */
    t = turn(&w);
    assert_int_equal(t.unit, 1);
    assert_int_equal(t.kind, TG_MODBUS_TURN_READ);
    answer(&w, t);
    t = turn(&w);
    assert_int_equal(t.unit, 0);
    assert_int_equal(t.kind, TG_MODBUS_TURN_SYNC);
    assert_true(tg_modbus_bus_is_outstanding(&w.bus, 1, 3, 7));
    assert_false(tg_modbus_bus_is_outstanding(&w.bus, 1, 3, 9));
    assert_false(tg_modbus_bus_is_outstanding(&w.bus, 2, 3, 7));
    answer(&w, t);
    assert_false(tg_modbus_bus_is_outstanding(&w.bus, 1, 3, 7));
    t = turn(&w);
    assert_int_equal(t.unit, 0);
    assert_int_equal(t.kind, TG_MODBUS_TURN_READ);
}

/* A unit that was never heard, or is down, does not cost the others a silence; its own next turn is a SYNC. */
static void dead_unit_costs_no_silence(void **state)
{
    (void)state;
    struct world w;
    build(&w, 2, 100, false);
    w.units[0].heard = false;
    (void)lose(&w, turn(&w));
    struct tg_modbus_turn t = tg_modbus_bus_next(&w.bus, w.now);
    assert_int_equal(t.kind, TG_MODBUS_TURN_READ);
    assert_int_equal(t.unit, 1);
    answer(&w, t);
    t = turn(&w);
    assert_int_equal(t.unit, 0);
    assert_int_equal(t.kind, TG_MODBUS_TURN_SYNC);
    w.units[0].state = TG_MODBUS_UNIT_DOWN;
    w.units[0].heard = true;
    (void)lose(&w, t);
    assert_int_equal(tg_modbus_bus_next(&w.bus, w.now).kind, TG_MODBUS_TURN_READ);
    (void)tg_modbus_bus_failed(&w.bus, 0, TG_MODBUS_GARBLED, 3, 7, TIMEOUT, w.now, 0);
    assert_int_equal(tg_modbus_bus_next(&w.bus, w.now).kind, TG_MODBUS_TURN_LISTEN); /* but noise does */
}

static void silence_between_units(void **state)
{
    (void)state;
    struct world w;
    build(&w, 2, 10, true);
    w.bus.gap_ms = 2;
    w.bus.unit_gap_ms = 10;
    struct tg_modbus_turn t = turn(&w);
    answer(&w, t);
    assert_int_equal(tg_modbus_bus_ready_ms(&w.bus, t.unit), w.now + 2);
    assert_int_equal(tg_modbus_bus_ready_ms(&w.bus, 1 - t.unit), w.now + 10);
}

static void refused_sync_is_followed_by_silence(void **state)
{
    (void)state;
    struct world w;
    build(&w, 1, 100, false);
    (void)lose(&w, turn(&w));
    struct tg_modbus_turn t = turn(&w);
    assert_int_equal(t.kind, TG_MODBUS_TURN_SYNC);
    (void)tg_modbus_bus_answered(&w.bus, 0, true, true, w.now);
    assert_int_equal(tg_modbus_bus_next(&w.bus, w.now).kind, TG_MODBUS_TURN_LISTEN);
    assert_int_equal(turn(&w).kind, TG_MODBUS_TURN_READ);
}

static void entries_of_one_unit_share_the_step(void **state)
{
    (void)state;
    struct world w;
    build(&w, 2, 100, false);
    w.units[1].id = w.units[0].id;
    (void)lose(&w, turn(&w));
    struct tg_modbus_turn t = turn(&w);
    assert_int_equal(t.unit, 1);
    assert_int_equal(t.kind, TG_MODBUS_TURN_SYNC);
    answer(&w, t);
    assert_int_equal(turn(&w).kind, TG_MODBUS_TURN_READ);
}

static void outstanding_is_bounded(void **state)
{
    (void)state;
    struct world w;
    build(&w, 1, 100, false);
    for (size_t i = 0; i < 3 * TG_MODBUS_MAX_OUTSTANDING; i++)
        (void)tg_modbus_bus_failed(&w.bus, 0, TG_MODBUS_GARBLED, 3, 7 + i, TIMEOUT, w.now, 0);
    assert_int_equal(w.bus.outstanding_count, TG_MODBUS_MAX_OUTSTANDING);
    assert_false(tg_modbus_bus_is_outstanding(&w.bus, 1, 3, 7));
    assert_true(tg_modbus_bus_is_outstanding(&w.bus, 1, 3, 7 + 3 * TG_MODBUS_MAX_OUTSTANDING - 1));
}

static void gateway_target_needs_no_silence(void **state)
{
    (void)state;
    struct world w;
    build(&w, 1, 100, false);
    (void)turn(&w);
    (void)tg_modbus_bus_failed(&w.bus, 0, TG_MODBUS_TARGET_SILENT, 3, 0, TIMEOUT, w.now, 0);
    assert_int_equal(tg_modbus_bus_next(&w.bus, w.now).kind, TG_MODBUS_TURN_READ);
}

static void gaps(void **state)
{
    (void)state;
    struct world w;
    build(&w, 2, 10, true);
    w.bus.gap_ms = 5;
    w.units[1].min_gap_ms = 50;
    tg_modbus_bus_start(&w.bus, w.now);
    int64_t end = w.now;
    for (int i = 0; i < 6; i++) {
        struct tg_modbus_turn t = turn(&w);
        assert_int_equal(t.unit, i % 2);
        if (i > 0)
            assert_true(w.now - end >= (t.unit == 1 ? 50 : 5));
        answer(&w, t);
        end = w.now;
    }
}

static void busy_waits_then_reports(void **state)
{
    (void)state;
    struct world w;
    build(&w, 1, 1000, true);
    int64_t at = w.now;
    static const int64_t waits[] = {100, 200, 400};
    for (int i = 0; i < 3; i++) {
        struct tg_modbus_turn t = turn(&w);
        assert_int_equal(w.now, at);
        (void)tg_modbus_bus_answered(&w.bus, t.unit, false, true, w.now);
        assert_true(tg_modbus_bus_busy(&w.bus, 0, w.now));
        at = w.now + waits[i];
    }
    (void)turn(&w);
    assert_int_equal(w.now, at);
    assert_false(tg_modbus_bus_busy(&w.bus, 0, w.now));
}

static void unit_without_points_has_no_turn(void **state)
{
    (void)state;
    struct world w;
    build(&w, 1, 1000, true);
    tg_poll_plan_init(&w.units[0].plan);
    w.units[0].state = TG_MODBUS_UNIT_DOWN;
    struct tg_modbus_turn t = tg_modbus_bus_next(&w.bus, w.now);
    assert_int_equal(t.kind, TG_MODBUS_TURN_WAIT);
    assert_true(t.at_ms == TG_POLL_NEVER);
}

/* A probe waits as long as this bus's answers take; one in four, as everything else, for the whole timeout. */
static void patience(void **state)
{
    (void)state;
    struct world w;
    build(&w, 2, 100, true);
    assert_int_equal(tg_modbus_bus_patience_ms(&w.bus, 0, 1000, 5), 1000);
    w.units[0].state = TG_MODBUS_UNIT_SUSPECT;
    assert_int_equal(tg_modbus_bus_patience_ms(&w.bus, 0, 1000, 5), 1000);
    w.units[0].state = TG_MODBUS_UNIT_DOWN;
    for (unsigned probes = 0; probes < 9; probes++) {
        w.units[0].probes = (uint16_t)probes;
        bool whole = probes == 3 || probes == 7;
        assert_int_equal(tg_modbus_bus_patience_ms(&w.bus, 0, 1000, 5), whole ? 1000 : 100);
        assert_int_equal(tg_modbus_bus_patience_ms(&w.bus, 0, 1000, 200), whole ? 1000 : 600);
        assert_int_equal(tg_modbus_bus_patience_ms(&w.bus, 0, 1000, 900), 1000);
        assert_int_equal(tg_modbus_bus_patience_ms(&w.bus, 0, 50, 5), 50);
        assert_int_equal(tg_modbus_bus_patience_ms(&w.bus, 0, 1000, -1), 1000); /* nobody has answered yet */
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(patience),
        cmocka_unit_test(round_robin),
        cmocka_unit_test(grid_is_kept),
        cmocka_unit_test(states_and_back_off),
        cmocka_unit_test(jitter_is_a_fifth),
        cmocka_unit_test(dead_units_do_not_stall),
        cmocka_unit_test(silence_and_step),
        cmocka_unit_test(dead_unit_costs_no_silence),
        cmocka_unit_test(silence_between_units),
        cmocka_unit_test(refused_sync_is_followed_by_silence),
        cmocka_unit_test(entries_of_one_unit_share_the_step),
        cmocka_unit_test(outstanding_is_bounded),
        cmocka_unit_test(gateway_target_needs_no_silence),
        cmocka_unit_test(gaps),
        cmocka_unit_test(busy_waits_then_reports),
        cmocka_unit_test(unit_without_points_has_no_turn),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
