/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "southbound/ble/gatt_format.h"

#include <float.h>
#include <inttypes.h>

static bool is_digit(uint8_t c)
{
    return c >= '0' && c <= '9';
}

static bool is_number(const struct tg_gatt_format *f)
{
    return f->type <= TG_GATT_MEDICAL;
}

/* --- numbers ---------------------------------------------------------------------------------------- */

static double power_of_ten(unsigned n)
{
    static const double powers[] = {1e0, 1e1, 1e2,  1e3,  1e4,  1e5,  1e6,  1e7,
                                    1e8, 1e9, 1e10, 1e11, 1e12, 1e13, 1e14, 1e15};
    double p = 1;
    for (; n > 15; n -= 15)
        p *= powers[15];
    return p * powers[n];
}

static double decimal(const struct tg_gatt_decimal *d)
{
    return (double)d->mantissa / power_of_ten(d->decimals);
}

/* One division at the end, so that decimals are rounded once: a/b + c/d. */
static double scale(const struct tg_gatt_format *f, double raw)
{
    double p = power_of_ten(f->factor.decimals), m = (double)f->factor.mantissa;
    double a = !f->has_factor ? raw : f->divides ? raw * p : raw * m;
    double b = !f->has_factor ? 1 : f->divides ? m : p;
    double c = (double)f->offset.mantissa, d = power_of_ten(f->offset.decimals);
    return f->has_offset ? (a * d + c * b) / (b * d) : a / b;
}

static uint64_t raw_bits(const struct tg_gatt_format *f, const uint8_t *p)
{
    uint64_t v = 0;
    for (size_t i = 0; i < f->bytes; i++)
        v = v << 8 | p[f->big_endian ? i : (size_t)f->bytes - 1 - i];
    return v;
}

static int64_t sign_extend(uint64_t v, unsigned bits)
{
    return bits > 0 && bits < 64 && v >> (bits - 1) & 1 ? (int64_t)(v | ~UINT64_C(0) << bits) : (int64_t)v;
}

/* IEEE 11073-20601: mantissa × 10^exponent; reserved mantissas around the largest are NaN, infinities, not at this resolution. */
static enum tg_gatt_reading medical(uint64_t raw, unsigned bytes, double *ret)
{
    unsigned bits = bytes == 2 ? 12 : 24;
    uint64_t m = raw & ((UINT64_C(1) << bits) - 1), top = UINT64_C(1) << (bits - 1);
    int64_t mantissa = sign_extend(m, bits);
    int exponent = (int)sign_extend(raw >> bits, bytes == 2 ? 4 : 8);
    if (m == top - 1 || m == top || m == top + 1)
        return TG_GATT_READING_NULL; /* NaN, not at this resolution, reserved */
    if (m == top - 2 || m == top + 2)
        return TG_GATT_READING_RANGE;
    *ret = exponent < 0 ? (double)mantissa / power_of_ten((unsigned)-exponent)
                        : (double)mantissa * power_of_ten((unsigned)exponent);
    return TG_GATT_READING_GOOD;
}

static double real(uint64_t raw, unsigned bytes)
{
    if (bytes == 4) {
        uint32_t bits = (uint32_t)raw;
        float f;
        memcpy(&f, &bits, sizeof f);
        return (double)f;
    }
    double d;
    memcpy(&d, &raw, sizeof d);
    return d;
}

static bool finite_real(double v)
{
    return v <= DBL_MAX && v >= -DBL_MAX;
}

static enum tg_gatt_reading decode_number(const struct tg_gatt_format *f, struct tg_bytes b,
                                          struct tg_value *ret)
{
    double v = 0;
    if (b.len < (size_t)f->at + f->bytes)
        return TG_GATT_READING_SHORT;
    uint64_t raw = raw_bits(f, b.data + f->at);
    for (size_t i = 0; i < f->sentinel_count; i++) {
        if (raw == f->sentinels[i])
            return TG_GATT_READING_NULL;
    }
    if (f->bit >= 0 || f->type == TG_GATT_BOOL) {
        *ret = tg_value_bool(f->bit >= 0 ? raw >> f->bit & 1 : raw != 0);
        return TG_GATT_READING_GOOD;
    }
    bool scaled = f->has_factor || f->has_offset;
    if (f->type == TG_GATT_UNSIGNED) {
        *ret = scaled ? tg_value_real(scale(f, (double)raw)) : tg_value_uint(raw);
        return TG_GATT_READING_GOOD;
    }
    if (f->type == TG_GATT_SIGNED) {
        int64_t s = sign_extend(raw, 8u * f->bytes);
        *ret = scaled ? tg_value_real(scale(f, (double)s)) : tg_value_int(s);
        return TG_GATT_READING_GOOD;
    }
    if (f->type == TG_GATT_MEDICAL) {
        enum tg_gatt_reading r = medical(raw, f->bytes, &v);
        if (r != TG_GATT_READING_GOOD)
            return r;
    } else {
        v = real(raw, f->bytes);
    }
    v = scaled ? scale(f, v) : v;
    if (!finite_real(v))
        return TG_GATT_READING_RANGE;
    *ret = tg_value_real(v);
    return TG_GATT_READING_GOOD;
}

