/* SPDX-License-Identifier: GPL-2.0-or-later */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <fcntl.h>
#include <sqlite3.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "core/base/allocator.h"
#include "core/base/clock.h"
#include "store/notes.h"
#include "support/gate_vfs.h"
#include "support/notes_help.h"
#include "support/outbox_help.h"

/* --- damage ----------------------------------------------------------------------------------------------------------- */

static void a_damaged_database_is_set_aside_and_told_once(void **state)
{
    struct notes_fixture x;
    uint8_t noise[8192];
    (void)state;
    notes_setup(&x);
    memset(noise, 0x5A, sizeof noise);
    for (int n = 1; n <= 5; n++) {
        char name[32];
        tg_test_spill(tg_test_path(x.dir, "notes.db"), noise, sizeof noise);
        notes_listen_to_log();
        notes_open_at(&x, x.dir);
        notes_stop_listening();
        snprintf(name, sizeof name, "notes.db.bad-%d", n);
        assert_int_equal(notes_told("set aside"), 1);
        assert_int_equal(notes_told(name), 1);
        assert_true(tg_test_exists(x.dir, name));
        notes_set(&x, "s", "k", "1");
        assert_int_equal(notes_durable(&x), TG_OK);
        notes_shut(&x);
        notes_listen_to_log();
        notes_open_at(&x, x.dir);
        notes_stop_listening();
        assert_int_equal(notes_told("set aside"), 0);
        notes_expect(&x, "s", "k", "1");
        notes_shut(&x);
    }
    assert_false(tg_test_exists(x.dir, "notes.db.bad-2")); /* the newest three stay */
    assert_true(tg_test_exists(x.dir, "notes.db.bad-3"));
    notes_teardown(&x);
}

static void a_damaged_page_within_is_found(void **state)
{
    struct notes_fixture x;
    size_t len = 0;
    char value[600];
    (void)state;
    notes_setup(&x);
    notes_open_at(&x, x.dir);
    memset(value, 'v', sizeof value - 1);
    value[sizeof value - 1] = '\0';
    for (int i = 0; i < 100; i++) {
        char key[16];
        snprintf(key, sizeof key, "%d", i);
        notes_set(&x, "s", key, value);
    }
    notes_shut(&x);
    uint8_t *data = tg_test_slurp(tg_test_path(x.dir, "notes.db"), &len);
    assert_true(len > 3 * 4096 + 100);
    memset(data + 3 * 4096, 0xFF, 64);
    tg_test_spill(tg_test_path(x.dir, "notes.db"), data, len);
    free(data);
    notes_listen_to_log();
    notes_open_at(&x, x.dir);
    notes_stop_listening();
    assert_int_equal(notes_told("set aside as"), 1);
    notes_each_is(&x, "");
    notes_teardown(&x);
}

static void damage_found_while_running_loses_nothing(void **state)
{
    struct notes_fixture x;
    uint8_t noise[4096];
    (void)state;
    notes_setup(&x);
    notes_open_at(&x, x.dir);
    notes_set(&x, "s", "before", "1");
    assert_int_equal(notes_durable(&x), TG_OK);
    /* The connection goes (the disk failed once), and what is found when it is opened again is no database. */
    notes_listen_to_log();
    tg_gate_fail_syncs(UINT32_MAX);
    notes_set(&x, "s", "during", "2");
    assert_true(notes_durable(&x) < 0);
    memset(noise, 0x5A, sizeof noise);
    tg_test_spill(tg_test_path(x.dir, "notes.db"), noise, sizeof noise);
    (void)unlink(tg_test_path(x.dir, "notes.db-wal"));
    tg_gate_fail_syncs(0);
    int64_t end = tg_clock_mono_ms() + NOTES_DEADLINE_MS;
    while (notes_durable(&x) != TG_OK) {
        assert_true(tg_clock_mono_ms() < end);
        uv_run(&x.loop.uv, UV_RUN_ONCE);
    }
    notes_stop_listening();
    assert_int_equal(notes_told("notes.db.bad-1"), 1);
    assert_int_equal(notes_told("is written again"), 1);
    notes_shut(&x);
    notes_open_at(&x, x.dir);
    notes_each_is(&x, "s:before=1 s:during=2 ");
    notes_teardown(&x);
}

static void a_database_of_another_program_and_of_a_newer_one(void **state)
{
    struct notes_fixture x;
    sqlite3 *db = NULL;
    struct tg_error err = {0};
    (void)state;
    notes_setup(&x);
    assert_int_equal(sqlite3_open(tg_test_path(x.dir, "notes.db"), &db), SQLITE_OK);
    assert_int_equal(
        sqlite3_exec(db, "PRAGMA application_id=0x74674e6f; PRAGMA user_version=99; CREATE TABLE t(x)", NULL,
                     NULL, NULL),
        SQLITE_OK);
    sqlite3_close(db);
    assert_int_equal(tg_notes_open(&x.loop, x.dir, &x.notes, &err), TG_EVERSION);
    assert_non_null(strstr(err.text, "newer"));
    assert_null(x.notes);
    assert_int_equal(sqlite3_open(tg_test_path(x.dir, "notes.db"), &db), SQLITE_OK);
    assert_int_equal(sqlite3_exec(db, "PRAGMA application_id=1; PRAGMA user_version=1", NULL, NULL, NULL),
                     SQLITE_OK);
    sqlite3_close(db);
    notes_listen_to_log();
    notes_open_at(&x, x.dir);
    notes_stop_listening();
    assert_int_equal(notes_told("another program"), 1);
    assert_true(tg_test_exists(x.dir, "notes.db.bad-1"));
    notes_teardown(&x);
}

