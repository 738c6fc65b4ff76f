/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * tls_memory - where wolfSSL's memory comes from, and how most of a session's is given back.
 *
 * A connected session of Debian's wolfSSL holds some 80 KB, nearly half of it one WOLFSSL_SESSION with room for nine peer
 * certificates that is almost all zeros. Blocks of 8 KB and more are therefore remembered; once a session is connected, each
 * page that lies within one of its blocks and holds only zeros goes back to the kernel with madvise(MADV_DONTNEED). A private
 * anonymous page reads as zero again when it is touched, so nothing changes but the resident size. The blocks come from malloc
 * like all others: in mappings of their own each would leave the rest of its last page unused, 5 KB a session.
 *
 *     scope_enter(&s->scope) … wolfSSL_new(), wolfSSL_connect() … scope_leave()      blocks belong to the scope
 *     scope_release(&s->scope)        zero pages of its blocks go back; then, or at any time
 *     scope_fini(&s->scope)           the blocks stay, they just belong to nobody
 *
 * A block of a scope must not be written by another thread while scope_release() runs: sessions live on one thread.
 * Allocation itself is thread-safe, and counts and fails in tests as ours does. What handshakes leave behind between the
 * blocks that stay goes back with tg_tls_memory_trim(): malloc by itself gives back only what is free at its end.
 *
 * Out of memory: wolfSSL 5.5.4 does not survive every failed allocation (its key loading, for one, writes
 * through NULL). When malloc fails it is therefore served from a reserve of TG_TLS_MEMORY_RESERVE_BYTES
 * (address space that is not touched otherwise), and tg_tls_memory_shortages() tells the caller, who fails
 * the one session that was at work.
 *
 * Under a sanitizer nothing is installed: it must see each allocation itself.
 */
#ifndef TG_NET_TLS_MEMORY_H
#define TG_NET_TLS_MEMORY_H

#include <stdbool.h>
#include <stddef.h>

#define TG_TLS_MEMORY_LARGE_BYTES 8192
/* One call into wolfSSL: two tables of curve points (830 KB each), a handshake flight, two sessions. */
#define TG_TLS_MEMORY_RESERVE_BYTES (2 * 1024 * 1024)

struct tg_tls_memory_block;

struct tg_tls_memory_scope {
    struct tg_tls_memory_block *blocks;
};

/* Installs the allocators; before any other call into wolfSSL. False under a sanitizer, and when the wolfSSL
 * in use takes none. */
bool tg_tls_memory_install(void);
/* Gives free pages back, of the whole process (malloc_trim): some ten milliseconds for 100 MB, so after a burst of handshakes,
 * not after each. wolfSSL may go on. */
void tg_tls_memory_trim(void);

void tg_tls_memory_scope_enter(struct tg_tls_memory_scope *scope);
void tg_tls_memory_scope_leave(void);
void tg_tls_memory_scope_release(struct tg_tls_memory_scope *scope);
void tg_tls_memory_scope_fini(struct tg_tls_memory_scope *scope);

/* How often this thread was served from the reserve: compare before and after a call into wolfSSL; when it
 * has grown, give up what the call worked on. */
unsigned tg_tls_memory_shortages(void);

struct tg_tls_memory_stats {
    size_t large_blocks, large_bytes; /* in use */
    size_t reserve_blocks;            /* in use */
    size_t released_bytes;            /* given back by scope_release() since start */
};
struct tg_tls_memory_stats tg_tls_memory_stats(void);

/* The allocators themselves, for tests. */
void *tg_tls_memory_malloc(size_t size);
void *tg_tls_memory_realloc(void *ptr, size_t size);
void tg_tls_memory_free(void *ptr);

#endif
