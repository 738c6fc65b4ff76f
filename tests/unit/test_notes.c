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
#include "support/outbox_help.h"

#define DEADLINE_MS 60000

/* --- a loop, a folder, what was told --------------------------------------------------------------------------- */

struct fixture {
    struct tg_loop loop;
    struct tg_notes *notes;
    char *dir;
    bool closed;
    int answers, last_rc;
    char order[32];
};

static void setup(struct fixture *x)
{
    struct tg_error err = {0};
    memset(x, 0, sizeof *x);
    x->dir = tg_test_dir();
    assert_int_equal(tg_loop_init(&x->loop, &err), TG_OK);
}

static void open_at(struct fixture *x, const char *dir)
{
    struct tg_error err = {0};
    x->closed = false;
    assert_int_equal(tg_notes_open(&x->loop, dir, &x->notes, &err), TG_OK);
}

static void turn_until(struct fixture *x, const bool *condition)
{
    int64_t end = tg_clock_mono_ms() + DEADLINE_MS;
    while (!*condition) {
        assert_true(tg_clock_mono_ms() < end);
        if (!uv_run(&x->loop.uv, UV_RUN_NOWAIT) || !*condition)
            usleep(1000); /* between two looks at the condition */
    }
}

static void on_closed(void *user)
{
    struct fixture *x = user;
    x->closed = true;
}

static void shut(struct fixture *x)
{
    tg_notes_close(x->notes, DEADLINE_MS, on_closed, x);
    turn_until(x, &x->closed);
    x->notes = NULL;
}

static void teardown(struct fixture *x)
{
    if (x->notes)
        shut(x);
    tg_loop_fini(&x->loop);
    tg_test_dir_remove(x->dir);
    free(x->dir);
}

struct answer {
    struct fixture *x;
    bool here;
    int rc;
};

static void on_durable(void *user, int rc)
{
    struct answer *a = user;
    assert_false(a->here);
    a->here = true;
    a->rc = rc;
}

static int durable(struct fixture *x)
{
    struct answer a = {x, false, 1};
    assert_int_equal(tg_notes_when_durable(x->notes, on_durable, &a), TG_OK);
    assert_false(a.here);
    turn_until(x, &a.here);
    return a.rc;
}

static void set(struct fixture *x, const char *scope, const char *key, const char *value)
{
    assert_int_equal(tg_notes_set(x->notes, scope, key, tg_bytes_str(value)), TG_OK);
}

static void expect(struct fixture *x, const char *scope, const char *key, const char *value)
{
    struct tg_bytes got = tg_notes_get(x->notes, scope, key);
    if (!tg_bytes_eq_str(got, value))
        fail_msg("%s %s is \"%.*s\", not \"%s\"", scope, key, (int)got.len, (const char *)got.data, value);
}

/* Standard error into a file; returns how often `text` stands in it afterwards. */
static int told_fd = -1, real_stderr = -1;

static void listen_to_log(void)
{
    char name[] = "/tmp/tg notes log XXXXXX";
    fflush(stderr);
    told_fd = mkstemp(name);
    assert_true(told_fd >= 0);
    unlink(name);
    real_stderr = dup(2);
    dup2(told_fd, 2);
}

static void stop_listening(void)
{
    fflush(stderr);
    dup2(real_stderr, 2);
    close(real_stderr);
}

static int told(const char *text)
{
    static char log[65536];
    int count = 0;
    ssize_t n = pread(told_fd, log, sizeof log - 1, 0);
    assert_true(n >= 0);
    log[n] = '\0';
    for (const char *p = log; (p = strstr(p, text)) != NULL; p++)
        count++;
    return count;
}

/* --- the table ---------------------------------------------------------------------------------------------------- */

