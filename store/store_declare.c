/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * Devices and cursors: our own dense numbers, which stay while the process runs, and the outbox's, which
 * change when a damaged database is set aside and an empty one is begun.
 */
#include "store/store_thread.h"

#include "core/base/allocator.h"

static int no_memory(struct tg_error *err)
{
    return tg_error_set(err, TG_ENOMEM, "out of memory while declaring a device to the store");
}

/* Makes room for index `at`; new entries are zero, or all ones when `ones`. */
static int grow(void *table_ptr, uint32_t *cap, uint32_t at, size_t size, bool ones)
{
    void *table, *old;
    uint32_t fresh = *cap ? *cap : 16;
    if (at < *cap)
        return TG_OK;
    while (fresh <= at)
        fresh *= 2;
    memcpy(&old, table_ptr, sizeof old);
    table = tg_realloc(old, fresh * size);
    if (!table)
        return TG_ENOMEM;
    memset((uint8_t *)table + *cap * size, ones ? 0xff : 0, (fresh - *cap) * size);
    memcpy(table_ptr, &table, sizeof table);
    *cap = fresh;
    return TG_OK;
}

static int set_index(struct tg_thread_index *x, uint32_t number, uint32_t index)
{
    int rc = grow(&x->at, &x->cap, number, sizeof *x->at, true);
    if (rc == TG_OK)
        x->at[number] = index;
    return rc;
}

static uint32_t get_index(const struct tg_thread_index *x, uint32_t number)
{
    return number < x->cap ? x->at[number] : UINT32_MAX;
}

static int out_of_reach(const struct tg_store_thread *t, const char *what, const char *name,
                        struct tg_error *err)
{
    return tg_error_set(
        err, TG_EBUSY,
        "%s %s is new and the outbox in %s cannot be written now; declare it when that has ended", what, name,
        t->dir);
}

/* --- devices ---------------------------------------------------------------------------------------- */

int tg_store_thread_add_device(struct tg_store_thread *t, const char *name, uint32_t number,
                               uint64_t last_seq, struct tg_error *err)
{
    uint32_t slot = t->device_count;
    struct tg_gone *gone;
    if (grow(&t->devices, &t->device_cap, slot, sizeof *t->devices, false) < 0)
        return no_memory(err);
    if (slot >= t->gone_cap) {
        pthread_mutex_lock(&t->lock);
        gone = t->gone;
        int rc = grow(&gone, &t->gone_cap, slot, sizeof *gone, false);
        t->gone = gone;
        pthread_mutex_unlock(&t->lock);
        if (rc < 0)
            return no_memory(err);
    }
    char *copy = tg_strdup(name);
    if (!copy)
        return no_memory(err);
    if (number != UINT32_MAX && set_index(&t->device_of_number, number, slot) < 0) {
        tg_free(copy);
        return no_memory(err);
    }
    t->devices[slot] = (struct tg_thread_device){.name = copy, .number = number, .last_seq = last_seq};
    t->device_count++;
    return TG_OK;
}

int tg_store_thread_declare_device(struct tg_store_thread *t, const char *name, uint32_t *ret_slot,
                                   struct tg_error *err)
{
    uint32_t number = 0, slot = UINT32_MAX;
    int rc;
    if (!t->ob) {
        for (uint32_t i = 0; i < t->device_count; i++) {
            if (strcmp(t->devices[i].name, name) == 0)
                slot = i;
        }
        if (slot == UINT32_MAX)
            return t->waiting ? tg_store_thread_wait_device(t, name, ret_slot, err)
                              : out_of_reach(t, "device", name, err);
        *ret_slot = slot;
        return TG_OK;
    }
    if ((rc = tg_outbox_device(t->ob, name, &number, err)) < 0)
        return rc;
    slot = get_index(&t->device_of_number, number);
    if (slot == UINT32_MAX) {
        slot = t->device_count;
        if ((rc = tg_store_thread_add_device(t, name, number, tg_outbox_last_seq(t->ob, number), err)) < 0)
            return rc;
    }
    t->devices[slot].last_seq = tg_outbox_last_seq(t->ob, number);
    *ret_slot = slot;
    return TG_OK;
}

