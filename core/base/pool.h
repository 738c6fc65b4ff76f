/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * pool - blocks that come and go with every sample, kept for the next one instead of being given back to malloc(), whose
 * small per-thread cache is of no use to them: they live in bursts, and many end on another thread than the one that made them.
 *
 *     struct row *row = tg_pool_take(&pool, sizeof *row + n);         …         tg_pool_give(&pool, row, sizeof *row + n);
 *
 * Whoever gives a block says the size that it was taken with, or less. A block that is in no pool goes by tg_free() as well. Sizes above
 * TG_POOL_BLOCK_MAX are not kept.
 * MEMORY   At most limit_bytes are kept; with 0, and in a build with a sanitizer (which looks for uses after the end), none.
 * One thread. TG_POOL() makes an empty one; tg_pool_drain() empties it.
 */
#ifndef TG_BASE_POOL_H
#define TG_BASE_POOL_H

#include <stddef.h>

#define TG_POOL_STEP      64
#define TG_POOL_BLOCK_MAX 2048

#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
#define TG_POOL_KEEPS 0
#elif defined(__has_feature)
#define TG_POOL_KEEPS !(__has_feature(address_sanitizer) || __has_feature(thread_sanitizer))
#else
#define TG_POOL_KEEPS 1
#endif

struct tg_pool {
    void
        *free[TG_POOL_BLOCK_MAX / TG_POOL_STEP]; /* by size; the first word of a free block is the next one */
    size_t kept_bytes, limit_bytes;
};

#define TG_POOL(limit) ((struct tg_pool){.limit_bytes = (limit)})

/* NULL = out of memory. */
void *tg_pool_take(struct tg_pool *p, size_t size) __attribute__((warn_unused_result));
void tg_pool_give(struct tg_pool *p, void *block, size_t size);
void tg_pool_drain(struct tg_pool *p);

#endif
