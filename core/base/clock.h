/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * clock - the two clocks. Intervals, back-off and expiry use only the monotonic one (boot time: it
 * counts through suspend and never jumps); wall time is for stamps, tokens and certificates.
 *
 * A BOX WITHOUT A BATTERY begins at 1970 and has no valid time until NTP or a modem brings one. What is measured before gets a
 * *boot stamp*: the monotonic time, which with the boot's number becomes a wall time as soon as one is known (store/timeline.h).
 * Any thread.
 */
#ifndef TG_BASE_CLOCK_H
#define TG_BASE_CLOCK_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

int64_t tg_clock_mono_ms(void);
int64_t tg_clock_mono_us(void);
/* Unix time in milliseconds, as the system says; while that is not plausible, what was known before and the monotonic time since:
 * the system's own time when it had one (tg_clock_hold()), else what was offered. */
int64_t tg_clock_wall_ms(void);
/* As the system says in any case. */
int64_t tg_clock_system_ms(void);
/* 2026-01-01: no build of this program is older. A fixed date keeps builds reproducible. */
#define TG_CLOCK_OLDEST_MS INT64_C(1767225600000)
/* False while the system's time is before this program was built: no token or certificate can be judged. */
bool tg_clock_plausible(int64_t wall_ms);

/* A time from outside (a modem's, from its network): wall_ms was right within uncertainty_ms at monotonic at_ms. It counts for this
 * process alone, and only while the system's own time is not plausible; the system's clock is never set. Of several the most certain
 * one counts (an old one grows less certain, by a second in three hours). False: not taken, for it is not plausible itself
 * (before 2026, or after 2045: modems without a network say 1980, which two digits make 2080), or less certain than the present one. */
bool tg_clock_offer(int64_t wall_ms, int64_t at_ms, uint32_t uncertainty_ms);

/* What was offered and counts: false = nothing. */
bool tg_clock_offered(int64_t *ret_wall_ms, int64_t *ret_at_ms, uint32_t *ret_uncertainty_ms);

enum tg_clock_source { TG_CLOCK_SYSTEM, TG_CLOCK_OFFERED, TG_CLOCK_NONE, TG_CLOCK_HELD };
/* Where tg_clock_wall_ms() has its time from; NONE: from the system, which has none; HELD: the system's time was valid and is not
 * any more. */
enum tg_clock_source tg_clock_source(void);
/* "system", "offered", "none", "held"; static storage. */
const char *tg_clock_source_name(enum tg_clock_source source);

/* The wall clock as it is, for whoever watches it; to be called every second or so: wall minus monotonic time, which is remembered
 * for a system whose clock falls back to 1970. False: no valid time, and there was none before. */
bool tg_clock_hold(int64_t *ret_offset_ms);

/* The wall clock has been set, rather than slewed or smeared, when it moved by more against the monotonic one between two looks. A
 * leap second stays below. */
#define TG_CLOCK_JUMP_MS 2000

/* The number of this boot of the machine: the first 14 hex digits of the kernel's boot id. Where there is none (no /proc), a random
 * one for this process. Never 0. */
uint64_t tg_clock_boot(void);

/* The stamp of something that happens now: wall time, or a boot stamp while there is no valid one. */
int64_t tg_clock_stamp(void);
#define TG_STAMP_BOOT_END (INT64_MIN / 2)
/* A stamp that counts from boot: tg_clock_mono_ms() at its moment. */
static inline bool tg_stamp_is_boot(int64_t stamp)
{
    return stamp < TG_STAMP_BOOT_END;
}
static inline int64_t tg_stamp_of_boot(int64_t mono_ms)
{
    return INT64_MIN + mono_ms;
}
static inline int64_t tg_stamp_mono_ms(int64_t stamp)
{
    return stamp - INT64_MIN;
}

#define TG_CLOCK_ISO8601_BYTES 25
/* "2026-11-20T13:00:00.123Z" and a NUL. Years 0001 to 9999; outside, the nearest of them. */
void tg_clock_iso8601(int64_t wall_ms, char ret_text[TG_CLOCK_ISO8601_BYTES]);

#endif
