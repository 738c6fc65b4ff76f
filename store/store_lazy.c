/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * Durability lazy, on the loop: which rows stay in memory, and when one has to be stored after all.
 */
#include "core/base/allocator.h"
#include "core/base/assert.h"
#include "store/store_private.h"

#define HELD_ROWS 32768u /* well below TG_OUTBOX_LAZY_AHEAD: what is held is not on disk either */
#define SPILL_MS  50u    /* rows that are due so soon go with those that are */

/* A row remembers when it came, above its flags, in 24 bits of milliseconds: windows are far shorter than their four hours. */
#define CAME_SHIFT 8
static uint32_t age_ms(const struct tg_row *row, int64_t now)
{
    return (((uint32_t)now << CAME_SHIFT) - (row->flags & ~0xffu)) >> CAME_SHIFT;
}

/* --- who has acknowledged it ------------------------------------------------------------------------------ */

void tg_store_orphan(struct tg_store *s, const struct tg_feed *f)
{
    if (s->orphan_count == s->orphan_cap) {
        uint32_t cap = s->orphan_cap ? 2 * s->orphan_cap : 16;
        struct tg_orphan *fresh = tg_realloc(s->orphans, cap * sizeof *fresh);
        if (!fresh) {
            s->orphans_unknown = true;
            return;
        }
        s->orphans = fresh;
        s->orphan_cap = cap;
    }
    s->orphans[s->orphan_count++] = (struct tg_orphan){f->cursor, f->device, f->acked_seq};
}

void tg_store_adopt(struct tg_store *s, uint32_t cursor)
{
    for (uint32_t i = 0; i < s->orphan_count; i++) {
        if (s->orphans[i].cursor != cursor)
            continue;
        s->orphans[i] = s->orphans[--s->orphan_count];
        return;
    }
}

void tg_store_no_orphans(struct tg_store *s)
{
    s->orphan_count = 0;
    s->orphans_unknown = false;
}

bool tg_store_done_with(const struct tg_store *s, const struct tg_row *row)
{
    if (s->orphans_unknown || !tg_feeds_done_with(&s->feeds, row))
        return false;
    for (uint32_t i = 0; i < s->orphan_count; i++) {
        if (s->orphans[i].device == row->device && s->orphans[i].acked_seq < row->seq)
            return false;
    }
    return true;
}

/* By every cloud of its device, also by one whose feed is just being replaced. A gap record is stored in any case: that its cloud
 * was told is on the disk, where the gap is. */
static bool is_acked(const struct tg_store *s, const struct tg_row *row)
{
    return row->tells == 0 && tg_store_done_with(s, row);
}

/* --- what is held ------------------------------------------------------------------------------------------ */

static bool memory_is_short(const struct tg_store *s)
{
    return s->held_rows > HELD_ROWS || s->held_bytes > s->o.uncommitted_limit_bytes / 2;
}

void tg_store_hold(struct tg_store *s, struct tg_row *row)
{
    row->flags |= (uint32_t)tg_loop_now_ms(s->loop) << CAME_SHIFT;
    if (!s->held)
        s->held = row;
    s->held_rows++;
    s->held_bytes += tg_row_cost(row);
    if (memory_is_short(s))
        tg_store_settle(s, false);
}

static struct tg_row *take_first(struct tg_store *s)
{
    struct tg_row *row = s->held;
    s->held = row->next;
    s->held_rows--;
    s->held_bytes -= tg_row_cost(row);
    return row;
}

static void give_first(struct tg_store *s)
{
    struct tg_row *row = take_first(s);
    s->given_tail = row;
    tg_store_thread_put(&s->thread, row);
}

/* The first row that is held leaves the list; the thread never follows the link that changes, before the next
 * row is put. */
static void let_go_first(struct tg_store *s)
{
    struct tg_row *row = take_first(s);
    tg_row_list_remove(&s->rows, s->given_tail, row);
    tg_store_thread_gone(&s->thread, row, TG_GONE_PASSED);
    tg_row_unref(row);
    s->spared++;
    s->committed++;
}

void tg_store_give_held(struct tg_store *s)
{
    if (s->held)
        tg_store_hand_all(s);
    while (s->held)
        give_first(s);
}

/* Rows up to this id are stored or gone. */
static uint64_t settled_id(const struct tg_store *s)
{
    return s->rows.head ? s->rows.head->id - 1 : s->last_id;
}

/* Lets go of what is acknowledged at the front. */
static void let_go(struct tg_store *s)
{
    if (!s->held || !is_acked(s, s->held))
        return;
    tg_store_thread_gone_begin(&s->thread);
    while (s->held && is_acked(s, s->held))
        let_go_first(s);
    tg_store_thread_gone_end(&s->thread, settled_id(s));
}

void tg_store_settle(struct tg_store *s, bool all)
{
    int64_t now = tg_loop_now_ms(s->loop);
    tg_store_hand_all(s);
    let_go(s);
    while (s->held && (all || memory_is_short(s) || age_ms(s->held, now) + SPILL_MS >= s->o.lazy_window_ms)) {
        give_first(s);
        let_go(s);
    }
    if (s->held && s->window.at_ms == INT64_MAX && !s->closing)
        tg_deadline_set(&s->window, now + s->o.lazy_window_ms - age_ms(s->held, now));
}

void tg_store_tell_accepted(struct tg_store *s)
{
    uint64_t id = settled_id(s);
    if (id <= s->told_id)
        return;
    s->told_id = id;
    if (s->cb.on_committed && !s->closing)
        s->cb.on_committed(s->user, id);
}

void tg_store_on_window(void *user)
{
    struct tg_store *s = TG_OBJECT(user, struct tg_store, TG_STORE_MAGIC);
    tg_store_settle(s, false);
    tg_store_tell_accepted(s);
}

/* --- numbers ------------------------------------------------------------------------------------------------ */

bool tg_store_may_number(struct tg_store *s)
{
    uint64_t ahead;
    /* While nothing can be written other marks see to it (tg_outbox_mark_beyond()). */
    if (!tg_store_is_lazy(s) || s->news.from_memory)
        return true;
    ahead = s->last_id + 1 - s->news.marked_id;
    if (ahead == TG_OUTBOX_LAZY_AHEAD / 2 || ahead >= TG_OUTBOX_LAZY_AHEAD)
        tg_store_thread_mark(&s->thread);
    return ahead < TG_OUTBOX_LAZY_AHEAD;
}
