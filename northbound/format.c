/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "northbound/format.h"

#include <string.h>

#include "northbound/format_json.h"

static int write_json(const struct tg_format_context *c, const struct tg_format_sample *samples,
                      uint32_t count, size_t limit_bytes, struct tg_writer *out)
{
    uint32_t n = 0;
    (void)c;
    if (count > 1)
        tg_write_u8(out, '[');
    for (; n < count; n++) {
        size_t before = out->len;
        int rc;
        if (n)
            tg_write_u8(out, ',');
        rc = tg_format_json_sample(out, samples[n].seq, samples[n].body);
        if (n == 0 && rc < 0)
            return rc;
        if (rc < 0 || (n > 0 && out->len + 1 > limit_bytes) || out->cap - out->len < 1) {
            out->len = before;
            out->failed = false;
            break;
        }
    }
    if (count > 1 && n == 1) {
        memmove(out->data, out->data + 1, --out->len);
    } else if (count > 1) {
        out->data[out->len++] = ']';
    }
    return (int)n;
}

static const struct tg_format json = {"json", {"application/json", "utf-8", ""}, write_json};

const struct tg_format *tg_format_find(const char *name)
{
    return strcmp(name, "json") == 0 ? &json : NULL;
}

int tg_format_deflate(struct tg_bytes body, struct tg_writer *out)
{
    (void)body;
    (void)out;
    return TG_ETOOBIG;
}
