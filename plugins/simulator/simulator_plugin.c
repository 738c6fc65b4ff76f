/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * simulator - devices that exist only here, with signals and faults by script: to rehearse an outage, to try a
 * configuration without hardware, and to bench. Each device emits one sample of all its points per `every` of the
 * device, or as fast as the gateway takes them (`flood: true`).
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "plugins/simulator/signal.h"

#define FLOOD_BURST 512

static const char *const shapes[] = {"sine", "ramp", "square", "random", "counter", "constant", NULL};
static const char *const faults[] = {"none", "silent", "sensor", NULL};

static const struct tg_option source_options[] = {
    {.name = "discover_ids",
     .type = TG_OPTION_TEXT_LIST,
     .doc =
         "Sensors that appear by themselves: their ids are announced, with the profile thermometer, to the "
         "source's `discover` section."},
    {.name = "discover_after",
     .type = TG_OPTION_DURATION,
     .min = 0,
     .max = 86400000,
     .default_text = "0s",
     .doc = "How long after its start the source announces them."},
    {.name = "spread",
     .type = TG_OPTION_BOOL,
     .default_text = "false",
     .doc = "Devices give their first samples one after the other over their `every`, as devices of a real "
            "site do, instead of all at once."},
    {0}};

static const struct tg_profile profiles[] = {
    {"thermometer", "A sensor of temperature and humidity, as it comes by `discover_ids`.",
     "settings: {every: 1s}\n"
     "points:\n"
     "  - {name: temperature, unit: Cel, signal: sine, low: 18, high: 24, period: 10m}\n"
     "  - {name: humidity, unit: \"%RH\", signal: sine, low: 35, high: 55, period: 30m}\n"},
    {0}};

static const struct tg_option device_options[] = {
    {.name = "every",
     .type = TG_OPTION_DURATION,
     .min = 1,
     .max = 86400000,
     .default_text = "1s",
     .doc = "How often the device gives a sample of all its points; the shortest `every` of its points, "
            "where they have one, takes its place."},
    {.name = "rate",
     .type = TG_OPTION_INT,
     .min = 0,
     .max = 1000000,
     .default_text = "0",
     .doc = "Samples per second, given in bursts each millisecond, instead of `every`; 0 means `every`."},
    {.name = "flood",
     .type = TG_OPTION_BOOL,
     .default_text = "false",
     .doc = "Gives samples as fast as the gateway takes them, waiting when its queue is full."},
    {.name = "history",
     .type = TG_OPTION_DURATION,
     .min = 0,
     .max = 31536000000,
     .default_text = "0s",
     .doc =
         "First gives the samples of so long a time before its start, stamped `every` apart, as fast as the "
         "gateway takes them, all devices of the source in turn."},
    {.name = "count",
     .type = TG_OPTION_INT,
     .min = 0,
     .max = INT64_MAX,
     .default_text = "0",
     .doc = "Stops after so many samples; 0 means never."},
    {.name = "fault",
     .type = TG_OPTION_ENUM,
     .choices = faults,
     .default_text = "none",
     .doc = "What goes wrong during `fault_for` out of every `fault_every`: no sample at all, or points "
            "without value."},
    {.name = "fault_every",
     .type = TG_OPTION_DURATION,
     .min = 1,
     .max = 86400000,
     .default_text = "60s",
     .doc = "The period of the fault."},
    {.name = "fault_for",
     .type = TG_OPTION_DURATION,
     .min = 1,
     .max = 86400000,
     .default_text = "10s",
     .doc = "How long the fault lasts in each period."},
    {.name = "facts",
     .type = TG_OPTION_TEXT_LIST,
     .doc = "Lasting facts that the device tells, each NAME=VALUE, such as model=X1."},
    {0}};

static const struct tg_option point_options[] = {
    {.name = "signal",
     .type = TG_OPTION_ENUM,
     .choices = shapes,
     .default_text = "sine",
     .doc = "The shape of the value over time; `counter` counts the device's samples; `constant` keeps what "
            "was written."},
    {.name = "low",
     .type = TG_OPTION_REAL,
     .default_text = "0",
     .doc = "The smallest value; the value of a constant."},
    {.name = "high", .type = TG_OPTION_REAL, .default_text = "100", .doc = "The largest value."},
    {.name = "period",
     .type = TG_OPTION_DURATION,
     .min = 1,
     .max = 86400000,
     .default_text = "60s",
     .doc = "The period of sine, ramp and square."},
    {.name = "integer", .type = TG_OPTION_BOOL, .default_text = "false", .doc = "Gives whole numbers."},
    {0}};

