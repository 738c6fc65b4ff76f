/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "plugins/modbus/modbus_wait.h"

#include <errno.h>
#include <poll.h>
#include <time.h>

static int64_t now(const struct tg_modbus_waiter *w)
{
    return w->host->now_ms(w->host->source);
}

bool tg_modbus_stopping(const struct tg_modbus_waiter *w)
{
    return w->ending || w->host->stopping(w->host->source);
}

/* One look, at most so long. >0: revents; 0: nothing; TG_EIO. */
static int look(int fd, short events, int64_t ms)
{
    struct pollfd p = {.fd = fd, .events = events};
    int n = poll(&p, 1, ms <= 0 ? 0 : ms > TG_MODBUS_SLICE_MS ? TG_MODBUS_SLICE_MS : (int)ms);
    return n > 0 ? p.revents : n < 0 && errno != EINTR ? TG_EIO : 0;
}

static int block(const struct tg_modbus_waiter *w, int fd, short events, int64_t until_ms)
{
    for (;;) {
        int64_t left = until_ms - now(w);
        if (tg_modbus_stopping(w))
            return TG_ECANCELED;
        int n = look(fd, events, left);
        if (n != 0)
            return n;
        if (left <= 0)
            return 0;
    }
}

/* --- on the loop ------------------------------------------------------------------------------------------ */

void tg_modbus_forget(struct tg_modbus_waiter *w, int fd)
{
    if (!w->watches || w->watched != fd)
        return;
    w->watches = false;
    (void)w->host->watch_fd(w->host->source, fd, 0);
}

static bool watch(struct tg_modbus_waiter *w, int fd, short events)
{
    uint32_t wanted = (events & POLLIN ? TG_FD_READ : 0) | (events & POLLOUT ? TG_FD_WRITE : 0);
    if (w->watches && w->watched == fd && w->events == wanted)
        return true;
    if (w->watches && w->watched != fd)
        tg_modbus_forget(w, w->watched);
    w->watches = w->host->watch_fd(w->host->source, fd, wanted) == TG_PLUGIN_OK;
    w->watched = fd;
    w->events = wanted;
    return w->watches;
}

static int yield_until(struct tg_modbus_waiter *w, int fd, short events, int64_t until_ms)
{
    for (;;) {
        if (tg_modbus_stopping(w))
            return TG_ECANCELED;
        if (now(w) >= until_ms)
            return look(fd, events, 0);
        if (events && !watch(w, fd, events))
            return TG_EIO;
        w->until_ms = until_ms;
        w->waits_for_fd = events != 0;
        w->ready = 0;
        tg_modbus_fiber_yield(w->fiber);
        w->waits_for_fd = false;
        if (w->ready & TG_FD_HANGUP) {
            /* What exactly, poll(2) says. */
            int n = look(fd, events, 0);
            if (n != 0)
                return n;
        } else if (w->ready) {
            return (w->ready & TG_FD_READ ? POLLIN : 0) | (w->ready & TG_FD_WRITE ? POLLOUT : 0);
        }
    }
}

int tg_modbus_wait(struct tg_modbus_waiter *w, int fd, short events, int64_t until_ms)
{
    return w->fiber ? yield_until(w, fd, events, until_ms) : block(w, fd, events, until_ms);
}

void tg_modbus_rest(struct tg_modbus_waiter *w, int64_t ms)
{
    if (w->fiber) {
        if (tg_modbus_stopping(w))
            return;
        w->until_ms = now(w) + ms;
        w->ready = 0;
        tg_modbus_fiber_yield(w->fiber);
        return;
    }
    const struct timespec t = {ms / 1000, (long)(ms % 1000) * 1000000L};
    (void)nanosleep(&t, NULL);
}

void tg_modbus_waiter_ready(struct tg_modbus_waiter *w, int fd, uint32_t events)
{
    bool wanted = w->waits_for_fd && w->watches && w->watched == fd;
    if (wanted)
        w->ready |= events;
    /* A descriptor in error stays so: it would be told again and again. */
    if (!wanted || events & TG_FD_HANGUP)
        tg_modbus_forget(w, fd);
}

int64_t tg_modbus_waiter_due(const struct tg_modbus_waiter *w, int64_t now_ms)
{
    return w->ready || tg_modbus_stopping(w) || now_ms >= w->until_ms ? 0 : w->until_ms - now_ms;
}
