/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * `set`: all values are checked, by the gateway and by the plugin, before the first is written; the answer of each point is kept.
 */
#include <jansson.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>

#include "core/gateway/router_private.h"

#define WHY_BYTES 320

struct point_write {
    uint32_t point;
    struct tg_value value;
};

/* --- before anything is written ------------------------------------------------------------------------ */

bool tg_router_value_of(const json_t *j, struct tg_value *ret)
{
    if (json_is_boolean(j))
        *ret = tg_value_bool(json_is_true(j));
    else if (json_is_integer(j))
        *ret = tg_value_int(json_integer_value(j));
    else if (json_is_real(j))
        *ret = tg_value_real(json_real_value(j));
    else if (json_is_string(j) && json_string_length(j) <= TG_TEXT_MAX_BYTES)
        *ret = tg_value_text(json_string_value(j), json_string_length(j));
    else
        return false;
    return true;
}

static int64_t point_index(const struct tg_config_device *d, const char *name)
{
    for (uint32_t i = 0; i < d->point_count; i++)
        if (strcmp(d->points[i].name, name) == 0)
            return i;
    return -1;
}

static void say_range(const struct tg_filter_options *o, char *why, size_t size)
{
    const char *text = "the value is outside the point's range";
    if (isfinite(o->min) && isfinite(o->max))
        snprintf(why, size, "%s: %.10g to %.10g", text, o->min, o->max);
    else if (isfinite(o->min) || isfinite(o->max))
        snprintf(why, size, "%s: at %s %.10g", text, isfinite(o->min) ? "least" : "most",
                 isfinite(o->min) ? o->min : o->max);
    else
        snprintf(why, size, "the value is no finite number");
}

static void say_words(const struct tg_filter_options *o, char *why, size_t size)
{
    struct tg_writer w = tg_writer_init(why, size - sizeof " …"); /* room for what stands for the rest */
    uint32_t i = 0;
    size_t good = 0;
    tg_write_str(&w, "the point is an enumeration, and the value is none of its texts:");
    for (; i < o->word_count && !w.failed; i++) {
        good = w.len;
        tg_write_fmt(&w, "%s %s", i ? "," : "", o->words[i].text);
    }
    memcpy(why + (w.failed ? good : w.len), w.failed ? " …" : "", w.failed ? sizeof " …" : 1);
}

/* A tg_plugin_error; TG_PLUGIN_OK: *ret is what to write. */
static int check_entry(const struct tg_router_device *d, const char *name, const json_t *given,
                       struct point_write *ret, char *why, size_t size)
{
    int64_t i = point_index(d->config, name);
    const struct tg_filter_options *o;
    const struct tg_settings *common;
    if (i < 0) {
        snprintf(why, size, "the device has no such point");
        return TG_PLUGIN_EINVAL;
    }
    common = d->config->points[i].common;
    if (d->config->points[i].derived) {
        snprintf(why, size, "the point is worked out from others and cannot be written");
        return TG_PLUGIN_EINVAL;
    }
    if (!tg_settings_has(common, "writable") || !tg_settings_int(common, "writable")) {
        snprintf(why, size, "the point is not writable (writable: true in the configuration)");
        return TG_PLUGIN_EINVAL;
    }
    if (!tg_router_value_of(given, &ret->value)) {
        snprintf(why, size, "a value must be a number, a boolean or a text of at most %d bytes",
                 TG_TEXT_MAX_BYTES);
        return TG_PLUGIN_EINVAL;
    }
    ret->point = (uint32_t)i;
    o = &d->points[i].options;
    switch (tg_filter_unscale(o, &ret->value)) {
    case TG_OK:
        return tg_source_host_check_value(d->source, d->index, ret->point, &ret->value, why, size);
    case TG_ERANGE:
        say_range(o, why, size);
        break;
    case TG_ENOTFOUND:
        say_words(o, why, size);
        break;
    default:
        snprintf(why, size, "the point is scaled or has a range, so the value must be a number");
    }
    return TG_PLUGIN_EINVAL;
}

