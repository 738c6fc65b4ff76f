/* SPDX-License-Identifier: GPL-2.0-or-later */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "support/plugin_place.h"

static void test_good_is_loaded_once(void **state)
{
    struct tg_place *p = *state;
    const struct tg_plugin *first;
    tg_place_put(p, "good", "good");
    first = tg_plugin_find(p->set, "good", NULL);
    assert_non_null(first);
    assert_string_equal(first->name, "good");
    assert_non_null(first->decode);
    assert_ptr_equal(tg_plugin_find(p->set, "good", NULL), first);
}

static void test_older_plugin_loads_with_what_it_has(void **state)
{
    struct tg_place *p = *state;
    const struct tg_plugin *older;
    tg_place_put(p, "older", "older");
    older = tg_plugin_find(p->set, "older", NULL);
    assert_non_null(older);
    assert_non_null(older->close);
    assert_null(older->decode); /* beyond its struct_size: absent, whatever its memory holds */
}

static void test_wrong_ones_are_refused_with_the_reason(void **state)
{
    struct tg_place *p = *state;
    tg_place_put(p, "nextabi", "nextabi");
    tg_place_put(p, "stunted", "stunted");
    tg_place_put(p, "nosymbol", "nosymbol");
    tg_place_put(p, "misnamed", "misnamed");
    tg_place_put(p, "good", "broken");
    {
        char path[512];
        snprintf(path, sizeof path, "%s/broken.so", p->dir);
        assert_int_equal(truncate(path, 100), 0);
    }
    tg_place_assert_refused(p, "nextabi", TG_EVERSION, "plugin API 2, this tidegate has 1");
    tg_place_assert_refused(p, "stunted", TG_EVERSION, "describes itself in 16 bytes");
    tg_place_assert_refused(p, "nosymbol", TG_EINVAL, "does not export tidegate_plugin");
    tg_place_assert_refused(p, "misnamed", TG_EINVAL, "calls itself \"other\"");
    tg_place_assert_refused(p, "broken", TG_EINVAL, "cannot be loaded");
}

static void test_unknown_names_the_nearest_and_the_folders(void **state)
{
    struct tg_place *p = *state;
    tg_place_put(p, "good", "good");
    tg_place_assert_refused(p, "goood", TG_ENOTFOUND, "did you mean \"good\"");
    tg_place_assert_refused(p, "zzzzzz", TG_ENOTFOUND, p->dir);
    tg_place_assert_refused(p, "../good", TG_EINVAL, "no plugin name");
    tg_place_assert_refused(p, "", TG_EINVAL, "no plugin name");
}

struct seen {
    char text[256];
};

static void note(void *user, const char *name, const char *path, const struct tg_plugin *plugin,
                 const struct tg_error *err)
{
    struct seen *s = user;
    assert_true((plugin != NULL) == (path != NULL));
    assert_true(plugin || err->text[0]);
    snprintf(s->text + strlen(s->text), sizeof s->text - strlen(s->text), "%s%s ", name, plugin ? "+" : "-");
}

static void test_list_is_sorted_and_complete(void **state)
{
    struct tg_place *p = *state;
    struct seen s = {""};
    tg_place_put(p, "older", "older");
    tg_place_put(p, "nextabi", "nextabi");
    tg_place_put(p, "good", "good");
    tg_plugin_set_each(p->set, note, &s);
    assert_string_equal(s.text, "good+ nextabi- older+ ");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_good_is_loaded_once, tg_place_setup, tg_place_teardown),
        cmocka_unit_test_setup_teardown(test_older_plugin_loads_with_what_it_has, tg_place_setup,
                                        tg_place_teardown),
        cmocka_unit_test_setup_teardown(test_wrong_ones_are_refused_with_the_reason, tg_place_setup,
                                        tg_place_teardown),
        cmocka_unit_test_setup_teardown(test_unknown_names_the_nearest_and_the_folders, tg_place_setup,
                                        tg_place_teardown),
        cmocka_unit_test_setup_teardown(test_list_is_sorted_and_complete, tg_place_setup, tg_place_teardown)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
