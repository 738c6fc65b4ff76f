/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "core/base/histogram.h"

/* Values below 4 have a bucket each; above, the bucket is the exponent and the two bits after the leading one. */
static unsigned bucket_of(int64_t ms)
{
    uint64_t v = ms < 0 ? 0 : ms > INT32_MAX ? INT32_MAX : (uint64_t)ms;
    unsigned exponent;
    if (v < 4)
        return (unsigned)v;
    exponent = 63u - (unsigned)__builtin_clzll(v);
    return 4 * (exponent - 1) + (unsigned)(v >> (exponent - 2) & 3);
}

static int64_t upper_end(unsigned bucket)
{
    unsigned exponent = bucket / 4 + 1, quarter = bucket % 4;
    if (bucket < 4)
        return bucket;
    return (int64_t)((uint64_t)(4 + quarter + 1) << (exponent - 2)) - 1;
}

void tg_histogram_add(struct tg_histogram *h, int64_t ms, uint32_t times)
{
    h->buckets[bucket_of(ms)] += times;
    h->count += times;
    h->sum_ms += ms > 0 ? (uint64_t)ms * times : 0;
    if (ms > h->max_ms)
        h->max_ms = ms;
}

int64_t tg_histogram_quantile(const struct tg_histogram *h, double share)
{
    uint64_t sum = 0;
    for (unsigned i = 0; i < TG_HISTOGRAM_BUCKETS; i++) {
        sum += h->buckets[i];
        if (sum > 0 && (double)sum >= share * (double)h->count)
            return upper_end(i) < h->max_ms ? upper_end(i) : h->max_ms;
    }
    return h->max_ms;
}
