/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "core/gateway/twin.h"

#include <jansson.h>
#include <stdio.h>
#include <sys/queue.h>

#include "core/base/allocator.h"
#include "core/base/assert.h"
#include "core/base/log.h"
#include "core/base/value_json.h"
#include "core/gateway/twin_options.h"
#include "northbound/json_document.h"

#define FACTS_MAX        32 /* of one device */
#define REPEAT_MAX_DEPTH 4
#define REPEAT_MAX_BYTES 256

struct twin {
    LIST_ENTRY(twin) entry;
    struct tg_session *session;
    const char *cloud; /* behind the device's name */
    bool plain;
    uint64_t version;
    /* NULL until the cloud wants something: most devices of a fleet have none of it. */
    json_t *desired; /* what the cloud wants */
    json_t *done;    /* set points that were written: name → value */
    json_t *acks;    /* name → {"value", "ac", "av", "ad"} */
    char *text;      /* the last whole document */
    char device[];
};

struct device_facts {
    LIST_ENTRY(device_facts) entry;
    char state[16], *state_text; /* "" = not known yet; NULL = none */
    json_t *facts;               /* NULL = none yet */
    char device[];
};

struct tg_twins {
    struct tg_router *router;
    struct tg_notes *notes;
    char *gateway;
    LIST_HEAD(, twin) twins;
    LIST_HEAD(, device_facts) devices;
};

/* A set point on its way to the device. */
struct setting {
    struct tg_twins *twins;
    char device[TG_NAME_MAX_BYTES + 1], cloud[TG_NAME_MAX_BYTES + 1], name[TG_NAME_MAX_BYTES + 1];
    uint64_t version;
    json_t *value;
};

int tg_twins_new(struct tg_router *router, struct tg_notes *notes, const char *gateway,
                 struct tg_twins **ret_twins)
{
    struct tg_twins *t = tg_calloc(1, sizeof *t);
    if (!t)
        return TG_ENOMEM;
    t->gateway = tg_strdup(gateway);
    if (!t->gateway) {
        tg_free(t);
        return TG_ENOMEM;
    }
    t->router = router;
    t->notes = notes;
    LIST_INIT(&t->twins);
    LIST_INIT(&t->devices);
    *ret_twins = t;
    return TG_OK;
}

static void free_twin(struct twin *w)
{
    LIST_REMOVE(w, entry);
    json_decref(w->desired);
    json_decref(w->done);
    json_decref(w->acks);
    free(w->text);
    tg_free(w);
}

void tg_twins_free(struct tg_twins *t)
{
    struct device_facts *f;
    while (!LIST_EMPTY(&t->twins))
        free_twin(LIST_FIRST(&t->twins));
    while ((f = LIST_FIRST(&t->devices)) != NULL) {
        LIST_REMOVE(f, entry);
        tg_free(f->state_text);
        json_decref(f->facts);
        tg_free(f);
    }
    tg_free(t->gateway);
    tg_free(t);
}

/* Before anything is put into it. Without memory jansson's calls do nothing. */
static void awaken(struct twin *w)
{
    if (!w->desired)
        w->desired = json_object();
    if (!w->done)
        w->done = json_object();
    if (!w->acks)
        w->acks = json_object();
}

static struct twin *twin_of(struct tg_twins *t, const struct tg_session *session)
{
    struct twin *w;
    LIST_FOREACH(w, &t->twins, entry)
    if (w->session == session)
        return w;
    return NULL;
}

/* --- notes ------------------------------------------------------------------------------------------- */

static const char *scope_of(const struct twin *w, char scope[TG_NOTE_NAME_BYTES])
{
    snprintf(scope, TG_NOTE_NAME_BYTES, "cloud/%.56s/%.120s", w->cloud, w->device);
    return scope;
}

