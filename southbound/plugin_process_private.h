/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * plugin_process_private - plugin_process.c (life of the child), plugin_process_send.c and plugin_process_receive.c.
 */
#ifndef TG_SOUTHBOUND_PLUGIN_PROCESS_PRIVATE_H
#define TG_SOUTHBOUND_PLUGIN_PROCESS_PRIVATE_H

#include "southbound/plugin_host_private.h"
#include "southbound/plugin_process.h"
#include "southbound/plugin_wire.h"

#define TG_PROCESS_MAGIC       0x9f0c1d00u
#define TG_PROCESS_PENDING_MAX 512
#define TG_PROCESS_TEXT_BYTES  256

enum tg_process_state {
    TG_PROCESS_WAITING, /* next: running, at restart_ms */
    TG_PROCESS_RUNNING, /* there is a pid; next: draining, when it has exited */
    TG_PROCESS_DRAINING /* next: waiting, when the samples that it had sent are taken */
};

/* One socket. Allocated apart: libuv gives the memory back a turn after the end. */
struct tg_process_channel {
    uv_poll_t uv;
    struct tg_process *process; /* NULL: ended */
    struct tg_buffer in;
    int fd, events;
    bool ended; /* nothing more comes */
    void (*ready)(struct tg_process_channel *c, int events);
};

/* Where the sending of the configuration is. */
struct tg_process_model_at {
    enum { TG_MODEL_SOURCE, TG_MODEL_DEVICE, TG_MODEL_POINT, TG_MODEL_START, TG_MODEL_DONE } step;
    uint32_t device, point;
};

struct tg_process {
    uint32_t magic;
    struct tg_host_source *source;
    enum tg_process_state state;
    bool stopping, distrusted; /* told to stop; has broken the protocol: nothing that it says counts */
    uv_process_t *uv;          /* NULL: none is running */
    int64_t pid;
    struct tg_process_channel *control, *samples;
    struct tg_buffer out;
    struct tg_process_model_at model;
    struct tg_mail *held;                     /* requests that cannot be sent yet, oldest first */
    uint64_t pending[TG_PROCESS_PENDING_MAX]; /* requests that the child is at work on, oldest first */
    uint32_t pending_count;
    bool *downed; /* by device: its state is down because the process ended */
    struct tg_wire_sample sample;

    int64_t hang_timeout_ms, memory_limit_bytes;
    int64_t restart_ms, kill_ms, opened_ms, tick_ms; /* monotonic; INT64_MAX = not set */
    int64_t silent_ms;                               /* for how long nothing has moved in it */
    int64_t resident_bytes;
    uint64_t restarts, rejected_before, rejected_now;
    uint32_t crashes; /* without a minute's peace */
    uint32_t confined, landlock_abi;
    char why[TG_PROCESS_TEXT_BYTES];  /* of an end that is under way; "" = ask the exit status */
    char said[TG_PROCESS_TEXT_BYTES]; /* its last words */
    char last_end[TG_PROCESS_TEXT_BYTES];
};

/* plugin_process.c: ends the child for this reason; the first one counts. */
void tg_process_kill(struct tg_process *p, const char *fmt, ...) TG_PRINTF(2, 3);

/* plugin_process_send.c */
/* Sends what there is to send: configuration, then requests. */
void tg_process_pump(struct tg_process *p);
/* Answers what is under way and what was never sent; the child is gone. */
void tg_process_fail_requests(struct tg_process *p, const char *why);
/* Refuses the requests that wait, and takes over new intervals: no child is there. */
void tg_process_refuse_requests(struct tg_process *p);
/* The child is at work on it no more; false: it never was. */
bool tg_process_forget(struct tg_process *p, uint64_t request);

/* plugin_process_receive.c */
/* Nothing that it says counts, nothing is said to it. */
bool tg_process_is_mute(const struct tg_process *p);
/* Takes what is there; with `all`, until there is nothing more (the child is gone). */
void tg_process_read_control(struct tg_process *p, bool all);
/* True when all that has come is taken; false when the consumer has no room now. */
bool tg_process_read_samples(struct tg_process *p, bool all);
void tg_process_watch(struct tg_process_channel *c, int events);
void tg_process_on_ready(uv_poll_t *uv, int status, int events);
void tg_process_control_ready(struct tg_process_channel *c, int events);
void tg_process_samples_ready(struct tg_process_channel *c, int events);

#endif
