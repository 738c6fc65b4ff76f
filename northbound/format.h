/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * format - how samples become a message body: json, senml, senml-cbor, template; and `compress: deflate` over any of
 * them. Sparkplug B is not here: its messages depend on the state of the edge node (cloud.h, encode()). Pure: no clock,
 * and nothing is kept between messages, so a changed format applies to the backlog too.
 *
 * One call writes one message: as many of the offered samples, oldest first, as fit `limit_bytes`, at least one.
 */
#ifndef TG_NORTHBOUND_FORMAT_H
#define TG_NORTHBOUND_FORMAT_H

#include "core/base/gap.h"
#include "core/base/sample.h"
#include "core/base/settings.h"

struct tg_format_sample {
    uint64_t seq;
    struct tg_bytes body; /* core/base/sample.h */
};

/* What a hub needs to know to route on the body. */
struct tg_format_content {
    const char *type;     /* "application/json" */
    const char *charset;  /* "utf-8"; "" for binary bodies */
    const char *encoding; /* "" or "deflate" */
};

/* Who the samples are of; borrowed. */
struct tg_format_context {
    const char *device, *gateway; /* the device's id in the cloud */
    const char *template_text;    /* format template; else NULL */
    const char *point;            /* only this point, when the cloud has one topic a point; else NULL */
    /* Unit of a point (configuration), "" = none; may be NULL. */
    const char *(*unit)(void *user, struct tg_bytes point);
    void *user;
};

struct tg_format {
    const char *name; /* as in the file */
    struct tg_format_content content;
    /* Writes one message into `out` (which is empty): samples[0 … n-1], n ≥ 1 unless negative. TG_ECORRUPT: samples[0] cannot be
     * read; TG_ETOOBIG: it alone does not fit the writer. Both leave `out` in any state. limit_bytes bounds messages of
     * two samples and more. */
    int (*write)(const struct tg_format_context *c, const struct tg_format_sample *samples, uint32_t count,
                 size_t limit_bytes, struct tg_writer *out);
    /* Whether it has a place for gap records (core/base/gap.h): those of a format that has none are not offered to it. NULL = it
     * has. With a topic a point they are written like the point TG_GAP_POINT. */
    bool (*says_gaps)(const struct tg_format_context *c);
};

/* By the name in the file; NULL = there is none. */
const struct tg_format *tg_format_find(const char *name);
/* Checks a template text for unknown placeholders: TG_EINVAL with what is allowed. */
int tg_format_template_check(const char *text, struct tg_error *err) TG_CHECKED;

/* Deflates `body` (zlib format, RFC 1950, as HTTP's "deflate" means it) into `out`. TG_ETOOBIG when it is not smaller. Loop
 * thread: uses one compressor state for all. */
int tg_format_deflate(struct tg_bytes body, struct tg_writer *out) TG_CHECKED;

#endif
