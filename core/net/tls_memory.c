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
#define MAX_SPARE_PAGES 32u

/* One mapping. Its record lives outside, so that a whole page can be all zeros. */
struct tg_tls_memory_block {
    uint8_t *data;
    size_t size, pages;
    struct tg_tls_memory_block *next_in_slot;
    struct tg_tls_memory_block *next, **link; /* in a scope's list; link NULL = in none */
};

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static struct tg_tls_memory_block *table[TABLE_SLOTS];
static struct tg_tls_memory_block
    *spare[MAX_SPARE_PAGES + 1]; /* by number of pages, linked by next_in_slot */
static struct tg_tls_memory_stats stats;
static _Thread_local struct tg_tls_memory_scope *current;
static _Thread_local unsigned shortages;

/* The reserve is a stack that is empty again once every block is freed: it is used for one call at a time. */
static _Alignas(16) uint8_t reserve[TG_TLS_MEMORY_RESERVE_BYTES];
static size_t reserve_used;

static struct tg_tls_memory_block **slot_of(const void *ptr)
{
    uintptr_t page = (uintptr_t)ptr / PAGE;
    return &table[(page ^ (page >> 8) ^ (page >> 16)) % TABLE_SLOTS];
}

/* --- blocks, under the lock ------------------------------------------------------------------ */

static struct tg_tls_memory_block *take_spare(size_t pages)
{
    if (pages > MAX_SPARE_PAGES || !spare[pages])
        return NULL;
    struct tg_tls_memory_block *b = spare[pages];
    spare[pages] = b->next_in_slot;
    stats.spare_bytes -= b->pages * PAGE;
    return b;
}

static bool keep_spare(struct tg_tls_memory_block *b)
{
    if (b->pages > MAX_SPARE_PAGES || stats.spare_bytes + b->pages * PAGE > TG_TLS_MEMORY_SPARE_BYTES)
        return false;
    b->next_in_slot = spare[b->pages];
    spare[b->pages] = b;
    stats.spare_bytes += b->pages * PAGE;
    return true;
}

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
    stats.large_bytes += b->pages * PAGE;
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

static bool may_be_large(const void *ptr)
{
    return (uintptr_t)ptr % PAGE == 0;
}

static void unmap(struct tg_tls_memory_block *b)
{
    int rc = munmap(b->data, b->pages * PAGE);
    TG_ASSERT(rc == 0);
    tg_free(b);
}

static void *large_malloc(size_t size)
{
    size_t pages = (size + PAGE - 1) / PAGE;
    pthread_mutex_lock(&lock);
    struct tg_tls_memory_block *b = take_spare(pages);
    if (b) {
        b->size = size;
        enlist(b);
    }
    pthread_mutex_unlock(&lock);
    if (b)
        return b->data;
    b = tg_calloc(1, sizeof *b);
    if (!b)
        return NULL;
    void *data = mmap(NULL, pages * PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (data == MAP_FAILED) {
        tg_free(b);
        return NULL;
    }
    b->data = data;
    b->pages = pages;
    b->size = size;
    pthread_mutex_lock(&lock);
    enlist(b);
    pthread_mutex_unlock(&lock);
    return data;
}

/* False when ptr is not one of ours. */
static bool large_free(void *ptr)
{
    pthread_mutex_lock(&lock);
    struct tg_tls_memory_block **at = find(ptr), *b = *at;
    bool kept = false;
    if (b) {
        *at = b->next_in_slot;
        leave_scope(b);
        stats.large_blocks--;
        stats.large_bytes -= b->pages * PAGE;
        kept = keep_spare(b);
    }
    pthread_mutex_unlock(&lock);
    if (b && !kept)
        unmap(b);
    return b != NULL;
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
    size_t known = 0; /* 0 = malloc's */
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
    for (size_t pages = 0; pages <= MAX_SPARE_PAGES; pages++)
        for (;;) {
            pthread_mutex_lock(&lock);
            struct tg_tls_memory_block *b = take_spare(pages);
            pthread_mutex_unlock(&lock);
            if (!b)
                break;
            unmap(b);
        }
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

static void release_zero_pages(const struct tg_tls_memory_block *b)
{
    size_t run = 0; /* zero pages just before page i */
    for (size_t i = 0; i <= b->pages; i++) {
        if (i < b->pages && all_zero(b->data + i * PAGE)) {
            run++;
            continue;
        }
        if (run > 0 && madvise(b->data + (i - run) * PAGE, run * PAGE, MADV_DONTNEED) == 0)
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
