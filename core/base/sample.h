/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * sample - the model of the data path: a sample of a device, and its stored form.
 *
 * A sample is what one device measured at one moment: a few named values and, for those that could not
 * be read, a quality. It is numbered (`seq`) when it is accepted. Its *body* is the stored form, version 1 or 2,
 * independent of clouds and formats:
 *
 *     u8 version = 1           │ u8 version = 2
 *     svarint time_ms          │ varint boot, svarint time_ms
 *         Version 1: Unix milliseconds. Version 2 with boot 0: Unix milliseconds that are an estimate; else milliseconds since
 *         that boot of the machine (core/base/clock.h), which had no valid time yet.
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

/* When a sample was taken. */
enum tg_time_kind {
    TG_TIME_KNOWN = 0, /* ms: Unix time */
    TG_TIME_ESTIMATED, /* ms: Unix time, worked out from what is known of the boots around */
    TG_TIME_BOOT       /* ms: since boot number `boot`; its wall time is not known yet */
};
struct tg_sample_time {
    enum tg_time_kind kind;
    uint64_t boot; /* 0 unless BOOT */
    int64_t ms;
};

/* Writing: begin, then exactly `count` values. Errors show in w->failed. */
void tg_sample_begin_at(struct tg_writer *w, const struct tg_sample_time *time, uint32_t count);
/* With a known time. */
void tg_sample_begin(struct tg_writer *w, int64_t time_ms, uint32_t count);
void tg_sample_value(struct tg_writer *w, const struct tg_named_value *v);

/* Reading: init checks the head; next gives the values in order.
 * next: 1 = *ret_value is filled, 0 = end, TG_ECORRUPT. */
struct tg_sample_reader {
    struct tg_reader reader;
    int64_t time_ms;
    enum tg_time_kind time;
    uint64_t boot;
    uint32_t count, done;
};
int tg_sample_reader_init(struct tg_sample_reader *r, struct tg_bytes body) TG_CHECKED;
/* True while the body's time is not a wall time yet (TG_TIME_BOOT): such a sample is not sent. Looks at two bytes. */
static inline bool tg_sample_is_unstamped(struct tg_bytes body)
{
    return body.len > 1 && body.data[0] == 2 && body.data[1] != 0;
}
/* The same body with another time. TG_ECORRUPT. */
int tg_sample_restamp(struct tg_bytes body, const struct tg_sample_time *time,
                      struct tg_writer *w) TG_CHECKED;
int tg_sample_reader_next(struct tg_sample_reader *r, struct tg_named_value *ret_value) TG_CHECKED;

#endif
