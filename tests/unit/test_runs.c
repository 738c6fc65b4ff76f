/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * Sets of numbers as runs, against a plain array of bits.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <cmocka.h>

#include "store/runs.h"

#define NUMBERS 300u

static uint64_t rnd = 88172645463325252u;

static uint32_t roll(uint32_t n)
{
    rnd ^= rnd << 13;
    rnd ^= rnd >> 7;
    rnd ^= rnd << 17;
    return (uint32_t)(rnd % n);
}

static void compare(const struct tg_runs *r, const bool *in)
{
    uint64_t rows = 0;
    uint32_t runs = 0;
    for (uint64_t n = 1; n < NUMBERS; n++) {
        const struct tg_run *from = tg_runs_from(r, n);
        uint64_t next = n;
        assert_int_equal(tg_runs_has(r, n), in[n]);
        rows += in[n];
        runs += in[n] && !in[n - 1];
        while (next < NUMBERS && !in[next])
            next++;
        if (next == NUMBERS)
            assert_null(from);
        else
            assert_true(from && from->last >= n && (from->first <= n ? n : from->first) == next);
    }
    assert_int_equal(r->rows, rows);
    assert_int_equal(r->count, runs);
    for (uint32_t i = 1; i < r->count; i++)
        assert_true(r->at[i].first > r->at[i - 1].last + 1);
}

static void test_against_bits(void **state)
{
    struct tg_runs r = {0}, copy = {0};
    static bool in[NUMBERS + 1];
    (void)state;
    for (int i = 0; i < 20000; i++) {
        uint64_t first = 1 + roll(NUMBERS - 1), last = first + roll(6), sum = 0;
        if (last >= NUMBERS)
            last = NUMBERS - 1;
        assert_int_equal(tg_runs_reserve(&r, r.count + 1), TG_OK);
        switch (roll(8)) {
        case 0:
            tg_runs_remove(&r, first);
            in[first] = false;
            break;
        case 1:
            if (roll(10) > 0)
                break;
            for (uint64_t n = 1; n <= first; n++)
                sum += in[n];
            assert_int_equal(tg_runs_cut(&r, first), sum);
            memset(in, 0, first + 1);
            break;
        case 2:
            if (roll(200) > 0)
                break;
            tg_runs_clear(&r);
            memset(in, 0, sizeof in);
            break;
        case 3:
            for (uint64_t n = first; n <= last; n++)
                sum += in[n];
            assert_int_equal(tg_runs_between(&r, first, last), sum);
            break;
        default:
            if (roll(3) > 0)
                last = first;
            tg_runs_add(&r, first, last, last * 10);
            for (uint64_t n = first; n <= last; n++)
                in[n] = true;
        }
        if (i % 50 == 0) {
            compare(&r, in);
            assert_int_equal(tg_runs_copy(&copy, &r), TG_OK);
            compare(&copy, in);
        }
    }
    tg_runs_fini(&r);
    tg_runs_fini(&copy);
}

/* The id belongs to the last number: it stays with it, whatever is merged. */
static void test_ids(void **state)
{
    struct tg_runs r = {0};
    (void)state;
    assert_int_equal(tg_runs_reserve(&r, 4), TG_OK);
    tg_runs_add(&r, 10, 12, 120);
    tg_runs_add(&r, 8, 9, 90);
    assert_int_equal(r.at[0].last_id, 120);
    tg_runs_add(&r, 13, 15, 150);
    assert_int_equal(r.at[0].last_id, 150);
    tg_runs_add(&r, 14, 14, 140);
    assert_int_equal(r.at[0].last_id, 150);
    tg_runs_remove(&r, 15);
    assert_int_equal(r.at[0].last, 14);
    assert_int_equal(r.at[0].last_id, 0); /* not known any more */
    assert_int_equal(r.count, 1);
    tg_runs_fini(&r);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_against_bits), cmocka_unit_test(test_ids)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
