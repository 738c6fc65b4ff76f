/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * A device that lies: never is a value taken from an invalid, late or foreign answer, and when the device is
 * honest again its values come again. Over TCP, RTU and RTU over TCP, with a second, honest unit on the same
 * bus that keeps being read.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "support/modbus_stage.h"

#define LIAR_POINTS 3
#define FIRST       10
#define STEP        7

static const char *const everywhere[] = {"silent",  "half",        "dribble",     "function",     "unit",
                                         "count:2", "count:-2",    "count:1",     "count:253",    "noise",
                                         "twice",   "exception:6", "exception:4", "exception:11", "odd",
                                         "short",   "second:1",    "second:2",    "gap:0.03",     NULL};
static const char *const on_tcp[] = {
    "tid",        "protocol:1",   "protocol:256", "length:4", "length:-1", "length:-4", "length:-5",
    "length:400", "length:60000", "reset",        "flood",    "late:0.15", "late:0.5",  NULL};
static const char *const on_rtu[] = {"crc",       "swapped",   "nocrc", "echo",
                                     "late:0.15", "late:0.32", "shift", NULL};

static void one_lie(struct stage *s, uint32_t liar, uint32_t other, const char *lie)
{
    size_t mark = fake_mark(s->host);
    /* Behind a unit that answers one request late, the third request is the first whose value would show. */
    peer_do(&s->peer, "lie 1 %s %d", lie, strcmp(lie, "shift") == 0 ? 3 : 2);
    stage_lies_told(s, 1);
    size_t told = fake_mark(s->host);
    for (uint32_t p = 0; p < LIAR_POINTS; p++)
        (void)fake_expect_value(s->host, told, liar, p, TG_QUALITY_GOOD);
    (void)fake_expect_value(s->host, mark, other, 0, TG_QUALITY_GOOD);
    (void)stage_check_values(s->host, liar, 1, FIRST, STEP);
    (void)stage_check_values(s->host, other, 2, 100, 1);
}

static void run(enum stage_transport transport, const char *const *special)
{
    struct stage s;
    stage_begin(&s, transport, "100ms");
    uint32_t liar = stage_device(s.host, 1, LIAR_POINTS, FIRST, STEP, 20);
    uint32_t other = stage_device(s.host, 2, 1, 100, 1, 20);
    fake_start(s.host);
    (void)fake_expect_state(s.host, 0, liar, TG_DEVICE_OK);
    (void)fake_expect_value(s.host, 0, liar, 0, TG_QUALITY_GOOD);
    for (size_t i = 0; everywhere[i]; i++)
        one_lie(&s, liar, other, everywhere[i]);
    for (size_t i = 0; special[i]; i++)
        one_lie(&s, liar, other, special[i]);
    fake_stop(s.host);
    assert_true(stage_check_values(s.host, liar, 1, FIRST, STEP) > 0);
    assert_true(stage_check_values(s.host, other, 2, 100, 1) > 0);
    stage_end(&s);
}

static void tcp(void **state)
{
    (void)state;
    run(STAGE_TCP, on_tcp);
}

static void rtu(void **state)
{
    (void)state;
    run(STAGE_RTU, on_rtu);
}

static void rtu_over_tcp(void **state)
{
    (void)state;
    run(STAGE_RTU_OVER_TCP, on_rtu);
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(tcp), cmocka_unit_test(rtu),
                                       cmocka_unit_test(rtu_over_tcp)};
    if (argc > 1)
        cmocka_set_test_filter(argv[1]);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
