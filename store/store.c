/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * The public face of the store: ties the feeds (feed.h) to the thread (store_thread.h) on the loop.
 */
#include "store/store.h"

#include <stdio.h>

#include "core/base/allocator.h"
#include "core/base/assert.h"
#include "core/base/clock.h"
#include "core/base/plural.h"
#include "store/store_private.h"

#define DEFAULT_MAX_ROWS      1000u
#define DEFAULT_UNCOMMITTED   ((size_t)8 << 20)
#define DEFAULT_PREFETCH      ((size_t)4 << 20)
#define HAND_ROWS             256u /* handed before the feeds that got some are told: half a ring */
#define DEFAULT_RETRY_MS      500u
#define DEFAULT_WINDOW_MS     5000u
#define DEFAULT_FULL_QUIET_MS 10000u
#define RETRY_MS              100u /* after an allocation failed or a page could not be read */
#define GAP_RECORD_BYTES      (TG_NAME_MAX_BYTES + 256)

/* --- rows to the feeds --------------------------------------------------------------------------------- */

static void hand_next(struct tg_store *s)
{
    struct tg_row *row = s->unhanded;
    s->unhanded = row->next;
    tg_feeds_hand(&s->feeds, row);
}

void tg_store_hand_all(struct tg_store *s)
{
    while (s->unhanded)
        hand_next(s);
}

/* Rows that are stored go to the feeds and leave the list. In steps: a feed that takes at once never
 * overflows. */
static void release_committed(struct tg_store *s)
{
    while (s->rows.head && s->rows.head->id <= s->committed_id) {
        for (uint32_t i = 0; i < HAND_ROWS && s->rows.head && s->rows.head->id <= s->committed_id; i++) {
            if (s->unhanded == s->rows.head)
                hand_next(s);
            if (s->given_tail == s->rows.head)
                s->given_tail = NULL;
            tg_row_unref(tg_row_list_pop(&s->rows));
            s->committed++;
        }
        tg_feeds_notify(&s->feeds);
    }
}

/* The database takes no rows, or not yet: they are delivered all the same. */
static void hand_from_memory(struct tg_store *s)
{
    while (s->unhanded) {
        for (uint32_t i = 0; i < HAND_ROWS && s->unhanded; i++)
            hand_next(s);
        tg_feeds_notify(&s->feeds);
    }
}

static void distribute_page(struct tg_store *s, uint64_t through_id)
{
    struct tg_reader r = tg_reader_init(s->thread.page.data, s->thread.page.len);
    while (tg_reader_left(&r) > 0) {
        struct tg_page_row head;
        memcpy(&head, tg_read_bytes(&r, sizeof head).data, sizeof head);
        struct tg_outbox_row row = {.id = head.id,
                                    .seq = head.seq,
                                    .device = head.device,
                                    .time_ms = head.time_ms,
                                    .body = tg_read_bytes(&r, head.body_len)};
        (void)tg_read_bytes(&r, (8 - head.body_len % 8) % 8);
        tg_feeds_page_row(&s->feeds, &row);
    }
    tg_feeds_page_end(&s->feeds, through_id);
    s->page_failed = through_id == 0;
    tg_store_thread_page_done(&s->thread);
}

static void lose_log(struct tg_store *s, uint64_t lost_id)
{
    for (uint32_t i = 0; i < s->feeds.device_count; i++)
        s->feeds.devices[i].floor_seq = s->feeds.devices[i].last_seq;
    for (const struct tg_row *row = s->rows.head; row; row = row->next) {
        struct tg_feed_device *d = &s->feeds.devices[row->device];
        if (row->seq <= d->floor_seq)
            d->floor_seq = row->seq - 1;
    }
    for (uint32_t i = 0; i < s->feeds.device_count; i++)
        tg_feeds_lost(&s->feeds, i, s->feeds.devices[i].floor_seq, lost_id);
}

void tg_store_give_acks(struct tg_store *s, struct tg_feed *f)
{
    tg_store_thread_ack(&s->thread, f->cursor, f->acked_seq, f->acked_id, f->lane ? &f->lane->acked : NULL);
    if (tg_gap_is(&f->lost))
        tg_store_thread_lose(&s->thread, f->cursor, &f->lost, f->quarantined);
    f->lost = (struct tg_gap){0};
    f->quarantined = 0;
}

