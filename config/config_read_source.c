/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * config_read_source - tree → model: sources, their devices, routes and points.
 *
 * A device's points are its profile's, in the profile's order, then the file's. An entry of the file with the
 * name of a profile's point takes that one's place as a whole: what it does not say has its default. Derived points come
 * last, so that a plugin's points are the first ones.
 */
#include <inttypes.h>

#include "config/config_private.h"

/* Where a device is read: the file it stands in, and what decides which keys it takes. */
struct place {
    const char *file;
    const struct tg_plugin *plugin;    /* NULL = unknown, reported */
    const struct tg_settings *checked; /* the device's settings; NULL: something in them is wrong */
};

/* --- points --- */

static bool has_option(const struct tg_settings *s, const char *name)
{
    for (const struct tg_option *o = tg_settings_table(s); o->name; o++)
        if (strcmp(o->name, name) == 0)
            return true;
    return false;
}

/* What the plugin says to a point whose tables are satisfied. */
static void ask_plugin(struct tg_config_load *l, const struct place *at, const struct tg_config_point *p)
{
    const struct tg_point lent = {.name = p->name,
                                  .settings = p->settings,
                                  .every_ms = tg_settings_int(p->common, "every"),
                                  .writable = tg_settings_int(p->common, "writable") != 0};
    const char *option = NULL;
    char text[256] = "";
    struct tg_config_pos pos = p->pos;
    if (at->plugin->check_point(l->lookups->check_host, at->checked, &lent, &option, text, sizeof text) >= 0)
        return;
    text[sizeof text - 1] = '\0';
    if (option && has_option(p->settings, option))
        pos = tg_config_option_pos(pos, p->settings, option);
    tg_config_error(l, pos, "%s%s%s", option ? option : "", option ? ": " : "", text);
}

static void read_point(struct tg_config_load *l, const struct place *at, const struct tg_yaml_node *map,
                       struct tg_config_point *p, bool replaces)
{
    static const char *const own[] = {"name", "unit", NULL};
    struct tg_settings *common, *settings;
    struct tg_config_section section = {.what = "a point", .own_keys = own, .open = !at->plugin};
    uint32_t errors = l->error_count;
    p->pos = tg_config_pos_of(at->file, map);
    p->name = tg_config_read_text(l, at->file, map, "name");
    p->unit = tg_config_read_text(l, at->file, map, "unit");
    if (!tg_yaml_get(map, "name"))
        tg_config_error(l, p->pos, "missing \"name\" in the point");
    p->derived = tg_config_map_is_derived(map);
    p->common = common = tg_config_new_settings(l, tg_config_point_options);
    p->settings = settings =
        tg_config_new_settings(l, at->plugin && !p->derived ? at->plugin->point_options : NULL);
    if (!common || !settings)
        return;
    if (p->derived) {
        section.what = "a derived point";
        section.open = false;
    }
    section.settings[0] = common;
    section.settings[1] = settings;
    tg_config_read_section(l, at->file, map, &section);
    tg_config_finish(l, p->pos, "the point", common, map, NULL);
    tg_config_finish(l, p->pos, "the point", settings, map,
                     replaces
                         ? " (this entry takes the place of the profile's point, none of whose keys it keeps)"
                         : NULL);
    if (at->checked && at->plugin->check_point && p->name && !p->derived && l->error_count == errors &&
        !l->out_of_memory)
        ask_plugin(l, at, p);
}

static uint32_t count_points(const struct tg_yaml_node *list)
{
    return list ? list->count : 0;
}

/* The index of the point of that name among the first n, or n. Only profiles are searched: they are short. */
static uint32_t find_point(const struct tg_config_point *points, uint32_t n, const char *name)
{
    uint32_t i = 0;
    while (i < n && (!points[i].name || !name || strcmp(points[i].name, name) != 0))
        i++;
    return i;
}