static void keep(struct tg_twins *t, const struct twin *w)
{
    char scope[TG_NOTE_NAME_BYTES];
    json_t *j = t->notes ? json_pack("{s:I,s:O,s:O}", "version", (json_int_t)w->version, "desired",
                                     w->desired, "done", w->done)
                         : NULL;
    char *text = j ? json_dumps(j, JSON_COMPACT) : NULL;
    int rc = text ? tg_notes_set(t->notes, scope_of(w, scope), "desired", tg_bytes_str(text)) : TG_ENOMEM;
    if (t->notes && rc < 0)
        tg_log(TG_LOG_WARN, "twin",
               "device=%s cloud=%s what the cloud wants cannot be kept for after a restart: %s", w->device,
               w->cloud, tg_code_text(rc));
    free(text);
    json_decref(j);
}

static bool recall(struct tg_twins *t, struct twin *w)
{
    char scope[TG_NOTE_NAME_BYTES];
    struct tg_bytes note =
        t->notes ? tg_notes_get(t->notes, scope_of(w, scope), "desired") : (struct tg_bytes){0};
    json_t *j = note.len ? json_loadb((const char *)note.data, note.len, 0, NULL) : NULL;
    json_t *desired = json_object_get(j, "desired"), *done = json_object_get(j, "done");
    bool good = json_is_object(desired) && json_is_object(done);
    if (good) {
        json_decref(w->desired);
        json_decref(w->done);
        w->desired = json_incref(desired);
        w->done = json_incref(done);
        w->version = (uint64_t)json_integer_value(json_object_get(j, "version"));
    }
    json_decref(j);
    return good;
}

/* --- reported ------------------------------------------------------------------------------------------ */

static void tell(struct twin *w, json_t *patch)
{
    char *text = patch ? json_dumps(patch, JSON_COMPACT) : NULL;
    if (text)
        tg_session_report(w->session, tg_bytes_str(text));
    else
        tg_log(TG_LOG_WARN, "twin",
               "device=%s cloud=%s no memory to report a property; it is told after the next "
               "connect",
               w->device, w->cloud);
    free(text);
    json_decref(patch);
}

static json_t *ack_as_told(const struct twin *w, const json_t *ack)
{
    return w->plain ? json_incref(json_object_get(ack, "value")) : json_copy((json_t *)(uintptr_t)ack);
}

/* The properties of one acknowledgement put into `to`. */
static void put_ack(const struct twin *w, json_t *to, const char *name, const json_t *ack)
{
    json_t *bare, *all;
    if (!json_is_object(ack)) { /* it is no longer wanted */
        json_object_set_new(to, name, json_null());
    } else if (!w->plain || json_integer_value(json_object_get(ack, "ac")) < 300) {
        json_object_set_new(to, name, ack_as_told(w, ack));
    }
    if (!w->plain)
        return;
    all = json_object_get(to, "_ack");
    if (!all) {
        json_object_set_new(to, "_ack", json_object());
        all = json_object_get(to, "_ack");
    }
    bare = json_is_object(ack) ? json_copy((json_t *)(uintptr_t)ack) : json_null();
    json_object_del(bare, "value");
    json_object_set_new(all, name, bare);
}

/* What was not taken is repeated only when it is small: it must not make the reported properties larger or deeper than
 * the cloud takes, for then nothing could be reported any more. */
static bool is_repeated(json_t *value, int code)
{
    return code < 300 || (tg_json_depth(value) <= REPEAT_MAX_DEPTH &&
                          json_dumpb(value, NULL, 0, JSON_COMPACT | JSON_ENCODE_ANY) <= REPEAT_MAX_BYTES);
}

static void acknowledge(struct twin *w, const char *name, json_t *value, int code, uint64_t version,
                        const char *text)
{
    json_t *ack = json_pack("{s:O*,s:i,s:I,s:s}", "value", is_repeated(value, code) ? value : NULL, "ac",
                            code, "av", (json_int_t)version, "ad", text);
    json_t *patch = json_object();
    awaken(w);
    if (code >= 300)
        tg_log(TG_LOG_WARN, "twin", "device=%s cloud=%s desired property %.64s: %s", w->device, w->cloud,
               name, text);
    if (ack) {
        json_object_set(w->acks, name, ack);
        put_ack(w, patch, name, ack);
    }
    json_decref(ack);
    tell(w, patch);
}