static void send_acks(struct tg_store *s)
{
    struct tg_feed *f;
    if (TAILQ_EMPTY(&s->feeds.dirty))
        return;
    tg_store_thread_ack_begin(&s->thread);
    while ((f = TAILQ_FIRST(&s->feeds.dirty)) != NULL) {
        TAILQ_REMOVE(&s->feeds.dirty, f, in_dirty);
        f->dirty = false;
        tg_store_give_acks(s, f);
    }
    tg_store_thread_ack_end(&s->thread);
}

static void pump(struct tg_store *s)
{
    const struct tg_scan *scan;
    if (s->feeds.no_memory || s->page_failed) {
        if (s->retry.at_ms == INT64_MAX)
            tg_deadline_set(&s->retry, tg_loop_now_ms(s->loop) + RETRY_MS);
        return;
    }
    if (s->news.readable && !s->closing && tg_feeds_scan(&s->feeds, s->committed_id, &scan))
        tg_store_thread_ask(&s->thread, scan);
    if (s->feeds.no_memory && s->retry.at_ms == INT64_MAX)
        tg_deadline_set(&s->retry, tg_loop_now_ms(s->loop) + RETRY_MS);
}

static void on_retry(void *user);
static void begin_free(struct tg_store *s);

static void move_feed(void *user, uint32_t cursor, const struct tg_thread_slot *to)
{
    struct tg_store *s = user;
    if (to->back) {
        tg_feeds_leave(&s->feeds, cursor);
        s->leaving = true;
    }
    if (to->retired)
        tg_store_adopt(s, cursor); /* nothing has to be kept for it any more */
    if (to->moved)
        tg_feeds_moved(&s->feeds, cursor, to->seq, to->id, s->news.outbox.oldest_time_ms);
    tg_feeds_gap(&s->feeds, cursor, &to->gap, to->tell_seq);
}

/* Feeds that began behind what could not be read go back to it, once nothing of theirs is in flight. */
static void go_back(struct tg_store *s)
{
    struct tg_error err = {0};
    s->leaving = false;
    send_acks(s); /* they count */
    for (uint32_t i = 0; i < s->feeds.cursor_cap; i++) {
        struct tg_feed *f = s->feeds.by_cursor[i];
        struct tg_thread_call call = {.kind = TG_CALL_BACK, .cursor = i, .err = &err};
        if (!f || !f->leaving)
            continue;
        s->leaving = true;
        if (f->taken_seq > f->acked_seq || tg_lane_has_given(f))
            continue;
        if (tg_store_thread_call(&s->thread, &call) == TG_OK) {
            tg_feeds_urgent(&s->feeds, f->device, call.urgent_high);
            tg_feeds_replace(f, tg_store_place(s, &call.place));
        }
        tg_runs_fini(&call.place.ahead);
        tg_runs_fini(&call.place.holes);
    }
}

static void finish_close(struct tg_store *s)
{
    tg_store_thread_join(&s->thread);
    if (s->rows.count > 0 && s->cb.on_state) {
        char text[200];
        snprintf(text, sizeof text,
                 "outbox: stopped with %llu %s that could not be stored: what no cloud has of it is lost",
                 (unsigned long long)s->rows.count, tg_plural(s->rows.count, "sample", "samples"));
        s->cb.on_state(s->user, s->news.state, text);
    }
    while (s->rows.head)
        tg_row_unref(tg_row_list_pop(&s->rows));
    tg_feeds_fini(&s->feeds);
    tg_free(s->orphans);
    begin_free(s);
}

static void end_drop(struct tg_store *s)
{
    void (*done)(void *, int, const char *, uint64_t) = s->drop_done;
    if (!done || !(s->news.drop_done || s->news.stopped))
        return;
    s->drop_done = NULL;
    if (s->news.drop_done)
        done(s->drop_user, s->news.drop_rc, s->news.drop_text, s->news.drop_rows);
    else
        done(s->drop_user, TG_ESTATE, "the gateway stops; nothing was dropped", 0);
}

