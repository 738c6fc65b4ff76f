/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * config_discover - `discover` in a source's settings, and the devices that come in through it.
 *
 * A remembered device is read and checked like one of the file, aside from the file's errors: what does not fit costs that
 * device its place, never the file its load.
 */
#include <stdio.h>

#include "config/config_private.h"
#include "core/base/allocator.h"
#include "core/base/glob.h"
#include "core/base/sample.h"

/* As a hardware address: what clouds say to an id's form is asked with it. */
#define EXAMPLE_ID "a00000000001"

/* --- the section --- */

static const char *cloud_id(struct tg_config_load *l, const struct tg_settings *settings, const char *id)
{
    const char *prefix = tg_settings_text(settings, "id_prefix");
    size_t bytes = (prefix ? strlen(prefix) : 0) + strlen(id) + 1;
    char *text = tg_config_alloc(l, 1, bytes);
    if (text)
        snprintf(text, bytes, "%s%s", prefix ? prefix : "", id);
    return text;
}

/* An id of its own in a cloud is something that only a device of the file can have. */
static void refuse_ids(struct tg_config_load *l, const char *file, const struct tg_yaml_node *map)
{
    const struct tg_yaml_node *list = tg_yaml_get(map, "clouds");
    for (const struct tg_yaml_node *i = list && list->kind == TG_YAML_LIST ? list->as.first : NULL; i;
         i = i->next) {
        const struct tg_yaml_node *entry = tg_yaml_resolve(i);
        const struct tg_yaml_node *id = entry->kind == TG_YAML_MAP ? tg_yaml_get(entry, "id") : NULL;
        if (id)
            tg_config_error(l, tg_config_pos_of(file, id),
                            "id: all discovered devices would have this one; with \"id_prefix\" each has a "
                            "name of its own in the clouds");
    }
}

void tg_config_read_discover(struct tg_config_load *l, const char *file, const struct tg_yaml_node *map,
                             struct tg_config_source *s)
{
    static const char *const own[] = {"clouds", "identity", NULL};
    const struct tg_yaml_node *n = tg_config_read_node(l, file, map, "discover", TG_YAML_MAP);
    struct tg_config_section section = {.what = "discover", .own_keys = own};
    struct tg_config_device each = {.id = EXAMPLE_ID};
    struct tg_config_discover *d;
    struct tg_settings *settings;
    if (!n)
        return;
    d = tg_config_alloc(l, 1, sizeof *d);
    if (!d)
        return;
    s->discover = d;
    d->pos = each.pos = tg_config_pos_of(file, n);
    d->settings = settings = tg_config_new_settings(l, tg_config_discover_options);
    if (!settings)
        return;
    section.settings[0] = settings;
    tg_config_read_section(l, file, n, &section);
    tg_config_finish(l, d->pos, "discover", settings, n, NULL);
    refuse_ids(l, file, n);
    tg_config_read_routes(l, file, n, "discover", &each);
    d->routes = each.routes;
    d->route_count = each.route_count;
}

static void check_pattern(struct tg_config_load *l, const struct tg_config_discover *d, const char *pattern)
{
    char name[TG_NAME_MAX_BYTES + 1], quoted[TG_QUOTE_BYTES];
    size_t n = strlen(pattern);
    snprintf(name, sizeof name, "%s", pattern);
    for (size_t i = 0; name[i]; i++)
        if (name[i] == '*' || name[i] == '?')
            name[i] = '0';
    if (n > TG_NAME_MAX_BYTES || !tg_name_is_valid(name))
        tg_config_error(l, tg_config_option_pos(d->pos, d->settings, "allow"),
                        "allow: no id is like %s: an id has letters, digits and - _ . : @, a pattern also * "
                        "and ?",
                        tg_quote(quoted, pattern, n));
}

