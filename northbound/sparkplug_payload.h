/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * sparkplug_payload - the protobuf payload of Sparkplug B 3.0 (sparkplug_b.proto), written metric by metric into the caller's
 * memory and read with bounds. Pure but for reading, which allocates at most TG_SPARKPLUG_READ_BYTES (tg_malloc) until
 * tg_sparkplug_read_end().
 *
 *     tg_sparkplug_begin(&w, wall_ms);
 *     tg_sparkplug_put(&w, &(struct tg_sparkplug_metric){.alias = 7, .has_alias = true, …});
 *     tg_sparkplug_end(&w, seq);
 *
 * Numbers are two's complement in an unsigned field: 32 bits up to Int32 and UInt32, 64 bits for Int64 and UInt64. Reading takes
 * either width for either type, since implementations differ (Tahu writes UInt32 as 64 bits).
 */
#ifndef TG_NORTHBOUND_SPARKPLUG_PAYLOAD_H
#define TG_NORTHBOUND_SPARKPLUG_PAYLOAD_H

#include <tidegate/plugin.h>

#include "core/base/bytes.h"

#define TG_SPARKPLUG_READ_BYTES ((size_t)1024 * 1024)

enum tg_sparkplug_datatype {
    TG_SPARKPLUG_UNKNOWN = 0,
    TG_SPARKPLUG_INT8 = 1,
    TG_SPARKPLUG_INT16 = 2,
    TG_SPARKPLUG_INT32 = 3,
    TG_SPARKPLUG_INT64 = 4,
    TG_SPARKPLUG_UINT8 = 5,
    TG_SPARKPLUG_UINT16 = 6,
    TG_SPARKPLUG_UINT32 = 7,
    TG_SPARKPLUG_UINT64 = 8,
    TG_SPARKPLUG_FLOAT = 9,
    TG_SPARKPLUG_DOUBLE = 10,
    TG_SPARKPLUG_BOOLEAN = 11,
    TG_SPARKPLUG_STRING = 12,
    TG_SPARKPLUG_DATETIME = 13,
    TG_SPARKPLUG_TEXT = 14,
    TG_SPARKPLUG_UUID = 15
};

/* Which field of the metric holds the value. */
enum tg_sparkplug_field {
    TG_SPARKPLUG_NO_VALUE = 0, /* null, or a type that is not read (bytes, data set, template) */
    TG_SPARKPLUG_FIELD_INT,
    TG_SPARKPLUG_FIELD_LONG,
    TG_SPARKPLUG_FIELD_FLOAT,
    TG_SPARKPLUG_FIELD_DOUBLE,
    TG_SPARKPLUG_FIELD_BOOLEAN,
    TG_SPARKPLUG_FIELD_STRING
};

/* The property "Quality" of a metric. */
#define TG_SPARKPLUG_QUALITY_BAD   0
#define TG_SPARKPLUG_QUALITY_GOOD  192
#define TG_SPARKPLUG_QUALITY_STALE 500

/* Borrowed texts, NUL-terminated. */
struct tg_sparkplug_metric {
    const char *name; /* NULL = only the alias */
    bool has_alias, has_time, historical, null;
    bool has_quality; /* only written */
    uint64_t alias;
    uint64_t time_ms;
    uint32_t datatype; /* enum tg_sparkplug_datatype or another one; 0 = not given */
    int32_t quality;
    const char *unit; /* property "engUnit", only written; NULL = none */
    enum tg_sparkplug_field field;
    union {
        uint32_t u32;
        uint64_t u64;
        float f32;
        double f64;
        bool boolean;
        const char *text;
    } as;
};

/* Errors show in w->failed. */
void tg_sparkplug_begin(struct tg_writer *w, int64_t wall_ms);
void tg_sparkplug_put(struct tg_writer *w, const struct tg_sparkplug_metric *m);
void tg_sparkplug_end(struct tg_writer *w, uint8_t seq);

struct tg_sparkplug_reader {
    void *payload;
    size_t count, next;
    bool has_time, has_seq;
    uint64_t time_ms, seq;
};

/* TG_EPROTO: no payload, a text that is not UTF-8, or more than the bound; TG_ENOMEM. Nothing is to be ended then. */
int tg_sparkplug_read(struct tg_bytes bytes, struct tg_sparkplug_reader *ret_reader,
                      struct tg_error *err) TG_CHECKED;
/* False at the end. Texts live until tg_sparkplug_read_end(). */
bool tg_sparkplug_next(struct tg_sparkplug_reader *r, struct tg_sparkplug_metric *ret_metric);
void tg_sparkplug_read_end(struct tg_sparkplug_reader *r);

/* --- values --- */

/* The datatype in which a value is born: Boolean, Int64, UInt64, Double, String; 0 for none. */
uint32_t tg_sparkplug_datatype_of(const struct tg_value *v);
/* Sets the metric's value in its datatype (one of the above); false when that cannot hold it: nothing is set then. A text is
 * copied into `text` (what is not UTF-8 becomes '?'). */
bool tg_sparkplug_set(struct tg_sparkplug_metric *m, const struct tg_value *v,
                      char text[TG_TEXT_MAX_BYTES + 1]);
/* The value of a metric that was read; `datatype` is the born one, for a metric without. False: null or of a type that is not
 * taken. */
bool tg_sparkplug_get(const struct tg_sparkplug_metric *m, uint32_t datatype, struct tg_value *ret_value);

#endif
