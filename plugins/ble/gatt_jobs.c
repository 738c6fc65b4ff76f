/* SPDX-License-Identifier: GPL-2.0-or-later */
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/base/value_json.h"
#include "plugins/ble/gatt_private.h"
#include "southbound/ble/gatt_known.h"

/* --- answers --------------------------------------------------------------------------------------------- */

static void reply(struct tg_gatt_set *set, uint64_t request, int status, json_t *object)
{
    char *text = object ? json_dumps(object, JSON_COMPACT) : NULL;
    set->host->answer(set->host->source, request, status, text);
    free(text);
    json_decref(object);
}

static void refuse(struct tg_gatt_set *set, uint64_t request, int status, const char *why)
{
    reply(set, request, status, json_pack("{s:s}", "error", why));
}

static void end(struct tg_gatt_set *set, struct gatt_job *j, int status, json_t *object)
{
    struct gatt_device *d = j->device;
    uint64_t request = j->request;
    if (d->job == j) {
        d->job = NULL;
        gatt_job_want(d)->off = true;
    }
    j->taken = j->on_wire = false;
    reply(set, request, status, object);
}

static void end_text(struct tg_gatt_set *set, struct gatt_job *j, int status, const char *why)
{
    end(set, j, status, json_pack("{s:s}", "error", why));
}

/* --- the queue ---------------------------------------------------------------------------------------------- */

bool gatt_job_waits(const struct tg_gatt_set *set, const struct gatt_device *d)
{
    for (size_t i = 0; i < GATT_MAX_JOBS; i++) {
        if (set->jobs[i].taken && set->jobs[i].device == d)
            return true;
    }
    return false;
}

struct gatt_job *gatt_job_next(struct tg_gatt_set *set, struct gatt_device *d)
{
    struct gatt_job *best = d->job;
    for (size_t i = 0; i < GATT_MAX_JOBS && !d->job; i++) {
        struct gatt_job *j = &set->jobs[i];
        if (j->taken && j->device == d && (!best || j->order < best->order))
            best = j;
    }
    if (best && !d->job) {
        struct tg_gatt_want *w = gatt_job_want(d);
        *w = (struct tg_gatt_want){.selector = best->selector, .notify = TG_GATT_NOTIFY_FALSE};
        d->job = best;
        tg_gatt_plan_changed(&d->plan);
    }
    return best;
}

static struct gatt_job *new_job(struct tg_gatt_set *set, uint64_t request, uint32_t device)
{
    struct tg_error err = {0};
    struct gatt_device *d = gatt_device_of(set, device, &err);
    if (!d) {
        refuse(set, request, err.code == TG_ENOMEM ? TG_PLUGIN_ENOMEM : TG_PLUGIN_EINVAL, err.text);
        return NULL;
    }
    for (size_t i = 0; i < GATT_MAX_JOBS; i++) {
        struct gatt_job *j = &set->jobs[i];
        if (j->taken)
            continue;
        *j = (struct gatt_job){.device = d, .point = -1, .order = set->job_order++};
        j->deadline_ms = set->host->now_ms(set->host->source) + GATT_JOB_MS;
        j->request = request;
        return j; /* `taken` is set by the caller when it is complete */
    }
    refuse(set, request, TG_PLUGIN_EFULL,
           "16 reads and writes of Bluetooth devices wait already; this one was not taken");
    return NULL;
}

void gatt_jobs_tick(struct tg_gatt_set *set, int64_t now_ms)
{
    char line[300];
    for (size_t i = 0; i < GATT_MAX_JOBS; i++) {
        struct gatt_job *j = &set->jobs[i];
        if (!j->taken || now_ms < j->deadline_ms)
            continue;
        if (!j->on_wire) {
            snprintf(line, sizeof line,
                     "the device was not reached within 25 s%s%s; nothing was read or written",
                     set->up && j->device->failure[0] ? ": " : "",
                     set->up ? j->device->failure : ": the Bluetooth adapter is not there");
            end_text(set, j, TG_PLUGIN_ETIMEOUT, line);
        } else if (j->is_write)
            end_text(set, j, TG_PLUGIN_EUNKNOWN,
                     "the write was sent and not confirmed; whether it took effect is not known");
        else
            end_text(set, j, TG_PLUGIN_ETIMEOUT, "the device gave no answer");
    }
}

