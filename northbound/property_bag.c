/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "northbound/property_bag.h"

#include "northbound/percent.h"

void tg_property_bag_put(struct tg_writer *w, bool *first, struct tg_bytes name, struct tg_bytes value)
{
    if (!*first)
        tg_write_u8(w, '&');
    *first = false;
    tg_percent_encode(w, name, TG_PERCENT_PROPERTY);
    tg_write_u8(w, '=');
    tg_percent_encode(w, value, TG_PERCENT_PROPERTY);
}

static int decode(struct tg_writer *scratch, struct tg_bytes text, struct tg_bytes *ret)
{
    size_t begin = scratch->len;
    int rc = tg_percent_decode(scratch, text);
    if (rc == TG_OK)
        *ret = tg_bytes(scratch->data + begin, scratch->len - begin);
    return rc;
}

int tg_property_bag_next(struct tg_property_reader *r, struct tg_writer *scratch,
                         struct tg_property *ret_property)
{
    while (r->rest.len > 0) {
        struct tg_property p = {.is_null = true};
        const uint8_t *amp = memchr(r->rest.data, '&', r->rest.len);
        size_t len = amp ? (size_t)(amp - r->rest.data) : r->rest.len;
        struct tg_bytes item = tg_bytes(r->rest.data, len);
        const uint8_t *eq = len ? memchr(item.data, '=', len) : NULL;
        size_t skip = amp ? len + 1 : len;
        int rc;
        r->rest = tg_bytes(r->rest.data + skip, r->rest.len - skip);
        if (len == 0)
            continue;
        rc = decode(scratch, tg_bytes(item.data, eq ? (size_t)(eq - item.data) : len), &p.name);
        if (rc == TG_OK && eq) {
            p.is_null = false;
            rc = decode(scratch, tg_bytes(eq + 1, len - (size_t)(eq - item.data) - 1), &p.value);
        }
        if (rc < 0)
            return rc;
        *ret_property = p;
        return 1;
    }
    return 0;
}
