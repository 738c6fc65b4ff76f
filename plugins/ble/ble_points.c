/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "plugins/ble/ble_points.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "plugins/ble/gatt_set.h"

/* FNV-1a, http://www.isthe.com/chongo/tech/comp/fnv/ */
static uint32_t hash_name(const char *name)
{
    uint32_t hash = 2166136261u;
    for (; *name; name++)
        hash = (hash ^ (uint8_t)*name) * 16777619u;
    return hash;
}

static const char *reading_of(const struct tg_host *host, const struct tg_point *point)
{
    const char *reading = host->get_text(point->settings, "reading");
    return reading ? reading : point->name;
}

int ble_points_init(struct ble_points *p, const struct tg_host *host, const struct tg_device *device)
{
    p->items = calloc(device->point_count + 1u, sizeof *p->items);
    p->count = 0;
    if (!p->items)
        return TG_PLUGIN_ENOMEM;
    for (uint32_t i = 0; i < device->point_count; i++) {
        struct ble_point *item = &p->items[p->count];
        if (tg_gatt_is_point(host, device->points[i].settings))
            continue;
        item->reading = reading_of(host, &device->points[i]);
        item->hash = hash_name(item->reading);
        item->index = i;
        p->count++;
    }
    return TG_PLUGIN_OK;
}

void ble_points_fini(struct ble_points *p)
{
    free(p->items);
    p->items = NULL;
    p->count = 0;
}

uint32_t ble_points_take(const struct ble_points *p, const struct tg_ble_readings *readings,
                         struct tg_point_value *ret_values)
{
    uint32_t hashes[TG_BLE_MAX_READINGS], count = 0;
    for (uint32_t r = 0; r < readings->count; r++)
        hashes[r] = hash_name(readings->items[r].name);
    for (uint32_t i = 0; i < p->count; i++) {
        for (uint32_t r = 0; r < readings->count; r++) {
            if (hashes[r] != p->items[i].hash || strcmp(readings->items[r].name, p->items[i].reading) != 0)
                continue;
            ret_values[count++] = (struct tg_point_value){.point = p->items[i].index,
                                                          .quality = readings->items[r].quality,
                                                          .value = readings->items[r].value};
            break;
        }
    }
    return count;
}

uint32_t ble_points_all(const struct ble_points *p, uint32_t quality, struct tg_point_value *ret_values)
{
    for (uint32_t i = 0; i < p->count; i++)
        ret_values[i] = (struct tg_point_value){.point = p->items[i].index, .quality = quality};
    return p->count;
}

int ble_check_point(const struct tg_host *host, const struct tg_settings *device,
                    const struct tg_point *point, const char **ret_option, char *error, size_t error_size)
{
    uint32_t formats = TG_BLE_ANY_FORMAT;
    if (tg_gatt_is_point(host, point->settings))
        return tg_gatt_check_point(host, device, point, ret_option, error, error_size);
    if (point->writable) {
        snprintf(error, error_size,
                 "a reading of an advertisement cannot be written; a point with `characteristic` can");
        return TG_PLUGIN_EINVAL;
    }
    if (host->has(device, "format"))
        formats = TG_BLE_FORMAT_BIT(host->get_int(device, "format"));
    if (!tg_ble_reading_known(formats, reading_of(host, point))) {
        *ret_option = host->has(point->settings, "reading") ? "reading" : NULL;
        snprintf(error, error_size,
                 "no %s advertisement has the reading \"%s\": `tidegate plugin describe ble` lists the "
                 "profiles, which have all",
                 host->has(device, "format") ? host->get_text(device, "format") : "known",
                 reading_of(host, point));
        return TG_PLUGIN_EINVAL;
    }
    return TG_PLUGIN_OK;
}