static void notes_survive_closing_and_opening(void **state)
{
    struct fixture x;
    uint8_t binary[256];
    struct stat st;
    (void)state;
    setup(&x);
    for (unsigned i = 0; i < sizeof binary; i++)
        binary[i] = (uint8_t)i;
    open_at(&x, x.dir);
    set(&x, "cloud/hub/meter-1", "assigned", "hub-7.example");
    set(&x, "cloud/hub/meter-1", "desired", "{\"a\":1}");
    set(&x, "cloud/hub/meter-2", "assigned", "hub-8.example");
    assert_int_equal(tg_notes_set(x.notes, "b", "bytes", tg_bytes(binary, sizeof binary)), TG_OK);
    expect(&x, "cloud/hub/meter-1", "assigned", "hub-7.example");
    set(&x, "cloud/hub/meter-1", "assigned", "hub-9.example");
    expect(&x, "cloud/hub/meter-1", "assigned", "hub-9.example");
    assert_int_equal(tg_notes_set(x.notes, "cloud/hub/meter-2", "assigned", tg_bytes(NULL, 0)), TG_OK);
    assert_int_equal(tg_notes_get(x.notes, "cloud/hub/meter-2", "assigned").len, 0);
    shut(&x);
    assert_int_equal(stat(tg_test_path(x.dir, "notes.db"), &st), 0);
    assert_int_equal(st.st_mode & 0777, 0600);
    assert_false(tg_test_exists(x.dir, "notes.db-wal"));
    open_at(&x, x.dir);
    expect(&x, "cloud/hub/meter-1", "assigned", "hub-9.example");
    expect(&x, "cloud/hub/meter-1", "desired", "{\"a\":1}");
    assert_int_equal(tg_notes_get(x.notes, "cloud/hub/meter-2", "assigned").len, 0);
    assert_int_equal(tg_notes_get(x.notes, "cloud/hub", "assigned").len, 0);
    assert_true(tg_bytes_eq(tg_notes_get(x.notes, "b", "bytes"), tg_bytes(binary, sizeof binary)));
    teardown(&x);
}

static void collect(void *user, const char *scope, const char *key, struct tg_bytes value)
{
    struct tg_buffer *b = user;
    assert_int_equal(
        tg_buffer_append_fmt(b, "%s:%s=%.*s ", scope, key, (int)value.len, (const char *)value.data), TG_OK);
}

static void each_is(struct fixture *x, const char *want)
{
    struct tg_buffer b = tg_buffer_init(4096);
    tg_notes_each(x->notes, collect, &b);
    assert_int_equal(tg_buffer_append(&b, tg_bytes("", 1)), TG_OK);
    assert_string_equal((const char *)b.data, want);
    tg_buffer_fini(&b);
}

static void a_scope_is_dropped_with_those_below_and_nothing_beside(void **state)
{
    struct fixture x;
    (void)state;
    setup(&x);
    open_at(&x, x.dir);
    set(&x, "a/b/c", "k", "5");
    set(&x, "a/b", "z", "2");
    set(&x, "a/b", "k", "1");
    set(&x, "a/b-1", "k", "3");
    set(&x, "a/bb", "k", "6");
    set(&x, "a", "k", "0");
    each_is(&x, "a:k=0 a/b:k=1 a/b:z=2 a/b-1:k=3 a/b/c:k=5 a/bb:k=6 ");
    assert_int_equal(durable(&x), TG_OK);
    tg_notes_drop(x.notes, "a/b");
    each_is(&x, "a:k=0 a/b-1:k=3 a/bb:k=6 ");
    set(&x, "a/b", "k", "again");
    shut(&x);
    open_at(&x, x.dir);
    each_is(&x, "a:k=0 a/b:k=again a/b-1:k=3 a/bb:k=6 ");
    tg_notes_drop(x.notes, "nothing");
    tg_notes_drop(x.notes, "a");
    each_is(&x, "");
    shut(&x);
    open_at(&x, x.dir);
    each_is(&x, "");
    teardown(&x);
}