/* --- cursors ----------------------------------------------------------------------------------------- */

/* What the loop and the thread share, per cursor. */
static int grow_slots(struct tg_store_thread *t, uint32_t at)
{
    uint32_t acks = t->slot_cap, moves = t->slot_cap, queue = t->slot_cap;
    int rc;
    if (at < t->slot_cap)
        return TG_OK;
    pthread_mutex_lock(&t->lock);
    rc = grow(&t->acks, &acks, at, sizeof *t->acks, false);
    if (rc == TG_OK)
        rc = grow(&t->moves, &moves, at, sizeof *t->moves, false);
    if (rc == TG_OK)
        rc = grow(&t->ack_queue, &queue, at, sizeof *t->ack_queue, false);
    if (rc == TG_OK)
        t->slot_cap = acks;
    pthread_mutex_unlock(&t->lock);
    return rc;
}

static uint32_t find_cursor(const struct tg_store_thread *t, uint32_t device, const char *cloud)
{
    for (uint32_t i = 0; i < t->cursor_count; i++) {
        if (t->cursors[i].device == device && strcmp(t->cursors[i].cloud, cloud) == 0)
            return i;
    }
    return UINT32_MAX;
}

bool tg_store_thread_knows_cursor(const struct tg_store_thread *t, uint32_t device, const char *cloud)
{
    return find_cursor(t, device, cloud) != UINT32_MAX;
}

static int add_cursor(struct tg_store_thread *t, uint32_t device, const char *cloud, uint32_t number,
                      struct tg_error *err)
{
    uint32_t slot = t->cursor_count;
    if (grow(&t->cursors, &t->cursor_cap, slot, sizeof *t->cursors, false) < 0 ||
        grow(&t->todo, &t->todo_cap, slot, sizeof *t->todo, false) < 0 || grow_slots(t, slot) < 0)
        return no_memory(err);
    char *copy = tg_strdup(cloud);
    if (!copy)
        return no_memory(err);
    if (number != UINT32_MAX && set_index(&t->cursor_of_number, number, slot) < 0) {
        tg_free(copy);
        return no_memory(err);
    }
    t->cursors[slot] = (struct tg_thread_cursor){.device = device, .cloud = copy, .number = number};
    t->cursor_count++;
    return TG_OK;
}

int tg_store_thread_add_cursor(struct tg_store_thread *t, uint32_t device, const char *cloud,
                               uint32_t *ret_slot, struct tg_error *err)
{
    uint32_t slot = find_cursor(t, device, cloud);
    int rc = TG_OK;
    if (slot == UINT32_MAX) {
        slot = t->cursor_count;
        rc = add_cursor(t, device, cloud, UINT32_MAX, err);
    }
    if (rc == TG_OK)
        *ret_slot = slot;
    return rc;
}

static void note_time(void *user, const struct tg_outbox_row *row)
{
    int64_t *ret_time_ms = user;
    *ret_time_ms = row->time_ms;
}

static int describe_ahead(struct tg_store_thread *t, const struct tg_thread_cursor *c, uint64_t acked_seq,
                          struct tg_runs *ret_ahead, struct tg_error *err)
{
    const struct tg_runs *stored = tg_outbox_ahead(t->ob, c->number);
    bool more = (c->todo || t->o.outbox.durability == TG_DURABILITY_LAZY) && !c->held;
    if (tg_runs_reserve(ret_ahead, stored->count + c->ahead.count) < 0)
        return no_memory(err);
    for (uint32_t i = 0; i < stored->count; i++)
        tg_runs_add(ret_ahead, stored->at[i].first, stored->at[i].last, stored->at[i].last_id);
    for (uint32_t i = 0; i < c->ahead.count && more; i++)
        tg_runs_add(ret_ahead, c->ahead.at[i].first, c->ahead.at[i].last, c->ahead.at[i].last_id);
    (void)tg_runs_cut(ret_ahead, acked_seq);
    return TG_OK;
}

