/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * What goes ahead of a feed's backlog. See TWO STREAMS in feed.h.
 */
#include "store/feed.h"

#include "core/base/allocator.h"
#include "core/base/assert.h"

/* --- the lane comes and goes --------------------------------------------------------------------------- */

static struct tg_feed_lane *lane_of(struct tg_feed *f)
{
    if (f->lane)
        return f->lane;
    f->lane = tg_calloc(1, sizeof *f->lane);
    if (!f->lane)
        return NULL; /* then nothing goes ahead: the order is in-order, nothing is lost */
    f->lane->from_id = f->lane->from_seq = TG_LANE_NOWHERE;
    f->lane->turn = true;
    f->set->lanes++;
    return f->lane;
}

int tg_lane_open(struct tg_feed *f, const struct tg_runs *acked)
{
    if (!lane_of(f))
        return TG_ENOMEM;
    if (tg_runs_copy(&f->lane->acked, acked) == TG_OK)
        return TG_OK;
    tg_lane_close(f);
    return TG_ENOMEM;
}

void tg_lane_close(struct tg_feed *f)
{
    struct tg_feed_lane *l = f->lane;
    if (!l)
        return;
    TG_ASSERT(l->ring.count == 0);
    tg_free(l->ring.at);
    tg_runs_fini(&l->given);
    tg_runs_fini(&l->acked);
    tg_free(l);
    f->lane = NULL;
    f->set->lanes--;
}

void tg_lane_replace(struct tg_feed *f, const struct tg_runs *acked)
{
    if (f->lane)
        tg_lane_pause(f);
    tg_lane_close(f);
    /* Without memory they are given again: the cloud knows their numbers. */
    if (acked && acked->count > 0)
        (void)!tg_lane_open(f, acked);
}

void tg_lane_tidy(struct tg_feed *f)
{
    struct tg_feed_lane *l = f->lane;
    if (l && f->mode != TG_FEED_LAGGING && l->ring.count == 0 && l->given.count == 0 && l->acked.count == 0)
        tg_lane_close(f);
}

static void unmark(struct tg_feed_lane *l)
{
    l->from_id = l->from_seq = TG_LANE_NOWHERE;
}

/* --- rows into it ---------------------------------------------------------------------------------------- */

static bool is_stuffed(const struct tg_feed_lane *l)
{
    uint32_t runs = l->given.count + l->acked.count;
    return runs >= TG_RUNS_MAX || (l->stuffed && runs > TG_RUNS_MAX / 2);
}

/* The highest that was taken of it or is in it: what comes is above that. */
static uint64_t end_of(const struct tg_feed_lane *l)
{
    return l->ring.count > 0 ? tg_ring_at(&l->ring, l->ring.count - 1)->seq : l->taken_seq;
}

static bool has_room(const struct tg_feed *f, const struct tg_row *row)
{
    const struct tg_feed_lane *l = f->lane;
    return l->ring.count < TG_FEED_MAX_ROWS &&
           (l->ring.count == 0 || tg_row_cost(row) <= tg_feed_allowance(f->set, &l->ring));
}

/* False: it stays in the backlog. */
static bool give(struct tg_feed *f, struct tg_row *row)
{
    struct tg_feed_lane *l = f->lane;
    l->stuffed = is_stuffed(l);
    if (l->stuffed || !has_room(f, row)) {
        f->set->kept_back += l->stuffed;
        return false;
    }
    /* Whatever is given has a place among those acknowledged. */
    if (tg_runs_reserve(&l->given, l->given.count + 2) < 0 ||
        tg_runs_reserve(&l->acked, l->acked.count + l->given.count + 2) < 0 ||
        !tg_ring_push(f->set, &l->ring, row))
        return false;
    tg_runs_add(&l->given, row->seq, row->seq, row->id);
    tg_feed_notice(f);
    return true;
}

/* A ring that was full takes new rows again when it is half empty: else every other row would go ahead, each a run of
 * its own. */
static bool is_full(struct tg_feed_lane *l)
{
    if (l->full_at > 0 && l->ring.count <= l->full_at / 2)
        l->full_at = 0;
    return l->full_at > 0;
}

void tg_lane_hand(struct tg_feed *f, struct tg_row *row, uint64_t urgent_id)
{
    bool urgent = row->urgent;
    struct tg_feed_lane *l;
    if (row->id < f->next_id || row->seq < f->next_seq || (urgent && row->id < f->urgent_id))
        return; /* a page has brought it already */
    if (!urgent && f->drain == TG_DRAIN_IN_ORDER) {
        unmark(f->lane);
        return;
    }
    if (!(l = lane_of(f)))
        return;
    /* Older urgent rows that are only in the log come before it, by a page; younger ones may have come so. */
    if (tg_lane_urgent_from(f) <= urgent_id || row->seq <= end_of(l) || (!urgent && is_full(l))) {
        unmark(l);
    } else if (give(f, row)) {
        f->urgent_id = row->id >= f->urgent_id ? row->id + 1 : f->urgent_id;
        if (l->from_id == TG_LANE_NOWHERE) {
            l->from_id = row->id;
            l->from_seq = row->seq;
        }
    } else {
        if (!l->stuffed)
            l->full_at = l->ring.count > 0 ? l->ring.count : 1;
        unmark(l);
    }
    tg_feed_settle(f);
}

