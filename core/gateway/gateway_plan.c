/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "core/gateway/gateway_plan.h"

#include <jansson.h>
#include <stdio.h>

#include "core/base/clock.h"

static json_t *ratio(uint64_t of, uint64_t by)
{
    return by ? json_real((double)of / (double)by) : json_null();
}

static void put(json_t *j, const char *key, uint64_t value)
{
    json_object_set_new(j, key, json_integer((json_int_t)value));
}

/* What a span of time has cost, and what that comes to. */
static void put_rates(json_t *j, const struct tg_wire_span *s)
{
    json_object_set_new(j, "bytes_per_sample", ratio(s->bytes, s->samples));
    json_object_set_new(j, "ip_bytes_per_sample", ratio(s->ip_bytes, s->samples));
    json_object_set_new(j, "samples_per_message", ratio(s->samples, s->messages));
    put(j, "messages_per_hour", tg_wire_project(s->messages, s->ms, 3600 * 1000));
    put(j, "projected_day_bytes", tg_wire_project(s->ip_bytes, s->ms, TG_WIRE_DAY_MS));
    put(j, "projected_month_bytes", tg_wire_project(s->ip_bytes, s->ms, TG_WIRE_MONTH_MS));
}

static json_t *budget_json(const struct tg_cloud_stats *c)
{
    const struct tg_delay_plan *p = c->delay;
    json_t *j =
        json_pack("{s:I,s:s,s:I,s:I,s:I}", "month_bytes", (json_int_t)c->month_budget_bytes, "state",
                  tg_delay_plan_state_name(p->state), "delay_ms", (json_int_t)p->delay_ms, "max_delay_ms",
                  (json_int_t)p->shortest_ms, "longest_delay_ms", (json_int_t)p->longest_ms);
    char text[200];
    if (!j || p->state == TG_DELAY_NORMAL)
        return j;
    snprintf(text, sizeof text,
             p->state == TG_DELAY_STRETCHED
                 ? "messages wait %.1f s, not %.1f s, so that the month stays within %.0f MB"
                 : "although messages wait %.1f s, not %.1f s, the month will cost more than %.0f MB; all is "
                   "sent",
             (double)p->delay_ms / 1000, (double)p->shortest_ms / 1000, (double)c->month_budget_bytes / 1e6);
    json_object_set_new(j, "text", json_string(text));
    return j;
}

json_t *tg_wire_json(const struct tg_cloud_stats *c, int64_t now_ms)
{
    const struct tg_wire_count *t = &c->wire->total;
    struct tg_wire_span whole = tg_wire_meter_whole(c->wire, now_ms),
                        hour = tg_wire_meter_hour(c->wire, now_ms);
    json_t *last = json_object(),
           *j = json_pack(
               "{s:I,s:I,s:I,s:I,s:I,s:{s:I,s:I,s:I,s:I}}", "bytes_in", (json_int_t)t->bytes_in, "bytes_out",
               (json_int_t)t->bytes_out, "ip_bytes", (json_int_t)tg_wire_ip_bytes(t), "messages",
               (json_int_t)t->messages, "samples", (json_int_t)t->samples, "handshakes", "full",
               (json_int_t)t->full_handshakes, "resumed", (json_int_t)t->resumed_handshakes, "full_bytes",
               (json_int_t)t->full_handshake_bytes, "resumed_bytes", (json_int_t)t->resumed_handshake_bytes);
    if (!j || !last) {
        json_decref(last);
        return j;
    }
    put_rates(j, &whole);
    put_rates(last, &hour);
    put(last, "ms", (uint64_t)hour.ms);
    json_object_set_new(j, "last_hour", last);
    if (c->wire->calendar.day) {
        put(j, "day_bytes", c->wire->calendar.day_bytes);
        put(j, "month_bytes", c->wire->calendar.month_bytes);
    }
    if (c->delay)
        json_object_set_new(j, "budget", budget_json(c));
    return j;
}

struct sum {
    struct tg_wire_span whole, hour;
    uint64_t day_bytes, month_bytes;
    int64_t now_ms;
};

/* Clouds begin at different moments: what each comes to in a month is what can be added. */
static void add(void *user, const struct tg_cloud_stats *c)
{
    struct sum *s = user;
    struct tg_wire_span whole = tg_wire_meter_whole(c->wire, s->now_ms),
                        hour = tg_wire_meter_hour(c->wire, s->now_ms);
    s->whole.bytes += whole.bytes;
    s->whole.samples += whole.samples;
    s->whole.ip_bytes += tg_wire_project(whole.ip_bytes, whole.ms, TG_WIRE_MONTH_MS);
    s->hour.bytes += hour.bytes;
    s->hour.samples += hour.samples;
    s->hour.ip_bytes += tg_wire_project(hour.ip_bytes, hour.ms, TG_WIRE_MONTH_MS);
    s->day_bytes += c->wire->calendar.day_bytes;
    s->month_bytes += c->wire->calendar.month_bytes;
}

json_t *tg_plan_json(struct tg_session_set *sessions, uint64_t written_bytes, uint64_t accepted,
                     int64_t up_ms, int64_t now_ms)
{
    struct sum s = {.now_ms = now_ms};
    json_t *j = json_object();
    tg_session_set_each_cloud(sessions, add, &s);
    if (!j)
        return NULL;
    json_object_set_new(j, "wire_bytes_per_sample", ratio(s.whole.bytes, s.whole.samples));
    json_object_set_new(j, "wire_bytes_per_sample_last_hour", ratio(s.hour.bytes, s.hour.samples));
    put(j, "projected_month_bytes", s.whole.ip_bytes);
    put(j, "projected_month_bytes_last_hour", s.hour.ip_bytes);
    put(j, "day_bytes", s.day_bytes);
    put(j, "month_bytes", s.month_bytes);
    json_object_set_new(j, "written_bytes_per_sample", ratio(written_bytes, accepted));
    put(j, "projected_month_written_bytes", tg_wire_project(written_bytes, up_ms, TG_WIRE_MONTH_MS));
    return j;
}