static struct device_facts *facts_of(struct tg_twins *t, const char *device, bool make)
{
    struct device_facts *f;
    LIST_FOREACH(f, &t->devices, entry)
    if (strcmp(f->device, device) == 0)
        return f;
    f = make ? tg_calloc(1, sizeof *f + strlen(device) + 1) : NULL;
    if (!f)
        return NULL;
    memcpy(f->device, device, strlen(device) + 1);
    LIST_INSERT_HEAD(&t->devices, f, entry);
    return f;
}

static json_t *state_of(const struct device_facts *f)
{
    return json_pack("{s:s,s:s}", "is", f->state, "text", f->state_text ? f->state_text : "");
}

#define EFFECTIVE_POINTS_MAX 64 /* a document has 32 KiB in most clouds */

static void put_ms(json_t *to, const char *name, int64_t ms, bool as_patch)
{
    char text[TG_SETTINGS_NUMBER_BYTES];
    if (ms > 0) {
        tg_format_option_number(TG_OPTION_DURATION, ms, text);
        json_object_set_new(to, name, json_string(text));
    } else if (as_patch) {
        json_object_set_new(to, name, json_null());
    }
}

/* The options of the device's points that are in force, the file's or a cloud's; NULL for a device of many points. A patch
 * has null for what is not set. */
static json_t *effective_options(struct tg_twins *t, const char *device, bool as_patch)
{
    const struct tg_router_device *d = tg_router_device(t->router, device);
    json_t *j = d && d->config->point_count <= EFFECTIVE_POINTS_MAX ? json_object() : NULL;
    for (uint32_t i = 0; j && i < d->config->point_count; i++) {
        const struct tg_router_point *p = &d->points[i];
        json_t *o = json_object();
        char deadband[40];
        put_ms(o, "every", p->every_ms, as_patch);
        put_ms(o, "min_interval", p->options.min_interval_ms, as_patch);
        put_ms(o, "max_interval", p->options.max_interval_ms, as_patch);
        if (p->options.deadband >= 0) {
            snprintf(deadband, sizeof deadband, "%.10g%s", p->options.deadband,
                     p->options.deadband_is_percent ? "%" : "");
            json_object_set_new(o, "deadband", json_string(deadband));
        } else if (as_patch) {
            json_object_set_new(o, "deadband", json_null());
        }
        if (json_object_size(o) > 0)
            json_object_set(j, d->config->points[i].name, o);
        json_decref(o);
    }
    return j;
}

static json_t *whole_document(struct tg_twins *t, struct twin *w)
{
    struct device_facts *f = facts_of(t, w->device, false);
    json_t *j = json_pack("{s:s}", "gateway", t->gateway), *ack, *effective;
    const char *name;
    if (!j)
        return NULL;
    if (f && f->state[0])
        json_object_set_new(j, "state", state_of(f));
    if (f && json_object_size(f->facts) > 0)
        json_object_set(j, "facts", f->facts);
    effective = effective_options(t, w->device, false);
    if (json_object_size(effective) > 0)
        json_object_set(j, "effective", effective);
    json_decref(effective);
    json_object_foreach(w->acks, name, ack) put_ack(w, j, name, ack);
    return j;
}

struct tg_bytes tg_twins_reported(struct tg_twins *t, struct tg_session *session)
{
    struct twin *w = twin_of(t, session);
    json_t *j = w ? whole_document(t, w) : NULL;
    if (!w)
        return tg_bytes_str("{}");
    free(w->text);
    w->text = j ? json_dumps(j, JSON_COMPACT) : NULL;
    json_decref(j);
    return tg_bytes_str(w->text ? w->text : "{}");
}

static void tell_device(struct tg_twins *t, const char *device, const char *name, json_t *value)
{
    struct twin *w;
    LIST_FOREACH(w, &t->twins, entry)
    if (strcmp(w->device, device) == 0)
        tell(w, json_pack("{s:O}", name, value));
}

void tg_twins_state(struct tg_twins *t, const char *device, const char *state, const char *text)
{
    struct device_facts *f = facts_of(t, device, true);
    json_t *j;
    if (!f ||
        (strcmp(f->state, state) == 0 && strcmp(f->state_text ? f->state_text : "", text ? text : "") == 0))
        return;
    snprintf(f->state, sizeof f->state, "%s", state);
    tg_free(f->state_text);
    f->state_text = text && text[0] ? tg_strdup(text) : NULL;
    j = state_of(f);
    if (j)
        tell_device(t, device, "state", j);
    json_decref(j);
}

