/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * From the settings of a source to its tables: initial commands, URCs, points, exchanges, polls.
 */
#include <stdio.h>

#include "core/base/allocator.h"
#include "plugins/at/at_instance.h"
#include "core/base/settings.h"
#include "plugins/at/at_options.h"
#include "plugins/at/at_rates.h"
#include "plugins/at/at_scripts.h"
#include "plugins/at/cellular.h"

static int no_memory(char *error, size_t error_size)
{
    snprintf(error, error_size, "out of memory");
    return TG_PLUGIN_ENOMEM;
}

/* --- the script: built-in, the source's, and those of its devices --- */

/* The settings that hold a part of the script, one after the other: the source's, then each device's. NULL at the end. */
static const struct tg_settings *script_part(const struct at_source *s, uint32_t i)
{
    if (i == 0)
        return s->config->settings;
    return i <= s->config->device_count ? s->config->devices[i - 1].settings : NULL;
}

static uint32_t count_items(const struct at_source *s, const char *option)
{
    const struct tg_settings *set;
    const char *const *items = NULL;
    uint32_t n = 0;
    for (uint32_t i = 0; (set = script_part(s, i)) != NULL; i++)
        n += s->host->get_list(set, option, &items);
    return n;
}

/* "AT+COPS=0=3m" among init_timeouts. */
static int take_timeout(struct at_source *s, const char *entry, char *error, size_t error_size)
{
    const char *equals = strrchr(entry, '=');
    size_t n = equals ? (size_t)(equals - entry) : 0;
    struct tg_error err = {0};
    int64_t ms;
    for (struct at_init_command *c = s->init; c->text; c++) {
        if (strlen(c->text) != n || memcmp(c->text, entry, n) != 0)
            continue;
        if (tg_parse_duration_ms(equals + 1, &ms, &err) < 0 || ms < 50 || ms > 600000) {
            snprintf(error, error_size, "source %s: init_timeouts: %.80s takes 50ms to 10m", s->config->name,
                     entry);
            return TG_PLUGIN_EINVAL;
        }
        c->timeout_ms = ms;
        return TG_PLUGIN_OK;
    }
    snprintf(error, error_size, "source %s: init_timeouts: \"%.80s\" is none of the commands of `init`",
             s->config->name, entry);
    return TG_PLUGIN_EINVAL;
}

static int add_init(struct at_source *s, const char *const *items, uint32_t count, uint32_t *n, char *error,
                    size_t error_size)
{
    for (uint32_t i = 0; i < count; i++) {
        const char *fault = tg_at_command_fault(items[i]);
        if (fault) {
            snprintf(error, error_size, "source %s: init: command %u %s", s->config->name, i + 1, fault);
            return TG_PLUGIN_EINVAL;
        }
        s->init[(*n)++] = (struct at_init_command){items[i], s->timeout_ms};
    }
    return TG_PLUGIN_OK;
}

static int build_init(struct at_source *s, const struct tg_at_builtin *script, char *error, size_t error_size)
{
    const struct tg_settings *set;
    const char *const *items = NULL;
    uint32_t builtin = 0, n = 0;
    int rc;
    while (script->init[builtin])
        builtin++;
    s->init = tg_calloc(builtin + count_items(s, "init") + 1, sizeof *s->init);
    if (!s->init)
        return no_memory(error, error_size);
    rc = add_init(s, script->init, builtin, &n, error, error_size);
    for (uint32_t i = 0; rc == TG_PLUGIN_OK && (set = script_part(s, i)) != NULL; i++) {
        uint32_t count = s->host->get_list(set, "init", &items);
        rc = add_init(s, items, count, &n, error, error_size);
    }
    for (uint32_t i = 0; rc == TG_PLUGIN_OK && (set = script_part(s, i)) != NULL; i++) {
        uint32_t count = s->host->get_list(set, "init_timeouts", &items);
        for (uint32_t k = 0; rc == TG_PLUGIN_OK && k < count; k++)
            rc = take_timeout(s, items[k], error, error_size);
    }
    return rc;
}

