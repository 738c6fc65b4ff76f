/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * From the settings of a source to its tables: initial commands, URCs, points, exchanges, polls.
 */
#include <stdio.h>

#include "core/base/allocator.h"
#include "plugins/at/at_instance.h"
#include "plugins/at/at_options.h"
#include "plugins/at/at_scripts.h"
#include "southbound/serial_port.h"

static int no_memory(char *error, size_t error_size)
{
    snprintf(error, error_size, "out of memory");
    return TG_PLUGIN_ENOMEM;
}

static int build_init(struct at_source *s, const struct tg_at_builtin *script, char *error, size_t error_size)
{
    const struct tg_settings *set = s->config->settings;
    const char *const *own = NULL;
    uint32_t own_count = s->host->get_list(set, "init", &own), n = 0;
    while (script->init[n])
        n++;
    s->init = tg_calloc(n + own_count + 1, sizeof *s->init);
    if (!s->init)
        return no_memory(error, error_size);
    memcpy(s->init, script->init, n * sizeof *s->init);
    for (uint32_t i = 0; i < own_count; i++) {
        const char *fault = tg_at_command_fault(own[i]);
        if (fault) {
            snprintf(error, error_size, "source %s: init: command %u %s", s->config->name, i + 1, fault);
            return TG_PLUGIN_EINVAL;
        }
        s->init[n++] = own[i];
    }
    return TG_PLUGIN_OK;
}

static size_t add_urcs(struct at_source *s, size_t n, const char *option, bool two_line, bool reboot)
{
    const char *const *items = NULL;
    uint32_t count = s->host->get_list(s->config->settings, option, &items);
    for (uint32_t i = 0; i < count; i++)
        s->urcs[n++] = (struct tg_at_urc){.prefix = items[i], .two_line = two_line, .reboot = reboot};
    return n;
}

/* The source's own entries come first: they say how a line of the script's is to be taken here. */
static int build_urcs(struct at_source *s, const struct tg_at_builtin *script, size_t *ret_count, char *error,
                      size_t error_size)
{
    const struct tg_settings *set = s->config->settings;
    const char *const *items = NULL;
    size_t room = script->urc_count, n = 0;
    room += s->host->get_list(set, "urc_prefixes", &items);
    room += s->host->get_list(set, "urc_two_line", &items);
    room += s->host->get_list(set, "urc_reboot", &items);
    s->urcs = tg_calloc(room, sizeof *s->urcs);
    if (!s->urcs)
        return no_memory(error, error_size);
    n = add_urcs(s, n, "urc_reboot", false, true);
    n = add_urcs(s, n, "urc_two_line", true, false);
    n = add_urcs(s, n, "urc_prefixes", false, false);
    memcpy(s->urcs + n, script->urcs, script->urc_count * sizeof *s->urcs);
    *ret_count = n + script->urc_count;
    return TG_PLUGIN_OK;
}

static int compile(const struct tg_host *h, const struct tg_point *config, const char *option, bool *ret_has,
                   struct tg_at_pattern *ret_pattern, char *error, size_t error_size)
{
    int rc;
    if (!h->has(config->settings, option))
        return TG_PLUGIN_OK;
    rc = tg_at_pattern_compile(ret_pattern, h->get_text(config->settings, option), error, error_size);
    *ret_has = rc == TG_PLUGIN_OK;
    return rc;
}

/* The exchange that this command of this device has, or a new one. */
static uint32_t exchange_of(struct at_source *s, uint32_t device, const char *command, int64_t timeout_ms)
{
    struct at_exchange *x = s->exchanges;
    for (uint32_t i = 0; i < s->exchange_count; i++, x++) {
        if (x->device != device || strcmp(x->command, command) != 0)
            continue;
        x->timeout_ms = timeout_ms > x->timeout_ms ? timeout_ms : x->timeout_ms;
        return i;
    }
    *x = (struct at_exchange){.device = device, .command = command, .timeout_ms = timeout_ms};
    return s->exchange_count++;
}

