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

#include "store/outbox_private.h"
#include "support/outbox_fixture.h"

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

/* Numbers only rise; a mistake ends the transaction and stores nothing of it. */
static void test_mistakes_end_the_transaction(void **state)
{
    struct fixture *f = *state;
    uint32_t a = device(f, "a");
    uint64_t id = 0, seq = 0;
    append_n(f, a, 3, 50);
    static const struct {
        uint64_t id, seq;
        uint32_t device;
        size_t len;
        int code;
    } cases[] = {
        {3, 4, 0, 10, TG_EINVAL},          {4, 3, 0, 10, TG_EINVAL}, {4, 4, 1, 10, TG_EINVAL},
        {4, 4, 0, 65537, TG_ETOOBIG},      {0, 4, 0, 10, TG_EINVAL}, {UINT64_MAX, 4, 0, 10, TG_EINVAL},
        {4, UINT64_MAX, 0, 10, TG_EINVAL}, {4, 0, 0, 10, TG_EINVAL},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        static uint8_t body[65537];
        struct tg_outbox_row row = {cases[i].id, cases[i].seq, cases[i].device, 0,
                                    tg_bytes(body, cases[i].len)};
        id = tg_outbox_last_id(f->ob) + 10;
        seq = tg_outbox_last_seq(f->ob, a);
        if (cases[i].id > 4)
            OK(tg_test_append(f->ob, a, &id, &seq, 50, &f->err));
        assert_int_equal(tg_outbox_append(f->ob, &row, &f->err), cases[i].code);
        assert_true(strlen(f->err.text) > 0);
        /* The rest of the transaction says the same until it is ended. */
        assert_int_equal(tg_test_append(f->ob, a, &id, &seq, 50, &f->err), cases[i].code);
        assert_int_equal(tg_outbox_set_cursor(f->ob, 0, 1, 1, &f->err), cases[i].code);
        assert_int_equal(tg_outbox_commit(f->ob, &f->err), cases[i].code);
        assert_int_equal(tg_outbox_last_id(f->ob), 3);
    }
    assert_int_equal(tg_outbox_set_cursor(f->ob, 99, 1, 1, &f->err), TG_EINVAL);
    tg_outbox_rollback(f->ob);
    OK(tg_outbox_commit(f->ob, &f->err)); /* nothing to commit is no mistake */
    append_n(f, a, 1, 50);
    assert_int_equal(tg_outbox_last_seq(f->ob, a), 4);
    assert_int_equal(stats_of(f).rows, 4);
}

/* Every size of body comes back as it went in. */
static void check_size(void *user, const struct tg_outbox_row *row)
{
    size_t *want = user;
    assert_int_equal(row->body.len, *want);
    for (size_t i = 0; i < row->body.len; i++)
        assert_int_equal(row->body.data[i], (uint8_t)(i * 7 + row->body.len));
}

static void test_body_sizes(void **state)
{
    struct fixture *f = *state;
    static const size_t sizes[] = {0, 1, 127, 128, 4000, 4096, 16383, 16384, 65535, 65536};
    uint32_t a = device(f, "a");
    uint64_t next = 0;
    for (uint64_t i = 0; i < sizeof sizes / sizeof sizes[0]; i++) {
        static uint8_t body[65536];
        for (size_t k = 0; k < sizes[i]; k++)
            body[k] = (uint8_t)(k * 7 + sizes[i]);
        struct tg_outbox_row row = {i + 1, i + 1, a, -5, tg_bytes(body, sizes[i])};
        OK(tg_outbox_append(f->ob, &row, &f->err));
        OK(tg_outbox_commit(f->ob, &f->err));
        size_t want = sizes[i];
        assert_int_equal(tg_outbox_read(f->ob, i + 1, a, 1, 1, check_size, &want, &next, &f->err), 0);
        assert_int_equal(next, i + 2);
    }
}

/* max_bytes stops a page after the row that reached it; a page may be empty when only others' rows were
 * passed. */
