/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "core/gateway/control.h"

#include <errno.h>
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "core/base/allocator.h"
#include "core/base/assert.h"
#include "core/base/clock.h"
#include "core/base/log.h"
#include "core/base/plural.h"
#include "core/base/sample.h"
#include "core/gateway/gateway.h"
#include "core/net/listener.h"
#include "northbound/format_json.h"

#define CONTROL_MAGIC 0xc0274011u
#define CLIENT_MAGIC  0xc11e4700u

struct client {
    uint32_t magic;
    struct tg_control *control;
    uv_pipe_t pipe;
    struct tg_deadline deadline;
    struct tg_buffer in;
    size_t queued;
    uint64_t lost; /* tail lines a slow reader did not get */
    uint32_t watch;
    bool closing, waiting, no_memory; /* no_memory: for what it says */
    bool ended;                       /* the client sends no more; it is closed when it has its answers */
    uint8_t handles;
    struct client *next;
};

struct tg_control {
    uint32_t magic;
    struct tg_gateway *gateway;
    struct tg_loop *loop;
    struct tg_listener server;
    char path[108];
    int64_t request_ms;
    struct client *clients;
    uint32_t count;
    bool closing;
    bool listening;
};

struct out {
    uv_write_t write;
    struct client *client;
    size_t len;
    char text[];
};

static void free_if_done(struct tg_control *c)
{
    if (!c->closing || c->clients || c->listening)
        return;
    TG_OBJECT_POISON(c);
    tg_free(c);
}

static void drop_handle(struct client *x)
{
    struct tg_control *c = x->control;
    if (--x->handles > 0)
        return;
    for (struct client **at = &c->clients; *at; at = &(*at)->next)
        if (*at == x) {
            *at = x->next;
            break;
        }
    c->count--;
    tg_buffer_fini(&x->in);
    TG_OBJECT_POISON(x);
    tg_free(x);
    free_if_done(c);
}

static void on_pipe_closed(uv_handle_t *h)
{
    drop_handle(TG_OBJECT(h->data, struct client, CLIENT_MAGIC));
}

static void on_deadline_closed(void *user)
{
    drop_handle(TG_OBJECT(user, struct client, CLIENT_MAGIC));
}

static void close_client(struct client *x)
{
    if (x->closing)
        return;
    x->closing = true;
    if (x->watch)
        tg_router_unwatch(tg_gateway_router(x->control->gateway), x->watch);
    tg_router_forget(tg_gateway_router(x->control->gateway), x);
    tg_gateway_forget_drop(x->control->gateway, x);
    uv_close((uv_handle_t *)&x->pipe, on_pipe_closed);
    tg_deadline_close(&x->deadline, on_deadline_closed);
}

static void on_timeout(void *user)
{
    close_client(TG_OBJECT(user, struct client, CLIENT_MAGIC));
}

/* --- writing ----------------------------------------------------------------------------------------- */

static void close_if_served(struct client *x)
{
    if (x->ended && x->queued == 0 && !x->waiting)
        close_client(x);
}

static void on_written(uv_write_t *w, int status)
{
    struct out *o = (struct out *)w;
    struct client *x = o->client;
    x->queued -= o->len;
    if (status < 0)
        close_client(x);
    else
        close_if_served(x);
    tg_free(o);
}

/* Sends a line; false when the client's queue has no room for it. An empty queue has room for any line: the status of ten
 * thousand devices is longer than the bound. */
static bool put_line(struct client *x, const char *text, size_t len)
{
    struct out *o;
    uv_buf_t buf;
    if (x->closing || (x->queued > 0 && x->queued + len > TG_CONTROL_QUEUE_BYTES))
        return false;
    o = tg_malloc(sizeof *o + len + 1);
    if (!o)
        return false;
    o->client = x;
    o->len = len + 1;
    memcpy(o->text, text, len);
    o->text[len] = '\n';
    buf = uv_buf_init(o->text, (unsigned)o->len);
    if (uv_write(&o->write, (uv_stream_t *)&x->pipe, &buf, 1, on_written) < 0) {
        tg_free(o);
        close_client(x);
        return false;
    }
    x->queued += o->len;
    return true;
}

static void put_json(struct client *x, json_t *j)
{
    char *text = j ? json_dumps(j, JSON_COMPACT) : NULL;
    if (!text || !put_line(x, text, strlen(text)))
        close_client(x); /* no memory, or it asks and does not read */
    free(text);
    json_decref(j);
}

static void put_error(struct client *x, const char *text)
{
    put_json(x, json_pack("{s:s}", "error", text));
}

/* --- verbs ------------------------------------------------------------------------------------------- */

