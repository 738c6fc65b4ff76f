/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "southbound/modbus_points.h"

#include <string.h>

#define READ_REGISTERS_MAX 125 /* Modbus application protocol 1.1b3, 6.3 */

const char *const tg_modbus_table_names[] = {"coil", "discrete", "holding", "input", NULL};
const char *const tg_modbus_type_names[] = {"bool",   "int8",     "uint8",     "int16",   "uint16",  "int32",
                                            "uint32", "int64",    "uint64",    "float32", "float64", "bcd16",
                                            "bcd32",  "int16+sf", "uint16+sf", "string",  NULL};
const char *const tg_modbus_order_names[] = {"ABCD",     "CDAB",     "BADC",     "DCBA",     "ABCDEFGH",
                                             "GHEFCDAB", "BADCFEHG", "HGFEDCBA", "CDABGHEF", "EFGHABCD",
                                             "DCBAHGFE", "FEHGBADC", NULL};
const char *const tg_modbus_packing_names[] = {"high-first", "low-first", "one-low", "one-high", NULL};
const char *const tg_modbus_half_names[] = {"low", "high", NULL};
const char *const tg_modbus_encoding_names[] = {"utf-8", "latin1", NULL};

static char lower(char c)
{
    return c >= 'A' && c <= 'Z' ? (char)(c - 'A' + 'a') : c;
}

int tg_modbus_name_index(const char *const *names, const char *word)
{
    for (int i = 0; names[i]; i++) {
        size_t k = 0;
        while (names[i][k] && lower(names[i][k]) == lower(word[k]))
            k++;
        if (!names[i][k] && !word[k])
            return i;
    }
    return -1;
}

void tg_modbus_point_init(struct tg_modbus_point *p)
{
    memset(p, 0, sizeof *p);
    p->bit = -1;
}

