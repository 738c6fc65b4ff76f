/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * allocator - counted allocation, and the seam where tests make it fail.
 *
 * All modules outside the sans-I/O cores (which do not allocate at all) use these. Out of memory
 * fails one session or one request, never the daemon. Thread-safe.
 */
#ifndef TG_BASE_ALLOCATOR_H
#define TG_BASE_ALLOCATOR_H

#include <stddef.h>
#include <stdint.h>

void *tg_malloc(size_t size) __attribute__((malloc, warn_unused_result));
void *tg_calloc(size_t n, size_t size) __attribute__((malloc, warn_unused_result));
void *tg_realloc(void *ptr, size_t size) __attribute__((warn_unused_result));
char *tg_strdup(const char *s) __attribute__((malloc, warn_unused_result));
/* Copies n bytes and appends a NUL. */
char *tg_strndup(const char *s, size_t n) __attribute__((malloc, warn_unused_result));
void tg_free(void *ptr);
/* Wipes size bytes, then frees: for secrets. ptr may be NULL. */
void tg_free_secret(void *ptr, size_t size);

/* Allocations since start and those not yet freed; exact while no other thread allocates. */
struct tg_alloc_stats {
    uint64_t calls, failed; /* failed: there was no memory */
    int64_t live;
};
struct tg_alloc_stats tg_alloc_stats(void);

/* Tests only: fail the nth allocation from now (1 = the next one); with `forever`, all after it too.
 * 0 switches failing off. */
void tg_alloc_fail_at(uint64_t nth, int forever);

/* Frees what a local points to when it goes out of scope: `TG_CLEANUP_FREE char *p = …`. */
#define TG_CLEANUP_FREE __attribute__((cleanup(tg_cleanup_free)))
void tg_cleanup_free(void *ptr_to_ptr);

#endif