static const char *entry_name(const struct tg_yaml_node *map)
{
    const struct tg_yaml_node *n = tg_yaml_get(map, "name");
    return n && n->kind == TG_YAML_TEXT ? n->as.text : NULL;
}

static bool is_point(struct tg_config_load *l, const char *file, const struct tg_yaml_node *item)
{
    const struct tg_yaml_node *map = tg_yaml_resolve(item);
    if (map->kind == TG_YAML_MAP)
        return true;
    tg_config_error(l, tg_config_pos_of(file, item),
                    "an entry of \"points\" is a mapping (- name: …), not %s", tg_yaml_kind_text(map));
    return false;
}

/* Keeps the order on both sides. `memory` has room for the device's points. */
static void derived_last(struct tg_config_device *d, struct tg_config_point *points,
                         struct tg_config_point *memory)
{
    uint32_t read = 0, derived = 0;
    for (uint32_t i = 0; i < d->point_count; i++)
        if (points[i].derived)
            memory[derived++] = points[i];
        else
            points[read++] = points[i];
    memcpy(points + read, memory, derived * sizeof *points);
    d->derived_count = derived;
}

static void read_points(struct tg_config_load *l, const struct place *at,
                        const struct tg_yaml_node *device_map, const struct tg_config_file *profile,
                        struct tg_config_device *d)
{
    const struct place profile_at = {profile ? profile->label : NULL, at->plugin, at->checked};
    const struct tg_yaml_node *own = tg_config_read_node(l, at->file, device_map, "points", TG_YAML_LIST);
    const struct tg_yaml_node *base =
        profile ? tg_config_read_node(l, profile->label, profile->yaml.root, "points", TG_YAML_LIST) : NULL;
    uint32_t most = count_points(own) + count_points(base), fill = 0, from_profile;
    bool *replaced;
    struct tg_config_point *points, *order;
    if (most == 0)
        return;
    if (most > TG_CONFIG_MAX_POINTS - l->point_count) {
        tg_config_error(l, d->pos, "more than %u points in all", TG_CONFIG_MAX_POINTS);
        l->point_count = TG_CONFIG_MAX_POINTS;
        return;
    }
    l->point_count += most;
    points = tg_config_alloc(l, most, sizeof *points);
    replaced = tg_config_alloc(l, most, sizeof *replaced);
    if (!points || !replaced)
        return;
    d->points = points;
    d->point_count = most;
    for (const struct tg_yaml_node *i = base ? base->as.first : NULL; i && !l->out_of_memory; i = i->next) {
        const struct tg_yaml_node *override = NULL, *map = tg_yaml_resolve(i);
        if (!is_point(l, profile->label, i))
            continue;
        for (const struct tg_yaml_node *o = own ? own->as.first : NULL; o && !override; o = o->next) {
            const struct tg_yaml_node *candidate = tg_yaml_resolve(o);
            const char *name = candidate->kind == TG_YAML_MAP ? entry_name(candidate) : NULL;
            if (name && entry_name(map) && strcmp(name, entry_name(map)) == 0)
                override = candidate;
        }
        replaced[fill] = override != NULL;
        read_point(l, override ? at : &profile_at, override ? override : map, &points[fill],
                   override != NULL);
        fill++;
    }
    from_profile = fill;
    for (const struct tg_yaml_node *i = own ? own->as.first : NULL; i && !l->out_of_memory; i = i->next) {
        const struct tg_yaml_node *map = tg_yaml_resolve(i);
        uint32_t twin;
        if (!is_point(l, at->file, i))
            continue;
        twin = find_point(points, from_profile, entry_name(map));
        if (twin < from_profile && replaced[twin]) {
            replaced[twin] = false; /* read above; a second entry of the name is a duplicate */
            continue;
        }
        read_point(l, at, map, &points[fill++], false);
    }
    d->point_count = fill;
    order = tg_config_alloc(l, fill, sizeof *order);
    if (order)
        derived_last(d, points, order);
}

