/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "plugins/at/at_write.h"

#include <locale.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "plugins/at/at_options.h"
#include "plugins/at/at_points.h"
#include "southbound/at_chat.h"

const char *tg_at_write_fault(const char *text)
{
    const char *place = strstr(text, TG_AT_VALUE_PLACE);
    if (!place)
        return "the command has no {value}: it says where the value goes";
    if (strstr(place + 1, TG_AT_VALUE_PLACE))
        return "the command has {value} more than once";
    if (tg_at_command_fault(text))
        return "the command is too long or holds a control character";
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

static const char *text_fault(const char *value, size_t len, bool quoted)
{
    for (size_t i = 0; i < len; i++) {
        unsigned char c = (unsigned char)value[i];
        if (c < 0x20 || c == 0x7F)
            return "the value holds a control character";
        if (c == '"' || c == '\\')
            return "the value holds a quote or backslash";
        if (!quoted && (c == ',' || c == ';'))
            return "the value holds a comma or semicolon and the template has no quotes around {value}";
    }
    return NULL;
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

int tg_at_write_format(const struct tg_at_write *w, const struct tg_value *value, char *ret_command,
                       size_t size, char *error, size_t error_size)
{
    const char *place = strstr(w->text, TG_AT_VALUE_PLACE), *text, *fault;
    size_t before = (size_t)(place - w->text), after = strlen(place) - strlen(TG_AT_VALUE_PLACE), len = 0;
    char buf[40];
    fault = type_fault(w, value);
    if (fault)
        return refuse(error, error_size, fault);
    if (!as_text(value, buf, sizeof buf, &text, &len))
        return refuse(error, error_size, "the value is no finite number, text or boolean");
    fault = text_fault(text, len, inside_quotes(w->text, place));
    if (fault)
        return refuse(error, error_size, fault);
    if (!allowed(w, text, len))
        return refuse(error, error_size, "the value is not among those that `allow` lists");
    if (before + len + after >= size)
        return refuse(error, error_size, "the value is too long");
    memcpy(ret_command, w->text, before);
    memcpy(ret_command + before, text, len);
    memcpy(ret_command + before + len, place + strlen(TG_AT_VALUE_PLACE), after + 1);
    return TG_PLUGIN_OK;
}

void tg_at_write_from_settings(const struct tg_host *host, const struct tg_settings *point,
                               struct tg_at_write *ret)
{
    *ret = (struct tg_at_write){.text = host->get_text(point, "write"), .type = host->get_int(point, "type")};
    ret->allow_count = host->get_list(point, "allow", &ret->allow);
}

int tg_at_check_value(const struct tg_host *host, const struct tg_settings *device,
                      const struct tg_point *point, const struct tg_value *value, char *error,
                      size_t error_size)
{
    struct tg_at_write w;
    char command[TG_AT_COMMAND_MAX_BYTES + 1];
    (void)device;
    if (!host->has(point->settings, "write")) {
        snprintf(error, error_size, "the point has no `write`");
        return TG_PLUGIN_EUNSUPPORTED;
    }
    tg_at_write_from_settings(host, point->settings, &w);
    return tg_at_write_format(&w, value, command, sizeof command, error, error_size);
}
