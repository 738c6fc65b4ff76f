/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "core/base/allocator.h"

#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

static atomic_uint_fast64_t calls;
static atomic_int_fast64_t live;
static atomic_uint_fast64_t fail_at; /* value of `calls` that fails; 0 = off */
static atomic_int fail_forever;

static int may_allocate(void)
{
    uint64_t n = atomic_fetch_add_explicit(&calls, 1, memory_order_relaxed) + 1;
    uint64_t at = atomic_load_explicit(&fail_at, memory_order_relaxed);
    if (at == 0)
        return 1;
    if (n == at || (n > at && atomic_load_explicit(&fail_forever, memory_order_relaxed)))
        return 0;
    return 1;
}

static void *counted(void *ptr)
{
    if (ptr)
        atomic_fetch_add_explicit(&live, 1, memory_order_relaxed);
    return ptr;
}

void *tg_malloc(size_t size)
{
    return may_allocate() ? counted(malloc(size ? size : 1)) : NULL;
}

void *tg_calloc(size_t n, size_t size)
{
    if (!may_allocate() || (size && n > SIZE_MAX / size))
        return NULL;
    return counted(calloc(n ? n : 1, size ? size : 1));
}

void *tg_realloc(void *ptr, size_t size)
{
    void *fresh;
    if (!may_allocate())
        return NULL;
    fresh = realloc(ptr, size ? size : 1);
    if (fresh && !ptr)
        counted(fresh);
    return fresh;
}

char *tg_strndup(const char *s, size_t n)
{
    char *copy = tg_malloc(n + 1);
    if (copy) {
        memcpy(copy, s, n);
        copy[n] = '\0';
    }
    return copy;
}

char *tg_strdup(const char *s)
{
    return tg_strndup(s, strlen(s));
}

void tg_free(void *ptr)
{
    if (ptr)
        atomic_fetch_sub_explicit(&live, 1, memory_order_relaxed);
    free(ptr);
}

void tg_free_secret(void *ptr, size_t size)
{
    if (ptr)
        explicit_bzero(ptr, size);
    tg_free(ptr);
}

struct tg_alloc_stats tg_alloc_stats(void)
{
    struct tg_alloc_stats s = {atomic_load(&calls), atomic_load(&live)};
    return s;
}

void tg_alloc_fail_at(uint64_t nth, int forever)
{
    atomic_store(&fail_forever, forever);
    atomic_store(&fail_at, nth ? atomic_load(&calls) + nth : 0);
}

void tg_cleanup_free(void *ptr_to_ptr)
{
    void *ptr;
    memcpy(&ptr, ptr_to_ptr, sizeof ptr);
    tg_free(ptr);
}
