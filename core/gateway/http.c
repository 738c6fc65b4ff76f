/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "core/gateway/http.h"

#include <arpa/inet.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "core/base/allocator.h"
#include "core/base/assert.h"
#include "core/base/clock.h"
#include "core/base/descriptors.h"
#include "core/base/log.h"
#include "core/gateway/http_library.h"

#define HTTP_MAGIC   0x47790001u
#define STARVED_MS   1000 /* without a descriptor for whoever knocks */
#define ANSWER_MAGIC 0x477900a5u

struct connection {
    struct MHD_Connection *mhd; /* NULL = free place */
    int fd;
    int64_t end_ms; /* INT64_MAX = it was shut down already */
};

struct tg_http {
    uint32_t magic;
    struct tg_loop *loop;
    const struct tg_http_library *lib;
    struct tg_http_address at;
    char address[80];
    char trouble[200];
    bool told;
    tg_http_answer_fn answer;
    void *user;
    struct MHD_Daemon *daemon; /* NULL = not listening */
    uv_poll_t *poll;           /* of its own memory: it closes later than the daemon */
    struct tg_deadline deadline;
    struct connection connections[TG_HTTP_MAX_CONNECTIONS];
    size_t answers_bytes;
    int64_t life_ms;
    bool freed; /* a connection has gone since the daemon ran */
    uint64_t requests;
};

/* The body of an answer that is on its way. */
struct body {
    uint32_t magic;
    struct tg_http *http;
    char *text;
    size_t len;
};

static struct tg_http *checked(void *user)
{
    return TG_OBJECT(user, struct tg_http, HTTP_MAGIC);
}

/* --- answering --------------------------------------------------------------------------------------- */

static void free_body(void *user)
{
    struct body *b = TG_OBJECT(user, struct body, ANSWER_MAGIC);
    b->http->answers_bytes -= b->len;
    tg_free(b->text);
    TG_OBJECT_POISON(b);
    tg_free(b);
}

static void free_nothing(void *user)
{
    (void)user;
}

static struct MHD_Response *response_of(struct tg_http *h, struct tg_http_answer *a)
{
    struct MHD_Response *r;
    struct body *b;
    if (a->is_static)
        return h->lib->create_response_from_buffer_with_free_callback_cls(a->len, a->text, free_nothing,
                                                                          NULL);
    b = tg_calloc(1, sizeof *b);
    r = b ? h->lib->create_response_from_buffer_with_free_callback_cls(a->len, a->text, free_body, b) : NULL;
    if (!r) {
        tg_free(b);
        tg_free(a->text);
        return NULL;
    }
    *b = (struct body){ANSWER_MAGIC, h, a->text, a->len};
    h->answers_bytes += a->len;
    return r;
}

static enum MHD_Result reply(struct tg_http *h, struct MHD_Connection *c, struct tg_http_answer *a)
{
    struct MHD_Response *r = response_of(h, a);
    enum MHD_Result rc;
    if (!r)
        return MHD_NO; /* no memory: the connection ends */
    (void)h->lib->add_response_header(r, "Connection", "close");
    (void)h->lib->add_response_header(r, "Content-Type", a->content_type);
    (void)h->lib->add_response_header(r, "Cache-Control", "no-store");
    (void)h->lib->add_response_header(r, "X-Content-Type-Options", "nosniff");
    if (a->policy)
        (void)h->lib->add_response_header(r, "Content-Security-Policy", a->policy);
    if (a->status == MHD_HTTP_METHOD_NOT_ALLOWED)
        (void)h->lib->add_response_header(r, "Allow", "GET, HEAD");
    if (a->status == MHD_HTTP_SERVICE_UNAVAILABLE)
        (void)h->lib->add_response_header(r, "Retry-After", "5");
    rc = h->lib->queue_response(c, a->status, r);
    h->lib->destroy_response(r);
    return rc;
}

