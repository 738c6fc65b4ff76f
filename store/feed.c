/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "store/feed.h"

#include "core/base/allocator.h"
#include "core/base/assert.h"

#define FEED_MAGIC    0xfeedf00du
#define DEVICES_LIMIT (1u << 24)

/* --- the set ------------------------------------------------------------------------------------- */

void tg_feeds_init(struct tg_feeds *fs, size_t limit_bytes, uint64_t last_id, void (*wake)(void *user),
                   void *user)
{
    *fs =
        (struct tg_feeds){.limit_bytes = limit_bytes, .handed_id = last_id, .wake = wake, .wake_user = user};
    TAILQ_INIT(&fs->hungry);
    TAILQ_INIT(&fs->notified);
    TAILQ_INIT(&fs->dirty);
    TAILQ_INIT(&fs->gaps);
}

void tg_feeds_fini(struct tg_feeds *fs)
{
    for (uint32_t i = 0; i < fs->device_count; i++)
        TG_ASSERT(fs->devices[i].feeds == NULL);
    tg_free(fs->devices);
    tg_free(fs->by_cursor);
    tg_free(fs->scan.want);
}

/* Makes room for index `at` in a table; new entries are zero. */
static int grow(void *table_ptr, uint32_t *cap, uint32_t at, size_t size)
{
    void *table, *old;
    uint32_t fresh = *cap ? *cap : 16;
    if (at < *cap)
        return TG_OK;
    if (at >= DEVICES_LIMIT)
        return TG_ERANGE;
    while (fresh <= at)
        fresh *= 2;
    memcpy(&old, table_ptr, sizeof old);
    table = tg_realloc(old, fresh * size);
    if (!table)
        return TG_ENOMEM;
    memset((uint8_t *)table + *cap * size, 0, (fresh - *cap) * size);
    memcpy(table_ptr, &table, sizeof table);
    *cap = fresh;
    return TG_OK;
}

int tg_feeds_device(struct tg_feeds *fs, uint32_t device, uint64_t last_seq)
{
    int rc = grow(&fs->devices, &fs->device_cap, device, sizeof *fs->devices);
    if (rc < 0)
        return rc;
    if (device >= fs->device_count)
        fs->device_count = device + 1;
    struct tg_feed_device *d = &fs->devices[device];
    if (last_seq > d->last_seq)
        d->last_seq = d->handed_seq = last_seq;
    return TG_OK;
}

void tg_feeds_urgent(struct tg_feeds *fs, uint32_t device, uint64_t high_id)
{
    if (fs->devices[device].urgent_id < high_id)
        fs->devices[device].urgent_id = high_id;
}

int tg_feeds_open(struct tg_feeds *fs, const struct tg_feed_start *start, void (*on_rows)(void *user),
                  void *user, struct tg_feed **ret_feed)
{
    int rc = grow(&fs->by_cursor, &fs->cursor_cap, start->cursor, sizeof *fs->by_cursor);
    if (rc < 0)
        return rc;
    TG_ASSERT(start->device < fs->device_count && fs->by_cursor[start->cursor] == NULL);
    struct tg_feed *f = tg_calloc(1, sizeof *f);
    if (!f)
        return TG_ENOMEM;
    f->cloud = tg_strdup(start->cloud ? start->cloud : "");
    if (!f->cloud) {
        tg_free(f);
        return TG_ENOMEM;
    }
    struct tg_feed_device *d = &fs->devices[start->device];
    f->magic = FEED_MAGIC;
    f->mode = TG_FEED_PAUSED;
    f->set = fs;
    f->device = start->device;
    f->cursor = start->cursor;
    f->acked_seq = f->taken_seq = f->probe_seq = start->acked_seq;
    f->acked_id = start->acked_id;
    f->next_seq = start->acked_seq + 1;
    f->next_id = start->acked_id + 1;
    f->oldest_ms = start->oldest_ms;
    f->on_rows = on_rows;
    f->user = user;
    f->batch_rows = 1;
    f->next_of_device = d->feeds;
    if ((start->holes && tg_runs_copy(&f->holes, start->holes) < 0) ||
        (start->ahead && start->ahead->count > 0 && tg_lane_open(f, start->ahead) < 0)) {
        tg_runs_fini(&f->holes);
        tg_free(f->cloud);
        tg_free(f);
        return TG_ENOMEM;
    }
    d->feeds = f;
    fs->by_cursor[start->cursor] = f;
    tg_feeds_gap(fs, start->cursor, &start->gap, start->tell_seq);
    *ret_feed = f;
    return TG_OK;
}

