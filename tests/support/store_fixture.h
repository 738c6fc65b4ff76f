/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * store_fixture - a loop with a store in a directory of its own, and clouds that check what they are given:
 * every row of their device once, in order, with the body that belongs to it. Included by one .c file per
 * program.
 */
#ifndef TG_TESTS_STORE_FIXTURE_H
#define TG_TESTS_STORE_FIXTURE_H

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <cmocka.h>

#include "core/base/allocator.h"
#include "core/base/clock.h"
#include "store/store.h"
#include "support/gate_vfs.h"
#include "support/outbox_help.h"

#define PATIENCE_MS 120000 /* a test that waits longer has failed */

struct cloud {
    struct tg_feed *feed;
    uint32_t device;
    uint64_t expected; /* next seq; 0 = whatever comes first */
    uint64_t got;      /* samples taken */
    const char *name;
    uint64_t gap_records,
        told;          /* taken as well: how many, and how many numbers they say this cloud will not get */
    struct tg_gap gap; /* all that it was told */
    uint64_t skipped;  /* numbers that never came, where holes are allowed */
    uint64_t last_seq, last_id;
    uint32_t calls;
    bool eager; /* takes what comes and acknowledges it */
    bool holes_allowed;
};

struct fixture {
    char *dir;
    struct tg_loop loop;
    uv_timer_t tick;
    struct tg_store_options o;
    struct tg_store *store;
    struct tg_error err;
    char aside[256];
    int64_t live;
    uint64_t committed_id;
    uint32_t state_calls;
    enum tg_store_state state;
    char text[600], aside_text[600], note[600];
    bool closed;
};

