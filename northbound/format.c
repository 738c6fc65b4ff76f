/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "northbound/format.h"

#include <limits.h>
#define ZLIB_CONST /* next_in is const */
#include <zlib.h>

#include "core/base/allocator.h"
#include "northbound/format_json.h"
#include "northbound/format_senml.h"
#include "northbound/format_template.h"

static const struct tg_format *const formats[] = {&tg_format_json, &tg_format_senml, &tg_format_senml_cbor,
                                                  &tg_format_template};

const struct tg_format *tg_format_find(const char *name)
{
    for (size_t i = 0; i < sizeof formats / sizeof formats[0]; i++)
        if (strcmp(formats[i]->name, name) == 0)
            return formats[i];
    return NULL;
}

/* --- compression -------------------------------------------------------------------------------- */

#define LEVEL       6
#define WINDOW_BITS 15
#define MEM_LEVEL   8 /* (1 << (15 + 2)) + (1 << (8 + 9)) bytes = 256 KiB for the one compressor */

static void *zalloc(void *user, unsigned n, unsigned size)
{
    (void)user;
    return tg_calloc(n, size);
}

static void zfree(void *user, void *ptr)
{
    (void)user;
    tg_free(ptr);
}

int tg_format_deflate(struct tg_bytes body, struct tg_writer *out)
{
    static z_stream z;
    static bool ready;
    if (body.len < 2 || body.len > UINT_MAX || out->failed)
        return TG_ETOOBIG;
    if (!ready) {
        z = (z_stream){.zalloc = zalloc, .zfree = zfree};
        if (deflateInit2(&z, LEVEL, Z_DEFLATED, WINDOW_BITS, MEM_LEVEL, Z_DEFAULT_STRATEGY) != Z_OK)
            return TG_ENOMEM;
        ready = true;
    }
    size_t room = out->cap - out->len, want = body.len - 1;
    z.next_in = body.data;
    z.avail_in = (unsigned)body.len;
    z.next_out = out->data + out->len;
    z.avail_out = (unsigned)(room < want ? room : want);
    int rc = deflate(&z, Z_FINISH);
    size_t len = z.total_out;
    (void)deflateReset(&z);
    if (rc != Z_STREAM_END)
        return TG_ETOOBIG;
    out->len += len;
    return TG_OK;
}
