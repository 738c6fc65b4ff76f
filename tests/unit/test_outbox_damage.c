/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * What is found in the place of the database when it was damaged, belongs to somebody else, or comes from
 * another version [C8, C15]: it is set aside or refused, and the outbox works again without a person.
 */
#include "support/outbox_fixture.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "core/base/clock.h"
#include "store/outbox_private.h"
#include "support/fault_vfs.h"
#include "support/proof.h"

static const char *db(struct fixture *f)
{
    return tg_test_path(f->dir, TG_OUTBOX_FILE);
}

static void sql(const char *path, const char *text)
{
    sqlite3 *handle = NULL;
    char *message = NULL;
    assert_int_equal(sqlite3_open(path, &handle), SQLITE_OK);
    /* The log stays, as a crash leaves it. */
    assert_int_equal(sqlite3_db_config(handle, SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, 1, NULL), SQLITE_OK);
    if (sqlite3_exec(handle, text, NULL, NULL, &message) != SQLITE_OK)
        fail_msg("%s: %s", text, message);
    assert_int_equal(sqlite3_close(handle), SQLITE_OK);
}

static void fill(struct fixture *f, int rows)
{
    uint32_t a = device(f, "a");
    cursor(f, a, "hub");
    append_n(f, a, rows, 200);
}

/* Opens after damage; the name it was set aside under, "" = it was not. */
static const char *open_again(struct fixture *f)
{
    static char aside[256];
    OK(tg_outbox_open(&f->o, &f->ob, aside, &f->err));
    return aside;
}

/* It works, and numbers go on above what had been given. */
static void check_works(struct fixture *f, uint64_t seq_before, uint64_t id_before)
{
    struct seen seen;
    uint32_t a = device(f, "a"), hub = cursor(f, a, "hub");
    assert_true(tg_outbox_last_seq(f->ob, a) >= seq_before);
    assert_true(tg_outbox_last_id(f->ob) >= id_before);
    uint64_t from = tg_outbox_last_id(f->ob) + 1, pending = state_of(f, hub).pending;
    append_n(f, a, 100, 200);
    assert_int_equal(state_of(f, hub).pending, pending + 100);
    read_rows(f, from, a, 1000, SIZE_MAX, &seen);
    assert_int_equal(seen.count, 100);
}

static void write_at(const char *path, int64_t offset, const void *data, size_t len)
{
    int fd = open(path, O_WRONLY);
    assert_true(fd >= 0);
    assert_int_equal(pwrite(fd, data, len, offset), len);
    close(fd);
}

/* Whole files of nonsense. */
static void test_nonsense_is_set_aside(void **state)
{
    struct fixture *f = *state;
    static uint8_t junk[40000];
    uint64_t random = 7;
    for (int kind = 0; kind < 5; kind++) {
        fill(f, 200);
        uint64_t seq = tg_outbox_last_seq(f->ob, 0), id = tg_outbox_last_id(f->ob);
        tg_outbox_close(f->ob, kind % 2 == 0);
        for (size_t i = 0; i < sizeof junk; i++)
            junk[i] = kind == 0 ? 0 : (uint8_t)tg_test_random(&random);
        if (kind <= 1)
            tg_test_spill(db(f), junk, sizeof junk);
        else if (kind == 2)
            tg_test_spill(db(f), "hello", 5);
        else if (kind == 3)
            assert_int_equal(truncate(db(f), 5000), 0);
        else
            write_at(db(f), 0, junk, 100);
        /* A write-ahead log that is left would repair some of this: it goes too. */
        (void)unlink(tg_test_path(f->dir, TG_OUTBOX_FILE "-wal"));
        const char *aside = open_again(f);
        if (aside[0] == '\0')
            fail_msg("kind %d was taken for sound", kind);
        assert_true(strlen(f->err.text) > 10);
        assert_true(tg_test_exists(f->dir, aside));
        check_works(f, seq, id);
        tg_test_verify(f->ob);
    }
}