static void test_pages_are_bounded(void **state)
{
    struct fixture *f = *state;
    uint32_t a = device(f, "a"), b = device(f, "b");
    struct seen seen;
    cursor(f, a, "hub");
    append_n(f, a, 20, 1000);
    assert_int_equal(read_rows(f, 0, UINT32_MAX, 100, 3500, &seen), 1);
    assert_int_equal(seen.count, 4);
    assert_int_equal(read_rows(f, 0, UINT32_MAX, 100, 0, &seen), 1);
    assert_int_equal(seen.count, 1);
    cursor(f, b, "hub");
    append_n(f, b, 5000, 30);
    append_n(f, a, 1, 30);
    uint64_t from = 21;
    int pages = 0, rc;
    do {
        rc = read_rows(f, from, a, 10, SIZE_MAX, &seen);
        assert_true(seen.next_id > from || rc == 0);
        from = seen.next_id;
        pages++;
    } while (rc == 1 && seen.count == 0);
    assert_int_equal(seen.count, 1);
    assert_true(pages > 1);
    assert_int_equal(read_rows(f, 1000000, UINT32_MAX, 10, SIZE_MAX, &seen), 0);
    assert_int_equal(seen.count, 0);
}

/* A row goes when the last cloud of its device has it, not before; a cursor never moves back. */
static void test_rows_wait_for_every_cloud(void **state)
{
    struct fixture *f = *state;
    uint32_t a = device(f, "a");
    uint32_t hub = cursor(f, a, "hub"), lake = cursor(f, a, "lake");
    append_n(f, a, 5000, 60);
    OK(tg_outbox_set_cursor(f->ob, hub, 5000, 5000, &f->err));
    OK(tg_outbox_commit(f->ob, &f->err));
    assert_int_equal(state_of(f, hub).pending, 0);
    assert_int_equal(state_of(f, hub).acked, 5000);
    assert_int_equal(state_of(f, lake).pending, 5000);
    assert_int_equal(stats_of(f).rows, 5000);
    assert_int_equal(stats_of(f).acked_rows, 0);
    OK(tg_outbox_set_cursor(f->ob, lake, 3000, 3000, &f->err));
    OK(tg_outbox_commit(f->ob, &f->err));
    /* Bulk deletion: within a bounded effort, so at most so many are still there. */
    assert_true(stats_of(f).rows < 5000);
    assert_true(stats_of(f).rows >= 2000);
    assert_int_equal(stats_of(f).rows - stats_of(f).acked_rows, 2000);
    OK(tg_outbox_set_cursor(f->ob, lake, 2000, 2000, &f->err));
    OK(tg_outbox_commit(f->ob, &f->err));
    assert_int_equal(state_of(f, lake).acked_seq, 3000);
    /* Beyond what exists: up to the end. */
    OK(tg_outbox_set_cursor(f->ob, lake, 1000000, 1000000, &f->err));
    OK(tg_outbox_commit(f->ob, &f->err));
    assert_int_equal(state_of(f, lake).acked_seq, 5000);
    assert_int_equal(state_of(f, lake).acked_id, 5000);
    tg_test_verify(f->ob);
    reopen(f, false);
    assert_int_equal(state_of(f, lake).acked, 5000);
    assert_int_equal(state_of(f, hub).acked, 5000);
    tg_test_verify(f->ob);
}

/* A cloud added later gets what comes from then on. */
static void test_new_cursor_begins_at_the_end(void **state)
{
    struct fixture *f = *state;
    uint32_t a = device(f, "a");
    append_n(f, a, 7, 60);
    uint32_t hub = cursor(f, a, "hub");
    struct tg_outbox_cursor_state s = state_of(f, hub);
    assert_int_equal(s.acked_seq, 7);
    assert_int_equal(s.acked_id, 7);
    assert_int_equal(s.accepted, 0);
    append_n(f, a, 2, 60);
    assert_int_equal(state_of(f, hub).pending, 2);
    reopen(f, true);
    assert_int_equal(cursor(f, a, "hub"), hub);
    assert_int_equal(state_of(f, hub).pending, 2);
}

