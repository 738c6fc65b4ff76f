/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * bare_wolfssl - the yardstick of connecting: clients with nothing but wolfSSL and a CONNECT, eight at a time, all of which stay
 * connected. The server is verified as the gateway does it: chain, name, X25519. Prints one JSON line.
 *
 *     bare_wolfssl PORT CA COUNT
 */
#include <wolfssl/options.h>

#include <wolfssl/ssl.h>

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#define AT_A_TIME 8

struct client {
    int fd;
    short events; /* that it waits for */
    enum { CONNECTING, HANDSHAKE, LOGIN } state;
    WOLFSSL *ssl;
};

static WOLFSSL_CTX *ctx;
static uint16_t port;

static _Noreturn void give_up(const char *what, int code)
{
    fprintf(stderr, "bare_wolfssl: %s (%d)\n", what, code);
    exit(1);
}

static double seconds(clockid_t clock)
{
    struct timespec ts;
    clock_gettime(clock, &ts);
    return (double)ts.tv_sec + (double)ts.tv_nsec / 1e9;
}

static long resident_kb(void)
{
    long size, resident;
    FILE *f = fopen("/proc/self/statm", "r");
    if (!f || fscanf(f, "%ld %ld", &size, &resident) != 2)
        give_up("no /proc/self/statm", 0);
    fclose(f);
    return resident * (sysconf(_SC_PAGESIZE) / 1024);
}

static void begin(struct client *c)
{
    struct sockaddr_in to = {.sin_family = AF_INET, .sin_port = htons(port)};
    int on = 1;
    to.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    c->fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (c->fd < 0 || setsockopt(c->fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on) < 0)
        give_up("no socket", errno);
    if (connect(c->fd, (struct sockaddr *)&to, sizeof to) < 0 && errno != EINPROGRESS)
        give_up("connect", errno);
    c->state = CONNECTING;
    c->events = POLLOUT;
    c->ssl = wolfSSL_new(ctx);
    if (!c->ssl || wolfSSL_check_domain_name(c->ssl, "localhost") != WOLFSSL_SUCCESS ||
        wolfSSL_UseSNI(c->ssl, WOLFSSL_SNI_HOST_NAME, "localhost", 9) != WOLFSSL_SUCCESS ||
        wolfSSL_UseKeyShare(c->ssl, WOLFSSL_ECC_X25519) != WOLFSSL_SUCCESS ||
        wolfSSL_set_fd(c->ssl, c->fd) != WOLFSSL_SUCCESS)
        give_up("no session", 0);
    wolfSSL_set_using_nonblock(c->ssl, 1);
}

/* After a call that did not succeed. */
static void wait_as_told(struct client *c, int rc)
{
    int why = wolfSSL_get_error(c->ssl, rc);
    if (why != WOLFSSL_ERROR_WANT_READ && why != WOLFSSL_ERROR_WANT_WRITE)
        give_up("TLS", why);
    c->events = why == WOLFSSL_ERROR_WANT_READ ? POLLIN : POLLOUT;
}

static void log_in(struct client *c, unsigned number)
{
    unsigned char packet[64] = {0x10, 0, 0, 4, 'M', 'Q', 'T', 'T', 4, 2, 0, 240};
    int id = snprintf((char *)packet + 14, sizeof packet - 14, "bare-%u", number), len = 14 + id;
    packet[1] = (unsigned char)(len - 2);
    packet[13] = (unsigned char)id;
    if (wolfSSL_write(c->ssl, packet, len) != len)
        give_up("CONNECT", 0);
    c->state = LOGIN;
    c->events = POLLIN;
}

/* True when it is connected. */
static int go_on(struct client *c, unsigned number)
{
    unsigned char connack[4];
    int rc;
    if (c->state == CONNECTING)
        c->state = HANDSHAKE;
    if (c->state == HANDSHAKE) {
        rc = wolfSSL_connect(c->ssl);
        if (rc != WOLFSSL_SUCCESS) {
            wait_as_told(c, rc);
            return 0;
        }
        log_in(c, number);
    }
    rc = wolfSSL_read(c->ssl, connack, sizeof connack);
    if (rc <= 0) {
        wait_as_told(c, rc);
        return 0;
    }
    if (rc != 4 || connack[0] != 0x20 || connack[3] != 0)
        give_up("CONNACK", rc);
    return 1;
}

int main(int argc, char **argv)
{
    struct rlimit files;
    unsigned count = argc == 4 ? (unsigned)atoi(argv[3]) : 0, begun = 0, done = 0;
    struct client *all = calloc(count ? count : 1, sizeof *all);
    unsigned active[AT_A_TIME], n = 0;
    double wall, cpu;
    long before;
    if (count == 0 || !all)
        return 2;
    if (getrlimit(RLIMIT_NOFILE, &files) == 0) {
        files.rlim_cur = files.rlim_max;
        (void)setrlimit(RLIMIT_NOFILE, &files);
    }
    port = (uint16_t)atoi(argv[1]);
    wolfSSL_Init();
    ctx = wolfSSL_CTX_new(wolfTLSv1_3_client_method());
    if (!ctx || wolfSSL_CTX_load_verify_locations(ctx, argv[2], NULL) != WOLFSSL_SUCCESS)
        give_up("CA file", 0);
    wolfSSL_CTX_set_verify(ctx, WOLFSSL_VERIFY_PEER, NULL);
    before = resident_kb();
    wall = seconds(CLOCK_MONOTONIC);
    cpu = seconds(CLOCK_PROCESS_CPUTIME_ID);
    while (done < count) {
        struct pollfd fds[AT_A_TIME];
        while (n < AT_A_TIME && begun < count) {
            begin(&all[begun]);
            active[n++] = begun++;
        }
        for (unsigned i = 0; i < n; i++)
            fds[i] = (struct pollfd){.fd = all[active[i]].fd, .events = all[active[i]].events};
        if (poll(fds, n, 10000) <= 0)
            give_up("the broker is silent", errno);
        for (unsigned i = n; i-- > 0;)
            if (fds[i].revents && go_on(&all[active[i]], active[i])) {
                done++;
                active[i] = active[--n];
            }
    }
    wall = seconds(CLOCK_MONOTONIC) - wall;
    cpu = seconds(CLOCK_PROCESS_CPUTIME_ID) - cpu;
    printf("{\"connects\":%u,\"seconds\":%.3f,\"cpu_seconds\":%.3f,\"kb_each\":%.1f}\n", count, wall, cpu,
           (double)(resident_kb() - before) / count);
    return 0; /* the kernel closes them all */
}