struct sim_point {
    struct sim_signal signal;
    struct tg_value written; /* NONE until a write */
};

struct sim_device {
    struct sim_point *points;
    struct tg_point_value *values;
    int64_t every_ms, rate, rate_from_ms, due_ms, fault_every_ms, fault_for_ms;
    int64_t past_ms; /* wall time of the next sample of the history; 0: there is none left */
    int64_t past_end_ms;
    uint64_t emitted, rated, limit; /* rated: since rate_from_ms */
    int64_t fault;
    bool flood, told_down;
};

struct sim {
    const struct tg_host *host;
    const struct tg_source *source;
    struct sim_device *devices;
    int64_t
        *look_ms; /* of each device: when it is looked at again; apart, for the search through a thousand */
    int64_t announce_at_ms; /* INT64_MAX: done */
};

static void sim_close(void *self)
{
    struct sim *s = self;
    for (uint32_t d = 0; s->devices && d < s->source->device_count; d++) {
        free(s->devices[d].points);
        free(s->devices[d].values);
    }
    free(s->devices);
    free(s->look_ms);
    free(s);
}

/* facts: [model=X1, firmware=2.0] */
static void tell_facts(const struct tg_host *h, uint32_t device, const struct tg_settings *settings)
{
    const char *const *facts;
    uint32_t count = h->get_list(settings, "facts", &facts);
    for (uint32_t i = 0; i < count && TG_HOST_HAS(h, device_fact); i++) {
        const char *equals = strchr(facts[i], '=');
        char name[65];
        struct tg_value value;
        if (!equals || (size_t)(equals - facts[i]) >= sizeof name)
            continue;
        memcpy(name, facts[i], (size_t)(equals - facts[i]));
        name[equals - facts[i]] = '\0';
        value = tg_value_text(equals + 1, strlen(equals + 1));
        if (h->device_fact(h->source, device, name, &value) < 0)
            h->log(h->source, TG_LOG_WARN, "fact %s was not taken", name);
    }
}

static int open_device(struct sim *s, uint32_t index)
{
    const struct tg_host *h = s->host;
    const struct tg_device *from = &s->source->devices[index];
    struct sim_device *d = &s->devices[index];
    d->points = calloc(from->point_count + 1u, sizeof *d->points);
    d->values = calloc(from->point_count + 1u, sizeof *d->values);
    if (!d->points || !d->values)
        return TG_PLUGIN_ENOMEM;
    d->every_ms = h->get_int(from->settings, "every");
    for (uint32_t p = 0, given = 0; p < from->point_count; p++)
        if (from->points[p].every_ms > 0 && (!given++ || from->points[p].every_ms < d->every_ms))
            d->every_ms = from->points[p].every_ms;
    tell_facts(h, index, from->settings);
    d->rate = h->get_int(from->settings, "rate");
    d->rate_from_ms = h->now_ms(h->source);
    d->flood = h->get_int(from->settings, "flood") != 0;
    d->limit = (uint64_t)h->get_int(from->settings, "count");
    d->fault = h->get_int(from->settings, "fault");
    d->fault_every_ms = h->get_int(from->settings, "fault_every");
    d->fault_for_ms = h->get_int(from->settings, "fault_for");
    d->due_ms = h->now_ms(h->source);
    if (h->get_int(s->source->settings, "spread"))
        d->due_ms += d->every_ms * index / s->source->device_count;
    d->past_end_ms = h->wall_ms(h->source);
    d->past_ms = h->get_int(from->settings, "history");
    d->past_ms = d->past_ms > 0 ? d->past_end_ms - d->past_ms : 0;
    for (uint32_t p = 0; p < from->point_count; p++) {
        const struct tg_settings *o = from->points[p].settings;
        d->points[p].signal = (struct sim_signal){(enum sim_shape)h->get_int(o, "signal"),
                                                  h->get_real(o, "low"), h->get_real(o, "high"),
                                                  h->get_int(o, "period"), h->get_int(o, "integer") != 0};
    }
    return TG_PLUGIN_OK;
}

