/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "core/net/tcp_stream.h"

#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/socket.h>
#include <unistd.h>

#include "core/base/allocator.h"
#include "core/base/assert.h"
#include "core/net/tcp_segments.h"

static void end(struct tg_tcp_stream *s, int uv_error)
{
    if (s->ended || !s->open)
        return;
    s->ended = true;
    uv_read_stop((uv_stream_t *)&s->handle);
    s->events->on_end(s->user, uv_error);
}

/* --- reading --------------------------------------------------------------------------------- */

static void lend_buffer(uv_handle_t *handle, size_t suggested, uv_buf_t *ret_buf)
{
    struct tg_tcp_stream *s = handle->data;
    (void)suggested;
    *ret_buf = uv_buf_init((char *)s->loop->wire, TG_LOOP_WIRE_BYTES);
}

static bool look(const struct tg_tcp_stream *s, struct tcp_info *ret_info)
{
    socklen_t len = sizeof *ret_info;
    uv_os_fd_t fd;
    return uv_fileno((const uv_handle_t *)&s->handle, &fd) == 0 &&
           getsockopt(fd, IPPROTO_TCP, TCP_INFO, ret_info, &len) == 0;
}

/* A reset is reported once, by whichever call comes first; if that was a write, the next read says end of
 * file. The kernel's state tells the two apart: after the peer's FIN alone it is CLOSE_WAIT. */
static bool was_reset(const struct tg_tcp_stream *s)
{
    struct tcp_info info;
    return look(s, &info) && !s->finishing && info.tcpi_state == TCP_CLOSE;
}

static void on_read(uv_stream_t *stream, ssize_t n, const uv_buf_t *buf)
{
    struct tg_tcp_stream *s = stream->data;
    if (n == 0 || s->ended)
        return;
    if (n < 0) {
        end(s, n == UV_EOF && was_reset(s) ? UV_ECONNRESET : (int)n);
        return;
    }
    s->bytes_in += (uint64_t)n;
    s->events->on_bytes(s->user, tg_bytes(buf->base, (size_t)n));
}

int tg_tcp_stream_open(struct tg_tcp_stream *s, struct tg_loop *loop, int fd, size_t limit_bytes,
                       const struct tg_tcp_events *events, void *user, struct tg_error *err)
{
    int rc;
    *s = (struct tg_tcp_stream){.loop = loop, .events = events, .user = user};
    s->flying = s->waiting = tg_buffer_init(limit_bytes);
    rc = uv_tcp_init(&loop->uv, &s->handle);
    if (rc < 0) {
        close(fd);
        return tg_error_set(err, TG_ENOMEM, "socket: %s", uv_strerror(rc));
    }
    s->handle.data = s;
    s->open = true; /* from here on there is a handle to close */
    rc = uv_tcp_open(&s->handle, fd);
    if (rc < 0)
        close(fd);
    else
        rc = uv_read_start((uv_stream_t *)&s->handle, lend_buffer, on_read);
    if (rc < 0)
        return tg_error_set(err, rc == UV_ENOMEM ? TG_ENOMEM : TG_EIO, "socket: %s", uv_strerror(rc));
    return TG_OK;
}

/* --- writing --------------------------------------------------------------------------------- */

static void start_write(struct tg_tcp_stream *s);

static void on_shut_down(uv_shutdown_t *shutdown, int status)
{
    (void)shutdown;
    (void)status; /* an error means that the connection is gone already: reading sees that */
}

static void start_shutdown(struct tg_tcp_stream *s)
{
    s->finished = true;
    (void)uv_shutdown(&s->shutdown, (uv_stream_t *)&s->handle, on_shut_down);
}

static void on_written(uv_write_t *write, int status)
{
    struct tg_tcp_stream *s = write->data;
    s->writing = false;
    if (status == UV_ECANCELED || !s->open)
        return; /* being closed */
    if (status < 0) {
        end(s, status);
        return;
    }
    s->bytes_out += s->flying.len;
    tg_buffer_fini(&s->flying);
    if (s->waiting.len > 0)
        start_write(s);
    else if (s->finishing && !s->finished)
        start_shutdown(s);
    if (!s->ended)
        s->events->on_sent(s->user);
}

