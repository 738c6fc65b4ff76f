/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * The request plan: properties over random points, and splitting against a device with holes.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "southbound/modbus_plan.h"
#include "southbound/modbus_points.h"
#include "southbound/poll_plan.h"

#define N 60

static uint32_t seed = 1;
static uint32_t draw(uint32_t below)
{
    seed = seed * 1664525u + 1013904223u;
    return (seed >> 8) % below;
}

/* Whatever the points: each wanted one is wholly inside exactly one span, spans keep the limits. */
static void properties(void **state)
{
    (void)state;
    for (int run = 0; run < 500; run++) {
        struct tg_modbus_item items[N];
        struct tg_modbus_range no_read = {draw(2) ? -1 : TG_MODBUS_HOLDING, (uint16_t)draw(300), 0};
        no_read.to = (uint16_t)(no_read.from + draw(10));
        struct tg_modbus_limits l = {.max_registers = (uint16_t)(4 + draw(40)),
                                     .max_bits = 100,
                                     .max_gap = (uint16_t)draw(12),
                                     .no_read = &no_read,
                                     .no_read_count = 1};
        bool covered[N] = {false};
        for (uint32_t i = 0; i < N; i++)
            items[i] = (struct tg_modbus_item){.unit = (uint8_t)draw(2),
                                               .table = (uint8_t)draw(4),
                                               .wanted = draw(3) > 0,
                                               .fence = draw(9) == 0,
                                               .address = (uint16_t)draw(300),
                                               .count = (uint16_t)(1 + draw(4)),
                                               .tag = i};
        tg_modbus_plan_sort(items, N);
        struct tg_modbus_span s;
        for (size_t pos = 0; tg_modbus_plan_next(items, N, &l, &pos, &s);) {
            assert_true(s.count <= (s.table <= TG_MODBUS_DISCRETE ? l.max_bits : l.max_registers));
            size_t in = 0;
            for (size_t i = s.first; i < s.end; i++) {
                if (!items[i].wanted)
                    continue;
                assert_true(items[i].unit == s.unit && items[i].table == s.table);
                assert_true(items[i].address >= s.address);
                assert_true(items[i].address + items[i].count <= s.address + s.count);
                assert_true(i == s.first || !items[i].fence);
                assert_false(covered[items[i].tag]);
                covered[items[i].tag] = true;
                in++;
            }
            assert_int_equal(in, s.items);
        }
        for (size_t i = 0; i < N; i++)
            assert_int_equal(items[i].wanted, covered[items[i].tag]);
    }
}

/* A device where reading any of the bad registers is an exception. */
static size_t poll_device(struct tg_modbus_item *items, size_t n, const struct tg_modbus_limits *l,
                          const bool *bad, size_t *ret_refused)
{
    struct tg_modbus_span s;
    size_t requests = 0, pos = 0;
    *ret_refused = 0;
    while (tg_modbus_plan_next(items, n, l, &pos, &s)) {
        bool ok = true;
        requests++;
        for (uint32_t a = s.address; a < (uint32_t)s.address + s.count; a++)
            ok = ok && !bad[a];
        if (ok)
            continue;
        if (tg_modbus_plan_split(items, n, &s))
            pos = s.first;
        else
            ++*ret_refused;
        assert_true(requests < 1000);
    }
    return requests;
}

static void hole_is_found_and_remembered(void **state)
{
    (void)state;
    bool bad[400] = {false};
    struct tg_modbus_item items[20];
    struct tg_modbus_limits l = {.max_registers = 125, .max_bits = 2000, .max_gap = 10};
    size_t refused;
    for (uint32_t i = 0; i < 20; i++) /* 2 wanted, 2 not: 0,1 4,5 8,9 … */
        items[i] = (struct tg_modbus_item){.unit = 1,
                                           .table = TG_MODBUS_INPUT,
                                           .wanted = true,
                                           .address = (uint16_t)(4 * i),
                                           .count = 2,
                                           .tag = i};
    bad[4 * 7 + 2] = true;
    tg_modbus_plan_sort(items, 20);
    assert_true(poll_device(items, 20, &l, bad, &refused) > 2);
    assert_int_equal(refused, 0);
    /* All is learned: the same pass again meets no exception. */
    size_t again = poll_device(items, 20, &l, bad, &refused);
    assert_int_equal(refused, 0);
    assert_true(again < 12);
    /* With fewer points due the bad hole is not bridged either. */
    for (size_t i = 0; i < 20; i++)
        items[i].wanted = i == 6 || i == 9;
    assert_int_equal(poll_device(items, 20, &l, bad, &refused), 2);
}

