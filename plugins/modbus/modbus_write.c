/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * Writes and commands. They come between two requests and go first. A write is never repeated: when its
 * outcome is not known the caller is told so and the point is read as soon as possible.
 */
#include <jansson.h>
#include <stdio.h>
#include <string.h>

#include "core/base/assert.h"
#include "core/base/bytes.h"
#include "plugins/modbus/modbus_plugin.h"

#define ANSWER_BYTES 4096
#define LISTEN_MS    200
#define CLAIM_MS     10000 /* a line that is never idle is given up */

static void answer_error(struct tg_modbus_instance *m, uint64_t request, int status, const char *text)
{
    char json[512];
    struct tg_writer w = tg_writer_init(json, sizeof json);
    tg_write_str(&w, "{\"error\":");
    tg_modbus_json_text(&w, text, strlen(text));
    tg_write_str(&w, "}");
    m->host->answer(m->host->source, request, status, tg_writer_cstr(&w) == 0 ? json : NULL);
}

/* Waits until the bus is free for this unit. False: the host is stopping, the link does not open, or the line
 * is never idle. */
static bool claim_bus(struct tg_modbus_instance *m, uint32_t device)
{
    int64_t end = tg_modbus_now(m) + m->bus.quiet_ms + CLAIM_MS;
    for (;;) {
        int64_t now = tg_modbus_now(m), ready = tg_modbus_bus_ready_ms(&m->bus, device);
        if (now > end || m->host->stopping(m->host->source) || tg_modbus_ensure_link(m) != 0)
            return false;
        if (ready <= now)
            return true;
        bool quiet = m->bus.quiet_until_ms > now;
        if (tg_modbus_link_listen(m->link, ready < now + LISTEN_MS ? ready : now + LISTEN_MS) && quiet)
            tg_modbus_bus_heard(&m->bus, tg_modbus_now(m));
    }
}

static enum tg_modbus_outcome ask(struct tg_modbus_instance *m, uint32_t device,
                                  const struct tg_modbus_request *r, struct tg_modbus_answer *ret)
{
    if (!claim_bus(m, device))
        return TG_MODBUS_NOT_SENT;
    enum tg_modbus_outcome o = tg_modbus_link_exchange(m->link, r, m->devices[device].timeout_ms, ret);
    if (o == TG_MODBUS_NOT_SENT && tg_modbus_ensure_link(m) == 0)
        o = tg_modbus_link_exchange(m->link, r, m->devices[device].timeout_ms, ret);
    tg_modbus_bus_freed(&m->bus, tg_modbus_now(m));
    bool silent_target = o == TG_MODBUS_GOT_EXCEPTION && (ret->exception == 10 || ret->exception == 11);
    bool broadcast = r->unit == 0 && !tg_modbus_link_has_ids(m->link);
    if (o == TG_MODBUS_GOT_ANSWER || (o == TG_MODBUS_GOT_EXCEPTION && !silent_target)) {
        if (!broadcast)
            tg_modbus_note_answer(m, device, false, o == TG_MODBUS_GOT_EXCEPTION);
    } else if (o != TG_MODBUS_STOPPED && o != TG_MODBUS_NOT_SENT) {
        (void)tg_modbus_note_failure(m, device, r, o, ret->exception, 0);
    }
    return o;
}

/* Reads the register before it is changed in part, for devices without FC22. */
static enum tg_modbus_outcome read_change_write(struct tg_modbus_instance *m, uint32_t device,
                                                struct tg_modbus_request *r, struct tg_modbus_answer *ret)
{
    static const uint8_t read_holding = TG_MODBUS_READ_HOLDING;
    struct tg_modbus_request get = {
        .unit = r->unit, .function = read_holding, .address = r->address, .count = 1};
    uint16_t word;
    enum tg_modbus_outcome o = ask(m, device, &get, ret);
    if (o != TG_MODBUS_GOT_ANSWER) /* nothing was written, so nothing is unknown */
        return o == TG_MODBUS_GOT_EXCEPTION || o == TG_MODBUS_STOPPED ? o : TG_MODBUS_NOT_SENT;
    tg_modbus_answer_words(&get, ret, &word);
    word = (uint16_t)((word & r->and_mask) | r->or_mask);
    r->function = m->devices[device].only_multiple ? TG_MODBUS_WRITE_REGISTERS : TG_MODBUS_WRITE_ONE_REGISTER;
    r->words = &word;
    o = ask(m, device, r, ret);
    r->words = NULL;
    return o;
}