/* The newest three are kept. */
static void test_old_ones_are_deleted(void **state)
{
    struct fixture *f = *state;
    for (int i = 1; i <= 5; i++) {
        char name[64];
        tg_outbox_close(f->ob, false);
        tg_test_spill(db(f), "not a database", 14);
        tg_test_spill(tg_test_path(f->dir, TG_OUTBOX_FILE "-wal"), "nor a log", 9);
        snprintf(name, sizeof name, TG_OUTBOX_FILE ".corrupt-%d", i);
        assert_string_equal(open_again(f), name);
        assert_int_equal(tg_test_file_size(tg_test_path(f->dir, name)), 14);
        snprintf(name, sizeof name, TG_OUTBOX_FILE ".corrupt-%d-wal", i);
        assert_int_equal(tg_test_file_size(tg_test_path(f->dir, name)), 9);
    }
    assert_false(tg_test_exists(f->dir, TG_OUTBOX_FILE ".corrupt-1"));
    assert_false(tg_test_exists(f->dir, TG_OUTBOX_FILE ".corrupt-2"));
    assert_false(tg_test_exists(f->dir, TG_OUTBOX_FILE ".corrupt-2-wal"));
    assert_true(tg_test_exists(f->dir, TG_OUTBOX_FILE ".corrupt-3"));
    assert_true(tg_test_exists(f->dir, TG_OUTBOX_FILE ".corrupt-5-wal"));
}

/* Interrupted between two renames: the log of the database that lies aside must not be taken for ours. */
static void test_half_done_set_aside(void **state)
{
    struct fixture *f = *state;
    fill(f, 50);
    uint64_t seq = tg_outbox_last_seq(f->ob, 0), id = tg_outbox_last_id(f->ob);
    tg_outbox_close(f->ob, false);
    assert_int_equal(rename(db(f), tg_test_path(f->dir, TG_OUTBOX_FILE ".corrupt-4")), 0);
    assert_true(tg_test_file_size(tg_test_path(f->dir, TG_OUTBOX_FILE "-wal")) > 0);
    assert_string_equal(open_again(f), "");
    assert_true(tg_test_exists(f->dir, TG_OUTBOX_FILE ".corrupt-4-wal"));
    check_works(f, seq, id);
}

static void see_any(void *user, const struct tg_outbox_row *row)
{
    uint64_t *sum = user;
    for (size_t i = 0; i < row->body.len; i++)
        *sum += row->body.data[i];
}

/* Pages overwritten here and there: found when opening or when reading; then set aside; never a crash. */
static void test_random_pages(void **state)
{
    struct fixture *f = *state;
    int found_open = 0, found_later = 0, unnoticed = 0;
    fill(f, 2000);
    tg_outbox_close(f->ob, true);
    size_t len = 0;
    uint8_t *good = tg_test_slurp(db(f), &len), page[4096];
    uint32_t trials = tg_proof_count("TIDEGATE_DAMAGES", 60);
    for (uint64_t seed = 1; seed <= trials; seed++) {
        uint64_t random = seed, next = 0;
        uint64_t sum = 0;
        tg_test_spill(db(f), good, len);
        for (int i = 0; i < 3; i++) {
            int64_t at = (int64_t)(tg_test_random(&random) % len);
            size_t n = 1 + tg_test_random(&random) % sizeof page;
            for (size_t k = 0; k < n; k++)
                page[k] = (uint8_t)(tg_test_random(&random) % (seed % 3 ? 256 : 1));
            write_at(db(f), at, page, at + (int64_t)n > (int64_t)len ? len - (size_t)at : n);
        }
        bool aside = open_again(f)[0] != '\0';
        found_open += aside;
        if (!aside) {
            int rc = 1;
            while (rc == 1)
                rc = tg_outbox_read(f->ob, next, UINT32_MAX, 100, SIZE_MAX, see_any, &sum, &next, &f->err);
            if (rc == TG_ECORRUPT) {
                found_later++;
                assert_true(tg_test_exists(f->dir, "outbox.suspect"));
                tg_outbox_close(f->ob, false);
                assert_true(open_again(f)[0] != '\0');
                assert_false(tg_test_exists(f->dir, "outbox.suspect"));
            } else {
                assert_int_equal(rc, 0);
                unnoticed++; /* inside of a body or of free space */
            }
        }
        uint32_t a = 0;
        OK(tg_outbox_device(f->ob, "a", &a, &f->err));
        struct tg_outbox_row row = {tg_outbox_last_id(f->ob) + 1, tg_outbox_last_seq(f->ob, a) + 1, a, 1,
                                    tg_test_body(a, 1, 60)};
        int code = tg_outbox_append(f->ob, &row, &f->err);
        if (code == TG_OK)
            code = tg_outbox_commit(f->ob, &f->err);
        if (code != TG_OK) { /* damage that shows only when written to */
            assert_int_equal(code, TG_ECORRUPT);
            tg_outbox_close(f->ob, false);
            assert_true(open_again(f)[0] != '\0');
        }
        tg_outbox_close(f->ob, true);
        (void)unlink(tg_test_path(f->dir, TG_OUTBOX_FILE "-wal"));
    }
    print_message("%u damaged databases: %d found when opening, %d when reading, %d unnoticed\n", trials,
                  found_open, found_later, unnoticed);
    tg_proof("C8", "damaged_pages", trials, 0,
             "Three random stretches of a database are overwritten with random bytes or zeros: the damage is "
             "found when opening, reading or "
             "writing, the database is set aside, and a new one takes samples; never a crash",
             "\"found_when_opening\":%d,\"found_when_reading\":%d,\"inside_of_bodies_or_free_space\":%d",
             found_open, found_later, unnoticed);
    assert_true(found_open > 0 && found_later > 0);
    free(good);
    tg_test_spill(db(f), "", 0);
    f->ob = tg_test_open(&f->o);
}

