/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "support/plugin_place.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

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

void tg_place_put(const struct tg_place *p, const char *fixture, const char *as)
{
    char from[512], to[512];
    snprintf(from, sizeof from, "%s/%s.so", getenv("TG_FIXTURES"), fixture);
    snprintf(to, sizeof to, "%s/%s.so", p->dir, as);
    copy_file(from, to);
}

int tg_place_setup(void **state)
{
    struct tg_place *p = calloc(1, sizeof *p);
    const char *dirs[] = {"/nonexistent/tidegate", NULL};
    assert_non_null(p);
    dirs[1] = p->dir;
    snprintf(p->above, sizeof p->above, "%s/tidegate plugins XXXXXX",
             getenv("TMPDIR") ? getenv("TMPDIR") : "/tmp");
    assert_non_null(mkdtemp(p->above));
    snprintf(p->dir, sizeof p->dir, "%s/folder", p->above);
    assert_int_equal(mkdir(p->dir, 0755), 0);
    assert_int_equal(tg_plugin_set_new(dirs, 2, &p->set), 0);
    *state = p;
    return 0;
}

int tg_place_teardown(void **state)
{
    struct tg_place *p = *state;
    char command[512];
    tg_plugin_set_free(p->set);
    snprintf(command, sizeof command, "rm -rf '%s'", p->above);
    assert_int_equal(system(command), 0);
    free(p);
    return 0;
}

void tg_place_assert_refused(struct tg_place *p, const char *name, int code, const char *says)
{
    struct tg_error err = {0};
    assert_null(tg_plugin_find(p->set, name, &err));
    if (!strstr(err.text, says))
        fail_msg("\"%s\" does not say \"%s\"", err.text, says);
    assert_int_equal(err.code, code);
}
