/* SPDX-License-Identifier: GPL-2.0-or-later */
#include <stdio.h>

#include "core/base/allocator.h"
#include "core/base/assert.h"
#include "config/config_fingerprint.h"
#include "core/gateway/gateway_private.h"

static struct tg_running_device *checked(void *user)
{
    return TG_OBJECT(user, struct tg_running_device, TG_RUNNING_DEVICE_MAGIC);
}

struct tg_config_ref *tg_model_hold(struct tg_config_ref *model)
{
    model->users++;
    return model;
}

void tg_model_release(struct tg_gateway *g, struct tg_config_ref *model)
{
    if (--model->users > 0)
        return;
    TG_ASSERT(model != g->model);
    tg_config_free(model->config);
    tg_free(model);
}

void tg_gateway_part_closed(struct tg_gateway *g)
{
    void (*all_closed)(struct tg_gateway *) = g->all_closed;
    if (--g->closing > 0 || !all_closed)
        return;
    g->all_closed = NULL;
    all_closed(g);
}

static void free_device(struct tg_running_device *rd)
{
    struct tg_gateway *g = rd->gateway;
    if (rd->device)
        tg_router_remove_device(g->router, rd->device);
    tg_model_release(g, rd->model);
    tg_free(rd->sessions);
    TG_OBJECT_POISON(rd);
    tg_free(rd);
}

static struct tg_running_device *take_stray(struct tg_gateway *g, const char *source,
                                            const struct tg_config_device *config)
{
    uint64_t fingerprint = tg_config_device_fingerprint(config);
    for (struct tg_running_device **at = &g->strays; *at; at = &(*at)->next) {
        struct tg_running_device *rd = *at;
        if (rd->fingerprint != fingerprint || strcmp(rd->config->id, config->id) != 0 ||
            strcmp(rd->source, source) != 0)
            continue;
        *at = rd->next;
        rd->next = NULL;
        return rd;
    }
    return NULL;
}

static int open_session(struct tg_running_device *rd, const struct tg_config_route *route,
                        struct tg_error *err)
{
    struct tg_gateway *g = rd->gateway;
    const struct tg_cloud_type *type = tg_cloud_type_of(route->cloud, NULL);
    struct tg_session **s = &rd->sessions[rd->session_count];
    int rc = tg_session_new(g->sessions, rd->config->id, rd->config, rd->device->store_device, route, s, err);
    if (rc < 0)
        return rc;
    tg_twins_open(g->twins, *s, rd->config->id, route->cloud->name, type && type->plain_acks);
    rd->session_count++;
    rd->open_sessions++;
    return TG_OK;
}

static void on_accepted(const struct tg_router_device *d, struct tg_bytes body)
{
    struct tg_running_device *rd = checked(d->accepted_user);
    for (uint32_t i = 0; i < rd->session_count; i++)
        if (tg_session_wants_samples(rd->sessions[i]))
            tg_session_sample(rd->sessions[i], body);
}

/* Only where a cloud asks for them: this is the hot path. */
static void watch_samples(struct tg_running_device *rd)
{
    for (uint32_t i = 0; i < rd->session_count; i++)
        if (tg_session_wants_samples(rd->sessions[i])) {
            rd->device->on_accepted = on_accepted;
            rd->device->accepted_user = rd;
        }
}

int tg_running_device_get(struct tg_gateway *g, struct tg_config_ref *model, const char *source,
                          const struct tg_config_device *config, uint32_t index,
                          struct tg_running_device **ret_device, struct tg_error *err)
{
    struct tg_running_device *rd = take_stray(g, source, config);
    int rc;
    if (rd) {
        rd->device->index = index;
        *ret_device = rd;
        return TG_OK;
    }
    rd = tg_calloc(1, sizeof *rd);
    if (rd)
        rd->sessions = tg_calloc(config->route_count ? config->route_count : 1, sizeof(struct tg_session *));
    if (!rd || !rd->sessions) {
        tg_free(rd);
        return tg_error_set(err, TG_ENOMEM, "device %s: out of memory", config->id);
    }
    rd->magic = TG_RUNNING_DEVICE_MAGIC;
    rd->gateway = g;
    rd->model = tg_model_hold(model);
    rd->config = config;
    rd->fingerprint = tg_config_device_fingerprint(config);
    snprintf(rd->source, sizeof rd->source, "%s", source);
    rc = tg_router_add_device(g->router, config, index, &rd->device, err);
    for (uint32_t i = 0; rc == TG_OK && i < config->route_count; i++)
        rc = open_session(rd, &config->routes[i], err);
    if (rc == TG_OK)
        rc = tg_gateway_set_quotas(g, rd, err);
    if (rc < 0) {
        tg_running_device_close(rd);
        return rc;
    }
    watch_samples(rd);
    *ret_device = rd;
    return TG_OK;
}

void tg_running_device_start(struct tg_running_device *rd)
{
    for (uint32_t i = 0; i < rd->session_count; i++)
        tg_session_start(rd->sessions[i]);
}

static void session_closed(void *user)
{
    struct tg_running_device *rd = checked(user);
    struct tg_gateway *g = rd->gateway;
    if (--rd->open_sessions > 0)
        return;
    free_device(rd);
    tg_gateway_part_closed(g);
}

void tg_running_device_close(struct tg_running_device *rd)
{
    rd->gateway->closing++;
    rd->open_sessions++; /* this function's */
    if (rd->device)
        rd->device->on_accepted = NULL;
    for (uint32_t i = 0; i < rd->session_count; i++) {
        tg_twins_close(rd->gateway->twins, rd->sessions[i]);
        tg_session_close(rd->sessions[i], session_closed, rd);
    }
    session_closed(rd);
}

void tg_running_device_stray(struct tg_running_device *rd)
{
    tg_router_attach_source(rd->device, NULL);
    rd->next = rd->gateway->strays;
    rd->gateway->strays = rd;
}

void tg_running_device_close_strays(struct tg_gateway *g)
{
    struct tg_running_device *rd;
    while ((rd = g->strays) != NULL) {
        g->strays = rd->next;
        tg_running_device_close(rd);
    }
}
