/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * config_profile - ready-made sets of settings and points, parsed on first use: files of the integrator's, then the plugin's own.
 */
#include <dirent.h>
#include <limits.h>
#include <stdio.h>
#include <unistd.h>

#include "config/config_private.h"

#define FILES_SHOWN 16 /* profiles of the integrator's that a misspelt name is compared with */

static const char *const profile_keys[] = {"about", "settings", "points", NULL};

/* What may stand in a file name, so that no name leads out of its folder. */
static bool is_file_name(const char *name)
{
    size_t n = strlen(name);
    return n > 0 && n <= TG_PROFILE_NAME_MAX && name[0] != '.' &&
           strspn(name, TG_PROFILE_NAME_CHARACTERS) == n;
}

static bool file_in(const char *folder, const char *plugin, const char *name, char *ret_path, size_t size)
{
    int n = snprintf(ret_path, size, "%s/%s/%s.yaml", folder, plugin, name);
    return n > 0 && (size_t)n < size && access(ret_path, F_OK) == 0;
}

bool tg_config_profile_file(const struct tg_settings *gateway, const char *base_dir, const char *plugin,
                            const char *name, char *ret_path, size_t size)
{
    const char *const *folders = NULL;
    uint32_t n = tg_settings_list(gateway, "profile_dirs", &folders);
    char beside[PATH_MAX];
    if (!is_file_name(name))
        return false;
    for (uint32_t i = 0; i < n; i++)
        if (file_in(folders[i], plugin, name, ret_path, size))
            return true;
    return (size_t)snprintf(beside, sizeof beside, "%s/profiles", base_dir) < sizeof beside &&
           file_in(beside, plugin, name, ret_path, size);
}

struct names {
    char (*list)[TG_PROFILE_NAME_MAX + 1];
    uint32_t count, max;
};

/* Keeps them sorted; each once. */
static void add_name(struct names *n, const char *name)
{
    uint32_t at = 0;
    int order = 1;
    while (at < n->count && (order = strcmp(name, n->list[at])) > 0)
        at++;
    if (order == 0 || n->count == n->max)
        return;
    memmove(n->list + at + 1, n->list + at, (n->count - at) * sizeof *n->list);
    snprintf(n->list[at], sizeof *n->list, "%s", name);
    n->count++;
}

static void add_folder(struct names *n, const char *folder, const char *plugin)
{
    char path[PATH_MAX], name[TG_PROFILE_NAME_MAX + 1];
    struct dirent *entry;
    DIR *d;
    if ((size_t)snprintf(path, sizeof path, "%s/%s", folder, plugin) >= sizeof path || !(d = opendir(path)))
        return;
    while ((entry = readdir(d)) != NULL) {
        size_t len = strlen(entry->d_name);
        if (len <= 5 || len - 5 > TG_PROFILE_NAME_MAX || strcmp(entry->d_name + len - 5, ".yaml") != 0)
            continue;
        snprintf(name, sizeof name, "%.*s", (int)(len - 5), entry->d_name);
        if (is_file_name(name))
            add_name(n, name);
    }
    closedir(d);
}

uint32_t tg_config_profile_names(const struct tg_settings *gateway, const char *base_dir, const char *plugin,
                                 char (*ret_names)[TG_PROFILE_NAME_MAX + 1], uint32_t max)
{
    struct names names = {ret_names, 0, max};
    const char *const *folders = NULL;
    uint32_t n = tg_settings_list(gateway, "profile_dirs", &folders);
    char beside[PATH_MAX];
    for (uint32_t i = 0; i < n; i++)
        add_folder(&names, folders[i], plugin);
    if ((size_t)snprintf(beside, sizeof beside, "%s/profiles", base_dir) < sizeof beside)
        add_folder(&names, beside, plugin);
    return names.count;
}