void tg_twins_fact(struct tg_twins *t, const char *device, const char *name, const struct tg_value *value)
{
    struct device_facts *f = facts_of(t, device, true);
    json_t *j = tg_value_json(value), *patch;
    if (!f || !j || json_equal(json_object_get(f->facts, name), j) ||
        (json_object_size(f->facts) >= FACTS_MAX && !json_object_get(f->facts, name))) {
        json_decref(j);
        return;
    }
    if (!f->facts)
        f->facts = json_object();
    json_object_set(f->facts, name, j);
    patch = json_pack("{s:O}", name, j);
    if (patch)
        tell_device(t, device, "facts", patch);
    json_decref(patch);
    json_decref(j);
}

/* --- desired -------------------------------------------------------------------------------------------- */

static struct twin *find(struct tg_twins *t, const char *device, const char *cloud)
{
    struct twin *w;
    LIST_FOREACH(w, &t->twins, entry)
    if (strcmp(w->device, device) == 0 && strcmp(w->cloud, cloud) == 0)
        return w;
    return NULL;
}

static int code_of(const char *status)
{
    static const struct {
        const char *status;
        int code;
    } codes[] = {{"ok", 200},      {"invalid", 400}, {"unsupported", 501}, {"busy", 503},
                 {"timeout", 504}, {"device", 502},  {"unknown", 504}};
    for (size_t i = 0; i < sizeof codes / sizeof codes[0]; i++)
        if (strcmp(codes[i].status, status) == 0)
            return codes[i].code;
    return 500;
}

static void on_set(void *user, const char *status, const char *json)
{
    struct setting *s = user;
    struct twin *w = find(s->twins, s->device, s->cloud);
    json_t *answer = json_loads(json, 0, NULL);
    const char *reason = json_string_value(json_object_get(answer, "error"));
    bool good = strcmp(status, "ok") == 0;
    if (w) {
        if (good) {
            awaken(w);
            json_object_set(w->done, s->name, s->value);
            keep(s->twins, w);
        }
        acknowledge(w, s->name, s->value, code_of(status), s->version,
                    good     ? "written"
                    : reason ? reason
                             : status);
    }
    json_decref(answer);
    json_decref(s->value);
    tg_free(s);
}

static void write_point(struct tg_twins *t, struct twin *w, const char *name, json_t *value)
{
    json_t *arguments = json_pack("{s:O}", name, value);
    char *text = arguments ? json_dumps(arguments, JSON_COMPACT) : NULL;
    struct setting *s = text ? tg_calloc(1, sizeof *s) : NULL;
    if (s) {
        s->twins = t;
        s->version = w->version;
        s->value = json_incref(value);
        snprintf(s->device, sizeof s->device, "%s", w->device);
        snprintf(s->cloud, sizeof s->cloud, "%s", w->cloud);
        snprintf(s->name, sizeof s->name, "%s", name);
        tg_router_command(t->router, w->device, "set", tg_bytes_str(text), on_set, s);
    }
    free(text);
    json_decref(arguments);
}

static bool is_point(struct tg_twins *t, const struct twin *w, const char *name)
{
    const struct tg_router_device *d = tg_router_device(t->router, w->device);
    for (uint32_t i = 0; d && i < d->config->point_count; i++)
        if (strcmp(d->config->points[i].name, name) == 0)
            return true;
    return false;
}

static void take_options(struct tg_twins *t, struct twin *w, json_t *options, bool silent)
{
    struct tg_error err = {0};
    json_t *effective;
    int rc = tg_twin_apply_options(t->router, w->device, options, &err);
    effective = rc == TG_OK ? effective_options(t, w->device, true) : NULL;
    if (effective)
        tell_device(t, w->device, "effective", effective);
    json_decref(effective);
    if (silent && rc == TG_OK)
        return;
    acknowledge(w, "options", options,
                rc == TG_OK                          ? 200
                : rc == TG_EINVAL || rc == TG_ERANGE ? 400
                                                     : 503,
                w->version, rc == TG_OK ? "in force" : err.text);
}

