/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "plugins/at/at_points.h"

#include <errno.h>
#include <locale.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <strings.h>

#define PATTERN_MAX_BYTES 1024
#define MATCH_STEPS       10000 /* about 0.3 ms on a small Arm core */
#define MATCH_DEPTH       1000
#define MATCH_HEAP_KIB    512
#define NUMBER_MAX_BYTES  48

static int no_memory(char *error, size_t error_size)
{
    snprintf(error, error_size, "out of memory");
    return TG_PLUGIN_ENOMEM;
}

int tg_at_pattern_compile(struct tg_at_pattern *p, const char *text, char *error, size_t error_size)
{
    int code = 0;
    size_t at = 0;
    memset(p, 0, sizeof *p);
    if (strlen(text) > PATTERN_MAX_BYTES) {
        snprintf(error, error_size, "pattern is longer than %d bytes", PATTERN_MAX_BYTES);
        return TG_PLUGIN_EINVAL;
    }
    p->code =
        pcre2_compile((PCRE2_SPTR)text, PCRE2_ZERO_TERMINATED,
                      PCRE2_NEVER_UTF | PCRE2_NEVER_BACKSLASH_C | PCRE2_DOLLAR_ENDONLY, &code, &at, NULL);
    if (!p->code) {
        char why[160];
        pcre2_get_error_message(code, (PCRE2_UCHAR *)why, sizeof why);
        snprintf(error, error_size, "pattern \"%s\" is wrong at character %zu: %s", text, at + 1, why);
        return TG_PLUGIN_EINVAL;
    }
    p->match = pcre2_match_data_create_from_pattern(p->code, NULL);
    p->limits = pcre2_match_context_create(NULL);
    if (!p->match || !p->limits) {
        tg_at_pattern_fini(p);
        return no_memory(error, error_size);
    }
    pcre2_set_match_limit(p->limits, MATCH_STEPS);
    pcre2_set_depth_limit(p->limits, MATCH_DEPTH);
    pcre2_set_heap_limit(p->limits, MATCH_HEAP_KIB);
    pcre2_pattern_info(p->code, PCRE2_INFO_CAPTURECOUNT, &p->groups);
    return TG_PLUGIN_OK;
}

void tg_at_pattern_fini(struct tg_at_pattern *p)
{
    pcre2_match_context_free(p->limits);
    pcre2_match_data_free(p->match);
    pcre2_code_free(p->code);
    memset(p, 0, sizeof *p);
}

enum tg_at_match tg_at_pattern_match(struct tg_at_pattern *p, struct tg_bytes line)
{
    int n = pcre2_match(p->code, (PCRE2_SPTR)line.data, line.len, 0, PCRE2_NO_UTF_CHECK, p->match, p->limits);
    if (n >= 0)
        return TG_AT_MATCH;
    return n == PCRE2_ERROR_NOMATCH ? TG_AT_NO_MATCH : TG_AT_TOO_COSTLY;
}

bool tg_at_pattern_group(const struct tg_at_pattern *p, uint32_t group, struct tg_bytes line,
                         struct tg_bytes *ret_text)
{
    const PCRE2_SIZE *v = pcre2_get_ovector_pointer(p->match);
    /* \K in a lookahead can set the start behind the end. */
    if (group > p->groups || v[2 * group] == PCRE2_UNSET || v[2 * group] > v[2 * group + 1])
        return false;
    *ret_text = tg_bytes(line.data + v[2 * group], v[2 * group + 1] - v[2 * group]);
    return true;
}

/* --- values --- */

static struct tg_bytes trim(struct tg_bytes t)
{
    while (t.len > 0 && (t.data[0] == ' ' || t.data[0] == '\t'))
        t = tg_bytes(t.data + 1, t.len - 1);
    while (t.len > 0 && (t.data[t.len - 1] == ' ' || t.data[t.len - 1] == '\t'))
        t.len--;
    return t;
}

/* Digits, optional sign, point and exponent; nothing else. */
static bool looks_like(struct tg_bytes t, bool *ret_integer)
{
    size_t i = 0, digits = 0;
    bool point = false;
    if (i < t.len && (t.data[i] == '-' || t.data[i] == '+'))
        i++;
    for (; i < t.len; i++) {
        if (t.data[i] >= '0' && t.data[i] <= '9')
            digits++;
        else if (t.data[i] == '.' && !point)
            point = true;
        else
            break;
    }
    if (digits == 0)
        return false;
    *ret_integer = i == t.len && !point;
    if (i == t.len)
        return true;
    if ((t.data[i++] | 0x20) != 'e')
        return false;
    if (i < t.len && (t.data[i] == '-' || t.data[i] == '+'))
        i++;
    digits = t.len - i;
    while (i < t.len && t.data[i] >= '0' && t.data[i] <= '9')
        i++;
    return digits > 0 && i == t.len;
}

static void out_of_range(struct tg_point_value *ret)
{
    ret->quality = TG_QUALITY_RANGE;
    ret->value = (struct tg_value){.type = TG_VALUE_NONE};
}

static void read_integer(const char *text, int base, struct tg_point_value *ret)
{
    char *end;
    long long v;
    errno = 0;
    v = strtoll(text, &end, base);
    if (errno == ERANGE)
        out_of_range(ret);
    else
        ret->value = tg_value_int(v);
}

