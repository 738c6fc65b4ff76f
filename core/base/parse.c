/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * parse - the value parsers of settings.h: text → number with a unit, and the nearest word.
 */
#include <ctype.h>
#include <errno.h>
#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "core/base/settings.h"

struct unit {
    const char *name;
    int64_t factor;
};

/* Largest first, for printing; only the first four of the sizes are printed. */
static const struct unit durations[] = {{"d", 86400000}, {"h", 3600000}, {"m", 60000},
                                        {"s", 1000},     {"ms", 1},      {NULL, 0}};
static const struct unit sizes[] = {{"GiB", INT64_C(1) << 30},
                                    {"MiB", INT64_C(1) << 20},
                                    {"KiB", INT64_C(1) << 10},
                                    {"B", 1},
                                    {"GB", 1000000000},
                                    {"MB", 1000000},
                                    {"kB", 1000},
                                    {NULL, 0}};

/* Numbers of a unit: digits, a '.', digits. Scaled by the unit they must be whole. */
struct decimal {
    uint64_t whole, fraction, scale; /* whole + fraction / scale */
    bool overflow;
};

/* Returns what follows the number; text itself when there is none. */
static const char *read_decimal(const char *text, struct decimal *d)
{
    const char *at = text;
    *d = (struct decimal){.scale = 1};
    for (; isdigit((unsigned char)*at); at++) {
        unsigned digit = (unsigned)(*at - '0');
        if (d->whole > (UINT64_MAX - digit) / 10)
            d->overflow = true;
        else
            d->whole = d->whole * 10 + digit;
    }
    if (at == text || *at != '.' || !isdigit((unsigned char)at[1]))
        return at;
    for (at++; isdigit((unsigned char)*at); at++) {
        if (d->scale >= UINT64_C(1000000000)) {
            d->overflow = d->overflow || *at != '0'; /* more digits than any unit resolves */
            continue;
        }
        d->scale *= 10;
        d->fraction = d->fraction * 10 + (unsigned)(*at - '0');
    }
    return at;
}

static int apply(const struct decimal *d, int64_t factor, int64_t *ret)
{
    uint64_t f = (uint64_t)factor, fraction;
    /* fraction < 10^9 and factor ≤ 2^30: their product fits. */
    if (d->overflow || d->whole > (uint64_t)INT64_MAX / f || d->fraction * f % d->scale != 0)
        return TG_EINVAL;
    fraction = d->fraction * f / d->scale;
    if (d->whole * f > (uint64_t)INT64_MAX - fraction)
        return TG_EINVAL;
    *ret = (int64_t)(d->whole * f + fraction);
    return TG_OK;
}

/* One kind of number with a unit, and how to speak of it. */
struct quantity {
    const struct unit *units;
    const char *what, *units_text, *example, *example_unit;
};

static int parse_quantity(const struct quantity *q, const char *text, int64_t *ret, struct tg_error *err)
{
    struct decimal d;
    const char *end = read_decimal(text, &d), *unit = *end == ' ' && end[1] ? end + 1 : end;
    char quoted[TG_QUOTE_BYTES];
    tg_quote(quoted, text, strlen(text));
    if (end == text)
        return tg_error_set(err, TG_EINVAL,
                            "%s is not a %s: write a number and a unit, such as %s (units: %s)", quoted,
                            q->what, q->example, q->units_text);
    if (*end == '\0' && strlen(text) <= 12)
        return tg_error_set(err, TG_EINVAL, "%s has no unit: write a %s such as %s%s (units: %s)", quoted,
                            q->what, text, q->example_unit, q->units_text);
    for (const struct unit *u = q->units; u->name; u++) {
        if (strcmp(u->name, unit) != 0)
            continue;
        if (apply(&d, u->factor, ret) == TG_OK)
            return TG_OK;
        return tg_error_set(err, TG_EINVAL, "%s is not a %s that can be kept: it is too large or too fine",
                            quoted, q->what);
    }
    return tg_error_set(err, TG_EINVAL, "%s has %s unit: write a %s such as %s (units: %s)", quoted,
                        *end ? "an unknown" : "no", q->what, q->example, q->units_text);
}

