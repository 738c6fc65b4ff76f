/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * gatt_format_parse - the text of a format.
 */
#include "southbound/ble/gatt_format.h"

static const struct {
    const char *name;
    uint8_t type, bytes;
} types[] = {
    {"bool", TG_GATT_BOOL, 1},
    {"u8", TG_GATT_UNSIGNED, 1},
    {"s8", TG_GATT_SIGNED, 1},
    {"u16", TG_GATT_UNSIGNED, 2},
    {"s16", TG_GATT_SIGNED, 2},
    {"u24", TG_GATT_UNSIGNED, 3},
    {"s24", TG_GATT_SIGNED, 3},
    {"u32", TG_GATT_UNSIGNED, 4},
    {"s32", TG_GATT_SIGNED, 4},
    {"u48", TG_GATT_UNSIGNED, 6},
    {"u64", TG_GATT_UNSIGNED, 8},
    {"s64", TG_GATT_SIGNED, 8},
    {"f32", TG_GATT_REAL, 4},
    {"f64", TG_GATT_REAL, 8},
    {"sfloat", TG_GATT_MEDICAL, 2},
    {"float", TG_GATT_MEDICAL, 4},
    {"utf8", TG_GATT_UTF8, 0},
    {"hex", TG_GATT_HEX, 0},
    {"temperature_measurement", TG_GATT_THERMOMETER, 0},
    {"heart_rate", TG_GATT_HEART_RATE, 0},
    {"heart_rate.contact", TG_GATT_HEART_CONTACT, 0},
    {"heart_rate.energy", TG_GATT_HEART_ENERGY, 0},
    {"heart_rate.rr", TG_GATT_HEART_RR, 0},
};

#define ALLOWED                                                                                              \
    "allowed is TYPE[le|be][@BYTE][.BIT][*FACTOR or /DIVISOR][+OFFSET or -OFFSET][?RAW], like "              \
    "s16le*0.01?8000"

static bool is_digit(uint8_t c)
{
    return c >= '0' && c <= '9';
}

static bool is_number(const struct tg_gatt_format *f)
{
    return f->type <= TG_GATT_MEDICAL;
}

static bool take_char(struct tg_bytes *t, char c)
{
    if (t->len == 0 || t->data[0] != (uint8_t)c)
        return false;
    *t = tg_bytes(t->data + 1, t->len - 1);
    return true;
}

/* The longest name that fits and ends where a name ends. */
static int take_type(struct tg_bytes *t, struct tg_gatt_format *f)
{
    size_t best = 0, longest = 0;
    for (size_t i = 0; i < sizeof types / sizeof types[0]; i++) {
        size_t n = strlen(types[i].name);
        if (n > longest && tg_bytes_starts(*t, types[i].name)) {
            best = i;
            longest = n;
        }
    }
    if (longest == 0)
        return TG_EINVAL;
    f->type = types[best].type;
    f->bytes = types[best].bytes;
    *t = tg_bytes(t->data + longest, t->len - longest);
    if (is_number(f) && (tg_bytes_starts(*t, "le") || tg_bytes_starts(*t, "be"))) {
        f->big_endian = t->data[0] == 'b';
        *t = tg_bytes(t->data + 2, t->len - 2);
    }
    return TG_OK;
}

static int take_int(struct tg_bytes *t, uint32_t max, uint32_t *ret)
{
    uint32_t v = 0;
    if (t->len == 0 || !is_digit(t->data[0]))
        return TG_EINVAL;
    while (t->len && is_digit(t->data[0])) {
        v = v * 10 + (uint32_t)(t->data[0] - '0');
        if (v > max)
            return TG_EINVAL;
        *t = tg_bytes(t->data + 1, t->len - 1);
    }
    *ret = v;
    return TG_OK;
}

/* Digits with an optional fraction: at most 15 digits in all, so that the mantissa is exact in a double. */
static int take_decimal(struct tg_bytes *t, bool may_be_negative, struct tg_gatt_decimal *ret)
{
    bool negative = may_be_negative && take_char(t, '-'), point = false;
    int digits = 0;
    *ret = (struct tg_gatt_decimal){0};
    while (t->len && (is_digit(t->data[0]) || (t->data[0] == '.' && !point))) {
        if (t->data[0] == '.') {
            point = true;
        } else {
            if (++digits > 15)
                return TG_EINVAL;
            ret->mantissa = ret->mantissa * 10 + (t->data[0] - '0');
            ret->decimals = (uint8_t)(ret->decimals + (point ? 1 : 0));
        }
        *t = tg_bytes(t->data + 1, t->len - 1);
    }
    if (negative)
        ret->mantissa = -ret->mantissa;
    return digits ? TG_OK : TG_EINVAL;
}

