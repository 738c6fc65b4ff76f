/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * Writes. They come between two requests and go first. A write is never repeated: when its answer does not come,
 * the point is read back, and the caller is told what was found.
 */
#include <stdio.h>
#include <string.h>

#include "core/base/assert.h"
#include "core/base/bytes.h"
#include "plugins/modbus/modbus_loop.h"

#define ANSWER_BYTES 1536 /* 123 words and what stands around them */
#define LISTEN_MS    200
#define VERDICT_MS   25000 /* the caller waits 30 s for the outcome: a unit so slow is not asked for more */
#define CLAIM_MS     10000 /* a line that is never idle is given up */

void tg_modbus_answer_error(struct tg_modbus_instance *m, uint64_t request, int status, const char *text)
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
        if (now > end || tg_modbus_stopping(&m->waiter) || tg_modbus_ensure_link(m) != 0)
            return false;
        if (ready <= now)
            return true;
        bool quiet = m->bus.quiet_until_ms > now;
        if (tg_modbus_link_listen(m->link, ready < now + LISTEN_MS ? ready : now + LISTEN_MS) && quiet)
            tg_modbus_bus_heard(&m->bus, tg_modbus_now(m));
    }
}

enum tg_modbus_outcome tg_modbus_ask(struct tg_modbus_instance *m, uint32_t device,
                                     const struct tg_modbus_request *r, struct tg_modbus_answer *ret)
{
    if (!claim_bus(m, device))
        return TG_MODBUS_NOT_SENT;
    enum tg_modbus_outcome o = tg_modbus_exchange(m, device, r, ret);
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
    enum tg_modbus_outcome o = tg_modbus_ask(m, device, &get, ret);
    if (o != TG_MODBUS_GOT_ANSWER) /* nothing was written, so nothing is unknown */
        return o == TG_MODBUS_GOT_EXCEPTION || o == TG_MODBUS_STOPPED ? o : TG_MODBUS_NOT_SENT;
    tg_modbus_answer_words(&get, ret, &word);
    word = (uint16_t)((word & r->and_mask) | r->or_mask);
    r->function = m->devices[device].only_multiple ? TG_MODBUS_WRITE_REGISTERS : TG_MODBUS_WRITE_ONE_REGISTER;
    r->words = &word;
    o = tg_modbus_ask(m, device, r, ret);
    r->words = NULL;
    return o;
}

/* One register after the other. When one fails after the first was written, the outcome is unknown as a whole. */
static enum tg_modbus_outcome write_singly(struct tg_modbus_instance *m, uint32_t device,
                                           struct tg_modbus_request *r, const struct tg_modbus_write *w,
                                           struct tg_modbus_answer *ret)
{
    struct tg_modbus_request one = *r;
    enum tg_modbus_outcome o = TG_MODBUS_GOT_ANSWER;
    one.function = TG_MODBUS_WRITE_ONE_REGISTER;
    one.count = 1;
    for (unsigned i = 0; i < w->count && o == TG_MODBUS_GOT_ANSWER; i++) {
        one.address = (uint16_t)(r->address + i);
        one.words = &w->words[i];
        o = tg_modbus_ask(m, device, &one, ret);
        if (i > 0 && o == TG_MODBUS_NOT_SENT)
            o = TG_MODBUS_LINK_LOST;
    }
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
        return tg_modbus_ask(m, device, r, ret);
    case TG_MODBUS_WRITE_WORDS:
        if (d->only_single) {
            r->function = TG_MODBUS_WRITE_ONE_REGISTER;
            return write_singly(m, device, r, w, ret);
        }
        r->function =
            w->count > 1 || d->only_multiple ? TG_MODBUS_WRITE_REGISTERS : TG_MODBUS_WRITE_ONE_REGISTER;
        return tg_modbus_ask(m, device, r, ret);
    default:
        break;
    }
    r->count = 1;
    if (!d->no_mask_write) {
        r->function = TG_MODBUS_MASK_WRITE;
        enum tg_modbus_outcome o = tg_modbus_ask(m, device, r, ret);
        if (o != TG_MODBUS_GOT_EXCEPTION || ret->exception != 1)
            return o;
        d->no_mask_write = true;
    }
    return read_change_write(m, device, r, ret);
}

