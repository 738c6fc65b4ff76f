/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * tcp_stream - bytes over one connected socket: reading into the loop's shared buffer, writing at once where
 * the kernel takes it, and a bounded queue for what it does not.
 *
 *     open ──► on_bytes … ──► on_end (once: end of file or error) ──► close ──► closed
 *
 * Embedded by value; loop thread. Callbacks may close. An idle connection holds no buffer. After on_end
 * nothing is read or sent any more.
 */
#ifndef TG_NET_TCP_STREAM_H
#define TG_NET_TCP_STREAM_H

#include "core/base/bytes.h"
#include "core/net/loop.h"

struct tg_tcp_events {
    void (*on_bytes)(void *user, struct tg_bytes bytes); /* borrowed */
    void (*on_sent)(void *user);                         /* the kernel took a part of the queue */
    void (*on_end)(void *user, int uv_error);            /* UV_EOF, UV_ECONNRESET, … */
};

struct tg_tcp_stream {
    struct tg_loop *loop;
    const struct tg_tcp_events *events;
    void *user;
    uv_tcp_t handle;
    uv_write_t write;
    uv_shutdown_t shutdown;
    struct tg_buffer flying, waiting; /* given to uv_write(); gathered meanwhile */
    uint64_t bytes_in, bytes_out;
    bool open, writing, finishing, finished, ended;
    bool held; /* not reading */
    void (*closed)(void *user);
};

/* Takes fd, also on failure; s is to be closed in either case. `limit_bytes` bounds the queue. TG_ENOMEM,
 * TG_EIO. */
int tg_tcp_stream_open(struct tg_tcp_stream *s, struct tg_loop *loop, int fd, size_t limit_bytes,
                       const struct tg_tcp_events *events, void *user, struct tg_error *err) TG_CHECKED;
/* Sends or queues all of it: TG_ESTATE; TG_EFULL and TG_ENOMEM, after which a part may have been sent: close.
 * A broken socket shows in on_end. */
int tg_tcp_stream_send(struct tg_tcp_stream *s, struct tg_bytes bytes) TG_CHECKED;
size_t tg_tcp_stream_queued(const struct tg_tcp_stream *s);
/* Both ends of it. False: it has ended. */
bool tg_tcp_stream_ends(const struct tg_tcp_stream *s, struct sockaddr_storage *ret_here,
                        struct sockaddr_storage *ret_there);
/* How often in a row the kernel has sent the same data again (its timer's back-off). */
uint32_t tg_tcp_stream_unanswered(const struct tg_tcp_stream *s);
/* Segments sent and received so far, those without data and those sent again included. 0 when the kernel does not say. A
 * system call. */
uint64_t tg_tcp_stream_segments(const struct tg_tcp_stream *s);
/* Stops and begins reading again; meanwhile the peer fills the kernel's buffers and then waits, and neither its end nor a
 * reset is noticed but by a write. */
void tg_tcp_stream_hold(struct tg_tcp_stream *s, bool hold);
/* FIN once the queue is sent; sending is over. Reading goes on. */
void tg_tcp_stream_finish(struct tg_tcp_stream *s);
/* Drops the queue and closes the socket; `closed` runs when the memory may go. Once; also if it was never
 * open (then `closed` runs at once). */
void tg_tcp_stream_close(struct tg_tcp_stream *s, void (*closed)(void *user));

#endif
