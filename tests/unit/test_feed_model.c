/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * The feeds against a model: several devices and clouds with every drain, and random steps of everything that can happen to
 * them (append, some of it urgent, commit, page under way, take, ack, pause, rewind, evict, close, the database failing).
 * Between rewinds every feed must be given each row of its device once; of the backlog in order and without a gap but for
 * what went ahead; ahead only what may. What it says of its cursor is what was acknowledged, exactly.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <cmocka.h>

#include "core/base/allocator.h"
#include "store/feed.h"
#include "support/outbox_help.h"

#define DEVICES  4u
#define CLOUDS   3u
#define FEEDS    (DEVICES * CLOUDS)
#define ROWS_MAX 60000u
#define LIMIT    ((size_t)60000)
#define ROW_MAX  400u

struct entry {
    uint64_t seq;
    uint32_t device, len;
    bool urgent;
    bool evicted; /* not in the log any more */
    bool dropped; /* from memory, never stored */
};

enum state { NEW, TAKEN, ACKED };

struct taken {
    struct tg_row *row;
    bool ahead;
};

struct watcher {
    struct tg_feed *feed;
    uint32_t device;
    enum tg_drain drain;
    uint8_t state[ROWS_MAX + 1]; /* by seq: enum state */
    uint64_t backlog_seq;        /* of the last row that was taken of the backlog */
    uint64_t lane_seq;           /* … ahead of it */
    struct taken queue[ROWS_MAX];
    uint32_t first, count; /* in it */
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
    assert_true(tg_feed_available(w->feed) > 0 && tg_feed_ready(w->feed) > 0);
}

/* Up to where everything is over for the feed. */
static uint64_t acked_of(const struct watcher *w)
{
    uint64_t seq = 0;
    while (seq < last_seq[w->device] && w->state[seq + 1] == ACKED)
        seq++;
    return seq;
}

static uint64_t count_of(const struct watcher *w, enum state state)
{
    uint64_t n = 0;
    for (uint64_t seq = 1; seq <= last_seq[w->device]; seq++)
        n += w->state[seq] == state;
    return n;
}

/* What is under way is forgotten. */
static void forget_taken(struct watcher *w)
{
    while (w->count > 0) {
        struct taken *t = &w->queue[w->first++];
        if (w->state[t->row->seq] == TAKEN)
            w->state[t->row->seq] = NEW;
        tg_row_unref(t->row);
        w->count--;
    }
    w->first = 0;
    w->backlog_seq = w->lane_seq = 0;
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
        rows[last_id] =
            (struct entry){.seq = row->seq, .device = device, .len = len, .urgent = roll(30) == 0};
        row->urgent = rows[last_id].urgent;
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
        if (e->evicted || e->dropped || e->device >= s->devices || id < s->want[e->device] ||
            (s->urgent && !e->urgent))
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

static void check_taken(const struct watcher *w, const struct tg_row *row, bool ahead)
{
    const struct entry *e = &rows[row->id];
    assert_int_equal(row->device, w->device);
    assert_int_equal(row->id, id_of[w->device][row->seq]);
    assert_int_equal(w->state[row->seq], NEW);
    if (ahead) {
        assert_true(w->drain != TG_DRAIN_IN_ORDER || e->urgent);
        assert_true(row->seq > w->lane_seq);
        return;
    }
    assert_true(row->seq > w->backlog_seq);
    for (uint64_t seq = row->seq - 1; seq > w->backlog_seq; seq--)
        assert_true(w->state[seq] != NEW || rows[id_of[w->device][seq]].dropped);
}

static void step_take(struct watcher *w)
{
    struct tg_row *got[TG_FEED_MAX_ROWS];
    uint32_t n = tg_feed_available(w->feed);
    bool ahead = tg_feed_offers_ahead(w->feed);
    assert_true(n <= TG_FEED_MAX_ROWS);
    assert_true(n > 0 || tg_feed_ready(w->feed) == 0);
    if (n == 0)
        return;
    n = roll(2) ? n : 1 + roll(n);
    for (uint32_t i = 0; i < n; i++) {
        const struct tg_row *row = tg_feed_at(w->feed, i);
        check_taken(w, row, ahead);
        w->state[row->seq] = TAKEN;
        if (ahead)
            w->lane_seq = row->seq;
        else
            w->backlog_seq = row->seq;
    }
    assert_int_equal(tg_feed_take(w->feed, n, got), ahead);
    if (w->first + w->count + n > ROWS_MAX) {
        memmove(w->queue, w->queue + w->first, w->count * sizeof w->queue[0]);
        w->first = 0;
    }
    for (uint32_t i = 0; i < n; i++)
        w->queue[w->first + w->count++] = (struct taken){got[i], ahead};
    tg_feed_hold_ahead(w->feed, roll(4) == 0);
}

/* Some of what was taken, in that order; as links do, runs of one stream at once. */
static void ack(struct watcher *w, uint32_t n)
{
    while (n > 0) {
        struct tg_row *acked[TG_FEED_MAX_ROWS];
        bool ahead = w->queue[w->first].ahead;
        uint32_t k = 0;
        while (k < n && k < TG_FEED_MAX_ROWS && w->queue[w->first].ahead == ahead) {
            acked[k] = w->queue[w->first++].row;
            w->state[acked[k++]->seq] = ACKED;
            w->count--;
            if (w->count == 0)
                break;
        }
        n -= k;
        if (ahead)
            tg_feed_ack_ahead(w->feed, k, acked);
        else
            tg_feed_ack(w->feed, acked[k - 1]->seq, acked[k - 1]->id);
        for (uint32_t i = 0; i < k; i++)
            tg_row_unref(acked[i]);
    }
    if (w->count == 0)
        w->first = 0;
}

static void step_ack(struct watcher *w)
{
    if (w->count > 0)
        ack(w, 1 + roll(w->count));
}

static void step_rewind(struct watcher *w)
{
    tg_feed_rewind(w->feed);
    forget_taken(w);
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
        uint64_t seq = acked_of(w), at = 0;
        while (seq < last_seq[w->device] && id_of[w->device][seq + 1] <= upto) {
            at = id_of[w->device][++seq];
            w->state[seq] = ACKED;
        }
        if (at == 0)
            continue;
        tg_feeds_moved(&fs, w->feed->cursor, seq, at, 1);
    }
    log_begin = upto + 1;
}

