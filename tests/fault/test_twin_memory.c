/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * Memory runs out while a twin is spoken with: its answer, a change of what is desired. The Nth allocation fails,
 * N = 1 … until a clean pass, alone and with all after it. What the cloud desires is asked for again, nothing leaks.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdio.h>
#include <string.h>

#include "core/base/allocator.h"
#include "support/twin_rig.h"

#define MOST 200

enum deed { ANSWER, CHANGE };

/* The twin is asked for again and told, if it has to be. */
static void go_on(void)
{
    for (int i = 0; i < 4 && twin.rig.desired_count == 0; i++) {
        unsigned asked;
        if (twin.rig.wake_ms != INT64_MAX)
            twin_wake_at(twin.rig.wake_ms);
        asked = twin_get_asked();
        if (asked)
            assert_int_equal(
                twin_answer(200, asked,
                            "{\"desired\":{\"a\":2,\"$version\":2},\"reported\":{\"$version\":1}}"),
                TG_OK);
    }
    assert_true(twin.rig.desired_count > 0);
    assert_non_null(strstr(twin.rig.desired[twin.rig.desired_count - 1].json, "\"a\":2"));
}

/* True: the nth allocation was not reached. */
static bool once(enum deed deed, uint64_t nth, int forever)
{
    uint64_t calls;
    int rc;
    unsigned asked;
    char topic[100];
    twin_begin(NULL);
    twin_online();
    asked = twin_get_asked();
    if (deed != ANSWER)
        assert_int_equal(
            twin_answer(200, asked, "{\"desired\":{\"a\":1,\"$version\":1},\"reported\":{\"$version\":1}}"),
            TG_OK);
    talk_rig_clear(&twin.rig);
    snprintf(topic, sizeof topic, deed == ANSWER ? "$iothub/twin/res/200/?$rid=%u" : TWIN_DESIRED "2", asked);
    calls = tg_alloc_stats().calls;
    tg_alloc_fail_at(nth, forever);
    rc = talk_rig_message(&twin.rig, topic,
                          deed == ANSWER
                              ? "{\"desired\":{\"a\":2,\"$version\":2},\"reported\":{\"$version\":1}}"
                              : "{\"a\":2,\"$version\":2}");
    calls = tg_alloc_stats().calls - calls;
    tg_alloc_fail_at(0, 0);
    if (rc < 0)
        assert_int_equal(rc, TG_ENOMEM);
    go_on();
    twin_end(NULL);
    return calls < nth;
}

static void sweep(enum deed deed)
{
    for (int forever = 0; forever <= 1; forever++) {
        uint64_t n = 1;
        int64_t live = tg_alloc_stats().live;
        while (!once(deed, n, forever)) {
            assert_int_equal(tg_alloc_stats().live, live);
            assert_true(++n < MOST);
        }
        assert_true(n > 1);
    }
}

static void test_an_answer_is_asked_for_again(void **state)
{
    (void)state;
    sweep(ANSWER);
}

static void test_a_change_that_was_missed_is_asked_for(void **state)
{
    (void)state;
    sweep(CHANGE);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_an_answer_is_asked_for_again),
        cmocka_unit_test(test_a_change_that_was_missed_is_asked_for),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
