/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * mqtt_probe - the client core on a plain TCP socket, led by lines on standard input, for scenario tests
 * against real brokers. Each thing that happens is a line on standard output. Ends with its input.
 *
 *     mqtt_probe WINDOW
 *
 *     connect PORT ID clean|keep KEEPALIVE_S   to 127.0.0.1; in flight is sent again after CONNACK
 *     subscribe FILTER QOS
 *     publish TOPIC FIRST COUNT BYTES          QoS 1, tags FIRST …, body = the tag filled up to BYTES
 *     hold | ack                               leave inbound QoS 1 unacknowledged | acknowledge, oldest last
 *     disconnect | drop                        with and without DISCONNECT
 */
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#include "core/base/clock.h"
#include "northbound/mqtt/mqtt_client.h"

#define MAX_BODY   4096
#define MAX_WINDOW 1000

static struct {
    struct tg_mqtt_client client;
    struct tg_mqtt_slot slots[MAX_WINDOW];
    struct tg_writer out;
    uint8_t out_memory[1 << 16], in[1 << 19];
    size_t in_len;
    int fd; /* -1 = no connection */
    bool hold, window_told;
    uint16_t held[TG_MQTT_MAX_UNACKED_IN];
    unsigned held_count;
    char topic[128];
    uint64_t next_tag, end_tag;
    size_t body_bytes;
} probe;

static void close_socket(const char *why)
{
    if (probe.fd < 0)
        return;
    close(probe.fd);
    probe.fd = -1;
    probe.in_len = 0;
    probe.held_count = 0;
    tg_mqtt_client_transport_lost(&probe.client);
    printf("closed in_flight=%u %s\n", tg_mqtt_client_in_flight(&probe.client), why);
}

static void flush_out(void)
{
    size_t done = 0;
    while (probe.fd >= 0 && done < probe.out.len) {
        ssize_t n = send(probe.fd, probe.out.data + done, probe.out.len - done, MSG_NOSIGNAL);
        if (n < 0 && errno != EINTR) {
            close_socket("while sending");
            break;
        }
        done += n > 0 ? (size_t)n : 0;
    }
    probe.out.len = 0;
}

static struct tg_bytes body_of(uint64_t tag)
{
    static char body[MAX_BODY];
    int n = snprintf(body, sizeof body, "%llu", (unsigned long long)tag);
    size_t len = (size_t)n < probe.body_bytes ? probe.body_bytes : (size_t)n;
    memset(body + n, '.', len - (size_t)n);
    return tg_bytes(body, len);
}

static void tell_sent(const char *what, uint64_t tag, int r)
{
    if (r < 0)
        printf("error %s tag=%llu %s\n", what, (unsigned long long)tag, tg_code_name(r));
    else
        printf("%s tag=%llu\n", what, (unsigned long long)tag);
}

/* Sends again what must be, then what is new, as far as the window goes. */
static void pump(void)
{
    int64_t now = tg_clock_mono_ms();
    struct tg_bytes topic = tg_bytes_str(probe.topic);
    uint64_t tag;
    while (tg_mqtt_client_resend_next(&probe.client, &tag) == 1 && probe.fd >= 0) {
        int r = tg_mqtt_client_resend(&probe.client, now, topic, body_of(tag), false, &probe.out);
        tell_sent("resent", tag, r);
        flush_out();
        if (r < 0)
            return;
    }
    while (probe.next_tag < probe.end_tag && tg_mqtt_client_window(&probe.client) > 0 && probe.fd >= 0) {
        tag = probe.next_tag;
        int r =
            tg_mqtt_client_publish(&probe.client, now, topic, body_of(tag), 1, false, tag, NULL, &probe.out);
        if (r == TG_EFULL) {
            flush_out();
            continue;
        }
        tell_sent("sent", tag, r);
        probe.next_tag++;
        probe.window_told = false;
    }
    flush_out();
    if (probe.next_tag < probe.end_tag && probe.fd >= 0 && !probe.window_told) {
        printf("window-full in_flight=%u\n", tg_mqtt_client_in_flight(&probe.client));
        probe.window_told = true;
    }
}

