/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * gateway_discover - devices that plugins find become part of the model, and are forgotten again (discovered.h).
 */
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/base/allocator.h"
#include "core/base/assert.h"
#include "core/base/clock.h"
#include "core/base/log.h"
#include "core/base/plural.h"
#include "core/gateway/discovered.h"
#include "core/gateway/gateway_private.h"

#define ADOPT_MS 1000 /* sensors that are heard one after the other come in together */

int tg_gateway_load(struct tg_gateway *g, struct tg_config **ret_config)
{
    struct tg_found_list list;
    struct tg_config_discovered *devices;
    int rc = tg_found_read(g->notes, &list);
    if (rc < 0)
        goto no_memory;
    devices = tg_calloc(list.count ? list.count : 1, sizeof *devices);
    if (!devices) {
        tg_found_free(&list);
        goto no_memory;
    }
    for (uint32_t i = 0; i < list.count; i++) {
        const struct tg_found *f = &list.items[i];
        devices[i] = (struct tg_config_discovered){f->source, f->id, f->profile[0] ? f->profile : NULL};
    }
    rc = g->reload(g->reload_user, devices, list.count, ret_config);
    tg_free(devices);
    tg_found_free(&list);
    return rc;
no_memory:
    tg_log(TG_LOG_ERROR, "gateway", "out of memory while reading which devices were discovered");
    return TG_ENOMEM;
}

int tg_gateway_recall_discovered(struct tg_gateway *g, struct tg_error *err)
{
    struct tg_found_list list;
    struct tg_config *config = NULL;
    uint32_t count;
    if (tg_found_read(g->notes, &list) < 0)
        return tg_error_set(err, TG_ENOMEM, "out of memory");
    count = list.count;
    tg_found_free(&list);
    if (count == 0)
        return TG_OK;
    if (tg_gateway_load(g, &config) <
        0) /* going on without them would give up what they have in the outbox */
        return tg_error_set(err, TG_EINVAL,
                            "the configuration could not be read a second time, with the %u %s discovered; "
                            "the outbox was not touched",
                            count, tg_plural(count, "device that was", "devices that were"));
    tg_config_free(g->model->config);
    g->model->config = config;
    return TG_OK;
}

/* --- adopting ------------------------------------------------------------------------------------------ */

static void on_kept(void *user, int rc)
{
    struct tg_gateway *g = TG_OBJECT(user, struct tg_gateway, TG_GATEWAY_MAGIC);
    if (rc < 0)
        tg_log(TG_LOG_WARN, "gateway",
               "which devices were discovered could not be written to the disk (%s); they are in memory and "
               "come in all the same, the write is tried again",
               tg_code_text(rc));
    if (!g->stopping)
        tg_gateway_reload(g);
}

/* Not before the note is on disk: without it a restart would not know the device, and give up its samples. */
static void adopt(void *user)
{
    struct tg_gateway *g = TG_OBJECT(user, struct tg_gateway, TG_GATEWAY_MAGIC);
    int rc;
    g->adopting = false;
    if (g->stopping)
        return;
    rc = tg_notes_when_durable(g->notes, on_kept, g);
    if (rc < 0)
        on_kept(g, rc);
}

void tg_gateway_discover_init(struct tg_gateway *g)
{
    tg_deadline_init(&g->adopt, &g->loop, adopt, g);
}

static void adopt_in(struct tg_gateway *g, int64_t wait_ms)
{
    if (g->adopting)
        return;
    g->adopting = true;
    tg_deadline_set(&g->adopt, tg_clock_mono_ms() + wait_ms);
}

static bool runs(const struct tg_gateway *g, const char *source, const char *id)
{
    for (const struct tg_running_source *rs = g->sources; rs; rs = rs->next) {
        if (rs->closing || strcmp(rs->config->name, source) != 0)
            continue;
        for (uint32_t d = 0; d < rs->config->device_count; d++)
            if (rs->devices[d] && strcmp(rs->config->devices[d].id, id) == 0)
                return true;
    }
    return false;
}

/* What is remembered and not running (the file has changed) must not keep a device out that may come in. */
static void make_room(struct tg_gateway *g, const struct tg_config_source *source)
{
    uint32_t max = (uint32_t)tg_settings_int(source->discover->settings, "max");
    uint32_t count = tg_found_count(g->notes, source->name);
    struct tg_found_list list;
    if (count < max || tg_found_read(g->notes, &list) < 0)
        return;
    for (uint32_t i = 0; i < list.count && count >= max; i++) {
        const struct tg_found *f = &list.items[i];
        if (strcmp(f->source, source->name) != 0 || runs(g, f->source, f->id) ||
            tg_found_drop(g->notes, f->source, f->id) < 0)
            continue;
        count--;
        tg_log(TG_LOG_INFO, "gateway",
               "source=%s device=%s was discovered once and is no device any more: it is forgotten, for a "
               "new one",
               f->source, f->id);
    }
    tg_found_free(&list);
}

