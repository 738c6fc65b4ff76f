/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * plural - words beside a count, for people: "1 sample is kept", "2 samples are kept", "0 samples are kept".
 *
 *     tg_log(…, "%u %s in %u %s", n, tg_plural(n, "device", "devices"), m, tg_plural(m, "source", "sources"));
 */
#ifndef TG_BASE_PLURAL_H
#define TG_BASE_PLURAL_H

#include <stdint.h>

static inline const char *tg_plural(uint64_t n, const char *one, const char *many)
{
    return n == 1 ? one : many;
}

#endif
