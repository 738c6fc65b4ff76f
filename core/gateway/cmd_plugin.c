/* SPDX-License-Identifier: GPL-2.0-or-later */
#include <errno.h>
#include <jansson.h>
#include <libgen.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/gateway/command.h"
#include "southbound/plugin_confine.h"

static const char *const no_more[] = {"--profile", NULL};
static const char *const type_names[] = {"?",    "true or false", "whole number", "number",
                                         "text", "one of",        "duration",     "size",
                                         "path", "secret file",   "list of texts"};

/* --- needs ---------------------------------------------------------------------------------------------- */

static const struct {
    uint32_t bit;
    const char *name, *text;
} needs[] = {{TG_NEEDS_NETWORK, "network", "the network"},
             {TG_NEEDS_BLUETOOTH, "bluetooth", "Bluetooth"},
             {TG_NEEDS_PROGRAMS, "programs", "starting programs"},
             {TG_NEEDS_SERIAL, "serial", "serial ports beyond those that its options name"}};

/* The names, or their texts for people; `otherwise` when there is none. */
static const char *needs_text(uint32_t bits, bool for_people, const char *otherwise, char ret[160])
{
    ret[0] = '\0';
    for (size_t i = 0; i < sizeof needs / sizeof needs[0]; i++)
        if (bits & needs[i].bit)
            snprintf(ret + strlen(ret), 160 - strlen(ret), "%s%s", ret[0] ? ", " : "",
                     for_people ? needs[i].text : needs[i].name);
    if (!ret[0])
        snprintf(ret, 160, "%s", otherwise);
    return ret;
}

static void print_needs(const struct tg_plugin *p)
{
    char text[160];
    printf("needs %s%s\n",
           needs_text(tg_confine_needs(p->needs), true,
                      "nothing but the files and ports that its options name", text),
           p->needs & TG_NEEDS_STATED ? "" : " (it does not say: this is what such a plugin gets)");
    for (const struct tg_option *o = p->source_options; o && o->name; o++)
        if (o->flags >> 8)
            printf("with %s it needs %s too\n", o->name, needs_text(o->flags >> 8, true, "nothing", text));
}

static json_t *needs_json(uint32_t bits)
{
    json_t *all = json_array();
    for (size_t i = 0; i < sizeof needs / sizeof needs[0]; i++)
        if (bits & needs[i].bit)
            json_array_append_new(all, json_string(needs[i].name));
    return all;
}

/* --- list --------------------------------------------------------------------------------------------- */

struct list {
    json_t *json; /* NULL = print */
};

static void list_one(void *user, const char *name, const char *path, const struct tg_plugin *p,
                     const struct tg_error *err)
{
    struct list *l = user;
    char text[160];
    if (l->json && p)
        json_array_append_new(
            l->json, json_pack("{s:s,s:s,s:s,s:i,s:s,s:s,s:s}", "name", name, "version", p->version,
                               "summary", p->summary, "api_version", (int)p->api_version, "threads",
                               p->thread_model == TG_THREAD_OWN ? "own" : "loop", "path", path, "needs",
                               needs_text(tg_confine_needs(p->needs), false, "nothing", text)));
    else if (l->json)
        json_array_append_new(l->json, json_pack("{s:s,s:s}", "name", name, "error", err->text));
    else if (p)
        printf("%-12s %-8s API %u  %-4s  %s\n%12s   %s\n%12s   needs, with isolation: process: %s\n", name,
               p->version, p->api_version, p->thread_model == TG_THREAD_OWN ? "own" : "loop", p->summary, "",
               path, "", needs_text(tg_confine_needs(p->needs), false, "nothing", text));
    else
        printf("%-12s cannot be loaded: %s\n", name, err->text);
}

/* --- describe ------------------------------------------------------------------------------------------- */

