/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * json_document - JSON objects from the wire: bounded reading and writing, and the arithmetic of merge patches (RFC 7386, in which
 * twins and shadows are changed: an object's members replace, null removes). No state, any thread.
 *
 * Depth is looked at before anything is parsed, so that nothing here, nor what walks the object later, recurses deeper than
 * TG_JSON_MAX_DEPTH. Names that come twice, numbers beyond 64 bits, NUL and bytes that are no UTF-8 make a text no JSON. Only
 * tg_json_patch() and tg_json_then() change what they are given, though jansson's iterators let nothing be const.
 */
#ifndef TG_NORTHBOUND_JSON_DOCUMENT_H
#define TG_NORTHBOUND_JSON_DOCUMENT_H

#include <jansson.h>

#include "core/base/bytes.h"

/* Objects and arrays within each other, the outermost included. A twin's metadata has 14 at most, a shadow 10 with what is
 * around it; the body of a command and the document of a job are the user's own. */
#define TG_JSON_MAX_DEPTH 24
#define TG_JSON_MAX_BYTES                                                                                    \
    131072 /* of any cloud's message that is JSON: a method call's, and an AWS payload */

/* An owned text; zero = none. */
struct tg_json_text {
    uint8_t *data;
    size_t len;
};
void tg_json_text_free(struct tg_json_text *t);
static inline struct tg_bytes tg_json_text_view(const struct tg_json_text *t)
{
    return tg_bytes(t->data, t->len);
}

/* The object in `text`; NULL with err: TG_ETOOBIG, TG_EPROTO, TG_ENOMEM, text beginning with `what`. json_decref(). */
json_t *tg_json_parse(struct tg_bytes text, const char *what, struct tg_error *err);
/* Appends any value, as short as it can be. The writer fails when it does not fit. */
void tg_json_write(struct tg_writer *w, json_t *value);
/* The object as a text of its own: TG_ETOOBIG beyond `limit_bytes`, TG_ENOMEM; with err beginning with `what`. */
int tg_json_keep(json_t *object, size_t limit_bytes, const char *what, struct tg_json_text *ret_text,
                 struct tg_error *err) TG_CHECKED;
/* Objects and arrays within each other: 0 for another value, 1 for {}, 2 for {"a":{}}. */
unsigned tg_json_depth(json_t *value);

/* The text or the whole number ≥ 0 of a member; NULL and 0 when it is none. `object` may be NULL. */
const char *tg_json_member_text(const json_t *object, const char *name);
uint64_t tg_json_member_number(const json_t *object, const char *name);

/* What makes `want` of `have`, both objects: an empty object when they are equal; NULL when out of memory. */
json_t *tg_json_diff(json_t *have, json_t *want);
/* Applies the patch (an object) to the object `document`. TG_ENOMEM: `document` is then in between. */
int tg_json_patch(json_t *document, json_t *patch) TG_CHECKED;
/* Adds `patch` to the earlier patch `first`, so that applying `first` does what both did one after the other. TG_ESTATE when
 * no single patch can (an object follows something that removes or replaces what was there), TG_ENOMEM; `first` is then undefined. */
int tg_json_then(json_t *first, json_t *patch) TG_CHECKED;
/* True if something in it, at any depth of objects, is null. */
bool tg_json_removes(json_t *patch);

#endif