int tg_store_drop(struct tg_store *s, const char *device, const char *cloud, int64_t before_ms,
                  void (*done)(void *user, int rc, const char *text, uint64_t rows), void *user,
                  struct tg_error *err)
{
    if (s->drop_done || s->closing)
        return tg_error_set(err, TG_EBUSY, "samples are being dropped already: try again in a moment");
    s->drop_done = done;
    s->drop_user = user;
    send_acks(s);
    tg_store_thread_drop(&s->thread, device, cloud, before_ms);
    return TG_OK;
}

static int append(struct tg_store *s, uint32_t device, int64_t time_ms, struct tg_bytes body, bool urgent,
                  uint32_t tells, uint64_t *ret_seq, uint64_t *ret_id);

/* Clouds that are there hear what they will not get. While the database takes nothing it could not remember that they did. */
static void tell_gaps(struct tg_store *s)
{
    int64_t now = tg_loop_now_ms(s->loop), next = INT64_MAX;
    struct tg_feed *f;
    if (s->closing || s->news.from_memory || TAILQ_EMPTY(&s->feeds.gaps))
        return;
    while ((f = tg_feeds_gap_due(&s->feeds, now, s->committed_id, &next)) != NULL) {
        uint8_t body[GAP_RECORD_BYTES];
        struct tg_writer w = tg_writer_init(body, sizeof body);
        uint64_t seq, id;
        int64_t stored_ms = tg_feed_gap_record(f, &w);
        if (append(s, f->device, stored_ms, tg_bytes(w.data, w.len), false, f->cursor + 1, &seq, &id) < 0) {
            next = now + RETRY_MS;
            break;
        }
        tg_feed_telling(f, id, now);
    }
    if (next < s->retry.at_ms)
        tg_deadline_set(&s->retry, next);
}

/* What waited for its time has one now. */
static void learn_time(struct tg_store *s)
{
    struct tg_timeline t;
    tg_store_thread_timeline(&s->thread, &t);
    if (t.clock_boot == tg_clock_boot())
        s->waiting_rows = 0;
    tg_feeds_resolve(&s->feeds, &t);
}

void tg_store_clock(struct tg_store *s, int64_t offset_ms)
{
    tg_store_thread_clock(&s->thread, offset_ms, s->last_id);
}

static void on_wake(void *user)
{
    struct tg_store *s = TG_OBJECT(user, struct tg_store, TG_STORE_MAGIC);
    uint32_t serial = s->news.state_serial, timeline_serial = s->news.timeline_serial;
    bool was_readable = s->news.readable;
    tg_store_thread_collect(&s->thread, &s->news, move_feed, s);
    if (s->news.timeline_serial != timeline_serial)
        learn_time(s);
    if (s->news.page_ready)
        distribute_page(s, s->news.page_through);
    if (s->news.readable && !was_readable)
        s->page_failed = s->feeds.starved = false;
    if (s->news.committed_id > s->committed_id) {
        s->committed_id = s->news.committed_id;
        s->feeds.starved = false; /* there is more in the log to look for */
        if (!tg_store_is_lazy(s) && s->cb.on_committed)
            s->cb.on_committed(s->user, s->committed_id);
        release_committed(s);
    }
    if (s->news.lost_id > 0) {
        s->set_aside++;
        lose_log(s, s->news.lost_id);
        if (s->cb.on_state)
            s->cb.on_state(s->user, s->news.state, s->news.aside_text);
    }
    if (s->news.state_serial != serial && s->cb.on_state)
        s->cb.on_state(s->user, s->news.state, s->news.state_text);
    if (s->news.note[0] != '\0' && s->cb.on_note)
        s->cb.on_note(s->user, s->news.note);
    if (s->news.from_memory || tg_store_is_lazy(s))
        hand_from_memory(s);
    if (s->feeds.handed_id > s->committed_id)
        tg_feeds_walk(&s->feeds, &s->rows, s->committed_id);
    tg_feeds_notify(&s->feeds);
    if (s->leaving && !s->closing)
        go_back(s);
    end_drop(s);
    tell_gaps(s);
    pump(s);
    send_acks(s);
    if (tg_store_is_lazy(s)) {
        tg_store_settle(s, false);
        tg_store_tell_accepted(s);
    }
    if (s->news.stopped)
        finish_close(s);
}

