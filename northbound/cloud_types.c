/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "northbound/aws_iot.h"
#include "northbound/azure_hub.h"
#include "northbound/cloud.h"
#include "northbound/gcp_iot_core.h"
#include "northbound/module/module_cloud.h"
#include "northbound/mqtt_cloud.h"
#include "northbound/pubsub/gcp_pubsub.h"
#include "northbound/sparkplug.h"

static const struct tg_cloud_type *const types[] = {&tg_azure_hub, &tg_gcp_iot_core, &tg_gcp_pubsub,
                                                    &tg_aws_iot,   &tg_mqtt_cloud,   &tg_module_cloud};

#define TYPE_COUNT (sizeof types / sizeof types[0])

const struct tg_cloud_type *const *tg_cloud_types(size_t *ret_count)
{
    *ret_count = TYPE_COUNT;
    return types;
}

const struct tg_cloud_type *tg_cloud_type_find(const char *type, struct tg_error *err)
{
    const char *names[TYPE_COUNT], *near;
    char known[200] = "";
    for (size_t i = 0; i < TYPE_COUNT; i++) {
        size_t used = strlen(known);
        if (strcmp(types[i]->config.type, type) == 0)
            return types[i];
        names[i] = types[i]->config.type;
        strncat(known, i ? ", " : "", sizeof known - used - 1);
        strncat(known, names[i], sizeof known - strlen(known) - 1);
    }
    near = tg_nearest_word(type, names, TYPE_COUNT);
    if (strncmp(type, "sparkplug", strlen("sparkplug")) == 0)
        tg_error_set(err, TG_ENOTFOUND,
                     "unknown cloud type \"%s\": Sparkplug B is type mqtt with format: sparkplug-b", type);
    else if (near)
        tg_error_set(err, TG_ENOTFOUND, "unknown cloud type \"%s\" (did you mean \"%s\"?); known are %s",
                     type, near, known);
    else
        tg_error_set(err, TG_ENOTFOUND, "unknown cloud type \"%s\"; known are %s", type, known);
    return NULL;
}

static bool is_sparkplug(const struct tg_config_cloud *cloud)
{
    return strcmp(tg_settings_text(cloud->common, "format"), "sparkplug-b") == 0;
}

const struct tg_cloud_type *tg_cloud_type_of(const struct tg_config_cloud *cloud, struct tg_error *err)
{
    const struct tg_cloud_type *type = tg_cloud_type_find(cloud->type, err);
    return type == &tg_mqtt_cloud && is_sparkplug(cloud) ? &tg_sparkplug : type;
}
