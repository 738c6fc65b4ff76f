/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * Gaps as the feeds see them: what a cloud will not get, and when to tell it so.
 */
#include "store/feed.h"

#define TELL_EVERY_MS 60000

struct tg_gap tg_feed_gap(const struct tg_feed *f)
{
    return f->gap;
}

void tg_feeds_gap(struct tg_feeds *fs, uint32_t cursor, const struct tg_gap *gap, uint64_t tell_seq)
{
    struct tg_feed *f = cursor < fs->cursor_cap ? fs->by_cursor[cursor] : NULL;
    if (!f)
        return;
    f->gap = *gap;
    f->tell_seq = tell_seq;
    if (f->has_gap == tg_gap_is(gap))
        return;
    f->has_gap = tg_gap_is(gap);
    if (f->has_gap)
        TAILQ_INSERT_TAIL(&fs->gaps, f, in_gaps);
    else
        TAILQ_REMOVE(&fs->gaps, f, in_gaps);
}

struct tg_feed *tg_feeds_gap_due(struct tg_feeds *fs, int64_t now_ms, uint64_t stored_id,
                                 int64_t *ret_next_ms)
{
    struct tg_feed *f;
    int64_t next = INT64_MAX;
    TAILQ_FOREACH(f, &fs->gaps, in_gaps)
    {
        if (f->tell_id <= stored_id)
            f->tell_id = 0;
        /* A cloud that is away is told when it is back: nothing is appended for it meanwhile. */
        if (f->mode == TG_FEED_PAUSED || f->tell_seq > 0 || f->tell_id > 0)
            continue;
        if (f->tell_at_ms <= now_ms)
            return f;
        next = f->tell_at_ms < next ? f->tell_at_ms : next;
    }
    *ret_next_ms = next;
    return NULL;
}

void tg_feed_telling(struct tg_feed *f, uint64_t id, int64_t now_ms)
{
    f->tell_id = id;
    f->tell_at_ms = now_ms + TELL_EVERY_MS;
}

void tg_feeds_not_told(struct tg_feeds *fs, const struct tg_row *row)
{
    uint32_t cursor = row->tells - 1;
    struct tg_feed *f = row->tells > 0 && cursor < fs->cursor_cap ? fs->by_cursor[cursor] : NULL;
    if (f && f->tell_id == row->id)
        f->tell_id = 0;
}

void tg_feed_lose(struct tg_feed *f, uint64_t first_seq, uint64_t last_seq, enum tg_gap_reason reason)
{
    struct tg_gap lost = {first_seq, last_seq, last_seq - first_seq + 1, reason};
    tg_gap_unite(&f->lost, &lost);
    tg_feed_mark_dirty(f);
}

void tg_feed_hole(struct tg_feed *f, uint64_t first_seq, uint64_t last_seq)
{
    uint64_t first = first_seq > f->acked_seq ? first_seq : f->acked_seq + 1;
    if (first <= last_seq && f->holes.count < TG_HOLES_MAX &&
        tg_runs_reserve(&f->holes, f->holes.count + 1) == TG_OK)
        tg_runs_add(&f->holes, first, last_seq, 0);
}

void tg_feed_risk(struct tg_feed *f, uint64_t seq)
{
    if (f->risk.count < TG_HOLES_MAX && tg_runs_reserve(&f->risk, f->risk.count + 1) == TG_OK)
        tg_runs_add(&f->risk, seq, seq, 0);
    else /* told too early rather than never */
        tg_feed_lose(f, seq, seq, TG_GAP_MEMORY);
}

/* It is nowhere any more. */
static void lose_risk(struct tg_feed *f, uint64_t first, uint64_t last)
{
    /* What went ahead and was acknowledged has arrived. */
    struct tg_gap lost = {first, last, last - first + 1 - tg_lane_acked_between(f, first, last),
                          TG_GAP_MEMORY};
    tg_feed_hole(f, first, last);
    if (tg_runs_reserve(&f->risk, f->risk.count + 1) == TG_OK) { /* else it is told twice */
        for (uint64_t seq = last; seq >= first; seq--)
            tg_runs_remove(&f->risk, seq);
    }
    if (lost.count == 0)
        return;
    tg_gap_unite(&f->lost, &lost);
    tg_feed_mark_dirty(f);
}

void tg_feed_risk_lost(struct tg_feed *f, uint64_t from_seq)
{
    const struct tg_run *run;
    struct tg_run part;
    for (uint64_t at = from_seq; (run = tg_runs_from(&f->risk, at)) != NULL; at = part.last + 1) {
        if (tg_runs_outside(tg_lane_given(f), run->first > at ? run->first : at, run->last, &part))
            lose_risk(f, part.first, part.last);
        else
            part.last = run->last;
    }
}

void tg_feed_quarantine(struct tg_feed *f, uint64_t seq, uint64_t id)
{
    tg_feed_lose(f, seq, seq, TG_GAP_QUARANTINE);
    f->quarantined++;
    tg_feed_ack(f, seq, id);
}
