/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "plugins/at/at_write.h"

#include <locale.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "plugins/at/at_options.h"
#include "plugins/at/at_points.h"

static bool once(const char *text, const char *place)
{
    const char *at = strstr(text, place);
    return at && !strstr(at + 1, place);
}

static bool has_data(const struct tg_at_write *w)
{
    return w->prompt || w->block;
}

static const char *data_of(const struct tg_at_write *w)
{
    return w->data ? w->data : TG_AT_VALUE_PLACE;
}

static const char *data_fault(const struct tg_at_write *w, const char **ret_option)
{
    if (strstr(w->text, TG_AT_VALUE_PLACE))
        return "the value is in the data, so the command has no {value}";
    *ret_option = "data";
    if (!once(data_of(w), TG_AT_VALUE_PLACE))
        return "the data have {value} exactly once: it says where the value goes";
    if (w->hex && strcmp(data_of(w), TG_AT_VALUE_PLACE) != 0)
        return "data of `data_format: hex` are {value} alone";
    *ret_option = "data_end";
    if (!w->block && w->end == TG_AT_END_NONE && !strstr(w->text, TG_AT_LENGTH_PLACE))
        return "data without an end need {length} in the command: the device has to know how many bytes come";
    *ret_option = "write_block";
    if (w->block && w->prompt)
        return "a block follows the command directly: there is no `prompt`";
    return NULL;
}

const char *tg_at_write_fault(const struct tg_at_write *w, const char **ret_option)
{
    const char *length = strstr(w->text, TG_AT_LENGTH_PLACE);
    *ret_option = "write";
    if (tg_at_command_fault(w->text))
        return "the command is too long or holds a control character";
    if (length && strstr(length + 1, TG_AT_LENGTH_PLACE))
        return "the command has {length} more than once";
    if (has_data(w))
        return data_fault(w, ret_option);
    if (length)
        return "{length} is that of data, which need `prompt`";
    if (!strstr(w->text, TG_AT_VALUE_PLACE))
        return "the command has no {value}: it says where the value goes";
    if (!once(w->text, TG_AT_VALUE_PLACE))
        return "the command has {value} more than once";
    return NULL;
}

static int refuse(char *error, size_t error_size, const char *why)
{
    snprintf(error, error_size, "%s", why);
    return TG_PLUGIN_EINVAL;
}

/* The place is inside a string when an odd number of quotes precedes it. */
static bool inside_quotes(const char *text, const char *place)
{
    bool inside = false;
    for (; text < place; text++)
        inside ^= *text == '"';
    return inside;
}

static const char *control_fault(const char *value, size_t len)
{
    for (size_t i = 0; i < len; i++) {
        if ((unsigned char)value[i] < 0x20 || value[i] == 0x7F)
            return "the value holds a control character";
    }
    return NULL;
}

static const char *text_fault(const char *value, size_t len, bool quoted)
{
    for (size_t i = 0; i < len; i++) {
        if (value[i] == '"' || value[i] == '\\')
            return "the value holds a quote or backslash";
        if (!quoted && (value[i] == ',' || value[i] == ';'))
            return "the value holds a comma or semicolon and the template has no quotes around {value}";
    }
    return control_fault(value, len);
}

/* The shortest text that reads back as the same number, with a point whatever the locale is. */
static void format_real(double v, char *ret_text, size_t size)
{
    for (int digits = 15; digits <= 17; digits++) {
        snprintf(ret_text, size, "%.*g", digits, v);
        if (strtod(ret_text, NULL) == v)
            break;
    }
    if (localeconv()->decimal_point[0] != '.' && strchr(ret_text, localeconv()->decimal_point[0]))
        *strchr(ret_text, localeconv()->decimal_point[0]) = '.';
}

/* The value as text; false when it is none that can be written. */
static bool as_text(const struct tg_value *v, char *buf, size_t size, const char **ret_text, size_t *ret_len)
{
    *ret_text = buf;
    switch (v->type) {
    case TG_VALUE_BOOL:
        snprintf(buf, size, "%d", v->as.boolean ? 1 : 0);
        break;
    case TG_VALUE_INT:
        snprintf(buf, size, "%lld", (long long)v->as.integer);
        break;
    case TG_VALUE_UINT:
        snprintf(buf, size, "%llu", (unsigned long long)v->as.uinteger);
        break;
    case TG_VALUE_REAL:
        if (!isfinite(v->as.real))
            return false;
        format_real(v->as.real, buf, size);
        break;
    case TG_VALUE_TEXT:
        *ret_text = v->as.text;
        *ret_len = v->text_len;
        return true;
    default:
        return false;
    }
    *ret_len = strlen(buf);
    return true;
}

/* NULL, or what the point's type takes. */
static const char *type_fault(const struct tg_at_write *w, const struct tg_value *v)
{
    const bool number = v->type == TG_VALUE_INT || v->type == TG_VALUE_UINT ||
                        (v->type == TG_VALUE_REAL && isfinite(v->as.real));
    const double x = v->type == TG_VALUE_INT    ? (double)v->as.integer
                     : v->type == TG_VALUE_UINT ? (double)v->as.uinteger
                     : number                   ? v->as.real
                                                : 0;
    if (w->allow_count > 0)
        return NULL; /* it says what may be written */
    if (w->type == TG_AT_BOOL && v->type != TG_VALUE_BOOL && (!number || (x != 0 && x != 1)))
        return "a point of type bool takes true, false, 1 or 0";
    if (w->type == TG_AT_REAL && !number)
        return "a point of type real takes a number";
    if (w->type == TG_AT_INT && (!number || x != nearbyint(x)))
        return "a point of type int takes a whole number; a value is not rounded";
    return NULL;
}

