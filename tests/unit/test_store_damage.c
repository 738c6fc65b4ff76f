/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * Each page of a database in turn is damaged while nobody has it open [C8]. Whatever it held, and whenever that shows: the store
 * opens, takes its devices and clouds, and delivers what comes from then on.
 */
#include "support/store_fixture.h"

#include <fcntl.h>
#include <unistd.h>

#define PAGE   4096
#define BEFORE 600
#define AFTER  40

static void damage_page(const char *path, int64_t page)
{
    static uint8_t garbage[PAGE];
    int fd = open(path, O_WRONLY);
    assert_true(fd >= 0);
    memset(garbage, 0xa5, sizeof garbage);
    assert_int_equal(pwrite(fd, garbage, sizeof garbage, page * PAGE), PAGE);
    close(fd);
}

/* A backlog of one cloud; the other one has everything. */
static void fill(struct fixture *f)
{
    struct cloud hub = {.eager = true}, lake = {.eager = true};
    OK(open_store(f));
    uint32_t d = device(f, "meter-1");
    open_feed(f, &hub, d, "hub");
    open_feed(f, &lake, d, "lake");
    tg_feed_resume(hub.feed);
    assert_int_equal(append_n(f, d, BEFORE, 200), TG_OK);
    settle(f);
    RUN_UNTIL(f, hub.got == BEFORE);
    tg_feed_close(hub.feed);
    tg_feed_close(lake.feed);
    close_store(f);
}

static bool goes_on(struct fixture *f)
{
    struct cloud hub = {.eager = true, .holes_allowed = true}, lake = hub;
    OK(open_store(f));
    uint32_t d = device(f, "meter-1");
    open_feed(f, &hub, d, "hub");
    open_feed(f, &lake, d, "lake");
    tg_feed_resume(hub.feed);
    tg_feed_resume(lake.feed);
    uint64_t before = tg_store_last_seq(f->store, d);
    assert_true(before >= BEFORE); /* no number twice */
    assert_int_equal(append_n(f, d, AFTER, 200), TG_OK);
    RUN_UNTIL(f, hub.last_seq >= before + AFTER && lake.last_seq >= before + AFTER);
    RUN_UNTIL(f, tg_feed_pending(hub.feed) == 0 && tg_feed_pending(lake.feed) == 0);
    bool aside = f->aside[0] != '\0' || stats_of(f).set_aside > 0;
    tg_feed_close(hub.feed);
    tg_feed_close(lake.feed);
    close_store(f);
    return aside; /* a page that nobody needed is seen by `tidegate outbox verify` only */
}

/* Samples from before the clock was set: they are counted when the store is opened. */
static void fill_before_the_clock(struct fixture *f)
{
    OK(open_store(f));
    uint32_t d = device(f, "meter-1");
    for (int i = 0; i < BEFORE; i++) {
        uint8_t memory[256];
        struct tg_writer w = tg_writer_init(memory, sizeof memory);
        const struct tg_sample_time at = {TG_TIME_BOOT, tg_clock_boot(), 1000 + i};
        uint64_t seq, id;
        tg_sample_begin_at(&w, &at, 1);
        tg_sample_value(&w, &(struct tg_named_value){tg_bytes_str("value"), 0, tg_value_uint(1)});
        assert_false(w.failed);
        assert_int_equal(tg_store_append(f->store, d, at.ms, tg_bytes(memory, w.len), &seq, &id), TG_OK);
    }
    settle(f);
    assert_int_equal(stats_of(f).waiting_rows, BEFORE);
    close_store(f);
}

static bool opens(struct fixture *f)
{
    OK(open_store(f));
    uint32_t d = device(f, "meter-1");
    assert_true(tg_store_last_seq(f->store, d) >= BEFORE);
    assert_int_equal(append_n(f, d, AFTER, 200), TG_OK);
    settle(f);
    bool aside = f->aside[0] != '\0' || stats_of(f).set_aside > 0;
    close_store(f);
    return aside;
}

static void damage_each_page(struct fixture *f, bool (*check)(struct fixture *f))
{
    char *home = f->dir;
    unsigned pages = 0, aside = 0;
    int64_t size = tg_test_file_size(tg_test_path(home, TG_OUTBOX_FILE));
    for (int64_t page = 0; page < size / PAGE; page++, pages++) {
        f->dir = tg_test_memory_dir();
        f->o.outbox.dir = f->dir;
        f->state = TG_STORE_OK;
        tg_test_copy_outbox(home, f->dir);
        damage_page(tg_test_path(f->dir, TG_OUTBOX_FILE), page);
        aside += check(f);
        tg_test_dir_remove(f->dir);
        free(f->dir);
    }
    f->dir = home;
    f->o.outbox.dir = home;
    print_message("%u pages damaged in turn, %u databases set aside\n", pages, aside);
    assert_true(pages > 20 && aside > pages / 4);
}

static void test_any_damaged_page(void **state)
{
    struct fixture *f = *state;
    fill(f);
    damage_each_page(f, goes_on);
}

static void test_any_damaged_page_before_the_clock_is_set(void **state)
{
    struct fixture *f = *state;
    fill_before_the_clock(f);
    damage_each_page(f, opens);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_any_damaged_page, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_any_damaged_page_before_the_clock_is_set, set_up, tear_down),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
