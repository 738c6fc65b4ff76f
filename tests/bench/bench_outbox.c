/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * bench_outbox - rows a second through the outbox: stored, acknowledged and deleted again, in the steady
 * state.
 *
 *     bench_outbox [DIR [SECONDS [DEVICES]]]       one line per durability and rows a commit
 *
 * Each transaction stores N new rows of 200 bytes, round-robin over the devices, and acknowledges those of
 * the one before, as a gateway whose link is up does. "written" is what the process gave to the block layer.
 */
#include <dirent.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "core/base/clock.h"
#include "store/outbox.h"

#define BODY_BYTES  200
#define MAX_DEVICES 10000

struct bench {
    struct tg_outbox *ob;
    uint32_t devices, device[MAX_DEVICES], cursor[MAX_DEVICES];
    uint64_t seq[MAX_DEVICES], last[MAX_DEVICES], acked[MAX_DEVICES];
    uint64_t id;
    uint8_t body[BODY_BYTES];
};

static void die(const struct tg_error *err)
{
    fprintf(stderr, "bench_outbox: %s\n", err->text);
    exit(1);
}

static uint64_t bytes_written(void)
{
    char line[128];
    unsigned long long n = 0;
    FILE *f = fopen("/proc/self/io", "r");
    while (f && fgets(line, sizeof line, f)) {
        if (sscanf(line, "write_bytes: %llu", &n) == 1)
            break;
    }
    if (f)
        fclose(f);
    return n;
}

static void declare(struct bench *b, uint32_t devices)
{
    struct tg_error err = {0};
    b->devices = devices;
    for (uint32_t i = 0; i < devices; i++) {
        char name[32];
        snprintf(name, sizeof name, "meter-%u", i);
        if (tg_outbox_device(b->ob, name, &b->device[i], &err) != TG_OK ||
            tg_outbox_cursor(b->ob, b->device[i], "hub", &b->cursor[i], &err) != TG_OK)
            die(&err);
    }
}

/* One transaction: `rows` new ones, and those before acknowledged. */
static void step(struct bench *b, uint32_t rows)
{
    struct tg_error err = {0};
    uint64_t before = b->id;
    for (uint32_t i = 0; i < rows; i++) {
        uint32_t d = (uint32_t)(b->id % b->devices);
        struct tg_outbox_row row = {
            .id = b->id + 1, .seq = b->seq[d] + 1, .device = b->device[d], .time_ms = 1};
        row.body = tg_bytes(b->body, sizeof b->body);
        if (tg_outbox_append(b->ob, &row, &err) != TG_OK)
            die(&err);
        b->id++;
        b->seq[d]++;
    }
    for (uint32_t i = 0; i < b->devices && before > 0; i++) {
        if (b->acked[i] == b->last[i])
            continue;
        if (tg_outbox_set_cursor(b->ob, b->cursor[i], b->last[i], before, &err) != TG_OK)
            die(&err);
        b->acked[i] = b->last[i];
    }
    if (tg_outbox_commit(b->ob, &err) != TG_OK)
        die(&err);
    memcpy(b->last, b->seq, sizeof b->last);
}

static int compare(const void *a, const void *b)
{
    int64_t x = *(const int64_t *)a, y = *(const int64_t *)b;
    return (x > y) - (x < y);
}

static void run(const char *dir, enum tg_durability durability, uint32_t rows, double seconds,
                uint32_t devices)
{
    static struct bench b;
    static int64_t took[1 << 20];
    struct tg_outbox_options o = {.dir = dir, .durability = durability};
    struct tg_outbox_stats stats;
    struct tg_error err = {0};
    uint32_t commits = 0;
    memset(&b, 0, sizeof b);
    if (tg_outbox_open(&o, &b.ob, NULL, &err) != TG_OK)
        die(&err);
    declare(&b, devices);
    uint64_t written = bytes_written();
    int64_t start = tg_clock_mono_us(), now = start;
    while (now - start < (int64_t)(seconds * 1e6) && commits < sizeof took / sizeof took[0]) {
        int64_t before = now;
        step(&b, rows);
        now = tg_clock_mono_us();
        took[commits++] = now - before;
    }
    written = bytes_written() - written;
    qsort(took, commits, sizeof took[0], compare);
    if (tg_outbox_stats(b.ob, &stats, &err) != TG_OK)
        die(&err);
    printf("%-6s %5u rows/commit  %8.0f rows/s  p50 %6.2f ms  p99 %6.2f ms  longest %6.1f ms  %5.0f B "
           "written/row  "
           "(%llu rows in a %.1f MB file)\n",
           durability == TG_DURABILITY_FULL ? "full" : "normal", rows,
           (double)b.id * 1e6 / (double)(now - start), (double)took[commits / 2] / 1e3,
           (double)took[commits * 99 / 100] / 1e3, (double)took[commits - 1] / 1e3,
           (double)written / (double)b.id, (unsigned long long)stats.rows, (double)stats.bytes_file / 1e6);
    fflush(stdout);
    tg_outbox_close(b.ob, true);
}

static void remove_dir(const char *dir)
{
    struct dirent *e;
    DIR *d = opendir(dir);
    while (d && (e = readdir(d)) != NULL)
        (void)unlinkat(dirfd(d), e->d_name, 0);
    if (d)
        closedir(d);
    (void)rmdir(dir);
}

int main(int argc, char **argv)
{
    static const uint32_t sizes[] = {10, 100, 1000};
    const char *parent = argc > 1 ? argv[1] : "/tmp";
    double seconds = argc > 2 ? strtod(argv[2], NULL) : 2;
    uint32_t devices = argc > 3 ? (uint32_t)strtoul(argv[3], NULL, 10) : 100;
    if (devices == 0 || devices > MAX_DEVICES || seconds <= 0) {
        fprintf(stderr, "usage: bench_outbox [DIR [SECONDS [DEVICES]]]\n");
        return 2;
    }
    for (int durability = TG_DURABILITY_FULL; durability <= TG_DURABILITY_NORMAL; durability++) {
        for (size_t i = 0; i < sizeof sizes / sizeof sizes[0]; i++) {
            char dir[4096];
            snprintf(dir, sizeof dir, "%s/bench-outbox-XXXXXX", parent);
            if (!mkdtemp(dir)) {
                perror(dir);
                return 1;
            }
            run(dir, (enum tg_durability)durability, sizes[i], seconds, devices);
            remove_dir(dir);
        }
    }
    return 0;
}
