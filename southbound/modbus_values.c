/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * Words to values and back; see modbus_points.h.
 */
#include <float.h>
#include <inttypes.h>
#include <string.h>

#include "core/base/bytes.h"
#include "core/base/value.h"
#include "southbound/modbus_points.h"

_Static_assert(sizeof(float) == 4 && sizeof(double) == 8, "IEEE 754 formats are assumed");

const char *tg_modbus_reading_name(enum tg_modbus_reading r)
{
    static const char *const names[] = {"good", "null", "nan", "not_utf8", "not_bcd"};
    return (unsigned)r < sizeof names / sizeof *names ? names[r] : "unknown";
}

enum tg_quality tg_modbus_reading_quality(enum tg_modbus_reading r)
{
    switch (r) {
    case TG_MODBUS_READING_GOOD:
        return TG_QUALITY_GOOD;
    case TG_MODBUS_READING_NULL:
        return TG_QUALITY_SENSOR;
    case TG_MODBUS_READING_NOT_UTF8:
        return TG_QUALITY_CONFIG;
    case TG_MODBUS_READING_NAN:
    case TG_MODBUS_READING_NOT_BCD:
        break;
    }
    return TG_QUALITY_RANGE;
}

static uint16_t swap_bytes(uint16_t w)
{
    return (uint16_t)(w << 8 | w >> 8);
}

/* How an order moves the words of a number: bit 0 swaps the words of each half, bit 1 the halves. */
static unsigned word_swap(unsigned order)
{
    static const uint8_t swaps[TG_MODBUS_ORDERS] = {
        [TG_MODBUS_CDAB] = 3,     [TG_MODBUS_DCBA] = 3,     [TG_MODBUS_GHEFCDAB] = 3,
        [TG_MODBUS_HGFEDCBA] = 3, [TG_MODBUS_CDABGHEF] = 1, [TG_MODBUS_DCBAHGFE] = 1,
        [TG_MODBUS_EFGHABCD] = 2, [TG_MODBUS_FEHGBADC] = 2};
    return swaps[order];
}

static bool bytes_swapped(unsigned order)
{
    static const bool swapped[TG_MODBUS_ORDERS] = {
        [TG_MODBUS_BADC] = true,     [TG_MODBUS_DCBA] = true,     [TG_MODBUS_BADCFEHG] = true,
        [TG_MODBUS_HGFEDCBA] = true, [TG_MODBUS_DCBAHGFE] = true, [TG_MODBUS_FEHGBADC] = true};
    return swapped[order];
}

/* The words of a number as one integer, most significant first. count is 1, 2 or 4. */
static uint64_t gather(const uint16_t *words, unsigned count, unsigned order)
{
    uint64_t v = 0;
    for (unsigned i = 0; i < count; i++) {
        uint16_t w = words[i ^ (word_swap(order) & (count - 1))];
        v = v << 16 | (bytes_swapped(order) ? swap_bytes(w) : w);
    }
    return v;
}

static void scatter(uint64_t v, unsigned count, unsigned order, uint16_t *ret_words)
{
    for (unsigned i = 0; i < count; i++) {
        uint16_t w = (uint16_t)(v >> (16 * (count - 1 - i)));
        ret_words[i ^ (word_swap(order) & (count - 1))] = bytes_swapped(order) ? swap_bytes(w) : w;
    }
}

static bool is_sentinel(const struct tg_modbus_point *p, uint64_t raw)
{
    for (unsigned i = 0; i < p->sentinel_count; i++)
        if (p->sentinels[i] == raw)
            return true;
    return false;
}

/* --- text ------------------------------------------------------------------------------------- */

static uint8_t character(const struct tg_modbus_point *p, const uint16_t *words, unsigned i)
{
    switch (p->packing) {
    case TG_MODBUS_ONE_LOW:
        return (uint8_t)words[i];
    case TG_MODBUS_ONE_HIGH:
        return (uint8_t)(words[i] >> 8);
    default: {
        uint16_t w = words[i / 2];
        bool low_first = (p->packing == TG_MODBUS_LOW_FIRST) != bytes_swapped(p->order);
        return (i % 2 == 0) != low_first ? (uint8_t)(w >> 8) : (uint8_t)w;
    }
    }
}