/* --- routes --- */

static const struct tg_config_cloud *find_cloud(struct tg_config_load *l, struct tg_config_pos pos,
                                                const char *name)
{
    const char *names[64], *near;
    size_t n = 0;
    char quoted[TG_QUOTE_BYTES];
    for (uint32_t i = 0; i < l->cloud_fill; i++) {
        if (!l->clouds[i].name)
            continue;
        if (strcmp(l->clouds[i].name, name) == 0)
            return &l->clouds[i];
        if (n < sizeof names / sizeof names[0])
            names[n++] = l->clouds[i].name;
    }
    if (l->incomplete)
        return NULL;
    near = tg_nearest_word(name, names, n);
    tg_quote(quoted, name, strlen(name));
    if (near)
        tg_config_error(l, pos, "unknown cloud %s: did you mean \"%s\"?", quoted, near);
    else
        tg_config_error(l, pos, "unknown cloud %s: no entry of \"clouds\" has that name", quoted);
    return NULL;
}

static void read_route(struct tg_config_load *l, const char *file, const struct tg_yaml_node *item,
                       const struct tg_config_device *d, const struct tg_config_identity *own,
                       struct tg_config_route *r)
{
    static const char *const keys[] = {"name", "id", "identity", NULL};
    const struct tg_config_section section = {.what = "an entry of a device's \"clouds\"", .own_keys = keys};
    const struct tg_yaml_node *n = tg_yaml_resolve(item);
    const char *name = NULL;
    r->pos = tg_config_pos_of(file, item);
    r->cloud_device_id = d->id;
    if (n->kind == TG_YAML_TEXT) {
        name = n->as.text;
    } else if (n->kind == TG_YAML_MAP) {
        const char *id;
        tg_config_read_section(l, file, n, &section);
        name = tg_config_read_text(l, file, n, "name");
        id = tg_config_read_text(l, file, n, "id");
        r->cloud_device_id = id ? id : d->id;
        if (!tg_yaml_get(n, "name"))
            tg_config_error(l, r->pos, "missing \"name\" in an entry of a device's \"clouds\"");
        tg_config_read_identity(l, file, n, &r->identity);
    } else {
        tg_config_error(
            l, r->pos,
            "an entry of a device's \"clouds\" is a name or a mapping {name: …, id: …, identity: …}, not %s",
            tg_yaml_kind_text(n));
    }
    if (!name)
        return;
    r->cloud = find_cloud(l, r->pos, name);
    /* What was wrong with an identity is reported: another one in its place would only add to it. */
    if (r->identity.pos.line)
        return;
    if (own->pos.line)
        r->identity = *own;
    else if (r->cloud)
        r->identity = r->cloud->identity;
}

void tg_config_read_routes(struct tg_config_load *l, const char *file, const struct tg_yaml_node *map,
                           const char *what, struct tg_config_device *d)
{
    const struct tg_yaml_node *list = tg_config_read_node(l, file, map, "clouds", TG_YAML_LIST);
    struct tg_config_identity *own = tg_config_alloc(l, 1, sizeof *own);
    struct tg_config_route *routes;
    uint32_t n = 0;
    if (!own || l->lookups->only_plugin)
        return;
    tg_config_read_identity(l, file, map, own);
    if (!tg_yaml_get(map, "clouds") || (list && list->count == 0))
        tg_config_error(
            l, list ? tg_config_pos_of(file, list) : d->pos,
            "missing \"clouds\" in %s: at least one name of an entry of \"clouds\", such as [hub]", what);
    if (!list || list->count == 0)
        return;
    routes = tg_config_alloc(l, list->count, sizeof *routes);
    if (!routes)
        return;
    d->routes = routes;
    for (const struct tg_yaml_node *i = list->as.first; i && !l->out_of_memory; i = i->next)
        read_route(l, file, i, d, own, &routes[n++]);
    d->route_count = n;
}

