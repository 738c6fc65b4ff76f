/* SPDX-License-Identifier: GPL-2.0-or-later */
#include <stdio.h>

#include "core/base/allocator.h"
#include "core/base/assert.h"
#include "core/base/log.h"
#include "config/config_fingerprint.h"
#include "core/gateway/gateway_private.h"

static struct tg_running_source *checked(void *user)
{
    return TG_OBJECT(user, struct tg_running_source, TG_RUNNING_SOURCE_MAGIC);
}

/* --- callbacks of a source ------------------------------------------------------------------------------- */

static int on_sample(void *user, uint32_t device, int64_t time_ms, struct tg_point_value *values,
                     uint32_t count)
{
    struct tg_running_source *rs = checked(user);
    return tg_router_sample(rs->gateway->router, rs->devices[device], time_ms, values, count);
}

static void on_device_state(void *user, uint32_t device, enum tg_device_state state, const char *text)
{
    struct tg_running_source *rs = checked(user);
    tg_router_state(rs->gateway->router, rs->devices[device], state, text);
}

static void on_answer(void *user, uint64_t request, int status, const char *json)
{
    tg_router_answer(checked(user)->gateway->router, request, status, json);
}

static void on_open(void *user, bool open, const char *text, int64_t retry_ms)
{
    struct tg_running_source *rs = checked(user);
    rs->open = open;
    snprintf(rs->open_text, sizeof rs->open_text, "%s", text ? text : "");
    if (open)
        tg_log(TG_LOG_INFO, "source", "source=%s started (plugin %s %s)", rs->config->name,
               rs->config->plugin_name, rs->config->plugin->version);
    else
        tg_log(TG_LOG_WARN, "source", "source=%s cannot be opened: %s; trying again in %.1f s",
               rs->config->name, text, (double)retry_ms / 1000.0);
}

static const struct tg_source_callbacks source_callbacks = {on_sample, on_device_state, on_answer, on_open};

/* --- building one source ----------------------------------------------------------------------------------- */

static uint32_t route_count(const struct tg_config_source *c)
{
    uint32_t n = 0;
    for (uint32_t d = 0; d < c->device_count; d++)
        n += c->devices[d].route_count;
    return n;
}

static void release_model(struct tg_gateway *g, struct tg_config_ref *model)
{
    if (--model->users > 0)
        return;
    TG_ASSERT(model != g->model);
    tg_config_free(model->config);
    tg_free(model);
}

static void free_running(struct tg_running_source *rs)
{
    struct tg_gateway *g = rs->gateway;
    for (struct tg_running_source **at = &g->sources; *at; at = &(*at)->next)
        if (*at == rs) {
            *at = rs->next;
            break;
        }
    if (rs->devices)
        for (uint32_t d = 0; d < rs->config->device_count; d++)
            if (rs->devices[d])
                tg_router_remove_device(g->router, rs->devices[d]);
    release_model(g, rs->model);
    tg_free(rs->devices);
    tg_free(rs->sessions);
    TG_OBJECT_POISON(rs);
    tg_free(rs);
}

/* The sessions of a device stand side by side. */
static void on_accepted(const struct tg_router_device *d, struct tg_bytes body)
{
    struct tg_session **sessions = d->accepted_user;
    for (uint32_t i = 0; i < d->config->route_count; i++)
        if (tg_session_wants_samples(sessions[i]))
            tg_session_sample(sessions[i], body);
}

static int build_device(struct tg_running_source *rs, uint32_t index, struct tg_error *err)
{
    struct tg_gateway *g = rs->gateway;
    const struct tg_config_device *c = &rs->config->devices[index];
    int rc = tg_router_add_device(g->router, c, index, &rs->devices[index], err);
    struct tg_session **first = rs->sessions + rs->session_count;
    for (uint32_t i = 0; rc == TG_OK && i < c->route_count; i++) {
        rc = tg_session_new(g->sessions, c->id, c, rs->devices[index]->store_device, &c->routes[i],
                            &rs->sessions[rs->session_count], err);
        if (rc == TG_OK) {
            rs->session_count++;
            rs->parts++;
        }
    }
    for (uint32_t i = 0; rc == TG_OK && i < c->route_count; i++)
        if (tg_session_wants_samples(first[i])) {
            rs->devices[index]->on_accepted = on_accepted;
            rs->devices[index]->accepted_user = first;
        }
    return rc;
}