static void on_message(const struct tg_mqtt_event *e)
{
    printf("message id=%u qos=%u dup=%d %.*s %.*s\n", e->packet_id, e->qos, e->dup, (int)e->topic.len,
           (const char *)e->topic.data, (int)e->payload.len, (const char *)e->payload.data);
    if (e->qos == 0)
        return;
    probe.held[probe.held_count++ % TG_MQTT_MAX_UNACKED_IN] = e->packet_id;
}

/* Given up in reverse order: the core puts them in order of receipt. */
static void ack_held(void)
{
    while (probe.held_count > 0 && !probe.hold) {
        int r =
            tg_mqtt_client_ack(&probe.client, tg_clock_mono_ms(), probe.held[--probe.held_count], &probe.out);
        if (r < 0)
            printf("error ack %s\n", tg_code_name(r));
    }
    flush_out();
}

static void on_event(const struct tg_mqtt_event *e)
{
    switch (e->type) {
    case TG_MQTT_EVENT_CONNACK:
        printf("connected session=%d rc=%u\n", e->session_present, e->return_code);
        if (e->return_code != 0)
            close_socket("refused");
        break;
    case TG_MQTT_EVENT_PUBACK:
        printf("acked tag=%llu id=%u\n", (unsigned long long)e->tag, e->packet_id);
        if (probe.next_tag == probe.end_tag && tg_mqtt_client_in_flight(&probe.client) == 0)
            printf("idle\n");
        break;
    case TG_MQTT_EVENT_MESSAGE:
        on_message(e);
        break;
    case TG_MQTT_EVENT_SUBACK:
        printf("suback code=%u\n", e->codes[0]);
        break;
    case TG_MQTT_EVENT_BARRIER:
    case TG_MQTT_EVENT_NONE:
        break;
    }
}

static void on_readable(void)
{
    ssize_t n = recv(probe.fd, probe.in + probe.in_len, sizeof probe.in - probe.in_len, 0);
    size_t begin = 0, used = 0;
    int r;
    if (n <= 0) {
        close_socket("by the broker");
        return;
    }
    probe.in_len += (size_t)n;
    do {
        struct tg_mqtt_event event;
        struct tg_bytes in = tg_bytes(probe.in + begin, probe.in_len - begin);
        r = tg_mqtt_client_input(&probe.client, tg_clock_mono_ms(), in, &probe.out, &event, &used);
        if (r < 0)
            printf("error input %s %s\n", tg_code_name(r), probe.client.reason);
        if (r == 1)
            on_event(&event);
        begin += used;
    } while (r >= 0 && used > 0 && probe.fd >= 0);
    if (r < 0 && r != TG_EFULL)
        close_socket(probe.client.reason);
    if (probe.fd < 0)
        return;
    memmove(probe.in, probe.in + begin, probe.in_len - begin);
    probe.in_len -= begin;
    ack_held();
    pump();
}

