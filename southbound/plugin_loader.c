/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "southbound/plugin_loader.h"

#include <dirent.h>
#include <dlfcn.h>
#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "core/base/allocator.h"
#include "core/base/settings.h"
#include "southbound/plugin_trust.h"

#define NAME_MAX_BYTES 64
#define OPTIONS_MAX    256 /* of one table */
/* Up to and including `close`: without it there is nothing to run. */
#define LEAST_SIZE (offsetof(struct tg_plugin, close) + sizeof(void (*)(void *)))

struct loaded {
    char name[NAME_MAX_BYTES];
    char *path;
    void *handle;
    struct tg_plugin plugin;
};

struct tg_plugin_set {
    char **dirs;
    size_t dir_count;
    struct loaded *loaded[TG_PLUGIN_SET_MAX];
    size_t loaded_count;
};

int tg_plugin_set_new(const char *const *dirs, size_t dir_count, struct tg_plugin_set **ret_set)
{
    struct tg_plugin_set *set = tg_calloc(1, sizeof *set);
    if (!set)
        return TG_ENOMEM;
    set->dirs = tg_calloc(dir_count, sizeof *set->dirs);
    if (!set->dirs)
        goto fail;
    for (; set->dir_count < dir_count; set->dir_count++) {
        set->dirs[set->dir_count] = tg_strdup(dirs[set->dir_count]);
        if (!set->dirs[set->dir_count])
            goto fail;
    }
    *ret_set = set;
    return TG_OK;
fail:
    tg_plugin_set_free(set);
    return TG_ENOMEM;
}

void tg_plugin_set_free(struct tg_plugin_set *set)
{
    if (!set)
        return;
    for (size_t i = 0; i < set->loaded_count; i++) {
        dlclose(set->loaded[i]->handle);
        tg_free(set->loaded[i]->path);
        tg_free(set->loaded[i]);
    }
    for (size_t i = 0; set->dirs && i < set->dir_count; i++)
        tg_free(set->dirs[i]);
    tg_free(set->dirs);
    tg_free(set);
}

/* The texts and flags of a table are used without another look, so it must be one that this host understands. */
static int check_table(const struct tg_option *o, const char *of, const char *path, struct tg_error *err)
{
    for (size_t n = 0; o && o->name; o++, n++) {
        if (n == OPTIONS_MAX)
            return tg_error_set(err, TG_EINVAL,
                                "%s: the table of %s options does not end within %d entries; the last one "
                                "must be {0}",
                                path, of, OPTIONS_MAX);
        if (o->type < TG_OPTION_BOOL || o->type > TG_OPTION_TEXT_LIST)
            return tg_error_set(err, TG_EVERSION,
                                "%s: %s option \"%s\" has type %u, this tidegate knows %d to %d; is it built "
                                "for a newer one?",
                                path, of, o->name, o->type, TG_OPTION_BOOL, TG_OPTION_TEXT_LIST);
        if (o->type == TG_OPTION_ENUM && (!o->choices || !o->choices[0]))
            return tg_error_set(err, TG_EINVAL, "%s: %s option \"%s\" is one of several, and names none",
                                path, of, o->name);
    }
    return TG_OK;
}

static int refuse_version(uint32_t theirs, const char *path, struct tg_error *err)
{
    return tg_error_set(
        err, TG_EVERSION, "%s is built for plugin API %u, this tidegate has %u; %s", path, theirs,
        TG_PLUGIN_API_VERSION,
        theirs > TG_PLUGIN_API_VERSION
            ? "install a newer tidegate, or build the plugin again against this one's plugin.h"
            : "build the plugin again against this one's plugin.h");
}