/* A suspicion that does not hold costs a check, not the data. */
static void test_false_suspicion(void **state)
{
    struct fixture *f = *state;
    fill(f, 100);
    tg_outbox_close(f->ob, false);
    tg_test_spill(tg_test_path(f->dir, "outbox.suspect"), "", 0);
    assert_string_equal(open_again(f), "");
    assert_false(tg_test_exists(f->dir, "outbox.suspect"));
    assert_int_equal(tg_outbox_last_seq(f->ob, device(f, "a")), 100);
}

/* Databases that are sound but not ours, or ours with parts missing. */
static void test_foreign_databases(void **state)
{
    struct fixture *f = *state;
    static const char *const changes[] = {
        "PRAGMA application_id=1",
        "PRAGMA user_version=0",
        "PRAGMA user_version=-3",
        "DROP TABLE cursor",
        "ALTER TABLE log DROP COLUMN seq",
        "DELETE FROM meta",
        "DELETE FROM mark",
        "UPDATE device SET id=17",
        "UPDATE cursor SET device=17",
        "UPDATE cursor SET acked_seq=99999999",
        "UPDATE cursor SET dropped=99",
        "UPDATE log SET seq=1",
        "UPDATE log SET device=55",
        "INSERT INTO hole VALUES(9, 1, 2)",
        "INSERT INTO hole VALUES(0, 1000000000, 1000000001)",
        "INSERT INTO hole VALUES(0, 5, 2)",
    };
    for (size_t i = 0; i < sizeof changes / sizeof changes[0]; i++) {
        fill(f, 20);
        uint64_t seq = tg_outbox_last_seq(f->ob, 0), id = tg_outbox_last_id(f->ob);
        tg_outbox_close(f->ob, false);
        sql(db(f), changes[i]);
        if (open_again(f)[0] == '\0')
            fail_msg("taken for sound: %s", changes[i]);
        check_works(f, seq, id);
    }
    tg_outbox_close(f->ob, true);
    assert_int_equal(unlink(db(f)), 0);
    sql(db(f), "CREATE TABLE recipes(name TEXT)");
    assert_true(open_again(f)[0] != '\0');
}

/* Not a file, or one that cannot be read. */
static void open_as_nobody(struct fixture *f)
{
    /* 65534 is "nobody"; a test that is not root has the mode against it anyway. */
    if (getuid() == 0 && (setgid(65534) != 0 || setuid(65534) != 0))
        _exit(10);
    struct tg_outbox *ob = NULL;
    char aside[256];
    if (tg_outbox_open(&f->o, &ob, aside, &f->err) != TG_OK) {
        fprintf(stderr, "%s\n", f->err.text);
        _exit(11);
    }
    if (aside[0] == '\0')
        _exit(12);
    tg_outbox_close(ob, true);
    _exit(0);
}

