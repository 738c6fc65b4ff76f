/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * What a cloud's month costs: its meter is kept up, the month's sum is noted for the next start (once an hour, and when the
 * cloud goes: a note is a write to flash), and with `month_budget` the wait of its messages follows delay_plan.h.
 */
#include "northbound/link.h"

#include <stdio.h>

#include "core/base/assert.h"
#include "core/base/clock.h"
#include "core/base/log.h"

#define LOOK_MS 15000
#define NOTE_MS (3600 * INT64_C(1000))
#define SCOPE   "wire" /* notes: what a month has cost, by cloud */

static int64_t wall_or_zero(void)
{
    int64_t wall_ms = tg_clock_wall_ms();
    return tg_clock_plausible(wall_ms) ? wall_ms : 0;
}

void tg_plan_meter(struct tg_session_set *set, struct tg_set_cloud *cloud, int64_t now_ms)
{
    for (struct tg_session *s = set->sessions; s; s = s->next)
        if (s->link->cloud == cloud)
            tg_link_meter(s->link);
    tg_wire_meter_tick(&cloud->wire, now_ms, wall_or_zero());
}

/* --- the month ------------------------------------------------------------------------------------- */

static void note(struct tg_session_set *set, struct tg_set_cloud *c)
{
    char text[TG_WIRE_NOTE_BYTES];
    if (!set->notes || c->replaced || c->wire.calendar.day == 0 ||
        c->wire.calendar.month_bytes == c->noted_bytes)
        return;
    tg_wire_calendar_note(&c->wire.calendar, text);
    if (tg_notes_set(set->notes, SCOPE, c->name, tg_bytes_str(text)) == TG_OK)
        c->noted_bytes = c->wire.calendar.month_bytes;
}

/* A reload has another cloud of this name: the month goes on. */
static bool take_over(struct tg_session_set *set, struct tg_set_cloud *c, int64_t now_ms)
{
    for (uint32_t i = 0; i < set->cloud_count; i++) {
        struct tg_set_cloud *old = &set->clouds[i];
        if (old == c || !old->name || old->replaced || strcmp(old->name, c->name) != 0)
            continue;
        tg_plan_meter(set, old, now_ms);
        c->wire.calendar = old->wire.calendar;
        c->noted_bytes = old->noted_bytes;
        old->replaced = true;
        return true;
    }
    return false;
}

void tg_plan_cloud(struct tg_session_set *set, struct tg_set_cloud *c, const struct tg_config_cloud *config)
{
    int64_t now = tg_clock_mono_ms();
    struct tg_bytes known;
    tg_wire_meter_init(&c->wire, now);
    tg_delay_plan_init(&c->delay, tg_settings_int(config->batch, "max_delay"),
                       tg_settings_int(config->batch, "longest_delay"), now);
    if (tg_settings_has(config->batch, "month_budget"))
        c->month_budget_bytes = (uint64_t)tg_settings_int(config->batch, "month_budget");
    if (!take_over(set, c, now) && set->notes) {
        known = tg_notes_get(set->notes, SCOPE, c->name);
        if (known.len && tg_wire_calendar_take(&c->wire.calendar, known) < 0)
            tg_log(TG_LOG_WARN, "session",
                   "cloud=%s the note of what this month has cost so far cannot be read; it counts from now",
                   c->name);
        c->noted_bytes = c->wire.calendar.month_bytes;
    }
    tg_deadline_set(&set->plan, now + LOOK_MS);
}

void tg_plan_cloud_goes(struct tg_session_set *set, struct tg_set_cloud *c)
{
    tg_wire_meter_tick(&c->wire, tg_clock_mono_ms(), wall_or_zero());
    note(set, c);
}

/* --- the budget -------------------------------------------------------------------------------------- */

