/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * The feeds against a model: several devices and clouds, and random steps of everything that can happen to
 * them (append, commit, page under way, take, ack, pause, rewind, evict, close, the database failing).
 * Between rewinds every feed must be given each row of its device once, in order, without a gap.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <cmocka.h>

#include "store/feed.h"
#include "support/outbox_help.h"

#define DEVICES  4u
#define CLOUDS   3u
#define FEEDS    (DEVICES * CLOUDS)
#define ROWS_MAX 60000u
#define LIMIT    ((size_t)40000)
#define ROW_MAX  400u

struct entry {
    uint64_t seq;
    uint32_t device, len;
    bool evicted; /* not in the log any more */
    bool dropped; /* from memory, never stored */
};

struct watcher {
    struct tg_feed *feed;
    uint32_t device;
    uint64_t given; /* seq of the last row that was taken, or that is over */
    uint64_t acked;
};

static struct entry rows[ROWS_MAX + 1]; /* by id */
static uint64_t last_id, committed_id, log_begin;
static uint64_t last_seq[DEVICES];
static uint64_t id_of[DEVICES][ROWS_MAX + 1]; /* by seq */
static struct watcher watchers[FEEDS];
static struct tg_feeds fs;
static struct tg_row_list list;
static struct tg_row *unhanded;
static bool from_memory, readable, any_dropped;
static uint64_t rnd;
static bool woken;

/* The page under way: what the thread saw when it read. */
static struct {
    bool asked, read;
    uint64_t ids[1024], through;
    uint32_t count;
} page;

static uint32_t roll(uint32_t n)
{
    return tg_test_random(&rnd) % n;
}

static void wake(void *user)
{
    (void)user;
    woken = true;
}

static void on_rows(void *user)
{
    const struct watcher *w = user;
    assert_true(tg_feed_available(w->feed) > 0);
}

static uint64_t next_of(const struct watcher *w)
{
    for (uint64_t seq = w->given + 1; seq <= last_seq[w->device]; seq++) {
        const struct entry *e = &rows[id_of[w->device][seq]];
        if (!e->dropped)
            return seq;
    }
    return 0;
}

/* --- steps ---------------------------------------------------------------------------------------------- */

static void step_append(uint32_t n)
{
    static uint8_t body[ROW_MAX];
    for (uint32_t i = 0; i < n && last_id < ROWS_MAX; i++) {
        uint32_t device = roll(4) ? roll(DEVICES) : 0;
        uint32_t len = roll(ROW_MAX);
        struct tg_row *row =
            tg_row_new(last_id + 1, device, ++last_seq[device], (int64_t)last_id, tg_bytes(body, len));
        assert_non_null(row);
        last_id++;
        rows[last_id] = (struct entry){.seq = row->seq, .device = device, .len = len};
        id_of[device][row->seq] = last_id;
        tg_row_list_push(&list, row);
        if (!unhanded)
            unhanded = row;
        tg_feeds_appended(&fs, row);
    }
}

static void hand_next(void)
{
    struct tg_row *row = unhanded;
    unhanded = row->next;
    tg_feeds_hand(&fs, row);
}

static void deliver(void)
{
    while (list.head && list.head->id <= committed_id) {
        if (unhanded == list.head)
            hand_next();
        tg_row_unref(tg_row_list_pop(&list));
    }
    while (from_memory && unhanded)
        hand_next();
    if (fs.handed_id > committed_id)
        tg_feeds_walk(&fs, &list, committed_id);
    tg_feeds_notify(&fs);
}

static void step_commit(void)
{
    if (from_memory || committed_id == last_id)
        return;
    committed_id += 1 + (roll(3) ? last_id - committed_id - 1 : roll((uint32_t)(last_id - committed_id)));
    fs.starved = false;
    if (roll(3))
        deliver();
}

static void step_ask(void)
{
    const struct tg_scan *scan;
    if (!page.asked && readable && tg_feeds_scan(&fs, committed_id, &scan)) {
        page.asked = true;
        page.read = false;
    }
}

/* What the store thread does, at any time after it was asked. */
static void step_read(void)
{
    const struct tg_scan *s = &fs.scan;
    size_t bytes = 0;
    if (!page.asked || page.read)
        return;
    page.read = true;
    page.count = 0;
    page.through = readable ? committed_id : 0;
    for (uint64_t id = s->from_id; readable && id <= committed_id; id++) {
        const struct entry *e = &rows[id];
        if (e->evicted || e->dropped || e->device >= s->devices || id < s->want[e->device])
            continue;
        if (page.count >= s->max_rows || (page.count > 0 && bytes >= s->max_bytes) || page.count == 1024) {
            page.through = id - 1;
            break;
        }
        page.ids[page.count++] = id;
        bytes += e->len;
    }
}

