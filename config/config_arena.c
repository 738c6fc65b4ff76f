/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "config/config_arena.h"

#include <stdalign.h>

#include "core/base/allocator.h"

#define FIRST_BLOCK_BYTES   4096
#define LARGEST_BLOCK_BYTES 262144

struct tg_arena_block {
    struct tg_arena_block *next;
    alignas(max_align_t) uint8_t data[];
};

void *tg_arena_alloc(struct tg_arena *a, size_t count, size_t size)
{
    const size_t align = alignof(max_align_t);
    size_t bytes;
    void *at;
    if (size != 0 && count > (SIZE_MAX / 2) / size)
        return NULL;
    bytes = (count * size + align - 1) / align * align;
    if (!a->blocks || a->size - a->used < bytes) {
        size_t next = a->size ? a->size * 2 : FIRST_BLOCK_BYTES;
        struct tg_arena_block *b;
        if (next > LARGEST_BLOCK_BYTES)
            next = LARGEST_BLOCK_BYTES;
        if (next < bytes)
            next = bytes;
        b = tg_calloc(1, sizeof *b + next);
        if (!b)
            return NULL;
        b->next = a->blocks;
        a->blocks = b;
        a->size = next;
        a->used = 0;
    }
    at = a->blocks->data + a->used;
    a->used += bytes;
    return at;
}

char *tg_arena_text(struct tg_arena *a, const char *text, size_t len)
{
    char *copy = tg_arena_alloc(a, 1, len + 1);
    if (copy && len)
        memcpy(copy, text, len);
    return copy;
}

void tg_arena_free(struct tg_arena *a)
{
    while (a->blocks) {
        struct tg_arena_block *next = a->blocks->next;
        tg_free(a->blocks);
        a->blocks = next;
    }
    *a = (struct tg_arena){0};
}