/* Numbers go on after all rows are gone, however the process ends [C4]. */
static void test_numbers_survive_their_rows(void **state)
{
    struct fixture *f = *state;
    for (int round = 0; round < 4; round++) {
        uint32_t a = device(f, "a"), c = cursor(f, a, "hub"), quiet = device(f, "quiet");
        cursor(f, quiet, "hub");
        if (round == 0)
            append_n(f, quiet, 1, 60);
        OK(tg_outbox_set_cursor(f->ob, cursor(f, quiet, "hub"), 1, 1, &f->err));
        for (int i = 0; i < 5; i++) {
            append_n(f, a, 1111, 30);
            OK(tg_outbox_set_cursor(f->ob, c, tg_outbox_last_seq(f->ob, a), tg_outbox_last_id(f->ob),
                                    &f->err));
            OK(tg_outbox_commit(f->ob, &f->err));
        }
        assert_true(stats_of(f).rows < 4 * 1111);
        uint64_t id = tg_outbox_last_id(f->ob), seq = tg_outbox_last_seq(f->ob, a);
        assert_int_equal(seq, (uint64_t)(round + 1) * 5555);
        reopen(f, round % 2 == 0);
        assert_int_equal(tg_outbox_last_id(f->ob), id);
        assert_int_equal(tg_outbox_last_seq(f->ob, a), seq);
        assert_int_equal(tg_outbox_last_seq(f->ob, quiet), 1);
        assert_int_equal(stats_of(f).appended, seq + 1);
        tg_test_verify(f->ob);
    }
}

/* Numbers that were never stored do not count as waiting, before and after a restart. */
static void test_holes(void **state)
{
    struct fixture *f = *state;
    uint32_t a = device(f, "a");
    uint32_t hub = cursor(f, a, "hub"), lake = cursor(f, a, "lake");
    static const uint64_t seqs[] = {3, 4, 10, 11, 12, 20};
    for (uint64_t i = 0; i < 6; i++) {
        struct tg_outbox_row row = {i + 1, seqs[i], a, 1, tg_test_body(a, seqs[i], 40)};
        OK(tg_outbox_append(f->ob, &row, &f->err));
    }
    OK(tg_outbox_commit(f->ob, &f->err));
    for (int round = 0; round < 2; round++) {
        assert_int_equal(state_of(f, hub).pending, 6);
        tg_test_verify(f->ob);
        reopen(f, false);
    }
    OK(tg_outbox_set_cursor(f->ob, hub, 10, 3, &f->err));
    OK(tg_outbox_set_cursor(f->ob, lake, 11, 4, &f->err));
    OK(tg_outbox_commit(f->ob, &f->err));
    for (int round = 0; round < 2; round++) {
        assert_int_equal(state_of(f, hub).pending, 3);
        assert_int_equal(state_of(f, hub).acked, 3);
        assert_int_equal(state_of(f, lake).pending, 2);
        assert_int_equal(state_of(f, lake).accepted, 6);
        reopen(f, round == 0);
    }
    /* A hole at the end: nothing came after it before the restart. */
    OK(tg_outbox_reject(f->ob, a, 30, TG_DROP_LIMIT, &f->err));
    OK(tg_outbox_commit(f->ob, &f->err));
    for (int round = 0; round < 2; round++) {
        assert_int_equal(tg_outbox_last_seq(f->ob, a), 30);
        assert_int_equal(state_of(f, hub).pending, 3);
        assert_int_equal(stats_of(f).dropped[TG_DROP_LIMIT], 10);
        reopen(f, false);
    }
    append_n(f, a, 1, 40);
    assert_int_equal(state_of(f, hub).pending, 4);
    OK(tg_outbox_set_cursor(f->ob, hub, 31, 7, &f->err));
    OK(tg_outbox_set_cursor(f->ob, lake, 31, 7, &f->err));
    OK(tg_outbox_commit(f->ob, &f->err));
    append_n(f, a, 3000, 40); /* a mark: the holes are forgotten */
    assert_int_equal(state_of(f, hub).pending, 3000);
    assert_int_equal(state_of(f, hub).acked, 7);
    tg_test_verify(f->ob);
    reopen(f, false);
    assert_int_equal(state_of(f, hub).pending, 3000);
    assert_int_equal(tg_outbox_reject(f->ob, a, 31, TG_DROP_LIMIT, &f->err), TG_EINVAL);
    tg_outbox_rollback(f->ob);
}

