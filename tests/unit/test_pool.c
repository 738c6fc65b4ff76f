/* SPDX-License-Identifier: GPL-2.0-or-later */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <string.h>

#include <cmocka.h>

#include "core/base/allocator.h"
#include "core/base/pool.h"

#define KEEPS TG_POOL_KEEPS

static void a_block_comes_again(void **state)
{
    struct tg_pool p = TG_POOL(1000);
    int64_t live = tg_alloc_stats().live;
    (void)state;
    void *a = tg_pool_take(&p, 65), *b = tg_pool_take(&p, 64);
    memset(a, 1, 65);
    memset(b, 2, 64);
    tg_pool_give(&p, a, 65);
    tg_pool_give(&p, b, 64);
    uint64_t calls = tg_alloc_stats().calls;
    void *again = tg_pool_take(&p, 128); /* of the same kind as 65 */
    assert_non_null(again);
    if (KEEPS) {
        assert_ptr_equal(again, a);
        assert_int_equal(tg_alloc_stats().calls, calls);
        assert_int_equal(p.kept_bytes, 64);
    }
    memset(again, 3, 128);
    tg_pool_give(&p, again, 128);
    tg_pool_drain(&p);
    assert_int_equal(p.kept_bytes, 0);
    assert_int_equal(tg_alloc_stats().live, live);
}

static void no_more_than_the_limit_is_kept(void **state)
{
    struct tg_pool p = TG_POOL(200), none = TG_POOL(0);
    int64_t live = tg_alloc_stats().live;
    void *blocks[5];
    (void)state;
    for (int i = 0; i < 5; i++)
        blocks[i] = tg_pool_take(&p, 60);
    for (int i = 0; i < 5; i++)
        tg_pool_give(&p, blocks[i], 60);
    assert_int_equal(p.kept_bytes, KEEPS ? 192 : 0);
    assert_int_equal(tg_alloc_stats().live, live + (KEEPS ? 3 : 0));
    tg_pool_drain(&p);
    tg_pool_give(&none, tg_pool_take(&none, 10), 10);
    void *large = tg_pool_take(&p, TG_POOL_BLOCK_MAX + 1);
    tg_pool_give(&p, large, TG_POOL_BLOCK_MAX + 1);
    tg_pool_give(&p, tg_pool_take(&p, 0), 0);
    tg_pool_drain(&p);
    assert_int_equal(tg_alloc_stats().live, live);
}

static void no_memory_is_said(void **state)
{
    struct tg_pool p = TG_POOL(1000);
    (void)state;
    tg_alloc_fail_at(1, 0);
    assert_null(tg_pool_take(&p, 10));
    tg_alloc_fail_at(0, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(a_block_comes_again),
                                       cmocka_unit_test(no_more_than_the_limit_is_kept),
                                       cmocka_unit_test(no_memory_is_said)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
