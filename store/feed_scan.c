/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * The shared scanner: which page of the log is read next, and who gets its rows; and feeds that are put back in it.
 */
#include "store/feed.h"

#include "core/base/allocator.h"
#include "core/base/assert.h"

#define PAGE_ROWS  1024u
#define PAGE_BYTES ((size_t)256 * 1024)
/* Feeds this many ids apart are served by one page; the store thread looks at about as many rows for it. */
#define NEAR_IDS 16384u

/* Urgent rows of its device may be in the log that it was not offered; they come before the backlog. */
static bool wants_urgent(const struct tg_feed *f, uint64_t stored_id)
{
    return tg_lane_wants_urgent(f) && tg_lane_urgent_from(f) <= stored_id;
}

/* Room for about half of what it may hold: pages of a few rows would cost more than they bring. */
static bool eligible(const struct tg_feed *f, uint64_t stored_id)
{
    if (f->next_id > stored_id || !tg_feed_wants_backlog(f) || wants_urgent(f, stored_id))
        return false;
    if (f->ring.count == 0)
        return true;
    const struct tg_feeds *fs = f->set;
    size_t half = fs->limit_bytes / 4 / (fs->awake ? fs->awake : 1);
    return tg_feed_allowance(fs, &f->ring) >= (half > f->need ? half : f->need);
}

/* One entry a device, all "none of this device". */
static bool clear_want(struct tg_feeds *fs)
{
    struct tg_scan *s = &fs->scan;
    if (s->cap < fs->device_count) {
        uint64_t *want = tg_realloc(s->want, fs->device_cap * sizeof *want);
        if (!want) {
            fs->no_memory = true;
            return false;
        }
        s->want = want;
        s->cap = fs->device_cap;
    }
    s->devices = fs->device_count;
    memset(s->want, 0xff, s->devices * sizeof *s->want);
    return true;
}

/* Where the page begins: at the feed that waits longest, or at one shortly before it, so that the two meet.
 */
static bool choose_start(const struct tg_feeds *fs, uint64_t stored_id, uint64_t *ret_from)
{
    const struct tg_feed *f;
    uint64_t from = 0, floor = 0;
    TAILQ_FOREACH(f, &fs->hungry, in_hungry)
    {
        if (!eligible(f, stored_id))
            continue;
        if (from == 0) {
            from = f->next_id;
            floor = from > NEAR_IDS ? from - NEAR_IDS : 1;
        } else if (f->next_id < from && f->next_id >= floor) {
            from = f->next_id;
        }
    }
    *ret_from = from;
    return from != 0;
}

static void take_part(struct tg_feeds *fs, struct tg_feed *f, uint64_t from_id)
{
    f->scan = fs->scan_number;
    f->stopped = false;
    if (from_id < fs->scan.want[f->device])
        fs->scan.want[f->device] = from_id;
}

/* A page of urgent rows for all who want any: they are few, wherever they are. False: nobody does. */
static bool plan_urgent(struct tg_feeds *fs, uint64_t stored_id)
{
    struct tg_scan *s = &fs->scan;
    struct tg_feed *f;
    uint64_t from = UINT64_MAX;
    TAILQ_FOREACH(f, &fs->hungry, in_hungry)
    {
        if (wants_urgent(f, stored_id) && tg_lane_urgent_from(f) < from)
            from = tg_lane_urgent_from(f);
    }
    if (from == UINT64_MAX || !clear_want(fs))
        return false;
    fs->scan_number++;
    TAILQ_FOREACH(f, &fs->hungry, in_hungry)
    {
        if (wants_urgent(f, stored_id))
            take_part(fs, f, tg_lane_urgent_from(f));
    }
    s->urgent = true;
    s->from_id = from;
    s->max_rows = PAGE_ROWS;
    s->max_bytes = PAGE_BYTES;
    return true;
}

bool tg_feeds_scan(struct tg_feeds *fs, uint64_t stored_id, const struct tg_scan **ret_scan)
{
    struct tg_scan *s = &fs->scan;
    struct tg_feed *f;
    size_t bytes = fs->bytes < fs->limit_bytes / 2 ? fs->limit_bytes / 2 - fs->bytes : 0;
    uint32_t rows = 0;
    if (fs->scanning || fs->starved || fs->no_memory || TAILQ_EMPTY(&fs->hungry))
        return false;
    if (plan_urgent(fs, stored_id)) {
        fs->scanning = true;
        *ret_scan = s;
        return true;
    }
    if (!choose_start(fs, stored_id, &s->from_id)) {
        fs->starved = true;
        return false;
    }
    if (!clear_want(fs))
        return false;
    fs->scan_number++;
    s->urgent = false;
    TAILQ_FOREACH(f, &fs->hungry, in_hungry)
    {
        if (f->next_id < s->from_id || f->next_id - s->from_id >= NEAR_IDS || !eligible(f, stored_id))
            continue;
        take_part(fs, f, f->next_id);
        rows += TG_FEED_MAX_ROWS - f->ring.count;
        bytes += tg_feed_allowance(fs, &f->ring);
    }
    s->max_rows = rows < PAGE_ROWS ? rows : PAGE_ROWS;
    s->max_bytes = bytes < PAGE_BYTES ? bytes : PAGE_BYTES;
    fs->scanning = true;
    *ret_scan = s;
    return true;
}