/* --- rows ------------------------------------------------------------------------------------------ */

void tg_feed_notice(struct tg_feed *f)
{
    if (f->notified)
        return;
    f->notified = true;
    TAILQ_INSERT_TAIL(&f->set->notified, f, in_notified);
}

/* Offers a row and moves the position behind it. False: no room (or no memory), nothing changed. */
bool tg_feed_push(struct tg_feed *f, struct tg_row *row)
{
    struct tg_feeds *fs = f->set;
    size_t cost = tg_row_cost(row);
    if (f->ring.count >= TG_FEED_MAX_ROWS || (f->ring.count > 0 && cost > tg_feed_allowance(fs, &f->ring))) {
        f->need = cost;
        return false;
    }
    if (!tg_ring_push(fs, &f->ring, row))
        return false;
    f->next_id = row->id + 1;
    f->next_seq = row->seq + 1;
    tg_feed_notice(f);
    return true;
}

/* --- positions --------------------------------------------------------------------------------------- */

static void leave_hungry(struct tg_feed *f)
{
    if (f->hungry) {
        f->hungry = false;
        TAILQ_REMOVE(&f->set->hungry, f, in_hungry);
    }
}

static void leave_notified(struct tg_feed *f)
{
    if (f->notified) {
        f->notified = false;
        TAILQ_REMOVE(&f->set->notified, f, in_notified);
    }
}

void tg_feed_settle(struct tg_feed *f)
{
    struct tg_feeds *fs = f->set;
    if (f->leaving && f->taken_seq <= f->acked_seq && !tg_lane_has_given(f))
        fs->wake(fs->wake_user);
    if (f->mode != TG_FEED_LAGGING || f->leaving || (f->lane && tg_lane_settle(f))) {
        leave_hungry(f);
        return;
    }
    if ((f->next_seq > fs->devices[f->device].handed_seq || f->next_id > fs->handed_id) &&
        !tg_lane_has_given(f)) {
        f->mode = TG_FEED_LIVE;
        if (f->next_id <= fs->handed_id)
            f->next_id = fs->handed_id + 1;
        leave_hungry(f);
        tg_lane_tidy(f);
    } else if (!tg_feed_wants_backlog(f) && !tg_lane_wants_urgent(f)) {
        leave_hungry(f);
    } else if (!f->hungry) {
        f->hungry = true;
        TAILQ_INSERT_TAIL(&fs->hungry, f, in_hungry);
        fs->starved = fs->walked = false;
        fs->wake(fs->wake_user);
    }
}

/* Everything up to (seq, id) is over for this feed. */
void tg_feed_advance(struct tg_feed *f, uint64_t seq, uint64_t id)
{
    bool dropped = false;
    if (f->lane)
        tg_lane_pass(f, &seq, &id);
    f->acked_seq = seq;
    if (id > f->acked_id)
        f->acked_id = id;
    if (f->taken_seq < seq)
        f->taken_seq = seq;
    (void)tg_runs_cut(&f->risk, seq);
    (void)tg_runs_cut(&f->holes, seq);
    while (f->ring.count > 0 && tg_ring_at(&f->ring, 0)->seq <= seq) {
        tg_row_unref(tg_ring_shift(f->set, &f->ring));
        dropped = true;
    }
    tg_ring_count_ready(&f->ring);
    if (dropped)
        tg_ring_shrunk(f, &f->ring);
    if (f->next_seq <= seq) {
        f->next_seq = seq + 1;
        if (f->next_id <= id)
            f->next_id = id + 1;
    }
    if (f->probe_seq <= seq) {
        f->oldest_ms =
            f->ring.count > 0 && f->taken_seq <= seq ? tg_ring_at(&f->ring, 0)->time_ms : f->probe_ms;
        f->probe_seq = f->taken_seq;
        f->probe_ms = f->taken_ms;
    }
    tg_feed_settle(f);
    tg_lane_tidy(f);
}

