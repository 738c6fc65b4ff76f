/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * Commands: `read` looks at any register of a device, `stats` tells what happened on the bus.
 */
#include <inttypes.h>
#include <jansson.h>
#include <string.h>

#include "core/base/assert.h"
#include "core/base/bytes.h"
#include "plugins/modbus/modbus_loop.h"

#define ANSWER_BYTES 4096

/* --- read ---------------------------------------------------------------------------------------------- */

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
    if (strncmp(address, TG_SUNSPEC_PREFIX, sizeof TG_SUNSPEC_PREFIX - 1) == 0) {
        rc = tg_error_set(
            err, TG_EINVAL,
            "read takes a register, such as holding:40072; the log says at the start which SunSpec "
            "models the device has");
        goto out;
    }
    rc = tg_modbus_point_address(p, address,
                                 tg_modbus_address_base(m->host, m->devices[device].config->settings), err);
    if (rc < 0)
        goto out;
    bool bit = p->bit >= 0 || p->table == TG_MODBUS_COIL || p->table == TG_MODBUS_DISCRETE;
    n = type                  ? tg_modbus_name_index(tg_modbus_type_names, type)
        : bit && p->bits == 0 ? TG_MODBUS_BOOL
                              : TG_MODBUS_UINT16;
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

void tg_modbus_errand_read(struct tg_modbus_instance *m, const struct tg_modbus_errand *errand)
{
    static const uint8_t functions[] = {TG_MODBUS_READ_COILS, TG_MODBUS_READ_DISCRETE, TG_MODBUS_READ_HOLDING,
                                        TG_MODBUS_READ_INPUT};
    const struct tg_modbus_point *p = &errand->read;
    const struct tg_modbus_unit *u = &m->units[errand->device];
    struct tg_modbus_answer a = {0};
    struct tg_modbus_request r = {
        .unit = u->id, .function = functions[p->table], .address = p->address, .count = p->count};
    if ((r.unit == 0 && !tg_modbus_link_has_ids(m->link)) || u->out_of_step) {
        tg_modbus_answer_error(m, errand->request, r.unit == 0 ? TG_PLUGIN_EUNSUPPORTED : TG_PLUGIN_EIO,
                               r.unit == 0 ? "a broadcast cannot be read"
                                           : "the unit does not answer reliably now");
        return;
    }
    switch (tg_modbus_ask(m, errand->device, &r, &a)) {
    case TG_MODBUS_GOT_ANSWER:
        tg_modbus_answer_words(&r, &a, m->words);
        answer_read(m, errand->request, p, &r);
        break;
    case TG_MODBUS_GOT_EXCEPTION:
        tg_modbus_answer_exception(m, errand->request, a.exception);
        break;
    case TG_MODBUS_GOT_NOTHING:
        tg_modbus_answer_error(m, errand->request, TG_PLUGIN_ETIMEOUT, tg_modbus_link_problem(m->link));
        break;
    default:
        tg_modbus_answer_error(m, errand->request, TG_PLUGIN_EIO, tg_modbus_link_problem(m->link));
    }
}

static void give_read(struct tg_modbus_instance *m, uint64_t request, uint32_t device, const char *json)
{
    struct tg_modbus_errand o = {.request = request, .device = device};
    struct tg_error err = {0};
    if (parse_read(m, device, json, &o.read, &err) < 0)
        tg_modbus_answer_error(m, request, TG_PLUGIN_EINVAL, err.text);
    else
        tg_modbus_errand_give(m, &o);
}

/* --- stats ---------------------------------------------------------------------------------------------- */

static void write_faults(struct tg_writer *w, const uint64_t *faults)
{
    const char *comma = "";
    tg_write_str(w, "{");
    for (int f = TG_MODBUS_FAULT_NONE + 1; f < TG_MODBUS_FAULTS; f++) {
        if (faults[f] == 0)
            continue;
        tg_write_fmt(w, "%s\"%s\":%" PRIu64, comma, tg_modbus_fault_name((enum tg_modbus_fault)f), faults[f]);
        comma = ",";
    }
    tg_write_str(w, "}");
}

static void run_stats(struct tg_modbus_instance *m, uint64_t request, uint32_t device)
{
    static const char *const states[] = {"ok", "suspect", "down"};
    const struct tg_modbus_counts *c = &m->devices[device].counts;
    const struct tg_modbus_unit *u = &m->units[device];
    int64_t worst = 0;
    char json[ANSWER_BYTES];
    struct tg_writer w = tg_writer_init(json, sizeof json);
    for (uint32_t i = 0; i < m->source->device_count; i++)
        if (m->devices[i].counts.worst_late_ms > worst)
            worst = m->devices[i].counts.worst_late_ms;
    tg_write_fmt(&w,
                 "{\"unit\":%u,\"state\":\"%s\",\"requests\":%" PRIu64 ",\"answers\":%" PRIu64
                 ",\"exceptions\":%" PRIu64 ",\"busy\":%" PRIu64 ",\"writes\":%" PRIu64
                 ",\"verified\":%" PRIu64 ",\"forgotten\":%" PRIu64 ",\"missed_turns\":%" PRIu64
                 ",\"late_ms\":%" PRId64 ",\"worst_late_ms\":%" PRId64 ",\"errors\":",
                 u->id, m->outage ? "down" : states[u->state], c->requests, c->answers, c->exceptions,
                 c->busy, c->writes, c->verified, c->forgotten, u->plan.missed, c->late_ms, c->worst_late_ms);
    write_faults(&w, c->faults);
    tg_write_fmt(&w, ",\"bus\":{\"worst_cycle_ms\":%" PRId64 ",\"errors\":", worst);
    write_faults(&w, tg_modbus_link_faults(m->link));
    tg_write_str(&w, "}}");
    m->host->answer(m->host->source, request, TG_PLUGIN_OK, tg_writer_cstr(&w) == 0 ? json : NULL);
}

void tg_modbus_command(void *instance, uint64_t request, uint32_t device, const char *name, const char *json)
{
    struct tg_modbus_instance *m = TG_OBJECT(instance, struct tg_modbus_instance, TG_MODBUS_INSTANCE_MAGIC);
    if (device < m->source->device_count && strcmp(name, "read") == 0)
        give_read(m, request, device, json);
    else if (device < m->source->device_count && strcmp(name, "stats") == 0)
        run_stats(m, request, device);
    else
        tg_modbus_answer_error(m, request, TG_PLUGIN_EUNSUPPORTED,
                               "unknown command; there are: read {\"address\":\"holding:0\"}, and stats");
}