void tg_config_check_discover(struct tg_config_load *l, const struct tg_config_source *s)
{
    const struct tg_config_discover *d = s->discover;
    const char *const *patterns;
    uint32_t count = tg_settings_list(d->settings, "allow", &patterns);
    if (tg_settings_has(d->settings, "allow") && count == 0)
        tg_config_error(l, tg_config_option_pos(d->pos, d->settings, "allow"),
                        "allow: is empty, so that no device could come in: give patterns such as "
                        "\"a4c138*\", or remove the discover section");
    for (uint32_t i = 0; i < count; i++)
        check_pattern(l, d, patterns[i]);
    for (uint32_t r = 0; r < d->route_count && !l->out_of_memory; r++) {
        struct tg_config_route example = d->routes[r];
        example.cloud_device_id = cloud_id(l, d->settings, EXAMPLE_ID);
        if (example.cloud_device_id)
            tg_config_check_route(l, "a discovered device", &example);
    }
}

/* --- names that are taken --- */

struct taken {
    const char *scope, *name; /* scope: the cloud's name, or "" for ids in the gateway */
};

struct names {
    struct taken *slots; /* open addressing; at most half of them are in use */
    size_t mask;
};

static struct taken *find(const struct names *t, const char *scope, const char *name)
{
    uint64_t h = 14695981039346656037u;
    const char *const texts[] = {scope, name};
    for (size_t i = 0; i < 2; i++)
        for (const char *c = texts[i];; c++) {
            h = (h ^ (unsigned char)*c) * 1099511628211u;
            if (!*c)
                break;
        }
    for (size_t at = (size_t)h & t->mask;; at = (at + 1) & t->mask) {
        struct taken *e = &t->slots[at];
        if (!e->name || (strcmp(e->name, name) == 0 && strcmp(e->scope, scope) == 0))
            return e;
    }
}

static void take_names(struct names *t, const struct tg_config_device *d)
{
    *find(t, "", d->id) = (struct taken){"", d->id};
    for (uint32_t r = 0; r < d->route_count; r++) {
        const struct tg_config_route *route = &d->routes[r];
        *find(t, route->cloud->name, route->cloud_device_id) =
            (struct taken){route->cloud->name, route->cloud_device_id};
    }
}

static bool names_begin(struct tg_config_load *l, struct names *t)
{
    size_t count = 0, size = 16;
    for (uint32_t i = 0; i < l->source_fill; i++) {
        const struct tg_config_source *s = &l->sources[i];
        for (uint32_t d = 0; d < s->device_count; d++)
            count += 1 + s->devices[d].route_count;
        if (s->discover)
            count += (size_t)l->lookups->discovered_count * (1 + s->discover->route_count);
    }
    while (size < 2 * count)
        size *= 2;
    t->mask = size - 1;
    t->slots = tg_calloc(size, sizeof *t->slots);
    if (!t->slots) {
        l->out_of_memory = true;
        return false;
    }
    for (uint32_t i = 0; i < l->source_fill; i++)
        for (uint32_t d = 0; d < l->sources[i].device_count; d++)
            take_names(t, &l->sources[i].devices[d]);
    return true;
}

/* --- devices --- */

static void leave_out(struct tg_config_load *l, const struct tg_config_discovered *from, const char *why)
{
    if (l->lookups->left_out)
        l->lookups->left_out(l->lookups->user, from, why);
}

static void copy_routes(struct tg_config_load *l, const struct tg_config_discover *from,
                        struct tg_config_device *d)
{
    const char *id = cloud_id(l, from->settings, d->id);
    struct tg_config_route *routes = tg_config_alloc(l, from->route_count, sizeof *routes);
    if (!id || !routes)
        return;
    for (uint32_t r = 0; r < from->route_count; r++) {
        routes[r] = from->routes[r];
        routes[r].cloud_device_id = id;
    }
    d->routes = routes;
    d->route_count = from->route_count;
}

