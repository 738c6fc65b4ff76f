/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * derive - points that are not read but worked out from others of the same device: a sum, a difference, a rate. Pure.
 *
 * Values come in as they are after scaling. A derived point has a value as soon as each of its inputs has been read once, and
 * then with every sample that has one of them, from the last reading of each:
 *   sum         a + b + …
 *   difference  a − b − …
 *   rate        (a − a of the sample before) × per_ms / time between the two; from the second sample on, and only where the
 *               time of the samples has grown. Of a counter a fall is a restart or an overflow: no value that time.
 * While one of the inputs has a quality other than good, the derived point has the quality of the first such, and no value; a
 * rate begins anew after it. An input that is no number gives `config`. The result is a real number.
 * Whoever may have to offer a sample twice works on a copy of the state and keeps it when the sample was taken.
 */
#ifndef TG_POINTS_DERIVE_H
#define TG_POINTS_DERIVE_H

#include <tidegate/plugin.h>

#define TG_DERIVE_MAX_INPUTS 16
/* Derived points of one device. */
#define TG_DERIVE_MAX_POINTS 32

enum tg_derive_kind { TG_DERIVE_SUM, TG_DERIVE_DIFFERENCE, TG_DERIVE_RATE };

struct tg_derive {
    enum tg_derive_kind kind;
    uint32_t input_count; /* RATE: 1 */
    uint32_t inputs[TG_DERIVE_MAX_INPUTS];
    int64_t per_ms; /* RATE: the unit of time, > 0 */
    bool counter;   /* RATE */
};

struct tg_derive_state {
    double last[TG_DERIVE_MAX_INPUTS];
    uint32_t quality[TG_DERIVE_MAX_INPUTS];
    bool known[TG_DERIVE_MAX_INPUTS];
    bool has_before; /* RATE: `before` at `before_ms` */
    double before;
    int64_t before_ms;
};

/* True: *ret_value is the derived point's reading (its `point` is left for the caller). time_ms: of the sample. */
bool tg_derive_apply(const struct tg_derive *d, struct tg_derive_state *state, int64_t time_ms,
                     const struct tg_point_value *values, uint32_t count, struct tg_point_value *ret_value);

#endif
