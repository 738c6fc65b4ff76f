/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "core/gateway/lookups.h"

#include "core/base/log.h"
#include "northbound/cloud.h"
#include "northbound/transport.h"
#include "southbound/plugin_host.h"

static const struct tg_plugin *find_plugin(void *user, const char *name, struct tg_error *err)
{
    return tg_plugin_find(user, name, err);
}

static const struct tg_config_cloud_type *find_cloud_type(void *user, const char *type, struct tg_error *err)
{
    const struct tg_cloud_type *t = tg_cloud_type_find(type, err);
    (void)user;
    return t ? &t->config : NULL;
}

static int check_cloud(void *user, const struct tg_config_cloud *cloud, struct tg_error *err)
{
    (void)user;
    return tg_cloud_check_common(cloud, err);
}

static void left_out(void *user, const struct tg_config_discovered *device, const char *why)
{
    (void)user;
    tg_log(TG_LOG_WARN, "config", "source=%s device=%s was discovered and is left out: %s", device->source,
           device->id, why);
}

struct tg_config_lookups tg_gateway_lookups(struct tg_plugin_set *plugins)
{
    return (struct tg_config_lookups){.user = plugins,
                                      .plugin = find_plugin,
                                      .cloud_type = find_cloud_type,
                                      .check_host = tg_source_check_host(),
                                      .check_cloud = check_cloud,
                                      .left_out = left_out};
}
