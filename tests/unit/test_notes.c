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

/* --- the table ---------------------------------------------------------------------------------------------------- */

static void notes_survive_closing_and_opening(void **state)
{
    struct notes_fixture x;
    uint8_t binary[256];
    struct stat st;
    (void)state;
    notes_setup(&x);
    for (unsigned i = 0; i < sizeof binary; i++)
        binary[i] = (uint8_t)i;
    notes_open_at(&x, x.dir);
    notes_set(&x, "cloud/hub/meter-1", "assigned", "hub-7.example");
    notes_set(&x, "cloud/hub/meter-1", "desired", "{\"a\":1}");
    notes_set(&x, "cloud/hub/meter-2", "assigned", "hub-8.example");
    assert_int_equal(tg_notes_set(x.notes, "b", "bytes", tg_bytes(binary, sizeof binary)), TG_OK);
    notes_expect(&x, "cloud/hub/meter-1", "assigned", "hub-7.example");
    notes_set(&x, "cloud/hub/meter-1", "assigned", "hub-9.example");
    notes_expect(&x, "cloud/hub/meter-1", "assigned", "hub-9.example");
    assert_int_equal(tg_notes_set(x.notes, "cloud/hub/meter-2", "assigned", tg_bytes(NULL, 0)), TG_OK);
    assert_int_equal(tg_notes_get(x.notes, "cloud/hub/meter-2", "assigned").len, 0);
    notes_shut(&x);
    assert_int_equal(stat(tg_test_path(x.dir, "notes.db"), &st), 0);
    assert_int_equal(st.st_mode & 0777, 0600);
    assert_false(tg_test_exists(x.dir, "notes.db-wal"));
    notes_open_at(&x, x.dir);
    notes_expect(&x, "cloud/hub/meter-1", "assigned", "hub-9.example");
    notes_expect(&x, "cloud/hub/meter-1", "desired", "{\"a\":1}");
    assert_int_equal(tg_notes_get(x.notes, "cloud/hub/meter-2", "assigned").len, 0);
    assert_int_equal(tg_notes_get(x.notes, "cloud/hub", "assigned").len, 0);
    assert_true(tg_bytes_eq(tg_notes_get(x.notes, "b", "bytes"), tg_bytes(binary, sizeof binary)));
    notes_teardown(&x);
}

static void a_scope_is_dropped_with_those_below_and_nothing_beside(void **state)
{
    struct notes_fixture x;
    (void)state;
    notes_setup(&x);
    notes_open_at(&x, x.dir);
    notes_set(&x, "a/b/c", "k", "5");
    notes_set(&x, "a/b", "z", "2");
    notes_set(&x, "a/b", "k", "1");
    notes_set(&x, "a/b-1", "k", "3");
    notes_set(&x, "a/bb", "k", "6");
    notes_set(&x, "a", "k", "0");
    notes_each_is(&x, "a:k=0 a/b:k=1 a/b:z=2 a/b-1:k=3 a/b/c:k=5 a/bb:k=6 ");
    assert_int_equal(notes_durable(&x), TG_OK);
    tg_notes_drop(x.notes, "a/b");
    notes_each_is(&x, "a:k=0 a/b-1:k=3 a/bb:k=6 ");
    notes_set(&x, "a/b", "k", "again");
    notes_shut(&x);
    notes_open_at(&x, x.dir);
    notes_each_is(&x, "a:k=0 a/b:k=again a/b-1:k=3 a/bb:k=6 ");
    tg_notes_drop(x.notes, "nothing");
    tg_notes_drop(x.notes, "a");
    notes_each_is(&x, "");
    notes_shut(&x);
    notes_open_at(&x, x.dir);
    notes_each_is(&x, "");
    notes_teardown(&x);
}

static void names_values_and_the_whole_are_bounded(void **state)
{
    struct notes_fixture x;
    char name[TG_NOTE_NAME_BYTES + 2];
    uint8_t *big = calloc(1, TG_NOTE_MAX_BYTES + 1);
    unsigned n = 0;
    int rc;
    (void)state;
    assert_non_null(big);
    notes_setup(&x);
    notes_open_at(&x, x.dir);
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
    notes_shut(&x);
    notes_open_at(&x, x.dir);
    assert_int_equal(tg_notes_get(x.notes, "s", "0").len, TG_NOTE_MAX_BYTES);
    assert_int_equal(tg_notes_get(x.notes, "s", "0").data[9], 0xAA);
    notes_teardown(&x);
    free(big);
}

static void without_memory_nothing_changes(void **state)
{
    struct notes_fixture x;
    (void)state;
    notes_setup(&x);
    notes_open_at(&x, x.dir);
    notes_set(&x, "s", "k", "old");
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
        notes_expect(&x, "s", "k", a == TG_OK ? key : "old");
        assert_int_equal(tg_notes_get(x.notes, "s", key).len, 0);
        notes_set(&x, "s", "k", "old");
    }
    tg_alloc_fail_at(1, 1);
    assert_int_equal(tg_notes_when_durable(x.notes, notes_on_durable, &x), TG_ENOMEM);
    tg_notes_drop(x.notes, "s"); /* needs none */
    tg_alloc_fail_at(0, 0);
    notes_shut(&x);
    notes_open_at(&x, x.dir);
    notes_each_is(&x, "");
    notes_teardown(&x);
}

