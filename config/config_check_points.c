/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * config_check_points - rules of a device's points, by themselves and among each other (those that are derived).
 */
#include <stdio.h>
#include <string.h>

#include "config/config_private.h"
#include "core/base/assert.h"
#include "core/base/sample.h"
#include "core/points/derive.h"
#include "core/points/filter.h"

static void check_deadband(struct tg_config_load *l, const struct tg_config_point *p)
{
    const char *text = tg_settings_text(p->common, "deadband");
    char number[40], quoted[TG_QUOTE_BYTES];
    double v = 0;
    size_t n;
    if (!text)
        return;
    n = strlen(text);
    if (n > 0 && text[n - 1] == '%')
        n--;
    snprintf(number, sizeof number, "%.*s", (int)n, text);
    if (tg_parse_real(number, &v, NULL) < 0 || v < 0)
        tg_config_error(
            l, tg_config_option_pos(p->pos, p->common, "deadband"),
            "deadband: %s is neither a number in the point's unit, such as 0.5, nor a percentage such as 2%%",
            tg_quote(quoted, text, strlen(text)));
}

/* In the file, not by default. */
static bool given(const struct tg_config_point *p, const char *name)
{
    return tg_settings_position(p->common, name).line > 0;
}

static void check_point(struct tg_config_load *l, const struct tg_config_point *p)
{
    static const char *const of_rate[] = {"per", "counter"};
    const struct tg_settings *s = p->common;
    check_deadband(l, p);
    /* scale 0 would make every value the offset and no write possible */
    if (tg_settings_has(s, "scale") &&
        !(tg_settings_real(s, "scale") < 0 || tg_settings_real(s, "scale") > 0))
        tg_config_error(l, tg_config_option_pos(p->pos, s, "scale"),
                        "scale: 0 would make every value the same");
    if (tg_settings_has(s, "min") && tg_settings_has(s, "max") &&
        tg_settings_real(s, "min") > tg_settings_real(s, "max"))
        tg_config_error(l, tg_config_option_pos(p->pos, s, "min"), "min is larger than max");
    if (tg_settings_has(s, "max_interval") && tg_settings_int(s, "max_interval") != 0 &&
        tg_settings_int(s, "min_interval") > tg_settings_int(s, "max_interval"))
        tg_config_error(l, tg_config_option_pos(p->pos, s, "min_interval"),
                        "min_interval is longer than max_interval");
    for (size_t i = 0; i < sizeof of_rate / sizeof of_rate[0]; i++)
        if (given(p, of_rate[i]) &&
            (!p->derived || tg_settings_has(s, "sum") || tg_settings_has(s, "difference")))
            tg_config_error(l, tg_config_option_pos(p->pos, s, of_rate[i]),
                            "%s: belongs to a point with \"rate\", which this one is not", of_rate[i]);
}

/* --- enumerations --- */

static void check_words(struct tg_config_load *l, const struct tg_config_point *p)
{
    const char *const *items;
    uint32_t n = tg_settings_has(p->common, "enum") ? tg_settings_list(p->common, "enum", &items) : 0;
    struct tg_config_pos pos = tg_config_option_pos(p->pos, p->common, "enum");
    struct tg_filter_word words[TG_SETTINGS_MAX_ITEMS];
    char quoted[TG_QUOTE_BYTES];
    if (n == 0 && given(p, "enum"))
        tg_config_error(l, pos, "enum: has no entries; a mapping such as {0: stopped, 1: running}");
    for (uint32_t i = 0; i < n; i++) {
        if (tg_filter_parse_word(items[i], &words[i]) < 0) {
            tg_config_error(l, pos, "enum: %s is no pair of a whole number and its text, such as 1: running",
                            tg_quote(quoted, items[i], strlen(items[i])));
            return;
        }
        for (uint32_t k = 0; k < i; k++)
            if (words[k].number == words[i].number || strcmp(words[k].text, words[i].text) == 0) {
                tg_config_error(l, pos, "enum: %s has the number or the text of an entry before it",
                                tg_quote(quoted, items[i], strlen(items[i])));
                return;
            }
    }
    if (n > 0 && tg_settings_has(p->common, "deadband"))
        tg_config_error(
            l, tg_config_option_pos(p->pos, p->common, "deadband"),
            "deadband: the texts of an enumeration have no distance; they are sent when they change");
}

/* --- derived points --- */

static const char *const kinds[] = {"sum", "difference", "rate"};

