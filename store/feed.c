/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "store/feed.h"

#include "core/base/allocator.h"
#include "core/base/assert.h"

#define FEED_MAGIC    0xfeedf00du
#define RING_FIRST    16u
#define RING_KEEP     64u /* a larger ring is given back when it is empty */
#define HUNGRY_ROOM   (TG_FEED_MAX_ROWS / 2)
#define DEVICES_LIMIT (1u << 24)

_Static_assert((TG_FEED_MAX_ROWS & (TG_FEED_MAX_ROWS - 1)) == 0, "a ring's capacity is a power of two");

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
    f->holes_ahead = start->holes;
    f->oldest_ms = start->oldest_ms;
    f->on_rows = on_rows;
    f->user = user;
    f->next_of_device = d->feeds;
    d->feeds = f;
    fs->by_cursor[start->cursor] = f;
    tg_feeds_gap(fs, start->cursor, &start->gap, start->tell_seq);
    *ret_feed = f;
    return TG_OK;
}

/* --- ring ------------------------------------------------------------------------------------------ */

static inline struct tg_row *ring_at(const struct tg_feed *f, uint32_t i)
{
    return f->ring[(f->head + i) & (f->cap - 1)];
}

static bool ring_grow(struct tg_feed *f)
{
    uint32_t cap = f->cap == 0 ? RING_FIRST : f->cap * 4 < TG_FEED_MAX_ROWS ? f->cap * 4 : TG_FEED_MAX_ROWS;
    struct tg_row **ring = tg_malloc(cap * sizeof(struct tg_row *));
    if (!ring)
        return false;
    for (uint32_t i = 0; i < f->count; i++)
        ring[i] = ring_at(f, i);
    tg_free(f->ring);
    f->ring = ring;
    f->cap = cap;
    f->head = 0;
    return true;
}

static struct tg_row *ring_shift(struct tg_feed *f)
{
    struct tg_row *row = ring_at(f, 0);
    size_t cost = tg_row_cost(row);
    f->head = (f->head + 1) & (f->cap - 1);
    f->count--;
    f->ready -= f->ready > 0;
    f->bytes -= cost;
    f->set->bytes -= cost;
    return row;
}

static void look_again(struct tg_feeds *fs)
{
    if (!fs->starved && !fs->walked)
        return;
    fs->starved = fs->walked = false;
    fs->wake(fs->wake_user);
}

/* After rows have left: memory goes back, and whoever waited for bytes may look again. */
static void ring_shrunk(struct tg_feed *f)
{
    struct tg_feeds *fs = f->set;
    if (f->count == 0 && f->cap > RING_KEEP) {
        tg_free(f->ring);
        f->ring = NULL;
        f->cap = f->head = 0;
    }
    if (fs->bytes <= fs->limit_bytes / 4 || f->hungry)
        look_again(fs);
}

static void ring_drop_all(struct tg_feed *f)
{
    while (f->count > 0)
        tg_row_unref(ring_shift(f));
    ring_shrunk(f);
}

static size_t share_of(const struct tg_feeds *fs)
{
    return fs->limit_bytes / 2 / (fs->awake ? fs->awake : 1);
}

/* Bytes that the feed may still take. */
size_t tg_feed_allowance(const struct tg_feed *f)
{
    const struct tg_feeds *fs = f->set;
    size_t pool = fs->bytes < fs->limit_bytes / 2 ? fs->limit_bytes / 2 - fs->bytes : 0;
    size_t share = share_of(fs), own = f->bytes < share ? share - f->bytes : 0;
    return pool > own ? pool : own;
}

static void count_ready(struct tg_feed *f)
{
    while (f->ready < f->count && !(ring_at(f, f->ready)->flags & TG_ROW_WAITS))
        f->ready++;
}

/* Offers a row and moves the position behind it. False: no room (or no memory), nothing changed. */
bool tg_feed_push(struct tg_feed *f, struct tg_row *row)
{
    struct tg_feeds *fs = f->set;
    size_t cost = tg_row_cost(row);
    if (f->count >= TG_FEED_MAX_ROWS || (f->count > 0 && cost > tg_feed_allowance(f))) {
        f->need = cost;
        return false;
    }
    if (f->count == f->cap && !ring_grow(f)) {
        fs->no_memory = true;
        return false;
    }
    struct tg_row *kept = tg_row_resolve(row, &fs->timeline);
    if (!kept) {
        fs->no_memory = true;
        return false;
    }
    cost = tg_row_cost(kept);
    f->ring[(f->head + f->count) & (f->cap - 1)] = kept;
    f->count++;
    count_ready(f);
    f->bytes += cost;
    fs->bytes += cost;
    if (row->seq > f->next_seq) { /* numbers without a row: they were never stored, or dropped from memory */
        uint64_t n = row->seq - f->next_seq;
        if (n > f->holes_ahead)
            n = f->holes_ahead;
        f->holes_ahead -= n;
        f->holes_seen += n;
        f->holes_at = row->seq - 1;
    }
    f->next_id = row->id + 1;
    f->next_seq = row->seq + 1;
    if (!f->notified) {
        f->notified = true;
        TAILQ_INSERT_TAIL(&fs->notified, f, in_notified);
    }
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
    if (f->leaving && f->taken_seq <= f->acked_seq)
        fs->wake(fs->wake_user);
    if (f->mode != TG_FEED_LAGGING || f->leaving) {
        leave_hungry(f);
        return;
    }
    if (f->next_seq > fs->devices[f->device].handed_seq || f->next_id > fs->handed_id) {
        f->mode = TG_FEED_LIVE;
        if (f->next_id <= fs->handed_id)
            f->next_id = fs->handed_id + 1;
        leave_hungry(f);
    } else if (f->count > HUNGRY_ROOM) {
        leave_hungry(f);
    } else if (!f->hungry) {
        f->hungry = true;
        TAILQ_INSERT_TAIL(&fs->hungry, f, in_hungry);
        fs->starved = fs->walked = false;
        fs->wake(fs->wake_user);
    }
}

