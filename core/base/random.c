/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "core/base/random.h"

#include <sys/random.h>

#include "core/base/clock.h"

uint32_t tg_random_u32(void)
{
    uint32_t v;
    if (getrandom(&v, sizeof v, GRND_NONBLOCK) == (ssize_t)sizeof v)
        return v;
    /* Early boot without entropy: the clock's low bits still spread a fleet. */
    return (uint32_t)((uint64_t)tg_clock_mono_us() * 2654435761u);
}