static size_t add_urcs(struct at_source *s, size_t n, const char *option, bool two_line, bool reboot)
{
    const struct tg_settings *set;
    const char *const *items = NULL;
    for (uint32_t k = 0; (set = script_part(s, k)) != NULL; k++) {
        uint32_t count = s->host->get_list(set, option, &items);
        for (uint32_t i = 0; i < count; i++)
            s->urcs[n++] = (struct tg_at_urc){.prefix = items[i], .two_line = two_line, .reboot = reboot};
    }
    return n;
}

/* The source's own entries come first: they say how a line of the script's is to be taken here. */
static int build_urcs(struct at_source *s, const struct tg_at_builtin *script, size_t *ret_count, char *error,
                      size_t error_size)
{
    size_t room = script->urc_count, n = 0;
    room += count_items(s, "urc_prefixes") + count_items(s, "urc_two_line") + count_items(s, "urc_reboot");
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

static int add_finals(struct at_source *s, const char *option, bool ok, char *error, size_t error_size)
{
    const struct tg_settings *set;
    const char *const *items = NULL;
    char why[300];
    for (uint32_t k = 0; (set = script_part(s, k)) != NULL; k++) {
        uint32_t count = s->host->get_list(set, option, &items);
        for (uint32_t i = 0; i < count; i++) {
            struct at_final_pattern *f = &s->finals[s->final_count];
            int rc = tg_at_pattern_compile(&f->pattern, items[i], why, sizeof why);
            if (rc < 0) {
                snprintf(error, error_size, "source %s: %s: %s", s->config->name, option, why);
                return rc;
            }
            f->ok = ok;
            s->final_count++;
        }
    }
    return TG_PLUGIN_OK;
}

static int build_finals(struct at_source *s, char *error, size_t error_size)
{
    uint32_t count = count_items(s, "final_ok") + count_items(s, "final_error");
    int rc;
    if (count == 0)
        return TG_PLUGIN_OK;
    s->finals = tg_calloc(count, sizeof *s->finals);
    if (!s->finals)
        return no_memory(error, error_size);
    rc = add_finals(s, "final_error", false, error, error_size);
    return rc == TG_PLUGIN_OK ? add_finals(s, "final_ok", true, error, error_size) : rc;
}

/* --- points --- */

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

/* How the answer announces raw bytes; points with the same command must agree. */
static int build_payload(struct at_source *s, const struct at_point *p, const struct tg_settings *set,
                         char *error, size_t error_size)
{
    struct at_exchange *x = &s->exchanges[p->exchange];
    const char *prefix = s->host->get_text(set, "payload_prefix");
    struct tg_at_announce a = {.field = (uint32_t)s->host->get_int(set, "payload_field"),
                               .quoted = p->payload == TG_AT_PAYLOAD_QUOTED};
    char name[sizeof x->prefix];
    if (p->payload == TG_AT_PAYLOAD_NO || p->payload == TG_AT_PAYLOAD_BLOCK)
        return TG_PLUGIN_OK;
    if (prefix)
        snprintf(name, sizeof name, "%s", prefix);
    else
        snprintf(name, sizeof name, "%.*s:", (int)strcspn(x->command + 2, "=?;"), x->command + 2);
    if (x->announce.prefix &&
        (strcmp(x->prefix, name) != 0 || a.field != x->announce.field || a.quoted != x->announce.quoted)) {
        snprintf(error, error_size, "the points of the command %s disagree about its payload", x->command);
        return TG_PLUGIN_EINVAL;
    }
    memcpy(x->prefix, name, sizeof name);
    a.prefix = x->prefix;
    x->announce = a;
    return TG_PLUGIN_OK;
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
    p->cellular = h->has(set, "cellular") ? (int32_t)h->get_int(set, "cellular") : -1;
    p->reader.map_count = h->get_list(set, "map", &p->reader.maps);
    p->whole_answer = h->get_int(set, "span") == 1;
    p->payload = (uint32_t)h->get_int(set, "payload");
    p->has_write = h->has(set, "write");
    if (p->has_write)
        tg_at_options_write(h, set, &p->write);
    rc = compile(h, config, "urc", &p->has_urc, &p->urc, error, error_size);
    if (rc == TG_PLUGIN_OK)
        rc = compile(h, config, "match", &p->has_match, &p->match, error, error_size);
    if (rc == TG_PLUGIN_OK)
        rc = compile(h, config, "payload_match", &p->has_payload_match, &p->payload_match, error, error_size);
    if (rc < 0 || !p->has_match)
        return rc;
    p->exchange = exchange_of(s, device, h->get_text(set, "command"), p->timeout_ms);
    return build_payload(s, p, set, error, error_size);
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
        if (p->reader.type == TG_AT_RAW && !s->hex_texts) {
            s->hex_texts = tg_calloc(total, TG_TEXT_MAX_BYTES);
            if (!s->hex_texts)
                return no_memory(error, error_size);
        }
        if (p->exchange == TG_AT_SCRIPT_NONE)
            continue;
        s->polls[polls].exchange = p->exchange;
        s->polls[polls].every_ms = s->config->devices[p->device].points[p->index].every_ms;
        s->poll_points[polls++] = i;
    }
    tg_at_script_init(&s->script, s->polls, polls, s->host->now_ms(s->host->source));
    return TG_PLUGIN_OK;
}