/* --- a disk that does not take it ----------------------------------------------------------------------------------- */

static void a_folder_that_cannot_be_one_is_told_once_and_used_when_it_can(void **state)
{
    struct notes_fixture x;
    char folder[4096];
    (void)state;
    notes_setup(&x);
    snprintf(folder, sizeof folder, "%s", tg_test_path(x.dir, "folder"));
    tg_test_spill(folder, "a file", 6);
    notes_listen_to_log();
    notes_open_at(&x, folder);
    notes_set(&x, "s", "k", "1");
    assert_true(notes_durable(&x) < 0);
    notes_expect(&x, "s", "k", "1");
    notes_set(&x, "s", "k", "2");
    assert_true(notes_durable(&x) < 0);
    assert_int_equal(notes_told("kept in memory"), 1);
    assert_int_equal(unlink(folder), 0);
    assert_int_equal(mkdir(folder, 0700), 0);
    int64_t end = tg_clock_mono_ms() + NOTES_DEADLINE_MS;
    while (notes_durable(&x) != TG_OK) {
        assert_true(tg_clock_mono_ms() < end);
        uv_run(&x.loop.uv, UV_RUN_ONCE); /* the back-off is the only thing that wakes it */
    }
    notes_stop_listening();
    assert_int_equal(notes_told("kept in memory"), 1);
    assert_int_equal(notes_told("is written again"), 1);
    notes_shut(&x);
    notes_open_at(&x, folder);
    notes_expect(&x, "s", "k", "2");
    notes_shut(&x);
    assert_int_equal(unlink(tg_test_path(folder, "notes.db")), 0);
    notes_teardown(&x);
}

static void a_disk_that_fails_is_tried_again(void **state)
{
    struct notes_fixture x;
    (void)state;
    notes_setup(&x);
    notes_open_at(&x, x.dir);
    notes_set(&x, "s", "k", "1");
    assert_int_equal(notes_durable(&x), TG_OK);
    notes_listen_to_log();
    tg_gate_gone(true);
    notes_set(&x, "s", "k", "2");
    assert_true(notes_durable(&x) < 0);
    assert_true(notes_durable(&x) < 0);
    tg_notes_drop(x.notes, "other");
    tg_gate_gone(false);
    int64_t end = tg_clock_mono_ms() + NOTES_DEADLINE_MS;
    while (notes_durable(&x) != TG_OK) {
        assert_true(tg_clock_mono_ms() < end);
        uv_run(&x.loop.uv, UV_RUN_ONCE);
    }
    notes_stop_listening();
    assert_int_equal(notes_told("kept in memory"), 1);
    notes_shut(&x);
    notes_open_at(&x, x.dir);
    notes_expect(&x, "s", "k", "2");
    notes_teardown(&x);
}

/* In a child that is nobody, where this runs as root. */
static void a_read_only_folder_is_read(void **state)
{
    struct notes_fixture x;
    int status = 0;
    (void)state;
    notes_setup(&x);
    notes_open_at(&x, x.dir);
    notes_set(&x, "s", "k", "kept");
    notes_shut(&x);
    tg_loop_fini(&x.loop);
    assert_int_equal(chmod(tg_test_path(x.dir, "notes.db"), 0444), 0);
    assert_int_equal(chmod(x.dir, 0555), 0);
    pid_t pid = fork();
    if (pid == 0) {
        struct tg_loop loop;
        struct tg_notes *notes = NULL;
        if (getuid() == 0 && setuid(65534) != 0)
            _exit(2);
        if (tg_loop_init(&loop, NULL) != TG_OK || tg_notes_open(&loop, x.dir, &notes, NULL) != TG_OK)
            _exit(3);
        if (!tg_bytes_eq_str(tg_notes_get(notes, "s", "k"), "kept"))
            _exit(4);
        _exit(tg_notes_set(notes, "s", "k", tg_bytes_str("in memory")) == TG_OK ? 0 : 5);
    }
    assert_int_equal(waitpid(pid, &status, 0), pid);
    assert_true(WIFEXITED(status));
    assert_int_equal(WEXITSTATUS(status), 0);
    assert_int_equal(chmod(x.dir, 0700), 0);
    tg_test_dir_remove(x.dir);
    free(x.dir);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_damaged_database_is_set_aside_and_told_once),
        cmocka_unit_test(a_damaged_page_within_is_found),
        cmocka_unit_test(damage_found_while_running_loses_nothing),
        cmocka_unit_test(a_database_of_another_program_and_of_a_newer_one),
        cmocka_unit_test(a_folder_that_cannot_be_one_is_told_once_and_used_when_it_can),
        cmocka_unit_test(a_disk_that_fails_is_tried_again),
        cmocka_unit_test(a_read_only_folder_is_read),
    };
    tg_gate_vfs_register();
    sqlite3_vfs_register(sqlite3_vfs_find(TG_GATE_VFS), 1);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
