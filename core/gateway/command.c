/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "core/gateway/command.h"

#include <libgen.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "core/gateway/lookups.h"
#include "southbound/plugin_process.h"

int tg_args_parse(int argc, char **argv, const char *const *more, struct tg_args *ret)
{
    struct tg_args a = {0};
    for (int i = 1; i < argc; i++) {
        const char *arg = argv[i], **value = NULL;
        bool takes_value = false;
        if (strcmp(arg, "--json") == 0) {
            a.json = true;
            continue;
        }
        if (strcmp(arg, "--watch") == 0) {
            a.watch = true;
            continue;
        }
        if (strcmp(arg, "--help") == 0 || strcmp(arg, "-h") == 0) {
            a.help = true;
            continue;
        }
        if (strcmp(arg, "-c") == 0 || strcmp(arg, "--config") == 0)
            value = &a.config;
        else if (strcmp(arg, "--socket") == 0)
            value = &a.socket;
        else if (strcmp(arg, "--plugin-dir") == 0 && a.plugin_dir_count < 8)
            value = &a.plugin_dirs[a.plugin_dir_count++];
        for (size_t k = 0; more && more[k]; k++)
            takes_value |= strcmp(arg, more[k]) == 0;
        if ((value || takes_value) && i + 1 == argc) {
            fprintf(stderr, "tidegate %s: %s needs a value\n", argv[0], arg);
            return TG_EXIT_USAGE;
        }
        if (value) {
            *value = argv[++i];
            continue;
        }
        if (arg[0] == '-' && arg[1] != '\0' && !takes_value && more != NULL) {
            fprintf(stderr, "tidegate %s: unknown option %s; tidegate %s --help lists them\n", argv[0], arg,
                    argv[0]);
            return TG_EXIT_USAGE;
        }
        if (a.count + 2 > sizeof a.args / sizeof a.args[0]) {
            fprintf(stderr, "tidegate %s: too many arguments\n", argv[0]);
            return TG_EXIT_USAGE;
        }
        a.args[a.count++] = arg;
        if (takes_value)
            a.args[a.count++] = argv[++i];
    }
    *ret = a;
    return 0;
}

int tg_args_rest(int argc, char **argv, struct tg_args *ret_args, const char *ret_rest[TG_ARGS_REST_MAX],
                 int *ret_count)
{
    *ret_args = (struct tg_args){0};
    *ret_count = 0;
    for (int i = 2; i < argc; i++) {
        if (strcmp(argv[i], "--json") == 0) {
            ret_args->json = true;
        } else if (strcmp(argv[i], "--plugin-dir") == 0 && i + 1 < argc && ret_args->plugin_dir_count < 8) {
            ret_args->plugin_dirs[ret_args->plugin_dir_count++] = argv[++i];
        } else if (*ret_count < TG_ARGS_REST_MAX) {
            ret_rest[(*ret_count)++] = argv[i];
        } else {
            fprintf(stderr, "tidegate %s: at most %d arguments\n", argv[0], TG_ARGS_REST_MAX);
            return TG_EXIT_USAGE;
        }
    }
    return TG_EXIT_OK;
}

int tg_command_plugins(const struct tg_args *args, struct tg_plugin_set **ret_set)
{
    char exe[PATH_MAX], beside[PATH_MAX + 16], moved[PATH_MAX + 200], installed[PATH_MAX];
    const char *dirs[40], *env = getenv("TIDEGATE_PLUGIN_DIR");
    struct tg_settings *gateway = NULL;
    struct tg_error err = {0};
    size_t n = 0;
    ssize_t len = readlink("/proc/self/exe", exe, sizeof exe - 1);
    int rc;
    for (uint32_t i = 0; i < args->plugin_dir_count; i++)
        dirs[n++] = args->plugin_dirs[i];
    if (env && env[0])
        dirs[n++] = env;
    /* A file that cannot be read is reported when it is loaded; here only its folders are wanted. */
    if (args->config && tg_config_peek_gateway(args->config, &gateway, &err) == TG_OK) {
        const char *const *items = NULL;
        uint32_t count = tg_settings_list(gateway, "plugin_dirs", &items);
        for (uint32_t i = 0; i < count && i < 16; i++)
            dirs[n++] = items[i];
    }
    if (len > 0) {
        exe[len] = '\0';
        (void)dirname(exe); /* shortens it where it is */
        snprintf(beside, sizeof beside, "%s/plugins", exe);
        dirs[n++] = beside;
        /* Where `cmake --install --prefix` or a moved tree has them. */
        snprintf(moved, sizeof moved, "%s/" TG_PLUGIN_FROM_PROGRAM, exe);
        if (realpath(moved, installed) && strcmp(installed, TG_PLUGIN_INSTALL_DIR) != 0)
            dirs[n++] = installed;
    }
    dirs[n++] = TG_PLUGIN_INSTALL_DIR;
    rc = tg_plugin_set_new(dirs, n, ret_set);
    tg_settings_free(gateway);
    if (rc < 0)
        fprintf(stderr, "tidegate: out of memory\n");
    return rc;
}

