/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * net_peer - the other end of a connection in tests: a Python peer as a child process, or a thread in this
 * one. Failures end the test program: a test without its peer proves nothing.
 */
#ifndef TG_TEST_NET_PEER_H
#define TG_TEST_NET_PEER_H

#include <pthread.h>
#include <stdint.h>
#include <sys/types.h>

/* A script of tests/peers that gets a fresh directory, prints "name=port …" and ends when its standard input
 * does. */
struct net_peer {
    pid_t pid;
    int stdin_fd;
    char directory[64];
    char ports[1024];
};
void net_peer_start(struct net_peer *p, const char *script);
uint16_t net_peer_port(const struct net_peer *p, const char *name);
/* Reads a file of the peer's directory; free() it. */
char *net_peer_file(const struct net_peer *p, const char *name);
void net_peer_path(const struct net_peer *p, const char *name, char out[128]);
void net_peer_stop(struct net_peer *p);

/* A listener on 127.0.0.1 whose connections are served one after another by `serve` in a thread; `serve`
 * closes fd. */
struct net_server {
    int listener;
    uint16_t port;
    pthread_t thread;
    void (*serve)(int fd, void *user);
    void *user;
};
void net_server_start(struct net_server *s, void (*serve)(int fd, void *user), void *user);
void net_server_stop(struct net_server *s);

/* A port of 127.0.0.1 on which nobody listens; a listener whose queue is full, so that connects go
 * unanswered. */
uint16_t net_closed_port(void);
struct net_silent {
    int listener, filler[8];
    uint16_t port;
};
void net_silent_start(struct net_silent *s, const char *address);
void net_silent_stop(struct net_silent *s);

/* Blocking helpers for `serve`. */
void net_send_all(int fd, const void *data, size_t len);
void net_close_with_reset(int fd);

#endif