static void refused_item_spoils_no_neighbour(void **state)
{
    (void)state;
    bool bad[400] = {false};
    struct tg_modbus_item items[10];
    struct tg_modbus_limits l = {.max_registers = 125, .max_bits = 2000, .max_gap = 10};
    size_t refused;
    for (uint32_t i = 0; i < 10; i++)
        items[i] = (struct tg_modbus_item){.unit = 1,
                                           .table = TG_MODBUS_HOLDING,
                                           .wanted = true,
                                           .address = (uint16_t)i,
                                           .count = 1,
                                           .tag = i};
    bad[6] = true;
    tg_modbus_plan_sort(items, 10);
    (void)poll_device(items, 10, &l, bad, &refused);
    assert_int_equal(refused, 1);
    size_t requests = poll_device(items, 10, &l, bad, &refused);
    assert_int_equal(refused, 1); /* the bad one, on its own */
    assert_true(requests <= 6);
    struct tg_modbus_span s;
    for (size_t pos = 0; tg_modbus_plan_next(items, 10, &l, &pos, &s);)
        assert_true(s.items == 1 || s.address > 6 || s.address + s.count <= 6);
}

static void poll_groups(void **state)
{
    (void)state;
    struct tg_poll_plan p;
    tg_poll_plan_init(&p);
    assert_true(tg_poll_plan_next_ms(&p) == TG_POLL_NEVER);
    assert_int_equal(tg_poll_plan_group(&p, 1000), 0);
    assert_int_equal(tg_poll_plan_group(&p, 5000), 1);
    assert_int_equal(tg_poll_plan_group(&p, 1000), 0);
    tg_poll_plan_start(&p, 100);
    assert_int_equal(tg_poll_plan_due(&p, 99), 0);
    assert_int_equal(tg_poll_plan_due(&p, 100), 3);
    tg_poll_plan_done(&p, 3, 103);
    assert_int_equal(tg_poll_plan_next_ms(&p), 1100);
    for (int64_t t = 1100; t < 5100; t += 1000) {
        assert_int_equal(tg_poll_plan_due(&p, t), 1);
        tg_poll_plan_done(&p, 1, t + 7);
    }
    assert_int_equal(tg_poll_plan_due(&p, 5100), 3); /* together again */
    assert_int_equal(p.missed, 0);
    tg_poll_plan_done(&p, 3, 8250); /* far too late: 6100, 7100 and 8100 passed, the grid stays */
    assert_int_equal(p.missed, 3);
    assert_int_equal(tg_poll_plan_next_ms(&p), 9100);
    tg_poll_plan_hasten(&p, 1, 8300);
    assert_int_equal(tg_poll_plan_due(&p, 8300), 1);
    tg_poll_plan_done(&p, 1, 8310);
    assert_int_equal(tg_poll_plan_next_ms(&p), 9100); /* brought forward once, not shifted */
    for (int64_t e = 1; e <= TG_POLL_MAX_GROUPS - 2; e++)
        assert_true(tg_poll_plan_group(&p, e) >= 0);
    assert_int_equal(tg_poll_plan_group(&p, 77777), TG_EFULL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(properties),
        cmocka_unit_test(hole_is_found_and_remembered),
        cmocka_unit_test(refused_item_spoils_no_neighbour),
        cmocka_unit_test(poll_groups),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