static void test_not_a_file_of_ours(void **state)
{
    struct fixture *f = *state;
    int status = 0;
    tg_outbox_close(f->ob, true);
    assert_int_equal(unlink(db(f)), 0);
    assert_int_equal(mkdir(db(f), 0700), 0);
    assert_string_equal(open_again(f), TG_OUTBOX_FILE ".corrupt-1");
    tg_outbox_close(f->ob, true);
    assert_int_equal(unlink(db(f)), 0);
    assert_int_equal(symlink("/etc/passwd", db(f)), 0);
    assert_string_equal(open_again(f), TG_OUTBOX_FILE ".corrupt-2");
    tg_outbox_close(f->ob, true);

    assert_int_equal(chmod(db(f), 0), 0);
    if (getuid() == 0) {
        assert_int_equal(chown(f->dir, 65534, 65534), 0);
        assert_int_equal(chown(tg_test_path(f->dir, "outbox.lock"), 65534, 65534), 0);
    }
    pid_t child = fork();
    if (child == 0)
        open_as_nobody(f);
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_int_equal(status, 0);
    assert_true(tg_test_exists(f->dir, TG_OUTBOX_FILE ".corrupt-3"));
    assert_int_equal(unlink(tg_test_path(f->dir, TG_OUTBOX_FILE)), 0);
    f->ob = tg_test_open(&f->o);
}

/* A newer schema is refused, and no byte of database or log changes. */
static void test_newer_schema(void **state)
{
    struct fixture *f = *state;
    static const char *const names[] = {TG_OUTBOX_FILE, TG_OUTBOX_FILE "-wal"};
    uint8_t *before[2], *after;
    size_t len[2], len_after;
    fill(f, 300);
    /* The version arrives through the log, which stays. */
    assert_int_equal(sqlite3_exec(f->ob->db, "PRAGMA user_version=3", NULL, NULL, NULL), SQLITE_OK);
    tg_outbox_close(f->ob, false);
    for (int i = 0; i < 2; i++)
        before[i] = tg_test_slurp(tg_test_path(f->dir, names[i]), &len[i]);
    assert_true(len[1] > 0);
    for (int read_only = 0; read_only < 2; read_only++) {
        f->o.read_only = read_only;
        assert_int_equal(tg_outbox_open(&f->o, &f->ob, NULL, &f->err), TG_EVERSION);
        assert_non_null(strstr(f->err.text, "newer"));
    }
    f->o.read_only = false;
    for (int i = 0; i < 2; i++) {
        after = tg_test_slurp(tg_test_path(f->dir, names[i]), &len_after);
        assert_int_equal(len_after, len[i]);
        assert_memory_equal(after, before[i], len[i]);
        free(after);
        free(before[i]);
    }
    sql(db(f), "PRAGMA user_version=2");
    tg_proof("C15", "newer_refused", 2, 0,
             "A store whose version is newer than this program, in the database or in its log: refused with "
             "a text, and not a byte of "
             "it is changed",
             "\"bytes_changed\":0");
    assert_string_equal(open_again(f), "");
    assert_int_equal(tg_outbox_last_seq(f->ob, device(f, "a")), 300);
}

