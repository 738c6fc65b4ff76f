/* SPDX-License-Identifier: GPL-2.0-or-later */
#include <stdio.h>

#include "core/base/allocator.h"
#include "core/base/assert.h"
#include "core/base/log.h"
#include "config/config_fingerprint.h"
#include "core/base/plural.h"
#include "core/gateway/gateway_private.h"
#include "northbound/carrier.h"

static struct tg_running_source *checked(void *user)
{
    return TG_OBJECT(user, struct tg_running_source, TG_RUNNING_SOURCE_MAGIC);
}

/* --- callbacks of a source ------------------------------------------------------------------------------- */

static int on_sample(void *user, uint32_t device, int64_t time_ms, struct tg_point_value *values,
                     uint32_t count)
{
    struct tg_running_source *rs = checked(user);
    return tg_router_sample(rs->gateway->router, rs->devices[device]->device, time_ms, values, count);
}

static void on_device_state(void *user, uint32_t device, enum tg_device_state state, const char *text)
{
    struct tg_running_source *rs = checked(user);
    static const char *const names[] = {"unknown", "ok", "suspect", "down"};
    tg_router_state(rs->gateway->router, rs->devices[device]->device, state, text);
    tg_twins_state(rs->gateway->twins, rs->devices[device]->config->id, names[state], text);
}

static void on_fact(void *user, uint32_t device, const char *name, const struct tg_value *value)
{
    struct tg_running_source *rs = checked(user);
    tg_twins_fact(rs->gateway->twins, rs->devices[device]->config->id, name, value);
}

static void on_discovered(void *user, const char *id, const char *profile)
{
    struct tg_running_source *rs = checked(user);
    tg_gateway_discovered(rs->gateway, rs->config, id, profile);
}

static void on_answer(void *user, uint64_t request, int status, const char *json)
{
    tg_router_answer(checked(user)->gateway->router, request, status, json);
}

static void on_open(void *user, bool open, const char *text, int64_t retry_ms)
{
    struct tg_running_source *rs = checked(user);
    bool was_open = rs->open;
    rs->open = open;
    if (rs->opened)
        tg_gateway_carrier_gone(rs, open ? "the source that carries it was opened anew"
                                         : "the source that carries it has ended");
    rs->opened = rs->opened || open;
    snprintf(rs->open_text, sizeof rs->open_text, "%s", text ? text : "");
    if (open)
        tg_log(TG_LOG_INFO, "source", "source=%s started (plugin %s %s)", rs->config->name,
               rs->config->plugin_name, rs->config->plugin->version);
    else if (was_open)
        tg_log(TG_LOG_ERROR, "source",
               "source=%s ended: %s; its %u %s down, what %s had sent is kept, starting it again in %.1f s",
               rs->config->name, text, rs->config->device_count,
               tg_plural(rs->config->device_count, "device is", "devices are"),
               tg_plural(rs->config->device_count, "it", "they"), (double)retry_ms / 1000.0);
    else
        tg_log(TG_LOG_WARN, "source", "source=%s cannot be opened: %s; trying again in %.1f s",
               rs->config->name, text, (double)retry_ms / 1000.0);
}

static void on_uplink(void *user, bool up, const char *text)
{
    tg_gateway_uplink(checked(user), up, text);
}

static void on_time(void *user, int64_t wall_ms, int64_t at_ms, uint32_t uncertainty_ms)
{
    tg_gateway_time(checked(user), wall_ms, at_ms, uncertainty_ms);
}

static void recall_notes(void *user, void (*take)(void *taker, const char *key, struct tg_bytes text),
                         void *taker)
{
    tg_gateway_recall_notes(checked(user), take, taker);
}

static void on_note(void *user, const char *key, const char *text, uint64_t number)
{
    tg_gateway_note(checked(user), key, text, number);
}

static const struct tg_source_callbacks source_callbacks = {
    .on_sample = on_sample,
    .on_state = on_device_state,
    .on_answer = on_answer,
    .on_open = on_open,
    .on_fact = on_fact,
    .on_discovered = on_discovered,
    .on_uplink = on_uplink,
    .on_time = on_time,
    .recall_notes = recall_notes,
    .on_note = on_note,
    .on_carrier = tg_gateway_on_carrier,
    .on_carried = tg_gateway_on_carried,
};

/* --- building one source ----------------------------------------------------------------------------------- */

