/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * Between a feed with its two streams and the batches of a link.
 */
#include <stdio.h>

#include "core/base/log.h"
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
    else
        s->kept_due_ms = 0;
}

void tg_link_confirm(struct tg_session *s, struct tg_batch *b, const struct tg_batch *more)
{
    struct tg_row **rows = tg_batch_rows(b);
    if (b->ahead)
        tg_feed_ack_ahead(s->feed, b->count, rows);
    else if (!more || more->session != s || more->ahead)
        tg_feed_ack(s->feed, rows[b->count - 1]->seq, rows[b->count - 1]->id);
}

/* A row that can never be sent (damaged in the store, or larger than any message) must not stop the device. */
void tg_link_quarantine(struct tg_session *s, int rc)
{
    struct tg_row *row;
    bool ahead;
    char text[160];
    for (uint64_t tag = s->link->first_tag; tag < s->link->next_tag; tag++)
        if (tg_link_batch(s->link, tag)->session == s)
            return; /* what is in flight before it comes first */
    ahead = tg_feed_take(s->feed, 1, &row);
    if (rc ==
        TG_EUNSUPPORTED) { /* nothing is wrong with it: this cloud's format has no place for gap records */
        if (ahead)
            tg_feed_ack_ahead(s->feed, 1, &row);
        else
            tg_feed_ack(s->feed, row->seq, row->id);
        tg_row_unref(row);
        return;
    }
    tg_log(TG_LOG_ERROR, "session",
           "device=%s cloud=%s sample seq=%llu cannot be sent (%s) and is left out, counted as quarantined "
           "and told to the "
           "cloud as a gap; the next one follows",
           s->device_id, s->route->cloud->name, (unsigned long long)row->seq, tg_code_text(rc));
    snprintf(text, sizeof text, "sample seq=%llu, which cannot be sent (%s)", (unsigned long long)row->seq,
             tg_code_text(rc));
    tg_session_notice(s, text);
    s->stats.left_out++;
    if (ahead)
        tg_feed_quarantine_ahead(s->feed, row);
    else
        tg_feed_quarantine(s->feed, row->seq, row->id);
    tg_row_unref(row);
}
