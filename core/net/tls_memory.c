/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "core/net/tls_memory.h"

#include <malloc.h>
#include <pthread.h>
#include <stdint.h>
#include <string.h>
#include <sys/mman.h>

#include "core/base/allocator.h"
#include "core/base/assert.h"
#include "core/net/wolfssl.h"

#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
#define UNDER_SANITIZER
#elif defined(__has_feature)
#if __has_feature(address_sanitizer) || __has_feature(thread_sanitizer) || __has_feature(memory_sanitizer)
#define UNDER_SANITIZER
#endif
#endif

#define PAGE 4096u /* where the kernel's are larger, madvise() refuses: the memory just stays */
#define TABLE_SLOTS                                                                                          \
    256u /* hash heads; a block per session and ticket, two on average at 1,000 sessions are 8 a slot */

/* A large block. Its record lives outside, so that the pages within it can be all zeros. */
struct tg_tls_memory_block {
    uint8_t *data;
    size_t size;
    struct tg_tls_memory_block *next_in_slot;
    struct tg_tls_memory_block *next, **link; /* in a scope's list; link NULL = in none */
};

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static struct tg_tls_memory_block *table[TABLE_SLOTS];
static struct tg_tls_memory_stats stats;
static _Thread_local struct tg_tls_memory_scope *current;
static _Thread_local unsigned shortages;

/* The reserve is a stack that is empty again once every block is freed: it is used for one call at a time. */
static _Alignas(16) uint8_t reserve[TG_TLS_MEMORY_RESERVE_BYTES];
static size_t reserve_used;

static struct tg_tls_memory_block **slot_of(const void *ptr)
{
    uintptr_t at = (uintptr_t)ptr / 16; /* malloc's alignment */
    return &table[(at ^ (at >> 8) ^ (at >> 16)) % TABLE_SLOTS];
}

/* --- blocks, under the lock ------------------------------------------------------------------ */

static void enlist(struct tg_tls_memory_block *b)
{
    struct tg_tls_memory_block **slot = slot_of(b->data);
    b->next_in_slot = *slot;
    *slot = b;
    b->link = NULL;
    if (current) {
        b->next = current->blocks;
        b->link = &current->blocks;
        if (b->next)
            b->next->link = &b->next;
        current->blocks = b;
    }
    stats.large_blocks++;
    stats.large_bytes += b->size;
}

static void leave_scope(struct tg_tls_memory_block *b)
{
    if (!b->link)
        return;
    *b->link = b->next;
    if (b->next)
        b->next->link = b->link;
    b->link = NULL;
}

static struct tg_tls_memory_block **find(const void *ptr)
{
    struct tg_tls_memory_block **at = slot_of(ptr);
    while (*at && (*at)->data != ptr)
        at = &(*at)->next_in_slot;
    return at;
}

/* --- large blocks ---------------------------------------------------------------------------- */

static bool may_be_large(void *ptr)
{
    return malloc_usable_size(ptr) >= TG_TLS_MEMORY_LARGE_BYTES;
}

static void *large_malloc(size_t size)
{
    struct tg_tls_memory_block *b = tg_calloc(1, sizeof *b);
    if (!b)
        return NULL;
    b->data = tg_malloc(size);
    if (!b->data) {
        tg_free(b);
        return NULL;
    }
    b->size = size;
    pthread_mutex_lock(&lock);
    enlist(b);
    pthread_mutex_unlock(&lock);
    return b->data;
}

/* False when ptr is not one of ours. */
static bool large_free(void *ptr)
{
    pthread_mutex_lock(&lock);
    struct tg_tls_memory_block **at = find(ptr), *b = *at;
    if (b) {
        *at = b->next_in_slot;
        leave_scope(b);
        stats.large_blocks--;
        stats.large_bytes -= b->size;
    }
    pthread_mutex_unlock(&lock);
    if (!b)
        return false;
    tg_free(b->data);
    tg_free(b);
    return true;
}

static size_t large_size(const void *ptr)
{
    pthread_mutex_lock(&lock);
    const struct tg_tls_memory_block *b = *find(ptr);
    size_t size = b ? b->size : 0;
    pthread_mutex_unlock(&lock);
    return size;
}

/* --- reserve --------------------------------------------------------------------------------- */

struct reserve_head {
    _Alignas(16) size_t size;
};

static bool in_reserve(const void *ptr)
{
    return (const uint8_t *)ptr >= reserve && (const uint8_t *)ptr < reserve + sizeof reserve;
}