static void open_feed(uint32_t i, uint64_t acked_seq, const struct tg_runs *ahead)
{
    struct watcher *w = &watchers[i];
    struct tg_runs holes = {0};
    struct tg_feed_start start = {.device = i / CLOUDS, .cursor = i, .acked_seq = acked_seq, .ahead = ahead};
    w->device = start.device;
    start.acked_id = acked_seq ? id_of[w->device][acked_seq] : 0;
    for (uint64_t k = acked_seq + 1; k <= last_seq[w->device]; k++) {
        assert_int_equal(tg_runs_reserve(&holes, holes.count + 1), TG_OK);
        if (rows[id_of[w->device][k]].dropped)
            tg_runs_add(&holes, k, k, 0);
    }
    start.holes = &holes;
    assert_int_equal(tg_feeds_open(&fs, &start, on_rows, w, &w->feed), TG_OK);
    tg_runs_fini(&holes);
    tg_feed_set_drain(w->feed, w->drain);
}

/* Closed, and opened again from what is stored of its cursor; or as a new one, behind what is stored. */
static void step_reopen(uint32_t i)
{
    struct watcher *w = &watchers[i];
    struct tg_runs ahead = {0};
    uint64_t acked_seq = tg_feed_acked_seq(w->feed);
    forget_taken(w);
    if (w->feed->lane)
        assert_int_equal(tg_runs_copy(&ahead, &w->feed->lane->acked), TG_OK);
    tg_feeds_close(w->feed);
    if (roll(2)) {
        acked_seq = last_seq[w->device];
        while (acked_seq > 0 && id_of[w->device][acked_seq] > committed_id)
            acked_seq--;
        for (uint64_t seq = 1; seq <= last_seq[w->device]; seq++)
            w->state[seq] = seq <= acked_seq ? ACKED : NEW;
        tg_runs_clear(&ahead);
    }
    open_feed(i, acked_seq, &ahead);
    tg_runs_fini(&ahead);
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
            for (uint64_t seq = acked_of(w) + 1; seq <= tg_feed_acked_seq(w->feed); seq++) {
                assert_true(w->state[seq] == ACKED || rows[id_of[w->device][seq]].dropped);
                w->state[seq] = ACKED;
            }
        }
        tg_row_unref(row);
    }
}

