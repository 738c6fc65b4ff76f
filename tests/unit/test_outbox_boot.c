/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * `normal` after a crash, where the machine's boot cannot be said: the power may have gone, so numbers leap as after a power cut. The
 * boot id is covered in a mount namespace of the test's own.
 */
#include "support/outbox_fixture.h"

#include "store/outbox_private.h"

#include <fcntl.h>
#include <sched.h>
#include <sys/mount.h>
#include <unistd.h>

#define BOOT_ID "/proc/sys/kernel/random/boot_id"

static void crash_and_reopen(struct fixture *f)
{
    f->o.durability = TG_DURABILITY_NORMAL;
    reopen(f, true);
    append_n(f, device(f, "meter"), 10, 100);
    reopen(f, false);
}

static void test_in_the_same_boot_numbers_go_on(void **state)
{
    struct fixture *f = *state;
    crash_and_reopen(f);
    assert_int_equal(tg_outbox_last_seq(f->ob, device(f, "meter")), 10);
}

static void test_in_an_unknown_boot_numbers_leap(void **state)
{
    struct fixture *f = *state;
    const char *nothing = tg_test_path(f->dir, "nothing");
    tg_test_spill(nothing, "", 0);
    if (unshare(CLONE_NEWNS) != 0 || mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) != 0 ||
        mount(nothing, BOOT_ID, NULL, MS_BIND, NULL) != 0) {
        print_message("the boot id cannot be covered here (not root?)\n");
        skip();
    }
    crash_and_reopen(f);
    assert_int_equal(umount(BOOT_ID), 0);
    assert_int_equal(tg_outbox_last_seq(f->ob, device(f, "meter")), 10 + TG_OUTBOX_JUMP);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_in_the_same_boot_numbers_go_on, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_in_an_unknown_boot_numbers_leap, set_up, tear_down),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
