/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "northbound/mqtt/mqtt_inflight.h"

#include <string.h>

#include "core/base/assert.h"

#define ALL_IDS 65536u /* with 0, which is counted but stepped over */

void tg_mqtt_inflight_init(struct tg_mqtt_inflight *f, struct tg_mqtt_slot *slots, uint16_t slot_count)
{
    TG_ASSERT(slot_count >= 1 && slot_count <= TG_MQTT_MAX_WINDOW);
    memset(f, 0, sizeof *f);
    memset(slots, 0, slot_count * sizeof *slots);
    f->slots = slots;
    f->slot_count = slot_count;
    f->next_id = 1;
    f->free_ids = ALL_IDS;
}

/* first + i stays below 2 × 4096: no division on the hot path. */
static struct tg_mqtt_slot *slot_at(const struct tg_mqtt_inflight *f, uint16_t i)
{
    unsigned at = (unsigned)f->first + i;
    return &f->slots[at >= f->slot_count ? at - f->slot_count : at];
}

/* --- packet ids --- */

static void step_id(struct tg_mqtt_inflight *f)
{
    do {
        f->next_id++;
        if (f->free_ids > 0)
            f->free_ids--;
    } while (f->next_id == 0);
}

/* How many ids from next_id on are free: the distance, going up and around, to the nearest one in use.
 * Ids given out later lie behind next_id, so this stays true while it is counted down. */
static uint32_t count_free_ids(const struct tg_mqtt_inflight *f)
{
    uint32_t least = ALL_IDS;
    for (uint16_t i = 0; i < f->span; i++) {
        uint16_t id = slot_at(f, i)->packet_id;
        uint16_t distance = (uint16_t)(id - f->next_id);
        if (id != 0 && distance < least)
            least = distance;
    }
    if (f->reserved_id != 0 && (uint16_t)(f->reserved_id - f->next_id) < least)
        least = (uint16_t)(f->reserved_id - f->next_id);
    return least;
}

uint16_t tg_mqtt_inflight_next_id(struct tg_mqtt_inflight *f)
{
    while (f->free_ids == 0) {
        f->free_ids = count_free_ids(f);
        if (f->free_ids == 0)
            step_id(f); /* ends: at most 4097 ids are in use */
    }
    return f->next_id;
}

void tg_mqtt_inflight_reserve(struct tg_mqtt_inflight *f)
{
    f->reserved_id = tg_mqtt_inflight_next_id(f);
    step_id(f);
}

void tg_mqtt_inflight_release(struct tg_mqtt_inflight *f)
{
    f->reserved_id = 0;
}

/* --- the ring --- */

/* Closes the holes; the order stays. */
static void compact(struct tg_mqtt_inflight *f)
{
    uint16_t kept = 0;
    for (uint16_t i = 0; i < f->span; i++) {
        struct tg_mqtt_slot *slot = slot_at(f, i);
        if (slot->packet_id == 0)
            continue;
        if (kept != i) {
            *slot_at(f, kept) = *slot;
            slot->packet_id = 0;
        }
        kept++;
    }
    f->span = kept;
}

void tg_mqtt_inflight_move(struct tg_mqtt_inflight *f, struct tg_mqtt_slot *slots, uint16_t slot_count)
{
    uint16_t kept = 0, resend_at = 0;
    TG_ASSERT(slot_count >= 1 && slot_count <= TG_MQTT_MAX_WINDOW && f->count <= slot_count);
    memset(slots, 0, slot_count * sizeof *slots);
    for (uint16_t i = 0; i < f->span; i++) {
        const struct tg_mqtt_slot *slot = slot_at(f, i);
        if (i == f->resend_at)
            resend_at = kept;
        if (slot->packet_id != 0)
            slots[kept++] = *slot;
    }
    f->resend_at = f->resend_at >= f->span ? kept : resend_at;
    f->slots = slots;
    f->slot_count = slot_count;
    f->first = 0;
    f->span = kept;
}