/* How many there are to write; 0: the command was refused. */
static uint32_t check_all(const struct tg_router_device *d, json_t *arguments,
                          struct point_write writes[TG_SET_MAX_POINTS], tg_command_done_fn done, void *user)
{
    char why[WHY_BYTES], quoted[TG_QUOTE_BYTES];
    uint32_t count = 0;
    const char *name;
    json_t *given;
    if (json_object_size(arguments) == 0 || json_object_size(arguments) > TG_SET_MAX_POINTS) {
        tg_router_refuse(done, user, "invalid", "device %s: set takes 1 to %d points: {\"point\": value}",
                         d->config->id, TG_SET_MAX_POINTS);
        return 0;
    }
    json_object_foreach(arguments, name, given)
    {
        int rc = check_entry(d, name, given, &writes[count], why, sizeof why);
        if (rc < 0) {
            tg_router_refuse(done, user, tg_router_status_name(rc),
                             "device %s, point %s: %s; nothing was written", d->config->id,
                             tg_quote(quoted, name, strlen(name)), why);
            return 0;
        }
        count++;
    }
    return count;
}

/* --- answers ------------------------------------------------------------------------------------------- */

static json_t *named_places(json_t *arguments)
{
    json_t *results = json_object(), *given;
    const char *name;
    json_object_foreach(arguments, name, given)
    {
        (void)given;
        json_object_set_new(results, name, json_null());
    }
    return results;
}

/* What was answered as an object; one that failed has an `error`. NULL without memory. */
static json_t *result_of(int status, const char *json)
{
    json_t *answer = json && json[0] ? json_loads(json, JSON_DECODE_ANY, NULL) : json_object(), *object;
    if (json_is_object(answer)) {
        object = answer;
    } else {
        object = json_object();
        json_object_set_new(object, "answer", answer ? answer : json_string(json));
    }
    if (status != TG_PLUGIN_OK && !json_object_get(object, "error"))
        json_object_set_new(object, "error", json_string(tg_router_status_name(status)));
    return object;
}

void tg_router_set_result(struct tg_pending *p, uint32_t i, int status, const char *json)
{
    void *at = json_object_iter(p->results);
    size_t bytes = json ? strlen(json) : 0;
    if (p->result_bytes + bytes > TG_COMMAND_RESULTS_BYTES) {
        json = "{\"note\":\"left out: the answers are longer than 8 KiB together\"}";
        bytes = strlen(json);
    }
    p->result_bytes += bytes;
    while (at && i-- > 0)
        at = json_object_iter_next(p->results, at);
    if (at)
        json_object_iter_set_new(p->results, at, result_of(status, json));
}

char *tg_router_set_results(struct tg_pending *p, const char *text)
{
    void *at = json_object_iter(p->results);
    for (; at; at = json_object_iter_next(p->results, at))
        if (json_is_null(json_object_iter_value(at)))
            json_object_iter_set_new(p->results, at, result_of(TG_PLUGIN_EUNKNOWN, text));
    return json_dumps(p->results, JSON_COMPACT);
}

/* --- set ------------------------------------------------------------------------------------------------ */

void tg_router_set(struct tg_router *r, struct tg_router_device *d, json_t *arguments,
                   tg_command_done_fn done, void *user)
{
    struct point_write writes[TG_SET_MAX_POINTS];
    const uint32_t count = check_all(d, arguments, writes, done, user);
    json_t *results = count > 1 ? named_places(arguments) : NULL;
    struct tg_pending *p;
    uint64_t request;
    if (count == 0)
        return;
    if (count > 1 && json_object_size(results) != count) {
        tg_router_refuse(done, user, "error", "out of memory to set %u points of device %s", count,
                         d->config->id);
        json_decref(results);
        return;
    }
    p = tg_router_begin(r, d->config->id, "set", done, user);
    if (!p) {
        tg_router_refuse(done, user, "busy", "%d commands are under way already", TG_COMMANDS_MAX);
        json_decref(results);
        return;
    }
    p->open = count < 64 ? (UINT64_C(1) << count) - 1 : UINT64_MAX;
    p->results = results;
    request = tg_router_request(r, p, 0);
    for (uint32_t i = 0; i < count; i++) /* the last answer may come from within */
        tg_source_host_write(d->source, request + i, d->index, writes[i].point, &writes[i].value);
}
