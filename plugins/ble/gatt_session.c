/* SPDX-License-Identifier: GPL-2.0-or-later */
#include <inttypes.h>
#include <stdio.h>

#include "plugins/ble/gatt_private.h"

#define PDUS_AT_ONCE 16 /* of one connection, then the others have their turn */

void gatt_session_begin(struct tg_gatt_set *set, struct gatt_slot *s, int64_t now_ms)
{
    struct gatt_device *d = s->device;
    s->state = GATT_OPEN;
    d->guess_type = false;
    s->idle = s->blocked = s->job_on_wire = false;
    tg_att_client_init(&s->client, TG_ATT_MAX_MTU);
    d->opened_ms = now_ms;
    d->settled = false;
    d->trouble[0] = '\0';
    tg_gatt_plan_start(&d->plan);
    for (uint32_t i = 0; i < d->point_count;
         i++) { /* a subscription tells what changes: its first value is read */
        if (d->config->points[i].every_ms == 0)
            d->points[i].due_ms = now_ms;
    }
    for (uint32_t i = d->point_count; i < d->point_count + GATT_FACTS; i++)
        d->wants[i].due = !d->wants[i].off;
    gatt_slot_watch(set, s, TG_FD_READ);
    gatt_points_mark_due(d, now_ms);
}

/* --- security -------------------------------------------------------------------------------------------- */

static bool wants_security(uint8_t code)
{
    return code == TG_ATT_AUTHENTICATION || code == TG_ATT_ENCRYPTION;
}

static void note_pairing(struct tg_gatt_set *set, struct gatt_device *d, const char *why)
{
    char address[18];
    gatt_address_text(&d->address, address);
    snprintf(d->trouble, sizeof d->trouble, "it needs pairing (bluetoothctl pair %s): %.80s", address, why);
    if (!d->needs_pairing)
        set->host->log(set->host->source, TG_LOG_WARN, "device %s: %s", d->config->id, d->trouble);
    d->needs_pairing = true;
}

/* True when the connection becomes a safer one: what was refused is asked again then. */
static bool raise_security(struct tg_gatt_set *set, struct gatt_slot *s, int64_t now_ms)
{
    struct gatt_device *d = s->device;
    if (s->security >= TG_GATT_SECURITY_HIGH) {
        note_pairing(set, d, "it is not content with the security that can be had without a person");
        return false;
    }
    if (tg_gatt_link_secure(&s->link, (enum tg_gatt_security)(s->security + 1)) < 0) {
        note_pairing(set, d, s->link.text);
        return false;
    }
    s->security++;
    s->state = GATT_SECURING;
    s->deadline_ms = now_ms + GATT_SECURE_MS;
    gatt_slot_watch(set, s, TG_FD_READ | TG_FD_WRITE);
    return true;
}

/* --- events ------------------------------------------------------------------------------------------------ */

static void answered(struct tg_gatt_set *set, struct gatt_slot *s, const struct tg_att_event *e,
                     int64_t now_ms)
{
    struct gatt_device *d = s->device;
    struct tg_gatt_step step = d->plan.step;
    if (e->kind == TG_ATT_EVENT_REFUSED && wants_security(e->code) && raise_security(set, s, now_ms)) {
        s->job_on_wire = false;
        if (d->job)
            d->job->on_wire = false;
        return;
    }
    if (s->job_on_wire) {
        s->job_on_wire = false;
        gatt_job_event(set, s, e, now_ms);
        return;
    }
    if (step.kind == TG_GATT_STEP_READ && e->kind == TG_ATT_EVENT_READ)
        gatt_points_take(set, d, step.handle, e->value, false);
    bool stale = (e->code == TG_ATT_INVALID_HANDLE || e->code == TG_ATT_OUT_OF_SYNC) && !d->plan.rediscovered;
    if (step.kind == TG_GATT_STEP_READ && e->kind == TG_ATT_EVENT_REFUSED && !stale)
        gatt_points_refused(set, d, step.handle, e->code);
    tg_gatt_plan_done(&d->plan, e);
}