void tg_feed_reposition(struct tg_feed *f, uint64_t seq, uint64_t id)
{
    tg_feed_risk_lost(f, seq);
    f->next_seq = seq;
    f->next_id = id;
    f->scan = 0; /* a page under way began elsewhere */
    tg_ring_drop_all(f, &f->ring);
    leave_notified(f);
}

void tg_feeds_appended(struct tg_feeds *fs, const struct tg_row *row)
{
    struct tg_feed_device *d = &fs->devices[row->device];
    for (struct tg_feed *f = d->feeds; f; f = f->next_of_device) {
        if (f->acked_seq >= d->last_seq)
            f->oldest_ms = row->time_ms;
    }
    d->last_seq = row->seq;
}

static void hand_live(struct tg_feed *f, struct tg_row *row)
{
    if (row->id < f->next_id || row->seq < f->next_seq)
        return;
    if (row->urgent && f->ring.count >= f->batch_rows && tg_lane_overtake(f, row))
        return;
    if (tg_feed_push(f, row))
        return;
    f->mode = TG_FEED_LAGGING;
    f->next_id = row->id;
    tg_feed_settle(f);
}

void tg_feeds_hand(struct tg_feeds *fs, struct tg_row *row)
{
    struct tg_feed_device *d = &fs->devices[row->device];
    uint64_t urgent_id = d->urgent_id;
    fs->handed_id = row->id;
    if (row->seq > d->handed_seq)
        d->handed_seq = row->seq;
    if (row->urgent)
        d->urgent_id = row->id;
    for (struct tg_feed *f = d->feeds; f; f = f->next_of_device) {
        if (f->mode == TG_FEED_LIVE)
            hand_live(f, row);
        else if (f->mode == TG_FEED_LAGGING && !f->leaving &&
                 (f->lane || f->drain != TG_DRAIN_IN_ORDER || row->urgent))
            tg_lane_hand(f, row, urgent_id);
    }
}

void tg_feeds_notify(struct tg_feeds *fs)
{
    struct tg_feed *f;
    while ((f = TAILQ_FIRST(&fs->notified)) != NULL) {
        leave_notified(f);
        if (tg_feed_ready(f) > 0)
            f->on_rows(f->user);
    }
}

bool tg_feeds_done_with(const struct tg_feeds *fs, const struct tg_row *row)
{
    for (const struct tg_feed *f = fs->devices[row->device].feeds; f; f = f->next_of_device) {
        if (f->acked_seq < row->seq && !tg_lane_acked_between(f, row->seq, row->seq))
            return false;
    }
    return true;
}

void tg_feeds_moved(struct tg_feeds *fs, uint32_t cursor, uint64_t seq, uint64_t id, int64_t oldest_ms)
{
    struct tg_feed *f = cursor < fs->cursor_cap ? fs->by_cursor[cursor] : NULL;
    if (!f || seq <= f->acked_seq)
        return;
    tg_feed_advance(f, seq, id);
    if (f->oldest_ms < oldest_ms)
        f->oldest_ms = oldest_ms;
}

void tg_feeds_dropped(struct tg_feeds *fs, const struct tg_row *row)
{
    for (struct tg_feed *f = fs->devices[row->device].feeds; f; f = f->next_of_device) {
        if (f->lane && tg_runs_has(&f->lane->acked, row->seq))
            continue;
        /* The session has it, or a ring: it may still arrive. */
        if (row->seq < f->next_seq || (f->lane && tg_runs_has(&f->lane->given, row->seq))) {
            if (row->seq > f->acked_seq)
                tg_feed_risk(f, row->seq);
            continue;
        }
        tg_feed_lose(f, row->seq, row->seq, TG_GAP_MEMORY);
        if (row->seq == f->acked_seq + 1) {
            tg_feed_advance(f, row->seq, row->id);
            continue;
        }
        tg_feed_hole(f, row->seq, row->seq);
        if (row->seq == f->next_seq) {
            f->next_seq++;
            f->next_id = row->id + 1;
        }
    }
}

/* Numbers from where the feed reads on, but those that are given: they are in memory. */
static void lose_unread(struct tg_feed *f, uint64_t last)
{
    struct tg_run part;
    for (uint64_t at = f->next_seq; tg_runs_outside(tg_lane_given(f), at, last, &part); at = part.last + 1)
        tg_feed_hole(f, part.first, part.last);
}