int tg_parse_duration_ms(const char *text, int64_t *ret_ms, struct tg_error *err)
{
    static const struct quantity q = {durations, "duration", "ms, s, m, h, d", "30s", "s"};
    return parse_quantity(&q, text, ret_ms, err);
}

int tg_parse_size_bytes(const char *text, int64_t *ret_bytes, struct tg_error *err)
{
    static const struct quantity q = {sizes, "size", "B, KiB, MiB, GiB, kB, MB, GB", "64MiB", "MiB"};
    return parse_quantity(&q, text, ret_bytes, err);
}

int tg_parse_int(const char *text, int64_t *ret, struct tg_error *err)
{
    bool negative = text[0] == '-';
    const char *digits = text + (text[0] == '-' || text[0] == '+');
    unsigned base = digits[0] == '0' && (digits[1] == 'x' || digits[1] == 'X') ? 16 : 10;
    uint64_t v = 0, most = negative ? (uint64_t)INT64_MAX + 1 : (uint64_t)INT64_MAX;
    char quoted[TG_QUOTE_BYTES];
    const char *at = digits + (base == 16 ? 2 : 0);
    if (*at == '\0')
        goto not_a_number;
    for (; *at; at++) {
        unsigned digit;
        if (isdigit((unsigned char)*at))
            digit = (unsigned)(*at - '0');
        else if (base == 16 && isxdigit((unsigned char)*at))
            digit = (unsigned)(tolower((unsigned char)*at) - 'a') + 10;
        else
            goto not_a_number;
        if (v > (most - digit) / base)
            return tg_error_set(err, TG_EINVAL, "%s does not fit into 64 bits",
                                tg_quote(quoted, text, strlen(text)));
        v = v * base + digit;
    }
    *ret = negative ? (int64_t)(0 - v) : (int64_t)v;
    return TG_OK;

not_a_number:
    return tg_error_set(err, TG_EINVAL,
                        "%s is not a whole number: write decimal digits, or 0x and hexadecimal ones",
                        tg_quote(quoted, text, strlen(text)));
}

/* strtod alone would also take "inf", "nan", "0x1p3" and leading spaces. */
static bool looks_like_real(const char *at)
{
    size_t whole, fraction = 0;
    at += *at == '-' || *at == '+';
    whole = strspn(at, "0123456789");
    at += whole;
    if (*at == '.') {
        fraction = strspn(at + 1, "0123456789");
        at += 1 + fraction;
    }
    if (whole + fraction == 0)
        return false;
    if (*at == 'e' || *at == 'E') {
        at++;
        at += *at == '-' || *at == '+';
        if (!isdigit((unsigned char)*at))
            return false;
        at += strspn(at, "0123456789");
    }
    return *at == '\0';
}

int tg_parse_real(const char *text, double *ret, struct tg_error *err)
{
    char quoted[TG_QUOTE_BYTES], *end = NULL;
    double v = looks_like_real(text) ? strtod(text, &end) : 0;
    if (!end || *end != '\0')
        return tg_error_set(err, TG_EINVAL, "%s is not a number: write one such as 0.1 or -2.5e3",
                            tg_quote(quoted, text, strlen(text)));
    if (!isfinite(v))
        return tg_error_set(err, TG_EINVAL, "%s is too large for a number",
                            tg_quote(quoted, text, strlen(text)));
    *ret = v;
    return TG_OK;
}

