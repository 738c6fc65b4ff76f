/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "plugins/simulator/signal.h"

#include <math.h>

/* splitmix64: the same number for the same count on every machine. */
static double noise(uint64_t n)
{
    uint64_t z = n + 0x9e3779b97f4a7c15u;
    z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9u;
    z = (z ^ z >> 27) * 0x94d049bb133111ebu;
    return (double)((z ^ z >> 31) >> 11) / 9007199254740992.0;
}

struct tg_value sim_signal_at(const struct sim_signal *s, int64_t now_ms, uint64_t count)
{
    double phase = (double)(now_ms % s->period_ms) / (double)s->period_ms, x = s->low;
    switch (s->shape) {
    case SIM_SINE:
        x = s->low + (s->high - s->low) * (0.5 + 0.5 * sin(6.283185307179586 * phase));
        break;
    case SIM_RAMP:
        x = s->low + (s->high - s->low) * phase;
        break;
    case SIM_SQUARE:
        x = phase < 0.5 ? s->low : s->high;
        break;
    case SIM_RANDOM:
        x = s->low + (s->high - s->low) * noise(count);
        break;
    case SIM_COUNTER:
        return tg_value_uint(count);
    case SIM_CONSTANT:
        break;
    }
    if (s->as_integer)
        return tg_value_int(x >= 9.2e18 ? INT64_MAX : x <= -9.2e18 ? INT64_MIN : (int64_t)floor(x));
    return tg_value_real(fabs(x) < 1e12 ? floor(x * 1000.0) / 1000.0 : x);
}
