/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * Rows that are acknowledged ahead of older ones: what the cursor says, what is deleted, what a restart keeps, and what
 * a damaged table does. Random lives: test_outbox_model.
 */
#include "support/outbox_fixture.h"

#include <sqlite3.h>

#include "store/outbox_private.h"

static void ahead(struct fixture *f, uint32_t c, uint64_t first, uint64_t last)
{
    OK(tg_outbox_ack_ahead(f->ob, c, first, last, last, &f->err));
    OK(tg_outbox_commit(f->ob, &f->err));
}

static void test_the_cursor_takes_runs_in(void **state)
{
    struct fixture *f = *state;
    uint32_t d = device(f, "meter-1"), c = cursor(f, d, "hub");
    append_n(f, d, 100, 50);
    ahead(f, c, 50, 60);
    ahead(f, c, 70, 70);
    ahead(f, c, 55, 65); /* overlaps */
    struct tg_outbox_cursor_state s = state_of(f, c);
    assert_int_equal(s.acked_seq, 0);
    assert_int_equal(s.acked, 17);
    assert_int_equal(s.ahead, 17);
    assert_int_equal(s.ahead_runs, 2);
    assert_int_equal(s.pending, 83);
    assert_int_equal(stats_of(f).ahead_rows, 17);
    tg_test_verify(f->ob);
    reopen(f, false);
    assert_int_equal(cursor(f, d, "hub"), c);
    assert_int_equal(state_of(f, c).ahead_runs, 2);
    OK(tg_outbox_set_cursor(f->ob, c, 49, 49, &f->err));
    OK(tg_outbox_commit(f->ob, &f->err));
    s = state_of(f, c);
    assert_int_equal(s.acked_seq, 65);
    assert_int_equal(s.acked_id, 65);
    assert_int_equal(s.ahead, 1);
    assert_int_equal(s.pending, 34);
    ahead(f, c, 1, 40);       /* it has them */
    ahead(f, c, 66, 1000000); /* no further than there are rows */
    s = state_of(f, c);
    assert_int_equal(s.acked_seq, 100);
    assert_int_equal(s.acked, 100);
    assert_int_equal(s.ahead_runs, 0);
    assert_int_equal(tg_outbox_ack_ahead(f->ob, c, 7, 6, 0, &f->err), TG_EINVAL);
    tg_outbox_rollback(f->ob);
    tg_test_verify(f->ob);
}

static void test_a_rollback_puts_runs_back(void **state)
{
    struct fixture *f = *state;
    uint32_t d = device(f, "meter-1"), c = cursor(f, d, "hub");
    append_n(f, d, 100, 50);
    ahead(f, c, 50, 60);
    OK(tg_outbox_ack_ahead(f->ob, c, 20, 30, 30, &f->err));
    OK(tg_outbox_set_cursor(f->ob, c, 55, 55, &f->err));
    assert_int_equal(state_of(f, c).ahead, 11); /* what was committed */
    assert_int_equal(tg_outbox_ahead(f->ob, c)->at[0].first, 50);
    tg_outbox_rollback(f->ob);
    assert_int_equal(state_of(f, c).acked_seq, 0);
    assert_int_equal(tg_outbox_ahead(f->ob, c)->count, 1);
    assert_int_equal(tg_outbox_ahead(f->ob, c)->rows, 11);
    tg_test_verify(f->ob);
}

/* What is given up is what was not acknowledged, ahead or not. */
static void test_giving_up_counts_what_is_missing(void **state)
{
    struct fixture *f = *state;
    uint32_t d = device(f, "meter-1"), c = cursor(f, d, "hub"), lake = cursor(f, d, "lake");
    append_n(f, d, 100, 50);
    ahead(f, c, 50, 59);
    OK(tg_outbox_quarantine(f->ob, c, 70, 70, &f->err));
    OK(tg_outbox_commit(f->ob, &f->err));
    struct tg_outbox_cursor_state s = state_of(f, c);
    assert_int_equal(s.acked_seq, 70);
    assert_int_equal(s.acked, 10);
    assert_int_equal(s.dropped, 60);
    assert_int_equal(s.pending, 30);
    ahead(f, lake, 11, 20);
    reopen(f, true);
    assert_int_equal(cursor(f, d, "hub"), c); /* `lake` has left */
    OK(tg_outbox_retire_undeclared(f->ob, &f->err));
    s = state_of(f, lake);
    assert_int_equal(s.acked, 10);
    assert_int_equal(s.dropped, 90);
    assert_int_equal(s.pending, 0);
    tg_test_verify(f->ob);
    assert_int_equal(cursor(f, d, "lake"), lake); /* and is back: it begins anew */
    assert_int_equal(state_of(f, lake).accepted, 0);
    assert_int_equal(state_of(f, lake).ahead, 0);
    tg_test_verify(f->ob);
}

/* A link that only just keeps up, newest first: what was delivered does not fill the disk. */
static void test_delivered_rows_go_from_between(void **state)
{
    struct fixture *f = *state;
    f->ob->mark_rows = 50;
    f->ob->compact_rows = 200;
    uint32_t d = device(f, "meter-1"), c = cursor(f, d, "hub");
    append_n(f, d, 500, 50);
    for (uint64_t last = 500; last < 6000; last += 50) {
        append_n(f, d, 50, 50);
        ahead(f, c, last + 1, last + 50);
    }
    assert_int_equal(state_of(f, c).pending, 500);
    assert_int_equal(state_of(f, c).ahead, 5500);
    assert_true(stats_of(f).rows < 2000);
    tg_test_verify(f->ob);
    struct seen s;
    while (read_rows(f, 0, d, 1000, SIZE_MAX, &s) == 1 && s.count < 500)
        continue;
    assert_int_equal(s.first_seq, 1);
    reopen(f, false);
    assert_int_equal(cursor(f, d, "hub"), c);
    OK(tg_outbox_set_cursor(f->ob, c, 500, 500, &f->err));
    OK(tg_outbox_commit(f->ob, &f->err));
    assert_int_equal(state_of(f, c).acked_seq, 6000);
    assert_int_equal(state_of(f, c).acked, 6000);
    tg_test_verify(f->ob);
}