/* What no cloud can take counts as dropped, not as delivered. */
static void test_quarantine(void **state)
{
    struct fixture *f = *state;
    uint32_t a = device(f, "a"), hub = cursor(f, a, "hub");
    append_n(f, a, 10, 60);
    OK(tg_outbox_set_cursor(f->ob, hub, 4, 4, &f->err));
    OK(tg_outbox_quarantine(f->ob, hub, 5, 5, &f->err));
    OK(tg_outbox_set_cursor(f->ob, hub, 8, 8, &f->err));
    OK(tg_outbox_commit(f->ob, &f->err));
    for (int round = 0; round < 2; round++) {
        struct tg_outbox_cursor_state s = state_of(f, hub);
        assert_int_equal(s.acked, 7);
        assert_int_equal(s.dropped, 1);
        assert_int_equal(s.pending, 2);
        assert_int_equal(stats_of(f).dropped[TG_DROP_QUARANTINE], 1);
        reopen(f, false);
    }
}

static void note_device(void *user, const struct tg_outbox_device_stats *d)
{
    struct tg_outbox_device_stats *out = user;
    if (strcmp(d->name, "b") == 0)
        *out = *d;
}

/* A cursor that nobody declares any more holds nothing back; declared again it begins at the end. */
static void test_retired_cursors(void **state)
{
    struct fixture *f = *state;
    uint32_t a = device(f, "a"), b = device(f, "b"), hub = cursor(f, a, "hub"), gone = cursor(f, b, "hub");
    struct tg_outbox_device_stats d = {0};
    append_n(f, b, 100, 60);
    OK(tg_outbox_each_device(f->ob, note_device, &d, &f->err));
    assert_int_equal(d.pending, 100);
    reopen(f, true);
    assert_int_equal(cursor(f, a, "hub"), hub);
    assert_int_equal(stats_of(f).cursors, 2);
    OK(tg_outbox_retire_undeclared(f->ob, &f->err));
    OK(tg_outbox_retire_undeclared(f->ob, &f->err));
    assert_int_equal(stats_of(f).cursors, 1);
    assert_int_equal(stats_of(f).acked_rows, 100);
    assert_int_equal(state_of(f, gone).dropped, 100);
    reopen(f, false);
    OK(tg_outbox_each_device(f->ob, note_device, &d, &f->err));
    assert_int_equal(d.pending, 0);
    assert_int_equal(d.last_seq, 100);
    append_n(f, b, 5, 60);
    assert_int_equal(cursor(f, b, "hub"), gone);
    assert_int_equal(state_of(f, gone).acked_seq, 105);
    assert_int_equal(state_of(f, gone).accepted, 0);
    append_n(f, b, 1, 60);
    assert_int_equal(state_of(f, gone).pending, 1);
    tg_test_verify(f->ob);
}

/* Declarations are not part of a transaction; names are checked. */
static void test_declarations(void **state)
{
    struct fixture *f = *state;
    uint32_t a = device(f, "a"), n = 0;
    uint64_t id = 0, seq = 0;
    static char name[1026];
    memset(name, 'x', sizeof name - 1);
    assert_int_equal(tg_outbox_device(f->ob, "", &n, &f->err), TG_EINVAL);
    assert_int_equal(tg_outbox_device(f->ob, name, &n, &f->err), TG_EINVAL);
    assert_int_equal(tg_outbox_cursor(f->ob, 77, "hub", &n, &f->err), TG_EINVAL);
    OK(tg_test_append(f->ob, a, &id, &seq, 50, &f->err));
    assert_int_equal(tg_outbox_device(f->ob, "b", &n, &f->err), TG_ESTATE);
    assert_int_equal(tg_outbox_cursor(f->ob, a, "hub", &n, &f->err), TG_ESTATE);
    assert_int_equal(tg_outbox_enforce(f->ob, 0, &f->err), TG_ESTATE);
    assert_int_equal(tg_outbox_make_room(f->ob, 1, &f->err), TG_ESTATE);
    OK(tg_outbox_commit(f->ob, &f->err));
    for (uint32_t i = 0; i < 40; i++) {
        char text[64];
        snprintf(text, sizeof text, "d'%u; DROP TABLE log --", i);
        assert_int_equal(device(f, text), i + 1);
        cursor(f, i + 1, "hub");
        cursor(f, i + 1, "lake");
    }
    reopen(f, false);
    assert_int_equal(stats_of(f).devices, 41);
    assert_int_equal(stats_of(f).cursors, 80);
    assert_string_equal(tg_outbox_device_name(f->ob, 40), "d'39; DROP TABLE log --");
    assert_null(tg_outbox_device_name(f->ob, 41));
}

