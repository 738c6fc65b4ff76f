/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * local_source - the field application beside a local broker that bridges: publishes samples to it at QoS 1 over loopback, without
 * TLS. A sample is the broker's when its PUBACK has come.
 *
 *     local_source PORT - DIR RATE COUNT            (source.h)
 *
 * It connects again after a second when the local broker is gone, and sends again what had no PUBACK.
 */
#include "source.h"

#include <mosquitto.h>
#include <signal.h>
#include <stdbool.h>

static struct source source;
static uint64_t sample_of[65536]; /* by packet id */
static int in_flight;
static bool connected;
static volatile sig_atomic_t ending;

static void on_connect(struct mosquitto *m, void *user, int code)
{
    (void)m;
    (void)user;
    connected = code == 0;
}

static void on_disconnect(struct mosquitto *m, void *user, int code)
{
    (void)m;
    (void)user;
    (void)code;
    connected = false;
}

static void on_publish(struct mosquitto *m, void *user, int id)
{
    (void)m;
    (void)user;
    in_flight--;
    if (sample_of[id] > *source.accepted) /* a broker answers in order */
        *source.accepted = sample_of[id];
}

static void on_signal(int number)
{
    (void)number;
    ending = 1;
}

int main(int argc, char **argv)
{
    struct mosquitto *m;
    char text[SOURCE_SAMPLE_MAX];
    if (argc != 6)
        return 2;
    signal(SIGTERM, on_signal);
    source_open(&source, argv);
    mosquitto_lib_init();
    m = mosquitto_new("local-source", true, NULL);
    if (!m)
        return 1;
    mosquitto_max_inflight_messages_set(m, SOURCE_WINDOW);
    mosquitto_int_option(m, MOSQ_OPT_TCP_NODELAY, 1);
    mosquitto_connect_callback_set(m, on_connect);
    mosquitto_disconnect_callback_set(m, on_disconnect);
    mosquitto_publish_callback_set(m, on_publish);
    mosquitto_connect(m, "localhost", atoi(argv[1]), 60);
    while (!ending) {
        if (mosquitto_loop(m, 2, 1) != MOSQ_ERR_SUCCESS && !ending) {
            sleep(1);
            mosquitto_reconnect(m);
        }
        for (uint64_t due = source_due(&source); connected && due > 0 && in_flight < 2 * SOURCE_WINDOW;
             due--) {
            int id, len = source_text(text, source.made + 1);
            if (mosquitto_publish(m, &id, "bench/local/data", len, text, 1, false) != MOSQ_ERR_SUCCESS)
                break;
            sample_of[id] = ++source.made;
            in_flight++;
        }
    }
    mosquitto_disconnect(m);
    mosquitto_destroy(m);
    mosquitto_lib_cleanup();
    return 0;
}
