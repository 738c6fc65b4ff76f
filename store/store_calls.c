/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * What users of the store ask for and the thread has to do before they go on: devices, feeds, quotas, who is configured.
 */
#include <string.h>

#include "core/base/assert.h"
#include "store/store.h"
#include "store/store_private.h"

int tg_store_declare(struct tg_store *s, const struct tg_outbox_declaration *list, uint32_t count,
                     struct tg_error *err)
{
    struct tg_thread_call call = {.kind = TG_CALL_DECLARE, .list = list, .count = count, .err = err};
    return tg_store_thread_call(&s->thread, &call);
}

int tg_store_device(struct tg_store *s, const char *name, uint32_t *ret_device, struct tg_error *err)
{
    struct tg_thread_call call = {.kind = TG_CALL_DEVICE, .name = name, .err = err};
    int rc = tg_store_thread_call(&s->thread, &call);
    if (rc == TG_OK && (rc = tg_feeds_device(&s->feeds, call.slot, call.last_seq)) < 0)
        return tg_error_set(err, rc, "device %s cannot be stored: %s", name, tg_code_text(rc));
    if (rc != TG_OK)
        return rc;
    tg_feeds_urgent(&s->feeds, call.slot, call.urgent_high);
    *ret_device = call.slot;
    return TG_OK;
}

/* Numbers of the device above `above` that are not in the log and in no row of the list: they left memory, or are leaped over. */
static void holes_in_memory(const struct tg_store *s, uint32_t device, uint64_t above, struct tg_runs *holes)
{
    uint64_t next = above + 1, last = s->feeds.devices[device].last_seq;
    const struct tg_row *row = s->rows.head;
    while (next <= last) {
        while (row && (row->device != device || row->seq < next))
            row = row->next;
        uint64_t end = row ? row->seq - 1 : last;
        if (next <= end) {
            if (holes->count >= TG_HOLES_MAX || tg_runs_reserve(holes, holes->count + 1) < 0)
                return; /* as tg_feed_hole() */
            tg_runs_add(holes, next, end, 0);
        }
        next = end + 2;
    }
}

const struct tg_feed_start *tg_store_place(struct tg_store *s, struct tg_thread_place *p)
{
    uint64_t above = p->stored_seq > p->start.acked_seq ? p->stored_seq : p->start.acked_seq;
    if (tg_store_thread_has_gone(&s->thread, p->start.device))
        holes_in_memory(s, p->start.device, above, &p->holes);
    p->start.ahead = &p->ahead;
    p->start.holes = &p->holes;
    return &p->start;
}

int tg_feed_open(struct tg_store *s, uint32_t device, const char *cloud, void (*on_rows)(void *user),
                 void *user, struct tg_feed **ret_feed, struct tg_error *err)
{
    struct tg_thread_call call = {.kind = TG_CALL_CURSOR, .name = cloud, .device = device, .err = err};
    const struct tg_feed_start *start;
    int rc;
    if (device >= s->feeds.device_count)
        return tg_error_set(err, TG_EINVAL, "device %u is not declared to the store", device);
    if (tg_store_is_lazy(s))
        tg_store_give_held(s); /* a cursor that is new begins behind what is in memory */
    if ((rc = tg_store_thread_call(&s->thread, &call)) < 0) {
        tg_runs_fini(&call.place.ahead);
        tg_runs_fini(&call.place.holes);
        return rc;
    }
    start = tg_store_place(s, &call.place);
    call.place.start.cloud = cloud;
    if (start->cursor < s->feeds.cursor_cap && s->feeds.by_cursor[start->cursor])
        rc = tg_error_set(err, TG_EEXISTS, "device %u already has a feed for cloud %s", device, cloud);
    else if ((rc = tg_feeds_open(&s->feeds, start, on_rows, user, ret_feed)) < 0)
        rc = tg_error_set(err, rc, "cloud %s cannot be fed: %s", cloud, tg_code_text(rc));
    else
        tg_store_adopt(s, start->cursor);
    tg_runs_fini(&call.place.ahead);
    tg_runs_fini(&call.place.holes);
    return rc;
}

void tg_feed_close(struct tg_feed *f)
{
    struct tg_store *s = TG_OBJECT(f->set->owner, struct tg_store, TG_STORE_MAGIC);
    tg_store_thread_ack_begin(&s->thread);
    if (f->dirty)
        tg_store_give_acks(s, f);
    tg_store_thread_closed(&s->thread, f->cursor);
    tg_store_thread_ack_end(&s->thread);
    tg_store_orphan(s, f);
    tg_feeds_close(f);
}

int tg_store_retire_undeclared(struct tg_store *s, uint64_t *ret_rows, struct tg_error *err)
{
    struct tg_thread_call call = {.kind = TG_CALL_RETIRE, .err = err};
    int rc = tg_store_thread_call(&s->thread, &call);
    if (rc == TG_OK) {
        *ret_rows = call.rows;
        tg_store_no_orphans(s);
    }
    return rc;
}

int tg_store_left(struct tg_store *s, const struct tg_outbox_declaration *configured, uint32_t count,
                  struct tg_error *err)
{
    struct tg_thread_call call = {.kind = TG_CALL_LEFT, .list = configured, .count = count, .err = err};
    return tg_store_thread_call(&s->thread, &call);
}

int tg_store_set_quota(struct tg_store *s, uint32_t device, const char *cloud,
                       const struct tg_outbox_quota *quota, struct tg_error *err)
{
    struct tg_feed *f = device < s->feeds.device_count ? s->feeds.devices[device].feeds : NULL;
    while (f && strcmp(f->cloud, cloud) != 0)
        f = f->next_of_device;
    if (!f)
        return tg_error_set(err, TG_ENOTFOUND, "there is no feed for cloud %s", cloud);
    if (memcmp(&f->quota, quota, sizeof *quota) == 0)
        return TG_OK;
    struct tg_thread_call call = {.kind = TG_CALL_QUOTA, .slot = f->cursor, .quota = *quota, .err = err};
    int rc = tg_store_thread_call(&s->thread, &call);
    if (rc == TG_OK)
        f->quota = *quota;
    return rc;
}
