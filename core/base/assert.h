/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * assert - assertions for programmer mistakes, and magic numbers for objects behind a void *.
 *
 * Assertions stay on in release builds and must be free of side effects. Input, peers, disks and
 * memory can always fail: those are errors, not assertions. Every pointer that comes back from libuv
 * or a plugin as void * is checked by magic; it is poisoned before its memory is given back.
 *
 *     struct session { uint32_t magic; … };
 *     #define SESSION_MAGIC 0x5e551011u
 *     struct session *s = TG_OBJECT(handle->data, struct session, SESSION_MAGIC);
 */
#ifndef TG_BASE_ASSERT_H
#define TG_BASE_ASSERT_H

#include <stdint.h>

#define TG_ASSERT(expr) ((expr) ? (void)0 : tg_assert_failed(#expr, __FILE__, __LINE__))

#define TG_OBJECT(ptr, type, want) ((type *)tg_object_check((ptr), (want), __FILE__, __LINE__))
#define TG_OBJECT_POISON(obj)      ((void)((obj)->magic = 0xdeadbeefu))

_Noreturn void tg_assert_failed(const char *expr, const char *file, int line);
/* The object's first member must be `uint32_t magic`. */
void *tg_object_check(void *ptr, uint32_t want, const char *file, int line);

#endif
