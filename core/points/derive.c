/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "core/points/derive.h"

#include <math.h>

#include "core/base/value.h"

/* A boolean counts as 0 or 1: the sum of states is how many are on. */
static bool as_number(const struct tg_value *v, double *ret)
{
    if (v->type != TG_VALUE_BOOL)
        return tg_value_number(v, ret);
    *ret = v->as.boolean ? 1 : 0;
    return true;
}

/* Takes over what the sample says of the inputs; false: nothing. */
static bool take(const struct tg_derive *d, struct tg_derive_state *s, const struct tg_point_value *values,
                 uint32_t count)
{
    bool any = false;
    for (uint32_t i = 0; i < d->input_count; i++)
        for (uint32_t k = 0; k < count; k++) {
            if (values[k].point != d->inputs[i])
                continue;
            any = s->known[i] = true;
            s->quality[i] = values[k].quality;
            if (s->quality[i] == TG_QUALITY_GOOD && !as_number(&values[k].value, &s->last[i]))
                s->quality[i] = TG_QUALITY_CONFIG;
        }
    return any;
}

static bool rate(const struct tg_derive *d, struct tg_derive_state *s, int64_t time_ms, double *ret)
{
    double before = s->before, now = s->last[0];
    int64_t passed_ms = time_ms - s->before_ms;
    bool had = s->has_before;
    if (had && passed_ms == 0)
        return false; /* the same moment again says nothing new */
    s->has_before = true;
    s->before = now;
    s->before_ms = time_ms;
    if (!had || passed_ms < 0 || (d->counter && now < before))
        return false;
    *ret = (now - before) * (double)d->per_ms / (double)passed_ms;
    return true;
}

bool tg_derive_apply(const struct tg_derive *d, struct tg_derive_state *s, int64_t time_ms,
                     const struct tg_point_value *values, uint32_t count, struct tg_point_value *ret_value)
{
    uint32_t quality = TG_QUALITY_GOOD;
    double x;
    if (!take(d, s, values, count))
        return false;
    for (uint32_t i = 0; i < d->input_count; i++) {
        if (!s->known[i])
            return false;
        if (quality == TG_QUALITY_GOOD)
            quality = s->quality[i];
    }
    if (quality != TG_QUALITY_GOOD) {
        s->has_before = false;
        *ret_value = (struct tg_point_value){.quality = quality};
        return true;
    }
    x = s->last[0];
    for (uint32_t i = 1; i < d->input_count; i++)
        x += d->kind == TG_DERIVE_DIFFERENCE ? -s->last[i] : s->last[i];
    if (d->kind == TG_DERIVE_RATE && !rate(d, s, time_ms, &x))
        return false;
    *ret_value = (struct tg_point_value){.quality = TG_QUALITY_GOOD, .value = tg_value_real(x)};
    if (!isfinite(x))
        *ret_value = (struct tg_point_value){.quality = TG_QUALITY_RANGE};
    return true;
}