static int copy_description(const struct tg_plugin *theirs, const char *path, struct tg_plugin *ours,
                            struct tg_error *err)
{
    size_t size;
    int rc;
    if (!theirs)
        return tg_error_set(err, TG_EINVAL, "%s: " TG_PLUGIN_SYMBOL "() gives no description", path);
    size = theirs->struct_size;
    if (theirs->api_version != TG_PLUGIN_API_VERSION)
        return refuse_version(theirs->api_version, path, err);
    if (size < LEAST_SIZE)
        return tg_error_set(
            err, TG_EVERSION,
            "%s describes itself in %zu bytes, at least %zu are needed: not a tidegate plugin?", path, size,
            LEAST_SIZE);
    memset(ours, 0, sizeof *ours);
    memcpy(ours, theirs, size < sizeof *ours ? size : sizeof *ours);
    if (!ours->name || !ours->open || !ours->poll || !ours->close || !ours->version || !ours->summary)
        return tg_error_set(err, TG_EINVAL, "%s lacks name, version, summary, open, poll or close", path);
    if (ours->thread_model != TG_THREAD_LOOP && ours->thread_model != TG_THREAD_OWN)
        return tg_error_set(err, TG_EVERSION,
                            "%s asks for thread model %u, which this tidegate does not have", path,
                            ours->thread_model);
    rc = check_table(ours->source_options, "source", path, err);
    if (rc == TG_OK)
        rc = check_table(ours->device_options, "device", path, err);
    return rc == TG_OK ? check_table(ours->point_options, "point", path, err) : rc;
}

static const char *running_program(char *memory, size_t size)
{
    ssize_t n = readlink("/proc/self/exe", memory, size - 1);
    if (n < 0)
        return NULL;
    memory[n] = '\0';
    return memory;
}

static const struct tg_plugin *load(struct tg_plugin_set *set, const char *name, const char *dir,
                                    const char *path, struct tg_error *err)
{
    const struct tg_plugin *(*describe)(void) = NULL;
    struct loaded *l = NULL;
    void *handle = NULL, *symbol;
    char program[PATH_MAX];
    if (set->loaded_count == TG_PLUGIN_SET_MAX) {
        tg_error_set(err, TG_EFULL, "%d plugins are loaded already, the most there can be",
                     TG_PLUGIN_SET_MAX);
        return NULL;
    }
    if (tg_plugin_trust(dir, path, running_program(program, sizeof program), err) < 0)
        return NULL;
    handle = dlopen(path, RTLD_NOW | RTLD_LOCAL);
    if (!handle) {
        tg_error_set(err, TG_EINVAL, "%s cannot be loaded: %s", path, dlerror());
        return NULL;
    }
    symbol = dlsym(handle, TG_PLUGIN_SYMBOL);
    if (!symbol) {
        tg_error_set(err, TG_EINVAL, "%s does not export " TG_PLUGIN_SYMBOL ": not a tidegate plugin", path);
        goto fail;
    }
    memcpy(&describe, &symbol, sizeof describe); /* ISO C has no cast from data to function pointer */
    l = tg_calloc(1, sizeof *l);
    if (!l || !(l->path = tg_strdup(path))) {
        tg_error_set(err, TG_ENOMEM, "out of memory loading %s", path);
        goto fail;
    }
    if (copy_description(describe(), path, &l->plugin, err) < 0)
        goto fail;
    if (strcmp(l->plugin.name, name) != 0) {
        tg_error_set(err, TG_EINVAL, "%s calls itself \"%s\": file and name must agree", path,
                     l->plugin.name);
        goto fail;
    }
    snprintf(l->name, sizeof l->name, "%s", name);
    l->handle = handle;
    set->loaded[set->loaded_count++] = l;
    return &l->plugin;
fail:
    if (l)
        tg_free(l->path);
    tg_free(l);
    dlclose(handle);
    return NULL;
}

static int valid_name(const char *name)
{
    size_t n = strlen(name);
    if (n == 0 || n >= NAME_MAX_BYTES)
        return 0;
    return strspn(name, "abcdefghijklmnopqrstuvwxyz0123456789-_") == n;
}

struct names {
    char *items[TG_PLUGIN_SET_MAX * 2];
    size_t count;
};