static void names_values_and_the_whole_are_bounded(void **state)
{
    struct fixture x;
    char name[TG_NOTE_NAME_BYTES + 2];
    uint8_t *big = calloc(1, TG_NOTE_MAX_BYTES + 1);
    unsigned n = 0;
    int rc;
    (void)state;
    assert_non_null(big);
    setup(&x);
    open_at(&x, x.dir);
    memset(name, 'n', sizeof name);
    name[sizeof name - 1] = '\0';
    assert_int_equal(tg_notes_set(x.notes, name, "k", tg_bytes_str("v")), TG_ETOOBIG);
    assert_int_equal(tg_notes_set(x.notes, "s", name, tg_bytes_str("v")), TG_ETOOBIG);
    name[TG_NOTE_NAME_BYTES] = '\0';
    assert_int_equal(tg_notes_set(x.notes, name, name, tg_bytes_str("v")), TG_OK);
    assert_int_equal(tg_notes_set(x.notes, "", "k", tg_bytes_str("v")), TG_EINVAL);
    assert_int_equal(tg_notes_set(x.notes, "s", "", tg_bytes_str("v")), TG_EINVAL);
    assert_int_equal(tg_notes_set(x.notes, "s", "k", tg_bytes(big, TG_NOTE_MAX_BYTES + 1)), TG_ETOOBIG);
    do {
        char key[16];
        snprintf(key, sizeof key, "%u", n);
        memset(big, (int)n, TG_NOTE_MAX_BYTES);
        rc = tg_notes_set(x.notes, "s", key, tg_bytes(big, TG_NOTE_MAX_BYTES));
        n += rc == TG_OK;
    } while (rc == TG_OK);
    assert_int_equal(rc, TG_EFULL);
    assert_in_range(n, 250, 255); /* 16 MiB / 64 KiB, less the bookkeeping */
    assert_int_equal(tg_notes_get(x.notes, "s", "0").len, TG_NOTE_MAX_BYTES);
    /* What is there may change within the space it has, and what is removed makes room. */
    memset(big, 0xAA, TG_NOTE_MAX_BYTES);
    assert_int_equal(tg_notes_set(x.notes, "s", "0", tg_bytes(big, TG_NOTE_MAX_BYTES)), TG_OK);
    assert_int_equal(tg_notes_set(x.notes, "s", "1", tg_bytes(NULL, 0)), TG_OK);
    assert_int_equal(tg_notes_set(x.notes, "s", "1", tg_bytes(big, TG_NOTE_MAX_BYTES)), TG_OK);
    shut(&x);
    open_at(&x, x.dir);
    assert_int_equal(tg_notes_get(x.notes, "s", "0").len, TG_NOTE_MAX_BYTES);
    assert_int_equal(tg_notes_get(x.notes, "s", "0").data[9], 0xAA);
    teardown(&x);
    free(big);
}

static void without_memory_nothing_changes(void **state)
{
    struct fixture x;
    (void)state;
    setup(&x);
    open_at(&x, x.dir);
    set(&x, "s", "k", "old");
    for (uint64_t nth = 1;; nth++) {
        char key[16];
        snprintf(key, sizeof key, "new%llu", (unsigned long long)nth);
        tg_alloc_fail_at(nth, 1);
        int a = tg_notes_set(x.notes, "s", "k", tg_bytes_str(key));
        int b = a == TG_OK ? tg_notes_set(x.notes, "s", key, tg_bytes_str("v")) : TG_ENOMEM;
        tg_alloc_fail_at(0, 0);
        if (b == TG_OK)
            break;
        assert_int_equal(b, TG_ENOMEM);
        expect(&x, "s", "k", a == TG_OK ? key : "old");
        assert_int_equal(tg_notes_get(x.notes, "s", key).len, 0);
        set(&x, "s", "k", "old");
    }
    tg_alloc_fail_at(1, 1);
    assert_int_equal(tg_notes_when_durable(x.notes, on_durable, &x), TG_ENOMEM);
    tg_notes_drop(x.notes, "s"); /* needs none */
    tg_alloc_fail_at(0, 0);
    shut(&x);
    open_at(&x, x.dir);
    each_is(&x, "");
    teardown(&x);
}

/* --- when it is on disk -------------------------------------------------------------------------------------------- */

