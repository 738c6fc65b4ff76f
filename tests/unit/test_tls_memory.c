/* SPDX-License-Identifier: GPL-2.0-or-later */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "core/base/allocator.h"
#include "core/net/tls_memory.h"

#define LARGE (40 * 1024)

static unsigned resident_pages(void *ptr, size_t size)
{
    unsigned char vec[64];
    unsigned n = 0;
    size_t pages = (size + 4095) / 4096;
    assert_true(pages <= sizeof vec);
    assert_int_equal(mincore(ptr, size, vec), 0);
    for (size_t i = 0; i < pages; i++)
        n += vec[i] & 1;
    return n;
}

/* The first whole page within a block; LARGE bytes from there on are in it. */
static uint8_t *first_page(uint8_t *block)
{
    return block + (4096 - (uintptr_t)block % 4096) % 4096;
}

static void zero_pages_go_back_and_the_content_stays(void **state)
{
    struct tg_tls_memory_scope scope = {0};
    (void)state;
    if (sysconf(_SC_PAGESIZE) != 4096)
        skip(); /* larger pages: madvise() refuses, documented */
    size_t before = tg_tls_memory_stats().released_bytes;
    tg_tls_memory_scope_enter(&scope);
    uint8_t *block = tg_tls_memory_malloc(LARGE + 4096), *pages;
    tg_tls_memory_scope_leave();
    assert_non_null(block);
    memset(block, 4, LARGE + 4096); /* what lies before and behind the whole pages */
    pages = first_page(block);
    memset(pages, 0, LARGE);
    pages[0] = 1;            /* first byte of page 0 */
    pages[3 * 4096 - 1] = 2; /* last byte of page 2 */
    memset(pages + 5 * 4096, 3, 4096);
    assert_int_equal(resident_pages(pages, LARGE), 10);
    tg_tls_memory_scope_release(&scope);
    assert_int_equal(resident_pages(pages, LARGE), 3);
    assert_int_equal(tg_tls_memory_stats().released_bytes - before, 7 * 4096);
    for (size_t i = 0; i < LARGE; i++) {
        uint8_t want = i == 0 ? 1 : i == 3 * 4096 - 1 ? 2 : i / 4096 == 5 ? 3 : 0;
        assert_int_equal(pages[i], want);
    }
    for (uint8_t *at = block; at < pages; at++)
        assert_int_equal(*at, 4);
    for (uint8_t *at = pages + LARGE; at < block + LARGE + 4096; at++)
        assert_int_equal(*at, 4);
    pages[9 * 4096] = 9; /* released pages can be written again */
    assert_int_equal(pages[9 * 4096], 9);
    tg_tls_memory_scope_fini(&scope);
    tg_tls_memory_free(block);
    tg_tls_memory_trim();
}

static void only_blocks_of_the_scope_are_touched(void **state)
{
    struct tg_tls_memory_scope scope = {0};
    (void)state;
    uint8_t *outside = tg_tls_memory_malloc(LARGE + 4096);
    tg_tls_memory_scope_enter(&scope);
    uint8_t *freed = tg_tls_memory_malloc(LARGE);
    uint8_t *inside = tg_tls_memory_malloc(LARGE + 4096);
    tg_tls_memory_scope_leave();
    assert_true(outside && freed && inside);
    memset(outside, 0, LARGE + 4096);
    memset(inside, 0, LARGE + 4096);
    tg_tls_memory_free(freed);
    tg_tls_memory_scope_release(&scope);
    assert_int_equal(resident_pages(first_page(outside), LARGE), 10);
    if (sysconf(_SC_PAGESIZE) == 4096)
        assert_int_equal(resident_pages(first_page(inside), LARGE), 0);
    tg_tls_memory_scope_fini(&scope); /* the block outlives its scope */
    inside[5] = 5;
    tg_tls_memory_free(inside);
    tg_tls_memory_free(outside);
    tg_tls_memory_trim();
}

static void blocks_grow_and_shrink_across_the_threshold(void **state)
{
    static const size_t sizes[] = {1,      100,  8191, 8192, 8193, 20000, 100000,
                                   300000, 9000, 8192, 8191, 10,   50000, 1};
    int64_t live = tg_alloc_stats().live;
    (void)state;
    uint8_t *block = NULL;
    size_t old = 0;
    for (size_t i = 0; i < sizeof sizes / sizeof sizes[0]; i++) {
        block = tg_tls_memory_realloc(block, sizes[i]);
        assert_non_null(block);
        for (size_t k = 0; k < old && k < sizes[i]; k++)
            assert_int_equal(block[k], (uint8_t)(k * 7 + i - 1));
        for (size_t k = 0; k < sizes[i]; k++)
            block[k] = (uint8_t)(k * 7 + i);
        old = sizes[i];
    }
    tg_tls_memory_free(block);
    tg_tls_memory_free(NULL);
    tg_tls_memory_trim();
    assert_int_equal(tg_alloc_stats().live, live);
    assert_int_equal(tg_tls_memory_stats().large_blocks, 0);
}

