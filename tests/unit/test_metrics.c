/* SPDX-License-Identifier: GPL-2.0-or-later */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include "core/base/clock.h"
#include "core/gateway/metrics.h"

#define MANUAL_BYTES 65536

static struct tg_metrics_cloud clouds[2] = {
    {.name = "hub", .sessions = 2, .online = 1, .acked = 7, .latency_sum_ms = 1234, .latency_p50_ms = 20},
    {.name = "lake"}};
static struct tg_metrics_source sources[1] = {
    {.name = "yard", .plugin = "modbus", .open = true, .emitted = 9}};
static struct tg_metrics_device devices[2] = {
    {.id = "quote\"back\\line\nend", .source = "yard", .state = "ok", .ok = true, .last_sample_ago_ms = 1500},
    {.id = "quiet", .source = "yard", .state = "unknown", .last_sample_ago_ms = TG_METRICS_NONE}};
static struct tg_metrics_session sessions[3];

static struct tg_metrics snapshot(void)
{
    sessions[0] = (struct tg_metrics_session){.device = "meter",
                                              .cloud = "hub",
                                              .state = "online",
                                              .online = true,
                                              .connects = 3,
                                              .certificate_days_left = -2,
                                              .certificate_ends_s = 1795000000,
                                              .token_ends_s = TG_METRICS_NONE};
    sessions[1] = (struct tg_metrics_session){.device = "child",
                                              .cloud = "lake",
                                              .is_shared = true,
                                              .state = "attaching",
                                              .pending = UINT64_MAX,
                                              .connects = 5};
    sessions[2] = (struct tg_metrics_session){.cloud = "lake",
                                              .connects = 5,
                                              .certificate_days_left = TG_METRICS_NONE,
                                              .certificate_ends_s = TG_METRICS_NONE,
                                              .token_ends_s = 1795000001};
    return (struct tg_metrics){.gateway = {.version = "0.1.0",
                                           .clock_state = "system",
                                           .uptime_ms = 61005,
                                           .build_us = 42,
                                           .descriptors = TG_METRICS_NONE},
                               .outbox = {.state = "degraded", .dropped_age = 4, .oldest_age_ms = -1250},
                               .clouds = clouds,
                               .sources = sources,
                               .devices = devices,
                               .sessions = sessions,
                               .cloud_count = 2,
                               .source_count = 1,
                               .device_count = 2,
                               .session_count = 3};
}

static char *text_of(struct tg_metrics *m, size_t room)
{
    char *text = malloc(room + 1);
    struct tg_writer w = tg_writer_init(text, room);
    assert_non_null(text);
    assert_int_equal(tg_metrics_write(m, &w), TG_OK);
    text[w.len] = '\0';
    return text;
}

static void has_line(const char *text, const char *line)
{
    size_t n = strlen(line);
    for (const char *at = strstr(text, line); at; at = strstr(at + 1, line))
        if ((at == text || at[-1] == '\n') && at[n] == '\n')
            return;
    fail_msg("no line %s", line);
}

static void every_kind_of_line(void **state)
{
    struct tg_metrics m = snapshot();
    char *text = text_of(&m, tg_metrics_bound(&m));
    (void)state;
    has_line(text, "# TYPE tidegate_cloud_ack_latency_seconds summary");
    has_line(text, "tidegate_build_info{version=\"0.1.0\"} 1");
    has_line(text, "tidegate_uptime_seconds 61.005");
    has_line(text, "tidegate_metrics_build_seconds 0.000042");
    has_line(text, "tidegate_metrics_complete 1");
    has_line(text, "tidegate_outbox_state{state=\"degraded\"} 1");
    has_line(text, "tidegate_outbox_oldest_age_seconds -1.250"); /* the clock was set back */
    has_line(text, "tidegate_outbox_dropped_samples_total{reason=\"age\"} 4");
    has_line(text, "tidegate_cloud_ack_latency_seconds{cloud=\"hub\",quantile=\"0.5\"} 0.020");
    has_line(text, "tidegate_cloud_ack_latency_seconds_sum{cloud=\"hub\"} 1.234");
    has_line(text, "tidegate_cloud_ack_latency_seconds_count{cloud=\"hub\"} 7");
    has_line(text, "tidegate_source_open{source=\"yard\",plugin=\"modbus\"} 1");
    has_line(text, "tidegate_session_state{device=\"meter\",cloud=\"hub\",state=\"online\"} 1");
    has_line(text, "tidegate_session_certificate_days_left{device=\"meter\",cloud=\"hub\"} -2");
    has_line(text, "tidegate_session_pending_samples{device=\"child\",cloud=\"lake\"} 18446744073709551615");
    free(text);
}

static void labels_are_escaped(void **state)
{
    struct tg_metrics m = snapshot();
    char *text = text_of(&m, tg_metrics_bound(&m));
    (void)state;
    has_line(text, "tidegate_device_ok{device=\"quote\\\"back\\\\line\\nend\",source=\"yard\"} 1");
    has_line(text, "tidegate_device_last_sample_age_seconds{device=\"quote\\\"back\\\\line\\nend\",source="
                   "\"yard\"} 1.500");
    free(text);
}

static void what_is_not_there_has_no_line(void **state)
{
    struct tg_metrics m = snapshot();
    char *text = text_of(&m, tg_metrics_bound(&m));
    (void)state;
    assert_null(strstr(text, "last_sample_age_seconds{device=\"quiet\""));
    assert_null(strstr(text, "token_expiry_timestamp_seconds{device=\"meter\""));
    assert_null(strstr(text, "\ntidegate_open_descriptors "));
    free(text);
}

