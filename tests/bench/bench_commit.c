/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * bench_commit - how long a sample waits for its commit under a steady load: the longest commit, and the longest time
 * from append to "committed" beyond commit_interval. One JSON object.
 *
 *     bench_commit DIR [SECONDS [ROWS_PER_SECOND [keep]]]
 *
 * Rows of 200 bytes, round-robin over 100 devices, acknowledged at once by their cloud. `keep`: a second cloud takes
 * nothing, so that the backlog, the database and its checkpoints grow.
 */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#include "core/base/clock.h"
#include "store/store.h"

#define BODY_BYTES  200
#define DEVICES     100
#define INTERVAL_MS 50
#define TICK_MS     2
#define PENDING     (1u << 20) /* appends whose commit is awaited, at most */

struct cloud {
    struct tg_feed *feed;
};

struct bench {
    struct tg_loop loop;
    struct tg_store *store;
    struct cloud hub[DEVICES], lake[DEVICES];
    uint32_t devices[DEVICES];
    uint64_t rate, appended, refused, first_id, committed_id;
    int64_t start_us, end_us, longest_wait_us;
    int64_t at_us[PENDING]; /* by id */
    uv_timer_t tick;
    bool keep;
};
static struct bench b;

static void die(const char *what, const struct tg_error *err)
{
    fprintf(stderr, "bench_commit: %s: %s\n", what, err ? err->text : "");
    exit(1);
}

static void on_rows(void *user)
{
    const struct cloud *c = user;
    struct tg_row *rows[TG_FEED_MAX_ROWS];
    uint32_t n;
    while ((n = tg_feed_available(c->feed)) > 0) {
        tg_feed_take(c->feed, n, rows);
        tg_feed_ack(c->feed, rows[n - 1]->seq, rows[n - 1]->id);
        for (uint32_t i = 0; i < n; i++)
            tg_row_unref(rows[i]);
    }
}

static void on_committed(void *user, uint64_t id)
{
    int64_t now = tg_clock_mono_us();
    (void)user;
    for (uint64_t i = b.committed_id + 1; i <= id; i++) {
        int64_t wait = now - b.at_us[i % PENDING];
        if (wait > b.longest_wait_us)
            b.longest_wait_us = wait;
    }
    b.committed_id = id;
}

static void on_tick(uv_timer_t *t)
{
    static uint8_t body[BODY_BYTES];
    int64_t now = tg_clock_mono_us();
    uint64_t seq, id, due = (uint64_t)(now - b.start_us) * b.rate / 1000000;
    for (uint64_t i = 0; i < sizeof body; i++)
        body[i] = (uint8_t)(i * 37 + b.appended);
    while (b.appended + b.refused < due && now < b.end_us) {
        if (tg_store_append(b.store, b.devices[b.appended % DEVICES], tg_clock_wall_ms(),
                            tg_bytes(body, sizeof body), &seq, &id) < 0) {
            b.refused++;
            continue;
        }
        b.at_us[id % PENDING] = now;
        b.appended++;
    }
    if (now >= b.end_us) {
        uv_timer_stop(t);
        tg_loop_stop(&b.loop);
    }
}

static void open_store(const char *dir)
{
    struct tg_error err = {0};
    char aside[256];
    struct tg_store_options o = {.outbox = {.dir = dir, .limit_bytes = (int64_t)2 << 30},
                                 .commit_interval_ms = INTERVAL_MS};
    struct tg_store_callbacks cb = {.on_committed = on_committed};
    if (tg_loop_init(&b.loop, &err) < 0 || tg_store_open(&b.loop, &o, &cb, NULL, &b.store, aside, &err) < 0)
        die("open", &err);
    for (uint32_t i = 0; i < DEVICES; i++) {
        char name[32];
        snprintf(name, sizeof name, "meter-%u", i);
        if (tg_store_device(b.store, name, &b.devices[i], &err) < 0 ||
            tg_feed_open(b.store, b.devices[i], "hub", on_rows, &b.hub[i], &b.hub[i].feed, &err) < 0 ||
            (b.keep &&
             tg_feed_open(b.store, b.devices[i], "lake", on_rows, &b.lake[i], &b.lake[i].feed, &err) < 0))
            die("declare", &err);
        tg_feed_resume(b.hub[i].feed);
    }
}

static void on_closed(void *user)
{
    (void)user;
    tg_loop_stop(&b.loop);
}

int main(int argc, char **argv)
{
    double seconds = argc > 2 ? strtod(argv[2], NULL) : 60;
    struct tg_store_stats st;
    if (argc < 2 || seconds <= 0) {
        fprintf(stderr, "usage: bench_commit DIR [SECONDS [ROWS_PER_SECOND [keep]]]\n");
        return 2;
    }
    b.rate = argc > 3 ? strtoull(argv[3], NULL, 10) : 50000;
    b.keep = argc > 4;
    open_store(argv[1]);
    b.start_us = tg_clock_mono_us();
    b.end_us = b.start_us + (int64_t)(seconds * 1e6);
    uv_timer_init(&b.loop.uv, &b.tick);
    uv_timer_start(&b.tick, on_tick, 0, TICK_MS);
    tg_loop_run(&b.loop);
    tg_store_stats(b.store, &st);
    printf("{\"rows\": %" PRIu64 ", \"refused\": %" PRIu64 ", \"commits\": %" PRIu64
           ", \"longest_commit_ms\": %.1f, \"longest_checkpoint_ms\": %.1f, \"longest_wait_ms\": %.1f, "
           "\"file_mb\": %.1f, \"wal_mb\": %.1f}\n",
           b.appended, b.refused, st.commits, (double)st.worst_commit_us / 1e3,
           (double)st.outbox.worst_checkpoint_us / 1e3, (double)b.longest_wait_us / 1e3 - INTERVAL_MS,
           (double)st.outbox.bytes_file / 1e6, (double)st.outbox.bytes_wal / 1e6);
    fflush(stdout);
    for (uint32_t i = 0; i < DEVICES; i++) {
        tg_feed_close(b.hub[i].feed);
        if (b.keep)
            tg_feed_close(b.lake[i].feed);
    }
    uv_close((uv_handle_t *)&b.tick, NULL);
    tg_store_close(b.store, 10000, on_closed, NULL);
    tg_loop_run(&b.loop);
    tg_loop_fini(&b.loop);
    return 0;
}
