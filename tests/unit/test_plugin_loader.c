/* SPDX-License-Identifier: GPL-2.0-or-later */
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

#include "southbound/plugin_loader.h"

struct place {
    char dir[256];
    struct tg_plugin_set *set;
};

static void copy_file(const char *from, const char *to)
{
    FILE *in = fopen(from, "rb"), *out = fopen(to, "wb");
    char buf[65536];
    size_t n;
    assert_non_null(in);
    assert_non_null(out);
    while ((n = fread(buf, 1, sizeof buf, in)) > 0)
        assert_int_equal(fwrite(buf, 1, n, out), n);
    fclose(in);
    assert_int_equal(fclose(out), 0);
    assert_int_equal(chmod(to, 0755), 0);
}

static void put(const struct place *p, const char *fixture, const char *as)
{
    char from[512], to[512];
    snprintf(from, sizeof from, "%s/%s.so", getenv("TG_FIXTURES"), fixture);
    snprintf(to, sizeof to, "%s/%s.so", p->dir, as);
    copy_file(from, to);
}

static int setup(void **state)
{
    struct place *p = calloc(1, sizeof *p);
    const char *dirs[] = {"/nonexistent/tidegate", p->dir};
    snprintf(p->dir, sizeof p->dir, "%s/tidegate plugins XXXXXX",
             getenv("TMPDIR") ? getenv("TMPDIR") : "/tmp");
    assert_non_null(mkdtemp(p->dir));
    assert_int_equal(tg_plugin_set_new(dirs, 2, &p->set), 0);
    *state = p;
    return 0;
}

static int teardown(void **state)
{
    struct place *p = *state;
    char command[512];
    tg_plugin_set_free(p->set);
    snprintf(command, sizeof command, "rm -rf '%s'", p->dir);
    assert_int_equal(system(command), 0);
    free(p);
    return 0;
}

static void assert_refused(struct place *p, const char *name, int code, const char *says)
{
    struct tg_error err = {0};
    assert_null(tg_plugin_find(p->set, name, &err));
    assert_int_equal(err.code, code);
    if (!strstr(err.text, says))
        fail_msg("\"%s\" does not say \"%s\"", err.text, says);
}

static void test_good_is_loaded_once(void **state)
{
    struct place *p = *state;
    const struct tg_plugin *first;
    put(p, "good", "good");
    first = tg_plugin_find(p->set, "good", NULL);
    assert_non_null(first);
    assert_string_equal(first->name, "good");
    assert_non_null(first->decode);
    assert_ptr_equal(tg_plugin_find(p->set, "good", NULL), first);
}

static void test_older_plugin_loads_with_what_it_has(void **state)
{
    struct place *p = *state;
    const struct tg_plugin *older;
    put(p, "older", "older");
    older = tg_plugin_find(p->set, "older", NULL);
    assert_non_null(older);
    assert_non_null(older->close);
    assert_null(older->decode); /* beyond its struct_size: absent, whatever its memory holds */
}

static void test_wrong_ones_are_refused_with_the_reason(void **state)
{
    struct place *p = *state;
    put(p, "nextabi", "nextabi");
    put(p, "stunted", "stunted");
    put(p, "nosymbol", "nosymbol");
    put(p, "misnamed", "misnamed");
    put(p, "good", "broken");
    {
        char path[512];
        snprintf(path, sizeof path, "%s/broken.so", p->dir);
        assert_int_equal(truncate(path, 100), 0);
    }
    assert_refused(p, "nextabi", TG_EVERSION, "plugin API 2, this tidegate has 1");
    assert_refused(p, "stunted", TG_EVERSION, "describes itself in 16 bytes");
    assert_refused(p, "nosymbol", TG_EINVAL, "does not export tidegate_plugin");
    assert_refused(p, "misnamed", TG_EINVAL, "calls itself \"other\"");
    assert_refused(p, "broken", TG_EINVAL, "cannot be loaded");
}

static void test_unknown_names_the_nearest_and_the_folders(void **state)
{
    struct place *p = *state;
    put(p, "good", "good");
    assert_refused(p, "goood", TG_ENOTFOUND, "did you mean \"good\"");
    assert_refused(p, "zzzzzz", TG_ENOTFOUND, p->dir);
    assert_refused(p, "../good", TG_EINVAL, "no plugin name");
    assert_refused(p, "", TG_EINVAL, "no plugin name");
}

static void test_others_must_not_write_it(void **state)
{
    struct place *p = *state;
    char path[512], link_path[512];
    put(p, "good", "good");
    snprintf(path, sizeof path, "%s/good.so", p->dir);
    assert_int_equal(chmod(path, 0775), 0);
    assert_refused(p, "good", TG_EPERM, "chmod go-w");
    assert_int_equal(chmod(path, 0755), 0);
    assert_int_equal(chmod(p->dir, 0777), 0);
    assert_refused(p, "good", TG_EPERM, "can be written by others");
    assert_int_equal(chmod(p->dir, 0755), 0);
    snprintf(link_path, sizeof link_path, "%s/linked.so", p->dir);
    assert_int_equal(symlink(path, link_path), 0);
    assert_refused(p, "linked", TG_EPERM, "not through a link");
    if (geteuid() == 0) {
        assert_int_equal(chown(path, 12345, 12345), 0);
        assert_refused(p, "good", TG_EPERM, "belongs to user 12345");
    }
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
    struct place *p = *state;
    struct seen s = {""};
    put(p, "older", "older");
    put(p, "nextabi", "nextabi");
    put(p, "good", "good");
    tg_plugin_set_each(p->set, note, &s);
    assert_string_equal(s.text, "good+ nextabi- older+ ");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_good_is_loaded_once, setup, teardown),
        cmocka_unit_test_setup_teardown(test_older_plugin_loads_with_what_it_has, setup, teardown),
        cmocka_unit_test_setup_teardown(test_wrong_ones_are_refused_with_the_reason, setup, teardown),
        cmocka_unit_test_setup_teardown(test_unknown_names_the_nearest_and_the_folders, setup, teardown),
        cmocka_unit_test_setup_teardown(test_others_must_not_write_it, setup, teardown),
        cmocka_unit_test_setup_teardown(test_list_is_sorted_and_complete, setup, teardown)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