static void a_shared_connection_counts_once(void **state)
{
    struct tg_metrics m = snapshot();
    char *text = text_of(&m, tg_metrics_bound(&m));
    (void)state;
    has_line(text, "tidegate_session_connects_total{device=\"meter\",cloud=\"hub\"} 3");
    has_line(text, "tidegate_session_connects_total{cloud=\"lake\"} 5");
    has_line(text, "tidegate_session_token_expiry_timestamp_seconds{cloud=\"lake\"} 1795000001");
    assert_null(strstr(text, "connects_total{device=\"child\""));
    assert_null(strstr(text, "tidegate_session_pending_samples{cloud"));
    free(text);
}

/* With any room: whole, or without devices and sessions and saying so, or an error; never a part of a family. */
static void what_does_not_fit_is_left_out_whole(void **state)
{
    struct tg_metrics m = snapshot();
    size_t bound = tg_metrics_bound(&m), short_len = 0, len;
    char *text = text_of(&m, bound);
    (void)state;
    len = strlen(text);
    assert_true(len < bound);
    for (size_t room = 0; room <= len; room++) {
        struct tg_writer w = tg_writer_init(text, room);
        int rc = tg_metrics_write(&m, &w);
        if (rc < 0) {
            assert_int_equal(rc, TG_ETOOBIG);
            assert_int_equal(short_len, 0);
            continue;
        }
        assert_int_equal(m.gateway.complete, room == len);
        if (room < len) {
            assert_true(short_len == 0 || short_len == w.len);
            short_len = w.len;
            text[w.len] = '\0';
            has_line(text, "tidegate_metrics_complete 0");
            assert_null(strstr(text, "tidegate_device_"));
        }
    }
    assert_true(short_len > 0);
    free(text);
}

static void a_thousand_devices(void **state)
{
    enum { N = 1000 };
    struct tg_metrics m = snapshot();
    struct tg_metrics_device *d = calloc(N, sizeof *d);
    struct tg_metrics_session *s = calloc(2 * N, sizeof *s);
    char(*names)[24] = calloc(N, sizeof *names);
    int64_t begin_us;
    char *text;
    (void)state;
    for (size_t i = 0; i < N; i++) {
        snprintf(names[i], sizeof names[i], "building-7-meter-%04zu", i);
        d[i] = (struct tg_metrics_device){
            .id = names[i], .source = "yard", .state = "ok", .accepted = 1000000 + i};
        for (size_t c = 0; c < 2; c++)
            s[2 * i + c] = (struct tg_metrics_session){
                .device = names[i], .cloud = clouds[c].name, .state = "online", .pending = i};
    }
    m.devices = d;
    m.sessions = s;
    m.device_count = N;
    m.session_count = 2 * N;
    begin_us = tg_clock_mono_us();
    text = text_of(&m, tg_metrics_bound(&m));
    print_message("%zu bytes in %lld us, bound %zu\n", strlen(text),
                  (long long)(tg_clock_mono_us() - begin_us), tg_metrics_bound(&m));
    assert_true(m.gateway.complete);
    assert_true(strlen(text) < TG_METRICS_MAX_BYTES / 3);
    free(text);
    free(names);
    free(s);
    free(d);
}

/* --- the manual ----------------------------------------------------------------------------------------- */

static char *read_manual(void)
{
    const char *root = getenv("TIDEGATE_SOURCE");
    char path[4096], *text = calloc(1, MANUAL_BYTES);
    FILE *f;
    snprintf(path, sizeof path, "%s/docs/metrics.md", root ? root : ".");
    f = fopen(path, "r");
    assert_non_null(f);
    assert_true(fread(text, 1, MANUAL_BYTES - 1, f) > 0);
    fclose(f);
    return text;
}

static void the_manual_has_every_family(void **state)
{
    char *manual = read_manual(), row[512];
    struct tg_metrics_family f;
    size_t count = 0;
    (void)state;
    for (; tg_metrics_family(count, &f); count++) {
        snprintf(row, sizeof row, "| `%s` | %s | %s |", f.name, f.type, f.help);
        has_line(manual, row);
    }
    for (const char *at = strstr(manual, "\n| `tidegate_"); at; at = strstr(at + 1, "\n| `tidegate_"))
        count--; /* and names none that is not there */
    assert_int_equal(count, 0);
    free(manual);
}

static void names_follow_the_conventions(void **state)
{
    struct tg_metrics_family f;
    (void)state;
    for (size_t i = 0; tg_metrics_family(i, &f); i++) {
        const char *end = strrchr(f.name, '_');
        assert_int_equal(strspn(f.name, "abcdefghijklmnopqrstuvwxyz_"), strlen(f.name));
        assert_int_equal(strncmp(f.name, "tidegate_", 9), 0);
        assert_int_equal(strcmp(end, "_total") == 0, strcmp(f.type, "counter") == 0);
        assert_true(strlen(f.name) <= 64); /* tg_metrics_bound() counts on it */
        assert_null(strstr(f.name, "_ms"));
        assert_null(strpbrk(f.help, "\\\n"));
        assert_int_equal(f.help[strlen(f.help) - 1], '.');
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_kind_of_line),
        cmocka_unit_test(labels_are_escaped),
        cmocka_unit_test(what_is_not_there_has_no_line),
        cmocka_unit_test(a_shared_connection_counts_once),
        cmocka_unit_test(what_does_not_fit_is_left_out_whole),
        cmocka_unit_test(a_thousand_devices),
        cmocka_unit_test(the_manual_has_every_family),
        cmocka_unit_test(names_follow_the_conventions),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