/* A transaction has a most. */
static void test_largest_transaction(void **state)
{
    struct fixture *f = *state;
    uint32_t a = device(f, "a"), c = cursor(f, a, "hub");
    uint64_t id = 0, seq = 0;
    for (int i = 0; i < 65536; i++)
        OK(tg_test_append(f->ob, a, &id, &seq, 24, &f->err));
    OK(tg_outbox_commit(f->ob, &f->err));
    for (int i = 0; i < 65536; i++)
        OK(tg_test_append(f->ob, a, &id, &seq, 24, &f->err));
    assert_int_equal(tg_test_append(f->ob, a, &id, &seq, 24, &f->err), TG_EFULL);
    assert_int_equal(tg_outbox_commit(f->ob, &f->err), TG_EFULL);
    assert_int_equal(state_of(f, c).pending, 65536);
}

/* A second writer is refused and told who holds it; a reader beside the writer sees what is committed. */
static void test_second_writer_and_reader(void **state)
{
    struct fixture *f = *state;
    struct tg_outbox_options o = f->o;
    struct tg_outbox *ob = NULL;
    struct tg_outbox_stats s;
    char pid[32];
    uint32_t a = device(f, "a"), n = 0;
    uint64_t id = 0, seq = 0;
    append_n(f, a, 3, 60);
    snprintf(pid, sizeof pid, "process %ld", (long)getpid());
    assert_int_equal(tg_outbox_open(&o, &ob, NULL, &f->err), TG_EBUSY);
    assert_non_null(strstr(f->err.text, pid));

    o.read_only = true;
    OK(tg_outbox_open(&o, &ob, NULL, &f->err));
    OK(tg_outbox_stats(ob, &s, &f->err));
    assert_int_equal(s.rows, 3);
    tg_test_verify(ob);
    assert_int_equal(tg_outbox_device(ob, "new", &n, &f->err), TG_ESTATE);
    assert_int_equal(tg_test_append(ob, a, &(uint64_t){9}, &(uint64_t){9}, 50, &f->err), TG_ESTATE);
    tg_outbox_rollback(ob);
    /* The writer goes on beside it. */
    id = seq = 3;
    OK(tg_test_append(f->ob, a, &id, &seq, 60, &f->err));
    OK(tg_outbox_commit(f->ob, &f->err));
    tg_outbox_close(ob, true);
    OK(tg_outbox_open(&o, &ob, NULL, &f->err));
    OK(tg_outbox_stats(ob, &s, &f->err));
    assert_int_equal(s.rows, 4);
    tg_outbox_close(ob, false);
    /* And while it is stopped. */
    tg_outbox_close(f->ob, true);
    OK(tg_outbox_open(&o, &ob, NULL, &f->err));
    OK(tg_outbox_stats(ob, &s, &f->err));
    assert_int_equal(s.rows, 4);
    tg_outbox_close(ob, false);
    f->ob = tg_test_open(&f->o);
    assert_int_equal(tg_outbox_last_id(f->ob), 4);
}

