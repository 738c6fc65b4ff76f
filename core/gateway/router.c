/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "core/gateway/router_private.h"

#include <math.h>
#include <stdio.h>

#include "core/base/allocator.h"
#include "core/base/assert.h"
#include "core/base/clock.h"
#include "core/base/log.h"
#include "core/base/sample.h"
#include "northbound/format_json.h"

#define WATCH_JSON_BYTES                                                                                     \
    (6 * TG_SAMPLE_MAX_BYTES + 4096) /* a byte of a body becomes six at most; only while somebody watches */

int tg_router_new(struct tg_loop *loop, struct tg_store *store, struct tg_router **ret_router)
{
    struct tg_router *r = tg_calloc(1, sizeof *r);
    if (!r)
        return TG_ENOMEM;
    r->body = tg_malloc(TG_SAMPLE_MAX_BYTES);
    if (!r->body) {
        tg_free(r);
        return TG_ENOMEM;
    }
    r->magic = TG_ROUTER_MAGIC;
    r->store = store;
    r->next_request = 1;
    tg_deadline_init(&r->deadline, loop, tg_router_expire, r);
    *ret_router = r;
    return TG_OK;
}

static void free_device(struct tg_router_device *d)
{
    if (!d)
        return;
    tg_router_free_points(d);
    tg_free(d);
}

static void on_deadline_closed(void *user)
{
    struct tg_router *r = TG_OBJECT(user, struct tg_router, TG_ROUTER_MAGIC);
    void (*closed)(void *user) = r->closed;
    void *closed_user = r->closed_user;
    for (uint32_t i = 0; i < r->device_count; i++)
        free_device(r->devices[i]);
    tg_free(r->devices);
    tg_free(r->body);
    tg_free(r->watch_json);
    TG_OBJECT_POISON(r);
    tg_free(r);
    if (closed)
        closed(closed_user);
}

void tg_router_close(struct tg_router *r, void (*closed)(void *user), void *user)
{
    tg_router_abandon(r, NULL);
    r->closed = closed;
    r->closed_user = user;
    tg_deadline_close(&r->deadline, on_deadline_closed);
}

/* --- devices ------------------------------------------------------------------------------------- */

static int grow(struct tg_router *r)
{
    uint32_t cap = r->device_cap ? r->device_cap * 2 : 16;
    struct tg_router_device **fresh;
    if (r->device_count < r->device_cap)
        return TG_OK;
    fresh = tg_realloc(r->devices, cap * sizeof(struct tg_router_device *));
    if (!fresh)
        return TG_ENOMEM;
    r->devices = fresh;
    r->device_cap = cap;
    return TG_OK;
}

int tg_router_add_device(struct tg_router *r, const struct tg_config_device *config, uint32_t index,
                         struct tg_router_device **ret_device, struct tg_error *err)
{
    struct tg_router_device *d = tg_calloc(1, sizeof *d);
    int rc = TG_ENOMEM;
    if (!d || grow(r) < 0) {
        tg_error_set(err, rc, "device %s: out of memory", config->id);
        goto fail;
    }
    d->config = config;
    d->index = index;
    rc = tg_router_build_points(d, err);
    if (rc < 0)
        goto fail;
    rc = tg_store_device(r->store, config->id, &d->store_device, err);
    if (rc < 0)
        goto fail;
    d->last_seq = tg_store_last_seq(r->store, d->store_device);
    r->devices[r->device_count++] = d;
    *ret_device = d;
    return TG_OK;
fail:
    free_device(d);
    return rc;
}

void tg_router_remove_device(struct tg_router *r, struct tg_router_device *d)
{
    for (uint32_t i = 0; i < r->device_count; i++)
        if (r->devices[i] == d) {
            memmove(&r->devices[i], &r->devices[i + 1], (r->device_count - i - 1) * sizeof r->devices[0]);
            r->device_count--;
            tg_router_abandon(r, d->config->id);
            free_device(d);
            return;
        }
}

