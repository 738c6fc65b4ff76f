/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * row - making the counted rows of store.h, and the list of those that are not stored yet. Private to the
 * store. Loop thread; the store thread reads rows of the list (never their counts) while the loop keeps them
 * alive.
 */
#ifndef TG_STORE_ROW_H
#define TG_STORE_ROW_H

#include "store/store.h"

/* The most a body may have: what the outbox stores. */
#define TG_ROW_BODY_MAX 65536

/* Between these the memory of rows that go is kept for those that come: from the opening of a store to its end. */
void tg_rows_hold(void);
void tg_rows_release(void);

/* One reference, the caller's. NULL = out of memory. */
struct tg_row *tg_row_new(uint64_t id, uint32_t device, uint64_t seq, int64_t time_ms, struct tg_bytes body);

/* The row with its wall time: another one where it was stamped since boot and the timeline says when that was, else the same; one
 * reference more, the caller's. It is flagged TG_ROW_WAITS while its time is not known. NULL = out of memory. */
#define TG_ROW_WAITS 1u /* flags have 8 bits; store_lazy.c has the others */
struct tg_timeline;
struct tg_row *tg_row_resolve(struct tg_row *row, const struct tg_timeline *timeline);

/* What a row costs against the bounds. */
static inline size_t tg_row_cost(const struct tg_row *row)
{
    return sizeof *row + row->body_len;
}

/* Rows in id order, linked by `next`; each holds one reference. */
struct tg_row_list {
    struct tg_row *head, *tail;
    uint64_t count;
    size_t bytes;
};

void tg_row_list_push(struct tg_row_list *list, struct tg_row *row);
/* Unlinks the head; its reference is the caller's. The list is not empty. */
struct tg_row *tg_row_list_pop(struct tg_row_list *list);
/* Unlinks `row`, which follows `before` (NULL: it is the head); its reference is the caller's. */
void tg_row_list_remove(struct tg_row_list *list, struct tg_row *before, struct tg_row *row);

#endif