static void on_reading(void *user, const char *device, const char *json, size_t len)
{
    struct client *x = TG_OBJECT(user, struct client, CLIENT_MAGIC);
    struct tg_buffer b =
        tg_buffer_init(len + 6 * TG_NAME_MAX_BYTES + 256); /* a byte of the name becomes six at most */
    struct tg_writer w;
    if (tg_buffer_reserve(&b, b.limit_bytes) == TG_OK) {
        w = tg_writer_init(b.data, b.cap);
        if (x->lost) /* told in the place of the gap, together with the line after it */
            tg_write_fmt(&w, "{\"lost\":%llu}\n", (unsigned long long)x->lost);
        tg_write_str(&w, "{\"device\":");
        tg_format_json_string(&w, tg_bytes_str(device));
        tg_write_str(&w, ",\"sample\":");
        tg_write_bytes(&w, tg_bytes(json, len));
        tg_write_str(&w, "}");
        x->lost = !w.failed && put_line(x, (const char *)w.data, w.len) ? 0 : x->lost + 1;
    } else {
        x->lost++;
    }
    tg_buffer_fini(&b);
}

static void on_command_done(void *user, const char *status, const char *json)
{
    struct client *x = TG_OBJECT(user, struct client, CLIENT_MAGIC);
    json_t *result = json_loads(json, JSON_DECODE_ANY, NULL);
    if (!result)
        result = json_string(json);
    x->waiting = false;
    put_json(x, json_pack("{s:s,s:o}", "status", status, "result", result ? result : json_null()));
    if (!x->closing)
        close_if_served(x);
}

static void run_send(struct client *x, const json_t *request)
{
    const char *device = json_string_value(json_object_get(request, "device"));
    const char *command = json_string_value(json_object_get(request, "command"));
    json_t *arguments = json_object_get(request, "arguments");
    char *text = NULL;
    if (!device || !command || (arguments && !json_is_object(arguments))) {
        put_error(x, "send takes \"device\" and \"command\" as texts and \"arguments\" as an object");
        return;
    }
    if (x->waiting) {
        put_error(x, "one command at a time on a connection");
        return;
    }
    x->waiting = true;
    text = arguments ? json_dumps(arguments, JSON_COMPACT) : NULL;
    tg_router_command(tg_gateway_router(x->control->gateway), device, command, tg_bytes_str(text),
                      on_command_done, x);
    free(text);
}

static void run_tail(struct client *x, const json_t *request)
{
    const char *device = json_string_value(json_object_get(request, "device"));
    struct tg_router *r = tg_gateway_router(x->control->gateway);
    if (device && !tg_router_device(r, device)) {
        put_error(x, "no such device");
        return;
    }
    if (!x->watch)
        x->watch = tg_router_watch(r, device, on_reading, x);
    if (!x->watch)
        put_error(x, "too many are watching already");
}

static void put_text(struct client *x, char *text)
{
    if (!text || !put_line(x, text, strlen(text)))
        put_error(x, "the answer could not be made: out of memory, or the reader is too slow");
    tg_free(text);
}

static void run_forget(struct client *x, const json_t *request)
{
    const char *device = json_string_value(json_object_get(request, "device"));
    struct tg_error err = {0};
    if (!device)
        put_error(x, "forget takes \"device\" as a text");
    else if (tg_gateway_forget(x->control->gateway, device, &err) < 0)
        put_error(x, err.text);
    else
        put_json(x, json_pack("{s:s}", "status", "ok"));
}

static void on_dropped(void *user, int rc, const char *text, uint64_t samples)
{
    struct client *x = TG_OBJECT(user, struct client, CLIENT_MAGIC);
    x->waiting = false;
    if (rc < 0)
        put_error(x, text);
    else
        put_json(x, json_pack("{s:I}", "samples", (json_int_t)samples));
    if (!x->closing)
        close_if_served(x);
}

/* Everything of everybody goes only when it is asked for in so many words. */
static void run_drop(struct client *x, const json_t *request)
{
    const json_t *before = json_object_get(request, "before_ms"), *cloud = json_object_get(request, "cloud");
    const char *device = json_string_value(json_object_get(request, "device"));
    bool all = json_is_true(json_object_get(request, "all"));
    struct tg_error err = {0};
    if (all == (device != NULL) || (cloud && !json_is_string(cloud)) || !json_is_integer(before) ||
        json_integer_value(before) < 0) {
        put_error(x,
                  "drop takes \"device\" as a text or \"all\":true, \"cloud\" as a text, and \"before_ms\"");
        return;
    }
    if (x->waiting) {
        put_error(x, "one command at a time on a connection");
        return;
    }
    x->waiting = true;
    if (tg_gateway_drop(x->control->gateway, device, json_string_value(cloud), json_integer_value(before),
                        on_dropped, x, &err) < 0) {
        x->waiting = false;
        put_error(x, err.text);
    }
}