static void start_write(struct tg_tcp_stream *s)
{
    struct tg_buffer empty = tg_buffer_init(s->waiting.limit_bytes);
    s->flying = s->waiting;
    s->waiting = empty;
    uv_buf_t buf = uv_buf_init((char *)s->flying.data, (unsigned)s->flying.len);
    s->writing = true;
    s->write.data = s;
    int rc = uv_write(&s->write, (uv_stream_t *)&s->handle, &buf, 1, on_written);
    TG_ASSERT(rc == 0); /* one buffer needs no memory, and the handle is open */
}

int tg_tcp_stream_send(struct tg_tcp_stream *s, struct tg_bytes bytes)
{
    size_t taken = 0;
    if (!s->open || s->ended || s->finishing)
        return TG_ESTATE;
    if (!s->writing) {
        uv_buf_t buf = uv_buf_init((char *)(uintptr_t)bytes.data, (unsigned)bytes.len);
        int n = uv_try_write((uv_stream_t *)&s->handle, &buf, 1);
        if (n > 0)
            taken = (size_t)n;
        s->bytes_out += taken;
        if (taken == bytes.len)
            return TG_OK;
        /* Nothing or a part was taken. A broken connection also ends here: the queued write reports it. */
    }
    struct tg_bytes rest = tg_bytes(bytes.data + taken, bytes.len - taken);
    int rc = tg_buffer_append(&s->waiting, rest);
    if (rc < 0)
        return rc == TG_ETOOBIG ? TG_EFULL : rc;
    if (!s->writing)
        start_write(s);
    return TG_OK;
}

uint64_t tg_tcp_stream_segments(const struct tg_tcp_stream *s)
{
    uv_os_fd_t fd;
    return s->open && uv_fileno((const uv_handle_t *)&s->handle, &fd) == 0 ? tg_tcp_segments(fd) : 0;
}

size_t tg_tcp_stream_queued(const struct tg_tcp_stream *s)
{
    if (!s->open)
        return 0;
    return s->waiting.len +
           (s->writing ? uv_stream_get_write_queue_size((const uv_stream_t *)&s->handle) : 0);
}

bool tg_tcp_stream_ends(const struct tg_tcp_stream *s, struct sockaddr_storage *ret_here,
                        struct sockaddr_storage *ret_there)
{
    int here = sizeof *ret_here, there = sizeof *ret_there;
    return s->open && !s->ended && uv_tcp_getsockname(&s->handle, (struct sockaddr *)ret_here, &here) == 0 &&
           uv_tcp_getpeername(&s->handle, (struct sockaddr *)ret_there, &there) == 0;
}

uint32_t tg_tcp_stream_unanswered(const struct tg_tcp_stream *s)
{
    struct tcp_info info;
    return s->open && !s->ended && look(s, &info) ? info.tcpi_backoff : 0;
}

void tg_tcp_stream_hold(struct tg_tcp_stream *s, bool hold)
{
    if (!s->open || s->ended || s->held == hold)
        return;
    if (hold)
        uv_read_stop((uv_stream_t *)&s->handle);
    else if (uv_read_start((uv_stream_t *)&s->handle, lend_buffer, on_read) < 0)
        return; /* a handle on its way out: its end is told by the write */
    s->held = hold;
}

void tg_tcp_stream_finish(struct tg_tcp_stream *s)
{
    if (!s->open || s->ended || s->finishing)
        return;
    tg_tcp_stream_hold(s, false); /* the peer's end is awaited */
    s->finishing = true;
    if (!s->writing)
        start_shutdown(s);
}

/* --- end ------------------------------------------------------------------------------------- */

static void on_closed(uv_handle_t *handle)
{
    struct tg_tcp_stream *s = handle->data;
    tg_buffer_fini(&s->flying);
    tg_buffer_fini(&s->waiting);
    s->closed(s->user);
}

void tg_tcp_stream_close(struct tg_tcp_stream *s, void (*closed)(void *user))
{
    if (!s->open) {
        closed(s->user);
        return;
    }
    s->open = false;
    s->closed = closed;
    uv_close((uv_handle_t *)&s->handle, on_closed);
}