/* Frees slot i and cuts the holes off both ends. */
static void remove_slot(struct tg_mqtt_inflight *f, int64_t now_ms, uint16_t i)
{
    slot_at(f, i)->packet_id = 0;
    f->count--;
    if (i == 0)
        f->front_ms = now_ms; /* the next one's turn to be acknowledged begins now */
    while (f->span > 0 && slot_at(f, 0)->packet_id == 0) {
        f->first = (uint16_t)(f->first + 1 == f->slot_count ? 0 : f->first + 1);
        f->span--;
        if (f->resend_at > 0)
            f->resend_at--;
    }
    while (f->span > 0 && slot_at(f, (uint16_t)(f->span - 1))->packet_id == 0)
        f->span--;
    if (f->resend_at > f->span)
        f->resend_at = f->span;
}

void tg_mqtt_inflight_add(struct tg_mqtt_inflight *f, int64_t now_ms, uint64_t tag)
{
    struct tg_mqtt_slot *slot;
    TG_ASSERT(tg_mqtt_inflight_room(f) > 0);
    if (f->span == f->slot_count)
        compact(f);
    if (f->count == 0)
        f->front_ms = now_ms;
    slot = slot_at(f, f->span);
    slot->tag = tag;
    slot->sent_ms = now_ms;
    slot->packet_id = tg_mqtt_inflight_next_id(f);
    step_id(f);
    f->span++;
    f->count++;
    f->resend_at = f->span;
}

bool tg_mqtt_inflight_ack(struct tg_mqtt_inflight *f, int64_t now_ms, uint16_t packet_id, uint64_t *ret_tag)
{
    uint16_t i = 0;
    if (packet_id == 0)
        return false;
    while (i < f->resend_at && slot_at(f, i)->packet_id != packet_id)
        i++;
    if (i >= f->resend_at)
        return false;
    *ret_tag = slot_at(f, i)->tag;
    remove_slot(f, now_ms, i);
    return true;
}

bool tg_mqtt_inflight_forgo(struct tg_mqtt_inflight *f, int64_t now_ms, uint64_t tag)
{
    for (uint16_t i = 0; i < f->resend_at; i++)
        if (slot_at(f, i)->packet_id != 0 && slot_at(f, i)->tag == tag) {
            remove_slot(f, now_ms, i);
            return true;
        }
    return false;
}

void tg_mqtt_inflight_connection_lost(struct tg_mqtt_inflight *f)
{
    compact(f);
    f->resend_at = 0;
    f->reserved_id = 0;
}

const struct tg_mqtt_slot *tg_mqtt_inflight_resend_next(const struct tg_mqtt_inflight *f)
{
    return f->resend_at < f->span ? slot_at(f, f->resend_at) : NULL;
}

void tg_mqtt_inflight_resent(struct tg_mqtt_inflight *f, int64_t now_ms)
{
    struct tg_mqtt_slot *slot;
    TG_ASSERT(f->resend_at < f->span);
    slot = slot_at(f, f->resend_at);
    slot->sent_ms = now_ms;
    if (f->resend_at == 0)
        f->front_ms = now_ms;
    f->resend_at++;
}

void tg_mqtt_inflight_resend_drop(struct tg_mqtt_inflight *f, int64_t now_ms)
{
    uint16_t i = f->resend_at;
    TG_ASSERT(i < f->span);
    f->resend_at++;
    remove_slot(f, now_ms, i);
}

bool tg_mqtt_inflight_waiting(const struct tg_mqtt_inflight *f, int64_t *ret_since_ms)
{
    if (f->resend_at == 0)
        return false; /* none is in flight, or the oldest one was not sent again yet */
    *ret_since_ms = f->front_ms;
    return true;
}

void tg_mqtt_inflight_forget(struct tg_mqtt_inflight *f)
{
    for (uint16_t i = 0; i < f->span; i++)
        slot_at(f, i)->packet_id = 0;
    f->first = f->span = f->count = f->resend_at = 0;
}