static int by_name(const void *a, const void *b)
{
    const char *x, *y;
    memcpy(&x, a, sizeof x);
    memcpy(&y, b, sizeof y);
    return strcmp(x, y);
}

static void collect_names(const struct tg_plugin_set *set, struct names *out)
{
    out->count = 0;
    for (size_t i = 0; i < set->dir_count; i++) {
        DIR *d = opendir(set->dirs[i]);
        struct dirent *e;
        while (d && (e = readdir(d)) != NULL && out->count < sizeof out->items / sizeof out->items[0]) {
            size_t n = strlen(e->d_name);
            char *name;
            int known = 0;
            if (n < 4 || strcmp(e->d_name + n - 3, ".so") != 0)
                continue;
            name = tg_strndup(e->d_name, n - 3);
            for (size_t k = 0; name && k < out->count; k++)
                known |= strcmp(out->items[k], name) == 0;
            if (!name || known || !valid_name(name))
                tg_free(name);
            else
                out->items[out->count++] = name;
        }
        if (d)
            closedir(d);
    }
    qsort(out->items, out->count, sizeof out->items[0], by_name);
}

static void free_names(struct names *n)
{
    for (size_t i = 0; i < n->count; i++)
        tg_free(n->items[i]);
}

static void say_unknown(const struct tg_plugin_set *set, const char *name, struct tg_error *err)
{
    char dirs[200] = "";
    struct names known;
    const char *candidates[TG_PLUGIN_SET_MAX * 2], *near;
    for (size_t i = 0; i < set->dir_count; i++)
        snprintf(dirs + strlen(dirs), sizeof dirs - strlen(dirs), "%s%s", i ? ", " : "", set->dirs[i]);
    collect_names(set, &known);
    for (size_t i = 0; i < known.count; i++)
        candidates[i] = known.items[i];
    near = tg_nearest_word(name, candidates, known.count);
    if (near)
        tg_error_set(err, TG_ENOTFOUND, "unknown plugin \"%s\" (did you mean \"%s\"?); searched %s", name,
                     near, dirs);
    else
        tg_error_set(err, TG_ENOTFOUND, "unknown plugin \"%s\"; searched %s", name, dirs);
    free_names(&known);
}

const struct tg_plugin *tg_plugin_find(struct tg_plugin_set *set, const char *name, struct tg_error *err)
{
    for (size_t i = 0; i < set->loaded_count; i++)
        if (strcmp(set->loaded[i]->name, name) == 0)
            return &set->loaded[i]->plugin;
    if (!valid_name(name)) {
        tg_error_set(err, TG_EINVAL, "\"%s\" is no plugin name: lower-case letters, digits, - and _", name);
        return NULL;
    }
    for (size_t i = 0; i < set->dir_count; i++) {
        char real[PATH_MAX], path[PATH_MAX + NAME_MAX_BYTES + 8];
        if (!realpath(set->dirs[i], real))
            continue;
        snprintf(path, sizeof path, "%s/%s.so", real, name);
        if (access(path, F_OK) == 0)
            return load(set, name, real, path, err);
    }
    say_unknown(set, name, err);
    return NULL;
}

const char *tg_plugin_path(const struct tg_plugin_set *set, const struct tg_plugin *plugin)
{
    for (size_t i = 0; i < set->loaded_count; i++)
        if (&set->loaded[i]->plugin == plugin)
            return set->loaded[i]->path;
    return NULL;
}

void tg_plugin_set_each(struct tg_plugin_set *set,
                        void (*each)(void *user, const char *name, const char *path,
                                     const struct tg_plugin *plugin, const struct tg_error *err),
                        void *user)
{
    struct names known;
    collect_names(set, &known);
    for (size_t i = 0; i < known.count; i++) {
        struct tg_error err = {0};
        const struct tg_plugin *p = tg_plugin_find(set, known.items[i], &err);
        each(user, known.items[i], p ? tg_plugin_path(set, p) : NULL, p, &err);
    }
    free_names(&known);
}
