/* SPDX-License-Identifier: GPL-2.0-or-later */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "core/base/allocator.h"
#include "core/base/secret.h"

static char dir[128], path[192];

static int setup(void **state)
{
    (void)state;
    snprintf(dir, sizeof dir, "%s/tidegate secret XXXXXX", getenv("TMPDIR") ? getenv("TMPDIR") : "/tmp");
    assert_non_null(mkdtemp(dir));
    snprintf(path, sizeof path, "%s/key", dir);
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    unlink(path);
    assert_int_equal(rmdir(dir), 0);
    return 0;
}

static void put(const char *data, size_t len, mode_t mode)
{
    FILE *f = fopen(path, "wb");
    assert_non_null(f);
    assert_int_equal(fwrite(data, 1, len, f), len);
    assert_int_equal(fclose(f), 0);
    assert_int_equal(chmod(path, mode), 0);
}

static void assert_refused(enum tg_secret_kind kind, int code, const char *says)
{
    struct tg_secret s = {0};
    struct tg_error err = {0}, again = {0};
    assert_int_equal(tg_secret_read(path, kind, &s, &err), code);
    assert_null(s.data);
    if (!strstr(err.text, says) || !strstr(err.text, path))
        fail_msg("\"%s\" does not say \"%s\" or the file", err.text, says);
    if (code == TG_ETOOBIG || code == TG_ENOMEM)
        return; /* only reading finds these */
    assert_int_equal(tg_secret_check(path, kind, &again), code);
    assert_string_equal(again.text, err.text);
}

static void assert_read(enum tg_secret_kind kind, const char *want, size_t len)
{
    struct tg_secret s = {0};
    struct tg_error err = {0};
    if (tg_secret_read(path, kind, &s, &err) < 0)
        fail_msg("%s", err.text);
    assert_int_equal(s.len, len);
    assert_memory_equal(s.data, want, len);
    assert_int_equal(s.data[len], 0);
    tg_secret_free(&s);
    assert_null(s.data);
    assert_int_equal(tg_secret_check(path, kind, NULL), TG_OK);
}

static void test_private_modes(void **state)
{
    static const mode_t wrong[] = {0640, 0604, 0620, 0602, 0610, 0601, 0644, 0666, 0777};
    (void)state;
    put("abc", 3, 0600);
    assert_read(TG_SECRET_PRIVATE, "abc", 3);
    put("abc", 3, 0400);
    assert_read(TG_SECRET_PRIVATE, "abc", 3);
    for (size_t i = 0; i < sizeof wrong / sizeof wrong[0]; i++) {
        char mode[16];
        snprintf(mode, sizeof mode, "mode %04o", (unsigned)wrong[i]);
        put("abc", 3, wrong[i]);
        assert_refused(TG_SECRET_PRIVATE, TG_EPERM, mode);
        assert_refused(TG_SECRET_PRIVATE, TG_EPERM, "chmod 600 '");
    }
}

static void test_public_modes(void **state)
{
    (void)state;
    put("pem", 3, 0644);
    assert_read(TG_SECRET_PUBLIC, "pem", 3);
    put("pem", 3, 0664);
    assert_refused(TG_SECRET_PUBLIC, TG_EPERM, "chmod go-w '");
    put("pem", 3, 0646);
    assert_refused(TG_SECRET_PUBLIC, TG_EPERM, "can be written by others");
}

static void test_owner(void **state)
{
    (void)state;
    put("abc", 3, 0600);
    if (geteuid() != 0)
        return; /* only root can give a file away */
    assert_int_equal(chown(path, 12345, 12345), 0);
    assert_refused(TG_SECRET_PRIVATE, TG_EPERM, "belongs to user 12345");
    assert_refused(TG_SECRET_PUBLIC, TG_EPERM, "belongs to user 12345");
}

static void test_what_is_no_file(void **state)
{
    char other[256];
    (void)state;
    assert_refused(TG_SECRET_PRIVATE, TG_ENOTFOUND, "does not exist");
    snprintf(other, sizeof other, "%s/other", dir);
    put("abc", 3, 0600);
    assert_int_equal(rename(path, other), 0);
    assert_int_equal(symlink(other, path), 0);
    assert_refused(TG_SECRET_PRIVATE, TG_EPERM, "symbolic link");
    unlink(path);
    unlink(other);
    assert_int_equal(mkfifo(path, 0600), 0);
    assert_refused(TG_SECRET_PRIVATE, TG_EPERM, "not a regular file"); /* and it does not wait for a writer */
    unlink(path);
    assert_int_equal(mkdir(path, 0700), 0);
    assert_refused(TG_SECRET_PRIVATE, TG_EPERM, "not a regular file");
    assert_int_equal(rmdir(path), 0);
}

