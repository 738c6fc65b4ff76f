/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * What the host of an isolated plugin calls back with, as messages to the gateway.
 */
#include <stdlib.h>
#include <string.h>

#include "core/base/allocator.h"
#include "core/base/clock.h"
#include "southbound/plugin_child_private.h"
#include "southbound/plugin_process.h"

static int on_sample(void *user, uint32_t device, int64_t time_ms, struct tg_point_value *values,
                     uint32_t count)
{
    struct tg_child *c = user;
    size_t bound = tg_wire_sample_bound(values, count);
    struct tg_writer w;
    if (c->samples_out.len >= TG_CHILD_SAMPLES_FULL_BYTES &&
        tg_child_write(TG_PROCESS_SAMPLES_FD, &c->samples_out) &&
        c->samples_out.len >= TG_CHILD_SAMPLES_FULL_BYTES) {
        c->samples_waited = true;
        return TG_EFULL;
    }
    if (tg_buffer_reserve(&c->samples_out, bound) < 0) {
        c->samples_waited = true;
        return TG_EFULL;
    }
    w = tg_writer_init(c->samples_out.data + c->samples_out.len, bound);
    tg_wire_put_sample(&w, device, time_ms, values, count);
    if (!w.failed)
        c->samples_out.len += w.len;
    return TG_OK;
}

static void on_state(void *user, uint32_t device, enum tg_device_state state, const char *text)
{
    struct tg_wire_message m = tg_child_texted(TG_WIRE_STATE, text);
    m.device = device;
    m.state = state;
    tg_child_put(user, &m);
}

static void on_answer(void *user, uint64_t request, int status, const char *json)
{
    struct tg_wire_message m = tg_child_texted(TG_WIRE_ANSWER, json);
    if (m.text.len > TG_WIRE_FRAME_MAX_BYTES / 2) {
        m = tg_child_texted(TG_WIRE_ANSWER, "{\"error\":\"the plugin's answer is too long\"}");
        status = TG_PLUGIN_EIO;
    }
    m.number = request;
    m.status = status;
    tg_child_put(user, &m);
}

static void on_open(void *user, bool open, const char *text, int64_t retry_ms)
{
    struct tg_wire_message m = tg_child_texted(TG_WIRE_OPENED, text);
    m.status = open ? 0 : -1;
    m.time_ms = retry_ms;
    tg_child_put(user, &m);
}

static void on_fact(void *user, uint32_t device, const char *name, const struct tg_value *value)
{
    const struct tg_wire_message m = {
        .type = TG_WIRE_FACT, .device = device, .name = tg_bytes_str(name), .value = *value};
    tg_child_put(user, &m);
}

static void on_discovered(void *user, const char *id, const char *profile)
{
    struct tg_wire_message m = tg_child_texted(TG_WIRE_FOUND, profile);
    m.name = tg_bytes_str(id);
    tg_child_put(user, &m);
}

static void on_candidate(void *user, const char *id)
{
    on_discovered(user, id, NULL); /* the gateway's own rule lists it for people */
}

static void on_uplink(void *user, bool up, const char *text)
{
    struct tg_wire_message m = tg_child_texted(TG_WIRE_UPLINK, text);
    m.state = up;
    tg_child_put(user, &m);
}

static void on_time(void *user, int64_t wall_ms, int64_t at_ms, uint32_t uncertainty_ms)
{
    const struct tg_wire_message m = {
        .type = TG_WIRE_TIME, .time_ms = wall_ms, .at_ms = at_ms, .state = uncertainty_ms};
    tg_child_put(user, &m);
}

static void on_note(void *user, const char *key, const char *text, uint64_t number)
{
    struct tg_wire_message m = tg_child_texted(TG_WIRE_NOTE, text);
    (void)number; /* they come in order */
    m.name = tg_bytes_str(key);
    tg_child_put(user, &m);
}

static void recall_notes(void *user, void (*take)(void *taker, const char *key, struct tg_bytes text),
                         void *taker)
{
    struct tg_child *c = user;
    for (uint32_t i = 0; i < c->recalled_count; i++)
        take(taker, c->recalled[i].key, tg_bytes_str(c->recalled[i].text));
}

static void on_carrier(void *user, uint32_t channel, bool up, const char *text)
{
    struct tg_wire_message m = tg_child_texted(TG_WIRE_CARRIER, text);
    m.device = channel;
    m.state = up;
    tg_child_put(user, &m);
}

static void on_carried(void *user, uint32_t channel, uint64_t message, int status)
{
    const struct tg_wire_message m = {
        .type = TG_WIRE_CARRIED, .device = channel, .number = message, .status = status};
    tg_child_put(user, &m);
}

static void on_log(void *user, enum tg_log_level level, const char *text)
{
    struct tg_wire_message m = tg_child_texted(TG_WIRE_LOG, text);
    m.state = level;
    tg_child_put(user, &m);
}

const struct tg_source_callbacks tg_child_callbacks = {.on_sample = on_sample,
                                                       .on_state = on_state,
                                                       .on_answer = on_answer,
                                                       .on_open = on_open,
                                                       .on_fact = on_fact,
                                                       .on_discovered = on_discovered,
                                                       .on_uplink = on_uplink,
                                                       .on_time = on_time,
                                                       .recall_notes = recall_notes,
                                                       .on_note = on_note,
                                                       .on_log = on_log,
                                                       .on_candidate = on_candidate,
                                                       .on_carrier = on_carrier,
                                                       .on_carried = on_carried};