/* An upgrade that is interrupted at any write leaves the old version or the new one. */
static void test_interrupted_upgrade(void **state)
{
    struct fixture *f = *state;
    static const struct tg_schema_step steps[] = {
        {1, "CREATE TABLE t(x); INSERT INTO t VALUES(1),(2),(3)", NULL},
        {2, "ALTER TABLE t ADD COLUMN y DEFAULT 5; UPDATE t SET x = x + 10", NULL},
        {3, "CREATE TABLE u AS SELECT x + y AS z FROM t; DROP TABLE t", NULL},
    };
    const struct tg_schema newest = {77, steps, 3};
    const char *path = tg_test_path(f->dir, "upgrade.db");
    char saved[4096];
    snprintf(saved, sizeof saved, "%s", path);
    bool clean = false;
    for (uint64_t n = 1; !clean; n++) {
        const struct tg_schema old = {77, steps, 1};
        sqlite3 *h = NULL;
        int version = 0;
        (void)unlink(saved);
        tg_fault_set(NULL);
        assert_int_equal(sqlite3_open_v2(saved, &h, SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE, TG_FAULT_VFS),
                         SQLITE_OK);
        assert_int_equal(tg_schema_migrate(h, &old, &f->err), TG_OK);
        tg_fault_set(
            &(struct tg_fault_plan){.ops = TG_FAULT_WRITE | TG_FAULT_SYNC, .at = n, .forever = true});
        int code = tg_schema_migrate(h, &newest, &f->err);
        clean = tg_fault_counts().failed == 0;
        assert_true((code == TG_OK) == clean);
        tg_fault_set(NULL);
        assert_int_equal(sqlite3_close(h), SQLITE_OK);

        assert_int_equal(sqlite3_open(saved, &h), SQLITE_OK);
        assert_int_equal(tg_schema_inspect(h, &newest, &version, &f->err), TG_OK);
        assert_in_range(version, 1, 3);
        assert_int_equal(tg_schema_migrate(h, &newest, &f->err), TG_OK);
        sqlite3_stmt *st = NULL;
        assert_int_equal(sqlite3_prepare_v2(h, "SELECT sum(z) FROM u", -1, &st, NULL), SQLITE_OK);
        assert_int_equal(sqlite3_step(st), SQLITE_ROW);
        assert_int_equal(sqlite3_column_int(st, 0), 16 + 17 + 18);
        sqlite3_finalize(st);
        assert_int_equal(sqlite3_close(h), SQLITE_OK);
        assert_true(n < 500);
    }
}

/* `normal` and another boot: what came after the last fsync may be gone and may have been sent, so numbers
 * jump. */
static void test_normal_after_a_power_cut(void **state)
{
    struct fixture *f = *state;
    tg_outbox_close(f->ob, true);
    f->o.durability = TG_DURABILITY_NORMAL;
    f->ob = tg_test_open(&f->o);
    fill(f, 10);
    uint32_t a = device(f, "a"), hub = cursor(f, a, "hub");
    /* The process alone dies: nothing is lost, nothing jumps. */
    reopen(f, false);
    assert_int_equal(tg_outbox_last_seq(f->ob, a), 10);
    /* A clean stop, then another boot: the same. */
    tg_outbox_close(f->ob, true);
    sql(db(f), "UPDATE meta SET boot_id='other'");
    f->ob = tg_test_open(&f->o);
    assert_int_equal(tg_outbox_last_seq(f->ob, a), 10);
    /* A power cut. */
    tg_outbox_close(f->ob, false);
    sql(db(f), "UPDATE meta SET boot_id='other'");
    f->ob = tg_test_open(&f->o);
    for (int round = 0; round < 2; round++) {
        assert_int_equal(tg_outbox_last_seq(f->ob, a), 10 + TG_OUTBOX_JUMP);
        assert_int_equal(tg_outbox_last_id(f->ob), 10 + TG_OUTBOX_JUMP);
        assert_int_equal(state_of(f, hub).pending, 10);
        tg_test_verify(f->ob);
        reopen(f, round == 1);
    }
    append_n(f, a, 5, 60);
    assert_int_equal(state_of(f, hub).pending, 15);
    OK(tg_outbox_set_cursor(f->ob, hub, tg_outbox_last_seq(f->ob, a), tg_outbox_last_id(f->ob), &f->err));
    OK(tg_outbox_commit(f->ob, &f->err));
    assert_int_equal(state_of(f, hub).acked, 15);
    tg_test_verify(f->ob);
}

/* Somebody deleted the write-ahead log: what was in it is gone, but no number is given twice. */
static void test_log_taken_away(void **state)
{
    struct fixture *f = *state;
    fill(f, 10);
    reopen(f, true);
    append_n(f, device(f, "a"), 30, 60);
    tg_outbox_close(f->ob, false);
    assert_int_equal(unlink(tg_test_path(f->dir, TG_OUTBOX_FILE "-wal")), 0);
    assert_string_equal(open_again(f), "");
    check_works(f, 40, 40);
    tg_test_verify(f->ob);
}