void tg_modbus_answer_exception(struct tg_modbus_instance *m, uint64_t request, unsigned code)
{
    char json[200], name[64];
    snprintf(name, sizeof name, "%s", tg_modbus_exception_name(code));
    for (char *c = name; *c; c++)
        *c = *c == '_' ? ' ' : *c;
    snprintf(json, sizeof json,
             "{\"exception\":%u,\"name\":\"%s\",\"error\":\"the device refused it: exception %u, %s\"}", code,
             tg_modbus_exception_name(code), code, name);
    m->host->answer(m->host->source, request, TG_PLUGIN_EDEVICE, json);
}

/* The point is read and emitted as soon as possible. */
static void read_soon(struct tg_modbus_instance *m, uint32_t device, uint32_t point)
{
    struct tg_modbus_unit *u = &m->units[device];
    if (u->plan.count > 0)
        tg_poll_plan_hasten(&u->plan, UINT32_C(1) << m->devices[device].groups[point], tg_modbus_now(m));
}

/* --- was it taken? ----------------------------------------------------------------------------------------- */

enum taken { TAKEN, NOT_TAKEN, NOT_READ };

/* Reads where a write went whose answer did not come. Nothing is sent a second time. On a line without transaction
 * ids the unit is brought into step first, so that what is read is not the late answer of something else. */
static enum taken read_back(struct tg_modbus_instance *m, uint32_t device, uint16_t address,
                            const struct tg_modbus_write *w, uint16_t *ret_words)
{
    struct tg_modbus_answer a = {0};
    bool coil = w->kind == TG_MODBUS_WRITE_COIL;
    struct tg_modbus_request get = {.unit = m->units[device].id,
                                    .function = coil ? TG_MODBUS_READ_COILS : TG_MODBUS_READ_HOLDING,
                                    .address = address,
                                    .count = w->kind == TG_MODBUS_WRITE_WORDS ? w->count : 1};
    int64_t waits = tg_modbus_link_has_ids(m->link) ? 2 : 4; /* the write; silence, SYNC; this read */
    if (waits * m->devices[device].timeout_ms > VERDICT_MS)
        return NOT_READ;
    if (m->units[device].out_of_step) {
        if (!claim_bus(m, device))
            return NOT_READ;
        tg_modbus_sync_turn(m, device);
    }
    if (m->units[device].out_of_step || tg_modbus_ask(m, device, &get, &a) != TG_MODBUS_GOT_ANSWER)
        return NOT_READ;
    tg_modbus_answer_words(&get, &a, ret_words);
    if (w->kind == TG_MODBUS_WRITE_MASK)
        return (ret_words[0] & ~w->and_mask & 0xFFFF) == (w->or_mask & ~w->and_mask) ? TAKEN : NOT_TAKEN;
    return memcmp(ret_words, w->words, get.count * sizeof *ret_words) == 0 ? TAKEN : NOT_TAKEN;
}

/* {"function":16,"address":20,"count":2,"words":["…"],"verified":true}: what the device confirmed. */
static void answer_taken(struct tg_modbus_instance *m, uint64_t request, const struct tg_modbus_request *r,
                         const struct tg_modbus_write *w, bool verified)
{
    char json[ANSWER_BYTES];
    struct tg_writer out = tg_writer_init(json, sizeof json);
    tg_write_fmt(&out, "{\"function\":%u,\"address\":%u,\"count\":%u,", r->function, r->address, w->count);
    if (r->function == TG_MODBUS_MASK_WRITE || w->kind == TG_MODBUS_WRITE_MASK) {
        tg_write_fmt(&out, "\"and\":\"%04X\",\"or\":\"%04X\"", w->and_mask,
                     w->or_mask & ~w->and_mask & 0xFFFF);
    } else {
        tg_write_str(&out, "\"words\":[");
        for (unsigned i = 0; i < w->count; i++)
            tg_write_fmt(&out, "%s\"%04X\"", i ? "," : "", w->words[i]);
        tg_write_str(&out, "]");
    }
    tg_write_str(&out, verified ? ",\"verified\":true}" : "}");
    m->host->answer(m->host->source, request, TG_PLUGIN_OK, tg_writer_cstr(&out) == 0 ? json : NULL);
}