int64_t gatt_jobs_next_ms(const struct tg_gatt_set *set)
{
    int64_t next = INT64_MAX;
    for (size_t i = 0; i < GATT_MAX_JOBS; i++) {
        if (set->jobs[i].taken && set->jobs[i].deadline_ms < next)
            next = set->jobs[i].deadline_ms;
    }
    return next;
}

void gatt_jobs_end(struct tg_gatt_set *set)
{
    for (size_t i = 0; i < GATT_MAX_JOBS; i++) {
        struct gatt_job *j = &set->jobs[i];
        if (j->taken)
            end_text(set, j, j->on_wire && j->is_write ? TG_PLUGIN_EUNKNOWN : TG_PLUGIN_EIO,
                     "the source was stopped before the device had answered");
    }
}

void gatt_job_lost(struct tg_gatt_set *set, struct gatt_device *d, const char *text)
{
    char line[300];
    struct gatt_job *j = d->job;
    if (!j)
        return;
    if (!j->on_wire) { /* it is tried again on the next connection, until its deadline */
        d->job = NULL;
        gatt_job_want(d)->off = true;
        return;
    }
    snprintf(line, sizeof line, "%s; %s", text,
             j->is_write ? "whether the write took effect is not known" : "nothing was read");
    end_text(set, j, j->is_write ? TG_PLUGIN_EUNKNOWN : TG_PLUGIN_EIO, line);
}

/* --- on the wire --------------------------------------------------------------------------------------------- */

static void start_write(struct tg_gatt_set *set, struct gatt_slot *s, struct gatt_job *j,
                        const struct tg_gatt_characteristic *c, int64_t now_ms)
{
    struct tg_bytes value = tg_bytes(j->bytes, j->len);
    int rc;
    if (c->properties & TG_GATT_WRITE && !j->no_response) {
        rc = tg_att_client_write(&s->client, c->value, value, now_ms);
        j->on_wire = rc == TG_OK;
    } else if (c->properties & TG_GATT_WRITE_NO_RESPONSE) {
        if (value.len + 3 > s->client.mtu) {
            end_text(set, j, TG_PLUGIN_EINVAL,
                     "the value is longer than one packet, and the characteristic takes writes without "
                     "response only; "
                     "nothing was written");
            return;
        }
        rc = tg_att_client_write_command(&s->client, c->value, value);
        if (rc == TG_OK) {
            end(set, j, TG_PLUGIN_OK, json_pack("{s:i,s:b}", "handle", (int)c->value, "confirmed", 0));
            return;
        }
    } else {
        end_text(set, j, TG_PLUGIN_EDEVICE,
                 "the characteristic cannot be written that way, says the device; nothing was written");
        return;
    }
    if (rc < 0)
        end_text(set, j, TG_PLUGIN_EIO,
                 "the request cannot be made; nothing was written"); /* UNTESTED: lengths are checked */
}

void gatt_job_run(struct tg_gatt_set *set, struct gatt_slot *s, struct gatt_job *j, int64_t now_ms)
{
    const struct tg_gatt_characteristic *c = tg_gatt_table_find(&j->device->plan.table, &j->selector);
    char text[TG_ATT_UUID_TEXT], line[120];
    if (!c) {
        snprintf(line, sizeof line, "the device has no characteristic %s%s",
                 tg_att_uuid_text(&j->selector.uuid, text),
                 j->selector.has_service ? " in this service" : "");
        end_text(set, j, TG_PLUGIN_EDEVICE, line);
        return;
    }
    if (j->is_write) {
        start_write(set, s, j, c, now_ms);
        return;
    }
    if (!(c->properties & TG_GATT_READ)) {
        end_text(set, j, TG_PLUGIN_EDEVICE, "the characteristic cannot be read, says the device");
        return;
    }
    j->on_wire = tg_att_client_read(&s->client, c->value, now_ms) == TG_OK;
    if (!j->on_wire)
        end_text(set, j, TG_PLUGIN_EIO, "the request cannot be made"); /* UNTESTED: the client is idle here */
}