struct step {
    struct fixture *x;
    char letter;
};

static void on_step(void *user, int rc)
{
    struct step *s = user;
    size_t n = strlen(s->x->order);
    assert_int_equal(rc, TG_OK);
    s->x->order[n] = s->letter;
    s->x->order[n + 1] = '\0';
}

static void what_is_replaced_while_it_is_written_is_written_again(void **state)
{
    struct fixture x;
    struct step a = {&x, 'a'}, b = {&x, 'b'}, c = {&x, 'c'};
    struct answer last = {&x, false, 1};
    (void)state;
    setup(&x);
    open_at(&x, x.dir);
    assert_int_equal(durable(&x), TG_OK);
    set(&x, "s", "k", "one");
    set(&x, "s", "gone", "one");
    assert_int_equal(tg_notes_when_durable(x.notes, on_step, &a), TG_OK);
    tg_gate_hold(true);
    int64_t end = tg_clock_mono_ms() + DEADLINE_MS;
    while (!tg_gate_is_held()) { /* the first transaction is at its fsync */
        assert_true(tg_clock_mono_ms() < end);
        uv_run(&x.loop.uv, UV_RUN_NOWAIT);
    }
    struct tg_bytes view = tg_notes_get(x.notes, "s", "k");
    assert_true(tg_bytes_eq_str(view, "one"));
    set(&x, "s", "k", "two");
    set(&x, "s", "k", "three");
    tg_notes_drop(x.notes, "s/none");
    assert_int_equal(tg_notes_set(x.notes, "s", "gone", tg_bytes(NULL, 0)), TG_OK);
    assert_int_equal(tg_notes_when_durable(x.notes, on_step, &b), TG_OK);
    assert_int_equal(tg_notes_when_durable(x.notes, on_step, &c), TG_OK);
    assert_int_equal(tg_notes_when_durable(x.notes, on_durable, &last), TG_OK);
    expect(&x, "s", "k", "three");
    assert_string_equal(x.order, "");
    tg_gate_hold(false);
    turn_until(&x, &last.here);
    assert_int_equal(last.rc, TG_OK);
    assert_string_equal(x.order, "abc");
    shut(&x);
    open_at(&x, x.dir);
    each_is(&x, "s:k=three ");
    teardown(&x);
}

static void on_nested(void *user, int rc)
{
    struct fixture *x = user;
    assert_int_equal(rc, TG_OK);
    if (x->answers++ == 0) {
        set(x, "s", "from-callback", "1");
        assert_int_equal(tg_notes_when_durable(x->notes, on_nested, x), TG_OK);
    } else {
        tg_notes_close(x->notes, DEADLINE_MS, on_closed, x);
        assert_int_equal(tg_notes_set(x->notes, "s", "late", tg_bytes_str("1")), TG_ESTATE);
        assert_int_equal(tg_notes_when_durable(x->notes, on_nested, x), TG_ESTATE);
        expect(x, "s", "from-callback", "1");
    }
}

static void those_who_are_told_may_set_ask_and_close(void **state)
{
    struct fixture x;
    (void)state;
    setup(&x);
    open_at(&x, x.dir);
    set(&x, "s", "k", "1");
    assert_int_equal(tg_notes_when_durable(x.notes, on_nested, &x), TG_OK);
    turn_until(&x, &x.closed);
    assert_int_equal(x.answers, 2);
    open_at(&x, x.dir);
    each_is(&x, "s:from-callback=1 s:k=1 ");
    teardown(&x);
}