static const struct tg_profile *find(struct tg_config_load *l, const struct tg_plugin *plugin,
                                     const char *name, struct tg_config_pos pos)
{
    char files[FILES_SHOWN][TG_PROFILE_NAME_MAX + 1];
    const char *names[TG_YAML_MAX_KEYS], *near;
    size_t n = 0, used = 0;
    char quoted[TG_QUOTE_BYTES], list[160] = "none";
    for (const struct tg_profile *p = plugin->profiles; p && p->name; p++) {
        if (strcmp(p->name, name) == 0)
            return p;
        if (n < sizeof names / sizeof names[0] - FILES_SHOWN)
            names[n++] = p->name;
    }
    for (size_t i = 0; i < n && used < sizeof list; i++)
        used += (size_t)snprintf(list + used, sizeof list - used, "%s%.60s", i ? ", " : "", names[i]);
    if (!l->from_memory && l->model->config.gateway) {
        const uint32_t of_files =
            tg_config_profile_names(l->model->config.gateway, l->base_dir, plugin->name, files, FILES_SHOWN);
        for (uint32_t i = 0; i < of_files; i++)
            names[n++] = files[i];
    }
    near = tg_nearest_word(name, names, n);
    tg_quote(quoted, name, strlen(name));
    if (near)
        tg_config_error(l, pos, "profile: plugin %.64s has no profile %s: did you mean \"%s\"?", plugin->name,
                        quoted, near);
    else
        tg_config_error(l, pos,
                        "profile: plugin %.64s has no profile %s; it has %s, and there is no file "
                        "profiles/%.64s/NAME.yaml of that name beside the configuration",
                        plugin->name, quoted, list, plugin->name);
    return NULL;
}

static struct tg_config_file *known(struct tg_config_load *l, const struct tg_plugin *plugin,
                                    const char *name)
{
    struct tg_config_file *f = l->files;
    while (f && (f->plugin != plugin || strcmp(f->profile->name, name) != 0))
        f = f->next;
    return f;
}

/* A profile that the integrator has written; NULL: there is none, or it is reported. */
static struct tg_config_file *from_folder(struct tg_config_load *l, const struct tg_plugin *plugin,
                                          const char *name)
{
    struct tg_profile *profile;
    struct tg_config_file *f;
    char path[PATH_MAX];
    if (l->from_memory || !l->model->config.gateway ||
        !tg_config_profile_file(l->model->config.gateway, l->base_dir, plugin->name, name, path, sizeof path))
        return NULL;
    profile = tg_config_alloc(l, 1, sizeof *profile);
    if (!profile || !(profile->name = tg_config_text(l, name)))
        return NULL;
    f = tg_config_add_path(l, path);
    if (!f)
        return NULL;
    f->profile = profile;
    return f;
}

static struct tg_config_file *from_plugin(struct tg_config_load *l, const struct tg_plugin *plugin,
                                          const struct tg_profile *p)
{
    char label[200];
    struct tg_config_file *f;
    snprintf(label, sizeof label, "plugin %.64s, profile %.64s", plugin->name, p->name);
    f = tg_config_add_file(l, label, p->yaml ? p->yaml : "", p->yaml ? strlen(p->yaml) : 0);
    if (f)
        f->profile = p;
    return f;
}

struct tg_config_file *tg_config_profile(struct tg_config_load *l, const struct tg_plugin *plugin,
                                         const char *name, struct tg_config_pos pos)
{
    const struct tg_config_section section = {.what = "a profile", .own_keys = profile_keys};
    struct tg_config_file *f = known(l, plugin, name);
    uint32_t errors = l->error_count;
    if (f)
        return f->yaml.root ? f : NULL;
    f = from_folder(l, plugin, name);
    if (!f && l->error_count == errors && !l->out_of_memory) {
        const struct tg_profile *p = find(l, plugin, name, pos);
        f = p ? from_plugin(l, plugin, p) : NULL;
    }
    if (!f)
        return NULL;
    f->plugin = plugin;
    if (f->yaml.root && f->yaml.root->kind != TG_YAML_MAP) {
        tg_config_error(l, tg_config_pos_of(f->label, f->yaml.root),
                        "a profile is a mapping with settings and points, not %s",
                        tg_yaml_kind_text(f->yaml.root));
        tg_yaml_free(&f->yaml);
    }
    if (f->yaml.root)
        tg_config_read_section(l, f->label, f->yaml.root, &section);
    if (l->error_count == errors && !l->out_of_memory &&
        (!f->yaml.root || (!tg_yaml_get(f->yaml.root, "settings") && !tg_yaml_get(f->yaml.root, "points"))))
        tg_config_error(l, (struct tg_config_pos){f->label, 1, 1},
                        "the profile is empty: it has neither settings nor points");
    return f->yaml.root ? f : NULL;
}
