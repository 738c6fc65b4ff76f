/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "northbound/format_json.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>

#include "core/base/clock.h"

#define EXACT_LIMIT 9007199254740992.0 /* 2^53: every whole number below is exact */

/* Field values have few decimals: digits / 10^k with whole digits below 2^53 is one correctly rounded division, so when
 * it gives v back, "digits with k decimals" reads back as v. Nine tries cost less than one printf. */
void tg_format_json_real(struct tg_writer *w, double v)
{
    static const double ten_to[] = {1, 10, 100, 1e3, 1e4, 1e5, 1e6, 1e7, 1e8, 1e9};
    char text[32];
    if (!isfinite(v)) {
        tg_write_str(w, "null");
        return;
    }
    for (unsigned k = 0; k < sizeof ten_to / sizeof ten_to[0]; k++) {
        double scaled = fabs(v) * ten_to[k], whole = nearbyint(scaled);
        if (whole >= EXACT_LIMIT)
            break;
        if (whole / ten_to[k] != fabs(v))
            continue;
        if (signbit(v) && whole != 0)
            tg_write_u8(w, '-');
        uint64_t digits = (uint64_t)whole, unit = (uint64_t)ten_to[k];
        tg_write_u64_dec(w, digits / unit);
        if (k > 0) {
            uint8_t fraction[10];
            uint64_t rest = digits % unit;
            for (unsigned i = k; i > 0; i--, rest /= 10)
                fraction[i] = (uint8_t)('0' + rest % 10);
            fraction[0] = '.';
            tg_write_bytes(w, tg_bytes(fraction, k + 1));
        }
        return;
    }
    for (int precision = 15; precision <= 17; precision++) {
        snprintf(text, sizeof text, "%.*g", precision, v);
        if (strtod(text, NULL) == v)
            break;
    }
    tg_write_str(w, text);
}

size_t tg_format_utf8_sequence(struct tg_bytes b)
{
    size_t n = b.data[0] < 0x80 ? 1 : b.data[0] >= 0xF0 ? 4 : b.data[0] >= 0xE0 ? 3 : 2;
    return n <= b.len && tg_utf8_valid(tg_bytes(b.data, n)) ? n : 0;
}

void tg_format_json_text(struct tg_writer *w, struct tg_bytes text)
{
    size_t i = 0;
    while (i < text.len) {
        size_t plain = i;
        while (plain < text.len && text.data[plain] >= 0x20 && text.data[plain] < 0x7F &&
               text.data[plain] != '"' && text.data[plain] != '\\')
            plain++;
        tg_write_bytes(w, tg_bytes(text.data + i, plain - i));
        i = plain;
        if (i == text.len)
            break;
        uint8_t c = text.data[i];
        size_t n = tg_format_utf8_sequence(tg_bytes(text.data + i, text.len - i));
        if (c == '"' || c == '\\') {
            tg_write_u8(w, '\\');
            tg_write_u8(w, c);
        } else if (c < 0x20 || c == 0x7F) {
            static const char hex[] = "0123456789abcdef";
            tg_write_str(w, "\\u00");
            tg_write_u8(w, (uint8_t)hex[c >> 4]);
            tg_write_u8(w, (uint8_t)hex[c & 15]);
        } else if (n > 0) {
            tg_write_bytes(w, tg_bytes(text.data + i, n));
        } else {
            tg_write_str(w, TG_FORMAT_REPLACEMENT);
        }
        i += n > 0 ? n : 1;
    }
}

void tg_format_json_string(struct tg_writer *w, struct tg_bytes text)
{
    tg_write_u8(w, '"');
    tg_format_json_text(w, text);
    tg_write_u8(w, '"');
}

void tg_format_json_value(struct tg_writer *w, const struct tg_value *v)
{
    switch (v->type) {
    case TG_VALUE_BOOL:
        tg_write_str(w, v->as.boolean ? "true" : "false");
        break;
    case TG_VALUE_INT:
        tg_write_i64_dec(w, v->as.integer);
        break;
    case TG_VALUE_UINT:
        tg_write_u64_dec(w, v->as.uinteger);
        break;
    case TG_VALUE_REAL:
        tg_format_json_real(w, v->as.real);
        break;
    case TG_VALUE_TEXT:
        tg_format_json_string(w, tg_bytes(v->as.text, v->text_len));
        break;
    default:
        tg_write_str(w, "null");
        break;
    }
}

static bool wanted(const struct tg_named_value *v, const char *point)
{
    return !point || tg_bytes_eq_str(v->name, point);
}

int tg_format_json_values(struct tg_writer *w, struct tg_sample_reader reader, const char *point)
{
    struct tg_named_value v;
    int rc, n = 0;
    tg_write_u8(w, '{');
    while ((rc = tg_sample_reader_next(&reader, &v)) > 0) {
        if (v.quality != TG_QUALITY_GOOD || !wanted(&v, point))
            continue;
        if (n++)
            tg_write_u8(w, ',');
        tg_format_json_string(w, v.name);
        tg_write_u8(w, ':');
        tg_format_json_value(w, &v.value);
    }
    tg_write_u8(w, '}');
    return rc < 0 ? rc : n;
}

