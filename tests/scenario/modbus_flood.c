/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * What a device sends without an end or without being asked: it is counted by name, it takes little CPU, it never
 * becomes a value, and when it ends all goes on.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <cmocka.h>

#include "support/modbus_stage.h"

static double cpu_s(void)
{
    struct timespec t;
    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &t);
    return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

static double clock_s(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

/* The count of a named error of the bus in `stats`. */
static json_int_t bus_errors(struct fake_host *h, uint64_t request, uint32_t device, const char *name)
{
    fake_command(h, request, device, "stats", "");
    struct fake_event e = fake_expect_answer(h, request);
    json_t *root = json_loads(e.text, 0, NULL);
    assert_non_null(root);
    json_int_t n =
        json_integer_value(json_object_get(json_object_get(json_object_get(root, "bus"), "errors"), name));
    json_decref(root);
    return n;
}

/* Noise without an end on a line without transaction ids. */
static void endless(enum stage_transport transport)
{
    struct stage s;
    stage_begin(&s, transport, "100ms");
    uint32_t d[2] = {stage_device(s.host, 1, 2, 10, 7, 20), stage_device(s.host, 2, 1, 100, 1, 20)};
    fake_start(s.host);
    (void)fake_expect_value(s.host, 0, d[0], 0, TG_QUALITY_GOOD);
    (void)fake_expect_value(s.host, 0, d[1], 0, TG_QUALITY_GOOD);
    size_t mark = fake_mark(s.host);
    double cpu = cpu_s(), begin = clock_s();
    peer_do(&s.peer, "stream on");
    for (int i = 0; i < 2; i++) {
        struct fake_event e = fake_expect_state(s.host, mark, d[i], TG_DEVICE_DOWN);
        assert_non_null(strstr(e.text, "the line is never silent (noise)"));
        (void)fake_expect_value(s.host, mark, d[i], 0, TG_QUALITY_COMM);
    }
    (void)fake_expect_log(s.host, "somebody sends what nobody asked for (noise)");
    assert_true(cpu_s() - cpu < 0.3 * (clock_s() - begin));
    mark = fake_mark(s.host);
    peer_do(&s.peer, "stream off");
    for (int i = 0; i < 2; i++) {
        (void)fake_expect_state(s.host, mark, d[i], TG_DEVICE_OK);
        (void)fake_expect_value(s.host, mark, d[i], 0, TG_QUALITY_GOOD);
    }
    assert_true(bus_errors(s.host, 1, d[0], "noise") > 10);
    (void)stage_check_values(s.host, d[0], 1, 10, 7);
    (void)stage_check_values(s.host, d[1], 2, 100, 1);
    stage_end(&s);
}

static void endless_rtu(void **state)
{
    (void)state;
    endless(STAGE_RTU);
}

static void endless_rtu_over_tcp(void **state)
{
    (void)state;
    endless(STAGE_RTU_OVER_TCP);
}

/* Frames that nobody asked for, on TCP: skipped or the connection replaced, with back-off, and named. */
static void endless_tcp(void **state)
{
    (void)state;
    struct stage s;
    stage_begin(&s, STAGE_TCP, "100ms");
    uint32_t d = stage_device(s.host, 1, 2, 10, 7, 20);
    fake_start(s.host);
    (void)fake_expect_value(s.host, 0, d, 0, TG_QUALITY_GOOD);
    size_t mark = fake_mark(s.host);
    double cpu = cpu_s(), begin = clock_s();
    peer_do(&s.peer, "stream on");
    (void)fake_expect_state(s.host, mark, d, TG_DEVICE_DOWN);
    assert_true(cpu_s() - cpu < 0.5 * (clock_s() - begin) + 0.2);
    mark = fake_mark(s.host);
    peer_do(&s.peer, "stream off");
    (void)fake_expect_value(s.host, mark, d, 0, TG_QUALITY_GOOD);
    (void)stage_check_values(s.host, d, 1, 10, 7);
    stage_end(&s);
}

/* Every lie is counted under its own name. */
static void named(void **state)
{
    (void)state;
    static const struct {
        enum stage_transport transport;
        const char *lie, *name;
    } cases[] = {{STAGE_TCP, "silent", "timeout"},
                 {STAGE_TCP, "half", "incomplete"},
                 {STAGE_TCP, "protocol:1", "bad_protocol_id"},
                 {STAGE_TCP, "length:-4", "length_mismatch"},
                 {STAGE_TCP, "tid", "stale_tid"},
                 {STAGE_TCP, "unit", "wrong_unit"},
                 {STAGE_TCP, "function", "wrong_function"},
                 {STAGE_TCP, "reset", "link_lost"},
                 {STAGE_RTU, "crc", "bad_crc"},
                 {STAGE_RTU, "swapped", "bad_crc"},
                 {STAGE_RTU, "nocrc", "incomplete"},
                 {STAGE_RTU, "count:1", "length_mismatch"},
                 {STAGE_RTU, "unit", "wrong_unit"},
                 {STAGE_RTU, "twice", "unsolicited"}};
    struct stage s = {.transport = STAGE_RTU_OVER_TCP};
    uint32_t d = 0;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        if (s.transport != cases[i].transport) {
            if (i > 0)
                stage_end(&s);
            stage_begin(&s, cases[i].transport, "100ms");
            d = stage_device(s.host, 1, 2, 10, 7, 20);
            fake_start(s.host);
        }
        json_int_t before = bus_errors(s.host, 2 * i + 1, d, cases[i].name);
        peer_do(&s.peer, "lie 1 %s 1", cases[i].lie);
        stage_lies_told(&s, 1);
        (void)fake_expect_value(s.host, fake_mark(s.host), d, 0, TG_QUALITY_GOOD);
        if (bus_errors(s.host, 2 * i + 2, d, cases[i].name) <= before)
            fail_msg("%s was not counted as %s", cases[i].lie, cases[i].name);
    }
    stage_end(&s);
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(named), cmocka_unit_test(endless_rtu),
                                       cmocka_unit_test(endless_rtu_over_tcp), cmocka_unit_test(endless_tcp)};
    if (argc > 1)
        cmocka_set_test_filter(argv[1]);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