/* Up to the first NUL, without trailing blanks. */
static enum tg_modbus_reading decode_text(const struct tg_modbus_point *p, const uint16_t *words, char *text,
                                          struct tg_value *ret)
{
    size_t n = 0;
    for (unsigned i = 0; i < p->length; i++) {
        uint8_t c = character(p, words, i);
        if (c == 0)
            break;
        if (c >= 0x80 && p->encoding == TG_MODBUS_LATIN1) {
            text[n++] = (char)(0xC0 | c >> 6);
            c = (uint8_t)(0x80 | (c & 0x3F));
        }
        text[n++] = (char)c;
    }
    while (n > 0 && text[n - 1] == ' ')
        n--;
    if (!tg_utf8_valid(tg_bytes(text, n)))
        return TG_MODBUS_READING_NOT_UTF8;
    *ret = tg_value_text(text, n);
    return TG_MODBUS_READING_GOOD;
}

static int encode_text(const struct tg_modbus_point *p, struct tg_bytes t, struct tg_modbus_write *w,
                       struct tg_error *err)
{
    unsigned out = 0;
    memset(w->words, 0, sizeof w->words);
    if (!tg_utf8_valid(t))
        return tg_error_set(err, TG_EINVAL, "the text is not UTF-8");
    for (size_t i = 0; i < t.len; i++, out++) {
        uint8_t c = t.data[i];
        if (c >= 0x80 && p->encoding == TG_MODBUS_LATIN1) {
            if (c > 0xC3) /* beyond U+00FF */
                return tg_error_set(err, TG_ERANGE, "the text has a character that latin1 lacks");
            c = (uint8_t)(c << 6 | (t.data[++i] & 0x3F));
        }
        if (out == p->length)
            return tg_error_set(err, TG_ERANGE, "the text is longer than %u characters", p->length);
        unsigned at = p->packing == TG_MODBUS_ONE_LOW || p->packing == TG_MODBUS_ONE_HIGH ? out : out / 2;
        bool low_first = (p->packing == TG_MODBUS_LOW_FIRST) != bytes_swapped(p->order);
        bool high = p->packing == TG_MODBUS_ONE_HIGH ||
                    (p->packing != TG_MODBUS_ONE_LOW && (out % 2 == 0) != low_first);
        w->words[at] = (uint16_t)(w->words[at] | (high ? c << 8 : c));
    }
    w->kind = TG_MODBUS_WRITE_WORDS;
    w->count = p->count;
    return 0;
}

/* --- numbers ---------------------------------------------------------------------------------- */

static enum tg_modbus_reading decode_real(double v, struct tg_value *ret)
{
    if (!(v >= -DBL_MAX && v <= DBL_MAX)) /* also false for NaN */
        return TG_MODBUS_READING_NAN;
    *ret = tg_value_real(v);
    return TG_MODBUS_READING_GOOD;
}

static enum tg_modbus_reading decode_bcd(uint64_t raw, struct tg_value *ret)
{
    uint64_t v = 0;
    for (int shift = 28; shift >= 0; shift -= 4) {
        unsigned d = raw >> shift & 0xF;
        if (d > 9)
            return TG_MODBUS_READING_NOT_BCD;
        v = v * 10 + d;
    }
    *ret = tg_value_uint(v);
    return TG_MODBUS_READING_GOOD;
}

static double power_of_ten(int n)
{
    double v = 1;
    while (n-- > 0)
        v *= 10;
    return v;
}

/* SunSpec scale factors are -10 to 10; 8000 is "not implemented", anything else is no scale factor. */
static enum tg_modbus_reading decode_scaled(double mantissa, uint16_t sf_word, struct tg_value *ret)
{
    int sf = (int16_t)sf_word;
    if (sf < -10 || sf > 10)
        return TG_MODBUS_READING_NULL;
    /* Dividing by an exact power of ten gives the nearest double: 1234 / 100 is 12.34. */
    return decode_real(sf < 0 ? mantissa / power_of_ten(-sf) : mantissa * power_of_ten(sf), ret);
}

