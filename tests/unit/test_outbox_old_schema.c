/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * A store of schema version 1: looked into without a write, and brought up to date at a cost that does not depend on what is in it.
 * What a power cut leaves in between: tests/crash/test_migration_power_loss.c.
 */
#include "support/old_schema.h"
#include "support/outbox_fixture.h"

#define FEW  2000
#define MANY 200000

static void no_device(void *user, const struct tg_outbox_device_stats *d)
{
    assert_string_equal(d->name, "meter-1");
    assert_int_equal(d->pending, FEW);
    ++*(uint32_t *)user;
}

/* stats, verify and export of a file that stays byte for byte what it was. */
static void test_is_read_as_it_is(void **state)
{
    char *dir = tg_test_memory_dir();
    struct tg_outbox_options o = {.dir = dir, .read_only = true};
    struct fixture fixture = {.o = o}, *f = &fixture;
    struct seen seen;
    uint32_t devices = 0, d, c;
    size_t before_len, after_len;
    (void)state;
    tg_test_old_outbox(dir, FEW, 500);
    uint8_t *before = tg_test_slurp(tg_test_path(dir, TG_OUTBOX_FILE), &before_len);
    for (int immutable = 0; immutable < 2; immutable++) {
        if (immutable)
            OK(tg_outbox_look(&o, &f->ob, &f->err));
        else
            OK(tg_outbox_open(&o, &f->ob, NULL, &f->err));
        assert_int_equal(stats_of(f).rows, FEW);
        devices = 0;
        OK(tg_outbox_each_device(f->ob, no_device, &devices, &f->err));
        assert_int_equal(devices, 1);
        assert_true(tg_outbox_find(f->ob, "meter-1", "hub", &d, &c));
        assert_int_equal(state_of(f, c).acked_seq, 500);
        assert_int_equal(state_of(f, c).gap.reasons, 0);
        read_rows(f, 1, UINT32_MAX, UINT32_MAX, SIZE_MAX, &seen);
        assert_int_equal(seen.count, FEW);
        tg_test_verify(f->ob);
        tg_outbox_close(f->ob, false);
    }
    uint8_t *after = tg_test_slurp(tg_test_path(dir, TG_OUTBOX_FILE), &after_len);
    assert_int_equal(after_len, before_len);
    assert_memory_equal(after, before, before_len);
    free(before);
    free(after);
    tg_test_dir_remove(dir);
    free(dir);
}

/* Bytes that the first opening by this program writes; then all rows are there. */
static uint64_t upgrade(uint64_t rows)
{
    char *dir = tg_test_memory_dir();
    struct fixture fixture = {.o = tg_test_options(dir)}, *f = &fixture;
    struct seen seen;
    tg_test_old_outbox(dir, rows, 1000);
    f->ob = tg_test_open(&f->o);
    uint64_t written = tg_outbox_written_bytes(f->ob);
    uint32_t d = device(f, "meter-1"), hub = cursor(f, d, "hub"), lake = cursor(f, d, "lake");
    assert_int_equal(state_of(f, hub).pending, rows - 1000);
    assert_int_equal(state_of(f, lake).pending, rows);
    read_rows(f, 1, d, UINT32_MAX, SIZE_MAX, &seen);
    assert_int_equal(seen.count, rows);
    assert_int_equal(seen.last_seq, rows);
    append_n(f, d, 5, 100);
    OK(tg_outbox_set_cursor(f->ob, lake, rows + 5, rows + 5, &f->err));
    OK(tg_outbox_commit(f->ob, &f->err));
    assert_int_equal(state_of(f, hub).pending, rows - 1000 + 5);
    tg_test_verify(f->ob);
    tg_outbox_close(f->ob, true);
    tg_test_dir_remove(dir);
    free(dir);
    return written;
}

static void test_upgrade_does_not_depend_on_rows(void **state)
{
    uint64_t few = upgrade(FEW), many = upgrade(MANY);
    (void)state;
    print_message("an upgrade writes %llu bytes with %d rows, %llu with %d\n", (unsigned long long)few, FEW,
                  (unsigned long long)many, MANY);
    assert_true(few > 0);
    /* Interior pages of a longer table apart, the same. */
    assert_true(many <= few + 16 * 4096 && few <= many + 16 * 4096);
    assert_true(many < 1000000);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_is_read_as_it_is),
        cmocka_unit_test(test_upgrade_does_not_depend_on_rows),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
