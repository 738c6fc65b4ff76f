/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * The gap record of a feed, with its time.
 */
#include "store/feed.h"

#include "core/base/clock.h"

/* As the router stamps samples: by the clock that was told last; before it is set, by the time since boot. */
static struct tg_sample_time time_of(const struct tg_timeline *t, int64_t *ret_stored_ms)
{
    int64_t mono_ms = tg_clock_mono_ms(), wall_ms = tg_clock_wall_ms();
    if (t->clock_boot == tg_clock_boot())
        wall_ms = mono_ms + t->clock_offset_ms;
    *ret_stored_ms = tg_clock_plausible(wall_ms) ? wall_ms : mono_ms;
    if (tg_clock_plausible(wall_ms))
        return (struct tg_sample_time){.kind = TG_TIME_KNOWN, .ms = wall_ms};
    return (struct tg_sample_time){.kind = TG_TIME_BOOT, .boot = tg_clock_boot(), .ms = mono_ms};
}

int64_t tg_feed_gap_record(const struct tg_feed *f, struct tg_writer *w)
{
    int64_t stored_ms;
    struct tg_sample_time time = time_of(&f->set->timeline, &stored_ms);
    tg_gap_write_at(w, &time, &f->gap, f->cloud);
    return stored_ms;
}