static void *reserve_malloc(size_t size)
{
    struct reserve_head *head = NULL;
    size_t whole = sizeof *head + (size + 15) / 16 * 16;
    pthread_mutex_lock(&lock);
    if (size < sizeof reserve && whole <= sizeof reserve - reserve_used) {
        head = (struct reserve_head *)(void *)(reserve + reserve_used);
        head->size = size;
        reserve_used += whole;
        stats.reserve_blocks++;
    }
    pthread_mutex_unlock(&lock);
    shortages++;
    return head ? head + 1 : NULL;
}

static void reserve_free(void)
{
    pthread_mutex_lock(&lock);
    if (--stats.reserve_blocks == 0)
        reserve_used = 0;
    pthread_mutex_unlock(&lock);
}

unsigned tg_tls_memory_shortages(void)
{
    return shortages;
}

/* --- allocators ------------------------------------------------------------------------------ */

void *tg_tls_memory_malloc(size_t size)
{
    void *ptr = size >= TG_TLS_MEMORY_LARGE_BYTES ? large_malloc(size) : tg_malloc(size);
    return ptr ? ptr : reserve_malloc(size);
}

void tg_tls_memory_free(void *ptr)
{
    if (!ptr)
        return;
    if (in_reserve(ptr))
        reserve_free();
    else if (!(may_be_large(ptr) && large_free(ptr)))
        tg_free(ptr);
}

void *tg_tls_memory_realloc(void *ptr, size_t size)
{
    size_t known = 0; /* 0 = small, of tg_malloc() */
    if (ptr && in_reserve(ptr))
        known = ((struct reserve_head *)ptr)[-1].size;
    else if (ptr && may_be_large(ptr))
        known = large_size(ptr);
    if (known == 0 && size < TG_TLS_MEMORY_LARGE_BYTES) {
        void *moved = tg_realloc(ptr, size);
        if (moved)
            return moved;
    }
    void *fresh = tg_tls_memory_malloc(size);
    if (!fresh)
        return NULL;
    if (ptr) {
        size_t old = known ? known : malloc_usable_size(ptr);
        memcpy(fresh, ptr, old < size ? old : size);
        tg_tls_memory_free(ptr);
    }
    return fresh;
}

bool tg_tls_memory_install(void)
{
#ifdef UNDER_SANITIZER
    return false;
#else
    return wolfSSL_SetAllocators(tg_tls_memory_malloc, tg_tls_memory_free, tg_tls_memory_realloc) == 0;
#endif
}

void tg_tls_memory_trim(void)
{
    (void)malloc_trim(0);
}

/* --- scopes ---------------------------------------------------------------------------------- */

void tg_tls_memory_scope_enter(struct tg_tls_memory_scope *scope)
{
    TG_ASSERT(!current);
    current = scope;
}

void tg_tls_memory_scope_leave(void)
{
    current = NULL;
}

static bool all_zero(const uint8_t *page)
{
    return page[0] == 0 && memcmp(page, page + 1, PAGE - 1) == 0;
}

/* Only pages that lie wholly within the block: the others hold something of its neighbours too. */
static void release_zero_pages(const struct tg_tls_memory_block *b)
{
    uint8_t *first = b->data + (PAGE - (uintptr_t)b->data % PAGE) % PAGE, *end = b->data + b->size;
    size_t pages = end > first ? (size_t)(end - first) / PAGE : 0,
           run = 0; /* zero pages just before page i */
    for (size_t i = 0; i <= pages; i++) {
        if (i < pages && all_zero(first + i * PAGE)) {
            run++;
            continue;
        }
        if (run > 0 && madvise(first + (i - run) * PAGE, run * PAGE, MADV_DONTNEED) == 0)
            stats.released_bytes += run * PAGE;
        run = 0;
    }
}

void tg_tls_memory_scope_release(struct tg_tls_memory_scope *scope)
{
    pthread_mutex_lock(&lock);
    for (const struct tg_tls_memory_block *b = scope->blocks; b; b = b->next)
        release_zero_pages(b);
    pthread_mutex_unlock(&lock);
}

void tg_tls_memory_scope_fini(struct tg_tls_memory_scope *scope)
{
    pthread_mutex_lock(&lock);
    while (scope->blocks)
        leave_scope(scope->blocks);
    pthread_mutex_unlock(&lock);
}

struct tg_tls_memory_stats tg_tls_memory_stats(void)
{
    pthread_mutex_lock(&lock);
    struct tg_tls_memory_stats s = stats;
    pthread_mutex_unlock(&lock);
    return s;
}
