/* SPDX-License-Identifier: GPL-2.0-or-later */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "support/router_rig.h"

static void on_committed(void *user, uint64_t id)
{
    ((struct router_rig *)user)->committed = id;
}

static void on_store_state(void *user, enum tg_store_state state, const char *text)
{
    (void)user;
    (void)state;
    print_message("store: %s\n", text);
}

static const struct tg_store_callbacks callbacks = {.on_committed = on_committed, .on_state = on_store_state};

void router_rig_on_flag(void *user)
{
    *(bool *)user = true;
}

void router_rig_on_done(void *user, const char *status, const char *json)
{
    struct router_rig *r = user;
    r->done++;
    snprintf(r->status, sizeof r->status, "%s", status);
    snprintf(r->json, sizeof r->json, "%s", json);
}

struct router_rig *router_rig_begin(size_t uncommitted_bytes, uint32_t interval_ms)
{
    struct router_rig *r = calloc(1, sizeof *r);
    struct tg_error err = {0};
    char aside[256] = "";
    struct tg_store_options o = {.outbox = {.durability = TG_DURABILITY_NORMAL, .limit_bytes = 64 << 20},
                                 .commit_interval_ms = interval_ms,
                                 .uncommitted_limit_bytes = uncommitted_bytes};
    assert_non_null(r);
    snprintf(r->dir, sizeof r->dir, "%s/tidegate router XXXXXX",
             getenv("TMPDIR") ? getenv("TMPDIR") : "/tmp");
    assert_non_null(mkdtemp(r->dir));
    assert_int_equal(tg_loop_init(&r->loop, NULL), 0);
    o.outbox.dir = r->dir;
    if (tg_store_open(&r->loop, &o, &callbacks, r, &r->store, aside, &err) < 0)
        fail_msg("%s", err.text);
    assert_int_equal(tg_router_new(&r->loop, r->store, &r->router), 0);
    tg_test_model_init(&r->model, NULL, 2, 4);
    return r;
}

void router_rig_add_devices(struct router_rig *r)
{
    struct tg_error err = {0};
    assert_int_equal(tg_router_add_device(r->router, &r->model.devices[0], 0, &r->d0, &err), 0);
    assert_int_equal(tg_router_add_device(r->router, &r->model.devices[1], 1, &r->d1, &err), 0);
    r->d0->source = r->d1->source = &r->source;
}

void router_rig_end(struct router_rig *r)
{
    char command[256];
    if (r->router) {
        tg_router_close(r->router, router_rig_on_flag, &r->router_closed);
        RUN_UNTIL(r, r->router_closed);
    }
    tg_store_close(r->store, 5000, router_rig_on_flag, &r->store_closed);
    RUN_UNTIL(r, r->store_closed);
    tg_loop_fini(&r->loop);
    tg_test_model_fini(&r->model);
    snprintf(command, sizeof command, "rm -rf '%s'", r->dir);
    assert_int_equal(system(command), 0);
    free(r->told_json);
    free(r);
}

int router_rig_sample(struct router_rig *r, struct tg_router_device *d, uint32_t point, struct tg_value v)
{
    struct tg_point_value values[1] = {{.point = point, .value = v}};
    return tg_router_sample(r->router, d, 1000, values, 1);
}

void router_rig_on_reading(void *user, const char *device, const char *json, size_t len)
{
    struct router_rig *r = user;
    r->told++;
    snprintf(r->told_device, sizeof r->told_device, "%s", device);
    free(r->told_json);
    r->told_json = strndup(json, len);
}
