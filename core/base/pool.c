/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "core/base/pool.h"

#include <string.h>

#include "core/base/allocator.h"

/* Every block is as large as its kind, so that any of the kind can be the next. */
static size_t kind_of(size_t size)
{
    return size == 0 ? 0 : (size - 1) / TG_POOL_STEP;
}

void *tg_pool_take(struct tg_pool *p, size_t size)
{
    size_t kind = kind_of(size);
    void *block;
    if (!TG_POOL_KEEPS || size > TG_POOL_BLOCK_MAX)
        return tg_malloc(size);
    block = p->free[kind];
    if (!block)
        return tg_malloc((kind + 1) * TG_POOL_STEP);
    memcpy(&p->free[kind], block, sizeof block);
    p->kept_bytes -= (kind + 1) * TG_POOL_STEP;
    return block;
}

void tg_pool_give(struct tg_pool *p, void *block, size_t size)
{
    size_t kind = kind_of(size), bytes = (kind + 1) * TG_POOL_STEP;
    if (!TG_POOL_KEEPS || size > TG_POOL_BLOCK_MAX || p->kept_bytes + bytes > p->limit_bytes) {
        tg_free(block);
        return;
    }
    memcpy(block, &p->free[kind], sizeof block);
    p->free[kind] = block;
    p->kept_bytes += bytes;
}

void tg_pool_drain(struct tg_pool *p)
{
    for (size_t kind = 0; kind < sizeof p->free / sizeof p->free[0]; kind++)
        for (void *block = p->free[kind], *next; block; block = next) {
            memcpy(&next, block, sizeof next);
            tg_free(block);
        }
    *p = TG_POOL(p->limit_bytes);
}