static int hex_digit(char c)
{
    if (c >= '0' && c <= '9')
        return c - '0';
    c = lower(c);
    return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

/* Decimal or 0x… up to `max`; moves *p behind the digits. False when there is no such number. */
static bool take_number(const char **p, unsigned max, unsigned *ret)
{
    const char *s = *p;
    unsigned base = 10, n = 0;
    if (s[0] == '0' && (s[1] == 'x' || s[1] == 'X')) {
        base = 16;
        s += 2;
    }
    const char *first = s;
    for (int d; (d = hex_digit(*s)) >= 0 && (unsigned)d < base; s++) {
        n = n * base + (unsigned)d;
        if (n > max)
            return false;
    }
    if (s == first)
        return false;
    *p = s;
    *ret = n;
    return true;
}

static const char allowed[] = "allowed is coil:N, discrete:N, input:N or holding:N, .BIT or .LOW-HIGH behind "
                              "a register, and the traditional "
                              "number alone, such as 40001 or 400001";

/* The first digit of a traditional number. */
static int traditional_table(char digit)
{
    switch (digit) {
    case '0':
        return TG_MODBUS_COIL;
    case '1':
        return TG_MODBUS_DISCRETE;
    case '3':
        return TG_MODBUS_INPUT;
    case '4':
        return TG_MODBUS_HOLDING;
    default:
        return -1;
    }
}

/* 40001 or 400001: the table's digit, then the number counted from 1. */
static int take_traditional(const char **rest, int base, unsigned *ret_table, unsigned *ret_number,
                            struct tg_error *err)
{
    const char *text = *rest;
    unsigned n = 0;
    size_t digits = 0;
    for (; text[digits] >= '0' && text[digits] <= '9' && digits < 7; digits++)
        n = digits == 0 ? 0 : 10 * n + (unsigned)(text[digits] - '0');
    int table = traditional_table(text[0]);
    if ((digits != 5 && digits != 6) || table < 0 || n == 0 || n > 65536)
        return tg_error_set(err, TG_EINVAL, "address \"%.40s\" names no table: %s", text, allowed);
    if (base == 0) {
        const char *name = tg_modbus_table_names[table];
        return tg_error_set(err, TG_EINVAL,
                            "address \"%.40s\" is ambiguous: traditional numbers count from 1 (%s:%u), but "
                            "address_base is 0 (%s:%u); write the one that is meant",
                            text, name, n - 1, name, n);
    }
    *ret_table = (unsigned)table;
    *ret_number = n - 1;
    *rest = text + digits;
    return 0;
}

/* Nobody has said from where addresses count, and the number looks like a traditional one of this table. */
static int check_ambiguous(const char *text, unsigned table, unsigned n, struct tg_error *err)
{
    static const unsigned first[] = {
        [TG_MODBUS_DISCRETE] = 10000, [TG_MODBUS_INPUT] = 30000, [TG_MODBUS_HOLDING] = 40000};
    if (table == TG_MODBUS_COIL || n <= first[table] || n > first[table] + 9999)
        return 0;
    return tg_error_set(
        err, TG_EINVAL,
        "address \"%.40s\" is ambiguous: address %u of the protocol (then say address_base: 0, "
        "or 1 where the manual counts from 1) or the traditional number %u, which is %s:%u (then "
        "write %u without %s:)",
        text, n, n, tg_modbus_table_names[table], n - first[table] - 1, n, tg_modbus_table_names[table]);
}

/* TABLE:N, with N moved to the protocol's count. */
static int take_table_number(const char **rest, int base, unsigned *ret_table, unsigned *ret_number,
                             struct tg_error *err)
{
    const char *text = *rest;
    unsigned table;
    int rc = 0;
    *rest = NULL;
    for (table = 0; tg_modbus_table_names[table]; table++) {
        size_t n = strlen(tg_modbus_table_names[table]);
        if (strncmp(text, tg_modbus_table_names[table], n) == 0 && text[n] == ':') {
            *rest = text + n + 1;
            break;
        }
    }
    if (!*rest)
        return tg_error_set(err, TG_EINVAL, "address \"%.40s\" names no table: %s", text, allowed);
    bool hex = (*rest)[0] == '0' && ((*rest)[1] == 'x' || (*rest)[1] == 'X');
    if (!take_number(rest, base == 1 ? 65536 : 65535, ret_number) || (base == 1 && *ret_number == 0))
        return tg_error_set(err, TG_EINVAL, "address \"%.40s\" has no valid number: allowed is %s", text,
                            base == 1 ? "1 to 65536 (0x1 to 0x10000), because address_base is 1"
                                      : "0 to 65535 (0x0 to 0xFFFF)");
    if (base < 0 && !hex)
        rc = check_ambiguous(text, table, *ret_number, err);
    if (base == 1)
        (*ret_number)--;
    *ret_table = table;
    return rc;
}

int tg_modbus_point_address(struct tg_modbus_point *p, const char *text, int base, struct tg_error *err)
{
    const char *rest = text;
    unsigned table = 0, number = 0, bit = 0, last = 0;
    bool has_bit = false;
    int rc = text[0] >= '0' && text[0] <= '9' ? take_traditional(&rest, base, &table, &number, err)
                                              : take_table_number(&rest, base, &table, &number, err);
    if (rc < 0)
        return rc;
    if (*rest == '.') {
        rest++;
        has_bit = take_number(&rest, 15, &bit);
        last = bit;
        if (has_bit && *rest == '-') {
            rest++;
            has_bit = take_number(&rest, 15, &last) && last > bit;
        }
        if (!has_bit)
            return tg_error_set(err, TG_EINVAL,
                                "address \"%.40s\" has no valid bit: allowed is .0 to .15 for one bit, or "
                                ".LOW-HIGH such as .3-7",
                                text);
    }
    if (*rest)
        return tg_error_set(err, TG_EINVAL, "address \"%.40s\" goes on after its end: %s", text, allowed);
    if (has_bit && (table == TG_MODBUS_COIL || table == TG_MODBUS_DISCRETE))
        return tg_error_set(err, TG_EINVAL, "address \"%.40s\": a %s is one bit already", text,
                            tg_modbus_table_names[table]);
    p->table = (uint8_t)table;
    p->address = (uint16_t)number;
    p->bit = (int8_t)(has_bit ? (int)bit : -1);
    p->bits = (uint8_t)(last > bit ? last - bit + 1 : 0);
    return 0;
}

int tg_modbus_point_sentinel(struct tg_modbus_point *p, const char *hex, struct tg_error *err)
{
    const char *s = hex;
    uint64_t v = 0;
    size_t n = 0;
    if (s[0] == '0' && (s[1] == 'x' || s[1] == 'X'))
        s += 2;
    for (int d; (d = hex_digit(*s)) >= 0 && n <= 16; s++, n++)
        v = v << 4 | (unsigned)d;
    if (*s || n == 0 || n > 16)
        return tg_error_set(
            err, TG_EINVAL,
            "sentinel \"%.40s\" is no register content: allowed are 1 to 16 hexadecimal digits, "
            "like 8000 or FFFFFFFF",
            hex);
    if (p->sentinel_count == TG_MODBUS_MAX_SENTINELS)
        return tg_error_set(err, TG_EFULL, "more than %d sentinels", TG_MODBUS_MAX_SENTINELS);
    p->sentinels[p->sentinel_count++] = v;
    return 0;
}

static uint16_t type_words(const struct tg_modbus_point *p)
{
    switch (p->type) {
    case TG_MODBUS_INT32:
    case TG_MODBUS_UINT32:
    case TG_MODBUS_FLOAT32:
    case TG_MODBUS_BCD32:
    case TG_MODBUS_INT16_SF:
    case TG_MODBUS_UINT16_SF:
        return 2;
    case TG_MODBUS_INT64:
    case TG_MODBUS_UINT64:
    case TG_MODBUS_FLOAT64:
        return 4;
    case TG_MODBUS_STRING:
        if (p->packing == TG_MODBUS_ONE_LOW || p->packing == TG_MODBUS_ONE_HIGH)
            return p->length;
        return (uint16_t)((p->length + 1) / 2);
    default:
        return 1;
    }
}

/* Bits of what a sentinel is compared with; 0: with nothing. */
static unsigned sentinel_bits(const struct tg_modbus_point *p)
{
    if (p->type == TG_MODBUS_STRING || p->table == TG_MODBUS_COIL || p->table == TG_MODBUS_DISCRETE)
        return 0;
    if (p->bits > 0)
        return p->bits;
    if (p->type == TG_MODBUS_INT8 || p->type == TG_MODBUS_UINT8)
        return 8;
    return p->type == TG_MODBUS_INT16_SF || p->type == TG_MODBUS_UINT16_SF ? 16 : 16u * p->count;
}

/* One that is wider than the value is never met, and what it means would pass for a reading. */
static int check_sentinels(const struct tg_modbus_point *p, struct tg_error *err)
{
    unsigned bits = sentinel_bits(p);
    for (unsigned i = 0; i < p->sentinel_count; i++) {
        if (bits == 0)
            return tg_error_set(err, TG_EINVAL, "a %s has no sentinel",
                                p->type == TG_MODBUS_STRING ? "string" : tg_modbus_table_names[p->table]);
        if (bits < 64 && p->sentinels[i] >> bits != 0)
            return tg_error_set(
                err, TG_EINVAL,
                "%llX never stands there: the value has %u bits, so at most %u hexadecimal digits",
                (unsigned long long)p->sentinels[i], bits, (bits + 3) / 4);
    }
    return TG_OK;
}

int tg_modbus_point_finish(struct tg_modbus_point *p, const char **ret_field, struct tg_error *err)
{
    const char *ignored;
    const char **field = ret_field ? ret_field : &ignored;
    bool bits = p->table == TG_MODBUS_COIL || p->table == TG_MODBUS_DISCRETE;
    if (p->bits > 0 && p->type != TG_MODBUS_UINT16) {
        *field = "type";
        return tg_error_set(err, TG_EINVAL, "a field of %u bits is a uint16, not %s", p->bits,
                            tg_modbus_type_names[p->type]);
    }
    if ((bits || (p->bit >= 0 && p->bits == 0)) && p->type != TG_MODBUS_BOOL) {
        *field = "type";
        return tg_error_set(err, TG_EINVAL, "a %s is a bool, not %s",
                            bits ? tg_modbus_table_names[p->table] : "bit", tg_modbus_type_names[p->type]);
    }
    if (p->type == TG_MODBUS_STRING && (p->length == 0 || p->length > TG_MODBUS_MAX_CHARACTERS)) {
        *field = "length";
        return tg_error_set(err, TG_EINVAL, "a string needs a length from 1 to %d characters",
                            TG_MODBUS_MAX_CHARACTERS);
    }
    if (p->type != TG_MODBUS_STRING && p->length != 0) {
        *field = "length";
        return tg_error_set(err, TG_EINVAL, "length is for strings only, the type is %s",
                            tg_modbus_type_names[p->type]);
    }
    p->count = type_words(p);
    if (p->count > READ_REGISTERS_MAX) {
        *field = "length";
        return tg_error_set(err, TG_EINVAL, "%u registers are more than one read carries (%d)", p->count,
                            READ_REGISTERS_MAX);
    }
    if ((uint32_t)p->address + p->count > 65536) {
        *field = "address";
        return tg_error_set(err, TG_EINVAL, "address %u with %u registers goes beyond 65535", p->address,
                            p->count);
    }
    *field = "sentinel";
    return check_sentinels(p, err);
}
