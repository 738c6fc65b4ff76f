/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "core/net/tcp_connect.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "core/base/allocator.h"
#include "core/base/assert.h"
#include "core/base/descriptors.h"

#define CONNECT_MAGIC 0xc044ec7au

struct tg_tcp_connect {
    uint32_t magic;
    struct tg_loop *loop;
    tg_tcp_connect_fn done; /* NULL once it was called or canceled */
    void *user;
    char *host;
    uint16_t port;
    uint32_t timeout_ms;
    int64_t deadline_ms;
    struct sockaddr_storage *addresses;
    size_t address_count, next;
    int last_errno;
    char last_address[INET6_ADDRSTRLEN];
    int fd; /* of the attempt that is running, -1 = none */
    uv_poll_t poll;
    uv_getaddrinfo_t lookup;
    struct tg_deadline timer;
    bool polling, looking_up, timer_closed, finished;
};

static tg_tcp_resolver_fn test_resolver;

void tg_tcp_connect_set_resolver(tg_tcp_resolver_fn resolver)
{
    test_resolver = resolver;
}

/* --- end ------------------------------------------------------------------------------------- */

static void free_if_idle(struct tg_tcp_connect *c)
{
    if (!c->finished || c->polling || c->looking_up || !c->timer_closed)
        return;
    tg_loop_release(c->loop);
    tg_free(c->addresses);
    tg_free(c->host);
    TG_OBJECT_POISON(c);
    tg_free(c);
}

static void on_timer_closed(void *user)
{
    struct tg_tcp_connect *c = TG_OBJECT(user, struct tg_tcp_connect, CONNECT_MAGIC);
    c->timer_closed = true;
    free_if_idle(c);
}

static void try_next(struct tg_tcp_connect *c);

static void on_poll_closed(uv_handle_t *handle)
{
    struct tg_tcp_connect *c = TG_OBJECT(handle->data, struct tg_tcp_connect, CONNECT_MAGIC);
    c->polling = false;
    if (c->finished)
        free_if_idle(c);
    else
        try_next(c); /* an attempt has failed: its handle is free for the next one */
}

/* Stops watching the socket; returns it. on_poll_closed() goes on. */
static int take_socket(struct tg_tcp_connect *c)
{
    int fd = c->fd;
    c->fd = -1;
    if (fd >= 0)
        uv_close((uv_handle_t *)&c->poll, on_poll_closed);
    return fd;
}

static void finish(struct tg_tcp_connect *c)
{
    c->finished = true;
    c->done = NULL;
    int fd = take_socket(c);
    if (fd >= 0)
        close(fd);
    tg_deadline_close(&c->timer, on_timer_closed);
    if (c->looking_up)
        uv_cancel((uv_req_t *)&c->lookup); /* works only while it waits for a thread */
}

void tg_tcp_connect_cancel(struct tg_tcp_connect *c)
{
    TG_ASSERT(!c->finished);
    finish(c);
}

static void report(struct tg_tcp_connect *c, int fd, const struct tg_error *err)
{
    tg_tcp_connect_fn done = c->done;
    void *user = c->user;
    finish(c);
    done(user, fd, err);
}

static void report_error(struct tg_tcp_connect *c, int code, const char *text)
{
    struct tg_error err = {0};
    tg_error_set(&err, code, "%.120s:%u: %s", c->host, c->port, text);
    report(c, -1, &err);
}

/* --- addresses ------------------------------------------------------------------------------- */

static void set_port(struct sockaddr_storage *a, uint16_t port)
{
    if (a->ss_family == AF_INET6)
        ((struct sockaddr_in6 *)a)->sin6_port = htons(port);
    else
        ((struct sockaddr_in *)a)->sin_port = htons(port);
}

static int64_t left_ms(struct tg_tcp_connect *c)
{
    int64_t left = c->deadline_ms - tg_loop_now_ms(c->loop);
    return left > 0 ? left : 0;
}

static int move_up(int fd)
{
    int high = fcntl(fd, F_DUPFD_CLOEXEC, TG_TCP_LOWEST_FD);
    if (high < 0)
        return fd; /* RLIMIT_NOFILE is too low: then libmodbus is in no danger either */
    close(fd);
    return high;
}

void tg_tcp_set_user_timeout(int fd, uint32_t timeout_ms)
{
    const unsigned value = timeout_ms;
    /* Not worth failing for: the deadlines above TCP stand as ever. */
    (void)setsockopt(fd, IPPROTO_TCP, TCP_USER_TIMEOUT, &value, sizeof value);
}