static void closing_writes_what_waits_and_ends_in_time(void **state)
{
    struct fixture x;
    struct answer a = {&x, false, 1};
    (void)state;
    setup(&x);
    open_at(&x, x.dir);
    assert_int_equal(durable(&x), TG_OK);
    set(&x, "s", "k", "1");
    assert_int_equal(tg_notes_when_durable(x.notes, on_durable, &a), TG_OK);
    tg_gate_hold(true);
    listen_to_log();
    tg_notes_close(x.notes, 100, on_closed, &x);
    turn_until(&x, &x.closed); /* although the disk does not answer */
    stop_listening();
    assert_true(a.here);
    assert_int_equal(a.rc, TG_ETIMEOUT);
    assert_int_equal(told("has not ended in time"), 1);
    tg_gate_hold(false);
    x.notes = NULL;
    tg_loop_fini(&x.loop); /* waits for the thread */
    struct tg_error err = {0};
    assert_int_equal(tg_loop_init(&x.loop, &err), TG_OK);
    open_at(&x, x.dir);
    expect(&x, "s", "k", "1");
    teardown(&x);
}

/* --- damage ----------------------------------------------------------------------------------------------------------- */

static void a_damaged_database_is_set_aside_and_told_once(void **state)
{
    struct fixture x;
    uint8_t noise[8192];
    (void)state;
    setup(&x);
    memset(noise, 0x5A, sizeof noise);
    for (int n = 1; n <= 5; n++) {
        char name[32];
        tg_test_spill(tg_test_path(x.dir, "notes.db"), noise, sizeof noise);
        listen_to_log();
        open_at(&x, x.dir);
        stop_listening();
        snprintf(name, sizeof name, "notes.db.bad-%d", n);
        assert_int_equal(told("set aside"), 1);
        assert_int_equal(told(name), 1);
        assert_true(tg_test_exists(x.dir, name));
        set(&x, "s", "k", "1");
        assert_int_equal(durable(&x), TG_OK);
        shut(&x);
        listen_to_log();
        open_at(&x, x.dir);
        stop_listening();
        assert_int_equal(told("set aside"), 0);
        expect(&x, "s", "k", "1");
        shut(&x);
    }
    assert_false(tg_test_exists(x.dir, "notes.db.bad-2")); /* the newest three stay */
    assert_true(tg_test_exists(x.dir, "notes.db.bad-3"));
    teardown(&x);
}

static void a_damaged_page_within_is_found(void **state)
{
    struct fixture x;
    size_t len = 0;
    char value[600];
    (void)state;
    setup(&x);
    open_at(&x, x.dir);
    memset(value, 'v', sizeof value - 1);
    value[sizeof value - 1] = '\0';
    for (int i = 0; i < 100; i++) {
        char key[16];
        snprintf(key, sizeof key, "%d", i);
        set(&x, "s", key, value);
    }
    shut(&x);
    uint8_t *data = tg_test_slurp(tg_test_path(x.dir, "notes.db"), &len);
    assert_true(len > 3 * 4096 + 100);
    memset(data + 3 * 4096, 0xFF, 64);
    tg_test_spill(tg_test_path(x.dir, "notes.db"), data, len);
    free(data);
    listen_to_log();
    open_at(&x, x.dir);
    stop_listening();
    assert_int_equal(told("set aside as"), 1);
    each_is(&x, "");
    teardown(&x);
}

static void damage_found_while_running_loses_nothing(void **state)
{
    struct fixture x;
    uint8_t noise[4096];
    (void)state;
    setup(&x);
    open_at(&x, x.dir);
    set(&x, "s", "before", "1");
    assert_int_equal(durable(&x), TG_OK);
    /* The connection goes (the disk failed once), and what is found when it is opened again is no database. */
    listen_to_log();
    tg_gate_fail_syncs(UINT32_MAX);
    set(&x, "s", "during", "2");
    assert_true(durable(&x) < 0);
    memset(noise, 0x5A, sizeof noise);
    tg_test_spill(tg_test_path(x.dir, "notes.db"), noise, sizeof noise);
    (void)unlink(tg_test_path(x.dir, "notes.db-wal"));
    tg_gate_fail_syncs(0);
    int64_t end = tg_clock_mono_ms() + DEADLINE_MS;
    while (durable(&x) != TG_OK) {
        assert_true(tg_clock_mono_ms() < end);
        uv_run(&x.loop.uv, UV_RUN_ONCE);
    }
    stop_listening();
    assert_int_equal(told("notes.db.bad-1"), 1);
    assert_int_equal(told("is written again"), 1);
    shut(&x);
    open_at(&x, x.dir);
    each_is(&x, "s:before=1 s:during=2 ");
    teardown(&x);
}

