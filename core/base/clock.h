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
/* Unix time in milliseconds, as the system says. */
int64_t tg_clock_wall_ms(void);
/* False while the system's time is before this program was built: no token or certificate can be judged. */
bool tg_clock_plausible(int64_t wall_ms);

#define TG_CLOCK_ISO8601_BYTES 25
/* "2026-11-20T13:00:00.123Z" and a NUL. Years 0001 to 9999; outside, the nearest of them. */
void tg_clock_iso8601(int64_t wall_ms, char ret_text[TG_CLOCK_ISO8601_BYTES]);

#endif