void tg_feeds_lost(struct tg_feeds *fs, uint32_t device, uint64_t seq, uint64_t id)
{
    for (struct tg_feed *f = fs->devices[device].feeds; f; f = f->next_of_device) {
        uint64_t upto = seq;
        if (f->next_seq > seq)
            continue;
        if (f->ring.count == 0 && f->taken_seq <= f->acked_seq && !tg_lane_has_given(f)) {
            tg_feed_advance(f, seq, id);
            continue;
        }
        /* What is given is in memory, and the position must not pass it. */
        lose_unread(f, seq);
        if (tg_lane_has_given(f) && f->lane->given.at[0].first <= seq)
            upto = f->lane->given.at[0].first - 1;
        f->next_seq = upto + 1 > f->next_seq ? upto + 1 : f->next_seq;
        if (f->next_id <= id && upto == seq)
            f->next_id = id + 1;
        tg_feed_settle(f);
    }
}

/* --- what the session calls (store.h) ------------------------------------------------------------------ */

void tg_feed_resume(struct tg_feed *f)
{
    if (f->mode != TG_FEED_PAUSED)
        return;
    f->mode = TG_FEED_LAGGING;
    f->set->awake++;
    f->tell_at_ms = 0;
    if (f->has_gap)
        f->set->wake(f->set->wake_user);
    tg_feed_settle(f);
}

void tg_feed_pause(struct tg_feed *f)
{
    struct tg_feeds *fs = f->set;
    if (f->mode == TG_FEED_PAUSED)
        return;
    if (f->lane)
        tg_lane_pause(f);
    if (f->ring.count > 0) {
        tg_feed_reposition(f, tg_ring_at(&f->ring, 0)->seq, tg_ring_at(&f->ring, 0)->id);
    } else if (f->mode == TG_FEED_LIVE && f->next_id <= fs->handed_id) {
        uint64_t handed = fs->devices[f->device].handed_seq;
        tg_feed_reposition(f, f->next_seq > handed ? f->next_seq : handed + 1, fs->handed_id + 1);
    }
    f->scan = 0;
    f->mode = TG_FEED_PAUSED;
    fs->awake--;
    leave_hungry(f);
    tg_lane_tidy(f);
    tg_feeds_look_again(fs); /* the others' shares have grown */
}

static const struct tg_feed_ring *offered(const struct tg_feed *f)
{
    return tg_feed_offers_ahead(f) ? &f->lane->ring : &f->ring;
}

uint32_t tg_feed_available(const struct tg_feed *f)
{
    return offered(f)->ready;
}

bool tg_feed_waits_for_clock(const struct tg_feed *f)
{
    return f->ring.ready < f->ring.count || (f->lane && f->lane->ring.ready < f->lane->ring.count);
}

void tg_feeds_resolve(struct tg_feeds *fs, const struct tg_timeline *timeline)
{
    fs->timeline = *timeline;
    for (uint32_t i = 0; i < fs->cursor_cap; i++) {
        struct tg_feed *f = fs->by_cursor[i];
        if (!f || !tg_feed_waits_for_clock(f))
            continue;
        tg_ring_resolve(fs, &f->ring);
        if (f->lane)
            tg_ring_resolve(fs, &f->lane->ring);
        if (tg_feed_ready(f) > 0)
            tg_feed_notice(f);
    }
}

const struct tg_row *tg_feed_at(const struct tg_feed *f, uint32_t i)
{
    const struct tg_feed_ring *r = offered(f);
    TG_ASSERT(i < r->ready);
    return tg_ring_at(r, i);
}

static void take(struct tg_feed *f, uint32_t n, struct tg_row **ret_rows)
{
    TG_ASSERT(n <= f->ring.ready);
    for (uint32_t i = 0; i < n; i++)
        ret_rows[i] = tg_ring_shift(f->set, &f->ring);
    if (f->probe_seq <= f->acked_seq) {
        f->probe_seq = ret_rows[n - 1]->seq;
        f->probe_ms = ret_rows[n - 1]->time_ms;
        f->oldest_ms = ret_rows[0]->time_ms;
    }
    f->taken_seq = ret_rows[n - 1]->seq;
    f->taken_ms = ret_rows[n - 1]->time_ms;
    tg_ring_shrunk(f, &f->ring);
    if (f->lane)
        f->lane->turn = true;
}