/* --- devices --- */

static const char *const settings_keys[] = {"profile", NULL};
static const char *const discover_elsewhere[] = {"discover", "belongs into a source's settings", NULL};

/* The profile may be named beside the settings or among them. NULL: none, or reported. */
static struct tg_config_file *read_profile(struct tg_config_load *l, const struct place *at,
                                           const struct tg_yaml_node *map,
                                           const struct tg_yaml_node *settings)
{
    const char *beside = tg_config_read_text(l, at->file, map, "profile");
    const char *inside = settings ? tg_config_read_text(l, at->file, settings, "profile") : NULL;
    const struct tg_yaml_node *where = tg_yaml_get(inside ? settings : map, "profile");
    if (beside && inside && strcmp(beside, inside) != 0) {
        tg_config_error(l, tg_config_pos_of(at->file, where),
                        "the device names two profiles: keep one of them");
        return NULL;
    }
    if (!at->plugin || !(inside || beside))
        return NULL;
    return tg_config_profile(l, at->plugin, inside ? inside : beside, tg_config_pos_of(at->file, where));
}

/* Its points would mean something else than their author wrote: the count of their addresses, for one. `s` has the profile's
 * settings so far. */
static void keep_to_profile(struct tg_config_load *l, const struct place *at, const struct tg_yaml_node *own,
                            const struct tg_config_file *profile, const struct tg_settings *s)
{
    const struct tg_yaml_node *points = tg_yaml_get(profile->yaml.root, "points");
    struct tg_settings *ours = tg_config_new_settings(l, tg_settings_table(s));
    for (const struct tg_option *o = tg_settings_table(s); o->name && ours && points && points->count > 0;
         o++) {
        const struct tg_yaml_node *given = tg_yaml_get(own, o->name);
        const struct tg_yaml_node *value = given ? tg_yaml_resolve(given) : NULL;
        if (!(o->flags & TG_OPTION_AS_PROFILE) || !value || value->kind != TG_YAML_TEXT ||
            tg_settings_set(ours, o->name, value->as.text, l->base_dir, (struct tg_settings_position){1, 1},
                            NULL) < 0)
            continue; /* what is wrong with it by itself is said when it is read */
        const int64_t is = tg_settings_int(ours, o->name);
        const int64_t was = tg_settings_has(s, o->name) ? tg_settings_int(s, o->name) : o->min;
        if (is != was)
            tg_config_error(
                l, tg_config_pos_of(at->file, given),
                "%s: the points of profile \"%.64s\" are written for %" PRId64
                " and would mean something else with %" PRId64
                ": remove it, and write points of your own as the profile does (a profile that is "
                "yours says it in its own settings)",
                o->name, profile->profile->name, was, is);
    }
    tg_settings_free(ours);
}

static void read_device_settings(struct tg_config_load *l, const struct place *at,
                                 const struct tg_yaml_node *own, const struct tg_config_file *profile,
                                 struct tg_config_device *d)
{
    const struct tg_yaml_node *base =
        profile ? tg_config_read_node(l, profile->label, profile->yaml.root, "settings", TG_YAML_MAP) : NULL;
    struct tg_settings *s = tg_config_new_settings(l, at->plugin ? at->plugin->device_options : NULL);
    struct tg_config_section section = {
        .what = "a device's settings", .settings = {s}, .later = discover_elsewhere, .open = !at->plugin};
    d->settings = s;
    if (!s)
        return;
    /* `profile` is ours, unless the plugin's table has it too: then the plugin hears of it. */
    for (const struct tg_option *o = tg_settings_table(s); o->name && strcmp(o->name, "profile") != 0; o++)
        if (!o[1].name)
            section.own_keys = settings_keys;
    if (!tg_settings_table(s)->name)
        section.own_keys = settings_keys;
    section.no_positions = true;
    if (base)
        tg_config_read_section(l, profile->label, base, &section);
    section.no_positions = false;
    if (own && profile)
        keep_to_profile(l, at, own, profile, s);
    if (own)
        tg_config_read_section(l, at->file, own, &section);
    tg_config_finish(l, own ? tg_config_pos_of(at->file, own) : d->pos, "the device's settings", s, own,
                     NULL);
}

