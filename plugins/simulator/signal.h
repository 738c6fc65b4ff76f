/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * signal - the value of a simulated point at a moment: a pure function of its shape, the time and a counter, so that a
 * rehearsal can be repeated.
 */
#ifndef TG_SIMULATOR_SIGNAL_H
#define TG_SIMULATOR_SIGNAL_H

#include <tidegate/plugin.h>

enum sim_shape { SIM_SINE, SIM_RAMP, SIM_SQUARE, SIM_RANDOM, SIM_COUNTER, SIM_CONSTANT };

struct sim_signal {
    enum sim_shape shape;
    double low, high;
    int64_t period_ms; /* ≥ 1 */
    bool as_integer;
};

struct tg_value sim_signal_at(const struct sim_signal *s, int64_t now_ms, uint64_t count);

#endif