/* --- when it is on disk -------------------------------------------------------------------------------------------- */

struct step {
    struct notes_fixture *x;
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
    struct notes_fixture x;
    struct step a = {&x, 'a'}, b = {&x, 'b'}, c = {&x, 'c'};
    struct notes_answer last = {&x, false, 1};
    (void)state;
    notes_setup(&x);
    notes_open_at(&x, x.dir);
    assert_int_equal(notes_durable(&x), TG_OK);
    notes_set(&x, "s", "k", "one");
    notes_set(&x, "s", "gone", "one");
    assert_int_equal(tg_notes_when_durable(x.notes, on_step, &a), TG_OK);
    tg_gate_hold(true);
    int64_t end = tg_clock_mono_ms() + NOTES_DEADLINE_MS;
    while (!tg_gate_is_held()) { /* the first transaction is at its fsync */
        assert_true(tg_clock_mono_ms() < end);
        uv_run(&x.loop.uv, UV_RUN_NOWAIT);
    }
    struct tg_bytes view = tg_notes_get(x.notes, "s", "k");
    assert_true(tg_bytes_eq_str(view, "one"));
    notes_set(&x, "s", "k", "two");
    notes_set(&x, "s", "k", "three");
    tg_notes_drop(x.notes, "s/none");
    assert_int_equal(tg_notes_set(x.notes, "s", "gone", tg_bytes(NULL, 0)), TG_OK);
    assert_int_equal(tg_notes_when_durable(x.notes, on_step, &b), TG_OK);
    assert_int_equal(tg_notes_when_durable(x.notes, on_step, &c), TG_OK);
    assert_int_equal(tg_notes_when_durable(x.notes, notes_on_durable, &last), TG_OK);
    notes_expect(&x, "s", "k", "three");
    assert_string_equal(x.order, "");
    tg_gate_hold(false);
    notes_turn_until(&x, &last.here);
    assert_int_equal(last.rc, TG_OK);
    assert_string_equal(x.order, "abc");
    notes_shut(&x);
    notes_open_at(&x, x.dir);
    notes_each_is(&x, "s:k=three ");
    notes_teardown(&x);
}

static void on_nested(void *user, int rc)
{
    struct notes_fixture *x = user;
    assert_int_equal(rc, TG_OK);
    if (x->answers++ == 0) {
        notes_set(x, "s", "from-callback", "1");
        assert_int_equal(tg_notes_when_durable(x->notes, on_nested, x), TG_OK);
    } else {
        tg_notes_close(x->notes, NOTES_DEADLINE_MS, notes_on_closed, x);
        assert_int_equal(tg_notes_set(x->notes, "s", "late", tg_bytes_str("1")), TG_ESTATE);
        assert_int_equal(tg_notes_when_durable(x->notes, on_nested, x), TG_ESTATE);
        notes_expect(x, "s", "from-callback", "1");
    }
}

static void those_who_are_told_may_set_ask_and_close(void **state)
{
    struct notes_fixture x;
    (void)state;
    notes_setup(&x);
    notes_open_at(&x, x.dir);
    notes_set(&x, "s", "k", "1");
    assert_int_equal(tg_notes_when_durable(x.notes, on_nested, &x), TG_OK);
    notes_turn_until(&x, &x.closed);
    assert_int_equal(x.answers, 2);
    notes_open_at(&x, x.dir);
    notes_each_is(&x, "s:from-callback=1 s:k=1 ");
    notes_teardown(&x);
}

static void closing_writes_what_waits_and_ends_in_time(void **state)
{
    struct notes_fixture x;
    struct notes_answer a = {&x, false, 1};
    (void)state;
    notes_setup(&x);
    notes_open_at(&x, x.dir);
    assert_int_equal(notes_durable(&x), TG_OK);
    notes_set(&x, "s", "k", "1");
    assert_int_equal(tg_notes_when_durable(x.notes, notes_on_durable, &a), TG_OK);
    tg_gate_hold(true);
    notes_listen_to_log();
    tg_notes_close(x.notes, 100, notes_on_closed, &x);
    notes_turn_until(&x, &x.closed); /* although the disk does not answer */
    notes_stop_listening();
    assert_true(a.here);
    assert_int_equal(a.rc, TG_ETIMEOUT);
    assert_int_equal(notes_told("has not ended in time"), 1);
    tg_gate_hold(false);
    x.notes = NULL;
    tg_loop_fini(&x.loop); /* waits for the thread */
    struct tg_error err = {0};
    assert_int_equal(tg_loop_init(&x.loop, &err), TG_OK);
    notes_open_at(&x, x.dir);
    notes_expect(&x, "s", "k", "1");
    notes_teardown(&x);
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
    };
    tg_gate_vfs_register();
    sqlite3_vfs_register(sqlite3_vfs_find(TG_GATE_VFS), 1);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
