/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * A TCP connection without libmodbus: its connect cannot be interrupted, says EINPROGRESS when it timed out,
 * uses the response timeout, and aborts on descriptors from 1024 up.
 */
#include <errno.h>
#include <netdb.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "core/base/allocator.h"
#include "plugins/modbus/modbus_ports.h"

#define LOOKUP_REST_MS 5 /* between two looks at whether a name is resolved, at first */

/* A name is resolved by the C library's resolver thread, so that a dead DNS server does not hold up an
 * orderly stop. When it cannot be cancelled its request must stay in memory: it is left behind, once, while
 * stopping. */
struct lookup {
    struct gaicb request;
    struct addrinfo hints;
    char port[8];
    char name[256];
};

static int resolve(struct tg_modbus_waiter *w, const char *name, uint16_t port, int64_t until_ms,
                   struct addrinfo **ret, struct tg_error *err)
{
    struct lookup *l = tg_calloc(1, sizeof *l);
    if (!l)
        return tg_error_set(err, TG_ENOMEM, "out of memory");
    snprintf(l->name, sizeof l->name, "%s", name);
    snprintf(l->port, sizeof l->port, "%u", port);
    l->hints = (struct addrinfo){.ai_socktype = SOCK_STREAM, .ai_flags = AI_NUMERICHOST | AI_NUMERICSERV};
    if (getaddrinfo(l->name, l->port, &l->hints, ret) == 0) {
        tg_free(l);
        return 0;
    }
    l->hints.ai_flags = AI_NUMERICSERV | AI_ADDRCONFIG;
    l->request = (struct gaicb){.ar_name = l->name, .ar_service = l->port, .ar_request = &l->hints};
    struct gaicb *list[1] = {&l->request};
    int64_t rest_ms = LOOKUP_REST_MS;
    int rc = getaddrinfo_a(GAI_NOWAIT, list, 1, NULL);
    while (rc == 0 && (rc = gai_error(&l->request)) == EAI_INPROGRESS) {
        bool stop = tg_modbus_stopping(w);
        if (stop || w->host->now_ms(w->host->source) > until_ms) {
            if (gai_cancel(&l->request) != EAI_NOTCANCELED)
                tg_free(l);
            return stop ? TG_ECANCELED
                        : tg_error_set(err, TG_EDNS, "the name \"%s\" was not resolved in time", name);
        }
        tg_modbus_rest(w, rest_ms);
        rest_ms = rest_ms < TG_MODBUS_SLICE_MS / 2 ? 2 * rest_ms : TG_MODBUS_SLICE_MS;
        rc = 0;
    }
    if (rc == 0)
        *ret = l->request.ar_result;
    else
        rc = tg_error_set(err, TG_EDNS, "the name \"%s\" cannot be resolved: %s", name, gai_strerror(rc));
    tg_free(l);
    return rc;
}

static int connect_one(struct tg_modbus_waiter *w, const struct addrinfo *a, int64_t until_ms, int *ret_errno)
{
    int on = 1;
    int fd = socket(a->ai_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (fd < 0) {
        *ret_errno = errno;
        return TG_EIO;
    }
    int rc = connect(fd, a->ai_addr, a->ai_addrlen);
    if (rc < 0 && errno == EINPROGRESS) {
        socklen_t n = sizeof *ret_errno;
        rc = tg_modbus_wait(w, fd, POLLOUT, until_ms);
        if (rc == 0) {
            *ret_errno = ETIMEDOUT;
            rc = TG_ETIMEOUT;
        } else if (rc > 0) {
            rc = getsockopt(fd, SOL_SOCKET, SO_ERROR, ret_errno, &n) == 0 && *ret_errno == 0 ? 0 : TG_EIO;
        }
    } else if (rc < 0) {
        *ret_errno = errno;
        rc = TG_EIO;
    }
    if (rc < 0) {
        tg_modbus_forget(w, fd);
        close(fd);
        return rc;
    }
    /* Requests are small and each waits for its answer: no delay, and a dead peer is noticed when idle. */
    (void)setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
    (void)setsockopt(fd, SOL_SOCKET, SO_KEEPALIVE, &on, sizeof on);
    return fd;
}

int tg_modbus_tcp_connect(struct tg_modbus_waiter *w, const char *name, uint16_t port, int64_t timeout_ms,
                          struct tg_error *err)
{
    struct addrinfo *list = NULL;
    int64_t until_ms = w->host->now_ms(w->host->source) + timeout_ms;
    int error = 0, rc = resolve(w, name, port, until_ms, &list, err);
    if (rc < 0)
        return rc;
    rc = TG_EIO;
    for (const struct addrinfo *a = list; a; a = a->ai_next) {
        rc = connect_one(w, a, until_ms, &error);
        if (rc >= 0 || rc == TG_ECANCELED)
            break;
    }
    freeaddrinfo(list);
    if (rc >= 0 || rc == TG_ECANCELED)
        return rc;
    if (error == ETIMEDOUT)
        return tg_error_set(err, TG_ETIMEOUT, "%s port %u: no connection within %lld ms", name, port,
                            (long long)timeout_ms);
    return tg_error_set(err, TG_EIO, "%s port %u: %s", name, port, strerror(error));
}