static void step_page(void)
{
    static const uint8_t body[ROW_MAX];
    if (!page.read)
        return;
    for (uint32_t i = 0; i < page.count; i++) {
        const struct entry *e = &rows[page.ids[i]];
        struct tg_outbox_row r = {
            .id = page.ids[i], .seq = e->seq, .device = e->device, .body = tg_bytes(body, e->len)};
        tg_feeds_page_row(&fs, &r);
    }
    tg_feeds_page_end(&fs, page.through);
    page.asked = page.read = false;
    tg_feeds_notify(&fs);
}

static void step_take(struct watcher *w)
{
    struct tg_row *got[TG_FEED_MAX_ROWS];
    uint32_t n = tg_feed_available(w->feed);
    assert_true(n <= TG_FEED_MAX_ROWS);
    if (n == 0)
        return;
    n = roll(2) ? n : 1 + roll(n);
    for (uint32_t i = 0; i < n; i++) {
        const struct tg_row *row = tg_feed_at(w->feed, i);
        assert_int_equal(row->device, w->device);
        /* An offered row may have been dropped from memory since: it is delivered all the same. */
        if (!any_dropped)
            assert_int_equal(row->seq, next_of(w));
        assert_true(row->seq > w->given);
        for (uint64_t seq = w->given + 1; seq < row->seq; seq++)
            assert_true(rows[id_of[w->device][seq]].dropped);
        assert_int_equal(row->id, id_of[w->device][row->seq]);
        w->given = row->seq;
    }
    tg_feed_take(w->feed, n, got);
    for (uint32_t i = 0; i < n; i++)
        tg_row_unref(got[i]);
}

static void step_ack(struct watcher *w)
{
    if (w->given <= w->acked)
        return;
    uint64_t seq = w->acked + 1 + roll((uint32_t)(w->given - w->acked));
    w->acked = seq;
    tg_feed_ack(w->feed, seq, id_of[w->device][seq]);
    assert_int_equal(tg_feed_acked_seq(w->feed), w->acked);
}

static void step_rewind(struct watcher *w)
{
    tg_feed_rewind(w->feed);
    w->given = w->acked;
    /* What was dropped after it was given cannot be given again. */
}

/* The outbox evicts: rows leave the log, cursors move past them. */
static void step_evict(void)
{
    uint64_t upto = log_begin + roll(600);
    if (upto > committed_id)
        upto = committed_id;
    for (uint64_t id = log_begin; id <= upto; id++)
        rows[id].evicted = true;
    for (uint32_t i = 0; i < FEEDS; i++) {
        struct watcher *w = &watchers[i];
        uint64_t seq = w->acked, at = 0;
        while (seq < last_seq[w->device] && id_of[w->device][seq + 1] <= upto)
            at = id_of[w->device][++seq];
        if (seq == w->acked)
            continue;
        uint64_t holes = 0;
        for (uint64_t k = seq + 1; k <= last_seq[w->device]; k++)
            holes += rows[id_of[w->device][k]].dropped;
        tg_feeds_moved(&fs, w->feed->cursor, seq, at, holes, 1);
        w->acked = seq;
        if (w->given < seq)
            w->given = seq;
    }
    log_begin = upto + 1;
}

static void open_feed(uint32_t i, bool fresh)
{
    struct watcher *w = &watchers[i];
    struct tg_feed_start start = {.device = i / CLOUDS, .cursor = i};
    w->device = start.device;
    if (fresh) /* begins behind what is stored */
        for (uint64_t seq = last_seq[w->device]; seq > 0 && w->acked < seq; seq--)
            if (id_of[w->device][seq] <= committed_id)
                w->acked = seq;
    start.acked_seq = w->acked;
    start.acked_id = w->acked ? id_of[w->device][w->acked] : 0;
    for (uint64_t k = w->acked + 1; k <= last_seq[w->device]; k++)
        start.holes += rows[id_of[w->device][k]].dropped;
    w->given = w->acked;
    assert_int_equal(tg_feeds_open(&fs, &start, on_rows, w, &w->feed), TG_OK);
}

static void step_reopen(uint32_t i)
{
    tg_feeds_close(watchers[i].feed);
    open_feed(i, roll(2));
}

static void step_trouble(void)
{
    if (from_memory) {
        from_memory = false;
        readable = true;
        fs.starved = false;
    } else if (!page.asked) {
        from_memory = true;
        readable = roll(2);
        deliver();
    }
}