static void print_options(const char *title, const struct tg_option *o)
{
    if (!o || !o->name)
        return;
    printf("\n%s\n", title);
    for (; o->name; o++) {
        printf("  %-16s %s", o->name,
               o->type < sizeof type_names / sizeof type_names[0] ? type_names[o->type] : "?");
        for (size_t i = 0; o->type == TG_OPTION_ENUM && o->choices[i]; i++)
            printf("%s%s", i ? "|" : " ", o->choices[i]);
        if ((o->min || o->max) && o->type != TG_OPTION_TEXT) /* durations in ms, sizes in bytes */
            printf(", %lld to %lld%s", (long long)o->min, (long long)o->max,
                   o->type == TG_OPTION_DURATION ? " ms"
                   : o->type == TG_OPTION_SIZE   ? " bytes"
                                                 : "");
        if (o->flags & TG_OPTION_REQUIRED)
            printf(", required");
        if (o->default_text)
            printf(", default %s", o->default_text[0] ? o->default_text : "\"\"");
        printf("\n  %-16s %s\n", "", o->doc ? o->doc : "");
    }
}

static json_t *options_json(const struct tg_option *o)
{
    json_t *all = json_array();
    for (; o && o->name; o++) {
        json_t *j = json_pack("{s:s,s:s,s:b,s:s}", "name", o->name, "type",
                              o->type < sizeof type_names / sizeof type_names[0] ? type_names[o->type] : "?",
                              "required", (o->flags & TG_OPTION_REQUIRED) != 0, "doc", o->doc ? o->doc : "");
        if (o->default_text)
            json_object_set_new(j, "default", json_string(o->default_text));
        if (o->min || o->max)
            json_object_set_new(j, "range", json_pack("[I,I]", (json_int_t)o->min, (json_int_t)o->max));
        if (o->type == TG_OPTION_ENUM) {
            json_t *choices = json_array();
            for (size_t i = 0; o->choices[i]; i++)
                json_array_append_new(choices, json_string(o->choices[i]));
            json_object_set_new(j, "choices", choices);
        }
        json_array_append_new(all, j);
    }
    return all;
}

static int print_file(const char *path)
{
    char buffer[4096];
    size_t n;
    FILE *f = fopen(path, "re");
    if (!f) {
        fprintf(stderr, "tidegate plugin describe: %s: %s\n", path, strerror(errno));
        return TG_EXIT_NO;
    }
    printf("# %s\n", path);
    while ((n = fread(buffer, 1, sizeof buffer, f)) > 0)
        fwrite(buffer, 1, n, stdout);
    fclose(f);
    return TG_EXIT_OK;
}

/* The profiles that the integrator has written, in the folders of the configuration that -c names. */
#define OWN_MAX 256
struct own {
    struct tg_settings *gateway; /* NULL: no -c */
    char folder[PATH_MAX];       /* the configuration's */
    char names[OWN_MAX][TG_PROFILE_NAME_MAX + 1];
    uint32_t count;
};

static int own_open(const struct tg_args *a, const struct tg_plugin *p, struct own *ret_own)
{
    struct tg_error err = {0};
    char copy[PATH_MAX];
    if (!a->config)
        return TG_EXIT_OK;
    if (tg_config_peek_gateway(a->config, &ret_own->gateway, &err) < 0) {
        fprintf(stderr, "tidegate plugin describe: %s\n", err.text);
        return TG_EXIT_USAGE;
    }
    snprintf(copy, sizeof copy, "%s", a->config);
    snprintf(ret_own->folder, sizeof ret_own->folder, "%s", dirname(copy));
    ret_own->count =
        tg_config_profile_names(ret_own->gateway, ret_own->folder, p->name, ret_own->names, OWN_MAX);
    return TG_EXIT_OK;
}

/* A file of the configuration's folders takes the place of the plugin's own profile, here too. */
static bool profile_file(const struct own *own, const struct tg_plugin *p, const char *name,
                         char path[PATH_MAX])
{
    return own->gateway && tg_config_profile_file(own->gateway, own->folder, p->name, name, path, PATH_MAX);
}

