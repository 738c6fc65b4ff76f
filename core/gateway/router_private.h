/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * router_private - shared by router.c (devices, samples, watchers), router_command.c (commands) and router_set.c (`set`).
 */
#ifndef TG_GATEWAY_ROUTER_PRIVATE_H
#define TG_GATEWAY_ROUTER_PRIVATE_H

#include "core/base/sample.h"
#include "core/gateway/router.h"

#define TG_ROUTER_MAGIC 0x4047e400u

struct tg_watcher {
    tg_watch_fn fn;
    void *user;
    char device[TG_NAME_MAX_BYTES + 1];
};

#define TG_SET_MAX_POINTS        64   /* a bit each in `open` */
#define TG_COMMAND_ANSWER_BYTES  2048 /* of one request; a longer one is left out and said so */
#define TG_COMMAND_RESULTS_BYTES 8192 /* of a `set` of several points, all together */

/* One command under way. A `set` of several points has one write per point out at once. */
struct tg_pending {
    bool used;
    uint64_t open; /* bit i: request i is not answered yet */
    uint64_t serial;
    int64_t limit_ms;
    tg_command_done_fn done;
    void *user;
    char device[TG_NAME_MAX_BYTES + 1], name[TG_NAME_MAX_BYTES + 1];
    int worst; /* first status that is not 0 */
    struct json_t
        *results; /* of a `set` of several points, in order: name → its answer, null before that; else NULL */
    size_t result_bytes;
};

struct tg_router {
    uint32_t magic;
    struct tg_store *store;
    struct tg_router_device **devices;
    uint32_t device_count, device_cap, watcher_count;
    struct tg_watcher watchers[TG_WATCHERS_MAX];
    struct tg_pending pending[TG_COMMANDS_MAX];
    uint64_t next_request;
    struct tg_deadline deadline;
    uint8_t *body;
    char *watch_json;
    /* Scratch of one sample: too large for the stack of a hot path. */
    struct tg_filter_state states[TG_SAMPLE_MAX_VALUES];
    struct tg_point_value values[TG_SAMPLE_MAX_VALUES];
    enum tg_filter_verdict verdicts[TG_SAMPLE_MAX_VALUES];
    struct tg_derive_state derived[TG_DERIVE_MAX_POINTS];
    bool telling;
    bool clock_valid;
    int64_t clock_offset_ms; /* wall minus monotonic time, when valid */
    void (*look)(void *user);
    void *look_user;
    void (*closed)(void *user);
    void *closed_user;
};

/* router_time.c: the times of a sample with this stamp that is taken in `now` (monotonic). */
struct tg_router_moments {
    struct tg_sample_time sample;
    int64_t stored_ms; /* for tg_store_append() */
    int64_t steady_ms; /* of the stamp, on a clock that is not set between two samples */
};
struct tg_router_moments tg_router_moments(struct tg_router *r, int64_t stamp, int64_t now);

/* router_points.c: d->points and d->derived; after a failure too they are freed by tg_router_free_points(). */
int tg_router_build_points(struct tg_router_device *d, struct tg_error *err) TG_CHECKED;
void tg_router_free_points(struct tg_router_device *d);

/* router_command.c: a place for a command, NULL = all are taken; the number of its request i. */
struct tg_pending *tg_router_begin(struct tg_router *r, const char *device, const char *name,
                                   tg_command_done_fn done, void *user);
uint64_t tg_router_request(const struct tg_router *r, const struct tg_pending *p, uint32_t i);
/* Ends a command that was not begun with {"error": text}. */
void tg_router_refuse(tg_command_done_fn done, void *user, const char *status, const char *fmt, ...)
    TG_PRINTF(4, 5);

/* router_set.c */
void tg_router_set(struct tg_router *r, struct tg_router_device *d, struct json_t *arguments,
                   tg_command_done_fn done, void *user);
/* Notes what request i of a `set` of several points was answered; `json` may be NULL. */
void tg_router_set_result(struct tg_pending *p, uint32_t i, int status, const char *json);
/* All answers as one JSON text, given; points without one get {"error": text}. NULL without memory. */
char *tg_router_set_results(struct tg_pending *p, const char *text);

void tg_router_expire(void *router);
/* Ends the commands of a device that goes (NULL = of all): their outcome is not known. */
void tg_router_abandon(struct tg_router *r, const char *device);

#endif
