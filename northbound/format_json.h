/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * format_json - samples as JSON (DESIGN.md section 2): one object a sample,
 *     {"ts":"2026-11-20T13:00:00.123Z","seq":4711,"values":{"voltage":230.1},"quality":{"current":"timeout"}}
 * (`"time":"estimated"` after `ts` when that is an estimate, docs/time.md); a gap record has `gap` in place of `values`,
 *     {"ts":"…","seq":4712,"gap":{"first_seq":17,"last_seq":42,"count":20,"reasons":["limit"],"cloud":"hub"}}
 * and an array of them, oldest first, for a batch of several. Numbers are the shortest text that reads back to the
 * same double; `values` is always there, `quality` only when something is in it. Names and texts that are not
 * UTF-8 get U+FFFD in place of each bad byte. Pure. Also what other formats borrow: numbers, texts, the batch loop.
 */
#ifndef TG_NORTHBOUND_FORMAT_JSON_H
#define TG_NORTHBOUND_FORMAT_JSON_H

#include "northbound/format.h"

#define TG_FORMAT_JSON_CONTENT_TYPE "application/json;charset=utf-8"

extern const struct tg_format tg_format_json;

/* Appends one sample, with `point` (NULL = all) only that point; TG_ECORRUPT for a body that cannot be read, TG_ETOOBIG (w is
 * then to be cut back by the caller). */
int tg_format_json_sample(struct tg_writer *w, uint64_t seq, struct tg_bytes body,
                          const char *point) TG_CHECKED;
/* `values` and `quality` by themselves: an object of the good values, and of the qualities of the others; the reader is at
 * its first value. Returns how many are in it, TG_ECORRUPT. */
int tg_format_json_values(struct tg_writer *w, struct tg_sample_reader reader, const char *point) TG_CHECKED;
int tg_format_json_qualities(struct tg_writer *w, struct tg_sample_reader reader,
                             const char *point) TG_CHECKED;
/* The object of a gap record by itself. */
void tg_format_json_gap(struct tg_writer *w, const struct tg_gap *gap, struct tg_bytes cloud);
/* A value by itself; NaN and infinity are null. */
void tg_format_json_value(struct tg_writer *w, const struct tg_value *v);
void tg_format_json_string(struct tg_writer *w, struct tg_bytes text);
/* The same without the quotation marks around it. */
void tg_format_json_text(struct tg_writer *w, struct tg_bytes text);
void tg_format_json_real(struct tg_writer *w, double v);
/* The length of the well-formed UTF-8 sequence at the beginning, 0 when there is none. */
size_t tg_format_utf8_sequence(struct tg_bytes b);
#define TG_FORMAT_REPLACEMENT "\xEF\xBF\xBD" /* U+FFFD, in place of a byte that is no UTF-8 */

#endif
