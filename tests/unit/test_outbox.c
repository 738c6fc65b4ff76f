/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * The outbox, one behaviour per test.
 */
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>
#include <sqlite3.h>

#include "core/base/allocator.h"
#include "store/outbox_private.h"
#include "support/outbox_help.h"

struct fixture {
    char *dir;
    struct tg_outbox_options o;
    struct tg_outbox *ob;
    struct tg_error err;
    int64_t live;
};

static int set_up(void **state)
{
    struct fixture *f = calloc(1, sizeof *f);
    f->live = tg_alloc_stats().live;
    f->dir = tg_test_dir();
    f->o = tg_test_options(f->dir);
    f->ob = tg_test_open(&f->o);
    *state = f;
    return 0;
}

static int tear_down(void **state)
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

static void reopen(struct fixture *f, bool clean)
{
    tg_outbox_close(f->ob, clean);
    f->ob = tg_test_open(&f->o);
}

static uint32_t device(struct fixture *f, const char *name)
{
    uint32_t d = 0;
    OK(tg_outbox_device(f->ob, name, &d, &f->err));
    return d;
}

static uint32_t cursor(struct fixture *f, uint32_t d, const char *cloud)
{
    uint32_t c = 0;
    OK(tg_outbox_cursor(f->ob, d, cloud, &c, &f->err));
    return c;
}

static void append_n(struct fixture *f, uint32_t d, int n, size_t size)
{
    uint64_t id = tg_outbox_last_id(f->ob), seq = tg_outbox_last_seq(f->ob, d);
    for (int i = 0; i < n; i++)
        OK(tg_test_append(f->ob, d, &id, &seq, size, &f->err));
    OK(tg_outbox_commit(f->ob, &f->err));
}

static struct tg_outbox_cursor_state state_of(struct fixture *f, uint32_t c)
{
    struct tg_outbox_cursor_state s = {0};
    assert_int_equal(tg_outbox_cursor_state(f->ob, c, &s), TG_OK);
    assert_int_equal(s.accepted, s.acked + s.dropped + s.pending);
    return s;
}

static struct tg_outbox_stats stats_of(struct fixture *f)
{
    struct tg_outbox_stats s = {0};
    OK(tg_outbox_stats(f->ob, &s, &f->err));
    return s;
}

struct seen {
    uint64_t count, first_seq, last_seq, last_id, next_id;
};

static void see(void *user, const struct tg_outbox_row *row)
{
    struct seen *s = user;
    assert_true(row->id > s->last_id);
    tg_test_check_body(row);
    s->last_id = row->id;
    s->last_seq = row->seq;
    if (s->count++ == 0)
        s->first_seq = row->seq;
}

static int read_rows(struct fixture *f, uint64_t from, uint32_t d, uint32_t max, size_t bytes,
                     struct seen *ret)
{
    *ret = (struct seen){0};
    int rc = tg_outbox_read(f->ob, from, d, max, bytes, see, ret, &ret->next_id, &f->err);
    assert_true(rc == 0 || rc == 1);
    return rc;
}

/* What was committed is read back in order, also after a restart; what was not is gone. */
static void test_append_read_restart(void **state)
{
    struct fixture *f = *state;
    struct seen seen;
    uint32_t a = device(f, "meter-1"), b = device(f, "meter-2");
    uint32_t c = cursor(f, a, "hub");
    uint64_t id = 0, seq = 0;
    assert_int_not_equal(a, b);
    assert_int_equal(device(f, "meter-1"), a);
    append_n(f, a, 10, 200);
    append_n(f, b, 5, 200);
    assert_int_equal(tg_outbox_last_id(f->ob), 15);
    assert_int_equal(tg_outbox_last_seq(f->ob, a), 10);
    assert_int_equal(read_rows(f, 0, UINT32_MAX, 100, SIZE_MAX, &seen), 0);
    assert_int_equal(seen.count, 15);
    assert_int_equal(read_rows(f, 3, a, 4, SIZE_MAX, &seen), 1);
    assert_int_equal(seen.count, 4);
    assert_int_equal(seen.first_seq, 3);
    assert_int_equal(seen.next_id, 7);

    id = tg_outbox_last_id(f->ob);
    seq = tg_outbox_last_seq(f->ob, a);
    OK(tg_test_append(f->ob, a, &id, &seq, 50, &f->err));
    assert_int_equal(tg_outbox_last_seq(f->ob, a), 10);
    assert_int_equal(read_rows(f, 0, UINT32_MAX, 100, SIZE_MAX, &seen), 0);
    assert_int_equal(seen.count, 15);
    reopen(f, false);
    assert_int_equal(tg_outbox_last_id(f->ob), 15);
    assert_int_equal(tg_outbox_last_seq(f->ob, a), 10);
    assert_int_equal(device(f, "meter-2"), b);
    assert_string_equal(tg_outbox_device_name(f->ob, a), "meter-1");
    assert_int_equal(cursor(f, a, "hub"), c);
    assert_int_equal(state_of(f, c).pending, 10);
    assert_int_equal(stats_of(f).rows, 15);
    assert_int_equal(read_rows(f, 0, UINT32_MAX, 100, SIZE_MAX, &seen), 0);
    assert_int_equal(seen.count, 15);
    tg_test_verify(f->ob);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_append_read_restart, set_up, tear_down),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
