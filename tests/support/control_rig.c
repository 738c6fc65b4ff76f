/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "support/control_rig.h"

#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "core/base/allocator.h"
#include "core/gateway/gateway.h"

char *tg_gateway_status_json(struct tg_gateway *g)
{
    return g->status ? tg_strdup(g->status) : NULL;
}

char *tg_gateway_discovered_json(struct tg_gateway *g)
{
    return tg_gateway_status_json(g);
}

int tg_gateway_forget(struct tg_gateway *g, const char *id, struct tg_error *err)
{
    if (strcmp(id, "stranger") == 0)
        return tg_error_set(err, TG_ENOTFOUND, "no discovered device has this id");
    snprintf(g->forgotten, sizeof g->forgotten, "%s", id);
    return TG_OK;
}

int tg_gateway_drop(struct tg_gateway *g, const char *device, const char *cloud, int64_t before_ms,
                    void (*done)(void *user, int rc, const char *text, uint64_t samples), void *user,
                    struct tg_error *err)
{
    (void)g;
    if (device && strcmp(device, "stranger") == 0)
        return tg_error_set(err, TG_EBUSY, "samples are being dropped already");
    if (cloud)
        done(user, TG_ENOTFOUND, "the outbox knows no such cloud", 0);
    else
        done(user, TG_OK, "", (uint64_t)before_ms);
    return TG_OK;
}

void tg_gateway_forget_drop(struct tg_gateway *g, const void *user)
{
    (void)g;
    (void)user;
}

struct tg_router *tg_gateway_router(struct tg_gateway *g)
{
    return g->router;
}

static void must(bool fine, const char *what)
{
    if (!fine) {
        fprintf(stderr, "control_rig: %s\n", what);
        abort();
    }
}

void tg_control_rig_begin(struct tg_gateway *g)
{
    struct tg_error err = {0};
    memset(g, 0, sizeof *g);
    g->status = "{\"fine\":true}";
    snprintf(g->dir, sizeof g->dir, "%s/tidegate control XXXXXX",
             getenv("TMPDIR") ? getenv("TMPDIR") : "/tmp");
    must(mkdtemp(g->dir) != NULL, "no folder");
    snprintf(g->path, sizeof g->path, "%s/c.sock", g->dir);
    must(tg_loop_init(&g->loop, &err) == TG_OK, err.text);
    must(tg_router_new(&g->loop, &g->store, &g->router) == TG_OK, "no router");
    tg_test_model_init(&g->model, NULL, 1, 2);
    tg_test_model_point(&g->model, 0, 0, "writable", "true");
    must(tg_router_add_device(g->router, &g->model.devices[0], 0, &g->device, &err) == TG_OK, err.text);
    g->device->source = &g->source;
}

int tg_control_rig_open(struct tg_gateway *g, struct tg_error *err)
{
    return tg_control_new(&g->loop, g, g->path, &g->control, err);
}

void tg_control_rig_close(struct tg_gateway *g)
{
    if (g->control)
        tg_control_close(g->control);
    g->control = NULL;
}

static void on_flag(void *user)
{
    *(bool *)user = true;
}

void tg_control_rig_end(struct tg_gateway *g)
{
    tg_control_rig_close(g);
    tg_router_close(g->router, on_flag, &g->router_closed);
    while (!g->router_closed)
        uv_run(&g->loop.uv, UV_RUN_ONCE);
    tg_loop_fini(&g->loop);
    tg_test_model_fini(&g->model);
    unlink(g->path);
    must(rmdir(g->dir) == 0, "something was left in the folder");
}

void tg_control_rig_turn(struct tg_gateway *g)
{
    uv_run(&g->loop.uv, UV_RUN_NOWAIT);
}
