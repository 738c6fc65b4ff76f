/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "southbound/modbus_points.h"

#include <string.h>

#define READ_REGISTERS_MAX 125 /* Modbus application protocol 1.1b3, 6.3 */

const char *const tg_modbus_table_names[] = {"coil", "discrete", "holding", "input", NULL};
const char *const tg_modbus_type_names[] = {"bool",   "int8",     "uint8",     "int16",   "uint16",  "int32",
                                            "uint32", "int64",    "uint64",    "float32", "float64", "bcd16",
                                            "bcd32",  "int16+sf", "uint16+sf", "string",  NULL};
const char *const tg_modbus_order_names[] = {"ABCD", "CDAB", "BADC", "DCBA", NULL};
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

int tg_modbus_point_address(struct tg_modbus_point *p, const char *text, struct tg_error *err)
{
    static const char allowed[] = "allowed is coil:N, discrete:N, input:N or holding:N with N from 0 to "
                                  "65535 (or 0x0 to 0xFFFF), and .BIT "
                                  "from 0 to 15 behind a register";
    const char *rest = NULL;
    unsigned table, number, bit = 0;
    bool has_bit = false;
    for (table = 0; tg_modbus_table_names[table]; table++) {
        size_t n = strlen(tg_modbus_table_names[table]);
        if (strncmp(text, tg_modbus_table_names[table], n) == 0 && text[n] == ':') {
            rest = text + n + 1;
            break;
        }
    }
    if (!rest)
        return tg_error_set(err, TG_EINVAL, "address \"%.40s\" names no table: %s", text, allowed);
    if (!take_number(&rest, 65535, &number))
        return tg_error_set(err, TG_EINVAL, "address \"%.40s\" has no valid number: %s", text, allowed);
    if (*rest == '.') {
        rest++;
        has_bit = true;
        if (!take_number(&rest, 15, &bit))
            return tg_error_set(err, TG_EINVAL, "address \"%.40s\" has no valid bit: %s", text, allowed);
    }
    if (*rest)
        return tg_error_set(err, TG_EINVAL, "address \"%.40s\" goes on after its end: %s", text, allowed);
    if (has_bit && (table == TG_MODBUS_COIL || table == TG_MODBUS_DISCRETE))
        return tg_error_set(err, TG_EINVAL, "address \"%.40s\": a %s is one bit already; %s", text,
                            tg_modbus_table_names[table], allowed);
    p->table = (uint8_t)table;
    p->address = (uint16_t)number;
    p->bit = (int8_t)(has_bit ? (int)bit : -1);
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

int tg_modbus_point_finish(struct tg_modbus_point *p, const char **ret_field, struct tg_error *err)
{
    const char *ignored;
    const char **field = ret_field ? ret_field : &ignored;
    bool bits = p->table == TG_MODBUS_COIL || p->table == TG_MODBUS_DISCRETE;
    if ((bits || p->bit >= 0) && p->type != TG_MODBUS_BOOL) {
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
    return 0;
}
