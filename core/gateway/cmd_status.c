/* SPDX-License-Identifier: GPL-2.0-or-later */
#include <jansson.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "core/base/plural.h"
#include "core/gateway/command.h"
#include "core/gateway/control_client.h"
#include "southbound/plugin_confine.h"

#define ANSWER_MS 35000 /* a command may take 30 s */
#define WATCH_MS  1000

static const char *const no_more[] = {NULL};

static int open_client(const struct tg_args *a, struct tg_control_client *c)
{
    char path[256];
    if (tg_command_socket(a, path, sizeof path) < 0)
        return TG_EXIT_USAGE;
    return tg_control_connect(c, path) < 0 ? TG_EXIT_UNREACHABLE : TG_EXIT_OK;
}

static int lost(const char *verb)
{
    fprintf(stderr, "tidegate %s: the gateway closed the connection\n", verb);
    return TG_EXIT_UNREACHABLE;
}

static long long number(const json_t *o, const char *key)
{
    return (long long)json_integer_value(json_object_get(o, key));
}

static const char *many(const json_t *o, const char *key, const char *one, const char *several)
{
    return tg_plural((uint64_t)number(o, key), one, several);
}

static const char *text(const json_t *o, const char *key)
{
    const char *s = json_string_value(json_object_get(o, key));
    return s ? s : "";
}

static const char *colour(const char *state, bool on)
{
    if (!on)
        return "";
    if (strcmp(state, "ok") == 0 || strcmp(state, "online") == 0)
        return "\033[32m";
    if (strcmp(state, "down") == 0 || strcmp(state, "waiting") == 0 || strcmp(state, "degraded") == 0 ||
        strcmp(state, "full") == 0)
        return "\033[31m";
    return "\033[33m";
}

static void print_duration(char *out, size_t size, long long ms)
{
    long long s = ms / 1000;
    if (s < 120)
        snprintf(out, size, "%llds", s);
    else if (s < 7200)
        snprintf(out, size, "%lldm", s / 60);
    else if (s < 172800)
        snprintf(out, size, "%lldh", s / 3600);
    else
        snprintf(out, size, "%lldd", s / 86400);
}

#define TELL_DAYS      30
#define TELL_NOTICE_MS 600000

/* What a session has besides its numbers: a certificate that ends, the connection that it shares, what went wrong. */
static void print_notes(const json_t *c, bool colours)
{
    const char *off = colours ? "\033[0m" : "", *error = text(c, "last_error"), *waits = text(c, "waits_for");
    long long days = number(c, "certificate_days_left");
    if (json_object_get(c, "certificate_days_left") && days < 0) /* -1: on the first day after */
        printf("  %scertificate ended %lld %s ago%s", colour("down", colours), -days - 1,
               tg_plural((uint64_t)(-days - 1), "day", "days"), off);
    else if (json_object_get(c, "certificate_days_left") && days < TELL_DAYS)
        printf("  %scertificate ends in %lld %s%s", colour("soon", colours), days,
               tg_plural((uint64_t)days, "day", "days"), off);
    if (json_is_true(json_object_get(c, "shared")))
        printf("  (shared connection)");
    if (error[0])
        printf("  %s", error);
    else if (text(c, "notice")[0] && number(c, "notice_ago_ms") < TELL_NOTICE_MS)
        printf("  left out %llds ago: %s", number(c, "notice_ago_ms") / 1000, text(c, "notice"));
    if (strcmp(waits, "clock") == 0)
        printf(" (when the clock is set)");
    else if (strcmp(waits, "way") == 0)
        printf(" (when a way leads there)");
    else if (json_object_get(c, "retry_in_ms"))
        printf(" (again in %.1f s%s)", (double)number(c, "retry_in_ms") / 1000.0,
               strcmp(waits, "change") == 0 ? ", or when its credential or the configuration changes" : "");
}