/* Starts connecting; 0 or an errno. */
static int start_socket(struct tg_tcp_connect *c, const struct sockaddr_storage *a)
{
    const int one = 1;
    socklen_t len = a->ss_family == AF_INET6 ? sizeof(struct sockaddr_in6) : sizeof(struct sockaddr_in);
    int fd = socket(a->ss_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (fd < 0) {
        int failed = errno;
        (void)tg_descriptors_missed(failed);
        return failed;
    }
    fd = move_up(fd);
    (void)setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one); /* not worth failing for */
    tg_tcp_set_user_timeout(fd, TG_TCP_USER_TIMEOUT_MS);
    if (connect(fd, (const struct sockaddr *)a, len) < 0 && errno != EINPROGRESS) {
        int failed = errno;
        close(fd);
        return failed;
    }
    if (uv_poll_init(&c->loop->uv, &c->poll, fd) < 0) {
        close(fd);
        return ENOMEM;
    }
    c->poll.data = c;
    c->polling = true;
    c->fd = fd;
    return 0;
}

static void on_socket_ready(uv_poll_t *poll, int status, int events)
{
    struct tg_tcp_connect *c = TG_OBJECT(poll->data, struct tg_tcp_connect, CONNECT_MAGIC);
    int failed = 0;
    socklen_t len = sizeof failed;
    (void)events;
    if (getsockopt(c->fd, SOL_SOCKET, SO_ERROR, &failed, &len) < 0)
        failed = errno;
    if (failed == 0 && status < 0)
        failed = -status; /* libuv only knows that there was an error, and calls it EBADF */
    int fd = take_socket(c);
    if (failed == 0) {
        report(c, fd, NULL);
        return;
    }
    close(fd);
    c->last_errno = failed;
}

static void report_last(struct tg_tcp_connect *c, bool in_time)
{
    char text[200];
    const char *why = c->last_errno ? strerror(c->last_errno) : "no answer";
    if (!in_time)
        snprintf(text, sizeof text, "cannot connect within %u ms: %s from %s (address %zu of %zu)",
                 c->timeout_ms, why, c->last_address, c->next, c->address_count);
    else if (c->address_count == 1)
        snprintf(text, sizeof text, "cannot connect: %s (%s)", why, c->last_address);
    else
        snprintf(text, sizeof text, "cannot connect to any of its %zu addresses: %s (%s)", c->address_count,
                 why, c->last_address);
    report_error(c, in_time && c->last_errno != ETIMEDOUT ? TG_ECONNECT : TG_ETIMEOUT, text);
}

/* Goes through the addresses until one is under way. An attempt's handle is closed before the next one
 * begins. */
static void try_next(struct tg_tcp_connect *c)
{
    while (c->next < c->address_count && left_ms(c) > 0) {
        struct sockaddr_storage *a = &c->addresses[c->next];
        int64_t share = left_ms(c) / (int64_t)(c->address_count - c->next);
        c->next++;
        set_port(a, c->port);
        uv_ip_name((const struct sockaddr *)a, c->last_address, sizeof c->last_address);
        c->last_errno = start_socket(c, a);
        if (c->last_errno)
            continue;
        tg_deadline_set(&c->timer, tg_loop_now_ms(c->loop) + (share > 0 ? share : 1));
        int rc = uv_poll_start(&c->poll, UV_WRITABLE, on_socket_ready);
        TG_ASSERT(rc == 0); /* fails only on a closing handle */
        return;
    }
    report_last(c, c->next == c->address_count && left_ms(c) > 0);
}

/* --- lookup ---------------------------------------------------------------------------------- */

static int take_addresses(struct tg_tcp_connect *c, const struct addrinfo *list)
{
    size_t n = 0;
    for (const struct addrinfo *a = list; a && n < TG_TCP_MAX_ADDRESSES; a = a->ai_next)
        n += a->ai_family == AF_INET || a->ai_family == AF_INET6;
    c->addresses = tg_calloc(n, sizeof *c->addresses);
    if (!c->addresses)
        return TG_ENOMEM;
    for (const struct addrinfo *a = list; a && c->address_count < n; a = a->ai_next)
        if (a->ai_family == AF_INET || a->ai_family == AF_INET6)
            memcpy(&c->addresses[c->address_count++], a->ai_addr, a->ai_addrlen);
    return TG_OK;
}

