/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * SenML in CBOR (RFC 8428 section 6): integer labels, arrays and maps of known length, numbers in the shortest form that
 * keeps them (RFC 8949 section 4.2.1).
 */
#include <math.h>

#include "northbound/format_json.h"
#include "northbound/format_senml.h"

enum { MAJOR_UINT = 0, MAJOR_NEGATIVE = 1, MAJOR_TEXT = 3, MAJOR_ARRAY = 4, MAJOR_MAP = 5 };

/* Labels of RFC 8428 table 4. */
enum {
    LABEL_BVER = -1,
    LABEL_BN = -2,
    LABEL_BT = -3,
    LABEL_N = 0,
    LABEL_U = 1,
    LABEL_V = 2,
    LABEL_VS = 3,
    LABEL_VB = 4,
    LABEL_T = 6
};

static void write_u64(struct tg_writer *w, uint64_t v)
{
    tg_write_u32be(w, (uint32_t)(v >> 32));
    tg_write_u32be(w, (uint32_t)v);
}

static void write_head(struct tg_writer *w, unsigned major, uint64_t v)
{
    uint8_t first = (uint8_t)(major << 5);
    if (v < 24) {
        tg_write_u8(w, (uint8_t)(first | v));
    } else if (v <= UINT8_MAX) {
        tg_write_u8(w, first | 24);
        tg_write_u8(w, (uint8_t)v);
    } else if (v <= UINT16_MAX) {
        tg_write_u8(w, first | 25);
        tg_write_u16be(w, (uint16_t)v);
    } else if (v <= UINT32_MAX) {
        tg_write_u8(w, first | 26);
        tg_write_u32be(w, (uint32_t)v);
    } else {
        tg_write_u8(w, first | 27);
        write_u64(w, v);
    }
}

static void write_int(struct tg_writer *w, int64_t v)
{
    if (v >= 0)
        write_head(w, MAJOR_UINT, (uint64_t)v);
    else
        write_head(w, MAJOR_NEGATIVE, (uint64_t)(-1 - v));
}

/* The binary16 of a value that fits it exactly; false for others. */
static bool to_half(float f, uint16_t *ret_half)
{
    uint32_t bits, mantissa;
    int exponent;
    memcpy(&bits, &f, sizeof bits);
    uint16_t sign = (uint16_t)(bits >> 16 & 0x8000);
    exponent = (int)(bits >> 23 & 0xFF) - 127;
    mantissa = bits & 0x7FFFFF;
    if (f == 0) {
        *ret_half = sign;
        return true;
    }
    if (exponent >= -14 && exponent <= 15 && (mantissa & 0x1FFF) == 0) {
        *ret_half = (uint16_t)(sign | (uint32_t)(exponent + 15) << 10 | mantissa >> 13);
        return true;
    }
    /* Subnormal: a multiple of 2^-24. */
    if (exponent >= -24 && exponent < -14) {
        uint32_t whole = mantissa | 0x800000;
        unsigned shift = (unsigned)(-1 - exponent);
        if ((whole & ((1u << shift) - 1)) == 0) {
            *ret_half = (uint16_t)(sign | whole >> shift);
            return true;
        }
    }
    return false;
}

static void write_real(struct tg_writer *w, double v)
{
    uint16_t half;
    bool narrow = fabs(v) <= 3.4028234663852886e38;
    float f = narrow ? (float)v : 0;
    if (narrow && (double)f == v && to_half(f, &half)) {
        tg_write_u8(w, 0xF9);
        tg_write_u16be(w, half);
    } else if (narrow && (double)f == v) {
        uint32_t bits;
        memcpy(&bits, &f, sizeof bits);
        tg_write_u8(w, 0xFA);
        tg_write_u32be(w, bits);
    } else {
        uint64_t bits;
        memcpy(&bits, &v, sizeof bits);
        tg_write_u8(w, 0xFB);
        write_u64(w, bits);
    }
}

static void write_seconds(struct tg_writer *w, int64_t ms)
{
    if (ms % 1000 == 0)
        write_int(w, ms / 1000);
    else
        write_real(w, (double)ms / 1000.0);
}

static void write_ascii(struct tg_writer *w, const char *text)
{
    write_head(w, MAJOR_TEXT, strlen(text));
    tg_write_str(w, text);
}