bool tg_lane_overtake(struct tg_feed *f, struct tg_row *row)
{
    if (!lane_of(f) || !give(f, row)) {
        tg_lane_tidy(f);
        return false;
    }
    if (f->next_seq < row->seq)
        f->next_seq = row->seq;
    f->next_id = row->id;
    f->urgent_id = row->id + 1;
    f->lane->from_id = row->id;
    f->lane->from_seq = row->seq;
    f->mode = TG_FEED_LAGGING;
    tg_feed_settle(f);
    return true;
}

bool tg_lane_wants_urgent(const struct tg_feed *f)
{
    const struct tg_feed_lane *l = f->lane;
    return tg_lane_urgent_from(f) <= f->set->devices[f->device].urgent_id &&
           (!l || (!is_stuffed(l) && l->ring.count <= TG_FEED_HUNGRY_ROOM));
}

bool tg_lane_page_row(struct tg_feed *f, struct tg_row *row)
{
    const struct tg_feed_lane *l = f->lane;
    bool known = row->seq < f->next_seq ||
                 (l && (tg_runs_has(&l->acked, row->seq) || tg_runs_has(&l->given, row->seq)));
    known = known || (l && row->seq <= end_of(l)); /* it is too late for it */
    if (!known && (!lane_of(f) || !give(f, row)))
        return false;
    f->urgent_id = row->id + 1;
    return true;
}

/* --- the backlog's reader ---------------------------------------------------------------------------------- */

enum tg_lane_verdict tg_lane_meets(struct tg_feed *f, uint64_t id, uint64_t seq)
{
    if (tg_runs_has(&f->lane->acked, seq)) {
        f->next_id = id + 1;
        if (f->next_seq <= seq)
            f->next_seq = seq + 1;
        return TG_LANE_PASSED;
    }
    if (tg_runs_has(&f->lane->given, seq)) {
        if (f->next_seq < seq)
            f->next_seq = seq;
        f->next_id = id;
        return TG_LANE_STOP;
    }
    return TG_LANE_YOURS;
}

void tg_lane_pass(struct tg_feed *f, uint64_t *seq, uint64_t *id)
{
    struct tg_feed_lane *l = f->lane;
    bool dropped = false;
    for (;;) {
        (void)tg_runs_cut(&l->acked, *seq);
        if (l->acked.count == 0 || l->acked.at[0].first != *seq + 1)
            break;
        *seq = l->acked.at[0].last;
        if (l->acked.at[0].last_id > *id)
            *id = l->acked.at[0].last_id;
    }
    (void)tg_runs_cut(&l->given, *seq);
    while (l->ring.count > 0 && tg_ring_at(&l->ring, 0)->seq <= *seq) {
        tg_row_unref(tg_ring_shift(f->set, &l->ring));
        dropped = true;
    }
    tg_ring_count_ready(&l->ring);
    if (dropped)
        tg_ring_shrunk(f, &l->ring);
}

/* Nothing of the backlog is left but what went ahead of it: from now on that is the stream. False: not yet. */
static bool merge(struct tg_feed *f)
{
    struct tg_feed_lane *l = f->lane;
    struct tg_feeds *fs = f->set;
    uint64_t handed = fs->devices[f->device].handed_seq;
    const struct tg_run *end = l->acked.count > 0 ? &l->acked.at[l->acked.count - 1] : NULL;
    if (f->ring.count > 0 || f->taken_seq > f->acked_seq ||
        (end && l->given.count > 0 && end->last > l->given.at[0].first))
        return false;
    if (end && end->last > f->acked_seq) { /* only numbers that were never stored are between */
        f->acked_seq = end->last;
        f->acked_id = end->last_id > f->acked_id ? end->last_id : f->acked_id;
        (void)tg_runs_cut(&f->risk, f->acked_seq);
        (void)tg_runs_cut(&f->holes, f->acked_seq);
        tg_feed_mark_dirty(f);
    }
    f->next_seq = f->next_seq > handed ? f->next_seq : handed + 1;
    f->next_id = fs->handed_id + 1;
    f->taken_seq = l->taken_seq > f->acked_seq ? l->taken_seq : f->acked_seq;
    if (f->taken_seq > f->acked_seq)
        f->taken_ms = l->taken_ms;
    f->merged_seq = f->probe_seq = f->taken_seq;
    f->probe_ms = f->taken_ms;
    if (f->taken_seq == f->acked_seq && l->ring.count > 0)
        f->oldest_ms = tg_ring_at(&l->ring, 0)->time_ms;
    tg_free(f->ring.at);
    f->ring = l->ring;
    l->ring = (struct tg_feed_ring){0};
    tg_lane_close(f);
    f->mode = TG_FEED_LIVE;
    return true;
}