int tg_parse_bool(const char *text, bool *ret, struct tg_error *err)
{
    static const char *const true_words[] = {"yes", "on", "y", "True", "TRUE", "Yes", "YES", "On", "ON", "1"};
    static const char *const false_words[] = {"no", "off", "n",   "False", "FALSE",
                                              "No", "NO",  "Off", "OFF",   "0"};
    char quoted[TG_QUOTE_BYTES];
    if (strcmp(text, "true") == 0 || strcmp(text, "false") == 0) {
        *ret = text[0] == 't';
        return TG_OK;
    }
    tg_quote(quoted, text, strlen(text));
    for (size_t i = 0; i < sizeof true_words / sizeof true_words[0]; i++) {
        if (strcmp(text, true_words[i]) == 0)
            return tg_error_set(err, TG_EINVAL, "%s is not a boolean in YAML 1.2: write true", quoted);
        if (strcmp(text, false_words[i]) == 0)
            return tg_error_set(err, TG_EINVAL, "%s is not a boolean in YAML 1.2: write false", quoted);
    }
    return tg_error_set(err, TG_EINVAL, "%s is not a boolean: write true or false", quoted);
}

void tg_format_option_number(uint32_t type, int64_t v, char ret_text[TG_SETTINGS_NUMBER_BYTES])
{
    const struct unit *u = type == TG_OPTION_DURATION ? durations : type == TG_OPTION_SIZE ? sizes : NULL;
    /* The largest unit that gives a whole number. */
    while (u && u->factor > 1 && (v == 0 || v % u->factor != 0))
        u++;
    if (u && v == 0)
        u = type == TG_OPTION_DURATION ? &durations[3] : &sizes[3];
    snprintf(ret_text, TG_SETTINGS_NUMBER_BYTES, "%" PRId64 "%s", u ? v / u->factor : v, u ? u->name : "");
}

/* --- nearest word --- */

#define WORD_MAX_BYTES      64
#define BEGINNING_MIN_BYTES 4

static size_t least(size_t a, size_t b)
{
    return a < b ? a : b;
}

/* Edit distance with swaps of neighbours (optimal string alignment), letters of either case equal. */
static size_t distance(const char *a, size_t a_len, const char *b, size_t b_len)
{
    size_t rows[3][WORD_MAX_BYTES + 1] = {{0}};
    size_t *before = rows[0], *last = rows[1], *now = rows[2];
    for (size_t j = 0; j <= b_len; j++)
        last[j] = j;
    for (size_t i = 1; i <= a_len; i++) {
        size_t *spare = before;
        now[0] = i;
        for (size_t j = 1; j <= b_len; j++) {
            int x = tolower((unsigned char)a[i - 1]), y = tolower((unsigned char)b[j - 1]);
            now[j] = least(least(last[j] + 1, now[j - 1] + 1), last[j - 1] + (x != y));
            if (i > 1 && j > 1 && x == tolower((unsigned char)b[j - 2]) &&
                y == tolower((unsigned char)a[i - 2]))
                now[j] = least(now[j], before[j - 2] + 1);
        }
        before = last;
        last = now;
        now = spare;
    }
    return last[b_len];
}

/* The one candidate that begins with the word, or that the word begins with ("aws-iot", "service_account"). */
static const char *beginning(const char *word, size_t len, const char *const *candidates, size_t count)
{
    const char *found = NULL;
    for (size_t i = 0; i < count && len >= BEGINNING_MIN_BYTES; i++) {
        size_t n = strlen(candidates[i]);
        if (n < BEGINNING_MIN_BYTES || strncasecmp(word, candidates[i], least(len, n)) != 0)
            continue;
        if (found)
            return NULL;
        found = candidates[i];
    }
    return found;
}

const char *tg_nearest_word(const char *word, const char *const *candidates, size_t count)
{
    size_t len = strlen(word), best = SIZE_MAX;
    const char *found = NULL;
    if (len == 0 || len > WORD_MAX_BYTES)
        return NULL;
    for (size_t i = 0; i < count; i++) {
        size_t n = strlen(candidates[i]), d;
        if (n == 0 || n > WORD_MAX_BYTES)
            continue;
        d = distance(word, len, candidates[i], n);
        if (d < best) {
            best = d;
            found = candidates[i];
        }
    }
    return best <= 1 + len / 4 ? found : beginning(word, len, candidates, count);
}