#define OK(call)                                                                                             \
    do {                                                                                                     \
        if ((call) != TG_OK)                                                                                 \
            fail_msg("%s: %s", #call, f->err.text);                                                          \
    } while (0)

#define RUN_UNTIL(f, condition)                                                                              \
    do {                                                                                                     \
        int64_t end_ms = tg_clock_mono_ms() + PATIENCE_MS;                                                   \
        while (!(condition)) {                                                                               \
            if (tg_clock_mono_ms() > end_ms)                                                                 \
                fail_msg("waited in vain for: %s (state %d: %s)", #condition, (int)(f)->state, (f)->text);   \
            uv_run(&(f)->loop.uv, UV_RUN_ONCE);                                                              \
        }                                                                                                    \
    } while (0)

static inline void on_tick(uv_timer_t *t)
{
    (void)t; /* only turns the loop, so that RUN_UNTIL looks */
}

static inline void on_committed(void *user, uint64_t id)
{
    struct fixture *f = user;
    assert_true(id > f->committed_id);
    f->committed_id = id;
}

static inline void on_state(void *user, enum tg_store_state state, const char *text)
{
    struct fixture *f = user;
    f->state_calls++;
    f->state = state;
    snprintf(f->text, sizeof f->text, "%s", text);
    if (strstr(text, "set aside"))
        snprintf(f->aside_text, sizeof f->aside_text, "%s", text);
}

static inline void on_note(void *user, const char *text)
{
    struct fixture *f = user;
    snprintf(f->note, sizeof f->note, "%s", text);
}

static inline int open_store(struct fixture *f)
{
    struct tg_store_callbacks cb = {.on_committed = on_committed, .on_state = on_state, .on_note = on_note};
    f->committed_id = 0;
    f->closed = false;
    return tg_store_open(&f->loop, &f->o, &cb, f, &f->store, f->aside, &f->err);
}

static inline void on_store_closed(void *user)
{
    ((struct fixture *)user)->closed = true;
}

static inline void close_store(struct fixture *f)
{
    tg_store_close(f->store, 10000, on_store_closed, f);
    RUN_UNTIL(f, f->closed);
    f->store = NULL;
}

static inline int set_up(void **state)
{
    struct fixture *f = calloc(1, sizeof *f);
    f->live = tg_alloc_stats().live;
    f->dir = tg_test_memory_dir();
    tg_gate_vfs_register();
    tg_gate_hold(false);
    tg_gate_fail_syncs(0);
    tg_gate_gone(false);
    f->o =
        (struct tg_store_options){.outbox = tg_test_options(f->dir), .commit_interval_ms = 5, .retry_ms = 20};
    f->o.outbox.vfs = TG_GATE_VFS;
    OK(tg_loop_init(&f->loop, &f->err));
    assert_int_equal(uv_timer_init(&f->loop.uv, &f->tick), 0);
    assert_int_equal(uv_timer_start(&f->tick, on_tick, 20, 20), 0);
    *state = f;
    return 0;
}

static inline int tear_down(void **state)
{
    struct fixture *f = *state;
    if (f->store)
        return -1; /* the test has failed half-way: leave everything as it is */
    uv_close((uv_handle_t *)&f->tick, NULL);
    tg_loop_fini(&f->loop);
    assert_int_equal(tg_alloc_stats().live, f->live);
    tg_test_dir_remove(f->dir);
    free(f->dir);
    free(f);
    return 0;
}

/* --- devices and clouds
 * --------------------------------------------------------------------------------------- */

static inline uint32_t device(struct fixture *f, const char *name)
{
    uint32_t d = 0;
    OK(tg_store_device(f->store, name, &d, &f->err));
    return d;
}

static inline bool hear_gap(struct cloud *c, struct tg_bytes body)
{
    struct tg_gap gap;
    struct tg_bytes cloud;
    if (!tg_gap_is_record(body))
        return false;
    assert_int_equal(tg_gap_read(body, &gap, &cloud), 1);
    c->gap_records++;
    if (tg_bytes_eq_str(cloud, c->name)) {
        c->told += gap.count;
        tg_gap_unite(&c->gap, &gap);
    }
    return true;
}

/* Takes up to `most` rows and checks them. */
static inline uint32_t take(struct cloud *c, uint32_t most)
{
    struct tg_row *rows[TG_FEED_MAX_ROWS];
    uint32_t n = tg_feed_available(c->feed);
    if (n > most)
        n = most;
    tg_feed_take(c->feed, n, rows);
    for (uint32_t i = 0; i < n; i++) {
        struct tg_outbox_row r = {.id = rows[i]->id,
                                  .seq = rows[i]->seq,
                                  .device = rows[i]->device,
                                  .body = tg_bytes(rows[i]->body, rows[i]->body_len)};
        assert_int_equal(r.device, c->device);
        if (c->expected && c->holes_allowed) {
            assert_true(r.seq >= c->expected);
            c->skipped += r.seq - c->expected;
        } else if (c->expected) {
            assert_int_equal(r.seq, c->expected);
        }
        assert_true(r.id > c->last_id);
        if (!hear_gap(c, r.body)) {
            tg_test_check_body(&r);
            c->got++;
        }
        c->expected = r.seq + 1;
        c->last_seq = r.seq;
        c->last_id = r.id;
        tg_row_unref(rows[i]);
    }
    return n;
}

static inline void ack_all(struct cloud *c)
{
    if (c->last_seq > 0)
        tg_feed_ack(c->feed, c->last_seq, c->last_id);
}

static inline void on_rows(void *user)
{
    struct cloud *c = user;
    c->calls++;
    assert_true(tg_feed_available(c->feed) > 0);
    if (!c->eager)
        return;
    while (take(c, UINT32_MAX) > 0)
        ack_all(c);
}

static inline void open_feed(struct fixture *f, struct cloud *c, uint32_t d, const char *name)
{
    c->device = d;
    c->name = name;
    OK(tg_feed_open(f->store, d, name, on_rows, c, &c->feed, &f->err));
}

/* Appends n samples; returns the code of the first that was refused. */
#define STORED_MS INT64_C(1900000001000) /* of the first of append_n() */

static inline int append_n(struct fixture *f, uint32_t d, uint64_t n, size_t size)
{
    for (uint64_t i = 0; i < n; i++) {
        uint64_t seq = 0, id = 0;
        struct tg_bytes body = tg_test_body(d, tg_store_last_seq(f->store, d) + 1, size);
        int rc = tg_store_append(f->store, d, STORED_MS + (int64_t)i, body, &seq, &id);
        if (rc < 0)
            return rc;
        assert_int_equal(seq, tg_store_last_seq(f->store, d));
    }
    return TG_OK;
}

static inline struct tg_store_stats stats_of(const struct fixture *f)
{
    struct tg_store_stats s;
    tg_store_stats(f->store, &s);
    return s;
}

/* Stored, all of it. */
static inline void settle(struct fixture *f)
{
    tg_store_flush(f->store);
    RUN_UNTIL(f, stats_of(f).uncommitted_rows == 0);
}

/* The outbox on disk is sound. */
static inline void verify(struct fixture *f)
{
    struct tg_outbox_options o = f->o.outbox;
    o.vfs = NULL;
    struct tg_outbox *ob = tg_test_open(&o);
    tg_test_verify(ob);
    tg_outbox_close(ob, false);
}

#endif