bool tg_lane_settle(struct tg_feed *f)
{
    const struct tg_run *run = tg_runs_from(&f->lane->acked, f->next_seq);
    if (run && run->first <= f->next_seq) {
        f->next_seq = run->last + 1;
        if (f->next_id <= run->last_id)
            f->next_id = run->last_id + 1;
    }
    return tg_lane_reached(f) && merge(f);
}

/* --- the session -------------------------------------------------------------------------------------------- */

uint32_t tg_feed_ready_ahead(const struct tg_feed *f)
{
    return f->lane ? f->lane->ring.ready : 0;
}

void tg_feed_hold_ahead(struct tg_feed *f, bool hold)
{
    f->hold_ahead = hold;
}

bool tg_feed_offers_ahead(const struct tg_feed *f)
{
    const struct tg_feed_lane *l = f->lane;
    if (!l || l->ring.ready == 0)
        return false;
    if (f->ring.ready == 0 || tg_ring_is_urgent(&l->ring))
        return true;
    return !f->hold_ahead && (f->drain != TG_DRAIN_FAIR || l->turn);
}

void tg_lane_take(struct tg_feed *f, uint32_t n, struct tg_row **ret_rows)
{
    struct tg_feed_lane *l = f->lane;
    TG_ASSERT(n > 0 && n <= l->ring.ready);
    for (uint32_t i = 0; i < n; i++)
        ret_rows[i] = tg_ring_shift(f->set, &l->ring);
    l->taken_seq = ret_rows[n - 1]->seq;
    l->taken_ms = ret_rows[n - 1]->time_ms;
    l->turn = false;
    tg_ring_shrunk(f, &l->ring);
}

void tg_lane_pause(struct tg_feed *f)
{
    struct tg_feed_lane *l = f->lane;
    uint64_t first_seq = UINT64_MAX;
    if (l->ring.count > 0) {
        const struct tg_row *first = tg_ring_at(&l->ring, 0);
        first_seq = first->seq;
        f->urgent_id = first->id < f->urgent_id ? first->id : f->urgent_id;
    }
    for (uint32_t i = l->ring.count; i > 0; i--) /* from the end: no run is split */
        tg_runs_remove(&l->given, tg_ring_at(&l->ring, i - 1)->seq);
    tg_feed_risk_lost(f, first_seq);
    tg_ring_drop_all(f, &l->ring);
    l->full_at = 0;
    unmark(l);
}

void tg_lane_rewind(struct tg_feed *f)
{
    struct tg_feed_lane *l = f->lane;
    tg_ring_drop_all(f, &l->ring);
    tg_runs_clear(&l->given);
    l->taken_seq = 0;
    l->full_at = 0;
    unmark(l);
    f->urgent_id = 0;
}

void tg_feed_ack_ahead(struct tg_feed *f, uint32_t n, struct tg_row *const *rows)
{
    const struct tg_row *merged = NULL; /* of a lane that has become the stream meanwhile */
    uint32_t in_lane = 0;
    for (uint32_t i = 0; i < n; i++) {
        struct tg_feed_lane *l = f->lane;
        uint64_t seq = rows[i]->seq;
        if (l && tg_runs_has(&l->given, seq)) {
            /* Reserved when it was given: rows leave at the front, so no run is split. */
            tg_runs_remove(&l->given, seq);
            tg_runs_add(&l->acked, seq, seq, rows[i]->id);
            in_lane++;
        } else if (seq <= f->merged_seq) {
            merged = rows[i];
        }
    }
    if (merged)
        tg_feed_ack(f, merged->seq, merged->id);
    if (in_lane > 0 && f->lane) {
        const struct tg_runs *acked = &f->lane->acked;
        if (acked->count > 0 && acked->at[0].first == f->acked_seq + 1)
            tg_feed_advance(f, f->acked_seq, f->acked_id);
        else
            tg_feed_settle(f);
        tg_feed_mark_dirty(f);
    }
}

void tg_feed_quarantine_ahead(struct tg_feed *f, struct tg_row *row)
{
    tg_feed_lose(f, row->seq, row->seq, TG_GAP_QUARANTINE);
    f->quarantined++;
    tg_feed_ack_ahead(f, 1, &row);
}

uint64_t tg_feed_acked_ahead(const struct tg_feed *f)
{
    return f->lane ? f->lane->acked.rows : 0;
}
