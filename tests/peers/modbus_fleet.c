/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * modbus_fleet - many Modbus TCP devices in one process with one thread: device I listens on 127.8.I/250.I%250+1, all on the same
 * port, and has the holding registers R = 7 * R + number of the request. Its own code from the wire up, so that it shares no mistake
 * with the gateway; cheap enough that five hundred devices leave the machine to what is measured.
 *
 *     modbus_fleet COUNT [PORT]     first line: {"port": …, "devices": …}; SIGTERM ends it
 *     SIGUSR1                       prints {"requests": …, "connections": …}
 */
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <unistd.h>

#define FRAME_BYTES 260
#define DEVICES_MAX 4000
#define EVENTS      256

struct peer {
    int fd;
    int listens;
    size_t have;
    uint8_t in[FRAME_BYTES];
};

static unsigned long requests, connections;

static _Noreturn void die(const char *what)
{
    fprintf(stderr, "modbus_fleet: %s: %s\n", what, strerror(errno));
    exit(1);
}

static unsigned word(const uint8_t *at)
{
    return (unsigned)at[0] << 8 | at[1];
}

/* One whole frame of `len` bytes; false ends the connection. */
static int answer(int fd, const uint8_t *in, size_t len)
{
    uint8_t out[FRAME_BYTES];
    unsigned first, count, function = in[7];
    size_t n;
    if (word(in + 2) != 0 || len < 8)
        return 0;
    memcpy(out, in, 8);
    first = len >= 12 ? word(in + 8) : 0;
    count = len >= 12 ? word(in + 10) : 0;
    requests++;
    if ((function != 3 && function != 4) || count < 1 || count > 125 || first + count > 65536) {
        out[7] |= 0x80;
        out[8] = function != 3 && function != 4 ? 1 : 2;
        n = 9;
    } else {
        out[8] = (uint8_t)(2 * count);
        for (unsigned i = 0; i < count; i++) {
            unsigned v = 7 * (first + i) + (unsigned)requests;
            out[9 + 2 * i] = (uint8_t)(v >> 8);
            out[10 + 2 * i] = (uint8_t)v;
        }
        n = 9 + 2 * count;
    }
    out[4] = (uint8_t)((n - 6) >> 8);
    out[5] = (uint8_t)(n - 6);
    return send(fd, out, n, MSG_NOSIGNAL) == (ssize_t)n;
}

/* False: the connection is over. */
static int serve(struct peer *p)
{
    ssize_t n = read(p->fd, p->in + p->have, sizeof p->in - p->have);
    if (n <= 0)
        return n < 0 && (errno == EAGAIN || errno == EINTR);
    p->have += (size_t)n;
    while (p->have >= 6) {
        size_t need = 6 + word(p->in + 4);
        if (need > sizeof p->in || need < 8)
            return 0;
        if (p->have < need)
            return 1;
        if (!answer(p->fd, p->in, need))
            return 0;
        p->have -= need;
        memmove(p->in, p->in + need, p->have);
    }
    return 1;
}

static struct peer *add(int epoll, int fd, int listens)
{
    struct peer *p = calloc(1, sizeof *p);
    struct epoll_event e = {.events = EPOLLIN, .data = {.ptr = p}};
    if (!p)
        die("memory");
    p->fd = fd;
    p->listens = listens;
    if (epoll_ctl(epoll, EPOLL_CTL_ADD, fd, &e) < 0)
        die("epoll");
    return p;
}

static uint16_t listen_on(int epoll, unsigned device, uint16_t port)
{
    struct sockaddr_in a = {.sin_family = AF_INET, .sin_port = htons(port)};
    socklen_t len = sizeof a;
    int on = 1, fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    a.sin_addr.s_addr = htonl(0x7f080000u | device / 250 << 8 | (device % 250 + 1));
    if (fd < 0)
        die("socket");
    setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
    if (bind(fd, (struct sockaddr *)&a, sizeof a) < 0 || listen(fd, 16) < 0 ||
        getsockname(fd, (struct sockaddr *)&a, &len) < 0)
        die("listen");
    add(epoll, fd, 1);
    return ntohs(a.sin_port);
}

static void turn(int epoll, struct peer *p)
{
    int on = 1, fd;
    if (!p->listens) {
        if (!serve(p)) {
            close(p->fd);
            free(p);
        }
        return;
    }
    fd = accept4(p->fd, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);
    if (fd < 0)
        return;
    connections++;
    setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
    add(epoll, fd, 0);
}

int main(int argc, char **argv)
{
    unsigned count = argc > 1 ? (unsigned)atoi(argv[1]) : 0;
    uint16_t port = argc > 2 ? (uint16_t)atoi(argv[2]) : 0;
    int epoll = epoll_create1(EPOLL_CLOEXEC), signals;
    struct rlimit files;
    struct signalfd_siginfo got;
    sigset_t set;
    if (count < 1 || count > DEVICES_MAX || epoll < 0) {
        fprintf(stderr, "modbus_fleet COUNT [PORT]: 1 to %d devices\n", DEVICES_MAX);
        return 2;
    }
    if (getrlimit(RLIMIT_NOFILE, &files) == 0) {
        files.rlim_cur = files.rlim_max;
        setrlimit(RLIMIT_NOFILE, &files);
    }
    sigemptyset(&set);
    sigaddset(&set, SIGTERM);
    sigaddset(&set, SIGUSR1);
    sigprocmask(SIG_BLOCK, &set, NULL);
    signals = signalfd(-1, &set, SFD_CLOEXEC);
    if (signals < 0)
        die("signalfd");
    struct peer *orders = add(epoll, signals, 0);
    for (unsigned i = 0; i < count; i++)
        port = listen_on(epoll, i, port);
    printf("{\"port\": %u, \"devices\": %u}\n", port, count);
    fflush(stdout);
    for (;;) {
        struct epoll_event e[EVENTS];
        int n = epoll_wait(epoll, e, EVENTS, -1);
        for (int i = 0; i < n; i++) {
            if (e[i].data.ptr != orders) {
                turn(epoll, e[i].data.ptr);
                continue;
            }
            if (read(signals, &got, sizeof got) != (ssize_t)sizeof got || got.ssi_signo == SIGTERM)
                return 0;
            printf("{\"requests\": %lu, \"connections\": %lu}\n", requests, connections);
            fflush(stdout);
        }
    }
}