static enum tg_modbus_reading decode_number(const struct tg_modbus_point *p, const uint16_t *words,
                                            struct tg_value *ret_value)
{
    float f;
    double d;
    bool scaled = p->type == TG_MODBUS_INT16_SF || p->type == TG_MODBUS_UINT16_SF;
    bool as_it_is =
        p->type == TG_MODBUS_BOOL || p->type == TG_MODBUS_INT8 || p->type == TG_MODBUS_UINT8 || p->bits > 0;
    uint64_t raw = gather(words, scaled ? 1 : p->count, as_it_is ? TG_MODBUS_ABCD : p->order);
    if (p->bits > 0)
        raw = raw >> p->bit & ((1u << p->bits) - 1);
    if (p->type == TG_MODBUS_INT8 || p->type == TG_MODBUS_UINT8)
        raw = p->half == TG_MODBUS_HALF_HIGH ? raw >> 8 : raw & 0xFF;
    if (is_sentinel(p, raw))
        return TG_MODBUS_READING_NULL;
    switch (p->type) {
    case TG_MODBUS_BOOL:
        *ret_value = tg_value_bool(p->bit >= 0 ? (raw >> p->bit & 1) != 0 : raw != 0);
        break;
    case TG_MODBUS_INT8:
        *ret_value = tg_value_int((int8_t)raw);
        break;
    case TG_MODBUS_UINT8:
        *ret_value = tg_value_uint(raw);
        break;
    case TG_MODBUS_INT16:
        *ret_value = tg_value_int((int16_t)raw);
        break;
    case TG_MODBUS_INT32:
        *ret_value = tg_value_int((int32_t)raw);
        break;
    case TG_MODBUS_INT64:
        *ret_value = tg_value_int((int64_t)raw);
        break;
    case TG_MODBUS_UINT16:
    case TG_MODBUS_UINT32:
    case TG_MODBUS_UINT64:
        *ret_value = tg_value_uint(raw);
        break;
    case TG_MODBUS_FLOAT32: {
        uint32_t bits = (uint32_t)raw;
        memcpy(&f, &bits, sizeof f);
        return decode_real((double)f, ret_value);
    }
    case TG_MODBUS_FLOAT64:
        memcpy(&d, &raw, sizeof d);
        return decode_real(d, ret_value);
    case TG_MODBUS_BCD16:
    case TG_MODBUS_BCD32:
        return decode_bcd(raw, ret_value);
    case TG_MODBUS_INT16_SF:
        return decode_scaled((int16_t)raw, (uint16_t)gather(words + 1, 1, p->order), ret_value);
    case TG_MODBUS_UINT16_SF:
        return decode_scaled((double)raw, (uint16_t)gather(words + 1, 1, p->order), ret_value);
    default:
        return TG_MODBUS_READING_NULL;
    }
    return TG_MODBUS_READING_GOOD;
}

enum tg_modbus_reading tg_modbus_point_decode(const struct tg_modbus_point *p, const uint16_t *words,
                                              char text[TG_MODBUS_TEXT_BYTES], struct tg_value *ret_value)
{
    memset(ret_value, 0, sizeof *ret_value);
    if (p->type == TG_MODBUS_STRING)
        return decode_text(p, words, text, ret_value);
    return decode_number(p, words, ret_value);
}

/* --- writing ----------------------------------------------------------------------------------- */

/* An integer of either sign: magnitude and sign, so that the whole of int64 and uint64 fits. */
struct integer {
    bool negative;
    uint64_t magnitude;
};

/* What is written comes from a unit conversion: so far from a whole number it is still one. */
#define WHOLE_WITHIN 1e-6
#define WHOLE_SHARE  1e-14

static int no_number(const struct tg_modbus_point *p, struct tg_error *err)
{
    return tg_error_set(err, TG_EINVAL, "a point of type %s takes a number", tg_modbus_type_names[p->type]);
}

static int no_whole_number(const struct tg_modbus_point *p, double v, struct tg_error *err)
{
    return tg_error_set(err, TG_EINVAL,
                        "it comes to %.15g, and %s holds whole numbers only; a value is not rounded", v,
                        tg_modbus_type_names[p->type]);
}

static int does_not_fit(const struct tg_modbus_point *p, struct integer n, uint64_t lowest, uint64_t highest,
                        struct tg_error *err)
{
    return tg_error_set(err, TG_ERANGE,
                        "%s%" PRIu64 " does not fit %s, which holds %s%" PRIu64 " to %" PRIu64 "%s",
                        n.negative ? "-" : "", n.magnitude, tg_modbus_type_names[p->type], lowest ? "-" : "",
                        lowest, highest, p->bits > 0 ? " in these bits" : "");
}