static const struct tg_config_point *find(const struct tg_config_device *d, const char *name)
{
    for (uint32_t i = 0; i < d->point_count; i++)
        if (d->points[i].name && strcmp(d->points[i].name, name) == 0)
            return &d->points[i];
    return NULL;
}

static void check_input(struct tg_config_load *l, const struct tg_config_device *d, struct tg_config_pos pos,
                        const char *kind, const char *name)
{
    const struct tg_config_point *input = find(d, name);
    const char *names[64], *near;
    char quoted[TG_QUOTE_BYTES];
    size_t n = 0;
    tg_quote(quoted, name, strlen(name));
    if (input && input->derived)
        tg_config_error(l, pos, "%s: %s is derived itself; only points that are read can be derived from",
                        kind, quoted);
    else if (input && tg_settings_has(input->common, "enum"))
        tg_config_error(l, pos, "%s: %s is an enumeration: its values are texts", kind, quoted);
    if (input)
        return;
    for (uint32_t i = 0; i < d->point_count && n < sizeof names / sizeof names[0]; i++)
        if (d->points[i].name && !d->points[i].derived)
            names[n++] = d->points[i].name;
    near = tg_nearest_word(name, names, n);
    if (near)
        tg_config_error(l, pos, "%s: the device has no point %s: did you mean \"%s\"?", kind, quoted, near);
    else
        tg_config_error(l, pos, "%s: the device has no point %s", kind, quoted);
}

static void check_derived(struct tg_config_load *l, const struct tg_config_device *d,
                          const struct tg_config_point *p)
{
    const struct tg_settings *s = p->common;
    const char *kind = NULL;
    const char *const *inputs;
    uint32_t n;
    for (size_t k = 0; k < sizeof kinds / sizeof kinds[0]; k++) {
        if (!tg_settings_has(s, kinds[k]))
            continue;
        if (kind) {
            tg_config_error(l, tg_config_option_pos(p->pos, s, kinds[k]),
                            "%s: the point has \"%s\" already; it is one or the other", kinds[k], kind);
            return;
        }
        kind = kinds[k];
    }
    TG_ASSERT(kind); /* the caller has seen one */
    if (tg_settings_has(s, "every") || tg_settings_int(s, "writable"))
        tg_config_error(l, p->pos, "a derived point is neither read nor written: remove \"%s\"",
                        tg_settings_has(s, "every") ? "every" : "writable");
    if (strcmp(kind, "rate") == 0) {
        check_input(l, d, tg_config_option_pos(p->pos, s, kind), kind, tg_settings_text(s, kind));
        return;
    }
    n = tg_settings_list(s, kind, &inputs);
    if (n < 2 || n > TG_DERIVE_MAX_INPUTS)
        tg_config_error(l, tg_config_option_pos(p->pos, s, kind), "%s: takes 2 to %d points, not %u", kind,
                        TG_DERIVE_MAX_INPUTS, n);
    for (uint32_t i = 0; i < n; i++) {
        check_input(l, d, tg_config_option_pos(p->pos, s, kind), kind, inputs[i]);
        for (uint32_t k = 0; k < i; k++)
            if (strcmp(inputs[i], inputs[k]) == 0)
                tg_config_error(l, tg_config_option_pos(p->pos, s, kind), "%s: names %.64s twice", kind,
                                inputs[i]);
    }
}

bool tg_config_map_is_derived(const struct tg_yaml_node *map)
{
    for (size_t k = 0; k < sizeof kinds / sizeof kinds[0]; k++)
        if (tg_yaml_get(map, kinds[k]))
            return true;
    return false;
}

void tg_config_check_points(struct tg_config_load *l, const struct tg_config_device *d)
{
    for (uint32_t i = 0; i < d->point_count; i++) {
        check_point(l, &d->points[i]);
        check_words(l, &d->points[i]);
        /* A kind with a wrong value was reported and is not there. */
        for (size_t k = 0; d->points[i].derived && k < sizeof kinds / sizeof kinds[0]; k++)
            if (tg_settings_has(d->points[i].common, kinds[k])) {
                check_derived(l, d, &d->points[i]);
                break;
            }
    }
    if (d->derived_count > TG_DERIVE_MAX_POINTS)
        tg_config_error(l, d->pos, "%u derived points in one device; at most %d", d->derived_count,
                        TG_DERIVE_MAX_POINTS);
    if (d->derived_count > 0 && d->point_count > TG_SAMPLE_MAX_VALUES)
        tg_config_error(l, d->pos, "a device with derived points has at most %d points in all, this one %u",
                        TG_SAMPLE_MAX_VALUES, d->point_count);
}
