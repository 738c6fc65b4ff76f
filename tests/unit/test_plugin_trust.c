/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * Who could have written a plugin, or put another one in its place: each way is refused with what to do. What needs another owner runs as
 * root only.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "southbound/plugin_trust.h"
#include "support/plugin_place.h"

#define SOMEBODY 12345

struct good {
    struct tg_place *place;
    char file[512];
};

static struct good good_in(void **state)
{
    struct good g = {.place = *state};
    tg_place_put(g.place, "good", "good");
    snprintf(g.file, sizeof g.file, "%s/good.so", g.place->dir);
    return g;
}

static void assert_good(const struct good *g)
{
    struct tg_error err = {0};
    if (tg_plugin_trust(g->place->dir, g->file, NULL, &err) < 0)
        fail_msg("refused: %s", err.text);
}

static void assert_refused(const struct good *g, const char *program, const char *says)
{
    struct tg_error err = {0};
    assert_int_equal(tg_plugin_trust(g->place->dir, g->file, program, &err), TG_EPERM);
    if (!strstr(err.text, says))
        fail_msg("\"%s\" does not say \"%s\"", err.text, says);
}

static void test_file_that_others_can_write(void **state)
{
    struct good g = good_in(state);
    static const mode_t modes[] = {0775, 0757, 0666, 0620, 0602};
    for (size_t i = 0; i < sizeof modes / sizeof modes[0]; i++) {
        assert_int_equal(chmod(g.file, modes[i]), 0);
        assert_refused(&g, NULL, "good.so can be written by others");
        tg_place_assert_refused(g.place, "good", TG_EPERM, "run: chmod go-w '"); /* the loader asks */
    }
    assert_int_equal(chmod(g.file, 0644), 0);
    assert_good(&g);
    assert_non_null(tg_plugin_find(g.place->set, "good", NULL));
}

static void test_file_that_is_none(void **state)
{
    struct good g = good_in(state);
    char other[512];
    snprintf(other, sizeof other, "%s/linked.so", g.place->dir);
    assert_int_equal(symlink(g.file, other), 0);
    tg_place_assert_refused(g.place, "linked", TG_EPERM, "not through a link");
    snprintf(other, sizeof other, "%s/pipe.so", g.place->dir);
    assert_int_equal(mkfifo(other, 0600), 0);
    tg_place_assert_refused(g.place, "pipe", TG_EPERM, "is not a regular file");
    snprintf(other, sizeof other, "%s/folder.so", g.place->dir);
    assert_int_equal(mkdir(other, 0700), 0);
    tg_place_assert_refused(g.place, "folder", TG_EPERM, "is not a regular file");
}

static void test_folder_that_others_can_write(void **state)
{
    struct good g = good_in(state);
    static const mode_t modes[] = {0775, 0757, 01777}; /* in a sticky one anybody can still put a new file */
    for (size_t i = 0; i < sizeof modes / sizeof modes[0]; i++) {
        assert_int_equal(chmod(g.place->dir, modes[i]), 0);
        assert_refused(&g, NULL, "folder can be written by others");
    }
    assert_int_equal(chmod(g.place->dir, 0755), 0);
    assert_good(&g);
}

static void test_folder_above_that_others_can_write(void **state)
{
    struct good g = good_in(state);
    assert_int_equal(chmod(g.place->above, 0777), 0);
    assert_refused(&g, NULL, "others could put another folder in the place of");
    tg_place_assert_refused(g.place, "good", TG_EPERM, "chmod go-w");
    assert_int_equal(chmod(g.place->above, 0775), 0);
    assert_refused(&g, NULL, "(mode 0775)");
    assert_int_equal(chmod(g.place->above, 01777), 0); /* as /tmp: what is ours stays ours */
    assert_good(&g);
    assert_int_equal(chmod(g.place->above, 0700), 0);
    assert_good(&g);
}

static void test_the_way_ends_where_the_program_is(void **state)
{
    struct good g = good_in(state);
    char program[512];
    assert_int_equal(chmod(g.place->above, 0777), 0);
    snprintf(program, sizeof program, "%s/bin/tidegate", g.place->above);
    assert_int_equal(tg_plugin_trust(g.place->dir, g.file, program, NULL), TG_OK);
    snprintf(program, sizeof program, "%s/tidegate", g.place->above);
    assert_int_equal(tg_plugin_trust(g.place->dir, g.file, program, NULL), TG_OK);
    /* Beside it, with a name that begins alike. */
    snprintf(program, sizeof program, "%s-elsewhere/tidegate", g.place->above);
    assert_refused(&g, program, "others could put");
    /* The folder itself is looked at in any case. */
    assert_int_equal(chmod(g.place->dir, 0777), 0);
    snprintf(program, sizeof program, "%s/tidegate", g.place->dir);
    assert_refused(&g, program, "can be written by others");
}

static void test_somebody_else_s(void **state)
{
    struct good g = good_in(state);
    if (geteuid() != 0)
        skip();
    assert_int_equal(chown(g.file, SOMEBODY, 0), 0);
    assert_refused(&g, NULL, "good.so belongs to user 12345");
    tg_place_assert_refused(g.place, "good", TG_EPERM, "must belong to root or to the gateway's user (0)");
    assert_int_equal(chown(g.file, 0, SOMEBODY), 0); /* a group that may not write is anybody's */
    assert_good(&g);
    assert_int_equal(chown(g.place->dir, SOMEBODY, 0), 0);
    assert_refused(&g, NULL, "folder belongs to user 12345");
    assert_int_equal(chown(g.place->dir, 0, 0), 0);
    /* Its owner may rename what is in a folder, sticky or not. */
    assert_int_equal(chown(g.place->above, SOMEBODY, 0), 0);
    assert_refused(&g, NULL, "belongs to user 12345");
    assert_int_equal(chmod(g.place->above, 01777), 0);
    assert_refused(&g, NULL, "belongs to user 12345");
    assert_int_equal(chown(g.place->above, 0, 0), 0);
    assert_good(&g);
}

static void test_the_gateway_s_own_user(void **state)
{
    struct good g = good_in(state);
    if (geteuid() != 0)
        skip();
    assert_int_equal(chown(g.file, SOMEBODY, SOMEBODY), 0);
    assert_int_equal(chown(g.place->dir, SOMEBODY, SOMEBODY), 0);
    assert_int_equal(chmod(g.place->above, 0755), 0);
    assert_int_equal(seteuid(SOMEBODY), 0);
    assert_good(&g);
    assert_int_equal(seteuid(0), 0);
    assert_refused(&g, NULL, "belongs to user 12345");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_file_that_others_can_write, tg_place_setup, tg_place_teardown),
        cmocka_unit_test_setup_teardown(test_file_that_is_none, tg_place_setup, tg_place_teardown),
        cmocka_unit_test_setup_teardown(test_folder_that_others_can_write, tg_place_setup, tg_place_teardown),
        cmocka_unit_test_setup_teardown(test_folder_above_that_others_can_write, tg_place_setup,
                                        tg_place_teardown),
        cmocka_unit_test_setup_teardown(test_the_way_ends_where_the_program_is, tg_place_setup,
                                        tg_place_teardown),
        cmocka_unit_test_setup_teardown(test_somebody_else_s, tg_place_setup, tg_place_teardown),
        cmocka_unit_test_setup_teardown(test_the_gateway_s_own_user, tg_place_setup, tg_place_teardown)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
