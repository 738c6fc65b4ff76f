/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "northbound/sparkplug_inbound.h"

#include <inttypes.h>
#include <jansson.h>

#include "northbound/format_json.h"
#include "northbound/sparkplug_payload.h"

#define STATE_MAX_BYTES 1024
#define REBIRTH         "Node Control/Rebirth"
#define ESCAPED_BYTES   6  /* a byte of text is at most \u00XX */
#define NUMBER_BYTES    40 /* of a value that is no text, with quotes, colon and comma */

int tg_sparkplug_read_state(struct tg_bytes payload, struct tg_sparkplug_state *ret_state,
                            struct tg_error *err)
{
    json_t *root = NULL, *online, *time;
    json_error_t why;
    int rc = TG_OK;
    if (payload.len > 0 && payload.len <= STATE_MAX_BYTES)
        root = json_loadb((const char *)payload.data, payload.len, JSON_REJECT_DUPLICATES, &why);
    online = json_object_get(root, "online");
    time = json_object_get(root, "timestamp");
    if (!json_is_boolean(online) || !json_is_integer(time))
        rc = tg_error_set(
            err, TG_EPROTO,
            "STATE of the primary host is not {\"online\":true|false,\"timestamp\":MILLISECONDS}");
    else
        *ret_state = (struct tg_sparkplug_state){json_is_true(online), json_integer_value(time)};
    json_decref(root);
    return rc;
}

int tg_sparkplug_read_node_command(struct tg_bytes payload, bool *ret_rebirth, struct tg_error *err)
{
    struct tg_sparkplug_reader r;
    struct tg_sparkplug_metric m;
    char quoted[TG_QUOTE_BYTES];
    int rc;
    *ret_rebirth = false;
    rc = tg_sparkplug_read(payload, &r, err);
    if (rc < 0)
        return rc;
    while (tg_sparkplug_next(&r, &m)) {
        const char *name = m.name ? m.name : "";
        bool is_true = m.field == TG_SPARKPLUG_FIELD_BOOLEAN && m.as.boolean && !m.null;
        if (strcmp(name, REBIRTH) != 0)
            rc = tg_error_set(err, TG_EUNSUPPORTED,
                              "NCMD with the metric %s; this edge node takes " REBIRTH " only",
                              tg_quote(quoted, name, strlen(name)));
        else
            *ret_rebirth = *ret_rebirth || is_true;
    }
    tg_sparkplug_read_end(&r);
    return rc;
}

/* The point that a metric names, with its datatype; NULL and err. */
static const char *point_of(const struct tg_sparkplug_metric *m, const struct tg_sparkplug_metrics *metrics,
                            uint32_t *ret_datatype, struct tg_error *err)
{
    bool named = m->name && m->name[0];
    const struct tg_sparkplug_point *p = named          ? tg_sparkplug_metrics_by_name(metrics, m->name)
                                         : m->has_alias ? tg_sparkplug_metrics_by_alias(metrics, m->alias)
                                                        : NULL;
    *ret_datatype = p ? p->datatype : TG_SPARKPLUG_UNKNOWN;
    if (named)
        return m->name;
    if (!p && m->has_alias)
        tg_error_set(err, TG_ENOTFOUND, "DCMD has the alias %" PRIu64 ", which no metric of the device has",
                     m->alias);
    else if (!p)
        tg_error_set(err, TG_EPROTO, "DCMD has a metric with neither name nor alias");
    return p ? p->name : NULL;
}

static int write_argument(const struct tg_sparkplug_metric *m, const struct tg_sparkplug_metrics *metrics,
                          struct tg_buffer *to, struct tg_error *err)
{
    uint32_t datatype;
    const char *name = point_of(m, metrics, &datatype, err);
    char quoted[TG_QUOTE_BYTES];
    struct tg_value value;
    struct tg_writer w;
    int rc;
    if (!name)
        return err->code;
    if (!tg_sparkplug_get(m, datatype, &value))
        return tg_error_set(err, TG_EINVAL,
                            "DCMD has no value that a point can take for %s (datatype %" PRIu32 ")",
                            tg_quote(quoted, name, strlen(name)), m->datatype);
    rc = tg_buffer_reserve(
        to,
        ESCAPED_BYTES * (strlen(name) + (value.type == TG_VALUE_TEXT ? value.text_len : 0)) + NUMBER_BYTES);
    if (rc < 0)
        return tg_error_set(err, rc, "DCMD: %s", tg_code_text(rc));
    w = tg_writer_init(to->data + to->len, to->cap - to->len);
    tg_write_u8(&w, to->len ? ',' : '{');
    tg_format_json_string(&w, tg_bytes_str(name));
    tg_write_u8(&w, ':');
    tg_format_json_value(&w, &value);
    if (w.failed)
        return tg_error_set(err, TG_ETOOBIG, "DCMD: %s", tg_code_text(TG_ETOOBIG));
    to->len += w.len;
    return TG_OK;
}

int tg_sparkplug_read_device_command(struct tg_bytes payload, const struct tg_sparkplug_metrics *metrics,
                                     struct tg_buffer *ret_arguments, struct tg_error *err)
{
    struct tg_buffer arguments = tg_buffer_init(TG_SPARKPLUG_READ_BYTES);
    struct tg_sparkplug_reader r;
    struct tg_sparkplug_metric m;
    struct tg_error why = {0};
    int rc = tg_sparkplug_read(payload, &r, err);
    if (rc < 0)
        return rc;
    while (rc == TG_OK && tg_sparkplug_next(&r, &m))
        rc = write_argument(&m, metrics, &arguments, &why);
    if (rc == TG_OK && arguments.len == 0)
        rc = tg_error_set(&why, TG_EPROTO, "DCMD has no metrics");
    if (rc == TG_OK)
        rc = tg_buffer_append(&arguments, tg_bytes_str("}"));
    tg_sparkplug_read_end(&r);
    if (rc < 0) {
        tg_buffer_fini(&arguments);
        return tg_error_set(err, rc, "%s", why.code ? why.text : tg_code_text(rc));
    }
    *ret_arguments = arguments;
    return TG_OK;
}

bool tg_sparkplug_read_device_state(struct tg_bytes reported, bool *ret_down)
{
    json_error_t why;
    json_t *root = reported.len
                       ? json_loadb((const char *)reported.data, reported.len, JSON_REJECT_DUPLICATES, &why)
                       : NULL;
    const char *state = json_string_value(json_object_get(json_object_get(root, "state"), "is"));
    if (state)
        *ret_down = strcmp(state, "down") == 0;
    json_decref(root);
    return state != NULL;
}
