/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * plugin_blocks - the memory of samples on their way from an instance to the loop, used again instead of freed on another thread than
 * the one that allocates it.
 */
#include "core/base/allocator.h"
#include "southbound/plugin_host_private.h"

#define KEPT_BYTES (64 * 1024) /* on either side */

void *tg_blocks_take(struct tg_host_source *s, size_t size)
{
    struct tg_mail *m =
        atomic_load_explicit(&s->returned, memory_order_relaxed)
            ? atomic_exchange_explicit(&s->returned, (struct tg_mail *)NULL, memory_order_acquire)
            : NULL;
    for (struct tg_mail *next; m; m = next) {
        next = m->next;
        tg_pool_give(&s->blocks, m, m->cost);
    }
    s->blocks.limit_bytes = KEPT_BYTES;
    return tg_pool_take(&s->blocks, size);
}

void tg_blocks_spend(struct tg_host_source *s, struct tg_up_mail *m)
{
    if (m->kind != TG_MAIL_SAMPLE || m->mail.cost > TG_POOL_BLOCK_MAX ||
        s->spent_bytes + m->mail.cost > KEPT_BYTES) {
        tg_free(m);
        return;
    }
    s->spent_bytes += m->mail.cost;
    m->mail.next = s->spent;
    s->spent = &m->mail;
}

void tg_blocks_return(struct tg_host_source *s)
{
    struct tg_mail *none = NULL;
    if (!s->spent || !atomic_compare_exchange_strong_explicit(&s->returned, &none, s->spent,
                                                              memory_order_release, memory_order_relaxed))
        return; /* the last ones have not been fetched: these wait */
    s->spent = NULL;
    s->spent_bytes = 0;
}

static void free_chain(struct tg_mail *m)
{
    for (struct tg_mail *next; m; m = next) {
        next = m->next;
        tg_free(m);
    }
}

void tg_blocks_fini(struct tg_host_source *s)
{
    free_chain(s->spent);
    free_chain(atomic_exchange(&s->returned, (struct tg_mail *)NULL));
    tg_pool_drain(&s->blocks);
}