/* --- what must always hold
 * ---------------------------------------------------------------------------------- */

static bool in_ring(const struct tg_feed_ring *r, uint64_t seq)
{
    for (uint32_t i = 0; i < r->count; i++) {
        if (tg_ring_at(r, i)->seq == seq)
            return true;
    }
    return false;
}

/* Pending is what may still come: neither acknowledged, nor dropped while the feed had it not. */
static void check_pending(const struct watcher *w)
{
    uint64_t pending = 0;
    for (uint64_t seq = 1; seq <= last_seq[w->device]; seq++) {
        const struct tg_feed_lane *lane = w->feed->lane;
        bool gone = rows[id_of[w->device][seq]].dropped && w->state[seq] == NEW &&
                    !in_ring(&w->feed->ring, seq) && !(lane && in_ring(&lane->ring, seq));
        pending += w->state[seq] != ACKED && !gone;
    }
    assert_int_equal(tg_feed_pending(w->feed), pending);
}

static void check(void)
{
    size_t bytes = 0;
    for (uint32_t i = 0; i < FEEDS; i++) {
        const struct watcher *w = &watchers[i];
        bytes += w->feed->ring.bytes + (w->feed->lane ? w->feed->lane->ring.bytes : 0);
        if (!any_dropped && roll(16) == 0) {
            assert_int_equal(tg_feed_acked_seq(w->feed), acked_of(w));
            assert_int_equal(tg_feed_acked_ahead(w->feed), count_of(w, ACKED) - acked_of(w));
        }
        if (roll(16) == 0)
            check_pending(w);
        if (w->feed->mode == TG_FEED_PAUSED)
            assert_int_equal(tg_feed_ready(w->feed), 0);
        if (w->feed->mode == TG_FEED_LIVE)
            assert_false(tg_lane_has_given(w->feed));
        if (w->feed->lane)
            assert_true(w->feed->lane->given.count + w->feed->lane->acked.count <= TG_RUNS_MAX + 1);
    }
    assert_int_equal(bytes, fs.bytes);
    assert_true(fs.bytes <= LIMIT + 2 * FEEDS * (ROW_MAX + sizeof(struct tg_row)));
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
            any = any || tg_feed_ready(watchers[i].feed) > 0 || watchers[i].count > 0;
            step_take(&watchers[i]);
            step_ack(&watchers[i]);
        }
        idle = any ? 0 : idle + 1;
    }
    for (uint32_t i = 0; i < FEEDS; i++) {
        const struct watcher *w = &watchers[i];
        for (uint64_t seq = 1; seq <= last_seq[w->device]; seq++)
            assert_true(w->state[seq] == ACKED || rows[id_of[w->device][seq]].dropped);
        assert_int_equal(tg_feed_pending(w->feed), 0);
        assert_int_equal(w->feed->mode, TG_FEED_LIVE);
        if (!any_dropped)
            assert_null(w->feed->lane);
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

static void run(uint64_t seed, uint32_t steps, bool trouble, bool any_drain)
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
    for (uint32_t i = 0; i < FEEDS; i++) {
        watchers[i].drain = any_drain ? (enum tg_drain)roll(3) : TG_DRAIN_IN_ORDER;
        open_feed(i, 0, NULL);
    }
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

/* TIDEGATE_MODEL_LIVES=N for more of them; TIDEGATE_MODEL_SEED=N for that one alone. */
static void run_lives(uint64_t first, bool trouble)
{
    const char *lives = getenv("TIDEGATE_MODEL_LIVES"), *one = getenv("TIDEGATE_MODEL_SEED");
    uint64_t n = lives ? strtoull(lives, NULL, 10) : 20;
    for (uint64_t seed = first; seed < first + n; seed++) {
        seed = one ? strtoull(one, NULL, 10) : seed;
        print_message("seed %llu\n", (unsigned long long)seed);
        run(seed, 5000, trouble, seed % 4 != 0);
        if (one)
            break;
    }
}

static void test_random_steps(void **state)
{
    (void)state;
    run_lives(1, false);
}

static void test_random_steps_with_trouble(void **state)
{
    (void)state;
    run_lives(101, true);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_random_steps),
        cmocka_unit_test(test_random_steps_with_trouble),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