static void print_device(const json_t *d, bool colours)
{
    const char *off = colours ? "\033[0m" : "", *state = text(d, "state"), *note = text(d, "text");
    json_t *clouds = json_object_get(d, "clouds"), *c;
    char last[24] = "-";
    size_t i;
    if (json_object_get(d, "last_sample_ago_ms"))
        print_duration(last, sizeof last, number(d, "last_sample_ago_ms"));
    printf("%-20s %-14s %s%-8s%s %9lld %6s", text(d, "id"), text(d, "source"), colour(state, colours), state,
           off, number(d, "accepted"), last);
    json_array_foreach(clouds, i, c)
    {
        const char *session = text(c, "state");
        if (i > 0)
            printf("\n%-20s %-14s %-8s %9s %6s", "", "", "", "", "");
        printf("  %-10s %s%-12s%s %8lld %6lld", text(c, "name"), colour(session, colours), session, off,
               number(c, "pending"), number(c, "in_flight"));
        print_notes(c, colours);
    }
    printf("\n");
    if (note[0])
        printf("%-20s   %s\n", "", note);
}

static void print_discovery(const json_t *d)
{
    if (!d)
        return;
    printf("       discovered %lld of %lld", number(d, "used"), number(d, "max"));
    if (number(d, "denied") + number(d, "without_room") > 0)
        printf("; heard and not taken: %lld not allowed, %lld without room (tidegate device list)",
               number(d, "denied"), number(d, "without_room"));
    printf("\n");
}

/* Shown when it is not as it should be. */
static void print_network(const json_t *n, bool colours)
{
    const char *off = colours ? "\033[0m" : "", *state = text(n, "state");
    long long out = number(n, "clouds_out"), clouds = number(n, "clouds");
    char since[24];
    if (strcmp(state, "down") == 0) {
        print_duration(since, sizeof since, number(n, "since_ms"));
        printf("network %sdown%s since %s: %s\n", colour("down", colours), off, since, text(n, "text"));
    }
    if (out > 0)
        printf("clouds %s%lld of %lld cannot be reached%s\n", colour("down", colours), out, clouds, off);
}

/* What devices say about the place: shown when somebody says something. */
static void print_site(const json_t *g, bool colours)
{
    const json_t *uplink = json_object_get(g, "uplink"), *clock = json_object_get(g, "clock");
    const char *off = colours ? "\033[0m" : "", *state = text(uplink, "state"),
               *source = text(clock, "source");
    char since[24];
    if (uplink) {
        print_duration(since, sizeof since, number(uplink, "since_ms"));
        printf("uplink %s%s%s since %s, says %s: %s\n",
               colour(strcmp(state, "up") == 0 ? "ok" : state, colours), state, off, since,
               text(uplink, "source"), text(uplink, "text"));
    }
    print_network(json_object_get(g, "network"), colours);
    if (strcmp(source, "offered") == 0)
        printf("clock from %s, right within %.1f s: the system's has no valid time\n",
               text(clock, "offered_by"), (double)number(clock, "uncertainty_ms") / 1000.0);
    else if (strcmp(source, "none") == 0)
        printf("clock %swithout a valid time%s%s%s\n", colour("down", colours), off,
               text(clock, "text")[0] ? ": " : "", text(clock, "text"));
    else if (strcmp(source, "held") == 0)
        printf("clock %sfallen back%s before 2026: the time goes on from what it was\n",
               colour("down", colours), off);
    if (json_object_get(clock, "last_jump_ms") && number(clock, "last_jump_ago_ms") < TELL_NOTICE_MS)
        printf("clock set by %+.1f s, %lld s ago\n", (double)number(clock, "last_jump_ms") / 1000.0,
               number(clock, "last_jump_ago_ms") / 1000);
}

