/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "core/points/filter.h"

#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "core/base/value.h"

/* 2301 × 0.1 is 230.10000000000002, 2301 / 10 is 230.1: where the scale is one over a whole number, divide. */
static double times(double x, double scale)
{
    double inverse = 1.0 / scale, whole = nearbyint(inverse);
    if (fabs(scale) < 1.0 && fabs(inverse - whole) < 1e-9 * fabs(whole))
        return x / whole;
    return x * scale;
}

static uint64_t text_hash(const struct tg_value *v)
{
    uint64_t h = 14695981039346656037u; /* FNV-1a */
    for (uint32_t i = 0; i < v->text_len; i++)
        h = (h ^ (uint8_t)v->as.text[i]) * 1099511628211u;
    return h;
}

static void scale_and_check(const struct tg_filter_options *o, struct tg_point_value *v)
{
    double x;
    if (v->quality != TG_QUALITY_GOOD || !tg_value_number(&v->value, &x))
        return;
    if (o->scale != 1.0 || o->offset != 0.0) {
        x = times(x, o->scale) + o->offset;
        v->value = tg_value_real(x);
    }
    if (!isfinite(x) || x < o->min || x > o->max) {
        v->quality = TG_QUALITY_RANGE;
        v->value = (struct tg_value){.type = TG_VALUE_NONE};
    }
}

static void name_number(const struct tg_filter_options *o, struct tg_point_value *v)
{
    double x;
    if (v->quality != TG_QUALITY_GOOD || v->value.type == TG_VALUE_TEXT)
        return;
    if (v->value.type == TG_VALUE_BOOL)
        x = v->value.as.boolean ? 1 : 0;
    else if (!tg_value_number(&v->value, &x))
        return;
    for (uint32_t i = 0; i < o->word_count; i++)
        if ((double)o->words[i].number == x) {
            v->value = tg_value_text(o->words[i].text, strlen(o->words[i].text));
            return;
        }
    v->quality = TG_QUALITY_RANGE;
    v->value = (struct tg_value){.type = TG_VALUE_NONE};
}

static bool differs(const struct tg_filter_options *o, const struct tg_filter_state *s,
                    const struct tg_value *v)
{
    double now, last;
    if (v->type == TG_VALUE_TEXT)
        return s->last.type != TG_VALUE_TEXT || text_hash(v) != s->last_text_hash ||
               v->text_len != s->last.text_len;
    if (v->type == TG_VALUE_BOOL)
        return s->last.type != TG_VALUE_BOOL || v->as.boolean != s->last.as.boolean;
    if (!tg_value_number(v, &now) || !tg_value_number(&s->last, &last))
        return v->type != s->last.type;
    return fabs(now - last) > (o->deadband_is_percent ? fabs(last) * o->deadband / 100.0 : o->deadband);
}

enum tg_filter_verdict tg_filter_apply(const struct tg_filter_options *o, struct tg_filter_state *s,
                                       int64_t now_ms, struct tg_point_value *v)
{
    int64_t since = now_ms - s->sent_ms;
    bool send, due, too_soon;
    scale_and_check(o, v);
    if (o->words)
        name_number(o, v);
    due = o->max_interval_ms > 0 && since >= o->max_interval_ms;
    too_soon = o->min_interval_ms > 0 && since < o->min_interval_ms;
    if (!s->has_last || v->quality != s->last_quality || due)
        send = true;
    else if (v->quality != TG_QUALITY_GOOD)
        return TG_FILTER_ACCOMPANY;
    else
        send = !too_soon && (o->deadband < 0 || differs(o, s, &v->value));
    if (send) {
        s->has_last = true;
        s->sent_ms = now_ms;
        s->last_quality = v->quality;
        s->last = v->value;
        if (v->value.type == TG_VALUE_TEXT) {
            s->last_text_hash = text_hash(&v->value);
            s->last.as.text = NULL;
        }
    }
    return send ? TG_FILTER_SEND : TG_FILTER_HOLD;
}

/* A text of the enumeration becomes its number; a number must be one of its. */
static int number_of_word(const struct tg_filter_options *o, struct tg_value *v)
{
    for (uint32_t i = 0; i < o->word_count; i++) {
        const struct tg_filter_word *w = &o->words[i];
        double x;
        bool same = v->type == TG_VALUE_TEXT
                        ? strlen(w->text) == v->text_len && memcmp(w->text, v->as.text, v->text_len) == 0
                    : v->type == TG_VALUE_BOOL ? w->number == (v->as.boolean ? 1 : 0)
                                               : tg_value_number(v, &x) && (double)w->number == x;
        if (same) {
            *v = tg_value_int(w->number);
            return TG_OK;
        }
    }
    return TG_ENOTFOUND;
}

int tg_filter_unscale(const struct tg_filter_options *o, struct tg_value *v)
{
    const bool scaled = o->scale != 1.0 || o->offset != 0.0;
    double x;
    if (o->words)
        return number_of_word(o, v);
    if (v->type == TG_VALUE_REAL && !isfinite(v->as.real))
        return TG_ERANGE;
    if (v->type == TG_VALUE_BOOL && !scaled)
        x = v->as.boolean ? 1.0 : 0.0;
    else if (!tg_value_number(v, &x)) /* a text that looks like a number must not pass the range by */
        return scaled || isfinite(o->min) || isfinite(o->max) ? TG_EINVAL : TG_OK;
    if (x < o->min || x > o->max)
        return TG_ERANGE;
    if (scaled) { /* 0.3 / 0.1 is 2.9999999999999996 */
        x = (x - o->offset) / o->scale;
        if (fabs(x - nearbyint(x)) <= 1e-12 * fabs(x))
            x = nearbyint(x);
        *v = tg_value_real(x);
    }
    return TG_OK;
}

int tg_filter_parse_deadband(const char *text, double *ret_deadband, bool *ret_percent)
{
    char *end;
    double d;
    if (!text || !*text) {
        *ret_deadband = -1;
        *ret_percent = false;
        return TG_OK;
    }
    d = strtod(text, &end);
    if (end == text || !isfinite(d) || d < 0 || (*end && strcmp(end, "%") != 0))
        return TG_EINVAL;
    *ret_deadband = d;
    *ret_percent = *end == '%';
    return TG_OK;
}

int tg_filter_parse_word(const char *item, struct tg_filter_word *ret_word)
{
    const char *equals = strchr(item, '=');
    char *end;
    long long number;
    if (!equals || equals == item || !equals[1] || strlen(equals + 1) > TG_TEXT_MAX_BYTES)
        return TG_EINVAL;
    errno = 0;
    number = strtoll(item, &end, 10);
    if (errno || end != equals || !strchr("-0123456789", item[0]))
        return TG_EINVAL;
    *ret_word = (struct tg_filter_word){number, equals + 1};
    return TG_OK;
}
