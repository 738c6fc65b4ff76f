/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * config_arena - many small pieces of memory that live and die together (the nodes of a YAML tree, the texts
 * and arrays of a model). Zero-initialised it is valid and empty. One thread at a time.
 */
#ifndef TG_CONFIG_ARENA_H
#define TG_CONFIG_ARENA_H

#include "core/base/bytes.h"

struct tg_arena_block;

struct tg_arena {
    struct tg_arena_block *blocks;
    size_t used, size; /* of the newest block */
};

/* Zeroed and aligned for any type; NULL when out of memory. */
void *tg_arena_alloc(struct tg_arena *a, size_t count, size_t size) __attribute__((warn_unused_result));
/* A copy with a NUL. */
char *tg_arena_text(struct tg_arena *a, const char *text, size_t len) __attribute__((warn_unused_result));
void tg_arena_free(struct tg_arena *a);

#endif