static void on_retry(void *user)
{
    struct tg_store *s = TG_OBJECT(user, struct tg_store, TG_STORE_MAGIC);
    s->feeds.no_memory = s->feeds.walked = s->page_failed = s->feeds.starved = false;
    learn_time(s); /* there may have been no memory for it either */
    tg_wakeup_fire(&s->wakeup);
}

/* --- open and close -------------------------------------------------------------------------------------- */

int tg_store_open(struct tg_loop *loop, const struct tg_store_options *o, const struct tg_store_callbacks *cb,
                  void *user, struct tg_store **ret_store, char ret_set_aside[256], struct tg_error *err)
{
    struct tg_store *s = tg_calloc(1, sizeof *s);
    int rc;
    if (!s)
        return tg_error_set(err, TG_ENOMEM, "out of memory while opening the outbox in %s", o->outbox.dir);
    s->magic = TG_STORE_MAGIC;
    s->loop = loop;
    s->cb = *cb;
    s->user = user;
    s->o = *o;
    if (s->o.commit_max_rows == 0)
        s->o.commit_max_rows = DEFAULT_MAX_ROWS;
    if (s->o.uncommitted_limit_bytes == 0)
        s->o.uncommitted_limit_bytes = DEFAULT_UNCOMMITTED;
    if (s->o.prefetch_limit_bytes == 0)
        s->o.prefetch_limit_bytes = DEFAULT_PREFETCH;
    if (s->o.retry_ms == 0)
        s->o.retry_ms = DEFAULT_RETRY_MS;
    if (s->o.full_quiet_ms == 0)
        s->o.full_quiet_ms = DEFAULT_FULL_QUIET_MS;
    if (s->o.lazy_window_ms == 0)
        s->o.lazy_window_ms = DEFAULT_WINDOW_MS;
    tg_rows_hold();
    rc = tg_wakeup_init(&s->wakeup, loop, on_wake, s);
    if (rc < 0) {
        tg_rows_release();
        tg_free(s);
        return tg_error_set(err, rc, "the outbox in %s: the loop gives no wake-up", o->outbox.dir);
    }
    tg_deadline_init(&s->retry, loop, on_retry, s);
    tg_deadline_init(&s->window, loop, tg_store_on_window, s);
    rc = tg_store_thread_start(&s->thread, &s->o, tg_wakeup_fire, &s->wakeup, ret_set_aside, err);
    if (rc < 0) {
        tg_loop_hold(loop);
        begin_free(s);
        return rc;
    }
    tg_store_thread_collect(&s->thread, &s->news, move_feed, s);
    s->news.state_serial = 0; /* trouble at the start is told by the first wake-up */
    s->last_id = s->committed_id = s->told_id = s->news.committed_id;
    tg_feeds_init(&s->feeds, s->o.prefetch_limit_bytes, s->last_id, tg_wakeup_fire, &s->wakeup);
    s->feeds.owner = s;
    s->feeds.timeline = s->thread.timeline;
    s->waiting_rows = s->news.waiting_rows;
    s->set_aside = ret_set_aside && ret_set_aside[0] != '\0';
    *ret_store = s;
    return TG_OK;
}

void tg_store_close(struct tg_store *s, uint32_t limit_ms, void (*closed)(void *user), void *user)
{
    TG_ASSERT(!s->closing);
    s->closing = true;
    s->closed = closed;
    s->closed_user = user;
    tg_loop_hold(s->loop);
    send_acks(s);
    if (tg_store_is_lazy(s))
        tg_store_settle(s, true);
    tg_store_thread_stop(&s->thread, limit_ms);
}

static void on_freed(void *user)
{
    struct tg_store *s = user;
    void (*closed)(void *) = s->closed;
    void *closed_user = s->closed_user;
    tg_loop_release(s->loop);
    tg_rows_release();
    TG_OBJECT_POISON(s);
    tg_free(s);
    if (closed)
        closed(closed_user);
}

static void close_retry(void *user)
{
    struct tg_store *s = user;
    tg_deadline_close(&s->retry, on_freed);
}

static void close_deadlines(void *user)
{
    struct tg_store *s = user;
    tg_deadline_close(&s->window, close_retry);
}

/* The wake-up's memory must stay until the loop has turned: the deadline sees to that, and goes last. */
static void begin_free(struct tg_store *s)
{
    tg_wakeup_close(&s->wakeup);
    s->retry.cb = close_deadlines;
    tg_deadline_set(&s->retry, tg_loop_now_ms(s->loop));
}