/* Nothing of a session that is away, and no backlog on its way: only then the delay decides what a sample costs. */
static bool is_steady(const struct tg_session_set *set, const struct tg_set_cloud *c)
{
    bool online = false;
    for (const struct tg_session *s = set->sessions; s; s = s->next) {
        if (s->link->cloud != c)
            continue;
        if (s->queue == TG_QUEUE_READY && tg_feed_available(s->feed) >= s->link->max_samples)
            return false;
        online = online || s->link->state == TG_SESSION_ONLINE;
    }
    return online;
}

static double allowed_per_ms(const struct tg_set_cloud *c)
{
    int64_t wall_ms = wall_or_zero();
    uint64_t spent = c->wire.calendar.month_bytes, budget = c->month_budget_bytes;
    if (wall_ms == 0)
        return (double)budget / (double)TG_WIRE_MONTH_MS;
    return spent < budget ? (double)(budget - spent) / (double)tg_wire_month_left_ms(wall_ms) : 0;
}

static void tell(const struct tg_set_cloud *c, enum tg_delay_plan_state before)
{
    double budget = (double)c->month_budget_bytes / 1e6, delay = (double)c->delay.delay_ms / 1000;
    if (c->delay.state == before)
        return;
    if (c->delay.state == TG_DELAY_NORMAL)
        tg_log(TG_LOG_INFO, "session",
               "cloud=%s stays within month_budget %.0f MB again: messages wait %.1f s as before", c->name,
               budget, delay);
    else if (c->delay.state == TG_DELAY_STRETCHED)
        tg_log(
            TG_LOG_INFO, "session",
            "cloud=%s would cost more than month_budget %.0f MB (%.1f MB so far): messages wait longer, now "
            "%.1f s, "
            "and are fuller for it; nothing is dropped",
            c->name, budget, (double)c->wire.calendar.month_bytes / 1e6, delay);
    else
        tg_log(
            TG_LOG_WARN, "session",
            "cloud=%s will cost more than month_budget %.0f MB (%.1f MB so far) although messages wait %.1f "
            "s, "
            "longest_delay: everything is sent all the same; larger messages, compress, deadbands or fewer "
            "points cost less (docs/data-plan.md)",
            c->name, budget, (double)c->wire.calendar.month_bytes / 1e6, delay);
}

static void keep_to_budget(struct tg_session_set *set, struct tg_set_cloud *c, int64_t now_ms)
{
    const struct tg_wire_count *t = &c->wire.total;
    uint64_t shaken = t->full_handshake_bytes + t->resumed_handshake_bytes;
    enum tg_delay_plan_state before = c->delay.state;
    if (tg_delay_plan_look(&c->delay, now_ms, tg_wire_ip_bytes(t) - shaken, allowed_per_ms(c),
                           is_steady(set, c)))
        tell(c, before);
}

/* --- the look ------------------------------------------------------------------------------------------ */

static void on_look(void *user)
{
    struct tg_session_set *set = TG_OBJECT(user, struct tg_session_set, TG_SESSION_SET_MAGIC);
    int64_t now = tg_clock_mono_ms();
    bool due = now - set->plan_noted_ms >= NOTE_MS, any = false;
    for (uint32_t i = 0; i < set->cloud_count; i++) {
        struct tg_set_cloud *c = &set->clouds[i];
        if (!c->name)
            continue;
        any = true;
        tg_plan_meter(set, c, now);
        if (due)
            note(set, c);
        if (c->month_budget_bytes)
            keep_to_budget(set, c, now);
    }
    if (due)
        set->plan_noted_ms = now;
    if (any)
        tg_deadline_set(&set->plan, now + LOOK_MS);
}

void tg_plan_open(struct tg_session_set *set)
{
    set->plan_noted_ms = tg_clock_mono_ms();
    tg_deadline_init(&set->plan, set->loop, on_look, set);
}

void tg_plan_close(struct tg_session_set *set, void (*closed)(void *user))
{
    tg_deadline_close(&set->plan, closed);
}
