/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * aws_json - the JSON of AWS IoT's reserved topics ($aws/…): bounded reading and writing of documents that come from the wire,
 * and the arithmetic of merge patches (RFC 7386, which is also how a shadow takes an update: members replace, null removes).
 * No state. Depth is looked at before anything is parsed, so that nothing here recurses deeper than TG_AWS_JSON_MAX_DEPTH. Only
 * tg_aws_json_patch() changes what it is given, though jansson's iterators let nothing be const.
 */
#ifndef TG_NORTHBOUND_AWS_JSON_H
#define TG_NORTHBOUND_AWS_JSON_H

#include <jansson.h>

#include "core/base/bytes.h"

#define TG_AWS_JSON_MAX_BYTES 131072 /* 128 KiB: a message's payload */
#define TG_AWS_JSON_MAX_DEPTH 24 /* a shadow's state has 8 levels at most, a job document is the user's own */

/* An owned text; zero = none. */
struct tg_aws_text {
    uint8_t *data;
    size_t len;
};
void tg_aws_text_free(struct tg_aws_text *t);
static inline struct tg_bytes tg_aws_text_view(const struct tg_aws_text *t)
{
    return tg_bytes(t->data, t->len);
}

/* The object in `text`; NULL with err: TG_ETOOBIG, TG_EPROTO, TG_ENOMEM, text beginning with `what`. json_decref(). */
json_t *tg_aws_json_parse(struct tg_bytes text, const char *what, struct tg_error *err);
/* Appends any value, as short as it can be. The writer fails when it does not fit. */
void tg_aws_json_write(struct tg_writer *w, json_t *value);
/* The object as a text of its own: TG_ETOOBIG beyond `limit_bytes`, TG_ENOMEM; with err beginning with `what`. */
int tg_aws_json_keep(json_t *object, size_t limit_bytes, const char *what, struct tg_aws_text *ret_text,
                     struct tg_error *err) TG_CHECKED;

/* The text or the whole number ≥ 0 of a member; NULL and 0 when it is none. `json` may be NULL. */
const char *tg_aws_json_text(const json_t *object, const char *name);
uint64_t tg_aws_json_number(const json_t *object, const char *name);

/* What makes `want` of `have`, both objects: an empty object when they are equal; NULL when out of memory. */
json_t *tg_aws_json_diff(json_t *have, json_t *want);
/* Applies the patch (an object) to the object `document`. TG_ENOMEM: `document` is then in between. */
int tg_aws_json_patch(json_t *document, json_t *patch) TG_CHECKED;
/* True if something in it, at any depth of objects, is null. */
bool tg_aws_json_removes(json_t *patch);

#endif