/* Where the cursor stands. What the loop has acknowledged but is not stored yet counts. */
static int describe(struct tg_store_thread *t, uint32_t slot, struct tg_thread_place *ret_place,
                    struct tg_error *err)
{
    struct tg_thread_cursor *c = &t->cursors[slot];
    struct tg_feed_start *start = &ret_place->start;
    uint32_t number = t->devices[c->device].number;
    struct tg_outbox_cursor_state state;
    struct tg_error ignored = {0};
    uint64_t next;
    int rc = tg_outbox_cursor_state(t->ob, c->number, &state);
    tg_runs_clear(&ret_place->ahead); /* of a database that has turned out to be damaged */
    tg_runs_clear(&ret_place->holes);
    if (rc < 0)
        return tg_error_set(err, rc, "the outbox does not know a cursor that it gave");
    *start = (struct tg_feed_start){.device = c->device,
                                    .cursor = slot,
                                    .acked_seq = state.acked_seq,
                                    .acked_id = state.acked_id,
                                    .gap = state.gap,
                                    .tell_seq = state.tell_seq};
    c->told_seq = state.acked_seq;
    c->told_gap = state.gap;
    c->told_tell = state.tell_seq;
    if ((c->todo || t->o.outbox.durability == TG_DURABILITY_LAZY) && c->seq > state.acked_seq) {
        start->acked_seq = c->seq;
        start->acked_id = c->id;
    }
    ret_place->stored_seq = tg_outbox_last_seq(t->ob, number);
    if ((rc = describe_ahead(t, c, start->acked_seq, &ret_place->ahead, err)) < 0 ||
        (rc = tg_outbox_holes(t->ob, number, start->acked_seq, TG_HOLES_MAX, &ret_place->holes, err)) < 0)
        return rc;
    if (state.pending == 0)
        return TG_OK;
    /* The first row behind it, whoever's it is: it tells about how old the oldest is, and costs one look. On a damaged page nobody
     * knows; what becomes of it is decided where the rows are read. */
    (void)!tg_outbox_read(t->ob, state.acked_id + 1, UINT32_MAX, 1, 1, note_time, &start->oldest_ms, &next,
                          &ignored);
    return TG_OK;
}

int tg_store_thread_declare_cursor(struct tg_store_thread *t, uint32_t device, const char *cloud,
                                   struct tg_thread_place *ret_place, struct tg_error *err)
{
    uint32_t number = 0, slot;
    int rc;
    if (!t->ob)
        return t->waiting ? tg_store_thread_wait_cursor(t, device, cloud, ret_place, err)
                          : out_of_reach(t, "cloud", cloud, err);
    if ((rc = tg_outbox_cursor(t->ob, t->devices[device].number, cloud, &number, err)) < 0)
        return rc;
    slot = get_index(&t->cursor_of_number, number);
    if (slot == UINT32_MAX)
        slot = find_cursor(t, device, cloud); /* it was undeclared when the database was opened again */
    if (slot == UINT32_MAX) {
        slot = t->cursor_count;
        rc = add_cursor(t, device, cloud, number, err);
    } else {
        rc = set_index(&t->cursor_of_number, number, slot) < 0 ? no_memory(err) : TG_OK;
    }
    if (rc < 0)
        return rc;
    t->cursors[slot].number = number;
    t->cursors[slot].declared = true;
    t->cursors[slot].left_at_ms = 0;
    t->cursors[slot].retired = false;
    t->cursors[slot].quota = (struct tg_outbox_quota){0}; /* of the feed that was open before */
    if ((rc = tg_outbox_set_quota(t->ob, number, &t->cursors[slot].quota, err)) < 0)
        return rc;
    return describe(t, slot, ret_place, err);
}