static void a_database_of_another_program_and_of_a_newer_one(void **state)
{
    struct fixture x;
    sqlite3 *db = NULL;
    struct tg_error err = {0};
    (void)state;
    setup(&x);
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
    listen_to_log();
    open_at(&x, x.dir);
    stop_listening();
    assert_int_equal(told("another program"), 1);
    assert_true(tg_test_exists(x.dir, "notes.db.bad-1"));
    teardown(&x);
}

/* --- a disk that does not take it ----------------------------------------------------------------------------------- */

static void a_folder_that_cannot_be_one_is_told_once_and_used_when_it_can(void **state)
{
    struct fixture x;
    char folder[4096];
    (void)state;
    setup(&x);
    snprintf(folder, sizeof folder, "%s", tg_test_path(x.dir, "folder"));
    tg_test_spill(folder, "a file", 6);
    listen_to_log();
    open_at(&x, folder);
    set(&x, "s", "k", "1");
    assert_true(durable(&x) < 0);
    expect(&x, "s", "k", "1");
    set(&x, "s", "k", "2");
    assert_true(durable(&x) < 0);
    assert_int_equal(told("kept in memory"), 1);
    assert_int_equal(unlink(folder), 0);
    assert_int_equal(mkdir(folder, 0700), 0);
    int64_t end = tg_clock_mono_ms() + DEADLINE_MS;
    while (durable(&x) != TG_OK) {
        assert_true(tg_clock_mono_ms() < end);
        uv_run(&x.loop.uv, UV_RUN_ONCE); /* the back-off is the only thing that wakes it */
    }
    stop_listening();
    assert_int_equal(told("kept in memory"), 1);
    assert_int_equal(told("is written again"), 1);
    shut(&x);
    open_at(&x, folder);
    expect(&x, "s", "k", "2");
    shut(&x);
    assert_int_equal(unlink(tg_test_path(folder, "notes.db")), 0);
    teardown(&x);
}

static void a_disk_that_fails_is_tried_again(void **state)
{
    struct fixture x;
    (void)state;
    setup(&x);
    open_at(&x, x.dir);
    set(&x, "s", "k", "1");
    assert_int_equal(durable(&x), TG_OK);
    listen_to_log();
    tg_gate_gone(true);
    set(&x, "s", "k", "2");
    assert_true(durable(&x) < 0);
    assert_true(durable(&x) < 0);
    tg_notes_drop(x.notes, "other");
    tg_gate_gone(false);
    int64_t end = tg_clock_mono_ms() + DEADLINE_MS;
    while (durable(&x) != TG_OK) {
        assert_true(tg_clock_mono_ms() < end);
        uv_run(&x.loop.uv, UV_RUN_ONCE);
    }
    stop_listening();
    assert_int_equal(told("kept in memory"), 1);
    shut(&x);
    open_at(&x, x.dir);
    expect(&x, "s", "k", "2");
    teardown(&x);
}

/* In a child that is nobody, where this runs as root. */
static void a_read_only_folder_is_read(void **state)
{
    struct fixture x;
    int status = 0;
    (void)state;
    setup(&x);
    open_at(&x, x.dir);
    set(&x, "s", "k", "kept");
    shut(&x);
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
        cmocka_unit_test(notes_survive_closing_and_opening),
        cmocka_unit_test(a_scope_is_dropped_with_those_below_and_nothing_beside),
        cmocka_unit_test(names_values_and_the_whole_are_bounded),
        cmocka_unit_test(without_memory_nothing_changes),
        cmocka_unit_test(what_is_replaced_while_it_is_written_is_written_again),
        cmocka_unit_test(those_who_are_told_may_set_ask_and_close),
        cmocka_unit_test(closing_writes_what_waits_and_ends_in_time),
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
