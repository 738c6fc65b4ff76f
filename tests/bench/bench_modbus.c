/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * bench_modbus - registers a second over TCP on loopback: the plugin reading 1,000 points of one unit,
 * against a bare libmodbus loop reading the same 1,000 registers in blocks of 125. Both read from a libmodbus
 * server in this process, in turns of a quarter of a second; the median turn of each counts, so that what
 * else the machine does weighs little.
 *
 *     bench_modbus [ROUNDS]        last line: {"ratio": …, "plugin_registers_per_second": …, …}
 *
 * The plugin's part includes what it does with a register: decoding into a value and emitting it (the fake
 * host counts). Its waits are skipped by a clock that jumps, so that the time measured is the time it works.
 */
#include <errno.h>
#include <modbus/modbus.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "support/fake_host.h"

#define MAX_ROUNDS 101
#define REGISTERS  1000
#define BLOCK      125
#define TURN_S     0.25

static _Noreturn void die(const char *what)
{
    fprintf(stderr, "bench_modbus: %s: %s\n", what, modbus_strerror(errno));
    exit(1);
}

static double now_s(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

/* Serves one connection until its peer closes it. */
static void *serve(void *user)
{
    int fd = (int)(intptr_t)user, on = 1, n;
    uint8_t query[MODBUS_TCP_MAX_ADU_LENGTH];
    modbus_t *ctx = modbus_new_tcp("127.0.0.1", 0);
    modbus_mapping_t *map = modbus_mapping_new(0, 0, REGISTERS, 0);
    if (!ctx || !map)
        die("server");
    for (int i = 0; i < REGISTERS; i++)
        map->tab_registers[i] = (uint16_t)(3 * i);
    modbus_set_socket(ctx, fd);
    setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
    while ((n = modbus_receive(ctx, query)) >= 0)
        if (n > 0 && modbus_reply(ctx, query, n, map) < 0)
            break;
    modbus_mapping_free(map);
    modbus_close(ctx);
    modbus_free(ctx);
    return NULL;
}

static void *accept_two(void *user)
{
    int listener = (int)(intptr_t)user;
    pthread_t threads[2];
    for (int i = 0; i < 2; i++) {
        int fd = accept(listener, NULL, NULL);
        if (fd < 0 || pthread_create(&threads[i], NULL, serve, (void *)(intptr_t)fd) != 0)
            die("accept");
    }
    for (int i = 0; i < 2; i++)
        pthread_join(threads[i], NULL);
    return NULL;
}

static uint16_t listen_somewhere(int *ret_fd)
{
    struct sockaddr_in a = {.sin_family = AF_INET, .sin_addr = {htonl(INADDR_LOOPBACK)}};
    socklen_t len = sizeof a;
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (fd < 0 || bind(fd, (struct sockaddr *)&a, sizeof a) < 0 || listen(fd, 4) < 0 ||
        getsockname(fd, (struct sockaddr *)&a, &len) < 0)
        die("listen");
    *ret_fd = fd;
    return ntohs(a.sin_port);
}

static double bare_turn(modbus_t *ctx)
{
    uint16_t words[REGISTERS];
    double begin = now_s();
    uint64_t read = 0;
    while (now_s() - begin < TURN_S) {
        for (int at = 0; at < REGISTERS; at += BLOCK)
            if (modbus_read_registers(ctx, at, BLOCK, words + at) != BLOCK)
                die("read");
        read += REGISTERS;
    }
    return (double)read / (now_s() - begin);
}

static double plugin_turn(struct fake_host *h)
{
    double begin = now_s();
    uint64_t before = fake_values_emitted(h);
    while (now_s() - begin < TURN_S)
        (void)fake_poll(h);
    return (double)(fake_values_emitted(h) - before) / (now_s() - begin);
}

static struct fake_host *start_plugin(uint16_t port)
{
    char text[32], error[FAKE_TEXT];
    struct fake_host *h = fake_host_new("modbus");
    fake_source_set(h, "host", "127.0.0.1");
    snprintf(text, sizeof text, "%u", port);
    fake_source_set(h, "port", text);
    uint32_t d = fake_device(h, "unit");
    for (int i = 0; i < REGISTERS; i++) {
        snprintf(text, sizeof text, "holding:%d", i);
        fake_point_set(h, d, fake_point(h, d, text, 1000), "address", text);
    }
    fake_clock_jumps(h);
    fake_record_nothing(h);
    if (fake_open(h, error) != 0)
        die(error);
    return h;
}

static int ascending(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

static double median(double *turns, int n)
{
    qsort(turns, (size_t)n, sizeof *turns, ascending);
    return turns[n / 2];
}

int main(int argc, char **argv)
{
    int listener, rounds = argc > 1 ? atoi(argv[1]) : 11;
    double bare[MAX_ROUNDS], plugin[MAX_ROUNDS];
    pthread_t server;
    rounds = rounds < 1 || rounds > MAX_ROUNDS ? MAX_ROUNDS : rounds;
    uint16_t port = listen_somewhere(&listener);
    if (pthread_create(&server, NULL, accept_two, (void *)(intptr_t)listener) != 0)
        die("thread");
    modbus_t *ctx = modbus_new_tcp("127.0.0.1", port);
    if (!ctx || modbus_connect(ctx) < 0)
        die("connect");
    struct fake_host *h = start_plugin(port);
    for (int i = 0; i < rounds; i++) {
        bare[i] = bare_turn(ctx);
        plugin[i] = plugin_turn(h);
        printf("bare libmodbus %.0f registers/s, plugin %.0f registers/s\n", bare[i], plugin[i]);
    }
    fake_host_free(h);
    modbus_close(ctx);
    modbus_free(ctx);
    pthread_join(server, NULL);
    close(listener);
    double b = median(bare, rounds), p = median(plugin, rounds);
    printf("{\"ratio\": %.3f, \"plugin_registers_per_second\": %.0f, \"bare_registers_per_second\": %.0f}\n",
           p / b, p, b);
    return 0;
}