void tg_gateway_discovered(struct tg_gateway *g, const struct tg_config_source *source, const char *id,
                           const char *profile)
{
    struct tg_found f = {.first_seen_ms = tg_clock_wall_ms()};
    int rc;
    if (tg_router_device(g->router, id)) {
        tg_log(TG_LOG_INFO, "gateway",
               "source=%s device=%s was discovered, and another source has a device of that id: nothing "
               "changes",
               source->name, id);
        return;
    }
    if (tg_found_is_kept(g->notes, source->name, id))
        return; /* why it is no device was told when the configuration was read */
    make_room(g, source);
    snprintf(f.source, sizeof f.source, "%s", source->name);
    snprintf(f.id, sizeof f.id, "%s", id);
    snprintf(f.profile, sizeof f.profile, "%s", profile ? profile : "");
    rc = tg_found_keep(g->notes, &f);
    if (rc < 0) {
        tg_log(TG_LOG_ERROR, "gateway",
               "source=%s device=%s was discovered and cannot be remembered: %s; it does not come in, and is "
               "looked at again when the source is opened anew",
               source->name, id, tg_code_text(rc));
        return;
    }
    tg_log(TG_LOG_INFO, "gateway", "source=%s device=%s discovered (%s%s): it gets its sessions in about 1 s",
           source->name, id, profile ? "profile " : "no profile", profile ? profile : "");
    adopt_in(g, ADOPT_MS);
}

/* --- forgetting and listing ------------------------------------------------------------------------------ */

/* What clouds said about it (where it is assigned) goes too: links and twins keep it in this scope. */
static void forget_clouds(struct tg_gateway *g, const char *id)
{
    char scope[TG_NOTE_NAME_BYTES];
    for (uint32_t i = 0; i < g->model->config->cloud_count; i++) {
        snprintf(scope, sizeof scope, "cloud/%.56s/%.120s", g->model->config->clouds[i].name, id);
        tg_notes_drop(g->notes, scope);
    }
}

int tg_gateway_forget(struct tg_gateway *g, const char *id, struct tg_error *err)
{
    struct tg_found_list list;
    int rc = tg_found_read(g->notes, &list);
    bool any = false;
    if (rc < 0)
        return tg_error_set(err, rc, "out of memory");
    for (uint32_t i = 0; rc == TG_OK && i < list.count; i++) {
        if (strcmp(list.items[i].id, id) != 0)
            continue;
        any = true;
        rc = tg_found_drop(g->notes, list.items[i].source, id);
        tg_log(TG_LOG_INFO, "gateway", "source=%s device=%s is forgotten", list.items[i].source, id);
    }
    tg_found_free(&list);
    if (rc < 0)
        return tg_error_set(err, rc, "it is not forgotten: %s", tg_code_text(rc));
    if (!any)
        return tg_error_set(err, TG_ENOTFOUND, "no discovered device has this id");
    forget_clouds(g, id);
    adopt_in(g, 0);
    return TG_OK;
}

static json_t *candidates_of(struct tg_running_source *rs, struct tg_source_discovery *seen)
{
    int64_t now = tg_clock_mono_ms();
    json_t *list = json_array();
    for (uint32_t i = 0; i < seen->candidate_count; i++) {
        const struct tg_source_candidate *c = &seen->candidates[i];
        json_array_append_new(list, json_pack("{s:s,s:s,s:s,s:I}", "source", rs->config->name, "id", c->id,
                                              "why", c->allowed ? "full" : "not allowed", "heard_ago_ms",
                                              (json_int_t)(now - c->heard_ms)));
    }
    return list;
}

json_t *tg_gateway_discovery_json(struct tg_running_source *rs)
{
    struct tg_source_discovery seen;
    if (!rs->host || !tg_source_host_discovery(rs->host, &seen))
        return NULL;
    return json_pack("{s:I,s:I,s:I,s:I,s:o}", "used", (json_int_t)seen.used, "max", (json_int_t)seen.max,
                     "denied", (json_int_t)seen.denied, "without_room", (json_int_t)seen.without_room,
                     "candidates", candidates_of(rs, &seen));
}

char *tg_gateway_discovered_json(struct tg_gateway *g)
{
    struct tg_found_list list = {0};
    json_t *devices = json_array(), *candidates = json_array(), *j;
    char *text = NULL, *ours;
    if (tg_found_read(g->notes, &list) < 0) {
        json_decref(devices);
        json_decref(candidates);
        return NULL;
    }
    for (uint32_t i = 0; i < list.count; i++) {
        const struct tg_found *f = &list.items[i];
        j = json_pack("{s:s,s:s,s:I,s:b}", "id", f->id, "source", f->source, "first_seen_ms",
                      (json_int_t)f->first_seen_ms, "running", runs(g, f->source, f->id));
        if (j && f->profile[0])
            json_object_set_new(j, "profile", json_string(f->profile));
        json_array_append_new(devices, j);
    }
    tg_found_free(&list);
    for (struct tg_running_source *rs = g->sources; rs; rs = rs->next) {
        json_t *seen = rs->closing ? NULL : tg_gateway_discovery_json(rs);
        json_array_extend(candidates, json_object_get(seen, "candidates"));
        json_decref(seen);
    }
    j = json_pack("{s:o,s:o}", "devices", devices, "candidates", candidates);
    text = j ? json_dumps(j, JSON_COMPACT) : NULL;
    json_decref(j);
    ours = text ? tg_strdup(text) : NULL;
    free(text);
    return ours;
}
