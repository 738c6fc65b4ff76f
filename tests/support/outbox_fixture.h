/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * outbox_fixture - one open outbox in a directory of its own per test, and short words for working with it.
 * Included by one .c file per test program; every helper fails the test when the call fails.
 */
#ifndef TG_TESTS_OUTBOX_FIXTURE_H
#define TG_TESTS_OUTBOX_FIXTURE_H

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include "core/base/allocator.h"
#include "support/outbox_help.h"

struct fixture {
    char *dir;
    struct tg_outbox_options o;
    struct tg_outbox *ob;
    struct tg_error err;
    int64_t live;
};

static inline int set_up(void **state)
{
    struct fixture *f = calloc(1, sizeof *f);
    f->live = tg_alloc_stats().live;
    f->dir = tg_test_memory_dir();
    f->o = tg_test_options(f->dir);
    f->ob = tg_test_open(&f->o);
    *state = f;
    return 0;
}

static inline int tear_down(void **state)
{
    struct fixture *f = *state;
    tg_outbox_close(f->ob, true);
    assert_int_equal(tg_alloc_stats().live, f->live);
    tg_test_dir_remove(f->dir);
    free(f->dir);
    free(f);
    return 0;
}

#define OK(call)                                                                                             \
    do {                                                                                                     \
        if ((call) != TG_OK)                                                                                 \
            fail_msg("%s: %s", #call, f->err.text);                                                          \
    } while (0)

static inline void reopen(struct fixture *f, bool clean)
{
    tg_outbox_close(f->ob, clean);
    f->ob = tg_test_open(&f->o);
}

static inline uint32_t device(struct fixture *f, const char *name)
{
    uint32_t d = 0;
    OK(tg_outbox_device(f->ob, name, &d, &f->err));
    return d;
}

static inline uint32_t cursor(struct fixture *f, uint32_t d, const char *cloud)
{
    uint32_t c = 0;
    OK(tg_outbox_cursor(f->ob, d, cloud, &c, &f->err));
    return c;
}

static inline void append_n(struct fixture *f, uint32_t d, int n, size_t size)
{
    uint64_t id = tg_outbox_last_id(f->ob), seq = tg_outbox_last_seq(f->ob, d);
    for (int i = 0; i < n; i++)
        OK(tg_test_append(f->ob, d, &id, &seq, size, &f->err));
    OK(tg_outbox_commit(f->ob, &f->err));
}

static inline struct tg_outbox_cursor_state state_of(struct fixture *f, uint32_t c)
{
    struct tg_outbox_cursor_state s = {0};
    assert_int_equal(tg_outbox_cursor_state(f->ob, c, &s), TG_OK);
    assert_int_equal(s.accepted, s.acked + s.dropped + s.pending);
    return s;
}

static inline struct tg_outbox_stats stats_of(struct fixture *f)
{
    struct tg_outbox_stats s = {0};
    OK(tg_outbox_stats(f->ob, &s, &f->err));
    return s;
}

struct seen {
    uint64_t count, first_seq, last_seq, last_id, next_id;
};

static inline void see(void *user, const struct tg_outbox_row *row)
{
    struct seen *s = user;
    assert_true(row->id > s->last_id);
    tg_test_check_body(row);
    s->last_id = row->id;
    s->last_seq = row->seq;
    if (s->count++ == 0)
        s->first_seq = row->seq;
}

static inline int read_rows(struct fixture *f, uint64_t from, uint32_t d, uint32_t max, size_t bytes,
                            struct seen *ret)
{
    *ret = (struct seen){0};
    int rc = tg_outbox_read(f->ob, from, d, max, bytes, see, ret, &ret->next_id, &f->err);
    assert_true(rc == 0 || rc == 1);
    return rc;
}

#endif
