/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "store/timeline.h"

#include "core/base/clock.h"

struct tg_timeline_boot *tg_timeline_boot(struct tg_timeline *t, uint64_t boot)
{
    for (uint32_t i = t->boot_count; i-- > 0;)
        if (t->boots[i].boot == boot)
            return &t->boots[i];
    return NULL;
}

static void drop_boots(struct tg_timeline *t, uint32_t n)
{
    t->boot_count -= n;
    memmove(t->boots, t->boots + n, t->boot_count * sizeof t->boots[0]);
}

struct tg_timeline_boot *tg_timeline_add_boot(struct tg_timeline *t, uint64_t boot, uint64_t first_id)
{
    struct tg_timeline_boot *b;
    if (t->boot_count == TG_TIMELINE_BOOTS)
        drop_boots(t, 1);
    b = &t->boots[t->boot_count++];
    *b = (struct tg_timeline_boot){.boot = boot, .first_id = first_id};
    return b;
}

void tg_timeline_add_jump(struct tg_timeline *t, uint64_t id, int64_t delta_ms)
{
    if (t->jump_count > 0 && t->jumps[t->jump_count - 1].id >= id) {
        t->jumps[t->jump_count - 1].delta_ms += delta_ms; /* no row in between */
        return;
    }
    if (t->jump_count == TG_TIMELINE_JUMPS) {
        int64_t first_ms = t->jumps[0].delta_ms;
        t->jumps[1].delta_ms += first_ms > 0 ? first_ms : 0;
        memmove(t->jumps, t->jumps + 1, --t->jump_count * sizeof t->jumps[0]);
    }
    t->jumps[t->jump_count++] = (struct tg_timeline_jump){id, delta_ms};
}

bool tg_timeline_prune(struct tg_timeline *t, uint64_t oldest_id, uint64_t boot)
{
    uint32_t n = 0, boots = t->boot_count, jumps = t->jump_count;
    /* Where the next boot begins, this one has ended. */
    while (n + 1 < t->boot_count && t->boots[n + 1].first_id <= oldest_id && t->boots[n].boot != boot)
        n++;
    drop_boots(t, n);
    for (n = 0; n < t->jump_count && t->jumps[n].id < oldest_id;)
        n++;
    t->jump_count -= n;
    memmove(t->jumps, t->jumps + n, t->jump_count * sizeof t->jumps[0]);
    return t->boot_count != boots || t->jump_count != jumps;
}

void tg_timeline_settle(struct tg_timeline *t, uint64_t boot, int64_t offset_ms)
{
    int64_t next_ms = offset_ms;
    for (uint32_t i = t->boot_count; i-- > 0;) {
        struct tg_timeline_boot *b = &t->boots[i];
        if (b->state == TG_BOOT_UNKNOWN && b->boot == boot) {
            b->offset_ms = offset_ms;
            b->state = TG_BOOT_KNOWN;
        } else if (b->state == TG_BOOT_UNKNOWN) {
            b->offset_ms = next_ms - b->last_mono_ms;
            b->state = TG_BOOT_ESTIMATED;
        }
        next_ms = b->offset_ms;
    }
    t->clock_boot = boot;
    t->clock_offset_ms = offset_ms;
}

/* When the boot began that is the next one after row `id`: an upper bound for whatever was before it. */
static bool next_began(const struct tg_timeline *t, uint64_t id, int64_t *ret_ms)
{
    for (uint32_t i = 0; i < t->boot_count; i++)
        if (t->boots[i].first_id > id) {
            *ret_ms = t->boots[i].offset_ms;
            return t->boots[i].state != TG_BOOT_UNKNOWN;
        }
    *ret_ms = t->clock_offset_ms;
    return t->clock_boot != 0;
}

struct tg_sample_time tg_timeline_resolve(const struct tg_timeline *t, uint64_t id,
                                          const struct tg_sample_time *time)
{
    struct tg_sample_time at = {.kind = TG_TIME_ESTIMATED};
    if (time->kind != TG_TIME_BOOT)
        return *time;
    for (uint32_t i = t->boot_count; i-- > 0;) {
        const struct tg_timeline_boot *b = &t->boots[i];
        if (b->boot != time->boot)
            continue;
        if (b->state == TG_BOOT_UNKNOWN)
            return *time;
        at.kind = b->state == TG_BOOT_KNOWN ? TG_TIME_KNOWN : TG_TIME_ESTIMATED;
        if (__builtin_add_overflow(time->ms, b->offset_ms, &at.ms))
            at.ms = b->offset_ms;
        return at;
    }
    if (time->boot == t->clock_boot) {
        at.kind = TG_TIME_KNOWN;
        if (__builtin_add_overflow(time->ms, t->clock_offset_ms, &at.ms))
            at.ms = t->clock_offset_ms;
        return at;
    }
    return next_began(t, id, &at.ms) ? at : *time;
}

bool tg_timeline_stored(const struct tg_timeline *t, uint64_t id, int64_t stored_ms, int64_t *ret_wall_ms)
{
    int64_t wall_ms = stored_ms;
    if (!tg_clock_plausible(stored_ms)) {
        uint32_t i = t->boot_count;
        while (i > 0 && t->boots[i - 1].first_id > id)
            i--;
        if (i == 0 || t->boots[i - 1].state == TG_BOOT_UNKNOWN)
            return false;
        wall_ms += t->boots[i - 1].offset_ms;
    }
    for (uint32_t i = t->jump_count; i-- > 0 && t->jumps[i].id >= id;)
        wall_ms += t->jumps[i].delta_ms;
    *ret_wall_ms = wall_ms;
    return true;
}