static void read_device(struct tg_config_load *l, const struct place *at, const struct tg_yaml_node *map,
                        struct tg_config_device *d)
{
    static const char *const keys[] = {"id",      "clouds", "identity", "settings",
                                       "profile", "points", "outbox",   NULL};
    const struct tg_config_section section = {.what = "a device", .own_keys = keys};
    const struct tg_yaml_node *settings = tg_config_read_node(l, at->file, map, "settings", TG_YAML_MAP);
    struct place points_at = *at;
    struct tg_config_file *profile;
    uint32_t errors;
    d->pos = tg_config_pos_of(at->file, map);
    d->id = tg_config_read_text(l, at->file, map, "id");
    if (!tg_yaml_get(map, "id"))
        tg_config_error(l, d->pos, "missing \"id\" in the device");
    tg_config_read_section(l, at->file, map, &section);
    tg_config_read_quota(l, at->file, map, &d->quota);
    profile = read_profile(l, at, map, settings);
    errors = l->error_count;
    read_device_settings(l, at, settings, profile, d);
    if (l->out_of_memory)
        return;
    d->whole = at->plugin && d->id && l->error_count == errors;
    points_at.checked = d->whole ? d->settings : NULL;
    tg_config_read_routes(l, at->file, map, "the device", d);
    read_points(l, &points_at, map, profile, d);
}

/* As read_device() reads `{id: ID, settings: {profile: PROFILE}}`. */
void tg_config_read_found(struct tg_config_load *l, const struct tg_config_source *s, const char *id,
                          const char *profile, struct tg_config_device *d)
{
    const struct tg_yaml_node none = {.kind = TG_YAML_MAP};
    const struct tg_yaml_node value = {.kind = TG_YAML_TEXT, .as.text = profile};
    const struct tg_yaml_node key = {.kind = TG_YAML_TEXT, .as.text = "profile", .next = &value};
    const struct tg_yaml_node settings = {.kind = TG_YAML_MAP, .as.first = &key, .count = 1};
    const struct tg_yaml_node *own = profile ? &settings : &none;
    struct place at = {s->discover->pos.file, s->plugin, NULL};
    uint32_t errors = l->error_count;
    struct tg_config_file *file = read_profile(l, &at, &none, own);
    d->pos = s->discover->pos;
    d->id = tg_config_text(l, id);
    d->discovered = true;
    d->quota = s->quota;
    if (profile && !file) /* why was told when it was first named */
        tg_config_error(l, d->pos, "profile \"%.64s\" of the plugin cannot be used", profile);
    read_device_settings(l, &at, own, file, d);
    if (l->out_of_memory)
        return;
    at.checked = l->error_count == errors ? d->settings : NULL;
    read_points(l, &at, &none, file, d);
}

/* --- sources --- */

static const struct tg_plugin *find_plugin(struct tg_config_load *l, const char *file,
                                           const struct tg_yaml_node *map, const char *name)
{
    const struct tg_plugin *p;
    struct tg_error err = {0};
    if (!name)
        return NULL;
    p = l->lookups->plugin(l->lookups->user, name, &err);
    if (!p)
        tg_config_error(l, tg_config_pos_of(file, tg_yaml_get(map, "plugin")), "plugin: %s", err.text);
    return p;
}

