/* SPDX-License-Identifier: GPL-2.0-or-later */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "core/base/random.h"
#include "plugins/ble/gatt_private.h"

#define FOREVER INT64_MAX

const char *gatt_address_text(const struct tg_ble_address *a, char ret_text[18])
{
    snprintf(ret_text, 18, "%02X:%02X:%02X:%02X:%02X:%02X", a->bytes[0], a->bytes[1], a->bytes[2],
             a->bytes[3], a->bytes[4], a->bytes[5]);
    return ret_text;
}

void gatt_device_tell(struct tg_gatt_set *set, struct gatt_device *d, uint32_t state, const char *text)
{
    if (d->point_count == 0 && state != TG_DEVICE_OK)
        return; /* it is connected for commands only: its state is the scanner's */
    if (d->state == state && strncmp(d->told, text ? text : "", sizeof d->told - 1) == 0)
        return;
    snprintf(d->told, sizeof d->told, "%s", text ? text : "");
    d->state = (uint8_t)state;
    if (d->point_count)
        set->host->device_state(set->host->source, d->index, state, text);
}

void gatt_slot_watch(struct tg_gatt_set *set, struct gatt_slot *s, uint32_t events)
{
    if (s->watched == events)
        return;
    if (set->host->watch_fd(set->host->source, s->link.fd, events) == 0)
        s->watched = events;
}

/* --- endings --------------------------------------------------------------------------------------------- */

static struct gatt_device *release(struct tg_gatt_set *set, struct gatt_slot *s)
{
    struct gatt_device *d = s->device;
    if (s->link.fd >= 0)
        gatt_slot_watch(set, s, 0);
    tg_gatt_link_close(&s->link);
    d->slot = NULL;
    s->device = NULL;
    s->state = GATT_FREE;
    return d;
}

void gatt_slot_leave(struct tg_gatt_set *set, struct gatt_slot *s, int64_t now_ms)
{
    struct gatt_device *d = release(set, s);
    gatt_points_flush(set, d);
    d->backoff.attempt = 0;
    d->ready_ms = now_ms;
    d->queued_ms = now_ms;
}

static void tell_failure(struct tg_gatt_set *set, struct gatt_device *d, const char *text, int64_t now_ms)
{
    char line[320];
    bool down = d->failures >= GATT_DOWN_AFTER;
    double wait = (double)(d->ready_ms - now_ms) / 1000;
    snprintf(line, sizeof line, "%s; trying again in %.1f s%s", text, wait,
             d->unreachable && d->failures > 1 ? ", sooner when it is heard" : "");
    if (d->failures == GATT_DOWN_AFTER)
        gatt_points_none(set, d, TG_QUALITY_DOWN, true, now_ms);
    else if (!down)
        gatt_points_none(set, d, d->unreachable ? TG_QUALITY_TIMEOUT : TG_QUALITY_COMM, false, now_ms);
    gatt_device_tell(set, d, down ? TG_DEVICE_DOWN : TG_DEVICE_SUSPECT, line);
}

void gatt_slot_failed(struct tg_gatt_set *set, struct gatt_slot *s, bool heals, const char *text,
                      int64_t now_ms)
{
    char copy[200];
    bool was_open = s->state == GATT_OPEN, connecting = s->state == GATT_CONNECTING;
    snprintf(copy, sizeof copy, "%s", text); /* may live in the slot */
    struct gatt_device *d = release(set, s);
    gatt_points_flush(set, d);
    if (was_open && d->settled)
        tg_backoff_held(&d->backoff, now_ms - d->opened_ms);
    d->failures++;
    d->unreachable = heals;
    d->failed_ms = now_ms;
    d->ready_ms = now_ms + tg_backoff_next(&d->backoff, tg_random_u32());
    d->queued_ms = d->ready_ms;
    if (connecting && d->guess_type)
        d->address.type =
            d->address.type == TG_BLE_ADDRESS_PUBLIC ? TG_BLE_ADDRESS_RANDOM : TG_BLE_ADDRESS_PUBLIC;
    snprintf(d->failure, sizeof d->failure, "%.150s", copy);
    gatt_job_lost(set, d, copy);
    tell_failure(set, d, copy, now_ms);
}

void gatt_slots_close_all(struct tg_gatt_set *set, const char *text, int64_t now_ms)
{
    for (uint32_t i = 0; i < set->config.slots; i++) {
        struct gatt_slot *s = &set->slots[i];
        if (!s->device)
            continue;
        struct gatt_device *d = release(set, s);
        gatt_points_flush(set, d);
        d->ready_ms = d->queued_ms = now_ms;
        gatt_job_lost(set, d, text);
    }
}

/* --- one connection ----------------------------------------------------------------------------------------- */

static void prepare(struct tg_gatt_set *set, struct gatt_slot *s, struct gatt_device *d, int64_t now_ms)
{
    s->device = d;
    d->slot = s;
    s->state = GATT_PREPARING;
    s->watched = 0;
    s->deadline_ms = now_ms;
    tg_gatt_link_init(&s->link, set->config.sockets);
}

