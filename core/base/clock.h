/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * clock - the two clocks. Intervals, back-off and expiry use only the monotonic one (boot time: it
 * counts through suspend and never jumps); wall time is for stamps, tokens and certificates.
 * Any thread.
 */
#ifndef TG_BASE_CLOCK_H
#define TG_BASE_CLOCK_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

int64_t tg_clock_mono_ms(void);
int64_t tg_clock_mono_us(void);
/* Unix time in milliseconds, as the system says; while that is not plausible and a time was offered, what was offered and the
 * monotonic time since. */
int64_t tg_clock_wall_ms(void);
/* As the system says in any case. */
int64_t tg_clock_system_ms(void);
/* False while the system's time is before this program was built: no token or certificate can be judged. */
bool tg_clock_plausible(int64_t wall_ms);

/* A time from outside (a modem's, from its network): wall_ms was right within uncertainty_ms at monotonic at_ms. It counts for this
 * process alone, and only while the system's own time is not plausible; the system's clock is never set. Of several the most certain
 * one counts (an old one grows less certain, by a second in three hours). False: not taken, for it is not plausible itself
 * (before 2026, or after 2045: modems without a network say 1980, which two digits make 2080), or less certain than the present one. */
bool tg_clock_offer(int64_t wall_ms, int64_t at_ms, uint32_t uncertainty_ms);

/* What was offered and counts: false = nothing. */
bool tg_clock_offered(int64_t *ret_wall_ms, int64_t *ret_at_ms, uint32_t *ret_uncertainty_ms);

enum tg_clock_source { TG_CLOCK_SYSTEM, TG_CLOCK_OFFERED, TG_CLOCK_NONE };
/* Where tg_clock_wall_ms() has its time from; NONE: from the system, which has none. */
enum tg_clock_source tg_clock_source(void);
/* "system", "offered", "none"; static storage. */
const char *tg_clock_source_name(enum tg_clock_source source);

#define TG_CLOCK_ISO8601_BYTES 25
/* "2026-11-20T13:00:00.123Z" and a NUL. Years 0001 to 9999; outside, the nearest of them. */
void tg_clock_iso8601(int64_t wall_ms, char ret_text[TG_CLOCK_ISO8601_BYTES]);

#endif