/* Everything up to (seq, id) is over for this feed. */
static void advance(struct tg_feed *f, uint64_t seq, uint64_t id)
{
    bool dropped = false;
    f->acked_seq = seq;
    if (id > f->acked_id)
        f->acked_id = id;
    if (f->taken_seq < seq)
        f->taken_seq = seq;
    if (f->risk_first <= seq)
        f->risk_first = f->risk_last > seq ? seq + 1 : 0;
    if (f->risk_first == 0)
        f->risk_last = 0;
    while (f->count > 0 && ring_at(f, 0)->seq <= seq) {
        tg_row_unref(ring_shift(f));
        dropped = true;
    }
    count_ready(f);
    if (dropped)
        ring_shrunk(f);
    if (f->next_seq <= seq) {
        f->next_seq = seq + 1;
        if (f->next_id <= id)
            f->next_id = id + 1;
    }
    if (f->holes_seen > 0 && f->holes_at <= seq)
        f->holes_seen = 0;
    if (seq >= f->set->devices[f->device].last_seq)
        f->holes_ahead = f->holes_seen = 0;
    if (f->probe_seq <= seq) {
        f->oldest_ms = f->count > 0 && f->taken_seq <= seq ? ring_at(f, 0)->time_ms : f->probe_ms;
        f->probe_seq = f->taken_seq;
        f->probe_ms = f->taken_ms;
    }
    tg_feed_settle(f);
}