static struct tg_http_answer note(unsigned status, const char *text)
{
    return (struct tg_http_answer){.status = status,
                                   .content_type = "text/plain; charset=utf-8",
                                   .text = (char *)(uintptr_t)text,
                                   .len = strlen(text),
                                   .is_static = true};
}

/* The Host header without its port. */
static bool names_this_machine(const char *host)
{
    char name[64];
    struct in6_addr v6;
    struct in_addr v4;
    size_t len = host[0] == '[' ? strcspn(host, "]") : strcspn(host, ":");
    if (host[0] == '[') {
        host++;
        len--;
    }
    if (len >= sizeof name)
        return false;
    memcpy(name, host, len);
    name[len] = '\0';
    if (inet_pton(AF_INET, name, &v4) == 1)
        return ntohl(v4.s_addr) >> 24 == IN_LOOPBACKNET;
    return strcasecmp(name, "localhost") == 0 ||
           (inet_pton(AF_INET6, name, &v6) == 1 && IN6_IS_ADDR_LOOPBACK(&v6));
}

static enum MHD_Result on_request(void *user, struct MHD_Connection *c, const char *path, const char *method,
                                  const char *version, const char *upload, size_t *upload_len, void **memory)
{
    struct tg_http *h = checked(user);
    const char *host = h->lib->lookup_connection_value(c, MHD_HEADER_KIND, "Host");
    struct tg_http_answer a = {0};
    (void)version;
    (void)upload;
    (void)upload_len;
    (void)memory; /* answered at once, before a body is read: the connection closes with it */
    h->requests++;
    if (strcmp(method, "GET") != 0 && strcmp(method, "HEAD") != 0)
        a = note(MHD_HTTP_METHOD_NOT_ALLOWED, "Only GET and HEAD: nothing can be changed here.\n");
    else if (h->at.loopback && host && !names_this_machine(host))
        a = note(MHD_HTTP_FORBIDDEN, "This page is for localhost and loopback addresses.\n");
    else if (h->answers_bytes >= TG_HTTP_ANSWERS_BYTES)
        a = note(MHD_HTTP_SERVICE_UNAVAILABLE, "Too many answers are on their way to slow readers.\n");
    else if (!h->answer(h->user, path, &a))
        a = note(MHD_HTTP_NOT_FOUND, "There are /, /metrics, /healthz and /status.json.\n");
    return reply(h, c, &a);
}

/* --- connections --------------------------------------------------------------------------------------- */

static void on_connection(void *user, struct MHD_Connection *c, void **memory,
                          enum MHD_ConnectionNotificationCode code)
{
    struct tg_http *h = checked(user);
    const struct MHD_Connection *wanted = code == MHD_CONNECTION_NOTIFY_STARTED ? NULL : c;
    const union MHD_ConnectionInfo *info;
    (void)memory;
    for (size_t i = 0; i < TG_HTTP_MAX_CONNECTIONS; i++) {
        struct connection *x = &h->connections[i];
        if (x->mhd != wanted)
            continue;
        *x = (struct connection){0};
        h->freed = h->freed || wanted;
        if (!wanted && (info = h->lib->get_connection_info(c, MHD_CONNECTION_INFO_CONNECTION_FD)) != NULL)
            *x = (struct connection){c, info->connect_fd, tg_clock_mono_ms() + h->life_ms};
        return;
    }
}

static void end_the_slow(struct tg_http *h, int64_t now)
{
    for (size_t i = 0; i < TG_HTTP_MAX_CONNECTIONS; i++)
        if (h->connections[i].mhd && now >= h->connections[i].end_ms) {
            (void)shutdown(h->connections[i].fd, SHUT_RDWR); /* the daemon sees its end and closes it */
            h->connections[i].end_ms = INT64_MAX;
        }
}

static void listen_again(struct tg_http *h);