static void test_sizes(void **state)
{
    char *large = calloc(1, TG_SECRET_MAX_BYTES + 1);
    (void)state;
    assert_non_null(large);
    put("", 0, 0600);
    assert_read(TG_SECRET_PRIVATE, "", 0);
    put("a\0b", 3, 0600);
    assert_read(TG_SECRET_PRIVATE, "a\0b", 3);
    put(large, TG_SECRET_MAX_BYTES, 0600);
    assert_read(TG_SECRET_PRIVATE, large, TG_SECRET_MAX_BYTES);
    put(large, TG_SECRET_MAX_BYTES + 1, 0600);
    assert_refused(TG_SECRET_PRIVATE, TG_ETOOBIG, "65537 bytes");
    put("abc", 3, 0600);
    tg_alloc_fail_at(1, 0);
    assert_refused(TG_SECRET_PRIVATE, TG_ENOMEM, "out of memory");
    tg_alloc_fail_at(0, 0);
    free(large);
}

static void test_trim(void **state)
{
    struct tg_secret s = {0};
    (void)state;
    put("  pass word \t\r\n\n", 15, 0600);
    assert_int_equal(tg_secret_read(path, TG_SECRET_PRIVATE, &s, NULL), TG_OK);
    tg_secret_trim(&s);
    assert_string_equal((const char *)s.data, "  pass word"); /* what leads may belong to it */
    assert_int_equal(s.len, 11);
    tg_secret_free(&s);
    put("\n\n", 2, 0600);
    assert_int_equal(tg_secret_read(path, TG_SECRET_PRIVATE, &s, NULL), TG_OK);
    tg_secret_trim(&s);
    assert_int_equal(s.len, 0);
    tg_secret_trim(&s);
    tg_secret_free(&s);
    tg_secret_free(&s);
}

static unsigned mode_of_path(void)
{
    struct stat st;
    assert_int_equal(lstat(path, &st), 0);
    assert_true(S_ISREG(st.st_mode));
    return (unsigned)(st.st_mode & 07777);
}

/* The folder holds the file and nothing beside it: teardown's rmdir() sees to that. */
static void test_write(void **state)
{
    struct tg_error err = {0};
    char nowhere[256], long_path[5000];
    (void)state;
    mode_t mask = umask(0);
    assert_int_equal(tg_secret_write(path, TG_SECRET_PRIVATE, tg_bytes_str("one"), false, &err), TG_OK);
    assert_int_equal(mode_of_path(), 0600);
    assert_read(TG_SECRET_PRIVATE, "one", 3);
    assert_int_equal(tg_secret_write(path, TG_SECRET_PRIVATE, tg_bytes_str("two"), false, &err), TG_EEXISTS);
    assert_read(TG_SECRET_PRIVATE, "one", 3);
    assert_int_equal(tg_secret_write(path, TG_SECRET_PUBLIC, tg_bytes_str("three"), true, &err), TG_OK);
    umask(mask);
    assert_int_equal(mode_of_path(), 0644);
    assert_read(TG_SECRET_PUBLIC, "three", 5);
    /* A link in the file's place is replaced, not followed. */
    assert_int_equal(unlink(path), 0);
    assert_int_equal(symlink("/nowhere/at/all", path), 0);
    assert_int_equal(tg_secret_write(path, TG_SECRET_PRIVATE, tg_bytes_str("x"), false, &err), TG_EEXISTS);
    assert_int_equal(tg_secret_write(path, TG_SECRET_PRIVATE, tg_bytes_str("x"), true, &err), TG_OK);
    assert_int_equal(mode_of_path(), 0600);
    snprintf(nowhere, sizeof nowhere, "%s/no/key", dir);
    assert_true(tg_secret_write(nowhere, TG_SECRET_PRIVATE, tg_bytes_str("x"), true, &err) < 0);
    assert_non_null(strstr(err.text, nowhere));
    memset(long_path, 'p', sizeof long_path);
    long_path[sizeof long_path - 1] = '\0';
    assert_int_equal(tg_secret_write(long_path, TG_SECRET_PRIVATE, tg_bytes_str("x"), true, &err),
                     TG_ETOOBIG);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test_setup_teardown(test_private_modes, setup, teardown),
                                       cmocka_unit_test_setup_teardown(test_public_modes, setup, teardown),
                                       cmocka_unit_test_setup_teardown(test_owner, setup, teardown),
                                       cmocka_unit_test_setup_teardown(test_what_is_no_file, setup, teardown),
                                       cmocka_unit_test_setup_teardown(test_sizes, setup, teardown),
                                       cmocka_unit_test_setup_teardown(test_trim, setup, teardown),
                                       cmocka_unit_test_setup_teardown(test_write, setup, teardown)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
