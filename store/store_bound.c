/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * Memory at its bound while the database takes nothing: what goes.
 */
#include "store/store_private.h"

/* Rows that every cloud has acknowledged, also one whose feed is closed, need not be stored any more. */
static void sweep(struct tg_store *s)
{
    struct tg_row_list keep = {0};
    while (s->rows.head && s->rows.head != s->unhanded) {
        struct tg_row *row = tg_row_list_pop(&s->rows);
        if (!tg_store_done_with(s, row)) {
            tg_row_list_push(&keep, row);
            continue;
        }
        tg_feeds_not_told(&s->feeds, row);
        tg_store_thread_gone(&s->thread, row, TG_GONE_PASSED);
        s->spared++;
        tg_row_unref(row);
    }
    while (s->rows.head)
        tg_row_list_push(&keep, tg_row_list_pop(&s->rows));
    s->rows = keep;
    s->bytes_since_sweep = 0;
}

static void drop_oldest(struct tg_store *s)
{
    struct tg_row *row = tg_row_list_pop(&s->rows);
    if (s->unhanded == row)
        s->unhanded = s->rows.head;
    tg_feeds_not_told(&s->feeds, row);
    if (tg_store_done_with(s, row)) {
        tg_store_thread_gone(&s->thread, row, TG_GONE_PASSED);
        s->spared++;
    } else {
        s->dropped_memory++;
        tg_store_thread_gone(&s->thread, row, TG_GONE_LOST);
        tg_feeds_dropped(&s->feeds, row);
    }
    tg_row_unref(row);
}

bool tg_store_make_room(struct tg_store *s, size_t need)
{
    size_t limit = s->o.uncommitted_limit_bytes;
    struct tg_feed *f;
    tg_store_give_held(s);
    if (!s->news.from_memory || !s->rows.head || need > limit ||
        !tg_store_thread_borrow(&s->thread, s->rows.head))
        return false;
    if (s->bytes_since_sweep >= limit / 8)
        sweep(s);
    while (s->rows.bytes + need > limit && s->o.outbox.when_full == TG_WHEN_FULL_DROP_OLDEST)
        drop_oldest(s);
    /* What is lost goes with the transaction that records its numbers as never stored. */
    TAILQ_FOREACH(f, &s->feeds.dirty, in_dirty)
    tg_store_give_acks(s, f);
    s->given_tail = s->rows.tail;
    tg_store_thread_return(&s->thread, s->rows.head, s->rows.count);
    return s->rows.bytes + need <= limit;
}