static void test_urgent_rows_are_found(void **state)
{
    struct fixture *f = *state;
    uint32_t d = device(f, "meter-1"), c = cursor(f, d, "hub");
    struct seen s = {0};
    uint64_t next = 0;
    assert_int_equal(tg_outbox_urgent_high(f->ob), 0);
    for (int i = 0; i < 3; i++) {
        append_n(f, d, 1000, 50);
        uint64_t id = tg_outbox_last_id(f->ob) + 1, seq = tg_outbox_last_seq(f->ob, d) + 1;
        struct tg_outbox_row row = {.id = id, .seq = seq, .device = d, .body = tg_test_body(d, seq, 50)};
        OK(tg_outbox_append_urgent(f->ob, &row, &f->err));
        assert_true(tg_outbox_urgent_high(f->ob) < id); /* not committed yet */
        OK(tg_outbox_commit(f->ob, &f->err));
        assert_int_equal(tg_outbox_urgent_high(f->ob), id);
    }
    assert_int_equal(tg_outbox_read_urgent(f->ob, 1002, 100, SIZE_MAX, see, &s, &next, &f->err), 0);
    assert_int_equal(s.count, 2);
    assert_int_equal(s.first_seq, 2002);
    assert_int_equal(s.last_seq, 3003);
    /* They go with their rows. */
    OK(tg_outbox_set_cursor(f->ob, c, 2500, 2500, &f->err));
    OK(tg_outbox_commit(f->ob, &f->err));
    reopen(f, true);
    for (int i = 0; i < 5; i++) /* deleted by and by */
        append_n(f, d, 1000, 50);
    s = (struct seen){0};
    assert_int_equal(tg_outbox_read_urgent(f->ob, 0, 100, SIZE_MAX, see, &s, &next, &f->err), 0);
    assert_int_equal(s.count, 1);
    assert_int_equal(s.last_seq, 3003);
    tg_test_verify(f->ob);
}

static void hear(void *user, const char *finding)
{
    char *text = user;
    size_t len = strlen(text);
    snprintf(text + len, 2000 - len, "%s\n", finding);
}

static void spoil(struct fixture *f, const char *sql)
{
    sqlite3 *db = NULL;
    tg_outbox_close(f->ob, true);
    f->ob = NULL;
    assert_int_equal(sqlite3_open(tg_test_path(f->dir, TG_OUTBOX_FILE), &db), SQLITE_OK);
    assert_int_equal(sqlite3_exec(db, sql, NULL, NULL, NULL), SQLITE_OK);
    assert_int_equal(sqlite3_close(db), SQLITE_OK);
}

/* Verify says which samples, and a table that contradicts itself is not worked with. */
static void test_a_damaged_table_is_found(void **state)
{
    static const char *const contradictions[] = {
        "UPDATE ahead SET last_seq = 2000", "UPDATE ahead SET cursor = 9", "UPDATE ahead SET first_seq = 61",
        "INSERT INTO ahead VALUES(0, 55, 58, 58)", "UPDATE cursor SET acked_seq = 55"};
    struct fixture *f = *state;
    char said[2000] = "", aside[256];
    uint32_t d = device(f, "meter-1"), c = cursor(f, d, "hub");
    append_n(f, d, 40, 50);
    OK(tg_outbox_reject(f->ob, d, 45, TG_DROP_LIMIT, &f->err));
    OK(tg_outbox_commit(f->ob, &f->err));
    append_n(f, d, 40, 50);
    ahead(f, c, 50, 60);
    spoil(f, "UPDATE ahead SET first_seq = 42; INSERT INTO urgent VALUES(7777, 0)");
    f->ob = tg_test_open(&f->o);
    assert_int_equal(tg_outbox_verify(f->ob, hear, said, &f->err), TG_ECORRUPT);
    assert_non_null(strstr(said, "device meter-1, cloud hub: samples 42 to 60"));
    spoil(f, "UPDATE ahead SET first_seq = 50");
    f->ob = tg_test_open(&f->o);
    said[0] = '\0';
    assert_int_equal(tg_outbox_verify(f->ob, hear, said, &f->err), TG_ECORRUPT);
    assert_non_null(strstr(said, "1 sample with priority not in the log"));
    for (size_t i = 0; i < sizeof contradictions / sizeof contradictions[0]; i++) {
        struct fixture *g = NULL;
        assert_int_equal(set_up((void **)&g), 0);
        d = device(g, "meter-1");
        c = cursor(g, d, "hub");
        append_n(g, d, 100, 50);
        ahead(g, c, 50, 60);
        spoil(g, contradictions[i]);
        assert_int_equal(tg_outbox_open(&g->o, &g->ob, aside, &g->err), TG_OK);
        assert_string_not_equal(aside, "");
        tear_down((void **)&g);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_the_cursor_takes_runs_in, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_a_rollback_puts_runs_back, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_giving_up_counts_what_is_missing, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_delivered_rows_go_from_between, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_urgent_rows_are_found, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_a_damaged_table_is_found, set_up, tear_down),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
