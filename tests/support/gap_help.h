/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * gap_help - gap records of a moment that a test names.
 */
#ifndef TESTS_SUPPORT_GAP_HELP_H
#define TESTS_SUPPORT_GAP_HELP_H

#include "core/base/gap.h"

/* time_ms: Unix time. */
static inline void gap_write(struct tg_writer *w, int64_t time_ms, const struct tg_gap *gap,
                             const char *cloud)
{
    const struct tg_sample_time time = {.kind = TG_TIME_KNOWN, .ms = time_ms};
    tg_gap_write_at(w, &time, gap, cloud);
}

#endif
