/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * Pages of the log for feeds that are behind.
 */
#include "core/base/clock.h"
#include "store/store_thread.h"

#define READ_CHUNK 512u
#define READ_LOOKS 16384u /* rows looked at for one page */

struct reading {
    struct tg_store_thread *t;
    const struct tg_scan *scan;
    uint32_t rows, looks;
    uint64_t last_id; /* looked at */
    bool full;
};

static void read_row(void *user, const struct tg_outbox_row *row)
{
    static const uint8_t zero[8];
    struct reading *r = user;
    struct tg_store_thread *t = r->t;
    struct tg_page_row head = {row->id, row->seq, row->time_ms, 0, (uint32_t)row->body.len};
    const struct tg_thread_index *x = &t->device_of_number;
    if (r->full)
        return;
    r->looks++;
    head.device = row->device < x->cap ? x->at[row->device] : UINT32_MAX;
    if (head.device < r->scan->devices && row->id >= r->scan->want[head.device]) {
        size_t pad = (8 - row->body.len % 8) % 8;
        if (r->rows >= r->scan->max_rows || (r->rows > 0 && t->page.len >= r->scan->max_bytes) ||
            tg_buffer_reserve(&t->page, sizeof head + row->body.len + pad) < 0) {
            r->full = true;
            return;
        }
        (void)!tg_buffer_append(&t->page, tg_bytes(&head, sizeof head)); /* reserved: cannot fail */
        (void)!tg_buffer_append(&t->page, row->body);
        (void)!tg_buffer_append(&t->page, tg_bytes(zero, pad));
        r->rows++;
    }
    r->last_id = row->id;
}

/* Fills the page. *ret_through: up to where it is complete, 0 = nothing could be read. */
static int read_page(struct tg_store_thread *t, struct tg_outbox *ob, const struct tg_scan *scan,
                     uint64_t *ret_through, struct tg_error *err)
{
    struct reading r = {.t = t, .scan = scan, .last_id = scan->from_id - 1};
    uint64_t from = scan->from_id;
    while (!r.full && r.looks < READ_LOOKS) {
        uint32_t rows = scan->max_rows - r.rows + 1 < READ_CHUNK ? READ_CHUNK / 4 : READ_CHUNK;
        size_t room = t->page.len < scan->max_bytes ? scan->max_bytes - t->page.len : 1;
        int rc = scan->urgent ? tg_outbox_read_urgent(ob, from, rows, room, read_row, &r, &from, err)
                              : tg_outbox_read(ob, from, UINT32_MAX, rows, room, read_row, &r, &from, err);
        if (rc < 0)
            return rc;
        if (rc == 0 && !r.full)
            r.last_id = tg_outbox_last_id(ob) > t->last_id ? tg_outbox_last_id(ob) : t->last_id;
        if (rc == 0)
            break;
    }
    *ret_through = r.full && r.rows == 0 ? 0 : r.last_id; /* not even memory for one row: as if unreadable */
    return TG_OK;
}

void tg_store_thread_read(struct tg_store_thread *t)
{
    const struct tg_scan *scan = t->scan;
    struct tg_error err = {0};
    uint64_t through = 0;
    int rc = TG_OK;
    t->page_state = TG_PAGE_READING;
    pthread_mutex_unlock(&t->lock);
    t->page.len = 0;
    if (t->ob && (rc = read_page(t, t->ob, scan, &through, &err)) < 0) {
        t->page.len = 0;
        tg_store_thread_close_broken(t);
        tg_store_thread_mark_beyond(t, true);
    } else if (!t->ob && t->reader && read_page(t, t->reader, scan, &through, &err) < 0) {
        t->page.len = 0; /* the rest of it waits for the disk */
        tg_outbox_close(t->reader, false);
        t->reader = NULL;
    }
    pthread_mutex_lock(&t->lock);
    t->news.readable = t->ob || t->reader;
    if (rc < 0)
        tg_store_thread_failed(t, rc, &err, tg_clock_mono_ms());
    t->page_state = TG_PAGE_READY;
    t->news.pages_read++;
    t->news.page_ready = true;
    t->news.page_through = through;
    tg_store_thread_tell(t);
}
