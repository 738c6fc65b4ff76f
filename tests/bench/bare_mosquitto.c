/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * bare_mosquitto - the yardstick: a libmosquitto client without any store, publishing N messages at QoS 1 over TLS with
 * 100 in flight. Prints one JSON line.   bare_mosquitto PORT CA COUNT PAYLOAD_BYTES
 */
#include <mosquitto.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

static long acked, sent, count;
static int payload_len;
static char payload[65536];

static double now_s(void)
{
    struct timespec ts;
    clock_gettime(CLOCK_MONOTONIC, &ts);
    return (double)ts.tv_sec + (double)ts.tv_nsec / 1e9;
}

static void send_one(struct mosquitto *m)
{
    if (sent < count &&
        mosquitto_publish(m, NULL, "bench/bare/data", payload_len, payload, 1, false) == MOSQ_ERR_SUCCESS)
        sent++;
}

static void on_connect(struct mosquitto *m, void *user, int code)
{
    (void)user;
    if (code) {
        fprintf(stderr, "refused: %d\n", code);
        exit(1);
    }
    for (int i = 0; i < 200; i++) /* 100 on their way and as many ready behind them */
        send_one(m);
}

static void on_publish(struct mosquitto *m, void *user, int id)
{
    (void)user;
    (void)id;
    acked++;
    send_one(m);
}

int main(int argc, char **argv)
{
    struct mosquitto *m;
    double begin, seconds;
    if (argc != 5)
        return 2;
    count = atol(argv[3]);
    payload_len = atoi(argv[4]);
    memset(payload, 'x', sizeof payload);
    mosquitto_lib_init();
    m = mosquitto_new("bare", true, NULL);
    if (!m || mosquitto_tls_set(m, argv[2], NULL, NULL, NULL, NULL) ||
        mosquitto_max_inflight_messages_set(m, 100))
        return 1;
    mosquitto_int_option(m, MOSQ_OPT_TCP_NODELAY, 1);
    mosquitto_connect_callback_set(m, on_connect);
    mosquitto_publish_callback_set(m, on_publish);
    if (mosquitto_connect(m, "localhost", atoi(argv[1]), 60))
        return 1;
    begin = now_s();
    while (acked < count)
        if (mosquitto_loop(m, 1000, 1))
            return 1;
    seconds = now_s() - begin;
    printf("{\"messages\":%ld,\"seconds\":%.3f,\"per_second\":%.0f}\n", acked, seconds,
           (double)acked / seconds);
    mosquitto_disconnect(m);
    mosquitto_destroy(m);
    mosquitto_lib_cleanup();
    return 0;
}