void tg_command_use_processes(void)
{
    /* A build tree; what `cmake --install --prefix` or a moved tree has; a package. */
    static const char *const places[] = {"", "/" TG_LIBEXEC_FROM_PROGRAM};
    static char path[2 * PATH_MAX];
    char exe[PATH_MAX];
    ssize_t len = readlink("/proc/self/exe", exe, sizeof exe - 1);
    exe[len > 0 ? len : 0] = '\0';
    (void)dirname(exe); /* shortens it where it is */
    for (size_t i = 0; len > 0 && i < sizeof places / sizeof places[0]; i++) {
        snprintf(path, sizeof path, "%s%s/" TG_PROCESS_PROGRAM, exe, places[i]);
        if (access(path, X_OK) == 0) {
            tg_process_use(path);
            return;
        }
    }
    tg_process_use(TG_LIBEXEC_INSTALL_DIR "/" TG_PROCESS_PROGRAM);
}

static void say(void *user, const char *line)
{
    (void)user;
    fprintf(stderr, "%s\n", line);
}

int tg_command_load_discovered(const char *path, struct tg_plugin_set *plugins,
                               const struct tg_config_discovered *devices, uint32_t count,
                               struct tg_config **ret_config)
{
    struct tg_config_lookups lookups = tg_gateway_lookups(plugins);
    lookups.discovered = devices;
    lookups.discovered_count = count;
    return tg_config_load(path, &lookups, say, NULL, ret_config);
}

int tg_command_load(const char *path, struct tg_plugin_set *plugins, struct tg_config **ret_config)
{
    return tg_command_load_discovered(path, plugins, NULL, 0, ret_config);
}

int tg_command_load_without_files(const char *path, struct tg_plugin_set *plugins,
                                  struct tg_config **ret_config)
{
    struct tg_config_lookups lookups = tg_gateway_lookups(plugins);
    lookups.without_files = true;
    return tg_config_load(path, &lookups, say, NULL, ret_config);
}

int tg_command_load_only_plugin(const char *path, struct tg_plugin_set *plugins, const char *name,
                                struct tg_config **ret_config)
{
    struct tg_config_lookups lookups = tg_gateway_lookups(plugins);
    lookups.only_plugin = name;
    return tg_config_load(path, &lookups, say, NULL, ret_config);
}

int tg_command_socket(const struct tg_args *args, char *memory, size_t size)
{
    const char *env = getenv("TIDEGATE_SOCKET");
    struct tg_settings *gateway;
    struct tg_error err = {0};
    if (args->socket || (!args->config && env && env[0])) {
        snprintf(memory, size, "%s", args->socket ? args->socket : env);
        return TG_OK;
    }
    if (!args->config) {
        snprintf(memory, size, TG_DEFAULT_SOCKET);
        return TG_OK;
    }
    if (tg_config_peek_gateway(args->config, &gateway, &err) < 0) {
        fprintf(stderr, "%s\n", err.text);
        return TG_EINVAL;
    }
    snprintf(memory, size, "%s", tg_settings_text(gateway, "control_socket"));
    tg_settings_free(gateway);
    return TG_OK;
}
