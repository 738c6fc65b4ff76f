/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "southbound/plugin_child_model.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "core/base/allocator.h"

#define MODEL_MAX 1000000 /* devices, points of a device */

/* The names that the gateway's own tables have for them. */
static const struct tg_option common_options[] = {{.name = "every", .type = TG_OPTION_DURATION},
                                                  {.name = "writable", .type = TG_OPTION_BOOL},
                                                  {.name = NULL}};
static const struct tg_option discover_options[] = {
    {.name = "allow", .type = TG_OPTION_TEXT_LIST}, {.name = "max", .type = TG_OPTION_INT}, {.name = NULL}};

static char *copy(struct tg_bytes b)
{
    return tg_strndup((const char *)b.data, b.len);
}

/* The next message: 1, 0 at the end, TG_EPROTO. */
static int next(struct tg_bytes *raw, struct tg_wire_message *ret)
{
    struct tg_wire_frame frame;
    int rc = tg_wire_next(*raw, &frame);
    if (rc <= 0)
        return rc;
    if (tg_wire_read_message(&frame, ret) < 0)
        return TG_EPROTO;
    *raw = tg_bytes(raw->data + frame.size, raw->len - frame.size);
    return 1;
}

/* --- outline --------------------------------------------------------------------------------------------- */

static int add_path(struct tg_child_outline *o, struct tg_bytes path, bool device_only)
{
    for (uint32_t i = 0; i < o->path_count; i++)
        if (tg_bytes_eq_str(path, o->paths[i].path)) {
            o->paths[i].device_only = o->paths[i].device_only && device_only;
            return TG_OK;
        }
    if (o->path_count == TG_CHILD_PATHS_MAX)
        return TG_ETOOBIG;
    o->paths[o->path_count].path = copy(path);
    o->paths[o->path_count].device_only = device_only;
    return o->paths[o->path_count].path ? (o->path_count++, TG_OK) : TG_ENOMEM;
}

static int take_outline(struct tg_child_outline *o, const struct tg_wire_message *m)
{
    if (m->type == TG_WIRE_OPTION && (m->state == TG_OPTION_PATH || m->state == TG_OPTION_SECRET_FILE))
        return add_path(o, m->text, false);
    if (m->type == TG_WIRE_OPTION && m->state == TG_OPTION_TEXT && tg_bytes_starts(m->text, "/"))
        return add_path(o, m->text, true);
    if (m->type != TG_WIRE_SOURCE)
        return TG_OK;
    if (o->name || m->state != TG_WIRE_VERSION || !m->has_text || m->time_ms < 1 || m->at_ms < 0 ||
        m->at_ms > TG_LOG_DEBUG)
        return TG_EVERSION;
    o->name = copy(m->name);
    o->file = copy(m->text);
    o->needs = m->flags;
    o->memory_limit_bytes = m->number;
    o->beat_ms = m->time_ms;
    o->level = (enum tg_log_level)m->at_ms;
    return o->name && o->file ? TG_OK : TG_ENOMEM;
}

int tg_child_outline_read(struct tg_bytes raw, struct tg_child_outline *ret, struct tg_error *err)
{
    struct tg_wire_message m;
    int rc;
    *ret = (struct tg_child_outline){0};
    while ((rc = next(&raw, &m)) > 0) {
        rc = take_outline(ret, &m);
        if (rc < 0)
            break;
    }
    if (rc == TG_OK && !ret->name)
        rc = TG_EPROTO;
    if (rc == TG_OK)
        return TG_OK;
    tg_child_outline_fini(ret);
    if (rc == TG_EVERSION)
        return tg_error_set(err, rc,
                            "tidegate-plugin-host is of another version than the gateway that started it: "
                            "restart the gateway");
    if (rc == TG_ETOOBIG)
        return tg_error_set(
            err, rc,
            "the source's options name more than %d files, the most that a process of its own can have",
            TG_CHILD_PATHS_MAX);
    return tg_error_set(err, rc, "the configuration did not arrive whole: %s", tg_code_text(rc));
}