struct tg_router_device *tg_router_device(struct tg_router *r, const char *id)
{
    for (uint32_t i = 0; i < r->device_count; i++)
        if (strcmp(r->devices[i]->config->id, id) == 0)
            return r->devices[i];
    return NULL;
}

uint32_t tg_router_device_count(const struct tg_router *r)
{
    return r->device_count;
}

struct tg_router_device *tg_router_device_at(struct tg_router *r, uint32_t i)
{
    TG_ASSERT(i < r->device_count);
    return r->devices[i];
}

static void keep_derived(const struct tg_router *r, struct tg_router_device *d)
{
    for (uint32_t i = 0; i < d->config->derived_count; i++)
        d->derived[i].state = r->derived[i];
}

/* --- samples --------------------------------------------------------------------------------------- */

static void tell_watchers(struct tg_router *r, const struct tg_router_device *d, uint64_t seq,
                          struct tg_bytes body)
{
    struct tg_writer w;
    if (!r->watch_json)
        r->watch_json = tg_malloc(WATCH_JSON_BYTES);
    if (!r->watch_json)
        return;
    w = tg_writer_init(r->watch_json, WATCH_JSON_BYTES);
    if (tg_format_json_sample(&w, seq, body, NULL) < 0)
        return;
    r->telling = true; /* a watcher may end its watch in here */
    for (uint32_t i = 0; i < TG_WATCHERS_MAX; i++) {
        struct tg_watcher *x = &r->watchers[i];
        if (x->fn && (!x->device[0] || strcmp(x->device, d->config->id) == 0))
            x->fn(x->user, d->config->id, (const char *)w.data, w.len);
    }
    r->telling = false;
}

/* Adds what follows from the sample's values for the device's derived points; the new count. */
static uint32_t derive(struct tg_router *r, const struct tg_router_device *d, int64_t time_ms,
                       struct tg_point_value *values, uint32_t count)
{
    const uint32_t read = count, n = d->config->derived_count, first = d->config->point_count - n;
    for (uint32_t i = 0; i < n; i++) {
        r->derived[i] = d->derived[i].state;
        if (count < TG_SAMPLE_MAX_VALUES &&
            tg_derive_apply(&d->derived[i].rule, &r->derived[i], time_ms, values, read, &values[count]))
            values[count++].point = first + i;
    }
    return count;
}

/* Applies the filters; returns how many values go into the sample, 0 = nothing to send. The states of filters and derived points
 * are changed only in copies until the store has taken the sample, so that a refused one can be offered again. */
static uint32_t filter(struct tg_router *r, struct tg_router_device *d, int64_t time_ms,
                       struct tg_point_value *values, uint32_t count, int64_t now)
{
    struct tg_filter_state *ret_states = r->states;
    enum tg_filter_verdict *verdicts = r->verdicts;
    uint32_t sent = 0, kept = 0;
    bool derived = false;
    for (uint32_t i = 0; i < count; i++) {
        struct tg_router_point *p = &d->points[values[i].point];
        ret_states[i] = p->state;
        verdicts[i] = tg_filter_apply(&p->options, &ret_states[i], now, &values[i]);
        sent += verdicts[i] == TG_FILTER_SEND;
        if (i + 1 == count && !derived && d->config->derived_count > 0) {
            derived = true; /* what was added is filtered like the rest */
            count = derive(r, d, time_ms, values, count);
        }
    }
    if (sent == 0)
        return 0;
    for (uint32_t i = 0; i < count; i++) {
        if (verdicts[i] == TG_FILTER_HOLD)
            continue;
        ret_states[kept] = ret_states[i];
        values[kept++] = values[i];
    }
    return kept;
}

