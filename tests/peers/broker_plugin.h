/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * broker_plugin - what every plugin here has to tell mosquitto: the version of the interface (5; mosquitto_plugin_version() is in the .c),
 * its options, its handlers.
 */
#ifndef TESTS_PEERS_BROKER_PLUGIN_H
#define TESTS_PEERS_BROKER_PLUGIN_H

#include <mosquitto.h>
#include <mosquitto_broker.h>
#include <mosquitto_plugin.h>
#include <stdbool.h>
#include <stddef.h>

/* Of plugin_opt_{key}; *value points into mosquitto's memory and stays NULL, or what it was, when the option is not given. */
struct broker_option {
    const char *key, **value;
};

/* False: an option is none of these; mosquitto's log names it after `plugin`. */
bool broker_options_read(const char *plugin, const struct mosquitto_opt *options, int count,
                         const struct broker_option *known, size_t known_count);

struct broker_handler {
    int event;
    MOSQ_FUNC_generic_callback callback;
};

/* MOSQ_ERR_SUCCESS, or what mosquitto says of the first that it does not take. */
int broker_handlers_register(mosquitto_plugin_id_t *id, const struct broker_handler *handlers, size_t count);

#endif