static int sim_open(const struct tg_host *host, const struct tg_source *source, void **ret_instance,
                    char *error, size_t error_size)
{
    struct sim *s = calloc(1, sizeof *s);
    if (!s)
        return TG_PLUGIN_ENOMEM;
    s->host = host;
    s->source = source;
    s->devices = calloc(source->device_count + 1u, sizeof *s->devices);
    s->look_ms = calloc(source->device_count + 1u, sizeof *s->look_ms);
    for (uint32_t d = 0; d < source->device_count; d++) {
        if (!s->devices || !s->look_ms || open_device(s, d) < 0) {
            snprintf(error, error_size, "out of memory");
            sim_close(s);
            return TG_PLUGIN_ENOMEM;
        }
        host->device_state(host->source, d, TG_DEVICE_OK, NULL);
    }
    s->announce_at_ms = host->now_ms(host->source) + host->get_int(source->settings, "discover_after");
    *ret_instance = s;
    return TG_PLUGIN_OK;
}

/* Returns when there is something to announce, INT64_MAX when all is said. */
static int64_t announce(struct sim *s, int64_t now_ms)
{
    const struct tg_host *h = s->host;
    const char *const *ids;
    uint32_t count;
    if (now_ms < s->announce_at_ms)
        return s->announce_at_ms;
    s->announce_at_ms = INT64_MAX;
    count = h->get_list(s->source->settings, "discover_ids", &ids);
    for (uint32_t i = 0; i < count && TG_HOST_HAS(h, discovered); i++) {
        int rc = h->discovered(h->source, ids[i], "thermometer");
        if (rc < 0)
            h->log(h->source, TG_LOG_DEBUG, "%s was announced and not taken (%d)", ids[i], rc);
    }
    return INT64_MAX;
}

/* The fault that holds now: an index of `faults`. */
static int64_t fault_now(struct sim *s, uint32_t index, int64_t now_ms)
{
    struct sim_device *d = &s->devices[index];
    bool down = d->fault != 0 && now_ms % d->fault_every_ms < d->fault_for_ms;
    if (down != d->told_down)
        s->host->device_state(s->host->source, index, down ? TG_DEVICE_DOWN : TG_DEVICE_OK,
                              down ? "simulated fault" : NULL);
    d->told_down = down;
    return down ? d->fault : 0;
}

/* wall_ms: of a sample of the past; 0: it is taken now. */
static int emit_one(struct sim *s, uint32_t index, int64_t now_ms, int64_t wall_ms, bool sensor_fault)
{
    const struct tg_device *from = &s->source->devices[index];
    struct sim_device *d = &s->devices[index];
    int rc;
    for (uint32_t p = 0; p < from->point_count; p++) {
        struct sim_point *point = &d->points[p];
        d->values[p] = (struct tg_point_value){.point = p,
                                               .quality = sensor_fault ? TG_QUALITY_SENSOR : TG_QUALITY_GOOD};
        if (!sensor_fault)
            d->values[p].value = point->written.type != TG_VALUE_NONE
                                     ? point->written
                                     : sim_signal_at(&point->signal, now_ms, d->emitted);
    }
    rc = s->host->emit(s->host->source, index, wall_ms, d->values, from->point_count);
    if (rc == TG_PLUGIN_OK)
        d->emitted++;
    return rc;
}

/* Keeps to the rate as long as the gateway takes the samples; what it refuses for a second is not made up for. */
static int64_t run_rated(struct sim *s, uint32_t index, int64_t now_ms)
{
    struct sim_device *d = &s->devices[index];
    uint64_t owed = (uint64_t)((now_ms - d->rate_from_ms) * d->rate / 1000);
    if (owed > d->rated + (uint64_t)d->rate) {
        d->rate_from_ms = now_ms;
        d->rated = owed = 0;
    }
    while (d->rated < owed && (!d->limit || d->emitted < d->limit)) {
        if (emit_one(s, index, now_ms, 0, false) < 0)
            break;
        d->rated++;
    }
    return now_ms + 1;
}

/* One sample of the past a look, so that the devices take turns as their samples would have come. */
static int64_t run_history(struct sim *s, uint32_t index, int64_t now_ms)
{
    struct sim_device *d = &s->devices[index];
    if (emit_one(s, index, d->past_ms, d->past_ms, false) < 0)
        return now_ms + 1;
    d->past_ms += d->every_ms;
    if (d->past_ms < d->past_end_ms)
        return now_ms;
    d->past_ms = 0;
    d->due_ms = d->due_ms > now_ms ? d->due_ms : now_ms;
    return d->due_ms;
}

