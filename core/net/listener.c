/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "core/net/listener.h"

#include <errno.h>
#include <sys/socket.h>
#include <unistd.h>

#include "core/base/clock.h"
#include "core/base/descriptors.h"

#define AT_ONCE  16 /* connections in a turn of the loop */
#define AGAIN_MS 1000

static void on_readable(uv_poll_t *poll, int status, int events)
{
    struct tg_listener *l = poll->data;
    (void)status;
    (void)events;
    for (int i = 0; i < AT_ONCE && !l->closing; i++) {
        int fd = accept4(l->fd, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);
        if (fd >= 0) {
            l->on_connection(l->user, fd);
            continue;
        }
        if (errno == EINTR || errno == ECONNABORTED)
            continue;
        if (errno == EAGAIN)
            return;
        (void)tg_descriptors_missed(errno); /* or memory of the kernel */
        uv_poll_stop(&l->poll);
        tg_deadline_set(&l->again, tg_clock_mono_ms() + AGAIN_MS);
        return;
    }
}

static void on_again(void *user)
{
    struct tg_listener *l = user;
    (void)uv_poll_start(&l->poll, UV_READABLE, on_readable); /* fails only on a closing handle */
}

int tg_listener_init(struct tg_listener *l, struct tg_loop *loop, int fd,
                     void (*on_connection)(void *user, int fd), void *user)
{
    *l = (struct tg_listener){.fd = fd, .on_connection = on_connection, .user = user};
    if (uv_poll_init(&loop->uv, &l->poll, fd) < 0)
        return TG_EIO;
    l->poll.data = l;
    tg_deadline_init(&l->again, loop, on_again, l);
    on_again(l);
    return TG_OK;
}

static void on_deadline_closed(void *user)
{
    struct tg_listener *l = user;
    if (l->closed)
        l->closed(l->user);
}

static void on_poll_closed(uv_handle_t *poll)
{
    struct tg_listener *l = poll->data;
    tg_deadline_close(&l->again, on_deadline_closed);
}

void tg_listener_close(struct tg_listener *l, void (*closed)(void *user))
{
    l->closing = true;
    l->closed = closed;
    uv_close((uv_handle_t *)&l->poll, on_poll_closed);
    close(l->fd); /* the handle has let go of it: what waits at the door is turned away now */
}