void tg_feed_reposition(struct tg_feed *f, uint64_t seq, uint64_t id)
{
    tg_feed_risk_lost(f, seq);
    f->next_seq = seq;
    f->next_id = id;
    f->scan = 0; /* a page under way began elsewhere */
    ring_drop_all(f);
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

void tg_feeds_hand(struct tg_feeds *fs, struct tg_row *row)
{
    struct tg_feed_device *d = &fs->devices[row->device];
    fs->handed_id = row->id;
    if (row->seq > d->handed_seq)
        d->handed_seq = row->seq;
    for (struct tg_feed *f = d->feeds; f; f = f->next_of_device) {
        if (f->mode != TG_FEED_LIVE || row->id < f->next_id || row->seq < f->next_seq || tg_feed_push(f, row))
            continue;
        f->mode = TG_FEED_LAGGING;
        f->next_id = row->id;
        tg_feed_settle(f);
    }
}

void tg_feeds_notify(struct tg_feeds *fs)
{
    struct tg_feed *f;
    while ((f = TAILQ_FIRST(&fs->notified)) != NULL) {
        leave_notified(f);
        if (f->ready > 0)
            f->on_rows(f->user);
    }
}

bool tg_feeds_done_with(const struct tg_feeds *fs, const struct tg_row *row)
{
    for (const struct tg_feed *f = fs->devices[row->device].feeds; f; f = f->next_of_device) {
        if (f->acked_seq < row->seq)
            return false;
    }
    return true;
}

void tg_feeds_moved(struct tg_feeds *fs, uint32_t cursor, uint64_t seq, uint64_t id, uint64_t holes,
                    int64_t oldest_ms)
{
    struct tg_feed *f = cursor < fs->cursor_cap ? fs->by_cursor[cursor] : NULL;
    if (!f || seq <= f->acked_seq)
        return;
    advance(f, seq, id);
    f->holes_ahead = holes > f->holes_seen ? holes - f->holes_seen : 0;
    if (f->oldest_ms < oldest_ms)
        f->oldest_ms = oldest_ms;
}

void tg_feeds_dropped(struct tg_feeds *fs, const struct tg_row *row)
{
    for (struct tg_feed *f = fs->devices[row->device].feeds; f; f = f->next_of_device) {
        if (row->seq < f->next_seq) { /* the session has it, or the ring: it may still arrive */
            if (row->seq > f->acked_seq) {
                f->risk_first = f->risk_first ? f->risk_first : row->seq;
                f->risk_last = row->seq;
            }
            continue;
        }
        tg_feed_lose(f, row->seq, row->seq, TG_GAP_MEMORY);
        if (row->seq == f->acked_seq + 1) {
            advance(f, row->seq, row->id);
            continue;
        }
        f->holes_ahead++;
        if (row->seq == f->next_seq) {
            f->next_seq++;
            f->next_id = row->id + 1;
            f->holes_ahead--;
            f->holes_seen++;
            f->holes_at = row->seq;
        }
    }
}

void tg_feeds_lost(struct tg_feeds *fs, uint32_t device, uint64_t seq, uint64_t id)
{
    for (struct tg_feed *f = fs->devices[device].feeds; f; f = f->next_of_device) {
        if (f->next_seq > seq)
            continue;
        if (f->count == 0 && f->taken_seq <= f->acked_seq) {
            advance(f, seq, id);
            continue;
        }
        f->holes_ahead += seq + 1 - f->next_seq;
        f->next_seq = seq + 1;
        if (f->next_id <= id)
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
    if (f->count > 0) {
        tg_feed_reposition(f, ring_at(f, 0)->seq, ring_at(f, 0)->id);
    } else if (f->mode == TG_FEED_LIVE && f->next_id <= fs->handed_id) {
        uint64_t handed = fs->devices[f->device].handed_seq;
        tg_feed_reposition(f, f->next_seq > handed ? f->next_seq : handed + 1, fs->handed_id + 1);
    }
    f->scan = 0;
    f->mode = TG_FEED_PAUSED;
    fs->awake--;
    leave_hungry(f);
    look_again(fs); /* the others' shares have grown */
}

uint32_t tg_feed_available(const struct tg_feed *f)
{
    return f->ready;
}

bool tg_feed_waits_for_clock(const struct tg_feed *f)
{
    return f->ready < f->count;
}

static void resolve_ring(struct tg_feed *f)
{
    struct tg_feeds *fs = f->set;
    for (uint32_t i = f->ready; i < f->count; i++) {
        struct tg_row **at = &f->ring[(f->head + i) & (f->cap - 1)], *was = *at;
        struct tg_row *fresh = was->flags & TG_ROW_WAITS ? tg_row_resolve(was, &fs->timeline) : NULL;
        if (!fresh) {
            fs->no_memory = fs->no_memory || (was->flags & TG_ROW_WAITS);
            continue;
        }
        *at = fresh;
        f->bytes = f->bytes - tg_row_cost(was) + tg_row_cost(*at);
        fs->bytes = fs->bytes - tg_row_cost(was) + tg_row_cost(*at);
        tg_row_unref(was);
    }
    count_ready(f);
    if (f->ready > 0 && !f->notified) {
        f->notified = true;
        TAILQ_INSERT_TAIL(&fs->notified, f, in_notified);
    }
}

void tg_feeds_resolve(struct tg_feeds *fs, const struct tg_timeline *timeline)
{
    fs->timeline = *timeline;
    for (uint32_t i = 0; i < fs->cursor_cap; i++)
        if (fs->by_cursor[i] && fs->by_cursor[i]->ready < fs->by_cursor[i]->count)
            resolve_ring(fs->by_cursor[i]);
}

const struct tg_row *tg_feed_at(const struct tg_feed *f, uint32_t i)
{
    TG_ASSERT(i < f->count);
    return ring_at(f, i);
}

void tg_feed_take(struct tg_feed *f, uint32_t n, struct tg_row **ret_rows)
{
    TG_ASSERT(n <= f->count);
    if (n == 0)
        return;
    for (uint32_t i = 0; i < n; i++)
        ret_rows[i] = ring_shift(f);
    if (f->probe_seq <= f->acked_seq) {
        f->probe_seq = ret_rows[n - 1]->seq;
        f->probe_ms = ret_rows[n - 1]->time_ms;
        f->oldest_ms = ret_rows[0]->time_ms;
    }
    f->taken_seq = ret_rows[n - 1]->seq;
    f->taken_ms = ret_rows[n - 1]->time_ms;
    ring_shrunk(f);
    if (f->mode == TG_FEED_LAGGING)
        tg_feed_settle(f);
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
    advance(f, seq, id);
    tg_feed_mark_dirty(f);
}

void tg_feed_rewind(struct tg_feed *f)
{
    if (f->taken_seq <= f->acked_seq)
        return;
    f->holes_ahead += f->holes_seen;
    f->holes_seen = 0;
    tg_feed_reposition(f, f->acked_seq + 1, f->acked_id + 1);
    f->taken_seq = f->probe_seq = f->acked_seq;
    if (f->mode == TG_FEED_LIVE)
        f->mode = TG_FEED_LAGGING;
    tg_feed_settle(f);
}

uint64_t tg_feed_pending(const struct tg_feed *f)
{
    uint64_t ahead = f->set->devices[f->device].last_seq - f->acked_seq;
    uint64_t holes = f->holes_ahead + f->holes_seen;
    return ahead > holes ? ahead - holes : 0;
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
    tg_free(f->ring);
    tg_free(f->cloud);
    TG_OBJECT_POISON(f);
    tg_free(f);
}
