/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "core/base/allocator.h"

#include <stdatomic.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

/* Counts are kept a thread each, on a cache line each: threads that allocate at the same time (the loop, the store, a source) would
 * otherwise pass one line to and fro for every block. The line beyond the last is shared by all threads that find none left. */
#define LINES 32
struct line {
    _Alignas(64) atomic_uint_fast64_t calls;
    atomic_int_fast64_t live; /* of blocks that another thread freed it is too high there and too low here */
};
static struct line lines[LINES + 1];
static atomic_uint lines_taken;
static _Thread_local struct line *mine;

static atomic_uint_fast64_t fail_at; /* allocations until one fails; 0 = off */
static atomic_int fail_forever;
static atomic_uint_fast64_t failed;

static struct line *my_line(void)
{
    if (!mine) {
        unsigned i = atomic_fetch_add(&lines_taken, 1);
        mine = &lines[i < LINES ? i : LINES];
    }
    return mine;
}

/* Only this thread writes its line, so it needs no locked instruction. */
static void count(int_fast64_t live, uint_fast64_t calls)
{
    struct line *l = my_line();
    if (l == &lines[LINES]) {
        atomic_fetch_add_explicit(&l->live, live, memory_order_relaxed);
        atomic_fetch_add_explicit(&l->calls, calls, memory_order_relaxed);
        return;
    }
    atomic_store_explicit(&l->live, atomic_load_explicit(&l->live, memory_order_relaxed) + live,
                          memory_order_relaxed);
    if (calls)
        atomic_store_explicit(&l->calls, atomic_load_explicit(&l->calls, memory_order_relaxed) + calls,
                              memory_order_relaxed);
}

/* Tests only. */
static int counted_down(void)
{
    uint64_t left = atomic_load(&fail_at);
    while (left > 1)
        if (atomic_compare_exchange_weak(&fail_at, &left, left - 1))
            return 1;
    if (left == 1 && !atomic_load(&fail_forever))
        atomic_store(&fail_at, 0);
    return left == 0;
}

static int may_allocate(void)
{
    count(0, 1);
    return atomic_load_explicit(&fail_at, memory_order_relaxed) == 0 || counted_down();
}

static void *counted(void *ptr)
{
    if (ptr)
        count(1, 0);
    else
        atomic_fetch_add_explicit(&failed, 1, memory_order_relaxed);
    return ptr;
}

void *tg_malloc(size_t size)
{
    return counted(may_allocate() ? malloc(size ? size : 1) : NULL);
}

void *tg_calloc(size_t n, size_t size)
{
    bool fits = may_allocate() && (size == 0 || n <= SIZE_MAX / size);
    return counted(fits ? calloc(n ? n : 1, size ? size : 1) : NULL);
}

void *tg_realloc(void *ptr, size_t size)
{
    void *fresh = may_allocate() ? realloc(ptr, size ? size : 1) : NULL;
    return fresh && ptr ? fresh : counted(fresh);
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
        count(-1, 0);
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
    struct tg_alloc_stats s = {.failed = atomic_load(&failed)};
    for (int i = 0; i <= LINES; i++) {
        s.calls += atomic_load(&lines[i].calls);
        s.live += atomic_load(&lines[i].live);
    }
    s.failed = atomic_load(&failed);
    return s;
}

void tg_alloc_fail_at(uint64_t nth, int forever)
{
    atomic_store(&fail_forever, forever);
    atomic_store(&fail_at, nth);
}

void tg_cleanup_free(void *ptr_to_ptr)
{
    void *ptr;
    memcpy(&ptr, ptr_to_ptr, sizeof ptr);
    tg_free(ptr);
}