/* Returns when this device wants to give a sample again. */
static int64_t run_device(struct sim *s, uint32_t index, int64_t now_ms)
{
    struct sim_device *d = &s->devices[index];
    int64_t fault = fault_now(s, index, now_ms);
    if (d->past_ms && s->source->devices[index].point_count > 0 && (!d->limit || d->emitted < d->limit))
        return run_history(s, index, now_ms);
    if (s->source->devices[index].point_count == 0 || (d->limit && d->emitted >= d->limit))
        return INT64_MAX;
    if (d->flood) {
        for (int i = 0; i < FLOOD_BURST && fault != 1 && (!d->limit || d->emitted < d->limit); i++)
            if (emit_one(s, index, now_ms, 0, fault == 2) < 0)
                return now_ms + 1; /* the queue is full: wait, do not drop */
        return fault == 1 ? now_ms + 1 : now_ms;
    }
    if (d->rate > 0)
        return run_rated(s, index, now_ms);
    if (now_ms < d->due_ms)
        return d->due_ms;
    if (fault != 1)
        (void)emit_one(s, index, now_ms, 0, fault == 2); /* a refused sample is counted by the host */
    d->due_ms += d->every_ms;
    if (d->due_ms <= now_ms)
        d->due_ms = now_ms + d->every_ms; /* it was held up: no burst to catch up */
    return d->due_ms;
}

/* `at`, or when a fault begins or ends before it. */
static int64_t look_again(const struct sim *s, uint32_t index, int64_t at, int64_t now_ms)
{
    const struct sim_device *d = &s->devices[index];
    int64_t phase = now_ms % d->fault_every_ms;
    int64_t edge = now_ms - phase + (phase < d->fault_for_ms ? d->fault_for_ms : d->fault_every_ms);
    return d->fault == 0 || at < edge ? at : edge;
}

static int32_t sim_poll(void *self, int64_t now_ms)
{
    struct sim *s = self;
    int64_t next = announce(s, now_ms);
    for (uint32_t d = 0; d < s->source->device_count; d++) {
        if (s->look_ms[d] <= now_ms) {
            if (s->host->stopping(s->host->source))
                break;
            s->look_ms[d] = look_again(s, d, run_device(s, d, now_ms), now_ms);
        }
        next = s->look_ms[d] < next ? s->look_ms[d] : next;
    }
    if (next == INT64_MAX)
        return TG_POLL_IDLE;
    return next <= now_ms ? 0 : (int32_t)(next - now_ms);
}

static int sim_check_value(const struct tg_host *host, const struct tg_settings *device,
                           const struct tg_point *point, const struct tg_value *value, char *error,
                           size_t error_size)
{
    (void)host;
    (void)device;
    (void)point;
    if (value->type != TG_VALUE_TEXT)
        return TG_PLUGIN_OK;
    snprintf(error, error_size, "a simulated point takes numbers and booleans");
    return TG_PLUGIN_EINVAL;
}

static void sim_write(void *self, uint64_t request, uint32_t device, uint32_t point,
                      const struct tg_value *value)
{
    struct sim *s = self;
    if (value->type == TG_VALUE_TEXT) {
        s->host->answer(s->host->source, request, TG_PLUGIN_EINVAL,
                        "{\"error\":\"a simulated point takes numbers and booleans\"}");
        return;
    }
    s->devices[device].points[point].written = *value;
    s->host->answer(s->host->source, request, TG_PLUGIN_OK, NULL);
}

static void sim_command(void *self, uint64_t request, uint32_t device, const char *name, const char *json)
{
    struct sim *s = self;
    (void)json;
    if (strcmp(name, "reset") != 0) {
        s->host->answer(s->host->source, request, TG_PLUGIN_EUNSUPPORTED,
                        "{\"error\":\"known commands: set, reset\"}");
        return;
    }
    for (uint32_t p = 0; p < s->source->devices[device].point_count; p++)
        s->devices[device].points[p].written = (struct tg_value){0};
    s->host->answer(s->host->source, request, TG_PLUGIN_OK, "{\"reset\":true}");
}

static const struct tg_plugin simulator = {
    TG_PLUGIN_INIT(TG_THREAD_OWN),
    .name = "simulator",
    .version = "1.0",
    .summary = "Scripted devices and faults, to rehearse an outage and to bench",
    .source_options = source_options,
    .device_options = device_options,
    .point_options = point_options,
    .profiles = profiles,
    .open = sim_open,
    .poll = sim_poll,
    .close = sim_close,
    .write = sim_write,
    .check_value = sim_check_value,
    .command = sim_command,
    .needs = TG_NEEDS_STATED,
};
TG_PLUGIN_EXPORT(simulator)