bool tg_feed_take(struct tg_feed *f, uint32_t n, struct tg_row **ret_rows)
{
    bool ahead = tg_feed_offers_ahead(f);
    if (n == 0)
        return ahead;
    if (ahead)
        tg_lane_take(f, n, ret_rows);
    else
        take(f, n, ret_rows);
    if (f->mode == TG_FEED_LAGGING)
        tg_feed_settle(f);
    return ahead;
}

void tg_feed_mark_dirty(struct tg_feed *f)
{
    struct tg_feeds *fs = f->set;
    bool first = TAILQ_EMPTY(&fs->dirty);
    if (f->dirty)
        return;
    f->dirty = true;
    TAILQ_INSERT_TAIL(&fs->dirty, f, in_dirty);
    if (first)
        fs->wake(fs->wake_user);
}

void tg_feed_ack(struct tg_feed *f, uint64_t seq, uint64_t id)
{
    if (seq <= f->acked_seq)
        return;
    TG_ASSERT(seq <= f->set->devices[f->device].last_seq);
    tg_feed_advance(f, seq, id);
    tg_feed_mark_dirty(f);
}

void tg_feed_rewind(struct tg_feed *f)
{
    bool ahead = f->lane && f->lane->given.rows > f->lane->ring.count;
    if (f->taken_seq <= f->acked_seq && !ahead)
        return;
    if (f->lane)
        tg_lane_rewind(f);
    f->merged_seq = 0;
    tg_feed_reposition(f, f->acked_seq + 1, f->acked_id + 1);
    f->taken_seq = f->probe_seq = f->acked_seq;
    if (f->mode == TG_FEED_LIVE)
        f->mode = TG_FEED_LAGGING;
    tg_feed_settle(f);
}

uint32_t tg_feed_ready(const struct tg_feed *f)
{
    return f->ring.ready + (f->lane ? f->lane->ring.ready : 0);
}

void tg_feed_set_drain(struct tg_feed *f, enum tg_drain drain)
{
    f->drain = drain;
}

void tg_feed_set_batch(struct tg_feed *f, uint32_t rows)
{
    f->batch_rows = rows > 0 ? rows : 1;
}

bool tg_feed_ready_urgent(const struct tg_feed *f)
{
    return tg_ring_is_urgent(&f->ring) || (f->lane && tg_ring_is_urgent(&f->lane->ring));
}

uint64_t tg_feed_pending(const struct tg_feed *f)
{
    uint64_t above = f->set->devices[f->device].last_seq - f->acked_seq, over = f->holes.rows;
    /* What was acknowledged from memory and never stored is both. */
    for (uint32_t i = 0; f->lane && i < f->lane->acked.count; i++) {
        const struct tg_run *run = &f->lane->acked.at[i];
        over += run->last - run->first + 1 - tg_runs_between(&f->holes, run->first, run->last);
    }
    return above > over ? above - over : 0;
}

uint64_t tg_feed_acked_seq(const struct tg_feed *f)
{
    return f->acked_seq;
}

int64_t tg_feed_oldest_ms(const struct tg_feed *f)
{
    return tg_feed_pending(f) > 0 ? f->oldest_ms : 0;
}

void tg_feeds_close(struct tg_feed *f)
{
    struct tg_feeds *fs = f->set;
    TG_ASSERT(f->magic == FEED_MAGIC);
    tg_feed_pause(f);
    leave_notified(f);
    if (f->dirty)
        TAILQ_REMOVE(&fs->dirty, f, in_dirty);
    if (f->has_gap)
        TAILQ_REMOVE(&fs->gaps, f, in_gaps);
    for (struct tg_feed **at = &fs->devices[f->device].feeds; *at; at = &(*at)->next_of_device) {
        if (*at == f) {
            *at = f->next_of_device;
            break;
        }
    }
    fs->by_cursor[f->cursor] = NULL;
    tg_lane_close(f);
    tg_runs_fini(&f->holes);
    tg_runs_fini(&f->risk);
    tg_free(f->ring.at);
    tg_free(f->cloud);
    TG_OBJECT_POISON(f);
    tg_free(f);
}
