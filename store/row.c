/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "store/row.h"

#include "core/base/assert.h"
#include "core/base/pool.h"
#include "store/timeline.h"

#define KEPT_BYTES (256 * 1024) /* as many rows as wait for a commit at some thousand samples a second */

/* Of the loop thread, as rows are; nothing is kept while no store is open. */
static struct tg_pool pool;
static unsigned holders;

void tg_rows_hold(void)
{
    if (holders++ == 0)
        pool.limit_bytes = KEPT_BYTES;
}

void tg_rows_release(void)
{
    TG_ASSERT(holders > 0);
    if (--holders > 0)
        return;
    pool.limit_bytes = 0;
    tg_pool_drain(&pool);
}

struct tg_row *tg_row_new(uint64_t id, uint32_t device, uint64_t seq, int64_t time_ms, struct tg_bytes body)
{
    struct tg_row *row = tg_pool_take(&pool, sizeof *row + body.len);
    if (!row)
        return NULL;
    *row = (struct tg_row){.refs = 1,
                           .device = device,
                           .id = id,
                           .seq = seq,
                           .time_ms = time_ms,
                           .body_len = (uint32_t)body.len};
    if (body.len > 0)
        memcpy(row->body, body.data, body.len);
    return row;
}

struct tg_row *tg_row_ref(struct tg_row *row)
{
    row->refs++;
    return row;
}

void tg_row_unref(struct tg_row *row)
{
    TG_ASSERT(row->refs > 0);
    if (--row->refs == 0)
        tg_pool_give(&pool, row, sizeof *row + row->body_len);
}

struct tg_row *tg_row_resolve(struct tg_row *row, const struct tg_timeline *timeline)
{
    struct tg_bytes body = tg_bytes(row->body, row->body_len);
    struct tg_sample_reader r;
    struct tg_sample_time time;
    struct tg_row *fresh;
    struct tg_writer w;
    row->flags &= ~TG_ROW_WAITS;
    /* What is damaged is found by whoever sends it. */
    if (!tg_sample_is_unstamped(body) || tg_sample_reader_init(&r, body) < 0)
        return tg_row_ref(row);
    time = tg_timeline_resolve(
        timeline, row->id, &(struct tg_sample_time){.kind = TG_TIME_BOOT, .boot = r.boot, .ms = r.time_ms});
    if (time.kind == TG_TIME_BOOT) {
        row->flags |= TG_ROW_WAITS;
        return tg_row_ref(row);
    }
    /* A wall time takes a little more than the time since boot, and the number of the boot takes much. */
    fresh = tg_row_new(row->id, row->device, row->seq, time.ms, body);
    if (!fresh)
        return NULL;
    w = tg_writer_init(fresh->body, fresh->body_len);
    if (tg_sample_restamp(body, &time, &w) < 0 || w.failed) {
        tg_row_unref(fresh);
        return tg_row_ref(row);
    }
    fresh->body_len = (uint32_t)w.len;
    fresh->urgent = row->urgent;
    return fresh;
}

void tg_row_list_push(struct tg_row_list *list, struct tg_row *row)
{
    row->next = NULL;
    if (list->tail)
        list->tail->next = row;
    else
        list->head = row;
    list->tail = row;
    list->count++;
    list->bytes += tg_row_cost(row);
}

struct tg_row *tg_row_list_pop(struct tg_row_list *list)
{
    struct tg_row *row = list->head;
    list->head = row->next;
    if (!list->head)
        list->tail = NULL;
    row->next = NULL;
    list->count--;
    list->bytes -= tg_row_cost(row);
    return row;
}

void tg_row_list_remove(struct tg_row_list *list, struct tg_row *before, struct tg_row *row)
{
    TG_ASSERT((before ? before->next : list->head) == row);
    if (before)
        before->next = row->next;
    else
        list->head = row->next;
    if (list->tail == row)
        list->tail = before;
    row->next = NULL;
    list->count--;
    list->bytes -= tg_row_cost(row);
}
