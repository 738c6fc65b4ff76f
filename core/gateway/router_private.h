/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * router_private - shared by router.c (devices, samples, watchers) and router_command.c (commands).
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

/* One command under way. A `set` of several points has one write per point out at once. */
struct tg_pending {
    bool used;
    uint32_t open; /* requests not answered yet */
    uint64_t serial;
    int64_t limit_ms;
    tg_command_done_fn done;
    void *user;
    char device[TG_NAME_MAX_BYTES + 1], name[TG_NAME_MAX_BYTES + 1];
    int worst;       /* first status that is not 0 */
    char json[2048]; /* answer of the last request that gave one */
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
    void (*closed)(void *user);
    void *closed_user;
};

/* router_points.c: d->points and d->derived; after a failure too they are freed by tg_router_free_points(). */
int tg_router_build_points(struct tg_router_device *d, struct tg_error *err) TG_CHECKED;
void tg_router_free_points(struct tg_router_device *d);

void tg_router_expire(void *router);
/* Ends the commands of a device that goes (NULL = of all): their outcome is not known. */
void tg_router_abandon(struct tg_router *r, const char *device);

#endif
