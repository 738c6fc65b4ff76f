/* SPDX-License-Identifier: GPL-2.0-or-later */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <cmocka.h>

#include "core/base/allocator.h"
#include "northbound/sparkplug_inbound.h"
#include "support/sparkplug_node.h"

static void test_seq_wraps_and_is_used_only_when_sent(void **state)
{
    struct sparkplug_body b;
    struct sparkplug_node n;
    struct sparkplug_sent s;
    struct tg_format_sample one;
    uint8_t memory[256];
    (void)state;
    node_init(&n, NULL);
    node_begin(&n);
    one = sample_one(&b, 1000, "flow", tg_value_int(1));
    assert_int_equal(node_send(&n, 0, &one, 1, false, &s), 1);
    sent_close(&s);
    for (uint64_t seq = 3; seq < 600; seq++) {
        struct tg_writer w = tg_writer_init(memory, sizeof memory);
        assert_int_equal(node_encode(&n, 0, &one, 1, false, &w), 1); /* found no room after all */
        assert_int_equal(node_send(&n, 0, &one, 1, false, &s), 1);
        sent_assert_seq(&s, seq & 0xFF);
        sent_close(&s);
    }
    node_fini(&n);
}

static void test_new_metric_and_other_type(void **state)
{
    struct sparkplug_body b[3];
    struct sparkplug_node n;
    struct sparkplug_sent s;
    struct tg_format_sample some[3];
    (void)state;
    node_init(&n, NULL);
    node_begin(&n);
    some[0] = sample_one(&b[0], 1000, "flow", tg_value_int(21));
    assert_int_equal(node_send(&n, 0, some, 1, false, &s), 1);
    assert_int_equal(s.m[0].datatype, TG_SPARKPLUG_INT64);
    sent_close(&s);
    assert_int_equal(n.devices[0].publish_count, 1);
    /* An integer after it became a real one is no new type; the message of the integer ends before the real. */
    some[0] = sample_one(&b[0], 1001, "flow", tg_value_int(22));
    some[1] = sample_one(&b[1], 1002, "flow", tg_value_real(22.5));
    some[2] = sample_one(&b[2], 1003, "flow", tg_value_int(23));
    assert_int_equal(node_send(&n, 0, some, 3, false, &s), 1);
    sent_close(&s);
    assert_int_equal(n.devices[0].publish_count, 1);
    assert_int_equal(node_send(&n, 0, some + 1, 2, false, &s), 2);
    assert_int_equal(s.count, 2);
    assert_int_equal(s.m[1].datatype, TG_SPARKPLUG_DOUBLE);
    assert_true(metric_value(&s.m[1]).as.real > 22.9);
    sent_close(&s);
    assert_int_equal(n.devices[0].publish_count, 2);
    some[0] = sample_one(&b[0], 1004, "flow", tg_value_int(24));
    some[1] = sample_one(&b[1], 1005, "mode", tg_value_text("auto", 4));
    assert_int_equal(node_send(&n, 0, some, 2, false, &s),
                     2); /* a new metric goes into the same message, with the birth before */
    sent_assert_seq(&s, 7);
    sent_close(&s);
    assert_int_equal(n.devices[0].publish_count, 3);
    sent_open_publish(&s, &n.devices[0].publishes[2]);
    sent_assert_seq(&s, 6);
    assert_int_equal(s.count, 2);
    assert_string_equal(s.m[1].name, "mode");
    assert_int_equal(s.m[1].datatype, TG_SPARKPLUG_STRING);
    assert_string_equal(metric_value(&s.m[1]).as.text, "auto");
    assert_true(metric_value(&s.m[0]).as.real > 23.9);
    sent_close(&s);
    /* What is sent again stays together, whatever the types have become. */
    some[0] = sample_one(&b[0], 1001, "flow", tg_value_text("x", 1));
    assert_int_equal(node_send(&n, 0, some, 1, false, &s), 1);
    sent_close(&s);
    some[0] = sample_one(&b[0], 1001, "other", tg_value_int(22));
    some[1] = sample_one(&b[1], 1002, "flow", tg_value_int(22));
    assert_int_equal(node_send(&n, 0, some, 2, true, &s), 2);
    assert_true(s.m[0].historical && s.m[1].historical);
    sent_close(&s);
    node_fini(&n);
}

