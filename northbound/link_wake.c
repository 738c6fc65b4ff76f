/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * Who of a link is due next: its sessions in a binary heap by their earlier moment, since the link looks after every batch and
 * a shared one may carry hundreds. A session that waits for nothing is not in the heap (wake_place 0); places count from 1.
 */
#include "core/base/allocator.h"
#include "core/base/assert.h"
#include "northbound/link.h"

static int64_t due_of(const struct tg_session *s)
{
    return s->wake_ms < s->restart_ms ? s->wake_ms : s->restart_ms;
}

static void put(struct tg_link *l, uint32_t place, struct tg_session *s)
{
    l->wakes[place - 1] = s;
    s->wake_place = place;
}

/* Puts the session where it belongs, beginning at this place, which is free. */
static void settle(struct tg_link *l, uint32_t place, struct tg_session *s)
{
    int64_t due = due_of(s);
    for (uint32_t up = place / 2; up >= 1 && due_of(l->wakes[up - 1]) > due; place = up, up /= 2)
        put(l, place, l->wakes[up - 1]);
    for (uint32_t down = place * 2; down <= l->wake_count; place = down, down *= 2) {
        if (down < l->wake_count && due_of(l->wakes[down]) < due_of(l->wakes[down - 1]))
            down++;
        if (due_of(l->wakes[down - 1]) >= due)
            break;
        put(l, place, l->wakes[down - 1]);
    }
    put(l, place, s);
}

static void changed(struct tg_session *s)
{
    struct tg_link *l = s->link;
    uint32_t place = s->wake_place;
    struct tg_session *last;
    if (due_of(s) != INT64_MAX) {
        if (place == 0) {
            TG_ASSERT(l->wake_count < l->wake_room);
            place = ++l->wake_count;
        }
        settle(l, place, s);
        return;
    }
    if (place == 0)
        return;
    s->wake_place = 0;
    last = l->wakes[--l->wake_count];
    if (last != s)
        settle(l, place, last);
}

int tg_link_wake_room(struct tg_link *l)
{
    uint32_t room = l->wake_room ? l->wake_room * 2 : 1;
    struct tg_session **wakes;
    if (l->session_count < l->wake_room)
        return TG_OK;
    wakes = tg_realloc(l->wakes, room * sizeof(struct tg_session *));
    if (!wakes)
        return TG_ENOMEM;
    l->wakes = wakes;
    l->wake_room = room;
    return TG_OK;
}

void tg_session_wake_at(struct tg_session *s, int64_t at_ms)
{
    s->wake_ms = at_ms;
    changed(s);
}

void tg_session_restart_at(struct tg_session *s, int64_t at_ms)
{
    s->restart_ms = at_ms;
    changed(s);
}

int64_t tg_link_next_wake(const struct tg_link *l)
{
    int64_t at = l->wake_count > 0 ? due_of(l->wakes[0]) : INT64_MAX;
    return l->wake_ms < at ? l->wake_ms : at;
}

static bool wake_session(struct tg_session *s, int64_t now_ms)
{
    if (s->restart_ms <= now_ms) {
        tg_session_restart_at(s, INT64_MAX);
        if (!tg_link_event(s->link, s, (struct tg_cloud_event){.type = TG_CLOUD_START}) ||
            !tg_session_come_online(s, false))
            return false;
    }
    if (s->wake_ms <= now_ms) {
        tg_session_wake_at(s, INT64_MAX);
        return tg_link_event(s->link, s, (struct tg_cloud_event){.type = TG_CLOUD_WAKE});
    }
    return true;
}

bool tg_link_wake(struct tg_link *l, int64_t now_ms)
{
    /* One that asks to be woken at once again has its turn the next time. */
    uint32_t turns = l->wake_count;
    if (l->wake_ms <= now_ms) {
        l->wake_ms = INT64_MAX;
        if (!tg_link_event(l, NULL, (struct tg_cloud_event){.type = TG_CLOUD_WAKE}))
            return false;
    }
    for (; turns > 0 && l->wake_count > 0 && due_of(l->wakes[0]) <= now_ms; turns--)
        if (!wake_session(l->wakes[0], now_ms))
            return false;
    return true;
}