static void read_devices(struct tg_config_load *l, const struct place *at, const struct tg_yaml_node *list,
                         struct tg_config_source *s)
{
    struct tg_config_device *devices = tg_config_alloc(l, list->count, sizeof *devices);
    uint32_t n = 0;
    if (!devices)
        return;
    s->devices = devices;
    s->device_count = list->count;
    for (const struct tg_yaml_node *i = list->as.first; i && !l->out_of_memory; i = i->next) {
        const struct tg_yaml_node *entry = tg_yaml_resolve(i);
        devices[n].quota = s->quota;
        if (entry->kind == TG_YAML_MAP)
            read_device(l, at, entry, &devices[n++]);
        else
            tg_config_error(l, tg_config_pos_of(at->file, i),
                            "an entry of \"devices\" is a mapping (- id: …), not %s",
                            tg_yaml_kind_text(entry));
    }
    s->device_count = n;
}

/* What the plugin says to settings whose tables are satisfied. */
static void ask_about_source(struct tg_config_load *l, const struct tg_config_source *s,
                             struct tg_config_pos pos)
{
    const char *option = NULL;
    char text[256] = "";
    if (s->plugin->check_source(l->lookups->check_host, s->settings, &option, text, sizeof text) >= 0)
        return;
    text[sizeof text - 1] = '\0';
    option = option && has_option(s->settings, option) ? option : NULL;
    if (option && tg_settings_position(s->settings, option).line > 0)
        pos = tg_config_option_pos(s->pos, s->settings, option);
    tg_config_error(l, pos, "%s%s%s", option ? option : "", option ? ": " : "", text);
}

void tg_config_read_source(struct tg_config_load *l, const char *file, const struct tg_yaml_node *map)
{
    static const char *const keys[] = {"name", "plugin", "settings", "devices", "outbox", NULL};
    static const char *const own_settings[] = {"discover", NULL};
    struct tg_config_source *s = &l->sources[l->source_fill++];
    const struct tg_yaml_node *settings_map = tg_config_read_node(l, file, map, "settings", TG_YAML_MAP);
    const struct tg_yaml_node *devices = tg_config_read_node(l, file, map, "devices", TG_YAML_LIST);
    struct tg_settings *common, *settings;
    struct tg_config_section section = {.what = "a source", .own_keys = keys, .later = discover_elsewhere};
    struct tg_config_section settings_section = {.what = "a source's settings", .own_keys = own_settings};
    struct place at = {file, NULL, NULL};
    uint32_t errors;
    s->pos = tg_config_pos_of(file, map);
    s->name = tg_config_read_text(l, file, map, "name");
    s->plugin_name = tg_config_read_text(l, file, map, "plugin");
    if (!tg_yaml_get(map, "name"))
        tg_config_error(l, s->pos, "missing \"name\" in the source");
    if (!tg_yaml_get(map, "plugin"))
        tg_config_error(l, s->pos, "missing \"plugin\" in the source");
    s->plugin = at.plugin = find_plugin(l, file, map, s->plugin_name);
    s->common = common = tg_config_new_settings(l, tg_config_source_options);
    s->settings = settings = tg_config_new_settings(l, at.plugin ? at.plugin->source_options : NULL);
    if (!common || !settings)
        return;
    section.settings[0] = common;
    settings_section.settings[0] = settings;
    settings_section.open = !at.plugin;
    tg_config_read_section(l, file, map, &section);
    errors = l->error_count;
    if (settings_map)
        tg_config_read_section(l, file, settings_map, &settings_section);
    tg_config_finish(l, s->pos, "the source", common, map, NULL);
    if (at.plugin)
        tg_config_finish(l, settings_map ? tg_config_pos_of(file, settings_map) : s->pos,
                         "the source's settings", settings, settings_map, NULL);
    if (at.plugin && at.plugin->check_source && l->error_count == errors && !l->out_of_memory)
        ask_about_source(l, s, settings_map ? tg_config_pos_of(file, settings_map) : s->pos);
    tg_config_read_quota(l, file, map, &s->quota);
    if (settings_map)
        tg_config_read_discover(l, file, settings_map, s);
    if (devices)
        read_devices(l, &at, devices, s);
}
