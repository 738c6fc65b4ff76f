/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * filter - report by exception: scale, range, deadband, minimum and maximum interval of one point. Pure.
 *
 * Order: the raw value is scaled (value × scale + offset), checked against [min, max] and for NaN and infinity
 * (then it has quality `range` and no value); where the point is an enumeration its number becomes the text for it (a number that
 * has none: quality `range`, no value; what is a text already stays). It is passed on when one of these holds:
 *   - it is the first, or its quality changed;
 *   - max_interval_ms is set and that much time has passed since the last one;
 *   - it differs from the last one sent by more than the deadband (no deadband: always), and min_interval_ms has
 *     passed since then.
 * A value held back by min_interval_ms is not queued: the next reading decides (latest wins). A point whose quality
 * stays bad is not reported again and again by itself: it accompanies the sample when another point is sent.
 * Times are monotonic milliseconds.
 */
#ifndef TG_POINTS_FILTER_H
#define TG_POINTS_FILTER_H

#include <tidegate/plugin.h>

#include "core/base/error.h"

/* A member of an enumeration; a boolean counts as 0 or 1. */
struct tg_filter_word {
    int64_t number;
    const char *text; /* borrowed */
};

struct tg_filter_options {
    double scale, offset; /* 1 and 0 = unchanged, integers stay integers */
    double min, max;      /* after scaling; -inf and +inf = no limit */
    double deadband;      /* < 0 = none; absolute, or a percentage of the last value sent */
    bool deadband_is_percent;
    int64_t min_interval_ms, max_interval_ms; /* 0 = none */
    const struct tg_filter_word *words;       /* borrowed; NULL = no enumeration */
    uint32_t word_count;
};

struct tg_filter_state {
    struct tg_value last; /* texts are compared by hash */
    uint64_t last_text_hash;
    int64_t sent_ms;
    uint32_t last_quality;
    bool has_last;
};

enum tg_filter_verdict {
    TG_FILTER_HOLD,      /* not to be sent */
    TG_FILTER_ACCOMPANY, /* still bad: only together with others */
    TG_FILTER_SEND
};

/* Changes *v in place (scaling, quality). */
enum tg_filter_verdict tg_filter_apply(const struct tg_filter_options *o, struct tg_filter_state *state,
                                       int64_t now_ms, struct tg_point_value *v);

/* The raw value to write for a scaled one: (value − offset) / scale, or the number of an enumeration's text; TG_ERANGE outside
 * [min, max] and for what is not finite; TG_EINVAL for a text where scale, offset, min or max are set and for a boolean where scale or
 * offset are (against min and max a boolean counts as 0 or 1); TG_ENOTFOUND for what the enumeration does not have. */
int tg_filter_unscale(const struct tg_filter_options *o, struct tg_value *v) TG_CHECKED;

/* "3=running" → 3 and the text behind the sign, within `item`; TG_EINVAL. */
int tg_filter_parse_word(const char *item, struct tg_filter_word *ret_word) TG_CHECKED;

/* "0.5" or "2%"; empty or NULL = none. */
int tg_filter_parse_deadband(const char *text, double *ret_deadband, bool *ret_percent) TG_CHECKED;

#endif
