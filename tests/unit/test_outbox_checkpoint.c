/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * Copying the write-ahead log into the database never holds a commit: it waits for no reader, and one commit copies no more
 * than the log's bound. On a full disk the log keeps the space that it has. None of it is measured by the clock.
 */
#include "support/outbox_fixture.h"

#include "store/outbox_private.h"
#include "support/fault_vfs.h"

#define BODY_BYTES 200
#define BATCH      500

static unsigned waits;

static int on_busy(void *user, int count)
{
    (void)user;
    (void)count;
    waits++;
    return 0;
}

static sqlite3 *begin_reading(struct fixture *f)
{
    sqlite3 *db = NULL;
    char *path;
    assert_true(asprintf(&path, "%s/" TG_OUTBOX_FILE, f->dir) > 0);
    assert_int_equal(sqlite3_open_v2(path, &db, SQLITE_OPEN_READONLY, NULL), SQLITE_OK);
    assert_int_equal(sqlite3_exec(db, "BEGIN; SELECT count(*) FROM log", NULL, NULL, NULL), SQLITE_OK);
    free(path);
    return db;
}

static void test_a_reader_holds_no_commit(void **state)
{
    struct fixture *f = *state;
    uint32_t d = device(f, "meter");
    (void)cursor(f, d, "hub");
    append_n(f, d, BATCH, BODY_BYTES);
    sqlite3 *reader = begin_reading(f);
    waits = 0;
    assert_int_equal(sqlite3_busy_handler(f->ob->db, on_busy, NULL), SQLITE_OK);
    while (f->ob->wal_frames < 3 * f->ob->wal_soft_frames)
        append_n(f, d, BATCH, BODY_BYTES);
    assert_int_equal(waits, 0);
    /* It is gone: the log is begun anew instead of growing on. */
    assert_int_equal(sqlite3_exec(reader, "COMMIT", NULL, NULL, NULL), SQLITE_OK);
    for (int i = 0; f->ob->wal_frames > f->ob->wal_soft_frames; i++) {
        assert_true(i < 200);
        append_n(f, d, BATCH, BODY_BYTES);
    }
    assert_int_equal(waits, 0);
    assert_int_equal(sqlite3_close(reader), SQLITE_OK);
}

static void test_one_commit_copies_no_more_than_the_bound(void **state)
{
    struct fixture *f = *state;
    tg_fault_vfs_register();
    f->o.vfs = TG_FAULT_VFS;
    reopen(f, true);
    uint32_t d = device(f, "meter");
    (void)cursor(f, d, "hub");
    const uint64_t bound = TG_OUTBOX_WAL_MAX / 2 + (UINT64_C(1) << 20);
    uint64_t most = 0, all = 0;
    for (int i = 0; all < 10 * bound; i++) {
        tg_fault_set(NULL);
        append_n(f, d, BATCH, BODY_BYTES);
        uint64_t written = tg_fault_counts().bytes_written;
        all += written;
        most = written > most ? written : most;
    }
    if (most > bound)
        fail_msg("one commit wrote %llu bytes", (unsigned long long)most);
    assert_true(most > bound / 8); /* the log was copied at all */
    f->o.vfs = NULL;
    reopen(f, true);
}

static void test_a_full_disk_leaves_the_log_its_space(void **state)
{
    struct fixture *f = *state;
    uint32_t d = device(f, "meter");
    (void)cursor(f, d, "hub");
    append_n(f, d, 4 * BATCH, BODY_BYTES);
    int64_t log = tg_outbox_wal_bytes(f->ob);
    assert_true(log > 4 * BATCH * BODY_BYTES);
    OK(tg_outbox_make_room(f->ob, 1000, &f->err)); /* as after a commit that found no space */
    assert_false(tg_test_exists(f->dir, "outbox.ballast"));
    assert_int_equal(tg_outbox_wal_bytes(f->ob), log);
    append_n(f, d, BATCH, BODY_BYTES);
    assert_int_equal(tg_outbox_wal_bytes(f->ob), log); /* begun anew in the same place */
    reopen(f, true);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_a_reader_holds_no_commit, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_one_commit_copies_no_more_than_the_bound, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_a_full_disk_leaves_the_log_its_space, set_up, tear_down),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