/* A CBOR text is UTF-8, and its length comes first. */
static void write_text(struct tg_writer *w, struct tg_bytes text)
{
    size_t len = 0, n;
    if (tg_utf8_valid(text)) {
        write_head(w, MAJOR_TEXT, text.len);
        tg_write_bytes(w, text);
        return;
    }
    for (size_t i = 0; i < text.len; i += n ? n : 1) {
        n = tg_format_utf8_sequence(tg_bytes(text.data + i, text.len - i));
        len += n ? n : strlen(TG_FORMAT_REPLACEMENT);
    }
    write_head(w, MAJOR_TEXT, len);
    for (size_t i = 0; i < text.len; i += n ? n : 1) {
        n = tg_format_utf8_sequence(tg_bytes(text.data + i, text.len - i));
        tg_write_bytes(w, n ? tg_bytes(text.data + i, n) : tg_bytes_str(TG_FORMAT_REPLACEMENT));
    }
}

static void write_value(struct tg_writer *w, const struct tg_value *v)
{
    switch (v->type) {
    case TG_VALUE_BOOL:
        write_int(w, LABEL_VB);
        tg_write_u8(w, v->as.boolean ? 0xF5 : 0xF4);
        break;
    case TG_VALUE_TEXT:
        write_int(w, LABEL_VS);
        write_text(w, tg_bytes(v->as.text, v->text_len));
        break;
    case TG_VALUE_INT:
        write_int(w, LABEL_V);
        write_int(w, v->as.integer);
        break;
    case TG_VALUE_UINT:
        write_int(w, LABEL_V);
        write_head(w, MAJOR_UINT, v->as.uinteger);
        break;
    default:
        write_int(w, LABEL_V);
        write_real(w, v->as.real);
        break;
    }
}

static void begin(struct tg_writer *w)
{
    (void)w;
}

static void record(struct tg_writer *w, const struct tg_senml_record *r)
{
    unsigned fields =
        2u + (r->base_name.len ? 2 : 0) + r->has_seq + r->estimated + (r->unit != NULL) + (r->time_ms != 0);
    write_head(w, MAJOR_MAP, fields);
    if (r->base_name.len) {
        write_int(w, LABEL_BN);
        write_head(w, MAJOR_TEXT, r->base_name.len);
        tg_write_bytes(w, r->base_name);
        write_int(w, LABEL_BT);
        write_seconds(w, r->base_time_ms);
    }
    if (r->has_seq) {
        write_ascii(w, "seq");
        write_head(w, MAJOR_UINT, r->seq);
    }
    if (r->estimated) {
        write_ascii(w, "time");
        write_ascii(w, "estimated");
    }
    write_int(w, LABEL_N);
    write_head(w, MAJOR_TEXT, r->name.len + strlen(r->suffix));
    tg_senml_write_name(w, r->name);
    tg_write_str(w, r->suffix);
    if (r->unit) {
        write_int(w, LABEL_U);
        write_ascii(w, r->unit);
    }
    if (r->time_ms) {
        write_int(w, LABEL_T);
        write_seconds(w, r->time_ms);
    }
    write_value(w, &r->value);
}

static size_t head_len(uint32_t n)
{
    return n < 24 ? 1 : n <= UINT8_MAX ? 2 : n <= UINT16_MAX ? 3 : 5;
}

static size_t overhead(uint32_t records, bool secondary)
{
    return head_len(records) + (secondary ? 3 : 0);
}

/* The array's head, and where a secondary unit is in the pack one more field in the first map. */
static void finish(struct tg_writer *w, uint32_t records, bool secondary)
{
    uint8_t front[16];
    struct tg_writer f = tg_writer_init(front, sizeof front);
    uint8_t map = w->data[0];
    size_t len = w->len - 1;
    write_head(&f, MAJOR_ARRAY, records);
    tg_write_u8(&f, secondary ? (uint8_t)(map + 1) : map);
    if (secondary) {
        write_int(&f, LABEL_BVER);
        write_int(&f, TG_SENML_VERSION_SECONDARY);
    }
    memmove(w->data + f.len, w->data + 1, len);
    memcpy(w->data, front, f.len);
    w->len = f.len + len;
}

static const struct tg_senml_encoding cbor = {begin, record, overhead, finish};

static int write_message(const struct tg_format_context *c, const struct tg_format_sample *samples,
                         uint32_t count, size_t limit_bytes, struct tg_writer *out)
{
    return tg_senml_write(&cbor, c, samples, count, limit_bytes, out);
}

const struct tg_format tg_format_senml_cbor = {
    "senml-cbor", {"application/senml+cbor", "", ""}, write_message, NULL};
