/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * day_meter - what was published since midnight UTC, as hubs that sell messages a day count it. Pure: the times come from
 * the caller.
 *
 * MIDNIGHT   is judged at every look from both clocks: wall time says how long ago it was, the monotonic clock whether what was
 * counted lies before or after. So a clock that is set loses no count, it only moves the midnight: a count that lies on both
 * sides of the new one stays whole (rather too much than too little), and one that was put aside because a clock that ran
 * ahead had passed midnight comes back when the clock is set back. One day is put aside, not more.
 * BLOCKS   of 4096 bytes: a message of body and topic begins one at least.
 * Counts begin at 0 with the gateway: they are not kept over a restart.
 */
#ifndef TG_NORTHBOUND_DAY_METER_H
#define TG_NORTHBOUND_DAY_METER_H

#include <stddef.h>
#include <stdint.h>

#define TG_DAY_METER_BLOCK_BYTES 4096

struct tg_day_count {
    uint64_t messages, blocks;
    int64_t last_ms; /* monotonic, of the newest; of no meaning while there are none */
};

/* Zero-initialise. */
struct tg_day_meter {
    struct tg_day_count today, before;
};

/* `bytes` of `messages` (≥ 1) were published at mono_ms, which is wall_ms on the clock of the day (Unix time). */
void tg_day_meter_add(struct tg_day_meter *m, int64_t mono_ms, int64_t wall_ms, uint32_t messages,
                      size_t bytes);
/* What counts for the present day. */
struct tg_day_count tg_day_meter_today(const struct tg_day_meter *m, int64_t mono_ms, int64_t wall_ms);

#endif
