/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * config_budget - what a file can come to cost: every figure is a bound of the code times a number of the
 * file.
 */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "config/config.h"
#include "core/base/plural.h"

#define KIB UINT64_C(1024)
#define MIB (1024 * KIB)

/* Program, libraries, SQLite's page cache: the reach of the bench, without sessions. */
#define PROGRAM_BYTES (10 * MIB)
/* Samples that wait for their commit (8 MiB) and those read ahead for all sessions together (4 MiB):
 * store/store.h. */
#define STORE_BYTES (12 * MIB)
/* One TLS session connected with MQTT, as measured with Debian's wolfSSL (83 KB, TLS 1.2) and rounded up. */
#define SESSION_BYTES (90 * KIB)
/* Of one point: two tables of 16 bytes a value, its name, the filter's and the plugin's state. */
#define POINT_BYTES (1 * KIB)
/* Stack in use and buffers of a source with a thread of its own. */
#define SOURCE_BYTES (256 * KIB)
/* Of an isolated plugin, here: two frames and the output, southbound/plugin_process.h. */
#define PROCESS_TALK_BYTES (2 * MIB + 256 * KIB)
/* Of the HTTP endpoint: answers that wait (8 MiB, http.h), one text of 16 MiB (metrics.h) and the library with what it needs. */
#define HTTP_BYTES (28 * MIB)
/* The log of SQLite: an eighth of the limit, within these bounds; the reserve that makes room on a full disk is twice that
 * (docs/disk-format.md, store/outbox_open.c). */
#define OUTBOX_LOG_MOST  (8 * MIB)
#define OUTBOX_LOG_LEAST (256 * KIB)

struct budget_text {
    char text[32];
};

static struct budget_text size_text(uint64_t bytes)
{
    struct budget_text t;
    if (bytes >= 10 * MIB)
        snprintf(t.text, sizeof t.text, "%" PRIu64 " MiB", (bytes + MIB - 1) / MIB);
    else
        snprintf(t.text, sizeof t.text, "%" PRIu64 " KiB", (bytes + KIB - 1) / KIB);
    return t;
}

static uint64_t log_and_reserve(uint64_t limit)
{
    uint64_t log = limit / 8 < OUTBOX_LOG_MOST ? limit / 8 : OUTBOX_LOG_MOST;
    return 3 * (log > OUTBOX_LOG_LEAST ? log : OUTBOX_LOG_LEAST);
}

static uint64_t routes_to(const struct tg_config_route *routes, uint32_t count,
                          const struct tg_config_cloud *cloud)
{
    uint64_t n = 0;
    for (uint32_t r = 0; r < count; r++)
        n += routes[r].cloud == cloud;
    return n;
}

/* Devices that a source may still find. */
static uint64_t may_come(const struct tg_config_source *s)
{
    uint64_t n = s->discover ? (uint64_t)tg_settings_int(s->discover->settings, "max") : 0;
    for (uint32_t d = 0; d < s->device_count; d++)
        n -= s->devices[d].discovered;
    return n;
}

/* Sessions of one cloud. */
static uint64_t cloud_sessions(const struct tg_config *c, const struct tg_config_cloud *cloud)
{
    uint64_t n = 0;
    for (uint32_t i = 0; i < c->source_count; i++) {
        const struct tg_config_source *s = &c->sources[i];
        for (uint32_t d = 0; d < s->device_count; d++)
            n += routes_to(s->devices[d].routes, s->devices[d].route_count, cloud);
        if (s->discover)
            n += may_come(s) * routes_to(s->discover->routes, s->discover->route_count, cloud);
    }
    return n;
}

/* In flight: the rows of a message (about what its body takes) and a pointer for each of them. */
static uint64_t window_bytes(const struct tg_config_cloud *cloud)
{
    uint64_t messages = (uint64_t)tg_settings_int(cloud->common, "max_in_flight");
    uint64_t body = (uint64_t)tg_settings_int(cloud->batch, "max_bytes");
    uint64_t rows = (uint64_t)tg_settings_int(cloud->batch, "max_samples");
    return messages * (body + rows * sizeof(void *));
}

