/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "northbound/link.h"

bool tg_link_is_gap(const struct tg_row *row)
{
    return tg_gap_is_record(tg_bytes(row->body, row->body_len));
}

uint32_t tg_link_sayable(const struct tg_link *l, const struct tg_format_context *c,
                         const struct tg_row *const *rows, uint32_t count)
{
    uint32_t n = 0;
    if (!l->format || !l->format->says_gaps || l->format->says_gaps(c))
        return count;
    while (n < count && !tg_link_is_gap(rows[n]))
        n++;
    return n;
}
