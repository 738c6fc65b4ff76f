/* SPDX-License-Identifier: GPL-2.0-or-later */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <string.h>

#include <cmocka.h>

#include "core/base/allocator.h"
#include "core/base/assert.h"

static void allocations_are_counted(void **state)
{
    struct tg_alloc_stats before = tg_alloc_stats(), after;
    void *a = tg_malloc(0), *b = tg_calloc(3, 5), *c = tg_realloc(NULL, 10);
    char *d = tg_strdup("text"), *e = tg_strndup("text", 2);
    (void)state;
    assert_non_null(a);
    assert_memory_equal(b, "\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0", 15);
    assert_string_equal(d, "text");
    assert_string_equal(e, "te");
    c = tg_realloc(c, 1000); /* moves, does not add */
    after = tg_alloc_stats();
    assert_int_equal(after.calls - before.calls, 6);
    assert_int_equal(after.live - before.live, 5);
    tg_free(a);
    tg_free(b);
    tg_free(c);
    tg_free(d);
    tg_free_secret(e, 2);
    tg_free(NULL);
    tg_free_secret(NULL, 5);
    assert_int_equal(tg_alloc_stats().live, before.live);
}

static void absurd_sizes_fail(void **state)
{
    volatile size_t huge = SIZE_MAX / 2;
    int64_t live = tg_alloc_stats().live;
    (void)state;
    assert_null(tg_calloc(huge, huge));
    assert_int_equal(tg_alloc_stats().live, live);
}

static int fails(void)
{
    void *p = tg_malloc(1);
    tg_free(p);
    return p == NULL;
}

static void the_nth_fails_once_or_for_ever(void **state)
{
    void *kept;
    (void)state;
    tg_alloc_fail_at(3, 0);
    assert_int_equal(fails(), 0);
    assert_int_equal(fails(), 0);
    assert_int_equal(fails(), 1);
    assert_int_equal(fails(), 0);
    tg_alloc_fail_at(2, 1);
    assert_int_equal(fails(), 0);
    assert_int_equal(fails(), 1);
    assert_int_equal(fails(), 1);
    tg_alloc_fail_at(0, 0);
    assert_int_equal(fails(), 0);
    kept = tg_malloc(4);
    tg_alloc_fail_at(1, 0);
    assert_null(tg_realloc(kept, 100)); /* what was there stays */
    memset(kept, 1, 4);
    tg_alloc_fail_at(1, 0);
    assert_null(tg_strdup("x"));
    tg_alloc_fail_at(0, 0);
    tg_free(kept);
}

static void scopes_clean_up(void **state)
{
    int64_t live = tg_alloc_stats().live;
    (void)state;
    {
        TG_CLEANUP_FREE char *text = tg_strdup("x");
        TG_CLEANUP_FREE char *nothing = NULL;
        (void)nothing;
        assert_non_null(text);
        assert_int_equal(tg_alloc_stats().live, live + 1);
    }
    assert_int_equal(tg_alloc_stats().live, live);
}

/* --- the assertions that guard objects behind a void * --- */

struct object {
    uint32_t magic;
    int value;
};
#define OBJECT_MAGIC 0x0b1ec700u

static void a_sound_object_passes(void **state)
{
    struct object o = {OBJECT_MAGIC, 7};
    int evaluated = 0;
    (void)state;
    assert_int_equal(TG_OBJECT(&o, struct object, OBJECT_MAGIC)->value, 7);
    TG_ASSERT(++evaluated == 1); /* once, in every build */
    assert_int_equal(evaluated, 1);
    TG_OBJECT_POISON(&o);
    assert_int_equal(o.magic, 0xdeadbeefu);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(allocations_are_counted),        cmocka_unit_test(absurd_sizes_fail),
        cmocka_unit_test(the_nth_fails_once_or_for_ever), cmocka_unit_test(scopes_clean_up),
        cmocka_unit_test(a_sound_object_passes),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