/* False: the connection has ended. */
static bool take(struct tg_gatt_set *set, struct gatt_slot *s, const struct tg_att_event *e, int64_t now_ms)
{
    struct gatt_device *d = s->device;
    char text[160];
    switch (e->kind) {
    case TG_ATT_EVENT_NONE:
        return true;
    case TG_ATT_EVENT_NOTIFIED:
        if (tg_gatt_plan_notified(&d->plan, e)) {
            set->host->log(set->host->source, TG_LOG_INFO,
                           "device %s: its services have changed; they are discovered again", d->config->id);
            gatt_points_all_due(d, now_ms);
            gatt_points_mark_due(d, now_ms);
        } else {
            gatt_points_take(set, d, e->handle, e->value, true);
        }
        return true;
    case TG_ATT_EVENT_BROKEN:
    case TG_ATT_EVENT_TIMEOUT:
        snprintf(text, sizeof text, "it breaks the attribute protocol: %s", e->text);
        gatt_slot_failed(
            set, s, false,
            e->kind == TG_ATT_EVENT_TIMEOUT ? "it is connected and gives no answer in 30 s" : text, now_ms);
        return false;
    default:
        answered(set, s, e, now_ms);
        return true;
    }
}

void gatt_session_readable(struct tg_gatt_set *set, struct gatt_slot *s, int64_t now_ms)
{
    uint8_t pdu[TG_ATT_MAX_MTU + 1];
    for (int i = 0; i < PDUS_AT_ONCE && s->device; i++) {
        struct tg_att_event e;
        int n = tg_gatt_link_read(&s->link, pdu, sizeof pdu);
        if (n == 0)
            break;
        if (n < 0) {
            bool pairing = s->state == GATT_SECURING;
            if (pairing)
                note_pairing(set, s->device, s->link.text);
            gatt_slot_failed(set, s, !pairing, pairing ? s->device->trouble : s->link.text, now_ms);
            return;
        }
        tg_att_client_receive(&s->client, tg_bytes(pdu, (size_t)n), now_ms, &e);
        if (!take(set, s, &e, now_ms))
            return;
        if (s->state == GATT_OPEN)
            gatt_session_drive(set, s, now_ms);
    }
}

/* --- asking ------------------------------------------------------------------------------------------------- */

/* False: the connection has ended. */
static bool flush(struct tg_gatt_set *set, struct gatt_slot *s, int64_t now_ms)
{
    for (;;) {
        struct tg_bytes b = tg_att_client_out(&s->client);
        if (b.len == 0)
            break;
        int rc = tg_gatt_link_write(&s->link, b);
        if (rc == TG_EAGAIN) {
            s->blocked = true;
            gatt_slot_watch(set, s, TG_FD_READ | TG_FD_WRITE);
            return true;
        }
        if (rc < 0) {
            gatt_slot_failed(set, s, true, s->link.text, now_ms);
            return false;
        }
        tg_att_client_sent(&s->client);
    }
    if (s->blocked)
        gatt_slot_watch(set, s, TG_FD_READ);
    s->blocked = false;
    return true;
}

/* Everything that was to be asked has been. */
static void settle(struct tg_gatt_set *set, struct gatt_device *d, int64_t now_ms)
{
    gatt_points_review(set, d, now_ms);
    gatt_points_flush(set, d);
    d->settled = true;
    d->failures = 0;
    d->unreachable = false;
    gatt_device_tell(set, d, TG_DEVICE_OK, d->trouble[0] ? d->trouble : NULL);
}

void gatt_session_drive(struct tg_gatt_set *set, struct gatt_slot *s, int64_t now_ms)
{
    struct gatt_device *d = s->device;
    /* Each turn of the loop sends something, answers a job or ends it. */
    while (flush(set, s, now_ms) && !s->blocked && !tg_att_client_busy(&s->client)) {
        struct tg_gatt_step step = tg_gatt_plan_next(&d->plan);
        struct gatt_job *job = d->job;
        s->idle = false;
        if (!job && tg_gatt_plan_steady(&d->plan) && gatt_job_next(set, d))
            continue; /* what it wants may have to be discovered first */
        if (job && d->plan.resolved) {
            gatt_job_run(set, s, job, now_ms);
            s->job_on_wire = job->on_wire;
            continue;
        }
        if (step.kind == TG_GATT_STEP_IDLE) {
            if (!d->settled || d->pending_count)
                settle(set, d, now_ms);
            s->idle = true;
            return;
        }
        if (tg_gatt_plan_ask(&step, &s->client, now_ms) < 0) {
            gatt_slot_failed(set, s, false, "the next request cannot be made",
                             now_ms); /* UNTESTED: plan and client agree */
            return;
        }
    }
}