static bool allowed(const struct tg_at_write *w, const char *value, size_t len)
{
    for (uint32_t i = 0; i < w->allow_count; i++) {
        if (strlen(w->allow[i]) == len && memcmp(w->allow[i], value, len) == 0)
            return true;
    }
    return w->allow_count == 0;
}

/* `text` with `place` replaced; false when it does not fit. */
static bool fill(const char *text, const char *place, const char *value, size_t len, char *ret, size_t size,
                 size_t *ret_len)
{
    const char *at = strstr(text, place);
    size_t before = (size_t)(at - text), after = strlen(at) - strlen(place);
    if (before + len + after >= size)
        return false;
    memcpy(ret, text, before);
    memcpy(ret + before, value, len);
    memcpy(ret + before + len, at + strlen(place), after + 1);
    *ret_len = before + len + after;
    return true;
}

static int digit(char c)
{
    const char *digits = "0123456789abcdef",
               *at = c ? strchr(digits, c >= 'A' && c <= 'F' ? c | 0x20 : c) : NULL;
    return at ? (int)(at - digits) : -1;
}

/* NULL, or why `value` is no row of bytes that may be sent. */
static const char *unhex(const struct tg_at_write *w, const char *value, size_t len, uint8_t *ret,
                         size_t *ret_len)
{
    bool counted = w->block || w->end == TG_AT_END_NONE;
    if (len % 2 != 0 || len / 2 > TG_AT_WRITE_DATA_MAX_BYTES)
        return "the value is not an even number of hexadecimal digits, at most 2048";
    for (size_t i = 0; i < len; i += 2) {
        int high = digit(value[i]), low = digit(value[i + 1]);
        if (high < 0 || low < 0)
            return "the value holds something else than hexadecimal digits";
        ret[i / 2] = (uint8_t)(high << 4 | low);
        if (!counted && (ret[i / 2] == 0x1A || ret[i / 2] == 0x1B || ret[i / 2] == '\r' ||
                         ret[i / 2] == '\n' || ret[i / 2] == 0))
            return "the bytes hold one that would end or cancel them";
    }
    *ret_len = len / 2;
    return NULL;
}

/* The data with their announcement and end; *ret_count is how many they are without. */
static int format_data(const struct tg_at_write *w, const char *value, size_t len, struct tg_at_written *ret,
                       size_t *ret_count, char *error, size_t error_size)
{
    static const char *const ends[] = {"\x1a", "\r", "\r\n", ""};
    char text[TG_AT_WRITE_DATA_MAX_BYTES + 1];
    uint8_t *body = ret->data + (w->block ? 3 : 0);
    const char *fault;
    if (w->hex) {
        fault = unhex(w, value, len, body, ret_count);
    } else {
        fault = control_fault(value, len);
        if (!fault && !fill(data_of(w), TG_AT_VALUE_PLACE, value, len, text, sizeof text, ret_count))
            fault = "the value is too long";
        if (!fault)
            memcpy(body, text, *ret_count);
    }
    if (fault)
        return refuse(error, error_size, fault);
    ret->data_len = *ret_count;
    if (w->block) {
        ret->data[0] = 1;
        ret->data[1] = (uint8_t)(*ret_count >> 8);
        ret->data[2] = (uint8_t)*ret_count;
        ret->data_len += 3;
    } else {
        memcpy(body + *ret_count, ends[w->end], strlen(ends[w->end]));
        ret->data_len += strlen(ends[w->end]);
    }
    return TG_PLUGIN_OK;
}

int tg_at_write_format(const struct tg_at_write *w, const struct tg_value *value, struct tg_at_written *ret,
                       char *error, size_t error_size)
{
    const char *place = strstr(w->text, TG_AT_VALUE_PLACE), *text, *fault;
    size_t len = 0, count = 0;
    char buf[40];
    int rc;
    ret->data_len = 0;
    fault = type_fault(w, value);
    if (fault)
        return refuse(error, error_size, fault);
    if (!as_text(value, buf, sizeof buf, &text, &len))
        return refuse(error, error_size, "the value is no finite number, text or boolean");
    if (!allowed(w, text, len))
        return refuse(error, error_size, "the value is not among those that `allow` lists");
    if (!has_data(w)) {
        fault = text_fault(text, len, inside_quotes(w->text, place));
        if (fault)
            return refuse(error, error_size, fault);
        if (!fill(w->text, TG_AT_VALUE_PLACE, text, len, ret->text, sizeof ret->text, &count))
            return refuse(error, error_size, "the value is too long");
        return TG_PLUGIN_OK;
    }
    rc = format_data(w, text, len, ret, &count, error, error_size);
    if (rc < 0)
        return rc;
    snprintf(buf, sizeof buf, "%zu", count);
    if (!strstr(w->text, TG_AT_LENGTH_PLACE))
        snprintf(ret->text, sizeof ret->text, "%s", w->text);
    else if (!fill(w->text, TG_AT_LENGTH_PLACE, buf, strlen(buf), ret->text, sizeof ret->text, &count))
        return refuse(error, error_size, "the command is too long");
    return TG_PLUGIN_OK;
}