static void run_request(struct client *x, const char *line, size_t len)
{
    json_t *request = json_loadb(line, len, JSON_REJECT_DUPLICATES, NULL);
    const char *verb = json_string_value(json_object_get(request, "verb"));
    if (verb && strcmp(verb, "status") == 0) {
        put_text(x, tg_gateway_status_json(x->control->gateway));
    } else if (verb && strcmp(verb, "send") == 0) {
        run_send(x, request);
    } else if (verb && strcmp(verb, "tail") == 0) {
        run_tail(x, request);
    } else if (verb && strcmp(verb, "discovered") == 0) {
        put_text(x, tg_gateway_discovered_json(x->control->gateway));
    } else if (verb && strcmp(verb, "forget") == 0) {
        run_forget(x, request);
    } else if (verb && strcmp(verb, "drop") == 0) {
        run_drop(x, request);
    } else {
        put_error(x,
                  "a request is a JSON object with \"verb\": status, send, tail, discovered, forget or drop");
    }
    json_decref(request);
}

/* --- reading ------------------------------------------------------------------------------------------ */

static void on_alloc(uv_handle_t *h, size_t suggested, uv_buf_t *buf)
{
    struct client *x = TG_OBJECT(h->data, struct client, CLIENT_MAGIC);
    size_t want = 4096;
    (void)suggested;
    if (x->in.len + want > x->in.limit_bytes)
        want = x->in.limit_bytes - x->in.len;
    if (want == 0 || tg_buffer_reserve(&x->in, want) < 0) {
        x->no_memory = want > 0;
        *buf = uv_buf_init(NULL, 0);
        return;
    }
    *buf = uv_buf_init((char *)x->in.data + x->in.len, (unsigned)want);
}

static void on_read(uv_stream_t *stream, ssize_t n, const uv_buf_t *buf)
{
    struct client *x = TG_OBJECT(stream->data, struct client, CLIENT_MAGIC);
    const uint8_t *end;
    size_t done = 0;
    (void)buf;
    if (n == UV_EOF && !x->watch) { /* a client may close its sending side and still wait for what it asked */
        x->ended = true;
        uv_read_stop(stream);
        tg_deadline_set(&x->deadline, tg_clock_mono_ms() + TG_COMMAND_TIMEOUT_MS + TG_CONTROL_REQUEST_MS);
        close_if_served(x);
        return;
    }
    if (n < 0) { /* end, error, or UV_ENOBUFS: a line longer than the limit, or than there is memory for */
        if (n == UV_ENOBUFS)
            put_error(x, x->no_memory ? "out of memory for the request; ask again"
                                      : "a request line has at most 64 KiB");
        close_client(x);
        return;
    }
    x->in.len += (size_t)n;
    while (!x->closing && done < x->in.len &&
           (end = memchr(x->in.data + done, '\n', x->in.len - done)) != NULL) {
        size_t len = (size_t)(end - x->in.data) - done;
        tg_deadline_set(&x->deadline, INT64_MAX);
        run_request(x, (const char *)x->in.data + done, len);
        done += len + 1;
    }
    tg_buffer_consume(&x->in, done);
}

/* Says why in its own protocol; the client closes the socket when it has read it, or we do. */
static void refuse_client(struct client *x)
{
    tg_log(TG_LOG_WARN, "control", "a connection to the control socket was refused (%u %s open, at most %d)",
           x->control->count - 1, tg_plural(x->control->count - 1, "is", "are"), TG_CONTROL_MAX_CLIENTS);
    put_error(x, "too many connections are open already");
    close_client(x);
}

static void on_connection(void *user, int fd)
{
    struct tg_control *c = TG_OBJECT(user, struct tg_control, CONTROL_MAGIC);
    struct client *x = tg_calloc(1, sizeof *x);
    if (!x) {
        tg_log(TG_LOG_WARN, "control", "a connection to the control socket was refused: out of memory");
        close(fd);
        return;
    }
    x->magic = CLIENT_MAGIC;
    x->control = c;
    x->in = tg_buffer_init(TG_CONTROL_LINE_BYTES);
    x->handles = 2;
    uv_pipe_init(&c->loop->uv, &x->pipe, 0);
    x->pipe.data = x;
    tg_deadline_init(&x->deadline, c->loop, on_timeout, x);
    x->next = c->clients;
    c->clients = x;
    c->count++;
    if (uv_pipe_open(&x->pipe, fd) < 0) {
        close(fd);
        close_client(x);
    } else if (c->count > TG_CONTROL_MAX_CLIENTS) {
        refuse_client(x);
    } else if (uv_read_start((uv_stream_t *)&x->pipe, on_alloc, on_read) < 0) {
        close_client(x);
    } else {
        tg_deadline_set(&x->deadline, tg_clock_mono_ms() + c->request_ms);
    }
}