/* Whether the feed takes part in the page and is to be offered the row; moves its position where it is not. */
static bool is_for(struct tg_feeds *fs, struct tg_feed *f, const struct tg_outbox_row *r)
{
    if (f->scan != fs->scan_number || f->stopped || f->mode != TG_FEED_LAGGING)
        return false;
    if (fs->scan.urgent)
        return r->id >= tg_lane_urgent_from(f);
    if (r->id < f->next_id)
        return false;
    if (r->seq < f->next_seq) {
        f->next_id = r->id + 1;
        return false;
    }
    if (!f->lane)
        return true;
    switch (tg_lane_meets(f, r->id, r->seq)) {
    case TG_LANE_STOP:
        f->stopped = true;
        return false;
    case TG_LANE_PASSED:
        return false;
    case TG_LANE_YOURS:
        break;
    }
    return true;
}

void tg_feeds_page_row(struct tg_feeds *fs, const struct tg_outbox_row *r)
{
    struct tg_row *row = NULL;
    for (struct tg_feed *f = fs->devices[r->device].feeds; f; f = f->next_of_device) {
        if (!is_for(fs, f, r))
            continue;
        if (!row && !(row = tg_row_new(r->id, r->device, r->seq, r->time_ms, r->body)))
            fs->no_memory = true;
        if (row && fs->scan.urgent)
            row->urgent = true;
        if (row && (fs->scan.urgent ? tg_lane_page_row(f, row) : tg_feed_push(f, row)))
            continue;
        f->stopped = true;
        if (!fs->scan.urgent)
            f->next_id = r->id;
    }
    if (row)
        tg_row_unref(row);
}

void tg_feeds_page_end(struct tg_feeds *fs, uint64_t through_id)
{
    struct tg_feed *f, *next;
    const struct tg_feed *last = TAILQ_LAST(&fs->hungry, tg_feed_list);
    TG_ASSERT(fs->scanning);
    fs->scanning = false;
    for (f = TAILQ_FIRST(&fs->hungry); f; f = next) {
        /* Those that are put back at the end are not looked at again. */
        next = f == last ? NULL : TAILQ_NEXT(f, in_hungry);
        if (f->scan != fs->scan_number)
            continue;
        f->scan = 0;
        if (fs->scan.urgent) {
            if (!f->stopped && f->urgent_id <= through_id)
                f->urgent_id = through_id + 1;
        } else if (!f->stopped && f->next_id <= through_id) {
            f->next_id = through_id + 1;
        }
        TAILQ_REMOVE(&fs->hungry, f, in_hungry);
        TAILQ_INSERT_TAIL(&fs->hungry, f, in_hungry);
        tg_feed_settle(f);
    }
}

/* A row that is in memory only, for a feed that reads behind. */
static bool walk_row(struct tg_feeds *fs, struct tg_feed *f, struct tg_row *row, uint64_t stored_id)
{
    if (!f->hungry || f->walk == fs->walk_number || row->id < f->next_id || row->seq < f->next_seq)
        return false;
    /* Are there older ones, in the log? Not if this is the next number. */
    bool next = row->seq == f->next_seq || f->next_id > stored_id;
    enum tg_lane_verdict verdict = next && f->lane ? tg_lane_meets(f, row->id, row->seq) : TG_LANE_YOURS;
    if (next && (verdict == TG_LANE_PASSED || (verdict == TG_LANE_YOURS && tg_feed_push(f, row))))
        return true;
    f->walk = fs->walk_number;
    return false;
}

void tg_feeds_walk(struct tg_feeds *fs, const struct tg_row_list *unstored, uint64_t stored_id)
{
    struct tg_feed *f, *following;
    if (TAILQ_EMPTY(&fs->hungry) || fs->walked || fs->no_memory)
        return;
    fs->walk_number++;
    fs->walked = true; /* unless it brought something */
    for (struct tg_row *row = unstored->head; row; row = row->next) {
        for (f = fs->devices[row->device].feeds; f; f = f->next_of_device)
            fs->walked = !walk_row(fs, f, row, stored_id) && fs->walked;
    }
    for (f = TAILQ_FIRST(&fs->hungry); f; f = following) {
        following = TAILQ_NEXT(f, in_hungry);
        if (f->walk != fs->walk_number && f->next_id > stored_id)
            f->next_id = fs->handed_id + 1;
        tg_feed_settle(f);
    }
}

void tg_feeds_leave(struct tg_feeds *fs, uint32_t cursor)
{
    struct tg_feed *f = cursor < fs->cursor_cap ? fs->by_cursor[cursor] : NULL;
    if (!f)
        return;
    f->leaving = true;
    if (f->lane)
        tg_lane_pause(f);
    tg_feed_reposition(f, f->taken_seq + 1, f->next_id);
    if (f->mode == TG_FEED_LIVE)
        f->mode = TG_FEED_LAGGING;
    tg_feed_settle(f);
}

void tg_feeds_replace(struct tg_feed *f, const struct tg_feed_start *start)
{
    f->leaving = false;
    f->acked_seq = f->taken_seq = f->probe_seq = start->acked_seq;
    f->acked_id = start->acked_id;
    tg_runs_clear(&f->holes);
    /* Without memory they count as pending until they are passed. */
    if (start->holes)
        (void)!tg_runs_copy(&f->holes, start->holes);
    f->oldest_ms = start->oldest_ms;
    f->merged_seq = f->urgent_id = 0;
    tg_lane_replace(f, start->ahead);
    tg_feed_reposition(f, start->acked_seq + 1, start->acked_id + 1);
    tg_feeds_gap(f->set, f->cursor, &start->gap, start->tell_seq);
    tg_feed_settle(f);
}