static void turn(struct tg_http *h)
{
    int64_t now = tg_clock_mono_ms(), at = INT64_MAX;
    MHD_UNSIGNED_LONG_LONG wait_ms;
    end_the_slow(h, now);
    do { /* with all places taken it does not listen, and takes that up only when it runs again */
        h->freed = false;
        (void)h->lib->run(h->daemon);
    } while (h->freed);
    if (h->lib->get_timeout(h->daemon, &wait_ms) == MHD_YES)
        at = now + (int64_t)wait_ms;
    for (size_t i = 0; i < TG_HTTP_MAX_CONNECTIONS; i++)
        if (h->connections[i].mhd && h->connections[i].end_ms < at)
            at = h->connections[i].end_ms;
    tg_deadline_set(&h->deadline, at);
}

static void on_event(uv_poll_t *poll, int status, int events);

static void on_deadline(void *user)
{
    struct tg_http *h = checked(user);
    if (!h->daemon) {
        listen_again(h);
        return;
    }
    (void)uv_poll_start(h->poll, UV_READABLE,
                        on_event); /* it may have been stopped; fails only on a closing handle */
    turn(h);
}

static bool anybody_there(const struct tg_http *h)
{
    for (size_t i = 0; i < TG_HTTP_MAX_CONNECTIONS; i++)
        if (h->connections[i].mhd)
            return true;
    return false;
}

static void on_event(uv_poll_t *poll, int status, int events)
{
    struct tg_http *h = checked(poll->data);
    (void)status;
    (void)events;
    if (!anybody_there(h) &&
        !tg_descriptors_are_left()) { /* the daemon would try again and again, at full speed */
        uv_poll_stop(poll);
        tg_deadline_set(&h->deadline, tg_clock_mono_ms() + STARVED_MS);
        return;
    }
    turn(h);
}

/* --- listening ------------------------------------------------------------------------------------------ */

static void on_trace(void *user, const char *format, va_list arguments) TG_PRINTF(2, 0);
static void on_trace(void *user, const char *format, va_list arguments)
{
    char text[200];
    (void)user;
    vsnprintf(text, sizeof text, format, arguments);
    text[strcspn(text, "\n")] = '\0';
    tg_log(TG_LOG_DEBUG, "http", "libmicrohttpd: %s", text);
}

static int open_socket(const struct tg_http *h, int *ret_fd, struct tg_error *err)
{
    int on = 1, rc = 0, fd = socket(h->at.any.sa_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (fd < 0)
        return tg_error_set(err, TG_EIO, "%s", strerror(errno));
    (void)setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on,
                     sizeof on); /* else a restart waits for old connections */
    if (h->at.any.sa_family == AF_INET6)
        rc = setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &on, sizeof on);
    if (rc == 0)
        rc = bind(fd, &h->at.any, h->at.len);
    if (rc == 0)
        rc = listen(fd, TG_HTTP_MAX_CONNECTIONS);
    if (rc < 0) {
        rc = tg_error_set(err, TG_EIO, "%s", strerror(errno));
        close(fd);
        return rc;
    }
    *ret_fd = fd;
    return TG_OK;
}

static void free_poll(uv_handle_t *handle)
{
    tg_free((uv_poll_t *)handle);
}

static int watch(struct tg_http *h, struct tg_error *err)
{
    const union MHD_DaemonInfo *info = h->lib->get_daemon_info(h->daemon, MHD_DAEMON_INFO_EPOLL_FD);
    uv_poll_t *poll = info ? tg_calloc(1, sizeof *poll) : NULL;
    int rc;
    if (!poll)
        return tg_error_set(err, TG_ENOMEM, "out of memory");
    rc = uv_poll_init(&h->loop->uv, poll, info->epoll_fd);
    if (rc < 0) {
        tg_free(poll);
        return tg_error_set(err, TG_EIO, "%s", uv_strerror(rc));
    }
    poll->data = h;
    h->poll = poll;
    rc = uv_poll_start(poll, UV_READABLE, on_event);
    return rc < 0 ? tg_error_set(err, TG_EIO, "%s", uv_strerror(rc)) : TG_OK;
}