/* --- life ---------------------------------------------------------------------------------------------- */

/* True when somebody listens at the path: anything but a plain refusal, a full queue for instance, counts. */
static bool is_alive(const char *path)
{
    struct sockaddr_un a = {.sun_family = AF_UNIX};
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0), rc, why;
    if (fd < 0)
        return true; /* not known: take nothing away */
    snprintf(a.sun_path, sizeof a.sun_path, "%s", path);
    rc = connect(fd, (const struct sockaddr *)&a, sizeof a);
    why = errno;
    close(fd);
    return rc == 0 || why != ECONNREFUSED;
}

/* Makes room for our socket at the path: only the socket file of a gateway that was killed may go. */
static int clear_path(const char *path, struct tg_error *err)
{
    struct stat st;
    if (lstat(path, &st) < 0)
        return TG_OK; /* nothing there; what else is wrong bind() says */
    if (!S_ISSOCK(st.st_mode))
        return tg_error_set(
            err, TG_EEXISTS,
            "control_socket %s: there is something that is not a socket, and it stays; remove it or "
            "choose another path",
            path);
    if (is_alive(path))
        return tg_error_set(
            err, TG_EEXISTS,
            "control_socket %s: another gateway answers there; stop it, or give this one its own path", path);
    if (unlink(path) < 0)
        return tg_error_set(
            err, TG_EPERM, "control_socket %s: the socket of a gateway that was killed cannot be removed: %s",
            path, strerror(errno));
    return TG_OK;
}

static void on_server_closed(void *user)
{
    struct tg_control *c = TG_OBJECT(user, struct tg_control, CONTROL_MAGIC);
    c->listening = false;
    free_if_done(c);
}

/* A socket that listens at the path, with mode 0660 from the first moment; negative: errno. */
static int open_door(const char *path)
{
    struct sockaddr_un a = {.sun_family = AF_UNIX};
    mode_t before = umask(0117);
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0), rc = -1, why;
    snprintf(a.sun_path, sizeof a.sun_path, "%s", path);
    if (fd >= 0)
        rc = bind(fd, (const struct sockaddr *)&a, sizeof a);
    why = errno;
    umask(before);
    if (rc == 0 && listen(fd, TG_CONTROL_MAX_CLIENTS) == 0)
        return fd;
    why = rc == 0 ? errno : why;
    if (rc == 0)
        unlink(path);
    if (fd >= 0)
        close(fd);
    return -why;
}

int tg_control_new(struct tg_loop *loop, struct tg_gateway *gateway, const char *path,
                   struct tg_control **ret_control, struct tg_error *err)
{
    struct tg_control *c;
    int rc, fd;
    if (strlen(path) >= sizeof c->path)
        return tg_error_set(err, TG_ETOOBIG, "control_socket %s: a socket's path has at most 107 bytes",
                            path);
    rc = clear_path(path, err);
    if (rc < 0)
        return rc;
    c = tg_calloc(1, sizeof *c);
    if (!c)
        return tg_error_set(err, TG_ENOMEM, "out of memory for the control socket");
    c->request_ms = TG_CONTROL_REQUEST_MS;
    c->magic = CONTROL_MAGIC;
    c->loop = loop;
    c->gateway = gateway;
    fd = open_door(path);
    rc = fd < 0 ? fd : tg_listener_init(&c->server, loop, fd, on_connection, c);
    if (rc < 0) {
        tg_error_set(err, TG_EIO, "control_socket %s: %s; is its folder there and writable?", path,
                     fd < 0 ? strerror(-fd) : "the loop gives no handle");
        if (fd >= 0) {
            unlink(path);
            close(fd);
        }
        TG_OBJECT_POISON(c);
        tg_free(c);
        return TG_EIO;
    }
    c->listening = true;
    snprintf(c->path, sizeof c->path, "%s", path);
    *ret_control = c;
    return TG_OK;
}

void tg_control_limit_request(struct tg_control *c, int64_t ms)
{
    c->request_ms = ms;
}

void tg_control_close(struct tg_control *c)
{
    c->closing = true;
    if (c->path[0])
        unlink(c->path);
    for (struct client *x = c->clients, *next; x; x = next) {
        next = x->next;
        close_client(x);
    }
    tg_listener_close(&c->server, on_server_closed);
}