static void connect_now(struct tg_gatt_set *set, struct gatt_slot *s, int64_t now_ms)
{
    struct gatt_device *d = s->device;
    s->state = GATT_CONNECTING;
    s->security = d->security;
    s->deadline_ms = now_ms + set->config.connect_timeout_ms;
    if (tg_gatt_link_open(&s->link, &set->own, &d->address, (enum tg_gatt_security)s->security) < 0) {
        gatt_slot_failed(set, s, false, s->link.text, now_ms);
        return;
    }
    gatt_slot_watch(set, s, TG_FD_WRITE);
    if (s->watched == 0)
        gatt_slot_failed(set, s, false, "its socket cannot be watched: too many are open", now_ms);
}

void gatt_slot_ready(struct tg_gatt_set *set, struct gatt_slot *s, uint32_t events, int64_t now_ms)
{
    struct gatt_device *d = s->device;
    if (s->state == GATT_CONNECTING) {
        if (tg_gatt_link_connected(&s->link) < 0)
            gatt_slot_failed(set, s, s->link.error == ETIMEDOUT || s->link.error == ECONNRESET, s->link.text,
                             now_ms);
        else
            gatt_session_begin(set, s, now_ms);
    } else if (s->state == GATT_SECURING && events & TG_FD_WRITE && !(events & TG_FD_HANGUP)) {
        s->state = GATT_OPEN;
        d->security = s->security;
        d->needs_pairing = false;
        gatt_slot_watch(set, s, TG_FD_READ);
    }
    if (s->device && s->state != GATT_CONNECTING && events & (TG_FD_READ | TG_FD_HANGUP))
        gatt_session_readable(set, s, now_ms);
    if (s->device && s->state == GATT_OPEN)
        gatt_session_drive(set, s, now_ms);
}

static bool somebody_waits(const struct tg_gatt_set *set, int64_t now_ms);

static void tick_open(struct tg_gatt_set *set, struct gatt_slot *s, int64_t now_ms)
{
    struct gatt_device *d = s->device;
    struct tg_att_event e;
    tg_att_client_tick(&s->client, now_ms, &e);
    if (e.kind == TG_ATT_EVENT_TIMEOUT) {
        gatt_slot_failed(set, s, false, "it is connected and gives no answer in 30 s", now_ms);
        return;
    }
    gatt_points_mark_due(d, now_ms);
    gatt_session_drive(set, s, now_ms);
    if (!s->device || !s->idle || d->subscriber)
        return;
    int64_t next = gatt_points_next_ms(d);
    if (somebody_waits(set, now_ms) || next == FOREVER || next - now_ms > GATT_KEEP_MS)
        gatt_slot_leave(set, s, now_ms);
}

static void tick(struct tg_gatt_set *set, struct gatt_slot *s, int64_t now_ms)
{
    char text[120];
    switch (s->state) {
    case GATT_PREPARING:
        connect_now(set, s, now_ms);
        return;
    case GATT_CONNECTING:
        if (now_ms < s->deadline_ms)
            return;
        snprintf(text, sizeof text,
                 "no connection within %" PRId64 " s: it is out of reach, off, or connected elsewhere",
                 set->config.connect_timeout_ms / 1000);
        gatt_slot_failed(set, s, true, text, now_ms);
        return;
    case GATT_SECURING:
        if (now_ms >= s->deadline_ms)
            gatt_slot_failed(set, s, false,
                             "pairing was not finished in 30 s; it may need a person (bluetoothctl pair)",
                             now_ms);
        return;
    case GATT_OPEN:
        tick_open(set, s, now_ms);
        return;
    default:
        return;
    }
}

void gatt_slots_tick(struct tg_gatt_set *set, int64_t now_ms)
{
    for (uint32_t i = 0; i < set->config.slots; i++) {
        if (set->slots[i].device)
            tick(set, &set->slots[i], now_ms);
    }
}

/* --- who is next ------------------------------------------------------------------------------------------------ */

/* From when on the device wants a connection that it has not. */
static int64_t wanted_ms(const struct tg_gatt_set *set, const struct gatt_device *d)
{
    if (d->slot)
        return FOREVER;
    if (gatt_job_waits(set, d))
        return d->failures ? d->failed_ms + 1000 : 0; /* a person waits: no back-off */
    int64_t due = d->subscriber || d->failures ? d->queued_ms : gatt_points_next_ms(d);
    if (d->failures && gatt_points_next_ms(d) == FOREVER && !d->subscriber)
        due = FOREVER;
    return due == FOREVER ? FOREVER : due > d->ready_ms ? due : d->ready_ms;
}

static bool somebody_waits(const struct tg_gatt_set *set, int64_t now_ms)
{
    for (uint32_t i = 0; i < set->source->device_count; i++) {
        if (set->devices[i] && wanted_ms(set, set->devices[i]) <= now_ms)
            return true;
    }
    return false;
}

static uint32_t subscribers_connected(const struct tg_gatt_set *set)
{
    uint32_t n = 0;
    for (uint32_t i = 0; i < set->config.slots; i++)
        n += set->slots[i].device && set->slots[i].device->subscriber;
    return n;
}