static void start_bounds(struct at_source *s, int64_t urcs_per_s, int64_t now_ms)
{
    int64_t bytes = s->baud / 5; /* twice the rate */
    for (uint32_t i = 0; i < s->rate_count; i++)
        bytes = s->rates[i] / 5 > bytes ? s->rates[i] / 5 : bytes;
    if (bytes < AT_FLOOD_MIN_BYTES_PER_S)
        bytes = AT_FLOOD_MIN_BYTES_PER_S;
    at_bucket_init(&s->bytes, bytes, bytes / 2, now_ms);
    at_bucket_init(&s->lines, urcs_per_s, 2 * urcs_per_s, now_ms);
    at_troubles_init(&s->troubles, now_ms);
}

int at_source_build(struct at_source *s, char *error, size_t error_size)
{
    const struct tg_host *h = s->host;
    const struct tg_settings *set = s->config->settings;
    const struct tg_at_builtin *script = tg_at_script_builtin(h->get_int(set, "script"));
    struct tg_at_chat_config chat = {.is_urc = at_is_urc, .is_final = at_is_final, .user = s, .escape = true};
    int rc;
    s->port = h->get_text(set, "port");
    s->rtscts = h->get_int(set, "flow") == 1;
    s->timeout_ms = h->get_int(set, "timeout");
    s->init_limit_ms = h->get_int(set, "init_limit");
    s->dtr_reset = h->get_int(set, "dtr_reset") != 0;
    rc = at_rates_build(s, error, error_size);
    if (rc == TG_PLUGIN_OK)
        rc = build_init(s, script, error, error_size);
    if (rc == TG_PLUGIN_OK)
        rc = build_urcs(s, script, &chat.urc_count, error, error_size);
    if (rc == TG_PLUGIN_OK)
        rc = build_finals(s, error, error_size);
    if (rc == TG_PLUGIN_OK)
        rc = build_points(s, error, error_size);
    if (rc == TG_PLUGIN_OK)
        rc = at_cellular_build(s, error, error_size);
    if (rc < 0)
        return rc;
    chat.urcs = s->urcs;
    for (uint32_t i = 0; i < s->point_count; i++)
        chat.blocks = chat.blocks || s->points[i].payload == TG_AT_PAYLOAD_BLOCK || s->points[i].write.block;
    chat.numeric_results = h->get_int(set, "numeric_results") != 0;
    chat.pause_ms = h->get_int(set, "pause");
    tg_at_chat_init(&s->chat, &chat);
    tg_at_chat_hangup(&s->chat);
    start_bounds(s, h->get_int(set, "urc_limit"), h->now_ms(h->source));
    return TG_PLUGIN_OK;
}

void at_source_free(struct at_source *s)
{
    at_cellular_free(s);
    for (uint32_t i = 0; i < s->point_count; i++) {
        tg_at_pattern_fini(&s->points[i].match);
        tg_at_pattern_fini(&s->points[i].urc);
        tg_at_pattern_fini(&s->points[i].payload_match);
    }
    for (uint32_t i = 0; i < s->final_count; i++)
        tg_at_pattern_fini(&s->finals[i].pattern);
    tg_free(s->finals);
    tg_free(s->hex_texts);
    tg_free(s->init);
    tg_free(s->urcs);
    tg_free(s->points);
    tg_free(s->exchanges);
    tg_free(s->polls);
    tg_free(s->poll_points);
    tg_free(s->values);
    tg_free(s);
}