/* --- texts and composed values ------------------------------------------------------------------------ */

static enum tg_gatt_reading decode_text(const struct tg_gatt_format *f, struct tg_bytes b,
                                        char text[TG_GATT_TEXT_BYTES], struct tg_value *ret)
{
    static const char digits[] = "0123456789abcdef";
    if (b.len < f->at)
        return TG_GATT_READING_SHORT;
    b = b.len > f->at ? tg_bytes(b.data + f->at, b.len - f->at) : tg_bytes(text, 0);
    if (f->type == TG_GATT_HEX) {
        if (b.len > TG_GATT_TEXT_BYTES / 2)
            return TG_GATT_READING_NOT_UTF8;
        for (size_t i = 0; i < b.len; i++) {
            text[2 * i] = digits[b.data[i] >> 4];
            text[2 * i + 1] = digits[b.data[i] & 15];
        }
        *ret = tg_value_text(text, 2 * b.len);
        return TG_GATT_READING_GOOD;
    }
    const uint8_t *nul = b.len ? memchr(b.data, 0, b.len) : NULL;
    if (nul)
        b.len = (size_t)(nul - b.data);
    if (b.len > TG_GATT_TEXT_BYTES || !tg_utf8_valid(b))
        return TG_GATT_READING_NOT_UTF8;
    *ret = tg_value_text((const char *)b.data, b.len);
    return TG_GATT_READING_GOOD;
}

static uint16_t le16(struct tg_reader *r)
{
    uint16_t low = tg_read_u8(r);
    return (uint16_t)(low | tg_read_u8(r) << 8);
}

int tg_gatt_heart_rate(struct tg_bytes bytes, struct tg_gatt_heart_rate *ret)
{
    struct tg_reader r = tg_reader_init(bytes.data, bytes.len);
    struct tg_gatt_heart_rate h = {.contact = -1};
    uint8_t flags = tg_read_u8(&r);
    h.bpm = flags & 1 ? le16(&r) : tg_read_u8(&r);
    if (flags & 4) /* bit 2: contact is supported; bit 1: detected */
        h.contact = flags & 2 ? 1 : 0;
    h.has_energy = flags & 8;
    if (h.has_energy)
        h.energy_kj = le16(&r);
    while (flags & 16 && tg_reader_left(&r) >= 2) {
        uint16_t rr = le16(&r);
        if (h.rr_count == TG_GATT_MAX_RR) { /* the latest are kept */
            memmove(h.rr_1024, h.rr_1024 + 1, sizeof h.rr_1024 - sizeof h.rr_1024[0]);
            h.rr_count--;
        }
        h.rr_1024[h.rr_count++] = rr;
    }
    if (r.failed)
        return TG_EPROTO;
    *ret = h;
    return TG_OK;
}

int tg_gatt_thermometer(struct tg_bytes bytes, struct tg_gatt_thermometer *ret)
{
    struct tg_reader r = tg_reader_init(bytes.data, bytes.len);
    struct tg_gatt_thermometer t = {0};
    uint8_t flags = tg_read_u8(&r);
    uint32_t raw = le16(&r);
    raw |= (uint32_t)le16(&r) << 16;
    t.fahrenheit = flags & 1;
    t.has_time = flags & 2;
    if (t.has_time) {
        t.year = le16(&r);
        t.month = tg_read_u8(&r);
        t.day = tg_read_u8(&r);
        t.hour = tg_read_u8(&r);
        t.minute = tg_read_u8(&r);
        t.second = tg_read_u8(&r);
    }
    if (r.failed)
        return TG_EPROTO;
    t.has_value = medical(raw, 4, &t.value) == TG_GATT_READING_GOOD && finite_real(t.value);
    *ret = t;
    return TG_OK;
}