static int describe_profile(const struct own *own, const struct tg_plugin *p, const char *name)
{
    char path[PATH_MAX];
    if (profile_file(own, p, name, path))
        return print_file(path);
    for (const struct tg_profile *f = p->profiles; f && f->name; f++)
        if (strcmp(f->name, name) == 0) {
            printf("# profile %s of plugin %s; a file profiles/%s/%s.yaml beside the configuration takes its "
                   "place\n%s",
                   f->name, p->name, p->name, f->name, f->yaml);
            return TG_EXIT_OK;
        }
    fprintf(
        stderr,
        "tidegate plugin describe: %s has no profile \"%s\"; tidegate plugin describe %s%s lists them%s\n",
        p->name, name, p->name, own->gateway ? " -c FILE" : "",
        own->gateway ? "" : ", with -c FILE also those in files of your own");
    return TG_EXIT_NO;
}

/* A plugin's profile, with the file that takes its place. */
static void print_profiles(const struct own *own, const struct tg_plugin *p)
{
    char path[PATH_MAX];
    if ((p->profiles && p->profiles->name) || own->count > 0)
        printf("\nprofiles (tidegate plugin describe %s%s --profile NAME):\n", p->name,
               own->gateway ? " -c FILE" : "");
    for (const struct tg_profile *f = p->profiles; f && f->name; f++)
        if (!profile_file(own, p, f->name, path))
            printf("  %-24s %s\n", f->name, f->doc ? f->doc : "");
    for (uint32_t i = 0; i < own->count; i++)
        if (profile_file(own, p, own->names[i], path))
            printf("  %-24s %s\n", own->names[i], path);
}

static void describe_text(const struct own *own, const struct tg_plugin *p)
{
    printf("%s %s: %s\nAPI %u, %s\n", p->name, p->version, p->summary, p->api_version,
           p->thread_model == TG_THREAD_OWN ? "a thread of its own" : "runs on the loop");
    print_needs(p);
    print_options("settings of a source:", p->source_options);
    print_options("settings of a device:", p->device_options);
    print_options("a point, besides name, unit, every, scale and the others that all have:",
                  p->point_options);
    print_profiles(own, p);
}

static void describe_json(const struct own *own, const struct tg_plugin *p)
{
    json_t *profiles = json_array(), *j;
    char *text, path[PATH_MAX];
    for (const struct tg_profile *f = p->profiles; f && f->name; f++)
        if (!profile_file(own, p, f->name, path))
            json_array_append_new(profiles,
                                  json_pack("{s:s,s:s}", "name", f->name, "doc", f->doc ? f->doc : ""));
    for (uint32_t i = 0; i < own->count; i++)
        if (profile_file(own, p, own->names[i], path))
            json_array_append_new(profiles, json_pack("{s:s,s:s}", "name", own->names[i], "file", path));
    j = json_pack("{s:s,s:s,s:s,s:i,s:s,s:o,s:b,s:o,s:o,s:o,s:o}", "name", p->name, "version", p->version,
                  "summary", p->summary, "api_version", (int)p->api_version, "threads",
                  p->thread_model == TG_THREAD_OWN ? "own" : "loop", "needs",
                  needs_json(tg_confine_needs(p->needs)), "needs_stated", (p->needs & TG_NEEDS_STATED) != 0,
                  "source_options", options_json(p->source_options), "device_options",
                  options_json(p->device_options), "point_options", options_json(p->point_options),
                  "profiles", profiles);
    text = json_dumps(j, JSON_INDENT(2));
    printf("%s\n", text ? text : "{}");
    free(text);
    json_decref(j);
}

static int describe(struct tg_plugin_set *set, const struct tg_args *a)
{
    static struct own own; /* 20 KiB, once */
    struct tg_error err = {0};
    const struct tg_plugin *p;
    const char *profile = NULL, *name = NULL;
    int rc;
    for (uint32_t i = 1; i < a->count; i++) {
        if (strcmp(a->args[i], "--profile") == 0)
            profile = a->args[++i];
        else
            name = a->args[i];
    }
    if (!name) {
        fprintf(stderr, "tidegate plugin describe: which one? tidegate plugin list shows them\n");
        return TG_EXIT_USAGE;
    }
    p = tg_plugin_find(set, name, &err);
    if (!p) {
        fprintf(stderr, "tidegate plugin: %s\n", err.text);
        return TG_EXIT_NO;
    }
    rc = own_open(a, p, &own);
    if (rc == TG_EXIT_OK && profile)
        rc = describe_profile(&own, p, profile);
    else if (rc == TG_EXIT_OK && a->json)
        describe_json(&own, p);
    else if (rc == TG_EXIT_OK)
        describe_text(&own, p);
    tg_settings_free(own.gateway);
    return rc;
}

