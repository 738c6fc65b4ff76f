/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * Memory runs out while Sparkplug messages are written: new metrics, births, rebirths that the host asks for. The Nth allocation fails,
 * N = 1 … until a clean pass, alone and with all after it. What failed says "out of memory" or is made up for by the next; no data goes
 * out whose metric no birth has named, no number is used twice, nothing leaks.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <string.h>

#include "core/base/allocator.h"
#include "support/sparkplug_node.h"

#define MOST 200

/* Each allocation of `life` fails in turn, alone and with all after it, until none is reached; so many there are at least. */
static void sweep(bool (*life)(uint64_t nth, int forever), uint64_t least)
{
    for (int forever = 0; forever <= 1; forever++) {
        uint64_t nth = 1;
        while (!life(nth, forever))
            assert_true(++nth < MOST);
        assert_true(nth >= least);
    }
}

/* Whether the last birth of the device names the metric with this alias. */
static bool is_born(struct sparkplug_node *n, uint64_t alias)
{
    struct sparkplug_sent s;
    bool found = false;
    for (uint32_t i = n->devices[0].publish_count; i > 0 && !found; i--) {
        sent_open_publish(&s, &n->devices[0].publishes[i - 1]);
        for (uint32_t k = 0; k < s.count; k++)
            found = found || (s.m[k].name && s.m[k].has_alias && s.m[k].alias == alias);
        sent_close(&s);
    }
    return found;
}

/* Two samples with metrics that are new. True: the nth allocation was not reached. */
static bool send_new(uint64_t nth, int forever)
{
    int64_t live = tg_alloc_stats().live;
    uint8_t memory[4096];
    struct sparkplug_node n;
    struct sparkplug_body b[2];
    struct sparkplug_sent s;
    struct tg_writer w = tg_writer_init(memory, sizeof memory);
    struct tg_format_sample some[2];
    uint64_t calls;
    int rc;
    node_init(&n, NULL);
    node_begin(&n);
    some[0] = sample_one(&b[0], 1000, "a metric of its own", tg_value_text("text", 4));
    some[1] = sample_one(&b[1], 1001, "another one", tg_value_real(1.5));
    calls = tg_alloc_stats().calls;
    tg_alloc_fail_at(nth, forever);
    rc = node_encode(&n, 0, some, 2, false, &w);
    calls = tg_alloc_stats().calls - calls;
    tg_alloc_fail_at(0, 0);
    if (rc < 0) {
        assert_int_equal(rc, TG_ENOMEM);
        assert_non_null(strstr(n.err.text, "memory"));
    } else {
        assert_true(rc >= 1 && rc <= 2);
    }
    /* It is written again with memory, whatever became of it. */
    for (int sent = 0; sent < 2; sent += rc) {
        rc = node_send(&n, 0, some + sent, 2 - (uint32_t)sent, false, &s);
        assert_true(rc >= 1);
        for (uint32_t k = 0; k < s.count; k++)
            assert_true(is_born(&n, s.m[k].alias));
        sent_close(&s);
    }
    node_fini(&n);
    assert_int_equal(tg_alloc_stats().live, live);
    return calls < nth;
}

static void test_data_waits_for_its_birth(void **state)
{
    (void)state;
    sweep(send_new, 4);
}

/* The host asks for a rebirth. */
static bool be_reborn(uint64_t nth, int forever)
{
    int64_t live = tg_alloc_stats().live;
    struct sparkplug_node n;
    struct sparkplug_body b;
    struct sparkplug_sent s;
    struct tg_format_sample one;
    uint64_t calls;
    int rc;
    node_init(&n, NULL);
    node_begin(&n);
    one = sample_one(&b, 1000, "flow", tg_value_int(1));
    assert_int_equal(node_send(&n, 0, &one, 1, false, &s), 1);
    sent_close(&s);
    node_clear(&n);
    node_at(&n, 200000); /* long enough after the birth: at once */
    calls = tg_alloc_stats().calls;
    tg_alloc_fail_at(nth, forever);
    rc = node_command(&n, &node_rebirth, false);
    calls = tg_alloc_stats().calls - calls;
    tg_alloc_fail_at(0, 0);
    assert_true(rc == TG_OK || rc == TG_ENOMEM);
    if (rc < 0) { /* it is said, and the host asks until it hears one */
        assert_non_null(strstr(n.link.err.text, "memory"));
        assert_int_equal(node_command(&n, &node_rebirth, false), TG_OK);
    }
    /* A device whose birth there was no memory for is born by itself. */
    node_at(&n, 300000);
    assert_int_equal(node_simple(&n, TG_CLOUD_WAKE), TG_OK);
    assert_true(n.devices[0].publish_count > 0);
    assert_int_equal(node_send(&n, 0, &one, 1, false, &s), 1);
    assert_true(is_born(&n, s.m[0].alias));
    sent_close(&s);
    node_fini(&n);
    assert_int_equal(tg_alloc_stats().live, live);
    return calls < nth;
}

static void test_a_rebirth_comes_with_the_next_request(void **state)
{
    (void)state;
    sweep(be_reborn, 3);
}

/* The login and the births after it. */
static bool come_online(uint64_t nth, int forever)
{
    int64_t live = tg_alloc_stats().live;
    struct sparkplug_node n;
    struct sparkplug_body b;
    struct sparkplug_sent s;
    struct tg_format_sample one;
    uint64_t calls;
    int rc;
    node_init(&n, NULL);
    node_at(&n, 1000);
    assert_int_equal(node_simple(&n, TG_CLOUD_START), TG_OK);
    node_connect(&n);
    calls = tg_alloc_stats().calls;
    tg_alloc_fail_at(nth, forever);
    rc = node_simple(&n, TG_CLOUD_SUBSCRIBED);
    calls = tg_alloc_stats().calls - calls;
    tg_alloc_fail_at(0, 0);
    assert_true(rc == TG_OK || rc == TG_ENOMEM);
    node_at(&n, 20000);
    one = sample_one(&b, 1000, "flow", tg_value_int(1));
    if (rc == TG_OK) {
        rc = node_send(&n, 0, &one, 1, false, &s);
        assert_int_equal(rc, 1);
        assert_true(is_born(&n, s.m[0].alias));
        sent_close(&s);
    }
    node_fini(&n);
    assert_int_equal(tg_alloc_stats().live, live);
    return calls < nth;
}

static void test_births_are_made_up_for(void **state)
{
    (void)state;
    sweep(come_online, 1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_data_waits_for_its_birth),
        cmocka_unit_test(test_a_rebirth_comes_with_the_next_request),
        cmocka_unit_test(test_births_are_made_up_for),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
