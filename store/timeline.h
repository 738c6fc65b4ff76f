/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * timeline - which wall time a stored sample has, and how old it is, whatever the wall clock did. Private to the store.
 * Pure: no I/O, no clock; a value that is copied from the store thread to the loop.
 *
 * BOOTS   A boot of the machine in which samples were taken before the clock was set. All rows of it that are stamped since
 * boot have ids from first_id on. Its offset (wall minus monotonic time) is UNKNOWN until the clock is set in it: then it is KNOWN,
 * for good. When the clock is set in a later boot only, it is ESTIMATED, for good as well, since rows may have been sent
 * by it: its last sample was taken when the next boot began, at the latest, and that is what is assumed. Stamps of different boots keep their
 * order, and none is in the future. A boot that is not in the table (the
 * table is bounded, or was lost with its database) is taken to have ended, all of it, when the next one that is known began.
 *
 * JUMPS   The wall clock moved by delta_ms when the log had reached `id`: what was stored up to there is that much further from what
 * the clock says now than it is old. The age of a row is what the clock says now, less its time of storing and all jumps since. Slewing
 * and leap seconds are no jumps.
 *
 * BOUNDS  TG_TIMELINE_BOOTS: the oldest is forgotten first (see above). TG_TIMELINE_JUMPS: the two oldest become one, so that rows
 * between them look younger than they are, never older. Both go when no row is left that they say something of.
 */
#ifndef TG_STORE_TIMELINE_H
#define TG_STORE_TIMELINE_H

#include "core/base/sample.h"

#define TG_TIMELINE_BOOTS 64
#define TG_TIMELINE_JUMPS 64

enum tg_boot_state { TG_BOOT_UNKNOWN = 0, TG_BOOT_KNOWN, TG_BOOT_ESTIMATED };

struct tg_timeline_boot {
    uint64_t boot, first_id;
    int64_t offset_ms;
    enum tg_boot_state state;
    int64_t last_mono_ms; /* of UNKNOWN, for tg_timeline_settle(): the newest time since boot */
};

struct tg_timeline_jump {
    uint64_t id;
    int64_t delta_ms;
};

struct tg_timeline {
    struct tg_timeline_boot boots[TG_TIMELINE_BOOTS]; /* by first_id, as the jumps by id */
    struct tg_timeline_jump jumps[TG_TIMELINE_JUMPS];
    uint32_t boot_count, jump_count;
    /* The boot whose clock was set last, and its offset; 0 = none yet. */
    uint64_t clock_boot;
    int64_t clock_offset_ms;
};

/* NULL = not in it. */
struct tg_timeline_boot *tg_timeline_boot(struct tg_timeline *t, uint64_t boot);
/* A boot that is not in it; first_id rises. The oldest may go for it. */
struct tg_timeline_boot *tg_timeline_add_boot(struct tg_timeline *t, uint64_t boot, uint64_t first_id);
/* The clock jumped by delta_ms; id does not fall. */
void tg_timeline_add_jump(struct tg_timeline *t, uint64_t id, int64_t delta_ms);
/* Forgets what says nothing of rows from oldest_id on; `boot` stays. True: something went. */
bool tg_timeline_prune(struct tg_timeline *t, uint64_t oldest_id, uint64_t boot);

/* The clock of `boot`, the present one, is valid: every boot that was UNKNOWN is KNOWN or ESTIMATED then. */
void tg_timeline_settle(struct tg_timeline *t, uint64_t boot, int64_t offset_ms);

/* The wall time of a sample with this time in row `id`: KNOWN, ESTIMATED, or as it is, BOOT, while it cannot be said. */
struct tg_sample_time tg_timeline_resolve(const struct tg_timeline *t, uint64_t id,
                                          const struct tg_sample_time *time);

/* When a row was stored, on the clock as it goes now; `stored_ms` is the log's time_ms of it, wall or monotonic time. False: it
 * cannot be said. */
bool tg_timeline_stored(const struct tg_timeline *t, uint64_t id, int64_t stored_ms, int64_t *ret_wall_ms);

#endif
