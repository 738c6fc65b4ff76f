/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * ledger - a mosquitto plugin that lets everybody in and writes every connect and publish to a record (hub_record.h) before the
 * broker acknowledges it: what it has said it took is in the file, also when it is killed in the next moment.
 *
 *     plugin …/ledger.so
 *     plugin_opt_record /path/of/the/record
 */
#include "tests/peers/broker_plugin.h"
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

EXPORT int mosquitto_plugin_init(mosquitto_plugin_id_t *id, void **userdata, struct mosquitto_opt *options,
                                 int count)
{
    static const struct broker_handler handlers[] = {{MOSQ_EVT_BASIC_AUTH, on_connect},
                                                     {MOSQ_EVT_MESSAGE, on_message}};
    const char *path = NULL;
    const struct broker_option known[] = {{"record", &path}};
    (void)userdata;
    if (!broker_options_read("ledger", options, count, known, 1) || !path) {
        mosquitto_log_printf(MOSQ_LOG_ERR, "ledger: plugin_opt_record is needed");
        return MOSQ_ERR_INVAL;
    }
    if (!hub_record_open(&record, path)) {
        return MOSQ_ERR_ERRNO;
    }
    return broker_handlers_register(id, handlers, sizeof handlers / sizeof handlers[0]);
}

EXPORT int mosquitto_plugin_cleanup(void *userdata, struct mosquitto_opt *options, int count)
{
    (void)userdata, (void)options, (void)count;
    return record && fclose(record) == 0 ? MOSQ_ERR_SUCCESS : MOSQ_ERR_ERRNO;
}
