/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * paho_bridge - Eclipse Paho C as its documentation has it for data that must not be lost: MQTTAsync with its file persistence, QoS 1
 * over TLS, a session that is not cleaned, automatic reconnect, messages buffered while disconnected without limit.
 *
 *     paho_bridge PORT CA DIR RATE COUNT            (source.h)
 *
 * A sample is Paho's when MQTTAsync_send() has returned: by then its persistence has a file of it.
 */
#include "source.h"

#include <MQTTAsync.h>
#include <signal.h>
#include <stdbool.h>
#include <stdatomic.h>

static struct source source;
static _Atomic int64_t pending; /* given to Paho, not acknowledged */
static atomic_bool ending;

static void on_delivered(void *user, MQTTAsync_successData *data)
{
    (void)user;
    (void)data;
    pending--;
}

static void on_failed(void *user, MQTTAsync_failureData *data)
{
    (void)user;
    fprintf(stderr, "not delivered: %s\n", data && data->message ? data->message : "no reason given");
    pending--;
}

static void on_signal(int number)
{
    (void)number;
    ending = true;
}

static MQTTAsync open_client(char **argv)
{
    MQTTAsync client;
    MQTTAsync_createOptions create = MQTTAsync_createOptions_initializer;
    MQTTAsync_connectOptions connect = MQTTAsync_connectOptions_initializer;
    MQTTAsync_SSLOptions tls = MQTTAsync_SSLOptions_initializer;
    char url[64];
    snprintf(url, sizeof url, "ssl://localhost:%s", argv[1]);
    create.sendWhileDisconnected = 1;
    create.allowDisconnectedSendAtAnyTime = 1;
    create.maxBufferedMessages = 10000000;
    if (MQTTAsync_createWithOptions(&client, url, "paho-bridge", MQTTCLIENT_PERSISTENCE_DEFAULT, argv[3],
                                    &create))
        source_fail(argv[3], "Paho does not start there");
    tls.trustStore = argv[2];
    tls.enableServerCertAuth = 1;
    tls.verify = 1;
    connect.ssl = &tls;
    connect.cleansession = 0;
    connect.keepAliveInterval = 60;
    connect.maxInflight = SOURCE_WINDOW;
    connect.automaticReconnect = 1;
    connect.minRetryInterval = connect.maxRetryInterval = 1;
    if (MQTTAsync_connect(client, &connect))
        source_fail(url, "Paho does not connect");
    return client;
}

int main(int argc, char **argv)
{
    MQTTAsync client;
    MQTTAsync_responseOptions options = MQTTAsync_responseOptions_initializer;
    char text[SOURCE_SAMPLE_MAX];
    if (argc != 6)
        return 2;
    signal(SIGTERM, on_signal);
    source_open(&source, argv);
    client = open_client(argv);
    options.onSuccess = on_delivered;
    options.onFailure = on_failed;
    while (!ending) {
        uint64_t due = source_due(&source);
        for (; due > 0 && !ending && (source.rate > 0 || pending < 2 * SOURCE_WINDOW); due--) {
            int len = source_text(text, source.made + 1);
            int code = MQTTAsync_send(client, "bench/paho/data", len, text, 1, 0, &options);
            if (code != MQTTASYNC_SUCCESS) {
                fprintf(stderr, "refused: %s\n", MQTTAsync_strerror(code));
                break;
            }
            pending++;
            *source.accepted = ++source.made;
        }
        source_pause(&source, 1);
    }
    MQTTAsync_destroy(&client);
    return 0;
}