static int real_does_not_fit(const struct tg_modbus_point *p, double v, struct tg_error *err)
{
    return tg_error_set(err, TG_ERANGE, "%g does not fit %s", v, tg_modbus_type_names[p->type]);
}

static int to_integer(const struct tg_modbus_point *p, const struct tg_value *v, struct integer *ret,
                      struct tg_error *err)
{
    double r;
    switch (v->type) {
    case TG_VALUE_INT:
        ret->negative = v->as.integer < 0;
        ret->magnitude = ret->negative ? 0 - (uint64_t)v->as.integer : (uint64_t)v->as.integer;
        return 0;
    case TG_VALUE_UINT:
        ret->negative = false;
        ret->magnitude = v->as.uinteger;
        return 0;
    case TG_VALUE_REAL:
        r = v->as.real < 0 ? -v->as.real : v->as.real;
        if (!(r < 18446744073709551616.0)) /* also for NaN */
            return real_does_not_fit(p, v->as.real, err);
        /* From 2^52 on a double has no fraction, and adding one half would round. */
        ret->magnitude = r < 4503599627370496.0 ? (uint64_t)(r + 0.5) : (uint64_t)r;
        r -= (double)ret->magnitude;
        if ((r < 0 ? -r : r) > WHOLE_WITHIN + WHOLE_SHARE * (double)ret->magnitude)
            return no_whole_number(p, v->as.real, err);
        ret->negative = v->as.real < 0 && ret->magnitude != 0;
        return 0;
    default:
        return no_number(p, err);
    }
}

/* Two's complement in `bits` bits, checked. */
static int fit(const struct tg_modbus_point *p, struct integer n, unsigned bits, bool is_signed,
               uint64_t *ret, struct tg_error *err)
{
    uint64_t max = is_signed ? (UINT64_C(1) << (bits - 1)) - 1 : UINT64_MAX >> (64 - bits);
    if (n.negative ? !is_signed || n.magnitude > max + 1 : n.magnitude > max)
        return does_not_fit(p, n, is_signed ? max + 1 : 0, max, err);
    *ret = n.negative ? 0 - n.magnitude : n.magnitude;
    return 0;
}

static int to_bcd(const struct tg_modbus_point *p, struct integer n, unsigned digits, uint64_t *ret,
                  struct tg_error *err)
{
    uint64_t v = n.magnitude, raw = 0, highest = 0;
    for (unsigned i = 0; i < digits; i++, v /= 10) {
        raw |= v % 10 << (4 * i);
        highest = 10 * highest + 9;
    }
    if (n.negative || v != 0)
        return does_not_fit(p, n, 0, highest, err);
    *ret = raw;
    return 0;
}

static int to_float(const struct tg_modbus_point *p, const struct tg_value *v, uint64_t *ret,
                    struct tg_error *err)
{
    double d = v->type == TG_VALUE_INT    ? (double)v->as.integer
               : v->type == TG_VALUE_UINT ? (double)v->as.uinteger
                                          : v->as.real;
    if (v->type != TG_VALUE_REAL && v->type != TG_VALUE_INT && v->type != TG_VALUE_UINT)
        return no_number(p, err);
    double limit = p->type == TG_MODBUS_FLOAT32 ? (double)FLT_MAX : DBL_MAX;
    if (!(d >= -limit && d <= limit))
        return real_does_not_fit(p, d, err);
    if (p->type == TG_MODBUS_FLOAT32) {
        float f = (float)d;
        uint32_t bits;
        memcpy(&bits, &f, sizeof bits);
        *ret = bits;
    } else {
        memcpy(ret, &d, sizeof *ret);
    }
    return 0;
}

