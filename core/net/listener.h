/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * listener - accepts connections on a socket that listens already.
 *
 * libuv's own way turns for ever inside one callback when there is no descriptor for a connection that waits, and the whole loop stands
 * still. This one leaves the connection where it is (the kernel's queue) and looks again after a second. Loop thread.
 */
#ifndef TG_NET_LISTENER_H
#define TG_NET_LISTENER_H

#include "core/net/loop.h"

struct tg_listener {
    uv_poll_t poll;
    struct tg_deadline again;
    int fd;
    bool closing;
    void (*on_connection)(void *user, int fd);
    void (*closed)(void *user);
    void *user;
};

/* fd: listening, non-blocking; the listener's own from now on when this succeeds. on_connection owns the descriptor it is given (non-blocking, close-on-exec) and
 * may close the listener. */
int tg_listener_init(struct tg_listener *l, struct tg_loop *loop, int fd,
                     void (*on_connection)(void *user, int fd), void *user) TG_CHECKED;
void tg_listener_close(struct tg_listener *l, void (*closed)(void *user));

#endif