static void has_read(struct tg_gatt_set *set, struct gatt_job *j, const struct tg_att_event *e)
{
    struct tg_gatt_format hex = {.type = TG_GATT_HEX, .bit = -1};
    char text[TG_GATT_TEXT_BYTES], value_text[TG_GATT_TEXT_BYTES];
    struct tg_value h, v;
    json_t *o = json_object();
    (void)tg_gatt_decode(&hex, e->value, text, &h);
    json_object_set_new(o, "handle", json_integer(e->handle));
    json_object_set_new(o, "hex", tg_value_json(&h));
    if (j->has_format && tg_gatt_decode(&j->format, e->value, value_text, &v) == TG_GATT_READING_GOOD)
        json_object_set_new(o, "value", tg_value_json(&v));
    end(set, j, TG_PLUGIN_OK, o);
}

void gatt_job_event(struct tg_gatt_set *set, struct gatt_slot *s, const struct tg_att_event *e,
                    int64_t now_ms)
{
    struct gatt_device *d = s->device;
    struct gatt_job *j = d->job;
    char line[200];
    if (!j || !j->on_wire) /* it had its deadline */
        return;
    if (e->kind == TG_ATT_EVENT_READ) {
        has_read(set, j, e);
        return;
    }
    if (e->kind == TG_ATT_EVENT_WRITTEN) {
        if (j->point >= 0 && d->wants[j->point].finding == TG_GATT_FOUND)
            d->points[j->point].due_ms = now_ms; /* read back */
        end(set, j, TG_PLUGIN_OK, json_pack("{s:i,s:b}", "handle", (int)e->handle, "confirmed", 1));
        return;
    }
    if (e->code == 0) {
        end_text(set, j, TG_PLUGIN_EDEVICE,
                 "the device prepared other bytes than it was given; nothing was written");
        return;
    }
    bool pairing = e->code == TG_ATT_AUTHENTICATION || e->code == TG_ATT_ENCRYPTION;
    snprintf(line, sizeof line, "the device refused: %s%s", tg_att_code_name(e->code),
             pairing ? "; it needs pairing (bluetoothctl pair)" : "");
    end(set, j, TG_PLUGIN_EDEVICE, json_pack("{s:s,s:i}", "error", line, "att_error", (int)e->code));
}

/* --- the API -------------------------------------------------------------------------------------------------- */

int tg_gatt_check_value(const struct tg_host *host, const struct tg_point *point,
                        const struct tg_value *value, char *error, size_t error_size)
{
    struct gatt_point_options o;
    struct tg_error err = {0};
    uint8_t bytes[512];
    const char *option;
    int rc = gatt_point_options(host, point, &o, &option, &err);
    if (rc >= 0)
        rc = tg_gatt_encode(&o.format, value, bytes, &err);
    if (rc >= 0)
        return TG_PLUGIN_OK;
    snprintf(error, error_size, "%s", err.text);
    return rc == TG_EUNSUPPORTED ? TG_PLUGIN_EUNSUPPORTED : TG_PLUGIN_EINVAL;
}

bool tg_gatt_write(struct tg_gatt_set *set, uint64_t request, uint32_t device, uint32_t point,
                   const struct tg_value *value)
{
    const struct tg_point *p = &set->source->devices[device].points[point];
    struct gatt_point_options o;
    struct tg_error err = {0};
    const char *option;
    if (!tg_gatt_is_point(set->host, p->settings))
        return false;
    if (gatt_point_options(set->host, p, &o, &option, &err) < 0) {
        refuse(set, request, TG_PLUGIN_EINVAL, err.text);
        return true;
    }
    struct gatt_job *j = new_job(set, request, device);
    if (!j)
        return true;
    int n = tg_gatt_encode(&o.format, value, j->bytes, &err);
    if (n < 0) {
        refuse(set, request, TG_PLUGIN_EINVAL, err.text);
        return true;
    }
    j->len = (uint16_t)n;
    j->is_write = true;
    j->selector = o.selector;
    j->point = (int32_t)point;
    j->taken = true;
    return true;
}

