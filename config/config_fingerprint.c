/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "config/config_fingerprint.h"

#define FNV_OFFSET 14695981039346656037u

/* FNV-1a over a stream of fields, each ended by its length, so that neighbours cannot be mistaken for each other. */
static void mix(uint64_t *h, const void *data, size_t len)
{
    const uint8_t *p = data;
    for (size_t i = 0; i < len; i++)
        *h = (*h ^ p[i]) * 1099511628211u;
    for (size_t n = len + 1; n > 0; n >>= 8)
        *h = (*h ^ (n & 0xFF)) * 1099511628211u;
}

static void mix_text(uint64_t *h, const char *s)
{
    mix(h, s ? s : "", s ? strlen(s) : 0);
    mix(h, s ? "+" : "-", 1);
}

static void mix_count(uint64_t *h, uint32_t n)
{
    mix(h, &n, sizeof n);
}

static void mix_settings(uint64_t *h, const struct tg_settings *s)
{
    const struct tg_option *o = s ? tg_settings_table(s) : NULL;
    for (; o && o->name; o++) {
        const char *const *items;
        uint32_t count;
        int64_t i;
        double d;
        mix_text(h, o->name);
        mix(h, tg_settings_has(s, o->name) ? "+" : "-", 1);
        if (!tg_settings_has(s, o->name))
            continue;
        switch (o->type) {
        case TG_OPTION_REAL:
            d = tg_settings_real(s, o->name);
            mix(h, &d, sizeof d);
            break;
        case TG_OPTION_TEXT:
        case TG_OPTION_PATH:
        case TG_OPTION_SECRET_FILE:
            mix_text(h, tg_settings_text(s, o->name));
            break;
        case TG_OPTION_TEXT_LIST:
            count = tg_settings_list(s, o->name, &items);
            mix_count(h, count);
            for (uint32_t k = 0; k < count; k++)
                mix_text(h, items[k]);
            break;
        default:
            i = tg_settings_int(s, o->name);
            mix(h, &i, sizeof i);
            break;
        }
    }
}

static void mix_identity(uint64_t *h, const struct tg_config_identity *i)
{
    const char *texts[] = {i->sas_key_file,  i->certificate,    i->key,     i->pkcs12,
                           i->password_file, i->group_key_file, i->jwt_key, i->username};
    for (size_t k = 0; k < sizeof texts / sizeof texts[0]; k++)
        mix_text(h, texts[k]);
    mix(h, &i->kind, sizeof i->kind);
}

static void mix_cloud(uint64_t *h, const struct tg_config_cloud *c)
{
    mix_text(h, c->name);
    mix_text(h, c->type);
    mix_settings(h, c->common);
    mix(h, &c->drain, sizeof c->drain);
    mix_settings(h, c->batch);
    mix_settings(h, c->settings);
    mix(h, c->provisioning ? "+" : "-", 1);
    if (c->provisioning)
        mix_settings(h, c->provisioning);
    mix_identity(h, &c->identity); /* also of a link that its devices share */
    mix_identity(h, &c->provisioning_identity);
}

static void mix_route(uint64_t *h, const struct tg_config_route *r)
{
    mix_text(h, r->cloud_device_id);
    mix_identity(h, &r->identity);
    mix_cloud(h, r->cloud);
}

uint64_t tg_config_cloud_fingerprint(const struct tg_config_cloud *cloud)
{
    uint64_t h = FNV_OFFSET;
    mix_cloud(&h, cloud);
    return h;
}

static void mix_device(uint64_t *h, const struct tg_config_device *device)
{
    mix_text(h, device->id);
    mix_settings(h, device->settings);
    mix_count(h, device->route_count);
    mix_count(h, device->point_count);
    for (uint32_t i = 0; i < device->route_count; i++)
        mix_route(h, &device->routes[i]);
    for (uint32_t p = 0; p < device->point_count; p++) {
        mix_text(h, device->points[p].name);
        mix_text(h, device->points[p].unit);
        mix_settings(h, device->points[p].common);
        mix_settings(h, device->points[p].settings);
    }
}

uint64_t tg_config_device_fingerprint(const struct tg_config_device *device)
{
    uint64_t h = FNV_OFFSET;
    mix_device(&h, device);
    return h;
}

uint64_t tg_config_fingerprint(const struct tg_config_source *source)
{
    uint64_t h = FNV_OFFSET;
    mix_text(&h, source->name);
    mix_text(&h, source->plugin_name);
    mix_settings(&h, source->common);
    mix_settings(&h, source->settings);
    mix(&h, source->discover ? "+" : "-", 1);
    if (source->discover)
        mix_settings(&h, source->discover->settings);
    mix_count(&h, source->device_count);
    for (uint32_t d = 0; d < source->device_count; d++)
        mix_device(&h, &source->devices[d]);
    return h;
}
