/* SPDX-License-Identifier: GPL-2.0-or-later */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdlib.h>
#include <string.h>

#include "core/base/allocator.h"
#include "core/gateway/discovered.h"
#include "support/outbox_help.h"

struct fixture {
    struct tg_loop loop;
    struct tg_notes *notes;
    char *dir;
    bool closed;
};

static void open_notes(struct fixture *x)
{
    struct tg_error err = {0};
    x->closed = false;
    assert_int_equal(tg_notes_open(&x->loop, x->dir, &x->notes, &err), TG_OK);
}

static void on_closed(void *user)
{
    ((struct fixture *)user)->closed = true;
}

static void close_notes(struct fixture *x)
{
    tg_notes_close(x->notes, 60000, on_closed, x);
    while (!x->closed)
        uv_run(&x->loop.uv, UV_RUN_ONCE);
}

static int setup(void **state)
{
    static struct fixture x;
    struct tg_error err = {0};
    memset(&x, 0, sizeof x);
    x.dir = tg_test_dir();
    assert_int_equal(tg_loop_init(&x.loop, &err), TG_OK);
    open_notes(&x);
    *state = &x;
    return 0;
}

static int teardown(void **state)
{
    struct fixture *x = *state;
    close_notes(x);
    tg_loop_fini(&x->loop);
    tg_test_dir_remove(x->dir);
    free(x->dir);
    return 0;
}

static void the_first_seen_is_the_first_over_a_restart(void **state)
{
    struct fixture *x = *state;
    static const struct tg_found kept[] = {
        {"yard", "b", "thermo", 2000}, {"barn", "a", "", 3000}, {"yard", "c", "", 1000}};
    struct tg_found_list list;
    for (size_t i = 0; i < 3; i++)
        assert_int_equal(tg_found_keep(x->notes, &kept[i]), TG_OK);
    close_notes(x);
    open_notes(x);
    assert_int_equal(tg_found_read(x->notes, &list), TG_OK);
    assert_int_equal(list.count, 3);
    assert_memory_equal(&list.items[0], &kept[2], sizeof kept[0]);
    assert_memory_equal(&list.items[1], &kept[0], sizeof kept[0]);
    assert_memory_equal(&list.items[2], &kept[1], sizeof kept[0]);
    tg_found_free(&list);
    assert_true(tg_found_is_kept(x->notes, "yard", "b"));
    assert_false(tg_found_is_kept(x->notes, "barn", "b"));
    assert_int_equal(tg_found_count(x->notes, "yard"), 2);
    assert_int_equal(tg_found_drop(x->notes, "yard", "b"), TG_OK);
    assert_false(tg_found_is_kept(x->notes, "yard", "b"));
    assert_int_equal(tg_found_count(x->notes, "yard"), 1);
}

static void nothing_is_known_at_first(void **state)
{
    struct fixture *x = *state;
    struct tg_found_list list;
    assert_int_equal(tg_notes_set(x->notes, "cloud/hub/a", "assigned", tg_bytes_str("h")), TG_OK);
    assert_int_equal(tg_found_read(x->notes, &list), TG_OK);
    assert_int_equal(list.count, 0);
    tg_found_free(&list);
}

/* A note is data from a disk: what is not ours is passed over. */
static void damaged_notes_are_passed_over(void **state)
{
    struct fixture *x = *state;
    static const struct {
        const char *scope, *key, *value;
    } wrong[] = {{"discovered/yard", "a", "nonsense"},
                 {"discovered/yard", "b", "[]"},
                 {"discovered/yard", "c d", "{}"},
                 {"discovered/y/d", "c", "{}"},
                 {"discovered/", "x", "{}"},
                 {"discovered", "x", "{}"},
                 {"discovered/yard", "e", "{\"profile\":\"\xff\"}"}};
    struct tg_found_list list;
    char *large = calloc(1, 400);
    for (size_t i = 0; i < sizeof wrong / sizeof wrong[0]; i++)
        assert_int_equal(tg_notes_set(x->notes, wrong[i].scope, wrong[i].key, tg_bytes_str(wrong[i].value)),
                         TG_OK);
    strcpy(large, "{\"profile\":\"");
    memset(large + strlen(large), 'p', 300);
    strcat(large, "\"}");
    assert_int_equal(tg_notes_set(x->notes, "discovered/yard", "f", tg_bytes_str(large)), TG_OK);
    assert_int_equal(tg_notes_set(x->notes, "discovered/yard", "good", tg_bytes_str("{\"profile\":7}")),
                     TG_OK);
    assert_int_equal(tg_found_read(x->notes, &list), TG_OK);
    assert_int_equal(list.count, 1);
    assert_string_equal(list.items[0].id, "good");
    assert_string_equal(list.items[0].profile, "");
    tg_found_free(&list);
    free(large);
}

static void no_memory(void **state)
{
    struct fixture *x = *state;
    static const struct tg_found kept = {"yard", "b", "thermo", 2000};
    struct tg_found_list list = {0};
    assert_int_equal(tg_found_keep(x->notes, &kept), TG_OK);
    tg_alloc_fail_at(1, 1);
    assert_int_equal(tg_found_read(x->notes, &list), TG_ENOMEM);
    tg_alloc_fail_at(0, 0);
    assert_null(list.items);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(the_first_seen_is_the_first_over_a_restart, setup, teardown),
        cmocka_unit_test_setup_teardown(nothing_is_known_at_first, setup, teardown),
        cmocka_unit_test_setup_teardown(damaged_notes_are_passed_over, setup, teardown),
        cmocka_unit_test_setup_teardown(no_memory, setup, teardown)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
