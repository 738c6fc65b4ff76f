/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * config_profile - a plugin's ready-made sets of settings and points, parsed on first use.
 */
#include <stdio.h>

#include "config/config_private.h"

static const char *const profile_keys[] = {"settings", "points", NULL};

static const struct tg_profile *find(struct tg_config_load *l, const struct tg_plugin *plugin,
                                     const char *name, struct tg_config_pos pos)
{
    const char *names[TG_YAML_MAX_KEYS], *near;
    size_t n = 0, used = 0;
    char quoted[TG_QUOTE_BYTES], list[160] = "none";
    for (const struct tg_profile *p = plugin->profiles; p && p->name; p++) {
        if (strcmp(p->name, name) == 0)
            return p;
        if (n < sizeof names / sizeof names[0])
            names[n++] = p->name;
    }
    for (size_t i = 0; i < n && used < sizeof list; i++)
        used += (size_t)snprintf(list + used, sizeof list - used, "%s%.60s", i ? ", " : "", names[i]);
    near = tg_nearest_word(name, names, n);
    tg_quote(quoted, name, strlen(name));
    if (near)
        tg_config_error(l, pos, "profile: plugin %.64s has no profile %s: did you mean \"%s\"?", plugin->name,
                        quoted, near);
    else
        tg_config_error(l, pos, "profile: plugin %.64s has no profile %s; it has %s", plugin->name, quoted,
                        list);
    return NULL;
}

struct tg_config_file *tg_config_profile(struct tg_config_load *l, const struct tg_plugin *plugin,
                                         const char *name, struct tg_config_pos pos)
{
    const struct tg_profile *p = find(l, plugin, name, pos);
    const struct tg_config_section section = {.what = "a profile", .own_keys = profile_keys};
    struct tg_config_file *f;
    char label[200];
    if (!p)
        return NULL;
    for (f = l->files; f; f = f->next)
        if (f->profile == p)
            return f->yaml.root ? f : NULL;
    snprintf(label, sizeof label, "plugin %.64s, profile %.64s", plugin->name, p->name);
    f = tg_config_add_file(l, label, p->yaml ? p->yaml : "", p->yaml ? strlen(p->yaml) : 0);
    if (!f)
        return NULL;
    f->profile = p;
    if (f->yaml.root && f->yaml.root->kind != TG_YAML_MAP) {
        tg_config_error(l, tg_config_pos_of(f->label, f->yaml.root),
                        "a profile is a mapping with settings and points, not %s",
                        tg_yaml_kind_text(f->yaml.root));
        tg_yaml_free(&f->yaml);
    }
    if (f->yaml.root)
        tg_config_read_section(l, f->label, f->yaml.root, &section);
    return f->yaml.root ? f : NULL;
}
