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

/* The length of the well-formed UTF-8 sequence at b, 0 when there is none. */
static size_t sequence_len(struct tg_bytes b)
{
    size_t n = b.data[0] < 0x80 ? 1 : b.data[0] >= 0xF0 ? 4 : b.data[0] >= 0xE0 ? 3 : 2;
    return n <= b.len && tg_utf8_valid(tg_bytes(b.data, n)) ? n : 0;
}

void tg_format_json_string(struct tg_writer *w, struct tg_bytes text)
{
    size_t i = 0;
    tg_write_u8(w, '"');
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
        size_t n = sequence_len(tg_bytes(text.data + i, text.len - i));
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
            tg_write_str(w, "\xEF\xBF\xBD"); /* U+FFFD */
        }
        i += n > 0 ? n : 1;
    }
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

int tg_format_json_sample(struct tg_writer *w, uint64_t seq, struct tg_bytes body)
{
    struct tg_sample_reader good, bad;
    struct tg_named_value v;
    char stamp[TG_CLOCK_ISO8601_BYTES];
    uint32_t values = 0, qualities = 0;
    int rc = tg_sample_reader_init(&good, body);
    if (rc < 0)
        return rc;
    bad = good;
    tg_clock_iso8601(good.time_ms, stamp);
    tg_write_str(w, "{\"ts\":\"");
    tg_write_str(w, stamp);
    tg_write_str(w, "\",\"seq\":");
    tg_write_u64_dec(w, seq);
    tg_write_str(w, ",\"values\":{");
    while ((rc = tg_sample_reader_next(&good, &v)) > 0) {
        if (v.quality != TG_QUALITY_GOOD) {
            qualities++;
            continue;
        }
        if (values++)
            tg_write_u8(w, ',');
        tg_format_json_string(w, v.name);
        tg_write_u8(w, ':');
        tg_format_json_value(w, &v.value);
    }
    tg_write_u8(w, '}');
    if (rc == 0 && qualities > 0) {
        uint32_t done = 0;
        tg_write_str(w, ",\"quality\":{");
        while ((rc = tg_sample_reader_next(&bad, &v)) > 0) {
            if (v.quality == TG_QUALITY_GOOD)
                continue;
            if (done++)
                tg_write_u8(w, ',');
            tg_format_json_string(w, v.name);
            tg_write_str(w, ":\"");
            tg_write_str(w, tg_quality_name(v.quality));
            tg_write_u8(w, '"');
        }
        tg_write_u8(w, '}');
    }
    tg_write_u8(w, '}');
    if (rc < 0)
        return rc;
    return w->failed ? TG_ETOOBIG : TG_OK;
}