static void print_process(const json_t *p)
{
    const json_t *c = json_object_get(p, "confined");
    uint32_t confined = (json_is_true(json_object_get(c, "capabilities")) ? TG_CONFINED_CAPABILITIES : 0) |
                        (json_is_true(json_object_get(c, "system_calls")) ? TG_CONFINED_SECCOMP : 0) |
                        (json_is_true(json_object_get(c, "files")) ? TG_CONFINED_LANDLOCK : 0);
    char words[TG_CONFINED_TEXT_BYTES];
    if (!p)
        return;
    if (number(p, "pid"))
        printf("       process %lld, %.1f MB resident, %s\n", number(p, "pid"),
               (double)number(p, "resident_bytes") / 1e6,
               tg_confined_text(words, confined, (uint32_t)number(c, "landlock_abi")));
    if (number(p, "restarts"))
        printf("       started again %lld %s, last because %s\n", number(p, "restarts"),
               many(p, "restarts", "time", "times"), text(p, "last_end"));
}

/* What a cloud costs: nothing before it has carried something. */
static void print_wire(const json_t *c)
{
    const json_t *w = json_object_get(c, "wire"), *hour = json_object_get(w, "last_hour"),
                 *budget = json_object_get(w, "budget");
    if (number(w, "ip_bytes") == 0)
        return;
    printf("cloud %s %.2f MB on the wire, %.0f B a sample, %.1f samples a message, %lld + %lld handshakes "
           "(full + resumed); "
           "%.1f MB a month at the last hour's rate, this month %.1f MB so far\n",
           text(c, "name"), (double)number(w, "ip_bytes") / 1e6,
           json_number_value(json_object_get(w, "ip_bytes_per_sample")),
           json_number_value(json_object_get(w, "samples_per_message")),
           number(json_object_get(w, "handshakes"), "full"),
           number(json_object_get(w, "handshakes"), "resumed"),
           (double)number(hour, "projected_month_bytes") / 1e6, (double)number(w, "month_bytes") / 1e6);
    if (text(budget, "text")[0])
        printf("      %s\n", text(budget, "text"));
}

static void print_outbox(const json_t *o, bool colours)
{
    const json_t *dropped = json_object_get(o, "dropped");
    const char *off = colours ? "\033[0m" : "", *state = text(o, "state");
    printf("outbox %s%s%s, %lld %s, %.1f MB on disk, %lld rejected, dropped: %lld limit, %lld age, %lld "
           "disk full, %lld quota, %lld removed\n",
           colour(state, colours), state, off, number(o, "rows"), many(o, "rows", "sample", "samples"),
           (double)number(o, "file_bytes") / 1e6, number(o, "rejected"), number(dropped, "limit"),
           number(dropped, "age"), number(dropped, "disk_full"), number(dropped, "quota"),
           number(dropped, "removed"));
    printf("       %.1f MB written since the start, %.0f B a sample",
           (double)number(o, "written_bytes") / 1e6,
           json_number_value(json_object_get(o, "written_bytes_per_sample")));
    if (number(o, "lazy_window_ms"))
        printf("; lazy, %.1f s in memory: %lld %s never written, %lld that a crash would lose now",
               (double)number(o, "lazy_window_ms") / 1e3, number(o, "spared"),
               many(o, "spared", "sample", "samples"), number(o, "at_risk"));
    printf("\n");
    if (text(o, "text")[0])
        printf("       %s\n", text(o, "text"));
}