static enum tg_modbus_outcome write_to(struct tg_modbus_instance *m, uint32_t device,
                                       struct tg_modbus_request *r, const struct tg_modbus_write *w,
                                       struct tg_modbus_answer *ret)
{
    struct tg_modbus_device *d = &m->devices[device];
    r->count = w->count;
    r->words = w->words;
    r->and_mask = w->and_mask;
    r->or_mask = (uint16_t)(w->or_mask & ~w->and_mask);
    switch (w->kind) {
    case TG_MODBUS_WRITE_COIL:
        r->function = d->only_multiple ? TG_MODBUS_WRITE_COILS : TG_MODBUS_WRITE_ONE_COIL;
        return ask(m, device, r, ret);
    case TG_MODBUS_WRITE_WORDS:
        r->function =
            w->count > 1 || d->only_multiple ? TG_MODBUS_WRITE_REGISTERS : TG_MODBUS_WRITE_ONE_REGISTER;
        return ask(m, device, r, ret);
    default:
        break;
    }
    r->count = 1;
    if (!d->no_mask_write) {
        r->function = TG_MODBUS_MASK_WRITE;
        enum tg_modbus_outcome o = ask(m, device, r, ret);
        if (o != TG_MODBUS_GOT_EXCEPTION || ret->exception != 1)
            return o;
        d->no_mask_write = true;
    }
    return read_change_write(m, device, r, ret);
}

static void answer_exception(struct tg_modbus_instance *m, uint64_t request, unsigned code)
{
    char json[96];
    snprintf(json, sizeof json, "{\"exception\":%u,\"name\":\"%s\"}", code, tg_modbus_exception_name(code));
    m->host->answer(m->host->source, request, TG_PLUGIN_EDEVICE, json);
}

/* The point is read and emitted as soon as possible. */
static void read_soon(struct tg_modbus_instance *m, uint32_t device, uint32_t point)
{
    struct tg_modbus_unit *u = &m->units[device];
    if (u->plan.count > 0)
        tg_poll_plan_hasten(&u->plan, UINT32_C(1) << m->devices[device].groups[point], tg_modbus_now(m));
}

static int status_of(enum tg_modbus_outcome o)
{
    switch (o) {
    case TG_MODBUS_GOT_ANSWER:
        return TG_PLUGIN_OK;
    case TG_MODBUS_GOT_EXCEPTION:
        return TG_PLUGIN_EDEVICE;
    case TG_MODBUS_NOT_SENT:
        return TG_PLUGIN_EIO;
    default:
        return TG_PLUGIN_EUNKNOWN;
    }
}

void tg_modbus_write(void *instance, uint64_t request, uint32_t device, uint32_t point,
                     const struct tg_value *value)
{
    struct tg_modbus_instance *m = TG_OBJECT(instance, struct tg_modbus_instance, TG_MODBUS_INSTANCE_MAGIC);
    struct tg_modbus_write w;
    struct tg_modbus_answer a = {0};
    struct tg_error err = {0};
    char what[48], text[256];
    if (device >= m->source->device_count || point >= m->devices[device].config->point_count) {
        answer_error(m, request, TG_PLUGIN_EINVAL, "no such device or point");
        return;
    }
    struct tg_modbus_device *d = &m->devices[device];
    int rc = tg_modbus_point_encode(&d->points[point], value, &w, &err);
    if (rc < 0) {
        answer_error(m, request, TG_PLUGIN_EINVAL, err.text);
        return;
    }
    struct tg_modbus_request r = {.unit = m->units[device].id, .address = d->points[point].address};
    enum tg_modbus_outcome o = write_to(m, device, &r, &w, &a);
    switch (o) {
    case TG_MODBUS_GOT_ANSWER:
        m->host->answer(m->host->source, request, TG_PLUGIN_OK, NULL);
        break;
    case TG_MODBUS_GOT_EXCEPTION:
        answer_exception(m, request, a.exception);
        break;
    case TG_MODBUS_NOT_SENT:
        answer_error(m, request, TG_PLUGIN_EIO,
                     "not written: the port or connection is not open, or the unit is silent");
        break;
    default:
        tg_modbus_describe(&r, what, sizeof what);
        snprintf(text, sizeof text,
                 "%s: %s; it is not known whether the value was taken, the point is read next", what,
                 tg_modbus_link_problem(m->link));
        answer_error(m, request, status_of(o), text);
    }
    if (o != TG_MODBUS_NOT_SENT && o != TG_MODBUS_STOPPED)
        read_soon(m, device, point);
}

/* --- command "read" ----------------------------------------------------------------------------------- */

