/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * config_model - how a model dies. Texts and arrays are the arena's; only settings have memory of their own.
 */
#include "config/config_private.h"
#include "core/base/allocator.h"

static void free_settings(const struct tg_settings *s)
{
    /* The model shows its settings as immutable, but it owns them. */
    tg_settings_free((struct tg_settings *)(uintptr_t)s);
}

static void free_device(const struct tg_config_device *d)
{
    free_settings(d->settings);
    for (uint32_t p = 0; p < d->point_count; p++) {
        free_settings(d->points[p].common);
        free_settings(d->points[p].settings);
    }
}

void tg_config_device_fini(struct tg_config_device *d)
{
    free_device(d);
    *d = (struct tg_config_device){0};
}

void tg_config_free(struct tg_config *config)
{
    struct tg_config_model *m = (struct tg_config_model *)config;
    if (!m)
        return;
    free_settings(config->gateway);
    free_settings(config->log);
    free_settings(config->outbox);
    for (uint32_t i = 0; i < config->cloud_count; i++) {
        free_settings(config->clouds[i].common);
        free_settings(config->clouds[i].batch);
        free_settings(config->clouds[i].settings);
        free_settings(config->clouds[i].provisioning);
    }
    for (uint32_t i = 0; i < config->source_count; i++) {
        const struct tg_config_source *s = &config->sources[i];
        free_settings(s->common);
        free_settings(s->settings);
        for (uint32_t d = 0; d < s->device_count; d++)
            free_device(&s->devices[d]);
        if (s->discover)
            free_settings(s->discover->settings);
    }
    tg_arena_free(&m->arena);
    tg_free(m);
}
