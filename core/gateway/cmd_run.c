/* SPDX-License-Identifier: GPL-2.0-or-later */
#include <stdio.h>
#include <string.h>

#include "core/base/log.h"
#include "core/base/plural.h"
#include "core/gateway/command.h"
#include "core/gateway/gateway.h"
#include "northbound/cloud.h"
#include "southbound/plugin_host.h"

static const char *const no_more[] = {NULL};

struct loader {
    const char *path;
    struct tg_plugin_set *plugins;
};

static void apply_log_settings(const struct tg_config *config)
{
    tg_log_configure((enum tg_log_level)tg_settings_int(config->log, "level"),
                     (enum tg_log_format)tg_settings_int(config->log, "format"));
}

static int reload(void *user, const struct tg_config_discovered *devices, uint32_t count,
                  struct tg_config **ret_config)
{
    struct loader *l = user;
    int rc;
    if (count > 0)
        tg_log(TG_LOG_INFO, "config", "reading %s again, with %u %s discovered", l->path, count,
               tg_plural(count, "device that was", "devices that were"));
    else
        tg_log(TG_LOG_INFO, "config", "reading %s again", l->path);
    rc = tg_command_load_discovered(l->path, l->plugins, devices, count, ret_config);
    if (rc < 0)
        tg_log(TG_LOG_ERROR, "config",
               "%s has errors (above); the gateway goes on with the configuration it has", l->path);
    else
        apply_log_settings(*ret_config);
    return rc;
}

int tg_cmd_run(int argc, char **argv)
{
    struct tg_args a;
    struct loader l = {0};
    struct tg_config *config;
    struct tg_error err = {0};
    int rc = tg_args_parse(argc, argv, no_more, &a);
    if (rc)
        return rc;
    if (a.help) {
        printf("usage: tidegate run -c FILE [--plugin-dir DIR]\n\n"
               "Runs the gateway in the foreground (default file: " TG_DEFAULT_CONFIG
               "). SIGHUP reads the file again and changes\n"
               "only what is different; SIGTERM and SIGINT drain and stop, a second one without waiting. "
               "Exit 0 after an orderly stop, 1 when it cannot start,\n"
               "2 when the file has errors.\n");
        return TG_EXIT_OK;
    }
    if (!a.config)
        a.config = TG_DEFAULT_CONFIG;
    l.path = a.config;
    if (tg_command_plugins(&a, &l.plugins) < 0)
        return TG_EXIT_NO;
    if (tg_command_load(a.config, l.plugins, &config) < 0) {
        tg_plugin_set_free(l.plugins);
        return TG_EXIT_USAGE;
    }
    apply_log_settings(config);
    tg_command_use_processes();
    rc = tg_gateway_run(config, reload, &l, &err);
    if (rc < 0)
        fprintf(stderr, "tidegate: cannot start: %s\n", err.text);
    tg_plugin_set_free(l.plugins);
    return rc < 0 ? TG_EXIT_NO : TG_EXIT_OK;
}

struct plugin_list {
    const struct tg_plugin *items[TG_PLUGIN_SET_MAX];
    size_t count;
};

static void collect(void *user, const char *name, const char *path, const struct tg_plugin *plugin,
                    const struct tg_error *err)
{
    struct plugin_list *list = user;
    (void)path;
    if (plugin)
        list->items[list->count++] = plugin;
    else
        fprintf(stderr, "tidegate schema: plugin %s is left out: %s\n", name, err->text);
}

int tg_cmd_schema(int argc, char **argv)
{
    const struct tg_config_cloud_type *types[16];
    const struct tg_cloud_type *const *all;
    struct plugin_list list = {.count = 0};
    struct tg_plugin_set *plugins;
    struct tg_args a;
    size_t count;
    int rc = tg_args_parse(argc, argv, no_more, &a);
    if (rc)
        return rc;
    if (a.help) {
        printf("usage: tidegate schema\n\nPrints the JSON Schema (draft 2020-12) of the configuration file "
               "with all installed plugins.\n");
        return TG_EXIT_OK;
    }
    if (tg_command_plugins(&a, &plugins) < 0)
        return TG_EXIT_NO;
    tg_plugin_set_each(plugins, collect, &list);
    all = tg_cloud_types(&count);
    for (size_t i = 0; i < count && i < 16; i++)
        types[i] = &all[i]->config;
    rc = tg_config_schema(stdout, list.items, list.count, types, count);
    tg_plugin_set_free(plugins);
    return rc < 0 ? TG_EXIT_NO : TG_EXIT_OK;
}