static void on_looked_up(uv_getaddrinfo_t *req, int status, struct addrinfo *list)
{
    struct tg_tcp_connect *c = TG_OBJECT(req->data, struct tg_tcp_connect, CONNECT_MAGIC);
    char text[160];
    int rc = TG_OK;
    c->looking_up = false;
    if (c->finished) {
        uv_freeaddrinfo(list);
        free_if_idle(c);
        return;
    }
    if (status == 0)
        rc = take_addresses(c, list);
    uv_freeaddrinfo(list);
    if (status == UV_ENOMEM || rc == TG_ENOMEM) {
        report_error(c, TG_ENOMEM, "out of memory");
    } else if (status < 0) {
        snprintf(text, sizeof text, "the name cannot be resolved: %s",
                 tg_descriptors_are_left() ? uv_strerror(status) : "no file descriptor is left");
        report_error(c, TG_EDNS, text);
    } else if (c->address_count == 0) {
        report_error(c, TG_EDNS, "the name has no IPv4 or IPv6 address");
    } else {
        try_next(c);
    }
}

/* 1 = addresses are there; 0 = asked the thread pool; negative = failed. */
static int look_up(struct tg_tcp_connect *c)
{
    static const struct addrinfo hints = {.ai_family = AF_UNSPEC, .ai_socktype = SOCK_STREAM};
    struct sockaddr_storage numeric = {0};
    bool v4 = uv_ip4_addr(c->host, 0, (struct sockaddr_in *)&numeric) == 0;
    bool v6 = !v4 && uv_ip6_addr(c->host, 0, (struct sockaddr_in6 *)&numeric) == 0;
    if (v4 || v6 || test_resolver) {
        c->addresses = tg_calloc(TG_TCP_MAX_ADDRESSES, sizeof *c->addresses);
        if (!c->addresses)
            return TG_ENOMEM;
        c->address_count = 1;
        c->addresses[0] = numeric;
        if (!v4 && !v6)
            c->address_count = test_resolver(c->host, c->addresses, TG_TCP_MAX_ADDRESSES);
        return c->address_count > 0 ? 1 : TG_EDNS;
    }
    c->lookup.data = c;
    if (uv_getaddrinfo(&c->loop->uv, &c->lookup, on_looked_up, c->host, NULL, &hints) < 0)
        return TG_ENOMEM;
    c->looking_up = true;
    return 0;
}

static void begin(struct tg_tcp_connect *c)
{
    int rc = look_up(c);
    if (rc == TG_ENOMEM)
        report_error(c, rc, "out of memory");
    else if (rc < 0)
        report_error(c, rc, "the name cannot be resolved");
    else if (rc == 1)
        try_next(c);
    else
        tg_deadline_set(&c->timer, c->deadline_ms);
}

/* The one timer: first "begin", then "the lookup takes too long" or "this address is silent". */
static void on_time(void *user)
{
    struct tg_tcp_connect *c = TG_OBJECT(user, struct tg_tcp_connect, CONNECT_MAGIC);
    char text[64];
    if (c->looking_up) {
        snprintf(text, sizeof text, "the name was not resolved within %u ms", c->timeout_ms);
        report_error(c, TG_EDNS, text);
        return;
    }
    if (!c->addresses) {
        begin(c);
        return;
    }
    if (c->fd >= 0) {
        c->last_errno = 0;
        close(take_socket(c));
    }
}

int tg_tcp_connect_start(struct tg_loop *loop, const char *host, uint16_t port, uint32_t timeout_ms,
                         tg_tcp_connect_fn done, void *user, struct tg_tcp_connect **ret_connect)
{
    struct tg_tcp_connect *c = tg_calloc(1, sizeof *c);
    if (!c)
        return TG_ENOMEM;
    c->host = tg_strdup(host);
    if (!c->host) {
        tg_free(c);
        return TG_ENOMEM;
    }
    c->magic = CONNECT_MAGIC;
    c->loop = loop;
    c->port = port;
    c->timeout_ms = timeout_ms;
    c->deadline_ms = tg_loop_now_ms(loop) + timeout_ms;
    c->done = done;
    c->user = user;
    c->fd = -1;
    tg_loop_hold(loop);
    tg_deadline_init(&c->timer, loop, on_time, c);
    tg_deadline_set(&c->timer, tg_loop_now_ms(loop));
    *ret_connect = c;
    return TG_OK;
}
