/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * What a plugin's description is asked without its instance: values on their way to a point, before anything is written, and how an
 * instance is to be run. The description that the gateway has loaded does it, wherever the instance runs.
 */
#include <stdio.h>

#include "core/base/assert.h"
#include "southbound/plugin_host_private.h"

int tg_source_host_check_value(const struct tg_source_host *h, uint32_t device, uint32_t point,
                               const struct tg_value *value, char *error, size_t error_size)
{
    const struct tg_config_source *c = h->source->config;
    const struct tg_config_device *d;
    struct tg_point p = {.writable = true};
    int rc;
    TG_ASSERT(device < c->device_count);
    d = &c->devices[device];
    TG_ASSERT(point < d->point_count - d->derived_count); /* derived ones are not writable */
    if (!c->plugin->write) {
        snprintf(error, error_size, "plugin %s cannot write points", c->plugin->name);
        return TG_PLUGIN_EUNSUPPORTED;
    }
    if (!c->plugin->check_value)
        return TG_PLUGIN_OK;
    p.name = d->points[point].name;
    p.settings = d->points[point].settings;
    if (error_size > 0)
        error[0] = '\0';
    rc = c->plugin->check_value(tg_source_check_host(), d->settings, &p, value, error, error_size);
    if (rc < 0 && error_size > 0 && error[0] == '\0')
        snprintf(error, error_size, "plugin %s does not take this value", c->plugin->name);
    return rc < 0 ? rc : TG_PLUGIN_OK;
}

uint32_t tg_source_thread_model(const struct tg_config_source *config)
{
    const struct tg_plugin *p = config->plugin;
    const uint32_t model =
        p->thread_model_of ? p->thread_model_of(tg_source_check_host(), config->settings) : p->thread_model;
    return model == TG_THREAD_OWN || model == TG_THREAD_LOOP ? model : p->thread_model;
}