/* --- append ---------------------------------------------------------------------------------------------- */

static int append(struct tg_store *s, uint32_t device, int64_t time_ms, struct tg_bytes body, bool urgent,
                  uint32_t tells, uint64_t *ret_seq, uint64_t *ret_id)
{
    size_t cost = sizeof(struct tg_row) + body.len;
    int rc = TG_OK;
    struct tg_row *row = NULL;
    TG_ASSERT(!s->closing);
    if (device >= s->feeds.device_count)
        rc = TG_EINVAL;
    else if (body.len > TG_ROW_BODY_MAX)
        rc = TG_ETOOBIG;
    else if (s->rows.bytes + cost > s->o.uncommitted_limit_bytes && !tg_store_make_room(s, cost))
        rc = TG_EFULL;
    else if (!tg_store_may_number(s))
        rc = TG_EFULL;
    else if (!(row =
                   tg_row_new(s->last_id + 1, device, s->feeds.devices[device].last_seq + 1, time_ms, body)))
        rc = TG_ENOMEM;
    if (rc < 0)
        return rc;
    row->urgent = urgent;
    row->tells = tells;
    s->last_id++;
    s->appended++;
    s->waiting_rows += tg_sample_is_unstamped(body) && s->feeds.timeline.clock_boot != tg_clock_boot();
    s->bytes_since_sweep += cost;
    tg_row_list_push(&s->rows, row);
    if (!s->unhanded)
        s->unhanded = row;
    tg_feeds_appended(&s->feeds, row);
    if (tg_store_is_lazy(s))
        tg_store_hold(s, row);
    else
        tg_store_thread_put(&s->thread, row);
    if (s->news.from_memory || tg_store_is_lazy(s))
        tg_wakeup_fire(&s->wakeup);
    *ret_seq = row->seq;
    *ret_id = row->id;
    return TG_OK;
}

static int append_sample(struct tg_store *s, uint32_t device, int64_t time_ms, struct tg_bytes body,
                         bool urgent, uint64_t *ret_seq, uint64_t *ret_id)
{
    int rc = append(s, device, time_ms, body, urgent, 0, ret_seq, ret_id);
    s->rejected += rc < 0;
    return rc;
}

int tg_store_append(struct tg_store *s, uint32_t device, int64_t time_ms, struct tg_bytes body,
                    uint64_t *ret_seq, uint64_t *ret_id)
{
    return append_sample(s, device, time_ms, body, false, ret_seq, ret_id);
}

int tg_store_append_urgent(struct tg_store *s, uint32_t device, int64_t time_ms, struct tg_bytes body,
                           uint64_t *ret_seq, uint64_t *ret_id)
{
    return append_sample(s, device, time_ms, body, true, ret_seq, ret_id);
}

void tg_store_flush(struct tg_store *s)
{
    send_acks(s);
    tg_store_thread_flush(&s->thread);
}

/* --- figures --------------------------------------------------------------------------------------------- */

void tg_store_stats(const struct tg_store *s, struct tg_store_stats *ret_stats)
{
    *ret_stats = (struct tg_store_stats){
        .outbox = s->news.outbox,
        .state = s->news.state,
        .appended = s->appended,
        .committed = s->committed,
        .rejected = s->rejected,
        .commits = s->news.commits,
        .set_aside = s->set_aside,
        .committed_id = tg_store_is_lazy(s) ? s->told_id : s->committed_id,
        .spared = s->spared,
        .lazy_window_ms = tg_store_is_lazy(s) ? s->o.lazy_window_ms : 0,
        .uncommitted_rows = s->rows.count,
        .uncommitted_bytes = s->rows.bytes,
        .prefetched_bytes = s->feeds.bytes,
        .pages_read = s->news.pages_read,
        .last_commit_us = s->news.last_commit_us,
        .worst_commit_us = s->news.worst_commit_us,
        .waiting_rows = s->waiting_rows,
        .dropped_memory = s->dropped_memory,
        .kept_back = s->feeds.kept_back,
    };
}

uint64_t tg_store_last_seq(const struct tg_store *s, uint32_t device)
{
    return device < s->feeds.device_count ? s->feeds.devices[device].last_seq : 0;
}