static void test_quality(void **state)
{
    struct tg_named_value v = {tg_bytes_str("flow"), TG_QUALITY_TIMEOUT, {0}};
    struct sparkplug_body b;
    struct sparkplug_node n;
    struct sparkplug_sent s;
    struct tg_format_sample one = {.seq = 1};
    (void)state;
    node_init(&n, NULL);
    node_begin(&n);
    sample_values(&b, 1000, &v, 1);
    one.body = b.view;
    assert_int_equal(node_send(&n, 0, &one, 1, false, &s), 1); /* bad from the beginning: a Double, for now */
    assert_true(s.m[0].null);
    assert_int_equal(s.m[0].datatype, TG_SPARKPLUG_DOUBLE);
    sent_close(&s);
    one = sample_one(&b, 1001, "flow", tg_value_bool(true));
    assert_int_equal(node_send(&n, 0, &one, 1, false, &s), 1);
    assert_int_equal(s.m[0].datatype, TG_SPARKPLUG_BOOLEAN);
    assert_true(metric_value(&s.m[0]).as.boolean);
    sent_close(&s);
    assert_int_equal(n.devices[0].publish_count, 2);
    sample_values(&b, 1002, &v, 1);
    one.body = b.view;
    assert_int_equal(node_send(&n, 0, &one, 1, false, &s), 1);
    assert_true(s.m[0].null);
    assert_int_equal(s.m[0].datatype, TG_SPARKPLUG_BOOLEAN);
    sent_close(&s);
    assert_int_equal(n.devices[0].publish_count, 2);
    node_fini(&n);
}

static void test_history_after_an_outage(void **state)
{
    struct sparkplug_body b[3];
    struct sparkplug_node n;
    struct sparkplug_sent s;
    struct tg_format_sample old[3];
    (void)state;
    node_init(&n, NULL);
    node_begin(&n);
    old[0] = sample_one(&b[0], 1000, "flow", tg_value_int(1));
    node_accept(&n, 0, old[0]);
    assert_int_equal(node_send(&n, 0, old, 1, false, &s), 1);
    sent_close(&s);
    node_disconnect(&n);
    node_at(&n, 5000);
    old[1] = sample_one(&b[1], 5000, "flow", tg_value_int(2));
    node_accept(&n, 0, old[1]);
    node_clear(&n);
    node_at(&n, 9000);
    node_connect(&n);
    assert_int_equal(node_simple(&n, TG_CLOUD_SUBSCRIBED), TG_OK);
    sent_open_publish(&s, talk_rig_find(&n.devices[0], "spBv1.0/G/DBIRTH/E/d0"));
    sent_assert_seq(&s, 1);
    assert_int_equal(metric_value(&s.m[0]).as.integer,
                     2); /* the present value, though older ones wait before it */
    assert_int_equal(s.m[0].time_ms, NODE_T0 + 5000);
    sent_close(&s);
    assert_int_equal(node_send(&n, 0, old, 2, false, &s), 2);
    assert_true(s.m[0].historical && s.m[1].historical);
    sent_assert_seq(&s, 2);
    sent_close(&s);
    old[2] = sample_one(&b[2], 9000, "flow", tg_value_int(3));
    assert_int_equal(node_send(&n, 0, old + 2, 1, false, &s), 1);
    assert_false(s.m[0].historical);
    sent_close(&s);
    node_fini(&n);
}

/* What went ahead of a backlog makes the rest of it history, also what is younger than the birth. */
static void test_history_behind_what_went_ahead(void **state)
{
    struct sparkplug_body b[3];
    struct sparkplug_node n;
    struct sparkplug_sent s;
    struct tg_format_sample samples[3];
    (void)state;
    node_init(&n, NULL);
    node_begin(&n);
    node_at(&n, 1000);
    samples[0] = sample_one(&b[0], 1000, "flow", tg_value_int(9)); /* the metric is born */
    node_accept(&n, 0, samples[0]);
    assert_int_equal(node_send(&n, 0, samples, 1, false, &s), 1);
    sent_close(&s);
    node_at(&n, 5000);
    for (uint32_t i = 0; i < 3; i++) {
        samples[i] = sample_one(&b[i], 2000 + 1000 * (int64_t)i, "flow", tg_value_int((int64_t)i));
        samples[i].seq = 11 + i;
        node_accept(&n, 0, samples[i]);
    }
    assert_int_equal(node_send(&n, 0, samples + 2, 1, false, &s), 1);
    assert_false(s.m[0].historical);
    sent_close(&s);
    assert_int_equal(node_send(&n, 0, samples, 2, false, &s), 2);
    assert_true(s.m[0].historical && s.m[1].historical);
    sent_close(&s);
    samples[0] = sample_one(&b[0], 5000, "flow", tg_value_int(4));
    samples[0].seq = 14;
    node_accept(&n, 0, samples[0]);
    assert_int_equal(node_send(&n, 0, samples, 1, false, &s), 1);
    assert_false(s.m[0].historical);
    sent_close(&s);
    node_fini(&n);
}