static int json_value(const json_t *v, struct tg_value *ret)
{
    if (json_is_boolean(v))
        *ret = tg_value_bool(json_is_true(v));
    else if (json_is_integer(v))
        *ret = tg_value_int(json_integer_value(v));
    else if (json_is_real(v))
        *ret = tg_value_real(json_real_value(v));
    else if (json_is_string(v))
        *ret = tg_value_text(json_string_value(v), json_string_length(v));
    else
        return TG_EINVAL;
    return TG_OK;
}

static int fill_write(struct gatt_job *j, const json_t *args, struct tg_error *err)
{
    const json_t *hex = json_object_get(args, "hex"), *value = json_object_get(args, "value");
    struct tg_gatt_format f = {.type = TG_GATT_HEX, .bit = -1};
    struct tg_value v;
    if (!hex == !value)
        return tg_error_set(err, TG_EINVAL, "a write needs either \"hex\" or \"value\"");
    if (value && !j->has_format)
        return tg_error_set(err, TG_EINVAL, "a \"value\" needs a \"format\", like u8; or give \"hex\"");
    if (value)
        f = j->format;
    if (json_value(value ? value : hex, &v) < 0)
        return tg_error_set(err, TG_EINVAL, "the value is no number, text or boolean");
    int n = tg_gatt_encode(&f, &v, j->bytes, err);
    if (n < 0)
        return n;
    j->len = (uint16_t)n;
    j->no_response = json_is_false(json_object_get(args, "response"));
    return TG_OK;
}

static int fill(struct gatt_job *j, const json_t *args, struct tg_error *err)
{
    const char *name = json_string_value(json_object_get(args, "characteristic"));
    const char *format = json_string_value(json_object_get(args, "format"));
    const json_t *instance = json_object_get(args, "instance");
    if (!name)
        return tg_error_set(
            err, TG_EINVAL,
            "the arguments need \"characteristic\": a name, a UUID or SERVICE/CHARACTERISTIC");
    int rc = tg_gatt_selector_parse(tg_bytes_str(name), &j->selector, err);
    if (rc < 0)
        return rc;
    if (instance) {
        if (!json_is_integer(instance) || json_integer_value(instance) < 1 ||
            json_integer_value(instance) > 64)
            return tg_error_set(err, TG_EINVAL, "\"instance\" is 1 to 64");
        j->selector.instance = (uint8_t)json_integer_value(instance);
    }
    const struct tg_gatt_known *k = tg_gatt_known_uuid(&j->selector.uuid);
    if (!format && k)
        format = k->format;
    if (format) {
        rc = tg_gatt_format_parse(tg_bytes_str(format), &j->format, err);
        if (rc < 0)
            return rc;
        j->has_format = true;
    }
    return j->is_write ? fill_write(j, args, err) : TG_OK;
}

bool tg_gatt_command(struct tg_gatt_set *set, uint64_t request, uint32_t device, const char *name,
                     const char *json)
{
    bool is_write = strcmp(name, "write") == 0;
    struct tg_error err = {0};
    if (!is_write && strcmp(name, "read") != 0)
        return false;
    json_t *args = json_loads(json ? json : "{}", 0, NULL);
    struct gatt_job *j = json_is_object(args) ? new_job(set, request, device) : NULL;
    if (!json_is_object(args)) {
        refuse(set, request, TG_PLUGIN_EINVAL, "the arguments are no JSON object");
    } else if (j) {
        j->is_write = is_write;
        if (fill(j, args, &err) < 0)
            refuse(set, request, TG_PLUGIN_EINVAL, err.text);
        else
            j->taken = true;
    }
    json_decref(args);
    return true;
}
