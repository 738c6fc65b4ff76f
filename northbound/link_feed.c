/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * Between a feed with its two streams and the batches of a link.
 */
#include "northbound/link.h"

void tg_link_choose(struct tg_session *s, int64_t now_ms)
{
    const struct tg_link *l = s->link;
    uint32_t ahead = tg_feed_ready_ahead(s->feed);
    if (ahead == 0) {
        s->ahead_due_ms = 0;
        return;
    }
    if (s->ahead_due_ms == 0)
        s->ahead_due_ms = now_ms + l->max_delay_ms;
    tg_feed_hold_ahead(s->feed, ahead < l->max_samples && now_ms < s->ahead_due_ms);
}

void tg_link_fill(struct tg_session *s, struct tg_batch *b, uint32_t count)
{
    b->ahead = tg_feed_take(s->feed, count, tg_batch_rows(b));
    b->session = s;
    b->count = count;
    b->parts_acked = 0;
    b->acked = false;
    if (b->ahead)
        s->ahead_due_ms = 0;
}

void tg_link_confirm(struct tg_session *s, struct tg_batch *b, const struct tg_batch *more)
{
    struct tg_row **rows = tg_batch_rows(b);
    if (b->ahead)
        tg_feed_ack_ahead(s->feed, b->count, rows);
    else if (!more || more->session != s || more->ahead)
        tg_feed_ack(s->feed, rows[b->count - 1]->seq, rows[b->count - 1]->id);
}