static void print_status(const json_t *s, bool colours)
{
    const json_t *g = json_object_get(s, "gateway"), *o = json_object_get(s, "outbox"),
                 *http = json_object_get(g, "http");
    const char *off = colours ? "\033[0m" : "";
    json_t *item;
    char up[24];
    size_t i;
    print_duration(up, sizeof up, number(g, "uptime_ms"));
    printf("gateway %s, tidegate %s, up %s, %.1f MB resident\n", text(g, "name"), text(g, "version"), up,
           (double)number(g, "resident_bytes") / 1e6);
    if (text(http, "text")[0])
        printf("http %s %snot listening%s: %s\n", text(http, "address"), colour("down", colours), off,
               text(http, "text"));
    print_site(g, colours);
    print_outbox(o, colours);
    json_array_foreach(json_object_get(s, "clouds"), i, item) print_wire(item);
    json_array_foreach(json_object_get(s, "sources"), i, item)
    {
        bool open = json_is_true(json_object_get(item, "open"));
        printf("source %s (%s) %s%s%s, %lld %s, %lld refused%s%s\n", text(item, "name"), text(item, "plugin"),
               colour(open ? "ok" : "down", colours), open ? "open" : "not open", off,
               number(item, "emitted"), many(item, "emitted", "sample", "samples"), number(item, "rejected"),
               text(item, "text")[0] ? ": " : "", text(item, "text"));
        print_process(json_object_get(item, "process"));
        print_discovery(json_object_get(item, "discovery"));
    }
    printf("\n%-20s %-14s %-8s %9s %6s  %-10s %-12s %8s %6s\n", "DEVICE", "SOURCE", "STATE", "ACCEPTED",
           "LAST", "CLOUD", "SESSION", "PENDING", "FLIGHT");
    json_array_foreach(json_object_get(s, "devices"), i, item) print_device(item, colours);
}

int tg_cmd_status(int argc, char **argv)
{
    struct tg_control_client c;
    struct tg_args a;
    bool colours = isatty(STDOUT_FILENO);
    int rc = tg_args_parse(argc, argv, no_more, &a);
    if (rc)
        return rc;
    if (a.help) {
        printf("usage: tidegate status [--watch] [--json] [-c FILE | --socket PATH]\n\n"
               "One line a device: its state, samples accepted, age of the newest, and per cloud the "
               "session, samples waiting and\n"
               "messages in flight. --watch repeats every second.\n");
        return TG_EXIT_OK;
    }
    rc = open_client(&a, &c);
    while (rc == TG_EXIT_OK) {
        char *line;
        json_t *s;
        if (tg_control_send(&c, "{\"verb\":\"status\"}") < 0 || tg_control_line(&c, ANSWER_MS, &line) < 0) {
            rc = lost("status");
            break;
        }
        s = a.json ? NULL : json_loads(line, 0, NULL);
        if (a.json)
            printf("%s\n", line);
        if (s && a.watch && colours)
            printf("\033[H\033[2J");
        if (s)
            print_status(s, colours);
        json_decref(s);
        fflush(stdout);
        if (!a.watch)
            break;
        (void)poll(NULL, 0, WATCH_MS); /* the pace of the display */
    }
    if (rc != TG_EXIT_USAGE && rc != TG_EXIT_UNREACHABLE)
        tg_control_disconnect(&c);
    return rc;
}

/* 15 digits are what every double has for sure: 17 would show 230.1 as 230.09999999999999. --json passes on what was said. */
#define FOR_PEOPLE (JSON_COMPACT | JSON_REAL_PRECISION(15))

static void print_reading(const json_t *o)
{
    const json_t *sample = json_object_get(o, "sample");
    char *values = json_dumps(json_object_get(sample, "values"), FOR_PEOPLE);
    char *quality = json_dumps(json_object_get(sample, "quality"), JSON_COMPACT);
    printf("%s  %-20s #%lld  %s%s%s\n", text(sample, "ts"), text(o, "device"), number(sample, "seq"),
           values ? values : "", quality ? "  quality " : "", quality ? quality : "");
    free(values);
    free(quality);
}

