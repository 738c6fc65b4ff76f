/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * bench_store - figures of the store on this machine, printed one a line: the live path, the drain of a
 * backlog, and what memory a backlog costs.
 *
 *     bench_store [DIR [ROWS]]
 */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "core/base/clock.h"
#include "store/store.h"

#define BODY_BYTES 100
#define DEVICES    100
#define BURST      250

struct bench {
    struct tg_loop loop;
    struct tg_store *store;
    struct tg_feed *feeds[DEVICES];
    uint32_t devices[DEVICES];
    uint64_t wanted, appended, taken, last_id;
    uv_idle_t idle;
    uint64_t most_waiting; /* rows that may wait for their commit */
    bool eager;            /* take what comes */
};
static struct bench b;
struct link {
    uint32_t i;
};
static struct link links[DEVICES];

static void die(const char *what, const struct tg_error *err)
{
    fprintf(stderr, "bench_store: %s: %s\n", what, err ? err->text : "");
    exit(1);
}

static long rss_kib(void)
{
    long pages = 0, ignored;
    FILE *f = fopen("/proc/self/statm", "r");
    if (!f || fscanf(f, "%ld %ld", &ignored, &pages) != 2)
        die("/proc/self/statm cannot be read", NULL);
    fclose(f);
    return pages * (sysconf(_SC_PAGESIZE) / 1024);
}

static void take_all(struct tg_feed *f)
{
    struct tg_row *rows[TG_FEED_MAX_ROWS];
    uint32_t n;
    while ((n = tg_feed_available(f)) > 0) {
        tg_feed_take(f, n, rows);
        tg_feed_ack(f, rows[n - 1]->seq, rows[n - 1]->id);
        for (uint32_t i = 0; i < n; i++)
            tg_row_unref(rows[i]);
        b.taken += n;
    }
    if (b.taken >= b.wanted)
        tg_loop_stop(&b.loop);
}

static void on_rows(void *user)
{
    struct link *l = user;
    if (b.eager)
        take_all(b.feeds[l->i]);
}

static void on_committed(void *user, uint64_t id)
{
    (void)user;
    if (!b.eager && b.appended >= b.wanted && id >= b.last_id)
        tg_loop_stop(&b.loop);
}

/* Appends while there is room: as fast as the store takes it. */
static void on_idle(uv_idle_t *idle)
{
    static uint8_t body[BODY_BYTES];
    struct tg_store_stats st;
    uint64_t seq;
    tg_store_stats(b.store, &st);
    if (st.uncommitted_rows >= b.most_waiting) {
        usleep(50); /* as a loop that waits in epoll would: the thread has the other core */
        return;
    }
    for (int i = 0; i < BURST && b.appended < b.wanted; i++) {
        body[0] = (uint8_t)i;
        if (tg_store_append(b.store, b.devices[b.appended % DEVICES], tg_clock_wall_ms(),
                            tg_bytes(body, sizeof body), &seq, &b.last_id) < 0)
            return;
        b.appended++;
    }
    if (b.appended >= b.wanted) {
        uv_idle_stop(idle);
        tg_store_flush(b.store);
    }
}

static void open_store(const char *dir)
{
    struct tg_error err = {0};
    char aside[256];
    struct tg_store_options o = {.outbox = {.dir = dir}, .commit_interval_ms = 50, .commit_max_rows = 1000};
    struct tg_store_callbacks cb = {.on_committed = on_committed};
    if (tg_loop_init(&b.loop, &err) < 0 || tg_store_open(&b.loop, &o, &cb, NULL, &b.store, aside, &err) < 0)
        die("open", &err);
    for (uint32_t i = 0; i < DEVICES; i++) {
        char name[32];
        links[i].i = i;
        snprintf(name, sizeof name, "meter-%u", i);
        if (tg_store_device(b.store, name, &b.devices[i], &err) < 0 ||
            tg_feed_open(b.store, b.devices[i], "hub", on_rows, &links[i], &b.feeds[i], &err) < 0)
            die("declare", &err);
    }
    uv_idle_init(&b.loop.uv, &b.idle);
}

static void on_closed(void *user)
{
    (void)user;
    tg_loop_stop(&b.loop);
}

static void close_store(void)
{
    for (uint32_t i = 0; i < DEVICES; i++)
        tg_feed_close(b.feeds[i]);
    uv_close((uv_handle_t *)&b.idle, NULL);
    tg_store_close(b.store, 10000, on_closed, NULL);
    tg_loop_run(&b.loop);
    tg_loop_fini(&b.loop);
}

static double run(uint64_t rows)
{
    int64_t start = tg_clock_mono_us();
    b.wanted = rows;
    tg_loop_run(&b.loop);
    return (double)rows / ((double)(tg_clock_mono_us() - start) / 1e6);
}

/* append, commit, feed, take, ack: as many rows at once under way as `waiting` says. */
static void live_path(const char *dir, uint64_t rows, uint64_t waiting)
{
    struct tg_store_stats st;
    open_store(dir);
    b.eager = true;
    b.appended = b.taken = 0;
    b.most_waiting = waiting;
    for (uint32_t i = 0; i < DEVICES; i++)
        tg_feed_resume(b.feeds[i]);
    uv_idle_start(&b.idle, on_idle);
    double live = run(rows);
    tg_store_stats(b.store, &st);
    printf("live path, durability full: %.0f rows/s (%.0f rows a commit, worst commit %.1f ms, %" PRIu64
           " pages read)\n",
           live, (double)rows / (double)st.commits, (double)st.worst_commit_us / 1000, st.pages_read);
    close_store();
}

int main(int argc, char **argv)
{
    char template[] = "/tmp/bench_store.XXXXXX";
    const char *dir = argc > 1 ? argv[1] : mkdtemp(template);
    uint64_t rows = argc > 2 ? strtoull(argv[2], NULL, 10) : 1000000;
    struct tg_store_stats st;
    long rss_before, rss_backlog, rss_drained;

    live_path(dir, rows, 2000);
    live_path(dir, rows, 16000);

    open_store(dir);
    rss_before = rss_kib();
    b.eager = false;
    b.appended = b.taken = 0;
    uv_idle_start(&b.idle, on_idle);
    double stored = run(rows);
    rss_backlog = rss_kib();
    tg_store_stats(b.store, &st);
    printf("store %" PRIu64 " rows, nobody takes: %.0f rows/s, pending %" PRIu64 ", resident +%ld KiB\n",
           rows, stored, tg_feed_pending(b.feeds[0]) * DEVICES, rss_backlog - rss_before);
    close_store();

    open_store(dir);
    rss_before = rss_kib();
    b.eager = true;
    b.taken = 0;
    for (uint32_t i = 0; i < DEVICES; i++)
        tg_feed_resume(b.feeds[i]);
    double drained = run(rows);
    rss_drained = rss_kib();
    tg_store_stats(b.store, &st);
    printf("drain %" PRIu64 " rows: %.0f rows/s, %" PRIu64 " pages read, resident +%ld KiB\n", rows, drained,
           st.pages_read, rss_drained - rss_before);
    close_store();
    if (argc <= 1) {
        char command[128];
        snprintf(command, sizeof command, "rm -rf '%s'", dir);
        if (system(command) != 0)
            return 1;
    }
    return 0;
}
