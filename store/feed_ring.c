/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * The rows that a feed has ready, and the bytes that all of them together may hold.
 */
#include "store/feed.h"

#include "core/base/allocator.h"

#define RING_FIRST 16u
#define RING_KEEP  64u /* a larger ring is given back when it is empty */

_Static_assert((TG_FEED_MAX_ROWS & (TG_FEED_MAX_ROWS - 1)) == 0, "a ring's capacity is a power of two");

static bool ring_grow(struct tg_feed_ring *r)
{
    uint32_t cap = r->cap == 0 ? RING_FIRST : r->cap * 4 < TG_FEED_MAX_ROWS ? r->cap * 4 : TG_FEED_MAX_ROWS;
    struct tg_row **at = tg_malloc(cap * sizeof(struct tg_row *));
    if (!at)
        return false;
    for (uint32_t i = 0; i < r->count; i++)
        at[i] = tg_ring_at(r, i);
    tg_free(r->at);
    r->at = at;
    r->cap = cap;
    r->head = 0;
    return true;
}

bool tg_ring_push(struct tg_feeds *fs, struct tg_feed_ring *r, struct tg_row *row)
{
    struct tg_row *kept = r->count < r->cap || ring_grow(r) ? tg_row_resolve(row, &fs->timeline) : NULL;
    if (!kept) {
        fs->no_memory = true;
        return false;
    }
    r->at[(r->head + r->count) & (r->cap - 1)] = kept;
    r->count++;
    r->urgent += kept->urgent;
    tg_ring_count_ready(r);
    r->bytes += tg_row_cost(kept);
    fs->bytes += tg_row_cost(kept);
    return true;
}

void tg_ring_count_ready(struct tg_feed_ring *r)
{
    while (r->ready < r->count && !(tg_ring_at(r, r->ready)->flags & TG_ROW_WAITS))
        r->ready++;
}

bool tg_ring_is_urgent(const struct tg_feed_ring *r)
{
    if (r->urgent == 0 || r->ready == r->count)
        return r->urgent > 0;
    for (uint32_t i = 0; i < r->ready; i++)
        if (tg_ring_at(r, i)->urgent)
            return true;
    return false;
}

void tg_ring_resolve(struct tg_feeds *fs, struct tg_feed_ring *r)
{
    for (uint32_t i = r->ready; i < r->count; i++) {
        struct tg_row **at = &r->at[(r->head + i) & (r->cap - 1)], *was = *at;
        struct tg_row *fresh = was->flags & TG_ROW_WAITS ? tg_row_resolve(was, &fs->timeline) : NULL;
        if (!fresh) {
            fs->no_memory = fs->no_memory || (was->flags & TG_ROW_WAITS);
            continue;
        }
        *at = fresh;
        r->bytes = r->bytes - tg_row_cost(was) + tg_row_cost(fresh);
        fs->bytes = fs->bytes - tg_row_cost(was) + tg_row_cost(fresh);
        tg_row_unref(was);
    }
    tg_ring_count_ready(r);
}

struct tg_row *tg_ring_shift(struct tg_feeds *fs, struct tg_feed_ring *r)
{
    struct tg_row *row = tg_ring_at(r, 0);
    size_t cost = tg_row_cost(row);
    r->head = (r->head + 1) & (r->cap - 1);
    r->count--;
    r->urgent -= row->urgent;
    r->ready -= r->ready > 0;
    r->bytes -= cost;
    fs->bytes -= cost;
    return row;
}

void tg_feeds_look_again(struct tg_feeds *fs)
{
    if (!fs->starved && !fs->walked)
        return;
    fs->starved = fs->walked = false;
    fs->wake(fs->wake_user);
}

void tg_ring_shrunk(struct tg_feed *f, struct tg_feed_ring *r)
{
    struct tg_feeds *fs = f->set;
    if (r->count == 0 && r->cap > RING_KEEP) {
        tg_free(r->at);
        r->at = NULL;
        r->cap = r->head = 0;
    }
    if (fs->bytes <= fs->limit_bytes / 4 || f->hungry)
        tg_feeds_look_again(fs);
}

void tg_ring_drop_all(struct tg_feed *f, struct tg_feed_ring *r)
{
    while (r->count > 0)
        tg_row_unref(tg_ring_shift(f->set, r));
    tg_ring_shrunk(f, r);
}

static size_t share_of(const struct tg_feeds *fs)
{
    uint32_t rings = fs->awake + fs->lanes;
    return fs->limit_bytes / 2 / (rings ? rings : 1);
}

size_t tg_feed_allowance(const struct tg_feeds *fs, const struct tg_feed_ring *r)
{
    size_t pool = fs->bytes < fs->limit_bytes / 2 ? fs->limit_bytes / 2 - fs->bytes : 0;
    size_t share = share_of(fs), own = r->bytes < share ? share - r->bytes : 0;
    return pool > own ? pool : own;
}