static void cmd_connect(const char *args)
{
    struct sockaddr_in to = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    struct tg_mqtt_connect connect_packet = {0};
    char id[64], mode[8];
    unsigned port, keepalive;
    int one = 1, r;
    if (sscanf(args, "%u %63s %7s %u", &port, id, mode, &keepalive) != 4) {
        printf("error usage\n");
        return;
    }
    to.sin_port = htons((uint16_t)port);
    probe.fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (probe.fd < 0 || connect(probe.fd, (struct sockaddr *)&to, sizeof to) < 0) {
        close_socket("cannot connect");
        return;
    }
    setsockopt(probe.fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
    connect_packet.client_id = tg_bytes_str(id);
    connect_packet.clean_session = strcmp(mode, "clean") == 0;
    connect_packet.keepalive_s = (uint16_t)keepalive;
    r = tg_mqtt_client_connect(&probe.client, tg_clock_mono_ms(), &connect_packet, &probe.out);
    if (r < 0)
        printf("error connect %s %s\n", tg_code_name(r), probe.client.reason);
    flush_out();
}

static void cmd_subscribe(const char *args)
{
    char filter[128];
    unsigned qos;
    if (sscanf(args, "%127s %u", filter, &qos) == 2) {
        struct tg_bytes view = tg_bytes_str(filter);
        uint8_t q = (uint8_t)qos;
        int r = tg_mqtt_client_subscribe(&probe.client, tg_clock_mono_ms(), &view, &q, 1, &probe.out);
        if (r < 0)
            printf("error subscribe %s\n", tg_code_name(r));
        flush_out();
    }
}

static void cmd_publish(const char *args)
{
    unsigned long long first, count;
    size_t bytes;
    if (sscanf(args, "%127s %llu %llu %zu", probe.topic, &first, &count, &bytes) == 4 && bytes < MAX_BODY) {
        probe.next_tag = first;
        probe.end_tag = first + count;
        probe.body_bytes = bytes;
        pump();
    }
}

static void run_line(const char *line)
{
    if (strncmp(line, "connect ", 8) == 0) {
        cmd_connect(line + 8);
    } else if (strncmp(line, "subscribe ", 10) == 0) {
        cmd_subscribe(line + 10);
    } else if (strncmp(line, "publish ", 8) == 0) {
        cmd_publish(line + 8);
    } else if (strcmp(line, "hold") == 0) {
        probe.hold = true;
    } else if (strcmp(line, "ack") == 0) {
        probe.hold = false;
        ack_held();
    } else if (strcmp(line, "drop") == 0) {
        close_socket("dropped");
    } else if (strcmp(line, "disconnect") == 0) {
        if (tg_mqtt_client_disconnect(&probe.client, tg_clock_mono_ms(), &probe.out) == 0)
            flush_out();
        close_socket("disconnected");
    } else {
        printf("error unknown command %s\n", line);
    }
}

/* Runs the whole lines that have come; false at the end of the input. */
static bool on_stdin(void)
{
    static char text[4096];
    static size_t len;
    ssize_t n = read(STDIN_FILENO, text + len, sizeof text - 1 - len);
    char *end;
    if (n <= 0)
        return false;
    len += (size_t)n;
    text[len] = '\0';
    while ((end = strchr(text, '\n')) != NULL) {
        *end = '\0';
        run_line(text);
        len -= (size_t)(end + 1 - text);
        memmove(text, end + 1, len + 1);
    }
    return len < sizeof text - 1;
}

static int wait_ms(void)
{
    int64_t due = tg_mqtt_client_deadline(&probe.client), now = tg_clock_mono_ms();
    if (probe.fd < 0 || due == INT64_MAX)
        return -1;
    return due <= now ? 0 : due - now > 60000 ? 60000 : (int)(due - now);
}

int main(int argc, char **argv)
{
    int window = argc == 2 ? atoi(argv[1]) : 0;
    if (window < 1 || window > MAX_WINDOW) {
        fprintf(stderr, "usage: mqtt_probe WINDOW (1 to %d)\n", MAX_WINDOW);
        return 2;
    }
    setvbuf(stdout, NULL, _IOLBF, 0);
    probe.fd = -1;
    probe.out = tg_writer_init(probe.out_memory, sizeof probe.out_memory);
    tg_mqtt_client_init(&probe.client, NULL, probe.slots, (uint16_t)window);
    for (;;) {
        struct pollfd fds[2] = {{.fd = STDIN_FILENO, .events = POLLIN}, {.fd = probe.fd, .events = POLLIN}};
        if (poll(fds, 2, wait_ms()) < 0 && errno != EINTR)
            return 1;
        if (fds[1].revents && probe.fd >= 0)
            on_readable();
        if (fds[0].revents && !on_stdin())
            return 0;
        if (probe.fd >= 0 && tg_mqtt_client_tick(&probe.client, tg_clock_mono_ms(), &probe.out) < 0)
            close_socket(probe.client.reason);
        flush_out();
    }
}
