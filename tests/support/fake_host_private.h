/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * fake_host_private - what fake_host.c (the host that a plugin sees) and fake_host_wait.c (what a test waits for) share.
 */
#ifndef TESTS_SUPPORT_FAKE_HOST_PRIVATE_H
#define TESTS_SUPPORT_FAKE_HOST_PRIVATE_H

#include <pthread.h>

#include "support/fake_host.h"

#define MAX_DEVICES 16
#define MAX_POINTS  1024
#define MAX_TASKS   64

struct task {
    uint64_t request;
    uint32_t device, point;
    struct tg_value value;
    char name[32], text[FAKE_TEXT];
    bool is_command;
};

struct fake_host {
    void *library;
    const struct tg_plugin *plugin;
    struct tg_host host;
    struct tg_source source;
    struct tg_device devices[MAX_DEVICES];
    struct tg_point *points[MAX_DEVICES];
    void *instance;
    pthread_t thread;
    bool threaded, stopping, counting_only;
    int64_t clock_jump_ms;
    bool clock_jumps;
    uint64_t values;
    pthread_mutex_t lock;
    pthread_cond_t changed;
    struct fake_event *events;
    size_t count, cap;
    uint32_t samples;
    struct task tasks[MAX_TASKS];
    size_t task_count;
    /* on the loop */
    int wake[2]; /* a pipe: a task was queued, or the end */
    int watched; /* -1 = none */
    uint32_t watch_events;
};

/* Ends the test. */
_Noreturn void fake_give_up(const char *what, const char *detail);

#endif