int tg_cmd_tail(int argc, char **argv)
{
    struct tg_control_client c;
    struct tg_args a;
    char *request, *line;
    json_t *q;
    int rc = tg_args_parse(argc, argv, no_more, &a);
    if (rc)
        return rc;
    if (a.help || a.count > 1) {
        fprintf(a.help ? stdout : stderr,
                "usage: tidegate tail [DEVICE] [--json] [-c FILE | --socket PATH]\n\n"
                "Live readings of one device or all, as they are accepted, until interrupted.\n");
        return a.help ? TG_EXIT_OK : TG_EXIT_USAGE;
    }
    rc = open_client(&a, &c);
    if (rc)
        return rc;
    q = json_pack("{s:s}", "verb", "tail");
    if (a.count)
        json_object_set_new(q, "device", json_string(a.args[0]));
    request = json_dumps(q, JSON_COMPACT);
    json_decref(q);
    rc = !request || tg_control_send(&c, request) < 0 ? lost("tail") : TG_EXIT_OK;
    free(request);
    while (rc == TG_EXIT_OK) {
        json_t *o;
        if (tg_control_line(&c, -1, &line) < 0) {
            rc = lost("tail");
            break;
        }
        o = json_loads(line, 0, NULL);
        if (text(o, "error")[0]) {
            fprintf(stderr, "tidegate tail: %s\n", text(o, "error"));
            rc = TG_EXIT_NO;
        } else if (a.json) {
            printf("%s\n", line);
        } else if (json_object_get(o, "lost")) {
            printf("… %lld %s faster than this terminal\n", number(o, "lost"),
                   many(o, "lost", "reading was", "readings were"));
        } else {
            print_reading(o);
        }
        fflush(stdout);
        json_decref(o);
    }
    tg_control_disconnect(&c);
    return rc;
}

int tg_cmd_send(int argc, char **argv)
{
    struct tg_control_client c;
    struct tg_args a;
    char *request = NULL, *line;
    json_t *q, *arguments = NULL, *answer;
    json_error_t e;
    int rc = tg_args_parse(argc, argv, no_more, &a);
    if (rc)
        return rc;
    if (a.help || a.count < 2 || a.count > 3) {
        fprintf(a.help ? stdout : stderr,
                "usage: tidegate send DEVICE COMMAND [JSON] [--json] [-c FILE | --socket PATH]\n\n"
                "The same path as a command from the cloud; `set` writes points: tidegate send meter-1 set "
                "'{\"relay\":true}'.\n"
                "Exit 0 when the device took it, 1 when it did not (the reason is printed).\n");
        return a.help ? TG_EXIT_OK : TG_EXIT_USAGE;
    }
    if (a.count == 3) {
        arguments = json_loads(a.args[2], JSON_REJECT_DUPLICATES, &e);
        if (!json_is_object(arguments)) {
            fprintf(stderr, "tidegate send: \"%s\" is not a JSON object%s%s\n", a.args[2],
                    arguments ? "" : ": ", arguments ? "" : e.text);
            json_decref(arguments);
            return TG_EXIT_USAGE;
        }
    }
    rc = open_client(&a, &c);
    if (rc) {
        json_decref(arguments);
        return rc;
    }
    q = json_pack("{s:s,s:s,s:s,s:o}", "verb", "send", "device", a.args[0], "command", a.args[1], "arguments",
                  arguments ? arguments : json_object());
    request = q ? json_dumps(q, JSON_COMPACT) : NULL;
    json_decref(q);
    if (!request || tg_control_send(&c, request) < 0 || tg_control_line(&c, ANSWER_MS, &line) < 0) {
        rc = lost("send");
    } else {
        answer = json_loads(line, 0, NULL);
        rc = strcmp(text(answer, "status"), "ok") == 0 ? TG_EXIT_OK : TG_EXIT_NO;
        if (a.json) {
            printf("%s\n", line);
        } else {
            char *result = json_dumps(json_object_get(answer, "result"), FOR_PEOPLE | JSON_ENCODE_ANY);
            printf("%s %s\n", text(answer, "status")[0] ? text(answer, "status") : text(answer, "error"),
                   result ? result : "");
            free(result);
        }
        json_decref(answer);
    }
    free(request);
    tg_control_disconnect(&c);
    return rc;
}