static void take_property(struct tg_twins *t, struct twin *w, const char *name, json_t *value)
{
    if (name[0] == '$' || name[0] == '_' || strlen(name) > TG_NAME_MAX_BYTES)
        return;
    if (strcmp(name, "options") == 0) {
        take_options(t, w, value, false);
    } else if (!is_point(t, w, name)) {
        acknowledge(w, name, value, 404, w->version, "the device has no point of this name");
    } else if (json_equal(json_object_get(w->done, name), value)) {
        acknowledge(w, name, value, 200, w->version, "written");
    } else {
        write_point(t, w, name, value);
    }
}

/* What was acknowledged and is no longer wanted. */
static void drop_unwanted(struct tg_twins *t, struct twin *w)
{
    json_t *gone = json_object(), *ack;
    const char *name;
    json_object_foreach(w->acks, name, ack)
    {
        (void)ack;
        if (!json_object_get(w->desired, name))
            json_object_set_new(gone, name, json_null());
    }
    json_object_foreach(gone, name, ack)
    {
        json_t *patch = json_object();
        json_object_del(w->acks, name);
        json_object_del(w->done, name);
        if (strcmp(name, "options") == 0)
            take_options(t, w, NULL, true); /* back to the file's */
        put_ack(w, patch, name, NULL);
        tell(w, patch);
    }
    json_decref(gone);
}

void tg_twins_desired(struct tg_twins *t, struct tg_session *session, const struct tg_cloud_desired *desired)
{
    struct twin *w = twin_of(t, session);
    struct tg_error err = {0};
    json_t *j, *value, *touched;
    const char *name;
    if (!w)
        return;
    if (desired->json.len > TG_TWIN_LIMIT_BYTES) {
        tg_log(TG_LOG_WARN, "twin",
               "device=%s cloud=%s desired properties of %zu bytes are left out: more than %d", w->device,
               w->cloud, desired->json.len, TG_TWIN_LIMIT_BYTES);
        return;
    }
    j = tg_json_parse(desired->json, "desired properties are left out", &err);
    if (!j) {
        tg_log(TG_LOG_WARN, "twin", "device=%s cloud=%s %s", w->device, w->cloud, err.text);
        return;
    }
    awaken(w);
    if (desired->whole)
        json_object_clear(w->desired);
    if (tg_json_patch(w->desired, j) < 0)
        tg_log(TG_LOG_ERROR, "twin", "device=%s cloud=%s no memory for all desired properties", w->device,
               w->cloud);
    w->version = desired->version;
    drop_unwanted(t, w);
    keep(t, w);
    touched = desired->whole ? w->desired : j;
    json_incref(touched);
    json_object_foreach(touched, name, value) if (json_object_get(w->desired, name))
        take_property(t, w, name, json_object_get(w->desired, name));
    json_decref(touched);
    json_decref(j);
}

/* --- life ------------------------------------------------------------------------------------------------- */

void tg_twins_open(struct tg_twins *t, struct tg_session *session, const char *device, const char *cloud,
                   bool plain)
{
    size_t device_bytes = strlen(device) + 1, cloud_bytes = strlen(cloud) + 1;
    struct twin *w = tg_calloc(1, sizeof *w + device_bytes + cloud_bytes);
    json_t *options;
    if (!w) {
        tg_log(TG_LOG_ERROR, "twin", "device=%s cloud=%s no memory for its desired and reported properties",
               device, cloud);
        return;
    }
    w->session = session;
    w->plain = plain;
    memcpy(w->device, device, device_bytes);
    w->cloud = memcpy(w->device + device_bytes, cloud, cloud_bytes);
    LIST_INSERT_HEAD(&t->twins, w, entry);
    if (!recall(t, w))
        return;
    options = json_object_get(w->desired, "options");
    if (options)
        take_options(t, w, options, true);
}

void tg_twins_close(struct tg_twins *t, struct tg_session *session)
{
    struct twin *w = twin_of(t, session);
    if (w)
        free_twin(w);
}