void tg_child_outline_fini(struct tg_child_outline *o)
{
    tg_free(o->name);
    tg_free(o->file);
    for (uint32_t i = 0; i < o->path_count; i++)
        tg_free(o->paths[i].path);
    *o = (struct tg_child_outline){0};
}

/* --- the whole ---------------------------------------------------------------------------------------------- */

struct build {
    struct tg_child_model *model;
    const struct tg_plugin *plugin;
    struct tg_settings *last; /* what OPTIONs go to */
    uint32_t devices, points; /* so many have come; points of the last device */
    uint32_t points_wanted;
    bool started;
};

static int begin_source(struct build *b, const struct tg_wire_message *m)
{
    struct tg_child_model *model = b->model;
    if (model->source.name || m->device > MODEL_MAX)
        return TG_EPROTO;
    model->source.name = copy(m->name);
    model->source.plugin = b->plugin;
    model->source.plugin_name = b->plugin->name;
    model->devices = tg_calloc(m->device + 1, sizeof *model->devices);
    model->points = tg_calloc(m->device + 1, sizeof *model->points);
    model->source.devices = model->devices;
    model->source.settings = b->last = tg_settings_new(b->plugin->source_options);
    if (!model->source.name || !model->devices || !model->points || !b->last)
        return TG_ENOMEM;
    model->source.device_count = m->device;
    return TG_OK;
}

static int begin_discover(struct build *b, const struct tg_wire_message *m)
{
    char number[24];
    struct tg_settings_position none = {0, 0};
    if (b->model->source.discover || b->devices)
        return TG_EPROTO;
    b->model->discover.settings = b->last = tg_settings_new(discover_options);
    b->model->source.discover = &b->model->discover;
    snprintf(number, sizeof number, "%" PRIu64, m->number);
    return b->last ? tg_settings_set(b->last, "max", number, NULL, none, NULL) : TG_ENOMEM;
}

static int begin_device(struct build *b, const struct tg_wire_message *m)
{
    struct tg_config_device *d;
    if (b->devices == b->model->source.device_count || b->points != b->points_wanted || m->point > MODEL_MAX)
        return TG_EPROTO;
    d = &b->model->devices[b->devices];
    d->id = copy(m->name);
    d->discovered = m->flags & 1u;
    d->points = b->model->points[b->devices] = tg_calloc(m->point + 1, sizeof *d->points);
    d->settings = b->last = tg_settings_new(b->plugin->device_options);
    if (!d->id || !d->points || !b->last)
        return TG_ENOMEM;
    b->devices++;
    b->points = 0;
    b->points_wanted = m->point;
    return TG_OK;
}

static int begin_point(struct build *b, const struct tg_wire_message *m)
{
    const struct tg_settings_position none = {0, 0};
    struct tg_settings *common;
    struct tg_config_point *p;
    char every[32];
    int rc = TG_OK;
    if (b->devices == 0 || b->points == b->points_wanted || m->time_ms < 0)
        return TG_EPROTO;
    p = &b->model->points[b->devices - 1][b->points++];
    b->model->devices[b->devices - 1].point_count = b->points;
    p->name = copy(m->name);
    p->settings = b->last = tg_settings_new(b->plugin->point_options);
    p->common = common = tg_settings_new(common_options);
    if (!p->name || !b->last || !common)
        return TG_ENOMEM;
    snprintf(every, sizeof every, "%" PRId64 "ms", m->time_ms);
    if (m->time_ms)
        rc = tg_settings_set(common, "every", every, NULL, none, NULL);
    return rc < 0 ? rc
                  : tg_settings_set(common, "writable", m->flags & 1u ? "true" : "false", NULL, none, NULL);
}

