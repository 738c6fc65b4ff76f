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

static void test_any_damaged_page(void **state)
{
    struct fixture *f = *state;
    char *home = f->dir;
    unsigned pages = 0, aside = 0;
    fill(f);
    int64_t size = tg_test_file_size(tg_test_path(home, TG_OUTBOX_FILE));
    for (int64_t page = 0; page < size / PAGE; page++, pages++) {
        f->dir = tg_test_memory_dir();
        f->o.outbox.dir = f->dir;
        f->state = TG_STORE_OK;
        tg_test_copy_outbox(home, f->dir);
        damage_page(tg_test_path(f->dir, TG_OUTBOX_FILE), page);
        aside += goes_on(f);
        tg_test_dir_remove(f->dir);
        free(f->dir);
    }
    f->dir = home;
    f->o.outbox.dir = home;
    print_message("%u pages damaged in turn, %u databases set aside\n", pages, aside);
    assert_true(pages > 20 && aside > pages / 2);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_any_damaged_page, set_up, tear_down)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
