/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * From the settings of a source to its tables: devices, points, exchanges, polls.
 */
#include <stdio.h>

#include "core/base/allocator.h"
#include "plugins/at/at_options.h"
#include "plugins/ucx/ucx_instance.h"
#include "southbound/serial_port.h"

static int build_device(struct ucx_source *s, uint32_t d, char *error, size_t error_size)
{
    static const char *const ends[] = {"\r\n", "\n", "\r", ""};
    const struct tg_host *h = s->host;
    const struct tg_settings *set = s->config->devices[d].settings;
    struct ucx_device *v = &s->devices[d];
    const char *fault;
    v->handle = -1;
    v->line_end = ends[h->get_int(set, "line_end")];
    v->silence_ms = h->has(set, "silence") ? h->get_int(set, "silence") : 0;
    v->module_connects = h->get_int(set, "connect") == 1;
    v->backoff = (struct tg_backoff){.floor_ms = UCX_CONNECT_MIN_MS,
                                     .base_ms = UCX_CONNECT_MIN_MS,
                                     .cap_ms = UCX_CONNECT_MAX_MS,
                                     .stable_ms = UCX_STABLE_MS};
    if (!h->has(set, "peer"))
        return TG_PLUGIN_OK;
    v->is_peer = true;
    v->url = h->get_text(set, "peer");
    fault = ucx_peer_fault(v->url, v->address);
    for (uint32_t k = 0; !fault && k < d; k++)
        if (s->devices[k].is_peer && memcmp(s->devices[k].address, v->address, sizeof v->address) == 0)
            fault = "another device of this source has the same peer";
    if (!fault)
        return TG_PLUGIN_OK;
    snprintf(error, error_size, "device %s: %s", s->config->devices[d].id, fault);
    return TG_PLUGIN_EINVAL;
}

static uint32_t exchange_of(struct ucx_source *s, uint32_t device, const char *command, int64_t timeout_ms)
{
    for (uint32_t i = 0; i < s->exchange_count; i++)
        if (s->exchanges[i].device == device && strcmp(s->exchanges[i].command, command) == 0)
            return i;
    s->exchanges[s->exchange_count] = (struct ucx_exchange){device, command, timeout_ms};
    return s->exchange_count++;
}

static int build_point(struct ucx_source *s, uint32_t device, uint32_t index, char *error, size_t error_size)
{
    const struct tg_host *h = s->host;
    const struct tg_point *config = &s->config->devices[device].points[index];
    const struct tg_settings *set = config->settings;
    struct ucx_point *p = &s->points[s->point_count++];
    int rc = ucx_check_point(h, s->config->devices[device].settings, config, NULL, error, error_size);
    if (rc < 0)
        return rc;
    p->name = config->name;
    p->device = device;
    p->index = index;
    p->group = (uint32_t)h->get_int(set, "group");
    p->reader.type = (enum tg_at_type)h->get_int(set, "type");
    p->reader.decimal_comma = h->get_int(set, "decimal") == 1;
    p->reader.null_count = h->get_list(set, "null", &p->reader.nulls);
    p->timeout_ms = h->has(set, "timeout") ? h->get_int(set, "timeout") : s->timeout_ms;
    p->exchange = TG_AT_SCRIPT_NONE;
    if (h->has(set, "write")) {
        p->has_write = true;
        ucx_options_write(h, set, &p->write);
    }
    if (h->has(set, "match")) {
        rc = tg_at_pattern_compile(&p->match, h->get_text(set, "match"), error, error_size);
        p->has_match = rc == TG_PLUGIN_OK;
    }
    if (rc == TG_PLUGIN_OK && h->has(set, "command"))
        p->exchange = exchange_of(s, device, h->get_text(set, "command"), p->timeout_ms);
    return rc;
}

static void build_polls(struct ucx_source *s)
{
    uint32_t n = 0;
    for (uint32_t i = 0; i < s->point_count; i++) {
        const struct ucx_point *p = &s->points[i];
        if (p->exchange == TG_AT_SCRIPT_NONE)
            continue;
        s->polls[n].exchange = p->exchange;
        s->polls[n].every_ms = s->config->devices[p->device].points[p->index].every_ms;
        s->poll_points[n++] = i;
    }
    tg_at_script_init(&s->script, s->polls, n, s->host->now_ms(s->host->source));
}

static int build_points(struct ucx_source *s, char *error, size_t error_size)
{
    uint32_t total = 0;
    for (uint32_t d = 0; d < s->config->device_count; d++)
        total += s->config->devices[d].point_count;
    s->devices = tg_calloc(s->config->device_count + 1, sizeof *s->devices);
    s->points = tg_calloc(total + 1, sizeof *s->points);
    s->exchanges = tg_calloc(total + 1, sizeof *s->exchanges);
    s->polls = tg_calloc(total + 1, sizeof *s->polls);
    s->poll_points = tg_calloc(total + 1, sizeof *s->poll_points);
    s->values = tg_calloc(total + 1, sizeof *s->values);
    if (!s->devices || !s->points || !s->exchanges || !s->polls || !s->poll_points || !s->values) {
        snprintf(error, error_size, "out of memory");
        return TG_PLUGIN_ENOMEM;
    }
    for (uint32_t d = 0; d < s->config->device_count; d++) {
        int rc = build_device(s, d, error, error_size);
        s->devices[d].first_point = s->point_count;
        s->devices[d].point_count = s->config->devices[d].point_count;
        for (uint32_t i = 0; rc == TG_PLUGIN_OK && i < s->config->devices[d].point_count; i++) {
            char why[320];
            rc = build_point(s, d, i, why, sizeof why);
            if (rc < 0)
                snprintf(error, error_size, "device %s, point %s: %s", s->config->devices[d].id,
                         s->config->devices[d].points[i].name, why);
        }
        if (rc < 0)
            return rc;
    }
    build_polls(s);
    return TG_PLUGIN_OK;
}

int ucx_source_build(struct ucx_source *s, char *error, size_t error_size)
{
    const struct tg_host *h = s->host;
    const struct tg_settings *set = s->config->settings;
    const char *option = NULL;
    char why[160];
    s->port = h->get_text(set, "port");
    s->baud = h->get_int(set, "baud");
    s->rtscts = h->get_int(set, "flow") == 1;
    s->timeout_ms = h->get_int(set, "timeout");
    s->init_count = h->get_list(set, "init", &s->init);
    if (ucx_check_source(h, set, &option, why, sizeof why) < 0) {
        snprintf(error, error_size, "source %s: %s: %s", s->config->name, option, why);
        return TG_PLUGIN_EINVAL;
    }
    tg_ucx_link_init(&s->link);
    return build_points(s, error, error_size);
}

void ucx_source_free(struct ucx_source *s)
{
    for (uint32_t i = 0; i < s->point_count; i++)
        tg_at_pattern_fini(&s->points[i].match);
    tg_free(s->devices);
    tg_free(s->points);
    tg_free(s->exchanges);
    tg_free(s->polls);
    tg_free(s->poll_points);
    tg_free(s->values);
    tg_free(s);
}