int tg_cmd_plugin(int argc, char **argv)
{
    struct tg_plugin_set *set;
    struct list l = {NULL};
    struct tg_args a;
    bool list, known;
    int rc;
    if (argc > 1 && strcmp(argv[1], "new") == 0)
        return tg_cmd_plugin_new(argc - 1, argv + 1);
    if (argc > 1 && strcmp(argv[1], "test") == 0)
        return tg_cmd_plugin_test(argc - 1, argv + 1);
    rc = tg_args_parse(argc, argv, no_more, &a);
    if (rc)
        return rc;
    list = a.count == 1 && strcmp(a.args[0], "list") == 0;
    known = list || (a.count >= 1 && strcmp(a.args[0], "describe") == 0);
    if (a.help || !known) {
        fprintf(
            a.help ? stdout : stderr,
            "usage: tidegate plugin list [--json]\n"
            "       tidegate plugin describe NAME [--profile P] [-c FILE] [--json]\n"
            "       tidegate plugin new NAME [--dir DIR]\n"
            "       tidegate plugin test X.so -c FILE [OPTIONS]\n\n"
            "Lists the installed plugins, or the options, points, profiles and needs of one; begins one of "
            "your own; runs\n"
            "one by itself. With -c, describe shows the profiles in the configuration's folders too. "
            "tidegate plugin new --help and tidegate plugin test --help say more.\n");
        return a.help ? TG_EXIT_OK : TG_EXIT_USAGE;
    }
    if (tg_command_plugins(&a, &set) < 0)
        return TG_EXIT_NO;
    if (list) {
        char *text;
        l.json = a.json ? json_array() : NULL;
        tg_plugin_set_each(set, list_one, &l);
        text = a.json ? json_dumps(l.json, JSON_INDENT(2)) : NULL;
        if (text)
            printf("%s\n", text);
        free(text);
        json_decref(l.json);
    } else {
        rc = describe(set, &a);
    }
    tg_plugin_set_free(set);
    return rc;
}

/* --- decode ----------------------------------------------------------------------------------------------- */

static void decode_out(void *user, const char *text)
{
    (void)user;
    fputs(text, stdout);
}

int tg_cmd_decode(int argc, char **argv)
{
    struct tg_plugin_set *set;
    struct tg_error err = {0};
    const struct tg_plugin *p;
    const char *rest[TG_ARGS_REST_MAX];
    struct tg_args a;
    int n, rc;
    bool usage = argc < 2 || strcmp(argv[1], "--help") == 0 || strcmp(argv[1], "-h") == 0;
    if (usage) {
        fprintf(argc < 2 ? stderr : stdout, "usage: tidegate decode modbus|at|edm ARGS… [--json]\n\n"
                                            "Turns bytes into readings, without hardware; tidegate decode "
                                            "KIND --help shows what each kind takes.\n");
        return argc < 2 ? TG_EXIT_USAGE : TG_EXIT_OK;
    }
    rc = tg_args_rest(argc, argv, &a, rest, &n);
    if (rc)
        return rc;
    if (tg_command_plugins(&a, &set) < 0)
        return TG_EXIT_NO;
    /* Frames of the extended data mode are known by that name, not by their modules'. */
    p = tg_plugin_find(set, strcmp(argv[1], "edm") == 0 ? "ucx" : argv[1], &err);
    if (!p) {
        fprintf(stderr, "tidegate decode: %s\n", err.text);
        rc = TG_EXIT_USAGE;
    } else if (!p->decode) {
        fprintf(stderr, "tidegate decode: plugin %s decodes nothing\n", argv[1]);
        rc = TG_EXIT_USAGE;
    } else {
        rc = p->decode(n, rest, a.json, decode_out, NULL);
    }
    tg_plugin_set_free(set);
    return rc;
}