static int encode_bool(const struct tg_modbus_point *p, const struct tg_value *v, struct tg_modbus_write *w,
                       struct tg_error *err)
{
    bool on;
    if (v->type == TG_VALUE_BOOL) {
        on = v->as.boolean;
    } else {
        struct integer n;
        int rc = v->type == TG_VALUE_TEXT ? TG_EINVAL : to_integer(p, v, &n, err);
        if (rc < 0 || n.negative || n.magnitude > 1)
            return tg_error_set(err, rc < 0 ? rc : TG_ERANGE,
                                "a point of type bool takes true, false, 1 or 0");
        on = n.magnitude == 1;
    }
    w->count = 1;
    w->words[0] = on;
    if (p->table == TG_MODBUS_COIL) {
        w->kind = TG_MODBUS_WRITE_COIL;
    } else if (p->bit < 0) {
        w->kind = TG_MODBUS_WRITE_WORDS;
    } else {
        w->kind = TG_MODBUS_WRITE_MASK;
        w->and_mask = (uint16_t) ~(1u << p->bit);
        w->or_mask = (uint16_t)((on ? 1u : 0u) << p->bit);
    }
    return 0;
}

int tg_modbus_point_encode(const struct tg_modbus_point *p, const struct tg_value *value,
                           struct tg_modbus_write *ret_write, struct tg_error *err)
{
    struct tg_modbus_write w = {0};
    struct integer n = {0};
    uint64_t raw = 0;
    int rc = 0;
    if (p->table == TG_MODBUS_DISCRETE || p->table == TG_MODBUS_INPUT)
        return tg_error_set(err, TG_EUNSUPPORTED, "%s cannot be written: only coil and holding can",
                            tg_modbus_table_names[p->table]);
    if (p->type == TG_MODBUS_INT16_SF || p->type == TG_MODBUS_UINT16_SF)
        return tg_error_set(err, TG_EUNSUPPORTED, "type %s cannot be written", tg_modbus_type_names[p->type]);
    if (p->type == TG_MODBUS_BOOL) {
        rc = encode_bool(p, value, &w, err);
    } else if (p->type == TG_MODBUS_STRING) {
        rc = value->type != TG_VALUE_TEXT
                 ? tg_error_set(err, TG_EINVAL, "a point of type string takes a text")
                 : encode_text(p, tg_bytes(value->as.text, value->text_len), &w, err);
    } else {
        bool real = p->type == TG_MODBUS_FLOAT32 || p->type == TG_MODBUS_FLOAT64;
        bool bcd = p->type == TG_MODBUS_BCD16 || p->type == TG_MODBUS_BCD32;
        bool half = p->type == TG_MODBUS_INT8 || p->type == TG_MODBUS_UINT8;
        bool is_signed = p->type == TG_MODBUS_INT8 || p->type == TG_MODBUS_INT16 ||
                         p->type == TG_MODBUS_INT32 || p->type == TG_MODBUS_INT64;
        if (real)
            rc = to_float(p, value, &raw, err);
        else if ((rc = to_integer(p, value, &n, err)) == 0)
            rc = bcd ? to_bcd(p, n, 4u * p->count, &raw, err)
                     : fit(p, n,
                           p->bits > 0 ? p->bits
                           : half      ? 8
                                       : 16u * p->count,
                           is_signed, &raw, err);
        w.kind = half || p->bits > 0 ? TG_MODBUS_WRITE_MASK : TG_MODBUS_WRITE_WORDS;
        w.count = p->count;
        if (half) {
            unsigned shift = p->half == TG_MODBUS_HALF_HIGH ? 8 : 0;
            w.and_mask = (uint16_t)(0xFFu << (8 - shift));
            w.or_mask = (uint16_t)((raw & 0xFF) << shift);
        } else if (p->bits > 0) {
            w.and_mask = (uint16_t) ~(((1u << p->bits) - 1) << p->bit);
            w.or_mask = (uint16_t)(raw << p->bit);
        } else {
            scatter(raw, p->count, p->order, w.words);
        }
    }
    if (rc == 0)
        *ret_write = w;
    return rc;
}

/* --- scale ------------------------------------------------------------------------------------ */

struct tg_value tg_modbus_scale(struct tg_value v, double scale, double offset)
{
    double d;
    bool identity = scale >= 1 && scale <= 1 && offset >= 0 && offset <= 0;
    if (identity || !tg_value_number(&v, &d))
        return v;
    return tg_value_real(d * scale + offset);
}

struct tg_value tg_modbus_unscale(struct tg_value v, double scale, double offset)
{
    double d;
    bool identity = scale >= 1 && scale <= 1 && offset >= 0 && offset <= 0;
    if (identity || !tg_value_number(&v, &d))
        return v;
    return tg_value_real((d - offset) / scale);
}
