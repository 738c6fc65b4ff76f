/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * plugin_worker - the thread of an instance that may block (TG_THREAD_OWN): it waits in poll(2) for requests, watched
 * descriptors and the instance's next due time.
 */
#include "southbound/plugin_host_private.h"

#include <errno.h>
#include <limits.h>
#include <poll.h>
#include <signal.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "core/base/assert.h"
#include "core/base/clock.h"

void tg_worker_wake(void *source)
{
    struct tg_host_source *s = source;
    uint64_t one = 1;
    /* A full counter (EAGAIN) wakes just as well. */
    ssize_t n = write(s->event_fd, &one, sizeof one);
    (void)n;
}

static int wait_ms(const struct tg_host_source *s)
{
    int64_t left;
    if (s->poll_due_ms == INT64_MAX)
        return -1;
    left = s->poll_due_ms - tg_clock_mono_ms();
    return left <= 0 ? 0 : left > INT_MAX ? INT_MAX : (int)left;
}

/* What may be reported of the descriptor now: the call for another one may have ended its watch. */
static uint32_t watched(const struct tg_host_source *s, int fd)
{
    for (size_t i = 0; i < TG_SOURCE_MAX_FDS; i++)
        if (s->watches[i].events && s->watches[i].fd == fd)
            return s->watches[i].events | TG_FD_HANGUP;
    return 0;
}

static void wait_for_work(struct tg_host_source *s)
{
    struct pollfd fds[TG_SOURCE_MAX_FDS + 1] = {{.fd = s->event_fd, .events = POLLIN}};
    nfds_t n = 1;
    uint64_t count;
    for (size_t i = 0; i < TG_SOURCE_MAX_FDS; i++) {
        const struct tg_watch *w = &s->watches[i];
        if (w->events)
            fds[n++] = (struct pollfd){.fd = w->fd,
                                       .events = (short)((w->events & TG_FD_READ ? POLLIN : 0) |
                                                         (w->events & TG_FD_WRITE ? POLLOUT : 0))};
    }
    if (poll(fds, n, wait_ms(s)) <= 0)
        return; /* time is up, or EINTR: the round looks at the clock itself */
    if (fds[0].revents && read(s->event_fd, &count, sizeof count) < 0)
        TG_ASSERT(errno == EAGAIN || errno == EINTR);
    for (nfds_t i = 1; i < n && s->open && s->plugin->fd_ready; i++) {
        uint32_t events = (fds[i].revents & POLLIN ? TG_FD_READ : 0) |
                          (fds[i].revents & POLLOUT ? TG_FD_WRITE : 0) |
                          (fds[i].revents & (POLLHUP | POLLERR | POLLNVAL) ? TG_FD_HANGUP : 0);
        events &= watched(s, fds[i].fd);
        if (!events)
            continue;
        tg_instance_enter(s);
        s->plugin->fd_ready(s->instance, fds[i].fd, events);
        tg_instance_leave(s);
        s->poll_due_ms = 0; /* what arrived may have made something due */
    }
}

static void *worker_main(void *source)
{
    struct tg_host_source *s = TG_OBJECT(source, struct tg_host_source, TG_HOST_SOURCE_MAGIC);
    while (!atomic_load(&s->stopping)) {
        tg_instance_round(s);
        if (!atomic_load(&s->stopping))
            wait_for_work(s);
    }
    tg_instance_enter(s);
    tg_instance_close(s);
    tg_instance_leave(s);
    tg_wakeup_fire(&s->ended);
    return NULL;
}

static void on_ended_closed(uv_handle_t *handle)
{
    tg_source_host_ended(((struct tg_wakeup *)handle->data)->user);
}

static void on_ended(void *user)
{
    struct tg_host_source *s = TG_OBJECT(user, struct tg_host_source, TG_HOST_SOURCE_MAGIC);
    if (s->thread_started)
        pthread_join(s->thread, NULL); /* it fired this as its last act */
    s->thread_started = false;
    close(s->event_fd);
    s->ended.async.data = &s->ended;
    uv_close((uv_handle_t *)&s->ended.async, on_ended_closed);
}

int tg_worker_start(struct tg_host_source *s, struct tg_error *err)
{
    sigset_t all, before;
    int rc = tg_wakeup_init(&s->ended, s->handle.loop, on_ended, s);
    if (rc < 0) {
        tg_source_host_ended(s);
        return tg_error_set(err, rc, "source %s: cannot make a wake-up", s->config->name);
    }
    s->event_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    if (s->event_fd < 0) {
        rc = tg_error_set(err, tg_code_from_errno(errno), "source %s: eventfd: %s", s->config->name,
                          strerror(errno));
        goto close_ended;
    }
    sigfillset(&all); /* signals belong to the loop thread */
    pthread_sigmask(SIG_SETMASK, &all, &before);
    rc = pthread_create(&s->thread, NULL, worker_main, s);
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    if (rc != 0) {
        rc = tg_error_set(err, tg_code_from_errno(rc), "source %s: cannot start a thread: %s",
                          s->config->name, strerror(rc));
        close(s->event_fd);
        goto close_ended;
    }
    s->thread_started = true;
    return TG_OK;
close_ended:
    s->ended.async.data = &s->ended;
    uv_close((uv_handle_t *)&s->ended.async, on_ended_closed); /* `s` must outlive this handle */
    return rc;
}

void tg_worker_stop(struct tg_host_source *s)
{
    tg_worker_wake(s);
}