static void what_lies_free_between_blocks_goes_back(void **state)
{
    enum { BLOCKS = 64 };
    uint8_t *blocks[BLOCKS];
    unsigned resident = 0;
    (void)state;
    if (sysconf(_SC_PAGESIZE) != 4096 || tg_tls_memory_install() == false)
        skip(); /* a sanitizer's malloc keeps what is freed */
    for (int i = 0; i < BLOCKS; i++) {
        assert_non_null(blocks[i] = tg_tls_memory_malloc(LARGE + 4096));
        memset(blocks[i], 1, LARGE + 4096);
    }
    for (int i = 0; i < BLOCKS; i += 2)
        tg_tls_memory_free(blocks[i]);
    tg_tls_memory_trim();
    for (int i = 0; i < BLOCKS - 2; i += 2)
        resident += resident_pages(first_page(blocks[i]), LARGE);
    assert_true(resident <= BLOCKS); /* of ten a block: malloc's own notes are in some */
    for (int i = 1; i < BLOCKS; i += 2)
        tg_tls_memory_free(blocks[i]);
    assert_int_equal(tg_tls_memory_stats().large_bytes, 0);
    tg_tls_memory_trim();
}

static void *churn(void *arg)
{
    unsigned seed = (unsigned)(uintptr_t)arg;
    struct tg_tls_memory_scope scope = {0};
    for (int round = 0; round < 300; round++) {
        uint8_t *blocks[8];
        tg_tls_memory_scope_enter(&scope);
        for (int i = 0; i < 8; i++) {
            size_t size = 4000 + (size_t)(rand_r(&seed) % 60000);
            blocks[i] = tg_tls_memory_malloc(size);
            memset(blocks[i], 0, size);
            blocks[i][size - 1] = (uint8_t)(i + 1);
            blocks[i][0] = (uint8_t)(size & 0xff);
            memcpy(blocks[i] + 8, &size, sizeof size);
        }
        tg_tls_memory_scope_leave();
        tg_tls_memory_scope_release(&scope);
        for (int i = 0; i < 8; i++) {
            size_t size;
            memcpy(&size, blocks[i] + 8, sizeof size);
            if (blocks[i][size - 1] != i + 1 || blocks[i][0] != (uint8_t)(size & 0xff))
                return (void *)1;
            tg_tls_memory_free(blocks[i]);
        }
    }
    return scope.blocks;
}

static void threads_do_not_disturb_each_other(void **state)
{
    pthread_t threads[4];
    (void)state;
    for (uintptr_t i = 0; i < 4; i++)
        assert_int_equal(pthread_create(&threads[i], NULL, churn, (void *)(i + 1)), 0);
    for (int i = 0; i < 4; i++) {
        void *result;
        pthread_join(threads[i], &result);
        assert_null(result);
    }
    assert_int_equal(tg_tls_memory_stats().large_blocks, 0);
    tg_tls_memory_trim();
}

static void without_memory_the_reserve_serves_and_says_so(void **state)
{
    (void)state;
    int64_t live = tg_alloc_stats().live;
    uint8_t *small = tg_tls_memory_malloc(100);
    memset(small, 42, 100);
    unsigned shortages = tg_tls_memory_shortages();
    tg_alloc_fail_at(1, 1);
    uint8_t *reserved = tg_tls_memory_malloc(100), *large = tg_tls_memory_malloc(LARGE);
    assert_true(reserved && large);
    assert_int_equal((uintptr_t)reserved % 16 + (uintptr_t)large % 16, 0);
    small = tg_tls_memory_realloc(small, 200);
    assert_int_equal(tg_tls_memory_shortages(), shortages + 3);
    assert_int_equal(small[99], 42);
    memset(reserved, 1, 100);
    memset(large, 2, LARGE);
    reserved = tg_tls_memory_realloc(reserved, 5000);
    assert_int_equal(reserved[99], 1);
    assert_null(tg_tls_memory_malloc(TG_TLS_MEMORY_RESERVE_BYTES)); /* it is bounded */
    assert_null(tg_tls_memory_malloc(SIZE_MAX - 4096));
    tg_alloc_fail_at(0, 0);
    large = tg_tls_memory_realloc(large, LARGE + 1); /* moves out of the reserve */
    assert_int_equal(large[LARGE - 1], 2);
    tg_tls_memory_free(large);
    tg_tls_memory_free(reserved);
    tg_tls_memory_free(small);
    assert_int_equal(tg_tls_memory_stats().reserve_blocks, 0);
    tg_tls_memory_trim();
    assert_int_equal(tg_alloc_stats().live, live);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(zero_pages_go_back_and_the_content_stays),
        cmocka_unit_test(only_blocks_of_the_scope_are_touched),
        cmocka_unit_test(blocks_grow_and_shrink_across_the_threshold),
        cmocka_unit_test(what_lies_free_between_blocks_goes_back),
        cmocka_unit_test(threads_do_not_disturb_each_other),
        cmocka_unit_test(without_memory_the_reserve_serves_and_says_so),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