static void test_bounds_of_a_message(void **state)
{
    struct sparkplug_body b[3];
    struct sparkplug_node n;
    struct sparkplug_sent s;
    struct tg_format_sample some[3];
    uint8_t memory[256];
    (void)state;
    node_init(&n, NULL);
    node_begin(&n);
    for (int i = 0; i < 3; i++)
        some[i] = sample_one(&b[i], 1000 + i, "flow", tg_value_int(i));
    for (size_t cap = 0; cap < sizeof memory; cap++) {
        struct tg_writer w = tg_writer_init(memory, cap);
        int rc = node_encode(&n, 0, some, 3, false, &w);
        assert_true(rc == TG_ETOOBIG || (rc > 0 && rc <= 3));
        if (rc < 0)
            continue;
        assert_false(w.failed);
        sent_open(&s, w.data, w.len);
        assert_int_equal(s.count, rc);
        assert_true(s.reader.has_seq);
        sent_close(&s);
    }
    some[1].body.len--; /* damaged in the store */
    assert_int_equal(node_send(&n, 0, some, 3, false, &s), 1);
    sent_close(&s);
    assert_int_equal(node_send(&n, 0, some + 1, 2, false, &s), TG_ECORRUPT);
    assert_true(n.err.text[0] != '\0');
    node_fini(&n);
}

static void test_many_metrics_and_large_births(void **state)
{
    static uint8_t memory[TG_SAMPLE_MAX_BYTES];
    static struct sparkplug_sent s;
    char text[TG_TEXT_MAX_BYTES];
    struct sparkplug_node n;
    int rc = 1;
    unsigned texts = 0;
    (void)state;
    memset(text, 't', sizeof text);
    node_init(&n, NULL);
    node_begin(&n);
    for (unsigned first = 0; rc == 1; first += 32) {
        struct tg_writer w = tg_writer_init(memory, sizeof memory);
        struct tg_format_sample one = {.seq = 1};
        tg_sample_begin(&w, NODE_T0, 32);
        for (unsigned i = 0; i < 32; i++) {
            char name[16];
            struct tg_named_value v = {.value = tg_value_text(text, sizeof text)};
            v.name = tg_bytes(name, (size_t)snprintf(name, sizeof name, "p%u", first + i));
            tg_sample_value(&w, &v);
        }
        assert_false(w.failed);
        one.body = tg_bytes(memory, w.len);
        node_clear(&n);
        rc = node_send(&n, 0, &one, 1, false, &s);
        if (rc < 0)
            break;
        sent_close(&s);
        texts += 32;
        assert_int_equal(n.devices[0].publish_count, 1);
        assert_true(n.devices[0].publishes[0].len < 128 * 1024);
    }
    assert_int_equal(rc, TG_ETOOBIG);
    assert_int_equal(texts, TG_SPARKPLUG_MAX_METRICS);
    node_fini(&n);
}

static void test_no_memory(void **state)
{
    struct tg_alloc_stats before = tg_alloc_stats();
    bool passed = false;
    (void)state;
    for (uint64_t nth = 1; !passed; nth++) {
        struct sparkplug_body b;
        struct sparkplug_node n;
        struct sparkplug_sent s;
        struct tg_format_sample one = sample_one(&b, 1000, "mode", tg_value_text("auto", 4));
        int rc;
        node_init(&n, NULL);
        node_begin(&n);
        tg_alloc_fail_at(nth, 0);
        node_accept(&n, 0, one);
        rc = node_encode(&n, 0, &one, 1, false, &(struct tg_writer){.data = s.bytes, .cap = sizeof s.bytes});
        passed = rc == 1 && nth > 8;
        assert_true(rc == 1 || rc == TG_ENOMEM);
        rc = node_device_command(
            &n, &(struct tg_sparkplug_metric){.name = "mode", .field = TG_SPARKPLUG_FIELD_BOOLEAN});
        tg_alloc_fail_at(0, 0);
        assert_true(rc == TG_OK || rc == TG_ENOMEM || rc == TG_EPROTO);
        assert_int_equal(node_send(&n, 0, &one, 1, false, &s), 1); /* and all is well again */
        sent_close(&s);
        node_fini(&n);
        assert_true(nth < 100);
    }
    assert_int_equal(tg_alloc_stats().live, before.live);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_seq_wraps_and_is_used_only_when_sent),
                                       cmocka_unit_test(test_new_metric_and_other_type),
                                       cmocka_unit_test(test_quality),
                                       cmocka_unit_test(test_history_after_an_outage),
                                       cmocka_unit_test(test_history_behind_what_went_ahead),
                                       cmocka_unit_test(test_bounds_of_a_message),
                                       cmocka_unit_test(test_many_metrics_and_large_births),
                                       cmocka_unit_test(test_no_memory)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