/* What the section and the other devices say to it; NULL: nothing against it. */
static const char *refusal(const struct tg_config_source *s, const struct tg_config_discovered *from,
                           const struct names *t, uint32_t used)
{
    const char *const *patterns;
    uint32_t count = tg_settings_list(s->discover->settings, "allow", &patterns);
    if (find(t, "", from->id)->name)
        return "a device of the file, or one that another source has found, has this id";
    if (!tg_glob_match_any(patterns, count, from->id))
        return "no pattern of the source's allow list has it any more";
    if (used >= (uint64_t)tg_settings_int(s->discover->settings, "max"))
        return "the source has as many discovered devices as its max says";
    return NULL;
}

static const char *cloud_refusal(const struct names *t, const struct tg_config_device *d)
{
    for (uint32_t r = 0; r < d->route_count; r++)
        if (find(t, d->routes[r].cloud->name, d->routes[r].cloud_device_id)->name)
            return "another device has this id in the cloud";
    return NULL;
}

/* True when `d` is whole; otherwise it is told, and `d` is as before. */
static bool read_one(struct tg_config_load *l, const struct tg_config_source *s,
                     const struct tg_config_discovered *from, struct names *t, struct tg_config_device *d)
{
    uint32_t errors = l->error_count, points = l->point_count;
    char aside[TG_CONFIG_REPORT_BYTES] = "";
    const char *why = NULL;
    l->aside = aside;
    tg_config_read_found(l, s, from->id, from->profile, d);
    if (!l->out_of_memory)
        copy_routes(l, s->discover, d);
    if (!l->out_of_memory)
        tg_config_check_device(l, d);
    l->aside = NULL;
    if (l->error_count != errors)
        why = aside;
    else if (!l->out_of_memory)
        why = cloud_refusal(t, d);
    l->error_count = errors;
    if (!why && !l->out_of_memory) {
        take_names(t, d);
        return true;
    }
    if (why)
        leave_out(l, from, why);
    l->point_count = points;
    tg_config_device_fini(d);
    return false;
}

static void add_to_source(struct tg_config_load *l, struct tg_config_source *s, struct names *t)
{
    const struct tg_config_discovered *list = l->lookups->discovered;
    uint32_t of_file = s->device_count, n = 0, used = 0;
    struct tg_config_device *devices;
    for (uint32_t i = 0; i < l->lookups->discovered_count; i++)
        n += strcmp(list[i].source, s->name) == 0;
    if (n == 0)
        return;
    devices = tg_config_alloc(l, (size_t)of_file + n, sizeof *devices);
    if (!devices)
        return;
    if (of_file)
        memcpy(devices, s->devices, of_file * sizeof *devices);
    s->devices = devices;
    s->device_count = of_file + n; /* those that are not read are empty */
    for (uint32_t i = 0; i < l->lookups->discovered_count && !l->out_of_memory; i++) {
        const char *why;
        if (strcmp(list[i].source, s->name) != 0)
            continue;
        why = refusal(s, &list[i], t, used);
        if (why)
            leave_out(l, &list[i], why);
        else
            used += read_one(l, s, &list[i], t, &devices[of_file + used]);
    }
    s->device_count = of_file + used;
}

static bool has_section(const struct tg_config_load *l, const char *source)
{
    for (uint32_t i = 0; i < l->source_fill; i++)
        if (strcmp(l->sources[i].name, source) == 0)
            return l->sources[i].discover != NULL;
    return false;
}

void tg_config_add_discovered(struct tg_config_load *l)
{
    struct names t;
    if (l->lookups->discovered_count == 0 || !names_begin(l, &t))
        return;
    for (uint32_t i = 0; i < l->lookups->discovered_count; i++)
        if (!has_section(l, l->lookups->discovered[i].source))
            leave_out(l, &l->lookups->discovered[i], "the file has no such source with a discover section");
    for (uint32_t i = 0; i < l->source_fill && !l->out_of_memory; i++)
        if (l->sources[i].discover)
            add_to_source(l, &l->sources[i], &t);
    tg_free(t.slots);
}
