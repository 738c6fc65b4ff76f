/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * The points of a device: their filters, enumerations and derivations, from the configuration and from what a cloud has set.
 */
#include <math.h>
#include <string.h>

#include "core/base/allocator.h"
#include "core/base/assert.h"
#include "core/gateway/router_private.h"

static double real_or(const struct tg_settings *s, const char *name, double otherwise)
{
    return tg_settings_has(s, name) ? tg_settings_real(s, name) : otherwise;
}

static int64_t int_or_zero(const struct tg_settings *s, const char *name)
{
    return tg_settings_has(s, name) ? tg_settings_int(s, name) : 0;
}

static int build_filter(const struct tg_config_point *p, struct tg_filter_options *o, struct tg_error *err)
{
    const struct tg_settings *c = p->common;
    const char *deadband = tg_settings_has(c, "deadband") ? tg_settings_text(c, "deadband") : NULL;
    *o = (struct tg_filter_options){.scale = real_or(c, "scale", 1.0),
                                    .offset = real_or(c, "offset", 0.0),
                                    .min = real_or(c, "min", -INFINITY),
                                    .max = real_or(c, "max", INFINITY),
                                    .min_interval_ms = int_or_zero(c, "min_interval"),
                                    .max_interval_ms = int_or_zero(c, "max_interval")};
    if (tg_filter_parse_deadband(deadband, &o->deadband, &o->deadband_is_percent) < 0)
        return tg_error_set(err, TG_EINVAL, "point %s: deadband \"%s\" is neither a number nor a percentage",
                            p->name, deadband);
    return TG_OK;
}

static int build_words(const struct tg_config_point *c, struct tg_router_point *p, struct tg_error *err)
{
    const char *const *items;
    uint32_t n = tg_settings_has(c->common, "enum") ? tg_settings_list(c->common, "enum", &items) : 0;
    if (n == 0)
        return TG_OK;
    p->words = tg_calloc(n, sizeof *p->words);
    if (!p->words)
        return tg_error_set(err, TG_ENOMEM, "point %s: out of memory", c->name);
    for (uint32_t i = 0; i < n; i++) {
        int rc = tg_filter_parse_word(items[i], &p->words[i]);
        TG_ASSERT(rc == TG_OK); /* the configuration was checked */
    }
    p->options.words = p->words;
    p->options.word_count = n;
    return TG_OK;
}

static uint32_t point_named(const struct tg_config_device *d, const char *name)
{
    uint32_t i = 0;
    while (i < d->point_count && strcmp(d->points[i].name, name) != 0)
        i++;
    TG_ASSERT(i < d->point_count); /* the configuration was checked */
    return i;
}

static void build_derived(const struct tg_config_device *d, const struct tg_config_point *p,
                          struct tg_derive *ret_rule)
{
    const struct tg_settings *s = p->common;
    struct tg_derive rule = {.kind = TG_DERIVE_RATE,
                             .input_count = 1,
                             .per_ms = tg_settings_int(s, "per"),
                             .counter = tg_settings_int(s, "counter") != 0};
    const char *const *names;
    if (tg_settings_has(s, "rate")) {
        rule.inputs[0] = point_named(d, tg_settings_text(s, "rate"));
    } else {
        rule.kind = tg_settings_has(s, "sum") ? TG_DERIVE_SUM : TG_DERIVE_DIFFERENCE;
        rule.input_count = tg_settings_list(s, rule.kind == TG_DERIVE_SUM ? "sum" : "difference", &names);
        TG_ASSERT(rule.input_count <= TG_DERIVE_MAX_INPUTS);
        for (uint32_t i = 0; i < rule.input_count; i++)
            rule.inputs[i] = point_named(d, names[i]);
    }
    *ret_rule = rule;
}

int tg_router_build_points(struct tg_router_device *d, struct tg_error *err)
{
    const struct tg_config_device *c = d->config;
    const uint32_t first = c->point_count - c->derived_count;
    d->points = tg_calloc(c->point_count, sizeof *d->points);
    d->derived = tg_calloc(c->derived_count, sizeof *d->derived);
    if (!d->points || !d->derived)
        return tg_error_set(err, TG_ENOMEM, "device %s: out of memory", c->id);
    for (uint32_t i = 0; i < c->point_count; i++) {
        int rc = build_filter(&c->points[i], &d->points[i].options, err);
        if (rc == TG_OK)
            rc = build_words(&c->points[i], &d->points[i], err);
        if (rc < 0)
            return rc;
        d->points[i].every_ms = int_or_zero(c->points[i].common, "every");
        d->points[i].urgent = int_or_zero(c->points[i].common, "priority") != 0;
    }
    for (uint32_t i = 0; i < c->derived_count; i++)
        build_derived(c, &c->points[first + i], &d->derived[i].rule);
    return TG_OK;
}

void tg_router_free_points(struct tg_router_device *d)
{
    for (uint32_t i = 0; d->points && i < d->config->point_count; i++)
        tg_free(d->points[i].words);
    tg_free(d->points);
    tg_free(d->derived);
}

/* What counts for a point: the cloud's options where it gave some, else the file's. */
static int merge_options(const struct tg_router_device *d, uint32_t point, const struct tg_settings *given,
                         struct tg_filter_options *o, struct tg_error *err)
{
    int rc = build_filter(&d->config->points[point], o, err);
    if (rc < 0 || !given)
        return rc;
    if (tg_settings_has(given, "min_interval"))
        o->min_interval_ms = tg_settings_int(given, "min_interval");
    if (tg_settings_has(given, "max_interval"))
        o->max_interval_ms = tg_settings_int(given, "max_interval");
    if (tg_settings_has(given, "deadband") &&
        tg_filter_parse_deadband(tg_settings_text(given, "deadband"), &o->deadband, &o->deadband_is_percent) <
            0)
        return tg_error_set(err, TG_EINVAL,
                            "point %s: deadband \"%.32s\" is neither a number nor a percentage",
                            d->config->points[point].name, tg_settings_text(given, "deadband"));
    return TG_OK;
}

int tg_router_check_options(const struct tg_router_device *d, uint32_t point, const struct tg_settings *given,
                            struct tg_error *err)
{
    struct tg_filter_options o;
    if (given && d->config->points[point].derived && tg_settings_has(given, "every"))
        return tg_error_set(err, TG_EINVAL, "point %s is derived from others: it has no \"every\"",
                            d->config->points[point].name);
    return merge_options(d, point, given, &o, err);
}

void tg_router_use_options(struct tg_router_device *d, uint32_t point, const struct tg_settings *given)
{
    const struct tg_settings *file = d->config->points[point].common;
    struct tg_filter_options o;
    struct tg_error err = {0};
    int64_t every_ms = d->points[point].every_ms;
    int rc = merge_options(d, point, given, &o, &err);
    TG_ASSERT(rc == TG_OK); /* they were checked */
    o.words = d->points[point].options.words;
    o.word_count = d->points[point].options.word_count;
    d->points[point].options = o;
    d->points[point].every_ms = given && tg_settings_has(given, "every") ? tg_settings_int(given, "every")
                                                                         : int_or_zero(file, "every");
    if (d->source && d->points[point].every_ms != every_ms)
        tg_source_host_set_interval(d->source, d->index, point, d->points[point].every_ms);
}

void tg_router_attach_source(struct tg_router_device *d, struct tg_source_host *source)
{
    d->source = source;
    for (uint32_t i = 0; source && i < d->config->point_count; i++)
        if (d->points[i].every_ms != int_or_zero(d->config->points[i].common, "every"))
            tg_source_host_set_interval(source, d->index, i, d->points[i].every_ms);
}