static void stop_listening(struct tg_http *h)
{
    if (h->poll)
        uv_close((uv_handle_t *)h->poll, free_poll); /* before its descriptor goes */
    h->poll = NULL;
    if (h->daemon)
        h->lib->stop_daemon(h->daemon);
    h->daemon = NULL;
}

static int start_listening(struct tg_http *h, struct tg_error *err)
{
    int fd = -1, rc = tg_http_library_get(&h->lib, err);
    if (rc == TG_OK)
        rc = open_socket(h, &fd, err);
    if (rc < 0)
        return rc;
    h->daemon = h->lib->start_daemon(
        MHD_USE_EPOLL | MHD_USE_ERROR_LOG, h->at.port, NULL, NULL, on_request, h, MHD_OPTION_EXTERNAL_LOGGER,
        on_trace, NULL, MHD_OPTION_LISTEN_SOCKET, fd, MHD_OPTION_CONNECTION_LIMIT,
        (unsigned)TG_HTTP_MAX_CONNECTIONS, MHD_OPTION_CONNECTION_MEMORY_LIMIT, (size_t)TG_HTTP_REQUEST_BYTES,
        MHD_OPTION_STRICT_FOR_CLIENT, 1, MHD_OPTION_NOTIFY_CONNECTION, on_connection, h, MHD_OPTION_END);
    if (!h->daemon) {
        close(fd);
        return tg_error_set(err, TG_EIO, "libmicrohttpd does not start");
    }
    rc = watch(h, err);
    if (rc < 0)
        stop_listening(h);
    return rc;
}

static void listen_again(struct tg_http *h)
{
    struct tg_error err = {0};
    if (start_listening(h, &err) == TG_OK) {
        h->trouble[0] = '\0';
        h->told = false;
        tg_log(TG_LOG_INFO, "http", "http://%s has /metrics, /healthz and the status page%s", h->address,
               h->at.loopback ? "" : ", for other machines too");
        turn(h);
        return;
    }
    if (!h->told || strcmp(h->trouble, err.text) != 0)
        tg_log(TG_LOG_ERROR, "http",
               "%s cannot be listened on: %s; everything else runs, it is tried again every %d s", h->address,
               err.text, TG_HTTP_AGAIN_MS / 1000);
    h->told = true;
    snprintf(h->trouble, sizeof h->trouble, "%.199s", err.text);
    tg_deadline_set(&h->deadline, tg_clock_mono_ms() + TG_HTTP_AGAIN_MS);
}

/* --- life ------------------------------------------------------------------------------------------------- */

int tg_http_new(struct tg_loop *loop, const char *address, tg_http_answer_fn answer, void *user,
                struct tg_http **ret_http, struct tg_error *err)
{
    struct tg_http *h = tg_calloc(1, sizeof *h);
    int rc;
    if (!h)
        return tg_error_set(err, TG_ENOMEM, "out of memory for the HTTP endpoint");
    h->magic = HTTP_MAGIC;
    h->life_ms = TG_HTTP_LIFE_MS;
    h->loop = loop;
    h->answer = answer;
    h->user = user;
    snprintf(h->address, sizeof h->address, "%s", address);
    rc = tg_http_address_parse(address, &h->at);
    TG_ASSERT(rc == TG_OK); /* the configuration was checked */
    tg_deadline_init(&h->deadline, loop, on_deadline, h);
    listen_again(h);
    *ret_http = h;
    return TG_OK;
}

void tg_http_limit_life(struct tg_http *h, int64_t ms)
{
    h->life_ms = ms;
}

static void on_closed(void *user)
{
    struct tg_http *h = checked(user);
    TG_OBJECT_POISON(h);
    tg_free(h);
}

void tg_http_close(struct tg_http *h)
{
    stop_listening(h);
    tg_deadline_close(&h->deadline, on_closed);
}

const char *tg_http_address(const struct tg_http *h)
{
    return h->address;
}

const char *tg_http_trouble(const struct tg_http *h)
{
    return h->trouble;
}

uint64_t tg_http_requests(const struct tg_http *h)
{
    return h->requests;
}
