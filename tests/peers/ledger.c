/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * ledger - a mosquitto plugin that lets everybody in and writes every connect and publish to a record (hub_record.h) before the
 * broker acknowledges it: what it has said it took is in the file, also when it is killed in the next moment.
 *
 *     plugin …/ledger.so
 *     plugin_opt_record /path/of/the/record
 */
#include <mosquitto.h>
#include <mosquitto_broker.h>
#include <mosquitto_plugin.h>
#include <string.h>

#include "tests/peers/hub_record.h"

#define EXPORT __attribute__((visibility("default")))

static FILE *record;

static int on_connect(int event, void *data, void *user)
{
    struct mosquitto_evt_basic_auth *login = data;
    (void)event, (void)user;
    hub_record_event(record, "connect", mosquitto_client_id(login->client), "");
    hub_record_flush(record);
    return MOSQ_ERR_SUCCESS;
}

static int on_message(int event, void *data, void *user)
{
    struct mosquitto_evt_message *m = data;
    (void)event, (void)user;
    hub_record_message(record, "publish", mosquitto_client_id(m->client), m->topic, m->qos, m->retain,
                       m->payload, m->payloadlen);
    hub_record_flush(record);
    return MOSQ_ERR_SUCCESS;
}

EXPORT int mosquitto_plugin_version(int count, const int *versions)
{
    for (int i = 0; i < count; i++) {
        if (versions[i] == 5) {
            return 5;
        }
    }
    return -1;
}

EXPORT int mosquitto_plugin_init(mosquitto_plugin_id_t *id, void **userdata, struct mosquitto_opt *options,
                                 int count)
{
    (void)userdata;
    for (int i = 0; i < count; i++) {
        if (strcmp(options[i].key, "record") == 0 && !hub_record_open(&record, options[i].value)) {
            return MOSQ_ERR_ERRNO;
        }
    }
    if (!record) {
        mosquitto_log_printf(MOSQ_LOG_ERR, "ledger: plugin_opt_record is needed");
        return MOSQ_ERR_INVAL;
    }
    int rc = mosquitto_callback_register(id, MOSQ_EVT_BASIC_AUTH, on_connect, NULL, NULL);
    return rc ? rc : mosquitto_callback_register(id, MOSQ_EVT_MESSAGE, on_message, NULL, NULL);
}

EXPORT int mosquitto_plugin_cleanup(void *userdata, struct mosquitto_opt *options, int count)
{
    (void)userdata, (void)options, (void)count;
    return record && fclose(record) == 0 ? MOSQ_ERR_SUCCESS : MOSQ_ERR_ERRNO;
}