static void free_running(struct tg_running_source *rs)
{
    struct tg_gateway *g = rs->gateway;
    for (struct tg_running_source **at = &g->sources; *at; at = &(*at)->next)
        if (*at == rs) {
            *at = rs->next;
            break;
        }
    tg_model_release(g, rs->model);
    tg_free(rs->devices);
    TG_OBJECT_POISON(rs);
    tg_free(rs);
}

/* All new devices of a source in one commit. What goes wrong here is told by the declarations one by one, which follow. */
static void declare_together(struct tg_gateway *g, const struct tg_config_source *config)
{
    uint32_t count = 0, n = 0;
    struct tg_outbox_declaration *list;
    struct tg_error err = {0};
    for (uint32_t d = 0; d < config->device_count; d++)
        count += config->devices[d].route_count ? config->devices[d].route_count : 1;
    list = count > 1 ? tg_calloc(count, sizeof *list) : NULL;
    if (!list)
        return;
    for (uint32_t d = 0; d < config->device_count; d++) {
        const struct tg_config_device *device = &config->devices[d];
        if (device->route_count == 0)
            list[n++].device = device->id;
        for (uint32_t i = 0; i < device->route_count; i++)
            list[n++] = (struct tg_outbox_declaration){device->id, device->routes[i].cloud->name};
    }
    if (tg_store_declare(g->store, list, n, &err) < 0)
        tg_log(TG_LOG_DEBUG, "gateway", "source=%s declaring its devices one by one: %s", config->name,
               err.text);
    tg_free(list);
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
    rs->model = tg_model_hold(model);
    rs->config = config;
    rs->fingerprint = tg_config_fingerprint(config);
    rs->number = ++g->source_count;
    rs->next = g->sources;
    g->sources = rs;
    rs->devices =
        tg_calloc(config->device_count ? config->device_count : 1, sizeof(struct tg_running_device *));
    if (!rs->devices)
        return tg_error_set(err, TG_ENOMEM, "source %s: out of memory", config->name);
    declare_together(g, config);
    for (uint32_t d = 0; rc == TG_OK && d < config->device_count; d++)
        rc = tg_running_device_get(g, model, config->name, &config->devices[d], d, &rs->devices[d], err);
    if (rc == TG_OK)
        rc = tg_source_host_new(&g->loop, config, &source_callbacks, rs, &rs->host, err);
    if (rc < 0)
        return rc;
    for (uint32_t d = 0; d < config->device_count; d++) {
        tg_router_attach_source(rs->devices[d]->device, rs->host);
        tg_running_device_start(rs->devices[d]);
    }
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

/* --- closing one source -------------------------------------------------------------------------------------- */

static void host_closed(void *user)
{
    struct tg_running_source *rs = checked(user);
    struct tg_gateway *g = rs->gateway;
    rs->host_closing = false;
    if (rs->closing)
        free_running(rs);
    tg_gateway_part_closed(g);
}

/* The instance ends; the devices stay as they are. */
static void close_host(struct tg_running_source *rs)
{
    struct tg_source_host *host = rs->host;
    if (!host)
        return;
    for (uint32_t d = 0; d < rs->config->device_count; d++)
        if (rs->devices[d])
            tg_router_attach_source(rs->devices[d]->device, NULL);
    tg_gateway_carrier_gone(rs, "the source that carries it has ended");
    rs->host = NULL;
    rs->open = false;
    tg_gateway_site_forget(rs);
    rs->host_closing = true;
    rs->gateway->closing++;
    tg_source_host_close(host, host_closed, rs);
}

static const struct tg_config_device *same_device(const struct tg_config_source *config,
                                                  const struct tg_running_device *rd)
{
    for (uint32_t i = 0; config && i < config->device_count; i++)
        if (strcmp(config->devices[i].id, rd->config->id) == 0 &&
            tg_config_device_fingerprint(&config->devices[i]) == rd->fingerprint)
            return &config->devices[i];
    return NULL;
}

/* Devices that `next` (the source in the new model, NULL = it is not there) has unchanged stay connected. */
static void close_running(struct tg_running_source *rs, const struct tg_config_source *next)
{
    struct tg_gateway *g = rs->gateway;
    close_host(rs);
    for (uint32_t d = 0; rs->devices && d < rs->config->device_count; d++) {
        struct tg_running_device *rd = rs->devices[d];
        rs->devices[d] = NULL;
        if (rd && same_device(next, rd))
            tg_running_device_stray(rd);
        else if (rd)
            tg_running_device_close(rd);
    }
    rs->closing = true;
    if (!rs->host_closing) {
        g->closing++;
        host_closed(rs);
    }
}

void tg_gateway_quiet_sources(struct tg_gateway *g)
{
    for (struct tg_running_source *rs = g->sources; rs; rs = rs->next)
        if (!rs->closing && !(g->sessions && tg_session_set_is_carried(g->sessions, rs->config->name)))
            close_host(rs); /* one that carries is what the sessions deliver through */
}

void tg_gateway_stop_sources(struct tg_gateway *g, void (*closed)(struct tg_gateway *g))
{
    struct tg_running_source *next;
    g->all_closed = closed;
    g->closing++; /* keeps `closed` from running before the last one is begun */
    for (struct tg_running_source *rs = g->sources; rs; rs = next) {
        next = rs->next;
        if (!rs->closing)
            close_running(rs, NULL);
    }
    tg_running_device_close_strays(g);
    tg_gateway_part_closed(g);
}

/* --- reload ----------------------------------------------------------------------------------------------------- */

static void reloaded(struct tg_gateway *g)
{
    if (!g->stopping)
        tg_gateway_tell_what_left(g); /* the feeds of what left are closed by now */
    bool again = g->reload_again;
    g->reload_again = false;
    if (again && !g->stopping)
        tg_gateway_reload(g);
}

/* After a reload one source that cannot be built keeps none of the others from running. */
static void build_each(struct tg_gateway *g, struct tg_config_ref *model)
{
    for (uint32_t i = 0; i < model->config->source_count; i++) {
        const struct tg_config_source *c = &model->config->sources[i];
        struct tg_running_source *half;
        struct tg_error err = {0};
        if (find_running(g, c->name) || build_source(g, model, c, &err) == TG_OK)
            continue;
        tg_log(TG_LOG_ERROR, "gateway",
               "after the reload: %s; source %s is not running, mend the cause and reload again", err.text,
               c->name);
        half =
            find_running(g, c->name); /* so that the next reload builds it anew; its devices' backlog stays */
        if (half)
            close_running(half, NULL);
    }
}

/* The old instances are gone: what the new model has and does not run is built. */
static void build_changed(struct tg_gateway *g)
{
    struct tg_error err = {0};
    uint32_t devices, sessions;
    if (g->stopping)
        return;
    g->closing++;
    g->all_closed = reloaded;
    build_each(g, g->model);
    tg_running_device_close_strays(g);
    tg_gateway_apply_quotas(g);
    if (tg_gateway_open_http(g, &err) < 0)
        tg_log(TG_LOG_ERROR, "http", "after the reload: %s; everything else runs", err.text);
    devices = tg_router_device_count(g->router);
    sessions = tg_session_set_count(g->sessions);
    tg_log(TG_LOG_INFO, "gateway", "configuration reloaded: %u %s, %u %s", devices,
           tg_plural(devices, "device", "devices"), sessions, tg_plural(sessions, "session", "sessions"));
    tg_gateway_part_closed(g);
}

static const struct tg_config_source *source_of(const struct tg_config *config, const char *name)
{
    for (uint32_t i = 0; i < config->source_count; i++)
        if (strcmp(config->sources[i].name, name) == 0)
            return &config->sources[i];
    return NULL;
}

void tg_gateway_reload(struct tg_gateway *g)
{
    struct tg_config_ref *model, *before = g->model;
    struct tg_running_source *next;
    struct tg_config *config;
    if (g->stopping || g->closing > 0) {
        g->reload_again = true; /* the file may have changed since it was read */
        return;
    }
    if (tg_gateway_load(g, &config) < 0) {
        g->reloads_refused++;
        return; /* said so; everything goes on as it was */
    }
    model = tg_calloc(1, sizeof *model);
    if (!model) {
        g->reloads_refused++;
        tg_config_free(config);
        tg_log(TG_LOG_ERROR, "gateway", "out of memory for a reload; everything goes on as it was");
        return;
    }
    *model = (struct tg_config_ref){config, 1};
    g->model = model;
    g->all_closed = build_changed;
    g->closing++;
    for (struct tg_running_source *rs = g->sources; rs; rs = next) {
        const struct tg_config_source *c = source_of(config, rs->config->name);
        next = rs->next;
        if (!c || tg_config_fingerprint(c) != rs->fingerprint)
            close_running(rs, c);
    }
    tg_model_release(g, before);
    tg_gateway_part_closed(g);
}
