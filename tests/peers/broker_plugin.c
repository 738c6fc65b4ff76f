/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "tests/peers/broker_plugin.h"

#include <string.h>

__attribute__((visibility("default"))) int mosquitto_plugin_version(int count, const int *versions)
{
    for (int i = 0; i < count; i++) {
        if (versions[i] == 5) {
            return 5;
        }
    }
    return -1;
}

bool broker_options_read(const char *plugin, const struct mosquitto_opt *options, int count,
                         const struct broker_option *known, size_t known_count)
{
    for (int i = 0; i < count; i++) {
        size_t at = 0;
        while (at < known_count && strcmp(known[at].key, options[i].key) != 0) {
            at++;
        }
        if (at == known_count) {
            mosquitto_log_printf(MOSQ_LOG_ERR, "%s: unknown option %s", plugin, options[i].key);
            return false;
        }
        *known[at].value = options[i].value;
    }
    return true;
}

int broker_handlers_register(mosquitto_plugin_id_t *id, const struct broker_handler *handlers, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        int rc = mosquitto_callback_register(id, handlers[i].event, handlers[i].callback, NULL, NULL);
        if (rc != MOSQ_ERR_SUCCESS) {
            return rc;
        }
    }
    return MOSQ_ERR_SUCCESS;
}