int tg_router_sample(struct tg_router *r, struct tg_router_device *d, int64_t time_ms,
                     struct tg_point_value *values, uint32_t count)
{
    struct tg_filter_state *states = r->states;
    struct tg_point_value *raw = r->values;
    struct tg_writer w = tg_writer_init(r->body, TG_SAMPLE_MAX_BYTES);
    int64_t now = tg_clock_mono_ms();
    struct tg_router_moments m;
    uint64_t seq, id;
    uint32_t kept;
    bool urgent = false;
    int rc;
    TG_ASSERT(count > 0 && count <= TG_SAMPLE_MAX_VALUES);
    memcpy(raw, values, count * sizeof raw[0]); /* the offered values stay as they are for a second offer */
    m = tg_router_moments(r, time_ms, now);
    kept = filter(r, d, m.steady_ms, raw, count, now);
    if (kept == 0) {
        keep_derived(r, d);
        d->filtered++;
        return TG_OK;
    }
    tg_sample_begin_at(&w, &m.sample, kept);
    for (uint32_t i = 0; i < kept; i++) {
        struct tg_named_value v = {tg_bytes_str(d->config->points[raw[i].point].name),
                                   (uint8_t)raw[i].quality, raw[i].value};
        tg_sample_value(&w, &v);
        urgent = urgent || d->points[raw[i].point].urgent;
    }
    if (w.failed) {
        d->rejected++;
        tg_log(TG_LOG_ERROR, "router", "device=%s a sample larger than %d bytes was left out", d->config->id,
               TG_SAMPLE_MAX_BYTES);
        return TG_OK;
    }
    rc = (urgent ? tg_store_append_urgent : tg_store_append)(r->store, d->store_device, m.stored_ms,
                                                             tg_bytes(w.data, w.len), &seq, &id);
    if (rc == TG_EFULL || rc == TG_ENOMEM)
        return TG_EFULL;
    if (rc < 0) { /* offering it again would hold its source up for ever */
        d->rejected++;
        tg_log(TG_LOG_ERROR, "router", "device=%s a sample was refused by the outbox and left out: %s",
               d->config->id, tg_code_text(rc));
        return TG_OK;
    }
    for (uint32_t i = 0; i < kept; i++)
        d->points[raw[i].point].state = states[i];
    keep_derived(r, d);
    d->accepted++;
    d->last_seq = seq;
    d->last_sample_ms = now;
    if (r->watcher_count)
        tell_watchers(r, d, seq, tg_bytes(w.data, w.len));
    if (d->on_accepted && m.sample.kind != TG_TIME_BOOT) /* they come with their wall time, to be sent */
        d->on_accepted(d, tg_bytes(w.data, w.len));
    return TG_OK;
}

void tg_router_state(struct tg_router *r, struct tg_router_device *d, enum tg_device_state state,
                     const char *text)
{
    static const char *const words[] = {"being looked at again", "ok", "suspect", "down"};
    bool better = state == TG_DEVICE_OK || state == TG_DEVICE_UNKNOWN;
    (void)r;
    snprintf(d->state_text, sizeof d->state_text, "%s", text ? text : "");
    if (d->state == state)
        return;
    if (d->state != TG_DEVICE_UNKNOWN || !better || d->state_since_ms > 0) /* not each one at the start */
        tg_log(better ? TG_LOG_INFO : TG_LOG_WARN, "router", "device=%s is %s%s%s", d->config->id,
               words[state], text ? ": " : "", text ? text : "");
    d->state = state;
    d->state_since_ms = tg_clock_mono_ms();
}

/* --- watching ---------------------------------------------------------------------------------------- */

uint32_t tg_router_watch(struct tg_router *r, const char *device, tg_watch_fn fn, void *user)
{
    for (uint32_t i = 0; i < TG_WATCHERS_MAX; i++) {
        if (r->watchers[i].fn)
            continue;
        r->watchers[i] = (struct tg_watcher){.fn = fn, .user = user};
        snprintf(r->watchers[i].device, sizeof r->watchers[i].device, "%s", device ? device : "");
        r->watcher_count++;
        return i + 1;
    }
    return 0;
}

void tg_router_unwatch(struct tg_router *r, uint32_t watch)
{
    TG_ASSERT(watch >= 1 && watch <= TG_WATCHERS_MAX && r->watchers[watch - 1].fn);
    r->watchers[watch - 1] = (struct tg_watcher){0};
    if (--r->watcher_count == 0 && !r->telling) {
        tg_free(r->watch_json);
        r->watch_json = NULL;
    }
}