static int build_source(struct tg_gateway *g, struct tg_config_ref *model,
                        const struct tg_config_source *config, struct tg_error *err)
{
    struct tg_running_source *rs = tg_calloc(1, sizeof *rs);
    int rc = TG_OK;
    if (!rs)
        return tg_error_set(err, TG_ENOMEM, "source %s: out of memory", config->name);
    rs->magic = TG_RUNNING_SOURCE_MAGIC;
    rs->gateway = g;
    rs->model = model;
    rs->config = config;
    rs->fingerprint = tg_config_fingerprint(config);
    model->users++;
    rs->next = g->sources;
    g->sources = rs;
    rs->devices = tg_calloc(config->device_count, sizeof *rs->devices);
    rs->sessions = tg_calloc(route_count(config), sizeof(struct tg_session *));
    if (!rs->devices || !rs->sessions)
        return tg_error_set(err, TG_ENOMEM, "source %s: out of memory", config->name);
    for (uint32_t d = 0; rc == TG_OK && d < config->device_count; d++)
        rc = build_device(rs, d, err);
    if (rc == TG_OK)
        rc = tg_source_host_new(&g->loop, config, &source_callbacks, rs, &rs->host, err);
    if (rc < 0)
        return rc;
    rs->parts++;
    for (uint32_t d = 0; d < config->device_count; d++)
        rs->devices[d]->source = rs->host;
    for (uint32_t i = 0; i < rs->session_count; i++)
        tg_session_start(rs->sessions[i]);
    return TG_OK;
}

static struct tg_running_source *find_running(struct tg_gateway *g, const char *name)
{
    for (struct tg_running_source *rs = g->sources; rs; rs = rs->next)
        if (!rs->closing && strcmp(rs->config->name, name) == 0)
            return rs;
    return NULL;
}

int tg_gateway_build(struct tg_gateway *g, struct tg_config_ref *model, struct tg_error *err)
{
    for (uint32_t i = 0; i < model->config->source_count; i++) {
        const struct tg_config_source *c = &model->config->sources[i];
        int rc;
        if (find_running(g, c->name))
            continue;
        rc = build_source(g, model, c, err);
        if (rc < 0)
            return rc;
    }
    return TG_OK;
}

static void drop_half_built(struct tg_gateway *g, const char *name);
static void reload_if_asked(struct tg_gateway *g);

/* After a reload one source that cannot be built keeps none of the others from running. */
static void build_each(struct tg_gateway *g, struct tg_config_ref *model)
{
    for (uint32_t i = 0; i < model->config->source_count; i++) {
        const struct tg_config_source *c = &model->config->sources[i];
        struct tg_error err = {0};
        if (find_running(g, c->name) || build_source(g, model, c, &err) == TG_OK)
            continue;
        tg_log(TG_LOG_ERROR, "gateway",
               "after the reload: %s; source %s is not running, mend the cause and reload again", err.text,
               c->name);
        drop_half_built(g, c->name);
    }
}

/* --- closing one source -------------------------------------------------------------------------------------- */

static void part_closed(void *user)
{
    struct tg_running_source *rs = checked(user);
    struct tg_gateway *g = rs->gateway;
    void (*closed)(struct tg_gateway *) = rs->closed;
    if (--rs->parts > 0 || !rs->closing)
        return;
    free_running(rs);
    if (--g->closing_sources == 0 && closed)
        closed(g);
}