int tg_store_thread_where(struct tg_store_thread *t, uint32_t slot, struct tg_thread_place *ret_place,
                          struct tg_error *err)
{
    int rc;
    if (!t->ob || t->cursors[slot].number == UINT32_MAX)
        return out_of_reach(t, "cloud", t->cursors[slot].cloud, err);
    if ((rc = describe(t, slot, ret_place, err)) == TG_OK)
        t->cursors[slot].held = false;
    return rc;
}

/* --- again, after the database was opened again -----------------------------------------------------------
 */

static int continue_numbers(struct tg_store_thread *t, struct tg_error *err)
{
    /* In a new database the numbers are those of the order of declaration: ours. */
    uint64_t *seqs = tg_calloc(t->device_count, sizeof *seqs);
    int rc;
    if (!seqs)
        return no_memory(err);
    for (uint32_t i = 0; i < t->device_count; i++)
        seqs[t->devices[i].number] = t->devices[i].last_seq;
    rc = tg_outbox_continue(t->ob, t->last_id, seqs, t->device_count, err);
    tg_free(seqs);
    return rc;
}

/* What the cursor's cloud had not acknowledged is gone with the database that was set aside. */
static void lose_all(struct tg_store_thread *t, uint32_t slot)
{
    struct tg_thread_cursor *c = &t->cursors[slot];
    uint64_t acked = c->seq > c->told_seq ? c->seq : c->told_seq, last = t->devices[c->device].last_seq;
    struct tg_gap lost = {acked + 1, last, last - acked, TG_GAP_CORRUPT};
    tg_gap_unite(&c->lost, &c->told_gap); /* what it had not been told before either */
    if (last > acked)
        tg_gap_unite(&c->lost, &lost);
    c->quarantined = 0;
    if (!c->todo) {
        c->todo = true;
        t->todo[t->todo_count++] = slot;
    }
}

/* The transaction that was to store it may have been stored. */
static void see_what_is_stored(struct tg_store_thread *t, struct tg_thread_cursor *c)
{
    struct tg_outbox_cursor_state s;
    if (c->quarantined == 0 || tg_outbox_cursor_state(t->ob, c->number, &s) < 0 || s.acked_seq < c->seq)
        return;
    if (c->lost.reasons == TG_GAP_QUARANTINE)
        c->lost = (struct tg_gap){0};
    c->quarantined = 0;
}

int tg_store_thread_declare_all(struct tg_store_thread *t, struct tg_error *err)
{
    bool fresh = t->fresh;
    int rc;
    if (t->device_of_number.cap)
        memset(t->device_of_number.at, 0xff, t->device_of_number.cap * sizeof *t->device_of_number.at);
    if (t->cursor_of_number.cap)
        memset(t->cursor_of_number.at, 0xff, t->cursor_of_number.cap * sizeof *t->cursor_of_number.at);
    for (uint32_t i = 0; i < t->device_count; i++) {
        struct tg_thread_device *d = &t->devices[i];
        if ((rc = tg_outbox_device(t->ob, d->name, &d->number, err)) < 0)
            return rc;
        if (set_index(&t->device_of_number, d->number, i) < 0)
            return no_memory(err);
    }
    if (t->fresh) {
        if ((rc = continue_numbers(t, err)) < 0)
            return rc;
        t->fresh = false;
        for (uint32_t i = 0; i < t->cursor_count; i++)
            t->cursors[i].number = UINT32_MAX;
    }
    for (uint32_t i = 0; i < t->cursor_count; i++) {
        struct tg_thread_cursor *c = &t->cursors[i];
        if (!c->declared)
            continue;
        if ((rc = tg_outbox_cursor(t->ob, t->devices[c->device].number, c->cloud, &c->number, err)) < 0)
            return rc;
        if (set_index(&t->cursor_of_number, c->number, i) < 0)
            return no_memory(err);
        if ((rc = tg_outbox_set_quota(t->ob, c->number, &c->quota, err)) < 0)
            return rc;
        if (fresh)
            lose_all(t, i);
        else
            see_what_is_stored(t, c);
    }
    return TG_OK;
}