/* {"address":"holding:100","type":"float32","order":"CDAB","length":8}; all but address may be absent. */
static int parse_read(struct tg_modbus_instance *m, uint32_t device, const char *json,
                      struct tg_modbus_point *p, struct tg_error *err)
{
    json_error_t why;
    const char *address = NULL, *type = NULL, *order = NULL;
    int length = 0;
    json_t *root = json_loads(json ? json : "", JSON_REJECT_DUPLICATES, &why);
    int rc = TG_OK, n;
    tg_modbus_point_init(p);
    if (!root || json_unpack_ex(root, &why, JSON_STRICT, "{s:s,s?s,s?s,s?i}", "address", &address, "type",
                                &type, "order", &order, "length", &length) < 0) {
        rc = tg_error_set(err, TG_EINVAL,
                          "read takes {\"address\":\"holding:0\"} and, as needed, type, order and length: %s",
                          why.text);
        goto out;
    }
    rc = tg_modbus_point_address(p, address, err);
    if (rc < 0)
        goto out;
    bool bit = p->bit >= 0 || p->table == TG_MODBUS_COIL || p->table == TG_MODBUS_DISCRETE;
    n = type ? tg_modbus_name_index(tg_modbus_type_names, type) : bit ? TG_MODBUS_BOOL : TG_MODBUS_UINT16;
    p->type = (uint8_t)n;
    const struct tg_settings *s = m->devices[device].config->settings;
    int o = order ? tg_modbus_name_index(tg_modbus_order_names, order) : (int)m->host->get_int(s, "order");
    p->order = (uint8_t)o;
    p->length = (uint16_t)length;
    if (n < 0 || o < 0 || length < 0 || length > TG_MODBUS_MAX_CHARACTERS)
        rc = tg_error_set(err, TG_EINVAL, "unknown %s", n < 0 ? "type" : o < 0 ? "order" : "length");
    else
        rc = tg_modbus_point_finish(p, NULL, err);
out:
    json_decref(root);
    return rc;
}

static void answer_read(struct tg_modbus_instance *m, uint64_t request, const struct tg_modbus_point *p,
                        const struct tg_modbus_request *r)
{
    char json[ANSWER_BYTES], text[TG_MODBUS_TEXT_BYTES];
    struct tg_writer w = tg_writer_init(json, sizeof json);
    struct tg_value v;
    enum tg_modbus_reading reading = tg_modbus_point_decode(p, m->words, text, &v);
    tg_write_str(&w, "{\"value\":");
    tg_modbus_json_value(&w, &v);
    tg_write_fmt(&w, ",\"quality\":\"%s\",\"words\":[", tg_modbus_reading_name(reading));
    for (unsigned i = 0; i < r->count; i++)
        tg_write_fmt(&w, "%s\"%04X\"", i ? "," : "", m->words[i]);
    tg_write_str(&w, "]}");
    m->host->answer(m->host->source, request, TG_PLUGIN_OK, tg_writer_cstr(&w) == 0 ? json : NULL);
}

void tg_modbus_command(void *instance, uint64_t request, uint32_t device, const char *name, const char *json)
{
    struct tg_modbus_instance *m = TG_OBJECT(instance, struct tg_modbus_instance, TG_MODBUS_INSTANCE_MAGIC);
    static const uint8_t functions[] = {TG_MODBUS_READ_COILS, TG_MODBUS_READ_DISCRETE, TG_MODBUS_READ_HOLDING,
                                        TG_MODBUS_READ_INPUT};
    struct tg_modbus_point p;
    struct tg_modbus_answer a = {0};
    struct tg_error err = {0};
    if (device >= m->source->device_count || strcmp(name, "read") != 0) {
        answer_error(m, request, TG_PLUGIN_EUNSUPPORTED,
                     "unknown command; there is: read {\"address\":\"holding:0\"}");
        return;
    }
    if (parse_read(m, device, json, &p, &err) < 0) {
        answer_error(m, request, TG_PLUGIN_EINVAL, err.text);
        return;
    }
    struct tg_modbus_request r = {
        .unit = m->units[device].id, .function = functions[p.table], .address = p.address, .count = p.count};
    if ((r.unit == 0 && !tg_modbus_link_has_ids(m->link)) || m->units[device].out_of_step) {
        answer_error(m, request, r.unit == 0 ? TG_PLUGIN_EUNSUPPORTED : TG_PLUGIN_EIO,
                     r.unit == 0 ? "a broadcast cannot be read" : "the unit does not answer reliably now");
        return;
    }
    switch (ask(m, device, &r, &a)) {
    case TG_MODBUS_GOT_ANSWER:
        tg_modbus_answer_words(&r, &a, m->words);
        answer_read(m, request, &p, &r);
        break;
    case TG_MODBUS_GOT_EXCEPTION:
        answer_exception(m, request, a.exception);
        break;
    case TG_MODBUS_GOT_NOTHING:
        answer_error(m, request, TG_PLUGIN_ETIMEOUT, tg_modbus_link_problem(m->link));
        break;
    default:
        answer_error(m, request, TG_PLUGIN_EIO, tg_modbus_link_problem(m->link));
    }
}