static int build_point(struct at_source *s, uint32_t device, uint32_t index, char *error, size_t error_size)
{
    const struct tg_host *h = s->host;
    const struct tg_point *config = &s->config->devices[device].points[index];
    const struct tg_settings *set = config->settings;
    struct at_point *p = &s->points[s->point_count++];
    int rc = tg_at_check_point(h, NULL, config, NULL, error, error_size);
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
        tg_at_write_from_settings(h, set, &p->write);
    }
    rc = compile(h, config, "urc", &p->has_urc, &p->urc, error, error_size);
    if (rc == TG_PLUGIN_OK)
        rc = compile(h, config, "match", &p->has_match, &p->match, error, error_size);
    if (rc == TG_PLUGIN_OK && p->has_match)
        p->exchange = exchange_of(s, device, h->get_text(set, "command"), p->timeout_ms);
    return rc;
}

static int build_points(struct at_source *s, char *error, size_t error_size)
{
    uint32_t total = 0, polls = 0;
    for (uint32_t d = 0; d < s->config->device_count; d++)
        total += s->config->devices[d].point_count;
    s->points = tg_calloc(total + 1, sizeof *s->points);
    s->exchanges = tg_calloc(total + 1, sizeof *s->exchanges);
    s->polls = tg_calloc(total + 1, sizeof *s->polls);
    s->poll_points = tg_calloc(total + 1, sizeof *s->poll_points);
    s->values = tg_calloc(total + 1, sizeof *s->values);
    if (!s->points || !s->exchanges || !s->polls || !s->poll_points || !s->values)
        return no_memory(error, error_size);
    for (uint32_t d = 0; d < s->config->device_count; d++) {
        for (uint32_t i = 0; i < s->config->devices[d].point_count; i++) {
            char why[320];
            int rc = build_point(s, d, i, why, sizeof why);
            if (rc < 0) {
                snprintf(error, error_size, "device %s, point %s: %s", s->config->devices[d].id,
                         s->config->devices[d].points[i].name, why);
                return rc;
            }
        }
    }
    for (uint32_t i = 0; i < s->point_count; i++) {
        const struct at_point *p = &s->points[i];
        if (p->exchange == TG_AT_SCRIPT_NONE)
            continue;
        s->polls[polls].exchange = p->exchange;
        s->polls[polls].every_ms = s->config->devices[p->device].points[p->index].every_ms;
        s->poll_points[polls++] = i;
    }
    tg_at_script_init(&s->script, s->polls, polls, s->host->now_ms(s->host->source));
    return TG_PLUGIN_OK;
}

int at_source_build(struct at_source *s, char *error, size_t error_size)
{
    const struct tg_host *h = s->host;
    const struct tg_settings *set = s->config->settings;
    const struct tg_at_builtin *script = tg_at_script_builtin(h->get_int(set, "script"));
    struct tg_at_chat_config chat = {.is_urc = at_is_urc, .user = s};
    int rc;
    s->port = h->get_text(set, "port");
    s->baud = h->get_int(set, "baud");
    s->rtscts = h->get_int(set, "flow") == 1;
    s->timeout_ms = h->get_int(set, "timeout");
    if (!tg_serial_baud_known(s->baud)) {
        snprintf(error, error_size,
                 "source %s: baud %lld is no rate of serial ports; 9600 and 115200 are common",
                 s->config->name, (long long)s->baud);
        return TG_PLUGIN_EINVAL;
    }
    rc = build_init(s, script, error, error_size);
    if (rc == TG_PLUGIN_OK)
        rc = build_urcs(s, script, &chat.urc_count, error, error_size);
    if (rc == TG_PLUGIN_OK)
        rc = build_points(s, error, error_size);
    if (rc < 0)
        return rc;
    chat.urcs = s->urcs;
    chat.numeric_results = h->get_int(set, "numeric_results") != 0;
    chat.pause_ms = h->get_int(set, "pause");
    tg_at_chat_init(&s->chat, &chat);
    tg_at_chat_hangup(&s->chat);
    return TG_PLUGIN_OK;
}

void at_source_free(struct at_source *s)
{
    for (uint32_t i = 0; i < s->point_count; i++) {
        tg_at_pattern_fini(&s->points[i].match);
        tg_at_pattern_fini(&s->points[i].urc);
    }
    tg_free(s->init);
    tg_free(s->urcs);
    tg_free(s->points);
    tg_free(s->exchanges);
    tg_free(s->polls);
    tg_free(s->poll_points);
    tg_free(s->values);
    tg_free(s);
}