/* text is in C notation; strtod() wants the process's. */
static void read_real(char *text, struct tg_point_value *ret)
{
    char *point = strchr(text, '.');
    double v;
    if (point)
        *point = localeconv()->decimal_point[0];
    v = strtod(text, NULL);
    if (isfinite(v))
        ret->value = tg_value_real(v);
    else
        out_of_range(ret);
}

static bool read_number(const struct tg_at_reader *r, struct tg_bytes t, struct tg_point_value *ret)
{
    char text[NUMBER_MAX_BYTES + 1];
    bool integer = false;
    if (t.len == 0 || t.len > NUMBER_MAX_BYTES)
        return false;
    memcpy(text, t.data, t.len);
    text[t.len] = 0;
    if (r->decimal_comma && strchr(text, ','))
        *strchr(text, ',') = '.';
    if (!looks_like(tg_bytes(text, t.len), &integer) || (r->type == TG_AT_INT && !integer))
        return false;
    if (integer && r->type != TG_AT_REAL)
        read_integer(text, 10, ret);
    else
        read_real(text, ret);
    return true;
}

static bool read_hex(struct tg_bytes t, struct tg_point_value *ret)
{
    char text[NUMBER_MAX_BYTES + 1];
    if (t.len > 2 && t.data[0] == '0' && (t.data[1] | 0x20) == 'x')
        t = tg_bytes(t.data + 2, t.len - 2);
    if (t.len == 0 || t.len > NUMBER_MAX_BYTES)
        return false;
    memcpy(text, t.data, t.len);
    text[t.len] = 0;
    if (strspn(text, "0123456789abcdefABCDEF") != t.len)
        return false;
    read_integer(text, 16, ret);
    return true;
}

static bool read_bool(struct tg_bytes t, struct tg_point_value *ret)
{
    static const struct {
        const char *text;
        bool value;
    } words[] = {{"1", true},    {"0", false},     {"on", true},  {"off", false},
                 {"true", true}, {"false", false}, {"yes", true}, {"no", false}};
    for (size_t i = 0; i < sizeof words / sizeof words[0]; i++) {
        if (strlen(words[i].text) == t.len && strncasecmp(words[i].text, (const char *)t.data, t.len) == 0) {
            ret->value = tg_value_bool(words[i].value);
            return true;
        }
    }
    return false;
}

static bool read_text(struct tg_bytes t, struct tg_point_value *ret)
{
    if (!tg_utf8_valid(t))
        return false;
    if (t.len > TG_TEXT_MAX_BYTES)
        out_of_range(ret); /* half a text is a wrong value */
    else
        ret->value = tg_value_text((const char *)t.data, t.len);
    return true;
}

static bool read_raw(struct tg_bytes t, char *ret_hex, struct tg_point_value *ret)
{
    static const char digits[] = "0123456789abcdef";
    if (2 * t.len > TG_TEXT_MAX_BYTES) {
        out_of_range(ret);
        return true;
    }
    for (size_t i = 0; i < t.len; i++) {
        ret_hex[2 * i] = digits[t.data[i] >> 4];
        ret_hex[2 * i + 1] = digits[t.data[i] & 15];
    }
    ret->value = tg_value_text(ret_hex, 2 * t.len);
    return true;
}

/* Where "from=to" is divided: at its last equals sign, for the device's texts may hold some. */
const char *tg_at_map_fault(const char *entry)
{
    const char *equals = strrchr(entry, '=');
    return !equals || equals == entry || equals[1] == 0
               ? "an entry of `map` is the device's text, an equals sign and its value"
               : NULL;
}

/* False when the map has no such text. */
static bool mapped(const struct tg_at_reader *r, struct tg_bytes *t)
{
    for (uint32_t i = 0; i < r->map_count; i++) {
        const char *equals = strrchr(r->maps[i], '=');
        size_t n = equals ? (size_t)(equals - r->maps[i]) : 0;
        if (equals && t->len == n && memcmp(t->data, r->maps[i], n) == 0) {
            *t = tg_bytes_str(equals + 1);
            return true;
        }
    }
    return r->map_count == 0;
}

bool tg_at_read_value(const struct tg_at_reader *r, struct tg_bytes text, char *ret_hex,
                      struct tg_point_value *ret)
{
    struct tg_bytes t = trim(text);
    bool ok = false;
    ret->quality = TG_QUALITY_GOOD;
    ret->value = (struct tg_value){.type = TG_VALUE_NONE};
    for (uint32_t i = 0; i < r->null_count; i++) {
        if (tg_bytes_eq_str(t, r->nulls[i])) {
            ret->quality = TG_QUALITY_SENSOR;
            return true;
        }
    }
    if (!mapped(r, &t)) {
        ret->quality = TG_QUALITY_SENSOR;
        return false;
    }
    switch (r->type) {
    case TG_AT_AUTO:
    case TG_AT_INT:
    case TG_AT_REAL:
        ok = read_number(r, t, ret);
        break;
    case TG_AT_HEX:
        ok = read_hex(t, ret);
        break;
    case TG_AT_BOOL:
        ok = read_bool(t, ret);
        break;
    case TG_AT_TEXT:
        ok = read_text(r->map_count > 0 ? t : text, ret);
        break;
    case TG_AT_RAW:
        ok = read_raw(text, ret_hex, ret);
        break;
    }
    if (!ok)
        ret->quality = TG_QUALITY_SENSOR;
    return ok;
}
