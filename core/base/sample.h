/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * sample - the model of the data path: a sample of a device, and its stored form.
 *
 * A sample is what one device measured at one moment: a few named values and, for those that could not
 * be read, a quality. It is numbered (`seq`) when it is accepted. Its *body* is the stored form, version 1,
 * independent of clouds and formats:
 *
 *     u8 version = 1
 *     svarint time_ms          Unix milliseconds
 *     varint count             1 … TG_SAMPLE_MAX_VALUES
 *     count × { varint n, n bytes name; u8 quality; u8 type; value }
 *         value: BOOL u8 · INT svarint · UINT varint · REAL f64le · TEXT varint n, n bytes · NONE nothing
 *
 * seq and device are columns of the store, not part of the body. Pure: no allocation.
 */
#ifndef TG_BASE_SAMPLE_H
#define TG_BASE_SAMPLE_H

#include <tidegate/plugin.h>

#include "core/base/bytes.h"

#define TG_SAMPLE_MAX_VALUES 512
#define TG_SAMPLE_MAX_BYTES                                                                                  \
    65536 /* body; 512 values × (64 name + 12) fits, so does one text of 1 KiB each in 60 */
#define TG_NAME_MAX_BYTES 128 /* device id, point name, cloud name */

/* Whether it may name a device, a point, a cloud or a source: 1 to TG_NAME_MAX_BYTES of letters, digits and - _ . : @, the
 * first a letter, a digit or _. */
bool tg_name_is_valid(const char *name);

/* One value with its name, views into a body or into the caller's memory. */
struct tg_named_value {
    struct tg_bytes name;
    uint8_t quality; /* enum tg_quality */
    struct tg_value value;
};

/* "timeout" for TG_QUALITY_TIMEOUT …; "good" for good; "unknown" for a number not in the enum. */
const char *tg_quality_name(unsigned quality);

/* Writing: begin, then exactly `count` values. Errors show in w->failed. */
void tg_sample_begin(struct tg_writer *w, int64_t time_ms, uint32_t count);
void tg_sample_value(struct tg_writer *w, const struct tg_named_value *v);

/* Reading: init checks the head; next gives the values in order.
 * next: 1 = *ret_value is filled, 0 = end, TG_ECORRUPT. */
struct tg_sample_reader {
    struct tg_reader reader;
    int64_t time_ms;
    uint32_t count, done;
};
int tg_sample_reader_init(struct tg_sample_reader *r, struct tg_bytes body) TG_CHECKED;
int tg_sample_reader_next(struct tg_sample_reader *r, struct tg_named_value *ret_value) TG_CHECKED;

#endif
