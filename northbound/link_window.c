/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * The memory of the in-flight window: it begins small, grows with what is in flight up to max_in_flight, and shrinks again. A
 * thousand sessions that each send now and then never need more than the first places.
 */
#include "core/base/allocator.h"
#include "core/base/assert.h"
#include "northbound/link.h"

#define FIRST_PLACES 4u
#define GROWTH       4u
#define CALM_ROUNDS  256 /* so often in a row the window was empty again without having needed more */

static uint32_t first_places(const struct tg_link *l)
{
    return l->batch_cap < FIRST_PLACES ? l->batch_cap : FIRST_PLACES;
}

static uint32_t next_size(const struct tg_link *l, uint32_t places)
{
    return places < l->batch_cap / GROWTH ? places * GROWTH : l->batch_cap;
}

static int set_batches(struct tg_link *l, uint32_t places)
{
    struct tg_batch *ring = tg_calloc(places, sizeof *ring);
    if (!ring)
        return TG_ENOMEM;
    TG_ASSERT(l->next_tag - l->first_tag <= places);
    for (uint64_t tag = l->first_tag; tag < l->next_tag; tag++)
        ring[tag % places] = *tg_link_batch(l, tag);
    tg_free(l->batches);
    l->batches = ring;
    l->ring_places = places;
    return TG_OK;
}

static int set_slots(struct tg_link *l, uint32_t places)
{
    struct tg_mqtt_slot *slots = tg_calloc(places, sizeof *slots);
    if (!slots)
        return TG_ENOMEM;
    tg_mqtt_client_move(&l->mqtt, slots, (uint16_t)places);
    tg_free(l->slots);
    l->slots = slots;
    l->slot_places = places;
    return TG_OK;
}

int tg_link_window_init(struct tg_link *l)
{
    l->slot_places = first_places(l);
    l->slots = tg_calloc(l->slot_places, sizeof *l->slots);
    return l->slots && set_batches(l, first_places(l)) == TG_OK ? TG_OK : TG_ENOMEM;
}

void tg_link_window_fini(struct tg_link *l)
{
    tg_free(l->batches);
    tg_free(l->slots);
}

uint32_t tg_link_window(struct tg_link *l)
{
    uint32_t room;
    /* Without memory there is just no room: what is in flight frees a place. */
    if (tg_mqtt_client_in_flight(&l->mqtt) >= l->slot_places &&
        (l->slot_places >= l->batch_cap || set_slots(l, next_size(l, l->slot_places)) < 0))
        return 0;
    room = tg_mqtt_client_window(&l->mqtt);
    return room ? room + (l->batch_cap - l->slot_places) : 0;
}

struct tg_batch *tg_link_new_batch(struct tg_link *l, uint32_t rows)
{
    struct tg_batch *b;
    uint32_t waiting = (uint32_t)(l->next_tag - l->first_tag);
    TG_ASSERT(waiting < l->batch_cap);
    if (waiting >= FIRST_PLACES)
        l->calm_rounds = 0;
    if (waiting >= l->ring_places && set_batches(l, next_size(l, l->ring_places)) < 0)
        return NULL;
    b = tg_link_batch(l, l->next_tag);
    *b = (struct tg_batch){0};
    if (rows > 1) {
        b->many = tg_malloc(rows * sizeof(struct tg_row *));
        if (!b->many)
            return NULL;
    }
    return b;
}

void tg_link_let_go(struct tg_batch *b)
{
    for (uint32_t i = 0; i < b->count; i++)
        tg_row_unref(tg_batch_rows(b)[i]);
    tg_free(b->many);
    b->many = NULL;
    b->count = 0;
    b->session = NULL;
    b->acked = false;
}

void tg_link_window_shrink(struct tg_link *l)
{
    uint32_t places = first_places(l);
    l->calm_rounds = 0;
    if (l->first_tag != l->next_tag)
        return;
    if (l->ring_places > places)
        (void)set_batches(l, places); /* without memory it stays as it is */
    if (l->slot_places > places && tg_mqtt_client_in_flight(&l->mqtt) <= places)
        (void)set_slots(l, places);
}

void tg_link_window_emptied(struct tg_link *l)
{
    if (l->ring_places > FIRST_PLACES && ++l->calm_rounds >= CALM_ROUNDS)
        tg_link_window_shrink(l);
}