static enum tg_gatt_reading decode_composed(const struct tg_gatt_format *f, struct tg_bytes b,
                                            struct tg_value *ret)
{
    struct tg_gatt_heart_rate h = {0};
    struct tg_gatt_thermometer t = {0};
    if (f->type == TG_GATT_THERMOMETER) {
        if (tg_gatt_thermometer(b, &t) < 0)
            return TG_GATT_READING_SHORT;
        if (!t.has_value)
            return TG_GATT_READING_NULL;
        *ret = tg_value_real(t.fahrenheit ? (t.value - 32) * 5 / 9 : t.value);
        return TG_GATT_READING_GOOD;
    }
    if (tg_gatt_heart_rate(b, &h) < 0)
        return TG_GATT_READING_SHORT;
    bool absent = (f->type == TG_GATT_HEART_CONTACT && h.contact < 0) ||
                  (f->type == TG_GATT_HEART_ENERGY && !h.has_energy) ||
                  (f->type == TG_GATT_HEART_RR && h.rr_count == 0);
    if (absent)
        return TG_GATT_READING_NULL;
    *ret = f->type == TG_GATT_HEART_RATE      ? tg_value_uint(h.bpm)
           : f->type == TG_GATT_HEART_CONTACT ? tg_value_bool(h.contact == 1)
           : f->type == TG_GATT_HEART_ENERGY  ? tg_value_uint(h.energy_kj)
                                              : tg_value_real(h.rr_1024[h.rr_count - 1] / 1024.0);
    return TG_GATT_READING_GOOD;
}

const char *tg_gatt_reading_name(enum tg_gatt_reading r)
{
    static const char *const names[] = {"good", "null", "short", "range", "not_utf8"};
    return names[r];
}

enum tg_quality tg_gatt_reading_quality(enum tg_gatt_reading r)
{
    return r == TG_GATT_READING_GOOD    ? TG_QUALITY_GOOD
           : r == TG_GATT_READING_NULL  ? TG_QUALITY_SENSOR
           : r == TG_GATT_READING_RANGE ? TG_QUALITY_RANGE
                                        : TG_QUALITY_CONFIG;
}

enum tg_gatt_reading tg_gatt_decode(const struct tg_gatt_format *f, struct tg_bytes bytes,
                                    char text[TG_GATT_TEXT_BYTES], struct tg_value *ret_value)
{
    *ret_value = (struct tg_value){.type = TG_VALUE_NONE};
    if (is_number(f))
        return decode_number(f, bytes, ret_value);
    if (f->type == TG_GATT_UTF8 || f->type == TG_GATT_HEX)
        return decode_text(f, bytes, text, ret_value);
    return decode_composed(f, bytes, ret_value);
}

/* --- writing ------------------------------------------------------------------------------------------ */

bool tg_gatt_format_writable(const struct tg_gatt_format *f)
{
    return f->at == 0 && f->bit < 0 && f->type <= TG_GATT_HEX && f->type != TG_GATT_MEDICAL;
}

static int put_bits(const struct tg_gatt_format *f, uint64_t raw, uint8_t *ret_bytes)
{
    for (size_t i = 0; i < f->bytes; i++)
        ret_bytes[f->big_endian ? (size_t)f->bytes - 1 - i : i] = (uint8_t)(raw >> 8 * i);
    return f->bytes;
}

static int as_number(const struct tg_value *v, double *ret)
{
    switch (v->type) {
    case TG_VALUE_BOOL:
        *ret = v->as.boolean;
        return TG_OK;
    case TG_VALUE_INT:
        *ret = (double)v->as.integer;
        return TG_OK;
    case TG_VALUE_UINT:
        *ret = (double)v->as.uinteger;
        return TG_OK;
    case TG_VALUE_REAL:
        *ret = v->as.real;
        return finite_real(v->as.real) ? TG_OK : TG_EINVAL;
    default:
        return TG_EINVAL;
    }
}

static double unscale(const struct tg_gatt_format *f, double v)
{
    double p = power_of_ten(f->factor.decimals), m = (double)f->factor.mantissa;
    if (f->has_offset)
        v -= decimal(&f->offset);
    if (f->has_factor)
        v = f->divides ? v * m / p : v * p / m;
    return v;
}

/* What is written comes from a unit conversion: so far from a whole number it is still one. */
#define WHOLE_WITHIN 1e-6
#define WHOLE_SHARE  1e-14

