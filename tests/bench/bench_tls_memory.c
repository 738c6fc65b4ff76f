/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * bench_tls_memory - resident memory per connected, idle TLS session, new and resumed, TLS 1.2 and 1.3, with
 * the session memory of core/net/tls_memory and with plain malloc ("as it comes").
 *
 * Usage: bench_tls_memory [SESSIONS]      (300); the peer is tests/peers/tls_server.py in its own process
 * Each line is a process of its own, so that nothing is measured that an earlier line left behind. Every
 * session has exchanged 200 bytes each way and must answer again after it was measured.
 */
#include <malloc.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "core/net/stream.h"
#include "core/net/wolfssl.h"
#include "support/net_peer.h"

#define WARM_UP                                                                                              \
    20 /* connects before the measure: what is needed once, wolfSSL's tables of curve points among it */

struct bench;

struct session {
    struct bench *bench;
    struct tg_stream *stream;
    struct tg_tls_ticket ticket;
    size_t got;
};

struct bench {
    struct tg_loop loop;
    struct session *sessions;
    unsigned count, answered, closed, resumed, next;
    struct tg_stream_options o;
};

static const uint8_t message[200] = {'m'};

static _Noreturn void give_up(const char *what)
{
    fprintf(stderr, "bench_tls_memory: %s\n", what);
    _exit(1);
}

static long resident_kb(void)
{
    long size, resident;
    FILE *f = fopen("/proc/self/statm", "r");
    if (!f || fscanf(f, "%ld %ld", &size, &resident) != 2)
        give_up("no /proc/self/statm");
    fclose(f);
    return resident * (sysconf(_SC_PAGESIZE) / 1024);
}

static double cpu_seconds(void)
{
    struct rusage u;
    getrusage(RUSAGE_SELF, &u);
    return (double)u.ru_utime.tv_sec + (double)u.ru_utime.tv_usec / 1e6 + (double)u.ru_stime.tv_sec +
           (double)u.ru_stime.tv_usec / 1e6;
}

static void ask(struct session *s)
{
    s->got = 0;
    if (tg_stream_write(s->stream, tg_bytes(message, sizeof message)) < 0)
        give_up("a write failed");
}

static void on_ready(void *user)
{
    ask(user);
}

static void open_next(struct bench *b);

static void on_data(void *user, struct tg_bytes data)
{
    struct session *s = user;
    s->got += data.len;
    if (s->got == sizeof message) {
        s->bench->answered++;
        open_next(s->bench);
    }
    if (s->bench->answered == s->bench->count)
        tg_loop_stop(&s->bench->loop);
}

static void on_end(void *user, const struct tg_error *err)
{
    (void)user;
    give_up(err->text);
}

static void on_closed(void *user)
{
    struct bench *b = user;
    if (++b->closed == b->count)
        tg_loop_stop(&b->loop);
}

static void open_next(struct bench *b)
{
    static const struct tg_stream_callbacks callbacks = {
        .on_ready = on_ready, .on_data = on_data, .on_end = on_end};
    struct tg_error err = {0};
    if (b->next >= b->count)
        return;
    struct session *s = &b->sessions[b->next++];
    s->bench = b;
    b->o.ticket = &s->ticket;
    if (tg_stream_open(&b->loop, &b->o, &callbacks, s, &s->stream, &err) < 0)
        give_up(err.text);
}

/* Handshakes a few at a time, as session_set does. */
static void open_all(struct bench *b, unsigned count)
{
    b->count = count;
    b->answered = b->next = 0;
    for (int i = 0; i < 8; i++)
        open_next(b);
    tg_loop_run(&b->loop);
    for (unsigned i = 0; i < count; i++) {
        struct tg_stream_stats stats;
        tg_stream_stats(b->sessions[i].stream, &stats);
        b->resumed += stats.resumed;
    }
}

static void close_all(struct bench *b)
{
    b->closed = 0;
    for (unsigned i = 0; i < b->count; i++)
        tg_stream_close(b->sessions[i].stream, 1000, on_closed, b);
    tg_loop_run(&b->loop);
}

static void ask_all_again(struct bench *b)
{
    b->answered = 0;
    for (unsigned i = 0; i < b->count; i++)
        ask(&b->sessions[i]);
    tg_loop_run(&b->loop);
}

/* One after the other, so that the heap stays small: leaves a saved session in every ticket. */
static void fetch_tickets(struct bench *b, unsigned count)
{
    struct session *all = b->sessions;
    for (unsigned i = 0; i < count; i++) {
        b->sessions = &all[i];
        open_all(b, 1);
        close_all(b);
    }
    b->sessions = all;
}

static void measure(const struct net_peer *peer, unsigned count, bool tls13, bool as_it_comes, bool resume)
{
    struct bench b = {0};
    struct tg_error err = {0};
    char ca[128];
    struct tg_tls_options to = {.ca_file = ca, .tls12_only = !tls13};
    net_peer_path(peer, "root.pem", ca);
    if (tg_tls_global_init(&err) < 0 || tg_loop_init(&b.loop, &err) < 0)
        give_up(err.text);
    if (as_it_comes)
        wolfSSL_SetAllocators(malloc, free, realloc);
    if (tg_tls_context_new(&to, &b.o.tls, &err) < 0)
        give_up(err.text);
    b.o.host = "127.0.0.1";
    b.o.port = net_peer_port(peer, tls13 ? "echo13" : "echo12");
    b.sessions = calloc(count, sizeof *b.sessions);
    if (!b.sessions)
        give_up("out of memory");
    fetch_tickets(&b, WARM_UP);
    for (int i = 0; i < WARM_UP; i++)
        tg_tls_ticket_fini(&b.sessions[i].ticket);
    long base = resident_kb();
    if (resume)
        fetch_tickets(&b, count);
    b.resumed = 0;
    double cpu = cpu_seconds();
    open_all(&b, count);
    cpu = cpu_seconds() - cpu;
    double each = (double)(resident_kb() - base) / count;
    if (b.resumed != (resume ? count : 0))
        give_up("sessions were not resumed as they should be");
    ask_all_again(&b);
    close_all(&b);
    printf("TLS 1.%d  %-8s %-22s %6.1f KB resident, %.2f ms CPU per session; %ld KB before\n", tls13 ? 3 : 2,
           resume ? "resumed" : "new", as_it_comes ? "as it comes" : "zero pages given back", each,
           cpu * 1000 / count, base);
    fflush(stdout);
    _exit(0);
}

int main(int argc, char **argv)
{
    unsigned count = argc > 1 ? (unsigned)strtoul(argv[1], NULL, 10) : 300;
    struct rlimit files = {65536, 65536};
    struct net_peer peer;
    int failed = 0;
    setrlimit(RLIMIT_NOFILE, &files); /* not worth failing for: the soft limit may already do */
    net_peer_start(&peer, "tls_server.py");
    for (int i = 0; i < 8; i++) {
        int status;
        pid_t child = fork();
        if (child == 0)
            measure(&peer, count, i >= 4, i % 2 == 0, i % 4 >= 2);
        if (child < 0 || waitpid(child, &status, 0) < 0 || status != 0)
            failed = 1;
    }
    net_peer_stop(&peer);
    return failed;
}