static int take_sentinel(struct tg_bytes *t, struct tg_gatt_format *f)
{
    uint64_t v = 0;
    size_t n = 0;
    if (tg_bytes_starts(*t, "0x"))
        *t = tg_bytes(t->data + 2, t->len - 2);
    for (; t->len; n++) {
        uint8_t c = t->data[0];
        int d = is_digit(c) ? c - '0' : (c | 0x20) >= 'a' && (c | 0x20) <= 'f' ? (c | 0x20) - 'a' + 10 : -1;
        if (d < 0)
            break;
        v = v << 4 | (uint64_t)d;
        *t = tg_bytes(t->data + 1, t->len - 1);
    }
    if (n == 0 || n > 2u * f->bytes || f->sentinel_count == TG_GATT_MAX_SENTINELS)
        return TG_EINVAL;
    f->sentinels[f->sentinel_count++] = v;
    return TG_OK;
}

static int take_scale(struct tg_bytes *t, struct tg_gatt_format *f, struct tg_error *err)
{
    if (t->len && (t->data[0] == '*' || t->data[0] == '/')) {
        f->divides = t->data[0] == '/';
        f->has_factor = true;
        *t = tg_bytes(t->data + 1, t->len - 1);
        if (take_decimal(t, true, &f->factor) < 0)
            return tg_error_set(err, TG_EINVAL, "the factor is no decimal number of at most 15 digits");
        if (f->factor.mantissa == 0)
            return tg_error_set(err, TG_EINVAL, "the factor is 0");
    }
    if (t->len && (t->data[0] == '+' || t->data[0] == '-')) {
        bool negative = t->data[0] == '-';
        f->has_offset = true;
        *t = tg_bytes(t->data + 1, t->len - 1);
        if (take_decimal(t, false, &f->offset) < 0)
            return tg_error_set(err, TG_EINVAL, "the offset is no decimal number of at most 15 digits");
        if (negative)
            f->offset.mantissa = -f->offset.mantissa;
    }
    return TG_OK;
}

static int check(const struct tg_gatt_format *f, struct tg_error *err)
{
    bool scaled = f->has_factor || f->has_offset;
    bool integer = f->type == TG_GATT_UNSIGNED || f->type == TG_GATT_SIGNED;
    if (scaled && (!is_number(f) || f->type == TG_GATT_BOOL || f->bit >= 0))
        return tg_error_set(err, TG_EINVAL, "a bool or a text has no factor and no offset");
    if (f->bit >= 0 && !integer)
        return tg_error_set(err, TG_EINVAL, "only integers have bits");
    if (f->bit >= 8 * (f->bytes ? f->bytes : 1))
        return tg_error_set(err, TG_EINVAL, "bit %d is beyond the type: allowed are 0 to %d", f->bit,
                            8 * f->bytes - 1);
    if (f->sentinel_count && (!is_number(f) || f->bit >= 0))
        return tg_error_set(err, TG_EINVAL, "only numbers have a raw value that means \"no value\"");
    if (f->at && !is_number(f) && f->type != TG_GATT_UTF8 && f->type != TG_GATT_HEX)
        return tg_error_set(err, TG_EINVAL, "this type begins at the first byte");
    return TG_OK;
}

int tg_gatt_format_parse(struct tg_bytes text, struct tg_gatt_format *ret, struct tg_error *err)
{
    struct tg_gatt_format f = {.bit = -1};
    struct tg_bytes t = text;
    uint32_t v = 0;
    char quote[TG_QUOTE_BYTES];
    if (take_type(&t, &f) < 0)
        goto syntax;
    if (take_char(&t, '@')) {
        if (take_int(&t, 511, &v) < 0)
            return tg_error_set(err, TG_EINVAL, "after @ stands the first byte: 0 to 511");
        f.at = (uint16_t)v;
    }
    if (take_char(&t, '.')) {
        if (take_int(&t, 63, &v) < 0)
            return tg_error_set(err, TG_EINVAL, "after the point stands a bit: 0 to 63");
        f.bit = (int8_t)v;
    }
    if (take_scale(&t, &f, err) < 0)
        return TG_EINVAL;
    while (take_char(&t, '?')) {
        if (take_sentinel(&t, &f) < 0)
            return tg_error_set(err, TG_EINVAL,
                                "after ? stand hexadecimal digits, two for each byte of the type at most; "
                                "at most %d times",
                                TG_GATT_MAX_SENTINELS);
    }
    if (t.len)
        goto syntax;
    if (check(&f, err) < 0)
        return TG_EINVAL;
    *ret = f;
    return TG_OK;
syntax:
    return tg_error_set(err, TG_EINVAL,
                        "format %s is not understood at %s; types are bool, u8, s8, u16, s16, u24, s24, "
                        "u32, s32, u48, u64, s64, f32, f64, sfloat, float, utf8, hex; " ALLOWED,
                        tg_quote(quote, (const char *)text.data, text.len),
                        t.len ? "what follows the type" : "its end");
}
