/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * seq_judge - subscribes to everything that a fleet publishes and judges it: per device (last part but one of the topic PREFIX/DEVICE/…, that is the
 * part after the prefix) `seq` has to begin at 1 and grow by 1, within a message and from one to the next; what has been there already is a
 * duplicate, what comes before what it should follow is a hole that must close. Its own code, on Debian's libmosquitto.
 *
 *     seq_judge PORT CA [TOPIC]      TLS to localhost; TOPIC: tidegate/# when not given
 *
 * A line each: {"ready": true} when it is subscribed; after SIGUSR1 {"samples": …, "devices": …, "holes": …, "duplicates": …, "least": …, "most": …},
 * least and most being the last seq of the devices, "silent_ms" since when nothing came. SIGTERM ends it.
 */
#include <errno.h>
#include <mosquitto.h>
#include <poll.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/signalfd.h>
#include <time.h>
#include <unistd.h>

#define SLOTS      8192 /* more than twice the devices */
#define NAME_BYTES 64

static struct device {
    char name[NAME_BYTES];
    uint64_t last;
} devices[SLOTS];
static unsigned device_count;
static uint64_t samples, holes, duplicates;
static int64_t last_ms;

static _Noreturn void die(const char *what, int rc)
{
    fprintf(stderr, "seq_judge: %s: %s\n", what, mosquitto_strerror(rc));
    exit(1);
}

static int64_t now_ms(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (int64_t)t.tv_sec * 1000 + t.tv_nsec / 1000000;
}

static struct device *device_of(const char *name, size_t len)
{
    uint32_t hash = 2166136261u;
    if (len == 0 || len >= NAME_BYTES)
        return NULL;
    for (size_t i = 0; i < len; i++)
        hash = (hash ^ (uint8_t)name[i]) * 16777619u;
    for (unsigned i = 0; i < SLOTS; i++) {
        struct device *d = &devices[(hash + i) % SLOTS];
        if (!d->name[0]) {
            memcpy(d->name, name, len);
            device_count++;
            return d;
        }
        if (strncmp(d->name, name, len) == 0 && !d->name[len])
            return d;
    }
    return NULL;
}

static void judge(struct device *d, uint64_t seq)
{
    samples++;
    if (seq == d->last + 1) {
        d->last = seq;
    } else if (seq <= d->last) {
        duplicates++;
    } else {
        holes += seq - d->last - 1;
        d->last = seq;
    }
}

static void on_message(struct mosquitto *m, void *user, const struct mosquitto_message *message)
{
    static const char key[] = "\"seq\":";
    const char *at = message->payload, *end = at + message->payloadlen;
    const char *name = strchr(message->topic, '/');
    struct device *d = name ? device_of(name + 1, strcspn(name + 1, "/")) : NULL;
    (void)m;
    (void)user;
    last_ms = now_ms();
    if (!d) {
        fprintf(stderr, "seq_judge: nobody's topic: %s\n", message->topic);
        return;
    }
    while (at && at < end) {
        at = memmem(at, (size_t)(end - at), key, sizeof key - 1);
        if (!at)
            break;
        at += sizeof key - 1;
        uint64_t seq = 0;
        for (; at < end && *at >= '0' && *at <= '9'; at++)
            seq = 10 * seq + (uint64_t)(*at - '0');
        judge(d, seq);
    }
}

static void on_subscribe(struct mosquitto *m, void *user, int id, int count, const int *granted)
{
    (void)m;
    (void)user;
    (void)id;
    (void)count;
    (void)granted;
    puts("{\"ready\": true}");
    fflush(stdout);
}

static void on_connect(struct mosquitto *m, void *topic, int rc)
{
    rc = rc == 0 ? mosquitto_subscribe(m, NULL, topic, 1) : rc;
    if (rc != 0)
        die("connect", rc);
}

static void report(void)
{
    uint64_t least = UINT64_MAX, most = 0;
    for (unsigned i = 0; i < SLOTS; i++) {
        if (!devices[i].name[0])
            continue;
        least = devices[i].last < least ? devices[i].last : least;
        most = devices[i].last > most ? devices[i].last : most;
    }
    printf("{\"samples\": %llu, \"devices\": %u, \"holes\": %llu, \"duplicates\": %llu, \"least\": %llu, "
           "\"most\": %llu, "
           "\"silent_ms\": %lld}\n",
           (unsigned long long)samples, device_count, (unsigned long long)holes,
           (unsigned long long)duplicates, (unsigned long long)(device_count ? least : 0),
           (unsigned long long)most, (long long)(last_ms ? now_ms() - last_ms : -1));
    fflush(stdout);
}

int main(int argc, char **argv)
{
    char *topic = argc > 3 ? argv[3] : (char[]){"tidegate/#"};
    struct signalfd_siginfo got;
    sigset_t set;
    struct mosquitto *m;
    int signals, rc;
    if (argc < 3) {
        fprintf(stderr, "seq_judge PORT CA [TOPIC]\n");
        return 2;
    }
    sigemptyset(&set);
    sigaddset(&set, SIGTERM);
    sigaddset(&set, SIGUSR1);
    sigprocmask(SIG_BLOCK, &set, NULL);
    signals = signalfd(-1, &set, SFD_CLOEXEC);
    mosquitto_lib_init();
    m = mosquitto_new("seq-judge", true, topic);
    if (!m || signals < 0)
        die("start", MOSQ_ERR_NOMEM);
    mosquitto_connect_callback_set(m, on_connect);
    mosquitto_subscribe_callback_set(m, on_subscribe);
    mosquitto_message_callback_set(m, on_message);
    if ((rc = mosquitto_tls_set(m, argv[2], NULL, NULL, NULL, NULL)) != 0 ||
        (rc = mosquitto_connect(m, "localhost", atoi(argv[1]), 60)) != 0)
        die("connect", rc);
    for (;;) {
        struct pollfd fds[2] = {{.fd = mosquitto_socket(m), .events = POLLIN},
                                {.fd = signals, .events = POLLIN}};
        fds[0].events |= mosquitto_want_write(m) ? POLLOUT : 0;
        if (poll(fds, 2, 1000) < 0 && errno != EINTR)
            die("poll", MOSQ_ERR_ERRNO);
        if (fds[0].revents & (POLLIN | POLLHUP | POLLERR) && (rc = mosquitto_loop_read(m, 100)) != 0)
            die("read", rc);
        if (mosquitto_want_write(m) && (rc = mosquitto_loop_write(m, 100)) != 0)
            die("write", rc);
        (void)mosquitto_loop_misc(m);
        if (!(fds[1].revents & POLLIN))
            continue;
        if (read(signals, &got, sizeof got) != (ssize_t)sizeof got || got.ssi_signo == SIGTERM)
            return 0;
        report();
    }
}
