/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "core/gateway/twin_options.h"

#include <stdio.h>
#include <string.h>

#include "core/base/allocator.h"

static const char *const settable[] = {"every", "deadband", "min_interval", "max_interval"};

static bool is_settable(const char *name)
{
    for (size_t i = 0; i < sizeof settable / sizeof settable[0]; i++)
        if (strcmp(settable[i], name) == 0)
            return true;
    return false;
}

/* One option, read as the configuration would read it. */
static int put_option(struct tg_settings *s, const char *point, const char *name, const json_t *value,
                      struct tg_error *err)
{
    char number[32], quoted[TG_QUOTE_BYTES];
    const char *text = json_string_value(value);
    int rc;
    if (!is_settable(name))
        return tg_error_set(err, TG_EINVAL,
                            "point %s: %s cannot be set from a cloud; every, deadband, min_interval and "
                            "max_interval can",
                            point, tg_quote(quoted, name, strlen(name)));
    if (json_is_number(value)) {
        snprintf(number, sizeof number, "%.10g", json_number_value(value));
        text = number;
    }
    if (!text)
        return tg_error_set(err, TG_EINVAL, "point %s: %s must be a text, such as \"5s\"", point, name);
    rc = tg_settings_set(s, name, text, NULL, (struct tg_settings_position){0}, err);
    if (rc < 0)
        tg_error_wrap(err, "point %s: %s", point, name);
    return rc;
}

static int read_point(struct tg_settings *s, const char *point, const json_t *options, struct tg_error *err)
{
    const char *name;
    json_t *value;
    int rc = TG_OK;
    if (!json_is_object(options))
        return tg_error_set(err, TG_EINVAL, "point %s: its options must be an object", point);
    json_object_foreach((json_t *)(uintptr_t)options, name, value)
    {
        rc = put_option(s, point, name, value, err);
        if (rc < 0)
            return rc;
    }
    return rc;
}

static int check_names(const struct tg_router_device *d, const json_t *options, struct tg_error *err)
{
    char quoted[TG_QUOTE_BYTES];
    const char *name;
    json_t *value;
    if (options && !json_is_object(options))
        return tg_error_set(err, TG_EINVAL, "options must be an object: {\"point\": {\"every\": \"5s\"}}");
    json_object_foreach((json_t *)(uintptr_t)options, name, value)
    {
        uint32_t i = 0;
        (void)value;
        while (i < d->config->point_count && strcmp(d->config->points[i].name, name) != 0)
            i++;
        if (i == d->config->point_count)
            return tg_error_set(err, TG_EINVAL, "the device has no point %s",
                                tg_quote(quoted, name, strlen(name)));
    }
    return TG_OK;
}

int tg_twin_apply_options(struct tg_router *router, const char *device, const json_t *options,
                          struct tg_error *err)
{
    struct tg_router_device *d = tg_router_device(router, device);
    struct tg_settings **read;
    uint32_t count = d ? d->config->point_count : 0;
    int rc = d ? check_names(d, options, err)
               : tg_error_set(err, TG_ENOTFOUND, "device %s is not running", device);
    if (rc < 0)
        return rc;
    read = tg_calloc(count ? count : 1, sizeof(struct tg_settings *));
    if (!read)
        return tg_error_set(err, TG_ENOMEM, "out of memory for the options of device %s", device);
    for (uint32_t i = 0; i < count && rc == TG_OK; i++) {
        const json_t *given = json_object_get(options, d->config->points[i].name);
        if (!given)
            continue;
        read[i] = tg_settings_new(tg_config_point_options);
        rc = read[i] ? read_point(read[i], d->config->points[i].name, given, err)
                     : tg_error_set(err, TG_ENOMEM, "out of memory for the options of device %s", device);
        if (rc == TG_OK)
            rc = tg_router_check_options(d, i, read[i], err);
    }
    for (uint32_t i = 0; i < count && rc == TG_OK; i++)
        tg_router_use_options(d, i, read[i]);
    for (uint32_t i = 0; i < count; i++)
        tg_settings_free(read[i]);
    tg_free(read);
    return rc;
}