static void test_read_only_without_a_database(void **state)
{
    struct fixture *f = *state;
    char *dir = tg_test_dir();
    struct tg_outbox_options o = tg_test_options(dir);
    struct tg_outbox *ob = NULL;
    o.read_only = true;
    assert_int_equal(tg_outbox_open(&o, &ob, NULL, &f->err), TG_ENOTFOUND);
    assert_false(tg_test_exists(dir, TG_OUTBOX_FILE));
    o.read_only = false;
    o.dir = "/nonexistent/outbox";
    assert_int_equal(tg_outbox_open(&o, &ob, NULL, &f->err), TG_ENOTFOUND);
    tg_test_dir_remove(dir);
    free(dir);
}

/* The files are nobody else's business. */
static void test_modes(void **state)
{
    struct fixture *f = *state;
    static const char *const names[] = {TG_OUTBOX_FILE, TG_OUTBOX_FILE "-wal", "outbox.lock",
                                        "outbox.ballast"};
    append_n(f, device(f, "a"), 1, 60);
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
        struct stat st;
        assert_int_equal(stat(tg_test_path(f->dir, names[i]), &st), 0);
        assert_int_equal(st.st_mode & 0777, 0600);
    }
}

/* New devices and cursors of a list share one transaction; what is there stays as it is; a failure leaves nothing of it. */
static void test_declared_together(void **state)
{
    struct fixture *f = *state;
    char names[40][16];
    struct tg_outbox_declaration list[80];
    uint32_t old = device(f, "n7"), kept = cursor(f, old, "hub");
    int rc = TG_ENOMEM;
    append_n(f, old, 3, 60);
    for (uint32_t i = 0; i < 40; i++) {
        snprintf(names[i], sizeof names[i], "n%u", i);
        list[2 * i] = (struct tg_outbox_declaration){names[i], "hub"};
        list[2 * i + 1] = (struct tg_outbox_declaration){names[i], i % 2 ? "lake" : NULL};
    }
    for (uint64_t nth = 1; rc != TG_OK; nth++) {
        tg_alloc_fail_at(nth, 0);
        rc = tg_outbox_declare(f->ob, list, 80, &f->err);
        tg_alloc_fail_at(0, 0);
        assert_int_equal(f->ob->tx, TG_OUTBOX_TX_NONE);
        assert_int_equal(f->ob->device_count, rc == TG_OK ? 40 : 1);
        assert_int_equal(f->ob->cursor_count, rc == TG_OK ? 60 : 1);
        assert_int_equal(f->ob->cloud_count, rc == TG_OK ? 2 : 1);
        assert_true(rc == TG_OK || rc == TG_ENOMEM);
    }
    OK(tg_outbox_declare(f->ob, list, 80, &f->err)); /* there is nothing left to do */
    for (int again = 0; again < 2; again++) {
        assert_int_equal(device(f, "n7"), old);
        assert_int_equal(cursor(f, old, "hub"), kept);
        assert_int_equal(state_of(f, kept).pending, 3);
        for (uint32_t i = 0; i < 40; i++)
            assert_int_equal(state_of(f, cursor(f, device(f, names[i]), i % 2 ? "lake" : "hub")).acked_seq,
                             i == 7 ? 3 : 0);
        assert_int_equal(f->ob->cursor_count, 60);
        tg_test_verify(f->ob);
        reopen(f, true);
    }
    list[79].device = "";
    list[78].device = "m";
    assert_int_equal(tg_outbox_declare(f->ob, list, 80, &f->err), TG_EINVAL);
    assert_int_equal(f->ob->device_count, 40);
    tg_test_verify(f->ob);
}

int main(void)
{
    static const struct CMUnitTest tests[] = {
#define T(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
        T(test_append_read_restart),
        T(test_mistakes_end_the_transaction),
        T(test_body_sizes),
        T(test_pages_are_bounded),
        T(test_rows_wait_for_every_cloud),
        T(test_new_cursor_begins_at_the_end),
        T(test_numbers_survive_their_rows),
        T(test_holes),
        T(test_quarantine),
        T(test_retired_cursors),
        T(test_declarations),
        T(test_declared_together),
        T(test_largest_transaction),
        T(test_second_writer_and_reader),
        T(test_read_only_without_a_database),
        T(test_modes),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