/* Processes of isolated plugins, each up to its limit. */
static uint64_t isolated_bytes(const struct tg_config *config, void (*say)(void *user, const char *line),
                               void *user)
{
    uint64_t sum = 0;
    char line[400];
    for (uint32_t i = 0; i < config->source_count; i++) {
        const struct tg_config_source *s = &config->sources[i];
        uint64_t limit = (uint64_t)tg_settings_int(s->common, "memory_limit");
        if (strcmp(tg_settings_text(s->common, "isolation"), "process") != 0)
            continue;
        snprintf(line, sizeof line,
                 "memory: process of source %.64s: at most %s (memory_limit) + %s for what it says", s->name,
                 size_text(limit).text, size_text(PROCESS_TALK_BYTES).text);
        say(user, line);
        sum += limit + PROCESS_TALK_BYTES;
    }
    return sum;
}

void tg_config_budget(const struct tg_config *config, void (*say)(void *user, const char *line), void *user)
{
    uint64_t devices = 0, points = 0, found = 0, total = PROGRAM_BYTES + STORE_BYTES, limit;
    char line[400], age[TG_SETTINGS_NUMBER_BYTES];
    for (uint32_t s = 0; s < config->source_count; s++) {
        devices += config->sources[s].device_count;
        found += may_come(&config->sources[s]);
        for (uint32_t d = 0; d < config->sources[s].device_count; d++)
            points += config->sources[s].devices[d].point_count;
    }
    snprintf(line, sizeof line, "%u %s, %u %s, %" PRIu64 " %s, %" PRIu64 " %s", config->cloud_count,
             tg_plural(config->cloud_count, "cloud", "clouds"), config->source_count,
             tg_plural(config->source_count, "source", "sources"), devices,
             tg_plural(devices, "device", "devices"), points, tg_plural(points, "point", "points"));
    say(user, line);
    if (found) {
        snprintf(line, sizeof line,
                 "up to %" PRIu64
                 " more devices by discovery; their sessions are in what follows, %s for each "
                 "of their points comes on top",
                 found, size_text(POINT_BYTES).text);
        say(user, line);
    }
    snprintf(line, sizeof line, "memory: program %s + store %s", size_text(PROGRAM_BYTES).text,
             size_text(STORE_BYTES).text);
    say(user, line);
    for (uint32_t i = 0; i < config->cloud_count; i++) {
        const struct tg_config_cloud *c = &config->clouds[i];
        uint64_t n = cloud_sessions(config, c), window = window_bytes(c), sum = n * (SESSION_BYTES + window);
        snprintf(line, sizeof line, "memory: cloud %.64s: %" PRIu64 " %s × (%s TLS + %s in flight) = %s",
                 c->name, n, tg_plural(n, "session", "sessions"), size_text(SESSION_BYTES).text,
                 size_text(window).text, size_text(sum).text);
        say(user, line);
        total += sum;
    }
    snprintf(line, sizeof line, "memory: %u %s × %s + %" PRIu64 " %s × %s = %s", config->source_count,
             tg_plural(config->source_count, "source", "sources"), size_text(SOURCE_BYTES).text, points,
             tg_plural(points, "point", "points"), size_text(POINT_BYTES).text,
             size_text(config->source_count * SOURCE_BYTES + points * POINT_BYTES).text);
    say(user, line);
    total += config->source_count * SOURCE_BYTES + points * POINT_BYTES;
    total += isolated_bytes(config, say, user);
    if (strcmp(tg_settings_text(config->gateway, "http"), "off") != 0) {
        snprintf(line, sizeof line, "memory: http %s while slow readers keep it busy",
                 size_text(HTTP_BYTES).text);
        say(user, line);
        total += HTTP_BYTES;
    }
    snprintf(line, sizeof line, "memory: at most %s in all", size_text(total).text);
    say(user, line);
    limit = (uint64_t)tg_settings_int(config->outbox, "limit");
    tg_format_option_number(TG_OPTION_DURATION, tg_settings_int(config->outbox, "max_age"), age);
    snprintf(line, sizeof line,
             "disk: outbox %s + log and reserve %s = at most %s in %.120s; samples are kept %s at most",
             size_text(limit).text, size_text(log_and_reserve(limit)).text,
             size_text(limit + log_and_reserve(limit)).text, tg_settings_text(config->gateway, "state_dir"),
             age);
    say(user, line);
}
