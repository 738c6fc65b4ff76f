/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * An outbox of the first schema version, with a backlog, is opened by this program, and the power goes at each write and
 * fsync of it in turn, with every kind of remainder on the disk [C15]: what is left is of the old version or of the new
 * one, whole, and has every row; opened again it is of the new one and sound.
 */
#include <sqlite3.h>
#include <unistd.h>

#include "store/schema.h"
#include "support/crash_vfs.h"
#include "support/outbox_fixture.h"
#include "support/proof.h"

#define ROWS 300
#define SEEN 200 /* the hub has acknowledged so many */

static void sql(sqlite3 *db, const char *text)
{
    if (sqlite3_exec(db, text, NULL, NULL, NULL) != SQLITE_OK)
        fail_msg("%s: %s", text, sqlite3_errmsg(db));
}

static int64_t ask(sqlite3 *db, const char *text)
{
    sqlite3_stmt *st = NULL;
    if (sqlite3_prepare_v2(db, text, -1, &st, NULL) != SQLITE_OK || sqlite3_step(st) != SQLITE_ROW)
        fail_msg("%s: %s", text, sqlite3_errmsg(db));
    int64_t n = sqlite3_column_int64(st, 0);
    sqlite3_finalize(st);
    return n;
}

/* What a program of version 1 leaves: the rows of an outbox of today, in version 1's tables. `crashed`: the newest of it is
 * in the log only. */
static void make_old(const char *dir, bool crashed)
{
    struct tg_outbox_options o = tg_test_options(dir);
    struct fixture fixture = {.o = o}, *f = &fixture;
    struct tg_schema first = {tg_outbox_schema.application_id, tg_outbox_schema.steps, 1};
    sqlite3 *db = NULL;
    f->ob = tg_test_open(&o);
    uint32_t d = device(f, "meter-1"), hub = cursor(f, d, "hub");
    (void)cursor(f, d, "lake");
    for (int i = 0; i < ROWS; i += 10)
        append_n(f, d, 10, 100);
    OK(tg_outbox_set_cursor(f->ob, hub, SEEN, SEEN, &f->err));
    OK(tg_outbox_commit(f->ob, &f->err));
    tg_outbox_close(f->ob, true);
    assert_int_equal(rename(tg_test_path(dir, TG_OUTBOX_FILE), tg_test_path(dir, "today.db")), 0);
    assert_int_equal(sqlite3_open(tg_test_path(dir, TG_OUTBOX_FILE), &db), SQLITE_OK);
    sql(db, "PRAGMA journal_mode=WAL");
    OK(tg_schema_migrate(db, &first, &f->err));
    char *text = sqlite3_mprintf("ATTACH %Q AS today", tg_test_path(dir, "today.db"));
    sql(db, text);
    sqlite3_free(text);
    sql(db,
        "BEGIN; DELETE FROM meta;"
        "INSERT INTO meta SELECT id,mark_id,rows,appended,floor_seq,clean,durability,boot_id FROM today.meta;"
        "INSERT INTO log SELECT id,device,seq,time_ms,body FROM today.log;"
        "INSERT INTO device SELECT id,name FROM today.device;"
        "INSERT INTO mark SELECT "
        "device,last_seq,last_id,drop_limit,drop_age,drop_disk,drop_quarantine,gap_first,"
        "gap_last FROM today.mark;"
        "INSERT INTO cloud SELECT id,name FROM today.cloud;"
        "INSERT INTO cursor SELECT id,device,cloud,active,base_seq,acked_seq,acked_id,dropped,skipped FROM "
        "today.cursor;"
        "COMMIT; DETACH today");
    if (crashed)
        assert_int_equal(sqlite3_db_config(db, SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, 1, NULL), SQLITE_OK);
    assert_int_equal(sqlite3_close(db), SQLITE_OK);
    assert_int_equal(unlink(tg_test_path(dir, "today.db")), 0);
}