/* A write whose answer did not come, or was damaged. */
static void answer_unknown(struct tg_modbus_instance *m, uint64_t request, uint32_t device,
                           const struct tg_modbus_request *r, const struct tg_modbus_write *w)
{
    char what[48], why[160], text[400];
    uint16_t words[TG_MODBUS_MAX_READ_REGISTERS];
    bool broadcast = r->unit == 0 && !tg_modbus_link_has_ids(m->link);
    tg_modbus_describe(r, what, sizeof what);
    snprintf(why, sizeof why, "%s", tg_modbus_link_problem(m->link));
    enum taken taken = broadcast ? NOT_READ : read_back(m, device, r->address, w, words);
    if (taken == TAKEN) {
        m->devices[device].counts.verified++;
        answer_taken(m, request, r, w, true);
    } else if (taken == NOT_TAKEN) {
        snprintf(
            text, sizeof text,
            "%s: %s; read back, the device has %04X%s there, not what was written, which it may still take",
            what, why, words[0], w->kind == TG_MODBUS_WRITE_WORDS && w->count > 1 ? "…" : "");
        tg_modbus_answer_error(m, request, TG_PLUGIN_EUNKNOWN, text);
    } else {
        snprintf(text, sizeof text,
                 "%s: %s; it is not known whether the value was taken, the point is read next", what, why);
        tg_modbus_answer_error(m, request, TG_PLUGIN_EUNKNOWN, text);
    }
}

int tg_modbus_check_value(const struct tg_host *host, const struct tg_settings *device,
                          const struct tg_point *point, const struct tg_value *value, char *error,
                          size_t error_size)
{
    struct tg_modbus_point p;
    struct tg_modbus_write w;
    struct tg_error err = {0};
    const char *option;
    int rc = tg_modbus_point_from_settings(host, device, point->settings, &p, &option, &err);
    if (rc == 0)
        rc = tg_modbus_point_encode(&p, value, &w, &err);
    if (rc == 0)
        return TG_PLUGIN_OK;
    snprintf(error, error_size, "%s", err.text);
    return rc == TG_EUNSUPPORTED ? TG_PLUGIN_EUNSUPPORTED : TG_PLUGIN_EINVAL;
}

void tg_modbus_write(void *instance, uint64_t request, uint32_t device, uint32_t point,
                     const struct tg_value *value)
{
    struct tg_modbus_instance *m = TG_OBJECT(instance, struct tg_modbus_instance, TG_MODBUS_INSTANCE_MAGIC);
    struct tg_modbus_errand o = {.request = request, .device = device, .is_write = true, .point = point};
    struct tg_error err = {0};
    if (device >= m->source->device_count || point >= m->devices[device].config->point_count)
        tg_modbus_answer_error(m, request, TG_PLUGIN_EINVAL, "no such device or point");
    else if (tg_modbus_point_encode(&m->devices[device].points[point], value, &o.write, &err) < 0)
        tg_modbus_answer_error(m, request, TG_PLUGIN_EINVAL, err.text);
    else
        tg_modbus_errand_give(m, &o);
}

void tg_modbus_errand_write(struct tg_modbus_instance *m, const struct tg_modbus_errand *errand)
{
    struct tg_modbus_device *d = &m->devices[errand->device];
    struct tg_modbus_answer a = {0};
    struct tg_modbus_request r = {.unit = m->units[errand->device].id,
                                  .address = d->points[errand->point].address};
    d->counts.writes++;
    enum tg_modbus_outcome o = write_to(m, errand->device, &r, &errand->write, &a);
    switch (o) {
    case TG_MODBUS_GOT_ANSWER:
        answer_taken(m, errand->request, &r, &errand->write, false);
        break;
    case TG_MODBUS_GOT_EXCEPTION:
        tg_modbus_answer_exception(m, errand->request, a.exception);
        break;
    case TG_MODBUS_NOT_SENT:
        tg_modbus_answer_error(m, errand->request, TG_PLUGIN_EIO,
                               "not written: the port or connection is not open, or the unit is silent");
        break;
    case TG_MODBUS_STOPPED:
        tg_modbus_answer_error(m, errand->request, TG_PLUGIN_EUNKNOWN,
                               "the source is being stopped; it is not known whether the value was taken");
        return;
    default:
        answer_unknown(m, errand->request, errand->device, &r, &errand->write);
    }
    if (o != TG_MODBUS_NOT_SENT)
        read_soon(m, errand->device, errand->point);
}
