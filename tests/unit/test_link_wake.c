/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * Who of a link is due next, against a look at everybody.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "core/base/allocator.h"
#include "northbound/link.h"

#define SESSIONS 100

static struct tg_link l;
static struct tg_session sessions[SESSIONS];

static int begin(void **state)
{
    (void)state;
    l = (struct tg_link){.wake_ms = INT64_MAX};
    for (uint32_t i = 0; i < SESSIONS; i++) {
        sessions[i] = (struct tg_session){.link = &l, .wake_ms = INT64_MAX, .restart_ms = INT64_MAX};
        assert_int_equal(tg_link_wake_room(&l), TG_OK);
        l.session_count++;
    }
    return 0;
}

static int end(void **state)
{
    (void)state;
    tg_free(l.wakes);
    return 0;
}

static int64_t earliest_of_all(void)
{
    int64_t at = l.wake_ms;
    for (uint32_t i = 0; i < SESSIONS; i++) {
        at = sessions[i].wake_ms < at ? sessions[i].wake_ms : at;
        at = sessions[i].restart_ms < at ? sessions[i].restart_ms : at;
    }
    return at;
}

static void the_earliest_of_all_is_next(void **state)
{
    uint32_t random = 3;
    (void)state;
    for (int n = 0; n < 200000; n++) {
        struct tg_session *s;
        int64_t at;
        random = random * 1664525u + 1013904223u;
        s = &sessions[(random >> 8) % SESSIONS];
        at = random >> 30 == 0 ? INT64_MAX
                               : (int64_t)(random >> 4 & 0xffff); /* often the same moment for several */
        if (random >> 28 & 1)
            tg_session_wake_at(s, at);
        else
            tg_session_restart_at(s, at);
        if (n % 1000 == 0)
            l.wake_ms = at;
        assert_true(tg_link_next_wake(&l) == earliest_of_all());
    }
}

static void nobody_is_left_behind(void **state)
{
    (void)state;
    for (uint32_t i = 0; i < SESSIONS; i++)
        tg_session_wake_at(&sessions[i], (int64_t)(i * 37 % SESSIONS));
    assert_int_equal(l.wake_count, SESSIONS);
    for (int64_t at = 0; at < SESSIONS; at++) {
        assert_true(tg_link_next_wake(&l) == at);
        tg_session_wake_at(l.wakes[0], INT64_MAX);
    }
    assert_int_equal(l.wake_count, 0);
    assert_true(tg_link_next_wake(&l) == INT64_MAX);
}

static void without_memory_nobody_joins(void **state)
{
    (void)state;
    l.session_count = l.wake_room;
    tg_alloc_fail_at(1, 1);
    assert_int_equal(tg_link_wake_room(&l), TG_ENOMEM);
    tg_alloc_fail_at(0, 0);
    assert_int_equal(tg_link_wake_room(&l), TG_OK);
    assert_true(l.wake_room > l.session_count);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(the_earliest_of_all_is_next, begin, end),
        cmocka_unit_test_setup_teardown(nobody_is_left_behind, begin, end),
        cmocka_unit_test_setup_teardown(without_memory_nobody_joins, begin, end)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