/* An integer that need not go through a double keeps all its bits. */
static int encode_integer(const struct tg_gatt_format *f, const struct tg_value *value, double v,
                          uint8_t *ret_bytes, struct tg_error *err)
{
    unsigned bits = 8u * f->bytes;
    bool is_signed = f->type == TG_GATT_SIGNED;
    uint64_t max = (bits == 64 ? ~UINT64_C(0) : (UINT64_C(1) << bits) - 1) >> (is_signed ? 1 : 0);
    bool fits;
    uint64_t raw;
    if (!f->has_factor && !f->has_offset && value->type == TG_VALUE_UINT) {
        raw = value->as.uinteger;
        fits = raw <= max;
    } else if (!f->has_factor && !f->has_offset && value->type == TG_VALUE_INT) {
        int64_t i = value->as.integer;
        raw = (uint64_t)i;
        fits = i >= 0 ? raw <= max : is_signed && i >= -(int64_t)max - 1;
    } else {
        double limit = (double)max + 1, rounded = v;           /* 2^n: exact */
        if (v > -4503599627370496.0 && v < 4503599627370496.0) /* beyond 2^52 a double is whole already */
            rounded = (double)(int64_t)(v < 0 ? v - 0.5 : v + 0.5);
        double rest = v < rounded ? rounded - v : v - rounded, size = v < 0 ? -v : v;
        if (rest > WHOLE_WITHIN + WHOLE_SHARE * size)
            return tg_error_set(err, TG_EINVAL,
                                "it comes to %.15g, and the format holds whole numbers only; a value is not "
                                "rounded",
                                v);
        if (bits < 64 && rounded > (double)max)
            limit = 0;
        fits = rounded < limit && rounded >= (is_signed ? -((double)max + (bits < 64 ? 1 : 0)) : 0.0);
        raw = !fits ? 0 : rounded < 0 ? (uint64_t)(int64_t)rounded : (uint64_t)rounded;
    }
    if (!fits)
        return tg_error_set(
            err, TG_ERANGE, "the value does not fit %u bits%s, which hold %s%" PRIu64 " to %" PRIu64, bits,
            is_signed ? " with sign" : "", is_signed ? "-" : "", is_signed ? max + 1 : 0, max);
    for (size_t i = 0; i < f->sentinel_count; i++) {
        if ((raw & (bits == 64 ? ~UINT64_C(0) : (UINT64_C(1) << bits) - 1)) == f->sentinels[i])
            return tg_error_set(err, TG_ERANGE, "the value is the raw one that means \"no value\"");
    }
    return put_bits(f, raw, ret_bytes);
}

static int encode_text(const struct tg_gatt_format *f, const struct tg_value *v, uint8_t *ret_bytes,
                       struct tg_error *err)
{
    size_t n = 0;
    if (v->type != TG_VALUE_TEXT)
        return tg_error_set(err, TG_EINVAL, "the value is no text");
    if (f->type == TG_GATT_UTF8) {
        if (v->text_len > 512)
            return tg_error_set(err, TG_ERANGE, "the text is longer than the 512 bytes of a characteristic");
        if (v->text_len)
            memcpy(ret_bytes, v->as.text, v->text_len);
        return (int)v->text_len;
    }
    if (v->text_len % 2 || v->text_len > 1024)
        return tg_error_set(err, TG_EINVAL, "hexadecimal needs two digits a byte, at most 512 bytes");
    for (; n < v->text_len; n++) {
        uint8_t c = (uint8_t)v->as.text[n], low = c | 0x20;
        int d = is_digit(c) ? c - '0' : low >= 'a' && low <= 'f' ? low - 'a' + 10 : -1;
        if (d < 0)
            return tg_error_set(err, TG_EINVAL, "the value holds something other than hexadecimal digits");
        ret_bytes[n / 2] = (uint8_t)(n % 2 ? ret_bytes[n / 2] | d : d << 4);
    }
    return (int)(n / 2);
}

int tg_gatt_encode(const struct tg_gatt_format *f, const struct tg_value *value, uint8_t ret_bytes[512],
                   struct tg_error *err)
{
    double v = 0;
    if (!tg_gatt_format_writable(f))
        return tg_error_set(err, TG_EUNSUPPORTED, "a value of this format can only be read");
    if (f->type == TG_GATT_UTF8 || f->type == TG_GATT_HEX)
        return encode_text(f, value, ret_bytes, err);
    if (as_number(value, &v) < 0)
        return tg_error_set(err, TG_EINVAL, "the value is no finite number or boolean");
    if (f->type == TG_GATT_BOOL && v != 0 && v != 1)
        return tg_error_set(err, TG_ERANGE, "a bool takes true, false, 1 or 0");
    if (f->type == TG_GATT_BOOL)
        return put_bits(f, v != 0, ret_bytes);
    v = unscale(f, v);
    if (!finite_real(v))
        return tg_error_set(err, TG_ERANGE, "the value is too large");
    if (f->type != TG_GATT_REAL)
        return encode_integer(f, value, v, ret_bytes, err);
    uint64_t raw;
    memcpy(&raw, &v, sizeof raw);
    if (f->bytes == 4) {
        if (v > (double)FLT_MAX || v < -(double)FLT_MAX)
            return tg_error_set(err, TG_ERANGE, "the value does not fit a 32-bit real");
        float narrow = (float)v;
        uint32_t bits;
        memcpy(&bits, &narrow, sizeof bits);
        raw = bits;
    }
    return put_bits(f, raw, ret_bytes);
}
