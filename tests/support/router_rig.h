/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * router_rig - the router between a fake source and the real store, with two devices of four points each.
 *
 *     struct router_rig *r = router_rig_begin(0, 1);
 *     tg_test_model_point(&r->model, 0, 0, "scale", "0.1");      options before the devices
 *     router_rig_add_devices(r);
 *     router_rig_sample(r, r->d0, 0, tg_value_int(2300));
 *     RUN_UNTIL(r, r->committed == 1);
 *     router_rig_end(r);
 */
#ifndef TG_TESTS_SUPPORT_ROUTER_RIG_H
#define TG_TESTS_SUPPORT_ROUTER_RIG_H

#include "core/gateway/router_private.h"
#include "support/fake_source.h"
#include "support/host_model.h"

struct router_rig {
    struct tg_loop loop;
    char dir[128];
    struct tg_store *store;
    struct tg_router *router;
    struct tg_test_model model;
    struct tg_router_device *d0, *d1;
    struct tg_source_host source;
    uint64_t committed;
    bool router_closed, store_closed;
    /* the end of commands */
    int done;
    char status[32], json[16384];
    /* watching */
    int told;
    char told_device[32], *told_json;
    uint32_t watch;
};

#define RUN_UNTIL(r, condition)                                                                              \
    do {                                                                                                     \
        while (!(condition))                                                                                 \
            uv_run(&(r)->loop.uv, UV_RUN_ONCE);                                                              \
    } while (0)

/* uncommitted_bytes: of the store, 0 = its default; interval_ms: of its commits. */
struct router_rig *router_rig_begin(size_t uncommitted_bytes, uint32_t interval_ms);
void router_rig_add_devices(struct router_rig *r);
void router_rig_end(struct router_rig *r);
/* For callbacks: sets the bool that `user` points to; `user` is the rig. */
void router_rig_on_flag(void *user);
void router_rig_on_done(void *user, const char *status, const char *json);
void router_rig_on_reading(void *user, const char *device, const char *json, size_t len);
int router_rig_sample(struct router_rig *r, struct tg_router_device *d, uint32_t point, struct tg_value v);

#endif
