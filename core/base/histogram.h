/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * histogram - durations in milliseconds, in buckets that grow by a quarter: a quantile is at most 25 % too large, never
 * too small. Fixed size, no allocation. From 0 ms to 2^31 ms; larger ones count as that.
 */
#ifndef TG_BASE_HISTOGRAM_H
#define TG_BASE_HISTOGRAM_H

#include <stdint.h>

#define TG_HISTOGRAM_BUCKETS 120 /* 0…3 exact, then 4 buckets for each power of two up to 2^31 */

struct tg_histogram {
    uint64_t count, sum_ms; /* sum_ms: negative ones as 0 */
    int64_t max_ms;
    uint32_t buckets[TG_HISTOGRAM_BUCKETS];
};

void tg_histogram_add(struct tg_histogram *h, int64_t ms, uint32_t times);
/* The upper end of the bucket that holds the given share (0 < share ≤ 1) of all; 0 when empty; never above max_ms. */
int64_t tg_histogram_quantile(const struct tg_histogram *h, double share);

#endif