/* Slots that subscribers may have: all but one as long as there is a device that only comes to be read. */
static uint32_t subscriber_limit(const struct tg_gatt_set *set)
{
    bool others = false;
    for (uint32_t i = 0; i < set->source->device_count && !others; i++)
        others = set->devices[i] && set->devices[i]->point_count && !set->devices[i]->subscriber;
    return set->config.slots > 1 && others ? set->config.slots - 1 : set->config.slots;
}

static struct gatt_slot *free_slot(struct tg_gatt_set *set)
{
    for (uint32_t i = 0; i < set->config.slots; i++) {
        if (!set->slots[i].device)
            return &set->slots[i];
    }
    return NULL;
}

enum whose { POLLERS, SUBSCRIBERS, ANYBODYS };

/* A connection that may end for another device: idle, and a subscriber's only when it had its share. The oldest. */
static struct gatt_slot *victim(struct tg_gatt_set *set, enum whose whose, bool at_once, int64_t now_ms)
{
    struct gatt_slot *best = NULL;
    for (uint32_t i = 0; i < set->config.slots; i++) {
        struct gatt_slot *s = &set->slots[i];
        if (s->state != GATT_OPEN || !s->idle ||
            (whose != ANYBODYS && s->device->subscriber != (whose == SUBSCRIBERS)))
            continue;
        if (s->device->subscriber && !at_once && now_ms < s->device->opened_ms + GATT_SHARE_MS)
            continue;
        if (!best || s->device->opened_ms < best->device->opened_ms)
            best = s;
    }
    return best;
}

static struct gatt_slot *slot_for(struct tg_gatt_set *set, struct gatt_device *d, int64_t now_ms)
{
    uint32_t subscribers = subscribers_connected(set), limit = subscriber_limit(set);
    bool job = gatt_job_waits(set, d);
    bool limited = d->subscriber && !job && subscribers >= limit;
    bool over = !d->subscriber && subscribers > limit; /* they were not known to be subscribers */
    struct gatt_slot *s = limited ? NULL : free_slot(set);
    if (s)
        return s;
    /* As long as a slot goes round, subscribers keep theirs. */
    enum whose whose = limited ? SUBSCRIBERS : job || over || limit == set->config.slots ? ANYBODYS : POLLERS;
    s = victim(set, whose, job || over, now_ms);
    if (s)
        gatt_slot_leave(set, s, now_ms);
    return s;
}

/* Its place in the queue: those that failed and were not heard since would cost everybody the time of an attempt. */
static int64_t place(const struct tg_gatt_set *set, const struct gatt_device *d)
{
    bool doubtful = d->failures && d->heard_ms < d->failed_ms;
    if (gatt_job_waits(set, d))
        return -1;
    return wanted_ms(set, d) + (doubtful ? GATT_UNHEARD_MS : 0);
}

void gatt_slots_schedule(struct tg_gatt_set *set, int64_t now_ms)
{
    int64_t after = INT64_MIN; /* places that were looked at and had to be passed over */
    uint32_t after_index = 0;
    if (!set->up || tg_gatt_connecting(set))
        return;
    for (;;) {
        struct gatt_device *best = NULL;
        int64_t best_at = 0;
        for (uint32_t i = 0; i < set->source->device_count; i++) {
            struct gatt_device *d = set->devices[i];
            if (!d || wanted_ms(set, d) > now_ms)
                continue;
            int64_t at = place(set, d);
            bool passed = at < after || (at == after && i <= after_index);
            if (!passed && (!best || at < best_at)) {
                best = d;
                best_at = at;
            }
        }
        if (!best)
            return;
        struct gatt_slot *s = slot_for(set, best, now_ms);
        if (s) {
            prepare(set, s, best, now_ms);
            return;
        }
        after = best_at;
        after_index = best->index;
    }
}

static int64_t slot_next_ms(const struct gatt_slot *s, bool waiting, int64_t now_ms)
{
    const struct gatt_device *d = s->device;
    if (s->state != GATT_OPEN)
        return s->deadline_ms;
    if (tg_att_client_busy(&s->client))
        return s->client.deadline_ms;
    int64_t next = gatt_points_next_ms(d);
    int64_t share = d->opened_ms + GATT_SHARE_MS;
    if (waiting && d->subscriber && share < next && share > now_ms)
        next = share;
    return next;
}

int64_t gatt_slots_next_ms(const struct tg_gatt_set *set, int64_t now_ms)
{
    int64_t next = FOREVER;
    bool waiting = somebody_waits(set, now_ms);
    if (!set->up)
        return FOREVER;
    for (uint32_t i = 0; i < set->config.slots; i++) {
        int64_t at = set->slots[i].device ? slot_next_ms(&set->slots[i], waiting, now_ms) : FOREVER;
        if (at < next)
            next = at;
    }
    for (uint32_t i = 0; i < set->source->device_count; i++) {
        int64_t at = set->devices[i] ? wanted_ms(set, set->devices[i]) : FOREVER;
        if (at > now_ms && at < next) /* those that wait already are looked at when a connection ends */
            next = at;
    }
    return next;
}
