/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * azure_document - JSON documents of a device twin: bounded reading and writing, and the arithmetic of merge patches
 * (RFC 7386: an object's members replace, null removes). Limits are the hub's (Azure docs "iot-hub-devguide-device-twins"):
 * 32 KiB of text, ten levels below the document. Members whose names begin with '$' at the top ($version, $metadata) are the
 * hub's own and are left out of everything that is written or compared.
 */
#ifndef TG_NORTHBOUND_AZURE_DOCUMENT_H
#define TG_NORTHBOUND_AZURE_DOCUMENT_H

#include <jansson.h>

#include "core/base/bytes.h"

#define TG_AZURE_DOCUMENT_MAX_BYTES ((size_t)32 * 1024)
#define TG_AZURE_DOCUMENT_MAX_DEPTH 10

/* An owned text; empty = NULL. */
struct tg_azure_text {
    uint8_t *data;
    size_t len;
};
void tg_azure_text_free(struct tg_azure_text *t);

/* The object in `text`, NULL with err (TG_EPROTO, TG_ENOMEM; the text names `what`). json_decref(). */
json_t *tg_azure_document_parse(struct tg_bytes text, const char *what, struct tg_error *err);
/* Writes the object. TG_ETOOBIG with err when it has more than `limit_bytes` or is nested too deeply; TG_ENOMEM. */
int tg_azure_document_write(json_t *object, size_t limit_bytes, const char *what,
                            struct tg_azure_text *ret_text, struct tg_error *err) TG_CHECKED;

/* The merge patch that makes `want` of `have`: an empty object when they are equal, NULL when out of memory. Both are at most
 * TG_AZURE_DOCUMENT_MAX_DEPTH deep, or what is below counts as different. */
json_t *tg_azure_document_diff(json_t *have, json_t *want);
/* Adds `patch` to the earlier patch `first`, so that applying `first` does what both did one after the other. TG_ESTATE when
 * no single patch can (an object follows something that removes or replaces what was there), TG_ENOMEM; `first` is then undefined. */
int tg_azure_document_then(json_t *first, json_t *patch) TG_CHECKED;

#endif