int tg_format_json_qualities(struct tg_writer *w, struct tg_sample_reader reader, const char *point)
{
    struct tg_named_value v;
    int rc, n = 0;
    tg_write_u8(w, '{');
    while ((rc = tg_sample_reader_next(&reader, &v)) > 0) {
        if (v.quality == TG_QUALITY_GOOD || !wanted(&v, point))
            continue;
        if (n++)
            tg_write_u8(w, ',');
        tg_format_json_string(w, v.name);
        tg_write_str(w, ":\"");
        tg_write_str(w, tg_quality_name(v.quality));
        tg_write_u8(w, '"');
    }
    tg_write_u8(w, '}');
    return rc < 0 ? rc : n;
}

void tg_format_json_gap(struct tg_writer *w, const struct tg_gap *gap, struct tg_bytes cloud)
{
    bool any = false;
    tg_write_str(w, "{\"first_seq\":");
    tg_write_u64_dec(w, gap->first_seq);
    tg_write_str(w, ",\"last_seq\":");
    tg_write_u64_dec(w, gap->last_seq);
    tg_write_str(w, ",\"count\":");
    tg_write_u64_dec(w, gap->count);
    tg_write_str(w, ",\"reasons\":[");
    for (unsigned i = 0; i < TG_GAP_REASONS; i++) {
        if (!(gap->reasons & 1u << i))
            continue;
        tg_write_str(w, any ? ",\"" : "\"");
        tg_write_str(w, tg_gap_reason_name(i));
        tg_write_u8(w, '"');
        any = true;
    }
    tg_write_str(w, "],\"cloud\":");
    tg_format_json_string(w, cloud);
    tg_write_u8(w, '}');
}

/* 1 = it was a gap record, and is written to its end. */
static int write_gap(struct tg_writer *w, struct tg_bytes body)
{
    struct tg_gap gap;
    struct tg_bytes cloud;
    int rc = tg_gap_is_record(body) ? tg_gap_read(body, &gap, &cloud) : 0;
    if (rc <= 0)
        return rc;
    tg_write_str(w, ",\"gap\":");
    tg_format_json_gap(w, &gap, cloud);
    tg_write_u8(w, '}');
    return 1;
}

static void write_time(struct tg_writer *w, const struct tg_sample_reader *r)
{
    char stamp[TG_CLOCK_ISO8601_BYTES];
    if (r->time == TG_TIME_BOOT) { /* only seen on the gateway: nothing is sent before its time is known */
        tg_write_str(w, "{\"ts\":null,\"time\":\"unknown\",\"since_boot_ms\":");
        tg_write_i64_dec(w, r->time_ms);
        return;
    }
    tg_clock_iso8601(r->time_ms, stamp);
    tg_write_str(w, "{\"ts\":\"");
    tg_write_str(w, stamp);
    tg_write_str(w, r->time == TG_TIME_ESTIMATED ? "\",\"time\":\"estimated\"" : "\"");
}

int tg_format_json_sample(struct tg_writer *w, uint64_t seq, struct tg_bytes body, const char *point)
{
    struct tg_sample_reader reader;
    size_t before_quality;
    int rc = tg_sample_reader_init(&reader, body);
    if (rc < 0)
        return rc;
    write_time(w, &reader);
    tg_write_str(w, ",\"seq\":");
    tg_write_u64_dec(w, seq);
    rc = write_gap(w, body);
    if (rc != 0)
        return rc < 0 ? rc : w->failed ? TG_ETOOBIG : TG_OK;
    tg_write_str(w, ",\"values\":");
    rc = tg_format_json_values(w, reader, point);
    if (rc < 0)
        return rc;
    if (w->failed)
        return TG_ETOOBIG;
    if (point || (uint32_t)rc < reader.count) {
        before_quality = w->len;
        tg_write_str(w, ",\"quality\":");
        rc = tg_format_json_qualities(w, reader, point);
        if (rc < 0)
            return rc;
        if (rc == 0) { /* of other points only */
            w->len = before_quality;
            w->failed = false;
        }
    }
    tg_write_u8(w, '}');
    return w->failed ? TG_ETOOBIG : TG_OK;
}

static int write_message(const struct tg_format_context *c, const struct tg_format_sample *samples,
                         uint32_t count, size_t limit_bytes, struct tg_writer *out)
{
    uint32_t n = 0;
    if (count > 1)
        tg_write_u8(out, '[');
    for (; n < count; n++) {
        size_t before = out->len;
        int rc;
        if (n)
            tg_write_u8(out, ',');
        rc = tg_format_json_sample(out, samples[n].seq, samples[n].body, c->point);
        if (n == 0 && rc < 0)
            return rc;
        if (rc < 0 || (n > 0 && out->len + 1 > limit_bytes) || out->cap - out->len < 1) {
            out->len = before;
            out->failed = false;
            break;
        }
    }
    if (n == 0)
        return TG_ETOOBIG;
    if (count > 1 && n == 1)
        memmove(out->data, out->data + 1, --out->len);
    else if (count > 1)
        tg_write_u8(out, ']');
    return (int)n;
}

const struct tg_format tg_format_json = {"json", {"application/json", "utf-8", ""}, write_message, NULL};
