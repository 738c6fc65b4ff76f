/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * source - the samples that every peer program of the comparison is given: numbered from 1, some 195 bytes of JSON like the
 * gateway's own, at a rate or as fast as they are taken. What the peer has accepted (from then on it has to deliver it) stands
 * in a file that outlives kill -9, for the judge of what was lost.
 *
 *     source_open(&s, argv);                        // PORT CA DIR RATE COUNT; RATE 0: as fast as it goes, COUNT 0: for ever
 *     for (n = source_due(&s); n > 0; n--) take(++s.made);
 *     *s.accepted = s.made;
 *
 * One thread.
 */
#ifndef TG_BENCH_SOURCE_H
#define TG_BENCH_SOURCE_H

#include <fcntl.h>
#include <inttypes.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <time.h>
#include <unistd.h>

enum {
    SOURCE_SAMPLE_MAX = 512, /* bytes of a sample's text */
    SOURCE_WINDOW = 100      /* PUBLISH without PUBACK: everybody's, the gateway's too */
};

struct source {
    double rate;                 /* samples a second; 0: as fast as they are taken */
    uint64_t count, made;        /* the last number, 0 without end; the newest one given */
    volatile uint64_t *accepted; /* in DIR/accepted: the newest one that is the peer's to deliver */
    int64_t from_ns;
    uint64_t from_made;
};

static inline int64_t source_now_ns(void)
{
    struct timespec ts;
    clock_gettime(CLOCK_MONOTONIC, &ts);
    return (int64_t)ts.tv_sec * 1000000000 + ts.tv_nsec;
}

static inline void source_fail(const char *what, const char *why)
{
    fprintf(stderr, "%s: %s\n", what, why);
    exit(1);
}

/* argv: PROGRAM PORT CA DIR RATE COUNT. After a restart it goes on behind what was accepted. */
static inline void source_open(struct source *s, char **argv)
{
    char path[4096];
    void *at;
    int fd;
    snprintf(path, sizeof path, "%s/accepted", argv[3]);
    fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
    if (fd < 0 || ftruncate(fd, sizeof *s->accepted) != 0)
        source_fail(path, "cannot be made");
    at = mmap(NULL, sizeof *s->accepted, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    if (at == MAP_FAILED)
        source_fail(path, "cannot be mapped");
    close(fd);
    s->accepted = at;
    s->rate = atof(argv[4]);
    s->count = strtoull(argv[5], NULL, 10);
    s->made = s->from_made = *s->accepted;
    s->from_ns = source_now_ns();
}

/* How many samples are due now, at most 1000. */
static inline uint64_t source_due(const struct source *s)
{
    uint64_t due = 1000;
    if (s->rate > 0) {
        double owed = (double)(source_now_ns() - s->from_ns) * s->rate / 1e9;
        due = s->from_made + (uint64_t)owed + 1 - s->made;
    }
    if (s->count && s->count - s->made < due)
        due = s->count - s->made;
    return due < 1000 ? due : 1000;
}

/* Until the next sample is due, at most max_ms. */
static inline void source_pause(const struct source *s, int64_t max_ms)
{
    int64_t ns = max_ms * 1000000;
    if (s->rate > 0) {
        int64_t next =
            s->from_ns + (int64_t)((double)(s->made - s->from_made) * 1e9 / s->rate) - source_now_ns();
        ns = next < ns ? next : ns;
    }
    if (ns > 0)
        nanosleep(&(struct timespec){.tv_sec = ns / 1000000000, .tv_nsec = ns % 1000000000}, NULL);
}

/* Writes sample `number` into out[SOURCE_SAMPLE_MAX], returns its length. */
static inline int source_text(char *out, uint64_t number)
{
    struct timespec ts;
    struct tm utc;
    char day[32];
    unsigned a = (unsigned)(number * 2654435761u);
    clock_gettime(CLOCK_REALTIME, &ts);
    gmtime_r(&ts.tv_sec, &utc);
    strftime(day, sizeof day, "%Y-%m-%dT%H:%M:%S", &utc);
    return snprintf(out, SOURCE_SAMPLE_MAX,
                    "{\"ts\":\"%s.%03ldZ\",\"seq\":%" PRIu64
                    ",\"values\":{\"point0\":%u.%03u,\"point1\":%u.%03u,"
                    "\"point2\":%u.%03u,\"point3\":%u.%03u,\"point4\":%u.%03u,\"point5\":%u.%03u,\"point6\":%"
                    "u.%03u,\"point7\":%u.%03u}}",
                    day, ts.tv_nsec / 1000000, number, 100 + a % 899, a % 997, 100 + a % 887, a % 991,
                    100 + a % 883, a % 983, 100 + a % 881, a % 977, 100 + a % 877, a % 971, 100 + a % 863,
                    a % 967, 100 + a % 859, a % 953, 100 + a % 857, a % 947);
}

#endif