static void close_host(struct tg_running_source *rs)
{
    struct tg_source_host *host = rs->host;
    if (!host)
        return;
    for (uint32_t d = 0; d < rs->config->device_count; d++)
        if (rs->devices[d])
            rs->devices[d]->source = NULL;
    rs->host = NULL;
    rs->open = false;
    tg_source_host_close(host, part_closed, rs);
}

static void close_running(struct tg_running_source *rs, void (*closed)(struct tg_gateway *g))
{
    rs->closing = true;
    rs->closed = closed;
    rs->gateway->closing_sources++;
    rs->parts++; /* this function's */
    for (uint32_t d = 0; d < rs->config->device_count; d++)
        if (rs->devices[d])
            rs->devices[d]->on_accepted = NULL;
    close_host(rs);
    for (uint32_t i = 0; i < rs->session_count; i++)
        tg_session_close(rs->sessions[i], part_closed, rs);
    part_closed(rs);
}

/* So that the next reload builds it anew; the backlog of its devices stays in the store. */
static void drop_half_built(struct tg_gateway *g, const char *name)
{
    struct tg_running_source *rs = find_running(g, name);
    if (rs)
        close_running(rs, reload_if_asked);
}

void tg_gateway_quiet_sources(struct tg_gateway *g)
{
    for (struct tg_running_source *rs = g->sources; rs; rs = rs->next)
        if (!rs->closing)
            close_host(rs);
}

void tg_gateway_stop_sources(struct tg_gateway *g, void (*closed)(struct tg_gateway *g))
{
    struct tg_running_source *next;
    g->closing_sources++; /* keeps `closed` from running before the last one is begun */
    for (struct tg_running_source *rs = g->sources; rs; rs = next) {
        next = rs->next;
        if (rs->closing)
            rs->closed = closed;
        else
            close_running(rs, closed);
    }
    if (--g->closing_sources == 0)
        closed(g);
}

/* --- reload ----------------------------------------------------------------------------------------------------- */

static const struct tg_config_source *same_source(const struct tg_config *config,
                                                  const struct tg_running_source *rs)
{
    for (uint32_t i = 0; i < config->source_count; i++)
        if (strcmp(config->sources[i].name, rs->config->name) == 0 &&
            tg_config_fingerprint(&config->sources[i]) == rs->fingerprint)
            return &config->sources[i];
    return NULL;
}

/* The old sources are gone: what the new model has and does not run is built. */
static void build_changed(struct tg_gateway *g)
{
    if (g->stopping)
        return;
    build_each(g, g->model);
    tg_log(TG_LOG_INFO, "gateway", "configuration reloaded: %u devices, %u sessions",
           tg_router_device_count(g->router), tg_session_set_count(g->sessions));
    if (g->closing_sources == 0)
        reload_if_asked(g);
}

void tg_gateway_reload(struct tg_gateway *g)
{
    struct tg_config_ref *model, *before = g->model;
    struct tg_running_source *next;
    struct tg_config *config;
    if (g->stopping || g->closing_sources > 0) {
        g->reload_again = true; /* the file may have changed since it was read */
        return;
    }
    if (g->reload(g->reload_user, &config) < 0)
        return; /* said so; everything goes on as it was */
    model = tg_calloc(1, sizeof *model);
    if (!model) {
        tg_config_free(config);
        tg_log(TG_LOG_ERROR, "gateway", "out of memory for a reload; everything goes on as it was");
        return;
    }
    *model = (struct tg_config_ref){config, 1};
    g->model = model;
    g->closing_sources++;
    for (struct tg_running_source *rs = g->sources; rs; rs = next) {
        next = rs->next;
        if (!same_source(config, rs))
            close_running(rs, build_changed);
    }
    release_model(g, before);
    if (--g->closing_sources == 0)
        build_changed(g);
}

static void reload_if_asked(struct tg_gateway *g)
{
    bool again = g->reload_again;
    g->reload_again = false;
    if (again && !g->stopping)
        tg_gateway_reload(g);
}
