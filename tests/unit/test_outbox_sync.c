/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * What lies beside the database is on the disk before it counts: SQLite syncs its own files, and the VFS of the power-cut tests sees
 * no others. Here the system's calls are watched.
 */
#include "support/outbox_fixture.h"

#include "store/outbox_private.h"

#include <dlfcn.h>
#include <limits.h>
#include <unistd.h>

#define SYNCS_MAX 256

static char synced[SYNCS_MAX][PATH_MAX];
static unsigned sync_count;

static void note(int fd)
{
    char link[64];
    ssize_t n;
    snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
    if (sync_count == SYNCS_MAX || (n = readlink(link, synced[sync_count], PATH_MAX - 1)) < 0)
        return;
    synced[sync_count++][n] = '\0';
}

static int pass_on(const char *name, int fd)
{
    int (*call)(int);
    void *symbol = dlsym(RTLD_NEXT, name);
    memcpy(&call, &symbol, sizeof call);
    note(fd);
    return call(fd);
}

int fsync(int fd)
{
    return pass_on("fsync", fd);
}

int fdatasync(int fd)
{
    return pass_on("fdatasync", fd);
}

static bool was_synced(const char *path)
{
    char real[PATH_MAX];
    if (!realpath(path, real))
        return false;
    for (unsigned i = 0; i < sync_count; i++)
        if (strcmp(synced[i], real) == 0)
            return true;
    return false;
}

static void test_opening_syncs_the_folder(void **state)
{
    struct fixture *f = *state;
    reopen(f, true);
    assert_true(was_synced(f->dir));
}

static void test_numbers_are_reserved_on_the_disk(void **state)
{
    struct fixture *f = *state;
    uint32_t d = device(f, "meter");
    sync_count = 0;
    append_n(f, d, 1, 100);
    assert_true(was_synced(tg_test_path(f->dir, "outbox.high")));
}

static void test_what_was_set_aside_stays_so(void **state)
{
    struct fixture *f = *state;
    uint8_t garbage[8192];
    tg_outbox_close(f->ob, true);
    memset(garbage, 0x5a, sizeof garbage);
    tg_test_spill(tg_test_path(f->dir, TG_OUTBOX_FILE), garbage, sizeof garbage);
    char aside[256];
    sync_count = 0;
    OK(tg_outbox_open(&f->o, &f->ob, aside, &f->err));
    assert_string_not_equal(aside, "");
    unsigned at = 0;
    while (at < sync_count && strstr(synced[at], TG_OUTBOX_FILE) == NULL &&
           strstr(synced[at], "outbox.high") == NULL)
        at++;
    sync_count = at; /* before anything of the new one */
    assert_true(was_synced(f->dir));
}

static void test_that_numbers_may_be_beyond_is_on_the_disk(void **state)
{
    struct fixture *f = *state;
    sync_count = 0;
    tg_outbox_mark_beyond(f->dir, true);
    assert_true(was_synced(tg_test_path(f->dir, "outbox.beyond")));
    assert_true(was_synced(f->dir));
    tg_outbox_mark_beyond(f->dir, false);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_opening_syncs_the_folder, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_numbers_are_reserved_on_the_disk, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_what_was_set_aside_stays_so, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_that_numbers_may_be_beyond_is_on_the_disk, set_up, tear_down),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
