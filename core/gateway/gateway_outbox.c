/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * What the configuration says of the outbox beyond its own section: quotas, and who is not in it any more.
 */
#include "core/base/allocator.h"
#include "core/base/assert.h"
#include "core/base/log.h"
#include "core/base/plural.h"
#include "core/gateway/gateway_private.h"

/* --- quotas ------------------------------------------------------------------------------------------- */

static const struct tg_config_device *find_device(const struct tg_config *config, const char *id)
{
    for (uint32_t i = 0; i < config->source_count; i++)
        for (uint32_t d = 0; d < config->sources[i].device_count; d++)
            if (strcmp(config->sources[i].devices[d].id, id) == 0)
                return &config->sources[i].devices[d];
    return NULL;
}

static int64_t sooner(int64_t a, int64_t b)
{
    return a == 0 ? b : b == 0 || a < b ? a : b;
}

int tg_gateway_set_quotas(struct tg_gateway *g, const struct tg_running_device *rd, struct tg_error *err)
{
    /* The model may be a newer one than the device was built from: quotas are no reason to build it anew. */
    const struct tg_config_device *d =
        rd->model == g->model ? rd->config : find_device(g->model->config, rd->config->id);
    int rc = TG_OK;
    for (uint32_t i = 0; d && i < d->route_count && rc == TG_OK; i++) {
        const struct tg_config_cloud *cloud = d->routes[i].cloud;
        const struct tg_outbox_quota quota = {.max_pending = d->quota.max_pending,
                                              .cloud_max_pending = cloud->quota.max_pending,
                                              .max_age_ms =
                                                  sooner(d->quota.max_age_ms, cloud->quota.max_age_ms)};
        rc = tg_store_set_quota(g->store, rd->device->store_device, cloud->name, &quota, err);
    }
    return rc;
}

void tg_gateway_apply_quotas(struct tg_gateway *g)
{
    struct tg_error err = {0};
    for (struct tg_running_source *rs = g->sources; rs; rs = rs->next)
        for (uint32_t d = 0; rs->devices && !rs->closing && d < rs->config->device_count; d++)
            if (rs->devices[d] && tg_gateway_set_quotas(g, rs->devices[d], &err) < 0)
                tg_log(TG_LOG_ERROR, "outbox", "device=%s its quota could not be set: %s; reload again",
                       rs->devices[d]->config->id, err.text);
}

/* --- dropped by an operator ------------------------------------------------------------------------------- */

static void on_dropped(void *user, int rc, const char *text, uint64_t rows)
{
    struct tg_gateway *g = TG_OBJECT(user, struct tg_gateway, TG_GATEWAY_MAGIC);
    void (*done)(void *, int, const char *, uint64_t) = g->drop_done;
    g->drop_done = NULL;
    if (rc == TG_OK)
        tg_log(TG_LOG_WARN, "outbox", "%llu %s dropped on request (counted as removed); %s clouds are told",
               (unsigned long long)rows,
               tg_plural(rows, "sample that waited was", "samples that waited were"),
               tg_plural(rows, "its", "their"));
    if (done)
        done(g->drop_user, rc, text, rows);
}

int tg_gateway_drop(struct tg_gateway *g, const char *device, const char *cloud, int64_t before_ms,
                    void (*done)(void *user, int rc, const char *text, uint64_t samples), void *user,
                    struct tg_error *err)
{
    int rc = tg_store_drop(g->store, device, cloud, before_ms, on_dropped, g, err);
    if (rc < 0)
        return rc;
    g->drop_done = done;
    g->drop_user = user;
    return TG_OK;
}

void tg_gateway_forget_drop(struct tg_gateway *g, const void *user)
{
    if (g->drop_user == user)
        g->drop_done = NULL;
}

/* --- what left ------------------------------------------------------------------------------------------ */

int tg_gateway_retire(struct tg_gateway *g, struct tg_error *err)
{
    uint64_t rows = 0;
    int rc = tg_store_retire_undeclared(g->store, &rows, err);
    if (rc == TG_OK && rows > 0)
        tg_log(TG_LOG_WARN, "outbox",
               "%llu %s given up (counted as removed), of devices or clouds that are not configured any more",
               (unsigned long long)rows, tg_plural(rows, "sample was", "samples were"));
    return rc;
}

void tg_gateway_tell_what_left(struct tg_gateway *g)
{
    const struct tg_config *config = g->model->config;
    uint32_t count = 0, n = 0;
    struct tg_outbox_declaration *list;
    struct tg_error err = {0};
    for (uint32_t i = 0; i < config->source_count; i++)
        for (uint32_t d = 0; d < config->sources[i].device_count; d++)
            count += config->sources[i].devices[d].route_count;
    list = tg_calloc(count + 1, sizeof *list);
    for (uint32_t i = 0; list && i < config->source_count; i++)
        for (uint32_t d = 0; d < config->sources[i].device_count; d++) {
            const struct tg_config_device *device = &config->sources[i].devices[d];
            for (uint32_t r = 0; r < device->route_count; r++)
                list[n++] = (struct tg_outbox_declaration){device->id, device->routes[r].cloud->name};
        }
    if (!list || tg_store_left(g->store, list, n, &err) < 0)
        tg_log(
            TG_LOG_ERROR, "outbox",
            "after the reload: %s; what waits for devices that left is kept until the next reload or restart",
            list ? err.text : "out of memory");
    tg_free(list);
}
