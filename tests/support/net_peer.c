/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "support/net_peer.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

static _Noreturn void give_up(const char *what)
{
    fprintf(stderr, "test peer: %s: %s\n", what, strerror(errno));
    exit(99);
}

/* --- child process --------------------------------------------------------------------------- */

void net_peer_start(struct net_peer *p, const char *script)
{
    int in[2], out[2];
    char path[512];
    const char *source = getenv("TIDEGATE_SOURCE");
    memset(p, 0, sizeof *p);
    snprintf(p->directory, sizeof p->directory, "/tmp/tg peer XXXXXX");
    if (!mkdtemp(p->directory) || pipe2(in, O_CLOEXEC) < 0 || pipe2(out, O_CLOEXEC) < 0)
        give_up("setting up");
    snprintf(path, sizeof path, "%s/tests/peers/%s", source ? source : ".", script);
    p->pid = fork();
    if (p->pid < 0)
        give_up("fork");
    if (p->pid == 0) {
        dup2(in[0], 0);
        dup2(out[1], 1);
        execl("/usr/bin/python3", "/usr/bin/python3", path, p->directory, (char *)NULL);
        _exit(127);
    }
    close(in[0]);
    close(out[1]);
    p->stdin_fd = in[1];
    FILE *lines = fdopen(out[0], "r");
    if (!lines || !fgets(p->ports, sizeof p->ports, lines))
        give_up(script);
    fclose(lines);
}

uint16_t net_peer_port(const struct net_peer *p, const char *name)
{
    size_t len = strlen(name);
    for (const char *at = p->ports; (at = strstr(at, name)) != NULL; at += len)
        if ((at == p->ports || at[-1] == ' ') && at[len] == '=')
            return (uint16_t)atoi(at + len + 1);
    give_up(name);
}

void net_peer_path(const struct net_peer *p, const char *name, char out[128])
{
    snprintf(out, 128, "%s/%s", p->directory, name);
}

char *net_peer_file(const struct net_peer *p, const char *name)
{
    char path[128];
    char *text = calloc(1, 65536);
    net_peer_path(p, name, path);
    FILE *f = fopen(path, "rb");
    if (!text || !f || fread(text, 1, 65535, f) == 0)
        give_up(path);
    fclose(f);
    return text;
}

static int remove_one(const char *path, const struct stat *st, int flag, struct FTW *ftw)
{
    (void)st;
    (void)flag;
    (void)ftw;
    return remove(path);
}

void net_peer_stop(struct net_peer *p)
{
    close(p->stdin_fd);
    waitpid(p->pid, NULL, 0);
    nftw(p->directory, remove_one, 8, FTW_DEPTH | FTW_PHYS);
}

/* --- thread ---------------------------------------------------------------------------------- */

static int bind_loopback(const char *address, uint16_t *ret_port)
{
    struct sockaddr_in a = {.sin_family = AF_INET};
    socklen_t len = sizeof a;
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (fd < 0 || inet_pton(AF_INET, address, &a.sin_addr) != 1 ||
        bind(fd, (struct sockaddr *)&a, sizeof a) < 0 || getsockname(fd, (struct sockaddr *)&a, &len) < 0)
        give_up("bind");
    *ret_port = ntohs(a.sin_port);
    return fd;
}

static void *serve_all(void *arg)
{
    struct net_server *s = arg;
    int fd;
    while ((fd = accept4(s->listener, NULL, NULL, SOCK_CLOEXEC)) >= 0)
        s->serve(fd, s->user);
    return NULL;
}

void net_server_start(struct net_server *s, void (*serve)(int fd, void *user), void *user)
{
    signal(SIGPIPE, SIG_IGN);
    s->serve = serve;
    s->user = user;
    s->listener = bind_loopback("127.0.0.1", &s->port);
    if (listen(s->listener, 512) < 0 || pthread_create(&s->thread, NULL, serve_all, s) != 0)
        give_up("listen");
}

void net_server_stop(struct net_server *s)
{
    shutdown(s->listener, SHUT_RDWR); /* accept() returns */
    pthread_join(s->thread, NULL);
    close(s->listener);
}

uint16_t net_closed_port(void)
{
    uint16_t port;
    close(bind_loopback("127.0.0.1", &port));
    return port;
}

void net_silent_start(struct net_silent *s, const char *address)
{
    struct sockaddr_in a = {.sin_family = AF_INET};
    s->listener = bind_loopback(address, &s->port);
    if (listen(s->listener, 0) < 0)
        give_up("listen");
    inet_pton(AF_INET, address, &a.sin_addr);
    a.sin_port = htons(s->port);
    /* Nobody accepts: after one or two the kernel drops what comes. */
    for (int i = 0; i < 8; i++) {
        s->filler[i] = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
        if (s->filler[i] < 0 ||
            (connect(s->filler[i], (struct sockaddr *)&a, sizeof a) < 0 && errno != EINPROGRESS))
            give_up("filling the queue");
    }
}

void net_silent_stop(struct net_silent *s)
{
    for (int i = 0; i < 8; i++)
        close(s->filler[i]);
    close(s->listener);
}

void net_send_all(int fd, const void *data, size_t len)
{
    const char *at = data;
    while (len > 0) {
        ssize_t n = write(fd, at, len);
        if (n <= 0)
            return; /* the test sees what is missing */
        at += n;
        len -= (size_t)n;
    }
}

void net_close_with_reset(int fd)
{
    struct linger now = {1, 0};
    setsockopt(fd, SOL_SOCKET, SO_LINGER, &now, sizeof now);
    close(fd);
}
