/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * Watches the wall clock: when it gets a valid time, samples that waited for it get theirs; when it is set, everything that goes by it
 * hears so, before another sample is stored. Looks once a second, and at once for a sample whose stamp does not fit.
 */
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>

#include "core/base/assert.h"
#include "core/base/log.h"
#include "core/base/plural.h"
#include "core/gateway/gateway_private.h"

#define LOOK_MS   1000
#define FOLLOW_MS 20 /* slewing is followed in such steps */

static uint64_t waiting(const struct tg_gateway *g)
{
    struct tg_store_stats st;
    tg_store_stats(g->store, &st);
    return st.waiting_rows;
}

static void spread(struct tg_gateway *g, int64_t offset_ms)
{
    g->clock.offset_ms = offset_ms;
    tg_store_clock(g->store, offset_ms); /* first: what is stored from now on is stored by it */
    tg_router_clock(g->router, offset_ms);
}

static void has_begun(struct tg_gateway *g, int64_t offset_ms)
{
    char text[TG_CLOCK_ISO8601_BYTES];
    uint64_t rows = waiting(g);
    g->clock.valid = true;
    tg_clock_iso8601(offset_ms + tg_clock_mono_ms(), text);
    if (g->clock.told_none)
        tg_log(TG_LOG_INFO, "gateway",
               "the clock has a valid time now, %.19sZ (%s): %llu %s from the time since boot and %s sent",
               text, tg_clock_source_name(tg_clock_source()), (unsigned long long)rows,
               tg_plural(rows, "sample that was taken before gets its wall time",
                         "samples that were taken before get their wall time"),
               tg_plural(rows, "is", "are"));
    spread(g, offset_ms);
    if (g->sessions && g->clock.told_none)
        tg_session_clock_set(g->sessions);
}

static void has_jumped(struct tg_gateway *g, int64_t offset_ms)
{
    char from[TG_CLOCK_ISO8601_BYTES], to[TG_CLOCK_ISO8601_BYTES];
    int64_t now = tg_clock_mono_ms(), delta_ms = offset_ms - g->clock.offset_ms;
    tg_clock_iso8601(now + g->clock.offset_ms, from);
    tg_clock_iso8601(now + offset_ms, to);
    g->clock.jumps++;
    g->clock.last_jump_ms = delta_ms;
    g->clock.last_jump_at_ms = now;
    tg_log(
        TG_LOG_WARN, "gateway",
        "the wall clock was set from %.19sZ to %.19sZ (%+.1f s): samples keep the stamps that they have, "
        "new ones go by the new time; their order, max_age and what is in flight do not depend on it; tokens "
        "are made anew soon",
        from, to, (double)delta_ms / 1000.0);
    spread(g, offset_ms);
    if (g->sessions)
        tg_session_clock_set(g->sessions);
}

void tg_gateway_clock_look(struct tg_gateway *g)
{
    int64_t offset_ms, delta_ms;
    if (!g->store || !g->router)
        return;
    if (!tg_clock_hold(&offset_ms)) {
        if (!g->clock.told_none)
            tg_log(
                TG_LOG_WARN, "gateway",
                "the clock has no valid time: samples are stamped by the time since boot and kept; they get "
                "their wall time and are sent as soon as there is one (NTP, or a modem's)");
        g->clock.told_none = true;
        return;
    }
    if (!g->clock.valid) {
        has_begun(g, offset_ms);
        return;
    }
    delta_ms = offset_ms - g->clock.offset_ms;
    if (llabs((long long)delta_ms) > TG_CLOCK_JUMP_MS)
        has_jumped(g, offset_ms);
    else if (llabs((long long)delta_ms) > FOLLOW_MS)
        spread(g, offset_ms);
}

static void on_look(void *user)
{
    struct tg_gateway *g = TG_OBJECT(user, struct tg_gateway, TG_GATEWAY_MAGIC);
    tg_gateway_clock_look(g);
    tg_deadline_set(&g->clock.look, tg_clock_mono_ms() + LOOK_MS);
}

static void on_odd_time(void *user)
{
    tg_gateway_clock_look(TG_OBJECT(user, struct tg_gateway, TG_GATEWAY_MAGIC));
}

void tg_gateway_clock_init(struct tg_gateway *g)
{
    tg_deadline_init(&g->clock.look, &g->loop, on_look, g);
}

void tg_gateway_clock_start(struct tg_gateway *g)
{
    tg_router_on_odd_time(g->router, on_odd_time, g);
    on_look(g);
}

void tg_gateway_clock_close(struct tg_gateway *g)
{
    tg_deadline_close(&g->clock.look, NULL);
}

void tg_gateway_clock_describe(const struct tg_gateway *g, json_t *j)
{
    uint64_t rows = waiting(g);
    int64_t now = tg_clock_mono_ms();
    char text[96];
    json_object_set_new(j, "waiting_samples", json_integer((json_int_t)rows));
    json_object_set_new(j, "jumps", json_integer((json_int_t)g->clock.jumps));
    if (g->clock.jumps) {
        json_object_set_new(j, "last_jump_ms", json_integer(g->clock.last_jump_ms));
        json_object_set_new(j, "last_jump_ago_ms", json_integer(now - g->clock.last_jump_at_ms));
    }
    if (rows && !g->clock.valid) {
        snprintf(text, sizeof text, "%llu %s for the clock", (unsigned long long)rows,
                 tg_plural(rows, "sample waits", "samples wait"));
        json_object_set_new(j, "text", json_string(text));
    }
}