static int take_option(struct build *b, const struct tg_wire_message *m, struct tg_error *err)
{
    const struct tg_settings_position none = {0, 0};
    char name[128];
    TG_CLEANUP_FREE char *text = NULL;
    if (!b->last || m->name.len >= sizeof name || !m->has_text)
        return TG_EPROTO;
    snprintf(name, sizeof name, "%.*s", (int)m->name.len, (const char *)m->name.data);
    if (m->flags & TG_WIRE_EMPTY_LIST) {
        tg_settings_set_empty_list(b->last, name, none);
        return TG_OK;
    }
    text = copy(m->text);
    if (!text)
        return TG_ENOMEM;
    return m->flags & TG_WIRE_ITEM ? tg_settings_append(b->last, name, text, none, err)
                                   : tg_settings_set(b->last, name, text, NULL, none, err);
}

static int take(struct build *b, const struct tg_wire_message *m, struct tg_error *err)
{
    if (!b->model->source.name && m->type != TG_WIRE_SOURCE)
        return TG_EPROTO;
    switch (m->type) {
    case TG_WIRE_SOURCE:
        return begin_source(b, m);
    case TG_WIRE_DISCOVER:
        return begin_discover(b, m);
    case TG_WIRE_DEVICE:
        return begin_device(b, m);
    case TG_WIRE_POINT:
        return begin_point(b, m);
    case TG_WIRE_OPTION:
        return take_option(b, m, err);
    case TG_WIRE_START:
        b->started = b->devices == b->model->source.device_count && b->points == b->points_wanted;
        return b->started ? TG_OK : TG_EPROTO;
    default:
        return TG_EPROTO;
    }
}

/* The gateway counts those that may still come; the host's rule is how many there may be. */
static int count_discovered(struct tg_child_model *m)
{
    const struct tg_settings_position none = {0, 0};
    char number[24];
    int64_t max;
    if (!m->source.discover)
        return TG_OK;
    max = tg_settings_int(m->discover.settings, "max");
    for (uint32_t d = 0; d < m->source.device_count; d++)
        max += m->devices[d].discovered;
    snprintf(number, sizeof number, "%" PRId64, max);
    return tg_settings_set((struct tg_settings *)m->discover.settings, "max", number, NULL, none, NULL);
}

int tg_child_model_build(struct tg_bytes raw, const struct tg_plugin *plugin, struct tg_child_model *ret,
                         struct tg_error *err)
{
    struct build b = {.model = ret, .plugin = plugin};
    struct tg_wire_message m;
    struct tg_error why = {0};
    int rc;
    *ret = (struct tg_child_model){0};
    while ((rc = next(&raw, &m)) > 0) {
        rc = b.started ? TG_EPROTO : take(&b, &m, &why);
        if (rc < 0)
            break;
    }
    if (rc == TG_OK)
        rc = b.started ? count_discovered(ret) : TG_EPROTO;
    if (rc == TG_OK)
        return TG_OK;
    tg_child_model_fini(ret);
    return tg_error_set(err, rc, "the configuration did not arrive as the plugin's tables have it: %s",
                        why.text[0] ? why.text : tg_code_text(rc));
}

void tg_child_model_fini(struct tg_child_model *m)
{
    for (uint32_t d = 0; d < m->source.device_count; d++) {
        struct tg_config_device *device = &m->devices[d];
        for (uint32_t i = 0; i < device->point_count; i++) {
            struct tg_config_point *p = &m->points[d][i];
            tg_free((char *)p->name);
            tg_settings_free((struct tg_settings *)p->settings);
            tg_settings_free((struct tg_settings *)p->common);
        }
        tg_free(m->points[d]);
        tg_free((char *)device->id);
        tg_settings_free((struct tg_settings *)device->settings);
    }
    tg_free(m->devices);
    tg_free(m->points);
    tg_free((char *)m->source.name);
    tg_settings_free((struct tg_settings *)m->source.settings);
    tg_settings_free((struct tg_settings *)m->discover.settings);
    *m = (struct tg_child_model){0};
}