static void step_drop(void)
{
    for (uint32_t n = roll(50); from_memory && list.head && n > 0; n--) {
        struct tg_row *row = tg_row_list_pop(&list);
        if (unhanded == row)
            unhanded = list.head;
        any_dropped = true;
        rows[row->id].dropped = true;
        if (!tg_feeds_done_with(&fs, row))
            tg_feeds_dropped(&fs, row);
        for (uint32_t i = 0; i < FEEDS; i++) {
            struct watcher *w = &watchers[i];
            w->acked = tg_feed_acked_seq(w->feed);
            if (w->given < w->acked)
                w->given = w->acked;
        }
        tg_row_unref(row);
    }
}

/* --- what must always hold
 * ---------------------------------------------------------------------------------- */

static void check(void)
{
    size_t bytes = 0;
    for (uint32_t i = 0; i < FEEDS; i++) {
        const struct watcher *w = &watchers[i];
        bytes += w->feed->bytes;
        if (!any_dropped)
            assert_int_equal(tg_feed_pending(w->feed), last_seq[w->device] - w->acked);
        if (w->feed->mode == TG_FEED_PAUSED)
            assert_int_equal(tg_feed_available(w->feed), 0);
    }
    assert_int_equal(bytes, fs.bytes);
    assert_true(fs.bytes <= LIMIT + FEEDS * (ROW_MAX + sizeof(struct tg_row)));
}

static void drain(void)
{
    from_memory = false;
    readable = true;
    committed_id = last_id;
    fs.starved = false;
    for (uint32_t i = 0; i < FEEDS; i++)
        tg_feed_resume(watchers[i].feed);
    for (uint32_t turn = 0, idle = 0; idle < 3; turn++) {
        bool any = page.asked;
        assert_true(turn < 100000);
        deliver();
        step_page();
        step_ask();
        step_read();
        for (uint32_t i = 0; i < FEEDS; i++) {
            any = any || tg_feed_available(watchers[i].feed) > 0;
            step_take(&watchers[i]);
            step_ack(&watchers[i]);
        }
        idle = any ? 0 : idle + 1;
    }
    for (uint32_t i = 0; i < FEEDS; i++) {
        struct watcher *w = &watchers[i];
        assert_int_equal(next_of(w), 0);
        assert_int_equal(w->feed->mode, TG_FEED_LIVE);
    }
}

static void any_feed(uint32_t what)
{
    uint32_t i = roll(FEEDS);
    struct watcher *w = &watchers[i];
    if (what < 40) {
        step_take(w);
    } else if (what < 65) {
        step_ack(w);
    } else if (what < 72) {
        tg_feed_pause(w->feed);
    } else if (what < 90) {
        tg_feed_resume(w->feed);
    } else if (what < 96) {
        step_rewind(w);
    } else if (what < 97) {
        step_reopen(i);
    }
}

static void any_step(bool trouble)
{
    uint32_t what = roll(100);
    if (what < 12)
        step_append(roll(10) ? roll(40) : roll(900));
    else if (what < 22)
        step_commit();
    else if (what < 28)
        deliver();
    else if (what < 36)
        step_ask();
    else if (what < 44)
        step_read();
    else if (what < 52)
        step_page();
    else if (what < 53)
        step_evict();
    else if (what < 54 && trouble)
        step_trouble();
    else if (what < 55 && trouble)
        step_drop();
    else
        any_feed(roll(100));
}

static void run(uint64_t seed, uint32_t steps, bool trouble)
{
    rnd = seed;
    memset(rows, 0, sizeof rows);
    memset(last_seq, 0, sizeof last_seq);
    memset(watchers, 0, sizeof watchers);
    memset(&page, 0, sizeof page);
    last_id = committed_id = 0;
    log_begin = 1;
    from_memory = any_dropped = false;
    readable = true;
    tg_feeds_init(&fs, LIMIT, 0, wake, NULL);
    for (uint32_t d = 0; d < DEVICES; d++)
        assert_int_equal(tg_feeds_device(&fs, d, 0), TG_OK);
    for (uint32_t i = 0; i < FEEDS; i++)
        open_feed(i, false);
    for (uint32_t i = 0; i < steps; i++) {
        any_step(trouble);
        check();
    }
    drain();
    check();
    assert_int_equal(fs.bytes, 0);
    for (uint32_t i = 0; i < FEEDS; i++)
        tg_feeds_close(watchers[i].feed);
    while (list.head)
        tg_row_unref(tg_row_list_pop(&list));
    tg_feeds_fini(&fs);
}

static void test_random_steps(void **state)
{
    (void)state;
    for (uint64_t seed = 1; seed <= 10; seed++)
        run(seed, 5000, false);
}

static void test_random_steps_with_trouble(void **state)
{
    (void)state;
    for (uint64_t seed = 101; seed <= 110; seed++)
        run(seed, 5000, true);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_random_steps),
        cmocka_unit_test(test_random_steps_with_trouble),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
