/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "southbound/real32.h"

/* Up to here adding a half and cutting off rounds exactly. */
#define WHOLE_LIMIT 4503599627370496.0 /* 2^52 */

double tg_real32_shortest(float f)
{
    static const double ten_to[] = {1, 10, 100, 1e3, 1e4, 1e5, 1e6, 1e7, 1e8, 1e9};
    double wide = (double)f, size = wide < 0 ? -wide : wide;
    for (unsigned k = 0; k < sizeof ten_to / sizeof ten_to[0]; k++) {
        double scaled = size * ten_to[k], candidate;
        if (!(scaled < WHOLE_LIMIT)) /* also NaN */
            break;
        candidate = (double)(unsigned long long)(scaled + 0.5) / ten_to[k];
        if ((float)candidate == (float)size && candidate != 0)
            return wide < 0 ? -candidate : candidate;
    }
    return wide;
}
