/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * value - a reading's value as a number, for whoever calculates with it. Header only, so that pure cores may use it.
 */
#ifndef TG_BASE_VALUE_H
#define TG_BASE_VALUE_H

#include <tidegate/plugin.h>

/* False for booleans, texts and no value at all; *ret stays then. Integers beyond 2^53 are rounded. */
static inline bool tg_value_number(const struct tg_value *v, double *ret)
{
    switch (v->type) {
    case TG_VALUE_INT:
        *ret = (double)v->as.integer;
        return true;
    case TG_VALUE_UINT:
        *ret = (double)v->as.uinteger;
        return true;
    case TG_VALUE_REAL:
        *ret = v->as.real;
        return true;
    default:
        return false;
    }
}

#endif
