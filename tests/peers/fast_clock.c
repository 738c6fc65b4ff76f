/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * fast_clock - preloaded into a program whose hours should be minutes: its clocks run TIDEGATE_FAST times as fast from its start on
 * (1 to 1000), and what it waits for in epoll, poll and on condition variables is as much shorter. The world around it stays as it is, so an
 * answer that takes a second seems to take TIDEGATE_FAST of them.
 *
 *     LD_PRELOAD=build/…/fast_clock.so TIDEGATE_FAST=10 tidegate run …
 *
 * libfaketime does not do: it bends the deadlines of condition variables the wrong way (tests/scenario/clocks.py).
 */
#include <dlfcn.h>
#include <poll.h>
#include <pthread.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <time.h>

#define NS     INT64_C(1000000000)
#define CLOCKS 16
#define SHOWN  __attribute__((visibility("default")))

static int (*real_gettime)(clockid_t, struct timespec *);
static int (*real_epoll_pwait)(int, struct epoll_event *, int, int, const sigset_t *);
static int (*real_poll)(struct pollfd *, nfds_t, int);
static int (*real_timedwait)(pthread_cond_t *, pthread_mutex_t *, const struct timespec *);
static int64_t begin_ns[CLOCKS];
static int64_t factor = 1;

static int64_t ns_of(const struct timespec *t)
{
    return t->tv_sec * NS + t->tv_nsec;
}

static struct timespec of_ns(int64_t ns)
{
    return (struct timespec){ns / NS, ns % NS};
}

__attribute__((constructor)) static void begin(void)
{
    const char *text = getenv("TIDEGATE_FAST");
    long given = text ? strtol(text, NULL, 10) : 1;
    *(void **)&real_gettime = dlsym(RTLD_NEXT, "clock_gettime");
    *(void **)&real_poll = dlsym(RTLD_NEXT, "poll");
    *(void **)&real_epoll_pwait = dlsym(RTLD_NEXT, "epoll_pwait");
    /* Without the version glibc gives the one of old programs, which does not know this one's condition variables. */
    *(void **)&real_timedwait = dlvsym(RTLD_NEXT, "pthread_cond_timedwait", "GLIBC_2.3.2");
    if (!real_timedwait) /* other processors begin later, with one version */
        *(void **)&real_timedwait = dlsym(RTLD_NEXT, "pthread_cond_timedwait");
    if (!real_gettime || !real_poll || !real_epoll_pwait || !real_timedwait || given < 1 || given > 1000)
        abort();
    for (clockid_t c = 0; c < CLOCKS; c++) {
        struct timespec now;
        if (real_gettime(c, &now) == 0)
            begin_ns[c] = ns_of(&now);
    }
    factor = given;
}

/* Of processor time nobody has more. */
static int is_time(clockid_t c)
{
    return c == CLOCK_REALTIME || c == CLOCK_REALTIME_COARSE || c == CLOCK_MONOTONIC ||
           c == CLOCK_MONOTONIC_COARSE || c == CLOCK_MONOTONIC_RAW || c == CLOCK_BOOTTIME;
}

SHOWN int clock_gettime(clockid_t c, struct timespec *now)
{
    int rc;
    if (!real_gettime)
        begin();
    rc = real_gettime(c, now);
    if (rc == 0 && is_time(c))
        *now = of_ns(begin_ns[c] + (ns_of(now) - begin_ns[c]) * factor);
    return rc;
}

/* Rounded up: never before the time. */
static int shorter(int timeout_ms)
{
    return timeout_ms > 0 ? (int)((timeout_ms + factor - 1) / factor) : timeout_ms;
}

SHOWN int poll(struct pollfd *fds, nfds_t count, int timeout_ms)
{
    return real_poll(fds, count, shorter(timeout_ms));
}

/* What poll() is when its buffers are checked by the compiler. */
SHOWN int __poll_chk(struct pollfd *fds, nfds_t count, int timeout_ms, size_t bytes)
{
    if (bytes / sizeof *fds < count)
        abort();
    return poll(fds, count, timeout_ms);
}

SHOWN int epoll_pwait(int fd, struct epoll_event *events, int most, int timeout_ms, const sigset_t *mask)
{
    return real_epoll_pwait(fd, events, most, shorter(timeout_ms), mask);
}

SHOWN int epoll_wait(int fd, struct epoll_event *events, int most, int timeout_ms)
{
    return epoll_pwait(fd, events, most, timeout_ms, NULL);
}

/* Deadlines here are of CLOCK_MONOTONIC, as libuv and the gateway have them. */
SHOWN int pthread_cond_timedwait(pthread_cond_t *cond, pthread_mutex_t *mutex, const struct timespec *until)
{
    int64_t begun = begin_ns[CLOCK_MONOTONIC];
    struct timespec real = of_ns(begun + (ns_of(until) - begun) / factor);
    return real_timedwait(cond, mutex, &real);
}