/* Whether the file is of version 1 or 2, with all that belongs to it; 0: the cut was before the log said anything. */
static int64_t look(const char *dir)
{
    sqlite3 *db = NULL;
    assert_int_equal(sqlite3_open(tg_test_path(dir, TG_OUTBOX_FILE), &db), SQLITE_OK);
    assert_int_equal(sqlite3_db_config(db, SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, 1, NULL), SQLITE_OK);
    int64_t version = ask(db, "PRAGMA user_version");
    assert_in_range(version, 1, tg_outbox_schema.count);
    assert_int_equal(ask(db, "SELECT count(*) FROM pragma_integrity_check WHERE integrity_check <> 'ok'"), 0);
    assert_int_equal(ask(db, "PRAGMA application_id"), tg_outbox_schema.application_id);
    /* Whole: every table and column that version 2 brings, or none of them. */
    int64_t brought =
        ask(db, "SELECT (SELECT count(*) FROM sqlite_schema WHERE name IN ('ahead','urgent','boot','jump'))"
                " + (SELECT count(*) FROM pragma_table_info('mark') WHERE name LIKE 'drop_quota')"
                " + (SELECT count(*) FROM pragma_table_info('cursor') WHERE name LIKE 'gap_%')");
    if (version == 1)
        assert_int_equal(brought, 0);
    else
        assert_true(brought >= 9);
    assert_int_equal(ask(db, "SELECT count(*) FROM log WHERE seq > 200"), ROWS - SEEN); /* SEEN */
    assert_int_equal(sqlite3_close(db), SQLITE_OK);
    return version;
}

struct tally {
    uint64_t cuts, old, newer, operations;
};

static void judge(const char *dir)
{
    struct tg_outbox_options o = tg_test_options(dir);
    struct fixture f = {.o = o};
    struct seen seen;
    char aside[256] = "";
    if (tg_outbox_open(&o, &f.ob, aside, &f.err) != TG_OK || aside[0])
        fail_msg("after the cut: %s", f.err.text);
    uint32_t d = device(&f, "meter-1");
    assert_int_equal(tg_outbox_last_seq(f.ob, d), ROWS);
    assert_int_equal(state_of(&f, cursor(&f, d, "hub")).acked_seq, SEEN);
    assert_int_equal(state_of(&f, cursor(&f, d, "lake")).pending, ROWS);
    assert_int_equal(read_rows(&f, 0, d, UINT32_MAX, SIZE_MAX, &seen), 0);
    assert_int_equal(seen.count, ROWS);
    tg_test_verify(f.ob);
    tg_outbox_close(f.ob, true);
    assert_int_equal(look(dir), tg_outbox_schema.count);
}

/* False: the whole opening took fewer operations than `nth`. */
static bool trial(uint64_t nth, uint64_t seed, struct tally *t)
{
    char *dir = tg_test_memory_dir();
    struct tg_outbox_options o = tg_test_options(dir);
    struct tg_outbox *ob = NULL;
    uint64_t random = seed * 977 + nth;
    make_old(dir, seed % 2 == 1);
    o.vfs = TG_CRASH_VFS;
    tg_crash_arm(nth, false);
    int rc = tg_outbox_open(&o, &ob, NULL, NULL);
    assert_true(rc == TG_OK || tg_crash_happened());
    tg_outbox_close(ob, true);
    bool cut = tg_crash_happened();
    if (!cut)
        t->operations = tg_crash_operations();
    tg_crash_apply(&random);
    int64_t version = look(dir);
    assert_true(cut || version == tg_outbox_schema.count);
    t->cuts += cut;
    t->old += cut && version == 1;
    t->newer += cut && version > 1;
    judge(dir);
    tg_test_dir_remove(dir);
    free(dir);
    return cut;
}

static void test_old_or_new_but_whole(void **state)
{
    struct tally t = {0};
    uint32_t remainders = tg_proof_count("TIDEGATE_REMAINDERS", 8);
    (void)state;
    for (uint32_t seed = 0; seed < remainders; seed++) {
        for (uint64_t nth = 1; trial(nth, seed, &t); nth++)
            assert_true(nth < 2000);
    }
    print_message("%llu power cuts: %llu left version 1, %llu version 2\n", (unsigned long long)t.cuts,
                  (unsigned long long)t.old, (unsigned long long)t.newer);
    assert_true(t.old > 0 && t.newer > 0);
    tg_proof("C15", "migration", t.cuts, 0,
             "A store of schema version 1 with a backlog is brought up to date, and the power goes at each "
             "write and fsync of "
             "that in turn, with many remainders each: old or new version, whole, with every row; then it "
             "opens and is sound",
             "\"operations_of_an_upgrade\":%llu,\"left_old\":%llu,\"left_new\":%llu,\"rows_lost\":0",
             (unsigned long long)t.operations, (unsigned long long)t.old, (unsigned long long)t.newer);
}

static int set_up_disk(void **state)
{
    (void)state;
    tg_crash_vfs_register();
    return 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_old_or_new_but_whole)};
    return cmocka_run_group_tests(tests, set_up_disk, NULL);
}