/* outbox.high: one slot torn, the other counts; both gone, the clock does. */
static void test_high_water_file(void **state)
{
    struct fixture *f = *state;
    uint8_t zero[64] = {0};
    fill(f, 1);
    uint32_t a = device(f, "a");
    struct tg_outbox_row row = {2000000, 2000000, a, 1, tg_test_body(a, 2, 60)};
    OK(tg_outbox_append(f->ob, &row, &f->err)); /* writes the second slot */
    OK(tg_outbox_commit(f->ob, &f->err));
    tg_outbox_close(f->ob, true);
    tg_test_spill(db(f), "lost", 4);
    write_at(tg_test_path(f->dir, "outbox.high"), 4096 + 20, zero, 4); /* the older of the two */
    assert_true(open_again(f)[0] != '\0');
    check_works(f, 2000000, 2000000);
    assert_true(tg_outbox_last_seq(f->ob, 0) < 5000000);
    tg_outbox_close(f->ob, true);

    tg_test_spill(db(f), "lost", 4);
    assert_int_equal(unlink(tg_test_path(f->dir, "outbox.high")), 0);
    assert_true(open_again(f)[0] != '\0');
    check_works(f, 5000000, 5000000);
    assert_true(tg_outbox_last_seq(f->ob, 0) > 1600000000000);
}

static void keep_finding(void *user, const char *finding)
{
    snprintf(user, 400, "%s", finding);
}

/* verify finds what SQLite cannot: each damage has its finding. */
static void test_verify_finds(void **state)
{
    struct fixture *f = *state;
    static const struct {
        const char *sql, *finding;
    } cases[] = {
        {"DELETE FROM log WHERE seq=7", "missing without a record"},
        {"DELETE FROM log WHERE seq=20", "rows are stored"},
        {"UPDATE log SET body=x'0102' WHERE seq=3", "body is damaged"},
        {"UPDATE log SET body=x'' WHERE seq=3", "body is damaged"},
        {"UPDATE log SET device=3 WHERE seq=3", "does not exist"},
        {"UPDATE log SET seq=9 WHERE seq=3", "seq"},
        {"UPDATE meta SET rows=99", "rows are stored"},
    };
    fill(f, 20);
    tg_outbox_close(f->ob, true);
    size_t len = 0;
    uint8_t *good = tg_test_slurp(db(f), &len);
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        char finding[400] = "";
        (void)unlink(tg_test_path(f->dir, TG_OUTBOX_FILE "-wal"));
        tg_test_spill(db(f), good, len);
        sql(db(f), cases[i].sql);
        f->o.read_only = true;
        OK(tg_outbox_open(&f->o, &f->ob, NULL, &f->err));
        assert_int_equal(tg_outbox_verify(f->ob, keep_finding, finding, &f->err), TG_ECORRUPT);
        if (!strstr(finding, cases[i].finding) && !strstr(finding, "the accounts say"))
            fail_msg("%s: found \"%s\"", cases[i].sql, finding);
        tg_outbox_close(f->ob, false);
    }
    (void)unlink(tg_test_path(f->dir, TG_OUTBOX_FILE "-wal"));
    tg_test_spill(db(f), good, len);
    free(good);
    f->o.read_only = false;
    f->ob = tg_test_open(&f->o);
    tg_test_verify(f->ob);
}

static int prepare(void **state)
{
    (void)state;
    tg_fault_vfs_register();
    return 0;
}

int main(void)
{
    static const struct CMUnitTest tests[] = {
#define T(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
        T(test_nonsense_is_set_aside), T(test_old_ones_are_deleted),
        T(test_half_done_set_aside),   T(test_random_pages),
        T(test_false_suspicion),       T(test_foreign_databases),
        T(test_not_a_file_of_ours),    T(test_newer_schema),
        T(test_interrupted_upgrade),   T(test_normal_after_a_power_cut),
        T(test_log_taken_away),        T(test_high_water_file),
        T(test_verify_finds),
    };
    return cmocka_run_group_tests(tests, prepare, NULL);
}
